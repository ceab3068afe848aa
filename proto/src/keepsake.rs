//! What a coordinator leaves with its agents, so that its state outlives its machine, and what they tell one that lost
//! it.
//!
//! Tags and records on the disks say most of it ([`crate::inventory`], [`VolumeRecord`]); keepsakes say the rest. An
//! agent keeps them as they are and never reads them: they are addressed to a coordinator that is to come.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ids::BrickId;
use crate::names::{HostName, VolumeName};
use crate::task::{BrickAddress, VolumeRecord};

/// No keepsake is larger: it has to fit into one message.
pub const MAX_KEEPSAKE: usize = 3 << 20;

/// Which of an agent's keepsakes. It has at most one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepsakeKind {
    /// Clusters, nodes, devices and agents of the whole installation.
    Installation,
    /// The volumes that have a brick on the host.
    Volumes,
    /// The authority and REST's keys, sealed under the recovery key.
    Secrets,
}

impl KeepsakeKind {
    pub const ALL: [Self; 3] = [Self::Installation, Self::Volumes, Self::Secrets];

    /// As it is written on the wire and in file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Volumes => "volumes",
            Self::Secrets => "secrets",
        }
    }
}

impl fmt::Display for KeepsakeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind that this build has never heard of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of keepsake that this program knows")]
pub struct UnknownKind(String);

impl FromStr for KeepsakeKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// One document. To an agent its content is a text and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepsake {
    pub kind: KeepsakeKind,
    /// Of two of one kind the higher one is newer; an older one never replaces a newer one.
    pub sequence: u64,
    pub content: String,
    /// By which the coordinator knows it for its own: no host can make up another one.
    pub mark: String,
}

impl Keepsake {
    /// What an agent says of it instead of all of it.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept { kind: self.kind, sequence: self.sequence, digest: Digest::of(self.content.as_bytes()) }
    }
}

/// That an agent has a keepsake on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub kind: KeepsakeKind,
    pub sequence: u64,
    pub digest: Digest,
}

/// SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest([u8; 32]);

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What an agent tells a coordinator that has lost its state. May come in several parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recollection {
    /// The name under which the host enrolled.
    pub name: HostName,
    pub keepsakes: Vec<Keepsake>,
    /// What lies beside each brick that is mounted.
    pub records: BTreeMap<BrickId, VolumeRecord>,
    /// Records that are there and cannot be read, and why.
    #[serde(default)]
    pub unreadable: BTreeMap<BrickId, String>,
    /// Every volume that glusterd has; `None` where that was not asked or glusterd does not answer.
    pub gluster: Option<Vec<GlusterVolumeSeen>>,
    /// More of the same follows.
    #[serde(default)]
    pub more: bool,
}

impl Recollection {
    /// Takes the next part in.
    pub fn append(&mut self, part: Self) {
        self.keepsakes.extend(part.keepsakes);
        self.records.extend(part.records);
        self.unreadable.extend(part.unreadable);
        match (&mut self.gluster, part.gluster) {
            (Some(volumes), Some(more)) => volumes.extend(more),
            (none @ None, more) => *none = more,
            (Some(_), None) => {}
        }
        self.more = part.more;
    }
}

/// A volume of GlusterFS, ours or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlusterVolumeSeen {
    pub name: VolumeName,
    /// What its option [`crate::task::VOLUME_ID_OPTION`] says; `None` where it has none.
    pub id: Option<String>,
    pub started: bool,
    /// In glusterd's order.
    pub bricks: Vec<BrickAddress>,
}
