//! The hosts of a cluster that serve block volumes: who can, who is chosen, who is asked.

use std::collections::BTreeMap;
use std::fmt;

use bricklayer_proto::block::{BlockKey, BlockReport};
use bricklayer_proto::ids::{ClusterId, NodeId};
use bricklayer_proto::names::HostName;
use bricklayer_proto::task::{Done, Report, Wanted};

use super::context::{Asker, Context, Wait};
use super::gluster;
use super::step::StepError;
use crate::model::{AdminState, Node, Topology};

/// Why a node cannot serve block volumes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    NotOnline(AdminState),
    Away,
    NoGluster,
    /// heketi's clients are told only this one before anything else is looked at.
    NoProgram,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnline(state) => write!(f, "the node is {state}"),
            Self::Away => f.write_str("its agent is not attached"),
            Self::NoGluster => f.write_str("its glusterd does not run"),
            Self::NoProgram => f.write_str("it has no gluster-block"),
        }
    }
}

/// Why a block volume cannot be served by the hosts of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    #[error(
        "no host of the cluster can serve block volumes{}\nInstall gluster-block on at least one of them and restart its \
         agent",
        list(.0)
    )]
    ByNobody(Vec<(String, Unfit)>),
    /// heketi's text and, below it, what is missing.
    #[error("insufficient block hosts online\n{able} of {wanted} can serve it{}", list(unfit))]
    ByTooFew { wanted: usize, able: usize, unfit: Vec<(String, Unfit)> },
}

fn list(unfit: &[(String, Unfit)]) -> String {
    unfit.iter().map(|(name, why)| format!("\n  {name}: {why}")).collect()
}

/// The hosts that are to export a new block volume: as many as are wished, or all that can where the wish names no
/// number. Those that export the fewest come first, then the order is that of the nodes' ids.
pub fn choose(context: &Context, topology: &Topology, cluster: ClusterId, ha: u32) -> Result<Vec<HostName>, NotServed> {
    let (mut able, mut unfit, mut nodes) = (Vec::new(), Vec::new(), 0);
    for node in topology.nodes_of(cluster) {
        nodes += 1;
        match fitness(context, node) {
            Ok(host) => able.push(host),
            Err(why) => unfit.push((node.name().to_owned(), why)),
        }
    }
    if able.is_empty() {
        return Err(NotServed::ByNobody(unfit));
    }
    let ha = usize::try_from(ha).unwrap_or(usize::MAX);
    // More than there are means all, as in heketi.
    let wanted = if ha == 0 { able.len() } else { ha.min(nodes) };
    if able.len() < wanted {
        return Err(NotServed::ByTooFew { wanted, able: able.len(), unfit });
    }
    let mut exports: BTreeMap<&HostName, usize> = BTreeMap::new();
    for host in topology.block_volumes.values().flat_map(|block| &block.hosts) {
        *exports.entry(host).or_default() += 1;
    }
    // Stable: the nodes' ids decide between equals.
    able.sort_by_key(|host| exports.get(host).copied().unwrap_or(0));
    able.truncate(wanted);
    Ok(able)
}

fn fitness(context: &Context, node: &Node) -> Result<HostName, Unfit> {
    if node.state != AdminState::Online {
        return Err(Unfit::NotOnline(node.state));
    }
    let Some((inventory, _)) = context.agents.inventory(node.id).filter(|_| context.agents.is_attached(node.id)) else {
        return Err(Unfit::Away);
    };
    if inventory.gluster.block.is_none() {
        return Err(Unfit::NoProgram);
    }
    if !inventory.gluster.running {
        return Err(Unfit::NoGluster);
    }
    node.storage_host().cloned().ok_or(Unfit::Away)
}

/// Asks one host of the cluster that has the program; the next one where it went away.
///
/// Nothing is kept waiting meanwhile: block volumes need no turn of glusterd's, and each volume that hosts some has a
/// lock of its own.
pub async fn ask(context: &Context, asker: &Asker, cluster: ClusterId, wanted: Wanted) -> Result<Done, StepError> {
    let mut last = None;
    for node in await_able(context, cluster).await {
        match context.ask_as(asker, node, wanted.clone(), Wait::NotAtAll).await {
            Ok(done) => return Ok(done),
            Err(error) if gluster::is_about_the_host(&error) => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => Err(StepError::NoHost(
            "no node of the cluster has an agent attached, glusterd running and gluster-block installed".to_owned(),
        )),
    }
}

/// What `gluster-block` has of a block volume.
pub async fn seen(
    context: &Context,
    asker: &Asker,
    cluster: ClusterId,
    key: BlockKey,
) -> Result<Option<BlockReport>, StepError> {
    block_report(ask(context, asker, cluster, Wanted::BlockSeen(key)).await?.report)
}

/// The report of a task about a block volume.
pub fn block_report(report: Report) -> Result<Option<BlockReport>, StepError> {
    match report {
        Report::Block { seen } => Ok(seen),
        _ => Err(StepError::Missing("what gluster-block says of the block volume".to_owned())),
    }
}

/// The nodes that can be asked. After a restart of the coordinator the agents come back one by one.
async fn await_able(context: &Context, cluster: ClusterId) -> Vec<NodeId> {
    let found = context.await_agents(context.policy.absence, || {
        let has_program = |node: &NodeId| {
            context.agents.inventory(*node).is_some_and(|(inventory, _)| inventory.gluster.block.is_some())
        };
        let mut able = gluster::able(context, &context.state.read(), cluster);
        able.retain(has_program);
        (!able.is_empty()).then_some(able)
    });
    found.await.unwrap_or_default()
}
