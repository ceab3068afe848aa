use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::pki::{Bundle, RecoveryKey};
use crate::recovery;
use crate::service::Layout;

/// A recovery key has some eighty characters with its dashes.
const LONGEST_KEY: u64 = 4096;

#[derive(Debug, Args)]
pub struct Recover {
    /// What `bricklayer-agent bundle FILE` wrote on any host of the installation.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The file with the recovery key; it is asked for otherwise.
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
}

impl Recover {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        let bundle = Bundle::read(&self.bundle)?;
        let bundle = bundle.with_context(|| format!("{} is not there", self.bundle.display()))?;
        eprintln!("The bundle is of installation {}, sealed {:.0}.", bundle.installation(), bundle.made());
        let key: RecoveryKey = self.key()?.parse()?;
        let installation = recovery::recover(data_dir, &bundle, &key)?;
        println!("Restored the authority and the keys of installation {installation} in {}.", data_dir.display());
        if Layout(data_dir).has_store() {
            println!("The store that is there stays as it is. Next: bricklayer-coordinator run");
            return Ok(());
        }
        println!("There is no store yet. See that the old coordinator is gone for good; then:");
        println!("  bricklayer-coordinator rebuild");
        println!("If this machine has another address than the old one, on each host before that:");
        println!("  bricklayer-agent set-coordinator ADDRESS:24010");
        Ok(())
    }

    fn key(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        if let Some(file) = &self.recovery_key_file {
            let opened = std::fs::File::open(file);
            opened
                .and_then(|opened| opened.take(LONGEST_KEY).read_to_string(&mut text))
                .with_context(|| format!("{} cannot be read", file.display()))?;
            return Ok(text);
        }
        if std::io::stdin().is_terminal() {
            eprint!("Recovery key: ");
            std::io::stderr().flush()?;
            std::io::stdin().read_line(&mut text)?;
        } else {
            std::io::stdin().take(LONGEST_KEY).read_to_string(&mut text).context("standard input cannot be read")?;
        }
        Ok(text)
    }
}
