//! The seam between the agent and the host it runs on: facts to read and small effects to bring about.
//!
//! Two implementations: [`crate::tools::RealHost`], which starts the host's own programs, and the tests' `SimHost`,
//! which models them with LVM's exact arithmetic. The engine above decides; nothing here does. Every effect says what
//! state it leaves, so that the engine can look first and skip it: none is idempotent by itself unless it says so.

mod block;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::ids::BootId;
use bricklayer_proto::inventory::{GroupSpace, LogicalVolume, PeerSeen, PhysicalVolume, Versions};
use bricklayer_proto::names::{
    BrickPath, DevicePath, HostName, LvName, LvmTag, MountPoint, NotAName, OptionKey, OptionValue, PvUuid,
    SnapshotName, VgName, VolumeName,
};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{BrickAddress, HealReport, Layout, RebalanceReport};
use camino::{Utf8Path, Utf8PathBuf};

pub use block::{BlockInfo, BlockTool, NewBlock, PrintedSize};

/// Why a tool's answer cannot be used. See [`crate::tools`] for how the real ones come about.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The program is not on this host.
    #[error("{program} is not installed on this host")]
    Missing { program: String },
    /// A service that the program needs does not answer.
    #[error("{service} does not run on this host")]
    NotRunning { service: String },
    /// The program ran and refused; `said` is its own first line of error.
    #[error("{what} failed: {said}")]
    Failed { what: String, said: String },
    /// The volume group has fewer free extents than were asked for. Nothing was changed.
    #[error("volume group {group} has not enough free extents: {said}")]
    NoSpace { group: VgName, said: String },
    /// glusterd refuses it while a member of its pool is away. Nothing was changed.
    #[error("{what} failed: {said}")]
    PeersDown { what: String, said: String },
    /// It did not end in time and may still succeed. Whoever sees this looks at the state again.
    #[error("{what} has not ended after {seconds} s; whether it will succeed is unknown")]
    StillRunning { what: String, seconds: u64 },
    /// The answer of a program (or a file) does not have the shape that we know.
    #[error("{what} could not be understood: {why}")]
    Unreadable { what: String, why: String },
    #[error("{what} failed")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
}

/// Everything on this host that matters to disks and bricks, read in one go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostView {
    pub block_devices: Vec<BlockDevice>,
    pub groups: Vec<GroupReport>,
    /// Physical volumes that are in no group.
    pub loose_physical_volumes: Vec<PhysicalVolume>,
    pub mounts: Vec<Mount>,
    /// Sources of active swap.
    pub swaps: Vec<Utf8PathBuf>,
    /// The whole text of fstab, foreign lines included.
    pub fstab: String,
}

/// One block device as the kernel and udev know it: a disk, a partition, or a device-mapper device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// The kernel's node, such as `/dev/sdb` or `/dev/dm-3`.
    pub path: DevicePath,
    /// Major and minor, which no link or rename can disguise.
    pub device_number: (u32, u32),
    /// udev's links, among them `/dev/disk/by-id/...` and `/dev/mapper/...`.
    pub links: Vec<DevicePath>,
    pub kind: BlockKind,
    pub size: ByteSize,
    pub read_only: bool,
    pub rotational: bool,
    pub serial: Option<String>,
    pub wwn: Option<String>,
    pub model: Option<String>,
    /// `dos`, `gpt`; the table itself lies on this device.
    pub partition_table: Option<String>,
    /// What udev or blkid found on it: `xfs`, `LVM2_member`, `linux_raid_member`...
    pub signature: Option<String>,
    /// The devices on which this one lies: a partition's disk, a mapping's disks.
    pub parents: Vec<DevicePath>,
    /// The device-mapper name, where it is one.
    pub mapping: Option<String>,
    /// Open by a program or mount, as the kernel counts for device-mapper devices.
    pub open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Disk,
    Partition,
    /// A logical volume of LVM.
    Lvm,
    Multipath,
    /// Any other device-mapper device.
    Mapping,
    Raid,
    /// Loop, cdrom, zram and whatever else is never given to us.
    Other,
}

/// A signature and where it stands, as `wipefs` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub what: String,
    pub offset: u64,
}

