//! What an agent sees on its host. Facts with their units, as the tools of the host told them; no decisions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{BootId, BrickId, DeviceId, InstallationId, NodeId, OperationId, VolumeId};
use crate::keepsake::Digest;
use crate::names::{BrickPath, DevicePath, LvName, LvmTag, MountPoint, PvUuid, VgName, VolumeName};
use crate::size::{ByteSize, ExtentSize, Extents};
use crate::task::BrickAddress;

/// The smallest disk that is worth a volume group: heketi's smallest brick and what goes with it.
pub const LEAST_DISK: ByteSize = ByteSize::from_bytes(2 << 30);

/// How every LVM tag of ours begins.
pub const OUR_TAGS: &str = "bricklayer.";

/// Everything that one agent sees at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    pub disks: Vec<Disk>,
    pub groups: Vec<VolumeGroup>,
    /// Every brick that the tags of this host's logical volumes name.
    pub bricks: Vec<BrickSeen>,
    pub gluster: GlusterSeen,
    /// Said while the disk is nearly full that the agent itself writes to; agents that do not say it never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_disk: Option<FullDisk>,
    /// Why the host's fstab cannot be changed, while it cannot: no brick is made there. For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fstab_fault: Option<String>,
    /// The program that checks thin pools for LVM, while the host does not have it: no thin brick is made there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_thin_tool: Option<String>,
    /// What of our disks and bricks does not answer as it should. It is told also when nothing else can be found out any
    /// more, as a disk that is dying may hold up every program that looks at disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ailing: Vec<Ailing>,
}

impl Inventory {
    /// Whether the brick, or the disk that it lies on, cannot be read.
    #[must_use]
    pub fn is_ailing(&self, device: DeviceId, brick: BrickId) -> bool {
        self.ailing.iter().any(|ailing| ailing.device == device && ailing.brick.is_none_or(|id| id == brick))
    }
}

/// The host's own disk, not one of ours: of the agent's journal, fstab and LVM's backups of metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullDisk {
    /// The folder that the agent writes to.
    pub folder: String,
    /// In whole MiB, rounded down.
    pub free: ByteSize,
    /// With less, the agent takes no task that makes something.
    pub least: ByteSize,
}

impl FullDisk {
    /// Whether nothing new is made on this host.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.free < self.least
    }
}

/// A disk of ours, or the file system of a brick on it, that was read past every cache, in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ailing {
    pub device: DeviceId,
    /// As the kernel called it when LVM saw it last.
    pub disk: DevicePath,
    /// The brick that could not be read; `None` where it was the disk itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brick: Option<BrickId>,
    pub fault: ReadFault,
    /// When it was found out, by the host's clock, in milliseconds since 1970.
    pub since_ms: i64,
}

/// What came of reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ReadFault {
    /// In the words of the host's kernel.
    Failed { said: String },
    /// Nothing, for half a minute and more.
    Silent,
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { said } => write!(f, "reading it fails: {said}"),
            Self::Silent => f.write_str("reading it gets no answer"),
        }
    }
}

/// What an agent says of itself when it attaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSeen {
    /// As the host calls itself; for people, never for decisions.
    pub host_name: String,
    pub boot: BootId,
    /// For how long the host has been up, in whole seconds. `None` from agents that do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_seconds: Option<u64>,
    pub versions: Versions,
}

/// Versions as the programs print them; empty where a program is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    pub agent: String,
    pub kernel: String,
    pub lvm: String,
    pub xfsprogs: String,
    pub glusterfs: String,
}

/// One whole disk (or another block device that could be given to us).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The name by which it was given or, before that, the kernel's.
    pub path: DevicePath,
    /// All other names: udev's links.
    pub links: Vec<DevicePath>,
    pub size: ByteSize,
    pub serial: Option<String>,
    pub wwn: Option<String>,
    pub model: Option<String>,
    pub rotational: bool,
    /// Why it cannot be taken as it is; empty where it can.
    pub obstacles: Vec<Obstacle>,
    /// The device that it is, where its volume group carries our tags.
    pub device: Option<DeviceId>,
    /// Why not even a confirmed wipe takes what is on it; agents that do not say it refuse only when they are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_needed: Option<StillNeeded>,
}

