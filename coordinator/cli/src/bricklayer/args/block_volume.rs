//! `bricklayer blockvolume`.

use bricklayer_api::ids::ClusterId;
use bricklayer_api::names::VolumeName;
use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::{Look, Work};
use super::values::whole_gib;
use crate::bricklayer::complete;
use crate::bricklayer::refs::BlockVolumeRef;

#[derive(Debug, Subcommand)]
pub enum BlockVolumeCommand {
    /// Create a block volume
    ///
    /// The hosts must have gluster-block. Where no volume for block volumes has room, one is made if the coordinator is
    /// set up to do so.
    #[command(after_help = "Example:\n  bricklayer blockvolume create --size 10 --ha 3 --auth")]
    Create {
        /// Size: GiB as a plain number, or with a unit, such as 8GiB or 1TiB
        #[arg(long, value_parser = whole_gib)]
        size: i64,
        /// Hosts that serve it [default: all]
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i64).range(1..))]
        ha: Option<i64>,
        /// Initiators must log in
        #[arg(long)]
        auth: bool,
        /// Name [default: blockvol_ and the id]
        #[arg(long)]
        name: Option<VolumeName>,
        /// Ids of the clusters to choose from [default: all]
        #[arg(long, value_delimiter = ',', value_name = "ID,ID", add = ArgValueCompleter::new(complete::clusters))]
        clusters: Vec<ClusterId>,
        #[command(flatten)]
        work: Work,
    },
    /// Delete a block volume and everything in it
    Delete {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::block_volumes))]
        volume: BlockVolumeRef,
        #[command(flatten)]
        work: Work,
    },
    /// Make a block volume larger
    #[command(after_help = "Example:\n  bricklayer blockvolume expand disk1 --new-size 20")]
    Expand {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::block_volumes))]
        volume: BlockVolumeRef,
        /// Size that it is to have
        #[arg(long, value_parser = whole_gib)]
        new_size: i64,
        #[command(flatten)]
        work: Work,
    },
    /// Show a block volume and how initiators reach it, password included
    Info {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::block_volumes))]
        volume: BlockVolumeRef,
        #[command(flatten)]
        look: Look,
    },
    /// List the block volumes
    List {
        #[command(flatten)]
        look: Look,
    },
}
