//! What every step of an operation is handed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::block::{BlockReport, Preallocation};
use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, TaskId};
use bricklayer_proto::inventory::GroupSpace;
use bricklayer_proto::names::{BrickPath, DevicePath, HostName};
use bricklayer_proto::size::{ByteSize, TIB};
use bricklayer_proto::task::{DeviceReport, Done, FailureKind, Progress, Task, Wanted};
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::candidates::Pools;
use super::gluster_turns::{GlusterTurns, Turn};
use super::gluster_watch::{GlusterViews, RepairPolicy};
use super::pools::PoolHistories;
use super::progress::ProgressBoard;
use super::step::StepError;
use super::trash::TrashPolicy;
use crate::agents::{AgentApi, AgentError, Patience, Presence};
use crate::exports;
use crate::model::{Operation, Topology};
use crate::pki::Clock;
use crate::placement::{self, Terms};
use crate::pools::extension::PoolPolicy;
use crate::standing;
use crate::state::State;

/// Makes what a client names come into being before it is looked for: the sandbox simulates hosts and disks.
#[async_trait]
pub trait UnknownNode: Send + Sync + 'static {
    /// A node is being added. Returns when its agent is attached, if there is to be one.
    async fn appear(&self, manage: &[HostName], storage: &[HostName]);
    /// A device of this node is being added.
    async fn plug(&self, node: &HostName, disk: &DevicePath);
}

/// The world as operations see it.
pub struct Context {
    pub state: Arc<State>,
    pub agents: Arc<dyn AgentApi>,
    pub installation: InstallationId,
    /// This start of the coordinator; agents refuse tasks of an earlier one.
    pub epoch: u64,
    pub policy: Policy,
    /// By which the time of what lies in the trash is over.
    pub clock: Clock,
    /// When this start was, by that clock.
    pub started: Timestamp,
    pub unknown_node: Option<Arc<dyn UnknownNode>>,
    pub progress: ProgressBoard,
    /// Held by each brick that moves while devices are emptied: [`Policy::moves_at_once`].
    pub moves: Semaphore,
    /// What became of the store's exports.
    pub exports: exports::Status,
    /// Whether the store is the newest state that there is.
    pub standing: standing::Watch,
    /// Told when what is stuck is to be tried again at once.
    pub again: Notify,
    /// Shared with rehearsals.
    pub(super) pools: Arc<Pools>,
    pub(super) pool_histories: Arc<PoolHistories>,
    pub(super) gluster_views: Arc<GlusterViews>,
    turns: GlusterTurns,
}

