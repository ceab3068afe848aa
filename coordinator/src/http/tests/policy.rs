//! What is asked of where bricks go: said once, kept, and obeyed by everything that places.

use bricklayer_api::v1::{
    Audit, CapacityList, DeviceLedger, Diagnosis, Explanation, LedgerClass, Plan, Policy, PolicyList, Problem,
    Provisioning, Relaxed, ZonePolicy,
};

use super::world::{World, node_id};

const OF_THREE: &str = r#""durability":{"type":"replicate","replicate":{"replica":3}}"#;
const OF_TWO_IN_RACK_A: &str = r#"{"size":8,"name":"moves","durability":{"type":"replicate","replicate":{"replica":2}},"glustervolumeoptions":["user.heketi.device-tag-match rack=a"]}"#;
const NOT_THERE: &str = "/v1/clusters/00000000000000000000000000000bad/policy";

#[tokio::test]
async fn a_policy_is_said_and_shown_and_a_cluster_goes_before_the_installation() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    let none: PolicyList = world.get("/v1/policy").await.json();
    let [installation, of_cluster] = none.policies.as_slice() else { panic!("{none:?}") };
    assert_eq!((installation.cluster, of_cluster.cluster), (None, Some(cluster)));
    assert_eq!((installation.in_force.zones, installation.in_force.reserve.as_str()), (ZonePolicy::Preferred, "0B"));
    assert_eq!(installation.in_force.most_bricks_per_node, 1);

    let said = world.ask("PUT", "/v1/policy", r#"{"zones":"strict","reserve":"5%","tag_rules":["same:tier"]}"#).await;
    assert_eq!(said.json::<Policy>().in_force.tag_rules, ["same:tier"]);
    let path = format!("/v1/clusters/{cluster}/policy");
    let said: Policy = world.ask("PUT", &path, r#"{"zones":"preferred","most_bricks_per_zone":2}"#).await.json();
    assert_eq!(said.says.reserve, None);
    let holds = said.in_force;
    assert_eq!(
        (holds.zones, holds.most_bricks_per_zone, holds.reserve.as_str()),
        (ZonePolicy::Preferred, Some(2), "5%")
    );
    assert_eq!(world.get(&path).await.json::<Policy>().in_force, holds);

    // What is put is all that is said.
    let said: Policy = world.ask("PUT", &path, "{}").await.json();
    assert_eq!(said.in_force.zones, ZonePolicy::Strict);
    let list: PolicyList = world.get("/v1/policy").await.json();
    assert_eq!(list.policies[0].says.reserve.as_deref(), Some("5%"));
}

#[tokio::test]
async fn what_is_no_policy_is_refused_with_what_would_be_one_and_changes_nothing() {
    let world = World::new().await;
    world.cluster(3).await;
    let before = world.get("/v1/policy").await.body;
    for (path, body, status, text) in [
        ("/v1/policy", r#"{"reserve":"5"#, 400, "the body"),
        ("/v1/policy", r#"{"reserve":"95%"}"#, 400, "90% at the most"),
        ("/v1/policy", r#"{"tag_rules":["rack"]}"#, 400, "same:KEY"),
        ("/v1/policy", r#"{"most_bricks_per_zone":0}"#, 400, "a number from 1"),
        ("/v1/policy", r#"{"most_bricks_per_node":2}"#, 400, "most_bricks_per_node is 1, always"),
        ("/v1/policy", r#"{"zone":"strict"}"#, 400, "the body"),
        ("/v1/policy", r#"{"zones":"none"}"#, 400, "the body"),
        ("/v1/policy", "[]", 400, "an object is expected"),
        (NOT_THERE, "{}", 404, "there is no cluster"),
    ] {
        let answer = world.ask("PUT", path, body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.json::<Problem>().error.contains(text), "{body}: {answer:?}");
    }
    assert_eq!(world.get(NOT_THERE).await.status, 404);
    let plan: Plan = world.ask("PUT", "/v1/policy?dry_run=true", r#"{"zones":"strict"}"#).await.json();
    assert_eq!((plan.kind.as_str(), plan.changes.len()), ("policy", 1));
    assert_eq!(world.get("/v1/policy").await.body, before);
}

#[tokio::test]
async fn a_reserve_is_kept_by_all_that_places_and_shown_by_all_that_counts() {
    let world = World::new().await;
    world.cluster(3).await;
    let largest = async || {
        let list: CapacityList = world.get("/v1/capacity?replica=3").await.json();
        (list.capacities[0].largest_gib, list.capacities[0].kept_bytes)
    };
    let (all, _) = largest().await;
    assert_eq!(world.ask("PUT", "/v1/policy", r#"{"reserve":"100GiB"}"#).await.status, 200);
    assert_eq!(largest().await, (all - 100, 300 << 30));
    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":{all},{OF_THREE}}}"#)).await.json();
    let refusal = &told.refusals[0];
    assert!(refusal.text.contains(" and 100 GiB kept in reserve, "), "{}", refusal.text);
    assert_eq!(refusal.devices[0].kept_bytes, 100 << 30);
    let nothing_kept = Relaxed::Reserve { reserve: "0B".to_owned() };
    assert!(refusal.relaxations.iter().any(|one| one.change == nothing_kept), "{}", refusal.text);
    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":{},{OF_THREE}}}"#, all - 40)).await.json();
    let less_kept = Relaxed::Reserve { reserve: "40GiB".to_owned() };
    assert!(told.refusals[0].relaxations.iter().any(|one| one.change == less_kept), "{}", told.refusals[0].text);

    let volume = world.volume(&format!(r#"{{"size":300,{OF_THREE}}}"#)).await;
    let ledger: DeviceLedger = world.get(&format!("/v1/devices/{}/ledger", volume.bricks[0].device)).await.json();
    let amount = |class| ledger.figures.iter().find(|figure| figure.class == class).unwrap().bytes;
    assert_eq!((amount(LedgerClass::KeptFree), ledger.unaccounted_bytes), (100 << 30, 0));
    assert_eq!(ledger.figures.iter().map(|figure| figure.bytes).sum::<u64>(), ledger.total_bytes);
    // It does not grow into the reserve either.
    let grown = world.post(&format!("/volumes/{}/expand", volume.id), r#"{"expand_size":150}"#).await;
    assert_eq!(grown.status, 500, "{grown:?}");

    assert_eq!(world.ask("PUT", "/v1/policy", r#"{"reserve":"300GiB"}"#).await.status, 200);
    let found: Diagnosis = world.get("/v1/doctor").await.json();
    let codes: Vec<_> = found.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "reserve-used").count(), 3, "{codes:?}");
}

#[tokio::test]
async fn a_policy_that_is_changed_shows_in_the_audit_with_the_moves_that_mend_it() {
    let world = World::new().await;
    world.cluster(4).await;
    for number in 0..4 {
        let rack = if number < 3 { "a" } else { "b" };
        let tags = format!(r#"{{"change_type":"update","tags":{{"rack":"{rack}"}}}}"#);
        assert_eq!(world.post(&format!("/nodes/{}/tags", node_id(number)), &tags).await.status, 200);
    }
    let same = r#""glustervolumeoptions":["user.bricklayer.tag-rules same:rack"]"#;
    let kept = world.volume(&format!(r#"{{"size":8,"name":"kept",{OF_THREE},{same}}}"#)).await;
    let volume = world.volume(OF_TWO_IN_RACK_A).await;
    assert_ne!(kept.id, volume.id);
    let audit = async || {
        let mut audit: Audit = world.get("/v1/audit").await.json();
        audit.clusters.remove(0)
    };
    assert_eq!(audit().await.sets, []);
    assert_eq!(world.ask("PUT", "/v1/policy", r#"{"tag_rules":["different:rack"]}"#).await.status, 200);
    let found = audit().await;
    // What a volume says itself goes before the policy.
    let [set] = found.sets.as_slice() else { panic!("{found:?}") };
    assert_eq!((set.volume, set.faults[0].rule.as_str()), (volume.id, "tag-shared"));
    let why = set.faults[0].unmended.as_ref().unwrap();
    assert!(why.contains("not used: rack=a is wanted"), "{why}");

    let tags = r#"{"change_type":"update","tags":{"rack":"c"}}"#;
    assert_eq!(world.post(&format!("/nodes/{}/tags", node_id(0)), tags).await.status, 200);
    let found = audit().await;
    assert!(found.sets.iter().any(|set| set.volume == kept.id && set.faults[0].rule == "tag-differs"), "{found:?}");
}

#[tokio::test]
async fn what_is_promised_beyond_what_there_is_is_said_wherever_somebody_looks() {
    let world = World::new().await;
    world.cluster(3).await;
    let capacity = async || {
        let mut list: CapacityList = world.get("/v1/capacity?replica=3").await.json();
        list.capacities.remove(0)
    };
    let all = capacity().await;
    assert_eq!(all.warning, None);
    for (body, why) in
        [(r#"{"over_commit":"0.5"}"#, "over_commit: "), (r#"{"over_commit":2}"#, "the body is not a policy")]
    {
        let refused = world.ask("PUT", "/v1/policy", body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.json::<Problem>().error.contains(why), "{refused:?}");
    }
    let said: Policy = world.ask("PUT", "/v1/policy", r#"{"over_commit":"2"}"#).await.json();
    assert!(said.in_force.warning.unwrap().contains("2 times what their pools have"));
    let twice = capacity().await;
    assert!(twice.largest_gib > all.largest_gib * 19 / 10 && twice.warning.is_some(), "{twice:?}");
    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":800,{OF_THREE}}}"#)).await.json();
    assert!(told.placement.unwrap().warning.unwrap().starts_with("3 of these bricks are promised more"));
    let refused: Explanation = world.post("/v1/explain", &format!(r#"{{"size":9000,{OF_THREE}}}"#)).await.json();
    assert_eq!(refused.refusals[0].wish.over_commit.as_deref(), Some("2"));

    let volume = world.volume(&format!(r#"{{"size":800,{OF_THREE}}}"#)).await;
    let ledger: DeviceLedger = world.get(&format!("/v1/devices/{}/ledger", volume.bricks[0].device)).await.json();
    assert_eq!((ledger.promised_beyond_bytes, ledger.unaccounted_bytes), (400 << 30, 0));
    assert!(
        ledger.notes.iter().any(|note| note.starts_with("bricks and clones here may hold 400 GiB beyond")),
        "{ledger:?}"
    );
    let found: Diagnosis = world.get("/v1/doctor").await.json();
    assert_eq!(found.findings.iter().filter(|finding| finding.code == "over-committed").count(), 3);
    // A brick that moves once nothing is over-committed has all that it was promised.
    assert_eq!(world.ask("PUT", "/v1/policy", "{}").await.status, 200);
    let moved = world.post(&format!("/v1/bricks/{}/replace", volume.bricks[0].id), "{}").await;
    assert!(moved.json::<Problem>().error.contains("No Replacement was found"), "no device has room for all of it");
}

#[tokio::test]
async fn how_far_its_pools_go_is_the_word_of_a_volume_that_can_be_changed_and_goes_with_it() {
    let world = World::new().await;
    let cluster = world.cluster(3).await;
    let wish = format!(
        r#"{{"size":8,"glustervolumeoptions":["user.bricklayer.pools-at-most 1","user.heketi.zone-checking none"],{OF_THREE}}}"#
    );
    let volume = world.volume(&wish).await;
    let path = format!("/v1/volumes/{}/policy", volume.id);
    let most = |policy: &Policy| (policy.says.pools_at_most.clone(), policy.in_force.pools_at_most.clone().unwrap());
    let one = |text: &str| (Some(text.to_owned()), text.to_owned());
    // Beside what its options say.
    let is_kept = async || {
        let bundle = world.post("/v1/support-bundle", "{}").await;
        assert_eq!(bundle.status, 200, "{bundle:?}");
        bundle.body.contains("pools_of_volumes")
    };

    let said: Policy = world.get(&path).await.json();
    assert_eq!((said.cluster, said.volume, most(&said)), (None, Some(volume.id), one("1")));
    let of_cluster = format!("/v1/clusters/{cluster}/policy");
    let said: Policy = world.ask("PUT", &of_cluster, r#"{"pools_at_most":"2"}"#).await.json();
    assert_eq!(most(&said), one("2"));
    // Nothing any more, as it says now; then more than its cluster; then what it said when it was made.
    let said: Policy = world.ask("PUT", &path, "{}").await.json();
    assert_eq!(most(&said), (None, "2".to_owned()));
    assert_eq!(most(&world.get(&path).await.json()), (None, "2".to_owned()));
    for factor in ["2.5", "1"] {
        let body = format!(r#"{{"zones":"preferred","pools_at_most":"{factor}"}}"#);
        assert_eq!(most(&world.ask("PUT", &path, &body).await.json()), one(factor));
    }
    assert!(!is_kept().await);
    let list: PolicyList = world.get("/v1/policy").await.json();
    assert_eq!(most(&list.policies[0]), (None, "3".to_owned()));

    for (path, body, status, text) in [
        (path.as_str(), r#"{"pools_at_most":"0.5"}"#, 400, "from 1, which is not at all"),
        (&path, r#"{"zones":"strict","pools_at_most":"2"}"#, 400, "only `pools_at_most` can be changed"),
        ("/v1/volumes/00000000000000000000000000000bad/policy", "{}", 404, "not found"),
    ] {
        let answer = world.ask("PUT", path, body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.body.contains(text), "{body}: {answer:?}");
    }
    assert_eq!(most(&world.get(&path).await.json()), one("1"));

    assert_eq!(world.ask("PUT", &path, r#"{"pools_at_most":"2.5"}"#).await.status, 200);
    assert!(is_kept().await);
    let deleted = world.ask("DELETE", &format!("/volumes/{}", volume.id), "").await;
    assert_eq!(world.end_of(&deleted.queue()).await.status, 204);
    assert!(!is_kept().await);
}

#[tokio::test]
async fn thick_is_a_word_of_the_policy_of_a_volume_and_of_a_question() {
    let world = World::new().await;
    world.cluster(3).await;
    let refused = world.ask("PUT", "/v1/policy", r#"{"provisioning":"fat"}"#).await;
    assert_eq!(refused.status, 400);
    let both = world.ask("PUT", "/v1/policy", r#"{"provisioning":"thick","over_commit":"2"}"#).await;
    assert_eq!(both.status, 400);
    let problem: Problem = both.json();
    assert!(problem.error.contains("thick and over-committed 2 times"), "{problem:?}");
    assert!(problem.cure.as_ref().is_some_and(|cure| cure.contains("`over_commit` 1")), "{problem:?}");
    let said: Policy = world.ask("PUT", "/v1/policy", r#"{"provisioning":"thick"}"#).await.json();
    assert_eq!((said.says.provisioning, said.in_force.provisioning), (Some(Provisioning::Thick), Provisioning::Thick));

    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":400,{OF_THREE}}}"#)).await.json();
    let bricks = told.placement.unwrap().bricks;
    assert!(bricks.iter().all(|brick| (brick.provisioning, brick.extents) == (Provisioning::Thick, 400 * 256)));
    let thin = r#""glustervolumeoptions":["user.bricklayer.provisioning thin"]"#;
    let told: Explanation = world.post("/v1/explain", &format!(r#"{{"size":400,{thin},{OF_THREE}}}"#)).await.json();
    assert!(told.placement.unwrap().bricks.iter().all(|brick| brick.extents > 400 * 256));
    for (query, wanted) in [("", Provisioning::Thick), ("&provisioning=thin", Provisioning::Thin)] {
        let list: CapacityList = world.get(&format!("/v1/capacity?replica=3{query}")).await.json();
        assert_eq!(list.capacities[0].provisioning, wanted);
    }
    for query in ["provisioning=fat", "provisioning=thick&snapshot_factor=1.5"] {
        assert_eq!(world.get(&format!("/v1/capacity?{query}")).await.status, 400, "{query}");
    }
    let list: CapacityList = world.get("/v1/capacity?snapshot_factor=1.5&replica=3").await.json();
    assert_eq!(list.capacities[0].largest_bytes, 0, "by the policy it would be thick");
    let snapshots = r#""snapshot":{"enable":true,"factor":1.5}"#;
    let refused = world.post("/volumes", &format!(r#"{{"size":8,{snapshots},{OF_THREE}}}"#)).await;
    assert_eq!(refused.status, 400);
    let wrong = r#""glustervolumeoptions":["user.bricklayer.provisioning fat"]"#;
    assert_eq!(world.post("/volumes", &format!(r#"{{"size":8,{wrong},{OF_THREE}}}"#)).await.status, 400);

    let volume = world.volume(&format!(r#"{{"size":8,{OF_THREE}}}"#)).await;
    assert!(volume.thick);
    let clone = world.post(&format!("/volumes/{}/clone", volume.id), "{}").await;
    assert_eq!(clone.status, 500);
    assert!(clone.body.contains("3 of its 3 bricks are thick"), "{clone:?}");
    let export = world.get("/v1/export/heketi").await;
    assert_eq!(export.status, 409);
    assert!(export.json::<Problem>().error.contains("is thick"), "{export:?}");
    let metrics = world.get("/metrics").await.body;
    assert!(metrics.contains(r#"provisioning="thick"} 3"#), "{metrics}");
}
