//! One attached stream: what comes from the coordinator, what goes to it, until either side ends it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bricklayer_proto::ids::TaskId;
use bricklayer_proto::inventory::{AgentSeen, Inventory};
use bricklayer_proto::keepsake::{Keepsake, Recollection};
use bricklayer_proto::names::HostName;
use bricklayer_proto::task::{Failure, FailureKind, Outcome, Progress, Task};
use bricklayer_proto::wire::parts::{self, Gather};
use bricklayer_proto::wire::v1::agents_client::AgentsClient;
use bricklayer_proto::wire::{self, FromAgent, Hello, ToAgent, Welcome, v1};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{Agent, SessionError, from_status};
use crate::engine::{Engine, Records, chain};
use crate::host::HostError;
use crate::identity::Identity;
use crate::keepsakes::{KeepsakeError, Keepsakes};
use crate::observe;

/// A coordinator that has shaken hands greets within this time.
const GREETING: Duration = Duration::from_secs(20);

/// How often is looked whether the identity on the disk has changed: this host may have enrolled anew.
const IDENTITY: Duration = Duration::from_secs(10);

/// What tasks are doing is told this often: a person cannot read faster, and a step that takes less is over by then.
const PROGRESS: Duration = Duration::from_millis(200);

/// How often is looked whether glusterd has come or gone: the agent starts before it, and bricks are placed only on
/// hosts where it runs. The look is one connection to a local socket.
const GLUSTERD: Duration = Duration::from_secs(1);

/// How often the host is looked at while a thin pool may fill up: the coordinator extends it by what it is told.
const FILLING: Duration = Duration::from_secs(5);

/// Larger differences of the two clocks, in milliseconds, are said aloud: certificates and logs depend on them.
const CLOCKS_DIFFER: i64 = 60_000;

/// So many of glusterd's volumes go into one message to a coordinator that asks for all: some hundred bytes for each
/// brick, and volumes of some hundred bricks are few.
const VOLUMES_AT_ONCE: usize = 1000;

/// A renewal that failed is tried again after this; there are weeks left.
const RENEW_AGAIN: Duration = Duration::from_secs(600);

/// How an attachment ended without anything being wrong.
pub enum Ended {
    Shutdown,
    /// There is a new certificate or identity on the disk.
    Renewed,
}

pub struct Attached {
    say: mpsc::UnboundedSender<v1::FromAgent>,
    told: Streaming<v1::ToAgent>,
    gather: Gather<v1::ToAgent>,
    /// What is spoken on this stream.
    protocol: u32,
    /// Tasks whose outcomes were told at the beginning of this stream. The coordinator may have sent such a task before
    /// it heard that; it needs no second answer.
    answered: HashSet<TaskId>,
    tasks: JoinSet<Outcome>,
    /// Cancelled when this stream ends, so that nothing is begun for it after that.
    asked: CancellationToken,
    _end: DropGuard,
    /// What each task does now, and the coordinator has not been told.
    doing: BTreeMap<TaskId, Progress>,
    inventories: JoinSet<Result<Inventory, HostError>>,
    keepsakes: Keepsakes,
    recollections: JoinSet<Vec<Recollection>>,
    /// Something has changed since the running inventory was begun.
    outdated: bool,
    /// What was told last.
    last: Option<Inventory>,
    /// It is told once more, also where nothing has changed.
    anew: bool,
    /// When to look again, as a thin pool is filling up.
    look_again: Option<Instant>,
}

