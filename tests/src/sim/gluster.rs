//! The GlusterFS of a set of simulated hosts: trusted storage pools, volumes, and who is connected to whom.
//!
//! Refuses what glusterd 10 refuses, with its words, and leaves behind what it leaves behind: a brick directory that
//! was once a brick keeps its mark, also after the volume is gone, and is not taken again while it has it.

use std::collections::{BTreeMap, BTreeSet};

use bricklayer_agent::host::{GlusterVolume, HostError};
use bricklayer_proto::inventory::PeerSeen;
use bricklayer_proto::names::{BrickPath, HostName, OptionKey, OptionValue, SnapshotName, VolumeName};
use bricklayer_proto::task::{BrickAddress, Layout};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::time::Instant;

use super::disk::failed;
use super::machine::{Source, Unsynced};
use super::movement::Movement;
use super::snapshots::{Snapshot, Twin};
use super::{HostKey, SimCluster, SimHost, World};

/// All glusterds of a cluster of hosts.
#[derive(Default)]
pub(super) struct Gluster {
    daemons: BTreeMap<HostKey, Daemon>,
    pools: BTreeMap<PoolId, Pool>,
    next_pool: u64,
    /// Bricks whose process runs.
    online: BTreeSet<(HostKey, BrickAddress)>,
    /// Volumes on which a writing command is under way.
    busy: BTreeSet<VolumeName>,
    /// The paths of all bricks that ever were in a volume: what is not near one of them need not be compared with
    /// thousands.
    ever: BTreeSet<Utf8PathBuf>,
    /// How many files the next movement of data leaves where they are.
    pub(super) next_failures: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PoolId(u64);

struct Daemon {
    uuid: String,
    pool: PoolId,
}

#[derive(Default)]
pub(super) struct Pool {
    /// With the name by which each was probed.
    members: BTreeMap<HostKey, HostName>,
    pub(super) volumes: BTreeMap<VolumeName, Volume>,
    pub(super) snapshots: BTreeMap<SnapshotName, Snapshot>,
}

#[derive(Clone)]
pub(super) struct Volume {
    pub uuid: String,
    pub started: bool,
    pub layout: Layout,
    pub bricks: Vec<BrickAddress>,
    pub options: BTreeMap<String, String>,
    /// Bricks that lack entries which the others of their set hold, and how many.
    pub to_heal: BTreeMap<BrickAddress, u64>,
    pub movement: Option<Movement>,
    /// The self-heal daemons have missed that there is something to heal, and look again when they are asked to.
    pub heal_stands: bool,
    /// glusterd has failed to hand the volume to a self-heal daemon.
    pub heal_unattended: bool,
    /// A clone that has not been started since it was made.
    pub never_ran: bool,
    /// Of a clone: what glusterd made for its bricks, and mounts.
    pub twins: Vec<Twin>,
}

impl Volume {
    pub fn new(uuid: String, layout: Layout, bricks: &[BrickAddress]) -> Self {
        Self {
            uuid,
            started: false,
            layout,
            bricks: bricks.to_vec(),
            options: BTreeMap::new(),
            to_heal: BTreeMap::new(),
            movement: None,
            heal_stands: false,
            heal_unattended: false,
            never_ran: false,
            twins: Vec::new(),
        }
    }

    pub fn per_set(&self) -> usize {
        per_set(self.layout)
    }

    /// A brick of it is on its way out.
    pub fn is_drained(&self) -> bool {
        self.movement.as_ref().is_some_and(|movement| movement.off.is_some())
    }
}

fn per_set(layout: Layout) -> usize {
    usize::try_from(layout.bricks_per_set()).unwrap_or(usize::MAX)
}

impl Gluster {
    pub fn add(&mut self, key: HostKey) {
        let pool = self.new_pool();
        self.daemons.insert(key, Daemon { uuid: uuid::Uuid::new_v4().to_string(), pool });
    }

