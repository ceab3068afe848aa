//! Volume groups: are they there and whole, is something in them that nobody knows.

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::{Inventory, VolumeGroup};
use bricklayer_proto::names::VgName;
use bricklayer_proto::size::Extents;

use super::{Finding, Severity, Subject, World, device_on, group_of, is_dying};
use crate::model::{Device, Node};
use crate::placement::Terms;

pub fn examine(world: &World, node: &Node, report: &Inventory, findings: &mut Vec<Finding>) {
    for device in world.topology.devices_of(node.id) {
        if !device.lost {
            // Of the records alone, which are never behind.
            findings.extend(reserve_used(world, node, device));
            findings.extend(over_committed(world, node, device));
        }
        if device.lost || world.is_moving(device.id) || is_dying(report, device.id) {
            continue;
        }
        match group_of(report, device.id) {
            Some(group) => of_group(world, node, device, group, findings),
            None => findings.push(missing(node, device)),
        }
    }
    for group in &report.groups {
        let Some(tags) = group.tags else { continue };
        if world.topology.devices.contains_key(&tags.device) || world.is_moving(tags.device) {
            continue;
        }
        findings.push(Finding {
            severity: Severity::Warning,
            code: "group-unknown",
            subject: Subject::Unknown(group.name.to_string()),
            host: node.name().to_owned(),
            what: format!(
                "volume group {} on {} says that it is device {} of ours, which no record knows",
                group.name,
                node.name(),
                tags.device
            ),
            cure: "nothing is done to it; if nothing on it is needed: `bricklayer device wipe`".to_owned(),
        });
    }
}

/// The policy keeps more free than there is: it was raised, or somebody else takes from the group.
fn reserve_used(world: &World, node: &Node, device: &Device) -> Option<Finding> {
    let one = device.space.extent_size;
    let reserve = world.topology.policies.terms(node.cluster, Terms::default()).reserve;
    let (wanted, free) = (reserve.of(device.space.total, one), world.topology.free(device));
    if free >= wanted {
        return None;
    }
    let size = |extents: Extents| extents.to_bytes(one).unwrap_or_default();
    Some(Finding {
        severity: Severity::Note,
        code: "reserve-used",
        subject: Subject::Device(device.id),
        host: node.name().to_owned(),
        what: format!(
            "{} has {} free, and the policy keeps {} ({reserve}) from bricks",
            device_on(node, device),
            size(free),
            size(wanted)
        ),
        cure: "nothing is placed there; move a brick off it with `bricklayer brick evict`, or lower the reserve with \
               `bricklayer policy set`"
            .to_owned(),
    })
}

/// Its pools cannot all be extended to what their bricks may hold.
fn over_committed(world: &World, node: &Node, device: &Device) -> Option<Finding> {
    let (beyond, free) = (world.topology.promised_beyond(device.id), world.topology.free(device));
    // Clones and adopted pools promise more as well, and nobody asked for that by a policy.
    let terms = world.topology.policies.terms(node.cluster, Terms::default());
    if beyond <= free || terms.over_commit.is_none() {
        return None;
    }
    let size = |extents: Extents| extents.to_bytes(device.space.extent_size).unwrap_or_default();
    Some(Finding {
        severity: Severity::Warning,
        code: "over-committed",
        subject: Subject::Device(device.id),
        host: node.name().to_owned(),
        what: format!(
            "bricks on {} may hold {} beyond what their pools have, and {} are free there: when they fill up, writes fail",
            device_on(node, device),
            size(beyond),
            size(free)
        ),
        cure:
            "move bricks off it with `bricklayer brick evict`, add devices, or lower `over_commit` for new bricks with \
               `bricklayer policy set`"
                .to_owned(),
    })
}

fn missing(node: &Node, device: &Device) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "group-missing",
        subject: Subject::Device(device.id),
        host: node.name().to_owned(),
        what: format!("{} does not see the volume group of {}", node.name(), device.name),
        cure: format!(
            "attach the disk (physical volume {}); if it will never come back: `bricklayer device lost {}:{}`",
            device.pv_uuid,
            node.name(),
            device.name
        ),
    }
}

