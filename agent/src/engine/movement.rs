//! Data moves between the bricks of a volume: it is rebalanced over all of them, or drained off one that is to go.
//!
//! A brick is taken out of its volume only when glusterd says that all was moved off it, nothing failed and nothing was
//! skipped.

use bricklayer_proto::task::{BrickDrain, Done, Failure, RebalanceReport, RebalanceState, Report, VolumeKey};

use super::{Engine, OnProgress, done, failure, not_so};
use crate::host::Drain;
use crate::plan::{refused, refused_with_cure};

impl Engine {
    pub(super) async fn rebalance_started(&self, key: &VolumeKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        self.ours(key).await?;
        if self.rebalance(key).await?.state == RebalanceState::Running {
            return Ok(done(false, Report::Nothing));
        }
        progress("gluster volume rebalance");
        let Err(error) = self.host.gluster_rebalance_start(&key.name).await else {
            return Ok(done(true, Report::Nothing));
        };
        match self.rebalance(key).await?.state {
            RebalanceState::Running => Ok(done(true, Report::Nothing)),
            // A completed one may be of last year.
            _ => Err(failure(&error)),
        }
    }

    pub(super) async fn rebalance_seen(&self, key: &VolumeKey) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        self.ours(key).await?;
        Ok(done(false, Report::Rebalance(self.rebalance(key).await?)))
    }

    pub(super) async fn drain_started(&self, drain: &BrickDrain, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        if !self.has(drain).await? {
            return Ok(done(false, Report::Nothing));
        }
        match self.drain(drain).await?.state {
            RebalanceState::Running | RebalanceState::Completed => return Ok(done(false, Report::Nothing)),
            RebalanceState::NotStarted => {}
            // glusterd starts no other one before that is dismissed.
            RebalanceState::Failed | RebalanceState::Stopped => self.stop_drain(drain, progress).await?,
        }
        progress("gluster volume remove-brick start");
        let started = self.host.gluster_drain(&drain.volume.name, &drain.brick, Drain::Start).await;
        match self.drain(drain).await?.state {
            RebalanceState::NotStarted | RebalanceState::Stopped => {
                started.map_err(|error| failure(&error))?;
                Err(not_so(format!("data was to be moved off {}, and is not", drain.brick)))
            }
            RebalanceState::Running | RebalanceState::Completed | RebalanceState::Failed => {
                Ok(done(true, Report::Nothing))
            }
        }
    }

    pub(super) async fn drain_seen(&self, drain: &BrickDrain) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        self.must_have(drain).await?;
        Ok(done(false, Report::Rebalance(self.drain(drain).await?)))
    }

    pub(super) async fn drain_stopped(&self, drain: &BrickDrain, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        self.must_have(drain).await?;
        if self.drain(drain).await?.state == RebalanceState::NotStarted {
            return Ok(done(false, Report::Nothing));
        }
        self.stop_drain(drain, progress).await?;
        Ok(done(true, Report::Nothing))
    }

    pub(super) async fn drain_committed(&self, drain: &BrickDrain, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        if !self.has(drain).await? {
            return Ok(done(false, Report::Nothing));
        }
        let report = self.drain(drain).await?;
        all_was_moved(drain, &report)?;
        progress("gluster volume remove-brick commit");
        let committed = self.host.gluster_drain(&drain.volume.name, &drain.brick, Drain::Commit).await;
        if self.has(drain).await? {
            committed.map_err(|error| failure(&error))?;
            return Err(not_so(format!("{} was taken out of its volume and is still in it", drain.brick)));
        }
        Ok(done(true, Report::Nothing))
    }

    async fn stop_drain(&self, drain: &BrickDrain, progress: OnProgress<'_>) -> Result<(), Failure> {
        progress("gluster volume remove-brick stop");
        let stopped = self.host.gluster_drain(&drain.volume.name, &drain.brick, Drain::Stop).await;
        match self.drain(drain).await?.state {
            RebalanceState::NotStarted | RebalanceState::Stopped => Ok(()),
            RebalanceState::Running | RebalanceState::Completed | RebalanceState::Failed => {
                stopped.map_err(|error| failure(&error))?;
                Err(not_so(format!("the moving of data off {} was stopped and goes on", drain.brick)))
            }
        }
    }

    async fn has(&self, drain: &BrickDrain) -> Result<bool, Failure> {
        Ok(self.ours(&drain.volume).await?.bricks.contains(&drain.brick))
    }

    async fn must_have(&self, drain: &BrickDrain) -> Result<(), Failure> {
        if self.has(drain).await? {
            return Ok(());
        }
        Err(refused(format!("volume {} has no brick {}", drain.volume.name, drain.brick)))
    }

    async fn rebalance(&self, key: &VolumeKey) -> Result<RebalanceReport, Failure> {
        self.host.gluster_rebalance(&key.name).await.map_err(|error| failure(&error))
    }

    async fn drain(&self, drain: &BrickDrain) -> Result<RebalanceReport, Failure> {
        let report = self.host.gluster_drain_status(&drain.volume.name, &drain.brick).await;
        report.map_err(|error| failure(&error))
    }
}

/// Whether the brick may be taken out without loss.
fn all_was_moved(drain: &BrickDrain, report: &RebalanceReport) -> Result<(), Failure> {
    let brick = &drain.brick;
    let left = report.left_behind();
    let again =
        || format!("Read the rebalance log of volume {} on {}, and drain it again", drain.volume.name, brick.host);
    match report.state {
        RebalanceState::Completed if left == 0 => Ok(()),
        RebalanceState::Completed => {
            Err(refused_with_cure(format!("{left} files were not moved off {brick}, so it stays"), again()))
        }
        RebalanceState::Running => Err(refused(format!("data is still being moved off {brick}"))),
        RebalanceState::NotStarted => Err(refused(format!("no data was moved off {brick} yet, so it stays"))),
        RebalanceState::Failed | RebalanceState::Stopped => {
            Err(refused_with_cure(format!("the moving of data off {brick} did not come to its end"), again()))
        }
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::names::VolumeName;
    use bricklayer_proto::task::{BrickAddress, RebalanceNode};

    use super::*;

    fn completed(failures: u64, skipped: u64) -> RebalanceReport {
        let node = RebalanceNode {
            host: "gfs1".to_owned(),
            state: RebalanceState::Completed,
            files: 10,
            moved: bricklayer_proto::size::ByteSize::ZERO,
            scanned: 10,
            failures,
            skipped,
            seconds: 1,
        };
        RebalanceReport { state: RebalanceState::Completed, nodes: vec![node] }
    }

    #[test]
    fn a_file_that_was_skipped_keeps_the_brick_as_one_that_failed_does() {
        let name: VolumeName = "v".parse().unwrap();
        let path = "/bricks/a/brick".to_owned().try_into().unwrap();
        let drain = BrickDrain {
            volume: VolumeKey { volume: bricklayer_proto::ids::VolumeId::from_u128(1), name },
            brick: BrickAddress { host: "gfs1".parse().unwrap(), path },
        };
        assert!(all_was_moved(&drain, &completed(0, 0)).is_ok());
        for left in [completed(1, 0), completed(0, 1)] {
            let refused = all_was_moved(&drain, &left).unwrap_err();
            assert!(refused.message.starts_with("1 files were not moved off gfs1:/bricks/a/brick"), "{refused:?}");
        }
    }
}
