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
    const BLOCK: &str = "/blockvolumes";
    paths
        .at("/nodes/{id}/tags", post(not_yet!("changing the tags of a node")))
        .at("/devices/{id}/tags", post(not_yet!("changing the tags of a device")))
        .at("/devices/{id}/resync", get(not_yet!("the resync of a device")))
        .at("/volumes/{id}/expand", post(not_yet!("expanding a volume")))
        .at("/volumes/{id}/clone", post(not_yet!("cloning a volume")))
        .at("/volumes/{id}/block-restriction", post(not_yet!("the block restriction of a volume")))
        .at(BLOCK, get(not_yet!("the list of block volumes")).post(not_yet!("creating a block volume")))
        .at(
            &format!("{BLOCK}/{{id}}"),
            get(not_yet!("reading a block volume")).delete(not_yet!("deleting a block volume")),
        )
        .at(&format!("{BLOCK}/{{id}}/expand"), post(not_yet!("expanding a block volume")))
        .at("/bricks/to-evict/{id}", post(not_yet!("the eviction of a brick")))
        .at("/backup/db", get(not_yet!("the backup over REST")))
        .at("/db/dump", get(not_yet!("the dump of the database")))
        .at("/db/check", get(not_yet!("the check of the database")))
        .at("/internal/logging", get(not_yet!("reading the log level")).post(not_yet!("setting the log level")))
        .at("/internal/state/examine/gluster", get(not_yet!("the examination of GlusterFS")))
        .at("/operations", get(not_yet!("heketi's summary of operations")))
        .at("/operations/pending", get(not_yet!("heketi's list of pending operations")))
        .at("/operations/pending/{id}", get(not_yet!("heketi's view of a pending operation")))
        .at("/operations/pending/cleanup", post(not_yet!("the clean-up of operations")))
        .at("/admin", get(not_yet!("reading the server's mode")).post(not_yet!("setting the server's mode")))
}
