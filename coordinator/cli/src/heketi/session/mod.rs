//! Carries heketi-cli's commands out, one function each.

mod block_volumes;
mod clusters;
mod db_storage;
mod hardware;
mod server;
mod volumes;

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use bricklayer_api::client::{Accepted, Client, ClientError, WorkResult};
use bricklayer_api::heketi::EntryState;
use serde::Serialize;

use super::commands::{Action, Command};
use super::flags::Line;
use super::print;
use crate::actions::{Silent, finish};
use crate::error::CliError;
use hardware::Tagged;

/// How long whoever switched the check of healing off has to think again.
const SECOND_THOUGHTS: Duration = Duration::from_secs(10);

/// One command line, about to be carried out.
pub struct Session<'a> {
    pub client: Client,
    pub line: &'a Line<&'static Command>,
    pub out: &'a mut dyn Write,
}

impl Session<'_> {
    pub async fn carry_out(&mut self, action: Action) -> Result<(), CliError> {
        match action {
            Action::BlockVolumeCreate => self.block_volume_create().await,
            Action::BlockVolumeDelete => self.block_volume_delete().await,
            Action::BlockVolumeExpand => self.block_volume_expand().await,
            Action::BlockVolumeInfo => self.block_volume_info().await,
            Action::BlockVolumeList => self.block_volume_list().await,
            Action::BrickEvict => self.brick_evict().await,
            Action::ClusterCreate => self.cluster_create().await,
            Action::ClusterDelete => self.cluster_delete().await,
            Action::ClusterInfo => self.cluster_info().await,
            Action::ClusterList => self.cluster_list().await,
            Action::ClusterSetFlags => self.cluster_set_flags().await,
            Action::DbCheck => {
                let text = self.client.db_check_text().await?;
                self.say(&text)
            }
            Action::DbDump => {
                let text = self.client.db_dump().await?;
                self.say(&text)
            }
            Action::DeviceAdd => self.device_add().await,
            Action::DeviceDelete => self.device_delete().await,
            Action::DeviceDisable => self.device_state(EntryState::Offline).await,
            Action::DeviceEnable => self.device_state(EntryState::Online).await,
            Action::DeviceInfo => self.device_info().await,
            Action::DeviceRemove => self.device_state(EntryState::Failed).await,
            Action::DeviceResync => self.device_resync().await,
            Action::DeviceRmTags => self.remove_tags(Tagged::Device).await,
            Action::DeviceSetTags => self.set_tags(Tagged::Device).await,
            Action::LogLevelGet => self.log_level_get().await,
            Action::LogLevelSet => self.log_level_set().await,
            Action::NodeAdd => self.node_add().await,
            Action::NodeDelete => self.node_delete().await,
            Action::NodeDisable => self.node_state(EntryState::Offline).await,
            Action::NodeEnable => self.node_state(EntryState::Online).await,
            Action::NodeInfo => self.node_info().await,
            Action::NodeList => self.node_list().await,
            Action::NodeRemove => self.node_state(EntryState::Failed).await,
            Action::NodeRmTags => self.remove_tags(Tagged::Node).await,
            Action::NodeSetTags => self.set_tags(Tagged::Node).await,
            Action::ServerExamine => {
                let text = self.client.examine_gluster().await?;
                self.say(&text)
            }
            Action::ServerModeGet => self.mode_get().await,
            Action::ServerModeSet => self.mode_set().await,
            Action::ServerOperationsCleanup => self.operations_cleanup().await,
            Action::ServerOperationsInfo => self.operations_info().await,
            Action::ServerOperationsList => self.operations_list().await,
            Action::SetUpDbStorage => self.set_up_db_storage().await,
            Action::TopologyInfo => {
                let topology = self.client.topology().await?;
                self.show(&topology, print::topology_info)
            }
            Action::TopologyLoad => self.topology_load().await,
            Action::VolumeClone => self.volume_clone().await,
            Action::VolumeCreate => self.volume_create().await,
            Action::VolumeDelete => self.volume_delete().await,
            Action::VolumeEndpointPatch => self.volume_endpoint_patch().await,
            Action::VolumeExpand => self.volume_expand().await,
            Action::VolumeInfo => self.volume_info().await,
            Action::VolumeList => self.volume_list().await,
            Action::VolumeSetBlockRestriction => self.volume_set_block_restriction().await,
        }
    }

    async fn finish<T: WorkResult>(&self, work: Accepted<T>) -> Result<T, ClientError> {
        finish(&self.client, work, &mut Silent).await
    }

    /// The id behind the command.
    fn id<T: FromStr>(&self, missing: &str) -> Result<T, CliError> {
        known(&self.argument(missing)?)
    }

    /// Whether a volume that is being healed stops a removal. Who says that it does not is given time to think again.
    async fn heal_check(&self) -> String {
        if !self.line.values.bool("expert-option-disable-heal-check") {
            return String::new();
        }
        eprintln!(
            "WARNING: bricks are going to be moved although copies of their data may not be whole. Data may be LOST.\n\
             To stop, press Ctrl-C within {} seconds.",
            SECOND_THOUGHTS.as_secs()
        );
        tokio::time::sleep(SECOND_THOUGHTS).await;
        "disable".to_owned()
    }

    /// The first word behind the command; those after it are ignored, as heketi-cli ignores them.
    fn argument(&self, missing: &str) -> Result<String, CliError> {
        self.line.arguments.first().cloned().ok_or_else(|| CliError::usage(missing))
    }

    /// What may be given either way.
    fn flag_or_argument(&self, flag: &str, missing: &str) -> Result<String, CliError> {
        match self.line.values.text(flag) {
            "" => self.argument(missing),
            text => Ok(text.to_owned()),
        }
    }

    fn required(&self, flag: &str, missing: &str) -> Result<String, CliError> {
        match self.line.values.text(flag) {
            "" => Err(CliError::usage(missing)),
            text => Ok(text.to_owned()),
        }
    }

    fn say(&mut self, text: &str) -> Result<(), CliError> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// As JSON, without a line feed, where the person asked for that.
    fn show<T: Serialize>(&mut self, answer: &T, text: impl Fn(&T) -> String) -> Result<(), CliError> {
        if self.line.values.bool("json") {
            let json = serde_json::to_string(answer)?;
            self.say(&json)
        } else {
            self.say(&text(answer))
        }
    }
}

/// An id as the routes take it. A text that is none gets the answer that the server would give to it, without asking:
/// no such path, or no such id.
fn known<T: FromStr>(text: &str) -> Result<T, CliError> {
    text.parse().map_err(|_| {
        let hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let answer = if hex { "Id not found" } else { "Invalid path or request" };
        ClientError::Refused { status: 404, text: answer.to_owned(), cure: None }.into()
    })
}
