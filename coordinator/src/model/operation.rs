use bricklayer_proto::block::BlockKey;
use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::{BrickPath, DevicePath};
use bricklayer_proto::size::ByteSize;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdminState, BlockRestriction, BlockVolume, Brick, Cluster, Device, Node, Tags, Topology, Volume};

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
    /// Why it failed, once its client may be told though what was done is still being taken back: a host is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_early: Option<String>,
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
    VolumeExpand(VolumeExpand),
    VolumeClone(VolumeClone),
    /// Thin pools of the volume fill up and get more; the volume itself stays as large as it is.
    PoolExtend(VolumeExpand),
    /// It is stopped, and its bricks are kept for a while.
    VolumeTrash(VolumeTrash),
    /// It serves again.
    VolumeUndelete(VolumeUndelete),
    /// Whether it may be deleted.
    VolumeProtect(VolumeProtect),
    BrickReplace(BrickReplace),
    BlockCreate(BlockCreate),
    BlockExpand(BlockExpand),
    BlockDelete(BlockDelete),
    /// The bricks of some devices are moved elsewhere, each by a [`BrickReplace`] of its own.
    DeviceRemove(DeviceRemove),
    /// What LVM says of a device now is taken over.
    DeviceResync(DeviceResync),
    /// Done with its record: it touches no host. Kept because heketi's clients are given a queue id for it.
    NodeState(NodeState),
    /// As `NodeState`.
    DeviceState(DeviceState),
    /// As `NodeState`.
    BlockRestrict(BlockRestrict),
    /// As `NodeState`.
    CleanUp(CleanUp),
    Adopt(Adopt),
    Unadopt(Unadopt),
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
    /// A host was away when it began. The volume goes at once for its clients; GlusterFS forgets it, and the bricks of
    /// that host go, when the host is back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeExpand {
    pub before: Volume,
    /// Its bricks are larger, or there are more of them.
    pub after: Volume,
}

impl VolumeExpand {
    /// Bricks that become larger where they are.
    pub fn grown(&self) -> impl Iterator<Item = &Brick> {
        self.after.bricks.iter().filter(|brick| self.before.brick(brick.id).is_some_and(|before| before != *brick))
    }

