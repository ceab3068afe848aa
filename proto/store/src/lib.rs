//! sled, guarded: the store that Bricklayer's coordinator and agents share.
//!
//! Owns everything that lies in a store's directory: sled's files, the lock, the high-water mark and the exports that
//! precede a migration. It must never show a record that a power cut could take back, never pass a damaged or an old
//! store off as a good one, never take a damaged store for an empty one, and never delete one.
//!
//! sled alone does none of this: its `flush` is not an fsync, a crash can leave a half-written snapshot that it then
//! picks up, and a damaged end of its log is cut off without a word. `docs/store-schema.md` describes the files and
//! the guards, `docs/adr/0002-sled-behind-one-crate.md` says why it is sled nevertheless. Nothing else in Bricklayer
//! names sled.
//!
//! Read in this order: [`Table`] and [`Batch`] (what a caller says), [`Store`] (the one writer), then `engine` (one
//! commit on the disk), `open` (what must hold before a store is believed), `export`.
//!
//! ```no_run
//! use bricklayer_store::{Batch, Schema, Store, Table};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct NodeRecord { name: String, zone: u32 }
//!
//! const NODES: Table<String, NodeRecord> = Table::new("nodes");
//! const SCHEMA: Schema = Schema { application: "example", version: 1, migrations: &[] };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("/var/lib/example/store".as_ref(), SCHEMA)?;
//! let mut batch = Batch::new();
//! batch.put(&NODES, &"gfs1".to_owned(), &NodeRecord { name: "gfs1".to_owned(), zone: 1 });
//! store.commit(batch).await?; // on the disk when it returns
//! for (key, node) in store.scan(&NODES)? {
//!     println!("{key}: zone {}", node.zone);
//! }
//! # Ok(()) }
//! ```

// A panic inside sled is caught and becomes an error; without unwinding it would take the program down.
#[cfg(panic = "abort")]
compile_error!("bricklayer-store needs panic = \"unwind\"");

mod engine;
mod envelope;
mod error;
mod export;
mod files;
mod high_water;
mod open;
mod schema;
#[cfg(feature = "simulated")]
pub mod simulated;
mod store;
mod table;
#[cfg(test)]
mod tests;

pub use error::{Damage, ExportError, Fault, ImportError, OpenError, StoreError};
pub use files::set_aside;
pub use schema::{Migration, MigrationFailed, Rows, Schema};
pub use store::{Store, Verified};
pub use table::{Batch, MAX_KEY, MAX_RECORD, RowKey, Table};

/// The number of a commit; the first one of a store is 1, and every later one is larger by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub(crate) u64);

impl Seq {
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
