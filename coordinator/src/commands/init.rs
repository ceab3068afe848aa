use std::io::Write;
use std::path::Path;

use bricklayer_proto::ids::InstallationId;
use clap::Args;

use crate::keys;
use crate::pki::RecoveryKey;
use crate::recovery;
use crate::service::Layout;

#[derive(Debug, Args)]
pub struct Init {
    /// Does nothing, successfully, where there is an installation already. For units and scripts: tells no recovery key,
    /// as what they print is kept in logs.
    #[arg(long)]
    if_needed: bool,
}

impl Init {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        let layout = Layout(data_dir);
        if self.if_needed && layout.authority().exists() && !recovery::was_cut_off(&layout) {
            return Ok(());
        }
        let installation = recovery::found(data_dir)?;
        let recovery_key = if self.if_needed { None } else { Some(recovery::new_key(data_dir)?) };
        // A reader that has seen enough (`| head`) is no failure of what was made.
        let _ = Self::tell(&mut std::io::stdout(), data_dir, installation, recovery_key.as_ref());
        Ok(())
    }

    fn tell(
        out: &mut impl Write,
        data_dir: &Path,
        installation: InstallationId,
        recovery_key: Option<&RecoveryKey>,
    ) -> std::io::Result<()> {
        let layout = Layout(data_dir);
        writeln!(out, "Made installation {installation} in {}.", data_dir.display())?;
        writeln!(out, "The administrator's key is in {}.", keys::admin_file(&layout.keys()).display())?;
        writeln!(out, "Keep a copy of {}: who has it can speak as this installation.", layout.authority().display())?;
        match recovery_key {
            Some(key) => super::recovery_key::tell(out, key)?,
            None => writeln!(out, "It has no recovery key yet: bricklayer-coordinator recovery-key")?,
        }
        writeln!(out, "\nNext: bricklayer-coordinator run, and for each host: bricklayer agent invite NAME")
    }
}
