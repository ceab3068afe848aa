//! Which devices the bricks of a set may lie on together.
//!
//! Where a set's bricks have to have the same value of a tag, the devices fall apart into fields, one for each value, that
//! have nothing to do with each other: each set goes into one of them, so it is enough to ask each how many it has room for.
//! Within a field, zones and nodes bound what a set may have, and tags of which no two bricks may have the same value.

use std::collections::BTreeMap;
use std::ops::Range;

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::Layout;

use super::policy::value_of;
use super::pool::{Group, Pool};
use super::{ARBITER_TAG, Tags, Wish};

/// The devices that may take bricks, by the values of the tags that all bricks of a set share. Never empty.
pub(super) struct Ground<'a> {
    pub fields: Vec<Field<'a>>,
}

/// Devices that a set may be spread over, ordered by zone and node.
#[derive(Default)]
pub(super) struct Field<'a> {
    pub groups: Vec<Devices<'a>>,
    pub nodes: Vec<Node>,
    pub zones: Vec<Range<usize>>,
    /// For each tag of which a set has no value twice: for each value, the nodes with devices that have it, and those.
    pub classes: Vec<Vec<Class>>,
    last_zone: Option<u32>,
    values: Vec<BTreeMap<&'a str, usize>>,
}

/// Nodes, and those of their groups that have one value of a tag.
type Class = Vec<(usize, Vec<usize>)>;

/// Devices that take the same bricks.
pub(super) struct Devices<'a> {
    pub group: &'a Group,
    pub node: usize,
    pub takes: Takes,
    /// Which class of each tag in [`Field::classes`] they are in.
    pub marks: Vec<usize>,
}

pub(super) struct Node {
    pub id: NodeId,
    pub zone: usize,
    pub groups: Range<usize>,
}

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
    pub fn only(self, role: BrickRole) -> bool {
        self.role(role) && self.data != self.arbiter
    }
}

impl<'a> Ground<'a> {
    pub fn new(wish: &Wish, pool: &'a Pool) -> Self {
        let same: Vec<&str> = wish.set_rules.same().collect();
        let different: Vec<&str> = wish.set_rules.different().collect();
        let mut fields: BTreeMap<Vec<&str>, Field<'a>> = BTreeMap::new();
        for (zone, node, member) in pool.members() {
            let takes = |group: &&Group| wish.is_made_by(group.thin_only) && wish.unmatched(&group.tags).is_none();
            for group in member.groups.iter().filter(takes) {
                let shared = same.iter().map(|key| value_of(&group.tags, key)).collect();
                fields.entry(shared).or_default().add(wish.layout, &different, zone, node, group);
            }
        }
        if fields.is_empty() {
            return Self { fields: vec![Field::default()] };
        }
        Self { fields: fields.into_values().collect() }
    }

    /// The most that any device has free: no brick is larger.
    pub fn most_free(&self) -> ByteSize {
        let groups = self.fields.iter().flat_map(|field| &field.groups);
        groups.map(|devices| devices.group.most_free()).max().unwrap_or_default()
    }
}

impl<'a> Field<'a> {
    /// One more group. They come by zone and node.
    fn add(&mut self, layout: Layout, different: &[&str], zone: u32, id: NodeId, group: &'a Group) {
        let at = self.groups.len();
        if self.nodes.last().is_none_or(|node| node.id != id) {
            if self.last_zone != Some(zone) {
                self.zones.push(self.nodes.len()..self.nodes.len());
                self.last_zone = Some(zone);
            }
            self.nodes.push(Node { id, zone: self.zones.len() - 1, groups: at..at });
        }
        let node = self.nodes.len() - 1;
        self.nodes[node].groups.end = at + 1;
        if let Some(zone) = self.zones.last_mut() {
            zone.end = self.nodes.len();
        }
        let marks = different.iter().enumerate().map(|(key, tag)| self.mark(key, value_of(&group.tags, tag), node, at));
        let marks = marks.collect();
        self.groups.push(Devices { group, node, takes: Takes::of(layout, &group.tags), marks });
    }

    /// The class of a value, which has this group from now on.
    fn mark(&mut self, key: usize, value: &'a str, node: usize, group: usize) -> usize {
        if self.values.len() <= key {
            self.values.push(BTreeMap::new());
            self.classes.push(Vec::new());
        }
        let next = self.values[key].len();
        let class = *self.values[key].entry(value).or_insert(next);
        let classes = &mut self.classes[key];
        if class == classes.len() {
            classes.push(Vec::new());
        }
        match classes[class].last_mut() {
            Some((last, groups)) if *last == node => groups.push(group),
            _ => classes[class].push((node, vec![group])),
        }
        class
    }

    /// Whether nodes and zones are all that keeps the bricks of a set apart.
    pub fn is_plain(&self) -> bool {
        self.classes.is_empty()
    }

    /// What all its devices have free.
    pub fn free(&self) -> ByteSize {
        self.groups.iter().flat_map(|devices| devices.group.free()).sum()
    }
}
