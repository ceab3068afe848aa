//! What changes a volume or its hardware while it serves, on whole simulated clusters: growth, clones, bricks that move,
//! nodes that are away. Whatever is killed meanwhile, it ends whole or undone, and the ledger is LVM's.

use bricklayer_agent::host::Host;
use bricklayer_api::client::Accepted;
use bricklayer_api::heketi::{
    BrickEvictRequest, DeviceDeleteRequest, Disperse, DurabilityRequest, VolumeCloneRequest, VolumeCreateRequest,
};
use bricklayer_api::v1::BrickReplaceRequest;
use bricklayer_proto::names::VolumeName;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Call, Fault, SimHost};
use bricklayer_tests::story::{
    create, delete, distributed, done, expand, hardware, make_by_hand, replicated, set_device, until_one_is_away,
};

#[tokio::test]
async fn a_volume_grows_in_place_while_its_devices_have_room_and_by_new_sets_after_that() {
    let cluster = Cluster::loaded(6, 16).await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let volume = create(&client, &replicated(8, 3)).await.unwrap();
    let grown = expand(&client, volume.id, 6).await.unwrap();
    assert_eq!((grown.size_gib, grown.bricks.len()), (14, 3), "no new bricks: {grown:?}");
    assert!(grown.bricks.iter().all(|brick| brick.size_kib == 14 << 20), "{grown:?}");
    let newest = client.operations().await.unwrap().operations.into_iter().find(|o| o.kind == "volume-expand").unwrap();
    let told = client.operation(newest.id).await.unwrap().changes;
    assert!(told[0].contains("from 8 GiB to 14 GiB") && told[1].contains("grows to 14 GiB"), "{told:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();

    let wider = expand(&client, volume.id, 5).await.unwrap();
    assert_eq!((wider.size_gib, wider.bricks.len()), (19, 6), "a new set: {wider:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();

    let refused = expand(&client, volume.id, 500).await.unwrap_err().to_string();
    assert!(refused.contains("Failed to allocate volume expansion:"), "{refused}");
    delete(&client, volume.id).await.unwrap();
    assert_eq!(cluster.footprints(), empty);
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_brick_moves_to_the_chosen_device_and_its_old_place_is_empty_again() {
    let cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(4, 3)).await.unwrap();
    let (free_node, free_device) = {
        let topology = client.topology().await.unwrap();
        let node = topology.clusters[0].nodes.iter().find(|node| node.devices[0].bricks.is_empty()).unwrap().clone();
        (node.id, node.devices[0].id)
    };
    let old = volume.bricks[0].clone();
    let request = BrickReplaceRequest { device: Some(free_device.to_string()), ..BrickReplaceRequest::default() };
    let accepted = client.brick_replace(old.id, &request).await.unwrap();
    done(&client, accepted).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert_eq!(after.bricks.len(), 3);
    assert!(after.bricks.iter().all(|brick| brick.id != old.id));
    assert!(after.bricks.iter().any(|brick| (brick.node, brick.device) == (free_node, free_device)));
    assert!(client.device(old.device).await.unwrap().bricks.is_empty());
    let options = &cluster.host("gfs1").footprint().volumes[0].options;
    assert!(!options.iter().any(|(key, _)| key == "cluster.favorite-child-policy"), "as before: {options:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.nothing_was_violated();
}

/// A clone made by hand of one of our volumes has the name that is asked for next: ours must not touch it, and must not
/// be stuck for it.
#[tokio::test]
async fn a_name_that_somebody_took_in_gluster_is_refused_and_nothing_is_left_of_the_create() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let host: &dyn Host = cluster.host("gfs1");
    let (snapshot, by_hand) = ("snap_by_hand".parse().unwrap(), "by_hand".parse().unwrap());
    host.gluster_snapshot_create(&snapshot, &volume.name.parse().unwrap()).await.unwrap();
    host.gluster_snapshot_activate(&snapshot, true).await.unwrap();
    host.gluster_snapshot_clone(&snapshot, &by_hand).await.unwrap();
    let before = cluster.footprints();
    let request = VolumeCreateRequest { name: "by_hand".into(), ..replicated(1, 3) };
    let refused = create(&client, &request).await.unwrap_err().to_string();
    assert!(refused.contains("by_hand"), "{refused}");
    assert_eq!(cluster.footprints(), before);
    let refused = client.volume_clone(volume.id, &VolumeCloneRequest { name: "by_hand".into() }).await.unwrap();
    assert!(done(&client, refused).await.map(|_| ()).unwrap_err().to_string().contains("by_hand"));
    expand(&client, volume.id, 1).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_brick_of_a_volume_without_copies_moves_with_its_files() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &distributed(4)).await.unwrap();
    let old = volume.bricks[0].clone();
    let accepted = client.brick_evict(old.id, &BrickEvictRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert_eq!(after.bricks.len(), 1);
    assert_ne!(after.bricks[0].device, old.device);
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

async fn moves_a_brick_though(heal_is_disturbed: impl Fn(&Cluster, &VolumeName)) {
    let cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    heal_is_disturbed(&cluster, &volume.name.parse().unwrap());
    let old = volume.bricks[0].id;
    let _: Accepted<_> = client.brick_evict(old, &BrickEvictRequest::default()).await.unwrap();
    let ended = async || Ok(client.operations().await?.operations.iter().all(|one| one.state.is_final()));
    until("the brick has moved", ended).await.unwrap();
    assert!(client.volume(volume.id).await.unwrap().bricks.iter().all(|brick| brick.id != old));
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_brick_moves_though_the_self_heal_daemons_miss_that_there_is_something_to_heal() {
    moves_a_brick_though(|cluster, name| cluster.sim.miss_heals(cluster.host("gfs1"), name)).await;
}

#[tokio::test]
async fn a_brick_moves_though_glusterd_has_not_handed_its_volume_to_the_self_heal_daemon() {
    moves_a_brick_though(|cluster, name| cluster.sim.lose_self_heal_daemon(cluster.host("gfs1"), name)).await;
}

#[tokio::test]
async fn a_brick_of_a_dispersed_volume_moves_too() {
    let cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let durability = DurabilityRequest {
        kind: "disperse".into(),
        disperse: Disperse { data: 2, redundancy: 1 },
        ..DurabilityRequest::default()
    };
    let request = VolumeCreateRequest { size_gib: 4, durability, ..VolumeCreateRequest::default() };
    let volume = create(&client, &request).await.unwrap();
    let old = volume.bricks[0].clone();
    let accepted = client.brick_evict(old.id, &BrickEvictRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert!(after.bricks.len() == 3 && after.bricks.iter().all(|brick| brick.id != old.id), "{after:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

/// Nobody knows what a brick that does not answer has and the others lack. Of three copies two are enough to tell.
#[tokio::test]
async fn a_brick_that_does_not_answer_is_moved_only_where_the_others_have_everything_for_certain() {
    let mut cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let dispersed = DurabilityRequest {
        kind: "disperse".into(),
        disperse: Disperse { data: 2, redundancy: 1 },
        ..DurabilityRequest::default()
    };
    let dispersed = VolumeCreateRequest { size_gib: 4, durability: dispersed, ..VolumeCreateRequest::default() };
    for request in [replicated(1, 2), dispersed, replicated(1, 3)] {
        let volume = create(&client, &request).await.unwrap();
        let old = volume.bricks[0].clone();
        let topology = client.topology().await.unwrap();
        let node = topology.clusters[0].nodes.iter().find(|node| node.id == old.node).unwrap();
        let name = node.hostnames.manage[0].clone();
        cluster.power_cut(&name).await;
        until_one_is_away(&client).await.unwrap();
        let accepted = client.brick_evict(old.id, &BrickEvictRequest::default()).await.unwrap();
        if request.durability.replicate.replica == 3 {
            // It ends when the host is back, as the old brick is still to be removed there.
            cluster.power_on(&name).await.unwrap();
            done(&client, accepted).await.unwrap();
        } else {
            let refused = done(&client, accepted).await.unwrap_err().to_string();
            assert!(refused.contains("does not answer"), "{refused}");
            cluster.power_on(&name).await.unwrap();
        }
        cluster.until_able(&name).await.unwrap();
        cluster.volume_is_whole(volume.id).await.unwrap();
        delete(&client, volume.id).await.unwrap();
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_volume_that_comes_back_with_a_host_that_lost_power_while_it_was_deleted_is_deleted_again() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let host = cluster.host("gfs2").clone();
    let come_back = cluster.sim.keep_a_copy_of(&host, &volume.name.parse().unwrap());
    // GlusterFS has forgotten it, and the bricks are going.
    host.faults().inject(At::Next(Call::RemoveVolume), Fault::HangsBefore);
    let accepted = client.volume_delete(volume.id).await.unwrap();
    host.faults().until_one_hangs().await;
    cluster.power_cut("gfs2").await;
    come_back();
    cluster.power_on("gfs2").await.unwrap();
    done(&client, accepted).await.unwrap();
    let listed = cluster.host("gfs1").gluster_volumes().await.unwrap();
    assert!(listed.is_empty(), "GlusterFS has {listed:?}");
    cluster.until_all_able().await.unwrap();
    assert_eq!(cluster.footprints(), empty);
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_brick_that_glusterfs_leaves_out_when_its_host_comes_back_is_started() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    cluster.power_cut("gfs2").await;
    cluster.host("gfs2").leave_bricks_out();
    cluster.power_on("gfs2").await.unwrap();
    until("its brick serves", async || Ok(cluster.volume_is_whole(volume.id).await.is_ok())).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_deletion_leaves_alone_a_volume_that_somebody_made_by_its_name_and_ends() {
    let mut cluster = Cluster::start(3, 2, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let host = cluster.host("gfs2").clone();
    // GlusterFS has forgotten it. Once this host is back, all are asked whether they have.
    host.faults().inject(At::Next(Call::RemoveVolume), Fault::HangsBefore);
    let accepted = client.volume_delete(volume.id).await.unwrap();
    host.faults().until_one_hangs().await;
    cluster.power_cut("gfs2").await;
    let theirs = make_by_hand(cluster.host("gfs1"), &volume.name).await;
    cluster.power_on("gfs2").await.unwrap();
    done(&client, accepted).await.unwrap();
    assert_eq!(cluster.host("gfs3").gluster_volume(&theirs.name).await.unwrap(), Some(theirs));
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_glusterd_that_cannot_say_yet_what_is_to_be_healed_is_asked_again_before_a_brick_moves() {
    let cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    for host in cluster.hosts() {
        host.faults().inject(At::Next(Call::GlusterHeal), Fault::Before);
    }
    let old = volume.bricks[0].id;
    let accepted = client.brick_evict(old, &BrickEvictRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert!(after.bricks.iter().all(|brick| brick.id != old), "{after:?}");
    let met = |host: &SimHost| {
        let log = host.faults().log();
        log.iter().any(|entry| entry.call == Call::GlusterHeal && entry.fault.is_some())
    };
    assert!(cluster.hosts().any(met), "somebody was asked in vain");
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_device_is_emptied_brick_by_brick_and_can_be_deleted_then() {
    let cluster = Cluster::loaded(5, 16).await;
    let client = cluster.client().unwrap();
    let mut volumes = Vec::new();
    for _ in 0..4 {
        volumes.push(create(&client, &replicated(1, 3)).await.unwrap());
    }
    volumes.push(create(&client, &distributed(2)).await.unwrap());
    let (_, device) = hardware(&client, 1).await.unwrap();
    let bricks = client.device(device).await.unwrap().bricks.len();
    assert!(bricks > 0, "the device that is emptied has something on it");
    let online = set_device(&client, device, &["failed"]).await.unwrap_err().to_string();
    assert!(online.contains("Device must be offline before remove operation is performed, device:"), "{online}");
    set_device(&client, device, &["offline", "failed"]).await.unwrap();
    assert!(client.device(device).await.unwrap().bricks.is_empty());
    for volume in &volumes {
        cluster.volume_is_whole(volume.id).await.unwrap();
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    let accepted = client.device_delete(device, DeviceDeleteRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    for volume in volumes {
        delete(&client, volume.id).await.unwrap();
    }
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_device_whose_group_went_as_every_program_died_leaves_the_records_too() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let (_, device) = hardware(&client, 1).await.unwrap();
    set_device(&client, device, &["offline", "failed"]).await.unwrap();
    let faults = cluster.host("gfs1").faults().clone();
    faults.inject(At::Next(Call::RemoveGroup), Fault::HangsAfter);
    let accepted = client.device_delete(device, DeviceDeleteRequest::default()).await.unwrap();
    faults.until_one_hangs().await;
    cluster.agent("gfs1").kill().await;
    cluster.installation.kill_coordinator().await;
    // It goes on before the agent is there.
    cluster.installation.start_coordinator().await.unwrap();
    cluster.agent("gfs1").start().await.unwrap();
    done(&cluster.client().unwrap(), accepted).await.unwrap();
    assert!(client.device(device).await.is_err());
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_device_is_deleted_only_when_its_disk_is_blank_and_until_then_the_operation_says_why() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let (_, device) = hardware(&client, 1).await.unwrap();
    set_device(&client, device, &["offline", "failed"]).await.unwrap();
    let host = cluster.host("gfs1");
    host.faults().inject(At::Every(Call::RemovePhysicalVolume), Fault::Before);
    let accepted = client.device_delete(device, DeviceDeleteRequest::default()).await.unwrap();
    let is_stuck = async || {
        let operations = client.operations().await?.operations;
        let stuck = operations.into_iter().find(|one| one.kind == "device-delete");
        Ok(stuck.and_then(|one| one.error).is_some_and(|error| error.contains("remove_physical_volume")))
    };
    until("the operation says what it cannot do", is_stuck).await.unwrap();
    assert!(client.device(device).await.is_ok(), "it is still recorded");
    assert_eq!(host.footprint().view.loose_physical_volumes.len(), 1);
    host.faults().clear();
    done(&client, accepted).await.unwrap();
    assert_eq!(host.footprint().view.loose_physical_volumes, []);
    assert!(client.device(device).await.is_err());
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_device_whose_bricks_have_nowhere_to_go_keeps_them_all() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let before = cluster.footprints();
    let (_, device) = hardware(&client, 2).await.unwrap();
    let refused = set_device(&client, device, &["offline", "failed"]).await.unwrap_err().to_string();
    assert!(refused.contains("No Replacement was found for resource requested to be removed"), "{refused}");
    assert!(refused.contains("its node holds another brick of the set"), "{refused}");
    assert_eq!(cluster.footprints(), before);
    cluster.volume_is_whole(volume.id).await.unwrap();
}

#[tokio::test]
async fn a_volume_is_deleted_while_a_host_is_away_and_its_brick_goes_when_the_host_is_back() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    cluster.power_cut("gfs2").await;
    until_one_is_away(&client).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    assert!(client.volumes().await.unwrap().volumes.is_empty());
    // Not even a restart of the coordinator forgets what is left to do.
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    cluster.power_on("gfs2").await.unwrap();
    until("nothing is left", async || Ok(cluster.footprints() == empty)).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_clone_takes_no_extents_and_outlives_its_source() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let (_, device) = hardware(&client, 1).await.unwrap();
    let free = client.device(device).await.unwrap().storage.free_kib;

    let accepted = client.volume_clone(volume.id, &VolumeCloneRequest { name: "copy".into() }).await.unwrap();
    let clone = done(&client, accepted).await.unwrap();
    assert_eq!((clone.name.as_str(), clone.size_gib, clone.bricks.len()), ("copy", 2, 3));
    assert_eq!(client.device(device).await.unwrap().storage.free_kib, free);
    cluster.until_ledger_is_lvms().await.unwrap();
    let again = client.volume_clone(volume.id, &VolumeCloneRequest { name: "copy".into() }).await.map(|_| ());
    assert!(again.unwrap_err().to_string().contains("Volume name 'copy' already in use"));

    delete(&client, volume.id).await.unwrap();
    assert_eq!(client.device(device).await.unwrap().storage.free_kib, free, "the pool is still there");
    cluster.until_ledger_is_lvms().await.unwrap();
    delete(&client, clone.id).await.unwrap();
    assert_eq!(cluster.footprints(), empty);
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}
