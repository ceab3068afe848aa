//! What others made becomes ours, and is given back.

use bricklayer_coordinator::adopt::Choices;
use bricklayer_coordinator::model::{Device, Topology, Volume};
use bricklayer_coordinator::ops::{AdoptFrom, Operations, Rejected, UnadoptWish};
use bricklayer_proto::ids::OperationId;
use bricklayer_proto::names::VolumeName;

use crate::histories::chance::Chance;
use crate::histories::world::by_hand;

#[derive(Clone, Debug)]
pub enum Adoption {
    /// Plans it, and applies the plan if nothing stands in the way.
    Take {
        volume: VolumeName,
    },
    GiveBack {
        what: UnadoptWish,
    },
}

impl Adoption {
    #[must_use]
    pub fn any(topology: &Topology, chance: &mut Chance) -> Self {
        let volumes: Vec<&Volume> =
            topology.volumes.values().map(AsRef::as_ref).filter(|volume: &&Volume| volume.is_adopted()).collect();
        let devices: Vec<&Device> =
            topology.devices.values().map(AsRef::as_ref).filter(|device: &&Device| device.adopted.is_some()).collect();
        let volume = chance.of_these(&volumes).map(|volume| UnadoptWish::Volume(volume.id));
        let device = chance.of_these(&devices).map(|device| UnadoptWish::Device(device.id));
        match (chance.number(0..=3), volume, device) {
            (0 | 1, Some(what), _) | (2, _, Some(what)) => Self::GiveBack { what },
            _ => Self::Take { volume: by_hand::volume() },
        }
    }

    /// `None`: something stands in the way, or it is ours already.
    pub async fn ask(self, operations: &Operations) -> Result<Option<OperationId>, Rejected> {
        match self {
            Self::Take { volume } => {
                let (_, plan) = operations.adoption(AdoptFrom::Volume(volume), &Choices::default()).await;
                match plan {
                    Some(plan) => operations.apply_plan(plan.id).await.map(Some),
                    None => Ok(None),
                }
            }
            Self::GiveBack { what } => operations.unadopt(what).await.map(Some),
        }
    }
}
