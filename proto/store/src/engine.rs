//! One commit on the disk, and reading it back: the only module that calls sled.
//!
//! A row of a table lies in sled's tree `records` under `<table> 0 <key>`. A record larger than [`PART`] is cut into
//! parts in the tree `parts`, under the same key and the part's number. The reason: sled keeps up to about twenty
//! neighbours in one page, and writes a page that grows beyond an eighth of a megabyte into a file of its own, which it
//! never fsyncs and sometimes forgets. With small values no page comes near that.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sled::Transactional;
use sled::transaction::TransactionError;
use uuid::Uuid;

use crate::Seq;
use crate::envelope::{self, Kind, Opened, SetDigest, Tree};
use crate::error::{Damage, Fault};
use crate::files::{self, Lock};
use crate::high_water::{HighWater, Mark};
use crate::table::RowKey;

/// The longest body of one value in sled; see above.
pub(crate) const PART: usize = 4000;

/// sled's cache. Stores are small, and an agent should stay small, too.
const CACHE: u64 = 4 * 1024 * 1024;

const SCHEMA: &str = "schema";
const COMMIT: &str = "commit";

/// The store's own record of what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub application: String,
    pub schema: u32,
    pub store: Uuid,
}

/// The store's own record of its last commit.
#[derive(Debug, Serialize, Deserialize)]
struct LastCommit {
    seq: u64,
    rows: u64,
    digest: String,
}

/// Changes by row; `None` removes.
pub(crate) type Changes = BTreeMap<RowKey, Option<Vec<u8>>>;

/// sled's part of a store, open but not yet believed.
pub(crate) struct Sled {
    dir: PathBuf,
    /// Indexed by [`Tree`]; empty only while it is dropped.
    trees: Vec<sled::Tree>,
    /// Our own descriptor of sled's file, for the fdatasync that sled leaves out. An error that sled's threads meet
    /// and swallow is reported here once more, as the kernel remembers it for each open descriptor.
    pub file: File,
}

/// A store that was verified and may be written.
pub(crate) struct Engine {
    pub sled: Sled,
    pub identity: Identity,
    pub seq: u64,
    pub digest: SetDigest,
    pub high_water: HighWater,
    /// Last, so that it is released after sled has closed its files.
    pub _lock: Lock,
}

