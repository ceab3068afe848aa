//! [`RealHost`]: the host that this agent runs on.

use std::fs;
use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::inventory::{PeerSeen, Versions};
use bricklayer_proto::names::{
    BrickPath, DevicePath, HostName, LvName, LvmTag, MountPoint, OptionKey, OptionValue, SnapshotName, VgName,
    VolumeName, mapper_path,
};
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::space::spare_growth;
use bricklayer_proto::task::{BrickAddress, HealReport, Layout, RebalanceReport, RebalanceState};
use camino::{Utf8Path, Utf8PathBuf};

use super::blockdev::{self, BlockTools};
use super::gluster::{self, Answer, Gluster};
use super::gluster_block::GlusterBlock;
use super::gluster_store;
use super::lvm::{self, Lvm};
use super::run::{Call, Program};
use super::xfs::Xfs;
use super::{fstab_file, mount, probe, processes, removal};
use crate::host::{
    BrickStatus, BrickVolumes, Drain, GlusterSnapshot, GlusterVolume, GroupReport, Host, HostBoot, HostError, HostView,
    LinearVolume, Mount, Signature, StoredVolume,
};

/// How long an unmount waits for a brick process that was just stopped.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(15);

/// Where glusterd keeps its own files.
const GLUSTERD: &str = "/var/lib/glusterd";

/// The programs, files and kernel of the host.
#[derive(Clone, Debug)]
pub struct RealHost {
    mount_root: MountPoint,
    fstab: Utf8PathBuf,
    data_dir: Utf8PathBuf,
    lvm: Lvm,
    block: BlockTools,
    xfs: Xfs,
    gluster: Gluster,
    gluster_block: GlusterBlock,
}

impl RealHost {
    /// Looks the programs up, once.
    #[must_use]
    pub fn new(mount_root: MountPoint, fstab: Utf8PathBuf, data_dir: Utf8PathBuf) -> Self {
        Self {
            mount_root,
            fstab,
            data_dir,
            lvm: Lvm::find(),
            block: BlockTools::find(),
            xfs: Xfs::find(),
            gluster: Gluster::find(),
            gluster_block: GlusterBlock::find(),
        }
    }

    pub(super) fn gluster_block(&self) -> &GlusterBlock {
        &self.gluster_block
    }

    /// All groups. One that LVM cannot report must not hide the others: it is left out, and its disks then still carry
    /// LVM's signature, which keeps everybody off them.
    async fn full_report(&self) -> Result<lvm::FullReport, HostError> {
        let call = self.lvm.full_report(None);
        let said = call.run_whatever_comes().await?;
        if said.status.success() {
            return lvm::parse_full_report(&said.stdout);
        }
        let names = self.lvm.group_names().run_whatever_comes().await?;
        let names = lvm::parse_group_names(&names.stdout).map_err(|_| call.failed(&said))?;
        if names.is_empty() {
            return Err(call.failed(&said));
        }
        let mut report = lvm::FullReport::default();
        for name in names {
            let group = match name.parse::<VgName>() {
                Ok(name) => self.group(&name).await,
                Err(error) => Err(HostError::Unreadable { what: "LVM's report".to_owned(), why: error.to_string() }),
            };
            match group {
                Ok(group) => report.groups.extend(group),
                Err(error) => tracing::error!(group = name, "a volume group is left out: {error}"),
            }
        }
        Ok(report)
    }

    async fn existing_group(&self, group: &VgName) -> Result<GroupReport, HostError> {
        let gone = || HostError::Failed {
            what: format!("looking at volume group {group}"),
            said: "LVM does not know it any more".to_owned(),
        };
        self.group(group).await?.ok_or_else(gone)
    }

    /// Moves what blocks to a thread that may; a disk that hangs must not stop the agent.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let locks = crate::lock::held();
        let joined = tokio::task::spawn_blocking(move || {
            let _until_the_call_returns = locks;
            work()
        });
        joined.await.unwrap_or_else(|error| {
            Err(HostError::Io { what: "a system call".to_owned(), source: std::io::Error::other(error) })
        })
    }
}

