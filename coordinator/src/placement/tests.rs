mod changes;
mod policy;
mod pools;
mod relaxations;
mod what_if;

use proptest::prelude::*;

use bricklayer_proto::size::{ExtentSize, Extents};
use bricklayer_proto::space::usable_extents;

use super::refusal::Ended;
use super::*;

const ONE: ExtentSize = ExtentSize::FOUR_MIB;

fn gib(count: u64) -> ByteSize {
    ByteSize::from_gib(count).unwrap()
}

fn kib(count: u64) -> ByteSize {
    ByteSize::from_kib(count).unwrap()
}

fn fresh(disk: ByteSize) -> DeviceSpace {
    let total = usable_extents(disk, ONE);
    DeviceSpace { extent_size: ONE, total, free: total, spare: Extents::ZERO, kept: Extents::ZERO }
}

/// The `number`th device, on the `node`th node.
fn candidate(node: u8, number: u8, zone: u32, space: DeviceSpace) -> Candidate {
    let letter = char::from(b'b' + number);
    Candidate {
        device: DeviceId::from_u128(u128::from(node) << 8 | u128::from(number)),
        node: NodeId::from_u128(u128::from(node)),
        zone,
        standing: Standing::Ready,
        also: Vec::new(),
        space,
        thin_only: false,
        tags: BTreeMap::new(),
        node_name: format!("gfs{node}"),
        device_name: format!("/dev/sd{letter}"),
    }
}

/// Nodes with one fresh device each, all in zone 1.
fn nodes(number: u8, disk: ByteSize) -> Vec<Candidate> {
    (1..=number).map(|node| candidate(node, 0, 1, fresh(disk))).collect()
}

fn tagged(mut candidate: Candidate, key: &str, value: &str) -> Candidate {
    candidate.tags.insert(key.to_owned(), value.to_owned());
    candidate
}

const REPLICA_3: Layout = Layout::Replicate { replica: 3 };

fn carry_out(candidates: &mut [Candidate], placement: &Placement) {
    for brick in placement.bricks() {
        let candidate = candidates.iter_mut().find(|candidate| candidate.device == brick.device).unwrap();
        candidate.space = candidate.space.after(&brick.space).unwrap();
    }
}

fn sizes_kib(placement: &Placement) -> Vec<u64> {
    placement.bricks().map(|brick| brick.asked.whole_kib()).collect()
}

mod the_story {
    use super::*;

    #[test]
    fn of_two_volumes_of_8_gib_on_16_gib_disks_the_second_is_refused_and_7_fits() {
        let mut disks = nodes(3, gib(16));
        let placement = place(&Wish::new(gib(8), REPLICA_3), &disks).unwrap();
        carry_out(&mut disks, &placement);
        // 4091 extents, less 2048 of data, 2 of metadata and 2 of the group's spare.
        assert!(disks.iter().all(|disk| disk.space.free == Extents::new(2039)));

        let refusal = place(&Wish::new(gib(8), REPLICA_3), &disks).unwrap_err();
        assert_eq!(refusal.largest, Some(gib(7)));
        assert_eq!(
            refusal.to_string(),
            "No space\n\
             Needed: 3 bricks of 8 GiB on different nodes; no device has room for one.\n\
             Tried bricks: 1 set of 8 GiB, 2 sets of 4 GiB, 4 sets of 2 GiB, 8 sets of 1 GiB. \
             With 16 sets a brick would have 512 MiB, the least is 1 GiB.\n\
             /dev/sdb on gfs1: needs 8.01 GiB (8598323200 bytes), 7.96 GiB free, 44 MiB short\n\
             /dev/sdb on gfs2: needs 8.01 GiB (8598323200 bytes), 7.96 GiB free, 44 MiB short\n\
             /dev/sdb on gfs3: needs 8.01 GiB (8598323200 bytes), 7.96 GiB free, 44 MiB short\n\
             The largest volume that fits with this durability has 7 GiB."
        );

        let placement = place(&Wish::new(gib(7), REPLICA_3), &disks).unwrap();
        carry_out(&mut disks, &placement);
        assert!(disks.iter().all(|disk| disk.space.free == Extents::new(2039 - 1794)));
    }

