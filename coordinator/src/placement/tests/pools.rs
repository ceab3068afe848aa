//! A pool and its bounds, against a plain walk over all candidates in order of preference.

use std::cmp::Reverse;

use super::*;

fn pool_of(disks: &[Candidate]) -> Pool {
    let mut pool = Pool::default();
    for disk in disks {
        let here = disks.iter().filter(|other| other.node == disk.node).cloned().collect();
        pool.put(disk.node, here);
    }
    pool
}

/// The documented order of preference, brick by brick; `finishes` says whether what is missing then has a place.
fn plain(
    wish: &Wish,
    (sets, per_zone): (usize, usize),
    disks: &[Candidate],
    finishes: impl Fn(&[BrickRole], usize, &[Candidate], &[usize]) -> bool,
) -> Option<Vec<Vec<(BrickRole, DeviceId)>>> {
    let mut disks: Vec<_> = disks.iter().filter(|disk| disk.standing == Standing::Ready).cloned().collect();
    disks.retain(|disk| wish.tag_match.as_ref().is_none_or(|rule| rule.matches(&disk.tags)));
    disks.sort_by_key(|disk| (disk.zone, disk.node, disk.device));
    let parts = match wish.layout {
        Layout::Disperse { data, .. } => u64::from(data),
        _ => 1,
    };
    let data = kib(wish.size.whole_kib() / sets as u64 / parts);
    let size = |role| match role {
        BrickRole::Data => data,
        BrickRole::Arbiter => kib(data.whole_kib() / 64).max(LEAST_ARBITER),
    };
    let tag = |disk: &Candidate| match wish.layout {
        Layout::Arbiter => disk.tags.get(ARBITER_TAG).cloned().unwrap_or_default(),
        _ => "disabled".to_owned(),
    };
    let takes = |disk: &Candidate, role| match role {
        BrickRole::Data => tag(disk) != "required",
        BrickRole::Arbiter => tag(disk) != "disabled",
    };
    let after = |disk: &Candidate, role| disk.space.after(&disk.space.brick(size(role), wish.snapshot_factor_milli)?);
    let number = usize::try_from(wish.layout.bricks_per_set()).unwrap();
    let mut placed = Vec::new();
    for set in 0..sets {
        let own = |disk: &Candidate| tag(disk) == "required" && after(disk, BrickRole::Arbiter).is_some();
        let mut order = vec![BrickRole::Data; number];
        if wish.layout == Layout::Arbiter {
            order[if disks.iter().any(own) { 0 } else { 2 }] = BrickRole::Arbiter;
        }
        let mut chosen: Vec<usize> = Vec::new();
        for role in &order {
            let mut choices = Vec::new();
            for (at, disk) in disks.iter().enumerate() {
                let in_zone = chosen.iter().filter(|other| disks[**other].zone == disk.zone).count();
                let on_node = chosen.iter().any(|other| disks[*other].node == disk.node);
                let other = if *role == BrickRole::Data { BrickRole::Arbiter } else { BrickRole::Data };
                if on_node || in_zone >= per_zone || !takes(disk, *role) {
                    continue;
                }
                if let Some(left) = after(disk, *role) {
                    choices.push((in_zone, takes(disk, other), Reverse(left.free_bytes()), at));
                }
            }
            choices.sort_unstable();
            let taken = choices.iter().find_map(|(.., at)| {
                let mut then = disks.clone();
                then[*at].space = after(&disks[*at], *role)?;
                let chosen: Vec<_> = chosen.iter().chain([at]).copied().collect();
                finishes(&order, sets - set, &then, &chosen).then_some((*at, then))
            });
            let (at, then) = taken?;
            disks = then;
            chosen.push(at);
        }
        let mut bricks: Vec<_> = order.iter().zip(chosen).map(|(role, at)| (*role, disks[at].device)).collect();
        bricks.sort_by_key(|(role, _)| *role == BrickRole::Arbiter);
        placed.push(bricks);
    }
    Some(placed)
}

fn chosen(placement: &Placement) -> Vec<Vec<(BrickRole, DeviceId)>> {
    placement.sets.iter().map(|set| set.iter().map(|brick| (brick.role, brick.device)).collect()).collect()
}

/// More devices than brute force can manage, of which many are alike, in groups with extents of different sizes.
fn many_disks() -> impl Strategy<Value = Vec<Candidate>> {
    let tag = prop_oneof![12 => Just(None), 1 => Just(Some("required")), 1 => Just(Some("disabled"))];
    let free = prop_oneof![2 => Just(4000_u64), 2 => 3990..4010_u64, 1 => 0..4000_u64];
    let extent = prop_oneof![8 => Just(4_u64), 1 => Just(8_u64)];
    let spare = prop_oneof![Just(0_u64), 2..6_u64, 0..40_u64];
    let disk = (free, spare, tag, extent, prop::bool::weighted(0.95));
    let node = (1..5_u32, prop::collection::vec(disk, 1..=4));
    prop::collection::vec(node, 3..=24).prop_map(|nodes| {
        let mut disks = Vec::new();
        for (node, (zone, devices)) in (1..).zip(nodes) {
            for (number, (free, spare, tag, extent, ready)) in (0..).zip(devices) {
                let space = DeviceSpace {
                    extent_size: ExtentSize::from_bytes(extent << 20).unwrap(),
                    total: Extents::new(8000),
                    free: Extents::new(free * 4 / extent),
                    spare: Extents::new(spare),
                    kept: Extents::ZERO,
                };
                let mut disk = candidate(node, number, zone, space);
                if let Some(tag) = tag {
                    disk = tagged(disk, ARBITER_TAG, tag);
                }
                if number == 1 {
                    disk = tagged(disk, "tier", "fast");
                }
                if !ready {
                    disk.standing = Standing::DeviceOffline;
                }
                disks.push(disk);
            }
        }
        disks
    })
}

