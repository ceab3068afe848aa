//! What is looked up often and follows from the records, kept beside them with every change, so that nobody walks
//! through everything for one answer. It is never stored: a start of the coordinator puts every record once.

use std::sync::Arc;

use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::size::Extents;
use bricklayer_proto::space::BrickSpace;

use super::super::{BlockVolume, Device, Node, Operation, Volume};
use super::Map;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    pub hosts: Map<ClusterId, Map<NodeId, Arc<Host>>>,
    /// By node, also where the node's own record is not there.
    pub devices: Map<NodeId, Map<DeviceId, Arc<Device>>>,
    pub booked: Map<DeviceId, Booked>,
    pub volumes: Map<ClusterId, Map<VolumeId, Arc<Volume>>>,
    /// The whole volume of each brick.
    pub holders: Map<BrickId, VolumeId>,
    /// How many volumes of a cluster have a name, those being made or deleted among them.
    pub names: Map<ClusterId, Map<Arc<str>, u32>>,
    pub blocks: Map<ClusterId, Map<BlockVolumeId, Arc<BlockVolume>>>,
    pub blocks_in: Map<VolumeId, Map<BlockVolumeId, Arc<BlockVolume>>>,
    /// Unfinished operations, by the devices and by the volumes that they change.
    pub by_device: Map<DeviceId, Map<OperationId, Arc<Operation>>>,
    pub by_volume: Map<VolumeId, Map<OperationId, Arc<Operation>>>,
}

/// A node with its devices and what is left on them. Made anew whenever any of that changes, so that two snapshots
/// that share it agree about the node.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub node: Arc<Node>,
    /// By id.
    pub devices: Vec<Hosted>,
}

/// A device as its records say.
#[derive(Clone, Debug, PartialEq)]
pub struct Hosted {
    pub device: Arc<Device>,
    /// After everything that is recorded, be it made yet or not.
    pub free: Extents,
    /// Of pool metadata: what the group has or is about to have.
    pub spare: Extents,
    /// An operation that is under way deletes or empties the device.
    pub leaving: bool,
}

/// What all bricks on a device take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Booked {
    /// Wider than extents are: no sum of them overflows.
    taken: u128,
    metadata: Extents,
}

impl Booked {
    pub fn add(&mut self, space: &BrickSpace) {
        self.taken += taken(space);
        self.metadata = self.metadata.max(space.metadata);
    }

    /// `left`: all that stay.
    pub fn remove<'a>(&mut self, space: &BrickSpace, left: impl Iterator<Item = &'a BrickSpace>) {
        self.taken -= taken(space);
        if space.metadata == self.metadata {
            self.metadata = left.map(|space| space.metadata).max().unwrap_or_default();
        }
    }

    pub fn spare(&self, device: &Device) -> Extents {
        device.space.spare.max(self.metadata)
    }

    pub fn free(&self, device: &Device) -> Extents {
        left(device.space.total, self.taken, [device.foreign, self.spare(device)])
    }

    /// What is left of a group of `total` beside the bricks and the `others`.
    pub fn left_of(&self, total: Extents, others: [Extents; 2]) -> Extents {
        left(total, self.taken, others)
    }
}

fn taken(space: &BrickSpace) -> u128 {
    space.taken().map_or(0, |taken| taken.count().into())
}

fn left(total: Extents, taken: u128, others: [Extents; 2]) -> Extents {
    let used = others.iter().fold(taken, |sum, extents| sum + u128::from(extents.count()));
    let left = u128::from(total.count()).saturating_sub(used);
    Extents::new(u64::try_from(left).unwrap_or(u64::MAX))
}

impl Index {
    /// Of a device on which there is nothing, nothing.
    pub fn booked(&self, device: DeviceId) -> Booked {
        self.booked.get(&device).copied().unwrap_or_default()
    }

    fn hosted(&self, device: &Arc<Device>) -> Hosted {
        let booked = self.booked(device.id);
        Hosted {
            free: booked.free(device),
            spare: booked.spare(device),
            leaving: inside(&self.by_device, device.id).any(|operation| operation.plan.empties_devices()),
            device: Arc::clone(device),
        }
    }

    /// The node, or which devices it has, has changed.
    pub fn refresh_host(&mut self, node: &Arc<Node>) {
        let devices = inside(&self.devices, node.id).map(|device| self.hosted(device)).collect();
        put(&mut self.hosts, node.cluster, node.id, Arc::new(Host { node: Arc::clone(node), devices }));
    }

