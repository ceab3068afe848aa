//! How many extents a brick takes from its volume group, exactly as LVM takes them.
//!
//! Placement reserves by these figures, the agent hands the same ones to `lvcreate`, and a simulated host obeys them,
//! so that the three can never differ. Pure arithmetic. See `docs/architecture.md`, "The ledger".

use serde::{Deserialize, Serialize};

use crate::size::{ByteSize, ExtentSize, Extents, GIB, KIB, MIB};

/// The part of a physical volume that LVM keeps for its own metadata: about 4,000 bricks. heketi took 128 MiB,
/// LVM's default holds about 300 bricks.
pub const PV_METADATA: ByteSize = ByteSize::from_bytes(16 * MIB);

/// Where data may begin: a multiple of this.
pub const DATA_ALIGNMENT: ByteSize = ByteSize::from_bytes(256 * KIB);

/// The unit in which a thin pool hands out space, heketi's and the field's usual choice for single disks.
pub const POOL_CHUNK: ByteSize = ByteSize::from_bytes(256 * KIB);

/// The most metadata that LVM gives a thin pool.
pub const POOL_METADATA_MOST: ByteSize = ByteSize::from_bytes(16 * GIB - 192 * MIB);
const POOL_METADATA_LEAST: u64 = 8 * MIB;

/// What LVM records per chunk of a pool: 64 bytes of metadata (lvm2's estimate for one mapping of every chunk).
const METADATA_PER_CHUNK: u64 = 64;

/// Snapshots multiply mappings; four times the estimate is room for the usual ones.
const METADATA_HEADROOM: u64 = 4;

/// The sizes of one brick's logical volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickSpace {
    /// The thin volume: what was asked for. LVM rounds a virtual size up to whole extents.
    pub volume: Extents,
    /// The thin pool's data: the volume and its room for snapshots.
    pub pool: Extents,
    /// The thin pool's metadata. The group keeps a spare of the largest, once: [`spare_growth`].
    pub metadata: Extents,
}

impl BrickSpace {
    /// For a brick of `size`, in a pool that has `pool` bytes for it and its snapshots; `None` where the numbers do not
    /// fit into 64 bits.
    #[must_use]
    pub fn thin(size: ByteSize, pool: ByteSize, one: ExtentSize) -> Option<Self> {
        Self::promised(size, pool.max(size), one)
    }

    /// The same with a pool that may have less than the brick was promised. Its metadata is as large as if it had all, as
    /// the pool is extended when it fills up.
    #[must_use]
    pub fn promised(size: ByteSize, pool: ByteSize, one: ExtentSize) -> Option<Self> {
        let pool = pool.to_extents(one);
        let full = if pool < size.to_extents(one) { size.to_extents(one) } else { pool };
        let chunks = full.to_bytes(one)?.bytes().div_ceil(POOL_CHUNK.bytes());
        let metadata = chunks
            .checked_mul(METADATA_PER_CHUNK * METADATA_HEADROOM)?
            .clamp(POOL_METADATA_LEAST, POOL_METADATA_MOST.bytes());
        Some(Self { volume: size.to_extents(one), pool, metadata: ByteSize::from_bytes(metadata).to_extents(one) })
    }

    /// What the brick itself takes from its group, without the group's spare.
    #[must_use]
    pub fn taken(&self) -> Option<Extents> {
        self.pool.checked_add(self.metadata)
    }
}

/// By how much the group's spare of pool metadata grows when a pool with `metadata` comes to a group whose spare has
/// `spare`. LVM makes it (`lvol0_pmspare`) with the first pool, as large as the largest pool's metadata, and never
/// shrinks it while a pool is there.
#[must_use]
pub fn spare_growth(spare: Extents, metadata: Extents) -> Extents {
    metadata.checked_sub(spare).unwrap_or(Extents::ZERO)
}

/// Where the first extent of a disk of ours begins.
#[must_use]
pub fn data_start() -> ByteSize {
    // The label's sectors stand before the metadata area, and data begins at the next multiple of the alignment.
    ByteSize::from_bytes((4 * KIB + PV_METADATA.bytes()).next_multiple_of(DATA_ALIGNMENT.bytes()))
}

/// How many bytes of a disk become extents: all behind the metadata area, in whole extents.
#[must_use]
pub fn usable_extents(disk: ByteSize, one: ExtentSize) -> Extents {
    ByteSize::from_bytes(disk.bytes().saturating_sub(data_start().bytes())).whole_extents(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ExtentSize = ExtentSize::FOUR_MIB;

    fn gib(count: u64) -> ByteSize {
        ByteSize::from_gib(count).unwrap()
    }

    #[test]
    fn a_brick_of_eight_gib_takes_its_data_and_eight_mib_of_metadata() {
        let space = BrickSpace::thin(gib(8), gib(8), ONE).unwrap();
        assert_eq!(space.volume, Extents::new(2048));
        assert_eq!(space.pool, Extents::new(2048));
        // 32,768 chunks x 64 B x 4 = 8 MiB.
        assert_eq!(space.metadata, Extents::new(2));
    }

    #[test]
    fn a_pool_that_has_less_than_was_promised_has_the_metadata_of_one_that_has_all() {
        let space = BrickSpace::promised(gib(64), gib(16), ONE).unwrap();
        assert_eq!((space.volume, space.pool), (Extents::new(16_384), Extents::new(4096)));
        assert_eq!(space.metadata, BrickSpace::thin(gib(64), gib(64), ONE).unwrap().metadata);
    }

    #[test]
    fn the_metadata_of_a_large_pool_stops_at_lvms_limit() {
        let space = BrickSpace::thin(gib(1 << 15), gib(1 << 15), ONE).unwrap();
        assert_eq!(space.metadata.to_bytes(ONE).unwrap(), POOL_METADATA_MOST);
    }

    #[test]
    fn the_spare_grows_to_the_largest_metadata_and_no_further() {
        assert_eq!(spare_growth(Extents::ZERO, Extents::new(2)), Extents::new(2));
        assert_eq!(spare_growth(Extents::new(2), Extents::new(5)), Extents::new(3));
        assert_eq!(spare_growth(Extents::new(5), Extents::new(2)), Extents::ZERO);
    }

    #[test]
    fn a_disk_of_16_gib_has_15_whole_gib_of_extents() {
        let usable = usable_extents(gib(16), ONE);
        assert_eq!(usable.to_bytes(ONE).unwrap().whole_gib(), 15);
    }
}
