//! One test per guard, with the files damaged as crashes, disks and people damage them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::envelope::{self, Kind, Tree};
use crate::open::{HIGH_WATER, SLED, in_doubt, open};
use crate::{
    Batch, Damage, Fault, Migration, MigrationFailed, OpenError, Rows, Schema, Seq, Store, StoreError, Table, set_aside,
};

const NODES: Table<String, Value> = Table::new("nodes");
const VOLUMES: Table<String, Value> = Table::new("volumes");
const SCHEMA: Schema = Schema { application: "test", version: 1, migrations: &[] };

/// A directory for a store that is not there yet.
fn place() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("store");
    (parent, dir)
}

fn start(dir: &Path) -> Result<Store, OpenError> {
    Store::start(dir, open(dir, SCHEMA, 0, Duration::from_secs(20))?)
}

fn put(store: &Store, table: &Table<String, Value>, key: &str, record: Value) -> Seq {
    let mut batch = Batch::new();
    batch.put(table, &key.to_owned(), &record);
    store.commit_blocking(batch).unwrap()
}

/// A store with a few dozen commits: overwritten, removed and large records.
fn fill(dir: &Path) -> BTreeMap<String, Value> {
    let store = start(dir).unwrap();
    for round in 0..40 {
        put(&store, &VOLUMES, &format!("v{}", round % 15), json!({ "round": round, "filling": "x".repeat(500) }));
        if round % 10 == 0 {
            put(&store, &VOLUMES, "large", json!({ "round": round, "filling": "y".repeat(3000 * (round + 1)) }));
        }
    }
    let mut batch = Batch::new();
    batch.remove(&VOLUMES, &"v3".to_owned());
    store.commit_blocking(batch).unwrap();
    let content = store.scan(&VOLUMES).unwrap().into_iter().collect();
    store.close();
    content
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn damage(dir: &Path) -> Damage {
    match start(dir).expect_err("a damaged store opened") {
        OpenError::Damaged { fault: Fault::Damage(damage), .. } => damage,
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests of the guards go past them")]
fn raw(dir: &Path) -> sled::Db {
    // sled's own threads let go of a closed store's files a little later.
    (0..)
        .find_map(|attempt| match sled::open(dir.join(SLED)) {
            Ok(db) => Some(db),
            Err(error) if attempt > 1000 => panic!("{error}"),
            Err(_) => {
                std::thread::yield_now();
                None
            }
        })
        .unwrap()
}

// ---- Damaged values.

#[test]
fn a_flipped_byte_in_a_value_is_an_error_that_names_table_and_key() {
    let (_parent, dir) = place();
    fill(&dir);
    let db = raw(&dir);
    let records = db.open_tree("records").unwrap();
    let mut value = records.get("volumes\0v7").unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 0x20;
    records.insert("volumes\0v7", value).unwrap();
    db.flush().unwrap();
    drop((records, db));
    let error = start(&dir).unwrap_err();
    assert!(error.is_damage());
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the record \"v7\" in table volumes is damaged: its checksum is wrong");
}

#[test]
fn damage_under_an_open_store_is_an_error_of_that_key_and_not_a_default() {
    let (_parent, dir) = place();
    fill(&dir);
    let engine = open(&dir, SCHEMA, 0, Duration::from_secs(20)).unwrap();
    engine.sled.insert_raw(Tree::Records, b"volumes\0v7", b"rubbish");
    let store = Store::start(&dir, engine).unwrap();
    assert!(matches!(store.get(&VOLUMES, &"v7".to_owned()), Err(StoreError::Read { .. })));
    assert!(matches!(store.scan(&VOLUMES), Err(StoreError::Read { .. })));
    assert!(matches!(store.verify(), Err(StoreError::Read { .. })));
    assert!(store.get(&VOLUMES, &"v8".to_owned()).unwrap().is_some());
}

#[test]
fn a_stale_value_with_a_good_checksum_is_noticed() {
    let (_parent, dir) = place();
    fill(&dir);
    let db = raw(&dir);
    let records = db.open_tree("records").unwrap();
    let stale = envelope::seal(Tree::Records, b"volumes\0v7", Kind::Whole, 2, b"{\"round\":0}");
    records.insert("volumes\0v7", stale).unwrap();
    db.flush().unwrap();
    drop((records, db));
    assert!(matches!(damage(&dir), Damage::Content { .. }));
}

#[test]
fn a_lost_row_is_noticed() {
    for (tree, key) in [("records", b"volumes\0v7".to_vec()), ("parts", b"volumes\0large\0\x02".to_vec())] {
        let (_parent, dir) = place();
        fill(&dir);
        let db = raw(&dir);
        assert!(db.open_tree(tree).unwrap().remove(key).unwrap().is_some());
        db.flush().unwrap();
        drop(db);
        assert!(matches!(damage(&dir), Damage::Content { .. } | Damage::Record { .. }));
    }
}

#[test]
fn a_row_that_the_store_never_wrote_is_noticed() {
    let (_parent, dir) = place();
    fill(&dir);
    let db = raw(&dir);
    db.open_tree("records").unwrap().insert("no table", "").unwrap();
    db.flush().unwrap();
    drop(db);
    assert_eq!(damage(&dir), Damage::ForeignKey { key: "no table".to_owned() });
}

// ---- Damaged files.

/// Opens a store with one of its files changed; it must be what it was, or not open. Says whether it opened.
fn opens_as_it_was_or_not_at_all(original: &Path, expected: &BTreeMap<String, Value>, change: impl Fn(&Path)) -> bool {
    let (_parent, dir) = place();
    copy(original, &dir);
    change(&dir);
    let store = match start(&dir) {
        Ok(store) => store,
        Err(error) => {
            assert!(error.is_damage(), "{error:?}");
            return false;
        }
    };
    let content: BTreeMap<_, _> = store.scan(&VOLUMES).unwrap().into_iter().collect();
    assert_eq!(&content, expected);
    true
}

#[test]
fn no_flipped_bit_is_silent() {
    let (_parent, dir) = place();
    let expected = fill(&dir);
    let mut opened = 0;
    let mut refused = 0;
    for file in ["sled/db", "sled/conf", HIGH_WATER] {
        let length = usize::try_from(fs::metadata(dir.join(file)).unwrap().len()).unwrap();
        let used = fs::read(dir.join(file)).unwrap().iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
        let trials = if file == "sled/db" { 60 } else { 8 };
        for trial in 0..trials {
            let at = (used * trial / trials + trial * 7) % used.min(length);
            let as_before = opens_as_it_was_or_not_at_all(&dir, &expected, |dir| {
                let mut content = fs::read(dir.join(file)).unwrap();
                content[at] ^= 1_u8 << (trial % 8);
                fs::write(dir.join(file), content).unwrap();
            });
            if as_before { opened += 1 } else { refused += 1 }
        }
    }
    // Else the flips hit nothing, and the test says nothing.
    assert!(refused >= 10, "{refused} refused, {opened} opened");
}

#[test]
fn no_cut_off_file_is_silent() {
    let (_parent, dir) = place();
    let expected = fill(&dir);
    let used = fs::read(dir.join("sled/db")).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    let mut refused = 0;
    for sixteenth in 0..16 {
        let length = (used * sixteenth / 16) as u64;
        let as_before = opens_as_it_was_or_not_at_all(&dir, &expected, |dir| {
            File::options().write(true).open(dir.join("sled/db")).unwrap().set_len(length).unwrap();
        });
        refused += u32::from(!as_before);
    }
    assert!(refused >= 8, "{refused} refused");
}

#[test]
fn an_older_copy_of_sleds_files_is_noticed() {
    let (parent, dir) = place();
    fill(&dir);
    let old = parent.path().join("old");
    copy(&dir.join(SLED), &old);
    let store = start(&dir).unwrap();
    let found = store.seq().unwrap();
    let acknowledged = put(&store, &VOLUMES, "v1", json!("later"));
    store.close();
    fs::remove_dir_all(dir.join(SLED)).unwrap();
    fs::rename(&old, dir.join(SLED)).unwrap();
    assert_eq!(damage(&dir), Damage::RolledBack { found, acknowledged });
}

#[test]
fn a_commit_that_a_crash_kept_from_the_high_water_mark_is_kept() {
    let (_parent, dir) = place();
    fill(&dir);
    let before = fs::read(dir.join(HIGH_WATER)).unwrap();
    let store = start(&dir).unwrap();
    let last = put(&store, &VOLUMES, "v1", json!("later"));
    store.close();
    fs::write(dir.join(HIGH_WATER), before).unwrap();
    let store = start(&dir).unwrap();
    assert_eq!(store.seq().unwrap(), last);
    assert_eq!(store.get(&VOLUMES, &"v1".to_owned()).unwrap(), Some(json!("later")));
    store.close();
    // And the mark has caught up: from now on its loss is noticed.
    let (_, found) = crate::high_water::HighWater::open(&dir.join(HIGH_WATER)).unwrap().unwrap();
    assert_eq!(found.mark.seq, last.get());
}

#[test]
fn the_files_of_another_store_are_noticed() {
    let (_parent, dir) = place();
    let (_other_parent, other) = place();
    fill(&dir);
    fill(&other);
    fs::remove_dir_all(dir.join(SLED)).unwrap();
    fs::rename(other.join(SLED), dir.join(SLED)).unwrap();
    assert_eq!(damage(&dir), Damage::OtherStore);
}

#[test]
fn a_store_whose_files_are_gone_is_not_taken_for_a_new_one() {
    for file in ["sled", "sled/db", "sled/conf"] {
        let (parent, dir) = place();
        fill(&dir);
        fs::rename(dir.join(file), parent.path().join("gone")).unwrap();
        assert!(matches!(damage(&dir), Damage::Missing { .. }), "{file}");
    }
    let (_parent, dir) = place();
    fill(&dir);
    fs::remove_file(dir.join(HIGH_WATER)).unwrap();
    assert_eq!(damage(&dir), Damage::HighWaterMissing);
    assert_eq!(damage(&dir), Damage::HighWaterMissing);
}

#[test]
fn a_half_written_snapshot_is_no_hindrance() {
    let (_parent, dir) = place();
    let expected = fill(&dir);
    let name = "snap.FFFFFFFFFFFFFFF0.generating";
    fs::write(dir.join(SLED).join(name), "half").unwrap();
    let store = start(&dir).unwrap();
    assert_eq!(store.scan(&VOLUMES).unwrap().len(), expected.len());
    assert!(!dir.join(SLED).join(name).exists());
}

#[test]
fn a_store_whose_making_was_cut_off_is_made_anew() {
    let (parent, whole) = place();
    drop(start(&whole).unwrap());
    for (case, lost) in [&["sled"][..], &["sled/db", "sled/conf"], &["sled/conf"], &[]].into_iter().enumerate() {
        let dir = parent.path().join(format!("cut-off-{case}"));
        copy(&whole, &dir);
        for path in lost {
            let path = dir.join(path);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::write(path, "").unwrap() }
        }
        let store = start(&dir).unwrap();
        assert!(store.is_new());
        put(&store, &NODES, "gfs1", json!(1));
        store.close();
        assert!(!start(&dir).unwrap().is_new());
    }
}

#[test]
fn sled_that_hangs_is_given_up_and_can_be_set_aside() {
    let (_parent, dir) = place();
    fill(&dir);
    // Opening a FIFO for reading waits for a writer.
    let conf = dir.join("sled/conf");
    fs::remove_file(&conf).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &conf, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let limit = Duration::from_millis(200);
    let error = open(&dir, SCHEMA, 0, limit).err().unwrap();
    assert!(matches!(error, OpenError::TookTooLong { .. }), "{error:?}");
    let aside = set_aside(&dir).unwrap();
    assert!(start(&dir).unwrap().is_new());
    // Lets the thread go.
    drop(File::options().write(true).open(aside.join("sled/conf")).unwrap());
}

#[test]
fn a_panic_on_the_way_is_an_error() {
    let caught = crate::engine::guarded("read", || -> Result<(), sled::Error> { panic!("cannot find pid 7") });
    assert!(matches!(caught, Err(Fault::Panicked { message, .. }) if message == "cannot find pid 7"));
}

#[test]
fn an_error_of_the_disk_is_not_called_damage() {
    let there = Path::new("/store");
    let io = |code| sled::Error::Io(std::io::Error::from_raw_os_error(code));
    let message = "called `Result::unwrap()` on an `Err` value: Os { code: 5, kind: Uncategorized, message: \"I/O\" }";
    let panicked = |message: &str| Fault::Panicked { doing: "open its files", message: message.to_owned() };
    assert!(!in_doubt(there, Fault::Sled { doing: "open its files", source: io(28) }).is_damage());
    assert!(!in_doubt(there, panicked(message)).is_damage());
    assert!(in_doubt(there, panicked("cannot find pid 7 in view_for_key")).is_damage());
    assert!(in_doubt(there, Damage::HighWaterDamaged.into()).is_damage());
}

// ---- One owner, private files.

#[test]
fn a_second_opening_is_refused_and_names_the_lock_and_its_holder() {
    let (_parent, dir) = place();
    let store = start(&dir).unwrap();
    let Err(OpenError::Locked { lock, holder, .. }) = start(&dir) else { panic!("it opened twice") };
    assert_eq!(lock, dir.join("lock"));
    assert_eq!(holder, Some(std::process::id()));
    assert!(matches!(set_aside(&dir), Err(OpenError::Locked { .. })));
    store.close();
    start(&dir).unwrap();
}

#[test]
fn nobody_but_the_owner_may_read_a_store() {
    fn check(path: &Path) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            if path.is_dir() {
                check(&path);
            }
        }
    }
    let (_parent, dir) = place();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    fill(&dir);
    drop(start(&dir).unwrap());
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    check(&dir);
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let (_parent, dir) = place();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("letter.txt"), "dear").unwrap();
    assert!(matches!(start(&dir), Err(OpenError::NotAStore { entry, .. }) if entry == "letter.txt"));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn a_store_set_aside_is_whole_and_makes_room() {
    let (_parent, dir) = place();
    let expected = fill(&dir);
    let first = set_aside(&dir).unwrap();
    assert!(start(&dir).unwrap().is_new());
    let second = set_aside(&dir).unwrap();
    assert_ne!(first, second);
    assert!(first.to_string_lossy().contains("store.damaged-20"), "{}", first.display());
    let content: BTreeMap<_, _> = start(&first).unwrap().scan(&VOLUMES).unwrap().into_iter().collect();
    assert_eq!(content, expected);
}

