//! Why a command failed, in the terms of the person who gave it.

use std::error::Error;
use std::io;

use bricklayer_api::client::ClientError;
use bricklayer_api::ids::OperationId;

/// Everything that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command as it was written cannot be meant.
    #[error("{what}")]
    Usage { what: String, cure: Option<String> },
    /// The command was understood and cannot be done.
    #[error("{what}")]
    Refused { what: String, cure: Option<String> },
    /// Nobody waits any longer; the work goes on.
    #[error("{what} has not ended in the time that was given, and goes on")]
    StillRunning { what: String, operation: Option<OperationId> },
    /// A file of the person's.
    #[error("{what}")]
    File {
        what: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
    #[error("cannot write the answer as JSON")]
    Json(#[from] serde_json::Error),
}

impl CliError {
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), cure: None }
    }

    pub fn refused(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), cure: Some(cure.into()) }
    }

    /// What went wrong, with the deepest cause behind a colon.
    pub fn full_text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(deeper) = cause.and_then(Error::source) {
            cause = Some(deeper);
        }
        if let Some(root) = cause {
            text.push_str(": ");
            text.push_str(&root.to_string());
        }
        text
    }

    /// What to do about it.
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.cure(),
            Self::Usage { cure, .. } | Self::Refused { cure, .. } => cure.clone(),
            Self::StillRunning { operation: Some(id), .. } => {
                Some(format!("`bricklayer operation info {id} --watch` shows how far it is"))
            }
            Self::StillRunning { operation: None, .. } | Self::File { .. } | Self::Output(_) | Self::Json(_) => None,
        }
    }

    /// Whether the reader of our output went away, as `head` does.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
