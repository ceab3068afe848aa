//! Volumes and block volumes.

use std::fmt::Write as _;

use bricklayer_api::heketi::{BlockVolumeInfo, Brick, DurabilityKind, VolumeInfo};
use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{BrickHeal, Heal, NodeRebalance, Rebalance, TrashList, TrashedVolume};

use super::{NodeNames, Width, cells, columns, facts, indented, kib, or_dash, table, yes};
use crate::actions::size_of;
use crate::heketi::print::distribute_count;

/// heketi has no field for it: the option with which it was asked for stays in the list. What follows the option's name
/// is read as Go reads a truth.
fn has_arbiter(volume: &VolumeInfo) -> bool {
    let mut options = volume.gluster_volume_options.iter();
    options.any(|option| {
        let mut words = option.split_whitespace();
        words.next() == Some("user.heketi.arbiter")
            && words.next().is_some_and(|word| matches!(word, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    })
}

pub(super) fn durability(volume: &VolumeInfo) -> String {
    let one = &volume.durability;
    let kind = match one.kind {
        DurabilityKind::None => "none".to_owned(),
        DurabilityKind::Replicate if has_arbiter(volume) => format!("replicate {} with arbiter", one.replicate.replica),
        DurabilityKind::Replicate => format!("replicate {}", one.replicate.replica),
        DurabilityKind::Disperse => format!("disperse {}+{}", one.disperse.data, one.disperse.redundancy),
    };
    match distribute_count(volume) {
        0 | 1 => kind,
        sets => format!("{kind}, {sets} sets"),
    }
}

pub fn volume_list(volumes: &[VolumeInfo], width: Width) -> String {
    let row = |volume: &VolumeInfo| {
        let normal = vec![
            volume.name.clone(),
            size_of(volume).to_string(),
            durability(volume),
            volume.bricks.len().to_string(),
            volume.mount.glusterfs.device.clone(),
            volume.id.to_string(),
        ];
        let wide = || {
            let snapshots = volume.snapshot.enable.then(|| volume.snapshot.factor.0.to_string());
            vec![
                or_dash(snapshots),
                or_dash((volume.gid != 0).then(|| volume.gid.to_string())),
                yes(volume.block).to_owned(),
                volume.cluster.to_string(),
                or_dash(Some(options(volume))),
            ]
        };
        cells(normal, wide, width)
    };
    let normal = ["VOLUME", "SIZE", "DURABILITY", "BRICKS", "MOUNT", "ID"];
    let wide = ["SNAPSHOT FACTOR", "GROUP", "BLOCK", "CLUSTER", "OPTIONS"];
    table(&columns(&normal, &wide, width), volumes.iter().map(row))
}

fn options(volume: &VolumeInfo) -> String {
    let set = volume.gluster_volume_options.iter().map(String::as_str).filter(|option| !option.is_empty());
    set.collect::<Vec<_>>().join(", ")
}

pub fn volume_info(volume: &VolumeInfo, nodes: &NodeNames, width: Width) -> String {
    let mount = &volume.mount.glusterfs;
    let backups = mount.options.get("backup-volfile-servers").filter(|hosts| !hosts.is_empty());
    // Commas would end the option: mount(8) takes them for its own.
    let servers =
        backups.map_or_else(String::new, |hosts| format!(" -o backup-volfile-servers={}", hosts.replace(',', ":")));
    let mut lines = vec![
        ("Volume", volume.name.clone()),
        ("Id", volume.id.to_string()),
        ("Cluster", volume.cluster.to_string()),
        ("Size", size_of(volume).to_string()),
        ("Durability", durability(volume)),
    ];
    if volume.snapshot.enable {
        lines.push(("Snapshot factor", volume.snapshot.factor.0.to_string()));
    }
    if volume.gid != 0 {
        lines.push(("Group", volume.gid.to_string()));
    }
    let options = self::options(volume);
    if !options.is_empty() {
        lines.push(("Options", options));
    }
    if volume.block {
        let info = &volume.block_info;
        let restriction = if info.restriction.is_none() { "none" } else { info.restriction.as_str() };
        lines.push(("For block", format!("{} GiB free, {} kept back", info.free_size_gib, info.reserved_size_gib)));
        lines.push(("Restriction", restriction.to_owned()));
    }
    if volume.thick {
        lines.push(("Provisioning", "thick: linear volumes, without snapshots and clones".to_owned()));
    }
    if volume.protected {
        lines.push(("Protected", "it is not deleted before `bricklayer volume unprotect`".to_owned()));
    }
    lines.push(("Mount by", format!("mount -t glusterfs{servers} {} /mnt", mount.device)));
    let mut text = facts(&lines);
    let _infallible = write!(text, "\nBricks ({})\n", volume.bricks.len());
    if !volume.bricks.is_empty() {
        let row = |brick: &Brick| {
            let node = nodes.get(&brick.node).cloned().unwrap_or_else(|| brick.node.to_string());
            let wide = || vec![brick.id.to_string(), brick.device.to_string()];
            cells(vec![node, kib(brick.size_kib), brick.path.clone()], wide, width)
        };
        let mut rows: Vec<_> = volume.bricks.iter().map(row).collect();
        rows.sort();
        text.push_str(&indented(&table(&columns(&["NODE", "SIZE", "PATH"], &["BRICK", "DEVICE"], width), rows)));
    }
    text
}

pub fn trash_list(trash: &TrashList) -> String {
    let row = |volume: &TrashedVolume| {
        vec![
            volume.name.clone(),
            ByteSize::from_bytes(volume.size_bytes).to_string(),
            ByteSize::from_bytes(volume.taken_bytes).to_string(),
            moment!(volume.since),
            moment!(volume.until),
            volume.id.to_string(),
        ]
    };
    table(&["VOLUME", "SIZE", "TAKES", "DELETED", "KEPT UNTIL", "ID"], trash.volumes.iter().map(row))
}

pub fn block_volume_list(volumes: &[BlockVolumeInfo]) -> String {
    let row = |volume: &BlockVolumeInfo| {
        vec![
            volume.name.clone(),
            format!("{} GiB", volume.size_gib),
            volume.access.hosts.join(","),
            volume.hosting_volume.to_string(),
            volume.id.to_string(),
        ]
    };
    table(&["BLOCK VOLUME", "SIZE", "HOSTS", "IN VOLUME", "ID"], volumes.iter().map(row))
}

pub fn block_volume_info(volume: &BlockVolumeInfo) -> String {
    let access = &volume.access;
    let mut lines = vec![
        ("Block volume", volume.name.clone()),
        ("Id", volume.id.to_string()),
        ("Cluster", volume.cluster.to_string()),
        ("In volume", volume.hosting_volume.to_string()),
        ("Size", format!("{} GiB", volume.size_gib)),
    ];
    if volume.usable_size_gib != volume.size_gib {
        let text = format!(
            "{} GiB: not every host knows the new size yet; expand it to the same size again",
            volume.usable_size_gib
        );
        lines.push(("Usable", text));
    }
    lines.extend([
        ("Served by", access.hosts.join(", ")),
        ("IQN", access.iqn.clone()),
        ("LUN", access.lun.to_string()),
    ]);
    if !access.username.is_empty() {
        lines.push(("User", access.username.clone()));
        lines.push(("Password", access.password.expose().to_owned()));
    }
    facts(&lines)
}

pub fn heal(heal: &Heal) -> String {
    let row = |brick: &BrickHeal| {
        vec![
            brick.host.clone(),
            if brick.online { "online" } else { "OFFLINE" }.to_owned(),
            brick.pending.map_or_else(|| "unknown".to_owned(), |pending| pending.to_string()),
            brick.path.clone(),
        ]
    };
    let verdict = if heal.healthy { "whole: every brick is online and healed" } else { "NOT whole" };
    format!("{verdict}\n\n{}", table(&["HOST", "STATE", "TO HEAL", "BRICK"], heal.bricks.iter().map(row)))
}

pub fn rebalance(rebalance: &Rebalance) -> String {
    let row = |node: &NodeRebalance| {
        vec![
            node.host.clone(),
            node.state.to_string(),
            node.files.to_string(),
            ByteSize::from_bytes(node.bytes).to_string(),
            node.scanned.to_string(),
            node.failures.to_string(),
            node.skipped.to_string(),
            format!("{}:{:02}:{:02}", node.seconds / 3600, node.seconds / 60 % 60, node.seconds % 60),
        ]
    };
    let mut text = format!("{}\n", rebalance.state);
    if !rebalance.nodes.is_empty() {
        let header = ["HOST", "STATE", "FILES MOVED", "BYTES", "SCANNED", "FAILED", "SKIPPED", "TIME"];
        text.push('\n');
        text.push_str(&table(&header, rebalance.nodes.iter().map(row)));
    }
    text
}
