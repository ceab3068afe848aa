//! The steps of a plan, one by one.

use std::sync::Arc;

use bricklayer_proto::task::Failure;

use super::{Engine, OnProgress, failure, not_so};
use crate::fstab;
use crate::host::{GroupReport, HostError};
use crate::lock::Key;
use crate::plan::Step;
use crate::plan::brick::RECORD;
use crate::tags;

/// How often fstab is tried again when somebody else changes it at the same time.
const FSTAB_TRIES: u32 = 10;

impl Engine {
    /// Carries a plan out. Answers the group as LVM reported it last, where a step had LVM report it.
    pub(super) async fn run(
        &self,
        steps: &[Step],
        progress: OnProgress<'_>,
    ) -> Result<Option<Arc<GroupReport>>, Failure> {
        let mut last = None;
        for step in steps {
            tracing::info!("{step}");
            progress(step.doing());
            let done = self.step(step).await.map(|report| report.map(Arc::new));
            if let Some(group) = step.changes_group() {
                match &done {
                    Ok(Some(report)) => self.remember(report),
                    Ok(None) | Err(_) => self.forget(group),
                }
            }
            match done {
                Ok(report) => last = report.or(last),
                Err(error) => return Err(failure(&error)),
            }
        }
        Ok(last)
    }

    async fn step(&self, step: &Step) -> Result<Option<GroupReport>, HostError> {
        let host = &self.host;
        match step {
            Step::UnmountForeign { at } => host.unmount_foreign(at).await?,
            Step::DropForeignLines { lines } => {
                self.edit_fstab(|text| fstab::without(text, |entry| lines.iter().any(|line| line == entry.line)))
                    .await?;
            }
            Step::DeactivateGroup { group } => host.deactivate_group(group).await?,
            Step::RemoveMapping { name } => {
                // Gone with its group, or with the mapping that lay on it.
                let view = host.view().await?;
                if view.block_devices.iter().any(|device| device.mapping.as_ref() == Some(name)) {
                    host.remove_mapping(name).await?;
                }
            }
            Step::WipeSignatures(disk) => {
                // A partition is gone once the table it stood in was wiped.
                let view = host.view().await?;
                if crate::observe::device(&view, disk.path()).is_some() {
                    host.wipe_signatures(disk.path()).await?;
                }
            }
            Step::CreateGroup { disk, group, extent_size, tags } => {
                host.create_group(disk, group, *extent_size, tags).await?;
            }
            Step::CondemnGroup { group } => host.add_group_tag(group, &tags::condemned()).await?,
            Step::RemoveGroup(doomed) => host.remove_group(doomed.group()).await?,
            Step::RemovePhysicalVolume(doomed) => host.remove_physical_volume(doomed.disk()).await?,
            Step::ActivateGroup { group } => host.activate_group(group).await?,
            Step::CreateVolumes(wanted) => return host.create_brick_volumes(wanted).await.map(Some),
            Step::CreateLinear(wanted) => return host.create_linear_volume(wanted).await.map(Some),
            Step::MakeXfs { group, volume, arbiter } => host.make_xfs(group, volume, *arbiter).await?,
            Step::MakeXfsOver { blank, arbiter } => {
                host.make_xfs_over(blank.group(), blank.volume(), *arbiter).await?;
            }
            Step::MakeMountPoint { at } => host.make_mount_point(at).await?,
            Step::SetLine { brick, line } => {
                self.edit_fstab(|text| fstab::with_brick(text, *brick, line)).await?;
            }
            Step::Mount { group, volume, at } => host.mount(group, volume, at).await?,
            Step::WriteRecord { at, content } => host.write_record(at, RECORD, content).await?,
            Step::MakeBrickDirectory { path, gid } => host.make_brick_directory(path, *gid).await?,
            Step::ExtendPool { group, pool, data, metadata } => {
                host.extend_pool(group, pool, *data, *metadata).await?;
            }
            Step::ExtendVolume { group, volume, to } => host.extend_volume(group, volume, *to).await?,
            Step::GrowXfs { at } => host.grow_xfs(at).await?,
            Step::ReplaceTags { group, volume, gone, new } => {
                host.replace_volume_tags(group, volume, gone, new).await?;
            }
            Step::CondemnVolumes { group, volumes } => {
                host.add_volume_tags(group, volumes, &tags::condemned()).await?;
            }
            Step::Unmount { at } => host.unmount(at).await?,
            Step::DropLine { brick } => {
                self.edit_fstab(|text| fstab::without_brick(text, *brick)).await?;
            }
            Step::RemoveVolumes(doomed) => {
                let removed = host.remove_volumes(doomed.group(), doomed.volumes()).await;
                let after = host.group(doomed.group()).await?;
                let left = after
                    .iter()
                    .flat_map(|group| &group.volumes)
                    .find(|volume| doomed.volumes().contains(&volume.name));
                if let Some(left) = left {
                    removed?;
                    // LVM leaves out what is not condemned, and says nothing of it.
                    let said = format!("LVM left {} as it is", left.name);
                    return Err(HostError::Failed { what: step.to_string(), said });
                }
                return Ok(after);
            }
            Step::RemoveMountPoint { at } => host.remove_mount_point(at).await?,
            Step::ReplaceGroupTags { group, gone, new } => host.replace_group_tags(group, gone, new).await?,
            Step::TakeLine { brick, device, at } => {
                self.edit_fstab(|text| fstab::taken_over(text, device, at, *brick)).await?;
            }
            Step::GiveLineBack { brick } => {
                self.edit_fstab(|text| fstab::given_back(text, *brick)).await?;
            }
            Step::RemoveRecord { at } => host.remove_record(at, RECORD).await?,
        }
        Ok(None)
    }

    /// Changes fstab, again if somebody else did at the same time.
    pub(super) async fn edit_fstab(&self, change: impl Fn(&str) -> String) -> Result<(), HostError> {
        let _one_at_a_time = self.locks.take(Key::Fstab).await;
        for _ in 0..FSTAB_TRIES {
            let old = self.host.fstab().await?;
            let new = change(&old);
            if new == old || self.host.replace_fstab(&old, &new).await? {
                return Ok(());
            }
        }
        Err(HostError::Failed {
            what: "changing fstab".to_owned(),
            said: "somebody else changes it all the time".to_owned(),
        })
    }
}

/// A group that a step was to leave behind.
pub(super) fn must_be<R>(report: Option<R>, what: &str) -> Result<R, Failure> {
    report.ok_or_else(|| not_so(format!("LVM made {what} and does not know it")))
}
