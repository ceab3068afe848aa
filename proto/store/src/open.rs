//! What must hold before a store is believed.
//!
//! In this order: the lock, the high-water mark, sled itself (on a thread of its own, as it may panic or hang on damaged
//! files), the schema, every row, the comparison with the high-water mark, and last the migrations.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use crate::Seq;
use crate::engine::{self, Changes, Engine, Identity, Sled};
use crate::envelope::SetDigest;
use crate::error::{Damage, ExportError, Fault, OpenError, StoreError};
use crate::export;
use crate::files::{self, LOCK, Lock};
use crate::high_water::{Found, HighWater, Mark};
use crate::schema::{Rows, Schema};
use crate::table::{Batch, RowKey};

/// How long sled and the verification may take together: a minute, and a second for every MiB. Measured: half a second
/// for a store of 50 MiB on a busy host. Beyond the limit sled turns in circles, or the disk does not answer.
pub(crate) fn time_limit(dir: &Path) -> Duration {
    let bytes = fs::metadata(dir.join(SLED).join("db")).map_or(0, |db| db.len());
    Duration::from_secs(60 + bytes / (1024 * 1024))
}

pub(crate) const SLED: &str = "sled";
pub(crate) const HIGH_WATER: &str = "high-water";
const EXPORTS: &str = "exports";

/// Opens a store, or makes a new one whose first commit will have the number after `first`.
pub(crate) fn open(dir: &Path, schema: Schema, first: u64, limit: Duration) -> Result<Engine, OpenError> {
    let io = |fault| OpenError::Io { dir: dir.to_owned(), fault };
    let damaged = |fault| OpenError::Damaged { dir: dir.to_owned(), fault };
    refuse_a_foreign_directory(dir)?;
    files::private_dir(dir).map_err(io)?;
    let lock = Lock::take(dir)?;

    let mark_path = dir.join(HIGH_WATER);
    let opened = match HighWater::open(&mark_path).map_err(|fault| in_doubt(dir, fault))? {
        Some(opened) => Some(opened),
        None if dir.join(SLED).exists() => return Err(damaged(Damage::HighWaterMissing.into())),
        None => {
            // Before sled's files, so that there is never a moment in which those lie there without a mark.
            let mark = Mark { store: Uuid::new_v4(), seq: first, digest: SetDigest::default().sum };
            HighWater::create(&mark_path, mark).map_err(io)?;
            HighWater::open(&mark_path).map_err(io)?.map(|(file, _)| (file, Found { mark, untouched: true }))
        }
    };
    let Some((high_water, found)) = opened else {
        return Err(damaged(Damage::HighWaterMissing.into()));
    };

    let (identity, seq, digest, sled) = load_on_a_thread(dir, schema, found, limit)?;
    if found.mark.seq < seq {
        if found.mark.seq + 1 < seq {
            tracing::warn!(store = %dir.display(), mark = found.mark.seq, seq, "the store's high-water mark lags behind");
        }
        // A crash came between sled's fsync and ours; `Sled::open` has made durable what it shows.
        high_water.raise(Mark { store: identity.store, seq, digest: digest.sum }).map_err(io)?;
    }
    let mut engine = Engine { sled, identity, seq, digest, high_water, _lock: lock };
    migrate(dir, &mut engine, schema)?;
    Ok(engine)
}

/// Damage stays damage; a disk that does not answer is not the store's fault.
pub(crate) fn in_doubt(dir: &Path, fault: Fault) -> OpenError {
    let dir = dir.to_owned();
    match fault {
        Fault::Io { .. } => OpenError::Io { dir, fault },
        // A full disk, for one: sled writes a snapshot at each open.
        Fault::Sled { source: sled::Error::Io(_), .. } => OpenError::Io { dir, fault },
        // sled unwraps some errors of the disk. Better a good store that does not open than one that is set aside.
        Fault::Panicked { ref message, .. } if message.contains("Os { code:") => OpenError::Io { dir, fault },
        Fault::Sled { .. } | Fault::Panicked { .. } | Fault::Damage(_) => OpenError::Damaged { dir, fault },
    }
}

