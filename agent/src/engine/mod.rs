//! Brings wished states about on this host: observe, plan, carry out.
//!
//! [`Engine::carry_out`] takes what is wanted, looks at what is, has [`crate::plan`] say the steps, and does them one by
//! one through [`Host`]. Every step may be repeated, so a task that was cut off anywhere is simply carried out again.
//! Destroys nothing that a plan does not say; knows no coordinator. [`Executor`] puts the journal before it, [`boot`]
//! brings bricks up without either.

mod adopt;
mod block;
pub mod boot;
mod bricks;
mod clone;
mod disks;
mod executor;
mod gluster;
mod layout;
mod lost_hosts;
mod movement;
mod recollect;
mod steps;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bricklayer_proto::block::{BlockResize, BlockSpec};
use bricklayer_proto::ids::VolumeId;
use bricklayer_proto::inventory::{FullDisk, GlusterSeen, Inventory};
use bricklayer_proto::keepsake::GlusterVolumeSeen;
use bricklayer_proto::names::{DevicePath, VgName, VolumeName};
use bricklayer_proto::size::{ByteSize, MIB};
use bricklayer_proto::task::{Done, Failure, FailureKind, Report, Wanted};

use crate::host::{BlockDevice, GroupReport, Host, HostError};
use crate::journal::Journal;
use crate::lock::{Key, Locks};
use crate::observe::{self, OnDisk};

pub use executor::Executor;
pub use recollect::Records;
pub use watch::Watch;

/// Told what is being done, in a few words for people.
pub type OnProgress<'a> = &'a (dyn Fn(&str) + Send + Sync);

pub struct Engine {
    host: Arc<dyn Host>,
    locks: Locks,
    /// What `wipefs` last said of each disk, and of which state of the disk: an inventory is made every minute, and a
    /// disk of which the kernel says the same need not be read again for it. No task relies on this.
    known_on_disk: Mutex<BTreeMap<DevicePath, (BlockDevice, OnDisk)>>,
    /// Groups as LVM last reported them, for making bricks without looking first: see [`Engine::brick`]. Nothing is
    /// condemned or destroyed by it.
    remembered: Mutex<BTreeMap<VgName, Arc<GroupReport>>>,
    /// Volumes whose id this process has set or read, so that starting one need not ask whose it is.
    known_volumes: Mutex<BTreeSet<(VolumeName, VolumeId)>>,
    /// What glusterd said last of all its volumes, and when: it is not asked with every inventory.
    volumes_in_pool: Mutex<Option<(Instant, Arc<[GlusterVolumeSeen]>)>>,
    volumes_every: Duration,
    watch: Arc<Watch>,
    /// The last look that came to its end.
    last_inventory: Mutex<Option<Inventory>>,
    /// Where it is written down whose a physical volume was; see [`Engine::keep_notes_in`].
    journal: OnceLock<Arc<Journal>>,
}

/// With less on the host's own disk nothing new is made: a journal that fails stops the agent until its next start, and LVM
/// and fstab need room as well. What is under way, and what is taken away, needs little and goes on.
pub const LEAST_FREE_DISK: ByteSize = ByteSize::from_bytes(32 * MIB);

/// Told from this multiple of it on.
const NEARLY_FULL: u64 = 4;

/// Glusterd is asked for all its volumes as often as an inventory is made for want of news.
const VOLUMES_EVERY: Duration = Duration::from_secs(50);

