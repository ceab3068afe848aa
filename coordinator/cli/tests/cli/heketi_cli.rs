//! The program called as `heketi-cli`: requests, output, errors and exit codes as heketi-cli has them.

use crate::support::{Exchange, Script, accepted, file, finished, json, pending, refused, run, see};

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
        ("volume list --bogus", "unknown flag: --bogus"),
        ("bogus", "unknown command \"bogus\" for \"heketi-cli\"\nRun 'heketi-cli --help' for usage."),
    ] {
        let ran = run("heketi-cli", "http://127.0.0.1:1", &line.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.code, ran.stderr), (255, format!("Error: {text}\n")), "{line}");
    }
}

#[test]
fn a_group_and_an_unknown_word_behind_it_print_usage_and_exit_with_0() {
    for words in [vec![], vec!["volume"], vec!["volume", "bogus"], vec!["volume", "expand"], vec!["device", "--help"]] {
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
    let cases: Vec<(String, Vec<Exchange>, String)> = vec![
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
