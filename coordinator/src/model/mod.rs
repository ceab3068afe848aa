//! What the coordinator knows: clusters, nodes, devices, bricks, volumes and the operations that change them.
//!
//! Plain values. [`Topology`] holds all of them and is immutable: every change makes a new one ([`crate::state`]), so a
//! reader never waits and never sees half a change. The stored form is the JSON of these types; a change of their
//! shape needs a migration (`docs/store-schema.md`).

mod block_volume;
mod cluster;
mod device;
mod node;
mod operation;
mod policy;
mod topology;
mod volume;

pub use block_volume::{BlockAccess, BlockRestriction, BlockVolume, HostingSpace, most_gib};
pub use cluster::Cluster;
pub use device::{Device, DiskIdentity};
pub use node::{Node, Zone};
pub use operation::{
    Adopt, BlockCreate, BlockDelete, BlockExpand, BlockRestrict, BrickMove, BrickReplace, CleanUp, DeviceAdd,
    DeviceDelete, DeviceRemove, DeviceResync, DeviceState, DiskWipe, NodeAdd, NodeDelete, NodeState, OpState,
    Operation, Plan, Resource, Unadopt, VolumeClone, VolumeCreate, VolumeDelete, VolumeExpand, VolumeProtect,
    VolumeTrash, VolumeUndelete,
};
pub use policy::Policies;
#[cfg(test)]
pub use topology::snapshots;
pub use topology::{Host, Hosted, Map, Topology};
pub use volume::{Brick, Durability, FIRST_GENERATION, LvNames, Snapshot, Trash, Volume};

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Free words on nodes and devices, heketi's tags.
pub type Tags = BTreeMap<String, String>;

/// heketi's state of a node or a device: whether it is used for new bricks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    #[default]
    Online,
    Offline,
    /// Emptied for good; `heketi-cli` prints "removed".
    Failed,
}

impl fmt::Display for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Failed => "failed",
        })
    }
}
