//! Plans: operations that were decided on a copy of the state, and are kept so that a person can have exactly that done.
//!
//! A plan's id is that of the operation that it becomes; its bricks, their ids and their devices are chosen. It is begun only
//! while everything that it was decided by is as it was: the devices with what lies on them and how they stand, and the
//! volumes. Kept in memory alone, for a while and so many at the most: a restart forgets them, and none is in the store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{Disk, GroupSpace};
use bricklayer_proto::names::VgName;
use bricklayer_proto::size::Extents;
use jiff::{SignedDuration, Timestamp};

use super::candidates::{candidates_on, space};
use super::context::Context;
use super::rehearsal::Rehearsal;
use super::{AdoptFrom, Operations, Rejected, adopt, disk_wipe, volume_create};
use crate::adopt::{Choices, Takeover};
use crate::model::{Adopt, Brick, Device, Map, Operation, Plan, Topology, Volume};
use crate::placement::{Candidate, DeviceSpace, Terms};

/// How long a plan is kept.
pub const PLAN_LIFE: Duration = Duration::from_secs(15 * 60);

/// So many are kept; the oldest makes way for another.
pub const MOST_PLANS: usize = 100;

/// A plan as it is shown.
#[derive(Clone, Debug)]
pub struct KeptPlan {
    pub id: OperationId,
    pub rehearsal: Rehearsal,
    /// Of the topology that it was made from.
    pub version: u64,
    pub expires: Timestamp,
    pub bricks: Vec<PlannedBrick>,
    pub devices: Vec<DeviceForecast>,
    /// With what it makes known: for names.
    pub after: Arc<Topology>,
}

/// A brick that the plan makes or changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBrick {
    pub volume: VolumeId,
    pub volume_name: String,
    /// As it is to be.
    pub brick: Brick,
    pub change: BrickChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrickChange {
    Made,
    /// It had this before.
    Grown(Brick),
    /// It takes the place of this one, which is removed.
    Moved(Brick),
    /// It stays as it is, and becomes ours.
    Adopted,
}

/// What a device has free once all is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceForecast {
    pub candidate: Candidate,
    pub after: DeviceSpace,
}

#[derive(Default)]
pub struct Plans {
    /// The oldest first.
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    plan: Arc<KeptPlan>,
    operation: Operation,
    footing: Footing,
    until: Instant,
}

/// What a plan was decided by.
#[derive(Clone, Debug, Default)]
struct Footing {
    cluster: Option<ClusterId>,
    terms: Option<Terms>,
    devices: BTreeMap<DeviceId, (Candidate, Map<BrickId, Arc<Brick>>)>,
    /// Those that are there already.
    volumes: BTreeMap<VolumeId, Arc<Volume>>,
    /// Of an adoption: LVM's number of each group's state.
    groups: BTreeMap<(NodeId, VgName), u64>,
    /// Of a wipe: the disk with all that lies on it, as its host reported it.
    disk: Option<Disk>,
}

impl Plans {
    fn keep(&self, kept: Kept, now: Instant) {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| kept.until > now);
        while all.len() >= MOST_PLANS {
            all.pop_front();
        }
        all.push_back(kept);
    }

    fn look<T>(&self, id: OperationId, now: Instant, look: impl FnOnce(&Kept) -> T) -> Option<T> {
        let all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|kept| kept.plan.id == id && kept.until > now).map(look)
    }

    fn all(&self, now: Instant) -> Vec<Arc<KeptPlan>> {
        let all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|kept| kept.until > now).map(|kept| Arc::clone(&kept.plan)).collect()
    }

    fn forget(&self, id: OperationId) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.plan.id != id);
    }
}

