//! A brick with copies is exchanged: its set is looked at before, and healed after, before the old brick goes.

use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::names::NotAName;
use bricklayer_proto::task::{
    BrickAddress, BrickHeal, BrickSwap, FailureKind, HealReport, Layout, VolumeOption, Wanted,
};
use tokio::time::Instant;

use crate::agents::AgentError;
use crate::model::BrickReplace;
use crate::ops::context::{Context, Run};
use crate::ops::healing::{Healing, left_to_heal};
use crate::ops::step::{Step, StepError};
use crate::ops::{gluster, volume_create};

impl BrickReplace {
    /// Where the other bricks of the set are.
    fn other_addresses(&self, context: &Context) -> Result<Vec<BrickAddress>, StepError> {
        let topology = context.state.read();
        let others = self.volume.bricks.iter().filter(|brick| brick.set == self.old.set && brick.id != self.old.id);
        others
            .filter(|brick| !topology.is_lost(brick.device))
            .map(|brick| gluster::address_of(&topology, brick))
            .collect()
    }

    /// Whether the other bricks that are not lost can hold all the data. Where they cannot, nothing is left to heal for want of
    /// anybody who would know of it, and the old brick may be the last that has it.
    fn others_can_have_all(&self, context: &Context) -> bool {
        let topology = context.state.read();
        let others = self.volume.bricks.iter().filter(|brick| brick.set == self.old.set && brick.id != self.old.id);
        let left = others.filter(|brick| brick.role == BrickRole::Data && !topology.is_lost(brick.device)).count();
        let of_them = match self.volume.layout {
            Layout::Distribute => 0,
            Layout::Replicate { .. } | Layout::Arbiter => 1,
            Layout::Disperse { data, .. } => usize::try_from(data).unwrap_or(usize::MAX),
        };
        left >= of_them
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

/// So many times as long as between two looks it may stand still before the daemons are asked to look for what is to be healed: half
/// a minute, as the policy is. Looks are not counted: where there is much to heal one alone may take half a minute.
const LOOKS_TO_NUDGE: u32 = 15;

/// Sees to it that what is to be healed is healed now.
async fn nudge(healing: &mut Healing, plan: &BrickReplace, context: &Context, run: &Run, report: &HealReport) {
    if !healing.stands_still(left_to_heal(report), context.policy.look * LOOKS_TO_NUDGE, Instant::now()) {
        return;
    }
    let wanted = Wanted::HealStarted(plan.volume.key());
    if let Err(error) = gluster::ask(context, run, plan.volume.cluster, wanted).await {
        tracing::info!(volume.name = %plan.volume.name, %error, "GlusterFS could not be asked to look for what is to be healed.");
    }
}

fn of<'a>(report: &'a HealReport, address: &BrickAddress) -> Option<&'a BrickHeal> {
    report.bricks.iter().find(|brick| brick.address == *address)
}

/// The set can do without the brick: the others have all that it has.
pub struct CheckSet {
    pub plan: BrickReplace,
}

impl CheckSet {
    /// What stands in the way now.
    async fn obstacle(&self, context: &Context, run: &Run, healing: &mut Healing) -> Result<Option<String>, StepError> {
        let plan = &self.plan;
        let old = plan.old_address(context)?;
        let seen = gluster::seen(context, &run.asker(), plan.volume.cluster, plan.volume.key()).await?;
        // Replaced already, before a restart: then the rest is to be done.
        if seen.is_some_and(|seen| !seen.bricks.iter().any(|brick| brick.address == old)) {
            return Ok(None);
        }
        let report = plan.heal(context, run).await?;
        nudge(healing, plan, context, run, &report).await;
        let others = plan.other_addresses(context)?;
        let online = others.iter().filter(|address| of(&report, address).is_some_and(|brick| brick.online)).count();
        let (id, needed) = (plan.old.id, plan.needed());
        if online < needed {
            return Ok(Some(format!(
                "Cannot replace brick {id} as only {online} of {needed} required peer bricks are online"
            )));
        }
        let Some(pending) = of(&report, &old).and_then(|brick| brick.pending) else {
            // It does not say what it has that others lack. Of three copies or more each write reached the majority, so all
            // the others have it between them. One copy, one copy and an arbiter, or as many fragments as are just needed
            // may be stale.
            let of_three = matches!(plan.volume.layout, Layout::Replicate { replica: 3.. });
            let others_have_all = of_three && online == others.len();
            let known = others_have_all || context.state.read().is_lost(plan.old.device);
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

/// What is refused for certain stays so.
fn is_not_told_yet(error: &StepError) -> bool {
    matches!(error, StepError::Agent(AgentError::Failed { failure, .. }) if failure.kind != FailureKind::Refused)
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
        let (start, mut healing) = (Instant::now(), Healing::default());
        loop {
            let obstacle = match self.obstacle(context, run, &mut healing).await {
                Ok(None) => return Ok(()),
                Ok(Some(obstacle)) => StepError::Refused(obstacle),
                // A glusterd that has just started, as after a power cut of all hosts, cannot say yet what is to be healed.
                Err(error) if is_not_told_yet(&error) => error,
                Err(error) => return Err(error),
            };
            if start.elapsed() >= context.policy.healing {
                return Err(obstacle);
            }
            context.progress.note(run.id(), &self.name(), obstacle.to_string());
            tokio::time::sleep(context.policy.look).await;
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
pub struct Majority {
    pub plan: BrickReplace,
    /// Set before the exchange, as by default after it.
    pub during: bool,
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
pub struct Swap {
    pub plan: BrickReplace,
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
pub struct AwaitHeal {
    pub plan: BrickReplace,
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
        let (mut clean_since, mut healing) = (None, Healing::default());
        loop {
            if !self.plan.others_can_have_all(context) {
                tracing::error!(
                    brick.id = %self.plan.old.id, volume.name = %self.plan.volume.name,
                    "Bricks were declared lost while what replaces this one was healed from them; it is kept on its disk."
                );
                run.learn_kept(self.plan.old.id);
                return Ok(());
            }
            // Somebody may be declared lost while this waits.
            let mut set = self.plan.other_addresses(context)?;
            set.push(new.clone());
            let report = self.plan.heal(context, run).await?;
            nudge(&mut healing, &self.plan, context, run, &report).await;
            if context.state.read().is_lost(self.plan.new.device) {
                // It will never be healed. The others had everything before the exchange and took every write since, so
                // they are the volume now; the new brick is replaced when its host or its disk is removed.
                let others = set.iter().filter(|address| **address != new);
                let online = others.filter(|address| of(&report, address).is_some_and(|brick| brick.online)).count();
                if online >= self.plan.needed() {
                    return Ok(());
                }
            }
            let bricks: Vec<_> = set.iter().filter_map(|address| of(&report, address)).collect();
            let away = set.len() - bricks.iter().filter(|brick| brick.online).count();
            let entries: u64 = bricks.iter().filter_map(|brick| brick.pending).sum();
            let unknown = bricks.iter().any(|brick| brick.online && brick.pending.is_none());
            if away == 0 && entries == 0 && !unknown {
                let since = *clean_since.get_or_insert_with(Instant::now);
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
