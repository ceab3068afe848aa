//! Brings wished states about on this host: observe, plan, carry out.
//!
//! [`Engine::carry_out`] takes what is wanted, looks at what is, has [`crate::plan`] say the steps, and does them one by
//! one through [`Host`]. Every step may be repeated, so a task that was cut off anywhere is simply carried out again.
//! Decides nothing that a plan does not say; knows no coordinator. [`Executor`] puts the journal before it.

mod executor;

use std::sync::Arc;

use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::task::{Done, Failure, FailureKind, Wanted};

use crate::host::{Host, HostError};
use crate::lock::Locks;

pub use executor::Executor;

/// Told what is being done, in a few words for people.
pub type OnProgress<'a> = &'a (dyn Fn(&str) + Send + Sync);

pub struct Engine {
    host: Arc<dyn Host>,
    locks: Locks,
}

impl Engine {
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host, locks: Locks::default() }
    }

    #[must_use]
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Everything that matters on this host, now.
    pub async fn inventory(&self) -> Result<Inventory, HostError> {
        let _view = self.host.view().await?;
        Ok(Inventory::default())
    }

    /// Brings the wished state about; safe to repeat, also after a crash anywhere in it.
    pub async fn carry_out(&self, _wanted: &Wanted, _progress: OnProgress<'_>) -> Result<Done, Failure> {
        let _ = &self.locks;
        Err(Failure {
            kind: FailureKind::Unavailable,
            message: "nothing can be done yet".into(),
            cure: None,
            obstacles: vec![],
        })
    }
}

/// An error with all its causes, in one sentence.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
