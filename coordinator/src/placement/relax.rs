//! What would have to be different for a refused volume to fit: single changes, and where none leaves the volume as it
//! was asked for two at once (`pairs`), each proven by placing it.
//!
//! Nothing is concluded from the refusal: a [`Relaxation`] is named only once [`try_place`] has placed exactly the wish
//! that it carries, with exactly the devices that it would take into service. A few dozen placements at the most,
//! however many devices there are, all on one pool and on copies of it that share what is the same. Those that cost nothing come first, those that protect the data less come last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::size::{ByteSize, GIB, MIB};
use bricklayer_proto::space::Provisioning;
use bricklayer_proto::task::Layout;
use serde::Serialize;

use super::search::try_place;
use super::{
    Candidate, DeviceSpace, LEAST_ARBITER, Limits, OverCommit, Placement, Pool, Refusal, Reserve, Standing, TagMatch,
    TagRule, Wish, ZoneRule,
};

mod pairs;

/// So many devices at the most are left out again, one by one, of those that would have to come into service.
const MOST_LEFT_OUT: usize = 6;

/// By how much a limit is loosened to see whether that would help.
const LOOSER: u32 = 4;

/// A change with which the volume would fit, and does by [`super::place`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relaxation {
    pub change: Relaxed,
    /// What has to be different besides.
    pub also: Option<Relaxed>,
    /// The wish, changed; the same where devices come into service or nothing is kept free.
    pub wish: Wish,
    /// What it comes to.
    pub sets: usize,
    pub brick: ByteSize,
    /// Zones that the bricks of a set lie in, of the set with the fewest.
    pub zones: usize,
}

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Relaxed {
    /// All of these devices are ready; without one of them it does not fit.
    InService {
        devices: Vec<OutOfService>,
    },
    /// These deleted volumes, which are kept for a while, are gone.
    EmptyTrash {
        volumes: Vec<String>,
    },
    /// Any device but the one that was chosen; of a brick that moves.
    AnotherDevice,
    /// Devices with any tags are taken.
    AnyTags {
        instead_of: TagMatch,
    },
    /// Without this rule of the policy.
    TagRule {
        without: TagRule,
    },
    /// Less is kept free on the devices: the most that leaves room.
    Reserve {
        to: Reserve,
        instead_of: Reserve,
    },
    /// More or smaller bricks than the installation allows.
    Limits {
        limits: Limits,
        instead_of: Limits,
    },
    Size {
        size: ByteSize,
        instead_of: ByteSize,
    },
    /// Less room for snapshots, or none.
    SnapshotFactor {
        milli: u32,
        instead_of: u32,
    },
    /// Thick bricks for thin ones, which have a pool's metadata besides; or thin ones, where agents are too old for thick.
    Provisioning {
        provisioning: Provisioning,
    },
    /// A zone may have so many bricks of a set, more than the policy allows.
    MostInAZone {
        most: NonZeroU32,
        instead_of: NonZeroU32,
    },
    /// Zones are preferred and not demanded.
    ZonesPreferred,
    Layout {
        layout: Layout,
        instead_of: Layout,
    },
}

/// A device that takes no bricks now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OutOfService {
    pub node_name: String,
    pub device_name: String,
    pub device: DeviceId,
    pub node: NodeId,
    pub standing: Standing,
    /// What keeps it out besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Standing>,
}

impl Refusal {
    /// With what would make it fit. `candidates`: those that were refused.
    #[must_use]
    pub fn explained(self, candidates: &[Candidate]) -> Self {
        self.explained_in(&Pool::of(candidates.iter()))
    }

    /// As [`Self::explained`], with the devices of a pool.
    #[must_use]
    pub fn explained_in(self, pool: &Pool) -> Self {
        let relaxations = relaxations(&self.wish, self.largest, pool);
        Self { relaxations, ..self }
    }

    /// With the word that it would fit without what is in the trash, if so. `candidates`: the devices as they would be.
    #[must_use]
    pub fn or_without_trash(mut self, volumes: Vec<String>, candidates: &[Candidate]) -> Self {
        let pool = Pool::of(candidates.iter());
        let look = Look { wish: &self.wish, pool: &pool };
        let found = look.proven(Relaxed::EmptyTrash { volumes }, self.wish.clone());
        self.relaxations.splice(0..0, found);
        self
    }
}

