//! `/v1/nodes/{node}`, `/v1/nodes/{node}/lost`, `/v1/devices/{id}/lost` and `/v1/bricks/{id}/replace`: changes of hardware
//! that heketi has no word for.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::v1::{BrickReplaceRequest, DeviceLostRequest, NodeEdit as NodeEditRequest, NodeLostRequest};
use bricklayer_proto::ids::{BrickId, DeviceId};
use bricklayer_proto::names::{HostName, NotAName};

use super::Id;
use crate::http::body::OurJson;
use crate::http::failure::{Doing, Failure};
use crate::http::{Service, answer};
use crate::ops::{NodeEdit, ReplaceRequest};
use crate::pki::RevokeError;

/// Changes the zone and the names of a node.
///
/// Its zone and its names. What is missing, or empty, stays as it is.
#[utoipa::path(patch, path = "/v1/nodes/{node}", request_body = NodeEditRequest, responses((status = 200)))]
pub async fn edit_node(
    State(service): State<Service>,
    Path(node): Path<String>,
    OurJson(request): OurJson<NodeEditRequest>,
) -> Result<StatusCode, Failure> {
    let node = service.node(&node)?;
    let hosts = |names: Vec<String>| {
        let hosts: Result<Vec<HostName>, NotAName> = names.iter().map(|name| name.parse()).collect();
        let hosts = hosts.map_err(|error| Failure::bad_request(error.to_string()))?;
        Ok::<_, Failure>(Some(hosts).filter(|hosts| !hosts.is_empty()))
    };
    let names = request.hostnames.unwrap_or_default();
    let edit = NodeEdit {
        zone: request.zone.map(super::zone).transpose()?,
        manage: hosts(names.manage)?,
        storage: hosts(names.storage)?,
    };
    service.operations.node_edit(node, edit).await?;
    Ok(StatusCode::OK)
}

/// Gives a node up for ever.
///
/// Nothing waits for it any more. Its agent is shut out, too: should the host come back, it is a stranger.
#[utoipa::path(post, path = "/v1/nodes/{node}/lost", request_body = NodeLostRequest, responses((status = 200)))]
pub async fn lose_node(
    State(service): State<Service>,
    Path(node): Path<String>,
    OurJson(request): OurJson<NodeLostRequest>,
) -> Result<StatusCode, Failure> {
    let node = service.node(&node)?;
    service.operations.node_lost(node, &request.confirm).await?;
    if service.rehearses {
        return Ok(StatusCode::OK);
    }
    match service.registry.revoke(node).await {
        Ok(_) | Err(RevokeError::Unknown(_)) => Ok(StatusCode::OK),
        Err(error @ RevokeError::Store(_)) => {
            Err(Failure::internal("the node is given up, but its agent could not be shut out: revoke it", &error))
        }
    }
}

/// Gives the disk of a device up for ever.
///
/// Nothing waits for it any more. Refused while its host sees it whole, and while its host is away.
#[utoipa::path(post, path = "/v1/devices/{id}/lost", request_body = DeviceLostRequest, responses((status = 200)))]
pub async fn lose_device(
    State(service): State<Service>,
    Id(device): Id<DeviceId>,
    OurJson(request): OurJson<DeviceLostRequest>,
) -> Result<StatusCode, Failure> {
    service.operations.device_lost(device, &request.confirm).await?;
    Ok(StatusCode::OK)
}

/// Moves a brick to another device.
///
/// To a device that was chosen, or to one that is.
#[utoipa::path(post, path = "/v1/bricks/{id}/replace", request_body = BrickReplaceRequest, responses((status = 202)))]
pub async fn replace_brick(
    State(service): State<Service>,
    Id(brick): Id<BrickId>,
    OurJson(request): OurJson<BrickReplaceRequest>,
) -> Result<Response, Failure> {
    let heal_check = match request.heal_check.as_str() {
        "" | "enable" => true,
        "disable" => false,
        other => return Err(Failure::bad_request(format!("healcheck is enable or disable, not {other:?}"))),
    };
    let to = request
        .device
        .filter(|device| !device.is_empty())
        .map(|device| device.parse::<DeviceId>().map_err(|error| Failure::bad_request(format!("device: {error}"))));
    let request = ReplaceRequest { brick, to: to.transpose()?, heal_check };
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::Ours, &error);
    Ok(answer::accepted(service.operations.brick_replace(request).await.map_err(rejected)?))
}
