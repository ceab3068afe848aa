//! What changes a volume or its hardware on real hosts while clients use it.

use std::time::Duration;

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario::{self, Shown};

/// Of a GlusterFS command that has to notice by itself that a host is dead.
const NOTICED: Duration = Duration::from_secs(400);

/// Writes files and reads them back until it is told to stop; ends with an error at the first one that is refused or
/// differs.
const LOAD: &str = r#"
rm -f /tmp/stop /tmp/ready; i=0
while [ ! -e /tmp/stop ]; do
    i=$((i + 1)); file=/mnt/volume/load-$((i % 40))
    dd if=/dev/urandom of=/tmp/data bs=16k count=$((i % 7 + 1)) 2>/dev/null
    cp /tmp/data $file.new && mv $file.new $file && cmp /tmp/data $file || { echo "round $i: $file"; exit 1; }
    if [ $i -ge 50 ]; then touch /tmp/ready; fi
done
echo "rounds: $i""#;

fn kib(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}

fn size_of_the_mount(lab: &Lab) -> u64 {
    kib(&lab.on("client", "df --output=size -k /mnt/volume | tail -1").unwrap())
}

fn unmount(lab: &Lab) {
    lab.on("client", "umount /mnt/volume").unwrap();
}

/// The bricks of a volume: id, node, device.
fn bricks(lab: &Lab, volume: &Shown) -> Vec<(String, String, String)> {
    let info = lab.heketi(&["--json", "volume", "info", &volume.id]).unwrap();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let bricks = info["bricks"].as_array().unwrap();
    bricks.iter().map(|brick| (text(&brick["id"]), text(&brick["node"]), text(&brick["device"]))).collect()
}

/// The host of a node.
fn host_of(lab: &Lab, node: &str) -> String {
    let info = lab.heketi(&["--json", "node", "info", node]).unwrap();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["hostnames"]["manage"][0].as_str().unwrap().to_owned()
}

#[test]
fn volumes_of_every_kind_grow_are_cloned_move_and_go_while_a_client_uses_them() {
    let lab = Lab::up("changes", &["--hosts", "6", "--client"]).unwrap();
    scenario::load_topology_of(&lab, 6).unwrap();
    let before = scenario::vgs(&lab).unwrap();
    arbiter_and_disperse(&lab);
    growth(&lab);
    clone(&lab);
    moves_under_load(&lab);
    assert_eq!(scenario::vgs(&lab).unwrap(), before, "all space is free again");
    scenario::assert_no_bricks(&lab).unwrap();
    scenario::assert_ledger_is_vgs(&lab).unwrap();
    host_down(&lab);
    scenario::assert_ledger_is_vgs(&lab).unwrap();
}

fn arbiter_and_disperse(lab: &Lab) {
    let options = ["--size=2", "--replica=3", "--gluster-volume-options=user.heketi.arbiter true"];
    let arbiter = scenario::create_volume(lab, &options).unwrap();
    let info = lab.on("gfs1", &format!("gluster volume info {}", arbiter.name)).unwrap();
    assert!(info.contains("Number of Bricks: 1 x (2 + 1) = 3") && info.contains("(arbiter)"), "{info}");
    let disperse =
        scenario::create_volume(lab, &["--size=4", "--durability=disperse", "--disperse-data=4", "--redundancy=2"])
            .unwrap();
    let info = lab.on("gfs1", &format!("gluster volume info {}", disperse.name)).unwrap();
    assert!(info.contains("Number of Bricks: 1 x (4 + 2) = 6"), "{info}");
    scenario::assert_ledger_is_vgs(lab).unwrap();
    for volume in [&arbiter, &disperse] {
        scenario::mount(lab, volume).unwrap();
        lab.on("client", "dd if=/dev/urandom of=/mnt/volume/file bs=64k count=32 conv=fsync 2>/dev/null").unwrap();
        let written = lab.on("client", "sha256sum </mnt/volume/file").unwrap();
        unmount(lab);
        scenario::mount(lab, volume).unwrap();
        assert_eq!(lab.on("client", "sha256sum </mnt/volume/file").unwrap(), written);
        unmount(lab);
        lab.heketi(&["volume", "delete", &volume.id]).unwrap();
    }
}

fn growth(lab: &Lab) {
    let volume = scenario::create_volume(lab, &["--size=2", "--replica=3"]).unwrap();
    scenario::mount(lab, &volume).unwrap();
    lab.on("client", "echo kept >/mnt/volume/file").unwrap();
    let small = size_of_the_mount(lab);
    let said = lab.heketi(&["volume", "expand", &format!("--volume={}", volume.id), "--expand-size=3"]).unwrap();
    assert!(said.contains("Size: 5"), "{said}");
    let large = size_of_the_mount(lab);
    assert!(large >= small + (3 << 20) * 98 / 100, "df went from {small} KiB to {large} KiB");
    assert_eq!(bricks(lab, &volume).len(), 3, "the bricks themselves grew");
    assert_eq!(lab.on("client", "cat /mnt/volume/file").unwrap(), "kept");
    scenario::assert_ledger_is_vgs(lab).unwrap();
    scenario::assert_device_ledger(lab, &host_of(lab, &bricks(lab, &volume)[0].1)).unwrap();

    // More than is left on its devices: another set, on the other three hosts.
    lab.heketi(&["volume", "expand", &format!("--volume={}", volume.id), "--expand-size=12"]).unwrap();
    assert_eq!(bricks(lab, &volume).len(), 6);
    let wide = size_of_the_mount(lab);
    assert!(wide >= large + (12 << 20) * 98 / 100, "df went from {large} KiB to {wide} KiB");
    scenario::assert_ledger_is_vgs(lab).unwrap();
    unmount(lab);
    lab.heketi(&["volume", "delete", &volume.id]).unwrap();
}

