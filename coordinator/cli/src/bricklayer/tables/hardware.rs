//! Clusters, nodes, devices, disks and bricks.

use std::fmt::Write as _;

use bricklayer_api::heketi::{ClusterInfo, DeviceInfo, DurabilityKind, NodeInfo, VolumeInfo};
use bricklayer_api::inventory::Disk;
use bricklayer_api::v1::{DiskIdentity, DiskList, WipeRefusal};

use super::volumes::durability;
use super::{
    Width, by_name, cells, columns, count, exact_kib, facts, indented, kib, manage_name, or_dash, quoted, state, table,
    tag_line, yes,
};

pub fn cluster_list(clusters: &[ClusterInfo]) -> String {
    let row = |cluster: &ClusterInfo| {
        vec![
            cluster.id.to_string(),
            cluster.nodes.len().to_string(),
            cluster.volumes.len().to_string(),
            yes(cluster.file).to_owned(),
            yes(cluster.block).to_owned(),
        ]
    };
    table(&["CLUSTER", "NODES", "VOLUMES", "FILE", "BLOCK"], clusters.iter().map(row))
}

pub fn cluster_info(cluster: &ClusterInfo) -> String {
    let mut text = facts(&[
        ("Cluster", cluster.id.to_string()),
        ("File volumes", yes(cluster.file).to_owned()),
        ("Block volumes", yes(cluster.block).to_owned()),
    ]);
    for (title, ids) in [
        ("Nodes", cluster.nodes.iter().map(ToString::to_string).collect::<Vec<_>>()),
        ("Volumes", cluster.volumes.iter().map(ToString::to_string).collect()),
    ] {
        let _infallible = write!(text, "\n{title} ({})\n", ids.len());
        for id in ids {
            let _infallible = writeln!(text, "  {id}");
        }
    }
    text
}

fn space(devices: &[DeviceInfo]) -> (String, String, usize) {
    let sum = |part: fn(&DeviceInfo) -> u64| devices.iter().map(part).sum::<u64>();
    let bricks = devices.iter().map(|device| device.bricks.len()).sum();
    (kib(sum(|device| device.storage.total_kib)), kib(sum(|device| device.storage.free_kib)), bricks)
}

pub fn node_list(nodes: &[NodeInfo], width: Width) -> String {
    let row = |node: &NodeInfo| {
        let (size, free, bricks) = space(&node.devices);
        let normal = vec![
            manage_name(node).to_owned(),
            node.hostnames.storage.first().cloned().unwrap_or_default(),
            state(node.state).to_owned(),
            node.zone.to_string(),
            node.devices.len().to_string(),
            size,
            free,
            bricks.to_string(),
            node.id.to_string(),
        ];
        cells(normal, || vec![tag_line(&node.tags), node.cluster.to_string()], width)
    };
    let normal = ["NODE", "STORAGE ADDRESS", "STATE", "ZONE", "DEVICES", "SIZE", "FREE", "BRICKS", "ID"];
    table(&columns(&normal, &["TAGS", "CLUSTER"], width), by_name(nodes).into_iter().map(row))
}

pub fn node_info(node: &NodeInfo, width: Width) -> String {
    let mut lines = vec![
        ("Node", manage_name(node).to_owned()),
        ("Id", node.id.to_string()),
        ("State", state(node.state).to_owned()),
        ("Zone", node.zone.to_string()),
        ("Storage address", node.hostnames.storage.join(", ")),
        ("Cluster", node.cluster.to_string()),
    ];
    if !node.tags.is_empty() {
        lines.push(("Tags", tag_line(&node.tags)));
    }
    let mut text = facts(&lines);
    let _infallible = write!(text, "\nDevices ({})\n", node.devices.len());
    if !node.devices.is_empty() {
        text.push_str(&indented(&devices_of(&node.devices, width)));
    }
    text
}

const DEVICE: [&str; 7] = ["DEVICE", "STATE", "SIZE", "USED", "FREE", "BRICKS", "ID"];

const DEVICE_WIDE: [&str; 3] = ["TAGS", "PHYSICAL VOLUME", "KNOWN AS"];

fn device_cells(device: &DeviceInfo, width: Width) -> Vec<String> {
    let normal = vec![
        device.name.clone(),
        device_state(device),
        kib(device.storage.total_kib),
        kib(device.storage.used_kib),
        kib(device.storage.free_kib),
        device.bricks.len().to_string(),
        device.id.to_string(),
    ];
    let wide =
        || vec![tag_line(&device.tags), or_dash(Some(device.pv_uuid.clone())), or_dash(Some(device.paths.join(" ")))];
    cells(normal, wide, width)
}

fn device_state(device: &DeviceInfo) -> String {
    let fails = if device.failing.is_some() { ", fails" } else { "" };
    format!("{}{fails}", state(device.state))
}

fn devices_of(devices: &[DeviceInfo], width: Width) -> String {
    table(&columns(&DEVICE, &DEVICE_WIDE, width), devices.iter().map(|device| device_cells(device, width)))
}

pub fn device_list(nodes: &[NodeInfo], width: Width) -> String {
    let rows = by_name(nodes).into_iter().flat_map(|node| {
        node.devices
            .iter()
            .map(move |device| [vec![manage_name(node).to_owned()], device_cells(device, width)].concat())
    });
    let header = [&["NODE"], &columns(&DEVICE, &DEVICE_WIDE, width)[..]].concat();
    table(&header, rows)
}

