//! What GlusterFS says of every volume, looked at in turn where that is switched on, so that the doctor knows it without asking; and the repairs that
//! a person has switched on.
//!
//! One volume after the other, each in turn with all other changes of its cluster: `gluster volume status` takes the lock
//! of the whole pool, and whoever looked at all of them at once would hold up everybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bricklayer_proto::ids::{ClusterId, VolumeId};
use bricklayer_proto::inventory::BrickSeen;
use bricklayer_proto::task::{Layout, VolumeReport, Wanted};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::{Asker, Context, Wait};
use super::healing::{Healing, left_to_heal};
use super::{Operations, gluster};
use crate::model::{Brick, Volume};

/// So many in a row, and what was seen before is out of date.
const LOOKS_IN_VAIN: u32 = 3;

const GIVE_WAY: Duration = Duration::from_millis(100);

/// A brick that cannot run, as its disk is dead, is not started in every round: that is a transaction of the whole pool. After
/// so many tries in a row the next one waits.
const STARTS_IN_A_ROW: u32 = 3;
const START_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// Where healing is seen to, a volume that has something left to heal is asked again after this, as it would be done by then or at
/// least have become less.
const HEAL_AGAIN: Duration = Duration::from_secs(60);

/// What is mended without a person: nothing, unless the installation says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairPolicy {
    /// A brick whose file system is there and not mounted is mounted.
    pub mounts: bool,
    /// A brick's line that fstab lacks is put back.
    pub fstab: bool,
    /// A brick without a process gets one.
    pub start_bricks: bool,
    /// The self-heal daemons are told to look where what is to be healed does not become less: they miss at times that a brick is
    /// back, and look by themselves after ten minutes only.
    pub heal: bool,
}

/// One volume, as GlusterFS had it.
#[derive(Clone, Debug, PartialEq)]
pub struct GlusterView {
    pub at: Timestamp,
    /// `None` where it has no such volume.
    pub seen: Option<VolumeReport>,
    /// Since when every look has found something left to heal.
    pub healing_since: Option<Timestamp>,
    /// How much the last one found.
    pub to_heal: u64,
    healed_at: Option<Timestamp>,
    healing: Healing,
    /// All bricks run, and by the last look what is left to heal does not become less.
    heal_stands: bool,
    /// Looks in vain since.
    missed: u32,
    /// When bricks without a process were started last, and how often since all of them ran.
    started: Option<(Timestamp, u32)>,
}

impl GlusterView {
    /// The only look so far.
    #[must_use]
    pub fn first(at: Timestamp, seen: Option<VolumeReport>) -> Self {
        Self {
            at,
            seen,
            healing_since: None,
            to_heal: 0,
            healed_at: None,
            healing: Healing::default(),
            heal_stands: false,
            missed: 0,
            started: None,
        }
    }
}

/// The last look at each volume since this start of the coordinator.
#[derive(Default)]
pub struct GlusterViews(Mutex<BTreeMap<VolumeId, GlusterView>>);

/// A volume that runs, with a brick that has no process.
fn wants_a_brick(seen: &VolumeReport) -> bool {
    seen.started && seen.bricks.iter().any(|brick| brick.online == Some(false))
}

/// Whether every brick of it is known to have its process.
fn is_all_there(seen: &VolumeReport) -> bool {
    seen.started && seen.bricks.iter().all(|brick| brick.online == Some(true))
}

impl GlusterViews {
    /// Whether a brick of the volume has no process and is to be given one now; notes that it is.
    fn wants_a_start(&self, volume: VolumeId, now: Timestamp) -> bool {
        let mut views = self.locked();
        let Some(view) = views.get_mut(&volume) else { return false };
        let (at, tries) = view.started.unwrap_or((now, 0));
        let waits = tries >= STARTS_IN_A_ROW && now.duration_since(at) < START_AGAIN;
        let wants = !waits && view.seen.as_ref().is_some_and(wants_a_brick);
        if wants {
            view.started = Some((now, tries.saturating_add(1)));
        }
        wants
    }

    /// Whether what is to be healed has stood still since the look before; notes that something is done about it.
    fn wants_a_heal(&self, volume: VolumeId) -> bool {
        self.locked().get_mut(&volume).is_some_and(|view| std::mem::take(&mut view.heal_stands))
    }