/// What an installation decides once. The defaults need no reading.
#[derive(Clone, Debug)]
pub struct Policy {
    pub limits: placement::Limits,
    pub zones: placement::ZoneRule,
    /// What a file is assumed to have on average, for the size of arbiter bricks.
    pub average_file_size: ByteSize,
    pub most_volumes_per_cluster: usize,
    /// How long a step that can be undone waits for an agent that went away.
    pub absence: Duration,
    /// How long what a stop has left unfinished, and the trash, wait after a start for all hosts to say that they know of no
    /// later state. An agent tries again after half a minute at the latest.
    pub hearing: Duration,
    /// How long a request waits for an agent that is just attaching, as all do after a start of the coordinator.
    pub greeting: Duration,
    /// The first pause before a stuck step is tried again; it doubles up to a minute.
    pub retry: Duration,
    /// How long taking back a failed operation may take before its client is told of the failure.
    pub undoing: Duration,
    /// How often a heal or a movement of data is looked at.
    pub look: Duration,
    /// How long a dispersed set has to be without anything to heal, look after look, before it counts as healed: unlike
    /// a replicated one it is not marked by the exchange itself, but when the self-heal daemon meets the new brick.
    pub settled: Duration,
    /// How long the replacement of a brick waits for its set to be healed before it is given up, nothing being changed
    /// yet.
    pub healing: Duration,
    /// How long after the end of an operation an agent's report may still show what was before it.
    pub reports_lag: Duration,
    pub block: BlockPolicy,
    pub trash: TrashPolicy,
    pub pools: PoolPolicy,
    pub repair: RepairPolicy,
    /// How long after a look at all volumes in GlusterFS the next one begins; `None`: nobody looks. It is a transaction of
    /// the whole pool, and one that meets a host that has just died holds up every other until that is noticed.
    pub gluster_look: Option<Duration>,
    /// How often a volume is asked what it has left to heal.
    pub heal_look: Duration,
    /// For so long after a host has booted it is seen to that GlusterFS starts its bricks. Later a brick without a process may
    /// be somebody's will.
    pub boot: Duration,
    /// How often what is over in the trash and could not go is looked at again.
    pub trash_look: Duration,
    /// Bricks that are moved at the same time when a device is emptied; never two of one volume.
    pub moves_at_once: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            limits: placement::Limits::default(),
            zones: placement::ZoneRule::Preferred,
            average_file_size: placement::AVERAGE_FILE_SIZE,
            most_volumes_per_cluster: 1000,
            absence: Duration::from_secs(60),
            hearing: Duration::from_secs(45),
            greeting: Duration::from_secs(10),
            retry: Duration::from_secs(1),
            undoing: Duration::from_secs(10),
            look: Duration::from_secs(2),
            settled: Duration::from_secs(60),
            healing: Duration::from_secs(60),
            reports_lag: Duration::from_secs(90),
            moves_at_once: 4,
            block: BlockPolicy::default(),
            trash: TrashPolicy::default(),
            pools: PoolPolicy::default(),
            repair: RepairPolicy::default(),
            gluster_look: None,
            heal_look: Duration::from_secs(600),
            boot: Duration::from_secs(1800),
            trash_look: Duration::from_secs(60),
        }
    }
}

/// What an installation decides about block volumes.
#[derive(Clone, Debug)]
pub struct BlockPolicy {
    /// A volume to host them is made where none has room.
    pub create_hosting_volumes: bool,
    /// The size of such a volume.
    pub hosting_size: ByteSize,
    /// Options of every volume that hosts them, each `key value`.
    pub hosting_options: Vec<String>,
    pub preallocation: Preallocation,
}

impl Default for BlockPolicy {
    fn default() -> Self {
        Self {
            create_hosting_volumes: false,
            hosting_size: ByteSize::from_bytes(TIB),
            hosting_options: vec!["group gluster-block".to_owned()],
            preallocation: Preallocation::Full,
        }
    }
}

