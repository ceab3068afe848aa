//! How many volumes a server of heketi's API makes in a second, and how fast it reads meanwhile: `docs/benchmarks.md`.
//!
//! It fills an empty server with nodes and devices, then makes volumes with some clients at once, each of which polls
//! as heketi's Go client does and keeps its connection, but every 10 ms. A reader asks for volumes that are there all the while. The coordinator as a
//! program of its own, with simulated hosts:
//!
//! ```text
//! bricklayer-coordinator --data-dir DIR init
//! bricklayer-coordinator --data-dir DIR run --disable-auth --config FILE &      # placement.most_volumes_per_cluster = 0
//! bricklayer-sandbox --join http://127.0.0.1:8080 --nodes 100 --devices 10 --data-dir /dev/shm/hosts &
//! bricklayer-load --server 127.0.0.1:8080 --pid PID --nodes 100 --devices 10 --volumes 1000
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bricklayer_tests::clients::{GoClient, HeketiClient, ids, text};
use bricklayer_tests::cluster::storage_address;
use clap::Parser;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Makes many volumes on a server of heketi's API, and says how long that took.
#[derive(Clone, Debug, Parser)]
#[command(name = "bricklayer-load", version)]
struct Arguments {
    /// Where the server is; it takes requests without a token and has no cluster yet.
    #[arg(long, value_name = "ADDRESS")]
    server: SocketAddr,
    /// The server's process, to tell its memory and what it takes of the processors.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// The process of the hosts that make the volumes, to tell the same.
    #[arg(long, value_name = "PID")]
    hosts_pid: Option<u32>,
    /// Nodes to add: gfs1, gfs2, ...
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    nodes: usize,
    /// Devices of each node.
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    devices: usize,
    /// Volumes of 1 GiB in three copies to make.
    #[arg(long, default_value_t = 1000, value_name = "COUNT")]
    volumes: usize,
    /// How many clients make volumes at the same time.
    #[arg(long, default_value_t = 8, value_name = "COUNT")]
    clients: usize,
}

/// Zones of the nodes.
const ZONES: usize = 5;

/// Between two reads: a client that looks often, and does not by itself use up a core.
const BETWEEN_READS: Duration = Duration::from_millis(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let began = Instant::now();
    fill(&arguments).await?;
    println!(
        "{} nodes with {} devices each: {:.1} s",
        arguments.nodes,
        arguments.devices,
        began.elapsed().as_secs_f64()
    );
    tell_memory(&arguments)?;

    let made = Made::default();
    let enough = CancellationToken::new();
    let reader = tokio::spawn(read(arguments.server, made.clone(), enough.clone()));
    let processes = processes(&arguments);
    let before: Vec<f64> = processes.iter().map(|(_, pid)| seconds_of_processor(*pid)).collect::<Result<_, _>>()?;
    let began = Instant::now();
    let creates = create(&arguments, &made).await?;
    let seconds = began.elapsed().as_secs_f64();
    enough.cancel();
    let reads = reader.await??;

    println!("{} volumes: {seconds:.2} s, {:.1} creates per second", creates.len(), count(creates.len()) / seconds);
    for ((name, pid), before) in processes.iter().zip(before) {
        let taken = seconds_of_processor(*pid)? - before;
        println!("processor time of {name}: {:.2} ms a volume", taken * 1000.0 / count(creates.len()));
    }
    tell("creates", &creates);
    let tenth = (creates.len() / 10).max(1);
    tell("creates, the first tenth", &creates[..tenth]);
    tell("creates, the last tenth", &creates[creates.len() - tenth..]);
    tell("reads of a volume meanwhile", &reads);
    tell_topology(&arguments).await?;
    tell_memory(&arguments)
}

/// The volumes that are there.
#[derive(Clone, Default)]
struct Made {
    ids: Arc<Mutex<Vec<String>>>,
}

fn client(server: SocketAddr) -> GoClient {
    GoClient::new(server, "admin", "").keeping_connections()
}

/// Adds nodes, a few at a time, and to each its devices.
async fn fill(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = client(arguments.server).cluster_create(true, true).await?;
    let cluster = text(&cluster, "id");
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..arguments.clients {
        let (arguments, cluster, next) = (arguments.clone(), cluster.clone(), Arc::clone(&next));
        workers.spawn(async move {
            let client = client(arguments.server);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= arguments.nodes {
                    return anyhow::Ok(());
                }
                let storage = storage_address(number + 1);
                let hostnames = json!({ "manage": [format!("gfs{}", number + 1)], "storage": [storage] });
                let node = json!({ "zone": number % ZONES + 1, "hostnames": hostnames, "cluster": cluster });
                let node = text(&client.node_add(node).await?, "id");
                for disk in 0..arguments.devices {
                    let letter = char::from(b'b' + u8::try_from(disk).context("at most 24 devices")?);
                    client.device_add(json!({ "name": format!("/dev/sd{letter}"), "node": node })).await?;
                }
            }
        });
    }
    all_of(workers).await.map(|_| ())
}

