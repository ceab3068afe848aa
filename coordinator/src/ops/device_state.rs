//! Whether a device is used for new bricks, and whether it is used at all: to remove it is to empty it.

use bricklayer_proto::ids::DeviceId;

use super::context::Context;
use super::{Begun, Rejected, device_remove, drive};
use crate::model::{AdminState, Device, DeviceState, Operation, Plan};

pub async fn set(context: &Context, id: DeviceId, wanted: AdminState, heal_check: bool) -> Result<Begun, Rejected> {
    context
        .state
        .change(|change| {
            let device = Device::clone(change.devices.get(&id).ok_or(Rejected::NotFound)?);
            let holds_bricks = change.brick_spaces(id).next().is_some();
            match (device.state, wanted) {
                // What a lost disk has left behind still has to be made anew elsewhere.
                (AdminState::Failed, AdminState::Failed) if holds_bricks => {
                    return device_remove::begin(context, change, None, vec![id], heal_check)
                        .map(Box::new)
                        .map(Begun::Running);
                }
                (from, to) if from == to => {}
                (AdminState::Failed, AdminState::Online) => {
                    return Err(Rejected::FailedForGood { kind: "device", state: "online" });
                }
                (AdminState::Online, AdminState::Failed) => {
                    return Err(Rejected::NotOffline { kind: "Device", id: id.to_string() });
                }
                (AdminState::Offline, AdminState::Failed) => {
                    return device_remove::begin(context, change, None, vec![id], heal_check)
                        .map(Box::new)
                        .map(Begun::Running);
                }
                _ => {}
            }
            if device.state != wanted {
                change.put_device(Device { state: wanted, ..device });
            }
            let operation =
                Operation::done_at_once(Plan::DeviceState(DeviceState { device: id, to: wanted }), context.clock.now());
            let id = operation.id;
            drive::put_finished(change, operation);
            Ok(Begun::Done(id))
        })
        .await
}
