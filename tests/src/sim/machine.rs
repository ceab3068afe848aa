//! One simulated machine: what is on its disks and its root file system, and what only its running kernel knows.

use std::collections::BTreeMap;
use std::time::Duration;

use bricklayer_agent::host::HostError;
use bricklayer_proto::ids::BootId;
use bricklayer_proto::names::{DevicePath, HostName, LvName, MountPoint, VgName, mapper_path};
use bricklayer_proto::size::{ByteSize, GIB};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::time::Instant;

use super::disk::{Content, Partition, SimDisk, failed};
use super::lvm::{Group, Kind, Volume};

/// A fresh host's fstab, with lines that are nobody's business but the host's.
const FSTAB: &str = "# /etc/fstab: made by the installer\n\
                     UUID=6f3c0d0e-6a35-4f6e-9d6a-0b8a3f9f1c11 / ext4 defaults,errors=remount-ro 0 1\n\
                     tmpfs\t/srv/scratch\ttmpfs\tsize=64m\t0 0\n";

pub(super) struct Machine {
    /// All the names and addresses that lead to it; the first is its own.
    pub names: Vec<HostName>,
    /// In the order in which they were plugged in; the first is the system's.
    pub disks: Vec<SimDisk>,
    pub fstab: String,
    /// On the disk of the root file system.
    pub own_free: ByteSize,
    /// The program that checks thin pools is there.
    pub has_thin_check: bool,
    /// What LVM says of thin pools that need a person.
    pub pool_faults: BTreeMap<LvName, String>,
    /// Nobody can write to fstab.
    pub fstab_is_fixed: bool,
    /// Folders on the root file system; true where immutable.
    pub mount_points: BTreeMap<Utf8PathBuf, bool>,
    /// `None` while the power is off.
    pub kernel: Option<Kernel>,
    /// Cut off from the other hosts' glusterd.
    pub isolated: bool,
    pub gluster_installed: bool,
    pub gluster_block_installed: bool,
    /// At its next start glusterd starts no brick: seen of glusterd 10.3 after a power cut, where a volume had been started
    /// anew meanwhile ("version differ", "Unable to open pidfile").
    pub leaves_bricks_out: bool,
}

/// What a power cut takes away.
pub(super) struct Kernel {
    pub boot: BootId,
    /// `None`: long ago.
    pub booted: Option<Instant>,
    pub mounts: Vec<Mounted>,
    /// Device-mapper devices by name, with their minor numbers.
    pub mappings: BTreeMap<String, Mapping>,
    pub swaps: Vec<DevicePath>,
    pub glusterd: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Mapping {
    pub minor: u32,
    pub of: Mapped,
}

#[derive(Clone, Debug)]
pub(super) enum Mapped {
    /// An active logical volume.
    Volume { group: VgName, volume: LvName },
    /// A hidden part of an active pool.
    PoolPart { group: VgName, pool: LvName },
    /// Left over on a disk whose metadata no longer knows of it.
    Stale { disk: DevicePath, open: bool },
    /// A multipath device.
    Multipath,
}

#[derive(Clone, Debug)]
pub(super) struct Mounted {
    pub what: Source,
    pub at: Utf8PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Volume {
        group: VgName,
        volume: LvName,
    },
    /// A disk or a partition of it, and what is on it.
    Block {
        path: DevicePath,
        file_system: String,
    },
}

/// An XFS and what Bricklayer and glusterd keep in its root.
#[derive(Clone, Debug, Default)]
pub(super) struct FileSystem {
    /// As much of its volume as it takes.
    pub size: ByteSize,
    pub arbiter: bool,
    pub files: BTreeMap<String, Vec<u8>>,
    pub directories: BTreeMap<String, Directory>,
    /// An earlier volume's, which lay on the same extents.
    pub stale: bool,
}

/// How long XFS keeps a change in memory that nobody syncs.
const LOG_SYNC: Duration = Duration::from_secs(30);

/// A folder in the root of a brick's file system.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub gid: u32,
    /// glusterd's `trusted.glusterfs.volume-id`.
    pub mark: Option<String>,
    /// While the mark is not on the disk: glusterd does not sync it.
    pub unsynced: Option<Unsynced>,
    /// Users' data.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A mark that a power cut takes.
#[derive(Clone, Debug)]
pub(super) struct Unsynced {
    pub since: Instant,
    /// What the disk has instead: a clone's brick the mark of its source.
    pub on_disk: Option<String>,
}

impl Machine {
    pub fn new(names: Vec<HostName>) -> Self {
        let system: DevicePath = "/dev/sda".parse().expect("a device path");
        let mut machine = Self {
            names,
            disks: vec![SimDisk::new(&system, ByteSize::from_bytes(20 << 30)).partitions("gpt", &[Some("ext4"), None])],
            fstab: FSTAB.to_owned(),
            mount_points: BTreeMap::new(),
            kernel: None,
            own_free: ByteSize::from_bytes(64 * GIB),
            has_thin_check: true,
            pool_faults: BTreeMap::new(),
            fstab_is_fixed: false,
            isolated: false,
            gluster_installed: true,
            gluster_block_installed: true,
            leaves_bricks_out: false,
        };
        machine.power_on();
        let kernel = machine.kernel_mut();
        (kernel.booted, kernel.glusterd) = (None, true);
        machine
    }

