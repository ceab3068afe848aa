//! The command line of Bricklayer.
//!
//! One program with two ways to speak. Called as `heketi-cli` it takes heketi's words and flags and prints heketi's
//! texts, byte for byte ([`heketi`]); called by any other name it is `bricklayer` ([`bricklayer`]). What both do, they
//! do through [`actions`], which ask the server and print nothing.

mod actions;
mod bricklayer;
mod connection;
mod error;
mod files;
mod heketi;
mod manifests;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let as_heketi = Path::new(&program).file_name().is_some_and(|name| name == "heketi-cli");
    if !as_heketi {
        bricklayer::complete_for_shell();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("Error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    if as_heketi { runtime.block_on(heketi::run(words)) } else { runtime.block_on(bricklayer::run()) }
}
