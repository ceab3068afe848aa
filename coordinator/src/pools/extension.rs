//! Whether a pool is extended, and to what.
//!
//! To an absolute size, so that a repeat changes nothing, and only out of extents that nobody was promised.

use std::fmt;

use bricklayer_proto::names::VolumeName;
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::BrickSpace;

use super::{DATA_MARKS, METADATA_MARKS, PoolSeen};
use crate::placement::{DeviceSpace, PoolsAtMost};

/// What an installation decides about pools that fill up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolPolicy {
    /// Whether pools are extended at all. They are watched anyway.
    pub extend: bool,
    /// By how many per cent of its size at a time.
    pub step_percent: u64,
    /// The most that a pool may have, where no policy says it.
    pub most: PoolsAtMost,
    /// So many per cent of a device's extents are left free by extensions.
    pub keep_free_percent: u64,
}

impl Default for PoolPolicy {
    fn default() -> Self {
        Self { extend: true, step_percent: 20, most: PoolsAtMost::default(), keep_free_percent: 5 }
    }
}

/// How far a pool may be extended, and who says so. Of a pool that several volumes share the least that one of them allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Most {
    pub factor: PoolsAtMost,
    pub said_by: SaidBy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaidBy {
    Volume(VolumeName),
    Cluster,
    Installation,
    Configuration,
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said_by {
            SaidBy::Volume(name) => write!(f, "the policy of volume {name} (pools_at_most {})", self.factor),
            SaidBy::Cluster => write!(f, "the policy of the cluster (pools_at_most {})", self.factor),
            SaidBy::Installation => write!(f, "the policy of the installation (pools_at_most {})", self.factor),
            SaidBy::Configuration => write!(f, "pools.most_factor ({})", self.factor),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is not full enough, or cannot overflow.
    Leave,
    /// To these sizes.
    Extend(BrickSpace),
    Cannot(Hindrance),
}

/// Why a pool that fills up is not extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    SwitchedOff,
    /// It has the most that it may have.
    AtMost {
        has: ByteSize,
        most: Most,
    },
    /// LVM takes no more metadata.
    MetadataAtMost,
    /// The device has not the room beside what is to stay free.
    NoRoom {
        free: ByteSize,
        kept: ByteSize,
    },
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchedOff => f.write_str("pools are not extended here: pools.extend is false"),
            Self::AtMost { has, most } => write!(f, "it has {has}, the most that {most} allows it"),
            Self::MetadataAtMost => f.write_str("LVM takes no more metadata for a pool"),
            Self::NoRoom { free, kept } => {
                write!(f, "its device has {free} free, and {kept} are left free (pools.keep_free_percent)")
            }
        }
    }
}

/// Of a pool that fills up. `space`: as the records have it, which is what LVM has; where the two differ something is
/// under way, or was done by hand, and the pool is left.
#[must_use]
pub fn decide(pool: &PoolSeen, space: &BrickSpace, device: &DeviceSpace, policy: &PoolPolicy, most: &Most) -> Decision {
    let one = device.extent_size;
    let as_recorded =
        space.pool.to_bytes(one) == Some(pool.size) && space.metadata.to_bytes(one) == Some(pool.metadata);
    let more_data = pool.can_overflow() && pool.data_percent.is_some_and(|percent| percent >= DATA_MARKS[0]);
    let more_metadata = pool.metadata_percent.is_some_and(|percent| percent >= METADATA_MARKS[0]);
    if !as_recorded || !(more_data || more_metadata) {
        return Decision::Leave;
    }
    if !policy.extend {
        return Decision::Cannot(Hindrance::SwitchedOff);
    }
    let data = if more_data { larger_data(pool, space, one, policy, most) } else { Ok(space.pool) };
    let metadata = if more_metadata { larger_metadata(space, one) } else { Ok(space.metadata) };
    // One of the two may be extended though the other cannot.
    let (data, metadata) = match (data, metadata) {
        (Ok(data), Ok(metadata)) => (data, metadata),
        (Ok(data), Err(_)) if more_data => (data, space.metadata),
        (Err(_), Ok(metadata)) if more_metadata => (space.pool, metadata),
        (Err(why), _) | (_, Err(why)) => return Decision::Cannot(why),
    };
    let kept = Extents::new(device.total.count() / 100 * policy.keep_free_percent);
    fitting(space, data, metadata, device, kept).map_or_else(
        || {
            let bytes = |extents: Extents| extents.to_bytes(one).unwrap_or_default();
            Decision::Cannot(Hindrance::NoRoom { free: bytes(device.free), kept: bytes(kept) })
        },
        Decision::Extend,
    )
}

