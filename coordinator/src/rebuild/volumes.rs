//! Volumes and their bricks: what hosts keep of them, held against the disks and against GlusterFS.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bricklayer_proto::ids::{BrickId, NodeId, VolumeId};
use bricklayer_proto::keepsake::GlusterVolumeSeen;
use bricklayer_proto::names::{BrickPath, HostName, LvName, VolumeName};
use bricklayer_proto::size::Extents;
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{BrickAddress, Layout, VolumeRecord};

use super::Difference;
use super::disks::{Disks, OnDisk};
use super::evidence::{Evidence, HostEvidence};
use super::hosts::Hosts;
use crate::model::{BlockRestriction, BlockVolume, Brick, Durability, LvNames, Node, Snapshot, Trash, Volume};

pub fn rebuild(
    evidence: &Evidence,
    trusted: &BTreeMap<NodeId, &HostEvidence>,
    disks: &Disks<'_>,
    hosts: &Hosts,
    differences: &mut Vec<Difference>,
) -> (Vec<Volume>, Vec<BlockVolume>) {
    let nodes: HashMap<NodeId, &Node> = hosts.nodes.iter().map(|node| (node.id, node)).collect();
    let gluster = Gluster::of(evidence, trusted, differences);
    let mut scene = Scene { trusted, disks, nodes, gluster, differences, paths: None };
    let mut volumes = BTreeMap::new();
    for (id, kept) in newest_volumes(trusted) {
        if let Some(volume) = scene.kept(kept) {
            volumes.insert(id, volume);
        }
    }
    let on_disks: Vec<VolumeId> = disks.by_volume.keys().copied().filter(|id| !volumes.contains_key(id)).collect();
    for id in on_disks {
        if let Some(volume) = scene.assumed(id) {
            volumes.insert(id, volume);
        }
    }
    let block_volumes = scene.block_volumes(&volumes);
    scene.orphans(&volumes);
    scene.unknown_to_us(&volumes);
    (volumes.into_values().collect(), block_volumes)
}

/// Of each volume the newest record that a host keeps.
fn newest_volumes<'a>(trusted: &BTreeMap<NodeId, &'a HostEvidence>) -> BTreeMap<VolumeId, &'a Volume> {
    let mut newest: BTreeMap<VolumeId, (u64, &Volume)> = BTreeMap::new();
    for (sequence, document) in trusted.values().filter_map(|host| host.volumes.as_ref()) {
        for volume in &document.volumes {
            let entry = newest.entry(volume.id).or_insert((*sequence, volume));
            if entry.0 < *sequence {
                *entry = (*sequence, volume);
            }
        }
    }
    newest.into_iter().map(|(id, (_, volume))| (id, volume)).collect()
}

/// What glusterd has, in all pools that answered.
struct Gluster<'a> {
    by_id: HashMap<&'a str, &'a GlusterVolumeSeen>,
    all: Vec<&'a GlusterVolumeSeen>,
    /// Hosts of pools that did not answer, or were not asked: of their volumes nothing is known.
    silent: BTreeSet<NodeId>,
}

impl<'a> Gluster<'a> {
    fn of(
        evidence: &'a Evidence,
        trusted: &BTreeMap<NodeId, &HostEvidence>,
        differences: &mut Vec<Difference>,
    ) -> Self {
        let answered = evidence.pools.iter().filter(|pool| pool.volumes.is_some());
        let all: Vec<_> = answered.clone().filter_map(|pool| pool.volumes.as_ref()).flatten().collect();
        let by_id = all.iter().filter_map(|volume| Some((volume.id.as_deref()?, *volume))).collect();
        let members: BTreeSet<&String> = answered.flat_map(|pool| &pool.members).collect();
        let is_silent =
            |host: &HostEvidence| host.inventory.gluster.uuid.as_ref().is_none_or(|uuid| !members.contains(uuid));
        let silent: Vec<_> = trusted.iter().filter(|(_, host)| is_silent(host)).collect();
        let names: Vec<String> = silent
            .iter()
            .filter(|(_, host)| host.inventory.groups.iter().any(|group| group.tags.is_some()))
            .map(|(_, host)| host.agent.name.to_string())
            .collect();
        if !names.is_empty() {
            differences.push(Difference::GlusterSilent { hosts: names });
        }
        Self { by_id, all, silent: silent.into_iter().map(|(node, _)| *node).collect() }
    }

