//! Stores of every schema that ever was are read by today's programs. A schema that changes gets a fixture of the one
//! before it: `RECORD_SCHEMA=1 cargo test -p bricklayer-tests --test schema record` writes one of today's.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::path::PathBuf;

use bricklayer_agent::journal::{self, Journal};
use bricklayer_coordinator::state::{SCHEMA, State};
use bricklayer_proto::size::ByteSize;
use bricklayer_store::{Schema, Store};
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::story::{create, delete, replicated};

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
        let volumes: Vec<_> = topology.volumes.values().collect();
        assert_eq!(volumes.len(), 1, "schema {version}");
        assert_eq!(volumes[0].bricks.len(), 3, "schema {version}");
        assert!(volumes[0].bricks.iter().all(|brick| brick.path.is_some()), "schema {version}");
        assert!(topology.operations.size() >= 9 && topology.unfinished.is_empty(), "schema {version}");
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
    create(&client, &replicated(2, 3)).await.unwrap();
    delete(&client, gone.id).await.unwrap();
    cluster.installation.stop_coordinator().await;
    cluster.agent("gfs1").stop().await;
    let store = cluster.installation.data_dir().join("store");
    Store::open(&store, SCHEMA).unwrap().export(&fixture("coordinator", SCHEMA.version)).unwrap();
    let journal_dir = cluster.agent("gfs1").data_dir().join("journal");
    let journal = Store::open(journal_dir.as_std_path(), journal::SCHEMA).unwrap();
    journal.export(&fixture("agent", journal::SCHEMA.version)).unwrap();
}
