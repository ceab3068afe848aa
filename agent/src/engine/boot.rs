//! After a boot: every brick of this host comes up before glusterd starts, with or without a coordinator.
//!
//! systemd mounts what fstab says, as far as it can. This mounts what is left, puts lost lines of fstab back, and says
//! which bricks are missing. It makes nothing and removes nothing else: a brick that does not come up stays down, and
//! nothing is ever written below its bare mount point. Condemned bricks are left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::{BrickTags, LogicalVolume};
use bricklayer_proto::names::{MountPoint, VgName, mapper_path};
use bricklayer_proto::task::{BrickKey, BrickSpec, Done, Failure, Report, Task, Wanted};
use futures::future::join_all;

use super::{Engine, OnProgress, chain, done, failure};
use crate::fstab;
use crate::host::{GroupReport, HostError, HostView};
use crate::journal::ManifestBrick;
use crate::lock::Key;
use crate::observe;
use crate::plan::brick::{self, Found, RECORD};
use crate::plan::device::group_of;
use crate::plan::gluster_store;
use crate::plan::refused;
use crate::tags;

/// How often bricks that fail are tried, and how long between.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Mounted, be it by this or before.
    pub up: Vec<BrickId>,
    /// Not mounted, and why.
    pub down: BTreeMap<BrickId, String>,
}

impl Engine {
    /// What keeps glusterd from starting after a power cut is mended before it starts, as far as that is certain.
    pub async fn mend_gluster_store(&self) {
        if let Err(error) = self.mended_gluster_store().await {
            tracing::warn!("glusterd's files could not be mended: {}", chain(&error));
        }
    }

    async fn mended_gluster_store(&self) -> Result<(), HostError> {
        if self.host.gluster_is_running().await? {
            return Ok(());
        }
        for volume in self.host.gluster_store().await? {
            let Some((file, text)) = gluster_store::mend(&volume, &self.host.mount_root()) else { continue };
            self.host.write_gluster_brick(&volume.name, &file, &text).await?;
            tracing::warn!(
                volume.name,
                file,
                "glusterd's file of a brick was lost, as by a power cut; it was made again"
            );
        }
        Ok(())
    }

    /// What a power cut has left of the spares of groups whose first brick was being made, by the journal, goes: LVM made it,
    /// would never finish it, and the space would be nobody's. Nobody may ask for that brick again.
    pub async fn clear_begun_spares(&self, unfinished: &[Task]) {
        for task in unfinished {
            let Wanted::Brick(spec) = &task.wanted else { continue };
            let key = Key::Group(VgName::of_device(spec.device));
            if let Err(failure) = self.locks.holding(vec![key], self.clear_begun_spare(spec)).await {
                tracing::warn!(device.id = %spec.device, "what LVM has left half made stays: {failure}");
            }
        }
    }

    async fn clear_begun_spare(&self, spec: &BrickSpec) -> Result<(), Failure> {
        // The mark first, and what carries it after another look.
        for _ in 0..2 {
            let Some(group) = self.group_of(spec.device).await? else { break };
            let steps = brick::clear_spare(spec, &group)?;
            if steps.is_empty() {
                break;
            }
            tracing::warn!(group = %group.name, "a spare of pool metadata that LVM has left half made goes");
            self.run(&steps, &|_| {}).await?;
        }
        Ok(())
    }

    /// Brings the bricks up. Disks that the manifest misses are waited for as long as `patience` lasts; what fails is
    /// tried again a little later, as much is in motion on a host that boots, and a brick that is up before glusterd
    /// starts is served without anybody's help.
    pub async fn boot(&self, manifest: &[(BrickId, ManifestBrick)], patience: Duration) -> Result<Boot, HostError> {
        let start = tokio::time::Instant::now();
        let mut tries = 1;
        loop {
            let view = loop {
                let view = self.host.view().await?;
                let missing = missing(&view, manifest);
                if missing.is_empty() || start.elapsed() >= patience {
                    break view;
                }
                tracing::info!(bricks = missing.len(), "waiting for the disks of bricks");
                tokio::time::sleep(Duration::from_millis(500)).await;
            };
            let boot = self.boot_once(&view, manifest).await;
            let missing = missing(&view, manifest);
            let failed = boot.down.keys().filter(|brick| !missing.contains(brick)).count();
            if failed == 0 || tries == TRIES {
                return Ok(boot);
            }
            tracing::warn!(bricks = failed, "bricks that did not come up are tried again");
            tokio::time::sleep(BETWEEN_TRIES).await;
            tries += 1;
        }
    }

