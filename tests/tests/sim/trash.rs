//! Deleted volumes that are kept: what becomes of their bricks, names and space, whoever dies in between.

use std::time::Duration;

use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::{VolumeCreateRequest, VolumeInfo};
use bricklayer_api::v1::{LedgerClass, ProtectRequest, TrashedVolume, UnadoptRequest};
use bricklayer_proto::ids::VolumeId;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Call, Fault};
use bricklayer_tests::story::{create, delete, done, replicated};

async fn cluster() -> Cluster {
    let decide = |policy: &mut bricklayer_coordinator::ops::Policy| policy.trash_look = Duration::from_millis(50);
    let cluster = Cluster::start_with(3, 1, ByteSize::from_gib(16).unwrap(), decide).await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

async fn keep(client: &Client, id: VolumeId, time: &str) {
    done(client, client.volume_delete_keeping(id, Some(time)).await.unwrap()).await.unwrap();
}

async fn kept(client: &Client) -> Vec<TrashedVolume> {
    client.trash().await.unwrap().volumes
}

async fn amount(client: &Client, cluster: &VolumeInfo, class: LedgerClass) -> u64 {
    let ledger = client.cluster_ledger(cluster.cluster).await.unwrap();
    ledger.figures.iter().find(|figure| figure.class == class).unwrap().bytes
}

fn is_started(cluster: &Cluster, name: &str) -> Option<bool> {
    cluster.host("gfs1").volume_is_started(&name.parse().unwrap())
}

fn refusal(error: &ClientError) -> (u16, String) {
    match error {
        ClientError::Refused { status, text, cure } => {
            (*status, format!("{text}\n{}", cure.clone().unwrap_or_default()))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_kept_volume_is_stopped_and_hidden_and_comes_back_as_it_was() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let before = create(&client, &replicated(2, 3)).await.unwrap();
    keep(&client, before.id, "7d").await;

    assert!(client.volumes().await.unwrap().volumes.is_empty());
    let gone = client.volume(before.id).await.unwrap_err();
    assert_eq!(refusal(&gone).0, 404);
    // A second deletion by heketi's client is told what a deleted volume is told.
    let again = client.volume_delete(before.id).await.unwrap_err();
    assert_eq!(refusal(&again), (404, "Id not found\n".to_owned()));
    assert_eq!(is_started(&cluster, &before.name), Some(false));
    let [one] = &kept(&client).await[..] else { panic!("{:?}", kept(&client).await) };
    assert_eq!((one.id, &one.name, one.until.duration_since(one.since).as_hours()), (before.id, &before.name, 168));
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(amount(&client, &before, LedgerClass::Trash).await, one.taken_bytes);
    assert_eq!(amount(&client, &before, LedgerClass::BrickData).await, 0);

    let back = done(&client, client.volume_undelete(before.id).await.unwrap()).await.unwrap();
    assert_eq!(back, before);
    cluster.volume_is_whole(before.id).await.unwrap();
    assert!(kept(&client).await.is_empty());
    assert_eq!(amount(&client, &before, LedgerClass::Trash).await, 0);
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_kept_volume_goes_when_its_time_is_over_and_takes_its_space_until_then() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let before = cluster.footprints();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    keep(&client, volume.id, "1s").await;
    until("its time is over", async || Ok(kept(&client).await.is_empty())).await.unwrap();
    until("its bricks are gone", async || {
        Ok(client.operations().await?.operations.iter().all(|one| one.finished.is_some()))
    })
    .await
    .unwrap();
    assert_eq!(cluster.footprints(), before);
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(is_started(&cluster, &volume.name), None);
}

#[tokio::test]
async fn what_somebody_started_by_hand_does_not_go_by_itself() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    keep(&client, volume.id, "1h").await;
    // Started already: taking it out finds that done.
    cluster.host("gfs1").start_volume_by_hand(&volume.name.parse().unwrap());
    done(&client, client.volume_undelete(volume.id).await.unwrap()).await.unwrap();
    // Long enough to be started before it is over.
    keep(&client, volume.id, "5s").await;
    cluster.host("gfs1").start_volume_by_hand(&volume.name.parse().unwrap());
    let over = kept(&client).await.first().map(|one| one.until).unwrap();
    until("its time is over", async || Ok(client.doctor().await?.at > over)).await.unwrap();
    let other = create(&client, &replicated(1, 3)).await.unwrap();
    keep(&client, other.id, "1s").await;
    until("another one has gone", async || Ok(kept(&client).await.len() == 1)).await.unwrap();
    assert_eq!(is_started(&cluster, &volume.name), Some(true));
    // A person's word ends it all the same.
    done(&client, client.trash_end(volume.id).await.unwrap()).await.unwrap();
    assert_eq!(is_started(&cluster, &volume.name), None);
}

#[tokio::test]
async fn its_name_stays_taken_and_whoever_wants_it_is_told_by_what() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let request = VolumeCreateRequest { name: "backups".to_owned(), ..replicated(2, 3) };
    let volume = create(&client, &request).await.unwrap();
    keep(&client, volume.id, "1h").await;
    let (_, text) = refusal(&create(&client, &request).await.unwrap_err());
    assert!(text.contains("already in use") && text.contains("bricklayer trash empty backups"), "{text}");
    done(&client, client.trash_end(volume.id).await.unwrap()).await.unwrap();
    create(&client, &request).await.unwrap();
}

#[tokio::test]
async fn a_volume_that_would_fit_without_the_trash_is_told_so() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &VolumeCreateRequest { name: "old".to_owned(), ..replicated(10, 3) }).await.unwrap();
    keep(&client, volume.id, "1h").await;
    let (_, text) = refusal(&create(&client, &replicated(12, 3)).await.unwrap_err());
    assert!(text.contains("if the trash were emptied of old"), "{text}");
    let told = client.explain(&replicated(12, 3)).await.unwrap();
    let changes: Vec<String> =
        told.refusals.iter().flat_map(|refusal| &refusal.relaxations).map(|one| one.text.clone()).collect();
    assert!(changes[0].starts_with("if the trash were emptied of old"), "{changes:?}");
}

