//! What concerns the server itself: its mode, its log, its books, its metrics; and requests that are only rehearsed.

use std::sync::{Arc, Mutex};

use bricklayer_api::heketi::{DbCheck, NodeInfo, OperationCounts, PendingOperationDetail, PendingOperationList};
use bricklayer_api::json::parse_body;
use bricklayer_api::v1::{Plan, Problem};
use bricklayer_proto::size::ByteSize;
use serde_json::Value;

use super::world::{World, ask, node_id};
use crate::http::{Auth, Mode, ModeSwitch, Room, Settings};
use crate::logging::LogControl;

const REPLICA_3: &str = r#"{"size":8,"durability":{"type":"replicate","replicate":{"replica":3}}}"#;

async fn with(settings: Settings) -> World {
    World::with(Auth::disabled(), |service| service.with(settings)).await
}

#[tokio::test]
async fn a_server_that_is_read_only_takes_nothing_until_it_is_told_from_outside() {
    let mode = Arc::new(ModeSwitch::default());
    let world = with(Settings { mode: Arc::clone(&mode), ..Settings::default() }).await;
    assert_eq!(world.get("/admin").await.body, "{\"state\":\"normal\"}\n");
    let changed = world.post("/admin", r#"{"state":"read-only"}"#).await;
    assert_eq!((changed.status, changed.body.as_str()), (204, ""));
    assert_eq!(world.get("/admin").await.body, "{\"state\":\"read-only\"}\n");
    for (method, path) in
        [("POST", "/clusters"), ("POST", "/admin"), ("DELETE", "/volumes/abc"), ("PATCH", "/v1/nodes/x")]
    {
        let refused = world.ask(method, path, r#"{"state":"normal"}"#).await;
        assert_eq!(refused.status, 503, "{method} {path}");
        assert!(refused.body.contains("Service disabled for maintenance"), "{}", refused.body);
    }
    for path in ["/clusters", "/hello", "/metrics", "/v1/operations"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
    mode.set(Mode::Normal);
    assert_eq!(world.post("/clusters", "{}").await.status, 201);
}

#[tokio::test]
async fn a_local_client_may_change_what_others_may_not() {
    let world = with(Settings { mode: Arc::new(ModeSwitch::new(Mode::LocalClient)), ..Settings::default() }).await;
    // The tests come by the loopback.
    assert_eq!(world.post("/clusters", "{}").await.status, 201);
}

#[tokio::test]
async fn a_mode_that_is_none_is_a_bad_request() {
    let world = World::new().await;
    for (body, text) in [
        (r#"{"state":"off"}"#, "validation failed: state: must be a valid value.\n"),
        ("{}", "validation failed: state: cannot be blank.\n"),
    ] {
        let answer = world.post("/admin", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, text));
    }
    let answer = world.post("/admin", "{").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.starts_with("request unable to be parsed: "), "{}", answer.body);
}

#[tokio::test]
async fn the_log_can_be_made_louder_while_the_server_runs() {
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    let log = LogControl::with(move |filter| {
        *kept.lock().unwrap() = filter.to_string();
        Ok(())
    });
    let world = with(Settings { log, ..Settings::default() }).await;
    let louder = world.post("/internal/logging", r#"{"loglevel":{"glusterfs":"critical"}}"#).await;
    assert_eq!((louder.status, louder.body.as_str()), (200, "{\"loglevel\":{\"glusterfs\":\"critical\"}}\n"));
    assert_eq!(*seen.lock().unwrap(), "error");
    assert_eq!(world.get("/internal/logging").await.body, "{\"loglevel\":{\"glusterfs\":\"critical\"}}\n");
    for (body, status, text) in [
        (r#"{"loglevel":{"glusterfs":"loud"}}"#, 422, "invalid log level: loud\n"),
        (r#"{"loglevel":{"other":"info"}}"#, 422, "Only \"glusterfs\" logger may be modified\n"),
    ] {
        let answer = world.post("/internal/logging", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, text));
    }
    assert_eq!(world.post("/internal/logging", "x").await.status, 400);
}

#[tokio::test]
async fn what_goes_on_is_shown_in_heketis_words() {
    let world = World::new().await;
    world.cluster(3).await;
    let none = "{\"total\":0,\"in_flight\":0,\"stale\":0,\"failed\":0,\"new\":0}\n";
    assert_eq!(world.get("/operations").await.body, none);
    assert_eq!(world.get("/operations/pending").await.body, "{\"pendingoperations\":[]}\n");
    world.agents.hold(true);
    let queue = world.post("/volumes", REPLICA_3).await.queue();
    let id = queue.strip_prefix("/queue/").unwrap();
    let counts: OperationCounts = world.get("/operations").await.json();
    assert_eq!(counts, OperationCounts { total: 1, in_flight: 1, new: 1, ..OperationCounts::default() });
    let list: PendingOperationList = world.get("/operations/pending").await.json();
    assert_eq!(list.pending_operations[0].type_name, "create-volume");
    let detail: PendingOperationDetail = world.get(&format!("/operations/pending/{id}")).await.json();
    let words: Vec<_> = detail.changes.iter().map(|change| change.description.as_str()).collect();
    assert_eq!(words, ["Add brick", "Add brick", "Add brick", "Add volume"]);
    world.agents.hold(false);
    world.end_of(&queue).await;
    let gone = world.get(&format!("/operations/pending/{id}")).await;
    assert_eq!((gone.status, gone.body), (404, format!("Id not found: {id}\n")));
}

#[tokio::test]
async fn a_clean_up_names_operations_or_none() {
    let world = World::new().await;
    let cleaned = world.post("/operations/pending/cleanup", "").await;
    assert_eq!(world.end_of(&cleaned.queue()).await.status, 204);
    let unknown = r#"{"operations":["0123456789abcdef0123456789abcdef"]}"#;
    assert_eq!(world.post("/operations/pending/cleanup", unknown).await.status, 202);
    let bad = world.post("/operations/pending/cleanup", r#"{"operations":["x"]}"#).await;
    assert_eq!((bad.status, bad.body.as_str()), (400, "validation failed: operations: x is not a valid UUID.\n"));
    let many = format!(r#"{{"operations":{:?}}}"#, vec!["0123456789abcdef0123456789abcdef"; 33]);
    let many = world.post("/operations/pending/cleanup", &many).await;
    let text = "validation failed: operations: too many ids specified (33), up to 32 supported.\n";
    assert_eq!((many.status, many.body.as_str()), (400, text));
}

#[tokio::test]
async fn a_dump_has_heketis_keys_and_what_is_being_made() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    let volume = world.volume(REPLICA_3).await;
    world.agents.hold(true);
    let queue = world.post("/volumes", r#"{"size":1}"#).await.queue();
    let answer = world.get("/db/dump").await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    assert!(answer.body.starts_with("{\n    \"clusterentries\": {\n        \""), "{}", answer.body);
    let dump: Value = answer.json();
    let keys: Vec<_> = dump.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["blockvolumeentries", "brickentries", "clusterentries", "dbattributeentries", "deviceentries"] {
        assert!(keys.contains(&key), "{key}");
    }
    assert_eq!(dump["clusterentries"][cluster.to_string()]["Info"]["file"], true);
    let entry = &dump["volumeentries"][volume.id.to_string()];
    assert_eq!((&entry["Info"]["size"], &entry["Pending"]["Id"]), (&8.into(), &"".into()));
    assert!(entry["Info"].get("bricks").is_none());
    let brick = volume.bricks[0].id.to_string();
    let entry = &dump["brickentries"][&brick];
    assert_eq!(entry["TpSize"], 8 << 20);
    assert_eq!(entry["LvmThinPool"], format!("tp_{brick}"));
    assert_eq!((&entry["SubType"], &entry["Info"]["volume"]), (&1.into(), &volume.id.to_string().into()));
    let node = &dump["nodeentries"][node_id(0).to_string()];
    assert_eq!((&node["State"], &node["Info"]["zone"]), (&"online".into(), &1.into()));
    let device = &dump["deviceentries"][node["Devices"][0].as_str().unwrap()];
    assert_eq!((&device["ExtentSize"], &device["NodeId"]), (&4096.into(), &node_id(0).to_string().into()));

    let id = queue.strip_prefix("/queue/").unwrap();
    let pending = &dump["pendingoperations"][id];
    assert_eq!((&pending["Type"], &pending["Actions"][0]["Change"]), (&1.into(), &1.into()));
    let made: Vec<_> =
        dump["volumeentries"].as_object().unwrap().values().filter(|v| v["Pending"]["Id"] == id).collect();
    assert_eq!(made.len(), 1);
    world.agents.hold(false);
    world.end_of(&queue).await;
}

#[tokio::test]
async fn the_books_are_in_order() {
    let world = World::new().await;
    world.cluster(3).await;
    world.volume(REPLICA_3).await;
    let answer = world.get("/db/check").await;
    assert!(answer.body.starts_with("{\n    \"clusters\": {\n        \"total\": 1,\n"), "{}", answer.body);
    let check: DbCheck = parse_body(answer.body.as_bytes()).unwrap();
    assert_eq!(check.total_inconsistencies, 0, "{check:?}");
    assert_eq!((check.volumes.ok, check.bricks.ok, check.devices.ok), (1, 3, 3));
    assert_eq!(check.db_attributes.ok, 1);
}

#[tokio::test]
async fn a_backup_is_a_whole_export_under_heketis_name() {
    let world = World::new().await;
    world.cluster(1).await;
    let backup = world.get("/backup/db").await;
    assert_eq!(backup.status, 200);
    assert_eq!(backup.header("content-type"), Some("application/octet-stream"));
    assert_eq!(backup.header("content-disposition"), Some("attachment; filename=\"heketi.db\""));
    assert_eq!(backup.header("content-length"), Some(backup.body.len().to_string().as_str()));
    assert!(backup.body.lines().last().unwrap().contains("\"end\":true"), "not whole");
}

#[tokio::test]
async fn the_examination_names_what_is_not_where_it_should_be() {
    let world = World::new().await;
    world.cluster(3).await;
    let volume = world.volume(REPLICA_3).await;
    world.agents.stop_gluster(1);
    let seen: Value = world.get("/internal/state/examine/gluster").await.json();
    let report: Vec<_> = seen["report"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(report.contains(&"m1: glusterd does not answer"), "{report:?}");
    // These hosts do not report their bricks.
    let missing = format!("m0: brick {} of volume {} is not there", brick_on(&volume, 0), volume.name);
    assert!(report.contains(&missing.as_str()), "{report:?}");
    assert_eq!(seen["clusters"][0]["NodesData"].as_array().unwrap().len(), 3);
    assert!(seen["heketidb"]["brickentries"].is_object());
}

fn brick_on(volume: &bricklayer_api::heketi::VolumeInfo, host: u8) -> String {
    volume.bricks.iter().find(|brick| brick.node == node_id(host)).unwrap().id.to_string()
}

#[tokio::test]
async fn metrics_have_heketis_names_and_labels() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    world.volume(REPLICA_3).await;
    let node: NodeInfo = world.get(&format!("/nodes/{}", node_id(0))).await.json();
    let device = &node.devices[0];
    let page = world.get("/metrics").await;
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let labels = format!(
        "{{cluster=\"{cluster}\",hostname=\"m0\",storage_hostname=\"10.0.0.0\",id=\"{}\",device=\"/dev/sdb\",pv_uuid=\"{}\"}}",
        device.id, device.pv_uuid
    );
    for line in [
        "# TYPE heketi_up gauge".to_owned(),
        "heketi_up 1".to_owned(),
        "heketi_cluster_count 1".to_owned(),
        format!("heketi_volumes_count{{cluster=\"{cluster}\"}} 1"),
        format!("heketi_nodes_count{{cluster=\"{cluster}\"}} 3"),
        format!("heketi_device_size{labels} {}", device.storage.total_kib),
        format!("heketi_device_free{labels} {}", device.storage.free_kib),
        format!("heketi_device_used_bytes{labels} {}", device.storage.used_kib * 1024),
        format!("heketi_device_brick_count{labels} 1"),
        "heketi_operations_inFlight_count 0".to_owned(),
        format!("bricklayer_agent_attached{{node=\"{}\",name=\"m3\"}} 1", node_id(3)),
    ] {
        assert!(page.body.lines().any(|found| found == line), "no {line:?} in\n{}", page.body);
    }
    let newer = [("Accept", "application/openmetrics-text; version=1.0.0,text/plain;q=0.5")];
    let page = ask(world.address, "GET", "/metrics", &newer, "").await;
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(page.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_done_and_does_nothing() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    let before = world.get("/db/dump").await.body;
    let plan: Plan = world.post("/volumes?dry_run=true", REPLICA_3).await.json();
    assert_eq!(plan.kind, "volume-create");
    assert_eq!(plan.changes.len(), 4, "the volume and three bricks: {:?}", plan.changes);
    assert!(plan.steps.len() >= 5, "{:?}", plan.steps);
    for (method, path, kind) in [
        ("POST", "/clusters".to_owned(), "cluster-create"),
        ("POST", format!("/clusters/{cluster}/flags"), "cluster-flags"),
        ("POST", format!("/nodes/{}/state", node_id(0)), "node-state"),
    ] {
        let body = r#"{"file":true,"state":"offline"}"#;
        let plan = world.ask(method, &format!("{path}?dry_run=true"), body).await;
        assert_eq!(plan.status, 200, "{path}: {plan:?}");
        assert_eq!(plan.json::<Plan>().kind, kind);
    }
    assert_eq!(world.get("/db/dump").await.body, before);
    assert_eq!(world.get("/operations/pending").await.body, "{\"pendingoperations\":[]}\n");
}

#[tokio::test]
async fn a_rehearsal_is_refused_as_the_performance_would_be() {
    let world = World::new().await;
    world.cluster(1).await;
    let refused = world.post("/volumes?dry_run=true", REPLICA_3).await;
    assert_eq!(refused.status, 500);
    assert!(refused.body.starts_with("Failed to allocate new volume: No space\n"), "{}", refused.body);
    assert_eq!(world.post("/volumes?dry_run=true", "{").await.status, 422);
}

#[tokio::test]
async fn what_cannot_be_rehearsed_is_not_performed() {
    let world = World::new().await;
    for (path, body) in [
        ("/v1/invitations?dry_run=true", r#"{"name":"m9"}"#),
        ("/admin?dry_run=true", r#"{"state":"read-only"}"#),
        ("/clusters?dry_run=perhaps", "{}"),
    ] {
        assert_eq!(world.post(path, body).await.status, 400, "{path}");
    }
    assert_eq!(world.get("/v1/invitations").await.body, "{\"invitations\":[]}\n");
    assert_eq!(world.get("/admin").await.body, "{\"state\":\"normal\"}\n");
    assert_eq!(world.get("/clusters").await.body, "{\"clusters\":[]}\n");
}

#[tokio::test]
async fn while_the_disk_is_full_all_can_be_read_and_nothing_is_changed_until_there_is_room() {
    let room = Room::default().of(std::env::temp_dir()).with_least(ByteSize::from_bytes(u64::MAX));
    let world = with(Settings { room: room.clone(), ..Settings::default() }).await;
    let refused = world.post("/clusters", r#"{"file":true,"block":true}"#).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("disk is nearly full") && refused.body.contains("Make room"), "{refused:?}");
    let ours = world.ask("DELETE", "/v1/trash/00000000000000000000000000000001", "").await;
    let problem: Problem = ours.json();
    assert!(ours.status == 503 && problem.cure.is_some_and(|cure| cure.contains("Make room")), "{}", ours.body);
    assert_eq!(world.get("/clusters").await.status, 200);
    assert_eq!(world.get("/v1/doctor").await.status, 200);
    let _same = room.with_least(ByteSize::ZERO);
    assert_eq!(world.post("/clusters", r#"{"file":true,"block":true}"#).await.status, 201);
}
