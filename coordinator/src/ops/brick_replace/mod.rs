//! One brick moves to another device: evict, replace, and each step of emptying a device or a node.
//!
//! The old brick is kept until its set is healed, and a volume never has two of its bricks moving. A volume without
//! copies is moved the other way round: the new brick is added, and the data drained off the old one.

mod copies;
mod drain;

use bricklayer_proto::ids::{BrickId, DeviceId, OperationId};
use bricklayer_proto::task::{BrickAddress, Layout};

use self::copies::{AwaitHeal, CheckSet, Majority, Swap};
use self::drain::{CheckServing, Drain};
use super::bricks::{MakeBrick, RemoveBrick, SyncBrick};
use super::candidates::pool;
use super::context::{Context, Run};
use super::step::{Stage, StepError};
use super::volume_expand::ExtendVolume;
use super::{Rejected, device_remove, gluster, volume_options};
use crate::model::{Brick, BrickReplace, FIRST_GENERATION, LvNames, Operation, Plan, Resource, Topology, Volume};
use crate::placement::{self, OtherBrick, Placed, ReplaceWish};
use crate::state::Change;

/// What is to move, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplaceRequest {
    pub brick: BrickId,
    /// The device that a person chose.
    pub to: Option<DeviceId>,
    /// Whether the set must be healed before and after. Without it a copy that is the only good one may be lost.
    pub heal_check: bool,
}

/// The operation that a replacement is a part of, and the id that was chosen for it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartOf {
    pub parent: OperationId,
    pub id: OperationId,
}

