//! The live sessions, and the tasks that wait for them.
//!
//! Under one lock that is never held across an `await`. A task waits here for as long as somebody waits for its
//! outcome; it is sent when the agent is attached and sent again each time it attaches anew, since only the agent's
//! journal knows how far it came.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::ids::{NodeId, TaskId};
use bricklayer_proto::inventory::{AgentSeen, Ailing, Inventory};
use bricklayer_proto::keepsake::{Keepsake, Kept, Recollection};
use bricklayer_proto::names::HostName;
use bricklayer_proto::task::{Done, Failure, FailureKind, Outcome, Progress, Task};
use bricklayer_proto::wire::{FromAgent, ToAgent};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api::{AgentApi, AgentError, AgentEvent, AgentStatus, Patience, Presence, Refusal, Refused, Sight};
use super::lean::lean;
use crate::pki::{AgentRecord, RevokeError, Trust, Unwelcome};

/// An outcome for which nobody has asked by then belongs to nobody: its operation has ended or been lost.
const UNCLAIMED: SignedDuration = SignedDuration::from_hours(1);

/// Of this many acknowledged tasks per node we know that they are, if their outcome comes again.
const REMEMBERED: usize = 256;

/// Larger differences of the two clocks, in milliseconds, are said aloud: certificates and logs depend on them.
pub const CLOCKS_DIFFER: i64 = 60_000;

/// Every agent of the installation, attached or not.
pub struct Registry {
    trust: Arc<Trust>,
    nodes: Mutex<HashMap<NodeId, Node>>,
    /// Until the host attaches.
    refusals: Mutex<BTreeMap<NodeId, Refusal>>,
    events: broadcast::Sender<AgentEvent>,
    stopping: CancellationToken,
}

/// Why a session ends; the agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parting {
    Replaced,
    Unwelcome(Unwelcome),
    Stopping,
}

/// One attached agent, as its stream's two tasks see it.
pub struct Session {
    pub number: u64,
    pub orders: mpsc::UnboundedReceiver<ToAgent>,
    pub parting: watch::Receiver<Option<Parting>>,
}

/// What the greeting told.
pub struct Arrival {
    pub node: NodeId,
    pub from: SocketAddr,
    pub protocol: u32,
    pub clock_ahead_ms: i64,
    pub seen: AgentSeen,
    /// The highest epoch that it has met.
    pub epoch: u64,
}

/// What is known of one node beyond its record.
#[derive(Default)]
struct Node {
    attached: Option<Attached>,
    sessions: u64,
    /// The number of the session, if there is one. For those who wait.
    presence: watch::Sender<Option<u64>>,
    detached_since: Option<Timestamp>,
    seen: Option<AgentSeen>,
    inventory: Option<(Arc<Inventory>, Timestamp)>,
    waiting: BTreeMap<TaskId, Waiting>,
    unclaimed: BTreeMap<TaskId, (Outcome, Timestamp)>,
    /// The last tasks whose outcomes were acknowledged, oldest first.
    acknowledged: VecDeque<TaskId>,
    epoch: u64,
    recollection: Option<Recollection>,
}

struct Attached {
    number: u64,
    since: Timestamp,
    from: SocketAddr,
    protocol: u32,
    clock: Compared,
    orders: mpsc::UnboundedSender<ToAgent>,
    /// What it keeps for us; `None` before it has said so, and of an agent that cannot keep anything.
    kept: Option<Vec<Kept>>,
    part: watch::Sender<Option<Parting>>,
}

/// A host's clock beside ours, as it said last.
#[derive(Clone, Copy)]
struct Compared {
    ahead_ms: i64,
    at: Timestamp,
    /// When `at` was, for what no clock can be set back.
    steady: Instant,
}

impl Compared {
    /// By how many milliseconds it is ahead now. By as many as our own clock was set forward since, it is less ahead.
    fn ahead_ms(&self, now: Timestamp) -> i64 {
        let passed = i64::try_from(self.steady.elapsed().as_millis()).unwrap_or(i64::MAX);
        let told = now.as_millisecond().saturating_sub(self.at.as_millisecond());
        self.ahead_ms.saturating_sub(told.saturating_sub(passed))
    }
}