    #[test]
    fn a_brick_that_takes_the_last_extent_fits() {
        let mut disks = nodes(1, gib(16));
        disks[0].space.free = Extents::new(256 + 2 + 2);
        let placement = place(&Wish::new(gib(1), Layout::Distribute), &disks).unwrap();
        carry_out(&mut disks, &placement);
        assert_eq!(disks[0].space.free, Extents::ZERO);

        disks[0].space = DeviceSpace { free: Extents::new(256 + 2 + 1), spare: Extents::ZERO, ..disks[0].space };
        assert!(place(&Wish::new(gib(1), Layout::Distribute), &disks).is_err());
        // With a spare that another pool has brought, the same room is enough.
        disks[0].space.spare = Extents::new(2);
        assert!(place(&Wish::new(gib(1), Layout::Distribute), &disks).is_ok());
    }
}

mod as_heketi {
    use super::*;

    /// Four nodes with two devices of 500 GiB each, of which one that holds 500 GiB and what LVM takes.
    fn four_nodes() -> Vec<Candidate> {
        let disk = gib(502);
        (1..=4).flat_map(|node| (0..2).map(move |number| candidate(node, number, 1, fresh(disk)))).collect()
    }

    #[test]
    fn bricks_have_the_sizes_that_heketi_gives_them() {
        let disperse = |data, redundancy| Layout::Disperse { data, redundancy };
        let cases: [(u64, Layout, &[u64]); 7] = [
            (10, Layout::Distribute, &[10_485_760]),
            (10, Layout::Replicate { replica: 2 }, &[10_485_760; 2]),
            (10, Layout::Replicate { replica: 1 }, &[10_485_760]),
            (5, REPLICA_3, &[5_242_880; 3]),
            (6, disperse(2, 1), &[3_145_728; 3]),
            (700, Layout::Distribute, &[367_001_600; 2]),
            (50, Layout::Arbiter, &[52_428_800, 52_428_800, 819_200]),
        ];
        for (size, layout, expected) in cases {
            let placement = place(&Wish::new(gib(size), layout), &four_nodes()).unwrap();
            assert_eq!(sizes_kib(&placement), expected, "{size} GiB, {layout:?}");
        }
    }

    #[test]
    fn what_is_too_large_for_one_device_is_halved() {
        let disks: Vec<_> = (1..=4).map(|node| candidate(node, 0, 1, fresh(gib(500)))).collect();
        let placement = place(&Wish::new(gib(501), Layout::Distribute), &disks).unwrap();
        assert_eq!(sizes_kib(&placement), [262_668_288; 2]);
    }

    /// heketi gives 16 MiB here, of which today's mkfs.xfs makes no file system.
    #[test]
    fn an_arbiter_brick_has_at_least_300_mib() {
        let wish = Wish { average_file_size: kib(1024), ..Wish::new(gib(5), Layout::Arbiter) };
        let placement = place(&wish, &four_nodes()).unwrap();
        assert_eq!(sizes_kib(&placement), [5_242_880, 5_242_880, 300 * 1024]);
        assert_eq!(placement.sets[0][2].role, BrickRole::Arbiter);
    }

    #[test]
    fn six_bricks_of_a_set_need_six_nodes() {
        let wish = Wish::new(gib(10), Layout::Disperse { data: 4, redundancy: 2 });
        let refusal = place(&wish, &four_nodes()).unwrap_err();
        assert_eq!(refusal.cause, Cause::NoSpace);
        assert_eq!(refusal.largest, None);
        let text = refusal.to_string();
        assert!(
            text.starts_with("No space\nNeeded: 6 bricks of 2.50 GiB on different nodes; 4 nodes in 1 zone have room")
        );
        assert!(text.ends_with("No volume fits with this durability, however small."), "{text}");
    }

    #[test]
    fn a_new_volume_with_too_many_bricks_is_refused_as_no_space_and_an_expansion_by_its_limit() {
        let wish = Wish::new(gib(1_000_000), Layout::Replicate { replica: 2 });
        let refusal = place(&wish, &four_nodes()).unwrap_err();
        assert_eq!((refusal.cause, refusal.heketi_text()), (Cause::TooManyBricks, "No space"));

        let wish = Wish { existing_bricks: 3, ..Wish::new(gib(500_000), REPLICA_3) };
        let refusal = place(&wish, &four_nodes()).unwrap_err();
        assert_eq!(refusal.to_string().lines().next(), Some("Maximum number of bricks reached."));

        let wish = Wish { existing_bricks: 3, ..Wish::new(gib(4), REPLICA_3) };
        let refusal = place(&wish, &nodes(2, gib(16))).unwrap_err();
        assert_eq!(refusal.to_string().lines().next(), Some("Minimum brick size limit reached.  Out of space."));
    }

