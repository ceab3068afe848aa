//! What a policy asks for, against a plain search through all possibilities and sums that are counted anew.

use std::num::NonZeroU32;

use super::*;

fn rules(most_per_zone: Option<u32>, tags: &[&str]) -> SetRules {
    let most_per_zone = most_per_zone.and_then(NonZeroU32::new);
    SetRules { most_per_zone, tags: tags.iter().map(|rule| rule.parse().unwrap()).collect() }
}

/// A node for each rack, with a fresh disk each.
fn in_racks(racks: &[&str], disk: ByteSize) -> Vec<Candidate> {
    (1..).zip(racks).map(|(node, rack)| tagged(candidate(node, 0, 1, fresh(disk)), "rack", rack)).collect()
}

fn values(placement: &Placement, disks: &[Candidate], key: &str) -> Vec<Vec<String>> {
    let value = |brick: &Placed| {
        let disk = disks.iter().find(|disk| disk.device == brick.device).unwrap();
        disk.tags.get(key).cloned().unwrap_or_default()
    };
    placement.sets.iter().map(|set| set.iter().map(value).collect()).collect()
}

#[test]
fn a_zone_takes_as_many_bricks_of_a_set_as_it_may_have() {
    let mut disks = nodes(4, gib(100));
    disks[3].zone = 2;
    let wish = Wish { set_rules: rules(Some(2), &[]), ..Wish::new(gib(8), REPLICA_3) };
    let placement = place(&wish, &disks).unwrap();
    assert_eq!(most_in_a_zone(&placement, &disks), 2);
    disks[3].zone = 1;
    let refusal = place(&wish, &disks).unwrap_err().explained(&disks);
    let text = refusal.to_string();
    assert!(
        text.contains("3 bricks of 8 GiB on different nodes, 2 of a set in one zone at most; 4 nodes in 1 zone"),
        "{text}"
    );
    assert!(
        text.contains("\n- with 3 bricks of a set in one zone instead of 2 (1 set of 8 GiB); weaker: a zone that fails takes 3 bricks"),
        "{text}"
    );
}

#[test]
fn bricks_of_a_set_share_a_tag_or_never_do() {
    let disks = in_racks(&["a", "a", "a", "b", "b", "c"], gib(100));
    let same = Wish { set_rules: rules(None, &["same:rack"]), ..Wish::new(gib(8), REPLICA_3) };
    assert_eq!(values(&place(&same, &disks).unwrap(), &disks, "rack"), [["a", "a", "a"]]);
    let different = Wish { set_rules: rules(None, &["different:rack"]), ..same };
    let mut found = values(&place(&different, &disks).unwrap(), &disks, "rack").remove(0);
    found.sort();
    assert_eq!(found, ["a", "b", "c"]);
}

#[test]
fn a_refusal_says_the_values_that_there_are_and_which_rule_is_in_the_way() {
    let disks = in_racks(&["a", "a", "b", "b"], gib(100));
    let wish = Wish { set_rules: rules(None, &["different:rack"]), ..Wish::new(gib(8), REPLICA_3) };
    let text = place(&wish, &disks).unwrap_err().explained(&disks).to_string();
    assert!(
        text.contains("no two with the same tag rack; 4 nodes in 1 zone have room for one or more, with 2 values"),
        "{text}"
    );
    assert!(text.contains("has room for 12 bricks; its tag rack is \"a\"\n"), "{text}");
    assert!(
        text.contains("\n- without the policy's rule different:rack (1 set of 8 GiB); weaker: what fails together"),
        "{text}"
    );
}

#[test]
fn what_is_kept_in_reserve_is_not_placed_on_and_a_refusal_says_so() {
    let mut disks = nodes(3, gib(16));
    for disk in &mut disks {
        disk.space = disk.space.keeping(Reserve::Percent(50).of(disk.space.total, ONE));
    }
    let wish = Wish { reserve: Reserve::Percent(50), ..Wish::new(gib(8), REPLICA_3) };
    let refusal = place(&wish, &disks).unwrap_err().explained(&disks);
    let text = refusal.to_string();
    assert!(text.contains("7.98 GiB free and 7.99 GiB kept in reserve, "), "{text}");
    assert!(text.contains("\n- with 49% kept in reserve instead of 50% (1 set of 8 GiB)"), "{text}");
    assert!(place(&Wish::new(gib(7), REPLICA_3), &disks).is_ok());
}

