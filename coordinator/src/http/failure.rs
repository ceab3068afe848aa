//! A refusal on the wire: heketi's routes say it in plain text, ours in JSON.
//!
//! Handlers return a [`Failure`]; [`write`] turns it into bytes, once, by the path that was asked for. Its causes are
//! logged there and shown to nobody.

use std::fmt;

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bricklayer_api::v1::{Problem, ProblemDetail};
use bricklayer_proto::ids::VolumeId;

use super::answer;
use super::v1::explain;
use crate::ops::Rejected;

/// Why a request was not done.
#[derive(Clone, Debug)]
pub struct Failure {
    status: StatusCode,
    /// The first line is heketi's where heketi has one; what explains it follows, a line each.
    text: String,
    retry_after: Option<u32>,
    /// What to do about it, where heketi's words are all that may stand on its routes.
    cure: Option<String>,
    /// For programs that ask on our routes.
    detail: Option<Box<ProblemDetail>>,
    /// For the log alone.
    cause: Option<String>,
}

/// What was to be done: heketi puts it before the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    VolumeCreate,
    VolumeExpand,
    VolumeDelete,
    VolumeClone(VolumeId),
    BrickEvict,
    /// Asked for by a route of ours: what cannot be done as things stand is a conflict there, and no error of the server.
    Ours,
    BlockCreate,
    BlockExpand,
    BlockDelete,
    BlockRestrict,
    Other,
}

impl Doing {
    fn prefix(self) -> String {
        match self {
            Self::VolumeCreate => "Failed to allocate new volume: ".to_owned(),
            Self::VolumeExpand => "Failed to allocate volume expansion: ".to_owned(),
            Self::VolumeDelete => "Failed to set up volume delete: ".to_owned(),
            Self::VolumeClone(id) => format!("Failed clone volume {id}: "),
            Self::BrickEvict => "Failed to set up brick eviction: ".to_owned(),
            Self::BlockCreate => "Failed to allocate new block volume: ".to_owned(),
            Self::BlockExpand => "Failed to allocate block volume expansion: ".to_owned(),
            Self::BlockDelete => "Failed to set up block volume delete: ".to_owned(),
            Self::BlockRestrict => "Failed to set block restriction: ".to_owned(),
            Self::Ours | Self::Other => String::new(),
        }
    }
}

