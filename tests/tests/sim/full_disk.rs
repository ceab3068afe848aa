//! Hosts whose own disk is full: nothing new is made there, everything else goes on.

use bricklayer_api::client::Client;
use bricklayer_api::v1::Severity;
use bricklayer_proto::size::{ByteSize, GIB, MIB};
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Call, Fault};
use bricklayer_tests::story::{create, delete, done, replicated};

const FULL: ByteSize = ByteSize::from_bytes(10 * MIB);
const ROOMY: ByteSize = ByteSize::from_bytes(8 * GIB);

/// Waits until exactly these are found, on that host.
async fn found(client: &Client, host: &str, codes: &[(&str, Severity)]) {
    until(&format!("the doctor finds {codes:?}"), async || {
        let findings = client.doctor().await?.findings;
        let seen: Vec<_> = findings.iter().map(|finding| (finding.code.as_str(), finding.severity)).collect();
        anyhow::ensure!(seen == codes, "it finds {findings:?}");
        Ok(findings.iter().all(|finding| finding.host == host && finding.what.contains("/var/lib/bricklayer")))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_host_whose_own_disk_is_full_gets_no_bricks_serves_on_and_gives_back_what_it_has() {
    let cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let before = create(&client, &replicated(1, 3)).await.unwrap();
    // One that has a brick.
    let node = before.bricks[0].node;
    let topology = client.topology().await.unwrap();
    let name = topology.clusters[0].nodes.iter().find(|one| one.id == node).unwrap().hostnames.manage[0].clone();
    let host = cluster.host(&name);
    host.leave_on_own_disk(ByteSize::from_bytes(100 * MIB));
    found(&client, &name, &[("agent-disk-fills-up", Severity::Warning)]).await;
    host.leave_on_own_disk(FULL);
    found(&client, &name, &[("agent-disk-full", Severity::Error)]).await;

    for _ in 0..3 {
        let volume = create(&client, &replicated(1, 3)).await.unwrap();
        assert!(volume.bricks.iter().all(|brick| brick.node != node), "{:?}", volume.bricks);
    }
    cluster.volume_is_whole(before.id).await.unwrap();
    delete(&client, before.id).await.unwrap();

    host.leave_on_own_disk(ROOMY);
    found(&client, &name, &[]).await;
    cluster.ledger_is_lvms().await.unwrap();
}

#[tokio::test]
async fn a_create_that_meets_a_disk_that_has_just_become_full_is_undone_with_the_reason() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let host = cluster.host("gfs1");
    host.leave_on_own_disk(FULL);
    let refused = create(&client, &replicated(1, 3)).await.unwrap_err().to_string();
    assert!(refused.contains("own disk is full") && refused.contains("/var/lib/bricklayer"), "{refused}");
    found(&client, "gfs1", &[("agent-disk-full", Severity::Error)]).await;
    host.leave_on_own_disk(ROOMY);
    found(&client, "gfs1", &[]).await;
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
    create(&client, &replicated(1, 3)).await.unwrap();
}

/// Its task is in the journal, and its other half is worth more than a little space.
#[tokio::test]
async fn a_create_in_the_middle_of_which_a_disk_becomes_full_is_finished() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let host = cluster.host("gfs1").clone();
    host.faults().inject(At::Next(Call::MakeXfs), Fault::HangsBefore);
    let accepted = client.volume_create(&replicated(1, 3)).await.unwrap();
    host.faults().until_one_hangs().await;
    cluster.agent("gfs1").kill().await;
    host.leave_on_own_disk(FULL);
    cluster.agent("gfs1").start().await.unwrap();
    let volume = done(&client, accepted).await.unwrap();
    cluster.until_able("gfs1").await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
}