impl Sled {
    /// Opens sled's directory, or makes one. May panic or hang on a damaged one: only for [`crate::open`]'s thread.
    #[expect(clippy::disallowed_methods, reason = "the one place where sled is opened")]
    pub(crate) fn open(dir: &Path) -> Result<Self, Fault> {
        files::private_dir(dir)?;
        remove_half_written_snapshots(dir)?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE)
            .mode(sled::Mode::LowSpace)
            .use_compression(false)
            .flush_every_ms(None);
        let db = guarded("open its files", || config.open())?;
        let tree = |name: &str| guarded("open a tree", || db.open_tree(name));
        let trees = vec![tree("records")?, tree("parts")?, tree("meta")?];
        let path = dir.join("db");
        let file = File::options().read(true).write(true).open(&path).map_err(files::fault("open", &path))?;
        let this = Self { dir: dir.to_owned(), trees, file };
        this.settle()?;
        Ok(this)
    }

    /// Makes everything durable that sled showed at its open: names, files and what only the page cache may hold yet.
    fn settle(&self) -> Result<(), Fault> {
        self.make_durable()?;
        for entry in list(&self.dir)? {
            let is_dir = entry.is_dir();
            files::restrict(&entry, if is_dir { 0o700 } else { 0o600 })?;
            if is_dir { files::sync_dir(&entry)? } else { files::sync_file(&entry)? }
        }
        files::sync_dir(&self.dir)?;
        files::sync_dir(files::parent(&self.dir))
    }

    /// sled's flush hands the pages to the kernel (`sync_file_range`); only the fdatasync makes them and the file's
    /// size durable.
    fn make_durable(&self) -> Result<(), Fault> {
        guarded("flush", || self.tree(Tree::Meta).flush())?;
        // Pages that grew too large lie in files of their own, see above. None should.
        let blobs = self.dir.join("blobs");
        let outsized = list(&blobs)?;
        for blob in &outsized {
            files::sync_file(blob)?;
        }
        if !outsized.is_empty() {
            files::sync_dir(&blobs)?;
        }
        self.file.sync_data().map_err(files::fault("fsync", &self.dir.join("db")))
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.trees[tree as usize]
    }

    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<sled::IVec>, Fault> {
        guarded("read", || self.tree(tree).get(key))
    }

    fn meta<T: for<'de> Deserialize<'de>>(&self, key: &'static str) -> Result<Option<T>, Fault> {
        let Some(value) = self.get(Tree::Meta, key.as_bytes())? else { return Ok(None) };
        let damaged = |what| Damage::Meta { key, what };
        let opened = envelope::open(Tree::Meta, key.as_bytes(), &value).map_err(damaged)?;
        let record = serde_json::from_slice(opened.body).map_err(|_| damaged("it is not what the store writes"))?;
        Ok(Some(record))
    }

    /// What the store is; `None` if its making was cut off.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Fault> {
        self.meta(SCHEMA)
    }

    /// Number and digest of the last commit, as the store itself recorded them.
    pub(crate) fn last_commit(&self) -> Result<(u64, SetDigest), Fault> {
        let Some(last) = self.meta::<LastCommit>(COMMIT)? else {
            return Err(Damage::Meta { key: COMMIT, what: "it is missing" }.into());
        };
        let sum = u128::from_str_radix(&last.digest, 16)
            .map_err(|_| Damage::Meta { key: COMMIT, what: "its digest is not a number" })?;
        Ok((last.seq, SetDigest { rows: last.rows, sum }))
    }

    /// The JSON of a record.
    pub(crate) fn record(&self, at: &RowKey) -> Result<Option<Vec<u8>>, Fault> {
        let key = row_bytes(at);
        self.get(Tree::Records, &key)?.map(|value| self.assemble(at, &key, &value)).transpose()
    }

    /// Calls `each` with the JSON of every record of one table, or of all, in the order of tables and keys.
    pub(crate) fn records(&self, table: Option<&str>, mut each: impl FnMut(RowKey, Vec<u8>)) -> Result<(), Fault> {
        let prefix = table.map_or_else(Vec::new, |table| [table.as_bytes(), b"\0"].concat());
        let mut rows = self.tree(Tree::Records).scan_prefix(prefix);
        while let Some((key, value)) = next(&mut rows)? {
            let at = row_key(&key)?;
            let json = self.assemble(&at, &key, &value)?;
            each(at, json);
        }
        Ok(())
    }

    fn assemble(&self, at: &RowKey, key: &[u8], value: &[u8]) -> Result<Vec<u8>, Fault> {
        let head = open_row(Tree::Records, at, key, value)?;
        let Some((parts, length)) = head_of(at, &head)? else { return Ok(head.body.to_vec()) };
        let mut json = Vec::with_capacity(length);
        for part in 0..parts {
            let part_key = part_bytes(key, part);
            let Some(value) = self.get(Tree::Parts, &part_key)? else {
                return Err(damaged(at, "one of its parts is missing"));
            };
            let part = open_row(Tree::Parts, at, &part_key, &value)?;
            if part.kind != Kind::Part || part.seq != head.seq {
                return Err(damaged(at, "its parts do not belong together"));
            }
            json.extend_from_slice(part.body);
        }
        if json.len() == length { Ok(json) } else { Err(damaged(at, "its parts do not add up to its length")) }
    }

    /// Reads every row, checks every checksum and compares the whole with what the last commit left.
    pub(crate) fn verify(&self, seq: u64, expected: SetDigest) -> Result<BTreeMap<String, u64>, Fault> {
        let mut tables = BTreeMap::new();
        let mut found = SetDigest::default();
        for tree in [Tree::Records, Tree::Parts] {
            let mut rows = self.tree(tree).iter();
            while let Some((key, value)) = next(&mut rows)? {
                let row =
                    if tree == Tree::Parts { key.get(..key.len().saturating_sub(2)).unwrap_or(&[]) } else { &key };
                let at = row_key(row)?;
                if open_row(tree, &at, &key, &value)?.seq > seq {
                    return Err(damaged(&at, "it is younger than the last commit"));
                }
                if tree == Tree::Records {
                    self.assemble(&at, &key, &value)?;
                    *tables.entry(at.table).or_default() += 1;
                }
                found.add(tree, &key, &value);
            }
        }
        if found != expected {
            return Err(Damage::Content {
                seq: Seq(seq),
                found: found.rows,
                found_digest: print_digest(found.sum),
                expected: expected.rows,
                expected_digest: print_digest(expected.sum),
            }
            .into());
        }
        Ok(tables)
    }

    /// The first commit of a new store, without records.
    pub(crate) fn create(&self, identity: &Identity, seq: u64) -> Result<(), Fault> {
        let mut writes = Writes::new(seq, SetDigest::default());
        writes.identity(identity)?;
        self.apply(writes)?;
        self.settle()
    }

    fn apply(&self, writes: Writes) -> Result<SetDigest, Fault> {
        let (writes, digest) = writes.finish()?;
        guarded("commit", || {
            let done = self.trees.as_slice().transaction(|trees| {
                for (tree, key, value) in &writes {
                    match value {
                        Some(value) => trees[*tree as usize].insert(key.as_slice(), value.as_slice())?,
                        None => trees[*tree as usize].remove(key.as_slice())?,
                    };
                }
                Ok(())
            });
            done.map_err(|error| match error {
                TransactionError::Storage(error) => error,
                TransactionError::Abort(()) => sled::Error::ReportableBug("a transaction that never aborts did".into()),
            })
        })?;
        Ok(digest)
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        // sled flushes once more when its last handle goes, and panics if the disk fails it then.
        let trees = std::mem::take(&mut self.trees);
        let closed = guarded("close", || {
            drop(trees);
            Ok(())
        });
        if let Err(fault) = closed {
            tracing::warn!(path = %self.dir.display(), %fault, "sled did not close well");
        }
    }
}

