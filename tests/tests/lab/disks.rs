//! Disks that carry something, on real hosts: refused with the reason, wiped after confirmation, accepted.

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;

#[test]
fn a_disk_that_is_in_use_is_refused_with_its_holder_and_taken_after_a_confirmed_wipe() {
    let lab = Lab::up("disks", &["--hosts", "1", "--disks", "4"]).unwrap();
    let node = scenario::add_node(&lab, "gfs1", "192.168.0.224").unwrap();

    // An old LVM signature; a mounted file system that fstab brings back; a volume group that went away under a mapping.
    lab.on("gfs1", "pvcreate -q /dev/sdb && vgcreate -q old /dev/sdb && lvcreate -q -n data -L 100M old").unwrap();
    lab.on("gfs1", "mkfs.xfs -q /dev/sdc && mkdir -p /data && mount /dev/sdc /data").unwrap();
    lab.on("gfs1", "echo '/dev/sdc /data xfs defaults 0 0' >>/etc/fstab").unwrap();
    lab.on("gfs1", "echo '0 2048 linear /dev/sdd 4096' | dmsetup create stale").unwrap();
    let fstab = lab.on("gfs1", "grep -v /data /etc/fstab || true").unwrap();

    for (disk, holder) in [("/dev/sdb", "volume group old"), ("/dev/sdc", "mounted at /data"), ("/dev/sdd", "stale")] {
        let name = format!("--name={disk}");
        let node_word = format!("--node={node}");
        let refusal = lab.try_heketi(&["device", "add", &name, &node_word]).unwrap();
        assert_eq!(refusal.code, 255, "{disk}: {}", refusal.text());
        assert!(refusal.stderr.contains(holder), "{disk}: the holder is named: {}", refusal.stderr);
        assert!(refusal.stderr.contains("device wipe"), "{disk}: the cure is named: {}", refusal.stderr);

        // Without a confirmation nothing happens, and it says what would be lost and what to repeat.
        let asked = lab.try_bricklayer(&["device", "wipe", "gfs1", disk]).unwrap();
        assert_ne!(asked.code, 0, "{disk}: {}", asked.text());
        let serial = scenario::serial(&lab, "gfs1", disk).unwrap();
        assert!(asked.text().contains(&serial), "{disk}: {}", asked.text());
        let wrong = lab.try_bricklayer(&["device", "wipe", "gfs1", disk, "--confirm", "not-this-one"]).unwrap();
        assert_ne!(wrong.code, 0, "{disk}: {}", wrong.text());
        assert!(lab.try_heketi(&["device", "add", &name, &node_word]).unwrap().code != 0, "{disk} is as it was");

        lab.bricklayer(&["device", "wipe", "gfs1", disk, "--confirm", &serial]).unwrap();
        lab.heketi(&["device", "add", &name, &node_word]).unwrap();
    }
    // A clean disk needs none of it.
    lab.heketi(&["device", "add", "--name=/dev/sde", &format!("--node={node}")]).unwrap();

    let groups = lab.on("gfs1", "vgs --noheadings -o vg_name").unwrap();
    assert_eq!(groups.matches("vg_").count(), 4, "{groups}");
    assert_eq!(lab.on("gfs1", "cat /etc/fstab").unwrap(), fstab, "only the line of the wiped disk went");
    assert_eq!(lab.try_on("gfs1", "findmnt /data").unwrap().code, 1);
    scenario::assert_ledger_is_vgs(&lab).unwrap();

    // A device of ours is not wiped behind the coordinator's back.
    let serial = scenario::serial(&lab, "gfs1", "/dev/sde").unwrap();
    let ours = lab.try_bricklayer(&["device", "wipe", "gfs1", "/dev/sde", "--confirm", &serial]).unwrap();
    assert_ne!(ours.code, 0, "{}", ours.text());
    assert!(ours.text().contains("already is device"), "{}", ours.text());
}
