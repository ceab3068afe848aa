//! What every request goes through before and after its route.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{RawPathParams, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;

use super::failure::Failure;
use super::{Service, answer, openapi, rehearsal, serve};

/// One line per request. Reads and polls are many, so they are for debugging only.
pub async fn log<F: Future<Output = Response>>(
    service: &Service,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let peer = request.extensions().get::<serve::Peer>().map(|peer| peer.0);
    let started = Instant::now();
    let response = next(request).await;
    let status = response.status().as_u16();
    let took = started.elapsed();
    service.metrics.answered(method.as_str(), status, took);
    let ms = took.as_millis();
    let peer = peer.map(tracing::field::display);
    if method == Method::GET || method == Method::HEAD {
        tracing::debug!(%method, path, status, ms, peer, "A request was answered.");
    } else {
        tracing::info!(%method, path, status, ms, peer, "A request was answered.");
    }
    response
}

/// A handler that panics must cost its own request only, and the client must hear of it.
pub async fn no_panic<F: Future<Output = Response>>(request: Request, next: impl FnOnce(Request) -> F) -> Response {
    let path = request.uri().path().to_owned();
    match AssertUnwindSafe(next(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(path, "A handler panicked; this is an error in the coordinator.");
            let text = "internal error; the coordinator's log has the details";
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

/// A client that goes away does not take its request with it: what was read is carried out to its end. Otherwise an
/// operation could be recorded and, its connection gone at that moment, be begun by nobody before the next start; or a host be
/// at work for nobody, out of its turn. What only reads from memory is not worth a place of its own in the queue of the runtime.
pub async fn to_the_end<F: Future<Output = Response> + Send + 'static>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if !rehearsal::changes(&request) && !asks_a_host(request.uri().path()) {
        return next(request).await;
    }
    match tokio::spawn(next(request)).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

/// Reads for which GlusterFS is asked.
fn asks_a_host(path: &str) -> bool {
    path.ends_with("/heal") || path.ends_with("/rebalance")
}

/// What needs no token.
pub async fn open_doors<F: Future<Output = Response>>(
    service: &Service,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if request.method() != Method::GET {
        return next(request).await;
    }
    match request.uri().path() {
        "/hello" => hello().await,
        "/metrics" => metrics(State(service.clone()), request.headers().clone()).await,
        "/openapi.json" => openapi::document().await,
        _ => next(request).await,
    }
}

/// Greets, so that a client can tell that the server answers, and which one it is.
#[utoipa::path(get, path = "/hello", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn hello() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=UTF-8")], "Hello from Bricklayer").into_response()
}

/// Shows figures for Prometheus.
///
/// The page is the same in both formats: a scraper that knows the newer one is told so.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(service): State<Service>, headers: HeaderMap) -> Response {
    const NEWER: &str = "application/openmetrics-text";
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = if accepted.contains(NEWER) {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    match service.metrics.page() {
        Ok(page) => ([(CONTENT_TYPE, format)], page).into_response(),
        Err(error) => Failure::internal("the metrics could not be written", &error).into_response(),
    }
}

/// `//volumes` is `/volumes`: clients put `/volumes` behind an address that ends with a slash.
pub async fn plain_path<F: Future<Output = Response>>(
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let path = request.uri().path();
    if path.contains("//") {
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let slash = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let plain = format!("/{}{slash}{query}", parts.join("/"));
        let Ok(plain) = PathAndQuery::try_from(plain) else { return Failure::no_such_path().into_response() };
        *request.uri_mut() = Uri::from(plain);
    }
    next(request).await
}

/// Ids in paths are hex digits; anything else is no path of heketi's, whatever the method. A HEAD is no GET to heketi.
pub async fn heketis_paths(parameters: RawPathParams, request: Request, next: Next) -> Response {
    if parameters.iter().any(|(_, id)| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Failure::no_such_path().into_response();
    }
    if request.method() == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    next.run(request).await
}

/// To the same path without the slash at its end.
pub async fn without_slash(request: Request) -> Response {
    let path = request.uri().path().trim_end_matches('/');
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let is_get = request.method() == Method::GET;
    answer::redirect(StatusCode::MOVED_PERMANENTLY, &format!("{path}{query}"), is_get)
}
