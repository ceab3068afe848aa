//! A disk becomes a device of ours, is condemned, and is given back.

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::{Disk, GroupTags, Obstacle};
use bricklayer_proto::names::{DevicePath, PvUuid, VgName};
use bricklayer_proto::task::{DeviceSpec, Failure};

use super::doomed::{DoomedDisk, DoomedGroup, DoomedPhysicalVolume};
use super::{Step, refused, refused_disk, refused_with_cure};
use crate::host::{BlockKind, GroupReport, HostView};
use crate::observe::{self, OnDisk};
use crate::tags;

/// The device's group is on the disk. `on_disk` says what is written there.
pub fn ensure(spec: &DeviceSpec, view: &HostView, on_disk: &OnDisk) -> Result<Vec<Step>, Failure> {
    if let Some(report) = group_of(&view.groups, spec.device) {
        return already(spec, view, report);
    }
    let path = &spec.path;
    let Some(device) = observe::device(view, path) else {
        return Err(no_such_disk(path));
    };
    let disk = observe::disk(view, device, on_disk);
    let in_the_way: Vec<Obstacle> = disk
        .obstacles
        .iter()
        .filter(|obstacle| !(spec.destroy && goes_by_destroying(view, obstacle)))
        .cloned()
        .collect();
    if !in_the_way.is_empty() {
        // What wiping could take away is told too: a person needs the whole picture to choose a cure.
        return Err(refused_disk(path, &disk.obstacles, cure(path, &disk)));
    }
    let mut steps = Vec::new();
    if !disk.obstacles.is_empty() {
        // Partitions first: the same table written again later must not bring their content back.
        let parts = observe::above(view, device).into_iter().filter(|part| part.kind == BlockKind::Partition);
        steps.extend(parts.map(|part| Step::WipeSignatures(DoomedDisk::given_up(part))));
        steps.push(Step::WipeSignatures(DoomedDisk::given_up(device)));
    }
    let ours = GroupTags { installation: spec.installation, node: spec.node, device: spec.device };
    steps.push(Step::CreateGroup {
        disk: path.clone(),
        group: VgName::of_device(spec.device),
        extent_size: spec.extent_size,
        tags: tags::print_group(&ours),
    });
    Ok(steps)
}

/// The device's group carries the mark.
pub fn condemn(device: DeviceId, report: Option<&GroupReport>) -> Result<Vec<Step>, Failure> {
    let Some(report) = report else { return Ok(Vec::new()) };
    ours(report, device)?;
    let bricks = report.volumes.len();
    if let Some(first) = report.volumes.first() {
        let message = format!("device {device} still holds {bricks} logical volumes, {} among them", first.name);
        return Err(refused_with_cure(message, "Delete or move what is on it first"));
    }
    // All that its removal would be refused for is refused before there is no way back.
    DoomedGroup::lies_on(report)?;
    if tags::is_condemned(&report.tags) {
        return Ok(Vec::new());
    }
    Ok(vec![Step::CondemnGroup { group: report.name.clone() }])
}

/// The device's group is gone; its physical volume is left for [`clear`].
pub fn remove(device: DeviceId, report: Option<&GroupReport>) -> Result<Vec<Step>, Failure> {
    let Some(report) = report else { return Ok(Vec::new()) };
    DoomedGroup::of_device(report, device).map(|doomed| vec![Step::RemoveGroup(doomed)])
}

/// The physical volume of the device, whose group is gone, is gone too. `noted`: as this host wrote it down before the group
/// went. `named`: as the coordinator knows it, which alone is no reason to touch anything.
pub fn clear(
    device: DeviceId,
    noted: Option<&PvUuid>,
    named: Option<&PvUuid>,
    view: &HostView,
) -> Result<Vec<Step>, Failure> {
    let loose = &view.loose_physical_volumes;
    let doomed = noted.map(|uuid| DoomedPhysicalVolume::left(uuid, loose)).transpose()?.flatten();
    if let Some(doomed) = doomed {
        return Ok(vec![Step::RemovePhysicalVolume(doomed)]);
    }
    let left = loose.iter().find(|volume| named == Some(&volume.uuid));
    let Some((left, path)) = left.and_then(|left| Some((left, left.path.as_ref()?))) else { return Ok(Vec::new()) };
    Err(refused_with_cure(
        format!(
            "the volume group of device {device} is gone, and {path} still carries its physical volume {}. This host did not \
             note that it removed the group, so it leaves the disk alone",
            left.uuid
        ),
        format!(
            "If nothing on it is needed any more: `bricklayer device wipe NODE {path} --confirm {}`; the deletion ends then",
            left.uuid
        ),
    ))
}