fn read(path: &str) -> Result<String, HostError> {
    fs::read_to_string(path).map_err(|source| HostError::Io { what: format!("reading {path}"), source })
}

/// How far a movement of data is.
async fn movement(call: &Call) -> Result<RebalanceReport, HostError> {
    match gluster::ask_for(call).await? {
        Some(answer) => answer.movement(),
        None => Ok(RebalanceReport { state: RebalanceState::NotStarted, nodes: Vec::new() }),
    }
}

/// The first version in what a program prints of itself; empty where it is missing.
fn version(output: &Result<Vec<u8>, HostError>) -> String {
    let text = output.as_ref().map(|out| String::from_utf8_lossy(out)).unwrap_or_default();
    let mut words = text.split_whitespace();
    words.find(|word| word.starts_with(|first: char| first.is_ascii_digit())).unwrap_or_default().to_owned()
}

#[async_trait]
impl Host for RealHost {
    async fn host_name(&self) -> Result<String, HostError> {
        Ok(read("/proc/sys/kernel/hostname")?.trim().to_owned())
    }

    async fn boot(&self) -> Result<HostBoot, HostError> {
        let path = "/proc/sys/kernel/random/boot_id";
        let text = read(path)?.trim().replace('-', "");
        let id = text.parse().map_err(|_| HostError::Unreadable { what: path.to_owned(), why: text })?;
        let path = "/proc/uptime";
        let text = read(path)?;
        // Seconds since the boot, and seconds that all processors were idle.
        let seconds = text.split_whitespace().next().and_then(|seconds| seconds.parse().ok());
        let up = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let up = up.ok_or_else(|| HostError::Unreadable { what: path.to_owned(), why: text })?;
        Ok(HostBoot { id, up })
    }

    async fn versions(&self) -> Result<Versions, HostError> {
        let (lvm, xfs, gluster) = (self.lvm.version(), self.xfs.version(), self.gluster.version());
        let (lvm, xfs, gluster) = tokio::join!(lvm.run(), xfs.run(), gluster.run());
        Ok(Versions {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            lvm: version(&lvm),
            xfsprogs: version(&xfs),
            glusterfs: version(&gluster),
        })
    }

    async fn own_disk(&self) -> Result<(Utf8PathBuf, ByteSize), HostError> {
        let folders: Vec<Utf8PathBuf> = [Some(self.data_dir.as_path()), self.fstab.parent()]
            .into_iter()
            .flatten()
            .map(Utf8Path::to_owned)
            .collect();
        let free = |folder: Utf8PathBuf| {
            let failed =
                |errno: rustix::io::Errno| HostError::Io { what: format!("statvfs {folder}"), source: errno.into() };
            let seen = rustix::fs::statvfs(folder.as_str()).map_err(failed)?;
            let free = ByteSize::from_bytes(seen.f_bavail.saturating_mul(seen.f_frsize));
            Ok((folder, free))
        };
        let all = move || folders.into_iter().map(free).collect::<Result<Vec<_>, HostError>>();
        let fullest = self.blocking(all).await?.into_iter().min_by_key(|(_, free)| *free);
        fullest.ok_or_else(|| HostError::Missing { program: "a folder of the agent's".to_owned() })
    }

    async fn view(&self) -> Result<HostView, HostError> {
        let list = self.block.list();
        let (devices, report) = tokio::join!(list.run(), self.full_report());
        let (mut block_devices, report) = (blockdev::parse_lsblk(&devices?)?, report?);
        if block_devices.iter().any(|device| device.mapping.is_some()) {
            // Without dmsetup nobody can tell: then every mapping counts as open.
            let open = self.block.open_counts().run().await.map(|out| blockdev::parse_open(&out));
            for device in &mut block_devices {
                let Some(name) = &device.mapping else { continue };
                device.open = open.as_ref().map_or(true, |open| open.contains(name));
            }
        }
        let block_devices = self
            .blocking(move || {
                blockdev::add_links(Utf8Path::new("/dev"), &mut block_devices);
                Ok(block_devices)
            })
            .await?;
        Ok(HostView {
            block_devices,
            groups: report.groups,
            loose_physical_volumes: report.loose,
            mounts: self.mounts().await?,
            swaps: mount::parse_swaps(&read("/proc/swaps")?),
            fstab: self.fstab().await?,
        })
    }

