//! What operations may ask of agents. They see tasks, outcomes and who is there; never streams or certificates.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::ids::{NodeId, TaskId};
use bricklayer_proto::inventory::{AgentSeen, Inventory};
use bricklayer_proto::names::HostName;
use bricklayer_proto::task::{Done, Failure, Outcome, Progress, Task};
use bricklayer_proto::wire::THICK_SINCE;
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc};

/// The agents, as operations know them.
#[async_trait]
pub trait AgentApi: Send + Sync + 'static {
    /// Gives the task to the node's agent and waits for its outcome.
    ///
    /// If the agent is away, or goes away, the task is sent (again) when it attaches, for as long as `patience` lasts.
    /// Safe to call again with the same task, also after a restart of either side: the agent answers from its journal.
    /// Dropping the future stops the waiting, not the work.
    async fn carry_out(&self, node: NodeId, task: Task, patience: Patience) -> Result<Done, AgentError>;

    /// `None` for a node that never enrolled.
    fn status(&self, node: NodeId) -> Option<AgentStatus>;

    /// Every enrolled agent, revoked ones included, sorted by name.
    fn all(&self) -> Vec<AgentStatus>;

    /// What the agent last reported, and when that arrived. It may be from before the agent went away.
    fn inventory(&self, node: NodeId) -> Option<(Arc<Inventory>, Timestamp)>;

    /// The node whose agent enrolled under this name. Names are unique, and kept for good once enrolled.
    fn by_name(&self, name: &str) -> Option<NodeId>;

    /// What happens from now on. A receiver that lags loses the oldest events, so read the state again then.
    fn events(&self) -> broadcast::Receiver<AgentEvent>;

    /// Hosts of this installation that would attach and cannot, since the start, sorted by node.
    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }

    fn is_attached(&self, node: NodeId) -> bool {
        self.status(node).is_some_and(|status| matches!(status.presence, Presence::Attached { .. }))
    }

    /// What decides whether the node takes bricks now.
    fn sight(&self, node: NodeId) -> Sight {
        let protocol = match self.status(node).map(|status| status.presence) {
            Some(Presence::Attached { protocol, .. }) => Some(protocol),
            _ => None,
        };
        Sight { attached: self.is_attached(node), protocol, inventory: self.inventory(node) }
    }

    /// The same of many nodes, in their order.
    fn sights(&self, nodes: &[NodeId]) -> Vec<Sight> {
        nodes.iter().map(|node| self.sight(*node)).collect()
    }
}

/// A host that showed a certificate of our authority and did not come to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub node: NodeId,
    pub from: IpAddr,
    pub why: Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The store knows no such node, and no store forgets one: this one is older than the host's enrolment, or empty.
    UnknownNode,
    /// The host has met a later start of a coordinator than this one.
    LaterStart { met: u64, ours: u64 },
}

/// What is seen of a node through its agent.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub attached: bool,
    /// That both sides speak, of one that is attached.
    pub protocol: Option<u32>,
    /// As [`AgentApi::inventory`].
    pub inventory: Option<(Arc<Inventory>, Timestamp)>,
}

impl Sight {
    /// Whether its agent is known to be too old to make thick bricks.
    #[must_use]
    pub fn is_thin_only(&self) -> bool {
        self.protocol.is_some_and(|protocol| protocol < THICK_SINCE)
    }

    /// Whether nothing has changed between the two: it is the same report, not just an equal one.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let same_report = match (&self.inventory, &other.inventory) {
            (Some((one, _)), Some((other, _))) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        self.attached == other.attached && self.protocol == other.protocol && same_report
    }
}

/// How long to wait for an outcome, and who wants to hear of progress meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// For the whole of it. `None` waits for ever, through every absence of the agent.
    pub limit: Option<Duration>,
    /// How long an agent may be away, at the beginning or in between, before the wait is given up. `None` as above.
    pub absence: Option<Duration>,
    pub progress: Option<mpsc::UnboundedSender<Progress>>,
}

