//! A volume goes: from GlusterFS first, and only then, past the point of no return, its bricks.
//!
//! GlusterFS forgets no volume while a member of its pool is away. If one is when the deletion begins, the volume is
//! stopped and, past the point of no return, everything else is done as each host is there: the deletion is *parked*. So it is
//! where a disk is not seen by its host. Its client is answered as soon as there is no way back.

use std::sync::Arc;

use async_trait::async_trait;
use bricklayer_proto::ids::{NodeId, VolumeId};
use bricklayer_proto::task::{Done, FailureKind, Wanted};

use super::bricks::{RemoveBrick, remove_brick, unless};
use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
use super::{Rejected, gluster, lost, policy, whole};
use crate::agents::{AgentError, Presence};
use crate::model::{Brick, Node, Operation, Plan, Resource, Topology, Volume, VolumeDelete};
use crate::state::Change;

/// heketi's own database lived on a volume of this name; its clients expect that it cannot be deleted.
const DATABASE_VOLUME: &str = "heketidbstorage";

pub async fn submit(context: &Context, id: VolumeId) -> Result<Operation, Rejected> {
    greet_pool(context, id).await;
    context
        .state
        .change(|change| {
            let volume = whole(change, id)?;
            begin(context, change, volume)
        })
        .await
}

/// Whether a host is away decides how a volume goes, so those that are just coming back are waited for.
pub async fn greet_pool(context: &Context, id: VolumeId) {
    if let Some(volume) = context.state.read().volumes.get(&id) {
        context.greet(&[volume.cluster]).await;
    }
}

/// The deletion of a volume that nothing else changes, be it in the trash or not.
pub fn begin(context: &Context, change: &mut Change, volume: Volume) -> Result<Operation, Rejected> {
    may_go(change, &volume)?;
    let parked = someone_is_away(context, change, &volume) || a_disk_is_unseen(context, change, &volume);
    change.remove_volume(volume.id);
    let operation = Operation::begun(Plan::VolumeDelete(VolumeDelete { volume, parked }), context.clock.now());
    change.put_operation(operation.clone());
    Ok(operation)
}

/// What stands in the way of a deletion, now or by way of the trash.
pub fn may_go(topology: &Topology, volume: &Volume) -> Result<(), Rejected> {
    if volume.name.as_str() == DATABASE_VOLUME {
        return Err(Rejected::DatabaseVolume);
    }
    if volume.protected {
        return Err(Rejected::Protected { name: volume.name.clone() });
    }
    if topology.blocks_in(volume.id).next().is_some() || topology.blocks_changing_in(volume.id).next().is_some() {
        return Err(Rejected::HoldsBlockVolumes);
    }
    Ok(())
}

fn someone_is_away(context: &Context, topology: &Topology, volume: &Volume) -> bool {
    topology.nodes_of(volume.cluster).any(|node| !gluster::is_able(context, node.id))
}

/// Its bricks go when it is seen again, or are counted as gone when a person declares it lost.
fn a_disk_is_unseen(context: &Context, topology: &Topology, volume: &Volume) -> bool {
    let device = |brick: &Brick| topology.devices.get(&brick.device);
    let mut devices = volume.bricks.iter().filter_map(device).filter(|device| !topology.is_lost(device.id));
    devices.any(|device| lost::is_there(context, device) == Some(false))
}

pub fn stages(context: &Context, plan: &VolumeDelete) -> Vec<Stage> {
    let volume = &plan.volume;
    let stop = Stage::one(StopVolume { volume: volume.clone(), ran: volume.trash.is_none() });
    let forget = ForgetVolume { volume: volume.clone(), parked: plan.parked };
    let bricks = RemoveBrick::each(context, volume, &volume.bricks);
    let forgotten = Stage::of(SeeForgotten::each(context, volume)).without_return();
    if plan.parked {
        // Each as soon as its host is there; a stopped volume needs its bricks no more.
        let all = bricks.into_iter().chain([Box::new(forget) as Box<dyn Step>]);
        vec![stop, Stage::of(all).without_return(), forgotten]
    } else {
        vec![stop, Stage::one(forget), Stage::of(bricks).without_return(), forgotten]
    }
}

pub fn finish(change: &mut Change, volume: &Volume) -> Option<Resource> {
    change.release(&volume.bricks);
    policy::forget_volume(change, volume.id);
    None
}

pub struct StopVolume {
    pub volume: Volume,
    /// What lay in the trash was stopped before, and stays so.
    pub ran: bool,
}

#[async_trait]
impl Step for StopVolume {
    fn name(&self) -> String {
        format!("stop volume {}", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let asked = gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStopped(self.volume.key())).await;
        past_strangers(context, run, &self.volume, asked).await
    }

