//! `bricklayer pool`.

use clap::Subcommand;

use super::common::Look;

#[derive(Debug, Subcommand)]
pub enum PoolCommand {
    /// List the thin pools: how full they are, how fast they fill, and when they are full
    ///
    /// Without --all only those that promise more than they have: only these can overflow. They are extended by themselves
    /// as far as the installation allows; where one is not, the last column says why.
    #[command(after_help = "Examples:\n  bricklayer pool list\n  bricklayer pool list --all -o json")]
    List {
        /// Those that cannot overflow, too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        look: Look,
    },
}
