//! Plans for small worlds. What is printed is what a person would read before it runs.

mod adopt;
mod thick;

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{
    BrickRole, BrickTags, GroupSpace, GroupTags, LogicalVolume, LvKind, Obstacle, PhysicalVolume,
};
use bricklayer_proto::names::{LvName, LvmTag, MountPoint, VgName, mapper_path};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{
    BrickKey, BrickSpec, CloneBrickSpec, DeviceSpec, Failure, FailureKind, Layout, VolumeRecord,
};

use super::brick::Facts;
use super::{Step, brick, clone, device, wipe};
use crate::fstab;
use crate::host::{BlockDevice, BlockKind, GroupReport, HostView, Mount, Signature};
use crate::tags;

const DEVICE: DeviceId = DeviceId::from_u128(0xd);
const BRICK: BrickId = BrickId::from_u128(0xb);
const VOLUME: VolumeId = VolumeId::from_u128(0xf);
const INSTALLATION: InstallationId = InstallationId::from_u128(0x1);
const KEY: BrickKey = BrickKey { device: DEVICE, brick: BRICK, volume: VOLUME };
const SERIAL: &str = "5c8b";

fn printed(steps: &[Step]) -> Vec<String> {
    let shorten = |text: String| text.replace(&"0".repeat(31), "");
    steps.iter().map(|step| shorten(step.to_string())).collect()
}

fn disk(path: &str) -> BlockDevice {
    BlockDevice {
        path: path.parse().unwrap(),
        device_number: (8, u32::from(path.as_bytes()[path.len() - 1])),
        links: vec![],
        kind: BlockKind::Disk,
        size: ByteSize::from_gib(16).unwrap(),
        read_only: false,
        rotational: true,
        serial: Some(SERIAL.to_owned()),
        wwn: None,
        model: None,
        partition_table: None,
        signature: None,
        parents: vec![],
        mapping: None,
        open: false,
    }
}

fn above(path: &str, parent: &str, kind: BlockKind, mapping: Option<&str>) -> BlockDevice {
    BlockDevice {
        kind,
        parents: vec![parent.parse().unwrap()],
        mapping: mapping.map(str::to_owned),
        serial: None,
        ..disk(path)
    }
}

fn group(name: &str, tags: Vec<LvmTag>, paths: &[&str]) -> GroupReport {
    let physical = |(n, path): (usize, &&str)| PhysicalVolume {
        uuid: format!("{n}Xc3Hq-aaaa-bbbb-cccc-dddd-eeee-ffffff").parse().unwrap(),
        path: Some(path.parse().unwrap()),
        missing: false,
        extent: None,
    };
    GroupReport {
        name: name.parse().unwrap(),
        uuid: "u".to_owned(),
        space: GroupSpace {
            seqno: 1,
            extent_size: ExtentSize::FOUR_MIB,
            total: Extents::new(4091),
            free: Extents::new(4091),
            spare: Extents::ZERO,
        },
        tags,
        physical_volumes: paths.iter().enumerate().map(physical).collect(),
        volumes: vec![],
    }
}

fn our_group() -> GroupReport {
    let ours = GroupTags { installation: INSTALLATION, node: NodeId::from_u128(2), device: DEVICE };
    group(VgName::of_device(DEVICE).as_str(), tags::print_group(&ours), &["/dev/sdb"])
}

fn brick_tags() -> BrickTags {
    BrickTags {
        brick: BRICK,
        volume: VOLUME,
        volume_name: "vol_f".parse().unwrap(),
        set: 0,
        position: 1,
        role: BrickRole::Data,
        asked: ByteSize::from_gib(8).unwrap(),
        generation: 1,
        operation: OperationId::from_u128(9),
    }
}

fn spec() -> BrickSpec {
    let size = ByteSize::from_gib(8).unwrap();
    BrickSpec {
        device: DEVICE,
        tags: brick_tags(),
        space: BrickSpace::thin(size, size, ExtentSize::FOUR_MIB).unwrap(),
        gid: 2000,
        record: VolumeRecord {
            format: VolumeRecord::FORMAT,
            installation: INSTALLATION,
            cluster: ClusterId::from_u128(3),
            volume: VOLUME,
            name: "vol_f".parse().unwrap(),
            size,
            layout: Layout::Replicate { replica: 3 },
            sets: 1,
            gid: 2000,
            options: vec![],
            snapshot_factor_milli: 1000,
            snapshots: false,
            protected: false,
            trash: None,
        },
    }
}

