//! Thick volumes on whole simulated clusters: linear volumes from the request to the disk and back.

use bricklayer_api::client::Client;
use bricklayer_api::heketi::{BrickEvictRequest, Snapshot, SnapshotFactor, VolumeCloneRequest, VolumeCreateRequest};
use bricklayer_api::v1::{
    BrickReplaceRequest, CapacityQuery, LedgerClass, PlacementPolicy, PlacementRule, Provisioning, Relaxed,
};
use bricklayer_proto::inventory::LvKind;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Call, Fault};
use bricklayer_tests::story::{create, delete, done, expand, replicated};

fn thick(request: VolumeCreateRequest) -> VolumeCreateRequest {
    let mut options = request.gluster_volume_options.clone();
    options.push("user.bricklayer.provisioning thick".to_owned());
    VolumeCreateRequest { gluster_volume_options: options, ..request }
}

async fn set_policy(client: &Client, provisioning: Provisioning) {
    let policy = PlacementPolicy { provisioning: Some(provisioning), ..PlacementPolicy::default() };
    client.policy_set(&policy).await.unwrap();
}

/// How many pools, thin volumes and linear bricks all hosts have.
fn volumes(cluster: &Cluster) -> (usize, usize, usize) {
    let (mut pools, mut thin, mut linear) = (0, 0, 0);
    for host in cluster.hosts() {
        for volume in host.footprint().view.groups.iter().flat_map(|group| &group.volumes) {
            match &volume.kind {
                LvKind::ThinPool { .. } => pools += 1,
                LvKind::Thin { .. } => thin += 1,
                LvKind::Other { .. } if volume.is_tagged_ours() => linear += 1,
                LvKind::Other { .. } => {}
            }
        }
    }
    (pools, thin, linear)
}

