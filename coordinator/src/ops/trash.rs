//! The trash: a deleted volume whose bricks are kept for a while, and the way back.
//!
//! The volume is stopped and stays known to GlusterFS: forgotten there, its bricks could only become a volume again by
//! breaking the marks that tell which copy is the good one. So its name stays taken as well. It is hidden from whoever
//! lists volumes, and nothing but [`submit_out`] and [`submit_end`] touches it.
//!
//! The time at which its bricks go is in its record, on its bricks and with what hosts keep; [`expire`] ends what is over.

use std::collections::BTreeMap;
use std::time::Duration;

use bricklayer_proto::ids::{NodeId, OperationId, VolumeId};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bricks::GrowBrick;
use super::context::{Asker, Context};
use super::step::Stage;
use super::volume_create::StartVolume;
use super::volume_delete::{self, StopVolume};
use super::{Operations, Rejected, at_rest, gluster, whole};
use crate::agents::{AgentApi, Presence};
use crate::model::{Operation, Plan, Resource, Topology, Trash, Volume, VolumeTrash, VolumeUndelete};
use crate::state::Change;

/// What an installation decides about deleted volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashPolicy {
    /// How long a deleted volume is kept where the request does not say. `None`: it goes at once.
    pub keep: Option<SignedDuration>,
    /// Whether that holds on heketi's routes, too. Its clients count on the space at once.
    pub on_heketi_routes: bool,
}

/// The longest that a volume is kept.
pub const LONGEST_KEEP: SignedDuration = SignedDuration::from_hours(24 * 3650);

/// How long a request wants a deleted volume to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// As the installation has it.
    AsConfigured,
    /// It goes at once.
    NotAtAll,
    For(SignedDuration),
}

/// `keep`, such as `7d`; `0s` is not at all.
pub fn read_keep(text: &str) -> Result<Keep, String> {
    let wrong = || format!("{text:?} is no time to keep a volume: write a number and its unit, such as 7d or 12h");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let keep = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    match keep {
        keep if keep.is_zero() => Ok(Keep::NotAtAll),
        keep if keep.is_negative() => Err(wrong()),
        keep if keep > LONGEST_KEEP => Err(format!("{text} is too long: a volume is kept for 3650d at the most")),
        keep => Ok(Keep::For(keep)),
    }
}

