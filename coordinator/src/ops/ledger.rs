//! The devices' ledgers: what the records say beside what the agents reported last.
//!
//! Reads one snapshot and what is in memory; waits for nobody. The arithmetic is [`placement::Ledger`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{Inventory, LogicalVolume, LvKind, PvExtent, VolumeGroup};
use bricklayer_proto::names::{LvName, VolumeName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use jiff::Timestamp;

use super::context::Context;
use super::{Operations, Rejected};
use crate::model::{Brick, Device, Node, Plan, Topology, Volume};
use crate::placement::ledger::{Booked, Books, Stage};
use crate::placement::{Ledger, Reserve};

/// Where every byte of a device went, and who says so.
#[derive(Clone, Debug)]
pub struct DeviceLedger {
    pub device: Arc<Device>,
    pub node: Arc<Node>,
    pub ledger: Ledger,
    pub basis: Basis,
    pub disk: Option<DiskSeen>,
    /// Logical volumes in the group that are no brick's.
    pub others: Vec<OtherVolume>,
    /// What the bricks in pools may hold together beyond what those pools have.
    pub promised_beyond: ByteSize,
}

/// What LVM's figures are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    Report {
        received: Timestamp,
    },
    /// The last report is older than what was done since, and another is on its way.
    RecordAfterReport,
    /// The agent has not reported the group since the coordinator started.
    RecordAlone,
}

/// How large the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSeen {
    pub size: ByteSize,
    /// Where the extents begin; an older agent does not say, and the size is the kernel's then.
    pub start: Option<ByteSize>,
    pub received: Timestamp,
}

/// A logical volume that is no brick's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherVolume {
    pub name: LvName,
    /// Of its group; a thin volume takes none.
    pub size: ByteSize,
    /// It carries our tags, and no record knows it.
    pub orphan: bool,
    pub brick: Option<BrickId>,
    pub volume: Option<VolumeId>,
}

/// Which devices a ledger is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerOf {
    Device(DeviceId),
    Node(NodeId),
    Cluster(ClusterId),
    Everything,
}

impl Operations {
    /// The ledgers of devices, in the order of their nodes' and their own names.
    pub fn ledgers(&self, of: LedgerOf) -> Result<Vec<DeviceLedger>, Rejected> {
        let topology = self.topology();
        let known = match of {
            LedgerOf::Device(id) => topology.devices.contains_key(&id),
            LedgerOf::Node(id) => topology.nodes.contains_key(&id),
            LedgerOf::Cluster(id) => topology.clusters.contains_key(&id),
            LedgerOf::Everything => true,
        };
        if !known {
            return Err(Rejected::NotFound);
        }
        Ok(ledgers(&self.context, &topology, of))
    }

    /// The operations that are under way on a device.
    #[must_use]
    pub fn under_way_on(&self, device: DeviceId) -> Vec<OperationId> {
        let topology = self.topology();
        let changing = topology.unfinished.values().filter(|operation| operation.plan.changes_device(device));
        changing.map(|operation| operation.id).collect()
    }

    /// The volumes that the bricks of a device belong to, those of unfinished operations included.
    #[must_use]
    pub fn volumes_of_bricks(&self, device: DeviceId) -> BTreeMap<BrickId, (VolumeId, VolumeName)> {
        let topology = self.topology();
        let pending = topology.unfinished.values().flat_map(|operation| volumes_of(&operation.plan));
        let all = pending.chain(topology.volumes.values().map(|volume| &**volume));
        let here = |volume: &Volume| {
            let named = |brick: &Brick| (brick.id, (volume.id, volume.name.clone()));
            volume.bricks.iter().filter(|brick| brick.device == device).map(named).collect::<Vec<_>>()
        };
        let mut found: BTreeMap<_, _> = all.flat_map(here).collect();
        // The brick that takes another's place is in no volume yet.
        for operation in topology.unfinished.values() {
            if let Plan::BrickReplace(replace) = &operation.plan {
                found.entry(replace.new.id).or_insert_with(|| (replace.volume.id, replace.volume.name.clone()));
            }
        }
        found
    }
}

fn volumes_of(plan: &Plan) -> impl Iterator<Item = &Volume> {
    let other = match plan {
        Plan::VolumeExpand(expand) | Plan::PoolExtend(expand) => Some(&expand.after),
        Plan::BrickReplace(replace) => Some(&replace.volume),
        _ => None,
    };
    plan.volume().into_iter().chain(other)
}

