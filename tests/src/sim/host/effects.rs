//! What the tools of a host do to its disks, groups and file systems, with what real ones refuse.

use bricklayer_agent::host::{BrickVolumes, GroupReport, HostError, LinearVolume};
use bricklayer_proto::names::{BrickPath, DevicePath, LvName, LvmTag, MountPoint, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize, MIB};

use crate::sim::disk::{Content, failed, new_pv_uuid};
use crate::sim::lvm::{Group, Kind};
use crate::sim::machine::{FileSystem, Kernel, Mapped, Mounted, Source, mapping_name};
use crate::sim::{HostKey, World, ours};

/// What mkfs.xfs refuses to go below.
const LEAST_XFS: ByteSize = ByteSize::from_bytes(300 * MIB);

impl World {
    /// Says what was broken, and stops whoever broke it.
    pub(in crate::sim) fn violation(&mut self, what: String) -> ! {
        self.violations.push(what.clone());
        panic!("{what}");
    }

    pub(super) fn refuse_busy(&self, key: HostKey, what: &str, path: &DevicePath, said: &str) -> Result<(), HostError> {
        let machine = self.machine(key);
        let disk = machine.disk(path).ok_or_else(|| failed(what, &format!("Device {path} not found.")))?;
        disk.check_works(what)?;
        if disk.read_only {
            return Err(failed(what, &format!("{path}: Read-only file system")));
        }
        match machine.holder(disk) {
            Some(_) => Err(failed(what, said)),
            None => Ok(()),
        }
    }

    pub(super) fn wipe_signatures(&mut self, key: HostKey, path: &DevicePath) -> Result<(), HostError> {
        let what = format!("wipefs --all {path}");
        let busy = format!("error: {path}: probing initialization failed: Device or resource busy");
        if let Some(in_use) = self.machine(key).partition_in_use(path) {
            if in_use {
                return Err(failed(&what, &busy));
            }
            if let Some(part) = self.machine_mut(key).partition_mut(path) {
                part.signature = None;
            }
            return Ok(());
        }
        self.refuse_busy(key, &what, path, &busy)?;
        let disk = self.machine_mut(key).find_disk(&what, path)?;
        let group = disk.hosts_group();
        let ours_alive = group.filter(|group| ours::is_ours(&group.tags) && !ours::is_condemned(&group.tags));
        if let Some(name) = ours_alive.map(|group| group.name.clone()) {
            self.violation(format!("{path} was wiped with {name} on it, which is ours and not condemned"));
        }
        disk.content = Content::Blank;
        Ok(())
    }

    pub(super) fn remove_mapping(&mut self, key: HostKey, name: &str) -> Result<(), HostError> {
        let what = format!("dmsetup remove {name}");
        let machine = self.machine_mut(key);
        let Some(mapping) = machine.kernel().mappings.get(name) else {
            return Err(failed(&what, &format!("Device {name} not found")));
        };
        let in_use = match &mapping.of {
            Mapped::Volume { group, volume } => {
                let thin = machine.group(group).map_or(0, |group| group.thin_volumes_of(volume));
                let upper = |name: &LvName| machine.is_active(group, name);
                let found = machine.group(group);
                let holds = found.is_some_and(|found| {
                    found.volumes.iter().any(|(name, volume_of)| {
                        matches!(&volume_of.kind, Kind::Thin { pool, .. } if pool == volume) && upper(name)
                    })
                });
                machine.is_open(group, volume) || (thin > 0 && holds)
            }
            Mapped::PoolPart { .. } | Mapped::Multipath => true,
            Mapped::Stale { open, .. } => *open,
        };
        if in_use {
            return Err(failed(&what, &format!("Device {name} is in use.")));
        }
        machine.kernel_mut().mappings.remove(name);
        Ok(())
    }