impl Attached {
    /// Opens the stream and exchanges greetings.
    pub async fn greet(
        mut client: AgentsClient<Channel>,
        identity: &Identity,
        seen: AgentSeen,
        agent: &Agent,
    ) -> Result<Self, SessionError> {
        let journal = agent.executor.journal();
        let hello = Hello {
            protocols: agent.config.protocols.clone(),
            node: identity.node,
            epoch: journal.epoch(),
            clock_ms: agent.config.clock.now().as_millisecond(),
            seen,
        };
        let (say, said) = mpsc::unbounded_channel();
        // The receiver lives until the request has ended.
        let _ = say.send(FromAgent::Hello(hello).into());
        let opened = tokio::time::timeout(GREETING, client.attach(UnboundedReceiverStream::new(said))).await;
        let mut told = opened.map_err(|_| SessionError::Silence)?.map_err(from_status)?.into_inner();
        let first = tokio::time::timeout(GREETING, told.message()).await;
        let first = first.map_err(|_| SessionError::Silence)?.map_err(from_status)?;
        let first = first.ok_or_else(|| SessionError::Greeting("it closed the stream".to_owned()))?;
        let ToAgent::Welcome(welcome) = ToAgent::try_from(first)? else {
            return Err(SessionError::Greeting("its first message is something else".to_owned()));
        };
        check(&welcome, identity)?;
        let ahead = agent.config.clock.now().as_millisecond().saturating_sub(welcome.clock_ms);
        if ahead.abs() > CLOCKS_DIFFER {
            let seconds = ahead / 1000;
            tracing::warn!(seconds, "this host's clock is ahead of the coordinator's (behind, if negative)");
        }
        let epoch = journal.greet(welcome.epoch).await?;
        if epoch > welcome.epoch {
            return Err(SessionError::Stale { welcome: Box::new(welcome), seen: epoch });
        }
        let mut answered = HashSet::new();
        for outcome in journal.unacknowledged() {
            answered.insert(outcome.task);
            let _ = say.send(FromAgent::Outcome(Box::new(outcome)).into());
        }
        let keepsakes = Keepsakes::of(&agent.config.data_dir, identity.installation);
        if welcome.protocol >= wire::KEEPSAKES_SINCE {
            let kept = in_the_background(&keepsakes, |keepsakes| keepsakes.kept()).await;
            let _ = say.send(FromAgent::Kept(kept).into());
        }
        let asked = CancellationToken::new();
        Ok(Self {
            say,
            told,
            gather: Gather::default(),
            protocol: welcome.protocol,
            answered,
            tasks: JoinSet::new(),
            _end: asked.clone().drop_guard(),
            asked,
            doing: BTreeMap::new(),
            inventories: JoinSet::new(),
            keepsakes,
            recollections: JoinSet::new(),
            outdated: false,
            last: None,
            anew: false,
            look_again: None,
        })
    }

