//! What can go wrong between a client and its server.

use std::io;
use std::path::PathBuf;

use crate::json::BodyError;

/// Why a request had no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{server:?} is no server's address: {why}")]
    NoServer { server: String, why: &'static str },
    #[error("cannot read the certificates in {}", file.display())]
    CertificateFile {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no certificate in PEM", file.display())]
    Certificate {
        file: PathBuf,
        #[source]
        source: reqwest::Error,
    },
    #[error("cannot set up HTTP")]
    SetUp(#[source] reqwest::Error),
    #[error("cannot sign a token")]
    Token(#[source] jsonwebtoken::errors::Error),
    #[error("cannot write the request")]
    Request(#[source] serde_json::Error),
    #[error("cannot reach the server at {server}")]
    Unreachable {
        server: String,
        #[source]
        source: reqwest::Error,
    },
    /// The server said no, in its own words.
    #[error("{text}")]
    Refused { status: u16, text: String, cure: Option<String> },
    /// It would take a rehearsal for the thing itself.
    #[error("the server greets with {greeting:?}: it can only do things, not say what it would do")]
    NoRehearsal { greeting: String },
    #[error("the server did not answer {path} with a plan: it may have done what was to be rehearsed")]
    NotRehearsed { path: String },
    #[error("the server said what would be done, and kept no plan of it")]
    NotKept,
    #[error("the answer to {path} is not what a coordinator or a heketi answers: {what}")]
    Protocol { path: String, what: String },
    #[error("the answer to {path} cannot be read")]
    Unreadable {
        path: String,
        #[source]
        source: BodyError,
    },
}

impl ClientError {
    /// The status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server knows no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::NoServer { .. } => Some("write it as http://HOST:PORT, such as http://localhost:8080".to_owned()),
            Self::CertificateFile { .. } | Self::Certificate { .. } => {
                Some("name a readable file that holds the CA's certificate in PEM".to_owned())
            }
            Self::Unreachable { source, .. } if source.is_timeout() => {
                Some("see whether the coordinator's host is up, and whether a firewall drops its port".to_owned())
            }
            Self::Unreachable { .. } => Some(
                "see whether the coordinator runs (systemctl status bricklayer-coordinator) and listens at this address"
                    .to_owned(),
            ),
            Self::Refused { cure: Some(cure), .. } => Some(cure.clone()),
            Self::Refused { status: 401, .. } => {
                Some("see whether user and key are those that the coordinator was set up with".to_owned())
            }
            Self::Protocol { .. } | Self::Unreadable { .. } => {
                Some("see whether the address is a coordinator's, and of the same version".to_owned())
            }
            Self::NoRehearsal { .. } => Some("leave out --dry-run, or ask a coordinator of Bricklayer".to_owned()),
            Self::NotKept => Some("ask a coordinator that is as new as this program, or use --dry-run".to_owned()),
            Self::NotRehearsed { .. } => Some("look at `bricklayer operation list`".to_owned()),
            Self::SetUp(_) | Self::Token(_) | Self::Request(_) | Self::Refused { .. } => None,
        }
    }
}
