//! Everything at one moment, and how it is looked up: no answer walks through all of it.

mod edit;
mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bricklayer_proto::block::BlockKey;
use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::GroupSpace;
use bricklayer_proto::names::LvName;
use bricklayer_proto::size::Extents;
use bricklayer_proto::space::BrickSpace;

use self::index::{Index, inside};
use super::{BlockVolume, Brick, Cluster, Device, HostingSpace, Node, Operation, Policies, Volume};

pub use index::{Host, Hosted};
#[cfg(test)]
pub use tests::snapshots;

/// A map whose copies share what they have in common, so that a change of one entry among many is cheap.
pub type Map<K, V> = rpds::RedBlackTreeMapSync<K, V>;

/// Everything, at one moment. Its maps are for reading; they change by its own functions alone, which keep the index.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// Raised by each change; of two snapshots the higher one is newer.
    pub version: u64,
    pub clusters: Map<ClusterId, Arc<Cluster>>,
    pub nodes: Map<NodeId, Arc<Node>>,
    pub devices: Map<DeviceId, Arc<Device>>,
    /// Whole volumes only: those being made or deleted are in their operations.
    pub volumes: Map<VolumeId, Arc<Volume>>,
    /// Whole ones only, as of volumes.
    pub block_volumes: Map<BlockVolumeId, Arc<BlockVolume>>,
    pub operations: Map<OperationId, Arc<Operation>>,
    /// Operations that are not finished, so that nobody has to look through all of them.
    pub unfinished: Map<OperationId, Arc<Operation>>,
    /// Every brick that has, or is about to have, extents on a device: those of whole volumes, and those of volumes
    /// that are being made or deleted.
    pub bricks: Map<DeviceId, Map<BrickId, Arc<Brick>>>,
    pub policies: Arc<Policies>,
    index: Index,
    touched: Touched,
}

/// Which version changed what, for those who keep something made of it. Counted from the start of the coordinator.
#[derive(Clone, Debug, Default)]
struct Touched {
    hardware: u64,
    volumes: Map<NodeId, u64>,
}

impl Topology {
    pub fn nodes_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Node>> {
        self.hosts_of(cluster).map(|host| &host.node)
    }

    /// The version that last changed a cluster, a node, or a device in more than the space that its bricks take.
    #[must_use]
    pub fn hardware_changed(&self) -> u64 {
        self.touched.hardware
    }

    /// The version that last changed a volume of [`Self::volumes_kept_by`] this node, or a block volume in one.
    #[must_use]
    pub fn volumes_changed(&self, node: NodeId) -> u64 {
        self.touched.volumes.get(&node).copied().unwrap_or_default()
    }

    /// The whole volumes that this node keeps a record of, by id: those with a brick on it, and those of its cluster whose
    /// bricks are all on lost nodes, as nobody else is left to tell of them.
    #[must_use]
    pub fn volumes_kept_by(&self, node: NodeId) -> BTreeMap<VolumeId, &Arc<Volume>> {
        let cluster = self.nodes.get(&node).map(|node| node.cluster);
        let mates = cluster.into_iter().flat_map(|cluster| self.nodes_of(cluster));
        let lost = mates.filter(|mate| mate.lost).flat_map(|mate| self.volumes_on(mate.id));
        let orphaned = lost.filter(|volume| self.has_lost_all_hosts(volume));
        self.volumes_on(node).chain(orphaned).map(|volume| (volume.id, volume)).collect()
    }

    /// The whole volume of each brick on a node.
    fn volumes_on(&self, node: NodeId) -> impl Iterator<Item = &Arc<Volume>> {
        let bricks = self.devices_of(node).flat_map(|device| inside(&self.bricks, device.id));
        let holders = bricks.filter_map(|brick| self.brick(brick.id));
        holders.filter(move |(_, brick)| brick.node == node).map(|(volume, _)| volume)
    }

    fn has_lost_all_hosts(&self, volume: &Volume) -> bool {
        volume.bricks.iter().all(|brick| self.nodes.get(&brick.node).is_some_and(|node| node.lost))
    }

