//! The provisioner of Kubernetes up to 1.25 against the sandbox, and against coordinators and networks that die under it.

use std::collections::BTreeSet;

use bricklayer_proto::size::ByteSize;
use bricklayer_tests::clients::kubernetes::{PersistentVolume, StorageClass};
use bricklayer_tests::clients::wire::{Answer, Request};
use bricklayer_tests::clients::{CallError, GoClient, HeketiClient as _, Provisioner, ids, text};
use bricklayer_tests::cluster::{Cluster, until};
use serde_json::json;

use super::life_cycles::furnish;
use super::sandbox::Sandbox;

const GIB: u64 = 1 << 30;

/// Three hosts with a disk of 100 GiB each, in one cluster.
async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start(&["--nodes", "3", "--devices", "1", "--device-size", "100GiB"]);
    furnish(&sandbox.go(), 3, &["/dev/sdb"]).await.unwrap();
    sandbox
}

/// The same in this process, so that parts of it can be killed.
async fn cluster() -> (Cluster, Provisioner) {
    let cluster = Cluster::start(3, 1, ByteSize::from_gib(100).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let server = cluster.installation.url().strip_prefix("http://").unwrap().parse().unwrap();
    let provisioner = Provisioner::new(GoClient::new(server, "", ""), StorageClass::default());
    (cluster, provisioner)
}

#[tokio::test]
async fn a_claim_is_provisioned_expanded_and_deleted() {
    let sandbox = sandbox().await;
    let provisioner = Provisioner::new(sandbox.go(), StorageClass::default());
    // 6G are 5.6 GiB: six of them.
    let mut volume = provisioner.provision(6_000_000_000, 2003, "claim").await.unwrap();
    let id = volume.volume_id.clone().unwrap();
    assert_eq!(volume.path, format!("vol_{id}"), "an old volume is found by its name alone");
    assert_eq!(volume.capacity_gib, 6);
    let addresses: BTreeSet<_> = volume.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(str::to_owned).into());
    let seen = provisioner.client().volume(&id).await.unwrap();
    assert_eq!((&seen["gid"], &seen["snapshot"]), (&json!(2003), &json!({"enable": true, "factor": 1})));
    assert_eq!(seen["durability"]["replicate"]["replica"], json!(3));

    provisioner.expand(&mut volume, 10 * GIB).await.unwrap();
    assert_eq!(volume.capacity_gib, 10);
    assert_eq!(provisioner.client().volume(&id).await.unwrap()["size"], json!(10));
    // What is large enough is left alone.
    provisioner.expand(&mut volume, 9 * GIB).await.unwrap();
    assert_eq!(volume.capacity_gib, 10);

    provisioner.delete(&volume).await.unwrap();
    assert_eq!(provisioner.client().volumes().await.unwrap(), json!({"volumes": []}));
    provisioner.delete(&volume).await.expect("what is gone already is as good");
}

#[tokio::test]
async fn storage_classes_of_every_kind_are_served() {
    let sandbox = sandbox().await;
    let cluster = ids(&sandbox.go().clusters().await.unwrap(), "clusters").remove(0);
    let unused = json!({});
    let classes = [
        StorageClass {
            clusters: vec![cluster],
            durability: json!({"type": "none", "replicate": unused, "disperse": unused}),
            ..StorageClass::default()
        },
        StorageClass {
            durability: json!({"type": "disperse", "replicate": unused, "disperse": {"data": 2, "redundancy": 1}}),
            volume_options: vec!["client.ssl on".into(), "nfs.disable on".into()],
            ..StorageClass::default()
        },
        StorageClass { name_prefix: Some("kube".into()), snapshot_factor: 1.5, ..StorageClass::default() },
    ];
    for class in classes {
        let prefix = class.name_prefix.clone();
        let provisioner = Provisioner::new(sandbox.go(), class);
        let volume = provisioner.provision(2 * GIB, 2000, "claim").await.unwrap();
        if let Some(prefix) = prefix {
            assert!(volume.path.starts_with(&format!("{prefix}_default_claim_")), "{}", volume.path);
        }
        provisioner.delete(&volume).await.unwrap();
    }
}

