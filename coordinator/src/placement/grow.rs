//! Bricks that become larger where they are: all of a volume's, or none.

use std::collections::BTreeMap;

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, KIB};
use bricklayer_proto::space::BrickSpace;

use super::{Candidate, OverCommit, Provision, Wish};

/// A brick as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growing {
    pub device: DeviceId,
    pub role: BrickRole,
    pub asked: ByteSize,
    pub space: BrickSpace,
}

/// The same brick as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grown {
    pub asked: ByteSize,
    pub space: BrickSpace,
}

/// Divides `wish.size` more among the bricks of `sets` sets. `None` where a brick would be larger than the limit or
/// one of the devices has not the room: then nothing grows, as a set holds what its smallest brick holds.
///
/// Whether a device may take *new* bricks does not matter here, only that its group is there: a device that was
/// switched off for new bricks still serves its own.
#[must_use]
pub fn grow(wish: &Wish, sets: u32, bricks: &[Growing], candidates: &[Candidate]) -> Option<Vec<Grown>> {
    let by_device: BTreeMap<_, _> = candidates.iter().map(|candidate| (candidate.device, candidate)).collect();
    grow_among(wish, sets, bricks, |device| by_device.get(&device).copied())
}

/// As [`grow`], with the candidates that `find` knows.
#[must_use]
pub fn grow_among<'a>(
    wish: &Wish,
    sets: u32,
    bricks: &[Growing],
    find: impl Fn(DeviceId) -> Option<&'a Candidate>,
) -> Option<Vec<Grown>> {
    let parts = u64::from(sets).checked_mul(wish.data_bricks())?.max(1);
    // Rounded up: the volume holds at least what was asked for.
    let more = ByteSize::from_kib(wish.size.bytes().div_ceil(KIB).div_ceil(parts))?;
    let mut left = BTreeMap::new();
    let mut grown = Vec::with_capacity(bricks.len());
    for brick in bricks {
        let candidate = find(brick.device)?;
        if !candidate.standing.serves() {
            return None;
        }
        let asked = match brick.role {
            BrickRole::Data => brick.asked.checked_add(more)?,
            // As many more entries as its data bricks have room for; a small one may already suffice.
            BrickRole::Arbiter => wish.arbiter_size(largest_data(bricks)?.checked_add(more)?).max(brick.asked),
        };
        if brick.role == BrickRole::Data && asked > wish.limits.largest_brick {
            return None;
        }
        // Who has all that was promised keeps it.
        let has_all = brick.space.pool >= brick.space.volume;
        let over_commit = if has_all { OverCommit::NONE } else { wish.provision(brick.role).over_commit };
        // A brick stays as it was provisioned, whatever new ones would be.
        let how = Provision { provisioning: brick.space.provisioning, over_commit, ..wish.provision(brick.role) };
        let space = candidate.space.brick_as(asked, how)?;
        // An adopted pool may have more than our own formula gives; nothing is ever made smaller.
        let space = BrickSpace {
            provisioning: space.provisioning,
            volume: space.volume.max(brick.space.volume),
            pool: space.pool.max(brick.space.pool),
            metadata: space.metadata.max(brick.space.metadata),
        };
        let room = left.entry(brick.device).or_insert(candidate.space);
        *room = room.after_growth(&brick.space, &space)?;
        grown.push(Grown { asked, space });
    }
    Some(grown)
}

