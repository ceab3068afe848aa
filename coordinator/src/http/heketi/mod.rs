//! heketi's routes.
//!
//! A file per kind of thing: each reads a request ([`check`] has the rules that several share), turns it into a wish of
//! the model, hands it over, and writes the model as heketi would.

mod block_volumes;
mod bricks;
mod check;
mod clusters;
mod db;
mod devices;
mod nodes;
mod operations;
mod queue;
mod server;
mod tags;
mod volumes;

use std::str::FromStr;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, any, get, post};
use bricklayer_api::heketi::EntryState;

pub use queue::path_of;

use super::failure::Failure;
use super::{Service, front};
use crate::model::AdminState;

/// heketi's paths, each with and without a slash at its end.
pub fn routes() -> Router<Service> {
    let Paths(routes) = Paths(Router::new())
        .at("/clusters", get(clusters::list).post(clusters::create))
        .at("/clusters/{id}", get(clusters::info).delete(clusters::delete))
        .at("/clusters/{id}/flags", post(clusters::set_flags))
        .at("/nodes", post(nodes::add))
        .at("/nodes/{id}", get(nodes::info).delete(nodes::delete))
        .at("/nodes/{id}/state", post(nodes::set_state))
        .at("/nodes/{id}/tags", post(nodes::set_tags))
        .at("/devices", post(devices::add))
        .at("/devices/{id}", get(devices::info).delete(devices::delete))
        .at("/devices/{id}/state", post(devices::set_state))
        .at("/devices/{id}/tags", post(devices::set_tags))
        .at("/devices/{id}/resync", get(devices::resync))
        .at("/volumes", get(volumes::list).post(volumes::create))
        .at("/volumes/{id}", get(volumes::info).delete(volumes::delete))
        .at("/volumes/{id}/expand", post(volumes::expand))
        .at("/volumes/{id}/clone", post(volumes::clone))
        .at("/volumes/{id}/block-restriction", post(volumes::restrict))
        .at("/blockvolumes", get(block_volumes::list).post(block_volumes::create))
        .at("/blockvolumes/{id}", get(block_volumes::info).delete(block_volumes::delete))
        .at("/blockvolumes/{id}/expand", post(block_volumes::expand))
        .at("/bricks/to-evict/{id}", post(bricks::evict))
        .at("/queue/{id}", get(queue::poll))
        .at("/operations", get(operations::counts))
        .at("/operations/pending", get(operations::list))
        .at("/operations/pending/{id}", get(operations::info))
        .at("/operations/pending/cleanup", post(operations::clean_up))
        .at("/admin", get(server::mode).post(server::set_mode))
        .at("/internal/logging", get(server::log_level).post(server::set_log_level))
        .at("/internal/state/examine/gluster", get(db::examine))
        .at("/db/dump", get(db::dump))
        .at("/db/check", get(db::check))
        .at("/backup/db", get(db::backup));
    routes
        .method_not_allowed_fallback(async || StatusCode::METHOD_NOT_ALLOWED)
        .route_layer(from_fn(front::heketis_paths))
        .fallback(async || Failure::no_such_path().into_response())
}

struct Paths(Router<Service>);

impl Paths {
    fn at(self, path: &str, methods: MethodRouter<Service>) -> Self {
        let with_slash = format!("{path}/");
        Self(self.0.route(path, methods).route(&with_slash, any(front::without_slash)))
    }
}

/// An id in a path. What has the wrong length, or capitals, names nothing, as in heketi.
struct Id<T>(T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|_| Failure::unknown_id())?;
        id.parse().map(Self).map_err(|_| Failure::unknown_id())
    }
}

fn entry_state(state: AdminState) -> EntryState {
    match state {
        AdminState::Online => EntryState::Online,
        AdminState::Offline => EntryState::Offline,
        AdminState::Failed => EntryState::Failed,
    }
}