impl Context {
    #[must_use]
    pub fn new(state: Arc<State>, agents: Arc<dyn AgentApi>, installation: InstallationId, epoch: u64) -> Self {
        let policy = Policy::default();
        Self {
            state,
            agents,
            installation,
            epoch,
            moves: Semaphore::new(policy.moves_at_once),
            policy,
            clock: Clock::system(),
            started: Timestamp::now(),
            unknown_node: None,
            progress: ProgressBoard::default(),
            exports: exports::Status::default(),
            standing: standing::Watch::default(),
            again: Notify::new(),
            pools: Arc::default(),
            pool_histories: Arc::default(),
            gluster_views: Arc::default(),
            turns: GlusterTurns::default(),
        }
    }

    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.moves = Semaphore::new(policy.moves_at_once.max(1));
        self.policy = policy;
        self
    }

    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.started = clock.now();
        self.clock = clock;
        self
    }

    /// What holds for bricks in a cluster, as far as their volume says nothing else.
    #[must_use]
    pub fn terms(&self, topology: &Topology, cluster: ClusterId) -> Terms {
        topology.policies.terms(cluster, self.default_terms())
    }

    /// What holds where nobody says anything.
    #[must_use]
    pub fn default_terms(&self) -> Terms {
        Terms { zones: self.policy.zones, pools_at_most: self.policy.pools.most, ..Terms::default() }
    }

    /// The same world, in which nothing that is decided is kept or done.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        let state = Arc::new(self.state.rehearsal());
        let pools = Arc::clone(&self.pools);
        let context = Self::new(state, Arc::clone(&self.agents), self.installation, self.epoch);
        Self { pools, ..context.with_policy(self.policy.clone()).with_clock(self.clock.clone()) }
    }

    /// Before what is stuck is tried again; a person may cut it short.
    pub async fn pause(&self, pause: Duration) {
        // Either way it is tried again.
        let _ = tokio::time::timeout(pause, self.again.notified()).await;
    }

    /// Asks a node for a state and waits. An outcome that is unknown is asked for again until it is known, as a tool
    /// that did not answer in time may yet succeed.
    pub async fn ask(&self, run: &Run, node: NodeId, wanted: Wanted, wait: Wait) -> Result<Done, AgentError> {
        self.ask_as(&run.asker(), node, wanted, wait).await
    }

    pub async fn ask_as(&self, asker: &Asker, node: NodeId, wanted: Wanted, wait: Wait) -> Result<Done, AgentError> {
        let mut pause = self.policy.retry;
        loop {
            let task =
                Task { id: TaskId::random(), operation: asker.operation, epoch: self.epoch, wanted: wanted.clone() };
            let patience = match wait {
                Wait::ForEver => Patience::for_ever(),
                Wait::WhileAway => Patience { absence: Some(self.policy.absence), ..Patience::default() },
                Wait::NotAtAll => Patience::only_while_attached(),
            };
            let patience = Patience { progress: asker.progress.clone(), ..patience };
            let answer = self.agents.carry_out(node, task, patience).await;
            match answer {
                Err(AgentError::Failed { failure, .. }) if failure.kind == FailureKind::Unknown => {
                    tracing::warn!(operation.id = %asker.operation, node.id = %node, failure.message, "The outcome of a step is unknown; asking again.");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(60));
                }
                // Not a failure of the step: the operation is cut off here and goes on at the next start.
                Err(AgentError::Stopping) => std::future::pending().await,
                other => return other,
            }
        }
    }

    /// After a start of the coordinator its agents are there, and have told what their hosts have, within seconds. Who
    /// went away later is not waited for. `clusters`: all where it is empty.
    pub async fn greet(&self, clusters: &[ClusterId]) {
        let topology = self.state.read();
        let nodes = topology.nodes.values().filter(|node| clusters.is_empty() || clusters.contains(&node.cluster));
        let nodes: Vec<NodeId> = nodes.map(|node| node.id).collect();
        let has_told = |node: &NodeId| match self.agents.status(*node).map(|status| status.presence) {
            Some(Presence::Detached { since: None }) => false,
            Some(Presence::Attached { .. }) => self.agents.inventory(*node).is_some(),
            Some(Presence::Detached { since: Some(_) } | Presence::Revoked { .. }) | None => true,
        };
        self.await_agents(self.policy.greeting, || nodes.iter().all(has_told).then_some(())).await;
    }

    /// Looks again whenever something happens to an agent, until `look` finds what it seeks or `limit` has passed.
    pub async fn await_agents<T>(&self, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let mut events = self.agents.events();
        let search = async {
            loop {
                if let Some(found) = look() {
                    return Some(found);
                }
                // What was missed is not missed: the state itself is looked at again.
                if let Err(RecvError::Closed) = events.recv().await {
                    return None;
                }
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }

    /// GlusterFS takes one change of a cluster at a time; whoever comes second waits here and does not fail there. `host`:
    /// the one that is asked, where it may be handed more than one thing to do.
    pub async fn gluster_turn(&self, cluster: ClusterId, host: Option<NodeId>) -> Turn {
        self.turns.take(cluster, host).await
    }
}

impl Context {
    /// Whether somebody has, or waits for, the turn in that cluster's GlusterFS.
    #[must_use]
    pub fn gluster_is_busy(&self, cluster: ClusterId) -> bool {
        self.turns.is_busy(cluster)
    }
}

/// On whose behalf agents are asked.
#[derive(Clone)]
pub struct Asker {
    operation: OperationId,
    progress: Option<mpsc::UnboundedSender<Progress>>,
}

impl Asker {
    /// Somebody who only looks: there is no operation.
    pub fn onlooker() -> Self {
        Self { operation: OperationId::random(), progress: None }
    }
}

/// How long a step waits for an agent that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    ForEver,
    WhileAway,
    NotAtAll,
}

