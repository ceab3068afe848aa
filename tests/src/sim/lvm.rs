//! A volume group with LVM's own arithmetic: extents, pools with their metadata, the spare of pool metadata.
//!
//! What LVM does and tools that count for themselves get wrong: the first pool brings `lvol0_pmspare`, as large as its
//! metadata; a pool with more metadata makes the spare grow; removing a pool never makes it shrink; removing the last
//! pool removes it; extending a pool's metadata extends the spare. One change is one commit: either all of it is in the metadata or nothing, tags included.

use std::collections::BTreeMap;

use bricklayer_agent::host::HostError;
use bricklayer_proto::inventory::GroupSpace;
use bricklayer_proto::names::{LvName, LvmTag, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents, GIB, MIB};
use bricklayer_proto::space;

use super::disk::{failed, new_lvm_uuid};
use super::machine::FileSystem;

/// One volume group, on one disk.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) name: VgName,
    pub(super) uuid: String,
    pub(super) extent_size: ExtentSize,
    /// Where the first extent begins.
    pub(super) start: ByteSize,
    pub(super) total: Extents,
    pub(super) spare: Extents,
    pub(super) seqno: u64,
    /// The number of the next block that a pool hands out.
    pub(super) next_block: u64,
    pub(super) tags: Vec<LvmTag>,
    pub(super) volumes: BTreeMap<LvName, Volume>,
}

#[derive(Clone, Debug)]
pub(super) struct Volume {
    pub uuid: String,
    pub tags: Vec<LvmTag>,
    pub kind: Kind,
    pub file_system: Option<FileSystem>,
    /// Of a thin volume: which block of its pool holds each of its extents that was ever written.
    pub blocks: BTreeMap<u64, u64>,
    /// Of a pool: metadata that a test says is in use besides.
    pub more_metadata: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Pool { data: Extents, metadata: Extents },
    Thin { pool: LvName, size: Extents },
    Linear { size: Extents },
}

impl Group {
    /// A group on a disk of this size, laid out as Bricklayer lays its own out.
    #[must_use]
    pub fn new(name: VgName, disk: ByteSize, extent_size: ExtentSize, tags: &[LvmTag]) -> Self {
        Self {
            name,
            uuid: new_lvm_uuid(),
            extent_size,
            start: space::data_start(),
            total: space::usable_extents(disk, extent_size),
            spare: Extents::ZERO,
            seqno: 1,
            next_block: 0,
            tags: sorted(tags),
            volumes: BTreeMap::new(),
        }
    }

    /// On a disk of which LVM keeps this much for its metadata: `pvcreate --metadatasize`.
    #[must_use]
    pub fn with_metadata_area(mut self, disk: ByteSize, area: ByteSize) -> Self {
        let start = (area.bytes() + 4096).next_multiple_of(space::DATA_ALIGNMENT.bytes());
        self.start = ByteSize::from_bytes(start);
        self.total = ByteSize::from_bytes(disk.bytes() - start).whole_extents(self.extent_size);
        self
    }

    /// With a linear volume, as a person makes one with `lvcreate -L`.
    ///
    /// # Panics
    /// If it does not fit.
    #[must_use]
    pub fn with_linear_volume(mut self, name: LvName, size: ByteSize) -> Self {
        self.create_linear(name, size, &[]);
        self
    }

    pub(super) fn create_linear(&mut self, name: LvName, size: ByteSize, tags: &[LvmTag]) {
        let size = size.to_extents(self.extent_size);
        assert!(size <= self.free(), "a volume of {size} does not fit into {}", self.free());
        self.insert(name, Kind::Linear { size }, tags);
    }

    pub(super) fn space(&self) -> GroupSpace {
        GroupSpace {
            seqno: self.seqno,
            extent_size: self.extent_size,
            total: self.total,
            free: self.free(),
            spare: self.spare,
        }
    }

