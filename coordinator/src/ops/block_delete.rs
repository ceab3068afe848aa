//! A block volume goes, with the file that it lies in.

use async_trait::async_trait;
use bricklayer_proto::ids::BlockVolumeId;
use bricklayer_proto::task::Wanted;

use super::context::{Context, Run};
use super::step::{Stage, Step, StepError};
use super::{Rejected, block_hosts};
use crate::model::{BlockDelete, BlockVolume, Operation, Plan};

pub async fn submit(context: &Context, id: BlockVolumeId) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let block = super::whole_block(change, id)?;
            if let Some(hosting) = change.volumes.get(&block.hosting.volume).filter(|hosting| hosting.protected) {
                return Err(Rejected::Protected { name: hosting.name.clone() });
            }
            change.remove_block_volume(id);
            let operation = Operation::begun(Plan::BlockDelete(BlockDelete { block }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(plan: &BlockDelete) -> Vec<Stage> {
    vec![Stage::one(DeleteBlock { block: plan.block.clone() })]
}

struct DeleteBlock {
    block: BlockVolume,
}

#[async_trait]
impl Step for DeleteBlock {
    fn name(&self) -> String {
        format!("delete block volume {} from volume {}", self.block.name, self.block.hosting.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wanted = Wanted::BlockGone(self.block.key());
        block_hosts::ask(context, &run.asker(), self.block.cluster, wanted).await?;
        Ok(())
    }

    /// Where it failed, the block volume is still there, if perhaps not on every host: it is listed again, and a second
    /// deletion takes what is left. Where only the answer was lost, it is gone, and is not listed again.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        match block_hosts::seen(context, &run.asker(), self.block.cluster, self.block.key()).await {
            Ok(None) => Err(StepError::DoneAfterAll(self.name())),
            Ok(Some(_)) => Ok(()),
            Err(error) => {
                tracing::warn!(
                    error = %error, block.name = %self.block.name,
                    "Nobody says what is left of the block volume; it is listed again."
                );
                Ok(())
            }
        }
    }
}
