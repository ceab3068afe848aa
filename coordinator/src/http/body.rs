//! Reads the body of a request. Its `Content-Type` says nothing: heketi never looked, and some clients send none.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bricklayer_api::json::{BodyError, parse_body};
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// No body that we know comes near.
const LARGEST: usize = 1 << 20;

/// heketi has about 1 KiB for each brick.
const LARGEST_DATABASE: usize = 64 << 20;

/// Whoever sends slower than this is given up.
const LONGEST: Duration = Duration::from_secs(30);

/// A JSON body that must be there.
pub struct Json<T>(pub T);

/// A JSON body that may be left out; the zero value then.
pub struct OptionalJson<T>(pub T);

/// As heketi refuses whatever it cannot read.
fn unreadable(error: &BodyError) -> Failure {
    tracing::debug!(error = %describe(error), "A body could not be read.");
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "request unable to be parsed")
}

fn describe(error: &BodyError) -> String {
    match error {
        BodyError::Empty => error.to_string(),
        BodyError::Unexpected(cause) => format!("{error}: {cause}"),
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request.into_body()).await?;
        parse_body(&bytes).map(Self).map_err(|error| unreadable(&error))
    }
}

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parse_body(&bytes).map(Self).map_err(|error| unreadable(&error))
    }
}

/// As [`Json`], for the two routes of heketi's that answer 400 and say what is wrong.
pub struct PickyJson<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for PickyJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request.into_body()).await?;
        let unreadable = |error| Failure::bad_request(format!("request unable to be parsed: {}", describe(&error)));
        parse_body(&bytes).map(Self).map_err(unreadable)
    }
}

/// As above, for our own routes: the text says what is wrong.
pub struct OurJson<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for OurJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request.into_body()).await?;
        parse_body(&bytes).map(Self).map_err(|error| Failure::bad_request(describe(&error)))
    }
}

/// As above, where a whole database is sent.
pub struct LargeJson<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for LargeJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read_up_to(request.into_body(), LARGEST_DATABASE).await?;
        parse_body(&bytes).map(Self).map_err(|error| Failure::bad_request(describe(&error)))
    }
}

async fn read(body: Body) -> Result<axum::body::Bytes, Failure> {
    read_up_to(body, LARGEST).await
}

async fn read_up_to(body: Body, most: usize) -> Result<axum::body::Bytes, Failure> {
    let too_slow = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    let bytes = tokio::time::timeout(LONGEST, to_bytes(body, most)).await.map_err(too_slow)?;
    bytes.map_err(|error| {
        // axum tells the limit and a broken connection apart by text only; on a broken one nobody reads the answer.
        tracing::debug!(error = %error, "A body was not read to its end.");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most} bytes"))
    })
}