/// The changes with which the wish, which does not fit, would fit.
fn relaxations(wish: &Wish, largest: Option<ByteSize>, pool: &Pool) -> Vec<Relaxation> {
    let look = Look { wish, pool };
    let mut found = Vec::new();
    found.extend(look.in_service());
    // What a volume is cannot be changed where it is only to grow.
    let new = wish.existing_bricks == 0;
    if new {
        found.extend(look.any_tags());
        found.extend(look.without_tag_rules());
    }
    found.extend(look.reserve());
    found.extend(look.limits());
    found.extend(largest.and_then(|size| look.size(size)));
    if new {
        found.extend(look.snapshot_factor());
        found.extend(look.provisioning());
        found.extend(look.more_in_a_zone());
        found.extend(look.zones_preferred());
        found.extend(look.layouts());
    }
    let as_asked = |one: &Relaxation| one.weaker().is_none() && !matches!(one.change, Relaxed::Size { .. });
    if !found.iter().any(as_asked) {
        let pairs = look.pairs(&found, new);
        found.extend(pairs);
    }
    found
}

pub(super) struct Look<'a> {
    pub wish: &'a Wish,
    /// All devices, those that take no bricks included.
    pub pool: &'a Pool,
}

impl Look<'_> {
    fn proven(&self, change: Relaxed, wish: Wish) -> Option<Relaxation> {
        let placement = try_place(&wish, self.pool)?;
        Some(self.relaxation(change, wish, &placement))
    }

    pub fn relaxation(&self, change: Relaxed, wish: Wish, placement: &Placement) -> Relaxation {
        let on: BTreeSet<NodeId> = placement.bricks().map(|brick| brick.node).collect();
        let known = self.pool.candidates().filter(|one| on.contains(&one.node));
        let zones: BTreeMap<NodeId, u32> = known.map(|one| (one.node, one.zone)).collect();
        let of_set = placement.sets.iter().map(|set| {
            let zones: BTreeSet<_> = set.iter().map(|brick| zones.get(&brick.node)).collect();
            zones.len()
        });
        let zones = of_set.min().unwrap_or(0);
        Relaxation { change, also: None, wish, sets: placement.sets.len(), brick: placement.brick_size, zones }
    }

    /// What a command would bring into service is looked at first, and only then what somebody has to repair.
    fn in_service(&self) -> Option<Relaxation> {
        COMES_BACK.into_iter().find_map(|comes| self.in_service_of(comes))
    }

    fn in_service_of(&self, comes: fn(&Candidate) -> bool) -> Option<Relaxation> {
        if !self.pool.candidates().any(comes) {
            return None;
        }
        let trial = self.pool.with(|one| comes(one).then(|| ready(one)));
        let placement = try_place(self.wish, &trial)?;
        let mut needed = self.out_of_service(&placement);
        let mut placement = try_place(self.wish, &self.with_service(self.pool, &needed))?;
        for one in needed.clone().into_iter().take(MOST_LEFT_OUT) {
            let fewer: Vec<OutOfService> = needed.iter().filter(|other| **other != one).cloned().collect();
            let found = try_place(self.wish, &self.with_service(self.pool, &fewer)).filter(|_| !fewer.is_empty());
            if let Some(found) = found {
                (needed, placement) = (fewer, found);
            }
        }
        Some(self.relaxation(Relaxed::InService { devices: needed }, self.wish.clone(), &placement))
    }

    /// The devices of a placement that take no bricks now.
    pub fn out_of_service(&self, placement: &Placement) -> Vec<OutOfService> {
        let taken: BTreeSet<DeviceId> = placement.bricks().map(|brick| brick.device).collect();
        let was = |candidate: &&Candidate| candidate.standing != Standing::Ready && taken.contains(&candidate.device);
        let mut needed: Vec<OutOfService> = self.pool.candidates().filter(was).map(OutOfService::of).collect();
        needed.sort();
        needed
    }

    /// A pool of these devices, with some of them in service.
    pub fn with_service(&self, pool: &Pool, needed: &[OutOfService]) -> Pool {
        let devices: BTreeSet<DeviceId> = needed.iter().map(|one| one.device).collect();
        pool.with(|one| devices.contains(&one.device).then(|| ready(one)))
    }

    fn any_tags(&self) -> Option<Relaxation> {
        let instead_of = self.wish.tag_match.clone()?;
        self.proven(Relaxed::AnyTags { instead_of }, Wish { tag_match: None, ..self.wish.clone() })
    }

    /// One rule left out.
    fn without_tag_rules(&self) -> Vec<Relaxation> {
        let rules = self.wish.set_rules.tags.iter();
        rules
            .filter_map(|rule| self.proven(Relaxed::TagRule { without: rule.clone() }, without(self.wish, rule)))
            .collect()
    }

    /// With as much kept free as leaves room.
    fn reserve(&self) -> Option<Relaxation> {
        let instead_of = self.wish.reserve;
        let (to, placement) = least_change(instead_of, |reserve| try_place(self.wish, &keeping(self.pool, reserve)))?;
        let wish = Wish { reserve: to, ..self.wish.clone() };
        Some(self.relaxation(Relaxed::Reserve { to, instead_of }, wish, &placement))
    }

    /// Tried with looser limits than it needs, and then proven with those that it needs.
    fn limits(&self) -> Option<Relaxation> {
        let found = try_place(&Wish { limits: looser(self.wish.limits), ..self.wish.clone() }, self.pool)?;
        let (instead_of, limits) = (self.wish.limits, needed_limits(self.wish, &found)?);
        self.proven(Relaxed::Limits { limits, instead_of }, Wish { limits, ..self.wish.clone() })
    }

    fn size(&self, size: ByteSize) -> Option<Relaxation> {
        let instead_of = self.wish.size;
        if size >= instead_of {
            return None;
        }
        self.proven(Relaxed::Size { size, instead_of }, Wish { size, ..self.wish.clone() })
    }

    /// The largest factor that fits, in tenths: what fits with some room fits with less.
    fn snapshot_factor(&self) -> Option<Relaxation> {
        let instead_of = self.wish.snapshot_factor_milli;
        let with = |milli: u32| Wish { snapshot_factor_milli: milli, ..self.wish.clone() };
        if instead_of <= 1000 {
            return None;
        }
        let (mut low, mut high) = (10, (instead_of - 1) / 100);
        let mut best = self.proven(Relaxed::SnapshotFactor { milli: low * 100, instead_of }, with(low * 100))?;
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.proven(Relaxed::SnapshotFactor { milli: middle * 100, instead_of }, with(middle * 100)) {
                Some(found) => (low, best) = (middle, found),
                None => high = middle - 1,
            }
        }
        Some(best)
    }

    fn provisioning(&self) -> Option<Relaxation> {
        let provisioning = match self.wish.provisioning {
            Provisioning::Thin => Provisioning::Thick,
            Provisioning::Thick => Provisioning::Thin,
        };
        let wish =
            Wish { provisioning, snapshot_factor_milli: 1000, over_commit: OverCommit::NONE, ..self.wish.clone() };
        self.proven(Relaxed::Provisioning { provisioning }, wish)
    }

    /// As many as it takes, and no more.
    fn more_in_a_zone(&self) -> Option<Relaxation> {
        let instead_of = self.wish.set_rules.most_per_zone.filter(|_| self.wish.zones == ZoneRule::Preferred)?;
        more_in_a_zone(self.wish, instead_of)
            .find_map(|(most, wish)| self.proven(Relaxed::MostInAZone { most, instead_of }, wish))
    }

    fn zones_preferred(&self) -> Option<Relaxation> {
        let strict = self.wish.zones == ZoneRule::Strict;
        strict
            .then(|| self.proven(Relaxed::ZonesPreferred, Wish { zones: ZoneRule::Preferred, ..self.wish.clone() }))
            .flatten()
    }

    /// The arbiter, and of what protects the data less the first that fits.
    fn layouts(&self) -> Vec<Relaxation> {
        let instead_of = self.wish.layout;
        let with = |layout| self.proven(Relaxed::Layout { layout, instead_of }, Wish { layout, ..self.wish.clone() });
        let (arbiter, less) = weaker_layouts(instead_of);
        arbiter.and_then(with).into_iter().chain(less.into_iter().find_map(with)).collect()
    }
}

