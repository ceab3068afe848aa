//! Compares what agents report with what should be, as their reports come in.
//!
//! Owns the devices' space: LVM's own figures replace ours whenever nothing of ours is under way on the group, and what
//! is neither ours nor free is booked as foreign. Must never change anything on a host.

mod space;

use std::sync::Arc;

use bricklayer_proto::ids::NodeId;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::agents::{AgentApi, AgentEvent};
use crate::state::State;

/// Follows the agents' reports until told to stop.
pub async fn run(state: Arc<State>, agents: Arc<dyn AgentApi>, stop: CancellationToken) {
    let mut events = agents.events();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(AgentEvent::Inventory { node }) => take_over(&state, agents.as_ref(), node).await,
            Ok(_) => {}
            // Some reports were missed: whatever is newest of every node counts.
            Err(RecvError::Lagged(_)) => {
                for status in agents.all() {
                    take_over(&state, agents.as_ref(), status.node).await;
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn take_over(state: &State, agents: &dyn AgentApi, node: NodeId) {
    let Some((inventory, _)) = agents.inventory(node) else { return };
    if let Err(error) = space::take_over(state, node, &inventory).await {
        tracing::error!(node.id = %node, error = %error, "What an agent reported could not be written down.");
    }
}
