//! A brick without copies is emptied: its files move to the other bricks, and then it leaves the volume.

use async_trait::async_trait;
use bricklayer_proto::task::{BrickDrain, RebalanceReport, RebalanceState, Wanted};

use crate::model::BrickReplace;
use crate::ops::context::{Context, Run};
use crate::ops::gluster;
use crate::ops::step::{Step, StepError};

/// The only copy of its files can be read, as it is about to be moved.
pub struct CheckServing {
    pub plan: BrickReplace,
}

#[async_trait]
impl Step for CheckServing {
    fn name(&self) -> String {
        "see that the brick serves".to_owned()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let plan = &self.plan;
        let old = plan.old_address(context)?;
        let seen = gluster::seen(context, &run.asker(), plan.volume.cluster, plan.volume.key()).await?;
        let seen = seen.ok_or_else(|| StepError::Refused(format!("GlusterFS has no volume {}", plan.volume.name)))?;
        match seen.bricks.iter().find(|brick| brick.address == old) {
            // Drained already, before a restart.
            None => Ok(()),
            Some(brick) if brick.online == Some(true) => Ok(()),
            Some(_) => Err(StepError::Refused(format!(
                "Cannot replace brick {}: volume {} keeps one copy of each file, and the brick that has these does not \
                 serve",
                plan.old.id, plan.volume.name
            ))),
        }
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// All files leave the old brick, and then it leaves the volume.
pub struct Drain {
    pub plan: BrickReplace,
}

impl Drain {
    /// Where the files go, or where they are, is lost for ever: nothing ends the movement any more.
    fn is_in_vain(&self, context: &Context) -> bool {
        let topology = context.state.read();
        topology.is_lost(self.plan.new.device) || topology.is_lost(self.plan.old.device)
    }

    /// The volume goes on with both bricks, as what did not move is on the old one.
    async fn keep_both(&self, context: &Context, run: &Run, drain: BrickDrain) -> Result<(), StepError> {
        gluster::ask(context, run, self.plan.volume.cluster, Wanted::DrainStopped(drain)).await?;
        tracing::error!(
            volume.name = %self.plan.volume.name,
            "A disk was declared lost while files were moved off it or onto it; the movement ends, and both bricks stay."
        );
        run.learn_kept(self.plan.old.id);
        Ok(())
    }
}

#[async_trait]
impl Step for Drain {
    fn name(&self) -> String {
        format!("move the files of volume {} off the brick", self.plan.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let volume = &self.plan.volume;
        let drain = BrickDrain { volume: volume.key(), brick: self.plan.old_address(context)? };
        let seen = gluster::seen(context, &run.asker(), volume.cluster, volume.key()).await?;
        if seen.is_some_and(|seen| !seen.bricks.iter().any(|brick| brick.address == drain.brick)) {
            return Ok(());
        }
        if self.is_in_vain(context) {
            return self.keep_both(context, run, drain).await;
        }
        gluster::ask(context, run, volume.cluster, Wanted::DrainStarted(drain.clone())).await?;
        loop {
            if self.is_in_vain(context) {
                return self.keep_both(context, run, drain).await;
            }
            let look = Wanted::DrainSeen(drain.clone());
            let report = gluster::movement(context, &run.asker(), volume.cluster, look).await?;
            context.progress.note(run.id(), &self.name(), in_words(&report));
            match report.state {
                RebalanceState::Completed if report.left_behind() == 0 => break,
                RebalanceState::Running | RebalanceState::NotStarted => {
                    tokio::time::sleep(context.policy.look).await;
                }
                RebalanceState::Completed | RebalanceState::Failed | RebalanceState::Stopped => {
                    // Stopped first, so that the next try starts anew.
                    gluster::ask(context, run, volume.cluster, Wanted::DrainStopped(drain)).await?;
                    return Err(StepError::Refused(format!(
                        "moving files off the brick ended early: {}",
                        in_words(&report)
                    )));
                }
            }
        }
        gluster::ask(context, run, volume.cluster, Wanted::DrainCommitted(drain)).await?;
        Ok(())
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

fn in_words(report: &RebalanceReport) -> String {
    let sum = |of: fn(&bricklayer_proto::task::RebalanceNode) -> u64| report.nodes.iter().map(of).sum::<u64>();
    format!(
        "{} files moved, {} looked at, {} failures, {} skipped",
        sum(|n| n.files),
        sum(|n| n.scanned),
        sum(|n| n.failures),
        sum(|n| n.skipped)
    )
}
