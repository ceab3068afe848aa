//! `bricklayer plan`.

use bricklayer_api::ids::OperationId;
use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::Look;
use crate::bricklayer::complete;

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Show a plan that is kept: its bricks, their devices, and what those have free afterwards
    Info {
        #[arg(add = ArgValueCompleter::new(complete::plans))]
        id: OperationId,
        #[command(flatten)]
        look: Look,
    },
    /// List the plans that are kept
    List {
        #[command(flatten)]
        look: Look,
    },
}
