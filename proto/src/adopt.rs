//! What is there already becomes ours, and is given back: no data, name, id or path is changed by either.
//!
//! Each adoption names what it means in full, as it was seen when it was planned; an agent that sees anything else refuses.

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceId, InstallationId, NodeId};
use crate::inventory::{GlusterSeen, VolumeGroup};
use crate::names::{BrickPath, LvName, MountPoint, PvUuid, VgName, VolumeName};
use crate::task::{BrickAddress, BrickKey, BrickSpec, Layout, NO_VOLUME_ID, VOLUME_ID_OPTION, VolumeKey};

/// The volume option in which heketi wrote the id of its volumes.
pub const HEKETI_ID_OPTION: &str = "user.heketi.id";

/// A volume group of others that is to carry our tags, and nothing else of it to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAdoption {
    pub device: DeviceId,
    pub installation: InstallationId,
    pub node: NodeId,
    /// What it is called, which is seldom what we would call it.
    pub group: VgName,
    /// The one physical volume that it lies on.
    pub pv_uuid: PvUuid,
}

/// A thin or linear volume with a mounted XFS that is a brick already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrickAdoption {
    /// The brick as it is, `space` included. Its record says which installation takes it: ids of others' volumes are the same for
    /// every installation that adopts them.
    pub spec: BrickSpec,
    pub group: VgName,
    pub volume: LvName,
    /// Of a thin volume. A linear one has none, which an older agent does not understand, and refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<LvName>,
    /// The pool belongs to this brick, and goes with it. Of the bricks that share a pool one alone owns it.
    pub owns_pool: bool,
    /// What GlusterFS knows as the brick. It stays.
    pub path: BrickPath,
    /// glusterd made it for a clone, and mounts it.
    pub mounted_by_glusterd: bool,
}

impl BrickAdoption {
    #[must_use]
    pub fn key(&self) -> BrickKey {
        self.spec.key()
    }
}

/// A volume of GlusterFS that is to carry our id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeAdoption {
    pub key: VolumeKey,
    /// All that it has, in glusterd's order.
    pub bricks: Vec<BrickAddress>,
}

/// What of a host an inventory does not tell, as it is not ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostSurvey {
    /// As an inventory has them, and at the same moment as the rest.
    pub groups: Vec<VolumeGroup>,
    /// Where the host mounts its logical volumes.
    pub places: Vec<PlaceSeen>,
    /// `None` where glusterd was not asked.
    pub volumes: Option<Vec<VolumeSurvey>>,
    /// What its glusterd says of itself and its peers now: a report of a minute ago may be older than the pool. `None` of an
    /// agent that is older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gluster: Option<GlusterSeen>,
}

/// Where one logical volume is mounted, and would be at the next boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceSeen {
    pub group: VgName,
    pub volume: LvName,
    pub at: MountPoint,
    pub file_system: String,
    /// How many lines of fstab mount something there.
    pub lines: u32,
}

/// A volume as glusterd has it, whosever it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSurvey {
    pub name: VolumeName,
    /// glusterd's own id, with dashes as it prints it.
    pub uuid: String,
    pub started: bool,
    /// `None` for kinds that Bricklayer does not make, such as volumes with tiers.
    pub layout: Option<Layout>,
    /// In glusterd's order.
    pub bricks: Vec<BrickAddress>,
    /// As they were set.
    pub options: Vec<(String, String)>,
}

impl VolumeSurvey {
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        let said = self.options.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str());
        said.filter(|value| key != VOLUME_ID_OPTION || *value != NO_VOLUME_ID)
    }
}
