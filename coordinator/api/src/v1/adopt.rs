//! `/v1/adopt` and `/v1/unadopt`: what others made becomes ours, and is given back.

use std::collections::BTreeMap;

use bricklayer_proto::ids::{BlockVolumeId, ClusterId, DeviceId, NodeId, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Plan;

/// Body of `POST /v1/adopt`. Nothing is changed by it: the answer is a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct AdoptRequest {
    /// `heketi`: as its database says. `disks`: what is heketi's by its names on the hosts. `volume`: one volume of
    /// GlusterFS, whoever made it.
    pub from: String,
    /// With `heketi`: what `heketi db export` wrote, or `GET /db/dump` answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub database: Option<Value>,
    /// With `volume`: its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub volume: String,
    /// Which agent is on which host, where the names do not tell: a node's id or any name of it, and the name under which
    /// the agent enrolled.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, String>,
    /// Volumes, by name or id, that stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What heketi had under way is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_pending: bool,
    /// Nodes take their agents' ids where those are others than heketi's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_node_ids: bool,
    /// With `disks` and `volume`: the id of the cluster of hosts that are in none; a new one where it is missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
}

/// Answer (200) to `POST /v1/adopt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Adoption {
    /// To be carried out by `POST /v1/plans/{id}/apply`. Missing where something stands in the way, or nothing is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    pub clusters: Vec<ClusterId>,
    pub nodes: Vec<AdoptedNode>,
    pub devices: Vec<AdoptedDevice>,
    pub volumes: Vec<AdoptedVolume>,
    pub block_volumes: Vec<BlockVolumeId>,
    /// What blocks comes first.
    pub findings: Vec<AdoptionFinding>,
    /// Volumes that are ours already.
    pub ours_already: u64,
    /// Volumes that are too many for one operation; they come with the next plan.
    pub left_for_later: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdoptedNode {
    pub id: NodeId,
    pub name: String,
    pub cluster: ClusterId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdoptedDevice {
    pub id: DeviceId,
    pub node: NodeId,
    pub node_name: String,
    pub name: String,
    /// As it is called; it keeps its name.
    pub group: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdoptedVolume {
    pub id: VolumeId,
    pub name: String,
    pub size_bytes: u64,
    /// `host:path`, set by set, as GlusterFS has them and keeps them.
    pub bricks: Vec<String>,
}

/// A difference between what is claimed and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdoptionFinding {
    /// Nothing is taken over while it stands.
    pub blocks: bool,
    /// Such as `brick-missing`.
    pub code: String,
    /// The volume, device or node.
    pub about: String,
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// Body of `POST /v1/unadopt`: one of the three. Data, volumes and mounts stay; our marks and records go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct UnadoptRequest {
    /// A volume all of whose bricks were adopted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
    /// An adopted device that holds no brick of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// A cluster of which everything was adopted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
}
