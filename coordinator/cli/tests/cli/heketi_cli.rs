//! The program called as `heketi-cli`: requests, output, errors and exit codes as heketi-cli has them.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::TcpListener;

use crate::support::{Exchange, Script, accepted, file, finished, json, no_content, pending, refused, run, see, spawn};

const SCENARIO: &str = r#"{"clusters":[{"nodes":[
 {"node":{"hostnames":{"manage":["gfs1"],"storage":["192.168.0.224"]},"zone":1},"devices":["/dev/sdb"]},
 {"node":{"hostnames":{"manage":["gfs2"],"storage":["192.168.0.204"]},"zone":1},"devices":["/dev/sdb"]}]}]}"#;

const C: &str = "0000000000000000000000000000000c";
const VOLUME: &str = r#"{"size":8,"name":"vol_00000000000000000000000000000005","durability":{"type":"replicate","replicate":{"replica":3},"disperse":{"data":4,"redundancy":2}},"snapshot":{"enable":false,"factor":1},"id":"00000000000000000000000000000005","cluster":"0000000000000000000000000000000c","mount":{"glusterfs":{"hosts":["192.168.0.224","192.168.0.204","192.168.0.173"],"device":"192.168.0.224:vol_00000000000000000000000000000005","options":{"backup-volfile-servers":"192.168.0.204,192.168.0.173"}}},"blockinfo":{},"bricks":[]}"#;

fn node(number: u8, devices: &str) -> String {
    format!(
        r#"{{"zone":1,"hostnames":{{"manage":["gfs{number}"],"storage":["192.168.0.{number}"]}},"cluster":"{C}","id":"0000000000000000000000000000000{number}","state":"online","devices":[{devices}]}}"#
    )
}

