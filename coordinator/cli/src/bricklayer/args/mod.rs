//! What `bricklayer` understands. Everything is parsed here, at the edge: what comes out of this module is valid.
//!
//! A file per word that follows the program's name; [`common`] holds the flags that many commands share, [`values`]
//! reads what a flag's value may be.

mod adopt;
mod agent;
mod block_volume;
mod brick;
mod capacity;
mod cluster;
pub mod common;
mod device;
mod node;
mod plan;
mod policy;
mod pool;
mod server;
mod simulate;
mod topology;
mod trash;
pub mod values;
mod volume;

use std::path::PathBuf;

use bricklayer_api::ids::OperationId;
use clap::{Args, Parser, Subcommand};
use clap_complete::ArgValueCompleter;

use common::Work;

use crate::bricklayer::complete;

pub use adopt::{AdoptCommand, AdoptCommon, ExportCommand, UnadoptCommand};
pub use agent::AgentCommand;
pub use block_volume::BlockVolumeCommand;
pub use brick::BrickCommand;
pub use capacity::Capacity;
pub use cluster::ClusterCommand;
pub use device::DeviceCommand;
pub use node::NodeCommand;
pub use plan::PlanCommand;
pub use policy::{PolicyCommand, PolicySet, PolicyWord, ProvisioningArg};
pub use pool::PoolCommand;
pub use server::{DbCommand, LogLevelCommand, ModeCommand, OperationCommand, ServerCommand, Shell};
pub use simulate::{Loss, NewDurability, NewVolumes, Simulate};
pub use topology::TopologyCommand;
pub use trash::TrashCommand;
pub use volume::{DurabilityArg, VolumeCommand, VolumeCreate, VolumeWanted};

const ROOT_HELP: &str = "\
The way from raw disks to a volume:
  bricklayer agent invite gfs1                   a token for the host, once per host
  bricklayer topology load --json topology.json  the hosts and their disks
  bricklayer topology info                       what is there now
  bricklayer device ledger gfs1:/dev/sdb         where every byte of a disk went
  bricklayer volume create --size 8 --dry-run    what a volume of 8 GiB would take
  bricklayer volume create --size 8 --replica 3  a volume of 8 GiB on three hosts

Names are taken wherever ids are: gfs1 for a node, gfs1:/dev/sdb for a device, backups for a volume.

Environment:
  BRICKLAYER_SERVER, BRICKLAYER_USER and BRICKLAYER_KEY stand for --server, --user and --secret.
  Where they are not set, HEKETI_CLI_SERVER, HEKETI_CLI_USER and HEKETI_CLI_KEY count.

Exit codes:
  0 done, 1 refused or failed, 2 the command is wrong, 3 the server cannot be reached,
  4 the time of --timeout is over and the work goes on";

