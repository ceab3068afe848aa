//! What is left in a volume group ([`DeviceSpace`]), and where every byte of it went ([`Ledger`]). Pure arithmetic over
//! `bricklayer_proto::space`.
//!
//! The ledger is booked from two sides: bricks as the records have them, the rest as LVM has it. What the two do not
//! explain between them is a figure of its own.

use std::collections::BTreeMap;
use std::fmt;

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::{BrickSpace, Provisioning, spare_growth};
use serde::{Deserialize, Serialize};

use super::{LEAST_ARBITER, OverCommit};

/// What is left on a device's volume group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpace {
    pub extent_size: ExtentSize,
    pub total: Extents,
    /// What nobody has and nobody was promised, and bricks may take.
    pub free: Extents,
    /// The group's spare of pool metadata: what it has, or will have once all that was promised is made.
    pub spare: Extents,
    /// What nobody has either, and the policy keeps from bricks.
    #[serde(default, skip_serializing_if = "is_none")]
    pub kept: Extents,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none(extents: &Extents) -> bool {
    *extents == Extents::ZERO
}

impl DeviceSpace {
    /// Of what is free, so much is kept from bricks; all of it where it is less.
    #[must_use]
    pub fn keeping(self, reserve: Extents) -> Self {
        let free = self.free.checked_sub(reserve).unwrap_or(Extents::ZERO);
        let kept = self.free.checked_sub(free).unwrap_or(Extents::ZERO);
        Self { free, kept, ..self }
    }

    /// With what is kept from bricks given to them.
    #[must_use]
    pub fn keeping_nothing(self) -> Self {
        let free = self.free.checked_add(self.kept).unwrap_or(self.free);
        Self { free, kept: Extents::ZERO, ..self }
    }

    #[must_use]
    pub fn kept_bytes(&self) -> ByteSize {
        bytes(self.kept, self.extent_size)
    }

    /// The logical volumes of a brick of this size here; `None` where no 64 bits can tell. `snapshot_factor_milli`: the
    /// pool's size in thousandths of the brick's.
    #[must_use]
    pub fn brick(&self, size: ByteSize, snapshot_factor_milli: u32) -> Option<BrickSpace> {
        brick(size, snapshot_factor_milli, self.extent_size)
    }

    /// The same, provisioned as it is to be.
    #[must_use]
    pub fn brick_as(&self, size: ByteSize, how: Provision) -> Option<BrickSpace> {
        how.space(size, self.extent_size)
    }

    /// What is left once a brick that is here has grown; `None` where it cannot.
    #[must_use]
    pub fn after_growth(&self, from: &BrickSpace, to: &BrickSpace) -> Option<Self> {
        let more = to.taken()?.checked_sub(from.taken()?)?.checked_add(spare_growth(self.spare, to.metadata))?;
        Some(Self { free: self.free.checked_sub(more)?, spare: self.spare.max(to.metadata), ..*self })
    }

    /// What a brick would take from here: all of its own, and by how much the group's spare grows for it.
    #[must_use]
    pub fn needed(&self, brick: &BrickSpace) -> Option<Extents> {
        brick.taken()?.checked_add(spare_growth(self.spare, brick.metadata))
    }

    /// What is left once the brick is made; `None` where it does not fit.
    #[must_use]
    pub fn after(&self, brick: &BrickSpace) -> Option<Self> {
        let free = self.free.checked_sub(self.needed(brick)?)?;
        Some(Self { free, spare: self.spare.max(brick.metadata), ..*self })
    }

    /// What is left once all of these are made, in any order; `None` where they do not all fit.
    #[must_use]
    pub fn after_all<'a>(&self, bricks: impl IntoIterator<Item = &'a BrickSpace>) -> Option<Self> {
        bricks.into_iter().try_fold(*self, |space, brick| space.after(brick))
    }

    #[must_use]
    pub fn free_bytes(&self) -> ByteSize {
        bytes(self.free, self.extent_size)
    }
}

/// As [`DeviceSpace::brick`], for any group with extents of this size.
pub(super) fn brick(size: ByteSize, snapshot_factor_milli: u32, one: ExtentSize) -> Option<BrickSpace> {
    Provision { snapshot_factor_milli, ..Provision::default() }.space(size, one)
}

/// What decides, beside a brick's size, what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provision {
    pub provisioning: Provisioning,
    /// The pool's size in thousandths of the brick's. Nothing to a thick brick, as is the next.
    pub snapshot_factor_milli: u32,
    pub over_commit: OverCommit,
}

impl Default for Provision {
    fn default() -> Self {
        let (provisioning, over_commit) = (Provisioning::default(), OverCommit::NONE);
        Self { provisioning, snapshot_factor_milli: 1000, over_commit }
    }
}

impl Provision {
    /// For a brick of this role. An arbiter's is as small as can be, and takes a set with it that writes while it is full.
    pub(super) fn of_role(self, role: BrickRole) -> Self {
        match role {
            BrickRole::Data => self,
            BrickRole::Arbiter => Self { over_commit: OverCommit::NONE, ..self },
        }
    }

