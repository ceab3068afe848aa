//! Block volumes.

use bricklayer_agent::host::NewBlock;
use bricklayer_proto::block::{BlockKey, BlockReport, BlockResize, BlockSpec, Preallocation};
use bricklayer_proto::ids::{BlockVolumeId, VolumeId};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{FailureKind, Report, VolumeKey, Wanted};
use bricklayer_tests::rig::{self, Asked, Rig, Scenario};
use bricklayer_tests::sim::{At, Call, Fault};

/// `gluster-blockd` was cut off: nobody but an undo takes away what it had half made.
const HALF_MADE: &[(Call, Fault)] = &[(Call::BlockCreate, Fault::Halfway)];

fn gib(gib: u64) -> ByteSize {
    ByteSize::from_gib(gib).unwrap()
}

fn key() -> BlockKey {
    BlockKey { block: BlockVolumeId::from_u128(0xbb), hosting: rig::volume_key(), name: "blk".parse().unwrap() }
}

fn spec() -> BlockSpec {
    BlockSpec {
        key: key(),
        size: gib(5),
        hosts: vec![rig::storage(0), rig::storage(1)],
        auth: true,
        preallocation: Preallocation::Full,
    }
}

fn created() -> Asked {
    (0, Wanted::BlockCreated(spec()))
}

fn resized(to: u64) -> Asked {
    (0, Wanted::BlockResized(BlockResize { key: key(), size: gib(to) }))
}

fn gone() -> Asked {
    (0, Wanted::BlockGone(key()))
}

/// A started volume on two hosts.
fn hosting() -> Vec<Asked> {
    let mut asked: Vec<Asked> = (0..2).map(rig::device).collect();
    asked.extend((0..2).map(|host| rig::brick(host, 2)));
    asked.extend(rig::peers(2));
    asked.extend([rig::volume(2), (0, Wanted::VolumeStarted(rig::volume_key()))]);
    asked
}

async fn hosting_rig() -> Rig {
    let rig = Rig::new(2);
    rig.ask_all(&hosting(), &"the hosting volume").await;
    rig
}

fn seen(report: Report) -> BlockReport {
    match report {
        Report::Block { seen: Some(seen) } => seen,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_volume_failed_anywhere_is_made_by_a_repeat() {
    let scenario = Scenario { hosts: 2, before: hosting(), asked: vec![created()], then: None, except: HALF_MADE };
    let wanted = [created()];
    scenario.fail_everywhere(&wanted).await;
}

#[tokio::test(start_paused = true)]
async fn a_block_volume_failed_anywhere_is_undone_without_a_trace() {
    let then = Some(vec![gone()]);
    let scenario = Scenario { hosts: 2, before: hosting(), asked: vec![created()], then, except: &[] };
    scenario.fail_everywhere(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_resize_and_a_deletion_that_failed_anywhere_are_finished_by_a_repeat() {
    let before: Vec<Asked> = hosting().into_iter().chain([created()]).collect();
    let scenario = Scenario { hosts: 2, before: before.clone(), asked: vec![resized(9)], then: None, except: &[] };
    scenario.fail_everywhere(&[resized(9)]).await;
    let scenario = Scenario { hosts: 2, before, asked: vec![gone()], then: None, except: &[] };
    scenario.fail_everywhere(&[gone()]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_twice_is_done_once_and_told_alike() {
    let rig = hosting_rig().await;
    let first = rig.ask(&created()).await.unwrap();
    let second = rig.ask(&created()).await.unwrap();
    assert!(first.changed && !second.changed);
    assert_eq!(first.report, second.report);
    let report = seen(first.report);
    assert_eq!(report.hosts, spec().hosts);
    assert_eq!(report.iqn, format!("iqn.2016-12.org.gluster-block:{}", report.username));
    assert_eq!(seen(rig.ask(&(1, Wanted::BlockSeen(key()))).await.unwrap().report), report);
}

#[tokio::test(start_paused = true)]
async fn a_block_volume_of_the_same_name_that_is_another_one_is_left_alone() {
    let rig = hosting_rig().await;
    let new = NewBlock { size: gib(7), hosts: vec![rig::storage(0)], auth: false, preallocation: Preallocation::Full };
    rig.hosts[0].make_block_by_hand(&key().hosting.name, &key().name, &new);
    let before = rig.footprints();
    let refused = rig.ask(&created()).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert_eq!(refused.message, "there is another block volume vol_e0/blk already");
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_in_a_volume_that_is_not_ours() {
    let rig = hosting_rig().await;
    rig.ask_all(&[created()], &"create").await;
    let before = rig.footprints();
    let stranger = VolumeKey { volume: VolumeId::from_u128(0xe9), ..rig::volume_key() };
    let key = BlockKey { hosting: stranger, ..key() };
    for wanted in [
        Wanted::BlockCreated(BlockSpec { key: key.clone(), ..spec() }),
        Wanted::BlockResized(BlockResize { key: key.clone(), size: gib(9) }),
        Wanted::BlockGone(key.clone()),
        Wanted::BlockSeen(key),
    ] {
        assert_eq!(rig.ask(&(0, wanted)).await.unwrap_err().kind, FailureKind::Refused);
    }
    assert_eq!(rig.footprints(), before);
}

#[tokio::test(start_paused = true)]
async fn what_was_left_half_made_is_waited_for_and_then_told() {
    let rig = hosting_rig().await;
    rig.hosts[0].faults().inject(At::Next(Call::BlockCreate), Fault::Halfway);
    rig.ask(&created()).await.unwrap_err();
    let start = tokio::time::Instant::now();
    let failure = rig.ask(&created()).await.unwrap_err();
    assert!(start.elapsed().as_secs() >= 600, "the daemon may still have been at it");
    assert_eq!(failure.message, "block volume vol_e0/blk was left half made");
    assert!(failure.cure.unwrap().contains("gluster-blockd"));
    rig.ask_all(&[gone(), created()], &"undo and again").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_smaller() {
    let rig = hosting_rig().await;
    rig.ask_all(&[created()], &"create").await;
    let refused = rig.ask(&resized(4)).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.message.contains("nothing is made smaller"), "{}", refused.message);
    assert!(!rig.ask(&resized(5)).await.unwrap().changed);
}

#[tokio::test(start_paused = true)]
async fn a_host_without_the_program_says_so_and_another_one_may_be_asked() {
    let rig = hosting_rig().await;
    rig.hosts[0].without_gluster_block();
    let failure = rig.ask(&created()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert_eq!(failure.message, "gluster-block is not installed on this host");
    assert_eq!(rig.engine(0).inventory().await.unwrap().gluster.block, None);
    assert_eq!(rig.engine(1).inventory().await.unwrap().gluster.block.as_deref(), Some("0.5.1"));
}