    /// What `pvcreate` checks.
    pub(super) fn may_become_physical_volume(&self, key: HostKey, path: &DevicePath) -> Result<(), HostError> {
        let what = format!("pvcreate {path}");
        let busy = format!("Can't open {path} exclusively.  Mounted filesystem?");
        self.refuse_busy(key, &what, path, &busy)?;
        let Some(disk) = self.machine(key).disk(path) else { return Ok(()) };
        match &disk.content {
            Content::Blank => Ok(()),
            Content::PhysicalVolume { group: Some(group), .. } => Err(failed(
                &what,
                &format!("Can't initialize physical volume \"{path}\" of volume group \"{}\" without -ff", group.name),
            )),
            Content::PhysicalVolume { group: None, .. } | Content::Signature(_) | Content::Partitions { .. } => {
                Err(failed(&what, "1 existing signature left on the device."))
            }
        }
    }

    pub(super) fn create_group(
        &mut self,
        key: HostKey,
        path: &DevicePath,
        name: &VgName,
        extent_size: ExtentSize,
        tags: &[LvmTag],
    ) -> Result<(), HostError> {
        let what = format!("vgcreate {name}");
        if self.machine(key).group(name).is_some() {
            return Err(failed(&what, &format!("A volume group called {name} already exists.")));
        }
        self.may_become_physical_volume(key, path)?;
        let disk = self.machine_mut(key).find_disk(&what, path)?;
        let group = Group::new(name.clone(), disk.size, extent_size, tags);
        disk.content = Content::PhysicalVolume { uuid: new_pv_uuid(), group: Some(Box::new(group)) };
        Ok(())
    }

    pub(super) fn remove_group(&mut self, key: HostKey, name: &VgName) -> Result<(), HostError> {
        let what = format!("vgremove {name}");
        let group = self.machine_mut(key).find_group(&what, name)?;
        if !group.volumes.is_empty() {
            let count = group.volumes.len();
            return Err(failed(&what, &format!("Volume group \"{name}\" still contains {count} logical volume(s)")));
        }
        if !(ours::is_ours(&group.tags) && ours::is_condemned(&group.tags)) {
            self.violation(format!("volume group {name} was removed, but its tags do not say that it is condemned"));
        }
        self.machine_mut(key).leave_physical_volume(name);
        Ok(())
    }

    pub(super) fn remove_physical_volume(&mut self, key: HostKey, path: &DevicePath) -> Result<(), HostError> {
        let what = format!("pvremove {path}");
        let busy = format!("Can't open {path} exclusively - not removing. Mounted filesystem?");
        self.refuse_busy(key, &what, path, &busy)?;
        let disk = self.machine_mut(key).find_disk(&what, path)?;
        match &disk.content {
            Content::PhysicalVolume { group: Some(group), .. } => {
                return Err(failed(
                    &what,
                    &format!("PV {path} is used by VG {} so please use vgreduce first.", group.name),
                ));
            }
            Content::PhysicalVolume { uuid, group: None } if disk.was_of_ours.as_ref() == Some(uuid) => {}
            Content::PhysicalVolume { uuid, group: None } => {
                let said =
                    format!("physical volume {uuid} was removed from {path}, and is of no group of ours that went");
                self.violation(said);
            }
            Content::Blank | Content::Signature(_) | Content::Partitions { .. } => {
                return Err(failed(&what, &format!("No PV found on device {path}.")));
            }
        }
        disk.content = Content::Blank;
        Ok(())
    }

    pub(super) fn create_pool(&mut self, key: HostKey, wanted: &BrickVolumes) -> Result<(), HostError> {
        let machine = self.machine_mut(key);
        let group = machine.find_group("lvcreate", &wanted.group)?;
        if !group.volumes.contains_key(&wanted.pool) {
            let round = |extents: bricklayer_proto::size::Extents| {
                let bytes = extents.to_bytes(wanted.extent_size).expect("sizes that fit into 64 bits");
                bytes.to_extents(group.extent_size)
            };
            let (data, metadata) = (round(wanted.space.pool), round(wanted.space.metadata));
            group.create_pool(&wanted.pool, data, metadata, &wanted.pool_tags)?;
        }
        machine.activate(&wanted.group, &wanted.pool);
        Ok(())
    }

