//! The live sessions and the tasks that wait for them.

use std::sync::Arc;

use async_trait::async_trait;
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::task::{Done, Task};
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::api::{AgentApi, AgentError, AgentEvent, AgentStatus, Patience};

/// Every agent of the installation, attached or not.
pub struct Registry {
    events: broadcast::Sender<AgentEvent>,
}

#[async_trait]
impl AgentApi for Registry {
    async fn carry_out(&self, node: NodeId, _task: Task, _patience: Patience) -> Result<Done, AgentError> {
        Err(AgentError::Unknown { node })
    }

    fn status(&self, _node: NodeId) -> Option<AgentStatus> {
        None
    }

    fn all(&self) -> Vec<AgentStatus> {
        Vec::new()
    }

    fn inventory(&self, _node: NodeId) -> Option<(Arc<Inventory>, Timestamp)> {
        None
    }

    fn by_name(&self, _name: &str) -> Option<NodeId> {
        None
    }

    fn events(&self) -> broadcast::Receiver<AgentEvent> {
        self.events.subscribe()
    }
}
