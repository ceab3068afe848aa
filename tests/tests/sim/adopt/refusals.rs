//! What is not taken over, and what is cut off.

use bricklayer_agent::host::Host as _;
use bricklayer_api::client::Change;
use bricklayer_api::v1::AdoptRequest;
use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::names::VgName;
use bricklayer_tests::sim::heketi::{Heketi, HeketiVolume};
use bricklayer_tests::sim::{At, Fault};

use crate::adopt::world::*;

#[tokio::test]
async fn every_difference_is_told_and_nothing_is_taken_over_by_halves() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    let client = old.cluster.client().unwrap();
    let mut database = old.heketi.export();
    let volumes = database["volumeentries"].as_object_mut().unwrap();
    let sized = volumes.iter().find(|(_, entry)| entry["Info"]["name"] == "vol_sized").unwrap();
    let gone = sized.1["Bricks"][0].as_str().unwrap().to_owned();
    let spread = volumes.values_mut().find(|entry| entry["Info"]["name"] == "spread").unwrap();
    spread["Info"]["durability"]["disperse"]["data"] = 4.into();
    let plain = volumes.values_mut().find(|entry| entry["Info"]["name"] == "plain").unwrap();
    plain["Info"]["name"] = "nobody-knows".into();
    database["brickentries"][&gone]["LvmLv"] = "brick_ffffffffffffffffffffffffffffffff".into();
    let request = AdoptRequest { database: Some(database.clone()), ..from_heketi(&old.heketi) };
    let told = plan(&client, &request).await;
    assert!(told.plan.is_none());
    let found: Vec<&str> = codes(&told).into_iter().filter(|code| *code != "foreign-volumes").collect();
    assert_eq!(found, ["volume-unknown", "layout-differs", "brick-elsewhere"], "{:#?}", told.findings);

    // Those that are well are taken over without the others, which stay foreign.
    let without = ["vol_sized", "spread", "nobody-knows"].map(str::to_owned).into();
    let partly = plan(&client, &AdoptRequest { without, ..request }).await;
    assert_eq!(partly.volumes.len(), 2);
    apply(&client, &partly).await;
    old.cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(client.device_ledger(old.devices[0]).await.unwrap().unaccounted_bytes, 0);
    assert_eq!(old.cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_without_an_agent_is_told_with_the_words_that_invite_it() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    let mut database = old.heketi.export();
    let node = old.nodes[2].to_string();
    database["nodeentries"][&node]["Info"]["hostnames"] =
        serde_json::json!({ "manage": ["gone"], "storage": ["10.9.9.9"] });
    let stranger = "0000000000000000000000000000abcd";
    let text = database.to_string().replace(&node, stranger);
    let request = AdoptRequest { database: serde_json::from_str(&text).unwrap(), ..from_heketi(&old.heketi) };
    let client = old.cluster.client().unwrap();
    let told = plan(&client, &request).await;
    let finding = told.findings.iter().find(|finding| finding.code == "node-without-agent").unwrap();
    assert!(finding.cure.as_ref().unwrap().contains(&format!("agent invite gone --node-id {stranger}")), "{finding:?}");
    // A person knows that it is gfs3, whose agent has an id of its own.
    let agents = [("gone".to_owned(), "gfs3".to_owned())].into();
    let told = plan(&client, &AdoptRequest { agents, ..request.clone() }).await;
    assert!(codes(&told).contains(&"node-id-differs"), "{:#?}", told.findings);
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_is_refused() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    let client = old.cluster.client().unwrap();
    let adoption = plan(&client, &from_heketi(&old.heketi)).await;
    let group = VgName::of_device(old.devices[0]);
    let seqno = |seen: &bricklayer_proto::inventory::Inventory| {
        seen.groups.iter().find(|group| group.name == VgName::of_device(old.devices[0])).map(|group| group.space.seqno)
    };
    let before = std::sync::Mutex::new(None);
    let name = "gfs1".parse().unwrap();
    old.cluster
        .installation
        .until_seen(&name, "it has a group", |seen| {
            *before.lock().unwrap() = seqno(seen);
            true
        })
        .await
        .unwrap();
    let tag = "somebody".parse().unwrap();
    old.cluster.host("gfs1").add_group_tag(&group, &tag).await.unwrap();
    let before = *before.lock().unwrap();
    old.cluster.installation.until_seen(&name, "the group has changed", |seen| seqno(seen) != before).await.unwrap();
    let refused = try_apply(&client, &adoption).await.unwrap_err().to_string();
    assert!(refused.contains("LVM has changed volume group"), "{refused}");
}

