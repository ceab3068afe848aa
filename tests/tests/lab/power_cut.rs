//! Power cuts on real hosts: what comes back by itself.

use std::time::Duration;

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;

const BOOT: Duration = Duration::from_secs(90);
/// Mostly seconds; where the self-heal daemon misses the brick's return, it looks again after ten minutes.
const HEAL: Duration = Duration::from_secs(720);

#[test]
fn a_host_that_lost_power_comes_back_with_its_bricks_before_glusterd_and_heals_without_a_coordinator() {
    let lab = Lab::up("cut", &["--client"]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let volume = scenario::create_volume(&lab, &["--size=4", "--replica=3"]).unwrap();
    scenario::mount(&lab, &volume).unwrap();
    lab.on("client", "echo before >/mnt/volume/before; sync").unwrap();

    lab.must(&["kill", "gfs2"]).unwrap();
    lab.must(&["coordinator", "kill"]).unwrap();
    // Two of three bricks are a quorum: the client goes on writing.
    lab.on("client", "dd if=/dev/urandom of=/mnt/volume/meanwhile bs=64k count=64 conv=fsync 2>/dev/null").unwrap();
    let written = lab.on("client", "sha256sum </mnt/volume/meanwhile").unwrap();

    lab.must(&["start", "gfs2"]).unwrap();
    lab.wait_for("the brick of gfs2 to be mounted", BOOT, || {
        Ok(lab.on("gfs2", "findmnt -rn -t xfs -o TARGET")?.contains("/brick_"))
    })
    .unwrap();
    let log = lab.on("gfs2", "cat /var/log/boot.log").unwrap();
    let (_, last_boot) = log.rsplit_once(" boot ").unwrap();
    let at = |what: &str| last_boot.lines().position(|line| line.contains(what));
    let (ready, glusterd) = (at("bricks ready"), at("glusterd starts; XFS mounts: 1"));
    assert!(ready.is_some() && ready < glusterd, "the bricks come before glusterd:\n{last_boot}");

    let path = format!("{}/meanwhile", scenario::brick_path(&lab, "gfs2").unwrap());
    lab.wait_for("the brick of gfs2 to heal", HEAL, || Ok(lab.on("gfs2", &format!("sha256sum <{path}"))? == written))
        .unwrap();
    lab.wait_for("nothing left to heal", HEAL, || Ok(scenario::to_heal(&lab, &volume.name)?.is_none())).unwrap();

    lab.must(&["coordinator", "start"]).unwrap();
    lab.must(&["wait-ready", "gfs2"]).unwrap();
    assert!(lab.heketi(&["volume", "info", &volume.id]).unwrap().contains(&volume.name));
    scenario::assert_ledger_is_vgs(&lab).unwrap();
}