pub async fn submit(
    context: &Context,
    request: ReplaceRequest,
    part_of: Option<PartOf>,
) -> Result<Operation, Rejected> {
    if let Some((volume, _)) = context.state.read().brick(request.brick) {
        context.greet(&[volume.cluster]).await;
    }
    context
        .state
        .change(|change| {
            let ReplaceRequest { brick, to, heal_check } = request;
            let Some((volume, old)) = change.brick(brick) else {
                let pending = change
                    .unfinished
                    .values()
                    .any(|operation| operation.plan.bricks().iter().any(|pending| pending.id == brick));
                return Err(if pending { Rejected::BrickPending(brick) } else { Rejected::NotFound });
            };
            if volume.trash.is_some() {
                return Err(Rejected::InTrash { name: volume.name.clone() });
            }
            if change.family_is_changing(volume) {
                return Err(Rejected::VolumeHasPendingBricks { brick, volume: volume.id });
            }
            if let Some(to) = to {
                check_target(change, volume, to)?;
            }
            let (volume, old) = (Volume::clone(volume), old.clone());
            let held = part_of.and_then(|part| device_remove::let_go(change, part.parent, brick));
            let kept = held.as_ref().filter(|_| to.is_none()).map(|held| held.device);
            // Where its room was held, unless that is of no use any more.
            let kept = kept.and_then(|kept| choose(context, change, &volume, &old, Some(kept)).ok());
            let placed = kept.map_or_else(|| choose(context, change, &volume, &old, to), Ok)?;
            let mut new = moved(&old, &placed);
            if let Some(held) = held {
                new.id = held.id;
            }
            let parent = part_of.map(|part| part.parent);
            let plan = Plan::BrickReplace(BrickReplace { volume, old, new, heal_check, parent });
            let mut operation = Operation::begun(plan, context.clock.now());
            if let Some(part) = part_of {
                operation.id = part.id;
            }
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

fn check_target(topology: &Topology, volume: &Volume, to: DeviceId) -> Result<(), Rejected> {
    let device = topology.devices.get(&to).ok_or(Rejected::NoSuchDevice(to))?;
    let cluster = topology.nodes.get(&device.node).map(|node| node.cluster);
    if cluster == Some(volume.cluster) { Ok(()) } else { Err(Rejected::DeviceOfOtherCluster(to)) }
}

/// A device for the brick, as things are now.
pub fn choose(
    context: &Context,
    topology: &Topology,
    volume: &Volume,
    old: &Brick,
    to: Option<DeviceId>,
) -> Result<Placed, Rejected> {
    let options = volume_options::read(&volume.options)?;
    let terms = options.policy.over(context.terms(topology, volume.cluster));
    let beside = |brick: &Brick| {
        let node = topology.nodes.get(&brick.node);
        let mut tags = node.map(|node| node.tags.clone()).unwrap_or_default();
        tags.extend(topology.devices.get(&brick.device).map(|device| device.tags.clone()).unwrap_or_default());
        OtherBrick { node: brick.node, zone: node.map_or(0, |node| node.zone.get()), tags }
    };
    let others = volume.bricks.iter().filter(|brick| brick.set == old.set && brick.id != old.id);
    let wish = ReplaceWish {
        layout: volume.layout,
        role: old.role,
        asked: old.asked,
        snapshot_factor_milli: volume.snapshot.factor_milli,
        zones: terms.zones,
        tag_match: options.tag_match,
        set_rules: terms.set,
        over_commit: terms.over_commit,
        provisioning: old.space.provisioning,
        from: old.device,
        others: others.map(beside).collect(),
        to,
        reserve: terms.reserve,
    };
    let pool = pool(context, topology, volume.cluster);
    let placed = placement::replace_in(&wish, &pool);
    placed.map_err(|why| Rejected::NoReplacement(Box::new(why.asked(wish, pool))))
}

/// The brick as it is to be at its new place.
pub fn moved(old: &Brick, placed: &Placed) -> Brick {
    Brick {
        id: BrickId::random(),
        device: placed.device,
        node: placed.node,
        asked: placed.asked,
        space: placed.space,
        path: None,
        pool: None,
        names: LvNames::default(),
        adopted: false,
        generation: FIRST_GENERATION,
        ..old.clone()
    }
}

pub fn stages(context: &Context, operation: OperationId, plan: &BrickReplace) -> Vec<Stage> {
    let (old, new) = ([plan.old.clone()], [plan.new.clone()]);
    let after = plan.after(None);
    let make = Stage::of(MakeBrick::each(context, operation, &after, &new));
    let sync = Stage::of(SyncBrick::each(context, &after, &new)).without_return();
    let remove = Stage::of(RemoveBrick::each(context, &plan.volume, &old)).without_return();
    if plan.volume.layout == Layout::Distribute {
        let mut volume = plan.volume.clone();
        volume.bricks.extend(new);
        let added = vec![plan.new.clone()];
        return vec![
            Stage::one(CheckServing { plan: plan.clone() }),
            make,
            Stage::one(ExtendVolume { volume, added, leaves: Some(plan.old.clone()) }),
            sync,
            Stage::one(Drain { plan: plan.clone() }).without_return(),
            remove,
        ];
    }
    vec![
        Stage::one(CheckSet { plan: plan.clone() }),
        make,
        Stage::one(Majority { plan: plan.clone(), during: true }),
        Stage::one(Swap { plan: plan.clone() }),
        sync,
        Stage::one(AwaitHeal { plan: plan.clone() }).without_return(),
        Stage::one(Majority { plan: plan.clone(), during: false }).without_return(),
        remove,
    ]
}

pub fn finish(change: &mut Change, run: &Run, plan: &BrickReplace) -> Result<Option<Resource>, StepError> {
    let path = run.brick_path(plan.new.id)?;
    if plan.volume.layout == Layout::Distribute && run.is_kept(plan.old.id) {
        let last = plan.volume.bricks.iter().map(|brick| brick.set).max().unwrap_or_default();
        let new = Brick { path: Some(path), set: last.saturating_add(1), ..plan.new.clone() };
        let bricks = plan.volume.bricks.iter().cloned().chain([new]).collect();
        change.put_volume(Volume { bricks, ..plan.volume.clone() });
        return Ok(None);
    }
    let mut volume = plan.after(Some(path));
    if volume.layout == Layout::Distribute {
        // GlusterFS has it at the end.
        volume.bricks.sort_by_key(|brick| brick.id == plan.new.id);
    }
    change.put_volume(volume);
    change.release(std::slice::from_ref(&plan.old));
    Ok(None)
}

/// The new brick is gone again and the old one serves.
pub fn undone(change: &mut Change, plan: &BrickReplace) {
    change.release(std::slice::from_ref(&plan.new));
}

impl BrickReplace {
    fn old_address(&self, context: &Context) -> Result<BrickAddress, StepError> {
        gluster::address_of(&context.state.read(), &self.old)
    }

    fn new_address(&self, context: &Context, run: &Run) -> Result<BrickAddress, StepError> {
        gluster::address(&context.state.read(), &self.new, run.brick_path(self.new.id)?)
    }
}
