//! All chance of a history: what follows from its seed, and nothing else.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub struct Chance(StdRng);

impl Chance {
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub fn number(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    pub fn index(&mut self, below: usize) -> usize {
        self.0.random_range(0..below)
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.number(1..=times) == 1
    }

    pub fn of_these<'a, T>(&mut self, these: &'a [T]) -> Option<&'a T> {
        (!these.is_empty()).then(|| &these[self.index(these.len())])
    }

    pub fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }
}
