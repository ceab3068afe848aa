//! heketi's routes that are not built yet. They are known, so that a client is told so and not that its path is wrong.

use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::Paths;
use crate::http::failure::Failure;

macro_rules! not_yet {
    ($what:literal) => {
        async || -> Response { Failure::not_built_yet($what).into_response() }
    };
}

pub fn routes(paths: Paths) -> Paths {
    paths
        .at("/devices/{id}/resync", get(not_yet!("the resync of a device")))
        .at("/operations/pending/cleanup", post(not_yet!("the clean-up of operations")))
}
