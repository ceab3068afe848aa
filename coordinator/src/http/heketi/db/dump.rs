//! `/db/dump`: everything that is written down, in the shape of heketi's own dump, so that tools that read that one read
//! ours.

use std::collections::BTreeMap;

use bricklayer_api::heketi::{
    BlockVolumeInfo, Brick as BrickInfo, ClusterInfo, DeviceInfo, Durability, EntryState, HostAddresses, Mount,
    NodeInfo, Snapshot as SnapshotInfo, StorageSize, Tags, VolumeInfo,
};
use bricklayer_proto::ids::{
    BlockVolumeId, BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, VolumeId,
};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::names::VgName;
use bricklayer_proto::size::{ByteSize, Extents};
use serde::Serialize;

use crate::http::heketi::{block_volumes, clusters, devices, nodes, operations, volumes};
use crate::model::{BlockVolume, Brick, OpState, Operation, Plan, Topology, Volume};

/// What heketi's clients may find missing in a database of an older version. Ours has it all.
const ATTRIBUTES: [&str; 4] = [
    "DB_BRICK_HAS_SUBTYPE_FIELD",
    "DB_CLUSTER_HAS_FILE_BLOCK_FLAG",
    "DB_DEVICE_HAS_ID_META",
    "DB_HAS_PENDING_OPS_BUCKET",
];