// ---- Failing writes.

#[test]
fn a_failed_fsync_is_final() {
    for broken in ["db", "high-water"] {
        let (_parent, dir) = place();
        fill(&dir);
        let mut engine = open(&dir, SCHEMA, 0, Duration::from_secs(20)).unwrap();
        let last = engine.seq;
        // A pipe can be written and not fsynced.
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(writer));
        if broken == "db" {
            engine.sled.file = pipe
        } else {
            engine.high_water.break_with(pipe)
        }
        let store = Store::start(&dir, engine).unwrap();
        for _ in 0..2 {
            let mut batch = Batch::new();
            batch.put(&VOLUMES, &"v1".to_owned(), &json!("not durable"));
            assert!(matches!(store.commit_blocking(batch), Err(StoreError::Poisoned { .. })), "{broken}");
        }
        // Nor does anybody see what may not be on the disk.
        assert!(matches!(store.get(&VOLUMES, &"v1".to_owned()), Err(StoreError::Poisoned { .. })));
        assert!(matches!(store.seq(), Err(StoreError::Poisoned { .. })));
        store.close();
        // The next start finds the commit whole or not at all.
        let store = start(&dir).unwrap();
        assert!((last..=last + 1).contains(&store.seq().unwrap().get()));
    }
}

#[test]
fn a_closed_store_says_so() {
    let (_parent, dir) = place();
    let store = start(&dir).unwrap();
    let clone = store.clone();
    store.close();
    assert!(matches!(clone.get(&NODES, &"a".to_owned()), Err(StoreError::Closed)));
    assert!(matches!(clone.commit_blocking(Batch::new()), Err(StoreError::Closed)));
    start(&dir).unwrap();
}

