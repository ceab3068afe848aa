//! `bricklayer doctor`.

use std::cell::Cell;
use std::process::ExitCode;

use bricklayer_api::v1::Severity;

use super::{Done, Seen, Session};
use crate::bricklayer::args::common::Look;
use crate::bricklayer::{REFUSED, tables};

impl Session {
    /// Fails where there is more than a note, so that a script need not read.
    pub(super) async fn doctor(&self, look: Look) -> Done {
        let is_well = Cell::new(true);
        self.look(look, async || {
            let diagnosis = self.client.doctor().await?;
            is_well.set(diagnosis.findings.iter().all(|finding| finding.severity == Severity::Note));
            let ids = || diagnosis.findings.iter().map(|finding| finding.id.clone()).collect();
            self.show(look.output, &diagnosis, |_| tables::diagnosis(&diagnosis), ids)?;
            Ok(Seen::SO_FAR)
        })
        .await?;
        Ok(if is_well.get() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
    }
}
