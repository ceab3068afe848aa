//! The steps: each mark on its host, one way and the other.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption, VolumeAdoption};
use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId};
use bricklayer_proto::size::Extents;
use bricklayer_proto::task::{BrickAddress, Report, Wanted};

use super::super::bricks::unless_lost;
use super::super::context::{Context, Run, Wait};
use super::super::gluster::is_about_the_host;
use super::super::step::{Step, StepError};
use super::devices_of;
use crate::adopt::is_mounted_by_glusterd;
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
        step(name, device.node, Some(device.id), take, Wanted::GroupAdopted(spec.clone()), Wanted::GroupReleased(spec))
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
            owns_pool: brick.space.pool > Extents::ZERO,
            path: brick.path.clone()?,
            mounted_by_glusterd: brick.path.as_ref().is_some_and(is_mounted_by_glusterd),
        };
        let place =
            format!("{} of {}", brick.set * volume.layout.bricks_per_set() + brick.position + 1, volume.bricks.len());
        let name = format!("{verb} brick {place} of volume {} on {}", volume.name, name(brick.node));
        let (adopted, released) = (Wanted::BrickAdopted(spec.clone()), Wanted::BrickReleased(spec));
        Some(step(name, brick.node, Some(brick.device), take, adopted, released))
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
        Some(Box::new(MarkVolume {
            name: format!("{verb} volume {}", volume.name),
            cluster: volume.cluster,
            nodes: nodes.into_iter().collect(),
            take,
            adopted: Wanted::VolumeAdopted(spec.clone()),
            released: Wanted::VolumeReleased(spec),
        }) as Box<dyn Step>)
    });
    [groups.collect(), bricks.collect(), of_volumes.collect()]
}

fn step(
    name: String,
    node: NodeId,
    device: Option<DeviceId>,
    take: bool,
    adopted: Wanted,
    released: Wanted,
) -> Box<dyn Step> {
    Box::new(Mark { name, node, device, take, adopted, released })
}

/// The marks of a group or a brick, there or gone.
struct Mark {
    name: String,
    node: NodeId,
    device: Option<DeviceId>,
    /// Forward is to adopt; otherwise it is to give back.
    take: bool,
    adopted: Wanted,
    released: Wanted,
}

impl Mark {
    async fn bring_about(&self, context: &Context, run: &Run, adopted: bool, wait: Wait) -> Result<(), StepError> {
        let wanted = if adopted { &self.adopted } else { &self.released };
        let ask = async {
            let done = context.ask(run, self.node, wanted.clone(), wait).await?;
            if let Some(device) = self.device {
                match done.report {
                    Report::Brick(report) => run.learn_space(device, report.space),
                    Report::Group { space } => run.learn_space(device, space),
                    _ => {}
                }
            }
            Ok(())
        };
        match self.device {
            // A device that is new to us cannot have been declared lost.
            Some(device) if context.state.read().devices.contains_key(&device) => {
                unless_lost(context, device, ask).await
            }
            _ => ask.await,
        }
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
        self.bring_about(context, run, !self.take, Wait::ForEver).await
    }
}

/// A volume's mark in GlusterFS. Its hosts are no nodes of ours before the operation has ended, so they are asked by their
/// ids.
struct MarkVolume {
    name: String,
    cluster: ClusterId,
    nodes: Vec<NodeId>,
    take: bool,
    adopted: Wanted,
    released: Wanted,
}

impl MarkVolume {
    async fn bring_about(&self, context: &Context, run: &Run, adopted: bool, wait: Wait) -> Result<(), StepError> {
        let _turn = context.gluster_turn(self.cluster).await;
        let wanted = if adopted { &self.adopted } else { &self.released };
        let mut last = None;
        for (at, node) in self.nodes.iter().enumerate() {
            // Whoever is the last to be asked is waited for.
            let wait = if at + 1 == self.nodes.len() { wait } else { Wait::NotAtAll };
            match context.ask(run, *node, wanted.clone(), wait).await {
                Ok(_) => return Ok(()),
                Err(error) if is_about_the_host(&error) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => Err(StepError::NoHost(format!("nobody can be asked: {}", self.name))),
        }
    }
}

#[async_trait]
impl Step for MarkVolume {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.bring_about(context, run, self.take, Wait::WhileAway).await
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.bring_about(context, run, !self.take, Wait::ForEver).await
    }
}
