//! `/v1/nodes/{id or name}/disks` and `/v1/devices/wipe`.

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::inventory::{Disk, Obstacle};
use bricklayer_proto::names::HostName;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/nodes/{id or name}/disks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiskList {
    pub node: NodeId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: HostName,
    /// Each one as the agent saw it last.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub disks: Vec<Disk>,
}

/// Body of `POST /v1/devices/wipe`. All is text as it came, so that the server can say what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct WipeRequest {
    /// Id or name of the node.
    pub node: String,
    pub device: String,
    /// The disk's serial, its WWN, or the UUID of the physical volume on it: whoever wipes says which disk is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// Answer (409) to a wipe that was not confirmed: what would be lost, and what to confirm with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WipeRefusal {
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    pub device: String,
    /// What lies on the device or holds it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub holders: Vec<Obstacle>,
    #[serde(default)]
    pub identity: DiskIdentity,
}

/// What a disk can be told by, wherever it is plugged in. Each of these confirms a wipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DiskIdentity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pv_uuid: Option<String>,
}