    /// Serves the stream. Tasks that have begun when it ends run on; their outcomes are in the journal. Those that wait for
    /// their turn are not begun.
    pub async fn serve(
        mut self,
        client: AgentsClient<Channel>,
        identity: &Identity,
        agent: &Agent,
    ) -> Result<Ended, SessionError> {
        let executor = &agent.executor;
        let mut progress = executor.progress();
        let mut changes = executor.changes();
        let mut inventory = tokio::time::interval(agent.config.timing.inventory);
        inventory.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watch = executor.engine().watch();
        let mut ailing = watch.changes();
        let mut disks = tokio::time::interval(agent.config.timing.disks);
        disks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut settling = Settling { pause: agent.config.timing.settle, since: None, until: None };
        let mut identity_check = tokio::time::interval(IDENTITY);
        let mut glusterd_check = tokio::time::interval(GLUSTERD);
        glusterd_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut glusterd_runs = None;
        let wait = Agent::renew_at(identity).duration_since(agent.config.clock.now());
        let mut renew_at = Instant::now() + Duration::try_from(wait).unwrap_or_default();
        // Kept over the turns of the loop: a request that is dropped half-way has been made in vain.
        let mut renewal = JoinSet::new();
        let mut tell_progress = None;
        let mut stopping = false;
        self.tell_what_ails(agent)?;
        loop {
            if stopping && self.tasks.is_empty() {
                executor.journal().settle().await?;
                return Ok(Ended::Shutdown);
            }
            tokio::select! {
                () = agent.shutdown.cancelled(), if !stopping => stopping = true,
                message = self.told.message() => match message.map_err(from_status)? {
                    Some(message) => if let Some(message) = self.gather.take(message)? {
                        self.hear(message, identity, agent, stopping).await?;
                    },
                    None => return Err(from_status(Status::unavailable("the coordinator has closed the stream"))),
                },
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(outcome) => {
                        self.doing.remove(&outcome.task);
                        self.say(FromAgent::Outcome(Box::new(outcome)))?;
                    }
                    // The executor catches panics of the work itself; the outcome is asked for again.
                    Err(error) => tracing::error!(%error, "a task ended without an outcome"),
                },
                told = progress.recv() => match told {
                    Ok(progress) => {
                        self.doing.insert(progress.task, progress);
                        tell_progress.get_or_insert_with(|| Instant::now() + PROGRESS);
                    }
                    // Progress is for people who watch; what they missed is past.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(Ended::Shutdown),
                },
                () = at(tell_progress) => {
                    tell_progress = None;
                    for progress in std::mem::take(&mut self.doing).into_values() {
                        self.say(FromAgent::Progress(progress))?;
                    }
                }
                Ok(()) = changes.changed() => settling.put_off(Instant::now()),
                () = settling.over() => {
                    settling = Settling { since: None, until: None, ..settling };
                    self.look(agent);
                }
                () = at(self.look_again) => {
                    self.look_again = None;
                    self.look(agent);
                }
                _ = inventory.tick() => {
                    self.anew = true;
                    executor.engine().ask_for_volumes_anew();
                    self.look(agent);
                }
                _ = disks.tick() => watch.look(agent.config.clock.now().as_millisecond()),
                Ok(()) = ailing.changed() => {
                    self.tell_what_ails(agent)?;
                    self.look(agent);
                }
                Some(seen) = self.inventories.join_next() => self.seen(seen, agent)?,
                Some(recollected) = self.recollections.join_next() => match recollected {
                    Ok(parts) => for part in parts {
                        self.say(FromAgent::Recollection(Box::new(part)))?;
                    },
                    Err(error) => tracing::error!(%error, "what this host recollects could not be told"),
                },
                _ = glusterd_check.tick() => {
                    executor.journal().settle().await?;
                    let runs = executor.engine().host().gluster_is_running().await.unwrap_or_default();
                    if glusterd_runs.replace(runs).is_some_and(|before| before != runs) {
                        if !runs {
                            // Beside the stream: the disk of the root file system may be slow.
                            let engine = Arc::clone(executor.engine());
                            tokio::spawn(async move { engine.mend_gluster_store().await });
                        }
                        self.look(agent);
                    }
                }
                _ = identity_check.tick() => {
                    let now = Identity::load(&agent.config.data_dir);
                    if now.is_ok_and(|now| !now.is_same(identity)) {
                        return Ok(Ended::Renewed);
                    }
                }
                () = tokio::time::sleep_until(renew_at), if renewal.is_empty() && !stopping => {
                    renewal.spawn(Agent::request_renewal(client.clone()));
                }
                Some(renewed) = renewal.join_next() => {
                    let renewed = renewed.unwrap_or_else(|_| Err(SessionError::Silence));
                    match renewed.and_then(|(key, credentials)| agent.take(identity, &key, credentials)) {
                        Ok(()) => return Ok(Ended::Renewed),
                        Err(error) => {
                            tracing::warn!("the certificate could not be renewed: {}", chain(&error));
                            renew_at = Instant::now() + RENEW_AGAIN;
                        }
                    }
                }
            }
        }
    }

    fn say(&self, said: FromAgent) -> Result<(), SessionError> {
        let message = v1::FromAgent::from(said);
        let parts = if self.protocol >= wire::PARTS_SINCE { parts::cut(message) } else { vec![message] };
        let ended = || from_status(Status::unavailable("the stream has ended"));
        parts.into_iter().try_for_each(|part| self.say.send(part).map_err(|_| ended()))
    }

    async fn hear(
        &mut self,
        message: v1::ToAgent,
        identity: &Identity,
        agent: &Agent,
        stopping: bool,
    ) -> Result<(), SessionError> {
        match ToAgent::try_from(message) {
            Ok(ToAgent::Task(task)) if stopping => {
                tracing::info!(task.id = %task.id, "a task came while the agent stops; it is left to the next start");
            }
            Ok(ToAgent::Task(task)) => self.begin(*task, agent),
            Ok(ToAgent::Acknowledge(task)) => {
                self.answered.remove(&task);
                agent.executor.journal().acknowledge(task).await?;
            }
            Ok(ToAgent::Keepsake(keepsake)) => self.keep(*keepsake).await?,
            Ok(ToAgent::Recall { gluster }) => {
                tracing::info!("the coordinator has lost its state and asks what this host recollects");
                let executor = Arc::clone(&agent.executor);
                let (name, keepsakes) = (identity.name.clone(), self.keepsakes.clone());
                self.recollections.spawn(async move { recollect(executor.engine(), name, keepsakes, gluster).await });
            }
            Ok(ToAgent::Welcome(_)) => return Err(SessionError::Greeting("it greeted twice".to_owned())),
            Err(error) => {
                let Some(task) = error.task else { return Err(error.into()) };
                // A newer coordinator asks for something that this agent has never heard of.
                tracing::warn!(task.id = %task, "a task was not understood: {error}");
                let failure = not_understood(&error.to_string());
                self.say(FromAgent::Outcome(Box::new(Outcome { task, result: Err(failure) })))?;
            }
        }
        Ok(())
    }

    /// Says what is kept, be it this one or a newer one. One that cannot be written down is not acknowledged, and sent
    /// again when this agent attaches anew.
    async fn keep(&mut self, keepsake: Keepsake) -> Result<(), SessionError> {
        let kind = keepsake.kind;
        let taken = in_the_background(&self.keepsakes, move |keepsakes| {
            let taken = keepsakes.take(&keepsake)?;
            Ok::<_, KeepsakeError>((taken, keepsakes.kept()))
        });
        match taken.await {
            Ok((taken, kept)) => {
                if !taken {
                    tracing::warn!(%kind, "the coordinator sent an older keepsake than this host has; it was not taken");
                }
                self.say(FromAgent::Kept(kept))
            }
            Err(error) => {
                tracing::error!(%kind, "a keepsake could not be written down: {}", chain(&error));
                Ok(())
            }
        }
    }

    fn begin(&mut self, task: Task, agent: &Agent) {
        if self.answered.remove(&task.id) {
            return;
        }
        let (executor, asked) = (Arc::clone(&agent.executor), self.asked.clone());
        self.tasks.spawn(async move { executor.carry_out_while(task, asked).await });
    }

    /// Begins an inventory, or notes that another one is due after the running one.
    fn look(&mut self, agent: &Agent) {
        if self.inventories.is_empty() {
            let executor = Arc::clone(&agent.executor);
            self.inventories.spawn(async move { executor.engine().inventory().await });
        } else {
            self.outdated = true;
        }
    }

    /// At once, with all else as it was told last, on this stream or one before it: a look at the host may hang at the very
    /// disk that is to be told of.
    fn tell_what_ails(&mut self, agent: &Agent) -> Result<(), SessionError> {
        let engine = agent.executor.engine();
        let ailing = engine.watch().ailing();
        let news = match &self.last {
            Some(last) => last.ailing != ailing,
            None => !ailing.is_empty(),
        };
        if news && let Some(last) = self.last.take().or_else(|| engine.last_inventory()) {
            let told = Inventory { ailing, ..last };
            self.tell(told, agent)?;
        }
        Ok(())
    }

    fn tell(&mut self, inventory: Inventory, agent: &Agent) -> Result<(), SessionError> {
        let clock_ms = Some(agent.config.clock.now().as_millisecond());
        self.say(FromAgent::Inventory { seen: Box::new(inventory.clone()), clock_ms })?;
        self.last = Some(inventory);
        Ok(())
    }

    fn seen(
        &mut self,
        seen: Result<Result<Inventory, HostError>, tokio::task::JoinError>,
        agent: &Agent,
    ) -> Result<(), SessionError> {
        match seen {
            Ok(Ok(inventory)) => {
                self.look_again = observe::is_filling(&inventory).then(|| Instant::now() + FILLING);
                if std::mem::take(&mut self.anew) || self.last.as_ref() != Some(&inventory) {
                    self.tell(inventory, agent)?;
                }
            }
            Ok(Err(error)) => tracing::warn!("no inventory could be made: {}", chain(&error)),
            Err(error) => tracing::error!(%error, "an inventory failed"),
        }
        if std::mem::take(&mut self.outdated) {
            self.look(agent);
        }
        Ok(())
    }
}