    pub(super) fn create_brick_volumes(
        &mut self,
        key: HostKey,
        wanted: &BrickVolumes,
    ) -> Result<GroupReport, HostError> {
        // Refused before the pool is made, as the agent asks for both in one go.
        let group = self.machine_mut(key).find_group("lvcreate", &wanted.group)?;
        if group.volumes.contains_key(&wanted.volume) {
            return Err(failed(
                "lvcreate",
                &format!("Logical Volume \"{}\" already exists in volume group \"{}\"", wanted.volume, wanted.group),
            ));
        }
        self.create_pool(key, wanted)?;
        let machine = self.machine_mut(key);
        let group = machine.find_group("lvcreate", &wanted.group)?;
        let size = wanted.space.volume.to_bytes(wanted.extent_size).expect("sizes that fit into 64 bits");
        let size = size.to_extents(group.extent_size);
        group.create_thin(&wanted.volume, &wanted.pool, size, &wanted.volume_tags)?;
        machine.activate(&wanted.group, &wanted.volume);
        machine.report_of(&wanted.group).ok_or_else(|| failed("lvs", "the group is gone"))
    }

    pub(super) fn create_linear_volume(
        &mut self,
        key: HostKey,
        wanted: &LinearVolume,
        wiped: bool,
    ) -> Result<GroupReport, HostError> {
        let machine = self.machine_mut(key);
        let group = machine.find_group("lvcreate", &wanted.group)?;
        if !ours::is_blank(&wanted.tags) {
            self.violation(format!("{}/{} does not say that it is blank", wanted.group, wanted.volume));
        }
        group.create_linear_volume(&wanted.volume, wanted.size, &wanted.tags, wiped)?;
        machine.activate(&wanted.group, &wanted.volume);
        let report = machine.disks.iter().filter_map(|disk| machine.report(disk));
        report.into_iter().find(|report| report.name == wanted.group).ok_or_else(|| failed("lvs", "the group is gone"))
    }

    pub(super) fn extend_pool(
        &mut self,
        key: HostKey,
        group: &VgName,
        pool: &LvName,
        data: Option<ByteSize>,
        metadata: Option<ByteSize>,
    ) -> Result<(), HostError> {
        let found = self.machine_mut(key).find_group(&format!("lvextend {group}/{pool}"), group)?;
        let extents = |size: ByteSize| size.to_extents(found.extent_size);
        found.extend_pool(pool, data.map(extents), metadata.map(extents))
    }

    pub(super) fn extend_volume(
        &mut self,
        key: HostKey,
        group: &VgName,
        name: &LvName,
        to: ByteSize,
    ) -> Result<(), HostError> {
        let over_commits = self.over_commits;
        let found = self.machine_mut(key).find_group(&format!("lvextend {group}/{name}"), group)?;
        let to = to.to_extents(found.extent_size);
        if matches!(found.volumes.get(name), Some(volume) if matches!(volume.kind, Kind::Linear { .. })) {
            return found.extend_linear(name, to);
        }
        let pool = found.volumes.get(name).and_then(|volume| match &volume.kind {
            // One that a policy over-committed was larger before.
            Kind::Thin { pool, size } => found.volumes.get(pool).filter(|pool| *size <= pool.extents()),
            _ => None,
        });
        if pool.is_some_and(|pool| pool.extents() < to) && !over_commits {
            self.violation(format!("{group}/{name} became larger than its pool"));
        }
        found.extend_thin(name, to)
    }

