//! Chooses a device for every brick of one attempt: so many sets of bricks, of known sizes.
//!
//! Bricks are chosen one after the other, each time the device that suits best. That can run into a dead end although
//! another choice would not have. Where it does, the same choice is made again with a guard: a device is taken only if
//! all bricks that are still missing have a place then.
//!
//! The guard is exact and needs no search. All sets are alike, so whether `n` more sets fit depends only on *how many*
//! data and arbiter bricks each device takes for them: if no node has more than `n`, no zone more than `n` times what a
//! set may have in a zone, and the totals are right, then they can be dealt out to `n` sets that keep the rules. (Nodes
//! within zones on one side, roles on the other, are constraints of a network, and whole-number flows of `n` units
//! split into `n` flows of one.) So it is enough to add up: per node, per zone, overall, the most data bricks for each
//! number of arbiter bricks. See [`Room`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::Layout;

use super::pool::{Group, Pool, Slot};
use super::room::{Frame, Room, add_up, count, device_room};
use super::{ARBITER_TAG, DeviceSpace, Placed, Tags, Wish, ZoneRule, ledger};

/// The devices that may take bricks, ordered by zone and node.
pub(super) struct Field<'a> {
    groups: Vec<Devices<'a>>,
    nodes: Vec<Node>,
    zones: Vec<Range<usize>>,
}

/// Devices that take the same bricks.
struct Devices<'a> {
    group: &'a Group,
    node: usize,
    takes: Takes,
}

struct Node {
    id: NodeId,
    zone: usize,
    groups: Range<usize>,
}

/// A device of the field: the group, and its place there.
#[derive(Clone, Copy)]
struct At {
    group: usize,
    slot: usize,
}

/// By which a device is preferred, the least first.
type Preference = (usize, bool, Reverse<ByteSize>, usize, DeviceId);

/// Which bricks a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Takes {
    pub data: bool,
    pub arbiter: bool,
}

impl Takes {
    /// The tag `arbiter` speaks about volumes with an arbiter only, as in heketi.
    pub fn of(layout: Layout, tags: &Tags) -> Self {
        if layout != Layout::Arbiter {
            return Self { data: true, arbiter: false };
        }
        match tags.get(ARBITER_TAG).map(String::as_str) {
            Some("required") => Self { data: false, arbiter: true },
            Some("disabled") => Self { data: true, arbiter: false },
            _ => Self { data: true, arbiter: true },
        }
    }

    pub fn role(self, role: BrickRole) -> bool {
        match role {
            BrickRole::Data => self.data,
            BrickRole::Arbiter => self.arbiter,
        }
    }

    /// Takes this role and no other.
    fn only(self, role: BrickRole) -> bool {
        self.role(role) && self.data != self.arbiter
    }
}

impl<'a> Field<'a> {
    pub fn new(wish: &Wish, pool: &'a Pool) -> Self {
        let mut field = Self { groups: Vec::new(), nodes: Vec::new(), zones: Vec::new() };
        let mut last_zone = None;
        for (zone, id, member) in pool.members() {
            let eligible = |group: &&Group| wish.tag_match.as_ref().is_none_or(|rule| rule.matches(&group.tags));
            let first = field.groups.len();
            let devices =
                |group| Devices { group, node: field.nodes.len(), takes: Takes::of(wish.layout, &group.tags) };
            field.groups.extend(member.groups.iter().filter(eligible).map(devices));
            if field.groups.len() == first {
                continue;
            }
            if last_zone != Some(zone) {
                field.zones.push(field.nodes.len()..field.nodes.len());
                last_zone = Some(zone);
            }
            let zone = field.zones.len() - 1;
            field.nodes.push(Node { id, zone, groups: first..field.groups.len() });
            field.zones[zone].end = field.nodes.len();
        }
        field
    }

    /// The most that any device has free: no brick is larger.
    pub fn most_free(&self) -> ByteSize {
        self.groups.iter().map(|devices| devices.group.most_free()).max().unwrap_or_default()
    }
}

/// The bricks of every set of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetShape {
    pub data: usize,
    pub data_size: ByteSize,
    pub arbiter: usize,
    pub arbiter_size: ByteSize,
    snapshot_factor_milli: u32,
}

impl SetShape {
    pub fn new(wish: &Wish, data_size: ByteSize) -> Self {
        let bricks = usize::try_from(wish.layout.bricks_per_set()).unwrap_or(usize::MAX);
        let arbiter = usize::from(wish.layout == Layout::Arbiter);
        let arbiter_size = wish.arbiter_size(data_size);
        let snapshot_factor_milli = wish.snapshot_factor_milli;
        Self { data: bricks - arbiter, data_size, arbiter, arbiter_size, snapshot_factor_milli }
    }

