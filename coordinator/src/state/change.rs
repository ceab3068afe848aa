//! One change of the state: edits the topology in memory and writes down the same for the store.

use std::ops::Deref;
use std::sync::Arc;

use bricklayer_proto::ids::{BlockVolumeId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::size::Extents;
use bricklayer_store::Batch;

use super::tables;
use crate::model::{BlockVolume, Brick, Cluster, Device, Node, Operation, Policies, Topology, Volume};

/// A topology that is being edited. Reads as a [`Topology`], with the edits in it.
pub struct Change {
    topology: Topology,
    batch: Batch,
}

impl Deref for Change {
    type Target = Topology;

    fn deref(&self) -> &Topology {
        &self.topology
    }
}

impl Change {
    pub(super) fn of(before: &Arc<Topology>) -> Self {
        let mut topology = Topology::clone(before);
        topology.version += 1;
        Self { topology, batch: Batch::new() }
    }

    pub(super) fn finish(self) -> (Topology, Batch) {
        (self.topology, self.batch)
    }

    pub fn put_cluster(&mut self, cluster: Cluster) {
        self.batch.put(&tables::CLUSTERS, &cluster.id, &cluster);
        self.topology.put_cluster(cluster);
    }

    pub fn remove_cluster(&mut self, id: ClusterId) {
        self.batch.remove(&tables::CLUSTERS, &id);
        self.topology.remove_cluster(id);
    }

    pub fn put_policies(&mut self, policies: Policies) {
        self.batch.put(&tables::POLICIES, &(), &policies);
        self.topology.put_policies(policies);
    }

    pub fn put_node(&mut self, node: Node) {
        self.batch.put(&tables::NODES, &node.id, &node);
        self.topology.put_node(node);
    }

    pub fn remove_node(&mut self, id: NodeId) {
        self.batch.remove(&tables::NODES, &id);
        self.topology.remove_node(id);
    }

    pub fn put_device(&mut self, device: Device) {
        self.batch.put(&tables::DEVICES, &device.id, &device);
        self.topology.put_device(device);
    }

    pub fn remove_device(&mut self, id: DeviceId) {
        self.batch.remove(&tables::DEVICES, &id);
        self.topology.remove_device(id);
    }

    pub fn put_volume(&mut self, volume: Volume) {
        self.batch.put(&tables::VOLUMES, &volume.id, &volume);
        self.topology.put_volume(volume);
    }

    /// Hides the volume. Its bricks go on counting until [`Change::release`], as they still take their extents.
    pub fn remove_volume(&mut self, id: VolumeId) {
        self.batch.remove(&tables::VOLUMES, &id);
        self.topology.remove_volume(id);
    }

    pub fn put_block_volume(&mut self, block: BlockVolume) {
        self.batch.put(&tables::BLOCK_VOLUMES, &block.id, &block);
        self.topology.put_block_volume(block);
    }

    pub fn remove_block_volume(&mut self, id: BlockVolumeId) {
        self.batch.remove(&tables::BLOCK_VOLUMES, &id);
        self.topology.remove_block_volume(id);
    }

    /// The bricks are gone from their devices. A pool in which clones live on is counted with one of them from now on.
    pub fn release(&mut self, bricks: &[Brick]) {
        for brick in bricks {
            self.topology.release(brick);
            self.pass_on_pool(brick);
        }
    }

    fn pass_on_pool(&mut self, gone: &Brick) {
        if gone.space.pool == Extents::ZERO {
            return;
        }
        let shares = |brick: &Brick| brick.device == gone.device && brick.pool_of() == gone.pool_of();
        let heir = self.topology.bricks_of(gone.device).find(|(_, brick)| shares(brick));
        let Some((heir, _)) = heir else { return };
        let mut heir = Volume::clone(heir);
        if let Some(brick) = heir.bricks.iter_mut().find(|brick| shares(brick)) {
            brick.space.pool = gone.space.pool;
            brick.space.metadata = gone.space.metadata;
        }
        self.put_volume(heir);
    }

    /// An operation that is not finished holds the extents of its volume's bricks, made or not yet made.
    pub fn put_operation(&mut self, operation: Operation) {
        self.batch.put(&tables::OPERATIONS, &operation.id, &operation);
        self.topology.put_operation(operation);
    }

    pub fn remove_operation(&mut self, id: OperationId) {
        self.batch.remove(&tables::OPERATIONS, &id);
        self.topology.remove_operation(id);
    }
}
