//! How many bricks devices, nodes and zones have room for, and what they have together.

use bricklayer_proto::space::BrickSpace;

use super::DeviceSpace;

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
pub(super) fn add_up(one: &[u64], other: &[u64], most_arbiters: usize) -> Vec<u64> {
    if let ([here], [there]) = (one, other) {
        return vec![here.saturating_add(*there)];
    }
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
pub(super) struct Frame {
    pub data_now: usize,
    pub arbiter_now: usize,
    pub arbiter_later: usize,
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
pub(super) struct Room {
    frame: Frame,
    cells: Vec<Option<u64>>,
}

impl Room {
    /// Of no node.
    pub fn none(frame: Frame) -> Self {
        let mut cells = vec![None; frame.cells()];
        cells[0] = Some(0);
        Self { frame, cells }
    }

    /// Of one node: at most one brick of the open set, where it may have one, and of each of `rest` later sets.
    pub fn of_node(frame: Frame, devices: &[u64], rest: usize, free_now: bool) -> Self {
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
    pub fn limit(&mut self, now: usize, later: usize) {
        for (data, arbiter, arbiter_later) in self.frame.all() {
            let cell = &mut self.cells[self.frame.cell(data, arbiter, arbiter_later)];
            *cell = match later.checked_sub(arbiter_later) {
                Some(left) if data + arbiter <= now => cell.map(|most| most.min(count(left))),
                _ => None,
            };
        }
    }

    /// Whether nothing more would change what [`Self::limit`] leaves.
    pub fn is_full(&self, now: usize, later: usize) -> bool {
        self.frame.all().all(|(data, arbiter, arbiter_later)| match later.checked_sub(arbiter_later) {
            Some(left) if data + arbiter <= now => {
                self.cells[self.frame.cell(data, arbiter, arbiter_later)] >= Some(count(left))
            }
            _ => true,
        })
    }

    /// Of both together.
    pub fn beside(&self, other: &Self) -> Self {
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
    pub fn most_data_later(&self) -> Option<u64> {
        self.cells.last().copied().flatten()
    }
}

pub(super) fn count(bricks: usize) -> u64 {
    u64::try_from(bricks).unwrap_or(u64::MAX)
}