/// What a wipe does not take from a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillNeeded {
    /// A clause, such as `this host lives on it (mounted at /)`.
    pub why: String,
    /// What a person can do.
    pub cure: String,
}

impl Disk {
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.obstacles.is_empty()
    }

    /// What a person has to repeat before the disk is wiped: its serial, its WWN, or the UUID of the physical volume
    /// on it.
    #[must_use]
    pub fn confirmations(&self) -> Vec<String> {
        let pv = self.obstacles.iter().find_map(|obstacle| match obstacle {
            Obstacle::PhysicalVolume { uuid, .. } => Some(uuid.to_string()),
            _ => None,
        });
        [self.serial.clone(), self.wwn.clone(), pv].into_iter().flatten().collect()
    }
}

/// One reason why a disk is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Obstacle {
    /// A file system on it (or on a part of it) is mounted.
    Mounted {
        source: String,
        at: String,
    },
    /// It, or a part of it, is in use as swap.
    Swap {
        source: String,
    },
    /// A line of fstab names it, so that the next boot would mount it.
    Fstab {
        line: String,
    },
    /// A signature that `wipefs` finds.
    Signature {
        what: String,
        offset: u64,
    },
    PartitionTable {
        what: String,
    },
    /// It is, or was, a physical volume of LVM.
    PhysicalVolume {
        uuid: PvUuid,
        group: Option<VgName>,
    },
    /// A device-mapper (or md) device lies on it.
    HeldBy {
        name: String,
        path: String,
        in_use: bool,
    },
    /// It belongs to a multipath device: that one is to be given, not its parts.
    MultipathMember {
        map: String,
    },
    ReadOnly,
    TooSmall {
        size: ByteSize,
        least: ByteSize,
    },
    /// It already is a device of this installation.
    Ours {
        device: DeviceId,
    },
    /// It could not be identified, and so counts as somebody else's.
    Unknown {
        why: String,
    },
}

impl Obstacle {
    /// Whether `device wipe` can take it away once a person has confirmed the disk.
    #[must_use]
    pub fn can_be_wiped(&self) -> bool {
        match self {
            Self::Signature { .. }
            | Self::PartitionTable { .. }
            | Self::PhysicalVolume { .. }
            | Self::Mounted { .. }
            | Self::Fstab { .. }
            | Self::HeldBy { .. } => true,
            Self::Swap { .. }
            | Self::MultipathMember { .. }
            | Self::ReadOnly
            | Self::TooSmall { .. }
            | Self::Ours { .. }
            | Self::Unknown { .. } => false,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { source, at } => write!(f, "{source} is mounted at {at}"),
            Self::Swap { source } => write!(f, "{source} is in use as swap"),
            Self::Fstab { line } => write!(f, "a line of /etc/fstab names it: {line}"),
            Self::Signature { what, offset } => write!(f, "it carries a signature of {what} at byte {offset}"),
            Self::PartitionTable { what } => write!(f, "it carries a partition table ({what})"),
            Self::PhysicalVolume { uuid, group: Some(group) } => {
                write!(f, "it is LVM's physical volume {uuid} of volume group {group}")
            }
            Self::PhysicalVolume { uuid, group: None } => {
                write!(f, "it carries LVM's physical volume {uuid}, which is in no volume group")
            }
            Self::HeldBy { name, path, in_use: true } => write!(f, "{name} ({path}) lies on it and is in use"),
            Self::HeldBy { name, path, in_use: false } => write!(f, "{name} ({path}) lies on it, in use by nobody"),
            Self::MultipathMember { map } => write!(f, "it is a path of the multipath device {map}: add that one"),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::TooSmall { size, least } => write!(f, "it has {size}, at least {least} are needed"),
            Self::Ours { device } => write!(f, "it already is device {device}"),
            Self::Unknown { why } => write!(f, "it could not be examined, so it counts as somebody else's: {why}"),
        }
    }
}

