use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::DevicePath;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdminState, Device, Node, Tags, Volume};

/// Something that changes the world, written down with every id and device it will use before its first effect.
///
/// heketi's `/queue/<id>` is this record: it outlives restarts and may be read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    pub id: OperationId,
    pub plan: Plan,
    pub state: OpState,
    pub started: Timestamp,
    pub finished: Option<Timestamp>,
}

/// What is to be done. Complete: nothing is chosen later, so a repeat makes the same things.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Plan {
    NodeAdd(NodeAdd),
    NodeDelete(NodeDelete),
    DeviceAdd(DeviceAdd),
    DeviceDelete(DeviceDelete),
    DiskWipe(DiskWipe),
    VolumeCreate(VolumeCreate),
    VolumeDelete(VolumeDelete),
    /// Done with its record: it touches no host. Kept because heketi's clients are given a queue id for it.
    NodeState(NodeState),
    /// As `NodeState`.
    DeviceState(DeviceState),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeAdd {
    pub node: Node,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeDelete {
    pub node: Node,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceAdd {
    pub device: DeviceId,
    pub node: NodeId,
    pub name: DevicePath,
    pub destroy: bool,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceDelete {
    pub device: Device,
    /// heketi's force-forget: the record goes even where the disk cannot be cleaned.
    pub forget: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskWipe {
    pub node: NodeId,
    pub name: DevicePath,
    /// Serial, WWN or PV UUID, as a person repeated it.
    pub confirm: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeCreate {
    pub volume: Volume,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeDelete {
    pub volume: Volume,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    pub node: NodeId,
    pub to: AdminState,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceState {
    pub device: DeviceId,
    pub to: AdminState,
}

impl Plan {
    /// The word for it in `/v1/operations` and in logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NodeAdd(_) => "node-add",
            Self::NodeDelete(_) => "node-delete",
            Self::DeviceAdd(_) => "device-add",
            Self::DeviceDelete(_) => "device-delete",
            Self::DiskWipe(_) => "disk-wipe",
            Self::VolumeCreate(_) => "volume-create",
            Self::VolumeDelete(_) => "volume-delete",
            Self::NodeState(_) => "node-state",
            Self::DeviceState(_) => "device-state",
        }
    }

    /// The volume whose bricks it makes or takes away.
    #[must_use]
    pub fn volume(&self) -> Option<&Volume> {
        match self {
            Self::VolumeCreate(VolumeCreate { volume }) | Self::VolumeDelete(VolumeDelete { volume }) => Some(volume),
            _ => None,
        }
    }
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OpState {
    /// Going forward; after a restart it goes on. `committed`: past the point where it could be taken back, so that
    /// from here on a failure is tried again instead of undone.
    Running {
        committed: bool,
    },
    /// A step failed and what was done is being taken back; after a restart that goes on.
    Undoing {
        cause: String,
    },
    /// A step past the point of no return, or an undo, failed. It is tried again until it succeeds: nothing that was
    /// half made or half removed is ever forgotten.
    Stuck {
        cause: String,
        failure: String,
        undoing: bool,
    },
    Done {
        resource: Option<Resource>,
    },
    Failed {
        cause: String,
    },
}

impl Operation {
    /// A new one, to be written down before its first effect.
    #[must_use]
    pub fn begun(plan: Plan) -> Self {
        Self {
            id: OperationId::random(),
            plan,
            state: OpState::Running { committed: false },
            started: Timestamp::now(),
            finished: None,
        }
    }

    /// The record of something that is done as soon as it is written down.
    #[must_use]
    pub fn done_at_once(plan: Plan) -> Self {
        let now = Timestamp::now();
        let state = OpState::Done { resource: None };
        Self { id: OperationId::random(), plan, state, started: now, finished: Some(now) }
    }
}

impl OpState {
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed { .. })
    }
}

/// What a finished operation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum Resource {
    Cluster(ClusterId),
    Node(NodeId),
    Volume(VolumeId),
}
