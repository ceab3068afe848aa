//! An empty device is given back: its volume group and physical volume go, and then its record.

use async_trait::async_trait;
use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::task::{FailureKind, Wanted};

use super::Rejected;
use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
use crate::agents::AgentError;
use crate::model::{AdminState, Device, DeviceDelete, Operation, Plan, Resource};
use crate::state::Change;

pub async fn submit(context: &Context, id: DeviceId, forget: bool) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let device = Device::clone(change.devices.get(&id).ok_or(Rejected::NotFound)?);
            if device.state != AdminState::Failed {
                return Err(Rejected::DeviceNotFailed(id));
            }
            if change.brick_spaces(id).next().is_some() {
                return Err(Rejected::DeviceNotEmpty(id));
            }
            if change.is_moving(id) {
                return Err(Rejected::Busy);
            }
            let operation = Operation::begun(Plan::DeviceDelete(DeviceDelete { device, forget }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(plan: &DeviceDelete) -> Vec<Stage> {
    let DeviceDelete { device, forget } = plan.clone();
    vec![
        Stage::one(CondemnGroup { device: device.clone(), forget }),
        // A failure here would leave the record of a device whose group may be gone.
        Stage::one(RemoveGroup { device, forget }).without_return(),
    ]
}

pub fn finish(change: &mut Change, plan: &DeviceDelete) -> Option<Resource> {
    change.remove_device(plan.device.id);
    None
}

/// Everything that a deletion is refused for is refused here.
struct CondemnGroup {
    device: Device,
    forget: bool,
}

struct RemoveGroup {
    device: Device,
    forget: bool,
}

/// Nobody waits for a disk that is to be forgotten.
fn or_forgotten(device: &Device, forget: bool, result: Result<(), StepError>) -> Result<(), StepError> {
    match result {
        Err(error) if forget => {
            tracing::warn!(device.id = %device.id, error = %error, "The disk could not be cleaned; its device is forgotten as asked.");
            Ok(())
        }
        result => result,
    }
}

impl CondemnGroup {
    async fn is_seen(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let seen =
            context.ask(run, self.device.node, Wanted::DeviceSeen { device: self.device.id }, Wait::NotAtAll).await;
        match seen {
            Err(AgentError::Failed { failure, .. }) if failure.kind == FailureKind::Refused => {
                let (said, name) = (failure.message, &self.device.name);
                Err(StepError::Refused(format!(
                    "{said}, so nobody knows what is on {name}\nBring the disk back, or declare it lost: `bricklayer device lost {}`",
                    self.device.id
                )))
            }
            other => other.map(drop).map_err(Into::into),
        }
    }
}

#[async_trait]
impl Step for CondemnGroup {
    fn name(&self) -> String {
        format!("mark the volume group of {} for removal", self.device.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let topology = context.state.read();
        if topology.is_lost(self.device.id) {
            return Ok(());
        }
        // After a restart of the coordinator its agent may only be on its way.
        let cluster = topology.nodes.get(&self.device.node).map(|node| node.cluster);
        context.greet(cluster.as_slice()).await;
        // What is not seen is not gone: it would be nobody's when the disk is back. Past the point of no return it is ours that
        // it went.
        if !run.was_committed() && !self.forget {
            self.is_seen(context, run).await?;
        }
        let wanted = Wanted::DeviceCondemned { device: self.device.id };
        let asked = context.ask(run, self.device.node, wanted, Wait::NotAtAll).await;
        or_forgotten(&self.device, self.forget, asked.map(drop).map_err(Into::into))
    }

    /// The device keeps its record and may be deleted again. The mark on an empty group does no harm: nothing is
    /// placed on a failed device.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

#[async_trait]
impl Step for RemoveGroup {
    fn name(&self) -> String {
        format!("remove the volume group of {}", self.device.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        if context.state.read().is_lost(self.device.id) {
            return Ok(());
        }
        let gone = Wanted::DeviceGone { device: self.device.id, physical_volume: Some(self.device.pv_uuid.clone()) };
        let wait = if self.forget { Wait::NotAtAll } else { Wait::WhileAway };
        let asked = context.ask(run, self.device.node, gone, wait).await;
        or_forgotten(&self.device, self.forget, asked.map(drop).map_err(Into::into))
    }

    /// Asked for only while nothing has been removed.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
