//! A store in memory, for simulations that kill programs thousands of times a minute.
//!
//! A [`Disk`] outlives the programs that open it, as a disk does. It has no thread: a commit is on it when
//! [`Store::enqueue`](crate::Store::enqueue) returns, and its caller hears of that after the disk's delay, so whoever is
//! killed in between finds more than it was told. A disk can be cut off before or after a commit: that one and all later
//! ones are never answered, as of a program that is about to be killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Seq;
use crate::engine::Changes;
use crate::error::{OpenError, StoreError};
use crate::schema::Schema;
use crate::store::Verified;
use crate::table::RowKey;

/// On which side of a commit a disk is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The commit is not on the disk.
    Before,
    /// It is, and nobody is told.
    After,
}

/// What outlives the programs that open it. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    content: Arc<Mutex<Content>>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    schema: Option<(&'static str, u32)>,
    seq: u64,
    rows: BTreeMap<RowKey, Vec<u8>>,
    /// Which opening has the disk; the ones before it are dead.
    opening: u64,
    /// The commit, counted from 1, at which it is cut off.
    cut_at: Option<(u64, Cut)>,
    is_cut: bool,
    delay: Duration,
    /// What the last commit replaced.
    replaced: Changes,
}

impl Disk {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another disk with the same on it.
    #[must_use]
    pub fn copy(&self) -> Self {
        let content = self.lock().clone();
        Self { content: Arc::new(Mutex::new(content)) }
    }

    /// How long the answer to a commit takes.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Cuts the disk off at a commit that is to come: 1 is the next one. An opening mends it.
    pub fn cut_at(&self, commit: u64, cut: Cut) {
        self.lock().cut_at = Some((commit, cut));
    }

    /// Forgets a cut that has not come.
    pub fn mend(&self) {
        self.lock().cut_at = None;
    }

    /// Whether the cut has come: whoever has the disk open waits in vain.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.lock().is_cut
    }

    /// Takes the last commit away, as a store does that tells of a commit before it is durable. No store of ours does.
    pub fn lose_last(&self) {
        let mut content = self.lock();
        let replaced = std::mem::take(&mut content.replaced);
        if !replaced.is_empty() {
            content.put(replaced);
            content.seq -= 1;
        }
    }

    /// The number of the last commit.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.lock().seq
    }

    /// Every record, to be compared and printed.
    #[must_use]
    pub fn rows(&self) -> Vec<(RowKey, String)> {
        let content = self.lock();
        content.rows.iter().map(|(at, json)| (at.clone(), String::from_utf8_lossy(json).into_owned())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Every change of it is whole before anything can panic.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Answers what was there before.
    fn put(&mut self, changes: Changes) -> Changes {
        let mut replaced = Changes::new();
        for (at, json) in changes {
            let before = match json {
                Some(json) => self.rows.insert(at.clone(), json),
                None => self.rows.remove(&at),
            };
            replaced.insert(at, before);
        }
        replaced
    }
}

/// One opening of a disk.
pub(crate) struct Opened {
    disk: Disk,
    number: u64,
    new: bool,
    dir: PathBuf,
}

impl Opened {
    pub(crate) fn open(disk: &Disk, schema: Schema) -> Result<Self, OpenError> {
        let dir = PathBuf::from("simulated");
        let mut content = disk.lock();
        match content.schema {
            Some((application, _)) if application != schema.application => {
                return Err(OpenError::OtherApplication {
                    dir,
                    found: application.to_owned(),
                    expected: schema.application,
                });
            }
            Some((_, found)) if found != schema.version => {
                return Err(OpenError::FromTheFuture { dir, found, known: schema.version });
            }
            _ => content.schema = Some((schema.application, schema.version)),
        }
        content.opening += 1;
        content.is_cut = false;
        let (number, new) = (content.opening, content.seq == 0);
        drop(content);
        Ok(Self { disk: disk.clone(), number, new, dir })
    }

    pub(crate) fn is_new(&self) -> bool {
        self.new
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The number of the commit and after what time to tell of it; `None` where nobody is ever told.
    pub(crate) fn write(&self, changes: Changes) -> Option<(Seq, Duration)> {
        let mut content = self.disk.lock();
        if content.opening != self.number || content.is_cut {
            return None;
        }
        if changes.is_empty() {
            return Some((Seq(content.seq), Duration::ZERO));
        }
        let mut cut = None;
        if let Some((left, side)) = content.cut_at {
            content.cut_at = (left > 1).then_some((left - 1, side));
            if left <= 1 {
                content.is_cut = true;
                cut = Some(side);
            }
        }
        if cut == Some(Cut::Before) {
            return None;
        }
        content.replaced = content.put(changes);
        content.seq += 1;
        cut.is_none().then_some((Seq(content.seq), content.delay))
    }

    pub(crate) fn get(&self, at: &RowKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|content| content.rows.get(at).cloned())
    }

    pub(crate) fn scan(&self, table: &str) -> Result<Vec<(RowKey, Vec<u8>)>, StoreError> {
        self.read(|content| {
            let rows = content.rows.iter().filter(|(at, _)| at.table == table);
            rows.map(|(at, json)| (at.clone(), json.clone())).collect()
        })
    }

    pub(crate) fn seq(&self) -> Result<Seq, StoreError> {
        self.read(|content| Seq(content.seq))
    }

    pub(crate) fn verify(&self) -> Result<Verified, StoreError> {
        self.read(|content| {
            let mut tables = BTreeMap::new();
            for at in content.rows.keys() {
                *tables.entry(at.table.clone()).or_default() += 1;
            }
            Verified { seq: Seq(content.seq), tables }
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Content) -> T) -> Result<T, StoreError> {
        let content = self.disk.lock();
        if content.opening == self.number { Ok(look(&content)) } else { Err(StoreError::Closed) }
    }
}
