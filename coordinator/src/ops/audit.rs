//! The audit: every whole volume that nothing changes now, held against the rules of today.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bricklayer_proto::ids::{ClusterId, VolumeId};

use super::Operations;
use super::candidates::candidates;
use super::context::Context;
use super::volume_options;
use crate::model::{Brick, Topology, Volume};
use crate::placement::audit::{self, BrickStanding, Domain, DomainLoss, SetReport, SetStanding};
use crate::placement::score::{self, Improvement, Score};

/// Of one cluster.
#[derive(Clone, Debug)]
pub struct ClusterAudit {
    pub cluster: ClusterId,
    pub sets: Vec<SetReport>,
    /// One for each node that was not declared lost, in the order of their names.
    pub nodes: Vec<DomainLoss>,
    /// One for each zone with such a node.
    pub zones: Vec<DomainLoss>,
    /// Volumes that were left out, as an operation changes them.
    pub changing: Vec<VolumeId>,
}

/// Of one cluster.
#[derive(Clone, Debug)]
pub struct ClusterScore {
    pub cluster: ClusterId,
    pub score: Score,
    pub moves: Vec<Improvement>,
    /// Volumes that were left out, as an operation changes them.
    pub changing: Vec<VolumeId>,
}

impl ClusterAudit {
    /// Whether any one node could be lost and its bricks placed again, as far as they have copies.
    #[must_use]
    pub fn survives_any_node(&self) -> bool {
        self.nodes.iter().all(DomainLoss::is_survivable)
    }

    /// The same of any one zone with all its nodes.
    #[must_use]
    pub fn survives_any_zone(&self) -> bool {
        self.zones.iter().all(DomainLoss::is_survivable)
    }
}

impl Operations {
    /// Takes its time where there are many bricks: not for the tasks that answer requests.
    #[must_use]
    pub fn audit(&self) -> Vec<ClusterAudit> {
        let topology = self.topology();
        topology.clusters.keys().map(|cluster| of_cluster(&self.context, &topology, *cluster)).collect()
    }

    /// How well the bricks of each cluster lie, and up to so many moves that would better it most per byte. Takes its time,
    /// as the audit does.
    #[must_use]
    pub fn scores(&self, moves: usize) -> Vec<ClusterScore> {
        let topology = self.topology();
        let of = |cluster: &ClusterId| {
            let candidates = candidates(&self.context, &topology, *cluster);
            let (sets, changing) = sets(&self.context, &topology, *cluster);
            let (score, moves) = score::score(&sets, &candidates, moves);
            ClusterScore { cluster: *cluster, score, moves, changing }
        };
        topology.clusters.keys().map(of).collect()
    }

    /// Whether any one node, and any one zone, of each cluster could be lost. Where this takes more than `most` looks at a
    /// device, it is found out on the side, and this tells what was found last; nothing before the first time.
    #[must_use]
    pub fn survivable_losses(&self, most: usize) -> Vec<(ClusterId, bool, bool)> {
        let topology = self.topology();
        let mut all = Vec::new();
        for cluster in topology.clusters.keys() {
            let bricks: usize = topology.volumes_of(*cluster).map(|volume| volume.bricks.len()).sum();
            let devices: usize = topology.hosts_of(*cluster).map(|host| host.devices.len()).sum();
            let found = if bricks.saturating_mul(devices) <= most {
                survivable(&self.context, &topology, *cluster, || false)
            } else {
                self.survivable_as_found_last(*cluster)
            };
            all.extend(found.map(|(node, zone)| (*cluster, node, zone)));
        }
        all
    }

    fn survivable_as_found_last(&self, cluster: ClusterId) -> Option<(bool, bool)> {
        let this = self.clone();
        self.losses
            .told(cluster, move || survivable(&this.context, &this.topology(), cluster, || this.stop.is_cancelled()))
    }
}

