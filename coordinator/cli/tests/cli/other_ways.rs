//! What every command of `bricklayer` can do besides: rehearse, show its requests, give up waiting, look again, and write
//! its answers in other forms.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Script, accepted, file, greeting, json, no_content, pending, run, run_with};

const V: &str = "00000000000000000000000000000005";
const QUEUE: &str = "/queue/000000000000000000000000000000a1";
const VOLUME: &str = r#"{"size":8,"name":"web","durability":{"type":"none","replicate":{},"disperse":{}},"snapshot":{"enable":false,"factor":1},"id":"00000000000000000000000000000005","cluster":"0000000000000000000000000000000c","mount":{"glusterfs":{"hosts":["a"],"device":"a:web","options":{"backup-volfile-servers":""}}},"blockinfo":{},"bricks":[]}"#;
const LIST: &str = r#"{"volumes":["00000000000000000000000000000005"]}"#;

const PLAN: &str = r#"{"kind":"volume-create","changes":["volume web of 8 GiB"],"steps":["make brick 1 of 3 on gfs1","make brick 2 of 3 on gfs2"]}"#;

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let plan = || Script::new(vec![greeting("Bricklayer"), json("POST /volumes?dry_run=true", PLAN)]);
    let script = plan();
    let ran = run("bricklayer", &script.address, &["volume", "create", "--size", "8", "--dry-run"]);
    assert_eq!(
        ran.stdout,
        "volume-create (dry run: nothing was changed)\n\nChanges (1)\n  volume web of 8 GiB\n\nSteps (2)\n  \
         make brick 1 of 3 on gfs1\n  make brick 2 of 3 on gfs2\n"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    script.bodies();

    let script = plan();
    let ran = run("bricklayer", &script.address, &["volume", "create", "--size", "8", "--dry-run", "--json"]);
    assert_eq!(ran.stdout, format!("{PLAN}\n"));
    script.bodies();
}

