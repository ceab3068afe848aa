//! How long to wait before the next attempt.

use std::time::Duration;

use super::Timing;

pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(timing: Timing) -> Self {
        Self { first: timing.first_pause, longest: timing.longest_pause, next: timing.first_pause }
    }

    /// Half of it is certain, half is chance.
    pub fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause.mul_f64(rand::random_range(0.5..=1.0))
    }

    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew_after_a_success() {
        let timing =
            Timing { first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(30), ..Timing::default() };
        let mut backoff = Backoff::new(timing);
        for most in [1, 2, 4, 8, 16, 30, 30] {
            let pause = backoff.next();
            assert!(
                pause <= Duration::from_secs(most) && pause * 2 >= Duration::from_secs(most),
                "{pause:?} of {most}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }
}
