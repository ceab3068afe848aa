//! `/bricks`: heketi shows bricks with their devices and volumes, and moves one away here.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::heketi::BrickEvictRequest;
use bricklayer_proto::ids::BrickId;

use super::{Id, check};
use crate::http::body::OptionalJson;
use crate::http::failure::{Doing, Failure};
use crate::http::{Service, answer};
use crate::ops::ReplaceRequest;

/// Moves a brick to another device.
#[utoipa::path(post, path = "/bricks/to-evict/{id}", request_body = Option<BrickEvictRequest>, responses((status = 202)))]
pub async fn evict(
    State(service): State<Service>,
    Id(id): Id<BrickId>,
    OptionalJson(request): OptionalJson<BrickEvictRequest>,
) -> Result<Response, Failure> {
    let heal_check = check::heal_check(&request.heal_check)?;
    service.has_room_for_one_more()?;
    let request = ReplaceRequest { brick: id, to: None, heal_check };
    let rejected = |error| Failure::rejected(Doing::BrickEvict, &error);
    Ok(answer::accepted(service.operations.brick_replace(request).await.map_err(rejected)?))
}
