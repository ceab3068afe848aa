//! What would have to be different for a refused volume to fit: single changes, each proven by placing it.
//!
//! Nothing is concluded from the refusal: a [`Relaxation`] is named only once [`try_place`] has placed exactly the wish
//! that it carries, with exactly the devices that it would take into service. A few dozen placements at the most,
//! however many devices there are. Those that cost nothing come first, those that protect the data less come last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::Layout;
use serde::Serialize;

use super::search::try_place;
use super::{Candidate, LEAST_ARBITER, Limits, Placement, Refusal, Standing, TagMatch, Wish, ZoneRule};

/// So many devices at the most are left out again, one by one, of those that would have to come into service.
const MOST_LEFT_OUT: usize = 6;

/// By how much a limit is loosened to see whether that would help.
const LOOSER: u32 = 4;

/// A change with which the volume would fit, and does by [`super::place`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relaxation {
    pub change: Relaxed,
    /// The wish, changed; the same where devices come into service.
    pub wish: Wish,
    /// What it comes to.
    pub sets: usize,
    pub brick: ByteSize,
    /// Zones that the bricks of a set lie in, of the set with the fewest.
    pub zones: usize,
}

/// The one thing that is different.
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
    /// Devices with any tags are taken.
    AnyTags {
        instead_of: TagMatch,
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
}

impl Refusal {
    /// With what would make it fit. `candidates`: those that were refused.
    #[must_use]
    pub fn explained(self, candidates: &[Candidate]) -> Self {
        let relaxations = relaxations(&self.wish, self.largest, candidates);
        Self { relaxations, ..self }
    }
}

impl Refusal {
    /// With the word that it would fit without what is in the trash, if so. `candidates`: the devices as they would be.
    #[must_use]
    pub fn or_without_trash(mut self, volumes: Vec<String>, candidates: &[Candidate]) -> Self {
        let look = Look { wish: &self.wish, candidates };
        let found = look.proven(Relaxed::EmptyTrash { volumes }, self.wish.clone());
        self.relaxations.splice(0..0, found);
        self
    }
}

/// The single changes with which the wish, which does not fit, would fit.
fn relaxations(wish: &Wish, largest: Option<ByteSize>, candidates: &[Candidate]) -> Vec<Relaxation> {
    let look = Look { wish, candidates };
    let mut found = Vec::new();
    found.extend(look.in_service());
    // What a volume is cannot be changed where it is only to grow.
    let new = wish.existing_bricks == 0;
    if new {
        found.extend(look.any_tags());
    }
    found.extend(look.limits());
    found.extend(largest.and_then(|size| look.size(size)));
    if new {
        found.extend(look.snapshot_factor());
        found.extend(look.zones_preferred());
        found.extend(look.layouts());
    }
    found
}

struct Look<'a> {
    wish: &'a Wish,
    candidates: &'a [Candidate],
}

