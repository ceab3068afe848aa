//! What heketi left on real hosts is taken over as it is, used, and given back as it was. heketi's own commands make it.

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;
use serde_json::{Value, json};

const HOSTS: [(&str, &str); 3] = [("gfs1", "192.168.0.224"), ("gfs2", "192.168.0.204"), ("gfs3", "192.168.0.173")];
const CLUSTER: &str = "c0000000000000000000000000000001";

/// Ids as heketi's; going down with the host, so that sorted by them bricks are not in GlusterFS's order.
fn id(kind: char, number: usize, host: usize) -> String {
    format!("{kind}{number:030}{}", 9 - host)
}

fn device(host: usize) -> String {
    id('d', 0, host)
}

/// The pool of a set's first brick is called after another id.
fn pool(number: usize, host: usize) -> String {
    if host == 0 { id('e', number, host) } else { id('b', number, host) }
}

fn at(number: usize, host: usize) -> String {
    format!("/var/lib/heketi/mounts/vg_{}/brick_{}", device(host), id('b', number, host))
}

fn kib(gib: u64) -> (u64, u64) {
    let size = gib << 20;
    (size, (size * 5 / 1000).next_multiple_of(4096))
}

fn prepare(lab: &Lab) {
    for (number, (host, _)) in HOSTS.iter().enumerate() {
        let vg = device(number);
        lab.on(
            host,
            &format!(
                "lvm pvcreate -qq --metadatasize=128M --dataalignment=256K /dev/sdb; \
                 lvm vgcreate -qq --physicalextentsize=4M --autobackup=n vg_{vg} /dev/sdb"
            ),
        )
        .unwrap();
    }
    for (_, address) in &HOSTS[1..] {
        lab.on("gfs1", &format!("gluster --mode=script peer probe {address}")).unwrap();
    }
    let all = || Ok(lab.on("gfs1", "gluster pool list")?.matches("Connected").count() == 3);
    lab.wait_for("the pool of three", std::time::Duration::from_secs(60), all).unwrap();
}

fn volume(lab: &Lab, number: usize, name: &str, gib: u64) {
    let (size, metadata) = kib(gib);
    let mut bricks = String::new();
    for (host, (name, address)) in HOSTS.iter().enumerate() {
        let (vg, brick, pool, at) = (device(host), id('b', number, host), pool(number, host), at(number, host));
        let node = format!("/dev/mapper/vg_{vg}-brick_{brick}");
        lab.on(
            name,
            &format!(
                "mkdir -p {at}; lvm lvcreate -qq --autobackup=n --poolmetadatasize {metadata}K --chunksize 256K \
                 --size {size}K --thin vg_{vg}/tp_{pool} --virtualsize {size}K --name brick_{brick}; \
                 mkfs.xfs -i size=512 -n size=8192 {node} >/dev/null; \
                 echo '{node} {at} xfs rw,inode64,noatime,nouuid 1 2' >>/etc/fstab; \
                 mount -o rw,inode64,noatime,nouuid {node} {at}; mkdir {at}/brick"
            ),
        )
        .unwrap();
        bricks.push_str(&format!(" {address}:{at}/brick"));
    }
    let volume = id('f', number, 0);
    lab.on(
        "gfs1",
        &format!(
            "gluster --mode=script volume create {name} replica 3{bricks}; \
             gluster --mode=script volume set {name} user.heketi.id {volume}; gluster --mode=script volume start {name}"
        ),
    )
    .unwrap();
}

/// What heketi would have written down.
fn database(volumes: &[(usize, &str, u64)]) -> Value {
    let mut db = json!({
        "clusterentries": {}, "nodeentries": {}, "deviceentries": {}, "volumeentries": {}, "brickentries": {},
        "blockvolumeentries": {}, "dbattributeentries": {}, "pendingoperations": {},
    });
    let info = json!({ "id": CLUSTER, "nodes": [], "volumes": [], "block": true, "file": true, "blockvolumes": [] });
    db["clusterentries"][CLUSTER] = json!({ "Info": info });
    for (host, (name, address)) in HOSTS.iter().enumerate() {
        let (node, device) = (id('a', 0, host), device(host));
        let hostnames = json!({ "manage": [name], "storage": [address] });
        let info = json!({ "zone": 1, "hostnames": hostnames, "cluster": CLUSTER, "id": node });
        db["nodeentries"][&node] = json!({ "State": "online", "Info": info, "Devices": [device] });
        let storage = json!({ "total": 0, "free": 0, "used": 0 });
        let info = json!({ "name": "/dev/sdb", "storage": storage, "id": device, "paths": null, "pv_uuid": "" });
        db["deviceentries"][&device] =
            json!({ "State": "online", "Info": info, "Bricks": null, "NodeId": node, "ExtentSize": 4096 });
        for (number, _, gib) in volumes {
            let (brick, (size, metadata)) = (id('b', *number, host), kib(*gib));
            let info = json!({
                "id": brick, "path": format!("{}/brick", at(*number, host)), "device": device, "node": node,
                "volume": id('f', *number, 0), "size": size,
            });
            db["brickentries"][&brick] = json!({
                "Info": info, "TpSize": size, "PoolMetadataSize": metadata, "Pending": { "Id": "" },
                "LvmThinPool": format!("tp_{}", pool(*number, host)), "LvmLv": format!("brick_{brick}"), "SubType": 1,
            });
        }
    }
    for (number, name, gib) in volumes {
        let volume = id('f', *number, 0);
        let mut bricks: Vec<String> = (0..HOSTS.len()).map(|host| id('b', *number, host)).collect();
        bricks.sort();
        let info = json!({
            "size": gib, "name": name, "id": volume, "cluster": CLUSTER, "mount": { "glusterfs": {} }, "blockinfo": {},
            "durability": { "type": "replicate", "replicate": { "replica": 3 }, "disperse": {} },
            "snapshot": { "enable": false, "factor": 1 },
        });
        db["volumeentries"][&volume] =
            json!({ "Info": info, "Bricks": bricks, "GlusterVolumeOptions": null, "Pending": { "Id": "" } });
    }
    db
}

