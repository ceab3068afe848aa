//! Durable operations: everything that changes the world.
//!
//! An operation is written down with all its ids and devices before its first effect ([`crate::model::Operation`]), is
//! driven through its stages ([`drive`]), and ends as done, failed (and undone), or stays visible as stuck and is tried
//! again. After a restart every unfinished one goes on by itself. One file per kind of operation: each decides whether
//! it may begin (`submit`, one change of the state), names its stages, and says what becomes of the topology at the end.
//!
//! Must never start a process or open a connection: the hosts are reached through [`crate::agents::AgentApi`] alone.

mod adopt;
mod ailing;
mod audit;
mod block_create;
mod block_delete;
mod block_expand;
mod block_hosts;
mod block_restrict;
mod boots;
mod brick_replace;
mod bricks;
mod bundle;
mod candidates;
mod capacity;
mod clean_up;
mod cluster;
mod context;
mod device_add;
mod device_delete;
mod device_remove;
mod device_resync;
mod device_state;
mod disk_wipe;
mod drive;
mod explain;
mod gluster;
mod gluster_turns;
mod gluster_watch;
mod healing;
mod lately;
mod ledger;
mod lost;
mod node_add;
mod node_delete;
mod node_edit;
mod node_state;
mod plans;
mod policy;
mod pools;
mod progress;
mod rehearsal;
mod rejected;
mod step;
mod tags;
mod trash;
mod volume_clone;
mod volume_create;
mod volume_delete;
mod volume_expand;
mod volume_options;
mod volume_protect;
mod volume_state;
mod what_if;

pub use adopt::{AdoptFrom, UnadoptWish};
pub use audit::{ClusterAudit, ClusterScore};
pub use block_create::BlockWish;
pub use block_hosts::{NotServed, Unfit};
pub use boots::watch as watch_boots;
pub use brick_replace::ReplaceRequest;
pub use bundle::{Answer, Bundle, BundledCluster};
pub use candidates::{candidates, pool};
pub use capacity::{CapacityWish, ClusterCapacity};
pub use cluster::{create as cluster_create, delete as cluster_delete, set_flags as cluster_set_flags};
pub use context::{BlockPolicy, Context, Policy, UnknownNode};
pub use device_add::DeviceWish;
pub use disk_wipe::WipeOutlook;
pub use explain::Outlook;
pub use gluster_watch::{GlusterView, RepairPolicy, watch as watch_gluster};
pub use ledger::{Basis, DeviceLedger, DiskSeen, LedgerOf, OtherVolume};
pub use node_add::NodeWish;
pub use node_edit::NodeEdit;
pub use plans::{BrickChange, DeviceForecast, KeptPlan, PlannedBrick};
pub use policy::{PolicyOf, PolicyThere};
pub use pools::{PoolView, watch as watch_pools};
pub use progress::{StepState, StepView};
pub use rehearsal::Rehearsal;
pub use rejected::{ClusterRefusal, Rejected};
pub use tags::{TagChange, Tagged};
pub use trash::{Keep, TrashPolicy, expire as expire_trash, read_keep};
pub use volume_create::{VolumeWish, bricks_of, options_of};
pub use volume_options::{BadOption, read as read_volume_options};
pub use volume_state::{BrickHealth, VolumeHealth};
pub use what_if::{MOST_IN_A_SIMULATION, Supposition};

use std::sync::Arc;