#[tokio::test]
async fn a_persistent_volume_of_before_the_annotation_is_deleted_by_its_name() {
    let sandbox = sandbox().await;
    let provisioner = Provisioner::new(sandbox.go(), StorageClass::default());
    let volume = provisioner.provision(GIB, 2000, "claim").await.unwrap();
    provisioner.delete(&PersistentVolume { volume_id: None, ..volume }).await.unwrap();
    assert_eq!(provisioner.client().volumes().await.unwrap(), json!({"volumes": []}));
}

#[tokio::test]
async fn an_address_that_ends_with_a_slash_loses_no_request() {
    let sandbox = sandbox().await;
    let provisioner = Provisioner::new(sandbox.go().behind_a_slash(), StorageClass::default());
    let mut volume = provisioner.provision(GIB, 2000, "claim").await.unwrap();
    provisioner.expand(&mut volume, 2 * GIB).await.unwrap();
    provisioner.delete(&volume).await.unwrap();
}

/// The provisioner reads as much of the text as `Content-Length` says, and compares it.
#[tokio::test]
async fn a_volume_that_is_gone_answers_with_these_bytes() {
    let sandbox = sandbox().await;
    let client = sandbox.go();
    let request = client.request("DELETE", "/volumes/0123456789abcdef0123456789abcdef", None);
    let Answer { status, body, .. } = request.ask(sandbox.server).await.unwrap();
    assert_eq!((status, body.as_slice()), (404, b"Id not found\n".as_slice()));
    let refused = client.volume_delete("0123456789abcdef0123456789abcdef").await.unwrap_err();
    assert_eq!(refused, CallError::Refused { status: 404, text: "Id not found".into() });
}

/// `restauthenabled: false`: a token is sent all the same, signed with nothing in nobody's name.
#[tokio::test]
async fn without_authentication_every_token_will_do_and_with_it_no_such_token_does() {
    let open = Sandbox::start(&["--nodes", "0", "--disable-auth"]);
    GoClient::new(open.server, "", "").clusters().await.unwrap();
    Request::new("GET", "/clusters").header("Authorization", "Basic bogus").ask(open.server).await.unwrap();

    let closed = Sandbox::start(&["--nodes", "0"]);
    let refused = GoClient::new(closed.server, "", "").clusters().await.unwrap_err();
    assert_eq!(refused.status(), Some(401));
    assert_eq!(refused.text(), "Invalid JWT token: Unknown user");
}

/// A controller manager has as many claims under way as its client lets it have requests.
#[tokio::test]
async fn thirty_claims_at_once_are_all_served_without_one_being_sent_away() {
    let sandbox = sandbox().await;
    let provisioner = Provisioner::new(sandbox.go(), StorageClass::default());
    let claims = (0..30).map(|number| provisioner.provision(GIB, 2000 + number, "claim"));
    let volumes: Vec<_> = futures::future::join_all(claims).await.into_iter().map(Result::unwrap).collect();
    let different: BTreeSet<_> = volumes.iter().map(|volume| &volume.path).collect();
    assert_eq!(different.len(), 30);
    for outcome in futures::future::join_all(volumes.iter().map(|volume| provisioner.delete(volume))).await {
        outcome.unwrap();
    }
    assert_eq!(provisioner.client().volumes().await.unwrap(), json!({"volumes": []}));
}

/// Had an answer failed here, the volume would be nobody's, and the next try would make another one.
#[tokio::test]
async fn a_host_that_is_down_is_still_answered_for_while_a_claim_is_provisioned() {
    let (mut cluster, _) = cluster().await;
    let server = cluster.installation.url().strip_prefix("http://").unwrap().parse().unwrap();
    let two = StorageClass {
        durability: json!({"type": "replicate", "replicate": {"replica": 2}, "disperse": {}}),
        ..StorageClass::default()
    };
    let provisioner = Provisioner::new(GoClient::new(server, "", ""), two);
    cluster.power_cut("gfs2").await;
    let volume = provisioner.provision(GIB, 2000, "claim").await.unwrap();
    assert_eq!(volume.addresses.len(), 3, "the one that is down among them");
    cluster.power_on("gfs2").await.unwrap();
    cluster.until_all_able().await.unwrap();
    provisioner.delete(&volume).await.unwrap();
}