    /// Bricks of new sets.
    pub fn added(&self) -> impl Iterator<Item = &Brick> {
        self.after.bricks.iter().filter(|brick| self.before.brick(brick.id).is_none())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeClone {
    pub source: Volume,
    /// The clone. Each of its bricks lies in the pool of the brick in the same place of the source.
    pub volume: Volume,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeTrash {
    /// As it is from now on.
    pub volume: Volume,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeUndelete {
    /// As it is to be: not in the trash.
    pub volume: Volume,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeProtect {
    /// As it is from now on.
    pub volume: Volume,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrickReplace {
    /// As it was when this began.
    pub volume: Volume,
    pub old: Brick,
    pub new: Brick,
    /// Whether the set must be healed before and after.
    pub heal_check: bool,
    /// The removal that this is a part of, which drives it.
    pub parent: Option<OperationId>,
}

impl BrickReplace {
    /// The volume with the new brick in the old one's place.
    #[must_use]
    pub fn after(&self, path: Option<BrickPath>) -> Volume {
        let mut volume = self.volume.clone();
        for brick in &mut volume.bricks {
            if brick.id == self.old.id {
                *brick = Brick { path: path.clone(), ..self.new.clone() };
            }
        }
        volume
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockCreate {
    /// As it is to be; how initiators reach it is known when it is made.
    pub block: BlockVolume,
    /// The volume that is to host it, where that is made first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosting: Option<Volume>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockExpand {
    pub key: BlockKey,
    pub cluster: ClusterId,
    pub before: ByteSize,
    pub after: ByteSize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockDelete {
    pub block: BlockVolume,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockRestrict {
    pub volume: VolumeId,
    pub to: BlockRestriction,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRemove {
    /// Where all devices of a node are emptied and the node is to be out of service after that.
    pub node: Option<NodeId>,
    pub devices: Vec<DeviceId>,
    pub moves: Vec<BrickMove>,
    /// The new bricks of the moves that have not begun yet, so that nobody else takes their room. The [`BrickReplace`] of a
    /// move takes its brick over in the change that begins it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Brick>,
    pub heal_check: bool,
}

impl DeviceRemove {
    /// The brick that is held for a move that has not begun yet.
    #[must_use]
    pub fn held_for(&self, moving: &BrickMove) -> Option<&Brick> {
        self.held.iter().find(|brick| Some(brick.id) == moving.new)
    }
}

/// One brick of a device that is being emptied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrickMove {
    pub volume: VolumeId,
    pub brick: BrickId,
    /// The id of the [`BrickReplace`] that moves it, chosen beforehand, so that a repeat finds it.
    pub operation: OperationId,
    /// The id that it gets at its new place. Only operations of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<BrickId>,
    /// Where it goes, where that was planned. Otherwise it goes where its room is held, or, where that is of no use any
    /// more when it moves, elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DeviceId>,
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceResync {
    pub device: DeviceId,
}

/// What was stuck is tried again at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleanUp {
    pub operations: Vec<OperationId>,
}

/// What others made becomes ours, as it is. Everything in it is known to nobody until that is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Adopt {
    pub clusters: Vec<Cluster>,
    pub nodes: Vec<Node>,
    pub devices: Vec<Device>,
    pub volumes: Vec<Volume>,
    pub block_volumes: Vec<BlockVolume>,
}

/// What was adopted is given back, as it is, and forgotten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unadopt {
    pub clusters: Vec<ClusterId>,
    pub nodes: Vec<NodeId>,
    pub devices: Vec<Device>,
    pub volumes: Vec<Volume>,
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
            Self::VolumeExpand(_) => "volume-expand",
            Self::VolumeClone(_) => "volume-clone",
            Self::PoolExtend(_) => "pool-extend",
            Self::VolumeTrash(_) => "volume-trash",
            Self::VolumeUndelete(_) => "volume-undelete",
            Self::VolumeProtect(_) => "volume-protect",
            Self::BrickReplace(_) => "brick-replace",
            Self::BlockCreate(_) => "block-create",
            Self::BlockExpand(_) => "block-expand",
            Self::BlockDelete(_) => "block-delete",
            Self::BlockRestrict(_) => "block-restrict",
            Self::DeviceRemove(_) => "device-remove",
            Self::NodeState(_) => "node-state",
            Self::DeviceState(_) => "device-state",
            Self::DeviceResync(_) => "device-resync",
            Self::CleanUp(_) => "clean-up",
            Self::Adopt(_) => "adopt",
            Self::Unadopt(_) => "unadopt",
        }
    }

    /// The volume that it makes or takes away.
    #[must_use]
    pub fn volume(&self) -> Option<&Volume> {
        match self {
            Self::VolumeCreate(VolumeCreate { volume })
            | Self::VolumeDelete(VolumeDelete { volume, .. })
            | Self::VolumeClone(VolumeClone { volume, .. })
            | Self::BlockCreate(BlockCreate { hosting: Some(volume), .. }) => Some(volume),
            _ => None,
        }
    }

    /// What it makes of a block volume: which, in which volume, and how many GiB it takes there while this goes on and
    /// the block volume's own record does not say so.
    #[must_use]
    pub fn block(&self) -> Option<(BlockKey, u64)> {
        match self {
            Self::BlockCreate(create) => Some((create.block.key(), create.block.size.whole_gib())),
            Self::BlockExpand(expand) => Some((expand.key.clone(), expand.before.short_of(expand.after).whole_gib())),
            Self::BlockDelete(delete) => Some((delete.block.key(), delete.block.size.whole_gib())),
            _ => None,
        }
    }

    /// As it is kept when it is done: nobody can log in with what it says, and it holds nothing.
    #[must_use]
    pub fn ended(self) -> Self {
        match self {
            Self::DeviceRemove(remove) => Self::DeviceRemove(DeviceRemove { held: Vec::new(), ..remove }),
            Self::BlockDelete(delete) => Self::BlockDelete(BlockDelete { block: delete.block.without_secrets() }),
            Self::Adopt(adopt) => {
                let blocks = adopt.block_volumes.into_iter().map(BlockVolume::without_secrets);
                Self::Adopt(Adopt { block_volumes: blocks.collect(), ..adopt })
            }
            other => other,
        }
    }

    /// Every brick whose extents it holds or is about to take, made or not yet made.
    #[must_use]
    pub fn bricks(&self) -> &[Brick] {
        match self {
            Self::VolumeExpand(expand) | Self::PoolExtend(expand) => &expand.after.bricks,
            Self::BrickReplace(replace) => std::slice::from_ref(&replace.new),
            Self::DeviceRemove(remove) => &remove.held,
            _ => self.volume().map_or(&[], |volume| &volume.bricks),
        }
    }

    /// Every brick of the volumes that it changes or reads.
    pub fn touched(&self) -> impl Iterator<Item = &Brick> {
        let whole = match self {
            Self::BrickReplace(replace) => &replace.volume.bricks,
            Self::VolumeClone(clone) => &clone.source.bricks,
            Self::VolumeTrash(VolumeTrash { volume })
            | Self::VolumeUndelete(VolumeUndelete { volume })
            | Self::VolumeProtect(VolumeProtect { volume }) => &volume.bricks,
            _ => [].as_slice(),
        };
        self.bricks().iter().chain(whole)
    }

    /// Whether it takes over, or gives back, something on this node: the node stays until it has ended, and gets nothing.
    #[must_use]
    pub fn adopts_on(&self, node: NodeId) -> bool {
        let (devices, volumes) = match self {
            Self::Adopt(Adopt { devices, volumes, .. }) => (devices, volumes),
            Self::Unadopt(Unadopt { devices, volumes, nodes, .. }) if !nodes.contains(&node) => (devices, volumes),
            Self::Unadopt(_) => return true,
            _ => return false,
        };
        devices.iter().any(|device| device.node == node)
            || volumes.iter().flat_map(|volume| &volume.bricks).any(|brick| brick.node == node)
    }

    /// The same of a cluster.
    #[must_use]
    pub fn adopts_in(&self, cluster: ClusterId) -> bool {
        match self {
            Self::Adopt(adopt) => {
                adopt.nodes.iter().any(|node| node.cluster == cluster)
                    || adopt.volumes.iter().any(|volume| volume.cluster == cluster)
            }
            Self::Unadopt(unadopt) => {
                unadopt.clusters.contains(&cluster) || unadopt.volumes.iter().any(|volume| volume.cluster == cluster)
            }
            _ => false,
        }
    }

    /// The volumes that it changes, so that nothing else may change them until it has ended.
    #[must_use]
    pub fn volumes(&self) -> Vec<VolumeId> {
        match self {
            Self::VolumeExpand(expand) | Self::PoolExtend(expand) => vec![expand.after.id],
            Self::BrickReplace(replace) => vec![replace.volume.id],
            Self::VolumeClone(clone) => vec![clone.volume.id, clone.source.id],
            Self::VolumeTrash(VolumeTrash { volume })
            | Self::VolumeUndelete(VolumeUndelete { volume })
            | Self::VolumeProtect(VolumeProtect { volume }) => vec![volume.id],
            Self::Adopt(Adopt { volumes, .. }) | Self::Unadopt(Unadopt { volumes, .. }) => {
                volumes.iter().map(|volume| volume.id).collect()
            }
            _ => self.volume().map(|volume| volume.id).into_iter().collect(),
        }
    }

    #[must_use]
    pub fn changes_volume(&self, id: VolumeId) -> bool {
        self.volumes().contains(&id)
    }

    /// The devices that it makes, removes or empties, or on which it makes or removes something.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceId> {
        match self {
            Self::DeviceAdd(add) => vec![add.device],
            Self::DeviceDelete(delete) => vec![delete.device.id],
            Self::DeviceRemove(remove) => remove.devices.clone(),
            Self::BrickReplace(replace) => vec![replace.old.device, replace.new.device],
            Self::PoolExtend(extend) => extend.grown().map(|brick| brick.device).collect(),
            Self::Adopt(Adopt { devices, volumes, .. }) | Self::Unadopt(Unadopt { devices, volumes, .. }) => {
                let bricks = volumes.iter().flat_map(|volume| &volume.bricks).map(|brick| brick.device);
                let all: std::collections::BTreeSet<DeviceId> =
                    devices.iter().map(|device| device.id).chain(bricks).collect();
                all.into_iter().collect()
            }
            _ => self.bricks().iter().map(|brick| brick.device).collect(),
        }
    }

    #[must_use]
    pub fn changes_device(&self, id: DeviceId) -> bool {
        self.devices().contains(&id)
    }

    /// Whether its devices take no new bricks while it is under way.
    #[must_use]
    pub fn empties_devices(&self) -> bool {
        match self {
            Self::DeviceDelete(_) | Self::DeviceRemove(_) => true,
            Self::Unadopt(unadopt) => !unadopt.devices.is_empty(),
            _ => false,
        }
    }

    /// What it changes, for people, a line each.
    #[must_use]
    pub fn in_words(&self, topology: &Topology) -> Vec<String> {
        let at = |brick: &Brick| {
            let node = topology.nodes.get(&brick.node).map_or_else(|| brick.node.to_string(), |n| n.name().to_owned());
            let device = topology.devices.get(&brick.device);
            let device = device.map_or_else(|| brick.device.to_string(), |device| device.name.to_string());
            format!("{node}:{device}")
        };
        let of_volume = |volume: &Volume| format!("volume {} ({})", volume.name, volume.size);
        let with_bricks = |volume: &Volume| {
            let first = of_volume(volume);
            let bricks =
                volume.bricks.iter().map(|brick| format!("brick {} of {} on {}", brick.id, brick.asked, at(brick)));
            std::iter::once(first).chain(bricks).collect()
        };
        match self {
            Self::NodeAdd(add) => vec![format!("node {}", add.node.name())],
            Self::NodeDelete(delete) => vec![format!("node {}", delete.node.name())],
            Self::DeviceAdd(add) => vec![format!("device {}", add.name)],
            Self::DeviceDelete(delete) => vec![format!("device {}", delete.device.name)],
            Self::DiskWipe(wipe) => vec![format!("everything on {} is destroyed", wipe.name)],
            Self::VolumeCreate(VolumeCreate { volume })
            | Self::VolumeDelete(VolumeDelete { volume, .. })
            | Self::VolumeClone(VolumeClone { volume, .. }) => with_bricks(volume),
            Self::VolumeExpand(expand) => {
                let (before, after) = (&expand.before, &expand.after);
                let first = format!("volume {}: from {} to {}", after.name, before.size, after.size);
                let grown =
                    expand.grown().map(|brick| format!("brick {} on {} grows to {}", brick.id, at(brick), brick.asked));
                let added =
                    expand.added().map(|brick| format!("brick {} of {} on {}", brick.id, brick.asked, at(brick)));
                std::iter::once(first).chain(grown).chain(added).collect()
            }
            Self::PoolExtend(extend) => {
                let pool = |brick: &Brick| {
                    let one = topology.devices.get(&brick.device).map(|device| device.space.extent_size);
                    let size = |brick: &Brick| one.and_then(|one| brick.space.pool.to_bytes(one)).unwrap_or_default();
                    let before = extend.before.brick(brick.id).map(size).unwrap_or_default();
                    let of = format!("the pool of brick {} of volume {} on {}", brick.id, extend.after.name, at(brick));
                    match size(brick) {
                        after if after == before => format!("{of} gets more metadata"),
                        after => format!("{of}: from {before} to {after}"),
                    }
                };
                extend.grown().map(pool).collect()
            }
            Self::BrickReplace(replace) => {
                let (old, new) = (&replace.old, &replace.new);
                vec![format!("brick {} of volume {}: from {} to {}", old.id, replace.volume.name, at(old), at(new))]
            }
            Self::VolumeTrash(VolumeTrash { volume }) => {
                let until = volume.trash.map(|trash| format!(" until {:.0}", trash.until)).unwrap_or_default();
                vec![format!("{} is stopped, and kept in the trash{until}", of_volume(volume))]
            }
            Self::VolumeUndelete(VolumeUndelete { volume }) => {
                vec![format!("{} is taken out of the trash and serves again", of_volume(volume))]
            }
            Self::VolumeProtect(VolumeProtect { volume }) => {
                let cannot = if volume.protected { "cannot be deleted any more" } else { "can be deleted" };
                vec![format!("{} {cannot}", of_volume(volume))]
            }
            Self::DeviceRemove(remove) => {
                let moves = remove.moves.iter().map(|moving| match topology.brick(moving.brick) {
                    Some((volume, brick)) => {
                        let to = moving.to.and_then(|to| topology.devices.get(&to)).map(|to| {
                            let node = topology.nodes.get(&to.node).map_or_else(String::new, |n| n.name().to_owned());
                            format!(" for {node}:{}", to.name)
                        });
                        let to = to.unwrap_or_default();
                        format!("brick {} of volume {} leaves {}{to}", brick.id, volume.name, at(brick))
                    }
                    None => format!("brick {} moves", moving.brick),
                });
                moves.collect()
            }
            Self::BlockCreate(BlockCreate { block, hosting }) => {
                let hosts = block.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let first = format!(
                    "block volume {} ({}) in volume {}, exported by {hosts}",
                    block.name, block.size, block.hosting.name
                );
                std::iter::once(first).chain(hosting.iter().flat_map(with_bricks)).collect()
            }
            Self::BlockExpand(BlockExpand { key, before, after, .. }) => {
                vec![format!("block volume {}: from {before} to {after}", key.name)]
            }
            Self::BlockDelete(BlockDelete { block }) => {
                vec![format!("block volume {} ({}) in volume {}", block.name, block.size, block.hosting.name)]
            }
            Self::BlockRestrict(BlockRestrict { volume, to: BlockRestriction::None }) => {
                vec![format!("volume {volume} takes block volumes")]
            }
            Self::BlockRestrict(BlockRestrict { volume, .. }) => {
                vec![format!("volume {volume} takes no more block volumes")]
            }
            Self::NodeState(state) => vec![format!("node {} becomes {}", state.node, state.to)],
            Self::DeviceState(state) => vec![format!("device {} becomes {}", state.device, state.to)],
            Self::DeviceResync(resync) => vec![format!("device {} has LVM's figures", resync.device)],
            Self::Adopt(adopt) => {
                let nodes = adopt.nodes.iter().map(|node| format!("node {} ({})", node.name(), node.id));
                let devices = adopt.devices.iter().map(|device| {
                    let group = device.group();
                    format!("device {} ({}), volume group {group} as it is", device.name, device.id)
                });
                let volumes = adopt.volumes.iter().map(|volume| {
                    let (bricks, id) = (volume.bricks.len(), volume.id);
                    format!("{} ({id}), {bricks} bricks where they are", of_volume(volume))
                });
                let blocks = adopt.block_volumes.iter();
                let blocks =
                    blocks.map(|block| format!("block volume {} in volume {}", block.name, block.hosting.name));
                nodes.chain(devices).chain(volumes).chain(blocks).collect()
            }
            Self::Unadopt(unadopt) => {
                let volumes = unadopt.volumes.iter().map(|volume| format!("{} is given back", of_volume(volume)));
                let devices = unadopt.devices.iter().map(|device| {
                    format!("device {} ({}) is given back, volume group {}", device.name, device.id, device.group())
                });
                let nodes = unadopt.nodes.iter().map(|node| format!("node {node} is forgotten"));
                let clusters = unadopt.clusters.iter().map(|cluster| format!("cluster {cluster} is forgotten"));
                volumes.chain(devices).chain(nodes).chain(clusters).collect()
            }
            Self::CleanUp(clean) => {
                clean.operations.iter().map(|id| format!("operation {id} is tried again")).collect()
            }
        }
    }

    /// The operation that drives this one.
    #[must_use]
    pub fn parent(&self) -> Option<OperationId> {
        match self {
            Self::BrickReplace(replace) => replace.parent,
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
    pub fn begun(plan: Plan, now: Timestamp) -> Self {
        Self {
            id: OperationId::random(),
            plan,
            state: OpState::Running { committed: false },
            started: now,
            finished: None,
            failed_early: None,
        }
    }

    /// The record of something that is done as soon as it is written down.
    #[must_use]
    pub fn done_at_once(plan: Plan, now: Timestamp) -> Self {
        let state = OpState::Done { resource: None };
        Self { id: OperationId::random(), plan, state, started: now, finished: Some(now), failed_early: None }
    }
}

impl Operation {
    /// Whether its client may be told that it is done. A parked deletion goes on, for as long as a host is away, after
    /// there is no way back any more.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        let parked = matches!(&self.plan, Plan::VolumeDelete(VolumeDelete { parked: true, .. }));
        let no_way_back =
            matches!(self.state, OpState::Running { committed: true } | OpState::Stuck { undoing: false, .. });
        self.state.is_finished() || (parked && no_way_back) || self.failed_early.is_some()
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
    BlockVolume(BlockVolumeId),
}
