//! heketi's modes of the server: while somebody maintains it, changes are refused, or taken from its own host alone.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::failure::Failure;
use super::serve::Peer;
use super::{Service, v1};

/// Which requests are taken. Reading always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    #[default]
    Normal,
    /// Nothing is changed by anybody. As in heketi it cannot be left over REST, as that is a change, too: SIGUSR2 to the
    /// coordinator, or a restart.
    ReadOnly,
    /// Changes come from the coordinator's own host alone.
    LocalClient,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a mode of the server: normal, read-only or local-client")]
pub struct NotAMode(String);

impl Mode {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ReadOnly => "read-only",
            Self::LocalClient => "local-client",
        }
    }

    fn takes_changes_from(self, peer: Option<Peer>) -> bool {
        match self {
            Self::Normal => true,
            Self::ReadOnly => false,
            // An IPv4 client of a socket that serves both comes as `::ffff:127.0.0.1`.
            Self::LocalClient => peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback()),
        }
    }
}

impl FromStr for Mode {
    type Err = NotAMode;

    fn from_str(word: &str) -> Result<Self, NotAMode> {
        let modes = [Self::Normal, Self::ReadOnly, Self::LocalClient];
        modes.into_iter().find(|mode| mode.as_str() == word).ok_or_else(|| NotAMode(word.to_owned()))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The mode of a running server.
#[derive(Debug, Default)]
pub struct ModeSwitch(Mutex<Mode>);

impl ModeSwitch {
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self(Mutex::new(mode))
    }

    #[must_use]
    pub fn get(&self) -> Mode {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, mode: Mode) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), mode);
        if before != mode {
            tracing::warn!(%before, %mode, "The server's mode was changed.");
        }
    }
}

/// Behind authentication: who may not ask at all is told so first.
pub async fn gate<F: Future<Output = Response>>(
    service: &Service,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD) || v1::only_asks(request.uri().path());
    let peer = request.extensions().get::<Peer>().copied();
    if reads {
        return next(request).await;
    }
    if service.settings.mode.get().takes_changes_from(peer) {
        let older = || service.operations.standing().refusal();
        return match service.settings.room.refusal().or_else(older) {
            Some(why) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
            None => next(request).await,
        };
    }
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Service disabled for maintenance").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Option<Peer> {
        Some(Peer(address.parse().unwrap()))
    }

    #[test]
    fn a_local_client_comes_by_the_loopback() {
        for near in ["127.0.0.1:4711", "[::1]:4711", "[::ffff:127.0.0.1]:4711"] {
            assert!(Mode::LocalClient.takes_changes_from(from(near)), "{near}");
        }
        for far in ["10.0.0.1:4711", "[fe80::1]:4711", "[::ffff:10.0.0.1]:4711"] {
            assert!(!Mode::LocalClient.takes_changes_from(from(far)), "{far}");
        }
        assert!(!Mode::LocalClient.takes_changes_from(None));
    }
}
