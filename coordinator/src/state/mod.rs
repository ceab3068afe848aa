//! The coordinator's state: one immutable [`Topology`] in memory, every change of it durable before anybody is told.
//!
//! Owns the records of clusters, nodes, devices, volumes and operations. Readers take the current snapshot and wait for
//! nobody. Writers hand a closure to [`State::change`]: it sees the newest state, decides, and edits; what it edited
//! becomes one transaction of the store, and then the snapshot that readers see. Must never hold a state that the store
//! does not.

mod change;
mod load;
mod tables;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bricklayer_store::{Migration, Schema, Store, StoreError};
use tokio::sync::watch;

pub use change::Change;
pub use load::{Records, assemble};

use crate::model::Topology;

/// Raised when a record changes its shape; see `docs/store-schema.md`.
pub const SCHEMA: Schema = Schema { application: "bricklayer-coordinator", version: 2, migrations: MIGRATIONS };
/// The records are as they were, with something in them that a program of before would take for what it is not.
const MIGRATIONS: &[Migration] =
    &[Migration { to: 2, what: "volumes may be protected or lie in the trash", run: |_| Ok(()) }];

/// Where the topology lives. Cheap to share by `Arc`.
pub struct State {
    store: Store,
    /// The newest state, which may still be on its way to the disk. Every writer starts from it.
    newest: Mutex<Arc<Topology>>,
    /// The newest state that is on the disk. Every reader sees this one.
    durable: ArcSwap<Topology>,
    /// Told of every durable change.
    changed: watch::Sender<u64>,
    /// Nothing of it reaches the store: see [`State::rehearsal`].
    rehearsal: bool,
}

impl State {
    /// Reads everything from the store.
    pub fn load(store: Store) -> Result<Self, StoreError> {
        let topology = Arc::new(load::topology(&store)?);
        Ok(Self::of(store, topology, false))
    }

    /// A copy in which changes can be tried. They are decided as they would be in earnest, and nothing of them is kept.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        let newest = Arc::clone(&self.newest.lock().unwrap_or_else(PoisonError::into_inner));
        Self::of(self.store.clone(), newest, true)
    }

    fn of(store: Store, topology: Arc<Topology>, rehearsal: bool) -> Self {
        let changed = watch::Sender::new(topology.version);
        let newest = Mutex::new(Arc::clone(&topology));
        Self { store, newest, durable: ArcSwap::new(topology), changed, rehearsal }
    }

    /// Told the version of every durable change from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns as soon as the durable state is such that `look` finds what it seeks.
    pub async fn until<T>(&self, mut look: impl FnMut(&Topology) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = look(&self.read()) {
                return found;
            }
            // The sender is in `self`, so it cannot be gone.
            let _ = changed.changed().await;
        }
    }

    /// Puts whole records in, in one change. For a store that has none of them yet.
    pub async fn fill(&self, records: Records) -> Result<(), StoreError> {
        self.change(|change| {
            load::put_all(change, records);
            Ok(())
        })
        .await
    }

    /// The state as of the last durable change.
    #[must_use]
    pub fn read(&self) -> Arc<Topology> {
        self.durable.load_full()
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Decides and changes in one step. `decide` sees every earlier change, also those still on their way to the disk;
    /// where it refuses, nothing is changed. Returns when the change is durable and readers see it.
    pub async fn change<T, E>(&self, decide: impl FnOnce(&mut Change) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let (answer, after, written) = {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let mut change = Change::of(&newest);
            let answer = decide(&mut change)?;
            let (after, batch) = change.finish();
            if batch.is_empty() {
                return Ok(answer);
            }
            let after = Arc::new(after);
            if self.rehearsal {
                self.durable.store(Arc::clone(&after));
                *newest = after;
                return Ok(answer);
            }
            // Handed over while the lock is held, so that the store writes changes in the order in which they built
            // upon each other.
            let written = self.store.enqueue(batch)?;
            *newest = Arc::clone(&after);
            (answer, after, written)
        };
        written.await?;
        self.durable
            .rcu(|current| if current.version < after.version { Arc::clone(&after) } else { Arc::clone(current) });
        self.changed.send_replace(after.version);
        Ok(answer)
    }
}