fn clone(lab: &Lab) {
    let volume = scenario::create_volume(lab, &["--size=2", "--replica=3"]).unwrap();
    scenario::mount(lab, &volume).unwrap();
    lab.on("client", "echo one >/mnt/volume/file; sync /mnt/volume/file").unwrap();
    let free = scenario::ledger(lab).unwrap();
    let said = lab.heketi(&["volume", "clone", &volume.id, "--name=copy"]).unwrap();
    let clone = scenario::shown(&said).unwrap();
    assert_eq!(scenario::ledger(lab).unwrap(), free, "a clone takes no extents");
    lab.on("client", "echo two >/mnt/volume/file; sync /mnt/volume/file").unwrap();
    unmount(lab);
    lab.heketi(&["volume", "delete", &volume.id]).unwrap();
    scenario::assert_ledger_is_vgs(lab).unwrap();

    // A power cut: glusterd mounts the bricks of clones itself.
    let host = host_of(lab, &bricks(lab, &clone)[0].1);
    lab.on(&host, "sync").unwrap();
    lab.must(&["kill", &host]).unwrap();
    lab.must(&["start", &host]).unwrap();
    lab.must(&["wait-ready", &host]).unwrap();
    scenario::mount(lab, &clone).unwrap();
    assert_eq!(lab.on("client", "cat /mnt/volume/file").unwrap(), "one", "as it was when it was cloned");
    unmount(lab);
    lab.heketi(&["volume", "delete", &clone.id]).unwrap();
}

fn moves_under_load(lab: &Lab) {
    let volume = scenario::create_volume(lab, &["--size=2", "--replica=3"]).unwrap();
    scenario::mount(lab, &volume).unwrap();
    let load = lab.start(&["exec", "client", "--", "sh", "-c", LOAD]).unwrap();
    lab.wait_for("the load to run", NOTICED, || Ok(lab.try_on("client", "test -e /tmp/ready")?.code == 0)).unwrap();

    let (brick, _, _) = bricks(lab, &volume)[0].clone();
    assert_eq!(lab.heketi(&["brick", "evict", &brick]).unwrap(), format!("Brick {brick} evicted"));
    assert!(bricks(lab, &volume).iter().all(|(id, _, _)| *id != brick));

    let (_, _, device) = bricks(lab, &volume)[1].clone();
    lab.heketi(&["device", "disable", &device]).unwrap();
    lab.heketi(&["device", "remove", &device]).unwrap();
    assert!(bricks(lab, &volume).iter().all(|(_, _, on)| *on != device));
    assert!(lab.heketi(&["device", "info", &device]).unwrap().contains("State: removed"));

    lab.on("client", "touch /tmp/stop").unwrap();
    let output = load.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "the client saw an error: {said}{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("under load: {}", said.trim());
    scenario::assert_ledger_is_vgs(lab).unwrap();
    unmount(lab);
    lab.heketi(&["volume", "delete", &volume.id]).unwrap();
    // heketi's way back into service.
    for word in ["disable", "enable"] {
        lab.heketi(&["device", word, &device]).unwrap();
    }
}

fn host_down(lab: &Lab) {
    let volume = scenario::create_volume(lab, &["--size=2", "--replica=3"]).unwrap();
    let host = host_of(lab, &bricks(lab, &volume)[0].1);
    let other = if host == "gfs1" { "gfs2" } else { "gfs1" };
    lab.must(&["kill", &host]).unwrap();
    lab.wait_for("GlusterFS to see that the host is down", NOTICED, || {
        Ok(lab.on(other, "gluster peer status")?.contains("Disconnected"))
    })
    .unwrap();

    // A new volume goes around the host; the old one goes though its brick there cannot.
    let new = scenario::create_volume(lab, &["--size=1", "--replica=3"]).unwrap();
    assert!(bricks(lab, &new).iter().all(|(_, node, _)| host_of(lab, node) != host));
    lab.heketi(&["volume", "delete", &volume.id]).unwrap();
    assert!(!lab.heketi(&["volume", "list"]).unwrap().contains(&volume.id));

    lab.must(&["start", &host]).unwrap();
    lab.wait_for("the deletion to end", NOTICED, || {
        let bricks = lab.on(&host, "lvs --noheadings -o lv_name")?;
        let known = lab.on(other, "gluster volume list")?;
        Ok(!bricks.contains("brick_") && !known.contains(&volume.name))
    })
    .unwrap();
    lab.heketi(&["volume", "delete", &new.id]).unwrap();
    lab.wait_for("nothing to be left", NOTICED, || Ok(scenario::assert_no_bricks(lab).is_ok())).unwrap();
}
