//! `/bricks`.

use serde::{Deserialize, Serialize};

/// Body of `POST /bricks/to-evict/{id}`, which may also have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BrickEvictRequest {
    /// Whether a volume that is being healed stops the eviction: empty, `enable` or `disable`.
    #[serde(rename = "healcheck", skip_serializing_if = "String::is_empty")]
    pub heal_check: String,
}