    fn volume(&self, id: VolumeId) -> Option<&'a GlusterVolumeSeen> {
        self.by_id.get(id.to_string().as_str()).copied()
    }
}

struct Scene<'a, 'd> {
    trusted: &'a BTreeMap<NodeId, &'a HostEvidence>,
    disks: &'a Disks<'a>,
    nodes: HashMap<NodeId, &'a Node>,
    gluster: Gluster<'a>,
    differences: &'d mut Vec<Difference>,
    /// Bricks on disks by the path of their directory; made when it is first needed.
    paths: Option<HashMap<BrickPath, BrickId>>,
}

impl Scene<'_, '_> {
    fn host_name(&self, node: NodeId) -> String {
        self.nodes.get(&node).map_or_else(|| node.to_string(), |node| node.name().to_owned())
    }

    /// Whether a glusterd answered that would know of a volume with these bricks.
    fn gluster_would_know(&self, nodes: impl IntoIterator<Item = NodeId>) -> bool {
        let mut nodes = nodes.into_iter().filter(|node| self.trusted.contains_key(node));
        nodes.any(|node| !self.gluster.silent.contains(&node))
    }

    /// A volume that hosts keep a record of.
    fn kept(&mut self, kept: &Volume) -> Option<Volume> {
        let mut volume = kept.clone();
        let (name, id) = (kept.name.clone(), kept.id);
        let in_gluster = self.gluster.volume(id);
        let is_lost = |node: &NodeId| self.nodes.get(node).is_some_and(|node| node.lost);
        let mut hosts: Vec<NodeId> = kept.bricks.iter().map(|brick| brick.node).collect();
        if hosts.iter().all(is_lost) {
            // Their glusterd are no more; those of the rest of the pool know every volume.
            hosts.extend(self.nodes.values().filter(|node| node.cluster == kept.cluster).map(|node| node.id));
        }
        let would_know = self.gluster_would_know(hosts);
        let stays = |brick: &Brick| match self.disks.bricks.get(&brick.id) {
            Some(found) => !found.seen.condemned,
            None => !self.trusted.contains_key(&brick.node) && !is_lost(&brick.node),
        };
        if would_know && in_gluster.is_none() {
            if !kept.bricks.iter().any(stays) {
                self.differences.push(Difference::VolumeGone { name, volume: id });
                return None;
            }
            self.differences.push(Difference::VolumeNotInGluster { name: name.clone(), volume: id });
        }
        if let Some(seen) = in_gluster {
            self.follow(&mut volume, &seen.bricks);
        }
        for at in 0..volume.bricks.len() {
            self.hold_against_disk(&name, &mut volume.bricks[at]);
        }
        Some(volume)
    }

    /// Takes the bricks that GlusterFS has, in its order, where they are others than were kept.
    fn follow(&mut self, volume: &mut Volume, seen: &[BrickAddress]) {
        let is_at = |brick: &Brick, address: &BrickAddress| {
            let node = self.nodes.get(&brick.node);
            brick.path.as_ref() == Some(&address.path)
                && node.is_some_and(|node| node.storage.contains(&address.host) || node.manage.contains(&address.host))
        };
        let same = volume.bricks.len() == seen.len()
            && volume.bricks.iter().zip(seen).all(|(brick, address)| is_at(brick, address));
        if same {
            return;
        }
        let (name, id) = (volume.name.clone(), volume.id);
        let per_set = volume.layout.bricks_per_set();
        let mut bricks = Vec::with_capacity(seen.len());
        for (index, address) in (0_u32..).zip(seen) {
            let known = volume.bricks.iter().find(|brick| brick.path.as_ref() == Some(&address.path)).cloned();
            let brick = known.or_else(|| self.brick_at(id, &address.path));
            let Some(brick) = brick else {
                let why = format!("nobody knows the brick {address}");
                self.differences.push(Difference::VolumeOtherBricks { name, volume: id, why });
                return;
            };
            bricks.push(Brick { set: index / per_set, position: index % per_set, ..brick });
        }
        if !seen.len().is_multiple_of(per_set as usize) {
            let why = format!("{} bricks are no whole number of sets of {per_set}", seen.len());
            self.differences.push(Difference::VolumeOtherBricks { name, volume: id, why });
            return;
        }
        volume.bricks = bricks;
        self.differences.push(Difference::VolumeFollowsGluster { name, volume: id });
    }

