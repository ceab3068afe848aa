//! `/v1/audit`: which brick sets do not keep the rules as things stand now, what would mend them, and what the loss of a
//! node would come to.

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Audit {
    pub clusters: Vec<ClusterAudit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterAudit {
    pub cluster: ClusterId,
    /// The sets that do not keep the rules. Empty where all do.
    pub sets: Vec<SetAudit>,
    /// What all moves together copy at most.
    pub bytes: u64,
    /// Whether any one node can be lost and its bricks placed again, as far as they have copies elsewhere.
    pub any_node_can_be_lost: bool,
    pub nodes: Vec<NodeLoss>,
    /// The same of zones with all their nodes.
    #[serde(default)]
    pub any_zone_can_be_lost: bool,
    #[serde(default)]
    pub zones: Vec<ZoneLoss>,
    /// Volumes that were left out, as an operation changes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changing: Vec<VolumeId>,
}

/// A brick set that does not keep the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetAudit {
    pub volume: VolumeId,
    pub volume_name: String,
    /// Which set of the volume, from 0.
    pub set: u32,
    pub faults: Vec<BrickFault>,
    /// In the order in which they are to be made, by `POST /v1/bricks/{id}/replace`.
    pub moves: Vec<BrickMove>,
}

/// What is wrong with where a brick is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BrickFault {
    pub brick: BrickId,
    /// Such as `gfs1:/dev/sdb`.
    pub at: String,
    /// `node-shared`, `zone-shared`, `zone-to-spare`, `tag`, `role`, `standing` or `lost`.
    pub rule: String,
    pub text: String,
    /// Why no move mends it, device by device; missing where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmended: Option<String>,
}

/// A brick goes to another device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BrickMove {
    pub brick: BrickId,
    /// Such as `gfs1:/dev/sdb`.
    pub from: String,
    pub to: String,
    pub to_device: DeviceId,
    /// What is copied at most.
    pub bytes: u64,
}

/// What the loss of one node would come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeLoss {
    pub node: NodeId,
    pub node_name: String,
    pub can_be_lost: bool,
    /// Bricks that would be placed again.
    pub bricks: u32,
    /// What they copy at most.
    pub bytes: u64,
    /// Bricks that would find no place, each with why.
    pub homeless: Vec<Homeless>,
    /// Names of volumes without copies: what they have there would be lost.
    pub without_copies: Vec<String>,
    /// Brick sets that could not be written until they are healed.
    #[serde(default)]
    pub below_quorum: Vec<SetName>,
    /// Brick sets that would lose data, as too many of their bricks are there, or gone already.
    #[serde(default)]
    pub data_lost: Vec<SetName>,
}

/// What the loss of one zone, with all its nodes, would come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ZoneLoss {
    pub zone: u32,
    pub can_be_lost: bool,
    /// Bricks that would be placed again.
    pub bricks: u32,
    /// What they copy at most.
    pub bytes: u64,
    /// Bricks that would find no place, each with why.
    pub homeless: Vec<Homeless>,
    /// Names of volumes without copies: what they have there would be lost.
    pub without_copies: Vec<String>,
    /// Brick sets that could not be written until they are healed.
    pub below_quorum: Vec<SetName>,
    /// Brick sets that would lose data, as too many of their bricks are in the zone.
    pub data_lost: Vec<SetName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetName {
    pub volume: VolumeId,
    pub volume_name: String,
    /// Which set of the volume, from 0.
    pub set: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Homeless {
    pub brick: BrickId,
    pub why: String,
}
