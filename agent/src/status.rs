//! What a running agent says of itself to people on its host: one small file, replaced at every change.
//!
//! For people and scripts only; nothing in Bricklayer decides by it.

use std::io;

use bricklayer_proto::ids::{InstallationId, NodeId};
use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::tools::files;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentStatus {
    pub node: Option<NodeId>,
    pub name: Option<String>,
    pub installation: Option<InstallationId>,
    /// The addresses at which the coordinator is looked for.
    pub coordinators: Vec<String>,
    /// Where it is attached now.
    pub attached_to: Option<String>,
    /// When the present attachment began or the last one ended.
    pub attachment_changed: Option<Timestamp>,
    /// Why the last attempt to attach failed.
    pub last_error: Option<String>,
    pub certificate_expires: Option<Timestamp>,
    /// When this run of the agent began, and by which process.
    pub started: Option<Timestamp>,
    pub pid: Option<u32>,
}

impl AgentStatus {
    /// Replaces the file in one step.
    pub fn write(&self, file: &Utf8Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        files::replace(file, &json, 0o644)
    }

    /// `None` where no agent has run since boot.
    pub fn read(file: &Utf8Path) -> io::Result<Option<Self>> {
        match std::fs::read(file) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