// ---- Large records.

#[test]
fn records_of_any_allowed_size_come_back_and_leave_no_part_behind() {
    let (_parent, dir) = place();
    let store = start(&dir).unwrap();
    for length in [0, 3_997, 3_998, 3_999, 8_000, 100_000, crate::MAX_RECORD - 2, 5] {
        let record = json!("z".repeat(length));
        put(&store, &VOLUMES, "one", record.clone());
        assert_eq!(store.get(&VOLUMES, &"one".to_owned()).unwrap(), Some(record));
        store.verify().unwrap();
    }
    store.close();
    let db = raw(&dir);
    assert_eq!(db.open_tree("parts").unwrap().len(), 0);
}

#[test]
fn a_record_or_key_too_large_is_refused_before_anything_is_written() {
    let (_parent, dir) = place();
    let store = start(&dir).unwrap();
    let mut batch = Batch::new();
    batch.put(&NODES, &"gfs1".to_owned(), &json!(1));
    batch.put(&VOLUMES, &"huge".to_owned(), &json!("z".repeat(crate::MAX_RECORD)));
    let error = store.commit_blocking(batch).unwrap_err();
    assert!(error.to_string().starts_with("the record \"huge\" in table volumes is 1048578 bytes"), "{error}");
    assert_eq!(store.get(&NODES, &"gfs1".to_owned()).unwrap(), None);
    let mut batch = Batch::new();
    batch.remove(&NODES, &"k".repeat(256));
    assert!(matches!(store.commit_blocking(batch), Err(StoreError::KeyTooLong { .. })));
    put(&store, &NODES, &"k".repeat(255), json!(1));
}

