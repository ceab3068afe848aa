//! Deleted volumes that are kept, and volumes that may not be deleted.

use bricklayer_coordinator::model::{Topology, Volume};
use bricklayer_coordinator::ops::{Keep, Operations, Rejected};
use bricklayer_proto::ids::{OperationId, VolumeId};
use jiff::SignedDuration;

use crate::histories::chance::Chance;

#[derive(Clone, Debug)]
pub enum Trash {
    /// Deletes the volume, and keeps its bricks for a while.
    Keep {
        volume: VolumeId,
        seconds: i64,
    },
    /// Takes it out again.
    Undelete {
        volume: VolumeId,
    },
    /// Ends it before its time.
    End {
        volume: VolumeId,
    },
    Protect {
        volume: VolumeId,
        protected: bool,
    },
}

/// Some end while much goes wrong, some when nothing does any more, and some not at all.
const KEPT_SECONDS: [i64; 4] = [1, 5, 60, 7 * 24 * 3600];

impl Trash {
    #[must_use]
    pub fn any(topology: &Topology, chance: &mut Chance) -> Option<Self> {
        let volumes: Vec<&Volume> = topology.volumes.values().map(AsRef::as_ref).collect();
        let trashed: Vec<&Volume> = volumes.iter().copied().filter(|volume| volume.trash.is_some()).collect();
        let some = *chance.of_these(&volumes)?;
        let kept = chance.of_these(&trashed).copied().unwrap_or(some).id;
        let volume = some.id;
        Some(match chance.number(0..=9) {
            0..=3 => Self::Keep { volume, seconds: *chance.of_these(&KEPT_SECONDS)? },
            4 | 5 => Self::Undelete { volume: kept },
            6 => Self::End { volume: kept },
            7 | 8 => Self::Protect { volume, protected: true },
            _ => Self::Protect { volume, protected: false },
        })
    }

    pub async fn ask(self, operations: &Operations) -> Result<OperationId, Rejected> {
        match self {
            Self::Keep { volume, seconds } => {
                operations.volume_delete(volume, Keep::For(SignedDuration::from_secs(seconds))).await
            }
            Self::Undelete { volume } => operations.volume_undelete(volume).await,
            Self::End { volume } => operations.trash_end(volume).await,
            Self::Protect { volume, protected } => operations.volume_protect(volume, protected).await,
        }
    }
}