/// How long what was found of a large cluster is told before it is looked at again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Of any one node, and of any one zone; `None` where it was cut off.
fn survivable(
    context: &Context,
    topology: &Topology,
    cluster: ClusterId,
    is_cut_off: impl Fn() -> bool,
) -> Option<(bool, bool)> {
    let candidates = candidates(context, topology, cluster);
    let (sets, _) = sets(context, topology, cluster);
    let ground = audit::Ground::new(&sets, &candidates);
    let survives = |domains: Vec<Domain>| {
        for domain in domains {
            if is_cut_off() {
                return None;
            }
            if !ground.lose(domain).is_survivable() {
                return Some(false);
            }
        }
        Some(true)
    };
    Some((survives(nodes(topology, cluster))?, survives(zones(topology, cluster))?))
}

fn of_cluster(context: &Context, topology: &Topology, cluster: ClusterId) -> ClusterAudit {
    let candidates = candidates(context, topology, cluster);
    let (sets, changing) = sets(context, topology, cluster);
    let ground = audit::Ground::new(&sets, &candidates);
    let losses = |domains: Vec<Domain>| domains.into_iter().map(|domain| ground.lose(domain)).collect();
    ClusterAudit {
        cluster,
        sets: audit::audit(&sets, &candidates),
        nodes: losses(nodes(topology, cluster)),
        zones: losses(zones(topology, cluster)),
        changing,
    }
}

/// In the order of their names.
fn nodes(topology: &Topology, cluster: ClusterId) -> Vec<Domain> {
    let there = topology.nodes_of(cluster).filter(|node| !node.lost);
    let mut nodes: Vec<_> = there.map(|node| (node.name().to_owned(), node.id)).collect();
    nodes.sort();
    nodes.into_iter().map(|(_, node)| Domain::Node(node)).collect()
}

fn zones(topology: &Topology, cluster: ClusterId) -> Vec<Domain> {
    let there = topology.nodes_of(cluster).filter(|node| !node.lost);
    let zones: BTreeSet<u32> = there.map(|node| node.zone.get()).collect();
    zones.into_iter().map(Domain::Zone).collect()
}

/// The sets of all volumes of a cluster, and the volumes that are left out.
fn sets(context: &Context, topology: &Topology, cluster: ClusterId) -> (Vec<SetStanding>, Vec<VolumeId>) {
    let (mut sets, mut changing) = (Vec::new(), Vec::new());
    let terms = context.terms(topology, cluster);
    let mut volumes: Vec<&Arc<Volume>> = topology.volumes_of(cluster).collect();
    volumes.sort_by_key(|volume| volume.id);
    for volume in volumes {
        // Nobody reads from it, and its bricks cannot move.
        if volume.trash.is_some() {
            continue;
        }
        if topology.is_changing(volume.id) {
            changing.push(volume.id);
            continue;
        }
        // They were read when the volume was made; what cannot be read steers nothing.
        let options = volume_options::read(&volume.options).ok();
        let own = options.as_ref().map(|options| options.policy.clone()).unwrap_or_default();
        let terms = own.over(terms.clone());
        for number in 0..volume.sets() {
            let mut bricks: Vec<&Brick> = volume.bricks.iter().filter(|brick| brick.set == number).collect();
            bricks.sort_by_key(|brick| brick.position);
            let standing = |brick: &Brick| BrickStanding {
                brick: brick.id,
                device: brick.device,
                role: brick.role,
                asked: brick.asked,
                provisioning: brick.space.provisioning,
                lost: topology.is_lost(brick.device),
            };
            sets.push(SetStanding {
                volume: volume.id,
                set: number,
                layout: volume.layout,
                snapshot_factor_milli: volume.snapshot.factor_milli,
                zones: terms.zones,
                set_rules: terms.set.clone(),
                over_commit: terms.over_commit,
                tag_match: options.as_ref().and_then(|options| options.tag_match.clone()),
                bricks: bricks.into_iter().map(standing).collect(),
            });
        }
    }
    (sets, changing)
}
