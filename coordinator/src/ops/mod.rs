//! Durable operations: everything that changes the world.
//!
//! An operation is written down with all its ids and devices before its first effect ([`crate::model::Operation`]), is
//! driven through its stages ([`drive`]), and ends as done, failed (and undone), or stays visible as stuck and is tried
//! again. After a restart every unfinished one goes on by itself. One file per kind of operation: each decides whether
//! it may begin (`submit`, one change of the state), names its stages, and says what becomes of the topology at the end.
//!
//! Must never start a process or open a connection: the hosts are reached through [`crate::agents::AgentApi`] alone.

mod cluster;
mod context;
mod device_add;
mod device_delete;
mod device_state;
mod disk_wipe;
mod drive;
mod gluster;
mod node_add;
mod node_delete;
mod node_state;
mod progress;
mod rejected;
mod step;
mod volume_create;
mod volume_delete;
mod volume_options;

pub use cluster::{create as cluster_create, delete as cluster_delete, set_flags as cluster_set_flags};
pub use context::{Context, Policy, UnknownNode};
pub use device_add::DeviceWish;
pub use disk_wipe::WipeOutlook;
pub use node_add::NodeWish;
pub use progress::{StepState, StepView};
pub use rejected::{ClusterRefusal, Rejected};
pub use volume_create::VolumeWish;
pub use volume_options::{BadOption, read as read_volume_options};

use std::sync::Arc;

use bricklayer_proto::ids::{DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::DevicePath;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agents::AgentApi;
use crate::model::{AdminState, Operation, Topology};
use crate::state::State;

/// How many finished operations are kept, so that a client can still read its answer.
const KEEP_FINISHED: usize = 10_000;

/// The front door: what REST asks for.
#[derive(Clone)]
pub struct Operations {
    context: Arc<Context>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Operations {
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context: Arc::new(context), tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.context.state
    }

    #[must_use]
    pub fn agents(&self) -> &Arc<dyn AgentApi> {
        &self.context.agents
    }

    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.context.policy
    }

    #[must_use]
    pub fn topology(&self) -> Arc<Topology> {
        self.context.state.read()
    }

    /// Takes up every operation that a stop or a crash has left unfinished.
    pub fn resume(&self) {
        for operation in self.topology().unfinished.values() {
            tracing::info!(
                operation.id = %operation.id,
                operation.kind = operation.plan.kind(),
                "An operation that was under way when the coordinator stopped goes on."
            );
            self.drive(operation.id);
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

    pub async fn node_state(&self, id: NodeId, state: AdminState) -> Result<OperationId, Rejected> {
        node_state::set(&self.context, id, state).await
    }

    pub async fn device_add(&self, wish: DeviceWish) -> Result<OperationId, Rejected> {
        self.begin(device_add::submit(&self.context, wish).await?)
    }

    pub async fn device_delete(&self, id: DeviceId, forget: bool) -> Result<OperationId, Rejected> {
        self.begin(device_delete::submit(&self.context, id, forget).await?)
    }

    pub async fn device_state(&self, id: DeviceId, state: AdminState) -> Result<OperationId, Rejected> {
        device_state::set(&self.context, id, state).await
    }

    /// What lies on a disk and what confirms its wiping. Changes nothing.
    pub fn wipe_outlook(&self, node: NodeId, path: &DevicePath) -> Result<WipeOutlook, Rejected> {
        disk_wipe::outlook(&self.context, node, path)
    }

    pub async fn disk_wipe(&self, node: NodeId, path: DevicePath, confirm: String) -> Result<OperationId, Rejected> {
        self.begin(disk_wipe::submit(&self.context, node, path, confirm).await?)
    }

    pub async fn volume_create(&self, wish: VolumeWish) -> Result<OperationId, Rejected> {
        self.begin(volume_create::submit(&self.context, wish).await?)
    }

    pub async fn volume_delete(&self, id: VolumeId) -> Result<OperationId, Rejected> {
        self.begin(volume_delete::submit(&self.context, id).await?)
    }

    fn begin(&self, operation: Operation) -> Result<OperationId, Rejected> {
        self.drive(operation.id);
        Ok(operation.id)
    }

    fn drive(&self, id: OperationId) {
        let (context, stop) = (Arc::clone(&self.context), self.stop.clone());
        self.tracker.spawn(async move {
            // Dropping the future is safe at any point: every step may be repeated, and the record says where to go on.
            tokio::select! {
                () = stop.cancelled() => {}
                () = drive::drive(context, id) => {}
            }
        });
    }
}
