use std::io::Write;
use std::path::Path;

use clap::Args;

use crate::keys;
use crate::recovery::{self, Founded};
use crate::service::Layout;

#[derive(Debug, Args)]
pub struct Init {
    /// Does nothing, successfully, where there is an installation already.
    #[arg(long)]
    if_needed: bool,
}

impl Init {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        if self.if_needed && Layout(data_dir).authority().exists() {
            return Ok(());
        }
        let founded = recovery::found(data_dir)?;
        // A reader that has seen enough (`| head`) is no failure of what was made.
        let _ = Self::tell(&mut std::io::stdout(), data_dir, &founded);
        Ok(())
    }

    fn tell(out: &mut impl Write, data_dir: &Path, founded: &Founded) -> std::io::Result<()> {
        let layout = Layout(data_dir);
        writeln!(out, "Made installation {} in {}.", founded.installation, data_dir.display())?;
        writeln!(out, "The administrator's key is in {}.", keys::admin_file(&layout.keys()).display())?;
        writeln!(out, "Keep a copy of {}: who has it can speak as this installation.", layout.authority().display())?;
        super::recovery_key::tell(out, &founded.recovery_key)?;
        writeln!(out, "\nNext: bricklayer-coordinator run, and for each host: bricklayer agent invite NAME")
    }
}
