//! What of a disk even a confirmed wipe leaves alone. It is told with the disk, so that nobody plans what is refused later.

use bricklayer_proto::inventory::{Obstacle, StillNeeded};
use bricklayer_proto::names::{DevicePath, VgName};

use super::obstacle_lines;
use crate::host::{BlockDevice, BlockKind, HostView};

/// What the host itself lives on. Nobody gives that up by naming a serial.
const SYSTEM: [&str; 9] = ["/", "/boot", "/boot/efi", "/etc", "/home", "/root", "/usr", "/var", "/var/lib"];

/// Whether the host itself lives on what is mounted there.
#[must_use]
pub fn is_system(at: &str) -> bool {
    SYSTEM.contains(&at)
}

/// Whether the group lies on one disk.
#[must_use]
pub fn alone_on_its_disk(view: &HostView, group: &VgName) -> bool {
    view.groups.iter().filter(|report| report.name == *group).all(|report| report.physical_volumes.len() == 1)
}

/// A disk of ours whose group LVM cannot read for the moment looks like somebody else's. Its bricks' lines in fstab
/// still say whose it is.
#[must_use]
pub fn brick_of_ours(view: &HostView, device: &BlockDevice) -> Option<StillNeeded> {
    let lines = obstacle_lines(view, device);
    let (brick, at) = lines.iter().find_map(|line| line.brick.map(|brick| (brick, &line.at)))?;
    let cure = "Delete its volume and its device first; if the disk is dead and gone from them, take the line out of \
                /etc/fstab by hand";
    Some(StillNeeded { why: format!("brick {brick} of Bricklayer lies on it ({at})"), cure: cure.to_owned() })
}

/// Whether what stands in the way is needed by more than the disk. `path`: as the disk is called.
#[must_use]
pub fn still_needed(path: &DevicePath, obstacle: &Obstacle, view: &HostView) -> Option<StillNeeded> {
    let (why, cure) = match obstacle {
        Obstacle::Mounted { at, .. } if is_system(at) => {
            (format!("this host lives on it (mounted at {at})"), "Choose another disk".to_owned())
        }
        Obstacle::HeldBy { path: holder, .. } if is_raid(view, holder) => (
            format!("it is part of the RAID array {holder}"),
            format!("If the array may go: `mdadm --stop {holder}` on the host, then wipe again"),
        ),
        Obstacle::PhysicalVolume { group: Some(group), .. } if !alone_on_its_disk(view, group) => (
            format!("volume group {group} lies on other disks too"),
            format!("Move it off this disk (`vgreduce {group} {path}`), or remove it by hand"),
        ),
        _ => return None,
    };
    Some(StillNeeded { why, cure })
}

fn is_raid(view: &HostView, holder: &str) -> bool {
    view.block_devices.iter().any(|device| device.path.as_str() == holder && device.kind == BlockKind::Raid)
}
