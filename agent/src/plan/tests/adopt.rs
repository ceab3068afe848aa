//! What others made is marked as ours, and the marks go again.

use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption};
use bricklayer_proto::names::BrickPath;

use super::super::adopt;
use super::*;

/// As heketi leaves it: no tags, a pool that is called after another id, a line of fstab with its own options.
fn heketis() -> World {
    let volume = LogicalVolume {
        kind: LvKind::Thin { pool: "tp_x".parse().unwrap() },
        tags: vec!["backup".parse().unwrap()],
        ..thin(false)
    };
    let pool = LogicalVolume { name: "tp_x".parse().unwrap(), tags: vec![], ..pool(false) };
    let mut world = World::with(vec![pool, volume]).mounted();
    world.fstab = format!("/dev/mapper/vg_{DEVICE}-brick_{BRICK} {} xfs rw,inode64,noatime,nouuid 1 2\n", at());
    world
}

fn adoption() -> BrickAdoption {
    BrickAdoption {
        spec: spec(),
        group: VgName::of_device(DEVICE),
        volume: LvName::of_brick(BRICK),
        pool: Some("tp_x".parse().unwrap()),
        owns_pool: true,
        path: at().brick_path(),
        mounted_by_glusterd: false,
    }
}

fn take(world: &World, adoption: &BrickAdoption) -> Result<Vec<String>, String> {
    let steps = adopt::take_brick(adoption, &world.facts());
    steps.map(|steps| printed(&steps)).map_err(|failure| failure.message)
}

/// As it is when the steps were carried out.
fn carried_out(mut world: World, steps: &[Step]) -> World {
    for step in steps {
        match step {
            Step::WriteRecord { content, .. } => world.record = Some(content.clone()),
            Step::RemoveRecord { .. } => world.record = None,
            Step::TakeLine { brick, device, at } => world.fstab = fstab::taken_over(&world.fstab, device, at, *brick),
            Step::GiveLineBack { brick } => world.fstab = fstab::given_back(&world.fstab, *brick),
            Step::ReplaceTags { volume, gone, new, .. } => {
                let there = world.group.volumes.iter_mut().find(|there| there.name == *volume).unwrap();
                there.tags.retain(|tag| !gone.contains(tag));
                there.tags.extend(new.iter().cloned());
            }
            other => panic!("an adoption does not {other}"),
        }
    }
    world
}

#[test]
fn a_brick_of_others_gets_record_line_and_tags_and_nothing_else() {
    let steps = take(&heketis(), &adoption()).unwrap();
    assert_eq!(steps.len(), 4, "{steps:#?}");
    assert_eq!(steps[0], "write the volume's record below /m/vg_d/brick_b");
    assert_eq!(steps[1], "take over the line of fstab that mounts /m/vg_d/brick_b");
    assert!(
        steps[2].starts_with("change the tags of vg_d/tp_x: +bricklayer.role=pool +bricklayer.brick=b"),
        "{}",
        steps[2]
    );
    assert!(steps[3].starts_with("change the tags of vg_d/brick_b: +bricklayer.brick=b"), "{}", steps[3]);
    assert!(!steps[3].contains("backup"), "tags of others stay");
}

#[test]
fn an_adoption_that_was_cut_off_anywhere_is_gone_on_with_or_taken_back_to_what_was_there() {
    let all = adopt::take_brick(&adoption(), &heketis().facts()).unwrap();
    for done in 0..=all.len() {
        let world = carried_out(heketis(), &all[..done]);
        let left = adopt::take_brick(&adoption(), &world.facts()).unwrap();
        assert_eq!(left, all[done..], "after {done} steps");
        let back = adopt::release_brick(&adoption(), &world.facts()).unwrap();
        for undone in 0..=back.len() {
            let world = carried_out(carried_out(heketis(), &all[..done]), &back[..undone]);
            let left = adopt::release_brick(&adoption(), &world.facts()).unwrap();
            let world = carried_out(world, &left);
            assert_eq!((&world.fstab, &world.record), (&heketis().fstab, &None));
            assert_eq!(world.group, heketis().group);
        }
    }
}

