use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bricklayer_store::Store;
use clap::Args;

use crate::keepsake::keeper::Fork;
use crate::pki::{Clock, Trust};
use crate::service::Layout;
use crate::state::SCHEMA;

#[derive(Debug, Args)]
pub struct Import {
    /// A file that `export` made. The data directory must have no store; its CA and keys are left as they are. The store does nothing
    /// by itself before every host has been heard: see `accept-import`.
    file: PathBuf,
}

impl Import {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        let layout = Layout(data_dir);
        anyhow::ensure!(!layout.has_store(), "{} is there already; rename it", layout.store().display());
        let exported = Store::exported(&self.file)?;
        let (now, place) = (Clock::system().now(), layout.store());
        // Beside its place until it bears the marks of a store that was restored: without them it would pass for the newest.
        let staging = place.with_extension("restoring");
        if staging.exists() {
            // Half of an earlier attempt; all that was in it is in an export.
            std::fs::remove_dir_all(&staging).with_context(|| format!("{} cannot be removed", staging.display()))?;
        }
        let store = Store::import(&self.file, &staging, SCHEMA)?;
        Trust::restored(&store, now)?;
        Fork::write(&store, exported.get(), now)?;
        let verified = store.verify()?;
        store.close();
        std::fs::rename(&staging, &place)
            .with_context(|| format!("{} cannot be moved into place", staging.display()))?;
        std::fs::File::open(data_dir)
            .and_then(|dir| dir.sync_all())
            .with_context(|| format!("{} cannot be synced", data_dir.display()))?;
        let records: u64 = verified.tables.values().sum();
        println!("Imported {records} records as of commit {}.", verified.seq);
        Ok(())
    }
}
