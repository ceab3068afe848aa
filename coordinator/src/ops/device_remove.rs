//! Devices are emptied: each brick moves elsewhere by an operation of its own, and then the devices are out of service.
//!
//! Several bricks move at a time, never two of one volume. A brick that cannot move keeps its place and fails the
//! removal, after the others have moved; those stay where they went, and a repeat goes on with the rest.
//!
//! The room of all of them is held from the beginning, each until its move takes it over or is not to be any more: what is
//! made meanwhile leaves it alone.

use async_trait::async_trait;
use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, OperationId};
use tokio::sync::SemaphorePermit;

use super::brick_replace::{self, PartOf, ReplaceRequest};
use super::bricks::host_name;
use super::context::{Context, Run};
use super::step::{Stage, Step, StepError};
use super::{Rejected, drive};
use crate::model::{
    AdminState, Brick, BrickMove, Device, DeviceRemove, Node, OpState, Operation, Plan, Resource, Topology,
};
use crate::state::Change;

/// Decides within a change whether these devices can be emptied, and writes the operation down.
pub fn begin(
    context: &Context,
    change: &mut Change,
    node: Option<NodeId>,
    devices: Vec<DeviceId>,
    heal_check: bool,
) -> Result<Operation, Rejected> {
    // The deletion of a volume may wait until all that is left of a lost host is elsewhere.
    let waits_for_this = |device: DeviceId| {
        let mut changes = change.changing_device(device);
        change.is_lost(device) && changes.all(|operation| matches!(operation.plan, Plan::VolumeDelete(_)))
    };
    if devices.iter().any(|device| change.is_moving(*device) && !waits_for_this(*device)) {
        return Err(Rejected::Busy);
    }
    let on_them = || devices.iter().flat_map(|device| change.bricks_of(*device));
    // A stopped volume heals nothing, so its bricks cannot move.
    if let Some((volume, _)) = on_them().find(|(volume, _)| volume.trash.is_some()) {
        return Err(Rejected::InTrash { name: volume.name.clone() });
    }
    let bricks: Vec<BrickId> = on_them().map(|(_, brick)| brick.id).collect();
    let (moves, held) = with_places(context, change, &bricks)?;
    let plan = DeviceRemove { node, devices, moves, held, heal_check };
    let operation = Operation::begun(Plan::DeviceRemove(plan), context.clock.now());
    change.put_operation(operation.clone());
    Ok(operation)
}

/// Places all of them in a copy of the topology, so that nothing begins that cannot end.
fn with_places(
    context: &Context,
    change: &Change,
    bricks: &[BrickId],
) -> Result<(Vec<BrickMove>, Vec<Brick>), Rejected> {
    let mut trial = Topology::clone(change);
    let (mut moves, mut held) = (Vec::new(), Vec::new());
    for (volume, brick) in bricks.iter().filter_map(|id| change.brick(*id)) {
        let placed =
            brick_replace::choose(context, &trial, volume, brick, None).map_err(|rejected| match rejected {
                Rejected::NoReplacement(why) => Rejected::CannotEmpty { device: brick.device, why },
                other => other,
            })?;
        let new = brick_replace::moved(brick, &placed);
        trial.reserve(std::slice::from_ref(&new));
        let operation = OperationId::random();
        moves.push(BrickMove { volume: volume.id, brick: brick.id, operation, new: Some(new.id), to: None });
        held.push(new);
    }
    Ok((moves, held))
}

/// Within a change: takes the brick that is held for a move out of the books. Who goes on with the move books it anew in
/// the same change.
pub fn let_go(change: &mut Change, removal: OperationId, brick: BrickId) -> Option<Brick> {
    let operation = change.unfinished.get(&removal).cloned()?;
    let Plan::DeviceRemove(plan) = &operation.plan else { return None };
    let held = plan.held_for(plan.moves.iter().find(|moving| moving.brick == brick)?)?.clone();
    let mut plan = plan.clone();
    plan.held.retain(|other| other.id != held.id);
    change.put_operation(Operation { plan: Plan::DeviceRemove(plan), ..Operation::clone(&operation) });
    change.release(std::slice::from_ref(&held));
    Some(held)
}

/// The same of all that has not moved, at the end.
pub fn let_go_of_all(change: &mut Change, removal: OperationId) {
    let held = match change.unfinished.get(&removal).map(|operation| &operation.plan) {
        Some(Plan::DeviceRemove(plan)) => plan.held.clone(),
        _ => return,
    };
    change.release(&held);
}

