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

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::Layout;

use super::{ARBITER_TAG, Candidate, DeviceSpace, Placed, Standing, Wish, ZoneRule};

/// The devices that may take bricks, ordered by zone, node and device, and so independent of the order given.
pub(super) struct Field<'a> {
    devices: Vec<Device<'a>>,
    nodes: Vec<Node>,
    zones: Vec<Range<usize>>,
}

struct Device<'a> {
    candidate: &'a Candidate,
    node: usize,
    takes: Takes,
}

struct Node {
    zone: usize,
    devices: Range<usize>,
}

/// Which bricks a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Takes {
    pub data: bool,
    pub arbiter: bool,
}

impl Takes {
    /// The tag `arbiter` speaks about volumes with an arbiter only, as in heketi.
    pub fn of(layout: Layout, candidate: &Candidate) -> Self {
        match (layout, candidate.tags.get(ARBITER_TAG).map(String::as_str)) {
            (Layout::Arbiter, Some("required")) => Self { data: false, arbiter: true },
            (Layout::Arbiter, Some("disabled")) => Self { data: true, arbiter: false },
            (Layout::Arbiter, _) => Self { data: true, arbiter: true },
            _ => Self { data: true, arbiter: false },
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
    pub fn new(wish: &Wish, candidates: &'a [Candidate]) -> Self {
        let eligible = |candidate: &&Candidate| {
            candidate.standing == Standing::Ready
                && wish.tag_match.as_ref().is_none_or(|rule| rule.matches(&candidate.tags))
        };
        // A node has one zone. Should its devices disagree, two bricks of a set must not come to lie on it all the same.
        let mut zone_of: BTreeMap<NodeId, u32> = BTreeMap::new();
        for candidate in candidates.iter().filter(eligible) {
            zone_of
                .entry(candidate.node)
                .and_modify(|zone| *zone = candidate.zone.min(*zone))
                .or_insert(candidate.zone);
        }
        let mut sorted: Vec<_> =
            candidates.iter().filter(eligible).map(|c| ((zone_of[&c.node], c.node, c.device), c)).collect();
        sorted.sort_by_key(|(key, _)| *key);
        sorted.dedup_by_key(|(key, _)| *key);

        let mut field = Self { devices: Vec::with_capacity(sorted.len()), nodes: Vec::new(), zones: Vec::new() };
        let (mut last_zone, mut last_node) = (None, None);
        for ((zone, node, _), candidate) in sorted {
            if last_zone != Some(zone) {
                field.zones.push(field.nodes.len()..field.nodes.len());
                last_zone = Some(zone);
            }
            let zone = field.zones.len() - 1;
            if last_node != Some(node) {
                field.nodes.push(Node { zone, devices: field.devices.len()..field.devices.len() });
                field.zones[zone].end = field.nodes.len();
                last_node = Some(node);
            }
            let node = field.nodes.len() - 1;
            field.devices.push(Device { candidate, node, takes: Takes::of(wish.layout, candidate) });
            field.nodes[node].devices.end = field.devices.len();
        }
        field
    }

    /// The most that any device has free: no brick is larger.
    pub fn most_free(&self) -> ByteSize {
        self.devices.iter().map(|device| device.candidate.space.free_bytes()).max().unwrap_or_default()
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

    /// What a brick of this role takes from this group; `None` where no 64 bits can tell.
    pub fn space(&self, role: BrickRole, group: &DeviceSpace) -> Option<BrickSpace> {
        group.brick(self.size(role), self.snapshot_factor_milli)
    }
}

/// Places `sets` sets; `None` only where no placement keeps the rules.
pub(super) fn assign(field: &Field<'_>, wish: &Wish, shape: SetShape, sets: usize) -> Option<Vec<Vec<Placed>>> {
    let mut per_zone = bricks_per_zone(field, wish, shape)?;
    let packing = Packing::new(field, shape, sets);
    if let Some(placed) = packing.clone().fill(*per_zone.start(), false) {
        return Some(placed);
    }
    if !packing.can_finish(*per_zone.end(), sets, &OpenSet::none(field)) {
        return None;
    }
    let per_zone = per_zone.find(|per_zone| packing.can_finish(*per_zone, sets, &OpenSet::none(field)))?;
    packing.clone().fill(per_zone, false).or_else(|| packing.fill(per_zone, true))
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
#[derive(Clone)]
struct Packing<'a> {
    field: &'a Field<'a>,
    shape: SetShape,
    sets: usize,
    /// What is left, by device.
    space: Vec<DeviceSpace>,
    /// What a data and an arbiter brick take, by device; `None` where it takes none.
    bricks: Vec<(Option<BrickSpace>, Option<BrickSpace>)>,
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
        let space: Vec<_> = field.devices.iter().map(|device| device.candidate.space).collect();
        let brick = |device: &Device<'_>, role| {
            device.takes.role(role).then(|| shape.space(role, &device.candidate.space)).flatten()
        };
        let bricks = field.devices.iter().map(|d| (brick(d, BrickRole::Data), brick(d, BrickRole::Arbiter))).collect();
        Self { field, shape, sets, space, bricks }
    }

    fn brick(&self, device: usize, role: BrickRole) -> Option<&BrickSpace> {
        let (data, arbiter) = &self.bricks[device];
        match role {
            BrickRole::Data => data.as_ref(),
            BrickRole::Arbiter => arbiter.as_ref(),
        }
    }

    /// Places all sets, with at most `per_zone` bricks of one in one zone. Without the guard it may run into a dead
    /// end; where it does not, the guard would have changed nothing.
    fn fill(mut self, per_zone: usize, guarded: bool) -> Option<Vec<Vec<Placed>>> {
        (0..self.sets)
            .map(|set| {
                let (data, arbiter) = (self.shape.data, self.shape.arbiter);
                let mut open = OpenSet { data, arbiter, ..OpenSet::none(self.field) };
                let rest = self.sets - set - 1;
                let mut placed: Vec<Placed> = Vec::with_capacity(self.shape.bricks());
                for role in self.order() {
                    let device = self.choose(role, per_zone, rest, &mut open, guarded)?;
                    let candidate = self.field.devices[device].candidate;
                    let (asked, space) = (self.shape.size(role), *self.brick(device, role)?);
                    placed.push(Placed { device: candidate.device, node: candidate.node, role, asked, space });
                }
                // GlusterFS takes the last brick of the set for the arbiter.
                placed.sort_by_key(|placed| placed.role == BrickRole::Arbiter);
                Some(placed)
            })
            .collect()
    }

    /// The order in which the bricks of a set are chosen. An arbiter that has a device of its own goes first, so that
    /// the data leaves that device's zone; otherwise the data goes first, or the emptiest node would get the small
    /// brick each time and never fill.
    fn order(&self) -> Vec<BrickRole> {
        let own = |device: usize| {
            self.field.devices[device].takes.only(BrickRole::Arbiter)
                && self.brick(device, BrickRole::Arbiter).is_some_and(|brick| self.space[device].after(brick).is_some())
        };
        let mut order = vec![BrickRole::Data; self.shape.data];
        if self.shape.arbiter > 0 && (0..self.field.devices.len()).any(own) {
            order.insert(0, BrickRole::Arbiter);
        } else {
            order.resize(self.shape.bricks(), BrickRole::Arbiter);
        }
        order
    }

    /// Takes a device for one more brick of the open set: in the zone that has the fewest of its bricks, one kept for
    /// this role before others, the one with most bytes free afterwards, the one with the lowest ids.
    fn choose(
        &mut self,
        role: BrickRole,
        per_zone: usize,
        rest: usize,
        open: &mut OpenSet,
        guarded: bool,
    ) -> Option<usize> {
        let suits = |device: usize| {
            let Device { node, takes, .. } = self.field.devices[device];
            let in_zone = open.in_zone[self.field.nodes[node].zone];
            if in_zone >= per_zone || open.nodes.contains(&node) {
                return None;
            }
            let after = self.space[device].after(self.brick(device, role)?)?;
            Some((in_zone, !takes.only(role), Reverse(after.free_bytes()), device))
        };
        let choices = (0..self.field.devices.len()).filter_map(suits);
        if !guarded {
            let (.., device) = choices.min()?;
            self.take(device, role, open);
            return Some(device);
        }
        let mut choices: Vec<_> = choices.collect();
        choices.sort_unstable();
        // Nodes of one zone with the same room before and after are alike to the guard.
        let mut refused = BTreeSet::new();
        for (.., device) in choices {
            let node = self.field.devices[device].node;
            let most = self.sets * self.shape.arbiter;
            let kept = self.space[device];
            let before = self.node_room(node, most);
            self.take(device, role, open);
            let alike = (self.field.nodes[node].zone, before, self.node_room(node, most));
            if !refused.contains(&alike) {
                if self.can_finish(per_zone, rest, open) {
                    return Some(device);
                }
                refused.insert(alike);
            }
            self.give_back(device, role, open, kept);
        }
        None
    }

    fn take(&mut self, device: usize, role: BrickRole, open: &mut OpenSet) {
        if let Some(after) = self.brick(device, role).and_then(|brick| self.space[device].after(brick)) {
            self.space[device] = after;
        }
        let node = self.field.devices[device].node;
        *open.lacks(role) -= 1;
        open.nodes.push(node);
        open.in_zone[self.field.nodes[node].zone] += 1;
    }

    fn give_back(&mut self, device: usize, role: BrickRole, open: &mut OpenSet, kept: DeviceSpace) {
        self.space[device] = kept;
        let node = self.field.devices[device].node;
        *open.lacks(role) += 1;
        open.nodes.pop();
        open.in_zone[self.field.nodes[node].zone] -= 1;
    }

    /// Whether what the open set lacks, and `rest` sets after it, have a place. Exact.
    fn can_finish(&self, per_zone: usize, rest: usize, open: &OpenSet) -> bool {
        let frame = Frame { data_now: open.data, arbiter_now: open.arbiter, arbiter_later: rest * self.shape.arbiter };
        let mut all = Room::none(frame);
        for (zone, nodes) in self.field.zones.iter().enumerate() {
            let mut room = Room::none(frame);
            for node in nodes.clone() {
                let devices = self.node_room(node, frame.arbiter_now + frame.arbiter_later);
                room = room.beside(&Room::of_node(frame, &devices, rest, !open.nodes.contains(&node)));
            }
            room.limit(per_zone.saturating_sub(open.in_zone[zone]), per_zone.saturating_mul(rest));
            all = all.beside(&room);
        }
        all.most_data_later().is_some_and(|most| most >= count(rest * self.shape.data))
    }

    /// By number of arbiter bricks on the node: the most data bricks beside them.
    fn node_room(&self, node: usize, most_arbiters: usize) -> Vec<u64> {
        let devices = self.field.nodes[node].devices.clone();
        devices.fold(vec![0], |sum, device| {
            let (data, arbiter) = &self.bricks[device];
            add_up(
                &sum,
                &device_room(&self.space[device], data.as_ref(), arbiter.as_ref(), most_arbiters),
                most_arbiters,
            )
        })
    }
}

/// By number of arbiter bricks on the device, up to a number: the most data bricks beside them. Fewer entries where
/// fewer arbiter bricks fit.
pub(super) fn device_room(
    space: &DeviceSpace,
    data: Option<&BrickSpace>,
    arbiter: Option<&BrickSpace>,
    most_arbiters: usize,
) -> Vec<u64> {
    let data_beside = |space: &DeviceSpace| {
        // The first brick may let the group's spare grow, the others do not.
        let (Some(data), Some(first)) = (data, data.and_then(|data| space.after(data))) else { return 0 };
        let each = data.taken().map_or(u64::MAX, |taken| taken.count().max(1));
        1 + first.free.count() / each
    };
    let mut room = vec![data_beside(space)];
    let mut space = *space;
    while room.len() <= most_arbiters {
        let Some(after) = arbiter.and_then(|arbiter| space.after(arbiter)) else { break };
        space = after;
        room.push(data_beside(&space));
    }
    room
}

/// The room of two that share nothing.
fn add_up(one: &[u64], other: &[u64], most_arbiters: usize) -> Vec<u64> {
    let mut sum = vec![0; (one.len() + other.len() - 1).min(most_arbiters + 1)];
    for (i, here) in one.iter().enumerate() {
        for (j, there) in other.iter().enumerate().take(sum.len().saturating_sub(i)) {
            sum[i + j] = sum[i + j].max(here.saturating_add(*there));
        }
    }
    sum
}

/// What is still to be placed: bricks of the open set, arbiter bricks of the sets after it. (Their data bricks are
/// what is counted.)
#[derive(Clone, Copy)]
struct Frame {
    data_now: usize,
    arbiter_now: usize,
    arbiter_later: usize,
}

impl Frame {
    fn cells(self) -> usize {
        (self.data_now + 1) * (self.arbiter_now + 1) * (self.arbiter_later + 1)
    }

