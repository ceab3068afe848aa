//! Hosts whose fstab cannot be written: found out before LVM's work, told, and passed over.

use bricklayer_api::v1::Severity;
use bricklayer_proto::task::FailureKind;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::rig::{self, Rig};
use bricklayer_tests::story::{create, replicated};

#[tokio::test(start_paused = true)]
async fn a_brick_whose_line_could_not_be_written_is_refused_before_anything_is_done() {
    let rig = Rig::new(1);
    rig.ask_all(&[rig::device(0)], &"device").await;
    rig.hosts[0].fix_fstab(true);
    let faults = rig.hosts[0].faults();
    faults.count_anew();
    for _ in 0..2 {
        let refused = rig.ask(&rig::brick(0, 1)).await.unwrap_err();
        assert_eq!((refused.kind, faults.effects()), (FailureKind::Refused, 0), "{refused:?}");
        assert!(refused.message.contains("/etc/fstab") && refused.message.contains("Read-only"), "{refused:?}");
        assert!(refused.cure.unwrap_or_default().contains("remount,rw"));
    }
    rig.hosts[0].fix_fstab(false);
    rig.ask_all(&[rig::brick(0, 1)], &"writable").await;
    // A brick that is there needs no look.
    rig.hosts[0].fix_fstab(true);
    assert!(!rig.ask(&rig::brick(0, 1)).await.unwrap().changed);
}

#[tokio::test]
async fn a_host_whose_fstab_cannot_be_written_is_told_and_gets_no_bricks_until_it_can() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let host = cluster.host("gfs2");
    let before = cluster.footprints();
    host.fix_fstab(true);
    // Be it told by the host itself or, once that is reported, by placement.
    let refused = create(&client, &replicated(1, 3)).await.unwrap_err().to_string();
    assert!(refused.contains("fstab"), "{refused}");
    let found = async |codes: &[&str]| {
        until(&format!("the doctor finds {codes:?}"), async || {
            let findings = client.doctor().await?.findings;
            let seen: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
            Ok(seen == codes && findings.iter().all(|one| one.host == "gfs2" && one.severity == Severity::Error))
        })
        .await
        .unwrap();
    };
    found(&["fstab-unwritable"]).await;
    let refused = create(&client, &replicated(1, 3)).await.unwrap_err().to_string();
    assert!(refused.contains("its node's fstab cannot be changed"), "{refused}");
    assert_eq!(cluster.footprints(), before, "nothing was begun");
    host.fix_fstab(false);
    found(&[]).await;
    create(&client, &replicated(1, 3)).await.unwrap();
    cluster.nothing_was_violated();
}
