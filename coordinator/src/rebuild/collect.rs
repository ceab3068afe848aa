//! Hears what the hosts have to say: takes back whoever shows an agent's certificate of ours, and asks.
//!
//! Nothing of it lasts. Agents are greeted with the epoch that they know, so a coordinator that is still there is not
//! fenced off by somebody who only looks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::wire::KEEPSAKES_SINCE;
use bricklayer_store::Store;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::evidence::{Documents, Evidence, HostEvidence, PoolEvidence};
use crate::agents::{self, AgentApi as _, Presence, Registry};
use crate::keepsake::Marks;
use crate::pki::{Clock, Start, Trust};
use crate::service::Layout;
use crate::state::SCHEMA;

/// How often is looked who has said what.
const LOOK: Duration = Duration::from_millis(100);

/// How long those that are attached are waited for once the time is over: their answers are on the way.
const ANSWERS: Duration = Duration::from_secs(30);

/// What to wait for.
#[derive(Clone, Debug)]
pub struct Collect {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// `host:port` as agents dial it; empty: what `listen` came to.
    pub advertise: Vec<String>,
    pub wait: Duration,
    /// Names or ids of nodes that are not waited for.
    pub without: Vec<String>,
}

/// For whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Listening {
        at: SocketAddr,
    },
    Heard {
        name: String,
        bricks: usize,
    },
    /// Nodes that others keep a record of and that were not heard.
    Missing {
        names: Vec<String>,
    },
}

#[derive(Clone, Debug)]
pub struct Collected {
    pub evidence: Evidence,
    /// That any host has met.
    pub highest_epoch: u64,
    /// Nodes that were to be waited for and were not heard.
    pub missing: Vec<String>,
}

/// Listens until every node that any host knows of has said all, or the time is over.
pub async fn collect(wanted: Collect, mut tell: impl FnMut(Progress)) -> anyhow::Result<Collected> {
    let layout = Layout(&wanted.data_dir);
    let listener = TcpListener::bind(wanted.listen).await;
    let listener = listener.with_context(|| format!("agents cannot be served on {}", wanted.listen))?;
    let at = listener.local_addr()?;
    let scratch = tempfile::Builder::new().prefix("collecting-").tempdir_in(&wanted.data_dir)?;
    let scratch_store = scratch.path().join("store");
    let store = tokio::task::spawn_blocking(move || Store::open(&scratch_store, SCHEMA).map_err(Box::new)).await??;
    let addresses = if wanted.advertise.is_empty() { vec![at.to_string()] } else { wanted.advertise.clone() };
    let start = Start { addresses, epoch_at_least: 0, clock: Clock::system() };
    let trust = Trust::taking_back(store.clone(), &layout.authority(), start)?;
    let stop = CancellationToken::new();
    let registry = Registry::new(Arc::clone(&trust), stop.clone());
    let serving = tokio::spawn(agents::serve(listener, Arc::clone(&registry), stop.clone()));
    tell(Progress::Listening { at });

    let mut hearing = Hearing {
        registry: &registry,
        documents: Documents::of(Marks::of(trust.authority())),
        asked: BTreeMap::new(),
        heard: BTreeMap::new(),
    };
    let deadline = Instant::now() + wanted.wait;
    let mut said_missing = Vec::new();
    let missing = loop {
        for (name, bricks) in hearing.look() {
            tell(Progress::Heard { name, bricks });
        }
        let missing = hearing.missing(&wanted.without);
        let complete = missing.as_ref().is_some_and(Vec::is_empty) && hearing.on_their_way() == 0;
        let late = Instant::now() > deadline && (hearing.on_their_way() == 0 || Instant::now() > deadline + ANSWERS);
        let missing = missing.unwrap_or_default();
        if complete || late {
            break missing;
        }
        if missing != said_missing && hearing.on_their_way() == 0 {
            tell(Progress::Missing { names: missing.clone() });
            said_missing = missing;
        }
        tokio::time::sleep(LOOK).await;
    };
    let evidence = hearing.evidence();
    let highest_epoch = registry.highest_epoch();
    stop.cancel();
    serving.await??;
    tokio::task::spawn_blocking(move || store.close()).await?;
    Ok(Collected { evidence, highest_epoch, missing })
}

