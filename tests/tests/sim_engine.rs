//! The engine on simulated hosts: every task failed at each of its effects in every way, then repeated or undone.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::sync::Arc;

use bricklayer_agent::engine::Executor;
use bricklayer_agent::journal::Journal;
use bricklayer_proto::ids::{OperationId, TaskId};
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::task::{
    BrickDrain, BrickSwap, FailureKind, HealReport, Layout, RebalanceState, Report, Task, VolumeReport, Wanted,
};
use bricklayer_tests::rig::{self, Asked, Rig, Scenario};
use bricklayer_tests::sim::lvm::Group;
use bricklayer_tests::sim::{At, Call, Fault, SimDisk};

/// LVM was cut off between the physical volume and its group: what is left on the disk says nothing of whose it is.
const LEFT_OVER: &[(Call, Fault)] = &[(Call::CreateGroup, Fault::Halfway), (Call::RemoveGroup, Fault::Halfway)];

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
    let scenario = Scenario {
        hosts: 1,
        before: vec![rig::device(0)],
        asked: rig::device_removal(0),
        then: None,
        except: LEFT_OVER,
    };
    scenario.fail_everywhere(&rig::device_removal(0)).await;
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
async fn a_volume_failed_anywhere_is_undone_without_a_trace() {
    let before = rig::peers(3);
    let mut asked: Vec<_> = (0..3).map(rig::device).collect();
    asked.extend((0..3).map(|host| rig::brick(host, 3)));
    asked.extend([rig::volume(3), (0, Wanted::VolumeStarted(rig::volume_key()))]);
    let mut then = vec![(0, Wanted::VolumeStopped(rig::volume_key())), (0, Wanted::VolumeGone(rig::volume_key()))];
    then.extend((0..3).flat_map(rig::brick_removal));
    then.extend((0..3).flat_map(rig::device_removal));
    let scenario = Scenario { hosts: 3, before, asked, then: Some(then), except: LEFT_OVER };
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
    rig.ask_all(&[(0, Wanted::VolumeGone(rig::volume_key()))], &"undo").await;
    for host in 0..3 {
        rig.ask_all(&rig::brick_removal(host), &"undo").await;
    }
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn a_brick_whose_growth_failed_anywhere_is_grown_by_a_repeat() {
    // 12 GiB ask for more metadata of the pool too.
    let grown = vec![(0, Wanted::BrickGrown(rig::grown_spec(0, 1, 12)))];
    let before = vec![rig::device(0), rig::brick(0, 1)];
    let scenario = Scenario { hosts: 1, before, asked: grown.clone(), then: None, except: &[] };
    scenario.fail_everywhere(&grown).await;
}

#[tokio::test(start_paused = true)]
async fn a_grown_brick_has_its_new_size_from_the_pool_to_the_record_and_nothing_is_done_twice() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"make").await;
    let path = rig::brick_path(&rig, 0);
    rig.hosts[0].write_data(&path, "file", b"data");
    let spec = rig::grown_spec(0, 1, 12);
    let look = rig.ask(&(0, Wanted::BrickCanGrow(spec.clone()))).await.unwrap();
    assert!(!look.changed);
    let done = rig.ask(&(0, Wanted::BrickGrown(spec.clone()))).await.unwrap();
    let size = ByteSize::from_gib(12).unwrap();
    let Report::Brick(report) = &done.report else { panic!("{done:?}") };
    assert_eq!((report.size, &report.path), (size, &path));
    let footprint = rig.hosts[0].footprint();
    let group = &footprint.view.groups[0];
    assert_eq!(report.space.free, group.space.free);
    // What the contract reserves: the pool, its metadata, and the spare once more.
    let taken = spec.space.taken().unwrap().checked_add(spec.space.metadata).unwrap();
    assert_eq!(group.space.free.checked_add(taken), Some(group.space.total));
    let [file_system] = footprint.file_systems.as_slice() else { panic!("{:?}", footprint.file_systems) };
    assert_eq!(file_system.size, size);
    assert!(file_system.files.values().any(|record| record.contains(&size.bytes().to_string())), "{file_system:?}");
    let thin = group.volumes.iter().find(|volume| volume.name == file_system.on).unwrap();
    for tag in ["bricklayer.asked=12884901888", "bricklayer.generation=2"] {
        assert!(thin.tags.iter().any(|found| found.as_str() == tag), "{tag} in {:?}", thin.tags);
    }
    assert_eq!(thin.tags.len(), 9, "no tag of the old size is left: {:?}", thin.tags);
    assert_eq!(rig.hosts[0].read_data(&path, "file").as_deref(), Some(b"data".as_slice()));

    rig.hosts[0].faults().count_anew();
    let again = rig.ask(&(0, Wanted::BrickGrown(spec))).await.unwrap();
    assert!(!again.changed);
    assert_eq!(rig.hosts[0].faults().effects(), 0);
    assert_eq!(again.report, done.report);
}

