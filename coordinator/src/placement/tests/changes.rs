//! Bricks that grow where they are and bricks that move, against rules and sums that are counted anew.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;

/// A volume of this wish that is there, as it would be expanded.
fn there(placement: &Placement) -> Vec<Growing> {
    let growing =
        |brick: &Placed| Growing { device: brick.device, role: brick.role, asked: brick.asked, space: brick.space };
    placement.bricks().map(growing).collect()
}

fn taken(space: &BrickSpace) -> u64 {
    space.pool.count() + space.metadata.count()
}

/// What every brick must have at least so that the volume has `more` more.
fn grown_sizes(wish: &Wish, sets: usize, bricks: &[Growing]) -> Vec<ByteSize> {
    let data = match wish.layout {
        Layout::Disperse { data, .. } => u64::from(data),
        _ => 1,
    };
    let more = wish.size.whole_kib().div_ceil(data * sets as u64);
    let data_brick =
        bricks.iter().filter(|brick| brick.role == BrickRole::Data).map(|brick| brick.asked).max().unwrap();
    bricks
        .iter()
        .map(|brick| match brick.role {
            BrickRole::Data => kib(brick.asked.whole_kib() + more),
            BrickRole::Arbiter => kib((data_brick.whole_kib() + more) / 64).max(LEAST_ARBITER).max(brick.asked),
        })
        .collect()
}

/// What a device needs so that its bricks become so large: what their pools have more, and the growth of the spare.
fn needed_on(disk: &Candidate, sizes: &[ByteSize], factor: u32, bricks: &[Growing]) -> u64 {
    let mut needed = 0;
    let mut spare = disk.space.spare.count();
    for (brick, size) in bricks.iter().zip(sizes).filter(|(brick, _)| brick.device == disk.device) {
        let pool = ByteSize::from_bytes((size.bytes() * u64::from(factor)).div_ceil(1000));
        let space = BrickSpace::thin(*size, pool, ONE).unwrap();
        needed += taken(&space) - taken(&brick.space);
        spare = spare.max(space.metadata.count());
    }
    needed + spare - disk.space.spare.count()
}

fn some_role() -> impl Strategy<Value = BrickRole> {
    prop_oneof![3 => Just(BrickRole::Data), 1 => Just(BrickRole::Arbiter)]
}

pub fn some_move() -> impl Strategy<Value = (ReplaceWish, Vec<Candidate>)> {
    let tags = prop_oneof![4 => Just(None), 1 => Just(Some("arbiter=required")), 1 => Just(Some("arbiter!=required"))];
    (
        some_wish(),
        some_disks(),
        some_role(),
        prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        any::<bool>(),
        tags,
    )
        .prop_map(|(wish, disks, role, at, chosen, tags)| {
            let from = at[0].get(&disks).clone();
            let others: Vec<_> = at[1..].iter().map(|at| OtherBrick::at(at.get(&disks))).collect();
            let role = if wish.layout == Layout::Arbiter { role } else { BrickRole::Data };
            let wish = ReplaceWish {
                layout: wish.layout,
                role,
                asked: if role == BrickRole::Data { gib(1) } else { LEAST_ARBITER },
                snapshot_factor_milli: wish.snapshot_factor_milli,
                zones: wish.zones,
                tag_match: tags.map(|rule| rule.parse().unwrap()),
                set_rules: SetRules::default(),
                over_commit: OverCommit::NONE,
                provisioning: Provisioning::Thin,
                from: from.device,
                others,
                to: chosen.then(|| at[at.len() - 1].get(&disks).device),
                reserve: wish.reserve,
            };
            (wish, disks)
        })
}

