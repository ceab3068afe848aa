//! `?dry_run=true`: what a request would do, decided as in earnest and then forgotten.
//!
//! The same routes are asked, on a copy of the state where nothing is driven. What such a copy cannot hold (invitations,
//! certificates, the server's own mode and log, what only GlusterFS can do) is refused: a rehearsal must never turn out to
//! have been the performance.

use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bricklayer_api::v1::Plan;
use tower::ServiceExt as _;

use super::failure::Failure;
use super::{Service, answer, routes, v1};
use crate::model::Topology;
use crate::ops::Operations;

pub async fn rehearse(State(service): State<Service>, request: Request, next: Next) -> Response {
    let Some(wanted) = dry_run(request.uri().query()) else { return next.run(request).await };
    if !changes(&request) {
        return next.run(request).await;
    }
    match wanted {
        Some(false) => next.run(request).await,
        Some(true) => perform(&service, request).await,
        None => Failure::bad_request("dry_run is true or false").into_response(),
    }
}

/// The last word of the query on it; `Some(None)` where it is neither yes nor no.
fn dry_run(query: Option<&str>) -> Option<Option<bool>> {
    let of_it = |pair: &str| match pair.split_once('=') {
        Some(("dry_run", value)) => Some(value.to_owned()),
        None if pair == "dry_run" => Some(String::new()),
        _ => None,
    };
    let word = query?.split('&').filter_map(of_it).next_back()?;
    Some(match word.as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    })
}

/// heketi has one GET that begins work.
fn changes(request: &Request) -> bool {
    let path = request.uri().path();
    match *request.method() {
        Method::GET => path.starts_with("/devices/") && path.ends_with("/resync"),
        Method::HEAD => false,
        _ => !v1::only_asks(path),
    }
}

async fn perform(service: &Service, request: Request) -> Response {
    let parts: Vec<String> =
        request.uri().path().split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if !can_be_rehearsed(request.method(), &parts) {
        return Failure::bad_request("this request cannot be rehearsed, and was not carried out").into_response();
    }
    let at_once = at_once(request.method(), &parts);
    let rehearsal = service.operations.rehearsal();
    let before = rehearsal.topology();
    let copy = Service { operations: rehearsal.clone(), rehearses: true, ..service.clone() };
    let Ok(response) = routes(copy).oneshot(request).await;
    if !response.status().is_success() {
        return response;
    }
    let plan = match response.headers().get(LOCATION).and_then(|location| location.to_str().ok()) {
        Some(queue) => planned(&rehearsal, queue),
        None => at_once.map(|(kind, text)| unplanned(kind, text, &before, &rehearsal.topology())),
    };
    plan.map_or_else(
        || Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "what would be done cannot be told").into_response(),
        |plan| answer::ok(&plan),
    )
}

/// Only what goes through the operations alone. Whatever is new is refused until somebody has thought of it.
fn can_be_rehearsed(method: &Method, parts: &[&str]) -> bool {
    match parts {
        ["clusters" | "nodes" | "devices" | "volumes" | "blockvolumes" | "bricks", ..] => true,
        ["v1", "nodes", _] => method == Method::PATCH,
        ["v1", "nodes", _, "lost"] | ["v1", "bricks", _, "replace"] | ["v1", "devices", "wipe"] => true,
        _ => false,
    }
}

fn planned(rehearsal: &Operations, queue: &str) -> Option<Plan> {
    let id = queue.strip_prefix("/queue/")?.parse().ok()?;
    let rehearsed = rehearsal.rehearsed(id)?;
    Some(Plan { kind: rehearsed.kind.to_owned(), changes: rehearsed.changes, steps: rehearsed.steps })
}

/// What is done as soon as it is written down: no host is asked for anything.
fn at_once(method: &Method, parts: &[&str]) -> Option<(&'static str, String)> {
    Some(match (method.as_str(), parts) {
        ("POST", ["clusters"]) => ("cluster-create", "make a cluster".to_owned()),
        ("POST", ["clusters", id, "flags"]) => ("cluster-flags", format!("change which volumes cluster {id} takes")),
        ("DELETE", ["clusters", id]) => ("cluster-delete", format!("forget cluster {id}")),
        ("POST", ["nodes", id, "tags"]) => ("node-tags", format!("change the tags of node {id}")),
        ("POST", ["devices", id, "tags"]) => ("device-tags", format!("change the tags of device {id}")),
        ("POST", ["volumes", id, "block-restriction"]) => {
            ("block-restriction", format!("change whether volume {id} takes more block volumes"))
        }
        ("PATCH", ["v1", "nodes", node]) => ("node-edit", format!("change the zone or the names of node {node}")),
        ("POST", ["v1", "nodes", node, "lost"]) => ("node-lost", format!("give node {node} up for ever")),
        _ => return None,
    })
}

fn unplanned(kind: &str, text: String, before: &Topology, after: &Topology) -> Plan {
    let changes = if before.version == after.version { Vec::new() } else { vec![text] };
    Plan { kind: kind.to_owned(), changes, steps: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_nonsense_is_no_performance() {
        assert_eq!(dry_run(None), None);
        assert_eq!(dry_run(Some("a=b")), None);
        assert_eq!(dry_run(Some("dry_run=true")), Some(Some(true)));
        assert_eq!(dry_run(Some("a=b&dry_run=1")), Some(Some(true)));
        assert_eq!(dry_run(Some("dry_run=true&dry_run=false")), Some(Some(false)));
        for neither in ["dry_run", "dry_run=", "dry_run=yes", "dry_run=True"] {
            assert_eq!(dry_run(Some(neither)), Some(None), "{neither}");
        }
    }
}
