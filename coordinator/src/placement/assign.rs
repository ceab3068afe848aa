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
//!
//! Tags of which no two bricks of a set may have the same value cut across nodes and zones, and then no sum is exact. There
//! the sums of each tag by itself are asked as well, which every placement fulfils, and where the guarded choice ends in a
//! dead end all ways are tried (`exhaust`), up to a number of looks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::Layout;

use super::ground::{Devices, Field, Ground};
use super::pool::Slot;
use super::room::{Frame, Room, add_up, count, device_room};
use super::{DeviceSpace, Placed, Provision, Wish};

/// A device of the field: the group, and its place there.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub group: usize,
    pub slot: usize,
}

/// By which a device is preferred, the least first.
type Preference = (usize, bool, Reverse<ByteSize>, usize, DeviceId);

/// The bricks of every set of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetShape {
    pub data: usize,
    pub data_size: ByteSize,
    pub arbiter: usize,
    pub arbiter_size: ByteSize,
    provision: Provision,
}

impl SetShape {
    pub fn new(wish: &Wish, data_size: ByteSize) -> Self {
        let bricks = usize::try_from(wish.layout.bricks_per_set()).unwrap_or(usize::MAX);
        let arbiter = usize::from(wish.layout == Layout::Arbiter);
        let arbiter_size = wish.arbiter_size(data_size);
        let provision = wish.provision(BrickRole::Data);
        Self { data: bricks - arbiter, data_size, arbiter, arbiter_size, provision }
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
        self.provision.of_role(role).space(self.size(role), extent_size)
    }
}

/// Why sets were not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplaced {
    /// No placement keeps the rules.
    NoRoom,
    /// There were more ways than were tried.
    CutOff,
}

/// Places `sets` sets.
pub(super) fn assign(ground: &Ground<'_>, wish: &Wish, shape: SetShape, sets: usize) -> Result<Sets, Unplaced> {
    if let [field] = ground.fields.as_slice() {
        return assign_in(field, wish, shape, sets);
    }
    let mut cut_off = false;
    let shares = shares(ground, wish, shape, sets, &mut cut_off);
    let Some(shares) = shares else { return Err(if cut_off { Unplaced::CutOff } else { Unplaced::NoRoom }) };
    let mut all = Vec::with_capacity(sets);
    for (field, share) in ground.fields.iter().zip(shares).filter(|(_, share)| *share > 0) {
        all.extend(assign_in(field, wish, shape, share)?);
    }
    Ok(all)
}

/// Whether [`assign`] would succeed.
pub(super) fn fits(ground: &Ground<'_>, wish: &Wish, shape: SetShape, sets: usize) -> bool {
    match ground.fields.as_slice() {
        [field] => fits_in(field, wish, shape, sets, &mut false),
        _ => shares(ground, wish, shape, sets, &mut false).is_some(),
    }
}

type Sets = Vec<Vec<Placed>>;

/// How many sets go into each field: each where they have the most zones, then where most is free.
fn shares(ground: &Ground<'_>, wish: &Wish, shape: SetShape, sets: usize, cut_off: &mut bool) -> Option<Vec<usize>> {
    let mut room: Vec<usize> = Vec::with_capacity(ground.fields.len());
    for field in &ground.fields {
        // The most that fit: what fits also fits with fewer.
        let (mut low, mut high) = (0, sets);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits_in(field, wish, shape, middle, cut_off) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        room.push(low);
    }
    if room.iter().fold(0, |sum: usize, more| sum.saturating_add(*more)) < sets {
        return None;
    }
    let one = u64::try_from(shape.bricks()).unwrap_or(u64::MAX).saturating_mul(shape.data_size.bytes());
    let mut order: Vec<_> = ground.fields.iter().map(|field| (field.zones.len(), field.free().bytes())).collect();
    let mut shares = vec![0; ground.fields.len()];
    for _ in 0..sets {
        let open = (0..shares.len()).filter(|at| shares[*at] < room[*at]);
        let at = open.max_by_key(|at| (order[*at].0.min(shape.bricks()), order[*at].1, Reverse(*at)))?;
        shares[at] += 1;
        order[at].1 = order[at].1.saturating_sub(one);
    }
    Some(shares)
}