fn pool(condemned: bool) -> LogicalVolume {
    let mut tags = tags::print_pool(&brick_tags());
    tags.extend(condemned.then(tags::condemned));
    LogicalVolume {
        name: LvName::of_pool(BRICK),
        uuid: "p".to_owned(),
        size: ByteSize::from_gib(8).unwrap(),
        kind: LvKind::ThinPool {
            metadata: ByteSize::from_mib(8).unwrap(),
            data_percent: None,
            metadata_percent: None,
            volumes: 1,
            fault: None,
        },
        active: true,
        open: true,
        condemned,
        tags,
    }
}

fn thin(condemned: bool) -> LogicalVolume {
    let mut tags = tags::print_brick(&brick_tags());
    tags.extend(condemned.then(tags::condemned));
    LogicalVolume {
        name: LvName::of_brick(BRICK),
        kind: LvKind::Thin { pool: LvName::of_pool(BRICK) },
        tags,
        ..pool(condemned)
    }
}

struct World {
    group: GroupReport,
    mounts: Vec<Mount>,
    fstab: String,
    on_volume: Option<Vec<Signature>>,
    record: Option<Vec<u8>>,
}

impl World {
    fn with(volumes: Vec<LogicalVolume>) -> Self {
        let group = GroupReport { volumes, ..our_group() };
        Self { group, mounts: vec![], fstab: String::new(), on_volume: None, record: None }
    }

    fn mounted(mut self) -> Self {
        self.mounts.push(Mount {
            source: mapper_path(&self.group.name, &LvName::of_brick(BRICK)).into_string(),
            device_number: (254, 4),
            at: at().as_path().to_owned(),
            file_system: "xfs".to_owned(),
        });
        self
    }

    fn in_fstab(mut self) -> Self {
        let device = mapper_path(&self.group.name, &LvName::of_brick(BRICK));
        self.fstab = fstab::with_brick(&self.fstab, BRICK, &fstab::line(&device, &at(), BRICK));
        self
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            root: "/m".parse().unwrap(),
            group: Some(&self.group),
            mounts: &self.mounts,
            fstab: &self.fstab,
            on_volume: self.on_volume.clone(),
            record: self.record.clone(),
        }
    }

    fn ensure(&self) -> Result<Vec<String>, Failure> {
        brick::ensure(&spec(), &self.facts()).map(|steps| printed(&steps))
    }

    fn remove(&self) -> Result<Vec<String>, Failure> {
        brick::remove(&KEY, &self.facts()).map(|steps| printed(&steps))
    }
}

fn at() -> MountPoint {
    MountPoint::of_brick(&"/m".parse().unwrap(), &VgName::of_device(DEVICE), &LvName::of_brick(BRICK))
}

const LINE: &str = "put into fstab: /dev/mapper/vg_d-brick_b /m/vg_d/brick_b xfs rw,inode64,noatime,nofail,\
                    x-systemd.device-timeout=30s,x-systemd.before=glusterd.service,x-bricklayer.brick=b 0 0";

// Bricks.

#[test]
fn a_new_brick_is_made_from_pool_to_directory() {
    assert_eq!(
        World::with(vec![]).ensure().unwrap(),
        [
            "make thin pool tp_b (2048 extents, metadata 2 extents) and thin volume brick_b (2048 extents) in vg_d",
            "make an XFS on vg_d/brick_b",
            "make the mount point /m/vg_d/brick_b",
            LINE,
            "mount vg_d/brick_b at /m/vg_d/brick_b",
            "write the volume's record below /m/vg_d/brick_b",
            "make the brick directory /m/vg_d/brick_b/brick",
        ]
    );
}

#[test]
fn a_pool_without_its_volume_gets_it() {
    let steps = World::with(vec![pool(false)]).ensure().unwrap();
    assert!(steps[0].starts_with("make thin pool tp_b"), "{steps:?}");
    // Also when the pool has taken the last extent.
    let mut full = World::with(vec![pool(false)]);
    full.group.space.free = Extents::ZERO;
    assert_eq!(full.ensure().unwrap(), steps);
}

#[test]
fn a_pool_that_was_begun_is_condemned_and_then_goes_and_nothing_else_does() {
    let begun = |condemned| LogicalVolume {
        kind: LvKind::Other { segment_type: "linear".to_owned() },
        size: ByteSize::from_mib(8).unwrap(),
        ..pool(condemned)
    };
    let clear = |volumes| printed(&brick::clear(&KEY, &World::with(volumes).group).unwrap());
    assert_eq!(clear(vec![begun(false)]), ["condemn vg_d/tp_b"]);
    assert_eq!(clear(vec![begun(true)]), ["remove vg_d/tp_b"]);
    for whole in [vec![], vec![pool(false)], vec![pool(true)], vec![thin(false), pool(false)]] {
        assert_eq!(clear(whole), [""; 0]);
    }
    let part = LogicalVolume {
        name: format!("{}_tmeta", LvName::of_pool(BRICK)).parse().unwrap(),
        tags: Vec::new(),
        ..begun(false)
    };
    assert_eq!(clear(vec![begun(false), part]), [""; 0], "LVM is further than that");
    let other = LogicalVolume { kind: LvKind::Other { segment_type: "error".to_owned() }, ..begun(false) };
    assert_eq!(clear(vec![other]), [""; 0], "its disk is gone");
}

