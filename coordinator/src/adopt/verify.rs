//! Holds what is claimed against what is there.

mod bricks;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bricklayer_proto::adopt::{HEKETI_ID_OPTION, VolumeSurvey};
use bricklayer_proto::ids::{BrickId, DeviceId, NodeId};
use bricklayer_proto::inventory::{BrickRole, VolumeGroup};
use bricklayer_proto::names::{LvName, OptionKey, OptionValue};
use bricklayer_proto::size::{ByteSize, Extents};
use bricklayer_proto::task::{Layout, VOLUME_ID_OPTION};

use super::claims::{BrickClaim, Claims, DeviceClaim, VolumeClaim};
use super::{Choices, Facts, Finding, MOST_BRICKS, Takeover};
use crate::model::{Adopt, Brick, Device, DiskIdentity, Node, Snapshot, Volume};
use crate::placement::TagMatch;
use crate::rebuild::durability;
pub use bricks::is_where_glusterd_mounts;

/// What is to be written down, and every difference.
#[must_use]
pub fn verify(claims: Claims, facts: &Facts<'_>, choices: &Choices, findings: Vec<Finding>) -> Takeover {
    let mut scene = Scene { facts, findings, devices: HashMap::new(), owners: owners(facts), used: BTreeSet::new() };
    let mut adopt = Adopt::default();
    for node in &claims.nodes {
        if scene.node(node, &claims.nodes) {
            adopt.nodes.push(node.clone());
        }
    }
    let known = |id| facts.topology.clusters.contains_key(&id);
    adopt.clusters = claims.clusters.iter().filter(|cluster| !known(cluster.id)).cloned().collect();

    let is_left = |volume: &VolumeClaim| {
        choices.without.contains(volume.name.as_str()) || choices.without.contains(&volume.id.to_string())
    };
    for word in &choices.without {
        if !claims.volumes.iter().any(|volume| volume.name.as_str() == word || volume.id.to_string() == *word) {
            scene.findings.push(Finding::blocking("no-such-volume", word, "is no volume that could be left out"));
        }
    }
    let wanted: Vec<&VolumeClaim> = claims.volumes.iter().filter(|volume| !is_left(volume)).collect();
    let with_bricks: BTreeSet<DeviceId> = wanted.iter().flat_map(|v| &v.bricks).map(|brick| brick.device).collect();
    let nodes: BTreeMap<NodeId, &Node> = claims.nodes.iter().map(|node| (node.id, node)).collect();
    for claim in &claims.devices {
        adopt.devices.extend(scene.device(claim, with_bricks.contains(&claim.id)));
    }

    let (mut ours_already, mut left_for_later, mut bricks) = (0, 0, 0);
    for claim in wanted {
        if facts.topology.volumes.contains_key(&claim.id) || facts.topology.is_changing(claim.id) {
            ours_already += 1;
        } else if bricks > 0 && bricks + claim.bricks.len() > MOST_BRICKS {
            left_for_later += 1;
        } else if let Some(volume) = scene.volume(claim, &nodes) {
            bricks += volume.bricks.len();
            adopt.volumes.push(volume);
        }
    }
    let here = |id| adopt.volumes.iter().any(|v| v.id == id) || facts.topology.volumes.contains_key(&id);
    let new = |id| !facts.topology.block_volumes.contains_key(&id);
    let blocks = claims.block_volumes.into_iter().filter(|block| new(block.id) && here(block.hosting.volume));
    adopt.block_volumes = blocks.collect();
    scene.strangers(&mut adopt);

    let mut findings = scene.findings;
    findings.sort_by(|a, b| (b.blocks, &a.about, a).cmp(&(a.blocks, &b.about, b)));
    findings.dedup();
    Takeover { adopt, findings, ours_already, left_for_later }
}

/// A device that bricks may be on.
#[derive(Clone)]
struct OnHost {
    agent: NodeId,
    group: VolumeGroup,
}

struct Scene<'a> {
    facts: &'a Facts<'a>,
    findings: Vec<Finding>,
    devices: HashMap<DeviceId, OnHost>,
    /// The brick that each pool is counted with.
    owners: HashMap<(DeviceId, LvName), BrickId>,
    /// Logical volumes that are some brick's.
    used: BTreeSet<(DeviceId, LvName)>,
}

fn owners(facts: &Facts<'_>) -> HashMap<(DeviceId, LvName), BrickId> {
    let bricks = facts.topology.bricks.values().flat_map(|bricks| bricks.values());
    let owned = bricks.filter(|brick| brick.space.pool > Extents::ZERO);
    owned.filter_map(|brick| Some(((brick.device, brick.pool_lv()?), brick.pool_of()))).collect()
}

