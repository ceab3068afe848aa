//! A volume is placed, its bricks are made on their hosts side by side, and GlusterFS is told of it.
//!
//! The placement is made and reserved in one change of the state, so two creates never count on the same extents.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bricklayer_proto::ids::{BrickId, ClusterId, OperationId, VolumeId};
use bricklayer_proto::names::{OptionKey, OptionValue, VolumeName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::Provisioning;
use bricklayer_proto::task::{Layout, Report, VolumeSpec, Wanted};

use super::bricks::{MakeBrick, SyncBrick};
use super::candidates::pool;
use super::context::{Context, Run, Wait};
use super::rejected::ClusterRefusal;
use super::step::{Stage, Step, StepError};
use super::volume_options::{self, VolumeOptions};
use super::{Rejected, gluster};
use crate::model::{
    BlockRestriction, Brick, Cluster, Durability, FIRST_GENERATION, LvNames, Operation, Plan, Resource, Snapshot,
    Topology, Volume, VolumeCreate,
};
use crate::placement::{self, Placement, Wish};
use crate::state::Change;

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
    context
        .state
        .change(|change| {
            let volume = planned(context, change, wish)?;
            let operation = Operation::begun(Plan::VolumeCreate(VolumeCreate { volume }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

/// The volume that the wish comes to, with a device for each of its bricks. Nothing is reserved yet.
pub fn planned(context: &Context, topology: &Topology, wish: VolumeWish) -> Result<Volume, Rejected> {
    let options = volume_options::read(&wish.options)?;
    let layout = layout_of(wish.layout, &options)?;
    let id = VolumeId::random();
    let name = match &wish.name {
        Some(name) => name.clone(),
        None => format!("vol_{id}").parse()?,
    };
    let clusters = candidates_of(topology, &wish.clusters)?;
    let eligible = eligible(context, topology, &clusters, &name, wish.block)?;
    let asked = |cluster| placing(context, topology, cluster, wish.size, layout, wish.snapshot, &options);
    let eligible = able_of_snapshots(&eligible, wish.snapshot, |cluster| asked(cluster).provisioning)?;
    let (cluster, placement) = place(context, topology, &eligible, asked)?;
    Ok(Volume {
        id,
        name,
        cluster,
        size: wish.size,
        layout,
        durability: wish.durability,
        gid: wish.gid,
        options: wish.options,
        block: wish.block,
        restriction: BlockRestriction::None,
        protected: false,
        trash: None,
        snapshot: wish.snapshot,
        bricks: bricks_of(&placement),
    })
}

/// The layout with the arbiter that the options may ask for.
pub fn layout_of(layout: Layout, options: &VolumeOptions) -> Result<Layout, Rejected> {
    match layout {
        Layout::Replicate { replica: 3 } if options.arbiter => Ok(Layout::Arbiter),
        _ if options.arbiter => Err(Rejected::ArbiterNeedsReplica3),
        other => Ok(other),
    }
}

/// The clusters in which the volume would have the snapshots that it asks for: those in which it would not be thick.
pub fn able_of_snapshots(
    clusters: &[ClusterId],
    snapshot: Snapshot,
    provisioning: impl Fn(ClusterId) -> Provisioning,
) -> Result<Vec<ClusterId>, Rejected> {
    let wants_snapshots = snapshot.enable || snapshot.factor_milli > 1000;
    let able = clusters.iter().copied().filter(|cluster| !wants_snapshots || provisioning(*cluster).is_thin());
    let able: Vec<ClusterId> = able.collect();
    if able.is_empty() { Err(Rejected::ThickSnapshots) } else { Ok(able) }
}

/// What placement is asked for: the size, and what the volume's options and the policy of the cluster say about it.
pub fn placing(
    context: &Context,
    topology: &Topology,
    cluster: ClusterId,
    size: ByteSize,
    layout: Layout,
    snapshot: Snapshot,
    options: &VolumeOptions,
) -> Wish {
    let terms = options.policy.over(context.terms(topology, cluster));
    Wish {
        snapshot_factor_milli: snapshot.factor_milli,
        zones: terms.zones,
        set_rules: terms.set,
        over_commit: terms.over_commit,
        provisioning: terms.provisioning,
        reserve: terms.reserve,
        average_file_size: options.average_file_size.unwrap_or(context.policy.average_file_size),
        limits: context.policy.limits,
        tag_match: options.tag_match.clone(),
        ..Wish::new(size, layout)
    }
}

/// The clusters of a request, checked; all where it names none.
pub fn candidates_of(topology: &Topology, wished: &[ClusterId]) -> Result<Vec<ClusterId>, Rejected> {
    if wished.is_empty() {
        let all: Vec<ClusterId> = topology.clusters.keys().copied().collect();
        return if all.is_empty() { Err(Rejected::NoClusters) } else { Ok(all) };
    }
    match wished.iter().find(|id| !topology.clusters.contains_key(*id)) {
        Some(unknown) => Err(Rejected::ClusterUnknown(*unknown)),
        None => Ok(wished.to_vec()),
    }
}

pub fn eligible(
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
            Plan::VolumeClone(clone) => clone.volume.cluster == cluster.id,
            Plan::BlockCreate(create) => create.hosting.as_ref().is_some_and(|volume| volume.cluster == cluster.id),
            _ => false,
        });
        let count = topology.number_of_volumes(cluster.id) + coming.count();
        if !cluster.file && !cluster.block {
            Some(ClusterRefusal::NoKind)
        } else if (block && !cluster.block) || (!block && !cluster.file) {
            Some(ClusterRefusal::OtherKind)
        } else if topology.name_is_taken(cluster.id, name.as_str()) {
            let mut volumes = topology.volumes_of(cluster.id);
            match volumes.any(|other| other.trash.is_some() && other.name == *name) {
                true => Some(ClusterRefusal::NameInTrash(name.clone())),
                false => Some(ClusterRefusal::NameTaken(name.clone())),
            }
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
    wish: impl Fn(ClusterId) -> Wish,
) -> Result<(ClusterId, Placement), Rejected> {
    let mut refusals = Vec::new();
    for cluster in clusters {
        match placement::place_in(&wish(*cluster), &pool(context, topology, *cluster)) {
            Ok(placement) => return Ok((*cluster, placement)),
            Err(refusal) => refusals.push((*cluster, refusal)),
        }
    }
    Err(Rejected::NoPlacement(refusals))
}

/// The bricks of a new volume.
#[must_use]
pub fn bricks_of(placement: &Placement) -> Vec<Brick> {
    bricks(placement, 0)
}

/// `first`: the number of the first of these sets within its volume.
pub fn bricks(placement: &Placement, first: u32) -> Vec<Brick> {
    let mut bricks = Vec::new();
    for (set, placed) in (first..).zip(&placement.sets) {
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
                pool: None,
                names: LvNames::default(),
                adopted: false,
                generation: FIRST_GENERATION,
            });
        }
    }
    bricks
}

pub fn stages(context: &Context, operation: OperationId, volume: &Volume) -> Vec<Stage> {
    // Nobody is told of a volume that a power cut could still take the bricks from.
    let bricks = &volume.bricks;
    vec![
        Stage::of(MakeBrick::each(context, operation, volume, bricks)),
        Stage::one(TellGluster { volume: volume.clone() }),
        Stage::one(StartVolume { volume: volume.clone() }),
        Stage::of(SyncBrick::each(context, volume, bricks)),
    ]
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

struct TellGluster {
    volume: Volume,
}

impl TellGluster {
    fn spec(&self, context: &Context, run: &Run) -> Result<VolumeSpec, StepError> {
        let topology = context.state.read();
        let bricks = self
            .volume
            .bricks
            .iter()
            .map(|brick| gluster::address(&topology, brick, run.brick_path(brick.id)?))
            .collect::<Result<Vec<_>, _>>()?;
        let options = options_of(&self.volume)?;
        Ok(VolumeSpec { key: self.volume.key(), layout: self.volume.layout, bricks, options, start: true })
    }
}

/// What is set on the volume: what was asked for, and what heketi's own tools look for. On the volume itself that
/// outlives every store of ours.
pub fn options_of(volume: &Volume) -> Result<BTreeMap<OptionKey, OptionValue>, StepError> {
    let missing = |what: &str| StepError::Missing(what.to_owned());
    let read = volume_options::read(&volume.options).map_err(|error| missing(&error.to_string()))?;
    let mut options = read.set;
    let key = "user.heketi.id".parse().map_err(|_| missing("an option key"))?;
    let value = volume.id.to_string().parse().map_err(|_| missing("an option value"))?;
    options.insert(key, value);
    Ok(options)
}

#[async_trait]
impl Step for TellGluster {
    fn name(&self) -> String {
        format!("create volume {} in GlusterFS", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let spec = self.spec(context, run)?;
        let done = gluster::ask(context, run, self.volume.cluster, Wanted::Volume(spec)).await?;
        if done.report == Report::VolumeRuns {
            run.learn_started();
        }
        Ok(())
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let (cluster, key) = (self.volume.cluster, self.volume.key());
        gluster::forget(context, run, cluster, &key).await?;
        // A create whose first host died half-way is known to some and not to others, also of those without a brick of it.
        let nodes = gluster::able(context, &context.state.read(), cluster);
        for node in nodes {
            match gluster::forget_on(context, run, node, cluster, &key, Wait::NotAtAll).await {
                Err(error) if gluster::is_about_the_host(&error) => {}
                other => other.map(drop)?,
            }
        }
        Ok(())
    }
}

pub struct StartVolume {
    pub volume: Volume,
}

#[async_trait]
impl Step for StartVolume {
    fn name(&self) -> String {
        format!("start volume {}", self.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        // The agent that created it has started it as well, if it is not an older one.
        if run.is_started() {
            return Ok(());
        }
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStarted(self.volume.key())).await?;
        Ok(())
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeStopped(self.volume.key())).await?;
        Ok(())
    }
}