#[test]
fn a_spare_that_was_begun_is_condemned_and_then_goes_and_nothing_else_does() {
    let size = spec().space.metadata.to_bytes(ExtentSize::FOUR_MIB).unwrap();
    let begun = |condemned: bool| LogicalVolume {
        name: "lvol0".parse().unwrap(),
        kind: LvKind::Other { segment_type: "linear".to_owned() },
        size,
        tags: Vec::from_iter(condemned.then(tags::condemned)),
        open: false,
        condemned,
        ..pool(false)
    };
    let clear = |volumes| printed(&brick::clear_spare(&spec(), &World::with(volumes).group).unwrap());
    assert_eq!(clear(vec![begun(false)]), ["condemn vg_d/lvol0"]);
    assert_eq!(clear(vec![begun(true)]), ["remove vg_d/lvol0"]);
    let others = [
        LogicalVolume { name: "lvol".parse().unwrap(), ..begun(false) },
        LogicalVolume { name: "lvol0_old".parse().unwrap(), ..begun(false) },
        LogicalVolume { size: ByteSize::from_gib(1).unwrap(), ..begun(false) },
        LogicalVolume { open: true, ..begun(false) },
        LogicalVolume { tags: vec!["theirs".parse().unwrap()], ..begun(false) },
        LogicalVolume { kind: LvKind::Other { segment_type: "raid1".to_owned() }, ..begun(false) },
    ];
    for other in others {
        assert_eq!(clear(vec![other.clone()]), [""; 0], "{other:?}");
    }
    assert_eq!(clear(vec![begun(false), pool(false)]), [""; 0], "the first pool is there, and with it the spare");
    let mut with_spare = World::with(vec![begun(false)]);
    with_spare.group.space.spare = Extents::new(2);
    assert!(brick::clear_spare(&spec(), &with_spare.group).unwrap().is_empty());
}

#[test]
fn a_brick_with_a_file_system_is_mounted_and_never_formatted_again() {
    let mut world = World::with(vec![thin(false), pool(false)]).in_fstab();
    world.on_volume = Some(vec![Signature { what: "xfs".to_owned(), offset: 0 }]);
    assert_eq!(
        world.ensure().unwrap(),
        [
            "make the mount point /m/vg_d/brick_b",
            "mount vg_d/brick_b at /m/vg_d/brick_b",
            "write the volume's record below /m/vg_d/brick_b",
            "make the brick directory /m/vg_d/brick_b/brick",
        ]
    );
    world.on_volume = Some(vec![Signature { what: "ext4".to_owned(), offset: 1080 }]);
    assert!(world.ensure().unwrap_err().message.contains("carries a signature of ext4"));
}

#[test]
fn a_lost_line_of_fstab_is_put_back_and_a_whole_brick_left_as_it_is() {
    let mut world = World::with(vec![thin(false), pool(false)]).mounted();
    world.record = Some(brick::record(&spec().record));
    assert_eq!(world.ensure().unwrap(), [LINE, "make the brick directory /m/vg_d/brick_b/brick"]);
    let world = world.in_fstab();
    assert_eq!(world.ensure().unwrap(), ["make the brick directory /m/vg_d/brick_b/brick"]);
}