pub(super) fn ready(candidate: &Candidate) -> Candidate {
    Candidate { standing: Standing::Ready, also: Vec::new(), ..candidate.clone() }
}

pub(super) fn without(wish: &Wish, rule: &TagRule) -> Wish {
    let mut wish = wish.clone();
    wish.set_rules.tags.retain(|other| other != rule);
    wish
}

/// The wish with one more brick of a set in a zone, with two more, up to all of them.
pub(super) fn more_in_a_zone(wish: &Wish, than: NonZeroU32) -> impl Iterator<Item = (NonZeroU32, Wish)> {
    let all = wish.layout.bricks_per_set();
    let more = than.get().saturating_add(1)..=all;
    more.filter_map(NonZeroU32::new).map(|most| (most, with_most_in_a_zone(wish, Some(most))))
}

pub(super) fn with_most_in_a_zone(wish: &Wish, most: Option<NonZeroU32>) -> Wish {
    let mut wish = wish.clone();
    wish.set_rules.most_per_zone = most;
    wish
}

/// A pool of these devices with so much kept free on each.
pub(super) fn keeping(pool: &Pool, reserve: Reserve) -> Pool {
    pool.with(|one| {
        let space = kept(one, reserve);
        (space != one.space).then(|| Candidate { space, ..one.clone() })
    })
}

