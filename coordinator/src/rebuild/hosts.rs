//! Clusters, nodes, devices and agents.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId};
use bricklayer_proto::inventory::GroupSpace;
use bricklayer_proto::names::{BrickPath, HostName};
use bricklayer_proto::size::Extents;
use bricklayer_proto::space::BrickSpace;
use jiff::Timestamp;

use super::Difference;
use super::disks::{Disks, Group};
use super::evidence::{Evidence, HostEvidence};
use crate::keepsake::{DeviceDocument, InstallationDocument};
use crate::model::{AdminState, Cluster, Device, DiskIdentity, Node, Tags, Volume, Zone};
use crate::pki::AgentRecord;

/// The hosts whose word counts: not those that were revoked, or have been given another key since.
pub fn trusted<'a>(
    evidence: &'a Evidence,
    newest: Option<&InstallationDocument>,
    differences: &mut Vec<Difference>,
) -> BTreeMap<NodeId, &'a HostEvidence> {
    let mut trusted = BTreeMap::new();
    for (node, host) in &evidence.hosts {
        let record = newest.and_then(|newest| newest.agents.get(node));
        if record.is_some_and(|record| record.revoked.is_some() || host.agent.series < record.lowest_series) {
            differences.push(Difference::Distrusted { name: host.agent.name.clone(), node: *node });
            continue;
        }
        differences.extend(host.remarks.iter().cloned());
        trusted.insert(*node, host);
    }
    trusted
}

/// Who enrolled. Of hosts that are there the certificate knows the newest number.
pub fn agents(
    newest: Option<&InstallationDocument>,
    trusted: &BTreeMap<NodeId, &HostEvidence>,
) -> BTreeMap<NodeId, AgentRecord> {
    let mut agents = newest.map(|newest| newest.agents.clone()).unwrap_or_default();
    for (node, host) in trusted {
        let agent = agents.entry(*node).or_insert_with(|| host.agent.clone());
        if host.agent.series > agent.series {
            agent.series = host.agent.series;
            agent.certificate_expires = host.agent.certificate_expires;
        }
    }
    agents
}

pub struct Hosts {
    pub clusters: Vec<Cluster>,
    pub nodes: Vec<Node>,
    devices: Vec<Found>,
}

/// A device, with the figures of its group where that was found.
struct Found {
    document: DeviceDocument,
    space: Option<GroupSpace>,
}

impl Hosts {
    pub fn of(
        evidence: &Evidence,
        newest: Option<&InstallationDocument>,
        trusted: &BTreeMap<NodeId, &HostEvidence>,
        disks: &Disks<'_>,
        now: Timestamp,
        differences: &mut Vec<Difference>,
    ) -> Self {
        let mut hosts = Self { clusters: Vec::new(), nodes: Vec::new(), devices: Vec::new() };
        match newest {
            Some(newest) => {
                hosts.clusters.clone_from(&newest.clusters);
                hosts.nodes.clone_from(&newest.nodes);
            }
            None => differences.push(Difference::NothingKeptAnywhere),
        }
        for node in hosts.nodes.iter().filter(|node| !node.lost && !trusted.contains_key(&node.id)) {
            differences.push(Difference::HostMissing { name: node.name().to_owned() });
        }
        hosts.assume_nodes(evidence, trusted, disks, differences);
        hosts.find_devices(newest, trusted, disks, now, differences);
        hosts
    }

    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Nodes that have devices of ours, or bricks, and that nobody keeps.
    fn assume_nodes(
        &mut self,
        evidence: &Evidence,
        trusted: &BTreeMap<NodeId, &HostEvidence>,
        disks: &Disks<'_>,
        differences: &mut Vec<Difference>,
    ) {
        let known: BTreeSet<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        let with_groups: BTreeSet<NodeId> = disks.groups.values().map(|group| group.found).collect();
        let unknown: Vec<NodeId> = with_groups.difference(&known).copied().collect();
        let storage = if unknown.is_empty() { HashMap::new() } else { storage_hosts(evidence, disks) };
        for id in unknown {
            let Some(host) = trusted.get(&id) else { continue };
            let cluster = self.cluster_of(evidence, trusted, id);
            if !self.clusters.iter().any(|known| known.id == cluster) {
                self.clusters.push(Cluster { id: cluster, file: true, block: true });
                differences.push(Difference::ClusterAssumed { cluster });
            }
            let name = host.agent.name.clone();
            let storage = storage.get(&id).copied().unwrap_or(&name).clone();
            let zone = host.agent.zone.and_then(Zone::new).or_else(|| Zone::new(1)).expect("1 is a zone");
            differences.push(Difference::NodeAssumed { name: name.clone(), node: id });
            self.nodes.push(Node {
                id,
                cluster,
                zone,
                manage: vec![name],
                storage: vec![storage],
                state: AdminState::Online,
                tags: Tags::new(),
                lost: false,
            });
        }
        self.nodes.sort_by_key(|node| node.id);
        self.clusters.sort_by_key(|cluster| cluster.id);
    }

