//! A whole installation in one process: the real coordinator, the real agents' sessions over real mTLS, simulated hosts.
//!
//! Each program lives in a thread of its own ([`Life`]), so that it can be killed and started again on what it left on
//! the disk. Nothing waits for a time to pass: every `until_…` waits for a condition, and gives up with what it saw.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bricklayer_agent::commands::CommandLine;
use bricklayer_agent::engine::{Engine, Executor};
use bricklayer_agent::host::Host;
use bricklayer_agent::identity::{self, Enrolment};
use bricklayer_agent::journal::Journal;
use bricklayer_agent::session::{self, Timing};
use bricklayer_api::client::{Client, ClientConfig};
use bricklayer_api::v1::{AgentState, InvitationRequest};
use bricklayer_coordinator::agents::{AgentApi as _, Registry};
use bricklayer_coordinator::commands::Arguments;
use bricklayer_coordinator::http;
use bricklayer_coordinator::keepsake::keeper::Handed;
use bricklayer_coordinator::keys::KeySources;
use bricklayer_coordinator::logging::LogControl;
use bricklayer_coordinator::ops::{Policy, UnknownNode};
use bricklayer_coordinator::recovery;
use bricklayer_coordinator::service::{Config, Coordinator, Layout};
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::names::HostName;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::wire::PROTOCOLS;
use camino::Utf8PathBuf;
use clap::Parser as _;
use jiff::{SignedDuration, Timestamp};

use crate::life::{Crew, Life, Ready};
use crate::sim::{SimCluster, SimHost};

/// How long a condition may take to come about, on a slow machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a starting agent waits for disks that its manifest names.
const BOOT_PATIENCE: Duration = Duration::from_secs(1);

/// What an installation is started with.
#[derive(Clone)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub rest: SocketAddr,
    pub agents: SocketAddr,
    pub disable_auth: bool,
    pub policy: Policy,
    pub unknown_node: Option<Arc<dyn UnknownNode>>,
}

/// The coordinator and its clients.
pub struct Installation {
    settings: Settings,
    life: Option<Life>,
    /// Of the coordinator that was started last.
    registry: Option<Weak<Registry>>,
    handed: Option<Handed>,
    recovery_key: String,
}

/// An agent on a simulated host.
pub struct Agent {
    host: SimHost,
    data_dir: Utf8PathBuf,
    timing: Timing,
    /// In seconds.
    clock_ahead: Arc<AtomicI64>,
    life: Option<Life>,
    /// Those that it offers when it starts.
    protocols: RangeInclusive<u32>,
    /// Whose threads it runs on, where it has none of its own.
    crew: Option<Arc<Crew>>,
}

/// An installation with its agents, in a folder that goes with it.
pub struct Cluster {
    pub sim: SimCluster,
    pub installation: Installation,
    agents: BTreeMap<HostName, Agent>,
    dir: tempfile::TempDir,
}

impl Settings {
    /// On a loopback address that no other test uses, so that a port is free again after a restart.
    #[must_use]
    pub fn for_tests(dir: &Path) -> Self {
        static CLUSTERS: AtomicU32 = AtomicU32::new(1);
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let process = std::process::id().to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(127, process[2] | 1, process[3], number[3]));
        Self {
            data_dir: dir.join("coordinator"),
            rest: SocketAddr::new(address, 0),
            agents: SocketAddr::new(address, 0),
            disable_auth: true,
            policy: Policy {
                absence: Duration::from_secs(5),
                hearing: Duration::from_secs(1),
                retry: Duration::from_millis(50),
                look: Duration::from_millis(20),
                settled: Duration::from_millis(100),
                healing: Duration::from_secs(2),
                reports_lag: Duration::ZERO,
                ..Policy::default()
            },
            unknown_node: None,
        }
    }
}

