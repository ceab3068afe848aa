//! What is stuck is tried again by itself, at longer and longer intervals; here a person has it tried at once.

use bricklayer_proto::ids::OperationId;

use super::context::Context;
use super::{Rejected, drive};
use crate::model::{CleanUp, OpState, Operation, Plan};

/// Those that are named, or all; what is not stuck is passed over, as heketi passes over it.
pub async fn clean_up(context: &Context, named: &[OperationId]) -> Result<OperationId, Rejected> {
    let id = context
        .state
        .change(|change| {
            let stuck = change.unfinished.values().filter(|operation| matches!(operation.state, OpState::Stuck { .. }));
            let operations = stuck.map(|operation| operation.id).filter(|id| named.is_empty() || named.contains(id));
            let operation = Operation::done_at_once(
                Plan::CleanUp(CleanUp { operations: operations.collect() }),
                context.clock.now(),
            );
            let id = operation.id;
            drive::put_finished(change, operation);
            Ok::<_, Rejected>(id)
        })
        .await?;
    // All of them are woken: one that was not named loses nothing by an earlier try.
    context.again.notify_waiters();
    Ok(id)
}
