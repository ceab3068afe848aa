//! What would become of clusters that lose hardware, get some, and are asked for volumes. On a copy, by the same rules.
//!
//! In this order: what is lost is gone; what is added is there; each brick that was lost is placed anew by
//! [`super::replace`], as emptying its node would, where its set still has what it held; then the volumes are placed by
//! [`super::place`], one after the other, until one does not fit. Everything that is placed takes its space.

use std::collections::{BTreeMap, BTreeSet};

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, Extents};
use bricklayer_proto::space::Provisioning;
use bricklayer_proto::task::Layout;

use super::{
    Candidate, DeviceSpace, NoReplacement, OtherBrick, OverCommit, Placed, Placement, Refusal, ReplaceWish, Reserve,
    SetRules, TagMatch, Tags, Wish, ZoneRule, place, replace,
};

/// One cluster as it is.
#[derive(Clone, Debug)]
pub struct ClusterAsItIs {
    pub id: ClusterId,
    pub candidates: Vec<Candidate>,
    pub volumes: Vec<VolumeAsItIs>,
    /// How many volumes more the installation allows here.
    pub room_for_volumes: usize,
}

#[derive(Clone, Debug)]
pub struct VolumeAsItIs {
    pub id: VolumeId,
    pub name: String,
    pub layout: Layout,
    pub snapshot_factor_milli: u32,
    pub zones: ZoneRule,
    pub tag_match: Option<TagMatch>,
    pub set_rules: SetRules,
    /// Of the bricks that it gets.
    pub over_commit: OverCommit,
    /// Set by set.
    pub bricks: Vec<BrickAsItIs>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrickAsItIs {
    pub id: BrickId,
    pub set: u32,
    pub role: BrickRole,
    pub asked: ByteSize,
    pub provisioning: Provisioning,
    pub device: DeviceId,
    pub node: NodeId,
}

/// What happens.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    pub lose: Vec<Loss>,
    /// Fresh devices on nodes that are there.
    pub add: Vec<(ClusterId, Candidate)>,
    pub create: Vec<Creation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    Node(NodeId),
    /// Of every cluster.
    Zone(u32),
    Device(DeviceId),
}

/// Volumes that are all alike.
#[derive(Clone, Debug)]
pub struct Creation {
    pub count: usize,
    /// Tried in this order for each of them, with what is asked for there.
    pub clusters: Vec<(ClusterId, Wish)>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Only those that lose a brick.
    pub sets: Vec<SetOutcome>,
    pub heals: Vec<Heal>,
    pub creations: Vec<CreationOutcome>,
    /// Every device: those that are lost, those that stay, those that come.
    pub devices: Vec<DeviceOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOutcome {
    pub volume: VolumeId,
    pub volume_name: String,
    pub layout: Layout,
    pub set: u32,
    pub bricks_lost: usize,
    pub bricks_left: usize,
    pub state: SetState,
}

/// How a set is before anything is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetState {
    /// It serves, with less protection.
    Degraded,
    /// Its data is there, and clients cannot write: too few bricks are left to be sure of it.
    BelowQuorum,
    /// Nothing that is left has the data.
    DataLost,
}

/// A brick that was lost, and where it is made anew.
#[derive(Clone, Debug)]
pub struct Heal {
    pub volume: VolumeId,
    pub volume_name: String,
    pub brick: BrickAsItIs,
    pub to: Result<Placed, NoHeal>,
}

#[derive(Clone, Debug)]
pub enum NoHeal {
    /// The set cannot heal it.
    Set(SetState),
    NoPlace(NoReplacement),
}

#[derive(Clone, Debug)]
pub struct CreationOutcome {
    pub asked: usize,
    pub placed: Vec<(ClusterId, Placement)>,
    /// Why the next one has no place; `None` where all have one.
    pub refused: Option<NotCreated>,
}

#[derive(Clone, Debug)]
pub enum NotCreated {
    NoPlacement(Vec<(ClusterId, Box<Refusal>)>),
    /// Each cluster has as many volumes as the installation allows.
    TooManyVolumes,
}

#[derive(Clone, Debug)]
pub struct DeviceOutcome {
    /// As it was, or as it came.
    pub candidate: Candidate,
    pub fate: Fate,
    pub after: DeviceSpace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Stays,
    Lost,
    Comes,
}