#[test]
fn a_brick_stays_where_fstab_mounts_it() {
    let mut world = World::with(vec![thin(false), pool(false)]);
    let device = mapper_path(&world.group.name, &LvName::of_brick(BRICK));
    world.fstab = format!("{}\n", fstab::line(&device, &"/heketi/b".parse().unwrap(), BRICK));
    let steps = world.ensure().unwrap();
    assert!(steps.contains(&"mount vg_d/brick_b at /heketi/b".to_owned()), "{steps:?}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_is_missing() {
    let mut world = World::with(vec![]);
    // Room for the pool and its metadata, and not for the group's spare of it.
    world.group.space.free = Extents::new(2050);
    let failure = world.ensure().unwrap_err();
    assert_eq!(failure.kind, FailureKind::NoSpace);
    assert!(failure.message.ends_with("8 MiB are missing"), "{}", failure.message);
    world.group.space.spare = Extents::new(2);
    world.ensure().unwrap();
}

#[test]
fn a_brick_of_another_shape_or_place_is_a_conflict() {
    let mut other_size = thin(false);
    other_size.size = ByteSize::from_gib(7).unwrap();
    let mut other_place = thin(false);
    other_place.tags = tags::print_brick(&BrickTags { position: 2, ..brick_tags() });
    let mut stranger = thin(false);
    stranger.tags = vec![];
    let mut torn = thin(false);
    torn.tags.pop();
    for (volume, why) in [
        (other_size, "has 7 GiB, not the 8 GiB"),
        (other_place, "in another place"),
        (stranger, "do not say it is brick"),
        (torn, "cannot be read"),
    ] {
        let failure = World::with(vec![volume, pool(false)]).ensure().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.message.contains(why), "{}", failure.message);
    }
}

#[test]
fn nothing_is_mounted_over_somebody_elses_mount() {
    let mut world = World::with(vec![thin(false), pool(false)]).mounted();
    world.mounts[0].source = "/dev/sdz".to_owned();
    assert!(world.ensure().unwrap_err().message.contains("/dev/sdz is mounted at"));
}

#[test]
fn a_condemned_brick_goes_from_mount_to_mount_point() {
    let world = World::with(vec![thin(true), pool(true)]).mounted().in_fstab();
    assert_eq!(
        world.remove().unwrap(),
        [
            "unmount /m/vg_d/brick_b",
            "drop the line of brick b from fstab",
            "remove vg_d/brick_b vg_d/tp_b",
            "remove the mount point /m/vg_d/brick_b",
        ]
    );
    // Cut off after the thin volume was removed.
    let world = World::with(vec![pool(true)]);
    assert_eq!(world.remove().unwrap(), ["remove vg_d/tp_b", "remove the mount point /m/vg_d/brick_b"]);
}

#[test]
fn nothing_is_removed_without_both_keys() {
    let refused = |world: &World, key: &BrickKey| {
        let failure = brick::remove(key, &world.facts()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        failure.message
    };
    // No mark, on either.
    for volumes in [vec![thin(false), pool(false)], vec![thin(true), pool(false)], vec![thin(false), pool(true)]] {
        assert!(refused(&World::with(volumes), &KEY).contains("is not condemned"));
    }
    // The mark, and ids that do not match.
    let world = World::with(vec![thin(true), pool(true)]);
    let other_volume = BrickKey { volume: VolumeId::from_u128(7), ..KEY };
    assert!(refused(&world, &other_volume).contains("says that it belongs to volume"));
    let other_device = BrickKey { device: DeviceId::from_u128(7), ..KEY };
    assert!(refused(&world, &other_device).contains("says that it is device"));
}

#[test]
fn a_condemned_brick_is_not_brought_back() {
    for volumes in [vec![thin(true), pool(true)], vec![pool(true)]] {
        let failure = World::with(volumes).ensure().unwrap_err();
        assert!(failure.message.contains("is condemned"), "{}", failure.message);
    }
}

#[test]
fn a_pool_with_somebody_elses_snapshot_stays() {
    let snapshot = LogicalVolume { name: "snap".parse().unwrap(), tags: vec![], ..thin(false) };
    let failure = World::with(vec![thin(true), pool(true), snapshot]).remove().unwrap_err();
    assert!(failure.message.contains("vg_"), "{}", failure.message);
    assert!(failure.message.contains("/snap lies in the brick's pool"), "{}", failure.message);
}

/// The brick of 8 GiB with twice its size asked for.
fn grown() -> BrickSpec {
    let size = ByteSize::from_gib(16).unwrap();
    let mut spec = spec();
    spec.space = BrickSpace::thin(size, size, ExtentSize::FOUR_MIB).unwrap();
    spec.tags = BrickTags { asked: size, generation: 2, ..spec.tags };
    spec.record.size = size;
    spec
}

#[test]
fn a_brick_grows_from_the_pool_to_the_record() {
    let mut world = World::with(vec![thin(false), pool(false)]).mounted().in_fstab();
    world.group.space.free = Extents::new(3000);
    let steps = printed(&brick::grow(&grown(), &world.facts()).unwrap());
    assert_eq!(
        steps,
        [
            "extend thin pool vg_d/tp_b, its metadata to 16 MiB, its data to 16 GiB",
            "extend volume vg_d/brick_b to 16 GiB",
            "grow the XFS at /m/vg_d/brick_b to its volume's size",
            "change the tags of vg_d/brick_b: -bricklayer.asked=8589934592 -bricklayer.generation=1 \
             +bricklayer.asked=17179869184 +bricklayer.generation=2",
            "write the volume's record below /m/vg_d/brick_b",
        ]
    );
    // 2048 of data, 2 of metadata, and the spare that grows from nothing to 4.
    world.group.space.free = Extents::new(2054);
    assert_eq!(printed(&brick::grow(&grown(), &world.facts()).unwrap()), steps);
    world.group.space.free = Extents::new(2053);
    assert_eq!(brick::grow(&grown(), &world.facts()).unwrap_err().kind, FailureKind::NoSpace);
}

#[test]
fn a_brick_that_is_large_enough_grows_by_nothing_but_its_file_system_until_the_tags_say_that_it_has_grown() {
    let size = ByteSize::from_gib(16).unwrap();
    let large = |mut volume: LogicalVolume| {
        volume.size = size;
        if let LvKind::ThinPool { metadata, .. } = &mut volume.kind {
            *metadata = ByteSize::from_mib(16).unwrap();
        }
        volume
    };
    let mut world = World::with(vec![large(thin(false)), large(pool(false))]).mounted().in_fstab();
    world.group.space.free = Extents::ZERO;
    world.record = Some(brick::record(&grown().record));
    let steps = printed(&brick::grow(&grown(), &world.facts()).unwrap());
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps[0].starts_with("grow the XFS"), "{steps:?}");
    world.group.volumes[0].tags = tags::print_brick(&grown().tags);
    assert_eq!(brick::grow(&grown(), &world.facts()), Ok(vec![]));
}

