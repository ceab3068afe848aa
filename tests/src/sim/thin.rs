//! What is in use of simulated thin pools: extents that were written, once for all snapshots that share them.
//!
//! The first write to an extent takes a block of the pool, and so does one to an extent that a snapshot shares. A pool
//! without a block left answers with an error at once, as ours are made to. The kernel hands out chunks of 256 KiB; here
//! it is whole extents, which is coarser and adds up the same.

use std::collections::BTreeSet;

use bricklayer_agent::host::HostError;
use bricklayer_proto::names::LvName;
use bricklayer_proto::size::ByteSize;

use super::disk::failed;
use super::lvm::{Group, Kind};

/// What a pool's metadata has in use before anything is mapped: a tenth of the least that ours have.
const METADATA_AT_FIRST: u64 = 855_638;
/// Sixteen chunks of an extent, 64 bytes each.
const METADATA_PER_EXTENT: u64 = 1024;

impl Group {
    /// A write to a thin volume. Nothing is written where the pool has not enough blocks left.
    pub(super) fn write(&mut self, name: &LvName, from: ByteSize, length: ByteSize) -> Result<(), HostError> {
        let what = format!("writing to {}/{name}", self.name);
        let one = self.extent_size.bytes();
        let (first, end) = (from.bytes() / one, (from.bytes() + length.bytes()).div_ceil(one));
        let (pool, size) = match self.volumes.get(name).map(|volume| volume.kind.clone()) {
            Some(Kind::Thin { pool, size }) => (pool, size),
            // All of its extents are there.
            Some(Kind::Linear { size }) if end <= size.count() => return Ok(()),
            Some(Kind::Linear { .. }) => return Err(failed(&what, "No space left on device")),
            _ => return Err(failed(&what, "it is no thin volume")),
        };
        if end > size.count() {
            return Err(failed(&what, "No space left on device"));
        }
        let others: BTreeSet<u64> = self
            .thin_in(&pool)
            .filter(|(other, _)| *other != name)
            .flat_map(|(_, volume)| volume.blocks.values().copied())
            .collect();
        let mapped = &self.volumes[name].blocks;
        let new: Vec<u64> =
            (first..end).filter(|extent| mapped.get(extent).is_none_or(|block| others.contains(block))).collect();
        let left = self.volumes[&pool].extents().count() - self.blocks_in(&pool);
        if new.len() as u64 > left {
            return Err(failed(&what, "Input/output error: the thin pool is full"));
        }
        for extent in new {
            let block = self.next_block;
            self.next_block += 1;
            if let Some(volume) = self.volumes.get_mut(name) {
                volume.blocks.insert(extent, block);
            }
        }
        Ok(())
    }

    /// LVM's percentages of data and metadata.
    pub(super) fn fill_of(&self, pool: &LvName) -> (f64, f64) {
        let Kind::Pool { data, metadata } = self.volumes[pool].kind else { return (0.0, 0.0) };
        let inside = self.thin_in(pool).count();
        let blocks = self.blocks_in(pool);
        let mapped: u64 = self.thin_in(pool).map(|(_, volume)| volume.blocks.len() as u64).sum();
        let more = self.volumes[pool].more_metadata;
        // An empty XFS is never quite empty.
        let data_percent = if blocks > 0 { percent(blocks, data.count()) } else { f64::from(inside > 0) * 1.2 };
        let metadata_bytes = metadata.to_bytes(self.extent_size).unwrap_or_default().bytes();
        let used = METADATA_AT_FIRST + mapped * METADATA_PER_EXTENT + more;
        (data_percent, percent(used.min(metadata_bytes), metadata_bytes))
    }

    fn thin_in<'a>(&'a self, pool: &'a LvName) -> impl Iterator<Item = (&'a LvName, &'a super::lvm::Volume)> {
        self.volumes.iter().filter(move |(_, volume)| matches!(&volume.kind, Kind::Thin { pool: of, .. } if of == pool))
    }

    fn blocks_in(&self, pool: &LvName) -> u64 {
        let blocks: BTreeSet<u64> =
            self.thin_in(pool).flat_map(|(_, volume)| volume.blocks.values().copied()).collect();
        blocks.len() as u64
    }
}

/// As LVM prints it: to the hundredth.
fn percent(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let percent = (part * 10_000 / whole.max(1)) as f64 / 100.0;
    percent
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::size::{ExtentSize, Extents, MIB};

    use super::*;

    fn name(text: &str) -> LvName {
        text.parse().unwrap()
    }

    fn mib(mib: u64) -> ByteSize {
        ByteSize::from_bytes(mib * MIB)
    }

    #[test]
    fn a_snapshot_takes_nothing_until_its_origin_is_written_and_a_full_pool_fails_at_once() {
        let mut group = Group::new("vg".parse().unwrap(), ByteSize::from_gib(4).unwrap(), ExtentSize::FOUR_MIB, &[]);
        let (pool, origin, snapshot) = (name("tp"), name("origin"), name("snapshot"));
        group.create_pool(&pool, Extents::new(100), Extents::new(2), &[]).unwrap();
        group.create_thin(&origin, &pool, Extents::new(100), &[]).unwrap();
        group.write(&origin, ByteSize::ZERO, mib(200)).unwrap();
        group.write(&origin, ByteSize::ZERO, mib(200)).unwrap();
        assert!((group.fill_of(&pool).0 - 50.0).abs() < 0.001);
        group.create_thin(&snapshot, &pool, Extents::new(100), &[]).unwrap();
        let blocks = group.volumes[&origin].blocks.clone();
        group.volumes.get_mut(&snapshot).unwrap().blocks = blocks;
        assert!((group.fill_of(&pool).0 - 50.0).abs() < 0.001);
        group.write(&origin, ByteSize::ZERO, mib(100)).unwrap();
        assert!((group.fill_of(&pool).0 - 75.0).abs() < 0.001);
        group.write(&origin, mib(100), mib(300)).unwrap_err();
        assert!((group.fill_of(&pool).0 - 75.0).abs() < 0.001);
        group.extend_pool(&pool, Some(Extents::new(200)), None).unwrap();
        group.write(&origin, mib(100), mib(300)).unwrap();
        group.remove(&snapshot).unwrap();
        assert!((group.fill_of(&pool).0 - 50.0).abs() < 0.001);
    }
}
