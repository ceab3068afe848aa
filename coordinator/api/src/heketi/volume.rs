//! `/volumes`.

use std::collections::BTreeMap;
use std::fmt;

use bricklayer_proto::ids::{BlockVolumeId, ClusterId, VolumeId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Brick, is_false, is_zero};

/// Body of `POST /volumes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct VolumeCreateRequest {
    /// With `size_bytes` it may be zero, or else must be that size in GiB, rounded up.
    #[serde(rename = "size")]
    pub size_gib: i64,
    /// Ours: the size to the byte. Zero means that `size` alone says it.
    #[serde(skip_serializing_if = "is_zero")]
    pub size_bytes: i64,
    /// Clusters to choose from; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// Empty: `vol_` and the volume's id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub durability: DurabilityRequest,
    #[serde(skip_serializing_if = "is_zero")]
    pub gid: i64,
    /// Each one `key value`.
    #[serde(rename = "glustervolumeoptions", skip_serializing_if = "Vec::is_empty")]
    pub gluster_volume_options: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub block: bool,
    pub snapshot: Snapshot,
}

/// Body of `POST /volumes/{id}/expand`: what is to be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct VolumeExpandRequest {
    /// With `expand_size_bytes` it may be zero, or else must be that size in GiB, rounded up.
    #[serde(rename = "expand_size")]
    pub expand_size_gib: i64,
    /// Ours: to the byte. Zero means that `expand_size` alone says it.
    #[serde(skip_serializing_if = "is_zero")]
    pub expand_size_bytes: i64,
}

/// Body of `POST /volumes/{id}/clone`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct VolumeCloneRequest {
    /// Empty: `vol_` and the clone's id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Body of `POST /volumes/{id}/block-restriction`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BlockRestrictionRequest {
    /// Empty, which lifts it, or `locked`. `locked-by-update` is heketi's own to set.
    pub restriction: String,
}

/// How a new volume is to be protected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DurabilityRequest {
    /// `none` (also when empty), `replicate` or `disperse`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub replicate: Replicate,
    pub disperse: Disperse,
}

/// How a volume is protected. Numbers of a kind that was not chosen are echoed as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Durability {
    #[serde(rename = "type")]
    pub kind: DurabilityKind,
    #[serde(default)]
    pub replicate: Replicate,
    #[serde(default)]
    pub disperse: Disperse,
}

/// How the bricks of a set relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DurabilityKind {
    /// Distributed only: a brick that is lost takes its files with it.
    None,
    Replicate,
    Disperse,
}

impl DurabilityKind {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Replicate => "replicate",
            Self::Disperse => "disperse",
        }
    }
}

impl fmt::Display for DurabilityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Numbers of a replicated volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Replicate {
    #[serde(skip_serializing_if = "is_zero")]
    pub replica: i64,
}

/// Numbers of a dispersed volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Disperse {
    #[serde(skip_serializing_if = "is_zero")]
    pub data: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub redundancy: i64,
}

/// Room for snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Snapshot {
    pub enable: bool,
    pub factor: SnapshotFactor,
}

/// By how much the pool of a brick is larger than the brick. Written with as few digits as a 32-bit float needs, and
/// as a whole number where it is one: `1`, `1.5`, `1.1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = f32))]
pub struct SnapshotFactor(pub f32);

impl Serialize for SnapshotFactor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole numbers up to here are exact in a 32-bit float; a valid factor is at most 100.
        const EXACT: f32 = 16_777_216.0;
        if self.0.fract() == 0.0 && self.0.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^24")]
            serializer.serialize_i32(self.0 as i32)
        } else {
            serializer.serialize_f32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for SnapshotFactor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let factor = f32::deserialize(deserializer)?;
        if factor.is_finite() {
            Ok(Self(factor))
        } else {
            Err(serde::de::Error::custom("a number beyond a 32-bit float"))
        }
    }
}

/// Answer of `GET /volumes/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VolumeInfo {
    /// Whole GiB, rounded down: nobody is told of space that is not there.
    #[serde(rename = "size")]
    pub size_gib: u64,
    /// Ours: the size to the byte, and only where it is no whole number of GiB, so that all others are heketi's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    pub name: String,
    pub durability: Durability,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: i64,
    #[serde(default, rename = "glustervolumeoptions", skip_serializing_if = "Vec::is_empty")]
    pub gluster_volume_options: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub block: bool,
    pub snapshot: Snapshot,
    /// Ours: it cannot be deleted before somebody takes that back. Missing otherwise, as heketi has no word for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
    /// Ours: bricks of it are linear volumes without a thin pool, so that it has no snapshots and clones. Missing otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub thick: bool,
    pub id: VolumeId,
    pub cluster: ClusterId,
    pub mount: Mount,
    #[serde(default, rename = "blockinfo")]
    pub block_info: BlockInfo,
    /// Sorted by id, as heketi sorts them: not the order that GlusterFS gives meaning to.
    #[serde(default)]
    pub bricks: Vec<Brick>,
}

/// How a volume is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Mount {
    pub glusterfs: GlusterfsMount,
}

/// What `mount -t glusterfs` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct GlusterfsMount {
    /// The first storage name of every node of the cluster, in the order of the nodes' ids.
    pub hosts: Vec<String>,
    /// `host:volume`.
    pub device: String,
    /// Holds `backup-volfile-servers`: the other hosts, joined by commas.
    pub options: BTreeMap<String, String>,
}

/// Space of a volume that holds block volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BlockInfo {
    #[serde(rename = "freesize", skip_serializing_if = "is_zero")]
    pub free_size_gib: i64,
    #[serde(rename = "reservedsize", skip_serializing_if = "is_zero")]
    pub reserved_size_gib: i64,
    #[serde(rename = "blockvolume", skip_serializing_if = "Vec::is_empty")]
    pub block_volumes: Vec<BlockVolumeId>,
    #[serde(skip_serializing_if = "BlockRestriction::is_none")]
    pub restriction: BlockRestriction,
}

/// Whether block volumes may be made in a volume that holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BlockRestriction {
    #[default]
    #[serde(rename = "")]
    None,
    #[serde(rename = "locked")]
    Locked,
    #[serde(rename = "locked-by-update")]
    LockedByUpdate,
}

impl BlockRestriction {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Locked => "locked",
            Self::LockedByUpdate => "locked-by-update",
        }
    }

    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Answer of `GET /volumes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct VolumeList {
    pub volumes: Vec<VolumeId>,
}
