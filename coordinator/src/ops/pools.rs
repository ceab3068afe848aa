//! Thin pools that fill up: they are followed as the agents report them, and extended out of what nobody was promised.
//!
//! An extension is an operation like any other: its extents are reserved in the change of the state that decides it, its
//! sizes are absolute, and a restart goes on with it. No agent extends a pool on its own: what is free on a device and
//! promised to nobody is known here alone (`docs/adr/0015-the-coordinator-alone-extends-pools.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::{LvName, VolumeName};
use bricklayer_proto::size::Extents;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::bricks::{CheckGrowth, GrowBrick};
use super::context::Context;
use super::step::Stage;
use super::{Operations, Rejected, at_rest, policy};
use crate::agents::AgentEvent;
use crate::model::{Brick, Device, Node, Operation, Plan, Topology, Volume, VolumeExpand};
use crate::placement::DeviceSpace;
use crate::pools::extension::{Decision, Most, SaidBy, decide};
use crate::pools::trend::{History, Trend, seconds_to_full};
use crate::pools::{METADATA_MARKS, PoolSeen};

/// A pool with everything that is known of it.
#[derive(Clone, Debug)]
pub struct PoolView {
    pub seen: PoolSeen,
    pub device: Arc<Device>,
    pub node: Arc<Node>,
    /// The bricks that fail when it is full.
    pub bricks: Vec<(BrickId, VolumeId, VolumeName)>,
    /// `None` before there were reports enough; never for a pool that cannot overflow.
    pub trend: Option<Trend>,
    pub decision: Decision,
}

impl PoolView {
    /// When the first of data and metadata is full, if things go on so.
    #[must_use]
    pub fn seconds_to_full(&self) -> Option<u64> {
        let trend = self.trend?;
        let data = seconds_to_full(self.seen.size, self.seen.used()?, trend.data);
        let metadata = seconds_to_full(self.seen.metadata, self.seen.metadata_used()?, trend.metadata);
        data.into_iter().chain(metadata).min()
    }
}

/// What was reported of pools that can overflow, since this start of the coordinator.
#[derive(Default)]
pub struct PoolHistories(Mutex<BTreeMap<(DeviceId, LvName), History>>);

impl PoolHistories {
    /// `pools`: all of this node's.
    fn take(&self, topology: &Topology, node: NodeId, pools: &[PoolSeen], at: Timestamp) {
        let mut histories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let followed: BTreeSet<_> = pools.iter().filter(|pool| pool.can_overflow()).map(key).collect();
        // Those of devices that are gone go with any report.
        histories.retain(|key, _| match topology.devices.get(&key.0) {
            Some(device) => device.node != node || followed.contains(key),
            None => false,
        });
        for pool in pools.iter().filter(|pool| pool.can_overflow()) {
            histories.entry(key(pool)).or_default().take(at, pool);
        }
    }

    fn trend(&self, pool: &PoolSeen) -> Option<Trend> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key(pool))?.trend()
    }
}

fn key(pool: &PoolSeen) -> (DeviceId, LvName) {
    (pool.device, pool.name.clone())
}

impl Operations {
    /// Every pool that the agents report, in the order of their nodes, devices and names.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolView> {
        let topology = self.topology();
        let nodes = topology.nodes.values();
        let mut views: Vec<PoolView> = nodes
            .flat_map(|node| {
                let inside = inside(&topology, node.id);
                let pools = reported(&self.context, &topology, node.id).into_iter();
                pools.filter_map(|seen| view(&self.context, &topology, node, &inside, seen)).collect::<Vec<_>>()
            })
            .collect();
        views.sort_by(|one, other| {
            let place =
                |view: &PoolView| (view.node.name().to_owned(), view.device.name.clone(), view.seen.name.clone());
            place(one).cmp(&place(other))
        });
        views
    }

    async fn extend_pools(&self, volume: VolumeId) -> Result<Option<OperationId>, Rejected> {
        let Some(operation) = submit(&self.context, volume).await? else { return Ok(None) };
        tracing::info!(volume.id = %volume, operation.id = %operation.id, "Thin pools fill up and are extended.");
        self.begin(operation).map(Some)
    }
}

/// The pools in the node's last report, of devices that are ours.
fn reported(context: &Context, topology: &Topology, node: NodeId) -> Vec<PoolSeen> {
    let Some((inventory, _)) = context.agents.inventory(node) else { return Vec::new() };
    let groups = inventory.groups.iter().filter_map(|group| {
        let device = topology.devices.get(&group.tags?.device)?;
        (device.node == node && !device.lost).then_some((device.id, group))
    });
    groups.flat_map(|(device, group)| PoolSeen::of_group(device, group)).collect()
}