    /// What no volume and no spare holds.
    ///
    /// # Panics
    /// If more is held than there is, which is a mistake in this model.
    pub(super) fn free(&self) -> Extents {
        let held = self.volumes.values().map(Volume::held).fold(self.spare.count(), |sum, held| sum + held.count());
        let free = self.total.checked_sub(Extents::new(held));
        free.expect("a volume group never holds more than it has")
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = &LvName> {
        self.volumes.iter().filter(|(_, volume)| matches!(volume.kind, Kind::Pool { .. })).map(|(name, _)| name)
    }

    pub(super) fn thin_volumes_of(&self, pool: &LvName) -> usize {
        self.volumes.values().filter(|volume| matches!(&volume.kind, Kind::Thin { pool: of, .. } if of == pool)).count()
    }

    /// `lvcreate` of a thin pool.
    pub(super) fn create_pool(
        &mut self,
        name: &LvName,
        data: Extents,
        metadata: Extents,
        tags: &[LvmTag],
    ) -> Result<(), HostError> {
        let what = format!("lvcreate --type thin-pool {}/{name}", self.name);
        self.refuse_existing(&what, name)?;
        let least = ByteSize::from_bytes(2 * MIB).to_extents(self.extent_size);
        let most = ByteSize::from_bytes(16 * GIB).to_extents(self.extent_size);
        if data == Extents::ZERO {
            return Err(failed(&what, "Unable to create new logical volume with no extents."));
        }
        if metadata < least || metadata > most {
            return Err(failed(&what, &format!("Invalid size of pool metadata: {metadata}.")));
        }
        let spare = self.spare.max(metadata);
        let grown = spare.count() - self.spare.count();
        let needed = data.count() + metadata.count() + grown;
        let free = self.free().count();
        if needed > free {
            let group = self.name.clone();
            let said =
                format!("Volume group \"{group}\" has insufficient free space ({free} extents): {needed} required.");
            return Err(HostError::NoSpace { group, said });
        }
        self.spare = spare;
        self.insert(name.clone(), Kind::Pool { data, metadata }, tags);
        Ok(())
    }

    /// `lvcreate` of a thin volume: takes no extents of the group.
    pub(super) fn create_thin(
        &mut self,
        name: &LvName,
        pool: &LvName,
        size: Extents,
        tags: &[LvmTag],
    ) -> Result<(), HostError> {
        let what = format!("lvcreate --thin {}/{name}", self.name);
        self.refuse_existing(&what, name)?;
        if !matches!(self.volumes.get(pool), Some(Volume { kind: Kind::Pool { .. }, .. })) {
            return Err(failed(&what, &format!("Thin pool {}/{pool} not found.", self.name)));
        }
        self.insert(name.clone(), Kind::Thin { pool: pool.clone(), size }, tags);
        Ok(())
    }

    /// `lvcreate` of a linear volume. Its extents hold what earlier volumes left there until LVM has `wiped` it, which is
    /// after its metadata says that it is there.
    pub(super) fn create_linear_volume(
        &mut self,
        name: &LvName,
        size: Extents,
        tags: &[LvmTag],
        wiped: bool,
    ) -> Result<(), HostError> {
        let what = format!("lvcreate --type linear {}/{name}", self.name);
        self.refuse_existing(&what, name)?;
        if size == Extents::ZERO {
            return Err(failed(&what, "Unable to create new logical volume with no extents."));
        }
        let (needed, free) = (size.count(), self.free().count());
        if needed > free {
            let group = self.name.clone();
            let said =
                format!("Volume group \"{group}\" has insufficient free space ({free} extents): {needed} required.");
            return Err(HostError::NoSpace { group, said });
        }
        self.insert(name.clone(), Kind::Linear { size }, tags);
        if !wiped && let Some(volume) = self.volumes.get_mut(name) {
            let files = BTreeMap::from([("of-an-earlier-volume".to_owned(), Vec::new())]);
            volume.file_system = Some(FileSystem { stale: true, files, ..FileSystem::default() });
        }
        Ok(())
    }

    /// `lvextend` of a thin pool, as LVM 2.03.16 does it: the metadata in a commit of its own, which stays when there is
    /// no room for the data; more metadata than was asked for, where its own estimate says so.
    pub(super) fn extend_pool(
        &mut self,
        name: &LvName,
        to_data: Option<Extents>,
        to_metadata: Option<Extents>,
    ) -> Result<(), HostError> {
        let what = format!("lvextend {}/{name}", self.name);
        let Some(Volume { kind: Kind::Pool { data, metadata }, .. }) = self.volumes.get(name) else {
            return Err(failed(&what, &format!("Thin pool {}/{name} not found.", self.name)));
        };
        let (data, metadata) = (*data, *metadata);
        let chunks = to_data.unwrap_or(data).to_bytes(self.extent_size).unwrap_or_default().bytes().div_ceil(256 << 10);
        let estimate = ByteSize::from_bytes(chunks * 64).to_extents(self.extent_size);
        let to_metadata = to_metadata.unwrap_or(metadata).max(estimate);
        if to_metadata < metadata {
            return Err(failed(&what, "Thin pool metadata cannot be reduced."));
        }
        let enough = |needed: u64, free: u64| match needed <= free {
            true => Ok(()),
            false => Err(failed(
                &what,
                &format!("Insufficient free space: {needed} extents needed, but only {free} available"),
            )),
        };
        if to_metadata > metadata {
            let spare = self.spare.max(to_metadata);
            let needed = to_metadata.count() - metadata.count() + spare.count() - self.spare.count();
            enough(needed, self.free().count())?;
            self.spare = spare;
            self.set_kind(name, Kind::Pool { data, metadata: to_metadata });
        }
        let Some(to_data) = to_data else { return Ok(()) };
        self.refuse_no_growth(&what, data, to_data)?;
        enough(to_data.count() - data.count(), self.free().count())?;
        self.set_kind(name, Kind::Pool { data: to_data, metadata: to_metadata });
        Ok(())
    }

    /// `lvextend` of a thin volume: takes no extents of the group, and does not ask whether the pool has them.
    pub(super) fn extend_thin(&mut self, name: &LvName, to: Extents) -> Result<(), HostError> {
        let what = format!("lvextend {}/{name}", self.name);
        let Some(Volume { kind: Kind::Thin { pool, size }, .. }) = self.volumes.get(name) else {
            let said = format!("Failed to find logical volume \"{}/{name}\"", self.name);
            return Err(failed(&what, &said));
        };
        self.refuse_no_growth(&what, *size, to)?;
        let kind = Kind::Thin { pool: pool.clone(), size: to };
        self.set_kind(name, kind);
        Ok(())
    }

    /// `lvextend` of a linear volume, all of whose new extents have to be free.
    pub(super) fn extend_linear(&mut self, name: &LvName, to: Extents) -> Result<(), HostError> {
        let what = format!("lvextend {}/{name}", self.name);
        let Some(Volume { kind: Kind::Linear { size }, .. }) = self.volumes.get(name) else {
            let said = format!("Failed to find logical volume \"{}/{name}\"", self.name);
            return Err(failed(&what, &said));
        };
        let size = *size;
        self.refuse_no_growth(&what, size, to)?;
        let (needed, free) = (to.count() - size.count(), self.free().count());
        if needed > free {
            let said = format!("Insufficient free space: {needed} extents needed, but only {free} available");
            return Err(failed(&what, &said));
        }
        self.set_kind(name, Kind::Linear { size: to });
        Ok(())
    }

    fn refuse_no_growth(&self, what: &str, now: Extents, to: Extents) -> Result<(), HostError> {
        match to.cmp(&now) {
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Equal => Err(failed(what, &format!("New size ({to}) matches existing size ({now})."))),
            std::cmp::Ordering::Less => {
                Err(failed(what, &format!("New size given ({to}) not larger than existing size ({now})")))
            }
        }
    }

    fn set_kind(&mut self, name: &LvName, kind: Kind) {
        if let Some(volume) = self.volumes.get_mut(name) {
            volume.kind = kind;
            self.seqno += 1;
        }
    }

    /// `lvremove` of a volume that nothing has open. LVM would take a pool's thin volumes along; the agent never asks
    /// for that, so a pool has to be empty.
    pub(super) fn remove(&mut self, name: &LvName) -> Result<(), HostError> {
        let what = format!("lvremove {}/{name}", self.name);
        if !self.volumes.contains_key(name) {
            let said = format!("Failed to find logical volume \"{}/{name}\"", self.name);
            return Err(failed(&what, &said));
        }
        let inside = self.thin_volumes_of(name);
        if inside > 0 {
            let said = format!("Removing pool \"{name}\" would remove {inside} dependent volume(s).");
            return Err(failed(&what, &said));
        }
        self.volumes.remove(name);
        if self.pools().next().is_none() {
            self.spare = Extents::ZERO;
        }
        self.seqno += 1;
        Ok(())
    }

    /// `vgchange` with `--deltag` and `--addtag`: one commit.
    pub(super) fn replace_tags(&mut self, gone: &[LvmTag], new: &[LvmTag]) {
        self.tags.retain(|tag| !gone.contains(tag));
        self.tags.extend(new.iter().cloned());
        self.tags = sorted(&self.tags);
        self.seqno += 1;
    }

    pub(super) fn add_tag(&mut self, tag: &LvmTag) {
        self.tags = with(&self.tags, tag);
        self.seqno += 1;
    }

    /// `lvchange` with `--deltag` and `--addtag`: one commit.
    pub(super) fn replace_volume_tags(
        &mut self,
        name: &LvName,
        gone: &[LvmTag],
        new: &[LvmTag],
    ) -> Result<(), HostError> {
        let what = format!("lvchange {}/{name}", self.name);
        let Some(volume) = self.volumes.get_mut(name) else {
            let said = format!("Failed to find logical volume \"{}/{name}\"", self.name);
            return Err(failed(&what, &said));
        };
        volume.tags.retain(|tag| !gone.contains(tag));
        volume.tags.extend(new.iter().cloned());
        volume.tags = sorted(&volume.tags);
        self.seqno += 1;
        Ok(())
    }

    fn refuse_existing(&self, what: &str, name: &LvName) -> Result<(), HostError> {
        if self.volumes.contains_key(name) {
            let said = format!("Logical Volume \"{name}\" already exists in volume group \"{}\"", self.name);
            return Err(failed(what, &said));
        }
        Ok(())
    }

    fn insert(&mut self, name: LvName, kind: Kind, tags: &[LvmTag]) {
        let volume = Volume {
            uuid: new_lvm_uuid(),
            tags: sorted(tags),
            kind,
            file_system: None,
            blocks: BTreeMap::new(),
            more_metadata: 0,
        };
        self.volumes.insert(name, volume);
        self.seqno += 1;
    }
}

impl Volume {
    fn held(&self) -> Extents {
        match self.kind {
            Kind::Pool { data, metadata } => Extents::new(data.count() + metadata.count()),
            Kind::Thin { .. } => Extents::ZERO,
            Kind::Linear { size } => size,
        }
    }