/// A step further, and as far that it is below the mark by then. Never beyond what its volumes may hold together.
fn larger_data(
    pool: &PoolSeen,
    space: &BrickSpace,
    one: ExtentSize,
    policy: &PoolPolicy,
    most: &Most,
) -> Result<Extents, Hindrance> {
    let size = space.pool.count();
    let step = size.saturating_mul(policy.step_percent).div_ceil(100).max(1);
    // Ten per cent below the mark: 60.
    let below = pool.used().unwrap_or_default().to_extents(one).count().saturating_mul(100).div_ceil(60);
    let allowed = most.factor.of(space.volume).count();
    let to = size.saturating_add(step).max(below).min(pool.promised.to_extents(one).count()).min(allowed);
    if to > size { Ok(Extents::new(to)) } else { Err(Hindrance::AtMost { has: pool.size, most: most.clone() }) }
}

/// Twice as much: it is small, and what fills it, snapshots, comes in bursts.
fn larger_metadata(space: &BrickSpace, one: ExtentSize) -> Result<Extents, Hindrance> {
    let most = bricklayer_proto::space::POOL_METADATA_MOST.whole_extents(one);
    let to = Extents::new(space.metadata.count().saturating_mul(2)).min(most);
    if to > space.metadata { Ok(to) } else { Err(Hindrance::MetadataAtMost) }
}