    fn new_pool(&mut self) -> PoolId {
        self.next_pool += 1;
        let id = PoolId(self.next_pool);
        self.pools.insert(id, Pool::default());
        id
    }

    pub(super) fn pool(&self, key: HostKey) -> &Pool {
        &self.pools[&self.daemons[&key].pool]
    }

    pub(super) fn pool_mut(&mut self, key: HostKey) -> &mut Pool {
        self.pools.get_mut(&self.daemons[&key].pool).expect("every daemon is in a pool")
    }

    /// Takes the place of glusterd's lock on a volume. False where another command holds it.
    pub fn lock_volume(&mut self, name: &VolumeName) -> bool {
        self.busy.insert(name.clone())
    }

    pub fn unlock_volume(&mut self, name: &VolumeName) {
        self.busy.remove(name);
    }

    pub(super) fn note_bricks(&mut self, bricks: &[BrickAddress]) {
        self.ever.extend(bricks.iter().map(|brick| brick.path.as_path().to_owned()));
    }

    /// Whether a brick ever lay there, above or below.
    fn was_ever_near(&self, path: &Utf8Path) -> bool {
        let below = self.ever.range(path.to_owned()..).next().is_some_and(|next| next.starts_with(path));
        below || path.ancestors().any(|above| self.ever.contains(above))
    }

    pub fn serves(&self, key: HostKey, path: &BrickPath) -> bool {
        self.online.iter().any(|(host, brick)| *host == key && brick.path == *path)
    }

    pub fn brick_is_online(&self, key: HostKey, brick: &BrickAddress) -> bool {
        self.online.contains(&(key, brick.clone()))
    }

    pub fn stop_brick(&mut self, key: HostKey, brick: &BrickAddress) {
        self.online.remove(&(key, brick.clone()));
    }

    /// A host without power runs no brick processes.
    pub fn power_cut(&mut self, key: HostKey) {
        self.online.retain(|(host, _)| *host != key);
    }
}

impl SimCluster {
    /// Has the self-heal daemons of a volume miss what there is to heal, until somebody asks them to look.
    ///
    /// # Panics
    /// If there is no such volume.
    pub fn miss_heals(&self, host: &SimHost, name: &VolumeName) {
        let mut world = self.lock();
        let volume = world.gluster.pool_mut(host.key).volumes.get_mut(name).expect("there is such a volume");
        volume.heal_stands = true;
    }

    /// Has a brick lack so many entries that the others of its set have, as one whose host was away.
    ///
    /// # Panics
    /// If there is no such volume.
    pub fn lack_entries(&self, host: &SimHost, name: &VolumeName, brick: &BrickAddress, entries: u64) {
        let mut world = self.lock();
        let volume = world.gluster.pool_mut(host.key).volumes.get_mut(name).expect("there is such a volume");
        volume.to_heal.insert(brick.clone(), entries);
    }

    /// Whether no brick of it lacks anything.
    ///
    /// # Panics
    /// If there is no such volume.
    #[must_use]
    pub fn is_healed(&self, host: &SimHost, name: &VolumeName) -> bool {
        let mut world = self.lock();
        let volume = world.gluster.pool_mut(host.key).volumes.get_mut(name).expect("there is such a volume");
        volume.to_heal.is_empty()
    }

    /// The same as [`Self::miss_heals`], and glusterd has failed to hand the volume to a daemon: it refuses to ask until bricks are started.
    ///
    /// # Panics
    /// If there is no such volume.
    pub fn lose_self_heal_daemon(&self, host: &SimHost, name: &VolumeName) {
        self.miss_heals(host, name);
        let mut world = self.lock();
        let volume = world.gluster.pool_mut(host.key).volumes.get_mut(name).expect("there is such a volume");
        volume.heal_unattended = true;
    }

