//! Devices and disks.

use std::sync::Arc;

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::Disk;
use bricklayer_proto::names::{DevicePath, VgName};
use bricklayer_proto::task::{DeviceReport, DeviceSpec, Done, Failure, Report};

use super::steps::must_be;
use super::{Engine, OnProgress, done, failure, not_so};
use crate::host::{GroupReport, HostView};
use crate::observe::{self, OnDisk};
use crate::plan;

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

    pub(super) async fn device_gone(&self, device: DeviceId, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let report = self.group_of(device).await?;
        let steps = plan::device::remove(device, report.as_ref())?;
        self.run(&steps, progress).await?;
        if !steps.is_empty() && self.group_of(device).await?.is_some() {
            return Err(not_so(format!("the volume group of device {device} is still there")));
        }
        Ok(done(!steps.is_empty(), Report::Nothing))
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