/// The largest of these steps for which there is room: the whole one, half of it, a quarter...
fn fitting(
    space: &BrickSpace,
    data: Extents,
    metadata: Extents,
    device: &DeviceSpace,
    kept: Extents,
) -> Option<BrickSpace> {
    let mut step = data.count() - space.pool.count();
    loop {
        let pool = Extents::new(space.pool.count() + step);
        // As much metadata as our own formula gives a pool of that size: LVM would else extend it by its estimate.
        let formula = BrickSpace::thin(ByteSize::ZERO, pool.to_bytes(device.extent_size)?, device.extent_size)?;
        let to = BrickSpace { pool, metadata: metadata.max(formula.metadata), ..*space };
        let changes = to.pool > space.pool || metadata > space.metadata;
        let left = device.after_growth(space, &to).filter(|left| left.free >= kept);
        match left {
            Some(_) if changes => return Some(to),
            Some(_) => return None,
            None if step == 0 => return None,
            None => step /= 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::DeviceId;
    use bricklayer_proto::size::GIB;
    use proptest::prelude::*;

    use super::*;

    const ONE: ExtentSize = ExtentSize::FOUR_MIB;

    fn space(gib: u64) -> BrickSpace {
        BrickSpace::thin(ByteSize::from_bytes(gib * GIB), ByteSize::from_bytes(gib * GIB), ONE).unwrap()
    }

    fn pool(space: &BrickSpace, data: f64, metadata: f64, promised_gib: u64) -> PoolSeen {
        PoolSeen {
            device: DeviceId::from_u128(1),
            name: "tp_1".parse().unwrap(),
            size: space.pool.to_bytes(ONE).unwrap(),
            metadata: space.metadata.to_bytes(ONE).unwrap(),
            data_percent: Some(data),
            metadata_percent: Some(metadata),
            promised: ByteSize::from_bytes(promised_gib * GIB),
            volumes: 2,
        }
    }

    fn device(free: u64) -> DeviceSpace {
        DeviceSpace {
            extent_size: ONE,
            total: Extents::new(10_000),
            free: Extents::new(free),
            spare: Extents::new(64),
            kept: Extents::ZERO,
        }
    }

    fn most(factor: &str, said_by: SaidBy) -> Most {
        Most { factor: factor.parse().unwrap(), said_by }
    }

    fn decided(pool: &PoolSeen, space: &BrickSpace, free: u64) -> Decision {
        decide(pool, space, &device(free), &PoolPolicy::default(), &most("3", SaidBy::Configuration))
    }

    #[test]
    fn a_pool_that_promises_no_more_than_it_has_is_left_however_full_it_is() {
        let eight = space(8);
        assert_eq!(decided(&pool(&eight, 99.9, 10.0, 8), &eight, 5000), Decision::Leave);
    }

    #[test]
    fn at_the_mark_it_gets_a_fifth_more_and_the_metadata_that_goes_with_it() {
        let eight = space(8);
        assert_eq!(decided(&pool(&eight, 69.9, 10.0, 16), &eight, 5000), Decision::Leave);
        let Decision::Extend(to) = decided(&pool(&eight, 70.0, 10.0, 16), &eight, 5000) else { panic!() };
        assert_eq!((to.pool.count(), to.volume), (2458, eight.volume));
        assert_eq!(to.metadata, space(10).metadata);
    }

    #[test]
    fn one_that_filled_at_once_gets_so_much_that_it_is_below_the_mark() {
        let eight = space(8);
        let Decision::Extend(to) = decided(&pool(&eight, 95.0, 10.0, 40), &eight, 9000) else { panic!() };
        assert!(0.95 * 2048.0 / f64::from(u32::try_from(to.pool.count()).unwrap()) < 0.61, "{to:?}");
    }

    #[test]
    fn metadata_is_doubled_where_it_fills_alone() {
        let eight = space(8);
        let Decision::Extend(to) = decided(&pool(&eight, 20.0, 60.0, 8), &eight, 5000) else { panic!() };
        assert_eq!((to.pool, to.metadata.count()), (eight.pool, eight.metadata.count() * 2));
    }

    #[test]
    fn what_stands_in_the_way_is_told() {
        let eight = space(8);
        let full = pool(&eight, 85.0, 10.0, 32);
        let kept = ByteSize::from_bytes(500 * ONE.bytes());
        let no_room = Hindrance::NoRoom { free: ByteSize::from_bytes(500 * ONE.bytes()), kept };
        assert_eq!(decided(&full, &eight, 500), Decision::Cannot(no_room));
        let off = PoolPolicy { extend: false, ..PoolPolicy::default() };
        let three = most("3", SaidBy::Configuration);
        assert_eq!(decide(&full, &eight, &device(5000), &off, &three), Decision::Cannot(Hindrance::SwitchedOff));
    }

    #[test]
    fn a_pool_goes_as_far_as_it_may_and_then_it_is_told_who_says_so() {
        let eight = space(8);
        let full = pool(&eight, 85.0, 10.0, 32);
        let with = |most: &Most| decide(&full, &eight, &device(5000), &PoolPolicy::default(), most);
        let Decision::Extend(to) = with(&most("1.1", SaidBy::Cluster)) else { panic!() };
        assert_eq!(to.pool.count(), 2048 * 11 / 10);
        for (said_by, text) in [
            (SaidBy::Volume("photos".parse().unwrap()), "the policy of volume photos (pools_at_most 1)"),
            (SaidBy::Cluster, "the policy of the cluster (pools_at_most 1)"),
            (SaidBy::Installation, "the policy of the installation (pools_at_most 1)"),
            (SaidBy::Configuration, "pools.most_factor (1)"),
        ] {
            let Decision::Cannot(why) = with(&most("1", said_by)) else { panic!("{text}") };
            assert_eq!(why.to_string(), format!("it has 8 GiB, the most that {text} allows it"));
        }
    }

    #[test]
    fn where_lvm_and_the_records_differ_nothing_is_done() {
        let eight = space(8);
        let by_hand = PoolSeen { size: ByteSize::from_bytes(9 * GIB), ..pool(&eight, 85.0, 10.0, 32) };
        assert_eq!(decided(&by_hand, &eight, 5000), Decision::Leave);
    }

    proptest! {
        #[test]
        fn no_extension_takes_what_is_to_stay_free_or_makes_anything_smaller(
            gib in 1..64_u64,
            data in 0.0..100.0_f64,
            metadata in 0.0..100.0_f64,
            promised in 1..200_u64,
            free in 0..10_000_u64,
            step in 1..300_u64,
            most in 1000..5000_u32,
            keep in 0..100_u64,
        ) {
            let now = space(gib);
            let policy = PoolPolicy { step_percent: step, keep_free_percent: keep, ..PoolPolicy::default() };
            let most = Most { factor: PoolsAtMost::of_milli(most).unwrap(), said_by: SaidBy::Cluster };
            let device = device(free);
            if let Decision::Extend(to) = decide(&pool(&now, data, metadata, promised), &now, &device, &policy, &most)
            {
                prop_assert!(to.pool >= now.pool && to.metadata >= now.metadata && to.volume == now.volume);
                prop_assert!(to != now);
                prop_assert!(to.pool == now.pool || to.pool <= most.factor.of(now.volume));
                let left = device.after_growth(&now, &to).unwrap();
                prop_assert!(left.free.count() >= 100 * keep);
            }
        }
    }
}
