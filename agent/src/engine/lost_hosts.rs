//! A volume goes though hosts that have bricks of it never come back.
//!
//! GlusterFS forgets no volume while a member of its pool is away, and lets no member go that has a brick in a volume. But of
//! a volume that is stopped it drops bricks on hosts that are away, all but the last set (seen with 10.3). So stand-ins on
//! this host, which hold nothing, become one more set; all others leave the volume; and then the lost hosts leave the pool.

use bricklayer_proto::ids::VolumeId;
use bricklayer_proto::names::{BrickPath, HostName};
use bricklayer_proto::task::{BrickAddress, Failure, Layout, VolumeDeletion};

use super::{Engine, OnProgress, failure, not_so};
use crate::host::GlusterVolume;
use crate::plan::{refused, refused_with_cure};

fn stand_in_name(volume: VolumeId) -> String {
    format!("leaving-{volume}-")
}

fn is_stand_in(volume: VolumeId, brick: &BrickAddress) -> bool {
    brick.path.as_path().file_name().is_some_and(|name| name.starts_with(&stand_in_name(volume)))
}

impl Engine {
    /// Takes those hosts out of the volume and, as far as other volumes let them, out of the pool. The volume is stopped.
    pub(super) async fn leave_lost_hosts(
        &self,
        deletion: &VolumeDeletion,
        volume: &GlusterVolume,
        progress: OnProgress<'_>,
    ) -> Result<(), Failure> {
        if deletion.lost.is_empty() {
            return Ok(());
        }
        let (_, peers) = self.host.gluster_pool().await.map_err(|error| failure(&error))?;
        // Whoever is connected after all is not lost, and is in nobody's way.
        let is_away = |host: &&HostName| peers.iter().any(|peer| peer.host == host.as_str() && !peer.connected);
        let lost: Vec<&HostName> = deletion.lost.iter().filter(is_away).collect();
        let is_left = volume.bricks.iter().any(|brick| lost.contains(&&brick.host));
        if is_left {
            self.leave_bricks(deletion, volume, &lost, progress).await?;
        }
        if is_left || volume.bricks.iter().any(|brick| is_stand_in(deletion.key.volume, brick)) {
            self.remove_stand_ins(deletion, volume).await?;
        }
        for host in lost {
            if let Err(failure) = self.peer_gone(host, true, progress).await {
                tracing::info!(%host, "A host that is lost stays in the pool for now: {}", failure.message);
            }
        }
        Ok(())
    }

    /// Afterwards the volume consists of stand-ins alone.
    async fn leave_bricks(
        &self,
        deletion: &VolumeDeletion,
        volume: &GlusterVolume,
        lost: &[&HostName],
        progress: OnProgress<'_>,
    ) -> Result<(), Failure> {
        let name = &deletion.key.name;
        // They may be there already, from a try that was cut off, here or on another host; one that is lost in its turn is left
        // as well.
        let stays = |brick: &BrickAddress| is_stand_in(deletion.key.volume, brick) && !lost.contains(&&brick.host);
        let (kept, old): (Vec<_>, Vec<_>) = volume.bricks.iter().cloned().partition(stays);
        if kept.is_empty() {
            progress("gluster volume add-brick");
            self.add_stand_ins(deletion, volume).await?;
        }
        progress("gluster volume remove-brick");
        let dropped = self.host.gluster_drop_bricks(name, &old).await;
        let now = self.look_for(&deletion.key).await?;
        if now.is_some_and(|now| now.bricks.iter().any(|brick| old.contains(brick))) {
            dropped.map_err(|error| failure(&error))?;
            return Err(not_so(format!("bricks were taken out of volume {name} and are still in it")));
        }
        Ok(())
    }

    async fn add_stand_ins(&self, deletion: &VolumeDeletion, volume: &GlusterVolume) -> Result<(), Failure> {
        let name = &deletion.key.name;
        let layout = volume.layout.ok_or_else(|| {
            refused_with_cure(
                format!("volume {name} has a layout that is not known here, and a brick on a host that is lost"),
                format!("Take the lost bricks out of it by hand: gluster volume remove-brick {name} ... force"),
            )
        })?;
        let stand_ins = self.stand_ins(deletion, layout.bricks_per_set())?;
        let added = self.host.gluster_add_stand_ins(name, &stand_ins).await;
        let now = self.look_for(&deletion.key).await?;
        if now.is_some_and(|now| now.bricks.ends_with(&stand_ins)) {
            return Ok(());
        }
        added.map_err(|error| failure(&error))?;
        Err(not_so(format!("bricks were added to volume {name} and are not in it")))
    }

    fn stand_ins(&self, deletion: &VolumeDeletion, number: u32) -> Result<Vec<BrickAddress>, Failure> {
        let Some(host) = &deletion.here else {
            return Err(refused(format!("nothing says by which name volume {} knows this host", deletion.key.name)));
        };
        let paths = (0..number).map(|at| self.stand_in_path(deletion.key.volume, at));
        paths.map(|path| Ok(BrickAddress { host: host.clone(), path: path? })).collect()
    }

    fn stand_in_path(&self, volume: VolumeId, at: u32) -> Result<BrickPath, Failure> {
        let path = self.host.mount_root().as_path().join(format!("{}{at}", stand_in_name(volume)));
        BrickPath::try_from(path.to_string()).map_err(|_| refused(format!("{path} cannot be a brick")))
    }

    /// Those of this host. GlusterFS has the volume as long as one is left, so a repeat finds it.
    async fn remove_stand_ins(&self, deletion: &VolumeDeletion, volume: &GlusterVolume) -> Result<(), Failure> {
        for at in 0..volume.layout.map_or(0, Layout::bricks_per_set) {
            let path = self.stand_in_path(deletion.key.volume, at)?;
            self.host.remove_stand_in(&path).await.map_err(|error| failure(&error))?;
        }
        Ok(())
    }
}
