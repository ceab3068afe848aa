//! The tables of the coordinator's store that hold the topology.

use bricklayer_proto::ids::{BlockVolumeId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_store::Table;

use crate::model::{BlockVolume, Cluster, Device, Node, Operation, Policies, Volume};

pub const CLUSTERS: Table<ClusterId, Cluster> = Table::new("clusters");
pub const NODES: Table<NodeId, Node> = Table::new("nodes");
pub const DEVICES: Table<DeviceId, Device> = Table::new("devices");
pub const VOLUMES: Table<VolumeId, Volume> = Table::new("volumes");
pub const BLOCK_VOLUMES: Table<BlockVolumeId, BlockVolume> = Table::new("block_volumes");
pub const OPERATIONS: Table<OperationId, Operation> = Table::new("operations");
pub const POLICIES: Table<(), Policies> = Table::single("policies");