#[tokio::test]
async fn what_is_protected_is_deleted_by_nobody() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &VolumeCreateRequest { name: "dear".to_owned(), ..replicated(2, 3) }).await.unwrap();
    let protect = |protected| client.volume_protect(volume.id, ProtectRequest { protected });
    let shown = done(&client, protect(true).await.unwrap()).await.unwrap();
    assert!(shown.protected);
    let by_heketi = client.volume_delete(volume.id).await.unwrap_err();
    let by_us = client.volume_delete_keeping(volume.id, Some("7d")).await.unwrap_err();
    for refused in [by_heketi, by_us] {
        let (status, text) = refusal(&refused);
        assert!(status == 409 && text.contains("bricklayer volume unprotect dear"), "{status} {text}");
    }
    let shown = done(&client, protect(false).await.unwrap()).await.unwrap();
    assert!(!shown.protected);
    delete(&client, volume.id).await.unwrap();
}

#[tokio::test]
async fn a_device_with_a_brick_in_the_trash_is_not_emptied_and_the_way_out_is_told() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &VolumeCreateRequest { name: "old".to_owned(), ..replicated(2, 2) }).await.unwrap();
    keep(&client, volume.id, "1h").await;
    let request = bricklayer_api::v1::BrickReplaceRequest::default();
    let refused = client.brick_replace(volume.bricks[0].id, &request).await.unwrap_err();
    let (status, text) = refusal(&refused);
    assert!(status == 409 && text.contains("bricklayer volume undelete old"), "{status} {text}");
}

