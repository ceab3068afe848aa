//! Bricks: is each one there, mounted where it should be and after the next boot, and is there one that nobody knows.

use std::collections::BTreeMap;

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::{BrickSeen, Inventory};
use bricklayer_proto::names::BrickPath;

use super::devices::device_of;
use super::{Finding, Severity, Subject, World, device_on, group_of, is_dying};
use crate::model::{Brick, Device, Node, Plan};

pub fn examine(world: &World, node: &Node, report: &Inventory, findings: &mut Vec<Finding>) {
    let seen: BTreeMap<BrickId, &BrickSeen> = report.bricks.iter().map(|brick| (brick.tags.brick, brick)).collect();
    for device in world.topology.devices_of(node.id) {
        if device.lost || world.is_moving(device.id) || is_dying(report, device.id) {
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
                    // It made the brick for a clone, and mounts it itself.
                    let by_glusterd = group.volumes.iter().any(|volume| {
                        volume.name == seen.volume_lv && volume.our_tag("mounted-by") == Some("glusterd")
                    });
                    one(node, brick, seen, &what, by_glusterd, &mut found);
                }
                // It is to move there once it is its turn.
                None if is_held(world, brick.id) => {}
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

/// Whether an operation only keeps its room.
fn is_held(world: &World, brick: BrickId) -> bool {
    let mut unfinished = world.topology.unfinished.values();
    unfinished.any(|operation| match &operation.plan {
        Plan::DeviceRemove(remove) => remove.held.iter().any(|held| held.id == brick),
        _ => false,
    })
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
    if seen.pool_lv.is_none() != brick.is_thick() {
        let (is, was) = if brick.is_thick() { ("a thin volume", "thick") } else { ("no thin volume", "thin") };
        let text = format!("{what} is recorded as {was}, and is {is}: somebody has converted it");
        let cure = format!(
            "it serves, and does not grow; have it made anew as it is recorded: `bricklayer brick evict {}`",
            brick.id
        );
        found(Severity::Warning, "brick-converted", text, cure);
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

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId, VolumeId};
    use bricklayer_proto::inventory::{BrickRole, BrickTags};
    use bricklayer_proto::names::MountPoint;
    use bricklayer_proto::size::{ByteSize, ExtentSize};
    use bricklayer_proto::space::BrickSpace;

    use super::*;
    use crate::doctor::stage::{codes_after, device_id};
    use crate::model::{AdminState, FIRST_GENERATION, LvNames, Zone};

    const AT: &str = "/var/lib/bricklayer/mounts/vg_1/brick_7";

    fn node() -> Node {
        Node {
            id: NodeId::from_u128(1),
            cluster: ClusterId::from_u128(1),
            zone: Zone::new(1).unwrap(),
            manage: vec!["gfs1".parse().unwrap()],
            storage: vec!["10.0.0.1".parse().unwrap()],
            state: AdminState::Online,
            tags: std::collections::BTreeMap::new(),
            lost: false,
        }
    }

    fn brick(asked: ByteSize) -> Brick {
        Brick {
            id: BrickId::from_u128(7),
            device: DeviceId::from_u128(1),
            node: NodeId::from_u128(1),
            set: 0,
            position: 1,
            role: BrickRole::Data,
            asked,
            space: BrickSpace::thin(asked, asked, ExtentSize::FOUR_MIB).unwrap(),
            path: Some(format!("{AT}/brick").try_into().unwrap()),
            pool: None,
            names: LvNames::default(),
            adopted: false,
            generation: FIRST_GENERATION,
        }
    }

    fn seen(asked: ByteSize) -> BrickSeen {
        let at: MountPoint = AT.parse().unwrap();
        BrickSeen {
            tags: BrickTags {
                brick: BrickId::from_u128(7),
                volume: VolumeId::from_u128(5),
                volume_name: "v".parse().unwrap(),
                set: 0,
                position: 1,
                role: BrickRole::Data,
                asked,
                generation: FIRST_GENERATION,
                operation: OperationId::from_u128(1),
            },
            group: "vg_1".parse().unwrap(),
            volume_lv: "brick_7".parse().unwrap(),
            pool_lv: Some("tp_7".parse().unwrap()),
            size: asked,
            condemned: false,
            adopted: false,
            fstab: Some(at.clone()),
            mounted: Some(at),
            path: Some(format!("{AT}/brick").try_into().unwrap()),
            served: Some(true),
        }
    }

    fn codes(seen: &BrickSeen, by_glusterd: bool) -> Vec<&'static str> {
        let mut codes = Vec::new();
        let gib = ByteSize::from_gib(1).unwrap();
        one(&node(), &brick(gib), seen, "brick 7", by_glusterd, &mut |_, code, _, _| codes.push(code));
        codes
    }

    #[test]
    fn what_is_as_it_should_be_is_no_finding_and_each_thing_that_is_not_is_one() {
        let gib = ByteSize::from_gib(1).unwrap();
        let right = seen(gib);
        assert_eq!(codes(&right, false), [""; 0]);
        assert_eq!(codes(&BrickSeen { mounted: None, ..right.clone() }, false), ["brick-not-mounted"]);
        let elsewhere = Some("/mnt".parse().unwrap());
        assert_eq!(codes(&BrickSeen { mounted: elsewhere, ..right.clone() }, false), ["brick-mounted-elsewhere"]);
        assert_eq!(codes(&BrickSeen { condemned: true, ..right.clone() }, false), ["brick-condemned"]);
        let small = ByteSize::from_bytes(gib.bytes() - 1);
        assert_eq!(codes(&BrickSeen { size: small, ..right.clone() }, false), ["brick-too-small"]);
        assert_eq!(codes(&BrickSeen { pool_lv: None, ..right.clone() }, false), ["brick-converted"]);
        let tags = BrickTags { position: 0, ..right.tags.clone() };
        assert_eq!(codes(&BrickSeen { tags, ..right }, false), ["brick-misplaced"]);
    }

    #[test]
    fn a_line_of_fstab_is_missed_but_where_glusterd_mounts_the_brick_itself() {
        let without = BrickSeen { fstab: None, ..seen(ByteSize::from_gib(1).unwrap()) };
        assert_eq!(codes(&without, false), ["brick-not-in-fstab"]);
        assert_eq!(codes(&without, true), [""; 0]);
    }

    #[test]
    fn a_brick_that_is_gone_is_missing_and_one_that_no_record_knows_is_an_orphan() {
        assert_eq!(codes_after(|world| world.told(1).bricks.clear()), ["brick-missing"]);
        let older = codes_after(|world| {
            world.told(1).bricks.clear();
            world.told(1).groups[0].space.seqno -= 1;
        });
        assert_eq!(older, [""; 0], "the report is from before the last change");
        let orphan = |world: &mut World| {
            let mut other = world.told(1).bricks[0].clone();
            other.tags.brick = BrickId::from_u128(99);
            world.told(1).bricks.push(other);
        };
        assert_eq!(codes_after(orphan), ["brick-orphaned"]);
        let moving = codes_after(|world| {
            orphan(world);
            world.moving.insert(device_id(1));
        });
        assert_eq!(moving, [""; 0], "it is just being made, or removed");
    }
}