    /// The nodes of a cluster with what is left on their devices.
    pub fn hosts_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Host>> {
        inside(&self.index.hosts, cluster)
    }

    /// One of them.
    #[must_use]
    pub fn host(&self, cluster: ClusterId, node: NodeId) -> Option<&Arc<Host>> {
        self.index.hosts.get(&cluster)?.get(&node)
    }

    pub fn devices_of(&self, node: NodeId) -> impl Iterator<Item = &Arc<Device>> {
        inside(&self.index.devices, node)
    }

    pub fn volumes_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Volume>> {
        inside(&self.index.volumes, cluster)
    }

    #[must_use]
    pub fn number_of_volumes(&self, cluster: ClusterId) -> usize {
        self.index.volumes.get(&cluster).map_or(0, Map::size)
    }

    /// The bricks on a device whose volumes are whole, as heketi's clients see them.
    pub fn bricks_of(&self, device: DeviceId) -> impl Iterator<Item = (&Arc<Volume>, &Brick)> {
        // What a whole volume has is always counted on its device.
        let mut bricks: Vec<_> = inside(&self.bricks, device)
            .filter_map(|brick| self.brick(brick.id))
            .filter(|(_, brick)| brick.device == device)
            .collect();
        bricks.sort_by_key(|(volume, brick)| (volume.id, brick.set, brick.position));
        bricks.into_iter()
    }

    /// The whole bricks in a thin pool.
    pub fn bricks_in_pool(&self, device: DeviceId, pool: &LvName) -> impl Iterator<Item = (&Arc<Volume>, &Brick)> {
        self.bricks_of(device).filter(move |(_, brick)| brick.pool_lv().as_ref() == Some(pool))
    }

    /// The whole brick that a thin pool is counted with: the one that it was made for and, once that is gone, a clone that lives on
    /// in it, whatever the pool is called.
    #[must_use]
    pub fn brick_of_pool(&self, device: DeviceId, pool: &LvName) -> Option<&Brick> {
        self.bricks_in_pool(device, pool).map(|(_, brick)| brick).find(|brick| brick.space.pool > Extents::ZERO)
    }