impl Failure {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None, cure: None, detail: None, cause: None }
    }

    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Shown on our own routes alone.
    pub fn with_cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }

    /// The id in the path names nothing.
    pub fn unknown_id() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Id not found")
    }

    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Invalid path or request")
    }

    pub fn busy() -> Self {
        let busy = Self::new(StatusCode::TOO_MANY_REQUESTS, "Server busy. Retry operation later.");
        Self { retry_after: Some(10), ..busy }
    }

    /// Nothing that the client did; the cause is in the log.
    pub fn internal(text: impl Into<String>, cause: &dyn std::error::Error) -> Self {
        let failure = Self::new(StatusCode::INTERNAL_SERVER_ERROR, text);
        Self { cause: Some(chain(cause)), ..failure }
    }

    /// The one map from refusals to statuses. No `_` arm: a new refusal must be decided here.
    pub fn rejected(doing: Doing, rejected: &Rejected) -> Self {
        use crate::ops::{BadOption, Rejected as R};
        let status = match rejected {
            R::NoSuchPlan(_) | R::NotFound | R::NoSuchCluster(_) | R::NoSuchNode(_) | R::NoSuchDisk { .. } => {
                StatusCode::NOT_FOUND
            }
            R::ClusterNotEmpty(_)
            | R::NodeNotEmpty(_)
            | R::DeviceNotEmpty(_)
            | R::HostNameUsed { .. }
            | R::DeviceKnown { .. }
            | R::NotWipeable { .. }
            | R::StillNeeded { .. }
            | R::WrongConfirmation { .. }
            | R::NothingToConfirm { .. }
            | R::StorageHostInUse { .. }
            | R::PlanIsStale { .. }
            | R::CannotGiveBack(_)
            | R::NodeIsThere { .. }
            | R::DeviceIsThere { .. }
            | R::HoldsBlockVolumes
            | R::Protected { .. }
            | R::InTrash { .. }
            | R::NotInTrash { .. }
            | R::NothingToKeep { .. }
            | R::DatabaseVolume => StatusCode::CONFLICT,
            R::DeviceNotFailed(_)
            | R::NoAgent { .. }
            | R::NewNodeWithoutGluster { .. }
            | R::ClusterWithoutGluster
            | R::NoClusters
            | R::ClusterUnknown(_)
            | R::Option(
                BadOption::NoValue(_)
                | BadOption::Name(_)
                | BadOption::MostPerZone(_)
                | BadOption::TagRule(_)
                | BadOption::Provisioning(_)
                | BadOption::PoolsAtMost(_),
            )
            | R::ThickSnapshots
            | R::PolicyOfVolume { .. }
            | R::ThickOverCommitted { .. }
            | R::Name(_)
            | R::NoSuchDevice(_)
            | R::NoSuchZone { .. }
            | R::CannotBeKept
            | R::DeviceOfOtherCluster(_)
            | R::TooLarge
            | R::TooManyTags { .. }
            | R::WrongNodeName { .. }
            | R::WrongDeviceId { .. }
            | R::ArbiterNeedsReplica3 => StatusCode::BAD_REQUEST,
            R::HostingVolumeComing => return Self::busy(),
            R::AgentAway { .. } | R::DeviceUnseen { .. } | R::NotSeen(_) => StatusCode::SERVICE_UNAVAILABLE,
            // heketi answers so; see docs/heketi-compat.md.
            R::NoEligibleCluster(_)
            | R::NoPlacement(_)
            | R::NoReplacement(_)
            | R::CannotEmpty { .. }
            | R::CannotEmptyNode { .. }
            | R::BrickPending(_)
            | R::VolumeHasPendingBricks { .. }
            | R::CloneOfBlockVolume
            | R::CloneOfThickVolume { .. }
            | R::PoolMetadataFills { .. }
            | R::BlockNotServed(_)
            | R::BlockTooLarge { .. }
            | R::NoHostingVolume
            | R::HostingVolumeFull { .. }
            | R::BlockHasThatSize { .. }
            | R::BlockShrinks { .. }
            | R::NoHostingForBlocks
            | R::NoReserve { .. }
            | R::Option(BadOption::TagMatch(_))
            | R::NotOffline { .. }
            | R::FailedForGood { .. }
            | R::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            R::Busy => match doing {
                Doing::Ours | Doing::Other => StatusCode::CONFLICT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        };
        let status = match (doing, rejected, status) {
            (Doing::Ours, R::Store(_), status) => status,
            (Doing::Ours, _, StatusCode::INTERNAL_SERVER_ERROR) => StatusCode::CONFLICT,
            (_, _, status) => status,
        };
        // heketi's prefix goes before the causes of an operation, not before what is wrong with the request itself.
        let prefix = if status == StatusCode::INTERNAL_SERVER_ERROR { doing.prefix() } else { String::new() };
        match rejected {
            R::Store(error) => Self::internal(format!("{prefix}Unable to access db"), error),
            // heketi ends this one with an empty line.
            R::HostNameUsed { .. } => Self::new(status, format!("{rejected}\n")),
            _ => Self { detail: detail(doing, rejected), ..Self::new(status, format!("{prefix}{rejected}")) },
        }
    }

    /// Our own routes keep what went wrong and what to do about it apart.
    fn problem(&self) -> Problem {
        let text = self.text.trim_end();
        let (error, cure) = match text.split_once('\n') {
            Some((error, cure)) => (error, Some(cure.to_owned())),
            None => (text, self.cure.clone()),
        };
        Problem { error: error.to_owned(), cure, detail: self.detail.as_deref().cloned() }
    }

    fn into_text(self) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        (self.status, headers, format!("{}\n", self.text)).into_response()
    }
}

/// On heketi's routes nobody would see it.
fn detail(doing: Doing, rejected: &Rejected) -> Option<Box<ProblemDetail>> {
    match rejected {
        _ if doing != Doing::Ours => None,
        Rejected::NoPlacement(refusals) => Some(Box::new(explain::no_placement(refusals))),
        Rejected::NoReplacement(why) => Some(Box::new(explain::no_replacement(why))),
        _ => None,
    }
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        Self::rejected(Doing::Other, &rejected)
    }
}

impl IntoResponse for Failure {
    /// Carries the refusal to [`write`], which knows the path.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes refusals: JSON below `/v1`, heketi's plain text elsewhere.
pub(super) async fn write<F: Future<Output = Response>>(request: Request, next: impl FnOnce(Request) -> F) -> Response {
    let ours = super::v1::is_ours(request.uri().path());
    let mut response = next(request).await;
    let Some(failure) = response.extensions_mut().remove::<Failure>() else { return response };
    match (&failure.cause, failure.status.is_server_error()) {
        (Some(cause), _) => tracing::error!(cause, "A request failed: {failure}"),
        (None, true) => tracing::info!("A request was refused: {failure}"),
        (None, false) => tracing::debug!("A request was refused: {failure}"),
    }
    let retry_after: Option<(HeaderName, HeaderValue)> =
        failure.retry_after.map(|seconds| (RETRY_AFTER, seconds.into()));
    let mut response = if ours { answer::json(failure.status, &failure.problem()) } else { failure.into_text() };
    response.headers_mut().extend(retry_after);
    response
}
