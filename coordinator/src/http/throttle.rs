//! heketi's throttle. heketi took eight operations at once and sent the ninth away; ours queue up by themselves, and a
//! client is sent away only past a bound that no sane client reaches.

use super::Service;
use super::failure::Failure;
use crate::model::{Plan, Topology};

/// The default bound.
pub const MOST_UNFINISHED: usize = 1024;

impl Service {
    /// Refuses what would be one operation too many. Asked before anything of it is decided.
    pub(super) fn has_room_for_one_more(&self) -> Result<(), Failure> {
        let topology = self.operations.topology();
        // The count of all is known; only past it is it worth looking which of them count.
        let most = self.settings.most_unfinished;
        if topology.unfinished.size() >= most && throttled(&topology) >= most {
            return Err(Failure::busy());
        }
        Ok(())
    }
}

fn throttled(topology: &Topology) -> usize {
    topology.unfinished.values().filter(|operation| counts(&operation.plan)).count()
}

/// As in heketi, what adds and removes nodes and devices does not count.
fn counts(plan: &Plan) -> bool {
    !matches!(
        plan,
        Plan::NodeAdd(_)
            | Plan::NodeDelete(_)
            | Plan::DeviceAdd(_)
            | Plan::DeviceDelete(_)
            | Plan::DiskWipe(_)
            | Plan::NodeState(_)
            | Plan::DeviceState(_)
            | Plan::DeviceResync(_)
            | Plan::CleanUp(_)
    )
}