fn largest_data(bricks: &[Growing]) -> Option<ByteSize> {
    bricks.iter().filter(|brick| brick.role == BrickRole::Data).map(|brick| brick.asked).max()
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::NodeId;
    use bricklayer_proto::size::{ExtentSize, Extents};
    use bricklayer_proto::space::Provisioning;
    use bricklayer_proto::task::Layout;

    use super::super::{DeviceSpace, Standing};
    use super::*;

    const GIB: u64 = bricklayer_proto::size::GIB;

    fn gib(gib: u64) -> ByteSize {
        ByteSize::from_gib(gib).unwrap()
    }

    fn candidate(id: u128, free: u64) -> Candidate {
        let one = ExtentSize::FOUR_MIB;
        let extents = |gib| ByteSize::from_bytes(gib * GIB).to_extents(one);
        Candidate {
            device: DeviceId::from_u128(id),
            node: NodeId::from_u128(id),
            zone: 1,
            standing: Standing::Ready,
            also: Vec::new(),
            space: DeviceSpace {
                extent_size: one,
                total: extents(100),
                free: extents(free),
                spare: Extents::new(100),
                kept: Extents::ZERO,
            },
            thin_only: false,
            tags: BTreeMap::new(),
            node_name: format!("n{id}"),
            device_name: "/dev/sdb".to_owned(),
        }
    }

    fn brick(device: u128, size: ByteSize, role: BrickRole) -> Growing {
        let space = candidate(device, 0).space.brick(size, 1000).unwrap();
        Growing { device: DeviceId::from_u128(device), role, asked: size, space }
    }

    #[test]
    fn every_brick_of_a_replica_set_grows_by_what_the_volume_grows() {
        let candidates = [candidate(1, 20), candidate(2, 20)];
        let bricks = [brick(1, gib(10), BrickRole::Data), brick(2, gib(10), BrickRole::Data)];
        let wish = Wish::new(gib(5), Layout::Replicate { replica: 2 });
        let grown = grow(&wish, 1, &bricks, &candidates).unwrap();
        assert_eq!(grown.iter().map(|brick| brick.asked).collect::<Vec<_>>(), [gib(15), gib(15)]);
    }

    #[test]
    fn one_full_device_is_enough_for_nothing_to_grow() {
        let candidates = [candidate(1, 20), candidate(2, 4)];
        let bricks = [brick(1, gib(10), BrickRole::Data), brick(2, gib(10), BrickRole::Data)];
        assert_eq!(grow(&Wish::new(gib(5), Layout::Replicate { replica: 2 }), 1, &bricks, &candidates), None);
    }

    #[test]
    fn two_bricks_on_one_device_do_not_count_on_the_same_room() {
        let candidates = [candidate(1, 11)];
        let bricks = [brick(1, gib(10), BrickRole::Data), brick(1, gib(10), BrickRole::Data)];
        assert!(grow(&Wish::new(gib(10), Layout::Distribute), 2, &bricks, &candidates).is_some());
        assert_eq!(grow(&Wish::new(gib(12), Layout::Distribute), 2, &bricks, &candidates), None);
    }

    #[test]
    fn over_committed_bricks_stay_so_and_others_keep_all_that_they_were_promised() {
        let candidates = [candidate(1, 20), candidate(2, 20)];
        let mut small = brick(2, gib(10), BrickRole::Data);
        small.space.pool = Extents::new(1280);
        let bricks = [brick(1, gib(10), BrickRole::Data), small];
        let wish = Wish { over_commit: "2".parse().unwrap(), ..Wish::new(gib(4), Layout::Replicate { replica: 2 }) };
        let grown = grow(&wish, 1, &bricks, &candidates).unwrap();
        let spaces: Vec<_> = grown.iter().map(|one| (one.space.volume.count(), one.space.pool.count())).collect();
        assert_eq!(spaces, [(3584, 3584), (3584, 1792)]);
    }

    #[test]
    fn a_brick_grows_as_it_was_provisioned_whatever_new_ones_would_be() {
        let candidates = [candidate(1, 20), candidate(2, 20)];
        let thick =
            Growing { space: BrickSpace::thick(gib(10), ExtentSize::FOUR_MIB), ..brick(2, gib(10), BrickRole::Data) };
        let bricks = [brick(1, gib(10), BrickRole::Data), thick];
        for provisioning in [Provisioning::Thin, Provisioning::Thick] {
            let wish = Wish { provisioning, ..Wish::new(gib(5), Layout::Replicate { replica: 2 }) };
            let grown = grow(&wish, 1, &bricks, &candidates).unwrap();
            assert_eq!(grown[0].space, candidates[0].space.brick(gib(15), 1000).unwrap());
            assert_eq!(grown[1].space, BrickSpace::thick(gib(15), ExtentSize::FOUR_MIB));
        }
        // It needs what it grows by and not an extent more.
        let wish = Wish::new(gib(20), Layout::Distribute);
        assert!(grow(&wish, 1, &[thick], &candidates).is_some());
        let wish = Wish { size: ByteSize::from_bytes(20 * GIB + 1), ..wish };
        assert_eq!(grow(&wish, 1, &[thick], &candidates), None);
    }

    #[test]
    fn a_dispersed_volume_divides_the_growth_among_its_data_bricks() {
        let candidates: Vec<_> = (1..=3).map(|id| candidate(id, 20)).collect();
        let bricks: Vec<_> = (1..=3).map(|id| brick(id, gib(3), BrickRole::Data)).collect();
        let wish = Wish::new(gib(6), Layout::Disperse { data: 2, redundancy: 1 });
        assert!(grow(&wish, 1, &bricks, &candidates).unwrap().iter().all(|brick| brick.asked == gib(6)));
    }

    #[test]
    fn an_arbiter_grows_with_its_data_bricks_and_never_shrinks() {
        let candidates: Vec<_> = (1..=3).map(|id| candidate(id, 50)).collect();
        let arbiter = |size| brick(3, size, BrickRole::Arbiter);
        let data = [brick(1, gib(20), BrickRole::Data), brick(2, gib(20), BrickRole::Data)];
        let grown = |size| {
            let bricks = [data[0], data[1], arbiter(size)];
            grow(&Wish::new(gib(12), Layout::Arbiter), 1, &bricks, &candidates).unwrap()[2].asked
        };
        // 32 GiB of 64 KiB files: 512 Ki entries of 1 KiB.
        assert_eq!(grown(ByteSize::from_mib(320).unwrap()), ByteSize::from_mib(512).unwrap());
        assert_eq!(grown(gib(1)), gib(1));
    }
}
