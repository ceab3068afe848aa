//! What a caller may rely on, over a real directory.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use bricklayer_store::{Batch, Schema, Store, Table};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    name: String,
    zone: u32,
}

const NODES: Table<String, Node> = Table::new("nodes");
const LOG: Table<u64, String> = Table::numbered("log");
const SETTINGS: Table<(), u32> = Table::single("settings");
const SCHEMA: Schema = Schema { application: "test", version: 1, migrations: &[] };

fn node(name: &str) -> Node {
    Node { name: name.to_owned(), zone: 1 }
}

fn put_node(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(&NODES, &name.to_owned(), &node(name));
    batch
}

fn open(dir: &Path) -> Store {
    Store::open(dir, SCHEMA).unwrap()
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(store.is_new());
    let mut batch = put_node("gfs2");
    batch.put(&NODES, &"gfs1".to_owned(), &node("gfs1")).put(&SETTINGS, &(), &7);
    for line in [10, 9] {
        batch.put(&LOG, &line, &format!("line {line}"));
    }
    let first = store.commit(batch).await.unwrap();
    assert_eq!(first.get(), 1);
    let mut batch = Batch::new();
    batch.remove(&NODES, &"gfs2".to_owned()).remove(&NODES, &"never there".to_owned());
    store.commit(batch).await.unwrap();
    store.close();

    let store = open(dir.path());
    assert!(!store.is_new());
    assert_eq!(store.seq().unwrap().get(), 2);
    assert_eq!(store.scan(&NODES).unwrap(), [("gfs1".to_owned(), node("gfs1"))]);
    assert_eq!(store.scan(&LOG).unwrap(), [(9, "line 9".to_owned()), (10, "line 10".to_owned())]);
    assert_eq!(store.get(&SETTINGS, &()).unwrap(), Some(7));
    assert_eq!(store.get(&NODES, &"gfs2".to_owned()).unwrap(), None);
    let verified = store.verify().unwrap();
    assert_eq!(
        verified.tables.into_iter().collect::<Vec<_>>(),
        [("log".to_owned(), 2), ("nodes".to_owned(), 1), ("settings".to_owned(), 1)]
    );
}
