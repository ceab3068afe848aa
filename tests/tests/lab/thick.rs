//! A thick volume on real hosts: linear volumes and nothing beside them, on extents that hold what earlier volumes left.

use std::time::Duration;

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario::{self, Shown};

const HOSTS: [&str; 3] = ["gfs1", "gfs2", "gfs3"];
const PATIENCE: Duration = Duration::from_secs(180);
const THICK: &str = "--gluster-volume-options=user.bricklayer.provisioning thick";

fn create(lab: &Lab, size: &str) -> Shown {
    scenario::create_volume(lab, &[&format!("--size={size}"), "--replica=3", "--name=thick", THICK]).unwrap()
}

/// Every host has one logical volume, linear, of so many GiB, and its mark of a blank one is gone.
fn assert_linear(lab: &Lab, gib: u64) {
    for host in HOSTS {
        let said = lab.on(host, "lvs -a --noheadings --nosuffix --units b -o lv_name,segtype,lv_size,lv_tags").unwrap();
        let [line] = said.lines().collect::<Vec<_>>()[..] else { panic!("{host}: {said}") };
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words[0].starts_with("brick_") && words[1] == "linear", "{host}: {said}");
        assert_eq!(words[2], (gib << 30).to_string(), "{host}");
        assert!(words[3].contains("bricklayer.brick=") && !words[3].contains("bricklayer.blank"), "{host}: {said}");
    }
}

fn assert_ledger(lab: &Lab) {
    scenario::assert_ledger_is_vgs(lab).unwrap();
    for host in HOSTS {
        scenario::assert_device_ledger(lab, host).unwrap();
    }
}

fn sums(lab: &Lab) -> String {
    lab.on("client", "cd /mnt/volume && echo 3 >/proc/sys/vm/drop_caches && sha256sum file*").unwrap()
}

fn wait_for_agents(lab: &Lab) {
    for host in HOSTS {
        lab.wait_for("the agent", PATIENCE, || scenario::is_attached(lab, host)).unwrap();
    }
}

#[test]
fn a_thick_volume_is_linear_volumes_from_its_creation_to_the_last_byte_that_it_gives_back() {
    let lab = Lab::up("thick", &["--client"]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let empty = scenario::vgs(&lab).unwrap();

    // What the next volume finds on its extents.
    let first = create(&lab, "2");
    scenario::mount(&lab, &first).unwrap();
    lab.on("client", "dd if=/dev/urandom of=/mnt/volume/secret bs=1M count=64 conv=fsync status=none").unwrap();
    lab.on("client", "umount /mnt/volume").unwrap();
    lab.heketi(&["volume", "delete", &first.id]).unwrap();
    assert_eq!(scenario::vgs(&lab).unwrap(), empty);
    scenario::assert_no_bricks(&lab).unwrap();

    let volume = create(&lab, "2");
    assert_linear(&lab, 2);
    assert_ledger(&lab);
    scenario::mount(&lab, &volume).unwrap();
    assert_eq!(lab.on("client", "ls -A /mnt/volume").unwrap(), "", "nothing of the volume before is there");
    lab.on(
        "client",
        "cd /mnt/volume && for n in 1 2 3; do dd if=/dev/urandom of=file$n bs=1M count=50 conv=fsync status=none; done",
    )
    .unwrap();
    let written = sums(&lab);
    let refused = lab.try_heketi(&["volume", "clone", &volume.id]).unwrap();
    assert!(refused.code != 0 && refused.text().contains("3 of its 3 bricks are thick"), "{}", refused.text());

    lab.heketi(&["volume", "expand", &format!("--volume={}", volume.id), "--expand-size=3"]).unwrap();
    assert_linear(&lab, 5);
    assert_ledger(&lab);
    let size = lab.on("client", "df --output=size -k /mnt/volume | tail -1").unwrap();
    assert!(size.trim().parse::<u64>().is_ok_and(|kib| kib > (5 << 20) * 95 / 100), "{size}");
    assert_eq!(sums(&lab), written);

    // Its bricks come up by themselves, as a linear volume is activated like any other.
    lab.must(&["kill", "gfs2"]).unwrap();
    lab.must(&["start", "gfs2"]).unwrap();
    wait_for_agents(&lab);
    let mounted = "findmnt -rn -t xfs -o TARGET | grep -c /brick_";
    lab.wait_for("the brick is mounted", PATIENCE, || Ok(lab.try_on("gfs2", mounted)?.code == 0)).unwrap();
    assert_eq!(sums(&lab), written);

    // The hosts alone tell what it is.
    let shown = || lab.bricklayer(&["volume", "info", "thick"]).unwrap();
    let before = shown();
    assert!(before.contains("thick: linear volumes"), "{before}");
    lab.must(&["coordinator", "stop"]).unwrap();
    let data = lab.dir().join("coordinator");
    std::fs::rename(data.join("store"), data.join("store.gone")).unwrap();
    let program = lab.dir().join("programs/bricklayer-coordinator");
    let said = lab
        .must(&["net", program.to_str().unwrap(), "rebuild", "--data-dir", data.to_str().unwrap(), "--apply"])
        .unwrap();
    lab.must(&["coordinator", "start"]).unwrap();
    wait_for_agents(&lab);
    assert_eq!(shown(), before, "{said}");
    assert_ledger(&lab);

    lab.on("client", "umount /mnt/volume").unwrap();
    lab.heketi(&["volume", "delete", &volume.id]).unwrap();
    assert_eq!(scenario::vgs(&lab).unwrap(), empty, "every byte is back");
    scenario::assert_no_bricks(&lab).unwrap();
    assert_ledger(&lab);
}