use bricklayer_proto::ids::{BlockVolumeId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::{DevicePath, VolumeName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::RebalanceReport;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lately::Lately;
use crate::agents::AgentApi;
use crate::exports;
use crate::model::{AdminState, BlockRestriction, BlockVolume, Operation, Tags, Topology, Volume};
use crate::placement::what_if::Outcome;
use crate::standing;
use crate::state::State;

/// How many finished operations are kept, so that a client can still read its answer.
const KEEP_FINISHED: usize = 10_000;

/// What became of a request.
enum Begun {
    /// To be driven.
    Running(Box<Operation>),
    /// It touched no host and is done.
    Done(OperationId),
}

/// A volume that nothing else is changing, and that is not in the trash.
fn whole(topology: &Topology, id: VolumeId) -> Result<Volume, Rejected> {
    match topology.volumes.get(&id) {
        // As if it were deleted: whoever deletes it a second time learns that it is.
        Some(volume) if volume.trash.is_some() => Err(Rejected::NotFound),
        _ => at_rest(topology, id),
    }
}

/// A volume that nothing else is changing, be it in the trash or not.
fn at_rest(topology: &Topology, id: VolumeId) -> Result<Volume, Rejected> {
    let changing = topology.is_changing(id);
    match topology.volumes.get(&id) {
        Some(volume) if changing || topology.family_is_changing(volume) => Err(Rejected::Busy),
        Some(volume) => Ok(Volume::clone(volume)),
        // It is being made or deleted, and hidden meanwhile.
        None if changing => Err(Rejected::Busy),
        None => Err(Rejected::NotFound),
    }
}

/// A block volume that nothing else is changing.
fn whole_block(topology: &Topology, id: BlockVolumeId) -> Result<BlockVolume, Rejected> {
    if topology.is_changing_block(id) {
        return Err(Rejected::Busy);
    }
    topology.block_volumes.get(&id).map(|block| BlockVolume::clone(block)).ok_or(Rejected::NotFound)
}

/// The front door: what REST asks for.
#[derive(Clone)]
pub struct Operations {
    context: Arc<Context>,
    tracker: TaskTracker,
    stop: CancellationToken,
    plans: Arc<plans::Plans>,
    losses: Lately<ClusterId, (bool, bool)>,
    /// Nothing is driven: see [`Operations::rehearsal`].
    rehearsal: bool,
}

impl Operations {
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self {
            context: Arc::new(context),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            plans: Arc::default(),
            losses: Lately::new(audit::LOOK_AGAIN),
            rehearsal: false,
        }
    }

    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.context.state
    }

    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.context.clock.now()
    }

    /// When this start of the coordinator was.
    #[must_use]
    pub fn started(&self) -> jiff::Timestamp {
        self.context.started
    }

    #[must_use]
    pub fn agents(&self) -> &Arc<dyn AgentApi> {
        &self.context.agents
    }

    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.context.policy
    }

    /// What became of the store's exports; `None` where none are made.
    #[must_use]
    pub fn exports(&self) -> Option<exports::Seen> {
        self.context.exports.seen()
    }

    /// Whether the store is the newest state that there is.
    #[must_use]
    pub fn standing(&self) -> &standing::Watch {
        &self.context.standing
    }

    #[must_use]
    pub fn topology(&self) -> Arc<Topology> {
        self.context.state.read()
    }

    /// Takes up every operation that a stop or a crash has left unfinished, as soon as the store is known to be no older copy:
    /// what was under way in one may long have ended otherwise.
    pub fn resume(&self) {
        // As it is now: what begins from here on is driven already.
        let topology = self.topology();
        if self.context.standing.is_newest() {
            self.take_up(&topology);
        } else if !topology.unfinished.is_empty() {
            let this = self.clone();
            self.tracker.spawn(async move {
                tokio::select! {
                    () = this.stop.cancelled() => {}
                    () = this.context.standing.until_newest() => this.take_up(&topology),
                }
            });
        }
    }

    fn take_up(&self, topology: &Topology) {
        for operation in topology.unfinished.values() {
            // Driven by the operation that it is a part of, which is driven by this very loop.
            if operation.plan.parent().is_some_and(|parent| topology.unfinished.contains_key(&parent)) {
                continue;
            }
            tracing::info!(
                operation.id = %operation.id,
                operation.kind = operation.plan.kind(),
                "An operation that was under way when the coordinator stopped goes on."
            );
            self.drive(operation.id, true);
        }
    }

    /// Lets no operation begin another step and waits until none runs. What is unfinished goes on at the next start.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// The steps of an operation as far as this start of the coordinator has seen them.
    #[must_use]
    pub fn steps(&self, id: OperationId) -> Vec<StepView> {
        self.context.progress.steps(id)
    }

    pub async fn node_add(&self, wish: NodeWish) -> Result<OperationId, Rejected> {
        let node = node_add::check(&self.context, wish).await?;
        self.begin(node_add::submit(&self.context, node).await?)
    }

    pub async fn node_delete(&self, id: NodeId) -> Result<OperationId, Rejected> {
        self.begin(node_delete::submit(&self.context, id).await?)
    }

    /// To `failed` is to empty all devices of the node first.
    pub async fn node_state(&self, id: NodeId, state: AdminState, heal_check: bool) -> Result<OperationId, Rejected> {
        self.begun(node_state::set(&self.context, id, state, heal_check).await.map_err(|no| self.explained(no))?)
    }

    pub async fn node_edit(&self, id: NodeId, edit: NodeEdit) -> Result<(), Rejected> {
        node_edit::edit(&self.context, id, edit).await
    }

    /// A person's word that the node will never come back; `confirm` is its name. Its agent has to be revoked besides.
    pub async fn node_lost(&self, id: NodeId, confirm: &str) -> Result<(), Rejected> {
        lost::node(&self.context, id, confirm).await
    }

    /// A person's word that the device's disk will never come back; `confirm` is the device's id.
    pub async fn device_lost(&self, id: DeviceId, confirm: &str) -> Result<(), Rejected> {
        lost::device(&self.context, id, confirm).await
    }

    pub async fn tags(&self, of: Tagged, change: TagChange) -> Result<Tags, Rejected> {
        tags::change(&self.context, of, change).await
    }

    pub async fn device_add(&self, wish: DeviceWish) -> Result<OperationId, Rejected> {
        self.begin(device_add::submit(&self.context, wish).await?)
    }

    pub async fn device_delete(&self, id: DeviceId, forget: bool) -> Result<OperationId, Rejected> {
        self.begin(device_delete::submit(&self.context, id, forget).await?)
    }

    /// To `failed` is to empty the device first.
    pub async fn device_state(
        &self,
        id: DeviceId,
        state: AdminState,
        heal_check: bool,
    ) -> Result<OperationId, Rejected> {
        self.begun(device_state::set(&self.context, id, state, heal_check).await.map_err(|no| self.explained(no))?)
    }

    /// Has what is stuck tried again at once: the operations that are named, or all.
    pub async fn clean_up(&self, operations: &[OperationId]) -> Result<OperationId, Rejected> {
        clean_up::clean_up(&self.context, operations).await
    }

    /// Takes over what LVM says of the device now.
    pub async fn device_resync(&self, id: DeviceId) -> Result<OperationId, Rejected> {
        self.begin(device_resync::submit(&self.context, id).await?)
    }

    /// What lies on a disk and what confirms its wiping. Changes nothing.
    pub fn wipe_outlook(&self, node: NodeId, path: &DevicePath) -> Result<WipeOutlook, Rejected> {
        disk_wipe::outlook(&self.context, node, path)
    }

    pub async fn disk_wipe(&self, node: NodeId, path: DevicePath, confirm: String) -> Result<OperationId, Rejected> {
        self.begin(disk_wipe::submit(&self.context, node, path, confirm).await?)
    }

    pub async fn volume_create(&self, wish: VolumeWish) -> Result<OperationId, Rejected> {
        self.begin(volume_create::submit(&self.context, wish).await.map_err(|no| self.explained(no))?)
    }

    pub async fn volume_delete(&self, id: VolumeId, keep: Keep) -> Result<OperationId, Rejected> {
        self.begin(trash::delete(&self.context, id, keep).await?)
    }

    /// Takes a volume out of the trash: it serves again.
    pub async fn volume_undelete(&self, id: VolumeId) -> Result<OperationId, Rejected> {
        self.begin(trash::submit_out(&self.context, id).await?)
    }

    /// Ends a volume in the trash before its time.
    pub async fn trash_end(&self, id: VolumeId) -> Result<OperationId, Rejected> {
        self.begin(trash::submit_end(&self.context, id).await?)
    }

    /// Whether the volume may be deleted.
    pub async fn volume_protect(&self, id: VolumeId, protected: bool) -> Result<OperationId, Rejected> {
        self.begin(volume_protect::submit(&self.context, id, protected).await?)
    }

    /// Makes the volume `more` larger.
    pub async fn volume_expand(&self, id: VolumeId, more: ByteSize) -> Result<OperationId, Rejected> {
        self.begin(volume_expand::submit(&self.context, id, more).await.map_err(|no| self.explained(no))?)
    }

    pub async fn volume_clone(&self, id: VolumeId, name: Option<VolumeName>) -> Result<OperationId, Rejected> {
        self.begin(volume_clone::submit(&self.context, id, name).await?)
    }

    pub async fn block_create(&self, wish: BlockWish) -> Result<OperationId, Rejected> {
        self.begin(block_create::submit(&self.context, wish).await.map_err(|no| self.explained(no))?)
    }

    pub async fn block_delete(&self, id: BlockVolumeId) -> Result<OperationId, Rejected> {
        self.begin(block_delete::submit(&self.context, id).await?)
    }

    /// `to`: the size that it is to have.
    pub async fn block_expand(&self, id: BlockVolumeId, to: ByteSize) -> Result<OperationId, Rejected> {
        self.begin(block_expand::submit(&self.context, id, to).await?)
    }

    /// Whether the volume takes more block volumes.
    pub async fn block_restrict(&self, id: VolumeId, to: BlockRestriction) -> Result<OperationId, Rejected> {
        block_restrict::set(&self.context, id, to).await
    }

    pub async fn brick_replace(&self, request: ReplaceRequest) -> Result<OperationId, Rejected> {
        self.begin(brick_replace::submit(&self.context, request, None).await.map_err(|no| self.explained(no))?)
    }

    /// Gives back what was adopted.
    pub async fn unadopt(&self, wish: UnadoptWish) -> Result<OperationId, Rejected> {
        self.begin(adopt::unadopt(&self.context, wish).await?)
    }

    /// What is left to heal, brick by brick, as GlusterFS says now.
    pub async fn volume_health(&self, id: VolumeId) -> Result<VolumeHealth, Rejected> {
        volume_state::health(&self.context, id).await
    }

    /// How far the movement of data between the volume's bricks is.
    pub async fn rebalance(&self, id: VolumeId) -> Result<RebalanceReport, Rejected> {
        volume_state::rebalance(&self.context, id).await
    }

    /// Starts it, or finds it started.
    pub async fn rebalance_start(&self, id: VolumeId) -> Result<RebalanceReport, Rejected> {
        volume_state::rebalance_start(&self.context, id).await
    }

    /// Where a volume would go, or why it would not. Changes nothing.
    pub async fn volume_outlook(&self, wish: VolumeWish) -> Result<Outlook, Rejected> {
        explain::outlook(&self.context, wish).await
    }

    /// All that placement decides by, with what a volume would come to, for somebody else to look at.
    pub async fn bundle(
        &self,
        wish: Option<VolumeWish>,
        request: Option<serde_json::Value>,
    ) -> Result<Bundle, Rejected> {
        bundle::bundle(&self.context, wish, request).await
    }

    /// The largest volumes that still fit.
    pub async fn capacities(&self, wish: &CapacityWish) -> Result<Vec<ClusterCapacity>, Rejected> {
        capacity::capacities(&self.context, wish).await
    }

    /// What would become of the clusters. Changes nothing.
    pub async fn simulate(&self, supposed: Supposition) -> Result<Outcome, Rejected> {
        what_if::simulate(&self.context, supposed).await
    }

    fn explained(&self, rejected: Rejected) -> Rejected {
        explain::explained(&self.context, rejected)
    }

    fn begun(&self, begun: Begun) -> Result<OperationId, Rejected> {
        match begun {
            Begun::Running(operation) => self.begin(*operation),
            Begun::Done(id) => Ok(id),
        }
    }

    fn begin(&self, operation: Operation) -> Result<OperationId, Rejected> {
        self.drive(operation.id, false);
        Ok(operation.id)
    }

    fn drive(&self, id: OperationId, resumed: bool) {
        if self.rehearsal || self.context.standing.is_older() {
            return;
        }
        let (context, stop) = (Arc::clone(&self.context), self.stop.clone());
        self.tracker.spawn(async move {
            let cut_off = async {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = context.standing.until_older() => {}
                }
            };
            // Dropping the future is safe at any point: every step may be repeated, and the record says where to go on.
            tokio::select! {
                () = cut_off => {}
                () = drive::drive(&context, id, resumed) => {}
            }
        });
    }
}
