//! `/devices`.

use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, VolumeId};
use serde::{Deserialize, Serialize};

use super::{EntryState, Tags, is_false};

/// Body of `POST /devices`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DeviceAddRequest {
    pub name: String,
    pub node: String,
    /// Whatever lies on the device may be wiped.
    #[serde(rename = "destroydata", skip_serializing_if = "is_false")]
    pub destroy_data: bool,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub tags: Tags,
}

/// Body of `DELETE /devices/{id}`, which may also have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DeviceDeleteRequest {
    #[serde(rename = "forceforget")]
    pub force_forget: bool,
}

/// Space on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct StorageSize {
    #[serde(rename = "total")]
    pub total_kib: u64,
    #[serde(rename = "free")]
    pub free_kib: u64,
    #[serde(rename = "used")]
    pub used_kib: u64,
}

/// Answer of `GET /devices/{id}`, and an entry of a node's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceInfo {
    pub name: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub tags: Tags,
    pub storage: StorageSize,
    pub id: DeviceId,
    /// The device's names in `/dev`, as udev keeps them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pv_uuid: String,
    pub state: EntryState,
    /// Ours: why its host cannot read it now, and nothing new is placed on it. Missing otherwise, as heketi has no word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
    /// Sorted by id.
    #[serde(default)]
    pub bricks: Vec<Brick>,
}

/// A brick, in the lists of a device and of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Brick {
    pub id: BrickId,
    pub path: String,
    pub device: DeviceId,
    pub node: NodeId,
    pub volume: VolumeId,
    #[serde(rename = "size")]
    pub size_kib: u64,
}
