//! The store as its callers see it, and its one writer.
//!
//! A thread of its own commits: it takes whatever has queued up while the disk was busy and writes it as one commit,
//! so many callers share one fsync. Readers wait while a commit is on its way, and so never see what a power cut could
//! take back.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::Seq;
use crate::engine::{self, Changes, Engine};
use crate::error::{ExportError, Fault, ImportError, OpenError, StoreError};
use crate::export;
use crate::files;
use crate::open;
use crate::schema::Schema;
use crate::table::{Batch, RowKey, Table};

/// Batches beyond this many bytes of JSON wait for the next commit.
const GROUP: usize = 4 * 1024 * 1024;

/// A store, open. Clones share it; it is closed when the last one goes, or by [`Store::close`].
#[derive(Clone)]
pub struct Store {
    inner: Backend,
    /// What the names of this part's tables begin with on the disk.
    #[cfg(feature = "parts")]
    part: Option<Arc<str>>,
}

/// Where the rows are.
#[derive(Clone)]
enum Backend {
    Sled(Arc<Inner>),
    #[cfg(feature = "simulated")]
    Simulated(Arc<crate::simulated::Opened>),
}

struct Inner {
    shared: Arc<Shared>,
    queue: Sender<Request>,
    writer: Mutex<Option<JoinHandle<()>>>,
    new: bool,
}

/// What the readers and the writer share.
struct Shared {
    dir: PathBuf,
    /// Written for the time from a commit's first change to its last fsync; `None` once closed.
    engine: RwLock<Option<Engine>>,
    /// The first failure; it is the last thing that happens to a store.
    failed: OnceLock<Arc<Fault>>,
}

enum Request {
    Commit { changes: Changes, answer: Answer },
    Close,
}

type Answer = Box<dyn FnOnce(Result<Seq, StoreError>) + Send>;

/// What [`Store::verify`] found to be in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The last commit.
    pub seq: Seq,
    /// Records by table.
    pub tables: BTreeMap<String, u64>,
}

impl Store {
    /// Opens the store in a directory of its own, or makes it there; verifies every record and migrates older ones.
    ///
    /// Blocks for as long as the disk takes. What is damaged is neither opened nor changed: see [`crate::set_aside`].
    pub fn open(dir: &Path, schema: Schema) -> Result<Self, OpenError> {
        let engine = open::open(dir, schema, 0, open::time_limit(dir))?;
        Self::start(dir, engine)
    }

    /// Makes a store where there is none, whose first commit has the number after `after`: for one that takes the place
    /// of another, so that nothing that remembers a commit's number sees it fall.
    pub fn found(dir: &Path, schema: Schema, after: u64) -> Result<Self, OpenError> {
        let engine = open::open(dir, schema, after, open::time_limit(dir))?;
        Self::start(dir, engine)
    }

    /// Makes a store of an export, where there is nothing yet or an empty directory, and opens it.
    pub fn import(file: &Path, into: &Path, schema: Schema) -> Result<Self, ImportError> {
        export::import(file, into, schema)?;
        Ok(Self::open(into, schema).map_err(Box::new)?)
    }

    /// The last commit that is in an export. Reads and checks all of it.
    pub fn exported(file: &Path) -> Result<Seq, ImportError> {
        export::last_commit(file)
    }

