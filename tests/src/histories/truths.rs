//! What has to be true when a history has come to rest: the coordinator's records, the hosts' own tools and what clients
//! were told say the same.

use std::collections::{BTreeMap, BTreeSet};

use bricklayer_agent::host::{GlusterVolume, GroupReport};
use bricklayer_agent::tags;
use bricklayer_coordinator::model::{Brick, OpState, Plan, Resource, Topology, Volume};
use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{LogicalVolume, LvKind};
use bricklayer_proto::names::VgName;
use bricklayer_proto::task::{NO_VOLUME_ID, VOLUME_ID_OPTION};
use jiff::Timestamp;

use super::world::by_hand;

use crate::sim::{Footprint, SimHost};

/// A host of the history beside what the agent on it reported last.
pub struct HostSeen<'a> {
    pub node: NodeId,
    pub host: &'a SimHost,
    pub inventory: Option<&'a bricklayer_proto::inventory::Inventory>,
    /// As it was before anything of ours.
    pub fstab: &'a str,
    pub has_lost_a_disk: bool,
    /// A person has made a volume, which may have been adopted since.
    pub has_hand_made: bool,
}

impl HostSeen<'_> {
    /// Somebody else's, and nobody's business here.
    fn is_strangers(&self, group: &GroupReport) -> bool {
        self.has_hand_made && group.name == by_hand::group() && group.tags.is_empty()
    }
}

