//! The steps: each mark on its host, one way and the other.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption, VolumeAdoption};
use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId};
use bricklayer_proto::size::Extents;
use bricklayer_proto::task::{BrickAddress, FailureKind, Report, Wanted};

use super::super::bricks::unless_lost;
use super::super::context::{Context, Run, Wait};
use super::super::gluster::is_about_the_host;
use super::super::step::{Step, StepError};
use super::devices_of;
use crate::adopt::is_where_glusterd_mounts;
use crate::agents::AgentError;
use crate::model::{Brick, Device, Node, Volume};

/// Those of groups, of bricks and of volumes. `take`: forward is to adopt; otherwise it is to give back.
pub fn all_steps(
    context: &Context,
    operation: OperationId,
    nodes: &[Node],
    devices: &[Device],
    volumes: &[Volume],
    take: bool,
) -> [Vec<Box<dyn Step>>; 3] {
    let topology = context.state.read();
    let known =
        |id: NodeId| nodes.iter().find(|node| node.id == id).or_else(|| topology.nodes.get(&id).map(|node| &**node));
    let name = |id: NodeId| known(id).map_or_else(|| id.to_string(), |node| node.name().to_owned());
    let verb = if take { "adopt" } else { "give back" };
    let groups = devices.iter().map(|device| {
        let spec = GroupAdoption {
            device: device.id,
            installation: context.installation,
            node: device.node,
            group: device.group(),
            pv_uuid: device.pv_uuid.clone(),
        };
        let name = format!("{verb} volume group {} on {}", spec.group, name(device.node));
        Box::new(Mark {
            name,
            nodes: vec![device.node],
            device: Some(device.id),
            cluster: None,
            take,
            adopted: Wanted::GroupAdopted(spec.clone()),
            released: Wanted::GroupReleased(spec),
        }) as Box<dyn Step>
    });
    let by_id: BTreeMap<DeviceId, Device> =
        devices_of(&topology, devices, volumes).into_iter().map(|device| (device.id, device)).collect();
    let bricks = volumes.iter().flat_map(|volume| volume.bricks.iter().map(move |brick| (volume, brick)));
    let bricks = bricks.filter_map(|(volume, brick)| {
        let spec = BrickAdoption {
            spec: volume.brick_spec(brick, context.installation, operation),
            group: by_id.get(&brick.device)?.group(),
            volume: brick.volume_lv(),
            pool: brick.pool_lv(),
            owns_pool: !brick.is_thick() && brick.space.pool > Extents::ZERO,
            path: brick.path.clone()?,
            mounted_by_glusterd: brick.path.as_ref().is_some_and(is_where_glusterd_mounts),
        };
        let place =
            format!("{} of {}", brick.set * volume.layout.bricks_per_set() + brick.position + 1, volume.bricks.len());
        let name = format!("{verb} brick {place} of volume {} on {}", volume.name, name(brick.node));
        Some(Box::new(Mark {
            name,
            nodes: vec![brick.node],
            device: Some(brick.device),
            cluster: None,
            take,
            adopted: Wanted::BrickAdopted(spec.clone()),
            released: Wanted::BrickReleased(spec),
        }) as Box<dyn Step>)
    });
    let of_volumes = volumes.iter().filter_map(|volume| {
        let address = |brick: &Brick| {
            let host = known(brick.node)?.storage_host()?.clone();
            Some(BrickAddress { host, path: brick.path.clone()? })
        };
        let spec = VolumeAdoption {
            key: volume.key(),
            bricks: volume.bricks.iter().map(address).collect::<Option<Vec<_>>>()?,
        };
        let nodes: BTreeSet<NodeId> = volume.bricks.iter().map(|brick| brick.node).collect();
        Some(Box::new(Mark {
            name: format!("{verb} volume {}", volume.name),
            nodes: nodes.into_iter().collect(),
            device: None,
            cluster: Some(volume.cluster),
            take,
            adopted: Wanted::VolumeAdopted(spec.clone()),
            released: Wanted::VolumeReleased(spec),
        }) as Box<dyn Step>)
    });
    [groups.collect(), bricks.collect(), of_volumes.collect()]
}

/// The marks of a group, a brick or a volume, there or gone.
struct Mark {
    name: String,
    /// Who can see to it, any of them. Asked by their ids: they are no nodes of ours before the operation has ended.
    nodes: Vec<NodeId>,
    device: Option<DeviceId>,
    /// glusterd of this cluster is asked, in turn with other changes of it.
    cluster: Option<ClusterId>,
    /// Forward is to adopt; otherwise it is to give back.
    take: bool,
    adopted: Wanted,
    released: Wanted,
}

impl Mark {
    async fn bring_about(&self, context: &Context, run: &Run, adopted: bool, wait: Wait) -> Result<(), StepError> {
        match self.device {
            // A device that is new to us cannot have been declared lost.
            Some(device) if context.state.read().devices.contains_key(&device) => {
                let work = async { Ok(self.ask(context, run, adopted, wait).await?) };
                unless_lost(context, device, work).await
            }
            _ => Ok(self.ask(context, run, adopted, wait).await?),
        }
    }

    async fn ask(&self, context: &Context, run: &Run, adopted: bool, wait: Wait) -> Result<(), AgentError> {
        let _turn = match self.cluster {
            Some(cluster) => Some(context.gluster_turn(cluster, None).await),
            None => None,
        };
        let wanted = if adopted { &self.adopted } else { &self.released };
        let (last, others) = self.nodes.split_last().expect("somebody can see to it");
        for node in others {
            match context.ask(run, *node, wanted.clone(), Wait::NotAtAll).await {
                Err(error) if is_about_the_host(&error) => {}
                answer => return answer.map(|_| ()),
            }
        }
        // Whoever is the last to be asked is waited for.
        let done = context.ask(run, *last, wanted.clone(), wait).await?;
        if let Some(device) = self.device {
            match done.report {
                Report::Brick(report) => run.learn_space(device, report.space),
                Report::Group { space } => run.learn_space(device, space),
                _ => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Step for Mark {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.bring_about(context, run, self.take, Wait::WhileAway).await
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        // Of several, whoever is there first; the step is tried again until then.
        let wait = if self.nodes.len() > 1 { Wait::NotAtAll } else { Wait::ForEver };
        match self.bring_about(context, run, !self.take, wait).await {
            // What an agent will not touch was refused when it was to be taken, too; and a host that was shut out for good
            // cannot be asked.
            Err(StepError::Agent(error)) if self.take && is_final(&error) => {
                tracing::warn!(step = self.name, error = %error, "Nothing of ours is taken off there.");
                Ok(())
            }
            result => result,
        }
    }
}

fn is_final(error: &AgentError) -> bool {
    match error {
        AgentError::Failed { failure, .. } => failure.kind == FailureKind::Refused,
        AgentError::Revoked { .. } | AgentError::Unknown { .. } => true,
        AgentError::Detached { .. } | AgentError::Unanswered { .. } | AgentError::Stopping => false,
    }
}