impl Operations {
    /// Keeps what a [`rehearsal`](Operations::rehearsal) has begun. `before`: the copy as it was then.
    ///
    /// # Errors
    /// Where it is nothing that can be begun later just so.
    pub fn keep_plan(&self, rehearsal: &Self, id: OperationId, before: &Topology) -> Result<Arc<KeptPlan>, Rejected> {
        let after = rehearsal.topology();
        let operation = after.operations.get(&id).ok_or(Rejected::CannotBeKept)?;
        let operation = with_places(operation);
        let footing = Footing::of(&self.context, before, &operation.plan)?;
        let bricks = planned_bricks(&after, &operation.plan)?;
        let devices = forecast(&self.context, before, &footing, &bricks);
        let life = SignedDuration::try_from(PLAN_LIFE).unwrap_or_default();
        let plan = Arc::new(KeptPlan {
            id,
            rehearsal: rehearsal.rehearsal_of(&operation),
            version: before.version,
            expires: self.context.clock.now().checked_add(life).unwrap_or(Timestamp::MAX),
            bricks,
            devices,
            after,
        });
        let now = Instant::now();
        self.plans.keep(Kept { plan: Arc::clone(&plan), operation, footing, until: now + PLAN_LIFE }, now);
        Ok(plan)
    }

    /// What of others could be taken over, by what the hosts show now; kept as a plan where nothing stands in the way and
    /// something is to be done.
    pub async fn adoption(&self, from: AdoptFrom, choices: &Choices) -> (Takeover, Option<Arc<KeptPlan>>) {
        let takeover = adopt::outlook(&self.context, from, choices).await;
        if takeover.is_blocked() || takeover.adopt == Adopt::default() {
            return (takeover, None);
        }
        let groups = adopt::groups_of(&self.context, &takeover.adopt);
        let after = Arc::new(adopted(&self.topology(), &takeover.adopt));
        let (bricks, devices) =
            (adopted_bricks(&takeover.adopt), adopted_devices(&self.context, &after, &takeover.adopt));
        let operation = Operation::begun(Plan::Adopt(takeover.adopt.clone()), self.context.clock.now());
        let life = SignedDuration::try_from(PLAN_LIFE).unwrap_or_default();
        let plan = Arc::new(KeptPlan {
            id: operation.id,
            rehearsal: self.rehearsal_of(&operation),
            version: self.topology().version,
            expires: self.context.clock.now().checked_add(life).unwrap_or(Timestamp::MAX),
            bricks,
            devices,
            after,
        });
        let now = Instant::now();
        let footing = Footing { groups, ..Footing::default() };
        self.plans.keep(Kept { plan: Arc::clone(&plan), operation, footing, until: now + PLAN_LIFE }, now);
        (takeover, Some(plan))
    }

    /// All that are kept, the oldest first.
    #[must_use]
    pub fn kept_plans(&self) -> Vec<Arc<KeptPlan>> {
        self.plans.all(Instant::now())
    }

    #[must_use]
    pub fn kept_plan(&self, id: OperationId) -> Option<Arc<KeptPlan>> {
        self.plans.look(id, Instant::now(), |kept| Arc::clone(&kept.plan))
    }

    /// Begins what a plan says, and nothing else. What was begun already is not begun twice.
    ///
    /// # Errors
    /// Where there is no such plan any more, or what it was decided by has changed. Nothing was changed then.
    pub async fn apply_plan(&self, id: OperationId) -> Result<OperationId, Rejected> {
        let found = self.plans.look(id, Instant::now(), |kept| (kept.operation.clone(), kept.footing.clone()));
        let Some((operation, footing)) = found else {
            return if self.topology().operations.contains_key(&id) { Ok(id) } else { Err(Rejected::NoSuchPlan(id)) };
        };
        let begun = self
            .context
            .state
            .change(|change| {
                if change.operations.contains_key(&id) {
                    return Ok(false);
                }
                footing.holds(&self.context, change, &operation.plan)?;
                change.put_operation(Operation { started: self.context.clock.now(), ..operation });
                Ok::<bool, Rejected>(true)
            })
            .await?;
        self.plans.forget(id);
        if begun {
            self.drive(id, false);
        }
        Ok(id)
    }
}

/// Each brick that leaves a device that is emptied goes where its room is held, and nowhere else.
pub fn with_places(operation: &Operation) -> Operation {
    let mut operation = operation.clone();
    if let Plan::DeviceRemove(remove) = &mut operation.plan {
        let places: Vec<_> =
            remove.moves.iter().map(|moving| remove.held_for(moving).map(|held| held.device)).collect();
        for (moving, to) in remove.moves.iter_mut().zip(places) {
            moving.to = to;
        }
    }
    operation
}

