//! `/nodes/{id}/tags` and `/devices/{id}/tags`.

use serde::{Deserialize, Serialize};

use super::Tags;

/// Body of `POST /nodes/{id}/tags` and `POST /devices/{id}/tags`; the answer is the whole map as it is then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TagsChangeRequest {
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub tags: Tags,
    /// `set`, `update` or `delete`; see [`TagsChange`].
    pub change_type: String,
}

/// What becomes of the tags that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagsChange {
    /// They are replaced.
    Set,
    /// The new ones are laid over them.
    Update,
    /// Those that are named go, whatever their value.
    Delete,
}

impl TagsChange {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}
