//! What `bricklayer` understands. Everything is parsed here, at the edge: what comes out of this module is valid.

use std::path::PathBuf;

use bricklayer_api::heketi::DurabilityKind;
use bricklayer_api::ids::{ClusterId, InvitationId, OperationId};
use bricklayer_api::names::{DevicePath, HostName, VolumeName};
use bricklayer_api::size::{ByteSize, GIB};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::refs::{DeviceRef, NodeRef, VolumeRef};

const ROOT_HELP: &str = "\
The way from raw disks to a volume:
  bricklayer agent invite gfs1                   a token for the host, once per host
  bricklayer topology load --json topology.json  the hosts and their disks
  bricklayer topology info                       what is there now
  bricklayer volume create --size 8 --replica 3  a volume of 8 GiB on three hosts

Environment:
  BRICKLAYER_SERVER, BRICKLAYER_USER and BRICKLAYER_KEY stand for --server, --user and --secret.
  Where they are not set, HEKETI_CLI_SERVER, HEKETI_CLI_USER and HEKETI_CLI_KEY count.

Exit codes:
  0 done, 1 refused or failed, 2 the command is wrong, 3 the server cannot be reached";

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
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Agents: invite hosts, see who is there, shut one out
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Clusters: nodes that share volumes
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Devices: raw disks that bricks are placed on
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Nodes: hosts that run GlusterFS and our agent
    #[command(subcommand)]
    Node(NodeCommand),
    /// Operations: work that runs, or ran
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Everything at once
    #[command(subcommand)]
    Topology(TopologyCommand),
    /// Volumes
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// Print a shell's completion script
    #[command(after_help = "Example:\n  bricklayer completion bash > /etc/bash_completion.d/bricklayer")]
    Completion { shell: Shell },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Wait {
    /// Wait until the work is done; this is what happens anyway
    #[arg(long, conflicts_with = "no_wait")]
    pub wait: bool,
    /// Do not wait: print the operation's id and leave
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Make a token with which a host's agent enrols, and print it
    ///
    /// Only the token stands on stdout, so that it can be piped. It is shown this once, can be used once, and holds
    /// for this host name alone.
    #[command(after_help = "Examples:\n  bricklayer agent invite gfs1\n  \
        bricklayer agent invite gfs1 --zone 2 --ttl 2h | ssh gfs1 'read token; bricklayer-agent enroll $token'")]
    Invite {
        /// Name of the host, as the topology names it
        name: HostName,
        /// Failure domain that the host stands in
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        zone: Option<u32>,
        /// How long the token holds, such as 30m, 2h, 1d [default: 30m]
        #[arg(long, value_parser = ttl_seconds, value_name = "TIME")]
        ttl: Option<u64>,
        /// The host enrolled before, and comes back with a new key
        #[arg(long)]
        rejoin: bool,
        #[command(flatten)]
        output: Output,
    },
    /// List the invitations
    Invitations {
        #[command(flatten)]
        output: Output,
    },
    /// Take an invitation back
    Uninvite {
        /// Id of the invitation, from `bricklayer agent invitations`
        invitation: InvitationId,
        #[command(flatten)]
        output: Output,
    },
    /// List the agents and how they are
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Shut an agent out, at once and for good
    ///
    /// Its certificate is refused from now on and its stream is closed. Bricks of the host go on serving, but nothing
    /// can be placed, changed or removed on it until it is invited and enrolled again.
    Revoke {
        /// Id or name of the node
        node: HostName,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Create a cluster
    Create {
        /// Allow volumes that hold block volumes
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        block: bool,
        /// Allow file volumes
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        file: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Delete a cluster without nodes
    Delete {
        id: ClusterId,
        #[command(flatten)]
        output: Output,
    },
    /// Show a cluster
    Info {
        id: ClusterId,
        #[command(flatten)]
        output: Output,
    },
    /// List the clusters
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Say what a cluster is for
    #[command(after_help = "Example:\n  bricklayer cluster setflags --block false ID")]
    #[group(id = "flags", required = true, multiple = true)]
    Setflags {
        id: ClusterId,
        /// Allow volumes that hold block volumes
        #[arg(long, group = "flags")]
        block: Option<bool>,
        /// Allow file volumes
        #[arg(long, group = "flags")]
        file: Option<bool>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Give a raw disk to Bricklayer
    ///
    /// A disk that is not empty is refused, with what is on it. `bricklayer device wipe` empties it.
    #[command(after_help = "Example:\n  bricklayer device add --node gfs1 --name /dev/sdb")]
    Add {
        /// Name of the disk on its host
        #[arg(long)]
        name: DevicePath,
        /// Id or name of the node
        #[arg(long)]
        node: NodeRef,
        /// Wipe whatever lies on the disk, without asking. `device wipe` asks
        #[arg(long)]
        destroy_existing_data: bool,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Take an empty device out of Bricklayer
    Delete {
        /// Id, or node and name: gfs1:/dev/sdb
        device: DeviceRef,
        /// Forget the device even if its disk cannot be cleaned
        #[arg(long)]
        force_forget: bool,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Place no more bricks on a device
    Disable {
        /// Id, or node and name: gfs1:/dev/sdb
        device: DeviceRef,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Place bricks on a device again
    Enable {
        /// Id, or node and name: gfs1:/dev/sdb
        device: DeviceRef,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Show a device and its bricks
    Info {
        /// Id, or node and name: gfs1:/dev/sdb
        device: DeviceRef,
        #[command(flatten)]
        output: Output,
    },
    /// List the devices
    List {
        /// Of this node alone: its id or name
        #[arg(long)]
        node: Option<NodeRef>,
        #[command(flatten)]
        output: Output,
    },
    /// Empty a disk that something else was on
    ///
    /// Without --confirm nothing is touched: what lies on the disk is shown, and what to confirm with. Mounts, fstab
    /// lines, device-mapper devices, LVM and signatures of this disk alone are undone; no reboot is needed.
    #[command(after_help = "Examples:\n  bricklayer device wipe gfs1 /dev/sdb\n  \
        bricklayer device wipe gfs1 /dev/sdb --confirm WD-WCC4N0123456")]
    Wipe {
        /// Id or name of the node
        node: HostName,
        /// Name of the disk on its host
        device: DevicePath,
        /// The disk's serial, its WWN, or the UUID of the LVM physical volume on it
        #[arg(long, value_name = "SERIAL")]
        confirm: Option<String>,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Add a host to a cluster
    #[command(after_help = "Example:\n  bricklayer node add --zone 1 --management-host-name gfs1 \
        --storage-host-name 192.168.0.224")]
    Add {
        /// Failure domain that it stands in
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        zone: u32,
        /// Id of the cluster; may be left out where there is one only
        #[arg(long)]
        cluster: Option<ClusterId>,
        /// Name of the host, as its agent was invited
        #[arg(long, value_name = "NAME")]
        management_host_name: HostName,
        /// Address that GlusterFS and its clients use
        #[arg(long, value_name = "ADDRESS")]
        storage_host_name: HostName,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Take a host without devices out of its cluster
    Delete {
        /// Id or name
        node: NodeRef,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Place no more bricks on a host
    Disable {
        /// Id or name
        node: NodeRef,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Show the disks of a host, and why each is or is not usable
    Disks {
        /// Id or name
        node: HostName,
        #[command(flatten)]
        output: Output,
    },
    /// Place bricks on a host again
    Enable {
        /// Id or name
        node: NodeRef,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Show a host and its devices
    Info {
        /// Id or name
        node: NodeRef,
        #[command(flatten)]
        output: Output,
    },
    /// List the hosts
    List {
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub enum OperationCommand {
    /// Show an operation, step by step
    Info {
        id: OperationId,
        #[command(flatten)]
        output: Output,
    },
    /// List the operations
    List {
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub enum TopologyCommand {
    /// Show clusters, nodes, devices and volumes
    Info {
        #[command(flatten)]
        output: Output,
    },
    /// Add the hosts and disks that a file names
    ///
    /// What is there already stays as it is, and nothing is removed. The file is heketi's: see
    /// `bricklayer topology load --help` for an example.
    #[command(after_long_help = TOPOLOGY_HELP)]
    Load {
        /// The topology file
        #[arg(short, long, value_name = "FILE")]
        json: PathBuf,
        /// Exit with 1 when a node or a device could not be added; heketi-cli exits with 0
        #[arg(long)]
        strict: bool,
    },
}

const TOPOLOGY_HELP: &str = r#"A topology file:
  {"clusters": [{"nodes": [
    {"node": {"hostnames": {"manage": ["gfs1"], "storage": ["192.168.0.224"]}, "zone": 1},
     "devices": ["/dev/sdb", {"name": "/dev/sdc", "destroydata": false}]}
  ]}]}"#;

#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Create a volume
    #[command(after_help = "Examples:\n  bricklayer volume create --size 8\n  \
        bricklayer volume create --size 100 --replica 3 --name backups\n  \
        bricklayer volume create --size 1TiB --durability disperse --disperse-data 4 --redundancy 2")]
    Create(VolumeCreate),
    /// Delete a volume and everything in it
    Delete {
        /// Id or name
        volume: VolumeRef,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        output: Output,
    },
    /// Show a volume, its bricks and how to mount it
    Info {
        /// Id or name
        volume: VolumeRef,
        #[command(flatten)]
        output: Output,
    },
    /// List the volumes
    List {
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct VolumeCreate {
    /// Size: GiB as a plain number, or with a unit, such as 8GiB or 1TiB
    #[arg(long, value_parser = whole_gib)]
    pub size: i64,
    /// Name [default: vol_ and the id]
    #[arg(long)]
    pub name: Option<VolumeName>,
    /// How the data is protected
    #[arg(long, value_enum, default_value_t = DurabilityArg::Replicate)]
    pub durability: DurabilityArg,
    /// Copies, for replicate [default: 3]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub replica: Option<i64>,
    /// Data bricks of a set, for disperse [default: 4]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub disperse_data: Option<i64>,
    /// Redundancy bricks of a set, for disperse [default: 2]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub redundancy: Option<i64>,
    /// Room for snapshots, as a multiple of the size: 1 to 100 [default: none]
    #[arg(long, value_parser = snapshot_factor)]
    pub snapshot_factor: Option<f32>,
    /// Group that may write, and owns what is written
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..i64::from(i32::MAX)))]
    pub gid: i64,
    /// Ids of the clusters to choose from [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ID,ID")]
    pub clusters: Vec<ClusterId>,
    /// Options of GlusterFS: "KEY VALUE,KEY VALUE"
    #[arg(long, value_delimiter = ',', value_name = "OPTIONS")]
    pub gluster_volume_options: Vec<String>,
    #[command(flatten)]
    pub wait: Wait,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DurabilityArg {
    /// One copy: a disk that is lost takes its files with it
    None,
    /// Copies on as many hosts
    Replicate,
    /// Erasure coding
    Disperse,
}

impl From<DurabilityArg> for DurabilityKind {
    fn from(arg: DurabilityArg) -> Self {
        match arg {
            DurabilityArg::None => Self::None,
            DurabilityArg::Replicate => Self::Replicate,
            DurabilityArg::Disperse => Self::Disperse,
        }
    }
}

/// heketi's API counts in GiB, so a size that is not whole would be another size than was asked for.
fn whole_gib(text: &str) -> Result<i64, String> {
    let size = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().and_then(ByteSize::from_gib).ok_or("too large")?
    } else {
        text.parse::<ByteSize>().map_err(|error| error.to_string())?
    };
    if size == ByteSize::ZERO {
        return Err("a volume has at least 1 GiB".to_owned());
    }
    if size.bytes() % GIB != 0 {
        return Err(format!(
            "volumes come in whole GiB; the next ones are {} and {}",
            size.whole_gib(),
            size.whole_gib() + 1
        ));
    }
    i64::try_from(size.whole_gib()).map_err(|_| "too large".to_owned())
}

fn ttl_seconds(text: &str) -> Result<u64, String> {
    const WRONG: &str = "write a whole number and s, m, h or d, such as 30m";
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(WRONG.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| WRONG.to_owned())?;
    match number.checked_mul(unit) {
        Some(0) => Err("an invitation must hold for at least a second".to_owned()),
        Some(seconds) => Ok(seconds),
        None => Err("too long".to_owned()),
    }
}

fn snapshot_factor(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(factor),
        _ => Err("write a number from 1 to 100, such as 1.5".to_owned()),
    }
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
    fn a_plain_size_is_in_gib_and_a_unit_is_taken_at_its_word() {
        assert_eq!(whole_gib("8"), Ok(8));
        assert_eq!(whole_gib("8GiB"), Ok(8));
        assert_eq!(whole_gib("1T"), Ok(1024));
        assert_eq!(whole_gib("2048MiB"), Ok(2));
    }

    #[test]
    fn a_size_that_is_not_whole_gib_is_refused_with_the_next_ones() {
        assert_eq!(whole_gib("1537MiB").unwrap_err(), "volumes come in whole GiB; the next ones are 1 and 2");
        for text in ["", "0", "-8", "8.5", "8GB", "0GiB", "99999999999999999999", "18446744073709551615"] {
            assert!(whole_gib(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_to_live_needs_a_number_and_a_unit() {
        assert_eq!(ttl_seconds("30m"), Ok(1800));
        assert_eq!(ttl_seconds("1d"), Ok(86_400));
        for text in ["", "m", "30", "0m", "-1m", "1.5h", "30 m", "99999999999999999999s"] {
            assert!(ttl_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_could_be_options_or_paths_are_refused_at_the_edge() {
        let parse = |words: &[&str]| Cli::try_parse_from([&["bricklayer"], words].concat());
        assert!(parse(&["agent", "invite", "--", "-x"]).is_err());
        assert!(parse(&["device", "wipe", "gfs1", "/etc/passwd"]).is_err());
        assert!(parse(&["volume", "create", "--size", "8", "--name=a/b"]).is_err());
        assert!(parse(&["cluster", "info", "nonsense"]).is_err());
        assert!(parse(&["cluster", "setflags", "0000000000000000000000000000000c"]).is_err());
        assert!(parse(&["device", "wipe", "gfs1", "/dev/sdb"]).is_ok());
    }
}
