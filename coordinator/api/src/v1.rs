//! The bodies of our own routes, all below `/v1`.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /v1/agents` | | 200 [`AgentList`] |
//! | `POST /v1/agents/{node id or name}/revoke` | | 200 |
//! | `GET /v1/invitations` | | 200 [`InvitationList`] |
//! | `POST /v1/invitations` | [`InvitationRequest`] | 201 [`Invitation`] |
//! | `DELETE /v1/invitations/{id}` | | 200 |
//! | `GET /v1/nodes/{id or name}/disks` | | 200 [`DiskList`] |
//! | `POST /v1/devices/wipe` | [`WipeRequest`] | 202 and `/queue/{id}`; unconfirmed 409 [`WipeRefusal`] |
//! | `GET /v1/operations` | | 200 [`OperationList`] |
//! | `GET /v1/operations/{id}` | | 200 [`Operation`] |
//!
//! Every error is a [`Problem`] with a fitting status.

use std::fmt;

use bricklayer_proto::ids::{BootId, InvitationId, NodeId, OperationId};
use bricklayer_proto::inventory::{Disk, Obstacle, Versions};
use bricklayer_proto::names::HostName;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Body of every error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong, and with which thing.
    pub error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// Answer of `GET /v1/agents`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentList {
    pub agents: Vec<Agent>,
}

/// The agent of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Missing for an invitation that nobody has used yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    pub name: HostName,
    pub state: AgentState,
    /// Where its stream comes from, or came from last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
}

/// Answer of `POST /v1/invitations`: the only time the token is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invitation {
    pub invitation: InvitationId,
    pub name: HostName,
    pub token: InvitationToken,
    pub expires: Timestamp,
}

/// The line that `bricklayer-agent enroll` takes. Not shown by `Debug`.
#[derive(Clone, Debug)]
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
pub struct InvitationList {
    pub invitations: Vec<OpenInvitation>,
}

/// An invitation that was made. Its token cannot be shown again: only a hash of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInvitation {
    pub invitation: InvitationId,
    pub name: HostName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<i64>,
    pub expires: Timestamp,
    pub state: InvitationState,
}

/// Whether an invitation can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Answer of `GET /v1/nodes/{id or name}/disks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskList {
    pub node: NodeId,
    pub name: HostName,
    /// Each one as the agent saw it last.
    pub disks: Vec<Disk>,
}

/// Body of `POST /v1/devices/wipe`. All is text as it came, so that the server can say what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WipeRequest {
    /// Id or name of the node.
    pub node: String,
    pub device: String,
    /// The disk's serial, its WWN, or the UUID of the physical volume on it: whoever wipes says which disk is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// Answer (409) to a wipe that was not confirmed: what would be lost, and what to confirm with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeRefusal {
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    pub device: String,
    /// What lies on the device or holds it.
    #[serde(default)]
    pub holders: Vec<Obstacle>,
    #[serde(default)]
    pub identity: DiskIdentity,
}

/// What a disk can be told by, wherever it is plugged in. Each of these confirms a wipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskIdentity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pv_uuid: Option<String>,
}

/// Answer of `GET /v1/operations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationList {
    pub operations: Vec<Operation>,
}

/// A durable operation: the same id as in `/queue/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub id: OperationId,
    /// Such as `volume-create`.
    pub kind: String,
    pub state: OperationState,
    /// In the order in which they run.
    pub steps: Vec<Step>,
    pub started: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Path of what it made, such as `/volumes/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    Running,
    /// A step failed; what was done is being taken back.
    Undoing,
    Done,
    /// It failed, and nothing of it is left.
    Failed,
    /// It could not be taken back; it is tried again until it can.
    Stuck,
}

impl OperationState {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Running | Self::Undoing | Self::Stuck => false,
            Self::Done | Self::Failed => true,
        }
    }
}

impl fmt::Display for OperationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Undoing => "undoing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stuck => "stuck",
        })
    }
}

/// One step of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    pub state: StepState,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    Pending,
    Running,
    Done,
    Failed,
    Undone,
}