#[test]
fn an_over_committed_brick_takes_a_part_of_what_it_promises_and_an_arbiter_all() {
    let wish = Wish { over_commit: "2".parse().unwrap(), ..Wish::new(gib(20), Layout::Arbiter) };
    let placement = place(&wish, &nodes(3, gib(16))).unwrap();
    let spaces: Vec<_> =
        placement.bricks().map(|brick| (brick.space.volume.count(), brick.space.pool.count())).collect();
    assert_eq!(spaces, [(5120, 2560), (5120, 2560), (80, 80)]);
    assert!(
        place(&Wish { over_commit: OverCommit::NONE, ..wish }, &nodes(3, gib(16))).is_ok_and(|one| one.sets.len() > 1)
    );
    let small = Wish { over_commit: "10".parse().unwrap(), ..Wish::new(gib(1), REPLICA_3) };
    let placement = place(&small, &nodes(3, gib(16))).unwrap();
    assert_eq!(placement.bricks().next().unwrap().space.pool, Extents::new(75), "mkfs.xfs finds 300 MiB");
}

/// Racks cut across nodes: each node has disks in both, and only one way of choosing them does.
#[test]
fn tags_that_cut_across_nodes_lead_into_no_dead_end() {
    let disk = |node, number, rack, free| {
        let space = DeviceSpace { free: Extents::new(free), ..fresh(gib(16)) };
        tagged(candidate(node, number, 1, space), "rack", rack)
    };
    // Whoever takes the emptiest of node 1 for its first brick finds no other for rack b.
    let disks = vec![disk(1, 0, "a", 900), disk(1, 1, "b", 600), disk(2, 0, "a", 500)];
    let wish =
        Wish { set_rules: rules(None, &["different:rack"]), ..Wish::new(gib(1), Layout::Replicate { replica: 2 }) };
    let placement = place(&wish, &disks).unwrap();
    let used: Vec<_> = placement.bricks().map(|brick| brick.device).collect();
    assert_eq!(used, [disks[1].device, disks[2].device]);
}

#[test]
fn where_two_things_are_in_the_way_both_are_named() {
    let mut disks: Vec<_> =
        (1..).zip([1, 1, 2]).map(|(node, zone)| candidate(node, 0, zone, fresh(gib(100)))).collect();
    disks[2].standing = Standing::DeviceOffline;
    let wish = Wish { zones: ZoneRule::Strict, ..Wish::new(gib(8), REPLICA_3) };
    let refusal = place(&wish, &disks).unwrap_err().explained(&disks);
    let both = refusal.relaxations.iter().find(|one| one.also.is_some()).unwrap();
    assert_eq!(
        both.to_string(),
        "if /dev/sdb on gfs3 were in service (the device is offline (switch it on with `device enable`)), and with 2 zones \
         instead of 3, without strict zone checking (1 set of 8 GiB); weaker: a zone that fails takes more than one brick \
         of a set with it"
    );
}

/// One copy would do by itself, and is no reason to keep quiet about what is safer.
#[test]
fn a_safer_layout_with_another_change_is_named_beside_a_weaker_one_that_suffices() {
    let mut disks: Vec<_> = (1..).zip([1, 1, 2]).map(|(node, zone)| candidate(node, 0, zone, fresh(gib(16)))).collect();
    disks[2].space.free = Extents::new(200);
    let wish = Wish { zones: ZoneRule::Strict, ..Wish::new(gib(8), REPLICA_3) };
    let refusal = place(&wish, &disks).unwrap_err().explained(&disks);
    let texts: Vec<_> = refusal.relaxations.iter().map(ToString::to_string).collect();
    assert!(texts.iter().any(|text| text.starts_with("as 1 replica (")), "{refusal}");
    let with_arbiter = "with 2 zones instead of 3, without strict zone checking, and as 2 replicas and an arbiter (";
    assert!(texts.iter().any(|text| text.starts_with(with_arbiter)), "{refusal}");
    assert!(!texts.iter().any(|text| text.contains("and as 1 replica")), "{refusal}");
}