#[tokio::test]
async fn a_thick_volume_is_made_grown_moved_and_given_back_to_the_extent() {
    let cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let volume = create(&client, &thick(replicated(8, 3))).await.unwrap();
    assert!(volume.thick, "{volume:?}");
    assert_eq!(volumes(&cluster), (0, 0, 3));
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let ledger = client.device_ledger(volume.bricks[0].device).await.unwrap();
    assert_eq!((ledger.unaccounted_bytes, ledger.bricks[0].metadata_bytes), (0, 0), "{ledger:?}");
    assert_eq!(ledger.bricks[0].lvm_bytes, Some(8 << 30), "{ledger:?}");

    // 15.98 GiB are there: in place to 15, and beyond that with a set of its own, as thick as the first.
    let grown = expand(&client, volume.id, 7).await.unwrap();
    assert_eq!((grown.size_gib, grown.bricks.len()), (15, 3), "{grown:?}");
    cluster.until_ledger_is_lvms().await.unwrap();
    assert!(expand(&client, volume.id, 2).await.is_err(), "three of four devices are full");
    let moved = client.brick_replace(volume.bricks[0].id, &BrickReplaceRequest::default()).await.unwrap();
    done(&client, moved).await.unwrap();
    assert_eq!(volumes(&cluster), (0, 0, 3), "it moved as a thick brick");
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    delete(&client, volume.id).await.unwrap();
    assert_eq!(cluster.footprints(), empty);
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_set_that_a_thick_volume_gets_is_thick_whatever_the_policy_says_by_then() {
    let cluster = Cluster::loaded(6, 16).await;
    let client = cluster.client().unwrap();
    set_policy(&client, Provisioning::Thick).await;
    let volume = create(&client, &replicated(12, 3)).await.unwrap();
    set_policy(&client, Provisioning::Thin).await;
    let thin = create(&client, &replicated(1, 3)).await.unwrap();
    assert!(volume.thick && !thin.thick);
    assert_eq!(volumes(&cluster), (3, 3, 3));
    let wider = expand(&client, volume.id, 8).await.unwrap();
    assert_eq!(wider.bricks.len(), 6, "{wider:?}");
    assert_eq!(volumes(&cluster), (3, 3, 6));
    // And the other way round.
    set_policy(&client, Provisioning::Thick).await;
    let brick = thin.bricks[0].id;
    let evicted = client.brick_evict(brick, &BrickEvictRequest::default()).await.unwrap();
    done(&client, evicted).await.unwrap();
    assert!(!client.volume(thin.id).await.unwrap().thick);
    assert_eq!(volumes(&cluster), (3, 3, 6));
    cluster.until_ledger_is_lvms().await.unwrap();
    let audit = client.audit().await.unwrap();
    assert!(audit.clusters.iter().all(|cluster| cluster.sets.is_empty()), "a policy is about new volumes: {audit:?}");
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn snapshots_and_clones_of_a_thick_volume_are_refused_with_a_way_out_and_change_nothing() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    let snapshot = Snapshot { enable: true, factor: SnapshotFactor(1.5) };
    let with_snapshots = VolumeCreateRequest { snapshot, ..replicated(2, 3) };
    let refused = create(&client, &thick(with_snapshots.clone())).await.unwrap_err();
    assert_eq!(refused.status(), Some(400), "{refused}");
    assert!(refused.to_string().contains("user.bricklayer.provisioning thin"), "{refused}");
    set_policy(&client, Provisioning::Thick).await;
    assert!(create(&client, &with_snapshots).await.is_err(), "the policy says thick as well");
    assert_eq!(cluster.footprints(), empty);

    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let before = cluster.footprints();
    let clone = VolumeCloneRequest { name: "copy".to_owned() };
    let refused = client.volume_clone(volume.id, &clone).await.unwrap_err().to_string();
    for word in [volume.name.as_str(), "3 of its 3 bricks are thick", "Copy its data"] {
        assert!(refused.contains(word), "{refused}");
    }
    assert_eq!(cluster.footprints(), before);
    // The volume's own word goes before the policy's.
    let options = vec!["user.bricklayer.provisioning thin".to_owned()];
    let thin = VolumeCreateRequest { gluster_volume_options: options, ..with_snapshots };
    let thin = create(&client, &thin).await.unwrap();
    done(&client, client.volume_clone(thin.id, &clone).await.unwrap()).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_policy_that_is_thick_and_over_commits_is_refused_wherever_the_two_come_together() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let home = client.topology().await.unwrap().clusters[0].id;
    let policy = |provisioning, over_commit: Option<&str>| PlacementPolicy {
        provisioning,
        over_commit: over_commit.map(str::to_owned),
        ..PlacementPolicy::default()
    };
    let (thick, thin) = (Some(Provisioning::Thick), Some(Provisioning::Thin));
    let refused = client.policy_set(&policy(thick, Some("2"))).await.unwrap_err().to_string();
    assert!(refused.contains("thick and over-committed 2 times"), "{refused}");
    client.policy_set(&policy(None, Some("2"))).await.unwrap();
    let refused = client.cluster_policy_set(home, &policy(thick, None)).await.unwrap_err().to_string();
    assert!(refused.contains(&home.to_string()) && refused.contains("over-committed 2 times"), "{refused}");
    client.cluster_policy_set(home, &policy(thick, Some("1"))).await.unwrap();
    client.policy_set(&policy(None, None)).await.unwrap();
    client.cluster_policy_set(home, &policy(thick, None)).await.unwrap();
    // What the installation says then would come down on the cluster.
    let refused = client.policy_set(&policy(None, Some("3"))).await.unwrap_err().to_string();
    assert!(refused.contains(&home.to_string()), "{refused}");
    client.cluster_policy_set(home, &policy(thin, None)).await.unwrap();
    client.policy_set(&policy(None, Some("3"))).await.unwrap();
    // A volume that asks for itself has all that it is promised.
    let volume = create(&client, &self::thick(replicated(4, 3))).await.unwrap();
    let ledger = client.device_ledger(volume.bricks[0].device).await.unwrap();
    assert_eq!((ledger.promised_beyond_bytes, ledger.bricks[0].data_bytes), (0, 4 << 30), "{ledger:?}");
}

#[tokio::test]
async fn a_volume_that_fails_to_fit_by_a_pools_metadata_is_told_that_it_would_fit_as_a_thick_one() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    // 4091 extents: 15 GiB and 250 of them are left beside the first.
    create(&client, &thick(replicated(8, 3))).await.unwrap();
    let left = VolumeCreateRequest { size_bytes: (4091 - 2048) << 22, size_gib: 8, ..replicated(8, 3) };
    let told = client.explain(&left).await.unwrap();
    assert!(!told.fits);
    let changes: Vec<_> = told.refusals[0].relaxations.iter().map(|one| &one.change).collect();
    assert!(changes.contains(&&Relaxed::Provisioning { provisioning: Provisioning::Thick }), "{changes:?}");
    assert!(told.refusals[0].text.contains("as a thick volume, which has no snapshots and clones"), "{told:?}");
    let told = client.explain(&thick(left.clone())).await.unwrap();
    assert!(told.fits && told.placement.unwrap().bricks[0].provisioning == Provisioning::Thick);
    let query = CapacityQuery { replica: Some(3), ..CapacityQuery::default() };
    let both = async |provisioning: &str| {
        let query = CapacityQuery { provisioning: Some(provisioning.to_owned()), ..query.clone() };
        client.capacity(&query).await.unwrap().capacities.remove(0)
    };
    let (thin, thick_one) = (both("thin").await, both("thick").await);
    assert_eq!((thin.provisioning, thick_one.provisioning), (Provisioning::Thin, Provisioning::Thick));
    assert!(thin.largest_bytes <= thick_one.largest_bytes);
    create(&client, &thick(left)).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let full = client.device_ledger(client.topology().await.unwrap().clusters[0].nodes[0].devices[0].id).await.unwrap();
    let free = full.figures.iter().find(|figure| figure.class == LedgerClass::Free).map(|figure| figure.bytes);
    assert_eq!((free, full.unaccounted_bytes), (Some(0), 0), "{full:?}");
}

