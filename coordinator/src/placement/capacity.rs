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
}

/// Whatever size the wish has.
#[must_use]
pub fn capacity(wish: &Wish, candidates: &[Candidate]) -> Capacity {
    let takes = |candidate: &&Candidate| {
        candidate.standing == Standing::Ready
            && wish.tag_match.as_ref().is_none_or(|rule| rule.matches(&candidate.tags))
    };
    let free = candidates.iter().filter(takes).map(|candidate| candidate.space.free_bytes().bytes());
    Capacity {
        largest: largest(wish, candidates),
        devices: free.clone().count(),
        free: ByteSize::from_bytes(free.fold(0, u64::saturating_add)),
    }
}