struct Hearing<'a> {
    registry: &'a Registry,
    documents: Documents,
    /// Who was asked, on which session, and as whom in a trusted storage pool for its volumes.
    asked: BTreeMap<NodeId, (u64, Option<BTreeSet<String>>)>,
    heard: BTreeMap<NodeId, (HostEvidence, Option<PoolEvidence>)>,
}

impl Hearing<'_> {
    /// Asks whoever is new, and takes in what has come. Answers the names of those that have said all by now.
    fn look(&mut self) -> Vec<(String, usize)> {
        let mut names = Vec::new();
        let sessions: BTreeMap<NodeId, u64> =
            self.registry.keeping().into_iter().map(|(node, session, _)| (node, session)).collect();
        for status in self.registry.all() {
            let Presence::Attached { protocol, .. } = status.presence else { continue };
            let node = status.node;
            let Some((inventory, _)) = self.registry.inventory(node) else { continue };
            let Some(agent) = self.registry.trust().agent(node) else { continue };
            if protocol < KEEPSAKES_SINCE {
                if !self.heard.contains_key(&node) {
                    names.push((agent.name.to_string(), inventory.bricks.len()));
                }
                self.heard.insert(node, (HostEvidence::silent(agent, inventory), None));
                continue;
            }
            let Some(session) = sessions.get(&node) else { continue };
            if self.asked.get(&node).is_none_or(|(asked, _)| asked != session) {
                // One host per pool tells of its volumes; a host that came back is asked anew.
                self.asked.remove(&node);
                let gluster = &inventory.gluster;
                let covered = |uuid: &String| {
                    self.asked.values().any(|(_, pool)| pool.as_ref().is_some_and(|pool| pool.contains(uuid)))
                };
                let uuid = gluster.uuid.as_ref().filter(|uuid| gluster.running && !covered(uuid));
                let pool = uuid.map(|own| {
                    gluster.peers.iter().map(|peer| &peer.uuid).chain([own]).cloned().collect::<BTreeSet<_>>()
                });
                self.registry.recall(node, pool.is_some());
                self.asked.insert(node, (*session, pool));
                self.heard.remove(&node);
            } else if !self.heard.contains_key(&node)
                && let Some(mut said) = self.registry.recollection(node)
            {
                let members = self.asked.get(&node).and_then(|(_, pool)| pool.clone());
                let volumes = said.gluster.take();
                let pool = members.map(|members| PoolEvidence { members, volumes });
                names.push((said.name.to_string(), inventory.bricks.len()));
                self.heard.insert(node, (HostEvidence::of(agent, inventory, said, &mut self.documents), pool));
            }
        }
        names
    }

    /// How many are attached and have not said all.
    fn on_their_way(&self) -> usize {
        let attached = self.registry.all().into_iter();
        attached
            .filter(|status| {
                matches!(status.presence, Presence::Attached { .. }) && !self.heard.contains_key(&status.node)
            })
            .count()
    }

    /// Nodes that the newest document names and that were not heard; `None` while there is no document.
    fn missing(&self, without: &[String]) -> Option<Vec<String>> {
        let kept = self.heard.values().filter_map(|(host, _)| host.installation.as_ref());
        let (_, newest) = kept.max_by_key(|(sequence, _)| *sequence)?;
        let expected = newest.nodes.iter().filter(|node| {
            let revoked = newest.agents.get(&node.id).is_some_and(|agent| agent.revoked.is_some());
            !node.lost && !revoked
        });
        let missing = expected.filter(|node| {
            let excused = without.iter().any(|name| name == node.name() || *name == node.id.to_string());
            !excused && !self.heard.contains_key(&node.id)
        });
        Some(missing.map(|node| node.name().to_owned()).collect())
    }

    fn evidence(self) -> Evidence {
        let installation = self.registry.trust().installation();
        let mut evidence = Evidence { installation, hosts: BTreeMap::new(), pools: Vec::new() };
        for (node, (mut host, pool)) in self.heard {
            // Groups and bricks go on to be reported while others are waited for.
            if let Some((inventory, _)) = self.registry.inventory(node) {
                host.inventory = inventory;
            }
            evidence.hosts.insert(node, host);
            evidence.pools.extend(pool);
        }
        evidence
    }
}