    #[test]
    fn bricks_that_the_volume_has_count_towards_the_limit() {
        let disks = nodes(3, gib(16));
        assert!(place(&Wish { existing_bricks: 29, ..Wish::new(gib(4), REPLICA_3) }, &disks).is_ok());
        let refusal = place(&Wish { existing_bricks: 30, ..Wish::new(gib(4), REPLICA_3) }, &disks).unwrap_err();
        assert_eq!((refusal.cause, refusal.largest), (Cause::TooManyBricks, None));
    }

    #[test]
    fn no_brick_is_larger_than_4_tib() {
        let disks = nodes(3, gib(40 * 1024));
        let placement = place(&Wish::new(gib(12 * 1024), REPLICA_3), &disks).unwrap();
        assert_eq!((placement.sets.len(), placement.brick_size), (4, gib(3 * 1024)));
        let refusal = place(&Wish::new(gib(33 * 1024), REPLICA_3), &disks).unwrap_err();
        assert_eq!(refusal.largest, Some(gib(32 * 1024)));
        assert_eq!(refusal.attempts.iter().filter(|attempt| attempt.ended == Ended::BrickTooLarge).count(), 4);
    }

    #[test]
    fn a_snapshot_factor_enlarges_the_pool_and_not_the_brick() {
        let wish = Wish { snapshot_factor_milli: 1500, ..Wish::new(gib(10), REPLICA_3) };
        let placement = place(&wish, &four_nodes()).unwrap();
        for brick in placement.bricks() {
            assert_eq!((brick.space.volume, brick.space.pool), (Extents::new(2560), Extents::new(3840)));
        }
    }

    #[test]
    fn only_devices_whose_tags_match_are_taken() {
        let disks: Vec<_> = four_nodes()
            .into_iter()
            .map(|disk| {
                let tier = if disk.device_name == "/dev/sdc" { "fast" } else { "slow" };
                tagged(disk, "tier", tier)
            })
            .collect();
        let fast = Wish { tag_match: Some("tier=fast".parse().unwrap()), ..Wish::new(gib(8), REPLICA_3) };
        let placement = place(&fast, &disks).unwrap();
        let name = |device| disks.iter().find(|disk| disk.device == device).unwrap().device_name.clone();
        assert!(placement.bricks().all(|brick| name(brick.device) == "/dev/sdc"));

        let none = Wish { tag_match: Some("tier=tape".parse().unwrap()), ..fast };
        let text = place(&none, &disks).unwrap_err().to_string();
        assert!(text.contains("/dev/sdb on gfs1: not used: tier=tape is wanted, its tag tier is \"slow\"\n"), "{text}");
    }
}

mod arbiters {
    use super::*;

    #[test]
    fn a_device_kept_for_arbiters_gets_the_arbiter_and_no_data() {
        let mut disks = nodes(4, gib(100));
        disks[2] = tagged(disks[2].clone(), ARBITER_TAG, "required");
        let placement = place(&Wish::new(gib(10), Layout::Arbiter), &disks).unwrap();
        assert_eq!(placement.sets[0][2].device, disks[2].device);

        disks.truncate(3);
        let refusal = place(&Wish::new(gib(10), REPLICA_3), &disks);
        assert!(refusal.is_ok(), "the tag speaks about volumes with an arbiter only");
    }

    #[test]
    fn a_device_closed_to_arbiters_gets_data_only() {
        let disks: Vec<_> = nodes(3, gib(100)).into_iter().map(|disk| tagged(disk, ARBITER_TAG, "disabled")).collect();
        assert!(place(&Wish::new(gib(10), Layout::Arbiter), &disks).is_err());
    }

