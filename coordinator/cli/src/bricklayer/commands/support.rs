//! `bricklayer support-bundle`, and what `bricklayer volume explain --bundle` writes.

use std::path::Path;

use bricklayer_api::client::Change;
use bricklayer_api::heketi::VolumeCreateRequest;
use bricklayer_api::v1::{Explanation, SupportBundleRequest};

use super::{DONE, Done, Session};
use crate::bricklayer::args::common::{Output, Quick};
use crate::bricklayer::output::say;
use crate::error::CliError;
use crate::files::write_private;

impl Session {
    pub(super) async fn support_bundle(&self, file: &Path) -> Done {
        self.bundle(None, file).await?;
        if self.curl.is_none() {
            say(&format!("the devices and the policy are saved in {}\n", file.display()))?;
        }
        DONE
    }

    /// Writes the bundle, and tells what was answered in it.
    pub(super) async fn bundle(
        &self,
        volume: Option<VolumeCreateRequest>,
        file: &Path,
    ) -> Result<Option<Explanation>, CliError> {
        let question = Change::support_bundle(&SupportBundleRequest { volume })?;
        let quick = Quick::in_earnest(Output::default());
        let Some(bundle) = self.ask(&question, quick).await? else { return Ok(None) };
        write_private(file, format!("{bundle}\n").as_bytes()).map_err(|source| CliError::File {
            what: format!("cannot write {}", file.display()),
            source: source.into(),
        })?;
        Ok(bundle.get("answer").map(|answer| serde_json::from_value(answer.clone())).transpose()?)
    }
}
