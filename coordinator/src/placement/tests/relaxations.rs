//! What a refusal says would fit does fit.

use super::*;

fn explained(wish: &Wish, disks: &[Candidate]) -> Refusal {
    place(wish, disks).unwrap_err().explained(disks)
}

fn sentences(refusal: &Refusal) -> Vec<String> {
    refusal.relaxations.iter().map(ToString::to_string).collect()
}

fn in_zones(zones: &[u32], disk: ByteSize) -> Vec<Candidate> {
    (1..).zip(zones).map(|(node, zone)| candidate(node, 0, *zone, fresh(disk))).collect()
}

#[test]
fn a_size_that_fits_is_named_and_what_a_smaller_protection_would_take() {
    let mut disks = nodes(3, gib(16));
    disks[2].space.free = Extents::new(400);
    let refusal = explained(&Wish::new(gib(8), REPLICA_3), &disks);
    assert_eq!(
        sentences(&refusal),
        [
            "with 1 GiB instead of 8 GiB (1 set of 1 GiB)",
            "as 2 replicas and an arbiter (1 set of 8 GiB); weaker: two copies of the data instead of three",
            "as 2 replicas (1 set of 8 GiB); weaker: two copies, and no third brick to tell which of them is right",
        ]
    );
    let text = refusal.to_string();
    assert_eq!(text.lines().next(), Some("No space"));
    assert!(text.contains("has 1 GiB.\nIt would fit:\n- with 1 GiB instead of 8 GiB (1 set of 1 GiB)\n"), "{text}");
}

#[test]
fn fewer_zones_are_proposed_with_how_many_they_are_and_what_they_cost() {
    let wish = Wish { zones: ZoneRule::Strict, ..Wish::new(gib(8), REPLICA_3) };
    let refusal = explained(&wish, &in_zones(&[1, 1, 2], gib(100)));
    assert_eq!(
        sentences(&refusal)[0],
        "with 2 zones instead of 3, without strict zone checking (1 set of 8 GiB); weaker: a zone that fails takes more \
         than one brick of a set with it"
    );
}

#[test]
fn of_what_is_out_of_service_only_what_is_needed_is_named_and_what_a_command_mends_goes_first() {
    let mut disks = nodes(6, gib(16));
    disks[0].standing = Standing::AgentDetached;
    disks[1].standing = Standing::DeviceOffline;
    disks[2].standing = Standing::NodeFailed;
    disks[3].standing = Standing::GroupDamaged;
    let wish = Wish::new(gib(8), REPLICA_3);
    let refusal = explained(&wish, &disks);
    assert_eq!(
        sentences(&refusal)[0],
        "if /dev/sdb on gfs2 were in service (the device is offline (switch it on with `device enable`)) (1 set of 8 GiB)"
    );
    disks[1].standing = Standing::Changing;
    let refusal = explained(&wish, &disks);
    let Relaxed::InService { devices } = &refusal.relaxations[0].change else { panic!("{refusal}") };
    assert_eq!(devices.iter().map(|one| one.standing).collect::<Vec<_>>(), [Standing::AgentDetached]);
    assert!(
        sentences(&refusal)[0].starts_with("if /dev/sdb on gfs1 could be used again (its node's agent"),
        "{refusal}"
    );
}

#[test]
fn what_would_not_be_ready_once_it_is_switched_on_is_not_said_to_be() {
    let mut disks = nodes(3, gib(16));
    disks[0].standing = Standing::DeviceOffline;
    let wish = Wish::new(gib(8), REPLICA_3);
    let first = |disks: &[Candidate]| sentences(&explained(&wish, disks)).first().cloned().unwrap_or_default();
    disks[0].also = vec![Standing::AgentDetached];
    assert_eq!(
        first(&disks),
        "if /dev/sdb on gfs1 could be used again (the device is offline (switch it on with `device enable`); its node's \
         agent is not connected (is bricklayer-agent running there?)) (1 set of 8 GiB)"
    );
    disks[0].standing = Standing::NodeOffline;
    disks[0].also = vec![Standing::DeviceOffline];
    assert!(first(&disks).starts_with("if /dev/sdb on gfs1 were in service (its node is offline (switch it on with"));
    for never in [
        Standing::DeviceFailed,
        Standing::NodeFailed,
        Standing::Lost,
        Standing::GroupMissing,
        Standing::GroupDamaged,
        Standing::DiskFails,
        Standing::Changing,
    ] {
        (disks[0].standing, disks[0].also) = (Standing::DeviceOffline, vec![never]);
        assert!(!first(&disks).starts_with("if "), "{never:?}");
        (disks[0].standing, disks[0].also) = (never, Vec::new());
        assert!(!first(&disks).starts_with("if "), "{never:?}");
    }
}

