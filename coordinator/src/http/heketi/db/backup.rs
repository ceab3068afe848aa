//! `/backup/db`: the whole store in one file, for [`bricklayer_store::Store::import`]. To heketi's clients it is opaque.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bricklayer_store::Store;

use crate::http::Service;
use crate::http::failure::Failure;

/// heketi's name for the file, as its scripts look for it.
const AS_FILE: HeaderValue = HeaderValue::from_static("attachment; filename=\"heketi.db\"");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error("the export could not be put aside")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Export(#[from] bricklayer_store::ExportError),
}

/// Hands out the whole store in one file.
#[utoipa::path(get, path = "/backup/db", responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
pub async fn backup(State(service): State<Service>) -> Result<Response, Failure> {
    let store = service.operations.state().store().clone();
    let failed = |cause: &dyn std::error::Error| Failure::internal("the backup could not be made", cause);
    let export = tokio::task::spawn_blocking(move || export(&store)).await.map_err(|error| failed(&error))?;
    let bytes = export.map_err(|error| failed(&error))?;
    Ok(([(CONTENT_TYPE, BYTES), (CONTENT_DISPOSITION, AS_FILE)], bytes).into_response())
}

/// In a folder beside the store, which nobody else can read: the export has everything but the keys.
fn export(store: &Store) -> Result<Vec<u8>, BackupError> {
    let beside = store.dir().parent().unwrap_or(store.dir());
    let folder = tempfile::Builder::new().prefix("backup-").tempdir_in(beside)?;
    let file = folder.path().join("export");
    store.export(&file)?;
    Ok(std::fs::read(&file)?)
}
