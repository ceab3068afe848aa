//! How many extents a brick takes from its volume group, exactly as LVM takes them.
//!
//! Placement reserves by these figures, the agent hands the same ones to `lvcreate`, and a simulated host obeys them,
//! so that the three can never differ. Pure arithmetic. See `docs/architecture.md`, "The ledger".

use std::fmt;
use std::str::FromStr;

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

/// How a brick has its space from its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provisioning {
    /// A thin volume in a thin pool of its own, which can hold snapshots. heketi's layout.
    #[default]
    Thin,
    /// A linear volume: all of its extents at once, no pool and no snapshots.
    Thick,
}

impl Provisioning {
    #[must_use]
    pub fn is_thin(&self) -> bool {
        *self == Self::Thin
    }

    #[must_use]
    pub fn is_thick(self) -> bool {
        self == Self::Thick
    }
}

/// As it is written and read.
impl fmt::Display for Provisioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thin => "thin",
            Self::Thick => "thick",
        })
    }
}

/// A text that says neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no provisioning: write thin or thick")]
pub struct NotAProvisioning(String);

impl FromStr for Provisioning {
    type Err = NotAProvisioning;

    fn from_str(text: &str) -> Result<Self, NotAProvisioning> {
        match text {
            "thin" => Ok(Self::Thin),
            "thick" => Ok(Self::Thick),
            _ => Err(NotAProvisioning(text.chars().take(64).collect())),
        }
    }
}

/// The sizes of one brick's logical volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct BrickSpace {
    pub provisioning: Provisioning,
    /// The thin or linear volume: what was asked for, rounded up to whole extents.
    pub volume: Extents,
    /// The thin pool's data: the volume and its room for snapshots. A thick brick's volume itself, so that this and the
    /// metadata are what any brick takes.
    pub pool: Extents,
    /// The thin pool's metadata. The group keeps a spare of the largest, once: [`spare_growth`].
    pub metadata: Extents,
}

/// How it is written. Of a thick brick without a pool, so that a program from before there were any cannot read it: it
/// would make a thin brick of it.
#[derive(Serialize, Deserialize)]
struct Written {
    volume: Extents,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<Extents>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Extents>,
    #[serde(default, skip_serializing_if = "Provisioning::is_thin")]
    provisioning: Provisioning,
}

impl From<BrickSpace> for Written {
    fn from(space: BrickSpace) -> Self {
        let BrickSpace { provisioning, volume, pool, metadata } = space;
        match provisioning {
            Provisioning::Thin => Self { volume, pool: Some(pool), metadata: Some(metadata), provisioning },
            Provisioning::Thick => Self { volume, pool: None, metadata: None, provisioning },
        }
    }
}

impl TryFrom<Written> for BrickSpace {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written { volume, pool, metadata, provisioning } = written;
        match (provisioning, pool, metadata) {
            (Provisioning::Thin, Some(pool), Some(metadata)) => Ok(Self { provisioning, volume, pool, metadata }),
            (Provisioning::Thin, _, _) => Err("a thin brick lacks the figures of its pool"),
            (Provisioning::Thick, None, None) => Ok(Self::linear(volume)),
            (Provisioning::Thick, _, _) => Err("a thick brick has the figures of a pool"),
        }
    }
}

impl BrickSpace {
    /// Of a thick brick of `size`: its volume and nothing besides.
    #[must_use]
    pub fn thick(size: ByteSize, one: ExtentSize) -> Self {
        Self::linear(size.to_extents(one))
    }

    /// Of a thick brick whose volume has so many extents.
    #[must_use]
    pub fn linear(volume: Extents) -> Self {
        Self { provisioning: Provisioning::Thick, volume, pool: volume, metadata: Extents::ZERO }
    }

    /// The same brick in another one's pool, which has its extents: a clone's, or one of several in an adopted pool.
    #[must_use]
    pub fn in_another_pool(self) -> Self {
        Self { pool: Extents::ZERO, metadata: Extents::ZERO, ..self }
    }

    #[must_use]
    pub fn is_thick(&self) -> bool {
        self.provisioning.is_thick()
    }

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
        let metadata = ByteSize::from_bytes(metadata).to_extents(one);
        Some(Self { provisioning: Provisioning::Thin, volume: size.to_extents(one), pool, metadata })
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
    use proptest::prelude::*;

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
    fn a_thick_brick_takes_its_data_and_nothing_besides() {
        let space = BrickSpace::thick(ByteSize::from_bytes((8 << 30) + 1), ONE);
        assert_eq!((space.volume, space.taken()), (Extents::new(2049), Some(Extents::new(2049))));
        assert_eq!(spare_growth(Extents::ZERO, space.metadata), Extents::ZERO);
    }

    /// A program from before there were thick bricks.
    #[derive(Deserialize)]
    struct Before {
        #[expect(dead_code, reason = "read only")]
        pool: Extents,
    }

    #[test]
    fn a_thick_brick_is_read_back_and_by_an_older_program_not_at_all() {
        let (thin, thick) = (BrickSpace::thin(gib(8), gib(9), ONE).unwrap(), BrickSpace::thick(gib(8), ONE));
        let written = |space| serde_json::to_string(&space).unwrap();
        assert_eq!(written(thin), r#"{"volume":2048,"pool":2304,"metadata":3}"#, "as ever");
        assert_eq!(written(thick), r#"{"volume":2048,"provisioning":"thick"}"#);
        for space in [thin, thick] {
            assert_eq!(serde_json::from_str::<BrickSpace>(&written(space)).unwrap(), space);
        }
        assert!(serde_json::from_str::<Before>(&written(thin)).is_ok());
        assert!(serde_json::from_str::<Before>(&written(thick)).is_err());
    }

    #[test]
    fn figures_that_contradict_themselves_are_not_read() {
        for text in [
            r#"{"volume":1}"#,
            r#"{"volume":1,"pool":1}"#,
            r#"{"volume":1,"pool":1,"metadata":0,"provisioning":"thick"}"#,
            r#"{"volume":1,"provisioning":"fat"}"#,
        ] {
            assert!(serde_json::from_str::<BrickSpace>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_thick_brick_has_its_size_rounded_up_and_never_more_than_a_thin_one(
            bytes in 1_u64..1 << 44, exponent in 20_u32..26, room in 0_u64..1 << 40,
        ) {
            let one = ExtentSize::from_bytes(1 << exponent).unwrap();
            let size = ByteSize::from_bytes(bytes);
            let thick = BrickSpace::thick(size, one);
            let taken = thick.taken().unwrap();
            prop_assert_eq!(taken.count(), bytes.div_ceil(one.bytes()));
            let thin = BrickSpace::thin(size, ByteSize::from_bytes(bytes + room), one).unwrap();
            prop_assert!(taken < thin.taken().unwrap());
            let written = serde_json::to_vec(&thick).unwrap();
            prop_assert_eq!(serde_json::from_slice::<BrickSpace>(&written).unwrap(), thick);
        }
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
