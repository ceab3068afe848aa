//! Nodes that are edited or lost, bricks that move, volumes that grow: what is refused, and what is answered at once.

use bricklayer_api::heketi::{DeviceInfo, NodeInfo};
use bricklayer_api::v1::{AgentList, AgentState, Plan, Problem};

use super::world::{World, node_id};

const REPLICA_2: &str = r#"{"size":8,"durability":{"type":"replicate","replicate":{"replica":2}}}"#;
const NOBODY: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn a_node_gets_another_zone_by_its_name() {
    let world = World::new().await;
    world.cluster(1).await;
    assert_eq!(world.ask("PATCH", "/v1/nodes/m0", r#"{"zone":7}"#).await.status, 200);
    let node: NodeInfo = world.get(&format!("/nodes/{}", node_id(0))).await.json();
    assert_eq!((node.zone, node.hostnames.manage[0].as_str()), (7, "m0"));
    for (path, body, status) in [
        ("/v1/nodes/m0", r#"{"zone":0}"#, 400),
        ("/v1/nodes/m0", r#"{"hostnames":{"manage":["m0"],"storage":["10.0.0.1/24"]}}"#, 400),
        ("/v1/nodes/m0", r#"{"zone":"x"}"#, 400),
        ("/v1/nodes/m9", r#"{"zone":1}"#, 404),
    ] {
        let refused = world.ask("PATCH", path, body).await;
        assert_eq!(refused.status, status, "{body}");
        assert!(!refused.json::<Problem>().error.is_empty());
    }
}

#[tokio::test]
async fn only_a_node_that_is_away_and_named_is_given_up() {
    let world = World::new().await;
    world.cluster(2).await;
    let lost = |confirm: &str| format!(r#"{{"confirm":"{confirm}"}}"#);
    assert_eq!(world.post("/v1/nodes/m1/lost", &lost("m1")).await.status, 409, "its agent is attached");
    world.agents.detach(1);
    assert_eq!(world.post("/v1/nodes/m1/lost", &lost("m0")).await.status, 400);
    let rehearsed: Plan = world.post("/v1/nodes/m1/lost?dry_run=true", &lost("m1")).await.json();
    assert_eq!(rehearsed.kind, "node-lost");
    let before: NodeInfo = world.get(&format!("/nodes/{}", node_id(1))).await.json();
    assert_eq!(before.state.as_str(), "online", "a rehearsal gave it up");
    assert_eq!(world.post("/v1/nodes/m1/lost", &lost("m1")).await.status, 200);
    let after: NodeInfo = world.get(&format!("/nodes/{}", node_id(1))).await.json();
    assert_eq!(after.state.as_str(), "failed");
}

#[tokio::test]
async fn what_is_to_move_or_grow_must_be_there() {
    let world = World::new().await;
    world.cluster(2).await;
    for (path, body) in [
        (format!("/volumes/{NOBODY}/expand"), r#"{"expand_size":1}"#),
        (format!("/volumes/{NOBODY}/clone"), "{}"),
        (format!("/bricks/to-evict/{NOBODY}"), ""),
        (format!("/nodes/{NOBODY}/tags"), r#"{"change_type":"set"}"#),
    ] {
        let refused = world.post(&path, body).await;
        assert_eq!((refused.status, refused.body.as_str()), (404, "Id not found\n"), "{path}");
    }
    assert_eq!(world.get(&format!("/devices/{NOBODY}/resync")).await.status, 404);
    assert_eq!(world.post(&format!("/v1/bricks/{NOBODY}/replace"), "{}").await.status, 404);
    assert_eq!(world.get(&format!("/v1/volumes/{NOBODY}/heal")).await.status, 404);
}

#[tokio::test]
async fn a_resync_is_begun_by_a_get_and_answered_with_a_link() {
    let world = World::new().await;
    world.cluster(1).await;
    let node: NodeInfo = world.get(&format!("/nodes/{}", node_id(0))).await.json();
    let begun = world.get(&format!("/devices/{}/resync", node.devices[0].id)).await;
    let queue = begun.queue();
    assert_eq!(begun.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(begun.body, format!("<a href=\"{queue}\">Accepted</a>.\n\n"));
}

#[tokio::test]
async fn an_expansion_is_checked_field_by_field() {
    let world = World::new().await;
    world.cluster(2).await;
    let volume = world.volume(REPLICA_2).await;
    let path = format!("/volumes/{}/expand", volume.id);
    for (body, status, text) in [
        ("", 422, "request unable to be parsed\n"),
        (r#"{"expand_size":1.5}"#, 422, "request unable to be parsed\n"),
        ("{}", 400, "validation failed: expand_size: cannot be blank.\n"),
        (r#"{"expand_size":-1}"#, 400, "validation failed: expand_size: must be no less than 1.\n"),
        (
            r#"{"expand_size":2,"expand_size_bytes":1}"#,
            400,
            "validation failed: expand_size: must be 1, as expand_size_bytes says, or be left out.\n",
        ),
    ] {
        let refused = world.post(&path, body).await;
        assert_eq!((refused.status, refused.body.as_str()), (status, text), "{body}");
    }
    let refused = world.post(&path, r#"{"expand_size":500000}"#).await;
    assert_eq!(refused.status, 500);
    assert!(refused.body.starts_with("Failed to allocate volume expansion: "), "{}", refused.body);
    // It would grow in place on both devices.
    let plan: Plan = world.post(&format!("{path}?dry_run=true"), r#"{"expand_size":1}"#).await.json();
    assert_eq!(plan.kind, "volume-expand");
    assert_eq!(plan.changes.len(), 3, "{:?}", plan.changes);
}

#[tokio::test]
async fn a_brick_without_a_place_to_go_stays() {
    let world = World::new().await;
    world.cluster(2).await;
    let volume = world.volume(REPLICA_2).await;
    let path = format!("/bricks/to-evict/{}", volume.bricks[0].id);
    let refused = world.post(&path, "").await;
    assert_eq!(refused.status, 500);
    let first = "Failed to set up brick eviction: No Replacement was found for resource requested to be removed";
    assert_eq!(refused.body.lines().next(), Some(first), "{}", refused.body);
    // The same by our own route is no error of the server.
    let refused = world.post(&format!("/v1/bricks/{}/replace", volume.bricks[0].id), "{}").await;
    assert_eq!(refused.status, 409);
    assert!(refused.json::<Problem>().error.starts_with("No Replacement"), "{refused:?}");
    let refused = world.post(&path, r#"{"healcheck":"perhaps"}"#).await;
    let text = "validation failed: healcheck: perhaps is not valid heal info check.\n";
    assert_eq!((refused.status, refused.body.as_str()), (400, text));
}

#[tokio::test]
async fn a_size_to_the_byte_is_kept_and_shown() {
    let world = World::new().await;
    world.cluster(1).await;
    let volume = world.volume(r#"{"size_bytes":1610612736}"#).await;
    assert_eq!((volume.size_gib, volume.size_bytes), (1, Some(1_610_612_736)));
    let device: DeviceInfo = world.get(&format!("/devices/{}", volume.bricks[0].device)).await.json();
    assert_eq!(device.bricks[0].size_kib, 1_572_864);
    for (body, text) in [
        (
            r#"{"size":1,"size_bytes":1610612736}"#,
            "validation failed: size: must be 2, as size_bytes says, or be left out.\n",
        ),
        (r#"{"size":1,"size_bytes":-5}"#, "validation failed: size_bytes: must be no less than 1.\n"),
    ] {
        let refused = world.post("/volumes", body).await;
        assert_eq!((refused.status, refused.body.as_str()), (400, text));
    }
}

#[tokio::test]
async fn options_of_all_volumes_stand_around_those_of_the_request() {
    let settings = crate::http::Settings {
        options_first: vec!["nfs.disable on".to_owned()],
        options_last: vec!["features.shard off".to_owned()],
        ..crate::http::Settings::default()
    };
    let world = World::with(crate::http::Auth::disabled(), |service| service.with(settings)).await;
    world.cluster(1).await;
    let volume = world.volume(r#"{"size":1,"glustervolumeoptions":["features.shard on"]}"#).await;
    assert_eq!(volume.gluster_volume_options, ["nfs.disable on", "features.shard on", "features.shard off"]);
}

#[tokio::test]
async fn agents_are_listed_as_they_are() {
    let world = World::new().await;
    world.agents.detach(2);
    let list: AgentList = world.get("/v1/agents").await.json();
    let states: Vec<_> = list.agents.iter().map(|agent| agent.state).collect();
    use AgentState::{Attached, Detached};
    assert_eq!(states, [Attached, Attached, Detached, Attached]);
}
