//! REST: heketi's routes at the root, our own below `/v1`.
//!
//! Owns what is on the wire: paths, methods, tokens, bodies, status codes and texts. A handler reads a body, checks it,
//! hands the wish to [`Operations`] and writes the answer; it decides nothing else and touches no host. Reads come from
//! one snapshot of the topology and wait for nobody.
//!
//! Where heketi has a word for something, it is used to the byte, as its clients parse some of them
//! (`docs/heketi-compat.md`). Read [`heketi`] and [`v1`] for the routes, [`failure`] for what a refusal looks like,
//! `front` for what every request goes through first.

mod answer;
mod auth;
mod body;
pub mod failure;
mod front;
pub mod heketi;
mod serve;
#[cfg(test)]
mod tests;
mod token;
pub mod v1;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

pub use auth::Auth;
pub use serve::serve;

use crate::agents::Registry;
use crate::ops::Operations;
use crate::pki::Trust;

/// Operations that may be under way at once before new volumes are refused for a while (429). They queue up by
/// themselves; this only bounds how many.
const MOST_UNFINISHED: usize = 500;

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    operations: Operations,
    trust: Arc<Trust>,
    registry: Arc<Registry>,
    auth: Arc<Auth>,
    most_unfinished: usize,
}

impl Service {
    #[must_use]
    pub fn new(operations: Operations, trust: Arc<Trust>, registry: Arc<Registry>, auth: Auth) -> Self {
        Self { operations, trust, registry, auth: Arc::new(auth), most_unfinished: MOST_UNFINISHED }
    }
}

/// All routes. Every request passes, from the outside: the log, the writer of refusals, the guard against panics, the
/// two doors that need no token, authentication, and only then the routes.
pub fn router(service: Service) -> Router {
    let routes = heketi::routes().merge(v1::routes()).with_state(service.clone());
    // A router around the router: what is set by `layer` runs after the route is chosen, and the path must be put right
    // before.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(front::plain_path))
        .layer(from_fn_with_state(service, auth::authenticate))
        .layer(from_fn(front::open_doors))
        .layer(from_fn(front::no_panic))
        .layer(from_fn(failure::write))
        .layer(from_fn(front::log))
}