#[test]
fn sled_never_needs_a_blob_file() {
    let (_parent, dir) = place();
    let store = start(&dir).unwrap();
    let large = |round: usize| json!({ "round": round, "filling": "z".repeat(120_000) });
    for round in 0..4 {
        for index in 0..30 {
            put(&store, &VOLUMES, &format!("{index:03}"), large(round));
            put(&store, &VOLUMES, &format!("{index:03}{}", "k".repeat(252)), json!("z".repeat(3_900)));
        }
        assert_eq!(fs::read_dir(dir.join("sled/blobs")).unwrap().count(), 0);
    }
    store.close();
    assert_eq!(start(&dir).unwrap().verify().unwrap().tables["volumes"], 60);
}

// ---- Schemas.

fn rename_zone(rows: &mut Rows) -> Result<(), MigrationFailed> {
    for (key, node) in rows.table_mut("nodes") {
        let node = node.as_object_mut().ok_or_else(|| format!("node {key} is no object"))?;
        let zone = node.remove("zone").ok_or_else(|| format!("node {key} has no zone"))?;
        node.insert("failure_domain".to_owned(), zone);
    }
    Ok(())
}

fn move_to_hosts(rows: &mut Rows) -> Result<(), MigrationFailed> {
    let nodes: Vec<_> = rows.table("nodes").map(|(key, node)| (key.to_owned(), node.clone())).collect();
    for (key, node) in nodes {
        rows.remove("nodes", &key);
        rows.put("hosts", &key, node);
    }
    Ok(())
}

