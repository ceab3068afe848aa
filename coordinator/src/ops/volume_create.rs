//! A volume is placed, its bricks are made on their hosts side by side, and GlusterFS is told of it.
//!
//! The placement is made and reserved in one change of the state, so two creates never count on the same extents.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bricklayer_proto::ids::{BrickId, ClusterId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::VolumeName;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{BrickAddress, BrickKey, BrickSpec, Layout, Report, VolumeRecord, VolumeSpec, Wanted};

use super::context::{Context, Run, Wait};
use super::rejected::ClusterRefusal;
use super::step::{Stage, Step, StepError};
use super::volume_options::{self, VolumeOptions};
use super::{Rejected, gluster};
use crate::model::{
    AdminState, Brick, Cluster, Device, Durability, Node, Operation, Plan, Resource, Snapshot, Topology, Volume,
    VolumeCreate,
};
use crate::placement::{self, Candidate, DeviceSpace, Placement, Standing, Wish};
use crate::state::Change;

/// Agents report at least once a minute; after two a device's group has surely been in a report.
const SETTLED_SECONDS: i64 = 120;

/// What a client asks for, checked field by field.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeWish {
    /// `vol_<id>` where it is not given.
    pub name: Option<VolumeName>,
    pub size: ByteSize,
    /// Tried in this order; all clusters by id where it is empty.
    pub clusters: Vec<ClusterId>,
    /// Without the arbiter option, which is read from `options`.
    pub layout: Layout,
    pub durability: Durability,
    pub gid: u32,
    pub options: Vec<String>,
    pub block: bool,
    pub snapshot: Snapshot,
}

