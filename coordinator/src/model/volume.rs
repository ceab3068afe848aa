use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{BrickRole, BrickTags};
use bricklayer_proto::names::{BrickPath, VolumeName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{BrickKey, BrickSpec, Layout, VolumeKey, VolumeRecord};
use serde::{Deserialize, Serialize};

/// A GlusterFS volume that we placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    pub id: VolumeId,
    pub name: VolumeName,
    pub cluster: ClusterId,
    /// What it was asked to hold.
    pub size: ByteSize,
    pub layout: Layout,
    /// heketi's clients are told what they asked for, fields that did not matter included.
    pub durability: Durability,
    pub gid: u32,
    /// As given, in the order given.
    pub options: Vec<String>,
    pub block: bool,
    pub snapshot: Snapshot,
    /// Set by set, in GlusterFS's order within each.
    pub bricks: Vec<Brick>,
}

/// The durability of a request as it was sent; [`Layout`] is what it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durability {
    /// `none`, `replicate` or `disperse`.
    pub kind: String,
    pub replica: i64,
    pub disperse_data: i64,
    pub disperse_redundancy: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub enable: bool,
    /// Thousandths: 1500 means that a pool has one and a half times its brick's size.
    pub factor_milli: u32,
}

/// One brick of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brick {
    pub id: BrickId,
    pub device: DeviceId,
    pub node: NodeId,
    pub set: u32,
    pub position: u32,
    pub role: BrickRole,
    pub asked: ByteSize,
    pub space: BrickSpace,
    /// As the agent that made it says; `None` until then.
    pub path: Option<BrickPath>,
}

impl Volume {
    #[must_use]
    pub fn key(&self) -> VolumeKey {
        VolumeKey { volume: self.id, name: self.name.clone() }
    }

    #[must_use]
    pub fn sets(&self) -> u32 {
        let bricks = u32::try_from(self.bricks.len()).unwrap_or(u32::MAX);
        bricks / self.layout.bricks_per_set().max(1)
    }

    /// What an agent is asked for, for one of this volume's bricks.
    #[must_use]
    pub fn brick_spec(&self, brick: &Brick, record: VolumeRecord, operation: OperationId) -> BrickSpec {
        BrickSpec {
            device: brick.device,
            tags: BrickTags {
                brick: brick.id,
                volume: self.id,
                volume_name: self.name.clone(),
                set: brick.set,
                position: brick.position,
                role: brick.role,
                asked: brick.asked,
                generation: 1,
                operation,
            },
            space: brick.space,
            gid: self.gid,
            record,
        }
    }

    #[must_use]
    pub fn brick_key(&self, brick: &Brick) -> BrickKey {
        BrickKey { device: brick.device, brick: brick.id, volume: self.id }
    }
}
