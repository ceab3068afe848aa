//! What breaks a rule is found, what does not is left alone, and the moves mend it.

use bricklayer_proto::size::{ExtentSize, Extents};
use proptest::prelude::*;

use super::super::DeviceSpace;
use super::*;

pub fn candidate(number: u128, zone: u32, gib: u64) -> Candidate {
    let one = ExtentSize::FOUR_MIB;
    let free = ByteSize::from_gib(gib).unwrap().to_extents(one);
    Candidate {
        device: DeviceId::from_u128(number),
        node: NodeId::from_u128(number),
        zone,
        standing: Standing::Ready,
        also: Vec::new(),
        space: DeviceSpace { extent_size: one, total: free, free, spare: Extents::ZERO, kept: Extents::ZERO },
        thin_only: false,
        tags: BTreeMap::new(),
        node_name: format!("n{number}"),
        device_name: "/dev/sdb".to_owned(),
    }
}

/// A replicated set with bricks of 5 GiB on these devices.
pub fn set(devices: &[u128]) -> SetStanding {
    let brick = |device: &u128| BrickStanding {
        brick: BrickId::from_u128(*device),
        device: DeviceId::from_u128(*device),
        role: BrickRole::Data,
        asked: ByteSize::from_gib(5).unwrap(),
        provisioning: Provisioning::Thin,
        lost: false,
    };
    SetStanding {
        volume: VolumeId::from_u128(1),
        set: 0,
        layout: Layout::Replicate { replica: 3 },
        snapshot_factor_milli: 1000,
        zones: ZoneRule::Preferred,
        tag_match: None,
        set_rules: SetRules::default(),
        over_commit: OverCommit::NONE,
        bricks: devices.iter().map(brick).collect(),
    }
}

fn rules(report: &SetReport) -> Vec<&'static str> {
    report.faults.iter().map(|(_, fault)| fault.rule()).collect()
}

fn moves(report: &SetReport) -> Vec<(u128, u128)> {
    let number = |device: DeviceId| u128::from_str_radix(&device.to_string(), 16).unwrap();
    report.moves.iter().map(|moved| (number(moved.from), number(moved.to.device))).collect()
}

fn four() -> Vec<Candidate> {
    vec![candidate(1, 1, 20), candidate(2, 2, 20), candidate(3, 3, 20), candidate(4, 4, 20)]
}

#[test]
fn a_set_that_keeps_the_rules_is_not_in_the_audit() {
    assert_eq!(audit(&[set(&[1, 2, 3])], &four()), []);
}

#[test]
fn bricks_in_one_zone_are_a_fault_where_another_zone_has_room() {
    let mut candidates = four();
    candidates[1].zone = 1;
    let reports = audit(&[set(&[1, 2, 3])], &candidates);
    assert_eq!((rules(&reports[0]), moves(&reports[0])), (vec!["zone-to-spare"], vec![(2, 4)]));
    assert_eq!(reports[0].moves[0].bytes(), ByteSize::from_gib(5).unwrap());
    candidates[3] = candidate(4, 4, 4);
    assert_eq!(audit(&[set(&[1, 2, 3])], &candidates), [], "the other zone has no room");
    let strict = SetStanding { zones: ZoneRule::Strict, ..set(&[1, 2, 3]) };
    let reports = audit(std::slice::from_ref(&strict), &candidates);
    assert_eq!((rules(&reports[0]), reports[0].unmended.len()), (vec!["zone-shared"], 1));
    assert!(reports[0].unmended[0].1.to_string().contains("/dev/sdb on n4: needs"));
}

#[test]
fn a_brick_on_what_was_switched_off_or_lost_moves_and_one_on_a_host_that_is_away_stays() {
    for (standing, moved) in [
        (Standing::DeviceOffline, true),
        (Standing::NodeFailed, true),
        (Standing::GroupMissing, true),
        (Standing::AgentDetached, false),
        (Standing::GlusterDown, false),
        (Standing::AgentDiskFull, false),
        (Standing::FstabFixed, false),
        (Standing::PoolFails, false),
        (Standing::ThinToolMissing, false),
    ] {
        let mut candidates = four();
        candidates[0].standing = standing;
        let reports = audit(&[set(&[1, 2, 3])], &candidates);
        assert_eq!(!reports.is_empty(), moved, "{standing:?}");
        assert!(reports.iter().all(|report| moves(report) == [(1, 4)]));
    }
    let mut lost = set(&[1, 2, 3]);
    lost.bricks[0].lost = true;
    assert_eq!(rules(&audit(&[lost], &four())[0]), ["lost"]);
}

