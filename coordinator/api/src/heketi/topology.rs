//! What `heketi-cli topology info --json` prints. There is no route for it: clients put it together.

use bricklayer_proto::ids::ClusterId;
use serde::{Deserialize, Serialize};

use super::{NodeInfo, VolumeInfo};

/// Everything, cluster by cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopologyInfo {
    pub clusters: Vec<TopologyCluster>,
}

/// A cluster with its volumes and nodes in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopologyCluster {
    pub volumes: Vec<VolumeInfo>,
    pub nodes: Vec<NodeInfo>,
    pub id: ClusterId,
    pub block: bool,
    pub file: bool,
}
