//! `/v1/doctor`.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{Diagnosis, Examined, Finding, Severity};

use crate::doctor::{self, Subject, World};
use crate::http::{Service, answer};

/// Says what is amiss, and what to do about it.
///
/// From the records and what the agents reported last; no host is asked for anything.
#[utoipa::path(get, path = "/v1/doctor", responses((status = 200, body = Diagnosis)))]
pub async fn examine(State(service): State<Service>) -> Response {
    let at = service.trust.clock().now();
    let world = World::of(&service.operations, service.settings.own_host(), at);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let topology = &world.topology;
    let examined = Examined {
        nodes: count(topology.nodes.size()),
        devices: count(topology.devices.size()),
        bricks: count(topology.bricks.values().map(|bricks| bricks.size()).sum()),
    };
    let findings = doctor::examine(&world).into_iter().map(finding).collect();
    answer::ok(&Diagnosis { findings, at, examined })
}

fn finding(found: doctor::Finding) -> Finding {
    let subject = match found.subject {
        Subject::Node(id) => id.to_string(),
        Subject::Device(id) => id.to_string(),
        Subject::Brick(id) => id.to_string(),
        Subject::Volume(id) => id.to_string(),
        Subject::Operation(id) => id.to_string(),
        Subject::Unknown(name) => name,
    };
    let severity = match found.severity {
        doctor::Severity::Error => Severity::Error,
        doctor::Severity::Warning => Severity::Warning,
        doctor::Severity::Note => Severity::Note,
    };
    let id = format!("{}:{subject}", found.code);
    Finding { id, severity, code: found.code.to_owned(), subject, host: found.host, what: found.what, cure: found.cure }
}