    /// A brick of the volume by where it is.
    fn brick_at(&mut self, volume: VolumeId, path: &BrickPath) -> Option<Brick> {
        let disks = self.disks;
        let paths = self
            .paths
            .get_or_insert_with(|| disks.bricks.iter().filter_map(|(id, found)| Some((found.path()?, *id))).collect());
        let found = disks.bricks.get(paths.get(path)?)?;
        (found.seen.tags.volume == volume).then(|| of_disk(found))
    }

    /// What the disk says of a brick counts.
    fn hold_against_disk(&mut self, name: &VolumeName, brick: &mut Brick) {
        let Some(found) = self.disks.bricks.get(&brick.id) else {
            let is_lost = self.nodes.get(&brick.node).is_some_and(|node| node.lost);
            if self.trusted.contains_key(&brick.node) && !is_lost {
                let host = self.host_name(brick.node);
                self.differences.push(Difference::BrickMissing { name: name.clone(), brick: brick.id, host });
            }
            return;
        };
        let mut what = Vec::new();
        if found.device != brick.device {
            what.push(format!("it lies on device {} and was kept as on {}", found.device, brick.device));
            (brick.device, brick.node) = (found.device, found.node);
        }
        let tags = &found.seen.tags;
        if (tags.asked, tags.generation) != (brick.asked, brick.generation) {
            what.push(format!(
                "it has {} in generation {}, and {} in generation {} was kept: an expansion was under way, which can be \
                 asked for again",
                tags.asked, tags.generation, brick.asked, brick.generation
            ));
            (brick.asked, brick.generation) = (tags.asked, tags.generation);
        }
        // A pool that is shared is counted with one of the bricks in it; that is for the record to say.
        let counts = brick.space.pool > Extents::ZERO;
        let now = if counts { found.space } else { BrickSpace { volume: found.space.volume, ..brick.space } };
        if now.provisioning != brick.space.provisioning {
            what.push(format!("it is {} and was kept as {}", now.provisioning, brick.space.provisioning));
            brick.space = now;
        } else if now != brick.space {
            what.push(format!(
                "its volume, pool and pool metadata have {}, {} and {}, and {}, {} and {} were kept",
                now.volume, now.pool, now.metadata, brick.space.volume, brick.space.pool, brick.space.metadata
            ));
            brick.space = now;
        }
        if found.seen.condemned {
            what.push("it is marked for removal, which was under way".to_owned());
        }
        if !what.is_empty() {
            let (name, brick) = (name.clone(), brick.id);
            self.differences.push(Difference::BrickDiffers { name, brick, what: what.join("; ") });
        }
    }

