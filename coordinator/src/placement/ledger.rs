//! Where every extent of a volume group went. Pure arithmetic over `bricklayer_proto::space`.

use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::{BrickSpace, spare_growth};
use serde::{Deserialize, Serialize};

/// What is left on a device's volume group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpace {
    pub extent_size: ExtentSize,
    pub total: Extents,
    /// What nobody has and nobody was promised.
    pub free: Extents,
    /// The group's spare of pool metadata: what it has, or will have once all that was promised is made.
    pub spare: Extents,
}

impl DeviceSpace {
    /// The logical volumes of a brick of this size here; `None` where no 64 bits can tell. `snapshot_factor_milli`: the
    /// pool's size in thousandths of the brick's.
    #[must_use]
    pub fn brick(&self, size: ByteSize, snapshot_factor_milli: u32) -> Option<BrickSpace> {
        brick(size, snapshot_factor_milli, self.extent_size)
    }

    /// What is left once a brick that is here has grown; `None` where it cannot.
    #[must_use]
    pub fn after_growth(&self, from: &BrickSpace, to: &BrickSpace) -> Option<Self> {
        let more = to.taken()?.checked_sub(from.taken()?)?.checked_add(spare_growth(self.spare, to.metadata))?;
        Some(Self { free: self.free.checked_sub(more)?, spare: self.spare.max(to.metadata), ..*self })
    }

    /// What a brick would take from here: its pool, and by how much the group's spare grows for it.
    #[must_use]
    pub fn needed(&self, brick: &BrickSpace) -> Option<Extents> {
        brick.taken()?.checked_add(spare_growth(self.spare, brick.metadata))
    }

    /// What is left once the brick is made; `None` where it does not fit.
    #[must_use]
    pub fn after(&self, brick: &BrickSpace) -> Option<Self> {
        let free = self.free.checked_sub(self.needed(brick)?)?;
        Some(Self { free, spare: self.spare.max(brick.metadata), ..*self })
    }

    /// What is left once all of these are made, in any order; `None` where they do not all fit.
    #[must_use]
    pub fn after_all<'a>(&self, bricks: impl IntoIterator<Item = &'a BrickSpace>) -> Option<Self> {
        bricks.into_iter().try_fold(*self, |space, brick| space.after(brick))
    }

    #[must_use]
    pub fn free_bytes(&self) -> ByteSize {
        bytes(self.free, self.extent_size)
    }
}

/// As [`DeviceSpace::brick`], for any group with extents of this size.
pub(super) fn brick(size: ByteSize, snapshot_factor_milli: u32, one: ExtentSize) -> Option<BrickSpace> {
    let pool = u128::from(size.bytes()) * u128::from(snapshot_factor_milli);
    let pool = u64::try_from(pool.div_ceil(1000)).ok()?;
    BrickSpace::thin(size, ByteSize::from_bytes(pool), one)
}

/// A group's extents in bytes. Extents of a real group fit into 64 bits of bytes, and what does not is shown as the
/// most that does.
pub(super) fn bytes(extents: Extents, one: ExtentSize) -> ByteSize {
    extents.to_bytes(one).unwrap_or(ByteSize::from_bytes(u64::MAX))
}

/// Where the extents of one volume group went. Its classes add up to the group's total, to the extent; there is no
/// class for what cannot be explained, see [`Ledger::against`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub extent_size: ExtentSize,
    pub total: Extents,
    /// Thin volumes: what bricks were asked to hold, rounded up to extents.
    pub brick_data: Extents,
    /// What pools have beyond their brick, for snapshots.
    pub snapshot_room: Extents,
    pub pool_metadata: Extents,
    /// LVM's spare of the largest pool metadata, one per group.
    pub metadata_spare: Extents,
    /// Logical volumes that are not ours.
    pub foreign: Extents,
    pub free: Extents,
}

/// A class of a [`Ledger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    BrickData,
    SnapshotRoom,
    PoolMetadata,
    MetadataSpare,
    Foreign,
    Free,
}

