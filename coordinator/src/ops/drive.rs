//! Drives one operation to its end: forward through its stages, or back from the stage that failed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bricklayer_proto::ids::OperationId;
use bricklayer_store::StoreError;
use futures::FutureExt as _;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::KEEP_FINISHED;
use super::context::{Context, Run};
use super::progress::StepState;
use super::step::{Stage, StepError};
use super::{
    adopt, block_create, block_delete, block_expand, brick_replace, device_add, device_delete, device_remove,
    device_resync, disk_wipe, node_add, node_delete, pools, trash, volume_clone, volume_create, volume_delete,
    volume_expand, volume_protect,
};
use crate::model::{OpState, Operation, Plan, Resource};
use crate::state::Change;

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Drives the operation until it is done or undone. A store that cannot be written ends this; the next start goes on.
/// `resumed`: it was under way before.
pub async fn drive(context: &Context, id: OperationId, mut resumed: bool) {
    let Some(operation) = context.state.read().operations.get(&id).cloned() else { return };
    let span = tracing::info_span!("operation", operation.id = %id, operation.kind = operation.plan.kind());
    async {
        let mut pause = context.policy.retry;
        loop {
            // The record may be further than it was when a panic cut this off.
            let Some(operation) = context.state.read().operations.get(&id).cloned() else { return };
            let drive = Drive::new(context, operation);
            if resumed {
                // What was cut off may have reached some hosts and not others.
                drive.run.learn_doubt();
            }
            match AssertUnwindSafe(drive.to_the_end()).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::error!(error = %error, "The state cannot be written; the operation goes on after a restart.");
                    return;
                }
                Err(_) => {
                    tracing::error!("A step panicked, which is a fault of Bricklayer's; the operation goes on from the start.");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    resumed = true;
                }
            }
        }
    }
    .instrument(span)
    .await;
}

struct Drive<'a> {
    context: &'a Context,
    run: Run,
    stages: Vec<Stage>,
}