/// A directory with something in it, but no store: somebody pointed at the wrong one.
fn refuse_a_foreign_directory(dir: &Path) -> Result<(), OpenError> {
    let io = |source| {
        let fault = Fault::Io { doing: "read", path: dir.to_owned(), source };
        OpenError::Io { dir: dir.to_owned(), fault }
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    let mut foreign = None;
    for entry in entries {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            HIGH_WATER | SLED => return Ok(()),
            LOCK | "high-water.new" => {}
            _ => foreign = Some(name),
        }
    }
    foreign.map_or(Ok(()), |entry| Err(OpenError::NotAStore { dir: dir.to_owned(), entry }))
}

type Loaded = (Identity, u64, SetDigest, Sled);

fn load_on_a_thread(dir: &Path, schema: Schema, found: Found, limit: Duration) -> Result<Loaded, OpenError> {
    let (done, result) = mpsc::channel();
    let until = Instant::now() + limit;
    let there = dir.to_owned();
    let spawned = thread::Builder::new().name("store-open".to_owned()).spawn(move || {
        let loaded = catch_unwind(AssertUnwindSafe(|| load(&there, schema, found, until)));
        let loaded = loaded.unwrap_or_else(|panic| {
            let message = engine::panic_message(panic.as_ref());
            Err(in_doubt(&there, Fault::Panicked { doing: "open the store", message }))
        });
        // Nobody listens after the time limit; the store is then closed again.
        let _ = done.send(loaded);
    });
    spawned.map_err(|source| {
        let fault = Fault::Io { doing: "start a thread for", path: dir.to_owned(), source };
        OpenError::Io { dir: dir.to_owned(), fault }
    })?;
    match result.recv_timeout(limit) {
        Ok(loaded) => loaded,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Err(OpenError::TookTooLong { dir: dir.to_owned(), limit })
        }
    }
}

fn load(dir: &Path, schema: Schema, found: Found, until: Instant) -> Result<Loaded, OpenError> {
    let path = dir.join(SLED);
    if !found.untouched {
        // sled would make new ones without a word.
        for file in ["db", "conf"] {
            if !path.join(file).exists() {
                let fault = Damage::Missing { file, acknowledged: Seq(found.mark.seq) }.into();
                return Err(OpenError::Damaged { dir: dir.to_owned(), fault });
            }
        }
        return load_existing(dir, &path, schema, found, until);
    }
    // No commit was ever acknowledged: sled's files may be there wholly, half or not at all.
    if path.exists() {
        match load_existing(dir, &path, schema, found, until) {
            Err(OpenError::Damaged { fault, .. }) => {
                let aside = files::move_aside(&path, "unfinished").map_err(|fault| in_doubt(dir, fault))?;
                tracing::warn!(
                    store = %dir.display(), aside = %aside.display(), cause = %fault,
                    "the making of the store was cut off before its first commit; it is made anew"
                );
            }
            loaded => return loaded,
        }
    }
    let sled = open_sled(&path, until).map_err(|fault| in_doubt(dir, fault))?;
    let identity =
        Identity { application: schema.application.to_owned(), schema: schema.version, store: found.mark.store };
    sled.create(&identity, found.mark.seq).map_err(|fault| in_doubt(dir, fault))?;
    Ok((identity, found.mark.seq, SetDigest::default(), sled))
}

fn load_existing(dir: &Path, path: &Path, schema: Schema, found: Found, until: Instant) -> Result<Loaded, OpenError> {
    let doubt = |fault| in_doubt(dir, fault);
    let damaged = |damage: Damage| OpenError::Damaged { dir: dir.to_owned(), fault: damage.into() };
    let acknowledged = Seq(found.mark.seq);
    let sled = open_sled(path, until).map_err(doubt)?;
    let Some(identity) = sled.identity().map_err(doubt)? else {
        // sled fell back to before its first commit.
        return Err(damaged(Damage::RolledBack { found: Seq(0), acknowledged }));
    };
    if identity.store != found.mark.store {
        return Err(damaged(Damage::OtherStore));
    }
    check_schema(dir, &identity, schema)?;
    let (seq, digest) = sled.last_commit().map_err(doubt)?;
    if seq < found.mark.seq {
        return Err(damaged(Damage::RolledBack { found: Seq(seq), acknowledged }));
    }
    sled.verify(seq, digest).map_err(doubt)?;
    if seq == found.mark.seq && digest.sum != found.mark.digest {
        return Err(damaged(Damage::Diverged { seq: Seq(seq) }));
    }
    Ok((identity, seq, digest, sled))
}