/// The group that says it is this device or, where none does, that has its name.
#[must_use]
pub fn group_of(groups: &[GroupReport], device: DeviceId) -> Option<&GroupReport> {
    let says_so =
        |group: &&GroupReport| matches!(tags::parse_group(&group.tags), Ok(Some(ours)) if ours.device == device);
    let name = VgName::of_device(device);
    groups.iter().find(says_so).or_else(|| groups.iter().find(|group| group.name == name))
}

/// What the group says of itself, if it is this device.
pub fn ours(report: &GroupReport, device: DeviceId) -> Result<GroupTags, Failure> {
    let name = &report.name;
    match tags::parse_group(&report.tags) {
        Ok(Some(ours)) if ours.device == device => Ok(ours),
        Ok(Some(ours)) => {
            Err(refused(format!("volume group {name} says that it is device {}, not {device}", ours.device)))
        }
        Ok(None) => Err(refused(format!("volume group {name} carries no tags of Bricklayer"))),
        Err(damaged) => Err(refused(format!("volume group {name} has tags that cannot be read: {damaged}"))),
    }
}

#[must_use]
pub fn no_such_disk(path: &DevicePath) -> Failure {
    refused_with_cure(
        format!("Can't use {path}: there is no such block device on this host"),
        "Run `bricklayer-agent inspect` on the host to see its disks",
    )
}

fn already(spec: &DeviceSpec, view: &HostView, report: &GroupReport) -> Result<Vec<Step>, Failure> {
    let (device, path) = (spec.device, &spec.path);
    let found = ours(report, device)?;
    if found.installation != spec.installation {
        return Err(refused(format!("device {device} belongs to another installation, {}", found.installation)));
    }
    if tags::is_condemned(&report.tags) {
        return Err(refused(format!("device {device} is condemned: it is being removed")));
    }
    let lies_on = report.physical_volumes.iter().find_map(|volume| volume.path.as_ref());
    let Some(lies_on) = lies_on else {
        return Err(refused(format!("the disk of device {device} is missing")));
    };
    let wanted = observe::device(view, path).ok_or_else(|| no_such_disk(path))?;
    if wanted.path != *lies_on && !wanted.links.contains(lies_on) {
        return Err(refused(format!("device {device} already is another disk, {lies_on}, not {path}")));
    }
    Ok(Vec::new())
}

/// heketi's `destroydata` takes away what is written on the disk and nothing that is in use.
fn goes_by_destroying(view: &HostView, obstacle: &Obstacle) -> bool {
    match obstacle {
        Obstacle::Signature { .. } | Obstacle::PartitionTable { .. } => true,
        // Of a group on several disks the others would be left with a torso.
        Obstacle::PhysicalVolume { group, .. } => {
            group.as_ref().is_none_or(|name| observe::alone_on_its_disk(view, name))
        }
        _ => false,
    }
}

/// What a person can do about a disk that is refused.
#[must_use]
pub fn cure(path: &DevicePath, disk: &Disk) -> Option<String> {
    for obstacle in &disk.obstacles {
        match obstacle {
            Obstacle::Mounted { at, .. } if observe::is_system(at) => {
                return Some("This host lives on it: choose another disk".to_owned());
            }
            Obstacle::Ours { device } => return Some(format!("Delete device {device} first, or choose another disk")),
            Obstacle::MultipathMember { map } => return Some(format!("Add the multipath device {map} instead")),
            Obstacle::TooSmall { .. } => return Some("Choose a larger disk".to_owned()),
            Obstacle::ReadOnly => return Some("Make it writable, or choose another disk".to_owned()),
            Obstacle::Swap { source } => {
                return Some(format!(
                    "If it may go: `swapoff {source}` on the host, take it out of /etc/fstab, then wipe"
                ));
            }
            Obstacle::Unknown { .. } => {
                return Some("Look at it with `bricklayer-agent inspect` on the host".to_owned());
            }
            _ => {}
        }
    }
    let confirm = disk.confirmations().into_iter().next();
    Some(match confirm {
        Some(confirm) => format!(
            "If nothing on it is needed any more: `bricklayer device wipe NODE {path} --confirm {confirm}`, then add it again"
        ),
        None => format!(
            "It has neither serial nor WWN by which a wipe could be confirmed: clear {path} by hand on the host"
        ),
    })
}
