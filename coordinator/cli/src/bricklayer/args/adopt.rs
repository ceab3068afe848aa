//! `bricklayer adopt`, `unadopt` and `export`.

use std::path::PathBuf;

use bricklayer_api::ids::ClusterId;
use bricklayer_api::names::VolumeName;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;

use super::common::{Output, Work};
use crate::bricklayer::complete;
use crate::bricklayer::refs::{DeviceRef, VolumeRef};

#[derive(Debug, Subcommand)]
pub enum AdoptCommand {
    /// An installation of heketi, as its database says
    ///
    /// FILE is what `heketi db export --jsonfile FILE --dbfile heketi.db` wrote, or heketi-cli's `db dump`. Stop heketi first,
    /// so that nothing changes meanwhile.
    #[command(after_help = "Examples:\n  bricklayer adopt heketi heketi.json --plan\n  \
        bricklayer apply 0123456789abcdef0123456789abcdef")]
    Heketi {
        /// The export; - is stdin
        file: PathBuf,
        /// Leave out what heketi had under way
        #[arg(long)]
        ignore_pending: bool,
        /// Nodes take their agents' ids where those are others than heketi's
        #[arg(long)]
        new_node_ids: bool,
        #[command(flatten)]
        common: AdoptCommon,
    },
    /// An installation of heketi whose database is lost, as its disks and GlusterFS say
    #[command(after_help = "Example:\n  bricklayer adopt disks --plan")]
    Disks {
        /// Id of the cluster, as clients know it; a new one otherwise
        #[arg(long, value_name = "ID")]
        cluster: Option<ClusterId>,
        #[command(flatten)]
        common: AdoptCommon,
    },
    /// A volume of GlusterFS that was made by hand
    ///
    /// Its bricks have to lie on thin volumes of LVM, in volume groups on one disk each.
    #[command(after_help = "Example:\n  bricklayer adopt volume backups --plan")]
    Volume {
        name: VolumeName,
        /// Id of the cluster, if its hosts are in none yet; a new one otherwise
        #[arg(long, value_name = "ID")]
        cluster: Option<ClusterId>,
        #[command(flatten)]
        common: AdoptCommon,
    },
}

#[derive(Debug, Args)]
pub struct AdoptCommon {
    /// Said for clearness: nothing is ever adopted but by `bricklayer apply` of a plan
    #[arg(long)]
    pub plan: bool,
    /// Which agent is on which host, where the names do not tell: NODE=AGENT
    #[arg(long = "agent", value_name = "NODE=AGENT", value_parser = pair)]
    pub agents: Vec<(String, String)>,
    /// A volume that stays as it is, by name or id
    #[arg(long, value_name = "VOLUME")]
    pub without: Vec<String>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Subcommand)]
pub enum UnadoptCommand {
    /// A volume all of whose bricks were adopted
    Volume {
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        #[command(flatten)]
        work: Work,
    },
    /// An adopted device that holds no brick of ours
    Device {
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        work: Work,
    },
    /// A cluster, if all of it was adopted
    Cluster {
        #[arg(add = ArgValueCompleter::new(complete::clusters))]
        id: ClusterId,
        #[command(flatten)]
        work: Work,
    },
}

#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// heketi's database, for `heketi db import`
    ///
    /// With what initiators of block volumes log in with, as heketi's own export.
    #[command(after_help = "Example:\n  bricklayer export heketi heketi.json\n  \
        heketi db import --jsonfile heketi.json --dbfile heketi.db")]
    Heketi {
        /// Written so that its owner alone can read it; - is stdout
        file: PathBuf,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((node, agent)) if !node.is_empty() && !agent.is_empty() => Ok((node.to_owned(), agent.to_owned())),
        _ => Err("write NODE=AGENT, such as 10.0.0.1=gfs1".to_owned()),
    }
}
