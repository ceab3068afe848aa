//! Our own routes.

use bricklayer_api::v1::{
    AgentList, AgentState, DiskList, Invitation, InvitationList, InvitationState, Operation, OperationList,
    OperationState, Problem, StepState, WipeRefusal,
};
use bricklayer_proto::inventory::Obstacle;

use super::world::{World, node_id};

fn signature() -> Obstacle {
    Obstacle::Signature { what: "ext4".to_owned(), offset: 1080 }
}

#[tokio::test]
async fn agents_are_listed_with_those_that_are_invited() {
    let world = World::new().await;
    world.agents.detach(1);
    assert_eq!(world.post("/v1/invitations", r#"{"name":"m9","zone":2}"#).await.status, 201);
    // An invitation for a name that has enrolled is no second agent.
    assert_eq!(world.post("/v1/invitations", r#"{"name":"m0"}"#).await.status, 201);
    let list: AgentList = world.get("/v1/agents").await.json();
    let seen: Vec<_> = list.agents.iter().map(|agent| (agent.name.as_str(), agent.state, agent.zone)).collect();
    assert_eq!(
        seen,
        [
            ("m0", AgentState::Attached, Some(1)),
            ("m1", AgentState::Detached, Some(1)),
            ("m2", AgentState::Attached, Some(1)),
            ("m3", AgentState::Attached, Some(1)),
            ("m9", AgentState::Invited, Some(2)),
        ]
    );
    assert_eq!(list.agents[0].node, Some(node_id(0)));
    assert_eq!(list.agents[4].node, None);
}

#[tokio::test]
async fn an_invitation_shows_its_token_once_and_can_be_withdrawn() {
    let world = World::new().await;
    let made = world.post("/v1/invitations", r#"{"name":"gfs1","ttl_seconds":60}"#).await;
    assert_eq!(made.status, 201);
    let made: Invitation = made.json();
    assert!(!made.token.expose().is_empty());

    let listed = world.get("/v1/invitations").await;
    assert!(!listed.body.contains(made.token.expose()));
    let listed: InvitationList = listed.json();
    assert_eq!(
        (listed.invitations[0].invitation, listed.invitations[0].state),
        (made.invitation, InvitationState::Open)
    );

    let path = format!("/v1/invitations/{}", made.invitation);
    assert_eq!(world.ask("DELETE", &path, "").await.status, 200);
    let again = world.ask("DELETE", &path, "").await;
    assert_eq!(again.status, 404);
    assert!(again.json::<Problem>().error.contains(&made.invitation.to_string()));
}

#[tokio::test]
async fn a_bad_invitation_is_told_what_is_wrong() {
    let world = World::new().await;
    for (body, status, text) in [
        (r#"{"name":"a b"}"#, 400, "a b"),
        (r#"{"name":"gfs1","zone":0}"#, 400, "0 is not a zone"),
        (r#"{"name":"gfs1","ttl_seconds":1}"#, 400, "at least a minute"),
        (r#"{"name":"gfs1","ttl_seconds":18446744073709551615}"#, 400, "at most 30 days"),
        (r#"{"name":"gfs1","rejoin":true}"#, 404, "no agent has enrolled as gfs1"),
        (r#"{"name":3}"#, 400, "the body is not the JSON"),
        ("", 400, "the body is empty"),
    ] {
        let answer = world.post("/v1/invitations", body).await;
        assert_eq!(answer.status, status, "{body}");
        let problem: Problem = answer.json();
        assert!(problem.error.contains(text), "{body}: {problem:?}");
    }
}

#[tokio::test]
async fn errors_are_json_with_a_cure_apart() {
    let world = World::new().await;
    let answer = world.get("/v1/nodes/gfs9/disks").await;
    assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/json; charset=UTF-8")));
    let problem: Problem = answer.json();
    assert_eq!(problem.error, "no agent has enrolled as \"gfs9\"");
    assert_eq!(problem.cure.as_deref(), Some("The agents are: m0, m1, m2, m3"));
    for (method, path, status) in [("GET", "/v1/nothing", 404), ("DELETE", "/v1/agents", 405), ("GET", "/v1", 404)] {
        let answer = world.ask(method, path, "").await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.json::<Problem>().error.is_empty());
    }
}

#[tokio::test]
async fn an_agent_that_never_enrolled_cannot_be_revoked() {
    let world = World::new().await;
    assert_eq!(world.post("/v1/agents/gfs9/revoke", "").await.status, 404);
}

#[tokio::test]
async fn disks_are_listed_by_name_and_by_id_of_the_node() {
    let world = World::new().await;
    world.agents.put_on_disk(2, signature());
    let by_name: DiskList = world.get("/v1/nodes/m2/disks").await.json();
    let by_id: DiskList = world.get(&format!("/v1/nodes/{}/disks", node_id(2))).await.json();
    assert_eq!(by_name, by_id);
    assert_eq!((by_name.node, by_name.name.as_str()), (node_id(2), "m2"));
    assert_eq!(by_name.disks[0].obstacles, [signature()]);
}

#[tokio::test]
async fn a_wipe_without_the_disks_own_name_touches_nothing() {
    let world = World::new().await;
    world.agents.put_on_disk(0, signature());
    for (confirm, text) in [("", "nobody has confirmed"), (r#","confirm":"SERIAL1""#, "\"SERIAL1\" does not name")] {
        let answer = world.post("/v1/devices/wipe", &format!(r#"{{"node":"m0","device":"/dev/sdb"{confirm}}}"#)).await;
        assert_eq!(answer.status, 409);
        let refusal: WipeRefusal = answer.json();
        assert!(refusal.error.contains(text), "{refusal:?}");
        assert_eq!(refusal.holders, [signature()]);
        assert_eq!(refusal.identity.serial.as_deref(), Some("SERIAL0"));
        assert!(refusal.cure.unwrap().contains("SERIAL0"));
    }
    let list: OperationList = world.get("/v1/operations").await.json();
    assert!(list.operations.is_empty());

    let body = r#"{"node":"m0","device":"/dev/disk/by-id/scsi-0","confirm":"SERIAL0"}"#;
    let queue = world.post("/v1/devices/wipe", body).await.queue();
    assert_eq!(world.end_of(&queue).await.status, 204);
}

#[tokio::test]
async fn a_disk_that_may_not_be_wiped_is_no_question() {
    let world = World::new().await;
    world.agents.put_on_disk(0, Obstacle::Swap { source: "/dev/sdb2".to_owned() });
    let answer = world.post("/v1/devices/wipe", r#"{"node":"m0","device":"/dev/sdb"}"#).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.json::<Problem>().error, "/dev/sdb on m0 cannot be wiped: /dev/sdb2 is in use as swap");
    for (body, status) in [
        (r#"{"node":"m0","device":"/dev/sdz"}"#, 404),
        (r#"{"node":"m0","device":"/etc/passwd"}"#, 400),
        (r#"{"node":"m7","device":"/dev/sdb"}"#, 404),
    ] {
        assert_eq!(world.post("/v1/devices/wipe", body).await.status, status, "{body}");
    }
    world.agents.detach(0);
    assert_eq!(world.post("/v1/devices/wipe", r#"{"node":"m0","device":"/dev/sdb"}"#).await.status, 503);
}

#[tokio::test]
async fn an_operation_is_shown_with_its_steps_and_what_it_made() {
    let world = World::new().await;
    world.cluster(3).await;
    world.agents.hold(true);
    let body = r#"{"size":1,"durability":{"type":"replicate","replicate":{"replica":3}}}"#;
    let queue = world.post("/volumes", body).await.queue();
    let path = queue.replace("/queue/", "/v1/operations/");
    let running: Operation = world.get(&path).await.json();
    assert_eq!((running.kind.as_str(), running.state), ("volume-create", OperationState::Running));
    world.agents.hold(false);

    let ended = world.end_of(&queue).await;
    let done: Operation = world.get(&path).await.json();
    assert_eq!((done.state, done.resource.as_deref()), (OperationState::Done, ended.header("location")));
    assert_eq!(done.steps.len(), 8, "three bricks, create, start, and three bricks synced");
    assert!(done.steps.iter().all(|step| step.state == StepState::Done), "{:?}", done.steps);
    assert!(done.finished.is_some());

    assert!(done.changes.iter().any(|change| change.contains("vol_")), "{:?}", done.changes);

    let list: OperationList = world.get("/v1/operations").await.json();
    let in_list = Operation { changes: Vec::new(), ..done };
    assert_eq!(list.operations[0], in_list, "the newest is not the first");
    assert_eq!(world.get("/v1/operations/0123456789abcdef0123456789abcdef").await.status, 404);
    assert_eq!(world.get("/v1/operations/x").await.status, 400);
}

#[tokio::test]
async fn a_failed_operation_says_why() {
    let world = World::new().await;
    world.cluster(1).await;
    world.agents.fail_bricks("mkfs.xfs failed");
    let queue = world.post("/volumes", r#"{"size":1}"#).await.queue();
    assert_eq!(world.end_of(&queue).await.status, 500);
    let failed: Operation = world.get(&queue.replace("/queue/", "/v1/operations/")).await.json();
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(failed.error.as_deref(), Some("m0: mkfs.xfs failed\nlook at the host's log"));
    assert_eq!(failed.steps[0].state, StepState::Undone);
}
