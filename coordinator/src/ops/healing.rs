//! Whether what is to be healed becomes less. GlusterFS's self-heal daemons miss at times that there is something, as after a power
//! cut, and look again after ten minutes only, unless they are told to.

use std::time::Duration;

use bricklayer_proto::task::HealReport;
use tokio::time::Instant;

/// Of all bricks that tell it.
pub fn left_to_heal(report: &HealReport) -> u64 {
    report.bricks.iter().filter_map(|brick| brick.pending).fold(0, u64::saturating_add)
}

/// What the looks at one volume, or one set, have found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Healing {
    entries: u64,
    /// Since when there have not been fewer.
    since: Option<Instant>,
}

impl Healing {
    /// Takes a look in; answers whether by it nothing has become less for so long. Then that begins anew.
    pub fn stands_still(&mut self, entries: u64, patience: Duration, now: Instant) -> bool {
        let moves = entries == 0 || self.entries == 0 || entries < self.entries;
        self.entries = entries;
        let since = *self.since.get_or_insert(now);
        let stands = !moves && now.duration_since(since) >= patience;
        if moves || stands {
            self.since = Some(now);
        }
        stands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// When the daemons are asked, of looks at these seconds with so many entries left.
    fn asked(looks: &[(u64, u64)]) -> Vec<u64> {
        let (begun, mut healing) = (Instant::now(), Healing::default());
        let due = |(second, entries): &(u64, u64)| {
            healing.stands_still(*entries, PATIENCE, begun + Duration::from_secs(*second)).then_some(*second)
        };
        looks.iter().filter_map(due).collect()
    }

    #[test]
    fn daemons_are_asked_by_the_time_that_nothing_moves_however_long_a_look_takes() {
        let quick: Vec<_> = (0..=70).step_by(2).map(|second| (second, 8)).collect();
        assert_eq!(asked(&quick), [30, 60]);
        assert_eq!(asked(&[(0, 808), (20, 808), (40, 808), (60, 808), (80, 808)]), [40, 80]);
    }

    #[test]
    fn what_moves_or_is_healed_is_left_alone() {
        let moving: Vec<_> = (0..100).step_by(10).map(|second| (second, 1000 - second)).collect();
        assert_eq!(asked(&moving), [0_u64; 0]);
        assert_eq!(asked(&[(0, 0), (40, 0), (80, 3), (90, 3)]), [0_u64; 0]);
    }
}