fn kept(candidate: &Candidate, reserve: Reserve) -> DeviceSpace {
    let space = candidate.space.keeping_nothing();
    space.keeping(reserve.of(space.total, space.extent_size))
}

/// The largest reserve below this one with which something is found: whole per cent, whole GiB where it is 10 GiB or more,
/// whole MiB otherwise. What is found with one is found with each smaller one.
pub(super) fn least_change<T>(reserve: Reserve, find: impl Fn(Reserve) -> Option<T>) -> Option<(Reserve, T)> {
    let (steps, of): (u64, fn(u64) -> Reserve) = match reserve {
        Reserve::Percent(percent) => {
            (percent.into(), |percent| Reserve::Percent(u8::try_from(percent).unwrap_or(u8::MAX)))
        }
        Reserve::Size(size) if size.bytes() >= 10 * GIB => {
            (size.bytes().div_ceil(GIB), |gib| Reserve::Size(ByteSize::from_bytes(gib.saturating_mul(GIB))))
        }
        Reserve::Size(size) => {
            (size.bytes().div_ceil(MIB), |mib| Reserve::Size(ByteSize::from_bytes(mib.saturating_mul(MIB))))
        }
    };
    let (mut low, mut high) = (0, steps.checked_sub(1)?);
    let mut best = find(of(low))?;
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match find(of(middle)) {
            Some(found) => (low, best) = (middle, found),
            None => high = middle - 1,
        }
    }
    Some((of(low), best))
}

pub(super) fn looser(now: Limits) -> Limits {
    // mkfs.xfs makes nothing smaller.
    let least_brick = ByteSize::from_bytes(now.least_brick.bytes() / u64::from(LOOSER)).max(LEAST_ARBITER);
    Limits { least_brick: least_brick.min(now.least_brick), most_bricks: now.most_bricks.saturating_mul(LOOSER), ..now }
}

/// Of looser limits, those that the placement needs.
pub(super) fn needed_limits(wish: &Wish, found: &Placement) -> Option<Limits> {
    let now = wish.limits;
    let sets = u64::try_from(found.sets.len()).ok()?;
    let bricks = u32::try_from(wish.bricks(sets)).ok()?;
    Some(Limits { least_brick: found.brick_size.min(now.least_brick), most_bricks: bricks.max(now.most_bricks), ..now })
}

/// The arbiter, and what protects the data less than that.
pub(super) fn weaker_layouts(layout: Layout) -> (Option<Layout>, Vec<Layout>) {
    let replicas = |most: u32| (1..=most).rev().map(|replica| Layout::Replicate { replica }).collect::<Vec<_>>();
    let disperse = |data, redundancy| Layout::Disperse { data, redundancy };
    match layout {
        Layout::Distribute => (None, Vec::new()),
        Layout::Replicate { replica: 3 } => (Some(Layout::Arbiter), replicas(2)),
        Layout::Replicate { replica } => (None, replicas(replica.saturating_sub(1))),
        Layout::Arbiter => (None, replicas(2)),
        // heketi's codes with less redundancy.
        Layout::Disperse { redundancy, .. } => {
            let less = [disperse(8, 3), disperse(4, 2), disperse(2, 1)];
            let is_less =
                |layout: &Layout| matches!(layout, Layout::Disperse { redundancy: other, .. } if *other < redundancy);
            (None, less.into_iter().filter(is_less).collect())
        }
    }
}

/// Which devices come into service: first those that commands switch on, then those whose hosts somebody has to start or
/// clear.
pub(super) const COMES_BACK: [fn(&Candidate) -> bool; 2] =
    [|one| is_out_by(one, is_switched_off), |one| is_out_by(one, can_come_back)];

