//! The coordinator's store is gone, damaged or old; the hosts give the state back. Real coordinator, real agents over
//! mutual TLS, simulated hosts.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use bricklayer_api::client::Client;
use bricklayer_api::heketi::{
    BlockVolumeCreateRequest, ClusterFlags, DeviceAddRequest, Disperse, DurabilityRequest, HostAddresses,
    NodeAddRequest, Snapshot, SnapshotFactor, StateRequest, TagsChangeRequest, VolumeCloneRequest, VolumeCreateRequest,
    VolumeExpandRequest,
};
use bricklayer_coordinator::recovery;
use bricklayer_coordinator::service::Layout;
use bricklayer_proto::ids::InstallationId;
use bricklayer_proto::keepsake::KeepsakeKind;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::{Cluster, until};
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
