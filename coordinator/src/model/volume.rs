use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{BrickRole, BrickTags};
use bricklayer_proto::names::{BrickPath, LvName, VolumeName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::{BrickKey, BrickSpec, Layout, TrashRecord, VolumeKey, VolumeRecord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BlockRestriction;

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
    /// It holds block volumes and nothing else.
    pub block: bool,
    #[serde(default, skip_serializing_if = "BlockRestriction::is_none")]
    pub restriction: BlockRestriction,
    pub snapshot: Snapshot,
    /// A person protected it: it is not deleted before a person takes that back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// It was deleted, and its bricks are kept for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<Trash>,
    /// Set by set, in GlusterFS's order within each.
    pub bricks: Vec<Brick>,
}

/// A deleted volume whose bricks are kept. GlusterFS still knows it, stopped: deleted there, its bricks could not be made
/// a volume again without breaking the marks that heal and quorum go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trash {
    pub since: Timestamp,
    /// When its bricks go, if nobody takes it out before.
    pub until: Timestamp,
}

impl Trash {
    #[must_use]
    pub fn record(self) -> TrashRecord {
        TrashRecord { since_ms: self.since.as_millisecond(), until_ms: self.until.as_millisecond() }
    }

    /// `None` where the record has a time that is none.
    #[must_use]
    pub fn of(record: TrashRecord) -> Option<Self> {
        let at = |ms| Timestamp::from_millisecond(ms).ok();
        Some(Self { since: at(record.since_ms)?, until: at(record.until_ms)? })
    }
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
    /// Whose pool it lies in, where that is not its own: a clone's brick lies in the pool of the brick it was cloned
    /// from. The pool's extents are counted in the `space` of one of the bricks in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<BrickId>,
    /// What its logical volumes are called, where others named them.
    #[serde(default, skip_serializing_if = "LvNames::is_ours")]
    pub names: LvNames,
    /// Others made it, and it can be given back to them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Raised whenever the brick is made larger.
    #[serde(default = "first_generation", skip_serializing_if = "is_first")]
    pub generation: u64,
}

/// Names of logical volumes that we have not given; those that we give are made of the brick's id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvNames {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<LvName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<LvName>,
}

impl LvNames {
    fn is_ours(&self) -> bool {
        *self == Self::default()
    }
}

pub const FIRST_GENERATION: u64 = 1;

fn first_generation() -> u64 {
    FIRST_GENERATION
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_first(generation: &u64) -> bool {
    *generation == FIRST_GENERATION
}

impl Brick {
    /// What its thin or linear volume is called.
    #[must_use]
    pub fn volume_lv(&self) -> LvName {
        self.names.volume.clone().unwrap_or_else(|| LvName::of_brick(self.id))
    }

    #[must_use]
    pub fn is_thick(&self) -> bool {
        self.space.is_thick()
    }

    /// What its pool is called; a thick brick has none.
    #[must_use]
    pub fn pool_lv(&self) -> Option<LvName> {
        let pool = || self.names.pool.clone().unwrap_or_else(|| LvName::of_pool(self.pool_of()));
        (!self.is_thick()).then(pool)
    }

    /// The logical volume that has its extents: its pool, or its linear volume.
    #[must_use]
    pub fn space_lv(&self) -> LvName {
        self.pool_lv().unwrap_or_else(|| self.volume_lv())
    }

    /// The brick that its pool was made for; itself, where it has none.
    #[must_use]
    pub fn pool_of(&self) -> BrickId {
        self.pool.unwrap_or(self.id)
    }
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

    /// How bricks that it gets are provisioned: as those that it has. GlusterFS takes snapshots only where all of them are
    /// thin, so one thick brick makes a thick volume.
    #[must_use]
    pub fn provisioning(&self) -> Provisioning {
        self.bricks.iter().map(|brick| brick.space.provisioning).max().unwrap_or_default()
    }

    /// What is written beside each of its bricks.
    #[must_use]
    pub fn record(&self, installation: InstallationId) -> VolumeRecord {
        VolumeRecord {
            format: VolumeRecord::FORMAT,
            installation,
            cluster: self.cluster,
            volume: self.id,
            name: self.name.clone(),
            size: self.size,
            layout: self.layout,
            sets: self.sets(),
            gid: self.gid,
            options: self.options.clone(),
            snapshot_factor_milli: self.snapshot.factor_milli,
            snapshots: self.snapshot.enable,
            protected: self.protected,
            trash: self.trash.map(Trash::record),
        }
    }

    #[must_use]
    pub fn brick_tags(&self, brick: &Brick, operation: OperationId) -> BrickTags {
        BrickTags {
            brick: brick.id,
            volume: self.id,
            volume_name: self.name.clone(),
            set: brick.set,
            position: brick.position,
            role: brick.role,
            asked: brick.asked,
            generation: brick.generation,
            operation,
        }
    }

    /// What an agent is asked for, for one of this volume's bricks.
    #[must_use]
    pub fn brick_spec(&self, brick: &Brick, installation: InstallationId, operation: OperationId) -> BrickSpec {
        BrickSpec {
            device: brick.device,
            tags: self.brick_tags(brick, operation),
            space: brick.space,
            gid: self.gid,
            record: self.record(installation),
        }
    }

    /// Whether others made it and all of its bricks.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        !self.bricks.is_empty() && self.bricks.iter().all(|brick| brick.adopted)
    }

    #[must_use]
    pub fn brick(&self, id: BrickId) -> Option<&Brick> {
        self.bricks.iter().find(|brick| brick.id == id)
    }

    #[must_use]
    pub fn brick_key(&self, brick: &Brick) -> BrickKey {
        BrickKey { device: brick.device, brick: brick.id, volume: self.id }
    }
}
