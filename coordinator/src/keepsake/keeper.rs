//! Hands every agent its documents, whenever what it keeps is not what is true.
//!
//! An agent says what it has; what differs is sent. So a restart of either side sends nothing, and an agent of an older
//! protocol, which says nothing, is left alone.
//!
//! Documents are numbered by the store's commits. An agent that keeps a newer one than ours has met a state that we have
//! lost: our store is an older copy. A store that was made of an export counts on from far above ([`Fork`]), so that what
//! it commits itself never passes for what it lacks. Then nothing is handed out any more, durably, until the store is rebuilt, so that
//! what the hosts know is not overwritten by what we do not; and nothing is done with it ([`crate::standing`]).
//!
//! A store that was made of an export hands nothing out either before every host has been heard ([`Restored`]): the first one
//! might be given what the second one knows better.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::keepsake::{Keepsake, KeepsakeKind, Kept, MAX_KEEPSAKE};
use bricklayer_proto::wire::KEEPSAKES_SINCE;
use bricklayer_store::{Batch, Store, StoreError, Table};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::document::{InstallationDocument, VolumesDocument};
use super::mark::Marks;
use crate::agents::{AgentApi as _, AgentEvent, Presence, Refused, Registry};
use crate::model::Topology;
use crate::pki::AgentRecord;
use crate::recovery;
use crate::standing::{self, Standing};
use crate::state::State;

/// So long is waited for more changes before documents go out.
const SETTLE: Duration = Duration::from_millis(250);

/// How often is looked for what nobody tells: renewed certificates, a new recovery key.
const LOOK: Duration = Duration::from_secs(30);

/// Not more than this goes out in a second, over some time. Documents go out whole, and where volumes are made without a
/// pause every host has a new one all the time.
const BYTES_A_SECOND: u64 = 4 << 20;

/// So many times as long as a round has taken is waited before the next one: handing out is worth a twentieth of a core.
const REST: u32 = 20;

/// More than this is not under way at once, as each document under way takes its size in memory.
const UNDER_WAY: usize = 1 << 20;

/// A host that has not said so long that it has a document does not keep others from theirs.
const SLOW: Duration = Duration::from_secs(10);

/// What hosts keep is never older than this by our own thrift.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
    registry: Weak<Registry>,
    told: watch::Receiver<Told>,
    standing: standing::Watch,
}

#[derive(Clone, Debug, Default)]
struct Told {
    /// The version of the state that every attached agent keeps.
    version: Option<u64>,
    /// And so of who is trusted.
    agents: BTreeMap<NodeId, AgentRecord>,
}

impl Handed {
    /// Whether every attached agent that can keep something keeps the state as it is now.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let (Some(state), Some(registry)) = (self.state.upgrade(), self.registry.upgrade()) else { return false };
        let told = self.told.borrow();
        told.version == Some(state.read().version) && registry.trust().agents().into_iter().eq(told.agents.clone())
    }

    /// Whether a host knows of later changes than the store, so that nothing is handed out.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.standing.is_older()
    }
}

/// That the store was made of an export: what came after that has other numbers than what would have come in the store
/// that was exported. One record, in the store itself.
pub const FORK: Table<(), Fork> = Table::single("fork");

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The number of the last commit that is in the export. What a host keeps above it and below `offset` is lost here.
    pub after: u64,
    /// Added to the number of each commit.
    pub offset: u64,
}

/// More commits than any store makes.
const FORK_OFFSET: u64 = 1 << 32;

/// That the store was made of an export, and not every host has been heard since. One record, in the store itself.
pub const RESTORED: Table<(), Restored> = Table::single("restored");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    pub at: Timestamp,
    /// The last commit that is in the export.
    pub seq: u64,
}

impl Fork {
    /// Notes that the store was made of an export whose last commit had the number `seq`.
    pub fn write(store: &Store, seq: u64, at: Timestamp) -> Result<(), StoreError> {
        let before = store.get(&FORK, &())?.unwrap_or_default();
        let fork = Self { after: seq + before.offset, offset: before.offset + FORK_OFFSET };
        let mut batch = Batch::new();
        batch.put(&FORK, &(), &fork).put(&RESTORED, &(), &Restored { at, seq });
        store.commit_blocking(batch).map(drop)
    }

    fn number(self, seq: u64) -> u64 {
        seq + self.offset
    }