    /// What a brick's record on the host says, or on another host of its pool; else one of its own.
    fn cluster_of(&self, evidence: &Evidence, trusted: &BTreeMap<NodeId, &HostEvidence>, node: NodeId) -> ClusterId {
        let says = |host: &HostEvidence| host.records.values().map(|record| record.cluster).next();
        let own = trusted.get(&node).copied();
        let pool = evidence.pools.iter().map(|pool| &pool.members);
        let uuid = own.and_then(|host| host.inventory.gluster.uuid.as_ref());
        let pool = uuid.and_then(|uuid| pool.into_iter().find(|members| members.contains(uuid)));
        let in_pool = |host: &&HostEvidence| {
            let uuid = host.inventory.gluster.uuid.as_ref();
            pool.is_some_and(|members| uuid.is_some_and(|uuid| members.contains(uuid)))
        };
        let mates = trusted.iter().filter(|(_, host)| in_pool(host));
        let known = || mates.clone().find_map(|(id, _)| self.node(*id).map(|node| node.cluster));
        own.and_then(says).or_else(known).or_else(|| mates.clone().find_map(|(_, host)| says(host))).unwrap_or_else(
            || {
                // No better name: an id that no cluster of any installation has by chance.
                let id = evidence.installation.to_string();
                id.parse().expect("an id is as long as any other")
            },
        )
    }

    fn find_devices(
        &mut self,
        newest: Option<&InstallationDocument>,
        trusted: &BTreeMap<NodeId, &HostEvidence>,
        disks: &Disks<'_>,
        now: Timestamp,
        differences: &mut Vec<Difference>,
    ) {
        let mut known = BTreeSet::new();
        for document in newest.into_iter().flat_map(|newest| newest.devices.iter().cloned()) {
            known.insert(document.id);
            let node = self.nodes.iter().find(|node| node.id == document.node);
            let name = node.map_or_else(|| document.node.to_string(), |node| node.name().to_owned());
            let is_lost = document.lost || node.is_none_or(|node| node.lost);
            let (device, path) = (document.id, document.name.clone());
            let space = match disks.groups.get(&document.id) {
                Some(group) if group.found == document.node => Some(group.seen.space),
                Some(group) => {
                    let found = trusted.get(&group.found).map(|host| host.agent.name.clone());
                    let found = found.expect("a group was found on a host that is there");
                    differences.push(Difference::DeviceElsewhere { name, device, found });
                    None
                }
                None if trusted.contains_key(&document.node) && !is_lost => {
                    differences.push(Difference::DeviceMissing { name, device, path });
                    None
                }
                None => None,
            };
            self.devices.push(Found { document, space });
        }
        for (id, group) in disks.groups.iter().filter(|(id, _)| !known.contains(id)) {
            let Some(host) = trusted.get(&group.found) else { continue };
            let name = host.agent.name.clone();
            if group.seen.condemned {
                differences.push(Difference::DeviceCondemned { name, device: *id });
            } else if group.owner == group.found
                && let Some(document) = assumed(*id, group, host, now)
            {
                let path = document.name.clone();
                differences.push(Difference::DeviceAssumed { name, device: *id, path });
                self.devices.push(Found { document, space: Some(group.seen.space) });
            }
        }
    }

