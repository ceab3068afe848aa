//! A node without devices leaves the trusted storage pool and our records. Its agent stays enrolled.

use async_trait::async_trait;
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::task::Wanted;

use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
use super::{Rejected, gluster};
use crate::model::{Node, NodeDelete, Operation, Plan, Resource};
use crate::state::Change;

pub async fn submit(context: &Context, id: NodeId) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let node = change.nodes.get(&id).ok_or(Rejected::NotFound)?;
            let node = Node::clone(node);
            let busy = change.unfinished.values().any(|operation| match &operation.plan {
                Plan::DeviceAdd(add) => add.node == id,
                Plan::NodeDelete(delete) => delete.node.id == id,
                plan => plan.adopts_on(id),
            });
            if busy {
                return Err(Rejected::Busy);
            }
            if change.devices_of(id).next().is_some() {
                return Err(Rejected::NodeNotEmpty(id));
            }
            let operation = Operation::begun(Plan::NodeDelete(NodeDelete { node }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(plan: &NodeDelete) -> Vec<Stage> {
    vec![Stage::one(LeavePool { node: plan.node.clone() })]
}

pub fn finish(change: &mut Change, plan: &NodeDelete) -> Option<Resource> {
    change.remove_node(plan.node.id);
    None
}

struct LeavePool {
    node: Node,
}

#[async_trait]
impl Step for LeavePool {
    fn name(&self) -> String {
        format!("take {} out of the trusted storage pool", self.node.name())
    }

    /// As in heketi, a host that cannot be detached (it is down for good, say) does not keep its record alive.
    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let Some(host) = self.node.storage_host() else { return Ok(()) };
        if self.node.lost {
            // It would stay in the pool for ever, and every later deletion of a volume would fail at it.
            let others = context.state.read().nodes_of(self.node.cluster).any(|node| node.id != self.node.id);
            if others {
                let wanted = Wanted::PeerGone { host: host.clone(), lost: true };
                gluster::ask(context, run, self.node.cluster, wanted).await?;
            }
            return Ok(());
        }
        let _turn = context.gluster_turn(self.node.cluster, None).await;
        let others = gluster::able(context, &context.state.read(), self.node.cluster);
        let Some(other) = others.into_iter().find(|node| *node != self.node.id) else { return Ok(()) };
        let wanted = Wanted::PeerGone { host: host.clone(), lost: self.node.lost };
        if let Err(error) = context.ask(run, other, wanted, Wait::NotAtAll).await {
            tracing::warn!(node.id = %self.node.id, error = %error, "The node could not be detached from its pool; its record goes all the same.");
        }
        Ok(())
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
