//! Thin pools that need a person, and hosts that cannot check theirs.

use bricklayer_api::client::Client;
use bricklayer_proto::names::LvName;
use bricklayer_proto::task::FailureKind;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::rig::{self, Rig};
use bricklayer_tests::story::{create, done, replicated};

/// Waits until exactly these are found.
async fn found(client: &Client, codes: &[&str]) {
    until(&format!("the doctor finds {codes:?}"), async || {
        let findings = client.doctor().await?.findings;
        Ok(findings.iter().map(|finding| finding.code.as_str()).eq(codes.iter().copied()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_device_with_a_pool_that_needs_a_check_is_told_and_gets_no_bricks_until_it_is_well() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(1, 3)).await.unwrap();
    let brick = volume.bricks[0].clone();
    let topology = client.topology().await.unwrap();
    let name = topology.clusters[0].nodes.iter().find(|one| one.id == brick.node).unwrap().hostnames.manage[0].clone();
    let pool = LvName::of_pool(brick.id);
    cluster.host(&name).say_of_pool(&pool, Some("it needs a check"));
    found(&client, &["pool-fails"]).await;
    let finding = client.doctor().await.unwrap().findings.remove(0);
    assert!(finding.what.contains(&format!("{pool} on")) && finding.what.ends_with("it needs a check"), "{finding:?}");
    assert!(finding.cure.contains("bricklayer brick evict"), "{finding:?}");
    let refused = create(&client, &replicated(1, 3)).await.unwrap_err().to_string();
    assert!(refused.contains("a thin pool on it needs a check"), "{refused}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    cluster.host(&name).say_of_pool(&pool, None);
    found(&client, &[]).await;
    create(&client, &replicated(1, 3)).await.unwrap();
}

#[tokio::test]
async fn a_host_that_cannot_check_its_thin_pools_is_told_and_gets_none_beside_those_that_it_has() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    create(&client, &replicated(1, 3)).await.unwrap();
    let host = cluster.host("gfs2");
    host.install_thin_check(false);
    found(&client, &["thin-tool-missing"]).await;
    let refused = create(&client, &replicated(1, 3)).await.unwrap_err().to_string();
    assert!(refused.contains("its node lacks thin_check"), "{refused}");
    host.install_thin_check(true);
    found(&client, &[]).await;
    let accepted = client.volume_create(&replicated(1, 3)).await.unwrap();
    done(&client, accepted).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_thin_pools_cannot_be_checked_none_is_made_and_thick_bricks_are() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0)], &"device").await;
    rig.hosts[0].install_thin_check(false);
    let faults = rig.hosts[0].faults();
    faults.count_anew();
    let refused = rig.ask(&rig::brick(0, 1)).await.unwrap_err();
    assert_eq!((refused.kind, faults.effects()), (FailureKind::Refused, 0), "{refused:?}");
    assert!(refused.message.contains("thin_check is not installed"), "{refused:?}");
    assert!(refused.cure.unwrap_or_default().contains("thin-provisioning-tools"));
    let thick = bricklayer_proto::task::Wanted::Brick(rig::thick(rig::brick_spec(0, 1)));
    rig.ask_all(&[(0, thick)], &"a thick one").await;
}
