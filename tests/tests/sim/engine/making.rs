//! Devices, bricks, peers and volumes are made and removed.

use bricklayer_proto::names::LvName;
use bricklayer_proto::size::{ByteSize, ExtentSize, MIB};
use bricklayer_proto::task::{FailureKind, Layout, Report, VolumeSpec, Wanted};
use bricklayer_tests::rig::{self, Rig, Scenario};
use bricklayer_tests::sim::lvm::Group;
use bricklayer_tests::sim::{At, Call, Fault, SimDisk};

/// LVM was cut off between the physical volume and its group: what is left on the disk says nothing of whose it is.
const LEFT_OVER: &[(Call, Fault)] = &[(Call::CreateGroup, Fault::Halfway)];

/// glusterd was cut off after it had marked bricks of other hosts, which only their agents can clear.
const MARKED: &[(Call, Fault)] = &[(Call::VolumeCreate, Fault::Halfway)];

#[tokio::test(start_paused = true)]
async fn a_brick_that_is_asked_for_twice_is_made_once() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0)], &"device").await;
    let first = rig.ask(&rig::brick(0, 1)).await.unwrap();
    assert!(first.changed);
    let before = rig.hosts[0].footprint();
    rig.hosts[0].faults().count_anew();
    let second = rig.ask(&rig::brick(0, 1)).await.unwrap();
    assert!(!second.changed);
    assert_eq!(first.report, second.report);
    assert_eq!(rig.hosts[0].footprint(), before);
    assert_eq!(rig.hosts[0].brick_gid(&rig::brick_path(&rig, 0)), Some(2000));
}

/// Cut off, lvcreate leaves a plain volume that has the pool's name and tags, and takes it for no pool when it is asked again.
#[tokio::test(start_paused = true)]
async fn a_pool_that_lvm_has_left_half_made_is_made_anew_whether_or_not_it_was_condemned_already() {
    let whole = {
        let rig = Rig::new(1);
        rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"the reference").await;
        rig.footprints()
    };
    let spec = rig::brick_spec(0, 1);
    let name = LvName::of_pool(spec.tags.brick);
    for condemned in [false, true] {
        let rig = Rig::new(1);
        rig.ask_all(&[rig::device(0)], &"device").await;
        let mut tags = bricklayer_agent::tags::print_pool(&spec.tags);
        tags.extend(condemned.then(bricklayer_agent::tags::condemned));
        rig.hosts[0].create_volume_by_hand(&rig::sdb(), name.clone(), ByteSize::from_bytes(8 * MIB), &tags);
        rig.ask_all(&[rig::brick(0, 1)], &"the brick").await;
        let mut made = rig.footprints();
        // LVM's count of changes tells that there was more to do.
        made[0].view.groups[0].space.seqno = whole[0].view.groups[0].space.seqno;
        assert_eq!(made, whole, "{}", rig.log(0));
        assert_eq!(rig.cluster.violations(), Vec::<String>::new());
    }
    // Tags that do not say so are somebody else's.
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0)], &"device").await;
    rig.hosts[0].create_volume_by_hand(&rig::sdb(), name, ByteSize::from_bytes(8 * MIB), &[]);
    let refused = rig.ask(&rig::brick(0, 1)).await.unwrap_err();
    assert!(refused.message.contains("its tags do not say it is brick"), "{refused}");
    assert!(rig.hosts[0].footprint().view.groups[0].volumes.iter().any(|volume| volume.tags.is_empty()), "it is there");
}

#[tokio::test(start_paused = true)]
async fn a_device_reports_the_groups_own_numbers() {
    let rig = Rig::new(1);
    let done = rig.ask(&rig::device(0)).await.unwrap();
    let Report::Device(report) = done.report else { panic!("{done:?}") };
    let group = &rig.hosts[0].footprint().view.groups[0];
    assert_eq!(report.space.free, group.space.free);
    assert_eq!(report.space.total, group.space.total);
    assert_eq!(report.pv_uuid, group.physical_volumes[0].uuid);
}

