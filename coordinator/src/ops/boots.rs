//! Hosts that come back: what GlusterFS leaves out at a boot is asked for again.
//!
//! glusterd starts the bricks of its host as it comes up. Where a volume was changed while the host was away, it takes over
//! what the others say of the volume, and then may start no process for its brick (seen of glusterd 10.3: "version differ",
//! "Unable to open pidfile"); nothing ever does. So for a while after a boot the bricks that their host reports without a
//! process are started, by the command by which a person would do it. It starts what is missing and leaves alone what runs.
//!
//! Long after the boot nobody knows why a brick has no process: then [`super::gluster_watch`] starts it where that is switched
//! on, and else the doctor names it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bricklayer_proto::ids::{BootId, BrickId, VolumeId};
use bricklayer_proto::inventory::{BrickSeen, Inventory};
use bricklayer_proto::names::BrickPath;
use bricklayer_proto::task::Wanted;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::context::{Asker, Context};
use super::step::StepError;
use super::{Operations, gluster};
use crate::agents::{AgentStatus, Presence};
use crate::model::{Operation, Plan, Topology, Volume};

/// A brick that cannot run, as its disk is dead, is not tried for ever.
const TRIES: u32 = 5;

/// How often each brick was asked for since its host booted. At the first look it may just not have been started yet.
#[derive(Default)]
struct Boots(BTreeMap<(BootId, BrickId), u32>);

/// Looks again and again until told to stop.
pub async fn watch(operations: Operations, stop: CancellationToken) {
    let context = &operations.context;
    let mut boots = Boots::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(context.policy.look * 5) => {}
        }
        // What an older copy of the store calls a volume may be something else by now.
        if context.standing.is_older() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = boots.look(context) => {}
        }
    }
}

impl Boots {
    async fn look(&mut self, context: &Context) {
        for (volume, bricks) in self.due(context) {
            match start(context, &volume, &bricks).await {
                Ok(false) => {}
                Ok(true) => tracing::warn!(
                    volume.name = %volume.name,
                    "GlusterFS had left out bricks of a host that came back: they were started."
                ),
                Err(error) => tracing::warn!(
                    volume.name = %volume.name,
                    "GlusterFS left out bricks of a host that came back, and they were not started: {error}"
                ),
            }
        }
    }

    /// The bricks that were without a process at the last look already, by their volume. Notes that they are asked for.
    fn due(&mut self, context: &Context) -> Vec<(Arc<Volume>, BTreeSet<BrickPath>)> {
        let (topology, now) = (context.state.read(), context.clock.now());
        let agents = context.agents.all().into_iter();
        let booted: Vec<_> =
            agents.filter_map(|agent| Some((booted_within(&agent, context.policy.boot, now)?, agent.node))).collect();
        self.0.retain(|(boot, _), _| booted.iter().any(|(of, _)| of == boot));
        let mut due: BTreeMap<VolumeId, (Arc<Volume>, BTreeSet<BrickPath>)> = BTreeMap::new();
        for (boot, node) in booted {
            let Some((report, _)) = context.agents.inventory(node).filter(|(report, _)| report.gluster.running) else {
                continue;
            };
            for seen in &report.bricks {
                let Some((volume, path)) = left_out(&topology, &report, seen) else { continue };
                let looks = self.0.entry((boot, seen.tags.brick)).or_default();
                *looks += 1;
                if (2..2 + TRIES).contains(looks) {
                    due.entry(volume.id)
                        .or_insert_with(|| (Arc::clone(volume), BTreeSet::new()))
                        .1
                        .insert(path.clone());
                }
            }
        }
        due.into_values().collect()
    }
}

/// Which start of its host an attached agent speaks of, if that was not long ago.
fn booted_within(agent: &AgentStatus, limit: Duration, now: Timestamp) -> Option<BootId> {
    let Presence::Attached { since, .. } = agent.presence else { return None };
    let seen = agent.seen.as_ref()?;
    let up = Duration::from_secs(seen.up_seconds?).saturating_add(now.duration_since(since).unsigned_abs());
    (up < limit).then_some(seen.boot)
}

/// The volume of a brick that is there and should serve, and has no process.
fn left_out<'a>(
    topology: &'a Topology,
    report: &Inventory,
    seen: &BrickSeen,
) -> Option<(&'a Arc<Volume>, &'a BrickPath)> {
    if seen.served != Some(false) || seen.mounted.is_none() || seen.condemned {
        return None;
    }
    let (volume, brick) = topology.brick(seen.tags.brick)?;
    let path = brick.path.as_ref().filter(|path| seen.path.as_ref() == Some(path))?;
    let should_serve = volume.trash.is_none() && topology.changes_of(volume.id).all(needs_its_bricks);
    (should_serve && !topology.is_lost(brick.device) && !report.is_ailing(brick.device, brick.id))
        .then_some((volume, path))
}

/// An operation sees to its volume itself, but for one that waits until all is healed, which it never is without a brick.
fn needs_its_bricks(operation: &Operation) -> bool {
    matches!(operation.plan, Plan::BrickReplace(_))
}

/// True if GlusterFS had to be told. A report may be older than what it says of the volume now.
async fn start(context: &Context, volume: &Volume, bricks: &BTreeSet<BrickPath>) -> Result<bool, StepError> {
    let asker = Asker::onlooker();
    let seen = gluster::seen(context, &asker, volume.cluster, volume.key()).await?;
    let Some(seen) = seen.filter(|seen| seen.started) else { return Ok(false) };
    let is_off =
        |path: &BrickPath| seen.bricks.iter().any(|brick| brick.address.path == *path && brick.online == Some(false));
    if !bricks.iter().any(is_off) || !context.state.read().changes_of(volume.id).all(needs_its_bricks) {
        return Ok(false);
    }
    let done = gluster::ask_as(context, &asker, volume.cluster, Wanted::BricksStarted(volume.key())).await?;
    Ok(done.changed)
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::NodeId;
    use bricklayer_proto::inventory::{AgentSeen, Versions};

    use super::*;

    const BOOT: BootId = BootId::from_u128(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Attached 100 s after the epoch, when its host had been up for so long.
    fn attached(up_seconds: Option<u64>) -> AgentStatus {
        AgentStatus {
            node: NodeId::from_u128(1),
            name: "gfs1".parse().unwrap(),
            zone: None,
            presence: Presence::Attached {
                since: at(100),
                from: "10.0.0.1:4711".parse().unwrap(),
                protocol: 1,
                clock_ahead_ms: 0,
            },
            seen: Some(AgentSeen {
                host_name: "gfs1".to_owned(),
                boot: BOOT,
                up_seconds,
                versions: Versions::default(),
            }),
            enrolled: at(0),
            certificate_expires: at(0),
        }
    }

    #[test]
    fn a_host_has_just_booted_by_what_it_says_and_what_has_passed_since() {
        let within = |agent: &AgentStatus, now| booted_within(agent, Duration::from_secs(60), at(now));
        assert_eq!(within(&attached(Some(20)), 139), Some(BOOT));
        assert_eq!(within(&attached(Some(20)), 140), None, "a minute is over");
        assert_eq!(within(&attached(Some(60)), 100), None, "its agent was started long after it");
        assert_eq!(within(&attached(None), 100), None, "older agents do not say it");
        let away = AgentStatus { presence: Presence::Detached { since: None }, ..attached(Some(0)) };
        assert_eq!(within(&away, 100), None);
    }
}