    async fn group(&self, group: &VgName) -> Result<Option<GroupReport>, HostError> {
        let call = self.lvm.full_report(Some(group));
        let said = call.run_whatever_comes().await?;
        if said.status.success() {
            return Ok(lvm::parse_full_report(&said.stdout)?.groups.into_iter().next());
        }
        // Is it not there, or can it not be read? Its name among the others decides, not LVM's prose.
        let names = lvm::parse_group_names(&self.lvm.group_names().run().await?)?;
        if names.iter().any(|name| name == group.as_str()) { Err(call.failed(&said)) } else { Ok(None) }
    }

    async fn signatures(&self, disk: &DevicePath) -> Result<Vec<Signature>, HostError> {
        blockdev::parse_signatures(&self.block.signatures(disk.as_str()).run().await?)
    }

    async fn mounts(&self) -> Result<Vec<Mount>, HostError> {
        mount::parse_mounts(&read("/proc/self/mountinfo")?)
    }

    async fn probe_disk(&self, disk: &DevicePath) -> Result<(), HostError> {
        let path = disk.clone();
        probe::on_a_thread_of_its_own(disk.as_str(), move || probe::disk(path.as_str().into())).await
    }

    async fn probe_file_system(&self, at: &MountPoint, file: &str) -> Result<(), HostError> {
        let (root, file) = (at.as_path().to_owned(), file.to_owned());
        probe::on_a_thread_of_its_own(at.as_path().as_str(), move || probe::file_system(&root, &file)).await
    }

