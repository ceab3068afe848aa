//! Hosts and disks that are lost for ever, or not seen for a while, on whole simulated clusters: what had a part on them goes on
//! without it, or goes, and nothing counts as gone before a person says so.

use std::collections::BTreeSet;

use bricklayer_agent::host::Host;
use bricklayer_api::client::Client;
use bricklayer_api::heketi::{DeviceAddRequest, DeviceDeleteRequest, StateRequest};
use bricklayer_api::v1::{BrickReplaceRequest, DeviceLostRequest, NodeLostRequest};
use bricklayer_coordinator::service::Layout;
use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::names::DevicePath;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Call, Fault, SimDisk, SimHost};
use bricklayer_tests::story::{
    create, delete, distributed, done, hardware, make_by_hand, replicated, set_device, until_one_is_away,
};

async fn lose_node(client: &Client, node: NodeId, name: &str) {
    let confirm = NodeLostRequest { confirm: name.to_owned() };
    until("the node can be declared lost", async || Ok(client.node_lost(node, &confirm).await.is_ok())).await.unwrap();
}

/// Nothing of any volume is left, in GlusterFS or on hosts that are there, and the lost node leaves the records.
async fn nothing_of_it_is_left(cluster: &Cluster, client: &Client, node: NodeId, device: DeviceId, name: &str) {
    let operations = async || Ok(client.operations().await?.operations.iter().all(|one| one.state.is_final()));
    until("the deletion ends", operations).await.unwrap();
    let there: Vec<&SimHost> = cluster.hosts().filter(|host| host.name().as_str() != name).collect();
    for host in &there {
        assert!(host.gluster_volumes().await.unwrap().is_empty(), "{} knows a volume", host.name());
        assert!(host.footprint().view.groups.iter().all(|group| group.volumes.is_empty()), "{}", host.name());
    }
    let request = StateRequest { state: "failed".into(), ..StateRequest::default() };
    done(client, client.node_set_state(node, &request).await.unwrap()).await.unwrap();
    done(client, client.device_delete(device, DeviceDeleteRequest::default()).await.unwrap()).await.unwrap();
    done(client, client.node_delete(node).await.unwrap()).await.unwrap();
    assert!(there[0].gluster_pool().await.unwrap().1.iter().all(|peer| peer.host != name));
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_brick_without_copies_stays_in_its_volume_where_its_new_place_is_lost_before_the_files_have_moved() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &distributed(4)).await.unwrap();
    let old = volume.bricks[0].clone();
    let (new, name) = {
        let topology = client.topology().await.unwrap();
        let node = topology.clusters[0].nodes.iter().find(|node| node.id != old.node).unwrap();
        (node.clone(), node.hostnames.manage[0].clone())
    };
    let faults = cluster.host(&name).faults().clone();
    faults.inject(At::Next(Call::SyncFileSystem), Fault::HangsBefore);
    let request = BrickReplaceRequest { device: Some(new.devices[0].id.to_string()), ..BrickReplaceRequest::default() };
    let accepted = client.brick_replace(old.id, &request).await.unwrap();
    faults.until_one_hangs().await;
    cluster.power_cut(&name).await;
    lose_node(&client, new.id, &name).await;
    done(&client, accepted).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    let nodes: BTreeSet<NodeId> = after.bricks.iter().map(|brick| brick.node).collect();
    assert!(nodes == BTreeSet::from([old.node, new.id]) && after.bricks.len() == 2, "{after:?}");
    delete(&client, volume.id).await.unwrap();
    nothing_of_it_is_left(&cluster, &client, new.id, new.devices[0].id, &name).await;
}

