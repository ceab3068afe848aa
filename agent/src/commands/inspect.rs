//! `bricklayer-agent inspect`.

use clap::Args;

use super::Settings;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

pub async fn run(_settings: &Settings, _arguments: &Arguments) -> anyhow::Result<()> {
    Ok(())
}