const TO_2: Migration = Migration { to: 2, what: "zones are failure domains", run: rename_zone };
const TO_3: Migration = Migration { to: 3, what: "nodes are hosts", run: move_to_hosts };
const SCHEMA_3: Schema = Schema { application: "test", version: 3, migrations: &[TO_2, TO_3] };

#[test]
fn older_records_are_migrated_step_by_step_and_exported_before() {
    let (parent, dir) = place();
    let store = start(&dir).unwrap();
    put(&store, &NODES, "gfs1", json!({ "zone": 7 }));
    put(&store, &VOLUMES, "v", json!({ "size": 1.5 }));
    store.close();
    for _ in 0..2 {
        let store = Store::open(&dir, SCHEMA_3).unwrap();
        let hosts: Table<String, Value> = Table::new("hosts");
        assert_eq!(store.scan(&hosts).unwrap(), [("gfs1".to_owned(), json!({ "failure_domain": 7 }))]);
        assert_eq!(store.scan(&NODES).unwrap(), []);
        assert_eq!(store.get(&VOLUMES, &"v".to_owned()).unwrap(), Some(json!({ "size": 1.5 })));
        assert_eq!(store.seq().unwrap().get(), 3);
        store.close();
    }
    let backup = dir.join("exports/schema-1-before-3-commit-2.jsonl");
    let restored = Store::import(&backup, &parent.path().join("restored"), SCHEMA).unwrap();
    assert_eq!(restored.get(&NODES, &"gfs1".to_owned()).unwrap(), Some(json!({ "zone": 7 })));
    restored.close();
    // An export of an older schema is migrated as it is imported.
    let renewed = Store::import(&backup, &parent.path().join("renewed"), SCHEMA_3).unwrap();
    assert_eq!(renewed.scan(&NODES).unwrap(), []);
}

#[test]
fn a_failed_migration_leaves_the_store_as_it_was() {
    let (_parent, dir) = place();
    let store = start(&dir).unwrap();
    put(&store, &NODES, "gfs1", json!({ "zone": 7 }));
    put(&store, &NODES, "gfs2", json!({}));
    store.close();
    let error = Store::open(&dir, SCHEMA_3).unwrap_err();
    assert!(matches!(error, OpenError::Migration { to: 2, .. }), "{error:?}");
    assert!(!error.is_damage());
    let store = start(&dir).unwrap();
    assert_eq!(store.get(&NODES, &"gfs1".to_owned()).unwrap(), Some(json!({ "zone": 7 })));
}

