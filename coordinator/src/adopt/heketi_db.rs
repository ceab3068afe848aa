//! heketi's database as `heketi db export` and `GET /db/dump` write it. Read strictly where we rely on it: an id that is
//! none, or a size that is no number, is an error with its place. What we do not know is passed over.
//!
//! Sizes are KiB but for those of volumes, which are GiB. Go writes empty lists and maps as `null`.

use std::collections::BTreeMap;

use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::names::{BlockName, DevicePath, HostName, VolumeName};
use serde::{Deserialize, Deserializer};

use crate::model::{AdminState, Tags};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct HeketiDb {
    #[serde(rename = "clusterentries", deserialize_with = "or_empty")]
    pub clusters: BTreeMap<ClusterId, Entry<ClusterInfo>>,
    #[serde(rename = "nodeentries", deserialize_with = "or_empty")]
    pub nodes: BTreeMap<NodeId, NodeEntry>,
    #[serde(rename = "deviceentries", deserialize_with = "or_empty")]
    pub devices: BTreeMap<DeviceId, DeviceEntry>,
    #[serde(rename = "volumeentries", deserialize_with = "or_empty")]
    pub volumes: BTreeMap<VolumeId, VolumeEntry>,
    #[serde(rename = "brickentries", deserialize_with = "or_empty")]
    pub bricks: BTreeMap<BrickId, BrickEntry>,
    #[serde(rename = "blockvolumeentries", default, deserialize_with = "or_empty")]
    pub block_volumes: BTreeMap<BlockVolumeId, BlockEntry>,
    /// What was under way; of it we only want to know whether there is anything.
    #[serde(rename = "pendingoperations", default, deserialize_with = "or_empty")]
    pub pending: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry<T> {
    #[serde(rename = "Info")]
    pub info: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ClusterInfo {
    pub id: ClusterId,
    #[serde(default)]
    pub file: bool,
    #[serde(default)]
    pub block: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NodeEntry {
    #[serde(rename = "State", default)]
    pub state: EntryState,
    #[serde(rename = "Info")]
    pub info: NodeInfo,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NodeInfo {
    pub id: NodeId,
    pub cluster: ClusterId,
    pub zone: u32,
    pub hostnames: HostNames,
    #[serde(default, deserialize_with = "or_empty")]
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HostNames {
    #[serde(deserialize_with = "or_empty")]
    pub manage: Vec<HostName>,
    #[serde(deserialize_with = "or_empty")]
    pub storage: Vec<HostName>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DeviceEntry {
    #[serde(rename = "State", default)]
    pub state: EntryState,
    #[serde(rename = "Info")]
    pub info: DeviceInfo,
    #[serde(rename = "NodeId")]
    pub node: NodeId,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DeviceInfo {
    pub id: DeviceId,
    pub name: DevicePath,
    #[serde(default, deserialize_with = "or_empty")]
    pub tags: Tags,
    /// Empty in databases of before version 10.
    #[serde(default)]
    pub pv_uuid: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VolumeEntry {
    #[serde(rename = "Info")]
    pub info: VolumeInfo,
    /// Sorted by id: which bricks make a set is for GlusterFS to say.
    #[serde(rename = "Bricks", deserialize_with = "or_empty")]
    pub bricks: Vec<BrickId>,
    #[serde(rename = "GlusterVolumeOptions", default, deserialize_with = "or_empty")]
    pub options: Vec<String>,
    #[serde(rename = "Pending", default)]
    pub pending: Pending,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VolumeInfo {
    pub id: VolumeId,
    pub name: VolumeName,
    pub cluster: ClusterId,
    /// GiB.
    pub size: u64,
    pub durability: DurabilityInfo,
    #[serde(default)]
    pub gid: u32,
    #[serde(default)]
    pub block: bool,
    #[serde(default)]
    pub snapshot: SnapshotInfo,
    #[serde(default)]
    pub blockinfo: BlockInfo,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DurabilityInfo {
    /// `none`, `replicate` or `disperse`; empty is `none`.
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub replicate: Replicate,
    #[serde(default)]
    pub disperse: Disperse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Replicate {
    #[serde(default)]
    pub replica: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Disperse {
    #[serde(default)]
    pub data: i64,
    #[serde(default)]
    pub redundancy: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct SnapshotInfo {
    #[serde(default)]
    pub enable: bool,
    #[serde(default)]
    pub factor: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct BlockInfo {
    #[serde(default)]
    pub restriction: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BrickEntry {
    #[serde(rename = "Info")]
    pub info: BrickInfo,
    #[serde(rename = "TpSize", default)]
    pub pool_kib: u64,
    #[serde(rename = "PoolMetadataSize", default)]
    pub metadata_kib: u64,
    /// Empty in older databases: `tp_` and the id.
    #[serde(rename = "LvmThinPool", default)]
    pub pool: String,
    /// Empty in older databases: `brick_` and the id.
    #[serde(rename = "LvmLv", default)]
    pub volume: String,
    /// 2 is an arbiter.
    #[serde(rename = "SubType", default)]
    pub sub_type: u8,
    #[serde(rename = "Pending", default)]
    pub pending: Pending,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BrickInfo {
    pub id: BrickId,
    /// Empty while the brick is being made.
    pub path: String,
    pub device: DeviceId,
    pub node: NodeId,
    /// KiB.
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BlockEntry {
    #[serde(rename = "Info")]
    pub info: BlockVolumeInfo,
    #[serde(rename = "Pending", default)]
    pub pending: Pending,
}

/// With what initiators log in with: never printed.
#[derive(Clone, PartialEq, Deserialize)]
pub struct BlockVolumeInfo {
    pub id: BlockVolumeId,
    pub name: BlockName,
    pub cluster: ClusterId,
    #[serde(rename = "blockhostingvolume")]
    pub hosting: VolumeId,
    /// GiB.
    pub size: u64,
    #[serde(rename = "usablesize", default)]
    pub usable: u64,
    #[serde(rename = "blockvolume", default)]
    pub access: BlockAccess,
}

impl std::fmt::Debug for BlockVolumeInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockVolumeInfo").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct BlockAccess {
    #[serde(default, deserialize_with = "or_empty")]
    pub hosts: Vec<HostName>,
    #[serde(default)]
    pub iqn: String,
    #[serde(default)]
    pub lun: u32,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub password: String,
}

/// The operation that makes or takes the thing away; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pending {
    #[serde(rename = "Id", default)]
    pub id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryState {
    #[default]
    Online,
    Offline,
    Failed,
}

impl From<EntryState> for AdminState {
    fn from(state: EntryState) -> Self {
        match state {
            EntryState::Online => Self::Online,
            EntryState::Offline => Self::Offline,
            EntryState::Failed => Self::Failed,
        }
    }
}

/// A text that is not heketi's database, or is damaged.
#[derive(Debug, thiserror::Error)]
pub enum NotADatabase {
    #[error("this is not a database that heketi exported")]
    Unreadable(#[from] serde_json::Error),
    #[error("heketi's database contradicts itself: {0}")]
    Contradicts(String),
}

impl HeketiDb {
    /// Reads an export, and sees that every id in it leads to something.
    pub fn parse(json: &[u8]) -> Result<Self, NotADatabase> {
        // As a value first: of what a type passes over, serde_json looks at neither letters nor sizes of numbers.
        Self::of(serde_json::from_slice(json)?)
    }

    /// The same of what was parsed as JSON already.
    pub fn of(json: serde_json::Value) -> Result<Self, NotADatabase> {
        let database: Self = serde_json::from_value(json)?;
        database.check()?;
        Ok(database)
    }

    /// Whether nothing was under way when it was written.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.pending.is_empty()
            && self.volumes.values().all(|volume| volume.pending.id.is_empty())
            && self.bricks.values().all(|brick| brick.pending.id.is_empty())
            && self.block_volumes.values().all(|block| block.pending.id.is_empty())
    }

    fn check(&self) -> Result<(), NotADatabase> {
        let wrong = |what: String| Err(NotADatabase::Contradicts(what));
        for (id, cluster) in &self.clusters {
            if cluster.info.id != *id {
                return wrong(format!("cluster {id} says that it is {}", cluster.info.id));
            }
        }
        for (id, node) in &self.nodes {
            if node.info.id != *id {
                return wrong(format!("node {id} says that it is {}", node.info.id));
            }
            if !self.clusters.contains_key(&node.info.cluster) {
                return wrong(format!("node {id} is in cluster {}, which is not there", node.info.cluster));
            }
            if node.info.hostnames.manage.is_empty() || node.info.hostnames.storage.is_empty() {
                return wrong(format!("node {id} has no name"));
            }
            if node.info.zone == 0 {
                return wrong(format!("node {id} is in zone 0"));
            }
        }
        for (id, device) in &self.devices {
            if device.info.id != *id {
                return wrong(format!("device {id} says that it is {}", device.info.id));
            }
            if !self.nodes.contains_key(&device.node) {
                return wrong(format!("device {id} is on node {}, which is not there", device.node));
            }
        }
        let mut used = BTreeMap::new();
        for (id, volume) in &self.volumes {
            if volume.info.id != *id {
                return wrong(format!("volume {id} says that it is {}", volume.info.id));
            }
            if !self.clusters.contains_key(&volume.info.cluster) {
                return wrong(format!("volume {id} is in cluster {}, which is not there", volume.info.cluster));
            }
            for brick in &volume.bricks {
                if !self.bricks.contains_key(brick) {
                    return wrong(format!("volume {id} has brick {brick}, which is not there"));
                }
                if let Some(other) = used.insert(*brick, *id) {
                    return wrong(format!("brick {brick} is in volumes {other} and {id}"));
                }
            }
        }
        for (id, brick) in &self.bricks {
            if brick.info.id != *id {
                return wrong(format!("brick {id} says that it is {}", brick.info.id));
            }
            match self.devices.get(&brick.info.device) {
                Some(device) if device.node == brick.info.node => {}
                Some(_) => return wrong(format!("brick {id} is on another node than its device")),
                None => return wrong(format!("brick {id} is on device {}, which is not there", brick.info.device)),
            }
        }
        for (id, block) in &self.block_volumes {
            if block.info.id != *id {
                return wrong(format!("block volume {id} says that it is {}", block.info.id));
            }
            if !self.volumes.contains_key(&block.info.hosting) {
                return wrong(format!("block volume {id} is in volume {}, which is not there", block.info.hosting));
            }
        }
        Ok(())
    }
}

fn or_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