#[tokio::test]
async fn a_device_whose_disk_is_not_seen_is_not_deleted_before_it_is_back() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let (disk, (_, device)) = ("/dev/sdb".parse().unwrap(), hardware(&client, 2).await.unwrap());
    set_device(&client, device, &["offline", "failed"]).await.unwrap();
    cluster.host("gfs2").break_disk(&disk, true);
    let refused = async || {
        let accepted = client.device_delete(device, DeviceDeleteRequest::default()).await?;
        done(&client, accepted).await
    };
    let said = refused().await.unwrap_err().to_string();
    assert!(said.contains("does not see the volume group") && said.contains("bricklayer device lost"), "{said}");
    assert!(client.device(device).await.is_ok(), "it is still recorded");
    cluster.host("gfs2").break_disk(&disk, false);
    refused().await.unwrap();
    assert!(cluster.host("gfs2").footprint().view.groups.is_empty());
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_node_that_is_lost_for_ever_is_emptied_without_it_and_leaves_the_records() {
    let mut cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let lost = volume.bricks[0].clone();
    let topology = client.topology().await.unwrap();
    let name = topology.clusters[0].nodes.iter().find(|node| node.id == lost.node).unwrap().hostnames.manage[0].clone();

    let confirm = NodeLostRequest { confirm: name.clone() };
    let refused = client.node_lost(lost.node, &confirm).await.unwrap_err().to_string();
    assert!(refused.contains("attached"), "a node that is there is not lost: {refused}");
    cluster.power_cut(&name).await;
    lose_node(&client, lost.node, &name).await;

    let request = StateRequest { state: "failed".into(), ..StateRequest::default() };
    let accepted = client.node_set_state(lost.node, &request).await.unwrap();
    done(&client, accepted).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert!(after.bricks.iter().all(|brick| brick.node != lost.node), "{after:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    let accepted = client.device_delete(lost.device, DeviceDeleteRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    let accepted = client.node_delete(lost.node).await.unwrap();
    done(&client, accepted).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn an_empty_node_that_is_lost_gives_up_its_devices_and_whatever_was_begun_on_it() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let (node, device) = hardware(&client, 3).await.unwrap();
    let host = cluster.host("gfs3").clone();
    let disk = "/dev/sdc".parse::<DevicePath>().unwrap();
    host.plug(SimDisk::new(&disk, ByteSize::from_gib(16).unwrap()));
    let has_it = |seen: &Inventory| seen.disks.iter().any(|seen| seen.path == disk);
    cluster.installation.until_seen(host.name(), "the disk is there", has_it).await.unwrap();
    host.faults().inject(At::Next(Call::CreateGroup), Fault::HangsAfter);
    let request = DeviceAddRequest { name: disk.to_string(), node: node.to_string(), ..DeviceAddRequest::default() };
    let adding = client.device_add(&request).await.unwrap();
    host.faults().until_one_hangs().await;
    cluster.power_cut("gfs3").await;
    lose_node(&client, node, "gfs3").await;
    done(&client, adding).await.unwrap_err();

    let request = StateRequest { state: "failed".into(), ..StateRequest::default() };
    let accepted = client.node_set_state(node, &request).await.unwrap();
    done(&client, accepted).await.unwrap();
    let accepted = client.device_delete(device, DeviceDeleteRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    let accepted = client.node_delete(node).await.unwrap();
    done(&client, accepted).await.unwrap();
    let operations = client.operations().await.unwrap().operations;
    assert!(operations.iter().all(|operation| operation.state.is_final()), "{operations:?}");
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_disk_that_is_lost_for_ever_is_emptied_without_it_while_its_host_serves_on() {
    let mut cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let lost = volume.bricks[0].clone();
    let topology = client.topology().await.unwrap();
    let node = topology.clusters[0].nodes.iter().find(|node| node.id == lost.node).unwrap();
    let name = node.hostnames.manage[0].clone();
    let confirm = |id: DeviceId| DeviceLostRequest { confirm: id.to_string() };

    // Never before the agent has told of the device, either.
    until("the disk is seen to be there", async || {
        let refused = client.device_lost(lost.device, &confirm(lost.device)).await.unwrap_err().to_string();
        Ok(refused.contains("its volume group is there and whole"))
    })
    .await
    .unwrap();
    cluster.power_cut(&name).await;
    until("the host is seen to be away", async || {
        let refused = client.device_lost(lost.device, &confirm(lost.device)).await.unwrap_err().to_string();
        Ok(refused.contains("nobody knows how its disk is"))
    })
    .await
    .unwrap();
    cluster.host(&name).unplug(&"/dev/sdb".parse().unwrap()).unwrap();
    cluster.power_on(&name).await.unwrap();
    cluster.until_able(&name).await.unwrap();
    let other = confirm(DeviceId::random());
    assert_eq!(client.device_lost(lost.device, &other).await.unwrap_err().status(), Some(400));
    until("the disk can be declared lost", async || {
        Ok(client.device_lost(lost.device, &confirm(lost.device)).await.is_ok())
    })
    .await
    .unwrap();

    set_device(&client, lost.device, &["failed"]).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert!(after.bricks.iter().all(|brick| brick.device != lost.device), "{after:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    let accepted = client.device_delete(lost.device, DeviceDeleteRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_volume_with_a_brick_on_a_lost_disk_can_be_deleted_as_its_host_is_there() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let (_, device) = hardware(&client, 2).await.unwrap();
    cluster.power_cut("gfs2").await;
    cluster.host("gfs2").unplug(&"/dev/sdb".parse().unwrap()).unwrap();
    cluster.power_on("gfs2").await.unwrap();
    cluster.until_able("gfs2").await.unwrap();
    let confirm = DeviceLostRequest { confirm: device.to_string() };
    until("the disk can be declared lost", async || Ok(client.device_lost(device, &confirm).await.is_ok()))
        .await
        .unwrap();
    delete(&client, volume.id).await.unwrap();
    let accepted = client.device_delete(device, DeviceDeleteRequest::default()).await.unwrap();
    done(&client, accepted).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_deletion_that_waits_for_a_host_ends_when_that_host_is_lost_for_ever() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let (node, device) = hardware(&client, 3).await.unwrap();
    cluster.power_cut("gfs3").await;
    until_one_is_away(&client).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    assert!(!client.operations().await.unwrap().operations.iter().all(|one| one.state.is_final()), "it waits");
    lose_node(&client, node, "gfs3").await;
    nothing_of_it_is_left(&cluster, &client, node, device, "gfs3").await;
}

#[tokio::test]
async fn a_deletion_goes_on_after_a_restart_though_somebody_made_a_volume_by_its_name_meanwhile() {
    let mut cluster = Cluster::start(3, 2, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let (node, _) = hardware(&client, 2).await.unwrap();
    let host = cluster.host("gfs2").clone();
    host.faults().inject(At::Next(Call::RemoveVolume), Fault::HangsBefore);
    let accepted = client.volume_delete(volume.id).await.unwrap();
    host.faults().until_one_hangs().await;
    cluster.power_cut("gfs2").await;
    let is_gone = |name: &str| cluster.host(name).footprint().view.groups.iter().all(|group| group.volumes.is_empty());
    until("the other bricks are gone", async || Ok(is_gone("gfs1") && is_gone("gfs3"))).await.unwrap();
    let theirs = make_by_hand(cluster.host("gfs1"), &volume.name).await;
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    lose_node(&client, node, "gfs2").await;
    done(&client, accepted).await.unwrap();
    assert_eq!(cluster.host("gfs3").gluster_volume(&theirs.name).await.unwrap(), Some(theirs));
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_volume_whose_only_copy_was_on_a_host_that_is_lost_can_be_deleted() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &distributed(2)).await.unwrap();
    let node = volume.bricks[0].node;
    let topology = client.topology().await.unwrap();
    let name = topology.clusters[0].nodes.iter().find(|one| one.id == node).unwrap().hostnames.manage[0].clone();
    cluster.power_cut(&name).await;
    lose_node(&client, node, &name).await;
    delete(&client, volume.id).await.unwrap();
    nothing_of_it_is_left(&cluster, &client, node, volume.bricks[0].device, &name).await;
}

#[tokio::test]
async fn a_volume_whose_hosts_are_all_lost_comes_back_in_a_rebuild_and_can_be_deleted() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &distributed(2)).await.unwrap();
    let node = volume.bricks[0].node;
    let topology = client.topology().await.unwrap();
    let name = topology.clusters[0].nodes.iter().find(|one| one.id == node).unwrap().hostnames.manage[0].clone();
    cluster.power_cut(&name).await;
    lose_node(&client, node, &name).await;
    cluster.installation.until_kept().await.unwrap();
    cluster.installation.kill_coordinator().await;
    std::fs::remove_dir_all(Layout(cluster.installation.data_dir()).store()).unwrap();
    cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();

    let client = cluster.client().unwrap();
    assert_eq!(client.volume(volume.id).await.unwrap().bricks, volume.bricks);
    let others = cluster.hosts().map(|host| host.name().to_string()).filter(|other| *other != name);
    for other in others.collect::<Vec<_>>() {
        cluster.until_able(&other).await.unwrap();
    }
    delete(&client, volume.id).await.unwrap();
    nothing_of_it_is_left(&cluster, &client, node, volume.bricks[0].device, &name).await;
}

#[tokio::test]
async fn a_replaced_brick_stays_where_all_others_of_its_set_are_lost_before_the_new_one_is_healed() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 2)).await.unwrap();
    let (old, other) = (volume.bricks[0].clone(), volume.bricks[1].clone());
    let topology = client.topology().await.unwrap();
    let nodes = &topology.clusters[0].nodes;
    let name = |node: &NodeId| nodes.iter().find(|one| one.id == *node).unwrap().hostnames.manage[0].clone();
    let new = nodes.iter().find(|node| ![old.node, other.node].contains(&node.id)).unwrap();
    // GlusterFS has exchanged the bricks, and nothing is healed yet.
    let faults = cluster.host(&new.hostnames.manage[0]).faults().clone();
    faults.inject(At::Next(Call::SyncFileSystem), Fault::HangsBefore);
    let accepted = client.brick_replace(old.id, &BrickReplaceRequest::default()).await.unwrap();
    faults.until_one_hangs().await;
    let burnt = name(&other.node);
    cluster.power_cut(&burnt).await;
    lose_node(&client, other.node, &burnt).await;
    cluster.power_cut(&new.hostnames.manage[0]).await;
    cluster.power_on(&new.hostnames.manage[0]).await.unwrap();
    done(&client, accepted).await.unwrap();

    let groups = cluster.host(&name(&old.node)).footprint().view.groups;
    let kept = format!("brick_{}", old.id);
    assert!(groups.iter().any(|group| group.volumes.iter().any(|volume| volume.name.as_str() == kept)), "{groups:?}");
    until("the doctor names it", async || {
        let findings = client.doctor().await?.findings;
        Ok(findings.iter().any(|finding| format!("{finding:?}").contains(&old.id.to_string())))
    })
    .await
    .unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_brick_that_is_deleted_while_its_disk_is_not_seen_goes_when_the_disk_is_back() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let (disk, host) = ("/dev/sdb".parse().unwrap(), cluster.host("gfs2").clone());
    let is_in = |seen: &Inventory| !seen.groups.is_empty();
    cluster.installation.until_seen(host.name(), "its group is seen", is_in).await.unwrap();
    host.break_disk(&disk, true);
    let is_out = |seen: &Inventory| seen.groups.is_empty();
    cluster.installation.until_seen(host.name(), "its group is not seen", is_out).await.unwrap();
    // The client does not wait for the disk.
    delete(&client, volume.id).await.unwrap();
    let waits = client.operations().await.unwrap().operations.into_iter().find(|one| !one.state.is_final()).unwrap();
    until("it is told what is waited for", async || {
        let shown = client.operation(waits.id).await?;
        Ok(format!("{shown:?}").contains("is not seen on this host"))
    })
    .await
    .unwrap();
    host.break_disk(&disk, false);
    until("nothing is left", async || Ok(cluster.footprints() == empty)).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_replacement_ends_though_the_new_bricks_host_is_lost_before_it_is_healed() {
    let mut cluster = Cluster::loaded(5, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let old = volume.bricks[0].clone();
    let topology = client.topology().await.unwrap();
    let nodes = &topology.clusters[0].nodes;
    let spare = nodes.iter().find(|node| volume.bricks.iter().all(|brick| brick.node != node.id)).unwrap();
    let name = spare.hostnames.manage[0].clone();
    let device = Some(spare.devices[0].id.to_string());
    let faults = cluster.host(&name).faults().clone();
    // Its last effect there: the exchange is done, the brick synced, nothing healed that anybody was told of.
    faults.inject(At::Next(Call::SyncFileSystem), Fault::HangsBefore);
    let request = BrickReplaceRequest { device, ..BrickReplaceRequest::default() };
    let accepted = client.brick_replace(old.id, &request).await.unwrap();
    faults.until_one_hangs().await;
    cluster.power_cut(&name).await;
    lose_node(&client, spare.id, &name).await;
    done(&client, accepted).await.unwrap();

    // What was put there in vain is made anew elsewhere.
    let request = StateRequest { state: "failed".into(), ..StateRequest::default() };
    let accepted = client.node_set_state(spare.id, &request).await.unwrap();
    done(&client, accepted).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert!(after.bricks.iter().all(|brick| brick.node != spare.id), "{after:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.nothing_was_violated();
}
