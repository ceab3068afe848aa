//! The whole state, made again of what the hosts say: their disks, what they keep for us, and their glusterd.
//!
//! [`rebuild`] is a pure function of the [`Evidence`]; [`collect()`] gathers that, [`write`](write()) makes a store of what
//! came out. Where the parts of the evidence say different things, what is there is believed before what is remembered,
//! and the [`Difference`] is told. Must never ask a host for a change: nothing is destroyed to make a difference go away.

mod collect;
mod difference;
mod disks;
mod evidence;
mod hosts;
#[cfg(test)]
mod tests;
mod volumes;
mod write;

use std::collections::BTreeMap;

use bricklayer_proto::ids::NodeId;
use jiff::Timestamp;

pub use collect::{Collect, Collected, Progress, collect};
pub use difference::{Difference, compare};
pub use evidence::{Documents, Evidence, HostEvidence, PoolEvidence};
pub use volumes::durability;
pub use write::write;

use crate::pki::AgentRecord;
use crate::state::Records;
use disks::Disks;
use hosts::Hosts;

/// What came out.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    pub records: Records,
    pub agents: BTreeMap<NodeId, AgentRecord>,
    /// Whatever does not fit together, in a fixed order.
    pub differences: Vec<Difference>,
    /// The newest number that a host keeps something by: the new store counts on from here.
    pub sequence: u64,
}

/// Makes the state of the evidence. `now`: when devices of which nobody says it were added.
#[must_use]
pub fn rebuild(evidence: &Evidence, now: Timestamp) -> Rebuilt {
    let mut differences = Vec::new();
    let newest = evidence.newest_installation();
    let trusted = hosts::trusted(evidence, newest, &mut differences);
    let disks = Disks::of(evidence.installation, &trusted);
    let mut hosts = Hosts::of(evidence, newest, &trusted, &disks, now, &mut differences);
    let (volumes, block_volumes) = volumes::rebuild(evidence, &trusted, &disks, &hosts, &mut differences);
    let devices = hosts.devices(&volumes);
    let agents = hosts::agents(newest, &trusted);
    // Nobody but this document tells of it; where no host keeps one, the defaults hold.
    let policies = newest.map(|newest| newest.policies.clone()).unwrap_or_default();
    let records = Records { clusters: hosts.clusters, nodes: hosts.nodes, devices, volumes, block_volumes, policies };
    differences.sort();
    differences.dedup();
    Rebuilt { records, agents, differences, sequence: evidence.newest_sequence() }
}