fn assign_in(field: &Field<'_>, wish: &Wish, shape: SetShape, sets: usize) -> Result<Sets, Unplaced> {
    let mut per_zone = bricks_per_zone(field, wish, shape).ok_or(Unplaced::NoRoom)?;
    let mut packing = Packing::new(field, shape, sets);
    if let Some(placed) = packing.fill(*per_zone.start(), false) {
        return Ok(placed);
    }
    let can_finish = |packing: &Packing<'_>, most| packing.can_finish(most, sets, &OpenSet::none(field));
    if !can_finish(&packing, *per_zone.end()) {
        return Err(Unplaced::NoRoom);
    }
    if field.is_plain() {
        let per_zone = per_zone.find(|most| can_finish(&packing, *most)).ok_or(Unplaced::NoRoom)?;
        return packing.fill(per_zone, false).or_else(|| packing.fill(per_zone, true)).ok_or(Unplaced::NoRoom);
    }
    let mut ended = Unplaced::NoRoom;
    for most in per_zone {
        if !can_finish(&packing, most) {
            continue;
        }
        if let Some(placed) = packing.fill(most, false).or_else(|| packing.fill(most, true)) {
            return Ok(placed);
        }
        match packing.exhaust(most) {
            Ok(placed) => return Ok(placed),
            Err(Unplaced::CutOff) => ended = Unplaced::CutOff,
            Err(Unplaced::NoRoom) => {}
        }
    }
    Err(ended)
}

fn fits_in(field: &Field<'_>, wish: &Wish, shape: SetShape, sets: usize, cut_off: &mut bool) -> bool {
    if field.is_plain() {
        return bricks_per_zone(field, wish, shape).is_some_and(|per_zone| {
            Packing::new(field, shape, sets).can_finish(*per_zone.end(), sets, &OpenSet::none(field))
        });
    }
    let placed = assign_in(field, wish, shape, sets);
    *cut_off |= placed == Err(Unplaced::CutOff);
    placed.is_ok()
}

/// How many bricks of a set one zone may have, the best first.
fn bricks_per_zone(field: &Field<'_>, wish: &Wish, shape: SetShape) -> Option<RangeInclusive<usize>> {
    if shape.bricks() == 0 {
        return None;
    }
    let least = shape.bricks().div_ceil(field.zones.len().max(1));
    let most = wish.set_rules.most_in_zone(wish.zones).map_or(shape.bricks(), |most| most.min(shape.bricks()));
    (least <= most).then_some(least..=most)
}

/// An attempt under way.
pub(super) struct Packing<'a> {
    pub(super) field: &'a Field<'a>,
    pub(super) shape: SetShape,
    pub(super) sets: usize,
    /// What a data and an arbiter brick take, by group; `None` where its devices take none.
    bricks: Vec<(Option<BrickSpace>, Option<BrickSpace>)>,
    /// What is left on the devices of those groups that have got a brick.
    pub(super) changed: BTreeMap<usize, Vec<DeviceSpace>>,
}

/// The set that is being filled.
pub(super) struct OpenSet {
    /// Bricks that it still lacks.
    pub data: usize,
    pub arbiter: usize,
    pub nodes: Vec<usize>,
    /// Bricks that it has, by zone.
    pub in_zone: Vec<usize>,
    /// The classes that they are in, of each tag of which it has no value twice.
    pub marks: Vec<(usize, usize)>,
}

impl OpenSet {
    /// No set is open.
    pub fn none(field: &Field<'_>) -> Self {
        Self { data: 0, arbiter: 0, nodes: Vec::new(), in_zone: vec![0; field.zones.len()], marks: Vec::new() }
    }

    fn has_mark(&self, devices: &Devices<'_>) -> bool {
        devices.marks.iter().enumerate().any(|(key, class)| self.marks.contains(&(key, *class)))
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

    pub(super) fn space_mut(&mut self, at: At) -> &mut DeviceSpace {
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
            placed.push(self.placed(at, role)?);
        }
        // GlusterFS takes the last brick of the set for the arbiter.
        placed.sort_by_key(|placed| placed.role == BrickRole::Arbiter);
        Some(placed)
    }

    pub(super) fn placed(&self, at: At, role: BrickRole) -> Option<Placed> {
        let Devices { group, node, .. } = self.field.groups[at.group];
        let (device, node) = (group.slots[at.slot].device, self.field.nodes[node].id);
        let (asked, space) = (self.shape.size(role), *self.brick(at.group, role)?);
        Some(Placed { device, node, role, asked, space })
    }

