//! `/v1/score`: how well bricks lie, and what would better it.

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, VolumeId};
use serde::{Deserialize, Serialize};

/// Query of `GET /v1/score`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ScoreQuery {
    /// How many moves are looked for: 0 to 100, 10 where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<u32>,
}

/// Answer of `GET /v1/score`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreList {
    pub scores: Vec<Score>,
}

/// How well the bricks of a cluster lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Score {
    pub cluster: ClusterId,
    /// 0 to 100: the parts by their weights.
    pub points: f64,
    pub parts: Vec<ScorePart>,
    /// Each the one that betters it most per byte, after those before it. In the order in which they are to be made, by
    /// `POST /v1/bricks/{id}/replace`.
    pub moves: Vec<ScoredMove>,
    /// Volumes that were left out, as an operation changes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changing: Vec<VolumeId>,
}

/// `strength`, `rules`, `spread` or `balance`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScorePart {
    pub part: String,
    /// All weights come to 100.
    pub weight: u32,
    /// 0 to 1.
    pub share: f64,
    /// What it is the share of.
    pub text: String,
}

/// A move that betters the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoredMove {
    pub volume: VolumeId,
    pub volume_name: String,
    /// Which set of the volume, from 0.
    pub set: u32,
    pub brick: BrickId,
    /// Such as `gfs1:/dev/sdb`.
    pub from: String,
    pub to: String,
    pub to_device: DeviceId,
    /// What is copied at most.
    pub bytes: u64,
    /// What the score comes to then.
    pub points_after: f64,
}
