//! One brick moves to another device: evict, replace, and each step of emptying a device or a node.
//!
//! The old brick is kept until its set is healed, and a volume never has two of its bricks moving. A volume without
//! copies is moved the other way round: the new brick is added, and the data drained off the old one.

use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::ids::{BrickId, DeviceId, OperationId};
use bricklayer_proto::names::NotAName;
use bricklayer_proto::task::{
    BrickAddress, BrickDrain, BrickHeal, BrickSwap, HealReport, Layout, RebalanceReport, RebalanceState, VolumeOption,
    Wanted,
};

use super::bricks::{MakeBrick, RemoveBrick, SyncBrick};
use super::candidates::candidates;
use super::context::{Context, Run};
use super::step::{Stage, Step, StepError};
use super::volume_expand::ExtendVolume;
use super::{Rejected, gluster, volume_create, volume_delete, volume_options};
use crate::model::{Brick, BrickReplace, FIRST_GENERATION, Operation, Plan, Resource, Topology, Volume};
use crate::placement::{self, Placed, ReplaceWish};
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
        volume_delete::greet(context, volume).await;
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
            if change.family_is_changing(volume) {
                return Err(Rejected::VolumeHasPendingBricks { brick, volume: volume.id });
            }
            if let Some(to) = to {
                check_target(change, volume, to)?;
            }
            let (volume, old) = (Volume::clone(volume), old.clone());
            let placed = choose(context, change, &volume, &old, to)?;
            let new = moved(&old, &placed);
            let parent = part_of.map(|part| part.parent);
            let plan = Plan::BrickReplace(BrickReplace { volume, old, new, heal_check, parent });
            let mut operation = Operation::begun(plan);
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
    let zone = |brick: &Brick| topology.nodes.get(&brick.node).map_or(0, |node| node.zone.get());
    let others = volume.bricks.iter().filter(|brick| brick.set == old.set && brick.id != old.id);
    let wish = ReplaceWish {
        layout: volume.layout,
        role: old.role,
        asked: old.asked,
        snapshot_factor_milli: volume.snapshot.factor_milli,
        zones: options.zones.unwrap_or(context.policy.zones),
        tag_match: options.tag_match,
        from: old.device,
        others: others.map(|brick| (brick.node, zone(brick))).collect(),
        to,
    };
    let placed = placement::replace(&wish, &candidates(context, topology, volume.cluster));
    placed.map_err(|why| Rejected::NoReplacement(Box::new(why)))
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
    let plan = || plan.clone();
    if plan().volume.layout == Layout::Distribute {
        let mut volume = plan().volume;
        volume.bricks.extend(new);
        let added = vec![plan().new];
        return vec![
            Stage::one(CheckServing { plan: plan() }),
            make,
            Stage::one(ExtendVolume { volume, added, leaves: Some(plan().old) }),
            sync,
            Stage::one(Drain { plan: plan() }).without_return(),
            remove,
        ];
    }
    vec![
        Stage::one(CheckSet { plan: plan() }),
        make,
        Stage::one(Majority { plan: plan(), during: true }),
        Stage::one(Swap { plan: plan() }),
        sync,
        Stage::one(AwaitHeal { plan: plan() }).without_return(),
        Stage::one(Majority { plan: plan(), during: false }).without_return(),
        remove,
    ]
}