    /// The logical volumes of a brick of this size. A pool that has less than its brick is promised never has less than
    /// mkfs.xfs wants to see.
    pub(super) fn space(self, size: ByteSize, one: ExtentSize) -> Option<BrickSpace> {
        if self.provisioning.is_thick() {
            return Some(BrickSpace::thick(size, one));
        }
        let pool = u128::from(size.bytes()) * u128::from(self.snapshot_factor_milli);
        let pool = u64::try_from(pool.div_ceil(self.over_commit.milli().into())).ok()?;
        let pool = ByteSize::from_bytes(pool);
        if self.over_commit.is_none() {
            return BrickSpace::thin(size, pool, one);
        }
        BrickSpace::promised(size, pool.max(LEAST_ARBITER.min(size)), one)
    }
}

/// A group's extents in bytes. Extents of a real group fit into 64 bits of bytes, and what does not is shown as the
/// most that does.
pub(super) fn bytes(extents: Extents, one: ExtentSize) -> ByteSize {
    extents.to_bytes(one).unwrap_or(ByteSize::from_bytes(u64::MAX))
}

/// Everything that is known to lie in one volume group, and LVM's own count of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    pub extent_size: ExtentSize,
    /// LVM's `vg_extent_count`.
    pub total: Extents,
    /// LVM's `vg_free_count`.
    pub free: Extents,
    /// The group's spare of pool metadata as it is.
    pub spare: Extents,
    /// The whole disk; `None` where nobody tells.
    pub disk: Option<ByteSize>,
    pub bricks: Vec<Booked>,
    /// Logical volumes with our tags that no record knows.
    pub orphans: Extents,
    /// Logical volumes of others.
    pub foreign: Extents,
    /// What the policy keeps from bricks, where so much is free.
    pub reserve: Extents,
}

/// A brick as the records have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    pub brick: BrickId,
    pub asked: ByteSize,
    pub space: BrickSpace,
    pub stage: Stage,
    /// What LVM has of its pool, metadata included, or of its linear volume; `None` where no report tells.
    pub seen: Option<Extents>,
}

/// Whether an operation makes, changes or takes a brick away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    Whole,
    Making,
    Growing {
        /// What it took before.
        from: Extents,
    },
    Leaving,
    /// Its volume was deleted, and is kept for a while.
    Trash,
}

impl Stage {
    /// Whether nothing is under way with it.
    fn is_settled(self) -> bool {
        matches!(self, Self::Whole | Self::Trash)
    }
}

/// Where every byte of a disk went. The classes and what is unaccounted for add up to the total, to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The disk; where nobody tells its size, all extents of the group.
    pub total: ByteSize,
    amounts: BTreeMap<Class, ByteSize>,
    pub unaccounted: Unaccounted,
    pub bricks: Vec<BrickLine>,
}

/// A class of a [`Ledger`], in the order in which people read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// What bricks were asked to hold.
    BrickData,
    /// What bricks have beyond that, as LVM takes whole extents.
    Rounding,
    /// What pools have beyond their brick, for snapshots.
    SnapshotRoom,
    PoolMetadata,
    /// LVM's spare of the largest pool metadata, one per group.
    MetadataSpare,
    /// All of the bricks of deleted volumes that are kept for a while.
    Trash,
    /// What LVM has of bricks that are being made, grown or taken away.
    UnderWay,
    /// Logical volumes with our tags that no record knows.
    Orphans,
    /// Logical volumes of others.
    Foreign,
    /// Free by LVM's count, and promised to what is under way.
    Reserved,
    /// Free by LVM's count, and kept from bricks by the policy.
    KeptFree,
    Free,
    /// What lies outside the extents: LVM's own metadata, and less than an extent at the end.
    LvmArea,
}

impl Class {
    pub const ALL: [Self; 13] = [
        Self::BrickData,
        Self::Rounding,
        Self::SnapshotRoom,
        Self::PoolMetadata,
        Self::MetadataSpare,
        Self::Trash,
        Self::UnderWay,
        Self::Orphans,
        Self::Foreign,
        Self::Reserved,
        Self::KeptFree,
        Self::Free,
        Self::LvmArea,
    ];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BrickData => "brick-data",
            Self::Rounding => "rounding",
            Self::SnapshotRoom => "snapshot-room",
            Self::PoolMetadata => "pool-metadata",
            Self::MetadataSpare => "metadata-spare",
            Self::Trash => "trash",
            Self::UnderWay => "under-way",
            Self::Orphans => "orphans",
            Self::Foreign => "foreign",
            Self::Reserved => "reserved",
            Self::KeptFree => "kept-free",
            Self::Free => "free",
            Self::LvmArea => "lvm-area",
        })
    }
}

/// What the records say beside what LVM says: nothing, if both are right. Never absorbed into a class.
///
/// Negative: the records have more than LVM has; something in them is not in the group. Otherwise something is in the
/// group that they do not explain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unaccounted(pub i64);