/// Whether all that keeps it out is of this kind, so that it is ready once that is gone.
fn is_out_by(candidate: &Candidate, kind: fn(Standing) -> bool) -> bool {
    kind(candidate.standing) && candidate.also.iter().all(|standing| kind(*standing))
}

/// By a person's command, which a command takes back.
fn is_switched_off(standing: Standing) -> bool {
    matches!(standing, Standing::DeviceOffline | Standing::NodeOffline)
}

/// All but what was removed or lost, what is on its way, and a disk that may never be read again.
fn can_come_back(standing: Standing) -> bool {
    match standing {
        Standing::DeviceOffline
        | Standing::NodeOffline
        | Standing::AgentDetached
        | Standing::GlusterDown
        | Standing::AgentDiskFull
        | Standing::FstabFixed
        | Standing::ThinToolMissing => true,
        Standing::Ready
        | Standing::DeviceFailed
        | Standing::NodeFailed
        | Standing::Lost
        | Standing::GroupMissing
        | Standing::GroupDamaged
        | Standing::DiskFails
        | Standing::BrickFails
        | Standing::PoolFails
        | Standing::Changing => false,
    }
}

impl OutOfService {
    pub(super) fn of(candidate: &Candidate) -> Self {
        Self {
            node_name: candidate.node_name.clone(),
            device_name: candidate.device_name.clone(),
            device: candidate.device,
            node: candidate.node,
            standing: candidate.standing,
            also: candidate.also.clone(),
        }
    }
}

/// `/dev/sdb on gfs2 were in service (the device is offline ...)`.
impl fmt::Display for OutOfService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || std::iter::once(self.standing).chain(self.also.iter().copied());
        // What has to be repaired first does not come back by a command.
        let back = if all().all(is_switched_off) { "were in service" } else { "could be used again" };
        let why: Vec<String> = all().map(|standing| standing.to_string()).collect();
        write!(f, "{} on {} {back} ({})", self.device_name, self.node_name, why.join("; "))
    }
}

impl Relaxation {
    /// The devices as the relaxation has them: what [`super::place`] is to be given with its wish.
    #[must_use]
    pub fn candidates(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        let mut candidates = candidates.to_vec();
        for change in self.changes() {
            for candidate in &mut candidates {
                match change {
                    Relaxed::InService { devices } if devices.iter().any(|one| one.device == candidate.device) => {
                        *candidate = ready(candidate);
                    }
                    Relaxed::Reserve { to, .. } => candidate.space = kept(candidate, *to),
                    _ => {}
                }
            }
        }
        candidates
    }

    /// How much less the data is protected, to tell two apart: 0 is as before.
    pub(super) fn danger(&self) -> u8 {
        self.changes().map(Relaxed::danger).max().unwrap_or(0)
    }

    /// One or two.
    pub fn changes(&self) -> impl Iterator<Item = &Relaxed> {
        std::iter::once(&self.change).chain(&self.also)
    }

    /// What the data is protected less by; nothing where it is as safe as before.
    #[must_use]
    pub fn weaker(&self) -> Option<String> {
        let all: Vec<String> = self.changes().filter_map(Relaxed::weaker).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    fn say(&self, change: &Relaxed) -> String {
        if *change != Relaxed::ZonesPreferred {
            return change.to_string();
        }
        let wanted = self.wish.layout.bricks_per_set();
        let zones = if self.zones == 1 { "1 zone".to_owned() } else { format!("{} zones", self.zones) };
        format!("with {zones} instead of {wanted}, {change}")
    }
}

/// Without what it comes to: `with 5GiB kept in reserve instead of 10GiB`.
impl fmt::Display for Relaxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InService { devices } => {
                let devices: Vec<_> = devices.iter().map(ToString::to_string).collect();
                format!("if {}", devices.join(" and "))
            }
            Self::EmptyTrash { volumes } => {
                format!("if the trash were emptied of {} (`bricklayer trash empty`)", volumes.join(", "))
            }
            Self::AnyTags { instead_of } => format!("without the rule {instead_of}"),
            Self::TagRule { without } => format!("without the policy's rule {without}"),
            Self::Reserve { to: Reserve::NONE | Reserve::Percent(0), instead_of } => {
                format!("with nothing kept in reserve instead of {instead_of}")
            }
            Self::Reserve { to, instead_of } => format!("with {to} kept in reserve instead of {instead_of}"),
            Self::Limits { limits, instead_of } => {
                let mut text = "with other limits".to_owned();
                if limits.most_bricks != instead_of.most_bricks {
                    let (to, from) = (limits.most_bricks, instead_of.most_bricks);
                    text += &format!(", placement.most_bricks_per_volume {to} instead of {from}");
                }
                if limits.least_brick != instead_of.least_brick {
                    let (to, from) = (limits.least_brick, instead_of.least_brick);
                    text += &format!(", placement.smallest_brick {to} instead of {from}");
                }
                text
            }
            Self::Size { size, instead_of } => format!("with {size} instead of {instead_of}"),
            Self::SnapshotFactor { milli: 1000, instead_of } => {
                format!("without room for snapshots instead of a factor of {}", factor(*instead_of))
            }
            Self::SnapshotFactor { milli, instead_of } => {
                format!("with a snapshot factor of {} instead of {}", factor(*milli), factor(*instead_of))
            }
            Self::Provisioning { provisioning: Provisioning::Thick } => {
                "as a thick volume, which has no snapshots and clones".to_owned()
            }
            Self::Provisioning { provisioning: Provisioning::Thin } => "as a thin volume".to_owned(),
            Self::MostInAZone { most, instead_of } => {
                format!("with {most} bricks of a set in one zone instead of {instead_of}")
            }
            Self::ZonesPreferred => "without strict zone checking".to_owned(),
            Self::AnotherDevice => "instead of the device that was chosen".to_owned(),
            Self::Layout { layout, .. } => format!("as {}", in_words(*layout)),
        };
        f.write_str(&text)
    }
}