/// One volume group, from one report of LVM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeGroup {
    pub name: VgName,
    pub uuid: String,
    pub space: GroupSpace,
    pub physical_volumes: Vec<PhysicalVolume>,
    /// Ours: what the group's tags say. `None` for groups of others.
    pub tags: Option<GroupTags>,
    /// Marked for destruction by an earlier step of ours.
    pub condemned: bool,
    /// Others made it, and we took it over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    pub volumes: Vec<LogicalVolume>,
}

/// The space of a volume group in LVM's own numbers (`vg_extent_count`, `vg_free_count`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpace {
    /// LVM's `vg_seqno`: raised by each change of the group, so that of two reports the newer one is known.
    pub seqno: u64,
    pub extent_size: ExtentSize,
    pub total: Extents,
    pub free: Extents,
    /// The group's spare of pool metadata (`lvol0_pmspare`); zero before the first pool.
    pub spare: Extents,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalVolume {
    pub uuid: PvUuid,
    /// As LVM names it; `None` where the disk is missing.
    pub path: Option<DevicePath>,
    pub missing: bool,
    /// `None` where the disk is missing, or the agent is older than this figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<PvExtent>,
}

/// Where the extents of a physical volume lie on its disk. What is before and behind them is LVM's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PvExtent {
    /// LVM's `dev_size`: the whole disk.
    pub disk: ByteSize,
    /// LVM's `pe_start`: where the first extent begins.
    pub start: ByteSize,
}

/// What a volume group of ours says of itself, in tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTags {
    pub installation: InstallationId,
    pub node: NodeId,
    pub device: DeviceId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalVolume {
    pub name: LvName,
    pub uuid: String,
    /// LVM's own size; virtual for a thin volume.
    pub size: ByteSize,
    pub kind: LvKind,
    pub active: bool,
    /// Some program, or a mount, has it open.
    pub open: bool,
    /// Marked for destruction by an earlier step of ours.
    pub condemned: bool,
    pub tags: Vec<LvmTag>,
}

impl LogicalVolume {
    /// The value of one of our tags, such as `brick`.
    #[must_use]
    pub fn our_tag(&self, key: &str) -> Option<&str> {
        let mut ours = self.tags.iter().filter_map(|tag| tag.as_str().strip_prefix(OUR_TAGS)?.split_once('='));
        ours.find_map(|(found, value)| (found == key).then_some(value))
    }

    /// Whether it carries any tag of ours.
    #[must_use]
    pub fn is_tagged_ours(&self) -> bool {
        self.tags.iter().any(|tag| tag.as_str().starts_with(OUR_TAGS))
    }

    /// Whether LVM made it as a part of a thin pool, or as the spare of their metadata. LVM gives such names to nobody
    /// else, and lists these only where it is asked for all.
    #[must_use]
    pub fn is_part_of_pool(&self) -> bool {
        ["_tdata", "_tmeta", "_pmspare"].iter().any(|suffix| self.name.as_str().ends_with(suffix))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LvKind {
    /// Fill levels in percent; `None` while the pool is not active.
    ThinPool {
        metadata: ByteSize,
        data_percent: Option<f64>,
        metadata_percent: Option<f64>,
        volumes: u32,
        /// What LVM says is wrong with it, where that takes a person: it needs a check, its metadata is read-only, it has
        /// failed. In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    Thin {
        pool: LvName,
    },
    /// Anything else: linear, snapshots of others, hidden parts of pools.
    Other {
        segment_type: String,
    },
}

impl LvKind {
    #[must_use]
    pub fn is_pool(&self) -> bool {
        matches!(self, Self::ThinPool { .. })
    }

    /// Of a thin pool.
    #[must_use]
    pub fn pool_fault(&self) -> Option<&str> {
        match self {
            Self::ThinPool { fault, .. } => fault.as_deref(),
            Self::Thin { .. } | Self::Other { .. } => None,
        }
    }

    /// Whether it is a plain linear volume, as a thick brick is.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        matches!(self, Self::Other { segment_type } if segment_type == "linear")
    }
}

/// A brick, as the tags of its thin or linear volume and the state of its mount tell it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrickSeen {
    pub tags: BrickTags,
    pub group: VgName,
    pub volume_lv: LvName,
    /// Of a thin volume; a thick brick has no pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_lv: Option<LvName>,
    /// Size of the thin or linear volume.
    pub size: ByteSize,
    pub condemned: bool,
    /// Others made it, and we took it over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Where the host's fstab mounts it, if a line of ours does.
    pub fstab: Option<MountPoint>,
    /// Where it is mounted now.
    pub mounted: Option<MountPoint>,
    /// Present and readable only while mounted.
    pub path: Option<BrickPath>,
    /// Whether a process of GlusterFS serves it; `false` only where several looks have found none. `None` where that cannot be
    /// told: it is not mounted, glusterd does not run, bricks are multiplexed, or the agent is older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<bool>,
}

