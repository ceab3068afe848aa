//! Whole clusters: REST, the real coordinator, real agents over mutual TLS, simulated hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use bricklayer_api::heketi::{
    BrickEvictRequest, ClusterFlags, DeviceAddRequest, HostAddresses, NodeAddRequest, StateRequest, VolumeCloneRequest,
    VolumeCreateRequest,
};
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::names::{BrickPath, DevicePath};
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Call, Fault, Footprint, SimDisk};
use bricklayer_tests::story::{create, delete, done, expand, replicated};

fn disk() -> ByteSize {
    ByteSize::from_gib(16).unwrap()
}

async fn three() -> Cluster {
    let cluster = Cluster::start(3, 1, disk()).await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

#[tokio::test]
async fn the_story_of_the_first_user() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    for node in &client.topology().await.unwrap().clusters[0].nodes {
        let storage = node.devices[0].storage;
        assert_eq!((storage.total_kib >> 20, storage.used_kib, storage.free_kib), (15, 0, storage.total_kib));
    }
    let empty = cluster.footprints();

    let eight = create(&client, &replicated(8, 3)).await.unwrap();
    assert_eq!(eight.name, format!("vol_{}", eight.id));
    assert_eq!(eight.size_gib, 8);
    assert_eq!(eight.durability.replicate.replica, 3);
    let mount = &eight.mount.glusterfs;
    assert_eq!(mount.device, format!("{}:{}", mount.hosts[0], eight.name));
    assert_eq!(mount.options["backup-volfile-servers"], mount.hosts[1..].join(","));
    assert_eq!(eight.bricks.len(), 3);
    cluster.volume_is_whole(eight.id).await.unwrap();
    cluster.ledger_is_lvms().await.unwrap();

    let refused = create(&client, &replicated(8, 3)).await.unwrap_err().to_string();
    for name in ["gfs1", "gfs2", "gfs3", "/dev/sdb"] {
        assert!(refused.contains(name), "{refused}");
    }
    assert!(refused.contains('7'), "the largest size that fits is told: {refused}");
    cluster.ledger_is_lvms().await.unwrap();

    let seven = create(&client, &replicated(7, 3)).await.unwrap();
    cluster.volume_is_whole(seven.id).await.unwrap();
    cluster.ledger_is_lvms().await.unwrap();

    delete(&client, eight.id).await.unwrap();
    cluster.volume_is_whole(seven.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    delete(&client, seven.id).await.unwrap();
    assert_eq!(cluster.footprints(), empty);
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn nodes_and_devices_go_without_a_trace() {
    let cluster = Cluster::start(3, 1, disk()).await.unwrap();
    let before = cluster.footprints();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let topology = client.topology().await.unwrap();
    for node in &topology.clusters[0].nodes {
        let refused = client.node_delete(node.id).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.status(), Some(409), "a node with a device stays: {refused}");
        for state in ["offline", "failed"] {
            let request = StateRequest { state: state.into(), ..StateRequest::default() };
            let accepted = client.device_set_state(node.devices[0].id, &request).await.unwrap();
            done(&client, accepted).await.unwrap();
        }
        let accepted = client.device_delete(node.devices[0].id, Default::default()).await.unwrap();
        done(&client, accepted).await.unwrap();
        let accepted = client.node_delete(node.id).await.unwrap();
        done(&client, accepted).await.unwrap();
    }
    client.cluster_delete(topology.clusters[0].id).await.unwrap();
    assert_eq!(cluster.footprints(), before);
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_disk_that_carries_something_is_refused_with_what_and_taken_once_it_is_wiped() {
    let cluster = Cluster::start(1, 1, disk()).await.unwrap();
    let host = cluster.host("gfs1");
    let path = "/dev/sdb".parse().unwrap();
    host.unplug(&path);
    host.plug(SimDisk::new(&path, disk()).serial("S1").loose_physical_volume());
    let has_it = |seen: &Inventory| seen.disks.iter().any(|disk| disk.serial.as_deref() == Some("S1"));
    cluster.installation.until_seen(host.name(), "the disk is there", has_it).await.unwrap();
    let refused = cluster.load_topology().await.unwrap_err().to_string();
    assert!(refused.contains("physical volume"), "{refused}");
    let client = cluster.client().unwrap();
    let wipe = |confirm: &str| bricklayer_api::v1::WipeRequest {
        node: "gfs1".parse().unwrap(),
        device: "/dev/sdb".parse().unwrap(),
        confirm: Some(confirm.into()),
    };
    let unconfirmed = client.device_wipe(&wipe("S2")).await.unwrap();
    assert!(matches!(unconfirmed, bricklayer_api::client::Wipe::Unconfirmed(_)), "{unconfirmed:?}");
    let bricklayer_api::client::Wipe::Accepted(accepted) = client.device_wipe(&wipe("S1")).await.unwrap() else {
        panic!("it was confirmed")
    };
    done(&client, accepted).await.unwrap();
    let node = client.topology().await.unwrap().clusters[0].nodes[0].id;
    let request = bricklayer_api::heketi::DeviceAddRequest {
        name: "/dev/sdb".into(),
        node: node.to_string(),
        ..Default::default()
    };
    let accepted = client.device_add(&request).await.unwrap();
    done(&client, accepted).await.unwrap();
    cluster.ledger_is_lvms().await.unwrap();
}

#[tokio::test]
async fn a_device_that_is_added_while_its_agent_or_the_coordinator_is_killed_is_there_afterwards() {
    for killed in ["agent", "coordinator"] {
        for fault in [Fault::HangsBefore, Fault::HangsAfter, Fault::Holds] {
            if (killed == "agent") == (fault == Fault::Holds) {
                continue;
            }
            let mut cluster = Cluster::start(1, 1, disk()).await.unwrap();
            let faults = cluster.host("gfs1").faults().clone();
            faults.inject(At::Next(Call::CreateGroup), fault);
            let work = {
                let (loading, hanging) = (cluster.load_topology(), faults.until_one_hangs());
                tokio::pin!(loading);
                tokio::select! {
                    () = hanging => Ok(()),
                    result = &mut loading => result,
                }
            };
            work.unwrap();
            if killed == "agent" {
                cluster.agent("gfs1").kill().await;
                cluster.agent("gfs1").start().await.unwrap();
            } else {
                cluster.installation.kill_coordinator().await;
                faults.release();
                cluster.installation.start_coordinator().await.unwrap();
            }
            let client = cluster.client().unwrap();
            until(
                "the device is listed",
                async || Ok(client.topology().await?.clusters[0].nodes[0].devices.len() == 1),
            )
            .await
            .unwrap_or_else(|error| panic!("{killed} {fault:?}: {error:#}"));
            cluster.until_ledger_is_lvms().await.unwrap();
            cluster.nothing_was_violated();
        }
    }
}

#[tokio::test]
async fn a_device_whose_disk_fails_while_it_is_added_and_the_coordinator_is_killed_waits_for_its_disk() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let sdc: DevicePath = "/dev/sdc".parse().unwrap();
    cluster.host("gfs1").plug(SimDisk::new(&sdc, disk()));
    let topology = client.topology().await.unwrap();
    let node = topology.clusters[0].nodes.iter().find(|node| node.hostnames.manage[0] == "gfs1").unwrap().id;
    let request = DeviceAddRequest { name: sdc.to_string(), node: node.to_string(), ..Default::default() };
    let host = cluster.host("gfs1").clone();
    host.faults().inject(At::Next(Call::CreateGroup), Fault::Holds);
    let accepted = client.device_add(&request).await.unwrap();
    host.faults().until_one_hangs().await;
    cluster.installation.kill_coordinator().await;
    host.faults().release();
    until("the group is made", async || Ok(host.footprint().view.groups.len() == 2)).await.unwrap();
    host.break_disk(&sdc, true);
    cluster.installation.start_coordinator().await.unwrap();
    let is_waiting = async || {
        let operation = client.operation(accepted.operation().unwrap()).await?;
        let details = operation.steps.iter().filter_map(|step| step.detail.as_ref());
        Ok(details.into_iter().any(|detail| detail.contains("can be read")))
    };
    until("it waits for the disk", is_waiting).await.unwrap();
    host.break_disk(&sdc, false);
    done(&client, accepted).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn bricks_come_back_after_a_power_cut_without_a_coordinator() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let before = cluster.host("gfs2").footprint().anonymous();
    cluster.installation.kill_coordinator().await;
    cluster.power_cut("gfs2").await;
    cluster.power_on("gfs2").await.unwrap();
    assert_eq!(cluster.host("gfs2").footprint().anonymous(), before);
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
}

#[tokio::test]
async fn a_power_cut_in_the_middle_of_a_create_is_overcome_when_the_host_is_back() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints().into_keys().count();
    for call in [Call::CreateBrickVolumes, Call::MakeXfs, Call::Mount, Call::ReplaceFstab] {
        let faults = cluster.host("gfs2").faults().clone();
        faults.inject(At::Next(call), Fault::HangsAfter);
        let accepted = client.volume_create(&replicated(1, 3)).await.unwrap();
        faults.until_one_hangs().await;
        cluster.power_cut("gfs2").await;
        cluster.power_on("gfs2").await.unwrap();
        let volume = done(&client, accepted).await.unwrap_or_else(|error| panic!("{}: {error}", call.name()));
        cluster.until_able("gfs2").await.unwrap();
        cluster.volume_is_whole(volume.id).await.unwrap_or_else(|error| panic!("{}: {error:#}", call.name()));
        delete(&client, volume.id).await.unwrap();
    }
    assert_eq!(cluster.footprints().len(), empty);
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_spare_that_lvm_was_making_when_the_power_went_is_gone_after_the_boot() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let faults = cluster.host("gfs2").faults().clone();
    faults.inject(At::Next(Call::CreateBrickVolumes), Fault::HangsBefore);
    let accepted = client.volume_create(&replicated(1, 3)).await.unwrap();
    faults.until_one_hangs().await;
    let disk = "/dev/sdb".parse().unwrap();
    cluster.host("gfs2").create_volume_by_hand(&disk, "lvol0".parse().unwrap(), ByteSize::from_mib(8).unwrap(), &[]);
    cluster.power_cut("gfs2").await;
    cluster.power_on("gfs2").await.unwrap();
    let volume = done(&client, accepted).await.unwrap();
    cluster.until_able("gfs2").await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let footprint = format!("{:?}", cluster.host("gfs2").footprint());
    assert!(!footprint.contains("lvol0"), "{footprint}");
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_new_brick_whose_mark_a_power_cut_took_is_marked_again_and_runs() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let faults = cluster.host("gfs2").faults().clone();
    faults.inject(At::Next(Call::SyncFileSystem), Fault::HangsBefore);
    let accepted = client.volume_create(&replicated(1, 3)).await.unwrap();
    faults.until_one_hangs().await;
    cluster.power_cut("gfs2").await;
    cluster.power_on("gfs2").await.unwrap();
    let volume = done(&client, accepted).await.unwrap();
    cluster.until_able("gfs2").await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    assert!(faults.effect_log().contains(&Call::MarkBrick));
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_new_brick_that_was_marked_again_runs_also_after_a_restart_of_the_coordinator() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let faults = cluster.host("gfs2").faults().clone();
    faults.inject(At::Next(Call::SyncFileSystem), Fault::HangsBefore);
    let accepted = client.volume_create(&replicated(1, 3)).await.unwrap();
    faults.until_one_hangs().await;
    cluster.power_cut("gfs2").await;
    faults.inject(At::Next(Call::MarkBrick), Fault::HangsAfter);
    cluster.power_on("gfs2").await.unwrap();
    faults.until_one_hangs().await;
    cluster.installation.kill_coordinator().await;
    cluster.agent("gfs2").kill().await;
    cluster.agent("gfs2").start().await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    let volume = done(&cluster.client().unwrap(), accepted).await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
}