/// Nothing in a request without a name tells that it is the same claim's again: both volumes are made, both are to be
/// seen, and what nobody claims can be deleted by anybody who compares the lists.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_leaves_a_volume_that_is_listed_whole_and_deleted_as_any_other() {
    let (cluster, provisioner) = cluster().await;
    let client = provisioner.client();
    let body = provisioner.create_body(3, 2000, "claim");
    client.request("POST", "/volumes", Some(&body)).ask_and_vanish(client.server()).await.unwrap();
    let listed = async || ids(&client.volumes().await.unwrap(), "volumes");
    until("the volume that nobody heard of is listed", async || Ok(listed().await.len() == 1)).await.unwrap();
    let lost = listed().await.remove(0);

    let again = provisioner.provision(3 * GIB, 2000, "claim").await.unwrap();
    let both: BTreeSet<_> = listed().await.into_iter().collect();
    assert_eq!(both, BTreeSet::from([lost.clone(), again.volume_id.clone().unwrap()]));
    cluster.volume_is_whole(lost.parse().unwrap()).await.unwrap();
    cluster.volume_is_whole(again.volume_id.as_ref().unwrap().parse().unwrap()).await.unwrap();

    client.volume_delete(&lost).await.unwrap();
    provisioner.delete(&again).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

/// A name tells: it is refused a second time, and names the volume that is there.
#[tokio::test]
async fn a_create_by_name_whose_answer_was_lost_is_not_made_twice() {
    let (cluster, provisioner) = cluster().await;
    let client = provisioner.client();
    let body = json!({"size": 3, "name": "kube_default_claim_1"});
    client.request("POST", "/volumes", Some(&body)).ask_and_vanish(client.server()).await.unwrap();
    let refused = client.volume_create(body).await.unwrap_err();
    assert_eq!(refused.status(), Some(500), "{refused}");
    assert!(refused.text().contains("kube_default_claim_1"), "{refused}");
    let one = async || Ok(ids(&client.volumes().await?, "volumes").len() == 1);
    until("the volume is there", one).await.unwrap();
    drop(cluster);
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_is_done_once_and_the_next_one_hears_that_it_is() {
    let (cluster, provisioner) = cluster().await;
    let client = provisioner.client();
    let volume = provisioner.provision(GIB, 2000, "claim").await.unwrap();
    let id = volume.volume_id.clone().unwrap();
    client.request("DELETE", &format!("/volumes/{id}"), None).ask_and_vanish(client.server()).await.unwrap();
    // While it goes on it is refused; then it is gone, which is as good. A provisioner tries until it is.
    until("the delete is done", async || Ok(provisioner.delete(&volume).await.is_ok())).await.unwrap();
    assert_eq!(client.volumes().await.unwrap(), json!({"volumes": []}));
    cluster.until_ledger_is_lvms().await.unwrap();
}

/// heketi forgot all queue ids at a restart, and a finished one at its first look: a second volume came of both.
#[tokio::test]
async fn a_queue_id_outlives_the_coordinator_and_a_lost_answer() {
    let (mut cluster, provisioner) = cluster().await;
    let client = provisioner.client();
    let body = provisioner.create_body(3, 2000, "claim");
    let accepted = client.request("POST", "/volumes", Some(&body)).ask(client.server()).await.unwrap();
    let queue = accepted.header("Location").unwrap().to_owned();
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    // An empty answer says that it goes on.
    let finished = async || Ok(client.get(&queue).await?["id"].is_string());
    until("the work that was begun before the restart is done", finished).await.unwrap();
    let poll = client.request("GET", &queue, None);
    poll.ask_and_vanish(client.server()).await.unwrap();
    let first = client.get(&queue).await.unwrap();
    assert_eq!(client.get(&queue).await.unwrap(), first);
    assert_eq!(ids(&client.volumes().await.unwrap(), "volumes"), [text(&first, "id")]);
}

/// The connection may go at any moment, the one between the decision and its record among them.
#[tokio::test]
async fn clients_that_vanish_at_once_leave_whole_volumes_or_none() {
    let (cluster, provisioner) = cluster().await;
    let client = provisioner.client();
    for number in 0..20 {
        let body = json!({"size": 1, "name": format!("vanished_{number}"), "durability": {"type": "replicate"}});
        client.request("POST", "/volumes", Some(&body)).send_and_vanish(client.server()).await.unwrap();
    }
    let quiet = async || Ok(client.get("/operations").await?["total"] == json!(0));
    until("nothing is under way", quiet).await.unwrap();
    for id in ids(&client.volumes().await.unwrap(), "volumes") {
        cluster.volume_is_whole(id.parse().unwrap()).await.unwrap();
        client.volume_delete(&id).await.unwrap();
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}
