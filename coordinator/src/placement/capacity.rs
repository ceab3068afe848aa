//! What still fits into a cluster, and into parts of it.

use std::collections::BTreeMap;

use bricklayer_proto::size::ByteSize;

use super::search::largest_in;
use super::{Candidate, Pool, Standing, Wish};

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

/// A part of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Zone(u32),
    /// The devices whose tag of this name has this value.
    Tag(String, String),
}

/// By what a cluster is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    Zones,
    Tags,
}

/// Whatever size the wish has.
#[must_use]
pub fn capacity(wish: &Wish, candidates: &[Candidate]) -> Capacity {
    capacity_in(wish, &Pool::of(candidates.iter()))
}

/// As [`capacity`], with the devices of a pool.
#[must_use]
pub fn capacity_in(wish: &Wish, pool: &Pool) -> Capacity {
    let mut capacity =
        Capacity { largest: largest_in(wish, pool), devices: 0, free: ByteSize::ZERO, kept: ByteSize::ZERO };
    for candidate in taking(wish, pool) {
        capacity.devices += 1;
        capacity.free = sum(capacity.free, candidate.space.free_bytes());
        capacity.kept = sum(capacity.kept, candidate.space.kept_bytes());
    }
    capacity
}

/// The same of each part by itself: as if there were no other.
#[must_use]
pub fn capacity_of_parts(wish: &Wish, pool: &Pool, parts: Parts) -> Vec<(Part, Capacity)> {
    let mut devices: BTreeMap<Part, Vec<&Candidate>> = BTreeMap::new();
    for candidate in taking(wish, pool) {
        match parts {
            Parts::Zones => devices.entry(Part::Zone(candidate.zone)).or_default().push(candidate),
            Parts::Tags => {
                for (key, value) in &candidate.tags {
                    devices.entry(Part::Tag(key.clone(), value.clone())).or_default().push(candidate);
                }
            }
        }
    }
    let of = |devices: Vec<&Candidate>| capacity_in(wish, &Pool::of(devices.into_iter()));
    devices.into_iter().map(|(part, devices)| (part, of(devices))).collect()
}

fn taking<'a>(wish: &'a Wish, pool: &'a Pool) -> impl Iterator<Item = &'a Candidate> {
    pool.candidates().filter(|candidate| {
        candidate.standing == Standing::Ready
            && wish.is_made_by(candidate.thin_only)
            && wish.unmatched(&candidate.tags).is_none()
    })
}

fn sum(one: ByteSize, other: ByteSize) -> ByteSize {
    ByteSize::from_bytes(one.bytes().saturating_add(other.bytes()))
}
