//! Losses, new disks and new volumes, played on a copy.

use bricklayer_proto::ids::{BrickId, ClusterId, VolumeId};

use super::super::what_if::*;
use super::*;

const CLUSTER: ClusterId = ClusterId::from_u128(0xc);

/// A cluster with these devices and volumes, the volumes placed one after the other.
fn cluster(mut candidates: Vec<Candidate>, wishes: &[Wish]) -> ClusterAsItIs {
    let mut volumes = Vec::new();
    for (number, wish) in (1..).zip(wishes) {
        let placement = place(wish, &candidates).unwrap();
        carry_out(&mut candidates, &placement);
        let bricks = (0..).zip(&placement.sets).flat_map(|(set, bricks)| bricks.iter().map(move |brick| (set, brick)));
        let bricks = (0..).zip(bricks).map(|(at, (set, brick))| BrickAsItIs {
            id: BrickId::from_u128(number << 64 | at),
            set,
            role: brick.role,
            asked: brick.asked,
            provisioning: brick.space.provisioning,
            device: brick.device,
            node: brick.node,
        });
        volumes.push(VolumeAsItIs {
            id: VolumeId::from_u128(number),
            name: format!("vol{number}"),
            layout: wish.layout,
            snapshot_factor_milli: wish.snapshot_factor_milli,
            zones: wish.zones,
            tag_match: wish.tag_match.clone(),
            set_rules: wish.set_rules.clone(),
            over_commit: wish.over_commit,
            bricks: bricks.collect(),
        });
    }
    ClusterAsItIs { id: CLUSTER, candidates, volumes, room_for_volumes: 1000 }
}

fn node(number: u128) -> Loss {
    Loss::Node(NodeId::from_u128(number))
}

fn lose(losses: &[Loss]) -> Scenario {
    Scenario { lose: losses.to_vec(), ..Scenario::default() }
}

fn states(outcome: &Outcome) -> Vec<SetState> {
    outcome.sets.iter().map(|set| set.state).collect()
}

#[test]
fn where_nothing_happens_everything_stays_as_it_is() {
    let now = cluster(nodes(3, gib(16)), &[Wish::new(gib(4), REPLICA_3)]);
    let outcome = what_if(std::slice::from_ref(&now), &Scenario::default());
    assert!(outcome.sets.is_empty() && outcome.heals.is_empty() && outcome.creations.is_empty());
    assert!(outcome.devices.iter().all(|one| one.fate == Fate::Stays && one.after == one.candidate.space));
}

#[test]
fn a_brick_that_is_lost_goes_where_a_replacement_would_put_it_and_takes_its_space_there() {
    let mut disks = nodes(5, gib(16));
    disks[3].space.free = Extents::new(3000);
    disks[4].space.free = Extents::new(2500);
    let now = cluster(disks, &[Wish::new(gib(4), REPLICA_3), Wish::new(gib(4), REPLICA_3)]);
    let outcome = what_if(std::slice::from_ref(&now), &lose(&[node(1)]));
    assert_eq!(states(&outcome), [SetState::Degraded; 2]);
    let to: Vec<_> = outcome.heals.iter().map(|heal| heal.to.as_ref().unwrap().node).collect();
    assert_eq!(to, [NodeId::from_u128(4), NodeId::from_u128(5)], "the first took what the second would have liked");
    let free: Vec<_> = outcome.devices.iter().map(|one| one.after.free.count()).collect();
    assert_eq!(free[3..], [3000 - 1024 - 2 - 2, 2500 - 1024 - 2 - 2]);
    assert_eq!((outcome.devices[0].fate, free[0]), (Fate::Lost, 0));
}

#[test]
fn what_is_left_of_a_set_decides_whether_it_serves() {
    let arbiter = Wish::new(gib(1), Layout::Arbiter);
    let dispersed = Wish::new(gib(2), Layout::Disperse { data: 2, redundancy: 1 });
    let two = Wish::new(gib(1), Layout::Replicate { replica: 2 });
    let one = Wish::new(gib(1), Layout::Distribute);
    let all = [Wish::new(gib(1), REPLICA_3), arbiter, dispersed];
    let now = cluster(nodes(3, gib(16)), &all);
    let after = |losses: &[Loss]| what_if(std::slice::from_ref(&now), &lose(losses));
    assert_eq!(states(&after(&[node(1)])), [SetState::Degraded; 3]);
    // Three copies: one is left. The arbiter's set: whether data is left depends on who is lost.
    let arbiter_on = now.volumes[1].bricks[2].node;
    let [one_left, arbiter_left, fragments] = states(&after(&[node(1), node(2)]))[..] else { panic!() };
    assert_eq!((one_left, fragments), (SetState::BelowQuorum, SetState::DataLost));
    let only_arbiter = arbiter_on == NodeId::from_u128(3);
    assert_eq!(arbiter_left, if only_arbiter { SetState::DataLost } else { SetState::BelowQuorum });
    assert!(after(&[node(1), node(2)]).heals.iter().all(|heal| matches!(heal.to, Err(NoHeal::Set(_)))));

    let now = cluster(nodes(2, gib(16)), &[two, one]);
    let on = now.volumes[1].bricks[0].node;
    let outcome = what_if(std::slice::from_ref(&now), &lose(&[Loss::Node(on)]));
    assert_eq!(states(&outcome), [SetState::Degraded, SetState::DataLost]);
    assert!(matches!(outcome.heals[0].to, Err(NoHeal::NoPlace(_))), "there is no third node");
}

