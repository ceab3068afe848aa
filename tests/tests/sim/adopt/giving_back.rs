//! And back.

use bricklayer_api::heketi::DeviceAddRequest;
use bricklayer_api::v1::{AdoptRequest, UnadoptRequest};
use bricklayer_proto::ids::DeviceId;
use bricklayer_tests::sim::heketi::{Heketi, HeketiVolume};
use bricklayer_tests::story::{create, done, replicated};

use crate::adopt::world::*;

#[tokio::test]
async fn what_is_given_back_is_byte_for_byte_as_it_was() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    // A host whose fstab ends without an end of line.
    old.cluster.host("gfs1").edit_fstab(|fstab| fstab.truncate(fstab.trim_end().len()));
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    give_all_back(&old, &client).await.unwrap();
    assert_given_back(&old.cluster, &before);
    assert!(client.clusters().await.unwrap().clusters.is_empty());
    assert!(client.volumes().await.unwrap().volumes.is_empty());
    // And it can be adopted again.
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
}

#[tokio::test]
async fn one_volume_is_given_back_alone_and_a_volume_with_a_brick_of_ours_is_not() {
    let mut volumes = Vec::new();
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| volumes = rich(heketi, devices).await).await;
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    let of = |volume| UnadoptRequest { volume: Some(volume), ..UnadoptRequest::default() };
    done(&client, client.unadopt(&of(volumes[2])).await.unwrap()).await.unwrap();
    assert!(!client.volumes().await.unwrap().volumes.contains(&volumes[2]));
    old.cluster.until_ledger_is_lvms().await.unwrap();
    let ledger = client.device_ledger(old.devices[0]).await.unwrap();
    assert_eq!(ledger.unaccounted_bytes, 0);

    let made = create(&client, &replicated(1, 3)).await.unwrap();
    let refused = client.unadopt(&of(made.id)).await.unwrap_err().to_string();
    assert!(refused.contains("Bricklayer made"), "{refused}");
    let all = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
    let refused = client.unadopt(&all).await.unwrap_err().to_string();
    assert!(refused.contains("Bricklayer made"), "{refused}");
}

#[tokio::test]
async fn heketis_database_is_written_as_it_was_read() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    let written = client.export_heketi().await.unwrap();
    let read = old.heketi.export();
    for table in ["clusterentries", "nodeentries", "deviceentries", "volumeentries", "brickentries"] {
        let (read, written) = (read[table].as_object().unwrap(), written[table].as_object().unwrap());
        assert_eq!(read.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>(), "{table}");
    }
    for (id, brick) in read["brickentries"].as_object().unwrap() {
        assert_eq!(brick, &written["brickentries"][id]);
    }
    for (id, device) in read["deviceentries"].as_object().unwrap() {
        assert_eq!(device["Info"]["storage"], written["deviceentries"][id]["Info"]["storage"]);
        assert_eq!(device["Bricks"], written["deviceentries"][id]["Bricks"]);
    }
    for (id, volume) in read["volumeentries"].as_object().unwrap() {
        let now = &written["volumeentries"][id];
        assert_eq!(volume["Bricks"], now["Bricks"]);
        for field in ["size", "name", "durability", "id", "cluster"] {
            assert_eq!(volume["Info"][field], now["Info"][field], "{field}");
        }
    }
    // What was written is adopted as what was read.
    let request = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
    let before = client.db_dump().await.unwrap();
    done(&client, client.unadopt(&request).await.unwrap()).await.unwrap();
    let request = AdoptRequest { database: Some(written), ..from_heketi(&old.heketi) };
    apply(&client, &plan(&client, &request).await).await;
    assert_eq!(client.db_dump().await.unwrap(), before);
}

#[tokio::test]
async fn what_was_adopted_comes_back_with_a_lost_store_and_can_still_be_given_back() {
    let mut old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    old.cluster.until_ledger_is_lvms().await.unwrap();
    old.cluster.installation.until_kept().await.unwrap();
    let dump = client.db_dump().await.unwrap();
    old.cluster.installation.kill_coordinator().await;
    let store = bricklayer_coordinator::service::Layout(old.cluster.installation.data_dir()).store();
    std::fs::remove_dir_all(store).unwrap();
    old.cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    old.cluster.installation.start_coordinator().await.unwrap();
    old.cluster.until_all_able().await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();
    let client = old.cluster.client().unwrap();
    assert_eq!(client.db_dump().await.unwrap(), dump);
    give_all_back(&old, &client).await.unwrap();
    assert_given_back(&old.cluster, &before);
}

#[tokio::test]
async fn without_what_hosts_keep_the_disks_alone_tell_what_can_be_given_back() {
    let mut old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    old.cluster.until_ledger_is_lvms().await.unwrap();
    old.cluster.installation.kill_coordinator().await;
    let store = bricklayer_coordinator::service::Layout(old.cluster.installation.data_dir()).store();
    std::fs::remove_dir_all(store).unwrap();
    for name in ["gfs1", "gfs2", "gfs3"] {
        std::fs::remove_dir_all(old.cluster.agent(name).data_dir().join("keepsakes")).unwrap();
    }
    old.cluster.installation.command(&["rebuild", "--apply", "--wait", "5"]).await.unwrap();
    old.cluster.installation.start_coordinator().await.unwrap();
    old.cluster.until_all_able().await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();
    let client = old.cluster.client().unwrap();
    assert_eq!(client.volumes().await.unwrap().volumes.len(), 5);
    give_all_back(&old, &client).await.unwrap();
    assert_given_back(&old.cluster, &before);
}

#[tokio::test]
async fn giving_back_that_fails_at_any_step_leaves_all_of_it_ours() {
    let mut volume = None;
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| {
        volume = Some(heketi.volume(HeketiVolume::replicated("vol", 2, 2), &devices[..2]).await.unwrap());
    })
    .await;
    let volume = volume.unwrap();
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    let mut failed = 0;
    for effect in 1_u64.. {
        fail_at(&old, effect);
        let result = give_all_back(&old, &client).await;
        old.cluster.host("gfs1").faults().clear();
        if result.is_ok() {
            break;
        }
        failed += 1;
        until_all_is_final(&client).await;
        old.cluster.volume_is_whole(volume).await.unwrap();
        old.cluster.until_ledger_is_lvms().await.unwrap();
    }
    assert!(failed >= 4, "{failed} steps failed");
    assert!(client.volumes().await.unwrap().volumes.is_empty());
    assert_given_back(&old.cluster, &before);
}

#[tokio::test]
async fn while_all_is_given_back_no_device_comes_to_its_hosts() {
    let mut old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    old.cluster.agent("gfs3").kill().await;
    let request = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
    let accepted = client.unadopt(&request).await.unwrap();
    let device =
        DeviceAddRequest { name: "/dev/sdc".into(), node: old.nodes[0].to_string(), ..DeviceAddRequest::default() };
    let refused = client.device_add(&device).await.unwrap_err().to_string();
    assert!(refused.contains("in use"), "{refused}");
    old.cluster.agent("gfs3").start().await.unwrap();
    done(&client, accepted).await.unwrap();
    assert!(client.clusters().await.unwrap().clusters.is_empty());
    old.cluster.until_ledger_is_lvms().await.unwrap();
}