    pub fn bricks(&self) -> usize {
        self.data + self.arbiter
    }

    fn size(&self, role: BrickRole) -> ByteSize {
        match role {
            BrickRole::Data => self.data_size,
            BrickRole::Arbiter => self.arbiter_size,
        }
    }

    /// What a brick of this role takes from a volume group; `None` where no 64 bits can tell.
    pub fn space(&self, role: BrickRole, extent_size: ExtentSize) -> Option<BrickSpace> {
        ledger::brick(self.size(role), self.snapshot_factor_milli, extent_size)
    }
}

/// Places `sets` sets; `None` only where no placement keeps the rules.
pub(super) fn assign(field: &Field<'_>, wish: &Wish, shape: SetShape, sets: usize) -> Option<Vec<Vec<Placed>>> {
    let mut per_zone = bricks_per_zone(field, wish, shape)?;
    let mut packing = Packing::new(field, shape, sets);
    if let Some(placed) = packing.fill(*per_zone.start(), false) {
        return Some(placed);
    }
    if !packing.can_finish(*per_zone.end(), sets, &OpenSet::none(field)) {
        return None;
    }
    let per_zone = per_zone.find(|per_zone| packing.can_finish(*per_zone, sets, &OpenSet::none(field)))?;
    packing.fill(per_zone, false).or_else(|| packing.fill(per_zone, true))
}

/// Whether [`assign`] would succeed.
pub(super) fn fits(field: &Field<'_>, wish: &Wish, shape: SetShape, sets: usize) -> bool {
    bricks_per_zone(field, wish, shape).is_some_and(|per_zone| {
        Packing::new(field, shape, sets).can_finish(*per_zone.end(), sets, &OpenSet::none(field))
    })
}

/// How many bricks of a set one zone may have, the best first.
fn bricks_per_zone(field: &Field<'_>, wish: &Wish, shape: SetShape) -> Option<RangeInclusive<usize>> {
    if shape.bricks() == 0 {
        return None;
    }
    let least = shape.bricks().div_ceil(field.zones.len().max(1));
    match wish.zones {
        ZoneRule::Strict => (least <= 1).then_some(1..=1),
        ZoneRule::Preferred => Some(least..=shape.bricks()),
    }
}

/// An attempt under way.
struct Packing<'a> {
    field: &'a Field<'a>,
    shape: SetShape,
    sets: usize,
    /// What a data and an arbiter brick take, by group; `None` where its devices take none.
    bricks: Vec<(Option<BrickSpace>, Option<BrickSpace>)>,
    /// What is left on the devices of those groups that have got a brick.
    changed: BTreeMap<usize, Vec<DeviceSpace>>,
}

/// The set that is being filled.
struct OpenSet {
    /// Bricks that it still lacks.
    data: usize,
    arbiter: usize,
    nodes: Vec<usize>,
    /// Bricks that it has, by zone.
    in_zone: Vec<usize>,
}

impl OpenSet {
    /// No set is open.
    fn none(field: &Field<'_>) -> Self {
        Self { data: 0, arbiter: 0, nodes: Vec::new(), in_zone: vec![0; field.zones.len()] }
    }

    fn lacks(&mut self, role: BrickRole) -> &mut usize {
        match role {
            BrickRole::Data => &mut self.data,
            BrickRole::Arbiter => &mut self.arbiter,
        }
    }
}

