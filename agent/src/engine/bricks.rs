//! Bricks.

use std::sync::Arc;

use bricklayer_proto::names::{BrickPath, DevicePath, MountPoint, VgName, mapper_path};
use bricklayer_proto::task::{BrickKey, BrickReport, BrickSpec, CloneBrickSpec, Done, Failure, FailureKind, Report};

use camino::Utf8Path;

use super::gluster::id_of;
use super::steps::must_be;
use super::{Engine, OnProgress, done, failure, locked, not_so};
use crate::host::{GroupReport, Mount};
use crate::observe;
use crate::plan::brick::{self, Facts, Found, RECORD};
use crate::plan::{Step, clone, refused, refused_with_cure};
use crate::tags;

/// What was seen of the host, to be handed to the planner.
struct Seen {
    group: Option<Arc<GroupReport>>,
    mounts: Vec<Mount>,
    fstab: String,
}

impl Engine {
    /// Makes the brick, first by what is remembered of its group: LVM itself refuses what does not fit or is there
    /// already, and reports the group afterwards, so a memory that was wrong costs one attempt and a look.
    pub(super) async fn brick(&self, spec: &BrickSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let key = spec.key();
        let remembered = locked(&self.remembered).get(&VgName::of_device(spec.device)).cloned();
        let new_there = |group: &Arc<GroupReport>| {
            Found::look(group, &key).is_ok_and(|found| found.volume.is_none() && found.pool.is_none())
        };
        let mut begun = false;
        if let Some(group) = remembered.filter(new_there) {
            let seen = self.see_around(Some(group)).await?;
            match self.brick_from(spec, &seen, progress).await {
                Err(failure) if failure.kind != FailureKind::Unknown => {
                    tracing::debug!("not by what is remembered of the group: {failure}");
                    self.forget(&VgName::of_device(spec.device));
                    begun = failure.kind == FailureKind::Failed;
                }
                done => return done,
            }
        }
        progress("looking at the device");
        let seen = self.see(&key).await?;
        let seen = self.clear_begun_pool(&key, seen, progress).await?;
        self.brick_from(spec, &seen, progress).await.map_err(|failure| match failure.kind {
            // Nothing was changed by the second attempt; by the first something may have been.
            FailureKind::Refused | FailureKind::NoSpace if begun => Failure { kind: FailureKind::Failed, ..failure },
            _ => failure,
        })
    }

    /// Takes what a power cut has left of a pool in the making out of the way.
    async fn clear_begun_pool(
        &self,
        key: &BrickKey,
        mut seen: Seen,
        progress: OnProgress<'_>,
    ) -> Result<Seen, Failure> {
        // The mark first, and what carries it after another look.
        for _ in 0..2 {
            let Some(group) = &seen.group else { break };
            let steps = brick::clear(key, group)?;
            if steps.is_empty() {
                break;
            }
            tracing::warn!(brick.id = %key.brick, "a pool that LVM has left half made is made anew");
            self.run(&steps, progress).await?;
            seen = self.see(key).await?;
        }
        Ok(seen)
    }

    async fn brick_from(&self, spec: &BrickSpec, seen: &Seen, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let key = spec.key();
        let mut facts = self.facts(seen);
        if let Some(group) = facts.group
            && let Some(volume) = Found::look(group, &key)?.volume
        {
            // Half done, or done: what is on the volume decides how far it came.
            match observe::mount_of(&seen.mounts, &group.name, &volume.name) {
                Some(_) => {
                    let at = brick::place(&facts, group, &volume.name, &key);
                    let record = self.host.read_record(&at, RECORD).await;
                    facts.record = record.map_err(|error| failure(&error))?;
                }
                None => {
                    if !volume.active {
                        self.host.activate_group(&group.name).await.map_err(|error| failure(&error))?;
                    }
                    let device = mapper_path(&group.name, &volume.name);
                    let device: DevicePath = device.as_str().parse().map_err(|error| not_so(format!("{error}")))?;
                    let signatures = self.host.signatures(&device).await;
                    facts.on_volume = Some(signatures.map_err(|error| failure(&error))?);
                }
            }
        }
        let steps = brick::ensure(spec, &facts)?;
        if steps.iter().any(|step| matches!(step, Step::CreateVolumes(_) | Step::CreateLinear(_))) {
            self.refuse_without_fstab().await?;
        }
        if steps.iter().any(|step| matches!(step, Step::CreateVolumes(_))) {
            self.refuse_without_thin_tools().await?;
        }
        let report = self.run(&steps, progress).await?.or_else(|| seen.group.clone());
        let report = must_be(report, "the brick's group")?;
        let found = Found::look(&report, &key)?;
        let Some(volume) = found.volume else {
            return Err(not_so(format!("LVM made brick {} and does not know it", key.brick)));
        };
        let path = tags::brick_path(&brick::place(&facts, &report, &volume.name, &key), &volume.tags);
        let changed = steps.iter().any(|step| !matches!(step, Step::MakeBrickDirectory { .. }));
        Ok(done(changed, Report::Brick(BrickReport { path, size: volume.size, space: report.space })))
    }

