//! `/v1/plans`: operations that were decided and not begun.

use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, OperationId, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BrickRole, DeviceFree};

/// Answer (200) to a changing request with `?dry_run=true`: what it would do. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// That of the operation it would be, such as `volume-create`.
    pub kind: String,
    /// What would be different afterwards, a sentence each.
    #[serde(default)]
    pub changes: Vec<String>,
    /// In the order in which they would run, such as `make brick 1 of 3 on gfs1`.
    #[serde(default)]
    pub steps: Vec<String>,
    /// What would be gone from disks afterwards, such as the logical volumes of a brick that moves away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destroys: Vec<String>,
    /// With `?plan=true`: it is kept, and can be carried out exactly so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptPlan>,
}

/// Answer of `GET /v1/plans`: the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanList {
    pub plans: Vec<Plan>,
}

/// A plan that is kept in the coordinator's memory: for 15 minutes, a hundred at the most, and not over a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeptPlan {
    /// For `POST /v1/plans/{id}/apply`; the operation will have it, too.
    pub id: OperationId,
    /// Of the state that it was made from: each change of the state raises it.
    pub topology_version: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub expires: Timestamp,
    /// What is made, grows or moves.
    pub bricks: Vec<PlannedBrick>,
    /// The devices of these bricks, once all is done.
    pub devices: Vec<DeviceFree>,
}

/// A brick as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedBrick {
    pub change: PlannedChange,
    pub volume: VolumeId,
    pub volume_name: String,
    /// Of a brick that moves: the one that leaves.
    pub brick: BrickId,
    pub set: u32,
    pub position: u32,
    pub role: BrickRole,
    pub node: NodeId,
    pub node_name: String,
    pub device: DeviceId,
    pub device_name: String,
    /// What it holds.
    pub size_bytes: u64,
    /// Its pool with the pool's metadata, without the growth of the group's spare.
    pub extents: u64,
    /// The same in bytes.
    pub bytes: u64,
    /// Of a brick that moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_node_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_device_name: Option<String>,
}

/// What becomes of a brick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PlannedChange {
    Make,
    Grow,
    Move,
    /// It stays as it is, and becomes ours.
    Adopt,
}
