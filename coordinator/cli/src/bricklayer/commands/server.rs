//! `bricklayer operation`, `db`, `loglevel` and `server`.

use bricklayer_api::client::Change;
use bricklayer_api::heketi::{AdminStatus, LogLevels, PendingCleanupRequest};
use clap::ValueEnum;
use serde_json::json;

use super::{DONE, Done, Seen, Session};
use crate::bricklayer::args::{DbCommand, LogLevelCommand, ModeCommand, OperationCommand, ServerCommand};
use crate::bricklayer::output::say;
use crate::bricklayer::tables;
use crate::error::CliError;
use crate::files::write_private;

/// The word of a flag's value, which is also the word on the wire.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl Session {
    pub(super) async fn operation(&self, command: OperationCommand) -> Done {
        match command {
            OperationCommand::Cleanup { ids, work } => {
                let request = PendingCleanupRequest { operations: ids.iter().map(ToString::to_string).collect() };
                let change = Change::pending_cleanup(&request)?;
                let Some(()) = self.work(&change, work, "cleaning up").await? else { return DONE };
                let text =
                    "operations that were stuck are tried again; `bricklayer operation list` tells how far they are";
                self.tell(work.output(), &json!({ "operations": ids }), text, &"cleanup")
            }
            OperationCommand::Info { id, look } => {
                self.look(look, async || {
                    let operation = self.client.operation(id).await?;
                    self.show(
                        look.output,
                        &operation,
                        |_| tables::operation_info(&operation),
                        || vec![id.to_string()],
                    )?;
                    Ok(Seen { over: operation.state.is_final() })
                })
                .await
            }
            OperationCommand::List { look } => {
                self.look(look, async || {
                    let list = self.client.operations().await?;
                    let ids = || list.operations.iter().map(|one| one.id.to_string()).collect();
                    self.show(look.output, &list, |width| tables::operation_list(&list.operations, width), ids)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
        }
    }

    pub(super) async fn db(&self, command: DbCommand) -> Done {
        match command {
            DbCommand::Backup { file } => {
                let bytes = self.client.db_backup().await?;
                if self.curl.is_some() {
                    return DONE;
                }
                write_private(&file, &bytes).map_err(|source| CliError::File {
                    what: format!("cannot write {}", file.display()),
                    source: source.into(),
                })?;
                say(&format!("{} bytes are saved in {}\n", bytes.len(), file.display()))?;
                DONE
            }
            DbCommand::Check { output } => {
                let check = self.client.db_check().await?;
                self.show(output, &check, |_| tables::db_check(&check), Vec::new)?;
                DONE
            }
            DbCommand::Dump => {
                let text = self.client.db_dump().await?;
                self.say_raw(&text)
            }
        }
    }

    pub(super) async fn log_level(&self, command: LogLevelCommand) -> Done {
        let (levels, output) = match command {
            LogLevelCommand::Get { output } => (self.client.log_levels().await?, output),
            LogLevelCommand::Set { level, quick } => {
                let change = Change::set_log_levels(&LogLevels::of(&word(&level)))?;
                let Some(levels) = self.ask(&change, quick).await? else { return DONE };
                (levels, quick.output)
            }
        };
        let level = levels.log_level.get(LogLevels::LOGGER).cloned().unwrap_or_default();
        self.tell(output, &levels, &level, &level)
    }

    pub(super) async fn server(&self, command: ServerCommand) -> Done {
        match command {
            ServerCommand::Examine => {
                let text = self.client.examine_gluster().await?;
                self.say_raw(&text)
            }
            ServerCommand::Mode(ModeCommand::Get { output }) => {
                let status = self.client.admin_status().await?;
                self.tell(output, &status, &status.state, &status.state)
            }
            ServerCommand::Mode(ModeCommand::Set { mode, quick }) => {
                let status = AdminStatus { state: word(&mode) };
                let Some(()) = self.ask(&Change::set_admin_status(&status)?, quick).await? else { return DONE };
                self.tell(quick.output, &status, &status.state, &status.state)
            }
        }
    }

    /// JSON of the server's, as it stands.
    fn say_raw(&self, text: &str) -> Done {
        if self.curl.is_none() {
            say(&format!("{}\n", text.trim_end()))?;
        }
        DONE
    }
}
