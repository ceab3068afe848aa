//! What a caller may rely on, over a real directory.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bricklayer_store::{Batch, ImportError, OpenError, Schema, Store, StoreError, Table};
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

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_commits_and_each_finds_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let tasks: Vec<_> = (0..200)
        .map(|index| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = format!("gfs{index}");
                store.commit(put_node(&name)).await.unwrap();
                // Whoever was answered sees it at once.
                assert_eq!(store.get(&NODES, &name).unwrap(), Some(node(&name)));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.scan(&NODES).unwrap().len(), 200);
    let commits = store.seq().unwrap().get();
    assert!(commits < 200, "{commits} commits for 200 callers");
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_undo_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    {
        let commit = store.commit(put_node("gfs1"));
        // Polled once, so that it is queued, and dropped.
        let waited = tokio::time::timeout(std::time::Duration::ZERO, commit).await;
        drop(waited);
    }
    store.commit(put_node("gfs2")).await.unwrap();
    assert_eq!(store.scan(&NODES).unwrap().len(), 2);
}

#[tokio::test]
async fn of_two_changes_to_a_key_the_later_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let key = "gfs1".to_owned();
    let mut batch = Batch::new();
    batch.put(&NODES, &key, &node("first")).put(&NODES, &key, &node("second"));
    store.commit(batch).await.unwrap();
    assert_eq!(store.get(&NODES, &key).unwrap(), Some(node("second")));
    let mut batch = Batch::new();
    batch.put(&NODES, &key, &node("third")).remove(&NODES, &key);
    store.commit(batch).await.unwrap();
    assert_eq!(store.get(&NODES, &key).unwrap(), None);
}

#[tokio::test]
async fn an_empty_batch_is_no_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.commit(Batch::new()).await.unwrap().get(), 0);
    drop(store);
    assert!(open(dir.path()).is_new());
}

#[tokio::test]
async fn tables_do_not_see_each_others_records() {
    const NODE: Table<String, u32> = Table::new("node");
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = put_node("s");
    batch.put(&NODE, &"s".to_owned(), &1).put(&NODE, &"snodes".to_owned(), &2);
    store.commit(batch).await.unwrap();
    assert_eq!(store.scan(&NODE).unwrap().len(), 2);
    assert_eq!(store.scan(&NODES).unwrap().len(), 1);
}

#[tokio::test]
async fn a_record_of_another_shape_is_an_error_that_names_it() {
    const AS_NUMBERS: Table<u64, u64> = Table::numbered("nodes");
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = Batch::new();
    batch.put(&LOG, &7, &"text".to_owned());
    batch.put(&NODES, &"gfs1".to_owned(), &node("gfs1"));
    store.commit(batch).await.unwrap();
    let as_numbers: Table<u64, u64> = Table::numbered("log");
    let error = store.get(&as_numbers, &7).unwrap_err();
    assert!(error.to_string().contains("\"00000000000000000007\" in table log"), "{error}");
    assert!(matches!(store.scan(&AS_NUMBERS), Err(StoreError::UnreadableKey { .. })));
}

/// A store with an export beside it.
async fn exported(parent: &Path) -> PathBuf {
    let store = open(&parent.join("store"));
    let mut batch = put_node("gfs1");
    batch.put(&NODES, &"gfs \u{1f9f1}\n\"".to_owned(), &node(&"long".repeat(5000)));
    batch.put(&SETTINGS, &(), &7).put(&LOG, &3, &"line".to_owned());
    store.commit(batch).await.unwrap();
    store.commit(put_node("gfs2")).await.unwrap();
    let file = parent.join("export.jsonl");
    assert_eq!(store.export(&file).unwrap().get(), 2);
    file
}

/// The records of an export, without its first and last line.
fn records(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}

#[tokio::test]
async fn an_imported_export_holds_the_same_records_and_counts_on() {
    let parent = tempfile::tempdir().unwrap();
    let file = exported(parent.path()).await;
    assert_eq!(records(&file).len(), 5);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let into = parent.path().join("restored");
    fs::create_dir(&into).unwrap();
    let store = Store::import(&file, &into, SCHEMA).unwrap();
    assert!(!store.is_new());
    assert!(store.seq().unwrap().get() > 2);
    store.verify().unwrap();
    let again = parent.path().join("again.jsonl");
    store.export(&again).unwrap();
    assert_eq!(records(&again), records(&file));
    store.close();
    open(&into).verify().unwrap();
}

#[tokio::test]
async fn an_export_that_was_cut_off_anywhere_is_refused_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let file = exported(parent.path()).await;
    let whole = fs::read(&file).unwrap();
    let into = parent.path().join("restored");
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 2, whole.len() - 1]) {
        fs::write(&file, &whole[..length]).unwrap();
        let error = Store::import(&file, &into, SCHEMA).unwrap_err();
        assert!(matches!(error, ImportError::CutOff { .. } | ImportError::NotAnExport { .. }), "{length}: {error:?}");
    }
    assert!(!into.exists());
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2, "the store and the export");
}

#[tokio::test]
async fn an_export_that_was_changed_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let file = exported(parent.path()).await;
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let without_a_record = [&lines[..2], &lines[3..]].concat().join("\n") + "\n";
    for changed in [text.replace("\"zone\":1", "\"zone\":2"), without_a_record] {
        fs::write(&file, changed).unwrap();
        let error = Store::import(&file, &parent.path().join("restored"), SCHEMA).unwrap_err();
        assert!(matches!(error, ImportError::Altered { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_import_replaces_no_store_and_takes_no_stranger() {
    let parent = tempfile::tempdir().unwrap();
    let file = exported(parent.path()).await;
    let error = Store::import(&file, &parent.path().join("store"), SCHEMA).unwrap_err();
    assert!(matches!(error, ImportError::NotEmpty { .. }), "{error:?}");
    let other = Schema { application: "other", ..SCHEMA };
    match Store::import(&file, &parent.path().join("restored"), other).unwrap_err() {
        ImportError::Open(error) => assert!(matches!(*error, OpenError::OtherApplication { .. }), "{error:?}"),
        other => panic!("{other:?}"),
    }
    assert!(!parent.path().join("restored").exists());
}
