//! A whole Bricklayer installation in one process, for people who write clients, for tests and for benchmarks.
//!
//! The coordinator, REST, the agents' sessions and mutual TLS between them are the real ones. Only the hosts are
//! simulated: disks, LVM, XFS and GlusterFS exist in memory, and are gone when this ends.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use bricklayer_agent::journal::SCHEMA;
use bricklayer_agent::session::Timing;
use bricklayer_api::client::{Client, ClientConfig};
use bricklayer_api::v1::InvitationRequest;
use bricklayer_coordinator::ops::{Policy, UnknownNode};
use bricklayer_proto::names::{DevicePath, HostName};
use bricklayer_proto::size::ByteSize;
use bricklayer_store::Store;
use bricklayer_tests::cluster::{Agent, Installation, Settings, storage_address, until};
use bricklayer_tests::life::Crew;
use bricklayer_tests::sim::{Delays, SimCluster, SimDisk, SimHost};
use camino::Utf8PathBuf;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, OnceCell};

/// A whole Bricklayer installation in one process, on simulated hosts: real REST, nothing to lose.
#[derive(Debug, Parser)]
#[command(name = "bricklayer-sandbox", version)]
struct Arguments {
    /// Hosts that are there from the start: gfs1, gfs2, ..., with storage addresses 10.0.0.1, 10.0.0.2, ...
    #[arg(long, default_value_t = 4, value_name = "COUNT")]
    nodes: usize,
    /// Blank disks in each host: /dev/sdb, /dev/sdc, ...
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    devices: usize,
    /// The size of each disk.
    #[arg(long, default_value = "500GiB", value_name = "SIZE")]
    device_size: ByteSize,
    /// No coordinator of its own: the hosts attach to one that runs there already. The administrator's key is taken from
    /// `BRICKLAYER_KEY`, unless that coordinator asks for none.
    #[arg(long, value_name = "URL", conflicts_with_all = ["on_demand", "port", "listen", "disable_auth", "address_file"])]
    join: Option<String>,
    /// A simulated host appears for every node that a client adds, with every disk that a client names.
    #[arg(long)]
    on_demand: bool,
    /// Where REST is served; 0 takes a free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The address on which REST is served.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    listen: std::net::IpAddr,
    /// Takes every request as the administrator's.
    #[arg(long)]
    disable_auth: bool,
    /// Hosts take as long for each step as real ones do.
    #[arg(long)]
    realistic: bool,
    /// With `--join`, each agent's journal is a store of its own, as on hosts of their own. They share one otherwise, and so its
    /// commits: a hundred stores on one machine cost more than all that they are to show.
    #[arg(long, requires = "join")]
    own_journals: bool,
    /// An empty folder for the coordinator's and the agents' stores; a temporary one otherwise.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Writes the address of REST into this file once it is served.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Holds the temporary folder until the end.
    let temporary;
    let data_dir = match &arguments.data_dir {
        Some(dir) => {
            // The hosts' disks are not kept, so a coordinator that remembers them would look for them in vain.
            let empty = !dir.exists() || dir.read_dir()?.next().is_none();
            ensure!(empty, "{} is not empty, and a sandbox begins anew each time", dir.display());
            dir.clone()
        }
        None => {
            temporary = tempfile::tempdir()?;
            temporary.path().to_owned()
        }
    };

    if let Some(url) = &arguments.join {
        let agents = join(url, &arguments, &data_dir).await?;
        println!("{} simulated hosts are attached to {url}", agents.len());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        return Ok(());
    }

    let hosts = Arc::new(Hosts {
        sim: SimCluster::new(),
        agents: Mutex::default(),
        installation: OnceCell::new(),
        dir: Utf8PathBuf::try_from(data_dir.join("agents"))?,
        on_demand: arguments.on_demand,
        devices: arguments.devices,
        device_size: arguments.device_size,
        delays: if arguments.realistic { Delays::realistic() } else { Delays::default() },
    });
    let settings = Settings {
        data_dir: data_dir.join("coordinator"),
        rest: SocketAddr::new(arguments.listen, arguments.port),
        agents: SocketAddr::from(([127, 0, 0, 1], 0)),
        disable_auth: arguments.disable_auth,
        policy: Policy::default(),
        unknown_node: Some(Arc::clone(&hosts) as Arc<dyn UnknownNode>),
    };
    let installation = Arc::new(Installation::start(settings).await?);
    hosts.installation.set(Arc::clone(&installation)).map_err(|_| anyhow::anyhow!("it is set once"))?;
    for number in 1..=arguments.nodes {
        hosts.enrol(&names(number)?).await?;
    }

