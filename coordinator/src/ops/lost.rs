//! A person's word that a node, or the disk of a device, will never come back.
//!
//! Nothing waits for it any more and nothing is placed on it; nothing is done to what may still be on its disks. What it
//! held is made anew elsewhere by removing it.

use bricklayer_proto::ids::{DeviceId, NodeId};

use super::Rejected;
use super::context::Context;
use crate::model::{AdminState, Device, Node, Topology};

/// `confirm` is the node's name, as a person repeated it.
pub async fn node(context: &Context, id: NodeId, confirm: &str) -> Result<(), Rejected> {
    context
        .state
        .change(|change| {
            let node = Node::clone(change.nodes.get(&id).ok_or(Rejected::NotFound)?);
            let name = node.name().to_owned();
            if confirm != name {
                return Err(Rejected::WrongNodeName { given: confirm.to_owned(), name });
            }
            if context.agents.is_attached(id) {
                return Err(Rejected::NodeIsThere { name });
            }
            tracing::warn!(node.id = %id, node.name = name, "A person declared the node lost for ever.");
            change.put_node(Node { lost: true, state: AdminState::Failed, ..node });
            Ok(())
        })
        .await
}

/// `confirm` is the device's id, as a person repeated it: the disk itself can no longer be asked who it is.
pub async fn device(context: &Context, id: DeviceId, confirm: &str) -> Result<(), Rejected> {
    context
        .state
        .change(|change| {
            let device = Device::clone(change.devices.get(&id).ok_or(Rejected::NotFound)?);
            if confirm.parse() != Ok(id) {
                return Err(Rejected::WrongDeviceId { given: confirm.to_owned(), id });
            }
            if device.lost {
                return Ok(());
            }
            is_gone(context, change, &device)?;
            tracing::warn!(device.id = %id, device.name = %device.name, "A person declared the disk lost for ever.");
            change.put_device(Device { lost: true, state: AdminState::Failed, ..device });
            Ok(())
        })
        .await
}

/// Its host is there and has no whole volume group of it. Of a host that is away nobody knows.
fn is_gone(context: &Context, topology: &Topology, device: &Device) -> Result<(), Rejected> {
    let node = topology.nodes.get(&device.node).map_or_else(|| device.node.to_string(), |node| node.name().to_owned());
    let name = device.name.clone();
    match is_there(context, device) {
        None => Err(Rejected::DeviceUnseen { name, node }),
        Some(true) => Err(Rejected::DeviceIsThere { name, node }),
        Some(false) => Ok(()),
    }
}

/// Whether its host sees a whole volume group of it; `None` where the host is away, or has not told of it yet.
pub fn is_there(context: &Context, device: &Device) -> Option<bool> {
    let inventory = context.agents.inventory(device.node).filter(|_| context.agents.is_attached(device.node));
    // A report from before the device was made cannot have it, and says nothing of its disk.
    let (inventory, _) = inventory.filter(|(_, received)| *received > device.added)?;
    let mut groups = inventory.groups.iter();
    Some(groups.any(|group| {
        let is_its = group.tags.is_some_and(|tags| tags.device == device.id);
        is_its && !group.physical_volumes.iter().any(|volume| volume.missing)
    }))
}