#[test]
fn a_rule_about_tags_and_room_for_snapshots_can_be_left_out() {
    let disks: Vec<_> = nodes(3, gib(16)).into_iter().map(|disk| tagged(disk, "tier", "slow")).collect();
    let wish = Wish { tag_match: Some("tier=fast".parse().unwrap()), ..Wish::new(gib(8), REPLICA_3) };
    assert_eq!(sentences(&explained(&wish, &disks)), ["without the rule tier=fast (1 set of 8 GiB)"]);

    let wish = Wish { snapshot_factor_milli: 2500, ..Wish::new(gib(10), REPLICA_3) };
    let refusal = explained(&wish, &disks);
    assert!(
        sentences(&refusal).contains(&"with a snapshot factor of 1.5 instead of 2.5 (1 set of 10 GiB)".to_owned()),
        "{refusal}"
    );
    let wish = Wish { snapshot_factor_milli: 1050, ..Wish::new(kib(16_600_000), REPLICA_3) };
    let refusal = explained(&wish, &disks);
    assert!(refusal.to_string().contains("- without room for snapshots instead of a factor of 1.05 ("), "{refusal}");
}

#[test]
fn where_a_limit_is_in_the_way_the_limit_is_named_that_would_do() {
    // 12 bricks of 3 GiB would do, and with 8 sets a brick has 0.75 GiB.
    let mut disks = nodes(24, gib(16));
    for disk in &mut disks {
        disk.space.free = Extents::new(256 - 64 + 2 + 2);
    }
    let refusal = explained(&Wish::new(gib(6), REPLICA_3), &disks);
    assert_eq!(
        sentences(&refusal)[0],
        "with other limits, placement.smallest_brick 768 MiB instead of 1 GiB (8 sets of 768 MiB)"
    );

    let mut disks = nodes(48, gib(16));
    for disk in &mut disks {
        disk.space.free = Extents::new(256 + 2 + 2);
    }
    let refusal = explained(&Wish::new(gib(16), REPLICA_3), &disks);
    assert_eq!(
        sentences(&refusal)[0],
        "with other limits, placement.most_bricks_per_volume 48 instead of 32 (16 sets of 1 GiB)"
    );
}

#[test]
fn less_redundancy_is_proposed_for_what_is_dispersed() {
    let wish = Wish::new(gib(8), Layout::Disperse { data: 4, redundancy: 2 });
    assert_eq!(
        sentences(&explained(&wish, &nodes(5, gib(16)))),
        ["as disperse 2+1 (1 set of 4 GiB); weaker: a set outlives the loss of 1 brick and no more"]
    );
}

#[test]
fn a_volume_that_grows_is_told_nothing_that_would_make_it_another_volume() {
    let wish = Wish { zones: ZoneRule::Strict, existing_bricks: 3, ..Wish::new(gib(20), REPLICA_3) };
    assert_eq!(
        sentences(&explained(&wish, &in_zones(&[1, 2, 3], gib(16)))),
        ["with 15 GiB instead of 20 GiB (1 set of 15 GiB)"]
    );
    assert_eq!(sentences(&explained(&wish, &in_zones(&[1, 1, 2], gib(16)))), [""; 0]);
}

