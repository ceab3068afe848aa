//! `/operations`.

use std::fmt;

use bricklayer_proto::ids::OperationId;
use serde::{Deserialize, Serialize};

/// Answer of `GET /operations`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct OperationCounts {
    pub total: u64,
    /// Those that are being worked on.
    pub in_flight: u64,
    pub stale: u64,
    pub failed: u64,
    pub new: u64,
}

/// Answer of `GET /operations/pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct PendingOperationList {
    #[serde(rename = "pendingoperations")]
    pub pending_operations: Vec<PendingOperation>,
}

/// An operation that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingOperation {
    pub id: OperationId,
    /// Such as `create-volume`; what heketi kept no record of has our own word, such as `node-add`.
    pub type_name: String,
    #[serde(default)]
    pub status: PendingStatus,
    #[serde(default)]
    pub sub_status: PendingSubStatus,
}

/// Answer of `GET /operations/pending/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingOperationDetail {
    pub id: OperationId,
    pub type_name: String,
    #[serde(default)]
    pub status: PendingStatus,
    #[serde(default)]
    pub sub_status: PendingSubStatus,
    #[serde(default)]
    pub changes: Vec<PendingChange>,
}

/// One thing that a pending operation makes, changes or removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingChange {
    /// Of the brick, the volume or the device.
    pub id: String,
    /// Such as `Add brick`.
    pub description: String,
}

/// Where a pending operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PendingStatus {
    #[default]
    #[serde(rename = "")]
    New,
    /// The server was restarted while it ran.
    #[serde(rename = "stale")]
    Stale,
    #[serde(rename = "failed")]
    Failed,
}

impl fmt::Display for PendingStatus {
    /// As heketi's command line prints it: the wire has no word for `New`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "New",
            Self::Stale => "stale",
            Self::Failed => "failed",
        })
    }
}

/// Whether a pending operation is being worked on now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PendingSubStatus {
    #[default]
    #[serde(rename = "")]
    None,
    #[serde(rename = "in-flight")]
    InFlight,
}

impl fmt::Display for PendingSubStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::InFlight => "in-flight",
        })
    }
}

/// Body of `POST /operations/pending/cleanup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct PendingCleanupRequest {
    /// All that are stale or failed when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
}