/// What a brick's volume says of itself, in tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickTags {
    pub brick: BrickId,
    pub volume: VolumeId,
    pub volume_name: VolumeName,
    /// Which brick set of the volume, from 0.
    pub set: u32,
    /// The place within its set, from 0. GlusterFS reads order as meaning.
    pub position: u32,
    pub role: BrickRole,
    /// What was asked for; the volume is this, rounded up to extents.
    pub asked: ByteSize,
    pub generation: u64,
    pub operation: OperationId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrickRole {
    Data,
    /// Metadata only.
    Arbiter,
}

/// What this host's glusterd says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlusterSeen {
    /// glusterd answers.
    pub running: bool,
    /// This host's own id in the trusted storage pool; heketi never knew it.
    pub uuid: Option<String>,
    pub peers: Vec<PeerSeen>,
    /// The version of `gluster-block`; `None` where the host lacks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Every volume of its pool, ours or not, as of a minute ago at the most; `None` where it did not say, or the agent is
    /// older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<VolumeInPool>>,
}

/// A volume that glusterd knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeInPool {
    pub name: VolumeName,
    /// The volume of ours that it is, by its option [`crate::task::VOLUME_ID_OPTION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<VolumeId>,
    pub started: bool,
    /// Of its bricks: hosts whose digests differ have different definitions of the volume. `None` from agents of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bricks: Option<Digest>,
}

/// Of the bricks of a volume in glusterd's order, as `host:path` lines.
#[must_use]
pub fn digest_of_bricks(bricks: &[BrickAddress]) -> Digest {
    let lines: Vec<String> = bricks.iter().map(|brick| format!("{brick}\n")).collect();
    Digest::of(lines.concat().as_bytes())
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSeen {
    pub uuid: String,
    pub host: String,
    pub connected: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, tags: &[&str]) -> LogicalVolume {
        LogicalVolume {
            name: name.parse().unwrap(),
            uuid: "u".to_owned(),
            size: ByteSize::ZERO,
            kind: LvKind::Other { segment_type: "linear".to_owned() },
            active: false,
            open: false,
            condemned: false,
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_tag_is_ours_by_its_beginning_and_read_by_its_key() {
        let ours = volume("tp_1", &["backup", "bricklayer.role=pool", "bricklayer.brick=b1"]);
        assert_eq!((ours.our_tag("brick"), ours.our_tag("backup"), ours.our_tag("bri")), (Some("b1"), None, None));
        assert!(ours.is_tagged_ours() && !volume("data", &["bricklayers", "brick=b1"]).is_tagged_ours());
    }

    #[test]
    fn parts_of_pools_are_told_by_the_names_that_lvm_keeps_for_them() {
        for name in ["tp_1_tdata", "tp_1_tmeta", "lvol0_pmspare"] {
            assert!(volume(name, &[]).is_part_of_pool(), "{name}");
        }
        assert!(!volume("tdata", &[]).is_part_of_pool());
    }
}
