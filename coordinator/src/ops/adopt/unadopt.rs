//! What was adopted is given back.

use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId, VolumeId};

use super::super::bricks::host_name;
use super::super::context::Context;
use super::super::step::Stage;
use super::super::{Rejected, policy, whole};
use super::count_strangers;
use super::marks::all_steps;
use crate::adopt::MOST_BRICKS;
use crate::model::{Brick, Device, Operation, Plan, Resource, Topology, Unadopt, Volume};
use crate::state::Change;

/// What is to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnadoptWish {
    Volume(VolumeId),
    /// One that holds no brick of ours any more.
    Device(DeviceId),
    /// All of it.
    Cluster(ClusterId),
}

/// Decides whether this can be given back, and writes the operation down.
pub async fn submit(context: &Context, wish: UnadoptWish) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let plan = match wish {
                UnadoptWish::Volume(id) => {
                    let volume = in_use(change, id)?;
                    Unadopt { volumes: vec![volume], ..Unadopt::default() }
                }
                UnadoptWish::Device(id) => {
                    let device = change.devices.get(&id).ok_or(Rejected::NotFound)?;
                    if change.brick_spaces(id).next().is_some() {
                        return Err(Rejected::CannotGiveBack(format!(
                            "device {} ({id}) has bricks: give their volumes back, or move them away",
                            device.name
                        )));
                    }
                    Unadopt { devices: vec![Device::clone(device)], ..Unadopt::default() }
                }
                UnadoptWish::Cluster(id) => {
                    if !change.clusters.contains_key(&id) {
                        return Err(Rejected::NotFound);
                    }
                    if change.unfinished.values().any(|operation| comes_or_goes(change, &operation.plan, id)) {
                        return Err(Rejected::Busy);
                    }
                    let volumes: Vec<VolumeId> = change.volumes_of(id).map(|volume| volume.id).collect();
                    let volumes = volumes.into_iter().map(|id| in_use(change, id)).collect::<Result<_, _>>()?;
                    let nodes: Vec<NodeId> = change.nodes_of(id).map(|node| node.id).collect();
                    let devices = nodes.iter().flat_map(|node| change.devices_of(*node));
                    let devices = devices.map(|device| Device::clone(device)).collect();
                    Unadopt { clusters: vec![id], nodes, devices, volumes }
                }
            };
            can_be_given_back(change, &plan)?;
            let operation = Operation::begun(Plan::Unadopt(plan), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

/// Whether something of the cluster is being made or removed, and so is in no record of it.
fn comes_or_goes(topology: &Topology, plan: &Plan, cluster: ClusterId) -> bool {
    let in_cluster = |node: NodeId| topology.nodes.get(&node).is_some_and(|node| node.cluster == cluster);
    match plan {
        Plan::NodeAdd(add) => add.node.cluster == cluster,
        Plan::NodeDelete(delete) => delete.node.cluster == cluster,
        Plan::DeviceAdd(add) => in_cluster(add.node),
        Plan::DeviceDelete(delete) => in_cluster(delete.device.node),
        Plan::Adopt(_) | Plan::Unadopt(_) => plan.adopts_in(cluster),
        other => other.volume().is_some_and(|volume| volume.cluster == cluster),
    }
}

/// A volume that is whole, and not in the trash.
fn in_use(topology: &Topology, id: VolumeId) -> Result<Volume, Rejected> {
    match topology.volumes.get(&id) {
        Some(volume) if volume.trash.is_some() => Err(Rejected::CannotGiveBack(format!(
            "volume {} is in the trash, of which nobody else knows: take it out with `bricklayer volume undelete`, or end \
             it with `bricklayer trash empty`",
            volume.name
        ))),
        _ => whole(topology, id),
    }
}

fn can_be_given_back(topology: &Topology, plan: &Unadopt) -> Result<(), Rejected> {
    for volume in &plan.volumes {
        if let Some(brick) = volume.bricks.iter().find(|brick| brick.path.is_none()) {
            return Err(Rejected::CannotGiveBack(format!(
                "nobody has told where brick {} of volume {} lies on its host",
                brick.id, volume.name
            )));
        }
        if let Some(brick) = volume.bricks.iter().find(|brick| !brick.adopted) {
            let whose = if volume.bricks.iter().any(|brick| brick.adopted) { "has a brick" } else { "has bricks" };
            return Err(Rejected::CannotGiveBack(format!(
                "volume {} {whose} that Bricklayer made, {} on {}, of which nobody else knows",
                volume.name,
                brick.id,
                host_name(topology, brick)
            )));
        }
        let goes = |other: &Brick| plan.volumes.iter().any(|volume| volume.brick(other.id).is_some());
        for brick in volume.bricks.iter().filter(|brick| !brick.is_thick()) {
            let on_device = topology.bricks.get(&brick.device).into_iter().flat_map(|bricks| bricks.values());
            let mut sharing = on_device.filter(|other| other.pool_lv() == brick.pool_lv() && !goes(other));
            if let Some(other) = sharing.next() {
                return Err(Rejected::CannotGiveBack(format!(
                    "brick {} of volume {} lies in one thin pool with brick {}, which stays",
                    brick.id, volume.name, other.id
                )));
            }
        }
    }
    for device in &plan.devices {
        if device.adopted.is_none() {
            return Err(Rejected::CannotGiveBack(format!(
                "device {} ({}) was made by Bricklayer",
                device.name, device.id
            )));
        }
        if topology.is_moving(device.id) {
            return Err(Rejected::Busy);
        }
    }
    let bricks: usize = plan.volumes.iter().map(|volume| volume.bricks.len()).sum();
    if bricks > MOST_BRICKS {
        return Err(Rejected::CannotGiveBack(format!(
            "it has {bricks} bricks, and {MOST_BRICKS} are given back at a time: give volumes back first"
        )));
    }
    Ok(())
}

pub fn stages(context: &Context, operation: OperationId, plan: &Unadopt) -> Vec<Stage> {
    let [groups, bricks, volumes] = all_steps(context, operation, &[], &plan.devices, &plan.volumes, false);
    vec![Stage::of(volumes), Stage::of(bricks), Stage::of(groups)]
}

pub fn finish(change: &mut Change, plan: &Unadopt) -> Option<Resource> {
    for volume in &plan.volumes {
        let blocks: Vec<_> = change.blocks_in(volume.id).map(|block| block.id).collect();
        blocks.into_iter().for_each(|block| change.remove_block_volume(block));
        change.remove_volume(volume.id);
        policy::forget_volume(change, volume.id);
    }
    for volume in &plan.volumes {
        change.release(&volume.bricks);
    }
    plan.devices.iter().for_each(|device| change.remove_device(device.id));
    plan.nodes.iter().for_each(|node| change.remove_node(*node));
    plan.clusters.iter().for_each(|cluster| change.remove_cluster(*cluster));
    count_strangers(change, &[], &plan.volumes);
    None
}