/// Plays a scenario on a copy.
#[must_use]
pub fn what_if(clusters: &[ClusterAsItIs], scenario: &Scenario) -> Outcome {
    let mut trial = Trial::new(clusters, scenario);
    let (sets, heals) = trial.heal(clusters, scenario);
    let creations = scenario.create.iter().map(|creation| trial.create(creation)).collect();
    let lost = |candidate: &Candidate| hits(scenario, candidate);
    let devices = clusters
        .iter()
        .flat_map(|cluster| {
            let before = cluster.candidates.iter().map(|one| (one, if lost(one) { Fate::Lost } else { Fate::Stays }));
            let come = scenario.add.iter().filter(|(id, _)| *id == cluster.id).map(|(_, one)| (one, Fate::Comes));
            before.chain(come)
        })
        .map(|(candidate, fate)| {
            let after = match fate {
                Fate::Lost => DeviceSpace { free: Extents::ZERO, kept: Extents::ZERO, ..candidate.space },
                Fate::Stays | Fate::Comes => trial.space(candidate),
            };
            DeviceOutcome { candidate: candidate.clone(), fate, after }
        });
    Outcome { sets, heals, creations, devices: devices.collect() }
}

/// Bricks of a set that must be there for the set to be written, and for another one to be healed from them: GlusterFS's
/// quorum, more than half of three and more copies, and of dispersed bricks as many as hold the data.
#[must_use]
pub fn quorum(layout: Layout) -> usize {
    match layout {
        Layout::Distribute => 1,
        Layout::Replicate { replica } if replica < 3 => 1,
        Layout::Replicate { replica } => usize::try_from(replica / 2 + 1).unwrap_or(usize::MAX),
        Layout::Arbiter => 2,
        Layout::Disperse { data, .. } => usize::try_from(data).unwrap_or(usize::MAX),
    }
}

fn hits(scenario: &Scenario, candidate: &Candidate) -> bool {
    scenario.lose.iter().any(|loss| match loss {
        Loss::Node(node) => *node == candidate.node,
        Loss::Zone(zone) => *zone == candidate.zone,
        Loss::Device(device) => *device == candidate.device,
    })
}

/// The state of a set of which these are left, where it has lost any.
pub fn state(layout: Layout, left: impl Iterator<Item = BrickRole>) -> SetState {
    let left: Vec<BrickRole> = left.collect();
    let data = left.iter().filter(|role| **role == BrickRole::Data).count();
    let held = match layout {
        Layout::Disperse { data: needed, .. } => data >= usize::try_from(needed).unwrap_or(usize::MAX),
        Layout::Distribute | Layout::Replicate { .. } | Layout::Arbiter => data > 0,
    };
    match held {
        false => SetState::DataLost,
        true if left.len() < quorum(layout) => SetState::BelowQuorum,
        true => SetState::Degraded,
    }
}

struct Trial {
    clusters: Vec<TrialCluster>,
}

struct TrialCluster {
    id: ClusterId,
    /// What is there, with what it has left.
    candidates: Vec<Candidate>,
    /// Zone and tags of every device, those that are lost among them.
    places: BTreeMap<DeviceId, (u32, Tags)>,
    room_for_volumes: usize,
}

impl TrialCluster {
    fn take(&mut self, placed: &Placed) {
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.device == placed.device)
            && let Some(after) = candidate.space.after(&placed.space)
        {
            candidate.space = after;
        }
    }
}

impl Trial {
    fn new(clusters: &[ClusterAsItIs], scenario: &Scenario) -> Self {
        let clusters = clusters.iter().map(|cluster| {
            let stay = cluster.candidates.iter().filter(|candidate| !hits(scenario, candidate));
            let come = scenario.add.iter().filter(|(id, _)| *id == cluster.id).map(|(_, candidate)| candidate);
            TrialCluster {
                id: cluster.id,
                candidates: stay.chain(come).cloned().collect(),
                places: cluster
                    .candidates
                    .iter()
                    .chain(scenario.add.iter().filter(|(id, _)| *id == cluster.id).map(|(_, one)| one))
                    .map(|one| (one.device, (one.zone, one.tags.clone())))
                    .collect(),
                room_for_volumes: cluster.room_for_volumes,
            }
        });
        Self { clusters: clusters.collect() }
    }

    fn space(&self, candidate: &Candidate) -> DeviceSpace {
        let all = self.clusters.iter().flat_map(|cluster| &cluster.candidates);
        all.into_iter().find(|one| one.device == candidate.device).map_or(candidate.space, |one| one.space)
    }

