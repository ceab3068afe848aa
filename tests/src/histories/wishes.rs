//! What the clients of a history ask for.

use bricklayer_coordinator::model::{AdminState, Durability, Snapshot, Topology, Volume};
use bricklayer_coordinator::ops::{DeviceWish, Keep, Operations, Rejected, ReplaceRequest, VolumeWish};
use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::DevicePath;
use bricklayer_proto::size::{ByteSize, GIB};
use bricklayer_proto::task::Layout;

use super::chance::Chance;

#[derive(Clone, Debug)]
pub enum Wish {
    Create {
        layout: Layout,
        gib: u64,
        snapshots: bool,
        gid: u32,
        named: bool,
    },
    Expand {
        volume: VolumeId,
        gib: u64,
    },
    Clone {
        volume: VolumeId,
    },
    Delete {
        volume: VolumeId,
    },
    Move {
        brick: BrickId,
        heal_check: bool,
    },
    AddDevice {
        node: NodeId,
        disk: DevicePath,
    },
    /// Empties the device, from `offline` on.
    Empty {
        device: DeviceId,
    },
    RemoveDevice {
        device: DeviceId,
    },
    Resync {
        device: DeviceId,
    },
}

impl Wish {
    /// Something that makes sense in this state, most of the time.
    #[must_use]
    pub fn any(topology: &Topology, chance: &mut Chance) -> Self {
        let volumes: Vec<&Volume> = topology.volumes.values().map(|volume| &**volume).collect();
        let devices: Vec<DeviceId> = topology.devices.keys().copied().collect();
        let volume = chance.of_these(&volumes).map(|volume| (volume.id, volume.bricks.clone()));
        let device = chance.of_these(&devices).copied();
        match (chance.number(0..=19), volume, device) {
            (7 | 8, Some((volume, _)), _) => Self::Expand { volume, gib: chance.number(1..=2) },
            (9 | 10, Some((volume, _)), _) => Self::Clone { volume },
            (11..=13, Some((volume, _)), _) => Self::Delete { volume },
            (14 | 15, Some((_, bricks)), _) => {
                let brick = bricks[chance.index(bricks.len())].id;
                Self::Move { brick, heal_check: chance.one_in(2) }
            }
            (16, _, Some(device)) => {
                let node = topology.devices.get(&device).expect("it was just seen").node;
                let disk = if chance.one_in(2) { "/dev/sdc" } else { "/dev/sdd" };
                Self::AddDevice { node, disk: disk.parse().expect("a device path") }
            }
            (17, _, Some(device)) => Self::Empty { device },
            (18, _, Some(device)) => {
                let failed = topology.devices.values().find(|device| device.state == AdminState::Failed);
                Self::RemoveDevice { device: failed.map_or(device, |device| device.id) }
            }
            (19, _, Some(device)) => Self::Resync { device },
            _ => Self::create(chance),
        }
    }

    #[must_use]
    pub fn create(chance: &mut Chance) -> Self {
        let layout = match chance.number(0..=9) {
            0..=4 => Layout::Replicate { replica: 3 },
            5 => Layout::Replicate { replica: 2 },
            6 => Layout::Arbiter,
            7 => Layout::Distribute,
            _ => Layout::Disperse { data: 2, redundancy: 1 },
        };
        let gid = if chance.one_in(3) { 2000 } else { 0 };
        Self::Create { layout, gib: chance.number(1..=4), snapshots: chance.one_in(3), gid, named: chance.one_in(4) }
    }

    /// Asks for it, and answers the id of its operation: what a client is told.
    pub async fn ask(self, operations: &Operations) -> Result<OperationId, Rejected> {
        match self {
            Self::Create { layout, gib, snapshots, gid, named } => {
                let (layout, mut options) = match layout {
                    Layout::Arbiter => (Layout::Replicate { replica: 3 }, vec!["user.heketi.arbiter true".to_owned()]),
                    layout => (layout, Vec::new()),
                };
                // Without a draw of its own, so that seeds of before play on as they did.
                if !snapshots && gib.is_multiple_of(2) {
                    options.push("user.bricklayer.provisioning thick".to_owned());
                }
                let snapshot = Snapshot { enable: snapshots, factor_milli: if snapshots { 1500 } else { 1000 } };
                let wish = VolumeWish {
                    name: named.then(|| "named".parse().expect("a name")),
                    size: ByteSize::from_bytes(gib * GIB),
                    clusters: Vec::new(),
                    layout,
                    durability: Durability::default(),
                    gid,
                    options,
                    block: false,
                    snapshot,
                };
                operations.volume_create(wish).await
            }
            Self::Expand { volume, gib } => operations.volume_expand(volume, ByteSize::from_bytes(gib * GIB)).await,
            Self::Clone { volume } => operations.volume_clone(volume, None).await,
            Self::Delete { volume } => operations.volume_delete(volume, Keep::NotAtAll).await,
            Self::Move { brick, heal_check } => {
                operations.brick_replace(ReplaceRequest { brick, to: None, heal_check }).await
            }
            Self::AddDevice { node, disk } => {
                let wish = DeviceWish { node, name: disk, destroy: false, tags: Default::default() };
                operations.device_add(wish).await
            }
            Self::Empty { device } => {
                operations.device_state(device, AdminState::Offline, true).await?;
                operations.device_state(device, AdminState::Failed, true).await
            }
            Self::RemoveDevice { device } => operations.device_delete(device, false).await,
            Self::Resync { device } => operations.device_resync(device).await,
        }
    }
}
