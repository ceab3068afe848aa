//! Which host of a cluster is asked when glusterd is to do something, and the wait for its turn.

use std::cmp::Reverse;
use std::sync::Arc;

use bricklayer_proto::adopt::HostSurvey;
use bricklayer_proto::ids::{ClusterId, NodeId};
use bricklayer_proto::names::{BrickPath, HostName};
use bricklayer_proto::task::{
    BrickAddress, Done, FailureKind, HealReport, RebalanceReport, Report, VOLUME_ID_OPTION, VolumeDeletion, VolumeKey,
    VolumeReport, Wanted,
};

use super::context::{Asker, Context, Run, Wait};
use super::step::StepError;
use crate::agents::AgentError;
use crate::model::{Brick, Node, Topology, Volume};

/// Nodes of the cluster whose agents are attached and see a running glusterd, by id.
pub fn able(context: &Context, topology: &Topology, cluster: ClusterId) -> Vec<NodeId> {
    topology.nodes_of(cluster).map(|node| node.id).filter(|node| is_able(context, *node)).collect()
}

pub fn is_able(context: &Context, node: NodeId) -> bool {
    let sight = context.agents.sight(node);
    sight.attached && sight.inventory.is_some_and(|(inventory, _)| inventory.gluster.running)
}

/// How many other hosts of its pool a host's glusterd is connected with.
fn peers_connected(context: &Context, node: NodeId) -> usize {
    let seen = context.agents.inventory(node);
    seen.map_or(0, |(inventory, _)| inventory.gluster.peers.iter().filter(|peer| peer.connected).count())
}

/// Asks one host of the cluster, in turn with every other change of that cluster: that which is connected with most others,
/// and of these the first by id.
///
/// If the host goes away while it is at it, or its glusterd does, the next one is asked: each looks at what there is
/// before it acts, so a change that was made already is found made.
pub async fn ask(context: &Context, run: &Run, cluster: ClusterId, wanted: Wanted) -> Result<Done, StepError> {
    ask_by(context, run, cluster, |_| wanted.clone()).await
}

/// The same where each host is asked in its own words.
pub async fn ask_by(
    context: &Context,
    run: &Run,
    cluster: ClusterId,
    wanted: impl Fn(&Node) -> Wanted,
) -> Result<Done, StepError> {
    let (result, smooth) = ask_each(context, &run.asker(), cluster, wanted).await;
    if !smooth {
        run.learn_doubt();
    }
    result
}

pub async fn ask_as(context: &Context, asker: &Asker, cluster: ClusterId, wanted: Wanted) -> Result<Done, StepError> {
    ask_each(context, asker, cluster, |_| wanted.clone()).await.0
}

/// Also whether the first host that was asked did it. Else some of the pool may know of it and others not.
async fn ask_each(
    context: &Context,
    asker: &Asker,
    cluster: ClusterId,
    wanted: impl Fn(&Node) -> Wanted,
) -> (Result<Done, StepError>, bool) {
    await_able(context, cluster).await;
    let mut last = None;
    for node in in_turn(context, context.state.read().nodes_of(cluster).cloned().collect()) {
        if !is_able(context, node.id) {
            continue;
        }
        let wanted = wanted(&node);
        // What is left to heal is read from the bricks, past glusterd and its lock.
        let _turn = match &wanted {
            Wanted::HealSeen(_) => None,
            _ => Some(context.gluster_turn(cluster, Some(node.id)).await),
        };
        match context.ask_as(asker, node.id, wanted, Wait::NotAtAll).await {
            Ok(done) => return (Ok(done), last.is_none()),
            Err(error) if is_about_the_host(&error) => last = Some(error),
            Err(error) => return (Err(error.into()), false),
        }
    }
    let result = match last {
        Some(error) => Err(error.into()),
        None => Err(StepError::NoHost("no node of the cluster has an agent attached and glusterd running".to_owned())),
    };
    (result, false)
}

/// The hosts in the order in which they are asked: where they are parted from each other, two of them could change GlusterFS
/// each for itself, and it would not come together again.
fn in_turn(context: &Context, mut nodes: Vec<Arc<Node>>) -> impl Iterator<Item = Arc<Node>> {
    let others = nodes.len().saturating_sub(1);
    // One that sees all the others, as nearly always the first does, spares the look at all of them.
    let sees_all = |node: &Arc<Node>| is_able(context, node.id) && peers_connected(context, node.id) >= others;
    let first = nodes.iter().position(sees_all).map(|at| nodes.remove(at));
    let rest = std::iter::once_with(move || {
        nodes.sort_by_cached_key(|node| Reverse(peers_connected(context, node.id)));
        nodes
    });
    first.into_iter().chain(rest.flatten())
}

/// What glusterd has of a volume; `None` where it has no such volume.
pub async fn seen(
    context: &Context,
    asker: &Asker,
    cluster: ClusterId,
    volume: VolumeKey,
) -> Result<Option<VolumeReport>, StepError> {
    match ask_as(context, asker, cluster, Wanted::VolumeSeen(volume)).await?.report {
        Report::Volume { seen } => Ok(seen),
        _ => Err(StepError::Missing("GlusterFS's view of the volume".to_owned())),
    }
}

/// What is left to heal in a volume.
pub async fn heal(
    context: &Context,
    asker: &Asker,
    cluster: ClusterId,
    volume: VolumeKey,
) -> Result<HealReport, StepError> {
    match ask_as(context, asker, cluster, Wanted::HealSeen(volume)).await?.report {
        Report::Heal(heal) => Ok(heal),
        _ => Err(StepError::Missing("what is left to heal".to_owned())),
    }
}

