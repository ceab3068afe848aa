//! How a topology changes: each record together with everything that is looked up by it.

use std::sync::Arc;

use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};

use super::super::{BlockVolume, Brick, Cluster, Device, Node, Operation, Policies, Volume};
use super::Topology;
use super::index::{inside, put, take};

impl Topology {
    pub fn put_cluster(&mut self, cluster: Cluster) {
        self.touched.hardware = self.version;
        self.clusters.insert_mut(cluster.id, Arc::new(cluster));
    }

    pub fn remove_cluster(&mut self, id: ClusterId) {
        self.touched.hardware = self.version;
        self.clusters.remove_mut(&id);
    }

    pub fn put_policies(&mut self, policies: Policies) {
        // Hosts keep it in the same document.
        self.touched.hardware = self.version;
        self.policies = Arc::new(policies);
    }

    pub fn put_node(&mut self, node: Node) {
        self.touched.hardware = self.version;
        let node = Arc::new(node);
        let before = self.nodes.get(&node.id).cloned();
        if let Some(before) = &before {
            take(&mut self.index.hosts, before.cluster, before.id);
        }
        self.index.refresh_host(&node);
        self.nodes.insert_mut(node.id, Arc::clone(&node));
        // What it keeps besides the volumes on it follows from who is in its cluster and lost.
        match before {
            None => self.touched.volumes.insert_mut(node.id, self.version),
            Some(before) if before.lost != node.lost => self.touch_cluster(node.cluster),
            Some(_) => {}
        }
    }

    pub fn remove_node(&mut self, id: NodeId) {
        self.touched.hardware = self.version;
        if let Some(node) = self.nodes.get(&id) {
            take(&mut self.index.hosts, node.cluster, id);
        }
        self.nodes.remove_mut(&id);
    }

    pub fn put_device(&mut self, device: Device) {
        let device = Arc::new(device);
        let known = self.devices.get(&device.id);
        if known.is_none_or(|before| !before.differs_in_free_space_only(&device)) {
            self.touched.hardware = self.version;
        }
        let before = known.map(|before| before.node);
        self.devices.insert_mut(device.id, Arc::clone(&device));
        if let Some(other) = before.filter(|node| *node != device.node) {
            take(&mut self.index.devices, other, device.id);
            self.host_changed(other);
        }
        put(&mut self.index.devices, device.node, device.id, Arc::clone(&device));
        if before == Some(device.node) {
            self.device_changed(device.id);
        } else {
            self.host_changed(device.node);
        }
    }

    pub fn remove_device(&mut self, id: DeviceId) {
        let Some(node) = self.devices.get(&id).map(|device| device.node) else { return };
        self.touched.hardware = self.version;
        self.devices.remove_mut(&id);
        take(&mut self.index.devices, node, id);
        self.host_changed(node);
    }

    /// Its bricks are counted from now on as they are in it.
    pub fn put_volume(&mut self, volume: Volume) {
        self.reserve(&volume.bricks);
        let volume = Arc::new(volume);
        if let Some(before) = self.volumes.get(&volume.id).cloned() {
            self.index.remove_volume(&before);
            self.touch_hosts(&before);
        }
        self.touch_hosts(&volume);
        self.index.add_volume(&volume);
        self.volumes.insert_mut(volume.id, volume);
    }

    /// Its bricks go on counting until [`Topology::release`].
    pub fn remove_volume(&mut self, id: VolumeId) {
        if let Some(before) = self.volumes.get(&id).cloned() {
            self.index.remove_volume(&before);
            self.touch_hosts(&before);
        }
        self.volumes.remove_mut(&id);
    }

    pub fn put_block_volume(&mut self, block: BlockVolume) {
        let block = Arc::new(block);
        if let Some(before) = self.block_volumes.get(&block.id).cloned() {
            self.index.remove_block(&before);
            self.touch_hosts_of(before.hosting.volume);
        }
        self.index.add_block(&block);
        self.touch_hosts_of(block.hosting.volume);
        self.block_volumes.insert_mut(block.id, block);
    }

