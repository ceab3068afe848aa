//! `bricklayer operation`, `db`, `loglevel` and `server`: what concerns the coordinator itself.

use std::path::PathBuf;

use bricklayer_api::ids::OperationId;
use clap::{Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::common::{Look, Output, Quick, Work};
use crate::bricklayer::complete;

#[derive(Debug, Subcommand)]
pub enum OperationCommand {
    /// Have operations that ended half-way tried again
    Cleanup {
        /// These alone [default: all that are stuck]
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        ids: Vec<OperationId>,
        #[command(flatten)]
        work: Work,
    },
    /// Show an operation, step by step
    ///
    /// With --watch until it has ended.
    Info {
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        id: OperationId,
        #[command(flatten)]
        look: Look,
    },
    /// List the operations
    List {
        #[command(flatten)]
        look: Look,
    },
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Save a copy of the database, for the coordinator to read
    #[command(after_help = "Example:\n  bricklayer db backup bricklayer.backup")]
    Backup {
        /// File to write; only its owner can read it
        file: PathBuf,
    },
    /// Check the database: ledger and references
    Check {
        #[command(flatten)]
        output: Output,
    },
    /// Print the database as JSON
    Dump,
}

#[derive(Debug, Subcommand)]
pub enum LogLevelCommand {
    /// Show what the coordinator logs
    Get {
        #[command(flatten)]
        output: Output,
    },
    /// Say what the coordinator logs, until it is restarted
    Set {
        level: LogLevel,
        #[command(flatten)]
        quick: Quick,
    },
}

/// heketi's words, as of its one logger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    None,
    Critical,
    Error,
    Warning,
    Info,
    Debug,
}

#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Compare what the coordinator knows with what the hosts have, as JSON
    Examine,
    /// What the coordinator takes requests for
    #[command(subcommand)]
    Mode(ModeCommand),
}

#[derive(Debug, Subcommand)]
pub enum ModeCommand {
    /// Show the mode
    Get {
        #[command(flatten)]
        output: Output,
    },
    /// Set the mode
    ///
    /// From read-only there is no way back by request: restart the coordinator, or send it SIGUSR2.
    Set {
        mode: Mode,
        #[command(flatten)]
        quick: Quick,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Everybody may read and change
    Normal,
    /// Nobody may change anything
    ReadOnly,
    /// Only the coordinator's own host may change anything
    LocalClient,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
