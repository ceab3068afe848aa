//! Shows how far an operation is, on stderr, where a person looks at a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use bricklayer_api::client::{Accepted, Client};
use bricklayer_api::v1::{Operation, OperationState, StepState};
use indicatif::{ProgressBar, ProgressStyle};

use crate::actions::Progress;

/// One line that says what is done now, and is gone at the end.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// Draws nothing where stderr is no terminal.
    pub fn new(what: &str) -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar.set_message("asked");
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(Some(bar))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    async fn pending<T>(&mut self, client: &Client, work: &Accepted<T>) {
        let (Some(bar), Some(id)) = (&self.0, work.operation()) else { return };
        // A heketi has no such route; then the line stays as it is.
        if let Ok(operation) = client.operation(id).await {
            bar.set_message(line(&operation));
        }
    }
}

/// What is done now, and how much of all.
pub fn line(operation: &Operation) -> String {
    let done = operation.steps.iter().filter(|step| step.state == StepState::Done).count();
    let all = operation.steps.len();
    let now = operation.steps.iter().find(|step| step.state == StepState::Running);
    match (operation.state, now) {
        (OperationState::Running, Some(step)) => format!("{} [{}/{all}]", step.name, done + 1),
        (OperationState::Undoing, _) => format!("failed, taking back what was done [{done} left]"),
        (state, _) => format!("{state} [{done}/{all}]"),
    }
}
