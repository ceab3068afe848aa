use std::io::Write;
use std::path::Path;

use clap::Args;

use crate::pki::{Bundle, RecoveryKey};
use crate::recovery;
use crate::service::Layout;

/// Makes a new recovery key, tells it once, and seals the installation's keys under it.
#[derive(Debug, Args)]
pub struct NewRecoveryKey {
    /// There is a recovery key already, and it is to be worth nothing any more once every host has the new bundle.
    #[arg(long)]
    replace: bool,
}

impl NewRecoveryKey {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        if let Some(before) = Bundle::read(&Layout(data_dir).bundle())? {
            anyhow::ensure!(
                self.replace,
                "there is a recovery key since {:.0}, and it cannot be told again; --replace makes another one",
                before.made()
            );
        }
        let key = recovery::new_key(data_dir)?;
        let _ = tell(&mut std::io::stdout(), &key);
        println!("A running coordinator hands the new bundle to its agents within a minute.");
        Ok(())
    }
}

pub(super) fn tell(out: &mut impl Write, key: &RecoveryKey) -> std::io::Result<()> {
    writeln!(out, "\nRecovery key: {}", key.to_text())?;
    writeln!(
        out,
        "It is told this once and stored nowhere. Write it down and keep it away from this machine: with it and"
    )?;
    writeln!(out, "what any one host keeps, `bricklayer-coordinator recover` brings this installation back.")
}
