//! `/v1/explain` and what other answers about placement share: where bricks go, and why they do not.
//!
//! Sizes are bytes; what a brick takes is also in extents of its volume group, as LVM counts them.

use std::collections::BTreeMap;
use std::fmt;

use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId};
use serde::{Deserialize, Serialize};

use super::Provisioning;

/// Answer of `POST /v1/explain`: a volume that was asked for, and would fit or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    pub fits: bool,
    /// Where it would go, in the first cluster that takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<VolumePlacement>,
    /// Why it does not fit, for each cluster that could have it; empty where it fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// Where a volume's bricks go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VolumePlacement {
    pub cluster: ClusterId,
    pub durability: SetLayout,
    pub sets: u32,
    /// Set by set, in GlusterFS's order within each.
    pub bricks: Vec<PlacedBrick>,
    /// The devices of these bricks, and what they have free before and after.
    pub devices: Vec<DeviceFree>,
    /// What is dangerous about it, where bricks are promised more than their pools have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// One brick on its device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlacedBrick {
    pub set: u32,
    pub position: u32,
    pub role: BrickRole,
    pub node: NodeId,
    pub node_name: String,
    pub device: DeviceId,
    pub device_name: String,
    /// What it holds.
    pub size_bytes: u64,
    /// Missing where it is thin.
    #[serde(default, skip_serializing_if = "Provisioning::is_thin")]
    pub provisioning: Provisioning,
    /// Its pool with the pool's metadata, without the growth of the group's spare; of a thick brick its linear volume.
    pub extents: u64,
}

/// What a brick is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BrickRole {
    Data,
    /// Names and no contents.
    Arbiter,
}

/// What a device has free, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceFree {
    pub node: NodeId,
    pub node_name: String,
    pub device: DeviceId,
    pub device_name: String,
    pub extent_bytes: u64,
    pub free_extents: u64,
    pub free_bytes: u64,
    pub free_after_extents: u64,
    pub free_after_bytes: u64,
}

/// How the bricks of a set share the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SetLayout {
    /// One copy.
    None,
    Replicate {
        replica: u32,
    },
    /// Two copies, and a third brick with names alone.
    Arbiter,
    Disperse {
        data: u32,
        redundancy: u32,
    },
}

impl fmt::Display for SetLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Replicate { replica } => write!(f, "replicate {replica}"),
            Self::Arbiter => f.write_str("replicate 3 with arbiter"),
            Self::Disperse { data, redundancy } => write!(f, "disperse {data}+{redundancy}"),
        }
    }
}

/// Why a volume does not fit into a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    pub cluster: ClusterId,
    /// All of it for people, a line each; the first is heketi's.
    pub text: String,
    pub cause: RefusalCause,
    pub wish: PlacementWish,
    /// Numbers of brick sets that were tried, in order.
    pub attempts: Vec<Attempt>,
    /// The devices counted by the rule that they fail.
    pub by_rule: Vec<RuleCount>,
    /// Every device, by node and name.
    pub devices: Vec<DeviceRefusal>,
    /// The largest volume that fits with everything else unchanged, whole GiB; missing where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_bytes: Option<u64>,
    /// Changes with which it fits, each of them tried: single ones, or two at once.
    pub relaxations: Vec<Relaxation>,
}

/// Why none of the attempts succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCause {
    NoSpace,
    /// No attempt was allowed: with bricks of the largest size there are already too many.
    TooManyBricks,
    /// No attempt was allowed: a single brick set already has bricks that are too small.
    BrickTooSmall,
}

/// What placement is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlacementWish {
    pub size_bytes: u64,
    pub durability: SetLayout,
    /// Thousandths: 1500 gives a pool one and a half times its brick's size.
    pub snapshot_factor_milli: u32,
    pub zone_checking: ZoneChecking,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_match: Option<String>,
    /// Of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_bricks_per_zone: Option<u32>,
    /// Of the policy, such as `different:rack`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_rules: Vec<String>,
    /// Of the policy: how many times what its pool has a data brick may hold. Missing where that is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_commit: Option<String>,
    /// Missing where it is thin.
    #[serde(default, skip_serializing_if = "Provisioning::is_thin")]
    pub provisioning: Provisioning,
    pub least_brick_bytes: u64,
    pub largest_brick_bytes: u64,
    /// Of the whole volume.
    pub most_bricks: u32,
    /// More than none where a volume is to grow.
    pub existing_bricks: u32,
}

/// What zones are to a set's bricks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ZoneChecking {
    /// As many as possible. heketi's word.
    None,
    /// Every brick of a set in another one.
    Strict,
}