/// sled's threads may hold its files for a moment after a store was closed. As we hold the store's own lock, nobody
/// else can: so wait.
fn open_sled(path: &Path, until: Instant) -> Result<Sled, Fault> {
    loop {
        match Sled::open(path) {
            Err(Fault::Sled { source: sled::Error::Io(error), .. })
                if error.to_string().contains("could not acquire lock") && Instant::now() < until =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

fn check_schema(dir: &Path, identity: &Identity, schema: Schema) -> Result<(), OpenError> {
    let dir = || dir.to_owned();
    let (found, known) = (identity.schema, schema.version);
    if identity.application != schema.application {
        return Err(OpenError::OtherApplication {
            dir: dir(),
            found: identity.application.clone(),
            expected: schema.application,
        });
    }
    if found > known {
        return Err(OpenError::FromTheFuture { dir: dir(), found, known });
    }
    match (found + 1..=known).find(|to| schema.step_to(*to).is_none()) {
        Some(missing) => Err(OpenError::NoMigration { dir: dir(), found, missing }),
        None => Ok(()),
    }
}

/// Brings the records up to today's schema, in one commit, after an export of what was there.
fn migrate(dir: &Path, engine: &mut Engine, schema: Schema) -> Result<(), OpenError> {
    let from = engine.identity.schema;
    if from == schema.version {
        return Ok(());
    }
    let backup =
        backup_export(dir, engine, schema).map_err(|source| OpenError::BackupExport { dir: dir.to_owned(), source })?;
    let broken = |at: &RowKey, source| OpenError::Write {
        dir: dir.to_owned(),
        source: StoreError::Decode { at: at.clone(), source },
    };
    let mut before = Rows::default();
    let mut unreadable = None;
    let read = engine.sled.records(None, |at, json| match serde_json::from_slice::<Value>(&json) {
        Ok(value) => {
            before.rows.insert(at, value);
        }
        Err(error) => unreadable = Some((at, error)),
    });
    read.map_err(|fault| in_doubt(dir, fault))?;
    if let Some((at, error)) = unreadable {
        return Err(broken(&at, error));
    }
    let mut after = before.clone();
    for to in from + 1..=schema.version {
        let Some(step) = schema.step_to(to) else {
            return Err(OpenError::NoMigration { dir: dir.to_owned(), found: from, missing: to });
        };
        (step.run)(&mut after).map_err(|source| OpenError::Migration {
            dir: dir.to_owned(),
            to,
            what: step.what,
            source,
        })?;
    }
    let changes = difference(&before, &after).map_err(|source| OpenError::Write { dir: dir.to_owned(), source })?;
    engine.commit(&changes, Some(schema.version)).map_err(|fault| in_doubt(dir, fault))?;
    tracing::info!(
        store = %dir.display(), from, to = schema.version, records = changes.len(), backup = %backup.display(),
        "the store was migrated"
    );
    Ok(())
}

fn difference(before: &Rows, after: &Rows) -> Result<Changes, StoreError> {
    let mut batch = Batch::new();
    for at in before.rows.keys().filter(|at| !after.rows.contains_key(at)) {
        batch.set(at.clone(), None);
    }
    for (at, value) in after.rows.iter().filter(|(at, value)| before.rows.get(at) != Some(value)) {
        batch.set(at.clone(), Some(value.to_string().into_bytes()));
    }
    batch.refused.map_or(Ok(batch.changes), Err)
}

fn backup_export(dir: &Path, engine: &Engine, schema: Schema) -> Result<PathBuf, ExportError> {
    let exports = dir.join(EXPORTS);
    files::private_dir(&exports).map_err(ExportError::File)?;
    let (from, to, seq) = (engine.identity.schema, schema.version, engine.seq);
    let file = exports.join(format!("schema-{from}-before-{to}-commit-{seq}.jsonl"));
    let content = export::print(engine).map_err(ExportError::File)?;
    files::write_atomically(&file, &content).map_err(ExportError::File)?;
    Ok(file)
}