/// Files are read and written where it may take its time.
async fn in_the_background<T: Send + 'static>(
    keepsakes: &Keepsakes,
    work: impl FnOnce(&Keepsakes) -> T + Send + 'static,
) -> T {
    let keepsakes = keepsakes.clone();
    match tokio::task::spawn_blocking(move || work(&keepsakes)).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// All that a coordinator without a state wants to know, in messages that are not too large.
async fn recollect(engine: &Engine, name: HostName, keepsakes: Keepsakes, gluster: bool) -> Vec<Recollection> {
    let kept = in_the_background(&keepsakes, Keepsakes::all).await;
    let records = match engine.inventory().await {
        Ok(inventory) => engine.records(&inventory).await,
        Err(error) => {
            tracing::warn!("no inventory could be made: {}", chain(&error));
            Records::default()
        }
    };
    let volumes = if gluster {
        engine
            .gluster_volumes()
            .await
            .inspect_err(|error| tracing::warn!("glusterd's volumes could not be listed: {}", chain(error)))
            .ok()
    } else {
        None
    };
    let part = |gluster| Recollection {
        name: name.clone(),
        keepsakes: Vec::new(),
        records: BTreeMap::new(),
        unreadable: BTreeMap::new(),
        gluster,
        more: true,
    };
    // The kinds one by one, as each may be nearly as large as a message.
    let mut parts: Vec<_> = kept.into_iter().map(|kept| Recollection { keepsakes: vec![kept], ..part(None) }).collect();
    parts.push(Recollection { records: records.read, unreadable: records.unreadable, ..part(None) });
    match volumes {
        Some(volumes) if volumes.is_empty() => parts.push(part(Some(volumes))),
        Some(volumes) => parts.extend(volumes.chunks(VOLUMES_AT_ONCE).map(|chunk| part(Some(chunk.to_vec())))),
        None => {}
    }
    if let Some(last) = parts.last_mut() {
        last.more = false;
    }
    parts
}

/// When to look after changes that may go on.
struct Settling {
    pause: Duration,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Settling {
    fn put_off(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.until = Some((now + self.pause).min(since + self.pause * 10));
    }

    async fn over(&self) {
        at(self.until).await;
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Names the task; all those that this agent knows instead, which the reader adds, would fill the screen.
fn not_understood(error: &str) -> Failure {
    let why = error.split(", expected one of").next().unwrap_or(error);
    let version = env!("CARGO_PKG_VERSION");
    Failure {
        kind: FailureKind::Refused,
        message: format!("this agent, of version {version}, does not understand what is asked of it: {why}"),
        cure: Some("Update bricklayer-agent on this host".to_owned()),
        obstacles: Vec::new(),
    }
}

fn check(welcome: &Welcome, identity: &Identity) -> Result<(), SessionError> {
    if welcome.installation != identity.installation {
        let (theirs, ours) = (welcome.installation, identity.installation);
        return Err(SessionError::Greeting(format!("it is of installation {theirs}, this agent of {ours}")));
    }
    if !wire::PROTOCOLS.contains(&welcome.protocol) {
        return Err(SessionError::Greeting(format!("it chose protocol {}, which was not offered", welcome.protocol)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_of_a_newer_coordinator_is_refused_by_its_name_and_with_the_cure() {
        let task = v1::Task {
            id: TaskId::from_u128(1).to_string(),
            operation: "0".repeat(32),
            epoch: 1,
            wanted_json: br#"{"kind":"brick-polished","brick":"1"}"#.to_vec(),
        };
        let message = v1::ToAgent { message: Some(v1::to_agent::Message::Task(task)) };
        let error = ToAgent::try_from(message).unwrap_err();
        assert_eq!(error.task, Some(TaskId::from_u128(1)));
        let failure = not_understood(&error.to_string());
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.message.ends_with("unknown variant `brick-polished`"), "{}", failure.message);
        assert!(failure.cure.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_of_tasks_puts_the_inventory_off_and_not_for_ever() {
        let begun = Instant::now();
        let mut settling = Settling { pause: Duration::from_secs(1), since: None, until: None };
        for seconds in [0, 1, 2] {
            settling.put_off(begun + Duration::from_secs(seconds));
        }
        assert_eq!(settling.until, Some(begun + Duration::from_secs(3)));
        settling.put_off(begun + Duration::from_millis(9500));
        settling.over().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }
}
