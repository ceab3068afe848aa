//! Which brick sets do not keep the rules as things stand now, and the moves that would mend them.
//!
//! Zones, tags and states change after a volume was placed. What was placed by the rules of that day is held against
//! those of today here; every move is [`replace`]'s, one after the other, so that all of them together have room.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bricklayer_proto::ids::{BrickId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::Provisioning;
use bricklayer_proto::task::Layout;

use super::ground::Takes;
use super::policy::{usual, value_of};
use super::what_if::{self, SetState};
use super::{
    Candidate, NoReplacement, OtherBrick, OverCommit, Placed, Pool, ReplaceWish, Reserve, SetRules, Standing, TagMatch,
    ZoneRule, options_in, replace_in,
};

/// Pairs of moves that one audit tries, for bricks that no single move mends.
const MOST_PAIRS: usize = 2000;

/// Devices that a brick is held against if another one made way for it.
const MOST_GOALS: usize = 32;

/// A brick set as it lies, and the rules that hold for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStanding {
    pub volume: VolumeId,
    pub set: u32,
    pub layout: Layout,
    pub snapshot_factor_milli: u32,
    pub zones: ZoneRule,
    pub tag_match: Option<TagMatch>,
    pub set_rules: SetRules,
    /// Of the bricks that it gets.
    pub over_commit: OverCommit,
    /// In GlusterFS's order.
    pub bricks: Vec<BrickStanding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrickStanding {
    pub brick: BrickId,
    pub device: DeviceId,
    pub role: BrickRole,
    pub asked: ByteSize,
    pub provisioning: Provisioning,
    /// A person declared that its device, or its node, will never come back.
    pub lost: bool,
}

/// A set that does not keep the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetReport {
    pub volume: VolumeId,
    pub set: u32,
    pub faults: Vec<(BrickId, Fault)>,
    /// In the order in which they have to be made.
    pub moves: Vec<Move>,
    /// The faults that no move mends, and why.
    pub unmended: Vec<(BrickId, NoReplacement)>,
}

/// The rule that a brick breaks where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    NodeShared {
        with: BrickId,
    },
    /// There are more bricks of the set in the zone than may be there.
    ZoneShared {
        with: BrickId,
        zone: u32,
        most: usize,
    },
    /// Zones are preferred, and another one has room.
    ZoneToSpare {
        with: BrickId,
        zone: u32,
    },
    Tag {
        wanted: TagMatch,
    },
    /// No two bricks of a set may have the same value.
    TagShared {
        with: BrickId,
        key: String,
        value: String,
    },
    /// All bricks of a set have to have the same value.
    TagDiffers {
        key: String,
        value: String,
        wanted: String,
    },
    Role {
        role: BrickRole,
    },
    /// Nothing new would be placed where it is.
    Standing {
        standing: Standing,
    },
    Lost,
}

/// A brick goes to another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub brick: BrickId,
    pub from: DeviceId,
    pub to: Placed,
}

impl Move {
    /// What is to be copied at most: all that the brick may hold.
    #[must_use]
    pub fn bytes(&self) -> ByteSize {
        self.to.asked
    }
}

/// What fails as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    Node(NodeId),
    Zone(u32),
}

/// What the loss of one node, or of one zone with all its nodes, would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainLoss {
    pub domain: Domain,
    /// Where its bricks would go, as far as there is a place for them.
    pub moves: Vec<Move>,
    /// The bricks that would find none.
    pub homeless: Vec<(BrickId, NoReplacement)>,
    /// Volumes without copies: their bricks there would be lost.
    pub without_copies: BTreeSet<VolumeId>,
    /// Sets of which enough is left to be healed and too little to be written until then.
    pub below_quorum: BTreeSet<(VolumeId, u32)>,
    /// Sets of which too little is left to have the data.
    pub data_lost: BTreeSet<(VolumeId, u32)>,
}

impl DomainLoss {
    /// Whether no data would be lost, that of volumes without copies included, and all its bricks would be placed again.
    #[must_use]
    pub fn is_survivable(&self) -> bool {
        self.homeless.is_empty() && self.data_lost.is_empty() && self.without_copies.is_empty()
    }
}

impl Fault {
    /// Whether a rule is broken, and not just a preference.
    pub(super) fn is_hard(&self) -> bool {
        !matches!(self, Self::ZoneToSpare { .. })
    }