/// The records name more than the group has: they are wrong, or the group is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bricks and volumes take more than the group's {total} ({} bytes)", bytes(*.total, *.extent_size).bytes())]
pub struct Overbooked {
    pub total: Extents,
    pub extent_size: ExtentSize,
}

/// Our count of what is free, beside LVM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Balance {
    Even,
    /// LVM has less free than the records explain: something in the group is not in them.
    Unaccounted {
        extents: Extents,
    },
    /// LVM has more free than the records leave: something in them is not, or not yet, in the group.
    Unmade {
        extents: Extents,
    },
}

impl Ledger {
    /// Books everything that is known to lie in a group; what is left is free.
    ///
    /// # Errors
    /// Where that is more than the group has.
    pub fn book<'a>(
        extent_size: ExtentSize,
        total: Extents,
        bricks: impl IntoIterator<Item = &'a BrickSpace>,
        metadata_spare: Extents,
        foreign: Extents,
    ) -> Result<Self, Overbooked> {
        let overbooked = Overbooked { total, extent_size };
        let (brick_data, snapshot_room, pool_metadata) = Self::sums(bricks).ok_or(overbooked)?;
        let free = [brick_data, snapshot_room, pool_metadata, metadata_spare, foreign]
            .into_iter()
            .try_fold(total, Extents::checked_sub)
            .ok_or(overbooked)?;
        Ok(Self { extent_size, total, brick_data, snapshot_room, pool_metadata, metadata_spare, foreign, free })
    }

    fn sums<'a>(bricks: impl IntoIterator<Item = &'a BrickSpace>) -> Option<(Extents, Extents, Extents)> {
        let nothing = (Extents::ZERO, Extents::ZERO, Extents::ZERO);
        bricks.into_iter().try_fold(nothing, |(data, room, metadata), brick| {
            // A pool of an adopted installation may be smaller than its thin volume, which is virtual.
            let real = brick.volume.min(brick.pool);
            let rest = brick.pool.checked_sub(real)?;
            Some((data.checked_add(real)?, room.checked_add(rest)?, metadata.checked_add(brick.metadata)?))
        })
    }

    /// Every class, in the order in which people read it.
    #[must_use]
    pub fn classes(&self) -> [(Class, Extents); 6] {
        [
            (Class::BrickData, self.brick_data),
            (Class::SnapshotRoom, self.snapshot_room),
            (Class::PoolMetadata, self.pool_metadata),
            (Class::MetadataSpare, self.metadata_spare),
            (Class::Foreign, self.foreign),
            (Class::Free, self.free),
        ]
    }

    #[must_use]
    pub fn bytes(&self, class: Class) -> ByteSize {
        let extents = match class {
            Class::BrickData => self.brick_data,
            Class::SnapshotRoom => self.snapshot_room,
            Class::PoolMetadata => self.pool_metadata,
            Class::MetadataSpare => self.metadata_spare,
            Class::Foreign => self.foreign,
            Class::Free => self.free,
        };
        bytes(extents, self.extent_size)
    }

    /// Holds the ledger against what LVM says is free (`vg_free_count`).
    #[must_use]
    pub fn against(&self, free: Extents) -> Balance {
        match (self.free.checked_sub(free), free.checked_sub(self.free)) {
            (Some(Extents::ZERO), _) => Balance::Even,
            (Some(extents), _) => Balance::Unaccounted { extents },
            (None, extents) => Balance::Unmade { extents: extents.unwrap_or_default() },
        }
    }

    /// What placement may use of the group.
    #[must_use]
    pub fn space(&self) -> DeviceSpace {
        let Self { extent_size, total, free, .. } = *self;
        DeviceSpace { extent_size, total, free, spare: self.metadata_spare }
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::size::GIB;
    use proptest::prelude::*;

    use super::*;

    const ONE: ExtentSize = ExtentSize::FOUR_MIB;

    fn brick(gib: u64, room: u64) -> BrickSpace {
        BrickSpace::thin(ByteSize::from_bytes(gib * GIB), ByteSize::from_bytes((gib + room) * GIB), ONE).unwrap()
    }

    fn empty(total: u64) -> DeviceSpace {
        DeviceSpace { extent_size: ONE, total: Extents::new(total), free: Extents::new(total), spare: Extents::ZERO }
    }

    #[test]
    fn a_ledger_says_where_every_extent_went() {
        let bricks = [brick(8, 0), brick(2, 1)];
        let ledger = Ledger::book(ONE, Extents::new(4091), &bricks, Extents::new(2), Extents::new(25)).unwrap();
        assert_eq!(ledger.brick_data, Extents::new(2560));
        assert_eq!(ledger.snapshot_room, Extents::new(256));
        assert_eq!(ledger.pool_metadata, Extents::new(4));
        assert_eq!(ledger.free, Extents::new(4091 - 2560 - 256 - 4 - 2 - 25));
        assert_eq!(ledger.bytes(Class::Foreign).bytes(), 100 << 20);
    }

    #[test]
    fn more_than_the_group_has_is_an_error() {
        let booked = Ledger::book(ONE, Extents::new(2051), &[brick(8, 0)], Extents::new(2), Extents::ZERO);
        assert_eq!(
            booked.unwrap_err().to_string(),
            "bricks and volumes take more than the group's 2051 extents (8602517504 bytes)"
        );
        assert!(Ledger::book(ONE, Extents::new(2052), &[brick(8, 0)], Extents::new(2), Extents::ZERO).is_ok());
    }

    #[test]
    fn what_lvm_counts_otherwise_is_named() {
        let ledger = Ledger::book(ONE, Extents::new(100), &[], Extents::ZERO, Extents::ZERO).unwrap();
        assert_eq!(ledger.against(Extents::new(100)), Balance::Even);
        assert_eq!(ledger.against(Extents::new(93)), Balance::Unaccounted { extents: Extents::new(7) });
        assert_eq!(ledger.against(Extents::new(101)), Balance::Unmade { extents: Extents::new(1) });
    }

    #[test]
    fn a_virtual_volume_larger_than_its_pool_takes_no_more_than_the_pool() {
        let thin = BrickSpace { volume: Extents::new(50), pool: Extents::new(10), metadata: Extents::new(2) };
        let ledger = Ledger::book(ONE, Extents::new(100), &[thin], Extents::new(2), Extents::ZERO).unwrap();
        assert_eq!(
            (ledger.brick_data, ledger.snapshot_room, ledger.free),
            (Extents::new(10), Extents::ZERO, Extents::new(86))
        );
    }

    proptest! {
        /// Making bricks one by one, as LVM does, leaves what the ledger of all of them leaves, in any order.
        #[test]
        fn reserving_and_booking_agree_and_the_sum_is_the_total(
            (bricks, shuffled) in prop::collection::vec((1..3000_u64, 0..500_u64), 0..8)
                .prop_flat_map(|bricks| (Just(bricks.clone()), Just(bricks).prop_shuffle())),
            total in 0..4_000_000_u64,
        ) {
            let made = |sizes: &[(u64, u64)]| sizes.iter().map(|(gib, room)| brick(*gib, *room)).collect::<Vec<_>>();
            let after = empty(total).after_all(&made(&bricks));
            prop_assert_eq!(after, empty(total).after_all(&made(&shuffled)));
            let spare = made(&bricks).iter().map(|brick| brick.metadata).max().unwrap_or_default();
            let ledger = Ledger::book(ONE, Extents::new(total), &made(&bricks), spare, Extents::ZERO);
            prop_assert_eq!(ledger.ok().map(|ledger| ledger.space()), after);
            if let Ok(ledger) = ledger {
                prop_assert_eq!(ledger.classes().iter().map(|(_, extents)| extents.count()).sum::<u64>(), total);
                prop_assert_eq!(ledger.against(ledger.free), Balance::Even);
            }
        }
    }
}
