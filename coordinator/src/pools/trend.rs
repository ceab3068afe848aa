//! How fast a pool fills, from what was reported of it.

use bricklayer_proto::size::ByteSize;
use jiff::Timestamp;

use super::PoolSeen;

/// So few that a hundred thousand pools can be followed, so many that one odd report does not matter.
const MOST_SAMPLES: usize = 16;

/// What is closer together than this says nothing of a rate.
const LEAST_SPAN_SECONDS: f64 = 60.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: Timestamp,
    pub data: ByteSize,
    pub metadata: ByteSize,
}

/// Reports of one pool, oldest first. When there are too many every second one goes, so that it reaches further and
/// further back and stays small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    samples: Vec<Sample>,
    /// Seconds between two that are kept.
    pace: i64,
}

/// How fast, in bytes per second: negative where it empties.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    pub data: f64,
    pub metadata: f64,
}

impl History {
    /// The newest is always kept; of those before it, one in each pace.
    pub fn take(&mut self, at: Timestamp, seen: &PoolSeen) {
        let (Some(data), Some(metadata)) = (seen.used(), seen.metadata_used()) else { return };
        let sample = Sample { at, data, metadata };
        if self.samples.last().is_some_and(|last| last.at >= at) {
            // The clock was set back: what is known belongs to another time.
            self.samples.clear();
        }
        if let [.., before, last] = self.samples[..]
            && last.at.duration_since(before.at).as_secs() < self.pace
        {
            self.samples.pop();
        }
        self.samples.push(sample);
        if self.samples.len() > MOST_SAMPLES {
            let first = self.samples[0].at;
            let span = at.duration_since(first).as_secs();
            self.pace = (span / (MOST_SAMPLES as i64 / 2)).max(1);
            let last = self.samples.len() - 1;
            let mut number = 0;
            self.samples.retain(|_| {
                number += 1;
                (number - 1) % 2 == 0 || number - 1 == last
            });
        }
    }

    /// The straight line that fits the reports best; `None` before there are enough of them.
    #[must_use]
    pub fn trend(&self) -> Option<Trend> {
        let first = self.samples.first()?.at;
        let seconds = |sample: &Sample| sample.at.duration_since(first).as_secs_f64();
        if seconds(self.samples.last()?) < LEAST_SPAN_SECONDS {
            return None;
        }
        let slope = |of: fn(&Sample) -> ByteSize| {
            #[expect(clippy::cast_precision_loss, reason = "a rate is an estimate")]
            let points: Vec<(f64, f64)> =
                self.samples.iter().map(|sample| (seconds(sample), of(sample).bytes() as f64)).collect();
            slope(&points)
        };
        Some(Trend { data: slope(|sample| sample.data), metadata: slope(|sample| sample.metadata) })
    }
}

fn slope(points: &[(f64, f64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), (x, y)| {
        (over + (x - mean_x) * (y - mean_y), under + (x - mean_x) * (x - mean_x))
    });
    if under > 0.0 { over / under } else { 0.0 }
}

/// When what is left is used up at this rate; `None` where it never is.
#[must_use]
pub fn seconds_to_full(size: ByteSize, used: ByteSize, rate: f64) -> Option<u64> {
    if rate <= 0.0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a time is an estimate")]
    let seconds = used.short_of(size).bytes() as f64 / rate;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturating at the top")]
    let seconds = seconds as u64;
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::DeviceId;
    use bricklayer_proto::size::{GIB, MIB};
    use proptest::prelude::*;

    use super::*;

    fn pool(gib: u64, percent: f64) -> PoolSeen {
        PoolSeen {
            device: DeviceId::from_u128(1),
            name: "tp_1".parse().unwrap(),
            size: ByteSize::from_bytes(gib * GIB),
            metadata: ByteSize::from_bytes(8 * MIB),
            data_percent: Some(percent),
            metadata_percent: Some(10.0),
            promised: ByteSize::from_bytes(2 * gib * GIB),
            volumes: 2,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_pool_that_fills_by_a_gib_per_hour_is_told_when_it_is_full() {
        let mut history = History::default();
        for minute in 0..=60_i32 {
            history.take(at(i64::from(minute) * 60), &pool(100, 50.0 + f64::from(minute) / 60.0));
        }
        let trend = history.trend().unwrap();
        let per_hour = trend.data * 3600.0 / 1024.0_f64.powi(3);
        assert!((per_hour - 1.0).abs() < 0.02, "{per_hour}");
        assert!(trend.metadata.abs() < 0.001, "{trend:?}");
        let left =
            seconds_to_full(ByteSize::from_bytes(100 * GIB), ByteSize::from_bytes(51 * GIB), trend.data).unwrap();
        assert!((left / 3600).abs_diff(49) <= 1, "{left}");
    }

    #[test]
    fn two_reports_within_a_minute_say_nothing_and_an_emptying_pool_is_never_full() {
        let mut history = History::default();
        history.take(at(0), &pool(1, 10.0));
        assert_eq!(history.trend(), None);
        history.take(at(30), &pool(1, 20.0));
        assert_eq!(history.trend(), None);
        history.take(at(90), &pool(1, 5.0));
        let rate = history.trend().unwrap().data;
        assert!(rate < 0.0);
        assert_eq!(seconds_to_full(ByteSize::from_bytes(GIB), ByteSize::ZERO, rate), None);
    }

    #[test]
    fn a_clock_that_was_set_back_begins_anew() {
        let mut history = History::default();
        history.take(at(1000), &pool(1, 10.0));
        history.take(at(2000), &pool(1, 20.0));
        history.take(at(10), &pool(1, 30.0));
        assert_eq!(history.trend(), None);
    }

    proptest! {
        #[test]
        fn it_stays_small_and_ends_with_the_newest(steps in prop::collection::vec((1..4000_i64, 0..10_000_u32), 1..400)) {
            let mut history = History::default();
            let mut now = 0;
            for (step, hundredths) in steps {
                now += step;
                history.take(at(now), &pool(10, f64::from(hundredths) / 100.0));
                prop_assert!(history.samples.len() <= MOST_SAMPLES);
                prop_assert_eq!(history.samples.last().unwrap().at, at(now));
                prop_assert!(history.samples.windows(2).all(|two| two[0].at < two[1].at));
            }
        }
    }
}
