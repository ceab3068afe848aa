//! Block volumes and the volumes that host them.

use bricklayer_coordinator::model::{BlockRestriction, BlockVolume, Topology, Volume};
use bricklayer_coordinator::ops::{BlockWish, Operations, Rejected};
use bricklayer_proto::ids::{BlockVolumeId, OperationId, VolumeId};
use bricklayer_proto::size::{ByteSize, GIB};

use crate::histories::chance::Chance;

#[derive(Clone, Debug)]
pub enum Blocks {
    Create {
        gib: u64,
        ha: u32,
        auth: bool,
        named: bool,
    },
    /// To this size.
    Expand {
        block: BlockVolumeId,
        gib: u64,
    },
    Delete {
        block: BlockVolumeId,
    },
    Restrict {
        volume: VolumeId,
        to: BlockRestriction,
    },
}

impl Blocks {
    #[must_use]
    pub fn any(topology: &Topology, chance: &mut Chance) -> Self {
        let blocks: Vec<&BlockVolume> = topology.block_volumes.values().map(AsRef::as_ref).collect();
        let hosting: Vec<&Volume> =
            topology.volumes.values().map(AsRef::as_ref).filter(|volume: &&Volume| volume.block).collect();
        let block = chance.of_these(&blocks).map(|block| (block.id, block.size.whole_gib()));
        let volume = chance.of_these(&hosting).map(|volume| volume.id);
        match (chance.number(0..=9), block, volume) {
            (4 | 5, Some((block, size)), _) => Self::Expand { block, gib: size + chance.number(0..=2) },
            (6..=8, Some((block, _)), _) => Self::Delete { block },
            (9, _, Some(volume)) => {
                let to = if chance.one_in(2) { BlockRestriction::Locked } else { BlockRestriction::None };
                Self::Restrict { volume, to }
            }
            _ => Self::Create {
                gib: chance.number(1..=2),
                ha: u32::try_from(chance.number(0..=3)).unwrap_or_default(),
                auth: chance.one_in(2),
                named: chance.one_in(3),
            },
        }
    }

    pub async fn ask(self, operations: &Operations) -> Result<OperationId, Rejected> {
        let size = |gib| ByteSize::from_bytes(gib * GIB);
        match self {
            Self::Create { gib, ha, auth, named } => {
                let wish = BlockWish {
                    name: named.then(|| "named".parse().expect("a name")),
                    size: size(gib),
                    clusters: Vec::new(),
                    ha,
                    auth,
                    hosting_options: Vec::new(),
                };
                operations.block_create(wish).await
            }
            Self::Expand { block, gib } => operations.block_expand(block, size(gib)).await,
            Self::Delete { block } => operations.block_delete(block).await,
            Self::Restrict { volume, to } => operations.block_restrict(volume, to).await,
        }
    }
}
