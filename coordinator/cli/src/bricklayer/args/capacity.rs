//! `bricklayer capacity`.

use bricklayer_api::ids::ClusterId;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::common::Look;
use super::values::snapshot_factor;
use super::{DurabilityArg, ProvisioningArg};
use crate::bricklayer::complete;

#[derive(Debug, Args)]
pub struct Capacity {
    /// Id of a cluster [default: all]
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::clusters))]
    pub cluster: Option<ClusterId>,
    /// How the data is protected [default: all usual ways]
    #[arg(long, value_enum)]
    pub durability: Option<DurabilityArg>,
    /// Copies, for replicate
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub replica: Option<i64>,
    /// The third copy holds names alone
    #[arg(long)]
    pub arbiter: bool,
    /// Data bricks of a set, for disperse
    #[arg(long, requires = "redundancy", value_parser = clap::value_parser!(i64).range(1..))]
    pub disperse_data: Option<i64>,
    /// Redundancy bricks of a set, for disperse
    #[arg(long, requires = "disperse_data", value_parser = clap::value_parser!(i64).range(1..))]
    pub redundancy: Option<i64>,
    /// Every brick of a set in another zone [default: as the coordinator is configured]
    #[arg(long)]
    pub strict_zones: bool,
    /// On devices with these tags alone: rack=a or rack!=a
    #[arg(long, value_name = "RULE")]
    pub tag_match: Option<String>,
    /// Room for snapshots, as a multiple of the size: 1 to 100 [default: none]
    #[arg(long, value_parser = snapshot_factor)]
    pub snapshot_factor: Option<f32>,
    /// As such a volume [default: as the policy has it]
    #[arg(long, value_enum)]
    pub provisioning: Option<ProvisioningArg>,
    /// Each zone, or the devices of each tag, by themselves as well
    #[arg(long, value_enum)]
    pub by: Option<PartsArg>,
    #[command(flatten)]
    pub look: Look,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum PartsArg {
    Zone,
    Tag,
}

impl PartsArg {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Tag => "tag",
        }
    }
}
