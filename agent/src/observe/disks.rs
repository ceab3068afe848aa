//! Disks, and what stands in the way of taking them.

use std::collections::BTreeSet;

use bricklayer_proto::inventory::{Disk, LEAST_DISK, Obstacle, PhysicalVolume};
use bricklayer_proto::names::DevicePath;

use super::{OnDisk, brick_of_ours, still_needed};
use crate::fstab;
use crate::host::{BlockDevice, BlockKind, GroupReport, HostView};
use crate::tags;

/// What `wipefs` calls partition tables and their parts.
const TABLES: [&str; 3] = ["gpt", "PMBR", "dos"];
/// What it calls LVM's label.
const LVM: &str = "LVM2_member";
/// What udev calls a path of a multipath device.
const MULTIPATH: &str = "mpath_member";

/// The devices that are shown to people: whole disks, multipath devices, and whatever else already is ours.
pub fn candidates(view: &HostView) -> impl Iterator<Item = &BlockDevice> {
    view.block_devices.iter().filter(|device| match device.kind {
        // A drive without a medium has no size.
        BlockKind::Disk | BlockKind::Multipath => device.size.bytes() > 0,
        BlockKind::Partition | BlockKind::Mapping | BlockKind::Raid => physical_volumes(view, device)
            .any(|(_, group)| group.is_some_and(|group| matches!(tags::parse_group(&group.tags), Ok(Some(_))))),
        BlockKind::Lvm | BlockKind::Other => false,
    })
}

/// The disk as a coordinator is told of it.
#[must_use]
pub fn disk(view: &HostView, device: &BlockDevice, on_disk: &OnDisk) -> Disk {
    let (owner, obstacles) = obstacles(view, device, on_disk);
    let needed = || obstacles.iter().find_map(|obstacle| still_needed(&device.path, obstacle, view));
    let needed = if owner.is_none() { brick_of_ours(view, device).or_else(needed) } else { None };
    Disk {
        path: device.path.clone(),
        links: device.links.clone(),
        size: device.size,
        serial: device.serial.clone(),
        wwn: device.wwn.clone(),
        model: device.model.clone(),
        rotational: device.rotational,
        obstacles,
        device: owner,
        still_needed: needed,
    }
}

/// Everything that lies on the device, itself excluded, what is on top first: the order in which to take it down.
#[must_use]
pub fn above<'a>(view: &'a HostView, device: &BlockDevice) -> Vec<&'a BlockDevice> {
    let mut found: Vec<&BlockDevice> = Vec::new();
    let mut below: Vec<&DevicePath> = vec![&device.path];
    while let Some(path) = below.pop() {
        for child in view.block_devices.iter().filter(|child| child.parents.contains(path)) {
            if !found.iter().any(|known| known.path == child.path) {
                found.push(child);
                below.push(&child.path);
            }
        }
    }
    found.sort_by_key(|device| device.device_number);
    // Layer by layer from the top: what nothing that is left lies on.
    let mut ordered: Vec<&BlockDevice> = Vec::with_capacity(found.len());
    while !found.is_empty() {
        let (top, rest): (Vec<_>, Vec<_>) =
            found.iter().partition(|device| !found.iter().any(|other| other.parents.contains(&device.path)));
        if top.is_empty() {
            // Devices that lie on each other cannot be; a report that says so still ends here.
            ordered.extend(rest);
            break;
        }
        ordered.extend(top);
        found = rest;
    }
    ordered
}

/// Every name by which something could mean this device.
#[must_use]
pub fn names_of(view: &HostView, device: &BlockDevice) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = device.links.iter().map(ToString::to_string).collect();
    names.insert(device.path.to_string());
    for (folder, key) in [
        ("/dev/disk/by-uuid/", "UUID="),
        ("/dev/disk/by-label/", "LABEL="),
        ("/dev/disk/by-partuuid/", "PARTUUID="),
        ("/dev/disk/by-partlabel/", "PARTLABEL="),
        ("/dev/disk/by-id/", "ID="),
    ] {
        let values = device.links.iter().filter_map(|link| link.as_str().strip_prefix(folder));
        names.extend(values.flat_map(|value| [format!("{key}{value}"), format!("{key}\"{value}\"")]));
    }
    if let Some(mapping) = &device.mapping {
        names.insert(format!("/dev/mapper/{mapping}"));
        let volumes = view.groups.iter().flat_map(|group| group.volumes.iter().map(move |volume| (group, volume)));
        let of_mapping = volumes.filter(|(group, volume)| {
            bricklayer_proto::names::mapper_path(&group.name, &volume.name).file_name() == Some(mapping)
        });
        names.extend(of_mapping.map(|(group, volume)| format!("/dev/{}/{}", group.name, volume.name)));
    }
    names
}

