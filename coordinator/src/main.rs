//! The program `bricklayer-coordinator`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use bricklayer_coordinator::commands::Arguments;
use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BRICKLAYER_LOG").unwrap_or_else(|_| "info".into()),
        )
        // Colours are for people; in a file they are noise.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bricklayer-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
