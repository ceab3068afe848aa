//! What the host's facts mean: which disk could be taken and what stands in the way of the others, whose a volume
//! group is, where a brick is mounted. Pure: reads a [`HostView`], decides nothing.
//!
//! What cannot be identified counts as somebody else's.

mod disks;
mod index;
mod kept;

use std::collections::BTreeSet;

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::{
    BrickSeen, GlusterSeen, Inventory, LogicalVolume, LvKind, VolumeGroup, VolumeInPool, digest_of_bricks,
};
use bricklayer_proto::keepsake::GlusterVolumeSeen;
use bricklayer_proto::names::{DevicePath, LvName, MountPoint, VgName, mapper_path};
use bricklayer_proto::task::BrickAddress;
use camino::Utf8Path;

use crate::host::{BlockDevice, GroupReport, HostView, Mount, Signature};
use crate::tags;

use index::Index;

pub use disks::{above, candidates, disk, names_of, obstacle_lines};
pub use kept::{alone_on_its_disk, brick_of_ours, is_system, still_needed};

/// What is on a disk, as far as that could be found out.
pub type OnDisk = Result<Vec<Signature>, String>;

/// Everything that a coordinator is told. `on_disk` says what lies on each of the [`candidates`].
#[must_use]
pub fn inventory(view: &HostView, on_disk: impl Fn(&BlockDevice) -> OnDisk, gluster: GlusterSeen) -> Inventory {
    Inventory {
        disks: candidates(view).map(|device| disk(view, device, &on_disk(device))).collect(),
        groups: view.groups.iter().map(group).collect(),
        bricks: bricks(view),
        gluster,
        ..Inventory::default()
    }
}

/// The device that goes by this name.
#[must_use]
pub fn device<'a>(view: &'a HostView, name: &DevicePath) -> Option<&'a BlockDevice> {
    view.block_devices.iter().find(|device| device.path == *name || device.links.contains(name))
}

/// The volumes that are for this host to report: those with a brick in one of its groups, and those of which the paths of
/// the bricks do not tell on which host they lie. Every glusterd knows all volumes of its pool, and a thousand hosts that
/// reported all of them would say the same a thousand times.
#[must_use]
pub fn volumes_here(view: &HostView, all: &[GlusterVolumeSeen]) -> Vec<VolumeInPool> {
    let groups: BTreeSet<&str> = view.groups.iter().map(|group| group.name.as_str()).collect();
    let is_here = |brick: &BrickAddress| {
        let mut folders = brick.path.as_path().components().map(|folder| folder.as_str());
        folders.find(|folder| is_of_a_device(folder)).is_none_or(|group| groups.contains(group))
    };
    let here = all.iter().filter(|volume| volume.bricks.iter().any(is_here));
    let seen = here.map(|volume| VolumeInPool {
        name: volume.name.clone(),
        id: volume.id.as_ref().and_then(|id| id.parse().ok()),
        started: volume.started,
        bricks: Some(digest_of_bricks(&volume.bricks)),
    });
    seen.collect()
}

/// From so many per cent on a thin pool that promises more than it has is looked at often.
const FILLING_FROM: f64 = 50.0;

/// Whether a thin pool that promises more than it has may be full before the next inventory is due.
#[must_use]
pub fn is_filling(inventory: &Inventory) -> bool {
    let fills = |group: &VolumeGroup| {
        group.volumes.iter().any(|pool| {
            let LvKind::ThinPool { data_percent, metadata_percent, .. } = &pool.kind else { return false };
            let inside =
                |volume: &&LogicalVolume| matches!(&volume.kind, LvKind::Thin { pool: of } if *of == pool.name);
            let promised: u128 =
                group.volumes.iter().filter(inside).map(|volume| u128::from(volume.size.bytes())).sum();
            let fullest = data_percent.unwrap_or_default().max(metadata_percent.unwrap_or_default());
            promised > u128::from(pool.size.bytes()) && fullest >= FILLING_FROM
        })
    };
    inventory.groups.iter().any(fills)
}

/// Whether a folder has the name of a group that we, or heketi, made: [`VgName::of_device`].
fn is_of_a_device(folder: &str) -> bool {
    folder.strip_prefix("vg_").is_some_and(|id| id.parse::<DeviceId>().is_ok())
}

/// The group as a coordinator is told of it.
#[must_use]
pub fn group(report: &GroupReport) -> VolumeGroup {
    let ours = tags::parse_group(&report.tags).unwrap_or_else(|damaged| {
        tracing::warn!(group = %report.name, "a volume group with tags of ours that cannot be read: {damaged}");
        None
    });
    VolumeGroup {
        name: report.name.clone(),
        uuid: report.uuid.clone(),
        space: report.space,
        physical_volumes: report.physical_volumes.clone(),
        tags: ours,
        condemned: tags::is_condemned(&report.tags),
        adopted: report.tags.contains(&tags::adopted()),
        volumes: report.volumes.clone(),
    }
}

fn bricks(view: &HostView) -> Vec<BrickSeen> {
    let index = Index::of(view);
    let volumes = view.groups.iter().flat_map(|group| group.volumes.iter().map(move |volume| (group, volume)));
    volumes.filter_map(|(group, volume)| brick(&index, group, volume)).collect()
}

