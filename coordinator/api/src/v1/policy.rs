//! `/v1/policy`, `/v1/clusters/{id}/policy` and `/v1/volumes/{id}/policy`: what is asked of where bricks go.

use bricklayer_proto::ids::{ClusterId, VolumeId};
use serde::{Deserialize, Serialize};

/// Body of `PUT /v1/policy`, `PUT /v1/clusters/{id}/policy` and `PUT /v1/volumes/{id}/policy`: what one of them says. What is
/// missing is as above: for a cluster as the installation says, for the installation as by default. A volume goes before both; it
/// says what its options say, and of that `pools_at_most` alone can be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PlacementPolicy {
    /// Whether the bricks of a set have to lie in different zones. By default as the configuration file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<ZonePolicy>,
    /// How many bricks of a set one zone may have, from 1; any number by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_bricks_per_zone: Option<i64>,
    /// What is kept free on each device: a size such as `10GiB`, or a percentage of its extents such as `5%`. By default
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<String>,
    /// `same:KEY`, `different:KEY`, `match:KEY=VALUE` and `match:KEY!=VALUE`, of the tags of the devices that the bricks of a
    /// set lie on. All of them; an empty list is no rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_rules: Option<Vec<String>>,
    /// How many times what its pool has a data brick may hold, by its own word: `1` to `10`, such as `1.5`. Above 1 pools have
    /// to be extended as bricks fill up, and writes fail where a device has no more to give. `1` by default: nothing is promised
    /// that is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_commit: Option<String>,
    /// How the bricks of new volumes are provisioned: `thin` by default. A thick policy over-commits nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<Provisioning>,
    /// The most that a thin pool which fills up is extended to, as a multiple of its brick's size: `1`, not at all, to `100`, such
    /// as `1.5`. Of a pool that several volumes share, as clones do, the least that one of them allows. By default as
    /// `pools.most_factor` of the configuration file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools_at_most: Option<String>,
    /// 1, always: two bricks of a set on one node would be lost with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_bricks_per_node: Option<i64>,
}

/// How a brick has its space from its volume group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Provisioning {
    /// A thin volume in a thin pool of its own.
    #[default]
    Thin,
    /// A linear volume: no pool, no snapshots and clones, no over-commitment.
    Thick,
}

impl Provisioning {
    #[must_use]
    pub fn is_thin(&self) -> bool {
        *self == Self::Thin
    }

    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::Thick => "thick",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ZonePolicy {
    /// As many as possible; never a reason to refuse.
    Preferred,
    /// Every brick of a set in another one, or no volume.
    Strict,
}

impl ZonePolicy {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preferred => "preferred",
            Self::Strict => "strict",
        }
    }
}

/// What the installation, a cluster or a volume says, and what holds there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    /// Missing where it is the installation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
    /// Missing where it is no volume's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
    pub says: PlacementPolicy,
    pub in_force: PolicyInForce,
}

/// What holds once all have spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyInForce {
    pub zones: ZonePolicy,
    /// Missing where it may be any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_bricks_per_zone: Option<u32>,
    pub most_bricks_per_node: u32,
    pub reserve: String,
    pub tag_rules: Vec<String>,
    pub over_commit: String,
    #[serde(default)]
    pub provisioning: Provisioning,
    /// Missing where the coordinator is too old to have it in a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools_at_most: Option<String>,
    /// What is dangerous about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Answer of `GET /v1/policy`: the installation's first, then that of each cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyList {
    pub policies: Vec<Policy>,
}
