//! How far the operations of this start are: for people who wait. Not durable, and never asked before a decision.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bricklayer_proto::ids::OperationId;

/// Operations whose steps are remembered.
const REMEMBERED: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    Pending,
    Running,
    Done,
    Failed,
    Undone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    pub name: String,
    pub state: StepState,
    /// How far it is, in words: `12 entries to heal`.
    pub detail: Option<String>,
}

#[derive(Default)]
pub struct ProgressBoard {
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    by_operation: BTreeMap<OperationId, Vec<StepView>>,
    /// In the order in which they came, to forget the oldest.
    order: std::collections::VecDeque<OperationId>,
}

impl ProgressBoard {
    pub fn begin(&self, id: OperationId, names: impl Iterator<Item = String>) {
        let steps = names.map(|name| StepView { name, state: StepState::Pending, detail: None }).collect();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.by_operation.insert(id, steps).is_none() {
            shown.order.push_back(id);
            if shown.order.len() > REMEMBERED
                && let Some(oldest) = shown.order.pop_front()
            {
                shown.by_operation.remove(&oldest);
            }
        }
    }

    pub fn set(&self, id: OperationId, step: usize, state: StepState) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = shown.by_operation.get_mut(&id).and_then(|steps| steps.get_mut(step)) {
            view.state = state;
        }
    }

    /// Says of the step with this name how far it is.
    pub fn note(&self, id: OperationId, step: &str, detail: impl Into<String>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = shown.by_operation.get_mut(&id);
        if let Some(view) = steps.and_then(|steps| steps.iter_mut().find(|view| view.name == step)) {
            view.detail = Some(detail.into());
        }
    }

    pub fn steps(&self, id: OperationId) -> Vec<StepView> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.by_operation.get(&id).cloned().unwrap_or_default()
    }
}