    #[test]
    fn a_node_that_is_too_full_for_data_still_takes_the_arbiter() {
        let mut disks = nodes(3, gib(16));
        // 300 MiB and the metadata of its pool.
        disks[0].space = DeviceSpace { free: Extents::new(75 + 2), spare: Extents::new(2), ..disks[0].space };
        let placement = place(&Wish::new(gib(8), Layout::Arbiter), &disks).unwrap();
        assert_eq!(placement.sets[0][2].device, disks[0].device);

        let refusal = place(&Wish::new(gib(20), Layout::Arbiter), &disks).unwrap_err();
        // 5120 extents, 5 of metadata, by 3 more than the spare has.
        let short = Extents::new(5120 + 5 + 3 - 77).to_bytes(ONE).unwrap();
        assert_eq!(refusal.devices[0].rule, Rule::Space { role: BrickRole::Data, short });
    }
}

mod zones {
    use super::*;

    fn in_zones(zones: &[u32], disk: ByteSize) -> Vec<Candidate> {
        (1..).zip(zones).map(|(node, zone)| candidate(node, 0, *zone, fresh(disk))).collect()
    }

    fn zones_used(placement: &Placement, disks: &[Candidate]) -> Vec<Vec<u32>> {
        let zone = |node| disks.iter().find(|disk| disk.node == node).unwrap().zone;
        placement.sets.iter().map(|set| set.iter().map(|brick| zone(brick.node)).collect()).collect()
    }

    #[test]
    fn a_set_is_spread_over_zones_where_that_is_possible() {
        let mut disks = in_zones(&[1, 1, 1, 2, 3], gib(100));
        // The emptiest nodes are all in zone 1.
        disks[3].space.free = Extents::new(3000);
        disks[4].space.free = Extents::new(3000);
        let placement = place(&Wish::new(gib(8), REPLICA_3), &disks).unwrap();
        let mut used = zones_used(&placement, &disks).remove(0);
        used.sort_unstable();
        assert_eq!(used, [1, 2, 3]);
    }

    #[test]
    fn one_zone_is_enough_unless_the_rule_is_strict() {
        let disks = in_zones(&[1, 1, 2], gib(100));
        let wish = Wish::new(gib(8), REPLICA_3);
        assert!(place(&wish, &disks).is_ok());
        let refusal = place(&Wish { zones: ZoneRule::Strict, ..wish }, &disks).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("Needed: 3 bricks of 8 GiB in different zones; 3 nodes in 2 zones have room"), "{text}");
        assert!(
            text.contains(
                "/dev/sdb on gfs1: needs 8.02 GiB (8606711808 bytes), 99.98 GiB free; has room for 12 bricks"
            ),
            "{text}"
        );
        assert_eq!(refusal.largest, None);
    }
}

mod preferences {
    use super::*;

    /// The emptiest two nodes have room for one brick each, the third for two. Taking the emptiest first leaves the
    /// second set with one node.
    #[test]
    fn no_preference_leads_into_a_dead_end() {
        let devices = [(1, 0, 260), (1, 1, 260), (2, 0, 460), (3, 0, 460)];
        let disks: Vec<_> = devices
            .into_iter()
            .map(|(node, number, free)| {
                let space = DeviceSpace { free: Extents::new(free), ..fresh(gib(16)) };
                candidate(node, number, 1, space)
            })
            .collect();
        let placement = place(&Wish::new(gib(2), Layout::Replicate { replica: 2 }), &disks).unwrap();
        assert_eq!(placement.sets.len(), 2);
        assert!(placement.sets.iter().all(|set| set.iter().any(|brick| brick.node == disks[0].node)));
    }

    #[test]
    fn the_emptier_devices_are_taken() {
        let mut disks = nodes(5, gib(100));
        disks[0].space.free = Extents::new(10_000);
        disks[2].space.free = Extents::new(9_000);
        let placement = place(&Wish::new(gib(8), REPLICA_3), &disks).unwrap();
        let mut used: Vec<_> = placement.bricks().map(|brick| brick.device).collect();
        used.sort_unstable();
        assert_eq!(used, [disks[1].device, disks[3].device, disks[4].device]);
    }

