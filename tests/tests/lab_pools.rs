//! A thin pool that fills up with snapshots while clients write, on real hosts: it is extended before it is full, and what
//! was written is all there.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;

/// The size of every pool in MiB, by host.
fn pools(lab: &Lab) -> Vec<u64> {
    let size = |host: &str| {
        let said = lab.on(host, "lvs --noheadings --nosuffix --units m -o lv_size -S segtype=thin-pool").unwrap();
        let whole = said.trim().split('.').next().unwrap_or_default();
        whole.parse::<u64>().unwrap_or_else(|_| panic!("{host} has one pool: {said}"))
    };
    ["gfs1", "gfs2", "gfs3"].map(size).to_vec()
}

/// Half of the volume in files with their checksums beside them; `round` makes them others.
fn write(lab: &Lab, round: u32) {
    let script = format!(
        "cd /mnt/volume && for number in 1 2 3 4 5 6; do \
         dd if=/dev/urandom of=file$number bs=1M count=100 conv=fsync status=none || exit 1; done \
         && sha256sum file* >sums.{round} && sync"
    );
    lab.on("client", &script).unwrap();
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

    write(&lab, 1);
    verify(&lab, 1);
    assert_eq!(pools(&lab), before, "a pool that cannot overflow is left as it is");
    lab.on("gfs1", &format!("gluster --mode=script snapshot create monday {} no-timestamp", volume.name)).unwrap();
    // As much again: what was there is kept for the snapshot, so that the pool passes its mark.
    write(&lab, 2);
    lab.wait_for("all pools are extended", Duration::from_secs(300), || {
        Ok(pools(&lab).iter().zip(&before).all(|(now, then)| now > then))
    })
    .unwrap();
    verify(&lab, 2);
    // This would not have fitted into the pool as it was.
    write(&lab, 3);
    verify(&lab, 3);
    let full = lab.on("gfs1", "lvs --noheadings -o data_percent -S segtype=thin-pool").unwrap();
    assert!(full.trim().parse::<f64>().is_ok_and(|percent| percent < 100.0), "{full}");
    let shown = lab.bricklayer(&["pool", "list"]).unwrap();
    assert!(shown.contains(&volume.name), "{shown}");
    scenario::assert_ledger_is_vgs(&lab).unwrap();

    lab.on("client", "umount /mnt/volume").unwrap();
    lab.on("gfs1", "gluster --mode=script snapshot delete monday").unwrap();
    lab.bricklayer(&["volume", "delete", &volume.name]).unwrap();
    scenario::assert_no_bricks(&lab).unwrap();
}
