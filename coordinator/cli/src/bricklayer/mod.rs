//! The program as `bricklayer`: tables for people, JSON for programs, errors that say what to do.
//!
//! Answers stand on stdout and nothing else does; errors, hints and progress stand on stderr.

mod args;
mod commands;
mod complete;
mod curl;
mod output;
mod progress;
mod refs;
mod tables;
mod yaml;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use bricklayer_api::client::ClientError;
use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;
use clap_complete::env::EnvCompleter;

use crate::error::CliError;
use args::{Cli, Command, Shell};

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
const STILL_RUNNING: u8 = 4;

/// Set by the completion scripts.
const COMPLETION_VARIABLE: &str = "_BRICKLAYER_COMPLETE";

/// Runs the command line of this process.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Completion { shell } => completion_script(shell),
        command => commands::carry_out(cli.connection, command).await,
    };
    match done {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => ExitCode::from(REFUSED),
        Err(error) => {
            eprint!("{}", tables::printable(&error_text(&error)));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Answers a shell that asks what may follow, and ends the process then. To be called before any thread is started.
pub fn complete_for_shell() {
    CompleteEnv::with_factory(Cli::command).var(COMPLETION_VARIABLE).complete();
}

/// The script that has the shell ask.
fn completion_script(shell: Shell) -> Result<ExitCode, CliError> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &clap_complete::env::Bash,
        Shell::Zsh => &clap_complete::env::Zsh,
        Shell::Fish => &clap_complete::env::Fish,
    };
    let mut script = Vec::new();
    shell.write_registration(COMPLETION_VARIABLE, "bricklayer", "bricklayer", "bricklayer", &mut script)?;
    output::say(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

fn exit_code(error: &CliError) -> u8 {
    match error {
        CliError::Usage { .. } | CliError::Client(ClientError::NoServer { .. }) => USAGE,
        CliError::Client(ClientError::Unreachable { .. }) => UNREACHABLE,
        CliError::StillRunning { .. } => STILL_RUNNING,
        CliError::Client(_)
        | CliError::Refused { .. }
        | CliError::File { .. }
        | CliError::Output(_)
        | CliError::Json(_) => REFUSED,
    }
}

/// What, why, and what to do.
fn error_text(error: &CliError) -> String {
    let what = error.full_text().replace('\n', "\n  ");
    match error.cure() {
        Some(cure) => format!("error: {what}\n  to do: {cure}\n"),
        None => format!("error: {what}\n"),
    }
}
