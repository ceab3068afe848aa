//! Why a volume was not placed: the cause in heketi's words, then device by device, in bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, GIB, KIB, MIB, TIB};
use bricklayer_proto::task::Layout;
use serde::Serialize;

use super::assign::SetShape;
use super::ground::Takes;
use super::policy::value_of;
use super::room::device_room;
use super::{Candidate, Relaxation, Standing, TagMatch, Tags, Wish, ledger};

/// So many devices are named in the text; a refusal of a thousand lines is read by nobody. All are in
/// [`Refusal::devices`].
pub(super) const DEVICES_IN_TEXT: usize = 48;

/// Of a device that could take thin bricks.
pub(super) const AGENT_TOO_OLD: &str = "its node's agent is too old for thick bricks (update bricklayer-agent there)";

/// Nothing was placed.
///
/// Its text is for people and for heketi's clients: the first line is what heketi says, [`Refusal::heketi_text`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub cause: Cause,
    pub wish: Wish,
    /// What was tried, in order; never empty.
    pub attempts: Vec<Attempt>,
    /// Every device, by node and device name; measured against the first attempt that could be tried.
    pub devices: Vec<DeviceRefusal>,
    /// The devices counted by the rule that they fail.
    pub by_rule: Vec<RuleCount>,
    /// The largest whole GiB that fits with the same wish; `None` where nothing does.
    pub largest: Option<ByteSize>,
    /// What would make it fit; empty until it was looked for, by [`Refusal::explained`].
    pub relaxations: Vec<Relaxation>,
}

/// The devices that fail the same rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    pub rule: RuleKind,
    pub devices: usize,
    /// What they have free, together.
    pub free: ByteSize,
    /// What the one that is nearest to it is short of; of devices that are too full.
    pub least_short: Option<ByteSize>,
}

/// A [`Rule`] without its numbers, in the order in which the rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    NotReady(Standing),
    AgentTooOld,
    Tag,
    Space,
    Fits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The devices do not have the room for any division that the limits allow.
    NoSpace,
    /// No division was tried: with bricks of the largest size there are already too many.
    TooManyBricks,
    /// No division was tried: a single brick set already has bricks that are too small.
    BrickTooSmall,
}

/// One number of brick sets, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub sets: u64,
    /// Of one data brick.
    pub brick: ByteSize,
    pub ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    BrickTooLarge,
    BrickTooSmall,
    TooManyBricks,
    /// The devices do not have the room.
    NoSpace,
    /// The rules about tags leave more ways than were tried; one of them may do.
    CutOff,
}

impl Ended {
    fn was_tried(self) -> bool {
        matches!(self, Self::NoSpace | Self::CutOff)
    }
}

/// One device, and the first rule by which it was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceRefusal {
    pub node: NodeId,
    pub node_name: String,
    pub zone: u32,
    pub device: DeviceId,
    pub device_name: String,
    /// What a data brick (on a device for arbiters alone, an arbiter brick) takes here, with what the group's spare
    /// grows by.
    pub needed: ByteSize,
    /// What bricks may take.
    pub free: ByteSize,
    /// What the policy keeps free besides.
    pub kept: ByteSize,
    /// Of the tags that the policy's rules for sets speak about.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub set_tags: Tags,
    #[serde(flatten)]
    pub rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Rule {
    /// It takes no bricks now.
    NotReady { standing: Standing },
    /// Its node's agent does not make thick bricks.
    AgentTooOld,
    /// Its tags do not match.
    Tag { wanted: TagMatch, found: Option<String> },
    /// It has too little free for a brick of this role.
    Space { role: BrickRole, short: ByteSize },
    /// It has room for so many data bricks, or for so many arbiter bricks: there were too few others.
    Fits { data: u64, arbiter: u64 },
}