    /// A device that its node had before has changed, or what is on it.
    pub fn refresh_device(&mut self, node: &Arc<Node>, device: &Arc<Device>) {
        let Some(host) = self.hosts.get(&node.cluster).and_then(|hosts| hosts.get(&node.id)) else { return };
        if let Ok(at) = host.devices.binary_search_by_key(&device.id, |hosted| hosted.device.id) {
            let mut host = Host::clone(host);
            host.devices[at] = self.hosted(device);
            put(&mut self.hosts, node.cluster, node.id, Arc::new(host));
        }
    }

    pub fn add_volume(&mut self, volume: &Arc<Volume>) {
        for brick in &volume.bricks {
            self.holders.insert_mut(brick.id, volume.id);
        }
        self.add_name(volume);
        put(&mut self.volumes, volume.cluster, volume.id, Arc::clone(volume));
    }

    pub fn remove_volume(&mut self, volume: &Volume) {
        for brick in &volume.bricks {
            self.holders.remove_mut(&brick.id);
        }
        self.remove_name(volume);
        take(&mut self.volumes, volume.cluster, volume.id);
    }

    fn add_name(&mut self, volume: &Volume) {
        let name: Arc<str> = volume.name.as_str().into();
        let count = self.names.get(&volume.cluster).and_then(|names| names.get(&name)).copied().unwrap_or(0);
        put(&mut self.names, volume.cluster, name, count + 1);
    }

    fn remove_name(&mut self, volume: &Volume) {
        let name: Arc<str> = volume.name.as_str().into();
        match self.names.get(&volume.cluster).and_then(|names| names.get(&name)).copied().unwrap_or(0) {
            0 | 1 => take(&mut self.names, volume.cluster, name),
            count => put(&mut self.names, volume.cluster, name, count - 1),
        }
    }

    /// One that is not finished.
    pub fn add_operation(&mut self, operation: &Arc<Operation>) {
        for device in operation.plan.devices() {
            put(&mut self.by_device, device, operation.id, Arc::clone(operation));
        }
        for volume in operation.plan.volumes() {
            put(&mut self.by_volume, volume, operation.id, Arc::clone(operation));
        }
        if let Some(volume) = operation.plan.volume() {
            self.add_name(volume);
        }
    }

    pub fn remove_operation(&mut self, operation: &Operation) {
        for device in operation.plan.devices() {
            take(&mut self.by_device, device, operation.id);
        }
        for volume in operation.plan.volumes() {
            take(&mut self.by_volume, volume, operation.id);
        }
        if let Some(volume) = operation.plan.volume() {
            self.remove_name(volume);
        }
    }

    pub fn add_block(&mut self, block: &Arc<BlockVolume>) {
        put(&mut self.blocks, block.cluster, block.id, Arc::clone(block));
        put(&mut self.blocks_in, block.hosting.volume, block.id, Arc::clone(block));
    }

    pub fn remove_block(&mut self, block: &BlockVolume) {
        take(&mut self.blocks, block.cluster, block.id);
        take(&mut self.blocks_in, block.hosting.volume, block.id);
    }
}

/// All that one of these holds, by id.
pub(super) fn inside<O: Ord, I: Ord, V>(map: &Map<O, Map<I, V>>, outer: O) -> impl Iterator<Item = &V> {
    map.get(&outer).into_iter().flat_map(Map::values)
}

pub(super) fn put<O, I, V>(map: &mut Map<O, Map<I, V>>, outer: O, inner: I, value: V)
where
    O: Ord + Clone,
    I: Ord + Clone,
    V: Clone,
{
    let changed = map.get(&outer).cloned().unwrap_or_else(Map::new_sync).insert(inner, value);
    map.insert_mut(outer, changed);
}

/// Leaves no empty map behind.
pub(super) fn take<O, I, V>(map: &mut Map<O, Map<I, V>>, outer: O, inner: I)
where
    O: Ord + Clone,
    I: Ord + Clone,
    V: Clone,
{
    let Some(changed) = map.get(&outer).map(|inside| inside.remove(&inner)) else { return };
    if changed.is_empty() {
        map.remove_mut(&outer);
    } else {
        map.insert_mut(outer, changed);
    }
}
