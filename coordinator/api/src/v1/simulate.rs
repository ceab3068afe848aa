//! `/v1/simulate`: what would become of the clusters if hardware were lost or added and volumes were made.

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use serde::{Deserialize, Serialize};

use super::{DeviceFree, PlacedBrick, Refusal, SetLayout};
use crate::heketi::VolumeCreateRequest;

/// Body of `POST /v1/simulate`. First everything is lost, then everything added, then what was lost is healed, then the
/// volumes are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SimulationRequest {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lose: Vec<SimulatedLoss>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<SimulatedDisk>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create: Vec<SimulatedVolumes>,
}

/// What is lost, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SimulatedLoss {
    /// By id or name.
    Node { node: String },
    /// With every node in it.
    Zone { zone: u32 },
    /// By id.
    Device { device: String },
}

/// A disk that is added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SimulatedDisk {
    /// Id or name of the node.
    pub node: String,
    pub size_bytes: i64,
}

/// Volumes that are made, all alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SimulatedVolumes {
    /// Up to 1000 in one simulation.
    pub count: i64,
    pub volume: VolumeCreateRequest,
}

/// Answer of `POST /v1/simulate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Simulation {
    /// Nothing is lost for good: every brick that was lost has a new place, and every volume that was asked for fits.
    pub all_well: bool,
    /// Brick sets that lose a brick.
    pub sets: Vec<SimulatedSet>,
    /// Bricks that are lost, in the order in which they are placed anew.
    pub heals: Vec<SimulatedHeal>,
    /// As asked for.
    pub creations: Vec<SimulatedCreation>,
    /// Every device, by node and name; what is lost has nothing free afterwards.
    pub devices: Vec<SimulatedDevice>,
}

/// A brick set that has lost bricks, before anything is healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedSet {
    pub volume: VolumeId,
    pub volume_name: String,
    pub durability: SetLayout,
    /// From 0.
    pub set: u32,
    pub bricks_lost: u32,
    pub bricks_left: u32,
    /// So many of them must be there for clients to write.
    pub quorum: u32,
    pub state: SetState,
}

/// How a set is that has lost bricks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SetState {
    /// It serves, and can be healed.
    Degraded,
    /// The data is there; clients cannot write until more bricks are.
    BelowQuorum,
    DataLost,
}

/// A brick that is lost, and its new place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedHeal {
    pub volume: VolumeId,
    pub volume_name: String,
    pub brick: BrickId,
    pub set: u32,
    pub size_bytes: u64,
    pub from: DeviceId,
    pub from_node_name: String,
    pub from_device_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NewPlace>,
    /// Why there is none, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Where a brick is made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewPlace {
    pub node: NodeId,
    pub node_name: String,
    pub device: DeviceId,
    pub device_name: String,
}

/// Volumes that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedCreation {
    pub asked: u32,
    pub fits: u32,
    /// Those that fit, in order.
    pub volumes: Vec<SimulatedVolume>,
    /// Why the next one does not fit, for people; missing where all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// The same, by cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// A volume that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedVolume {
    pub cluster: ClusterId,
    pub bricks: Vec<PlacedBrick>,
}

/// A device in a simulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedDevice {
    pub fate: Fate,
    #[serde(flatten)]
    pub free: DeviceFree,
}

/// What becomes of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    Stays,
    Lost,
    Added,
}
