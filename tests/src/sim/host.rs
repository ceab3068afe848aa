//! One simulated host: the agent's [`Host`] on one side, a person's hands on the other (plug, mount, cut the power).
//!
//! An effect happens whole, at one moment, after its delay; which is why a call that is dropped while it waits has done
//! nothing. While the host has no power every call waits for good, as the program that made it is dead.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bricklayer_agent::host::{
    BrickStatus, BrickVolumes, Drain, GlusterSnapshot, GlusterVolume, GroupReport, Host, HostError, HostView, Mount,
    Signature,
};
use bricklayer_proto::ids::BootId;
use bricklayer_proto::inventory::{PeerSeen, Versions};
use bricklayer_proto::names::{
    BlockName, BrickPath, DevicePath, HostName, LvName, LvmTag, MountPoint, OptionKey, OptionValue, PvUuid,
    SnapshotName, VgName, VolumeName,
};
use bricklayer_proto::size::{ByteSize, ExtentSize, MIB};
use bricklayer_proto::task::{BrickAddress, HealReport, Layout, RebalanceReport};
use camino::{Utf8Path, Utf8PathBuf};

use super::disk::{Content, SimDisk, failed, new_pv_uuid};
use super::faults::{Call, Fault, Faults};
use super::lvm::{Group, Kind};
use super::machine::{FileSystem, Kernel, Machine, Mapped, Mounted, Source, mapping_name};
use super::{HostKey, SimCluster, World, ours};

/// Where the agent mounts bricks, as on a real host.
const MOUNT_ROOT: &str = "/var/lib/bricklayer/mounts";

/// What mkfs.xfs refuses to go below.
const LEAST_XFS: ByteSize = ByteSize::from_bytes(300 * MIB);

/// A handle on one host; clones are the same host.
#[derive(Clone)]
pub struct SimHost {
    pub(super) cluster: SimCluster,
    pub(super) key: HostKey,
    name: HostName,
    faults: Faults,
}

/// All that a host has to show for what was done on it. Two that are equal are the same to any tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    pub view: HostView,
    /// Folders on the root file system.
    pub mount_points: Vec<Utf8PathBuf>,
    pub volumes: Vec<GlusterVolume>,
    /// The block volumes in those, and by how many hosts each is exported.
    pub blocks: Vec<(BlockName, ByteSize, usize)>,
    pub file_systems: Vec<FileSystemSeen>,
}

/// The file system on a logical volume.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSystemSeen {
    pub on: LvName,
    pub size: ByteSize,
    /// What stands beside the brick directory.
    pub files: BTreeMap<String, String>,
}

impl Footprint {
    /// Without what differs from host to host and what LVM and the kernel choose anew each time: two hosts on which the
    /// same was done are equal then.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        let by_id = |link: &DevicePath| link.as_str().starts_with("/dev/disk/by-id/");
        let nobody: PvUuid = "000000-0000-0000-0000-0000-0000-000000".parse().expect("an LVM UUID");
        for device in &mut self.view.block_devices {
            device.links.retain(|link| !by_id(link));
            device.serial = None;
            device.wwn = None;
            if device.mapping.is_some() {
                device.device_number.1 = 0;
                device.path = device.links[0].clone();
            }
            device.parents.clear();
        }
        for mount in &mut self.view.mounts {
            mount.device_number.1 = 0;
        }
        self.volumes.iter_mut().for_each(|volume| volume.uuid.clear());
        for group in &mut self.view.groups {
            group.uuid.clear();
            group.physical_volumes.iter_mut().for_each(|pv| pv.uuid = nobody.clone());
            group.volumes.iter_mut().for_each(|volume| volume.uuid.clear());
        }
        self
    }
}

impl Footprint {
    /// The lines in which the two differ: `-` is in the other alone, `+` in this alone.
    #[must_use]
    pub fn differences_from(&self, other: &Self) -> String {
        let (now, then) = (format!("{self:#?}"), format!("{other:#?}"));
        let (now, then): (Vec<&str>, Vec<&str>) = (now.lines().collect(), then.lines().collect());
        let only = |these: &[&str], those: &[&str], sign: char| -> Vec<String> {
            let mut those: Vec<&str> = those.to_vec();
            let mut left = Vec::new();
            for line in these {
                match those.iter().position(|other| other == line) {
                    Some(at) => drop(those.swap_remove(at)),
                    None => left.push(format!("{sign} {}", line.trim())),
                }
            }
            left
        };
        let mut lines = only(&then, &now, '-');
        lines.extend(only(&now, &then, '+'));
        lines.join("\n")
    }
}

pub(super) type Run<T> = Box<dyn FnOnce(&mut World, HostKey) -> Result<T, HostError> + Send>;

impl SimHost {
    pub(super) fn new(cluster: SimCluster, key: HostKey, name: HostName) -> Self {
        Self { cluster, key, name, faults: Faults::default() }
    }

    #[must_use]
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// What goes wrong on this host, and the log of what was done.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    #[must_use]
    pub fn cluster(&self) -> &SimCluster {
        &self.cluster
    }

    /// Another name or address that leads here.
    pub fn add_name(&self, name: &HostName) {
        let mut world = self.cluster.lock();
        if let Some(other) = world.resolve(name) {
            assert_eq!(other, self.key, "{name} already names another host");
            return;
        }
        world.machine_mut(self.key).names.push(name.clone());
    }

