//! Devices and disks.

use std::sync::Arc;

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::Disk;
use bricklayer_proto::names::{DevicePath, PvUuid, VgName};
use bricklayer_proto::task::{DeviceReport, DeviceSpec, Done, Failure, Report};
use bricklayer_store::StoreError;

use super::steps::must_be;
use super::{Engine, OnProgress, chain, done, failure, not_so};
use crate::host::{GroupReport, HostView};
use crate::journal::Doomed;
use crate::observe::{self, OnDisk};
use crate::plan::{self, Step};

/// As `wipefs` names LVM's label.
const PHYSICAL_VOLUME: &str = "LVM2_member";

impl Engine {
    pub(super) async fn device(&self, spec: &DeviceSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        progress("looking at the disk");
        let (view, on_disk) = self.look_at(&spec.path).await?;
        let steps = plan::device::ensure(spec, &view, &on_disk)?;
        self.run(&steps, progress).await?;
        let view = self.host.view().await.map_err(|error| failure(&error))?;
        let report = plan::device::group_of(&view.groups, spec.device).cloned();
        let report = Arc::new(must_be(report, "the volume group")?);
        plan::device::ours(&report, spec.device)?;
        self.remember(&report);
        let Some(physical) = report.physical_volumes.first() else {
            return Err(not_so(format!("volume group {} has no physical volume", report.name)));
        };
        let Some(device) = physical.path.as_ref().and_then(|path| observe::device(&view, path)) else {
            return Err(not_so(format!("the disk of volume group {} is not to be seen", report.name)));
        };
        // The path by which it was given is the one that people know.
        let disk = Disk { path: spec.path.clone(), ..observe::disk(&view, device, &Ok(Vec::new())) };
        let report = DeviceReport { pv_uuid: physical.uuid.clone(), disk, space: report.space };
        Ok(done(!steps.is_empty(), Report::Device(report)))
    }

    pub(super) async fn device_condemned(&self, device: DeviceId, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let report = self.group_of(device).await?;
        let steps = plan::device::condemn(device, report.as_ref())?;
        self.run(&steps, progress).await?;
        Ok(done(!steps.is_empty(), Report::Nothing))
    }

    /// The group first, and then the physical volume that it leaves behind; a repeat goes on with that.
    pub(super) async fn device_gone(
        &self,
        device: DeviceId,
        named: Option<&PvUuid>,
        progress: OnProgress<'_>,
    ) -> Result<Done, Failure> {
        let report = self.group_of(device).await?;
        let group = plan::device::remove(device, report.as_ref())?;
        if let Some(Step::RemoveGroup(doomed)) = group.first() {
            let (physical_volume, disk) = (doomed.physical_volume().clone(), doomed.disk().clone());
            self.note_doomed(device, &Doomed { physical_volume, disk }).await?;
        }
        self.run(&group, progress).await?;
        let noted = self.noted_doomed(device)?;
        let uuid = noted.as_ref().map(|noted| &noted.physical_volume);
        let mut view = self.host.view().await.map_err(|error| failure(&error))?;
        if plan::device::group_of(&view.groups, device).is_some() {
            return Err(not_so(format!("the volume group of device {device} is still there")));
        }
        let left = plan::device::clear(device, uuid, named, &view)?;
        self.run(&left, progress).await?;
        if !left.is_empty() {
            view = self.host.view().await.map_err(|error| failure(&error))?;
            if !plan::device::clear(device, uuid, named, &view)?.is_empty() {
                return Err(not_so(format!("the physical volume of device {device} is still there")));
            }
        } else if let Some(noted) = &noted {
            self.is_gone_for_certain(device, noted, &view).await?;
        }
        if noted.is_some() {
            self.forget_doomed(device).await?;
        }
        Ok(done(!group.is_empty() || !left.is_empty(), Report::Nothing))
    }