fn cluster(nodes: &str) -> String {
    format!(r#"{{"id":"{C}","nodes":[{nodes}],"volumes":[],"block":true,"file":true,"blockvolumes":[]}}"#)
}

fn queue(number: u8) -> String {
    format!("/queue/000000000000000000000000000000a{number}")
}

#[test]
fn a_volume_is_created_and_its_block_printed() {
    let script = Script::new(vec![
        accepted("POST /volumes", &queue(1)),
        pending(&queue(1)),
        see(&queue(1), "/volumes/00000000000000000000000000000005"),
        json("GET /volumes/00000000000000000000000000000005", VOLUME),
    ]);
    let ran = run("heketi-cli", &script.address, &["volume", "create", "--size=8", "--replica=3"]);
    assert_eq!(
        ran.stdout,
        "Name: vol_00000000000000000000000000000005
Size: 8
Volume Id: 00000000000000000000000000000005
Cluster Id: 0000000000000000000000000000000c
Mount: 192.168.0.224:vol_00000000000000000000000000000005
Mount Options: backup-volfile-servers=192.168.0.204,192.168.0.173
Block: false
Free Size: 0
Reserved Size: 0
Block Hosting Restriction: (none)
Block Volumes: []
Durability Type: replicate
Distribute Count: 0
Replica Count: 3
"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // All numbers of durability are always sent.
    assert_eq!(
        script.bodies()[0],
        r#"{"size":8,"durability":{"type":"replicate","replicate":{"replica":3},"disperse":{"data":4,"redundancy":2}},"snapshot":{"enable":false,"factor":0}}"#
    );
}

#[test]
fn json_is_the_servers_answer_without_a_line_feed() {
    let get = json("GET /volumes/00000000000000000000000000000005", VOLUME);
    let script = Script::new(vec![get]);
    let ran = run("heketi-cli", &script.address, &["volume", "info", "00000000000000000000000000000005", "--json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, VOLUME));
    script.bodies();
}

#[test]
fn a_failed_create_tells_the_servers_text_and_exits_with_255() {
    let script = Script::new(vec![refused(
        "POST /volumes",
        "500 Internal Server Error",
        "Failed to allocate new volume: No space",
    )]);
    let ran = run("heketi-cli", &script.address, &["volume", "create", "--size", "8"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (255, ""));
    assert_eq!(ran.stderr, "Error: Failed to allocate new volume: No space\n");
    script.bodies();
}

#[test]
fn a_snapshot_factor_of_one_enables_no_snapshots_and_a_larger_one_does() {
    for (factor, sent) in
        [("1.0", r#""snapshot":{"enable":false"#), ("1.5", r#""snapshot":{"enable":true,"factor":1.5}"#)]
    {
        let script = Script::new(vec![refused("POST /volumes", "400 Bad Request", "no")]);
        run("heketi-cli", &script.address, &["volume", "create", "--size=8", "--snapshot-factor", factor]);
        assert!(script.bodies()[0].contains(sent), "{factor}");
    }
}

fn fresh_load() -> Vec<Exchange> {
    vec![
        json("GET /clusters", r#"{"clusters":[]}"#),
        json("POST /clusters", &cluster("")),
        accepted("POST /nodes", &queue(1)),
        see(&queue(1), "/nodes/00000000000000000000000000000001"),
        json("GET /nodes/00000000000000000000000000000001", &node(1, "")),
        accepted("POST /devices", &queue(2)),
        finished(&queue(2)),
        accepted("POST /nodes", &queue(3)),
        see(&queue(3), "/nodes/00000000000000000000000000000002"),
        json("GET /nodes/00000000000000000000000000000002", &node(2, "")),
        accepted("POST /devices", &queue(4)),
        finished(&queue(4)),
        json(&format!("GET /clusters/{C}"), &cluster(r#""00000000000000000000000000000001""#)),
    ]
}

const LOADED: &str = "Creating cluster ... ID: 0000000000000000000000000000000c
\tAllowing file volumes on cluster.
\tAllowing block volumes on cluster.
\tCreating node gfs1 ... ID: 00000000000000000000000000000001
\t\tAdding device /dev/sdb ... OK
\tCreating node gfs2 ... ID: 00000000000000000000000000000002
\t\tAdding device /dev/sdb ... OK
";

#[test]
fn a_fresh_topology_is_loaded_with_heketis_lines() {
    let script = Script::new(fresh_load());
    let path = file("fresh.json", SCENARIO);
    let ran = run("heketi-cli", &script.address, &["topology", "load", &format!("--json={}", path.display())]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, LOADED, ""));
    let bodies = script.bodies();
    assert_eq!(bodies[1], r#"{"block":true,"file":true}"#);
    assert_eq!(
        bodies[2],
        format!(r#"{{"zone":1,"hostnames":{{"manage":["gfs1"],"storage":["192.168.0.224"]}},"cluster":"{C}"}}"#)
    );
    assert_eq!(bodies[5], r#"{"name":"/dev/sdb","node":"00000000000000000000000000000001"}"#);
}

#[test]
fn bricklayer_loads_a_topology_with_the_same_requests_and_lines() {
    let script = Script::new(fresh_load());
    let path = file("fresh_bricklayer.json", SCENARIO);
    let ran = run("bricklayer", &script.address, &["topology", "load", "--strict", "--json", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, LOADED, ""));
    script.bodies();
}

#[test]
fn what_is_there_is_found_and_only_the_rest_is_added() {
    let device = r#"{"name":"/dev/sdb","storage":{"total":1,"free":1,"used":0},"id":"0000000000000000000000000000000d","state":"online","bricks":[]}"#;
    let script = Script::new(vec![
        json("GET /clusters", &format!(r#"{{"clusters":["{C}"]}}"#)),
        json(&format!("GET /clusters/{C}"), &cluster(r#""00000000000000000000000000000001""#)),
        json("GET /nodes/00000000000000000000000000000001", &node(1, device)),
        accepted("POST /nodes", &queue(1)),
        see(&queue(1), "/nodes/00000000000000000000000000000002"),
        json("GET /nodes/00000000000000000000000000000002", &node(2, "")),
        accepted("POST /devices", &queue(2)),
        finished(&queue(2)),
    ]);
    let path = file("found.json", SCENARIO);
    let ran = run("heketi-cli", &script.address, &["topology", "load", "-j", path.to_str().unwrap()]);
    assert_eq!(
        ran.stdout,
        "\tFound node gfs1 on cluster 0000000000000000000000000000000c
\t\tFound device /dev/sdb
\tCreating node gfs2 ... ID: 00000000000000000000000000000002
\t\tAdding device /dev/sdb ... OK
"
    );
    assert_eq!(ran.code, 0);
    // The new node joins the cluster in which the other one was found.
    assert!(script.bodies()[3].contains(&format!(r#""cluster":"{C}""#)));
}

fn failing_load() -> Vec<Exchange> {
    vec![
        json("GET /clusters", r#"{"clusters":[]}"#),
        json("POST /clusters", &cluster("")),
        refused("POST /nodes", "400 Bad Request", "New Node doesn't have glusterd running"),
        accepted("POST /nodes", &queue(3)),
        see(&queue(3), "/nodes/00000000000000000000000000000002"),
        json("GET /nodes/00000000000000000000000000000002", &node(2, "")),
        accepted("POST /devices", &queue(4)),
        refused(&format!("GET {}", queue(4)), "500 Internal Server Error", "/dev/sdb: /dev/sdb1 is mounted at /mnt"),
        json(&format!("GET /clusters/{C}"), &cluster(r#""00000000000000000000000000000002""#)),
    ]
}

#[test]
fn nodes_and_devices_that_fail_are_told_and_the_exit_code_is_0_all_the_same() {
    let script = Script::new(failing_load());
    let path = file("failing.json", SCENARIO);
    let ran = run("heketi-cli", &script.address, &["topology", "load", "--json", path.to_str().unwrap()]);
    assert_eq!(
        ran.stdout,
        "Creating cluster ... ID: 0000000000000000000000000000000c
\tAllowing file volumes on cluster.
\tAllowing block volumes on cluster.
\tCreating node gfs1 ... Unable to create node: New Node doesn't have glusterd running
\tCreating node gfs2 ... ID: 00000000000000000000000000000002
\t\tAdding device /dev/sdb ... Unable to add device: /dev/sdb: /dev/sdb1 is mounted at /mnt
"
    );
    assert_eq!(ran.code, 0);
    script.bodies();
}

#[test]
fn a_strict_load_fails_when_a_part_failed() {
    let script = Script::new(failing_load());
    let path = file("strict.json", SCENARIO);
    let ran = run("bricklayer", &script.address, &["topology", "load", "--strict", "-j", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "Not added: 1 node and 1 device.\n"));
    script.bodies();
}

#[test]
fn a_cluster_that_got_no_node_is_deleted_again() {
    let script = Script::new(vec![
        json("GET /clusters", r#"{"clusters":[]}"#),
        json("POST /clusters", &cluster("")),
        refused("POST /nodes", "400 Bad Request", "no"),
        refused("POST /nodes", "400 Bad Request", "no"),
        json(&format!("GET /clusters/{C}"), &cluster("")),
        json(&format!("DELETE /clusters/{C}"), ""),
    ]);
    let path = file("empty.json", SCENARIO);
    let ran = run("heketi-cli", &script.address, &["topology", "load", "--json", path.to_str().unwrap()]);
    assert_eq!(ran.code, 0);
    script.bodies();
}

#[test]
fn files_that_are_no_topology_are_refused_before_any_request() {
    let broken = file("broken.json", "{");
    for (words, text) in [
        (vec!["topology", "load"], "Error: Missing configuration file\n"),
        (vec!["topology", "load", "--json=/does/not/exist"], "Error: Unable to open config file\n"),
        (vec!["topology", "load", "--json", broken.to_str().unwrap()], "Error: Unable to parse config file\n"),
    ] {
        let ran = run("heketi-cli", "http://127.0.0.1:1", &words);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (255, "", text));
    }
}

#[test]
fn own_errors_come_in_heketis_order_and_words() {
    for (line, text) in [
        ("volume create", "Missing volume size"),
        ("node add", "Missing zone"),
        ("node add --zone=1", "Missing management hostname"),
        ("node add --zone=1 --management-host-name=a", "Missing storage hostname"),
        ("node add --zone=1 --management-host-name=a --storage-host-name=b", "Missing cluster id"),
        ("node delete", "Node id missing"),
        ("device add", "Missing device name"),
        ("device add --name=/dev/sdb", "Missing node id"),
        ("cluster setflags", "Cluster id missing"),
        ("cluster setflags 0000000000000000000000000000000c", "At least one of --file or --block must be specified."),
        ("volume expand", "Missing volume amount to expand"),
        ("volume expand --expand-size=1", "Missing volume id"),
        ("blockvolume create", "Missing volume size"),
        ("blockvolume create --size=1 --ha=-1", "Invalid HA count"),
        ("blockvolume expand", "Missing block volume id"),
        ("blockvolume expand x", "Missing block volume net new size"),
        ("node settags", "id required"),
        ("node settags x", "at least one tag:value pair expected"),
        ("device settags x a:b c", "expected colon (:) between tag name and value, got: c"),
        ("device rmtags x", "at least one tag expected"),
        ("node deltags x --all a", "--all may not be combined with named tags"),
        ("loglevel set a b", "too many arguments"),
        ("server mode set a b", "too many arguments"),
        ("brick evict a b", "Too many arguments provided"),
        (
            "setup-heketi-db-storage --durability=disperse",
            "Durability disperse is not supported for heketi database storage",
        ),
        ("volume list --bogus", "unknown flag: --bogus"),
        ("bogus", "unknown command \"bogus\" for \"heketi-cli\"\nRun 'heketi-cli --help' for usage."),
    ] {
        let ran = run("heketi-cli", "http://127.0.0.1:1", &line.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.code, ran.stderr), (255, format!("Error: {text}\n")), "{line}");
    }
}

#[test]
fn a_group_and_an_unknown_word_behind_it_print_usage_and_exit_with_0() {
    for words in [
        vec![],
        vec!["volume"],
        vec!["volume", "bogus"],
        vec!["volume", "endpoint"],
        vec!["server", "state", "x"],
        vec!["device", "--help"],
    ] {
        let ran = run("heketi-cli", "http://127.0.0.1:1", &words);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{words:?}");
        assert!(ran.stdout.contains("Usage:\n  heketi-cli"), "{words:?}");
    }
}

#[test]
fn a_link_of_that_name_anywhere_is_heketi_cli() {
    let ran = run("/usr/local/bin/heketi-cli", "http://127.0.0.1:1", &["--version"]);
    assert_eq!((ran.code, ran.stdout), (0, format!("heketi-cli {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn small_commands_print_their_line() {
    let n = "00000000000000000000000000000001";
    let d = "0000000000000000000000000000000d";
    let v = "00000000000000000000000000000005";
    let node_state = format!("POST /nodes/{n}/state");
    let device_state = format!("POST /devices/{d}/state");
    let b = "0000000000000000000000000000000b";
    let cases: Vec<(String, Vec<Exchange>, String)> = vec![
        (
            format!("node remove {n}"),
            vec![accepted(&node_state, &queue(1)), finished(&queue(1))],
            format!("Node {n} is now removed\n"),
        ),
        (
            format!("device remove {d}"),
            vec![accepted(&device_state, &queue(1)), finished(&queue(1))],
            format!("Device {d} is now removed\n"),
        ),
        (
            format!("device resync {d}"),
            vec![accepted(&format!("GET /devices/{d}/resync"), &queue(1)), finished(&queue(1))],
            format!("Device {d} updated\n"),
        ),
        (
            format!("brick evict {b}"),
            vec![accepted(&format!("POST /bricks/to-evict/{b}"), &queue(1)), finished(&queue(1))],
            format!("Brick {b} evicted\n"),
        ),
        (
            format!("volume endpoint patch {v}"),
            vec![json(&format!("GET /volumes/{v}"), VOLUME)],
            r#"{"subsets": [{"addresses":[{"ip":"192.168.0.224"}],"ports":[{"port":1}]},{"addresses":[{"ip":"192.168.0.204"}],"ports":[{"port":1}]},{"addresses":[{"ip":"192.168.0.173"}],"ports":[{"port":1}]}]}"#.to_owned(),
        ),
        (
            format!("blockvolume delete {v}"),
            vec![accepted(&format!("DELETE /blockvolumes/{v}"), &queue(1)), finished(&queue(1))],
            format!("Volume {v} deleted\n"),
        ),
        (
            "db dump".to_owned(),
            vec![json("GET /db/dump", "{\n    \"clusterentries\": {}\n}")],
            "{\n    \"clusterentries\": {}\n}\n".to_owned(),
        ),
        (
            "server state examine gluster".to_owned(),
            vec![json("GET /internal/state/examine/gluster", "{}")],
            "{}\n".to_owned(),
        ),
        (
            "loglevel get".to_owned(),
            vec![json("GET /internal/logging", r#"{"loglevel":{"glusterfs":"debug"}}"#)],
            "debug\n".to_owned(),
        ),
        (
            "loglevel set info".to_owned(),
            vec![json("POST /internal/logging", r#"{"loglevel":{"glusterfs":"info"}}"#)],
            "Server log level updated\n".to_owned(),
        ),
        ("server mode get".to_owned(), vec![json("GET /admin", r#"{"state":"normal"}"#)], "normal\n".to_owned()),
        ("server mode set read-only".to_owned(), vec![no_content("POST /admin")], String::new()),
        (
            "server operations info".to_owned(),
            vec![json("GET /operations", r#"{"total":3,"in_flight":1,"stale":1,"failed":0,"new":2}"#)],
            "Operation Counts:\n  Total: 3\n  In-Flight: 1\n  New: 2\n  Failed: 0\n  Stale: 1\n".to_owned(),
        ),
        (
            format!("server operations info {v}"),
            vec![json(
                &format!("GET /operations/pending/{v}"),
                &format!(r#"{{"id":"{v}","type_name":"create-volume","status":"","sub_status":"in-flight","changes":[{{"id":"{b}","description":"Add brick"}}]}}"#),
            )],
            format!("\nId: {v}\nType: create-volume\nStatus: New in-flight\nChanges:\n    Add brick: {b}\n"),
        ),
        (
            "server operations list".to_owned(),
            vec![json(
                "GET /operations/pending",
                &format!(r#"{{"pendingoperations":[{{"id":"{v}","type_name":"delete-volume","status":"stale","sub_status":""}}]}}"#),
            )],
            format!("Id:{v}  Type:delete-volume  Status:stale\n"),
        ),
        (
            "cluster create --block=false".to_owned(),
            vec![json("POST /clusters", &cluster(""))],
            format!("Cluster id: {C}\n"),
        ),
        (
            format!("cluster delete {C}"),
            vec![json(&format!("DELETE /clusters/{C}"), "")],
            format!("Cluster {C} deleted\n"),
        ),
        (
            format!("cluster setflags --file=false {C}"),
            vec![json(&format!("GET /clusters/{C}"), &cluster("")), json(&format!("POST /clusters/{C}/flags"), "")],
            String::new(),
        ),
        (
            format!("node disable {n} ignored words"),
            vec![accepted(&node_state, &queue(1)), finished(&queue(1))],
            format!("Node {n} is now offline\n"),
        ),
        (
            format!("device enable {d}"),
            vec![accepted(&device_state, &queue(1)), finished(&queue(1))],
            format!("Device {d} is now online\n"),
        ),
        (
            format!("device add --name=/dev/sdb --node={n} --destroy-existing-data"),
            vec![accepted("POST /devices", &queue(1)), finished(&queue(1))],
            "Device added successfully\n".to_owned(),
        ),
        (
            format!("device delete --force-forget {d}"),
            vec![accepted(&format!("DELETE /devices/{d}"), &queue(1)), finished(&queue(1))],
            format!("Device {d} deleted\n"),
        ),
        (
            format!("volume delete {v}"),
            vec![accepted(&format!("DELETE /volumes/{v}"), &queue(1)), finished(&queue(1))],
            format!("Volume {v} deleted\n"),
        ),
        (
            "volume list --json".to_owned(),
            vec![json("GET /volumes", r#"{"volumes":[]}"#)],
            r#"{"volumes":[]}"#.to_owned(),
        ),
    ];
    for (line, exchanges, stdout) in cases {
        let script = Script::new(exchanges);
        let ran = run("heketi-cli", &script.address, &line.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.stdout, ran.stderr.as_str(), ran.code), (stdout, "", 0), "{line}");
        script.bodies();
    }
}

#[test]
fn tags_are_updated_set_deleted_and_cleared_without_a_word() {
    let n = "00000000000000000000000000000001";
    for (words, sent) in [
        (&["settags", n, "rack:1", "row:a:b"][..], r#"{"tags":{"rack":"1","row":"a:b"},"change_type":"update"}"#),
        (&["settags", "--exact", n, "rack:1"], r#"{"tags":{"rack":"1"},"change_type":"set"}"#),
        (&["rmtags", n, "rack"], r#"{"tags":{"rack":""},"change_type":"delete"}"#),
        (&["removetags", n, "--all"], r#"{"tags":{},"change_type":"set"}"#),
    ] {
        let script = Script::new(vec![json(&format!("POST /nodes/{n}/tags"), "{}")]);
        let ran = run("heketi-cli", &script.address, &[&["node"], words].concat());
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
        assert_eq!(script.bodies(), [sent]);
    }
}

#[test]
fn a_resync_of_a_cluster_has_heketis_lines_and_says_on_stderr_what_failed() {
    let devices = r#"{"name":"/dev/sdb","storage":{"total":1,"free":1,"used":0},"id":"0000000000000000000000000000000d","state":"online","bricks":[]}"#;
    let script = Script::new(vec![
        json(&format!("GET /clusters/{C}"), &cluster(r#""00000000000000000000000000000001""#)),
        json("GET /nodes/00000000000000000000000000000001", &node(1, devices)),
        refused("GET /devices/0000000000000000000000000000000d/resync", "500 Internal Server Error", "gfs1 is away"),
    ]);
    let ran = run("heketi-cli", &script.address, &["device", "resync", "--cluster", C]);
    assert_eq!(
        ran.stdout,
        format!(
            "Cluster-wide resync operation requested. Using object_id as cluster_id.\n\
             Now resyncing device 0000000000000000000000000000000d..\n\
             Device 0000000000000000000000000000000d (node 00000000000000000000000000000001) in cluster {C} updated\n"
        )
    );
    let stderr = "Error: device 0000000000000000000000000000000d was not updated: gfs1 is away\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (0, stderr));
    script.bodies();
}

#[test]
fn a_volume_is_expanded_cloned_and_restricted() {
    let v = "00000000000000000000000000000005";
    for (words, path, sent) in [
        (vec!["expand", "--volume", v, "--expand-size=2"], "expand", r#"{"expand_size":2}"#),
        (vec!["expand", v, "--expand-size=2"], "expand", r#"{"expand_size":2}"#),
        (vec!["clone", v, "--name=copy"], "clone", r#"{"name":"copy"}"#),
        (vec!["clone", v], "clone", "{}"),
        (vec!["set-block-hosting-restriction", "locked", v], "block-restriction", r#"{"restriction":"locked"}"#),
        (vec!["set-block-hosting-restriction", "unlocked", v], "block-restriction", r#"{"restriction":""}"#),
    ] {
        let script = Script::new(vec![
            accepted(&format!("POST /volumes/{v}/{path}"), &queue(1)),
            see(&queue(1), &format!("/volumes/{v}")),
            json(&format!("GET /volumes/{v}"), VOLUME),
        ]);
        let ran = run("heketi-cli", &script.address, &[&["volume"], &words[..]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.starts_with("Name: vol_"), "{}", ran.stdout);
        assert_eq!(script.bodies()[0], sent);
    }
}

const BLOCK_VOLUME: &str = r#"{"size":5,"name":"blk","hacount":2,"id":"0000000000000000000000000000000e","blockvolume":{"hosts":["10.0.0.3","10.0.0.1"],"iqn":"iqn.2016-12.org.gluster-block:x","lun":0,"username":"u","password":"p"},"cluster":"0000000000000000000000000000000c","blockhostingvolume":"00000000000000000000000000000005","usablesize":5}"#;

#[test]
fn a_block_volume_is_created_listed_and_shown() {
    let e = "0000000000000000000000000000000e";
    let script = Script::new(vec![
        accepted("POST /blockvolumes", &queue(1)),
        see(&queue(1), &format!("/blockvolumes/{e}")),
        json(&format!("GET /blockvolumes/{e}"), BLOCK_VOLUME),
    ]);
    let words = ["blockvolume", "create", "--size=5", "--ha=2", "--auth", "--name=blk"];
    let ran = run("heketi-cli", &script.address, &words);
    assert_eq!(
        ran.stdout,
        "Name: blk
Size: 5
UsableSize: 5
Volume Id: 0000000000000000000000000000000e
Cluster Id: 0000000000000000000000000000000c
Hosts: [10.0.0.3 10.0.0.1]
IQN: iqn.2016-12.org.gluster-block:x
LUN: 0
Hacount: 2
Username: u
Password: p
Block Hosting Volume: 00000000000000000000000000000005
"
    );
    assert_eq!(script.bodies()[0], r#"{"size":5,"name":"blk","hacount":2,"auth":true}"#);

    let script = Script::new(vec![
        json("GET /blockvolumes", &format!(r#"{{"blockvolumes":["{e}"]}}"#)),
        json(&format!("GET /blockvolumes/{e}"), BLOCK_VOLUME),
    ]);
    let ran = run("heketi-cli", &script.address, &["blockvolume", "list"]);
    assert_eq!(ran.stdout, format!("Id:{e}    Cluster:{C}    Name:blk\n"));
    script.bodies();

    let script = Script::new(vec![json(&format!("GET /blockvolumes/{e}"), BLOCK_VOLUME)]);
    let ran = run("heketi-cli", &script.address, &["blockvolume", "info", e, "--json"]);
    assert_eq!(ran.stdout, BLOCK_VOLUME);
    script.bodies();
}

#[test]
fn the_objects_for_the_database_of_heketi_are_saved() {
    let path = file("heketi-storage.json", "");
    let script = Script::new(vec![
        json("GET /volumes", r#"{"volumes":[]}"#),
        accepted("POST /volumes", &queue(1)),
        see(&queue(1), "/volumes/00000000000000000000000000000005"),
        json("GET /volumes/00000000000000000000000000000005", VOLUME),
        json("GET /backup/db", "store"),
    ]);
    let list_file = format!("--listfile={}", path.display());
    let words = ["setup-kubernetes-heketi-storage", &list_file, "--node-selector=disk=ssd"];
    let ran = run("heketi-cli", &script.address, &words);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, format!("Saving {}\n", path.display()));
    assert_eq!(
        script.bodies()[1],
        r#"{"size":2,"name":"heketidbstorage","durability":{"type":"replicate","replicate":{"replica":3},"disperse":{}},"glustervolumeoptions":["performance.stat-prefetch off","performance.write-behind off","performance.open-behind off","performance.quick-read off","performance.strict-o-direct on","performance.read-ahead off","performance.io-cache off","performance.readdir-ahead off","user.heketi.dbstoragelevel 1"],"snapshot":{"enable":false,"factor":0}}"#
    );
    let list: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let kinds: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Secret", "Endpoints", "Service", "Job"]);
    // "store" and its line feed.
    assert_eq!(list["items"][0]["data"]["heketi.db"], "c3RvcmUK");
    assert_eq!(list["items"][1]["subsets"][2]["addresses"][0]["ip"], "192.168.0.173");
    assert_eq!(list["items"][3]["spec"]["template"]["spec"]["nodeSelector"]["disk"], "ssd");
}

#[test]
fn a_volume_for_the_database_that_cannot_be_filled_is_deleted_again() {
    let v = "00000000000000000000000000000005";
    let script = Script::new(vec![
        json("GET /volumes", r#"{"volumes":[]}"#),
        accepted("POST /volumes", &queue(1)),
        see(&queue(1), &format!("/volumes/{v}")),
        json(&format!("GET /volumes/{v}"), VOLUME),
        refused("GET /backup/db", "500 Internal Server Error", "Unable to access db"),
        accepted(&format!("DELETE /volumes/{v}"), &queue(2)),
        finished(&queue(2)),
    ]);
    let ran = run("heketi-cli", &script.address, &["setup-openshift-heketi-storage"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (255, "Cleaning up\nError: Unable to access db\n"));
    script.bodies();

    let named = VOLUME.replace(r#""name":"vol_00000000000000000000000000000005""#, r#""name":"heketidbstorage""#);
    let script = Script::new(vec![
        json("GET /volumes", &format!(r#"{{"volumes":["{v}"]}}"#)),
        json(&format!("GET /volumes/{v}"), &named),
    ]);
    let ran = run("heketi-cli", &script.address, &["setup-openshift-heketi-storage"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (255, "Error: Volume heketidbstorage already exists\n"));
    script.bodies();
}

#[test]
fn a_strict_load_fails_as_heketi_cli_too() {
    let script = Script::new(failing_load());
    let path = file("strict_heketi.json", SCENARIO);
    let ran = run("heketi-cli", &script.address, &["topology", "load", "--strict", "-j", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stderr.as_str()), (255, "Error: Not added: 1 node and 1 device\n"));
    script.bodies();
}

#[test]
fn who_switches_the_check_of_healing_off_is_warned_before_anything_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let words = ["brick", "evict", "0000000000000000000000000000000b", "--expert-option-disable-heal-check"];
    let mut child = spawn("heketi-cli", &server, &words);
    let mut warning = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut warning).unwrap();
    assert!(warning.starts_with("WARNING: ") && warning.contains("LOST"), "{warning}");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    child.kill().unwrap();
    child.wait().unwrap();
}
