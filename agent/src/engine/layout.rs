//! The bricks of a volume change: brick sets are added, one brick takes the place of another.
//!
//! As all of glusterd's commands these may be carried out though they failed, so the volume's own list of bricks
//! decides what is left to do.

use bricklayer_proto::task::{BrickAddress, BrickSwap, Done, Failure, Layout, Report, VolumeSpec};

use super::{Engine, OnProgress, done, failure, not_so};
use crate::host::HostError;
use crate::plan::refused;

/// How much is added at once: a command line must not become too long, and a failure in between not too large.
fn at_once(layout: Layout) -> usize {
    match layout {
        Layout::Distribute => 15,
        Layout::Replicate { .. } | Layout::Arbiter => 5 * per_set(layout),
        Layout::Disperse { .. } => per_set(layout),
    }
}

fn per_set(layout: Layout) -> usize {
    usize::try_from(layout.bricks_per_set()).unwrap_or(usize::MAX).max(1)
}

impl Engine {
    pub(super) async fn volume_extended(&self, spec: &VolumeSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let name = &spec.key.name;
        let volume = self.ours(&spec.key).await?;
        let missing = missing(spec, &volume.bricks)?;
        for bricks in missing.chunks(at_once(spec.layout)) {
            progress("gluster volume add-brick");
            self.add_bricks(spec, bricks).await?;
        }
        if !missing.is_empty() {
            let volume = self.ours(&spec.key).await?;
            if volume.bricks != spec.bricks {
                return Err(not_so(format!("bricks were added to volume {name}, and it has others now")));
            }
        }
        Ok(done(!missing.is_empty(), Report::Nothing))
    }

    async fn add_bricks(&self, spec: &VolumeSpec, bricks: &[BrickAddress]) -> Result<(), Failure> {
        let mut tried_again = false;
        loop {
            let Err(error) = self.host.gluster_add_bricks(&spec.key.name, bricks).await else { return Ok(()) };
            let now = self.ours(&spec.key).await?;
            if now.bricks.ends_with(bricks) {
                return Ok(());
            }
            // It may have marked bricks as used on its way. Those of this host can be unmarked.
            let again = matches!(error, HostError::Failed { .. }) && !tried_again && self.unmark(bricks).await;
            if !again {
                return Err(failure(&error));
            }
            tried_again = true;
        }
    }

    pub(super) async fn brick_replaced(&self, swap: &BrickSwap, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let BrickSwap { volume: key, old, new } = swap;
        let volume = self.ours(key).await?;
        match (volume.bricks.contains(old), volume.bricks.contains(new)) {
            (true, false) => {}
            (false, true) => return Ok(done(false, Report::Nothing)),
            (true, true) => {
                return Err(refused(format!("volume {} has both bricks, {old} and {new}", key.name)));
            }
            (false, false) => {
                return Err(refused(format!("volume {} has no brick {old}", key.name)));
            }
        }
        progress("gluster volume replace-brick");
        let replaced = self.host.gluster_replace_brick(&key.name, old, new).await;
        let now = self.ours(key).await?;
        if now.bricks.contains(new) && !now.bricks.contains(old) {
            return Ok(done(true, Report::Nothing));
        }
        replaced.map_err(|error| failure(&error))?;
        Err(not_so(format!("{new} took the place of {old} in volume {}, and is not there", key.name)))
    }
}

/// The bricks of the spec behind those that the volume has.
fn missing<'a>(spec: &'a VolumeSpec, there: &[BrickAddress]) -> Result<&'a [BrickAddress], Failure> {
    let Some(missing) = spec.bricks.strip_prefix(there) else {
        let at = spec.bricks.iter().zip(there).take_while(|(wanted, found)| wanted == found).count();
        let name = &spec.key.name;
        return Err(refused(match (spec.bricks.get(at), there.get(at)) {
            (Some(wanted), Some(found)) => {
                format!("volume {name} has brick {found} in place {at}, where {wanted} should be")
            }
            _ => format!("volume {name} has {} bricks, more than the {} it should", there.len(), spec.bricks.len()),
        }));
    };
    if !missing.len().is_multiple_of(per_set(spec.layout)) {
        return Err(refused(format!(
            "volume {} lacks {} bricks, which make no whole sets of {}",
            spec.key.name,
            missing.len(),
            spec.layout.bricks_per_set()
        )));
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_sets_of_copies_fifteen_single_bricks_or_one_dispersed_set_are_added_at_once() {
        assert_eq!(at_once(Layout::Replicate { replica: 3 }), 15);
        assert_eq!(at_once(Layout::Arbiter), 15);
        assert_eq!(at_once(Layout::Distribute), 15);
        assert_eq!(at_once(Layout::Disperse { data: 4, redundancy: 2 }), 6);
    }
}
