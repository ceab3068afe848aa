//! `/v1/trash`: deleted volumes whose bricks are kept for a while; and `/v1/volumes/{id}/protect`.

use bricklayer_proto::ids::{ClusterId, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/trash`: what goes next comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrashList {
    pub volumes: Vec<TrashedVolume>,
}

/// A deleted volume that can be had back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrashedVolume {
    pub id: VolumeId,
    pub name: String,
    pub cluster: ClusterId,
    /// What the volume was asked to hold.
    pub size_bytes: u64,
    /// What its bricks take from their devices.
    pub taken_bytes: u64,
    pub since: Timestamp,
    /// When its bricks go.
    pub until: Timestamp,
}

/// Query of `DELETE /v1/volumes/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default)]
pub struct DeleteQuery {
    /// How long its bricks are kept, such as `7d`; `0s`: not at all. Missing: as the installation has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
}

/// Body of `POST /v1/volumes/{id}/protect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProtectRequest {
    /// Whether deleting it is refused from now on.
    pub protected: bool,
}
