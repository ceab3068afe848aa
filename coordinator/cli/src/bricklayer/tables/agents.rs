//! Agents and invitations.

use bricklayer_api::v1::{Agent, OpenInvitation};

use super::{or_dash, table};

pub fn agent_list(agents: &[Agent]) -> String {
    let row = |agent: &Agent| {
        let versions = agent.versions.clone().unwrap_or_default();
        vec![
            agent.name.to_string(),
            agent.state.to_string(),
            or_dash(agent.since.map(|since| moment!(since))),
            or_dash(agent.address.clone()),
            or_dash(agent.zone.map(|zone| zone.to_string())),
            or_dash(Some(versions.agent)),
            or_dash(Some(versions.glusterfs)),
            or_dash(Some(versions.lvm)),
            or_dash(agent.certificate_expires.map(|expires| moment!(expires))),
            or_dash(agent.node.map(|node| node.to_string())),
        ]
    };
    let header =
        ["AGENT", "STATE", "SINCE", "ADDRESS", "ZONE", "VERSION", "GLUSTERFS", "LVM", "CERTIFICATE UNTIL", "NODE"];
    table(&header, agents.iter().map(row))
}

pub fn invitation_list(invitations: &[OpenInvitation]) -> String {
    let row = |one: &OpenInvitation| {
        vec![
            one.invitation.to_string(),
            one.name.to_string(),
            or_dash(one.zone.map(|zone| zone.to_string())),
            one.state.to_string(),
            moment!(one.expires),
        ]
    };
    table(&["INVITATION", "NAME", "ZONE", "STATE", "EXPIRES"], invitations.iter().map(row))
}
