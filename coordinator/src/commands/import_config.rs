use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::heketi;

#[derive(Debug, Args)]
pub struct ImportConfig {
    /// heketi's configuration. What is set in the environment as HEKETI_... counts more, as it did for heketi.
    #[arg(value_name = "HEKETI.JSON")]
    from: PathBuf,
    /// The file to make; standard output otherwise.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Writes the keys of `admin` and `user` into `admin.key` and `user.key` of this folder, which clients go on using.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

impl ImportConfig {
    pub fn run(&self) -> anyhow::Result<()> {
        let json =
            std::fs::read_to_string(&self.from).with_context(|| format!("{} cannot be read", self.from.display()))?;
        let environment: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("HEKETI_")).collect();
        let imported = heketi::import(&json, &environment).with_context(|| self.from.display().to_string())?;
        if let Some(dir) = &self.keys {
            for (name, key) in [("admin.key", &imported.admin_key), ("user.key", &imported.user_key)] {
                if let Some(key) = key {
                    write_key(&dir.join(name), key)?;
                }
            }
        }
        match &self.output {
            Some(file) => create(file, 0o644, &imported.toml())?,
            // A reader that has seen enough is no failure.
            None => drop(write!(std::io::stdout(), "{}", imported.toml())),
        }
        if !imported.remarks.is_empty() {
            eprintln!("These keys are not in it:");
        }
        for remark in &imported.remarks {
            eprintln!("  {}: {}", remark.key, remark.why);
        }
        Ok(())
    }
}

fn write_key(file: &Path, key: &SecretString) -> anyhow::Result<()> {
    create(file, 0o600, &format!("{}\n", key.expose_secret()))
}

/// What is there is somebody's, and is not overwritten.
fn create(file: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    made.and_then(|mut made| made.write_all(text.as_bytes()))
        .with_context(|| format!("{} cannot be made", file.display()))
}