/// All in which we could leave a trace, but for the option that says whose a volume is: GlusterFS takes none of users back.
/// In it are LVM's metadata, fstab, what lies beside the bricks, the options of the volumes.
fn traces(lab: &Lab) -> Vec<String> {
    let of = |(host, _): &(&str, &str)| {
        lab.on(
            host,
            "vgs --noheadings --units b -o vg_name,vg_uuid,vg_size,vg_free,vg_tags; \
             lvs --all --noheadings --units b -o vg_name,lv_name,lv_uuid,lv_size,pool_lv,lv_tags; cat /etc/fstab; \
             ls -1A /var/lib/heketi/mounts/*/*; findmnt -rn -t xfs -o SOURCE,TARGET,OPTIONS; \
             gluster volume info | grep -v '^$' | grep -v '^user.bricklayer.id: none$'",
        )
        .unwrap()
    };
    HOSTS.iter().map(of).collect()
}

fn adopt(lab: &Lab, words: &[&str]) {
    let words: Vec<&str> = ["adopt"].iter().chain(words).copied().chain(["--plan", "-o", "json"]).collect();
    let told: Value = serde_json::from_str(&lab.bricklayer(&words).unwrap()).unwrap();
    let plan = told["plan"]["kept"]["id"].as_str().unwrap_or_else(|| panic!("no plan: {told:#}"));
    lab.bricklayer(&["apply", plan]).unwrap();
}

#[test]
fn what_heketi_left_is_adopted_used_and_given_back_on_real_hosts() {
    let lab = Lab::up("adopt", &["--client"]).unwrap();
    prepare(&lab);
    let volumes = [(1, "vol_one", 2), (2, "vol_two", 1)];
    for (number, name, gib) in volumes {
        volume(&lab, number, name, gib);
    }
    lab.on("client", "mkdir -p /mnt/volume; mount -t glusterfs 192.168.0.224:vol_one /mnt/volume").unwrap();
    lab.on("client", "dd if=/dev/urandom of=/mnt/volume/file bs=64k count=64 conv=fsync 2>/dev/null").unwrap();
    let sum = || lab.on("client", "sha256sum </mnt/volume/file").unwrap();
    let written = sum();
    let before = traces(&lab);

    let file = lab.dir().join("heketi.json");
    std::fs::write(&file, database(&volumes).to_string()).unwrap();
    let file = file.to_str().unwrap();
    // The lab's agents have ids of their own.
    let from_heketi = ["heketi", file, "--new-node-ids"];
    adopt(&lab, &from_heketi);
    assert_ne!(traces(&lab), before, "there are marks");
    assert_eq!(sum(), written, "the volume is served as before");
    let info = lab.heketi(&["volume", "info", &id('f', 1, 0)]).unwrap();
    assert!(info.contains("vol_one") && info.contains("Size: 2"), "{info}");
    scenario::assert_ledger_is_vgs(&lab).unwrap();

    lab.bricklayer(&["unadopt", "cluster", CLUSTER]).unwrap();
    assert_eq!(traces(&lab), before, "nothing of ours is left");
    assert_eq!(sum(), written);

    // Without the database the disks tell the same.
    adopt(&lab, &["disks", "--cluster", CLUSTER]);
    scenario::assert_ledger_is_vgs(&lab).unwrap();
    let one = format!("--volume={}", id('f', 1, 0));
    let said = lab.heketi(&["volume", "expand", &one, "--expand-size=1"]).unwrap();
    assert!(said.contains("Size: 3"), "{said}");
    assert_eq!(sum(), written);
    scenario::assert_ledger_is_vgs(&lab).unwrap();
    let mounted = lab.on("gfs2", "findmnt -rn -t xfs -o TARGET").unwrap();
    assert!(mounted.contains(&at(1, 1)), "{mounted}");

    lab.heketi(&["volume", "delete", &id('f', 2, 0)]).unwrap();
    let fstab = lab.on("gfs3", "cat /etc/fstab").unwrap();
    assert!(!fstab.contains(&at(2, 2)), "{fstab}");
    scenario::assert_ledger_is_vgs(&lab).unwrap();
    lab.on("client", "umount /mnt/volume").unwrap();
}
