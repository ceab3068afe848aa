//! `bricklayer policy`.

use bricklayer_api::ids::ClusterId;
use bricklayer_api::v1::{Provisioning, ZonePolicy};
use clap::{Args, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::common::{Look, Quick};
use crate::bricklayer::complete;
use crate::bricklayer::refs::VolumeRef;

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show what is asked of where bricks go: by the installation, and by each cluster
    Show {
        /// Of this cluster alone
        #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::clusters))]
        cluster: Option<ClusterId>,
        /// Of this volume alone
        #[arg(long, conflicts_with = "cluster", add = ArgValueCompleter::new(complete::volumes))]
        volume: Option<VolumeRef>,
        #[command(flatten)]
        look: Look,
    },
    /// Say what is asked of where bricks go
    ///
    /// Of the installation, or of one cluster, which goes before it; a volume's own options go before both, and of a volume that
    /// is there it can be said how far its pools are extended. What is not named stays as it is. No brick moves for it:
    /// `bricklayer audit` names the sets that do not keep it, and what would mend them.
    #[command(after_help = "Examples:\n  bricklayer policy set --zones strict --reserve 5%\n  \
        bricklayer policy set --tag-rule different:rack --tag-rule same:tier\n  \
        bricklayer policy set --cluster ID --most-bricks-per-zone 2\n  \
        bricklayer policy set --cluster ID --provisioning thick\n  \
        bricklayer policy set --volume photos --pools-at-most 1.5\n  \
        bricklayer policy set --cluster ID --unset reserve --unset tag-rules")]
    Set(PolicySet),
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true)]
pub struct PolicySet {
    /// Of this cluster [default: of the installation]
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::clusters))]
    pub cluster: Option<ClusterId>,
    /// Of this volume: --pools-at-most alone, by the rest its bricks were placed
    #[arg(long, conflicts_with_all = ["cluster", "zones", "most_bricks_per_zone", "reserve", "tag_rules",
        "no_tag_rules", "over_commit", "provisioning"], add = ArgValueCompleter::new(complete::volumes))]
    pub volume: Option<VolumeRef>,
    /// Whether the bricks of a set have to lie in different zones
    #[arg(long, value_enum, group = "what")]
    pub zones: Option<Zones>,
    /// How many bricks of a set one zone may have
    #[arg(long, value_name = "NUMBER", group = "what", value_parser = clap::value_parser!(i64).range(1..=i64::from(u32::MAX)))]
    pub most_bricks_per_zone: Option<i64>,
    /// What is kept free on each device: a size, such as 10GiB, or a percentage of it, such as 5%
    #[arg(long, value_name = "SIZE", group = "what")]
    pub reserve: Option<String>,
    /// What the bricks of a set have to do with the tags of their devices: same:KEY, different:KEY, match:KEY=VALUE. May be
    /// given several times; these are all
    #[arg(long = "tag-rule", value_name = "RULE", group = "what")]
    pub tag_rules: Vec<String>,
    /// No rule about tags
    #[arg(long, group = "what", conflicts_with = "tag_rules")]
    pub no_tag_rules: bool,
    /// How many times what its pool has a data brick may hold, by its own word: 1 for no over-commitment, up to 10. Above 1
    /// writes fail where bricks fill up and their device has no more to give
    #[arg(long, value_name = "RATIO", group = "what")]
    pub over_commit: Option<String>,
    /// How the bricks of new volumes are provisioned
    #[arg(long, value_enum, group = "what")]
    pub provisioning: Option<ProvisioningArg>,
    /// The most that a thin pool which fills up is extended to, as a multiple of its brick's size: 1, not at all, to 100
    #[arg(long, value_name = "FACTOR", group = "what")]
    pub pools_at_most: Option<String>,
    /// Say nothing of it any more: as the installation says, or as by default
    #[arg(long, value_enum, value_name = "WHAT", group = "what")]
    pub unset: Vec<PolicyWord>,
    #[command(flatten)]
    pub quick: Quick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Zones {
    /// As many zones as possible; never a reason to refuse
    Preferred,
    /// Every brick of a set in another one, or no volume
    Strict,
}

impl From<Zones> for ZonePolicy {
    fn from(arg: Zones) -> Self {
        match arg {
            Zones::Preferred => Self::Preferred,
            Zones::Strict => Self::Strict,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProvisioningArg {
    /// Thin volumes in thin pools: snapshots, clones, over-commitment
    Thin,
    /// Linear volumes: no pool and nothing of these
    Thick,
}

impl From<ProvisioningArg> for Provisioning {
    fn from(arg: ProvisioningArg) -> Self {
        match arg {
            ProvisioningArg::Thin => Self::Thin,
            ProvisioningArg::Thick => Self::Thick,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyWord {
    Zones,
    MostBricksPerZone,
    Reserve,
    TagRules,
    OverCommit,
    Provisioning,
    PoolsAtMost,
}
