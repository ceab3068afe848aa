//! The program `bricklayer-agent`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;

use bricklayer_agent::commands::{self, CommandLine};

fn main() -> ExitCode {
    let line = CommandLine::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BRICKLAYER_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match commands::run(&line) {
        Ok(()) => ExitCode::SUCCESS,
        // One line with all causes; a backtrace tells the person at the host nothing.
        Err(error) => {
            eprintln!("bricklayer-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
