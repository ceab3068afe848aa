//! What an agent notices of its disks and bricks by reading them.

use std::sync::Arc;
use std::time::Duration;

use bricklayer_agent::engine::{Engine, Watch};
use bricklayer_proto::ids::{BrickId, DeviceId};
use bricklayer_proto::inventory::ReadFault;
use bricklayer_proto::task::{BrickAddress, Wanted};
use bricklayer_tests::rig::{
    Rig, brick, brick_key, brick_path, device, device_id, device_removal, sdb, storage, volume, volume_key,
};
use bricklayer_tests::sim::{At, Call, Fault};

const NOW: i64 = 1_700_000_000_000;

/// A host with a device and a brick on it, looked at once.
async fn watched() -> (Rig, Arc<Engine>) {
    let rig = Rig::new(1);
    rig.ask_all(&[device(0), brick(0, 1)], &"before").await;
    let engine = Arc::clone(rig.engine(0));
    engine.inventory().await.unwrap();
    (rig, engine)
}

/// Looks at all disks, and waits until every look that can end has ended.
async fn look(watch: &Arc<Watch>) -> Vec<(DeviceId, Option<BrickId>, ReadFault)> {
    watch.look(NOW);
    // Time stands still but for this, so all that is ready is done first.
    tokio::time::sleep(Duration::from_millis(1)).await;
    watch.ailing().into_iter().map(|ailing| (ailing.device, ailing.brick, ailing.fault)).collect()
}

fn eio() -> ReadFault {
    ReadFault::Failed { said: "/dev/sdb: Input/output error".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_told_though_lvm_no_longer_shows_it_and_no_more_when_it_is_well() {
    let (rig, engine) = watched().await;
    assert!(look(engine.watch()).await.is_empty());
    let mut changes = engine.watch().changes();
    changes.mark_unchanged();
    rig.hosts[0].break_disk(&sdb(), true);
    assert_eq!(look(engine.watch()).await, [(device_id(0), None, eio())]);
    assert!(changes.has_changed().unwrap(), "it is told at once");
    let inventory = engine.inventory().await.unwrap();
    assert!(inventory.groups.is_empty() && inventory.ailing.len() == 1, "{inventory:?}");
    assert_eq!((inventory.ailing[0].disk.clone(), inventory.ailing[0].since_ms), (sdb(), NOW));
    changes.mark_unchanged();
    assert_eq!(look(engine.watch()).await.len(), 1);
    assert!(!changes.has_changed().unwrap(), "what is known is not told again");

    rig.hosts[0].break_disk(&sdb(), false);
    engine.inventory().await.unwrap();
    assert!(look(engine.watch()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_dies_while_it_is_looked_at_is_kept_in_view() {
    let (rig, engine) = watched().await;
    rig.hosts[0].faults().inject(At::Next(Call::ProbeFileSystem), Fault::Holds);
    assert!(look(engine.watch()).await.is_empty());
    rig.hosts[0].break_disk(&sdb(), true);
    assert!(engine.inventory().await.unwrap().groups.is_empty(), "LVM no longer shows it");
    rig.hosts[0].faults().release();
    look(engine.watch()).await;
    assert_eq!(look(engine.watch()).await, [(device_id(0), None, eio())]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_says_nothing_for_half_a_minute_is_told_and_holds_up_no_other() {
    let (rig, engine) = watched().await;
    let faults = rig.hosts[0].faults();
    faults.inject(At::Next(Call::ProbeDisk), Fault::Holds);
    assert!(look(engine.watch()).await.is_empty(), "it may have been asleep");
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(look(engine.watch()).await, [(device_id(0), None, ReadFault::Silent)]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    look(engine.watch()).await;
    let looks = || faults.log().iter().filter(|entry| entry.call == Call::ProbeDisk).count();
    assert_eq!(looks(), 1, "one look at a time");
    engine.inventory().await.unwrap();

    faults.release();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(look(engine.watch()).await.is_empty(), "it has answered after all");
    assert_eq!(looks(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_brick_that_fails_alone_is_told_alone_and_no_more_when_it_is_gone() {
    let (rig, engine) = watched().await;
    rig.hosts[0].faults().inject(At::Every(Call::ProbeFileSystem), Fault::Before);
    let said = ReadFault::Failed { said: "a fault was injected".to_owned() };
    assert_eq!(look(engine.watch()).await, [(device_id(0), Some(brick_key(0).brick), said)]);
    let (host, key) = (0, brick_key(0));
    let gone = [Wanted::BrickCondemned(key), Wanted::BrickGone(key)];
    rig.ask_all(&gone.map(|wanted| (host, wanted)), &"the removal").await;
    engine.inventory().await.unwrap();
    assert!(engine.watch().ailing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_given_back_is_not_looked_at_any_more() {
    let rig = Rig::new(1);
    rig.ask_all(&[device(0)], &"before").await;
    let engine = rig.engine(0);
    engine.inventory().await.unwrap();
    rig.ask_all(&device_removal(0), &"the removal").await;
    engine.inventory().await.unwrap();
    look(engine.watch()).await;
    rig.hosts[0].break_disk(&sdb(), true);
    assert!(look(engine.watch()).await.is_empty(), "it is somebody else's now");
}

#[tokio::test(start_paused = true)]
async fn a_brick_whose_process_died_is_told_after_three_looks_and_one_whose_glusterd_is_down_is_not() {
    let rig = Rig::new(1);
    rig.ask_all(&[device(0), brick(0, 1), volume(1), (0, Wanted::VolumeStarted(volume_key()))], &"before").await;
    let (engine, host, path) = (rig.engine(0), &rig.hosts[0], brick_path(&rig, 0));
    let served = async || engine.inventory().await.unwrap().bricks[0].served;
    assert_eq!(served().await, None, "nobody has looked");
    look(engine.watch()).await;
    assert_eq!(served().await, Some(true));

    host.stop_brick_by_hand(&BrickAddress { host: storage(0), path: path.clone() });
    let mut changes = engine.watch().changes();
    changes.mark_unchanged();
    for _ in 0..2 {
        look(engine.watch()).await;
        assert_eq!(served().await, None, "it may just be started anew");
    }
    assert!(!changes.has_changed().unwrap());
    look(engine.watch()).await;
    assert!(changes.has_changed().unwrap(), "it is told at once");
    assert_eq!(served().await, Some(false));
    host.stop_glusterd();
    look(engine.watch()).await;
    assert_eq!(served().await, None);
    host.start_glusterd();
    look(engine.watch()).await;
    assert_eq!(served().await, Some(true));
}
