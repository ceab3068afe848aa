//! `bricklayer volume`.

use std::path::PathBuf;

use bricklayer_api::heketi::{BlockRestriction, DurabilityKind};
use bricklayer_api::ids::ClusterId;
use bricklayer_api::names::VolumeName;
use bricklayer_api::size::ByteSize;
use clap::{Args, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::common::{Look, Output, Work};
use super::values::{keep_seconds, object_name, size, snapshot_factor};
use crate::bricklayer::complete;
use crate::bricklayer::refs::VolumeRef;

#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Copy a volume
    ///
    /// The copy shares its blocks with the volume until one of them is written: it is there at once and takes no space.
    #[command(after_help = "Example:\n  bricklayer volume clone backups --name backups-copy")]
    Clone {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        /// Name of the copy [default: vol_ and the id]
        #[arg(long)]
        name: Option<VolumeName>,
        #[command(flatten)]
        work: Work,
    },
    /// Create a volume
    #[command(after_help = "Examples:\n  bricklayer volume create --size 8\n  \
        bricklayer volume create --size 100 --replica 3 --name backups\n  \
        bricklayer volume create --size 1536MiB --dry-run\n  \
        bricklayer volume create --size 1TiB --durability disperse --disperse-data 4 --redundancy 2")]
    Create(VolumeCreate),
    /// Delete a volume and everything in it
    ///
    /// With --keep it is stopped and its bricks stay for that long: `volume undelete` has it back as it was. Until then it
    /// takes its space and its name. Without, the installation decides; it keeps nothing unless it was told to.
    #[command(after_help = "Examples:\n  bricklayer volume delete backups --keep 7d\n  \
        bricklayer volume delete backups --keep 0")]
    Delete {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        /// How long its bricks are kept, such as 7d or 12h; 0: not at all [default: as the installation has it]
        #[arg(long, value_name = "TIME", value_parser = keep_seconds)]
        keep: Option<u64>,
        #[command(flatten)]
        work: Work,
    },
    /// Say where a volume would go, or why it would not fit and what would make it fit
    ///
    /// Takes what `volume create` takes, and changes nothing. Every device is named with the first rule that it fails; each
    /// change that is proposed was tried. Exit code 1 where the volume does not fit.
    #[command(after_help = "Examples:\n  bricklayer volume explain --size 100\n  \
        bricklayer volume explain --size 1TiB --arbiter -o json\n  \
        bricklayer volume explain --size 100 --bundle bundle.json")]
    Explain {
        #[command(flatten)]
        wanted: Box<VolumeWanted>,
        /// Save the question, all that placement decides by, and the answer: `bricklayer-coordinator replay` gives the same
        /// answer from it on any machine. No secrets; only its owner can read it
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Make a volume larger
    ///
    /// Its bricks grow where they are as far as their devices have room; then brick sets are added.
    #[command(after_help = "Examples:\n  bricklayer volume expand backups --expand-size 10\n  \
        bricklayer volume expand backups --to 1TiB --dry-run")]
    #[group(id = "how_much", required = true, multiple = false)]
    Expand {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        /// What to add: GiB as a plain number, or with a unit, such as 512MiB
        #[arg(long, visible_alias = "by", group = "how_much", value_name = "SIZE", value_parser = size)]
        expand_size: Option<ByteSize>,
        /// The size that it is to have
        #[arg(long, group = "how_much", value_name = "SIZE", value_parser = size)]
        to: Option<ByteSize>,
        #[command(flatten)]
        work: Work,
    },
    /// Show what is left to heal
    ///
    /// With --watch until every brick is online and healed.
    Heal {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        #[command(flatten)]
        look: Look,
    },
    /// Show a volume, its bricks and how to mount it
    Info {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        #[command(flatten)]
        look: Look,
    },
    /// List the volumes
    List {
        #[command(flatten)]
        look: Look,
    },
    /// Print what Kubernetes needs to use a volume without a provisioner
    ///
    /// Endpoints with the hosts' addresses, the Service that keeps them, a PersistentVolume and a claim. For clusters
    /// that still mount GlusterFS by themselves: those of Kubernetes up to 1.25.
    #[command(after_help = "Example:\n  bricklayer volume manifest backups --namespace web | kubectl apply -f -")]
    Manifest {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        /// Namespace of the claim
        #[arg(short, long, default_value = "default", value_parser = object_name)]
        namespace: String,
        /// Name of the objects [default: glusterfs- and the volume's name]
        #[arg(long, value_parser = object_name)]
        name: Option<String>,
        /// As one List in JSON instead of YAML
        #[arg(long)]
        json: bool,
    },
    /// Refuse to delete a volume until that is taken back
    Protect {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        #[command(flatten)]
        work: Work,
    },
    /// Show how far the rebalance of a volume is, or start one
    ///
    /// A rebalance spreads the files over brick sets that were added. With --watch until it has ended.
    #[command(after_help = "Examples:\n  bricklayer volume rebalance backups\n  \
        bricklayer volume rebalance backups --start --watch")]
    Rebalance {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        /// Start it
        #[arg(long)]
        start: bool,
        #[command(flatten)]
        look: Look,
    },
    /// Allow or refuse new block volumes in a volume that holds them
    SetBlockHostingRestriction {
        restriction: Restriction,
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        #[command(flatten)]
        work: Work,
    },
    /// Have a deleted volume back from the trash
    ///
    /// With all that was in it, as long as its bricks are kept; see `bricklayer trash list`.
    Undelete {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::trash))]
        volume: VolumeRef,
        #[command(flatten)]
        work: Work,
    },
    /// Allow a protected volume to be deleted
    Unprotect {
        /// Id or name
        #[arg(add = ArgValueCompleter::new(complete::volumes))]
        volume: VolumeRef,
        #[command(flatten)]
        work: Work,
    },
}

