//! `/v1/pools`: thin pools, how full they are and when they will be.

use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, VolumeId};
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/pools`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolList {
    pub pools: Vec<Pool>,
}

/// A thin pool as its host's agent reported it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pool {
    pub name: String,
    pub node: NodeId,
    pub node_name: String,
    pub device: DeviceId,
    pub device_name: String,
    pub size_bytes: u64,
    pub metadata_bytes: u64,
    /// Missing while the pool is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_percent: Option<f64>,
    /// What its thin volumes may hold together; more than its size where it can overflow.
    pub promised_bytes: u64,
    /// Bricks, clones and snapshots in it.
    pub volumes: u32,
    /// How fast it fills; negative where it empties, missing before that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_day: Option<i64>,
    /// When data or metadata is full if things go on so; missing where neither ever is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_in_seconds: Option<u64>,
    /// The bricks to which writes fail when it is full.
    pub bricks: Vec<PoolBrick>,
    /// Why it is not extended although it fills up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_extended: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolBrick {
    pub brick: BrickId,
    pub volume: VolumeId,
    pub volume_name: String,
}