/// What is wrong; empty if all is well. `told`: the operations whose ids clients were given.
#[must_use]
pub fn wrong(
    topology: &Topology,
    now: Timestamp,
    hosts: &[HostSeen<'_>],
    told: &[OperationId],
    violations: &[String],
) -> Vec<String> {
    let mut wrong: Vec<String> = violations.iter().map(|what| format!("a promise was broken: {what}")).collect();
    operations(topology, told, &mut wrong);
    volumes(topology, &mut wrong);
    trash(topology, now, &mut wrong);
    for host in hosts {
        let footprint = host.host.footprint();
        blocks(topology, host, &footprint, &mut wrong);
        space(topology, host, &footprint, &mut wrong);
        bricks(topology, host, &footprint, &mut wrong);
        gluster(topology, host, &footprint, &mut wrong);
        for (volume, brick) in unserved(topology, host.node, host.host) {
            wrong.push(format!("{}: brick {} of volume {} has no process", host.host.name(), brick.id, volume.id));
        }
    }
    wrong
}

/// Every id that a client was told answers, and every operation has come to its end.
fn operations(topology: &Topology, told: &[OperationId], wrong: &mut Vec<String>) {
    for operation in topology.unfinished.values() {
        wrong.push(format!("operation {} is {:?}", operation.id, operation.state));
    }
    for id in told {
        if !topology.operations.contains_key(id) {
            wrong.push(format!("operation {id}, which a client was told, is not known"));
        }
    }
}

/// A volume that a client was told of is there, with all its bricks on different hosts, until it is deleted.
fn volumes(topology: &Topology, wrong: &mut Vec<String>) {
    let deleted: BTreeSet<_> = topology
        .operations
        .values()
        .filter(|operation| matches!(operation.state, OpState::Done { .. }))
        .flat_map(|operation| match &operation.plan {
            Plan::VolumeDelete(delete) => vec![delete.volume.id],
            Plan::Unadopt(back) => back.volumes.iter().map(|volume| volume.id).collect(),
            _ => Vec::new(),
        })
        .collect();
    for operation in topology.operations.values() {
        let OpState::Done { resource: Some(Resource::Volume(id)) } = operation.state else { continue };
        if !topology.volumes.contains_key(&id) && !deleted.contains(&id) {
            wrong.push(format!("volume {id} was made by operation {} and is gone", operation.id));
        }
    }
    for volume in topology.volumes.values() {
        let per_set = volume.layout.bricks_per_set() as usize;
        if volume.bricks.is_empty() || volume.bricks.len() % per_set != 0 {
            wrong.push(format!("volume {} has {} bricks in sets of {per_set}", volume.id, volume.bricks.len()));
        }
        for set in volume.bricks.chunks(per_set) {
            let nodes: BTreeSet<_> = set.iter().map(|brick| brick.node).collect();
            if nodes.len() != set.len() {
                wrong.push(format!("two bricks of a set of volume {} are on one host", volume.id));
            }
        }
    }
}

/// What lies in the trash beyond its time, but for what could not go when it was tried: that is tried again in an hour.
pub fn overdue(topology: &Topology, now: Timestamp) -> impl Iterator<Item = &Volume> {
    let failed = |id: VolumeId, until: Timestamp| {
        topology.operations.values().any(|operation| {
            let ends = matches!(&operation.plan, Plan::VolumeDelete(delete) if delete.volume.id == id);
            ends && operation.started >= until && matches!(operation.state, OpState::Failed { .. })
        })
    };
    let volumes = topology.volumes.values().map(AsRef::as_ref);
    // What has a brick on what is lost is deleted by nobody before that is replaced.
    let can_go = move |volume: &Volume| !volume.bricks.iter().any(|brick| topology.is_lost(brick.device));
    let is_over =
        move |volume: &Volume| volume.trash.is_some_and(|trash| trash.until <= now && !failed(volume.id, trash.until));
    volumes.filter(move |volume| is_over(volume) && can_go(volume))
}

/// What is over is gone, and nothing that was protected ever went.
fn trash(topology: &Topology, now: Timestamp, wrong: &mut Vec<String>) {
    for volume in overdue(topology, now) {
        wrong.push(format!("volume {} lies in the trash though its time is over", volume.id));
    }
    for operation in topology.operations.values() {
        let volume = match &operation.plan {
            Plan::VolumeDelete(delete) => &delete.volume,
            Plan::VolumeTrash(trash) => &trash.volume,
            _ => continue,
        };
        if volume.protected {
            let kind = operation.plan.kind();
            wrong.push(format!("volume {} was protected when {kind} {} began", volume.id, operation.id));
        }
    }
}

/// The records of a group, its bricks, its spare and what is foreign are all that LVM counts, to the extent. A physical
/// volume without a group, which LVM leaves where it is killed half-way, is a person's to wipe: nothing says whose it is.
fn space(topology: &Topology, host: &HostSeen<'_>, footprint: &Footprint, wrong: &mut Vec<String>) {
    let name = host.host.name();
    let known: BTreeMap<VgName, DeviceId> =
        topology.devices_of(host.node).map(|device| (device.group(), device.id)).collect();
    for group in footprint.view.groups.iter().filter(|group| !host.is_strangers(group)) {
        let Some(device) = known.get(&group.name) else {
            wrong.push(format!("{name}: group {} belongs to no device", group.name));
            continue;
        };
        let record = topology.devices.get(device).expect("it is a device of the node");
        let (free, lvms) = (topology.free(record), group.space.free);
        if free != lvms {
            wrong.push(format!("{name}: device {device} has {free:?} free by the records, {lvms:?} by LVM"));
        }
        // What was given back is somebody else's again, in a group that is still ours.
        if record.foreign.count() != 0 && record.adopted.is_none() {
            wrong.push(format!(
                "{name}: {:?} of device {device} are booked as foreign, and nobody else is here",
                record.foreign
            ));
        }
    }
    for (group, device) in &known {
        if !footprint.view.groups.iter().any(|seen| seen.name == *group) && !topology.is_lost(*device) {
            wrong.push(format!("{name}: device {device} has no volume group"));
        }
    }
}

/// Every logical volume with our tags is a brick of the records, whole, mounted and in fstab; and the other way round.
fn bricks(topology: &Topology, host: &HostSeen<'_>, footprint: &Footprint, wrong: &mut Vec<String>) {
    let name = host.host.name();
    let Some(inventory) = host.inventory else {
        wrong.push(format!("{name}: its agent has reported nothing"));
        return;
    };
    let mut wanted: BTreeMap<BrickId, (DeviceId, Option<String>)> = BTreeMap::new();
    let mut pools = BTreeSet::new();
    for volume in topology.volumes.values() {
        let here = |brick: &&Brick| brick.node == host.node && !topology.is_lost(brick.device);
        for brick in volume.bricks.iter().filter(here) {
            wanted.insert(brick.id, (brick.device, brick.path.as_ref().map(ToString::to_string)));
            if !brick.is_thick() {
                pools.insert((brick.device, brick.pool_of()));
            }
        }
    }
    for seen in &inventory.bricks {
        let brick = seen.tags.brick;
        let Some((device, path)) = wanted.remove(&brick) else {
            wrong.push(format!("{name}: brick {brick} of volume {} is an orphan", seen.tags.volume));
            continue;
        };
        if topology.devices.get(&device).is_none_or(|device| device.group() != seen.group) {
            wrong.push(format!("{name}: brick {brick} lies in {}, not on device {device}", seen.group));
        }
        if seen.condemned || seen.mounted.is_none() || seen.path.as_ref().map(ToString::to_string) != path {
            wrong.push(format!("{name}: brick {brick} is not up, its path is {path:?} by the records: {seen:?}"));
        }
    }
    for (brick, (device, _)) in wanted {
        wrong.push(format!("{name}: brick {brick} on device {device} is not on the disk"));
    }
    let mut seen_pools = 0;
    let (mut seen_thin, mut seen_linear) = (0, 0);
    for group in footprint.view.groups.iter().filter(|group| !host.is_strangers(group)) {
        let is_given_back =
            |volume: &LogicalVolume| group.name == by_hand::group() && tags::ours(&volume.tags).is_empty();
        for volume in group.volumes.iter().filter(|volume| !is_given_back(volume)) {
            match &volume.kind {
                LvKind::ThinPool { .. } => seen_pools += 1,
                LvKind::Thin { .. } => seen_thin += 1,
                LvKind::Other { .. } if volume.is_tagged_ours() => seen_linear += 1,
                LvKind::Other { .. } => {}
            }
        }
    }
    if seen_pools != pools.len() || seen_thin + seen_linear != inventory.bricks.len() {
        let bricks = inventory.bricks.len();
        wrong.push(format!(
            "{name}: {seen_pools} pools for {} in the records; {seen_thin} thin volumes and {seen_linear} linear ones, {bricks} \
             bricks",
            pools.len()
        ));
    }
    // A hand-made brick's own line is ours while the brick is.
    let is_hand_made = |line: &&str| host.has_hand_made && line.contains("/bricks/photos");
    let others = |fstab: &str| -> String {
        let lines = fstab.split_inclusive('\n');
        lines.filter(|line| !line.contains("x-bricklayer.brick=") && !is_hand_made(line)).collect()
    };
    let (before, now) = (others(host.fstab), others(&footprint.view.fstab));
    if before != now {
        wrong.push(format!("{name}: foreign lines of fstab were\n{before}and are\n{now}"));
    }
    let lines = footprint.view.fstab.lines().filter(|line| line.contains("x-bricklayer.brick=")).count();
    let ours = inventory.bricks.iter().filter(|brick| brick.fstab.is_some()).count();
    // Those of bricks that went with their disk stay: nobody knows that it will not be plugged in again.
    if lines < ours || (lines > ours && !host.has_lost_a_disk) {
        wrong.push(format!("{name}: {lines} lines of fstab for {ours} bricks:\n{}", footprint.view.fstab));
    }
}

/// Bricks on the host that should serve and have no process.
pub fn unserved<'a>(
    topology: &'a Topology,
    node: NodeId,
    host: &'a SimHost,
) -> impl Iterator<Item = (&'a Volume, &'a Brick)> {
    let serving = topology.volumes.values().filter(|volume| volume.trash.is_none());
    let bricks = serving.flat_map(|volume| volume.bricks.iter().map(move |brick| (volume.as_ref(), brick)));
    bricks.filter(move |(_, brick)| {
        let serves = brick.path.as_ref().is_some_and(|path| host.serves_brick(path));
        brick.node == node && !topology.is_lost(brick.device) && !serves
    })
}

