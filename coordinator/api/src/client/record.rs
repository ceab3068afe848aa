//! Which reads a client has made, for whoever wants to show them.

use std::sync::{Arc, Mutex, PoisonError};

use super::Client;

/// A request that read something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub path: String,
}

/// The reads of one client, in their order. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Vec<Read>>>);

impl Record {
    pub(super) fn add(&self, path: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Read { path: path.to_owned() });
    }

    /// What was read since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Read> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Client {
    /// From now on every read is noted in the record.
    #[must_use]
    pub fn recorded_in(mut self, record: &Record) -> Self {
        self.record = Some(record.clone());
        self
    }
}
