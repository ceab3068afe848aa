//! The coordinator's store is gone, damaged or old; the hosts give the state back. Real coordinator, real agents over
//! mutual TLS, simulated hosts.

use std::path::Path;
use std::time::Duration;

use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::{
    BlockVolumeCreateRequest, ClusterFlags, DeviceAddRequest, Disperse, DurabilityRequest, HostAddresses,
    NodeAddRequest, Snapshot, SnapshotFactor, StateRequest, TagsChangeRequest, VolumeCloneRequest, VolumeCreateRequest,
    VolumeExpandRequest,
};
use bricklayer_api::v1::AgentState;
use bricklayer_coordinator::service::Layout;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Fault};
use bricklayer_tests::story::{create, delete, done, replicated};

/// What a person sees of the whole installation.
#[derive(Debug, PartialEq)]
struct Seen {
    topology: String,
    dump: String,
    agents: Vec<String>,
    passwords: Vec<String>,
}

async fn seen(client: &Client) -> Seen {
    let topology = serde_json::to_string_pretty(&client.topology().await.unwrap()).unwrap();
    let agents = client.agents().await.unwrap().agents;
    let mut passwords = Vec::new();
    for id in client.block_volumes().await.unwrap().block_volumes {
        passwords.push(client.block_volume(id).await.unwrap().access.password.expose().to_owned());
    }
    Seen {
        topology,
        dump: client.db_dump().await.unwrap(),
        agents: agents.iter().map(|agent| format!("{:?} {} {:?}", agent.node, agent.name, agent.state)).collect(),
        passwords,
    }
}

fn durability(kind: &str) -> DurabilityRequest {
    DurabilityRequest { kind: kind.into(), ..DurabilityRequest::default() }
}

fn volume(size_gib: i64, durability: DurabilityRequest) -> VolumeCreateRequest {
    VolumeCreateRequest { size_gib, durability, ..VolumeCreateRequest::default() }
}

/// Six hosts in three zones with two disks each, and something of everything that can be made.
async fn rich() -> Cluster {
    let cluster = Cluster::start(6, 2, ByteSize::from_gib(64).unwrap()).await.unwrap();
    let client = cluster.client().unwrap();
    let home = client.cluster_create(ClusterFlags { block: true, file: true }).await.unwrap();
    client.cluster_create(ClusterFlags { block: false, file: true }).await.unwrap();
    let mut nodes = Vec::new();
    for number in 1..=6 {
        let hostnames =
            HostAddresses { manage: vec![format!("gfs{number}")], storage: vec![format!("192.168.0.{number}")] };
        let request = NodeAddRequest {
            zone: 1 + number % 3,
            hostnames,
            cluster: home.id.to_string(),
            ..NodeAddRequest::default()
        };
        nodes.push(done(&client, client.node_add(&request).await.unwrap()).await.unwrap());
    }
    for node in &nodes {
        for disk in ["/dev/sdb", "/dev/sdc"] {
            let request =
                DeviceAddRequest { name: disk.into(), node: node.id.to_string(), ..DeviceAddRequest::default() };
            done(&client, client.device_add(&request).await.unwrap()).await.unwrap();
        }
    }
    let tags = [("rack".to_owned(), "b7".to_owned()), ("owner".to_owned(), "ops".to_owned())];
    let tags = TagsChangeRequest { tags: tags.into(), change_type: "set".to_owned() };
    client.node_change_tags(nodes[0].id, &tags).await.unwrap();
    let device = client.node(nodes[1].id).await.unwrap().devices[0].id;
    client.device_change_tags(device, &tags).await.unwrap();

    let options = vec!["performance.cache-size 256MB".to_owned(), "nfs.disable on".to_owned()];
    let request = VolumeCreateRequest {
        gid: 2000,
        gluster_volume_options: options,
        snapshot: Snapshot { enable: true, factor: SnapshotFactor(1.5) },
        ..replicated(3, 3)
    };
    let first = create(&client, &request).await.unwrap();
    let arbiter = VolumeCreateRequest {
        name: "with-arbiter".to_owned(),
        gluster_volume_options: vec!["user.heketi.arbiter true".to_owned()],
        ..replicated(4, 3)
    };
    create(&client, &arbiter).await.unwrap();
    let disperse = DurabilityRequest { disperse: Disperse { data: 4, redundancy: 2 }, ..durability("disperse") };
    create(&client, &volume(8, disperse)).await.unwrap();
    create(&client, &volume(2, durability("none"))).await.unwrap();
    let grown = create(&client, &replicated(2, 2)).await.unwrap();
    let more = VolumeExpandRequest { expand_size_gib: 3, ..VolumeExpandRequest::default() };
    done(&client, client.volume_expand(grown.id, more).await.unwrap()).await.unwrap();
    let clone = VolumeCloneRequest { name: "a-clone".to_owned() };
    done(&client, client.volume_clone(first.id, &clone).await.unwrap()).await.unwrap();
    create(&client, &VolumeCreateRequest { block: true, ..replicated(20, 3) }).await.unwrap();
    let block = BlockVolumeCreateRequest {
        size_gib: 2,
        name: "disk".into(),
        auth: true,
        ..BlockVolumeCreateRequest::default()
    };
    done(&client, client.block_volume_create(&block).await.unwrap()).await.unwrap();

    let idle = client.node(nodes[5].id).await.unwrap().devices[1].id;
    let offline = StateRequest { state: "offline".into(), ..StateRequest::default() };
    done(&client, client.device_set_state(idle, &offline).await.unwrap()).await.unwrap();
    done(&client, client.node_set_state(nodes[4].id, &offline).await.unwrap()).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    cluster
}