    /// Has the volume come back as it is now, stopped, once it is deleted: a host that lost power while it was has kept it,
    /// and gives it back to its peers.
    ///
    /// # Panics
    /// If there is no such volume.
    pub fn keep_a_copy_of(&self, host: &SimHost, name: &VolumeName) -> impl FnOnce() + use<> {
        let (cluster, key, name) = (self.clone(), host.key, name.clone());
        let mut kept = cluster.lock().gluster.pool(key).volumes[&name].clone();
        kept.started = false;
        move || {
            cluster.lock().gluster.pool_mut(key).volumes.insert(name, kept);
        }
    }
}

impl World {
    /// glusterd answers on this host.
    pub fn gluster_runs(&self, key: HostKey) -> bool {
        self.machine(key).kernel.as_ref().is_some_and(|kernel| kernel.glusterd)
    }

    /// As a look into `/proc` tells it: while glusterd does not run, of a brick without a process nothing is said.
    pub fn bricks_served(&self, key: HostKey, bricks: &[BrickPath]) -> Vec<Option<bool>> {
        let has_process = |path: &BrickPath| self.gluster.serves(key, path);
        let unserved = self.gluster_runs(key).then_some(false);
        bricks.iter().map(|path| if has_process(path) { Some(true) } else { unserved }).collect()
    }

    pub(super) fn connected(&self, one: HostKey, other: HostKey) -> bool {
        let reachable = |key| self.gluster_runs(key) && !self.machine(key).isolated;
        one == other || (reachable(one) && reachable(other))
    }

    pub(super) fn gluster_answers(&self, key: HostKey, what: &str) -> Result<(), HostError> {
        if !self.machine(key).gluster_installed {
            return Err(HostError::Missing { program: "gluster".into() });
        }
        if !self.gluster_runs(key) {
            return Err(failed(what, "Connection failed. Please check if gluster daemon is operational."));
        }
        Ok(())
    }

    /// Starts what glusterd starts when it comes up: the bricks of started volumes, as far as they are mounted now.
    pub fn start_glusterd(&mut self, key: HostKey) {
        self.machine_mut(key).kernel_mut().glusterd = true;
        self.mount_twins(key);
        let started: Vec<Volume> =
            self.gluster.pool(key).volumes.values().filter(|volume| volume.started).cloned().collect();
        // What was stopped, or left its volume, while glusterd was down or apart: it hears of that from the others, or they from
        // it, and who still runs a brick of it stops that (`glusterd_delete_stale_volume`).
        let wanted: BTreeSet<BrickAddress> = started.iter().flat_map(|volume| volume.bricks.iter().cloned()).collect();
        let members = self.gluster.pool(key).members.keys().copied();
        let heard: BTreeSet<HostKey> = members.filter(|other| self.connected(key, *other)).chain([key]).collect();
        self.gluster.online.retain(|(host, brick)| !heard.contains(host) || wanted.contains(brick));
        if std::mem::take(&mut self.machine_mut(key).leaves_bricks_out) {
            return;
        }
        for volume in started {
            self.start_bricks(key, &volume);
        }
    }

    /// Starts this host's bricks of the volume, those that carry its mark.
    fn start_bricks(&mut self, key: HostKey, volume: &Volume) {
        for brick in &volume.bricks {
            if self.resolve(&brick.host) != Some(key) {
                continue;
            }
            let directory = self.machine(key).directory(brick.path.as_path());
            if directory.is_some_and(|directory| directory.mark.as_ref() == Some(&volume.uuid)) {
                self.gluster.online.insert((key, brick.clone()));
            }
        }
    }

    /// The brick whose process has files open below this folder.
    pub fn brick_running_below(&self, key: HostKey, at: &camino::Utf8Path) -> Option<BrickAddress> {
        let below = |(host, brick): &&(HostKey, BrickAddress)| *host == key && brick.path.as_path().starts_with(at);
        self.gluster.online.iter().find(below).map(|(_, brick)| brick.clone())
    }