    #[test]
    fn many_volumes_fill_equal_devices_evenly() {
        let mut disks: Vec<_> =
            (1..=4).flat_map(|node| (0..3).map(move |number| candidate(node, number, 1, fresh(gib(100))))).collect();
        for layout in [REPLICA_3, Layout::Arbiter] {
            for _ in 0..24 {
                let placement = place(&Wish::new(gib(5), layout), &disks).unwrap();
                carry_out(&mut disks, &placement);
            }
            let free = disks.iter().map(|disk| disk.space.free.count());
            let (least, most) = (free.clone().min().unwrap(), free.max().unwrap());
            assert!(most - least <= 1282 + 2, "{layout:?}: from {least} to {most}");
        }
    }

    #[test]
    fn devices_out_of_service_are_not_taken_and_say_why() {
        let mut disks = nodes(3, gib(16));
        disks[1].standing = Standing::AgentDetached;
        let refusal = place(&Wish::new(gib(8), REPLICA_3), &disks).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("/dev/sdb on gfs2: not used: its node's agent is not connected"), "{text}");
        assert!(
            text.contains(
                "/dev/sdb on gfs1: needs 8.02 GiB (8606711808 bytes), 15.98 GiB free; has room for 1 brick\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn without_devices_there_is_a_refusal_too() {
        let refusal = place(&Wish::new(gib(8), REPLICA_3), &[]).unwrap_err();
        assert_eq!(
            refusal.to_string().lines().collect::<Vec<_>>(),
            ["No space", "There is no device.", "No volume fits with this durability, however small."]
        );
    }

    #[test]
    fn the_text_of_a_refusal_stays_readable_with_many_devices() {
        let disks: Vec<_> = (0..200).map(|node| candidate(node, 0, 1, fresh(gib(4)))).collect();
        let text = place(&Wish::new(gib(1000), REPLICA_3), &disks).unwrap_err().to_string();
        assert!(text.lines().count() < 60, "{text}");
        assert!(
            text.contains("\nand 152 more devices\nOf 200 devices: 200 too full (796.09 GiB free there, "),
            "{text}"
        );
    }
}

mod the_largest {
    use super::*;

    /// 8 GiB go as eight bricks of 1 GiB; 7 GiB would need bricks of 1.75 GiB, as 0.875 GiB is too little.
    #[test]
    fn is_found_even_where_something_smaller_does_not_fit() {
        let mut disks = nodes(8, gib(16));
        for disk in &mut disks {
            disk.space.free = Extents::new(270);
        }
        let wish = |size| Wish::new(gib(size), Layout::Distribute);
        assert!(place(&wish(8), &disks).is_ok());
        assert_eq!(place(&wish(7), &disks).unwrap_err().largest, Some(gib(8)));
        assert_eq!(largest(&wish(1), &disks), Some(gib(8)));
    }
}

/// A search of our own, as plain as possible: all ways to place the sets one after the other.
mod brute_force {
    use std::collections::HashSet;

    use super::*;

    type Free = Vec<(u64, u64)>;

    struct Search<'a> {
        disks: &'a [Candidate],
        /// Per brick of a set: its role and what it takes (pool and metadata, metadata).
        bricks: Vec<(BrickRole, (u64, u64))>,
        layout: Layout,
        most_per_zone: usize,
        rules: &'a SetRules,
        dead_ends: HashSet<(usize, Free)>,
    }

    impl Search<'_> {
        fn takes(&self, disk: &Candidate, role: BrickRole) -> bool {
            let tag = disk.tags.get("arbiter").map_or("", String::as_str);
            self.layout != Layout::Arbiter
                || match role {
                    BrickRole::Data => tag != "required",
                    BrickRole::Arbiter => tag != "disabled",
                }
        }

        /// The policy's rules about tags, read once more from the documentation.
        fn keeps_tags(&self, disk: &Candidate, chosen: &[usize]) -> bool {
            let value = |disk: &Candidate, key: &str| disk.tags.get(key).cloned().unwrap_or_default();
            self.rules.tags.iter().all(|rule| {
                let rule = rule.to_string();
                let (word, rest) = rule.split_once(':').unwrap();
                let mut others = chosen.iter().map(|other| value(&self.disks[*other], rest));
                match word {
                    "same" => others.all(|other| other == value(disk, rest)),
                    "different" => others.all(|other| other != value(disk, rest)),
                    _ => {
                        let (key, wanted) = rest.split_once('=').unwrap();
                        value(disk, key) == wanted
                    }
                }
            })
        }