    /// One word for programs.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NodeShared { .. } => "node-shared",
            Self::ZoneShared { .. } => "zone-shared",
            Self::ZoneToSpare { .. } => "zone-to-spare",
            Self::Tag { .. } => "tag",
            Self::TagShared { .. } => "tag-shared",
            Self::TagDiffers { .. } => "tag-differs",
            Self::Role { .. } => "role",
            Self::Standing { .. } => "standing",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeShared { with } => write!(f, "brick {with} of the set is on the same node"),
            Self::ZoneShared { with, zone, most: 1 } => {
                write!(f, "brick {with} of the set is in the same zone {zone}, and no zone may have two")
            }
            Self::ZoneShared { zone, most, .. } => {
                write!(f, "more bricks of the set are in zone {zone} than the {most} that may be there")
            }
            Self::ZoneToSpare { with, zone } => {
                write!(f, "brick {with} of the set is in the same zone {zone}, and another zone has room")
            }
            Self::Tag { wanted } => write!(f, "the tags of its device do not match {wanted}"),
            Self::TagShared { with, key, value } => {
                write!(f, "brick {with} of the set has the same tag {key}, {value:?}, and they have to be different")
            }
            Self::TagDiffers { key, value, wanted } => {
                write!(f, "its tag {key} is {value:?}, that of the others is {wanted:?}, and they have to be the same")
            }
            Self::Role { role: BrickRole::Data } => {
                f.write_str("the tag `arbiter` reserves its device for arbiter bricks")
            }
            Self::Role { role: BrickRole::Arbiter } => {
                f.write_str("the tag `arbiter` keeps arbiter bricks off its device")
            }
            Self::Standing { standing } => standing.fmt(f),
            Self::Lost => f.write_str("its device was declared lost"),
        }
    }
}

/// The sets that do not keep the rules, in the order given.
#[must_use]
pub fn audit(sets: &[SetStanding], candidates: &[Candidate]) -> Vec<SetReport> {
    let mut trial = Trial::new(candidates.iter());
    sets.iter().filter_map(|set| trial.mend(set)).collect()
}

/// What would become of the bricks there if it were lost: each is placed again as [`replace`] places it, the largest
/// first.
#[must_use]
pub fn lose(domain: Domain, sets: &[SetStanding], candidates: &[Candidate]) -> DomainLoss {
    Ground::new(sets, candidates).lose(domain)
}

/// What is asked for one domain after the other, prepared once.
pub struct Ground<'a> {
    sets: &'a [SetStanding],
    trial: Trial,
    /// The sets with a brick on a node, and the devices of each node.
    sets_on: BTreeMap<NodeId, BTreeSet<usize>>,
    devices_on: BTreeMap<NodeId, (u32, BTreeSet<DeviceId>)>,
}

impl<'a> Ground<'a> {
    #[must_use]
    pub fn new(sets: &'a [SetStanding], candidates: &[Candidate]) -> Self {
        let trial = Trial::new(candidates.iter());
        let mut sets_on: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
        for (number, set) in sets.iter().enumerate() {
            for node in set.bricks.iter().filter_map(|brick| trial.nodes.get(&brick.device)) {
                sets_on.entry(*node).or_default().insert(number);
            }
        }
        let mut devices_on: BTreeMap<NodeId, (u32, BTreeSet<DeviceId>)> = BTreeMap::new();
        for candidate in candidates {
            let (_, devices) = devices_on.entry(candidate.node).or_insert_with(|| (candidate.zone, BTreeSet::new()));
            devices.insert(candidate.device);
        }
        Self { sets, trial, sets_on, devices_on }
    }

    /// As [`lose`].
    #[must_use]
    pub fn lose(&self, domain: Domain) -> DomainLoss {
        let gone = |node: NodeId, zone: u32| match domain {
            Domain::Node(lost) => node == lost,
            Domain::Zone(lost) => zone == lost,
        };
        let nodes = self.devices_on.iter().filter(|(node, (zone, _))| gone(**node, *zone));
        let (mut there, mut hit) = (BTreeSet::new(), BTreeSet::new());
        for (node, (_, devices)) in nodes {
            there.extend(devices.iter().copied());
            hit.extend(self.sets_on.get(node).into_iter().flatten().copied());
        }
        lose_these(domain, self.sets, &there, hit, self.trial.without(domain))
    }
}