    /// The devices, with what is neither theirs nor free booked as foreign.
    pub fn devices(&mut self, volumes: &[Volume]) -> Vec<Device> {
        let mut bricks: HashMap<DeviceId, Vec<BrickSpace>> = HashMap::new();
        for brick in volumes.iter().flat_map(|volume| &volume.bricks) {
            bricks.entry(brick.device).or_default().push(brick.space);
        }
        let mut devices: Vec<Device> = std::mem::take(&mut self.devices)
            .into_iter()
            .map(|found| {
                let bricks = bricks.get(&found.document.id).map_or(&[][..], Vec::as_slice);
                let kept = found.document.space;
                match found.space {
                    Some(space) => Device { foreign: foreign(&space, bricks), ..found.document.with(space) },
                    None => {
                        let space = kept.unwrap_or_else(|| unseen(&found.document, bricks));
                        found.document.with(space)
                    }
                }
            })
            .collect();
        devices.sort_by_key(|device| device.id);
        devices
    }
}

/// As [`crate::model::Topology::foreign`] counts.
fn foreign(space: &GroupSpace, bricks: &[BrickSpace]) -> Extents {
    let ours = bricks.iter().filter_map(BrickSpace::taken);
    ours.chain([space.free, space.spare])
        .try_fold(space.total, |left, extents| left.checked_sub(extents))
        .unwrap_or(Extents::ZERO)
}

/// The figures of a group that nobody sees now, from what goes into it.
fn unseen(document: &DeviceDocument, bricks: &[BrickSpace]) -> GroupSpace {
    let spare = bricks.iter().map(|space| space.metadata).fold(Extents::ZERO, Extents::max);
    let mut taken = bricks.iter().filter_map(BrickSpace::taken).chain([spare, document.foreign]);
    let free = taken.try_fold(document.total, Extents::checked_sub);
    GroupSpace {
        seqno: 0,
        extent_size: document.extent_size,
        total: document.total,
        free: free.unwrap_or(Extents::ZERO),
        spare,
    }
}

/// What a group says of its device. `None` where LVM has no physical volume of it.
fn assumed(id: DeviceId, group: &Group<'_>, host: &HostEvidence, now: Timestamp) -> Option<DeviceDocument> {
    let physical = group.seen.physical_volumes.first()?;
    let disk = host.inventory.disks.iter().find(|disk| disk.device == Some(id));
    let name = disk.map(|disk| disk.path.clone()).or_else(|| physical.path.clone())?;
    Some(DeviceDocument {
        id,
        node: group.owner,
        name,
        pv_uuid: physical.uuid.clone(),
        disk: disk.map(DiskIdentity::from).unwrap_or_default(),
        extent_size: group.seen.space.extent_size,
        total: group.seen.space.total,
        foreign: Extents::ZERO,
        state: AdminState::Online,
        tags: Tags::new(),
        lost: false,
        space: None,
        adopted: group.seen.adopted.then(|| group.seen.name.clone()),
        added: now,
    })
}

/// By which name GlusterFS knows each host, from its bricks: a brick's path has ids in it and is nowhere twice.
fn storage_hosts<'a>(evidence: &'a Evidence, disks: &Disks<'_>) -> HashMap<NodeId, &'a HostName> {
    let volumes = evidence.pools.iter().filter_map(|pool| pool.volumes.as_ref()).flatten();
    let addresses = volumes.flat_map(|volume| &volume.bricks);
    let by_path: HashMap<BrickPath, &HostName> = addresses.map(|brick| (brick.path.clone(), &brick.host)).collect();
    let bricks = disks.bricks.values();
    bricks.filter_map(|brick| Some((brick.node, *by_path.get(&brick.path()?)?))).collect()
}