    /// LVM itself would make the pool, and activate it unchecked after every boot.
    async fn refuse_without_thin_tools(&self) -> Result<(), Failure> {
        let Some(program) = self.missing_thin_tool().await else { return Ok(()) };
        Err(refused_with_cure(
            format!("{program} is not installed on this host, so LVM could not check a thin pool; nothing was made"),
            "Install thin-provisioning-tools or device-mapper-persistent-data there, and ask again",
        ))
    }

    /// Found out before LVM's work is begun, and not when the line is to be written.
    async fn refuse_without_fstab(&self) -> Result<(), Failure> {
        let Some(fault) = self.fstab_fault().await else { return Ok(()) };
        let message = format!("{fault}. A brick needs its line there, so nothing was made");
        Err(refused_with_cure(
            message,
            "Make it writable on the host (`mount -o remount,rw`, `chattr -i`), and ask again",
        ))
    }

    pub(super) async fn brick_can_grow(&self, spec: &BrickSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        progress("looking at the device");
        let seen = self.see(&spec.key()).await?;
        brick::grow(spec, &self.facts(&seen))?;
        self.brick_report(spec, &seen).map(|report| done(false, report))
    }

    pub(super) async fn brick_grown(&self, spec: &BrickSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        progress("looking at the device");
        let key = spec.key();
        let seen = self.see(&key).await?;
        let mut facts = self.facts(&seen);
        if let Some(group) = facts.group
            && let Some(volume) = Found::look(group, &key)?.volume
            && let Some(mount) = observe::mount_of(&seen.mounts, &group.name, &volume.name)
            && let Ok(at) = mount.at.as_str().parse()
        {
            facts.record = self.host.read_record(&at, RECORD).await.map_err(|error| failure(&error))?;
        }
        let steps = brick::grow(spec, &facts)?;
        self.run(&steps, progress).await?;
        let seen = if steps.is_empty() { seen } else { self.see(&key).await? };
        self.brick_report(spec, &seen).map(|report| done(!steps.is_empty(), report))
    }

    /// The brick that glusterd made is one of ours.
    pub(super) async fn clone_brick(&self, spec: &CloneBrickSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        progress("looking at the device");
        let key = spec.key();
        let seen = self.see(&key).await?;
        let mut facts = self.facts(&seen);
        let (volume, at) = clone::find(spec, &facts)?;
        let size = volume.size;
        facts.record = self.host.read_record(&at, RECORD).await.map_err(|error| failure(&error))?;
        let steps = clone::take(spec, &facts)?;
        self.run(&steps, progress).await?;
        let after = if steps.is_empty() { seen.group } else { self.see(&key).await?.group };
        let space = must_be(after, "the brick's group")?.space;
        let report = BrickReport { path: spec.path.clone(), size, space };
        Ok(done(!steps.is_empty(), Report::Brick(report)))
    }

    /// The brick as it is.
    fn brick_report(&self, spec: &BrickSpec, seen: &Seen) -> Result<Report, Failure> {
        let key = spec.key();
        let gone = || not_so(format!("brick {} is gone", key.brick));
        let group = seen.group.as_ref().ok_or_else(gone)?;
        let volume = Found::look(group, &key)?.volume.ok_or_else(gone)?;
        let path = tags::brick_path(&brick::place(&self.facts(seen), group, &volume.name, &key), &volume.tags);
        Ok(Report::Brick(BrickReport { path, size: volume.size, space: group.space }))
    }

    pub(super) async fn brick_synced(&self, key: &BrickKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        progress("writing what GlusterFS has made to the disk");
        let remembered = locked(&self.remembered).get(&VgName::of_device(key.device)).cloned();
        let knows = |group: &Arc<GroupReport>| Found::look(group, key).is_ok_and(|found| found.volume.is_some());
        let group = match remembered.filter(knows) {
            Some(group) => Some(group),
            None => self.group_of(key.device).await?.map(Arc::new),
        };
        let mounts = self.host.mounts().await.map_err(|error| failure(&error))?;
        let mut is_clone = false;
        let mount = match &group {
            Some(group) => Found::look(group, key)?.volume.and_then(|volume| {
                is_clone = tags::is_mounted_by_glusterd(&volume.tags);
                observe::mount_of(&mounts, &group.name, &volume.name)
            }),
            None => None,
        };
        let Some(mount) = mount else {
            let message = format!("brick {} is not mounted here", key.brick);
            // glusterd mounts it once it has started.
            return Err(if is_clone { not_yet(message) } else { refused(message) });
        };
        let marked = self.keep_mark(key, &mount.at, is_clone).await?;
        let (brick, store) = tokio::join!(self.host.sync_file_system(&mount.at), self.host.sync_gluster_store());
        brick.and(store).map_err(|error| failure(&error))?;
        Ok(done(marked, Report::Nothing))
    }