    /// Whether a document of this number tells of what a store at commit `seq` does not have.
    fn is_beyond(self, number: u64, seq: u64) -> bool {
        number > self.number(seq) || (self.offset > 0 && number > self.after && number < self.after + FORK_OFFSET)
    }
}

/// A document with its digest, which takes long enough to be made once.
#[derive(Clone, Debug)]
struct Document {
    keepsake: Keepsake,
    kept: Kept,
}

/// A document on its way to a host's disk.
#[derive(Clone, Copy, Debug)]
struct Sent {
    session: u64,
    kept: Kept,
    bytes: usize,
    at: Instant,
}

/// The document of the installation, and of what it was made.
#[derive(Debug)]
struct Installation {
    hardware: u64,
    agents: BTreeMap<NodeId, AgentRecord>,
    document: Arc<Document>,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    bytes: u64,
    /// Its own time, without that of others in between.
    spent: Duration,
}

pub struct Keeper {
    fork: Fork,
    state: Arc<State>,
    registry: Arc<Registry>,
    marks: Marks,
    data_dir: PathBuf,
    /// The store's last commit when this began.
    started: u64,
    behind: Option<Behind>,
    restored: Option<Restored>,
    /// What hosts have said since the start that they keep, and that tells of nothing later.
    heard: HashSet<(NodeId, KeepsakeKind)>,
    /// When the others are no longer waited for, where the store was not restored.
    patience: tokio::time::Instant,
    standing: watch::Sender<Standing>,
    /// The sealed bundle, and when it was read.
    secrets: Option<(Instant, Option<Document>)>,
    installation: Option<Installation>,
    /// Of each host: the version of the state of which its document was made, and what came out.
    volumes: HashMap<NodeId, (u64, Kept)>,
    /// What was sent and not yet acknowledged.
    sent: HashMap<(NodeId, KeepsakeKind), Sent>,
    /// How many bytes of that may still be on their way.
    under_way: usize,
    handed: watch::Sender<Told>,
}

impl Keeper {
    /// `hearing`: how long all hosts are waited for before a store that was not restored is believed.
    pub fn new(
        state: Arc<State>,
        registry: Arc<Registry>,
        data_dir: PathBuf,
        hearing: Duration,
    ) -> Result<Self, StoreError> {
        let marks = Marks::of(registry.trust().authority());
        let fork = state.store().get(&FORK, &())?.unwrap_or_default();
        let behind = state.store().get(&BEHIND, &())?;
        if let Some(behind) = &behind {
            complain(behind, &registry);
        }
        let restored = state.store().get(&RESTORED, &())?;
        let standing = match &behind {
            Some(behind) => Standing::Older { node: behind.node, found: behind.at },
            None => Standing::Unheard { restored: restored.as_ref().map(|restored| restored.at), missing: Vec::new() },
        };
        Ok(Self {
            fork,
            started: state.store().seq()?.get(),
            restored,
            heard: HashSet::new(),
            patience: tokio::time::Instant::now() + hearing,
            standing: watch::Sender::new(standing),
            state,
            registry,
            marks,
            data_dir,
            behind,
            secrets: None,
            installation: None,
            volumes: HashMap::new(),
            sent: HashMap::new(),
            under_way: 0,
            handed: watch::Sender::default(),
        })
    }

    #[must_use]
    pub fn handed(&self) -> Handed {
        Handed {
            state: Arc::downgrade(&self.state),
            registry: Arc::downgrade(&self.registry),
            told: self.handed.subscribe(),
            standing: self.standing(),
        }
    }

    #[must_use]
    pub fn standing(&self) -> standing::Watch {
        self.standing.subscribe().into()
    }