/// One volume group as LVM reports it, tags still as words.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupReport {
    pub name: VgName,
    pub uuid: String,
    pub space: GroupSpace,
    pub tags: Vec<LvmTag>,
    pub physical_volumes: Vec<PhysicalVolume>,
    pub volumes: Vec<LogicalVolume>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// As the kernel names it: usually `/dev/mapper/...`.
    pub source: String,
    /// The source's device number, which no link or rename can disguise.
    pub device_number: (u32, u32),
    pub at: Utf8PathBuf,
    pub file_system: String,
}

/// One volume in glusterd's own files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVolume {
    pub name: String,
    /// The text of `info`.
    pub info: String,
    /// The bricks' files by their names, with their texts.
    pub bricks: BTreeMap<String, String>,
}

/// What makes the one logical volume of a thick brick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearVolume {
    pub group: VgName,
    pub volume: LvName,
    pub size: Extents,
    pub tags: Vec<LvmTag>,
}

/// What makes a thin brick's two logical volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrickVolumes {
    pub group: VgName,
    pub pool: LvName,
    pub volume: LvName,
    pub space: BrickSpace,
    pub extent_size: ExtentSize,
    pub pool_tags: Vec<LvmTag>,
    pub volume_tags: Vec<LvmTag>,
}

/// What glusterd knows of one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlusterVolume {
    pub name: VolumeName,
    /// glusterd's own id, with dashes as it prints it.
    pub uuid: String,
    pub started: bool,
    /// `None` for kinds that we do not make.
    pub layout: Option<Layout>,
    /// In glusterd's order.
    pub bricks: Vec<BrickAddress>,
    pub options: Vec<(String, String)>,
}

/// Whether a brick's process runs, as `volume status` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrickStatus {
    pub brick: BrickAddress,
    pub online: bool,
}

/// A snapshot that glusterd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlusterSnapshot {
    /// Its bricks are mounted and served, which cloning it needs.
    pub active: bool,
}

/// What is asked of `remove-brick`. There is no force among it: forced, it loses data, so only a volume that goes anyhow
/// drops bricks like that ([`Host::gluster_drop_bricks`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    Start,
    Stop,
    Commit,
}

/// The start of the host's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBoot {
    pub id: BootId,
    /// How long ago it was.
    pub up: Duration,
}

