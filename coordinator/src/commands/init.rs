use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use bricklayer_store::Store;
use clap::Args;

use crate::keys::{self, RestKeys};
use crate::pki::{Clock, Trust};
use crate::service::Layout;
use crate::state::SCHEMA;

#[derive(Debug, Args)]
pub struct Init {
    /// Does nothing, successfully, where there is an installation already.
    #[arg(long)]
    if_needed: bool,
}

impl Init {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        let layout = Layout(data_dir);
        if self.if_needed && layout.authority().exists() {
            return Ok(());
        }
        for dir in [data_dir.to_owned(), layout.keys()] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .with_context(|| format!("{} cannot be made", dir.display()))?;
        }
        let store = Store::open(&layout.store(), SCHEMA)?;
        let installation = Trust::found(&store, &layout.authority(), &Clock::system())?;
        store.close();
        RestKeys::make(&layout.keys())?;
        println!("Made installation {installation} in {}.", data_dir.display());
        println!("The administrator's key is in {}.", keys::admin_file(&layout.keys()).display());
        println!("Keep a copy of {}: who has it can speak as this installation.", layout.authority().display());
        println!();
        println!("Next: bricklayer-coordinator run, and for each host: bricklayer agent invite NAME");
        Ok(())
    }
}