        fn sets_fit(&mut self, sets: usize, free: &Free) -> bool {
            if sets == 0 {
                return true;
            }
            if self.dead_ends.contains(&(sets, free.clone())) {
                return false;
            }
            let found = self.set_fits(sets, free, &mut Vec::new());
            if !found {
                self.dead_ends.insert((sets, free.clone()));
            }
            found
        }

        fn set_fits(&mut self, sets: usize, free: &Free, chosen: &mut Vec<usize>) -> bool {
            let Some(&(role, (takes, metadata))) = self.bricks.get(chosen.len()) else {
                return self.sets_fit(sets - 1, free);
            };
            for index in 0..self.disks.len() {
                let disk = &self.disks[index];
                let same_zone = chosen.iter().filter(|other| self.disks[**other].zone == disk.zone).count();
                let same_node = chosen.iter().any(|other| self.disks[*other].node == disk.node);
                let (left, spare) = free[index];
                let needs = takes + metadata.saturating_sub(spare);
                let tags = self.keeps_tags(disk, chosen);
                if same_node || same_zone >= self.most_per_zone || !tags || !self.takes(disk, role) || needs > left {
                    continue;
                }
                let mut after = free.clone();
                after[index] = (left - needs, spare.max(metadata));
                chosen.push(index);
                if self.set_fits(sets, &after, chosen) {
                    return true;
                }
                chosen.pop();
            }
            false
        }
    }

    /// Whether `sets` sets can be placed on what these devices have left, of which the first is begun: it has bricks of
    /// the first roles in `order` on the devices in `chosen`.
    pub fn finishes(
        wish: &Wish,
        brick: ByteSize,
        order: &[BrickRole],
        sets: usize,
        most_per_zone: usize,
        disks: &[Candidate],
        chosen: &[usize],
    ) -> bool {
        let bricks = order.iter().map(|role| (*role, takes(wish, *role, size(brick, *role)))).collect();
        let free = disks.iter().map(|disk| (disk.space.free.count(), disk.space.spare.count())).collect();
        let (layout, rules) = (wish.layout, &wish.set_rules);
        let mut search = Search { disks, bricks, layout, most_per_zone, rules, dead_ends: HashSet::new() };
        search.set_fits(sets, &free, &mut chosen.to_vec())
    }

    fn size(brick: ByteSize, role: BrickRole) -> ByteSize {
        match role {
            BrickRole::Data => brick,
            BrickRole::Arbiter => kib(brick.whole_kib() / 64).max(LEAST_ARBITER),
        }
    }

    fn takes(wish: &Wish, role: BrickRole, size: ByteSize) -> (u64, u64) {
        if wish.provisioning.is_thick() {
            return (BrickSpace::thick(size, ONE).taken().unwrap().count(), 0);
        }
        let ratio = if role == BrickRole::Data { u64::from(wish.over_commit.milli()) } else { 1000 };
        let pool = ByteSize::from_bytes((size.bytes() * u64::from(wish.snapshot_factor_milli)).div_ceil(ratio));
        let space = match ratio {
            1000 => BrickSpace::thin(size, pool, ONE).unwrap(),
            _ => BrickSpace::promised(size, pool.max(LEAST_ARBITER), ONE).unwrap(),
        };
        (space.taken().unwrap().count(), space.metadata.count())
    }

    /// Whether `sets` sets of bricks of this size can be placed with at most so many of a set in a zone.
    pub fn fits(wish: &Wish, brick: ByteSize, sets: usize, most_per_zone: usize, disks: &[Candidate]) -> bool {
        let number = usize::try_from(wish.layout.bricks_per_set()).unwrap();
        let mut bricks = vec![(BrickRole::Data, takes(wish, BrickRole::Data, brick)); number];
        if wish.layout == Layout::Arbiter {
            let arbiter = size(brick, BrickRole::Arbiter);
            bricks[2] = (BrickRole::Arbiter, takes(wish, BrickRole::Arbiter, arbiter));
        }
        let disks: Vec<_> = disks
            .iter()
            .filter(|disk| disk.standing == Standing::Ready && wish.is_made_by(disk.thin_only))
            .cloned()
            .collect();
        let free = disks.iter().map(|disk| (disk.space.free.count(), disk.space.spare.count())).collect();
        let (layout, rules) = (wish.layout, &wish.set_rules);
        Search { disks: &disks, bricks, layout, most_per_zone, rules, dead_ends: HashSet::new() }.sets_fit(sets, &free)
    }

    /// heketi's search over it: number of sets, and the least number of bricks of a set in one zone.
    pub fn place(wish: &Wish, disks: &[Candidate]) -> Option<(usize, usize)> {
        let number = usize::try_from(wish.layout.bricks_per_set()).unwrap();
        let parts = match wish.layout {
            Layout::Disperse { data, .. } => u64::from(data),
            _ => 1,
        };
        let most = wish.set_rules.most_per_zone.map_or(number, |most| number.min(most.get() as usize));
        let strictly = if wish.zones == ZoneRule::Strict { 1 } else { most };
        for sets in [1, 2, 4, 8, 16, 32] {
            let brick = kib(wish.size.whole_kib() / sets as u64 / parts);
            if brick < wish.limits.least_brick || sets * number > 32 {
                return None;
            }
            if let Some(per_zone) = (1..=strictly).find(|per_zone| fits(wish, brick, sets, *per_zone, disks)) {
                return Some((sets, per_zone));
            }
        }
        None
    }
}

