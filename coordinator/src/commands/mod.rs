//! The program's subcommands.

mod accept_import;
mod export;
mod exports;
mod import;
mod import_config;
mod init;
mod rebuild;
mod recover;
mod recovery_key;
mod replay;
mod run;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::{ConfigFile, DEFAULT_DATA_DIR};
use crate::logging::LogControl;

/// Decides where GlusterFS bricks go, drives the agents on the hosts, and serves REST.
///
/// First `init`, once; then `run`. Hosts come in by invitation: `bricklayer agent invite NAME`.
#[derive(Debug, Parser)]
#[command(name = "bricklayer-coordinator", version, propagate_version = true)]
pub struct Arguments {
    /// Configuration file; /etc/bricklayer/coordinator.toml where it is there.
    #[arg(long, global = true, env = "BRICKLAYER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the store, the CA and the keys are; /var/lib/bricklayer-coordinator by default.
    #[arg(long, global = true, env = "BRICKLAYER_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a new installation: its CA, its store, and the keys of REST's users.
    Init(init::Init),
    /// Serves REST and the agents until it is told to stop.
    Run(run::Run),
    /// Writes the whole store into a file of JSON lines.
    Export(export::Export),
    /// The exports that the running coordinator makes by itself.
    Exports(exports::Exports),
    /// Makes a store of an exported file, where there is none yet.
    Import(import::Import),
    /// Takes an imported store for the newest state that there is, though a host that may know of a later one has not been heard:
    /// one that is away for long. A host that is gone for good is better declared lost.
    AcceptImport(accept_import::AcceptImport),
    /// Makes the store again of what the hosts say, where it is gone, damaged or an older copy. Shows what comes out
    /// before anything is written.
    Rebuild(rebuild::Rebuild),
    /// Makes this machine the coordinator of an installation whose machine is gone, from what any host keeps.
    Recover(recover::Recover),
    /// Makes a recovery key for an installation that has none, or a new one.
    RecoveryKey(recovery_key::NewRecoveryKey),
    /// Gives the answer of a support bundle once more, without a store: the same on any machine.
    Replay(replay::Replay),
    /// Turns heketi.json into our configuration, and names the keys that have no meaning any more.
    ImportConfig(import_config::ImportConfig),
}

impl Arguments {
    pub fn run(self, log: LogControl) -> anyhow::Result<()> {
        // Comes before any configuration of ours is there.
        if let Command::ImportConfig(command) = &self.command {
            return command.run();
        }
        // Needs nothing of this machine.
        if let Command::Replay(command) = &self.command {
            return command.run();
        }
        let file = ConfigFile::read(self.config.as_deref())?;
        let data_dir =
            self.data_dir.or_else(|| file.data_dir.clone()).unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
        match self.command {
            Command::Init(command) => command.run(&data_dir),
            Command::Run(command) => command.run(data_dir, &file, log),
            Command::ImportConfig(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Rebuild(command) => command.run(data_dir, &file),
            Command::Recover(command) => command.run(&data_dir),
            Command::RecoveryKey(command) => command.run(&data_dir),
            Command::Export(command) => command.run(&data_dir),
            Command::Exports(command) => command.run(&data_dir),
            Command::Import(command) => command.run(&data_dir),
            Command::AcceptImport(command) => command.run(&data_dir),
        }
    }
}
