//! What handlers answer with, byte for byte as heketi does.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bricklayer_api::heketi::{to_body, to_indented_body};
use bricklayer_proto::ids::OperationId;
use serde::Serialize;

use super::failure::Failure;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const X_PENDING: HeaderName = HeaderName::from_static("x-pending");

/// Compact, with one line feed at its end.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match to_body(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, JSON)], bytes).into_response(),
        Err(error) => Failure::internal("the answer could not be written", &error).into_response(),
    }
}

pub fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// Indented by four spaces, as heketi writes what people are to read.
pub fn indented(body: &impl Serialize) -> Response {
    match to_indented_body(body) {
        Ok(bytes) => (StatusCode::OK, [(CONTENT_TYPE, JSON)], bytes).into_response(),
        Err(error) => Failure::internal("the answer could not be written", &error).into_response(),
    }
}

/// The work has begun; its outcome is asked for at the queue. The path is relative, as clients put it behind the
/// address that they have.
pub fn accepted(operation: OperationId) -> Response {
    (StatusCode::ACCEPTED, [(LOCATION, format!("/queue/{operation}"))]).into_response()
}

/// As [`accepted`], for heketi's one GET that begins work.
pub fn accepted_get(operation: OperationId) -> Response {
    redirect(StatusCode::ACCEPTED, &format!("/queue/{operation}"), true)
}

/// The work is not done yet.
pub fn pending() -> Response {
    (StatusCode::OK, [(X_PENDING, "true")]).into_response()
}

/// The work is done and left this behind.
pub fn see_other(path: &str) -> Response {
    redirect(StatusCode::SEE_OTHER, path, true)
}

/// A redirect as Go's HTTP library writes it: with a link for people where the client reads (GET).
pub fn redirect(status: StatusCode, path: &str, link: bool) -> Response {
    let Ok(location) = HeaderValue::from_str(path) else { return Failure::no_such_path().into_response() };
    if !link {
        return (status, [(LOCATION, location)]).into_response();
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let body = format!("<a href=\"{}\">{reason}</a>.\n\n", escaped(path));
    (status, [(CONTENT_TYPE, HTML), (LOCATION, location)], Body::from(body)).into_response()
}

/// What the client sent is never written into a page as it is.
fn escaped(path: &str) -> String {
    path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").replace('\'', "&#39;")
}