#[test]
fn a_store_from_the_future_is_refused_and_not_guessed() {
    let (_parent, dir) = place();
    Store::open(&dir, SCHEMA_3).unwrap().close();
    let error = start(&dir).unwrap_err();
    assert!(matches!(error, OpenError::FromTheFuture { found: 3, known: 1, .. }), "{error:?}");
}

#[test]
fn a_store_too_old_for_the_program_is_refused() {
    let (_parent, dir) = place();
    fill(&dir);
    let error = Store::open(&dir, Schema { migrations: &[TO_3], ..SCHEMA_3 }).unwrap_err();
    assert!(matches!(error, OpenError::NoMigration { found: 1, missing: 2, .. }), "{error:?}");
}

#[test]
fn a_store_of_another_application_is_refused() {
    let (_parent, dir) = place();
    fill(&dir);
    let error = Store::open(&dir, Schema { application: "other", ..SCHEMA }).unwrap_err();
    assert!(matches!(error, OpenError::OtherApplication { found, .. } if found == "test"));
}

// ---- Growth.

#[test]
fn ten_thousand_commits_of_few_records_stay_small() {
    let (_parent, dir) = place();
    // Straight to the engine, and without its fsyncs, as only the size is asked for.
    let mut engine = open(&dir, SCHEMA, 0, Duration::from_secs(20)).unwrap();
    for commit in 0..10_000_u32 {
        let mut batch = Batch::new();
        batch.put(
            &VOLUMES,
            &format!("{:03}", commit * 7 % 300),
            &json!({ "commit": commit, "filling": "x".repeat(700) }),
        );
        engine.commit_without_fsync(&batch.changes).unwrap();
    }
    let size = fs::metadata(dir.join("sled/db")).unwrap().len();
    assert!(size < 16 * 1024 * 1024, "{size} bytes for 300 records of 0.7 KB");
}

/// A coordinator's life: 100,000 operations, each written when it begins and when it ends, a volume of every second one,
/// and the last 10,000 operations and 2,000 volumes kept. `docs/benchmarks.md` has what came of it.
#[test]
#[ignore = "a measurement that takes minutes: cargo test -p bricklayer-store -- --ignored --nocapture growth"]
fn growth_over_100_000_operations_is_bounded() {
    let (_parent, dir) = place();
    let bytes = |dir: &Path| -> u64 {
        let files = fs::read_dir(dir.join("sled")).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        files.filter(fs::Metadata::is_file).map(|file| file.len()).sum()
    };
    let mut engine = open(&dir, SCHEMA, 0, Duration::from_secs(60)).unwrap();
    let record = |number: u32, state: &str| json!({ "number": number, "state": state, "plan": "x".repeat(2000) });
    let mut sizes = Vec::new();
    for number in 0..100_000_u32 {
        let (id, old) =
            (format!("{number:032x}"), |back: u32| number.checked_sub(back).map(|old| format!("{old:032x}")));
        let mut begin = Batch::new();
        begin.put(&NODES, &id, &record(number, "running"));
        engine.commit_without_fsync(&begin.changes).unwrap();
        let mut end = Batch::new();
        end.put(&NODES, &id, &record(number, "done"));
        if number % 2 == 0 {
            end.put(&VOLUMES, &id, &record(number, "volume"));
        }
        if let Some(old) = old(10_000) {
            end.remove(&NODES, &old);
        }
        if let Some(old) = old(4_000) {
            end.remove(&VOLUMES, &old);
        }
        engine.commit_without_fsync(&end.changes).unwrap();
        if (number + 1) % 10_000 == 0 {
            sizes.push(bytes(&dir));
            println!("{} operations: {} MiB", number + 1, bytes(&dir) >> 20);
        }
    }
    drop(engine);
    let start = std::time::Instant::now();
    let engine = open(&dir, SCHEMA, 0, Duration::from_secs(60)).unwrap();
    println!("opened again: {} MiB, {:?}, {} commits", bytes(&dir) >> 20, start.elapsed(), engine.seq);
    let (kept, last) = (sizes[1], sizes[9]);
    assert!(last < kept * 2, "12,000 records took {kept} bytes after 20,000 operations and {last} after 100,000");
}
