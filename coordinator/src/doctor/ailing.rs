//! Disks, and bricks on them, that their host cannot read: what is in danger, and what to do while there is time.
//!
//! Told also of devices on which something is under way: that is what it would fail on.

use bricklayer_proto::inventory::{Ailing, Inventory};
use jiff::Timestamp;

use super::{Finding, Severity, Subject, World, device_on, is_dying};
use crate::model::{Device, Node};

pub fn examine(world: &World, node: &Node, report: &Inventory, findings: &mut Vec<Finding>) {
    for ailing in &report.ailing {
        let known = world.topology.devices.get(&ailing.device);
        let Some(device) = known.filter(|device| device.node == node.id && !device.lost) else { continue };
        match ailing.brick {
            None => findings.push(disk(world, node, device, ailing)),
            Some(_) if is_dying(report, device.id) => {}
            Some(_) => findings.extend(brick(world, node, device, ailing)),
        }
    }
}

fn disk(world: &World, node: &Node, device: &Device, ailing: &Ailing) -> Finding {
    let bricks: Vec<String> = world
        .topology
        .bricks_of(device.id)
        .map(|(volume, brick)| format!("{} of volume {}", brick.id, volume.name))
        .collect();
    let on_it = match bricks.as_slice() {
        [] => "no brick is on it".to_owned(),
        [one] => format!("on it is brick {one}"),
        many => format!("on it are bricks {}", many.join(", ")),
    };
    let (host, name) = (node.name(), &device.name);
    let again = if *name == ailing.disk { String::new() } else { format!(", there {}", ailing.disk) };
    Finding {
        severity: Severity::Error,
        code: "disk-fails",
        subject: Subject::Device(device.id),
        host: host.to_owned(),
        what: format!(
            "{}{again} ({}) fails: {}, {}; {on_it}",
            device_on(node, device),
            identity(device),
            ailing.fault,
            since(ailing)
        ),
        cure: format!(
            "nothing new is placed there. If it answers at times: `bricklayer device disable {host}:{name}`, then `bricklayer \
             device remove {host}:{name}` moves its bricks away. If it is dead, and stays so: `bricklayer device lost \
             {host}:{name}`, then `device remove` makes its bricks anew from the other copies. `dmesg` on {host} has the \
             kernel's words"
        ),
    }
}

fn brick(world: &World, node: &Node, device: &Device, ailing: &Ailing) -> Option<Finding> {
    let id = ailing.brick?;
    let (volume, _) = world.topology.bricks_of(device.id).find(|(_, brick)| brick.id == id)?;
    Some(Finding {
        severity: Severity::Error,
        code: "brick-unreadable",
        subject: Subject::Brick(id),
        host: node.name().to_owned(),
        what: format!(
            "brick {id} of volume {} ({}, {}) fails though its disk answers: {}, {}",
            volume.name,
            device_on(node, device),
            identity(device),
            ailing.fault,
            since(ailing)
        ),
        cure: format!(
            "its thin pool or its file system has failed, or a part of the disk; `dmesg` on {} tells which. Move it: \
             `bricklayer brick evict {id}`, with `--disable-heal-check` if the rest of its set is healed for certain",
            node.name()
        ),
    })
}

/// What stands on the disk itself, for whoever has to pull the right one.
fn identity(device: &Device) -> String {
    match (&device.disk.serial, &device.disk.wwn) {
        (Some(serial), _) => format!("serial {serial}"),
        (None, Some(wwn)) => format!("WWN {wwn}"),
        (None, None) => format!("physical volume {}", device.pv_uuid),
    }
}

fn since(ailing: &Ailing) -> String {
    let at = Timestamp::from_millisecond(ailing.since_ms).unwrap_or_default();
    format!("since {at:.0}")
}