/// The whole bricks of a node, by their pool.
type Inside<'a> = BTreeMap<(DeviceId, LvName), Vec<(&'a Arc<Volume>, &'a Brick)>>;

fn inside(topology: &Topology, node: NodeId) -> Inside<'_> {
    let mut inside = Inside::new();
    for device in topology.devices_of(node) {
        for (volume, brick) in topology.bricks_of(device.id) {
            // A thick brick lies in none.
            let Some(pool) = brick.pool_lv() else { continue };
            inside.entry((device.id, pool)).or_default().push((volume, brick));
        }
    }
    inside
}

fn view(
    context: &Context,
    topology: &Topology,
    node: &Arc<Node>,
    inside: &Inside<'_>,
    seen: PoolSeen,
) -> Option<PoolView> {
    let device = topology.devices.get(&seen.device)?;
    let within = bricks_in(inside, &seen);
    let bricks = within.iter().map(|(volume, brick)| (brick.id, volume.id, volume.name.clone())).collect();
    let decision = match owner(within) {
        Some((_, brick)) => {
            let volumes = within.iter().map(|(volume, _)| *volume);
            let most = most(context, topology, volumes);
            decide(&seen, &brick.space, &space_of(topology, device), &context.policy.pools, &most)
        }
        None => Decision::Leave,
    };
    let trend = context.pool_histories.trend(&seen);
    Some(PoolView { device: Arc::clone(device), node: Arc::clone(node), bricks, trend, decision, seen })
}

fn bricks_in<'i, 'a>(inside: &'i Inside<'a>, seen: &PoolSeen) -> &'i [(&'a Arc<Volume>, &'a Brick)] {
    inside.get(&(seen.device, seen.name.clone())).map_or(&[], Vec::as_slice)
}

/// The whole brick with which a pool is counted, unless all in it lies in the trash: that does not fill.
fn owner<'a>(within: &[(&'a Arc<Volume>, &'a Brick)]) -> Option<(&'a Arc<Volume>, &'a Brick)> {
    if within.iter().all(|(volume, _)| volume.trash.is_some()) {
        return None;
    }
    within.iter().copied().find(|(_, brick)| brick.space.pool > Extents::ZERO)
}

/// How far a pool in which these volumes lie is extended: as far as all of them allow. Those in the trash have no say.
fn most<'a>(context: &Context, topology: &Topology, volumes: impl Iterator<Item = &'a Arc<Volume>>) -> Most {
    let of_volume = |volume: &Arc<Volume>| {
        let policies = &topology.policies;
        let cluster = policies.clusters.get(&volume.cluster).and_then(|policy| policy.pools_at_most);
        let said = [
            (policy::of_volume(policies, volume).pools_at_most, SaidBy::Volume(volume.name.clone())),
            (cluster, SaidBy::Cluster),
            (policies.installation.pools_at_most, SaidBy::Installation),
        ];
        said.into_iter().find_map(|(factor, said_by)| Some(Most { factor: factor?, said_by }))
    };
    let by_configuration = || Most { factor: context.policy.pools.most, said_by: SaidBy::Configuration };
    let allowed =
        volumes.filter(|volume| volume.trash.is_none()).map(|one| of_volume(one).unwrap_or_else(by_configuration));
    allowed.min_by_key(|most| most.factor).unwrap_or_else(by_configuration)
}

/// Refused where a snapshot of the volume would go into a pool whose metadata fill up: each snapshot needs more of them, and
/// a pool that has none left needs a repair while it is offline.
pub fn take_snapshots(context: &Context, topology: &Topology, volume: &Volume) -> Result<(), Rejected> {
    let most = METADATA_MARKS[0];
    let mut by_node = BTreeMap::<NodeId, Vec<PoolSeen>>::new();
    for brick in &volume.bricks {
        let pools = by_node.entry(brick.node).or_insert_with(|| reported(context, topology, brick.node));
        let its = brick.pool_lv();
        let pool = pools.iter().find(|pool| pool.device == brick.device && Some(&pool.name) == its.as_ref());
        let Some((pool, percent)) = pool.and_then(|pool| Some((pool.name.clone(), pool.metadata_percent?))) else {
            continue;
        };
        if percent < most {
            continue;
        }
        let device = topology.devices.get(&brick.device).ok_or(Rejected::NoSuchDevice(brick.device))?;
        let node = topology.nodes.get(&brick.node).ok_or(Rejected::NoSuchNode(brick.node))?.name().to_owned();
        return Err(Rejected::PoolMetadataFills { pool, device: device.name.clone(), node, percent, most });
    }
    Ok(())
}

