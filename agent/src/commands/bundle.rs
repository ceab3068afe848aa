//! `bricklayer-agent bundle`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;
use bricklayer_proto::keepsake::KeepsakeKind;
use camino::Utf8PathBuf;
use clap::Args;

use super::Settings;
use crate::identity::Identity;
use crate::keepsakes::Keepsakes;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to make; it must not be there yet.
    file: Utf8PathBuf,
}

pub fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let identity = Identity::load(&settings.data_dir)?;
    let keepsakes = Keepsakes::of(&settings.data_dir, identity.installation);
    let bundle = keepsakes.get(KeepsakeKind::Secrets)?.with_context(|| {
        format!(
            "this host keeps no bundle of installation {}: its coordinator had no recovery key while this agent was \
             attached. Ask another host",
            identity.installation
        )
    })?;
    let file = &arguments.file;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.and_then(|mut made| {
        made.write_all(bundle.content.as_bytes())?;
        made.sync_all()
    })
    .with_context(|| format!("{file} cannot be made"))?;
    println!("Wrote the sealed bundle of installation {} to {file}.", identity.installation);
    println!("On the new machine: bricklayer-coordinator recover --bundle {file}");
    Ok(())
}
