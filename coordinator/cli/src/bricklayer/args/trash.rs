//! `bricklayer trash`.

use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::{Look, Work};
use crate::bricklayer::complete;
use crate::bricklayer::refs::VolumeRef;

#[derive(Debug, Subcommand)]
pub enum TrashCommand {
    /// Destroy what is in the trash before its time
    ///
    /// Nobody can have it back then.
    #[command(after_help = "Examples:\n  bricklayer trash empty backups\n  bricklayer trash empty --all")]
    Empty {
        /// Ids or names
        #[arg(required_unless_present = "all", value_name = "VOLUME", add = ArgValueCompleter::new(complete::trash))]
        volumes: Vec<VolumeRef>,
        /// Everything in the trash
        #[arg(long, conflicts_with = "volumes")]
        all: bool,
        #[command(flatten)]
        work: Work,
    },
    /// List the deleted volumes that can be had back
    List {
        #[command(flatten)]
        look: Look,
    },
}