    async fn boot_once(&self, view: &HostView, manifest: &[(BrickId, ManifestBrick)]) -> Boot {
        let groups = view.groups.iter().filter(|group| matches!(tags::parse_group(&group.tags), Ok(Some(_))));
        let results = join_all(groups.map(|group| self.boot_group(view, group))).await;
        let mut boot = Boot::default();
        for (brick, result) in results.into_iter().flatten() {
            match result {
                Ok(()) => boot.up.push(brick),
                Err(why) => {
                    tracing::error!(brick.id = %brick, "a brick does not come up: {why}");
                    boot.down.insert(brick, why);
                }
            }
        }
        for brick in missing(view, manifest) {
            let entry = manifest.iter().find(|(id, _)| *id == brick).map(|(_, entry)| entry);
            let device = entry.map(|entry| entry.device.to_string()).unwrap_or_default();
            let why = format!("its logical volume is not there; the disk of device {device} may be missing");
            tracing::error!(brick.id = %brick, "a brick does not come up: {why}");
            boot.down.insert(brick, why);
        }
        boot
    }

    async fn boot_group(&self, view: &HostView, group: &GroupReport) -> Vec<(BrickId, Result<(), String>)> {
        let work = async {
            let mut results = Vec::new();
            let bricks: Vec<_> = bricks(group).collect();
            if bricks.iter().any(|(_, volume)| !volume.active)
                && let Err(error) = self.host.activate_group(&group.name).await
            {
                // One broken pool fails the whole command; the bricks beside it may be there all the same.
                tracing::error!(group = %group.name, "could not activate all of a group: {}", chain(&error));
            }
            for (tags, volume) in bricks {
                // glusterd mounts it, with an option that its twin's UUID needs; it may even be of a volume that is gone.
                if tags::is_mounted_by_glusterd(&volume.tags) {
                    continue;
                }
                let result = self.boot_brick(view, group, &tags, volume).await;
                results.push((tags.brick, result.map_err(|error| chain(&error))));
            }
            results
        };
        // As tasks name it, whatever an adopted group is called.
        let device = tags::parse_group(&group.tags).ok().flatten().map(|ours| ours.device);
        let key = Key::Group(device.map_or_else(|| group.name.clone(), VgName::of_device));
        self.locks.holding(vec![key], work).await
    }

    /// One brick, while the host runs. Refused where its volume is not there or does not carry its tags: this makes none.
    /// The group is locked by the caller.
    pub(super) async fn brick_up(&self, key: &BrickKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let view = self.host.view().await.map_err(|error| failure(&error))?;
        let group = group_of(&view.groups, key.device);
        let group = group.ok_or_else(|| refused(format!("device {} is not on this host", key.device)))?;
        let found = Found::look(group, key)?;
        let volume =
            found.volume.ok_or_else(|| refused(format!("brick {} is not on device {}", key.brick, key.device)))?;
        if volume.condemned {
            return Err(refused(format!("brick {} is condemned: it is being removed", key.brick)));
        }
        if tags::is_mounted_by_glusterd(&volume.tags) {
            return Err(refused(format!("brick {} is mounted by glusterd itself", key.brick)));
        }
        if tags::is_blank(&volume.tags) {
            return Err(refused(format!("brick {} has no file system yet: its making was cut off", key.brick)));
        }
        let parsed = tags::parse_brick(&volume.tags).ok().flatten();
        let parsed = parsed.ok_or_else(|| refused(format!("brick {} has no tags that can be read", key.brick)))?;
        progress("mount");
        if !volume.active {
            self.host.activate_group(&group.name).await.map_err(|error| failure(&error))?;
        }
        self.boot_brick(&view, group, &parsed, volume).await.map_err(|error| failure(&error))?;
        let after = self.host.view().await.map_err(|error| failure(&error))?;
        Ok(done((&after.mounts, &after.fstab) != (&view.mounts, &view.fstab), Report::Nothing))
    }