/// A task, and everybody who waits for its outcome.
struct Waiting {
    task: Task,
    sent: bool,
    answers: Vec<oneshot::Sender<Result<Done, Failure>>>,
    progress: Vec<mpsc::UnboundedSender<Progress>>,
}

impl Node {
    fn order(&self, order: ToAgent) -> bool {
        // A stream that is just ending takes nothing more; its tasks are sent again by the next one.
        self.attached.as_ref().is_some_and(|attached| attached.orders.send(order).is_ok())
    }

    fn acknowledge(&mut self, task: TaskId) {
        if self.acknowledged.len() >= REMEMBERED {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(task);
        self.order(ToAgent::Acknowledge(task));
    }

    fn part(&mut self, parting: Parting) {
        if let Some(attached) = &self.attached {
            attached.part.send_replace(Some(parting));
        }
    }
}

impl Registry {
    #[must_use]
    pub fn new(trust: Arc<Trust>, stopping: CancellationToken) -> Arc<Self> {
        let events = broadcast::Sender::new(1024);
        Arc::new(Self { trust, nodes: Mutex::default(), refusals: Mutex::default(), events, stopping })
    }

    /// Invitations, enrolment, renewal. To revoke see [`Self::revoke`].
    #[must_use]
    pub fn trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    /// Ends an agent's trust for good and closes its stream at once. `false` where it was revoked before.
    pub async fn revoke(&self, node: NodeId) -> Result<bool, RevokeError> {
        let changed = self.trust.revoke(node).await?;
        if let Some(record) = self.trust.agent(node)
            && let Some(at) = record.revoked
        {
            self.with(node, |state| {
                state.part(Parting::Unwelcome(Unwelcome::Revoked { name: record.name, at }));
                // Whoever waits hears it by the end of his channel.
                state.waiting.clear();
            });
        }
        if changed {
            self.tell(AgentEvent::Revoked { node });
        }
        Ok(changed)
    }

    /// A host of ours could not be let in.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).insert(refusal.node, refusal);
    }