impl Scene<'_> {
    fn blocked(&mut self, code: &'static str, about: impl ToString, what: impl Into<String>) {
        self.findings.push(Finding::blocking(code, about, what));
    }

    /// Whether it is new to us.
    fn node(&mut self, node: &Node, all: &[Node]) -> bool {
        let topology = self.facts.topology;
        let name = node.name().to_owned();
        let Some(host) = self.facts.hosts.get(node.id) else {
            self.blocked("node-without-agent", name, "has no agent that is attached and has told what its host has");
            return false;
        };
        if !host.inventory.gluster.running {
            let finding = Finding::blocking("gluster-down", &name, "has no glusterd running");
            self.findings.push(finding.cure(format!("On {name}: systemctl start glusterd")));
        }
        let mates = all.iter().filter(|other| other.cluster == node.cluster).map(|other| other.id);
        let mates = mates.chain(topology.nodes_of(node.cluster).map(|other| other.id));
        for mate in mates.filter_map(|id| self.facts.hosts.get(id)).filter(|mate| mate.agent < host.agent) {
            if host.inventory.gluster.running && mate.inventory.gluster.running && !mate.is_peer_of(host) {
                let what = format!("is not in one trusted storage pool with {}, and in one cluster with it", mate.name);
                self.blocked("not-a-peer", &name, what);
                break;
            }
        }
        match topology.nodes.get(&node.id) {
            Some(known) if known.cluster == node.cluster => false,
            Some(known) => {
                self.blocked("node-elsewhere", name, format!("is a node of cluster {} already", known.cluster));
                false
            }
            None => {
                let names = || node.manage.iter().chain(&node.storage);
                for other in topology.nodes.values() {
                    let mut theirs = other.manage.iter().chain(&other.storage);
                    if let Some(host) = theirs.find(|theirs| names().any(|ours| ours == *theirs)) {
                        let what = format!("has the name {host}, which node {} ({}) has", other.name(), other.id);
                        self.blocked("host-name-used", &name, what);
                    }
                }
                true
            }
        }
    }

    /// The record of a device that is new to us.
    fn device(&mut self, claim: &DeviceClaim, has_bricks: bool) -> Option<Device> {
        let host = self.facts.hosts.get(claim.node)?.clone();
        let about = format!("{}:{}", host.name, claim.name.as_ref().map_or(claim.group.as_str(), |name| name.as_str()));
        let Some(group) = host.group(&claim.group).cloned() else {
            let what = format!("is not there: the host has no volume group {}", claim.group);
            self.findings.push(match has_bricks {
                true => Finding::blocking("device-missing", &about, what)
                    .cure("Bring its disk back, or leave out the volumes that have bricks on it: --without"),
                false => Finding::note("device-missing", &about, what + "; it holds no brick and is left out"),
            });
            return None;
        };
        match group.tags {
            Some(tags) if (tags.device, tags.installation) != (claim.id, self.facts.installation) => {
                let what = format!("says that it is device {} of installation {}", tags.device, tags.installation);
                self.blocked("device-tagged", &about, what);
                return None;
            }
            _ if group.condemned => {
                self.blocked("device-condemned", &about, "is marked for removal");
                return None;
            }
            _ => {}
        }
        let physical = match group.physical_volumes.as_slice() {
            [one] if !one.missing => one.clone(),
            [_] => {
                self.blocked("device-missing", &about, "is not there: LVM misses its physical volume");
                return None;
            }
            several => {
                let what = format!("is volume group {} on {} disks; a device has one", group.name, several.len());
                self.blocked("group-on-several-disks", &about, what);
                return None;
            }
        };
        if let Some(uuid) = claim.pv_uuid.as_ref().filter(|uuid| **uuid != physical.uuid) {
            let what = format!("is physical volume {uuid} by its record, and {} on the host", physical.uuid);
            self.blocked("pv-differs", &about, what);
            return None;
        }
        let is_it = |path| physical.path.as_ref() == Some(path);
        let disk = host.inventory.disks.iter().find(|disk| is_it(&disk.path) || disk.links.iter().any(is_it));
        let on_host = OnHost { agent: host.agent, group: group.clone() };
        self.devices.insert(claim.id, on_host);
        if self.facts.topology.devices.contains_key(&claim.id) {
            return None;
        }
        let name = claim.name.clone().or_else(|| disk.map(|disk| disk.path.clone())).or(physical.path)?;
        Some(Device {
            id: claim.id,
            node: claim.node,
            name,
            pv_uuid: physical.uuid,
            disk: disk.map(DiskIdentity::from).unwrap_or_default(),
            space: group.space,
            foreign: Extents::ZERO,
            state: claim.state,
            tags: claim.tags.clone(),
            lost: false,
            adopted: Some(group.name),
            added: self.facts.now,
        })
    }

    fn volume(&mut self, claim: &VolumeClaim, nodes: &BTreeMap<NodeId, &Node>) -> Option<Volume> {
        let name = &claim.name;
        let topology = self.facts.topology;
        if topology.name_is_taken(claim.cluster, name.as_str()) {
            self.blocked("name-taken", name, "has the name of a volume of ours in the same cluster");
            return None;
        }
        let first = claim.bricks.first().and_then(|brick| self.facts.hosts.get(brick.node));
        let Some(first) = first else {
            self.blocked("volume-without-bricks", name, "has no brick on a host that is there");
            return None;
        };
        let Some(all) = self.facts.hosts.volumes_of(first) else {
            self.blocked("gluster-silent", &first.name, "is in a pool of which no glusterd told its volumes");
            return None;
        };
        let Some(seen) = all.iter().find(|seen| seen.name == *name) else {
            let finding = Finding::blocking("volume-unknown", name, "is not known to GlusterFS");
            self.findings.push(finding.cure(format!("Leave it out: --without {name}")));
            return None;
        };
        // heketi left a clone with the options of its source, the id among them.
        let is_clone = claim.bricks.iter().any(|brick| is_where_glusterd_mounts(&brick.path));
        for option in [VOLUME_ID_OPTION, HEKETI_ID_OPTION] {
            if is_clone && option == HEKETI_ID_OPTION {
                continue;
            }
            if let Some(other) = seen.option(option).filter(|id| *id != claim.id.to_string()) {
                self.blocked("volume-id-differs", name, format!("is {other} by its option {option}, not {}", claim.id));
                return None;
            }
        }
        let Some(layout) = seen.layout else {
            self.blocked("layout-unknown", name, "is of a kind that Bricklayer does not manage");
            return None;
        };
        if let Some(other) = claim.layout.filter(|other| *other != layout) {
            self.blocked("layout-differs", name, format!("is {layout:?} to GlusterFS, and {other:?} by its record"));
            return None;
        }
        if !seen.started {
            self.findings.push(Finding::note("volume-stopped", name, "is stopped, and stays so"));
        }
        let ordered = self.in_order(claim, seen, nodes)?;
        let per_set = layout.bricks_per_set();
        if !ordered.len().is_multiple_of(usize::try_from(per_set).unwrap_or(1).max(1)) {
            let what = format!("has {} bricks, which make no whole sets of {per_set}", ordered.len());
            self.blocked("sets-not-whole", name, what);
            return None;
        }
        let mut bricks = Vec::with_capacity(ordered.len());
        let mut complete = true;
        for (index, brick) in (0_u32..).zip(ordered) {
            let (set, position) = (index / per_set, index % per_set);
            let role = match layout {
                Layout::Arbiter if position == 2 => BrickRole::Arbiter,
                _ => BrickRole::Data,
            };
            if brick.role.is_some_and(|claimed| claimed != role) {
                let what = format!("brick {} is {role:?} to GlusterFS and not so by its record", brick.id);
                self.blocked("role-differs", name, what);
            }
            match self.brick(claim, brick) {
                Some(found) => bricks.push(Brick { set, position, role, ..found }),
                // All that is wrong is told at once.
                None => complete = false,
            }
        }
        if !complete {
            return None;
        }
        for brick in &mut bricks {
            self.count_pool(brick);
        }
        let mut volume = finished(claim, seen, layout, bricks);
        volume.options.retain(|option| {
            let readable = is_readable(option);
            if !readable {
                let what = format!("has the option {option:?}, which we could not set again; it stays in GlusterFS");
                self.findings.push(Finding::note("option-unreadable", name, what));
            }
            readable
        });
        Some(volume)
    }

    /// The claimed bricks in GlusterFS's order; each has to be in the other's list.
    fn in_order<'c>(
        &mut self,
        claim: &'c VolumeClaim,
        seen: &VolumeSurvey,
        nodes: &BTreeMap<NodeId, &Node>,
    ) -> Option<Vec<&'c BrickClaim>> {
        let hosts = &self.facts.hosts;
        let topology = self.facts.topology;
        let node_of = |brick: &BrickClaim| {
            nodes.get(&brick.node).copied().or_else(|| topology.nodes.get(&brick.node).map(|node| &**node))
        };
        let mut ordered = Vec::with_capacity(seen.bricks.len());
        let mut unknown = Vec::new();
        for address in &seen.bricks {
            let is_it = |brick: &&BrickClaim| {
                let named = node_of(brick)
                    .is_some_and(|node| node.storage.contains(&address.host) || node.manage.contains(&address.host));
                brick.path == address.path
                    && (named || hosts.named(&address.host).is_some_and(|host| host.agent == brick.node))
            };
            match claim.bricks.iter().find(is_it) {
                Some(brick) => {
                    let node = node_of(brick);
                    let known = node.and_then(Node::storage_host);
                    if let (Some(node), Some(known)) = (node, known.filter(|known| **known != address.host)) {
                        let what = format!("has the brick {address}, and GlusterFS would be asked for it as {known}");
                        let finding = Finding::blocking("host-name-differs", &claim.name, what);
                        let cure = format!("Give node {} the storage host name {} first", node.name(), address.host);
                        self.findings.push(finding.cure(cure));
                    }
                    ordered.push(brick);
                }
                None => unknown.push(address.to_string()),
            }
        }
        let gone = claim.bricks.iter().filter(|brick| !ordered.iter().any(|found| found.id == brick.id));
        let gone: Vec<String> = gone.map(|brick| brick.path.to_string()).collect();
        if !unknown.is_empty() {
            let what = format!("has bricks in GlusterFS that its record does not know: {}", unknown.join(", "));
            self.blocked("bricks-differ", &claim.name, what);
        }
        if !gone.is_empty() {
            let what = format!("has bricks in its record that GlusterFS does not know: {}", gone.join(", "));
            self.blocked("bricks-differ", &claim.name, what);
        }
        (unknown.is_empty() && gone.is_empty()).then_some(ordered)
    }
}

