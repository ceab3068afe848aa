//! `/blockvolumes`. None can be made yet, so there is none: lists are empty, ids are unknown, and a create is refused
//! before anything is made.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::heketi::{BlockVolumeCreateRequest, BlockVolumeExpandRequest, BlockVolumeList};
use bricklayer_proto::ids::BlockVolumeId;

use super::Id;
use super::check::{self, Faults};
use crate::http::body::Json;
use crate::http::failure::Failure;
use crate::http::{Service, answer};

pub async fn list(State(_): State<Service>) -> Response {
    answer::ok(&BlockVolumeList::default())
}

pub async fn info(Id(_): Id<BlockVolumeId>) -> Failure {
    Failure::unknown_id()
}

pub async fn delete(Id(_): Id<BlockVolumeId>) -> Failure {
    Failure::unknown_id()
}

pub async fn create(Json(request): Json<BlockVolumeCreateRequest>) -> Result<Response, Failure> {
    let mut faults = Faults::default();
    faults.number("size", request.size_gib);
    if let Some(fault) = check::name_fault(&request.name) {
        faults.add("name", fault);
    }
    if let Some(fault) = request.clusters.iter().find_map(|id| check::id_fault(id)) {
        faults.add("clusters", fault);
    }
    if request.ha_count < 0 {
        faults.add("hacount", check::LESS_THAN_1);
    }
    faults.none()?;
    Err(Failure::not_built_yet("a block volume"))
}

pub async fn expand(
    Id(_): Id<BlockVolumeId>,
    Json(request): Json<BlockVolumeExpandRequest>,
) -> Result<Response, Failure> {
    let mut faults = Faults::default();
    faults.number("new_size", request.new_size_gib);
    faults.none()?;
    Err(Failure::unknown_id())
}