impl Engine {
    /// Writes the changes as one commit. It is on the disk, and its loss would be noticed, when this returns; after an
    /// error nothing in memory is to be trusted and the engine must not be used again.
    pub(crate) fn commit(&mut self, changes: &Changes, schema: Option<u32>) -> Result<Seq, Fault> {
        let seq = self.seq + 1;
        let mut writes = Writes::new(seq, self.digest);
        for (at, json) in changes {
            writes.change(&self.sled, at, json.as_deref())?;
        }
        if let Some(schema) = schema {
            self.identity.schema = schema;
            writes.identity(&self.identity)?;
        }
        let digest = self.sled.apply(writes)?;
        self.sled.make_durable()?;
        self.high_water.raise(Mark { store: self.identity.store, seq, digest: digest.sum })?;
        (self.seq, self.digest) = (seq, digest);
        Ok(Seq(seq))
    }
}

#[cfg(test)]
impl Engine {
    pub(crate) fn commit_without_fsync(&mut self, changes: &Changes) -> Result<(), Fault> {
        let mut writes = Writes::new(self.seq + 1, self.digest);
        for (at, json) in changes {
            writes.change(&self.sled, at, json.as_deref())?;
        }
        self.digest = self.sled.apply(writes)?;
        self.seq += 1;
        guarded("flush", || self.sled.tree(Tree::Meta).flush()).map(drop)
    }
}

#[cfg(test)]
impl Sled {
    pub(crate) fn insert_raw(&self, tree: Tree, key: &[u8], value: &[u8]) {
        self.tree(tree).insert(key, value).unwrap();
    }
}

/// The rows that one commit writes, gathered before sled's transaction, which may run its closure more than once.
struct Writes {
    seq: u64,
    digest: SetDigest,
    rows: Vec<(Tree, Vec<u8>, Option<Vec<u8>>)>,
}

impl Writes {
    const fn new(seq: u64, digest: SetDigest) -> Self {
        Self { seq, digest, rows: Vec::new() }
    }

    fn change(&mut self, sled: &Sled, at: &RowKey, json: Option<&[u8]>) -> Result<(), Fault> {
        let key = row_bytes(at);
        if let Some(old) = sled.get(Tree::Records, &key)? {
            let head = open_row(Tree::Records, at, &key, &old)?;
            for part in 0..head_of(at, &head)?.map_or(0, |(parts, _)| parts) {
                let part_key = part_bytes(&key, part);
                if let Some(old) = sled.get(Tree::Parts, &part_key)? {
                    self.remove(Tree::Parts, part_key, &old);
                }
            }
            self.remove(Tree::Records, key.clone(), &old);
        }
        match json {
            None => {}
            Some(json) if json.len() <= PART => self.insert(Tree::Records, key, Kind::Whole, json),
            Some(json) => {
                let mut parts = 0_u16;
                for body in json.chunks(PART) {
                    self.insert(Tree::Parts, part_bytes(&key, parts), Kind::Part, body);
                    parts += 1;
                }
                let length =
                    u32::try_from(json.len()).map_err(|_| damaged(at, "it is larger than any record may be"))?;
                let head = [parts.to_be_bytes().as_slice(), &length.to_be_bytes()].concat();
                self.insert(Tree::Records, key, Kind::Head, &head);
            }
        }
        Ok(())
    }