pub fn finish(change: &mut Change, run: &Run, plan: &BrickReplace) -> Result<Option<Resource>, StepError> {
    let path = run.brick_path(plan.new.id)?;
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

    /// Where the other bricks of the set are.
    fn other_addresses(&self, context: &Context) -> Result<Vec<BrickAddress>, StepError> {
        let topology = context.state.read();
        let others = self.volume.bricks.iter().filter(|brick| brick.set == self.old.set && brick.id != self.old.id);
        others
            .filter(|brick| !topology.is_lost(brick.device))
            .map(|brick| gluster::address_of(&topology, brick))
            .collect()
    }

    async fn heal(&self, context: &Context, run: &Run) -> Result<HealReport, StepError> {
        gluster::heal(context, &run.asker(), self.volume.cluster, self.volume.key()).await
    }

    /// Bricks of the set that must be there besides the one that moves, so that nothing is lost.
    fn needed(&self) -> usize {
        match self.volume.layout {
            Layout::Distribute => 0,
            Layout::Replicate { replica } if replica < 3 => 1,
            Layout::Replicate { replica } => usize::try_from(replica / 2 + 1).unwrap_or(usize::MAX),
            Layout::Arbiter => 2,
            Layout::Disperse { data, .. } => usize::try_from(data).unwrap_or(usize::MAX),
        }
    }
}

fn of<'a>(report: &'a HealReport, address: &BrickAddress) -> Option<&'a BrickHeal> {
    report.bricks.iter().find(|brick| brick.address == *address)
}

/// The set can do without the brick: the others have all that it has.
struct CheckSet {
    plan: BrickReplace,
}

impl CheckSet {
    /// What stands in the way now.
    async fn obstacle(&self, context: &Context, run: &Run) -> Result<Option<String>, StepError> {
        let plan = &self.plan;
        let old = plan.old_address(context)?;
        let seen = gluster::seen(context, &run.asker(), plan.volume.cluster, plan.volume.key()).await?;
        // Replaced already, before a restart: then the rest is to be done.
        if seen.is_some_and(|seen| !seen.bricks.iter().any(|brick| brick.address == old)) {
            return Ok(None);
        }
        let report = plan.heal(context, run).await?;
        let others = plan.other_addresses(context)?;
        let online = others.iter().filter(|address| of(&report, address).is_some_and(|brick| brick.online)).count();
        let (id, needed) = (plan.old.id, plan.needed());
        if online < needed {
            return Ok(Some(format!(
                "Cannot replace brick {id} as only {online} of {needed} required peer bricks are online"
            )));
        }
        let Some(pending) = of(&report, &old).and_then(|brick| brick.pending) else {
            // It does not say what it has that others lack. Where more than half of the copies are there, they have it
            // between them; one copy, or one copy and an arbiter, may be the stale one.
            let quorum_has_all = !matches!(plan.volume.layout, Layout::Arbiter | Layout::Replicate { replica: ..3 });
            let known = quorum_has_all || context.state.read().is_lost(plan.old.device);
            return Ok((!known).then(|| {
                format!(
                    "Cannot replace brick {id} as it does not answer, so that nobody knows whether it has what the others \
                     lack\nBring it up first. Only if its disk is gone for good, disable the heal check."
                )
            }));
        };
        if pending > 0 {
            return Ok(Some(format!(
                "Cannot replace brick {id} as it is source brick for data to be healed\n{pending} entries are left; see \
                 `bricklayer volume heal {}`",
                plan.volume.name
            )));
        }
        Ok(None)
    }
}