impl Look<'_> {
    fn proven(&self, change: Relaxed, wish: Wish) -> Option<Relaxation> {
        let placement = try_place(&wish, self.candidates)?;
        Some(self.relaxation(change, wish, &placement))
    }

    fn relaxation(&self, change: Relaxed, wish: Wish, placement: &Placement) -> Relaxation {
        let zones: BTreeMap<NodeId, u32> = self.candidates.iter().map(|one| (one.node, one.zone)).collect();
        let of_set = placement.sets.iter().map(|set| {
            let zones: BTreeSet<_> = set.iter().map(|brick| zones.get(&brick.node)).collect();
            zones.len()
        });
        let zones = of_set.min().unwrap_or(0);
        Relaxation { change, wish, sets: placement.sets.len(), brick: placement.brick_size, zones }
    }

    /// What a command would bring into service is looked at first, and only then what somebody has to repair.
    fn in_service(&self) -> Option<Relaxation> {
        let stages: [fn(Standing) -> bool; 2] = [is_switched_off, can_come_back];
        stages.into_iter().find_map(|comes| self.in_service_of(comes))
    }

    fn in_service_of(&self, comes: fn(Standing) -> bool) -> Option<Relaxation> {
        if !self.candidates.iter().any(|candidate| comes(candidate.standing)) {
            return None;
        }
        let mut trial = self.candidates.to_vec();
        for candidate in trial.iter_mut().filter(|candidate| comes(candidate.standing)) {
            candidate.standing = Standing::Ready;
        }
        let placement = try_place(self.wish, &trial)?;
        let taken: BTreeSet<DeviceId> = placement.bricks().map(|brick| brick.device).collect();
        let was = |candidate: &&Candidate| candidate.standing != Standing::Ready && taken.contains(&candidate.device);
        let mut needed: Vec<OutOfService> = self.candidates.iter().filter(was).map(OutOfService::of).collect();
        needed.sort();

        let mut try_with = |needed: &[OutOfService]| {
            let needed: BTreeSet<DeviceId> = needed.iter().map(|one| one.device).collect();
            for (candidate, now) in trial.iter_mut().zip(self.candidates) {
                let comes = needed.contains(&candidate.device);
                candidate.standing = if comes { Standing::Ready } else { now.standing };
            }
            try_place(self.wish, &trial)
        };
        let mut placement = try_with(&needed)?;
        for one in needed.clone().into_iter().take(MOST_LEFT_OUT) {
            let fewer: Vec<OutOfService> = needed.iter().filter(|other| **other != one).cloned().collect();
            if let Some(found) = try_with(&fewer).filter(|_| !fewer.is_empty()) {
                (needed, placement) = (fewer, found);
            }
        }
        Some(self.relaxation(Relaxed::InService { devices: needed }, self.wish.clone(), &placement))
    }

    fn any_tags(&self) -> Option<Relaxation> {
        let instead_of = self.wish.tag_match.clone()?;
        self.proven(Relaxed::AnyTags { instead_of }, Wish { tag_match: None, ..self.wish.clone() })
    }

    /// Tried with looser limits than it needs, and then proven with those that it needs.
    fn limits(&self) -> Option<Relaxation> {
        let now = self.wish.limits;
        // mkfs.xfs makes nothing smaller.
        let least_brick = ByteSize::from_bytes(now.least_brick.bytes() / u64::from(LOOSER)).max(LEAST_ARBITER);
        let looser = Limits {
            least_brick: least_brick.min(now.least_brick),
            most_bricks: now.most_bricks.saturating_mul(LOOSER),
            ..now
        };
        let found = try_place(&Wish { limits: looser, ..self.wish.clone() }, self.candidates)?;
        let sets = u64::try_from(found.sets.len()).ok()?;
        let bricks = u32::try_from(self.wish.bricks(sets)).ok()?;
        let limits = Limits {
            least_brick: found.brick_size.min(now.least_brick),
            most_bricks: bricks.max(now.most_bricks),
            ..now
        };
        self.proven(Relaxed::Limits { limits, instead_of: now }, Wish { limits, ..self.wish.clone() })
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
        let first = |layouts: &[Layout]| layouts.iter().find_map(|layout| with(*layout));
        let replicas = |most: u32| (1..=most).rev().map(|replica| Layout::Replicate { replica }).collect::<Vec<_>>();
        let disperse = |data, redundancy| Layout::Disperse { data, redundancy };
        match instead_of {
            Layout::Distribute => Vec::new(),
            Layout::Replicate { replica: 3 } => with(Layout::Arbiter).into_iter().chain(first(&replicas(2))).collect(),
            Layout::Replicate { replica } => first(&replicas(replica.saturating_sub(1))).into_iter().collect(),
            Layout::Arbiter => first(&replicas(2)).into_iter().collect(),
            // heketi's codes with less redundancy.
            Layout::Disperse { redundancy, .. } => {
                let less = [disperse(8, 3), disperse(4, 2), disperse(2, 1)].into_iter().filter(
                    |layout| matches!(layout, Layout::Disperse { redundancy: other, .. } if *other < redundancy),
                );
                first(&less.collect::<Vec<_>>()).into_iter().collect()
            }
        }
    }
}

/// By a person's command, which a command takes back.
fn is_switched_off(standing: Standing) -> bool {
    matches!(standing, Standing::DeviceOffline | Standing::NodeOffline)
}

