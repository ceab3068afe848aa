//! What GlusterFS says of a volume now. Looks only.

use bricklayer_proto::ids::{BrickId, VolumeId};
use bricklayer_proto::task::{BrickAddress, RebalanceReport, Wanted};

use super::context::{Asker, Context};
use super::step::StepError;
use super::{Rejected, gluster};
use crate::model::Volume;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeHealth {
    pub bricks: Vec<BrickHealth>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrickHealth {
    pub brick: BrickId,
    pub address: BrickAddress,
    pub online: bool,
    /// Entries that it holds and others lack; `None` where nobody can say, and always for a volume without copies.
    pub pending: Option<u64>,
}

impl VolumeHealth {
    /// Every brick serves, and none waits for another.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.bricks.iter().all(|brick| brick.online && brick.pending.unwrap_or(0) == 0)
    }
}

pub async fn health(context: &Context, id: VolumeId) -> Result<VolumeHealth, Rejected> {
    let volume = volume(context, id)?;
    let asker = Asker::onlooker();
    let seen = gluster::seen(context, &asker, volume.cluster, volume.key()).await.map_err(not_seen)?;
    let heal = match volume.layout {
        bricklayer_proto::task::Layout::Distribute => None,
        _ => Some(gluster::heal(context, &asker, volume.cluster, volume.key()).await.map_err(not_seen)?),
    };
    let topology = context.state.read();
    let bricks = volume.bricks.iter().map(|brick| {
        let address = gluster::address_of(&topology, brick).map_err(not_seen)?;
        let process = seen.iter().flat_map(|seen| &seen.bricks).find(|seen| seen.address == address);
        let healing = heal.iter().flat_map(|heal| &heal.bricks).find(|heal| heal.address == address);
        let online = process.and_then(|seen| seen.online).or(healing.map(|heal| heal.online)).unwrap_or(false);
        let pending = healing.and_then(|heal| heal.pending);
        Ok(BrickHealth { brick: brick.id, address, online, pending })
    });
    Ok(VolumeHealth { bricks: bricks.collect::<Result<_, Rejected>>()? })
}

pub async fn rebalance(context: &Context, id: VolumeId) -> Result<RebalanceReport, Rejected> {
    let volume = volume(context, id)?;
    let look = Wanted::RebalanceSeen(volume.key());
    gluster::movement(context, &Asker::onlooker(), volume.cluster, look).await.map_err(not_seen)
}

pub async fn rebalance_start(context: &Context, id: VolumeId) -> Result<RebalanceReport, Rejected> {
    let volume = volume(context, id)?;
    let start = Wanted::RebalanceStarted(volume.key());
    gluster::ask_as(context, &Asker::onlooker(), volume.cluster, start).await.map_err(not_seen)?;
    rebalance(context, id).await
}

fn volume(context: &Context, id: VolumeId) -> Result<Volume, Rejected> {
    let topology = context.state.read();
    let volume = topology.volumes.get(&id).ok_or(Rejected::NotFound)?;
    match volume.trash {
        Some(_) => Err(Rejected::InTrash { name: volume.name.clone() }),
        None => Ok(Volume::clone(volume)),
    }
}

fn not_seen(error: StepError) -> Rejected {
    Rejected::NotSeen(error.to_string())
}
