//! Shows how far an operation is, on stderr, where a person looks at a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use bricklayer_api::client::{Accepted, Client};
use bricklayer_api::v1::{Operation, OperationState, StepState};
use indicatif::{ProgressBar, ProgressStyle};

use super::tables;
use crate::actions::Progress;

/// How many polls pass between two looks at an operation where nobody watches the line.
const UNWATCHED_POLLS: u32 = 25;

/// One line that says what is done now, and is gone at the end. An operation that is stuck is told in any case, since
/// whoever waits for it would wait without knowing why.
pub struct Bar {
    line: Option<ProgressBar>,
    polls: u32,
    told_stuck: bool,
}

impl Bar {
    /// Draws nothing where stderr is no terminal.
    pub fn new(what: &str) -> Self {
        let line = stderr().is_terminal().then(|| {
            let line = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})") {
                line.set_style(style);
            }
            line.set_prefix(what.to_owned());
            line.set_message("asked");
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        Self { line, polls: 0, told_stuck: false }
    }

    fn show(&mut self, operation: &Operation) {
        if let Some(bar) = &self.line {
            bar.set_message(tables::printable(&line(operation)));
        }
        if operation.state == OperationState::Stuck && !self.told_stuck {
            self.told_stuck = true;
            let text = tables::printable(&stuck(operation));
            match &self.line {
                Some(bar) => bar.suspend(|| eprint!("{text}")),
                None => eprint!("{text}"),
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.line {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    async fn pending<T>(&mut self, client: &Client, work: &Accepted<T>) {
        self.polls += 1;
        if self.line.is_none() && !self.polls.is_multiple_of(UNWATCHED_POLLS) {
            return;
        }
        let Some(id) = work.operation() else { return };
        // A heketi has no such route; then the line stays as it is.
        if let Ok(operation) = client.operation(id).await {
            self.show(&operation);
        }
    }
}

fn stuck(operation: &Operation) -> String {
    let why = operation.error.as_deref().unwrap_or("no reason was given").replace('\n', "\n  ");
    format!(
        "stuck: {why}\n  to do: remove the cause; it is tried again by itself, and this waits for it. To leave without \
         stopping it, press Ctrl-C; `bricklayer operation info {}` tells how far it is\n",
        operation.id
    )
}

/// What is done now, and how much of all.
pub fn line(operation: &Operation) -> String {
    let done = operation.steps.iter().filter(|step| step.state == StepState::Done).count();
    let all = operation.steps.len();
    let mut running = operation.steps.iter().filter(|step| step.state == StepState::Running);
    let (now, others) = (running.next(), running.count());
    match (operation.state, now) {
        (OperationState::Running, Some(step)) if others > 0 => {
            format!("{} and {others} more at once [{done} of {all} done]", step.name)
        }
        (OperationState::Running, Some(step)) => match &step.detail {
            Some(detail) => {
                format!("{}: {} [{done} of {all} done]", step.name, detail.lines().next().unwrap_or_default())
            }
            None => format!("{} [{done} of {all} done]", step.name),
        },
        (OperationState::Undoing, _) => format!("failed, taking back what was done [{done} left]"),
        (state, _) => format!("{state} [{done} of {all} done]"),
    }
}