#[test]
fn whatever_is_not_as_the_plan_saw_it_is_not_taken() {
    let refused = |world: &World, adoption: &BrickAdoption| take(world, adoption).unwrap_err();
    let mut other = heketis();
    other.group.volumes[1].size = ByteSize::from_gib(9).unwrap();
    assert!(refused(&other, &adoption()).contains("another size"));
    let mut other = heketis();
    other.mounts.clear();
    assert!(refused(&other, &adoption()).contains("is not mounted"));
    let mut other = heketis();
    other.mounts[0].file_system = "ext4".to_owned();
    assert!(refused(&other, &adoption()).contains("carries ext4"));
    let mut other = heketis();
    other.fstab = other.fstab.repeat(2);
    assert!(refused(&other, &adoption()).contains("2 lines of fstab"));
    let mut other = heketis();
    other.group.volumes[1].condemned = true;
    assert!(refused(&other, &adoption()).contains("condemned"));
    let mut other = heketis();
    other.group.tags.clear();
    assert!(refused(&other, &adoption()).contains("carries no tags"));
    let elsewhere: BrickPath = "/somewhere/brick".to_owned().try_into().unwrap();
    assert!(refused(&heketis(), &BrickAdoption { path: elsewhere, ..adoption() }).contains("is mounted at"));
    // The root of a file system has no room beside the brick for a record.
    let root: BrickPath = at().as_path().as_str().to_owned().try_into().unwrap();
    assert!(refused(&heketis(), &BrickAdoption { path: root, ..adoption() }).contains("is mounted at"));
    let linear = LvKind::Other { segment_type: "linear".to_owned() };
    let mut other = heketis();
    other.group.volumes[1].kind = linear;
    assert!(refused(&other, &adoption()).contains("does not lie in thin pool"));
}

#[test]
fn a_brick_that_is_another_one_already_is_neither_taken_nor_given_back() {
    let tags = BrickTags { volume: VolumeId::from_u128(0xff), ..brick_tags() };
    let mut other = heketis();
    other.group.volumes[1].tags = tags::print_brick(&tags);
    assert!(take(&other, &adoption()).unwrap_err().contains("is brick"));
    assert!(adopt::release_brick(&adoption(), &other.facts()).is_err());
    other.group.volumes[1].tags = vec!["bricklayer.brick=b".parse().unwrap()];
    assert!(take(&other, &adoption()).unwrap_err().contains("cannot be read"));
    assert!(adopt::release_brick(&adoption(), &other.facts()).is_err());
}

#[test]
fn a_brick_in_another_folder_and_one_that_glusterd_mounts_say_so_in_their_tags() {
    let path = at().brick_path_in("data/photos").unwrap();
    let steps = take(&heketis(), &BrickAdoption { path: path.clone(), ..adoption() }).unwrap();
    assert!(steps[3].contains("+bricklayer.folder=data/photos"), "{}", steps[3]);
    let tags = [tags::print_folder("data/photos").unwrap()];
    assert_eq!(tags::brick_path(&at(), &tags), path);
    assert_eq!(tags::brick_path(&at(), &[]), at().brick_path());

    let steps = take(&heketis(), &BrickAdoption { mounted_by_glusterd: true, owns_pool: false, ..adoption() }).unwrap();
    assert_eq!(steps.len(), 2, "neither line nor pool: {steps:#?}");
    assert!(steps[1].contains("+bricklayer.mounted-by=glusterd"), "{}", steps[1]);
}

#[test]
fn a_brick_whose_disk_is_gone_loses_its_line() {
    let taken = carried_out(heketis(), &adopt::take_brick(&adoption(), &heketis().facts()).unwrap());
    let facts = Facts { group: None, record: None, ..taken.facts() };
    let steps = adopt::release_brick(&adoption(), &facts).unwrap();
    assert_eq!(printed(&steps), ["put the line of brick b in fstab back as it was"]);
}

fn group_adoption() -> GroupAdoption {
    GroupAdoption {
        device: DEVICE,
        installation: INSTALLATION,
        node: NodeId::from_u128(2),
        group: "data".parse().unwrap(),
        pv_uuid: "0Xc3Hq-aaaa-bbbb-cccc-dddd-eeee-ffffff".parse().unwrap(),
    }
}