    pub(crate) fn start(dir: &Path, engine: Engine) -> Result<Self, OpenError> {
        let new = engine.seq == 0;
        let shared =
            Arc::new(Shared { dir: dir.to_owned(), engine: RwLock::new(Some(engine)), failed: OnceLock::new() });
        let (queue, requests) = mpsc::channel();
        let writers = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writers.write_all(&requests))
            .map_err(|source| {
                let fault = Fault::Io { doing: "start the writer of", path: dir.to_owned(), source };
                OpenError::Io { dir: dir.to_owned(), fault }
            })?;
        let inner = Inner { shared, queue, writer: Mutex::new(Some(writer)), new };
        Ok(Self::of(Backend::Sled(Arc::new(inner))))
    }

    fn of(inner: Backend) -> Self {
        Self {
            inner,
            #[cfg(feature = "parts")]
            part: None,
        }
    }

    /// A part of it that looks like a store of its own and shares its commits, for many simulated hosts on one disk. Its tables
    /// are called `<part>_<table>`.
    ///
    /// # Panics
    /// If the part's name is none that a table may have.
    #[cfg(feature = "parts")]
    #[must_use]
    pub fn part(&self, part: &str) -> Self {
        assert!(crate::table::is_table_name(part), "{part:?} is no name of a part");
        Self { inner: self.inner.clone(), part: Some(format!("{part}_").into()) }
    }

    /// Where rows that are called so here lie on the disk.
    fn placed(&self, at: RowKey) -> RowKey {
        #[cfg(feature = "parts")]
        if let Some(part) = &self.part {
            return RowKey { table: format!("{part}{}", at.table), key: at.key };
        }
        at
    }

    fn placed_all(&self, changes: Changes) -> Changes {
        #[cfg(feature = "parts")]
        if self.part.is_some() {
            return changes.into_iter().map(|(at, json)| (self.placed(at), json)).collect();
        }
        changes
    }

    /// Opens the store on a simulated disk, or makes it there. Whoever had it open before is cut off, as it is dead.
    #[cfg(feature = "simulated")]
    pub fn on(disk: &crate::simulated::Disk, schema: Schema) -> Result<Self, OpenError> {
        let opened = crate::simulated::Opened::open(disk, schema)?;
        Ok(Self::of(Backend::Simulated(Arc::new(opened))))
    }

    /// Whether no commit had ever been made in the store when it was opened.
    #[must_use]
    pub fn is_new(&self) -> bool {
        match &self.inner {
            Backend::Sled(inner) => inner.new,
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => opened.is_new(),
        }
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        match &self.inner {
            Backend::Sled(inner) => &inner.shared.dir,
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => opened.dir(),
        }
    }

    /// Writes a batch; it is on the disk when this returns.
    ///
    /// Batches of other callers may share its commit and number. A caller that stops waiting changes nothing: the batch
    /// is written nevertheless. After a failure of the disk every further call fails with [`StoreError::Poisoned`].
    pub async fn commit(&self, batch: Batch) -> Result<Seq, StoreError> {
        self.enqueue(batch)?.await
    }

    /// Puts a batch into the queue; the future tells when it is on the disk, and need not be awaited for that.
    ///
    /// Batches are written in the order of these calls. One that cannot be written is refused here, before it queues.
    pub fn enqueue(
        &self,
        batch: Batch,
    ) -> Result<impl Future<Output = Result<Seq, StoreError>> + Send + 'static, StoreError> {
        if let Some(refused) = batch.refused {
            return Err(refused);
        }
        let changes = self.placed_all(batch.changes);
        let written = match &self.inner {
            Backend::Sled(inner) => {
                let (answer, answered) = oneshot::channel();
                inner.send(changes, Box::new(move |result| drop(answer.send(result))))?;
                Written::Queued(answered, Arc::clone(&inner.shared))
            }
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => Written::Simulated(opened.write(changes)),
        };
        Ok(written.answer())
    }

    /// As [`Store::commit`], for threads that may block.
    pub fn commit_blocking(&self, batch: Batch) -> Result<Seq, StoreError> {
        if let Some(refused) = batch.refused {
            return Err(refused);
        }
        let changes = self.placed_all(batch.changes);
        match &self.inner {
            Backend::Sled(inner) => {
                let (answer, answered) = mpsc::channel();
                inner.send(changes, Box::new(move |result| drop(answer.send(result))))?;
                answered.recv().unwrap_or_else(|_| Err(inner.shared.gone()))
            }
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => opened.write(changes).map(|(seq, _)| seq).ok_or(StoreError::Closed),
        }
    }

    /// The record of a key. Waits while a commit is on its way to the disk.
    pub fn get<K, R: DeserializeOwned>(&self, table: &Table<K, R>, key: &K) -> Result<Option<R>, StoreError> {
        let at = self.placed(table.row(key));
        let json = match &self.inner {
            Backend::Sled(inner) => inner.shared.read(|engine| engine.sled.record(&at))?,
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => opened.get(&at)?,
        };
        json.map(|json| decode(at, &json)).transpose()
    }

    /// All records of a table as of one commit, sorted by key. Waits while a commit is on its way to the disk.
    pub fn scan<K, R: DeserializeOwned>(&self, table: &Table<K, R>) -> Result<Vec<(K, R)>, StoreError> {
        let name = self.placed(RowKey { table: table.name().to_owned(), key: String::new() }).table;
        let rows = match &self.inner {
            Backend::Sled(inner) => inner.shared.read(|engine| {
                let mut rows = Vec::new();
                engine.sled.records(Some(&name), |at, json| rows.push((at, json)))?;
                Ok(rows)
            })?,
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => opened.scan(&name)?,
        };
        rows.into_iter().map(|(at, json)| Ok((table.key(&at)?, decode(at, &json)?))).collect()
    }

    /// The number of the last commit.
    pub fn seq(&self) -> Result<Seq, StoreError> {
        match &self.inner {
            Backend::Sled(inner) => inner.shared.read(|engine| Ok(Seq(engine.seq))),
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => opened.seq(),
        }
    }

    /// Reads every record again and compares the whole with the last commit.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        match &self.inner {
            Backend::Sled(inner) => inner.shared.read(|engine| {
                let tables = engine.sled.verify(engine.seq, engine.digest)?;
                Ok(Verified { seq: Seq(engine.seq), tables })
            }),
            #[cfg(feature = "simulated")]
            Backend::Simulated(opened) => opened.verify(),
        }
    }

    /// Writes all records as of one commit into a file that a person can read and [`Store::import`] takes back.
    ///
    /// The file is there whole or not at all. Blocks; commits go on while it is written.
    pub fn export(&self, to: &Path) -> Result<Seq, ExportError> {
        let (seq, text) = match &self.inner {
            Backend::Sled(inner) => inner.shared.read(|engine| Ok((Seq(engine.seq), export::print(engine)?)))?,
            #[cfg(feature = "simulated")]
            Backend::Simulated(_) => return Err(StoreError::Closed.into()),
        };
        files::write_atomically(to, &text).map_err(ExportError::File)?;
        Ok(seq)
    }

    /// Finishes what is queued and closes the store, for all clones. Blocks until the disk has it.
    pub fn close(self) {
        match &self.inner {
            Backend::Sled(inner) => inner.close(),
            #[cfg(feature = "simulated")]
            Backend::Simulated(_) => {}
        }
    }
}

