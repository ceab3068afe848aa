//! A thin pool that fills up with snapshots while clients write, on real hosts: it is extended before it is full, and what
//! was written is all there.

use std::time::Duration;

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;
use serde_json::Value;

/// The size of every pool in MiB, by host.
fn pools(lab: &Lab) -> Vec<u64> {
    let size = |host: &str| {
        let said = lab.on(host, "lvs --noheadings --nosuffix --units m -o lv_size -S segtype=thin-pool").unwrap();
        let whole = said.trim().split('.').next().unwrap_or_default();
        whole.parse::<u64>().unwrap_or_else(|_| panic!("{host} has one pool: {said}"))
    };
    ["gfs1", "gfs2", "gfs3"].map(size).to_vec()
}

/// Some of six files of 100 MiB anew; all of them are more than half of the volume.
fn write(lab: &Lab, files: &str) {
    let script = format!(
        "cd /mnt/volume && for number in {files}; do \
         dd if=/dev/urandom of=file$number bs=1M count=100 conv=fsync status=none || exit 1; done"
    );
    lab.on("client", &script).unwrap();
}

/// The checksums of the files, beside them.
fn sum(lab: &Lab, round: u32) {
    lab.on("client", &format!("cd /mnt/volume && sha256sum file* >sums.{round} && sync")).unwrap();
}

/// What the coordinator was told of the pools.
fn told(lab: &Lab) -> Vec<Value> {
    let list: Value = serde_json::from_str(&lab.bricklayer(&["pool", "list", "-o", "json"]).unwrap()).unwrap();
    list["pools"].as_array().unwrap().clone()
}

fn verify(lab: &Lab, round: u32) {
    lab.on(
        "client",
        &format!("cd /mnt/volume && echo 3 >/proc/sys/vm/drop_caches && sha256sum -c --quiet sums.{round}"),
    )
    .unwrap();
}

#[test]
fn a_pool_that_snapshots_fill_is_extended_while_clients_write_and_nothing_is_lost() {
    let lab = Lab::up("pools", &["--client"]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let volume = scenario::create_volume(&lab, &["--size=1", "--replica=3"]).unwrap();
    scenario::mount(&lab, &volume).unwrap();
    let before = pools(&lab);
    assert!(before.iter().all(|size| *size == 1024), "{before:?}");

    write(&lab, "1 2 3 4 5 6");
    sum(&lab, 1);
    verify(&lab, 1);
    assert_eq!(pools(&lab), before, "a pool that cannot overflow is left as it is");
    lab.on("gfs1", &format!("gluster --mode=script snapshot create monday {} no-timestamp", volume.name)).unwrap();
    let can_overflow = |pool: &Value| pool["promised_bytes"].as_u64() > pool["size_bytes"].as_u64();
    lab.wait_for("the coordinator sees that the pools can overflow", Duration::from_secs(120), || {
        let told = told(&lab);
        Ok(told.len() == 3 && told.iter().all(can_overflow))
    })
    .unwrap();
    // What was there is kept for the snapshot, so that what is written anew comes on top, and the pool passes its mark.
    write(&lab, "1 2 3");
    lab.wait_for("all pools are extended", Duration::from_secs(300), || {
        Ok(pools(&lab).iter().zip(&before).all(|(now, then)| now > then))
    })
    .unwrap();
    // This would not have fitted into the pool as it was.
    write(&lab, "4 5 6");
    sum(&lab, 2);
    verify(&lab, 2);
    for host in ["gfs1", "gfs2", "gfs3"] {
        let full = lab.on(host, "lvs --noheadings -o data_percent -S segtype=thin-pool").unwrap();
        assert!(full.trim().parse::<f64>().is_ok_and(|percent| percent < 100.0), "{host}: {full}");
    }
    let shown = lab.bricklayer(&["pool", "list"]).unwrap();
    assert!(shown.contains(&volume.name), "{shown}");
    scenario::assert_ledger_is_vgs(&lab).unwrap();

    lab.on("client", "umount /mnt/volume").unwrap();
    lab.on("gfs1", "gluster --mode=script snapshot delete monday").unwrap();
    lab.bricklayer(&["volume", "delete", &volume.name]).unwrap();
    scenario::assert_no_bricks(&lab).unwrap();
}
