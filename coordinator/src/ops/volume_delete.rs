//! A volume goes: from GlusterFS first, and only then, past the point of no return, its bricks.

use async_trait::async_trait;
use bricklayer_proto::ids::{NodeId, VolumeId};
use bricklayer_proto::task::{BrickKey, Wanted};

use super::context::{Context, Run};
use super::step::{Stage, Step, StepError};
use super::{Rejected, gluster, volume_create};
use crate::model::{Operation, Plan, Resource, Volume, VolumeDelete};
use crate::state::Change;

/// heketi's own database lived on a volume of this name; its clients expect that it cannot be deleted.
const DATABASE_VOLUME: &str = "heketidbstorage";

pub async fn submit(context: &Context, id: VolumeId) -> Result<Operation, Rejected> {
    // After a start of the coordinator its agents are there within seconds; who is away longer is refused below.
    if let Some(volume) = context.state.read().volumes.get(&id) {
        let all_there = || volume.bricks.iter().all(|brick| context.agents.is_attached(brick.node)).then_some(());
        context.await_agents(context.policy.greeting, all_there).await;
    }
    context
        .state
        .change(|change| {
            let Some(volume) = change.volumes.get(&id) else {
                let changing = change.unfinished.values().filter_map(|operation| operation.plan.volume());
                let known = changing.into_iter().any(|volume| volume.id == id);
                return Err(if known { Rejected::Busy } else { Rejected::NotFound });
            };
            let volume = Volume::clone(volume);
            if volume.name.as_str() == DATABASE_VOLUME {
                return Err(Rejected::DatabaseVolume);
            }
            // glusterd refuses to delete while a peer is down, but stops the volume first: so this is asked before.
            if let Some(brick) = volume.bricks.iter().find(|brick| !context.agents.is_attached(brick.node)) {
                let node = volume_create::host_name(change, brick);
                return Err(Rejected::VolumeNodeAway { name: volume.name, node });
            }
            change.remove_volume(id);
            let operation = Operation::begun(Plan::VolumeDelete(VolumeDelete { volume }));
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(context: &Context, volume: &Volume) -> Vec<Stage> {
    let topology = context.state.read();
    let count = volume.bricks.len();
    let bricks = volume.bricks.iter().enumerate().map(|(at, brick)| {
        let host = volume_create::host_name(&topology, brick);
        Box::new(RemoveBrick {
            name: format!("remove brick {} of {count} on {host}", at + 1),
            node: brick.node,
            key: volume.brick_key(brick),
        }) as Box<dyn Step>
    });
    vec![
        Stage::one(StopVolume { volume: volume.clone() }),
        Stage::one(ForgetVolume { volume: volume.clone() }),
        Stage::of(bricks).without_return(),
    ]
}

pub fn finish(change: &mut Change, volume: &Volume) -> Option<Resource> {
    change.release(&volume.bricks);
    None
}

struct StopVolume {
    volume: Volume,
}

#[async_trait]
impl Step for StopVolume {
    fn name(&self) -> String {
        format!("stop volume {}", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStopped(self.volume.key())).await?;
        Ok(())
    }

    /// The deletion was refused: the volume serves again.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStarted(self.volume.key())).await?;
        Ok(())
    }
}

struct ForgetVolume {
    volume: Volume,
}

#[async_trait]
impl Step for ForgetVolume {
    fn name(&self) -> String {
        format!("delete volume {} from GlusterFS", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeGone(self.volume.key())).await?;
        Ok(())
    }

    /// It failed, so the volume is still there.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

struct RemoveBrick {
    name: String,
    node: NodeId,
    key: BrickKey,
}

#[async_trait]
impl Step for RemoveBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        volume_create::remove_brick(context, run, self.node, self.key).await
    }

    /// Never called: this stage is past the point of no return.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
