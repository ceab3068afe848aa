//! Plans what is to be done to this host so that it holds what it should.
//!
//! Reads facts, returns a list of [`Step`]s or says why there is no way; touches nothing, reads no clock and no store.
//! A destructive step exists only in a plan, and only with both keys: the ids of the task match the tags on the disk,
//! and the disk already carries the mark of what is condemned. See [`doomed`], where alone such steps can be made.
//!
//! Every step may be carried out again, and a plan made anew from the facts after a crash holds what is left to do.
//!
//! A refusal here means that nothing has been changed: all of a plan is made before any of it is done.

pub mod adopt;
pub mod brick;
pub mod clone;
pub mod device;
pub mod doomed;
pub mod gluster_store;
pub mod wipe;

#[cfg(test)]
mod tests;

use std::fmt;

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::Obstacle;
use bricklayer_proto::names::{BrickPath, DevicePath, LvName, LvmTag, MountPoint, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::task::{Failure, FailureKind};
use camino::Utf8PathBuf;

use crate::host::{BrickVolumes, LinearVolume};
use doomed::{BlankVolume, DoomedDisk, DoomedGroup, DoomedPhysicalVolume, DoomedVolumes};

/// One small change of the host.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    // Disks.
    /// Unmounts what others mounted from a disk that is wiped.
    UnmountForeign {
        at: Utf8PathBuf,
    },
    /// Drops lines of fstab that name a disk that is wiped; each is given whole.
    DropForeignLines {
        lines: Vec<String>,
    },
    DeactivateGroup {
        group: VgName,
    },
    /// Nothing happens where it is gone by then.
    RemoveMapping {
        name: String,
    },
    WipeSignatures(DoomedDisk),
    CreateGroup {
        disk: DevicePath,
        group: VgName,
        extent_size: ExtentSize,
        tags: Vec<LvmTag>,
    },
    CondemnGroup {
        group: VgName,
    },
    RemoveGroup(DoomedGroup),
    RemovePhysicalVolume(DoomedPhysicalVolume),

    // Bricks.
    ActivateGroup {
        group: VgName,
    },
    CreateVolumes(Box<BrickVolumes>),
    CreateLinear(Box<LinearVolume>),
    MakeXfs {
        group: VgName,
        volume: LvName,
        arbiter: bool,
    },
    /// Over what earlier volumes left on it.
    MakeXfsOver {
        blank: BlankVolume,
        arbiter: bool,
    },
    MakeMountPoint {
        at: MountPoint,
    },
    SetLine {
        brick: BrickId,
        line: String,
    },
    Mount {
        group: VgName,
        volume: LvName,
        at: MountPoint,
    },
    WriteRecord {
        at: MountPoint,
        content: Vec<u8>,
    },
    MakeBrickDirectory {
        path: BrickPath,
        gid: u32,
    },
    ExtendPool {
        group: VgName,
        pool: LvName,
        data: Option<ByteSize>,
        metadata: Option<ByteSize>,
    },
    ExtendVolume {
        group: VgName,
        volume: LvName,
        to: ByteSize,
    },
    GrowXfs {
        at: MountPoint,
    },
    ReplaceTags {
        group: VgName,
        volume: LvName,
        gone: Vec<LvmTag>,
        new: Vec<LvmTag>,
    },
    CondemnVolumes {
        group: VgName,
        volumes: Vec<LvName>,
    },
    Unmount {
        at: MountPoint,
    },
    DropLine {
        brick: BrickId,
    },

    // Adoption.
    ReplaceGroupTags {
        group: VgName,
        gone: Vec<LvmTag>,
        new: Vec<LvmTag>,
    },
    /// The line that mounts the brick becomes one of ours, and is remembered beside it.
    TakeLine {
        brick: BrickId,
        device: Utf8PathBuf,
        at: MountPoint,
    },
    GiveLineBack {
        brick: BrickId,
    },
    RemoveRecord {
        at: MountPoint,
    },
    RemoveVolumes(DoomedVolumes),
    RemoveMountPoint {
        at: MountPoint,
    },
}