    /// Boots as far as the root file system. What else comes up is for the host's services to do.
    pub fn power_on(&mut self) {
        if self.kernel.is_none() {
            let root = Source::Block { path: partition(&self.disks[0].path, 1), file_system: "ext4".into() };
            let mut kernel = Kernel {
                boot: BootId::random(),
                booted: Some(Instant::now()),
                mounts: vec![Mounted { what: root, at: "/".into() }],
                mappings: BTreeMap::new(),
                swaps: Vec::new(),
                glusterd: false,
            };
            for map in self.disks.iter().filter_map(|disk| disk.multipath.clone()) {
                kernel.map(&map, Mapped::Multipath);
            }
            self.kernel = Some(kernel);
        }
    }

    pub fn name(&self) -> &HostName {
        &self.names[0]
    }

    /// The running kernel; a host without power is kept from ever getting here.
    pub fn kernel(&self) -> &Kernel {
        self.kernel.as_ref().expect("the host has power")
    }

    pub fn kernel_mut(&mut self) -> &mut Kernel {
        self.kernel.as_mut().expect("the host has power")
    }

    pub fn disk(&self, path: &DevicePath) -> Option<&SimDisk> {
        self.disks.iter().find(|disk| disk.path == *path || disk.links().contains(path))
    }

    pub fn disk_mut(&mut self, path: &DevicePath) -> Option<&mut SimDisk> {
        self.disks.iter_mut().find(|disk| disk.path == *path || disk.links().contains(path))
    }

    pub fn check_fstab(&self) -> Result<(), HostError> {
        match self.fstab_is_fixed {
            true => {
                Err(failed("changing /etc/fstab", "nothing can be made in /etc: Read-only file system (os error 30)"))
            }
            false => Ok(()),
        }
    }

    pub fn find_disk(&mut self, what: &str, path: &DevicePath) -> Result<&mut SimDisk, HostError> {
        let disk = self.disk_mut(path);
        let disk = disk.ok_or_else(|| failed(what, &format!("Device {path} not found.")))?;
        disk.check_works(what)?;
        Ok(disk)
    }

    pub fn group(&self, name: &VgName) -> Option<&Group> {
        self.disks.iter().filter_map(SimDisk::hosts_group).find(|group| group.name == *name)
    }

    pub fn find_group(&mut self, what: &str, name: &VgName) -> Result<&mut Group, HostError> {
        let holds = |disk: &&mut SimDisk| disk.hosts_group().is_some_and(|group| group.name == *name);
        let disk = self.disks.iter_mut().find(holds);
        let missing = || failed(what, &format!("Volume group \"{name}\" not found"));
        let disk = disk.ok_or_else(missing)?;
        disk.check_works(what)?;
        disk.hosts_group_mut().ok_or_else(missing)
    }

    /// The group goes from its disk, which is a physical volume in no group then.
    pub fn leave_physical_volume(&mut self, name: &VgName) {
        let holds = |disk: &&mut SimDisk| disk.hosts_group().is_some_and(|group| group.name == *name);
        let Some(disk) = self.disks.iter_mut().find(holds) else { return };
        if let Content::PhysicalVolume { uuid, group } = &mut disk.content {
            *group = None;
            disk.was_of_ours = Some(uuid.clone());
        }
    }

