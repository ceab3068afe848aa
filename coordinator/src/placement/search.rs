//! Which numbers of brick sets are tried, in heketi's order, and the largest volume that any of them can hold.

use bricklayer_proto::size::{ByteSize, GIB, KIB};
use bricklayer_proto::task::Layout;

use super::assign::{SetShape, Unplaced, assign, fits};
use super::ground::Ground;
use super::refusal::{Attempt, Ended};
use super::{AVERAGE_FILE_SIZE, Candidate, LEAST_ARBITER, Placement, Pool, Refusal, Wish};

/// Chooses a device for every brick.
///
/// Tried are 1, 2, 4, 8... sets, as heketi does, so that the fewest sets win; for each of them a placement is found if
/// one exists. Two bricks of a set never share a node.
///
/// # Errors
/// Where nothing fits: says of each device why, and what would fit.
pub fn place(wish: &Wish, candidates: &[Candidate]) -> Result<Placement, Box<Refusal>> {
    place_on(wish, &Pool::of_eligible(wish, candidates), || candidates.iter())
}

/// As [`place`], with the devices of a pool.
///
/// # Errors
/// As there.
pub fn place_in(wish: &Wish, pool: &Pool) -> Result<Placement, Box<Refusal>> {
    place_on(wish, pool, || pool.candidates())
}

/// `all`: for the refusal.
fn place_on<'a, All>(wish: &Wish, pool: &Pool, all: impl FnOnce() -> All) -> Result<Placement, Box<Refusal>>
where
    All: Iterator<Item = &'a Candidate>,
{
    let ground = Ground::new(wish, pool);
    search(&ground, wish).map_err(|attempts| Box::new(Refusal::new(wish, attempts, all(), largest_on(&ground, wish))))
}

/// [`place_in`] for whoever does not ask why not, which costs more than the answer.
pub(super) fn try_place(wish: &Wish, pool: &Pool) -> Option<Placement> {
    search(&Ground::new(wish, pool), wish).ok()
}

fn search(ground: &Ground<'_>, wish: &Wish) -> Result<Placement, Vec<Attempt>> {
    let mut attempts = Vec::new();
    let mut sets = 1;
    loop {
        let brick = wish.brick_size(wish.size, sets);
        let ended = match wish.rules_out(brick, sets) {
            Some(ended) => ended,
            None => {
                let shape = SetShape::new(wish, brick);
                let placed = match usize::try_from(sets) {
                    Ok(sets) => assign(ground, wish, shape, sets),
                    Err(_) => Err(Unplaced::NoRoom),
                };
                match placed {
                    Ok(sets) => return Ok(Placement { brick_size: brick, sets }),
                    Err(Unplaced::NoRoom) => Ended::NoSpace,
                    Err(Unplaced::CutOff) => Ended::CutOff,
                }
            }
        };
        attempts.push(Attempt { sets, brick, ended });
        match ended {
            Ended::BrickTooLarge | Ended::NoSpace | Ended::CutOff => sets *= 2,
            // From here on bricks only get smaller and more.
            Ended::BrickTooSmall | Ended::TooManyBricks => break,
        }
    }
    Err(attempts)
}

/// The largest whole number of GiB that [`place`] would place with the same wish, whatever size that has; `None` where
/// nothing fits.
#[must_use]
pub fn largest(wish: &Wish, candidates: &[Candidate]) -> Option<ByteSize> {
    largest_in(wish, &Pool::of_eligible(wish, candidates))
}

/// As [`largest`], with the devices of a pool.
#[must_use]
pub fn largest_in(wish: &Wish, pool: &Pool) -> Option<ByteSize> {
    largest_on(&Ground::new(wish, pool), wish)
}

/// A smaller volume does not always fit where a larger one does: 8 GiB may go as eight bricks of 1 GiB, while 7 GiB
/// makes bricks of 1.75 GiB or none. But for one number of sets, what fits also fits smaller, down to the least brick.
fn largest_on(ground: &Ground<'_>, wish: &Wish) -> Option<ByteSize> {
    // A pool may have less than its brick.
    let most_free = u128::from(ground.most_free().whole_kib()) * u128::from(wish.over_commit.milli()) / 1000 + 1;
    let most_free = u64::try_from(most_free).unwrap_or(u64::MAX);
    let mut best: u64 = 0;
    let mut sets: u64 = 1;
    while wish.bricks(sets) <= u64::from(wish.limits.most_bricks) {
        // The brick is the size divided by this, rounded down to KiB.
        let parts = u128::from(sets) * u128::from(wish.data_bricks());
        let gib_of = |kib: u128| u64::try_from(kib * u128::from(KIB) / u128::from(GIB)).unwrap_or(u64::MAX);
        let most_brick = most_free.min(wish.limits.largest_brick.whole_kib());
        let most = gib_of((u128::from(most_brick) + 1) * parts - 1);
        let least = gib_of(u128::from(wish.least_brick_kib()) * parts + u128::from(GIB / KIB) - 1).max(best + 1);
        let fits = |gib: u64| {
            let (Some(size), Ok(sets_here)) = (ByteSize::from_gib(gib), usize::try_from(sets)) else { return false };
            fits(ground, wish, SetShape::new(wish, wish.brick_size(size, sets)), sets_here)
        };
        if least <= most && fits(least) {
            // `low` fits, nothing above `high` does.
            let (mut low, mut high) = (least, most);
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                if fits(middle) {
                    low = middle;
                } else {
                    high = middle - 1;
                }
            }
            best = low;
        }
        sets *= 2;
    }
    (best > 0).then(|| ByteSize::from_gib(best)).flatten()
}

impl Wish {
    /// heketi's division: whole KiB, rounded down.
    pub(super) fn brick_size(&self, size: ByteSize, sets: u64) -> ByteSize {
        let kib = size.whole_kib() / sets / self.data_bricks();
        ByteSize::from_kib(kib).unwrap_or(size)
    }

    /// Among how many bricks of a set the data is divided.
    pub(super) fn data_bricks(&self) -> u64 {
        match self.layout {
            Layout::Disperse { data, .. } => u64::from(data.max(1)),
            Layout::Distribute | Layout::Replicate { .. } | Layout::Arbiter => 1,
        }
    }

    /// One file takes an entry on the arbiter, of KiB: as many KiB as the data brick has files.
    pub(super) fn arbiter_size(&self, data_size: ByteSize) -> ByteSize {
        let average = match self.average_file_size.whole_kib() {
            0 => AVERAGE_FILE_SIZE.whole_kib(),
            kib => kib,
        };
        ByteSize::from_kib(data_size.whole_kib() / average).unwrap_or(data_size).max(LEAST_ARBITER)
    }

    /// Bricks that the volume would have.
    pub(super) fn bricks(&self, sets: u64) -> u64 {
        let per_set = u64::from(self.layout.bricks_per_set().max(1));
        sets.saturating_mul(per_set).saturating_add(u64::from(self.existing_bricks))
    }

    fn least_brick_kib(&self) -> u64 {
        self.limits.least_brick.bytes().div_ceil(KIB).max(1)
    }

    /// Why this is not even tried; in heketi's order.
    fn rules_out(&self, brick: ByteSize, sets: u64) -> Option<Ended> {
        if brick > self.limits.largest_brick {
            Some(Ended::BrickTooLarge)
        } else if brick.whole_kib() < self.least_brick_kib() {
            Some(Ended::BrickTooSmall)
        } else if self.bricks(sets) > u64::from(self.limits.most_bricks) {
            Some(Ended::TooManyBricks)
        } else {
            None
        }
    }
}
