//! The records of trust in the coordinator's store.

use bricklayer_proto::ids::{InstallationId, InvitationId, NodeId};
use bricklayer_proto::names::HostName;
use bricklayer_store::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub const INSTALLATION: Table<(), InstallationRecord> = Table::single("installation");
pub const AGENTS: Table<NodeId, AgentRecord> = Table::new("agents");
pub const INVITATIONS: Table<InvitationId, InvitationRecord> = Table::new("invitations");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationRecord {
    pub id: InstallationId,
    /// Raised by each start.
    pub epoch: u64,
    pub created: Timestamp,
}

/// An agent that enrolled, revoked ones included: their names are not given to another machine by accident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    pub name: HostName,
    pub zone: Option<u32>,
    pub machine_id: String,
    pub enrolled: Timestamp,
    /// The number of the newest certificate in its series.
    pub series: u32,
    /// Certificates with a lower number are refused: those from before the last enrolment.
    pub lowest_series: u32,
    pub certificate_expires: Timestamp,
    pub revoked: Option<Timestamp>,
}

/// An invitation. The secret itself is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationRecord {
    pub node: NodeId,
    pub name: HostName,
    pub zone: Option<u32>,
    /// SHA-256, hex.
    pub secret_hash: String,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// For a node that enrolled before: the new certificate takes the place of all older ones.
    pub rejoin: bool,
    pub used: Option<Used>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub at: Timestamp,
    /// SHA-256 of the request, hex: a repeat of it is answered, another one is not.
    pub csr_hash: String,
    /// What was answered, base64 of DER.
    pub certificate: String,
}