#[test]
fn tags_that_were_changed_are_held_against_the_volumes_rules() {
    let mut candidates = four();
    candidates[3].tags.insert("rack".to_owned(), "a".to_owned());
    let tagged = SetStanding { tag_match: Some("rack=a".parse().unwrap()), ..set(&[4, 2]) };
    let reports = audit(&[tagged], &candidates);
    assert_eq!((rules(&reports[0]), reports[0].unmended.len()), (vec!["tag"], 1), "no other device has the tag");
    candidates[0].tags.insert("arbiter".to_owned(), "required".to_owned());
    let arbiter = SetStanding { layout: Layout::Arbiter, ..set(&[1, 2, 3]) };
    let reports = audit(&[arbiter], &candidates);
    assert_eq!((rules(&reports[0]), moves(&reports[0])), (vec!["role"], vec![(1, 4)]));
}

#[test]
fn a_policy_that_was_changed_is_held_against_where_bricks_are() {
    let mut candidates = four();
    for (candidate, rack) in candidates.iter_mut().zip(["a", "a", "b", "c"]) {
        candidate.tags.insert("rack".to_owned(), rack.to_owned());
    }
    let with = |rule: &str| {
        let set_rules = SetRules { tags: vec![rule.parse().unwrap()], ..SetRules::default() };
        SetStanding { set_rules, ..set(&[1, 2, 3]) }
    };
    let reports = audit(&[with("different:rack")], &candidates);
    assert_eq!((rules(&reports[0]), moves(&reports[0])), (vec!["tag-shared"], vec![(2, 4)]));
    candidates[3].tags.insert("rack".to_owned(), "a".to_owned());
    let reports = audit(&[with("same:rack")], &candidates);
    assert_eq!((rules(&reports[0]), moves(&reports[0])), (vec!["tag-differs"], vec![(3, 4)]));
    let reports = audit(&[with("match:rack=a")], &candidates);
    assert_eq!((rules(&reports[0]), moves(&reports[0])), (vec!["tag"], vec![(3, 4)]));

    for candidate in &mut candidates[..3] {
        candidate.zone = 1;
    }
    let two = SetRules { most_per_zone: std::num::NonZeroU32::new(2), ..SetRules::default() };
    let reports = audit(&[SetStanding { set_rules: two, ..set(&[1, 2, 3]) }], &candidates);
    assert_eq!((rules(&reports[0]), moves(&reports[0])), (vec!["zone-to-spare"], vec![(2, 4)]));
    candidates[3].zone = 1;
    let two = SetRules { most_per_zone: std::num::NonZeroU32::new(2), ..SetRules::default() };
    let reports = audit(&[SetStanding { set_rules: two, ..set(&[1, 2, 3]) }], &candidates);
    assert_eq!((rules(&reports[0]), reports[0].unmended.len()), (vec!["zone-shared"], 1));
}

#[test]
fn two_sets_that_want_the_same_room_do_not_both_get_it() {
    let mut candidates = four();
    candidates[0].standing = Standing::DeviceOffline;
    candidates[3] = candidate(4, 4, 6);
    let reports = audit(&[set(&[1, 2, 3]), set(&[1, 2, 3])], &candidates);
    assert_eq!((reports[0].moves.len(), reports[0].unmended.len()), (1, 0));
    assert_eq!((reports[1].moves.len(), reports[1].unmended.len()), (0, 1));
}

#[test]
fn a_node_can_be_lost_while_the_others_have_room_for_its_bricks() {
    let sets = [set(&[1, 2, 3]), set(&[1, 2, 4])];
    let first = Domain::Node(NodeId::from_u128(1));
    let loss = lose(first, &sets, &four());
    assert!(loss.is_survivable() && loss.moves.len() == 2, "{loss:?}");
    let loss = lose(first, &sets, &four()[..3]);
    assert!(!loss.is_survivable() && loss.homeless.len() == 1, "{loss:?}");
    let single = SetStanding { layout: Layout::Distribute, ..set(&[1]) };
    let loss = lose(first, &[single], &four());
    assert!(!loss.is_survivable() && loss.moves.is_empty() && loss.without_copies.len() == 1, "{loss:?}");
}