/// All but what is gone for good and what is on its way.
fn can_come_back(standing: Standing) -> bool {
    match standing {
        Standing::DeviceOffline
        | Standing::NodeOffline
        | Standing::DeviceFailed
        | Standing::AgentDetached
        | Standing::GlusterDown
        | Standing::GroupMissing
        | Standing::GroupDamaged => true,
        Standing::Ready | Standing::NodeFailed | Standing::Changing => false,
    }
}

impl OutOfService {
    fn of(candidate: &Candidate) -> Self {
        Self {
            node_name: candidate.node_name.clone(),
            device_name: candidate.device_name.clone(),
            device: candidate.device,
            node: candidate.node,
            standing: candidate.standing,
        }
    }
}

impl Relaxation {
    /// The devices as the relaxation has them: what [`super::place`] is to be given with its wish.
    #[must_use]
    pub fn candidates(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        let mut candidates = candidates.to_vec();
        if let Relaxed::InService { devices } = &self.change {
            for candidate in &mut candidates {
                if devices.iter().any(|one| one.device == candidate.device) {
                    candidate.standing = Standing::Ready;
                }
            }
        }
        candidates
    }

    /// What the data is protected less by; nothing where it is as safe as before.
    #[must_use]
    pub fn weaker(&self) -> Option<String> {
        match &self.change {
            Relaxed::ZonesPreferred => Some("a zone that fails takes more than one brick of a set with it".to_owned()),
            Relaxed::Layout { layout, instead_of } => Some(match (layout, instead_of) {
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
            Relaxed::InService { .. }
            | Relaxed::EmptyTrash { .. }
            | Relaxed::AnyTags { .. }
            | Relaxed::Limits { .. }
            | Relaxed::Size { .. }
            | Relaxed::SnapshotFactor { .. } => None,
        }
    }
}

/// One sentence without its end: `as 2 replicas and an arbiter (1 set of 8 GiB); weaker: ...`.
impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sets, brick) = (self.sets, self.brick);
        match &self.change {
            Relaxed::InService { devices } => {
                let devices: Vec<_> = devices
                    .iter()
                    .map(|one| format!("{} on {} were in service ({})", one.device_name, one.node_name, one.standing))
                    .collect();
                write!(f, "if {}", devices.join(" and "))?;
            }
            Relaxed::EmptyTrash { volumes } => {
                write!(f, "if the trash were emptied of {} (`bricklayer trash empty`)", volumes.join(", "))?;
            }
            Relaxed::AnyTags { instead_of } => write!(f, "without the rule {instead_of}")?,
            Relaxed::Limits { limits, instead_of } => {
                f.write_str("with other limits")?;
                if limits.most_bricks != instead_of.most_bricks {
                    let (to, from) = (limits.most_bricks, instead_of.most_bricks);
                    write!(f, ", placement.most_bricks_per_volume {to} instead of {from}")?;
                }
                if limits.least_brick != instead_of.least_brick {
                    let (to, from) = (limits.least_brick, instead_of.least_brick);
                    write!(f, ", placement.smallest_brick {to} instead of {from}")?;
                }
            }
            Relaxed::Size { size, instead_of } => write!(f, "with {size} instead of {instead_of}")?,
            Relaxed::SnapshotFactor { milli: 1000, instead_of } => {
                write!(f, "without room for snapshots instead of a factor of {}", factor(*instead_of))?;
            }
            Relaxed::SnapshotFactor { milli, instead_of } => {
                write!(f, "with a snapshot factor of {} instead of {}", factor(*milli), factor(*instead_of))?;
            }
            Relaxed::ZonesPreferred => {
                let wanted = self.wish.layout.bricks_per_set();
                let zones = if self.zones == 1 { "1 zone".to_owned() } else { format!("{} zones", self.zones) };
                write!(f, "with {zones} instead of {wanted}, without strict zone checking")?;
            }
            Relaxed::Layout { layout, .. } => write!(f, "as {}", in_words(*layout))?,
        }
        write!(f, " ({sets} {} of {brick})", if sets == 1 { "set" } else { "sets" })?;
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