/// The lines of fstab that would mount this device, or something that lies on it.
#[must_use]
pub fn obstacle_lines<'a>(view: &'a HostView, device: &BlockDevice) -> Vec<fstab::Entry<'a>> {
    let mut names = names_of(view, device);
    for other in above(view, device) {
        names.extend(names_of(view, other));
    }
    fstab::entries(&view.fstab).filter(|entry| names.contains(&entry.source)).collect()
}

/// The physical volumes on this very device, with their groups.
fn physical_volumes<'a>(
    view: &'a HostView,
    device: &'a BlockDevice,
) -> impl Iterator<Item = (&'a PhysicalVolume, Option<&'a GroupReport>)> {
    let in_groups =
        view.groups.iter().flat_map(|group| group.physical_volumes.iter().map(move |volume| (volume, Some(group))));
    let loose = view.loose_physical_volumes.iter().map(|volume| (volume, None));
    in_groups.chain(loose).filter(|(volume, _)| {
        volume.path.as_ref().is_some_and(|path| device.path == *path || device.links.contains(path))
    })
}

fn obstacles(
    view: &HostView,
    device: &BlockDevice,
    on_disk: &OnDisk,
) -> (Option<bricklayer_proto::ids::DeviceId>, Vec<Obstacle>) {
    let above = above(view, device);
    let family: Vec<&BlockDevice> = std::iter::once(device).chain(above.iter().copied()).collect();
    let mut found = Vec::new();

    let mut in_lvm = Vec::new();
    for (volume, group) in family.iter().flat_map(|member| physical_volumes(view, member)) {
        match group.map(|group| (group, tags::parse_group(&group.tags))) {
            // Everything else that could be said of it is our own doing.
            Some((_, Ok(Some(ours)))) => return (Some(ours.device), vec![Obstacle::Ours { device: ours.device }]),
            Some((group, Err(damaged))) => in_lvm.push(Obstacle::Unknown {
                why: format!("volume group {} carries tags of Bricklayer, but {damaged}", group.name),
            }),
            Some((group, Ok(None))) => {
                in_lvm.push(Obstacle::PhysicalVolume { uuid: volume.uuid.clone(), group: Some(group.name.clone()) });
            }
            None => in_lvm.push(Obstacle::PhysicalVolume { uuid: volume.uuid.clone(), group: None }),
        }
    }

    let names: BTreeSet<String> = family.iter().flat_map(|member| names_of(view, member)).collect();
    let numbers: BTreeSet<(u32, u32)> = family.iter().map(|member| member.device_number).collect();
    for mount in &view.mounts {
        if numbers.contains(&mount.device_number) || names.contains(&mount.source) {
            let mounted = Obstacle::Mounted { source: mount.source.clone(), at: mount.at.to_string() };
            if !found.contains(&mounted) {
                found.push(mounted);
            }
        }
    }
    for swap in view.swaps.iter().filter(|swap| names.contains(swap.as_str())) {
        found.push(Obstacle::Swap { source: swap.to_string() });
    }
    for holder in &above {
        match holder.kind {
            BlockKind::Partition => {}
            BlockKind::Multipath => {
                let map = holder.mapping.clone().unwrap_or_else(|| holder.path.to_string());
                found.push(Obstacle::MultipathMember { map });
            }
            BlockKind::Disk | BlockKind::Lvm | BlockKind::Mapping | BlockKind::Raid | BlockKind::Other => {
                let name = holder.mapping.clone().unwrap_or_else(|| holder.path.to_string());
                // An md array works as long as it exists, whoever looks at it.
                let in_use = holder.open || holder.kind == BlockKind::Raid;
                found.push(Obstacle::HeldBy { name, path: holder.path.to_string(), in_use });
            }
        }
    }
    let known_to_lvm = !in_lvm.is_empty();
    found.extend(in_lvm);
    found.extend(obstacle_lines(view, device).into_iter().map(|entry| Obstacle::Fstab { line: entry.line.to_owned() }));
    found.extend(written(device, on_disk, known_to_lvm));
    found.extend(unfit(device));
    (None, found)
}