impl Unaccounted {
    fn between(total: ByteSize, explained: u128) -> Self {
        let difference = i128::from(total.bytes()) - i128::try_from(explained).unwrap_or(i128::MAX);
        Self(i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// What one brick takes. For one that is under way: what it will take, or took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrickLine {
    pub brick: BrickId,
    pub stage: Stage,
    pub data: ByteSize,
    pub rounding: ByteSize,
    pub snapshot_room: ByteSize,
    pub metadata: ByteSize,
    /// What LVM has of it.
    pub seen: Option<ByteSize>,
}

impl BrickLine {
    fn of(booked: &Booked, one: ExtentSize) -> Self {
        let Booked { brick, asked, space, stage, seen } = *booked;
        let pool = bytes(space.pool, one);
        // A pool of an adopted installation may be smaller than its thin volume, which is virtual, and a clone has none.
        let volume = bytes(space.volume, one).min(pool);
        let data = asked.min(volume);
        Self {
            brick,
            stage,
            data,
            rounding: data.short_of(volume),
            snapshot_room: volume.short_of(pool),
            metadata: bytes(space.metadata, one),
            seen: seen.map(|seen| bytes(seen, one)),
        }
    }

    /// All that it takes from its group.
    #[must_use]
    pub fn taken(&self) -> ByteSize {
        [self.data, self.rounding, self.snapshot_room, self.metadata].into_iter().sum()
    }

    /// Whether LVM has something else of it than the records say, with nothing under way.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.stage.is_settled() && self.seen.is_some_and(|seen| seen != self.taken())
    }
}

impl Ledger {
    /// Books everything that is known to lie in a group, and on its disk, under its class.
    #[must_use]
    pub fn of(books: &Books) -> Self {
        let in_bytes = |extents| bytes(extents, books.extent_size);
        let group = in_bytes(books.total);
        let lines: Vec<BrickLine> = books.bricks.iter().map(|brick| BrickLine::of(brick, books.extent_size)).collect();
        let sum = |part: fn(&BrickLine) -> ByteSize| -> ByteSize {
            lines.iter().filter(|line| line.stage == Stage::Whole).map(part).sum()
        };
        let trash: ByteSize = lines.iter().filter(|line| line.stage == Stage::Trash).map(BrickLine::taken).sum();
        let under_way: ByteSize = books.bricks.iter().filter_map(|brick| Some(in_bytes(made_so_far(brick)?))).sum();
        let promised = in_bytes(promised(books));
        let free = in_bytes(books.free);
        let kept = in_bytes(books.reserve).min(promised.short_of(free));
        let amounts = Class::ALL.map(|class| {
            let amount = match class {
                Class::BrickData => sum(|line| line.data),
                Class::Rounding => sum(|line| line.rounding),
                Class::SnapshotRoom => sum(|line| line.snapshot_room),
                Class::PoolMetadata => sum(|line| line.metadata),
                Class::MetadataSpare => in_bytes(books.spare),
                Class::Trash => trash,
                Class::UnderWay => under_way,
                Class::Orphans => in_bytes(books.orphans),
                Class::Foreign => in_bytes(books.foreign),
                Class::Reserved => promised.min(free),
                Class::KeptFree => kept,
                Class::Free => kept.short_of(promised.short_of(free)),
                Class::LvmArea => books.disk.map_or(ByteSize::ZERO, |disk| group.short_of(disk)),
            };
            (class, amount)
        });
        // A disk never is smaller than its extents; one that looks so was exchanged, and LVM's count is what holds.
        let total = books.disk.map_or(group, |disk| disk.max(group));
        let explained = amounts.iter().map(|(_, amount)| u128::from(amount.bytes())).sum();
        let unaccounted = Unaccounted::between(total, explained);
        Self { total, amounts: amounts.into(), unaccounted, bricks: lines }
    }

    #[must_use]
    pub fn amount(&self, class: Class) -> ByteSize {
        self.amounts.get(&class).copied().unwrap_or_default()
    }

    /// Every class, in the order in which people read them.
    pub fn amounts(&self) -> impl Iterator<Item = (Class, ByteSize)> {
        self.amounts.iter().map(|(class, amount)| (*class, *amount))
    }
}

/// What LVM has of a brick that is under way; `None` for one that is settled.
fn made_so_far(brick: &Booked) -> Option<Extents> {
    let by_the_record = match brick.stage {
        Stage::Whole | Stage::Trash => return None,
        Stage::Making => Extents::ZERO,
        Stage::Growing { from } => from,
        Stage::Leaving => brick.space.taken().unwrap_or_default(),
    };
    Some(brick.seen.unwrap_or(by_the_record))
}

/// What is free in LVM's count and will not be, or counts as taken until an operation has ended.
fn promised(books: &Books) -> Extents {
    let to_bricks = books.bricks.iter().filter_map(|brick| brick.space.taken()?.checked_sub(made_so_far(brick)?));
    let spare = books.bricks.iter().map(|brick| brick.space.metadata).max().unwrap_or_default();
    let all = to_bricks.chain([spare_growth(books.spare, spare)]);
    all.fold(Extents::ZERO, |sum, extents| sum.checked_add(extents).unwrap_or(sum))
}

#[cfg(test)]
mod tests;
