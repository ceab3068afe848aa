//! `/admin` and `/internal/logging`: what concerns the server itself.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::heketi::{AdminStatus, LogLevels};

use super::check::{self, Faults};
use crate::http::body::PickyJson;
use crate::http::failure::Failure;
use crate::http::mode::Mode;
use crate::http::{Service, answer};
use crate::logging::{LogError, LogLevel};

/// Tells which requests are taken.
#[utoipa::path(get, path = "/admin", responses((status = 200, body = AdminStatus)))]
pub async fn mode(State(service): State<Service>) -> Response {
    answer::ok(&AdminStatus { state: service.settings.mode.get().to_string() })
}

/// Sets which requests are taken.
#[utoipa::path(post, path = "/admin", request_body = AdminStatus, responses((status = 204)))]
pub async fn set_mode(
    State(service): State<Service>,
    PickyJson(request): PickyJson<AdminStatus>,
) -> Result<StatusCode, Failure> {
    let mut faults = Faults::default();
    let mode = request.state.parse::<Mode>();
    if mode.is_err() {
        faults.add("state", if request.state.is_empty() { check::BLANK } else { check::NO_SUCH_VALUE });
    }
    faults.none()?;
    if let Ok(mode) = mode {
        service.settings.mode.set(mode);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Tells how much is logged.
#[utoipa::path(get, path = "/internal/logging", responses((status = 200, body = LogLevels)))]
pub async fn log_level(State(service): State<Service>) -> Response {
    answer::ok(&LogLevels::of(service.settings.log.level().as_str()))
}

/// Sets how much is logged.
#[utoipa::path(post, path = "/internal/logging", request_body = LogLevels, responses((status = 200, body = LogLevels)))]
pub async fn set_log_level(
    State(service): State<Service>,
    PickyJson(request): PickyJson<LogLevels>,
) -> Result<Response, Failure> {
    let unprocessable = |text: String| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text);
    let word = request.log_level.get(LogLevels::LOGGER);
    let word = word.ok_or_else(|| unprocessable(format!("Only {:?} logger may be modified", LogLevels::LOGGER)))?;
    let level: LogLevel = word.parse().map_err(|error: crate::logging::NotALevel| unprocessable(error.to_string()))?;
    let log = &service.settings.log;
    log.set(level).map_err(|error| match error {
        LogError::Fixed(_) => Failure::new(StatusCode::CONFLICT, error.to_string()),
        LogError::Failed(_) => Failure::internal("the log level could not be changed", &error),
    })?;
    tracing::warn!(%level, "The level of the log was changed.");
    Ok(answer::ok(&LogLevels::of(log.level().as_str())))
}
