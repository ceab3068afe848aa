//! The score is what its parts say, and each move has a place and is worth what it says.

use bricklayer_proto::size::ExtentSize;
use bricklayer_proto::space::BrickSpace;
use proptest::prelude::*;

use super::super::audit::tests::{candidate, set};
use super::super::{DeviceSpace, ZoneRule};
use super::*;

const ONE: ExtentSize = ExtentSize::FOUR_MIB;

/// A brick of 5 GiB, as the sets of these tests have them.
fn brick() -> BrickSpace {
    ledger::brick(ByteSize::from_gib(5).unwrap(), 1000, ONE).unwrap()
}

/// Devices of 40 GiB on which the bricks of these sets lie.
fn holding(sets: &[SetStanding], zones: &[u32]) -> Vec<Candidate> {
    let mut candidates: Vec<_> = (1..).zip(zones).map(|(number, zone)| candidate(number, *zone, 40)).collect();
    for placed in sets.iter().flat_map(|set| &set.bricks) {
        let on = candidates.iter_mut().find(|one| one.device == placed.device).unwrap();
        on.space = on.space.after(&brick()).unwrap();
    }
    candidates
}

fn parts(score: &Score) -> Vec<u64> {
    score.parts.values().map(|share| share.millionths() / 10_000).collect()
}

#[test]
fn with_nothing_in_it_a_cluster_is_as_good_as_can_be() {
    let (score, moves) = score(&[], &[candidate(1, 1, 40)], 10);
    assert_eq!((score.millionths(), moves.len()), (1_000_000, 0));
}

#[test]
fn each_part_says_what_it_is_the_share_of() {
    let sets = [set(&[1, 2]), set(&[1, 3])];
    let mut candidates = holding(&sets, &[1, 1, 2, 3]);
    let (now, _) = score(&sets, &candidates, 0);
    // Of four zones that two sets could lie in they lie in three; of four bricks, one too many is on the first device and
    // one is missing on the fourth.
    assert_eq!(parts(&now), [100, 100, 75, 75]);
    candidates[2].standing = Standing::AgentDetached;
    assert_eq!(parts(&score(&sets, &candidates, 0).0)[..2], [50, 100], "who is away for the moment breaks no rule");
    candidates[2].standing = Standing::DeviceFailed;
    assert_eq!(parts(&score(&sets, &candidates, 0).0)[..2], [50, 50]);
}

#[test]
fn the_move_that_is_worth_most_per_byte_goes_first() {
    let sets = [set(&[1, 2]), set(&[1, 3])];
    let (_, moves) = score(&sets, &holding(&sets, &[1, 1, 2, 3]), 10);
    let first = &moves[0];
    // Off the fullest device, and into a zone of its own.
    assert_eq!(
        (first.set, first.moved.from, first.moved.to.device),
        (0, DeviceId::from_u128(1), DeviceId::from_u128(4))
    );
    let mut strict = set(&[1, 2]);
    strict.zones = ZoneRule::Strict;
    strict.set = 7;
    let sets = [set(&[1, 3]), strict];
    let (_, moves) = score(&sets, &holding(&sets, &[1, 1, 2, 3]), 1);
    assert_eq!(moves[0].set, 7, "a rule that is broken counts more");
}

#[test]
fn nothing_is_moved_for_nothing() {
    let sets = [set(&[1, 2, 3])];
    let (score, moves) = score(&sets, &holding(&sets, &[1, 2, 3]), 10);
    assert_eq!((score.millionths(), moves.len()), (1_000_000, 0));
}

proptest! {
    /// Carried out one after the other, each comes to the score that it names, and to a better one than before.
    #[test]
    fn each_move_has_room_and_comes_to_the_score_that_it_names(
        zones in prop::collection::vec(1..4_u32, 3..8),
        picks in prop::collection::vec(any::<[prop::sample::Index; 3]>(), 1..8),
        away in any::<prop::sample::Index>(),
        standing in prop_oneof![Just(Standing::Ready), Just(Standing::DeviceOffline), Just(Standing::DeviceFailed)],
        strict in any::<bool>(),
    ) {
        let count = u128::try_from(zones.len()).unwrap();
        let zone_rule = if strict { ZoneRule::Strict } else { ZoneRule::Preferred };
        let mut sets: Vec<SetStanding> = (0..).zip(&picks).map(|(number, picks)| {
            let devices: BTreeSet<u128> = picks.iter().map(|at| 1 + at.index(zones.len()) as u128).collect();
            SetStanding { zones: zone_rule, set: number, ..set(&devices.into_iter().collect::<Vec<_>>()) }
        }).collect();
        let mut candidates = holding(&sets, &zones);
        let at = away.index(usize::try_from(count).unwrap());
        candidates[at].standing = standing;
        let (before, moves) = score(&sets, &candidates, 10);
        let mut last = before.millionths();
        for improvement in &moves {
            let moved = improvement.moved;
            let to = candidates.iter_mut().find(|one| one.device == moved.to.device).unwrap();
            prop_assert_eq!(to.standing, Standing::Ready);
            to.space = to.space.after(&moved.to.space).unwrap();
            let from = candidates.iter_mut().find(|one| one.device == moved.from).unwrap();
            let free = from.space.free.checked_add(moved.to.space.taken().unwrap()).unwrap();
            from.space = DeviceSpace { free, ..from.space };
            let set = sets.iter_mut().find(|set| set.set == improvement.set).unwrap();
            set.bricks.iter_mut().find(|one| one.brick == moved.brick && one.device == moved.from).unwrap().device = moved.to.device;
            let now = score(&sets, &candidates, 0).0.millionths();
            // The spare of a group that gets its first pool is counted as used, and no brick is.
            prop_assert!(now.abs_diff(improvement.after) <= 2_000, "{} instead of {}", now, improvement.after);
            prop_assert!(improvement.after > last);
            last = improvement.after;
        }
    }
}