impl Step {
    /// The volume group whose LVM metadata this changes.
    #[must_use]
    pub fn changes_group(&self) -> Option<&VgName> {
        match self {
            Self::CreateGroup { group, .. }
            | Self::CondemnGroup { group }
            | Self::DeactivateGroup { group }
            | Self::ActivateGroup { group }
            | Self::ExtendPool { group, .. }
            | Self::ExtendVolume { group, .. }
            | Self::ReplaceTags { group, .. }
            | Self::ReplaceGroupTags { group, .. }
            | Self::CondemnVolumes { group, .. } => Some(group),
            Self::CreateVolumes(wanted) => Some(&wanted.group),
            Self::CreateLinear(wanted) => Some(&wanted.group),
            Self::RemoveGroup(doomed) => Some(doomed.group()),
            Self::RemoveVolumes(doomed) => Some(doomed.group()),
            Self::UnmountForeign { .. }
            | Self::DropForeignLines { .. }
            | Self::RemoveMapping { .. }
            | Self::WipeSignatures(_)
            | Self::RemovePhysicalVolume(_)
            | Self::MakeXfs { .. }
            | Self::MakeXfsOver { .. }
            | Self::MakeMountPoint { .. }
            | Self::SetLine { .. }
            | Self::Mount { .. }
            | Self::WriteRecord { .. }
            | Self::MakeBrickDirectory { .. }
            | Self::GrowXfs { .. }
            | Self::Unmount { .. }
            | Self::DropLine { .. }
            | Self::TakeLine { .. }
            | Self::GiveLineBack { .. }
            | Self::RemoveRecord { .. }
            | Self::RemoveMountPoint { .. } => None,
        }
    }

    /// In a word or two, for who waits.
    #[must_use]
    pub fn doing(&self) -> &'static str {
        match self {
            Self::UnmountForeign { .. } | Self::Unmount { .. } => "umount",
            Self::DropForeignLines { .. }
            | Self::SetLine { .. }
            | Self::DropLine { .. }
            | Self::TakeLine { .. }
            | Self::GiveLineBack { .. } => "fstab",
            Self::DeactivateGroup { .. }
            | Self::ActivateGroup { .. }
            | Self::CondemnGroup { .. }
            | Self::ReplaceGroupTags { .. } => "vgchange",
            Self::RemoveMapping { .. } => "dmsetup remove",
            Self::WipeSignatures(_) => "wipefs",
            Self::CreateGroup { .. } => "vgcreate",
            Self::RemoveGroup(_) => "vgremove",
            Self::RemovePhysicalVolume(_) => "pvremove",
            Self::CreateVolumes(_) | Self::CreateLinear(_) => "lvcreate",
            Self::MakeXfs { .. } | Self::MakeXfsOver { .. } => "mkfs.xfs",
            Self::MakeMountPoint { .. } | Self::RemoveMountPoint { .. } => "mount point",
            Self::Mount { .. } => "mount",
            Self::WriteRecord { .. } | Self::RemoveRecord { .. } => "record",
            Self::MakeBrickDirectory { .. } => "brick directory",
            Self::ExtendPool { .. } | Self::ExtendVolume { .. } => "lvextend",
            Self::GrowXfs { .. } => "xfs_growfs",
            Self::ReplaceTags { .. } | Self::CondemnVolumes { .. } => "lvchange",
            Self::RemoveVolumes(_) => "lvremove",
        }
    }
}