impl<'a> Drive<'a> {
    fn new(context: &'a Context, operation: Arc<Operation>) -> Self {
        let stages = stages(context, &operation);
        context
            .progress
            .begin(operation.id, stages.iter().flat_map(|stage| stage.steps.iter().map(|step| step.name())));
        let (progress, mut lines) = mpsc::unbounded_channel::<bricklayer_proto::task::Progress>();
        let id = operation.id;
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                tracing::debug!(operation.id = %id, task.id = %line.task, doing = line.doing, "A task is under way.");
            }
        });
        Self { context, run: Run::new(operation, progress), stages }
    }

    async fn to_the_end(&self) -> Result<(), StoreError> {
        let mut state = self.run.operation.state.clone();
        loop {
            state = match state {
                OpState::Running { committed } => self.forward(committed).await?,
                OpState::Undoing { cause } => self.back(cause).await?,
                OpState::Stuck { cause, undoing: true, .. } => self.back(cause).await?,
                OpState::Stuck { undoing: false, .. } => self.forward(true).await?,
                OpState::Done { .. } | OpState::Failed { .. } => return Ok(()),
            };
        }
    }

    /// Through all stages. What was done before a restart is found done and costs a look.
    async fn forward(&self, mut committed: bool) -> Result<OpState, StoreError> {
        if committed {
            self.run.learn_committed();
        }
        for number in 0..self.stages.len() {
            let stage = &self.stages[number];
            if stage.committed && !committed {
                // On disk before the first effect that cannot be taken back.
                committed = true;
                self.record(OpState::Running { committed }).await?;
            }
            let mut pause = self.context.policy.retry;
            while let Err(failure) = self.run_stage(number).await {
                if !committed {
                    tracing::warn!(error = %failure, "A step failed; what was done is being undone.");
                    return self.record(OpState::Undoing { cause: failure.to_string() }).await;
                }
                tracing::error!(error = %failure, "A step failed that cannot be undone; it is tried again.");
                let failure = failure.to_string();
                self.record(OpState::Stuck { cause: failure.clone(), failure, undoing: false }).await?;
                self.context.pause(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        self.finish().await
    }

    /// Takes back what was done. Where that takes long, as a host is away, the client is told of the failure meanwhile.
    async fn back(&self, cause: String) -> Result<OpState, StoreError> {
        let undo = self.undo_all(&cause);
        tokio::pin!(undo);
        tokio::select! {
            biased;
            state = &mut undo => return state,
            () = tokio::time::sleep(self.context.policy.undoing) => {}
        }
        let id = self.run.id();
        self.context
            .state
            .change(|change| {
                if let Some(operation) = change.operations.get(&id).cloned() {
                    let failed_early = Some(cause.clone());
                    change.put_operation(Operation { failed_early, ..Operation::clone(&operation) });
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        undo.await
    }

    /// From the last stage to the first: after a restart nobody knows how far it had come, and every undo is content
    /// to find nothing.
    async fn undo_all(&self, cause: &str) -> Result<OpState, StoreError> {
        for number in (0..self.stages.len()).rev() {
            let mut pause = self.context.policy.retry;
            while let Err(failure) = self.undo_stage(number).await {
                if let StepError::DoneAfterAll(what) = &failure {
                    tracing::warn!(what, "A step has taken effect after all; the operation goes forward.");
                    return self.record(OpState::Running { committed: true }).await;
                }
                tracing::error!(error = %failure, "A step could not be undone; it is tried again.");
                let failure = failure.to_string();
                self.record(OpState::Stuck { cause: cause.to_owned(), failure, undoing: true }).await?;
                self.context.pause(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        self.fail(cause.to_owned()).await
    }

    async fn run_stage(&self, number: usize) -> Result<(), StepError> {
        let first = self.first_step(number);
        let steps = self.stages[number].steps.iter().enumerate().map(|(at, step)| async move {
            let shown = |state| self.context.progress.set(self.run.id(), first + at, state);
            shown(StepState::Running);
            let result = step.run(self.context, &self.run).await;
            shown(if result.is_ok() { StepState::Done } else { StepState::Failed });
            result
        });
        // All of them end before anything is undone: a step that is still at work cannot be taken back.
        join_all(steps).await.into_iter().collect()
    }

    async fn undo_stage(&self, number: usize) -> Result<(), StepError> {
        let first = self.first_step(number);
        let steps = self.stages[number].steps.iter().enumerate().map(|(at, step)| async move {
            let result = step.undo(self.context, &self.run).await;
            if result.is_ok() && !step.is_kept() {
                self.context.progress.set(self.run.id(), first + at, StepState::Undone);
            }
            result
        });
        join_all(steps).await.into_iter().collect()
    }

    fn first_step(&self, stage: usize) -> usize {
        self.stages[..stage].iter().map(|stage| stage.steps.len()).sum()
    }

    async fn record(&self, state: OpState) -> Result<OpState, StoreError> {
        self.context
            .state
            .change(|change| {
                let known = change.operations.get(&self.run.id()).cloned();
                let known = known.unwrap_or_else(|| Arc::clone(&self.run.operation));
                // Going forward after all, it may yet succeed.
                let failed_early = known.failed_early.clone().filter(|_| !matches!(state, OpState::Running { .. }));
                change.put_operation(Operation { state: state.clone(), failed_early, ..Operation::clone(&known) });
                Ok(state)
            })
            .await
    }

    /// The topology and the end of the operation change together.
    async fn finish(&self) -> Result<OpState, StoreError> {
        let state = self
            .context
            .state
            .change(|change| {
                self.take_over_spaces(change);
                let state = match finish(change, &self.run, self.context.clock.now()) {
                    Ok(resource) => OpState::Done { resource },
                    // Cannot be: every stage has ended well, so all is known. Said rather than dropped, if it is.
                    Err(error) => OpState::Failed { cause: error.to_string() },
                };
                self.end(change, state.clone());
                Ok::<_, StoreError>(state)
            })
            .await?;
        tracing::info!("The operation is done.");
        Ok(state)
    }

    async fn fail(&self, cause: String) -> Result<OpState, StoreError> {
        let state = self
            .context
            .state
            .change(|change| {
                self.take_over_spaces(change);
                undone(change, &self.run);
                let state = OpState::Failed { cause };
                self.end(change, state.clone());
                Ok::<_, StoreError>(state)
            })
            .await?;
        tracing::info!("The operation has failed and what it had done is undone.");
        Ok(state)
    }

    fn take_over_spaces(&self, change: &mut Change) {
        for (id, space) in self.run.spaces() {
            if let Some(device) = change.devices.get(&id).filter(|device| device.space.seqno < space.seqno) {
                let device = crate::model::Device { space, ..(**device).clone() };
                change.put_device(device);
            }
        }
    }

    fn end(&self, change: &mut Change, state: OpState) {
        let finished = Some(self.context.clock.now());
        put_finished(change, Operation { state, finished, ..Operation::clone(&self.run.operation) });
    }
}

/// Writes an operation down that has come to its end.
pub fn put_finished(change: &mut Change, operation: Operation) {
    change.put_operation(Operation { plan: operation.plan.ended(), ..operation });
    forget_old(change);
}

pub fn stages(context: &Context, operation: &Operation) -> Vec<Stage> {
    match &operation.plan {
        Plan::NodeAdd(plan) => node_add::stages(plan),
        Plan::NodeDelete(plan) => node_delete::stages(plan),
        Plan::DeviceAdd(plan) => device_add::stages(context, plan),
        Plan::DeviceDelete(plan) => device_delete::stages(plan),
        Plan::DiskWipe(plan) => disk_wipe::stages(plan),
        Plan::VolumeCreate(plan) => volume_create::stages(context, operation.id, &plan.volume),
        Plan::VolumeDelete(plan) => volume_delete::stages(context, plan),
        Plan::VolumeExpand(plan) => volume_expand::stages(context, operation.id, plan),
        Plan::VolumeClone(plan) => volume_clone::stages(context, operation.id, plan),
        Plan::PoolExtend(plan) => pools::stages(context, operation.id, plan),
        Plan::VolumeTrash(plan) => trash::stages_in(context, operation.id, &plan.volume),
        Plan::VolumeUndelete(plan) => trash::stages_out(context, operation.id, &plan.volume),
        Plan::VolumeProtect(plan) => volume_protect::stages(context, operation.id, &plan.volume),
        Plan::BrickReplace(plan) => brick_replace::stages(context, operation.id, plan),
        Plan::DeviceRemove(plan) => device_remove::stages(context, plan),
        Plan::BlockCreate(plan) => block_create::stages(context, operation.id, plan),
        Plan::BlockExpand(plan) => block_expand::stages(plan),
        Plan::BlockDelete(plan) => block_delete::stages(plan),
        Plan::DeviceResync(plan) => device_resync::stages(context, plan),
        Plan::Adopt(plan) => adopt::stages(context, operation.id, plan),
        Plan::Unadopt(plan) => adopt::unadopt_stages(context, operation.id, plan),
        Plan::NodeState(_) | Plan::DeviceState(_) | Plan::BlockRestrict(_) | Plan::CleanUp(_) => Vec::new(),
    }
}

fn finish(change: &mut Change, run: &Run, now: Timestamp) -> Result<Option<Resource>, StepError> {
    match &run.operation.plan {
        Plan::NodeAdd(plan) => Ok(node_add::finish(change, plan)),
        Plan::NodeDelete(plan) => Ok(node_delete::finish(change, plan)),
        Plan::DeviceAdd(plan) => device_add::finish(change, run, plan, now),
        Plan::DeviceDelete(plan) => Ok(device_delete::finish(change, plan)),
        Plan::DiskWipe(_)
        | Plan::NodeState(_)
        | Plan::DeviceState(_)
        | Plan::BlockDelete(_)
        | Plan::BlockRestrict(_)
        | Plan::VolumeTrash(_)
        | Plan::CleanUp(_) => Ok(None),
        Plan::VolumeCreate(plan) => volume_create::finish(change, run, &plan.volume),
        Plan::VolumeDelete(plan) => Ok(volume_delete::finish(change, &plan.volume)),
        Plan::VolumeExpand(plan) | Plan::PoolExtend(plan) => volume_expand::finish(change, run, plan),
        Plan::VolumeClone(plan) => volume_clone::finish(change, run, plan),
        Plan::VolumeUndelete(plan) => Ok(trash::finish_out(change, &plan.volume)),
        Plan::VolumeProtect(plan) => Ok(Some(Resource::Volume(plan.volume.id))),
        Plan::BrickReplace(plan) => brick_replace::finish(change, run, plan),
        Plan::DeviceRemove(plan) => Ok(device_remove::finish(change, run.id(), plan)),
        Plan::BlockCreate(plan) => block_create::finish(change, run, plan),
        Plan::BlockExpand(plan) => block_expand::finish(change, run, plan),
        Plan::DeviceResync(plan) => Ok(device_resync::finish(change, run, plan)),
        Plan::Adopt(plan) => Ok(adopt::finish(change, run, plan)),
        Plan::Unadopt(plan) => Ok(adopt::unadopt_finish(change, plan)),
    }
}

/// What becomes of the topology when all has been taken back.
fn undone(change: &mut Change, run: &Run) {
    match &run.operation.plan {
        Plan::VolumeCreate(plan) => change.release(&plan.volume.bricks),
        // It was hidden when its deletion began, and is whole again.
        Plan::VolumeDelete(plan) => change.put_volume(plan.volume.clone()),
        Plan::VolumeExpand(plan) | Plan::PoolExtend(plan) => volume_expand::undone(change, plan),
        Plan::VolumeClone(plan) => change.release(&plan.volume.bricks),
        Plan::VolumeTrash(plan) => trash::undone_in(change, &plan.volume),
        Plan::BrickReplace(plan) => brick_replace::undone(change, plan),
        Plan::DeviceRemove(_) => device_remove::let_go_of_all(change, run.id()),
        Plan::BlockCreate(plan) => block_create::undone(change, plan),
        // It was hidden as well.
        Plan::BlockDelete(plan) => change.put_block_volume(plan.block.clone()),
        Plan::NodeAdd(_)
        | Plan::NodeDelete(_)
        | Plan::Adopt(_)
        | Plan::Unadopt(_)
        | Plan::DeviceAdd(_)
        | Plan::DeviceDelete(_)
        | Plan::DiskWipe(_)
        | Plan::DeviceResync(_)
        | Plan::NodeState(_)
        | Plan::DeviceState(_)
        | Plan::BlockExpand(_)
        | Plan::BlockRestrict(_)
        | Plan::VolumeUndelete(_)
        | Plan::VolumeProtect(_)
        | Plan::CleanUp(_) => {}
    }
}

/// Finished operations are kept for clients that have not read their answer yet, and bounded so that nothing grows.
/// The oldest go, many at a time, so that this costs nearly nothing per operation.
fn forget_old(change: &mut Change) {
    let finished = change.operations.size() - change.unfinished.size();
    if finished <= KEEP_FINISHED + KEEP_FINISHED / 10 {
        return;
    }
    let mut by_age: Vec<(Timestamp, OperationId)> =
        change.operations.values().filter_map(|operation| Some((operation.finished?, operation.id))).collect();
    by_age.sort_unstable();
    for (_, id) in by_age.into_iter().take(finished - KEEP_FINISHED) {
        change.remove_operation(id);
    }
}
