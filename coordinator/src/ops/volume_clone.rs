//! A volume is cloned: GlusterFS takes a snapshot of every brick inside its own pool and makes a volume of these.
//!
//! The clone's bricks are thin volumes that GlusterFS makes, names and mounts. Once they are there they get our tags
//! and records, so that they can be told, counted and removed like any other brick.

use async_trait::async_trait;
use bricklayer_proto::ids::{BrickId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::VolumeName;
use bricklayer_proto::task::{CloneBrickSpec, CloneSpec, Report, VolumeReport, Wanted};

use super::bricks::{SyncBrick, host_name, unless_lost};
use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
use super::volume_create::{self, StartVolume};
use super::{Rejected, gluster, policy, pools, whole};
use crate::model::{Brick, FIRST_GENERATION, LvNames, Operation, Plan, Resource, Volume, VolumeClone};
use crate::state::Change;

pub async fn submit(context: &Context, id: VolumeId, name: Option<VolumeName>) -> Result<Operation, Rejected> {
    if let Some(volume) = context.state.read().volumes.get(&id) {
        context.greet(&[volume.cluster]).await;
    }
    context
        .state
        .change(|change| {
            let source = whole(change, id)?;
            // The clone's bricks would come to a device that is being emptied.
            let emptied = |operation: &Operation| match &operation.plan {
                Plan::DeviceRemove(remove) => source.bricks.iter().any(|brick| remove.devices.contains(&brick.device)),
                _ => false,
            };
            if change.unfinished.values().any(|operation| emptied(operation)) {
                return Err(Rejected::Busy);
            }
            if source.block {
                return Err(Rejected::CloneOfBlockVolume);
            }
            let thick = source.bricks.iter().filter(|brick| brick.is_thick()).count();
            if thick > 0 {
                let (name, bricks) = (source.name.clone(), source.bricks.len());
                return Err(Rejected::CloneOfThickVolume { name, thick, bricks });
            }
            pools::take_snapshots(context, change, &source)?;
            let clone = VolumeId::random();
            let name = match name {
                Some(name) => name,
                None => format!("vol_{clone}").parse()?,
            };
            volume_create::eligible(context, change, &[source.cluster], &name, source.block)?;
            let bricks = source.bricks.iter().map(in_the_same_pool).collect();
            let volume = Volume { id: clone, name, bricks, ..source.clone() };
            let operation = Operation::begun(Plan::VolumeClone(VolumeClone { source, volume }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

/// It takes no extents of its own: the pool is counted with the brick that it was made for.
fn in_the_same_pool(origin: &Brick) -> Brick {
    Brick {
        id: BrickId::random(),
        space: origin.space.in_another_pool(),
        path: None,
        pool: Some(origin.pool_of()),
        names: LvNames { volume: None, pool: origin.names.pool.clone() },
        adopted: false,
        generation: FIRST_GENERATION,
        ..origin.clone()
    }
}

pub fn stages(context: &Context, operation: OperationId, plan: &VolumeClone) -> Vec<Stage> {
    let VolumeClone { source, volume } = plan;
    let topology = context.state.read();
    let count = volume.bricks.len();
    let bricks = volume.bricks.iter().enumerate().map(|(at, brick)| {
        Box::new(TakeBrick {
            name: format!("mark brick {} of {count} on {}", at + 1, host_name(&topology, brick)),
            node: brick.node,
            volume: volume.clone(),
            brick: brick.clone(),
            operation,
        }) as Box<dyn Step>
    });
    vec![
        Stage::one(CloneVolume { source: source.clone(), volume: volume.clone() }),
        Stage::of(bricks).without_return(),
        Stage::one(StartVolume { volume: volume.clone() }).without_return(),
        Stage::of(SyncBrick::each(context, volume, &volume.bricks)).without_return(),
    ]
}

pub fn finish(change: &mut Change, run: &Run, plan: &VolumeClone) -> Result<Option<Resource>, StepError> {
    policy::say_of_clone(change, plan.source.id, plan.volume.id);
    volume_create::finish(change, run, &plan.volume)
}

struct CloneVolume {
    source: Volume,
    volume: Volume,
}

impl CloneVolume {
    /// GlusterFS keeps the order of the bricks, so each is known by its place.
    fn learn(&self, run: &Run, seen: &VolumeReport) -> Result<(), StepError> {
        if seen.bricks.len() != self.volume.bricks.len() {
            let (is, should) = (seen.bricks.len(), self.volume.bricks.len());
            return Err(StepError::Refused(format!("the clone has {is} bricks and its source {should}")));
        }
        for (brick, seen) in self.volume.bricks.iter().zip(&seen.bricks) {
            run.learn_brick_path(brick.id, seen.address.path.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl Step for CloneVolume {
    fn name(&self) -> String {
        format!("clone volume {} as {} in GlusterFS", self.source.name, self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let spec = CloneSpec {
            source: self.source.key(),
            clone: self.volume.key(),
            options: volume_create::options_of(&self.volume)?,
        };
        let done = gluster::ask(context, run, self.volume.cluster, Wanted::VolumeCloned(spec)).await?;
        match done.report {
            Report::Volume { seen: Some(seen) } => self.learn(run, &seen),
            _ => Err(StepError::Missing("the bricks of the clone".to_owned())),
        }
    }

    /// The thin volumes of a clone cannot be told from others before they have our tags, so once it is there it is
    /// finished; it can be deleted then.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let seen = gluster::seen(context, &run.asker(), self.volume.cluster, self.volume.key()).await?;
        if seen.is_some() {
            return Err(StepError::DoneAfterAll(self.name()));
        }
        // The snapshot that the clone was to be made from may be left.
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeGone(self.volume.key().into())).await?;
        Ok(())
    }
}

struct TakeBrick {
    name: String,
    node: NodeId,
    volume: Volume,
    brick: Brick,
    operation: OperationId,
}

#[async_trait]
impl Step for TakeBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let spec = CloneBrickSpec {
            device: self.brick.device,
            tags: self.volume.brick_tags(&self.brick, self.operation),
            path: run.brick_path(self.brick.id)?,
            record: self.volume.record(context.installation),
        };
        let take = async {
            let done = context.ask(run, self.node, Wanted::CloneBrick(spec), Wait::ForEver).await?;
            if let Report::Brick(report) = done.report {
                run.learn_space(self.brick.device, report.space);
            }
            Ok(())
        };
        unless_lost(context, self.brick.device, take).await
    }

    /// It only runs past the point of no return, so there is nothing to take back.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