impl Relaxed {
    fn danger(&self) -> u8 {
        match self {
            Self::Layout { layout: Layout::Arbiter, .. } => 2,
            Self::Layout { layout: Layout::Disperse { .. }, .. } => 3,
            Self::Layout { layout: Layout::Replicate { replica: 2.. }, .. } => 4,
            Self::Layout { .. } => 5,
            weaker => u8::from(weaker.weaker().is_some()),
        }
    }

    pub(super) fn weaker(&self) -> Option<String> {
        match self {
            Self::ZonesPreferred => Some("a zone that fails takes more than one brick of a set with it".to_owned()),
            Self::MostInAZone { most, .. } => Some(format!("a zone that fails takes {most} bricks of a set with it")),
            Self::TagRule { without: TagRule::Different(key) } => {
                Some(format!("what fails together by {key} takes more than one brick of a set with it"))
            }
            Self::Layout { layout, instead_of } => Some(match (layout, instead_of) {
                (Layout::Arbiter, _) => "two copies of the data instead of three".to_owned(),
                (Layout::Replicate { replica: 2 }, _) => {
                    "two copies, and no third brick to tell which of them is right".to_owned()
                }
                (Layout::Replicate { .. } | Layout::Distribute, _) => {
                    "one copy: a disk that is lost takes its files with it".to_owned()
                }
                (Layout::Disperse { redundancy, .. }, _) => {
                    let bricks = if *redundancy == 1 { "brick" } else { "bricks" };
                    format!("a set outlives the loss of {redundancy} {bricks} and no more")
                }
            }),
            Self::InService { .. }
            | Self::EmptyTrash { .. }
            | Self::AnotherDevice
            | Self::AnyTags { .. }
            | Self::TagRule { .. }
            | Self::Reserve { .. }
            | Self::Limits { .. }
            | Self::Size { .. }
            | Self::SnapshotFactor { .. }
            | Self::Provisioning { .. } => None,
        }
    }
}

/// One sentence without its end: `as 2 replicas and an arbiter (1 set of 8 GiB); weaker: ...`.
impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sets, brick) = (self.sets, self.brick);
        let changes: Vec<_> = self.changes().map(|change| self.say(change)).collect();
        write!(f, "{} ({sets} {} of {brick})", changes.join(", and "), if sets == 1 { "set" } else { "sets" })?;
        match self.weaker() {
            Some(weaker) => write!(f, "; weaker: {weaker}"),
            None => Ok(()),
        }
    }
}

fn in_words(layout: Layout) -> String {
    match layout {
        Layout::Distribute => "one copy".to_owned(),
        Layout::Replicate { replica: 1 } => "1 replica".to_owned(),
        Layout::Replicate { replica } => format!("{replica} replicas"),
        Layout::Arbiter => "2 replicas and an arbiter".to_owned(),
        Layout::Disperse { data, redundancy } => format!("disperse {data}+{redundancy}"),
    }
}

/// Thousandths as people write them: `1.5`.
fn factor(milli: u32) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