fn some_match() -> impl Strategy<Value = Option<TagMatch>> {
    let rule = |rule: &str| Some(rule.parse().unwrap());
    prop_oneof![4 => Just(None), 1 => Just(rule("tier=fast")), 1 => Just(rule("tier!=fast"))]
}

/// As many arbiter bricks as are asked about fit on the first device of the third node, but only the second leaves the
/// first to the data.
#[test]
fn a_device_for_arbiters_is_room_for_data_on_the_other_devices_of_its_node() {
    let devices = [
        (1, 0, 1, 485, 0, None),
        (2, 0, 1, 1259, 0, None),
        (2, 1, 1, 512, 0, None),
        (3, 0, 2, 450, 2, None),
        (3, 1, 2, 154, 2, Some("required")),
        (4, 0, 1, 589, 0, None),
        (4, 1, 1, 1028, 0, Some("disabled")),
    ];
    let disk = |(node, number, zone, free, spare, tag): (u8, u8, u32, u64, u64, Option<&str>)| {
        let (free, spare) = (Extents::new(free), Extents::new(spare));
        let disk = candidate(node, number, zone, DeviceSpace { free, spare, ..fresh(gib(16)) });
        tag.map_or(disk.clone(), |tag| tagged(disk, ARBITER_TAG, tag))
    };
    let disks: Vec<_> = devices.into_iter().map(disk).collect();
    assert_eq!(place(&Wish::new(gib(7), Layout::Arbiter), &disks).unwrap().sets.len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Not just some placement: the one that the order of preference leads to, guarded by brute force.
    #[test]
    fn the_placement_is_the_preferred_one(wish in some_wish(), disks in some_disks()) {
        let Some((sets, per_zone)) = brute_force::place(&wish, &disks) else { return Ok(()) };
        let brick = |sets: usize| wish.brick_size(wish.size, sets as u64);
        let finishes = |order: &[BrickRole], left: usize, disks: &[Candidate], chosen: &[usize]| {
            brute_force::finishes(&wish, brick(sets), order, left, per_zone, disks, chosen)
        };
        let expected = plain(&wish, (sets, per_zone), &disks, finishes).unwrap();
        prop_assert_eq!(chosen(&place_in(&wish, &pool_of(&disks)).unwrap()), expected);
    }

    #[test]
    fn no_bound_hides_the_preferred_device(
        wish in some_wish(),
        disks in many_disks(),
        tag_match in some_match(),
        size in prop_oneof![1..40_u64, 600..700_u64],
    ) {
        let wish = Wish { tag_match, size: gib(size), ..wish };
        let Ok(placement) = place_in(&wish, &pool_of(&disks)) else { return Ok(()) };
        // Where no choice leads into a dead end, the guard changes nothing.
        let most = most_in_a_zone(&placement, &disks);
        if let Some(expected) = plain(&wish, (placement.sets.len(), most), &disks, |_, _, _, _| true) {
            prop_assert_eq!(chosen(&placement), expected);
        }
    }

    #[test]
    fn a_pool_answers_as_its_candidates_do(wish in some_wish(), disks in many_disks(), tag_match in some_match()) {
        let wish = Wish { tag_match, ..wish };
        let pool = pool_of(&disks);
        prop_assert_eq!(place_in(&wish, &pool), place(&wish, &disks));
        prop_assert_eq!(largest_in(&wish, &pool), largest(&wish, &disks));
        let refused = Wish { size: gib(500_000), ..wish };
        prop_assert_eq!(place_in(&refused, &pool), place(&refused, &disks));
    }

    #[test]
    fn a_brick_moves_within_a_pool_as_among_its_candidates(
        (wish, disks) in changes::some_move(),
        more in many_disks(),
        to in prop::bool::weighted(0.2),
    ) {
        let wish = ReplaceWish { to: wish.to.filter(|_| to), ..wish };
        for disks in [disks, more] {
            prop_assert_eq!(replace_in(&wish, &pool_of(&disks)), replace(&wish, &disks));
        }
    }

    /// However it came about: nodes that come, change, change their zone and go.
    #[test]
    fn a_pool_is_what_its_nodes_are(steps in prop::collection::vec((1..6_u128, many_disks(), any::<bool>()), 1..8)) {
        let mut pool = Pool::default();
        let mut last: BTreeMap<NodeId, Vec<Candidate>> = BTreeMap::new();
        for (node, disks, stays) in steps {
            let node = NodeId::from_u128(node);
            let mut here: Vec<_> = disks.into_iter().filter(|disk| stays && disk.node == node).collect();
            pool.put(node, here.clone());
            here.sort_by_key(|disk| disk.device);
            last.insert(node, here);
            let all: Vec<_> = last.values().flatten().cloned().collect();
            prop_assert_eq!(&pool, &pool_of(&all));
            for disk in &all {
                prop_assert_eq!(pool.find(disk.node, disk.device), Some(disk));
            }
            prop_assert_eq!(pool.candidates().count(), all.len());
        }
    }
}
