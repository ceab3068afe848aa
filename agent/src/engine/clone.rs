//! A volume is cloned: a snapshot, a volume made from it, our id and options on that, and the snapshot gone again.
//!
//! A clone inherits every option of its source, so at first it carries the source's id. The snapshot is named after the
//! clone, and is there until the clone is complete: by that a clone that was cut off in the making is told from a
//! stranger, and is gone on with.

use bricklayer_proto::names::{OptionKey, OptionValue, SnapshotName};
use bricklayer_proto::task::{CloneSpec, Done, Failure, FailureKind, Report, VolumeKey};

use super::gluster::{in_transactions, own_id};
use super::{Engine, OnProgress, chain, done, failure, not_so};
use crate::host::{GlusterSnapshot, GlusterVolume};
use crate::plan::refused_with_cure;

impl Engine {
    pub(super) async fn volume_cloned(&self, spec: &CloneSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let name = SnapshotName::for_clone(spec.clone.volume);
        let left = self.snapshot(&name).await?;
        let there = self.look_for_ours(&spec.clone).await?;
        let complete = there.is_some() && left.is_none();
        if !complete {
            if there.is_none()
                && let Err(failure) = self.make_clone(spec, &name, left, progress).await
            {
                self.tidy_up(spec, &name, &failure).await;
                return Err(failure);
            }
            self.set_up_clone(spec, progress).await?;
            self.remove_snapshot(&name, progress).await?;
        }
        let clone = self.ours(&spec.clone).await?;
        let seen = Some(self.volume_report(clone).await);
        Ok(done(!complete, Report::Volume { seen }))
    }

    async fn make_clone(
        &self,
        spec: &CloneSpec,
        name: &SnapshotName,
        left: Option<GlusterSnapshot>,
        progress: OnProgress<'_>,
    ) -> Result<(), Failure> {
        let source = self.ours(&spec.source).await?;
        if !source.started {
            return Err(refused_with_cure(
                format!("volume {} does not run, and GlusterFS clones only volumes that do", source.name),
                "Start it first",
            ));
        }
        if left.is_none() {
            progress("gluster snapshot create");
            let created = self.host.gluster_snapshot_create(name, &source.name).await;
            if self.snapshot(name).await?.is_none() {
                created.map_err(|error| failure(&error))?;
                return Err(not_so(format!("snapshot {name} was made and is not there")));
            }
        }
        if self.snapshot(name).await?.is_none_or(|snapshot| !snapshot.active) {
            progress("gluster snapshot activate");
            let activated = self.host.gluster_snapshot_activate(name, true).await;
            if self.snapshot(name).await?.is_none_or(|snapshot| !snapshot.active) {
                activated.map_err(|error| failure(&error))?;
                return Err(not_so(format!("snapshot {name} was activated and is not active")));
            }
        }
        progress("gluster snapshot clone");
        let cloned = self.host.gluster_snapshot_clone(name, &spec.clone.name).await;
        if self.look_for(&spec.clone).await?.is_none() {
            cloned.map_err(|error| failure(&error))?;
            return Err(not_so(format!("volume {} was made and is not there", spec.clone.name)));
        }
        Ok(())
    }

    /// Gives it its own id, and then its options.
    async fn set_up_clone(&self, spec: &CloneSpec, progress: OnProgress<'_>) -> Result<(), Failure> {
        let key = &spec.clone;
        if !self.ours(key).await?.started {
            // GlusterFS 10 fails to set an option on a clone that never ran: it misses a file that the start makes.
            progress("gluster volume start");
            let started = self.host.gluster_volume_start(&key.name).await;
            if !self.ours(key).await?.started {
                started.map_err(|error| failure(&error))?;
                return Err(not_so(format!("volume {} was started and does not run", key.name)));
            }
        }
        progress("gluster volume set");
        let id = own_id(key);
        self.set_options(key, std::slice::from_ref(&id)).await?;
        let options = spec.options.iter().map(|(key, value)| (key.clone(), value.clone()));
        let options: Vec<(OptionKey, OptionValue)> = options.filter(|(key, _)| *key != id.0).collect();
        for options in in_transactions(options) {
            self.set_options(key, &options).await?;
        }
        Ok(())
    }

    /// No clone came of it, so its snapshot goes as well. What has an unknown outcome is left to the repeat.
    async fn tidy_up(&self, spec: &CloneSpec, name: &SnapshotName, failure: &Failure) {
        let clone = match failure.kind {
            FailureKind::Unknown => return,
            _ => self.look_for(&spec.clone).await,
        };
        if matches!(clone, Ok(None))
            && let Err(failure) = self.remove_snapshot(name, &|_| {}).await
        {
            tracing::warn!(snapshot = %name, "a snapshot is left over: {failure}");
        }
    }

    /// Whether there was one.
    pub(super) async fn remove_snapshot(&self, name: &SnapshotName, progress: OnProgress<'_>) -> Result<bool, Failure> {
        let Some(snapshot) = self.snapshot(name).await? else { return Ok(false) };
        progress("gluster snapshot delete");
        if snapshot.active
            && let Err(error) = self.host.gluster_snapshot_activate(name, false).await
        {
            // Deleting it may still succeed.
            tracing::warn!(snapshot = %name, "{}", chain(&error));
        }
        let deleted = self.host.gluster_snapshot_delete(name).await;
        if self.snapshot(name).await?.is_some() {
            deleted.map_err(|error| failure(&error))?;
            return Err(not_so(format!("snapshot {name} was deleted and is still there")));
        }
        Ok(true)
    }

    /// Whether a volume that carries another id is the clone of this key, cut off before it got its own.
    pub(super) async fn is_clone_in_the_making(&self, key: &VolumeKey) -> Result<bool, Failure> {
        Ok(self.snapshot(&SnapshotName::for_clone(key.volume)).await?.is_some())
    }

    async fn snapshot(&self, name: &SnapshotName) -> Result<Option<GlusterSnapshot>, Failure> {
        self.host.gluster_snapshot(name).await.map_err(|error| failure(&error))
    }
}

/// Whether glusterd made the volume as a clone: then it keeps the bricks where it keeps those of snapshots.
pub(super) fn is_clone(volume: &GlusterVolume) -> bool {
    let is_snapshot =
        |path: &camino::Utf8Path| path.starts_with("/run/gluster/snaps") || path.starts_with("/var/run/gluster/snaps");
    volume.bricks.iter().any(|brick| is_snapshot(brick.path.as_path()))
}
