//! `/v1/agents` and `/v1/invitations`.

use std::fmt;

use bricklayer_proto::ids::{BootId, InvitationId, NodeId};
use bricklayer_proto::inventory::Versions;
use bricklayer_proto::names::HostName;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Answer of `GET /v1/agents`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentList {
    pub agents: Vec<Agent>,
}

/// The agent of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Agent {
    /// Missing for an invitation that nobody has used yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: HostName,
    pub state: AgentState,
    /// Where its stream comes from, or came from last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub versions: Option<Versions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootId>,
    /// When it came to this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Timestamp>,
}

/// Where an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// Its stream is open.
    Attached,
    /// Enrolled, and not there now.
    Detached,
    /// An invitation waits for it.
    Invited,
    /// Shut out for good.
    Revoked,
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attached => "attached",
            Self::Detached => "detached",
            Self::Invited => "invited",
            Self::Revoked => "revoked",
        })
    }
}

/// Body of `POST /v1/invitations`. The name is text as it came, so that the server can say what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct InvitationRequest {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<i64>,
    /// How long the invitation holds; 30 minutes when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// The name is that of a node that enrolled before, which is to come back with a new key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rejoin: bool,
    /// The id that the node is to have, such as the one by which heketi's clients know it; a new one when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// Answer of `POST /v1/invitations`: the only time the token is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invitation {
    pub invitation: InvitationId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: HostName,
    pub token: InvitationToken,
    pub expires: Timestamp,
}

/// The line that `bricklayer-agent enroll` takes. Not shown by `Debug`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
pub struct InvitationToken(SecretString);

impl InvitationToken {
    /// The line itself, for the one place that hands it to a person.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for InvitationToken {
    fn from(line: String) -> Self {
        Self(line.into())
    }
}

impl Serialize for InvitationToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for InvitationToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Answer of `GET /v1/invitations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitationList {
    pub invitations: Vec<OpenInvitation>,
}

/// An invitation that was made. Its token cannot be shown again: only a hash of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenInvitation {
    pub invitation: InvitationId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: HostName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<i64>,
    pub expires: Timestamp,
    pub state: InvitationState,
}

/// Whether an invitation can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum InvitationState {
    Open,
    Used,
    Expired,
}

impl fmt::Display for InvitationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Expired => "expired",
        })
    }
}
