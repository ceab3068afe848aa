//! Changes of hardware that heketi has no word for: a node that moved or is lost, a brick for another device.

use serde::{Deserialize, Serialize};

use crate::heketi::HostAddresses;

/// Body of `PATCH /v1/nodes/{id or name}`. What is missing stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct NodeEdit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<i64>,
    /// Both lists, of which an empty one stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostnames: Option<HostAddresses>,
}

/// Body of `POST /v1/nodes/{id or name}/lost`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct NodeLostRequest {
    /// The node's name: whoever gives a host up says which one is meant.
    pub confirm: String,
}

/// Body of `POST /v1/devices/{id}/lost`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DeviceLostRequest {
    /// The device's id, once more: whoever gives a disk up says which one is meant.
    pub confirm: String,
}

/// Body of `POST /v1/bricks/{id}/replace`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BrickReplaceRequest {
    /// Id of the device to move it to; one is chosen when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Whether a volume that is being healed stops it: empty, `enable` or `disable`.
    #[serde(rename = "healcheck", skip_serializing_if = "String::is_empty")]
    pub heal_check: String,
}