#[tokio::test]
async fn the_hosts_tell_of_thick_volumes_what_the_store_said() {
    let mut cluster = Cluster::loaded(3, 32).await;
    let client = cluster.client().unwrap();
    let arbiter =
        VolumeCreateRequest { gluster_volume_options: vec!["user.heketi.arbiter true".to_owned()], ..replicated(4, 3) };
    create(&client, &thick(arbiter)).await.unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    let grown = create(&client, &thick(replicated(2, 3))).await.unwrap();
    expand(&client, grown.id, 3).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    let before = serde_json::to_string_pretty(&client.topology().await.unwrap()).unwrap();
    let disks = cluster.footprints();
    // With what the hosts keep, and of the disks alone.
    for keepsakes in [true, false] {
        cluster.installation.stop_coordinator().await;
        std::fs::remove_dir_all(cluster.installation.data_dir().join("store")).unwrap();
        if !keepsakes {
            for name in ["gfs1", "gfs2", "gfs3"] {
                std::fs::remove_dir_all(cluster.agent(name).data_dir().join("keepsakes")).unwrap();
            }
        }
        let wait = if keepsakes { &[][..] } else { &["--wait", "5"] };
        cluster.installation.command(&[&["rebuild", "--apply"], wait].concat()).await.unwrap();
        cluster.installation.start_coordinator().await.unwrap();
        cluster.until_all_able().await.unwrap();
        let client = cluster.client().unwrap();
        let after = serde_json::to_string_pretty(&client.topology().await.unwrap()).unwrap();
        if keepsakes {
            assert_eq!(after, before);
        }
        assert!(client.volume(grown.id).await.unwrap().thick);
        cluster.until_ledger_is_lvms().await.unwrap();
        assert_eq!(cluster.footprints(), disks);
    }
}

#[tokio::test]
async fn a_power_cut_in_the_middle_of_making_a_thick_volume_is_overcome_when_the_host_is_back() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    for call in [Call::CreateLinear, Call::MakeXfs, Call::ReplaceVolumeTags, Call::Mount] {
        let faults = cluster.host("gfs2").faults().clone();
        faults.inject(At::Next(call), Fault::HangsAfter);
        let accepted = client.volume_create(&thick(replicated(1, 3))).await.unwrap();
        faults.until_one_hangs().await;
        cluster.power_cut("gfs2").await;
        cluster.power_on("gfs2").await.unwrap();
        let volume = done(&client, accepted).await.unwrap_or_else(|error| panic!("{}: {error}", call.name()));
        cluster.until_able("gfs2").await.unwrap();
        cluster.volume_is_whole(volume.id).await.unwrap_or_else(|error| panic!("{}: {error:#}", call.name()));
        delete(&client, volume.id).await.unwrap();
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn an_agent_that_is_too_old_takes_no_thick_brick_and_is_named_and_thin_ones_as_before() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let agent = cluster.agent("gfs2");
    agent.kill().await;
    agent.speak(1..=1);
    agent.start().await.unwrap();
    cluster.until_all_able().await.unwrap();
    let client = cluster.client().unwrap();
    // Not the one before it, whose end was not noticed yet.
    until("the older agent is attached", async || {
        Ok(client.doctor().await?.findings.iter().any(|finding| finding.code == "agent-older"))
    })
    .await
    .unwrap();
    cluster.until_all_able().await.unwrap();
    let before = cluster.footprints();
    let told = client.explain(&thick(replicated(2, 3))).await.unwrap();
    let refusal = &told.refusals[0];
    let old = refusal.devices.iter().find(|device| device.node_name == "gfs2").unwrap();
    assert_eq!(old.rule, PlacementRule::AgentTooOld, "{old:?}");
    assert!(refusal.text.contains("too old for thick bricks (update bricklayer-agent there)"), "{}", refusal.text);
    assert!(refusal.text.contains("- as a thin volume"), "{}", refusal.text);
    assert!(create(&client, &thick(replicated(2, 3))).await.is_err());
    assert_eq!(cluster.footprints(), before);
    create(&client, &replicated(2, 3)).await.unwrap();
}

#[tokio::test]
async fn heketi_gets_no_database_with_a_thick_volume_in_it() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &thick(replicated(1, 3))).await.unwrap();
    let refused = client.export_heketi().await.unwrap_err().to_string();
    assert!(refused.contains(&volume.name) && refused.contains("is thick"), "{refused}");
    delete(&client, volume.id).await.unwrap();
    client.export_heketi().await.unwrap();
}
