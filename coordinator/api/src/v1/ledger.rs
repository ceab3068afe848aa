//! `/v1/devices/{id}/ledger`, `/v1/nodes/{id or name}/ledger` and `/v1/clusters/{id}/ledger`: where every byte went.
//!
//! All sizes are bytes. The figures and `unaccounted_bytes` add up to `total_bytes`, always.

use std::collections::BTreeMap;
use std::fmt;

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/devices/{id}/ledger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLedger {
    pub device: DeviceId,
    /// As it was given, such as `/dev/sdb`.
    pub name: String,
    pub node: NodeId,
    pub node_name: String,
    pub cluster: ClusterId,
    /// Of one extent of the device's volume group.
    pub extent_bytes: u64,
    /// The whole disk; where no agent has told its size, all extents of the group.
    pub total_bytes: u64,
    pub total_sources: Vec<Source>,
    /// Every class, empty ones included.
    pub figures: Vec<Figure>,
    /// What the records and LVM do not explain between them: 0 where all is well. Below 0 the records have more than
    /// LVM has.
    pub unaccounted_bytes: i64,
    /// What bricks and clones may hold beyond what their pools have. No part of the sum: nobody has it.
    #[serde(default)]
    pub promised_beyond_bytes: u64,
    /// How `lvm-area` is made up; missing where the agent does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lvm_area: Option<LvmArea>,
    /// What is under way on the device, so that figures are on the move.
    pub operations: Vec<OperationId>,
    pub bricks: Vec<LedgerBrick>,
    /// Logical volumes that are no brick's.
    pub volumes: Vec<LedgerVolume>,
    /// What to know when reading it, for people.
    pub notes: Vec<String>,
}

/// Answer of `GET /v1/nodes/{id or name}/ledger` and `GET /v1/clusters/{id}/ledger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerSum {
    pub cluster: ClusterId,
    /// Missing where it is of a whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    pub total_bytes: u64,
    pub total_sources: Vec<Source>,
    pub figures: Vec<Figure>,
    /// Of all devices together. One that lacks what another has too much shows in `devices`.
    pub unaccounted_bytes: i64,
    pub devices: Vec<DeviceSum>,
    pub notes: Vec<String>,
}

/// One device of a sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceSum {
    pub device: DeviceId,
    pub name: String,
    pub node: NodeId,
    pub node_name: String,
    pub total_bytes: u64,
    /// Bytes by class.
    pub amounts: BTreeMap<LedgerClass, u64>,
    pub unaccounted_bytes: i64,
}

/// What one class takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Figure {
    pub class: LedgerClass,
    pub bytes: u64,
    pub sources: Vec<Source>,
}

/// What space is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LedgerClass {
    /// What bricks were asked to hold.
    BrickData,
    /// What bricks have beyond that, as LVM takes whole extents.
    Rounding,
    /// What thin pools have beyond their brick, for snapshots.
    SnapshotRoom,
    PoolMetadata,
    /// LVM's spare of the largest pool metadata, one per volume group.
    MetadataSpare,
    /// All of the bricks of deleted volumes that are kept for a while.
    Trash,
    /// What LVM has of bricks that are being made, grown or taken away.
    UnderWay,
    /// Logical volumes with our tags that no record knows.
    Orphans,
    /// Logical volumes of others.
    Foreign,
    /// Free by LVM's count, and promised to what is under way.
    Reserved,
    /// Free by LVM's count, and kept from bricks by the policy.
    KeptFree,
    Free,
    /// What lies outside the extents: LVM's own metadata, and less than an extent at the end.
    LvmArea,
}

impl LedgerClass {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BrickData => "brick-data",
            Self::Rounding => "rounding",
            Self::SnapshotRoom => "snapshot-room",
            Self::PoolMetadata => "pool-metadata",
            Self::MetadataSpare => "metadata-spare",
            Self::Trash => "trash",
            Self::UnderWay => "under-way",
            Self::Orphans => "orphans",
            Self::Foreign => "foreign",
            Self::Reserved => "reserved",
            Self::KeptFree => "kept-free",
            Self::Free => "free",
            Self::LvmArea => "lvm-area",
        }
    }
}

/// Who says a figure, and how long ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    pub from: SourceKind,
    /// Where it was seen; empty for records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// When the oldest of the reports arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// The same, before the answer was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
}

/// `vgs on gfs3, 4 s ago`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.from.as_str())?;
        match self.hosts.as_slice() {
            [] => {}
            [host] => write!(f, " on {host}")?,
            hosts => write!(f, " on {} hosts", hosts.len())?,
        }
        match (self.age_seconds, self.hosts.len()) {
            (None, _) => Ok(()),
            (Some(age), 0 | 1) => write!(f, ", {age} s ago"),
            (Some(age), _) => write!(f, ", at most {age} s ago"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The coordinator's records of volumes and devices.
    Record,
    /// LVM's report of volume groups.
    Vgs,
    /// LVM's report of logical volumes.
    Lvs,
    /// LVM's report of physical volumes.
    Pvs,
    /// The kernel's list of block devices.
    Lsblk,
}

impl SourceKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "the records",
            Self::Vgs => "vgs",
            Self::Lvs => "lvs",
            Self::Pvs => "pvs",
            Self::Lsblk => "lsblk",
        }
    }
}

/// How the space outside the extents is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LvmArea {
    /// LVM's label and metadata, up to where the first extent begins.
    pub before_bytes: u64,
    /// What is left behind the last extent.
    pub behind_bytes: u64,
}

/// What one brick takes; for one that is under way, what it will take, or took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerBrick {
    pub brick: BrickId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    pub stage: BrickStage,
    pub data_bytes: u64,
    pub rounding_bytes: u64,
    pub snapshot_room_bytes: u64,
    pub metadata_bytes: u64,
    /// What LVM has of its pool, metadata included, or of its linear volume; missing where no report tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lvm_bytes: Option<u64>,
}

/// Whether an operation makes, changes or takes a brick away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum BrickStage {
    Whole,
    Making,
    Growing,
    Leaving,
    /// Its volume was deleted, and is kept for a while.
    Trash,
}

impl BrickStage {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Making => "making",
            Self::Growing => "growing",
            Self::Leaving => "leaving",
            Self::Trash => "trash",
        }
    }
}

/// A logical volume that is no brick's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerVolume {
    /// LVM's name of it.
    pub name: String,
    pub kind: OtherKind,
    /// Of its group; a thin volume takes none.
    pub bytes: u64,
    /// The brick that its tags name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brick: Option<BrickId>,
    /// The volume that its tags name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OtherKind {
    /// It carries our tags, and no record knows it.
    Orphan,
    Foreign,
}

impl OtherKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "orphan",
            Self::Foreign => "foreign",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_says_where_and_when() {
        let source = |from, hosts: &[&str], age_seconds| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            Source { from, hosts, seen: None, age_seconds }.to_string()
        };
        assert_eq!(source(SourceKind::Vgs, &["gfs3"], Some(4)), "vgs on gfs3, 4 s ago");
        assert_eq!(source(SourceKind::Lvs, &["gfs1", "gfs2"], Some(41)), "lvs on 2 hosts, at most 41 s ago");
        assert_eq!(source(SourceKind::Record, &[], None), "the records");
    }

    #[test]
    fn a_class_has_one_name() {
        for class in [LedgerClass::BrickData, LedgerClass::UnderWay, LedgerClass::LvmArea] {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("{:?}", class.as_str()));
        }
    }
}