fn ledgers(context: &Context, topology: &Topology, of: LedgerOf) -> Vec<DeviceLedger> {
    let stages = stages(topology);
    let mut reserves = BTreeMap::new();
    let mut ledgers: Vec<DeviceLedger> = Vec::new();
    for device in topology.devices.values() {
        let Some(node) = topology.nodes.get(&device.node) else { continue };
        let wanted = match of {
            LedgerOf::Device(id) => device.id == id,
            LedgerOf::Node(id) => device.node == id,
            LedgerOf::Cluster(id) => node.cluster == id,
            LedgerOf::Everything => true,
        };
        if wanted {
            let report = context.agents.inventory(node.id);
            let reserve =
                *reserves.entry(node.cluster).or_insert_with(|| context.terms(topology, node.cluster).reserve);
            ledgers.push(ledger(topology, node, device, report.as_ref(), &stages, reserve));
        }
    }
    ledgers.sort_by(|a, b| (a.node.name(), &a.device.name).cmp(&(b.node.name(), &b.device.name)));
    ledgers
}

/// What becomes of the bricks that operations are about. All others are whole.
fn stages(topology: &Topology) -> BTreeMap<BrickId, Stage> {
    let mut stages = BTreeMap::new();
    for operation in topology.unfinished.values() {
        match &operation.plan {
            Plan::VolumeExpand(expand) | Plan::PoolExtend(expand) => {
                stages.extend(expand.added().map(|brick| (brick.id, Stage::Making)));
                stages.extend(expand.grown().map(|brick| {
                    let before = expand.before.brick(brick.id).and_then(|before| before.space.taken());
                    (brick.id, Stage::Growing { from: before.unwrap_or_default() })
                }));
            }
            Plan::BrickReplace(replace) => {
                stages.insert(replace.new.id, Stage::Making);
                stages.insert(replace.old.id, Stage::Leaving);
            }
            Plan::VolumeDelete(delete) => {
                stages.extend(delete.volume.bricks.iter().map(|brick| (brick.id, Stage::Leaving)));
            }
            plan => stages.extend(plan.bricks().iter().map(|brick| (brick.id, Stage::Making))),
        }
    }
    stages
}

/// A brick that nothing is done to. A pool in which a clone lives on does not go with what is in the trash.
fn settled(topology: &Topology, brick: &Brick) -> Stage {
    let is_kept = |volume: &Volume| volume.trash.is_some();
    let lives_on = || {
        let mut others = topology.bricks_of(brick.device);
        others.any(|(volume, other)| !is_kept(volume) && other.pool_of() == brick.pool_of())
    };
    match topology.brick(brick.id) {
        Some((volume, _)) if is_kept(volume) && !lives_on() => Stage::Trash,
        _ => Stage::Whole,
    }
}

fn ledger(
    topology: &Topology,
    node: &Arc<Node>,
    device: &Arc<Device>,
    report: Option<&(Arc<Inventory>, Timestamp)>,
    stages: &BTreeMap<BrickId, Stage>,
    reserve: Reserve,
) -> DeviceLedger {
    let group = report.and_then(|(inventory, received)| {
        let ours = |group: &&VolumeGroup| group.tags.is_some_and(|tags| tags.device == device.id);
        Some((inventory.groups.iter().find(ours)?, *received))
    });
    // What agents answered to tasks is taken over at once, so a report may be older than the record.
    let fresh = group.filter(|(group, _)| group.space.seqno >= device.space.seqno);
    let basis = match (fresh, group) {
        (Some((_, received)), _) => Basis::Report { received },
        (None, Some(_)) => Basis::RecordAfterReport,
        (None, None) => Basis::RecordAlone,
    };
    let disk =
        report.and_then(|(inventory, received)| disk(inventory, group.map(|(group, _)| group), device, *received));
    let space = fresh.map_or(device.space, |(group, _)| group.space);
    let holding = fresh.map(|(group, _)| holding(group, space.extent_size));
    let bricks: Vec<&Brick> = match topology.bricks.get(&device.id) {
        Some(bricks) => bricks.values().map(|brick| &**brick).collect(),
        None => Vec::new(),
    };
    let booked = bricks.iter().map(|brick| Booked {
        brick: brick.id,
        asked: brick.asked,
        space: brick.space,
        stage: stages.get(&brick.id).copied().unwrap_or_else(|| settled(topology, brick)),
        seen: holding.as_ref().map(|holding| match brick.space.pool {
            // Its pool is counted with another brick.
            Extents::ZERO => Extents::ZERO,
            _ => holding.get(&brick.space_lv()).copied().unwrap_or_default(),
        }),
    });
    let others = fresh.map_or_else(Vec::new, |(group, _)| others(group, &bricks));
    let sum = |orphan: bool| -> ByteSize {
        others.iter().filter(|other| other.orphan == orphan).map(|other| other.size).sum()
    };
    let (orphans, foreign) = match fresh {
        Some(_) => (sum(true).to_extents(space.extent_size), sum(false).to_extents(space.extent_size)),
        None => (Extents::ZERO, device.foreign),
    };
    let books = Books {
        extent_size: space.extent_size,
        total: space.total,
        free: space.free,
        spare: space.spare,
        disk: disk.map(|disk| disk.size),
        bricks: booked.collect(),
        orphans,
        foreign,
        reserve: reserve.of(space.total, space.extent_size),
    };
    let ledger = Ledger::of(&books);
    let promised_beyond = topology.promised_beyond(device.id).to_bytes(space.extent_size).unwrap_or_default();
    DeviceLedger { device: Arc::clone(device), node: Arc::clone(node), ledger, basis, disk, others, promised_beyond }
}

