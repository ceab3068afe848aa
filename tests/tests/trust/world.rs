//! A coordinator's trust and agents' sessions over real mutual TLS on 127.0.0.1, each with a clock that tests set.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bricklayer_agent::identity::{self, EnrolError, Enrolment, Identity};
use bricklayer_agent::session::{self, Config, Timing};
use bricklayer_coordinator::agents::{self, AgentApi, AgentStatus, Presence, Registry};
use bricklayer_coordinator::pki::{self, DEFAULT_INVITATION_LIFE, Invitation, NewInvitation, Start, Trust};
use bricklayer_coordinator::state::SCHEMA;
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::wire::PROTOCOLS;
use bricklayer_proto::wire::token::Token;
use bricklayer_store::Store;
use bricklayer_tests::sim::SimCluster;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Real time, shifted.
#[derive(Clone, Default)]
pub struct Shift(Arc<AtomicI64>);

impl Shift {
    pub fn set(&self, by: SignedDuration) {
        self.0.store(by.as_secs(), Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }

    pub fn of_coordinator(&self) -> pki::Clock {
        let shift = self.clone();
        pki::Clock::from_fn(move || shift.now())
    }

    pub fn of_agent(&self) -> identity::Clock {
        let shift = self.clone();
        identity::Clock::from_fn(move || shift.now())
    }
}

/// A coordinator: its trust, its registry, its port.
pub struct World {
    pub dir: TempDir,
    pub clock: Shift,
    pub trust: Arc<Trust>,
    pub registry: Arc<Registry>,
    pub address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
    pub store: Store,
}

impl World {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), SCHEMA).unwrap();
        let clock = Shift::default();
        Trust::found(&store, &dir.path().join("ca"), &clock.of_coordinator()).unwrap();
        Self::open(dir, store, clock, None).await
    }

    async fn open(dir: TempDir, store: Store, clock: Shift, address: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind(address.unwrap_or(([127, 0, 0, 1], 0).into())).await.unwrap();
        let address = listener.local_addr().unwrap();
        let addresses = vec![address.to_string()];
        let start = Start { addresses, epoch_at_least: 0, clock: clock.of_coordinator() };
        let trust = Trust::open(store.clone(), &dir.path().join("ca"), start).unwrap();
        let stop = CancellationToken::new();
        let registry = Registry::new(Arc::clone(&trust), stop.clone());
        let serving = agents::serve(listener, Arc::clone(&registry), stop.clone());
        let served = tokio::spawn(async move { serving.await.unwrap() });
        Self { dir, clock, trust, registry, address, stop, served, store }
    }

    /// The coordinator's program ends and starts again, with what is on its disk.
    pub async fn restart(self) -> Self {
        let (dir, clock, address) = self.stop().await;
        let store = Store::open(&dir.path().join("store"), SCHEMA).unwrap();
        Self::open(dir, store, clock, Some(address)).await
    }

    /// The coordinator's store is lost, and made again of an export.
    pub async fn restart_from(self, export: &Path) -> Self {
        let (dir, clock, address) = self.stop().await;
        let place = dir.path().join("store");
        std::fs::remove_dir_all(&place).unwrap();
        let store = Store::import(export, &place, SCHEMA).unwrap();
        Trust::restored(&store, clock.now()).unwrap();
        Self::open(dir, store, clock, Some(address)).await
    }

    async fn stop(self) -> (TempDir, Shift, SocketAddr) {
        let Self { dir, clock, trust, registry, address, stop, served, store } = self;
        stop.cancel();
        served.await.unwrap();
        drop((trust, registry));
        store.close();
        (dir, clock, address)
    }

    pub async fn invite(&self, name: &str) -> Invitation {
        self.invite_with(name, false).await
    }

    pub async fn invite_with(&self, name: &str, rejoin: bool) -> Invitation {
        let name = name.parse().unwrap();
        let wanted = NewInvitation { name, zone: Some(1), life: DEFAULT_INVITATION_LIFE, rejoin, node: None };
        self.trust.invite(wanted).await.unwrap()
    }

    /// A host that has enrolled under this name.
    pub async fn enrolled(&self, name: &str) -> Home {
        let home = Home::new(name);
        home.enrol(&self.invite(name).await.line).await.unwrap();
        home
    }

    pub fn status(&self, node: NodeId) -> AgentStatus {
        self.registry.status(node).unwrap()
    }

    pub async fn until_attached(&self, node: NodeId) {
        until("the agent is attached", || self.registry.is_attached(node)).await;
    }

    pub async fn until_detached(&self, node: NodeId) {
        until("the agent is detached", || {
            matches!(self.status(node).presence, Presence::Detached { since: Some(_) } | Presence::Revoked { .. })
        })
        .await;
    }
}

/// The data directory of one host's agent.
pub struct Home {
    pub dir: TempDir,
    pub name: String,
    pub machine_id: String,
    pub clock: Shift,
}

impl Home {
    pub fn new(name: &str) -> Self {
        let machine_id = format!("machine-of-{name}");
        Self { dir: tempfile::tempdir().unwrap(), name: name.to_owned(), machine_id, clock: Shift::default() }
    }

    pub fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).unwrap()
    }

    pub fn identity_file(&self) -> Utf8PathBuf {
        Identity::dir(self.path()).join("identity.json")
    }

    pub fn status_file(&self) -> Utf8PathBuf {
        self.path().join("status.json")
    }

    pub fn journal_dir(&self) -> Utf8PathBuf {
        self.path().join("journal")
    }

    pub fn identity(&self) -> Identity {
        Identity::load(self.path()).unwrap()
    }

    pub fn node(&self) -> NodeId {
        self.identity().node
    }

    pub async fn enrol(&self, line: &str) -> Result<Identity, EnrolError> {
        self.enrol_with(line, false).await
    }

    pub async fn enrol_with(&self, line: &str, replace: bool) -> Result<Identity, EnrolError> {
        let token: Token = line.parse().unwrap();
        identity::enrol(Enrolment {
            token: &token,
            data_dir: self.path(),
            machine_id: self.machine_id.clone(),
            replace,
            clock: self.clock.of_agent(),
        })
        .await
    }

    /// Runs the agent on a simulated host.
    pub fn run(&self) -> Running {
        let host = SimCluster::new().add_host(&[self.name.parse().unwrap()]);
        let config = Config {
            data_dir: self.path().to_owned(),
            journal_dir: self.journal_dir(),
            status_file: Some(self.status_file()),
            notify_systemd: false,
            timing: Timing {
                first_pause: Duration::from_millis(20),
                longest_pause: Duration::from_millis(200),
                enrolment: Duration::from_millis(20),
                ..Timing::default()
            },
            clock: self.clock.of_agent(),
            protocols: PROTOCOLS,
        };
        let shutdown = CancellationToken::new();
        let running = session::run(config, Arc::new(host), shutdown.clone());
        Running { shutdown, task: tokio::spawn(async move { running.await.unwrap() }) }
    }

    /// Waits until the running agent says of itself that it failed so.
    pub async fn until_failed_with(&self, part: &str) -> String {
        let last = || {
            let status = bricklayer_agent::status::AgentStatus::read(&self.status_file()).ok().flatten();
            status.and_then(|status| status.last_error).unwrap_or_default()
        };
        until(&format!("the agent complains of {part:?}"), || last().contains(part)).await;
        last()
    }
}

/// A running agent.
pub struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Waits for a condition; a test that waits for 20 s has failed.
pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
