//! How well the bricks of a cluster lie, as one number with its parts, and the moves that would better it most per byte.
//!
//! | part | weight | what it is the share of |
//! |---|---|---|
//! | strength | 40 | brick sets of which all bricks are there |
//! | rules | 30 | brick sets that keep every rule of today, as the audit has them |
//! | spread | 15 | zones that the bricks of sets lie in, of those that they could lie in |
//! | balance | 15 | bytes in use that would lie where they are if all devices were equally full |
//!
//! A move is one of [`super::replace`]'s: what it proposes has a place, also after the moves before it. What those free is
//! not counted on as room, as an old brick stays until its set is healed; the score counts it as free.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bricklayer_proto::ids::{DeviceId, VolumeId};
use bricklayer_proto::size::{ByteSize, Extents};

use super::audit::{Move, SetStanding, Trial};
use super::{Candidate, Standing, ledger};

/// So many bricks are tried for each move at the most: those that break rules, then those on the fullest devices.
const MOST_TRIED: usize = 500;

/// A share of something, of which there may be nothing: that is as good as all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub good: u128,
    pub of: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Strength,
    Rules,
    Spread,
    Balance,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Strength, Self::Rules, Self::Spread, Self::Balance];

    /// Of 100.
    #[must_use]
    pub fn weight(self) -> u32 {
        match self {
            Self::Strength => 40,
            Self::Rules => 30,
            Self::Spread | Self::Balance => 15,
        }
    }

    /// One word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Strength => "strength",
            Self::Rules => "rules",
            Self::Spread => "spread",
            Self::Balance => "balance",
        }
    }
}

impl Share {
    /// In millionths.
    #[must_use]
    pub fn millionths(self) -> u64 {
        const ONE: u64 = 1_000_000;
        let share = self.good.saturating_mul(ONE.into()).checked_div(self.of);
        share.and_then(|share| u64::try_from(share).ok()).unwrap_or(ONE)
    }
}

/// Of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    pub parts: BTreeMap<Part, Share>,
}

impl Score {
    /// In millionths of 100 points.
    #[must_use]
    pub fn millionths(&self) -> u64 {
        let sum = self.parts.iter().map(|(part, share)| share.millionths() * u64::from(part.weight()));
        sum.sum::<u64>() / 100
    }
}

/// A move, and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Improvement {
    pub volume: VolumeId,
    pub set: u32,
    pub moved: Move,
    /// The score once it is made, after those before it.
    pub after: u64,
}

/// The score as things stand, and up to so many moves, each the one that betters it most per byte that it copies.
#[must_use]
pub fn score(sets: &[SetStanding], candidates: &[Candidate], most: usize) -> (Score, Vec<Improvement>) {
    let mut look = Look::new(sets, candidates);
    let before = look.score();
    let mut moves = Vec::new();
    while moves.len() < most {
        let Some(best) = look.best() else { break };
        moves.push(look.make(best));
    }
    (before, moves)
}

/// Sets and devices as they would be after the moves so far.
struct Look<'a> {
    sets: &'a [SetStanding],
    places: Vec<Vec<DeviceId>>,
    trial: Trial,
    used: BTreeMap<DeviceId, Used>,
    all_used: u128,
    all: u128,
    zones: usize,
    now: Vec<SetScore>,
    sum: SetSums,
    astray: u128,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    used: u128,
    of: u128,
}

/// What a set contributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SetScore {
    strong: bool,
    keeps: bool,
    zones: usize,
    could: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct SetSums {
    strong: usize,
    keeps: usize,
    zones: usize,
    could: usize,
}

struct Choice {
    set: usize,
    brick: usize,
    to: super::Placed,
    /// In millionths.
    after: u64,
}

