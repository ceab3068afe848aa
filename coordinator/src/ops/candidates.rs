//! The devices of a cluster as placement sees them: records, and what their agents say now.

use std::collections::BTreeMap;

use bricklayer_proto::ids::ClusterId;

use super::context::Context;
use crate::model::{AdminState, Device, Node, Plan, Topology};
use crate::placement::{Candidate, DeviceSpace, Standing};

/// Agents report at least once a minute; after two a device's group has surely been in a report.
const SETTLED_SECONDS: i64 = 120;

/// Every device of the cluster as placement sees it, those that take no bricks included: a refusal names them too.
pub fn candidates(context: &Context, topology: &Topology, cluster: ClusterId) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for node in topology.nodes_of(cluster) {
        for device in topology.devices_of(node.id) {
            let mut tags: BTreeMap<String, String> = node.tags.clone();
            tags.extend(device.tags.clone());
            candidates.push(Candidate {
                device: device.id,
                node: node.id,
                zone: node.zone.get(),
                standing: standing(context, topology, node, device),
                space: DeviceSpace {
                    extent_size: device.space.extent_size,
                    total: device.space.total,
                    free: topology.free(device),
                    spare: topology.spare(device),
                },
                tags,
                node_name: node.name().to_owned(),
                device_name: device.name.to_string(),
            });
        }
    }
    candidates
}

fn standing(context: &Context, topology: &Topology, node: &Node, device: &Device) -> Standing {
    match (node.state, device.state) {
        (AdminState::Offline, _) => return Standing::NodeOffline,
        (AdminState::Failed, _) => return Standing::NodeFailed,
        (_, AdminState::Offline) => return Standing::DeviceOffline,
        (_, AdminState::Failed) => return Standing::DeviceFailed,
        (AdminState::Online, AdminState::Online) => {}
    }
    let leaving = topology.unfinished.values().any(|operation| match &operation.plan {
        Plan::DeviceDelete(delete) => delete.device.id == device.id,
        Plan::DeviceRemove(remove) => remove.devices.contains(&device.id),
        _ => false,
    });
    if leaving {
        return Standing::Changing;
    }
    if !context.agents.is_attached(node.id) {
        return Standing::AgentDetached;
    }
    let Some((inventory, received)) = context.agents.inventory(node.id) else { return Standing::AgentDetached };
    if !inventory.gluster.running {
        return Standing::GlusterDown;
    }
    let Some(group) = inventory.groups.iter().find(|group| group.tags.is_some_and(|tags| tags.device == device.id))
    else {
        // A report may have been on its way while the group was made, so a young device is taken at its own word.
        let settled = (received - device.added).get_seconds() > SETTLED_SECONDS;
        return if settled { Standing::GroupMissing } else { Standing::Ready };
    };
    if group.condemned || group.physical_volumes.iter().any(|volume| volume.missing) {
        return Standing::GroupDamaged;
    }
    Standing::Ready
}