impl Installation {
    /// Founds the installation and starts its coordinator.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let dir = settings.data_dir.clone();
        let make = move || {
            recovery::found(&dir)?;
            recovery::new_key(&dir)
        };
        let recovery_key = tokio::task::spawn_blocking(make).await??.to_text();
        let mut installation = Self { settings, life: None, registry: None, handed: None, recovery_key };
        installation.start_coordinator().await?;
        Ok(installation)
    }

    /// Starts the coordinator on what it left, at the addresses that it had.
    pub async fn start_coordinator(&mut self) -> anyhow::Result<()> {
        let config = Config {
            data_dir: self.settings.data_dir.clone(),
            rest_listen: self.settings.rest,
            agents_listen: self.settings.agents,
            advertise: Vec::new(),
            disable_auth: self.settings.disable_auth,
            policy: self.settings.policy.clone(),
            unknown_node: self.settings.unknown_node.clone(),
            rest: http::Settings::default(),
            keys: KeySources::default(),
            exports: Some(bricklayer_coordinator::exports::Plan::default()),
        };
        let (life, (rest, agents, registry, handed)) = Life::start("coordinator", |stop, ready| async move {
            let coordinator = Coordinator::start(config).await?;
            let registry = Arc::downgrade(&coordinator.registry);
            ready.tell((coordinator.rest, coordinator.agents_address, registry, coordinator.handed.clone()));
            stop.cancelled().await;
            coordinator.stop().await;
            Ok(())
        })
        .await?;
        (self.settings.rest, self.settings.agents) = (rest, agents);
        self.registry = Some(registry);
        self.handed = Some(handed);
        self.life = Some(life);
        Ok(())
    }

    /// Waits until every agent keeps the state as it is.
    pub async fn until_kept(&self) -> anyhow::Result<()> {
        until("the agents keep the state", async || Ok(self.handed.as_ref().is_some_and(Handed::is_all))).await
    }

    /// Waits until a host was found to know of later changes than the store.
    pub async fn until_behind(&self) -> anyhow::Result<()> {
        until("the store is an older copy", async || Ok(self.handed.as_ref().is_some_and(Handed::is_behind))).await
    }

    /// As `init` told it, once.
    #[must_use]
    pub fn recovery_key(&self) -> &str {
        &self.recovery_key
    }

    /// Where the coordinator's files are.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }

    /// Another folder for the coordinator that is started next, as on another machine at the same address.
    pub fn move_to(&mut self, data_dir: PathBuf) {
        self.settings.data_dir = data_dir;
    }

    /// Runs `bricklayer-coordinator` with these words on the data directory, as a person does while it is stopped.
    pub async fn command(&self, words: &[&str]) -> anyhow::Result<()> {
        let dir = self.settings.data_dir.to_str().context("a folder of text")?;
        let agents = self.settings.agents.to_string();
        let mut line = vec!["bricklayer-coordinator", "--data-dir", dir];
        line.extend(words);
        if words.first() == Some(&"rebuild") {
            line.extend(["--agents-listen", &agents]);
        }
        let arguments = Arguments::try_parse_from(line)?;
        tokio::task::spawn_blocking(move || arguments.run(LogControl::fixed())).await?
    }

    pub async fn kill_coordinator(&mut self) {
        if let Some(life) = self.life.take() {
            life.kill().await;
        }
    }

    pub async fn stop_coordinator(&mut self) {
        if let Some(life) = self.life.take() {
            life.stop().await;
        }
    }

    /// Where REST is served.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.settings.rest)
    }

    /// A client with the administrator's rights.
    pub fn client(&self) -> anyhow::Result<Client> {
        let (user, key) = if self.settings.disable_auth {
            (String::new(), String::new())
        } else {
            ("admin".to_owned(), std::fs::read_to_string(self.admin_key_file())?.trim().to_owned())
        };
        let config = ClientConfig {
            server: self.url(),
            user,
            key: key.into(),
            insecure_tls: false,
            tls_certificates: Vec::new(),
        };
        Ok(Client::new(config)?)
    }

    pub async fn until_attached(&self, name: &HostName) -> anyhow::Result<()> {
        let client = self.client()?;
        let waiting = Waiting::until(&format!("the agent of {name} is attached"));
        loop {
            let seen = client.agents().await.map(|list| list.agents);
            let attached =
                |agent: &bricklayer_api::v1::Agent| agent.name == *name && agent.state == AgentState::Attached;
            if seen.as_ref().is_ok_and(|agents| agents.iter().any(attached)) {
                return Ok(());
            }
            waiting.again(seen.err().map(Into::into)).await?;
        }
    }

    /// Waits until the coordinator has seen of that host what it is looked for.
    pub async fn until_seen(
        &self,
        name: &HostName,
        what: &str,
        is_seen: impl Fn(&Inventory) -> bool + Send,
    ) -> anyhow::Result<()> {
        let waiting = Waiting::until(&format!("the coordinator sees of {name} that {what}"));
        loop {
            let registry = self.registry.as_ref().and_then(Weak::upgrade).context("the coordinator does not run")?;
            let node = registry.by_name(name.as_str());
            let seen = node.and_then(|node| registry.inventory(node));
            drop(registry);
            if seen.is_some_and(|(inventory, _)| is_seen(&inventory)) {
                return Ok(());
            }
            waiting.again(None).await?;
        }
    }

    /// Where the administrator's key is.
    #[must_use]
    pub fn admin_key_file(&self) -> PathBuf {
        bricklayer_coordinator::keys::admin_file(&Layout(&self.settings.data_dir).keys())
    }

    /// The line that enrols the host of that name.
    pub async fn invite(&self, name: &HostName) -> anyhow::Result<String> {
        let request = InvitationRequest { name: name.to_string(), ..InvitationRequest::default() };
        let invitation = self.client()?.invite(&request).await?;
        Ok(invitation.token.expose().to_owned())
    }
}

