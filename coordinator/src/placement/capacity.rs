//! What still fits into a cluster.

use bricklayer_proto::size::ByteSize;

use super::{Candidate, Standing, Wish, largest};

/// The most that some devices can still take of one kind of volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The largest volume, in whole GiB; `None` where none fits, however small.
    pub largest: Option<ByteSize>,
    /// Devices that may take its bricks.
    pub devices: usize,
    /// What those have free, together.
    pub free: ByteSize,
    /// What they have besides, and the policy keeps free.
    pub kept: ByteSize,
}

/// Whatever size the wish has.
#[must_use]
pub fn capacity(wish: &Wish, candidates: &[Candidate]) -> Capacity {
    let takes = |candidate: &&Candidate| {
        candidate.standing == Standing::Ready
            && wish.is_made_by(candidate.thin_only)
            && wish.unmatched(&candidate.tags).is_none()
    };
    let taking = || candidates.iter().filter(takes);
    Capacity {
        largest: largest(wish, candidates),
        devices: taking().count(),
        free: taking().map(|candidate| candidate.space.free_bytes()).sum(),
        kept: taking().map(|candidate| candidate.space.kept_bytes()).sum(),
    }
}