    pub(super) fn grow_xfs(&mut self, key: HostKey, at: &MountPoint) -> Result<(), HostError> {
        let what = format!("xfs_growfs {at}");
        let machine = self.machine_mut(key);
        let not_mounted = || failed(&what, &format!("{at} is not a mounted XFS filesystem"));
        let Some(Source::Volume { group, volume }) = machine.mounted_at(at.as_path()).map(|mount| mount.what.clone())
        else {
            return Err(not_mounted());
        };
        let found = machine.find_group(&what, &group)?;
        let one = found.extent_size;
        let volume = found.volumes.get_mut(&volume).ok_or_else(not_mounted)?;
        let size = volume.extents().to_bytes(one).unwrap_or_default();
        volume.file_system.as_mut().ok_or_else(not_mounted)?.size = size;
        Ok(())
    }

    pub(super) fn remove_volume(&mut self, key: HostKey, group: &VgName, name: &LvName) -> Result<(), HostError> {
        let what = format!("lvremove {group}/{name}");
        let machine = self.machine_mut(key);
        if machine.is_open(group, name) {
            return Err(failed(&what, &format!("Logical volume {group}/{name} contains a filesystem in use.")));
        }
        let found = machine.find_group(&what, group)?;
        if let Some(volume) = found.volumes.get(name) {
            // Pools as well: both keys are needed for whatever is destroyed.
            if !(ours::is_ours(&volume.tags) && ours::is_condemned(&volume.tags)) {
                self.violation(format!("{group}/{name} was removed, but its tags do not say that it is condemned"));
            }
        }
        found.remove(name)?;
        machine.deactivate(group, name);
        Ok(())
    }

    pub(super) fn make_xfs(
        &mut self,
        key: HostKey,
        group: &VgName,
        name: &LvName,
        arbiter: bool,
        over: bool,
    ) -> Result<(), HostError> {
        let what = format!("mkfs.xfs /dev/{group}/{name}");
        let machine = self.machine_mut(key);
        if !machine.is_active(group, name) {
            return Err(failed(&what, &format!("cannot open /dev/{group}/{name}: No such file or directory")));
        }
        let found = machine.find_group(&what, group)?;
        let extent_size = found.extent_size;
        let Some(volume) = found.volumes.get_mut(name) else {
            return Err(failed(&what, &format!("cannot open /dev/{group}/{name}: No such file or directory")));
        };
        let size = volume.extents().to_bytes(extent_size).unwrap_or_default();
        if size < LEAST_XFS {
            return Err(failed(&what, "Filesystem must be larger than 300MB."));
        }
        if over && !(ours::is_ours(&volume.tags) && ours::is_blank(&volume.tags)) {
            self.violation(format!("{group}/{name} was formatted over, but its tags do not say that it is blank"));
        }
        if volume.file_system.is_some() && !over {
            let said = format!("/dev/{group}/{name} appears to contain an existing filesystem (xfs).");
            return Err(failed(&what, &said));
        }
        volume.file_system = Some(FileSystem { size, arbiter, ..FileSystem::default() });
        Ok(())
    }

    pub(super) fn make_mount_point(&mut self, key: HostKey, at: &MountPoint) {
        self.machine_mut(key).mount_points.insert(at.as_path().to_owned(), true);
    }

    pub(super) fn remove_mount_point(&mut self, key: HostKey, at: &MountPoint) -> Result<(), HostError> {
        let machine = self.machine_mut(key);
        if machine.mounted_at(at.as_path()).is_some() {
            return Err(failed(&format!("rmdir {at}"), "Device or resource busy"));
        }
        machine.mount_points.remove(at.as_path());
        Ok(())
    }

