//! The bodies of heketi's own routes.
//!
//! Field order is the order on the wire, and a field that heketi leaves out when it is empty is left out here.
//! **Requests** hold texts and signed numbers as they came: the server answers a bad one with heketi's own words, so it
//! must see it first. **Responses** hold typed ids; sizes keep heketi's unit in the field's name.
//!
//! Read a body with [`crate::json::parse_body`], write it with [`to_body`].

mod block_volume;
mod brick;
mod cluster;
mod device;
mod node;
mod operation;
mod server;
mod tags;
mod topology;
mod volume;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use block_volume::{
    BlockVolumeAccess, BlockVolumeCreateRequest, BlockVolumeExpandRequest, BlockVolumeInfo, BlockVolumeList,
    InitiatorPassword,
};
pub use brick::BrickEvictRequest;
pub use cluster::{ClusterFlags, ClusterInfo, ClusterList};
pub use device::{Brick, DeviceAddRequest, DeviceDeleteRequest, DeviceInfo, StorageSize};
pub use node::{HostAddresses, NodeAddRequest, NodeInfo};
pub use operation::{
    OperationCounts, PendingChange, PendingCleanupRequest, PendingOperation, PendingOperationDetail,
    PendingOperationList, PendingStatus, PendingSubStatus,
};
pub use server::{AdminStatus, DbCheck, DbCheckOf, LogLevels};
pub use tags::{TagsChange, TagsChangeRequest};
pub use topology::{TopologyCluster, TopologyInfo};
pub use volume::{
    BlockInfo, BlockRestriction, BlockRestrictionRequest, Disperse, Durability, DurabilityKind, DurabilityRequest,
    GlusterfsMount, Mount, Replicate, Snapshot, SnapshotFactor, VolumeCloneRequest, VolumeCreateRequest,
    VolumeExpandRequest, VolumeInfo, VolumeList,
};

#[cfg(test)]
mod tests;

/// Labels of a node or a device.
pub type Tags = BTreeMap<String, String>;

/// A body as heketi sends it: compact, with one line feed at its end.
pub fn to_body<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = serde_json::to_vec(value)?;
    body.push(b'\n');
    Ok(body)
}

/// A body of `/db/*` and of the examination: indented by four spaces, with one line feed at its end.
pub fn to_indented_body<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = Vec::new();
    let indented = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut body, indented))?;
    body.push(b'\n');
    Ok(body)
}

/// Whether new bricks may be placed on a node or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum EntryState {
    Online,
    Offline,
    /// Removed: its bricks were moved elsewhere. heketi's command line prints `removed`.
    Failed,
}

impl EntryState {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for EntryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Body of `POST /nodes/{id}/state` and `POST /devices/{id}/state`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct StateRequest {
    /// `online`, `offline` or `failed`.
    pub state: String,
    /// Whether a volume that is being healed stops a removal: empty, `enable` or `disable`.
    #[serde(rename = "healcheck", skip_serializing_if = "String::is_empty")]
    pub heal_check: String,
}

/// heketi leaves zeros out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference to skip_serializing_if")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// heketi leaves `false` out of some fields.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference to skip_serializing_if")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