/// Room for a few bricks of 1 GiB (256 + 2 extents) or arbiters (75 + 2), a little more or less.
fn some_extents() -> impl Strategy<Value = u64> {
    let near = (0..5_u64, 0..4_u64, 0..8_u64)
        .prop_map(|(data, arbiters, more)| (data * 258 + arbiters * 77 + more).saturating_sub(4));
    prop_oneof![4 => near, 1 => 0..1200_u64]
}

fn some_disks() -> impl Strategy<Value = Vec<Candidate>> {
    let tag = prop_oneof![4 => Just(None), 1 => Just(Some("required")), 1 => Just(Some("disabled"))];
    let ready = prop::bool::weighted(0.9);
    let disk = (some_extents(), prop_oneof![Just(0_u64), Just(2), Just(3)], tag, ready);
    let node = (1..4_u32, prop::collection::vec(disk, 1..=2));
    prop::collection::vec(node, 1..=4).prop_map(|nodes| {
        let mut disks = Vec::new();
        for (node, (zone, devices)) in (1..).zip(nodes) {
            for (number, (free, spare, tag, ready)) in (0..).zip(devices) {
                let space = DeviceSpace {
                    extent_size: ONE,
                    total: Extents::new(8000),
                    free: Extents::new(free),
                    spare: Extents::new(spare),
                    kept: Extents::ZERO,
                };
                let mut disk = candidate(node, number, zone, space);
                if let Some(tag) = tag {
                    disk = tagged(disk, ARBITER_TAG, tag);
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

fn some_wish() -> impl Strategy<Value = Wish> {
    let layout = prop_oneof![
        1 => Just(Layout::Distribute),
        1 => Just(Layout::Replicate { replica: 2 }),
        1 => Just(REPLICA_3),
        3 => Just(Layout::Arbiter),
        1 => Just(Layout::Disperse { data: 2, redundancy: 1 }),
    ];
    let zones = prop_oneof![Just(ZoneRule::Preferred), Just(ZoneRule::Strict)];
    let factor = prop_oneof![3 => Just(1000_u32), 1 => Just(1250)];
    // At most four sets: the brute force has to end.
    (1..8_u64, layout, zones, factor).prop_map(|(size, layout, zones, snapshot_factor_milli)| {
        let size = gib(if matches!(layout, Layout::Disperse { .. }) { size * 2 } else { size });
        Wish { zones, snapshot_factor_milli, ..Wish::new(size, layout) }
    })
}

/// All hard rules, counted anew.
fn keeps_the_rules(wish: &Wish, placement: &Placement, disks: &[Candidate]) -> Result<(), TestCaseError> {
    let disk = |brick: &Placed| disks.iter().find(|disk| disk.device == brick.device).unwrap();
    for set in &placement.sets {
        prop_assert_eq!(set.len(), usize::try_from(wish.layout.bricks_per_set()).unwrap());
        for (position, brick) in set.iter().enumerate() {
            let on = disk(brick);
            prop_assert_eq!(on.standing, Standing::Ready);
            prop_assert_eq!(on.node, brick.node);
            let arbiter = wish.layout == Layout::Arbiter && position == 2;
            prop_assert_eq!(brick.role, if arbiter { BrickRole::Arbiter } else { BrickRole::Data });
            for other in &set[..position] {
                prop_assert_ne!(other.node, brick.node);
                prop_assert!(wish.zones == ZoneRule::Preferred || disk(other).zone != on.zone);
            }
        }
    }
    for disk in disks {
        let here = || placement.bricks().filter(|brick| brick.device == disk.device);
        let metadata = here().map(|brick| brick.space.metadata.count()).max().unwrap_or(0);
        let spare = metadata.saturating_sub(disk.space.spare.count());
        let taken: u64 = here().map(|brick| brick.space.pool.count() + brick.space.metadata.count()).sum();
        prop_assert!(here().count() == 0 || taken + spare <= disk.space.free.count());
    }
    Ok(())
}

fn most_in_a_zone(placement: &Placement, disks: &[Candidate]) -> usize {
    let zone = |node| disks.iter().find(|disk| disk.node == node).unwrap().zone;
    let in_zone =
        |set: &Vec<Placed>, brick: &Placed| set.iter().filter(|other| zone(other.node) == zone(brick.node)).count();
    placement.sets.iter().flat_map(|set| set.iter().map(move |brick| in_zone(set, brick))).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every placement keeps the rules, has the fewest sets and the widest spread that there is, and where there is
    /// none, brute force finds none either.
    #[test]
    fn a_placement_is_found_exactly_where_brute_force_finds_one(wish in some_wish(), disks in some_disks()) {
        match (place(&wish, &disks), brute_force::place(&wish, &disks)) {
            (Ok(placement), Some((sets, per_zone))) => {
                keeps_the_rules(&wish, &placement, &disks)?;
                prop_assert_eq!(placement.sets.len(), sets);
                prop_assert_eq!(most_in_a_zone(&placement, &disks), per_zone);
            }
            (Err(_), None) => {}
            (Ok(placement), None) => return Err(TestCaseError::fail(format!("brute force misses {placement:?}"))),
            (Err(refusal), Some(found)) => return Err(TestCaseError::fail(format!("{found:?} was missed: {refusal}"))),
        }
    }

    #[test]
    fn the_largest_fits_and_nothing_larger_does(wish in some_wish(), disks in some_disks()) {
        let fits = |size: u64| place(&Wish { size: gib(size), ..wish.clone() }, &disks).is_ok();
        let expected = (1..=64).rev().find(|size| fits(*size)).map(gib);
        prop_assert_eq!(largest(&wish, &disks), expected);
        if let Err(refusal) = place(&wish, &disks) {
            prop_assert_eq!(refusal.largest, expected);
        }
    }

    /// Of a new volume of any size with the same wishes.
    #[test]
    fn what_the_capacity_says_fits_and_the_next_whole_gib_does_not(wish in some_wish(), disks in some_disks()) {
        let told = capacity(&wish, &disks);
        let next = told.largest.map_or(1, |largest| largest.whole_gib() + 1);
        let fits = |size| place(&Wish { size, ..wish.clone() }, &disks).is_ok();
        prop_assert!(!fits(gib(next)));
        if let Some(size) = told.largest {
            prop_assert!(fits(size));
            prop_assert!(told.free >= size, "{told:?}");
        }
        prop_assert_eq!(told.devices, disks.iter().filter(|disk| disk.standing == Standing::Ready).count());
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter(
        wish in some_wish(),
        (disks, shuffled) in some_disks().prop_flat_map(|disks| (Just(disks.clone()), Just(disks).prop_shuffle())),
    ) {
        prop_assert_eq!(place(&wish, &disks), place(&wish, &shuffled));
    }

    #[test]
    fn a_wish_and_its_candidates_are_read_back_as_they_were_written(wish in some_wish(), disks in some_disks()) {
        let written = serde_json::to_string(&(&wish, &disks)).unwrap();
        let (wish_read, disks_read): (Wish, Vec<Candidate>) = serde_json::from_str(&written).unwrap();
        prop_assert_eq!((wish_read, disks_read), (wish, disks));
    }
}
