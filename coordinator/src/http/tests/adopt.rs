//! Adoption and the export to heketi, over the wire.

use bricklayer_api::v1::{Adoption, Plan, Problem};

use super::world::World;

const VOLUME: &str = r#"{"size":10,"durability":{"type":"replicate","replicate":{"replica":3}}}"#;
const EMPTY: &str = r#"{"clusterentries":{},"nodeentries":{},"deviceentries":{},"volumeentries":{},"brickentries":{}}"#;

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_what_is_wrong() {
    let world = World::new().await;
    for (path, body, why) in [
        ("/v1/adopt", "{}", "none of heketi, disks and volume"),
        ("/v1/adopt", r#"{"from":"heketi"}"#, "database: it is missing"),
        ("/v1/adopt", r#"{"from":"heketi","database":{"clusters":[]}}"#, "database: missing field `clusterentries`"),
        ("/v1/adopt", r#"{"from":"disks","database":{}}"#, "only adopting from heketi takes one"),
        ("/v1/adopt", r#"{"from":"volume","volume":"--mode"}"#, "is not a volume name"),
        ("/v1/adopt", r#"{"from":"disks","cluster":"x"}"#, "is not a cluster id"),
        ("/v1/unadopt", "{}", "name one thing"),
        (
            "/v1/unadopt",
            r#"{"volume":"0000000000000000000000000000000a","device":"0000000000000000000000000000000b"}"#,
            "name one thing",
        ),
    ] {
        let answer = world.post(path, body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let problem: Problem = answer.json();
        assert!(problem.error.contains(why), "{body}: {problem:?}");
    }
    let unknown = r#"{"volume":"0000000000000000000000000000000a"}"#;
    assert_eq!(world.post("/v1/unadopt", unknown).await.status, 404);
}

#[tokio::test]
async fn where_there_is_nothing_to_adopt_there_is_no_plan() {
    let world = World::new().await;
    let body = format!(r#"{{"from":"heketi","database":{EMPTY}}}"#);
    let told: Adoption = world.post("/v1/adopt", &body).await.json();
    assert!(told.plan.is_none() && told.volumes.is_empty(), "{told:?}");
    // These agents are too old to be asked.
    assert!(told.findings.iter().all(|finding| finding.code == "host-unseen" && !finding.blocks), "{told:?}");
}

#[tokio::test]
async fn what_we_made_is_not_given_back_and_a_rehearsal_says_so_too() {
    let world = World::new().await;
    world.cluster(3).await;
    let volume = world.volume(VOLUME).await;
    let body = format!(r#"{{"volume":"{}"}}"#, volume.id);
    for path in ["/v1/unadopt", "/v1/unadopt?dry_run=true"] {
        let answer = world.post(path, &body).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        let problem: Problem = answer.json();
        assert!(problem.error.contains("Bricklayer made"), "{problem:?}");
    }
}

#[tokio::test]
async fn heketis_database_is_written_with_free_space_as_heketi_counts_it() {
    let world = World::new().await;
    world.cluster(3).await;
    world.volume(VOLUME).await;
    let written: serde_json::Value = world.get("/v1/export/heketi").await.json();
    let dump: serde_json::Value = world.get("/db/dump").await.json();
    assert_eq!(written["brickentries"], dump["brickentries"]);
    for (id, device) in written["deviceentries"].as_object().unwrap() {
        let storage = &device["Info"]["storage"];
        let number = |field: &str| storage[field].as_u64().unwrap();
        let bricks =
            device["Bricks"].as_array().unwrap().iter().map(|brick| &written["brickentries"][brick.as_str().unwrap()]);
        let used: u64 =
            bricks.map(|brick| brick["TpSize"].as_u64().unwrap() + brick["PoolMetadataSize"].as_u64().unwrap()).sum();
        assert_eq!((number("used"), number("free")), (used, number("total") - used), "{id}");
        let ours = dump["deviceentries"][id]["Info"]["storage"]["free"].as_u64().unwrap();
        assert!(number("free") > ours, "LVM has less, by the spare");
    }
    let plan: Plan = world.post("/volumes?dry_run=true", VOLUME).await.json();
    assert_eq!(plan.kind, "volume-create", "a rehearsal keeps nothing from being exported");
    assert_eq!(world.get("/v1/export/heketi").await.status, 200);
}
