//! Our own routes.

use bricklayer_proto::ids::{InvitationId, OperationId};
use bricklayer_proto::names::HostName;
use reqwest::StatusCode;

use super::{Accepted, Client, ClientError, read};
use crate::json::parse_body;
use crate::v1::{
    AgentList, DiskList, Invitation, InvitationList, InvitationRequest, Operation, OperationList, WipeRefusal,
    WipeRequest,
};

/// What the server said to a wipe.
#[derive(Debug)]
pub enum Wipe {
    Accepted(Accepted<()>),
    /// Nothing was touched: this is what lies on the disk, and what to confirm with.
    Unconfirmed(WipeRefusal),
}

impl Client {
    pub async fn agents(&self) -> Result<AgentList, ClientError> {
        self.get_json("/v1/agents").await
    }

    /// Shuts the agent of a node (by name, or by id) out for good.
    pub async fn agent_revoke(&self, node: &HostName) -> Result<(), ClientError> {
        let path = format!("/v1/agents/{node}/revoke");
        self.post(&path, &serde_json::Map::new()).await?.expect(&path, StatusCode::OK).map(drop)
    }

    pub async fn invite(&self, request: &InvitationRequest) -> Result<Invitation, ClientError> {
        let path = "/v1/invitations";
        let answer = self.post(path, request).await?.expect(path, StatusCode::CREATED)?;
        read(path, &answer.body)
    }

    pub async fn invitations(&self) -> Result<InvitationList, ClientError> {
        self.get_json("/v1/invitations").await
    }

    pub async fn uninvite(&self, id: InvitationId) -> Result<(), ClientError> {
        let path = format!("/v1/invitations/{id}");
        self.delete(&path).await?.expect(&path, StatusCode::OK).map(drop)
    }

    /// The disks of a node (by name, or by id), as its agent saw them last.
    pub async fn disks(&self, node: &HostName) -> Result<DiskList, ClientError> {
        self.get_json(&format!("/v1/nodes/{node}/disks")).await
    }

    pub async fn device_wipe(&self, request: &WipeRequest) -> Result<Wipe, ClientError> {
        let path = "/v1/devices/wipe";
        let answer = self.post(path, request).await?;
        if answer.status == StatusCode::CONFLICT
            && let Ok(refusal) = parse_body::<WipeRefusal>(&answer.body)
        {
            return Ok(Wipe::Unconfirmed(refusal));
        }
        Self::accepted(path, answer).map(Wipe::Accepted)
    }

    pub async fn operations(&self) -> Result<OperationList, ClientError> {
        self.get_json("/v1/operations").await
    }

    pub async fn operation(&self, id: OperationId) -> Result<Operation, ClientError> {
        self.get_json(&format!("/v1/operations/{id}")).await
    }
}
