//! Takes LVM's figures over into the devices' records.

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::inventory::{GroupSpace, Inventory};
use bricklayer_store::StoreError;

use crate::model::{Device, Topology};
use crate::state::State;

pub async fn take_over(state: &State, node: NodeId, inventory: &Inventory) -> Result<(), StoreError> {
    // Looked at first without the writers' lock: most reports say what is known.
    if news(&state.read(), node, inventory).next().is_none() {
        return Ok(());
    }
    state
        .change(|change| {
            let devices: Vec<Device> = news(change, node, inventory).collect();
            for device in devices {
                tracing::info!(
                    device.id = %device.id,
                    free.extents = device.space.free.count(),
                    foreign.extents = device.foreign.count(),
                    "LVM reports other figures for a device than were recorded; LVM's count."
                );
                change.put_device(device);
            }
            Ok(())
        })
        .await
}

/// The devices of the node whose records differ from the report, as they should be.
fn news<'a>(topology: &'a Topology, node: NodeId, inventory: &'a Inventory) -> impl Iterator<Item = Device> + 'a {
    inventory.groups.iter().filter_map(move |group| {
        let device = topology.devices.get(&group.tags?.device)?;
        // A report may have been on its way while something of ours changed, so an older one never counts.
        let stale = group.space.seqno < device.space.seqno;
        if device.node != node || stale || topology.is_moving(device.id) {
            return None;
        }
        let foreign = topology.foreign(device.id, &group.space);
        let same = GroupSpace { seqno: device.space.seqno, ..group.space } == device.space && foreign == device.foreign;
        (!same).then(|| Device { space: group.space, foreign, ..(**device).clone() })
    })
}