fn planned_bricks(topology: &Topology, plan: &Plan) -> Result<Vec<PlannedBrick>, Rejected> {
    let of = |volume: &Volume, brick: &Brick, change| PlannedBrick {
        volume: volume.id,
        volume_name: volume.name.to_string(),
        brick: brick.clone(),
        change,
    };
    Ok(match plan {
        Plan::VolumeCreate(create) => {
            let volume = &create.volume;
            volume.bricks.iter().map(|brick| of(volume, brick, BrickChange::Made)).collect()
        }
        Plan::VolumeExpand(expand) => {
            let grown = expand.grown().filter_map(|brick| {
                let was = expand.before.brick(brick.id)?.clone();
                Some(of(&expand.after, brick, BrickChange::Grown(was)))
            });
            let added = expand.added().map(|brick| of(&expand.after, brick, BrickChange::Made));
            grown.chain(added).collect()
        }
        Plan::BrickReplace(replace) => {
            vec![of(&replace.volume, &replace.new, BrickChange::Moved(replace.old.clone()))]
        }
        Plan::DeviceRemove(remove) => {
            let moved = remove.moves.iter().filter_map(|moving| {
                let (volume, old) = topology.brick(moving.brick)?;
                Some(of(volume, remove.held_for(moving)?, BrickChange::Moved(old.clone())))
            });
            moved.collect()
        }
        Plan::DiskWipe(_) => Vec::new(),
        _ => return Err(Rejected::CannotBeKept),
    })
}

/// The state with what is adopted in it.
fn adopted(topology: &Topology, adopt: &Adopt) -> Topology {
    let mut after = topology.clone();
    adopt.clusters.iter().for_each(|cluster| after.put_cluster(cluster.clone()));
    adopt.nodes.iter().for_each(|node| after.put_node(node.clone()));
    adopt.devices.iter().for_each(|device| after.put_device(device.clone()));
    adopt.volumes.iter().for_each(|volume| after.put_volume(volume.clone()));
    after
}

fn adopted_bricks(adopt: &Adopt) -> Vec<PlannedBrick> {
    let of = |volume: &Volume, brick: &Brick| PlannedBrick {
        volume: volume.id,
        volume_name: volume.name.to_string(),
        brick: brick.clone(),
        change: BrickChange::Adopted,
    };
    adopt.volumes.iter().flat_map(|volume| volume.bricks.iter().map(move |brick| of(volume, brick))).collect()
}

/// The devices that become ours, and those that have a brick that does. Before: what LVM has free. After: what new bricks may
/// take, once every pool is in the records and the policy's reserve is kept.
fn adopted_devices(context: &Context, after: &Topology, adopt: &Adopt) -> Vec<DeviceForecast> {
    let bricks = adopt.volumes.iter().flat_map(|volume| &volume.bricks).map(|brick| brick.device);
    let touched: BTreeSet<DeviceId> = adopt.devices.iter().map(|device| device.id).chain(bricks).collect();
    let of_cluster = |cluster: &ClusterId| candidates_on(context, after, *cluster, &touched);
    let forecast = |candidate: Candidate| {
        let seen = after.devices.get(&candidate.device)?.space;
        let now = DeviceSpace { free: seen.free, spare: seen.spare, kept: Extents::ZERO, ..candidate.space };
        Some(DeviceForecast { after: candidate.space, candidate: Candidate { space: now, ..candidate } })
    };
    after.clusters.keys().flat_map(of_cluster).filter_map(forecast).collect()
}

/// Free space of everything that is involved, when all of it is done.
fn forecast(context: &Context, before: &Topology, footing: &Footing, bricks: &[PlannedBrick]) -> Vec<DeviceForecast> {
    let mut after = before.clone();
    for planned in bricks {
        if let BrickChange::Moved(old) = &planned.change {
            after.release(old);
        }
        after.reserve(std::slice::from_ref(&planned.brick));
    }
    // LVM takes the group's spare away with the last pool.
    for planned in bricks {
        let BrickChange::Moved(old) = &planned.change else { continue };
        let has_no_pool = after.brick_spaces(old.device).all(|space| space.metadata == Extents::ZERO);
        if let Some(device) = after.devices.get(&old.device).filter(|_| has_no_pool).map(|one| Device::clone(one)) {
            let space = GroupSpace { spare: Extents::ZERO, ..device.space };
            after.put_device(Device { space, ..device });
        }
    }
    let touched: BTreeSet<DeviceId> = bricks
        .iter()
        .flat_map(|planned| {
            let from = match &planned.change {
                BrickChange::Moved(old) => Some(old.device),
                BrickChange::Made | BrickChange::Grown(_) | BrickChange::Adopted => None,
            };
            std::iter::once(planned.brick.device).chain(from)
        })
        .collect();
    let reserve = footing.cluster.map(|cluster| context.terms(before, cluster).reserve).unwrap_or_default();
    let forecast = |(candidate, _): &(Candidate, _)| {
        let device = after.devices.get(&candidate.device).filter(|device| touched.contains(&device.id))?;
        let after = space(device, after.free(device), after.spare(device), reserve);
        Some(DeviceForecast { candidate: candidate.clone(), after })
    };
    footing.devices.values().filter_map(forecast).collect()
}