#[test]
fn a_brick_that_is_not_mounted_does_not_grow() {
    let world = World::with(vec![thin(false), pool(false)]).in_fstab();
    let failure = brick::grow(&grown(), &world.facts()).unwrap_err();
    assert!(failure.message.contains("is not mounted"), "{}", failure.message);
}

// Bricks of clones.

const CLONE_PATH: &str = "/run/gluster/snaps/c10e/brick1/brick";

fn clone_tags() -> BrickTags {
    BrickTags {
        brick: BrickId::from_u128(0xc),
        volume: VolumeId::from_u128(0xe),
        volume_name: "vol_e".parse().unwrap(),
        ..brick_tags()
    }
}

fn clone_spec() -> CloneBrickSpec {
    let record = VolumeRecord { volume: VolumeId::from_u128(0xe), name: "vol_e".parse().unwrap(), ..spec().record };
    CloneBrickSpec { device: DEVICE, tags: clone_tags(), path: CLONE_PATH.to_owned().try_into().unwrap(), record }
}

/// The thin volume that glusterd made.
fn twin(tags: Vec<LvmTag>, condemned: bool) -> LogicalVolume {
    LogicalVolume { name: "c10e_0".parse().unwrap(), tags, condemned, ..thin(false) }
}

fn taken(condemned: bool) -> LogicalVolume {
    let mut tags = tags::print_brick(&clone_tags());
    tags.push(tags::mounted_by_glusterd());
    tags.extend(condemned.then(tags::condemned));
    twin(tags, condemned)
}

/// With the twin mounted where glusterd mounts it.
fn with_twin(twin: LogicalVolume, others: Vec<LogicalVolume>) -> World {
    let source = mapper_path(&VgName::of_device(DEVICE), &twin.name).into_string();
    let mut world = World::with([vec![twin], others].concat());
    let at = "/run/gluster/snaps/c10e/brick1".into();
    for (source, at) in [("/dev/sda1".to_owned(), "/".into()), ("tmpfs".to_owned(), "/run".into()), (source, at)] {
        world.mounts.push(Mount { source, device_number: (254, 9), at, file_system: "xfs".to_owned() });
    }
    world
}

#[test]
fn a_clones_brick_gets_its_record_before_its_tags() {
    let world = with_twin(twin(vec![], false), vec![thin(false), pool(false)]);
    let steps = printed(&clone::take(&clone_spec(), &world.facts()).unwrap());
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert_eq!(steps[0], "write the volume's record below /run/gluster/snaps/c10e/brick1");
    assert!(steps[1].starts_with("change the tags of vg_d/c10e_0: +bricklayer.brick=c "), "{steps:?}");
    assert!(steps[1].ends_with(" +bricklayer.mounted-by=glusterd"), "{steps:?}");

    let mut world = with_twin(taken(false), vec![thin(false), pool(false)]);
    world.record = Some(brick::record(&clone_spec().record));
    assert_eq!(clone::take(&clone_spec(), &world.facts()), Ok(vec![]));
}