/// A plan can be read before it is carried out.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnmountForeign { at } => write!(f, "unmount {at}"),
            Self::DropForeignLines { lines } => write!(f, "drop from fstab: {}", lines.join(" | ")),
            Self::DeactivateGroup { group } => write!(f, "deactivate volume group {group}"),
            Self::RemoveMapping { name } => write!(f, "remove the mapping {name}"),
            Self::WipeSignatures(disk) => write!(f, "wipe every signature off {}", disk.path()),
            Self::CreateGroup { disk, group, .. } => write!(f, "make volume group {group} on {disk}"),
            Self::CondemnGroup { group } => write!(f, "condemn volume group {group}"),
            Self::RemoveGroup(doomed) => write!(f, "remove volume group {} from {}", doomed.group(), doomed.disk()),
            Self::RemovePhysicalVolume(doomed) => {
                write!(f, "remove physical volume {} from {}", doomed.uuid(), doomed.disk())
            }
            Self::ActivateGroup { group } => write!(f, "activate volume group {group}"),
            Self::CreateVolumes(wanted) => {
                write!(
                    f,
                    "make thin pool {} ({}, metadata {}) and thin volume {} ({}) in {}",
                    wanted.pool,
                    wanted.space.pool,
                    wanted.space.metadata,
                    wanted.volume,
                    wanted.space.volume,
                    wanted.group
                )
            }
            Self::CreateLinear(wanted) => {
                write!(f, "make linear volume {} ({}) in {}", wanted.volume, wanted.size, wanted.group)
            }
            Self::MakeXfs { group, volume, .. } => write!(f, "make an XFS on {group}/{volume}"),
            Self::MakeXfsOver { blank, .. } => {
                let (group, volume) = (blank.group(), blank.volume());
                write!(f, "make an XFS on {group}/{volume}, over what an earlier volume left there")
            }
            Self::MakeMountPoint { at } => write!(f, "make the mount point {at}"),
            Self::SetLine { line, .. } => write!(f, "put into fstab: {line}"),
            Self::Mount { group, volume, at } => write!(f, "mount {group}/{volume} at {at}"),
            Self::WriteRecord { at, .. } => write!(f, "write the volume's record below {at}"),
            Self::MakeBrickDirectory { path, .. } => write!(f, "make the brick directory {path}"),
            Self::ExtendPool { group, pool, data, metadata } => {
                write!(f, "extend thin pool {group}/{pool}")?;
                metadata.iter().try_for_each(|size| write!(f, ", its metadata to {size}"))?;
                data.iter().try_for_each(|size| write!(f, ", its data to {size}"))
            }
            Self::ExtendVolume { group, volume, to } => write!(f, "extend volume {group}/{volume} to {to}"),
            Self::GrowXfs { at } => write!(f, "grow the XFS at {at} to its volume's size"),
            Self::ReplaceTags { group, volume, gone, new } => {
                write!(f, "change the tags of {group}/{volume}:")?;
                gone.iter().try_for_each(|tag| write!(f, " -{tag}"))?;
                new.iter().try_for_each(|tag| write!(f, " +{tag}"))
            }
            Self::CondemnVolumes { group, volumes } => {
                write!(f, "condemn")?;
                volumes.iter().try_for_each(|volume| write!(f, " {group}/{volume}"))
            }
            Self::Unmount { at } => write!(f, "unmount {at}"),
            Self::DropLine { brick } => write!(f, "drop the line of brick {brick} from fstab"),
            Self::RemoveVolumes(doomed) => {
                write!(f, "remove")?;
                doomed.volumes().iter().try_for_each(|volume| write!(f, " {}/{volume}", doomed.group()))
            }
            Self::RemoveMountPoint { at } => write!(f, "remove the mount point {at}"),
            Self::ReplaceGroupTags { group, gone, new } => {
                write!(f, "change the tags of volume group {group}:")?;
                gone.iter().try_for_each(|tag| write!(f, " -{tag}"))?;
                new.iter().try_for_each(|tag| write!(f, " +{tag}"))
            }
            Self::TakeLine { at, .. } => write!(f, "take over the line of fstab that mounts {at}"),
            Self::GiveLineBack { brick } => write!(f, "put the line of brick {brick} in fstab back as it was"),
            Self::RemoveRecord { at } => write!(f, "remove the volume's record below {at}"),
        }
    }
}

/// Nothing was changed, and why.
#[must_use]
pub fn refused(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Refused, message: message.into(), cure: None, obstacles: Vec::new() }
}

/// The same with what a person can do.
#[must_use]
pub fn refused_with_cure(message: impl Into<String>, cure: impl Into<String>) -> Failure {
    Failure { cure: Some(cure.into()), ..refused(message) }
}

/// A disk that is not taken: the first obstacle in the message, all of them beside it.
#[must_use]
pub fn refused_disk(path: &DevicePath, obstacles: &[Obstacle], cure: Option<String>) -> Failure {
    let mut message = match obstacles.first() {
        Some(first) => format!("Can't use {path}: {first}"),
        None => format!("Can't use {path}"),
    };
    match obstacles.len() {
        0 | 1 => {}
        2 => message.push_str(" (and one more obstacle)"),
        more => message.push_str(&format!(" (and {} more obstacles)", more - 1)),
    }
    Failure { kind: FailureKind::Refused, message, cure, obstacles: obstacles.to_vec() }
}