    fn cell(self, data_now: usize, arbiter_now: usize, arbiter_later: usize) -> usize {
        (data_now * (self.arbiter_now + 1) + arbiter_now) * (self.arbiter_later + 1) + arbiter_later
    }

    fn all(self) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..=self.data_now).flat_map(move |data| {
            (0..=self.arbiter_now)
                .flat_map(move |arbiter| (0..=self.arbiter_later).map(move |later| (data, arbiter, later)))
        })
    }
}

/// What some nodes can hold: for each number of bricks of the open set and of arbiter bricks of later sets, the most
/// data bricks of later sets beside them; `None` where it is not possible at all.
struct Room {
    frame: Frame,
    cells: Vec<Option<u64>>,
}

impl Room {
    /// Of no node.
    fn none(frame: Frame) -> Self {
        let mut cells = vec![None; frame.cells()];
        cells[0] = Some(0);
        Self { frame, cells }
    }

    /// Of one node: at most one brick of the open set, where it may have one, and of each of `rest` later sets.
    fn of_node(frame: Frame, devices: &[u64], rest: usize, free_now: bool) -> Self {
        let mut room = Self { frame, cells: vec![None; frame.cells()] };
        for (data, arbiter, later) in frame.all() {
            if data + arbiter > usize::from(free_now) || later > rest {
                continue;
            }
            let most = devices.get(arbiter + later).and_then(|most| most.checked_sub(count(data)));
            room.cells[frame.cell(data, arbiter, later)] = most.map(|most| most.min(count(rest - later)));
        }
        room
    }

