//! heketi's routes.
//!
//! A file per kind of thing: each reads a request ([`check`] has the rules that several share), turns it into a wish of
//! the model, hands it over, and writes the model as heketi would.

mod block_volumes;
mod bricks;
mod check;
mod clusters;
pub mod db;
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
use axum::routing::any;
use bricklayer_api::heketi::EntryState;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

pub use queue::path_of;
pub use volumes::{checked as volume_wish, clusters as clusters_named, layout as layout_of, snapshot as snapshot_of};

use super::failure::Failure;
use super::openapi::Described;
use super::{Service, front};
use crate::model::AdminState;

/// heketi's paths, each with and without a slash at its end, and what they look like.
pub fn routes() -> (Router<Service>, Described) {
    let mut described = Described::default();
    let mut router = Router::new();
    let all: [UtoipaMethodRouter<Service>; 32] = [
        routes!(clusters::list, clusters::create),
        routes!(clusters::info, clusters::delete),
        routes!(clusters::set_flags),
        routes!(nodes::add),
        routes!(nodes::info, nodes::delete),
        routes!(nodes::set_state),
        routes!(nodes::set_tags),
        routes!(devices::add),
        routes!(devices::info, devices::delete),
        routes!(devices::set_state),
        routes!(devices::set_tags),
        routes!(devices::resync),
        routes!(volumes::list, volumes::create),
        routes!(volumes::info, volumes::delete),
        routes!(volumes::expand),
        routes!(volumes::clone),
        routes!(volumes::restrict),
        routes!(block_volumes::list, block_volumes::create),
        routes!(block_volumes::info, block_volumes::delete),
        routes!(block_volumes::expand),
        routes!(bricks::evict),
        routes!(queue::poll),
        routes!(operations::counts),
        routes!(operations::list),
        routes!(operations::info),
        routes!(operations::clean_up),
        routes!(server::mode, server::set_mode),
        routes!(server::log_level, server::set_log_level),
        routes!(db::examine),
        routes!(db::dump),
        routes!(db::check::check),
        routes!(db::backup::backup),
    ];
    for of_one_path in all {
        let (path, methods) = described.add(of_one_path);
        router = router.route(&format!("{path}/"), any(front::without_slash)).route(&path, methods);
    }
    let router = router
        .method_not_allowed_fallback(async || StatusCode::METHOD_NOT_ALLOWED)
        .route_layer(from_fn(front::heketis_paths))
        .fallback(async || Failure::no_such_path().into_response());
    (router, described)
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
