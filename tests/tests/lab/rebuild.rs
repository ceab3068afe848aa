//! The coordinator's store is gone, on real hosts, and comes back from what they say.

use std::time::Duration;

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;

const PATIENCE: Duration = Duration::from_secs(120);

/// Everything that a person sees of what is there.
fn shown(lab: &Lab) -> anyhow::Result<Vec<String>> {
    Ok(vec![
        lab.heketi(&["topology", "info"])?,
        lab.heketi(&["volume", "list"])?,
        lab.bricklayer(&["topology", "info"])?,
        lab.bricklayer(&["volume", "info", "kept"])?,
        lab.bricklayer(&["device", "list", "-o", "wide"])?,
        lab.bricklayer(&["node", "list", "-o", "wide"])?,
    ])
}

#[test]
fn a_store_that_was_deleted_comes_back_from_the_hosts_character_by_character() {
    let lab = Lab::up("rebuild", &[]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let gid = ["--size=2", "--replica=3", "--name=kept", "--gid=2000"];
    let kept = scenario::create_volume(&lab, &gid).unwrap();
    scenario::create_volume(&lab, &["--size=1", "--replica=2"]).unwrap();
    lab.heketi(&["volume", "expand", &format!("--volume={}", kept.id), "--expand-size=1"]).unwrap();
    lab.bricklayer(&["node", "edit", "gfs3", "--zone", "7"]).unwrap();
    lab.bricklayer(&["device", "settags", "gfs2:/dev/sdb", "rack:r1"]).unwrap();
    let before = shown(&lab).unwrap();

    // The last of these changes is on every host.
    for host in ["gfs1", "gfs2", "gfs3"] {
        let has_it = "grep -rq '\"rack\":\"r1\"' /var/lib/bricklayer/keepsakes";
        lab.wait_for("the keepsake", PATIENCE, || Ok(lab.try_on(host, has_it)?.code == 0)).unwrap();
    }
    lab.must(&["coordinator", "stop"]).unwrap();
    let data = lab.dir().join("coordinator");
    std::fs::rename(data.join("store"), data.join("store.gone")).unwrap();
    let program = lab.dir().join("programs/bricklayer-coordinator");
    let words = ["net", program.to_str().unwrap(), "rebuild", "--data-dir", data.to_str().unwrap(), "--apply"];
    let said = lab.must(&words).unwrap();
    assert!(said.contains("Wrote "), "{said}");
    lab.must(&["coordinator", "start"]).unwrap();
    for host in ["gfs1", "gfs2", "gfs3"] {
        lab.wait_for("the agent", PATIENCE, || scenario::is_attached(&lab, host)).unwrap();
    }

    for (before, after) in before.iter().zip(shown(&lab).unwrap()) {
        assert_eq!(*before, after, "{said}");
    }
    scenario::assert_ledger_is_vgs(&lab).unwrap();
    scenario::assert_device_ledger(&lab, "gfs1").unwrap();
    // No operation is known any more, so every disk and brick is looked at.
    let diagnosis = lab.bricklayer(&["doctor"]).unwrap();
    assert!(diagnosis.starts_with("nothing is amiss (3 nodes, 3 devices, 5 bricks looked at)"), "{diagnosis}");
    // And it is a state to go on with.
    lab.heketi(&["volume", "expand", &format!("--volume={}", kept.id), "--expand-size=1"]).unwrap();
    lab.heketi(&["volume", "delete", &kept.id]).unwrap();
    scenario::assert_ledger_is_vgs(&lab).unwrap();
}
