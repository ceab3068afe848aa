//! Every byte is booked once, and what nobody explains is named.

use bricklayer_proto::size::{GIB, MIB};
use proptest::prelude::*;

use super::*;

const ONE: ExtentSize = ExtentSize::FOUR_MIB;

fn space(gib: u64, room: u64) -> BrickSpace {
    BrickSpace::thin(ByteSize::from_bytes(gib * GIB), ByteSize::from_bytes((gib + room) * GIB), ONE).unwrap()
}

fn whole(gib: u64, room: u64) -> Booked {
    let space = space(gib, room);
    let asked = ByteSize::from_bytes(gib * GIB);
    Booked { brick: BrickId::from_u128(1), asked, space, stage: Stage::Whole, seen: space.taken() }
}

fn empty(total: u64) -> DeviceSpace {
    DeviceSpace {
        extent_size: ONE,
        total: Extents::new(total),
        free: Extents::new(total),
        spare: Extents::ZERO,
        kept: Extents::ZERO,
    }
}

/// A group of which LVM says what is left of it.
fn books(total: u64, spare: u64, free: u64, bricks: Vec<Booked>) -> Books {
    Books {
        extent_size: ONE,
        total: Extents::new(total),
        free: Extents::new(free),
        spare: Extents::new(spare),
        disk: None,
        bricks,
        orphans: Extents::ZERO,
        foreign: Extents::ZERO,
        reserve: Extents::ZERO,
    }
}

fn extents(ledger: &Ledger, class: Class) -> u64 {
    ledger.amount(class).bytes() / ONE.bytes()
}

fn sum(ledger: &Ledger) -> i128 {
    let booked: i128 = ledger.amounts().map(|(_, amount)| i128::from(amount.bytes())).sum();
    booked + i128::from(ledger.unaccounted.0)
}

#[test]
fn a_disk_of_16_gib_with_a_brick_of_8_is_booked_to_the_byte() {
    let disk = ByteSize::from_bytes(16 * GIB);
    let ledger = Ledger::of(&Books { disk: Some(disk), ..books(4091, 2, 2039, vec![whole(8, 0)]) });
    assert_eq!(ledger.total, disk);
    assert_eq!(ledger.amount(Class::BrickData).bytes(), 8 * GIB);
    assert_eq!(ledger.amount(Class::LvmArea).bytes(), 20 * MIB);
    assert_eq!((extents(&ledger, Class::PoolMetadata), extents(&ledger, Class::MetadataSpare)), (2, 2));
    assert_eq!(extents(&ledger, Class::Free), 2039);
    assert_eq!((ledger.unaccounted, sum(&ledger)), (Unaccounted(0), i128::from(16 * GIB)));
}

#[test]
fn what_a_brick_has_beyond_what_was_asked_is_rounding() {
    let asked = ByteSize::from_bytes(GIB + 1);
    let brick = BrickSpace::thin(asked, ByteSize::from_bytes(2 * GIB), ONE).unwrap();
    let booked = Booked { asked, space: brick, ..whole(1, 0) };
    let line = BrickLine::of(&booked, ONE);
    assert_eq!((line.data, line.rounding.bytes()), (asked, ONE.bytes() - 1));
    assert_eq!(line.snapshot_room.bytes(), GIB - ONE.bytes());
    assert_eq!(Some(line.taken()), brick.taken().unwrap().to_bytes(ONE));
}

#[test]
fn a_brick_of_which_lvm_knows_nothing_is_unaccounted_for_and_named() {
    let mut lost = whole(8, 0);
    lost.seen = Some(Extents::ZERO);
    let ledger = Ledger::of(&books(4091, 2, 4089, vec![lost]));
    assert_eq!(ledger.unaccounted, Unaccounted(-2050 * 4 * 1024 * 1024));
    assert!(ledger.bricks[0].differs());
    // And what is there that nobody knows of, the other way round.
    assert_eq!(Ledger::of(&books(100, 0, 93, vec![])).unaccounted, Unaccounted(7 * 4 * 1024 * 1024));
}

#[test]
fn a_brick_in_the_making_holds_what_is_made_and_is_promised_the_rest() {
    let making = |seen| Booked { stage: Stage::Making, seen, ..whole(8, 0) };
    for (seen, spare, free) in [(None, 0, 4091), (Some(0), 0, 4091), (Some(2050), 2, 2039)] {
        let ledger = Ledger::of(&books(4091, spare, free, vec![making(seen.map(Extents::new))]));
        assert_eq!(extents(&ledger, Class::UnderWay), seen.unwrap_or(0));
        assert_eq!(extents(&ledger, Class::Reserved), free - 2039, "the spare is promised, too");
        assert_eq!((extents(&ledger, Class::Free), ledger.unaccounted), (2039, Unaccounted(0)));
        assert_eq!(extents(&ledger, Class::BrickData), 0);
    }
}

#[test]
fn a_brick_that_grows_or_leaves_is_under_way_with_what_lvm_has_of_it() {
    let grown = Booked { stage: Stage::Growing { from: space(8, 0).taken().unwrap() }, seen: None, ..whole(9, 0) };
    let ledger = Ledger::of(&books(4091, 2, 2039, vec![grown]));
    assert_eq!((extents(&ledger, Class::UnderWay), ledger.unaccounted), (2050, Unaccounted(0)));
    assert_eq!(extents(&ledger, Class::Free), 2039 - 256 - 1 - 1, "data, metadata, and the spare that grows with it");
    let leaving = |seen| Booked { stage: Stage::Leaving, seen, ..whole(8, 0) };
    let half_gone = Ledger::of(&books(4091, 2, 4089, vec![leaving(Some(Extents::ZERO))]));
    assert_eq!((extents(&half_gone, Class::Reserved), half_gone.unaccounted), (2050, Unaccounted(0)));
    let still_there = Ledger::of(&books(4091, 2, 2039, vec![leaving(None)]));
    assert_eq!((extents(&still_there, Class::UnderWay), still_there.unaccounted), (2050, Unaccounted(0)));
}

