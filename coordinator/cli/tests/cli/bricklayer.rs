//! The program called as `bricklayer`.

use crate::support::{Exchange, Script, accepted, finished, json, problem, refused, run};

const INVITATION: &str = r#"{"invitation":"00000000000000000000000000000011","name":"gfs1","token":"bl1.token","expires":"2026-11-22T23:22:33Z"}"#;

#[test]
fn an_invitation_prints_the_token_alone_so_that_it_can_be_piped() {
    let script = Script::new(vec![json("POST /v1/invitations", INVITATION)]);
    let ran = run("bricklayer", &script.address, &["agent", "invite", "gfs1", "--zone", "2", "--ttl", "2h"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "bl1.token\n"));
    assert!(ran.stderr.contains("bricklayer-agent enroll"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("bl1.token"));
    assert_eq!(script.bodies(), [r#"{"name":"gfs1","zone":2,"ttl_seconds":7200}"#]);
}

#[test]
fn an_unconfirmed_wipe_shows_what_is_there_touches_nothing_and_fails() {
    let refusal = r#"{"error":"/dev/sdb of gfs1 is not empty","device":"/dev/sdb","holders":[{"kind":"mounted","source":"/dev/sdb1","at":"/mnt"}],"identity":{"serial":"WD-1"}}"#;
    let script = Script::new(vec![problem("POST /v1/devices/wipe", "409 Conflict", refusal)]);
    let ran = run("bricklayer", &script.address, &["device", "wipe", "gfs1", "/dev/sdb"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("/dev/sdb1 is mounted at /mnt"));
    assert!(ran.stderr.contains("bricklayer device wipe gfs1 /dev/sdb --confirm 'WD-1'"));
    assert_eq!(script.bodies(), [r#"{"node":"gfs1","device":"/dev/sdb"}"#]);
}

#[test]
fn a_confirmed_wipe_is_waited_for() {
    let queue = "/queue/000000000000000000000000000000a1";
    let script = Script::new(vec![accepted("POST /v1/devices/wipe", queue), finished(queue)]);
    let ran = run("bricklayer", &script.address, &["device", "wipe", "gfs1", "/dev/sdb", "--confirm", "WD-1"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "/dev/sdb of gfs1 is empty\n", ""));
    assert_eq!(script.bodies()[0], r#"{"node":"gfs1","device":"/dev/sdb","confirm":"WD-1"}"#);
}

#[test]
fn who_does_not_wait_gets_the_operations_id() {
    let queue = "/queue/000000000000000000000000000000a1";
    for (words, stdout) in [
        (vec!["--no-wait"], "operation 000000000000000000000000000000a1\n"),
        (vec!["--no-wait", "--json"], "{\"operation\":\"000000000000000000000000000000a1\"}\n"),
    ] {
        let script = Script::new(vec![accepted("POST /volumes", queue)]);
        let ran = run("bricklayer", &script.address, &[&["volume", "create", "--size", "8"], &words[..]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (0, stdout));
        script.bodies();
    }
}

#[test]
fn a_node_is_found_by_its_name() {
    let node = r#"{"zone":1,"hostnames":{"manage":["gfs1"],"storage":["192.168.0.224"]},"cluster":"0000000000000000000000000000000c","id":"00000000000000000000000000000001","state":"online","devices":[]}"#;
    let cluster = r#"{"id":"0000000000000000000000000000000c","nodes":["00000000000000000000000000000001"],"volumes":[],"block":true,"file":true,"blockvolumes":[]}"#;
    let find = || -> Vec<Exchange> {
        vec![
            json("GET /clusters", r#"{"clusters":["0000000000000000000000000000000c"]}"#),
            json("GET /clusters/0000000000000000000000000000000c", cluster),
            json("GET /nodes/00000000000000000000000000000001", node),
        ]
    };
    let script = Script::new(
        find().into_iter().chain(vec![json("GET /nodes/00000000000000000000000000000001", node)]).collect(),
    );
    let ran = run("bricklayer", &script.address, &["node", "info", "gfs1", "--json"]);
    assert_eq!((ran.code, ran.stdout), (0, format!("{node}\n")));
    script.bodies();

    let script = Script::new(find());
    let ran = run("bricklayer", &script.address, &["node", "info", "gfs9"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.stderr, "error: there is no node gfs9\n  to do: see `bricklayer node list`\n");
    script.bodies();
}

#[test]
fn a_refusal_keeps_every_line_of_the_server() {
    let text = "Failed to allocate new volume: No space\ngfs1:/dev/sdb: 8396800 KiB needed, 8359936 KiB free";
    let script = Script::new(vec![refused("POST /volumes", "500 Internal Server Error", text)]);
    let ran = run("bricklayer", &script.address, &["volume", "create", "--size", "8"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.stderr,
        "error: Failed to allocate new volume: No space\n  gfs1:/dev/sdb: 8396800 KiB needed, 8359936 KiB free\n"
    );
    script.bodies();
}

#[test]
fn exit_codes_tell_a_wrong_command_from_a_server_that_is_not_there() {
    let nobody = "http://127.0.0.1:1";
    let ran = run("bricklayer", nobody, &["volume", "list"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.starts_with("error: cannot reach the server at http://127.0.0.1:1: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("  to do: "));
    for words in [
        vec!["bogus"],
        vec!["volume", "create"],
        vec!["volume", "create", "--size", "1.5"],
        vec!["volume", "create", "--size", "8", "--redundancy", "2"],
        vec!["volume", "info", "../clusters"],
        vec!["--server", "localhost:8080", "volume", "list"],
    ] {
        assert_eq!(run("bricklayer", nobody, &words).code, 2, "{words:?}");
    }
}

#[test]
fn shells_get_their_completion() {
    for (shell, sign) in [("bash", "complete "), ("zsh", "#compdef bricklayer"), ("fish", "--command bricklayer")] {
        let ran = run("bricklayer", "", &["completion", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains(sign), "{shell}");
    }
}
