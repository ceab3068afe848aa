//! Hands every agent its documents, whenever what it keeps is not what is true.
//!
//! An agent says what it has; what differs is sent. So a restart of either side sends nothing, and an agent of an older
//! protocol, which says nothing, is left alone.
//!
//! Documents are numbered by the store's commits. An agent that keeps a newer one than ours has met a state that we have
//! lost: our store is an older copy. Then nothing is handed out any more, durably, until the store is rebuilt, so that
//! what the hosts know is not overwritten by what we do not.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::keepsake::{Keepsake, KeepsakeKind, Kept, MAX_KEEPSAKE};
use bricklayer_store::{Batch, StoreError, Table};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::document::{self, HostVolumes, InstallationDocument, VolumesDocument};
use super::mark::Marks;
use crate::agents::{AgentApi as _, AgentEvent, Registry};
use crate::model::Topology;
use crate::recovery;
use crate::state::State;

/// So long is waited for more changes before documents go out.
const SETTLE: Duration = Duration::from_millis(250);

/// How often is looked for what nobody tells: renewed certificates, a new recovery key.
const LOOK: Duration = Duration::from_secs(30);

/// Not more than this goes out in a second, over some time: a thousand hosts with a document of a MiB each.
const BYTES_A_SECOND: u64 = 32 << 20;

/// That our store is older than what an agent keeps. One record, in the store itself.
pub const BEHIND: Table<(), Behind> = Table::single("behind");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    pub node: NodeId,
    /// The commit that the agent knows of.
    pub theirs: u64,
    /// Our own last commit then.
    pub ours: u64,
    pub at: Timestamp,
}

/// Whether what is true is on the hosts too.
#[derive(Clone, Debug)]
pub struct Handed {
    state: Weak<State>,
    version: watch::Receiver<Option<u64>>,
}

impl Handed {
    /// Whether every attached agent that can keep something keeps the state as it is now.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let now = self.state.upgrade().map(|state| state.read().version);
        now.is_some() && *self.version.borrow() == now
    }
}

pub struct Keeper {
    state: Arc<State>,
    registry: Arc<Registry>,
    marks: Marks,
    data_dir: PathBuf,
    behind: Option<Behind>,
    installation: Option<Kept>,
    /// Of each host: what its document was made of, and what came out.
    volumes: HashMap<NodeId, (HostVolumes, Kept)>,
    /// What was sent on which session and not yet acknowledged.
    sent: HashMap<(NodeId, KeepsakeKind), (u64, Kept)>,
    /// The version of the state that every attached agent keeps.
    handed: watch::Sender<Option<u64>>,
}

impl Keeper {
    pub fn new(state: Arc<State>, registry: Arc<Registry>, data_dir: PathBuf) -> Result<Self, StoreError> {
        let marks = Marks::of(registry.trust().authority());
        let behind = state.store().get(&BEHIND, &())?;
        if let Some(behind) = &behind {
            complain(behind, &registry);
        }
        Ok(Self {
            state,
            registry,
            marks,
            data_dir,
            behind,
            installation: None,
            volumes: HashMap::new(),
            sent: HashMap::new(),
            handed: watch::Sender::new(None),
        })
    }

    #[must_use]
    pub fn handed(&self) -> Handed {
        Handed { state: Arc::downgrade(&self.state), version: self.handed.subscribe() }
    }