pub async fn submit(context: &Context, wish: VolumeWish) -> Result<Operation, Rejected> {
    let options = volume_options::read(&wish.options)?;
    let layout = match wish.layout {
        Layout::Replicate { replica: 3 } if options.arbiter => Layout::Arbiter,
        _ if options.arbiter => return Err(Rejected::ArbiterNeedsReplica3),
        other => other,
    };
    context
        .state
        .change(|change| {
            let id = VolumeId::random();
            let name = match &wish.name {
                Some(name) => name.clone(),
                None => format!("vol_{id}").parse()?,
            };
            let clusters = candidates_of(change, &wish)?;
            let eligible = eligible(context, change, &clusters, &name, wish.block)?;
            let placement_wish = Wish {
                snapshot_factor_milli: wish.snapshot.factor_milli,
                zones: options.zones.unwrap_or(context.policy.zones),
                average_file_size: options.average_file_size,
                limits: context.policy.limits,
                tag_match: options.tag_match.clone(),
                ..Wish::new(wish.size, layout)
            };
            let (cluster, placement) = place(context, change, &eligible, &placement_wish)?;
            let volume = Volume {
                id,
                name,
                cluster,
                size: wish.size,
                layout,
                durability: wish.durability,
                gid: wish.gid,
                options: wish.options,
                block: wish.block,
                snapshot: wish.snapshot,
                bricks: bricks(&placement),
            };
            let operation = Operation::begun(Plan::VolumeCreate(VolumeCreate { volume }));
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

fn candidates_of(topology: &Topology, wish: &VolumeWish) -> Result<Vec<ClusterId>, Rejected> {
    if wish.clusters.is_empty() {
        let all: Vec<ClusterId> = topology.clusters.keys().copied().collect();
        return if all.is_empty() { Err(Rejected::NoClusters) } else { Ok(all) };
    }
    match wish.clusters.iter().find(|id| !topology.clusters.contains_key(*id)) {
        Some(unknown) => Err(Rejected::ClusterUnknown(*unknown)),
        None => Ok(wish.clusters.clone()),
    }
}

fn eligible(
    context: &Context,
    topology: &Topology,
    clusters: &[ClusterId],
    name: &VolumeName,
    block: bool,
) -> Result<Vec<ClusterId>, Rejected> {
    let limit = context.policy.most_volumes_per_cluster;
    let judge = |cluster: &Cluster| {
        let coming = topology.unfinished.values().filter(|operation| match &operation.plan {
            Plan::VolumeCreate(create) => create.volume.cluster == cluster.id,
            _ => false,
        });
        let count = topology.volumes_of(cluster.id).count() + coming.count();
        if !cluster.file && !cluster.block {
            Some(ClusterRefusal::NoKind)
        } else if (block && !cluster.block) || (!block && !cluster.file) {
            Some(ClusterRefusal::OtherKind)
        } else if topology.name_is_taken(cluster.id, name.as_str()) {
            Some(ClusterRefusal::NameTaken(name.clone()))
        } else if count >= limit {
            Some(ClusterRefusal::TooManyVolumes { count, limit })
        } else {
            None
        }
    };
    let mut refusals = Vec::new();
    let mut eligible = Vec::new();
    for cluster in clusters.iter().filter_map(|id| topology.clusters.get(id)) {
        match judge(cluster) {
            Some(refusal) => refusals.push((cluster.id, refusal)),
            None => eligible.push(cluster.id),
        }
    }
    if eligible.is_empty() { Err(Rejected::NoEligibleCluster(refusals)) } else { Ok(eligible) }
}

fn place(
    context: &Context,
    topology: &Topology,
    clusters: &[ClusterId],
    wish: &Wish,
) -> Result<(ClusterId, Placement), Rejected> {
    let mut refusals = Vec::new();
    for cluster in clusters {
        match placement::place(wish, &candidates(context, topology, *cluster)) {
            Ok(placement) => return Ok((*cluster, placement)),
            Err(refusal) => refusals.push((*cluster, refusal)),
        }
    }
    Err(Rejected::NoPlacement(refusals))
}

/// Every device of the cluster as placement sees it, those that take no bricks included: a refusal names them too.
fn candidates(context: &Context, topology: &Topology, cluster: ClusterId) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for node in topology.nodes_of(cluster) {
        for device in topology.devices_of(node.id) {
            let mut tags: BTreeMap<String, String> = node.tags.clone();
            tags.extend(device.tags.clone());
            candidates.push(Candidate {
                device: device.id,
                node: node.id,
                zone: node.zone.get(),
                standing: standing(context, topology, node, device),
                space: DeviceSpace {
                    extent_size: device.space.extent_size,
                    total: device.space.total,
                    free: topology.free(device),
                    spare: topology.spare(device),
                },
                tags,
                node_name: node.name().to_owned(),
                device_name: device.name.to_string(),
            });
        }
    }
    candidates
}

fn standing(context: &Context, topology: &Topology, node: &Node, device: &Device) -> Standing {
    match (node.state, device.state) {
        (AdminState::Offline, _) => return Standing::NodeOffline,
        (AdminState::Failed, _) => return Standing::NodeFailed,
        (_, AdminState::Offline) => return Standing::DeviceOffline,
        (_, AdminState::Failed) => return Standing::DeviceFailed,
        (AdminState::Online, AdminState::Online) => {}
    }
    let leaving = topology.unfinished.values().any(|operation| match &operation.plan {
        Plan::DeviceDelete(delete) => delete.device.id == device.id,
        _ => false,
    });
    if leaving {
        return Standing::Changing;
    }
    if !context.agents.is_attached(node.id) {
        return Standing::AgentDetached;
    }
    let Some((inventory, received)) = context.agents.inventory(node.id) else { return Standing::AgentDetached };
    if !inventory.gluster.running {
        return Standing::GlusterDown;
    }
    let Some(group) = inventory.groups.iter().find(|group| group.tags.is_some_and(|tags| tags.device == device.id))
    else {
        // A report may have been on its way while the group was made, so a young device is taken at its own word.
        let settled = (received - device.added).get_seconds() > SETTLED_SECONDS;
        return if settled { Standing::GroupMissing } else { Standing::Ready };
    };
    if group.condemned || group.physical_volumes.iter().any(|volume| volume.missing) {
        return Standing::GroupDamaged;
    }
    Standing::Ready
}

fn bricks(placement: &Placement) -> Vec<Brick> {
    let mut bricks = Vec::new();
    for (set, placed) in (0_u32..).zip(&placement.sets) {
        for (position, placed) in (0_u32..).zip(placed) {
            bricks.push(Brick {
                id: BrickId::random(),
                device: placed.device,
                node: placed.node,
                set,
                position,
                role: placed.role,
                asked: placed.asked,
                space: placed.space,
                path: None,
            });
        }
    }
    bricks
}

pub fn stages(context: &Context, operation: OperationId, volume: &Volume) -> Vec<Stage> {
    let record = VolumeRecord {
        format: VolumeRecord::FORMAT,
        installation: context.installation,
        cluster: volume.cluster,
        volume: volume.id,
        name: volume.name.clone(),
        size: volume.size,
        layout: volume.layout,
        sets: volume.sets(),
        gid: volume.gid,
        options: volume.options.clone(),
        snapshot_factor_milli: volume.snapshot.factor_milli,
        snapshots: volume.snapshot.enable,
    };
    let topology = context.state.read();
    let count = volume.bricks.len();
    let bricks = volume.bricks.iter().enumerate().map(|(at, brick)| {
        let host = host_name(&topology, brick);
        Box::new(MakeBrick {
            name: format!("make brick {} of {count} on {host}", at + 1),
            node: brick.node,
            spec: volume.brick_spec(brick, record.clone(), operation),
            key: volume.brick_key(brick),
        }) as Box<dyn Step>
    });
    // Nobody is told of a volume that a power cut could still take the bricks from.
    let synced = volume.bricks.iter().enumerate().map(|(at, brick)| {
        Box::new(SyncBrick {
            name: format!("sync brick {} of {count} on {}", at + 1, host_name(&topology, brick)),
            node: brick.node,
            key: volume.brick_key(brick),
        }) as Box<dyn Step>
    });
    vec![
        Stage::of(bricks),
        Stage::one(TellGluster { volume: volume.clone() }),
        Stage::one(StartVolume { volume: volume.clone() }),
        Stage::of(synced),
    ]
}

/// The name that people use for a brick's node.
pub fn host_name(topology: &Topology, brick: &Brick) -> String {
    topology.nodes.get(&brick.node).map_or_else(|| brick.node.to_string(), |node| node.name().to_owned())
}

pub fn finish(change: &mut Change, run: &Run, volume: &Volume) -> Result<Option<Resource>, StepError> {
    let mut volume = volume.clone();
    for brick in &mut volume.bricks {
        brick.path = Some(run.brick_path(brick.id)?);
    }
    let id = volume.id;
    change.put_volume(volume);
    Ok(Some(Resource::Volume(id)))
}

struct MakeBrick {
    name: String,
    node: NodeId,
    spec: BrickSpec,
    key: BrickKey,
}

#[async_trait]
impl Step for MakeBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let done = context.ask(run, self.node, Wanted::Brick(self.spec.clone()), Wait::WhileAway).await?;
        match done.report {
            Report::Brick(report) => {
                run.learn_brick_path(self.key.brick, report.path);
                run.learn_space(self.key.device, report.space);
                Ok(())
            }
            _ => Err(StepError::Missing(format!("the agent's report of brick {}", self.key.brick))),
        }
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        remove_brick(context, run, self.node, self.key).await
    }
}

