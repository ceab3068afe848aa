//! `/v1/capacity`: the largest volumes that still fit.

use bricklayer_proto::ids::ClusterId;
use serde::{Deserialize, Serialize};

use super::{Provisioning, SetLayout, ZoneChecking};

/// Query of `GET /v1/capacity`: which volumes are meant. Without a durability, all usual ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default)]
pub struct CapacityQuery {
    /// Id of a cluster; all when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `none`, `replicate` or `disperse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<String>,
    /// Of `replicate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<i64>,
    /// Of `replicate`: the third copy holds names alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arbiter: Option<bool>,
    /// Of `disperse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disperse_data: Option<i64>,
    /// Of `disperse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redundancy: Option<i64>,
    /// `none` or `strict`; as the installation has it when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_checking: Option<String>,
    /// `rack=a` or `rack!=a`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_match: Option<String>,
    /// 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_factor: Option<f32>,
    /// `thin` or `thick`; as the policy has it when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<String>,
    /// `zone` or `tag`: what each zone, or the devices of each tag, could take by themselves as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Answer of `GET /v1/capacity`: by cluster, and by durability within it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapacityList {
    pub capacities: Vec<Capacity>,
}

/// The largest volume of a kind that fits into a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capacity {
    pub cluster: ClusterId,
    pub durability: SetLayout,
    pub zone_checking: ZoneChecking,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_match: Option<String>,
    /// Thousandths.
    pub snapshot_factor_milli: u32,
    /// Missing where it is thin.
    #[serde(default, skip_serializing_if = "Provisioning::is_thin")]
    pub provisioning: Provisioning,
    /// Whole GiB in bytes; zero where nothing fits.
    pub largest_bytes: u64,
    /// The same as heketi's clients count it.
    pub largest_gib: u64,
    /// Devices that may take such bricks.
    pub devices: u64,
    /// What those have free, together, before any brick is made.
    pub free_bytes: u64,
    /// What those have besides, kept from bricks by the policy.
    #[serde(default)]
    pub kept_bytes: u64,
    /// What is dangerous about it, where bricks are promised more than their pools have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Where the query has `by`: each part as if there were no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<CapacityPart>,
}

/// What one zone, or the devices with one value of a tag, can take by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapacityPart {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<u32>,
    /// `rack=a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whole GiB in bytes; zero where nothing fits.
    pub largest_bytes: u64,
    pub largest_gib: u64,
    pub devices: u64,
    pub free_bytes: u64,
    pub kept_bytes: u64,
}