    /// Hands out until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.state.changes();
        let mut events = self.registry.events();
        let mut look = tokio::time::interval(LOOK);
        loop {
            let waits = !matches!(*self.standing.borrow(), Standing::Newest | Standing::Older { .. });
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = changes.changed() => {}
                _ = look.tick() => {}
                () = tokio::time::sleep_until(self.patience), if waits && self.restored.is_none() => {}
                event = events.recv() => match event {
                    Ok(AgentEvent::Kept { .. } | AgentEvent::Enrolled { .. } | AgentEvent::Revoked { .. })
                    | Err(RecvError::Lagged(_)) => {}
                    Ok(_) => continue,
                    Err(RecvError::Closed) => return,
                },
            }
            let held_back = self.restored.is_some();
            let Round { bytes, spent } = match self.round().await {
                Ok(round) => round,
                Err(error) => {
                    tracing::error!(%error, "What hosts keep could not be handed out.");
                    Round::default()
                }
            };
            if held_back && self.restored.is_none() {
                look.reset_immediately();
            }
            let sending = Duration::from_millis(bytes.saturating_mul(1000) / BYTES_A_SECOND);
            let pause = (spent * REST).max(sending).clamp(SETTLE, LONGEST_PAUSE);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Compares what every agent keeps with what is true, and sends what differs.
    async fn round(&mut self) -> Result<Round, StoreError> {
        let mut since = Instant::now();
        let mut spent = Duration::ZERO;
        let topology = self.state.read();
        // After the topology, so that no document has a lower number than what is in it.
        let seq = self.state.store().seq()?.get();
        let keeping = self.registry.keeping();
        self.under_way = self.still_under_way(&keeping);
        let mut bytes = self.hand_out_secrets(&keeping);
        if self.behind.is_some() {
            return Ok(Round { bytes, spent: since.elapsed() });
        }
        let agents: BTreeMap<_, _> = self.registry.trust().agents().into_iter().collect();
        let installation = self.installation(&topology, &agents, seq);
        // Before all are heard, one of them may know better than we do what this would overwrite.
        let hands_out = self.restored.is_none();
        let mut all = hands_out;
        let secrets = self.secrets.iter().find_map(|(_, secrets)| secrets.as_ref().map(|secrets| secrets.kept));
        for (node, session, kept) in &keeping {
            let has = |ours: Kept| kept.iter().any(|kept| kept.kind == ours.kind && kept.digest == ours.digest);
            all &= secrets.is_none_or(has);
            let changed = topology.volumes_changed(*node);
            let known = self.volumes.get(node).filter(|(version, _)| *version == changed);
            let has_its_volumes = known.is_some_and(|(_, ours)| has(*ours));
            // It could not be sent, and is another one by the next round.
            let can_be_sent = self.under_way <= UNDER_WAY;
            all &= has_its_volumes || can_be_sent;
            let makes = !has_its_volumes && can_be_sent;
            let volumes = makes.then(|| Arc::new(self.volumes(*node, &topology, seq)));
            for document in std::iter::once(&installation).chain(&volumes) {
                let ours = document.kept;
                let theirs = kept.iter().find(|kept| kept.kind == ours.kind);
                // What it has kept from before this start cannot be of a commit since.
                let is_new = self.heard.insert((*node, ours.kind));
                let known = if is_new { self.started } else { seq };
                if theirs
                    .is_some_and(|theirs| theirs.digest != ours.digest && self.fork.is_beyond(theirs.sequence, known))
                {
                    self.fall_behind(*node, theirs.map_or(0, |theirs| theirs.sequence), seq).await?;
                    return Ok(Round { bytes, spent: spent + since.elapsed() });
                }
                all &= theirs.is_some_and(|theirs| theirs.digest == ours.digest);
                if hands_out {
                    bytes += self.send_if_new(*node, *session, theirs, document);
                }
            }
            if has_its_volumes {
                self.heard.insert((*node, KeepsakeKind::Volumes));
            }
            // A document takes milliseconds, and a thousand hosts may each need a new one: whoever reads is let in between.
            spent += since.elapsed();
            tokio::task::yield_now().await;
            since = Instant::now();
        }
        self.handed.send_replace(Told { version: all.then_some(topology.version), agents });
        self.judge(&topology).await?;
        Ok(Round { bytes, spent: spent + since.elapsed() })
    }

    /// Whether the store is to be believed now.
    async fn judge(&mut self, topology: &Topology) -> Result<(), StoreError> {
        if matches!(*self.standing.borrow(), Standing::Newest) {
            return Ok(());
        }
        let missing = self.missing(topology);
        if !missing.is_empty() && (self.restored.is_some() || tokio::time::Instant::now() < self.patience) {
            let restored = self.restored.as_ref().map(|restored| restored.at);
            let now = Standing::Unheard { restored, missing };
            self.standing.send_if_modified(|before| std::mem::replace(before, now.clone()) != now);
            return Ok(());
        }
        if self.restored.is_some() {
            let mut batch = Batch::new();
            batch.remove(&RESTORED, &());
            self.state.store().commit(batch).await?;
            self.restored = None;
            tracing::info!("No host knows of a later state than this store, which was made of an export.");
        }
        self.standing.send_replace(Standing::Newest);
        Ok(())
    }