    pub fn gluster_pool(&self, key: HostKey) -> Result<(String, Vec<PeerSeen>), HostError> {
        self.gluster_answers(key, "gluster pool list")?;
        let others = self.gluster.pool(key).members.iter().filter(|(other, _)| **other != key);
        let peers = others.map(|(other, name)| PeerSeen {
            uuid: self.gluster.daemons[other].uuid.clone(),
            host: name.to_string(),
            connected: self.connected(key, *other),
        });
        Ok((self.gluster.daemons[&key].uuid.clone(), peers.collect()))
    }

    pub fn peer_probe(&mut self, key: HostKey, host: &HostName) -> Result<(), HostError> {
        let what = format!("gluster peer probe {host}");
        self.gluster_answers(key, &what)?;
        let unreachable = || failed(&what, "Probe returned with Transport endpoint is not connected");
        let other = self.resolve(host).ok_or_else(unreachable)?;
        let (ours, theirs) = (self.gluster.daemons[&key].pool, self.gluster.daemons[&other].pool);
        if ours == theirs {
            return Ok(());
        }
        if !self.connected(key, other) {
            return Err(unreachable());
        }
        let their_pool = &self.gluster.pools[&theirs];
        if their_pool.members.len() > 1 {
            return Err(failed(&what, &format!("{host} is either already part of another cluster")));
        }
        if !their_pool.volumes.is_empty() {
            return Err(failed(&what, &format!("{host} is having volumes configured")));
        }
        self.gluster.pools.remove(&theirs);
        let own_name = self.address(key);
        let pool = self.gluster.pool_mut(key);
        pool.members.entry(key).or_insert(own_name);
        pool.members.insert(other, host.clone());
        if let Some(daemon) = self.gluster.daemons.get_mut(&other) {
            daemon.pool = ours;
        }
        Ok(())
    }

    pub fn peer_detach(&mut self, key: HostKey, host: &HostName, force: bool) -> Result<(), HostError> {
        let what = format!("gluster peer detach {host}");
        self.gluster_answers(key, &what)?;
        let stranger = || failed(&what, &format!("{host} is not part of cluster"));
        let other = self.resolve(host).ok_or_else(stranger)?;
        if other == key {
            return Err(failed(&what, &format!("{host} is localhost")));
        }
        let pool = self.gluster.pool(key);
        if !pool.members.contains_key(&other) {
            return Err(stranger());
        }
        let mut bricks = pool.volumes.values().flat_map(|volume| &volume.bricks);
        if bricks.any(|brick| self.resolve(&brick.host) == Some(other)) {
            return Err(failed(
                &what,
                &format!(
                    "Peer {host} hosts one or more bricks. If the peer is in not recoverable state then use \
                          either replace-brick or remove-brick command with force to remove all bricks from the peer \
                          and attempt the peer detach again."
                ),
            ));
        }
        if !force && !pool.members.keys().all(|member| self.connected(key, *member)) {
            let said = "One of the peers is probably down. Check with 'peer status'".to_owned();
            return Err(HostError::PeersDown { what, said });
        }
        self.gluster.pool_mut(key).members.remove(&other);
        let alone = self.gluster.new_pool();
        if let Some(daemon) = self.gluster.daemons.get_mut(&other) {
            daemon.pool = alone;
        }
        Ok(())
    }

    pub fn volume(&self, key: HostKey, name: &VolumeName) -> Result<Option<GlusterVolume>, HostError> {
        self.gluster_answers(key, &format!("gluster volume info {name}"))?;
        Ok(self.gluster.pool(key).volumes.get(name).map(|volume| GlusterVolume {
            name: name.clone(),
            uuid: volume.uuid.clone(),
            started: volume.started,
            layout: Some(volume.layout),
            bricks: volume.bricks.clone(),
            options: volume.options.clone().into_iter().collect(),
        }))
    }