    /// A volume of which the disks alone tell: whole, known to GlusterFS, or not at all.
    fn assumed(&mut self, id: VolumeId) -> Option<Volume> {
        let ids = self.disks.by_volume.get(&id)?;
        let found: Vec<&OnDisk<'_>> = ids.iter().filter_map(|brick| self.disks.bricks.get(brick)).collect();
        let seen = self.gluster.volume(id);
        let would_know = self.gluster_would_know(found.iter().map(|found| found.node));
        if would_know && seen.is_none() {
            // Its bricks are orphans.
            return None;
        }
        let record = ids.iter().find_map(|brick| self.record(*brick, id))?.clone();
        let (name, layout) = (record.name.clone(), record.layout);
        let standing = found.iter().filter(|found| !found.seen.condemned);
        let mut bricks: Vec<Brick> = standing.map(|found| of_disk(found)).collect();
        bricks.sort_by_key(|brick| (brick.set, brick.position, std::cmp::Reverse(brick.generation), brick.id));
        self.count_pools_once(&mut bricks);
        let mut volume = Volume {
            id,
            name: name.clone(),
            cluster: record.cluster,
            size: record.size,
            layout,
            durability: durability(layout),
            gid: record.gid,
            options: record.options,
            block: false,
            restriction: BlockRestriction::None,
            snapshot: Snapshot { enable: record.snapshots, factor_milli: record.snapshot_factor_milli },
            protected: self.records(ids, id).any(|record| record.protected),
            trash: self.trash(ids, id),
            bricks,
        };
        let places =
            |volume: &Volume| volume.bricks.iter().map(|brick| (brick.set, brick.position)).collect::<Vec<_>>();
        let per_set = layout.bricks_per_set();
        let sets =
            seen.map_or(record.sets, |seen| u32::try_from(seen.bricks.len()).unwrap_or(u32::MAX) / per_set.max(1));
        let whole: Vec<_> = (0..sets).flat_map(|set| (0..per_set).map(move |position| (set, position))).collect();
        if let Some(seen) = seen {
            let paths: Vec<_> = volume.bricks.iter().map(|brick| brick.path.as_ref()).collect();
            if paths != seen.bricks.iter().map(|brick| Some(&brick.path)).collect::<Vec<_>>() {
                self.follow(&mut volume, &seen.bricks);
            }
        }
        if places(&volume) != whole {
            let why = format!("{} of its {} bricks are there", volume.bricks.len(), whole.len());
            self.differences.push(Difference::VolumeIncomplete { name, volume: id, why });
            return None;
        }
        self.differences.push(Difference::VolumeAssumed { name, volume: id });
        Some(volume)
    }

    /// A record that a host missed the change of says that a volume is in the trash that was taken out of it since: it is
    /// believed only where every record says so and GlusterFS does not run the volume.
    fn trash(&self, bricks: &[BrickId], volume: VolumeId) -> Option<Trash> {
        if self.gluster.volume(volume).is_some_and(|seen| seen.started) {
            return None;
        }
        let all: Option<Vec<Trash>> = self.records(bricks, volume).map(|record| Trash::of(record.trash?)).collect();
        all?.into_iter().max_by_key(|trash| trash.until)
    }

    fn records<'s>(&'s self, bricks: &'s [BrickId], volume: VolumeId) -> impl Iterator<Item = &'s VolumeRecord> {
        bricks.iter().filter_map(move |brick| self.record(*brick, volume))
    }

    fn record(&self, brick: BrickId, volume: VolumeId) -> Option<&VolumeRecord> {
        let found = self.disks.bricks.get(&brick)?;
        let record = self.trusted.get(&found.node)?.records.get(&brick)?;
        (record.volume == volume).then_some(record)
    }

    /// Of bricks that share a pool with others on the disks, the one that the pool is named after has its extents; where
    /// that one is gone, the first by its id.
    fn count_pools_once(&self, bricks: &mut [Brick]) {
        for brick in bricks {
            let Some(found) = self.disks.bricks.get(&brick.id) else { continue };
            let Some(pool) = &found.seen.pool_lv else { continue };
            let sharing = self.disks.by_pool.get(&(found.device, pool)).into_iter().flatten();
            let stands = |id: &&BrickId| self.disks.bricks.get(id).is_some_and(|other| !other.seen.condemned);
            let mut ids: Vec<BrickId> = sharing.filter(stands).copied().collect();
            ids.sort_unstable();
            let owner = found.pool.filter(|named| ids.contains(named)).or_else(|| ids.first().copied());
            if owner.is_some_and(|owner| owner != brick.id) {
                brick.space = brick.space.in_another_pool();
            }
        }
    }

