//! `bricklayer agent`.

use bricklayer_api::ids::{InvitationId, NodeId};
use bricklayer_api::names::HostName;
use clap::Subcommand;
use clap_complete::ArgValueCompleter;

use super::common::{Look, Output, Quick};
use super::values::ttl_seconds;
use crate::bricklayer::complete;

#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Make a token with which a host's agent enrols, and print it
    ///
    /// Only the token stands on stdout, so that it can be piped. It is shown this once, can be used once, and holds
    /// for this host name alone.
    #[command(after_help = "Examples:\n  bricklayer agent invite gfs1\n  \
        bricklayer agent invite gfs1 --zone 2 --ttl 2h | ssh gfs1 'read token; bricklayer-agent enroll $token'")]
    Invite {
        /// Name of the host, as the topology names it
        name: HostName,
        /// Failure domain that the host stands in
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        zone: Option<u32>,
        /// How long the token holds, such as 30m, 2h, 1d [default: 30m]
        #[arg(long, value_parser = ttl_seconds, value_name = "TIME")]
        ttl: Option<u64>,
        /// The host enrolled before, and comes back with a new key
        #[arg(long)]
        rejoin: bool,
        /// Id that the node is to have, such as the one by which heketi's clients know it; a new one otherwise
        #[arg(long, value_name = "ID", conflicts_with = "rejoin")]
        node_id: Option<NodeId>,
        #[command(flatten)]
        output: Output,
    },
    /// List the invitations
    Invitations {
        #[command(flatten)]
        look: Look,
    },
    /// Take an invitation back
    Uninvite {
        /// Id of the invitation, from `bricklayer agent invitations`
        #[arg(add = ArgValueCompleter::new(complete::invitations))]
        invitation: InvitationId,
        #[command(flatten)]
        quick: Quick,
    },
    /// List the agents and how they are
    List {
        #[command(flatten)]
        look: Look,
    },
    /// Shut an agent out, at once and for good
    ///
    /// Its certificate is refused from now on and its stream is closed. Bricks of the host go on serving, but nothing
    /// can be placed, changed or removed on it until it is invited and enrolled again.
    Revoke {
        /// Id or name of the node
        #[arg(add = ArgValueCompleter::new(complete::agents))]
        node: HostName,
        #[command(flatten)]
        quick: Quick,
    },
}
