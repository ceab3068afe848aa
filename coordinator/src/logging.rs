//! The program's log, and how much of it is written: heketi's clients may ask for more or less while it runs.

use std::fmt;
use std::io::IsTerminal as _;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What the log is set to at the start, in the words of `tracing_subscriber`'s filters; `info` without it.
const VARIABLE: &str = "BRICKLAYER_LOG";

/// heketi's words for how much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    None,
    /// As `Error`: nothing of ours is worse than an error.
    Critical,
    Error,
    Warning,
    Info,
    Debug,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid log level: {0}")]
pub struct NotALevel(String);

impl LogLevel {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The closest word for what the log lets through now.
    fn current() -> Self {
        match LevelFilter::current() {
            LevelFilter::OFF => Self::None,
            LevelFilter::ERROR => Self::Error,
            LevelFilter::WARN => Self::Warning,
            LevelFilter::INFO => Self::Info,
            _ => Self::Debug,
        }
    }

    /// Debugging is for our own lines: those of the libraries would bury them.
    fn filter(self) -> &'static str {
        match self {
            Self::None => "off",
            Self::Critical | Self::Error => "error",
            Self::Warning => "warn",
            Self::Info => "info",
            Self::Debug => "info,bricklayer=debug",
        }
    }
}

impl FromStr for LogLevel {
    type Err = NotALevel;

    fn from_str(word: &str) -> Result<Self, NotALevel> {
        let levels = [Self::None, Self::Critical, Self::Error, Self::Warning, Self::Info, Self::Debug];
        let found = levels.into_iter().find(|level| level.as_str() == word);
        found.ok_or_else(|| NotALevel(word.chars().take(32).collect()))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the log stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("the log of this program cannot be changed while it runs; start it with {VARIABLE}={0}")]
    Fixed(LogLevel),
    #[error("the log could not be changed: {0}")]
    Failed(String),
}

type Apply = dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync;

/// The handle on the log of the whole process.
#[derive(Clone)]
pub struct LogControl {
    /// `None`: whoever set up the log kept no handle.
    apply: Option<Arc<Apply>>,
    /// What was asked for last: `critical` and `error` come to the same, and are told apart here.
    asked: Arc<Mutex<Option<LogLevel>>>,
}

impl LogControl {
    /// Sets up the log of the program, on standard error.
    #[must_use]
    pub fn init() -> Self {
        let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| "info".into());
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            // Colours are for people; in a file they are noise.
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_filter_reloading();
        let handle = log.reload_handle();
        log.init();
        Self::with(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
    }

    /// For a program that has set up its log by itself and can change it so.
    pub fn with(apply: impl Fn(EnvFilter) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { apply: Some(Arc::new(apply)), asked: Arc::default() }
    }

    /// For a program that has set up its log by itself and cannot change it.
    #[must_use]
    pub fn fixed() -> Self {
        Self { apply: None, asked: Arc::default() }
    }

    /// As the configuration has it, unless whoever started the program said more exactly what is to be logged.
    pub fn start_at(&self, level: LogLevel) -> Result<(), LogError> {
        if std::env::var_os(VARIABLE).is_some() { Ok(()) } else { self.set(level) }
    }

    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(LogLevel::current)
    }

    pub fn set(&self, level: LogLevel) -> Result<(), LogError> {
        let apply = self.apply.as_ref().ok_or(LogError::Fixed(level))?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        apply(EnvFilter::new(level.filter())).map_err(LogError::Failed)?;
        *asked = Some(level);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_heketis_is_a_filter() {
        for word in ["none", "critical", "error", "warning", "info", "debug"] {
            let level: LogLevel = word.parse().unwrap();
            assert_eq!(level.to_string(), word);
            assert!(level.filter().parse::<EnvFilter>().is_ok(), "{word}");
        }
        assert_eq!("loud".parse::<LogLevel>().unwrap_err().to_string(), "invalid log level: loud");
    }

    #[test]
    fn what_was_asked_for_is_applied_and_remembered() {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&applied);
        let log = LogControl::with(move |filter| {
            seen.lock().unwrap().push(filter.to_string());
            Ok(())
        });
        log.set(LogLevel::Critical).unwrap();
        assert_eq!(log.level(), LogLevel::Critical);
        log.set(LogLevel::Debug).unwrap();
        assert_eq!(*applied.lock().unwrap(), ["error", "bricklayer=debug,info"]);
    }

    #[test]
    fn a_log_without_a_handle_says_how_to_start_with_the_level() {
        let refused = LogControl::fixed().set(LogLevel::Debug).unwrap_err().to_string();
        assert!(refused.ends_with("start it with BRICKLAYER_LOG=debug"), "{refused}");
    }
}
