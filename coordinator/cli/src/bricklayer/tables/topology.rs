//! Everything at once.

use std::fmt::Write as _;

use bricklayer_api::heketi::{TopologyCluster, TopologyInfo};

use super::{Width, device_list, indented, node_list, volume_list};

pub fn topology_info(topology: &TopologyInfo, width: Width) -> String {
    if topology.clusters.is_empty() {
        return "There is no cluster yet.\n".to_owned();
    }
    topology.clusters.iter().map(|cluster| topology_cluster(cluster, width)).collect::<Vec<_>>().join("\n")
}

fn topology_cluster(cluster: &TopologyCluster, width: Width) -> String {
    let allowed = match (cluster.file, cluster.block) {
        (true, true) => "file and block volumes",
        (true, false) => "file volumes",
        (false, true) => "block volumes",
        (false, false) => "no volumes",
    };
    let mut text = format!("Cluster {} ({allowed})\n", cluster.id);
    let _infallible = write!(text, "\n  Nodes ({})\n", cluster.nodes.len());
    if !cluster.nodes.is_empty() {
        text.push_str(&indented(&indented(&node_list(&cluster.nodes, width))));
    }
    let devices: usize = cluster.nodes.iter().map(|node| node.devices.len()).sum();
    let _infallible = write!(text, "\n  Devices ({devices})\n");
    if devices > 0 {
        text.push_str(&indented(&indented(&device_list(&cluster.nodes, width))));
    }
    let _infallible = write!(text, "\n  Volumes ({})\n", cluster.volumes.len());
    if !cluster.volumes.is_empty() {
        text.push_str(&indented(&indented(&volume_list(&cluster.volumes, width))));
    }
    text
}
