//! What a request would do, decided as in earnest and then forgotten.

use bricklayer_proto::ids::OperationId;

use super::{Operations, disk_wipe, drive, plans};
use crate::model::{Operation, Plan};

/// An operation that was not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// Such as `volume-create`.
    pub kind: &'static str,
    /// What would be changed, for people, a line each.
    pub changes: Vec<String>,
    /// What would be done on hosts, in this order.
    pub steps: Vec<String>,
}

impl Operations {
    /// The same front door to a copy of the state. Each request is checked and placed as in earnest; nothing is kept and
    /// no host is asked for a change.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        Self { rehearsal: true, ..Self::new(self.context.rehearsal()) }
    }

    /// What an operation of a [`rehearsal`](Operations::rehearsal) would do.
    #[must_use]
    pub fn rehearsed(&self, id: OperationId) -> Option<Rehearsal> {
        let topology = self.topology();
        let operation = topology.operations.get(&id)?;
        Some(self.rehearsal_of(&plans::with_places(operation)))
    }

    pub(super) fn rehearsal_of(&self, operation: &Operation) -> Rehearsal {
        let stages = drive::stages(&self.context, operation);
        let steps = stages.iter().flat_map(|stage| stage.steps.iter().map(|step| step.name()));
        let mut changes = operation.plan.in_words(&self.topology());
        if let Plan::DiskWipe(wipe) = &operation.plan {
            changes.extend(disk_wipe::in_words(&self.context, wipe));
        }
        Rehearsal { kind: operation.plan.kind(), changes, steps: steps.collect() }
    }
}
