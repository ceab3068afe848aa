//! Block volumes: files in a GlusterFS volume that the host's `gluster-block` exports as iSCSI disks.
//!
//! A block volume is named by the volume that hosts it and its own name. The task that makes one names hosts and size;
//! how initiators log in is chosen by `gluster-block` and told in the report alone.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::BlockVolumeId;
use crate::names::{BlockName, HostName};
use crate::size::ByteSize;
use crate::task::VolumeKey;

/// Which block volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockKey {
    /// `gluster-block` keeps no id of ours: this one is for people who read logs.
    pub block: BlockVolumeId,
    /// The volume that its file lies in, which must carry our id.
    pub hosting: VolumeKey,
    pub name: BlockName,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSpec {
    pub key: BlockKey,
    pub size: ByteSize,
    /// The hosts that export it: as many paths for multipath.
    pub hosts: Vec<HostName>,
    /// Initiators must log in.
    pub auth: bool,
    pub preallocation: Preallocation,
}

/// Whether the file of a block volume takes its whole size at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preallocation {
    #[default]
    Full,
    /// A sparse file: made at once, and its writers fail when the hosting volume is full.
    No,
}

impl Preallocation {
    /// The word of `gluster-block`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::No => "no",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockResize {
    pub key: BlockKey,
    /// What it is to have. Nothing is ever made smaller.
    pub size: ByteSize,
}

/// A block volume as `gluster-block` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockReport {
    pub iqn: String,
    pub lun: u32,
    /// Both empty where initiators need not log in.
    pub username: String,
    pub password: InitiatorPassword,
    /// By which it is exported.
    pub hosts: Vec<HostName>,
    /// The size of its file.
    pub size: ByteSize,
    /// Hosts that a resize did not reach, with the size that they still export.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<HostName, ByteSize>,
}

impl BlockReport {
    /// What initiators can rely on, whichever host they use.
    #[must_use]
    pub fn usable(&self) -> ByteSize {
        self.behind.values().copied().fold(self.size, ByteSize::min)
    }
}

/// What initiators log in with. Not shown by `Debug`, and never part of an error.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InitiatorPassword(String);

impl InitiatorPassword {
    /// The password itself, for who must hand it on.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for InitiatorPassword {
    fn from(password: String) -> Self {
        Self(password)
    }
}

impl fmt::Debug for InitiatorPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "[not shown]" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> BlockReport {
        BlockReport {
            iqn: "iqn.2016-12.org.gluster-block:6b60".to_owned(),
            lun: 0,
            username: "6b60".to_owned(),
            password: "s3cret".to_owned().into(),
            hosts: vec!["gfs1".parse().unwrap(), "gfs2".parse().unwrap()],
            size: ByteSize::from_bytes(8 << 30),
            behind: BTreeMap::new(),
        }
    }

    #[test]
    fn a_password_is_not_shown_by_debug_and_survives_the_wire() {
        let report = report();
        assert!(!format!("{report:?}").contains("s3cret"));
        let text = serde_json::to_string(&report).unwrap();
        let back: BlockReport = serde_json::from_str(&text).unwrap();
        assert_eq!(back.password.expose(), "s3cret");
    }

    #[test]
    fn what_can_be_used_is_what_the_slowest_host_exports() {
        assert_eq!(report().usable(), ByteSize::from_bytes(8 << 30));
        let behind = BTreeMap::from([("gfs2".parse().unwrap(), ByteSize::from_bytes(5 << 30))]);
        assert_eq!(BlockReport { behind, ..report() }.usable(), ByteSize::from_bytes(5 << 30));
    }
}
