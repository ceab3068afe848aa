//! `/operations`: heketi's view of what goes on.
//!
//! heketi knows nine kinds of work and calls a record stale when it was restarted under it. Ours go on after a restart by
//! themselves, so none is ever stale; what cannot go on is stuck, is tried again until it can, and is shown as failed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::heketi::{
    OperationCounts, PendingChange, PendingCleanupRequest, PendingOperation, PendingOperationDetail,
    PendingOperationList, PendingStatus, PendingSubStatus,
};
use bricklayer_proto::ids::OperationId;

use super::Id;
use super::check::{self, Faults};
use crate::http::body::OptionalJson;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{Brick, OpState, Operation, Plan};

/// Counts the operations that have not ended.
#[utoipa::path(get, path = "/operations", responses((status = 200, body = OperationCounts)))]
pub async fn counts(State(service): State<Service>) -> Response {
    let topology = service.operations.topology();
    let total = topology.unfinished.size() as u64;
    let failed = topology.unfinished.values().filter(|operation| is_stuck(operation)).count() as u64;
    answer::ok(&OperationCounts { total, in_flight: total, stale: 0, failed, new: total - failed })
}

/// Lists the operations that have not ended.
#[utoipa::path(get, path = "/operations/pending", responses((status = 200, body = PendingOperationList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let topology = service.operations.topology();
    let pending_operations = topology.unfinished.values().map(|operation| view(operation)).collect();
    answer::ok(&PendingOperationList { pending_operations })
}

/// Shows an operation that has not ended.
#[utoipa::path(get, path = "/operations/pending/{id}", responses((status = 200, body = PendingOperationDetail)))]
pub async fn info(State(service): State<Service>, Id(id): Id<OperationId>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let unknown = || Failure::new(StatusCode::NOT_FOUND, format!("Id not found: {id}"));
    let operation = topology.unfinished.get(&id).ok_or_else(unknown)?;
    let PendingOperation { id, type_name, status, sub_status } = view(operation);
    let changes = changes(&operation.plan);
    Ok(answer::ok(&PendingOperationDetail { id, type_name, status, sub_status, changes }))
}

fn view(operation: &Operation) -> PendingOperation {
    PendingOperation {
        id: operation.id,
        type_name: type_name(&operation.plan).to_owned(),
        status: if is_stuck(operation) { PendingStatus::Failed } else { PendingStatus::New },
        // Also what is stuck is tried again and again.
        sub_status: PendingSubStatus::InFlight,
    }
}

fn is_stuck(operation: &Operation) -> bool {
    matches!(operation.state, OpState::Stuck { .. })
}

/// heketi's word, or ours where heketi kept no record of such work.
fn type_name(plan: &Plan) -> &'static str {
    type_number(plan).map_or_else(|| plan.kind(), |(name, _)| name)
}

/// heketi's word and number for a kind of work.
pub fn type_number(plan: &Plan) -> Option<(&'static str, u8)> {
    match plan {
        Plan::VolumeCreate(_) => Some(("create-volume", 1)),
        Plan::VolumeDelete(_) => Some(("delete-volume", 2)),
        Plan::VolumeExpand(_) => Some(("expand-volume", 3)),
        Plan::BlockCreate(_) => Some(("create-block-volume", 4)),
        Plan::BlockDelete(_) => Some(("delete-block-volume", 5)),
        Plan::DeviceRemove(_) => Some(("remove-device", 6)),
        Plan::VolumeClone(_) => Some(("clone-volume", 7)),
        Plan::BrickReplace(_) => Some(("evict-brick", 8)),
        Plan::BlockExpand(_) => Some(("expand-block-volume", 9)),
        _ => None,
    }
}

/// What heketi would have written down as being changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    AddBrick,
    AddVolume,
    DeleteBrick,
    DeleteVolume,
    ExpandVolume,
    AddBlockVolume,
    DeleteBlockVolume,
    ExpandBlockVolume,
    RemoveDevice,
    CloneFrom,
    CloneTo,
    Child,
    Parent,
}

impl Action {
    fn description(self) -> &'static str {
        match self {
            Self::AddBrick => "Add brick",
            Self::AddVolume => "Add volume",
            Self::DeleteBrick => "Delete brick",
            Self::DeleteVolume => "Delete volume",
            Self::ExpandVolume => "Expand volume",
            Self::AddBlockVolume => "Add block volume",
            Self::DeleteBlockVolume => "Delete block volume",
            Self::ExpandBlockVolume => "Expand block volume",
            Self::RemoveDevice => "Remove device",
            Self::CloneFrom => "Clone volume from",
            // So heketi says of the clone.
            Self::CloneTo => "Expand volume to",
            Self::Child => "Performing child operation",
            Self::Parent => "Belongs to parent operation",
        }
    }

    /// heketi's number for it in its database.
    pub fn number(self) -> u8 {
        match self {
            Self::AddBrick => 1,
            Self::AddVolume => 2,
            Self::DeleteBrick => 3,
            Self::DeleteVolume => 4,
            Self::ExpandVolume => 5,
            Self::AddBlockVolume => 6,
            Self::DeleteBlockVolume => 7,
            Self::ExpandBlockVolume => 14,
            Self::RemoveDevice => 8,
            Self::CloneFrom => 9,
            Self::CloneTo => 11,
            Self::Child => 12,
            Self::Parent => 13,
        }
    }
}

