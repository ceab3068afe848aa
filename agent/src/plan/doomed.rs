//! What may be destroyed. Each type here can be made in one way only, which checks that it may.

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::{LogicalVolume, PhysicalVolume};
use bricklayer_proto::names::{DevicePath, LvName, PvUuid, VgName};
use bricklayer_proto::task::{BrickKey, Failure};

use super::brick::Found;
use super::refused;
use crate::host::{BlockDevice, GroupReport};
use crate::tags;

/// The condemned volumes of one brick, in the order in which they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoomedVolumes {
    group: VgName,
    volumes: Vec<LvName>,
}

impl DoomedVolumes {
    /// The volume of `key`, then its pool, if it has one; whichever is still there. Both must carry tags that match all of
    /// `key` (that is what [`Found`] holds) and the mark.
    pub fn of_brick(found: &Found<'_>, key: &BrickKey) -> Result<Self, Failure> {
        let there = [found.volume, found.pool];
        for volume in there.into_iter().flatten() {
            if !volume.condemned {
                return Err(refused(format!(
                    "{}/{} of brick {} is not condemned, so it is not removed",
                    found.group.name, volume.name, key.brick
                )));
            }
        }
        let volumes = there.into_iter().flatten().map(|volume| volume.name.clone()).collect();
        Ok(Self { group: found.group.name.clone(), volumes })
    }

    /// What LVM has begun and never finished; [`super::brick`] alone knows it.
    pub(super) fn begun(group: &GroupReport, volume: &LogicalVolume) -> Result<Self, Failure> {
        if !volume.condemned {
            return Err(refused(format!("{}/{} is not condemned, so it is not removed", group.name, volume.name)));
        }
        Ok(Self { group: group.name.clone(), volumes: vec![volume.name.clone()] })
    }

    #[must_use]
    pub fn group(&self) -> &VgName {
        &self.group
    }

    #[must_use]
    pub fn volumes(&self) -> &[LvName] {
        &self.volumes
    }
}

/// A linear volume of ours on which nothing is anybody's: no file system of ours was made on it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlankVolume {
    group: VgName,
    volume: LvName,
}

impl BlankVolume {
    /// The volume of a brick, whose tags match all of its key (that is what [`Found`] holds), if it carries the mark.
    #[must_use]
    pub fn of_brick(found: &Found<'_>) -> Option<Self> {
        let volume = found.volume.filter(|volume| tags::is_blank(&volume.tags) && !volume.condemned)?;
        Some(Self { group: found.group.name.clone(), volume: volume.name.clone() })
    }

    #[must_use]
    pub fn group(&self) -> &VgName {
        &self.group
    }

    #[must_use]
    pub fn volume(&self) -> &LvName {
        &self.volume
    }
}

/// A condemned, empty volume group of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoomedGroup {
    group: VgName,
    disk: DevicePath,
    physical_volume: PvUuid,
}

impl DoomedGroup {
    pub fn of_device(report: &GroupReport, device: DeviceId) -> Result<Self, Failure> {
        let name = &report.name;
        match tags::parse_group(&report.tags) {
            Ok(Some(ours)) if ours.device == device => {}
            Ok(_) => return Err(refused(format!("volume group {name} does not say that it is device {device}"))),
            Err(damaged) => {
                return Err(refused(format!("volume group {name} has tags that cannot be read: {damaged}")));
            }
        }
        if !tags::is_condemned(&report.tags) {
            return Err(refused(format!("volume group {name} is not condemned, so it is not removed")));
        }
        if let Some(volume) = report.volumes.first() {
            return Err(refused(format!("volume group {name} still holds {}", volume.name)));
        }
        let (disk, physical_volume) = Self::lies_on(report)?;
        Ok(Self { group: name.clone(), disk, physical_volume })
    }

    /// The one disk of a group of ours, and its physical volume.
    pub(super) fn lies_on(report: &GroupReport) -> Result<(DevicePath, PvUuid), Failure> {
        let name = &report.name;
        let [physical] = report.physical_volumes.as_slice() else {
            return Err(refused(format!(
                "volume group {name} has {} physical volumes, and a device of ours has one",
                report.physical_volumes.len()
            )));
        };
        let path = physical.path.clone();
        let path = path.ok_or_else(|| refused(format!("the disk of volume group {name} is missing")))?;
        Ok((path, physical.uuid.clone()))
    }

    #[must_use]
    pub fn group(&self) -> &VgName {
        &self.group
    }

    #[must_use]
    pub fn disk(&self) -> &DevicePath {
        &self.disk
    }

    #[must_use]
    pub fn physical_volume(&self) -> &PvUuid {
        &self.physical_volume
    }
}

/// A physical volume in no group, which this host wrote down as that of a condemned group of ours before the group went. LVM
/// gives every physical volume a UUID of its own and keeps it when the group goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoomedPhysicalVolume {
    uuid: PvUuid,
    disk: DevicePath,
}

impl DoomedPhysicalVolume {
    /// `None` where it is gone, not seen, or in somebody's group by now.
    pub fn left(noted: &PvUuid, loose: &[PhysicalVolume]) -> Result<Option<Self>, Failure> {
        let found: Vec<&PhysicalVolume> = loose.iter().filter(|volume| volume.uuid == *noted).collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(one.path.clone().map(|disk| Self { uuid: noted.clone(), disk })),
            [one, other, ..] => Err(refused(format!(
                "{} and {} both say that they are physical volume {noted}: one is a copy of the other, and neither is touched",
                one.path.as_ref().map_or("a missing disk", DevicePath::as_str),
                other.path.as_ref().map_or("a missing disk", DevicePath::as_str),
            ))),
        }
    }

    #[must_use]
    pub fn uuid(&self) -> &PvUuid {
        &self.uuid
    }

    #[must_use]
    pub fn disk(&self) -> &DevicePath {
        &self.disk
    }
}

/// A disk, or a part of one, that a person gave up: by confirming its identity, or by asking for its data to be
/// destroyed as it is added. Made by [`super::wipe`] and [`super::device`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoomedDisk {
    path: DevicePath,
}

impl DoomedDisk {
    pub(super) fn given_up(device: &BlockDevice) -> Self {
        Self { path: device.path.clone() }
    }

    #[must_use]
    pub fn path(&self) -> &DevicePath {
        &self.path
    }
}
