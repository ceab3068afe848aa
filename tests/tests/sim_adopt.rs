//! Installations that heketi or a person made are taken over as they are, and given back. Real coordinator, real agents
//! over mutual TLS, simulated hosts.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;

use bricklayer_agent::host::Host as _;
use bricklayer_api::client::{Change, Client};
use bricklayer_api::heketi::{StateRequest, VolumeExpandRequest};
use bricklayer_api::v1::{AdoptRequest, Adoption, InvitationRequest, UnadoptRequest};
use bricklayer_proto::ids::{DeviceId, NodeId, VolumeId};
use bricklayer_proto::names::VgName;
use bricklayer_proto::size::{ByteSize, Extents, MIB};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{BrickAddress, Layout};
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::sim::heketi::{HandMadeBrick, Heketi, HeketiVolume};
use bricklayer_tests::sim::{At, Fault, Footprint};
use bricklayer_tests::story::{create, delete, done, replicated};

/// Three hosts that heketi ran: their ids are heketi's.
struct Old {
    cluster: Cluster,
    heketi: Heketi,
    nodes: Vec<NodeId>,
    devices: Vec<DeviceId>,
}

async fn old(volumes: impl AsyncFnOnce(&mut Heketi, &[DeviceId])) -> Old {
    let mut cluster = Cluster::start(0, 0, ByteSize::ZERO).await.unwrap();
    let mut heketi = Heketi::new();
    let (mut hosts, mut nodes, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=3_u32 {
        let (name, storage) = (format!("gfs{number}"), format!("192.168.0.{number}"));
        let host = cluster.sim.add_host(&[name.parse().unwrap(), storage.parse().unwrap()]);
        host.plug_blank(2, ByteSize::from_gib(64).unwrap());
        let node = heketi.node(&host, &storage, number).await.unwrap();
        devices.push(heketi.device(node, "/dev/sdb").unwrap());
        nodes.push(node);
        hosts.push(host);
    }
    volumes(&mut heketi, &devices).await;
    for (host, node) in hosts.into_iter().zip(&nodes) {
        let request = InvitationRequest {
            name: host.name().to_string(),
            node: Some(node.to_string()),
            ..InvitationRequest::default()
        };
        cluster.enrol_as(host, &request).await.unwrap();
    }
    Old { cluster, heketi, nodes, devices }
}

/// One volume of each kind.
async fn rich(heketi: &mut Heketi, devices: &[DeviceId]) -> Vec<VolumeId> {
    let sized = HeketiVolume { snapshot_factor: 1.5, gid: 2000, ..HeketiVolume::replicated("vol_sized", 4, 3) };
    let options = vec!["user.heketi.arbiter true".to_owned()];
    let arbiter = HeketiVolume { layout: Layout::Arbiter, options, ..HeketiVolume::replicated("with-arbiter", 3, 3) };
    let disperse = Layout::Disperse { data: 2, redundancy: 1 };
    let disperse = HeketiVolume { layout: disperse, ..HeketiVolume::replicated("spread", 4, 3) };
    let two_sets = HeketiVolume { sets: 2, ..HeketiVolume::replicated("two-sets", 4, 3) };
    let plain = HeketiVolume { layout: Layout::Distribute, ..HeketiVolume::replicated("plain", 1, 1) };
    let mut made = Vec::new();
    for (wanted, order) in [
        (sized, vec![0, 1, 2]),
        (arbiter, vec![1, 2, 0]),
        (disperse, vec![2, 1, 0]),
        (two_sets, vec![0, 1, 2, 1, 2, 0]),
        (plain, vec![2]),
    ] {
        let on: Vec<DeviceId> = order.into_iter().map(|at: usize| devices[at]).collect();
        made.push(heketi.volume(wanted, &on).await.unwrap());
    }
    made
}

fn from_heketi(heketi: &Heketi) -> AdoptRequest {
    AdoptRequest { from: "heketi".to_owned(), database: Some(heketi.export()), ..AdoptRequest::default() }
}

async fn plan(client: &Client, request: &AdoptRequest) -> Adoption {
    client.adopt(request).await.unwrap()
}

async fn apply(client: &Client, adoption: &Adoption) {
    assert!(adoption.plan.is_some(), "{:#?}", adoption.findings);
    try_apply(client, adoption).await.unwrap();
}

async fn try_apply(client: &Client, adoption: &Adoption) -> anyhow::Result<()> {
    let id = adoption.plan.as_ref().unwrap().kept.as_ref().unwrap().id;
    let accepted = client.ask(&Change::plan_apply(id)?).await?;
    done(client, accepted).await?;
    Ok(())
}

fn codes(adoption: &Adoption) -> Vec<&str> {
    adoption.findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// Everything but what says that it is ours.
fn without_marks(mut footprint: Footprint) -> Footprint {
    for group in &mut footprint.view.groups {
        group.tags.retain(|tag| !tag.as_str().starts_with("bricklayer."));
        for volume in &mut group.volumes {
            volume.tags.retain(|tag| !tag.as_str().starts_with("bricklayer."));
        }
    }
    for volume in &mut footprint.volumes {
        volume.options.retain(|(key, _)| key != "user.bricklayer.id");
    }
    for file_system in &mut footprint.file_systems {
        file_system.files.remove("bricklayer-volume.json");
    }
    footprint.view.fstab.clear();
    footprint
}

fn all_without_marks(cluster: &Cluster) -> BTreeMap<String, Footprint> {
    cluster.footprints().into_iter().map(|(name, footprint)| (name, without_marks(footprint))).collect()
}

#[tokio::test]
async fn a_plan_from_heketis_database_changes_nothing_and_has_no_doubt() {
    let mut volumes = Vec::new();
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| volumes = rich(heketi, devices).await).await;
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    let adoption = plan(&client, &from_heketi(&old.heketi)).await;
    assert_eq!(codes(&adoption), Vec::<&str>::new(), "{:#?}", adoption.findings);
    assert_eq!((adoption.nodes.len(), adoption.devices.len(), adoption.volumes.len()), (3, 3, 5));
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
        let footprint = host.footprint();
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
async fn what_is_given_back_is_byte_for_byte_as_it_was() {
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| drop(rich(heketi, devices).await)).await;
    // A host whose fstab ends without an end of line.
    old.cluster.host("gfs1").edit_fstab(|fstab| fstab.truncate(fstab.trim_end().len()));
    let before = old.cluster.footprints();
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    let request = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
    done(&client, client.unadopt(&request).await.unwrap()).await.unwrap();
    for (name, now) in old.cluster.footprints() {
        assert_eq!(now, before[&name], "{}", now.differences_from(&before[&name]));
    }
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
        let faults = old.cluster.host("gfs1").faults();
        faults.clear();
        faults.count_anew();
        faults.inject(At::Effect(effect), if effect.is_multiple_of(2) { Fault::After } else { Fault::Before });
        let adoption = plan(&client, &from_heketi(&old.heketi)).await;
        let result = try_apply(&client, &adoption).await;
        old.cluster.host("gfs1").faults().clear();
        if result.is_ok() {
            break;
        }
        failed += 1;
        bricklayer_tests::cluster::until("all is taken back", async || {
            let operations = client.operations().await?.operations;
            Ok(operations.iter().all(|operation| operation.state.is_final()))
        })
        .await
        .unwrap();
        for (name, now) in old.cluster.footprints() {
            assert_eq!(now, before[&name], "effect {effect}: {}", now.differences_from(&before[&name]));
        }
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
    let all = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
    done(&client, client.unadopt(&all).await.unwrap()).await.unwrap();
    for (name, now) in old.cluster.footprints() {
        assert_eq!(now, before[&name], "{}", now.differences_from(&before[&name]));
    }
}

#[tokio::test]
async fn giving_back_that_fails_at_any_step_leaves_all_of_it_ours() {
    let mut volume = None;
    let old = old(async |heketi: &mut Heketi, devices: &[DeviceId]| {
        volume = Some(heketi.volume(HeketiVolume::replicated("vol", 2, 2), &devices[..2]).await.unwrap());
    })
    .await;
    let volume = volume.unwrap();
    let client = old.cluster.client().unwrap();
    apply(&client, &plan(&client, &from_heketi(&old.heketi)).await).await;
    let request = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
    let mut failed = 0;
    for effect in 1_u64.. {
        let faults = old.cluster.host("gfs1").faults();
        faults.clear();
        faults.count_anew();
        faults.inject(At::Effect(effect), if effect.is_multiple_of(2) { Fault::After } else { Fault::Before });
        let accepted = client.unadopt(&request).await.unwrap();
        let result = done(&client, accepted).await;
        old.cluster.host("gfs1").faults().clear();
        if result.is_ok() {
            break;
        }
        failed += 1;
        bricklayer_tests::cluster::until("all is taken back", async || {
            let operations = client.operations().await?.operations;
            Ok(operations.iter().all(|operation| operation.state.is_final()))
        })
        .await
        .unwrap();
        old.cluster.volume_is_whole(volume).await.unwrap();
        old.cluster.until_ledger_is_lvms().await.unwrap();
    }
    assert!(failed >= 4, "{failed} steps failed");
    assert!(client.volumes().await.unwrap().volumes.is_empty());
    for host in old.cluster.hosts() {
        let footprint = host.footprint();
        assert_eq!(footprint, without_marks_but_fstab(footprint.clone()), "nothing of ours is left");
        assert!(!footprint.view.fstab.contains("x-bricklayer"), "{}", footprint.view.fstab);
    }
}

fn without_marks_but_fstab(footprint: Footprint) -> Footprint {
    let fstab = footprint.view.fstab.clone();
    let mut footprint = without_marks(footprint);
    footprint.view.fstab = fstab;
    footprint
}

/// A volume as people make one: a shared thin pool, a group and folders with names of their own.
async fn by_hand(cluster: &Cluster) -> Vec<HandMadeBrick> {
    let mut bricks = Vec::new();
    let mut addresses = Vec::new();
    for number in 1..=3 {
        let host = cluster.host(&format!("gfs{number}"));
        let group: VgName = "data".parse().unwrap();
        host.make_group_by_hand(&"/dev/sdc".parse().unwrap(), &group, ByteSize::from_bytes(MIB));
        if number > 1 {
            let name = format!("192.168.0.{number}").parse().unwrap();
            cluster.host("gfs1").gluster_peer_probe(&name).await.unwrap();
        }
        let brick = HandMadeBrick {
            group,
            pool: "pool".parse().unwrap(),
            volume: "photos".parse().unwrap(),
            space: BrickSpace { volume: Extents::new(512), pool: Extents::new(1024), metadata: Extents::new(4) },
            at: "/bricks/photos".parse().unwrap(),
            folder: "data".to_owned(),
            fstab: Some("defaults,noatime 0 0".to_owned()),
            gid: 0,
            arbiter: false,
        };
        host.make_brick_by_hand(&brick).await.unwrap();
        addresses.push(BrickAddress { host: format!("192.168.0.{number}").parse().unwrap(), path: brick.path() });
        bricks.push(brick);
    }
    let host = cluster.host("gfs1");
    let name = "photos".parse().unwrap();
    host.gluster_volume_create(&name, Layout::Replicate { replica: 3 }, &addresses).await.unwrap();
    host.gluster_volume_start(&name).await.unwrap();
    bricks
}

async fn until_seen_by_hand(cluster: &Cluster) {
    for number in 1..=3 {
        let name = format!("gfs{number}").parse().unwrap();
        let sees = |seen: &bricklayer_proto::inventory::Inventory| {
            seen.groups.iter().any(|group| group.name.as_str() == "data" && !group.volumes.is_empty())
                && seen.gluster.peers.len() == 2
        };
        cluster.installation.until_seen(&name, "there is a volume", sees).await.unwrap();
    }
}

#[tokio::test]
async fn a_volume_that_was_made_by_hand_keeps_its_names_and_is_managed_and_given_back() {
    let mut cluster = Cluster::start(3, 2, ByteSize::from_gib(64).unwrap()).await.unwrap();
    by_hand(&cluster).await;
    until_seen_by_hand(&cluster).await;
    let before = cluster.footprints();
    let client = cluster.client().unwrap();
    let request = AdoptRequest { from: "volume".to_owned(), volume: "photos".to_owned(), ..AdoptRequest::default() };
    let told = plan(&client, &request).await;
    assert_eq!(codes(&told), Vec::<&str>::new(), "{:#?}", told.findings);
    assert!(told.devices.iter().all(|device| device.group == "data"));
    apply(&client, &told).await;
    let id = client.volumes().await.unwrap().volumes[0];
    let volume = client.volume(id).await.unwrap();
    assert_eq!((volume.name.as_str(), volume.size_gib), ("photos", 2));
    assert!(volume.bricks.iter().all(|brick| brick.path == "/bricks/photos/data"), "{volume:#?}");

    cluster.power_cut("gfs3").await;
    cluster.power_on("gfs3").await.unwrap();
    cluster.until_all_able().await.unwrap();
    let address = BrickAddress {
        host: "192.168.0.3".parse().unwrap(),
        path: "/bricks/photos/data".to_owned().try_into().unwrap(),
    };
    assert!(cluster.host("gfs3").brick_is_online(&address));
    for device in &told.devices {
        bricklayer_tests::cluster::until("the ledger is exact", async || {
            let ledger = client.device_ledger(device.id).await?;
            Ok(ledger.unaccounted_bytes == 0)
        })
        .await
        .unwrap();
    }

    let cluster_id = volume.cluster;
    let back = UnadoptRequest { cluster: Some(cluster_id), ..UnadoptRequest::default() };
    done(&client, client.unadopt(&back).await.unwrap()).await.unwrap();
    for name in ["gfs1", "gfs2"] {
        let now = cluster.host(name).footprint();
        assert_eq!(now, before[name], "{}", now.differences_from(&before[name]));
    }

    // Adopted again, it grows in place and goes.
    apply(&client, &plan(&client, &request).await).await;
    let id = client.volumes().await.unwrap().volumes[0];
    let more = VolumeExpandRequest { expand_size_gib: 1, ..VolumeExpandRequest::default() };
    let grown = done(&client, client.volume_expand(id, more).await.unwrap()).await.unwrap();
    assert!(grown.bricks.iter().all(|brick| brick.path == "/bricks/photos/data"), "{grown:#?}");
    delete(&client, id).await.unwrap();
    for name in ["gfs1", "gfs2", "gfs3"] {
        let groups = cluster.host(name).footprint().view.groups;
        assert!(groups.iter().all(|group| group.volumes.is_empty()), "{groups:#?}");
    }
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_brick_that_lies_on_no_thin_volume_is_refused_with_the_reason() {
    let cluster = Cluster::start(1, 2, ByteSize::from_gib(64).unwrap()).await.unwrap();
    let host = cluster.host("gfs1");
    let (group, lv, disk) = ("data".parse().unwrap(), "linear".parse().unwrap(), "/dev/sdc".parse().unwrap());
    host.make_group_by_hand(&disk, &group, ByteSize::from_bytes(MIB));
    host.create_volume_by_hand(&disk, lv, ByteSize::from_gib(4).unwrap(), &[]);
    let (lv, at) = ("linear".parse().unwrap(), "/bricks/plain".parse().unwrap());
    host.activate_group(&group).await.unwrap();
    host.make_xfs(&group, &lv, false).await.unwrap();
    host.make_mount_point(&at).await.unwrap();
    host.mount(&group, &lv, &at).await.unwrap();
    host.make_brick_directory(&at.brick_path(), 0).await.unwrap();
    let bricks = [BrickAddress { host: "gfs1".parse().unwrap(), path: at.brick_path() }];
    host.gluster_volume_create(&"plain".parse().unwrap(), Layout::Distribute, &bricks).await.unwrap();
    let request = AdoptRequest { from: "volume".to_owned(), volume: "plain".to_owned(), ..AdoptRequest::default() };
    let before = cluster.footprints();
    let told = plan(&cluster.client().unwrap(), &request).await;
    assert!(told.plan.is_none(), "{told:#?}");
    let finding = told.findings.iter().find(|finding| finding.blocks).unwrap();
    assert_eq!(finding.code, "not-thin", "{finding:?}");
    assert_eq!(cluster.footprints(), before);
}