fn space_of(topology: &Topology, device: &Device) -> DeviceSpace {
    DeviceSpace {
        extent_size: device.space.extent_size,
        total: device.space.total,
        free: topology.free(device),
        spare: topology.spare(device),
        // What is kept from bricks is there for pools that fill up.
        kept: Extents::ZERO,
    }
}

/// Decides, in one change of the state, which pools of the volume are extended and to what. `None`: none is.
async fn submit(context: &Context, id: VolumeId) -> Result<Option<Operation>, Rejected> {
    context
        .state
        .change(|change| {
            // Also where it is in the trash, as clones may live on in its pools.
            let before = at_rest(change, id)?;
            let mut after = before.clone();
            let mut reports: BTreeMap<NodeId, Vec<PoolSeen>> = BTreeMap::new();
            let mut left: BTreeMap<DeviceId, DeviceSpace> = BTreeMap::new();
            for brick in &mut after.bricks {
                let Some(device) = change.devices.get(&brick.device) else { continue };
                if brick.space.pool == Extents::ZERO {
                    continue;
                }
                let pools = reports.entry(brick.node).or_insert_with(|| reported(context, change, brick.node));
                let Some(name) = brick.pool_lv() else { continue };
                let Some(seen) = pools.iter().find(|seen| seen.device == device.id && seen.name == name) else {
                    continue;
                };
                let room = left.entry(device.id).or_insert_with(|| space_of(change, device));
                let in_it = change.bricks_in_pool(device.id, &name);
                let most = most(context, change, in_it.map(|(volume, _)| volume));
                if let Decision::Extend(to) = decide(seen, &brick.space, room, &context.policy.pools, &most)
                    && let Some(rest) = room.after_growth(&brick.space, &to)
                {
                    *room = rest;
                    brick.space = to;
                }
            }
            if after == before {
                return Ok(None);
            }
            let operation = Operation::begun(Plan::PoolExtend(VolumeExpand { before, after }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(Some(operation))
        })
        .await
}

/// Looked at on all hosts before the first pool is extended; a pool never shrinks.
pub fn stages(context: &Context, operation: OperationId, plan: &VolumeExpand) -> Vec<Stage> {
    let grown: Vec<Brick> = plan.grown().cloned().collect();
    vec![
        Stage::of(CheckGrowth::each(context, operation, &plan.after, &grown)),
        Stage::of(GrowBrick::each(context, operation, &plan.after, &grown)).without_return(),
    ]
}

/// Follows the agents' reports until told to stop.
pub async fn watch(operations: Operations, stop: CancellationToken) {
    let mut events = operations.agents().events();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(AgentEvent::Inventory { node }) => look(&operations, node).await,
            // What was missed comes again with the next report.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

async fn look(operations: &Operations, node: NodeId) {
    let (context, topology) = (&operations.context, operations.topology());
    let Some((_, at)) = context.agents.inventory(node) else { return };
    let pools = reported(context, &topology, node);
    context.pool_histories.take(&topology, node, &pools, at);
    let filling: Vec<&PoolSeen> =
        pools.iter().filter(|pool| pool.data_level() > 0 || pool.metadata_level() > 0).collect();
    if filling.is_empty() || context.standing.is_older() {
        return;
    }
    let inside = inside(&topology, node);
    let filling: BTreeSet<VolumeId> = filling
        .into_iter()
        .filter_map(|pool| {
            let within = bricks_in(&inside, pool);
            let (volume, brick) = owner(within)?;
            let space = space_of(&topology, topology.devices.get(&pool.device)?);
            let most = most(context, &topology, within.iter().map(|(volume, _)| *volume));
            let decision = decide(pool, &brick.space, &space, &context.policy.pools, &most);
            matches!(decision, Decision::Extend(_)).then_some(volume.id)
        })
        .collect();
    for volume in filling {
        match operations.extend_pools(volume).await {
            Ok(_) => {}
            // Another change of the volume is under way; the next report comes within a minute.
            Err(rejected) => tracing::debug!(volume.id = %volume, "Its pools are not extended yet: {rejected}"),
        }
    }
}
