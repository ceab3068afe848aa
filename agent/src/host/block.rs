//! The part of the seam that is about block volumes: what the host's `gluster-block` does.
//!
//! A host may lack the program; then every call but the question for its version says so.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bricklayer_proto::block::{InitiatorPassword, Preallocation};
use bricklayer_proto::names::{BlockName, HostName, VolumeName};
use bricklayer_proto::size::ByteSize;

use super::HostError;

/// Block volumes, through this host's `gluster-blockd`, which talks to those of the other hosts.
#[async_trait]
pub trait BlockTool: Send + Sync + 'static {
    /// `None` where the program is not there.
    async fn block_version(&self) -> Option<String>;
    /// `None` where the hosting volume holds no block volume of that name.
    async fn block_info(&self, hosting: &VolumeName, name: &BlockName) -> Result<Option<BlockInfo>, HostError>;
    /// Makes the file, which takes as long as its size is written where it is preallocated, and exports it.
    async fn block_create(&self, hosting: &VolumeName, name: &BlockName, new: &NewBlock) -> Result<(), HostError>;
    /// Makes it larger. It may fail although some hosts were reached; only [`BlockTool::block_info`] tells.
    async fn block_resize(&self, hosting: &VolumeName, name: &BlockName, to: ByteSize) -> Result<(), HostError>;
    async fn block_delete(&self, hosting: &VolumeName, name: &BlockName) -> Result<(), HostError>;
}

/// What a block volume is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBlock {
    pub size: ByteSize,
    pub hosts: Vec<HostName>,
    pub auth: bool,
    pub preallocation: Preallocation,
}

/// What `gluster-block` knows of one block volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its own id: the end of the IQN, and the name with which initiators log in.
    pub gbid: String,
    pub size: PrintedSize,
    /// How many hosts are to export it.
    pub ha: u64,
    /// Those that do. Fewer while it is being made.
    pub hosts: Vec<HostName>,
    pub password: InitiatorPassword,
    /// Hosts that a resize did not reach.
    pub behind: BTreeMap<HostName, PrintedSize>,
}

impl BlockInfo {
    /// Nothing of it is still being made, and nothing of it was left half made.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.ha > 0 && self.hosts.len() as u64 >= self.ha
    }
}

/// A size as `gluster-block` prints it, with one digit after the point: whole GiB are exact up to the first TiB only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintedSize {
    nearest: ByteSize,
    within: u64,
}

impl PrintedSize {
    #[must_use]
    pub fn exactly(size: ByteSize) -> Self {
        Self { nearest: size, within: 0 }
    }

    /// `unit` is what one stands for, `tenths` how many tenths of it were printed.
    #[must_use]
    pub fn of_tenths(tenths: u64, unit: u64) -> Option<Self> {
        let nearest = u128::from(tenths) * u128::from(unit) / 10;
        Some(Self { nearest: ByteSize::from_bytes(u64::try_from(nearest).ok()?), within: unit / 20 })
    }

    #[must_use]
    pub fn nearest(self) -> ByteSize {
        self.nearest
    }

    /// Whether a size would be printed so.
    #[must_use]
    pub fn may_be(self, size: ByteSize) -> bool {
        self.nearest.bytes().abs_diff(size.bytes()) <= self.within
    }

    /// Whether another size would be printed in the same way that is as good as this one to people: a whole GiB away.
    #[must_use]
    pub fn is_vague(self) -> bool {
        self.within >= 1 << 29
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gib(gib: u64) -> ByteSize {
        ByteSize::from_gib(gib).unwrap()
    }

    #[test]
    fn whole_gib_are_told_apart_below_a_tib_and_not_above() {
        let printed = PrintedSize::of_tenths(1000, 1 << 30).unwrap();
        assert!(printed.may_be(gib(100)) && !printed.may_be(gib(101)) && !printed.is_vague());
        let printed = PrintedSize::of_tenths(11, 1 << 40).unwrap();
        assert!(printed.may_be(gib(1100)) && printed.may_be(gib(1150)) && printed.is_vague());
    }
}