#[test]
fn devices_are_counted_by_the_rule_that_they_fail() {
    let mut disks = nodes(5, gib(16));
    disks[0].space.free = Extents::new(1000);
    disks[1].space.free = Extents::new(500);
    disks[2].standing = Standing::AgentDetached;
    disks[3] = tagged(disks[3].clone(), "tier", "slow");
    let wish = Wish { tag_match: Some("tier!=slow".parse().unwrap()), ..Wish::new(gib(8), REPLICA_3) };
    let refusal = explained(&wish, &disks);
    let counts: Vec<_> = refusal.by_rule.iter().map(|count| (count.rule, count.devices)).collect();
    assert_eq!(
        counts,
        [
            (RuleKind::NotReady(Standing::AgentDetached), 1),
            (RuleKind::Tag, 1),
            (RuleKind::Space, 2),
            (RuleKind::Fits, 1),
        ]
    );
    assert_eq!(refusal.by_rule[2].free, Extents::new(1500).to_bytes(ONE).unwrap());
    assert_eq!(refusal.by_rule[2].least_short, Extents::new(2048 + 2 + 2 - 1000).to_bytes(ONE));
    let text = refusal.to_string();
    assert!(text.contains("Of 5 devices: 1 not used (15.98 GiB free there), as its node's agent"), "{text}");
}

/// With rules about tags, and devices that are out of service in every way.
fn some_request() -> impl Strategy<Value = (Wish, Vec<Candidate>)> {
    let standing = prop_oneof![
        6 => Just(Standing::Ready),
        1 => Just(Standing::DeviceOffline),
        1 => Just(Standing::NodeOffline),
        1 => Just(Standing::AgentDetached),
        1 => Just(Standing::DeviceFailed),
        1 => Just(Standing::NodeFailed),
        1 => Just(Standing::Changing),
    ];
    let standings = prop::collection::vec((standing, prop::bool::weighted(0.8)), 8);
    let extras = (prop::bool::weighted(0.3), prop_oneof![3 => Just(0_u32), 1 => Just(3)], 1_000..3_000_u32);
    (some_wish(), some_disks(), standings, extras).prop_map(|(mut wish, mut disks, standings, extras)| {
        let (rule, existing_bricks, factor) = extras;
        wish.tag_match = rule.then(|| "tier=fast".parse().unwrap());
        wish.existing_bricks = existing_bricks;
        wish.snapshot_factor_milli = factor;
        for (disk, (standing, fast)) in disks.iter_mut().zip(standings) {
            disk.standing = standing;
            if fast {
                disk.tags.insert("tier".to_owned(), "fast".to_owned());
            }
        }
        (wish, disks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// And comes to what it says.
    #[test]
    fn every_relaxation_that_is_proposed_succeeds_when_it_is_applied((wish, disks) in some_request()) {
        if let Err(refusal) = place(&wish, &disks) {
            let refusal = refusal.explained(&disks);
            for relaxation in &refusal.relaxations {
                let placement = place(&relaxation.wish, &relaxation.candidates(&disks));
                let placement = placement.map_err(|again| TestCaseError::fail(format!("{relaxation}: {again}")))?;
                prop_assert_eq!((placement.sets.len(), placement.brick_size), (relaxation.sets, relaxation.brick));
            }
            prop_assert_eq!(refusal.by_rule.iter().map(|count| count.devices).sum::<usize>(), disks.len());
        }
    }

    /// Of the devices that would have to come into service none is named in vain.
    #[test]
    fn none_of_the_devices_that_would_have_to_come_is_named_in_vain((wish, disks) in some_request()) {
        if let Err(refusal) = place(&wish, &disks) {
            for mut relaxation in refusal.explained(&disks).relaxations {
                let Relaxed::InService { devices } = relaxation.change.clone() else { continue };
                for left_out in &devices {
                    let others = devices.iter().filter(|other| *other != left_out).cloned().collect();
                    relaxation.change = Relaxed::InService { devices: others };
                    prop_assert!(place(&wish, &relaxation.candidates(&disks)).is_err(), "{}", left_out.device_name);
                }
            }
        }
    }
}