#[tokio::test(start_paused = true)]
async fn a_device_failed_anywhere_is_made_by_a_repeat() {
    let scenario = Scenario { hosts: 1, before: vec![], asked: vec![rig::device(0)], then: None, except: LEFT_OVER };
    scenario.fail_everywhere(&[rig::device(0)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_device_failed_anywhere_is_undone_without_a_trace() {
    let then = Some(rig::device_removal(0));
    let scenario = Scenario { hosts: 1, before: vec![], asked: vec![rig::device(0)], then, except: LEFT_OVER };
    scenario.fail_everywhere(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn removing_a_device_that_failed_anywhere_is_finished_by_a_repeat() {
    let scenario =
        Scenario { hosts: 1, before: vec![rig::device(0)], asked: rig::device_removal(0), then: None, except: &[] };
    scenario.fail_everywhere(&rig::device_removal(0)).await;
}

/// The device's physical volume, as the coordinator's record would have it.
fn gone(rig: &Rig) -> rig::Asked {
    let view = rig.hosts[0].footprint().view;
    let mut volumes =
        view.groups.into_iter().flat_map(|group| group.physical_volumes).chain(view.loose_physical_volumes);
    let physical_volume = volumes.next().map(|volume| volume.uuid);
    (0, Wanted::DeviceGone { device: rig::device_id(0), physical_volume })
}

#[tokio::test(start_paused = true)]
async fn what_a_removed_group_leaves_on_its_disk_stays_where_the_host_has_no_note_of_it() {
    let mut rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::device_removal(0)[0].clone()], &"condemned").await;
    let (gone, faults) = (gone(&rig), rig.hosts[0].faults().clone());
    faults.inject(At::Next(Call::RemovePhysicalVolume), Fault::Before);
    rig.ask(&gone).await.unwrap_err();
    rig.restart_agent_without_its_journal(0);
    let left = rig.hosts[0].footprint();
    let refused = rig.ask(&gone).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    let cure = refused.cure.unwrap_or_default();
    assert!(refused.message.contains("/dev/sdb still carries its physical volume"), "{}", refused.message);
    assert!(cure.contains("bricklayer device wipe NODE /dev/sdb --confirm "), "{cure}");
    assert_eq!(rig.hosts[0].footprint(), left);

    let wipe = Wanted::DiskWiped { path: rig::sdb(), confirm: "SERIAL0".into() };
    rig.ask_all(&[(0, wipe), gone], &"wiped").await;
}

#[tokio::test(start_paused = true)]
async fn a_physical_volume_of_somebody_else_is_left_alone_whoever_names_it() {
    let rig = Rig::new(1);
    let other = "/dev/sdc".parse().unwrap();
    rig.hosts[0].plug(SimDisk::new(&other, ByteSize::from_gib(16).unwrap()).loose_physical_volume());
    let theirs = gone(&rig);
    rig.ask_all(&[rig::device(0), rig::device_removal(0)[0].clone()], &"condemned").await;
    let refused = rig.ask(&theirs).await.unwrap_err();
    assert!(refused.message.contains("/dev/sdc still carries"), "{}", refused.message);
    let view = rig.hosts[0].footprint().view;
    assert_eq!((view.groups.len(), view.loose_physical_volumes.len()), (0, 1), "ours is gone, and theirs is there");
}

#[tokio::test(start_paused = true)]
async fn a_physical_volume_does_not_count_as_gone_while_its_disk_cannot_be_read() {
    let mut rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::device_removal(0)[0].clone()], &"condemned").await;
    let gone = gone(&rig);
    rig.hosts[0].faults().inject(At::Next(Call::RemovePhysicalVolume), Fault::Before);
    rig.ask(&gone).await.unwrap_err();
    rig.hosts[0].break_disk(&rig::sdb(), true);
    rig.restart_agent(0);
    let refused = rig.ask(&gone).await.unwrap_err();
    assert!(refused.message.contains("nobody can say whether /dev/sdb still carries"), "{}", refused.message);
    assert!(refused.cure.unwrap_or_default().contains("bricklayer device lost"));
    rig.hosts[0].break_disk(&rig::sdb(), false);
    assert!(rig.ask(&gone).await.unwrap().changed);
    assert_eq!(rig.hosts[0].footprint().view.loose_physical_volumes, []);
    assert!(!rig.ask(&gone).await.unwrap().changed);
}

#[tokio::test(start_paused = true)]
async fn a_brick_failed_anywhere_is_made_by_a_repeat() {
    let scenario =
        Scenario { hosts: 1, before: vec![rig::device(0)], asked: vec![rig::brick(0, 1)], then: None, except: &[] };
    scenario.fail_everywhere(&[rig::brick(0, 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_brick_failed_anywhere_is_undone_without_a_trace() {
    let then = Some(rig::brick_removal(0));
    let scenario =
        Scenario { hosts: 1, before: vec![rig::device(0)], asked: vec![rig::brick(0, 1)], then, except: &[] };
    scenario.fail_everywhere(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn removing_a_brick_that_failed_anywhere_is_finished_by_a_repeat() {
    let before = vec![rig::device(0), rig::brick(0, 1)];
    let scenario = Scenario { hosts: 1, before, asked: rig::brick_removal(0), then: None, except: &[] };
    scenario.fail_everywhere(&rig::brick_removal(0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_failed_anywhere_is_made_and_started_by_a_repeat() {
    let mut before = rig::peers(3);
    before.extend((0..3).flat_map(|host| [rig::device(host), rig::brick(host, 3)]));
    let asked = vec![rig::volume(3), (0, Wanted::VolumeStarted(rig::volume_key()))];
    let scenario = Scenario { hosts: 3, before, asked: asked.clone(), then: None, except: MARKED };
    scenario.fail_everywhere(&asked).await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_to_run_at_once_is_made_and_started_by_a_repeat_wherever_it_failed() {
    let mut before = rig::peers(3);
    before.extend((0..3).flat_map(|host| [rig::device(host), rig::brick(host, 3)]));
    let spec = VolumeSpec { start: true, ..rig::volume_spec(3, 1, Layout::Replicate { replica: 3 }) };
    let asked = vec![(0, Wanted::Volume(spec))];
    let scenario = Scenario { hosts: 3, before: before.clone(), asked: asked.clone(), then: None, except: MARKED };
    scenario.fail_everywhere(&asked).await;

    let rig = Rig::new(3);
    rig.ask_all(&before, &"before").await;
    let made = rig.ask(&asked[0]).await.unwrap();
    assert_eq!((made.changed, made.report), (true, Report::VolumeRuns));
    let again = rig.ask(&asked[0]).await.unwrap();
    assert_eq!(again.report, Report::VolumeRuns);
}

#[tokio::test(start_paused = true)]
async fn a_volume_failed_anywhere_is_undone_without_a_trace() {
    let mut before = rig::peers(3);
    before.extend((0..3).map(rig::device));
    let mut asked: Vec<_> = (0..3).map(|host| rig::brick(host, 3)).collect();
    asked.extend([rig::volume(3), (0, Wanted::VolumeStarted(rig::volume_key()))]);
    let mut then =
        vec![(0, Wanted::VolumeStopped(rig::volume_key())), (0, Wanted::VolumeGone(rig::volume_key().into()))];
    then.extend((0..3).flat_map(rig::brick_removal));
    let scenario = Scenario { hosts: 3, before, asked, then: Some(then), except: &[] };
    scenario.fail_everywhere(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn peers_failed_anywhere_are_joined_and_parted_by_a_repeat() {
    let gone = vec![(0, Wanted::PeerGone { host: rig::storage(1), lost: false })];
    let joining = Scenario { hosts: 2, before: vec![], asked: rig::peers(2), then: None, except: &[] };
    joining.fail_everywhere(&rig::peers(2)).await;
    let parting = Scenario { hosts: 2, before: rig::peers(2), asked: gone.clone(), then: None, except: &[] };
    parting.fail_everywhere(&gone).await;
}

#[tokio::test(start_paused = true)]
async fn a_brick_that_is_not_condemned_is_not_removed() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"setup").await;
    let before = rig.footprints();
    let refused = rig.ask(&(0, Wanted::BrickGone(rig::brick_key(0)))).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused, "{refused:?}");
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn a_device_with_a_brick_is_not_removed_even_when_condemned() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"setup").await;
    for asked in rig::device_removal(0) {
        if let Err(refused) = rig.ask(&asked).await {
            assert_eq!(refused.kind, FailureKind::Refused, "{refused:?}");
        }
    }
    assert!(rig.hosts[0].read_data(&rig::brick_path(&rig, 0), "none").is_none());
    assert_eq!(rig.hosts[0].brick_gid(&rig::brick_path(&rig, 0)), Some(2000), "the brick is there and mounted");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_names_another_volume_destroys_nothing() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"setup").await;
    let before = rig.footprints();
    let mut key = rig::brick_key(0);
    key.volume = bricklayer_proto::ids::VolumeId::from_u128(0xbad);
    for wanted in [Wanted::BrickCondemned(key), Wanted::BrickGone(key)] {
        let refused = rig.ask(&(0, wanted)).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused, "{refused:?}");
    }
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn a_disk_with_anything_on_it_is_refused_with_the_reason_and_left_as_it_is() {
    let rig = Rig::new(1);
    let host = &rig.hosts[0];
    let disk = host.unplug(&rig::sdb()).unwrap();
    host.plug(disk.signature("ext4"));
    let before = rig.footprints();
    let refused = rig.ask(&rig::device(0)).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.obstacles.iter().any(|obstacle| obstacle.to_string().contains("ext4")), "{refused:?}");
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn whatever_lies_on_a_disk_or_holds_it_is_refused_and_wiped_once_confirmed() {
    let size = ByteSize::from_gib(16).unwrap();
    let new = || SimDisk::new(&rig::sdb(), size).serial("S1");
    let foreign = Group::new("data".parse().unwrap(), size, ExtentSize::FOUR_MIB, &[])
        .with_linear_volume("home".parse().unwrap(), ByteSize::from_gib(1).unwrap());
    let cases: [(&str, SimDisk); 6] = [
        ("mounted file system", new().signature("xfs")),
        ("foreign volume group", new().group(foreign.clone())),
        ("loose physical volume", new().loose_physical_volume()),
        ("file system", new().signature("xfs")),
        ("partitions", new().partitions("gpt", &[Some("ext4"), None])),
        ("stale mapping", new()),
    ];
    for (what, disk) in cases {
        let rig = Rig::new(1);
        let host = &rig.hosts[0];
        host.unplug(&rig::sdb());
        host.plug(disk);
        match what {
            "stale mapping" => host.leave_stale_mapping("old-brick", &rig::sdb(), false),
            "mounted file system" => {
                host.mount_foreign(&rig::sdb(), "xfs", "/data");
                host.edit_fstab(|fstab| fstab.push_str("/dev/sdb /data xfs defaults 0 0\n"));
            }
            _ => {}
        }
        assert!(rig.ask(&rig::device(0)).await.is_err(), "{what}");
        let wrong = Wanted::DiskWiped { path: rig::sdb(), confirm: "S2".into() };
        assert!(rig.ask(&(0, wrong)).await.is_err(), "{what}");
        let wipe = Wanted::DiskWiped { path: rig::sdb(), confirm: "S1".into() };
        rig.ask_all(&[(0, wipe), rig::device(0)], &what).await;
        assert!(!rig.hosts[0].footprint().view.fstab.contains("/data"), "{what}: no line is left of it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_ours_is_never_wiped() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"setup").await;
    let before = rig.footprints();
    let wipe = Wanted::DiskWiped { path: rig::sdb(), confirm: "SERIAL0".into() };
    assert_eq!(rig.ask(&(0, wipe)).await.unwrap_err().kind, FailureKind::Refused);
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn foreign_lines_of_fstab_stay_as_they_are_to_the_byte() {
    let rig = Rig::new(1);
    rig.hosts[0].edit_fstab(|fstab| fstab.push_str("# a last line without its end: /dev/x /y"));
    let before = rig.hosts[0].footprint().view.fstab;
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"make").await;
    let with = rig.hosts[0].footprint().view.fstab;
    assert!(with.starts_with(&before), "{with}");
    assert_ne!(with, before);
    rig.ask_all(&rig::brick_removal(0), &"remove").await;
    assert_eq!(rig.hosts[0].footprint().view.fstab.trim_end(), before.trim_end());
}

#[tokio::test(start_paused = true)]
async fn the_line_in_fstab_alone_brings_the_brick_back_after_a_power_cut() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"make").await;
    let path = rig::brick_path(&rig, 0);
    rig.hosts[0].write_data(&path, "file", b"data");
    rig.hosts[0].power_cut();
    rig.hosts[0].power_on();
    rig.hosts[0].boot_by_fstab();
    assert_eq!(rig.hosts[0].read_data(&path, "file").as_deref(), Some(b"data".as_slice()));
}

#[tokio::test(start_paused = true)]
async fn bricks_that_do_not_come_up_at_a_boot_are_tried_again() {
    for call in [Call::ActivateGroup, Call::Mount] {
        let mut rig = Rig::new(1);
        rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"before").await;
        rig.hosts[0].power_cut();
        rig.hosts[0].power_on();
        rig.restart_agent(0);
        rig.hosts[0].faults().inject(At::Next(call), Fault::TimesOutUndone);
        let boot = rig.engine(0).boot(&[], std::time::Duration::ZERO).await.unwrap();
        assert_eq!((boot.up.len(), boot.down.len()), (1, 0), "{}: {boot:?}", call.name());
        // One that never does keeps nobody from starting.
        rig.hosts[0].power_cut();
        rig.hosts[0].power_on();
        rig.hosts[0].faults().inject(At::Every(call), Fault::Before);
        let boot = rig.engine(0).boot(&[], std::time::Duration::ZERO).await.unwrap();
        assert_eq!((boot.up.len(), boot.down.len()), (0, 1), "{}: {boot:?}", call.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_brick_is_made_and_removed_by_every_effect_that_it_needs() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"make").await;
    rig.ask_all(&rig::brick_removal(0), &"remove").await;
    let seen = rig::effects_seen(&rig, 0);
    for needed in [Call::CreateBrickVolumes, Call::MakeXfs, Call::MakeMountPoint, Call::Mount, Call::Unmount] {
        assert!(seen.contains(&needed), "{} in {seen:?}", needed.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_physical_volume_that_lvm_left_without_a_group_is_refused_and_taken_once_it_is_wiped() {
    let rig = Rig::new(1);
    rig.hosts[0].faults().inject(At::Next(Call::CreateGroup), Fault::Halfway);
    assert!(rig.ask(&rig::device(0)).await.is_err());
    let refused = rig.ask(&rig::device(0)).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.obstacles.iter().any(|obstacle| obstacle.to_string().contains("no volume group")), "{refused:?}");
    let wipe = Wanted::DiskWiped { path: rig::sdb(), confirm: "SERIAL0".into() };
    rig.ask_all(&[(0, wipe), rig::device(0)], &"wiped").await;
}

#[tokio::test(start_paused = true)]
async fn a_create_that_left_marks_on_other_hosts_fails_and_its_bricks_can_be_removed() {
    let rig = Rig::new(3);
    rig.ask_all(&rig::peers(3), &"peers").await;
    for host in 0..3 {
        rig.ask_all(&[rig::device(host)], &"devices").await;
    }
    let before = rig.footprints();
    for host in 0..3 {
        rig.ask_all(&[rig::brick(host, 3)], &"bricks").await;
    }
    rig.hosts[0].faults().inject(At::Next(Call::VolumeCreate), Fault::Halfway);
    assert!(rig.ask(&rig::volume(3)).await.is_err());
    rig.ask_all(&[(0, Wanted::VolumeGone(rig::volume_key().into()))], &"undo").await;
    for host in 0..3 {
        rig.ask_all(&rig::brick_removal(host), &"undo").await;
    }
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn a_brick_is_brought_up_by_a_repeat_whatever_failed_and_is_never_made() {
    let rig = Rig::new(1);
    let up = (0, Wanted::BrickUp(rig::brick_key(0)));
    rig.ask_all(&[rig::device(0)], &"make").await;
    let (host, faults) = (&rig.hosts[0], rig.hosts[0].faults());
    faults.count_anew();
    let refused = rig.ask(&up).await.unwrap_err();
    assert_eq!((refused.kind, faults.effects()), (FailureKind::Refused, 0), "{refused:?}");

    rig.ask_all(&[rig::brick(0, 1)], &"make").await;
    let whole = rig.footprints();
    let at = rig::mount_point(&rig, 0).to_string();
    let down = || {
        host.unmount_by_hand(&at);
        host.edit_fstab(|text| {
            let kept = text.lines().filter(|line| !line.contains("x-bricklayer.brick"));
            *text = kept.map(|line| format!("{line}\n")).collect();
        });
    };
    down();
    faults.count_anew();
    assert!(rig.ask(&up).await.unwrap().changed);
    assert_eq!(faults.effect_log(), [Call::MakeMountPoint, Call::Mount, Call::ReplaceFstab]);
    assert_eq!(rig.footprints(), whole);
    for effect in 1..=3 {
        for fault in [Fault::Before, Fault::After] {
            down();
            faults.count_anew();
            faults.inject(At::Effect(effect), fault);
            rig.ask(&up).await.unwrap_err();
            rig.ask(&up).await.unwrap();
            assert_eq!(rig.footprints(), whole, "effect {effect}, {fault:?}");
        }
    }
    assert!(!rig.ask(&up).await.unwrap().changed);
}
