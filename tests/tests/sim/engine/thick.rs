//! Bricks on linear volumes, whose extents hold what earlier volumes left there.

use bricklayer_proto::size::{ByteSize, Extents};
use bricklayer_proto::task::{FailureKind, Wanted};
use bricklayer_tests::rig::{self, Asked, Rig, Scenario};
use bricklayer_tests::sim::{At, Call, Fault};

fn brick(host: usize, hosts: usize) -> Asked {
    (host, Wanted::Brick(rig::thick(rig::brick_spec(host, hosts))))
}

fn grown(gib: u64) -> Asked {
    (0, Wanted::BrickGrown(rig::thick(rig::grown_spec(0, 1, gib))))
}

#[tokio::test(start_paused = true)]
async fn a_thick_brick_failed_anywhere_is_made_by_a_repeat() {
    let scenario =
        Scenario { hosts: 1, before: vec![rig::device(0)], asked: vec![brick(0, 1)], then: None, except: &[] };
    scenario.fail_everywhere(&[brick(0, 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_thick_brick_failed_anywhere_is_undone_without_a_trace() {
    let then = Some(rig::brick_removal(0));
    let scenario = Scenario { hosts: 1, before: vec![rig::device(0)], asked: vec![brick(0, 1)], then, except: &[] };
    scenario.fail_everywhere(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn removing_a_thick_brick_that_failed_anywhere_is_finished_by_a_repeat() {
    let before = vec![rig::device(0), brick(0, 1)];
    let scenario = Scenario { hosts: 1, before, asked: rig::brick_removal(0), then: None, except: &[] };
    scenario.fail_everywhere(&rig::brick_removal(0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_thick_brick_that_failed_anywhere_in_growing_grows_by_a_repeat() {
    let before = vec![rig::device(0), brick(0, 1)];
    let scenario = Scenario { hosts: 1, before, asked: vec![grown(4)], then: None, except: &[] };
    scenario.fail_everywhere(&[grown(4)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_thick_brick_takes_its_extents_and_nothing_besides_and_gives_all_back() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0)], &"device").await;
    let empty = rig.footprints();
    let free = || rig.hosts[0].footprint().view.groups[0].space.free;
    let all = free();
    rig.ask_all(&[brick(0, 1)], &"make").await;
    assert_eq!(all.checked_sub(free()), Some(Extents::new(256)));
    let path = rig::brick_path(&rig, 0);
    rig.hosts[0].write_data(&path, "file", b"data");
    rig.ask_all(&[grown(4)], &"grow").await;
    assert_eq!(all.checked_sub(free()), Some(Extents::new(1024)));
    let footprint = rig.hosts[0].footprint();
    let [file_system] = footprint.file_systems.as_slice() else { panic!("{:?}", footprint.file_systems) };
    assert_eq!(file_system.size, ByteSize::from_gib(4).unwrap());
    assert_eq!(rig.hosts[0].read_data(&path, "file").as_deref(), Some(b"data".as_slice()));
    let [volume] = footprint.view.groups[0].volumes.as_slice() else { panic!("no pool and no spare: {footprint:?}") };
    assert!(!volume.tags.iter().any(|tag| tag.as_str() == "bricklayer.blank"), "{:?}", volume.tags);
    let refused = rig.ask(&grown(64)).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::NoSpace, "{refused:?}");
    rig.ask_all(&rig::brick_removal(0), &"remove").await;
    assert_eq!(rig.footprints(), empty);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_volume_left_comes_up_neither_by_a_repeat_nor_at_a_boot() {
    let mut rig = Rig::new(1);
    rig.ask_all(&[rig::device(0)], &"device").await;
    rig.hosts[0].faults().inject(At::Next(Call::CreateLinear), Fault::Halfway);
    rig.hosts[0].faults().inject(At::Next(Call::MakeXfsOver), Fault::Before);
    rig.ask(&brick(0, 1)).await.unwrap_err();
    rig.hosts[0].power_cut();
    rig.hosts[0].power_on();
    rig.restart_agent(0);
    let boot = rig.engine(0).boot(&[], std::time::Duration::ZERO).await.unwrap();
    assert_eq!((boot.up.len(), boot.down.len()), (0, 0), "{boot:?}");
    let up = rig.ask(&(0, Wanted::BrickUp(rig::brick_key(0)))).await.unwrap_err();
    assert!(up.message.contains("has no file system yet"), "{up:?}");
    rig.ask_all(&[brick(0, 1)], &"again").await;
    assert!(rig::effects_seen(&rig, 0).contains(&Call::MakeXfsOver));
    let footprint = rig.hosts[0].footprint();
    assert!(footprint.file_systems.iter().all(|found| !found.files.contains_key("of-an-earlier-volume")));
}

/// An agent from before there were thick bricks.
#[test]
fn a_task_for_a_thick_brick_is_not_readable_by_whom_it_means_nothing() {
    let (_, thin) = rig::brick(0, 1);
    let (_, thick) = brick(0, 1);
    let pool = |wanted: &Wanted| serde_json::to_value(wanted).unwrap()["space"].get("pool").is_some();
    assert!(pool(&thin) && !pool(&thick), "it would make a thin brick without metadata of it");
}
