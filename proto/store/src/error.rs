//! What can go wrong, said so that a person knows which store, which record and what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Seq;
use crate::schema::MigrationFailed;
use crate::table::{MAX_KEY, MAX_RECORD, RowKey};

/// A failure of the disk or of sled itself.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("could not {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("sled could not {doing}")]
    Sled {
        doing: &'static str,
        #[source]
        source: sled::Error,
    },
    #[error("sled panicked, asked to {doing}: {message}")]
    Panicked { doing: &'static str, message: String },
    #[error(transparent)]
    Damage(#[from] Damage),
}

/// Something in a store that is not what was written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the record {at} is damaged: {what}")]
    Record { at: RowKey, what: &'static str },
    #[error("the store's own record {key:?} is damaged: {what}")]
    Meta { key: &'static str, what: &'static str },
    #[error("sled holds a key that the store never wrote: {key}")]
    ForeignKey { key: String },
    #[error(
        "the records are not those of commit {seq}: {found} rows with digest {found_digest} where {expected} rows with \
         digest {expected_digest} were committed"
    )]
    Content { seq: Seq, found: u64, found_digest: String, expected: u64, expected_digest: String },
    #[error("the store went back to commit {found}, though commit {acknowledged} was acknowledged")]
    RolledBack { found: Seq, acknowledged: Seq },
    #[error("commit {seq} is not the commit {seq} that was acknowledged")]
    Diverged { seq: Seq },
    #[error("sled's files and the high-water mark belong to different stores")]
    OtherStore,
    #[error("sled's {file} is missing, though commit {acknowledged} was acknowledged")]
    Missing { file: &'static str, acknowledged: Seq },
    #[error("the high-water mark is missing beside sled's files, so a store that went back could not be told")]
    HighWaterMissing,
    #[error("both slots of the high-water mark are damaged, so a store that went back could not be told")]
    HighWaterDamaged,
}

/// A commit or a read that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// After a failed write or fsync nothing that the kernel or sled holds in memory can be believed any more.
    #[error("the store {} stopped at a failure and takes no more reads and writes; restart the program", dir.display())]
    Poisoned {
        dir: PathBuf,
        #[source]
        fault: Arc<Fault>,
    },
    #[error("the store is closed")]
    Closed,
    #[error("the record {at} is {size} bytes of JSON; {MAX_RECORD} are allowed, so split it into several records")]
    TooLarge { at: RowKey, size: usize },
    #[error("the key {at} is longer than {MAX_KEY} bytes")]
    KeyTooLong { at: RowKey },
    #[error("the record {at} cannot be expressed in JSON")]
    Encode {
        at: RowKey,
        #[source]
        source: serde_json::Error,
    },
    #[error("the record {at} is not what this version of the program reads")]
    Decode {
        at: RowKey,
        #[source]
        source: serde_json::Error,
    },
    #[error("the key {at} is not what this version of the program reads")]
    UnreadableKey { at: RowKey },
    #[error("could not read the store {}", dir.display())]
    Read {
        dir: PathBuf,
        #[source]
        fault: Fault,
    },
}

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the store {} is in use by {}, which holds {}; a store belongs to one program at a time",
        dir.display(),
        match holder { Some(pid) => format!("process {pid}"), None => "another process".to_owned() },
        lock.display()
    )]
    Locked { dir: PathBuf, lock: PathBuf, holder: Option<u32> },
    #[error("{} holds {entry:?}, which no store has there; give the store a directory of its own", dir.display())]
    NotAStore { dir: PathBuf, entry: String },
    #[error("the store {} could not be prepared", dir.display())]
    Io {
        dir: PathBuf,
        #[source]
        fault: Fault,
    },
    #[error(
        "the store {} is damaged; set it aside (it is evidence, not waste) and restore the last export or rebuild",
        dir.display()
    )]
    Damaged {
        dir: PathBuf,
        #[source]
        fault: Fault,
    },
    #[error(
        "the store {} did not open within {} s; on a slow disk try again, else set it aside and restore or rebuild",
        dir.display(),
        limit.as_secs()
    )]
    TookTooLong { dir: PathBuf, limit: Duration },
    #[error("the store {} belongs to {found}, not to {expected}", dir.display())]
    OtherApplication { dir: PathBuf, found: String, expected: &'static str },
    #[error(
        "the store {} has schema {found}, and this program knows schemas up to {known}; run the newer program, or \
         restore an export of the older one",
        dir.display()
    )]
    FromTheFuture { dir: PathBuf, found: u32, known: u32 },
    #[error(
        "the store {} has schema {found}, and this program cannot bring it to schema {missing}; run a version between \
         the two first",
        dir.display()
    )]
    NoMigration { dir: PathBuf, found: u32, missing: u32 },
    #[error("the store {} could not be migrated to schema {to} ({what}); it is unchanged", dir.display())]
    Migration {
        dir: PathBuf,
        to: u32,
        what: &'static str,
        #[source]
        source: MigrationFailed,
    },
    #[error("the store {} could not be exported before its migration", dir.display())]
    BackupExport {
        dir: PathBuf,
        #[source]
        source: ExportError,
    },
    #[error("the store {} could not be written", dir.display())]
    Write {
        dir: PathBuf,
        #[source]
        source: StoreError,
    },
}

impl OpenError {
    /// Whether the store's content is in doubt, so that [`crate::set_aside`] and a restore or rebuild are the way on.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Locked { .. }
            | Self::NotAStore { .. }
            | Self::Io { .. }
            | Self::TookTooLong { .. }
            | Self::OtherApplication { .. }
            | Self::FromTheFuture { .. }
            | Self::NoMigration { .. }
            | Self::Migration { .. }
            | Self::BackupExport { .. }
            | Self::Write { .. } => false,
        }
    }
}

/// An export that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    #[error(transparent)]
    File(Fault),
}

/// An export that could not be imported; nothing was left in the store's place.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    File(Fault),
    #[error("{} is not an export of a store: {what} (line {line})", file.display())]
    NotAnExport { file: PathBuf, line: usize, what: String },
    #[error("{} is cut off: it has no closing line", file.display())]
    CutOff { file: PathBuf },
    #[error("{} was changed or damaged: {what}", file.display())]
    Altered { file: PathBuf, what: String },
    #[error("{} exists and is not empty; an import makes a new store and replaces none", dir.display())]
    NotEmpty { dir: PathBuf },
    #[error("{} is left from an import that was cut off; remove it and import again", dir.display())]
    LeftOver { dir: PathBuf },
    #[error("the new store could not be written")]
    Write(#[from] StoreError),
    #[error("the new store could not be opened")]
    Open(#[from] Box<OpenError>),
}