    /// Device by device, and on each volume by volume, as devices are emptied.
    fn heal(&mut self, clusters: &[ClusterAsItIs], scenario: &Scenario) -> (Vec<SetOutcome>, Vec<Heal>) {
        let (mut sets, mut heals) = (Vec::new(), Vec::new());
        for (cluster, trial) in clusters.iter().zip(&mut self.clusters) {
            let lost: BTreeSet<DeviceId> =
                cluster.candidates.iter().filter(|one| hits(scenario, one)).map(|one| one.device).collect();
            // Where each brick is now; those that were placed anew have moved.
            let mut volumes = cluster.volumes.clone();
            for volume in &cluster.volumes {
                sets.extend(set_outcomes(volume, &lost));
            }
            let on_lost = cluster.candidates.iter().filter(|one| lost.contains(&one.device));
            for device in on_lost.map(|one| one.device) {
                for (volume, before) in volumes.iter_mut().zip(&cluster.volumes) {
                    let on_device = before.bricks.iter().enumerate().filter(|(_, brick)| brick.device == device);
                    for (at, brick) in on_device {
                        let left: Vec<_> = before
                            .bricks
                            .iter()
                            .filter(|one| one.set == brick.set && !lost.contains(&one.device))
                            .collect();
                        let to = match state(volume.layout, left.iter().map(|brick| brick.role)) {
                            SetState::Degraded => {
                                replace(&trial.wish(volume, brick), &trial.candidates).map_err(NoHeal::NoPlace)
                            }
                            other => Err(NoHeal::Set(other)),
                        };
                        if let Ok(placed) = &to {
                            trial.take(placed);
                            (volume.bricks[at].device, volume.bricks[at].node) = (placed.device, placed.node);
                        }
                        let (id, name) = (volume.id, volume.name.clone());
                        heals.push(Heal { volume: id, volume_name: name, brick: *brick, to });
                    }
                }
            }
        }
        (sets, heals)
    }

    fn create(&mut self, creation: &Creation) -> CreationOutcome {
        let mut placed = Vec::new();
        while placed.len() < creation.count {
            match self.create_one(creation) {
                Ok(one) => placed.push(one),
                Err(refused) => return CreationOutcome { asked: creation.count, placed, refused: Some(refused) },
            }
        }
        CreationOutcome { asked: creation.count, placed, refused: None }
    }

    fn create_one(&mut self, creation: &Creation) -> Result<(ClusterId, Placement), NotCreated> {
        let mut refusals = Vec::new();
        for (id, wish) in &creation.clusters {
            let with_room = |cluster: &&mut TrialCluster| cluster.id == *id && cluster.room_for_volumes > 0;
            let Some(cluster) = self.clusters.iter_mut().find(with_room) else { continue };
            match place(wish, &cluster.candidates) {
                Ok(placement) => {
                    cluster.room_for_volumes -= 1;
                    for brick in placement.bricks() {
                        cluster.take(brick);
                    }
                    return Ok((*id, placement));
                }
                Err(refusal) => refusals.push((*id, Box::new(refusal.explained(&cluster.candidates)))),
            }
        }
        if refusals.is_empty() { Err(NotCreated::TooManyVolumes) } else { Err(NotCreated::NoPlacement(refusals)) }
    }
}

impl TrialCluster {
    /// What a brick's new place is to be. The other bricks of its set keep their nodes and zones from it, those that are
    /// lost and not yet placed anew included, as where a node is emptied.
    fn wish(&self, volume: &VolumeAsItIs, brick: &BrickAsItIs) -> ReplaceWish {
        let beside = |other: &BrickAsItIs| {
            let (zone, tags) = self.places.get(&other.device).cloned().unwrap_or_default();
            OtherBrick { node: other.node, zone, tags }
        };
        let others = volume.bricks.iter().filter(|other| other.set == brick.set && other.id != brick.id);
        ReplaceWish {
            layout: volume.layout,
            role: brick.role,
            asked: brick.asked,
            snapshot_factor_milli: volume.snapshot_factor_milli,
            zones: volume.zones,
            tag_match: volume.tag_match.clone(),
            set_rules: volume.set_rules.clone(),
            over_commit: volume.over_commit,
            provisioning: brick.provisioning,
            from: brick.device,
            others: others.map(beside).collect(),
            to: None,
            reserve: Reserve::NONE,
        }
    }
}

fn set_outcomes(volume: &VolumeAsItIs, lost: &BTreeSet<DeviceId>) -> Vec<SetOutcome> {
    let sets: BTreeSet<u32> = volume.bricks.iter().map(|brick| brick.set).collect();
    let of_set = |set: u32| {
        let (gone, left): (Vec<_>, Vec<_>) =
            volume.bricks.iter().filter(|brick| brick.set == set).partition(|brick| lost.contains(&brick.device));
        (!gone.is_empty()).then(|| SetOutcome {
            volume: volume.id,
            volume_name: volume.name.clone(),
            layout: volume.layout,
            set,
            bricks_lost: gone.len(),
            bricks_left: left.len(),
            state: state(volume.layout, left.iter().map(|brick: &&BrickAsItIs| brick.role)),
        })
    };
    sets.into_iter().filter_map(of_set).collect()
}
