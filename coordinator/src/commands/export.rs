use std::path::{Path, PathBuf};

use bricklayer_store::Store;
use clap::Args;

use crate::service::Layout;
use crate::state::SCHEMA;

#[derive(Debug, Args)]
pub struct Export {
    /// The file to make; it must not be there yet. It holds no secret keys.
    file: PathBuf,
}

impl Export {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        anyhow::ensure!(!self.file.exists(), "{} is there already; name a new file", self.file.display());
        Layout(data_dir).must_hold_an_installation()?;
        let store = Store::open(&Layout(data_dir).store(), SCHEMA)?;
        store.export(&self.file)?;
        let verified = store.verify()?;
        store.close();
        let records: u64 = verified.tables.values().sum();
        println!("Exported {records} records as of commit {} to {}.", verified.seq, self.file.display());
        Ok(())
    }
}
