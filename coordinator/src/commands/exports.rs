use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::exports::{self, Entry};
use crate::service::Layout;

#[derive(Debug, Args)]
pub struct Exports {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Names the exports that the coordinator has made by itself, the newest first. Each is read and checked.
    List,
    /// Reads exports and says whether each is whole: all that the coordinator has made, or those that are named.
    Verify { files: Vec<PathBuf> },
}

impl Exports {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        let dir = Layout(data_dir).exports();
        let names_files = matches!(&self.what, What::Verify { files } if !files.is_empty());
        anyhow::ensure!(
            names_files || data_dir.is_dir(),
            "{} is not there: is it the data directory?",
            data_dir.display()
        );
        let entries = match &self.what {
            What::Verify { files } if !files.is_empty() => files.iter().map(|file| exports::read(file)).collect(),
            _ => exports::list(&dir)?,
        };
        if entries.is_empty() {
            println!("There are no exports in {}.", dir.display());
        }
        entries.iter().for_each(|entry| println!("{}", line(entry)));
        let bad = entries.iter().filter(|entry| entry.content.is_err()).count();
        match &self.what {
            What::Verify { .. } => anyhow::ensure!(bad == 0, "{bad} of {} exports cannot be used", entries.len()),
            What::List => {}
        }
        Ok(())
    }
}

fn line(entry: &Entry) -> String {
    let file = entry.file.display();
    match &entry.content {
        Ok(seq) => {
            let written = entry.written.map_or_else(String::new, |at| format!(", written {at:.0}"));
            format!("{file}: good, as of commit {seq}, {} bytes{written}", entry.bytes)
        }
        Err(error) => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{file}: CANNOT BE USED: {error}{cause}")
        }
    }
}