#[test]
fn a_disk_that_is_added_takes_what_was_lost_and_what_is_new() {
    let now = cluster(nodes(3, gib(16)), &[Wish::new(gib(12), REPLICA_3)]);
    let comes = candidate(4, 7, 1, fresh(gib(100)));
    let create = |count, size| Creation { count, clusters: vec![(CLUSTER, Wish::new(size, Layout::Distribute))] };
    let scenario =
        Scenario { lose: vec![node(2)], add: vec![(CLUSTER, comes.clone())], create: vec![create(100, gib(10))] };
    let outcome = what_if(std::slice::from_ref(&now), &scenario);
    assert_eq!(outcome.heals[0].to.as_ref().unwrap().device, comes.device);
    let creation = &outcome.creations[0];
    assert_eq!(
        (creation.asked, creation.placed.len()),
        (100, 9),
        "8 bricks beside the 12 GiB, and one volume in smaller ones"
    );
    let Some(NotCreated::NoPlacement(refusals)) = &creation.refused else { panic!("{creation:?}") };
    assert!(refusals[0].1.largest.unwrap() < gib(10));
    assert_eq!(outcome.devices.last().unwrap().fate, Fate::Comes);
}

#[test]
fn a_zone_takes_all_of_its_nodes_and_the_limit_of_volumes_counts() {
    let mut disks = nodes(4, gib(16));
    disks[1].zone = 2;
    disks[3].zone = 2;
    let mut now = cluster(disks, &[]);
    now.room_for_volumes = 1;
    let create = Creation { count: 3, clusters: vec![(CLUSTER, Wish::new(gib(1), Layout::Distribute))] };
    let scenario = Scenario { lose: vec![Loss::Zone(2)], create: vec![create], ..Scenario::default() };
    let outcome = what_if(&[now], &scenario);
    let fates: Vec<_> = outcome.devices.iter().map(|one| one.fate).collect();
    assert_eq!(fates, [Fate::Stays, Fate::Lost, Fate::Stays, Fate::Lost]);
    assert_eq!(outcome.creations[0].placed.len(), 1);
    assert!(matches!(outcome.creations[0].refused, Some(NotCreated::TooManyVolumes)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is lost: no two bricks of a set come to lie on one node, nothing comes to lie on what is lost, and no
    /// device gives more than it has.
    #[test]
    fn what_heals_keeps_the_rules(
        sizes in prop::collection::vec((1..3_u64, 0..4_usize), 1..5),
        number in 3..6_u8,
        losses in prop::collection::vec(1..6_u128, 1..3),
    ) {
        let layouts = [REPLICA_3, Layout::Arbiter, Layout::Disperse { data: 2, redundancy: 1 }, Layout::Distribute];
        let wishes: Vec<_> = sizes.into_iter().map(|(size, at)| Wish::new(gib(size * 2), layouts[at])).collect();
        let now = cluster(nodes(number, gib(64)), &wishes);
        let losses: Vec<_> = losses.into_iter().map(node).collect();
        let outcome = what_if(std::slice::from_ref(&now), &lose(&losses));
        let mut volumes = now.volumes.clone();
        for heal in &outcome.heals {
            let Ok(placed) = &heal.to else { continue };
            prop_assert!(!losses.contains(&Loss::Node(placed.node)));
            let volume = volumes.iter_mut().find(|volume| volume.id == heal.volume).unwrap();
            let brick = volume.bricks.iter_mut().find(|brick| brick.id == heal.brick.id).unwrap();
            (brick.node, brick.device) = (placed.node, placed.device);
        }
        for volume in &volumes {
            for (at, brick) in volume.bricks.iter().enumerate() {
                let twice = volume.bricks[..at].iter().any(|other| other.set == brick.set && other.node == brick.node);
                prop_assert!(!twice, "{}", volume.name);
            }
        }
        for device in outcome.devices.iter().filter(|device| device.fate == Fate::Stays) {
            let came = outcome.heals.iter().filter_map(|heal| heal.to.as_ref().ok());
            let came: Vec<_> = came.filter(|to| to.device == device.candidate.device).map(|to| to.space).collect();
            prop_assert_eq!(device.candidate.space.after_all(&came), Some(device.after));
        }
    }
}
