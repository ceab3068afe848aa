//! Snapshots of simulated volumes, and the volumes that are cloned from them.
//!
//! glusterd makes a thin volume for each brick inside the pool of its origin, without tags, under a name of its own, and
//! mounts it below its own folder: whatever is there of them, it is no brick of ours until it is made one.

use bricklayer_agent::host::{GlusterSnapshot, HostError};
use bricklayer_proto::names::{BrickPath, LvName, MountPoint, SnapshotName, VgName, VolumeName};
use bricklayer_proto::task::BrickAddress;
use camino::Utf8Path;

use super::disk::failed;
use super::gluster::Volume;
use super::lvm::Kind;
use super::machine::{Mounted, Source};
use super::{HostKey, World};

/// Where glusterd mounts what it makes.
const FOLDER: &str = "/run/gluster/snaps";

#[derive(Clone)]
pub(super) struct Snapshot {
    of: VolumeName,
    active: bool,
    bricks: Vec<Twin>,
}

/// The thin snapshot of a brick, and where glusterd mounts it.
#[derive(Clone, Debug)]
pub(super) struct Twin {
    host: HostKey,
    group: VgName,
    volume: LvName,
    at: MountPoint,
    address: BrickAddress,
}

/// glusterd's ids are random; these tell two volumes apart and are the same in each run of a test.
fn id_of(name: &str) -> String {
    let mut id: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in name.bytes() {
        id = (id ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    }
    format!("{id:032x}")
}

impl World {
    pub fn snapshot(&mut self, key: HostKey, name: &SnapshotName) -> Result<Option<GlusterSnapshot>, HostError> {
        self.gluster_answers(key, &format!("gluster snapshot info {name}"))?;
        let found = self.gluster.pool(key).snapshots.get(name);
        Ok(found.map(|snapshot| GlusterSnapshot { active: snapshot.active }))
    }

    pub fn snapshot_create(&mut self, key: HostKey, name: &SnapshotName, of: &VolumeName) -> Result<(), HostError> {
        let what = format!("gluster snapshot create {name}");
        let volume = self.find_volume(key, &what, of)?.clone();
        if self.gluster.pool(key).snapshots.contains_key(name) {
            return Err(failed(&what, &format!("Snapshot {name} already exists")));
        }
        if !volume.started {
            return Err(failed(&what, &format!("volume {of} is not started")));
        }
        let online = |brick: &BrickAddress| {
            let host = self.resolve(&brick.host).filter(|host| self.connected(key, *host));
            host.is_some_and(|host| self.gluster.brick_is_online(host, brick))
        };
        if !volume.bricks.iter().all(online) {
            return Err(failed(&what, "One or more bricks may be down."));
        }
        let bricks = self.twins(&what, &id_of(name.as_str()), &volume.bricks)?;
        let snapshot = Snapshot { of: of.clone(), active: false, bricks };
        self.gluster.pool_mut(key).snapshots.insert(name.clone(), snapshot);
        Ok(())
    }

    pub fn snapshot_activate(&mut self, key: HostKey, name: &SnapshotName, active: bool) -> Result<(), HostError> {
        let what = format!("gluster snapshot activate {name}");
        let snapshot = self.find_snapshot(key, &what, name)?;
        if snapshot.active == active {
            let word = if active { "activated" } else { "deactivated" };
            return Err(failed(&what, &format!("Snapshot {name} is already {word}.")));
        }
        snapshot.active = active;
        for twin in snapshot.bricks.clone() {
            if active { self.mount_twin(&twin) } else { self.unmount_twin(&twin) }
        }
        Ok(())
    }

    pub fn snapshot_clone(&mut self, key: HostKey, name: &SnapshotName, clone: &VolumeName) -> Result<(), HostError> {
        let what = format!("gluster snapshot clone {clone} {name}");
        self.gluster_answers(key, &what)?;
        if self.gluster.pool(key).volumes.contains_key(clone) {
            return Err(failed(&what, &format!("Volume with name:{clone} already exists")));
        }
        let snapshot = self.find_snapshot(key, &what, name)?.clone();
        if !snapshot.active {
            return Err(failed(&what, &format!("Snapshot {name} is not activated")));
        }
        let source = self.find_volume(key, &what, &snapshot.of)?.clone();
        let id = id_of(clone.as_str());
        let addresses: Vec<BrickAddress> = snapshot.bricks.iter().map(|twin| twin.address.clone()).collect();
        let twins = self.twins(&what, &id, &addresses)?;
        for twin in &twins {
            self.mount_twin(twin);
        }
        let bricks: Vec<BrickAddress> = twins.iter().map(|twin| twin.address.clone()).collect();
        self.mark_bricks(&bricks, &id);
        let mut volume = Volume::new(id, source.layout, &bricks);
        volume.options = source.options;
        volume.never_ran = true;
        volume.twins = twins;
        self.gluster.pool_mut(key).volumes.insert(clone.clone(), volume);
        Ok(())
    }

    pub fn snapshot_delete(&mut self, key: HostKey, name: &SnapshotName) -> Result<(), HostError> {
        let what = format!("gluster snapshot delete {name}");
        let snapshot = self.find_snapshot(key, &what, name)?.clone();
        self.gluster.pool_mut(key).snapshots.remove(name);
        for twin in &snapshot.bricks {
            self.unmount_twin(twin);
            let machine = self.machine_mut(twin.host);
            machine.deactivate(&twin.group, &twin.volume);
            machine.find_group(&what, &twin.group)?.remove(&twin.volume)?;
        }
        Ok(())
    }

    /// How many snapshots the volume has: with any it is not deleted.
    pub fn snapshots_of(&self, key: HostKey, name: &VolumeName) -> usize {
        self.gluster.pool(key).snapshots.values().filter(|snapshot| snapshot.of == *name).count()
    }

    /// What glusterd mounts when it starts.
    pub fn mount_twins(&mut self, key: HostKey) {
        let pool = self.gluster.pool(key);
        let clones = pool.volumes.values().flat_map(|volume| &volume.twins);
        let snapshots = pool.snapshots.values().filter(|snapshot| snapshot.active);
        let twins: Vec<Twin> = clones
            .chain(snapshots.flat_map(|snapshot| &snapshot.bricks))
            .filter(|twin| twin.host == key)
            .cloned()
            .collect();
        for twin in &twins {
            self.mount_twin(twin);
        }
    }

    fn find_snapshot(&mut self, key: HostKey, what: &str, name: &SnapshotName) -> Result<&mut Snapshot, HostError> {
        self.gluster_answers(key, what)?;
        let found = self.gluster.pool_mut(key).snapshots.get_mut(name);
        found.ok_or_else(|| failed(what, &format!("Snapshot ({name}) does not exist")))
    }

    /// A thin snapshot of every brick, inside its pool. Where one fails glusterd takes the others back
    /// (`glusterd_do_snap_cleanup`).
    fn twins(&mut self, what: &str, id: &str, bricks: &[BrickAddress]) -> Result<Vec<Twin>, HostError> {
        let mut twins = Vec::new();
        let made = self.make_twins(what, id, bricks, &mut twins);
        if made.is_err() {
            for twin in &twins {
                let machine = self.machine_mut(twin.host);
                machine.deactivate(&twin.group, &twin.volume);
                machine.find_group(what, &twin.group)?.remove(&twin.volume)?;
            }
        }
        made.map(|()| twins)
    }

    fn make_twins(
        &mut self,
        what: &str,
        id: &str,
        bricks: &[BrickAddress],
        twins: &mut Vec<Twin>,
    ) -> Result<(), HostError> {
        for (number, brick) in (1..).zip(bricks) {
            let not_thin = || failed(what, "Snapshot is supported only for thin provisioned LV.");
            let host = self.resolve(&brick.host).ok_or_else(not_thin)?;
            let root = brick.path.as_path().parent().ok_or_else(not_thin)?;
            let Some(Source::Volume { group, volume }) =
                self.machine(host).mounted_at(root).map(|mount| mount.what.clone())
            else {
                return Err(not_thin());
            };
            let of_host = twins.iter().filter(|twin| twin.host == host).count();
            let name: LvName = format!("{id}_{of_host}").parse().expect("hex digits are a name");
            let machine = self.machine_mut(host);
            let found = machine.find_group(what, &group)?;
            let Some(origin) = found.volumes.get(&volume).cloned() else { return Err(not_thin()) };
            let Kind::Thin { pool, size } = origin.kind else { return Err(not_thin()) };
            found.create_thin(&name, &pool, size, &[])?;
            if let Some(made) = found.volumes.get_mut(&name) {
                made.file_system = origin.file_system;
                // LVM freezes the file system, which writes to the disk what is not there yet.
                let directories =
                    made.file_system.iter_mut().flat_map(|file_system| file_system.directories.values_mut());
                directories.for_each(|directory| directory.unsynced = None);
                made.blocks = origin.blocks;
            }
            machine.activate(&group, &name);
            let at = format!("{FOLDER}/{id}/brick{number}");
            let path = Utf8Path::new(&at).join(brick.path.as_path().file_name().unwrap_or_default());
            let path: BrickPath = path.into_string().try_into().expect("a path below glusterd's folder");
            let address = BrickAddress { host: brick.host.clone(), path };
            let at = at.parse().expect("a mount point");
            twins.push(Twin { host, group, volume: name, at, address });
        }
        Ok(())
    }

    fn mount_twin(&mut self, twin: &Twin) {
        let machine = self.machine_mut(twin.host);
        let there = machine.group(&twin.group).is_some_and(|group| group.volumes.contains_key(&twin.volume));
        // A host without power mounts it when its glusterd starts.
        if !there || machine.kernel.is_none() || machine.mounted_at(twin.at.as_path()).is_some() {
            return;
        }
        machine.activate(&twin.group, &twin.volume);
        let what = Source::Volume { group: twin.group.clone(), volume: twin.volume.clone() };
        machine.kernel_mut().mounts.push(Mounted { what, at: twin.at.as_path().to_owned() });
    }

    fn unmount_twin(&mut self, twin: &Twin) {
        if let Some(kernel) = &mut self.machine_mut(twin.host).kernel {
            kernel.mounts.retain(|mount| mount.at != twin.at.as_path());
        }
    }
}