    fn insert(&mut self, tree: Tree, key: Vec<u8>, kind: Kind, body: &[u8]) {
        let value = envelope::seal(tree, &key, kind, self.seq, body);
        self.digest.add(tree, &key, &value);
        self.rows.push((tree, key, Some(value)));
    }

    fn remove(&mut self, tree: Tree, key: Vec<u8>, old: &[u8]) {
        self.digest.remove(tree, &key, old);
        self.rows.push((tree, key, None));
    }

    fn identity(&mut self, identity: &Identity) -> Result<(), Fault> {
        self.meta(SCHEMA, identity)
    }

    fn meta(&mut self, key: &'static str, record: &impl Serialize) -> Result<(), Fault> {
        let body =
            serde_json::to_vec(record).map_err(|_| Damage::Meta { key, what: "it cannot be written as JSON" })?;
        let value = envelope::seal(Tree::Meta, key.as_bytes(), Kind::Meta, self.seq, &body);
        self.rows.push((Tree::Meta, key.as_bytes().to_vec(), Some(value)));
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "taken apart at once by the one caller")]
    fn finish(mut self) -> Result<(Vec<(Tree, Vec<u8>, Option<Vec<u8>>)>, SetDigest), Fault> {
        let SetDigest { rows, sum } = self.digest;
        self.meta(COMMIT, &LastCommit { seq: self.seq, rows, digest: print_digest(sum) })?;
        Ok((self.rows, self.digest))
    }
}

fn print_digest(sum: u128) -> String {
    format!("{sum:032x}")
}

fn row_bytes(at: &RowKey) -> Vec<u8> {
    [at.table.as_bytes(), b"\0", at.key.as_bytes()].concat()
}

fn part_bytes(row: &[u8], part: u16) -> Vec<u8> {
    [row, &part.to_be_bytes()].concat()
}

fn row_key(bytes: &[u8]) -> Result<RowKey, Damage> {
    let foreign = || Damage::ForeignKey { key: bytes.escape_ascii().to_string() };
    let text = std::str::from_utf8(bytes).map_err(|_| foreign())?;
    let (table, key) = text.split_once('\0').ok_or_else(foreign)?;
    Ok(RowKey { table: table.to_owned(), key: key.to_owned() })
}

fn open_row<'a>(tree: Tree, at: &RowKey, key: &[u8], value: &'a [u8]) -> Result<Opened<'a>, Fault> {
    envelope::open(tree, key, value).map_err(|what| damaged(at, what))
}

/// Number of parts and whole length, if the record is in parts.
fn head_of(at: &RowKey, head: &Opened<'_>) -> Result<Option<(u16, usize)>, Fault> {
    match (head.kind, head.body) {
        (Kind::Whole, _) => Ok(None),
        (Kind::Head, &[p0, p1, l0, l1, l2, l3]) => {
            let length = u32::from_be_bytes([l0, l1, l2, l3]);
            Ok(Some((u16::from_be_bytes([p0, p1]), length as usize)))
        }
        _ => Err(damaged(at, "it is of a kind that does not belong there")),
    }
}

fn damaged(at: &RowKey, what: &'static str) -> Fault {
    Damage::Record { at: at.clone(), what }.into()
}

fn next(rows: &mut sled::Iter) -> Result<Option<(sled::IVec, sled::IVec)>, Fault> {
    guarded("read", || rows.next().transpose())
}

/// Runs a call of sled; a panic inside it becomes an error.
pub(crate) fn guarded<T>(doing: &'static str, call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Fault> {
    // After a panic the caller lets go of everything that the call may have left half done.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|source| Fault::Sled { doing, source }),
        Err(panic) => Err(Fault::Panicked { doing, message: panic_message(panic.as_ref()) }),
    }
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(dir).map_err(files::fault("read", dir))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(files::fault("read", dir))).collect()
}

/// A crash while sled writes a snapshot leaves `snap.*.generating`, which sled 0.34 then takes for its newest snapshot
/// and refuses to open. Removing it is safe: a finished snapshot has been renamed, and without any sled replays its log.
fn remove_half_written_snapshots(dir: &Path) -> Result<(), Fault> {
    for path in list(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(path = %path.display(), "removing a snapshot that a crash left half-written");
            fs::remove_file(&path).map_err(files::fault("remove", &path))?;
        }
    }
    Ok(())
}
