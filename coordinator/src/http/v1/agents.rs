//! `/v1/agents`.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::v1::{Agent, AgentList, AgentState};
use bricklayer_proto::names::HostName;

use crate::agents::{AgentStatus, Presence};
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::pki::{OpenInvitation, RevokeError};

/// Lists the agents and the hosts that are invited.
///
/// Those that enrolled, and the hosts that are invited and have not come yet.
#[utoipa::path(get, path = "/v1/agents", responses((status = 200, body = AgentList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let now = service.trust.clock().now();
    let mut agents: Vec<Agent> = service.operations.agents().all().into_iter().map(enrolled).collect();
    let names: BTreeSet<HostName> = agents.iter().map(|agent| agent.name.clone()).collect();
    let open = service.trust.invitations().into_iter().filter(|invitation| {
        invitation.used.is_none() && now <= invitation.expires && !names.contains(&invitation.name)
    });
    agents.extend(open.map(invited));
    agents.sort_by(|one, other| one.name.cmp(&other.name));
    answer::ok(&AgentList { agents })
}

/// Shuts an agent out for good.
///
/// Its stream is closed and its certificates are refused from now on. Done again, it changes nothing.
#[utoipa::path(post, path = "/v1/agents/{node}/revoke", responses((status = 200)))]
pub async fn revoke(State(service): State<Service>, Path(node): Path<String>) -> Result<StatusCode, Failure> {
    let node = service.node(&node)?;
    match service.registry.revoke(node).await {
        Ok(_) => Ok(StatusCode::OK),
        Err(error @ RevokeError::Unknown(_)) => Err(Failure::new(StatusCode::NOT_FOUND, error.to_string())),
        Err(error @ RevokeError::Store(_)) => Err(Failure::internal("the revocation could not be written", &error)),
    }
}

fn enrolled(status: AgentStatus) -> Agent {
    let (state, address, since) = match status.presence {
        Presence::Attached { since, from, .. } => (AgentState::Attached, Some(from.to_string()), Some(since)),
        Presence::Detached { since } => (AgentState::Detached, None, since),
        Presence::Revoked { at } => (AgentState::Revoked, None, Some(at)),
    };
    let (boot, versions) = status.seen.map(|seen| (seen.boot, seen.versions)).unzip();
    Agent {
        node: Some(status.node),
        name: status.name,
        state,
        address,
        zone: status.zone.map(i64::from),
        versions,
        boot,
        since,
        certificate_expires: Some(status.certificate_expires),
    }
}

fn invited(invitation: OpenInvitation) -> Agent {
    Agent {
        node: None,
        name: invitation.name,
        state: AgentState::Invited,
        address: None,
        zone: invitation.zone.map(i64::from),
        versions: None,
        boot: None,
        since: Some(invitation.created),
        certificate_expires: None,
    }
}
