use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::{Disk, GroupSpace};
use bricklayer_proto::names::{DevicePath, PvUuid, VgName};
use bricklayer_proto::size::Extents;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdminState, Tags};

/// A raw disk given to us, with a volume group of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: DeviceId,
    pub node: NodeId,
    /// As it was given; shown, never used to find the disk again.
    pub name: DevicePath,
    pub pv_uuid: PvUuid,
    pub disk: DiskIdentity,
    /// The group in LVM's own words, as its agent reported it last.
    pub space: GroupSpace,
    /// Extents that are neither our bricks' nor the spare: other people's volumes in our group.
    pub foreign: Extents,
    pub state: AdminState,
    pub tags: Tags,
    /// A person declared that its disk is gone for ever. Nothing waits for it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Others made its group, which has this name, and it can be given back to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<VgName>,
    pub added: Timestamp,
}

impl Device {
    /// Whether the other record is the same but for what comes and goes with bricks.
    #[must_use]
    pub fn differs_in_free_space_only(&self, other: &Self) -> bool {
        let GroupSpace { extent_size, total, .. } = other.space;
        (self.space.extent_size, self.space.total) == (extent_size, total)
            && Self { space: self.space, ..other.clone() } == *self
    }

    /// What its volume group is called.
    #[must_use]
    pub fn group(&self) -> VgName {
        self.adopted.clone().unwrap_or_else(|| VgName::of_device(self.id))
    }
}

/// What tells a disk from all others, whichever path it has today.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskIdentity {
    pub serial: Option<String>,
    pub wwn: Option<String>,
    /// All its names when it was added, udev's links included.
    pub paths: Vec<DevicePath>,
}

impl From<&Disk> for DiskIdentity {
    fn from(disk: &Disk) -> Self {
        let paths = std::iter::once(&disk.path).chain(&disk.links).cloned().collect();
        Self { serial: disk.serial.clone(), wwn: disk.wwn.clone(), paths }
    }
}