impl Refusal {
    pub(super) fn new<'a>(
        wish: &Wish,
        attempts: Vec<Attempt>,
        candidates: impl Iterator<Item = &'a Candidate>,
        largest: Option<ByteSize>,
    ) -> Self {
        let cause = match measure(&attempts).map(|attempt| attempt.ended) {
            Some(Ended::TooManyBricks) => Cause::TooManyBricks,
            Some(Ended::BrickTooSmall) => Cause::BrickTooSmall,
            Some(Ended::NoSpace | Ended::CutOff | Ended::BrickTooLarge) | None => Cause::NoSpace,
        };
        let devices = device_refusals(wish, &attempts, candidates);
        let by_rule = by_rule(&devices);
        Self { cause, wish: wish.clone(), attempts, devices, by_rule, largest, relaxations: Vec::new() }
    }

    /// heketi's own words. For a new volume it says the same whatever the cause; for an expansion it says by which
    /// limit its search ended, as its search always ends by one.
    #[must_use]
    pub fn heketi_text(&self) -> &'static str {
        match self.attempts.last().map(|attempt| attempt.ended) {
            _ if self.wish.existing_bricks == 0 => "No space",
            Some(Ended::TooManyBricks) => "Maximum number of bricks reached.",
            Some(Ended::BrickTooSmall) => "Minimum brick size limit reached.  Out of space.",
            Some(Ended::NoSpace | Ended::CutOff | Ended::BrickTooLarge) | None => "No space",
        }
    }
}

/// The first attempt that was tried, or the one that ended the search where none was.
fn measure(attempts: &[Attempt]) -> Option<&Attempt> {
    attempts.iter().find(|attempt| attempt.ended.was_tried()).or_else(|| attempts.last())
}

fn device_refusals<'a>(
    wish: &Wish,
    attempts: &[Attempt],
    candidates: impl Iterator<Item = &'a Candidate>,
) -> Vec<DeviceRefusal> {
    let Some(attempt) = measure(attempts) else { return Vec::new() };
    let shape = SetShape::new(wish, attempt.brick);
    let mut devices: Vec<_> = candidates.map(|candidate| device_refusal(wish, shape, candidate)).collect();
    let by_name = |one: &DeviceRefusal, other: &DeviceRefusal| {
        let names = one.node_name.cmp(&other.node_name).then_with(|| one.device_name.cmp(&other.device_name));
        names.then_with(|| one.device.cmp(&other.device))
    };
    devices.sort_by(by_name);
    devices
}

fn by_rule(devices: &[DeviceRefusal]) -> Vec<RuleCount> {
    let mut counts: BTreeMap<RuleKind, RuleCount> = BTreeMap::new();
    for device in devices {
        let rule = device.rule.kind();
        let none = RuleCount { rule, devices: 0, free: ByteSize::ZERO, least_short: None };
        let count = counts.entry(rule).or_insert(none);
        count.devices += 1;
        count.free = ByteSize::from_bytes(count.free.bytes().saturating_add(device.free.bytes()));
        if let Rule::Space { short, .. } = device.rule {
            count.least_short = Some(count.least_short.map_or(short, |least| least.min(short)));
        }
    }
    counts.into_values().collect()
}

impl Rule {
    #[must_use]
    pub fn kind(&self) -> RuleKind {
        match self {
            Self::NotReady { standing } => RuleKind::NotReady(*standing),
            Self::AgentTooOld => RuleKind::AgentTooOld,
            Self::Tag { .. } => RuleKind::Tag,
            Self::Space { .. } => RuleKind::Space,
            Self::Fits { .. } => RuleKind::Fits,
        }
    }
}

