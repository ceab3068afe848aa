//! What `/v1/doctor` finds on whole simulated clusters: everything that is broken on a host by hand, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use bricklayer_agent::host::Host as _;
use bricklayer_api::client::Client;
use bricklayer_api::heketi::{Brick, VolumeInfo};
use bricklayer_api::v1::{Finding, Severity};
use bricklayer_proto::names::{LvName, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::SimDisk;
use bricklayer_tests::sim::lvm::Group;
use bricklayer_tests::story::{create, delete, replicated};

async fn cluster() -> Cluster {
    let cluster = Cluster::start(3, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

/// Waits until exactly these are found, and gives them.
async fn found(client: &Client, codes: &[&str]) -> Vec<Finding> {
    let mut last = Vec::new();
    let what = format!("the doctor finds {codes:?}");
    let found = until(&what, async || {
        last = client.doctor().await?.findings;
        let seen: Vec<&str> = last.iter().map(|finding| finding.code.as_str()).collect();
        anyhow::ensure!(seen == codes, "it finds {last:?}");
        Ok(true)
    });
    found.await.unwrap();
    last
}

#[tokio::test]
async fn nothing_is_amiss_on_a_cluster_on_which_nothing_was_broken() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    found(&client, &[]).await;
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    found(&client, &[]).await;
    let diagnosis = client.doctor().await.unwrap();
    assert_eq!((diagnosis.examined.nodes, diagnosis.examined.devices, diagnosis.examined.bricks), (3, 3, 3));
    delete(&client, volume.id).await.unwrap();
    found(&client, &[]).await;
}

#[tokio::test]
async fn a_host_that_is_away_is_one_finding_and_its_peers_miss_it() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    cluster.power_cut("gfs2").await;
    cluster.host("gfs1").edit_fstab(|text| text.push_str("# looked at\n"));
    let away = found(&client, &["agent-away"]).await;
    assert_eq!((away[0].host.as_str(), away[0].severity), ("gfs2", Severity::Error));
    assert!(away[0].cure.contains("bricklayer node lost gfs2"), "{away:?}");
    cluster.power_on("gfs2").await.unwrap();
    found(&client, &[]).await;
}

#[tokio::test]
async fn glusterd_that_is_down_is_found_and_how_to_start_it() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    cluster.host("gfs3").stop_glusterd();
    looked_at_again(&mut cluster, "gfs3").await;
    let down = found(&client, &["glusterd-down"]).await;
    assert!(down[0].cure.contains("on gfs3: `systemctl start glusterd`"), "{down:?}");
}

#[tokio::test]
async fn a_line_of_fstab_that_somebody_took_away_is_found_and_comes_back_with_the_agent() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    cluster.agent("gfs1").kill().await;
    cluster.host("gfs1").edit_fstab(String::clear);
    let power = cluster.host("gfs1").clone();
    power.power_cut();
    cluster.power_on("gfs1").await.unwrap();
    // Bringing the bricks up at boot writes the line again.
    found(&client, &[]).await;
    cluster.volume_is_whole(volume.id).await.unwrap();
}

async fn on_host(client: &Client, volume: &VolumeInfo, name: &str) -> Brick {
    let topology = client.topology().await.unwrap();
    let node = topology.clusters[0].nodes.iter().find(|node| node.hostnames.manage[0] == name).unwrap();
    volume.bricks.iter().find(|brick| brick.node == node.id).unwrap().clone()
}

/// The agent reports anew when it attaches. It brings up what should be up only when its host boots.
async fn looked_at_again(cluster: &mut Cluster, name: &str) {
    cluster.agent(name).kill().await;
    cluster.agent(name).start().await.unwrap();
}

#[tokio::test]
async fn a_brick_that_somebody_marked_by_hand_is_found_with_its_volume() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let brick = on_host(&client, &volume, "gfs1").await;
    let group: VgName = format!("vg_{}", brick.device).parse().unwrap();
    let lv: LvName = format!("brick_{}", brick.id).parse().unwrap();
    let host = cluster.host("gfs1").clone();
    host.add_volume_tag(&group, &lv, &"bricklayer.condemned".parse().unwrap()).await.unwrap();
    looked_at_again(&mut cluster, "gfs1").await;
    let amiss = found(&client, &["brick-condemned"]).await;
    assert_eq!(amiss[0].subject, brick.id.to_string());
    assert!(amiss[0].what.contains(&format!("of volume {}", volume.name)), "{amiss:?}");
}

#[tokio::test]
async fn a_disk_that_was_pulled_out_is_one_finding_whatever_was_on_it() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    cluster.power_cut("gfs2").await;
    let disk = cluster.host("gfs2").unplug(&"/dev/sdb".parse().unwrap()).unwrap();
    cluster.power_on("gfs2").await.unwrap();
    let missing = found(&client, &["group-missing"]).await;
    assert!(missing[0].cure.contains("bricklayer device lost gfs2:/dev/sdb"), "{missing:?}");
    cluster.power_cut("gfs2").await;
    cluster.host("gfs2").plug(disk);
    cluster.power_on("gfs2").await.unwrap();
    found(&client, &[]).await;
}

#[tokio::test]
async fn a_group_of_somebody_elses_on_a_host_is_no_finding() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let (name, size): (VgName, ByteSize) = ("data".parse().unwrap(), ByteSize::from_gib(8).unwrap());
    let group = Group::new(name, size, ExtentSize::FOUR_MIB, &[]);
    cluster.host("gfs1").plug(SimDisk::new(&"/dev/sdx".parse().unwrap(), size).group(group));
    found(&client, &[]).await;
}