/// GlusterFS has the volumes of the records, with just these bricks in this order, started unless they lie in the trash.
fn gluster(topology: &Topology, host: &HostSeen<'_>, footprint: &Footprint, wrong: &mut Vec<String>) {
    let name = host.host.name();
    // Not in the pool, or no longer.
    if !topology.nodes.contains_key(&host.node) {
        return;
    }
    let mut known: BTreeMap<String, (bool, Vec<String>)> = BTreeMap::new();
    for volume in topology.volumes.values() {
        let bricks = volume.bricks.iter().map(|brick| {
            let node = topology.nodes.get(&brick.node).map(|node| node.storage[0].to_string()).unwrap_or_default();
            format!("{node}:{}", brick.path.as_ref().map(ToString::to_string).unwrap_or_default())
        });
        known.insert(volume.name.to_string(), (volume.trash.is_none(), bricks.collect()));
    }
    for volume in &footprint.volumes {
        let bricks: Vec<String> = volume.bricks.iter().map(|brick| format!("{}:{}", brick.host, brick.path)).collect();
        match known.remove(volume.name.as_str()) {
            None if host.has_hand_made && volume.name == by_hand::volume() && !carries_our_id(volume) => {
                if !volume.started {
                    wrong.push(format!("{name}: volume {}, which is somebody else's, does not run", volume.name));
                }
            }
            None => wrong.push(format!("{name}: GlusterFS has volume {}, which is in no record", volume.name)),
            Some((runs, _)) if runs != volume.started => {
                wrong.push(format!("{name}: volume {} runs: {}, by the records: {runs}", volume.name, volume.started));
            }
            Some((_, wanted)) if wanted != bricks => {
                wrong.push(format!("{name}: volume {} has bricks {bricks:?}, by the records {wanted:?}", volume.name));
            }
            Some(_) => {}
        }
    }
    for missing in known.keys() {
        wrong.push(format!("{name}: GlusterFS does not know volume {missing}"));
    }
}

fn carries_our_id(volume: &GlusterVolume) -> bool {
    volume.options.iter().any(|(key, value)| key == VOLUME_ID_OPTION && value != NO_VOLUME_ID)
}

/// The block volumes of the records are those that there are, as large and exported by as many hosts.
fn blocks(topology: &Topology, host: &HostSeen<'_>, footprint: &Footprint, wrong: &mut Vec<String>) {
    if !topology.nodes.contains_key(&host.node) {
        return;
    }
    let mut seen: Vec<_> = footprint.blocks.clone();
    let recorded = topology.block_volumes.values();
    let mut recorded: Vec<_> = recorded.map(|block| (block.name.clone(), block.size, block.hosts.len())).collect();
    seen.sort();
    recorded.sort();
    if seen != recorded {
        wrong.push(format!("{}: block volumes {seen:?}, by the records {recorded:?}", host.host.name()));
    }
}