fn lose_these(
    domain: Domain,
    sets: &[SetStanding],
    there: &BTreeSet<DeviceId>,
    numbers: BTreeSet<usize>,
    mut trial: Trial,
) -> DomainLoss {
    let is_hit = |brick: &BrickStanding| there.contains(&brick.device);
    let mut loss = DomainLoss {
        domain,
        moves: Vec::new(),
        homeless: Vec::new(),
        without_copies: BTreeSet::new(),
        below_quorum: BTreeSet::new(),
        data_lost: BTreeSet::new(),
    };
    let mut hit: Vec<(usize, usize)> = Vec::new();
    for (number, set) in numbers.into_iter().filter_map(|number| Some((number, sets.get(number)?))) {
        if set.layout == Layout::Distribute {
            loss.without_copies.insert(set.volume);
            continue;
        }
        let left = set.bricks.iter().filter(|brick| !brick.lost && !is_hit(brick)).map(|brick| brick.role);
        match what_if::state(set.layout, left) {
            SetState::DataLost => {
                loss.data_lost.insert((set.volume, set.set));
                continue;
            }
            SetState::BelowQuorum => drop(loss.below_quorum.insert((set.volume, set.set))),
            SetState::Degraded => {}
        }
        let bricks = set.bricks.iter().enumerate().filter(|(_, brick)| is_hit(brick));
        hit.extend(bricks.map(|(index, _)| (number, index)));
    }
    hit.sort_by_key(|(set, index)| std::cmp::Reverse(sets[*set].bricks[*index].asked));
    let mut places: BTreeMap<usize, Vec<DeviceId>> = BTreeMap::new();
    for (number, index) in hit {
        let set = &sets[number];
        let at = || set.bricks.iter().map(|brick| brick.device).collect();
        match trial.replace(set, index, places.entry(number).or_insert_with(at)) {
            Ok(moved) => loss.moves.push(moved),
            Err(why) => loss.homeless.push((set.bricks[index].brick, why)),
        }
    }
    loss
}

/// The devices as they would be after the moves so far.
pub(super) struct Trial {
    pool: Pool,
    nodes: Arc<BTreeMap<DeviceId, NodeId>>,
    /// Pairs of moves that may still be tried.
    pairs_left: usize,
}

