//! A volume becomes larger: its bricks grow where they are, or, where a device is too full for that, it gets more sets
//! of bricks.
//!
//! Growth needs no movement of data and is there at once, so it goes first. It is all or nothing: a set holds what its
//! smallest brick holds.

use async_trait::async_trait;
use bricklayer_proto::ids::{OperationId, VolumeId};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{BrickAddress, BrickSeenInVolume, VolumeSpec, Wanted};

use super::bricks::{CheckGrowth, GrowBrick, MakeBrick, SyncBrick};
use super::candidates::pool;
use super::context::{Context, Run};
use super::step::{Stage, Step, StepError};
use super::{Rejected, gluster, volume_create, volume_options, whole};
use crate::model::{Brick, Operation, Plan, Resource, Topology, Volume, VolumeExpand};
use crate::placement::{self, Growing, OverCommit, Wish};
use crate::state::Change;

pub async fn submit(context: &Context, id: VolumeId, more: ByteSize) -> Result<Operation, Rejected> {
    if let Some(volume) = context.state.read().volumes.get(&id) {
        context.greet(&[volume.cluster]).await;
    }
    context
        .state
        .change(|change| {
            let before = whole(change, id)?;
            let size = before.size.checked_add(more).ok_or(Rejected::TooLarge)?;
            let bricks = larger(context, change, &before, more)?;
            let after = Volume { size, bricks, ..before.clone() };
            let operation = Operation::begun(Plan::VolumeExpand(VolumeExpand { before, after }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

/// The volume's bricks as they are to be.
fn larger(context: &Context, topology: &Topology, volume: &Volume, more: ByteSize) -> Result<Vec<Brick>, Rejected> {
    let options = volume_options::read(&volume.options)?;
    let existing_bricks = u32::try_from(volume.bricks.len()).unwrap_or(u32::MAX);
    let (layout, snapshot) = (volume.layout, volume.snapshot);
    let wish = volume_create::placing(context, topology, volume.cluster, more, layout, snapshot, &options);
    // Whatever new volumes are by the policy of today, this one gets bricks as it has.
    let provisioning = volume.provisioning();
    let over_commit = if provisioning.is_thick() { OverCommit::NONE } else { wish.over_commit };
    let wish = Wish { existing_bricks, provisioning, over_commit, ..wish };
    let pool = pool(context, topology, volume.cluster);
    let mut bricks = volume.bricks.clone();

    // A pool that several bricks share is nobody's to grow.
    if !volume.bricks.iter().any(|brick| pool_is_shared(topology, brick)) {
        let growing: Vec<Growing> = bricks
            .iter()
            .map(|brick| Growing { device: brick.device, role: brick.role, asked: brick.asked, space: brick.space })
            .collect();
        let node = |device| volume.bricks.iter().find(|brick| brick.device == device).map(|brick| brick.node);
        let find = |device| pool.find(node(device)?, device);
        if let Some(grown) = placement::grow_among(&wish, volume.sets(), &growing, find) {
            for (brick, grown) in bricks.iter_mut().zip(grown) {
                if (brick.asked, brick.space) != (grown.asked, grown.space) {
                    (brick.asked, brick.space) = (grown.asked, grown.space);
                    brick.generation += 1;
                }
            }
            return Ok(bricks);
        }
    }
    let placed = placement::place_in(&wish, &pool);
    let placed = placed.map_err(|refusal| Rejected::NoPlacement(vec![(volume.cluster, refusal)]))?;
    bricks.extend(volume_create::bricks(&placed, volume.sets()));
    Ok(bricks)
}

fn pool_is_shared(topology: &Topology, brick: &Brick) -> bool {
    let others = topology.bricks.get(&brick.device);
    brick.pool.is_some()
        || others.is_some_and(|others| {
            others.values().any(|other| other.id != brick.id && other.pool_of() == brick.pool_of())
        })
}

pub fn stages(context: &Context, operation: OperationId, plan: &VolumeExpand) -> Vec<Stage> {
    let VolumeExpand { before, after } = plan;
    let added: Vec<Brick> = plan.added().cloned().collect();
    if added.is_empty() {
        let grown: Vec<Brick> = plan.grown().cloned().collect();
        let same: Vec<Brick> =
            after.bricks.iter().filter(|brick| before.brick(brick.id) == Some(*brick)).cloned().collect();
        let grow = GrowBrick::each(context, operation, after, &grown)
            .into_iter()
            .chain(GrowBrick::each_record(context, operation, after, &same));
        return vec![Stage::of(CheckGrowth::each(context, operation, after, &grown)), Stage::of(grow).without_return()];
    }
    let last: Vec<Box<dyn Step>> = vec![Box::new(StartRebalance { volume: after.clone() })];
    vec![
        Stage::of(MakeBrick::each(context, operation, after, &added)),
        Stage::one(ExtendVolume { volume: after.clone(), added: added.clone(), leaves: None }),
        Stage::of(SyncBrick::each(context, after, &added).into_iter().chain(GrowBrick::each_record(
            context,
            operation,
            after,
            &before.bricks,
        )))
        .without_return(),
        Stage::of(last).without_return(),
    ]
}

pub fn finish(change: &mut Change, run: &Run, plan: &VolumeExpand) -> Result<Option<Resource>, StepError> {
    let mut volume = plan.after.clone();
    for brick in volume.bricks.iter_mut().filter(|brick| brick.path.is_none()) {
        brick.path = Some(run.brick_path(brick.id)?);
    }
    let id = volume.id;
    change.put_volume(volume);
    Ok(Some(Resource::Volume(id)))
}

/// Nothing has grown yet and what was added is gone again.
pub fn undone(change: &mut Change, plan: &VolumeExpand) {
    let added: Vec<Brick> = plan.added().cloned().collect();
    change.release(&added);
    change.put_volume(plan.before.clone());
}

/// Tells GlusterFS of new bricks.
pub struct ExtendVolume {
    /// With the new bricks, which come last.
    pub volume: Volume,
    pub added: Vec<Brick>,
    /// The brick that leaves the volume later in the same operation: once it has left, the new ones are in.
    pub leaves: Option<Brick>,
}

impl ExtendVolume {
    /// Whether GlusterFS has the brick that is to leave no more: a restart came after that.
    async fn is_past(&self, context: &Context, run: &Run) -> Result<bool, StepError> {
        let Some(leaves) = &self.leaves else { return Ok(false) };
        let address = gluster::address_of(&context.state.read(), leaves)?;
        let seen = gluster::seen(context, &run.asker(), self.volume.cluster, self.volume.key()).await?;
        Ok(seen.is_some_and(|seen| !seen.bricks.iter().any(|brick| brick.address == address)))
    }

    fn address(&self, context: &Context, run: &Run, brick: &Brick) -> Result<BrickAddress, StepError> {
        let path = match &brick.path {
            Some(path) => path.clone(),
            None => run.brick_path(brick.id)?,
        };
        gluster::address(&context.state.read(), brick, path)
    }
}

#[async_trait]
impl Step for ExtendVolume {
    fn name(&self) -> String {
        match self.added.len() {
            1 => format!("add the brick to volume {} in GlusterFS", self.volume.name),
            count => format!("add {count} bricks to volume {} in GlusterFS", self.volume.name),
        }
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        if self.is_past(context, run).await? {
            return Ok(());
        }
        let bricks = self.volume.bricks.iter().map(|brick| self.address(context, run, brick));
        let spec = VolumeSpec {
            key: self.volume.key(),
            layout: self.volume.layout,
            bricks: bricks.collect::<Result<_, _>>()?,
            options: volume_create::options_of(&self.volume)?,
            start: false,
        };
        gluster::ask(context, run, self.volume.cluster, Wanted::VolumeExtended(spec)).await?;
        Ok(())
    }

    /// A brick that GlusterFS uses may hold data already, so there is no way back from here but forward.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let seen = gluster::seen(context, &run.asker(), self.volume.cluster, self.volume.key()).await?;
        // After a restart nobody knows yet where the new bricks are. So any brick that was not there before counts.
        let topology = context.state.read();
        let before = self.volume.bricks.iter().filter(|brick| !self.added.iter().any(|added| added.id == brick.id));
        let before = before.map(|brick| gluster::address_of(&topology, brick)).collect::<Result<Vec<_>, _>>()?;
        let new = |seen: &BrickSeenInVolume| !before.contains(&seen.address);
        let past = self.leaves.is_some() && self.is_past(context, run).await?;
        if past || seen.iter().flat_map(|seen| &seen.bricks).any(new) {
            Err(StepError::DoneAfterAll(self.name()))
        } else {
            Ok(())
        }
    }
}

struct StartRebalance {
    volume: Volume,
}

#[async_trait]
impl Step for StartRebalance {
    fn name(&self) -> String {
        format!("start the rebalance of volume {}", self.volume.name)
    }

    /// The new space is there with or without it, so its failure is shown and fails nothing.
    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wanted = Wanted::RebalanceStarted(self.volume.key());
        if let Err(error) = gluster::ask(context, run, self.volume.cluster, wanted).await {
            tracing::warn!(error = %error, volume.name = %self.volume.name, "The rebalance could not be started; start it with `bricklayer volume rebalance`.");
            context.progress.note(run.id(), &self.name(), format!("not started: {error}"));
        }
        Ok(())
    }

    /// It only runs past the point of no return, so there is nothing to take back.
    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
