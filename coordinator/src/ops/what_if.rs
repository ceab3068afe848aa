//! What would become of the clusters: the state as it is, handed to [`crate::placement::what_if`].

use std::collections::BTreeSet;

use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::usable_extents;

use super::candidates::candidates;
use super::context::Context;
use super::volume_create::{able_of_snapshots, eligible, layout_of, placing};
use super::{Rejected, VolumeWish, volume_options};
use crate::model::{AdminState, Node, Topology, Volume};
use crate::placement::what_if::{BrickAsItIs, ClusterAsItIs, Creation, Loss, Outcome, Scenario, VolumeAsItIs, what_if};
use crate::placement::{Candidate, DeviceSpace, Reserve, Standing};

/// So many volumes and disks at the most in one simulation: each is placed as in earnest.
pub const MOST_IN_A_SIMULATION: usize = 1000;

/// What is to happen, in a person's terms.
#[derive(Clone, Debug)]
pub struct Supposition {
    pub lose: Vec<Loss>,
    /// A disk of this size on that node.
    pub add: Vec<(NodeId, ByteSize)>,
    /// So many of such volumes.
    pub create: Vec<(usize, VolumeWish)>,
}

pub async fn simulate(context: &Context, supposed: Supposition) -> Result<Outcome, Rejected> {
    context.greet(&[]).await;
    let topology = context.state.read();
    let clusters =
        topology.clusters.keys().map(|id| as_it_is(context, &topology, *id)).collect::<Result<Vec<_>, _>>()?;
    let scenario = scenario(context, &topology, supposed)?;
    let played = tokio::task::spawn_blocking(move || what_if(&clusters, &scenario)).await;
    played.map_err(|error| Rejected::NotSeen(format!("the simulation did not end: {error}")))
}

fn as_it_is(context: &Context, topology: &Topology, id: ClusterId) -> Result<ClusterAsItIs, Rejected> {
    let volumes =
        live(topology, id).map(|volume| volume_as_it_is(context, topology, volume)).collect::<Result<Vec<_>, _>>()?;
    // Those in the trash count: GlusterFS has them.
    let room_for_volumes = context.policy.most_volumes_per_cluster.saturating_sub(topology.number_of_volumes(id));
    Ok(ClusterAsItIs { id, candidates: candidates(context, topology, id), volumes, room_for_volumes })
}

/// What lies in the trash takes its space, and is not healed.
fn live(topology: &Topology, id: ClusterId) -> impl Iterator<Item = &std::sync::Arc<Volume>> {
    topology.volumes_of(id).filter(|volume| volume.trash.is_none())
}

fn volume_as_it_is(context: &Context, topology: &Topology, volume: &Volume) -> Result<VolumeAsItIs, Rejected> {
    let options = volume_options::read(&volume.options)?;
    let terms = options.policy.over(context.terms(topology, volume.cluster));
    let bricks = volume.bricks.iter().map(|brick| BrickAsItIs {
        id: brick.id,
        set: brick.set,
        role: brick.role,
        asked: brick.asked,
        provisioning: brick.space.provisioning,
        device: brick.device,
        node: brick.node,
    });
    Ok(VolumeAsItIs {
        id: volume.id,
        name: volume.name.to_string(),
        layout: volume.layout,
        snapshot_factor_milli: volume.snapshot.factor_milli,
        zones: terms.zones,
        tag_match: options.tag_match,
        set_rules: terms.set,
        over_commit: terms.over_commit,
        bricks: bricks.collect(),
    })
}

fn scenario(context: &Context, topology: &Topology, supposed: Supposition) -> Result<Scenario, Rejected> {
    for loss in &supposed.lose {
        known(topology, loss)?;
    }
    let mut add = Vec::new();
    for (number, (id, size)) in (1..).zip(&supposed.add) {
        let node = topology.nodes.get(id).ok_or(Rejected::NoSuchNode(*id))?;
        let reserve = context.terms(topology, node.cluster).reserve;
        add.push((node.cluster, fresh(context, node, *size, number, reserve)));
    }
    let create = supposed.create.into_iter().map(|(count, wish)| {
        let options = volume_options::read(&wish.options)?;
        let layout = layout_of(wish.layout, &options)?;
        let clusters = super::volume_create::candidates_of(topology, &wish.clusters)?;
        let name = match wish.name {
            Some(name) => name,
            None => format!("vol_{}", VolumeId::random()).parse()?,
        };
        let clusters = eligible(context, topology, &clusters, &name, wish.block)?;
        let asked = |cluster| placing(context, topology, cluster, wish.size, layout, wish.snapshot, &options);
        let clusters = able_of_snapshots(&clusters, wish.snapshot, |cluster| asked(cluster).provisioning)?;
        Ok(Creation { count, clusters: clusters.into_iter().map(|cluster| (cluster, asked(cluster))).collect() })
    });
    Ok(Scenario { lose: supposed.lose, add, create: create.collect::<Result<_, Rejected>>()? })
}

fn known(topology: &Topology, loss: &Loss) -> Result<(), Rejected> {
    match loss {
        Loss::Node(id) if !topology.nodes.contains_key(id) => Err(Rejected::NoSuchNode(*id)),
        Loss::Device(id) if !topology.devices.contains_key(id) => Err(Rejected::NoSuchDevice(*id)),
        Loss::Zone(zone) if !topology.nodes.values().any(|node| node.zone.get() == *zone) => {
            let zones: BTreeSet<u32> = topology.nodes.values().map(|node| node.zone.get()).collect();
            Err(Rejected::NoSuchZone { zone: *zone, zones })
        }
        Loss::Node(_) | Loss::Device(_) | Loss::Zone(_) => Ok(()),
    }
}

/// A device that is empty, and named after nothing that is there. Its id is the last of all, as ties are broken by id.
fn fresh(context: &Context, node: &Node, size: ByteSize, number: u128, reserve: Reserve) -> Candidate {
    let one = ExtentSize::FOUR_MIB;
    let total = usable_extents(size, one);
    let space = DeviceSpace { extent_size: one, total, free: total, spare: Extents::ZERO, kept: Extents::ZERO };
    let standing = match node.state {
        _ if node.lost => Standing::Lost,
        AdminState::Offline => Standing::NodeOffline,
        AdminState::Failed => Standing::NodeFailed,
        AdminState::Online if !context.agents.is_attached(node.id) => Standing::AgentDetached,
        AdminState::Online => Standing::Ready,
    };
    Candidate {
        device: DeviceId::from_u128(u128::MAX - number),
        node: node.id,
        zone: node.zone.get(),
        standing,
        also: Vec::new(),
        space: space.keeping(reserve.of(total, one)),
        thin_only: context.agents.sight(node.id).is_thin_only(),
        tags: node.tags.clone(),
        node_name: node.name().to_owned(),
        device_name: format!("new disk {number}"),
    }
}