/// The host below the engine.
#[async_trait]
pub trait Host: BlockTool + Send + Sync + 'static {
    // Facts. None of them changes anything.

    async fn host_name(&self) -> Result<String, HostError>;
    async fn boot(&self) -> Result<HostBoot, HostError>;
    /// A missing program is an empty version, not an error.
    async fn versions(&self) -> Result<Versions, HostError>;
    async fn view(&self) -> Result<HostView, HostError>;
    /// The fullest of the disks that this agent itself writes to: a folder on it, and its free bytes.
    async fn own_disk(&self) -> Result<(Utf8PathBuf, ByteSize), HostError>;
    /// One group alone: one process, where [`Host::view`] needs several. `None` where there is no such group.
    async fn group(&self, group: &VgName) -> Result<Option<GroupReport>, HostError>;
    async fn signatures(&self, disk: &DevicePath) -> Result<Vec<Signature>, HostError>;
    async fn mounts(&self) -> Result<Vec<Mount>, HostError>;
    /// Reads a little from the disk itself, past every cache. Of a disk that is dying the answer may take minutes, or never
    /// come; nothing else of this host waits for it.
    async fn probe_disk(&self, disk: &DevicePath) -> Result<(), HostError>;
    /// The same of a brick's file system, by way of its pool: reads the file in its root, or the root where that is not there.
    async fn probe_file_system(&self, at: &MountPoint, file: &str) -> Result<(), HostError>;
    async fn fstab(&self) -> Result<String, HostError>;
    /// [`HostError::Missing`] where LVM has no program to check thin pools with: it would go on unchecked.
    async fn thin_tools(&self) -> Result<(), HostError>;
    /// Whether [`Host::replace_fstab`] would be refused for what the file, or its folder, is.
    async fn fstab_can_be_replaced(&self) -> Result<(), HostError>;

    // Disks and groups.

    /// Removes every signature from the disk and tells the kernel. The disk must not be in use.
    async fn wipe_signatures(&self, disk: &DevicePath) -> Result<(), HostError>;
    /// Removes a device-mapper device that nobody has open.
    async fn remove_mapping(&self, name: &str) -> Result<(), HostError>;
    /// Makes the disk a physical volume and a group of its own. Refuses a disk that carries a signature.
    async fn create_group(
        &self,
        disk: &DevicePath,
        group: &VgName,
        extent_size: ExtentSize,
        tags: &[LvmTag],
    ) -> Result<(), HostError>;
    async fn add_group_tag(&self, group: &VgName, tag: &LvmTag) -> Result<(), HostError>;
    /// Takes tags off a group and puts others on, in one commit of the metadata.
    async fn replace_group_tags(&self, group: &VgName, gone: &[LvmTag], new: &[LvmTag]) -> Result<(), HostError>;
    /// Removes the group, which must hold no volumes. Its disk is a physical volume in no group then.
    async fn remove_group(&self, group: &VgName) -> Result<(), HostError>;
    /// Refuses a disk whose physical volume is in a group.
    async fn remove_physical_volume(&self, disk: &DevicePath) -> Result<(), HostError>;
    /// Makes the device nodes of the group's volumes appear; nothing happens where they are there.
    async fn activate_group(&self, group: &VgName) -> Result<(), HostError>;
    /// Takes the device nodes of the group's volumes away; fails where one of them is open.
    async fn deactivate_group(&self, group: &VgName) -> Result<(), HostError>;

    // Bricks.

    /// Makes the pool and then the thin volume, each with its tags in the same metadata commit. After a failure in
    /// between the pool is there alone, and a repeat makes the rest. Answers the group as it is then.
    async fn create_brick_volumes(&self, wanted: &BrickVolumes) -> Result<GroupReport, HostError>;
    /// Makes a linear volume with its tags, and then wipes what earlier volumes left at its beginning. After a failure in
    /// between it is there with that still on it. Answers the group as it is then.
    async fn create_linear_volume(&self, wanted: &LinearVolume) -> Result<GroupReport, HostError>;
    /// Extends a thin pool: its metadata, its data, or first the one and then the other. Fails where the data is as
    /// large already. The group's spare of metadata grows along. Check the group's free extents before: LVM extends the
    /// metadata also where there is no room for the data.
    async fn extend_pool(
        &self,
        group: &VgName,
        pool: &LvName,
        data: Option<ByteSize>,
        metadata: Option<ByteSize>,
    ) -> Result<(), HostError>;
    /// Extends a thin volume, which takes nothing from the group, or a linear one, which does. Fails where it is as large
    /// already.
    async fn extend_volume(&self, group: &VgName, volume: &LvName, to: ByteSize) -> Result<(), HostError>;
    /// Has the mounted XFS take all of its volume. Idempotent.
    async fn grow_xfs(&self, at: &MountPoint) -> Result<(), HostError>;
    async fn add_volume_tag(&self, group: &VgName, volume: &LvName, tag: &LvmTag) -> Result<(), HostError>;
    /// Takes tags off a volume and puts others on, in one commit of the metadata.
    async fn replace_volume_tags(
        &self,
        group: &VgName,
        volume: &LvName,
        gone: &[LvmTag],
        new: &[LvmTag],
    ) -> Result<(), HostError>;
    /// The same for several, in one process where the tools can.
    async fn add_volume_tags(&self, group: &VgName, volumes: &[LvName], tag: &LvmTag) -> Result<(), HostError> {
        for volume in volumes {
            self.add_volume_tag(group, volume, tag).await?;
        }
        Ok(())
    }
    /// Removes a logical volume that nothing has open. For a pool: only an empty one.
    async fn remove_volume(&self, group: &VgName, volume: &LvName) -> Result<(), HostError>;
    /// The same for several in this order, in one process where the tools can. Only a report tells what is left.
    async fn remove_volumes(&self, group: &VgName, volumes: &[LvName]) -> Result<(), HostError> {
        for volume in volumes {
            self.remove_volume(group, volume).await?;
        }
        Ok(())
    }
    /// Never overwrites a file system: a volume that carries one is refused.
    async fn make_xfs(&self, group: &VgName, volume: &LvName, arbiter: bool) -> Result<(), HostError>;
    /// The same, over whatever earlier volumes left there. Only for [`crate::plan::doomed::BlankVolume`].
    async fn make_xfs_over(&self, group: &VgName, volume: &LvName, arbiter: bool) -> Result<(), HostError>;
    /// Makes the empty folder, immutable, so that nothing can be written below it while nothing is mounted. Idempotent.
    async fn make_mount_point(&self, at: &MountPoint) -> Result<(), HostError>;
    /// Removes the empty folder, and the group's folder above it if that is empty too. Idempotent.
    async fn remove_mount_point(&self, at: &MountPoint) -> Result<(), HostError>;
    async fn mount(&self, group: &VgName, volume: &LvName, at: &MountPoint) -> Result<(), HostError>;
    async fn unmount(&self, at: &MountPoint) -> Result<(), HostError>;
    /// Unmounts what others mounted, at a place of any name.
    async fn unmount_foreign(&self, at: &Utf8Path) -> Result<(), HostError> {
        let at = at.as_str().parse().map_err(|error: NotAName| HostError::Failed {
            what: format!("unmounting {at}"),
            said: error.to_string(),
        })?;
        self.unmount(&at).await
    }
    /// Replaces fstab by `new` in one step, if it still reads `old`; `false` where somebody else has changed it.
    async fn replace_fstab(&self, old: &str, new: &str) -> Result<bool, HostError>;
    /// Writes a file in the root of a mounted brick file system, durably and in one step.
    async fn write_record(&self, at: &MountPoint, name: &str, content: &[u8]) -> Result<(), HostError>;
    /// Returns when everything that anybody has written into the mounted file system is on the disk.
    async fn sync_file_system(&self, at: &Utf8Path) -> Result<(), HostError>;
    async fn read_record(&self, at: &MountPoint, name: &str) -> Result<Option<Vec<u8>>, HostError>;
    /// Removes such a file, durably. Idempotent.
    async fn remove_record(&self, at: &MountPoint, name: &str) -> Result<(), HostError>;
    /// Makes the brick directory with its group and set-gid bit, if it is not there. Idempotent.
    async fn make_brick_directory(&self, path: &BrickPath, gid: u32) -> Result<(), HostError>;

    // GlusterFS, through this host's glusterd.

    async fn gluster_is_running(&self) -> Result<bool, HostError>;
    /// Of each of these bricks whether a process of GlusterFS on this host serves it; `None` where that cannot be told. As
    /// [`Host::probe_disk`] it may never answer.
    async fn bricks_served(&self, bricks: Vec<BrickPath>) -> Result<Vec<Option<bool>>, HostError>;
    /// Returns when all that glusterd has written of its volumes is on the disk: it syncs nothing itself.
    async fn sync_gluster_store(&self) -> Result<(), HostError> {
        Ok(())
    }
    /// What glusterd has written of its volumes, as far as it can be read.
    async fn gluster_store(&self) -> Result<Vec<StoredVolume>, HostError> {
        Ok(Vec::new())
    }
    /// Writes the file of a brick among those; glusterd must not run. Idempotent.
    async fn write_gluster_brick(&self, _volume: &str, _file: &str, _text: &str) -> Result<(), HostError> {
        Ok(())
    }
    /// This host's own UUID and the other members of its pool.
    async fn gluster_pool(&self) -> Result<(String, Vec<PeerSeen>), HostError>;
    async fn gluster_peer_probe(&self, host: &HostName) -> Result<(), HostError>;
    /// `lost`: also while the host cannot be reached. GlusterFS refuses either way while bricks of it are in a volume.
    async fn gluster_peer_detach(&self, host: &HostName, lost: bool) -> Result<(), HostError>;
    async fn gluster_volume(&self, name: &VolumeName) -> Result<Option<GlusterVolume>, HostError>;
    async fn gluster_volumes(&self) -> Result<Vec<VolumeName>, HostError>;
    /// All of them with all that is known of each, in one answer.
    async fn gluster_volumes_whole(&self) -> Result<Vec<GlusterVolume>, HostError>;
    async fn gluster_volume_create(
        &self,
        name: &VolumeName,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<(), HostError>;
    async fn gluster_volume_set(
        &self,
        name: &VolumeName,
        options: &[(OptionKey, OptionValue)],
    ) -> Result<(), HostError>;
    /// Takes the option off the volume, so that it is as by default. One that it does not have is no error.
    async fn gluster_volume_reset(&self, name: &VolumeName, option: &OptionKey) -> Result<(), HostError>;
    async fn gluster_volume_start(&self, name: &VolumeName) -> Result<(), HostError>;
    /// Of a volume that runs: starts the processes of its bricks that have none. A brick directory without the volume's
    /// mark is refused by GlusterFS itself.
    async fn gluster_volume_start_bricks(&self, name: &VolumeName) -> Result<(), HostError>;
    /// Has the self-heal daemons go through what is noted to be healed.
    async fn gluster_heal_start(&self, name: &VolumeName) -> Result<(), HostError>;
    async fn gluster_volume_stop(&self, name: &VolumeName) -> Result<(), HostError>;
    /// The bricks' file systems stay as they are, also those that glusterd itself made for a clone.
    async fn gluster_volume_delete(&self, name: &VolumeName) -> Result<(), HostError>;

    /// Of a volume that runs: its bricks, but for those on hosts whose glusterd is not connected.
    async fn gluster_volume_status(&self, name: &VolumeName) -> Result<Vec<BrickStatus>, HostError>;
    /// Adds whole brick sets behind those that are there.
    async fn gluster_add_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError>;
    /// Adds bricks that hold nothing, on this host and on whatever disk, to a volume that is stopped and about to go.
    async fn gluster_add_stand_ins(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError>;
    /// Takes bricks out of a volume that is stopped and about to go, be their hosts there or not. What is on them stays.
    async fn gluster_drop_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError>;
    /// Removes what GlusterFS made for a stand-in; nothing where something lies in it, or where there is none.
    async fn remove_stand_in(&self, path: &BrickPath) -> Result<(), HostError>;
    /// Puts one brick in the place of another at once; what it is to hold is for GlusterFS to heal.
    async fn gluster_replace_brick(
        &self,
        name: &VolumeName,
        old: &BrickAddress,
        new: &BrickAddress,
    ) -> Result<(), HostError>;
    /// Asks every brick of a volume with copies; takes minutes where much is to be healed.
    async fn gluster_heal(&self, name: &VolumeName) -> Result<HealReport, HostError>;
    async fn gluster_rebalance_start(&self, name: &VolumeName) -> Result<(), HostError>;
    async fn gluster_rebalance(&self, name: &VolumeName) -> Result<RebalanceReport, HostError>;
    async fn gluster_drain(&self, name: &VolumeName, brick: &BrickAddress, what: Drain) -> Result<(), HostError>;
    async fn gluster_drain_status(&self, name: &VolumeName, brick: &BrickAddress)
    -> Result<RebalanceReport, HostError>;

    async fn gluster_snapshot(&self, name: &SnapshotName) -> Result<Option<GlusterSnapshot>, HostError>;
    /// Every brick of the volume gets a thin snapshot beside it in its pool.
    async fn gluster_snapshot_create(&self, name: &SnapshotName, of: &VolumeName) -> Result<(), HostError>;
    async fn gluster_snapshot_activate(&self, name: &SnapshotName, active: bool) -> Result<(), HostError>;
    /// The new volume has the source's options, all of them, and does not run. Its bricks lie in the pools of the
    /// source's, as thin volumes without tags; glusterd mounts them itself, now and whenever it starts.
    async fn gluster_snapshot_clone(&self, name: &SnapshotName, clone: &VolumeName) -> Result<(), HostError>;
    async fn gluster_snapshot_delete(&self, name: &SnapshotName) -> Result<(), HostError>;

    /// GlusterFS's id of the volume, as it is marked on a brick directory; `None` where there is no mark, or no directory.
    async fn brick_mark(&self, path: &BrickPath) -> Result<Option<String>, HostError>;
    /// Marks a brick directory that has the mark `found`, or none, durably; one that has another by then is left alone. glusterd
    /// marks them itself, but syncs nothing, so that a power cut takes the mark, and without it GlusterFS never starts the brick; nor
    /// without the folders of its own, which are made as well where a power cut took the whole directory.
    async fn mark_brick(&self, path: &BrickPath, found: Option<&str>, volume: &str) -> Result<(), HostError>;
    /// A brick's folders that a failed `volume create` marked as used: the extended attributes of GlusterFS are taken
    /// off an otherwise empty brick directory, so that a repeat is accepted.
    async fn clear_brick_marks(&self, path: &BrickPath) -> Result<(), HostError>;
    /// Everything of ours lies below this folder.
    fn mount_root(&self) -> MountPoint;
    /// What LVM calls the physical volume, for a path that survives renaming.
    fn pv_path(&self, uuid: &PvUuid) -> Utf8PathBuf {
        Utf8Path::new("/dev/disk/by-id").join(format!("lvm-pv-uuid-{uuid}"))
    }
}
