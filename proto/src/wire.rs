//! What goes over the wire, as vocabulary. Only [`convert`] reads the generated messages; everybody else sees these.
//!
//! Read [`FromAgent`] and [`ToAgent`] first, then [`token`] for the line that an operator carries to a new host.

pub mod certificate;
mod codec;
mod convert;
pub mod parts;
pub mod token;

use std::fmt;
use std::ops::RangeInclusive;

use zeroize::Zeroize;

use crate::ids::{InstallationId, InvitationId, NodeId, TaskId};
use crate::inventory::{AgentSeen, Inventory};
use crate::keepsake::{Keepsake, Kept, Recollection};
use crate::names::HostName;
use crate::task::{Outcome, Progress, Task};

pub use convert::NotUnderstood;

/// The generated messages and services. To be converted at once, never passed on.
pub mod v1 {
    #![allow(clippy::all, clippy::pedantic, clippy::wildcard_imports, reason = "generated")]
    tonic::include_proto!("bricklayer.agent.v1");
}

/// The protocols that this build speaks: its own and the one before.
pub const PROTOCOLS: RangeInclusive<u32> = 1..=2;

/// From this protocol on large messages may come in [`parts`].
pub const PARTS_SINCE: u32 = 2;

/// From this protocol on agents keep keepsakes and can be asked for them.
pub const KEEPSAKES_SINCE: u32 = 2;

/// From this protocol on agents make thick bricks. One of this protocol that does not know them yet cannot read such a task,
/// and refuses it.
pub const THICK_SINCE: u32 = 2;

/// No message of an agent is larger. An inventory has about 1 KiB per brick and a volume group holds at most some
/// thousands of them.
pub const MAX_FROM_AGENT: usize = 16 << 20;

/// No message to an agent is larger: a task names the bricks of one volume at most.
pub const MAX_TO_AGENT: usize = 4 << 20;

/// Nor is anything that a stranger may send, or that answers him.
pub const MAX_ENROL: usize = 64 << 10;

/// The agents' port. Agents dial it; hosts open none.
pub const DEFAULT_PORT: u16 = 24010;

/// The newest protocol that both sides speak.
#[must_use]
pub fn common_protocol(ours: &RangeInclusive<u32>, theirs: &RangeInclusive<u32>) -> Option<u32> {
    let newest = *ours.end().min(theirs.end());
    (newest >= *ours.start() && newest >= *theirs.start()).then_some(newest)
}

/// What an agent says on its stream.
#[derive(Clone, Debug, PartialEq)]
pub enum FromAgent {
    /// First, and only first.
    Hello(Hello),
    Inventory {
        seen: Box<Inventory>,
        /// The host's clock as this is sent, in milliseconds since 1970; older agents do not say it.
        clock_ms: Option<i64>,
    },
    Progress(Progress),
    Outcome(Box<Outcome>),
    /// All that it keeps.
    Kept(Vec<Kept>),
    Recollection(Box<Recollection>),
}

/// What an agent is told on its stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ToAgent {
    /// First, and only first.
    Welcome(Welcome),
    Task(Box<Task>),
    /// The outcome was taken; the agent need not keep it.
    Acknowledge(TaskId),
    /// To be kept.
    Keepsake(Box<Keepsake>),
    /// The coordinator has lost its state and asks for all that is kept and lies on the disks; `gluster`: and for
    /// glusterd's volumes.
    Recall {
        gluster: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub protocols: RangeInclusive<u32>,
    pub node: NodeId,
    /// The highest epoch of a coordinator that this agent has seen.
    pub epoch: u64,
    /// The host's clock, in milliseconds since 1970.
    pub clock_ms: i64,
    pub seen: AgentSeen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub installation: InstallationId,
    pub epoch: u64,
    pub protocol: u32,
    /// The coordinator's clock, in milliseconds since 1970.
    pub clock_ms: i64,
    pub name: HostName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollRequest {
    pub invitation: InvitationId,
    pub secret: Secret,
    pub csr: Vec<u8>,
    pub machine_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollReply {
    pub installation: InstallationId,
    pub node: NodeId,
    pub name: HostName,
    pub credentials: Credentials,
}

/// What an agent keeps beside its key. Certificates are X.509 in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub certificate: Vec<u8>,
    pub authorities: Vec<Vec<u8>>,
    pub addresses: Vec<String>,
}

/// 256 random bits that nobody may see twice: not in a log, not in memory that was given back.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; Self::LEN]);

impl Secret {
    pub const LEN: usize = 32;

    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// For hashing and sending.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_protocol_of_both_sides_is_spoken() {
        assert_eq!(common_protocol(&(1..=3), &(2..=4)), Some(3));
        assert_eq!(common_protocol(&(2..=2), &(1..=2)), Some(2));
        assert_eq!(common_protocol(&(3..=4), &(1..=2)), None);
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::from_bytes([7; 32])), "Secret(..)");
    }
}
