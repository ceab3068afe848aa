use std::sync::Arc;

use bricklayer_proto::block::BlockKey;
use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::GroupSpace;
use bricklayer_proto::size::Extents;
use bricklayer_proto::space::BrickSpace;

use super::{BlockVolume, Brick, Cluster, Device, HostingSpace, Node, Operation, Volume};

/// A map whose copies share what they have in common, so that a change of one entry among many is cheap.
pub type Map<K, V> = rpds::RedBlackTreeMapSync<K, V>;

/// Everything, at one moment.
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
}

impl Topology {
    pub fn nodes_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values().filter(move |node| node.cluster == cluster)
    }

    pub fn devices_of(&self, node: NodeId) -> impl Iterator<Item = &Arc<Device>> {
        self.devices.values().filter(move |device| device.node == node)
    }

    pub fn volumes_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Volume>> {
        self.volumes.values().filter(move |volume| volume.cluster == cluster)
    }

    /// The bricks on a device whose volumes are whole, as heketi's clients see them.
    pub fn bricks_of(&self, device: DeviceId) -> impl Iterator<Item = (&Arc<Volume>, &Brick)> {
        self.volumes.values().flat_map(move |volume| {
            volume.bricks.iter().filter(move |brick| brick.device == device).map(move |brick| (volume, brick))
        })
    }

    /// What all bricks on a device take, those in the making included.
    pub fn brick_spaces(&self, device: DeviceId) -> impl Iterator<Item = BrickSpace> + '_ {
        self.bricks.get(&device).into_iter().flat_map(|bricks| bricks.values().map(|brick| brick.space))
    }

    /// Counts these bricks on their devices from now on; one that is counted already as it is now.
    pub fn reserve(&mut self, bricks: &[Brick]) {
        for brick in bricks {
            let on_device = self.bricks.get(&brick.device).cloned().unwrap_or_else(Map::new_sync);
            self.bricks.insert_mut(brick.device, on_device.insert(brick.id, Arc::new(brick.clone())));
        }
    }

    /// Whether an operation that is under way makes or takes away something on the device, so that what its agent
    /// reports of free space is on the move.
    #[must_use]
    pub fn is_moving(&self, device: DeviceId) -> bool {
        self.unfinished.values().any(|operation| operation.plan.changes_device(device))
    }

    /// Whether an operation that is under way changes the volume.
    #[must_use]
    pub fn is_changing(&self, volume: VolumeId) -> bool {
        self.unfinished.values().any(|operation| operation.plan.changes_volume(volume))
    }

    pub fn blocks_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<BlockVolume>> {
        self.block_volumes.values().filter(move |block| block.cluster == cluster)
    }

    /// The whole block volumes in a volume.
    pub fn blocks_in(&self, hosting: VolumeId) -> impl Iterator<Item = &Arc<BlockVolume>> {
        self.block_volumes.values().filter(move |block| block.hosting.volume == hosting)
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
        self.volumes.values().find_map(|volume| volume.brick(id).map(|brick| (volume, brick)))
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
        self.brick_spaces(device.id).map(|space| space.metadata).fold(device.space.spare, Extents::max)
    }

    /// Free extents after everything that is recorded, be it made yet or not. With nothing under way this is LVM's own
    /// `vg_free_count`.
    #[must_use]
    pub fn free(&self, device: &Device) -> Extents {
        let taken = self.brick_spaces(device.id).filter_map(|space| space.taken());
        let mut used = taken.chain([device.foreign, self.spare(device)]);
        let used = used.try_fold(Extents::ZERO, Extents::checked_add);
        used.and_then(|used| device.space.total.checked_sub(used)).unwrap_or(Extents::ZERO)
    }

    /// What is neither free nor ours in a group, by LVM's count of it.
    #[must_use]
    pub fn foreign(&self, device: DeviceId, seen: &GroupSpace) -> Extents {
        let ours = self.brick_spaces(device).filter_map(|space| space.taken());
        ours.chain([seen.free, seen.spare])
            .try_fold(seen.total, |left, extents| left.checked_sub(extents))
            .unwrap_or(Extents::ZERO)
    }

    /// The volume of that name in a cluster, be it whole, in the making or on its way out.
    #[must_use]
    pub fn name_is_taken(&self, cluster: ClusterId, name: &str) -> bool {
        let whole = self.volumes_of(cluster).any(|volume| volume.name.as_str() == name);
        whole
            || self
                .unfinished
                .values()
                .filter_map(|operation| operation.plan.volume())
                .any(|volume| volume.cluster == cluster && volume.name.as_str() == name)
    }
}
