//! `/db`, `/backup/db` and the examination: what the coordinator has written down, and whether it holds.

mod backup;
mod check;
mod dump;
mod examine;

use axum::extract::State;
use axum::response::Response;

pub use backup::backup;
pub use check::check;

use crate::http::{Service, answer};

pub async fn dump(State(service): State<Service>) -> Response {
    answer::indented(&dump::Dump::of(&service.operations.topology(), service.trust.installation()))
}

pub async fn examine(State(service): State<Service>) -> Response {
    answer::indented(&examine::Examination::of(&service))
}
