//! What is asked about places before anything is made.

use crate::support::{Script, json, run};

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
