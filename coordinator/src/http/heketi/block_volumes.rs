//! `/blockvolumes`.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::heketi::{
    BlockVolumeAccess, BlockVolumeCreateRequest, BlockVolumeExpandRequest, BlockVolumeInfo, BlockVolumeList,
};
use bricklayer_proto::ids::BlockVolumeId;
use bricklayer_proto::names::NotAName;
use bricklayer_proto::size::{ByteSize, GIB};

use super::check::{self, Faults};
use super::{Id, volumes};
use crate::http::body::Json;
use crate::http::failure::{Doing, Failure};
use crate::http::{Service, answer};
use crate::model::BlockVolume;
use crate::ops::BlockWish;

/// Lists the block volumes.
#[utoipa::path(get, path = "/blockvolumes", responses((status = 200, body = BlockVolumeList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let block_volumes = service.operations.topology().block_volumes.keys().copied().collect();
    answer::ok(&BlockVolumeList { block_volumes })
}

/// Shows a block volume.
#[utoipa::path(get, path = "/blockvolumes/{id}", responses((status = 200, body = BlockVolumeInfo)))]
pub async fn info(State(service): State<Service>, Id(id): Id<BlockVolumeId>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let block = topology.block_volumes.get(&id).ok_or_else(Failure::unknown_id)?;
    Ok(answer::ok(&view(block)))
}

/// Makes a block volume.
#[utoipa::path(post, path = "/blockvolumes", request_body = BlockVolumeCreateRequest, responses((status = 202)))]
pub async fn create(
    State(service): State<Service>,
    Json(request): Json<BlockVolumeCreateRequest>,
) -> Result<Response, Failure> {
    let mut faults = Faults::default();
    let size = size("size", request.size_gib, &mut faults);
    let name = match check::name_fault(&request.name) {
        Some(fault) => {
            faults.add("name", fault);
            None
        }
        None if request.name.is_empty() => None,
        None => request.name.parse().map_err(|error: NotAName| faults.add("name", error.to_string())).ok(),
    };
    if let Some(fault) = request.clusters.iter().find_map(|id| check::id_fault(id)) {
        faults.add("clusters", fault);
    }
    if request.ha_count < 0 {
        faults.add("hacount", check::LESS_THAN_1);
    }
    faults.none()?;
    let clusters = volumes::clusters(&request.clusters, &service.operations.topology())?;
    service.has_room_for_one_more()?;
    let wish = BlockWish {
        name,
        size,
        clusters,
        // More hosts than there can be mean all of them.
        ha: u32::try_from(request.ha_count).unwrap_or(u32::MAX),
        auth: request.auth,
        hosting_options: service.options_of_hosting_volumes(&[]),
    };
    let rejected = |error| Failure::rejected(Doing::BlockCreate, &error);
    Ok(answer::accepted(service.operations.block_create(wish).await.map_err(rejected)?))
}

/// Deletes a block volume and all that is on it.
#[utoipa::path(delete, path = "/blockvolumes/{id}", responses((status = 202)))]
pub async fn delete(State(service): State<Service>, Id(id): Id<BlockVolumeId>) -> Result<Response, Failure> {
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::BlockDelete, &error);
    Ok(answer::accepted(service.operations.block_delete(id).await.map_err(rejected)?))
}

/// Makes a block volume larger.
///
/// Unlike with volumes, what is said is the size that it is to have.
#[utoipa::path(post, path = "/blockvolumes/{id}/expand", request_body = BlockVolumeExpandRequest, responses((status = 202)))]
pub async fn expand(
    State(service): State<Service>,
    Id(id): Id<BlockVolumeId>,
    Json(request): Json<BlockVolumeExpandRequest>,
) -> Result<Response, Failure> {
    let mut faults = Faults::default();
    let to = size("new_size", request.new_size_gib, &mut faults);
    faults.none()?;
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::BlockExpand, &error);
    Ok(answer::accepted(service.operations.block_expand(id, to).await.map_err(rejected)?))
}

/// Whole GiB.
fn size(field: &'static str, gib: i64, faults: &mut Faults) -> ByteSize {
    faults.number(field, gib);
    let size = u64::try_from(gib).ok().and_then(ByteSize::from_gib);
    if size.is_none() {
        faults.add(field, format!("must be no greater than {}", u64::MAX / GIB));
    }
    size.unwrap_or(ByteSize::ZERO)
}

pub fn view(block: &BlockVolume) -> BlockVolumeInfo {
    let gib = |size: ByteSize| i64::try_from(size.whole_gib()).unwrap_or(i64::MAX);
    BlockVolumeInfo {
        size_gib: gib(block.size),
        name: block.name.to_string(),
        ha_count: i64::try_from(block.hosts.len()).unwrap_or(i64::MAX),
        id: block.id,
        access: BlockVolumeAccess {
            hosts: block.hosts.iter().map(ToString::to_string).collect(),
            iqn: block.access.iqn.clone(),
            lun: block.access.lun.into(),
            username: block.access.username.clone(),
            password: block.access.password.expose().to_owned().into(),
        },
        cluster: block.cluster,
        hosting_volume: block.hosting.volume,
        usable_size_gib: gib(block.usable),
    }
}