/// Has GlusterFS forget a stopped volume. Hosts of the pool that a person declared lost leave it for that, also those without a
/// brick of this volume: each would keep it.
pub async fn forget(context: &Context, run: &Run, cluster: ClusterId, volume: &VolumeKey) -> Result<Done, StepError> {
    let lost = lost_hosts(&context.state.read(), cluster);
    ask_by(context, run, cluster, |node| deletion(volume, &lost, Some(node))).await
}

fn lost_hosts(topology: &Topology, cluster: ClusterId) -> Vec<HostName> {
    topology.nodes_of(cluster).filter(|node| node.lost).flat_map(|node| node.storage.clone()).collect()
}

fn deletion(volume: &VolumeKey, lost: &[HostName], asked: Option<&Node>) -> Wanted {
    let here = asked.and_then(Node::storage_host).filter(|_| !lost.is_empty()).cloned();
    Wanted::VolumeGone(VolumeDeletion { key: volume.clone(), lost: lost.to_vec(), here })
}

/// Has the glusterd of one node forget a volume that is to be gone; answers whether it knew it. A transaction that was cut off
/// by the death of a host, or that this one forgot in a power cut, may have left it there alone. `wait` is for the look: nobody
/// waits for a host while everybody else waits for the turn in GlusterFS.
pub async fn forget_on(
    context: &Context,
    run: &Run,
    node: NodeId,
    cluster: ClusterId,
    volume: &VolumeKey,
    wait: Wait,
) -> Result<bool, AgentError> {
    let seen = context.ask(run, node, Wanted::VolumeSeen(volume.clone()), wait).await?;
    let Report::Volume { seen: Some(_) } = seen.report else {
        return Ok(false);
    };
    tracing::warn!(node.id = %node, volume.name = %volume.name, "A volume that is gone is known to a host; it is deleted there.");
    let _turn = context.gluster_turn(cluster, None).await;
    let topology = context.state.read();
    let gone = deletion(volume, &lost_hosts(&topology, cluster), topology.nodes.get(&node).map(AsRef::as_ref));
    for wanted in [Wanted::VolumeStopped(volume.clone()), gone] {
        context.ask(run, node, wanted, Wait::NotAtAll).await?;
    }
    Ok(true)
}

/// Whether the host could not say whose the volume of that name is, and it is somebody else's: one that was made by hand after
/// ours was gone. It has no id of ours, and none of the bricks of ours: the paths of what we made have ids in them, and are used
/// once. The host itself has no brick any more by which it could tell.
pub async fn met_a_stranger(context: &Context, run: &Run, error: &AgentError, volume: &Volume) -> bool {
    let AgentError::Failed { node, failure, .. } = error else { return false };
    if failure.kind != FailureKind::Unavailable {
        return false;
    }
    let survey = context.ask(run, *node, Wanted::HostSurveyed { gluster: true }, Wait::NotAtAll).await;
    let Ok(Done { report: Report::Survey(HostSurvey { volumes: Some(volumes), .. }), .. }) = survey else {
        return false;
    };
    let Some(ours) = volume.bricks.iter().map(|brick| brick.path.as_ref()).collect::<Option<Vec<_>>>() else {
        return false;
    };
    volumes.iter().filter(|seen| seen.name == volume.name).any(|seen| {
        seen.option(VOLUME_ID_OPTION).is_none() && !seen.bricks.iter().any(|brick| ours.contains(&&brick.path))
    })
}

/// How far a movement of data is; `wanted` is the look for it.
pub async fn movement(
    context: &Context,
    asker: &Asker,
    cluster: ClusterId,
    wanted: Wanted,
) -> Result<RebalanceReport, StepError> {
    match ask_as(context, asker, cluster, wanted).await?.report {
        Report::Rebalance(report) => Ok(report),
        _ => Err(StepError::Missing("how far the movement of data is".to_owned())),
    }
}

/// `host:path` of a brick, as GlusterFS knows it.
pub fn address(topology: &Topology, brick: &Brick, path: BrickPath) -> Result<BrickAddress, StepError> {
    let node = topology.nodes.get(&brick.node);
    let host = node.and_then(|node| node.storage_host()).cloned();
    let host = host.ok_or_else(|| StepError::Missing(format!("the storage host of node {}", brick.node)))?;
    Ok(BrickAddress { host, path })
}

/// The same for a brick whose volume is whole.
pub fn address_of(topology: &Topology, brick: &Brick) -> Result<BrickAddress, StepError> {
    let path = brick.path.clone().ok_or_else(|| StepError::Missing(format!("the path of brick {}", brick.id)))?;
    address(topology, brick, path)
}

/// Whether another host may do what this one could not.
pub fn is_about_the_host(error: &AgentError) -> bool {
    match error {
        AgentError::Detached { .. } | AgentError::Revoked { .. } => true,
        AgentError::Failed { failure, .. } => failure.kind == FailureKind::Unavailable,
        AgentError::Unknown { .. } | AgentError::Unanswered { .. } | AgentError::Stopping => false,
    }
}

/// Where no node is able, waits a while for one: after a restart of the coordinator the agents come back one by one, and an
/// operation that goes on must not fail because it was quicker.
async fn await_able(context: &Context, cluster: ClusterId) {
    let found = context.await_agents(context.policy.absence, || {
        let topology = context.state.read();
        topology.nodes_of(cluster).any(|node| is_able(context, node.id)).then_some(())
    });
    // Who finds none able says so itself.
    found.await;
}