fn some_rules() -> impl Strategy<Value = SetRules> {
    let rule = prop_oneof![
        2 => Just("same:rack"),
        3 => Just("different:rack"),
        1 => Just("same:tier"),
        1 => Just("different:tier"),
        1 => Just("match:tier=fast"),
    ];
    let most = prop_oneof![2 => Just(None), 1 => (1..3_u32).prop_map(Some)];
    (most, prop::collection::btree_set(rule, 0..=2))
        .prop_map(|(most, tags)| rules(most, &tags.into_iter().collect::<Vec<_>>()))
}

/// With a policy, and tags that it speaks about.
pub fn some_request() -> impl Strategy<Value = (Wish, Vec<Candidate>)> {
    let rack = prop_oneof![3 => Just(Some("a")), 3 => Just(Some("b")), 2 => Just(Some("c")), 1 => Just(None)];
    let tier = prop_oneof![4 => Just(Some("fast")), 1 => Just(Some("slow")), 1 => Just(None)];
    let thin_only = prop::bool::weighted(0.1);
    let tags = prop::collection::vec((rack, tier, thin_only), 8);
    let reserve = prop_oneof![2 => Just(0_u64), 1 => 0..600_u64];
    let over_commit = prop_oneof![3 => Just("1"), 1 => Just("1.5"), 1 => Just("4")];
    let provisioning = prop_oneof![3 => Just(Provisioning::Thin), 1 => Just(Provisioning::Thick)];
    let asked = (reserve, over_commit, provisioning);
    (some_wish(), some_disks(), some_rules(), tags, asked).prop_map(|(wish, mut disks, set_rules, tags, asked)| {
        let (reserve, ratio, provisioning) = asked;
        // As a policy has it.
        let over_commit = if provisioning.is_thick() { OverCommit::NONE } else { ratio.parse().unwrap() };
        for (disk, (rack, tier, thin_only)) in disks.iter_mut().zip(tags) {
            for (key, value) in [("rack", rack), ("tier", tier)] {
                disk.tags.extend(value.map(|value| (key.to_owned(), value.to_owned())));
            }
            disk.space = disk.space.keeping(Extents::new(reserve));
            disk.thin_only = thin_only;
        }
        let reserve = Reserve::Size(Extents::new(reserve).to_bytes(ONE).unwrap());
        (Wish { set_rules, over_commit, provisioning, reserve, ..wish }, disks)
    })
}