    /// Makes the device nodes of a volume, and of its pool's parts.
    pub fn activate(&mut self, group: &VgName, volume: &LvName) {
        let Some(kind) = self.group(group).and_then(|group| group.volumes.get(volume)).map(|lv| lv.kind.clone()) else {
            return;
        };
        let mapped = Mapped::Volume { group: group.clone(), volume: volume.clone() };
        match kind {
            Kind::Pool { .. } => self.activate_pool(group, volume),
            Kind::Thin { pool, .. } => {
                self.activate_pool(group, &pool);
                self.kernel_mut().map(&mapping_name(group, volume), mapped);
            }
            Kind::Linear { .. } => self.kernel_mut().map(&mapping_name(group, volume), mapped),
        }
    }

    fn activate_pool(&mut self, group: &VgName, pool: &LvName) {
        let part = Mapped::PoolPart { group: group.clone(), pool: pool.clone() };
        let name = mapping_name(group, pool);
        for suffix in ["_tmeta", "_tdata", "-tpool"] {
            self.kernel_mut().map(&format!("{name}{suffix}"), part.clone());
        }
        self.kernel_mut().map(&name, Mapped::Volume { group: group.clone(), volume: pool.clone() });
    }

    pub fn deactivate(&mut self, group: &VgName, volume: &LvName) {
        let name = mapping_name(group, volume);
        // A host without power has nothing active.
        let Some(kernel) = &mut self.kernel else { return };
        let mappings = &mut kernel.mappings;
        for suffix in ["", "_tmeta", "_tdata", "-tpool"] {
            mappings.remove(&format!("{name}{suffix}"));
        }
    }

    pub fn is_active(&self, group: &VgName, volume: &LvName) -> bool {
        self.kernel().mappings.contains_key(&mapping_name(group, volume))
    }

    pub fn is_open(&self, group: &VgName, volume: &LvName) -> bool {
        let is_it =
            |what: &Source| matches!(what, Source::Volume { group: of, volume: name } if of == group && name == volume);
        self.kernel().mounts.iter().any(|mount| is_it(&mount.what))
    }

    pub fn mounted_at(&self, at: &Utf8Path) -> Option<&Mounted> {
        // The last one mounted covers those before it. Without power nothing is mounted.
        self.kernel.as_ref()?.mounts.iter().rev().find(|mount| mount.at.as_str() == at.as_str())
    }

    /// The brick file system that is mounted right there.
    pub fn file_system_at(&mut self, what: &str, at: &MountPoint) -> Result<&mut FileSystem, HostError> {
        let Some(Source::Volume { group, volume }) = self.mounted_at(at.as_path()).map(|mount| mount.what.clone())
        else {
            return Err(failed(what, &format!("nothing is mounted at {at}")));
        };
        let group = self.find_group(what, &group)?;
        let file_system = group.volumes.get_mut(&volume).and_then(|volume| volume.file_system.as_mut());
        file_system.ok_or_else(|| failed(what, &format!("{at}: Structure needs cleaning")))
    }

    /// Marks that glusterd has put on brick directories and nobody has synced; XFS does it after half a minute.
    pub fn lose_what_is_unsynced(&mut self) {
        for directory in self.brick_directories() {
            if let Some(lost) = directory.unsynced.take().filter(|unsynced| unsynced.since.elapsed() < LOG_SYNC) {
                directory.mark = lost.on_disk;
            }
        }
    }

    pub fn sync(&mut self) {
        for directory in self.brick_directories() {
            directory.unsynced = None;
        }
    }

    fn brick_directories(&mut self) -> impl Iterator<Item = &mut Directory> {
        let groups = self.disks.iter_mut().filter_map(SimDisk::hosts_group_mut);
        let file_systems = groups.flat_map(|group| group.volumes.values_mut()).filter_map(|lv| lv.file_system.as_mut());
        file_systems.flat_map(|file_system| file_system.directories.values_mut())
    }

    /// What holds the disk open, so that nobody may write to it as a whole.
    pub fn holder(&self, disk: &SimDisk) -> Option<String> {
        if let Some(map) = &disk.multipath {
            return Some(map.clone());
        }
        let kernel = self.kernel();
        let mounted = kernel.mounts.iter().find_map(|mount| match &mount.what {
            Source::Block { path, .. } if lies_on(path, &disk.path) => Some(mount.at.to_string()),
            _ => None,
        });
        let swap = kernel.swaps.iter().find(|swap| lies_on(swap, &disk.path)).map(ToString::to_string);
        let on_it = |mapping: &Mapping| match &mapping.of {
            Mapped::Volume { group, .. } | Mapped::PoolPart { group, .. } => {
                disk.hosts_group().is_some_and(|on_disk| on_disk.name == *group)
            }
            Mapped::Stale { disk: lower, .. } => lies_on(lower, &disk.path),
            Mapped::Multipath => false,
        };
        let mapped = kernel.mappings.iter().find(|(_, mapping)| on_it(mapping)).map(|(name, _)| name.clone());
        mounted.or(swap).or(mapped)
    }

