//! Whether a device is used for new bricks.

use bricklayer_proto::ids::DeviceId;

use super::Rejected;
use super::context::Context;
use crate::model::{AdminState, Device};

pub async fn set(context: &Context, id: DeviceId, wanted: AdminState) -> Result<(), Rejected> {
    context
        .state
        .change(|change| {
            let device = Device::clone(change.devices.get(&id).ok_or(Rejected::NotFound)?);
            let bricks = change.brick_spaces(id).count();
            match (device.state, wanted) {
                (from, to) if from == to => return Ok(()),
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
            change.put_device(Device { state: wanted, ..device });
            Ok(())
        })
        .await
}
