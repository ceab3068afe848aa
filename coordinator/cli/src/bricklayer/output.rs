//! Writes answers in the form that was asked for.

use std::io::{IsTerminal as _, Write as _, stdout};

use serde::Serialize;

use super::args::common::{Format, Output};
use super::{tables, yaml};
use crate::error::CliError;

/// How many columns a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Normal,
    Wide,
}

pub fn say(text: &str) -> Result<(), CliError> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// `text` is for people; `names` are what other commands take.
pub fn show<T: Serialize>(
    output: Output,
    answer: &T,
    text: impl FnOnce(Width) -> String,
    names: impl FnOnce() -> Vec<String>,
) -> Result<(), CliError> {
    match output.format() {
        Format::Table => say(&tables::printable(&text(Width::Normal))),
        Format::Wide => say(&tables::printable(&text(Width::Wide))),
        Format::Json => say(&format!("{}\n", serde_json::to_string(answer)?)),
        Format::Yaml => say(&yaml::to_yaml(answer)?),
        Format::Name => {
            let lines: String = names().into_iter().map(|name| name + "\n").collect();
            say(&tables::printable(&lines))
        }
    }
}

/// Stands between two looks at the same thing: on a terminal the second takes the place of the first.
pub fn between_looks(output: Output) -> Result<(), CliError> {
    match output.format() {
        Format::Table | Format::Wide if stdout().is_terminal() => say("\u{1b}[H\u{1b}[2J"),
        Format::Table | Format::Wide | Format::Name => say("\n"),
        Format::Yaml => say("---\n"),
        Format::Json => Ok(()),
    }
}