/// A clone's brick begins as a copy of its source's, so what a power cut leaves there is the source's mark.
#[tokio::test]
async fn a_clones_brick_whose_mark_a_power_cut_took_is_marked_as_its_own_again_and_runs() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let faults = cluster.host("gfs2").faults().clone();
    faults.inject(At::Next(Call::SyncFileSystem), Fault::HangsBefore);
    let accepted = client.volume_clone(volume.id, &VolumeCloneRequest { name: "copy".to_owned() }).await.unwrap();
    faults.until_one_hangs().await;
    cluster.power_cut("gfs2").await;
    cluster.power_on("gfs2").await.unwrap();
    let clone = done(&client, accepted).await.unwrap();
    assert!(faults.effect_log().contains(&Call::MarkBrick));
    // Once that is said, no power cut takes any mark.
    for name in ["gfs1", "gfs2"] {
        cluster.power_cut(name).await;
        cluster.power_on(name).await.unwrap();
    }
    cluster.until_all_able().await.unwrap();
    cluster.bricks_run(clone.id).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn bricks_serve_grow_and_move_where_a_disk_has_another_name_after_a_boot() {
    let mut cluster = Cluster::start(4, 1, disk()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let node = client.node(volume.bricks[0].node).await.unwrap();
    let name = node.hostnames.manage[0].clone();
    cluster.power_cut(&name).await;
    cluster.host(&name).rename_disk(&"/dev/sdb".parse().unwrap(), &"/dev/sdz".parse().unwrap());
    cluster.power_on(&name).await.unwrap();
    cluster.until_able(&name).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    expand(&client, volume.id, 1).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    let accepted = client.brick_evict(volume.bricks[0].id, &BrickEvictRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn of_hosts_that_are_parted_the_one_that_sees_most_others_is_asked() {
    let cluster = Cluster::start(4, 1, disk()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let mut nodes = client.topology().await.unwrap().clusters.remove(0).nodes;
    nodes.sort_by_key(|node| node.id);
    let apart = &nodes[0].hostnames.manage[0];
    let offline = StateRequest { state: "offline".to_owned(), ..StateRequest::default() };
    done(&client, client.node_set_state(nodes[0].id, &offline).await.unwrap()).await.unwrap();
    let sees_all = |seen: &Inventory| seen.gluster.peers.iter().filter(|peer| peer.connected).count() == 3;
    for node in &nodes {
        let name = node.hostnames.manage[0].parse().unwrap();
        cluster.installation.until_seen(&name, "it sees all others", sees_all).await.unwrap();
    }
    cluster.host(apart).isolate(true);
    let apart = apart.parse().unwrap();
    let sees_nobody = |seen: &Inventory| seen.gluster.peers.iter().all(|peer| !peer.connected);
    cluster.installation.until_seen(&apart, "it sees no other", sees_nobody).await.unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let asked = |name: &str| cluster.host(name).faults().effect_log().contains(&Call::VolumeCreate);
    assert!(!asked(apart.as_str()), "{apart} is parted from the others");
    cluster.host(apart.as_str()).isolate(false);
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_create_that_waits_for_a_lost_host_in_vain_leaves_nothing_on_any_host() {
    let mut cluster = three().await;
    let before = cluster.footprints();
    let client = cluster.client().unwrap();
    let faults = cluster.host("gfs3").faults().clone();
    faults.inject(At::Next(Call::MakeXfs), Fault::HangsAfter);
    let accepted = client.volume_create(&replicated(1, 3)).await.unwrap();
    faults.until_one_hangs().await;
    let has_begun = |name: &&str| cluster.host(name).faults().effect_log().contains(&Call::WriteRecord);
    until("the others have begun", async || Ok(["gfs1", "gfs2"].iter().all(has_begun))).await.unwrap();
    cluster.agent("gfs3").kill().await;
    until("the others are clean", async || {
        let now = cluster.footprints();
        Ok(["gfs1", "gfs2"].iter().all(|name| now[*name] == before[*name]))
    })
    .await
    .unwrap();
    cluster.agent("gfs3").start().await.unwrap();
    let error = done(&client, accepted).await.unwrap_err();
    assert_eq!(error.status(), Some(500), "{error}");
    assert!(error.to_string().contains("gfs3"), "{error}");
    assert_eq!(cluster.footprints(), before);
    cluster.until_ledger_is_lvms().await.unwrap();
}

#[tokio::test]
async fn a_delete_that_meets_a_peer_that_is_down_leaves_the_volume_as_it_was() {
    let mut cluster = three().await;
    let before = cluster.footprints();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let names: Vec<String> = cluster.hosts().map(|host| host.name().to_string()).collect();
    let stopping: Vec<_> = cluster.hosts().map(|host| host.faults().clone()).collect();
    stopping.iter().for_each(|faults| faults.inject(At::Next(Call::VolumeStop), Fault::Holds));
    let accepted = client.volume_delete(volume.id).await.unwrap();
    let held = stopping.iter().map(|faults| Box::pin(faults.until_one_hangs()));
    let (_, asked, _) = futures::future::select_all(held).await;
    let lost = &names[(asked + 1) % names.len()];
    cluster.power_cut(lost).await;
    for faults in &stopping {
        faults.clear();
        faults.release();
    }
    let refused = done(&client, accepted).await.unwrap_err();
    assert_eq!(refused.status(), Some(500), "{refused}");
    cluster.power_on(lost).await.unwrap();
    cluster.until_able(lost).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    let anonymous =
        |all: BTreeMap<String, Footprint>| -> Vec<_> { all.into_values().map(Footprint::anonymous).collect() };
    assert_eq!(anonymous(cluster.footprints()), anonymous(before));
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn volumes_created_at_once_never_share_an_extent_and_the_last_one_is_refused() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    // Seven volumes of 2 GiB fit into 15 GiB and some MiB, an eighth does not.
    let request = replicated(2, 3);
    let all = futures::future::join_all((0..8).map(|_| create(&client, &request))).await;
    let made: Vec<_> = all.iter().flatten().collect();
    assert_eq!(made.len(), 7);
    for volume in made {
        cluster.volume_is_whole(volume.id).await.unwrap();
    }
    cluster.ledger_is_lvms().await.unwrap();
}

#[tokio::test]
async fn nodes_that_are_added_to_an_empty_cluster_at_once_join_one_pool() {
    let cluster = Cluster::start(5, 1, disk()).await.unwrap();
    let client = cluster.client().unwrap();
    let id = client.cluster_create(ClusterFlags { block: true, file: true }).await.unwrap().id;
    let adds = (1..=5).map(async |number| {
        let hostnames =
            HostAddresses { manage: vec![format!("gfs{number}")], storage: vec![format!("192.168.0.{number}")] };
        let request = NodeAddRequest { zone: 1, hostnames, cluster: id.to_string(), ..NodeAddRequest::default() };
        done(&client, client.node_add(&request).await.unwrap()).await.unwrap()
    });
    futures::future::join_all(adds).await;
    for number in 1..=5 {
        let name = format!("gfs{number}").parse().unwrap();
        let peers = |seen: &Inventory| seen.gluster.peers.len() == 4;
        cluster.installation.until_seen(&name, "it has four peers", peers).await.unwrap();
    }
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_node_is_added_though_the_others_have_not_attached_yet_after_a_start_of_the_coordinator() {
    let mut cluster = Cluster::start(2, 1, disk()).await.unwrap();
    let client = cluster.client().unwrap();
    let id = client.cluster_create(ClusterFlags { block: true, file: true }).await.unwrap().id;
    let request = |number| {
        let hostnames =
            HostAddresses { manage: vec![format!("gfs{number}")], storage: vec![format!("192.168.0.{number}")] };
        NodeAddRequest { zone: 1, hostnames, cluster: id.to_string(), ..NodeAddRequest::default() }
    };
    let first = client.node_add(&request(1)).await.unwrap();
    done(&client, first).await.unwrap();
    cluster.power_cut("gfs1").await;
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    let second = request(2);
    let come_back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.power_on("gfs1").await.unwrap();
    };
    let (accepted, ()) = tokio::join!(client.node_add(&second), come_back);
    done(&client, accepted.unwrap()).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    let request = VolumeCreateRequest { name: "data".into(), ..replicated(1, 3) };
    create(&client, &request).await.unwrap();
    let refused = create(&client, &request).await.unwrap_err().to_string();
    assert!(refused.contains("data"), "{refused}");
    cluster.ledger_is_lvms().await.unwrap();
}

#[tokio::test]
async fn every_durability_is_made_as_it_is_asked_for_and_gives_all_back() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let none = VolumeCreateRequest { size_gib: 2, gid: 2345, ..VolumeCreateRequest::default() };
    let mut disperse = VolumeCreateRequest { size_gib: 2, ..VolumeCreateRequest::default() };
    disperse.durability.kind = "disperse".into();
    (disperse.durability.disperse.data, disperse.durability.disperse.redundancy) = (2, 1);
    let arbiter =
        VolumeCreateRequest { gluster_volume_options: vec!["user.heketi.arbiter true".into()], ..replicated(2, 3) };
    let mut snapshots = replicated(2, 2);
    snapshots.snapshot.enable = true;
    snapshots.snapshot.factor.0 = 1.5;
    let mut made = Vec::new();
    for (request, bricks) in [(none, 1), (disperse, 3), (arbiter, 3), (snapshots, 2)] {
        let volume = create(&client, &request).await.unwrap();
        assert_eq!(volume.bricks.len(), bricks, "{volume:?}");
        cluster.volume_is_whole(volume.id).await.unwrap();
        made.push(volume);
    }
    cluster.ledger_is_lvms().await.unwrap();
    let hosts: Vec<_> = cluster.hosts().collect();
    let path = |brick: &bricklayer_api::heketi::Brick| BrickPath::try_from(brick.path.clone()).unwrap();
    let gid = hosts.iter().find_map(|host| host.brick_gid(&path(&made[0].bricks[0])));
    assert_eq!(gid, Some(2345));
    let at = |brick: &bricklayer_api::heketi::Brick| brick.path.trim_end_matches("/brick").parse().unwrap();
    let is_arbiter = |brick| hosts.iter().find_map(|host| host.brick_is_arbiter(&at(brick))).unwrap();
    assert_eq!(made[2].bricks.iter().filter(|brick| is_arbiter(brick)).count(), 1);
    for volume in made {
        delete(&client, volume.id).await.unwrap();
    }
    assert_eq!(cluster.footprints(), empty);
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}
