//! Nodes and devices.

use std::fmt::Write as _;

use bricklayer_api::heketi::{DeviceInfo, NodeInfo};

use super::{KIB_PER_GIB, first, state, tags_block};

pub fn node_info(node: &NodeInfo) -> String {
    let mut text = format!(
        "Node Id: {}\nState: {}\nCluster Id: {}\nZone: {}\nManagement Hostname: {}\nStorage Hostname: {}\n",
        node.id,
        state(node.state),
        node.cluster,
        node.zone,
        first(&node.hostnames.manage),
        first(&node.hostnames.storage)
    );
    text.push_str(&tags_block(&node.tags));
    text.push_str("Devices:\n");
    for device in &node.devices {
        put!(
            text,
            "Id:{:<35}Name:{:<20}State:{:<10}Size (GiB):{:<8}Used (GiB):{:<8}Free (GiB):{:<8}Bricks:{:<8}\n",
            device.id.to_string(),
            device.name,
            state(device.state),
            device.storage.total_kib / KIB_PER_GIB,
            device.storage.used_kib / KIB_PER_GIB,
            device.storage.free_kib / KIB_PER_GIB,
            device.bricks.len()
        );
    }
    text
}

pub fn node_added(node: &NodeInfo) -> String {
    format!("Node information:\n{}", node_info(node))
}

pub fn node_list(nodes: &[NodeInfo]) -> String {
    nodes.iter().map(|node| format!("Id:{}\tCluster:{}\n", node.id, node.cluster)).collect()
}

pub fn device_info(device: &DeviceInfo) -> String {
    let mut text = format!(
        "Device Id: {}\nState: {}\nSize (GiB): {}\nUsed (GiB): {}\nFree (GiB): {}\nCreate Path: {}\n\
         Physical Volume UUID: {}\nKnown Paths: {}\n",
        device.id,
        state(device.state),
        device.storage.total_kib / KIB_PER_GIB,
        device.storage.used_kib / KIB_PER_GIB,
        device.storage.free_kib / KIB_PER_GIB,
        device.name,
        device.pv_uuid,
        device.paths.join(" ")
    );
    text.push_str(&tags_block(&device.tags));
    text.push_str("Bricks:\n");
    for brick in &device.bricks {
        put!(
            text,
            "Id:{:<35}Size (GiB):{:<8}Path: {}\n",
            brick.id.to_string(),
            brick.size_kib / KIB_PER_GIB,
            brick.path
        );
    }
    text
}
