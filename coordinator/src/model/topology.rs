use std::sync::Arc;

use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::size::Extents;
use bricklayer_proto::space::BrickSpace;

use super::{Brick, Cluster, Device, Node, Operation, Plan, Volume};

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
    pub operations: Map<OperationId, Arc<Operation>>,
    /// Operations that are not finished, so that nobody has to look through all of them.
    pub unfinished: Map<OperationId, Arc<Operation>>,
    /// Every brick that has, or is about to have, extents on a device: those of whole volumes, and those of volumes
    /// that are being made or deleted.
    pub bricks: Map<DeviceId, Map<bricklayer_proto::ids::BrickId, Arc<Brick>>>,
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

    /// Whether an operation that is under way makes or takes away something on the device, so that what its agent
    /// reports of free space is on the move.
    #[must_use]
    pub fn is_moving(&self, device: DeviceId) -> bool {
        self.unfinished.values().any(|operation| match &operation.plan {
            Plan::VolumeCreate(_) | Plan::VolumeDelete(_) => {
                operation.plan.volume().is_some_and(|volume| volume.bricks.iter().any(|brick| brick.device == device))
            }
            Plan::DeviceAdd(add) => add.device == device,
            Plan::DeviceDelete(delete) => delete.device.id == device,
            Plan::NodeAdd(_) | Plan::NodeDelete(_) | Plan::DiskWipe(_) | Plan::NodeState(_) | Plan::DeviceState(_) => {
                false
            }
        })
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