    pub fn volumes(&self, key: HostKey) -> Result<Vec<VolumeName>, HostError> {
        self.gluster_answers(key, "gluster volume list")?;
        Ok(self.gluster.pool(key).volumes.keys().cloned().collect())
    }

    /// Every check of glusterd's staging, in its order; then the effect.
    pub fn volume_create(
        &mut self,
        key: HostKey,
        name: &VolumeName,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<(), HostError> {
        let uuid = self.stage_create(key, name, layout, bricks)?;
        self.mark_bricks(bricks, &uuid);
        let volume = Volume::new(uuid, layout, bricks);
        self.gluster.pool_mut(key).volumes.insert(name.clone(), volume);
        Ok(())
    }

    /// As when a glusterd is killed in between: the bricks are marked, the volume is not there.
    pub fn volume_create_halfway(
        &mut self,
        key: HostKey,
        name: &VolumeName,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<(), HostError> {
        let uuid = self.stage_create(key, name, layout, bricks)?;
        let some = bricks.len().div_ceil(2);
        self.mark_bricks(&bricks[..some], &uuid);
        Ok(())
    }

    fn stage_create(
        &self,
        key: HostKey,
        name: &VolumeName,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<String, HostError> {
        let what = format!("gluster volume create {name}");
        self.gluster_answers(key, &what)?;
        if self.gluster.pool(key).volumes.contains_key(name) {
            return Err(failed(&what, &format!("Volume {name} already exists")));
        }
        self.stage_bricks(key, &what, layout, bricks)?;
        Ok(uuid::Uuid::new_v4().to_string())
    }

    /// The host of a brick, which has to be of this pool and within reach.
    pub(super) fn brick_host(&self, key: HostKey, what: &str, brick: &BrickAddress) -> Result<HostKey, HostError> {
        let pool = self.gluster.pool(key);
        let host = self.resolve(&brick.host);
        match host.filter(|host| *host == key || pool.members.contains_key(host)) {
            None => Err(failed(what, &format!("Host {} is not in 'Peer in Cluster' state", brick.host))),
            Some(host) if !self.connected(key, host) => {
                Err(failed(what, &format!("Host {} not connected", brick.host)))
            }
            Some(host) => Ok(host),
        }
    }

    /// What new bricks have to be, whatever they are for.
    pub(super) fn stage_bricks(
        &self,
        key: HostKey,
        what: &str,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<(), HostError> {
        let refuse = |said: String| Err(failed(what, &said));
        let per_set = per_set(layout);
        if bricks.is_empty() || !bricks.len().is_multiple_of(per_set) {
            return refuse(format!("number of bricks is not a multiple of {per_set}"));
        }
        let pool = self.gluster.pool(key);
        let mut hosts = Vec::with_capacity(bricks.len());
        for brick in bricks {
            hosts.push(self.brick_host(key, what, brick)?);
        }
        for set in hosts.chunks(per_set) {
            if set.iter().collect::<BTreeSet<_>>().len() < set.len() {
                return refuse(
                    "Multiple bricks of a replicate volume are present on the same server. This setup is not optimal. \
                     Bricks should be on different nodes to have best fault tolerant configuration. Use 'force' at the \
                     end of the command if you want to override this behavior."
                        .into(),
                );
            }
        }
        let mut seen = BTreeSet::new();
        for (brick, host) in bricks.iter().zip(&hosts) {
            if !seen.insert((host, &brick.path)) {
                return refuse(format!("Found duplicate exports {}:{}", brick.host, brick.path));
            }
            self.check_brick(pool, *host, brick).map_err(|said| failed(what, &said))?;
        }
        Ok(())
    }

    pub(super) fn check_brick(&self, pool: &Pool, host: HostKey, brick: &BrickAddress) -> Result<(), String> {
        let BrickAddress { host: name, path } = brick;
        let overlaps = |used: &BrickAddress| {
            let (used_path, path) = (used.path.as_path(), path.as_path());
            (used_path.starts_with(path) || path.starts_with(used_path)) && self.resolve(&used.host) == Some(host)
        };
        let near = self.gluster.was_ever_near(path.as_path());
        if near && pool.volumes.values().flat_map(|volume| &volume.bricks).any(overlaps) {
            return Err(format!(
                "Brick: {name}:{path} not available. Brick may be containing or be contained by an existing brick."
            ));
        }
        let machine = self.machine(host);
        if machine.mounted_at(path.as_path()).is_some() {
            return Err(format!(
                "The brick {name}:{path} is a mount point. Please create a sub-directory under the mount point and \
                 use that as the brick directory. Or use 'force' at the end of the command if you want to override \
                 this behavior."
            ));
        }
        let Some(parent) = path.as_path().parent() else {
            return Err(format!("Failed to create brick directory for brick {name}:{path}"));
        };
        match machine.mounted_at(parent).map(|mount| &mount.what) {
            Some(Source::Volume { .. }) => {}
            _ if machine.mount_points.contains_key(parent) => {
                return Err(format!(
                    "The brick {name}:{path} is being created in the root partition. It is recommended that you don't \
                     use the system's root partition for storage backend. Or use 'force' at the end of the command if \
                     you want to override this behavior."
                ));
            }
            _ => {
                return Err(format!(
                    "Failed to create brick directory for brick {name}:{path}. Reason : No such file or directory"
                ));
            }
        }
        if machine.directory(path.as_path()).is_some_and(|directory| directory.mark.is_some()) {
            return Err(format!("{name}:{path} is already part of a volume"));
        }
        Ok(())
    }

    pub(super) fn mark_bricks(&mut self, bricks: &[BrickAddress], uuid: &str) {
        self.gluster.note_bricks(bricks);
        for brick in bricks {
            let Some(host) = self.resolve(&brick.host) else { continue };
            let path = brick.path.as_path();
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let Ok(at) = parent.as_str().parse() else { continue };
            // glusterd makes the last part of the path itself.
            if let Ok(file_system) = self.machine_mut(host).file_system_at("mkdir", &at) {
                let directory = file_system.directories.entry(name.to_owned()).or_default();
                let on_disk = directory.mark.replace(uuid.to_owned());
                directory.unsynced = Some(Unsynced { since: Instant::now(), on_disk });
            }
        }
    }

    pub fn volume_set(
        &mut self,
        key: HostKey,
        name: &VolumeName,
        options: &[(OptionKey, OptionValue)],
    ) -> Result<(), HostError> {
        let what = format!("gluster volume set {name}");
        self.find_volume(key, &what, name)?;
        for (option, _) in options {
            if !option.as_str().contains('.') && option.as_str() != "group" {
                return Err(failed(&what, &format!("option : {option} does not exist")));
            }
        }
        let volume = self.find_volume(key, &what, name)?;
        if volume.never_ran && volume.layout != Layout::Distribute {
            // It looks for the self-heal daemon's file, which a clone gets when it is started.
            return Err(failed(&what, "Commit failed on localhost. Please check the log file for more details."));
        }
        volume.options.extend(options.iter().map(|(option, value)| (option.to_string(), value.as_str().to_owned())));
        Ok(())
    }

    pub fn volume_reset(&mut self, key: HostKey, name: &VolumeName, option: &OptionKey) -> Result<(), HostError> {
        let what = format!("gluster volume reset {name}");
        let volume = self.find_volume(key, &what, name)?;
        if option.as_str().starts_with("user.") {
            return Err(failed(&what, &format!("Option {option} does not exist")));
        }
        volume.options.remove(option.as_str());
        Ok(())
    }

    pub fn volume_start(&mut self, key: HostKey, name: &VolumeName) -> Result<(), HostError> {
        let what = format!("gluster volume start {name}");
        let volume = self.find_volume(key, &what, name)?.clone();
        if volume.started {
            return Err(failed(&what, &format!("Volume {name} already started")));
        }
        for brick in &volume.bricks {
            let Some(host) = self.resolve(&brick.host).filter(|host| self.connected(key, *host)) else { continue };
            match self.machine(host).directory(brick.path.as_path()) {
                None => {
                    return Err(failed(
                        &what,
                        &format!(
                            "Failed to find brick directory {} for volume {name}. Reason : No such file or directory",
                            brick.path
                        ),
                    ));
                }
                Some(directory) if directory.mark.as_ref() != Some(&volume.uuid) => {
                    return Err(failed(
                        &what,
                        &format!(
                            "Failed to get extended attribute trusted.glusterfs.volume-id for brick dir {}. Reason : No data available",
                            brick.path
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
        let found = self.find_volume(key, &what, name)?;
        found.started = true;
        found.never_ran = false;
        self.start_bricks_everywhere(key, &volume);
        Ok(())
    }

    /// `volume start force` of a volume that runs.
    pub fn volume_start_bricks(&mut self, key: HostKey, name: &VolumeName) -> Result<(), HostError> {
        let found = self.find_volume(key, &format!("gluster volume start {name} force"), name)?;
        found.heal_unattended = false;
        let volume = found.clone();
        self.start_bricks_everywhere(key, &volume);
        Ok(())
    }

    /// On every host within reach.
    pub(super) fn start_bricks_everywhere(&mut self, key: HostKey, volume: &Volume) {
        let hosts: BTreeSet<HostKey> = volume.bricks.iter().filter_map(|brick| self.resolve(&brick.host)).collect();
        for host in hosts {
            if self.connected(key, host) {
                self.start_bricks(host, volume);
            }
        }
    }

    pub fn volume_stop(&mut self, key: HostKey, name: &VolumeName) -> Result<(), HostError> {
        let what = format!("gluster volume stop {name}");
        let volume = self.find_volume(key, &what, name)?;
        if !volume.started {
            return Err(failed(&what, &format!("Volume {name} is not in the started state")));
        }
        volume.started = false;
        let bricks = volume.bricks.clone();
        let reachable: Vec<HostKey> =
            self.gluster.daemons.keys().copied().filter(|host| self.connected(key, *host)).collect();
        self.gluster.online.retain(|(host, brick)| !(reachable.contains(host) && bricks.contains(brick)));
        Ok(())
    }

    pub fn volume_delete(&mut self, key: HostKey, name: &VolumeName) -> Result<(), HostError> {
        let what = format!("gluster volume delete {name}");
        if self.find_volume(key, &what, name)?.started {
            return Err(failed(
                &what,
                &format!("Volume {name} has been started. Volume needs to be stopped before deletion."),
            ));
        }
        let snapshots = self.snapshots_of(key, name);
        if snapshots > 0 {
            return Err(failed(
                &what,
                &format!(
                    "Cannot delete Volume {name} ,as it has {snapshots} snapshots. To delete the volume, first delete \
                     all the snapshots under it."
                ),
            ));
        }
        let pool = self.gluster.pool(key);
        if !pool.members.keys().all(|member| self.connected(key, *member)) {
            return Err(HostError::PeersDown { what, said: "Some of the peers are down".to_owned() });
        }
        self.gluster.pool_mut(key).volumes.remove(name);
        Ok(())
    }

    pub(super) fn find_volume(
        &mut self,
        key: HostKey,
        what: &str,
        name: &VolumeName,
    ) -> Result<&mut Volume, HostError> {
        self.gluster_answers(key, what)?;
        let volume = self.gluster.pool_mut(key).volumes.get_mut(name);
        volume.ok_or_else(|| failed(what, &format!("Volume {name} does not exist")))
    }

    /// The name by which the others of its pool know a host: the address that its storage traffic uses, if it has one.
    fn address(&self, key: HostKey) -> HostName {
        let names = &self.machine(key).names;
        names.get(1).unwrap_or(&names[0]).clone()
    }
}
