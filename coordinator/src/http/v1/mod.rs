//! Our own routes, all below `/v1`; `bricklayer_api::v1` lists them with their bodies.

mod adopt;
mod agents;
mod audit;
mod capacity;
mod disks;
mod doctor;
pub mod explain;
mod hardware;
mod invitations;
mod ledger;
mod operations;
mod plans;
mod policy;
mod pools;
mod score;
mod simulate;
pub mod support;
mod trash;
mod volumes;

pub use plans::view as plan_view;

use std::str::FromStr;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use bricklayer_proto::ids::NodeId;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::Service;
use super::failure::Failure;
use super::openapi::Described;
use crate::model::Zone;

pub fn routes() -> (Router<Service>, Described) {
    let mut described = Described::default();
    let mut router = Router::new();
    let all: Vec<UtoipaMethodRouter<Service>> = vec![
        routes!(agents::list),
        routes!(agents::revoke),
        routes!(invitations::list, invitations::create),
        routes!(invitations::withdraw),
        routes!(disks::list),
        routes!(disks::wipe),
        routes!(hardware::edit_node),
        routes!(hardware::lose_node),
        routes!(hardware::lose_device),
        routes!(hardware::replace_brick),
        routes!(ledger::of_device),
        routes!(ledger::of_node),
        routes!(ledger::of_cluster),
        routes!(audit::audit),
        routes!(volumes::heal),
        routes!(volumes::rebalance, volumes::start_rebalance),
        routes!(trash::delete),
        routes!(trash::undelete),
        routes!(trash::protect),
        routes!(trash::list),
        routes!(trash::end),
        routes!(pools::list),
        routes!(doctor::examine),
        routes!(capacity::list),
        routes!(explain::explain),
        routes!(policy::list, policy::set),
        routes!(policy::of_cluster, policy::set_of_cluster),
        routes!(policy::of_volume, policy::set_of_volume),
        routes!(plans::list),
        routes!(plans::info),
        routes!(plans::apply),
        routes!(score::score),
        routes!(support::bundle),
        routes!(simulate::simulate),
        routes!(adopt::plan),
        routes!(adopt::give_back),
        routes!(adopt::export),
        routes!(operations::list),
        routes!(operations::info),
    ];
    for of_one_path in all {
        let (path, methods) = described.add(of_one_path);
        router = router.route(&path, methods);
    }
    let router = router.method_not_allowed_fallback(async || {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method").into_response()
    });
    (router, described)
}

/// Whether a path is one of ours, so that its errors are JSON.
pub fn is_ours(path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    parts.next() == Some("v1")
}

/// Whether a request has a body and yet only asks: nothing is changed, whatever its method says.
pub fn only_asks(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "/v1/explain" | "/v1/simulate" | "/v1/adopt" | "/v1/support-bundle")
}

/// A part of a path that must be an id.
struct Id<T>(T);

impl<T: FromStr<Err: ToString>, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|error| Failure::bad_request(error.body_text()))?;
        text.parse().map(Self).map_err(|error: T::Err| Failure::bad_request(error.to_string()))
    }
}

fn zone(zone: i64) -> Result<Zone, Failure> {
    let valid = u32::try_from(zone).ok().and_then(Zone::new);
    valid.ok_or_else(|| Failure::bad_request(format!("{zone} is not a zone: zones are 1 and more")))
}

impl Service {
    /// The node with this id, or whose agent enrolled under this name.
    fn node(&self, id_or_name: &str) -> Result<NodeId, Failure> {
        let agents = self.operations.agents();
        let by_id = id_or_name.parse().ok().filter(|id| agents.status(*id).is_some());
        by_id.or_else(|| agents.by_name(id_or_name)).ok_or_else(|| {
            let known: Vec<_> = agents.all().iter().map(|agent| agent.name.to_string()).collect();
            let known = if known.is_empty() { "none has enrolled yet".to_owned() } else { known.join(", ") };
            let text = format!("no agent has enrolled as {id_or_name:?}\nThe agents are: {known}");
            Failure::new(StatusCode::NOT_FOUND, text)
        })
    }
}
