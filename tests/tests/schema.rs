//! Stores of every schema that ever was are read by today's programs. A schema that changes gets a fixture of the one
//! before it: `RECORD_SCHEMA=1 cargo test -p bricklayer-tests --test schema -- --ignored record` writes one of today's.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::num::NonZeroU32;
use std::path::PathBuf;

use bricklayer_agent::journal::{self, Journal};
use bricklayer_api::heketi::VolumeCreateRequest;
use bricklayer_api::v1::{PlacementPolicy, ProtectRequest, ZonePolicy};
use bricklayer_coordinator::placement::ZoneRule;
use bricklayer_coordinator::state::{SCHEMA, State};
use bricklayer_proto::size::ByteSize;
use bricklayer_store::{Schema, Store};
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::story::{create, delete, done, replicated};

/// How long the deleted volume of the fixture is kept.
const KEPT_HOURS: i64 = 168;

fn fixture(program: &str, version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/store/{program}-{version}.jsonl"))
}

/// Opens a store of the fixture, brought up to today's schema.
fn opened(program: &str, version: u32, schema: Schema) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::import(&fixture(program, version), &dir.path().join("store"), schema).unwrap();
    store.verify().unwrap();
    (dir, store)
}

#[test]
fn a_coordinators_store_of_each_schema_is_read_whole() {
    for version in 1..=SCHEMA.version {
        let (_dir, store) = opened("coordinator", version, SCHEMA);
        let state = State::load(store).unwrap();
        let topology = state.read();
        assert_eq!(topology.nodes.size(), 3, "schema {version}");
        assert_eq!(topology.devices.size(), 3, "schema {version}");
        for volume in topology.volumes.values() {
            assert_eq!(volume.bricks.len(), 3, "schema {version}");
            assert!(volume.bricks.iter().all(|brick| brick.path.is_some()), "schema {version}");
        }
        assert!(topology.operations.size() >= 9 && topology.unfinished.is_empty(), "schema {version}");
        let protected: Vec<_> = topology.volumes.values().filter(|volume| volume.protected).collect();
        let trashed: Vec<_> = topology.volumes.values().filter_map(|volume| volume.trash).collect();
        match version {
            1 => {
                assert_eq!((topology.volumes.size(), protected.len(), trashed.len()), (1, 0, 0));
                assert!(topology.policies.is_empty());
            }
            // What schema 2 came for.
            _ => {
                assert_eq!((topology.volumes.size(), protected.len(), trashed.len()), (2, 1, 1), "schema {version}");
                assert_eq!(protected[0].name.as_str(), "dear", "schema {version}");
                assert_eq!(trashed[0].until.duration_since(trashed[0].since).as_hours(), KEPT_HOURS);
                let policies = &topology.policies;
                let here = policies.clusters.values().next().expect("the cluster says something of its own");
                assert_eq!(policies.installation.most_per_zone.map(NonZeroU32::get), Some(2), "schema {version}");
                assert_eq!(here.zones, Some(ZoneRule::Strict), "schema {version}");
            }
        }
    }
}

#[test]
fn an_agents_journal_of_each_schema_is_read_whole() {
    for version in 1..=journal::SCHEMA.version {
        let (_dir, store) = opened("agent", version, journal::SCHEMA);
        let journal = Journal::of(store).unwrap();
        assert_eq!(journal.manifest().unwrap().len(), 1, "schema {version}");
        assert!(journal.epoch() > 0, "schema {version}");
        journal.unfinished();
        journal.unacknowledged();
    }
}

#[test]
fn a_store_of_a_later_schema_is_refused_by_todays_programs() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(fixture("coordinator", SCHEMA.version)).unwrap();
    let later = Schema { version: SCHEMA.version + 1, migrations: &[], ..SCHEMA };
    let place = dir.path().join("store");
    Store::open(&place, later).unwrap().close();
    let refused = Store::open(&place, SCHEMA).unwrap_err().to_string();
    assert!(refused.contains(&format!("schema {}", later.version)), "{refused}");
    assert!(
        text.contains(&format!("\"schema\":{}", SCHEMA.version)),
        "the fixture is of the schema that its name says"
    );
}

#[tokio::test]
#[ignore = "writes the fixtures of today's schemas: RECORD_SCHEMA=1"]
async fn record() {
    if std::env::var_os("RECORD_SCHEMA").is_none() {
        return;
    }
    let mut cluster = Cluster::start(3, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let gone = create(&client, &replicated(1, 3)).await.unwrap();
    let dear = create(&client, &VolumeCreateRequest { name: "dear".to_owned(), ..replicated(2, 3) }).await.unwrap();
    let old = create(&client, &replicated(2, 3)).await.unwrap();
    delete(&client, gone.id).await.unwrap();
    let accepted = client.volume_protect(dear.id, ProtectRequest { protected: true }).await.unwrap();
    done(&client, accepted).await.unwrap();
    let accepted = client.volume_delete_keeping(old.id, Some(&format!("{KEPT_HOURS}h"))).await.unwrap();
    done(&client, accepted).await.unwrap();
    let policy = PlacementPolicy { most_bricks_per_zone: Some(2), ..PlacementPolicy::default() };
    client.policy_set(&policy).await.unwrap();
    let policy = PlacementPolicy { zones: Some(ZonePolicy::Strict), ..PlacementPolicy::default() };
    client.cluster_policy_set(dear.cluster, &policy).await.unwrap();
    cluster.installation.stop_coordinator().await;
    cluster.agent("gfs1").stop().await;
    let store = cluster.installation.data_dir().join("store");
    Store::open(&store, SCHEMA).unwrap().export(&fixture("coordinator", SCHEMA.version)).unwrap();
    let journal_dir = cluster.agent("gfs1").data_dir().join("journal");
    let journal = Store::open(journal_dir.as_std_path(), journal::SCHEMA).unwrap();
    journal.export(&fixture("agent", journal::SCHEMA.version)).unwrap();
}
