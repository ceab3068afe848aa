//! `/db`, `/backup/db` and the examination: what the coordinator has written down, and whether it holds.

pub mod backup;
pub mod check;
mod dump;
mod examine;

pub use dump::Dump;

use axum::extract::State;
use axum::response::Response;

use crate::http::{Service, answer};

/// Shows everything that is written down, in the shape of heketi's dump.
#[utoipa::path(get, path = "/db/dump", responses((status = 200, body = Object)))]
pub async fn dump(State(service): State<Service>) -> Response {
    answer::indented(&dump::Dump::of(&service.operations.topology(), service.trust.installation()))
}

/// Compares what is written down with what the agents see.
#[utoipa::path(get, path = "/internal/state/examine/gluster", responses((status = 200, body = Object)))]
pub async fn examine(State(service): State<Service>) -> Response {
    answer::indented(&examine::Examination::of(&service))
}