/// The storage address of the simulated host `gfs<number>`, from 1 on.
#[must_use]
pub fn storage_address(number: usize) -> String {
    let number = number.saturating_sub(1);
    format!("10.0.{}.{}", number / 250, number % 250 + 1)
}

/// Tests wait for what agents see, and restart them often.
fn quick() -> Timing {
    Timing {
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(500),
        inventory: Duration::from_millis(500),
        disks: Duration::from_millis(200),
        ..Timing::default()
    }
}

impl Agent {
    /// Enrols the host with the invitation and starts its agent.
    pub async fn enrol(host: SimHost, data_dir: Utf8PathBuf, invitation: &str, timing: Timing) -> anyhow::Result<Self> {
        Self::enrol_among(None, host, data_dir, invitation, timing).await
    }

    /// The same among many on a few threads. It looks at GlusterFS's volumes as seldom as a real agent.
    pub async fn enrol_among(
        crew: Option<Arc<Crew>>,
        host: SimHost,
        data_dir: Utf8PathBuf,
        invitation: &str,
        timing: Timing,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&data_dir)?;
        let token = invitation.parse().context("the invitation cannot be read")?;
        let enrolment = Enrolment {
            token: &token,
            data_dir: &data_dir,
            machine_id: format!("simulated-{}", uuid::Uuid::new_v4().simple()),
            replace: false,
            clock: identity::Clock::system(),
        };
        identity::enrol(enrolment).await.with_context(|| format!("{} could not enrol", host.name()))?;
        let clock_ahead = Arc::default();
        let mut agent = Self { host, data_dir, timing, life: None, protocols: PROTOCOLS, crew, clock_ahead };
        agent.start().await?;
        Ok(agent)
    }

    #[must_use]
    pub fn host(&self) -> &SimHost {
        &self.host
    }

    #[must_use]
    pub fn data_dir(&self) -> &Utf8PathBuf {
        &self.data_dir
    }

    /// The host's clock is set to be so much ahead from now on, or behind.
    pub fn set_clock(&self, ahead: SignedDuration) {
        self.clock_ahead.store(ahead.as_secs(), Ordering::SeqCst);
    }

    fn clock(&self) -> identity::Clock {
        let ahead = Arc::clone(&self.clock_ahead);
        identity::Clock::from_fn(move || Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst)))
    }

    /// From its next start on it speaks these alone, as an older one does.
    pub fn speak(&mut self, protocols: RangeInclusive<u32>) {
        self.protocols = protocols;
    }

    /// Starts the agent on what it left. Back when the bricks of the host are up, as far as they can be.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let config = session::Config {
            journal_dir: self.data_dir.join("journal"),
            data_dir: self.data_dir.clone(),
            status_file: None,
            notify_systemd: false,
            timing: self.timing,
            clock: self.clock(),
            protocols: self.protocols.clone(),
        };
        let host: Arc<dyn Host> = Arc::new(self.host.clone());
        let name = format!("agent-{}", self.host.name());
        let mut engine = Engine::new(Arc::clone(&host));
        if self.crew.is_none() {
            engine = engine.with_volumes_every(Duration::ZERO);
        }
        let shared = self.crew.as_ref().and_then(|crew| crew.journal(self.host.name()));
        // As the program's own `run` does it: bricks first, then the coordinator.
        let program = |stop, ready: Ready<()>| async move {
            let engine = Arc::new(engine);
            let journal_dir = config.journal_dir.clone();
            let open = move || match shared {
                Some(store) => Journal::of(store).map_err(anyhow::Error::from),
                None => Journal::open(journal_dir.as_std_path()).map_err(anyhow::Error::from),
            };
            let journal = tokio::task::spawn_blocking(open).await??;
            engine.boot(&journal.manifest()?, BOOT_PATIENCE).await?;
            engine.clear_begun_spares(&journal.unfinished()).await;
            ready.tell(());
            let executor = Executor::new(engine, Arc::new(journal));
            session::serve(config, host, Arc::clone(&executor), stop).await;
            executor.drain().await;
            Ok(())
        };
        let (life, ()) = match &self.crew {
            Some(crew) => Life::start_among(crew, &name, program).await?,
            None => Life::start(&name, program).await?,
        };
        self.life = Some(life);
        Ok(())
    }

    /// Runs `bricklayer-agent` with these words on the host's data directory, beside the agent that runs there.
    pub async fn command(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut line = vec!["bricklayer-agent", "--data-dir", self.data_dir.as_str()];
        line.extend(words);
        let line = CommandLine::try_parse_from(line)?;
        tokio::task::spawn_blocking(move || bricklayer_agent::commands::run(&line)).await?
    }

    pub async fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.kill().await;
        }
    }

    pub async fn stop(&mut self) {
        if let Some(life) = self.life.take() {
            life.stop().await;
        }
    }
}