    /// The hosts that may know of a later state, as nothing has been heard of them since the start. Of one that was lost or shut
    /// out nothing will be, and an agent of an older protocol has nothing to say.
    fn missing(&self, topology: &Topology) -> Vec<NodeId> {
        let nodes = topology.nodes.values().filter(|node| !node.lost).map(|node| node.id);
        let may_know = |node: &NodeId| match self.registry.status(*node).map(|status| status.presence) {
            Some(Presence::Attached { protocol, .. }) => protocol >= KEEPSAKES_SINCE,
            Some(Presence::Detached { .. }) => true,
            Some(Presence::Revoked { .. }) | None => false,
        };
        let is_heard = |node: NodeId| {
            [KeepsakeKind::Installation, KeepsakeKind::Volumes].iter().all(|kind| self.heard.contains(&(node, *kind)))
        };
        let unheard = nodes.filter(|node| !is_heard(*node)).filter(may_know);
        // Nothing is heard of a host that is not let in, and it has enrolled in a later state for certain.
        let strangers = self.registry.refusals().into_iter().filter(|refusal| refusal.why == Refused::UnknownNode);
        let strangers = strangers.map(|refusal| refusal.node).filter(|_| self.restored.is_some());
        unheard.chain(strangers).collect()
    }

    /// Forgets what has arrived, and tells how many bytes have not.
    fn still_under_way(&mut self, keeping: &[(NodeId, u64, Vec<Kept>)]) -> usize {
        for (node, _, kept) in keeping {
            for kept in kept {
                let key = (*node, kept.kind);
                if self.sent.get(&key).is_some_and(|sent| sent.kept.digest == kept.digest) {
                    self.sent.remove(&key);
                }
            }
        }
        self.sent.values().filter(|sent| sent.at.elapsed() < SLOW).map(|sent| sent.bytes).sum()
    }

    /// It is the same for all hosts, and as large as there are devices: made anew only where something in it has changed.
    fn installation(&mut self, topology: &Topology, agents: &BTreeMap<NodeId, AgentRecord>, seq: u64) -> Arc<Document> {
        let hardware = topology.hardware_changed();
        if let Some(known) = &self.installation
            && known.hardware == hardware
            && known.agents == *agents
        {
            return Arc::clone(&known.document);
        }
        let before = self.installation.as_ref().map(|known| known.document.kept);
        let installation = self.registry.trust().installation();
        let document = InstallationDocument::of(topology, installation, agents.clone());
        let document = Arc::new(self.numbered(KeepsakeKind::Installation, before, seq, &document));
        self.installation = Some(Installation { hardware, agents: agents.clone(), document: Arc::clone(&document) });
        document
    }

    fn volumes(&mut self, node: NodeId, topology: &Topology, seq: u64) -> Document {
        let installation = self.registry.trust().installation();
        let before = self.volumes.get(&node).map(|(_, kept)| *kept);
        let document = VolumesDocument::of(topology, node, installation, &self.marks);
        let document = self.numbered(KeepsakeKind::Volumes, before, seq, &document);
        self.volumes.insert(node, (topology.volumes_changed(node), document.kept));
        document
    }

    /// The same document keeps its number; a new one gets a higher one than it had.
    fn numbered(&self, kind: KeepsakeKind, before: Option<Kept>, seq: u64, document: &impl Serialize) -> Document {
        // An empty one would take the place of what hosts keep.
        let mut content = serde_json::to_string(document).expect("our own records can be written as JSON");
        // It may be kept for as long as the coordinator runs.
        content.shrink_to_fit();
        let digest = bricklayer_proto::keepsake::Digest::of(content.as_bytes());
        let sequence = match before {
            Some(before) if before.digest == digest => before.sequence,
            Some(before) => self.fork.number(seq).max(before.sequence + 1),
            None => self.fork.number(seq),
        };
        Document { keepsake: self.marks.keepsake(kind, sequence, content), kept: Kept { kind, sequence, digest } }
    }

