//! Adoption: what heketi or a person made becomes ours, as it is.
//!
//! Pure, as [`crate::rebuild`] is: somebody claims that something is there ([`Claims`], from heketi's database, or from
//! what the hosts show), and [`verify`] holds it against what the hosts show. What comes out is what will be written down
//! ([`Takeover`]), and every [`Finding`]. One that blocks keeps all of it from being done: half an installation is worse
//! than none.
//!
//! Must never compute a name or a path that it can read, and never ask for a change.

mod claims;
mod finding;
mod found;
pub mod heketi_db;
mod hosts;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use bricklayer_proto::ids::{ClusterId, InstallationId};
use jiff::Timestamp;

pub use claims::{BrickClaim, Claims, DeviceClaim, VolumeClaim, of_heketi};
pub use finding::Finding;
pub use found::{by_hand, of_disks};
pub use heketi_db::{HeketiDb, NotADatabase};
pub use hosts::{HostFacts, Hosts};
pub use verify::{is_where_glusterd_mounts, verify};

use crate::model::{Adopt, Topology};

/// So many bricks are taken over by one operation; the rest by the next. Its record stays small enough for the store.
pub const MOST_BRICKS: usize = 1000;

/// What everything is held against.
pub struct Facts<'a> {
    pub topology: &'a Topology,
    pub installation: InstallationId,
    pub hosts: Hosts,
    pub now: Timestamp,
}

/// What a person decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The agent of a node: by the node's id or one of its names, the name under which its agent enrolled.
    pub agents: BTreeMap<String, String>,
    /// Volumes, by name or id, that stay as they are.
    pub without: BTreeSet<String>,
    /// What heketi had under way is left out.
    pub ignore_pending: bool,
    /// A node takes its agent's id where that is another than heketi's.
    pub new_node_ids: bool,
    /// For hosts that are in no cluster yet.
    pub cluster: Option<ClusterId>,
}

/// What an adoption comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Takeover {
    pub adopt: Adopt,
    pub findings: Vec<Finding>,
    /// Volumes that are ours already.
    pub ours_already: usize,
    /// Volumes that are too many for one operation, and come with the next.
    pub left_for_later: usize,
}

impl Takeover {
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.blocks)
    }
}
