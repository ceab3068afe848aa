//! `?dry_run=true`: what a request would do, decided as in earnest and then forgotten; with `?plan=true` kept for a while, so
//! that exactly that can be done.
//!
//! The same routes are asked, on a copy of the state where nothing is driven. What such a copy cannot hold (invitations,
//! certificates, the server's own mode and log, what only GlusterFS can do) is refused: a rehearsal must never turn out to
//! have been the performance.

use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bricklayer_api::v1::Plan;
use tower::ServiceExt as _;

use super::failure::{Doing, Failure};
use super::{Service, answer, routes, v1};
use crate::model::Topology;
use crate::ops::{Operations, Rejected};

pub async fn rehearse<F: Future<Output = Response>>(
    service: &Service,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let query = request.uri().query();
    let (dry_run, plan) = (flag("dry_run", query), flag("plan", query));
    if (dry_run, plan) == (None, None) || !changes(&request) {
        return next(request).await;
    }
    match (dry_run.unwrap_or(Some(false)), plan.unwrap_or(Some(false))) {
        (None, _) => Failure::bad_request("dry_run is true or false").into_response(),
        (_, None) => Failure::bad_request("plan is true or false").into_response(),
        (Some(_), Some(true)) => perform(service, request, true).await,
        (Some(true), Some(false)) => perform(service, request, false).await,
        (Some(false), Some(false)) => next(request).await,
    }
}

/// The last word of the query on it; `Some(None)` where it is neither yes nor no.
fn flag(name: &str, query: Option<&str>) -> Option<Option<bool>> {
    let of_it = |pair: &str| match pair.split_once('=') {
        Some((key, value)) if key == name => Some(value.to_owned()),
        None if pair == name => Some(String::new()),
        _ => None,
    };
    let word = query?.split('&').filter_map(of_it).next_back()?;
    Some(match word.as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    })
}

/// Whether anything may come of it. heketi has one GET that begins work.
pub fn changes(request: &Request) -> bool {
    let path = request.uri().path();
    match *request.method() {
        // Also where its path has not been put right yet.
        Method::GET => path.trim_start_matches('/').starts_with("devices/") && path.ends_with("/resync"),
        Method::HEAD => false,
        _ => !v1::only_asks(path),
    }
}

async fn perform(service: &Service, request: Request, keep: bool) -> Response {
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
    if keep {
        return kept(service, &rehearsal, &before, &response);
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

/// What was rehearsed, kept under the id of the operation that it would be.
fn kept(service: &Service, rehearsal: &Operations, before: &Topology, response: &Response) -> Response {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let id = location.and_then(|location| location.strip_prefix("/queue/")?.parse().ok());
    let plan = id.ok_or(Rejected::CannotBeKept).and_then(|id| service.operations.keep_plan(rehearsal, id, before));
    match plan {
        Ok(plan) => answer::ok(&v1::plan_view(&plan)),
        Err(rejected) => Failure::rejected(Doing::Ours, &rejected).into_response(),
    }
}

/// Only what goes through the operations alone. Whatever is new is refused until somebody has thought of it.
fn can_be_rehearsed(method: &Method, parts: &[&str]) -> bool {
    match parts {
        ["clusters" | "nodes" | "devices" | "volumes" | "blockvolumes" | "bricks", ..] => true,
        ["v1", "nodes", _] => method == Method::PATCH,
        ["v1", "policy"] | ["v1", "clusters" | "volumes", _, "policy"] => method == Method::PUT,
        ["v1", "volumes", _] | ["v1", "volumes", _, "undelete" | "protect"] | ["v1", "trash", _] => true,
        ["v1", "nodes", _, "lost"] | ["v1", "bricks", _, "replace"] | ["v1", "devices", "wipe"] | ["v1", "unadopt"] => {
            true
        }
        _ => false,
    }
}

fn planned(rehearsal: &Operations, queue: &str) -> Option<Plan> {
    let id = queue.strip_prefix("/queue/")?.parse().ok()?;
    let rehearsed = rehearsal.rehearsed(id)?;
    Some(Plan {
        kind: rehearsed.kind.to_owned(),
        changes: rehearsed.changes,
        steps: rehearsed.steps,
        destroys: rehearsed.destroys,
        kept: None,
    })
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
        ("PUT", ["v1", "policy"]) => ("policy", "change what the installation says about where bricks go".to_owned()),
        ("PUT", ["v1", "clusters", id, "policy"]) => {
            ("cluster-policy", format!("change what cluster {id} says about where bricks go"))
        }
        ("PUT", ["v1", "volumes", id, "policy"]) => {
            ("volume-policy", format!("change what volume {id} says about how far its pools are extended"))
        }
        ("POST", ["v1", "devices", id, "lost"]) => ("device-lost", format!("give the disk of device {id} up for ever")),
        ("POST", ["v1", "nodes", node, "lost"]) => ("node-lost", format!("give node {node} up for ever")),
        _ => return None,
    })
}

fn unplanned(kind: &str, text: String, before: &Topology, after: &Topology) -> Plan {
    let changes = if before.version == after.version { Vec::new() } else { vec![text] };
    Plan { kind: kind.to_owned(), changes, steps: Vec::new(), destroys: Vec::new(), kept: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_nonsense_is_no_performance() {
        let dry_run = |query| flag("dry_run", query);
        assert_eq!(dry_run(None), None);
        assert_eq!(dry_run(Some("a=b")), None);
        assert_eq!(flag("plan", Some("dry_run=false&plan=1")), Some(Some(true)));
        assert_eq!(dry_run(Some("dry_run=true")), Some(Some(true)));
        assert_eq!(dry_run(Some("a=b&dry_run=1")), Some(Some(true)));
        assert_eq!(dry_run(Some("dry_run=true&dry_run=false")), Some(Some(false)));
        for neither in ["dry_run", "dry_run=", "dry_run=yes", "dry_run=True"] {
            assert_eq!(dry_run(Some(neither)), Some(None), "{neither}");
        }
    }
}
