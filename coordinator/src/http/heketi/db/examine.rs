//! The examination: what is written down beside what the agents see, host by host.
//!
//! heketi asked every host over SSH, one after the other, and compared names. Ours compares what agents reported last,
//! which is a minute old at most, and waits for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bricklayer_proto::ids::{BrickId, ClusterId, NodeId};
use bricklayer_proto::inventory::{BrickSeen, Inventory, PhysicalVolume, VolumeGroup};
use bricklayer_proto::names::{LvName, VgName};
use serde::Serialize;

use super::dump::Dump;
use crate::http::Service;
use crate::model::{BlockVolume, Node, Topology};

#[derive(Serialize)]
pub struct Examination {
    #[serde(rename = "heketidb")]
    database: Dump,
    report: Vec<String>,
    clusters: Vec<ClusterSeen>,
}

#[derive(Serialize)]
struct ClusterSeen {
    #[serde(rename = "ClusterHeketiID")]
    cluster: ClusterId,
    #[serde(rename = "NodesData")]
    nodes: Vec<NodeSeen>,
}

/// Keys are heketi's, the contents are our agents' own.
#[derive(Serialize)]
struct NodeSeen {
    #[serde(rename = "NodeHeketiID")]
    node: NodeId,
    /// Names of the volumes whose bricks the host has.
    #[serde(rename = "VolumeInfo")]
    volumes: BTreeSet<String>,
    #[serde(rename = "LVMPVInfo")]
    physical_volumes: Vec<PhysicalVolume>,
    #[serde(rename = "LVMVGInfo")]
    groups: Vec<VolumeGroup>,
    #[serde(rename = "LVMLVInfo")]
    bricks: Vec<BrickSeen>,
    #[serde(rename = "BricksMountStatus")]
    mounts: Vec<MountSeen>,
    #[serde(rename = "BlockVolumeNames")]
    block_volumes: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MountSeen {
    brick: BrickId,
    group: VgName,
    volume: LvName,
    mounted: bool,
}

impl Examination {
    pub fn of(service: &Service) -> Self {
        let topology = service.operations.topology();
        let agents = service.operations.agents();
        let mut report = Vec::new();
        let mut clusters: BTreeMap<ClusterId, Vec<NodeSeen>> =
            topology.clusters.keys().map(|cluster| (*cluster, Vec::new())).collect();
        for node in topology.nodes.values() {
            let inventory = agents.inventory(node.id);
            let seen = match &inventory {
                Some((inventory, _)) => {
                    compare(&topology, node, inventory, &mut report);
                    NodeSeen::of(node, inventory, &topology)
                }
                None => {
                    report.push(format!("{}: its agent has not reported since the coordinator started", node.name()));
                    NodeSeen::of(node, &Inventory::default(), &topology)
                }
            };
            clusters.entry(node.cluster).or_default().push(seen);
        }
        let clusters = clusters.into_iter().map(|(cluster, nodes)| ClusterSeen { cluster, nodes }).collect();
        Self { database: Dump::of(&topology, service.trust.installation()), report, clusters }
    }
}

impl NodeSeen {
    fn of(node: &Node, inventory: &Inventory, topology: &Topology) -> Self {
        // No agent reports them: what is written down of the host.
        let exported = |block: &&Arc<BlockVolume>| node.storage_host().is_some_and(|host| block.hosts.contains(host));
        let block_volumes = topology.blocks_of(node.cluster).filter(exported).map(|block| block.name.to_string());
        let mount = |brick: &BrickSeen| MountSeen {
            brick: brick.tags.brick,
            group: brick.group.clone(),
            volume: brick.volume_lv.clone(),
            mounted: brick.mounted.is_some(),
        };
        Self {
            node: node.id,
            volumes: inventory.bricks.iter().map(|brick| brick.tags.volume_name.to_string()).collect(),
            physical_volumes: inventory.groups.iter().flat_map(|group| group.physical_volumes.clone()).collect(),
            groups: inventory.groups.clone(),
            bricks: inventory.bricks.clone(),
            mounts: inventory.bricks.iter().map(mount).collect(),
            block_volumes: block_volumes.collect(),
        }
    }
}

/// What is written down and not there, and what is there and not written down.
fn compare(topology: &Topology, node: &Node, inventory: &Inventory, report: &mut Vec<String>) {
    let name = node.name();
    if !inventory.gluster.running {
        report.push(format!("{name}: glusterd does not answer"));
    }
    let mut expected = BTreeSet::new();
    for device in topology.devices_of(node.id) {
        let tagged = |group: &&VolumeGroup| group.tags.is_some_and(|tags| tags.device == device.id);
        if !inventory.groups.iter().any(|group| tagged(&group)) {
            report.push(format!("{name}: no volume group carries the tags of device {} ({})", device.id, device.name));
        }
        for (volume, brick) in topology.bricks_of(device.id) {
            expected.insert(brick.id);
            match inventory.bricks.iter().find(|seen| seen.tags.brick == brick.id) {
                None => report.push(format!("{name}: brick {} of volume {} is not there", brick.id, volume.name)),
                Some(seen) if seen.mounted.is_none() => {
                    report.push(format!("{name}: brick {} of volume {} is not mounted", brick.id, volume.name));
                }
                Some(_) => {}
            }
        }
    }
    let in_work = |id: &BrickId| topology.bricks.values().any(|bricks| bricks.contains_key(id));
    let unknown =
        inventory.bricks.iter().filter(|seen| !expected.contains(&seen.tags.brick) && !in_work(&seen.tags.brick));
    report.extend(unknown.map(|seen| {
        format!("{name}: brick {} of volume {} is on the disk and in no record", seen.tags.brick, seen.tags.volume_name)
    }));
}