/// Whether the brick may be there: its rules, read once more from the documentation.
fn may_take(wish: &ReplaceWish, disk: &Candidate) -> bool {
    let tag = disk.tags.get(ARBITER_TAG).map_or("", String::as_str);
    let role = wish.layout != Layout::Arbiter
        || match wish.role {
            BrickRole::Data => tag != "required",
            BrickRole::Arbiter => tag != "disabled",
        };
    let tags = match wish.tag_match.as_ref().map(ToString::to_string).as_deref() {
        Some("arbiter=required") => tag == "required",
        Some("arbiter!=required") => tag != "required",
        _ => true,
    };
    let pool = ByteSize::from_bytes((wish.asked.bytes() * u64::from(wish.snapshot_factor_milli)).div_ceil(1000));
    let space = BrickSpace::thin(wish.asked, pool, ONE).unwrap();
    let spare = space.metadata.count().saturating_sub(disk.space.spare.count());
    disk.device != wish.from
        && wish.to.is_none_or(|to| to == disk.device)
        && disk.standing == Standing::Ready
        && wish.others.iter().all(|other| other.node != disk.node)
        && (wish.zones == ZoneRule::Preferred || wish.others.iter().all(|other| other.zone != disk.zone))
        && role
        && tags
        && taken(&space) + spare <= disk.space.free.count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// All bricks grow, by so much that the volume has what was asked for, or none does, and then there is no room.
    #[test]
    fn a_volume_grows_in_place_exactly_where_all_its_devices_have_the_room(
        wish in some_wish(),
        disks in some_disks(),
        more in 1..6_u64,
        one_is_away in prop::bool::weighted(0.1),
    ) {
        let Ok(placement) = place(&wish, &disks) else { return Ok(()) };
        let mut disks = disks;
        carry_out(&mut disks, &placement);
        let bricks = there(&placement);
        if one_is_away {
            disks.iter_mut().find(|disk| disk.device == bricks[0].device).unwrap().standing = Standing::AgentDetached;
        }
        let addition = Wish { size: gib(more), ..wish };
        let sets = placement.sets.len();
        let sizes = grown_sizes(&addition, sets, &bricks);
        let factor = addition.snapshot_factor_milli;
        let has_room = |disk: &Candidate| needed_on(disk, &sizes, factor, &bricks) <= disk.space.free.count();
        let room = disks.iter().all(has_room) && !one_is_away;
        let grown = grow(&addition, u32::try_from(sets).unwrap(), &bricks, &disks);
        prop_assert_eq!(grown.is_some(), room);
        let Some(grown) = grown else { return Ok(()) };
        prop_assert_eq!(grown.iter().map(|brick| brick.asked).collect::<Vec<_>>(), sizes);
        for (before, after) in bricks.iter().zip(&grown) {
            prop_assert!(after.space.volume >= before.space.volume && after.space.pool >= before.space.pool);
            prop_assert!(after.space.metadata >= before.space.metadata, "LVM makes no metadata smaller");
        }
        // The ledger: what is taken from each device is what its bricks have more, and the growth of the spare.
        for disk in &disks {
            let mine = || bricks.iter().zip(&grown).filter(|(brick, _)| brick.device == disk.device);
            let left = mine().try_fold(disk.space, |space, (from, to)| space.after_growth(&from.space, &to.space));
            let more: u64 = mine().map(|(from, to)| taken(&to.space) - taken(&from.space)).sum();
            let left = left.unwrap();
            let spare = left.spare.count() - disk.space.spare.count();
            prop_assert_eq!(left.free.count() + more + spare, disk.space.free.count());
        }
    }

    /// Pools that become large need larger metadata, and the group a larger spare of it.
    #[test]
    fn a_volume_grows_into_the_last_extent_and_not_into_the_one_after_it(
        wish in some_wish(),
        disks in some_disks(),
        more in 8..200_u64,
    ) {
        let Ok(placement) = place(&wish, &disks) else { return Ok(()) };
        let mut disks = disks;
        carry_out(&mut disks, &placement);
        let bricks = there(&placement);
        let addition = Wish { size: gib(more), ..wish };
        let sets = placement.sets.len();
        let sizes = grown_sizes(&addition, sets, &bricks);
        for disk in &mut disks {
            disk.space.free = Extents::new(needed_on(disk, &sizes, addition.snapshot_factor_milli, &bricks));
        }
        let grown = |disks: &[Candidate]| grow(&addition, u32::try_from(sets).unwrap(), &bricks, disks);
        prop_assert!(grown(&disks).is_some());
        let one = disks.iter_mut().find(|disk| disk.device == bricks[0].device).unwrap();
        one.space.free = Extents::new(one.space.free.count() - 1);
        prop_assert_eq!(grown(&disks), None);
    }

    /// A brick moves to the best device that may take it, and stays only where none may.
    #[test]
    fn a_brick_moves_exactly_where_a_device_may_take_it((wish, disks) in some_move()) {
        let fit: Vec<_> = disks.iter().filter(|disk| may_take(&wish, disk)).collect();
        match replace(&wish, &disks) {
            Ok(placed) => {
                let to = fit.iter().find(|disk| disk.device == placed.device);
                let Some(to) = to else {
                    return Err(TestCaseError::fail(format!("{placed:?} breaks a rule")));
                };
                prop_assert_eq!((placed.node, placed.role, placed.asked), (to.node, wish.role, wish.asked));
                let zone_is_new = |disk: &Candidate| wish.others.iter().all(|other| other.zone != disk.zone);
                prop_assert!(zone_is_new(to) || !fit.iter().any(|disk| zone_is_new(disk)), "a new zone is preferred");
                prop_assert!(to.space.after(&placed.space).is_some());
            }
            Err(refused) => {
                prop_assert!(fit.is_empty(), "missed: {:?}", fit);
                let asked = disks.iter().filter(|disk| wish.to.is_none_or(|to| to == disk.device)).count();
                prop_assert_eq!(refused.devices.len(), asked, "of every device it is told why");
            }
        }
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter_to_a_move(
        (wish, disks, shuffled) in some_move()
            .prop_flat_map(|(wish, disks)| (Just(wish), Just(disks.clone()), Just(disks).prop_shuffle())),
    ) {
        prop_assert_eq!(replace(&wish, &disks), replace(&wish, &shuffled));
    }

    /// And the brick goes where it says; of the reserve, and of the bricks in a zone, no more is given up than is needed.
    #[test]
    fn every_change_that_is_proposed_for_a_move_gives_the_brick_a_place(
        (wish, disks) in some_move(),
        standings in prop::collection::vec((0..6_u8, prop::bool::ANY), 8),
        (kept, most) in (prop_oneof![Just(0_u64), 0..1500_u64], prop_oneof![Just(None), (1..3_u32).prop_map(Some)]),
    ) {
        let reserve = Reserve::Size(Extents::new(kept).to_bytes(ONE).unwrap());
        let set_rules = SetRules { most_per_zone: most.and_then(NonZeroU32::new), ..wish.set_rules.clone() };
        let wish = ReplaceWish { reserve, set_rules, ..wish };
        let mut disks = disks;
        for (disk, (standing, agent_away)) in disks.iter_mut().zip(standings) {
            disk.standing = match standing {
                0 => Standing::DeviceOffline,
                1 => Standing::Lost,
                _ => disk.standing,
            };
            if standing == 0 && agent_away {
                disk.also = vec![Standing::AgentDetached];
            }
            disk.space = disk.space.keeping(Extents::new(kept));
        }
        let Err(refused) = replace(&wish, &disks) else { return Ok(()) };
        prop_assert_eq!(refused.by_rule().iter().map(|count| count.devices).sum::<usize>(), refused.devices.len());
        let refused = refused.asked(wish.clone(), Arc::new(Pool::of(disks.iter()))).explained();
        for relaxation in &refused.relaxations {
            let (wish_then, disks_then) = as_changed(&relaxation.change, &wish, &disks);
            prop_assert_eq!(replace(&wish_then, &disks_then), Ok(relaxation.placed), "{}", relaxation);
            let nearly = match &relaxation.change {
                Relaxed::Reserve { to: Reserve::Size(to), instead_of } => {
                    let to = Reserve::Size(ByteSize::from_bytes(to.bytes() + (1 << 20)));
                    Relaxed::Reserve { to, instead_of: *instead_of }
                }
                Relaxed::MostInAZone { most, instead_of } => {
                    let most = NonZeroU32::new(most.get() - 1).unwrap();
                    Relaxed::MostInAZone { most, instead_of: *instead_of }
                }
                _ => continue,
            };
            let (wish_then, disks_then) = as_changed(&nearly, &wish, &disks);
            prop_assert!(replace(&wish_then, &disks_then).is_err(), "{}", relaxation);
        }
    }
}

/// As a person would change it who reads the refusal.
fn as_changed(change: &Relaxed, wish: &ReplaceWish, disks: &[Candidate]) -> (ReplaceWish, Vec<Candidate>) {
    let (mut wish, mut disks) = (wish.clone(), disks.to_vec());
    match change {
        Relaxed::AnotherDevice => wish.to = None,
        Relaxed::AnyTags { .. } => wish.tag_match = None,
        Relaxed::TagRule { without } => wish.set_rules.tags.retain(|rule| rule != without),
        Relaxed::ZonesPreferred => wish.zones = ZoneRule::Preferred,
        Relaxed::MostInAZone { most, .. } => wish.set_rules.most_per_zone = Some(*most),
        Relaxed::InService { devices } => {
            for disk in disks.iter_mut().filter(|disk| devices.iter().any(|one| one.device == disk.device)) {
                (disk.standing, disk.also) = (Standing::Ready, Vec::new());
            }
        }
        Relaxed::Reserve { to, .. } => {
            for disk in &mut disks {
                let space = disk.space.keeping_nothing();
                disk.space = space.keeping(to.of(space.total, ONE));
            }
        }
        other => panic!("no change of a move: {other:?}"),
    }
    (wish, disks)
}