    /// A look in vain: glusterd was busy, or nobody could be asked. After some of them nothing is known any more.
    fn missed(&self, volume: VolumeId) {
        let mut views = self.locked();
        let Some(view) = views.get_mut(&volume) else { return };
        view.missed += 1;
        if view.missed >= LOOKS_IN_VAIN {
            views.remove(&volume);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<VolumeId, GlusterView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operations {
    /// What GlusterFS said last, by volume.
    #[must_use]
    pub fn gluster_views(&self) -> BTreeMap<VolumeId, GlusterView> {
        self.context.gluster_views.locked().clone()
    }
}

/// Looks at all volumes again and again until told to stop.
pub async fn watch(operations: Operations, stop: CancellationToken) {
    let context = &operations.context;
    let Some(pause) = context.policy.gluster_look else { return };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let work = look_at_all(context);
        tokio::select! {
            () = stop.cancelled() => return,
            () = work => {}
        }
    }
}

async fn look_at_all(context: &Context) {
    let topology = context.state.read();
    let known: BTreeSet<VolumeId> = topology.volumes.keys().copied().collect();
    context.gluster_views.locked().retain(|id, _| known.contains(id));
    let clusters: Vec<ClusterId> = topology.clusters.keys().copied().collect();
    // Clusters side by side: their glusterds know nothing of each other.
    let looks = clusters.into_iter().map(|cluster| look_at_cluster(context, cluster));
    futures::future::join_all(looks).await;
}

async fn look_at_cluster(context: &Context, cluster: ClusterId) {
    let ids: Vec<VolumeId> = context.state.read().volumes_of(cluster).map(|volume| volume.id).collect();
    for id in ids {
        let topology = context.state.read();
        let Some(volume) = topology.volumes.get(&id) else { continue };
        if topology.is_changing(id) || gluster::able(context, &topology, cluster).is_empty() {
            continue;
        }
        give_way(context, cluster).await;
        let begun = Instant::now();
        look(context, volume).await;
        // As long a pause as the look took, so that half of the time at least is for who changes something.
        tokio::time::sleep(begun.elapsed()).await;
        let topology = context.state.read();
        let stays = topology.volumes.get(&id).filter(|volume| volume.trash.is_none() && !topology.is_changing(id));
        if let Some(volume) = stays
            && context.policy.repair != RepairPolicy::default()
            && !context.standing.is_older()
        {
            repair(context, volume).await;
        }
    }
}

/// Nobody who changes something waits for a look that could as well come later; for ever it does not wait either.
async fn give_way(context: &Context, cluster: ClusterId) {
    for _ in 0..20 {
        if !context.gluster_is_busy(cluster) {
            return;
        }
        tokio::time::sleep(GIVE_WAY).await;
    }
}

async fn look(context: &Context, volume: &Volume) {
    let asker = Asker::onlooker();
    let seen = match gluster::seen(context, &asker, volume.cluster, volume.key()).await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::debug!(volume.name = %volume.name, "GlusterFS does not tell of a volume: {error}");
            context.gluster_views.missed(volume.id);
            return;
        }
    };
    let now = context.clock.now();
    let before = context.gluster_views.locked().get(&volume.id).cloned();
    let is_whole = seen.as_ref().is_some_and(is_all_there);
    let was_whole = before.as_ref().is_none_or(|before| before.seen.as_ref().is_some_and(is_all_there));
    let is_back = is_whole && !was_whole;
    let before = before.unwrap_or_else(|| GlusterView::first(now, None));
    // All that run need no patience any more.
    let started = before.started.filter(|_| seen.as_ref().is_some_and(wants_a_brick));
    let mut view = GlusterView { at: now, seen, heal_stands: false, missed: 0, started, ..before };
    let runs = view.seen.as_ref().is_some_and(|seen| seen.started);
    let pause = if context.policy.repair.heal && is_back {
        Duration::ZERO
    } else if context.policy.repair.heal && view.to_heal > 0 {
        context.policy.heal_look.min(HEAL_AGAIN)
    } else {
        context.policy.heal_look
    };
    let due = view.healed_at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= pause);
    // Asks every brick, and takes long where much is to be healed.
    if runs && due && volume.layout != Layout::Distribute {
        if let Ok(heal) = gluster::heal(context, &asker, volume.cluster, volume.key()).await {
            view.to_heal = left_to_heal(&heal);
            // A look takes long itself, so that two of them are less than a pause apart by its end.
            view.heal_stands = view.healing.stands_still(view.to_heal, pause / 2, Instant::now()) && is_whole;
            view.healing_since = (view.to_heal > 0).then(|| view.healing_since.unwrap_or(now));
        }
        view.healed_at = Some(now);
    }
    context.gluster_views.locked().insert(volume.id, view);
}

/// By the same tasks as ever: each looks before it acts, and none makes a brick or destroys anything.
async fn repair(context: &Context, volume: &Volume) {
    let policy = context.policy.repair;
    let asker = Asker::onlooker();
    for brick in &volume.bricks {
        let Some(seen) = seen_by_agent(context, brick) else { continue };
        let wanted = (policy.mounts && seen.mounted.is_none()) || (policy.fstab && seen.fstab.is_none());
        if !wanted || seen.condemned {
            continue;
        }
        let up = Wanted::BrickUp(volume.brick_key(brick));
        match context.ask_as(&asker, brick.node, up, Wait::NotAtAll).await {
            Ok(done) if done.changed => {
                tracing::warn!(brick.id = %brick.id, volume.name = %volume.name, "A brick was mounted, or its line put back into fstab.");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(brick.id = %brick.id, error = %error, "A brick could not be brought up."),
        }
    }
    if policy.heal && context.gluster_views.wants_a_heal(volume.id) {
        match gluster::ask_as(context, &asker, volume.cluster, Wanted::HealStarted(volume.key())).await {
            Ok(_) => tracing::warn!(volume.name = %volume.name, "Healing stood still: GlusterFS was told to look."),
            Err(error) => {
                tracing::warn!(volume.name = %volume.name, "Healing stands still, and GlusterFS could not be told to look: {error}")
            }
        }
    }
    if policy.start_bricks && context.gluster_views.wants_a_start(volume.id, context.clock.now()) {
        let start = Wanted::BricksStarted(volume.key());
        match gluster::ask_as(context, &asker, volume.cluster, start).await {
            Ok(done) if done.changed => {
                tracing::warn!(volume.name = %volume.name, "Bricks without a process were started.");
                look(context, volume).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(volume.name = %volume.name, "Bricks without a process were not started: {error}")
            }
        }
    }
}

/// What the agent reported of the brick, where it is attached. A brick that glusterd mounts by itself is its own matter.
fn seen_by_agent(context: &Context, brick: &Brick) -> Option<BrickSeen> {
    if !context.agents.is_attached(brick.node) {
        return None;
    }
    let (inventory, _) = context.agents.inventory(brick.node)?;
    let seen = inventory.bricks.iter().find(|seen| seen.tags.brick == brick.id)?;
    let lv = inventory.groups.iter().flat_map(|group| &group.volumes).find(|volume| volume.name == seen.volume_lv)?;
    (lv.our_tag("mounted-by") != Some("glusterd")).then(|| seen.clone())
}
