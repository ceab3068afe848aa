//! Disks that die under a volume, on real hosts: noticed, named with what is on them, and got rid of while clients write.

use std::time::{Duration, Instant};

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario::{self, Shown};
use serde_json::Value;

/// A look at the disks every twenty seconds, and a machine that may be busy.
const NOTICED: Duration = Duration::from_secs(120);
/// Of a host that has lost power: its agent, glusterd and its peers.
const BACK: Duration = Duration::from_secs(300);
const HEALED: Duration = Duration::from_secs(720);

fn findings(lab: &Lab) -> anyhow::Result<Vec<Value>> {
    let said = lab.try_bricklayer(&["doctor", "-o", "json"])?;
    let diagnosis: Value = serde_json::from_str(&said.stdout)?;
    Ok(diagnosis["findings"].as_array().cloned().unwrap_or_default())
}

/// Waits until the doctor tells of this alone; answers it in words.
fn told(lab: &Lab, code: &str) -> String {
    let (began, mut found) = (Instant::now(), Vec::new());
    lab.wait_for(&format!("the doctor to tell of {code}"), NOTICED, || {
        found = findings(lab)?;
        let codes: Vec<&str> = found.iter().filter_map(|finding| finding["code"].as_str()).collect();
        anyhow::ensure!(codes == [code], "it tells {found:?}");
        Ok(true)
    })
    .unwrap();
    eprintln!("{code} after {:.0} s: {}", began.elapsed().as_secs_f64(), found[0]["what"]);
    assert_eq!((&found[0]["host"], &found[0]["severity"]), (&"gfs2".into(), &"error".into()));
    format!("{}\n{}", found[0]["what"].as_str().unwrap(), found[0]["cure"].as_str().unwrap())
}

/// The device and the brick of the volume on gfs2.
fn brick_on_gfs2(lab: &Lab, volume: &Shown) -> (String, String) {
    let topology = scenario::topology(lab).unwrap();
    let nodes = topology["clusters"][0]["nodes"].as_array().unwrap().clone();
    let node = nodes.into_iter().find(|node| node["hostnames"]["manage"][0] == "gfs2").unwrap();
    let devices = node["devices"].as_array().unwrap().clone();
    let bricks = devices.iter().flat_map(|device| device["bricks"].as_array().into_iter().flatten());
    let brick = bricks.into_iter().find(|brick| brick["volume"] == volume.id.as_str()).unwrap();
    (brick["device"].as_str().unwrap().to_owned(), brick["id"].as_str().unwrap().to_owned())
}

fn write(lab: &Lab, name: &str) {
    let script = format!("dd if=/dev/urandom of=/mnt/volume/{name} bs=64k count=32 conv=fsync status=none");
    lab.on("client", &format!("{script} && cd /mnt/volume && sha256sum {name} >>/var/sums")).unwrap();
}

fn everything_is_there(lab: &Lab) {
    lab.on("client", "cd /mnt/volume && echo 3 >/proc/sys/vm/drop_caches && sha256sum -c --quiet /var/sums").unwrap();
}

/// Nothing is left to heal, and the copy on gfs2 has all that was flushed: a client reads any one.
/// The brick on gfs2 that GlusterFS has: the mount of a disk that died may stay until the next boot.
fn brick_path(lab: &Lab) -> String {
    let known = "for at in $(findmnt -rn -t xfs -o TARGET | grep /brick_); do \
                 if gluster volume info | grep -q \"$at\"; then echo \"$at\"; fi; done";
    format!("{}/brick", lab.on("gfs2", known).unwrap())
}

fn healed(lab: &Lab, volume: &Shown) {
    lab.wait_for("nothing left to heal", HEALED, || {
        let is_healed = scenario::to_heal(lab, &volume.name)?.is_none();
        if !is_healed {
            // A file that a brick has lost unflushed is healed when a client that has not seen it yet asks for it by its name: a
            // full heal goes through one brick alone, and that may be the one without it.
            lab.on("client", "umount /mnt/volume")?;
            scenario::mount(lab, volume)?;
            lab.on("client", "stat /mnt/volume/* >/dev/null")?;
            lab.try_on("gfs1", &format!("gluster volume heal {}", volume.name))?;
        }
        Ok(is_healed)
    })
    .unwrap();
    let sums = lab.on("client", "cat /var/sums").unwrap();
    assert!(sums.lines().count() >= 2, "{sums}");
    // The host sees its share as /lab.
    std::fs::write(lab.dir().join("gfs2/share/sums"), format!("{sums}\n")).unwrap();
    let check = format!("cd {} && sha256sum -c --quiet /lab/sums", brick_path(lab));
    lab.wait_for("the copy on gfs2 to be whole", HEALED, || {
        lab.on("gfs2", &check)?;
        Ok(true)
    })
    .unwrap();
}

