//! The steps that make, grow, sync and remove single bricks on their hosts.

use async_trait::async_trait;
use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId};
use bricklayer_proto::names::{BrickPath, LvName};
use bricklayer_proto::task::{BrickKey, BrickSpec, FailureKind, Report, VolumeKey, Wanted};
use tokio::time::Instant;

use super::context::{Context, Run, Wait};
use super::gluster;
use super::step::{Step, StepError};
use crate::agents::AgentError;
use crate::model::{Brick, Topology, Volume};

/// The name that people use for a brick's node.
pub fn host_name(topology: &Topology, brick: &Brick) -> String {
    topology.nodes.get(&brick.node).map_or_else(|| brick.node.to_string(), |node| node.name().to_owned())
}

/// A step for each brick, named for people: `make brick 1 of 3 on gfs1`.
fn each(
    context: &Context,
    verb: &str,
    bricks: &[Brick],
    step: impl Fn(String, &Brick) -> Box<dyn Step>,
) -> Vec<Box<dyn Step>> {
    let topology = context.state.read();
    let count = bricks.len();
    let name = |at: usize, brick: &Brick| match count {
        1 => format!("{verb} the brick on {}", host_name(&topology, brick)),
        _ => format!("{verb} brick {} of {count} on {}", at + 1, host_name(&topology, brick)),
    };
    bricks.iter().enumerate().map(|(at, brick)| step(name(at, brick), brick)).collect()
}

pub struct MakeBrick {
    name: String,
    node: NodeId,
    cluster: ClusterId,
    volume: VolumeKey,
    spec: BrickSpec,
    key: BrickKey,
}

impl MakeBrick {
    /// One step for each of these bricks of the volume.
    pub fn each(context: &Context, operation: OperationId, volume: &Volume, bricks: &[Brick]) -> Vec<Box<dyn Step>> {
        each(context, "make", bricks, |name, brick| {
            let spec = volume.brick_spec(brick, context.installation, operation);
            let (key, volume_key) = (volume.brick_key(brick), volume.key());
            Box::new(Self { name, node: brick.node, cluster: volume.cluster, volume: volume_key, spec, key })
        })
    }

    /// Where GlusterFS says that it is; `None` where it has no such brick.
    async fn path_in_gluster(&self, context: &Context, run: &Run) -> Option<BrickPath> {
        let seen = gluster::seen(context, &run.asker(), self.cluster, self.volume.clone()).await.ok()??;
        let name = LvName::of_brick(self.key.brick);
        let is_it = |path: &BrickPath| path.as_path().components().any(|part| part.as_str() == name.as_str());
        seen.bricks.into_iter().map(|brick| brick.address.path).find(is_it)
    }
}

#[async_trait]
impl Step for MakeBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let done = match context.ask(run, self.node, Wanted::Brick(self.spec.clone()), Wait::WhileAway).await {
            Ok(done) => done,
            // It was made before, and then its host or its disk was lost for ever. The others go on without it.
            Err(error) if context.state.read().is_lost(self.key.device) => {
                let path = self.path_in_gluster(context, run).await.ok_or(error)?;
                run.learn_brick_path(self.key.brick, path);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match done.report {
            Report::Brick(report) => {
                run.learn_brick_path(self.key.brick, report.path);
                run.learn_space(self.key.device, report.space);
                Ok(())
            }
            _ => Err(StepError::Missing(format!("the agent's report of brick {}", self.key.brick))),
        }
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        remove_brick(context, run, self.node, self.key).await
    }
}

/// Two keys: the mark is on the disk before anything goes. A brick whose host or disk a person declared lost counts as
/// gone, also if that is said while its host is being waited for.
pub async fn remove_brick(context: &Context, run: &Run, node: NodeId, key: BrickKey) -> Result<(), StepError> {
    let remove = async {
        context.ask(run, node, Wanted::BrickCondemned(key), Wait::ForEver).await?;
        let done = context.ask(run, node, Wanted::BrickGone(key), Wait::ForEver).await?;
        if let Report::Group { space } = done.report {
            run.learn_space(key.device, space);
        }
        Ok(())
    };
    unless_lost(context, key.device, remove).await
}

/// Waits for the work on a host, unless a person declares that the host or the disk is lost: then there is nothing to do
/// there any more.
pub async fn unless_lost(
    context: &Context,
    device: DeviceId,
    work: impl Future<Output = Result<(), StepError>>,
) -> Result<(), StepError> {
    unless(context, |topology| topology.is_lost(device), work).await
}

/// The same by another word for what is lost.
pub async fn unless(
    context: &Context,
    is_lost: impl Fn(&Topology) -> bool,
    work: impl Future<Output = Result<(), StepError>>,
) -> Result<(), StepError> {
    tokio::select! {
        biased;
        () = context.state.until(|topology| is_lost(topology).then_some(())) => {
            tracing::warn!("Nothing is done on a host or a disk that was declared lost.");
            Ok(())
        }
        result = work => result,
    }
}

/// Sees that a new brick stays the volume's, whatever happens to its host from now on.
pub struct SyncBrick {
    name: String,
    node: NodeId,
    key: BrickKey,
    cluster: ClusterId,
    volume: VolumeKey,
}

impl SyncBrick {
    pub fn each(context: &Context, volume: &Volume, bricks: &[Brick]) -> Vec<Box<dyn Step>> {
        each(context, "sync", bricks, |name, brick| {
            let (key, cluster) = (volume.brick_key(brick), volume.cluster);
            Box::new(Self { name, node: brick.node, key, cluster, volume: volume.key() })
        })
    }

