//! `/nodes`.

use bricklayer_proto::ids::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

use super::{DeviceInfo, EntryState, Tags};

/// How a node is reached. heketi's clients use the first of each list and keep the order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct HostAddresses {
    pub manage: Vec<String>,
    /// What GlusterFS and its clients use.
    pub storage: Vec<String>,
}

/// Body of `POST /nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct NodeAddRequest {
    pub zone: i64,
    pub hostnames: HostAddresses,
    pub cluster: String,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub tags: Tags,
}

/// Answer of `GET /nodes/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeInfo {
    pub zone: i64,
    pub hostnames: HostAddresses,
    pub cluster: ClusterId,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub tags: Tags,
    pub id: NodeId,
    pub state: EntryState,
    /// Sorted by id.
    #[serde(default)]
    pub devices: Vec<DeviceInfo>,
}