    // What a person does.

    /// Plugs a disk in.
    ///
    /// # Panics
    /// If there is one of that name.
    pub fn plug(&self, disk: SimDisk) {
        self.on(|machine| {
            assert!(machine.disk(&disk.path).is_none(), "{} is there already", disk.path);
            if let (Some(map), Some(kernel)) = (&disk.multipath, &mut machine.kernel) {
                kernel.map(map, Mapped::Multipath);
            }
            machine.disks.push(disk);
        });
    }

    /// Plugs blank disks in: `/dev/sdb`, `/dev/sdc` and so on.
    pub fn plug_blank(&self, count: usize, size: ByteSize) {
        let used = self.on(|machine| machine.disks.len());
        for letter in (used..used + count).map(disk_letters) {
            let path = format!("/dev/sd{letter}").parse().expect("a device path");
            self.plug(SimDisk::new(&path, size));
        }
    }

    /// Pulls a disk out, with all that is on it.
    pub fn unplug(&self, path: &DevicePath) -> Option<SimDisk> {
        self.on(|machine| {
            let index = machine.disks.iter().position(|disk| disk.path == *path)?;
            Some(machine.disks.remove(index))
        })
    }

    #[must_use]
    pub fn has_disk(&self, path: &DevicePath) -> bool {
        self.on(|machine| machine.disk(path).is_some())
    }

    /// The kernel finds the disk under another name, as after a reboot with one disk more.
    pub fn rename_disk(&self, from: &DevicePath, to: &DevicePath) {
        self.on_disk(from, |disk| disk.path = to.clone());
    }

    /// From now on the disk answers every access with an error, or no longer does.
    pub fn break_disk(&self, path: &DevicePath, broken: bool) {
        self.on_disk(path, |disk| disk.broken = broken);
    }

    /// Mounts a foreign file system that lies on a disk or partition.
    pub fn mount_foreign(&self, path: &DevicePath, file_system: &str, at: &str) {
        let what = Source::Block { path: path.clone(), file_system: file_system.to_owned() };
        self.on(|machine| machine.kernel_mut().mounts.push(Mounted { what, at: at.into() }));
    }

    pub fn swap_on(&self, path: &DevicePath) {
        self.on(|machine| machine.kernel_mut().swaps.push(path.clone()));
    }

    /// Edits fstab as a person does, whatever the agent thinks of it.
    pub fn edit_fstab(&self, edit: impl FnOnce(&mut String)) {
        self.on(|machine| edit(&mut machine.fstab));
    }

    /// Leaves a device-mapper device over the disk, as an interrupted removal or a forgotten `kpartx` does.
    pub fn leave_stale_mapping(&self, name: &str, disk: &DevicePath, open: bool) {
        let of = Mapped::Stale { disk: disk.clone(), open };
        self.on(|machine| machine.kernel_mut().map(name, of));
    }

    /// Writes a file through GlusterFS, as far as this host's brick is concerned.
    ///
    /// # Panics
    /// If the brick is not mounted.
    pub fn write_data(&self, brick: &BrickPath, name: &str, content: &[u8]) {
        self.on(|machine| {
            let directory = machine.directory_mut(brick.as_path()).expect("the brick is mounted");
            directory.files.insert(name.to_owned(), content.to_vec());
        });
    }

    #[must_use]
    pub fn read_data(&self, brick: &BrickPath, name: &str) -> Option<Vec<u8>> {
        self.on(|machine| machine.directory(brick.as_path())?.files.get(name).cloned())
    }

    /// The group that owns a brick directory. `None` where nothing is mounted.
    #[must_use]
    pub fn brick_gid(&self, brick: &BrickPath) -> Option<u32> {
        self.on(|machine| machine.directory(brick.as_path()).map(|directory| directory.gid))
    }

    /// Whether the brick's file system was made for an arbiter. `None` where nothing is mounted.
    #[must_use]
    pub fn brick_is_arbiter(&self, at: &MountPoint) -> Option<bool> {
        self.on(|machine| machine.file_system_at("stat", at).ok().map(|file_system| file_system.arbiter))
    }

    /// Everything but what is on the disks and the root file system is gone.
    pub fn power_cut(&self) {
        let mut world = self.cluster.lock();
        world.machine_mut(self.key).kernel = None;
        world.gluster.power_cut(self.key);
    }

    /// The kernel boots: no brick is active or mounted, and glusterd does not run yet.
    pub fn power_on(&self) {
        self.on(Machine::power_on);
    }