    /// It was refused: the volume serves again.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        if self.ran {
            gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStarted(self.volume.key())).await?;
        }
        Ok(())
    }
}

struct ForgetVolume {
    volume: Volume,
    parked: bool,
}

#[async_trait]
impl Step for ForgetVolume {
    fn name(&self) -> String {
        format!("delete volume {} from GlusterFS", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        loop {
            match gluster::forget(context, run, self.volume.cluster, &self.volume.key()).await {
                Err(error) if self.parked && waits_for_a_host(&error) => {
                    context.progress.note(run.id(), &self.name(), "waits until every host of the cluster is back");
                    // Whoever comes back brings an event; glusterd takes a moment longer than the agent.
                    context.await_agents(context.policy.look * 5, || None::<()>).await;
                }
                other => return past_strangers(context, run, &self.volume, other).await,
            }
        }
    }

    /// It may have been done though the answer was lost.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        match gluster::seen(context, &run.asker(), self.volume.cluster, self.volume.key()).await? {
            Some(_) => Ok(()),
            None => Err(StepError::DoneAfterAll(self.name())),
        }
    }
}

/// A host that loses power while GlusterFS deletes the volume may come back with it, as glusterd syncs nothing of what it
/// writes, and then gives it back to all others. So may one that heard nothing of the deletion, as the glusterd that told it to
/// the others, or its own, died. Every host of the pool keeps every volume, also those without a brick of it. Where the deletion
/// went smoothly and all have been there the whole time, nobody is asked.
struct SeeForgotten {
    name: String,
    node: NodeId,
    volume: Volume,
}

impl SeeForgotten {
    fn each(context: &Context, volume: &Volume) -> Vec<Box<dyn Step>> {
        let topology = context.state.read();
        let step = |node: &Arc<Node>| {
            let name = format!("see that {} has forgotten volume {}", node.name(), volume.name);
            Box::new(Self { name, node: node.id, volume: volume.clone() }) as Box<dyn Step>
        };
        topology.nodes_of(volume.cluster).filter(|node| !node.lost).map(step).collect()
    }

    fn nobody_was_away(&self, context: &Context, run: &Run) -> bool {
        let topology = context.state.read();
        let was_there = |node: &Arc<Node>| {
            let presence = context.agents.status(node.id).map(|status| status.presence);
            matches!(presence, Some(Presence::Attached { since, .. }) if since < run.operation.started)
        };
        topology.nodes_of(self.volume.cluster).filter(|node| !node.lost).all(was_there)
    }

    async fn forget(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let (node, cluster, key) = (self.node, self.volume.cluster, self.volume.key());
        loop {
            match gluster::forget_on(context, run, node, cluster, &key, Wait::ForEver).await {
                Ok(false) => return Ok(()),
                // What is gone already once more: removing a brick syncs what glusterd has written.
                Ok(true) => {
                    for brick in &self.volume.bricks {
                        remove_brick(context, run, brick.node, self.volume.brick_key(brick)).await?;
                    }
                }
                Err(error) if gluster::met_a_stranger(context, run, &error, &self.volume).await => return Ok(()),
                Err(error) if is_about_peers(&error) || gluster::is_about_the_host(&error) => {
                    context.progress.note(run.id(), &self.name, "waits until glusterd runs and sees its peers");
                    context.await_agents(context.policy.look * 5, || None::<()>).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[async_trait]
impl Step for SeeForgotten {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        if !run.is_in_doubt() && self.nobody_was_away(context, run) {
            return Ok(());
        }
        let is_lost = |topology: &Topology| topology.nodes.get(&self.node).is_none_or(|node| node.lost);
        unless(context, is_lost, self.forget(context, run)).await
    }

    /// It only runs past the point of no return.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// A volume of somebody else is left alone: ours, which was to be stopped or forgotten, is not there any more.
async fn past_strangers(
    context: &Context,
    run: &Run,
    volume: &Volume,
    asked: Result<Done, StepError>,
) -> Result<(), StepError> {
    match asked {
        Err(StepError::Agent(error)) if gluster::met_a_stranger(context, run, &error, volume).await => Ok(()),
        other => other.map(drop),
    }
}

fn is_about_peers(error: &AgentError) -> bool {
    matches!(error, AgentError::Failed { failure, .. } if failure.kind == FailureKind::PeersDown)
}

fn waits_for_a_host(error: &StepError) -> bool {
    match error {
        StepError::NoHost(_) | StepError::Agent(AgentError::Detached { .. }) => true,
        StepError::Agent(error) => is_about_peers(error),
        _ => false,
    }
}
