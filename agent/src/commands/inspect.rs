//! `bricklayer-agent inspect`: what the agent sees, for people. Changes nothing, and needs no running agent.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use bricklayer_proto::inventory::{Disk, Inventory};
use clap::Args;

use super::Settings;
use crate::engine::Engine;
use crate::plan;
use crate::tools::RealHost;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let host = RealHost::new(settings.mount_root.clone(), settings.fstab.clone(), settings.data_dir.clone());
    let inventory = Engine::new(Arc::new(host)).inventory().await.context("this host could not be examined")?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&inventory)?);
    } else {
        print!("{}", text(&inventory));
    }
    Ok(())
}

fn text(inventory: &Inventory) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, inventory);
    out
}

fn write_text(out: &mut String, inventory: &Inventory) -> std::fmt::Result {
    writeln!(out, "Disks")?;
    for disk in &inventory.disks {
        writeln!(out, "  {}", title(disk))?;
        match (disk.device, disk.obstacles.as_slice()) {
            (Some(device), _) => writeln!(out, "    in use: device {device}")?,
            (None, []) => writeln!(out, "    can be used")?,
            (None, obstacles) => {
                for obstacle in obstacles {
                    writeln!(out, "    cannot be used: {obstacle}")?;
                }
                if let Some(cure) = plan::device::cure(&disk.path, disk) {
                    writeln!(out, "    {cure}")?;
                }
            }
        }
    }
    if inventory.disks.is_empty() {
        writeln!(out, "  none")?;
    }
    let ours = inventory.groups.iter().filter_map(|group| group.tags.map(|tags| (group, tags)));
    for (group, tags) in ours {
        let space = group.space;
        let size = |extents: bricklayer_proto::size::Extents| {
            extents.to_bytes(space.extent_size).map_or_else(|| extents.to_string(), |size| size.to_string())
        };
        writeln!(out, "Device {}{}", tags.device, if group.condemned { " (condemned)" } else { "" })?;
        writeln!(out, "  volume group {}, {} of {} free", group.name, size(space.free), size(space.total))?;
        for brick in inventory.bricks.iter().filter(|brick| brick.group == group.name) {
            let state = match (&brick.mounted, brick.condemned) {
                (_, true) => "condemned".to_owned(),
                (Some(at), false) => format!("mounted at {at}"),
                (None, false) => "NOT MOUNTED".to_owned(),
            };
            let tags = &brick.tags;
            writeln!(out, "  brick {} of volume {}, {}: {state}", tags.brick, tags.volume_name, brick.size)?;
        }
    }
    let gluster = &inventory.gluster;
    match (&gluster.uuid, gluster.running) {
        (Some(uuid), _) => writeln!(out, "GlusterFS\n  runs as {uuid}, with {} peers", gluster.peers.len()),
        (None, true) => writeln!(out, "GlusterFS\n  runs, and does not answer"),
        (None, false) => writeln!(out, "GlusterFS\n  does not run"),
    }
}

/// `/dev/sdb  16 GiB, serial 5c8b59dd226594ac, IBLOCK`.
fn title(disk: &Disk) -> String {
    let mut title = format!("{}  {}", disk.path, disk.size);
    for (what, value) in [("serial", &disk.serial), ("WWN", &disk.wwn), ("", &disk.model)] {
        if let Some(value) = value {
            title.push_str(", ");
            title.push_str(format!("{what} {value}").trim_start());
        }
    }
    title
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::inventory::Obstacle;
    use bricklayer_proto::size::ByteSize;

    use super::*;

    #[test]
    fn a_disk_that_cannot_be_used_is_shown_with_every_reason_and_the_cure() {
        let disk = Disk {
            path: "/dev/sdb".parse().unwrap(),
            links: vec![],
            size: ByteSize::from_gib(16).unwrap(),
            serial: Some("5c8b".to_owned()),
            wwn: None,
            model: Some("IBLOCK".to_owned()),
            rotational: true,
            obstacles: vec![
                Obstacle::Mounted { source: "/dev/sdb".to_owned(), at: "/data".to_owned() },
                Obstacle::Signature { what: "xfs".to_owned(), offset: 0 },
            ],
            device: None,
            still_needed: None,
        };
        let raw = Disk { obstacles: vec![], path: "/dev/sdc".parse().unwrap(), ..disk.clone() };
        let text = text(&Inventory { disks: vec![disk, raw], ..Inventory::default() });
        assert_eq!(
            text,
            "Disks\n  \
             /dev/sdb  16 GiB, serial 5c8b, IBLOCK\n    \
             cannot be used: /dev/sdb is mounted at /data\n    \
             cannot be used: it carries a signature of xfs at byte 0\n    \
             If nothing on it is needed any more: `bricklayer device wipe NODE /dev/sdb --confirm 5c8b`, then add it again\n  \
             /dev/sdc  16 GiB, serial 5c8b, IBLOCK\n    \
             can be used\n\
             GlusterFS\n  does not run\n"
        );
    }
}