    /// Mounts what fstab says, as systemd does on a host whose agent never starts: active groups first.
    pub fn boot_by_fstab(&self) {
        self.on(|machine| {
            let groups: Vec<(VgName, Vec<LvName>)> = machine
                .disks
                .iter()
                .filter_map(SimDisk::hosts_group)
                .map(|group| (group.name.clone(), group.volumes.keys().cloned().collect()))
                .collect();
            let mut sources = Vec::new();
            for (group, volumes) in groups {
                for volume in volumes {
                    machine.activate(&group, &volume);
                    sources.push((format!("/dev/mapper/{}", mapping_name(&group, &volume)), group.clone(), volume));
                }
            }
            for line in machine.fstab.clone().lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [source, at, "xfs", ..] = words.as_slice() else { continue };
                let found = sources.iter().find(|(path, ..)| path == source);
                let mountable = machine.mount_points.contains_key(Utf8Path::new(at));
                if let (Some((_, group, volume)), true) = (found, mountable) {
                    let what = Source::Volume { group: group.clone(), volume: volume.clone() };
                    machine.kernel_mut().mounts.push(Mounted { what, at: (*at).into() });
                }
            }
        });
    }

    /// Whether everything that fstab mounts from a volume group is mounted.
    #[must_use]
    pub fn fstab_is_mounted(&self) -> bool {
        self.on(|machine| {
            let ours = machine.fstab.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            ours.filter(|words| words.first().is_some_and(|source| source.starts_with("/dev/mapper/")))
                .all(|words| words.get(1).is_some_and(|at| machine.mounted_at(Utf8Path::new(at)).is_some()))
        })
    }

    pub fn stop_glusterd(&self) {
        self.on(|machine| machine.kernel_mut().glusterd = false);
    }

    /// Starts the bricks of started volumes too, as far as they are mounted by now.
    pub fn start_glusterd(&self) {
        self.cluster.lock().start_glusterd(self.key);
    }

    /// Cuts this host's glusterd off from the others, or joins it again.
    pub fn isolate(&self, isolated: bool) {
        self.on(|machine| machine.isolated = isolated);
    }

    #[must_use]
    pub fn has_power(&self) -> bool {
        self.on(|machine| machine.kernel.is_some())
    }

    /// Whether glusterd runs a process for the brick.
    #[must_use]
    pub fn brick_is_online(&self, brick: &BrickAddress) -> bool {
        self.cluster.lock().gluster.brick_is_online(self.key, brick)
    }

    /// All that there is to see, for comparing before and after.
    ///
    /// # Panics
    /// If the host has no power.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let mut world = self.cluster.lock();
        let names = world.volumes(self.key).unwrap_or_default();
        let volumes: Vec<GlusterVolume> =
            names.iter().filter_map(|name| world.volume(self.key, name).ok().flatten()).collect();
        let blocks = world.blocks_in(&volumes);
        let machine = world.machine_mut(self.key);
        let mut view = machine.view();
        for group in &mut view.groups {
            // It only ever rises.
            group.space.seqno = 0;
        }
        let groups = machine.disks.iter().filter_map(SimDisk::hosts_group);
        let file_systems = groups.flat_map(|group| &group.volumes).filter_map(|(name, volume)| {
            let found = volume.file_system.as_ref()?;
            let text = |content: &Vec<u8>| String::from_utf8_lossy(content).into_owned();
            let files = found.files.iter().map(|(name, content)| (name.clone(), text(content))).collect();
            Some(FileSystemSeen { on: name.clone(), size: found.size, files })
        });
        Footprint {
            view,
            mount_points: machine.mount_points.keys().cloned().collect(),
            volumes,
            blocks,
            file_systems: file_systems.collect(),
        }
    }

    pub(super) fn on<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        act(self.cluster.lock().machine_mut(self.key))
    }

    fn on_disk(&self, path: &DevicePath, act: impl FnOnce(&mut SimDisk)) {
        self.on(|machine| act(machine.disk_mut(path).expect("the disk is plugged in")));
    }

    // What the agent does.

    pub(super) async fn fact<T>(
        &self,
        call: Call,
        target: String,
        read: impl FnOnce(&mut World, HostKey) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError>
    where
        T: Send + 'static,
    {
        self.call(call, target, Box::new(read), None).await
    }

    pub(super) async fn effect<T>(
        &self,
        call: Call,
        target: String,
        run: impl FnOnce(&mut World, HostKey) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError>
    where
        T: Send + 'static,
    {
        self.call(call, target, Box::new(run), None).await
    }

    /// `half` is what has happened when the tool fails in between.
    pub(super) async fn call<T>(
        &self,
        call: Call,
        target: String,
        run: Run<T>,
        half: Option<Run<()>>,
    ) -> Result<T, HostError>
    where
        T: Send + 'static,
    {
        self.until_power().await;
        let begun = self.faults.begin(call, target);
        if !begun.delay.is_zero() {
            tokio::time::sleep(begun.delay).await;
            self.until_power().await;
        }
        let injected = || failed(call.name(), "a fault was injected");
        let still_running = || HostError::StillRunning { what: call.name().to_owned(), seconds: 120 };
        let result = match begun.fault {
            None => self.act(run),
            Some(Fault::Before) => Err(injected()),
            Some(Fault::After) => self.act(run).and_then(|_| Err(injected())),
            Some(Fault::Halfway) => half.map_or(Ok(()), |half| self.act(half)).and_then(|()| Err(injected())),
            Some(Fault::TimesOutUndone) => Err(still_running()),
            Some(Fault::TimesOutDone) => self.act(run).and_then(|_| Err(still_running())),
            Some(Fault::TimesOutThenDone(later)) => {
                let host = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(later).await;
                    host.until_power().await;
                    // Nobody is there any more to be told how it ended.
                    let _ = host.act(run);
                });
                Err(still_running())
            }
            Some(Fault::HangsBefore) => self.faults.hang().await,
            Some(Fault::HangsAfter) => {
                self.act(run)?;
                self.faults.hang().await
            }
            Some(Fault::Holds) => {
                self.faults.hold().await;
                self.until_power().await;
                self.act(run)
            }
        };
        self.faults.end(&begun, result.is_ok());
        result
    }

    fn act<T>(&self, run: Run<T>) -> Result<T, HostError> {
        run(&mut self.cluster.lock(), self.key)
    }

    async fn until_power(&self) {
        if !self.has_power() {
            std::future::pending::<()>().await;
        }
    }

    /// A writing gluster command: a second one on the same volume while it runs is refused, as glusterd refuses it.
    async fn gluster_effect(
        &self,
        call: Call,
        volume: &VolumeName,
        run: impl FnOnce(&mut World, HostKey) -> Result<(), HostError> + Send + 'static,
        half: Option<Run<()>>,
    ) -> Result<(), HostError> {
        if !self.cluster.lock().gluster.lock_volume(volume) {
            let said = format!("Another transaction is in progress for {volume}. Please try again after some time.");
            return Err(failed(call.name(), &said));
        }
        let _unlock = VolumeLock { cluster: self.cluster.clone(), volume: volume.clone() };
        self.call(call, volume.to_string(), Box::new(run), half).await
    }
}

