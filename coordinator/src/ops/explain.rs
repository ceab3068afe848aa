//! Why a volume does not fit, and what would make it fit.
//!
//! What would make it fit is looked for after the refusal, on a snapshot of the state: it takes longer than the refusal,
//! and within a change everybody else would wait for it.

use bricklayer_proto::ids::ClusterId;

use super::candidates::{candidates, pool};
use super::context::Context;
use super::{Rejected, VolumeWish, trash, volume_create};
use crate::model::{Topology, Volume};
use crate::placement::{Candidate, NoReplacement, Refusal};

/// What would become of a volume that nobody has asked for yet.
#[derive(Debug)]
pub enum Outlook {
    /// It fits: this is where, on these devices.
    Fits {
        volume: Box<Volume>,
        candidates: Vec<Candidate>,
    },
    Refused(Vec<(ClusterId, Box<Refusal>)>),
}

pub async fn outlook(context: &Context, wish: VolumeWish) -> Result<Outlook, Rejected> {
    context.greet(&wish.clusters).await;
    let topology = context.state.read();
    match volume_create::planned(context, &topology, wish).map_err(|rejected| explained(context, rejected)) {
        Ok(volume) => {
            let candidates = candidates(context, &topology, volume.cluster);
            Ok(Outlook::Fits { volume: Box::new(volume), candidates })
        }
        Err(Rejected::NoPlacement(refusals)) => Ok(Outlook::Refused(refusals)),
        Err(rejected) => Err(rejected),
    }
}

/// The same, and where it was for want of a place, with what would make it fit.
pub fn explained(context: &Context, rejected: Rejected) -> Rejected {
    match rejected {
        Rejected::NoPlacement(refusals) => no_placement(context, refusals),
        Rejected::NoReplacement(why) => Rejected::NoReplacement(Box::new(no_replacement(context, *why))),
        // Their trial has places for the bricks before, which a pool without the trash would not have.
        Rejected::CannotEmpty { device, why } => Rejected::CannotEmpty { device, why: Box::new(why.explained()) },
        Rejected::CannotEmptyNode { node, device, why } => {
            Rejected::CannotEmptyNode { node, device, why: Box::new(why.explained()) }
        }
        other => other,
    }
}

fn no_replacement(context: &Context, why: NoReplacement) -> NoReplacement {
    let topology = context.state.read();
    let why = why.explained();
    let from = why.from().and_then(|device| topology.devices.get(&device));
    let Some(cluster) = from.and_then(|device| topology.nodes.get(&device.node)).map(|node| node.cluster) else {
        return why;
    };
    match in_the_trash(&topology, cluster) {
        none if none.is_empty() => why,
        kept => why.or_without_trash(kept, &candidates(context, &trash::emptied(&topology), cluster)),
    }
}

/// The names of what is kept in the trash.
fn in_the_trash(topology: &Topology, cluster: ClusterId) -> Vec<String> {
    let kept = topology.volumes_of(cluster).filter(|volume| volume.trash.is_some());
    kept.map(|volume| volume.name.to_string()).collect()
}

fn no_placement(context: &Context, refusals: Vec<(ClusterId, Box<Refusal>)>) -> Rejected {
    let topology = context.state.read();
    let explained = refusals.into_iter().map(|(cluster, refusal)| {
        let refusal = refusal.explained_in(&pool(context, &topology, cluster));
        let refusal = match in_the_trash(&topology, cluster) {
            none if none.is_empty() => refusal,
            kept => refusal.or_without_trash(kept, &candidates(context, &trash::emptied(&topology), cluster)),
        };
        (cluster, Box::new(refusal))
    });
    Rejected::NoPlacement(explained.collect())
}
