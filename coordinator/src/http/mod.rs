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
mod mode;
mod openapi;
mod rehearsal;
mod room;
mod serve;
#[cfg(test)]
mod tests;
mod throttle;
mod tls;
pub mod token;
pub mod v1;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

pub use auth::Auth;
pub use mode::{Mode, ModeSwitch, NotAMode};
pub use room::{LEAST_FREE, Room};
pub use serve::serve;
pub use throttle::MOST_UNFINISHED;
pub use tls::{Tls, TlsError};
pub use v1::support::explanation as explanation_of;

use crate::agents::Registry;
use crate::doctor::OwnHost;
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::ops::Operations;
use crate::pki::Trust;

/// How REST is served.
#[derive(Clone)]
pub struct Settings {
    pub mode: Arc<ModeSwitch>,
    /// Operations that may be under way at once before more are refused for a while (429). They queue up by themselves;
    /// this only bounds how many.
    pub most_unfinished: usize,
    pub log: LogControl,
    /// So long the answer to a poll of the queue waits for the end of its operation: whoever polls hears of it at once, and
    /// polls less. heketi's clients give up after many times as long.
    pub poll_held: Duration,
    /// By how many seconds a client's clock may be ahead.
    pub clock_leeway: u32,
    /// Options of every new volume: those before and those after the ones that a request brings.
    pub options_first: Vec<String>,
    pub options_last: Vec<String>,
    /// Plain HTTP without.
    pub tls: Option<Tls>,
    /// For more state.
    pub room: Room,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Arc::default(),
            most_unfinished: MOST_UNFINISHED,
            log: LogControl::fixed(),
            poll_held: Duration::from_millis(100),
            clock_leeway: token::ISSUE_LEEWAY,
            options_first: Vec::new(),
            options_last: Vec::new(),
            tls: None,
            room: Room::default(),
        }
    }
}

impl Settings {
    /// What the doctor asks of the coordinator's own machine.
    fn own_host(&self) -> OwnHost {
        OwnHost { disk: self.room.seen(), certificate: self.tls.as_ref().map(Tls::seen) }
    }
}

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    operations: Operations,
    trust: Arc<Trust>,
    registry: Arc<Registry>,
    auth: Arc<Auth>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    /// Nothing is done in earnest: what does not go through the operations must not be done at all.
    rehearses: bool,
}

impl Service {
    #[must_use]
    pub fn new(operations: Operations, trust: Arc<Trust>, registry: Arc<Registry>, auth: Auth) -> Self {
        let settings = Arc::<Settings>::default();
        let metrics = Arc::new(Metrics::new(operations.clone(), own_host(&settings)));
        Self { operations, trust, registry, auth: Arc::new(auth), settings, metrics, rehearses: false }
    }

    #[must_use]
    pub fn with(self, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        // Nothing is counted yet.
        let metrics = Arc::new(Metrics::new(self.operations.clone(), own_host(&settings)));
        Self { settings, metrics, ..self }
    }
}

/// Looks at the coordinator's own machine.
fn own_host(settings: &Arc<Settings>) -> impl Fn() -> OwnHost + Send + Sync + 'static {
    let settings = Arc::clone(settings);
    move || settings.own_host()
}

/// All routes. Every request passes, from the outside: the log, the writer of refusals, the guard against panics, the
/// guard against clients that go away, the doors that need no token, authentication, the mode of the server, the choice
/// between a rehearsal and the performance, and only then the routes.
pub fn router(service: Service) -> Router {
    let routes = routes(service.clone());
    // A router around the router: what is set by `layer` runs after the route is chosen, and the path must be put right
    // before. One layer and not nine: each copies all that is below it, for every request.
    Router::new().fallback_service(routes).layer(from_fn_with_state(service, through))
}

async fn through(State(service): State<Service>, request: Request, next: Next) -> Response {
    let begun = service.clone();
    front::log(&service, request, |request| {
        failure::write(request, |request| {
            front::no_panic(request, |request| front::to_the_end(request, |request| admitted(begun, request, next)))
        })
    })
    .await
}

async fn admitted(service: Service, request: Request, next: Next) -> Response {
    let service = &service;
    front::open_doors(service, request, |request| {
        auth::authenticate(service, request, |request| {
            mode::gate(service, request, |request| {
                front::plain_path(request, |request| rehearsal::rehearse(service, request, |request| next.run(request)))
            })
        })
    })
    .await
}

fn routes(service: Service) -> Router {
    let ((heketi, _), (ours, _)) = (heketi::routes(), v1::routes());
    heketi.merge(ours).with_state(service)
}