    /// Ends when the coordinator stops.
    pub(super) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, node: NodeId, act: impl FnOnce(&mut Node) -> T) -> T {
        act(self.lock().entry(node).or_default())
    }

    pub(super) fn tell(&self, event: AgentEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// A stream has greeted us. The node's older one, if any, ends: its host has most likely lost it without a word.
    pub fn attach(&self, arrival: Arrival) -> Session {
        let (orders, received) = mpsc::unbounded_channel();
        let (part, parting) = watch::channel(None);
        let node = arrival.node;
        let now = self.trust.clock().now();
        let clock = Compared { ahead_ms: arrival.clock_ahead_ms, at: now, steady: Instant::now() };
        let number = self.with(node, |state| {
            state.part(Parting::Replaced);
            state.sessions += 1;
            let number = state.sessions;
            for waiting in state.waiting.values_mut() {
                waiting.sent = orders.send(ToAgent::Task(Box::new(waiting.task.clone()))).is_ok() || waiting.sent;
            }
            state.seen = Some(arrival.seen);
            state.epoch = arrival.epoch;
            state.recollection = None;
            state.attached = Some(Attached {
                number,
                since: now,
                from: arrival.from,
                protocol: arrival.protocol,
                clock,
                orders,
                kept: None,
                part,
            });
            state.presence.send_replace(Some(number));
            number
        });
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
        self.tell(AgentEvent::Attached { node });
        Session { number, orders: received, parting }
    }

    /// The stream has ended, for whatever reason. Nothing happens where a newer one has taken its place.
    pub fn detach(&self, node: NodeId, number: u64) {
        let ended = self.with(node, |state| {
            let current = state.attached.as_ref().is_some_and(|attached| attached.number == number);
            if current {
                state.attached = None;
                state.detached_since = Some(self.trust.clock().now());
                state.presence.send_replace(None);
            }
            current
        });
        if ended {
            self.tell(AgentEvent::Detached { node });
        }
    }

    /// Takes what an attached agent says. Greetings are the service's.
    pub fn hear(&self, node: NodeId, said: FromAgent) {
        match said {
            FromAgent::Hello(_) => {}
            FromAgent::Progress(progress) => self.with(node, |state| {
                if let Some(waiting) = state.waiting.get_mut(&progress.task) {
                    waiting.progress.retain(|listener| listener.send(progress.clone()).is_ok());
                }
            }),
            FromAgent::Inventory { seen, clock_ms } => {
                let now = self.trust.clock().now();
                self.compare(node, clock_ms, now);
                let ailing = seen.ailing.clone();
                let inventory = lean(*seen);
                let before = self.with(node, |state| {
                    let before = state.inventory.replace((Arc::new(inventory), now));
                    let old: Vec<TaskId> = state
                        .unclaimed
                        .iter()
                        .filter(|(_, (_, arrived))| *arrived + UNCLAIMED < now)
                        .map(|(task, _)| *task)
                        .collect();
                    for task in old {
                        state.unclaimed.remove(&task);
                        state.acknowledge(task);
                    }
                    before.map(|(before, _)| before.ailing.clone()).unwrap_or_default()
                });
                self.log_ailing(node, &before, &ailing);
                self.tell(AgentEvent::Inventory { node });
            }
            FromAgent::Outcome(outcome) => self.hear_outcome(node, *outcome),
            FromAgent::Kept(kept) => {
                self.with(node, |state| {
                    if let Some(attached) = &mut state.attached {
                        attached.kept = Some(kept);
                    }
                });
                self.tell(AgentEvent::Kept { node });
            }
            FromAgent::Recollection(part) => {
                let whole = !part.more;
                self.with(node, |state| match &mut state.recollection {
                    Some(before) if before.more => before.append(*part),
                    other => *other = Some(*part),
                });
                if whole {
                    self.tell(AgentEvent::Recollected { node });
                }
            }
        }
    }

    /// A clock may step while its host is attached.
    fn compare(&self, node: NodeId, clock_ms: Option<i64>, now: Timestamp) {
        let Some(clock_ms) = clock_ms else { return };
        let ahead_ms = clock_ms.saturating_sub(now.as_millisecond());
        let clock = Compared { ahead_ms, at: now, steady: Instant::now() };
        let before = self.with(node, |state| {
            let attached = state.attached.as_mut()?;
            Some(std::mem::replace(&mut attached.clock, clock))
        });
        let differs = |clock: Compared| clock.ahead_ms.abs() > CLOCKS_DIFFER;
        if before.is_some_and(|before| !differs(before)) && differs(clock) {
            let name = self.trust.agent(node).map_or_else(|| node.to_string(), |record| record.name.to_string());
            tracing::warn!(
                node.id = %node, node.name = %name, seconds = ahead_ms / 1000,
                "the host's clock has stepped: it is ahead of the coordinator's (behind, if negative)"
            );
        }
    }

    /// A disk that fails is told in the log once, and once when it is well again.
    fn log_ailing(&self, node: NodeId, before: &[Ailing], now: &[Ailing]) {
        let name = || self.trust.agent(node).map_or_else(|| node.to_string(), |record| record.name.to_string());
        for Ailing { device, disk, brick, fault, .. } in now.iter().filter(|one| !before.contains(one)) {
            let brick = brick.map(tracing::field::display);
            tracing::error!(device.id = %device, brick.id = brick, "{disk} on {} fails: {fault}", name());
        }
        let is_there = |one: &Ailing| now.iter().any(|other| (other.device, other.brick) == (one.device, one.brick));
        for Ailing { device, disk, brick, .. } in before.iter().filter(|one| !is_there(one)) {
            let brick = brick.map(tracing::field::display);
            tracing::warn!(device.id = %device, brick.id = brick, "{disk} on {} no longer fails", name());
        }
    }

    /// The attached agents that keep things for us, each with the number of its session and what it keeps.
    #[must_use]
    pub fn keeping(&self) -> Vec<(NodeId, u64, Vec<Kept>)> {
        let nodes = self.lock();
        let keeping = nodes.iter().filter_map(|(node, state)| {
            let attached = state.attached.as_ref()?;
            Some((*node, attached.number, attached.kept.clone()?))
        });
        keeping.collect()
    }

    /// Gives an agent that [keeps things](Self::keeping) one more. It says so when it has it on its disk.
    pub fn keep(&self, node: NodeId, keepsake: Keepsake) {
        self.with(node, |state| state.order(ToAgent::Keepsake(Box::new(keepsake))));
    }

    /// Asks an agent for all that it keeps and finds. Of no avail with one of an older protocol.
    pub fn recall(&self, node: NodeId, gluster: bool) {
        self.with(node, |state| {
            state.recollection = None;
            state.order(ToAgent::Recall { gluster })
        });
    }

    /// What the agent answered to [`Self::recall`], once it is whole.
    #[must_use]
    pub fn recollection(&self, node: NodeId) -> Option<Recollection> {
        self.lock().get(&node)?.recollection.clone().filter(|recollection| !recollection.more)
    }

    /// The highest epoch that an agent which attached has met.
    #[must_use]
    pub fn highest_epoch(&self) -> u64 {
        self.lock().values().map(|state| state.epoch).max().unwrap_or(0)
    }

    /// A task whose outcome came in a form that we cannot read: whoever waits must not wait for ever.
    pub(super) fn hear_nonsense(&self, node: NodeId, task: TaskId, why: String) {
        self.with(node, |state| {
            let failure = Failure {
                kind: FailureKind::Unknown,
                message: format!("the agent's answer cannot be read by this coordinator: {why}"),
                cure: Some("update the older of the two".to_owned()),
                obstacles: Vec::new(),
            };
            for answer in state.waiting.remove(&task).into_iter().flat_map(|waiting| waiting.answers) {
                let _ = answer.send(Err(failure.clone()));
            }
        });
    }

    fn hear_outcome(&self, node: NodeId, outcome: Outcome) {
        let task = outcome.task;
        let unclaimed = self.with(node, |state| {
            if let Some(waiting) = state.waiting.remove(&task) {
                for answer in waiting.answers {
                    // Who has stopped waiting has dropped the other end.
                    let _ = answer.send(outcome.result.clone());
                }
                state.acknowledge(task);
                return false;
            }
            if state.acknowledged.contains(&task) {
                state.order(ToAgent::Acknowledge(task));
                return false;
            }
            state.unclaimed.insert(task, (outcome.clone(), self.trust.clock().now())).is_none()
        });
        if unclaimed {
            self.tell(AgentEvent::Unclaimed { node, outcome: Box::new(outcome) });
        }
    }

    fn status_of(&self, node: NodeId, record: AgentRecord, state: Option<&Node>) -> AgentStatus {
        let presence = match (record.revoked, state.and_then(|state| state.attached.as_ref())) {
            (Some(at), _) => Presence::Revoked { at },
            (None, Some(attached)) => Presence::Attached {
                since: attached.since,
                from: attached.from,
                protocol: attached.protocol,
                clock_ahead_ms: attached.clock.ahead_ms(self.trust.clock().now()),
            },
            (None, None) => Presence::Detached { since: state.and_then(|state| state.detached_since) },
        };
        AgentStatus {
            node,
            name: record.name,
            zone: record.zone,
            presence,
            seen: state.and_then(|state| state.seen.clone()),
            enrolled: record.enrolled,
            certificate_expires: record.certificate_expires,
        }
    }
}

