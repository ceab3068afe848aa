//! Plans: what is applied is what was planned, or nothing.

use std::collections::BTreeSet;

use bricklayer_api::heketi::{DeviceInfo, NodeInfo, VolumeInfo};
use bricklayer_api::v1::{KeptPlan, OperationList, Plan, PlanList, PlannedChange, Problem};
use bricklayer_proto::ids::{BrickId, DeviceId};
use bricklayer_proto::inventory::Obstacle;

use super::world::{World, node_id};

const VOLUME: &str = r#"{"size":10,"durability":{"type":"replicate","replicate":{"replica":3}}}"#;

async fn plan(world: &World, path: &str, body: &str) -> (Plan, KeptPlan) {
    let answer = world.post(&format!("{path}?plan=true"), body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let plan: Plan = answer.json();
    let kept = plan.kept.clone().unwrap();
    (plan, kept)
}

/// Applies it and waits.
async fn apply(world: &World, kept: &KeptPlan) -> String {
    let begun = world.post(&format!("/v1/plans/{}/apply", kept.id), "").await;
    assert_eq!(begun.queue(), format!("/queue/{}", kept.id));
    let ended = world.end_of(&begun.queue()).await;
    assert!(matches!(ended.status, 204 | 303), "{ended:?}");
    ended.header("location").unwrap_or_default().to_owned()
}

fn planned(kept: &KeptPlan) -> BTreeSet<(BrickId, DeviceId, u64)> {
    kept.bricks.iter().map(|brick| (brick.brick, brick.device, brick.size_bytes >> 10)).collect()
}

fn made(volume: &VolumeInfo) -> BTreeSet<(BrickId, DeviceId, u64)> {
    volume.bricks.iter().map(|brick| (brick.id, brick.device, brick.size_kib)).collect()
}

async fn refused_as_stale(world: &World, kept: &KeptPlan, why: &str) {
    let before = world.get("/db/dump").await.body;
    let answer = world.post(&format!("/v1/plans/{}/apply", kept.id), "").await;
    assert_eq!(answer.status, 409, "{answer:?}");
    let problem: Problem = answer.json();
    assert!(problem.error.starts_with("the plan is out of date, and nothing was changed: "), "{problem:?}");
    assert!(problem.error.contains(why), "{problem:?}");
    assert_eq!(world.get("/db/dump").await.body, before);
}

#[tokio::test]
async fn a_volume_is_made_of_exactly_the_bricks_that_were_planned() {
    let world = World::new().await;
    world.cluster(4).await;
    let (plan, kept) = plan(&world, "/volumes", VOLUME).await;
    assert_eq!((plan.kind.as_str(), kept.bricks.len(), kept.devices.len()), ("volume-create", 3, 3));
    assert!(kept.bricks.iter().all(|brick| brick.change == PlannedChange::Make && brick.extents == 2563));
    assert!(plan.steps.iter().any(|step| step.contains("make brick 1 of 3")), "{:?}", plan.steps);
    let shown: Plan = world.get(&format!("/v1/plans/{}", kept.id)).await.json();
    assert_eq!(shown, plan);
    let list: PlanList = world.get("/v1/plans").await.json();
    assert_eq!(list.plans, [shown]);
    let nothing: OperationList = world.get("/v1/operations").await.json();
    assert!(nothing.operations.iter().all(|operation| operation.id != kept.id));

    let volume: VolumeInfo = world.get(&apply(&world, &kept).await).await.json();
    assert_eq!(made(&volume), planned(&kept));
    for device in &kept.devices {
        let now: DeviceInfo = world.get(&format!("/devices/{}", device.device)).await.json();
        assert_eq!(now.storage.free_kib, device.free_after_bytes >> 10);
    }
    // An answer that was lost is asked for again, and nothing is made twice.
    assert_eq!(world.post(&format!("/v1/plans/{}/apply", kept.id), "").await.queue(), format!("/queue/{}", kept.id));
    assert_eq!(world.get("/volumes").await.body.trim_end(), format!(r#"{{"volumes":["{}"]}}"#, volume.id));
}

#[tokio::test]
async fn a_wipe_is_planned_with_all_that_would_go_and_refused_once_the_disk_carries_something_else() {
    let world = World::new().await;
    world.agents.put_on_disk(0, Obstacle::Signature { what: "xfs".to_owned(), offset: 0 });
    world.agents.put_on_disk(0, Obstacle::Mounted { source: "/dev/sdb".to_owned(), at: "/mnt/old".to_owned() });
    let body = r#"{"node":"m0","device":"/dev/sdb","confirm":"SERIAL0"}"#;
    let (first, kept) = plan(&world, "/v1/devices/wipe", body).await;
    assert_eq!(
        first.changes,
        [
            "everything on /dev/sdb is destroyed",
            "/dev/sdb is unmounted from /mnt/old",
            "the signature of xfs at byte 0 goes, and what it begins"
        ]
    );
    world.agents.put_on_disk(0, Obstacle::PartitionTable { what: "gpt".to_owned() });
    let answer = world.post(&format!("/v1/plans/{}/apply", kept.id), "").await;
    let problem: Problem = answer.json();
    assert!(answer.status == 409 && problem.error.contains("/dev/sdb on m0 carries something else"), "{problem:?}");
    assert!(world.get("/v1/operations").await.json::<OperationList>().operations.is_empty());
    let (again, kept) = plan(&world, "/v1/devices/wipe", body).await;
    assert!(again.changes[2].contains("partition table (gpt)"), "{again:?}");
    apply(&world, &kept).await;
}

#[tokio::test]
async fn a_wipe_that_the_agent_would_refuse_is_not_planned() {
    let world = World::new().await;
    world.agents.keep_disk(0, "it is part of the RAID array /dev/md0", "If the array may go: `mdadm --stop /dev/md0`");
    let body = r#"{"node":"m0","device":"/dev/sdb","confirm":"SERIAL0"}"#;
    for path in ["/v1/devices/wipe?plan=true", "/v1/devices/wipe?dry_run=true", "/v1/devices/wipe"] {
        let answer = world.post(path, body).await;
        let problem: Problem = answer.json();
        assert_eq!(answer.status, 409, "{path}: {problem:?}");
        assert_eq!(problem.error, "/dev/sdb on m0 cannot be wiped: it is part of the RAID array /dev/md0");
        assert_eq!(problem.cure.unwrap(), "If the array may go: `mdadm --stop /dev/md0`");
    }
}

#[tokio::test]
async fn a_plan_whose_devices_were_used_meanwhile_is_refused_and_changes_nothing() {
    let world = World::new().await;
    world.cluster(3).await;
    let (_, kept) = plan(&world, "/volumes", VOLUME).await;
    let volume = world.volume(VOLUME).await;
    refused_as_stale(&world, &kept, "extents free, and had").await;
    // Even when they are as free as before, as long as they are not as they were.
    let (_, again) = plan(&world, "/volumes", VOLUME).await;
    let deleted = world.ask("DELETE", &format!("/volumes/{}", volume.id), "").await;
    world.end_of(&deleted.queue()).await;
    refused_as_stale(&world, &again, "/dev/sdb on m0").await;
    let volumes = world.get("/volumes").await.body;
    assert_eq!(volumes.trim_end(), r#"{"volumes":[]}"#);
}

#[tokio::test]
async fn a_plan_is_refused_where_its_host_is_away_its_device_switched_off_its_name_taken_or_the_policy_changed() {
    let world = World::new().await;
    world.cluster(4).await;
    let named = VOLUME.replace("{\"size\"", "{\"name\":\"web\",\"size\"");
    let (_, kept) = plan(&world, "/volumes", &named).await;
    let of = |node| kept.bricks.iter().any(|brick| brick.node == node_id(node));
    let used = (0..4).find(|node| of(*node)).unwrap();
    let unused = (0..4).find(|node| !of(*node)).unwrap();
    let device = kept.bricks.iter().find(|brick| brick.node == node_id(used)).unwrap().device;
    let path = format!("/devices/{device}/state");
    let off = world.post(&path, r#"{"state":"offline"}"#).await;
    world.end_of(&off.queue()).await;
    refused_as_stale(&world, &kept, "the device is offline").await;
    let on = world.post(&path, r#"{"state":"online"}"#).await;
    world.end_of(&on.queue()).await;

    // A volume elsewhere takes the name, and no device of the plan.
    let other = r#"{"name":"web","size":1,"durability":{"type":"none"}}"#;
    let tagged = other.replace("\"size\"", "\"glustervolumeoptions\":[\"user.heketi.device-tag-match x=1\"],\"size\"");
    let tags =
        world.post(&format!("/nodes/{}/tags", node_id(unused)), r#"{"change_type":"set","tags":{"x":"1"}}"#).await;
    assert_eq!(tags.status, 200, "{tags:?}");
    let volume = world.volume(&tagged).await;
    assert_eq!(volume.bricks[0].node, node_id(unused));
    refused_as_stale(&world, &kept, "Volume name 'web' already in use").await;
    let deleted = world.ask("DELETE", &format!("/volumes/{}", volume.id), "").await;
    world.end_of(&deleted.queue()).await;

    // A policy that would have it decided otherwise.
    assert_eq!(world.ask("PUT", "/v1/policy", r#"{"zones":"strict"}"#).await.status, 200);
    refused_as_stale(&world, &kept, "the policy of where bricks go is another than it was").await;
    assert_eq!(world.ask("PUT", "/v1/policy", "{}").await.status, 200);

    world.agents.detach(used);
    refused_as_stale(&world, &kept, "agent is not connected").await;
}

/// That they are carried out so is seen on simulated hosts: `tests/tests/sim/placing.rs`.
#[tokio::test]
async fn plans_of_growth_and_of_moves_say_what_grows_and_what_moves_where() {
    let world = World::new().await;
    world.cluster(4).await;
    let volume = world.volume(VOLUME).await;
    let (_, kept) = plan(&world, &format!("/volumes/{}/expand", volume.id), r#"{"expand_size":5}"#).await;
    assert!(kept.bricks.iter().all(|brick| brick.change == PlannedChange::Grow && brick.size_bytes == 15 << 30));
    let now: BTreeSet<_> = volume.bricks.iter().map(|brick| brick.id).collect();
    assert_eq!(kept.bricks.iter().map(|brick| brick.brick).collect::<BTreeSet<_>>(), now);
    assert!(kept.devices.iter().all(|device| device.free_extents - device.free_after_extents >= 1280));

    let brick = volume.bricks[0].clone();
    let (_, kept) = plan(&world, &format!("/bricks/to-evict/{}", brick.id), "{}").await;
    let [moving] = kept.bricks.as_slice() else { panic!("{kept:?}") };
    assert_eq!((moving.change, moving.brick, moving.from), (PlannedChange::Move, brick.id, Some(brick.device)));
    let shown: Plan = world.get(&format!("/v1/plans/{}", kept.id)).await.json();
    let at = format!("{}:/dev/sdb", moving.from_node_name.as_ref().unwrap());
    let gone = format!(
        "{at}: vg_{device}/brick_{id} and vg_{device}/tp_{id} go, with all that brick {id} holds",
        device = brick.device,
        id = brick.id
    );
    assert_eq!(shown.destroys, std::slice::from_ref(&gone));
    // What it leaves is free again, and what it takes is not.
    let changes: BTreeSet<_> =
        kept.devices.iter().map(|one| (one.device, one.free_after_extents > one.free_extents)).collect();
    assert_eq!(changes, BTreeSet::from([(brick.device, true), (moving.device, false)]));

    let path = format!("/devices/{}/state", brick.device);
    let off = world.post(&path, r#"{"state":"offline"}"#).await;
    world.end_of(&off.queue()).await;
    let (plan, kept) = plan(&world, &path, r#"{"state":"failed"}"#).await;
    let [moving] = kept.bricks.as_slice() else { panic!("{kept:?}") };
    assert_eq!((plan.kind.as_str(), moving.brick, moving.from), ("device-remove", brick.id, Some(brick.device)));
    assert_eq!(plan.destroys, [gone], "{plan:?}");
    let words = format!("for {}:/dev/sdb", moving.node_name);
    assert!(plan.changes[0].ends_with(&words), "{:?}", plan.changes);
}

/// Four bricks move at a time, so that of eight moves four have not begun when somebody else asks for room.
#[tokio::test]
async fn a_removal_holds_the_room_of_all_its_moves_until_each_is_over() {
    let world = World::new().await;
    world.cluster(2).await;
    let device = async |number: u8| -> DeviceInfo {
        let node: NodeInfo = world.get(&format!("/nodes/{}", node_id(number))).await.json();
        world.get(&format!("/devices/{}", node.devices[0].id)).await.json()
    };
    let (from, to) = (device(0).await, device(1).await);
    let set = async |id: DeviceId, state: &str| {
        let set = world.post(&format!("/devices/{id}/state"), &format!(r#"{{"state":"{state}"}}"#)).await;
        world.end_of(&set.queue()).await;
    };
    set(to.id, "offline").await;
    for _ in 0..8 {
        world.volume(r#"{"size":50,"durability":{"type":"none"}}"#).await;
    }
    set(to.id, "online").await;
    set(from.id, "offline").await;
    let (_, kept) = plan(&world, &format!("/devices/{}/state", from.id), r#"{"state":"failed"}"#).await;
    assert_eq!(kept.bricks.len(), 8);
    world.agents.hold(true);
    let begun = world.post(&format!("/v1/plans/{}/apply", kept.id), "").await;
    assert_eq!(begun.queue(), format!("/queue/{}", kept.id));
    let after = kept.devices.iter().find(|one| one.device == to.id).unwrap();
    assert_eq!(device(1).await.storage.free_kib, after.free_after_bytes >> 10);
    let refused = world.post("/volumes", r#"{"size":150,"durability":{"type":"none"}}"#).await;
    assert!(refused.status == 500 && refused.body.contains("No space"), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_not_carried_out() {
    let world = World::new().await;
    world.cluster(3).await;
    let volume = world.volume(VOLUME).await;
    for (method, path, body) in [
        ("POST", "/clusters".to_owned(), "{}"),
        ("DELETE", format!("/volumes/{}", volume.id), ""),
        ("POST", format!("/nodes/{}/state", node_id(0)), r#"{"state":"offline"}"#),
        ("POST", "/v1/invitations".to_owned(), r#"{"name":"m9"}"#),
    ] {
        let answer = world.ask(method, &format!("{path}?plan=true"), body).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(answer.body.contains("and was not carried out"), "{answer:?}");
    }
    assert_eq!(world.get(&format!("/volumes/{}", volume.id)).await.status, 200);
    assert_eq!(world.post("/volumes?plan=perhaps", VOLUME).await.status, 400);
    let unknown = "/v1/plans/0123456789abcdef0123456789abcdef";
    assert_eq!(world.get(unknown).await.status, 404);
    let answer = world.post(&format!("{unknown}/apply"), "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json::<Problem>().cure.unwrap().starts_with("Plans are kept for 15 minutes, in memory"));
    assert_eq!(world.post("/v1/plans/x/apply", "").await.status, 400);
}
