//! `/devices`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::heketi::{
    Brick as BrickInfo, DeviceAddRequest, DeviceDeleteRequest, DeviceInfo, StateRequest, StorageSize, TagsChangeRequest,
};
use bricklayer_proto::ids::{DeviceId, VolumeId};
use bricklayer_proto::names::DevicePath;
use bricklayer_proto::size::{ByteSize, Extents};

use super::check::{self, Faults};
use super::{Id, entry_state, tags};
use crate::http::body::{Json, OptionalJson};
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{AdminState, Brick, Device, Topology};
use crate::ops::{DeviceWish, Tagged};

/// Makes a disk of a node a device. Its id stands in the node's list afterwards.
#[utoipa::path(post, path = "/devices", request_body = DeviceAddRequest, responses((status = 202)))]
pub async fn add(State(service): State<Service>, Json(request): Json<DeviceAddRequest>) -> Result<Response, Failure> {
    let operation = service.operations.device_add(wish(request)?).await?;
    Ok(answer::accepted(operation))
}

/// Shows a device with its bricks.
#[utoipa::path(get, path = "/devices/{id}", responses((status = 200, body = DeviceInfo)))]
pub async fn info(State(service): State<Service>, Id(id): Id<DeviceId>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let device = topology.devices.get(&id).ok_or_else(Failure::unknown_id)?;
    Ok(answer::ok(&DeviceInfo { failing: service.operations.failing(device), ..view(&topology, device) }))
}

/// Deletes a device in state `failed`, and gives its disk back.
#[utoipa::path(delete, path = "/devices/{id}", request_body = Option<DeviceDeleteRequest>, responses((status = 202)))]
pub async fn delete(
    State(service): State<Service>,
    Id(id): Id<DeviceId>,
    OptionalJson(request): OptionalJson<DeviceDeleteRequest>,
) -> Result<Response, Failure> {
    Ok(answer::accepted(service.operations.device_delete(id, request.force_forget).await?))
}

/// Takes a device into service or out of it; `failed` moves its bricks away.
#[utoipa::path(post, path = "/devices/{id}/state", request_body = StateRequest, responses((status = 202)))]
pub async fn set_state(
    State(service): State<Service>,
    Id(id): Id<DeviceId>,
    Json(request): Json<StateRequest>,
) -> Result<Response, Failure> {
    let (state, heal_check) = check::state(&request)?;
    if state == AdminState::Failed {
        service.has_room_for_one_more()?;
    }
    Ok(answer::accepted(service.operations.device_state(id, state, heal_check).await?))
}

/// Changes the tags of a device, and answers all of them.
#[utoipa::path(post, path = "/devices/{id}/tags", request_body = TagsChangeRequest, responses((status = 200, body = BTreeMap<String, String>)))]
pub async fn set_tags(
    State(service): State<Service>,
    Id(id): Id<DeviceId>,
    Json(request): Json<TagsChangeRequest>,
) -> Result<Response, Failure> {
    let change = tags::change(request)?;
    Ok(answer::ok(&service.operations.tags(Tagged::Device(id), change).await?))
}

/// Takes LVM's figures of a device over.
///
/// A GET that begins work, as in heketi.
#[utoipa::path(get, path = "/devices/{id}/resync", responses((status = 202)))]
pub async fn resync(State(service): State<Service>, Id(id): Id<DeviceId>) -> Result<Response, Failure> {
    Ok(answer::accepted_get(service.operations.device_resync(id).await?))
}

fn wish(request: DeviceAddRequest) -> Result<DeviceWish, Failure> {
    let mut faults = Faults::default();
    if request.name.is_empty() {
        faults.add("name", check::BLANK);
    } else if !heketi_takes(&request.name) {
        faults.add("name", check::BAD_FORMAT);
    }
    if let Some(fault) = check::id_fault(&request.node) {
        faults.add("node", fault);
    }
    if let Some(fault) = check::tags_fault(&request.tags) {
        faults.add("tags", fault);
    }
    faults.none()?;
    // heketi took any path, and the host's tools then failed; ours is below /dev and does not climb.
    let no_device = |error| Failure::bad_request(format!("validation failed: name: {}.\n{error}", check::BAD_FORMAT));
    let name: DevicePath = request.name.parse().map_err(no_device)?;
    let no_node = |_| Failure::new(StatusCode::NOT_FOUND, "Node id does not exist");
    let node = request.node.parse().map_err(no_node)?;
    Ok(DeviceWish { node, name, destroy: request.destroy_data, tags: request.tags })
}

/// What heketi takes for a device's name, and the further characters that udev's links may have.
fn heketi_takes(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-+@=,#".contains(&byte);
    name.len() > 1 && name.starts_with('/') && name.bytes().all(allowed)
}

/// Of the records alone.
pub fn view(topology: &Topology, device: &Device) -> DeviceInfo {
    let space = &device.space;
    let kib = |extents: Extents| extents.to_bytes(space.extent_size).map_or(0, ByteSize::whole_kib);
    let (total_kib, free_kib) = (kib(space.total), kib(topology.free(device)));
    let mut bricks: Vec<_> =
        topology.bricks_of(device.id).map(|(volume, brick)| brick_view(volume.id, brick)).collect();
    bricks.sort_unstable_by_key(|brick| brick.id);
    DeviceInfo {
        name: device.name.to_string(),
        tags: device.tags.clone(),
        storage: StorageSize { total_kib, free_kib, used_kib: total_kib.saturating_sub(free_kib) },
        id: device.id,
        paths: device.disk.paths.iter().map(ToString::to_string).collect(),
        pv_uuid: device.pv_uuid.to_string(),
        state: entry_state(device.state),
        failing: None,
        bricks,
    }
}

/// A brick of a whole volume, which has its path.
pub fn brick_view(volume: VolumeId, brick: &Brick) -> BrickInfo {
    BrickInfo {
        id: brick.id,
        path: brick.path.as_ref().map(ToString::to_string).unwrap_or_default(),
        device: brick.device,
        node: brick.node,
        volume,
        size_kib: brick.asked.whole_kib(),
    }
}
