//! Bricks grow, are added, replaced and drained; data moves; hosts are away.

use std::sync::Arc;

use bricklayer_agent::engine::Executor;
use bricklayer_agent::journal::Journal;
use bricklayer_proto::ids::{OperationId, TaskId};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{
    BrickDrain, BrickSwap, FailureKind, HealReport, Layout, RebalanceState, Report, Task, VolumeDeletion, VolumeReport,
    Wanted,
};
use bricklayer_tests::rig::{self, Asked, Rig, Scenario};
use bricklayer_tests::sim::{At, Call, Fault};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::engine::{COPIES, running};

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
    refused("3 files were not moved").await;
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
    let gone = (0, Wanted::VolumeGone(rig::volume_key().into()));
    let refused = rig.ask(&gone).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::PeersDown, "{refused:?}");
    assert!(refused.message.contains(rig::storage(1).as_str()), "{refused:?}");
    assert!(volume_seen(&rig, 0).await.is_some());
    rig.hosts[1].power_on();
    rig.hosts[1].start_glusterd();
    rig.ask_all(&[gone], &"again").await;
}

fn gone_without(lost: usize) -> Asked {
    gone_from(0, &[lost])
}

fn gone_from(asked: usize, lost: &[usize]) -> Asked {
    let (lost, here) = (lost.iter().map(|host| rig::storage(*host)).collect(), Some(rig::storage(asked)));
    (asked, Wanted::VolumeGone(VolumeDeletion { key: rig::volume_key(), lost, here }))
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_goes_leaves_its_stand_ins_too_where_their_host_is_lost_in_its_turn() {
    let rig = Rig::new(3);
    rig.ask_all(&running(3, Layout::Replicate { replica: 3 }), &"make").await;
    rig.ask_all(&[(0, Wanted::VolumeStopped(rig::volume_key()))], &"stop").await;
    rig.hosts[2].power_cut();
    rig.hosts[1].faults().inject(At::Next(Call::RemoveStandIn), Fault::Before);
    rig.ask(&gone_from(1, &[2])).await.unwrap_err();
    let left = volume_seen(&rig, 0).await.unwrap().bricks;
    assert!(left.len() == 3 && left.iter().all(|brick| brick.address.host == rig::storage(1)), "{left:?}");
    rig.hosts[1].power_cut();
    assert!(rig.ask(&gone_from(0, &[1, 2])).await.unwrap().changed);
    assert!(volume_seen(&rig, 0).await.is_none());
    assert_eq!(rig.cluster.violations(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_goes_leaves_a_lost_host_whatever_fails_meanwhile() {
    for layout in [Layout::Replicate { replica: 3 }, Layout::Disperse { data: 2, redundancy: 1 }, Layout::Distribute] {
        let mut before = running(3, layout);
        before.push((0, Wanted::VolumeStopped(rig::volume_key())));
        let asked = vec![gone_without(2)];
        let scenario = Scenario { hosts: 3, before, asked: asked.clone(), then: None, except: &[] };
        scenario.fail_without(&[2], &asked).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_lost_host_a_volume_that_goes_leaves_nothing_behind_and_of_one_that_is_there_it_takes_nothing() {
    let rig = Rig::new(3);
    rig.ask_all(&running(3, Layout::Replicate { replica: 3 }), &"make").await;
    rig.ask_all(&[(0, Wanted::VolumeStopped(rig::volume_key()))], &"stop").await;
    // Said to be lost, and there: it stays in the pool.
    rig.hosts[0].faults().count_anew();
    assert!(rig.ask(&gone_without(1)).await.unwrap().changed);
    assert_eq!(rig.hosts[0].faults().effects(), 1, "{}", rig.log(0));
    rig.ask_all(&[(0, Wanted::Peer { host: rig::storage(1) })], &"it is a peer").await;

    let rig = Rig::new(3);
    rig.ask_all(&running(3, Layout::Replicate { replica: 3 }), &"make").await;
    rig.ask_all(&[(0, Wanted::VolumeStopped(rig::volume_key()))], &"stop").await;
    rig.hosts[2].power_cut();
    assert!(rig.ask(&gone_without(2)).await.unwrap().changed);
    assert!(volume_seen(&rig, 0).await.is_none());
    assert!(!rig.ask(&(0, Wanted::PeerGone { host: rig::storage(2), lost: true })).await.unwrap().changed);
    assert!(!rig.hosts[0].footprint().mount_points.iter().any(|at| at.as_str().contains("leaving")));
    assert!(!rig.ask(&gone_without(2)).await.unwrap().changed);
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

fn task(id: u128, epoch: u64, wanted: Wanted) -> Task {
    Task { id: TaskId::from_u128(id), operation: OperationId::from_u128(1), epoch, wanted }
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_asker_is_gone_when_its_turn_comes_is_not_begun_before_it_is_asked_for_again() {
    let rig = Rig::new(1);
    let dir = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(dir.path()).unwrap());
    let executor = Executor::new(Arc::clone(rig.engine(0)), Arc::clone(&journal));
    rig.ask_all(&[rig::device(0), rig::brick(0, 1)], &"make").await;
    let faults = rig.hosts[0].faults();
    faults.inject(At::Next(Call::VolumeCreate), Fault::Holds);
    let spec = rig::volume_spec(1, 1, Layout::Distribute);
    let first = task(1, 1, Wanted::Volume(spec));
    let second = task(2, 1, Wanted::VolumeStarted(rig::volume_key()));
    let session = CancellationToken::new();
    let running = tokio::spawn({
        let (executor, session) = (Arc::clone(&executor), session.clone());
        async move { executor.carry_out_while(first, session).await }
    });
    faults.one_hangs().await;
    let mut waiting = Box::pin(executor.carry_out_while(second.clone(), session.clone()));
    while !journal.unfinished().contains(&second) {
        assert!(waiting.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    session.cancel();
    faults.release();
    assert!(running.await.unwrap().result.is_ok(), "what has begun is finished");
    assert_eq!(waiting.await.result.unwrap_err().kind, FailureKind::Unavailable);
    assert!(!volume_seen(&rig, 0).await.unwrap().started);
    assert_eq!(journal.unfinished(), [], "as if it had never been asked for");
    assert!(executor.carry_out(second).await.result.unwrap().changed);
    assert!(volume_seen(&rig, 0).await.unwrap().started);
}

#[tokio::test(start_paused = true)]
async fn a_look_is_taken_anew_each_time_and_leaves_nothing_in_the_journal() {
    let rig = Rig::new(1);
    let dir = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(dir.path()).unwrap());
    let executor = Executor::new(Arc::clone(rig.engine(0)), Arc::clone(&journal));
    let look = task(1, 7, Wanted::VolumeSeen(rig::volume_key()));
    let first = executor.carry_out(look.clone()).await.result.unwrap();
    assert_eq!(first.report, Report::Volume { seen: None });
    rig.ask_all(&running(1, Layout::Distribute), &"make").await;
    let second = executor.carry_out(look).await.result.unwrap();
    assert!(matches!(second.report, Report::Volume { seen: Some(_) }), "{second:?}");
    assert_eq!(journal.unacknowledged(), []);
    assert_eq!(journal.unfinished(), []);
    // A coordinator that has been replaced is told nothing, either.
    journal.greet(8).await.unwrap();
    let stale = executor.carry_out(task(2, 7, Wanted::VolumeSeen(rig::volume_key()))).await;
    assert_eq!(stale.result.unwrap_err().kind, FailureKind::Stale);
}
