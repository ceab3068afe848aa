//! `/queue/{id}`: how far an operation is. It is the durable operation itself, so the answer may be read again, also
//! after a restart of the coordinator, where heketi had forgotten it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bricklayer_proto::ids::OperationId;

use super::Id;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{OpState, Resource};

/// Tells how far an operation is.
#[utoipa::path(get, path = "/queue/{id}", responses((status = 200), (status = 204), (status = 303), (status = 500, body = String, content_type = "text/plain")))]
pub async fn poll(State(service): State<Service>, Id(id): Id<OperationId>) -> Response {
    let topology = service.operations.topology();
    let Some(operation) = topology.operations.get(&id) else { return Failure::unknown_id().into_response() };
    match &operation.state {
        OpState::Undoing { .. } | OpState::Stuck { .. } if operation.failed_early.is_some() => {
            let cause = operation.failed_early.clone().unwrap_or_default();
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, cause).into_response()
        }
        _ if operation.is_answered() && !operation.state.is_finished() => StatusCode::NO_CONTENT.into_response(),
        OpState::Running { .. } | OpState::Undoing { .. } | OpState::Stuck { .. } => answer::pending(),
        OpState::Done { resource: None } => StatusCode::NO_CONTENT.into_response(),
        OpState::Done { resource: Some(resource) } => answer::see_other(&path_of(resource)),
        OpState::Failed { cause } => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, cause).into_response(),
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