    fn block_volumes(&mut self, volumes: &BTreeMap<VolumeId, Volume>) -> Vec<BlockVolume> {
        let mut newest: BTreeMap<_, (u64, &BlockVolume)> = BTreeMap::new();
        let documents = self.trusted.values().filter_map(|host| Some((host.volumes.as_ref()?.0, &host.block_volumes)));
        for (sequence, blocks) in documents {
            for block in blocks {
                let entry = newest.entry(block.id).or_insert((sequence, block));
                if entry.0 < sequence {
                    *entry = (sequence, block);
                }
            }
        }
        let mut blocks = Vec::new();
        for (_, block) in newest.into_values() {
            if volumes.contains_key(&block.hosting.volume) {
                blocks.push(block.clone());
            } else {
                let (name, block) = (block.name.clone(), block.id);
                self.differences.push(Difference::BlockVolumeGone { name, block });
            }
        }
        blocks
    }

    /// Bricks that are in no volume.
    fn orphans(&mut self, volumes: &BTreeMap<VolumeId, Volume>) {
        let used: BTreeSet<BrickId> =
            volumes.values().flat_map(|volume| &volume.bricks).map(|brick| brick.id).collect();
        for (id, found) in self.disks.bricks.iter().filter(|(id, _)| !used.contains(id)) {
            let tags = &found.seen.tags;
            let why = if found.seen.condemned {
                "it was being removed"
            } else if volumes.contains_key(&tags.volume) {
                "the volume does not use it, so a change of the volume was under way"
            } else {
                "GlusterFS has no such volume, or not all of it was found"
            };
            let host = self.trusted.get(&found.node).map(|host| host.agent.name.clone());
            self.differences.push(Difference::BrickOrphan {
                name: tags.volume_name.clone(),
                brick: *id,
                host: host.unwrap_or_else(|| unnamed(found.node)),
                operation: tags.operation,
                why: why.to_owned(),
            });
        }
    }

    /// Volumes that GlusterFS has and we do not.
    fn unknown_to_us(&mut self, volumes: &BTreeMap<VolumeId, Volume>) {
        for seen in &self.gluster.all {
            let id = seen.id.as_deref().and_then(|id| id.parse::<VolumeId>().ok());
            if id.is_none_or(|id| !volumes.contains_key(&id)) {
                self.differences.push(Difference::GlusterVolume { name: seen.name.clone(), id: seen.id.clone() });
            }
        }
    }
}

fn unnamed(node: NodeId) -> HostName {
    format!("node-{node}").parse().expect("an id is a host's name")
}

/// A brick as its tags and its group have it.
fn of_disk(found: &OnDisk<'_>) -> Brick {
    let tags = &found.seen.tags;
    Brick {
        id: tags.brick,
        device: found.device,
        node: found.node,
        set: tags.set,
        position: tags.position,
        role: tags.role,
        asked: tags.asked,
        space: found.space,
        path: found.path(),
        pool: found.pool.filter(|pool| *pool != tags.brick),
        names: names(found),
        adopted: found.seen.adopted,
        generation: tags.generation,
    }
}

/// What its logical volumes are called, where that is not as we call them.
fn names(found: &OnDisk<'_>) -> LvNames {
    let (brick, pool) = (found.seen.tags.brick, found.pool.unwrap_or(found.seen.tags.brick));
    let other = |seen: &LvName, ours: LvName| (*seen != ours).then(|| seen.clone());
    LvNames {
        volume: other(&found.seen.volume_lv, LvName::of_brick(brick)),
        pool: found.seen.pool_lv.as_ref().and_then(|seen| other(seen, LvName::of_pool(pool))),
    }
}

/// What a request of this layout would have said.
pub fn durability(layout: Layout) -> Durability {
    let kind = |kind: &str| Durability { kind: kind.to_owned(), ..Durability::default() };
    match layout {
        Layout::Distribute => kind("none"),
        Layout::Replicate { replica } => Durability { replica: replica.into(), ..kind("replicate") },
        Layout::Arbiter => Durability { replica: 3, ..kind("replicate") },
        Layout::Disperse { data, redundancy } => {
            Durability { disperse_data: data.into(), disperse_redundancy: redundancy.into(), ..kind("disperse") }
        }
    }
}
