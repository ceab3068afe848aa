//! `bricklayer brick`.

use bricklayer_api::ids::BrickId;
use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::{HealCheck, Look, Work};
use crate::bricklayer::complete;
use crate::bricklayer::refs::{DeviceRef, NodeRef, VolumeRef};

#[derive(Debug, Subcommand)]
pub enum BrickCommand {
    /// Move a brick to a device that is chosen for it
    ///
    /// The volume goes on serving. The old brick is removed when the new one is healed.
    Evict {
        /// Id, from `bricklayer brick list`
        #[arg(add = ArgValueCompleter::new(complete::bricks))]
        brick: BrickId,
        #[command(flatten)]
        heal_check: HealCheck,
        #[command(flatten)]
        work: Work,
    },
    /// List the bricks
    #[command(after_help = "Examples:\n  bricklayer brick list --volume backups\n  \
        bricklayer brick list --device gfs1:/dev/sdb -o name")]
    List {
        /// Of this volume alone: its id or name
        #[arg(long, add = ArgValueCompleter::new(complete::volumes))]
        volume: Option<VolumeRef>,
        /// On this node alone: its id or name
        #[arg(long, add = ArgValueCompleter::new(complete::nodes))]
        node: Option<NodeRef>,
        /// On this device alone: its id, or node and name
        #[arg(long, add = ArgValueCompleter::new(complete::devices))]
        device: Option<DeviceRef>,
        #[command(flatten)]
        look: Look,
    },
    /// Move a brick, to a device of your choice
    ///
    /// The volume goes on serving. The old brick is removed when the new one is healed.
    #[command(after_help = "Examples:\n  bricklayer brick replace ID --dry-run\n  \
        bricklayer brick replace ID --device gfs4:/dev/sdb")]
    Replace {
        /// Id, from `bricklayer brick list`
        #[arg(add = ArgValueCompleter::new(complete::bricks))]
        brick: BrickId,
        /// Device to move it to: id, or node and name [default: one is chosen]
        #[arg(long, add = ArgValueCompleter::new(complete::devices))]
        device: Option<DeviceRef>,
        #[command(flatten)]
        heal_check: HealCheck,
        #[command(flatten)]
        work: Work,
    },
}
