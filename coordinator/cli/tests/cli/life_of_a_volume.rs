//! Volumes, bricks and hardware as `bricklayer` changes them: which requests it makes of what a person wrote.

use crate::support::{Exchange, Script, accepted, finished, json, no_content, refused, run, see};

const C: &str = "0000000000000000000000000000000c";
const N: &str = "00000000000000000000000000000001";
const D: &str = "0000000000000000000000000000000d";
const B: &str = "0000000000000000000000000000000b";
const V: &str = "00000000000000000000000000000005";
const QUEUE: &str = "/queue/000000000000000000000000000000a1";

fn volume(size: &str, host: &str) -> String {
    format!(
        r#"{{{size},"name":"web_data","durability":{{"type":"replicate","replicate":{{"replica":3}},"disperse":{{}}}},"gid":2000,"snapshot":{{"enable":false,"factor":1}},"id":"{V}","cluster":"{C}","mount":{{"glusterfs":{{"hosts":["{host}","192.168.0.204"],"device":"{host}:web_data","options":{{"backup-volfile-servers":"192.168.0.204"}}}}}},"blockinfo":{{}},"bricks":[]}}"#
    )
}

fn node() -> String {
    format!(
        r#"{{"zone":1,"hostnames":{{"manage":["gfs1"],"storage":["192.168.0.224"]}},"cluster":"{C}","id":"{N}","state":"online","devices":[{{"name":"/dev/sdb","storage":{{"total":16642048,"free":8208384,"used":8433664}},"id":"{D}","paths":["/dev/disk/by-id/ata-1"],"pv_uuid":"u","state":"online","bricks":[{{"id":"{B}","path":"/b/brick","device":"{D}","node":"{N}","volume":"{V}","size":8388608}}]}}]}}"#
    )
}