struct VolumeLock {
    cluster: SimCluster,
    volume: VolumeName,
}

impl Drop for VolumeLock {
    fn drop(&mut self) {
        self.cluster.lock().gluster.unlock_volume(&self.volume);
    }
}

/// b, c, ... z, aa, ab: the kernel's letters for a disk's place among the disks.
fn disk_letters(index: usize) -> String {
    let letter = |index: usize| char::from(b'a' + u8::try_from(index % 26).unwrap_or_default());
    match index / 26 {
        0 => letter(index).to_string(),
        rounds => format!("{}{}", disk_letters(rounds - 1), letter(index)),
    }
}

impl World {
    /// Says what was broken, and stops whoever broke it.
    fn violation(&mut self, what: String) -> ! {
        self.violations.push(what.clone());
        panic!("{what}");
    }

    fn refuse_busy(&self, key: HostKey, what: &str, path: &DevicePath, said: &str) -> Result<(), HostError> {
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

    fn wipe_signatures(&mut self, key: HostKey, path: &DevicePath) -> Result<(), HostError> {
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

    fn remove_mapping(&mut self, key: HostKey, name: &str) -> Result<(), HostError> {
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
    fn may_become_physical_volume(&self, key: HostKey, path: &DevicePath) -> Result<(), HostError> {
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

    fn create_group(
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

    fn remove_group(&mut self, key: HostKey, name: &VgName, path: &DevicePath) -> Result<(), HostError> {
        let what = format!("vgremove {name}");
        let group = self.machine_mut(key).find_group(&what, name)?;
        if !group.volumes.is_empty() {
            let count = group.volumes.len();
            return Err(failed(&what, &format!("Volume group \"{name}\" still contains {count} logical volume(s)")));
        }
        if !(ours::is_ours(&group.tags) && ours::is_condemned(&group.tags)) {
            self.violation(format!("volume group {name} was removed, but its tags do not say that it is condemned"));
        }
        let disk = self.machine_mut(key).find_disk(&what, path)?;
        if disk.hosts_group().is_none_or(|on_disk| on_disk.name != *name) {
            return Err(failed(&what, &format!("{path} does not belong to volume group \"{name}\"")));
        }
        disk.content = Content::Blank;
        Ok(())
    }

    fn create_pool(&mut self, key: HostKey, wanted: &BrickVolumes) -> Result<(), HostError> {
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

    fn create_brick_volumes(&mut self, key: HostKey, wanted: &BrickVolumes) -> Result<GroupReport, HostError> {
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
        let report = machine.disks.iter().filter_map(|disk| machine.report(disk));
        report.into_iter().find(|report| report.name == wanted.group).ok_or_else(|| failed("lvs", "the group is gone"))
    }

    fn extend_pool(
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

    fn extend_volume(&mut self, key: HostKey, group: &VgName, name: &LvName, to: ByteSize) -> Result<(), HostError> {
        let found = self.machine_mut(key).find_group(&format!("lvextend {group}/{name}"), group)?;
        let to = to.to_extents(found.extent_size);
        let pool = found.volumes.get(name).and_then(|volume| match &volume.kind {
            Kind::Thin { pool, .. } => found.volumes.get(pool),
            _ => None,
        });
        if pool.is_some_and(|pool| pool.extents() < to) {
            self.violation(format!("{group}/{name} became larger than its pool"));
        }
        found.extend_thin(name, to)
    }

    fn grow_xfs(&mut self, key: HostKey, at: &MountPoint) -> Result<(), HostError> {
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

    fn remove_volume(&mut self, key: HostKey, group: &VgName, name: &LvName) -> Result<(), HostError> {
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

    fn make_xfs(&mut self, key: HostKey, group: &VgName, name: &LvName, arbiter: bool) -> Result<(), HostError> {
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
        if volume.file_system.is_some() {
            let said = format!("/dev/{group}/{name} appears to contain an existing filesystem (xfs).");
            return Err(failed(&what, &said));
        }
        volume.file_system = Some(FileSystem { size, arbiter, ..FileSystem::default() });
        Ok(())
    }

    fn make_mount_point(&mut self, key: HostKey, at: &MountPoint) {
        self.machine_mut(key).mount_points.insert(at.as_path().to_owned(), true);
    }

    fn remove_mount_point(&mut self, key: HostKey, at: &MountPoint) -> Result<(), HostError> {
        let machine = self.machine_mut(key);
        if machine.mounted_at(at.as_path()).is_some() {
            return Err(failed(&format!("rmdir {at}"), "Device or resource busy"));
        }
        machine.mount_points.remove(at.as_path());
        Ok(())
    }

    fn mount(&mut self, key: HostKey, group: &VgName, name: &LvName, at: &MountPoint) -> Result<(), HostError> {
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
        if volume.is_none_or(|volume| volume.file_system.is_none()) {
            return Err(failed(&what, &format!("{at}: wrong fs type, bad option, bad superblock on {source}.")));
        }
        let what = Source::Volume { group: group.clone(), volume: name.clone() };
        machine.kernel_mut().mounts.push(Mounted { what, at: at.as_path().to_owned() });
        Ok(())
    }

    fn unmount(&mut self, key: HostKey, at: &MountPoint) -> Result<(), HostError> {
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

    fn make_brick_directory(&mut self, key: HostKey, path: &BrickPath, gid: u32) -> Result<(), HostError> {
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

    fn clear_brick_marks(&mut self, key: HostKey, path: &BrickPath) -> Result<(), HostError> {
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

#[async_trait]
impl Host for SimHost {
    async fn host_name(&self) -> Result<String, HostError> {
        Ok(self.on(|machine| machine.name().to_string()))
    }

    async fn boot(&self) -> Result<BootId, HostError> {
        self.until_power().await;
        Ok(self.on(|machine| machine.kernel().boot))
    }

    async fn versions(&self) -> Result<Versions, HostError> {
        let installed = self.on(|machine| machine.gluster_installed);
        Ok(Versions {
            agent: env!("CARGO_PKG_VERSION").into(),
            kernel: "6.1.0-simulated".into(),
            lvm: "2.03.16(2) (2022-05-18)".into(),
            xfsprogs: "6.1.0".into(),
            glusterfs: if installed { "10.3".into() } else { String::new() },
        })
    }

    async fn view(&self) -> Result<HostView, HostError> {
        self.fact(Call::View, String::new(), |world, key| Ok(world.machine(key).view())).await
    }

    async fn group(&self, group: &VgName) -> Result<Option<GroupReport>, HostError> {
        let group = group.clone();
        self.fact(Call::Group, group.to_string(), move |world, key| {
            let machine = world.machine(key);
            let mut reports = machine.disks.iter().filter_map(|disk| machine.report(disk));
            Ok(reports.find(|report| report.name == group))
        })
        .await
    }

    async fn signatures(&self, disk: &DevicePath) -> Result<Vec<Signature>, HostError> {
        let path = disk.clone();
        self.fact(Call::Signatures, path.to_string(), move |world, key| {
            let machine = world.machine_mut(key);
            if let Some(part) = machine.partition_mut(&path) {
                let one = |what: &String| Signature { what: what.clone(), offset: 0 };
                return Ok(part.signature.iter().map(one).collect());
            }
            if let Some(volume) = machine.volume_at(&path) {
                let one = |_| Signature { what: "xfs".into(), offset: 0 };
                return Ok(volume.file_system.iter().map(one).collect());
            }
            Ok(machine.find_disk(&format!("wipefs {path}"), &path)?.signatures())
        })
        .await
    }

    async fn mounts(&self) -> Result<Vec<Mount>, HostError> {
        self.fact(Call::Mounts, String::new(), |world, key| Ok(world.machine(key).mounts())).await
    }

    async fn fstab(&self) -> Result<String, HostError> {
        self.fact(Call::Fstab, String::new(), |world, key| Ok(world.machine(key).fstab.clone())).await
    }

    async fn wipe_signatures(&self, disk: &DevicePath) -> Result<(), HostError> {
        let path = disk.clone();
        self.effect(Call::WipeSignatures, path.to_string(), move |world, key| world.wipe_signatures(key, &path)).await
    }

    async fn remove_mapping(&self, name: &str) -> Result<(), HostError> {
        let name = name.to_owned();
        self.effect(Call::RemoveMapping, name.clone(), move |world, key| world.remove_mapping(key, &name)).await
    }

    async fn create_group(
        &self,
        disk: &DevicePath,
        group: &VgName,
        extent_size: ExtentSize,
        tags: &[LvmTag],
    ) -> Result<(), HostError> {
        let (path, name, tags) = (disk.clone(), group.clone(), tags.to_vec());
        let half_path = path.clone();
        let half: Run<()> = Box::new(move |world, key| {
            world.may_become_physical_volume(key, &half_path)?;
            let disk = world.machine_mut(key).find_disk("pvcreate", &half_path)?;
            disk.content = Content::PhysicalVolume { uuid: new_pv_uuid(), group: None };
            Ok(())
        });
        let run: Run<()> = Box::new(move |world, key| world.create_group(key, &path, &name, extent_size, &tags));
        self.call(Call::CreateGroup, format!("{disk} {group}"), run, Some(half)).await
    }

    async fn add_group_tag(&self, group: &VgName, tag: &LvmTag) -> Result<(), HostError> {
        let (group, tag) = (group.clone(), tag.clone());
        self.effect(Call::AddGroupTag, format!("{group} {tag}"), move |world, key| {
            world.machine_mut(key).find_group("vgchange --addtag", &group)?.add_tag(&tag);
            Ok(())
        })
        .await
    }

    async fn remove_group(&self, group: &VgName, disk: &DevicePath) -> Result<(), HostError> {
        let (name, path) = (group.clone(), disk.clone());
        let (half_name, half_path) = (name.clone(), path.clone());
        let half: Run<()> = Box::new(move |world, key| {
            world.remove_group(key, &half_name, &half_path)?;
            let disk = world.machine_mut(key).find_disk("pvremove", &half_path)?;
            disk.content = Content::PhysicalVolume { uuid: new_pv_uuid(), group: None };
            Ok(())
        });
        let run: Run<()> = Box::new(move |world, key| world.remove_group(key, &name, &path));
        self.call(Call::RemoveGroup, format!("{group} {disk}"), run, Some(half)).await
    }

    async fn activate_group(&self, group: &VgName) -> Result<(), HostError> {
        let name = group.clone();
        self.effect(Call::ActivateGroup, name.to_string(), move |world, key| {
            let machine = world.machine_mut(key);
            let group = machine.find_group("vgchange --activate ay", &name)?;
            let volumes: Vec<LvName> = group.volumes.keys().cloned().collect();
            for volume in volumes {
                machine.activate(&name, &volume);
            }
            Ok(())
        })
        .await
    }

    async fn deactivate_group(&self, group: &VgName) -> Result<(), HostError> {
        let name = group.clone();
        self.effect(Call::DeactivateGroup, name.to_string(), move |world, key| {
            let what = format!("vgchange --activate n {name}");
            let machine = world.machine_mut(key);
            let group = machine.find_group(&what, &name)?;
            let volumes: Vec<LvName> = group.volumes.keys().cloned().collect();
            if let Some(open) = volumes.iter().find(|volume| machine.is_open(&name, volume)) {
                return Err(failed(&what, &format!("Logical volume {name}/{open} contains a filesystem in use.")));
            }
            for volume in &volumes {
                machine.deactivate(&name, volume);
            }
            Ok(())
        })
        .await
    }

    async fn create_brick_volumes(&self, wanted: &BrickVolumes) -> Result<GroupReport, HostError> {
        let (whole, pool_alone) = (wanted.clone(), wanted.clone());
        let half: Run<()> = Box::new(move |world, key| world.create_pool(key, &pool_alone));
        let run: Run<GroupReport> = Box::new(move |world, key| world.create_brick_volumes(key, &whole));
        self.call(Call::CreateBrickVolumes, format!("{}/{}", wanted.group, wanted.volume), run, Some(half)).await
    }

    async fn add_volume_tag(&self, group: &VgName, volume: &LvName, tag: &LvmTag) -> Result<(), HostError> {
        let (group, volume, tag) = (group.clone(), volume.clone(), tag.clone());
        self.effect(Call::AddVolumeTag, format!("{group}/{volume} {tag}"), move |world, key| {
            world.machine_mut(key).find_group("lvchange", &group)?.replace_volume_tags(&volume, &[], &[tag])
        })
        .await
    }

    async fn replace_volume_tags(
        &self,
        group: &VgName,
        volume: &LvName,
        gone: &[LvmTag],
        new: &[LvmTag],
    ) -> Result<(), HostError> {
        let (group, volume, gone, new) = (group.clone(), volume.clone(), gone.to_vec(), new.to_vec());
        self.effect(Call::ReplaceVolumeTags, format!("{group}/{volume}"), move |world, key| {
            world.machine_mut(key).find_group("lvchange", &group)?.replace_volume_tags(&volume, &gone, &new)
        })
        .await
    }

    async fn extend_pool(
        &self,
        group: &VgName,
        pool: &LvName,
        data: Option<ByteSize>,
        metadata: Option<ByteSize>,
    ) -> Result<(), HostError> {
        let target = format!("{group}/{pool}");
        let (group, pool) = (group.clone(), pool.clone());
        let (half_group, half_pool) = (group.clone(), pool.clone());
        let half: Run<()> = Box::new(move |world, key| match metadata {
            Some(_) => world.extend_pool(key, &half_group, &half_pool, None, metadata),
            None => Ok(()),
        });
        let run: Run<()> = Box::new(move |world, key| world.extend_pool(key, &group, &pool, data, metadata));
        self.call(Call::ExtendPool, target, run, Some(half)).await
    }

    async fn extend_volume(&self, group: &VgName, volume: &LvName, to: ByteSize) -> Result<(), HostError> {
        let (group, volume) = (group.clone(), volume.clone());
        self.effect(Call::ExtendVolume, format!("{group}/{volume} {to}"), move |world, key| {
            world.extend_volume(key, &group, &volume, to)
        })
        .await
    }

    async fn grow_xfs(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::GrowXfs, at.to_string(), move |world, key| world.grow_xfs(key, &at)).await
    }

    async fn remove_volume(&self, group: &VgName, volume: &LvName) -> Result<(), HostError> {
        let (group, volume) = (group.clone(), volume.clone());
        self.effect(Call::RemoveVolume, format!("{group}/{volume}"), move |world, key| {
            world.remove_volume(key, &group, &volume)
        })
        .await
    }

    async fn make_xfs(&self, group: &VgName, volume: &LvName, arbiter: bool) -> Result<(), HostError> {
        let (group, volume) = (group.clone(), volume.clone());
        self.effect(Call::MakeXfs, format!("{group}/{volume}"), move |world, key| {
            world.make_xfs(key, &group, &volume, arbiter)
        })
        .await
    }

    async fn make_mount_point(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::MakeMountPoint, at.to_string(), move |world, key| {
            world.make_mount_point(key, &at);
            Ok(())
        })
        .await
    }

    async fn remove_mount_point(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::RemoveMountPoint, at.to_string(), move |world, key| world.remove_mount_point(key, &at)).await
    }

    async fn mount(&self, group: &VgName, volume: &LvName, at: &MountPoint) -> Result<(), HostError> {
        let (group, volume, at) = (group.clone(), volume.clone(), at.clone());
        self.effect(Call::Mount, at.to_string(), move |world, key| world.mount(key, &group, &volume, &at)).await
    }

    async fn unmount(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::Unmount, at.to_string(), move |world, key| world.unmount(key, &at)).await
    }

    async fn replace_fstab(&self, old: &str, new: &str) -> Result<bool, HostError> {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.effect(Call::ReplaceFstab, "/etc/fstab".into(), move |world, key| {
            let machine = world.machine_mut(key);
            let unchanged = machine.fstab == old;
            if unchanged {
                machine.fstab = new;
            }
            Ok(unchanged)
        })
        .await
    }

    async fn write_record(&self, at: &MountPoint, name: &str, content: &[u8]) -> Result<(), HostError> {
        let (at, name, content) = (at.clone(), name.to_owned(), content.to_vec());
        self.effect(Call::WriteRecord, format!("{at}/{name}"), move |world, key| {
            let file_system = world.machine_mut(key).file_system_at(&format!("write {at}/{name}"), &at)?;
            file_system.files.insert(name, content);
            Ok(())
        })
        .await
    }

    /// What a simulated host writes is on its disk at once.
    async fn sync_file_system(&self, at: &Utf8Path) -> Result<(), HostError> {
        let at = at.to_owned();
        self.effect(Call::SyncFileSystem, at.to_string(), move |world, key| {
            match world.machine_mut(key).mounted_at(&at) {
                Some(_) => Ok(()),
                None => {
                    Err(HostError::Failed { what: format!("sync {at}"), said: "nothing is mounted there".to_owned() })
                }
            }
        })
        .await
    }

    async fn read_record(&self, at: &MountPoint, name: &str) -> Result<Option<Vec<u8>>, HostError> {
        let (at, name) = (at.clone(), name.to_owned());
        self.fact(Call::ReadRecord, format!("{at}/{name}"), move |world, key| {
            let machine = world.machine_mut(key);
            if machine.mounted_at(at.as_path()).is_none() {
                // The bare folder is readable, and empty.
                return Ok(None);
            }
            Ok(machine.file_system_at(&format!("read {at}/{name}"), &at)?.files.get(&name).cloned())
        })
        .await
    }

    async fn make_brick_directory(&self, path: &BrickPath, gid: u32) -> Result<(), HostError> {
        let path = path.clone();
        self.effect(Call::MakeBrickDirectory, path.to_string(), move |world, key| {
            world.make_brick_directory(key, &path, gid)
        })
        .await
    }

    async fn gluster_is_running(&self) -> Result<bool, HostError> {
        self.until_power().await;
        Ok(self.cluster.lock().gluster_runs(self.key))
    }

    async fn gluster_pool(&self) -> Result<(String, Vec<PeerSeen>), HostError> {
        self.fact(Call::GlusterPool, String::new(), |world, key| world.gluster_pool(key)).await
    }

    async fn gluster_peer_probe(&self, host: &HostName) -> Result<(), HostError> {
        let host = host.clone();
        self.effect(Call::PeerProbe, host.to_string(), move |world, key| world.peer_probe(key, &host)).await
    }

    async fn gluster_peer_detach(&self, host: &HostName, lost: bool) -> Result<(), HostError> {
        let host = host.clone();
        self.effect(Call::PeerDetach, host.to_string(), move |world, key| world.peer_detach(key, &host, lost)).await
    }

    async fn gluster_volume(&self, name: &VolumeName) -> Result<Option<GlusterVolume>, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterVolume, name.to_string(), move |world, key| world.volume(key, &name)).await
    }

    async fn gluster_volumes(&self) -> Result<Vec<VolumeName>, HostError> {
        self.fact(Call::GlusterVolumes, String::new(), |world, key| world.volumes(key)).await
    }

    async fn gluster_volume_create(
        &self,
        name: &VolumeName,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<(), HostError> {
        let (volume, bricks) = (name.clone(), bricks.to_vec());
        let (half_volume, half_bricks) = (volume.clone(), bricks.clone());
        let half: Run<()> =
            Box::new(move |world, key| world.volume_create_halfway(key, &half_volume, layout, &half_bricks));
        let run = move |world: &mut World, key: HostKey| world.volume_create(key, &volume, layout, &bricks);
        self.gluster_effect(Call::VolumeCreate, name, run, Some(half)).await
    }

    async fn gluster_volume_set(
        &self,
        name: &VolumeName,
        options: &[(OptionKey, OptionValue)],
    ) -> Result<(), HostError> {
        let (volume, options) = (name.clone(), options.to_vec());
        let run = move |world: &mut World, key: HostKey| world.volume_set(key, &volume, &options);
        self.gluster_effect(Call::VolumeSet, name, run, None).await
    }

    async fn gluster_volume_reset(&self, name: &VolumeName, option: &OptionKey) -> Result<(), HostError> {
        let (volume, option) = (name.clone(), option.clone());
        let run = move |world: &mut World, key: HostKey| world.volume_reset(key, &volume, &option);
        self.gluster_effect(Call::VolumeReset, name, run, None).await
    }

    async fn gluster_volume_start(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.volume_start(key, &volume);
        self.gluster_effect(Call::VolumeStart, name, run, None).await
    }

    async fn gluster_volume_stop(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.volume_stop(key, &volume);
        self.gluster_effect(Call::VolumeStop, name, run, None).await
    }

    async fn gluster_volume_delete(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.volume_delete(key, &volume);
        self.gluster_effect(Call::VolumeDelete, name, run, None).await
    }

    async fn gluster_volume_status(&self, name: &VolumeName) -> Result<Vec<BrickStatus>, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterVolumeStatus, name.to_string(), move |world, key| world.volume_status(key, &name)).await
    }

    async fn gluster_add_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        let (volume, bricks) = (name.clone(), bricks.to_vec());
        let (half_volume, half_bricks) = (volume.clone(), bricks.clone());
        let half: Run<()> = Box::new(move |world, key| world.add_bricks(key, &half_volume, &half_bricks, false));
        let run = move |world: &mut World, key: HostKey| world.add_bricks(key, &volume, &bricks, true);
        self.gluster_effect(Call::AddBricks, name, run, Some(half)).await
    }

    async fn gluster_replace_brick(
        &self,
        name: &VolumeName,
        old: &BrickAddress,
        new: &BrickAddress,
    ) -> Result<(), HostError> {
        let (volume, old, new) = (name.clone(), old.clone(), new.clone());
        let run = move |world: &mut World, key: HostKey| world.replace_brick(key, &volume, &old, &new);
        self.gluster_effect(Call::ReplaceBrick, name, run, None).await
    }

    async fn gluster_heal(&self, name: &VolumeName) -> Result<HealReport, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterHeal, name.to_string(), move |world, key| world.heal(key, &name)).await
    }

    async fn gluster_rebalance_start(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.rebalance_start(key, &volume);
        self.gluster_effect(Call::RebalanceStart, name, run, None).await
    }

    async fn gluster_rebalance(&self, name: &VolumeName) -> Result<RebalanceReport, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterRebalance, name.to_string(), move |world, key| world.rebalance(key, &name)).await
    }

    async fn gluster_drain(&self, name: &VolumeName, brick: &BrickAddress, what: Drain) -> Result<(), HostError> {
        let (volume, brick) = (name.clone(), brick.clone());
        let run = move |world: &mut World, key: HostKey| world.drain(key, &volume, &brick, what);
        self.gluster_effect(Call::Drain, name, run, None).await
    }

    async fn gluster_drain_status(
        &self,
        name: &VolumeName,
        brick: &BrickAddress,
    ) -> Result<RebalanceReport, HostError> {
        let (name, brick) = (name.clone(), brick.clone());
        self.fact(Call::GlusterDrainStatus, format!("{name} {brick}"), move |world, key| {
            world.drain_status(key, &name, &brick)
        })
        .await
    }

    async fn gluster_snapshot(&self, name: &SnapshotName) -> Result<Option<GlusterSnapshot>, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterSnapshot, name.to_string(), move |world, key| world.snapshot(key, &name)).await
    }

    async fn gluster_snapshot_create(&self, name: &SnapshotName, of: &VolumeName) -> Result<(), HostError> {
        let (snapshot, volume) = (name.clone(), of.clone());
        let run = move |world: &mut World, key: HostKey| world.snapshot_create(key, &snapshot, &volume);
        self.gluster_effect(Call::SnapshotCreate, of, run, None).await
    }

    async fn gluster_snapshot_activate(&self, name: &SnapshotName, active: bool) -> Result<(), HostError> {
        let name = name.clone();
        self.effect(Call::SnapshotActivate, format!("{name} {active}"), move |world, key| {
            world.snapshot_activate(key, &name, active)
        })
        .await
    }

    async fn gluster_snapshot_clone(&self, name: &SnapshotName, clone: &VolumeName) -> Result<(), HostError> {
        let (name, volume) = (name.clone(), clone.clone());
        let run = move |world: &mut World, key: HostKey| world.snapshot_clone(key, &name, &volume);
        self.gluster_effect(Call::SnapshotClone, clone, run, None).await
    }

    async fn gluster_snapshot_delete(&self, name: &SnapshotName) -> Result<(), HostError> {
        let name = name.clone();
        self.effect(Call::SnapshotDelete, name.to_string(), move |world, key| world.snapshot_delete(key, &name)).await
    }

    async fn clear_brick_marks(&self, path: &BrickPath) -> Result<(), HostError> {
        let path = path.clone();
        self.effect(Call::ClearBrickMarks, path.to_string(), move |world, key| world.clear_brick_marks(key, &path))
            .await
    }

    fn mount_root(&self) -> MountPoint {
        MOUNT_ROOT.parse().expect("a mount point")
    }
}