    pub(super) fn extents(&self) -> Extents {
        match self.kind {
            Kind::Pool { data, .. } => data,
            Kind::Thin { size, .. } | Kind::Linear { size } => size,
        }
    }
}

/// LVM keeps tags as a set and prints them in order.
fn sorted(tags: &[LvmTag]) -> Vec<LvmTag> {
    let mut tags = tags.to_vec();
    tags.sort();
    tags.dedup();
    tags
}

fn with(tags: &[LvmTag], more: &LvmTag) -> Vec<LvmTag> {
    let mut tags = tags.to_vec();
    tags.push(more.clone());
    sorted(&tags)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> LvName {
        text.parse().unwrap()
    }

    fn group_of(gib: u64) -> Group {
        let disk = ByteSize::from_gib(gib).unwrap();
        Group::new("vg".parse().unwrap(), disk, ExtentSize::FOUR_MIB, &[])
    }

    #[test]
    fn the_first_pool_brings_the_spare_and_the_last_takes_it_away() {
        let mut group = group_of(16);
        let all = group.free();
        group.create_pool(&name("a"), Extents::new(100), Extents::new(2), &[]).unwrap();
        assert_eq!(all.count() - group.free().count(), 100 + 2 + 2);
        group.create_pool(&name("b"), Extents::new(100), Extents::new(5), &[]).unwrap();
        assert_eq!(group.spare, Extents::new(5));
        group.remove(&name("b")).unwrap();
        assert_eq!(group.spare, Extents::new(5), "LVM does not shrink it");
        group.remove(&name("a")).unwrap();
        assert_eq!(group.free(), all);
    }

    #[test]
    fn heketis_arithmetic_of_the_story_comes_out_as_vgs_said() {
        // 128 MiB of metadata area, 8 GiB of data, 44 MiB of pool metadata: measured on LVM 2.03.16.
        let mut group = group_of(16);
        group.total = Extents::new(4063);
        group.create_pool(&name("tp"), Extents::new(2048), Extents::new(11), &[]).unwrap();
        let free = group.free().to_bytes(group.extent_size).unwrap();
        assert_eq!(free.whole_kib(), 8_163_328);
    }

    #[test]
    fn a_pool_that_lacks_one_extent_for_the_spare_changes_nothing() {
        let mut group = group_of(16);
        let all = group.free().count();
        let before = group.space();
        let refused = group.create_pool(&name("a"), Extents::new(all - 3), Extents::new(2), &[]);
        assert!(matches!(refused, Err(HostError::NoSpace { .. })), "{refused:?}");
        assert_eq!(group.space(), before);
        group.create_pool(&name("a"), Extents::new(all - 4), Extents::new(2), &[]).unwrap();
        assert_eq!(group.free(), Extents::ZERO);
    }

    #[test]
    fn a_pool_grows_by_the_figures_that_lvm_gave() {
        // Seen on LVM 2.03.16: a pool of 512 + 2 extents, then 4 extents of metadata, then 1024 of data.
        let mut group = group_of(16);
        group.create_pool(&name("tp"), Extents::new(512), Extents::new(2), &[]).unwrap();
        assert_eq!(group.free(), Extents::new(3575));
        group.extend_pool(&name("tp"), None, Some(Extents::new(4))).unwrap();
        assert_eq!((group.free(), group.spare), (Extents::new(3571), Extents::new(4)));
        group.extend_pool(&name("tp"), Some(Extents::new(1024)), None).unwrap();
        assert_eq!(group.free(), Extents::new(3059));
        assert!(group.extend_pool(&name("tp"), Some(Extents::new(1024)), None).is_err(), "it has that size");
        // LVM's own estimate of the metadata is extended to although the data then finds no room.
        assert!(group.extend_pool(&name("tp"), Some(Extents::new(23_674)), None).is_err());
        assert_eq!((group.free(), group.spare), (Extents::new(3055), Extents::new(6)));
    }

    #[test]
    fn a_pool_with_a_volume_in_it_is_not_removed() {
        let mut group = group_of(16);
        group.create_pool(&name("a"), Extents::new(100), Extents::new(2), &[]).unwrap();
        group.create_thin(&name("t"), &name("a"), Extents::new(90), &[]).unwrap();
        assert!(group.remove(&name("a")).is_err());
        group.remove(&name("t")).unwrap();
        group.remove(&name("a")).unwrap();
    }

    #[test]
    fn a_linear_volume_takes_its_extents_and_no_spare_and_grows_only_into_free_ones() {
        let mut group = group_of(16);
        let all = group.free().count();
        group.create_linear_volume(&name("a"), Extents::new(100), &[], true).unwrap();
        assert_eq!((group.free().count(), group.spare), (all - 100, Extents::ZERO));
        let too_large = group.create_linear_volume(&name("b"), Extents::new(all - 99), &[], true);
        assert!(matches!(too_large, Err(HostError::NoSpace { .. })), "{too_large:?}");
        assert!(group.extend_linear(&name("a"), Extents::new(100)).is_err(), "it has that size");
        assert!(group.extend_linear(&name("a"), Extents::new(all + 1)).is_err(), "there is not so much");
        group.extend_linear(&name("a"), Extents::new(all)).unwrap();
        assert_eq!(group.free(), Extents::ZERO);
        assert!(group.extend_thin(&name("a"), Extents::new(all + 1)).is_err(), "it is no thin volume");
        group.remove(&name("a")).unwrap();
        assert_eq!(group.free().count(), all);
    }

    #[test]
    fn a_linear_volume_that_was_not_wiped_has_an_earlier_ones_file_system() {
        let mut group = group_of(16);
        group.create_linear_volume(&name("a"), Extents::new(100), &[], false).unwrap();
        group.create_linear_volume(&name("b"), Extents::new(100), &[], true).unwrap();
        assert!(group.volumes[&name("a")].file_system.as_ref().is_some_and(|found| found.stale));
        assert!(group.volumes[&name("b")].file_system.is_none());
    }

    proptest! {
        #[test]
        fn the_ledger_of_the_contract_says_what_lvm_takes(
            bricks in proptest::collection::vec((1u64..64, 1u64..4), 1..12),
        ) {
            let mut group = group_of(512);
            for (index, (gib, factor)) in bricks.into_iter().enumerate() {
                let size = ByteSize::from_gib(gib).unwrap();
                let pool = ByteSize::from_gib(gib * factor).unwrap();
                let space = bricklayer_proto::space::BrickSpace::thin(size, pool, group.extent_size).unwrap();
                let grown = bricklayer_proto::space::spare_growth(group.spare, space.metadata);
                let predicted = space.taken().unwrap().count() + grown.count();
                let free = group.free().count();
                let made = group.create_pool(&name(&format!("tp_{index}")), space.pool, space.metadata, &[]);
                prop_assert_eq!(made.is_ok(), predicted <= free);
                prop_assert_eq!(group.free().count(), if made.is_ok() { free - predicted } else { free });
            }
        }
    }
}