/// Whether it is `key value`, as every change of the volume reads its options.
fn is_readable(option: &str) -> bool {
    let Some((key, value)) = option.trim().split_once(char::is_whitespace) else { return false };
    let steers = key == "user.heketi.device-tag-match";
    key.parse::<OptionKey>().is_ok()
        && value.trim().parse::<OptionValue>().is_ok()
        && !(steers && value.trim().parse::<TagMatch>().is_err())
}

fn finished(claim: &VolumeClaim, seen: &VolumeSurvey, layout: Layout, bricks: Vec<Brick>) -> Volume {
    let found_options = || {
        let known = [VOLUME_ID_OPTION, HEKETI_ID_OPTION, "user.heketi.arbiter"];
        let others = seen.options.iter().filter(|(key, _)| !known.contains(&key.as_str()));
        let arbiter = (layout == Layout::Arbiter).then(|| "user.heketi.arbiter true".to_owned());
        others.map(|(key, value)| format!("{key} {value}")).chain(arbiter).collect()
    };
    Volume {
        id: claim.id,
        name: claim.name.clone(),
        cluster: claim.cluster,
        size: claim.size.unwrap_or_else(|| capacity(layout, &bricks)),
        layout,
        durability: claim.durability.clone().unwrap_or_else(|| durability(layout)),
        gid: claim.gid,
        options: claim.options.clone().unwrap_or_else(found_options),
        block: claim.block,
        restriction: claim.restriction,
        snapshot: claim.snapshot.unwrap_or_else(|| snapshot(&bricks)),
        protected: false,
        trash: None,
        bricks,
    }
}

/// What the data bricks hold: in each set as much as its smallest, times the bricks that hold different data.
fn capacity(layout: Layout, bricks: &[Brick]) -> ByteSize {
    let per_set = usize::try_from(layout.bricks_per_set()).unwrap_or(1).max(1);
    let parts = match layout {
        Layout::Disperse { data, .. } => u64::from(data),
        _ => 1,
    };
    let sets = bricks.chunks(per_set).map(|set| {
        let data = set.iter().filter(|brick| brick.role == BrickRole::Data);
        data.map(|brick| brick.asked.bytes()).min().unwrap_or(0).saturating_mul(parts)
    });
    ByteSize::from_bytes(sets.fold(0, u64::saturating_add))
}

/// How much larger than their bricks the pools are.
fn snapshot(bricks: &[Brick]) -> Snapshot {
    let own = bricks.iter().filter(|brick| brick.space.pool > Extents::ZERO && brick.space.volume > Extents::ZERO);
    let factors = own.map(|brick| brick.space.pool.count().saturating_mul(1000) / brick.space.volume.count());
    let factor_milli = u32::try_from(factors.min().unwrap_or(1000)).unwrap_or(1000).clamp(1000, 100_000);
    Snapshot { enable: factor_milli > 1000, factor_milli }
}