/// One number of brick sets, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    pub sets: u64,
    pub brick_bytes: u64,
    pub ended: AttemptEnded,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AttemptEnded {
    BrickTooLarge,
    BrickTooSmall,
    TooManyBricks,
    NoSpace,
    /// The rules about tags leave more ways than were tried; one of them may do.
    CutOff,
}

/// A rule that devices fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PlacementRule {
    /// It takes no bricks now.
    NotReady,
    /// Its node's agent is too old for thick bricks.
    AgentTooOld,
    Tag,
    Space,
    /// None: it has room, and there were too few others.
    Fits,
}

/// The devices that fail one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleCount {
    pub rule: PlacementRule,
    /// Of `not-ready`, such as `agent-detached`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    pub devices: u64,
    /// What they have free, together.
    pub free_bytes: u64,
    /// Of `space`: what the one that is nearest to it is short of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_short_bytes: Option<u64>,
    /// The same for people.
    pub text: String,
}

/// One device, and the first rule by which it was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceRefusal {
    pub node: NodeId,
    pub node_name: String,
    pub zone: u32,
    pub device: DeviceId,
    pub device_name: String,
    pub rule: PlacementRule,
    /// Of `not-ready`, such as `agent-detached`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// What a brick takes here.
    pub needed_bytes: u64,
    /// What bricks may take.
    pub free_bytes: u64,
    /// What is free besides, and kept from bricks by the policy.
    #[serde(default)]
    pub kept_bytes: u64,
    /// Of the tags that rules for sets speak about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_tags: BTreeMap<String, String>,
    /// Of `fits`: how many bricks it has room for, as data or as arbiters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_for_data: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_for_arbiters: Option<u64>,
    /// The same for people.
    pub text: String,
}

/// A change, or two at once, with which the volume fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Relaxation {
    pub change: Relaxed,
    /// What has to be different besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<Relaxed>,
    /// What is placed then.
    pub wish: PlacementWish,
    pub sets: u64,
    pub brick_bytes: u64,
    /// Zones that a set lies in, of the set with the fewest.
    pub zones: u64,
    /// For people.
    pub text: String,
    /// How the data is protected less; missing where it is as safe as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weaker: Option<String>,
}

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Relaxed {
    /// All of these devices are in service.
    InService {
        devices: Vec<OutOfService>,
    },
    /// These volumes in the trash are gone.
    EmptyTrash {
        volumes: Vec<String>,
    },
    /// Any but the one that was chosen, of a brick that moves.
    AnotherDevice,
    AnyTags,
    /// Without this rule of the policy.
    TagRule {
        without: String,
    },
    /// With less kept free on each device than the policy says, such as `10GiB` or `5%`: the most that leaves room.
    Reserve {
        reserve: String,
    },
    /// With so many bricks of a set in a zone, more than the policy allows: the least that suffices.
    MostInAZone {
        most_bricks_per_zone: u32,
    },
    /// The installation's limits.
    Limits {
        least_brick_bytes: u64,
        most_bricks: u32,
    },
    Size {
        size_bytes: u64,
    },
    SnapshotFactor {
        milli: u32,
    },
    /// As a thick volume, or as a thin one.
    Provisioning {
        provisioning: Provisioning,
    },
    /// Without strict zone checking.
    ZonesPreferred,
    Layout {
        durability: SetLayout,
    },
}

/// A device that takes no bricks now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutOfService {
    pub node: NodeId,
    pub node_name: String,
    pub device: DeviceId,
    pub device_name: String,
    /// Such as `agent-detached`.
    pub standing: String,
    /// What keeps it out besides, in the same words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// A device that a brick cannot move to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotAReplacement {
    /// `/dev/sdb on gfs1`.
    pub device: String,
    /// Such as `node-of-set`.
    pub rule: String,
    /// Of `space`: what it is short of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_bytes: Option<u64>,
    /// The same for people, with the numbers.
    pub text: String,
}

/// The devices that a brick cannot move to by one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotReplacements {
    /// Such as `node-of-set`.
    pub rule: String,
    pub devices: u64,
    /// Of `space`: what the one that is nearest to it is short of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_short_bytes: Option<u64>,
    /// The same for people.
    pub text: String,
}

/// A change with which a brick would find a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MoveRelaxation {
    pub change: Relaxed,
    /// Where it would go: `/dev/sdb on gfs1`.
    pub to: String,
    /// For people.
    pub text: String,
    /// How the data is protected less; missing where it is as safe as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weaker: Option<String>,
}