/// Two keys: the mark is on the disk before anything goes.
pub async fn remove_brick(context: &Context, run: &Run, node: NodeId, key: BrickKey) -> Result<(), StepError> {
    context.ask(run, node, Wanted::BrickCondemned(key), Wait::ForEver).await?;
    let done = context.ask(run, node, Wanted::BrickGone(key), Wait::ForEver).await?;
    if let Report::Group { space } = done.report {
        run.learn_space(key.device, space);
    }
    Ok(())
}

struct SyncBrick {
    name: String,
    node: NodeId,
    key: BrickKey,
}

#[async_trait]
impl Step for SyncBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        context.ask(run, self.node, Wanted::BrickSynced(self.key), Wait::WhileAway).await?;
        Ok(())
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

struct TellGluster {
    volume: Volume,
}

impl TellGluster {
    fn spec(&self, context: &Context, run: &Run) -> Result<VolumeSpec, StepError> {
        let topology = context.state.read();
        let bricks = self.volume.bricks.iter().map(|brick| {
            let node = topology.nodes.get(&brick.node);
            let host = node.and_then(|node| node.storage_host()).cloned();
            let host = host.ok_or_else(|| StepError::Missing(format!("the storage host of node {}", brick.node)))?;
            Ok(BrickAddress { host, path: run.brick_path(brick.id)? })
        });
        let bricks = bricks.collect::<Result<Vec<_>, StepError>>()?;
        let missing = |what: &str| StepError::Missing(what.to_owned());
        let VolumeOptions { set: mut options, .. } =
            volume_options::read(&self.volume.options).map_err(|error| missing(&error.to_string()))?;
        // What heketi's own tools look for; on the volume itself it outlives every store of ours.
        let key = "user.heketi.id".parse().map_err(|_| missing("an option key"))?;
        let value = self.volume.id.to_string().parse().map_err(|_| missing("an option value"))?;
        options.insert(key, value);
        Ok(VolumeSpec { key: self.volume.key(), layout: self.volume.layout, bricks, options })
    }
}

#[async_trait]
impl Step for TellGluster {
    fn name(&self) -> String {
        format!("create volume {} in GlusterFS", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let spec = self.spec(context, run)?;
        gluster::ask(context, run, self.volume.cluster, Wanted::Volume(spec)).await?;
        Ok(())
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeGone(self.volume.key())).await?;
        Ok(())
    }
}

struct StartVolume {
    volume: Volume,
}

#[async_trait]
impl Step for StartVolume {
    fn name(&self) -> String {
        format!("start volume {}", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStarted(self.volume.key())).await?;
        Ok(())
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStopped(self.volume.key())).await?;
        Ok(())
    }
}
