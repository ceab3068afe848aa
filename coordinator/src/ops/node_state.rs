//! Whether a node is used for new bricks, and whether it is used at all: to remove it is to empty all its devices.

use std::sync::Arc;

use bricklayer_proto::ids::{DeviceId, NodeId};

use super::context::Context;
use super::{Begun, Rejected, device_remove, drive};
use crate::model::{AdminState, Device, Node, NodeState, Operation, Plan};
use crate::state::Change;

pub async fn set(context: &Context, id: NodeId, wanted: AdminState, heal_check: bool) -> Result<Begun, Rejected> {
    context
        .state
        .change(|change| {
            let node = Node::clone(change.nodes.get(&id).ok_or(Rejected::NotFound)?);
            let is_left = |device: &Arc<Device>| {
                device.state != AdminState::Failed || change.brick_spaces(device.id).next().is_some()
            };
            let something_is_left = change.devices_of(id).any(is_left);
            match (node.state, wanted) {
                // What a lost node has left behind still has to be made anew elsewhere, and its devices given up.
                (AdminState::Failed, AdminState::Failed) if something_is_left => {
                    return empty(context, change, id, heal_check);
                }
                (from, to) if from == to => {}
                (AdminState::Failed, AdminState::Online) => {
                    return Err(Rejected::FailedForGood { kind: "node", state: "online" });
                }
                (AdminState::Failed, AdminState::Offline) => {
                    return Err(Rejected::FailedForGood { kind: "node", state: "offline" });
                }
                (AdminState::Online, AdminState::Failed) => {
                    return Err(Rejected::NotOffline { kind: "Node", id: id.to_string() });
                }
                (AdminState::Offline, AdminState::Failed) => return empty(context, change, id, heal_check),
                _ => {}
            }
            if node.state != wanted {
                change.put_node(Node { state: wanted, ..node });
            }
            let operation =
                Operation::done_at_once(Plan::NodeState(NodeState { node: id, to: wanted }), context.clock.now());
            let id = operation.id;
            drive::put_finished(change, operation);
            Ok(Begun::Done(id))
        })
        .await
}

fn empty(context: &Context, change: &mut Change, node: NodeId, heal_check: bool) -> Result<Begun, Rejected> {
    let devices: Vec<DeviceId> = change.devices_of(node).map(|device| device.id).collect();
    let begun = device_remove::begin(context, change, Some(node), devices, heal_check);
    begun.map(Box::new).map(Begun::Running).map_err(|rejected| match rejected {
        Rejected::CannotEmpty { device, why } => Rejected::CannotEmptyNode { node, device, why },
        other => other,
    })
}
