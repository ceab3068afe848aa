//! Whether a node is used for new bricks.

use bricklayer_proto::ids::NodeId;

use super::Rejected;
use super::context::Context;
use crate::model::{AdminState, Node};

pub async fn set(context: &Context, id: NodeId, wanted: AdminState) -> Result<(), Rejected> {
    context
        .state
        .change(|change| {
            let node = Node::clone(change.nodes.get(&id).ok_or(Rejected::NotFound)?);
            let bricks = || change.devices_of(id).map(|device| change.brick_spaces(device.id).count()).sum::<usize>();
            match (node.state, wanted) {
                (from, to) if from == to => return Ok(()),
                (AdminState::Failed, AdminState::Online) => {
                    return Err(Rejected::FailedForGood { kind: "node", state: "online" });
                }
                (AdminState::Failed, AdminState::Offline) => {
                    return Err(Rejected::FailedForGood { kind: "node", state: "offline" });
                }
                (AdminState::Online, AdminState::Failed) => {
                    return Err(Rejected::NotOffline { kind: "Node", id: id.to_string() });
                }
                (AdminState::Offline, AdminState::Failed) if bricks() > 0 => {
                    return Err(Rejected::HoldsBricks { kind: "Node", id: id.to_string(), bricks: bricks() });
                }
                _ => {}
            }
            change.put_node(Node { state: wanted, ..node });
            Ok(())
        })
        .await
}
