//! `bricklayer agent`.

use bricklayer_api::client::Change;
use bricklayer_api::v1::InvitationRequest;
use serde_json::json;

use super::{DONE, Done, Seen, Session};
use crate::bricklayer::args::AgentCommand;
use crate::bricklayer::args::common::Quick;
use crate::bricklayer::tables;

impl Session {
    pub(super) async fn agent(&self, command: AgentCommand) -> Done {
        match command {
            AgentCommand::Invite { name, zone, ttl, rejoin, node_id, output } => {
                let request = InvitationRequest {
                    name: name.to_string(),
                    zone: zone.map(i64::from),
                    ttl_seconds: ttl,
                    rejoin,
                    node: node_id.map(|id| id.to_string()),
                };
                let quick = Quick::in_earnest(output);
                let Some(made) = self.ask(&Change::invite(&request)?, quick).await? else { return DONE };
                let token = || made.token.expose().to_owned();
                self.show(output, &made, |_| format!("{}\n", token()), || vec![token()])?;
                eprintln!(
                    "The token is for {name} alone, can be used once, and holds until {}. On {name} run:\n  \
                     bricklayer-agent enroll TOKEN",
                    made.expires.strftime("%Y-%m-%d %H:%M:%SZ")
                );
                DONE
            }
            AgentCommand::Invitations { look } => {
                self.look(look, async || {
                    let list = self.client.invitations().await?;
                    let ids = || list.invitations.iter().map(|one| one.invitation.to_string()).collect();
                    self.show(look.output, &list, |_| tables::invitation_list(&list.invitations), ids)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            AgentCommand::Uninvite { invitation, quick } => {
                let Some(()) = self.ask(&Change::uninvite(invitation)?, quick).await? else { return DONE };
                let text = format!("invitation {invitation} is taken back");
                self.tell(quick.output, &json!({ "deleted": invitation }), &text, &invitation)
            }
            AgentCommand::List { look } => {
                self.look(look, async || {
                    let list = self.client.agents().await?;
                    let names = || list.agents.iter().map(|agent| agent.name.to_string()).collect();
                    self.show(look.output, &list, |_| tables::agent_list(&list.agents), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            AgentCommand::Revoke { node, quick } => {
                let Some(()) = self.ask(&Change::agent_revoke(&node)?, quick).await? else { return DONE };
                self.tell(quick.output, &json!({ "revoked": node }), &format!("the agent of {node} is shut out"), &node)
            }
        }
    }
}
