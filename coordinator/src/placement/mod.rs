//! Decides which devices hold the bricks of a volume, and says why where it cannot.
//!
//! Pure: no clock, store, environment or randomness. The same [`Wish`] and [`Candidate`]s, in any order, give the same
//! [`Placement`], on any machine, so that a placement or a refusal seen at a site can be replayed from its inventory.
//! It reads and returns values; reserving the space and making the bricks is `ops`' affair.
//!
//! Read this file first, then [`policy`] (what an installation may ask for), `search` (which brick sizes are tried),
//! `ground` (which devices a set may lie on together), `assign` (which of them take the bricks of one attempt; exact)
//! with `room` (how many there is room for) and `pool` (the devices, kept so that few are looked at), `grow` (bricks that become larger where they are), `replace` (one brick moves), [`audit`] (what no longer keeps the
//! rules), [`refusal`], [`relax`] (what would make a refused volume fit), `capacity`, [`score`], [`what_if`] and [`ledger`]. The rules
//! for people: `docs/placement.md`. What takes a slice of candidates has a twin that takes a [`Pool`]; both answer alike.

mod assign;
pub mod audit;
mod capacity;
mod exhaust;
mod ground;
mod grow;
pub mod ledger;
pub mod policy;
mod pool;
pub mod refusal;
pub mod relax;
mod replace;
mod room;
pub mod score;
mod search;
pub mod tags;
#[cfg(test)]
mod tests;
pub mod what_if;

use std::collections::BTreeMap;
use std::fmt;

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, GIB, KIB, MIB, TIB};
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::Layout;
use serde::{Deserialize, Serialize};

pub use capacity::{Capacity, Part, Parts, capacity, capacity_in, capacity_of_parts};
pub use grow::{Growing, Grown, grow, grow_among};
pub use ledger::{DeviceSpace, Ledger, Provision, Unaccounted};
pub use policy::{OverCommit, Policy, PoolsAtMost, Reserve, SetRules, TagRule, Terms};
pub use pool::Pool;
pub use refusal::{Cause, DeviceRefusal, Refusal, Rule, RuleCount, RuleKind};
pub use relax::{OutOfService, Relaxation, Relaxed};
use replace::options_in;
pub use replace::{MoveRelaxation, NoReplacement, OtherBrick, ReplaceWish, WhyNot, WhyNotCount, replace, replace_in};
pub use search::{largest, largest_in, place, place_in};
pub use tags::{NotATagMatch, TagMatch};

/// A brick set's arbiter has one entry per file and no data. mkfs.xfs since 5.19 refuses less than this.
pub const LEAST_ARBITER: ByteSize = ByteSize::from_bytes(300 * MIB);

/// heketi's default: what a file is assumed to have on average, for the size of an arbiter brick.
pub const AVERAGE_FILE_SIZE: ByteSize = ByteSize::from_bytes(64 * KIB);

/// The tag that reserves a device for arbiter bricks (`required`) or for data bricks (`disabled`).
pub const ARBITER_TAG: &str = "arbiter";

/// Free words on a device and its node.
type Tags = BTreeMap<String, String>;

/// A device that bricks may be placed on, as the coordinator knows it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub device: DeviceId,
    pub node: NodeId,
    /// The node's failure domain.
    pub zone: u32,
    pub standing: Standing,
    /// What keeps it out besides, once that is mended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Standing>,
    pub space: DeviceSpace,
    /// Its node's agent is too old to make thick bricks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thin_only: bool,
    /// The node's tags, overlaid by the device's.
    pub tags: BTreeMap<String, String>,
    /// For texts: `gfs1`.
    pub node_name: String,
    /// For texts: `/dev/sdb`.
    pub device_name: String,
}

/// Whether a device takes bricks at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Ready,
    /// A person switched the device off.
    DeviceOffline,
    /// A person removed the device; its bricks went elsewhere.
    DeviceFailed,
    NodeOffline,
    NodeFailed,
    /// A person declared that it, or its node, will never come back.
    Lost,
    /// The node's agent is not connected, so that nobody can say how the node is.
    AgentDetached,
    /// The node's glusterd does not answer.
    GlusterDown,
    /// The node's own disk is full, so that its agent makes nothing new.
    AgentDiskFull,
    /// The node's fstab cannot be changed, so that its agent makes no brick.
    FstabFixed,
    /// The agent does not see the device's volume group.
    GroupMissing,
    /// The device's volume group lacks its physical volume, or LVM reports it partial.
    GroupDamaged,
    /// The agent cannot read the disk, or a brick on it.
    DiskFails,
    /// The disk answers, and a brick on it cannot be read.
    BrickFails,
    /// A thin pool on it needs a check, or has failed.
    PoolFails,
    /// Thin pools are on it, and its node lacks the program that checks them.
    ThinToolMissing,
    /// The device is being added or removed.
    Changing,
}

impl Standing {
    /// Whether bricks that are there serve. Those of a device that was switched off for new ones do.
    pub(super) fn serves(self) -> bool {
        match self {
            Self::Ready
            | Self::DeviceOffline
            | Self::NodeOffline
            | Self::AgentDiskFull
            | Self::FstabFixed
            | Self::BrickFails
            | Self::PoolFails
            | Self::ThinToolMissing
            | Self::Changing => true,
            Self::DeviceFailed
            | Self::NodeFailed
            | Self::Lost
            | Self::AgentDetached
            | Self::GlusterDown
            | Self::GroupMissing
            | Self::GroupDamaged
            | Self::DiskFails => false,
        }
    }
}