    /// At most so many bricks of the open set and of all later ones.
    fn limit(&mut self, now: usize, later: usize) {
        for (data, arbiter, arbiter_later) in self.frame.all() {
            let cell = &mut self.cells[self.frame.cell(data, arbiter, arbiter_later)];
            *cell = match later.checked_sub(arbiter_later) {
                Some(left) if data + arbiter <= now => cell.map(|most| most.min(count(left))),
                _ => None,
            };
        }
    }

    /// Of both together.
    fn beside(&self, other: &Self) -> Self {
        let frame = self.frame;
        let mut sum = Self { frame, cells: vec![None; frame.cells()] };
        for (data, arbiter, later) in frame.all() {
            let Some(here) = self.cells[frame.cell(data, arbiter, later)] else { continue };
            let left = Frame {
                data_now: frame.data_now - data,
                arbiter_now: frame.arbiter_now - arbiter,
                arbiter_later: frame.arbiter_later - later,
            };
            for (data_there, arbiter_there, later_there) in left.all() {
                let Some(there) = other.cells[frame.cell(data_there, arbiter_there, later_there)] else { continue };
                let cell = &mut sum.cells[frame.cell(data + data_there, arbiter + arbiter_there, later + later_there)];
                *cell = (*cell).max(Some(here.saturating_add(there)));
            }
        }
        sum
    }

    /// Once everything else is placed.
    fn most_data_later(&self) -> Option<u64> {
        self.cells.last().copied().flatten()
    }
}

fn count(bricks: usize) -> u64 {
    u64::try_from(bricks).unwrap_or(u64::MAX)
}
