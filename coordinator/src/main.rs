//! The program `bricklayer-coordinator`.

use std::process::ExitCode;

use bricklayer_coordinator::commands::Arguments;
use bricklayer_coordinator::logging::LogControl;
use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.run(LogControl::init()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bricklayer-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