    println!("{}", welcome(&arguments, &installation));
    if let Some(file) = &arguments.address_file {
        write_whole(file, &installation.url())?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if let Some(file) = &arguments.address_file {
        // Somebody may have removed it before us.
        let _ = std::fs::remove_file(file);
    }
    let violations = hosts.sim.violations();
    if !violations.is_empty() {
        bail!("what Bricklayer promises was broken:\n{}", violations.join("\n"));
    }
    Ok(())
}

/// The names of a host that is there from the start.
fn names(number: usize) -> anyhow::Result<[HostName; 2]> {
    Ok([format!("gfs{number}").parse()?, storage_address(number).parse()?])
}

/// Simulated hosts for a coordinator that runs elsewhere.
async fn join(url: &str, arguments: &Arguments, data_dir: &Path) -> anyhow::Result<Vec<Agent>> {
    let key = std::env::var("BRICKLAYER_KEY").unwrap_or_default();
    let client = Client::new(ClientConfig {
        server: url.to_owned(),
        user: if key.is_empty() { String::new() } else { "admin".to_owned() },
        key: key.into(),
        insecure_tls: false,
        tls_certificates: Vec::new(),
    })?;
    let (sim, dir) = (SimCluster::new(), Utf8PathBuf::try_from(data_dir.join("agents"))?);
    let journals = if arguments.own_journals { None } else { Some(Store::open(&data_dir.join("journals"), SCHEMA)?) };
    let crew = Arc::new(Crew::of(std::thread::available_parallelism()?.get(), journals)?);
    let mut agents = Vec::new();
    for number in 1..=arguments.nodes {
        let names = names(number)?;
        let host = sim.add_host(&names);
        if arguments.realistic {
            host.faults().set_delays(Delays::realistic());
        }
        host.plug_blank(arguments.devices, arguments.device_size);
        let request = InvitationRequest { name: names[0].to_string(), ..InvitationRequest::default() };
        let invitation = client.invite(&request).await?;
        let dir = dir.join(names[0].as_str());
        let (crew, invitation) = (Some(Arc::clone(&crew)), invitation.token);
        agents.push(Agent::enrol_among(crew, host, dir, invitation.expose(), Timing::default()).await?);
        let seen = async || Ok(!client.disks(&names[0]).await?.disks.is_empty());
        until(&format!("the coordinator sees the disks of {}", names[0]), seen).await?;
    }
    Ok(agents)
}

/// For a reader that may look at any moment.
fn write_whole(file: &Path, text: &str) -> anyhow::Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(dir).with_context(|| format!("{} cannot be made", file.display()))?;
    writeln!(new, "{text}")?;
    new.persist(file)?;
    Ok(())
}

fn welcome(arguments: &Arguments, installation: &Installation) -> String {
    let url = installation.url();
    let mut lines = vec![format!("REST is served at {url}")];
    if arguments.disable_auth {
        lines.push("Authentication is switched off: every request is the administrator's.".into());
    } else {
        lines.push(format!("The administrator's key is in {}", installation.admin_key_file().display()));
    }
    if arguments.nodes > 0 {
        let size = arguments.device_size;
        let (nodes, devices) = (arguments.nodes, arguments.devices);
        lines.push(format!(
            "Hosts: gfs1 to gfs{nodes} (storage 10.0.0.1 to 10.0.0.{nodes}), {devices} disks of {size} each from /dev/sdb on"
        ));
    }
    if arguments.on_demand {
        lines.push("A host appears for every node that is added, with every disk that is named.".into());
    }
    lines.push(String::new());
    lines.push("Try:".into());
    lines.push(format!("  export BRICKLAYER_SERVER={url} HEKETI_CLI_SERVER={url}"));
    if !arguments.disable_auth {
        let key = installation.admin_key_file();
        lines.push(format!("  export BRICKLAYER_USER=admin BRICKLAYER_KEY=$(cat {})", key.display()));
        lines.push("  export HEKETI_CLI_USER=$BRICKLAYER_USER HEKETI_CLI_KEY=$BRICKLAYER_KEY".into());
    }
    lines.push("  bricklayer topology load --json=topology.json".into());
    lines.push("  bricklayer volume create --size=8 --replica=3".into());
    lines.push("Ctrl-C ends it, and everything is gone.".into());
    lines.join("\n")
}

/// The simulated hosts, and how more of them come into being.
struct Hosts {
    sim: SimCluster,
    /// By the name under which each enrolled. Held while one appears, so that none appears twice.
    agents: Mutex<BTreeMap<HostName, Agent>>,
    installation: OnceCell<Arc<Installation>>,
    dir: Utf8PathBuf,
    on_demand: bool,
    devices: usize,
    device_size: ByteSize,
    delays: Delays,
}

impl Hosts {
    async fn enrol(&self, names: &[HostName]) -> anyhow::Result<()> {
        let mut agents = self.agents.lock().await;
        let name = names.first().context("a host has a name")?.clone();
        if agents.contains_key(&name) {
            return Ok(());
        }
        if let Some(taken) = names.iter().find(|name| self.sim.knows(name)) {
            bail!("{taken} is another simulated host already");
        }
        let installation = self.installation.get().context("the coordinator has not started")?;
        let host = self.sim.add_host(names);
        host.faults().set_delays(self.delays.clone());
        host.plug_blank(self.devices, self.device_size);
        let invitation = installation.invite(&name).await?;
        let agent = Agent::enrol(host, self.dir.join(name.as_str()), &invitation, Timing::default()).await?;
        agents.insert(name.clone(), agent);
        drop(agents);
        installation.until_seen(&name, "its glusterd runs", |seen| seen.gluster.running).await
    }

    async fn host(&self, name: &HostName) -> Option<SimHost> {
        self.agents.lock().await.get(name).map(|agent| agent.host().clone())
    }
}

#[async_trait]
impl UnknownNode for Hosts {
    async fn appear(&self, manage: &[HostName], storage: &[HostName]) {
        let Some(name) = manage.first() else { return };
        if let Some(host) = self.host(name).await {
            // A client may know it by another address than ours.
            storage.iter().filter(|address| !self.sim.knows(address)).for_each(|address| host.add_name(address));
            return;
        }
        if !self.on_demand {
            return;
        }
        let mut names = vec![name.clone()];
        names.extend(storage.iter().chain(&manage[1..]).filter(|other| *other != name).cloned());
        names.dedup();
        // The node is refused then, as no agent of that name is attached.
        if let Err(error) = self.enrol(&names).await {
            tracing::warn!("no simulated host appears for {name}: {error:#}");
        }
    }

    async fn plug(&self, node: &HostName, disk: &DevicePath) {
        if !self.on_demand {
            return;
        }
        if let Some(host) = self.host(node).await
            && !host.has_disk(disk)
        {
            host.plug(SimDisk::new(disk, self.device_size));
        }
    }
}
