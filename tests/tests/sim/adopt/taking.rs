//! What heketi left becomes ours, and works as ours does.

use bricklayer_api::heketi::{StateRequest, VolumeExpandRequest};
use bricklayer_api::v1::{AdoptRequest, PlannedChange, UnadoptRequest};
use bricklayer_proto::ids::DeviceId;
use bricklayer_tests::sim::heketi::{Heketi, HeketiVolume};
use bricklayer_tests::story::{create, delete, done, replicated};

use crate::adopt::world::*;

#[tokio::test]
async fn a_plan_from_heketis_database_changes_nothing_and_has_no_doubt() {
    let mut volumes = Vec::new();
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| volumes = rich(heketi, devices).await).await;
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    let adoption = plan(&client, &from_heketi(&old.heketi)).await;
    assert_eq!(codes(&adoption), Vec::<&str>::new(), "{:#?}", adoption.findings);
    assert_eq!((adoption.nodes.len(), adoption.devices.len(), adoption.volumes.len()), (3, 3, 5));
    // Every brick as it stays, and what is free for new ones afterwards.
    let kept = adoption.plan.as_ref().unwrap().kept.as_ref().unwrap();
    let bricks: usize = adoption.volumes.iter().map(|volume| volume.bricks.len()).sum();
    assert_eq!(kept.bricks.len(), bricks);
    assert!(kept.bricks.iter().all(|brick| brick.change == PlannedChange::Adopt && !brick.device_name.is_empty()));
    assert_eq!(kept.devices.len(), 3);
    for device in &kept.devices {
        assert_eq!(device.free_extents, device.free_after_extents, "{device:?}");
    }
    assert_eq!(old.cluster.footprints(), before);
    assert!(client.clusters().await.unwrap().clusters.is_empty());
}

#[tokio::test]
async fn ids_names_paths_and_data_stay_and_the_ledger_is_exact() {
    let mut volumes = Vec::new();
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| volumes = rich(heketi, devices).await).await;
    for (host, path) in old.heketi.addresses(volumes[0]) {
        host.write_data(&path, "a-file", b"of a user");
    }
    let before = all_without_marks(&old.cluster);
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;

    let after = all_without_marks(&old.cluster);
    for (name, now) in &after {
        assert_eq!(now, &before[name], "{}", now.differences_from(&before[name]));
    }
    assert_eq!(client.clusters().await.unwrap().clusters, [old.heketi.cluster]);
    let mut known = client.volumes().await.unwrap().volumes;
    known.sort();
    volumes.sort();
    assert_eq!(known, volumes);
    for node in &old.nodes {
        assert_eq!(client.node(*node).await.unwrap().id, *node);
    }
    old.cluster.until_ledger_is_lvms().await.unwrap();
    for device in &old.devices {
        assert_eq!(client.device_ledger(*device).await.unwrap().unaccounted_bytes, 0);
    }
    for volume in &volumes {
        old.cluster.volume_is_whole(*volume).await.unwrap();
    }
    let diagnosis = client.doctor().await.unwrap();
    let worse: Vec<_> =
        diagnosis.findings.iter().filter(|finding| finding.severity != bricklayer_api::v1::Severity::Note).collect();
    assert!(worse.is_empty(), "{worse:#?}");
    assert_eq!(old.cluster.sim.violations(), Vec::<String>::new());

    // Once more there is nothing to do.
    let again = plan(&client, &from_heketi(&old.heketi)).await;
    assert!(again.plan.is_none() && again.ours_already == 5, "{again:#?}");
}