    pub fn remove_block_volume(&mut self, id: BlockVolumeId) {
        if let Some(before) = self.block_volumes.get(&id).cloned() {
            self.index.remove_block(&before);
            self.touch_hosts_of(before.hosting.volume);
        }
        self.block_volumes.remove_mut(&id);
    }

    /// One that is not finished holds the extents of its volume's bricks, made or not yet made.
    pub fn put_operation(&mut self, operation: Operation) {
        let operation = Arc::new(operation);
        self.end_operation(operation.id);
        if !operation.state.is_finished() {
            self.reserve(operation.plan.bricks());
            self.index.add_operation(&operation);
            self.unfinished.insert_mut(operation.id, Arc::clone(&operation));
            self.leaving_changed(&operation);
        }
        self.operations.insert_mut(operation.id, operation);
    }

    pub fn remove_operation(&mut self, id: OperationId) {
        self.operations.remove_mut(&id);
        self.end_operation(id);
    }

    fn end_operation(&mut self, id: OperationId) {
        let Some(before) = self.unfinished.get(&id).cloned() else { return };
        self.index.remove_operation(&before);
        self.unfinished.remove_mut(&id);
        self.leaving_changed(&before);
    }

    fn leaving_changed(&mut self, operation: &Operation) {
        if operation.plan.empties_devices() {
            for device in operation.plan.devices() {
                self.device_changed(device);
            }
        }
    }

    /// Counts these bricks on their devices from now on; one that is counted already as it is now.
    pub fn reserve(&mut self, bricks: &[Brick]) {
        for brick in bricks {
            let on_device = self.bricks.get(&brick.device);
            let before = on_device.and_then(|bricks| bricks.get(&brick.id));
            if before.is_some_and(|before| **before == *brick) {
                continue;
            }
            let moves_space = before.is_none_or(|before| before.space != brick.space);
            if moves_space {
                self.unbook(brick.device, brick.id);
            }
            put(&mut self.bricks, brick.device, brick.id, Arc::new(brick.clone()));
            if moves_space {
                let mut booked = self.index.booked(brick.device);
                booked.add(&brick.space);
                self.index.booked.insert_mut(brick.device, booked);
                self.device_changed(brick.device);
            }
        }
    }

    /// Counts a brick no more.
    pub fn release(&mut self, brick: &Brick) {
        self.unbook(brick.device, brick.id);
        take(&mut self.bricks, brick.device, brick.id);
        self.device_changed(brick.device);
    }

    /// Takes what the brick has out of the sums, if it is in them.
    fn unbook(&mut self, device: DeviceId, brick: BrickId) {
        let Some(on_device) = self.bricks.get(&device) else { return };
        let Some(gone) = on_device.get(&brick) else { return };
        let left = on_device.values().filter(|other| other.id != brick).map(|other| &other.space);
        let mut booked = self.index.booked(device);
        booked.remove(&gone.space, left);
        if on_device.size() == 1 {
            self.index.booked.remove_mut(&device);
        } else {
            self.index.booked.insert_mut(device, booked);
        }
    }

    fn touch_hosts(&mut self, volume: &Volume) {
        for brick in &volume.bricks {
            self.touched.volumes.insert_mut(brick.node, self.version);
        }
        if self.has_lost_all_hosts(volume) {
            self.touch_cluster(volume.cluster);
        }
    }

    fn touch_cluster(&mut self, cluster: ClusterId) {
        for node in inside(&self.index.hosts, cluster) {
            self.touched.volumes.insert_mut(node.node.id, self.version);
        }
    }

    fn touch_hosts_of(&mut self, volume: VolumeId) {
        if let Some(volume) = self.volumes.get(&volume).cloned() {
            self.touch_hosts(&volume);
        }
    }

    fn host_changed(&mut self, node: NodeId) {
        if let Some(node) = self.nodes.get(&node) {
            self.index.refresh_host(node);
        }
    }

    fn device_changed(&mut self, device: DeviceId) {
        let Some(device) = self.devices.get(&device) else { return };
        if let Some(node) = self.nodes.get(&device.node) {
            self.index.refresh_device(node, device);
        }
    }
}