#[test]
fn a_group_gets_our_tags_in_one_commit_and_loses_them_again() {
    let theirs = group("data", vec!["backup".parse().unwrap()], &["/dev/sdb"]);
    let steps = adopt::take_group(&group_adoption(), Some(&theirs)).unwrap();
    assert_eq!(
        printed(&steps),
        ["change the tags of volume group data: +bricklayer.format=1 +bricklayer.installation=1 +bricklayer.node=2 \
          +bricklayer.device=d +bricklayer.adopted"]
    );
    let [Step::ReplaceGroupTags { new, .. }] = steps.as_slice() else { panic!("{steps:?}") };
    let ours = GroupReport { tags: [theirs.tags.clone(), new.clone()].concat(), ..theirs };
    assert_eq!(adopt::take_group(&group_adoption(), Some(&ours)).unwrap(), []);
    let back = adopt::release_group(&group_adoption(), Some(&ours)).unwrap();
    assert!(
        matches!(back.as_slice(), [Step::ReplaceGroupTags { gone, new: none, .. }] if gone == new && none.is_empty())
    );
    let with_brick = GroupReport { volumes: vec![thin(false)], ..ours };
    assert!(adopt::release_group(&group_adoption(), Some(&with_brick)).is_err(), "a brick in it is ours");
}

#[test]
fn a_group_of_another_installation_on_several_disks_or_on_another_one_is_not_taken() {
    let refused = |group: &GroupReport| adopt::take_group(&group_adoption(), Some(group)).unwrap_err().message;
    assert!(refused(&group("data", vec![], &["/dev/sdb", "/dev/sdc"])).contains("2 disks"));
    let other = GroupTags { installation: InstallationId::from_u128(9), node: NodeId::from_u128(2), device: DEVICE };
    assert!(refused(&group("data", tags::print_group(&other), &["/dev/sdb"])).contains("of installation"));
    let uuid = "1Xc3Hq-aaaa-bbbb-cccc-dddd-eeee-ffffff".parse().unwrap();
    let spec = GroupAdoption { pv_uuid: uuid, ..group_adoption() };
    assert!(adopt::take_group(&spec, Some(&group("data", vec![], &["/dev/sdb"]))).is_err());
    assert!(adopt::take_group(&group_adoption(), None).is_err());
    assert_eq!(adopt::release_group(&group_adoption(), None).unwrap(), []);
}

#[test]
fn what_another_installation_has_adopted_by_the_same_ids_is_neither_taken_nor_given_back() {
    let steps = adopt::take_brick(&adoption(), &heketis().facts()).unwrap();
    let taken = carried_out(heketis(), &steps);
    let mut theirs = adoption();
    theirs.spec.record.installation = InstallationId::from_u128(0xbad);
    assert!(take(&taken, &theirs).unwrap_err().contains("installation"));
    let released = adopt::release_brick(&theirs, &taken.facts());
    assert!(released.unwrap_err().message.contains("installation"));
}

#[test]
fn a_brick_of_which_fstab_says_something_else_is_not_taken() {
    let mut world = heketis();
    world.fstab = format!("/dev/sdz {} xfs x-bricklayer.brick={BRICK} 0 0\n", at());
    assert!(take(&world, &adoption()).unwrap_err().contains("mounts /dev/sdz"));
}

#[test]
fn a_brick_on_a_linear_volume_gets_record_line_and_tags_and_has_no_pool() {
    let mut world = heketis();
    world.group.volumes.remove(0);
    world.group.volumes[0].kind = LvKind::Other { segment_type: "linear".to_owned() };
    let space = BrickSpace::thick(spec().tags.asked, ExtentSize::FOUR_MIB);
    let spec = BrickSpec { space, ..spec() };
    let thick = BrickAdoption { spec, pool: None, owns_pool: false, ..adoption() };
    let steps = adopt::take_brick(&thick, &world.facts()).unwrap();
    let text = printed(&steps);
    assert_eq!(text.len(), 3, "{text:#?}");
    assert!(text[2].starts_with("change the tags of vg_d/brick_b: +bricklayer.brick=b"), "{}", text[2]);
    let taken = carried_out(world, &steps);
    assert_eq!(adopt::take_brick(&thick, &taken.facts()), Ok(vec![]));
    let back = adopt::release_brick(&thick, &taken.facts()).unwrap();
    assert!(back.iter().all(|step| !matches!(step, Step::ReplaceTags { new, .. } if !new.is_empty())), "{back:?}");

    let mut mirrored = taken;
    mirrored.group.volumes[0].kind = LvKind::Other { segment_type: "raid1".to_owned() };
    assert!(take(&mirrored, &thick).unwrap_err().contains("neither a thin nor a linear volume"));
    let torn = BrickAdoption { pool: None, ..adoption() };
    assert!(take(&mirrored, &torn).is_err());
}
