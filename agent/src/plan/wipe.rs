//! A disk that a person has given up is freed of everything that holds it, and cleared; without a reboot.

use bricklayer_proto::inventory::{Disk, Obstacle, StillNeeded};
use bricklayer_proto::names::{DevicePath, VgName};
use bricklayer_proto::task::Failure;

use super::device::{cure, no_such_disk};
use super::doomed::DoomedDisk;
use super::{Step, refused_disk, refused_with_cure};
use crate::host::{BlockDevice, BlockKind, HostView};
use crate::observe::{self, OnDisk};
use crate::tags;

/// The steps that leave nothing on the disk; none where nothing is on it.
pub fn ensure(path: &DevicePath, confirm: &str, view: &HostView, on_disk: &OnDisk) -> Result<Vec<Step>, Failure> {
    let device = observe::device(view, path).ok_or_else(|| no_such_disk(path))?;
    let disk = observe::disk(view, device, on_disk);
    let in_the_way: Vec<&Obstacle> =
        disk.obstacles.iter().filter(|obstacle| !matches!(obstacle, Obstacle::TooSmall { .. })).collect();
    if in_the_way.is_empty() {
        return Ok(Vec::new());
    }
    confirmed(path, confirm, &disk)?;
    if let Some(needed) = observe::brick_of_ours(view, device) {
        return Err(Failure { obstacles: disk.obstacles.clone(), ..refused_for(path, needed) });
    }
    for obstacle in &in_the_way {
        if !obstacle.can_be_wiped() {
            return Err(refused_disk(path, &first(obstacle, &disk), cure(path, &disk)));
        }
        if let Some(needed) = observe::still_needed(path, obstacle, view) {
            return Err(Failure { obstacles: first(obstacle, &disk), ..refused_for(path, needed) });
        }
    }
    Ok(steps(device, view))
}

fn confirmed(path: &DevicePath, confirm: &str, disk: &Disk) -> Result<(), Failure> {
    let accepted = disk.confirmations();
    if accepted.iter().any(|one| one == confirm) {
        return Ok(());
    }
    if accepted.is_empty() {
        let message = format!("{path} has no serial, no WWN and no physical volume by which it could be confirmed");
        return Err(refused_with_cure(message, format!("Clear {path} by hand on the host")));
    }
    let message = format!("{confirm:?} is not the serial, the WWN or the UUID of the physical volume of {path}");
    Err(refused_with_cure(message, format!("Look at the disk and repeat one of: {}", accepted.join(", "))))
}

/// What even a confirmed wipe does not take.
fn refused_for(path: &DevicePath, needed: StillNeeded) -> Failure {
    refused_with_cure(format!("Can't wipe {path}: {}", needed.why), needed.cure)
}

/// All obstacles, the one that decides at the front.
fn first(obstacle: &Obstacle, disk: &Disk) -> Vec<Obstacle> {
    let others = disk.obstacles.iter().filter(|other| *other != obstacle);
    std::iter::once(obstacle).chain(others).cloned().collect()
}

/// From the top down: what is mounted, what would mount it again, what is mapped, what is written.
fn steps(device: &BlockDevice, view: &HostView) -> Vec<Step> {
    let above = observe::above(view, device);
    let family: Vec<&BlockDevice> = above.iter().copied().chain(std::iter::once(device)).collect();
    let mut steps = Vec::new();

    // What was mounted last may lie on what was mounted before.
    for mount in view.mounts.iter().rev() {
        let ours = family.iter().any(|member| {
            member.device_number == mount.device_number || observe::names_of(view, member).contains(&mount.source)
        });
        if ours {
            steps.push(Step::UnmountForeign { at: mount.at.clone() });
        }
    }
    let lines: Vec<String> = observe::obstacle_lines(view, device).iter().map(|entry| entry.line.to_owned()).collect();
    if !lines.is_empty() {
        steps.push(Step::DropForeignLines { lines });
    }
    let groups: Vec<VgName> = view
        .groups
        .iter()
        .filter(|group| {
            let mut paths = group.physical_volumes.iter().filter_map(|volume| volume.path.as_ref());
            paths.any(|path| family.iter().any(|member| member.path == *path || member.links.contains(path)))
        })
        // Those of ours never come here: `Obstacle::Ours` cannot be wiped. Said once more where it counts.
        .filter(|group| matches!(tags::parse_group(&group.tags), Ok(None)))
        .map(|group| group.name.clone())
        .collect();
    steps.extend(groups.into_iter().map(|group| Step::DeactivateGroup { group }));
    let mappings = above.iter().filter(|holder| matches!(holder.kind, BlockKind::Lvm | BlockKind::Mapping));
    steps.extend(mappings.filter_map(|holder| holder.mapping.clone()).map(|name| Step::RemoveMapping { name }));
    // Partitions first: the same table written again later must not bring their content back.
    let parts = above.iter().filter(|part| part.kind == BlockKind::Partition);
    steps.extend(parts.map(|part| Step::WipeSignatures(DoomedDisk::given_up(part))));
    steps.push(Step::WipeSignatures(DoomedDisk::given_up(device)));
    steps
}