impl Engine {
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self {
            watch: Watch::new(Arc::clone(&host)),
            last_inventory: Mutex::default(),
            journal: OnceLock::new(),
            host,
            locks: Locks::default(),
            known_on_disk: Mutex::default(),
            remembered: Mutex::default(),
            known_volumes: Mutex::default(),
            volumes_in_pool: Mutex::default(),
            volumes_every: VOLUMES_EVERY,
        }
    }

    /// Where to write down what no disk can say. An engine without a journal removes a group all the same, and leaves a
    /// physical volume alone that it may be cut off from.
    pub fn keep_notes_in(&self, journal: Arc<Journal>) {
        // One agent has one journal.
        let _ = self.journal.set(journal);
    }

    /// How old what it tells of glusterd's volumes may be.
    #[must_use]
    pub fn with_volumes_every(self, every: Duration) -> Self {
        Self { volumes_every: every, ..self }
    }

    #[must_use]
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Whether its disks answer.
    #[must_use]
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Everything that matters on this host, now.
    pub async fn inventory(&self) -> Result<Inventory, HostError> {
        let (view, (gluster, volumes)) = tokio::join!(self.host.view(), self.gluster_seen());
        let view = view?;
        let gluster = GlusterSeen { volumes: volumes.map(|all| observe::volumes_here(&view, &all)), ..gluster };
        let mut on_disk = BTreeMap::new();
        for device in observe::candidates(&view) {
            on_disk.insert(device.path.clone(), self.on_disk_cached(&view, device).await);
        }
        let (full_disk, fstab_fault, missing_thin_tool) =
            tokio::join!(self.full_disk(), self.fstab_fault(), self.missing_thin_tool());
        let said = |device: &BlockDevice| on_disk.get(&device.path).cloned().unwrap_or_else(|| Ok(Vec::new()));
        let mut inventory =
            Inventory { full_disk, fstab_fault, missing_thin_tool, ..observe::inventory(&view, said, gluster) };
        self.watch.learn(&inventory);
        for brick in &mut inventory.bricks {
            brick.served = brick.path.as_ref().and_then(|path| self.watch.is_served(path));
        }
        inventory.ailing = self.watch.ailing();
        *locked(&self.last_inventory) = Some(inventory.clone());
        Ok(inventory)
    }

    /// What the last look showed that came to its end: a new one may hang at a disk that is dying.
    #[must_use]
    pub fn last_inventory(&self) -> Option<Inventory> {
        locked(&self.last_inventory).clone()
    }

    /// The host's own disk, while it is nearly full. `None` also where nobody can say.
    pub async fn full_disk(&self) -> Option<FullDisk> {
        let (folder, free) = match self.host.own_disk().await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::debug!("the host's own disk: {}", chain(&error));
                return None;
            }
        };
        let nearly = free.bytes() < LEAST_FREE_DISK.bytes() * NEARLY_FULL;
        // Whole MiB, so that not every line of a log makes a new report.
        let free = ByteSize::from_bytes(free.bytes() / MIB * MIB);
        nearly.then(|| FullDisk { folder: folder.into_string(), free, least: LEAST_FREE_DISK })
    }

    /// Why the host's fstab cannot be changed.
    async fn fstab_fault(&self) -> Option<String> {
        self.host.fstab_can_be_replaced().await.err().map(|error| chain(&error))
    }

    async fn missing_thin_tool(&self) -> Option<String> {
        match self.host.thin_tools().await {
            Err(HostError::Missing { program }) => Some(program),
            // What cannot be told is no fault.
            Ok(()) | Err(_) => None,
        }
    }

    /// Brings the wished state about; safe to repeat, also after a crash anywhere in it.
    pub async fn carry_out(&self, wanted: &Wanted, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.locks.holding(keys(wanted), self.work(wanted, progress)).await
    }

    /// The same, if it is still wished when its turn has come: what it changes may have been locked for a while.
    pub async fn carry_out_if(
        &self,
        wanted: &Wanted,
        is_wished: impl Fn() -> bool,
        progress: OnProgress<'_>,
    ) -> Option<Result<Done, Failure>> {
        let work = async { if is_wished() { Some(self.work(wanted, progress).await) } else { None } };
        self.locks.holding(keys(wanted), work).await
    }

    async fn work(&self, wanted: &Wanted, progress: OnProgress<'_>) -> Result<Done, Failure> {
        match wanted {
            Wanted::Device(spec) => self.device(spec, progress).await,
            Wanted::DeviceCondemned { device } => self.device_condemned(*device, progress).await,
            Wanted::DeviceGone { device, physical_volume } => {
                self.device_gone(*device, physical_volume.as_ref(), progress).await
            }
            Wanted::DeviceSeen { device } => self.device_seen(*device).await,
            Wanted::DiskWiped { path, confirm } => self.disk_wiped(path, confirm, progress).await,
            Wanted::Brick(spec) => self.brick(spec, progress).await,
            Wanted::BrickUp(key) => self.brick_up(key, progress).await,
            Wanted::BricksStarted(key) => self.bricks_started(key, progress).await,
            Wanted::HealStarted(key) => self.heal_started(key, progress).await,
            Wanted::BrickSynced(key) => self.brick_synced(key, progress).await,
            Wanted::BrickCondemned(key) => self.brick_condemned(key, progress).await,
            Wanted::BrickGone(key) => self.brick_gone(key, progress).await,
            Wanted::Peer { host } => self.peer(host, progress).await,
            Wanted::PeerGone { host, lost } => self.peer_gone(host, *lost, progress).await,
            Wanted::Volume(spec) => self.volume(spec, progress).await,
            Wanted::VolumeOptionSet(wanted) => self.volume_option_set(wanted, progress).await,
            Wanted::VolumeStarted(key) => self.volume_started(key, progress).await,
            Wanted::VolumeStopped(key) => self.volume_stopped(key, progress).await,
            Wanted::VolumeGone(key) => self.volume_gone(key, progress).await,
            Wanted::BrickCanGrow(spec) => self.brick_can_grow(spec, progress).await,
            Wanted::BrickGrown(spec) => self.brick_grown(spec, progress).await,
            Wanted::VolumeExtended(spec) => self.volume_extended(spec, progress).await,
            Wanted::BrickReplaced(swap) => self.brick_replaced(swap, progress).await,
            Wanted::RebalanceStarted(key) => self.rebalance_started(key, progress).await,
            Wanted::DrainStarted(drain) => self.drain_started(drain, progress).await,
            Wanted::DrainStopped(drain) => self.drain_stopped(drain, progress).await,
            Wanted::DrainCommitted(drain) => self.drain_committed(drain, progress).await,
            Wanted::VolumeSeen(key) => self.volume_seen(key).await,
            Wanted::HealSeen(key) => self.heal_seen(key).await,
            Wanted::RebalanceSeen(key) => self.rebalance_seen(key).await,
            Wanted::DrainSeen(drain) => self.drain_seen(drain).await,
            Wanted::BlockCreated(spec) => self.block_created(spec, progress).await,
            Wanted::BlockResized(resize) => self.block_resized(resize, progress).await,
            Wanted::BlockGone(key) => self.block_gone(key, progress).await,
            Wanted::BlockSeen(key) => self.block_seen(key).await,
            Wanted::CloneBrick(spec) => self.clone_brick(spec, progress).await,
            Wanted::VolumeCloned(spec) => self.volume_cloned(spec, progress).await,
            Wanted::GroupAdopted(spec) => self.group_adopted(spec, progress).await,
            Wanted::GroupReleased(spec) => self.group_released(spec, progress).await,
            Wanted::BrickAdopted(spec) => self.brick_adopted(spec, progress).await,
            Wanted::BrickReleased(spec) => self.brick_released(spec, progress).await,
            Wanted::VolumeAdopted(spec) => self.volume_adopted(spec, progress).await,
            Wanted::VolumeReleased(spec) => self.volume_released(spec, progress).await,
            Wanted::HostSurveyed { gluster } => self.host_surveyed(*gluster).await,
        }
    }

    fn remember(&self, report: &Arc<GroupReport>) {
        locked(&self.remembered).insert(report.name.clone(), Arc::clone(report));
    }

    fn forget(&self, group: &VgName) {
        locked(&self.remembered).remove(group);
    }

    /// What is written on the disk, read now.
    async fn on_disk(&self, device: &BlockDevice) -> OnDisk {
        self.host.signatures(&device.path).await.map_err(|error| chain(&error))
    }

    async fn on_disk_cached(&self, view: &crate::host::HostView, device: &BlockDevice) -> OnDisk {
        // Of a disk of ours it does not matter.
        if observe::disk(view, device, &Ok(Vec::new())).device.is_some() {
            return Ok(Vec::new());
        }
        let known = {
            let known = locked(&self.known_on_disk);
            known.get(&device.path).filter(|(seen, _)| seen == device).map(|(_, on_disk)| on_disk.clone())
        };
        if let Some(Ok(on_disk)) = known {
            return Ok(on_disk);
        }
        let on_disk = self.on_disk(device).await;
        locked(&self.known_on_disk).insert(device.path.clone(), (device.clone(), on_disk.clone()));
        on_disk
    }

    /// Glusterd is asked for its volumes with the next inventory, whenever it was asked last.
    pub fn ask_for_volumes_anew(&self) {
        *locked(&self.volumes_in_pool) = None;
    }

    async fn gluster_seen(&self) -> (GlusterSeen, Option<Arc<[GlusterVolumeSeen]>>) {
        let seen = self.pool_seen().await;
        let volumes = if seen.uuid.is_some() { self.volumes_in_pool().await } else { None };
        (seen, volumes)
    }

    /// What glusterd says of itself and its peers.
    async fn pool_seen(&self) -> GlusterSeen {
        let block = self.host.block_version().await;
        // A glusterd that hangs must not keep the disks from being seen.
        match self.host.gluster_is_running().await {
            Ok(true) => match self.host.gluster_pool().await {
                Ok((uuid, peers)) => GlusterSeen { running: true, uuid: Some(uuid), peers, block, volumes: None },
                Err(error) => {
                    tracing::warn!("glusterd runs and does not tell its peers: {}", chain(&error));
                    GlusterSeen { running: true, block, ..GlusterSeen::default() }
                }
            },
            Ok(false) | Err(_) => GlusterSeen { block, ..GlusterSeen::default() },
        }
    }

    /// From glusterd's own files, past the lock of its pool.
    async fn volumes_in_pool(&self) -> Option<Arc<[GlusterVolumeSeen]>> {
        let known = locked(&self.volumes_in_pool).clone();
        if let Some((asked, volumes)) = known
            && asked.elapsed() < self.volumes_every
        {
            return Some(volumes);
        }
        let volumes: Arc<[_]> = match self.gluster_volumes().await {
            Ok(volumes) => volumes.into(),
            Err(error) => {
                tracing::warn!("glusterd does not tell its volumes: {}", chain(&error));
                return None;
            }
        };
        *locked(&self.volumes_in_pool) = Some((Instant::now(), Arc::clone(&volumes)));
        Some(volumes)
    }
}