    /// What all bricks on a device take, those in the making included.
    pub fn brick_spaces(&self, device: DeviceId) -> impl Iterator<Item = BrickSpace> + '_ {
        inside(&self.bricks, device).map(|brick| brick.space)
    }

    /// What the bricks on a device may hold beyond what their pools have; clones in a pool count. Pools that have more than
    /// their bricks, for snapshots, make up for no other.
    #[must_use]
    pub fn promised_beyond(&self, device: DeviceId) -> Extents {
        let mut pools: BTreeMap<BrickId, (u64, u64)> = BTreeMap::new();
        for brick in inside(&self.bricks, device) {
            let (promised, has) = pools.entry(brick.pool_of()).or_default();
            *promised = promised.saturating_add(brick.space.volume.count());
            *has = has.saturating_add(brick.space.pool.count());
        }
        Extents::new(pools.values().map(|(promised, has)| promised.saturating_sub(*has)).fold(0, u64::saturating_add))
    }

    /// Whether an operation that is under way makes or takes away something on the device, so that what its agent
    /// reports of free space is on the move.
    #[must_use]
    pub fn is_moving(&self, device: DeviceId) -> bool {
        self.index.by_device.contains_key(&device)
    }

    /// The operations that are under way and make, remove or empty the device, or make or remove something on it.
    pub fn changing_device(&self, device: DeviceId) -> impl Iterator<Item = &Arc<Operation>> {
        inside(&self.index.by_device, device)
    }

    /// Whether an operation that is under way changes the volume.
    #[must_use]
    pub fn is_changing(&self, volume: VolumeId) -> bool {
        self.index.by_volume.contains_key(&volume)
    }

    /// The operations that are changing a volume.
    pub fn changes_of(&self, volume: VolumeId) -> impl Iterator<Item = &Operation> {
        self.index.by_volume.get(&volume).into_iter().flat_map(|operations| operations.values().map(AsRef::as_ref))
    }

    pub fn blocks_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<BlockVolume>> {
        inside(&self.index.blocks, cluster)
    }

    /// The whole block volumes in a volume.
    pub fn blocks_in(&self, hosting: VolumeId) -> impl Iterator<Item = &Arc<BlockVolume>> {
        inside(&self.index.blocks_in, hosting)
    }

    /// The block volumes in a volume that are being made, changed or deleted, each with the GiB that it takes beyond
    /// what its record says.
    pub fn blocks_changing_in(&self, hosting: VolumeId) -> impl Iterator<Item = (BlockKey, u64)> {
        let changing = self.unfinished.values().filter_map(|operation| operation.plan.block());
        changing.filter(move |(key, _)| key.hosting.volume == hosting)
    }

    /// What a block hosting volume can still take. What is being made or deleted counts as there.
    #[must_use]
    pub fn hosting_space(&self, volume: &Volume) -> HostingSpace {
        let whole = self.blocks_in(volume.id).map(|block| block.size.whole_gib());
        let changing = self.blocks_changing_in(volume.id).map(|(_, gib)| gib);
        HostingSpace::of(volume.size, whole.chain(changing).fold(0, u64::saturating_add))
    }

    /// Whether an operation that is under way makes, changes or deletes the block volume.
    #[must_use]
    pub fn is_changing_block(&self, id: BlockVolumeId) -> bool {
        self.unfinished.values().filter_map(|operation| operation.plan.block()).any(|(key, _)| key.block == id)
    }

    /// The same, or a volume that shares a pool with it: a clone, its source, or another clone of that. Who goes first
    /// passes the pool on, so only one of them changes at a time.
    #[must_use]
    pub fn family_is_changing(&self, volume: &Volume) -> bool {
        let shares = |other: &Brick| {
            volume.bricks.iter().any(|brick| brick.device == other.device && brick.pool_of() == other.pool_of())
        };
        self.unfinished
            .values()
            .any(|operation| operation.plan.changes_volume(volume.id) || operation.plan.touched().any(shares))
    }

    /// The whole volume that a brick belongs to.
    #[must_use]
    pub fn brick(&self, id: BrickId) -> Option<(&Arc<Volume>, &Brick)> {
        let volume = self.volumes.get(self.index.holders.get(&id)?)?;
        Some((volume, volume.brick(id)?))
    }

    /// Whether a person declared that the device, or the node that holds it, will never come back.
    #[must_use]
    pub fn is_lost(&self, device: DeviceId) -> bool {
        let Some(device) = self.devices.get(&device) else { return true };
        device.lost || self.nodes.get(&device.node).is_none_or(|node| node.lost)
    }

    /// The spare of pool metadata that the group has or is about to have.
    #[must_use]
    pub fn spare(&self, device: &Device) -> Extents {
        self.index.booked(device.id).spare(device)
    }

    /// Free extents after everything that is recorded, be it made yet or not. With nothing under way this is LVM's own
    /// `vg_free_count`.
    #[must_use]
    pub fn free(&self, device: &Device) -> Extents {
        self.index.booked(device.id).free(device)
    }

    /// What is neither free nor ours in a group, by LVM's count of it.
    #[must_use]
    pub fn foreign(&self, device: DeviceId, seen: &GroupSpace) -> Extents {
        self.index.booked(device).left_of(seen.total, [seen.free, seen.spare])
    }

    /// The volume of that name in a cluster, be it whole, in the making or on its way out.
    #[must_use]
    pub fn name_is_taken(&self, cluster: ClusterId, name: &str) -> bool {
        self.index.names.get(&cluster).is_some_and(|names| names.contains_key(name))
    }

    /// Whether more than one volume has the name, counted as by [`Self::name_is_taken`].
    #[must_use]
    pub fn name_is_shared(&self, cluster: ClusterId, name: &str) -> bool {
        self.index.names.get(&cluster).and_then(|names| names.get(name)).is_some_and(|count| *count > 1)
    }
}
