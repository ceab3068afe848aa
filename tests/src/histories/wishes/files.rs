//! Volumes and their bricks.

use bricklayer_coordinator::model::{Durability, Snapshot, Topology, Volume};
use bricklayer_coordinator::ops::{Keep, Operations, Rejected, ReplaceRequest, VolumeWish};
use bricklayer_proto::ids::{BrickId, OperationId, VolumeId};
use bricklayer_proto::size::{ByteSize, GIB};
use bricklayer_proto::task::Layout;

use crate::histories::chance::Chance;

#[derive(Clone, Debug)]
pub enum Files {
    Create { layout: Layout, gib: u64, snapshots: bool, gid: u32, named: bool },
    Expand { volume: VolumeId, gib: u64 },
    Clone { volume: VolumeId },
    Delete { volume: VolumeId },
    Move { brick: BrickId, heal_check: bool },
}

impl Files {
    /// Something that makes sense in this state, most of the time.
    #[must_use]
    pub fn any(topology: &Topology, chance: &mut Chance) -> Self {
        let volumes: Vec<&Volume> = topology.volumes.values().map(|volume| &**volume).collect();
        let volume = chance.of_these(&volumes).map(|volume| (volume.id, volume.bricks.clone()));
        match (chance.number(0..=15), volume) {
            (7 | 8, Some((volume, _))) => Self::Expand { volume, gib: chance.number(1..=2) },
            (9 | 10, Some((volume, _))) => Self::Clone { volume },
            (11..=13, Some((volume, _))) => Self::Delete { volume },
            (14 | 15, Some((_, bricks))) => {
                let brick = bricks[chance.index(bricks.len())].id;
                Self::Move { brick, heal_check: chance.one_in(2) }
            }
            _ => Self::create(chance),
        }
    }

    #[must_use]
    pub fn create(chance: &mut Chance) -> Self {
        let layout = match chance.number(0..=9) {
            0..=4 => Layout::Replicate { replica: 3 },
            5 => Layout::Replicate { replica: 2 },
            6 => Layout::Arbiter,
            7 => Layout::Distribute,
            _ => Layout::Disperse { data: 2, redundancy: 1 },
        };
        let gid = if chance.one_in(3) { 2000 } else { 0 };
        Self::Create { layout, gib: chance.number(1..=4), snapshots: chance.one_in(3), gid, named: chance.one_in(4) }
    }

    /// What a creation asks for.
    #[must_use]
    pub fn wish(&self) -> Option<VolumeWish> {
        let Self::Create { layout, gib, snapshots, gid, named } = *self else { return None };
        let (layout, mut options) = match layout {
            Layout::Arbiter => (Layout::Replicate { replica: 3 }, vec!["user.heketi.arbiter true".to_owned()]),
            layout => (layout, Vec::new()),
        };
        if !snapshots && gib.is_multiple_of(2) {
            options.push("user.bricklayer.provisioning thick".to_owned());
        }
        let snapshot = Snapshot { enable: snapshots, factor_milli: if snapshots { 1500 } else { 1000 } };
        Some(VolumeWish {
            name: named.then(|| "named".parse().expect("a name")),
            size: ByteSize::from_bytes(gib * GIB),
            clusters: Vec::new(),
            layout,
            durability: Durability::default(),
            gid,
            options,
            block: false,
            snapshot,
        })
    }

    /// Asks for it, and answers the id of its operation: what a client is told.
    pub async fn ask(self, operations: &Operations) -> Result<OperationId, Rejected> {
        match self {
            create @ Self::Create { .. } => {
                let wish = create.wish().expect("it is one");
                operations.volume_create(wish).await
            }
            Self::Expand { volume, gib } => operations.volume_expand(volume, ByteSize::from_bytes(gib * GIB)).await,
            Self::Clone { volume } => operations.volume_clone(volume, None).await,
            Self::Delete { volume } => operations.volume_delete(volume, Keep::NotAtAll).await,
            Self::Move { brick, heal_check } => {
                operations.brick_replace(ReplaceRequest { brick, to: None, heal_check }).await
            }
        }
    }
}
