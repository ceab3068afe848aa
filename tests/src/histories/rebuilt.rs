//! The state made again of what the hosts say, when a history has come to rest: the real rebuild, of the real documents, of
//! the records beside the bricks and of GlusterFS. It has to be the state that there was.
//!
//! The documents are those that the keeper would have handed out by now; that it does is shown elsewhere (`tests/tests/sim/rebuild.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bricklayer_agent::engine::Engine;
use bricklayer_coordinator::agents::{AgentApi as _, Registry};
use bricklayer_coordinator::keepsake::{InstallationDocument, Marks, VolumesDocument};
use bricklayer_coordinator::model::{Brick, Topology, Volume};
use bricklayer_coordinator::pki::{InstallationRecord, Trust};
use bricklayer_coordinator::rebuild::{
    Difference, Documents, Evidence, HostEvidence, PoolEvidence, Rebuilt, compare, rebuild,
};
use bricklayer_coordinator::state::{SCHEMA, State, assemble};
use bricklayer_proto::ids::{BrickId, DeviceId, NodeId};
use bricklayer_proto::keepsake::{KeepsakeKind, Recollection};
use bricklayer_store::Store;
use bricklayer_store::simulated::Disk;
use jiff::Timestamp;

use super::program::Program;
use super::world::by_hand;
use crate::sim::SimHost;

/// Starts of the old coordinator that nobody knows of.
const STARTS_UNSEEN: u64 = 1_000_000;

/// What is heard of the hosts. `number`: of the store's last commit; `None` where hosts keep nothing.
fn evidence(topology: &Topology, registry: &Registry, hosts: &[(NodeId, SimHost)], number: Option<u64>) -> Evidence {
    let trust = registry.trust();
    let (installation, marks) = (trust.installation(), Marks::of(trust.authority()));
    let mut documents = Documents::of(Marks::of(trust.authority()));
    let agents: BTreeMap<_, _> = trust.agents().into_iter().collect();
    let program = Program::new();
    let mut evidence = Evidence { installation, hosts: BTreeMap::new(), pools: Vec::new() };
    for (node, host) in hosts {
        let Some((inventory, _)) = registry.inventory(*node) else { continue };
        let Some(agent) = agents.get(node).cloned() else { continue };
        let engine = Engine::new(Arc::new(host.clone()));
        let (records, gluster) =
            program.run(async { (engine.records(&inventory).await, engine.gluster_volumes().await.ok()) });
        let whole = InstallationDocument::of(topology, installation, agents.clone());
        let volumes = VolumesDocument::of(topology, *node, installation, &marks);
        let keepsakes = number.map(|number| {
            let kept = |kind, json: serde_json::Result<String>| {
                marks.keepsake(kind, number, json.expect("a document is JSON"))
            };
            vec![
                kept(KeepsakeKind::Installation, serde_json::to_string(&whole)),
                kept(KeepsakeKind::Volumes, serde_json::to_string(&volumes)),
            ]
        });
        let said = Recollection {
            name: agent.name.clone(),
            keepsakes: keepsakes.unwrap_or_default(),
            records: records.read,
            unreadable: records.unreadable,
            gluster: None,
            more: false,
        };
        // One host of each pool tells of its volumes.
        let members: BTreeSet<String> =
            inventory.gluster.peers.iter().map(|peer| &peer.uuid).chain(&inventory.gluster.uuid).cloned().collect();
        if !evidence.pools.iter().any(|pool| pool.members == members) {
            evidence.pools.push(PoolEvidence { members, volumes: gluster });
        }
        evidence.hosts.insert(*node, HostEvidence::of(agent, inventory, said, &mut documents));
    }
    evidence
}