fn device_refusal(wish: &Wish, shape: SetShape, candidate: &Candidate) -> DeviceRefusal {
    let space = &candidate.space;
    let takes = Takes::of(wish.layout, &candidate.tags);
    let role = if takes.data { BrickRole::Data } else { BrickRole::Arbiter };
    let needed = shape.space(role, space.extent_size).and_then(|brick| space.needed(&brick));
    let needed = needed.map_or(ByteSize::from_bytes(u64::MAX), |needed| ledger::bytes(needed, space.extent_size));
    let free = space.free_bytes();

    let rule = if candidate.standing != Standing::Ready {
        Rule::NotReady { standing: candidate.standing }
    } else if !wish.is_made_by(candidate.thin_only) {
        Rule::AgentTooOld
    } else if let Some(wanted) = wish.unmatched(&candidate.tags) {
        Rule::Tag { wanted: wanted.clone(), found: candidate.tags.get(wanted.key()).cloned() }
    } else {
        let alone = |takes: bool, role| {
            let brick = takes.then(|| shape.space(role, space.extent_size)).flatten();
            device_room(space, brick.as_ref(), None, 0).first().copied().unwrap_or(0)
        };
        match (alone(takes.data, BrickRole::Data), alone(takes.arbiter, BrickRole::Arbiter)) {
            (0, 0) => Rule::Space { role, short: free.short_of(needed) },
            (data, arbiter) => Rule::Fits { data, arbiter },
        }
    };
    let of_sets = wish.set_rules.same().chain(wish.set_rules.different());
    DeviceRefusal {
        node: candidate.node,
        node_name: candidate.node_name.clone(),
        zone: candidate.zone,
        device: candidate.device,
        device_name: candidate.device_name.clone(),
        needed,
        free,
        kept: space.kept_bytes(),
        set_tags: of_sets.map(|key| (key.to_owned(), value_of(&candidate.tags, key).to_owned())).collect(),
        rule,
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.heketi_text())?;
        self.summary(f)?;
        for device in self.devices.iter().take(DEVICES_IN_TEXT) {
            writeln!(f, "{device}")?;
        }
        if let Some(more) = self.devices.get(DEVICES_IN_TEXT..).filter(|more| !more.is_empty()) {
            writeln!(f, "and {} more devices", more.len())?;
        }
        // Where all fail by the same rule, the devices themselves have said so.
        if self.by_rule.len() > 1 || self.devices.len() > DEVICES_IN_TEXT {
            let counts: Vec<_> = self.by_rule.iter().map(ToString::to_string).collect();
            writeln!(f, "Of {}: {}.", counted(self.devices.len(), "device"), counts.join("; "))?;
        }
        let what = if self.wish.existing_bricks == 0 { "volume" } else { "expansion" };
        match self.largest {
            Some(size) => write!(f, "The largest {what} that fits with this durability has {} GiB.", size.whole_gib())?,
            None => write!(f, "No {what} fits with this durability, however small.")?,
        }
        if !self.relaxations.is_empty() {
            write!(f, "\nIt would fit:")?;
        }
        for relaxation in &self.relaxations {
            write!(f, "\n- {relaxation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { devices, free, .. } = self;
        match self.rule {
            RuleKind::NotReady(standing) => write!(f, "{devices} not used ({free} free there), as {standing}"),
            RuleKind::AgentTooOld => write!(f, "{devices} not used ({free} free there), as {AGENT_TOO_OLD}"),
            RuleKind::Tag => write!(f, "{devices} with other tags ({free} free there)"),
            RuleKind::Space => {
                write!(f, "{devices} too full ({free} free there")?;
                match self.least_short {
                    Some(short) => write!(f, ", the nearest is {} short)", at_least(short)),
                    None => write!(f, ")"),
                }
            }
            RuleKind::Fits => write!(f, "{devices} with room ({free} free there)"),
        }
    }
}

impl Refusal {
    /// What was needed of the whole, and what there was; then which sizes were tried.
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wish = &self.wish;
        let Some(attempt) = measure(&self.attempts) else { return Ok(()) };
        if self.devices.is_empty() {
            return writeln!(f, "There is no device.");
        }
        let (sets, brick) = (attempt.sets, attempt.brick);
        if attempt.ended.was_tried() {
            let number = wish.layout.bricks_per_set();
            let many = if sets == 1 { String::new() } else { format!("{sets} times ") };
            let apart = if number == 1 { String::new() } else { apart(wish) };
            match wish.layout {
                Layout::Arbiter => {
                    let arbiter = wish.arbiter_size(brick);
                    write!(f, "Needed: {many}2 bricks of {brick} and an arbiter brick of {arbiter}{apart}; ")?;
                }
                _ if number == 1 => write!(f, "Needed: {many}1 brick of {brick}; ")?,
                _ => write!(f, "Needed: {many}{number} bricks of {brick}{apart}; ")?,
            }
            let with_room = || self.devices.iter().filter(|device| matches!(device.rule, Rule::Fits { .. }));
            let nodes = with_room().map(|device| device.node).collect::<BTreeSet<_>>().len();
            let zones = with_room().map(|device| device.zone).collect::<BTreeSet<_>>().len();
            match (nodes, zones) {
                (0, _) => writeln!(f, "no device has room for one.")?,
                (nodes, zones) => {
                    let verb = if nodes == 1 { "has" } else { "have" };
                    let (nodes, zones) = (counted(nodes, "node"), counted(zones, "zone"));
                    write!(f, "{nodes} in {zones} {verb} room for one or more")?;
                    let keys: BTreeSet<&str> = wish.set_rules.same().chain(wish.set_rules.different()).collect();
                    for key in keys.into_iter().filter(|_| number > 1) {
                        let values: BTreeSet<_> = with_room().map(|device| value_of(&device.set_tags, key)).collect();
                        write!(f, ", with {} of the tag {key}", counted(values.len(), "value"))?;
                    }
                    writeln!(f, ".")?;
                }
            }
        }
        self.tried(f)
    }

    fn tried(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = &self.wish.limits;
        let tried: Vec<_> = self
            .attempts
            .iter()
            .filter(|attempt| attempt.ended.was_tried())
            .map(|attempt| format!("{} of {}", counted(attempt.sets, "set"), attempt.brick))
            .collect();
        match tried.as_slice() {
            [] => {}
            tried => write!(f, "Tried bricks: {}. ", tried.join(", "))?,
        }
        let Some(last) = self.attempts.last() else { return Ok(()) };
        let (sets, brick) = (counted(last.sets, "set"), last.brick);
        match last.ended {
            Ended::TooManyBricks => {
                let (bricks, most) = (self.wish.bricks(last.sets), limits.most_bricks);
                writeln!(f, "With {sets} of {brick} the volume would have {bricks} bricks, {most} are allowed.")
            }
            Ended::BrickTooSmall => {
                writeln!(f, "With {sets} a brick would have {brick}, the least is {}.", limits.least_brick)
            }
            Ended::NoSpace | Ended::CutOff | Ended::BrickTooLarge => writeln!(f),
        }?;
        if self.attempts.iter().any(|attempt| attempt.ended == Ended::CutOff) {
            let why =
                "The rules about tags leave more ways to place it than were tried: one that was not found may do.";
            writeln!(f, "{why}")?;
        }
        Ok(())
    }
}