    async fn fstab(&self) -> Result<String, HostError> {
        match fs::read_to_string(&self.fstab) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(HostError::Io { what: format!("reading {}", self.fstab), source }),
        }
    }

    async fn wipe_signatures(&self, disk: &DevicePath) -> Result<(), HostError> {
        self.block.wipe(disk).run().await?;
        // A host without udev has nobody to wait for.
        match self.block.settle().run().await {
            Ok(_) | Err(HostError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn remove_mapping(&self, name: &str) -> Result<(), HostError> {
        self.block.remove_mapping(name).run().await.map(drop)
    }

    async fn create_group(
        &self,
        disk: &DevicePath,
        group: &VgName,
        extent_size: ExtentSize,
        tags: &[LvmTag],
    ) -> Result<(), HostError> {
        self.lvm.create_group(disk, group, extent_size, tags).run().await.map(drop)
    }

    async fn add_group_tag(&self, group: &VgName, tag: &LvmTag) -> Result<(), HostError> {
        self.lvm.add_group_tag(group, tag).run().await.map(drop)
    }

    async fn replace_group_tags(&self, group: &VgName, gone: &[LvmTag], new: &[LvmTag]) -> Result<(), HostError> {
        self.lvm.replace_group_tags(group, gone, new).run().await.map(drop)
    }

    async fn remove_group(&self, group: &VgName) -> Result<(), HostError> {
        let call = self.lvm.remove_group(group);
        call.run().await?;
        if self.group(group).await?.is_some() {
            let said = "it does not carry the mark of a condemned group".to_owned();
            return Err(HostError::Failed { what: call.title(), said });
        }
        Ok(())
    }

    async fn remove_physical_volume(&self, disk: &DevicePath) -> Result<(), HostError> {
        self.lvm.remove_physical_volume(disk).run().await.map(drop)
    }

    async fn activate_group(&self, group: &VgName) -> Result<(), HostError> {
        self.lvm.activate_group(group, true).run().await.map(drop)
    }

    async fn deactivate_group(&self, group: &VgName) -> Result<(), HostError> {
        self.lvm.activate_group(group, false).run().await.map(drop)
    }

    async fn create_brick_volumes(&self, wanted: &BrickVolumes) -> Result<GroupReport, HostError> {
        let has = |report: &GroupReport, name: &LvName| report.volumes.iter().any(|volume| volume.name == *name);
        let call = self.lvm.create_pool_and_volume(wanted);
        let said = call.run_whatever_comes().await?;
        let mut report = self.existing_group(&wanted.group).await?;
        if has(&report, &wanted.volume) {
            return Ok(report);
        }
        // The pool was there from before, or this lvm was built without its command loop: one by one.
        if !has(&report, &wanted.pool) {
            let needed = wanted
                .space
                .taken()
                .and_then(|taken| taken.checked_add(spare_growth(report.space.spare, wanted.space.metadata)));
            if needed.is_none_or(|needed| needed > report.space.free) {
                let HostError::Failed { said, .. } = call.failed(&said) else { return Err(call.failed(&said)) };
                return Err(HostError::NoSpace { group: wanted.group.clone(), said });
            }
            self.lvm.create_pool(wanted).run().await?;
        }
        self.lvm.create_volume(wanted).run().await?;
        report = self.existing_group(&wanted.group).await?;
        Ok(report)
    }

    async fn create_linear_volume(&self, wanted: &LinearVolume) -> Result<GroupReport, HostError> {
        if let Err(error) = self.lvm.create_linear(wanted).run().await {
            let HostError::Failed { said, .. } = error else { return Err(error) };
            let report = self.existing_group(&wanted.group).await?;
            return Err(match wanted.size > report.space.free {
                true => HostError::NoSpace { group: wanted.group.clone(), said },
                false => HostError::Failed { what: format!("lvcreate {}/{}", wanted.group, wanted.volume), said },
            });
        }
        self.existing_group(&wanted.group).await
    }

    async fn extend_pool(
        &self,
        group: &VgName,
        pool: &LvName,
        data: Option<ByteSize>,
        metadata: Option<ByteSize>,
    ) -> Result<(), HostError> {
        self.lvm.extend_pool(group, pool, data, metadata).run().await.map(drop)
    }

    async fn extend_volume(&self, group: &VgName, volume: &LvName, to: ByteSize) -> Result<(), HostError> {
        self.lvm.extend_volume(group, volume, to).run().await.map(drop)
    }

    async fn grow_xfs(&self, at: &MountPoint) -> Result<(), HostError> {
        self.xfs.grow(at).run().await.map(drop)
    }

    async fn replace_volume_tags(
        &self,
        group: &VgName,
        volume: &LvName,
        gone: &[LvmTag],
        new: &[LvmTag],
    ) -> Result<(), HostError> {
        self.lvm.replace_volume_tags(group, volume, gone, new).run().await.map(drop)
    }

    async fn add_volume_tag(&self, group: &VgName, volume: &LvName, tag: &LvmTag) -> Result<(), HostError> {
        self.lvm.add_volume_tag(group, &[volume], tag).run().await.map(drop)
    }

    async fn add_volume_tags(&self, group: &VgName, volumes: &[LvName], tag: &LvmTag) -> Result<(), HostError> {
        self.lvm.add_volume_tag(group, &volumes.iter().collect::<Vec<_>>(), tag).run().await.map(drop)
    }

    async fn remove_volume(&self, group: &VgName, volume: &LvName) -> Result<(), HostError> {
        self.lvm.remove_volume(group, volume).run().await.map(drop)
    }

    async fn remove_volumes(&self, group: &VgName, volumes: &[LvName]) -> Result<(), HostError> {
        removal::of_volumes(&self.lvm, group, volumes).await
    }

    async fn make_xfs(&self, group: &VgName, volume: &LvName, arbiter: bool) -> Result<(), HostError> {
        self.xfs.make(mapper_path(group, volume).as_str(), arbiter).run().await.map(drop)
    }

    async fn make_xfs_over(&self, group: &VgName, volume: &LvName, arbiter: bool) -> Result<(), HostError> {
        self.xfs.make_over(mapper_path(group, volume).as_str(), arbiter).run().await.map(drop)
    }

    async fn make_mount_point(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.blocking(move || mount::make_mount_point(&at)).await
    }

    async fn remove_mount_point(&self, at: &MountPoint) -> Result<(), HostError> {
        let (root, at) = (self.mount_root.clone(), at.clone());
        self.blocking(move || mount::remove_mount_point(&root, &at)).await
    }

    async fn mount(&self, group: &VgName, volume: &LvName, at: &MountPoint) -> Result<(), HostError> {
        let (device, at) = (mapper_path(group, volume), at.clone());
        self.blocking(move || mount::mount_xfs(&device, &at)).await
    }

    async fn unmount(&self, at: &MountPoint) -> Result<(), HostError> {
        mount::unmount(at.as_path(), UNMOUNT_PATIENCE).await
    }

    async fn unmount_foreign(&self, at: &Utf8Path) -> Result<(), HostError> {
        // Nothing was stopped just now, so there is nobody to wait for.
        mount::unmount(at, Duration::ZERO).await
    }

    async fn thin_tools(&self) -> Result<(), HostError> {
        // Looked for each time: it may have been installed meanwhile.
        self.blocking(|| Program::find("thin_check").must_be_there()).await
    }

    async fn fstab_can_be_replaced(&self) -> Result<(), HostError> {
        let file = self.fstab.clone();
        self.blocking(move || fstab_file::can_be_replaced(&file)).await
    }

    async fn replace_fstab(&self, old: &str, new: &str) -> Result<bool, HostError> {
        let (file, old, new) = (self.fstab.clone(), old.to_owned(), new.to_owned());
        self.blocking(move || fstab_file::replace(&file, &old, &new)).await
    }

    async fn write_record(&self, at: &MountPoint, name: &str, content: &[u8]) -> Result<(), HostError> {
        let (at, name, content) = (at.clone(), name.to_owned(), content.to_owned());
        self.blocking(move || mount::write_record(&at, &name, &content)).await
    }

    async fn sync_file_system(&self, at: &Utf8Path) -> Result<(), HostError> {
        let at = at.to_owned();
        self.blocking(move || {
            let failed = |source| HostError::Io { what: format!("writing {at} to its disk"), source };
            let root = fs::File::open(&at).map_err(failed)?;
            rustix::fs::syncfs(&root).map_err(|error| failed(error.into()))
        })
        .await
    }

    async fn read_record(&self, at: &MountPoint, name: &str) -> Result<Option<Vec<u8>>, HostError> {
        let (at, name) = (at.clone(), name.to_owned());
        self.blocking(move || mount::read_record(&at, &name)).await
    }

    async fn remove_record(&self, at: &MountPoint, name: &str) -> Result<(), HostError> {
        let (at, name) = (at.clone(), name.to_owned());
        self.blocking(move || mount::remove_record(&at, &name)).await
    }

    async fn make_brick_directory(&self, path: &BrickPath, gid: u32) -> Result<(), HostError> {
        let path = path.clone();
        self.blocking(move || mount::make_brick_directory(&path, gid)).await
    }

    async fn brick_mark(&self, path: &BrickPath) -> Result<Option<String>, HostError> {
        let path = path.clone();
        self.blocking(move || mount::brick_mark(&path)).await
    }

    async fn mark_brick(&self, path: &BrickPath, found: Option<&str>, volume: &str) -> Result<(), HostError> {
        let (path, found, volume) = (path.clone(), found.map(str::to_owned), volume.to_owned());
        self.blocking(move || mount::mark_brick(&path, found.as_deref(), &volume)).await
    }

    async fn gluster_is_running(&self) -> Result<bool, HostError> {
        // What the command line itself connects to; a program is not worth starting for it.
        Ok(match tokio::net::UnixStream::connect("/var/run/glusterd.socket").await {
            Ok(_) => true,
            // Whatever else is wrong, such as too many connections at once: somebody listens.
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused),
        })
    }

    async fn bricks_served(&self, bricks: Vec<BrickPath>) -> Result<Vec<Option<bool>>, HostError> {
        // What a process is called is in its own memory, which one that hangs at a dead disk may keep to itself.
        let served = move || processes::serve(Utf8Path::new("/proc"), &bricks);
        probe::on_a_thread_of_its_own("/proc", served).await
    }

    async fn sync_gluster_store(&self) -> Result<(), HostError> {
        let store: &Utf8Path = GLUSTERD.into();
        if store.is_dir() { self.sync_file_system(store).await } else { Ok(()) }
    }

    async fn gluster_store(&self) -> Result<Vec<StoredVolume>, HostError> {
        let what = format!("looking at {GLUSTERD}");
        self.blocking(move || gluster_store::read(GLUSTERD.into()).map_err(|source| HostError::Io { what, source }))
            .await
    }

    async fn write_gluster_brick(&self, volume: &str, file: &str, text: &str) -> Result<(), HostError> {
        let (volume, file, text) = (volume.to_owned(), file.to_owned(), text.to_owned());
        self.blocking(move || {
            let failed =
                |source| HostError::Io { what: format!("writing {file} of {volume} below {GLUSTERD}"), source };
            gluster_store::write_brick(GLUSTERD.into(), &volume, &file, &text).map_err(failed)
        })
        .await
    }

    async fn gluster_pool(&self) -> Result<(String, Vec<PeerSeen>), HostError> {
        gluster::ask(&self.gluster.pool_list()).await?.pool()
    }

    async fn gluster_peer_probe(&self, host: &HostName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.peer_probe(host)).await.map(drop)
    }

    async fn gluster_peer_detach(&self, host: &HostName, lost: bool) -> Result<(), HostError> {
        gluster::ask(&self.gluster.peer_detach(host, lost)).await.map(drop)
    }

    async fn gluster_volume(&self, name: &VolumeName) -> Result<Option<GlusterVolume>, HostError> {
        match gluster::ask_of_volume(&self.gluster.volume_info(name)).await? {
            Some(answer) => answer.volume().map(Some),
            None => Ok(None),
        }
    }

    async fn gluster_volumes(&self) -> Result<Vec<VolumeName>, HostError> {
        gluster::ask(&self.gluster.volume_list()).await?.volumes()
    }

    async fn gluster_volumes_whole(&self) -> Result<Vec<GlusterVolume>, HostError> {
        // A pool without volumes is answered as one that lacks the volume asked for.
        match gluster::ask_of_volume(&self.gluster.volumes_info()).await? {
            Some(answer) => answer.volumes_whole(),
            None => Ok(Vec::new()),
        }
    }

    async fn gluster_volume_create(
        &self,
        name: &VolumeName,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<(), HostError> {
        gluster::ask(&self.gluster.volume_create(name, layout, bricks)).await.map(drop)
    }

    async fn gluster_volume_set(
        &self,
        name: &VolumeName,
        options: &[(OptionKey, OptionValue)],
    ) -> Result<(), HostError> {
        gluster::ask(&self.gluster.volume_set(name, options)).await.map(drop)
    }

    async fn gluster_volume_reset(&self, name: &VolumeName, option: &OptionKey) -> Result<(), HostError> {
        gluster::ask(&self.gluster.volume_reset(name, option)).await.map(drop)
    }

    async fn gluster_volume_start(&self, name: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.volume_start(name)).await.map(drop)
    }

    async fn gluster_heal_start(&self, name: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.heal_start(name)).await.map(drop)
    }

    async fn gluster_volume_start_bricks(&self, name: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.volume_start_bricks(name)).await.map(drop)
    }

    async fn gluster_volume_stop(&self, name: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.volume_stop(name)).await.map(drop)
    }

    async fn gluster_volume_delete(&self, name: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.volume_delete(name)).await.map(drop)
    }

    async fn gluster_volume_status(&self, name: &VolumeName) -> Result<Vec<BrickStatus>, HostError> {
        gluster::ask(&self.gluster.volume_status(name)).await?.volume_status()
    }

    async fn gluster_add_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        gluster::ask(&self.gluster.add_bricks(name, bricks)).await.map(drop)
    }

    async fn gluster_add_stand_ins(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        // GlusterFS makes the last folder only.
        let root = self.mount_root.as_path().to_owned();
        self.blocking(move || {
            let failed = |source| HostError::Io { what: format!("making the folder {root}"), source };
            std::fs::create_dir_all(&root).map_err(failed)
        })
        .await?;
        gluster::ask(&self.gluster.add_stand_ins(name, bricks)).await.map(drop)
    }

    async fn gluster_drop_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        gluster::ask(&self.gluster.drop_bricks(name, bricks)).await.map(drop)
    }

    async fn remove_stand_in(&self, path: &BrickPath) -> Result<(), HostError> {
        let path = path.as_path().to_owned();
        self.blocking(move || mount::remove_stand_in(&path)).await
    }

    async fn gluster_replace_brick(
        &self,
        name: &VolumeName,
        old: &BrickAddress,
        new: &BrickAddress,
    ) -> Result<(), HostError> {
        gluster::ask(&self.gluster.replace_brick(name, old, new)).await.map(drop)
    }

    async fn gluster_heal(&self, name: &VolumeName) -> Result<HealReport, HostError> {
        gluster::ask(&self.gluster.heal_summary(name)).await?.heal()
    }

    async fn gluster_rebalance_start(&self, name: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.rebalance_start(name)).await.map(drop)
    }

    async fn gluster_rebalance(&self, name: &VolumeName) -> Result<RebalanceReport, HostError> {
        movement(&self.gluster.rebalance_status(name)).await
    }

    async fn gluster_drain(&self, name: &VolumeName, brick: &BrickAddress, what: Drain) -> Result<(), HostError> {
        gluster::ask(&self.gluster.drain(name, brick, what)).await.map(drop)
    }

    async fn gluster_drain_status(
        &self,
        name: &VolumeName,
        brick: &BrickAddress,
    ) -> Result<RebalanceReport, HostError> {
        movement(&self.gluster.drain_status(name, brick)).await
    }

    async fn gluster_snapshot(&self, name: &SnapshotName) -> Result<Option<GlusterSnapshot>, HostError> {
        gluster::ask_for(&self.gluster.snapshot_info(name)).await?.map(Answer::snapshot).transpose()
    }

    async fn gluster_snapshot_create(&self, name: &SnapshotName, of: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.snapshot_create(name, of)).await.map(drop)
    }

    async fn gluster_snapshot_activate(&self, name: &SnapshotName, active: bool) -> Result<(), HostError> {
        gluster::ask(&self.gluster.snapshot_activate(name, active)).await.map(drop)
    }

    async fn gluster_snapshot_clone(&self, name: &SnapshotName, clone: &VolumeName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.snapshot_clone(name, clone)).await.map(drop)
    }

    async fn gluster_snapshot_delete(&self, name: &SnapshotName) -> Result<(), HostError> {
        gluster::ask(&self.gluster.snapshot_delete(name)).await.map(drop)
    }

    async fn clear_brick_marks(&self, path: &BrickPath) -> Result<(), HostError> {
        let path = path.clone();
        self.blocking(move || mount::clear_brick_marks(&path)).await
    }

    fn mount_root(&self) -> MountPoint {
        self.mount_root.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(dir: &Utf8Path) -> RealHost {
        RealHost::new(dir.join("mounts").as_str().parse().unwrap(), dir.join("fstab"), dir.to_owned())
    }

    #[tokio::test]
    async fn fstab_is_replaced_unless_somebody_else_has_changed_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let host = host(dir);
        assert_eq!(host.fstab().await.unwrap(), "");
        assert!(host.replace_fstab("", "one\n").await.unwrap());
        assert!(!host.replace_fstab("", "two\n").await.unwrap());
        assert_eq!(host.fstab().await.unwrap(), "one\n");
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn an_fstab_that_is_a_link_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        fs::write(dir.join("real"), "one\n").unwrap();
        std::os::unix::fs::symlink("real", dir.join("fstab")).unwrap();
        let error = host(dir).replace_fstab("one\n", "two\n").await.unwrap_err();
        assert!(error.to_string().contains("no plain file"), "{error}");
        assert_eq!(fs::read_to_string(dir.join("real")).unwrap(), "one\n");
    }

    #[test]
    fn a_version_is_the_first_number_that_a_program_prints() {
        let lvm = include_bytes!("../../../tests/fixtures/lvm-2.03.16/version.txt").to_vec();
        assert_eq!(version(&Ok(lvm)), "2.03.16(2)");
        let gluster = include_bytes!("../../../tests/fixtures/glusterfs-10.3/version.txt").to_vec();
        assert_eq!(version(&Ok(gluster)), "10.3");
        assert_eq!(version(&Err(HostError::Missing { program: "gluster".to_owned() })), "");
    }
}