#[test]
fn a_clone_and_a_virtual_volume_larger_than_its_pool_take_no_more_than_the_pool() {
    let thin = |pool, metadata| {
        let (pool, metadata) = (Extents::new(pool), Extents::new(metadata));
        let space = BrickSpace { provisioning: Provisioning::Thin, volume: Extents::new(50), pool, metadata };
        Booked { space, seen: None, ..whole(1, 0) }
    };
    let ledger = Ledger::of(&books(100, 2, 86, vec![thin(10, 2), thin(0, 0)]));
    assert_eq!((extents(&ledger, Class::BrickData), extents(&ledger, Class::SnapshotRoom)), (10, 0));
    assert_eq!(ledger.unaccounted, Unaccounted(0));
}

#[test]
fn a_thick_brick_is_its_data_and_what_lvm_rounds_up() {
    let asked = ByteSize::from_bytes(8 * GIB + 1);
    let brick = Booked { asked, space: BrickSpace::thick(asked, ONE), seen: Some(Extents::new(2049)), ..whole(8, 0) };
    let ledger = Ledger::of(&books(4091, 0, 4091 - 2049, vec![brick]));
    assert_eq!(ledger.unaccounted, Unaccounted(0));
    assert_eq!(ledger.amount(Class::BrickData), asked);
    assert_eq!(ledger.amount(Class::Rounding).bytes(), 4 * MIB - 1);
    assert_eq!((extents(&ledger, Class::PoolMetadata), extents(&ledger, Class::SnapshotRoom)), (0, 0));
    // Half taken away, and while it grows.
    let leaving = Booked { stage: Stage::Leaving, seen: Some(Extents::ZERO), ..brick };
    assert_eq!(Ledger::of(&books(4091, 0, 4091, vec![leaving])).unaccounted, Unaccounted(0));
    let growing =
        Booked { stage: Stage::Growing { from: Extents::new(1000) }, seen: Some(Extents::new(1000)), ..brick };
    let ledger = Ledger::of(&books(4091, 0, 3091, vec![growing]));
    assert_eq!((extents(&ledger, Class::Reserved), ledger.unaccounted), (1049, Unaccounted(0)));
}

/// Thin and thick bricks side by side.
fn either(gib: u64, room: u64) -> Booked {
    let brick = whole(gib, room);
    match room % 3 {
        0 => Booked { space: BrickSpace::thick(brick.asked, ONE), ..brick },
        _ => brick,
    }
}

proptest! {
    /// Making bricks one by one, as LVM does, leaves what the ledger of all of them leaves, in any order.
    #[test]
    fn reserving_and_booking_agree(
        (bricks, shuffled) in prop::collection::vec((1..3000_u64, 0..500_u64), 0..8)
            .prop_flat_map(|bricks| (Just(bricks.clone()), Just(bricks).prop_shuffle())),
        total in 0..4_000_000_u64,
    ) {
        let made = |sizes: &[(u64, u64)]| sizes.iter().map(|(gib, room)| either(*gib, *room).space).collect::<Vec<_>>();
        let after = empty(total).after_all(&made(&bricks));
        prop_assert_eq!(after, empty(total).after_all(&made(&shuffled)));
        if let Some(after) = after {
            let whole = bricks.iter().map(|(gib, room)| Booked { seen: None, ..either(*gib, *room) }).collect();
            let ledger = Ledger::of(&books(total, after.spare.count(), after.free.count(), whole));
            prop_assert_eq!(ledger.unaccounted, Unaccounted(0));
            prop_assert_eq!(extents(&ledger, Class::Free), after.free.count());
        }
    }

    /// Whatever the records and LVM say, and be it nonsense, the sum is the total.
    #[test]
    fn the_sum_is_the_total_to_the_byte(
        bricks in prop::collection::vec((0..900_u64, 0..500_u64, 0..4_u8, prop::option::of(0..300_000_u64)), 0..6),
        (total, free, spare) in (0..2_000_000_u64, 0..2_000_000_u64, 0..4096_u64),
        (orphans, foreign) in (0..100_000_u64, 0..100_000_u64),
        disk in prop::option::of(0..(10_u64 << 40)),
    ) {
        let booked = bricks.into_iter().map(|(gib, room, stage, seen)| {
            let stage = match stage {
                0 => Stage::Whole,
                1 => Stage::Making,
                2 => Stage::Growing { from: Extents::new(gib) },
                _ => Stage::Leaving,
            };
            Booked { stage, seen: seen.map(Extents::new), ..either(gib, room) }
        });
        let books = Books {
            disk: disk.map(ByteSize::from_bytes),
            orphans: Extents::new(orphans),
            foreign: Extents::new(foreign),
            reserve: Extents::ZERO,
            ..books(total, spare, free, booked.collect())
        };
        let ledger = Ledger::of(&books);
        prop_assert_eq!(sum(&ledger), i128::from(ledger.total.bytes()));
        let left = ledger.amount(Class::Free).bytes() + ledger.amount(Class::Reserved).bytes();
        prop_assert_eq!(left, free * ONE.bytes(), "what is free or reserved is LVM's count of what is free");
    }
}