/// What does not come back as it was: of all that hosts keep, and of their disks alone.
pub fn wrong(
    topology: &Topology,
    registry: &Registry,
    hosts: &[(NodeId, SimHost)],
    now: Timestamp,
) -> (Rebuilt, Vec<String>) {
    let rebuilt = rebuild(&evidence(topology, registry, hosts, Some(1)), now);
    let differs = differences(topology, &assemble(rebuilt.records.clone()));
    let mut wrong: Vec<String> = differs.iter().map(|line| format!("rebuilt of what hosts keep: {line}")).collect();
    let is_lost = |brick: &BrickId| topology.brick(*brick).is_some_and(|(_, brick)| topology.is_lost(brick.device));
    let is_expected = |difference: &&Difference| match difference {
        Difference::HostMissing { .. } | Difference::DeviceMissing { .. } => true,
        Difference::BrickMissing { brick, .. } => is_lost(brick),
        // Made by hand, and not adopted.
        Difference::GlusterVolume { name, id: None } => *name == by_hand::volume(),
        _ => false,
    };
    let unexpected = rebuilt.differences.iter().filter(|difference| !is_expected(difference));
    wrong.extend(unexpected.map(|difference| format!("rebuilt of what hosts keep: {difference}")));

    let alone = evidence(topology, registry, hosts, None);
    let bare = rebuild(&alone, now);
    let found: BTreeMap<_, &Volume> = bare.records.volumes.iter().map(|volume| (volume.id, volume)).collect();
    for volume in topology.volumes.values() {
        // Of a volume with a part on what is gone the disks that are left may not tell enough.
        if volume.bricks.iter().any(|brick| topology.is_lost(brick.device)) {
            continue;
        }
        match found.get(&volume.id) {
            None => wrong.push(format!("rebuilt of disks alone: volume {} is not found", volume.id)),
            Some(found) if essence(found) == as_records_say(&alone, volume) => {}
            Some(found) => {
                let (found, volume) = (essence(found), essence(volume));
                wrong.push(format!("rebuilt of disks alone: volume {found}, which was {volume}"));
            }
        }
    }
    let (taken, was) = (taken(bare.records.volumes.iter()), taken(topology.volumes.values().map(AsRef::as_ref)));
    if taken != was && !topology.devices.keys().any(|device| topology.is_lost(*device)) {
        wrong.push(format!("rebuilt of disks alone: pools and their metadata take {taken:?}, and took {was:?}"));
    }
    (rebuilt, wrong)
}

/// How the state that was rebuilt differs from the one before: in what there is, and in the free
/// extents of each device that is there.
pub fn differences(before: &Topology, after: &Topology) -> Vec<String> {
    let free = |topology: &Topology, id: &DeviceId| topology.devices.get(id).map(|device| topology.free(device));
    let there = before.devices.keys().filter(|device| !before.is_lost(**device));
    let spaces = there.map(|device| (device, free(before, device), free(after, device)));
    let spaces = spaces.filter(|(_, before, after)| before != after);
    let spaces =
        spaces.map(|(device, before, after)| format!("device {device} has {after:?} free, and had {before:?}"));
    compare(before, after).into_iter().chain(spaces).collect()
}

/// The extents of pools and of their metadata, by device.
fn taken<'a>(volumes: impl Iterator<Item = &'a Volume>) -> BTreeMap<DeviceId, (u64, u64)> {
    let mut taken = BTreeMap::new();
    for brick in volumes.flat_map(|volume| &volume.bricks) {
        let (pool, metadata) = taken.entry(brick.device).or_default();
        *pool += brick.space.pool.count();
        *metadata += brick.space.metadata.count();
    }
    taken
}

/// A record that missed the way into the trash, or that its volume is protected, leaves that to what hosts keep besides.
fn as_records_say(alone: &Evidence, volume: &Volume) -> String {
    let records = || alone.hosts.values().flat_map(|host| host.records.values()).filter(|one| one.volume == volume.id);
    let trash = volume.trash.filter(|_| records().all(|record| record.trash.is_some()));
    essence(&Volume { trash, protected: records().any(|record| record.protected), ..volume.clone() })
}

/// What disks tell of a volume.
fn essence(volume: &Volume) -> String {
    let trash = volume.trash.map(|trash| (trash.since.as_millisecond(), trash.until.as_millisecond()));
    let Volume { id, name, size, layout, gid, options, protected, bricks, .. } = volume;
    // Of clones whose source is gone anyone may be counted with their pool; and what glusterd called their logical volumes
    // is on the disk alone.
    let bricks = bricks.iter().map(|brick| {
        let Brick { id, device, node, set, position, role, asked, space, path, generation, .. } = brick;
        let extents = space.volume.count();
        format!("\n    {id} on {device} {node} {set}.{position} {role:?} {asked} {extents} {path:?} {generation}")
    });
    let bricks: String = bricks.collect();
    format!("{id} {name} {size} {layout:?} {gid} {options:?} {protected} {trash:?}{bricks}")
}

/// A store of what was rebuilt, on a new disk, as the program writes one.
///
/// # Panics
/// If a new disk is not sound.
#[must_use]
pub fn on_a_new_disk(rebuilt: Rebuilt, trust: &Trust, now: Timestamp) -> Disk {
    let disk = Disk::new();
    let store = Store::on(&disk, SCHEMA).expect("a new disk is sound");
    let record = InstallationRecord { id: trust.installation(), epoch: trust.epoch() + STARTS_UNSEEN, created: now };
    Trust::rebuilt(&store, record, &rebuilt.agents).expect("a new disk is sound");
    let state = State::load(store).expect("a new disk is sound");
    Program::new().run(async { state.fill(rebuilt.records).await }).expect("a new disk is sound");
    disk
}
