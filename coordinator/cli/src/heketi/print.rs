//! heketi-cli's texts, byte for byte. Pure functions from the server's answers to text.
//!
//! Sizes are whole GiB, cut off. The state `failed` is printed as `removed`. Padding, blank lines, tabs and spaces are
//! heketi's, odd as they are: scripts cut these lines into columns.

use std::fmt::Write as _;

use bricklayer_api::heketi::{
    BlockRestriction, ClusterInfo, DeviceInfo, DurabilityKind, EntryState, NodeInfo, Tags, TopologyInfo, VolumeInfo,
};
use bricklayer_api::ids::VolumeId;
use serde_json::json;

use crate::actions::topology::LoadEvent;

const KIB_PER_GIB: u64 = 1 << 20;

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Online => "online",
        EntryState::Offline => "offline",
        EntryState::Failed => "removed",
    }
}

fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
}

fn joined(ids: &[impl ToString], separator: &str) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// Appends to a `String`, which cannot fail.
macro_rules! put {
    ($text:expr, $($format:tt)+) => { let _infallible = write!($text, $($format)+); };
}

pub fn cluster_info(cluster: &ClusterInfo) -> String {
    format!(
        "Cluster id: {}\nNodes:\n{}\nVolumes:\n{}\nBlock: {}\n\nFile: {}\n",
        cluster.id,
        joined(&cluster.nodes, "\n"),
        joined(&cluster.volumes, "\n"),
        cluster.block,
        cluster.file
    )
}

pub fn cluster_list(clusters: &[ClusterInfo]) -> String {
    let mut text = "Clusters:\n".to_owned();
    for cluster in clusters {
        let flags = match (cluster.file, cluster.block) {
            (true, true) => "[file][block]",
            (true, false) => "[file]",
            (false, true) => "[block]",
            (false, false) => "[]",
        };
        put!(text, "Id:{} {flags}\n", cluster.id);
    }
    text
}

fn tags_block(tags: &Tags) -> String {
    let mut text = String::new();
    if !tags.is_empty() {
        text.push_str("Tags:\n");
        for (key, value) in tags {
            put!(text, "  {key}: {value}\n");
        }
    }
    text
}

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

/// Copies of a replicated volume. heketi left the number out when a request did, and its command line then died of a
/// division by zero; what it had made were two copies.
fn replica(volume: &VolumeInfo) -> i64 {
    match volume.durability.replicate.replica {
        0 => 2,
        replica => replica,
    }
}

/// How many brick sets a volume has.
pub fn distribute_count(volume: &VolumeInfo) -> usize {
    let set = match volume.durability.kind {
        DurabilityKind::None => 1,
        DurabilityKind::Replicate => replica(volume),
        DurabilityKind::Disperse => volume.durability.disperse.data + volume.durability.disperse.redundancy,
    };
    volume.bricks.len() / usize::try_from(set).unwrap_or(1).max(1)
}

fn mount_options(volume: &VolumeInfo) -> String {
    let backups = volume.mount.glusterfs.options.get("backup-volfile-servers").map_or("", String::as_str);
    format!("backup-volfile-servers={backups}")
}

pub fn volume_info(volume: &VolumeInfo) -> String {
    let restriction = match volume.block_info.restriction {
        BlockRestriction::None => "(none)",
        BlockRestriction::Locked => "locked",
        BlockRestriction::LockedByUpdate => "locked-by-update",
    };
    let mut text = format!(
        "Name: {}\nSize: {}\nVolume Id: {}\nCluster Id: {}\nMount: {}\nMount Options: {}\nBlock: {}\nFree Size: {}\n\
         Reserved Size: {}\nBlock Hosting Restriction: {restriction}\nBlock Volumes: [{}]\nDurability Type: {}\n\
         Distribute Count: {}\n",
        volume.name,
        volume.size_gib,
        volume.id,
        volume.cluster,
        volume.mount.glusterfs.device,
        mount_options(volume),
        volume.block,
        volume.block_info.free_size_gib,
        volume.block_info.reserved_size_gib,
        joined(&volume.block_info.block_volumes, " "),
        volume.durability.kind,
        distribute_count(volume)
    );
    match volume.durability.kind {
        DurabilityKind::None => {}
        DurabilityKind::Replicate => {
            put!(text, "Replica Count: {}\n", replica(volume));
        }
        DurabilityKind::Disperse => {
            let disperse = volume.durability.disperse;
            put!(text, "Disperse Data Count: {}\nDisperse Redundancy Count: {}\n", disperse.data, disperse.redundancy);
        }
    }
    if volume.snapshot.enable {
        put!(text, "Snapshot Factor: {:.2}\n\n", volume.snapshot.factor.0);
    }
    text
}

pub fn volume_list(volumes: &[VolumeInfo]) -> String {
    let line = |volume: &VolumeInfo| {
        format!(
            "Id:{:<35} Cluster:{:<35} Name:{}{}\n",
            volume.id.to_string(),
            volume.cluster.to_string(),
            volume.name,
            if volume.block { " [block]" } else { "" }
        )
    };
    volumes.iter().map(line).collect()
}

/// A PersistentVolume of Kubernetes for a volume.
pub fn persistent_volume(volume: &VolumeInfo, endpoint: &str) -> String {
    /// Kubernetes' own field order, which a map would sort away.
    #[derive(serde::Serialize)]
    struct PersistentVolume {
        kind: &'static str,
        #[serde(rename = "apiVersion")]
        api_version: &'static str,
        metadata: Metadata,
        spec: Spec,
        status: serde_json::Map<String, serde_json::Value>,
    }
    #[derive(serde::Serialize)]
    struct Metadata {
        name: String,
        #[serde(rename = "creationTimestamp")]
        creation_timestamp: (),
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<serde_json::Value>,
    }
    #[derive(serde::Serialize)]
    struct Spec {
        capacity: serde_json::Value,
        glusterfs: serde_json::Value,
        #[serde(rename = "accessModes")]
        access_modes: [&'static str; 1],
        #[serde(rename = "persistentVolumeReclaimPolicy")]
        reclaim_policy: &'static str,
    }

    let short_id: String = volume.id.to_string().chars().take(8).collect();
    let gid = (volume.gid != 0).then(|| json!({ "pv.beta.kubernetes.io/gid": volume.gid.to_string() }));
    let endpoint = if endpoint.is_empty() { "TYPE ENDPOINT HERE" } else { endpoint };
    let persistent = PersistentVolume {
        kind: "PersistentVolume",
        api_version: "v1",
        metadata: Metadata { name: format!("glusterfs-{short_id}"), creation_timestamp: (), annotations: gid },
        spec: Spec {
            capacity: json!({ "storage": format!("{}Gi", volume.size_gib) }),
            glusterfs: json!({ "endpoints": endpoint, "path": volume.name }),
            access_modes: ["ReadWriteMany"],
            reclaim_policy: "Retain",
        },
        status: serde_json::Map::new(),
    };
    serde_json::to_string_pretty(&persistent).unwrap_or_default()
}

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
    }
}

pub fn volume_deleted(id: VolumeId) -> String {
    format!("Volume {id} deleted\n")
}
