//! One simulated host: the agent's seam on one side, a person's hands on the other (plug, mount, cut the power).
//!
//! An effect happens whole, at one moment, after its delay; which is why a call that is dropped while it waits has done
//! nothing. While the host has no power every call waits for good, as the program that made it is dead.

mod effects;
mod seam;

use std::collections::BTreeMap;

use bricklayer_agent::host::{GlusterVolume, HostError, HostView};
use bricklayer_proto::names::{
    BlockName, BrickPath, DevicePath, HostName, LvName, LvmTag, MountPoint, PvUuid, VgName, VolumeName,
};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::BrickAddress;
use camino::{Utf8Path, Utf8PathBuf};

use super::disk::{SimDisk, failed};
use super::faults::{Call, Fault, Faults};
use super::machine::{Machine, Mapped, Mounted, Source, mapping_name};
use super::{HostKey, SimCluster, World};

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
        world.names.insert(name.clone(), self.key);
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
    /// Makes a linear volume in the group on the disk: `lvcreate`, with tags.
    ///
    /// # Panics
    /// If there is no such group, or no room in it.
    pub fn create_volume_by_hand(&self, disk: &DevicePath, name: LvName, size: ByteSize, tags: &[LvmTag]) {
        self.on_disk(disk, |disk| {
            let group = disk.hosts_group_mut().expect("a group is on the disk");
            group.create_linear(name.clone(), size, tags);
        });
    }

    pub fn mount_foreign(&self, path: &DevicePath, file_system: &str, at: &str) {
        let what = Source::Block { path: path.clone(), file_system: file_system.to_owned() };
        self.on(|machine| machine.kernel_mut().mounts.push(Mounted { what, at: at.into() }));
    }

    pub fn swap_on(&self, path: &DevicePath) {
        self.on(|machine| machine.kernel_mut().swaps.push(path.clone()));
    }

    /// So much is left on the host's own disk, that of the root file system.
    pub fn leave_on_own_disk(&self, free: ByteSize) {
        self.on(|machine| machine.own_free = free);
    }

    /// LVM says this of a thin pool; nothing where it is well again.
    pub fn say_of_pool(&self, pool: &LvName, fault: Option<&str>) {
        self.on(|machine| match fault {
            Some(fault) => drop(machine.pool_faults.insert(pool.clone(), fault.to_owned())),
            None => drop(machine.pool_faults.remove(pool)),
        });
    }

    pub fn install_thin_check(&self, installed: bool) {
        self.on(|machine| machine.has_thin_check = installed);
    }

    /// Nobody can change fstab, as where /etc is mounted read-only.
    pub fn fix_fstab(&self, fixed: bool) {
        self.on(|machine| machine.fstab_is_fixed = fixed);
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

    /// As half a minute later: all that was written is on the disks.
    pub fn sync(&self) {
        self.on(Machine::sync);
    }

    /// Everything but what is on the disks and the root file system is gone.
    pub fn power_cut(&self) {
        let mut world = self.cluster.lock();
        let machine = world.machine_mut(self.key);
        machine.kernel = None;
        machine.lose_what_is_unsynced();
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

    /// As glusterd 10.3 did after a power cut: at its next start it starts no brick.
    pub fn leave_bricks_out(&self) {
        self.on(|machine| machine.leaves_bricks_out = true);
    }

    pub fn stop_glusterd(&self) {
        self.on(|machine| machine.kernel_mut().glusterd = false);
    }

    /// Starts the bricks of started volumes too, as far as they are mounted by now.
    pub fn start_glusterd(&self) {
        self.cluster.lock().start_glusterd(self.key);
    }

    /// Cuts this host's glusterd off from the others, or joins it again: then it hears what it missed, as when it starts.
    pub fn isolate(&self, isolated: bool) {
        self.on(|machine| machine.isolated = isolated);
        let mut world = self.cluster.lock();
        if !isolated && world.gluster_runs(self.key) {
            world.start_glusterd(self.key);
        }
    }

    #[must_use]
    pub fn has_power(&self) -> bool {
        self.on(|machine| machine.kernel.is_some())
    }

    /// Whether glusterd runs a process for the brick.
    #[must_use]
    pub fn serves_brick(&self, path: &BrickPath) -> bool {
        self.cluster.lock().gluster.serves(self.key, path)
    }

    /// The same of its full address.
    #[must_use]
    pub fn brick_is_online(&self, brick: &BrickAddress) -> bool {
        self.cluster.lock().gluster.brick_is_online(self.key, brick)
    }

    /// Something is written into the brick at this path, from a byte of its volume on.
    pub fn write_to_brick(&self, path: &str, from: ByteSize, length: ByteSize) -> Result<(), HostError> {
        self.on(|machine| {
            let at = path.trim_end_matches("/brick");
            let mounted = machine.mounted_at(Utf8Path::new(at)).map(|mount| mount.what.clone());
            let Some(Source::Volume { group, volume }) = mounted else {
                return Err(failed(&format!("writing to {path}"), "nothing is mounted there"));
            };
            machine.find_group("writing", &group)?.write(&volume, from, length)
        })
    }

    /// The metadata of this pool has so much more in use, as with many small writes between snapshots.
    ///
    /// # Panics
    /// If there is no such pool.
    pub fn use_pool_metadata(&self, group: &VgName, pool: &LvName, bytes: u64) {
        self.on(|machine| {
            let group = machine.find_group("a test", group).expect("a group");
            group.volumes.get_mut(pool).expect("a pool").more_metadata = bytes;
        });
    }

    /// `gluster snapshot create`, typed by a person on this host.
    ///
    /// # Panics
    /// If glusterd refuses it.
    pub fn snapshot_by_hand(&self, name: &str, of: &VolumeName) {
        let name = name.parse().expect("a name");
        self.cluster.lock().snapshot_create(self.key, &name, of).expect("glusterd makes it");
    }

    /// `gluster snapshot delete`, typed by a person on this host.
    ///
    /// # Panics
    /// If glusterd refuses it.
    pub fn delete_snapshot_by_hand(&self, name: &str) {
        let name = name.parse().expect("a name");
        self.cluster.lock().snapshot_delete(self.key, &name).expect("glusterd deletes it");
    }

    /// Whether GlusterFS runs the volume, as a person asks it on this host; `None` where it has none of that name.
    #[must_use]
    pub fn volume_is_started(&self, name: &VolumeName) -> Option<bool> {
        let mut world = self.cluster.lock();
        world.find_volume(self.key, "gluster volume info", name).ok().map(|volume| volume.started)
    }

    /// `gluster volume start`, typed by a person on this host.
    ///
    /// # Panics
    /// If glusterd refuses it.
    pub fn start_volume_by_hand(&self, name: &VolumeName) {
        self.cluster.lock().volume_start(self.key, name).expect("glusterd starts it");
    }

    /// `gluster volume stop`, typed by a person on this host.
    ///
    /// # Panics
    /// If glusterd refuses it.
    pub fn stop_volume_by_hand(&self, name: &VolumeName) {
        self.cluster.lock().volume_stop(self.key, name).expect("glusterd stops it");
    }

    /// The process of a brick dies.
    pub fn stop_brick_by_hand(&self, brick: &BrickAddress) {
        self.cluster.lock().gluster.stop_brick(self.key, brick);
    }

    /// `umount`, typed by a person on this host.
    pub fn unmount_by_hand(&self, at: &str) {
        self.on(|machine| machine.kernel_mut().mounts.retain(|mount| mount.at != at));
    }

    /// A volume of another name in the place of one of ours, and without its options.
    ///
    /// # Panics
    /// If there is no such volume.
    pub fn rename_volume_by_hand(&self, name: &VolumeName, to: &VolumeName) {
        let mut world = self.cluster.lock();
        let pool = world.gluster.pool_mut(self.key);
        let mut volume = pool.volumes.remove(name).expect("a volume");
        volume.options.clear();
        pool.volumes.insert(to.clone(), volume);
    }

    /// `gluster volume set`, typed by a person on this host.
    ///
    /// # Panics
    /// If glusterd refuses it.
    pub fn set_option_by_hand(&self, name: &VolumeName, key: &str, value: &str) {
        let option = (key.parse().expect("an option"), value.parse().expect("a value"));
        self.cluster.lock().volume_set(self.key, name, &[option]).expect("glusterd sets it");
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
            // The agent has no limit for these: they are slow, and that is all.
            Some(Fault::TimesOutThenDone(later)) if call.is_a_system_call() => {
                tokio::time::sleep(later).await;
                self.until_power().await;
                self.act(run)
            }
            Some(Fault::TimesOutThenDone(later)) => {
                let (host, locks) = (self.clone(), bricklayer_agent::lock::held());
                tokio::spawn(async move {
                    // As the real tools' runner holds what the command works on until the command has ended.
                    let _until_it_ends = locks;
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
