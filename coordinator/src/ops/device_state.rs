//! Whether a device is used for new bricks.

use bricklayer_proto::ids::{DeviceId, OperationId};

use super::context::Context;
use super::{Rejected, drive};
use crate::model::{AdminState, Device, DeviceState, Operation, Plan};

pub async fn set(context: &Context, id: DeviceId, wanted: AdminState) -> Result<OperationId, Rejected> {
    context
        .state
        .change(|change| {
            let device = Device::clone(change.devices.get(&id).ok_or(Rejected::NotFound)?);
            let bricks = change.brick_spaces(id).count();
            match (device.state, wanted) {
                (from, to) if from == to => {}
                (AdminState::Failed, AdminState::Online) => {
                    return Err(Rejected::FailedForGood { kind: "device", state: "online" });
                }
                (AdminState::Online, AdminState::Failed) => {
                    return Err(Rejected::NotOffline { kind: "Device", id: id.to_string() });
                }
                (AdminState::Offline, AdminState::Failed) if bricks > 0 => {
                    return Err(Rejected::HoldsBricks { kind: "Device", id: id.to_string(), bricks });
                }
                _ => {}
            }
            if device.state != wanted {
                change.put_device(Device { state: wanted, ..device });
            }
            let operation = Operation::done_at_once(Plan::DeviceState(DeviceState { device: id, to: wanted }));
            let operation_id = operation.id;
            drive::put_finished(change, operation);
            Ok(operation_id)
        })
        .await
}
