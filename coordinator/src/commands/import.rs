use std::path::{Path, PathBuf};

use bricklayer_store::Store;
use clap::Args;

use crate::keepsake::keeper::Fork;
use crate::pki::{Clock, Trust};
use crate::service::Layout;
use crate::state::SCHEMA;

#[derive(Debug, Args)]
pub struct Import {
    /// A file that `export` made. The data directory must have no store; its CA and keys are left as they are.
    file: PathBuf,
}

impl Import {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        let exported = Store::exported(&self.file)?;
        let store = Store::import(&self.file, &Layout(data_dir).store(), SCHEMA)?;
        Trust::restored(&store)?;
        Fork::write(&store, exported.get(), Clock::system().now())?;
        let verified = store.verify()?;
        store.close();
        let records: u64 = verified.tables.values().sum();
        println!("Imported {records} records as of commit {}.", verified.seq);
        Ok(())
    }
}