fn store(cluster: &Cluster) -> std::path::PathBuf {
    Layout(cluster.installation.data_dir()).store()
}

async fn works_on(cluster: &Cluster) {
    cluster.until_all_able().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let more = VolumeExpandRequest { expand_size_gib: 1, ..VolumeExpandRequest::default() };
    done(&client, client.volume_expand(volume.id, more).await.unwrap()).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_is_gone_comes_back_the_same() {
    let mut cluster = rich().await;
    let before = seen(&cluster.client().unwrap()).await;
    assert_eq!(before.passwords.len(), 1, "there is a password to bring back");
    let hosts = cluster.footprints();
    cluster.installation.kill_coordinator().await;
    std::fs::remove_dir_all(store(&cluster)).unwrap();

    let refused = format!("{:#}", cluster.installation.start_coordinator().await.unwrap_err());
    assert!(refused.contains("rebuild") && refused.contains("import"), "{refused}");

    cluster.installation.command(&["rebuild"]).await.unwrap();
    assert!(!store(&cluster).exists(), "without --apply nothing is written");
    cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    assert_eq!(cluster.footprints(), hosts, "no host was changed");
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(seen(&cluster.client().unwrap()).await, before);
    cluster.installation.until_kept().await.unwrap();
    works_on(&cluster).await;
}

/// Three hosts with a volume.
async fn three() -> Cluster {
    let cluster = Cluster::start(3, 1, ByteSize::from_gib(32).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    cluster
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            std::fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}

/// Flips a bit of one byte that is not zero, so that it lies in what was written: the one at that part of all of them.
fn flip(file: &Path, thousandth: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    bytes[written[written.len() * thousandth / 1000]] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_store_with_a_flipped_byte_is_refused_and_comes_back_the_same() {
    let mut cluster = three().await;
    let before = seen(&cluster.client().unwrap()).await;
    cluster.installation.stop_coordinator().await;
    let (store, good) = (store(&cluster), cluster.installation.data_dir().join("good"));
    copy(&store, &good);
    let mut refused = 0;
    for (file, thousandth) in
        [("high-water", 500), ("sled/db", 1), ("sled/db", 200), ("sled/db", 500), ("sled/db", 800), ("sled/db", 990)]
    {
        std::fs::remove_dir_all(&store).unwrap();
        copy(&good, &store);
        flip(&store.join(file), thousandth);
        match cluster.installation.start_coordinator().await {
            // A byte that nobody reads: what was replaced later.
            Ok(()) => {}
            Err(error) => {
                let text = format!("{error:#}");
                assert!(text.contains("is damaged"), "{file} {thousandth}: {text}");
                refused += 1;
                cluster.installation.command(&["rebuild", "--apply", "--set-aside"]).await.unwrap();
                cluster.installation.start_coordinator().await.unwrap();
            }
        }
        cluster.until_all_able().await.unwrap();
        cluster.until_ledger_is_lvms().await.unwrap();
        assert_eq!(seen(&cluster.client().unwrap()).await, before, "{file} {thousandth}");
        cluster.installation.stop_coordinator().await;
    }
    assert!(refused >= 2, "{refused} were refused");
    let aside = std::fs::read_dir(cluster.installation.data_dir()).unwrap();
    let aside = aside.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
    assert_eq!(aside.count(), refused, "no store was deleted");
}

#[tokio::test]
async fn an_older_copy_of_the_store_is_found_out_and_overwrites_nothing_that_hosts_keep() {
    let mut cluster = three().await;
    cluster.installation.stop_coordinator().await;
    let export = cluster.installation.data_dir().join("last-week.jsonl");
    cluster.installation.command(&["export", export.to_str().unwrap()]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    let client = cluster.client().unwrap();
    create(&client, &VolumeCreateRequest { gid: 7, ..replicated(1, 3) }).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    let before = seen(&client).await;

    cluster.installation.stop_coordinator().await;
    std::fs::remove_dir_all(store(&cluster)).unwrap();
    cluster.installation.command(&["import", export.to_str().unwrap()]).await.unwrap();
    for _ in 0..2 {
        // It is remembered over a restart.
        cluster.installation.start_coordinator().await.unwrap();
        cluster.until_all_able().await.unwrap();
        cluster.installation.until_behind().await.unwrap();
        cluster.installation.stop_coordinator().await;
    }
    cluster.installation.command(&["rebuild", "--apply", "--set-aside"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(seen(&cluster.client().unwrap()).await, before);
    cluster.installation.until_kept().await.unwrap();
    works_on(&cluster).await;
}

/// What is exported of the store as it is now. The coordinator is stopped.
async fn exported(cluster: &mut Cluster) -> String {
    cluster.installation.stop_coordinator().await;
    let export = cluster.installation.data_dir().join("last-week.jsonl").to_str().unwrap().to_owned();
    cluster.installation.command(&["export", &export]).await.unwrap();
    export
}

/// In place of the store that is there. The coordinator is stopped.
async fn import(cluster: &mut Cluster, export: &str) {
    cluster.installation.stop_coordinator().await;
    std::fs::remove_dir_all(store(cluster)).unwrap();
    cluster.installation.command(&["import", export]).await.unwrap();
}

async fn codes(client: &Client) -> Vec<String> {
    client.doctor().await.unwrap().findings.into_iter().map(|finding| finding.code).collect()
}

#[tokio::test]
async fn what_is_kept_longer_than_an_older_copy_knows_does_not_go_with_the_copys_time() {
    let decide = |policy: &mut bricklayer_coordinator::ops::Policy| policy.trash_look = Duration::from_millis(50);
    let mut cluster = Cluster::start_with(3, 1, ByteSize::from_gib(32).unwrap(), decide).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    done(&client, client.volume_delete_keeping(volume.id, Some("25s")).await.unwrap()).await.unwrap();
    let over = client.trash().await.unwrap().volumes[0].until;
    let export = exported(&mut cluster).await;
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    let client = cluster.client().unwrap();
    done(&client, client.volume_undelete(volume.id).await.unwrap()).await.unwrap();
    done(&client, client.volume_delete_keeping(volume.id, Some("30d")).await.unwrap()).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    let hosts = cluster.footprints();

    import(&mut cluster, &export).await;
    cluster.installation.start_coordinator().await.unwrap();
    cluster.installation.until_behind().await.unwrap();
    let client = cluster.client().unwrap();
    until("the older time is over, and was looked at", async || {
        Ok(client.doctor().await?.at.duration_since(over).as_secs() > 1)
    })
    .await
    .unwrap();
    assert_eq!(client.trash().await.unwrap().volumes.len(), 1);
    cluster.installation.stop_coordinator().await;
    assert_eq!(cluster.footprints(), hosts, "no host was changed");

    cluster.installation.command(&["rebuild", "--apply", "--set-aside"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    let client = cluster.client().unwrap();
    assert!(client.trash().await.unwrap().volumes[0].until.duration_since(over).as_hours() > 29 * 24);
    done(&client, client.volume_undelete(volume.id).await.unwrap()).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
}

#[tokio::test]
async fn an_older_copy_refuses_changes_and_goes_on_with_nothing_that_was_under_way_in_it() {
    let mut cluster = three().await;
    let faults = cluster.host("gfs1").faults().clone();
    faults.count_anew();
    faults.inject(At::Effect(2), Fault::Holds);
    drop(cluster.client().unwrap().volume_create(&replicated(1, 3)).await.unwrap());
    faults.until_one_hangs().await;
    let export = exported(&mut cluster).await;
    faults.release();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    let client = cluster.client().unwrap();
    let is_done = |client: &Client| {
        let client = client.clone();
        async move { client.operations().await.map(|list| list.operations.iter().all(|one| one.finished.is_some())) }
    };
    until("the create has ended", async || Ok(is_done(&client).await?)).await.unwrap();
    let made = client.volumes().await.unwrap().volumes;
    assert_eq!(made.len(), 2);
    for id in made {
        delete(&client, id).await.unwrap();
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    let hosts = cluster.footprints();

    import(&mut cluster, &export).await;
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.installation.until_behind().await.unwrap();
    let client = cluster.client().unwrap();
    let ClientError::Refused { status, text, .. } = client.volume_create(&replicated(1, 3)).await.unwrap_err() else {
        panic!("not refused by the coordinator")
    };
    assert!(status == 503 && text.contains("older copy") && text.contains("rebuild"), "{status} {text}");
    assert!(codes(&client).await.contains(&"store-older-copy".to_owned()), "{:?}", codes(&client).await);
    assert!(!is_done(&client).await.unwrap(), "what was under way in the copy has not ended");
    cluster.installation.stop_coordinator().await;
    assert_eq!(cluster.footprints(), hosts, "no host was changed");
}

/// A store that was imported while `gfs3` is away, with a volume in the trash whose time is over.
async fn imported_with_a_host_away() -> Cluster {
    let decide = |policy: &mut bricklayer_coordinator::ops::Policy| policy.trash_look = Duration::from_millis(50);
    let mut cluster = Cluster::start_with(3, 1, ByteSize::from_gib(32).unwrap(), decide).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    done(&client, client.volume_delete_keeping(volume.id, Some("4s")).await.unwrap()).await.unwrap();
    let over = client.trash().await.unwrap().volumes[0].until;
    let export = exported(&mut cluster).await;
    cluster.agent("gfs3").stop().await;
    import(&mut cluster, &export).await;
    cluster.installation.start_coordinator().await.unwrap();
    for name in ["gfs1", "gfs2"] {
        cluster.until_able(name).await.unwrap();
    }
    let client = cluster.client().unwrap();
    until("its time is over, and one host is waited for", async || {
        let seen = client.doctor().await?;
        let waits = seen.findings.iter().find(|finding| finding.code == "store-restored");
        let names_one = waits.is_some_and(|finding| finding.what.contains("and gfs3 may have seen"));
        Ok(names_one && seen.at.duration_since(over).as_secs() > 1)
    })
    .await
    .unwrap();
    assert_eq!(client.trash().await.unwrap().volumes.len(), 1);
    cluster
}

/// Waits until the imported store is taken for the newest, and does what waited for that.
async fn until_believed(cluster: &Cluster) {
    let client = cluster.client().unwrap();
    until("what lay in the trash has gone", async || Ok(client.trash().await?.volumes.is_empty())).await.unwrap();
    assert!(!codes(&client).await.contains(&"store-restored".to_owned()));
}

#[tokio::test]
async fn an_imported_store_does_nothing_by_itself_before_a_host_that_was_away_is_heard() {
    let mut cluster = imported_with_a_host_away().await;
    cluster.agent("gfs3").start().await.unwrap();
    until_believed(&cluster).await;
    cluster.installation.until_kept().await.unwrap();
}

#[tokio::test]
async fn an_imported_store_goes_on_without_a_host_that_is_away_where_a_person_says_so() {
    let mut cluster = imported_with_a_host_away().await;
    cluster.installation.stop_coordinator().await;
    cluster.installation.command(&["accept-import"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    until_believed(&cluster).await;
}

#[tokio::test]
async fn a_machine_that_is_gone_comes_back_from_what_one_host_keeps_and_the_recovery_key() {
    let mut cluster = three().await;
    let before = seen(&cluster.client().unwrap()).await;
    cluster.installation.kill_coordinator().await;
    let old = cluster.installation.data_dir().to_owned();
    std::fs::remove_dir_all(&old).unwrap();
    let new = old.with_file_name("another-machine");
    cluster.installation.move_to(new.clone());

    let (bundle, key) = (old.with_file_name("bundle.json"), old.with_file_name("key"));
    let (bundle_text, key_text) = (bundle.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned());
    cluster.agent("gfs2").command(&["bundle", &bundle_text]).await.unwrap();
    let again = cluster.agent("gfs2").command(&["bundle", &bundle_text]).await.unwrap_err();
    assert!(format!("{again:#}").contains("cannot be made"), "{again:#}");
    let recover = ["recover", "--bundle", &bundle_text, "--recovery-key-file", &key_text];
    let right = cluster.installation.recovery_key().to_owned();
    let other = bricklayer_coordinator::pki::RecoveryKey::random().to_text();
    for (wrong, why) in [(other, "does not open"), (right[..20].to_owned(), "of its 56"), (String::new(), "0 of its")] {
        std::fs::write(&key, wrong).unwrap();
        let refused = format!("{:#}", cluster.installation.command(&recover).await.unwrap_err());
        assert!(refused.contains(why), "{refused}");
        assert!(!new.exists(), "nothing was written");
    }
    std::fs::write(&key, right.to_lowercase()).unwrap();
    cluster.installation.command(&recover).await.unwrap();
    cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(seen(&cluster.client().unwrap()).await, before);
    works_on(&cluster).await;
}

#[tokio::test]
async fn a_host_that_is_away_is_named_and_can_be_left_out() {
    let mut cluster = three().await;
    let before = seen(&cluster.client().unwrap()).await;
    cluster.installation.kill_coordinator().await;
    std::fs::remove_dir_all(store(&cluster)).unwrap();
    cluster.agent("gfs3").stop().await;
    let refused = cluster.installation.command(&["rebuild", "--apply", "--wait", "3"]).await.unwrap_err();
    assert!(format!("{refused:#}").contains("--without gfs3"), "{refused:#}");
    assert!(!store(&cluster).exists());
    cluster.installation.command(&["rebuild", "--apply", "--without", "gfs3"]).await.unwrap();
    cluster.agent("gfs3").start().await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(seen(&cluster.client().unwrap()).await, before);
    works_on(&cluster).await;
}

#[tokio::test]
async fn a_creation_that_was_under_way_leaves_bricks_that_are_told_and_not_destroyed() {
    let mut cluster = three().await;
    let before = seen(&cluster.client().unwrap()).await;
    let faults = cluster.host("gfs1").faults().clone();
    faults.count_anew();
    faults.inject(At::Effect(2), Fault::Holds);
    let client = cluster.client().unwrap();
    drop(client.volume_create(&replicated(1, 3)).await.unwrap());
    faults.until_one_hangs().await;
    cluster.installation.kill_coordinator().await;
    faults.release();
    std::fs::remove_dir_all(store(&cluster)).unwrap();
    cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    let hosts = cluster.footprints();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let after = seen(&cluster.client().unwrap()).await;
    assert_eq!(cluster.client().unwrap().volumes().await.unwrap().volumes.len(), 1);
    assert_ne!(after.topology, before.topology, "less is free");
    assert_eq!(cluster.footprints(), hosts);
    works_on(&cluster).await;
}

#[tokio::test]
async fn disks_alone_give_back_every_volume_where_hosts_keep_nothing() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let options = vec!["nfs.disable on".to_owned()];
    create(&client, &VolumeCreateRequest { gid: 9, gluster_volume_options: options, ..replicated(1, 2) })
        .await
        .unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let before = seen(&client).await;
    cluster.installation.kill_coordinator().await;
    std::fs::remove_dir_all(store(&cluster)).unwrap();
    for name in ["gfs1", "gfs2", "gfs3"] {
        std::fs::remove_dir_all(cluster.agent(name).data_dir().join("keepsakes")).unwrap();
    }
    cluster.installation.command(&["rebuild", "--apply", "--wait", "5"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let after = seen(&cluster.client().unwrap()).await;
    assert_eq!(after.topology, before.topology, "zone 1, online and no tags is what these hosts had");
    works_on(&cluster).await;
}

#[tokio::test]
async fn a_revoked_agent_stays_revoked() {
    let mut cluster = three().await;
    let client = cluster.client().unwrap();
    let node = client.node(client.topology().await.unwrap().clusters[0].nodes[2].id).await.unwrap();
    client.agent_revoke(&node.hostnames.manage[0].parse().unwrap()).await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    cluster.installation.kill_coordinator().await;
    std::fs::remove_dir_all(store(&cluster)).unwrap();
    cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    let agents = cluster.client().unwrap().agents().await.unwrap().agents;
    let revoked: Vec<_> = agents.iter().filter(|agent| agent.state == AgentState::Revoked).collect();
    assert_eq!(
        revoked.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(),
        [node.hostnames.manage[0].as_str()]
    );
}