impl<'a> Look<'a> {
    fn new(sets: &'a [SetStanding], candidates: &[Candidate]) -> Self {
        let counts =
            |one: &&Candidate| !matches!(one.standing, Standing::DeviceFailed | Standing::NodeFailed | Standing::Lost);
        let used: BTreeMap<DeviceId, Used> = candidates
            .iter()
            .filter(counts)
            .map(|one| {
                let (space, free) = (&one.space, one.space.keeping_nothing().free);
                let bytes = |extents: Extents| u128::from(ledger::bytes(extents, space.extent_size).bytes());
                (one.device, Used { used: bytes(space.total).saturating_sub(bytes(free)), of: bytes(space.total) })
            })
            .collect();
        let takes = candidates.iter().filter(|one| one.standing == Standing::Ready);
        let zones = takes.map(|one| one.zone).collect::<BTreeSet<_>>().len();
        let mut look = Self {
            sets,
            places: sets.iter().map(|set| set.bricks.iter().map(|brick| brick.device).collect()).collect(),
            trial: Trial::new(candidates.iter()),
            all_used: used.values().map(|one| one.used).sum(),
            all: used.values().map(|one| one.of).sum(),
            used,
            zones,
            now: Vec::new(),
            sum: SetSums::default(),
            astray: 0,
        };
        look.now = (0..sets.len()).map(|set| look.set_score(set, &look.places[set])).collect();
        look.sum = look.now.iter().fold(SetSums::default(), |sum, one| sum.with(one));
        look.astray = look.used.values().map(|one| look.astray(*one)).sum();
        look
    }

    /// What a device has beyond its share, times all bytes: whole numbers stay exact so.
    fn astray(&self, one: Used) -> u128 {
        astray(one, self.all_used, self.all)
    }

    fn set_score(&self, set: usize, places: &[DeviceId]) -> SetScore {
        let standing = &self.sets[set];
        let there = |(at, place): (usize, &DeviceId)| {
            let lost = standing.bricks[at].lost && standing.bricks[at].device == *place;
            !lost && self.trial.candidate(*place).is_some_and(|one| one.standing.serves())
        };
        let hard = |at: usize| self.trial.faults(standing, at, places).iter().any(|fault| fault.is_hard());
        let zones: BTreeSet<u32> = places.iter().filter_map(|place| Some(self.trial.candidate(*place)?.zone)).collect();
        SetScore {
            strong: places.iter().enumerate().all(there),
            keeps: !(0..places.len()).any(hard),
            zones: zones.len(),
            could: places.len().min(self.zones.max(zones.len())),
        }
    }

    fn score(&self) -> Score {
        score_of(self.sets.len(), self.sum, self.all_used * self.all, self.astray)
    }

    /// The bricks that are worth a try: those of sets that break rules or could be wider, and those on devices that are
    /// fuller than the whole, the fullest first.
    fn worth_a_try(&self) -> Vec<(usize, usize)> {
        let mut all: Vec<_> = Vec::new();
        for (set, (now, places)) in self.now.iter().zip(&self.places).enumerate() {
            let better = !now.strong || !now.keeps || now.zones < now.could;
            for (brick, place) in places.iter().enumerate() {
                let astray = self.used.get(place).map_or(0, |one| self.astray(*one));
                if better || astray > 0 {
                    all.push((!better, Reverse(astray), self.sets[set].bricks[brick].brick, (set, brick)));
                }
            }
        }
        all.sort_unstable();
        all.into_iter().take(MOST_TRIED).map(|(.., at)| at).collect()
    }

    /// The move that betters the score most per byte; none where none does.
    fn best(&self) -> Option<Choice> {
        let before = self.score().millionths();
        let mut best: Option<(Choice, u64, u64)> = None;
        for (set, brick) in self.worth_a_try() {
            let Some(choice) = self.choice(set, brick) else { continue };
            let Some(gain) = choice.after.checked_sub(before).filter(|gain| *gain > 0) else { continue };
            let bytes = choice.to.asked.bytes().max(1);
            let is_better = best
                .as_ref()
                .is_none_or(|(_, most, of)| u128::from(gain) * u128::from(*of) > u128::from(*most) * u128::from(bytes));
            if is_better {
                best = Some((choice, gain, bytes));
            }
        }
        best.map(|(choice, ..)| choice)
    }