#[test]
fn a_dry_run_of_a_heketi_is_refused_before_it_does_the_thing() {
    let script = Script::new(vec![greeting("Heketi")]);
    let ran = run("bricklayer", &script.address, &["volume", "delete", V, "--dry-run"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("to do: leave out --dry-run"), "{}", ran.stderr);
    script.bodies();
}

#[test]
fn curl_lines_stand_in_place_of_results_and_nothing_is_changed() {
    let script = Script::new(vec![json("GET /volumes", LIST), json(&format!("GET /volumes/{V}"), VOLUME)]);
    let settings =
        [("BRICKLAYER_SERVER", script.address.as_str()), ("BRICKLAYER_USER", "admin"), ("BRICKLAYER_KEY", "sesame")];
    let ran = run_with("bricklayer", &settings, &["--curl", "volume", "expand", "web", "--expand-size", "2"]);
    let server = &script.address;
    assert_eq!(
        ran.stdout,
        format!(
            "curl -sS -H \"Authorization: bearer $(bricklayer token GET /volumes)\" '{server}/volumes'\n\
             curl -sS -H \"Authorization: bearer $(bricklayer token GET /volumes/{V})\" '{server}/volumes/{V}'\n\
             curl -sS -i -X POST -H \"Authorization: bearer $(bricklayer token POST /volumes/{V}/expand)\" \
             -H 'Content-Type: application/json' -d '{{\"expand_size\":2}}' '{server}/volumes/{V}/expand'\n"
        )
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    script.bodies();
}

#[test]
fn a_curl_line_without_a_user_has_no_token_and_names_the_trusted_ca() {
    let script = Script::new(vec![json("GET /volumes", r#"{"volumes":[]}"#)]);
    let ran = run("bricklayer", &script.address, &["volume", "list", "--curl", "--insecure-tls"]);
    assert_eq!(ran.stdout, format!("curl -sS --insecure '{}/volumes'\n", script.address));
    script.bodies();
}

#[test]
fn a_token_is_printed_for_one_request_alone() {
    let settings = [("BRICKLAYER_USER", "admin"), ("BRICKLAYER_KEY", "sesame")];
    let ran = run_with("bricklayer", &settings, &["token", "GET", "/volumes"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout.trim_end().split('.').count(), 3, "{}", ran.stdout);
    assert!(!ran.stdout.contains("sesame"));
}

#[test]
fn who_waits_no_longer_is_told_how_to_look_and_the_work_goes_on() {
    // How often it is asked in that time is nobody's promise, so that the script is not held to its end.
    let script = Script::new(vec![accepted(&format!("DELETE /v1/volumes/{V}"), QUEUE), pending(QUEUE)]);
    let ran = run("bricklayer", &script.address, &["volume", "delete", V, "--timeout", "1ms"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""));
    assert_eq!(
        ran.stderr,
        format!(
            "error: deleting {V} has not ended in the time that was given, and goes on\n  to do: \
             `bricklayer operation info 000000000000000000000000000000a1 --watch` shows how far it is\n"
        )
    );
}

#[test]
fn an_operation_is_watched_until_it_ends() {
    let id = "000000000000000000000000000000a1";
    let operation = |state: &str| {
        format!(
            r#"{{"id":"{id}","kind":"volume-create","state":"{state}","steps":[],"started":"2026-11-22T22:52:33Z"}}"#
        )
    };
    let path = format!("GET /v1/operations/{id}");
    let script = Script::new(vec![
        json(&path, &operation("running")),
        json(&path, &operation("stuck")),
        json(&path, &operation("done")),
    ]);
    let ran = run("bricklayer", &script.address, &["operation", "info", id, "--watch=1ms"]);
    assert_eq!(ran.code, 0);
    let states: Vec<_> = ran.stdout.lines().filter_map(|line| line.strip_prefix("State      ")).collect();
    assert_eq!(states, ["running", "stuck", "done"]);
    script.bodies();
}

#[test]
fn answers_come_in_the_form_that_was_asked_for() {
    for (form, stdout) in [
        ("name", "web\n".to_owned()),
        ("json", format!("{{\"volumes\":[{VOLUME}]}}\n")),
        ("wide", "VOLUME  SIZE   DURABILITY  BRICKS  MOUNT  ID                                SNAPSHOT FACTOR  GROUP  BLOCK  CLUSTER                           OPTIONS
web     8 GiB  none        0       a:web  00000000000000000000000000000005  -                -      no     0000000000000000000000000000000c  -
".to_owned()),
    ] {
        let script = Script::new(vec![json("GET /volumes", LIST), json(&format!("GET /volumes/{V}"), VOLUME)]);
        let ran = run("bricklayer", &script.address, &["volume", "list", "-o", form]);
        assert_eq!((ran.code, ran.stdout), (0, stdout), "{form}");
        script.bodies();
    }
    let script = Script::new(vec![json(&format!("GET /volumes/{V}"), VOLUME)]);
    let ran = run("bricklayer", &script.address, &["volume", "info", V, "-o", "yaml"]);
    assert!(
        ran.stdout.starts_with("size: 8\nname: web\ndurability:\n  type: none\n  replicate: {}\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains(&format!("\nid: \"{V}\"\n")), "{}", ran.stdout);
    script.bodies();
}

#[test]
fn a_shell_is_offered_the_names_that_the_server_has() {
    let script = Script::new(vec![json("GET /volumes", LIST), json(&format!("GET /volumes/{V}"), VOLUME)]);
    let settings = [
        ("_BRICKLAYER_COMPLETE", "bash"),
        ("_CLAP_COMPLETE_INDEX", "3"),
        ("BRICKLAYER_SERVER", script.address.as_str()),
    ];
    let ran = run_with("bricklayer", &settings, &["--", "bricklayer", "volume", "info", "w"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "web"));
    script.bodies();

    // A server that is away has nothing to offer, and nothing is said of it.
    let settings =
        [("_BRICKLAYER_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", "3"), ("BRICKLAYER_SERVER", "http://127.0.0.1:1")];
    let ran = run_with("bricklayer", &settings, &["--", "bricklayer", "volume", "info", "w"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
}

#[test]
fn a_backup_can_be_read_by_its_owner_alone() {
    let path = file("bricklayer.backup", "what was there before");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let script = Script::new(vec![json("GET /backup/db", "store")]);
    let ran = run("bricklayer", &script.address, &["db", "backup", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout), (0, format!("6 bytes are saved in {}\n", path.display())));
    assert_eq!(std::fs::read(&path).unwrap(), b"store\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    script.bodies();
}

#[test]
fn what_concerns_the_server_is_read_and_set() {
    for (words, exchange, stdout) in [
        (&["loglevel", "get"][..], json("GET /internal/logging", r#"{"loglevel":{"glusterfs":"info"}}"#), "info\n"),
        (
            &["loglevel", "set", "debug"],
            json("POST /internal/logging", r#"{"loglevel":{"glusterfs":"debug"}}"#),
            "debug\n",
        ),
        (&["server", "mode", "get"], json("GET /admin", r#"{"state":"normal"}"#), "normal\n"),
        (&["server", "mode", "set", "local-client"], no_content("POST /admin"), "local-client\n"),
        (&["db", "dump"], json("GET /db/dump", "{}"), "{}\n"),
    ] {
        let script = Script::new(vec![exchange]);
        let ran = run("bricklayer", &script.address, words);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, stdout, ""), "{words:?}");
        script.bodies();
    }
}

#[test]
fn the_check_of_the_database_names_what_is_not_consistent() {
    let none = r#"{"total":0,"pending":0,"ok":0,"notok":0,"inconsistencies":null}"#;
    let bricks = r#"{"total":2,"pending":0,"ok":1,"notok":1,"inconsistencies":["brick b of no volume"]}"#;
    let check = format!(
        r#"{{"clusters":{none},"volumes":{none},"bricks":{bricks},"nodes":{none},"devices":{none},"blockvolumes":{none},"dbattributes":{none},"pendingoperations":{none},"totalinconsistencies":1}}"#
    );
    let script = Script::new(vec![json("GET /db/check", &check)]);
    let ran = run("bricklayer", &script.address, &["db", "check"]);
    assert!(ran.stdout.contains("\nbricks              2      0        1   1\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\nInconsistencies (1)\n  brick b of no volume\n"), "{}", ran.stdout);
    script.bodies();
}

#[test]
fn a_load_can_be_tried_without_anything_being_made() {
    let path = file(
        "try.json",
        r#"{"clusters":[{"nodes":[
        {"node":{"hostnames":{"manage":["gfs1"],"storage":["192.168.0.224"]},"zone":1},"devices":["/dev/sdb"]},
        {"node":{"hostnames":{"manage":["gfs2"],"storage":["192.168.0.204"]},"zone":1},"devices":["/dev/sdb"]}]}]}"#,
    );
    let script = Script::new(vec![json("GET /clusters", r#"{"clusters":[]}"#)]);
    let ran = run("bricklayer", &script.address, &["topology", "load", "--json", path.to_str().unwrap(), "--dry-run"]);
    assert_eq!(
        ran.stdout,
        "Would create a cluster\n\tWould create node gfs1\n\t\tWould add device /dev/sdb\n\tWould create node gfs2\n\t\tWould add device /dev/sdb\n"
    );
    assert_eq!(ran.code, 0);
    script.bodies();
    let ran = run("bricklayer", "http://127.0.0.1:1", &["topology", "load", "--json", "x", "--curl"]);
    assert_eq!(ran.code, 2);
}