    /// Marks the brick as its volume's if a power cut has taken the mark; answers whether that was so. A clone's brick has the
    /// mark of its source then: it began as a copy of it.
    ///
    /// What says of which volume it is: LVM's tags, and GlusterFS, which has this very folder as a brick of the volume
    /// that bears our id.
    async fn keep_mark(&self, key: &BrickKey, at: &Utf8Path, is_clone: bool) -> Result<bool, Failure> {
        let mark = async |path: &BrickPath| self.host.brick_mark(path).await.map_err(|error| failure(&error));
        let usual = at.as_str().parse::<MountPoint>().ok().map(|at| at.brick_path());
        // On a file system that we made nobody but this volume has left a mark, so GlusterFS need not be asked whose it is.
        if let Some(usual) = usual.filter(|_| !is_clone)
            && mark(&usual).await?.is_some()
        {
            return Ok(false);
        }
        self.glusterd_must_run().await?;
        let volumes = self.host.gluster_volumes_whole().await.map_err(|error| failure(&error))?;
        let ours = volumes.iter().filter(|volume| id_of(volume) == Some(key.volume.to_string().as_str()));
        let found = ours
            .flat_map(|volume| volume.bricks.iter().map(move |brick| (volume, &brick.path)))
            .find(|(_, path)| path.as_path().starts_with(at));
        let Some((volume, path)) = found else {
            // It was away when the others heard of the brick, and hears of it from them.
            return Err(not_yet(format!("this host's glusterd does not know brick {} yet", key.brick)));
        };
        let found = mark(path).await?;
        let is_own = |found: &String| !is_clone || found.eq_ignore_ascii_case(&volume.uuid);
        if found.as_ref().is_some_and(is_own) {
            return Ok(false);
        }
        tracing::warn!(brick.id = %key.brick, volume.name = %volume.name, ?found, "A power cut took GlusterFS's mark off a new brick; it is put back.");
        self.host.mark_brick(path, found.as_deref(), &volume.uuid).await.map_err(|error| failure(&error))?;
        Ok(true)
    }

    pub(super) async fn brick_condemned(&self, key: &BrickKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let group = self.group_of(key.device).await?;
        let steps = brick::condemn(key, group.as_ref())?;
        self.run(&steps, progress).await?;
        Ok(done(!steps.is_empty(), Report::Nothing))
    }

    pub(super) async fn brick_gone(&self, key: &BrickKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        // Its volume, or its place in it, went before: a power cut must not bring that back.
        self.host.sync_gluster_store().await.map_err(|error| failure(&error))?;
        let seen = self.see(key).await?;
        let steps = brick::remove(key, &self.facts(&seen))?;
        let after = self.run(&steps, progress).await?.or(seen.group);
        let changed = steps.iter().any(|step| !matches!(step, Step::RemoveMountPoint { .. }));
        let report = after.map_or(Report::Nothing, |group| Report::Group { space: group.space });
        Ok(done(changed, report))
    }

    async fn see(&self, key: &BrickKey) -> Result<Seen, Failure> {
        let group = self.group_of(key.device).await?.map(Arc::new);
        if let Some(group) = &group {
            self.remember(group);
        }
        self.see_around(group).await
    }

    async fn see_around(&self, group: Option<Arc<GroupReport>>) -> Result<Seen, Failure> {
        let mounts = self.host.mounts().await.map_err(|error| failure(&error))?;
        let fstab = self.host.fstab().await.map_err(|error| failure(&error))?;
        Ok(Seen { group, mounts, fstab })
    }

    fn facts<'a>(&self, seen: &'a Seen) -> Facts<'a> {
        Facts {
            root: self.host.mount_root(),
            group: seen.group.as_deref(),
            mounts: &seen.mounts,
            fstab: &seen.fstab,
            on_volume: None,
            record: None,
        }
    }
}

/// glusterd is about to see to it.
fn not_yet(message: String) -> Failure {
    Failure { kind: FailureKind::Unavailable, message, cure: None, obstacles: Vec::new() }
}
