//! `/v1/volumes/{id}/heal` and `/v1/volumes/{id}/rebalance`: what GlusterFS says of a volume.

use std::fmt;

use bricklayer_proto::ids::BrickId;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/volumes/{id}/heal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heal {
    /// In the order in which GlusterFS has them: each set's bricks beside each other.
    pub bricks: Vec<BrickHeal>,
    /// Every brick is online, and none has anything left to heal.
    pub healthy: bool,
}

/// What is left to heal on one brick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BrickHeal {
    pub id: BrickId,
    pub host: String,
    pub path: String,
    pub online: bool,
    /// Entries still to be healed; missing where nobody can tell, as for a brick that is offline.
    #[serde(default)]
    pub pending: Option<u64>,
}

/// Answer of `GET /v1/volumes/{id}/rebalance`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rebalance {
    pub state: RebalanceState,
    #[serde(default)]
    pub nodes: Vec<NodeRebalance>,
}

/// How far one node is. Counts are GlusterFS's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeRebalance {
    pub host: String,
    pub state: RebalanceState,
    /// Files moved, and their bytes.
    pub files: u64,
    pub bytes: u64,
    pub scanned: u64,
    pub failures: u64,
    pub skipped: u64,
    pub seconds: u64,
}

/// Where a rebalance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RebalanceState {
    NotStarted,
    Running,
    Completed,
    Failed,
    Stopped,
}

impl RebalanceState {
    /// Whether files are being moved.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running)
    }
}

impl fmt::Display for RebalanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "not-started",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        })
    }
}