pub fn device_info(device: &DeviceInfo) -> String {
    let storage = device.storage;
    let mut lines = vec![
        ("Device", device.name.clone()),
        ("Id", device.id.to_string()),
        ("State", state(device.state).to_owned()),
        ("Size", exact_kib(storage.total_kib)),
        ("Used", exact_kib(storage.used_kib)),
        ("Free", exact_kib(storage.free_kib)),
        ("Physical volume", or_dash(Some(device.pv_uuid.clone()))),
        ("Known as", or_dash(Some(device.paths.join(" ")))),
    ];
    if let Some(why) = &device.failing {
        lines.push(("Fails", why.clone()));
    }
    if !device.tags.is_empty() {
        lines.push(("Tags", tag_line(&device.tags)));
    }
    let mut text = facts(&lines);
    let _infallible = write!(text, "\nBricks ({})\n", device.bricks.len());
    if !device.bricks.is_empty() {
        let rows = device
            .bricks
            .iter()
            .map(|brick| vec![brick.id.to_string(), kib(brick.size_kib), brick.volume.to_string(), brick.path.clone()]);
        text.push_str(&indented(&table(&["BRICK", "SIZE", "VOLUME", "PATH"], rows)));
    }
    text
}

/// The bricks that these nodes' devices hold.
pub fn brick_list(nodes: &[NodeInfo], width: Width) -> String {
    let rows = by_name(nodes).into_iter().flat_map(|node| {
        let devices = node.devices.iter();
        devices.flat_map(move |device| {
            device.bricks.iter().map(move |brick| {
                let normal = vec![
                    brick.id.to_string(),
                    manage_name(node).to_owned(),
                    device.name.clone(),
                    kib(brick.size_kib),
                    brick.volume.to_string(),
                ];
                cells(normal, || vec![brick.path.clone()], width)
            })
        })
    });
    table(&columns(&["BRICK", "NODE", "DEVICE", "SIZE", "VOLUME"], &["PATH"], width), rows)
}

/// What goes with a node that nobody has declared lost yet, and the command that does. `volumes` are those that have
/// bricks there.
pub fn node_loss(node: &NodeInfo, volumes: &[VolumeInfo]) -> String {
    let name = manage_name(node);
    let bricks = node.devices.iter().map(|device| device.bricks.len()).sum();
    let mut text = format!(
        "{name} is not declared lost: that is for a host that will never come back\n  on it: {} with {}\n",
        count(node.devices.len(), "device"),
        count(bricks, "brick")
    );
    text.push_str(&fates(volumes));
    let _infallible = write!(text, "  to declare it lost:\n    bricklayer node lost {name} --confirm {name}\n");
    text
}

/// What is lost with the disk of a device. `name`: as the person called it.
pub fn device_loss(name: &str, device: &DeviceInfo, volumes: &[VolumeInfo]) -> String {
    let mut text = format!(
        "{name} is not declared lost: that is for a disk that will never come back\n  on it: {}\n",
        count(device.bricks.len(), "brick")
    );
    text.push_str(&fates(volumes));
    let id = device.id;
    let _infallible = write!(text, "  to declare it lost:\n    bricklayer device lost {name} --confirm {id}\n");
    text
}

/// What becomes of volumes whose bricks are gone.
fn fates(volumes: &[VolumeInfo]) -> String {
    let mut text = String::new();
    for volume in volumes {
        let fate = match volume.durability.kind {
            DurabilityKind::None => "the files on these bricks are LOST",
            DurabilityKind::Replicate | DurabilityKind::Disperse => {
                "its other bricks have the data, if they are healed"
            }
        };
        let _infallible = writeln!(text, "    - of volume {} ({}): {fate}", volume.name, durability(volume));
    }
    text
}

fn usable(disk: &Disk) -> String {
    match disk.device {
        Some(device) => format!("in use: device {device}"),
        None if disk.is_usable() => "yes".to_owned(),
        None => {
            let reasons: Vec<String> = disk.obstacles.iter().map(ToString::to_string).collect();
            format!("no: {}", reasons.join("\n    "))
        }
    }
}

pub fn disk_list(list: &DiskList) -> String {
    let row = |disk: &Disk| {
        vec![
            disk.path.to_string(),
            disk.size.to_string(),
            if disk.rotational { "hdd" } else { "ssd" }.to_owned(),
            or_dash(disk.model.clone()),
            or_dash(disk.serial.clone().or_else(|| disk.wwn.clone())),
            usable(disk),
        ]
    };
    table(&["DISK", "SIZE", "KIND", "MODEL", "SERIAL", "USABLE"], list.disks.iter().map(row))
}

/// What lies on a disk that nobody confirmed yet, and the command that confirms it.
pub fn wipe_refusal(refusal: &WipeRefusal, node: &str) -> String {
    let mut text = format!("{}\n", refusal.error);
    if !refusal.holders.is_empty() {
        text.push_str("  on the disk:\n");
        for holder in &refusal.holders {
            let _infallible = writeln!(text, "    - {holder}");
        }
    }
    let DiskIdentity { serial, wwn, pv_uuid } = &refusal.identity;
    let known = [("serial", serial), ("WWN", wwn), ("physical volume", pv_uuid)];
    let mut known = known.into_iter().filter_map(|(what, value)| value.as_ref().map(|value| (what, value))).peekable();
    if let Some((_, first)) = known.peek() {
        let device = &refusal.device;
        let command = format!("bricklayer device wipe {node} {device} --confirm {}", quoted(first));
        text.push_str("  this disk is known by:\n");
        for (what, value) in known {
            let _infallible = writeln!(text, "    - {what} {value}");
        }
        let _infallible = write!(text, "  to wipe it, and lose what is on it:\n    {command}\n");
    } else if let Some(cure) = &refusal.cure {
        let _infallible = writeln!(text, "  to do: {cure}");
    }
    text
}
