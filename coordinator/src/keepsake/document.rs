//! The documents, as pure functions of the state.
//!
//! Figures that LVM says anew in every inventory are not in them, as a document that changes with each brick would have
//! to be sent to every host each time. They are the JSON of the model's types, as the store's records are: a change of
//! those needs a number of its own here ([`FORMAT`]).

use std::collections::BTreeMap;

use bricklayer_proto::block::InitiatorPassword;
use bricklayer_proto::ids::{BlockVolumeId, DeviceId, InstallationId, NodeId};
use bricklayer_proto::inventory::GroupSpace;
use bricklayer_proto::names::{DevicePath, PvUuid, VgName};
use bricklayer_proto::size::{ExtentSize, Extents};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::mark::Marks;
use crate::model::{AdminState, BlockVolume, Cluster, Device, DiskIdentity, Node, Policies, Tags, Topology, Volume};
use crate::pki::AgentRecord;

pub const FORMAT: u32 = 1;

/// Of the whole installation: the same on every host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstallationDocument {
    pub format: u32,
    pub installation: InstallationId,
    pub clusters: Vec<Cluster>,
    pub nodes: Vec<Node>,
    pub devices: Vec<DeviceDocument>,
    /// Who enrolled, and above all who was revoked since.
    pub agents: BTreeMap<NodeId, AgentRecord>,
    #[serde(default, skip_serializing_if = "Policies::is_empty")]
    pub policies: Policies,
}

/// A device without LVM's figures of its group, but for those that do not change with its bricks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceDocument {
    pub id: DeviceId,
    pub node: NodeId,
    pub name: DevicePath,
    pub pv_uuid: PvUuid,
    pub disk: DiskIdentity,
    pub extent_size: ExtentSize,
    pub total: Extents,
    pub foreign: Extents,
    pub state: AdminState,
    pub tags: Tags,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Of a device that is lost, or on a lost node: nobody will say it anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<GroupSpace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<VgName>,
    pub added: Timestamp,
}

impl DeviceDocument {
    fn of(device: &Device, is_lost: bool) -> Self {
        Self {
            id: device.id,
            node: device.node,
            name: device.name.clone(),
            pv_uuid: device.pv_uuid.clone(),
            disk: device.disk.clone(),
            extent_size: device.space.extent_size,
            total: device.space.total,
            foreign: device.foreign,
            state: device.state,
            tags: device.tags.clone(),
            lost: device.lost,
            space: is_lost.then_some(device.space),
            adopted: device.adopted.clone(),
            added: device.added,
        }
    }

    /// The device, with the figures that were found of its group.
    #[must_use]
    pub fn with(self, space: GroupSpace) -> Device {
        Device {
            id: self.id,
            node: self.node,
            name: self.name,
            pv_uuid: self.pv_uuid,
            disk: self.disk,
            space,
            foreign: self.foreign,
            state: self.state,
            tags: self.tags,
            lost: self.lost,
            adopted: self.adopted,
            added: self.added,
        }
    }
}

impl InstallationDocument {
    #[must_use]
    pub fn of(topology: &Topology, installation: InstallationId, agents: BTreeMap<NodeId, AgentRecord>) -> Self {
        let devices = topology.devices.values();
        Self {
            format: FORMAT,
            installation,
            clusters: topology.clusters.values().map(|cluster| Cluster::clone(cluster)).collect(),
            nodes: topology.nodes.values().map(|node| Node::clone(node)).collect(),
            devices: devices.map(|device| DeviceDocument::of(device, topology.is_lost(device.id))).collect(),
            agents,
            policies: Policies::clone(&topology.policies),
        }
    }
}

/// The volumes of which a host has a brick. Every volume is on as many hosts as its data; one whose hosts are all lost is on
/// every other host of its cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumesDocument {
    pub format: u32,
    pub installation: InstallationId,
    pub node: NodeId,
    pub volumes: Vec<Volume>,
    /// Those in its volumes, without what initiators log in with.
    pub block_volumes: Vec<BlockVolume>,
    /// What initiators log in with, for our eyes only.
    pub sealed: BTreeMap<BlockVolumeId, String>,
}

impl VolumesDocument {
    #[must_use]
    pub fn of(topology: &Topology, node: NodeId, installation: InstallationId, marks: &Marks) -> Self {
        let volumes = topology.volumes_kept_by(node);
        let blocks: BTreeMap<_, _> =
            volumes.keys().flat_map(|volume| topology.blocks_in(*volume)).map(|block| (block.id, block)).collect();
        let with_password = blocks.values().filter(|block| !block.access.password.is_empty());
        Self {
            format: FORMAT,
            installation,
            node,
            volumes: volumes.into_values().map(|volume| Volume::clone(volume)).collect(),
            block_volumes: blocks.values().map(|block| BlockVolume::clone(block).without_secrets()).collect(),
            sealed: with_password
                .map(|block| (block.id, marks.seal(&block.id.to_string(), block.access.password.expose())))
                .collect(),
        }
    }

    /// The block volumes with what initiators log in with. Whatever does not open is left out of them.
    #[must_use]
    pub fn blocks(&self, marks: &Marks) -> Vec<BlockVolume> {
        let opened = self.block_volumes.iter().cloned().map(|mut block| {
            let sealed = self.sealed.get(&block.id);
            if let Some(password) = sealed.and_then(|sealed| marks.open(&block.id.to_string(), sealed)) {
                block.access.password = InitiatorPassword::from(password);
            }
            block
        });
        opened.collect()
    }
}