    pub(super) fn mount(
        &mut self,
        key: HostKey,
        group: &VgName,
        name: &LvName,
        at: &MountPoint,
    ) -> Result<(), HostError> {
        let source = format!("/dev/mapper/{}", mapping_name(group, name));
        let what = format!("mount {source} {at}");
        let machine = self.machine_mut(key);
        if !machine.is_active(group, name) {
            return Err(failed(&what, &format!("special device {source} does not exist.")));
        }
        if !machine.mount_points.contains_key(at.as_path()) {
            return Err(failed(&what, &format!("{at}: mount point does not exist.")));
        }
        if machine.is_open(group, name) || machine.mounted_at(at.as_path()).is_some() {
            return Err(failed(&what, &format!("{at}: {source} already mounted or mount point busy.")));
        }
        let volume = machine.find_group(&what, group)?.volumes.get(name);
        let stale = volume.and_then(|volume| volume.file_system.as_ref()).is_some_and(|found| found.stale);
        if stale || volume.is_some_and(|volume| ours::is_blank(&volume.tags)) {
            self.violation(format!("{group}/{name} was mounted with what an earlier volume left on it"));
        }
        let volume = self.machine_mut(key).find_group(&what, group)?.volumes.get(name);
        if volume.is_none_or(|volume| volume.file_system.is_none()) {
            return Err(failed(&what, &format!("{at}: wrong fs type, bad option, bad superblock on {source}.")));
        }
        let what = Source::Volume { group: group.clone(), volume: name.clone() };
        self.machine_mut(key).kernel_mut().mounts.push(Mounted { what, at: at.as_path().to_owned() });
        Ok(())
    }

    pub(super) fn unmount(&mut self, key: HostKey, at: &MountPoint) -> Result<(), HostError> {
        let what = format!("umount {at}");
        if self.brick_running_below(key, at.as_path()).is_some() {
            return Err(failed(&what, &format!("{at}: target is busy.")));
        }
        let kernel: &mut Kernel = self.machine_mut(key).kernel_mut();
        let Some(index) = kernel.mounts.iter().rposition(|mount| mount.at == at.as_path()) else {
            return Err(failed(&what, &format!("{at}: not mounted.")));
        };
        kernel.mounts.remove(index);
        Ok(())
    }

    pub(super) fn make_brick_directory(&mut self, key: HostKey, path: &BrickPath, gid: u32) -> Result<(), HostError> {
        let what = format!("mkdir {path}");
        let (Some(parent), Some(name)) = (path.as_path().parent(), path.as_path().file_name()) else {
            return Err(failed(&what, "No such file or directory"));
        };
        let machine = self.machine_mut(key);
        if machine.mounted_at(parent).is_none() {
            let immutable = machine.mount_points.get(parent);
            let said = if immutable.is_some() { "Operation not permitted" } else { "No such file or directory" };
            return Err(failed(&what, said));
        }
        let at: MountPoint = parent.as_str().parse().expect("the folder above a path is one");
        let file_system = machine.file_system_at(&what, &at)?;
        file_system.directories.entry(name.to_owned()).or_default().gid = gid;
        Ok(())
    }

    pub(super) fn mark_brick(
        &mut self,
        key: HostKey,
        path: &BrickPath,
        found: Option<&str>,
        volume: &str,
    ) -> Result<(), HostError> {
        let what = format!("setfattr --name trusted.glusterfs.volume-id {path}");
        let Some(directory) = self.machine_mut(key).directory_mut(path.as_path()) else {
            return Err(failed(&what, "No such file or directory"));
        };
        if directory.mark.as_deref() != found {
            return Err(failed(&what, "File exists"));
        }
        directory.mark = Some(volume.to_owned());
        directory.unsynced = None;
        Ok(())
    }

    pub(super) fn clear_brick_marks(&mut self, key: HostKey, path: &BrickPath) -> Result<(), HostError> {
        let what = format!("setfattr --remove trusted.glusterfs.volume-id {path}");
        if self.brick_running_below(key, path.as_path()).is_some() {
            self.violation(format!("{path} lost its marks while its brick process runs"));
        }
        let Some(directory) = self.machine_mut(key).directory_mut(path.as_path()) else {
            return Err(failed(&what, "No such file or directory"));
        };
        if !directory.files.is_empty() {
            return Err(failed(&what, "Directory not empty"));
        }
        directory.mark = None;
        Ok(())
    }
}
