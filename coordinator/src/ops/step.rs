//! What an operation is made of: stages one after the other, the steps of a stage side by side.

use async_trait::async_trait;
use bricklayer_store::StoreError;

use super::context::{Context, Run};
use crate::agents::AgentError;

/// One effect on one host and the way back.
///
/// After a crash either half may run again, or `undo` may run though `run` never ended or never began. Both bring
/// about a state rather than make a change, so both are safe to repeat.
#[async_trait]
pub trait Step: Send + Sync {
    /// For people: `make brick 1 of 3 on gfs1`.
    fn name(&self) -> String;
    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError>;
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError>;
    /// Whether what it has done stays where the operation is undone, so that it still counts as done.
    fn is_kept(&self) -> bool {
        false
    }
}

/// Steps that do not need each other.
pub struct Stage {
    pub steps: Vec<Box<dyn Step>>,
    /// Once this stage has begun there is no way back: a failure is tried again until it succeeds.
    pub committed: bool,
}

impl Stage {
    pub fn of(steps: impl IntoIterator<Item = Box<dyn Step>>) -> Self {
        Self { steps: steps.into_iter().collect(), committed: false }
    }

    pub fn one(step: impl Step + 'static) -> Self {
        Self::of([Box::new(step) as Box<dyn Step>])
    }

    #[must_use]
    pub fn without_return(self) -> Self {
        Self { committed: true, ..self }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("{}", explain(.0))]
    Agent(#[from] AgentError),
    #[error("{0} is not known yet")]
    Missing(String),
    #[error("{0}")]
    NoHost(String),
    /// A rule of ours that does not hold now. For people, as it is.
    #[error("{0}")]
    Refused(String),
    /// Said by an undo: what was to be taken back has taken effect after all and cannot be, so the operation goes
    /// forward from here.
    #[error("{0} was done after all")]
    DoneAfterAll(String),
    #[error("the state could not be written")]
    Store(#[from] StoreError),
}

/// The agent's sentence, then what stands in the way, then what to do, a line each.
fn explain(error: &AgentError) -> String {
    let mut text = error.to_string();
    if let AgentError::Failed { failure, .. } = error {
        for obstacle in &failure.obstacles {
            text.push_str(&format!("\n  {obstacle}"));
        }
        if let Some(cure) = &failure.cure {
            text.push('\n');
            text.push_str(cure);
        }
    }
    text
}