impl Patience {
    #[must_use]
    pub fn for_ever() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn at_most(limit: Duration) -> Self {
        Self { limit: Some(limit), ..Self::default() }
    }

    /// Gives up as soon as the agent is away.
    #[must_use]
    pub fn only_while_attached() -> Self {
        Self { absence: Some(Duration::ZERO), ..Self::default() }
    }

    #[must_use]
    pub fn with_progress(self, progress: mpsc::UnboundedSender<Progress>) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

/// Why there is no [`Done`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum AgentError {
    #[error("no agent has enrolled for node {node}")]
    Unknown { node: NodeId },
    /// `sent` tells whether the agent may have begun: if not, nothing was or will be changed by this call.
    #[error("the agent of {name} (node {node}) is not attached{}", since.map(|at| format!(" since {at:.0}")).unwrap_or_default())]
    Detached { node: NodeId, name: HostName, since: Option<Timestamp>, sent: bool },
    /// Attached, but no outcome within the limit. The task may still succeed.
    #[error("the agent of {name} (node {node}) has not finished task {task} within {} s; it may still do so", limit.as_secs())]
    Unanswered { node: NodeId, name: HostName, task: TaskId, limit: Duration },
    #[error("the agent of {name} (node {node}) was revoked")]
    Revoked { node: NodeId, name: HostName },
    /// The agent's own answer. Of the node `name`, for texts that name it.
    #[error("{name}: {failure}")]
    Failed { node: NodeId, name: HostName, failure: Failure },
    #[error("the coordinator is stopping")]
    Stopping,
}

impl AgentError {
    /// Whether it is certain that this call caused no change on the host.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        use bricklayer_proto::task::FailureKind;
        match self {
            Self::Unknown { .. } => true,
            Self::Detached { sent, .. } => !sent,
            Self::Failed { failure, .. } => match failure.kind {
                FailureKind::Refused | FailureKind::NoSpace | FailureKind::Stale | FailureKind::PeersDown => true,
                FailureKind::Failed | FailureKind::Unknown | FailureKind::Unavailable => false,
            },
            Self::Unanswered { .. } | Self::Revoked { .. } | Self::Stopping => false,
        }
    }
}

/// One enrolled agent.
#[derive(Clone, Debug)]
pub struct AgentStatus {
    pub node: NodeId,
    pub name: HostName,
    /// As the invitation said.
    pub zone: Option<u32>,
    pub presence: Presence,
    /// What the agent said of itself when it last attached, since this coordinator started.
    pub seen: Option<AgentSeen>,
    pub enrolled: Timestamp,
    /// End of the newest certificate that was issued to it.
    pub certificate_expires: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Attached {
        since: Timestamp,
        from: SocketAddr,
        /// Protocol version that both sides speak.
        protocol: u32,
        /// By how many milliseconds the host's clock is ahead of ours, as it said with its greeting or its last report.
        clock_ahead_ms: i64,
    },
    /// `since` is unknown for agents that have not attached since this coordinator started.
    Detached {
        since: Option<Timestamp>,
    },
    Revoked {
        at: Timestamp,
    },
}

#[derive(Clone, Debug)]
pub enum AgentEvent {
    Enrolled {
        node: NodeId,
    },
    Attached {
        node: NodeId,
    },
    Detached {
        node: NodeId,
    },
    Revoked {
        node: NodeId,
    },
    /// It has said what it keeps.
    Kept {
        node: NodeId,
    },
    /// It has told all that it recollects.
    Recollected {
        node: NodeId,
    },
    /// A new inventory can be read.
    Inventory {
        node: NodeId,
    },
    /// An outcome for which nobody waits. [`AgentApi::carry_out`] with that task's id is answered by it.
    Unclaimed {
        node: NodeId,
        outcome: Box<Outcome>,
    },
}
