//! Bricks on linear volumes.

use super::*;

fn thick(spec: BrickSpec) -> BrickSpec {
    BrickSpec { space: BrickSpace::thick(spec.tags.asked, ExtentSize::FOUR_MIB), ..spec }
}

fn linear(tags: Vec<LvmTag>) -> LogicalVolume {
    let condemned = tags::is_condemned(&tags);
    let kind = LvKind::Other { segment_type: "linear".to_owned() };
    LogicalVolume { name: LvName::of_brick(BRICK), kind, tags, condemned, ..pool(false) }
}

fn whole() -> LogicalVolume {
    linear(tags::print_brick(&brick_tags()))
}

/// Made, and nothing of it used yet.
fn blank() -> LogicalVolume {
    linear([tags::print_brick(&brick_tags()), vec![tags::blank()]].concat())
}

fn found(what: &str) -> Option<Vec<Signature>> {
    Some(vec![Signature { what: what.to_owned(), offset: 0 }])
}

fn ensured(world: &World) -> Result<Vec<String>, String> {
    let steps = brick::ensure(&thick(spec()), &world.facts());
    steps.map(|steps| printed(&steps)).map_err(|failure| failure.message)
}

const MADE: [&str; 6] = [
    "change the tags of vg_d/brick_b: -bricklayer.blank",
    "make the mount point /m/vg_d/brick_b",
    LINE,
    "mount vg_d/brick_b at /m/vg_d/brick_b",
    "write the volume's record below /m/vg_d/brick_b",
    "make the brick directory /m/vg_d/brick_b/brick",
];

#[test]
fn a_thick_brick_is_a_linear_volume_that_is_blank_until_it_has_its_file_system() {
    let steps = brick::ensure(&thick(spec()), &World::with(vec![]).facts()).unwrap();
    let [Step::CreateLinear(wanted), ..] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(tags::is_blank(&wanted.tags));
    let first = ["make linear volume brick_b (2048 extents) in vg_d", "make an XFS on vg_d/brick_b"];
    assert_eq!(printed(&steps), [&first[..], &MADE].concat());
}

#[test]
fn what_an_earlier_volume_left_is_made_over_and_never_mounted() {
    let mut world = World::with(vec![blank()]);
    assert_eq!(ensured(&world).unwrap(), [&["make an XFS on vg_d/brick_b"][..], &MADE].concat());
    for left in ["xfs", "ext4", "LVM2_member"] {
        world.on_volume = found(left);
        let over = "make an XFS on vg_d/brick_b, over what an earlier volume left there";
        assert_eq!(ensured(&world).unwrap(), [&[over][..], &MADE].concat(), "{left}");
    }
    assert!(ensured(&world.mounted()).unwrap_err().contains("says that nothing is on it yet"));
}

#[test]
fn a_thick_brick_that_is_not_blank_is_never_formatted_again() {
    let mut world = World::with(vec![whole()]).in_fstab();
    world.on_volume = found("xfs");
    let steps = ensured(&world).unwrap();
    assert!(!steps.iter().any(|step| step.contains("XFS") || step.contains("tags")), "{steps:?}");
    world.on_volume = found("ext4");
    assert!(ensured(&world).unwrap_err().contains("carries a signature of ext4"));
}

#[test]
fn a_thick_brick_needs_its_data_and_not_an_extent_more() {
    let mut world = World::with(vec![]);
    world.group.space.free = Extents::new(2048);
    ensured(&world).unwrap();
    world.group.space.free = Extents::new(2047);
    assert!(ensured(&world).unwrap_err().ends_with("4 MiB are missing"));
}

#[test]
fn thin_and_thick_are_never_taken_for_each_other() {
    let as_thin = World::with(vec![whole()]).ensure().unwrap_err();
    assert!(as_thin.message.contains("is no thin volume"), "{as_thin}");
    let as_thick = ensured(&World::with(vec![thin(false), pool(false)])).unwrap_err();
    assert!(as_thick.contains("is no linear volume"), "{as_thick}");
    let half_thin = ensured(&World::with(vec![pool(false)])).unwrap_err();
    assert!(half_thin.contains("is to be thick and has none"), "{half_thin}");
    let mut striped = whole();
    striped.kind = LvKind::Other { segment_type: "raid1".to_owned() };
    assert!(ensured(&World::with(vec![striped])).unwrap_err().contains("is no linear volume"));
}

#[test]
fn a_thick_brick_grows_by_its_volume_alone() {
    let mut world = World::with(vec![whole()]).mounted().in_fstab();
    world.group.space.free = Extents::new(2048);
    let steps = printed(&brick::grow(&thick(grown()), &world.facts()).unwrap());
    assert_eq!(
        steps,
        [
            "extend volume vg_d/brick_b to 16 GiB",
            "grow the XFS at /m/vg_d/brick_b to its volume's size",
            "change the tags of vg_d/brick_b: -bricklayer.asked=8589934592 -bricklayer.generation=1 \
             +bricklayer.asked=17179869184 +bricklayer.generation=2",
            "write the volume's record below /m/vg_d/brick_b",
        ]
    );
    world.group.space.free = Extents::new(2047);
    assert_eq!(brick::grow(&thick(grown()), &world.facts()).unwrap_err().kind, FailureKind::NoSpace);
    // Cut off after the volume: what is left needs no room.
    world.group.volumes[0].size = ByteSize::from_gib(16).unwrap();
    world.group.space.free = Extents::ZERO;
    assert_eq!(printed(&brick::grow(&thick(grown()), &world.facts()).unwrap()), steps[1..]);
    world.group.volumes = vec![blank()];
    assert!(brick::grow(&thick(grown()), &world.facts()).unwrap_err().message.contains("not made yet"));
}

#[test]
fn a_thick_brick_goes_with_both_keys_alone() {
    let condemned = || linear([tags::print_brick(&brick_tags()), vec![tags::condemned()]].concat());
    let world = World::with(vec![condemned()]).mounted().in_fstab();
    assert_eq!(
        world.remove().unwrap(),
        [
            "unmount /m/vg_d/brick_b",
            "drop the line of brick b from fstab",
            "remove vg_d/brick_b",
            "remove the mount point /m/vg_d/brick_b",
        ]
    );
    assert_eq!(
        printed(&brick::condemn(&KEY, Some(&World::with(vec![blank()]).group)).unwrap()),
        ["condemn vg_d/brick_b"]
    );
    for volume in [whole(), blank()] {
        assert!(World::with(vec![volume]).remove().unwrap_err().message.contains("is not condemned"));
    }
    let other = BrickKey { volume: VolumeId::from_u128(7), ..KEY };
    assert!(brick::remove(&other, &World::with(vec![condemned()]).facts()).is_err());
    // Blank or not, nothing is made of what is to go.
    assert!(ensured(&World::with(vec![condemned()])).unwrap_err().contains("is condemned"));
}