/// One operation being driven: its record and what its steps have learnt. What is learnt here is only ever told again
/// by an agent after a restart, so it need not be durable before the operation ends.
pub struct Run {
    pub operation: Arc<Operation>,
    learnt: Mutex<Learnt>,
    progress: mpsc::UnboundedSender<Progress>,
}

#[derive(Default)]
struct Learnt {
    brick_paths: BTreeMap<BrickId, BrickPath>,
    spaces: BTreeMap<DeviceId, GroupSpace>,
    device: Option<DeviceReport>,
    started: bool,
    committed: bool,
    doubt: bool,
    kept: BTreeSet<BrickId>,
    block: Option<BlockReport>,
}

impl Run {
    pub fn new(operation: Arc<Operation>, progress: mpsc::UnboundedSender<Progress>) -> Self {
        Self { operation, learnt: Mutex::default(), progress }
    }

    #[must_use]
    pub fn id(&self) -> OperationId {
        self.operation.id
    }

    pub fn asker(&self) -> Asker {
        Asker { operation: self.operation.id, progress: Some(self.progress.clone()) }
    }

    pub fn learn_committed(&self) {
        self.learnt().committed = true;
    }

    /// Whether there was no way back any more when the stages were gone through from the first on: after a restart, or as a
    /// step had taken effect after all.
    pub fn was_committed(&self) -> bool {
        self.learnt().committed
    }

    pub fn learn_brick_path(&self, brick: BrickId, path: BrickPath) {
        self.learnt().brick_paths.insert(brick, path);
    }

    pub fn learn_space(&self, device: DeviceId, space: GroupSpace) {
        let mut learnt = self.learnt();
        let known = learnt.spaces.entry(device).or_insert(space);
        if known.seqno < space.seqno {
            *known = space;
        }
    }

    pub fn learn_device(&self, report: DeviceReport) {
        self.learnt().device = Some(report);
    }

    /// Where an agent has put a brick; an error where none has said so yet.
    pub fn brick_path(&self, brick: BrickId) -> Result<BrickPath, StepError> {
        self.learnt()
            .brick_paths
            .get(&brick)
            .cloned()
            .ok_or_else(|| StepError::Missing(format!("the path of brick {brick}")))
    }

    pub fn device(&self) -> Result<DeviceReport, StepError> {
        self.learnt().device.clone().ok_or_else(|| StepError::Missing("the agent's report of the device".to_owned()))
    }

    pub fn learn_doubt(&self) {
        self.learnt().doubt = true;
    }

    /// Whether something that was asked of GlusterFS did not go smoothly, so that its hosts may not know the same.
    pub fn is_in_doubt(&self) -> bool {
        self.learnt().doubt
    }

    /// A brick that leaves its volume and stays on its disk, as nobody else may have what is on it.
    pub fn learn_kept(&self, brick: BrickId) {
        self.learnt().kept.insert(brick);
    }

    pub fn is_kept(&self, brick: BrickId) -> bool {
        self.learnt().kept.contains(&brick)
    }

    pub fn learn_started(&self) {
        self.learnt().started = true;
    }

    /// Whether an agent has said that the volume runs.
    pub fn is_started(&self) -> bool {
        self.learnt().started
    }

    pub fn learn_block(&self, report: BlockReport) {
        self.learnt().block = Some(report);
    }

    /// What `gluster-block` said of the block volume.
    pub fn block(&self) -> Result<BlockReport, StepError> {
        self.learnt().block.clone().ok_or_else(|| StepError::Missing("gluster-block's report".to_owned()))
    }

    /// What agents said of the groups that were changed, newest first counted.
    pub fn spaces(&self) -> Vec<(DeviceId, GroupSpace)> {
        self.learnt().spaces.iter().map(|(device, space)| (*device, *space)).collect()
    }

    fn learnt(&self) -> std::sync::MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
