//! What is asked about places before anything is made.

use bricklayer_api::v1::{
    CapacityList, Explanation, Fate, PlacementRule, Problem, ProblemDetail, Relaxation, Relaxed, SetLayout, SetState,
    Simulation, VolumePlacement, ZoneChecking,
};

use super::world::{World, node_id};

const OF_THREE: &str = r#""durability":{"type":"replicate","replicate":{"replica":3}}"#;

#[tokio::test]
async fn a_volume_that_fits_is_told_where_it_would_go_and_is_made_nowhere() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":100,{OF_THREE}}}"#)).await.json();
    assert!(told.fits && told.refusals.is_empty());
    let VolumePlacement { bricks, devices, .. } = told.placement.as_ref().unwrap();
    let placement = told.placement.as_ref().unwrap();
    assert_eq!((placement.cluster, placement.durability), (cluster, SetLayout::Replicate { replica: 3 }));
    assert_eq!((bricks.len(), devices.len()), (3, 3));
    assert_eq!(bricks[0].size_bytes, 100 << 30);
    for device in devices {
        // The brick's pool with its metadata, and the spare of the group.
        let metadata = bricks[0].extents - 25_600;
        assert_eq!(device.free_extents - device.free_after_extents, bricks[0].extents + metadata);
        assert_eq!(device.free_after_bytes, device.free_after_extents * device.extent_bytes);
    }
    assert_eq!(world.get("/volumes").await.body.trim_end(), r#"{"volumes":[]}"#);
    // What is made is what was told.
    let volume = world.volume(&format!(r#"{{"size":100,{OF_THREE}}}"#)).await;
    let mut made: Vec<_> = volume.bricks.iter().map(|brick| brick.device).collect();
    let mut told: Vec<_> = bricks.iter().map(|brick| brick.device).collect();
    made.sort_unstable();
    told.sort_unstable();
    assert_eq!(made, told);
}

#[tokio::test]
async fn a_volume_that_does_not_fit_is_told_why_device_by_device_and_what_would_fit() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    world.agents.detach(2);
    let body = format!(r#"{{"size":100,{OF_THREE},"glustervolumeoptions":["user.heketi.zone-checking strict"]}}"#);
    let told: Explanation = world.post("/v1/explain", &body).await.json();
    assert!(!told.fits && told.placement.is_none());
    let [refusal] = told.refusals.as_slice() else { panic!("{told:?}") };
    assert_eq!((refusal.cluster, refusal.wish.zone_checking), (cluster, ZoneChecking::Strict));
    assert!(refusal.text.starts_with("No space\nNeeded: 3 bricks of 100 GiB in different zones"), "{}", refusal.text);
    let rules: Vec<_> = refusal.devices.iter().map(|device| (device.node, device.rule)).collect();
    assert_eq!(
        rules,
        [(node_id(0), PlacementRule::Fits), (node_id(1), PlacementRule::Fits), (node_id(2), PlacementRule::NotReady),]
    );
    assert_eq!(refusal.devices[2].standing.as_deref(), Some("agent-detached"));
    assert_eq!(refusal.by_rule.iter().map(|count| count.devices).sum::<u64>(), 3);

    // Without the zones it would still lack the third node; with that node, the zones.
    let is_weaker = |one: &&Relaxation| matches!(one.change, Relaxed::Layout { .. });
    assert!(refusal.relaxations.iter().filter(|one| one.also.is_none()).all(|one| is_weaker(&one)));
    let both = refusal.relaxations.iter().find(|one| one.also.is_some()).unwrap();
    assert!(matches!(both.change, Relaxed::InService { .. }), "{both:?}");
    assert_eq!((both.also.as_ref(), both.zones), (Some(&Relaxed::ZonesPreferred), 1));
    let preferred = world.post("/v1/explain", &format!(r#"{{"size":100,{OF_THREE}}}"#)).await;
    let told: Explanation = preferred.json();
    let Relaxed::InService { devices } = &told.refusals[0].relaxations[0].change else { panic!("{told:?}") };
    assert_eq!((devices[0].node_name.as_str(), devices[0].standing.as_str()), ("m2", "agent-detached"));
    // Switched off besides, it would not be ready once it is switched on.
    let path = format!("/devices/{}/state", devices[0].device);
    let off = world.post(&path, r#"{"state":"offline"}"#).await;
    world.end_of(&off.queue()).await;
    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":100,{OF_THREE}}}"#)).await.json();
    let first = &told.refusals[0].relaxations[0];
    let Relaxed::InService { devices } = &first.change else { panic!("{told:?}") };
    assert_eq!(
        (devices[0].standing.as_str(), devices[0].also.as_slice()),
        ("device-offline", &["agent-detached".to_owned()][..])
    );
    assert!(first.text.starts_with("if /dev/sdb on m2 could be used again (the device is offline"), "{first:?}");
    // And one that was lost does not come back at all.
    let lost = world.post(&format!("/v1/nodes/{}/lost", node_id(2)), r#"{"confirm":"m2"}"#).await;
    assert_eq!(lost.status, 200, "{lost:?}");
    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":100,{OF_THREE}}}"#)).await.json();
    assert_eq!(told.refusals[0].devices[2].standing.as_deref(), Some("lost"));
    assert!(
        told.refusals[0].relaxations.iter().all(|one| !matches!(one.change, Relaxed::InService { .. })),
        "{told:?}"
    );
    let text = &told.refusals[0].relaxations.last().unwrap();
    assert!(text.weaker.as_ref().unwrap().starts_with("two copies"), "{text:?}");
}

#[tokio::test]
async fn heketis_clients_read_no_space_first_and_what_would_fit_last() {
    let world = World::new().await;
    world.cluster(2).await;
    let refused = world.post("/volumes", &format!(r#"{{"size":100,{OF_THREE}}}"#)).await;
    assert_eq!(refused.status, 500);
    let text = refused.body;
    assert!(text.starts_with("Failed to allocate new volume: No space\n"), "{text}");
    assert!(text.contains("\nIt would fit:\n- as 2 replicas (1 set of 100 GiB); weaker: two copies, and no"), "{text}");
}

#[tokio::test]
async fn a_bad_question_is_told_what_is_wrong() {
    let world = World::new().await;
    for (path, body, text) in [
        ("/v1/explain", r#"{"size":1}"#, "No clusters configured"),
        ("/v1/explain", r#"{"size":"x"}"#, "the body is not the JSON"),
        ("/v1/explain", "", "the body is empty"),
        ("/v1/support-bundle", r#"{"volume":{"size":1}}"#, "No clusters configured"),
        (
            "/v1/explain",
            r#"{"size":1,"durability":{"type":"replicate","replicate":{"replica":7}}}"#,
            "Invalid replica value",
        ),
        ("/v1/explain", r#"{"size":1,"durability":{"type":"magic"}}"#, "Unknown durability type"),
    ] {
        let answer = world.post(path, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json::<Problem>().error.contains(text), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn a_durability_that_there_is_not_is_told_which_there_are() {
    let world = World::new().await;
    let durability = r#"{"size":1,"durability":{"type":"replicate","replicate":{"replica":7}}}"#;
    let cure = world.post("/v1/explain", durability).await.json::<Problem>().cure.unwrap();
    assert!(cure.starts_with("7 copies were asked for, and a replicated volume has 1, 2 or 3."), "{cure}");
    let durability = r#"{"size":1,"durability":{"type":"disperse","disperse":{"data":5,"redundancy":2}}}"#;
    let cure = world.post("/v1/explain", durability).await.json::<Problem>().cure.unwrap();
    assert_eq!(cure, "There are: 2+1, 4+2, 8+3, 8+4.");
}

#[tokio::test]
async fn a_question_is_answered_while_the_server_takes_no_changes() {
    let world = World::new().await;
    world.cluster(3).await;
    assert_eq!(world.post("/admin", r#"{"state":"read-only"}"#).await.status, 204);
    assert_eq!(world.post("/volumes", r#"{"size":1}"#).await.status, 503);
    for path in ["/v1/explain", "/v1/explain?dry_run=true"] {
        let told: Explanation = world.post(path, &format!(r#"{{"size":1,{OF_THREE}}}"#)).await.json();
        assert!(told.fits, "{path}");
    }
}

#[tokio::test]
async fn a_brick_that_finds_no_other_place_has_the_devices_in_its_problem() {
    let world = World::new().await;
    world.cluster(3).await;
    let volume = world.volume(&format!(r#"{{"size":100,{OF_THREE}}}"#)).await;
    let answer = world.post(&format!("/v1/bricks/{}/replace", volume.bricks[0].id), "{}").await;
    assert_eq!(answer.status, 409);
    let problem: Problem = answer.json();
    let text = problem.error.clone() + &problem.cure.clone().unwrap_or_default();
    let Some(ProblemDetail::NoReplacement { size_bytes, devices, by_rule, relaxations }) = problem.detail else {
        panic!("{problem:?}")
    };
    assert_eq!(size_bytes, 100 << 30);
    let counts: Vec<_> = by_rule.iter().map(|count| (count.rule.as_str(), count.devices)).collect();
    assert_eq!(counts, [("itself", 1), ("node-of-set", 2)]);
    assert!(relaxations.is_empty(), "{relaxations:?}");
    assert!(text.contains("Of 3 devices: 1 where the brick is now; 2 on nodes of the set's other bricks."), "{text}");
    let mut rules: Vec<_> = devices.iter().map(|device| device.rule.as_str()).collect();
    rules.sort_unstable();
    assert_eq!(rules, ["itself", "node-of-set", "node-of-set"]);
}

#[tokio::test]
async fn a_brick_that_would_find_a_place_without_the_trash_is_told_what_lies_there() {
    let world = World::new().await;
    world.cluster(4).await;
    let volume = world.volume(&format!(r#"{{"size":100,{OF_THREE}}}"#)).await;
    // Only the node that has no brick has room for it.
    let large = world.volume(r#"{"size":450,"name":"large","durability":{"type":"none"}}"#).await;
    let kept = world.ask("DELETE", &format!("/v1/volumes/{}?keep=7d", large.id), "").await;
    world.end_of(&kept.queue()).await;
    let answer = world.post(&format!("/v1/bricks/{}/replace", volume.bricks[0].id), "{}").await;
    let Some(ProblemDetail::NoReplacement { relaxations, .. }) = answer.json::<Problem>().detail else {
        panic!("{}", answer.body)
    };
    let words: Vec<_> = relaxations.iter().map(|one| one.text.as_str()).collect();
    assert!(words.iter().any(|text| text.contains("trash") && text.contains("large")), "{words:?}");
}

#[tokio::test]
async fn a_brick_that_finds_no_other_place_is_told_which_change_would_give_it_one() {
    let world = World::new().await;
    world.cluster(4).await;
    let volume = world.volume(&format!(r#"{{"size":100,{OF_THREE}}}"#)).await;
    let used: Vec<_> = volume.bricks.iter().map(|brick| brick.node).collect();
    let spare = (0..4).find(|number| !used.contains(&node_id(*number))).unwrap();
    let off = world.post(&format!("/nodes/{}/state", node_id(spare)), r#"{"state":"offline"}"#).await;
    world.end_of(&off.queue()).await;
    let words = format!("to /dev/sdb on m{spare}, if /dev/sdb on m{spare} were in service (its node is offline");
    let device = volume.bricks[0].device;
    let off = world.post(&format!("/devices/{device}/state"), r#"{"state":"offline"}"#).await;
    world.end_of(&off.queue()).await;
    let off = world.post(&format!("/nodes/{}/state", volume.bricks[1].node), r#"{"state":"offline"}"#).await;
    world.end_of(&off.queue()).await;
    for (path, body) in [
        (format!("/v1/bricks/{}/replace", volume.bricks[0].id), "{}"),
        (format!("/bricks/to-evict/{}", volume.bricks[0].id), "{}"),
        (format!("/devices/{device}/state"), r#"{"state":"failed"}"#),
        (format!("/nodes/{}/state", volume.bricks[1].node), r#"{"state":"failed"}"#),
    ] {
        let refused = world.post(&path, body).await;
        assert!(refused.status >= 400 && refused.body.contains(&words), "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn the_capacity_is_what_can_be_made_and_a_gib_more_cannot() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    let all: CapacityList = world.get("/v1/capacity").await.json();
    let told: Vec<_> =
        all.capacities.iter().map(|one| (one.durability.to_string(), one.largest_gib, one.devices)).collect();
    let of = |durability: &str, gib| (durability.to_owned(), gib, 3);
    assert_eq!(
        told,
        [
            of("none", 1452),
            of("replicate 2", 726),
            of("replicate 3", 499),
            of("replicate 3 with arbiter", 662),
            of("disperse 2+1", 998),
            of("disperse 4+2", 0),
            of("disperse 8+3", 0),
            of("disperse 8+4", 0),
        ]
    );
    let query = format!("cluster={cluster}&replica=3&zone_checking=none&snapshot_factor=1");
    let one: CapacityList = world.get(&format!("/v1/capacity?{query}")).await.json();
    assert_eq!(one.capacities, [all.capacities[2].clone()]);
    assert_eq!(one.capacities[0].largest_bytes, 499 << 30);

    assert_eq!(world.ask("PATCH", "/v1/nodes/m2", r#"{"zone":2}"#).await.status, 200);
    let tags = world.post(&format!("/nodes/{}/tags", node_id(0)), r#"{"change_type":"set","tags":{"rack":"a"}}"#).await;
    assert_eq!(tags.status, 200, "{tags:?}");
    let parts = async |query: &str| {
        let list: CapacityList = world.get(&format!("/v1/capacity?{query}")).await.json();
        list.capacities[0]
            .parts
            .iter()
            .map(|one| (one.zone, one.tag.clone(), one.devices, one.largest_gib))
            .collect::<Vec<_>>()
    };
    assert_eq!(parts("replica=2&by=zone").await, [(Some(1), None, 2, 499), (Some(2), None, 1, 0)]);
    assert_eq!(parts("durability=none&by=tag").await, [(None, Some("rack=a".to_owned()), 1, 499)]);
    assert_eq!(world.ask("PATCH", "/v1/nodes/m2", r#"{"zone":1}"#).await.status, 200);

    assert_eq!(world.post("/volumes", &format!(r#"{{"size":500,{OF_THREE}}}"#)).await.status, 500);
    world.volume(&format!(r#"{{"size":499,{OF_THREE}}}"#)).await;
    let left: CapacityList = world.get("/v1/capacity?arbiter=true&zone_checking=strict").await.json();
    assert_eq!((left.capacities.len(), left.capacities[0].largest_bytes), (1, 0));
}

#[tokio::test]
async fn a_bad_query_is_told_which_word_is_wrong() {
    let world = World::new().await;
    world.cluster(1).await;
    for (query, text) in [
        ("replica=x", "\"x\" is no replica"),
        ("replicas=3", "\"replicas\" is no word of this query"),
        ("replica=4", "Invalid replica value"),
        ("durability=disperse&disperse_data=3&redundancy=3", "Invalid dispersion combination: 3+3"),
        ("arbiter=true&disperse_data=4", "a volume is replicated or dispersed"),
        ("arbiter=true&replica=2", "an arbiter is the third copy"),
        ("zone_checking=maybe", "zone_checking is none or strict"),
        ("by=rack", "by is zone or tag"),
        ("tag_match=rack", "Invalid tag match rule: rack"),
        ("snapshot_factor=0.5", "Invalid snapshot factor"),
        ("cluster=0123456789abcdef0123456789abcdef", "Cluster id 0123456789abcdef0123456789abcdef not found"),
    ] {
        let answer = world.get(&format!("/v1/capacity?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.json::<Problem>().error.contains(text), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn a_simulation_says_what_heals_where_and_what_still_fits_and_changes_nothing() {
    let world = World::new().await;
    world.cluster(4).await;
    let volume = world.volume(&format!(r#"{{"size":100,{OF_THREE}}}"#)).await;
    let before = world.get("/db/dump").await.body;
    let lost = volume.bricks[0].clone();
    let body = format!(
        r#"{{"lose":[{{"kind":"node","node":"{}"}}],"create":[{{"count":5,"volume":{{"size":100,{OF_THREE}}}}}]}}"#,
        lost.node
    );
    let told: Simulation = world.post("/v1/simulate", &body).await.json();
    assert!(!told.all_well);
    assert_eq!((told.sets.len(), told.sets[0].state, told.sets[0].quorum), (1, SetState::Degraded, 2));
    let [heal] = told.heals.as_slice() else { panic!("{told:?}") };
    let spare = (0..4).map(node_id).find(|node| volume.bricks.iter().all(|brick| brick.node != *node)).unwrap();
    assert_eq!((heal.brick, heal.from, heal.to.as_ref().unwrap().node), (lost.id, lost.device, spare));
    // 499 GiB on each of three, of which 100 are taken.
    let [creation] = told.creations.as_slice() else { panic!("{told:?}") };
    assert_eq!((creation.asked, creation.fits, creation.volumes.len()), (5, 3, 3));
    assert!(creation.why_not.as_ref().unwrap().starts_with("No space\n"), "{creation:?}");
    assert_eq!(creation.refusals.len(), 1);
    assert_eq!(told.devices.iter().filter(|device| device.fate == Fate::Lost).count(), 1);

    let body = format!(r#"{{"add":[{{"node":"m0","size_bytes":{}}}]}}"#, 1_u64 << 40);
    let told: Simulation = world.post("/v1/simulate", &body).await.json();
    let added = told.devices.iter().find(|device| device.fate == Fate::Added).unwrap();
    assert_eq!((told.all_well, added.free.node, added.free.free_bytes >> 30), (true, node_id(0), 1023));
    assert_eq!(world.get("/db/dump").await.body, before);
}

#[tokio::test]
async fn a_bad_supposition_is_told_what_is_wrong() {
    let world = World::new().await;
    world.cluster(1).await;
    for (body, status, text) in [
        (r#"{"lose":[{"kind":"node","node":"gfs9"}]}"#, 404, "no agent has enrolled as \"gfs9\""),
        (r#"{"lose":[{"kind":"node","node":"m3"}]}"#, 404, "Node id does not exist"),
        (r#"{"lose":[{"kind":"zone","zone":7}]}"#, 400, "no node is in zone 7"),
        (r#"{"lose":[{"kind":"device","device":"x"}]}"#, 400, "device \"x\""),
        (r#"{"lose":[{"kind":"device","device":"0123456789abcdef0123456789abcdef"}]}"#, 400, "Device id"),
        (r#"{"lose":[{"kind":"moon"}]}"#, 400, "the body is not the JSON"),
        (r#"{"add":[{"node":"m0"}]}"#, 400, "a disk has more than nothing"),
        (r#"{"create":[{"volume":{"size":1}}]}"#, 400, "at least one volume"),
        (r#"{"create":[{"count":1001,"volume":{"size":1}}]}"#, 400, "one simulation takes up to 1000"),
        (r#"{"create":[{"count":1,"volume":{"size":0}}]}"#, 400, "size"),
    ] {
        let answer = world.post("/v1/simulate", body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.json::<Problem>().error.contains(text), "{body}: {answer:?}");
    }
}