/// The reason for people, with the cure; nothing is said of a ready device but that.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "the device is ready",
            Self::DeviceOffline => "the device is offline (switch it on with `device enable`)",
            Self::DeviceFailed => "the device was removed from service (`failed`)",
            Self::NodeOffline => "its node is offline (switch it on with `node enable`)",
            Self::NodeFailed => "its node was removed from service (`failed`)",
            Self::Lost => "it, or its node, was declared lost, and does not come back",
            Self::AgentDetached => "its node's agent is not connected (is bricklayer-agent running there?)",
            Self::GlusterDown => "its node's glusterd does not answer (is glusterd running there?)",
            Self::AgentDiskFull => {
                "its node's own disk is full, so that nothing new is made there (make room below /var/lib/bricklayer)"
            }
            Self::FstabFixed => {
                "its node's fstab cannot be changed, so that no brick is made there (see `bricklayer doctor`)"
            }
            Self::GroupMissing => "its node does not see the device's volume group (is the disk attached?)",
            Self::GroupDamaged => "LVM reports the device's volume group as damaged (see `vgs` and `pvs` there)",
            Self::DiskFails => "its disk cannot be read (see `bricklayer doctor`)",
            Self::BrickFails => "a brick on it cannot be read (see `bricklayer doctor`)",
            Self::PoolFails => "a thin pool on it needs a check, or has failed (see `bricklayer doctor`)",
            Self::ThinToolMissing => {
                "its node lacks thin_check, so that LVM cannot check the thin pools on it (install thin-provisioning-tools or \
                 device-mapper-persistent-data there)"
            }
            Self::Changing => "the device is being added or removed",
        })
    }
}

/// What is asked for. Whether the layout is one that the API allows has been checked before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What the volume, or the addition to it, is to hold.
    pub size: ByteSize,
    pub layout: Layout,
    /// Pool size per brick size in thousandths; 1000 leaves no room for snapshots.
    pub snapshot_factor_milli: u32,
    pub zones: ZoneRule,
    /// For the size of arbiter bricks; zero is [`AVERAGE_FILE_SIZE`].
    pub average_file_size: ByteSize,
    pub limits: Limits,
    /// Bricks that the volume has already: more than none where it is expanded.
    pub existing_bricks: u32,
    /// Only devices whose tags match.
    pub tag_match: Option<TagMatch>,
    /// What the policy asks of a set besides.
    #[serde(default, skip_serializing_if = "SetRules::is_empty")]
    pub set_rules: SetRules,
    /// How much more data bricks are promised than their pools have; thick ones have none.
    #[serde(default, skip_serializing_if = "OverCommit::is_none")]
    pub over_commit: OverCommit,
    /// How its bricks are provisioned.
    #[serde(default, skip_serializing_if = "Provisioning::is_thin")]
    pub provisioning: Provisioning,
    /// What is kept free on each device. It is off their free space already, and is here for a refusal to say how much less
    /// would do.
    #[serde(default)]
    pub reserve: Reserve,
}

impl Wish {
    /// With heketi's defaults: zones are preferred, no snapshots, a new volume.
    #[must_use]
    pub fn new(size: ByteSize, layout: Layout) -> Self {
        Self {
            size,
            layout,
            snapshot_factor_milli: 1000,
            zones: ZoneRule::Preferred,
            average_file_size: AVERAGE_FILE_SIZE,
            limits: Limits::default(),
            existing_bricks: 0,
            tag_match: None,
            set_rules: SetRules::default(),
            over_commit: OverCommit::NONE,
            provisioning: Provisioning::Thin,
            reserve: Reserve::NONE,
        }
    }

    /// Of its bricks of a role.
    fn provision(&self, role: BrickRole) -> Provision {
        let Self { provisioning, snapshot_factor_milli, over_commit, .. } = *self;
        Provision { provisioning, snapshot_factor_milli, over_commit }.of_role(role)
    }

    /// Whether its bricks can be made where no thick ones can.
    fn is_made_by(&self, thin_only: bool) -> bool {
        !thin_only || self.provisioning.is_thin()
    }

    /// The rule by which a device with these tags takes none of its bricks.
    fn unmatched(&self, tags: &Tags) -> Option<&TagMatch> {
        let own = self.tag_match.as_ref().filter(|rule| !rule.matches(tags));
        own.or_else(|| self.set_rules.unmatched(tags))
    }
}

/// How the bricks of one set are spread over zones. They are always on different nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneRule {
    /// Over as many zones as possible; never a reason to refuse.
    #[default]
    Preferred,
    /// Every brick of a set in another zone, or no volume.
    Strict,
}

/// heketi's limits by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Applies to data bricks; arbiter bricks have [`LEAST_ARBITER`].
    pub least_brick: ByteSize,
    pub largest_brick: ByteSize,
    /// Of one volume, those that it has already among them.
    pub most_bricks: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { least_brick: ByteSize::from_bytes(GIB), largest_brick: ByteSize::from_bytes(4 * TIB), most_bricks: 32 }
    }
}

/// Where every brick of a volume goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Of every data brick.
    pub brick_size: ByteSize,
    /// Set by set, in GlusterFS's order within each: an arbiter comes last.
    pub sets: Vec<Vec<Placed>>,
}

impl Placement {
    pub fn bricks(&self) -> impl Iterator<Item = &Placed> {
        self.sets.iter().flatten()
    }
}

/// One brick of a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub device: DeviceId,
    pub node: NodeId,
    pub role: BrickRole,
    /// What the brick is to hold; its volume is this, rounded up to extents.
    pub asked: ByteSize,
    /// What it takes from the device's group, apart from the growth of the group's spare.
    pub space: BrickSpace,
}
