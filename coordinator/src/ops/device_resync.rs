//! What LVM says of a device now is taken over into its record.
//!
//! That happens by itself whenever an agent reports; this is for who does not want to wait for the next report, and for
//! heketi's `device resync`.

use async_trait::async_trait;
use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::task::{Report, Wanted};

use super::Rejected;
use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
use crate::model::{Device, DeviceResync, Operation, Plan, Resource};
use crate::state::Change;

pub async fn submit(context: &Context, device: DeviceId) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            if !change.devices.contains_key(&device) {
                return Err(Rejected::NotFound);
            }
            // Its figures are on the move.
            if change.is_moving(device) {
                return Err(Rejected::Busy);
            }
            let operation = Operation::begun(Plan::DeviceResync(DeviceResync { device }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(context: &Context, plan: &DeviceResync) -> Vec<Stage> {
    let device = context.state.read().devices.get(&plan.device).cloned();
    let look = device.map(|device| Look { device: device.id, node: device.node, name: device.name.to_string() });
    vec![Stage::of(look.map(|look| Box::new(look) as Box<dyn Step>))]
}

pub fn finish(change: &mut Change, run: &Run, plan: &DeviceResync) -> Option<Resource> {
    let seen = run.spaces().into_iter().find(|(id, _)| *id == plan.device);
    let others = |change: &Change| {
        change.unfinished.values().any(|other| other.id != run.id() && other.plan.changes_device(plan.device))
    };
    if let (Some((_, space)), Some(device)) = (seen, change.devices.get(&plan.device).cloned())
        && !others(change)
    {
        let foreign = change.foreign(plan.device, &space);
        change.put_device(Device { space, foreign, ..Device::clone(&device) });
    }
    None
}

struct Look {
    device: DeviceId,
    node: NodeId,
    name: String,
}

#[async_trait]
impl Step for Look {
    fn name(&self) -> String {
        format!("look at the volume group of {}", self.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wanted = Wanted::DeviceSeen { device: self.device };
        match context.ask(run, self.node, wanted, Wait::NotAtAll).await?.report {
            Report::Group { space } => {
                run.learn_space(self.device, space);
                Ok(())
            }
            _ => Err(StepError::Missing("what LVM says of the group".to_owned())),
        }
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