    fn choice(&self, set: usize, brick: usize) -> Option<Choice> {
        let to = self.trial.choose(&self.sets[set], brick, &self.places[set]).ok()?;
        let (from, to_device) = (self.places[set][brick], to.device);
        let mut places = self.places[set].clone();
        places[brick] = to_device;
        let sum = self.sum.without(&self.now[set]).with(&self.set_score(set, &places));
        let (all_used, astray) = self.balance_after(from, to_device, self.bytes(&to));
        let after = score_of(self.sets.len(), sum, all_used * self.all, astray).millionths();
        Some(Choice { set, brick, to, after })
    }

    /// What all devices have in use, and what of it lies astray, once so much has gone from one device to another.
    fn balance_after(&self, from: DeviceId, to: DeviceId, moved: u128) -> (u128, u128) {
        let more = |one: Used| Used { used: one.used + moved, ..one };
        match (self.used.get(&from), self.used.get(&to)) {
            (Some(a), Some(b)) => {
                let (less, more) = (Used { used: a.used.saturating_sub(moved), ..*a }, more(*b));
                let astray = self.astray + self.astray(less) + self.astray(more) - self.astray(*a) - self.astray(*b);
                (self.all_used, astray)
            }
            // Off a device that does not count any more: there is more in use on those that do, and each has another share.
            (None, Some(_)) => {
                let all_used = self.all_used + moved;
                let now = self.used.iter().map(|(device, one)| if *device == to { more(*one) } else { *one });
                (all_used, now.map(|one| astray(one, all_used, self.all)).sum())
            }
            (_, None) => (self.all_used, self.astray),
        }
    }

    fn bytes(&self, to: &super::Placed) -> u128 {
        let one = self.trial.candidate(to.device).map(|one| one.space.extent_size);
        let taken = to.space.taken().zip(one).map_or(ByteSize::ZERO, |(taken, one)| ledger::bytes(taken, one));
        u128::from(taken.bytes())
    }

    fn make(&mut self, choice: Choice) -> Improvement {
        let Choice { set, brick, to, .. } = choice;
        let (from, moved) = (self.places[set][brick], self.bytes(&to));
        (self.all_used, self.astray) = self.balance_after(from, to.device, moved);
        if let Some(one) = self.used.get_mut(&from) {
            one.used = one.used.saturating_sub(moved);
        }
        if let Some(one) = self.used.get_mut(&to.device) {
            one.used += moved;
        }
        let standing = &self.sets[set];
        let done = self.trial.take(&standing.bricks[brick], to, from);
        self.places[set][brick] = to.device;
        let score = self.set_score(set, &self.places[set]);
        self.sum = self.sum.without(&self.now[set]).with(&score);
        self.now[set] = score;
        Improvement { volume: standing.volume, set: standing.set, moved: done, after: self.score().millionths() }
    }
}

fn astray(one: Used, all_used: u128, all: u128) -> u128 {
    (one.used * all).saturating_sub(all_used * one.of)
}

/// `used`: bytes in use times all bytes, as `astray` is.
fn score_of(sets: usize, sum: SetSums, used: u128, astray: u128) -> Score {
    let share = |good: usize, of: usize| Share { good: wide(good), of: wide(of) };
    let parts = [
        (Part::Strength, share(sum.strong, sets)),
        (Part::Rules, share(sum.keeps, sets)),
        (Part::Spread, share(sum.zones, sum.could)),
        (Part::Balance, Share { good: used.saturating_sub(astray) >> 40, of: used >> 40 }),
    ];
    Score { parts: parts.into() }
}

fn wide(count: usize) -> u128 {
    u128::try_from(count).unwrap_or(u128::MAX)
}

impl SetSums {
    fn with(self, one: &SetScore) -> Self {
        Self {
            strong: self.strong + usize::from(one.strong),
            keeps: self.keeps + usize::from(one.keeps),
            zones: self.zones + one.zones,
            could: self.could + one.could,
        }
    }

    fn without(self, one: &SetScore) -> Self {
        Self {
            strong: self.strong - usize::from(one.strong),
            keeps: self.keeps - usize::from(one.keeps),
            zones: self.zones - one.zones,
            could: self.could - one.could,
        }
    }
}

#[cfg(test)]
mod tests;