#[derive(Serialize)]
pub struct Dump {
    #[serde(rename = "clusterentries")]
    clusters: BTreeMap<ClusterId, ClusterEntry>,
    #[serde(rename = "volumeentries")]
    volumes: BTreeMap<VolumeId, VolumeEntry>,
    #[serde(rename = "brickentries")]
    bricks: BTreeMap<BrickId, BrickEntry>,
    #[serde(rename = "nodeentries")]
    nodes: BTreeMap<NodeId, NodeEntry>,
    #[serde(rename = "deviceentries")]
    devices: BTreeMap<DeviceId, DeviceEntry>,
    #[serde(rename = "blockvolumeentries")]
    block_volumes: BTreeMap<BlockVolumeId, BlockVolumeEntry>,
    #[serde(rename = "dbattributeentries")]
    attributes: BTreeMap<String, AttributeEntry>,
    #[serde(rename = "pendingoperations")]
    operations: BTreeMap<OperationId, OperationEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClusterEntry {
    info: ClusterInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeEntry {
    info: VolumeHead,
    bricks: Vec<BrickId>,
    gluster_volume_options: Vec<String>,
    pending: Pending,
}

/// What REST says of a volume, without its bricks and options.
#[derive(Serialize)]
struct VolumeHead {
    size: u64,
    name: String,
    durability: Durability,
    #[serde(skip_serializing_if = "is_zero")]
    gid: i64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    block: bool,
    snapshot: SnapshotInfo,
    id: VolumeId,
    cluster: ClusterId,
    mount: Mount,
    blockinfo: bricklayer_api::heketi::BlockInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BrickEntry {
    info: BrickInfo,
    /// KiB, as all sizes in a dump.
    tp_size: u64,
    pool_metadata_size: u64,
    pending: Pending,
    lvm_thin_pool: String,
    lvm_lv: String,
    sub_type: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeEntry {
    state: EntryState,
    info: NodeHead,
    devices: Vec<DeviceId>,
}

#[derive(Serialize)]
struct NodeHead {
    zone: i64,
    hostnames: HostAddresses,
    cluster: ClusterId,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: Tags,
    id: NodeId,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeviceEntry {
    state: EntryState,
    info: DeviceHead,
    bricks: Vec<BrickId>,
    node_id: NodeId,
    extent_size: u64,
}

#[derive(Serialize)]
struct DeviceHead {
    name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: Tags,
    storage: StorageSize,
    id: DeviceId,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
    pv_uuid: String,
}

/// Without its password, unlike heketi's: a dump is what people send around to be helped.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BlockVolumeEntry {
    info: BlockVolumeInfo,
    pending: Pending,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeEntry {
    key: String,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OperationEntry {
    id: OperationId,
    timestamp: i64,
    r#type: u8,
    actions: Vec<ActionEntry>,
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ActionEntry {
    change: u8,
    id: String,
    delta: u64,
}

/// The operation that makes or takes away the thing; empty for none.
#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pending {
    id: String,
}

impl Dump {
    pub fn of(topology: &Topology, installation: InstallationId) -> Self {
        let mut dump = Self {
            clusters: BTreeMap::new(),
            volumes: BTreeMap::new(),
            bricks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            devices: BTreeMap::new(),
            block_volumes: BTreeMap::new(),
            attributes: attributes(installation),
            operations: BTreeMap::new(),
        };
        for cluster in topology.clusters.values() {
            dump.clusters.insert(cluster.id, ClusterEntry { info: clusters::view(topology, cluster) });
        }
        for node in topology.nodes.values() {
            let NodeInfo { zone, hostnames, cluster, tags, id, state, devices } = nodes::view(topology, node);
            let info = NodeHead { zone, hostnames, cluster, tags, id };
            let devices = devices.into_iter().map(|device| device.id).collect();
            dump.nodes.insert(id, NodeEntry { state, info, devices });
        }
        for device in topology.devices.values() {
            let DeviceInfo { name, tags, storage, id, paths, pv_uuid, state, bricks, failing: _ } =
                devices::view(topology, device);
            let info = DeviceHead { name, tags, storage, id, paths, pv_uuid };
            let bricks = bricks.into_iter().map(|brick| brick.id).collect();
            let extent_size = ByteSize::from_bytes(device.space.extent_size.bytes()).whole_kib();
            dump.devices.insert(id, DeviceEntry { state, info, bricks, node_id: device.node, extent_size });
        }
        for volume in topology.volumes.values() {
            dump.volume(topology, volume, None);
        }
        for block in topology.block_volumes.values() {
            dump.block_volume(block, String::new());
        }
        for operation in topology.unfinished.values() {
            dump.operation(topology, operation);
        }
        dump
    }

    /// For `heketi db import`: with what initiators log in with, and with what devices have left as heketi counts it. LVM has
    /// less, by the spare of pool metadata; heketi's own check of a database would find that.
    pub fn for_heketi(topology: &Topology, installation: InstallationId) -> Self {
        let mut dump = Self::of(topology, installation);
        // heketi computes what a group is called, so it could do nothing with one that a person named.
        let named = topology.devices.values().filter(|device| device.group() != VgName::of_device(device.id));
        for device in named {
            dump.leave_out(device.id);
        }
        for device in topology.devices.values() {
            let kib = |extents: Extents| extents.to_bytes(device.space.extent_size).map_or(0, ByteSize::whole_kib);
            let used = topology.brick_spaces(device.id).filter_map(|space| space.taken()).map(kib);
            let (total, used) = (kib(device.space.total), used.fold(0, u64::saturating_add));
            if let Some(entry) = dump.devices.get_mut(&device.id) {
                entry.info.storage =
                    StorageSize { total_kib: total, free_kib: total.saturating_sub(used), used_kib: used };
            }
        }
        for block in topology.block_volumes.values() {
            if let Some(entry) = dump.block_volumes.get_mut(&block.id) {
                entry.info = block_volumes::view(block);
            }
        }
        dump
    }

    /// The device, and every volume that has a brick on it.
    fn leave_out(&mut self, device: DeviceId) {
        self.devices.remove(&device);
        self.nodes.values_mut().for_each(|node| node.devices.retain(|id| *id != device));
        let gone: Vec<VolumeId> =
            self.bricks.values().filter(|brick| brick.info.device == device).map(|brick| brick.info.volume).collect();
        for volume in gone {
            self.volumes.remove(&volume);
            self.bricks.retain(|_, brick| brick.info.volume != volume);
            self.block_volumes.retain(|_, block| block.info.hosting_volume != volume);
            for cluster in self.clusters.values_mut() {
                cluster.info.volumes.retain(|id| *id != volume);
            }
        }
        let bricks: std::collections::BTreeSet<BrickId> = self.bricks.keys().copied().collect();
        self.devices.values_mut().for_each(|device| device.bricks.retain(|id| bricks.contains(id)));
        let blocks: std::collections::BTreeSet<BlockVolumeId> = self.block_volumes.keys().copied().collect();
        self.clusters.values_mut().for_each(|cluster| cluster.info.block_volumes.retain(|id| blocks.contains(id)));
    }

    fn volume(&mut self, topology: &Topology, volume: &Volume, pending: Option<OperationId>) {
        let info = volumes::view(topology, volume);
        let bricks = info.bricks.iter().map(|brick| brick.id).collect();
        let gluster_volume_options = info.gluster_volume_options.clone();
        let id = pending.map_or_else(String::new, |id| id.to_string());
        let pending = Pending { id };
        self.volumes.insert(
            volume.id,
            VolumeEntry { info: info.into(), bricks, gluster_volume_options, pending: pending.clone() },
        );
        for brick in &volume.bricks {
            self.brick(topology, volume.id, brick, pending.clone());
        }
    }

    fn brick(&mut self, topology: &Topology, volume: VolumeId, brick: &Brick, pending: Pending) {
        let one = topology.devices.get(&brick.device).map(|device| device.space.extent_size);
        let kib = |extents: Extents| one.and_then(|one| extents.to_bytes(one)).map_or(0, ByteSize::whole_kib);
        let entry = BrickEntry {
            info: devices::brick_view(volume, brick),
            tp_size: if brick.is_thick() { 0 } else { kib(brick.space.pool) },
            pool_metadata_size: kib(brick.space.metadata),
            pending,
            // heketi knows no brick without one; its export is refused where there is one.
            lvm_thin_pool: brick.pool_lv().map(|pool| pool.to_string()).unwrap_or_default(),
            lvm_lv: brick.volume_lv().to_string(),
            sub_type: match brick.role {
                BrickRole::Data => 1,
                BrickRole::Arbiter => 2,
            },
        };
        self.bricks.insert(brick.id, entry);
    }

    fn block_volume(&mut self, block: &BlockVolume, pending: String) {
        let info = block_volumes::view(&block.clone().without_secrets());
        self.block_volumes.insert(block.id, BlockVolumeEntry { info, pending: Pending { id: pending } });
    }

    /// Those that heketi has a number for, and what they make or take away.
    fn operation(&mut self, topology: &Topology, operation: &Operation) {
        if let Some(volume) = operation.plan.volume() {
            self.volume(topology, volume, Some(operation.id));
        }
        let pending = Pending { id: operation.id.to_string() };
        match &operation.plan {
            Plan::VolumeExpand(expand) => {
                for brick in expand.added() {
                    self.brick(topology, expand.after.id, brick, pending.clone());
                }
            }
            Plan::BlockCreate(create) => self.block_volume(&create.block, operation.id.to_string()),
            Plan::BlockDelete(delete) => self.block_volume(&delete.block, operation.id.to_string()),
            Plan::BrickReplace(replace) => self.brick(topology, replace.volume.id, &replace.new, pending),
            _ => {}
        }
        let Some((_, number)) = operations::type_number(&operation.plan) else { return };
        let delta = |action: operations::Action| match (&operation.plan, action) {
            (Plan::VolumeExpand(plan), operations::Action::ExpandVolume) => {
                plan.after.size.whole_gib().saturating_sub(plan.before.size.whole_gib())
            }
            _ => 0,
        };
        let actions = operations::actions(&operation.plan).into_iter();
        let entry = OperationEntry {
            id: operation.id,
            timestamp: operation.started.as_second(),
            r#type: number,
            actions: actions
                .map(|(action, id)| ActionEntry { change: action.number(), id, delta: delta(action) })
                .collect(),
            status: if matches!(operation.state, OpState::Stuck { .. }) { "failed" } else { "" },
        };
        self.operations.insert(operation.id, entry);
    }
}

impl From<VolumeInfo> for VolumeHead {
    fn from(info: VolumeInfo) -> Self {
        Self {
            size: info.size_gib,
            name: info.name,
            durability: info.durability,
            gid: info.gid,
            block: info.block,
            snapshot: info.snapshot,
            id: info.id,
            cluster: info.cluster,
            mount: info.mount,
            blockinfo: info.block_info,
        }
    }
}

fn attributes(installation: InstallationId) -> BTreeMap<String, AttributeEntry> {
    let there = ATTRIBUTES.into_iter().map(|key| (key, "yes".to_owned()));
    let all = there.chain([("DB_GENERATION_ID", installation.to_string())]);
    all.map(|(key, value)| (key.to_owned(), AttributeEntry { key: key.to_owned(), value })).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
