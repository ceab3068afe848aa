//! The devices of a cluster, kept so that a placement looks at few of them.
//!
//! By zone and node; on each node those devices that placement cannot tell apart but by their space are a [`Group`] with
//! two figures that bound what any of them has left beside a brick. A choice walks over the groups and looks into one
//! only where its bound promises more than what was found before. The bound is exact for devices that are alike, so
//! even a cluster of nothing but fresh disks is decided by its first node.
//!
//! A value like any other: the same devices give the same pool, however it came about.

use std::collections::BTreeMap;
use std::sync::Arc;

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::BrickSpace;

use super::{Candidate, DeviceSpace, Standing, Wish, ledger};

/// Every device of a cluster, those that take no bricks included: a refusal names them too. Copies share what they have
/// in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    nodes: BTreeMap<(u32, NodeId), Arc<Member>>,
    zones: BTreeMap<NodeId, u32>,
}

/// A node of the pool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// By device id.
    pub candidates: Vec<Candidate>,
    /// Of those that take bricks.
    pub groups: Vec<Group>,
}

/// Devices of one node that differ in nothing but their space.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub extent_size: ExtentSize,
    pub thin_only: bool,
    pub tags: BTreeMap<String, String>,
    /// By device id; never empty.
    pub slots: Vec<Slot>,
    most_free: Extents,
    /// The most that any has free together with its spare.
    most_with_spare: Extents,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub device: DeviceId,
    pub space: DeviceSpace,
    /// Which of the member's candidates it is.
    pub candidate: usize,
}

impl Pool {
    /// A node has these devices from now on. It has one zone; should they disagree, it is the lowest.
    pub fn put(&mut self, node: NodeId, mut candidates: Vec<Candidate>) {
        self.remove(node);
        candidates.sort_by_key(|candidate| candidate.device);
        if let Some(zone) = candidates.iter().map(|candidate| candidate.zone).min() {
            self.zones.insert(node, zone);
            let groups = Group::all(&candidates);
            self.nodes.insert((zone, node), Arc::new(Member { candidates, groups }));
        }
    }

    /// A device is like this from now on.
    pub(super) fn change(&mut self, to: &Candidate) {
        let member = self.zones.get(&to.node).and_then(|zone| self.nodes.get(&(*zone, to.node)));
        let Some(member) = member else { return };
        let mut candidates = member.candidates.clone();
        if let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.device == to.device) {
            *candidate = to.clone();
        }
        self.put(to.node, candidates);
    }

    pub fn remove(&mut self, node: NodeId) {
        if let Some(zone) = self.zones.remove(&node) {
            self.nodes.remove(&(zone, node));
        }
    }

    /// Those of the candidates, in whatever order and however often each comes, on which the wish's bricks may lie.
    pub(super) fn of_eligible(wish: &Wish, candidates: &[Candidate]) -> Self {
        let eligible = |candidate: &&Candidate| {
            candidate.standing == Standing::Ready
                && wish.is_made_by(candidate.thin_only)
                && wish.unmatched(&candidate.tags).is_none()
        };
        Self::of(candidates.iter().filter(eligible))
    }

    /// Of these, in whatever order and however often each comes.
    pub(super) fn of<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Self {
        let mut by_node: BTreeMap<NodeId, BTreeMap<DeviceId, Candidate>> = BTreeMap::new();
        for candidate in candidates {
            by_node.entry(candidate.node).or_default().entry(candidate.device).or_insert_with(|| candidate.clone());
        }
        let mut pool = Self::default();
        for (node, candidates) in by_node {
            pool.put(node, candidates.into_values().collect());
        }
        pool
    }

    /// By zone, node and device.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.nodes.values().flat_map(|member| &member.candidates)
    }

    #[must_use]
    pub fn find(&self, node: NodeId, device: DeviceId) -> Option<&Candidate> {
        let member = self.nodes.get(&(*self.zones.get(&node)?, node))?;
        let at = member.candidates.binary_search_by_key(&device, |candidate| candidate.device).ok()?;
        member.candidates.get(at)
    }

    /// The same with other devices on the nodes of those that `change` changes.
    pub(super) fn with(&self, change: impl Fn(&Candidate) -> Option<Candidate>) -> Self {
        let mut pool = self.clone();
        for ((_, node), member) in &self.nodes {
            if member.candidates.iter().any(|candidate| change(candidate).is_some()) {
                let changed = |candidate: &Candidate| change(candidate).unwrap_or_else(|| candidate.clone());
                pool.put(*node, member.candidates.iter().map(changed).collect());
            }
        }
        pool
    }

    /// By zone and node.
    pub(super) fn members(&self) -> impl Iterator<Item = (u32, NodeId, &Member)> {
        self.nodes.iter().map(|((zone, node), member)| (*zone, *node, member.as_ref()))
    }
}

impl Group {
    fn all(candidates: &[Candidate]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let ready = candidates.iter().enumerate().filter(|(_, candidate)| candidate.standing == Standing::Ready);
        for (at, candidate) in ready {
            let (space, tags, thin_only) = (candidate.space, &candidate.tags, candidate.thin_only);
            let slot = Slot { device: candidate.device, space, candidate: at };
            let with_spare = space.free.checked_add(space.spare).unwrap_or(Extents::new(u64::MAX));
            let alike = |group: &&mut Self| {
                group.extent_size == space.extent_size && group.thin_only == thin_only && group.tags == *tags
            };
            match groups.iter_mut().find(alike) {
                Some(group) => {
                    group.slots.push(slot);
                    group.most_free = group.most_free.max(space.free);
                    group.most_with_spare = group.most_with_spare.max(with_spare);
                }
                None => groups.push(Self {
                    extent_size: space.extent_size,
                    thin_only,
                    tags: tags.clone(),
                    slots: vec![slot],
                    most_free: space.free,
                    most_with_spare: with_spare,
                }),
            }
        }
        groups
    }

    /// What each of them has free.
    pub fn free(&self) -> impl Iterator<Item = ByteSize> {
        self.slots.iter().map(|slot| slot.space.free_bytes())
    }

    pub fn most_free(&self) -> ByteSize {
        ledger::bytes(self.most_free, self.extent_size)
    }

    /// No device of the group has more bytes free than this once it has the brick; `None` where it fits on none.
    ///
    /// A device is left with `free - taken`, or with `free + spare - metadata - taken` where its spare has to grow:
    /// with the less of both. So the group's most of each bound it, and only more can be taken from a device meanwhile.
    pub fn most_after(&self, brick: &BrickSpace) -> Option<ByteSize> {
        let left = self.most_free.min(self.most_with_spare.checked_sub(brick.metadata)?).checked_sub(brick.taken()?)?;
        Some(ledger::bytes(left, self.extent_size))
    }
}
