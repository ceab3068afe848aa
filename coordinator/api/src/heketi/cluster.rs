//! `/clusters`.

use bricklayer_proto::ids::{BlockVolumeId, ClusterId, NodeId, VolumeId};
use serde::{Deserialize, Serialize};

/// Body of `POST /clusters` and `POST /clusters/{id}/flags`. What is missing is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ClusterFlags {
    /// Volumes for block devices may be made.
    pub block: bool,
    /// Ordinary volumes may be made.
    pub file: bool,
}

/// A cluster, as `POST /clusters` and `GET /clusters/{id}` answer it. All lists are sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterInfo {
    pub id: ClusterId,
    #[serde(default)]
    pub nodes: Vec<NodeId>,
    /// Without the volumes that are being made or deleted.
    #[serde(default)]
    pub volumes: Vec<VolumeId>,
    #[serde(default)]
    pub block: bool,
    #[serde(default)]
    pub file: bool,
    /// Without those that are being made or deleted, too.
    #[serde(default, rename = "blockvolumes")]
    pub block_volumes: Vec<BlockVolumeId>,
}

/// Answer of `GET /clusters`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ClusterList {
    pub clusters: Vec<ClusterId>,
}