impl Footing {
    fn of(context: &Context, topology: &Topology, plan: &Plan) -> Result<Self, Rejected> {
        let (volumes, further): (Vec<VolumeId>, Vec<DeviceId>) = match plan {
            Plan::VolumeCreate(create) => (Vec::new(), create.volume.bricks.iter().map(|brick| brick.device).collect()),
            Plan::VolumeExpand(expand) => {
                (vec![expand.before.id], expand.after.bricks.iter().map(|brick| brick.device).collect())
            }
            Plan::BrickReplace(replace) => (vec![replace.volume.id], vec![replace.new.device]),
            Plan::DeviceRemove(remove) => {
                let to = remove.moves.iter().filter_map(|moving| moving.to);
                let volumes = remove.moves.iter().map(|moving| moving.volume).collect();
                (volumes, to.chain(remove.devices.iter().copied()).collect())
            }
            Plan::DiskWipe(wipe) => {
                let disk = disk_wipe::outlook(context, wipe.node, &wipe.name)?.disk;
                return Ok(Self { disk: Some(disk), ..Self::default() });
            }
            _ => return Err(Rejected::CannotBeKept),
        };
        let volumes: BTreeMap<VolumeId, Arc<Volume>> =
            volumes.iter().filter_map(|id| Some((*id, Arc::clone(topology.volumes.get(id)?)))).collect();
        let of_volumes = volumes.values().flat_map(|volume| volume.bricks.iter().map(|brick| brick.device));
        let wanted: BTreeSet<DeviceId> = of_volumes.chain(further).collect();
        let cluster =
            wanted.iter().find_map(|id| topology.nodes.get(&topology.devices.get(id)?.node)).map(|node| node.cluster);
        let devices = devices(context, topology, cluster, &wanted);
        let terms = cluster.map(|cluster| context.terms(topology, cluster));
        Ok(Self { cluster, terms, devices, volumes, groups: BTreeMap::new(), disk: None })
    }

    /// Within a change: whether everything is as it was.
    fn holds(&self, context: &Context, topology: &Topology, plan: &Plan) -> Result<(), Rejected> {
        let mut moved = Vec::new();
        if self.cluster.map(|cluster| context.terms(topology, cluster)) != self.terms {
            moved.push("the policy of where bricks go is another than it was".to_owned());
        }
        let wanted = self.devices.keys().copied().collect();
        let now = devices(context, topology, self.cluster, &wanted);
        for (id, then) in &self.devices {
            if let Some(difference) = difference(then, now.get(id)) {
                moved.push(difference);
            }
        }
        for (id, then) in &self.volumes {
            match topology.volumes.get(id) {
                Some(now) if now != then => moved.push(format!("volume {} is another than it was", then.name)),
                Some(now) if topology.is_changing(*id) || topology.family_is_changing(now) => {
                    moved.push(format!("volume {} is being changed", then.name));
                }
                Some(_) => {}
                None => moved.push(format!("volume {} is there no more", then.name)),
            }
        }
        match plan {
            Plan::VolumeCreate(create) => {
                let volume = &create.volume;
                if let Err(rejected) =
                    volume_create::eligible(context, topology, &[volume.cluster], &volume.name, volume.block)
                {
                    moved.push(rejected.to_string());
                }
            }
            Plan::DeviceRemove(remove) => {
                let on_devices = remove.devices.iter().flat_map(|device| topology.bricks_of(*device));
                let bricks: BTreeSet<BrickId> = on_devices.map(|(_, brick)| brick.id).collect();
                let planned: BTreeSet<BrickId> = remove.moves.iter().map(|moving| moving.brick).collect();
                if bricks != planned || remove.devices.iter().any(|device| topology.is_moving(*device)) {
                    moved.push("what is to be emptied is being changed".to_owned());
                }
            }
            Plan::DiskWipe(wipe) => match disk_wipe::outlook(context, wipe.node, &wipe.name) {
                Ok(now) if Some(&now.disk) == self.disk.as_ref() => {}
                Ok(now) => moved.push(format!("{} on {} carries something else than it did", wipe.name, now.node_name)),
                Err(rejected) => moved.push(rejected.to_string()),
            },
            Plan::Adopt(adopt) => moved.extend(adopt::moved(context, topology, adopt, &self.groups)),
            _ => {}
        }
        if moved.is_empty() { Ok(()) } else { Err(Rejected::PlanIsStale { moved }) }
    }
}

