//! Whether a volume may be deleted. It counts as soon as it is written down; the records beside its bricks follow, so that
//! a rebuild knows of it.

use bricklayer_proto::ids::{OperationId, VolumeId};

use super::bricks::GrowBrick;
use super::context::Context;
use super::step::Stage;
use super::{Rejected, whole};
use crate::model::{Operation, Plan, Volume, VolumeProtect};

pub async fn submit(context: &Context, id: VolumeId, protected: bool) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let volume = Volume { protected, ..whole(change, id)? };
            change.put_volume(volume.clone());
            let operation = Operation::begun(Plan::VolumeProtect(VolumeProtect { volume }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(context: &Context, operation: OperationId, volume: &Volume) -> Vec<Stage> {
    vec![Stage::of(GrowBrick::each_record(context, operation, volume, &volume.bricks))]
}
