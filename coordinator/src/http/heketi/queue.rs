//! `/queue/{id}`: how far an operation is. It is the durable operation itself, so the answer may be read again, also
//! after a restart of the coordinator, where heketi had forgotten it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bricklayer_proto::ids::OperationId;

use super::Id;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{OpState, Operation, Resource};

/// Tells how far an operation is.
#[utoipa::path(get, path = "/queue/{id}", responses((status = 200), (status = 204), (status = 303), (status = 500, body = String, content_type = "text/plain")))]
pub async fn poll(State(service): State<Service>, Id(id): Id<OperationId>) -> Response {
    let ended = service.operations.state().until(|topology| match topology.operations.get(&id) {
        Some(operation) => end_of(operation),
        None => Some(Failure::unknown_id().into_response()),
    });
    tokio::time::timeout(service.settings.poll_held, ended).await.unwrap_or_else(|_| answer::pending())
}

/// What a client is told of an operation that goes on no more, as far as it is concerned.
fn end_of(operation: &Operation) -> Option<Response> {
    let failed = |cause: &str| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, cause).into_response();
    match &operation.state {
        OpState::Undoing { .. } | OpState::Stuck { .. } if operation.failed_early.is_some() => {
            Some(failed(operation.failed_early.as_deref().unwrap_or_default()))
        }
        _ if operation.is_answered() && !operation.state.is_finished() => Some(StatusCode::NO_CONTENT.into_response()),
        OpState::Running { .. } | OpState::Undoing { .. } | OpState::Stuck { .. } => None,
        OpState::Done { resource: None } => Some(StatusCode::NO_CONTENT.into_response()),
        OpState::Done { resource: Some(resource) } => Some(answer::see_other(&path_of(resource))),
        OpState::Failed { cause } => Some(failed(cause)),
    }
}

/// Where a thing is read.
pub fn path_of(resource: &Resource) -> String {
    match resource {
        Resource::Cluster(id) => format!("/clusters/{id}"),
        Resource::Node(id) => format!("/nodes/{id}"),
        Resource::Volume(id) => format!("/volumes/{id}"),
        Resource::BlockVolume(id) => format!("/blockvolumes/{id}"),
    }
}
