//! Who may ask for what: heketi's `admin` everything, its `user` the list of volumes and new ones.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bricklayer_proto::ids::{OperationId, VolumeId};
use jiff::Timestamp;

use super::Service;
use super::failure::Failure;
use super::token::{self, Role, TokenError};
use crate::keys::RestKeys;
use crate::model::Topology;

/// Operations of `user` that are remembered, so that it can follow them.
const REMEMBERED: usize = 10_000;

/// How requests are judged.
pub struct Auth {
    /// `None`: everybody is an administrator.
    keys: Option<RestKeys>,
    /// What `user` has begun since this start, oldest first.
    begun_by_user: Mutex<VecDeque<OperationId>>,
}

impl Auth {
    #[must_use]
    pub fn with_keys(keys: RestKeys) -> Self {
        Self { keys: Some(keys), begun_by_user: Mutex::default() }
    }

    /// heketi's `--disable-auth`: tokens are not even looked at.
    #[must_use]
    pub fn disabled() -> Self {
        Self { keys: None, begun_by_user: Mutex::default() }
    }

    fn role(&self, request: &Request, clock_leeway: u32) -> Result<Role, TokenError> {
        let Some(keys) = &self.keys else { return Ok(Role::Admin) };
        // A value that is no text is no bearer's either.
        let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or("?"));
        let (method, path) = (request.method().as_str(), request.uri().path());
        let now = token::Now { second: Timestamp::now().as_second(), clock_leeway };
        token::check(keys, token::in_header(header)?, method, path, now)
    }

    fn remember(&self, operation: OperationId) {
        let mut begun = self.begun_by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.len() == REMEMBERED {
            begun.pop_front();
        }
        begun.push_back(operation);
    }

    /// heketi's `user` could begin a volume and never learn what became of it. Ours may follow what it began: poll its
    /// queue id, and read the volume that it leads to. Forgotten at a restart; an administrator can always look.
    fn user_may(&self, method: &Method, path: &str, topology: &Topology) -> bool {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let begun = || self.begun_by_user.lock().unwrap_or_else(PoisonError::into_inner);
        match (parts.next(), parts.next(), parts.next()) {
            (Some("volumes"), None, None) => true,
            (Some("queue"), Some(id), None) if method == Method::GET => {
                id.parse::<OperationId>().is_ok_and(|id| begun().contains(&id))
            }
            (Some("volumes"), Some(id), None) if method == Method::GET => id.parse::<VolumeId>().is_ok_and(|id| {
                let leads_to = |operation: &OperationId| {
                    let plan = topology.operations.get(operation).map(|operation| &operation.plan);
                    plan.and_then(|plan| plan.volume()).is_some_and(|volume| volume.id == id)
                };
                begun().iter().any(leads_to)
            }),
            _ => false,
        }
    }
}

/// Lets nobody through who may not ask for this.
pub async fn authenticate<F: Future<Output = Response>>(
    service: &Service,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let role = match service.auth.role(&request, service.settings.clock_leeway) {
        Ok(role) => role,
        Err(error) => {
            let status = match error {
                TokenError::NotBearer => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNAUTHORIZED,
            };
            tracing::info!(path = request.uri().path(), "A request was not authenticated: {error}");
            return Failure::new(status, error.to_string()).into_response();
        }
    };
    if role == Role::Admin {
        return next(request).await;
    }
    if !service.auth.user_may(request.method(), request.uri().path(), &service.operations.topology()) {
        return Failure::new(StatusCode::UNAUTHORIZED, "Administrator access required").into_response();
    }
    let response = next(request).await;
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let queued = location.and_then(|location| location.strip_prefix("/queue/")).and_then(|id| id.parse().ok());
    if let Some(operation) = queued {
        service.auth.remember(operation);
    }
    response
}
