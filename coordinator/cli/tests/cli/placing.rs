//! What is asked about places before anything is made.

use crate::support::{Script, accepted, file, finished, greeting, json, problem, run};

const FITS: &str = r#"{"fits":true,"placement":{"cluster":"0000000000000000000000000000000c","durability":{"type":"arbiter"},"sets":1,"bricks":[{"set":0,"position":0,"role":"data","node":"00000000000000000000000000000001","node_name":"gfs1","device":"0000000000000000000000000000000d","device_name":"/dev/sdb","size_bytes":8589934592,"extents":2050},{"set":0,"position":2,"role":"arbiter","node":"00000000000000000000000000000002","node_name":"gfs2","device":"0000000000000000000000000000000e","device_name":"/dev/sdc","size_bytes":314572800,"extents":77}],"devices":[{"node":"00000000000000000000000000000001","node_name":"gfs1","device":"0000000000000000000000000000000d","device_name":"/dev/sdb","extent_bytes":4194304,"free_extents":4091,"free_bytes":17158897664,"free_after_extents":2039,"free_after_bytes":8552185856}]}}"#;

const REFUSED: &str = r#"{"fits":false,"refusals":[{"cluster":"0000000000000000000000000000000c","text":"No space\nNeeded: 3 bricks","cause":"no-space","wish":{"size_bytes":1,"durability":{"type":"replicate","replica":3},"snapshot_factor_milli":1000,"zone_checking":"none","least_brick_bytes":1,"largest_brick_bytes":1,"most_bricks":32,"existing_bricks":0},"attempts":[],"by_rule":[],"devices":[],"relaxations":[]}]}"#;

