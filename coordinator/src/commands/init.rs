use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use bricklayer_proto::ids::InstallationId;
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
        // A reader that has seen enough (`| head`) is no failure of what was made.
        let _ = Self::tell(&mut std::io::stdout(), data_dir, installation);
        Ok(())
    }

    fn tell(out: &mut impl Write, data_dir: &Path, installation: InstallationId) -> std::io::Result<()> {
        let layout = Layout(data_dir);
        writeln!(out, "Made installation {installation} in {}.", data_dir.display())?;
        writeln!(out, "The administrator's key is in {}.", keys::admin_file(&layout.keys()).display())?;
        writeln!(out, "Keep a copy of {}: who has it can speak as this installation.", layout.authority().display())?;
        writeln!(out, "\nNext: bricklayer-coordinator run, and for each host: bricklayer agent invite NAME")
    }
}