    /// A host that lost power meanwhile hears of the volume as its glusterd meets the others, within seconds.
    async fn sync(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wanted = Wanted::BrickSynced(self.key);
        let deadline = Instant::now() + context.policy.absence;
        let done = loop {
            match context.ask(run, self.node, wanted.clone(), Wait::WhileAway).await {
                Err(AgentError::Failed { failure, .. })
                    if failure.kind == FailureKind::Unavailable && Instant::now() < deadline =>
                {
                    context.pause(context.policy.retry).await;
                }
                other => break other?,
            }
        };
        if done.changed || run.is_in_doubt() { self.see_it_run(context, run).await } else { Ok(()) }
    }

    /// The mark came back after GlusterFS had tried to start the brick, or may have, before a restart of this coordinator.
    async fn see_it_run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let path = run.brick_path(self.key.brick)?;
        let deadline = Instant::now() + context.policy.absence;
        loop {
            let seen = gluster::seen(context, &run.asker(), self.cluster, self.volume.clone()).await?;
            let Some(seen) = seen.filter(|seen| seen.started) else { return Ok(()) };
            match seen.bricks.iter().find(|brick| brick.address.path == path).map(|brick| brick.online) {
                // Not in the volume any more, or not yet: other steps see to that.
                None | Some(Some(true)) => return Ok(()),
                Some(Some(false)) => {
                    let start = Wanted::BricksStarted(self.volume.clone());
                    gluster::ask(context, run, self.cluster, start).await?;
                }
                // Its glusterd is not connected with the one that was asked.
                Some(None) => {}
            }
            if Instant::now() >= deadline {
                let (brick, volume) = (self.key.brick, &self.volume.name);
                return Err(StepError::Refused(format!("GlusterFS does not start brick {brick} of volume {volume}")));
            }
            context.pause(context.policy.retry).await;
        }
    }
}

#[async_trait]
impl Step for SyncBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        unless_lost(context, self.key.device, self.sync(context, run)).await
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

pub struct RemoveBrick {
    name: String,
    node: NodeId,
    key: BrickKey,
}

impl RemoveBrick {
    pub fn each(context: &Context, volume: &Volume, bricks: &[Brick]) -> Vec<Box<dyn Step>> {
        each(context, "remove", bricks, |name, brick| {
            Box::new(Self { name, node: brick.node, key: volume.brick_key(brick) })
        })
    }
}

#[async_trait]
impl Step for RemoveBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        if run.is_kept(self.key.brick) {
            context.progress.note(
                run.id(),
                &self.name,
                "it stays on its disk, as it may have the last copy of its data",
            );
            return Ok(());
        }
        remove_brick(context, run, self.node, self.key).await
    }

    /// It only runs past the point of no return, so there is nothing to take back.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// Whether the growth that is about to begin can succeed, asked before the first brick grows: a brick never shrinks.
pub struct CheckGrowth {
    name: String,
    node: NodeId,
    spec: BrickSpec,
}

impl CheckGrowth {
    pub fn each(context: &Context, operation: OperationId, volume: &Volume, bricks: &[Brick]) -> Vec<Box<dyn Step>> {
        each(context, "look at", bricks, |name, brick| {
            let spec = volume.brick_spec(brick, context.installation, operation);
            Box::new(Self { name, node: brick.node, spec })
        })
    }
}

#[async_trait]
impl Step for CheckGrowth {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let look = async {
            context.ask(run, self.node, Wanted::BrickCanGrow(self.spec.clone()), Wait::WhileAway).await?;
            Ok(())
        };
        // The others have grown by now; what is lost keeps them from nothing.
        if run.was_committed() { unless_lost(context, self.spec.device, look).await } else { look.await }
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// Makes the brick as large as its record says, and lets the record beside it say what its volume is now.
pub struct GrowBrick {
    name: String,
    node: NodeId,
    spec: BrickSpec,
    /// It keeps its size, and its host need not be there.
    only_record: bool,
}

impl GrowBrick {
    pub fn each(context: &Context, operation: OperationId, volume: &Volume, bricks: &[Brick]) -> Vec<Box<dyn Step>> {
        Self::named("grow", false, context, operation, volume, bricks)
    }

    /// The same for bricks that keep their size.
    pub fn each_record(
        context: &Context,
        operation: OperationId,
        volume: &Volume,
        bricks: &[Brick],
    ) -> Vec<Box<dyn Step>> {
        Self::named("write the record of", true, context, operation, volume, bricks)
    }

    fn named(
        verb: &str,
        only_record: bool,
        context: &Context,
        operation: OperationId,
        volume: &Volume,
        bricks: &[Brick],
    ) -> Vec<Box<dyn Step>> {
        each(context, verb, bricks, |name, brick| {
            let spec = volume.brick_spec(brick, context.installation, operation);
            Box::new(Self { name, node: brick.node, spec, only_record })
        })
    }
}

#[async_trait]
impl Step for GrowBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wait = if self.only_record { Wait::WhileAway } else { Wait::ForEver };
        let grow = async {
            let done = context.ask(run, self.node, Wanted::BrickGrown(self.spec.clone()), wait).await?;
            if let Report::Brick(report) = done.report {
                run.learn_space(self.spec.device, report.space);
            }
            Ok(())
        };
        match unless_lost(context, self.spec.device, grow).await {
            // The bricks that were reached have the new record.
            Err(error) if self.only_record => {
                tracing::warn!(brick.id = %self.spec.tags.brick, error = %error, "The record of a brick is out of date.");
                context.progress.note(run.id(), &self.name, format!("not written: {error}"));
                Ok(())
            }
            result => result,
        }
    }

    /// It only runs past the point of no return, so there is nothing to take back.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
