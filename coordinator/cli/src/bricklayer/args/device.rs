//! `bricklayer device`.

use bricklayer_api::ids::DeviceId;
use bricklayer_api::names::{DevicePath, HostName};
use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::{HealCheck, Look, Quick, RmTags, SetTags, Work};
use crate::bricklayer::complete;
use crate::bricklayer::refs::{DeviceRef, NodeRef};

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
        #[arg(long, add = ArgValueCompleter::new(complete::nodes))]
        node: NodeRef,
        /// Wipe whatever lies on the disk, without asking. `device wipe` asks
        #[arg(long)]
        destroy_existing_data: bool,
        #[command(flatten)]
        work: Work,
    },
    /// Take an empty device out of Bricklayer
    Delete {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        /// Forget the device even if its disk cannot be cleaned
        #[arg(long)]
        force_forget: bool,
        #[command(flatten)]
        work: Work,
    },
    /// Place no more bricks on a device
    Disable {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        work: Work,
    },
    /// Place bricks on a device again
    Enable {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        work: Work,
    },
    /// Show a device and its bricks
    Info {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        look: Look,
    },
    /// Show where every byte of a device went
    ///
    /// Bricks, their rounding, room for snapshots and metadata, LVM's spare and its own area on the disk, what others made,
    /// and what is free: with who says so and how long ago. They add up to the disk, to the byte. What the coordinator's
    /// records and LVM do not explain between them is unaccounted for, which is 0 unless something is wrong.
    #[command(after_help = "Example:\n  bricklayer device ledger gfs1:/dev/sdb")]
    Ledger {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        look: Look,
    },
    /// List the devices
    List {
        /// Of this node alone: its id or name
        #[arg(long, add = ArgValueCompleter::new(complete::nodes))]
        node: Option<NodeRef>,
        #[command(flatten)]
        look: Look,
    },
    /// Declare that the disk of a device will never come back
    ///
    /// Nobody waits for it any more: `device remove` makes its bricks anew elsewhere, `device delete` takes it out. It is
    /// refused while the host sees the disk whole. Without --confirm nothing is changed: what is on it is shown.
    #[command(after_help = "Examples:\n  bricklayer device lost gfs1:/dev/sdb\n  \
        bricklayer device lost gfs1:/dev/sdb --confirm 8d6b4a1d1a0e4f7f9a3b5c7d9e1f2a3b")]
    Lost {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        /// The device's id, once more
        #[arg(long, value_name = "ID")]
        confirm: Option<DeviceId>,
        #[command(flatten)]
        quick: Quick,
    },
    /// Move all bricks of a disabled device elsewhere
    ///
    /// One brick of a set at a time, each one healed before the next. It may take long, and goes on by itself: look at
    /// it by `bricklayer operation info`.
    #[command(after_help = "Example:\n  bricklayer device disable gfs1:/dev/sdb\n  \
        bricklayer device remove gfs1:/dev/sdb --dry-run\n  bricklayer device remove gfs1:/dev/sdb")]
    Remove {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        heal_check: HealCheck,
        #[command(flatten)]
        work: Work,
    },
    /// Read a device's size from its host again
    Resync {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        work: Work,
    },
    /// Take tags off a device
    #[command(visible_aliases = ["deltags", "removetags"])]
    Rmtags {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        tags: RmTags,
        #[command(flatten)]
        quick: Quick,
    },
    /// Tag a device
    #[command(after_help = "Example:\n  bricklayer device settags gfs1:/dev/sdb arbiter:disabled")]
    Settags {
        /// Id, or node and name: gfs1:/dev/sdb
        #[arg(add = ArgValueCompleter::new(complete::devices))]
        device: DeviceRef,
        #[command(flatten)]
        tags: SetTags,
        #[command(flatten)]
        quick: Quick,
    },
    /// Empty a disk that something else was on
    ///
    /// Without --confirm nothing is touched: what lies on the disk is shown, and what to confirm with. Mounts, fstab
    /// lines, device-mapper devices, LVM and signatures of this disk alone are undone; no reboot is needed.
    #[command(after_help = "Examples:\n  bricklayer device wipe gfs1 /dev/sdb\n  \
        bricklayer device wipe gfs1 /dev/sdb --confirm WD-WCC4N0123456 --plan    # all that would go, and an id to apply\n  \
        bricklayer device wipe gfs1 /dev/sdb --confirm WD-WCC4N0123456")]
    Wipe {
        /// Id or name of the node
        #[arg(add = ArgValueCompleter::new(complete::agents))]
        node: HostName,
        /// Name of the disk on its host
        device: DevicePath,
        /// The disk's serial, its WWN, or the UUID of the LVM physical volume on it
        #[arg(long, value_name = "SERIAL")]
        confirm: Option<String>,
        #[command(flatten)]
        work: Work,
    },
}