impl Cluster {
    /// Hosts `gfs1`, `gfs2`, ... with this many blank disks from `/dev/sdb` on, all enrolled and attached.
    pub async fn start(hosts: usize, disks: usize, size: ByteSize) -> anyhow::Result<Self> {
        Self::start_with(hosts, disks, size, |_| {}).await
    }

    /// As [`Self::start`], in an installation that decided otherwise.
    pub async fn start_with(
        hosts: usize,
        disks: usize,
        size: ByteSize,
        decide: impl FnOnce(&mut Policy) + Send,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut settings = Settings::for_tests(dir.path());
        decide(&mut settings.policy);
        let installation = Installation::start(settings).await?;
        let mut cluster = Self { sim: SimCluster::new(), installation, agents: BTreeMap::new(), dir };
        for number in 1..=hosts {
            let host = cluster.sim.add_host(&[format!("gfs{number}").parse()?, format!("192.168.0.{number}").parse()?]);
            host.plug_blank(disks, size);
            cluster.enrol(host).await?;
        }
        Ok(cluster)
    }

    /// Invites the host, enrols it, and waits until the coordinator knows what it has.
    pub async fn enrol(&mut self, host: SimHost) -> anyhow::Result<()> {
        let request = InvitationRequest { name: host.name().to_string(), ..InvitationRequest::default() };
        self.enrol_as(host, &request).await
    }

    /// As [`Self::enrol`], as the invitation says.
    pub async fn enrol_as(&mut self, host: SimHost, request: &InvitationRequest) -> anyhow::Result<()> {
        let name = host.name().clone();
        let invitation = self.client()?.invite(request).await?.token.expose().to_owned();
        let data_dir = Utf8PathBuf::try_from(self.dir.path().join("agents").join(name.as_str()))?;
        self.agents.insert(name.clone(), Agent::enrol(host, data_dir, &invitation, quick()).await?);
        self.until_able(name.as_str()).await
    }

    pub fn client(&self) -> anyhow::Result<Client> {
        self.installation.client()
    }

    /// The host of that name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn host(&self, name: &str) -> &SimHost {
        self.agents.iter().find(|(known, _)| known.as_str() == name).map(|(_, agent)| agent.host()).expect("a host")
    }

    pub fn hosts(&self) -> impl Iterator<Item = &SimHost> {
        self.agents.values().map(Agent::host)
    }

    /// The agent of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn agent(&mut self, name: &str) -> &mut Agent {
        self.agents.iter_mut().find(|(known, _)| known.as_str() == name).map(|(_, agent)| agent).expect("an agent")
    }

    /// The host dies at once, its agent with it.
    pub async fn power_cut(&mut self, name: &str) {
        self.host(name).power_cut();
        self.agent(name).kill().await;
    }

    /// The kernel boots and the agent starts; glusterd is started once the bricks are up, as the units are ordered on a
    /// real host.
    pub async fn power_on(&mut self, name: &str) -> anyhow::Result<()> {
        self.host(name).power_on();
        self.agent(name).start().await?;
        self.host(name).start_glusterd();
        Ok(())
    }

    /// Waits until the host can be used for new volumes: attached, its glusterd seen.
    pub async fn until_able(&self, name: &str) -> anyhow::Result<()> {
        let name = name.parse()?;
        self.installation.until_attached(&name).await?;
        self.installation.until_seen(&name, "its glusterd runs", |seen| seen.gluster.running).await
    }

    /// As [`Self::until_able`], of every host.
    pub async fn until_all_able(&self) -> anyhow::Result<()> {
        for name in self.agents.keys() {
            self.until_able(name.as_str()).await?;
        }
        Ok(())
    }
}

/// Waits until the condition holds. An error is taken as "not yet", as programs may be restarting; the last one is told.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let waiting = Waiting::until(what);
    loop {
        match holds().await {
            Ok(true) => return Ok(()),
            Ok(false) => waiting.again(None).await?,
            Err(error) => waiting.again(Some(error)).await?,
        }
    }
}

/// How long one condition is waited for.
struct Waiting {
    what: String,
    deadline: Instant,
}

impl Waiting {
    fn until(what: &str) -> Self {
        Self { what: what.to_owned(), deadline: Instant::now() + PATIENCE }
    }

    /// A short pause, or an error when it has taken too long.
    async fn again(&self, last: Option<anyhow::Error>) -> anyhow::Result<()> {
        if Instant::now() > self.deadline {
            match last {
                Some(error) => return Err(error.context(format!("waited in vain: {}", self.what))),
                None => bail!("waited in vain: {}", self.what),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}