#[test]
fn an_explanation_says_where_a_volume_would_go() {
    let script = Script::new(vec![json("POST /v1/explain", FITS)]);
    let ran = run("bricklayer", &script.address, &["volume", "explain", "--size", "8", "--arbiter"]);
    assert_eq!(
        ran.stdout,
        "It fits: replicate 3 with arbiter, 1 set, in cluster 0000000000000000000000000000000c.\n\n\
         SET  BRICK    DEVICE         SIZE     EXTENTS\n\
         1    data     gfs1:/dev/sdb  8 GiB    2050\n\
         1    arbiter  gfs2:/dev/sdc  300 MiB  77\n\
         \nDEVICE         FREE       FREE AFTER  EXTENTS AFTER\n\
         gfs1:/dev/sdb  15.98 GiB  7.96 GiB    2039\n"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(script.bodies()[0].starts_with(r#"{"size":8,"durability""#));
}

#[test]
fn an_explanation_of_what_does_not_fit_exits_as_a_refusal_does() {
    for (words, stdout) in [
        (&["volume", "explain", "--size", "8"][..], "No space\nNeeded: 3 bricks\n".to_owned()),
        (&["volume", "explain", "--size", "8", "-o", "json"], format!("{REFUSED}\n")),
    ] {
        let script = Script::new(vec![json("POST /v1/explain", REFUSED)]);
        let ran = run("bricklayer", &script.address, words);
        assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (1, stdout, ""));
        script.bodies();
    }
    let words = ["volume", "explain", "--size", "8", "--arbiter", "--replica", "2"];
    assert_eq!(run("bricklayer", "http://127.0.0.1:1", &words).code, 2);
}

#[test]
fn the_capacity_is_a_table_and_what_is_asked_for_goes_into_the_query() {
    let answer = r#"{"capacities":[{"cluster":"0000000000000000000000000000000c","durability":{"type":"replicate","replica":3},"zone_checking":"none","snapshot_factor_milli":1000,"largest_bytes":535797170176,"largest_gib":499,"devices":3,"free_bytes":1610573512704,"kept_bytes":0},{"cluster":"0000000000000000000000000000000c","durability":{"type":"disperse","data":4,"redundancy":2},"zone_checking":"none","snapshot_factor_milli":1000,"largest_bytes":0,"largest_gib":0,"devices":3,"free_bytes":1610573512704,"kept_bytes":0}]}"#;
    let script = Script::new(vec![json("GET /v1/capacity", answer)]);
    let ran = run("bricklayer", &script.address, &["capacity"]);
    assert_eq!(
        ran.stdout,
        "CLUSTER                           DURABILITY    LARGEST VOLUME  FREE\n\
         0000000000000000000000000000000c  replicate 3   499 GiB         1.46 TiB\n\
         0000000000000000000000000000000c  disperse 4+2  none fits       1.46 TiB\n"
    );
    script.bodies();

    let query = "GET /v1/capacity?arbiter=true&snapshot_factor=1.5&tag_match=tier%21%3Dslow&zone_checking=strict";
    let script = Script::new(vec![json(query, answer)]);
    let words = ["capacity", "--arbiter", "--strict-zones", "--tag-match", "tier!=slow", "--snapshot-factor", "1.5"];
    let ran = run("bricklayer", &script.address, &[&words[..], &["-o", "json"]].concat());
    assert_eq!((ran.code, ran.stdout), (0, format!("{answer}\n")));
    script.bodies();
}

#[test]
fn the_capacity_of_each_zone_is_a_table_of_its_own() {
    let answer = r#"{"capacities":[{"cluster":"0000000000000000000000000000000c","durability":{"type":"replicate","replica":3},"zone_checking":"none","snapshot_factor_milli":1000,"largest_bytes":535797170176,"largest_gib":499,"devices":3,"free_bytes":1610573512704,"kept_bytes":0,"parts":[{"zone":1,"largest_bytes":0,"largest_gib":0,"devices":2,"free_bytes":1073741824,"kept_bytes":0},{"tag":"rack=a","largest_bytes":1073741824,"largest_gib":1,"devices":1,"free_bytes":1073741824,"kept_bytes":0}]}]}"#;
    let script = Script::new(vec![json("GET /v1/capacity?by=zone", answer)]);
    let ran = run("bricklayer", &script.address, &["capacity", "--by", "zone"]);
    assert_eq!(
        ran.stdout.split_once("\n\n").unwrap().1,
        "Each by itself\n\
         DURABILITY   PART    LARGEST VOLUME  FREE   DEVICES\n\
         replicate 3  zone 1  none fits       1 GiB  2\n\
         replicate 3  rack=a  1 GiB           1 GiB  1\n"
    );
    script.bodies();
}

const SIMULATED: &str = r#"{"all_well":false,"sets":[{"volume":"00000000000000000000000000000005","volume_name":"web","durability":{"type":"replicate","replica":3},"set":0,"bricks_lost":1,"bricks_left":2,"quorum":2,"state":"degraded"},{"volume":"00000000000000000000000000000006","volume_name":"tmp","durability":{"type":"none"},"set":0,"bricks_lost":1,"bricks_left":0,"quorum":1,"state":"data-lost"}],"heals":[{"volume":"00000000000000000000000000000005","volume_name":"web","brick":"0000000000000000000000000000000b","set":0,"size_bytes":8589934592,"from":"0000000000000000000000000000000d","from_node_name":"gfs3","from_device_name":"/dev/sdb","to":{"node":"00000000000000000000000000000001","node_name":"gfs1","device":"0000000000000000000000000000000e","device_name":"new disk 1"}},{"volume":"00000000000000000000000000000006","volume_name":"tmp","brick":"0000000000000000000000000000000c","set":0,"size_bytes":1073741824,"from":"0000000000000000000000000000000d","from_node_name":"gfs3","from_device_name":"/dev/sdb","why_not":"nothing that is left has its data"}],"creations":[{"asked":40,"fits":0,"volumes":[],"why_not":"No space\nNeeded: 3 bricks"}],"devices":[{"fate":"lost","node":"00000000000000000000000000000003","node_name":"gfs3","device":"0000000000000000000000000000000d","device_name":"/dev/sdb","extent_bytes":4194304,"free_extents":2039,"free_bytes":8552185856,"free_after_extents":0,"free_after_bytes":0},{"fate":"added","node":"00000000000000000000000000000001","node_name":"gfs1","device":"0000000000000000000000000000000e","device_name":"new disk 1","extent_bytes":4194304,"free_extents":4091,"free_bytes":17158897664,"free_after_extents":2039,"free_after_bytes":8552185856}]}"#;

#[test]
fn a_simulation_is_asked_in_words_and_answered_in_tables() {
    let node = r#"{"zone":1,"hostnames":{"manage":["gfs3"],"storage":["10.0.0.3"]},"cluster":"0000000000000000000000000000000c","id":"00000000000000000000000000000003","state":"online","devices":[]}"#;
    let find = || {
        let cluster = r#"{"id":"0000000000000000000000000000000c","nodes":["00000000000000000000000000000003"],"volumes":[],"block":true,"file":true,"blockvolumes":[]}"#;
        [
            json("GET /clusters", r#"{"clusters":["0000000000000000000000000000000c"]}"#),
            json("GET /clusters/0000000000000000000000000000000c", cluster),
            json("GET /nodes/00000000000000000000000000000003", node),
        ]
    };
    let mut exchanges: Vec<_> = find().into();
    exchanges.extend(find());
    exchanges.push(json("POST /v1/simulate", SIMULATED));
    let script = Script::new(exchanges);
    let words =
        ["--lose", "node:gfs3", "--lose", "zone:2", "--add", "disk:gfs3:16GiB", "--create", "40x100GiB:replica3"];
    let ran = run("bricklayer", &script.address, &[&["simulate"], &words[..]].concat());
    assert_eq!(
        ran.stdout,
        "Brick sets that lose bricks (2)\n\
         VOLUME  SET  DURABILITY   BRICKS LEFT  STATE\n\
         web     1    replicate 3  2 of 3       serves, can be healed\n\
         tmp     1    none         0 of 1       DATA LOST\n\n\
         Bricks with a new place (1 of 2)\n\
         VOLUME  SET  SIZE   FROM           TO\n\
         web     1    8 GiB  gfs3:/dev/sdb  gfs1:new disk 1\n\
         tmp     1    1 GiB  gfs3:/dev/sdb  none: nothing that is left has its data\n\n\
         New volumes that fit: 0 of 40\n\
         The next does not: No space\n  Needed: 3 bricks\n\n\
         Devices (2)\n\
         DEVICE           FREE      FREE AFTER\n\
         gfs3:/dev/sdb    7.96 GiB  lost\n\
         gfs1:new disk 1  added     7.96 GiB\n"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let bodies = script.bodies();
    let sent = bodies.last().unwrap();
    assert!(
        sent.starts_with(
            r#"{"lose":[{"kind":"node","node":"00000000000000000000000000000003"},{"kind":"zone","zone":2}],"add":[{"node":"00000000000000000000000000000003","size_bytes":17179869184}],"create":[{"count":40,"volume":{"size":100,"durability":{"type":"replicate","replicate":{"replica":3}"#
        ),
        "{sent}"
    );
    assert_eq!(run("bricklayer", "http://127.0.0.1:1", &["simulate", "--lose", "gfs3"]).code, 2);
    assert_eq!(run("bricklayer", "http://127.0.0.1:1", &["simulate", "-o", "json"]).code, 2, "nothing is supposed");
}

const PLAN: &str = r#"{"kind":"brick-replace","changes":["brick b of volume web: from gfs1 to gfs4"],"steps":["make brick 1 of 1 on gfs4"],"destroys":["gfs1:/dev/sdb: vg_d/brick_b and vg_d/tp_b go"],"kept":{"id":"000000000000000000000000000000a1","topology_version":7,"expires":"2026-11-22T22:52:33Z","bricks":[{"change":"move","volume":"00000000000000000000000000000005","volume_name":"web","brick":"0000000000000000000000000000000b","set":0,"position":1,"role":"data","node":"00000000000000000000000000000004","node_name":"gfs4","device":"0000000000000000000000000000000e","device_name":"/dev/sdb","size_bytes":8589934592,"extents":2050,"bytes":8598323200,"from":"0000000000000000000000000000000d","from_node_name":"gfs1","from_device_name":"/dev/sdb"}],"devices":[{"node":"00000000000000000000000000000004","node_name":"gfs4","device":"0000000000000000000000000000000e","device_name":"/dev/sdb","extent_bytes":4194304,"free_extents":4091,"free_bytes":17158897664,"free_after_extents":2039,"free_after_bytes":8552185856}]}}"#;

#[test]
fn a_plan_is_shown_with_its_id_and_how_it_is_applied() {
    let path = "POST /bricks/to-evict/0000000000000000000000000000000b?dry_run=true&plan=true";
    let script = Script::new(vec![greeting("Bricklayer"), json(path, PLAN)]);
    let ran = run("bricklayer", &script.address, &["brick", "evict", "0000000000000000000000000000000b", "--plan"]);
    assert_eq!(
        ran.stdout,
        "brick-replace, plan 000000000000000000000000000000a1 (nothing was changed)\n\n\
         Changes (1)\n  brick b of volume web: from gfs1 to gfs4\n\n\
         Steps (1)\n  make brick 1 of 1 on gfs4\n\n\
         Destroyed (1)\n  gfs1:/dev/sdb: vg_d/brick_b and vg_d/tp_b go\n\n\
         Bricks (1)\n\
         VOLUME  SET  BRICK  FROM           DEVICE         SIZE   EXTENTS\n\
         web     1    moves  gfs1:/dev/sdb  gfs4:/dev/sdb  8 GiB  2050\n\n\
         Devices (1)\n\
         DEVICE         FREE       FREE AFTER  EXTENTS AFTER\n\
         gfs4:/dev/sdb  15.98 GiB  7.96 GiB    2039\n\n\
         Until 2026-11-22 22:52:33Z, and only while what it was decided by is as it is now:\n  \
         bricklayer apply 000000000000000000000000000000a1\n"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    script.bodies();
}

#[test]
fn a_server_that_keeps_no_plan_is_told_apart_and_has_done_nothing() {
    let rehearsed = r#"{"kind":"volume-create","changes":[],"steps":[]}"#;
    let script = Script::new(vec![greeting("Bricklayer"), json("POST /volumes?dry_run=true&plan=true", rehearsed)]);
    let ran = run("bricklayer", &script.address, &["volume", "create", "--size", "8", "--plan"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.starts_with("error: the server said what would be done, and kept no plan of it"),
        "{}",
        ran.stderr
    );
    script.bodies();
    let both = ["volume", "create", "--size", "8", "--plan", "--dry-run"];
    assert_eq!(run("bricklayer", "http://127.0.0.1:1", &both).code, 2);
}

#[test]
fn a_plan_is_applied_and_waited_for_or_refused_with_what_has_moved() {
    let (id, queue) = ("000000000000000000000000000000a1", "/queue/000000000000000000000000000000a1");
    let path = format!("POST /v1/plans/{id}/apply");
    let script = Script::new(vec![accepted(&path, queue), finished(queue)]);
    let ran = run("bricklayer", &script.address, &["apply", id]);
    assert_eq!((ran.code, ran.stdout), (0, format!("plan {id} is carried out\n")));
    script.bodies();

    let stale = r#"{"error":"the plan is out of date, and nothing was changed: /dev/sdb on gfs4 has 7 extents free, and had 9","cure":"Make it anew."}"#;
    let script = Script::new(vec![problem(&path, "409 Conflict", stale)]);
    let ran = run("bricklayer", &script.address, &["apply", id]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.ends_with("has 7 extents free, and had 9\n  to do: Make it anew.\n"), "{}", ran.stderr);
    script.bodies();
}

const POLICY: &str = r#"{"says":{"zones":"strict","tag_rules":["same:tier"]},"in_force":{"zones":"strict","most_bricks_per_node":1,"reserve":"0B","tag_rules":["same:tier"],"over_commit":"1.5","pools_at_most":"2.5","warning":"new data bricks"}}"#;

#[test]
fn a_policy_is_shown_and_what_is_not_named_stays_when_it_is_set() {
    let list = format!(r#"{{"policies":[{POLICY}]}}"#);
    let script = Script::new(vec![json("GET /v1/policy", &list)]);
    let ran = run("bricklayer", &script.address, &["policy", "show"]);
    assert_eq!(
        ran.stdout,
        "Installation\n  \
         WHAT                           SAYS       IN FORCE\n  \
         zones                          strict     strict\n  \
         most bricks of a set per zone  -          any number\n  \
         most bricks of a set per node  -          1\n  \
         reserve on each device         -          0B\n  \
         over-commitment                -          1.5\n  \
         provisioning of new volumes    -          thin\n  \
         pools are extended to at most  -          2.5 times the brick's size\n  \
         tag rules                      same:tier  same:tier\n  \
         WARNING: new data bricks\n"
    );
    script.bodies();

    let script = Script::new(vec![json("GET /v1/policy", &list), json("PUT /v1/policy", POLICY)]);
    let ran =
        run("bricklayer", &script.address, &["policy", "set", "--reserve", "5%", "--unset", "zones", "-o", "name"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "installation\n"));
    assert_eq!(script.bodies()[1], r#"{"reserve":"5%","tag_rules":["same:tier"]}"#);

    let cluster = "/v1/clusters/0000000000000000000000000000000c/policy";
    let exchanges = vec![json(&format!("GET {cluster}"), POLICY), json(&format!("PUT {cluster}"), POLICY)];
    let script = Script::new(exchanges);
    let words = ["policy", "set", "--cluster", "0000000000000000000000000000000c", "--no-tag-rules"];
    let words = [&words[..], &["--most-bricks-per-zone", "2"]].concat();
    assert_eq!(run("bricklayer", &script.address, &words).code, 0);
    assert_eq!(script.bodies()[1], r#"{"zones":"strict","most_bricks_per_zone":2,"tag_rules":[]}"#);

    let script = Script::new(vec![json("GET /v1/policy", &list), json("PUT /v1/policy", POLICY)]);
    let words = ["policy", "set", "--provisioning", "thick", "--unset", "zones", "--no-tag-rules"];
    assert_eq!(run("bricklayer", &script.address, &words).code, 0);
    assert_eq!(script.bodies()[1], r#"{"tag_rules":[],"provisioning":"thick"}"#);
}

#[test]
fn how_far_its_pools_go_is_said_of_a_volume_when_it_is_made_and_later() {
    let script = Script::new(vec![json("POST /v1/explain", REFUSED)]);
    run("bricklayer", &script.address, &["volume", "explain", "--size", "8", "--pools-at-most", "1.5"]);
    let option = r#""glustervolumeoptions":["user.bricklayer.pools-at-most 1.5"]"#;
    let bodies = script.bodies();
    assert!(bodies[0].contains(option), "{}", bodies[0]);

    let id = "00000000000000000000000000000005";
    let path = format!("/v1/volumes/{id}/policy");
    let said = r#"{"volume":"00000000000000000000000000000005","says":{"zones":"strict","pools_at_most":"1"},"in_force":{"zones":"strict","most_bricks_per_node":1,"reserve":"0B","tag_rules":[],"over_commit":"1","pools_at_most":"1"}}"#;
    let script = Script::new(vec![json(&format!("GET {path}"), said), json(&format!("PUT {path}"), said)]);
    let ran = run("bricklayer", &script.address, &["policy", "set", "--volume", id, "--pools-at-most", "2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with(&format!("Volume {id}\n")), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("pools are extended to at most  the brick's size  the brick's size\n"),
        "{}",
        ran.stdout
    );
    assert_eq!(script.bodies()[1], r#"{"zones":"strict","pools_at_most":"2"}"#);
    // By the rest its bricks were placed.
    let words = ["policy", "set", "--volume", id, "--zones", "strict"];
    assert_eq!(run("bricklayer", "http://127.0.0.1:1", &words).code, 2);
}

#[test]
fn a_volume_is_asked_for_thick_or_thin_by_its_option() {
    for word in ["thick", "thin"] {
        let script = Script::new(vec![json("POST /v1/explain", REFUSED)]);
        run("bricklayer", &script.address, &["volume", "explain", "--size", "8", &format!("--{word}")]);
        let option = format!(r#""glustervolumeoptions":["user.bricklayer.provisioning {word}"]"#);
        let bodies = script.bodies();
        assert!(bodies[0].contains(&option), "{}", bodies[0]);
    }
    for contradiction in [&["--thick", "--thin"][..], &["--thick", "--snapshot-factor", "1.5"]] {
        let words = [&["volume", "explain", "--size", "8"][..], contradiction].concat();
        assert_eq!(run("bricklayer", "http://127.0.0.1:1", &words).code, 2, "{contradiction:?}");
    }
    let script = Script::new(vec![json("GET /v1/capacity?provisioning=thick", r#"{"capacities":[]}"#)]);
    assert_eq!(run("bricklayer", &script.address, &["capacity", "--provisioning", "thick"]).code, 0);
    script.bodies();
}

#[test]
fn a_score_is_told_with_its_parts_and_the_commands_that_better_it() {
    let answer = r#"{"scores":[{"cluster":"0000000000000000000000000000000c","points":85.5,"parts":[{"part":"spread","weight":15,"share":0.5,"text":"zones"}],"moves":[{"volume":"00000000000000000000000000000005","volume_name":"web","set":0,"brick":"0000000000000000000000000000000b","from":"gfs1:/dev/sdb","to":"gfs4:/dev/sdb","to_device":"0000000000000000000000000000000e","bytes":8589934592,"points_after":91.25}]}]}"#;
    let script = Script::new(vec![json("GET /v1/score?moves=1", answer)]);
    let ran = run("bricklayer", &script.address, &["score", "--moves", "1"]);
    assert_eq!(
        ran.stdout,
        "Cluster 0000000000000000000000000000000c: 85.50 of 100\n  \
         PART    SHARE    WEIGHT  OF\n  \
         spread  50.00 %  15      zones\n\n\
         What betters it most per byte, one after the other:\n  \
         91.25 with 8 GiB of web, set 1, from gfs1:/dev/sdb to gfs4:/dev/sdb:\n    \
         bricklayer brick replace 0000000000000000000000000000000b --device gfs4:/dev/sdb\n"
    );
    script.bodies();
    assert_eq!(run("bricklayer", "http://127.0.0.1:1", &["score", "--moves", "101"]).code, 2);
}

#[test]
fn plans_that_are_kept_are_listed() {
    let script = Script::new(vec![json("GET /v1/plans", &format!(r#"{{"plans":[{PLAN}]}}"#))]);
    let ran = run("bricklayer", &script.address, &["plan", "list"]);
    assert_eq!(
        ran.stdout,
        "ID                                KIND           BRICKS  UNTIL                 CHANGES\n\
         000000000000000000000000000000a1  brick-replace  1       2026-11-22 22:52:33Z  brick b of volume web: from gfs1 to gfs4\n"
    );
    script.bodies();
    let script = Script::new(vec![json("GET /v1/plans/000000000000000000000000000000a1", PLAN)]);
    let ran = run("bricklayer", &script.address, &["plan", "info", "000000000000000000000000000000a1"]);
    assert!(ran.stdout.starts_with("brick-replace, plan 000000000000000000000000000000a1"), "{}", ran.stdout);
    script.bodies();
}

#[test]
fn a_bundle_is_written_for_its_owner_alone_and_its_answer_is_told() {
    use std::os::unix::fs::PermissionsExt as _;

    let path = file("bundle.json", "what was there before");
    let bundle = format!(r#"{{"answer":{REFUSED},"bricklayer_support_bundle":1}}"#);
    let script = Script::new(vec![json("POST /v1/support-bundle", &bundle)]);
    let words = ["volume", "explain", "--size", "8", "--bundle", path.to_str().unwrap()];
    let ran = run("bricklayer", &script.address, &words);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (1, "No space\nNeeded: 3 bricks\n", ""));
    assert!(script.bodies()[0].starts_with(r#"{"volume":{"size":8"#));
    assert!(std::fs::read_to_string(&path).unwrap().contains("bricklayer_support_bundle"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let script = Script::new(vec![json("POST /v1/support-bundle", r#"{"bricklayer_support_bundle":1}"#)]);
    let ran = run("bricklayer", &script.address, &["support-bundle", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout), (0, format!("the devices and the policy are saved in {}\n", path.display())));
    assert_eq!(script.bodies(), ["{}"]);
}