pub fn stages(context: &Context, plan: &DeviceRemove) -> Vec<Stage> {
    let topology = context.state.read();
    let count = plan.moves.len();
    let steps = plan.moves.iter().enumerate().map(|(at, moving)| {
        let what = match topology.brick(moving.brick) {
            Some((volume, brick)) => format!("brick of volume {} off {}", volume.name, host_name(&topology, brick)),
            None => format!("brick {}", moving.brick),
        };
        let name = format!("move {} of {count}: {what}", at + 1);
        Box::new(MoveBrick { name, moving: moving.clone(), heal_check: plan.heal_check }) as Box<dyn Step>
    });
    vec![Stage::of(steps)]
}

pub fn finish(change: &mut Change, removal: OperationId, plan: &DeviceRemove) -> Option<Resource> {
    let_go_of_all(change, removal);
    for id in &plan.devices {
        if let Some(device) = change.devices.get(id).cloned() {
            change.put_device(Device { state: AdminState::Failed, ..Device::clone(&device) });
        }
    }
    if let Some(node) = plan.node.and_then(|id| change.nodes.get(&id).cloned()) {
        change.put_node(Node { state: AdminState::Failed, ..Node::clone(&node) });
    }
    None
}

struct MoveBrick {
    name: String,
    moving: BrickMove,
    heal_check: bool,
}

impl MoveBrick {
    /// Begins the replacement as soon as nothing else changes the volume.
    ///
    /// `None`: there is nothing to move any more. The permit is taken when nothing stands in the way but the number of
    /// bricks that move at a time, so that who waits holds nobody up.
    async fn begin<'a>(&self, context: &'a Context, run: &Run) -> Result<Option<SemaphorePermit<'a>>, StepError> {
        let request = ReplaceRequest { brick: self.moving.brick, to: self.moving.to, heal_check: self.heal_check };
        loop {
            context.progress.note(run.id(), &self.name, "waits for another change of the volume");
            let mut changes = context.state.changes();
            let volume = self.moving.volume;
            let free = |topology: &Topology| {
                let family = topology.volumes.get(&volume).is_some_and(|volume| topology.family_is_changing(volume));
                (!family && !topology.is_changing(volume)).then_some(())
            };
            context.state.until(free).await;
            let Ok(permit) = context.moves.acquire().await else {
                return Err(StepError::Missing("a permit to move a brick".to_owned()));
            };
            let part_of = PartOf { parent: run.id(), id: self.moving.operation };
            match brick_replace::submit(context, request, Some(part_of)).await {
                Ok(_) => return Ok(Some(permit)),
                // Its volume was deleted meanwhile.
                Err(Rejected::NotFound) => return Ok(None),
                // Somebody was quicker. What he changes may still be on its way to the disk, where `until` does not see it
                // yet: without this wait the loop would turn for as long as the disk takes, and for ever if it hangs.
                Err(Rejected::VolumeHasPendingBricks { .. } | Rejected::Busy) => {
                    drop(permit);
                    // The sender is in the state, so it cannot be gone.
                    let _ = changes.changed().await;
                }
                Err(Rejected::Store(error)) => return Err(error.into()),
                Err(rejected) => return Err(StepError::Refused(rejected.to_string())),
            }
        }
    }
}

impl MoveBrick {
    async fn let_go(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let change = |change: &mut Change| {
            let_go(change, run.id(), self.moving.brick);
            Ok::<_, StepError>(())
        };
        context.state.change(change).await
    }
}

#[async_trait]
impl Step for MoveBrick {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let id = self.moving.operation;
        let topology = context.state.read();
        let mut _permit = None;
        if !topology.operations.contains_key(&id) {
            // Not there any more: its volume was deleted meanwhile, or it moved and the record of that is forgotten.
            let is_gone = topology.brick(self.moving.brick).is_none() && !topology.is_changing(self.moving.volume);
            let begun = if is_gone { Ok(None) } else { self.begin(context, run).await };
            if !matches!(begun, Ok(Some(_))) {
                // It moves no more, so others may have the room.
                self.let_go(context, run).await?;
            }
            _permit = begun?;
            if _permit.is_none() {
                return Ok(());
            }
        }
        context.progress.note(run.id(), &self.name, format!("see operation {id}"));
        drive::drive(context, id, run.is_in_doubt()).await;
        match context.state.read().operations.get(&id).map(|operation| &operation.state) {
            Some(OpState::Done { .. }) => Ok(()),
            Some(OpState::Failed { cause }) => Err(StepError::Refused(cause.clone())),
            _ => Err(StepError::Missing(format!("how operation {id} ended"))),
        }
    }

    /// What has moved stays where it went.
    fn is_kept(&self) -> bool {
        true
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