#[async_trait]
impl AgentApi for Registry {
    async fn carry_out(&self, node: NodeId, task: Task, patience: Patience) -> Result<Done, AgentError> {
        let Some(AgentRecord { name, revoked, .. }) = self.trust.agent(node) else {
            return Err(AgentError::Unknown { node });
        };
        if revoked.is_some() {
            return Err(AgentError::Revoked { node, name });
        }
        let id = task.id;
        let failed = |failure| AgentError::Failed { node, name: name.clone(), failure };
        let (answer, answered) = oneshot::channel();
        let (mut presence, claimed) = self.with(node, |state| {
            let claimed = state.unclaimed.remove(&id).map(|(outcome, _)| outcome.result);
            if claimed.is_some() {
                state.acknowledge(id);
            } else {
                // An outcome of an earlier round says nothing of this one.
                state.acknowledged.retain(|known| *known != id);
                let joining = state.waiting.contains_key(&id);
                let sent = joining || state.order(ToAgent::Task(Box::new(task.clone())));
                let waiting = state.waiting.entry(id).or_insert_with(|| Waiting {
                    task,
                    sent,
                    answers: Vec::new(),
                    progress: Vec::new(),
                });
                waiting.answers.push(answer);
                waiting.progress.extend(patience.progress.clone());
            }
            (state.presence.subscribe(), claimed)
        });
        if let Some(result) = claimed {
            return result.map_err(failed);
        }
        let _forget = Forget { registry: self, node, task: id };

        let started = Instant::now();
        tokio::select! {
            biased;
            answer = answered => match answer {
                Ok(result) => result.map_err(failed),
                Err(_) => self.gave_up(node, name, id),
            },
            () = self.stopping.cancelled() => Err(AgentError::Stopping),
            () = absent_for(&mut presence, patience.absence) => self.gave_up(node, name, id),
            () = passed(started, patience.limit) => match self.status(node).map(|status| status.presence) {
                Some(Presence::Attached { .. }) => {
                    let limit = patience.limit.unwrap_or_default();
                    Err(AgentError::Unanswered { node, name, task: id, limit })
                }
                _ => self.gave_up(node, name, id),
            },
        }
    }