    /// The order in which the bricks of a set are chosen. An arbiter that has a device of its own goes first, so that
    /// the data leaves that device's zone; otherwise the data goes first, or the emptiest node would get the small
    /// brick each time and never fill.
    pub(super) fn order(&self) -> Vec<BrickRole> {
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
        let Devices { group: devices, node, takes, .. } = self.field.groups[group];
        let in_zone = open.in_zone[self.field.nodes[node].zone];
        if in_zone >= per_zone || open.nodes.contains(&node) || open.has_mark(&self.field.groups[group]) {
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

    /// The devices that may have one more brick of the open set, the preferred ones first.
    pub(super) fn all_choices(&self, role: BrickRole, per_zone: usize, open: &OpenSet) -> Vec<At> {
        let groups = 0..self.field.groups.len();
        let bounds = groups.filter_map(|group| Some((group, self.bound(group, role, per_zone, open)?)));
        let mut choices: Vec<_> = bounds.flat_map(|(group, bound)| self.choices(group, role, bound)).collect();
        choices.sort_unstable_by_key(|(preference, _)| *preference);
        choices.into_iter().map(|(_, at)| at).collect()
    }

    /// As [`Self::best`], but takes only a device with which everything that is missing then has a place, and takes it.
    fn choose_guarded(&mut self, role: BrickRole, per_zone: usize, rest: usize, open: &mut OpenSet) -> Option<At> {
        // Nodes of one zone with the same room before and after are alike to the guard.
        let mut refused = BTreeSet::new();
        for at in self.all_choices(role, per_zone, open) {
            let Devices { node, marks, .. } = &self.field.groups[at.group];
            let (node, most) = (*node, self.sets * self.shape.arbiter);
            let kept = *self.space_mut(at);
            let before = self.node_room(node, most);
            self.take(at, role, open);
            let alike = (self.field.nodes[node].zone, marks, before, self.node_room(node, most));
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

    pub(super) fn take(&mut self, at: At, role: BrickRole, open: &mut OpenSet) {
        let brick = self.brick(at.group, role).copied();
        let space = self.space_mut(at);
        if let Some(after) = brick.and_then(|brick| space.after(&brick)) {
            *space = after;
        }
        let Devices { node, marks, .. } = &self.field.groups[at.group];
        *open.lacks(role) -= 1;
        open.nodes.push(*node);
        open.in_zone[self.field.nodes[*node].zone] += 1;
        open.marks.extend(marks.iter().copied().enumerate());
    }

    pub(super) fn give_back(&mut self, at: At, role: BrickRole, open: &mut OpenSet, kept: DeviceSpace) {
        *self.space_mut(at) = kept;
        let Devices { node, marks, .. } = &self.field.groups[at.group];
        *open.lacks(role) += 1;
        open.nodes.pop();
        open.in_zone[self.field.nodes[*node].zone] -= 1;
        open.marks.truncate(open.marks.len() - marks.len());
    }

    /// Whether what the open set lacks, and `rest` sets after it, have a place. Exact where nodes and zones are all that
    /// keeps bricks apart; otherwise true of everything that has a place, and of some that has none.
    pub(super) fn can_finish(&self, per_zone: usize, rest: usize, open: &OpenSet) -> bool {
        let zones = self.field.zones.iter().enumerate().map(|(zone, nodes)| {
            let (now, later) = (per_zone.saturating_sub(open.in_zone[zone]), per_zone.saturating_mul(rest));
            let nodes = nodes.clone().map(|node| (node, self.field.nodes[node].groups.clone()));
            (now, later, nodes)
        });
        self.adds_up(rest, open, zones)
            && self.field.classes.iter().enumerate().all(|(key, classes)| {
                let classes = classes.iter().enumerate().map(|(class, nodes)| {
                    let now = usize::from(!open.marks.contains(&(key, class)));
                    (now, rest, nodes.iter().map(|(node, groups)| (*node, groups.iter().copied())))
                });
                self.adds_up(rest, open, classes)
            })
    }

    /// Whether these have the room: of each so much may be of the open set and of all later ones, and each is some nodes
    /// with some of their groups. More nodes never make it worse, so it looks no further once it is true, and into none
    /// beyond what it may have.
    fn adds_up<Nodes, Groups>(
        &self,
        rest: usize,
        open: &OpenSet,
        classes: impl Iterator<Item = (usize, usize, Nodes)>,
    ) -> bool
    where
        Nodes: Iterator<Item = (usize, Groups)>,
        Groups: Iterator<Item = usize>,
    {
        let frame = Frame { data_now: open.data, arbiter_now: open.arbiter, arbiter_later: rest * self.shape.arbiter };
        let needed = count(rest * self.shape.data);
        let mut all = Room::none(frame);
        for (now, later, nodes) in classes {
            let mut room = Room::none(frame);
            for (node, groups) in nodes {
                let devices = self.groups_room(groups, frame.arbiter_now + frame.arbiter_later);
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

    fn node_room(&self, node: usize, most_arbiters: usize) -> Vec<u64> {
        self.groups_room(self.field.nodes[node].groups.clone(), most_arbiters)
    }

    /// By number of arbiter bricks on these devices of a node: the most data bricks beside them.
    fn groups_room(&self, groups: impl Iterator<Item = usize>, most_arbiters: usize) -> Vec<u64> {
        let mut room = vec![0];
        for group in groups {
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
