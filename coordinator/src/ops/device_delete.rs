//! An empty device is given back: its volume group and physical volume go, and then its record.

use async_trait::async_trait;
use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::task::Wanted;

use super::Rejected;
use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
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
            let operation = Operation::begun(Plan::DeviceDelete(DeviceDelete { device, forget }));
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(plan: &DeviceDelete) -> Vec<Stage> {
    vec![Stage::one(RemoveGroup { device: plan.device.clone(), forget: plan.forget })]
}

pub fn finish(change: &mut Change, plan: &DeviceDelete) -> Option<Resource> {
    change.remove_device(plan.device.id);
    None
}

struct RemoveGroup {
    device: Device,
    forget: bool,
}

impl RemoveGroup {
    async fn remove(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let device = self.device.id;
        context.ask(run, self.device.node, Wanted::DeviceCondemned { device }, Wait::NotAtAll).await?;
        context.ask(run, self.device.node, Wanted::DeviceGone { device }, Wait::WhileAway).await?;
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
        match self.remove(context, run).await {
            Err(error) if self.forget => {
                tracing::warn!(device.id = %self.device.id, error = %error, "The disk could not be cleaned; its device is forgotten as asked.");
                Ok(())
            }
            result => result,
        }
    }

    /// The device keeps its record and may be deleted again. The mark on an empty group does no harm: nothing is
    /// placed on a failed device.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
