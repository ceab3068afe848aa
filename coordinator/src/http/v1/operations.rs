//! `/v1/operations`: what is going on and what became of it, with the steps.

use std::cmp::Reverse;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::v1::{Operation as OperationInfo, OperationList, OperationState, Step, StepState as ShownState};
use bricklayer_proto::ids::OperationId;

use super::Id;
use crate::http::failure::Failure;
use crate::http::heketi::path_of;
use crate::http::{Service, answer};
use crate::model::{OpState, Operation};
use crate::ops::{StepState, StepView};

/// Lists the operations, the newest first.
#[utoipa::path(get, path = "/v1/operations", responses((status = 200, body = OperationList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let topology = service.operations.topology();
    let mut operations: Vec<_> = topology.operations.values().collect();
    operations.sort_by_key(|operation| (Reverse(operation.started), operation.id));
    let view = |operation: &std::sync::Arc<Operation>| view(operation, service.operations.steps(operation.id));
    answer::ok(&OperationList { operations: operations.into_iter().map(view).collect() })
}

/// Shows an operation with its steps.
#[utoipa::path(get, path = "/v1/operations/{id}", responses((status = 200, body = OperationInfo)))]
pub async fn info(State(service): State<Service>, Id(id): Id<OperationId>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let unknown = || Failure::new(StatusCode::NOT_FOUND, format!("there is no operation {id}, or it was long ago"));
    let operation = topology.operations.get(&id).ok_or_else(unknown)?;
    let changes = operation.plan.in_words(&topology);
    Ok(answer::ok(&OperationInfo { changes, ..view(operation, service.operations.steps(id)) }))
}

fn view(operation: &Operation, steps: Vec<StepView>) -> OperationInfo {
    let (state, error, resource) = match &operation.state {
        OpState::Running { .. } => (OperationState::Running, None, None),
        OpState::Undoing { cause } => (OperationState::Undoing, Some(cause.clone()), None),
        OpState::Stuck { cause, failure, undoing: true } => {
            let text = format!("{cause}\nIt cannot be taken back yet: {failure}");
            (OperationState::Stuck, Some(text), None)
        }
        OpState::Stuck { failure, undoing: false, .. } => (OperationState::Stuck, Some(failure.clone()), None),
        OpState::Done { resource } => (OperationState::Done, None, resource.as_ref().map(path_of)),
        OpState::Failed { cause } => (OperationState::Failed, Some(cause.clone()), None),
    };
    OperationInfo {
        id: operation.id,
        kind: operation.plan.kind().to_owned(),
        state,
        changes: Vec::new(),
        steps: steps.into_iter().map(step).collect(),
        started: operation.started,
        finished: operation.finished,
        error,
        resource,
    }
}

fn step(view: StepView) -> Step {
    let state = match view.state {
        StepState::Pending => ShownState::Pending,
        StepState::Running => ShownState::Running,
        StepState::Done => ShownState::Done,
        StepState::Failed => ShownState::Failed,
        StepState::Undone => ShownState::Undone,
    };
    Step { name: view.name, state, detail: view.detail }
}
