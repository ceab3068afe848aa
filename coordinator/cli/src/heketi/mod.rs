//! The program as `heketi-cli`: heketi's words, flags, texts and exit codes.
//!
//! [`flags`] reads the line, [`commands`] says which commands there are, [`print`] holds the texts; [`session`] carries
//! each command out. Errors go to stderr as `Error: …` with exit code 255, and nothing of ours is added to any output.

mod commands;
mod flags;
pub mod print;
mod session;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::connection::Connection;
use crate::error::CliError;
use commands::{Action, Command, ROOT, path_to};
use flags::Line;
use session::Session;

/// heketi-cli's exit code for every failure.
const FAILED: u8 = 255;

/// Runs one command line (without the program's name).
pub async fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words = words.into_iter().map(|word| word.to_string_lossy().into_owned());
    match answer(words.collect(), &mut std::io::stdout().lock()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("Error: {}", error.full_text());
            ExitCode::from(FAILED)
        }
    }
}

async fn answer(words: Vec<String>, out: &mut dyn Write) -> Result<(), CliError> {
    let line = flags::read(words, &ROOT, |command, word| command.step(word), |command| command.flags())
        .map_err(|error| CliError::usage(error.to_string()))?;
    let Some(action) = line.command.action.filter(|_| !line.help) else {
        return explain(&line, out);
    };
    if action == Action::TopologyInfo && !line.values.text("template").is_empty() {
        return Err(CliError::usage("Templates of Go are not supported here. Use --json and a JSON tool instead."));
    }
    let values = &line.values;
    let client = Connection {
        server: Some(values.text("server").to_owned()),
        user: Some(values.text("user").to_owned()),
        key: Some(values.text("secret").to_owned()),
        insecure_tls: values.bool("insecure-tls"),
        tls_certificates: values.texts("tls-cert").into_iter().map(PathBuf::from).collect(),
    }
    .client(&["HEKETI_CLI"])?;
    Session { client, line: &line, out }.carry_out(action).await?;
    out.flush()?;
    Ok(())
}

/// Usage, where no command is given or help is asked for.
fn explain(line: &Line<&'static Command>, out: &mut dyn Write) -> Result<(), CliError> {
    let is_root = std::ptr::eq(line.command, &raw const ROOT);
    if is_root && line.values.bool("version") {
        writeln!(out, "heketi-cli {}", env!("CARGO_PKG_VERSION"))?;
        return Ok(());
    }
    if let (true, false, Some(word)) = (is_root, line.help, line.arguments.first()) {
        let text = format!("unknown command {word:?} for \"heketi-cli\"\nRun 'heketi-cli --help' for usage.");
        return Err(CliError::usage(text));
    }
    out.write_all(line.command.usage(&path_to(line.command)).as_bytes())?;
    Ok(())
}