fn keeps_the_policy(wish: &Wish, placement: &Placement, disks: &[Candidate]) -> Result<(), TestCaseError> {
    let disk = |brick: &Placed| disks.iter().find(|disk| disk.device == brick.device).unwrap();
    let most = wish.set_rules.most_per_zone.map_or(usize::MAX, |most| most.get() as usize);
    prop_assert!(most_in_a_zone(placement, disks) <= most);
    for set in &placement.sets {
        for rule in &wish.set_rules.tags {
            let value = |brick: &Placed, key: &str| disk(brick).tags.get(key).cloned().unwrap_or_default();
            let rule = rule.to_string();
            let (word, key) = rule.split_once(':').unwrap();
            let values: std::collections::BTreeSet<_> = set.iter().map(|brick| value(brick, key)).collect();
            match word {
                "same" => prop_assert_eq!(values.len(), 1),
                "different" => prop_assert_eq!(values.len(), set.len()),
                _ => prop_assert!(set.iter().all(|brick| value(brick, "tier") == "fast")),
            }
        }
    }
    let mut after = disks.to_vec();
    carry_out(&mut after, placement);
    for (before, after) in disks.iter().zip(&after) {
        prop_assert_eq!(before.space.kept, after.space.kept, "what is kept stays free");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn under_a_policy_a_placement_is_found_exactly_where_brute_force_finds_one((wish, disks) in some_request()) {
        match (place(&wish, &disks), brute_force::place(&wish, &disks)) {
            (Ok(placement), Some((sets, _))) => {
                keeps_the_rules(&wish, &placement, &disks)?;
                keeps_the_policy(&wish, &placement, &disks)?;
                prop_assert_eq!(placement.sets.len(), sets);
            }
            (Err(refusal), None) => {
                prop_assert!(refusal.attempts.iter().all(|attempt| attempt.ended != Ended::CutOff), "{refusal}");
            }
            (Ok(placement), None) => return Err(TestCaseError::fail(format!("brute force misses {placement:?}"))),
            (Err(refusal), Some(found)) => return Err(TestCaseError::fail(format!("{found:?} was missed: {refusal}"))),
        }
    }

    #[test]
    fn under_a_policy_the_largest_fits_and_nothing_larger_does((wish, disks) in some_request()) {
        let fits = |size: u64| place(&Wish { size: gib(size), ..wish.clone() }, &disks).is_ok();
        let most = largest(&wish, &disks).map_or(0, ByteSize::whole_gib);
        prop_assert!(most == 0 || fits(most));
        prop_assert_eq!((most + 1..=most + 40).find(|size| fits(*size)), None);
    }

    #[test]
    fn under_a_policy_every_relaxation_succeeds_and_no_pair_is_named_in_vain((wish, disks) in some_request()) {
        if let Err(refusal) = place(&wish, &disks) {
            let refusal = refusal.explained(&disks);
            let single: Vec<_> = refusal.relaxations.iter().filter(|one| one.also.is_none()).collect();
            for relaxation in &refusal.relaxations {
                let placement = place(&relaxation.wish, &relaxation.candidates(&disks));
                let placement = placement.map_err(|again| TestCaseError::fail(format!("{relaxation}: {again}")))?;
                prop_assert_eq!((placement.sets.len(), placement.brick_size), (relaxation.sets, relaxation.brick));
                if relaxation.also.is_some() {
                    let suffices = |change: &Relaxed| single.iter().any(|one| one.change == *change);
                    prop_assert!(!relaxation.changes().any(suffices), "{relaxation}");
                }
            }
        }
    }

    /// A little less of it does not suffice.
    #[test]
    fn of_the_reserve_and_of_the_bricks_in_a_zone_no_more_is_given_up_than_is_needed((wish, disks) in some_request()) {
        if let Err(refusal) = place(&wish, &disks) {
            for relaxation in refusal.explained(&disks).relaxations {
                let (mut wish, mut disks) = (relaxation.wish.clone(), relaxation.candidates(&disks));
                for change in relaxation.changes() {
                    match change {
                        Relaxed::Reserve { to: Reserve::Size(to), instead_of } => {
                            let more = Reserve::Size(ByteSize::from_bytes(to.bytes() + (1 << 20)));
                            prop_assert!(more <= *instead_of);
                            for disk in &mut disks {
                                let space = disk.space.keeping_nothing();
                                disk.space = space.keeping(more.of(space.total, ONE));
                            }
                        }
                        Relaxed::MostInAZone { most, .. } if relaxation.also.is_none() => {
                            wish.set_rules.most_per_zone = NonZeroU32::new(most.get() - 1);
                        }
                        _ => continue,
                    }
                    prop_assert!(place(&wish, &disks).is_err(), "{relaxation}");
                }
            }
        }
    }

    #[test]
    fn under_a_policy_the_same_is_answered_in_any_order_and_by_a_pool(
        (wish, disks, shuffled) in some_request()
            .prop_flat_map(|(wish, disks)| (Just(wish), Just(disks.clone()), Just(disks).prop_shuffle())),
    ) {
        let placed = place(&wish, &disks);
        prop_assert_eq!(&placed, &place(&wish, &shuffled));
        prop_assert_eq!(&placed, &place_in(&wish, &Pool::of(shuffled.iter())));
        let written = serde_json::to_string(&(&wish, &disks)).unwrap();
        let (wish_read, disks_read): (Wish, Vec<Candidate>) = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(placed, place(&wish_read, &disks_read));
    }
}