#[async_trait]
impl Step for CheckSet {
    fn name(&self) -> String {
        "see that the other bricks of the set have everything".to_owned()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        if !self.plan.heal_check {
            return Ok(());
        }
        let start = tokio::time::Instant::now();
        while let Some(obstacle) = self.obstacle(context, run).await? {
            if start.elapsed() >= context.policy.healing {
                return Err(StepError::Refused(obstacle));
            }
            context.progress.note(run.id(), &self.name(), &obstacle);
            tokio::time::sleep(context.policy.look).await;
        }
        Ok(())
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// The only copy of its files can be read, as it is about to be moved.
struct CheckServing {
    plan: BrickReplace,
}

#[async_trait]
impl Step for CheckServing {
    fn name(&self) -> String {
        "see that the brick serves".to_owned()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let plan = &self.plan;
        let old = plan.old_address(context)?;
        let seen = gluster::seen(context, &run.asker(), plan.volume.cluster, plan.volume.key()).await?;
        let seen = seen.ok_or_else(|| StepError::Refused(format!("GlusterFS has no volume {}", plan.volume.name)))?;
        match seen.bricks.iter().find(|brick| brick.address == old) {
            // Drained already, before a restart.
            None => Ok(()),
            Some(brick) if brick.online == Some(true) => Ok(()),
            Some(_) => Err(StepError::Refused(format!(
                "Cannot replace brick {}: volume {} keeps one copy of each file, and the brick that has these does not \
                 serve",
                plan.old.id, plan.volume.name
            ))),
        }
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// While a set is healed, a file whose copies are not the same file is the one that most bricks have.
///
/// A client that renames files while the new brick is being filled can leave it with an older file of the same name. The
/// self-heal then finds the new brick marked as dirty and takes none of the copies for good: the client gets an error of
/// input and output (seen with GlusterFS 10.3 under load). In a set of three the other two are right.
struct Majority {
    plan: BrickReplace,
    /// Set before the exchange, as by default after it.
    during: bool,
}

impl Majority {
    const OPTION: &str = "cluster.favorite-child-policy";

    /// Two bricks have no majority; and what a person chose stays.
    fn applies(&self) -> Result<bool, StepError> {
        let of_three = matches!(self.plan.volume.layout, Layout::Arbiter | Layout::Replicate { replica: 3.. });
        let own = volume_create::options_of(&self.plan.volume)?.keys().any(|key| key.as_str() == Self::OPTION);
        Ok(of_three && !own)
    }

    async fn set(&self, context: &Context, run: &Run, value: Option<&str>) -> Result<(), StepError> {
        if !self.applies()? {
            return Ok(());
        }
        let missing = |_: NotAName| StepError::Missing("an option of GlusterFS".to_owned());
        let option = VolumeOption {
            volume: self.plan.volume.key(),
            option: Self::OPTION.parse().map_err(missing)?,
            value: value.map(str::parse).transpose().map_err(missing)?,
        };
        gluster::ask(context, run, self.plan.volume.cluster, Wanted::VolumeOptionSet(option)).await?;
        Ok(())
    }
}

#[async_trait]
impl Step for Majority {
    fn name(&self) -> String {
        match self.during {
            true => "let the majority of copies count while the set is healed".to_owned(),
            false => "let GlusterFS judge copies as before".to_owned(),
        }
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.set(context, run, self.during.then_some("majority")).await
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        match self.during {
            true => self.set(context, run, None).await,
            false => Ok(()),
        }
    }
}

/// GlusterFS takes the new brick for the old one.
struct Swap {
    plan: BrickReplace,
}

#[async_trait]
impl Step for Swap {
    fn name(&self) -> String {
        format!("replace the brick of volume {} in GlusterFS", self.plan.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let volume = self.plan.volume.key();
        let (old, new) = (self.plan.old_address(context)?, self.plan.new_address(context, run)?);
        let wanted = Wanted::BrickReplaced(BrickSwap { volume, old, new });
        gluster::ask(context, run, self.plan.volume.cluster, wanted).await?;
        Ok(())
    }

    /// If GlusterFS has the new brick already, the old one is out of date from that moment on.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let plan = &self.plan;
        let old = plan.old_address(context)?;
        let seen = gluster::seen(context, &run.asker(), plan.volume.cluster, plan.volume.key()).await?;
        match seen {
            Some(seen) if !seen.bricks.iter().any(|brick| brick.address == old) => {
                Err(StepError::DoneAfterAll(self.name()))
            }
            _ => Ok(()),
        }
    }
}

/// Every brick of the set has everything.
struct AwaitHeal {
    plan: BrickReplace,
}

#[async_trait]
impl Step for AwaitHeal {
    fn name(&self) -> String {
        format!("wait until volume {} is healed", self.plan.volume.name)
    }

    /// However long it takes: until then the old brick is kept.
    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        if !self.plan.heal_check {
            return Ok(());
        }
        let new = self.plan.new_address(context, run)?;
        let settled = match self.plan.volume.layout {
            Layout::Disperse { .. } => context.policy.settled,
            _ => Duration::ZERO,
        };
        let mut clean_since = None;
        loop {
            // Somebody may be declared lost while this waits.
            let mut set = self.plan.other_addresses(context)?;
            set.push(new.clone());
            let report = self.plan.heal(context, run).await?;
            let bricks: Vec<_> = set.iter().filter_map(|address| of(&report, address)).collect();
            let away = set.len() - bricks.iter().filter(|brick| brick.online).count();
            let entries: u64 = bricks.iter().filter_map(|brick| brick.pending).sum();
            let unknown = bricks.iter().any(|brick| brick.online && brick.pending.is_none());
            if away == 0 && entries == 0 && !unknown {
                let since = *clean_since.get_or_insert_with(tokio::time::Instant::now);
                if since.elapsed() >= settled {
                    return Ok(());
                }
                context.progress.note(run.id(), &self.name(), "nothing left to heal; waiting whether it stays so");
                tokio::time::sleep(context.policy.look).await;
                continue;
            }
            clean_since = None;
            let note = match away {
                0 => format!("{entries} entries left to heal"),
                _ => format!("{entries} entries left to heal, {away} bricks of the set do not answer"),
            };
            context.progress.note(run.id(), &self.name(), note);
            tokio::time::sleep(context.policy.look).await;
        }
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// All files leave the old brick, and then it leaves the volume.
struct Drain {
    plan: BrickReplace,
}

#[async_trait]
impl Step for Drain {
    fn name(&self) -> String {
        format!("move the files of volume {} off the brick", self.plan.volume.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let volume = &self.plan.volume;
        let drain = BrickDrain { volume: volume.key(), brick: self.plan.old_address(context)? };
        let seen = gluster::seen(context, &run.asker(), volume.cluster, volume.key()).await?;
        if seen.is_some_and(|seen| !seen.bricks.iter().any(|brick| brick.address == drain.brick)) {
            return Ok(());
        }
        gluster::ask(context, run, volume.cluster, Wanted::DrainStarted(drain.clone())).await?;
        loop {
            let look = Wanted::DrainSeen(drain.clone());
            let report = gluster::movement(context, &run.asker(), volume.cluster, look).await?;
            context.progress.note(run.id(), &self.name(), in_words(&report));
            match report.state {
                RebalanceState::Completed if is_complete(&report) => break,
                RebalanceState::Running | RebalanceState::NotStarted => {
                    tokio::time::sleep(context.policy.look).await;
                }
                RebalanceState::Completed | RebalanceState::Failed | RebalanceState::Stopped => {
                    // Stopped first, so that the next try starts anew.
                    gluster::ask(context, run, volume.cluster, Wanted::DrainStopped(drain)).await?;
                    return Err(StepError::Refused(format!(
                        "moving files off the brick ended early: {}",
                        in_words(&report)
                    )));
                }
            }
        }
        gluster::ask(context, run, volume.cluster, Wanted::DrainCommitted(drain)).await?;
        Ok(())
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}

/// Whether every file has left. GlusterFS also calls it completed where some could not be moved, for want of space or
/// as somebody holds them.
fn is_complete(report: &RebalanceReport) -> bool {
    report.nodes.iter().all(|node| node.failures == 0 && node.skipped == 0)
}

fn in_words(report: &RebalanceReport) -> String {
    let sum = |of: fn(&bricklayer_proto::task::RebalanceNode) -> u64| report.nodes.iter().map(of).sum::<u64>();
    format!(
        "{} files moved, {} looked at, {} failures, {} skipped",
        sum(|n| n.files),
        sum(|n| n.scanned),
        sum(|n| n.failures),
        sum(|n| n.skipped)
    )
}