#[tokio::test(start_paused = true)]
async fn a_brick_that_finds_no_room_to_grow_stays_as_it_is_to_the_extent() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"make").await;
    let before = rig.footprints();
    for wanted in [Wanted::BrickCanGrow, Wanted::BrickGrown] {
        let refused = rig.ask(&(0, wanted(rig::grown_spec(0, 1, 16)))).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::NoSpace, "{refused:?}");
        assert!(refused.message.contains("are missing"), "{refused:?}");
    }
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn a_brick_is_never_made_smaller() {
    let rig = Rig::new(1);
    let grown = (0, Wanted::BrickGrown(rig::grown_spec(0, 1, 4)));
    rig.ask_all(&[rig::device(0), rig::brick(0, 1), grown], &"make").await;
    let before = rig.footprints();
    let refused = rig.ask(&(0, Wanted::BrickGrown(rig::grown_spec(0, 1, 2)))).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused, "{refused:?}");
    assert_eq!(rig.footprints(), before);
}

/// What a volume with a brick on each of the hosts needs, up to its start.
fn running(hosts: usize, layout: Layout) -> Vec<Asked> {
    let mut asked = rig::peers(hosts);
    asked.extend((0..hosts).flat_map(|host| [rig::device(host), rig::brick(host, hosts)]));
    asked.push((0, Wanted::Volume(rig::volume_spec(hosts, 1, layout))));
    asked.push((0, Wanted::VolumeStarted(rig::volume_key())));
    asked
}

const COPIES: Layout = Layout::Replicate { replica: 2 };

async fn volume_seen(rig: &Rig, host: usize) -> Option<VolumeReport> {
    match rig.ask(&(host, Wanted::VolumeSeen(rig::volume_key()))).await.unwrap().report {
        Report::Volume { seen } => seen,
        other => panic!("{other:?}"),
    }
}

async fn heal_seen(rig: &Rig) -> HealReport {
    match rig.ask(&(0, Wanted::HealSeen(rig::volume_key()))).await.unwrap().report {
        Report::Heal(report) => report,
        other => panic!("{other:?}"),
    }
}

