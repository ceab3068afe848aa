use std::fmt;

use bricklayer_proto::ids::{ClusterId, NodeId};
use bricklayer_proto::names::HostName;
use serde::{Deserialize, Serialize};

use super::{AdminState, Tags};

/// A failure domain of nodes; 1 or more, as in heketi.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(u32);

impl Zone {
    #[must_use]
    pub fn new(zone: u32) -> Option<Self> {
        (zone >= 1).then_some(Self(zone))
    }

    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A GlusterFS host. Its id is its agent's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub cluster: ClusterId,
    pub zone: Zone,
    /// As given; the first one is the name under which its agent enrolled.
    pub manage: Vec<HostName>,
    /// As given; GlusterFS and its clients use the first one.
    pub storage: Vec<HostName>,
    pub state: AdminState,
    pub tags: Tags,
    /// A person declared that it will never come back. Nothing waits for it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

impl Node {
    /// The name that people use for it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.manage.first().map_or("", HostName::as_str)
    }

    /// The name or address that GlusterFS uses for it; `None` cannot come from our own routes, which refuse it.
    #[must_use]
    pub fn storage_host(&self) -> Option<&HostName> {
        self.storage.first()
    }
}
