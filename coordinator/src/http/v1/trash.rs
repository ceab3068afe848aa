//! `/v1/trash`, and what can be done to volumes that heketi has no word for: keep them when they are deleted, have them
//! back, protect them.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bricklayer_api::v1::{DeleteQuery, ProtectRequest, TrashList, TrashedVolume};
use bricklayer_proto::ids::VolumeId;

use super::Id;
use crate::http::body::OurJson;
use crate::http::failure::{Doing, Failure};
use crate::http::{Service, answer};
use crate::model::{Topology, Volume};
use crate::ops::{Keep, Rejected, read_keep};

/// Deletes a volume, or keeps its bricks for a while.
///
/// With `keep` it is stopped and put into the trash, out of which `undelete` takes it; its bricks go when the time is over.
#[utoipa::path(delete, path = "/v1/volumes/{id}", params(DeleteQuery), responses((status = 202)))]
pub async fn delete(
    State(service): State<Service>,
    Id(id): Id<VolumeId>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let keep = read(query.as_deref().unwrap_or_default())?;
    service.has_room_for_one_more()?;
    Ok(answer::accepted(service.operations.volume_delete(id, keep).await.map_err(rejected)?))
}

/// A word that nobody knows is refused: it was meant to keep something.
fn read(query: &str) -> Result<Keep, Failure> {
    let mut keep = Keep::AsConfigured;
    for (key, text) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "keep" => keep = read_keep(&text).map_err(Failure::bad_request)?,
            "dry_run" | "plan" => {}
            other => return Err(Failure::bad_request(format!("{other:?} is no word of this query"))),
        }
    }
    Ok(keep)
}

/// Takes a volume out of the trash: it serves again.
#[utoipa::path(post, path = "/v1/volumes/{id}/undelete", responses((status = 202)))]
pub async fn undelete(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    service.has_room_for_one_more()?;
    Ok(answer::accepted(service.operations.volume_undelete(id).await.map_err(rejected)?))
}

/// Protects a volume against deletion, or takes that back.
#[utoipa::path(post, path = "/v1/volumes/{id}/protect", request_body = ProtectRequest, responses((status = 202)))]
pub async fn protect(
    State(service): State<Service>,
    Id(id): Id<VolumeId>,
    OurJson(request): OurJson<ProtectRequest>,
) -> Result<Response, Failure> {
    service.has_room_for_one_more()?;
    Ok(answer::accepted(service.operations.volume_protect(id, request.protected).await.map_err(rejected)?))
}

/// Lists the deleted volumes that can be had back.
#[utoipa::path(get, path = "/v1/trash", responses((status = 200, body = TrashList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let topology = service.operations.topology();
    let mut volumes: Vec<_> = topology.volumes.values().filter_map(|volume| view(&topology, volume)).collect();
    volumes.sort_by(|one, other| (one.until, &one.name, one.id).cmp(&(other.until, &other.name, other.id)));
    answer::ok(&TrashList { volumes })
}

/// Ends a volume in the trash before its time.
#[utoipa::path(delete, path = "/v1/trash/{id}", responses((status = 202)))]
pub async fn end(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    service.has_room_for_one_more()?;
    Ok(answer::accepted(service.operations.trash_end(id).await.map_err(rejected)?))
}

fn rejected(error: Rejected) -> Failure {
    Failure::rejected(Doing::Ours, &error)
}

fn view(topology: &Topology, volume: &Volume) -> Option<TrashedVolume> {
    let trash = volume.trash?;
    let taken = volume.bricks.iter().filter_map(|brick| {
        let one = topology.devices.get(&brick.device)?.space.extent_size;
        brick.space.taken()?.to_bytes(one)
    });
    Some(TrashedVolume {
        id: volume.id,
        name: volume.name.to_string(),
        cluster: volume.cluster,
        size_bytes: volume.size.bytes(),
        taken_bytes: taken.map(|taken| taken.bytes()).fold(0, u64::saturating_add),
        since: trash.since,
        until: trash.until,
    })
}