/// A batch on its way to the disk.
enum Written {
    Queued(oneshot::Receiver<Result<Seq, StoreError>>, Arc<Shared>),
    /// `None`: nobody is ever told.
    #[cfg(feature = "simulated")]
    Simulated(Option<(Seq, std::time::Duration)>),
}

impl Written {
    async fn answer(self) -> Result<Seq, StoreError> {
        match self {
            Self::Queued(answered, shared) => answered.await.unwrap_or_else(|_| Err(shared.gone())),
            #[cfg(feature = "simulated")]
            Self::Simulated(None) => std::future::pending().await,
            #[cfg(feature = "simulated")]
            Self::Simulated(Some((seq, delay))) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                Ok(seq)
            }
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.dir()).finish()
    }
}

fn decode<R: DeserializeOwned>(at: RowKey, json: &[u8]) -> Result<R, StoreError> {
    serde_json::from_slice(json).map_err(|source| StoreError::Decode { at, source })
}

impl Inner {
    fn send(&self, changes: Changes, answer: Answer) -> Result<(), StoreError> {
        self.queue.send(Request::Commit { changes, answer }).map_err(|_| self.shared.gone())
    }

    fn close(&self) {
        // The writer may be gone already; then there is nothing to wait for.
        let _ = self.queue.send(Request::Close);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn poisoned(&self) -> Option<StoreError> {
        self.failed.get().map(|fault| StoreError::Poisoned { dir: self.dir.clone(), fault: Arc::clone(fault) })
    }

    /// Why the writer does not answer.
    fn gone(&self) -> StoreError {
        self.poisoned().unwrap_or(StoreError::Closed)
    }

    fn read<T>(&self, look: impl FnOnce(&Engine) -> Result<T, Fault>) -> Result<T, StoreError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        // Asked under the lock: sled's memory may hold what a failed commit did not bring to the disk.
        if let Some(error) = self.poisoned() {
            return Err(error);
        }
        let engine = engine.as_ref().ok_or(StoreError::Closed)?;
        look(engine).map_err(|fault| StoreError::Read { dir: self.dir.clone(), fault })
    }

    /// The writer's life.
    fn write_all(&self, requests: &Receiver<Request>) {
        let mut closing = false;
        while !closing {
            let Ok(first) = requests.recv() else { break };
            let mut group = Changes::new();
            let mut answers = Vec::new();
            let mut size = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Commit { mut changes, answer } => {
                        size += changes.values().flatten().map(Vec::len).sum::<usize>();
                        group.append(&mut changes);
                        answers.push(answer);
                    }
                    Request::Close => {
                        closing = true;
                        break;
                    }
                }
                next = if size < GROUP { requests.try_recv().ok() } else { None };
            }
            if !answers.is_empty() {
                self.write_group(&group, answers);
            }
        }
        drop(self.engine.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn write_group(&self, group: &Changes, answers: Vec<Answer>) {
        let result = self.write_one(group);
        for answer in answers {
            answer(match &result {
                Ok(seq) => Ok(*seq),
                Err(()) => Err(self.gone()),
            });
        }
    }

    fn write_one(&self, group: &Changes) -> Result<Seq, ()> {
        let mut guard = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        if self.failed.get().is_some() {
            return Err(());
        }
        let engine = guard.as_mut().ok_or(())?;
        if group.is_empty() {
            return Ok(Seq(engine.seq));
        }
        let committed = catch_unwind(AssertUnwindSafe(|| engine.commit(group, None))).unwrap_or_else(|panic| {
            Err(Fault::Panicked { doing: "commit", message: engine::panic_message(panic.as_ref()) })
        });
        committed.map_err(|fault| {
            tracing::error!(
                store = %self.dir.display(), error = %fault,
                cause = std::error::Error::source(&fault).map(tracing::field::display),
                "the store failed and takes no more writes"
            );
            // Set while readers are still kept out.
            let _ = self.failed.set(Arc::new(fault));
        })
    }
}