    async fn boot_brick(
        &self,
        view: &HostView,
        group: &GroupReport,
        tags: &BrickTags,
        volume: &LogicalVolume,
    ) -> Result<(), HostError> {
        let device = mapper_path(&group.name, &volume.name);
        let in_fstab = fstab::of_brick(&view.fstab, tags.brick);
        let at = in_fstab.as_ref().and_then(|entry| entry.at.as_str().parse::<MountPoint>().ok());
        let mounts = self.host.mounts().await?;
        let mounted = observe::mount_of(&mounts, &group.name, &volume.name);
        let at = at.or_else(|| mounted?.at.as_str().parse().ok());
        // Somebody may have put the line back that was there before the brick was adopted. Whatever else mounts a brick of
        // ours somewhere is a person's own.
        let is_adopted = volume.tags.contains(&tags::adopted());
        let unmarked = || {
            let line = fstab::entries(&view.fstab).find(|entry| is_adopted && entry.source == device)?;
            line.at.as_str().parse().ok()
        };
        let at = match at.or_else(unmarked) {
            Some(at) => at,
            None if is_adopted => {
                let said = "it was adopted, and no line of fstab says any more where it belongs".to_owned();
                return Err(HostError::Failed { what: format!("mounting {device}"), said });
            }
            None => MountPoint::of_brick(&self.host.mount_root(), &group.name, &volume.name),
        };
        match observe::mounted_at(&mounts, at.as_path()) {
            Some(mount) if mount.source == device => {}
            Some(mount) => {
                let said = format!("{} is mounted there", mount.source);
                return Err(HostError::Failed { what: format!("mounting {device} at {at}"), said });
            }
            None => {
                self.host.make_mount_point(&at).await?;
                self.host.mount(&group.name, &volume.name, &at).await?;
                tracing::info!(brick.id = %tags.brick, %at, "mounted a brick");
            }
        }
        if in_fstab.is_none_or(|entry| entry.source != device) {
            tracing::warn!(brick.id = %tags.brick, "putting the lost line of a brick back into fstab");
            let line = fstab::line(&device, &at, tags.brick);
            let edit = |text: &str| match fstab::of_brick(text, tags.brick) {
                Some(_) => fstab::with_brick(text, tags.brick, &line),
                // One that mounts it already becomes ours; a second one would stay behind the first.
                None => fstab::taken_over(text, &device, &at, tags.brick),
            };
            self.edit_fstab(edit).await?;
        }
        // A brick whose making was cut off has no record yet: it is mounted and harmless, and its task goes on.
        if self.host.read_record(&at, RECORD).await?.is_none() {
            tracing::warn!(brick.id = %tags.brick, %at, "a brick without a record; its making was cut off");
        }
        Ok(())
    }
}

/// The bricks of a group that are to be mounted. What lies on one that is blank is not its own.
fn bricks(group: &GroupReport) -> impl Iterator<Item = (BrickTags, &LogicalVolume)> {
    let there = group.volumes.iter().filter(|volume| !volume.condemned && !tags::is_blank(&volume.tags));
    there.filter_map(|volume| Some((tags::parse_brick(&volume.tags).ok()??, volume)))
}

/// Bricks of the manifest whose logical volumes are not to be seen.
fn missing(view: &HostView, manifest: &[(BrickId, ManifestBrick)]) -> Vec<BrickId> {
    let seen: std::collections::BTreeSet<BrickId> = view
        .groups
        .iter()
        .flat_map(|group| &group.volumes)
        .filter_map(|volume| Some(tags::parse_brick(&volume.tags).ok()??.brick))
        .collect();
    manifest.iter().map(|(brick, _)| *brick).filter(|brick| !seen.contains(brick)).collect()
}