fn devices(
    context: &Context,
    topology: &Topology,
    cluster: Option<ClusterId>,
    wanted: &BTreeSet<DeviceId>,
) -> BTreeMap<DeviceId, (Candidate, Map<BrickId, Arc<Brick>>)> {
    let all = cluster.map(|cluster| candidates_on(context, topology, cluster, wanted)).unwrap_or_default();
    let bricks = |id| topology.bricks.get(&id).cloned().unwrap_or_else(Map::new_sync);
    all.into_iter()
        .map(|candidate| (candidate.device, (bricks(candidate.device), candidate)))
        .map(|(id, (bricks, candidate))| (id, (candidate, bricks)))
        .collect()
}

/// What is no longer as it was, for people.
fn difference(
    (then, bricks_then): &(Candidate, Map<BrickId, Arc<Brick>>),
    now: Option<&(Candidate, Map<BrickId, Arc<Brick>>)>,
) -> Option<String> {
    let name = format!("{} on {}", then.device_name, then.node_name);
    let Some((now, bricks_now)) = now else { return Some(format!("{name} is there no more")) };
    if then.standing != now.standing {
        return Some(format!("{name}: {}", now.standing));
    }
    if then.space != now.space {
        let (was, is) = (then.space.free.count(), now.space.free.count());
        return Some(format!("{name} has {is} extents free, and had {was}"));
    }
    if bricks_then != bricks_now {
        return Some(format!("{name} has other bricks than it had"));
    }
    (then != now).then(|| format!("{name} has another zone or other tags than it had"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: u128, now: Instant) -> Kept {
        let id = OperationId::from_u128(id);
        let rehearsal =
            Rehearsal { kind: "volume-create", changes: Vec::new(), steps: Vec::new(), destroys: Vec::new() };
        let expires = Timestamp::UNIX_EPOCH;
        let after = Arc::default();
        let plan = KeptPlan { id, rehearsal, version: 1, expires, bricks: Vec::new(), devices: Vec::new(), after };
        let operation =
            Operation::begun(Plan::CleanUp(crate::model::CleanUp { operations: Vec::new() }), Timestamp::UNIX_EPOCH);
        Kept { plan: Arc::new(plan), operation, footing: Footing::default(), until: now + PLAN_LIFE }
    }

    #[test]
    fn plans_run_out_and_the_oldest_makes_way() {
        let (plans, now) = (Plans::default(), Instant::now());
        let there = |id, at| plans.look(OperationId::from_u128(id), at, |_| ()).is_some();
        plans.keep(kept(1, now), now);
        assert!(there(1, now + PLAN_LIFE / 2));
        assert!(!there(1, now + PLAN_LIFE));
        for id in 2..=u128::try_from(MOST_PLANS).unwrap() + 1 {
            plans.keep(kept(id, now), now);
        }
        assert!(!there(1, now) && there(2, now));
        assert_eq!(plans.all(now).first().map(|plan| plan.id), Some(OperationId::from_u128(2)));
        assert!(plans.all(now + PLAN_LIFE).is_empty());
        let later = now + PLAN_LIFE;
        plans.keep(kept(1000, later), later);
        assert_eq!(plans.kept.lock().unwrap().len(), 1, "what has run out is not kept in memory");
        plans.forget(OperationId::from_u128(1000));
        assert!(!there(1000, later));
    }
}