#[test]
fn a_disk_that_dies_is_told_with_what_is_on_it_and_its_brick_is_made_anew_once_it_is_declared_lost() {
    let lab = Lab::up("dying-disk", &["--disks", "2", "--client"]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let volume = scenario::create_volume(&lab, &["--size=2", "--replica=3"]).unwrap();
    scenario::mount(&lab, &volume).unwrap();
    write(&lab, "before");
    let (device, brick) = brick_on_gfs2(&lab, &volume);
    let serial = scenario::serial(&lab, "gfs2", "/dev/sdb").unwrap();

    lab.must(&["disk", "fail", "gfs2", "sdb"]).unwrap();
    // Two of three copies are a quorum.
    write(&lab, "meanwhile");
    let said = told(&lab, "disk-fails");
    for word in ["/dev/sdb on gfs2", &serial, &brick, &volume.name, "device lost gfs2:/dev/sdb"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let shown = lab.bricklayer(&["device", "info", &device]).unwrap();
    assert!(shown.contains("Fails ") && shown.contains("reading it fails"), "{shown}");
    let metrics = lab.must(&["net", "curl", "-sS", "http://192.168.0.1:8080/metrics"]).unwrap();
    let failing: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("bricklayer_device_failing{") && line.ends_with(" 1")).collect();
    assert!(failing.len() == 1 && failing[0].contains(&device), "{failing:?}");
    let logged = std::fs::read_to_string(lab.dir().join("coordinator.log")).unwrap();
    assert!(logged.contains("/dev/sdb on gfs2 fails"), "the coordinator's log tells it");
    // Nothing is placed there, and nothing is destroyed for it.
    let refused = lab.try_heketi(&["volume", "create", "--size=1", "--replica=3"]).unwrap();
    assert!(refused.code != 0 && refused.text().contains("cannot be read"), "{}", refused.text());

    // Another disk in its place, the dead one declared lost: the brick is made anew and healed from the other copies.
    let node =
        scenario::topology(&lab).unwrap()["clusters"][0]["nodes"].as_array().unwrap().iter().find_map(|node| {
            (node["hostnames"]["manage"][0] == "gfs2").then(|| node["id"].as_str().unwrap().to_owned())
        });
    lab.heketi(&["device", "add", "--name=/dev/sdc", &format!("--node={}", node.unwrap())]).unwrap();
    lab.wait_for("the disk to be given up", NOTICED, || {
        lab.bricklayer(&["device", "lost", "gfs2:/dev/sdb", "--confirm", &device])?;
        Ok(true)
    })
    .unwrap();
    lab.bricklayer(&["device", "remove", "gfs2:/dev/sdb"]).unwrap();
    let (new_device, new_brick) = brick_on_gfs2(&lab, &volume);
    assert!(new_device != device && new_brick != brick, "it is on the other disk");
    healed(&lab, &volume);
    write(&lab, "after");
    everything_is_there(&lab);
    lab.bricklayer(&["device", "delete", "gfs2:/dev/sdb"]).unwrap();
    lab.wait_for("the doctor to find nothing amiss", NOTICED, || Ok(findings(&lab)?.is_empty())).unwrap();
}

#[test]
fn a_brick_whose_pool_fails_is_told_though_its_disk_answers_and_serves_again_when_it_is_well() {
    let lab = Lab::up("dying-pool", &["--client"]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let volume = scenario::create_volume(&lab, &["--size=2", "--replica=3"]).unwrap();
    scenario::mount(&lab, &volume).unwrap();
    write(&lab, "before");
    let (_, brick) = brick_on_gfs2(&lab, &volume);

    // As where a part of the disk is worn out: every access to the pool's data is an error, the disk's label is not.
    let fail = "name=$(dmsetup ls | grep -o '^vg_.*_tdata'); dmsetup table $name | sed 's/linear.*/error/' >/tmp/table; \
                dmsetup suspend --noflush --nolockfs $name; dmsetup load $name /tmp/table; dmsetup resume $name";
    lab.on("gfs2", fail).unwrap();
    write(&lab, "meanwhile");
    let said = told(&lab, "brick-unreadable");
    for word in [&*brick, &volume.name, "/dev/sdb on gfs2", "though its disk answers"] {
        assert!(said.contains(word), "{word}: {said}");
    }

    // A power cycle has LVM make its tables anew.
    lab.must(&["kill", "gfs2"]).unwrap();
    lab.must(&["start", "gfs2"]).unwrap();
    lab.must(&["wait-ready", "gfs2"]).unwrap();
    lab.wait_for("the doctor to find nothing amiss", BACK, || Ok(findings(&lab)?.is_empty())).unwrap();
    // What the brick had in memory alone is gone, and GlusterFS does not know: files are healed when they are asked for by
    // their names, or all of them.
    everything_is_there(&lab);
    // Refused until the healer of the host that has just come back runs.
    lab.wait_for("GlusterFS to begin a full heal", BACK, || {
        lab.on("gfs1", &format!("gluster volume heal {} full", volume.name))?;
        Ok(true)
    })
    .unwrap();
    healed(&lab, &volume);
    scenario::assert_ledger_is_vgs(&lab).unwrap();
}