#[derive(Debug, Args)]
pub struct VolumeCreate {
    #[command(flatten)]
    pub wanted: VolumeWanted,
    #[command(flatten)]
    pub work: Work,
}

/// What a volume is to be.
#[derive(Debug, Args)]
pub struct VolumeWanted {
    /// Size: GiB as a plain number, or with a unit, such as 8GiB, 1536MiB or 1TiB
    #[arg(long, value_parser = size)]
    pub size: ByteSize,
    /// Name [default: vol_ and the id]
    #[arg(long)]
    pub name: Option<VolumeName>,
    /// How the data is protected
    #[arg(long, value_enum, default_value_t = DurabilityArg::Replicate)]
    pub durability: DurabilityArg,
    /// Copies, for replicate [default: 3]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub replica: Option<i64>,
    /// Let the third copy hold names alone, for replicate 3: it costs next to no space
    #[arg(long)]
    pub arbiter: bool,
    /// Data bricks of a set, for disperse [default: 4]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub disperse_data: Option<i64>,
    /// Redundancy bricks of a set, for disperse [default: 2]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub redundancy: Option<i64>,
    /// Room for snapshots, as a multiple of the size: 1 to 100 [default: none]
    #[arg(long, value_parser = snapshot_factor)]
    pub snapshot_factor: Option<f32>,
    /// On linear volumes of all its size: no thin pools, so no snapshots and clones [default: as the policy has it]
    #[arg(long, conflicts_with = "snapshot_factor")]
    pub thick: bool,
    /// On thin volumes in thin pools, whatever the policy has
    #[arg(long, conflicts_with = "thick")]
    pub thin: bool,
    /// The most that its thin pools are extended to when they fill up, as a multiple of their bricks' size: 1, not at all, to 100
    /// [default: as the policy has it]
    #[arg(long, value_name = "FACTOR", conflicts_with = "thick")]
    pub pools_at_most: Option<String>,
    /// Group that may write, and owns what is written
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..i64::from(i32::MAX)))]
    pub gid: i64,
    /// Ids of the clusters to choose from [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ID,ID", add = ArgValueCompleter::new(complete::clusters))]
    pub clusters: Vec<ClusterId>,
    /// Options of GlusterFS: "KEY VALUE,KEY VALUE"
    #[arg(long, value_delimiter = ',', value_name = "OPTIONS")]
    pub gluster_volume_options: Vec<String>,
    /// The volume is to hold block volumes
    #[arg(long)]
    pub block: bool,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Restriction {
    Locked,
    Unlocked,
}

impl From<Restriction> for BlockRestriction {
    fn from(arg: Restriction) -> Self {
        match arg {
            Restriction::Locked => Self::Locked,
            Restriction::Unlocked => Self::None,
        }
    }
}
