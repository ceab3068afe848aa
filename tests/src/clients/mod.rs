//! Models of the clients that heketi had, as strict as the real ones are: what breaks one of them breaks here.
//!
//! They speak HTTP/1.1 over a socket of their own ([`wire`]) and know nothing of Bricklayer's types, so that an error in
//! those cannot hide itself. [`go`] is heketi's Go client, which `heketi-cli` and Kubernetes use; [`python`] is its Python
//! client; [`kubernetes`] is the provisioner in Kubernetes up to 1.25, on top of the former. [`calls`] has the routes
//! that they share, with the status that each of them insists on.

pub mod calls;
pub mod go;
pub mod kubernetes;
pub mod python;
mod token;
pub mod wire;

use serde_json::Value;

pub use calls::HeketiClient;
pub use go::GoClient;
pub use kubernetes::Provisioner;
pub use python::PythonClient;

/// Why a call did not come to what the client wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The server says no, in words that the client shows.
    #[error("{status}: {text}")]
    Refused { status: u16, text: String },
    /// The server broke the contract: a real client would fail here, or go wrong without a word.
    #[error("{method} {path}: {what}")]
    Contract { method: String, path: String, what: String },
    /// The connection.
    #[error("{method} {path}: no answer: {what}")]
    Lost { method: String, path: String, what: String },
}

impl CallError {
    /// Of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Contract { .. } | Self::Lost { .. } => None,
        }
    }

    /// Of a refusal, as the client shows it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Refused { text, .. } => text,
            Self::Contract { what, .. } | Self::Lost { what, .. } => what,
        }
    }
}

/// The list of ids behind a key of an answer.
///
/// # Panics
/// If there is no such list: heketi's clients would fail, too.
#[must_use]
pub fn ids(answer: &Value, key: &str) -> Vec<String> {
    let list = answer[key].as_array().unwrap_or_else(|| panic!("{key} is no list in {answer}"));
    list.iter().map(|id| id.as_str().unwrap_or_else(|| panic!("{key} holds no ids in {answer}")).to_owned()).collect()
}

/// The text behind a key of an answer.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn text(answer: &Value, key: &str) -> String {
    answer[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {answer}")).to_owned()
}
