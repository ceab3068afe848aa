//! Faults of Bricklayer that are planted to see that the harness finds them. None of them is in the programs: each
//! stands before a seam and misbehaves as a mistake behind it would.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bricklayer_coordinator::agents::{AgentApi, AgentError, AgentEvent, AgentStatus, Patience};
use bricklayer_proto::ids::{BrickId, NodeId};
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::task::{Done, Report, Task, Wanted};
use jiff::Timestamp;
use tokio::sync::broadcast;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The coordinator tells of a commit before it is on the disk: whoever kills it takes the last one away.
    ToldBeforeDurable,
    /// A brick that could not be made is taken for one that was never begun: its undo asks nobody.
    UndoSkipped,
    /// A task that arrives again is carried out anew, with a new id.
    SecondEffect,
    /// The harness itself panics.
    Panic,
}

/// The agents, but what failed is not undone.
pub struct SkipsUndo {
    agents: Arc<dyn AgentApi>,
    failed: Mutex<BTreeSet<BrickId>>,
}

impl SkipsUndo {
    pub fn before(agents: Arc<dyn AgentApi>) -> Self {
        Self { agents, failed: Mutex::default() }
    }
}

#[async_trait]
impl AgentApi for SkipsUndo {
    async fn carry_out(&self, node: NodeId, task: Task, patience: Patience) -> Result<Done, AgentError> {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match &task.wanted {
            Wanted::Brick(spec) => {
                let brick = spec.tags.brick;
                let result = self.agents.carry_out(node, task, patience).await;
                if result.is_err() {
                    failed().insert(brick);
                }
                result
            }
            Wanted::BrickCondemned(key) | Wanted::BrickGone(key) if failed().contains(&key.brick) => {
                Ok(Done { changed: false, report: Report::Nothing })
            }
            _ => self.agents.carry_out(node, task, patience).await,
        }
    }

    fn status(&self, node: NodeId) -> Option<AgentStatus> {
        self.agents.status(node)
    }

    fn all(&self) -> Vec<AgentStatus> {
        self.agents.all()
    }

    fn inventory(&self, node: NodeId) -> Option<(Arc<Inventory>, Timestamp)> {
        self.agents.inventory(node)
    }

    fn by_name(&self, name: &str) -> Option<NodeId> {
        self.agents.by_name(name)
    }

    fn events(&self) -> broadcast::Receiver<AgentEvent> {
        self.agents.events()
    }
}

/// What [`Planted::SecondEffect`] makes besides.
#[must_use]
pub fn second_effect(wanted: &Wanted) -> Option<Wanted> {
    let Wanted::Brick(spec) = wanted else { return None };
    let mut spec = spec.clone();
    spec.tags.brick = BrickId::random();
    Some(Wanted::Brick(spec))
}