#[test]
fn what_is_another_brick_or_no_volume_of_the_device_is_not_taken_for_a_clones_brick() {
    let refused = |world: &World| clone::take(&clone_spec(), &world.facts()).unwrap_err().message;
    let other = with_twin(twin(tags::print_brick(&brick_tags()), false), vec![]);
    assert!(refused(&other).contains("of volume 0000000000000000000000000000000f already"), "{}", refused(&other));
    let torn = with_twin(twin(vec!["bricklayer.brick=b".parse().unwrap()], false), vec![]);
    assert!(refused(&torn).contains("cannot be read"), "{}", refused(&torn));
    let twice = with_twin(twin(vec![], false), vec![LogicalVolume { name: "x".parse().unwrap(), ..taken(false) }]);
    assert!(refused(&twice).contains("says already that it is brick"), "{}", refused(&twice));
    // Not mounted: then the path lies on /run.
    let mut bare = with_twin(twin(vec![], false), vec![]);
    bare.mounts.pop();
    assert!(refused(&bare).contains("lies on no mounted volume"), "{}", refused(&bare));
}

#[test]
fn a_pool_is_handed_over_to_the_clone_that_stays_before_its_brick_goes() {
    let world = World::with(vec![thin(true), pool(true), taken(false)]).in_fstab();
    let steps = world.remove().unwrap();
    let at = steps.iter().position(|step| step.starts_with("change the tags of vg_d/tp_b:")).unwrap();
    assert!(steps[at].contains(" -bricklayer.condemned"), "a clone lives in it: {steps:?}");
    assert!(steps[at].contains("+bricklayer.brick=c +bricklayer.volume=e"), "{steps:?}");
    assert_eq!(steps[at + 1], "remove vg_d/brick_b");

    let world = World::with(vec![thin(true), pool(true), taken(true)]);
    let steps = world.remove().unwrap();
    assert!(!steps[0].contains("bricklayer.condemned"), "all in it is condemned: {steps:?}");
}

#[test]
fn a_clones_brick_goes_alone_or_with_the_pool_that_it_was_handed() {
    let key = BrickKey { device: DEVICE, brick: BrickId::from_u128(0xc), volume: VolumeId::from_u128(0xe) };
    let remove = |world: &World| brick::remove(&key, &world.facts()).map(|steps| printed(&steps)).unwrap();
    let world = with_twin(taken(true), vec![thin(false), pool(false)]);
    assert_eq!(remove(&world), ["unmount /run/gluster/snaps/c10e/brick1", "remove vg_d/c10e_0"]);

    let mut tags = tags::print_pool(&clone_tags());
    tags.push(tags::condemned());
    let handed = LogicalVolume { tags, ..pool(true) };
    let world = with_twin(taken(true), vec![handed.clone()]);
    assert_eq!(remove(&world), ["unmount /run/gluster/snaps/c10e/brick1", "remove vg_d/c10e_0 vg_d/tp_b"]);
    // And a repeat for the brick that it was made for finds nothing of its own, though the pool has its name.
    assert_eq!(World::with(vec![handed]).remove().unwrap(), ["remove the mount point /m/vg_d/brick_b"]);
}

#[test]
fn only_what_is_not_yet_condemned_is_condemned() {
    let steps = |volumes| {
        let world = World::with(volumes);
        printed(&brick::condemn(&KEY, Some(&world.group)).unwrap())
    };
    assert_eq!(steps(vec![thin(false), pool(false)]), ["condemn vg_d/brick_b vg_d/tp_b"]);
    assert_eq!(steps(vec![thin(true), pool(false)]), ["condemn vg_d/tp_b"]);
    assert_eq!(steps(vec![thin(true), pool(true)]), [] as [&str; 0]);
    assert_eq!(steps(vec![]), [] as [&str; 0]);
}

// Devices.

fn device_spec(path: &str, destroy: bool) -> DeviceSpec {
    DeviceSpec {
        device: DEVICE,
        installation: INSTALLATION,
        node: NodeId::from_u128(2),
        path: path.parse().unwrap(),
        extent_size: ExtentSize::FOUR_MIB,
        destroy,
    }
}

fn view(block_devices: Vec<BlockDevice>) -> HostView {
    HostView { block_devices, ..HostView::default() }
}

fn xfs() -> Result<Vec<Signature>, String> {
    Ok(vec![Signature { what: "xfs".to_owned(), offset: 0 }])
}

#[test]
fn an_empty_disk_becomes_a_device() {
    let steps = device::ensure(&device_spec("/dev/sdb", false), &view(vec![disk("/dev/sdb")]), &Ok(vec![])).unwrap();
    assert_eq!(printed(&steps), ["make volume group vg_d on /dev/sdb"]);
}

