//! A block volume becomes larger, to a size that is told as such and not as what is added.

use async_trait::async_trait;
use bricklayer_proto::block::BlockResize;
use bricklayer_proto::ids::BlockVolumeId;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::Wanted;

use super::context::{Context, Run};
use super::step::{Stage, Step, StepError};
use super::{Rejected, block_hosts};
use crate::model::{BlockExpand, BlockVolume, Operation, Plan, Resource};
use crate::state::Change;

pub async fn submit(context: &Context, id: BlockVolumeId, to: ByteSize) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let block = super::whole_block(change, id)?;
            // The same size is worth asking for again where a host was not reached the first time.
            if to == block.size && block.usable >= block.size {
                return Err(Rejected::BlockHasThatSize { size: to });
            }
            if to < block.size {
                return Err(Rejected::BlockShrinks { to, size: block.size });
            }
            let volume = change.volumes.get(&block.hosting.volume).ok_or(Rejected::Busy)?;
            let more = block.size.short_of(to).whole_gib();
            let free = change.hosting_space(volume).free;
            if more > free {
                return Err(Rejected::HostingVolumeFull { volume: volume.name.clone(), more, free });
            }
            let plan = BlockExpand { key: block.key(), cluster: block.cluster, before: block.size, after: to };
            let operation = Operation::begun(Plan::BlockExpand(plan), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(plan: &BlockExpand) -> Vec<Stage> {
    vec![Stage::one(ResizeBlock { plan: plan.clone() })]
}

pub fn finish(change: &mut Change, run: &Run, plan: &BlockExpand) -> Result<Option<Resource>, StepError> {
    let usable = run.block()?.usable();
    let id = plan.key.block;
    let block = change.block_volumes.get(&id).cloned();
    let block = block.ok_or_else(|| StepError::Missing(format!("the record of block volume {id}")))?;
    change.put_block_volume(BlockVolume { size: plan.after, usable, ..BlockVolume::clone(&block) });
    Ok(Some(Resource::BlockVolume(id)))
}

struct ResizeBlock {
    plan: BlockExpand,
}

#[async_trait]
impl Step for ResizeBlock {
    fn name(&self) -> String {
        format!("resize block volume {} to {}", self.plan.key.name, self.plan.after)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wanted = Wanted::BlockResized(BlockResize { key: self.plan.key.clone(), size: self.plan.after });
        let done = block_hosts::ask(context, &run.asker(), self.plan.cluster, wanted).await?;
        let missing = || StepError::Missing("the size of the block volume".to_owned());
        let report = block_hosts::block_report(done.report)?.ok_or_else(missing)?;
        for (host, size) in &report.behind {
            let note = format!("{host} still exports {size}; ask for the same size again when it is well");
            context.progress.note(run.id(), &self.name(), note);
        }
        run.learn_block(report);
        Ok(())
    }

    /// Nothing is made smaller: where the file has grown after all, this goes forward.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let key = self.plan.key.clone();
        let seen = block_hosts::seen(context, &run.asker(), self.plan.cluster, key).await?;
        match seen {
            Some(report) if self.plan.before < self.plan.after && report.size >= self.plan.after => {
                Err(StepError::DoneAfterAll(self.name()))
            }
            _ => Ok(()),
        }
    }
}