/// What is locked for a task.
fn keys(wanted: &Wanted) -> Vec<Key> {
    let group = |device| Key::Group(VgName::of_device(device));
    match wanted {
        Wanted::Device(spec) => vec![Key::Disks, group(spec.device)],
        Wanted::DeviceGone { device, .. } => vec![Key::Disks, group(*device)],
        Wanted::DeviceCondemned { device } | Wanted::DeviceSeen { device } => vec![group(*device)],
        Wanted::DiskWiped { .. } => vec![Key::Disks],
        Wanted::Brick(spec) => vec![group(spec.device)],
        Wanted::BrickCanGrow(spec) | Wanted::BrickGrown(spec) => vec![group(spec.device)],
        Wanted::CloneBrick(spec) => vec![group(spec.device)],
        Wanted::BrickUp(key) | Wanted::BrickSynced(key) | Wanted::BrickCondemned(key) | Wanted::BrickGone(key) => {
            vec![group(key.device)]
        }
        Wanted::Peer { .. }
        | Wanted::PeerGone { .. }
        | Wanted::Volume(_)
        | Wanted::VolumeStarted(_)
        | Wanted::BricksStarted(_)
        | Wanted::HealStarted(_)
        | Wanted::VolumeStopped(_)
        | Wanted::VolumeGone(_)
        | Wanted::VolumeExtended(_)
        | Wanted::VolumeCloned(_)
        | Wanted::BrickReplaced(_)
        | Wanted::VolumeOptionSet(_)
        | Wanted::RebalanceStarted(_)
        | Wanted::DrainStarted(_)
        | Wanted::DrainStopped(_)
        | Wanted::DrainCommitted(_)
        | Wanted::VolumeSeen(_)
        | Wanted::HealSeen(_)
        | Wanted::RebalanceSeen(_)
        | Wanted::DrainSeen(_) => vec![Key::Gluster],
        Wanted::BlockCreated(BlockSpec { key, .. })
        | Wanted::BlockResized(BlockResize { key, .. })
        | Wanted::BlockGone(key) => vec![Key::Blocks(key.hosting.name.clone())],
        Wanted::GroupAdopted(spec) | Wanted::GroupReleased(spec) => vec![group(spec.device)],
        Wanted::BrickAdopted(spec) | Wanted::BrickReleased(spec) => vec![group(spec.spec.device)],
        Wanted::VolumeAdopted(_) | Wanted::VolumeReleased(_) => vec![Key::Gluster],
        Wanted::BlockSeen(_) | Wanted::HostSurveyed { .. } => Vec::new(),
    }
}