impl Trial {
    pub fn new<'a>(candidates: impl Iterator<Item = &'a Candidate> + Clone) -> Self {
        let nodes = candidates.clone().map(|candidate| (candidate.device, candidate.node)).collect();
        Self { pool: Pool::of(candidates), nodes: Arc::new(nodes), pairs_left: MOST_PAIRS }
    }

    /// Without what is there.
    fn without(&self, domain: Domain) -> Self {
        let mut pool = self.pool.clone();
        let gone = |(zone, node): (u32, NodeId)| match domain {
            Domain::Node(lost) => node == lost,
            Domain::Zone(lost) => zone == lost,
        };
        let nodes: Vec<NodeId> = self
            .pool
            .members()
            .map(|(zone, node, _)| (zone, node))
            .filter(|one| gone(*one))
            .map(|(_, node)| node)
            .collect();
        nodes.into_iter().for_each(|node| pool.remove(node));
        Self { pool, nodes: Arc::clone(&self.nodes), pairs_left: 0 }
    }

    pub fn candidate(&self, device: DeviceId) -> Option<&Candidate> {
        self.pool.find(*self.nodes.get(&device)?, device)
    }

    fn mend(&mut self, set: &SetStanding) -> Option<SetReport> {
        let mut places: Vec<DeviceId> = set.bricks.iter().map(|brick| brick.device).collect();
        let mut report =
            SetReport { volume: set.volume, set: set.set, faults: Vec::new(), moves: Vec::new(), unmended: Vec::new() };
        for (index, brick) in set.bricks.iter().enumerate() {
            let mut faults = self.faults(set, index, &places);
            let hard = faults.iter().any(Fault::is_hard);
            if faults.is_empty() {
                continue;
            }
            let before = places.clone();
            match self.choose(set, index, &places) {
                Ok(placed) => {
                    let better = !self.shares_zone(&places, index, placed.device);
                    if !hard && !better {
                        // No other zone takes it: preferred zones are kept as well as can be.
                        continue;
                    }
                    if !better {
                        faults.retain(|fault| !matches!(fault, Fault::ZoneToSpare { .. }));
                    }
                    report.moves.push(self.take(brick, placed, before[index]));
                    places[index] = placed.device;
                }
                Err(_) if !hard => continue,
                Err(why) => {
                    faults.retain(|fault| !matches!(fault, Fault::ZoneToSpare { .. }));
                    match self.make_way(set, index, &mut places) {
                        Some(both) => report.moves.extend(both),
                        None => report.unmended.push((brick.brick, why)),
                    }
                }
            }
            report.faults.extend(faults.into_iter().map(|fault| (brick.brick, fault)));
        }
        // What made way for a later brick may have made way for an earlier one as well.
        let unmended = std::mem::take(&mut report.unmended);
        for (id, why) in unmended {
            let index = set.bricks.iter().position(|brick| brick.brick == id).unwrap_or_default();
            match self.replace(set, index, &mut places) {
                Ok(moved) => report.moves.push(moved),
                Err(_) => report.unmended.push((id, why)),
            }
        }
        (!report.faults.is_empty()).then_some(report)
    }

    /// Two moves for a brick that alone has no place to go: another brick of the set leaves what keeps it out, and then it
    /// moves itself. Each keeps the rules at its turn. So many pairs are tried at the most, and fewer the more often it was in
    /// vain.
    fn make_way(&mut self, set: &SetStanding, index: usize, places: &mut [DeviceId]) -> Option<[Move; 2]> {
        for other in (0..set.bricks.len()).filter(|other| *other != index && !set.bricks[*other].lost) {
            let goals = self.goals_without(set, index, other, places);
            for goal in goals {
                self.pairs_left = self.pairs_left.checked_sub(1)?;
                let before = self.pool.clone();
                let mut trial = places.to_vec();
                // It must neither be in the way where the first brick is now nor where that one is to go.
                let beside = [trial[index], goal];
                let Ok(placed) = self.choose_beside(set, other, &trial, &beside) else { continue };
                let first = self.take(&set.bricks[other], placed, trial[other]);
                trial[other] = placed.device;
                if let Ok(second) = self.replace(set, index, &mut trial) {
                    places.copy_from_slice(&trial);
                    return Some([first, second]);
                }
                self.pool = before;
            }
        }
        None
    }

    /// Where the brick could go if another one of its set were nowhere, the best first; of each node one device.
    fn goals_without(&self, set: &SetStanding, index: usize, without: usize, places: &[DeviceId]) -> Vec<DeviceId> {
        let others = places.iter().enumerate().filter(|(at, _)| *at != index && *at != without);
        let others = others.filter_map(|(_, place)| self.candidate(*place)).map(OtherBrick::at).collect();
        let options = options_in(&self.wish(set, index, places[index], others), &self.pool);
        let mut nodes = BTreeSet::new();
        let goals = options.into_iter().filter(|placed| nodes.insert(placed.node)).map(|placed| placed.device);
        goals.take(MOST_GOALS).collect()
    }

    /// What the brick breaks. What two bricks share is the later one's fault.
    pub fn faults(&self, set: &SetStanding, index: usize, places: &[DeviceId]) -> Vec<Fault> {
        let brick = &set.bricks[index];
        let Some(here) = self.candidate(places[index]) else { return vec![Fault::Lost] };
        let mut faults = Vec::new();
        if brick.lost && places[index] == brick.device {
            faults.push(Fault::Lost);
        } else if is_for_good(here.standing) {
            faults.push(Fault::Standing { standing: here.standing });
        }
        let earlier = set.bricks.iter().zip(places).take(index);
        let earlier: Vec<_> =
            earlier.filter_map(|(other, place)| Some((other.brick, self.candidate(*place)?))).collect();
        if let Some((with, _)) = earlier.iter().find(|(_, other)| other.node == here.node) {
            faults.push(Fault::NodeShared { with: *with });
        } else if let Some((with, _)) = earlier.iter().find(|(_, other)| other.zone == here.zone) {
            let (with, zone) = (*with, here.zone);
            let there = earlier.iter().filter(|(_, other)| other.zone == zone).count();
            faults.push(match set.set_rules.most_in_zone(set.zones).filter(|most| there >= *most) {
                Some(most) => Fault::ZoneShared { with, zone, most },
                None => Fault::ZoneToSpare { with, zone },
            });
        }
        let own = set.tag_match.as_ref().filter(|rule| !rule.matches(&here.tags));
        if let Some(wanted) = own.or_else(|| set.set_rules.unmatched(&here.tags)) {
            faults.push(Fault::Tag { wanted: wanted.clone() });
        }
        for key in set.set_rules.different() {
            let value = value_of(&here.tags, key);
            if let Some((with, _)) = earlier.iter().find(|(_, other)| value_of(&other.tags, key) == value) {
                faults.push(Fault::TagShared { with: *with, key: key.to_owned(), value: value.to_owned() });
            }
        }
        let all = || places.iter().filter_map(|place| self.candidate(*place));
        for key in set.set_rules.same() {
            let value = value_of(&here.tags, key);
            if let Some(wanted) = usual(all().map(|one| value_of(&one.tags, key))).filter(|wanted| *wanted != value) {
                let (key, value, wanted) = (key.to_owned(), value.to_owned(), wanted.to_owned());
                faults.push(Fault::TagDiffers { key, value, wanted });
            }
        }
        if !Takes::of(set.layout, &here.tags).role(brick.role) {
            faults.push(Fault::Role { role: brick.role });
        }
        faults
    }

    fn shares_zone(&self, places: &[DeviceId], index: usize, device: DeviceId) -> bool {
        let zone = self.candidate(device).map(|candidate| candidate.zone);
        let others = places.iter().enumerate().filter(|(other, _)| *other != index);
        others.filter_map(|(_, place)| self.candidate(*place)).any(|other| Some(other.zone) == zone)
    }

    pub fn choose(&self, set: &SetStanding, index: usize, places: &[DeviceId]) -> Result<Placed, NoReplacement> {
        let others = places.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.filter_map(|(_, place)| self.candidate(*place)).map(OtherBrick::at).collect();
        replace_in(&self.wish(set, index, places[index], others), &self.pool)
    }

    /// The same, with bricks of the set on these devices besides.
    fn choose_beside(
        &self,
        set: &SetStanding,
        index: usize,
        places: &[DeviceId],
        beside: &[DeviceId],
    ) -> Result<Placed, NoReplacement> {
        let others = places.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, place)| *place);
        let all: BTreeSet<DeviceId> = others.chain(beside.iter().copied()).collect();
        let others = all.into_iter().filter_map(|place| self.candidate(place)).map(OtherBrick::at).collect();
        replace_in(&self.wish(set, index, places[index], others), &self.pool)
    }

    fn wish(&self, set: &SetStanding, index: usize, from: DeviceId, others: Vec<OtherBrick>) -> ReplaceWish {
        let brick = &set.bricks[index];
        ReplaceWish {
            layout: set.layout,
            role: brick.role,
            asked: brick.asked,
            snapshot_factor_milli: set.snapshot_factor_milli,
            zones: set.zones,
            tag_match: set.tag_match.clone(),
            set_rules: set.set_rules.clone(),
            over_commit: set.over_commit,
            provisioning: brick.provisioning,
            from,
            others,
            to: None,
            reserve: Reserve::NONE,
        }
    }

    /// The brick takes its new place. Its old one is not free before its set is healed, so it is not counted on.
    pub fn take(&mut self, brick: &BrickStanding, to: Placed, from: DeviceId) -> Move {
        let after = self.candidate(to.device).and_then(|candidate| {
            let space = candidate.space.after(&to.space)?;
            Some(Candidate { space, ..candidate.clone() })
        });
        if let Some(after) = after {
            self.pool.change(&after);
        }
        Move { brick: brick.brick, from, to }
    }

    fn replace(&mut self, set: &SetStanding, index: usize, places: &mut [DeviceId]) -> Result<Move, NoReplacement> {
        let placed = self.choose(set, index, places)?;
        let moved = self.take(&set.bricks[index], placed, places[index]);
        places[index] = placed.device;
        Ok(moved)
    }
}

/// Whether a device is out of use by somebody's word or for want of its disk. A host that is away for the moment is no
/// reason to move bricks.
fn is_for_good(standing: Standing) -> bool {
    match standing {
        Standing::DeviceOffline
        | Standing::DeviceFailed
        | Standing::NodeOffline
        | Standing::NodeFailed
        | Standing::Lost
        | Standing::GroupMissing
        | Standing::GroupDamaged
        | Standing::DiskFails => true,
        Standing::Ready
        | Standing::AgentDetached
        | Standing::GlusterDown
        | Standing::AgentDiskFull
        | Standing::FstabFixed
        | Standing::PoolFails
        | Standing::ThinToolMissing
        | Standing::BrickFails
        | Standing::Changing => false,
    }
}

#[cfg(test)]
pub(super) mod tests;