/// Each with the id of the brick, volume, device or operation that it is about.
pub fn actions(plan: &Plan) -> Vec<(Action, String)> {
    let bricks = |action: Action, bricks: &[Brick]| -> Vec<_> {
        bricks.iter().map(|brick| (action, brick.id.to_string())).collect()
    };
    match plan {
        Plan::VolumeCreate(plan) => {
            let mut actions = bricks(Action::AddBrick, &plan.volume.bricks);
            actions.push((Action::AddVolume, plan.volume.id.to_string()));
            actions
        }
        Plan::VolumeDelete(plan) => {
            let mut actions = bricks(Action::DeleteBrick, &plan.volume.bricks);
            actions.push((Action::DeleteVolume, plan.volume.id.to_string()));
            actions
        }
        Plan::VolumeExpand(plan) => {
            let mut actions: Vec<_> = plan.added().map(|brick| (Action::AddBrick, brick.id.to_string())).collect();
            actions.push((Action::ExpandVolume, plan.after.id.to_string()));
            actions
        }
        Plan::VolumeClone(plan) => {
            let mut actions = vec![(Action::CloneFrom, plan.source.id.to_string())];
            actions.extend(bricks(Action::AddBrick, &plan.volume.bricks));
            actions.push((Action::CloneTo, plan.volume.id.to_string()));
            actions
        }
        Plan::BlockCreate(plan) => {
            let made = plan.hosting.iter().flat_map(|volume| {
                let made = bricks(Action::AddBrick, &volume.bricks).into_iter();
                made.chain([(Action::AddVolume, volume.id.to_string())])
            });
            made.chain([(Action::AddBlockVolume, plan.block.id.to_string())]).collect()
        }
        Plan::BlockExpand(plan) => vec![(Action::ExpandBlockVolume, plan.key.block.to_string())],
        Plan::BlockDelete(plan) => vec![(Action::DeleteBlockVolume, plan.block.id.to_string())],
        Plan::BrickReplace(plan) => {
            let mut actions =
                vec![(Action::DeleteBrick, plan.old.id.to_string()), (Action::AddBrick, plan.new.id.to_string())];
            actions.extend(plan.parent.map(|parent| (Action::Parent, parent.to_string())));
            actions
        }
        Plan::DeviceRemove(plan) => {
            let devices = plan.devices.iter().map(|device| (Action::RemoveDevice, device.to_string()));
            devices.chain(plan.moves.iter().map(|step| (Action::Child, step.operation.to_string()))).collect()
        }
        _ => Vec::new(),
    }
}

fn changes(plan: &Plan) -> Vec<PendingChange> {
    let changes = actions(plan).into_iter();
    changes.map(|(action, id)| PendingChange { id, description: action.description().to_owned() }).collect()
}

/// Has what is stuck tried again at once.
///
/// heketi took back what a restart had left half done; ours is tried again by itself, and here at once.
#[utoipa::path(post, path = "/operations/pending/cleanup", request_body = Option<PendingCleanupRequest>, responses((status = 202)))]
pub async fn clean_up(
    State(service): State<Service>,
    OptionalJson(request): OptionalJson<PendingCleanupRequest>,
) -> Result<Response, Failure> {
    let named = named(&request)?;
    Ok(answer::accepted(service.operations.clean_up(&named).await?))
}

/// The operations that a clean-up names; all that are stuck when it names none.
fn named(request: &PendingCleanupRequest) -> Result<Vec<OperationId>, Failure> {
    const MOST: usize = 32;
    let mut faults = Faults::default();
    if request.operations.len() > MOST {
        let fault = format!("too many ids specified ({}), up to {MOST} supported", request.operations.len());
        faults.add("operations", fault);
    } else if let Some(fault) = request.operations.iter().find_map(|id| check::id_fault(id)) {
        faults.add("operations", fault);
    }
    faults.none()?;
    // Only an id in capitals comes so far and is none: no operation has it, and heketi passes over what it does not know.
    Ok(request.operations.iter().filter_map(|id| id.parse().ok()).collect())
}