async fn state_seen(rig: &Rig, wanted: Wanted) -> RebalanceState {
    match rig.ask(&(0, wanted)).await.unwrap().report {
        Report::Rebalance(report) => report.state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_failed_anywhere_is_finished_by_a_repeat() {
    let mut before = running(2, COPIES);
    before.extend((0..2).map(|host| rig::brick_in(1, host, 2)));
    let asked = vec![(0, Wanted::VolumeExtended(rig::volume_spec(2, 2, COPIES)))];
    // Marks that it leaves on bricks of other hosts are for their agents to clear.
    let scenario = Scenario { hosts: 2, before, asked: asked.clone(), then: None, except: &[] };
    scenario.fail_everywhere(&asked).await;
}

#[tokio::test(start_paused = true)]
async fn an_extended_volume_runs_all_its_bricks_in_their_order_and_is_not_extended_twice() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    let seen = volume_seen(&rig, 1).await.unwrap();
    assert!(seen.started && seen.bricks.iter().all(|brick| brick.online == Some(true)), "{seen:?}");
    let spec = rig::volume_spec(2, 3, COPIES);
    for row in 1..3 {
        rig.ask_all(&[rig::brick_in(row, 0, 2), rig::brick_in(row, 1, 2)], &"bricks").await;
    }
    let extended = (0, Wanted::VolumeExtended(spec.clone()));
    assert!(rig.ask(&extended).await.unwrap().changed);
    let seen = volume_seen(&rig, 1).await.unwrap();
    assert!(seen.bricks.iter().all(|brick| brick.online == Some(true)), "{seen:?}");
    let addresses: Vec<_> = seen.bricks.into_iter().map(|brick| brick.address).collect();
    assert_eq!(addresses, spec.bricks);
    rig.hosts[0].faults().count_anew();
    assert!(!rig.ask(&extended).await.unwrap().changed);
    assert_eq!(rig.hosts[0].faults().effects(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_glusterd_did_though_it_said_that_it_failed_is_done() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    rig.ask_all(&[rig::brick_in(1, 0, 2), rig::brick_in(1, 1, 2), rig::brick_in(2, 1, 2)], &"bricks").await;
    let (old, new) = (rig::address(0, 1), rig::address(2, 1));
    let cases = [
        (Call::AddBricks, Wanted::VolumeExtended(rig::volume_spec(2, 2, COPIES))),
        (Call::RebalanceStart, Wanted::RebalanceStarted(rig::volume_key())),
        (Call::ReplaceBrick, Wanted::BrickReplaced(BrickSwap { volume: rig::volume_key(), old, new })),
    ];
    for (call, wanted) in cases {
        rig.hosts[0].faults().inject(At::Next(call), Fault::After);
        assert!(rig.ask(&(0, wanted)).await.unwrap().changed, "{}", call.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_with_other_bricks_than_it_should_have_is_not_extended() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    let mut spec = rig::volume_spec(2, 2, COPIES);
    spec.bricks.swap(0, 1);
    let refused = rig.ask(&(0, Wanted::VolumeExtended(spec))).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.message.contains("in place 0"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_seen_as_absent_and_bricks_of_an_absent_host_as_unknown() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    rig.hosts[1].power_cut();
    let seen = volume_seen(&rig, 0).await.unwrap();
    let online: Vec<_> = seen.bricks.iter().map(|brick| brick.online).collect();
    assert_eq!(online, [Some(true), None]);
    let heal = heal_seen(&rig).await;
    assert_eq!((heal.bricks[1].online, heal.bricks[1].pending), (false, None));
    let rig = Rig::new(1);
    assert_eq!(volume_seen(&rig, 0).await, None);
}

/// The brick of the second host gives way to another one of the same host.
fn swap() -> Asked {
    let (old, new) = (rig::address(0, 1), rig::address(1, 1));
    (0, Wanted::BrickReplaced(BrickSwap { volume: rig::volume_key(), old, new }))
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_failed_anywhere_is_finished_by_a_repeat() {
    let mut before = running(2, COPIES);
    before.push(rig::brick_in(1, 1, 2));
    let scenario = Scenario { hosts: 2, before, asked: vec![swap()], then: None, except: &[] };
    scenario.fail_everywhere(&[swap()]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replaced_brick_heals_look_by_look_until_it_holds_what_the_other_holds() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    for row in 0..2 {
        rig.ask_all(&[rig::brick_in(row, 1, 2)], &"bricks").await;
        rig.hosts[row as usize].write_data(&rig::address(0, row as usize).path, "file", b"data");
    }
    assert!(rig.ask(&swap()).await.unwrap().changed);
    assert!(!rig.ask(&swap()).await.unwrap().changed);
    let new = rig::address(1, 1);
    let mut pending = Vec::new();
    loop {
        assert_eq!(rig.hosts[1].read_data(&new.path, "file").is_some(), pending.len() >= 2);
        let heal = heal_seen(&rig).await;
        assert_eq!(heal.bricks[1].address, new);
        pending.push(heal.bricks[0].pending.unwrap());
        if pending.last() == Some(&0) {
            break;
        }
    }
    assert_eq!(pending, [2, 1, 0]);
    let stranger = BrickSwap { volume: rig::volume_key(), old: rig::address(0, 1), new: rig::address(5, 1) };
    assert_eq!(rig.ask(&(0, Wanted::BrickReplaced(stranger))).await.unwrap_err().kind, FailureKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_that_failed_to_start_anywhere_is_started_by_a_repeat_and_comes_to_its_end() {
    let before = running(2, Layout::Distribute);
    let asked = vec![(0, Wanted::RebalanceStarted(rig::volume_key()))];
    let scenario = Scenario { hosts: 2, before: before.clone(), asked: asked.clone(), then: None, except: &[] };
    scenario.fail_everywhere(&asked).await;

    let rig = Rig::new(2);
    rig.ask_all(&before, &"make").await;
    let look = Wanted::RebalanceSeen(rig::volume_key());
    assert_eq!(state_seen(&rig, look.clone()).await, RebalanceState::NotStarted);
    rig.ask_all(&asked, &"start").await;
    assert_eq!(state_seen(&rig, look.clone()).await, RebalanceState::Running);
    while state_seen(&rig, look.clone()).await == RebalanceState::Running {}
    assert_eq!(state_seen(&rig, look).await, RebalanceState::Completed);
}

fn drain() -> BrickDrain {
    BrickDrain { volume: rig::volume_key(), brick: rig::address(0, 1) }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_failed_anywhere_is_finished_by_a_repeat() {
    let asked = vec![
        (0, Wanted::DrainStarted(drain())),
        (0, Wanted::DrainSeen(drain())),
        (0, Wanted::DrainSeen(drain())),
        (0, Wanted::DrainCommitted(drain())),
    ];
    let before = running(2, Layout::Distribute);
    // Each of these looks how far it is, too, and none minds if the brick is gone by then.
    let mut then = vec![asked[0].clone(); 4];
    then.push(asked[3].clone());
    let then = Some(then);
    let scenario = Scenario { hosts: 2, before, asked: asked.clone(), then, except: &[] };
    scenario.fail_everywhere(&asked).await;
}

#[tokio::test(start_paused = true)]
async fn a_brick_leaves_its_volume_only_when_all_was_moved_off_it() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, Layout::Distribute), &"make").await;
    let brick = rig::address(0, 1);
    rig.hosts[1].write_data(&brick.path, "file", b"data");
    let commit = (0, Wanted::DrainCommitted(drain()));
    let refused = async |why: &str| {
        let refused = rig.ask(&commit).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused);
        assert!(refused.message.contains(why), "{refused:?}");
    };
    refused("no data was moved off").await;
    let start = (0, Wanted::DrainStarted(drain()));
    rig.cluster.fail_next_movement(3);
    assert!(rig.ask(&start).await.unwrap().changed);
    refused("still being moved").await;
    while state_seen(&rig, Wanted::DrainSeen(drain())).await == RebalanceState::Running {}
    refused("3 files could not be moved").await;
    assert!(volume_seen(&rig, 0).await.unwrap().bricks.iter().any(|seen| seen.address == brick));

    rig.ask_all(&[(0, Wanted::DrainStopped(drain()))], &"stop").await;
    assert_eq!(state_seen(&rig, Wanted::DrainSeen(drain())).await, RebalanceState::NotStarted);
    assert!(!rig.ask(&(0, Wanted::DrainStopped(drain()))).await.unwrap().changed);
    rig.ask_all(&[start], &"start").await;
    while state_seen(&rig, Wanted::DrainSeen(drain())).await == RebalanceState::Running {}
    assert!(rig.ask(&commit).await.unwrap().changed);
    assert!(!rig.ask(&commit).await.unwrap().changed);
    assert_eq!(rig.hosts[0].read_data(&rig::address(0, 0).path, "file").as_deref(), Some(b"data".as_slice()));
    assert_eq!(rig.cluster.violations(), [] as [&str; 0]);
    assert_eq!(rig.ask(&(0, Wanted::DrainSeen(drain()))).await.unwrap_err().kind, FailureKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_not_deleted_while_peers_are_down_and_the_refusal_names_them() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    rig.ask_all(&[(0, Wanted::VolumeStopped(rig::volume_key()))], &"stop").await;
    rig.hosts[1].power_cut();
    let gone = (0, Wanted::VolumeGone(rig::volume_key()));
    let refused = rig.ask(&gone).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::PeersDown, "{refused:?}");
    assert!(refused.message.contains(rig::storage(1).as_str()), "{refused:?}");
    assert!(volume_seen(&rig, 0).await.is_some());
    rig.hosts[1].power_on();
    rig.hosts[1].start_glusterd();
    rig.ask_all(&[gone], &"again").await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_lost_leaves_the_pool_though_it_cannot_be_reached() {
    let rig = Rig::new(3);
    rig.ask_all(&rig::peers(3), &"peers").await;
    rig.hosts[2].power_cut();
    let gone = |lost| (0, Wanted::PeerGone { host: rig::storage(2), lost });
    let refused = rig.ask(&gone(false)).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::PeersDown, "{refused:?}");
    assert!(rig.ask(&gone(true)).await.unwrap().changed);
    assert!(!rig.ask(&gone(true)).await.unwrap().changed);
}

#[tokio::test(start_paused = true)]
async fn a_look_is_taken_anew_each_time_and_leaves_nothing_in_the_journal() {
    let rig = Rig::new(1);
    let dir = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(dir.path()).unwrap());
    let executor = Executor::new(Arc::clone(rig.engine(0)), Arc::clone(&journal));
    let task = |id: u128, epoch: u64, wanted: Wanted| Task {
        id: TaskId::from_u128(id),
        operation: OperationId::from_u128(1),
        epoch,
        wanted,
    };
    let look = task(1, 7, Wanted::VolumeSeen(rig::volume_key()));
    let first = executor.carry_out(look.clone()).await.result.unwrap();
    assert_eq!(first.report, Report::Volume { seen: None });
    rig.ask_all(&running(1, Layout::Distribute), &"make").await;
    let second = executor.carry_out(look).await.result.unwrap();
    assert!(matches!(second.report, Report::Volume { seen: Some(_) }), "{second:?}");
    assert_eq!(journal.unacknowledged().unwrap(), []);
    assert_eq!(journal.unfinished().unwrap(), []);
    // A coordinator that has been replaced is told nothing, either.
    journal.greet(8).await.unwrap();
    let stale = executor.carry_out(task(2, 7, Wanted::VolumeSeen(rig::volume_key()))).await;
    assert_eq!(stale.result.unwrap_err().kind, FailureKind::Stale);
}

async fn cloned(rig: &Rig) -> VolumeReport {
    match rig.ask(&rig::clone()).await.unwrap().report {
        Report::Volume { seen: Some(seen) } => seen,
        other => panic!("{other:?}"),
    }
}

/// The clone's bricks, taken over one by one.
async fn take_bricks(rig: &Rig, clone: &VolumeReport) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (host, brick) in clone.bricks.iter().enumerate() {
        let path = brick.address.path.clone();
        asked.push((host, Wanted::CloneBrick(rig::clone_brick_spec(host, clone.bricks.len(), path))));
    }
    rig.ask_all(&asked, &"take").await;
    asked
}

fn clone_removal() -> Vec<Asked> {
    let key = rig::clone_key();
    vec![(0, Wanted::VolumeStopped(key.clone())), (0, Wanted::VolumeGone(key))]
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_failed_anywhere_is_made_by_a_repeat() {
    let scenario =
        Scenario { hosts: 2, before: running(2, COPIES), asked: vec![rig::clone()], then: None, except: &[] };
    scenario.fail_everywhere(&[rig::clone()]).await;
}

#[tokio::test(start_paused = true)]
async fn a_clone_runs_with_its_own_id_and_the_data_of_its_source_and_leaves_no_snapshot() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    rig.hosts[1].write_data(&rig::address(0, 1).path, "file", b"data");
    let seen = cloned(&rig).await;
    assert!(seen.started && seen.bricks.iter().all(|brick| brick.online == Some(true)), "{seen:?}");
    assert_eq!(rig.hosts[1].read_data(&seen.bricks[1].address.path, "file").as_deref(), Some(b"data".as_slice()));
    let volumes = rig.hosts[0].footprint().volumes;
    let clone = volumes.iter().find(|volume| volume.name == rig::clone_key().name).unwrap();
    let id = rig::clone_key().volume.to_string();
    assert!(clone.options.iter().any(|(key, value)| key == "user.bricklayer.id" && *value == id), "{clone:?}");
    // Nothing but the clones' own thin volumes lies in the pools beside the bricks.
    let thin = |host: usize| rig.hosts[host].footprint().file_systems.len();
    assert_eq!((thin(0), thin(1)), (2, 2));
    assert!(!rig.ask(&rig::clone()).await.unwrap().changed);
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_fails_before_it_is_there_leaves_no_trace_and_one_cut_off_later_is_gone_on_with_or_deleted() {
    let rig = Rig::new(2);
    rig.ask_all(&running(2, COPIES), &"make").await;
    let before = rig.footprints();
    for call in [Call::SnapshotCreate, Call::SnapshotActivate, Call::SnapshotClone] {
        rig.hosts[0].faults().inject(At::Next(call), Fault::Before);
        assert!(rig.ask(&rig::clone()).await.is_err());
        assert_eq!(rig.footprints(), before, "{}", call.name());
    }
    rig.hosts[0].faults().inject(At::Next(Call::VolumeStart), Fault::Before);
    assert!(rig.ask(&rig::clone()).await.is_err());
    // It still carries the id of its source; its snapshot tells that it is no stranger.
    let look = Wanted::VolumeSeen(rig::clone_key());
    let seen = rig.ask(&(0, look)).await.unwrap().report;
    assert!(matches!(seen, Report::Volume { seen: Some(_) }), "{seen:?}");
    rig.ask_all(&clone_removal(), &"undo").await;
    let volumes = rig.hosts[0].footprint().volumes;
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    // A clone that somebody made by hand under that name is none of ours.
    let stranger = "tmpsnap_stranger".parse().unwrap();
    let host: &dyn bricklayer_agent::host::Host = &rig.hosts[0];
    host.gluster_snapshot_create(&stranger, &rig::volume_key().name).await.unwrap();
    host.gluster_snapshot_activate(&stranger, true).await.unwrap();
    host.gluster_snapshot_clone(&stranger, &"by_hand".parse().unwrap()).await.unwrap();
    let mut key = rig::clone_key();
    key.name = "by_hand".parse().unwrap();
    let start = rig.ask(&(0, Wanted::VolumeStarted(key.clone()))).await;
    assert_eq!(start.unwrap_err().kind, FailureKind::Refused);
    // Ours is not there, and the stranger stays.
    let before = rig.hosts[0].footprint().volumes;
    assert!(!rig.ask(&(0, Wanted::VolumeGone(key))).await.unwrap().changed);
    assert_eq!(rig.hosts[0].footprint().volumes, before);
}

#[tokio::test(start_paused = true)]
async fn taking_a_clones_brick_that_failed_anywhere_is_finished_by_a_repeat() {
    let mut before = running(1, Layout::Distribute);
    before.push(rig::clone());
    let rig = Rig::new(1);
    rig.ask_all(&before, &"make").await;
    let asked = take_bricks(&rig, &cloned(&rig).await).await;
    let scenario = Scenario { hosts: 1, before, asked: asked.clone(), then: None, except: &[] };
    scenario.fail_everywhere(&asked).await;
}

#[tokio::test(start_paused = true)]
async fn a_clones_brick_is_found_by_its_tags_and_its_record_and_only_on_its_own_device() {
    let rig = Rig::new(1);
    rig.ask_all(&running(1, Layout::Distribute), &"make").await;
    let seen = cloned(&rig).await;
    let path = seen.bricks[0].address.path.clone();
    let mut stranger = rig::clone_brick_spec(0, 1, rig::address(0, 0).path);
    let refused = rig.ask(&(0, Wanted::CloneBrick(stranger.clone()))).await.unwrap_err();
    assert!(refused.message.contains("is brick"), "the brick of another volume was taken: {refused:?}");
    stranger.path = "/somewhere/else/brick".to_owned().try_into().unwrap();
    let refused = rig.ask(&(0, Wanted::CloneBrick(stranger))).await.unwrap_err();
    assert!(refused.message.contains("lies on no mounted volume"), "{refused:?}");

    let asked = take_bricks(&rig, &seen).await;
    let again = rig.ask(&asked[0]).await.unwrap();
    assert!(!again.changed);
    let Report::Brick(report) = again.report else { panic!("{again:?}") };
    assert_eq!((report.path, report.size), (path, ByteSize::from_gib(1).unwrap()));
    let inventory = rig.engine(0).inventory().await.unwrap();
    let brick = inventory.bricks.iter().find(|brick| brick.tags.brick == rig::clone_brick_key(0).brick).unwrap();
    assert_eq!(brick.path.as_ref(), Some(&seen.bricks[0].address.path));
    assert_eq!(brick.fstab, None);
    let record = rig.hosts[0].footprint().file_systems;
    assert!(record.iter().any(|fs| fs.on == brick.volume_lv && fs.files.values().any(|text| text.contains("vol_e1"))));
}

/// In either order: source first, clone first.
#[tokio::test(start_paused = true)]
async fn a_pool_goes_with_the_last_brick_in_it_and_not_before_also_when_a_removal_failed_anywhere() {
    let mut before = running(1, Layout::Distribute);
    before.push(rig::clone());
    let rig = Rig::new(1);
    rig.ask_all(&before, &"make").await;
    before.extend(take_bricks(&rig, &cloned(&rig).await).await);
    before.push((0, Wanted::VolumeStopped(rig::volume_key())));
    before.push((0, Wanted::VolumeGone(rig::volume_key())));
    before.extend(clone_removal());
    let (source, clone) = (rig::brick_removal(0), rig::clone_brick_removal(0));
    let both_condemned = vec![source[0].clone(), clone[0].clone(), source[1].clone(), clone[1].clone()];
    for asked in [[source.clone(), clone.clone()].concat(), [clone, source].concat(), both_condemned] {
        let rig = Rig::new(1);
        rig.ask_all(&[rig::device(0)], &"device").await;
        let empty = rig.hosts[0].footprint().anonymous();
        rig.ask_all(&before[1..], &"make").await;
        for one in &asked[..2] {
            rig.ask_all(std::slice::from_ref(one), &"remove").await;
        }
        let group = rig.hosts[0].footprint().view.groups[0].clone();
        assert!(group.volumes.iter().any(|volume| volume.name.as_str().starts_with("tp_")), "{group:?}");
        rig.ask_all(&asked[2..], &"remove").await;
        assert_eq!(rig.hosts[0].footprint().anonymous(), empty);
        let scenario = Scenario { hosts: 1, before: before.clone(), asked: asked.clone(), then: None, except: &[] };
        scenario.fail_everywhere(&asked).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clones_brick_outlives_a_power_cut_by_glusterd_alone_and_boot_lets_it() {
    let rig = Rig::new(1);
    rig.ask_all(&running(1, Layout::Distribute), &"make").await;
    rig.hosts[0].write_data(&rig::address(0, 0).path, "file", b"data");
    let seen = cloned(&rig).await;
    take_bricks(&rig, &seen).await;
    let fstab = rig.hosts[0].footprint().view.fstab;
    rig.hosts[0].power_cut();
    rig.hosts[0].power_on();
    let boot = rig.engine(0).boot(&[], std::time::Duration::ZERO).await.unwrap();
    assert_eq!((boot.up.len(), boot.down.len()), (1, 0), "{boot:?}");
    assert_eq!(rig.hosts[0].footprint().view.fstab, fstab);
    let path = &seen.bricks[0].address.path;
    assert_eq!(rig.hosts[0].read_data(path, "file"), None);
    rig.hosts[0].start_glusterd();
    assert_eq!(rig.hosts[0].read_data(path, "file").as_deref(), Some(b"data".as_slice()));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_somebody_else_in_the_pool_keeps_the_brick() {
    let rig = Rig::new(1);
    rig.ask_all(&running(1, Layout::Distribute), &"make").await;
    let host: &dyn bricklayer_agent::host::Host = &rig.hosts[0];
    host.gluster_snapshot_create(&"by_hand".parse().unwrap(), &rig::volume_key().name).await.unwrap();
    rig.ask_all(&[(0, Wanted::VolumeStopped(rig::volume_key())), rig::brick_removal(0)[0].clone()], &"condemn").await;
    let before = rig.footprints();
    let refused = rig.ask(&rig::brick_removal(0)[1]).await.unwrap_err();
    assert!(refused.message.contains("is not ours"), "{refused:?}");
    assert_eq!(rig.footprints(), before);
}