/// Places and keeps GlusterFS bricks: clusters, nodes, devices, volumes, and the agents on the hosts.
///
/// Called as `heketi-cli` (by a link of that name) it takes heketi-cli's words and prints heketi-cli's texts.
#[derive(Debug, Parser)]
#[command(name = "bricklayer", version, after_help = ROOT_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ConnectionArgs {
    /// Address of the coordinator [default: http://localhost:8080]
    #[arg(short, long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// Who asks: admin or user
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// The user's key; better given as BRICKLAYER_KEY, which no process list shows
    #[arg(long, alias = "key", global = true, value_name = "KEY")]
    pub secret: Option<String>,
    /// Take any TLS certificate of the server
    #[arg(short = 'I', long, global = true)]
    pub insecure_tls: bool,
    /// Trust this CA (PEM) instead of the system's; may be given several times
    #[arg(short = 'C', long = "tls-cert", global = true, value_name = "FILE")]
    pub tls_certificates: Vec<PathBuf>,
    /// Print the requests as lines for curl instead of the result; what would change something is not sent
    #[arg(long, global = true)]
    pub curl: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take over, as it is, what heketi or a person made: plan first
    ///
    /// Every host is asked, and every difference told; nothing is changed before `bricklayer apply`. Data, names, ids and paths
    /// stay; bricks are served meanwhile. The guide is docs/operations/move-from-heketi.md.
    #[command(subcommand)]
    Adopt(AdoptCommand),
    /// Agents: invite hosts, see who is there, shut one out
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Which brick sets do not keep the rules now, what would mend them, and whether a node can be lost
    ///
    /// Zones, tags and states change after a volume was placed. Each set is held against the rules as things stand now:
    /// different nodes, different zones where they are strict or another one has room, tags, and nothing on what was
    /// disabled, removed or lost. Nothing is changed; the moves are commands to be run one after the other.
    #[command(after_help = "Examples:\n  bricklayer audit\n  bricklayer audit -o json")]
    Audit {
        #[command(flatten)]
        look: common::Look,
    },
    /// Have exactly that done which a plan says
    ///
    /// A plan is made by --plan and kept by the coordinator for 15 minutes, in memory: a restart forgets it. Where what it was
    /// decided by has changed since, such as the space of a device, it is refused and nothing is changed.
    #[command(after_help = "Example:\n  bricklayer volume create --size 100 --plan\n  \
        bricklayer apply 0123456789abcdef0123456789abcdef")]
    Apply {
        /// Id of the plan
        #[arg(value_name = "PLAN", add = ArgValueCompleter::new(complete::plans))]
        id: OperationId,
        #[command(flatten)]
        work: Work,
    },
    /// Block volumes: block devices whose files lie in volumes
    #[command(subcommand, name = "blockvolume")]
    BlockVolume(BlockVolumeCommand),
    /// Bricks: see where they are, move one
    #[command(subcommand)]
    Brick(BrickCommand),
    /// The largest volumes that still fit
    ///
    /// In whole GiB: what placement would take now. A larger one would be refused.
    #[command(after_help = "Examples:\n  bricklayer capacity\n  bricklayer capacity --replica 3 --strict-zones\n  \
        bricklayer capacity --arbiter --tag-match tier=fast -o json")]
    Capacity(Capacity),
    /// Clusters: nodes that share volumes
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// The coordinator's database
    #[command(subcommand)]
    Db(DbCommand),
    /// Devices: raw disks that bricks are placed on
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Say what is amiss, and what to do about it
    ///
    /// Compares the records with what the agents report: hosts, agents, glusterd, disks, pools, bricks and their mounts. It
    /// changes nothing. The exit code is 1 where there is an error or a warning, for scripts and monitoring.
    #[command(after_help = "Examples:\n  bricklayer doctor\n  bricklayer doctor --watch=10s\n  \
        bricklayer doctor -o json | jq '.findings[].what'")]
    Doctor {
        #[command(flatten)]
        look: common::Look,
    },
    /// Write what others read
    #[command(subcommand)]
    Export(ExportCommand),
    /// What the coordinator logs
    #[command(subcommand, name = "loglevel")]
    LogLevel(LogLevelCommand),
    /// Nodes: hosts that run GlusterFS and our agent
    #[command(subcommand)]
    Node(NodeCommand),
    /// Operations: work that runs, or ran
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Plans that --plan has made, until they are applied or out of date
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Policy: what is asked of where bricks go
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Thin pools: how full they are
    #[command(subcommand)]
    Pool(PoolCommand),
    /// How well bricks lie, as one number with its parts, and the moves that would better it most per byte
    ///
    /// 100 is as good as can be: every brick set whole, every rule kept, sets spread over the zones, devices equally full.
    /// Each move was placed, after those before it. Nothing is changed; the moves are commands to be run one after the other.
    #[command(after_help = "Examples:\n  bricklayer score\n  bricklayer score --moves 30 -o json")]
    Score {
        /// How many moves are looked for
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=100))]
        moves: Option<u32>,
        #[command(flatten)]
        look: common::Look,
    },
    /// The coordinator itself
    #[command(subcommand)]
    Server(ServerCommand),
    /// Say what would become of it all if hardware were lost or added and volumes were made
    ///
    /// Played on a copy, by the rules by which it would happen; nothing is changed. First everything is lost, then everything
    /// added, then what was lost is healed, then the volumes are made. Exit code 1 where a brick has no new place or a volume
    /// does not fit.
    #[command(after_help = "Examples:\n  bricklayer simulate --lose node:gfs3\n  \
        bricklayer simulate --lose zone:2 --lose device:gfs1:/dev/sdb\n  \
        bricklayer simulate --lose node:gfs3 --add disk:gfs1:8TiB --create 40x100GiB:replica3")]
    Simulate(Simulate),
    /// Save what placement decides by, for somebody else to look at
    ///
    /// The devices as placement sees them, and the policy; no secrets. With the question, and what was answered to it, a bundle
    /// is written by `bricklayer volume explain --bundle`.
    #[command(after_help = "Example:\n  bricklayer support-bundle bundle.json")]
    SupportBundle {
        /// File to write; only its owner can read it
        file: PathBuf,
    },
    /// Everything at once
    #[command(subcommand)]
    Topology(TopologyCommand),
    /// The trash: deleted volumes whose bricks are kept for a while
    #[command(subcommand)]
    Trash(TrashCommand),
    /// Give back, as it is, what was adopted
    ///
    /// Our marks and records go: LVM's tags, the file beside each brick, the option of the volume, and fstab reads as it did.
    /// Volumes run on.
    #[command(subcommand)]
    Unadopt(UnadoptCommand),
    /// Volumes
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// Print a token for one request, as curl would send it
    #[command(after_help = "Example:\n  curl -H \"Authorization: bearer $(bricklayer token GET /volumes)\" \
        http://localhost:8080/volumes")]
    Token {
        /// Such as GET
        #[arg(value_parser = values::method)]
        method: String,
        /// Path without a query, such as /volumes
        #[arg(value_parser = values::path)]
        path: String,
    },
    /// Print a shell's completion script
    ///
    /// It completes names and ids, too: of volumes, nodes, devices, and so on, as the coordinator has them.
    #[command(after_help = "Examples:\n  bricklayer completion bash > /etc/bash_completion.d/bricklayer\n  \
        bricklayer completion zsh > /usr/local/share/zsh/site-functions/_bricklayer\n  \
        bricklayer completion fish > ~/.config/fish/completions/bricklayer.fish")]
    Completion { shell: Shell },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_finds_no_fault_in_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_that_could_be_options_or_paths_are_refused_at_the_edge() {
        let parse = |words: &[&str]| Cli::try_parse_from([&["bricklayer"], words].concat());
        for wrong in [
            &["agent", "invite", "--", "-x"][..],
            &["device", "wipe", "gfs1", "/etc/passwd"],
            &["volume", "create", "--size", "8", "--name=a/b"],
            &["cluster", "info", "nonsense"],
            &["cluster", "setflags", "0000000000000000000000000000000c"],
            &["volume", "expand", "v"],
            &["volume", "expand", "v", "--expand-size", "1", "--to", "2"],
            &["node", "settags", "gfs1"],
            &["node", "rmtags", "gfs1"],
            &["node", "rmtags", "gfs1", "a", "--all"],
            &["node", "edit", "gfs1"],
            &["brick", "evict", "brick"],
            &["volume", "list", "-o", "json", "--json"],
            &["volume", "delete", "v", "--no-wait", "--timeout", "5s"],
            &["policy", "set"],
            &["policy", "set", "--most-bricks-per-zone", "0"],
            &["policy", "set", "--tag-rule", "same:tier", "--no-tag-rules"],
            &["token", "get", "volumes"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        for right in [
            &["device", "wipe", "gfs1", "/dev/sdb"][..],
            &["volume", "expand", "v", "--expand-size", "1"],
            &["node", "rmtags", "gfs1", "--all"],
            &["volume", "list", "-o", "wide", "--watch"],
            &["--curl", "volume", "info", "v", "-o", "yaml"],
            &["volume", "delete", "v", "--timeout", "5m", "--dry-run"],
            &["token", "GET", "/volumes"],
        ] {
            assert!(parse(right).is_ok(), "{right:?}");
        }
    }
}