impl<'a> Packing<'a> {
    fn new(field: &'a Field<'a>, shape: SetShape, sets: usize) -> Self {
        // Nearly always all groups have extents of one size.
        let mut last = None;
        let bricks = |devices: &Devices<'_>| {
            let one = devices.group.extent_size;
            let (data, arbiter) = match last {
                Some((size, spaces)) if size == one => spaces,
                _ => (shape.space(BrickRole::Data, one), shape.space(BrickRole::Arbiter, one)),
            };
            last = Some((one, (data, arbiter)));
            (data.filter(|_| devices.takes.data), arbiter.filter(|_| devices.takes.arbiter))
        };
        let bricks = field.groups.iter().map(bricks).collect();
        Self { field, shape, sets, bricks, changed: BTreeMap::new() }
    }

    fn brick(&self, group: usize, role: BrickRole) -> Option<&BrickSpace> {
        let (data, arbiter) = &self.bricks[group];
        match role {
            BrickRole::Data => data.as_ref(),
            BrickRole::Arbiter => arbiter.as_ref(),
        }
    }

    /// What is left on the devices of a group.
    fn spaces(&self, group: usize) -> impl Iterator<Item = DeviceSpace> {
        let changed = self.changed.get(&group);
        let slots = self.field.groups[group].group.slots.iter().enumerate();
        slots.map(move |(at, slot)| changed.map_or(slot.space, |spaces| spaces[at]))
    }

    fn space_mut(&mut self, at: At) -> &mut DeviceSpace {
        let slots = &self.field.groups[at.group].group.slots;
        let changed = self.changed.entry(at.group);
        &mut changed.or_insert_with(|| slots.iter().map(|slot| slot.space).collect())[at.slot]
    }

    /// Places all sets, with at most `per_zone` bricks of one in one zone. Without the guard it may run into a dead
    /// end; where it does not, the guard would have changed nothing.
    fn fill(&mut self, per_zone: usize, guarded: bool) -> Option<Vec<Vec<Placed>>> {
        let placed = (0..self.sets).map(|set| self.fill_set(per_zone, self.sets - set - 1, guarded)).collect();
        self.changed.clear();
        placed
    }

    /// `rest`: how many sets are still to come.
    fn fill_set(&mut self, per_zone: usize, rest: usize, guarded: bool) -> Option<Vec<Placed>> {
        let (data, arbiter) = (self.shape.data, self.shape.arbiter);
        let mut open = OpenSet { data, arbiter, ..OpenSet::none(self.field) };
        let mut placed: Vec<Placed> = Vec::with_capacity(self.shape.bricks());
        for role in self.order() {
            let at = if guarded {
                self.choose_guarded(role, per_zone, rest, &mut open)?
            } else {
                let at = self.best(role, per_zone, &open)?;
                self.take(at, role, &mut open);
                at
            };
            let Devices { group, node, .. } = self.field.groups[at.group];
            let (device, node) = (group.slots[at.slot].device, self.field.nodes[node].id);
            let (asked, space) = (self.shape.size(role), *self.brick(at.group, role)?);
            placed.push(Placed { device, node, role, asked, space });
        }
        // GlusterFS takes the last brick of the set for the arbiter.
        placed.sort_by_key(|placed| placed.role == BrickRole::Arbiter);
        Some(placed)
    }

    /// The order in which the bricks of a set are chosen. An arbiter that has a device of its own goes first, so that
    /// the data leaves that device's zone; otherwise the data goes first, or the emptiest node would get the small
    /// brick each time and never fill.
    fn order(&self) -> Vec<BrickRole> {
        let own = |group: usize| {
            let Devices { group: devices, takes, .. } = self.field.groups[group];
            takes.only(BrickRole::Arbiter)
                && self.brick(group, BrickRole::Arbiter).is_some_and(|brick| {
                    devices.most_after(brick).is_some() && self.spaces(group).any(|space| space.after(brick).is_some())
                })
        };
        let mut order = vec![BrickRole::Data; self.shape.data];
        if self.shape.arbiter > 0 && (0..self.field.groups.len()).any(own) {
            order.insert(0, BrickRole::Arbiter);
        } else {
            order.resize(self.shape.bricks(), BrickRole::Arbiter);
        }
        order
    }

    /// The device for one more brick of the open set: in the zone that has the fewest of its bricks, one kept for this
    /// role before others, the one with most bytes free afterwards, the one with the lowest ids.
    fn best(&self, role: BrickRole, per_zone: usize, open: &OpenSet) -> Option<At> {
        let mut best: Option<(Preference, At)> = None;
        for group in 0..self.field.groups.len() {
            let Some(bound) = self.bound(group, role, per_zone, open) else { continue };
            if best.as_ref().is_none_or(|(found, _)| bound < *found) {
                best = self.choices(group, role, bound).chain(best).min_by_key(|(preference, _)| *preference);
            }
        }
        best.map(|(_, at)| at)
    }

    /// No device of the group is preferred to this; `None` where none of them may have the brick.
    fn bound(&self, group: usize, role: BrickRole, per_zone: usize, open: &OpenSet) -> Option<Preference> {
        let Devices { group: devices, node, takes } = self.field.groups[group];
        let in_zone = open.in_zone[self.field.nodes[node].zone];
        if in_zone >= per_zone || open.nodes.contains(&node) {
            return None;
        }
        let most = devices.most_after(self.brick(group, role)?)?;
        Some((in_zone, !takes.only(role), Reverse(most), node, devices.slots.first()?.device))
    }

    /// The devices of a group on which the brick fits; `bound` is the group's.
    fn choices(&self, group: usize, role: BrickRole, bound: Preference) -> impl Iterator<Item = (Preference, At)> {
        let (in_zone, shared, _, node, _) = bound;
        let brick = self.brick(group, role);
        let slots = self.field.groups[group].group.slots.iter();
        self.spaces(group).zip(slots).enumerate().filter_map(move |(slot, (space, Slot { device, .. }))| {
            let after = space.after(brick?)?;
            Some(((in_zone, shared, Reverse(after.free_bytes()), node, *device), At { group, slot }))
        })
    }

    /// As [`Self::best`], but takes only a device with which everything that is missing then has a place, and takes it.
    fn choose_guarded(&mut self, role: BrickRole, per_zone: usize, rest: usize, open: &mut OpenSet) -> Option<At> {
        let groups = 0..self.field.groups.len();
        let bounds = groups.filter_map(|group| Some((group, self.bound(group, role, per_zone, open)?)));
        let mut choices: Vec<_> = bounds.flat_map(|(group, bound)| self.choices(group, role, bound)).collect();
        choices.sort_unstable_by_key(|(preference, _)| *preference);
        // Nodes of one zone with the same room before and after are alike to the guard.
        let mut refused = BTreeSet::new();
        for (_, at) in choices {
            let node = self.field.groups[at.group].node;
            let most = self.sets * self.shape.arbiter;
            let kept = *self.space_mut(at);
            let before = self.node_room(node, most);
            self.take(at, role, open);
            let alike = (self.field.nodes[node].zone, before, self.node_room(node, most));
            if !refused.contains(&alike) {
                if self.can_finish(per_zone, rest, open) {
                    return Some(at);
                }
                refused.insert(alike);
            }
            self.give_back(at, role, open, kept);
        }
        None
    }

    fn take(&mut self, at: At, role: BrickRole, open: &mut OpenSet) {
        let brick = self.brick(at.group, role).copied();
        let space = self.space_mut(at);
        if let Some(after) = brick.and_then(|brick| space.after(&brick)) {
            *space = after;
        }
        let node = self.field.groups[at.group].node;
        *open.lacks(role) -= 1;
        open.nodes.push(node);
        open.in_zone[self.field.nodes[node].zone] += 1;
    }

    fn give_back(&mut self, at: At, role: BrickRole, open: &mut OpenSet, kept: DeviceSpace) {
        *self.space_mut(at) = kept;
        let node = self.field.groups[at.group].node;
        *open.lacks(role) += 1;
        open.nodes.pop();
        open.in_zone[self.field.nodes[node].zone] -= 1;
    }

    /// Whether what the open set lacks, and `rest` sets after it, have a place. Exact. More nodes never make it worse,
    /// so it looks no further once it is true, and into no zone beyond what the zone may have.
    fn can_finish(&self, per_zone: usize, rest: usize, open: &OpenSet) -> bool {
        let frame = Frame { data_now: open.data, arbiter_now: open.arbiter, arbiter_later: rest * self.shape.arbiter };
        let needed = count(rest * self.shape.data);
        let mut all = Room::none(frame);
        for (zone, nodes) in self.field.zones.iter().enumerate() {
            let (now, later) = (per_zone.saturating_sub(open.in_zone[zone]), per_zone.saturating_mul(rest));
            let mut room = Room::none(frame);
            for node in nodes.clone() {
                let devices = self.node_room(node, frame.arbiter_now + frame.arbiter_later);
                if devices == [0] {
                    continue;
                }
                room = room.beside(&Room::of_node(frame, &devices, rest, !open.nodes.contains(&node)));
                if room.is_full(now, later) {
                    break;
                }
            }
            room.limit(now, later);
            all = all.beside(&room);
            if all.most_data_later().is_some_and(|most| most >= needed) {
                return true;
            }
        }
        // Without a zone there may yet be nothing to place.
        all.most_data_later().is_some_and(|most| most >= needed)
    }

    /// By number of arbiter bricks on the node: the most data bricks beside them.
    fn node_room(&self, node: usize, most_arbiters: usize) -> Vec<u64> {
        let mut room = vec![0];
        for group in self.field.nodes[node].groups.clone() {
            let (data, arbiter) = &self.bricks[group];
            let fits = |brick: Option<&BrickSpace>| {
                brick.is_some_and(|brick| self.field.groups[group].group.most_after(brick).is_some())
            };
            let (data, arbiter) = (data.as_ref().filter(|b| fits(Some(b))), arbiter.as_ref().filter(|b| fits(Some(b))));
            if data.is_none() && arbiter.is_none() {
                continue;
            }
            for space in self.spaces(group) {
                // As many arbiter bricks as are asked about cost the node no data brick: more room for them is no gain.
                let ample = room.len() > most_arbiters && room.first() == room.last();
                if data.is_none() && ample {
                    break;
                }
                room = add_up(&room, &device_room(&space, data, arbiter, most_arbiters), most_arbiters);
            }
        }
        room
    }
}
