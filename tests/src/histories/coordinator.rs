//! The coordinator of a history: the program's own parts, put together as `service::Coordinator::start` does it, with a
//! simulated disk below, simulated connections in place of listeners, and the history's clock.
//!
//! In it: the store's guards, trust, the registry, the state, operations, reconciliation, the watch of thin pools and the
//! end of what lies in the trash. Not in it: REST, exports, what is handed to hosts to keep, and the watch of GlusterFS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bricklayer_coordinator::agents::{AgentApi, Arrival, Registry};
use bricklayer_coordinator::ops::{self, BlockPolicy, Context, Operations, Policy};
use bricklayer_coordinator::pki::{Clock, Start, Trust};
use bricklayer_coordinator::reconcile;
use bricklayer_coordinator::state::{SCHEMA, State};
use bricklayer_proto::size::{ByteSize, GIB};
use bricklayer_proto::wire::{self, FromAgent, Hello, ToAgent, Welcome};
use bricklayer_store::Store;
use bricklayer_store::simulated::Disk;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::planted::{Planted, SkipsUndo};
use super::program::Program;
use super::wire::{AgentEnd, over_the_wire_up};

const GREETING: Duration = Duration::from_secs(20);

/// How often is looked for what is over in the trash.
pub const TRASH_LOOK: Duration = Duration::from_secs(2);

pub struct Coordinator {
    pub program: Program,
    pub operations: Operations,
    pub registry: Arc<Registry>,
    pub accept: UnboundedSender<AgentEnd>,
    pub epoch: u64,
}

impl Coordinator {
    /// Starts it on what its disk holds; `None` if the disk was cut off under it. `now`: in the history.
    #[must_use]
    pub fn start(disk: &Disk, authority: &Path, now: Duration, planted: Option<Planted>) -> Option<Self> {
        let program = Program::new();
        let started = program.enter(|| Self::parts(disk, authority, now, planted));
        let (operations, registry, trust) = started.ok()?;
        let (accept, mut accepted) = unbounded_channel::<AgentEnd>();
        let epoch = trust.epoch();
        let serving = (Arc::clone(&registry), trust);
        program.spawn(async move {
            while let Some(agent) = accepted.recv().await {
                let (registry, trust) = serving.clone();
                tokio::spawn(async move { serve(&registry, &trust, agent).await });
            }
        });
        Some(Self { program, operations, registry, accept, epoch })
    }

    fn parts(
        disk: &Disk,
        authority: &Path,
        now: Duration,
        planted: Option<Planted>,
    ) -> anyhow::Result<(Operations, Arc<Registry>, Arc<Trust>)> {
        let store = Store::on(disk, SCHEMA)?;
        let clock = clock(now);
        let start = Start { addresses: vec!["coordinator:24010".into()], epoch_at_least: 0, clock: clock.clone() };
        let trust = Trust::open(store.clone(), authority, start)?;
        let stop = CancellationToken::new();
        let registry = Registry::new(Arc::clone(&trust), stop.clone());
        let state = Arc::new(State::load(store)?);
        let mut agents = Arc::clone(&registry) as Arc<dyn AgentApi>;
        if planted == Some(Planted::UndoSkipped) {
            agents = Arc::new(SkipsUndo::before(agents));
        }
        let context = Context::new(Arc::clone(&state), Arc::clone(&agents), trust.installation(), trust.epoch())
            .with_policy(policy())
            .with_clock(clock);
        let operations = Operations::new(context);
        tokio::spawn(reconcile::run(state, agents, stop.clone()));
        operations.resume();
        tokio::spawn(ops::watch_pools(operations.clone(), stop.clone()));
        tokio::spawn(ops::watch_boots(operations.clone(), stop.clone()));
        tokio::spawn(ops::expire_trash(operations.clone(), stop));
        Ok((operations, registry, trust))
    }
}

/// The wall clock of a history, as its programs have it.
#[must_use]
pub fn wall(now: Duration) -> Timestamp {
    let began = Timestamp::from_second(1_800_000_000).expect("a time");
    began.checked_add(now).expect("no history takes so long")
}

/// A wall clock that goes on with the time of the runtime that asks it.
fn clock(now: Duration) -> Clock {
    let started = Instant::now();
    Clock::from_fn(move || wall(now + started.elapsed()))
}

/// Time costs nothing here; what is waited for is short all the same, so that more happens in a history.
fn policy() -> Policy {
    Policy {
        absence: Duration::from_secs(20),
        greeting: Duration::from_secs(5),
        undoing: Duration::from_secs(10),
        look: Duration::from_secs(1),
        settled: Duration::from_secs(5),
        healing: Duration::from_secs(30),
        reports_lag: Duration::ZERO,
        trash_look: TRASH_LOOK,
        block: BlockPolicy {
            create_hosting_volumes: true,
            hosting_size: ByteSize::from_bytes(5 * GIB),
            ..BlockPolicy::default()
        },
        ..Policy::default()
    }
}

/// One agent's stream, as `agents::service` serves it.
async fn serve(registry: &Arc<Registry>, trust: &Arc<Trust>, agent: AgentEnd) {
    let AgentEnd { node, mut said, tell } = agent;
    let Ok(Some(FromAgent::Hello(hello))) = tokio::time::timeout(GREETING, said.recv()).await else { return };
    let Hello { epoch, seen, clock_ms, .. } = hello;
    let Some(status) = registry.status(node) else { return };
    if epoch > trust.epoch() {
        return;
    }
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    let protocol = *wire::PROTOCOLS.end();
    let mut session = registry.attach(Arrival { node, from, protocol, clock_ahead_ms: 0, seen, epoch });
    let installation = trust.installation();
    let welcome = Welcome { installation, epoch: trust.epoch(), protocol, clock_ms, name: status.name };
    let _ = tell.send(ToAgent::Welcome(welcome));
    loop {
        tokio::select! {
            biased;
            _ = session.parting.wait_for(Option::is_some) => break,
            order = session.orders.recv() => {
                let Some(order) = order else { break };
                if tell.send(order).is_err() { break }
            }
            message = said.recv() => match message {
                Some(message) => registry.hear(node, over_the_wire_up(message)),
                None => break,
            },
        }
    }
    registry.detach(node, session.number);
}