    fn hand_out_secrets(&mut self, keeping: &[(NodeId, u64, Vec<Kept>)]) -> u64 {
        if self.secrets.as_ref().is_none_or(|(read, _)| read.elapsed() >= LOOK) {
            self.secrets = Some((Instant::now(), self.read_secrets()));
        }
        let Some((_, Some(document))) = self.secrets.clone() else { return 0 };
        let mut bytes = 0;
        for (node, session, kept) in keeping {
            let theirs = kept.iter().find(|kept| kept.kind == KeepsakeKind::Secrets);
            // One of another data directory that is newer is left: it may be the only one that opens.
            if theirs.is_none_or(|theirs| theirs.sequence <= document.kept.sequence) {
                bytes += self.send_if_new(*node, *session, theirs, &document);
            }
        }
        bytes
    }

    fn read_secrets(&self) -> Option<Document> {
        let bundle = recovery::bundle(&self.data_dir).unwrap_or_else(|error| {
            tracing::error!("The bundle of the installation's keys cannot be handed out: {error:#}");
            None
        })?;
        let made = u64::try_from(bundle.made().as_millisecond()).unwrap_or(0);
        let keepsake = self.marks.keepsake(KeepsakeKind::Secrets, made, bundle.to_text());
        Some(Document { kept: keepsake.kept(), keepsake })
    }

    fn send_if_new(&mut self, node: NodeId, session: u64, theirs: Option<&Kept>, document: &Document) -> u64 {
        let Document { keepsake, kept: ours } = document;
        let (kind, ours) = (keepsake.kind, *ours);
        if theirs.is_some_and(|theirs| theirs.digest == ours.digest) {
            return 0;
        }
        if self.sent.get(&(node, kind)).is_some_and(|sent| (sent.session, sent.kept) == (session, ours)) {
            return 0;
        }
        let bytes = keepsake.content.len();
        if self.under_way > UNDER_WAY {
            // The next one that says that it has its document brings about another round.
            return 0;
        }
        let too_large = bytes > MAX_KEEPSAKE;
        let bytes = if too_large { 0 } else { bytes };
        self.under_way += bytes;
        self.sent.insert((node, kind), Sent { session, kept: ours, bytes, at: Instant::now() });
        if too_large {
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
        self.standing.send_replace(Standing::Older { node, found: behind.at });
        self.behind = Some(behind);
        self.handed.send_replace(Told::default());
        self.state.store().commit(batch).await.map(drop)
    }
}

fn complain(behind: &Behind, registry: &Registry) {
    let name =
        registry.trust().agent(behind.node).map_or_else(|| behind.node.to_string(), |agent| agent.name.to_string());
    tracing::error!(
        node.id = %behind.node, node.name = name, theirs = behind.theirs, ours = behind.ours,
        "This store is an older copy: a host knows of later changes than it. Changes are refused, what was under way does not go on, \
         and nothing is handed out to hosts, until `bricklayer-coordinator rebuild` has said what is missing and put it right."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_an_export_never_takes_what_it_lacks_for_what_it_has() {
        let first = Fork::default();
        assert!(first.is_beyond(24, 23) && !first.is_beyond(23, 23));
        // Exported at commit 23; the store that was exported went on to 40, this one to 60.
        let fork = Fork { after: 23, offset: FORK_OFFSET };
        for lost in [24, 40] {
            assert!(fork.is_beyond(lost, 60), "{lost}");
        }
        for known in [1, 23, fork.number(24), fork.number(60)] {
            assert!(!fork.is_beyond(known, 60), "{known}");
        }
        assert!(fork.is_beyond(fork.number(61), 60));
    }

    #[test]
    fn a_store_that_is_exported_and_imported_again_counts_on_from_above_both() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), crate::state::SCHEMA).unwrap();
        Fork::write(&store, 23, Timestamp::UNIX_EPOCH).unwrap();
        let once = store.get(&FORK, &()).unwrap().unwrap();
        assert_eq!(once, Fork { after: 23, offset: FORK_OFFSET });
        Fork::write(&store, 50, Timestamp::UNIX_EPOCH).unwrap();
        let twice = store.get(&FORK, &()).unwrap().unwrap();
        assert_eq!(twice.after, once.number(50));
        assert!(twice.is_beyond(once.number(51), 70) && !twice.is_beyond(once.number(50), 70));
    }
}
