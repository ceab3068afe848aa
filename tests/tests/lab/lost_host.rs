//! A real host that never comes back, and the volumes that had bricks on it.

use std::time::Duration;

use anyhow::Context as _;
use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;

/// glusterd takes most of a minute to take a host that lost power for gone.
const NOTICED: Duration = Duration::from_secs(300);

fn device_of(lab: &Lab, host: &str) -> String {
    let topology = scenario::topology(lab).unwrap();
    let nodes = topology["clusters"][0]["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["hostnames"]["manage"][0] == host).unwrap();
    node["devices"][0]["id"].as_str().unwrap().to_owned()
}

/// Of whatever layout, one copy and parity among them.
#[test]
fn volumes_of_every_layout_are_deleted_though_a_host_of_theirs_is_lost_for_ever() {
    let lab = Lab::up("lost-host", &[]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let replicated = scenario::create_volume(&lab, &["--size=1", "--replica=3"]).unwrap();
    let dispersed =
        scenario::create_volume(&lab, &["--size=2", "--durability=disperse", "--disperse-data=2", "--redundancy=1"])
            .unwrap();
    let arbiter = ["--size=1", "--replica=3", "--gluster-volume-options=user.heketi.arbiter true"];
    let arbiter = scenario::create_volume(&lab, &arbiter).unwrap();
    let bricks_there = || lab.on("gfs3", "findmnt -rn -t xfs -o TARGET | grep -c /brick_").unwrap();
    let before = bricks_there();
    let single = loop {
        let volume = scenario::create_volume(&lab, &["--size=1", "--durability=none"]).unwrap();
        if bricks_there() != before {
            break volume;
        }
    };

    lab.must(&["kill", "gfs3"]).unwrap();
    lab.wait_for("glusterd to notice", NOTICED, || Ok(lab.on("gfs1", "gluster pool list")?.contains("Disconnected")))
        .unwrap();
    // One waits for the host already.
    lab.heketi(&["volume", "delete", &replicated.id]).unwrap();
    lab.wait_for("the host to be given up", NOTICED, || {
        lab.bricklayer(&["node", "lost", "gfs3", "--confirm", "gfs3"])?;
        Ok(true)
    })
    .unwrap();
    let topology = scenario::topology(&lab).unwrap();
    for volume in topology["clusters"][0]["volumes"].as_array().unwrap() {
        lab.heketi(&["volume", "delete", volume["id"].as_str().unwrap()]).unwrap();
    }
    for volume in [&dispersed, &arbiter, &single] {
        assert!(lab.try_heketi(&["volume", "info", &volume.id]).unwrap().code != 0);
    }
    lab.wait_for("the deletions to end", NOTICED, || {
        let said: serde_json::Value = serde_json::from_str(&lab.bricklayer(&["operation", "list", "-o", "json"])?)?;
        let operations = said["operations"].as_array().context("a list")?;
        Ok(operations.iter().all(|one| one["state"] == "done" || one["state"] == "failed"))
    })
    .unwrap();
    lab.wait_for("GlusterFS to have no volume", NOTICED, || {
        Ok(lab.on("gfs2", "gluster volume list 2>&1")?.contains("No volumes present"))
    })
    .unwrap();

    lab.bricklayer(&["node", "remove", "gfs3"]).unwrap();
    lab.bricklayer(&["device", "delete", &device_of(&lab, "gfs3")]).unwrap();
    lab.bricklayer(&["node", "delete", "gfs3"]).unwrap();
    for host in ["gfs1", "gfs2"] {
        assert_eq!(lab.on(host, "lvs --noheadings | wc -l").unwrap().trim(), "0", "{host} has logical volumes left");
        assert_eq!(lab.on(host, "ls /var/lib/bricklayer/mounts").unwrap().trim(), "", "{host} has folders left");
        assert!(!lab.on(host, "gluster pool list").unwrap().contains("gfs3"), "{host}");
    }
    lab.wait_for("the doctor to find nothing amiss", NOTICED, || {
        let said: serde_json::Value = serde_json::from_str(&lab.bricklayer(&["doctor", "-o", "json"])?)?;
        Ok(said["findings"].as_array().context("a list")?.is_empty())
    })
    .unwrap();
}