    /// A partition by the kernel's name for it.
    pub fn partition_mut(&mut self, path: &DevicePath) -> Option<&mut Partition> {
        self.disks.iter_mut().find_map(|disk| match &mut disk.content {
            Content::Partitions { parts, .. } => {
                let disk = disk.path.clone();
                (1..).zip(parts).find(|(number, _)| partition(&disk, *number) == *path).map(|(_, part)| part)
            }
            _ => None,
        })
    }

    /// An active logical volume by its device node.
    pub fn volume_at(&self, path: &DevicePath) -> Option<&Volume> {
        let name = path.as_str().strip_prefix("/dev/mapper/")?;
        match &self.kernel().mappings.get(name)?.of {
            Mapped::Volume { group, volume } => self.group(group)?.volumes.get(volume),
            _ => None,
        }
    }

    /// `None` where the path is no partition.
    pub fn partition_in_use(&self, path: &DevicePath) -> Option<bool> {
        let of = self.disks.iter().find(|disk| match &disk.content {
            Content::Partitions { parts, .. } => (1..=parts.len()).any(|number| partition(&disk.path, number) == *path),
            _ => false,
        });
        of.map(|_| self.is_in_use(path))
    }

    /// The folder of a mounted brick file system, by its full path.
    pub fn directory(&self, path: &Utf8Path) -> Option<&Directory> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return None };
        let Some(Mounted { what: Source::Volume { group, volume }, .. }) = self.mounted_at(parent) else {
            return None;
        };
        let volume = self.group(group)?.volumes.get(volume)?;
        volume.file_system.as_ref()?.directories.get(name)
    }

    pub fn directory_mut(&mut self, path: &Utf8Path) -> Option<&mut Directory> {
        let (parent, name) = (path.parent()?, path.file_name()?);
        let at: MountPoint = parent.as_str().parse().ok()?;
        self.file_system_at("open", &at).ok()?.directories.get_mut(name)
    }
}

impl Kernel {
    pub fn map(&mut self, name: &str, of: Mapped) {
        if self.mappings.contains_key(name) {
            return;
        }
        // One more than there are, so one of them is free.
        let mut used = vec![false; self.mappings.len() + 1];
        for mapping in self.mappings.values() {
            if let Some(used) = usize::try_from(mapping.minor).ok().and_then(|minor| used.get_mut(minor)) {
                *used = true;
            }
        }
        let minor = (0..).zip(&used).find(|(_, used)| !**used).map(|(minor, _)| minor).expect("one is free");
        self.mappings.insert(name.to_owned(), Mapping { minor, of });
    }
}

impl SimDisk {
    /// udev's links for it.
    pub fn links(&self) -> Vec<DevicePath> {
        let mut links = Vec::new();
        let mut link = |text: String| links.extend(text.parse::<DevicePath>().ok());
        if let Some(serial) = &self.serial {
            link(format!("/dev/disk/by-id/scsi-{serial}"));
        }
        if let Some(wwn) = &self.wwn {
            link(format!("/dev/disk/by-id/wwn-{wwn}"));
        }
        if let Content::PhysicalVolume { uuid, .. } = &self.content {
            link(format!("/dev/disk/by-id/lvm-pv-uuid-{uuid}"));
        }
        links
    }
}

/// LVM's device-mapper name, in which dashes within a part are doubled.
pub(super) fn mapping_name(group: &VgName, volume: &LvName) -> String {
    let (of, name) = (group.as_str(), volume.as_str());
    if !of.contains('-') && !name.contains('-') {
        return [of, "-", name].concat();
    }
    let path = mapper_path(group, volume);
    path.file_name().map(str::to_owned).unwrap_or_default()
}

/// The kernel's name of a disk's partition.
pub(super) fn partition(disk: &DevicePath, number: usize) -> DevicePath {
    let digit = disk.as_str().ends_with(|last: char| last.is_ascii_digit());
    let name = if digit { format!("{disk}p{number}") } else { format!("{disk}{number}") };
    name.parse().expect("a device path with a number behind it is one")
}

/// Whether `path` is the disk or one of its partitions.
fn lies_on(path: &DevicePath, disk: &DevicePath) -> bool {
    path == disk || (1..=16).any(|number| *path == partition(disk, number))
}
