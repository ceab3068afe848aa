//! Two changes at once, where no single one leaves the volume as it was asked for.
//!
//! Only of changes that do not suffice by themselves: whoever can make one of two that do is told so already.

use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::Layout;

use super::super::search::{largest_in, try_place};
use super::super::{Candidate, Placement, Pool, Reserve, TagRule, Wish, ZoneRule};
use super::{
    COMES_BACK, Look, OutOfService, Relaxation, Relaxed, keeping, least_change, looser, more_in_a_zone, needed_limits,
    ready, weaker_layouts, with_most_in_a_zone, without,
};

/// More are not read.
const MOST_PAIRS: usize = 6;

/// A change in its widest form; what is proposed is what of it is needed.
#[derive(Clone, Debug)]
enum Lever {
    InService(fn(&Candidate) -> bool),
    AnyTags,
    TagRule(TagRule),
    Reserve,
    Limits,
    Size,
    NoSnapshots,
    MostInAZone,
    ZonesPreferred,
    Layout(Layout),
}

impl Look<'_> {
    /// `found`: the single changes that suffice. `new`: the volume is not there yet, so it may become another.
    pub(super) fn pairs(&self, found: &[Relaxation], new: bool) -> Vec<Relaxation> {
        let levers = self.levers(found, new);
        let (mut pairs, mut smaller_in_a_layout) = (Vec::new(), false);
        for (at, one) in levers.iter().enumerate() {
            // Of layouts the safest goes first, and what is less safe with the same other change is of no use then.
            let mut layout_found = false;
            for other in &levers[at + 1..] {
                let is_layout = matches!(other, Lever::Layout(_));
                let alike = matches!((one, other), (Lever::InService(_), Lever::InService(_)))
                    || matches!((one, other), (Lever::Layout(_), Lever::Layout(_)));
                let is_less_safe = matches!((one, other), (Lever::Layout(_), Lever::Size)) && smaller_in_a_layout;
                if alike || (is_layout && layout_found) || is_less_safe {
                    continue;
                }
                if let Some(pair) = self.both(one, other) {
                    layout_found |= is_layout;
                    smaller_in_a_layout |= matches!((one, other), (Lever::Layout(_), Lever::Size));
                    pairs.push(pair);
                }
            }
        }
        pairs.sort_by_key(Relaxation::danger);
        pairs.truncate(MOST_PAIRS);
        pairs
    }

    /// The changes that do not suffice by themselves.
    fn levers(&self, found: &[Relaxation], new: bool) -> Vec<Lever> {
        let wish = self.wish;
        let suffices = |is: fn(&Relaxed) -> bool| found.iter().any(|one| is(&one.change));
        let mut levers = Vec::new();
        if !suffices(|change| matches!(change, Relaxed::InService { .. })) {
            let some_come = |comes: &fn(&Candidate) -> bool| self.pool.candidates().any(comes);
            // The second takes in the first.
            let stage = COMES_BACK.into_iter().rev().find(some_come);
            levers.extend(stage.map(Lever::InService));
        }
        if new && wish.tag_match.is_some() && !suffices(|change| matches!(change, Relaxed::AnyTags { .. })) {
            levers.push(Lever::AnyTags);
        }
        if new {
            let alone = |rule: &TagRule| {
                found.iter().any(|one| matches!(&one.change, Relaxed::TagRule { without } if without == rule))
            };
            levers.extend(wish.set_rules.tags.iter().filter(|rule| !alone(rule)).cloned().map(Lever::TagRule));
        }
        let keeps = self.pool.candidates().any(|one| one.space.keeping_nothing() != one.space);
        if keeps && !suffices(|change| matches!(change, Relaxed::Reserve { .. })) {
            levers.push(Lever::Reserve);
        }
        if !suffices(|change| matches!(change, Relaxed::Limits { .. })) {
            levers.push(Lever::Limits);
        }
        if new
            && wish.snapshot_factor_milli > 1000
            && !suffices(|change| matches!(change, Relaxed::SnapshotFactor { .. }))
        {
            levers.push(Lever::NoSnapshots);
        }
        let bounded = wish.zones == ZoneRule::Preferred && wish.set_rules.most_per_zone.is_some();
        if new && bounded && !suffices(|change| matches!(change, Relaxed::MostInAZone { .. })) {
            levers.push(Lever::MostInAZone);
        }
        if new && wish.zones == ZoneRule::Strict && !suffices(|change| matches!(change, Relaxed::ZonesPreferred)) {
            levers.push(Lever::ZonesPreferred);
        }
        if new {
            let alone = |layout: &Layout| {
                found.iter().any(|one| matches!(&one.change, Relaxed::Layout { layout: to, .. } if to == layout))
            };
            let (arbiter, less) = weaker_layouts(wish.layout);
            // Those that are safer than the safest that suffices.
            levers.extend(arbiter.into_iter().chain(less).take_while(|layout| !alone(layout)).map(Lever::Layout));
        }
        if !suffices(|change| matches!(change, Relaxed::Size { .. })) {
            levers.push(Lever::Size);
        }
        levers
    }

    /// Both, as far as they are needed.
    fn both(&self, one: &Lever, other: &Lever) -> Option<Relaxation> {
        let (mut wish, mut pool) = (self.wish.clone(), self.pool.clone());
        for lever in [one, other] {
            wish = lever.pull(&wish);
            pool = Self::pull(lever, &pool);
        }
        if matches!(other, Lever::Size) {
            wish.size = largest_in(&wish, &pool).filter(|size| *size < self.wish.size)?;
        }
        let placement = try_place(&wish, &pool)?;
        self.as_needed([one, other], &wish, &placement)
    }

    /// Proven once more with what is needed.
    fn as_needed(&self, levers: [&Lever; 2], wish: &Wish, found: &Placement) -> Option<Relaxation> {
        let (mut wish, mut pool) = (wish.clone(), self.pool.clone());
        let mut devices: Vec<OutOfService> = Vec::new();
        for lever in levers {
            match lever {
                Lever::InService(_) => {
                    devices = self.out_of_service(found);
                    if devices.is_empty() {
                        return None;
                    }
                    pool = self.with_service(&pool, &devices);
                }
                Lever::Limits => {
                    wish.limits = needed_limits(&Wish { limits: self.wish.limits, ..wish.clone() }, found)?;
                }
                _ => {}
            }
        }
        // With everything else as it is in the end.
        if levers.iter().any(|lever| matches!(lever, Lever::MostInAZone)) {
            let widest = if levers.iter().any(|lever| matches!(lever, Lever::Reserve)) {
                keeping(&pool, Reserve::NONE)
            } else {
                pool.clone()
            };
            let than = self.wish.set_rules.most_per_zone?;
            let mut more = more_in_a_zone(&wish, than);
            let needed = more.find_map(|(_, wish)| try_place(&wish, &widest).map(|_| wish))?;
            drop(more);
            wish = needed;
        }
        if levers.iter().any(|lever| matches!(lever, Lever::Reserve)) {
            (wish.reserve, _) = least_change(wish.reserve, |reserve| try_place(&wish, &keeping(&pool, reserve)))?;
            pool = keeping(&pool, wish.reserve);
        }
        let placement = try_place(&wish, &pool)?;
        let [change, also] = levers.map(|lever| self.change(lever, &wish, &devices));
        Some(Relaxation { also: Some(also?), ..self.relaxation(change?, wish, &placement) })
    }

    fn pull(lever: &Lever, pool: &Pool) -> Pool {
        match lever {
            Lever::InService(comes) => pool.with(|one| comes(one).then(|| ready(one))),
            Lever::Reserve => keeping(pool, Reserve::NONE),
            _ => pool.clone(),
        }
    }

    fn change(&self, lever: &Lever, wish: &Wish, devices: &[OutOfService]) -> Option<Relaxed> {
        let before = self.wish;
        Some(match lever {
            Lever::InService(_) => Relaxed::InService { devices: devices.to_vec() },
            Lever::AnyTags => Relaxed::AnyTags { instead_of: before.tag_match.clone()? },
            Lever::TagRule(rule) => Relaxed::TagRule { without: rule.clone() },
            Lever::Reserve => Relaxed::Reserve { to: wish.reserve, instead_of: before.reserve },
            Lever::Limits => Relaxed::Limits { limits: wish.limits, instead_of: before.limits },
            Lever::Size => Relaxed::Size { size: wish.size, instead_of: before.size },
            Lever::NoSnapshots => Relaxed::SnapshotFactor { milli: 1000, instead_of: before.snapshot_factor_milli },
            Lever::MostInAZone => Relaxed::MostInAZone {
                most: wish.set_rules.most_per_zone?,
                instead_of: before.set_rules.most_per_zone?,
            },
            Lever::ZonesPreferred => Relaxed::ZonesPreferred,
            Lever::Layout(layout) => Relaxed::Layout { layout: *layout, instead_of: before.layout },
        })
    }
}

impl Lever {
    fn pull(&self, wish: &Wish) -> Wish {
        match self {
            Self::InService(_) | Self::Reserve => wish.clone(),
            Self::AnyTags => Wish { tag_match: None, ..wish.clone() },
            Self::TagRule(rule) => without(wish, rule),
            Self::Limits => Wish { limits: looser(wish.limits), ..wish.clone() },
            // How small it has to be is asked once the other change is made.
            Self::Size => Wish { size: ByteSize::ZERO, ..wish.clone() },
            Self::NoSnapshots => Wish { snapshot_factor_milli: 1000, ..wish.clone() },
            Self::MostInAZone => with_most_in_a_zone(wish, None),
            Self::ZonesPreferred => Wish { zones: ZoneRule::Preferred, ..wish.clone() },
            Self::Layout(layout) => Wish { layout: *layout, ..wish.clone() },
        }
    }
}
