//! Whether a node is used for new bricks.

use bricklayer_proto::ids::{NodeId, OperationId};

use super::context::Context;
use super::{Rejected, drive};
use crate::model::{AdminState, Node, NodeState, Operation, Plan};

pub async fn set(context: &Context, id: NodeId, wanted: AdminState) -> Result<OperationId, Rejected> {
    context
        .state
        .change(|change| {
            let node = Node::clone(change.nodes.get(&id).ok_or(Rejected::NotFound)?);
            let bricks = || change.devices_of(id).map(|device| change.brick_spaces(device.id).count()).sum::<usize>();
            match (node.state, wanted) {
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
                (AdminState::Offline, AdminState::Failed) if bricks() > 0 => {
                    return Err(Rejected::HoldsBricks { kind: "Node", id: id.to_string(), bricks: bricks() });
                }
                _ => {}
            }
            if node.state != wanted {
                change.put_node(Node { state: wanted, ..node });
            }
            let operation = Operation::done_at_once(Plan::NodeState(NodeState { node: id, to: wanted }));
            let operation_id = operation.id;
            drive::put_finished(change, operation);
            Ok(operation_id)
        })
        .await
}
