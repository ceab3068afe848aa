//! `bricklayer cluster`.

use bricklayer_api::ids::ClusterId;
use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::{Look, Quick};
use crate::bricklayer::complete;

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Create a cluster
    Create {
        /// Allow volumes that hold block volumes
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        block: bool,
        /// Allow file volumes
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        file: bool,
        #[command(flatten)]
        quick: Quick,
    },
    /// Delete a cluster without nodes
    Delete {
        #[arg(add = ArgValueCompleter::new(complete::clusters))]
        id: ClusterId,
        #[command(flatten)]
        quick: Quick,
    },
    /// Show a cluster
    Info {
        #[arg(add = ArgValueCompleter::new(complete::clusters))]
        id: ClusterId,
        #[command(flatten)]
        look: Look,
    },
    /// Show where every byte of a cluster's devices went
    ///
    /// The sum of the ledgers of its devices; `bricklayer device ledger` tells more of one.
    Ledger {
        /// May be left out where there is one only
        #[arg(add = ArgValueCompleter::new(complete::clusters))]
        id: Option<ClusterId>,
        #[command(flatten)]
        look: Look,
    },
    /// List the clusters
    List {
        #[command(flatten)]
        look: Look,
    },
    /// Say what a cluster is for
    #[command(after_help = "Example:\n  bricklayer cluster setflags --block false ID")]
    #[group(id = "flags", required = true, multiple = true)]
    Setflags {
        #[arg(add = ArgValueCompleter::new(complete::clusters))]
        id: ClusterId,
        /// Allow volumes that hold block volumes
        #[arg(long, group = "flags")]
        block: Option<bool>,
        /// Allow file volumes
        #[arg(long, group = "flags")]
        file: Option<bool>,
        #[command(flatten)]
        quick: Quick,
    },
}
