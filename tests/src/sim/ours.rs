//! How a simulated host tells what Bricklayer made, and what it marked for destruction: by the tags alone.

use bricklayer_proto::names::LvmTag;

/// Whether the tags are Bricklayer's.
pub fn is_ours(tags: &[LvmTag]) -> bool {
    tags.iter().any(|tag| tag.as_str().starts_with("bricklayer."))
}

/// Whether it says of itself that nothing on it is anybody's yet.
pub fn is_blank(tags: &[LvmTag]) -> bool {
    tags.iter().any(|tag| tag.as_str() == "bricklayer.blank")
}

/// Whether an earlier step has marked this for destruction.
pub fn is_condemned(tags: &[LvmTag]) -> bool {
    tags.iter().any(|tag| tag.as_str() == "bricklayer.condemned")
}