    /// LVM does not see the physical volume: it was removed before a crash, or its disk cannot be read.
    async fn is_gone_for_certain(&self, device: DeviceId, noted: &Doomed, view: &HostView) -> Result<(), Failure> {
        let mut in_groups = view.groups.iter().flat_map(|group| &group.physical_volumes);
        if in_groups.any(|volume| volume.uuid == noted.physical_volume) {
            tracing::warn!(device.id = %device, physical_volume = %noted.physical_volume, "somebody has made another group of what was this device's");
            return Ok(());
        }
        let why = match self.host.signatures(&noted.disk).await {
            Ok(found) if found.iter().all(|signature| signature.what != PHYSICAL_VOLUME) => return Ok(()),
            Ok(_) => "LVM does not list it".to_owned(),
            Err(error) => chain(&error),
        };
        Err(plan::refused_with_cure(
            format!(
                "the volume group of device {device} is gone, and nobody can say whether {} still carries its physical volume \
                 {}: {why}",
                noted.disk, noted.physical_volume
            ),
            format!("Bring the disk back, or declare it lost: `bricklayer device lost {device}`"),
        ))
    }

    async fn note_doomed(&self, device: DeviceId, doomed: &Doomed) -> Result<(), Failure> {
        let Some(journal) = self.journal.get() else { return Ok(()) };
        journal.doom(device, doomed).await.map_err(journal_failed)
    }

    fn noted_doomed(&self, device: DeviceId) -> Result<Option<Doomed>, Failure> {
        let Some(journal) = self.journal.get() else { return Ok(None) };
        journal.doomed(device).map_err(journal_failed)
    }

    async fn forget_doomed(&self, device: DeviceId) -> Result<(), Failure> {
        let Some(journal) = self.journal.get() else { return Ok(()) };
        journal.forget_doomed(device).await.map_err(journal_failed)
    }

    pub(super) async fn device_seen(&self, device: DeviceId) -> Result<Done, Failure> {
        match self.group_of(device).await? {
            Some(report) => Ok(done(false, Report::Group { space: report.space })),
            None => Err(plan::refused(format!("this host does not see the volume group of device {device}"))),
        }
    }

    pub(super) async fn disk_wiped(
        &self,
        path: &DevicePath,
        confirm: &str,
        progress: OnProgress<'_>,
    ) -> Result<Done, Failure> {
        progress("looking at the disk");
        let (view, on_disk) = self.look_at(path).await?;
        let steps = plan::wipe::ensure(path, confirm, &view, &on_disk)?;
        self.run(&steps, progress).await?;
        if !steps.is_empty() {
            let (view, on_disk) = self.look_at(path).await?;
            // Nothing is left by which it could be refused, or it was not wiped.
            let left = plan::wipe::ensure(path, confirm, &view, &on_disk);
            if left.as_ref().is_ok_and(Vec::is_empty) {
                return Ok(done(true, Report::Nothing));
            }
            let device = observe::device(&view, path).ok_or_else(|| not_so(format!("{path} is gone")))?;
            let obstacles = observe::disk(&view, device, &on_disk).obstacles;
            let what = obstacles.first().map(ToString::to_string).unwrap_or_default();
            return Err(Failure { obstacles, ..not_so(format!("{path} was wiped, and still {what}")) });
        }
        Ok(done(false, Report::Nothing))
    }

    /// The host, and what is written on the disk of that name.
    async fn look_at(&self, path: &DevicePath) -> Result<(HostView, OnDisk), Failure> {
        let view = self.host.view().await.map_err(|error| failure(&error))?;
        let on_disk = match observe::device(&view, path) {
            Some(device) => self.on_disk(device).await,
            None => Ok(Vec::new()),
        };
        Ok((view, on_disk))
    }

    pub(super) async fn group_of(&self, device: DeviceId) -> Result<Option<GroupReport>, Failure> {
        let named = self.host.group(&VgName::of_device(device)).await.map_err(|error| failure(&error))?;
        if named.is_some() {
            return Ok(named);
        }
        // A group that was adopted keeps the name that it has: its tags tell.
        let view = self.host.view().await.map_err(|error| failure(&error))?;
        Ok(plan::device::group_of(&view.groups, device).cloned())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn journal_failed(error: StoreError) -> Failure {
    not_so(format!("the agent's journal failed: {}", chain(&error)))
}
