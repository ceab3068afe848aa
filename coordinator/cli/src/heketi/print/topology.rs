//! Everything at once, and how a load goes.

use std::fmt::Write as _;

use bricklayer_api::heketi::{DurabilityKind, NodeInfo, Tags, TopologyInfo, VolumeInfo};

use super::volumes::{mount_options, replica};
use super::{KIB_PER_GIB, state};
use crate::actions::topology::LoadEvent;

pub fn topology_info(topology: &TopologyInfo) -> String {
    let mut text = String::new();
    for cluster in &topology.clusters {
        put!(text, "\nCluster Id: {}\n\n    File:  {}\n    Block: {}\n\n", cluster.id, cluster.file, cluster.block);
        text.push_str("    Volumes:\n\n");
        for volume in &cluster.volumes {
            topology_volume(&mut text, volume);
        }
        text.push_str("\n    Nodes:\n\n");
        for node in &cluster.nodes {
            topology_node(&mut text, node);
        }
    }
    text
}

fn topology_volume(text: &mut String, volume: &VolumeInfo) {
    put!(
        text,
        "\tName: {}\n\tSize: {}\n\tId: {}\n\tCluster Id: {}\n\tMount: {}\n\tMount Options: {}\n\tDurability Type: {}\n",
        volume.name,
        volume.size_gib,
        volume.id,
        volume.cluster,
        volume.mount.glusterfs.device,
        mount_options(volume),
        volume.durability.kind
    );
    match volume.durability.kind {
        DurabilityKind::None => {}
        DurabilityKind::Replicate => {
            put!(text, "\tReplica: {}\n", replica(volume));
        }
        DurabilityKind::Disperse => {
            let disperse = volume.durability.disperse;
            put!(text, "\tDisperse Data: {}\n\tDisperse Redundancy: {}\n", disperse.data, disperse.redundancy);
        }
    }
    if volume.snapshot.enable {
        put!(text, "\tSnapshot: Enabled\n\tSnapshot Factor: {:.2}\n\n", volume.snapshot.factor.0);
    } else {
        text.push_str("\tSnapshot: Disabled\n\n");
    }
    text.push_str("\t\tBricks:\n");
    for brick in &volume.bricks {
        put!(
            text,
            "\t\t\tId: {}\n\t\t\tPath: {}\n\t\t\tSize (GiB): {}\n\t\t\tNode: {}\n\t\t\tDevice: {}\n\n",
            brick.id,
            brick.path,
            brick.size_kib / KIB_PER_GIB,
            brick.node,
            brick.device
        );
    }
    text.push('\n');
}

fn tags_line(tags: &Tags) -> String {
    tags.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(" ")
}

fn topology_node(text: &mut String, node: &NodeInfo) {
    put!(
        text,
        "\tNode Id: {}\n\tState: {}\n\tCluster Id: {}\n\tZone: {}\n\tManagement Hostnames: {}\n\tStorage Hostnames: {}\n",
        node.id,
        state(node.state),
        node.cluster,
        node.zone,
        node.hostnames.manage.join(", "),
        node.hostnames.storage.join(", ")
    );
    if !node.tags.is_empty() {
        put!(text, "\tTags: {}\n\n", tags_line(&node.tags));
    }
    text.push_str("\tDevices:\n");
    for device in &node.devices {
        put!(
            text,
            "\t\tId:{:<35}State:{:<10}Size (GiB):{:<8}Used (GiB):{:<8}Free (GiB):{:<8}\n",
            device.id.to_string(),
            state(device.state),
            device.storage.total_kib / KIB_PER_GIB,
            device.storage.used_kib / KIB_PER_GIB,
            device.storage.free_kib / KIB_PER_GIB
        );
        if !device.tags.is_empty() {
            put!(text, "\t\t\tTags: {}\n\n", tags_line(&device.tags));
        }
        let paths = if device.paths.is_empty() { device.name.clone() } else { device.paths.join(" ") };
        put!(text, "\t\t\tKnown Paths: {paths}\n\n\t\t\tBricks:\n");
        for brick in &device.bricks {
            put!(
                text,
                "\t\t\t\tId:{:<35}Size (GiB):{:<8}Path: {}\n",
                brick.id.to_string(),
                brick.size_kib / KIB_PER_GIB,
                brick.path
            );
        }
    }
    text.push('\n');
}

/// What `topology load` prints of an event, without a line's end where the rest of the line follows later.
pub fn load_event(event: &LoadEvent<'_>) -> String {
    match event {
        LoadEvent::FoundNode { name, cluster } => format!("\tFound node {name} on cluster {cluster}\n"),
        LoadEvent::CreatingCluster => "Creating cluster ... ".to_owned(),
        LoadEvent::CreatedCluster { id, file, block } => {
            let mut text = format!("ID: {id}\n");
            if *file {
                text.push_str("\tAllowing file volumes on cluster.\n");
            }
            if *block {
                text.push_str("\tAllowing block volumes on cluster.\n");
            }
            text
        }
        LoadEvent::CreatingNode { name } => format!("\tCreating node {name} ... "),
        LoadEvent::CreatedNode { id } => format!("ID: {id}\n"),
        LoadEvent::NodeFailed { cause } => format!("Unable to create node: {cause}\n"),
        LoadEvent::FoundDevice { name } => format!("\t\tFound device {name}\n"),
        LoadEvent::AddingDevice { name } => format!("\t\tAdding device {name} ... "),
        LoadEvent::AddedDevice => "OK\n".to_owned(),
        LoadEvent::DeviceFailed { cause } => format!("Unable to add device: {cause}\n"),
        // Ours: heketi cannot look ahead.
        LoadEvent::WouldCreateCluster => "Would create a cluster\n".to_owned(),
        LoadEvent::WouldCreateNode { name } => format!("\tWould create node {name}\n"),
        LoadEvent::WouldAddDevice { name } => format!("\t\tWould add device {name}\n"),
    }
}