/// Node 4, the only one with room for it, is that of the arbiter, which fits onto node 5.
#[test]
fn a_brick_that_no_single_move_mends_is_mended_by_two() {
    let mut candidates: Vec<_> = [1, 2, 4].into_iter().map(|node| candidate(node, 1, 20)).collect();
    candidates.push(candidate(5, 1, 1));
    candidates[0].standing = Standing::DeviceOffline;
    let mut arbiter = SetStanding { layout: Layout::Arbiter, ..set(&[1, 2, 4]) };
    arbiter.bricks[2].role = BrickRole::Arbiter;
    arbiter.bricks[2].asked = ByteSize::from_bytes(300 << 20);
    let reports = audit(std::slice::from_ref(&arbiter), &candidates);
    assert_eq!((rules(&reports[0]), moves(&reports[0])), (vec!["standing"], vec![(4, 5), (1, 4)]));
    assert_eq!(reports[0].unmended, []);
    candidates[3].space.free = Extents::new(10);
    let reports = audit(&[arbiter], &candidates);
    assert_eq!((reports[0].moves.len(), reports[0].unmended.len()), (0, 1), "the arbiter has nowhere to go either");
}

#[test]
fn a_zone_can_be_lost_while_no_set_has_too_much_in_it_and_the_others_have_room() {
    let mut candidates: Vec<Candidate> =
        (1..=6_u32).map(|number| candidate(number.into(), number.div_ceil(2), 20)).collect();
    let zone = Domain::Zone(1);
    let one_each = [set(&[1, 3, 5])];
    let loss = lose(zone, &one_each, &candidates);
    assert!(loss.is_survivable() && loss.moves.len() == 1 && loss.below_quorum.is_empty(), "{loss:?}");
    // Two of three in it: healed from the third, and not written before.
    let two = [set(&[1, 2, 3])];
    let loss = lose(zone, &two, &candidates);
    assert!(loss.is_survivable() && loss.below_quorum.len() == 1, "{loss:?}");
    let to: BTreeSet<_> = loss.moves.iter().map(|moved| moved.to.device).collect();
    assert_eq!(to.len(), 2, "two bricks of a set get two devices: {loss:?}");
    // All of them in it.
    candidates[2].zone = 1;
    let loss = lose(zone, &two, &candidates);
    assert!(!loss.is_survivable() && loss.data_lost.len() == 1 && loss.moves.is_empty(), "{loss:?}");
}

proptest! {
    /// Once the moves are made, what is left to find is what had no place to go.
    #[test]
    fn the_moves_mend_what_they_say(
        nodes in prop::collection::vec((1..5_u32, 4..40_u64, 0..6_u8), 3..8),
        picks in prop::collection::vec(any::<[prop::sample::Index; 3]>(), 1..5),
        strict in any::<bool>(),
    ) {
        let candidates: Vec<Candidate> = (1..).zip(&nodes).map(|(number, (zone, gib, standing))| {
            let standing = if *standing == 0 { Standing::NodeOffline } else { Standing::Ready };
            Candidate { standing, ..candidate(number, *zone, *gib) }
        }).collect();
        let all: Vec<u128> = (1..=u128::try_from(nodes.len()).unwrap()).collect();
        let zones = if strict { ZoneRule::Strict } else { ZoneRule::Preferred };
        let sets: Vec<SetStanding> = (0..).zip(&picks).map(|(number, picks)| {
            let devices: BTreeSet<u128> = picks.iter().map(|index| all[index.index(all.len())]).collect();
            SetStanding { zones, set: number, ..set(&devices.into_iter().collect::<Vec<_>>()) }
        }).collect();
        let reports = audit(&sets, &candidates);
        let (mut after, mut left) = (sets, candidates);
        for report in &reports {
            let set = after.iter_mut().find(|set| set.set == report.set).unwrap();
            for moved in &report.moves {
                let target = left.iter_mut().find(|candidate| candidate.device == moved.to.device).unwrap();
                let space = target.space.after(&moved.to.space);
                prop_assert!(space.is_some(), "there is no room for {:?}", moved);
                target.space = space.unwrap();
                set.bricks.iter_mut().find(|brick| brick.brick == moved.brick).unwrap().device = moved.to.device;
            }
        }
        let unmended: usize = reports.iter().map(|report| report.unmended.len()).sum();
        let again = audit(&after, &left);
        prop_assert!(again.iter().all(|report| report.moves.is_empty()), "{again:?}");
        prop_assert_eq!(again.iter().map(|report| report.unmended.len()).sum::<usize>(), unmended);
    }
}