/// What stands behind these locks is whole after every statement, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn done(changed: bool, report: Report) -> Done {
    Done { changed, report }
}

/// What a failing tool means for the task. Nothing of it says whether something was changed before.
fn failure(error: &HostError) -> Failure {
    let kind = match error {
        HostError::Missing { .. } | HostError::NotRunning { .. } => FailureKind::Unavailable,
        HostError::NoSpace { .. } => FailureKind::NoSpace,
        HostError::StillRunning { .. } => FailureKind::Unknown,
        HostError::PeersDown { .. } => FailureKind::PeersDown,
        HostError::Failed { .. } | HostError::Unreadable { .. } | HostError::Io { .. } => FailureKind::Failed,
    };
    let cure = match error {
        HostError::Missing { program } => Some(format!("Install the package that brings {program}")),
        HostError::NotRunning { service } => Some(format!("Start it: systemctl start {service}")),
        HostError::PeersDown { .. } => {
            Some("Start glusterd on every host of the pool, or take a host that is lost out of it".to_owned())
        }
        _ => None,
    };
    Failure { kind, message: chain(error), cure, obstacles: Vec::new() }
}

/// The wished state was brought about as far as the tools said, and is not there.
fn not_so(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Failed, message: message.into(), cure: None, obstacles: Vec::new() }
}

/// An error with all its causes, in one sentence.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