/// What is written on the device itself.
fn written(device: &BlockDevice, on_disk: &OnDisk, known_to_lvm: bool) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let signatures = match on_disk {
        Ok(signatures) => signatures.as_slice(),
        Err(why) => {
            found.push(Obstacle::Unknown { why: why.clone() });
            &[]
        }
    };
    let table = device.partition_table.clone().or_else(|| {
        let table = signatures.iter().find(|signature| TABLES.contains(&signature.what.as_str()));
        table.map(|signature| signature.what.clone())
    });
    found.extend(table.map(|what| Obstacle::PartitionTable { what }));
    for signature in signatures {
        // Said already, and better.
        let said = TABLES.contains(&signature.what.as_str()) || known_to_lvm && signature.what == LVM;
        if !said {
            found.push(Obstacle::Signature { what: signature.what.clone(), offset: signature.offset });
        }
    }
    found
}

/// What no wiping changes.
fn unfit(device: &BlockDevice) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if device.signature.as_deref() == Some(MULTIPATH) {
        found.push(Obstacle::MultipathMember { map: "that multipathd makes of it".to_owned() });
    }
    match device.kind {
        BlockKind::Disk | BlockKind::Partition | BlockKind::Multipath | BlockKind::Mapping | BlockKind::Raid => {}
        BlockKind::Lvm => found.push(Obstacle::Unknown { why: "it is a logical volume, not a disk".to_owned() }),
        BlockKind::Other => {
            found.push(Obstacle::Unknown { why: "it is a loop device, a drive for media or the like".to_owned() });
        }
    }
    if device.read_only {
        found.push(Obstacle::ReadOnly);
    }
    if device.size < LEAST_DISK {
        found.push(Obstacle::TooSmall { size: device.size, least: LEAST_DISK });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Signature;
    use crate::tools::{blockdev, lvm, mount};

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// The host whose disks others have used: `tests/fixtures/record`.
    fn foreign() -> HostView {
        let report = lvm::parse_full_report(&fixture("lvm-2.03.16/agent-report-foreign.json")).unwrap();
        let text = |name| String::from_utf8(fixture(name)).unwrap();
        HostView {
            block_devices: blockdev::parse_lsblk(&fixture("util-linux-2.38/lsblk-foreign.json")).unwrap(),
            groups: report.groups,
            loose_physical_volumes: report.loose,
            mounts: mount::parse_mounts(&text("util-linux-2.38/mountinfo-foreign.txt")).unwrap(),
            swaps: mount::parse_swaps(&text("util-linux-2.38/swaps-foreign.txt")),
            fstab: "/dev/old/data /srv xfs defaults 0 0\ntmpfs /tmp tmpfs rw 0 0\n".to_owned(),
        }
    }

    fn said(view: &HostView, path: &str, on_disk: &OnDisk) -> Vec<String> {
        let device = super::super::device(view, &path.parse().unwrap()).unwrap();
        disk(view, device, on_disk).obstacles.iter().map(ToString::to_string).collect()
    }

    fn signatures(name: &str) -> OnDisk {
        Ok(blockdev::parse_signatures(&fixture(&format!("util-linux-2.38/wipefs-{name}.json"))).unwrap())
    }

    #[test]
    fn a_raw_disk_is_usable() {
        let view = foreign();
        assert_eq!(said(&view, "/dev/sdb", &signatures("raw")), [] as [&str; 0]);
    }

    #[test]
    fn a_mounted_disk_is_refused_with_its_mount_and_its_file_system() {
        let view = foreign();
        assert_eq!(
            said(&view, "/dev/sdd", &signatures("xfs")),
            ["/dev/sdd is mounted at /mnt/with space", "it carries a signature of xfs at byte 0"]
        );
    }

    #[test]
    fn a_partitioned_disk_is_refused_with_its_swap_and_its_table_once() {
        let view = foreign();
        assert_eq!(
            said(&view, "/dev/sdc", &signatures("gpt")),
            ["/dev/sdc2 is in use as swap", "it carries a partition table (gpt)"]
        );
    }

    #[test]
    fn an_old_member_of_lvm_is_refused_with_its_group_its_mappings_and_its_line_of_fstab() {
        let view = foreign();
        let uuid = view.groups[0].physical_volumes[0].uuid.clone();
        assert_eq!(
            said(&view, "/dev/sde", &signatures("lvm")),
            [
                "old-data (/dev/dm-0) lies on it, in use by nobody".to_owned(),
                "stale (/dev/dm-1) lies on it, in use by nobody".to_owned(),
                format!("it is LVM's physical volume {uuid} of volume group old"),
                "a line of /etc/fstab names it: /dev/old/data /srv xfs defaults 0 0".to_owned(),
            ]
        );
    }

    #[test]
    fn a_disk_that_cannot_be_examined_counts_as_somebody_elses() {
        let view = foreign();
        let said = said(&view, "/dev/sdb", &Err("wipefs: Input/output error".to_owned()));
        let [said] = said.as_slice() else { panic!("{said:?}") };
        assert!(said.contains("counts as somebody else's: wipefs: Input/output error"), "{said}");
    }

    #[test]
    fn a_disk_of_ours_is_said_to_be_ours_and_nothing_else() {
        let mut view = foreign();
        let device = bricklayer_proto::ids::DeviceId::from_u128(5);
        view.groups[0].tags = crate::tags::print_group(&bricklayer_proto::inventory::GroupTags {
            installation: bricklayer_proto::ids::InstallationId::from_u128(1),
            node: bricklayer_proto::ids::NodeId::from_u128(2),
            device,
        });
        let sde = super::super::device(&view, &"/dev/sde".parse().unwrap()).unwrap();
        let disk = disk(&view, sde, &signatures("lvm"));
        assert_eq!((disk.device, disk.obstacles), (Some(device), vec![Obstacle::Ours { device }]));
    }

    #[test]
    fn a_small_or_write_protected_disk_is_refused() {
        let mut view = foreign();
        let sdb = view.block_devices.iter_mut().find(|device| device.path.as_str() == "/dev/sdb").unwrap();
        sdb.read_only = true;
        sdb.size = bricklayer_proto::size::ByteSize::from_gib(1).unwrap();
        assert_eq!(
            said(&view, "/dev/sdb", &signatures("raw")),
            ["it is read-only", "it has 1 GiB, at least 2 GiB are needed"]
        );
    }

    #[test]
    fn a_path_of_a_multipath_device_points_to_that_device() {
        let mut view = foreign();
        let stale = view.block_devices.iter_mut().find(|device| device.mapping.as_deref() == Some("stale")).unwrap();
        stale.kind = BlockKind::Multipath;
        stale.parents = vec!["/dev/sdb".parse().unwrap()];
        assert_eq!(said(&view, "/dev/sdb", &Ok(vec![])), ["it is a path of the multipath device stale: add that one"]);
    }

    #[test]
    fn a_line_of_fstab_may_name_a_disk_by_its_uuid() {
        let mut view = foreign();
        let sdb = view.block_devices.iter_mut().find(|device| device.path.as_str() == "/dev/sdb").unwrap();
        sdb.links = vec!["/dev/disk/by-uuid/1-2-3".parse().unwrap()];
        view.fstab = "UUID=1-2-3 /data xfs rw 0 0\nUUID=1-2-34 /other xfs rw 0 0\n".to_owned();
        assert_eq!(
            said(&view, "/dev/sdb", &Ok(vec![Signature { what: "xfs".to_owned(), offset: 0 }]))[0],
            "a line of /etc/fstab names it: UUID=1-2-3 /data xfs rw 0 0"
        );
    }

    #[test]
    fn what_lies_on_top_is_taken_down_first() {
        let view = HostView {
            block_devices: blockdev::parse_lsblk(&fixture("util-linux-2.38/lsblk-brick.json")).unwrap(),
            ..HostView::default()
        };
        let sdb = super::super::device(&view, &"/dev/sdb".parse().unwrap()).unwrap();
        let order: Vec<_> = above(&view, sdb).iter().map(|device| device.path.as_str()).collect();
        assert_eq!(order, ["/dev/dm-3", "/dev/dm-4", "/dev/dm-2", "/dev/dm-0", "/dev/dm-1"]);
    }

    #[test]
    fn only_whole_disks_are_shown() {
        let view = foreign();
        let shown: Vec<_> = candidates(&view).map(|device| device.path.as_str()).collect();
        assert_eq!(shown, ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd", "/dev/sde"]);
    }
}
