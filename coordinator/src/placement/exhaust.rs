//! All ways to place the sets of an attempt, where no sum tells whether there is one.
//!
//! Needed only for tags of which no two bricks of a set may have the same value: they cut across nodes and zones, which
//! makes it a problem that nobody knows a quick and exact answer to. It is cut off after a number of looks, which a refusal
//! says then. On small clusters that is never reached.

use std::collections::BTreeSet;

use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::Extents;

use super::Placed;
use super::assign::{At, OpenSet, Packing, Unplaced};

/// So many devices are tried for some brick at the most, divided by the groups of devices, as each look costs more with
/// more of them.
const MOST_LOOKS: usize = 200_000;

/// The fewest, however many devices there are.
const LEAST_LOOKS: usize = 100;

struct Search<'p, 'a> {
    packing: &'p mut Packing<'a>,
    per_zone: usize,
    looks_left: usize,
    sets: Vec<Vec<(At, BrickRole)>>,
    /// What was left on the devices that had changed, and the number of sets that found no place then.
    dead_ends: BTreeSet<(usize, Spaces)>,
}

/// Group, slot, free, spare.
type Spaces = Vec<(usize, usize, Extents, Extents)>;

impl Packing<'_> {
    pub(super) fn exhaust(&mut self, per_zone: usize) -> Result<Vec<Vec<Placed>>, Unplaced> {
        let looks_left = (MOST_LOOKS / self.field.groups.len().max(1)).clamp(LEAST_LOOKS, MOST_LOOKS / 8);
        let mut search = Search { packing: self, per_zone, looks_left, sets: Vec::new(), dead_ends: BTreeSet::new() };
        let found = search.sets();
        let (sets, cut_off) = (std::mem::take(&mut search.sets), search.looks_left == 0);
        self.changed.clear();
        match found {
            true => Ok(sets.iter().map(|set| self.in_order(set)).collect()),
            false if cut_off => Err(Unplaced::CutOff),
            false => Err(Unplaced::NoRoom),
        }
    }

    fn in_order(&self, set: &[(At, BrickRole)]) -> Vec<Placed> {
        let mut placed: Vec<Placed> = set.iter().filter_map(|(at, role)| self.placed(*at, *role)).collect();
        placed.sort_by_key(|placed| placed.role == BrickRole::Arbiter);
        placed
    }
}

impl Search<'_, '_> {
    /// Whether the sets that are missing have a place.
    fn sets(&mut self) -> bool {
        let rest = self.packing.sets - self.sets.len();
        if rest == 0 {
            return true;
        }
        let here = (rest, self.spaces());
        if self.dead_ends.contains(&here) {
            return false;
        }
        let order = self.packing.order();
        let (data, arbiter) = (self.packing.shape.data, self.packing.shape.arbiter);
        let mut open = OpenSet { data, arbiter, ..OpenSet::none(self.packing.field) };
        let found = self.bricks(&order, &mut open, &mut Vec::new());
        if !found && self.looks_left > 0 {
            self.dead_ends.insert(here);
        }
        found
    }

    /// Whether the bricks that the set lacks, and the sets after it, have a place.
    fn bricks(&mut self, order: &[BrickRole], open: &mut OpenSet, set: &mut Vec<(At, BrickRole)>) -> bool {
        let Some(role) = order.get(set.len()).copied() else {
            self.sets.push(set.clone());
            let found = self.sets();
            if !found {
                self.sets.pop();
            }
            return found;
        };
        let node_of = |packing: &Packing<'_>, at: &At| packing.field.groups[at.group].node;
        // Bricks of one role are alike: of all their orders one is enough.
        let before = set.iter().rev().find(|(_, other)| *other == role).map(|(at, _)| node_of(self.packing, at));
        let rest = self.packing.sets - self.sets.len() - 1;
        let mut tried = BTreeSet::new();
        for at in self.packing.all_choices(role, self.per_zone, open) {
            let kept = *self.packing.space_mut(at);
            let in_turn = before.is_none_or(|before| node_of(self.packing, &at) > before);
            if !in_turn || !tried.insert((at.group, kept.free, kept.spare)) {
                continue;
            }
            if self.looks_left == 0 {
                return false;
            }
            self.looks_left -= 1;
            self.packing.take(at, role, open);
            set.push((at, role));
            if self.packing.can_finish(self.per_zone, rest, open) && self.bricks(order, open, set) {
                return true;
            }
            set.pop();
            self.packing.give_back(at, role, open, kept);
        }
        false
    }

    fn spaces(&self) -> Spaces {
        let changed = self.packing.changed.iter().flat_map(|(group, spaces)| {
            let slots = &self.packing.field.groups[*group].group.slots;
            let differs = spaces.iter().zip(slots).enumerate().filter(|(_, (now, slot))| **now != slot.space);
            differs.map(|(at, (now, _))| (*group, at, now.free, now.spare))
        });
        changed.collect()
    }
}