/// Deletes the volume, or puts it into the trash.
pub async fn delete(context: &Context, id: VolumeId, keep: Keep) -> Result<Operation, Rejected> {
    let (keep, asked_for) = match keep {
        Keep::NotAtAll => (None, false),
        Keep::AsConfigured => (context.policy.trash.keep, false),
        Keep::For(keep) => (Some(keep), true),
    };
    let Some(keep) = keep else { return volume_delete::submit(context, id).await };
    volume_delete::greet_pool(context, id).await;
    context
        .state
        .change(|change| {
            let volume = whole(change, id)?;
            volume_delete::may_go(change, &volume)?;
            // Its block volumes are gone already, each with what was in it.
            if volume.block && asked_for {
                return Err(Rejected::NothingToKeep { name: volume.name.clone() });
            } else if volume.block {
                return volume_delete::begin(context, change, volume);
            }
            let since = context.clock.now();
            let until = since.checked_add(keep).unwrap_or(Timestamp::MAX);
            let volume = Volume { trash: Some(Trash { since, until }), ..volume };
            change.put_volume(volume.clone());
            let operation = Operation::begun(Plan::VolumeTrash(VolumeTrash { volume }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

/// Once it is stopped nothing fails any more: what the records beside the bricks miss, hosts keep besides.
pub fn stages_in(context: &Context, operation: OperationId, volume: &Volume) -> Vec<Stage> {
    vec![
        Stage::one(StopVolume { volume: volume.clone(), ran: true }),
        Stage::of(GrowBrick::each_record(context, operation, volume, &volume.bricks)),
    ]
}

/// It could not be stopped, and is listed again.
pub fn undone_in(change: &mut Change, volume: &Volume) {
    change.put_volume(Volume { trash: None, ..volume.clone() });
}

/// A volume in the trash that nothing else is changing.
fn trashed(topology: &Topology, id: VolumeId) -> Result<Volume, Rejected> {
    let volume = at_rest(topology, id)?;
    if volume.trash.is_none() {
        return Err(Rejected::NotInTrash { name: volume.name });
    }
    Ok(volume)
}

/// Takes it out of the trash.
pub async fn submit_out(context: &Context, id: VolumeId) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let volume = Volume { trash: None, ..trashed(change, id)? };
            let operation = Operation::begun(Plan::VolumeUndelete(VolumeUndelete { volume }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages_out(context: &Context, operation: OperationId, volume: &Volume) -> Vec<Stage> {
    vec![
        Stage::one(StartVolume { volume: volume.clone() }),
        Stage::of(GrowBrick::each_record(context, operation, volume, &volume.bricks)),
    ]
}

pub fn finish_out(change: &mut Change, volume: &Volume) -> Option<Resource> {
    change.put_volume(volume.clone());
    Some(Resource::Volume(volume.id))
}

/// Ends it now, whatever its time.
pub async fn submit_end(context: &Context, id: VolumeId) -> Result<Operation, Rejected> {
    volume_delete::greet_pool(context, id).await;
    context
        .state
        .change(|change| {
            let volume = trashed(change, id)?;
            volume_delete::begin(context, change, volume)
        })
        .await
}

/// The state without what is in the trash, for a look at what would fit then.
#[must_use]
pub fn emptied(topology: &Topology) -> Topology {
    let mut emptied = topology.clone();
    for volume in topology.volumes.values().filter(|volume| volume.trash.is_some()) {
        // A pool in which a clone lives on stays.
        let shares = |brick: &crate::model::Brick| {
            topology
                .bricks_of(brick.device)
                .any(|(other, seen)| other.trash.is_none() && seen.pool_of() == brick.pool_of())
        };
        emptied.remove_volume(volume.id);
        for brick in volume.bricks.iter().filter(|brick| !shares(brick)) {
            emptied.release(brick);
        }
    }
    emptied
}

/// A coordinator whose clock is wrong would end what has days left. So nothing ends for a while after the clock has made
/// a jump, and nothing of hosts whose clocks say otherwise.
#[derive(Clone, Copy, Debug)]
struct ClockWatch {
    wall: Timestamp,
    steady: Instant,
    held_until: Option<Instant>,
}

/// A clock that is kept by NTP makes no larger steps.
const JUMP: SignedDuration = SignedDuration::from_mins(10);
/// How long nothing ends after a jump: time for a person, or for the clock to be set back.
const HELD: Duration = Duration::from_secs(3600);
/// How long after an end that failed it is tried again.
const AGAIN: Duration = Duration::from_secs(3600);
/// A host whose clock is further off than this is not overruled.
const HOSTS_DIFFER_MS: i64 = 3_600_000;

impl ClockWatch {
    fn starting(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady, held_until: None }
    }

    /// Whether the clock may be believed.
    fn look(&mut self, wall: Timestamp, steady: Instant) -> bool {
        let passed = SignedDuration::try_from(steady.saturating_duration_since(self.steady)).unwrap_or_default();
        let jump = wall.duration_since(self.wall) - passed;
        if jump.abs() > JUMP {
            tracing::warn!(
                seconds = jump.as_secs(),
                "The clock has made a jump; nothing in the trash ends for an hour."
            );
            self.held_until = Some(steady + HELD);
        }
        (self.wall, self.steady) = (wall, steady);
        self.held_until.is_none_or(|until| until <= steady)
    }
}

/// Whether a host that has a brick of the volume has quite another time.
fn hosts_disagree(agents: &dyn AgentApi, volume: &Volume) -> bool {
    let differs = |node: NodeId| match agents.status(node).map(|status| status.presence) {
        Some(Presence::Attached { clock_ahead_ms, .. }) => clock_ahead_ms.abs() > HOSTS_DIFFER_MS,
        _ => false,
    };
    volume.bricks.iter().any(|brick| differs(brick.node))
}

/// Ends what is over, until told to stop.
pub async fn expire(operations: Operations, stop: CancellationToken) {
    let context = &operations.context;
    let mut watch = ClockWatch::starting(context.clock.now(), Instant::now());
    let mut tried: BTreeMap<VolumeId, Instant> = BTreeMap::new();
    loop {
        // In a later state it may be kept longer, or be in use again.
        if !context.standing.is_newest() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = context.standing.until_newest() => {}
            }
        }
        let (now, steady) = (context.clock.now(), Instant::now());
        if watch.look(now, steady) {
            let over = over(&context.state.read(), now);
            tried.retain(|id, _| over.contains(id));
            for id in over {
                // An end that failed, as GlusterFS has snapshots of the volume, is a record each time.
                if tried.get(&id).is_some_and(|last| steady.duration_since(*last) < AGAIN) {
                    continue;
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    begun = end(&operations, id) => if begun {
                        tried.insert(id, steady);
                    },
                }
            }
        }
        let next = next_end(&context.state.read()).map(|until| until.duration_since(context.clock.now()));
        let next = next.and_then(|left| Duration::try_from(left).ok()).filter(|left| !left.is_zero());
        // What could not end is tried again, as its host may be back, or its clock right.
        let pause = next.unwrap_or(context.policy.trash_look).min(context.policy.trash_look);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn over(topology: &Topology, now: Timestamp) -> Vec<VolumeId> {
    let volumes = topology.volumes.values();
    let over = volumes.filter(|volume| volume.trash.is_some_and(|trash| trash.until <= now));
    over.map(|volume| volume.id).collect()
}

fn next_end(topology: &Topology) -> Option<Timestamp> {
    topology.volumes.values().filter_map(|volume| Some(volume.trash?.until)).min()
}

/// Whether its end has begun.
async fn end(operations: &Operations, id: VolumeId) -> bool {
    let context = &operations.context;
    let Ok(volume) = trashed(&context.state.read(), id) else { return false };
    if hosts_disagree(context.agents.as_ref(), &volume) {
        tracing::warn!(volume.name = %volume.name, "It is time for a volume in the trash to go, but its hosts have another time.");
        return false;
    }
    // Somebody started it by hand: what is in use does not go by itself.
    match gluster::seen(context, &Asker::onlooker(), volume.cluster, volume.key()).await {
        Ok(Some(seen)) if seen.started => {
            tracing::warn!(volume.name = %volume.name, "It is time for a volume in the trash to go, but somebody has started it.");
            return false;
        }
        Ok(_) => {}
        Err(error) => {
            tracing::info!(volume.name = %volume.name, error = %error, "A volume in the trash stays, as GlusterFS does not answer.");
            return false;
        }
    }
    match operations.trash_end(id).await {
        Ok(operation) => {
            tracing::info!(volume.name = %volume.name, operation.id = %operation, "The time of a volume in the trash is over.");
            true
        }
        Err(rejected) => {
            tracing::info!(volume.name = %volume.name, error = %rejected, "A volume in the trash cannot go yet.");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_keep_has_a_unit_and_an_end() {
        assert_eq!(read_keep("7d"), Ok(Keep::For(SignedDuration::from_hours(168))));
        assert_eq!(read_keep("90m"), Ok(Keep::For(SignedDuration::from_mins(90))));
        assert_eq!(read_keep("0s"), Ok(Keep::NotAtAll));
        for text in ["", "7", "-7d", "seven", "99999d", "1y"] {
            assert!(read_keep(text).is_err(), "{text}");
        }
    }

    #[test]
    fn after_a_jump_of_the_clock_nothing_ends_for_an_hour() {
        let (wall, steady) = (Timestamp::from_second(1_000_000).unwrap(), Instant::now());
        let later = |seconds: u64| steady + Duration::from_secs(seconds);
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let mut watch = ClockWatch::starting(wall, steady);
        assert!(watch.look(at(60), later(60)));
        assert!(!watch.look(at(864_000), later(120)));
        assert!(!watch.look(at(864_000 + 3500), later(3620)));
        assert!(watch.look(at(864_000 + 3600), later(3720)));
    }
}
