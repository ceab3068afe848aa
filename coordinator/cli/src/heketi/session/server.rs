//! What concerns the server itself: its log, its mode, its operations.

use bricklayer_api::heketi::{AdminStatus, LogLevels, PendingCleanupRequest};

use super::Session;
use crate::error::CliError;
use crate::heketi::print;

impl Session<'_> {
    pub(super) async fn log_level_get(&mut self) -> Result<(), CliError> {
        let levels = self.client.log_levels().await?;
        let level = levels.log_level.get(LogLevels::LOGGER).map_or("", String::as_str);
        self.say(&format!("{level}\n"))
    }

    pub(super) async fn log_level_set(&mut self) -> Result<(), CliError> {
        let level = self.only_argument("Log level missing")?;
        self.client.set_log_levels(&LogLevels::of(&level)).await?;
        self.say("Server log level updated\n")
    }

    pub(super) async fn mode_get(&mut self) -> Result<(), CliError> {
        let status = self.client.admin_status().await?;
        self.say(&format!("{}\n", status.state))
    }

    pub(super) async fn mode_set(&mut self) -> Result<(), CliError> {
        let state = self.only_argument("Mode missing")?;
        Ok(self.client.set_admin_status(&AdminStatus { state }).await?)
    }

    pub(super) async fn operations_cleanup(&mut self) -> Result<(), CliError> {
        eprintln!(
            "The server is asked to clean up operations that ended half-way.\n\
             Those that cannot be cleaned up are left as they are, and not told here.\n\
             See `heketi-cli server operations list` afterwards."
        );
        let request = PendingCleanupRequest { operations: self.line.arguments.clone() };
        Ok(self.finish(self.client.pending_cleanup(&request).await?).await?)
    }

    pub(super) async fn operations_info(&mut self) -> Result<(), CliError> {
        if self.line.arguments.is_empty() {
            let counts = self.client.operation_counts().await?;
            return self.show(&counts, print::operation_counts);
        }
        let operation = self.client.pending_operation(self.id("")?).await?;
        self.show(&operation, print::operation_info)
    }

    pub(super) async fn operations_list(&mut self) -> Result<(), CliError> {
        let list = self.client.pending_operations().await?;
        self.show(&list, |list| print::operation_list(&list.pending_operations))
    }

    fn only_argument(&self, missing: &str) -> Result<String, CliError> {
        if self.line.arguments.len() > 1 {
            return Err(CliError::usage("too many arguments"));
        }
        self.argument(missing)
    }
}
