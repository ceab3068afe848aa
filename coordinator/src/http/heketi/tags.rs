//! `/nodes/{id}/tags` and `/devices/{id}/tags`.

use bricklayer_api::heketi::{TagsChange, TagsChangeRequest};

use super::check::{self, Faults};
use crate::http::failure::Failure;
use crate::ops::TagChange;

/// Checks the request. The answer is all tags as they are then.
pub fn change(request: TagsChangeRequest) -> Result<TagChange, Failure> {
    let kinds = [TagsChange::Set, TagsChange::Update, TagsChange::Delete];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == request.change_type);
    let mut faults = Faults::default();
    if kind.is_none() {
        faults.add("change_type", if request.change_type.is_empty() { check::BLANK } else { check::NO_SUCH_VALUE });
    }
    if let Some(fault) = check::tags_fault(&request.tags) {
        faults.add("tags", fault);
    }
    faults.none()?;
    Ok(match kind {
        Some(TagsChange::Update) => TagChange::Update(request.tags),
        // Values are not looked at.
        Some(TagsChange::Delete) => TagChange::Delete(request.tags.into_keys().collect()),
        Some(TagsChange::Set) | None => TagChange::Set(request.tags),
    })
}