#[tokio::test]
async fn adopted_volumes_come_up_after_a_power_cut_and_grow_move_and_go_as_ours_do() {
    let mut volumes = Vec::new();
    let mut old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| volumes = rich(heketi, devices).await).await;
    // A disk that heketi did not use.
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;

    old.cluster.host("gfs2").sync();
    old.cluster.power_cut("gfs2").await;
    old.cluster.power_on("gfs2").await.unwrap();
    old.cluster.until_all_able().await.unwrap();
    for volume in &volumes {
        old.cluster.volume_is_whole(*volume).await.unwrap();
    }

    let sized = volumes[0];
    let more = VolumeExpandRequest { expand_size_gib: 2, ..VolumeExpandRequest::default() };
    let grown = done(&client, client.volume_expand(sized, more).await.unwrap()).await.unwrap();
    assert_eq!(grown.size_gib, 6);
    assert!(grown.bricks.iter().all(|brick| brick.path.starts_with("/var/lib/heketi/mounts/")), "{grown:#?}");
    old.cluster.volume_is_whole(sized).await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();

    delete(&client, sized).await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();
    for (host, path) in old.heketi.addresses(sized) {
        let footprint = given_back(host.footprint());
        assert!(!footprint.view.fstab.contains(path.as_path().parent().unwrap().as_str()), "{}", footprint.view.fstab);
    }

    let made = create(&client, &replicated(2, 3)).await.unwrap();
    old.cluster.volume_is_whole(made.id).await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(old.cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_adopted_brick_moves_to_another_device() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| {
        heketi.volume(HeketiVolume::replicated("vol", 2, 2), &devices[..2]).await.unwrap();
    })
    .await;
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    let offline = StateRequest { state: "offline".into(), ..StateRequest::default() };
    done(&client, client.device_set_state(old.devices[0], &offline).await.unwrap()).await.unwrap();
    let failed = StateRequest { state: "failed".into(), ..StateRequest::default() };
    done(&client, client.device_set_state(old.devices[0], &failed).await.unwrap()).await.unwrap();
    assert!(client.device(old.devices[0]).await.unwrap().bricks.is_empty());
    done(&client, client.device_delete(old.devices[0], Default::default()).await.unwrap()).await.unwrap();
    assert!(old.cluster.host("gfs1").footprint().view.groups.is_empty(), "its group is gone with it");
    assert_eq!(old.cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_database_is_read_from_the_disks() {
    let mut volumes = Vec::new();
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| volumes = rich(heketi, devices).await).await;
    let client = old.cluster.client().unwrap();
    let request =
        AdoptRequest { from: "disks".to_owned(), cluster: old.heketi.cluster.to_string(), ..AdoptRequest::default() };
    let told = plan(&client, &request).await;
    assert_eq!(codes(&told), ["not-on-disks"], "{:#?}", told.findings);
    apply(&client, &told).await;
    old.cluster.until_ledger_is_lvms().await.unwrap();
    let read = old.heketi.export();
    let written = client.export_heketi().await.unwrap();
    for table in ["clusterentries", "nodeentries", "deviceentries", "volumeentries", "brickentries"] {
        let (read, written) = (read[table].as_object().unwrap(), written[table].as_object().unwrap());
        assert_eq!(read.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>(), "{table}");
    }
    for (id, volume) in read["volumeentries"].as_object().unwrap() {
        let now = &written["volumeentries"][id];
        for field in ["size", "name", "durability"] {
            assert_eq!(volume["Info"][field], now["Info"][field], "{}: {field}", volume["Info"]["name"]);
        }
        let factor = |volume: &serde_json::Value| volume["Info"]["snapshot"]["factor"].as_f64().unwrap();
        assert!((factor(volume) - factor(now)).abs() < 0.001, "{}", volume["Info"]["name"]);
    }
    for volume in &volumes {
        old.cluster.volume_is_whole(*volume).await.unwrap();
    }
}

#[tokio::test]
async fn a_clone_of_heketis_shares_its_pool_and_outlives_its_source() {
    let mut volumes = Vec::new();
    let mut old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| {
        let source = heketi.volume(HeketiVolume::replicated("source", 2, 3), devices).await.unwrap();
        volumes = vec![source, heketi.clone_of(source, "a-clone").await.unwrap()];
    })
    .await;
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    for request in [
        from_heketi(&old.heketi),
        AdoptRequest { from: "disks".to_owned(), cluster: old.heketi.cluster.to_string(), ..AdoptRequest::default() },
    ] {
        apply(&client, &plan(&client, &request).await).await;
        old.cluster.until_ledger_is_lvms().await.unwrap();
        assert_eq!(client.device_ledger(old.devices[0]).await.unwrap().unaccounted_bytes, 0);
        let all = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
        done(&client, client.unadopt(&all).await.unwrap()).await.unwrap();
        for (name, now) in old.cluster.footprints() {
            let now = given_back(now);
            assert_eq!(now, before[&name], "{}", now.differences_from(&before[&name]));
        }
    }
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    let alone = UnadoptRequest { volume: Some(volumes[0]), ..UnadoptRequest::default() };
    let refused = client.unadopt(&alone).await.unwrap_err().to_string();
    assert!(refused.contains("in one thin pool"), "{refused}");
    delete(&client, volumes[0]).await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();
    old.cluster.power_cut("gfs1").await;
    old.cluster.power_on("gfs1").await.unwrap();
    old.cluster.until_all_able().await.unwrap();
    delete(&client, volumes[1]).await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();
    for group in old.cluster.host("gfs2").footprint().view.groups {
        assert!(group.volumes.is_empty(), "{group:#?}");
    }
    assert_eq!(old.cluster.sim.violations(), Vec::<String>::new());
}