    /// Hands out until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.state.changes();
        let mut events = self.registry.events();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = changes.changed() => {}
                _ = look.tick() => {}
                event = events.recv() => match event {
                    Ok(AgentEvent::Kept { .. } | AgentEvent::Enrolled { .. } | AgentEvent::Revoked { .. })
                    | Err(RecvError::Lagged(_)) => {}
                    Ok(_) => continue,
                    Err(RecvError::Closed) => return,
                },
            }
            let bytes = match self.round().await {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::error!(%error, "What hosts keep could not be handed out.");
                    0
                }
            };
            let pause = SETTLE + Duration::from_millis(bytes.saturating_mul(1000) / BYTES_A_SECOND);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Compares what every agent keeps with what is true, and sends what differs. Answers how many bytes.
    async fn round(&mut self) -> Result<u64, StoreError> {
        let topology = self.state.read();
        // After the topology, so that no document has a lower number than what is in it.
        let seq = self.state.store().seq()?.get();
        let keeping = self.registry.keeping();
        let mut bytes = self.hand_out_secrets(&keeping);
        if self.behind.is_some() {
            return Ok(bytes);
        }
        let installation = self.installation(&topology, seq);
        let by_host = document::by_host(&topology);
        let mut all = true;
        for (node, session, kept) in &keeping {
            let volumes = (!self.has_its_volumes(*node, &by_host, kept)).then(|| self.volumes(*node, &by_host, seq));
            for keepsake in std::iter::once(&installation).chain(&volumes) {
                let ours = keepsake.kept();
                let theirs = kept.iter().find(|kept| kept.kind == ours.kind);
                if theirs.is_some_and(|theirs| theirs.digest != ours.digest && theirs.sequence > seq) {
                    return self
                        .fall_behind(*node, theirs.map_or(0, |theirs| theirs.sequence), seq)
                        .await
                        .map(|()| bytes);
                }
                all &= theirs.is_some_and(|theirs| theirs.digest == ours.digest);
                bytes += self.send_if_new(*node, *session, theirs, keepsake);
            }
        }
        self.handed.send_replace(all.then_some(topology.version));
        Ok(bytes)
    }

    fn installation(&mut self, topology: &Topology, seq: u64) -> Keepsake {
        let trust = self.registry.trust();
        let document = InstallationDocument::of(topology, trust.installation(), trust.agents().into_iter().collect());
        let keepsake = self.numbered(KeepsakeKind::Installation, self.installation, seq, &document);
        self.installation = Some(keepsake.kept());
        keepsake
    }

    /// Whether the host keeps what is true of its volumes, without making its document for that.
    fn has_its_volumes(&self, node: NodeId, by_host: &BTreeMap<NodeId, HostVolumes>, kept: &[Kept]) -> bool {
        let Some((before, ours)) = self.volumes.get(&node) else { return false };
        let same =
            by_host.get(&node).map_or_else(|| before.is_same(&HostVolumes::default()), |now| before.is_same(now));
        same && kept.iter().any(|kept| kept.kind == ours.kind && kept.digest == ours.digest)
    }

    fn volumes(&mut self, node: NodeId, by_host: &BTreeMap<NodeId, HostVolumes>, seq: u64) -> Keepsake {
        let has = by_host.get(&node).cloned().unwrap_or_default();
        let installation = self.registry.trust().installation();
        let before = self.volumes.get(&node).map(|(_, kept)| *kept);
        let document = VolumesDocument::of(node, &has, installation, &self.marks);
        let keepsake = self.numbered(KeepsakeKind::Volumes, before, seq, &document);
        self.volumes.insert(node, (has, keepsake.kept()));
        keepsake
    }

    /// The same document keeps its number; a new one gets a higher one than it had.
    fn numbered(&self, kind: KeepsakeKind, before: Option<Kept>, seq: u64, document: &impl Serialize) -> Keepsake {
        let content = serde_json::to_string(document).unwrap_or_default();
        let digest = bricklayer_proto::keepsake::Digest::of(content.as_bytes());
        let sequence = match before {
            Some(before) if before.digest == digest => before.sequence,
            Some(before) => seq.max(before.sequence + 1),
            None => seq,
        };
        self.marks.keepsake(kind, sequence, content)
    }

    fn hand_out_secrets(&mut self, keeping: &[(NodeId, u64, Vec<Kept>)]) -> u64 {
        let bundle = match recovery::bundle(&self.data_dir) {
            Ok(Some(bundle)) => bundle,
            Ok(None) => return 0,
            Err(error) => {
                tracing::error!("The bundle of the installation's keys cannot be handed out: {error:#}");
                return 0;
            }
        };
        let made = u64::try_from(bundle.made().as_millisecond()).unwrap_or(0);
        let keepsake = self.marks.keepsake(KeepsakeKind::Secrets, made, bundle.to_text());
        let mut bytes = 0;
        for (node, session, kept) in keeping {
            let theirs = kept.iter().find(|kept| kept.kind == KeepsakeKind::Secrets);
            // One of another data directory that is newer is left: it may be the only one that opens.
            if theirs.is_none_or(|theirs| theirs.sequence <= made) {
                bytes += self.send_if_new(*node, *session, theirs, &keepsake);
            }
        }
        bytes
    }

    fn send_if_new(&mut self, node: NodeId, session: u64, theirs: Option<&Kept>, keepsake: &Keepsake) -> u64 {
        let (kind, ours) = (keepsake.kind, keepsake.kept());
        if theirs.is_some_and(|theirs| theirs.digest == ours.digest) {
            self.sent.remove(&(node, kind));
            return 0;
        }
        if self.sent.get(&(node, kind)) == Some(&(session, ours)) {
            return 0;
        }
        self.sent.insert((node, kind), (session, ours));
        if keepsake.content.len() > MAX_KEEPSAKE {
            tracing::error!(
                node.id = %node, %kind, bytes = keepsake.content.len(), most = MAX_KEEPSAKE,
                "What the host is to keep is larger than can be sent. It keeps the last that could: export the store regularly."
            );
            return 0;
        }
        self.registry.keep(node, keepsake.clone());
        u64::try_from(keepsake.content.len()).unwrap_or(u64::MAX)
    }

    async fn fall_behind(&mut self, node: NodeId, theirs: u64, ours: u64) -> Result<(), StoreError> {
        let behind = Behind { node, theirs, ours, at: self.registry.trust().clock().now() };
        complain(&behind, &self.registry);
        let mut batch = Batch::new();
        batch.put(&BEHIND, &(), &behind);
        self.behind = Some(behind);
        self.state.store().commit(batch).await.map(drop)
    }
}

fn complain(behind: &Behind, registry: &Registry) {
    let name =
        registry.trust().agent(behind.node).map_or_else(|| behind.node.to_string(), |agent| agent.name.to_string());
    tracing::error!(
        node.id = %behind.node, node.name = name, theirs = behind.theirs, ours = behind.ours,
        "This store is an older copy: a host knows of later changes than it. Nothing of it is handed out to hosts until \
         `bricklayer-coordinator rebuild` has said what is missing and put it right."
    );
}