fn brick(index: &Index<'_>, group: &GroupReport, volume: &LogicalVolume) -> Option<BrickSeen> {
    let tags = match tags::parse_brick(&volume.tags) {
        Ok(tags) => tags?,
        Err(damaged) => {
            tracing::warn!(group = %group.name, volume = %volume.name, "a brick's tags cannot be read: {damaged}");
            return None;
        }
    };
    let pool_lv = match &volume.kind {
        LvKind::Thin { pool } => Some(pool.clone()),
        // A thick brick, whatever a person has made of its linear volume: a brick that is there is never left out.
        LvKind::Other { .. } => None,
        LvKind::ThinPool { .. } => return None,
    };
    let mounted = index.mounted(&group.name, &volume.name);
    Some(BrickSeen {
        fstab: index.in_fstab(tags.brick),
        path: mounted.as_ref().map(|at| tags::brick_path(at, &volume.tags)),
        mounted,
        tags,
        group: group.name.clone(),
        volume_lv: volume.name.clone(),
        pool_lv,
        size: volume.size,
        condemned: volume.condemned,
        adopted: volume.tags.contains(&tags::adopted()),
        served: None,
    })
}

fn mount_point(mount: Option<&Mount>) -> Option<MountPoint> {
    mount?.at.as_str().parse().ok()
}

/// Where a logical volume is mounted, among mounts alone: the kernel names it by its mapping.
#[must_use]
pub fn mount_of<'a>(mounts: &'a [Mount], group: &VgName, volume: &LvName) -> Option<&'a Mount> {
    let path = mapper_path(group, volume);
    mounts.iter().find(|mount| mount.source == path)
}

/// What is mounted exactly here, topmost.
#[must_use]
pub fn mounted_at<'a>(mounts: &'a [Mount], at: &Utf8Path) -> Option<&'a Mount> {
    mounts.iter().rev().find(|mount| mount.at == at)
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::inventory::GroupSpace;
    use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};

    use super::*;

    fn some_group() -> GroupReport {
        GroupReport {
            name: VgName::of_device(DeviceId::from_u128(1)),
            uuid: "u".to_owned(),
            space: GroupSpace {
                seqno: 1,
                extent_size: ExtentSize::from_bytes(4 << 20).unwrap(),
                total: Extents::ZERO,
                free: Extents::ZERO,
                spare: Extents::ZERO,
            },
            physical_volumes: Vec::new(),
            tags: Vec::new(),
            volumes: Vec::new(),
        }
    }

    fn volume(name: &str, paths: &[&str]) -> GlusterVolumeSeen {
        let brick =
            |path: &&str| BrickAddress { host: "gfs1".parse().unwrap(), path: (*path).to_owned().try_into().unwrap() };
        let bricks = paths.iter().map(brick).collect();
        GlusterVolumeSeen { name: name.parse().unwrap(), id: None, started: true, bricks }
    }

    #[test]
    fn a_pool_that_can_overflow_is_watched_from_half_full_on() {
        let volume = |name: &str, gib: u64, kind| LogicalVolume {
            name: name.parse().unwrap(),
            uuid: name.to_owned(),
            size: ByteSize::from_gib(gib).unwrap(),
            kind,
            active: true,
            open: true,
            condemned: false,
            tags: Vec::new(),
        };
        let filling = |bricks: u64, data: f64, metadata: f64| {
            let pool = LvKind::ThinPool {
                metadata: ByteSize::ZERO,
                data_percent: Some(data),
                metadata_percent: Some(metadata),
                volumes: 1,
                fault: None,
            };
            let mut volumes =
                vec![volume("tp", 1, pool), volume("elsewhere", 9, LvKind::Thin { pool: "tp2".parse().unwrap() })];
            volumes.extend(
                (0..bricks)
                    .map(|number| volume(&format!("brick{number}"), 1, LvKind::Thin { pool: "tp".parse().unwrap() })),
            );
            let group = group(&GroupReport { volumes, ..some_group() });
            is_filling(&Inventory { groups: vec![group], ..Inventory::default() })
        };
        assert!(filling(2, 50.0, 1.0) && filling(2, 1.0, 61.0));
        assert!(!filling(2, 49.9, 1.0), "there is time");
        assert!(!filling(1, 99.0, 1.0), "it holds all that was promised");
    }

    #[test]
    fn a_host_reports_volumes_with_bricks_of_its_own_and_those_of_which_nobody_can_tell() {
        let own = VgName::of_device(DeviceId::from_u128(1));
        let group = some_group();
        let view = HostView { groups: vec![group], ..HostView::default() };
        let (here, there) =
            (format!("/m/{own}/brick_a/brick"), format!("/m/vg_{}/brick_b/brick", DeviceId::from_u128(2)));
        let all = [
            volume("ours", &[&there, &here]),
            volume("elsewhere", &[&there]),
            volume("by_hand", &["/srv/brick"]),
            volume("half_by_hand", &[&there, "/data/vg_photos/brick"]),
        ];
        let seen: Vec<String> = volumes_here(&view, &all).iter().map(|volume| volume.name.to_string()).collect();
        assert_eq!(seen, ["ours", "by_hand", "half_by_hand"]);
    }
}