#[tokio::test]
async fn an_end_that_gluster_refuses_leaves_the_volume_stopped_and_in_the_trash() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    cluster.host("gfs1").snapshot_by_hand("monday", &volume.name.parse().unwrap());
    keep(&client, volume.id, "1h").await;
    let refused = done(&client, client.trash_end(volume.id).await.unwrap()).await.unwrap_err();
    assert!(format!("{refused:?}").contains("snapshots"), "{refused:?}");
    assert_eq!(is_started(&cluster, &volume.name), Some(false));
    assert_eq!(kept(&client).await.len(), 1);
    cluster.host("gfs1").delete_snapshot_by_hand("monday");
    done(&client, client.trash_end(volume.id).await.unwrap()).await.unwrap();
    assert_eq!(is_started(&cluster, &volume.name), None);
}

#[tokio::test]
async fn a_stop_that_fails_leaves_the_volume_serving_and_listed() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    for host in cluster.hosts() {
        host.faults().inject(At::Every(Call::VolumeStop), Fault::Before);
    }
    let accepted = client.volume_delete_keeping(volume.id, Some("1h")).await.unwrap();
    done(&client, accepted).await.unwrap_err();
    for host in cluster.hosts() {
        host.faults().clear();
    }
    until("it serves", async || {
        cluster.volume_is_whole(volume.id).await?;
        Ok(true)
    })
    .await
    .unwrap();
    assert!(kept(&client).await.is_empty());
}

#[tokio::test]
async fn the_trash_outlives_the_coordinator_and_its_store() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &VolumeCreateRequest { name: "old".to_owned(), ..replicated(2, 3) }).await.unwrap();
    let dear = create(&client, &VolumeCreateRequest { name: "dear".to_owned(), ..replicated(2, 3) }).await.unwrap();
    done(&client, client.volume_protect(dear.id, ProtectRequest { protected: true }).await.unwrap()).await.unwrap();
    keep(&client, volume.id, "7d").await;
    let before = kept(&client).await;
    cluster.installation.until_kept().await.unwrap();
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    assert_eq!(kept(&client).await, before);
    cluster.until_all_able().await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.installation.until_kept().await.unwrap();

    // Of what hosts keep, and then of what lies beside the bricks alone.
    for forgets in [false, true] {
        cluster.installation.stop_coordinator().await;
        let store = bricklayer_coordinator::service::Layout(cluster.installation.data_dir()).store();
        std::fs::remove_dir_all(store).unwrap();
        if forgets {
            for name in ["gfs1", "gfs2", "gfs3"] {
                cluster.agent(name).kill().await;
                std::fs::remove_dir_all(cluster.agent(name).data_dir().join("keepsakes")).unwrap();
                cluster.agent(name).start().await.unwrap();
            }
        }
        cluster.installation.command(&["rebuild", "--apply", "--wait", "5"]).await.unwrap();
        cluster.installation.start_coordinator().await.unwrap();
        cluster.until_all_able().await.unwrap();
        let found = kept(&client).await;
        // Beside the bricks it is in milliseconds.
        let parts = |of: &[TrashedVolume]| {
            of.iter().map(|one| (one.id, one.name.clone(), one.until.as_millisecond())).collect::<Vec<_>>()
        };
        assert_eq!(parts(&found), parts(&before), "forgets: {forgets}");
        assert!(client.volume(dear.id).await.unwrap().protected, "forgets: {forgets}");
        cluster.installation.until_kept().await.unwrap();
    }
    done(&client, client.volume_undelete(volume.id).await.unwrap()).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
}

#[tokio::test]
async fn what_lies_in_the_trash_is_neither_given_back_nor_exported_to_heketi() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    keep(&client, volume.id, "7d").await;
    let (status, text) = refusal(&client.export_heketi().await.unwrap_err());
    assert_eq!(status, 409);
    assert!(text.contains(&volume.name) && text.contains("bricklayer trash empty"), "{text}");
    let request = UnadoptRequest { cluster: Some(volume.cluster), ..UnadoptRequest::default() };
    let (status, text) = refusal(&client.unadopt(&request).await.unwrap_err());
    assert_eq!(status, 409);
    assert!(text.contains("is in the trash"), "{text}");

    done(&client, client.volume_undelete(volume.id).await.unwrap()).await.unwrap();
    assert!(client.export_heketi().await.unwrap()["volumeentries"][volume.id.to_string()].is_object());
}
