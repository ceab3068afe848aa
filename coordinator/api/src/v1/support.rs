//! `/v1/support-bundle`: what placement decides by, in one file, for somebody else to look at.

use serde::{Deserialize, Serialize};

use crate::heketi::VolumeCreateRequest;

/// Body of `POST /v1/support-bundle`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SupportBundleRequest {
    /// The volume that is asked about: where it would go, or why it would not, is in the bundle then, and replayed from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeCreateRequest>,
}