#[tokio::test]
async fn an_adoption_that_fails_at_any_step_leaves_nothing_behind() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| {
        heketi.volume(HeketiVolume::replicated("vol", 2, 2), &devices[..2]).await.unwrap();
    })
    .await;
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    let mut failed = 0;
    for effect in 1_u64.. {
        fail_at(&old, effect);
        let adoption = plan(&client, &from_heketi(&old.heketi)).await;
        let result = try_apply(&client, &adoption).await;
        old.cluster.host("gfs1").faults().clear();
        if result.is_ok() {
            break;
        }
        failed += 1;
        until_all_is_final(&client).await;
        assert_given_back_when(&old.cluster, &before, &format!("after effect {effect} failed"));
        assert!(client.clusters().await.unwrap().clusters.is_empty());
    }
    assert!(failed >= 4, "{failed} steps failed");
    old.cluster.until_ledger_is_lvms().await.unwrap();
}

#[tokio::test]
async fn an_adoption_goes_on_after_a_restart_of_the_coordinator() {
    let mut volume = None;
    let mut old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| {
        volume = Some(heketi.volume(HeketiVolume::replicated("vol", 2, 3), devices).await.unwrap());
    })
    .await;
    let client = old.cluster.client().unwrap();
    let adoption = plan(&client, &from_heketi(&old.heketi)).await;
    let faults = old.cluster.host("gfs2").faults().clone();
    faults.inject(At::Next(bricklayer_tests::sim::Call::ReplaceVolumeTags), Fault::Holds);
    let id = adoption.plan.as_ref().unwrap().kept.as_ref().unwrap().id;
    let _goes_on = client.ask(&Change::plan_apply(id).unwrap()).await.unwrap();
    faults.until_one_hangs().await;
    old.cluster.installation.kill_coordinator().await;
    faults.release();
    old.cluster.installation.start_coordinator().await.unwrap();
    let client = old.cluster.client().unwrap();
    let volume = volume.unwrap();
    bricklayer_tests::cluster::until("the volume is ours", async || {
        Ok(client.volumes().await?.volumes.contains(&volume))
    })
    .await
    .unwrap();
    old.cluster.volume_is_whole(volume).await.unwrap();
    old.cluster.until_ledger_is_lvms().await.unwrap();
}

#[tokio::test]
async fn an_adoption_that_an_agent_refuses_is_taken_back_and_does_not_get_stuck() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| {
        heketi.volume(HeketiVolume::replicated("vol", 2, 3), devices).await.unwrap();
    })
    .await;
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    let adoption = plan(&client, &from_heketi(&old.heketi)).await;
    let faults = old.cluster.host("gfs1").faults().clone();
    faults.inject(At::Next(bricklayer_tests::sim::Call::ReplaceGroupTags), Fault::Holds);
    let id = adoption.plan.as_ref().unwrap().kept.as_ref().unwrap().id;
    let _goes_on = client.ask(&Change::plan_apply(id).unwrap()).await.unwrap();
    faults.until_one_hangs().await;
    // Meanwhile somebody writes something on a brick that reads like ours and is not.
    let host = old.cluster.host("gfs2");
    let group = VgName::of_device(old.devices[1]);
    let groups = host.footprint().view.groups;
    let volumes = &groups.iter().find(|found| found.name == group).unwrap().volumes;
    let brick = volumes.iter().find(|volume| volume.name.as_str().starts_with("brick_")).unwrap().name.clone();
    host.replace_volume_tags(&group, &brick, &[], &["bricklayer.brick=nonsense".parse().unwrap()]).await.unwrap();
    faults.release();
    bricklayer_tests::cluster::until("the operation has ended", async || {
        Ok(client.operation(id).await?.state.is_final())
    })
    .await
    .unwrap();
    let operation = client.operation(id).await.unwrap();
    assert_eq!(operation.state, bricklayer_api::v1::OperationState::Failed, "{operation:?}");
    host.replace_volume_tags(&group, &brick, &["bricklayer.brick=nonsense".parse().unwrap()], &[]).await.unwrap();
    for name in ["gfs1", "gfs3"] {
        let now = given_back(old.cluster.host(name).footprint());
        assert_eq!(now, before[name], "{}", now.differences_from(&before[name]));
    }
    assert!(client.volumes().await.unwrap().volumes.is_empty());
}