fn of_group(world: &World, node: &Node, device: &Device, group: &VolumeGroup, findings: &mut Vec<Finding>) {
    let at = device_on(node, device);
    let mut found = |severity, code, subject, what: String, cure: String| {
        findings.push(Finding { severity, code, subject, host: node.name().to_owned(), what, cure });
    };
    let of_device = || Subject::Device(device.id);
    for pool in &group.volumes {
        let Some(fault) = pool.kind.pool_fault() else { continue };
        let brick = world.topology.brick_of_pool(device.id, &pool.name);
        let subject = brick.map_or_else(of_device, |brick| Subject::Brick(brick.id));
        let what = format!("LVM says of thin pool {}/{} on {at}: {fault}", group.name, pool.name);
        let cure = "make its bricks anew elsewhere, where the others of their sets are whole: `bricklayer brick evict`. Nothing is \
                    repaired by itself, and nothing placed there; by hand, with the pool offline: `lvconvert --repair`"
            .to_owned();
        found(Severity::Error, "pool-fails", subject, what, cure);
    }
    if group.physical_volumes.iter().any(|volume| volume.missing) {
        let what = format!("LVM misses the physical volume of {at}");
        let cure = format!(
            "attach the disk (physical volume {}); if it will never come back: `bricklayer device lost {}:{}`",
            device.pv_uuid,
            node.name(),
            device.name
        );
        found(Severity::Error, "group-damaged", of_device(), what, cure);
        return;
    }
    if group.condemned {
        let what = format!("the volume group of {at} is marked for destruction, and no operation is at it");
        let cure = format!("delete the device again: `bricklayer device delete {}:{}`", node.name(), device.name);
        found(Severity::Warning, "group-condemned", of_device(), what, cure);
    }
    for volume in &group.volumes {
        // glusterd's snapshots are somebody else's, too.
        if !volume.is_part_of_pool() && !volume.is_tagged_ours() {
            let what = format!("logical volume {}/{} ({}) on {at} is not ours", group.name, volume.name, volume.size);
            let cure = "it takes space from bricks and is left alone; remove it by hand if nobody needs it".to_owned();
            found(Severity::Note, "volume-foreign", Subject::Unknown(volume.uuid.clone()), what, cure);
        }
    }
}

/// The device that a group on a host is, by its tags.
pub fn device_of(report: &Inventory, group: &VgName) -> Option<DeviceId> {
    let group = report.groups.iter().find(|seen| seen.name == *group)?;
    group.tags.map(|tags| tags.device)
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::inventory::{LogicalVolume, LvKind};
    use bricklayer_proto::names::LvName;
    use bricklayer_proto::size::{ByteSize, MIB};

    use super::*;
    use crate::doctor::stage::{Case, brick_id, codes_after, device, device_id, group, logical, volume};
    use crate::model::Brick;

    #[test]
    fn a_group_that_is_missing_damaged_condemned_or_unknown_is_found() {
        let cases: [Case; 4] = [
            ("group-missing", |world| world.told(1).groups.clear()),
            ("group-damaged", |world| world.told(1).groups[0].physical_volumes[0].missing = true),
            ("group-condemned", |world| world.told(1).groups[0].condemned = true),
            ("group-unknown", |world| world.told(1).groups.push(group(9))),
        ];
        for (code, breaks) in cases {
            assert_eq!(codes_after(breaks), [code]);
            // Nor is anything said of one at which an operation works, or did a moment ago.
            let moving = codes_after(|world| {
                breaks(world);
                world.moving.extend([device_id(1), device_id(9)]);
            });
            assert_eq!(moving, [""; 0], "{code}");
        }
        let lost = codes_after(|world| {
            world.topology().put_device(Device { lost: true, ..device(1) });
            world.told(1).groups[0].condemned = true;
        });
        assert_eq!(lost, [""; 0], "nobody waits for it any more");
    }

    #[test]
    fn a_pool_that_fails_is_told_of_the_brick_that_has_it_whichever_it_was_made_for() {
        let mut world = World::well();
        let pool = LvName::of_pool(brick_id(1));
        let kind = LvKind::ThinPool {
            metadata: ByteSize::from_bytes(8 * MIB),
            data_percent: None,
            metadata_percent: None,
            volumes: 1,
            fault: Some("it needs a check".to_owned()),
        };
        let failing = LogicalVolume { kind, ..logical(pool.as_str(), &["bricklayer.role=pool"]) };
        world.told(1).groups[0].volumes.push(failing);
        let subject = |world: &World| {
            let found = world.findings().into_iter().find(|finding| finding.code == "pool-fails");
            found.unwrap().subject
        };
        assert_eq!(subject(&world), Subject::Brick(brick_id(1)));
        // A clone lives on in the pool of the brick that it was cloned from, and the pool keeps its name.
        let mut clone = volume();
        clone.bricks[0] = Brick { id: brick_id(9), pool: Some(brick_id(1)), ..clone.bricks[0].clone() };
        world.topology().put_volume(clone);
        assert_eq!(subject(&world), Subject::Brick(brick_id(9)));
        world.topology().remove_volume(volume().id);
        assert_eq!(subject(&world), Subject::Device(device_id(1)));
    }

    #[test]
    fn a_logical_volume_of_somebody_elses_in_a_group_of_ours_is_found_and_parts_of_ours_are_not() {
        let with = |name: &str, tags: &[&str]| {
            let volume = logical(name, tags);
            codes_after(|world| world.told(1).groups[0].volumes.push(volume))
        };
        assert_eq!(with("backup", &["somebody.else=1"]), ["volume-foreign"]);
        assert_eq!(with("brick_8", &["bricklayer.format=1"]), [""; 0]);
        assert_eq!(with("tp_8_tdata", &[]), [""; 0]);
    }
}
