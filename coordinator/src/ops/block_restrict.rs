//! Whether a volume takes more block volumes. Touches no host.

use bricklayer_proto::ids::{OperationId, VolumeId};

use super::context::Context;
use super::{Rejected, drive, whole};
use crate::model::{BlockRestrict, BlockRestriction, HostingSpace, OpState, Operation, Plan, Resource, Volume};

pub async fn set(context: &Context, id: VolumeId, to: BlockRestriction) -> Result<OperationId, Rejected> {
    context
        .state
        .change(|change| {
            let volume = whole(change, id)?;
            if !volume.block {
                return Err(Rejected::NoHostingForBlocks);
            }
            if volume.restriction == BlockRestriction::LockedByUpdate && to.is_none() {
                let used: u64 = change.blocks_in(id).map(|block| block.size.whole_gib()).sum();
                let needed = HostingSpace::of(volume.size, 0).reserved;
                let found = volume.size.whole_gib().saturating_sub(used);
                if found < needed {
                    return Err(Rejected::NoReserve { needed, found });
                }
            }
            change.put_volume(Volume { restriction: to, ..volume });
            let plan = Plan::BlockRestrict(BlockRestrict { volume: id, to });
            let state = OpState::Done { resource: Some(Resource::Volume(id)) };
            let operation = Operation { state, ..Operation::done_at_once(plan, context.clock.now()) };
            let begun = operation.id;
            drive::put_finished(change, operation);
            Ok(begun)
        })
        .await
}