    fn status(&self, node: NodeId) -> Option<AgentStatus> {
        let record = self.trust.agent(node)?;
        Some(self.status_of(node, record, self.lock().get(&node)))
    }

    fn all(&self) -> Vec<AgentStatus> {
        let records = self.trust.agents();
        let nodes = self.lock();
        let mut all: Vec<_> =
            records.into_iter().map(|(node, record)| self.status_of(node, record, nodes.get(&node))).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn inventory(&self, node: NodeId) -> Option<(Arc<Inventory>, Timestamp)> {
        self.lock().get(&node)?.inventory.clone()
    }

    fn is_attached(&self, node: NodeId) -> bool {
        self.sight(node).attached
    }

    fn sight(&self, node: NodeId) -> Sight {
        self.sights(&[node]).pop().unwrap_or_default()
    }

    fn sights(&self, nodes: &[NodeId]) -> Vec<Sight> {
        let trusted = self.trust.trusted(nodes);
        let known = self.lock();
        let sight = |(node, trusted): (&NodeId, bool)| {
            let state = known.get(node);
            let attached = state.and_then(|state| state.attached.as_ref()).filter(|_| trusted);
            let protocol = attached.map(|attached| attached.protocol);
            Sight { attached: attached.is_some(), protocol, inventory: state.and_then(|state| state.inventory.clone()) }
        };
        nodes.iter().zip(trusted).map(sight).collect()
    }

    fn by_name(&self, name: &str) -> Option<NodeId> {
        self.trust.by_name(name)
    }

    fn events(&self) -> broadcast::Receiver<AgentEvent> {
        self.events.subscribe()
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let holds =
            |refusal: &&Refusal| refusal.why != Refused::UnknownNode || self.trust.agent(refusal.node).is_none();
        refusals.values().filter(holds).copied().collect()
    }
}

impl Registry {
    fn gave_up(&self, node: NodeId, name: HostName, task: TaskId) -> Result<Done, AgentError> {
        if self.trust.agent(node).is_some_and(|agent| agent.revoked.is_some()) {
            return Err(AgentError::Revoked { node, name });
        }
        Err(self.with(node, |state| AgentError::Detached {
            node,
            name,
            since: state.detached_since,
            sent: state.waiting.get(&task).is_some_and(|waiting| waiting.sent),
        }))
    }
}

/// Ends when the agent has been away for `absence` without a break; for an agent that was away before, from now on.
async fn absent_for(presence: &mut watch::Receiver<Option<u64>>, absence: Option<Duration>) {
    loop {
        // The sender lives in the registry, which lives as long as whoever waits here.
        if presence.wait_for(Option::is_none).await.is_err() {
            return;
        }
        let came_back = presence.wait_for(Option::is_some);
        match absence {
            None => drop(came_back.await),
            Some(absence) => {
                if tokio::time::timeout(absence, came_back).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn passed(started: Instant, limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(started + limit).await,
        None => std::future::pending().await,
    }
}

/// Takes a task out of the queue once nobody waits for it any more.
struct Forget<'a> {
    registry: &'a Registry,
    node: NodeId,
    task: TaskId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.registry.with(self.node, |state| {
            if let Some(waiting) = state.waiting.get_mut(&self.task) {
                waiting.answers.retain(|answer| !answer.is_closed());
                if waiting.answers.is_empty() {
                    state.waiting.remove(&self.task);
                }
            }
        });
    }
}
