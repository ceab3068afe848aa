//! Clones and the pools that they share.

use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{FailureKind, Layout, Report, VolumeReport, Wanted};
use bricklayer_tests::rig::{self, Asked, Rig, Scenario};
use bricklayer_tests::sim::{At, Call, Fault};

use crate::engine::{COPIES, running};

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
    vec![(0, Wanted::VolumeStopped(key.clone())), (0, Wanted::VolumeGone(key.into()))]
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
    assert!(!rig.ask(&(0, Wanted::VolumeGone(key.into()))).await.unwrap().changed);
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
    before.push((0, Wanted::VolumeGone(rig::volume_key().into())));
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