/// How long each create took, in the order in which they began.
async fn create(arguments: &Arguments, made: &Made) -> anyhow::Result<Vec<Duration>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..arguments.clients {
        let (server, volumes, next, made) = (arguments.server, arguments.volumes, Arc::clone(&next), made.clone());
        workers.spawn(async move {
            let client = client(server);
            let mut took = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= volumes {
                    return Ok(took);
                }
                let durability = json!({ "type": "replicate", "replicate": { "replica": 3 } });
                let began = Instant::now();
                let volume = client.volume_create(json!({ "size": 1, "durability": durability })).await?;
                took.push((number, began.elapsed()));
                made.ids.lock().await.push(text(&volume, "id"));
            }
        });
    }
    let mut took: Vec<_> = all_of(workers).await?.into_iter().flatten().collect();
    took.sort_unstable();
    ensure!(!took.is_empty(), "there was no volume to make");
    Ok(took.into_iter().map(|(_, took)| took).collect())
}

/// Reads volumes, one after the other, until it is told that it is enough.
async fn read(server: SocketAddr, made: Made, enough: CancellationToken) -> anyhow::Result<Vec<Duration>> {
    let client = client(server);
    let mut took = Vec::new();
    while !enough.is_cancelled() {
        let id = {
            let ids = made.ids.lock().await;
            (!ids.is_empty()).then(|| ids[took.len() % ids.len()].clone())
        };
        if let Some(id) = id {
            let began = Instant::now();
            client.volume(&id).await?;
            took.push(began.elapsed());
        }
        tokio::time::sleep(BETWEEN_READS).await;
    }
    Ok(took)
}

async fn all_of<T: 'static>(mut workers: JoinSet<anyhow::Result<T>>) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(ended) = workers.join_next().await {
        all.push(ended??);
    }
    Ok(all)
}

/// What `heketi-cli topology info` asks for: every cluster, node and volume by itself.
async fn tell_topology(arguments: &Arguments) -> anyhow::Result<()> {
    let client = client(arguments.server);
    let began = Instant::now();
    let mut requests = 1_usize;
    for cluster in ids(&client.clusters().await?, "clusters") {
        let cluster = client.cluster(&cluster).await?;
        for volume in ids(&cluster, "volumes") {
            client.volume(&volume).await?;
            requests += 1;
        }
        for node in ids(&cluster, "nodes") {
            client.node(&node).await?;
            requests += 1;
        }
        requests += 1;
    }
    println!("topology info: {:.2} s, {requests} requests", began.elapsed().as_secs_f64());
    Ok(())
}

fn tell(what: &str, took: &[Duration]) {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let at = |part: usize| {
        let index = (sorted.len() * part / 1000).min(sorted.len().saturating_sub(1));
        sorted.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    println!("{what}: {} in all, median {:.2} ms, p99 {:.2} ms, most {:.2} ms", took.len(), at(500), at(990), at(1000));
}

#[expect(clippy::cast_precision_loss, reason = "a count of volumes")]
fn count(volumes: usize) -> f64 {
    volumes as f64
}

/// Whose use of the processors is told.
fn processes(arguments: &Arguments) -> Vec<(&'static str, u32)> {
    let all = [
        ("the server", arguments.pid),
        ("the hosts", arguments.hosts_pid),
        ("the clients", arguments.pid.map(|_| std::process::id())),
    ];
    all.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect()
}

/// What a process has had of all processors, in user and kernel mode.
fn seconds_of_processor(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // The second field, the name in parentheses, may have blanks in it.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).context("a line of /proc")?;
    let ticks = fields.skip(11).take(2).map(str::parse::<u32>).collect::<Result<Vec<_>, _>>()?;
    // A tick is 10 ms on every Linux that is in use.
    Ok(ticks.into_iter().map(f64::from).sum::<f64>() / 100.0)
}

fn tell_memory(arguments: &Arguments) -> anyhow::Result<()> {
    let Some(pid) = arguments.pid else { return Ok(()) };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the server's process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("unknown");
    println!("memory of the server's process: {}", line.trim());
    Ok(())
}