/// What the bricks of a set have to do with each other.
fn apart(wish: &Wish) -> String {
    let rules = &wish.set_rules;
    let mut text = match rules.most_in_zone(wish.zones) {
        None => " on different nodes".to_owned(),
        Some(1) => " in different zones".to_owned(),
        Some(most) => format!(" on different nodes, {most} of a set in one zone at most"),
    };
    for key in rules.same() {
        text += &format!(", all with the same tag {key}");
    }
    for key in rules.different() {
        text += &format!(", no two with the same tag {key}");
    }
    text
}

impl fmt::Display for DeviceRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device_name, node_name, needed, free, kept, .. } = self;
        write!(f, "{device_name} on {node_name}: ")?;
        let numbers = |f: &mut fmt::Formatter<'_>| {
            write!(f, "needs {} ({} bytes), {free} free", at_least(*needed), needed.bytes())?;
            if *kept == ByteSize::ZERO { Ok(()) } else { write!(f, " and {kept} kept in reserve") }
        };
        let set_tags = |f: &mut fmt::Formatter<'_>| {
            self.set_tags.iter().try_for_each(|(key, value)| write!(f, "; its tag {key} is {value:?}"))
        };
        match &self.rule {
            Rule::NotReady { standing } => write!(f, "not used: {standing}"),
            Rule::AgentTooOld => write!(f, "not used: {AGENT_TOO_OLD}"),
            Rule::Tag { wanted, found: Some(found) } => {
                write!(f, "not used: {wanted} is wanted, its tag {} is {found:?}", wanted.key())
            }
            Rule::Tag { wanted, found: None } => {
                write!(f, "not used: {wanted} is wanted, it has no tag {}", wanted.key())
            }
            Rule::Space { short, .. } => {
                numbers(f)?;
                write!(f, ", {} short", at_least(*short))
            }
            Rule::Fits { data: 0, arbiter } => {
                numbers(f)?;
                write!(f, "; has room for {}", counted(*arbiter, "arbiter brick"))?;
                set_tags(f)
            }
            Rule::Fits { data, .. } => {
                numbers(f)?;
                write!(f, "; has room for {}", counted(*data, "brick"))?;
                set_tags(f)
            }
        }
    }
}

/// Like a size's own text, but rounded up: what is needed is never shown as less than it is.
pub(super) fn at_least(size: ByteSize) -> String {
    let bytes = size.bytes();
    let Some((unit, name)) =
        [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")].into_iter().find(|(unit, _)| bytes >= *unit)
    else {
        return size.to_string();
    };
    if bytes.is_multiple_of(unit) {
        return size.to_string();
    }
    let hundredths = (u128::from(bytes) * 100).div_ceil(u128::from(unit));
    format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
}

pub(super) fn counted(count: impl fmt::Display, what: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {what}{plural}")
}
