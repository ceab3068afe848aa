//! The program as `bricklayer`: tables for people, JSON for programs, errors that say what to do.
//!
//! Answers stand on stdout and nothing else does; errors, hints and progress stand on stderr.

mod args;
mod commands;
mod progress;
mod refs;
mod tables;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use bricklayer_api::client::ClientError;
use clap::{CommandFactory as _, Parser as _};

use crate::connection::Connection;
use crate::error::CliError;
use args::{Cli, Command, Shell};

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

/// Runs the command line of this process.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Completion { shell } => complete(shell),
        command => {
            let connection = Connection {
                server: cli.connection.server,
                user: cli.connection.user,
                key: cli.connection.secret,
                insecure_tls: cli.connection.insecure_tls,
                tls_certificates: cli.connection.tls_certificates,
            };
            commands::carry_out(connection, command).await
        }
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

fn complete(shell: Shell) -> Result<ExitCode, CliError> {
    use std::io::Write as _;

    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: the generator panics where its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bricklayer", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

fn exit_code(error: &CliError) -> u8 {
    match error {
        CliError::Usage { .. } | CliError::Client(ClientError::NoServer { .. }) => USAGE,
        CliError::Client(ClientError::Unreachable { .. }) => UNREACHABLE,
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