#[test]
fn a_disk_with_a_file_system_is_refused_with_the_cure_and_wiped_when_told_to() {
    let view = view(vec![disk("/dev/sdb")]);
    let failure = device::ensure(&device_spec("/dev/sdb", false), &view, &xfs()).unwrap_err();
    assert_eq!(failure.message, "Can't use /dev/sdb: it carries a signature of xfs at byte 0");
    assert!(failure.cure.unwrap().contains("device wipe NODE /dev/sdb --confirm 5c8b"));
    assert_eq!(failure.obstacles, [Obstacle::Signature { what: "xfs".to_owned(), offset: 0 }]);

    let steps = device::ensure(&device_spec("/dev/sdb", true), &view, &xfs()).unwrap();
    assert_eq!(printed(&steps), ["wipe every signature off /dev/sdb", "make volume group vg_d on /dev/sdb"]);
}

#[test]
fn what_is_in_use_is_refused_also_when_told_to_destroy() {
    let mut mounted = view(vec![disk("/dev/sdb")]);
    mounted.mounts.push(Mount {
        source: "/dev/sdb".to_owned(),
        device_number: mounted.block_devices[0].device_number,
        at: "/data".into(),
        file_system: "xfs".to_owned(),
    });
    let held = view(vec![disk("/dev/sdb"), above("/dev/dm-0", "/dev/sdb", BlockKind::Mapping, Some("stale"))]);
    for view in [mounted, held] {
        let failure = device::ensure(&device_spec("/dev/sdb", true), &view, &xfs()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
    }
}

#[test]
fn a_device_that_is_there_is_left_as_it_is_unless_it_is_another_disk() {
    let mut view = view(vec![disk("/dev/sdb"), disk("/dev/sdc")]);
    view.groups.push(our_group());
    assert_eq!(device::ensure(&device_spec("/dev/sdb", false), &view, &Ok(vec![])), Ok(vec![]));
    let failure = device::ensure(&device_spec("/dev/sdc", true), &view, &Ok(vec![])).unwrap_err();
    assert!(failure.message.contains("already is another disk, /dev/sdb"), "{}", failure.message);
}

#[test]
fn the_disk_of_another_device_of_ours_is_refused_also_when_told_to_destroy() {
    let mut view = view(vec![disk("/dev/sdb")]);
    view.groups.push(our_group());
    let spec = DeviceSpec { device: DeviceId::from_u128(7), ..device_spec("/dev/sdb", true) };
    let failure = device::ensure(&spec, &view, &Ok(vec![])).unwrap_err();
    assert_eq!(failure.obstacles, [Obstacle::Ours { device: DEVICE }]);
}

#[test]
fn a_device_goes_when_it_is_empty_and_condemned_and_not_before() {
    let mut group = our_group();
    assert!(device::remove(DEVICE, Some(&group)).unwrap_err().message.contains("is not condemned"));
    assert_eq!(printed(&device::condemn(DEVICE, Some(&group)).unwrap()), ["condemn volume group vg_d"]);
    group.tags.push(tags::condemned());
    assert_eq!(device::condemn(DEVICE, Some(&group)), Ok(vec![]));
    assert_eq!(printed(&device::remove(DEVICE, Some(&group)).unwrap()), ["remove volume group vg_d from /dev/sdb"]);
    assert_eq!(device::remove(DEVICE, None), Ok(vec![]));

    let uuid = group.physical_volumes[0].uuid.clone();
    let mut view = view(vec![disk("/dev/sdb")]);
    let cleared = |noted, named, view: &HostView| device::clear(DEVICE, noted, named, view);
    assert_eq!(cleared(Some(&uuid), Some(&uuid), &view), Ok(vec![]), "it is gone");
    view.loose_physical_volumes = group.physical_volumes.clone();
    let steps = cleared(Some(&uuid), None, &view).unwrap();
    assert_eq!(printed(&steps), [format!("remove physical volume {uuid} from /dev/sdb")]);
    assert_eq!(cleared(None, None, &view), Ok(vec![]));
    assert_eq!(cleared(None, Some(&uuid), &view).unwrap_err().kind, FailureKind::Refused);
    view.loose_physical_volumes.extend(group.physical_volumes.clone());
    assert!(cleared(Some(&uuid), None, &view).unwrap_err().message.contains("one is a copy of the other"));

    group.volumes.push(thin(true));
    assert!(device::remove(DEVICE, Some(&group)).unwrap_err().message.contains("still holds"));
    assert!(device::condemn(DEVICE, Some(&group)).unwrap_err().message.contains("still holds"));
}

// Wiping.

/// A disk with a partition that is mounted, and a foreign group with a volume and a mapping that LVM does not know.
fn busy() -> HostView {
    let partition = above("/dev/sdb1", "/dev/sdb", BlockKind::Partition, None);
    let mut view = view(vec![
        BlockDevice { partition_table: Some("gpt".to_owned()), ..disk("/dev/sdb") },
        partition.clone(),
        above("/dev/sdb2", "/dev/sdb", BlockKind::Partition, None),
        above("/dev/dm-0", "/dev/sdb2", BlockKind::Lvm, Some("old-data")),
        above("/dev/dm-1", "/dev/sdb2", BlockKind::Mapping, Some("stale")),
    ]);
    view.groups.push(group("old", vec![], &["/dev/sdb2"]));
    view.mounts.push(Mount {
        source: "/dev/sdb1".to_owned(),
        device_number: partition.device_number,
        at: "/my data".into(),
        file_system: "ext4".to_owned(),
    });
    view.fstab = "/dev/sdb1 /my\\040data ext4 rw 0 0\n/dev/sdz /other ext4 rw 0 0\n".to_owned();
    view
}

#[test]
fn a_wipe_undoes_exactly_what_holds_the_disk_from_the_top_down() {
    let steps = wipe::ensure(&"/dev/sdb".parse().unwrap(), SERIAL, &busy(), &Ok(vec![])).unwrap();
    assert_eq!(
        printed(&steps),
        [
            "unmount /my data",
            "drop from fstab: /dev/sdb1 /my\\040data ext4 rw 0 0",
            "deactivate volume group old",
            "remove the mapping old-data",
            "remove the mapping stale",
            "wipe every signature off /dev/sdb1",
            "wipe every signature off /dev/sdb2",
            "wipe every signature off /dev/sdb",
        ]
    );
}

#[test]
fn an_empty_disk_needs_no_wipe() {
    let view = view(vec![disk("/dev/sdb")]);
    assert_eq!(wipe::ensure(&"/dev/sdb".parse().unwrap(), "whatever", &view, &Ok(vec![])), Ok(vec![]));
}

#[test]
fn a_wipe_is_refused_without_the_right_confirmation_and_says_the_right_ones() {
    let failure = wipe::ensure(&"/dev/sdb".parse().unwrap(), "5c8c", &busy(), &Ok(vec![])).unwrap_err();
    assert!(failure.cure.unwrap().contains(SERIAL));
    let mut nameless = disk("/dev/sdb");
    nameless.serial = None;
    let failure = wipe::ensure(&"/dev/sdb".parse().unwrap(), "", &view(vec![nameless]), &xfs()).unwrap_err();
    assert!(failure.message.contains("has no serial"), "{}", failure.message);
}

#[test]
fn a_wipe_never_takes_what_is_ours_or_what_the_host_or_other_disks_need() {
    let refused = |view: &HostView| {
        let failure = wipe::ensure(&"/dev/sdb".parse().unwrap(), SERIAL, view, &Ok(vec![])).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        failure.message
    };
    let mut ours = view(vec![disk("/dev/sdb")]);
    ours.groups.push(our_group());
    // Ours is not even asked to be confirmed rightly: there is nothing to confirm.
    assert!(refused(&ours).contains("it already is device"));

    let mut system = busy();
    system.mounts[0].at = "/".into();
    assert!(refused(&system).contains("this host lives on it"));

    let mut swap = busy();
    swap.swaps.push("/dev/sdb1".into());
    assert!(refused(&swap).contains("in use as swap"));

    let mut spread = busy();
    spread.groups[0] = group("old", vec![], &["/dev/sdb2", "/dev/sdc"]);
    assert!(refused(&spread).contains("lies on other disks too"));

    let mut raid = busy();
    raid.block_devices.push(above("/dev/md0", "/dev/sdb1", BlockKind::Raid, None));
    assert!(refused(&raid).contains("RAID array /dev/md0"));

    let mut multipath = busy();
    multipath.block_devices.push(above("/dev/dm-9", "/dev/sdb", BlockKind::Multipath, Some("mpatha")));
    assert!(refused(&multipath).contains("multipath device mpatha"));

    // LVM has lost sight of the group, and its brick is still to be mounted.
    let mut unseen = busy();
    unseen.groups.clear();
    unseen.fstab = format!("{}\n", fstab::line("/dev/mapper/stale".into(), &at(), BRICK));
    assert!(refused(&unseen).contains("of Bricklayer lies on it"));

    let mut torn = busy();
    torn.groups[0].tags = vec!["bricklayer.device=x".parse().unwrap()];
    assert!(refused(&torn).contains("carries tags of Bricklayer"));
}
