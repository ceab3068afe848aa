//! Where every extent of a volume group went. Pure arithmetic over `bricklayer_proto::space`.

use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::{BrickSpace, spare_growth};
use serde::{Deserialize, Serialize};

/// What is left on a device's volume group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpace {
    pub extent_size: ExtentSize,
    pub total: Extents,
    /// What nobody has and nobody was promised.
    pub free: Extents,
    /// The group's spare of pool metadata: what it has, or will have once all that was promised is made.
    pub spare: Extents,
}

impl DeviceSpace {
    /// What a brick would take from here: its pool, and by how much the group's spare grows for it.
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

/// A group's extents in bytes. Extents of a real group fit into 64 bits of bytes, and what does not is shown as the
/// most that does.
pub(super) fn bytes(extents: Extents, one: ExtentSize) -> ByteSize {
    extents.to_bytes(one).unwrap_or(ByteSize::from_bytes(u64::MAX))
}
