//! A host becomes a node: its agent is known already, its glusterd joins the trusted storage pool.

use async_trait::async_trait;
use bricklayer_proto::ids::{ClusterId, NodeId, OperationId};
use bricklayer_proto::names::HostName;
use bricklayer_proto::task::Wanted;

use super::context::{Context, Run};
use super::step::{Stage, Step, StepError};
use super::{Rejected, gluster};
use crate::model::{AdminState, Node, NodeAdd, Operation, Plan, Resource, Tags, Topology, Zone};
use crate::state::Change;

/// What a client asks for. Names in the order given; the first of each is the one that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeWish {
    pub cluster: ClusterId,
    pub zone: Zone,
    pub manage: Vec<HostName>,
    pub storage: Vec<HostName>,
    pub tags: Tags,
}

/// Finds the agent of the wished node and sees that its host is fit.
pub async fn check(context: &Context, wish: NodeWish) -> Result<Node, Rejected> {
    let topology = context.state.read();
    names_are_free(&topology, &wish)?;
    let name = wish.manage.first().ok_or(Rejected::NotFound)?.clone();
    if let Some(hook) = &context.unknown_node {
        hook.appear(&wish.manage, &wish.storage).await;
    }
    let id = context.agents.by_name(name.as_str()).ok_or_else(|| Rejected::NoAgent { name: name.clone() })?;
    // An agent that has attached a moment ago has not said yet what it sees.
    let able = context.await_agents(context.policy.greeting, || gluster::is_able(context, id).then_some(()));
    if able.await.is_none() {
        let name = name.to_string();
        let away = !context.agents.is_attached(id);
        return Err(if away { Rejected::AgentAway { name } } else { Rejected::NewNodeWithoutGluster { name } });
    }
    let others = topology.nodes_of(wish.cluster).next().is_some();
    // Nor have the others after a start of the coordinator.
    let one_is_able = || (!gluster::able(context, &topology, wish.cluster).is_empty()).then_some(());
    if others && context.await_agents(context.policy.greeting, one_is_able).await.is_none() {
        return Err(Rejected::ClusterWithoutGluster);
    }
    Ok(Node {
        id,
        cluster: wish.cluster,
        zone: wish.zone,
        manage: wish.manage,
        storage: wish.storage,
        state: AdminState::Online,
        tags: wish.tags,
        lost: false,
    })
}

fn names_are_free(topology: &Topology, wish: &NodeWish) -> Result<(), Rejected> {
    if !topology.clusters.contains_key(&wish.cluster) {
        return Err(Rejected::NoSuchCluster(wish.cluster));
    }
    wish.manage.iter().chain(&wish.storage).try_for_each(|host| host_name_is_free(topology, host, None))
}

/// No other node has it, nor one that is being added. `own`: the node that may have it.
pub fn host_name_is_free(topology: &Topology, host: &HostName, own: Option<NodeId>) -> Result<(), Rejected> {
    let coming = topology.unfinished.values().flat_map(|operation| match &operation.plan {
        Plan::NodeAdd(add) => std::slice::from_ref(&add.node),
        Plan::Adopt(adopt) => adopt.nodes.as_slice(),
        _ => &[],
    });
    let mut known = topology.nodes.values().map(AsRef::as_ref).chain(coming);
    let has_it = |node: &&Node| node.manage.contains(host) || node.storage.contains(host);
    match known.find(|node| Some(node.id) != own && has_it(node)) {
        Some(node) => Err(Rejected::HostNameUsed { host: host.clone(), node: node.id }),
        None => Ok(()),
    }
}

pub async fn submit(context: &Context, node: Node) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let wish = NodeWish {
                cluster: node.cluster,
                zone: node.zone,
                manage: node.manage.clone(),
                storage: node.storage.clone(),
                tags: Tags::new(),
            };
            names_are_free(change, &wish)?;
            if change.unfinished.values().any(|operation| operation.plan.adopts_in(node.cluster)) {
                return Err(Rejected::Busy);
            }
            if let (Some(_), Some(host)) = (change.nodes.get(&node.id), node.manage.first()) {
                return Err(Rejected::HostNameUsed { host: host.clone(), node: node.id });
            }
            let operation = Operation::begun(Plan::NodeAdd(NodeAdd { node }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(plan: &NodeAdd) -> Vec<Stage> {
    vec![Stage::one(JoinPool { node: plan.node.clone() })]
}

pub fn finish(change: &mut Change, plan: &NodeAdd) -> Option<Resource> {
    change.put_node(plan.node.clone());
    Some(Resource::Node(plan.node.id))
}

/// Whether the node of this operation is the first of its cluster, once that is certain: of two that are added to an empty
/// cluster at once, the later one joins the pool of the earlier one rather than found another.
fn founds_pool(topology: &Topology, cluster: ClusterId, own: OperationId) -> Option<bool> {
    if topology.nodes_of(cluster).next().is_some() {
        return Some(false);
    }
    let adds = topology.unfinished.values().filter_map(|operation| match &operation.plan {
        Plan::NodeAdd(add) if add.node.cluster == cluster => Some((operation.started, operation.id)),
        _ => None,
    });
    let first = adds.min().map(|(_, id)| id);
    (first.is_none() || first == Some(own)).then_some(true)
}

struct JoinPool {
    node: Node,
}

#[async_trait]
impl Step for JoinPool {
    fn name(&self) -> String {
        format!("join {} to the trusted storage pool", self.node.name())
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let cluster = self.node.cluster;
        let founds = context.state.until(|topology| founds_pool(topology, cluster, run.id())).await;
        match self.node.storage_host() {
            // A pool of one needs nobody's consent.
            Some(host) if !founds => {
                let wanted = Wanted::Peer { host: host.clone() };
                gluster::ask(context, run, self.node.cluster, wanted).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A probe that failed has joined nobody, and a host that was in the pool before must stay there.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
