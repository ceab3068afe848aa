//! `bricklayer node`.

use bricklayer_api::ids::ClusterId;
use bricklayer_api::names::HostName;
use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::{HealCheck, Look, Quick, RmTags, SetTags, Work};
use crate::bricklayer::complete;
use crate::bricklayer::refs::NodeRef;

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
        #[arg(long, add = ArgValueCompleter::new(complete::clusters))]
        cluster: Option<ClusterId>,
        /// Name of the host, as its agent was invited
        #[arg(long, value_name = "NAME")]
        management_host_name: HostName,
        /// Address that GlusterFS and its clients use
        #[arg(long, value_name = "ADDRESS")]
        storage_host_name: HostName,
        #[command(flatten)]
        work: Work,
    },
    /// Take a host without devices out of its cluster
    Delete {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        work: Work,
    },
    /// Place no more bricks on a host
    Disable {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        work: Work,
    },
    /// Show the disks of a host, and why each is or is not usable
    Disks {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::agents))]
        node: HostName,
        #[command(flatten)]
        look: Look,
    },
    /// Give a host another zone, or other names and addresses
    ///
    /// What is not named stays. A zone counts for bricks that are placed from now on; none is moved.
    #[command(after_help = "Examples:\n  bricklayer node edit gfs1 --zone 2\n  \
        bricklayer node edit gfs1 --storage-host-name 192.168.0.225")]
    #[group(id = "edits", required = true, multiple = true)]
    Edit {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        /// Failure domain that it stands in
        #[arg(long, group = "edits", value_parser = clap::value_parser!(u32).range(1..))]
        zone: Option<u32>,
        /// Name of the host, as its agent was invited
        #[arg(long, group = "edits", value_name = "NAME")]
        management_host_name: Option<HostName>,
        /// Address that GlusterFS and its clients use
        #[arg(long, group = "edits", value_name = "ADDRESS")]
        storage_host_name: Option<HostName>,
        #[command(flatten)]
        quick: Quick,
    },
    /// Place bricks on a host again
    Enable {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        work: Work,
    },
    /// Show a host and its devices
    Info {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        look: Look,
    },
    /// Show where every byte of a host's devices went
    ///
    /// The sum of the ledgers of its devices; `bricklayer device ledger` tells more of one.
    Ledger {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        look: Look,
    },
    /// List the hosts
    List {
        #[command(flatten)]
        look: Look,
    },
    /// Declare that a host will never come back
    ///
    /// Nobody waits for it any more: its bricks can be replaced and its volumes deleted without it. What only it held is
    /// lost. Without --confirm nothing is changed: what is on it is shown.
    #[command(after_help = "Examples:\n  bricklayer node lost gfs3\n  bricklayer node lost gfs3 --confirm gfs3")]
    Lost {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        /// The host's name, once more
        #[arg(long, value_name = "NAME")]
        confirm: Option<HostName>,
        #[command(flatten)]
        quick: Quick,
    },
    /// Move all bricks of a disabled host elsewhere
    ///
    /// One brick of a set at a time, each one healed before the next. It may take long, and goes on by itself: look at
    /// it by `bricklayer operation info`.
    Remove {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        heal_check: HealCheck,
        #[command(flatten)]
        work: Work,
    },
    /// Take tags off a host
    #[command(visible_aliases = ["deltags", "removetags"])]
    Rmtags {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        tags: RmTags,
        #[command(flatten)]
        quick: Quick,
    },
    /// Tag a host
    #[command(after_help = "Example:\n  bricklayer node settags gfs1 rack:r1 arbiter:required")]
    Settags {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        #[command(flatten)]
        tags: SetTags,
        #[command(flatten)]
        quick: Quick,
    },
}