fn cluster() -> String {
    format!(r#"{{"id":"{C}","nodes":["{N}"],"volumes":["{V}"],"block":true,"file":true,"blockvolumes":[]}}"#)
}

/// How a volume is found by its name.
fn find_volume(size: &str) -> Vec<Exchange> {
    vec![
        json("GET /volumes", &format!(r#"{{"volumes":["{V}"]}}"#)),
        json(&format!("GET /volumes/{V}"), &volume(size, "192.168.0.224")),
    ]
}

/// How a node is found by its name.
fn find_node() -> Vec<Exchange> {
    vec![
        json("GET /clusters", &format!(r#"{{"clusters":["{C}"]}}"#)),
        json(&format!("GET /clusters/{C}"), &cluster()),
        json(&format!("GET /nodes/{N}"), &node()),
    ]
}

#[test]
fn a_size_that_is_no_whole_number_of_gib_is_asked_for_to_the_byte() {
    for (size, sent) in [
        ("8", r#"{"size":8,"durability""#),
        ("8GiB", r#"{"size":8,"durability""#),
        ("1536MiB", r#"{"size":2,"size_bytes":1610612736,"durability""#),
        ("300M", r#"{"size":1,"size_bytes":314572800,"durability""#),
    ] {
        let script = Script::new(vec![accepted("POST /volumes", QUEUE)]);
        let ran = run("bricklayer", &script.address, &["volume", "create", "--size", size, "--no-wait"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "operation 000000000000000000000000000000a1\n"));
        let bodies = script.bodies();
        assert!(bodies[0].starts_with(sent), "{}", bodies[0]);
    }
}

#[test]
fn an_arbiter_is_asked_for_as_heketi_is_asked_for_it() {
    let script = Script::new(vec![accepted("POST /volumes", QUEUE)]);
    run("bricklayer", &script.address, &["volume", "create", "--size", "8", "--arbiter", "--no-wait"]);
    assert!(
        script.bodies()[0]
            .contains(r#""replica":3},"disperse":{}},"glustervolumeoptions":["user.heketi.arbiter true"]"#)
    );
    for wrong in [&["--arbiter", "--replica", "2"][..], &["--arbiter", "--durability", "none"]] {
        let words = [&["volume", "create", "--size", "8"], wrong].concat();
        assert_eq!(run("bricklayer", "http://127.0.0.1:1", &words).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_volume_is_expanded_by_a_size_or_to_a_size() {
    let now = r#""size":1,"size_bytes":1610612736"#;
    for (words, looks, sent) in [
        (["--expand-size", "10"], 0, r#"{"expand_size":10}"#),
        (["--by", "512MiB"], 0, r#"{"expand_size":1,"expand_size_bytes":536870912}"#),
        (["--to", "2"], 1, r#"{"expand_size":1,"expand_size_bytes":536870912}"#),
        (["--to", "2560MiB"], 1, r#"{"expand_size":1}"#),
    ] {
        let mut exchanges = find_volume(now);
        for _ in 0..looks {
            exchanges.push(json(&format!("GET /volumes/{V}"), &volume(now, "192.168.0.224")));
        }
        let asked = exchanges.len();
        exchanges.extend([
            accepted(&format!("POST /volumes/{V}/expand"), QUEUE),
            see(QUEUE, &format!("/volumes/{V}")),
            json(&format!("GET /volumes/{V}"), &volume(r#""size":2"#, "192.168.0.224")),
        ]);
        let script = Script::new(exchanges);
        let words = [&["volume", "expand", "web_data", "-o", "name"], &words[..]].concat();
        let ran = run("bricklayer", &script.address, &words);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "web_data\n", ""));
        assert_eq!(script.bodies()[asked], sent);
    }

    let mut exchanges = find_volume(now);
    exchanges.push(json(&format!("GET /volumes/{V}"), &volume(now, "192.168.0.224")));
    let script = Script::new(exchanges);
    let ran = run("bricklayer", &script.address, &["volume", "expand", "web_data", "--to", "1"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.starts_with("error: the volume has 1.50 GiB already, and 1 GiB is no more than that\n  to do: ")
    );
    script.bodies();
}

#[test]
fn healing_and_rebalance_are_shown_until_they_end() {
    let heal = |pending: &str, healthy: bool| {
        format!(
            r#"{{"bricks":[{{"id":"{B}","host":"gfs1","path":"/b/brick","online":true,"pending":{pending}}}],"healthy":{healthy}}}"#
        )
    };
    let path = format!("GET /v1/volumes/{V}/heal");
    let script = Script::new(vec![json(&path, &heal("3", false)), json(&path, &heal("0", true))]);
    let ran = run("bricklayer", &script.address, &["volume", "heal", V, "--watch=1ms"]);
    assert_eq!(
        ran.stdout,
        "NOT whole\n\nHOST  STATE   TO HEAL  BRICK\ngfs1  online  3        /b/brick\n\n\
         whole: every brick is online and healed\n\nHOST  STATE   TO HEAL  BRICK\ngfs1  online  0        /b/brick\n"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    script.bodies();

    let rebalance = |state: &str| {
        format!(
            r#"{{"state":"{state}","nodes":[{{"host":"gfs1","state":"{state}","files":7,"bytes":1048576,"scanned":9,"failures":0,"skipped":1,"seconds":3723}}]}}"#
        )
    };
    let path = format!("/v1/volumes/{V}/rebalance");
    let script = Script::new(vec![
        json(&format!("POST {path}"), &rebalance("running")),
        json(&format!("GET {path}"), &rebalance("running")),
        json(&format!("GET {path}"), &rebalance("completed")),
    ]);
    let words = ["volume", "rebalance", V, "--start", "--watch=1ms", "-o", "json"];
    let ran = run("bricklayer", &script.address, &words);
    assert_eq!(ran.stdout, format!("{}\n{}\n", rebalance("running"), rebalance("completed")));
    script.bodies();
}

#[test]
fn the_manifests_of_static_use_stand_behind_each_other_in_yaml() {
    let mut exchanges = find_volume(r#""size":8"#);
    exchanges.push(json(&format!("GET /volumes/{V}"), &volume(r#""size":8"#, "192.168.0.224")));
    let script = Script::new(exchanges);
    let ran = run("bricklayer", &script.address, &["volume", "manifest", "web_data", "--namespace", "web"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(
        ran.stdout,
        r#"apiVersion: v1
kind: Endpoints
metadata:
  name: glusterfs-web-data
  namespace: web
subsets:
- addresses:
  - ip: "192.168.0.224"
  ports:
  - port: 1
- addresses:
  - ip: "192.168.0.204"
  ports:
  - port: 1
---
apiVersion: v1
kind: Service
metadata:
  name: glusterfs-web-data
  namespace: web
spec:
  ports:
  - port: 1
---
apiVersion: v1
kind: PersistentVolume
metadata:
  annotations:
    pv.beta.kubernetes.io/gid: "2000"
  name: glusterfs-web-data
spec:
  accessModes:
  - ReadWriteMany
  capacity:
    storage: "8Gi"
  claimRef:
    apiVersion: v1
    kind: PersistentVolumeClaim
    name: glusterfs-web-data
    namespace: web
  glusterfs:
    endpoints: glusterfs-web-data
    endpointsNamespace: web
    path: web_data
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: glusterfs-web-data
  namespace: web
spec:
  accessModes:
  - ReadWriteMany
  resources:
    requests:
      storage: "8Gi"
  storageClassName: ""
  volumeName: glusterfs-web-data
"#
    );
    script.bodies();
}

#[test]
fn hosts_that_kubernetes_cannot_reach_are_refused_with_their_names() {
    for (host, why) in [
        ("gfs1.lan", "error: Endpoints of Kubernetes take addresses, and a host of web_data is named gfs1.lan\n"),
        ("127.0.0.1", "error: Kubernetes takes no loopback address, and a host of web_data is 127.0.0.1\n"),
    ] {
        let script = Script::new(vec![json(&format!("GET /volumes/{V}"), &volume(r#""size":8"#, host))]);
        let ran = run("bricklayer", &script.address, &["volume", "manifest", V]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.starts_with(why) && ran.stderr.contains("bricklayer node edit"), "{}", ran.stderr);
        script.bodies();
    }
}

#[test]
fn a_brick_is_replaced_to_a_device_that_is_named_and_evicted_without_one() {
    let mut exchanges = find_node();
    exchanges.push(json(&format!("GET /nodes/{N}"), &node()));
    let asked = exchanges.len();
    exchanges.extend([accepted(&format!("POST /v1/bricks/{B}/replace"), QUEUE), finished(QUEUE)]);
    let script = Script::new(exchanges);
    let words = ["brick", "replace", B, "--device", "gfs1:/dev/disk/by-id/ata-1", "--disable-heal-check"];
    let ran = run("bricklayer", &script.address, &words);
    assert_eq!((ran.code, ran.stdout), (0, format!("brick {B} is replaced\n")));
    assert_eq!(script.bodies()[asked], format!(r#"{{"device":"{D}","healcheck":"disable"}}"#));

    let script = Script::new(vec![accepted(&format!("POST /bricks/to-evict/{B}"), QUEUE), finished(QUEUE)]);
    let ran = run("bricklayer", &script.address, &["brick", "evict", B]);
    assert_eq!(ran.code, 0);
    assert_eq!(script.bodies()[0], "{}");

    let script = Script::new(find_node());
    let ran = run("bricklayer", &script.address, &["brick", "list"]);
    assert!(ran.stdout.ends_with(&format!("{B}  gfs1  /dev/sdb  8 GiB  {V}\n")), "{}", ran.stdout);
    script.bodies();
}

#[test]
fn an_edit_says_both_lists_of_names_and_nothing_that_stays() {
    let mut exchanges = find_node();
    exchanges.push(json(&format!("GET /nodes/{N}"), &node()));
    let asked = exchanges.len();
    exchanges.extend([no_content(&format!("PATCH /v1/nodes/{N}")), json(&format!("GET /nodes/{N}"), &node())]);
    let script = Script::new(exchanges);
    let ran = run("bricklayer", &script.address, &["node", "edit", "gfs1", "--storage-host-name", "10.0.0.1"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(script.bodies()[asked], r#"{"hostnames":{"manage":["gfs1"],"storage":["10.0.0.1"]}}"#);

    let script =
        Script::new(vec![no_content(&format!("PATCH /v1/nodes/{N}")), json(&format!("GET /nodes/{N}"), &node())]);
    let ran = run("bricklayer", &script.address, &["node", "edit", N, "--zone", "2"]);
    assert_eq!(ran.code, 0);
    assert_eq!(script.bodies()[0], r#"{"zone":2}"#);
}

#[test]
fn a_node_is_declared_lost_only_by_its_name_said_twice() {
    let get = || json(&format!("GET /nodes/{N}"), &node());
    let safe = volume(r#""size":8"#, "a");
    let lost = safe.replace(r#""type":"replicate""#, r#""type":"none""#);
    for (volume, fate) in [
        (safe, "(replicate 3): its other bricks have the data, if they are healed"),
        (lost, "(none): the files on these bricks are LOST"),
    ] {
        let script = Script::new(vec![get(), json(&format!("GET /volumes/{V}"), &volume)]);
        let ran = run("bricklayer", &script.address, &["node", "lost", N]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert_eq!(
            ran.stderr,
            format!(
                "error: gfs1 is not declared lost: that is for a host that will never come back\n  \
                 on it: 1 device with 1 brick\n    - of volume web_data {fate}\n  \
                 to declare it lost:\n    bricklayer node lost gfs1 --confirm gfs1\n"
            )
        );
        script.bodies();
    }

    let script = Script::new(vec![get(), no_content(&format!("POST /v1/nodes/{N}/lost"))]);
    let ran = run("bricklayer", &script.address, &["node", "lost", N, "--confirm", "gfs1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "node gfs1 is declared lost: nobody waits for it any more\n"));
    assert_eq!(script.bodies()[1], r#"{"confirm":"gfs1"}"#);
}

#[test]
fn what_is_online_is_not_emptied_and_the_way_there_is_told() {
    let text = format!("Device must be offline before remove operation is performed, device:{D}");
    let path = format!("POST /devices/{D}/state");
    let script = Script::new(vec![refused(&path, "500 Internal Server Error", &text)]);
    let ran = run("bricklayer", &script.address, &["device", "remove", D]);
    let cure = format!("take it out of service first: `bricklayer device disable {D}`");
    assert_eq!((ran.code, ran.stderr), (1, format!("error: {text}\n  to do: {cure}\n")));
    script.bodies();
}

#[test]
fn devices_are_removed_tagged_and_read_again() {
    let script = Script::new(vec![accepted(&format!("POST /devices/{D}/state"), QUEUE), finished(QUEUE)]);
    let ran = run("bricklayer", &script.address, &["device", "remove", D]);
    assert!(ran.stdout.starts_with(&format!("device {D} is removed")), "{}", ran.stdout);
    assert_eq!(script.bodies()[0], r#"{"state":"failed"}"#);

    let script = Script::new(vec![json(&format!("POST /devices/{D}/tags"), r#"{"rack":"r1"}"#)]);
    let ran = run("bricklayer", &script.address, &["device", "settags", D, "rack:r1"]);
    assert_eq!(ran.stdout, "TAG   VALUE\nrack  r1\n");
    assert_eq!(script.bodies(), [r#"{"tags":{"rack":"r1"},"change_type":"update"}"#]);

    let script = Script::new(vec![json(&format!("POST /devices/{D}/tags"), "{}")]);
    let ran = run("bricklayer", &script.address, &["device", "rmtags", D, "--all"]);
    assert_eq!(ran.stdout, "no tags\n");
    assert_eq!(script.bodies(), [r#"{"tags":{},"change_type":"set"}"#]);
}

#[test]
fn ledgers_are_asked_for_by_names() {
    let sum = format!(
        r#"{{"cluster":"{C}","total_bytes":0,"total_sources":[],"figures":[],"unaccounted_bytes":0,"devices":[{{"device":"{D}","name":"/dev/sdb","node":"{N}","node_name":"gfs1","total_bytes":0,"amounts":{{}},"unaccounted_bytes":0}}],"notes":[]}}"#
    );
    let device = format!(
        r#"{{"device":"{D}","name":"/dev/sdb","node":"{N}","node_name":"gfs1","cluster":"{C}","extent_bytes":4194304,"total_bytes":0,"total_sources":[],"figures":[],"unaccounted_bytes":0,"operations":[],"bricks":[],"volumes":[],"notes":[]}}"#
    );
    let one_cluster = json("GET /clusters", &format!(r#"{{"clusters":["{C}"]}}"#));
    let mut of_device = find_node();
    of_device.push(json(&format!("GET /nodes/{N}"), &node()));
    for (words, mut exchanges, path, body) in [
        (&["device", "ledger", "gfs1:/dev/sdb"][..], of_device, format!("GET /v1/devices/{D}/ledger"), &device),
        (&["node", "ledger", "gfs1"], find_node(), format!("GET /v1/nodes/{N}/ledger"), &sum),
        (&["cluster", "ledger"], vec![one_cluster], format!("GET /v1/clusters/{C}/ledger"), &sum),
    ] {
        exchanges.push(json(&path, body));
        let script = Script::new(exchanges);
        let ran = run("bricklayer", &script.address, &[words, &["-o", "name"][..]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "gfs1:/dev/sdb\n"), "{words:?}");
    }
}

#[test]
fn an_audit_lists_the_bricks_that_are_not_where_they_should_be() {
    let fault = format!(r#"{{"brick":"{B}","at":"gfs1:/dev/sdb","rule":"lost","text":"-"}}"#);
    let set = format!(r#"{{"volume":"{V}","volume_name":"web_data","set":0,"faults":[{fault}],"moves":[]}}"#);
    let audit = format!(
        r#"{{"clusters":[{{"cluster":"{C}","sets":[{set}],"bytes":0,"any_node_can_be_lost":true,"nodes":[]}}]}}"#
    );
    let script = Script::new(vec![json("GET /v1/audit", &audit)]);
    let ran = run("bricklayer", &script.address, &["audit", "-o", "name"]);
    assert_eq!((ran.code, ran.stdout), (0, format!("{B}\n")));
}
