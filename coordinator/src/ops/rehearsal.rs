//! What a request would do, decided as in earnest and then forgotten.

use bricklayer_proto::ids::{DeviceId, NodeId, OperationId};

use super::{Operations, disk_wipe, drive, plans};
use crate::model::{Brick, Operation, Plan, Topology};

/// An operation that was not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// Such as `volume-create`.
    pub kind: &'static str,
    /// What would be changed, for people, a line each.
    pub changes: Vec<String>,
    /// What would be done on hosts, in this order.
    pub steps: Vec<String>,
    /// What would be gone from disks afterwards, a line each; all of it only past the steps before it.
    pub destroys: Vec<String>,
}

impl Operations {
    /// The same front door to a copy of the state. Each request is checked and placed as in earnest; nothing is kept and
    /// no host is asked for a change.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        Self { rehearsal: true, ..Self::new(self.context.rehearsal()) }
    }

    /// What an operation of a [`rehearsal`](Operations::rehearsal) would do.
    #[must_use]
    pub fn rehearsed(&self, id: OperationId) -> Option<Rehearsal> {
        let topology = self.topology();
        let operation = topology.operations.get(&id)?;
        Some(self.rehearsal_of(&plans::with_places(operation)))
    }

    pub(super) fn rehearsal_of(&self, operation: &Operation) -> Rehearsal {
        let stages = drive::stages(&self.context, operation);
        let steps = stages.iter().flat_map(|stage| stage.steps.iter().map(|step| step.name()));
        let mut changes = operation.plan.in_words(&self.topology());
        if let Plan::DiskWipe(wipe) = &operation.plan {
            changes.extend(disk_wipe::in_words(&self.context, wipe));
        }
        let destroys = destroyed(&self.topology(), &operation.plan);
        Rehearsal { kind: operation.plan.kind(), changes, steps: steps.collect(), destroys }
    }
}

/// Everything that a plan removes from disks. A wipe says it in its changes, as it is nothing but that.
fn destroyed(topology: &Topology, plan: &Plan) -> Vec<String> {
    let of_brick = |brick: &Brick| of_brick(topology, brick);
    match plan {
        Plan::VolumeDelete(delete) => delete.volume.bricks.iter().map(of_brick).collect(),
        Plan::BrickReplace(replace) => vec![of_brick(&replace.old)],
        Plan::DeviceRemove(remove) => {
            let bricks = remove.moves.iter().filter_map(|moving| Some(topology.brick(moving.brick)?.1));
            bricks.map(of_brick).collect()
        }
        Plan::DeviceDelete(delete) => {
            let device = &delete.device;
            let at = place(topology, device.node, device.id);
            vec![format!("{at}: volume group {} goes, and LVM's physical volume {}", device.group(), device.pv_uuid)]
        }
        _ => Vec::new(),
    }
}

/// Its pool goes with it where no other brick lies in it.
fn of_brick(topology: &Topology, brick: &Brick) -> String {
    let group = topology.devices.get(&brick.device).map_or_else(String::new, |device| device.group().to_string());
    let on_device = topology.bricks.get(&brick.device).into_iter().flat_map(|bricks| bricks.values());
    let shared = on_device.filter(|other| other.id != brick.id).any(|other| other.pool_of() == brick.pool_of());
    let pool = brick.pool_lv().filter(|_| !shared).map(|pool| format!(" and {group}/{pool}")).unwrap_or_default();
    let at = place(topology, brick.node, brick.device);
    let goes = if pool.is_empty() { "goes" } else { "go" };
    format!("{at}: {group}/{}{pool} {goes}, with all that brick {} holds", brick.volume_lv(), brick.id)
}

/// `gfs1:/dev/sdb`.
fn place(topology: &Topology, node: NodeId, device: DeviceId) -> String {
    let node = topology.nodes.get(&node).map_or_else(|| node.to_string(), |node| node.name().to_owned());
    let device = topology.devices.get(&device).map_or_else(|| device.to_string(), |device| device.name.to_string());
    format!("{node}:{device}")
}
