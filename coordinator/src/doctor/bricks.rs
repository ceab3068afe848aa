//! Bricks: is each one there, mounted where it should be and after the next boot, and is there one that nobody knows.

use std::collections::BTreeMap;

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::{BrickSeen, Inventory};
use bricklayer_proto::names::BrickPath;

use super::devices::device_of;
use super::{Finding, Severity, Subject, World, device_on, group_of};
use crate::model::{Brick, Device, Node};

/// The tag of a brick that glusterd made for a clone, and mounts itself.
const MOUNTED_BY_GLUSTERD: &str = "bricklayer.mounted-by=glusterd";

pub fn examine(world: &World, node: &Node, report: &Inventory, findings: &mut Vec<Finding>) {
    let seen: BTreeMap<BrickId, &BrickSeen> = report.bricks.iter().map(|brick| (brick.tags.brick, brick)).collect();
    for device in world.topology.devices_of(node.id) {
        if device.lost || world.is_moving(device.id) {
            continue;
        }
        // Without its group none of its bricks is there, which is said once.
        let Some(group) = group_of(report, device.id) else { continue };
        // A report from before the last change that we know of.
        if group.space.seqno < device.space.seqno {
            continue;
        }
        let bricks = world.topology.bricks.get(&device.id);
        for brick in bricks.into_iter().flat_map(|bricks| bricks.values()) {
            let mut found = |severity, code, what: String, cure: String| {
                let (subject, host) = (Subject::Brick(brick.id), node.name().to_owned());
                findings.push(Finding { severity, code, subject, host, what, cure });
            };
            let what = described(world, node, device, brick);
            match seen.get(&brick.id) {
                Some(seen) => {
                    let by_glusterd = group.volumes.iter().any(|volume| {
                        volume.name == seen.volume_lv
                            && volume.tags.iter().any(|tag| tag.as_str() == MOUNTED_BY_GLUSTERD)
                    });
                    one(node, brick, seen, &what, by_glusterd, &mut found);
                }
                None => found(
                    Severity::Error,
                    "brick-missing",
                    format!("{what} is not there: no logical volume carries its tags"),
                    format!(
                        "make it anew from the other copies: `bricklayer brick evict {} --disable-heal-check`, once the rest \
                         of its set is healed",
                        brick.id
                    ),
                ),
            }
        }
    }
    orphans(world, node, report, findings);
}

fn one(
    node: &Node,
    brick: &Brick,
    seen: &BrickSeen,
    what: &str,
    by_glusterd: bool,
    found: &mut impl FnMut(Severity, &'static str, String, String),
) {
    let restart = format!("restart the agent on {}, which brings its bricks up", node.name());
    if seen.condemned {
        let cure = "no operation is at it; do not delete it by hand: ask `bricklayer operation list` what marked it";
        found(Severity::Error, "brick-condemned", format!("{what} is marked for destruction"), cure.to_owned());
    }
    if seen.size < brick.asked {
        let text = format!("{what} has {} and should have {}", seen.size, brick.asked);
        let cure = "expand its volume again, or evict the brick".to_owned();
        found(Severity::Warning, "brick-too-small", text, cure);
    }
    if (seen.tags.set, seen.tags.position) != (brick.set, brick.position) {
        let text = format!(
            "{what} says on the disk that it is brick {} of set {}, and is recorded as brick {} of set {}",
            seen.tags.position, seen.tags.set, brick.position, brick.set
        );
        let cure = "the order of bricks has a meaning to GlusterFS; compare with `gluster volume info`".to_owned();
        found(Severity::Error, "brick-misplaced", text, cure);
    }
    match (&seen.mounted, brick.path.as_ref().map(BrickPath::as_path)) {
        (None, _) => {
            let text = format!("{what} is not mounted, so its data is not served from there");
            found(
                Severity::Error,
                "brick-not-mounted",
                text,
                format!("{restart}; then `gluster volume start NAME force`"),
            );
        }
        (Some(at), Some(wanted)) if !wanted.starts_with(at.as_path()) => {
            let text = format!("{what} is mounted at {at}, and GlusterFS looks for it at {wanted}");
            found(Severity::Error, "brick-mounted-elsewhere", text, format!("unmount it there, and {restart}"));
        }
        _ => {}
    }
    if seen.fstab.is_none() && !by_glusterd {
        let text = format!("{what} has no line in /etc/fstab, so the next boot does not mount it before glusterd");
        found(Severity::Warning, "brick-not-in-fstab", text, restart);
    }
}

fn described(world: &World, node: &Node, device: &Device, brick: &Brick) -> String {
    let volume = world.topology.brick(brick.id).map(|(volume, _)| format!(" of volume {}", volume.name));
    format!("brick {}{} ({})", brick.id, volume.unwrap_or_default(), device_on(node, device))
}

/// Bricks of ours that no record knows.
fn orphans(world: &World, node: &Node, report: &Inventory, findings: &mut Vec<Finding>) {
    for seen in &report.bricks {
        let Some(device) = device_of(report, &seen.group) else { continue };
        let is_known = world.topology.bricks.get(&device).is_some_and(|bricks| bricks.contains_key(&seen.tags.brick));
        if is_known || !world.topology.devices.contains_key(&device) || world.is_moving(device) {
            continue;
        }
        findings.push(Finding {
            severity: Severity::Warning,
            code: "brick-orphaned",
            subject: Subject::Brick(seen.tags.brick),
            host: node.name().to_owned(),
            what: format!(
                "brick {} ({}, once of volume {}) in volume group {} on {} belongs to nothing that is recorded",
                seen.tags.brick,
                seen.size,
                seen.tags.volume_name,
                seen.group,
                node.name()
            ),
            cure: "nothing deletes it by itself; look into it, then remove it by hand".to_owned(),
        });
    }
}