/// LVM's own word of the disk; the kernel's where the agent does not pass LVM's on.
fn disk(inventory: &Inventory, group: Option<&VolumeGroup>, device: &Device, received: Timestamp) -> Option<DiskSeen> {
    let physical = group.and_then(|group| group.physical_volumes.iter().find(|volume| volume.uuid == device.pv_uuid));
    if let Some(PvExtent { disk, start }) = physical.and_then(|volume| volume.extent) {
        return Some(DiskSeen { size: disk, start: Some(start), received });
    }
    let disk = inventory.disks.iter().find(|disk| disk.device == Some(device.id))?;
    Some(DiskSeen { size: disk.size, start: None, received })
}

/// What each pool and each linear volume holds. By its name, as a pool's tags may name another brick than it was made for: a
/// clone's, to which it was passed on when that one went.
fn holding(group: &VolumeGroup, one: ExtentSize) -> BTreeMap<LvName, Extents> {
    let holding = group.volumes.iter().filter(|volume| !matches!(volume.kind, LvKind::Thin { .. }));
    holding.map(|volume| (volume.name.clone(), held(volume, one))).collect()
}

fn tagged_as(volume: &LogicalVolume) -> Option<BrickId> {
    volume.our_tag("brick")?.parse().ok()
}

/// The extents of the group that a volume holds.
fn held(volume: &LogicalVolume, one: ExtentSize) -> Extents {
    let data = volume.size.to_extents(one);
    match &volume.kind {
        LvKind::ThinPool { metadata, .. } => data.checked_add(metadata.to_extents(one)).unwrap_or(data),
        LvKind::Thin { .. } => Extents::ZERO,
        LvKind::Other { .. } => data,
    }
}

/// The volumes of a group that are not the bricks' that we know. What takes nothing and is not ours is left out:
/// GlusterFS keeps its snapshots in our pools.
fn others(group: &VolumeGroup, bricks: &[&Brick]) -> Vec<OtherVolume> {
    let known: BTreeSet<BrickId> = bricks.iter().map(|brick| brick.id).collect();
    let pools: BTreeSet<LvName> = bricks.iter().filter_map(|brick| brick.pool_lv()).collect();
    let linear: BTreeSet<LvName> =
        bricks.iter().filter(|brick| brick.is_thick()).map(|brick| brick.volume_lv()).collect();
    let one = group.space.extent_size;
    let visible = group.volumes.iter().filter(|volume| !volume.is_part_of_pool());
    let others = visible.filter_map(|volume| {
        let is_known = match volume.kind {
            LvKind::ThinPool { .. } => pools.contains(&volume.name),
            LvKind::Thin { .. } => tagged_as(volume).is_some_and(|brick| known.contains(&brick)),
            LvKind::Other { .. } => linear.contains(&volume.name),
        };
        let orphan = volume.is_tagged_ours();
        if is_known || (matches!(volume.kind, LvKind::Thin { .. }) && !orphan) {
            return None;
        }
        let size = held(volume, one).to_bytes(one).unwrap_or_default();
        let of = volume.our_tag("volume").and_then(|id| id.parse().ok());
        Some(OtherVolume { name: volume.name.clone(), size, orphan, brick: tagged_as(volume), volume: of })
    });
    others.collect()
}
