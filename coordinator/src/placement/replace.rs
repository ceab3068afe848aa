//! Chooses where one brick of a set moves to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::Layout;
use serde::Serialize;

use super::ground::Takes;
use super::policy::{usual, value_of};
use super::refusal::{AGENT_TOO_OLD, DEVICES_IN_TEXT, at_least, counted};
use super::{
    Candidate, OverCommit, Placed, Pool, Provision, Reserve, SetRules, Standing, TagMatch, Tags, ZoneRule, ledger,
};

mod relaxed;

pub use relaxed::MoveRelaxation;

/// The brick that moves, and what its set and its volume demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaceWish {
    pub layout: Layout,
    pub role: BrickRole,
    pub asked: ByteSize,
    pub snapshot_factor_milli: u32,
    pub zones: ZoneRule,
    pub tag_match: Option<TagMatch>,
    pub set_rules: SetRules,
    pub over_commit: OverCommit,
    /// As it is now: a brick does not become another kind by moving.
    pub provisioning: Provisioning,
    /// Where it is now.
    pub from: DeviceId,
    /// The other bricks of its set.
    pub others: Vec<OtherBrick>,
    /// The device that a person chose; all of them otherwise.
    pub to: Option<DeviceId>,
    /// What is kept free on each device: off their free space already, and here for a refusal to say how much less would do.
    pub reserve: Reserve,
}

impl ReplaceWish {
    fn brick(&self, one: ExtentSize) -> Option<BrickSpace> {
        let Self { provisioning, snapshot_factor_milli, over_commit, .. } = *self;
        let provision = Provision { provisioning, snapshot_factor_milli, over_commit };
        provision.of_role(self.role).space(self.asked, one)
    }
}

/// Where another brick of the set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherBrick {
    pub node: NodeId,
    pub zone: u32,
    /// Of its device and node; needed only where the set's rules speak about tags.
    pub tags: Tags,
}

impl OtherBrick {
    #[must_use]
    pub fn at(candidate: &Candidate) -> Self {
        Self { node: candidate.node, zone: candidate.zone, tags: candidate.tags.clone() }
    }
}

/// There is no device for it; says of each why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoReplacement {
    pub size: ByteSize,
    pub devices: Vec<(String, WhyNot)>,
    /// What would make it fit; empty until it was looked for, by [`NoReplacement::explained`].
    pub relaxations: Vec<MoveRelaxation>,
    /// What was asked, of which devices, where somebody may want that.
    #[serde(skip)]
    pub(super) asked: Option<Box<Asked>>,
}

/// What a refusal is explained by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub wish: ReplaceWish,
    pub pool: Arc<Pool>,
}

/// The devices that fail the same rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyNotCount {
    /// The first of them that failed it.
    pub why: WhyNot,
    pub devices: usize,
    /// What the one that is nearest to it is short of; of devices that are too full.
    pub least_short: Option<ByteSize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum WhyNot {
    /// The brick is there now.
    Itself,
    NotReady {
        standing: Standing,
    },
    /// Its node's agent does not make thick bricks.
    AgentTooOld,
    /// Another brick of the set is on its node.
    NodeOfSet,
    /// As many other bricks of the set are in its zone as may be there.
    ZoneOfSet {
        zone: u32,
        most: usize,
    },
    Tag {
        wanted: TagMatch,
    },
    /// Another brick of the set is on a device with the same value, which none may share.
    TagOfSet {
        key: String,
        value: String,
    },
    /// The other bricks of the set are on devices with another value, which all have to share.
    TagNotOfSet {
        key: String,
        wanted: String,
    },
    /// The tag `arbiter` keeps this role off it.
    Role {
        role: BrickRole,
    },
    Space {
        needed: ByteSize,
        free: ByteSize,
        /// What the policy keeps free besides.
        kept: ByteSize,
        short: ByteSize,
    },
}

/// The device that suits best: in a zone of its own, with the most bytes free afterwards, the lowest id.
///
/// # Errors
/// Where no device, or not the chosen one, may take the brick.
pub fn replace(wish: &ReplaceWish, candidates: &[Candidate]) -> Result<Placed, NoReplacement> {
    replace_among(wish, candidates.iter())
}

/// As [`replace`], with the devices of a pool.
///
/// # Errors
/// As there.
pub fn replace_in(wish: &ReplaceWish, pool: &Pool) -> Result<Placed, NoReplacement> {
    let best = if wish.to.is_none() { best_in(wish, pool) } else { None };
    best.map_or_else(|| replace_among(wish, pool.candidates()), Ok)
}

/// All devices that may take the brick, the best first.
pub(super) fn options_in(wish: &ReplaceWish, pool: &Pool) -> Vec<Placed> {
    let zones: BTreeSet<u32> = wish.others.iter().map(|other| other.zone).collect();
    let fitting = pool.candidates().filter_map(|candidate| {
        let (placed, left) = judge(wish, candidate).ok()?;
        Some((preference(&zones, candidate, left), placed))
    });
    let mut fitting: Vec<_> = fitting.collect();
    fitting.sort_by_key(|(preference, _)| *preference);
    fitting.into_iter().map(|(_, placed)| placed).collect()
}

/// By which a device is preferred, the least first.
type Preference = (bool, Reverse<ByteSize>, u32, NodeId, DeviceId);

fn preference(zones: &BTreeSet<u32>, candidate: &Candidate, left: ByteSize) -> Preference {
    (zones.contains(&candidate.zone), Reverse(left), candidate.zone, candidate.node, candidate.device)
}

/// Looks only into groups of devices that may be better than what was found before.
fn best_in(wish: &ReplaceWish, pool: &Pool) -> Option<Placed> {
    let zones: BTreeSet<u32> = wish.others.iter().map(|other| other.zone).collect();
    let mut best: Option<(Preference, Placed)> = None;
    for (_, _, member) in pool.members() {
        for group in &member.groups {
            let Some(brick) = wish.brick(group.extent_size) else { continue };
            let first = group.slots.first().map(|slot| &member.candidates[slot.candidate]);
            let (Some(most), Some(first)) = (group.most_after(&brick), first) else { continue };
            let bound = preference(&zones, first, most);
            if best.as_ref().is_some_and(|(found, _)| *found <= bound) {
                continue;
            }
            let fitting = group.slots.iter().filter_map(|slot| {
                let candidate = &member.candidates[slot.candidate];
                let (placed, left) = judge(wish, candidate).ok()?;
                Some((preference(&zones, candidate, left), placed))
            });
            best = fitting.chain(best).min_by_key(|(preference, _)| *preference);
        }
    }
    best.map(|(_, placed)| placed)
}

fn replace_among<'a>(
    wish: &ReplaceWish,
    candidates: impl Iterator<Item = &'a Candidate>,
) -> Result<Placed, NoReplacement> {
    let zones: BTreeSet<u32> = wish.others.iter().map(|other| other.zone).collect();
    let mut devices = Vec::new();
    let mut fitting = Vec::new();
    for candidate in candidates.filter(|candidate| wish.to.is_none_or(|to| to == candidate.device)) {
        match judge(wish, candidate) {
            Ok((placed, left)) => fitting.push((preference(&zones, candidate, left), placed)),
            Err(why) => devices.push((format!("{} on {}", candidate.device_name, candidate.node_name), why)),
        }
    }
    match fitting.into_iter().min_by_key(|(key, _)| *key) {
        Some((_, placed)) => Ok(placed),
        None => {
            devices.sort_by(|(one, _), (other, _)| one.cmp(other));
            Err(NoReplacement { size: wish.asked, devices, relaxations: Vec::new(), asked: None })
        }
    }
}

fn judge(wish: &ReplaceWish, candidate: &Candidate) -> Result<(Placed, ByteSize), WhyNot> {
    if candidate.device == wish.from {
        return Err(WhyNot::Itself);
    }
    if candidate.standing != Standing::Ready {
        return Err(WhyNot::NotReady { standing: candidate.standing });
    }
    if wish.provisioning.is_thick() && candidate.thin_only {
        return Err(WhyNot::AgentTooOld);
    }
    if wish.others.iter().any(|other| other.node == candidate.node) {
        return Err(WhyNot::NodeOfSet);
    }
    if let Some(most) = wish.set_rules.most_in_zone(wish.zones) {
        let zone = candidate.zone;
        if wish.others.iter().filter(|other| other.zone == zone).count() >= most {
            return Err(WhyNot::ZoneOfSet { zone, most });
        }
    }
    let own = wish.tag_match.as_ref().filter(|rule| !rule.matches(&candidate.tags));
    if let Some(wanted) = own.or_else(|| wish.set_rules.unmatched(&candidate.tags)) {
        return Err(WhyNot::Tag { wanted: wanted.clone() });
    }
    let of_others = |key| wish.others.iter().map(move |other| value_of(&other.tags, key));
    for key in wish.set_rules.different() {
        let value = value_of(&candidate.tags, key);
        if of_others(key).any(|other| other == value) {
            return Err(WhyNot::TagOfSet { key: key.to_owned(), value: value.to_owned() });
        }
    }
    for key in wish.set_rules.same() {
        let value = value_of(&candidate.tags, key);
        if let Some(wanted) = usual(of_others(key)).filter(|wanted| *wanted != value) {
            return Err(WhyNot::TagNotOfSet { key: key.to_owned(), wanted: wanted.to_owned() });
        }
    }
    if !Takes::of(wish.layout, &candidate.tags).role(wish.role) {
        return Err(WhyNot::Role { role: wish.role });
    }
    let group = &candidate.space;
    let brick = wish.brick(group.extent_size);
    let needed = brick.as_ref().and_then(|brick| group.needed(brick));
    let fits = brick.and_then(|space| Some((space, group.after(&space)?)));
    let Some((space, left)) = fits else {
        let needed = needed.map_or(ByteSize::from_bytes(u64::MAX), |needed| ledger::bytes(needed, group.extent_size));
        let free = group.free_bytes();
        return Err(WhyNot::Space { needed, free, kept: group.kept_bytes(), short: free.short_of(needed) });
    };
    let placed = Placed { device: candidate.device, node: candidate.node, role: wish.role, asked: wish.asked, space };
    Ok((placed, left.free_bytes()))
}

impl std::error::Error for NoReplacement {}

/// The first line is heketi's.
impl fmt::Display for NoReplacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "No Replacement was found for resource requested to be removed")?;
        write!(f, "\nSought: a device for a brick of {}.", self.size)?;
        if self.devices.is_empty() {
            write!(f, " There is no other device in the cluster.")?;
        }
        for (device, why) in self.devices.iter().take(DEVICES_IN_TEXT) {
            write!(f, "\n{device}: {why}")?;
        }
        if let Some(more) = self.devices.get(DEVICES_IN_TEXT..).filter(|more| !more.is_empty()) {
            write!(f, "\nand {} more devices", more.len())?;
        }
        let by_rule = self.by_rule();
        // Where all fail by the same rule, the devices themselves have said so.
        if by_rule.len() > 1 || self.devices.len() > DEVICES_IN_TEXT {
            let counts: Vec<_> = by_rule.iter().map(ToString::to_string).collect();
            write!(f, "\nOf {}: {}.", counted(self.devices.len(), "device"), counts.join("; "))?;
        }
        if !self.relaxations.is_empty() {
            write!(f, "\nIt would find a place:")?;
        }
        for relaxation in &self.relaxations {
            write!(f, "\n- {relaxation}")?;
        }
        Ok(())
    }
}

impl NoReplacement {
    /// The devices counted by the rule that they fail, in the order in which the rules are asked.
    #[must_use]
    pub fn by_rule(&self) -> Vec<WhyNotCount> {
        let mut counts: BTreeMap<(u8, Option<Standing>), WhyNotCount> = BTreeMap::new();
        for (_, why) in &self.devices {
            let count = counts.entry(why.kind()).or_insert_with(|| WhyNotCount {
                why: why.clone(),
                devices: 0,
                least_short: None,
            });
            count.devices += 1;
            if let WhyNot::Space { short, .. } = why {
                count.least_short = Some(count.least_short.map_or(*short, |least| least.min(*short)));
            }
        }
        counts.into_values().collect()
    }
}

impl WhyNot {
    /// Its place among the rules, and what tells two of the first apart.
    fn kind(&self) -> (u8, Option<Standing>) {
        let rule = match self {
            Self::Itself => 0,
            Self::NotReady { standing } => return (1, Some(*standing)),
            Self::AgentTooOld => 2,
            Self::NodeOfSet => 3,
            Self::ZoneOfSet { .. } => 4,
            Self::Tag { .. } => 5,
            Self::TagOfSet { .. } => 6,
            Self::TagNotOfSet { .. } => 7,
            Self::Role { .. } => 8,
            Self::Space { .. } => 9,
        };
        (rule, None)
    }
}

impl fmt::Display for WhyNotCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { why, devices, least_short } = self;
        match why {
            WhyNot::Itself => write!(f, "{devices} where the brick is now"),
            WhyNot::NotReady { standing } => write!(f, "{devices} not used, as {standing}"),
            WhyNot::AgentTooOld => write!(f, "{devices} not used, as {AGENT_TOO_OLD}"),
            WhyNot::NodeOfSet => write!(f, "{devices} on nodes of the set's other bricks"),
            WhyNot::ZoneOfSet { .. } => write!(f, "{devices} in zones of the set's other bricks"),
            WhyNot::Tag { .. } | WhyNot::TagOfSet { .. } | WhyNot::TagNotOfSet { .. } => {
                write!(f, "{devices} with tags that do not suit")
            }
            WhyNot::Role { .. } => write!(f, "{devices} for bricks of the other kind, by the tag `arbiter`"),
            WhyNot::Space { .. } => match least_short {
                Some(short) => write!(f, "{devices} too full, the nearest is {} short", at_least(*short)),
                None => write!(f, "{devices} too full"),
            },
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("the brick is there now"),
            Self::NotReady { standing } => write!(f, "not used: {standing}"),
            Self::AgentTooOld => write!(f, "not used: {AGENT_TOO_OLD}"),
            Self::NodeOfSet => f.write_str("its node holds another brick of the set"),
            Self::ZoneOfSet { zone, most: 1 } => {
                write!(f, "its zone {zone} holds another brick of the set, and no zone may have two")
            }
            Self::ZoneOfSet { zone, most } => {
                write!(f, "its zone {zone} holds {most} other bricks of the set, as many as a zone may have")
            }
            Self::Tag { wanted } => write!(f, "not used: {wanted} is wanted"),
            Self::TagOfSet { key, value } => {
                write!(f, "another brick of the set has the same tag {key}, {value:?}, and they have to be different")
            }
            Self::TagNotOfSet { key, wanted } => {
                write!(f, "the other bricks of the set have the tag {key} {wanted:?}, and all have to have the same")
            }
            Self::Role { role: BrickRole::Data } => f.write_str("its tag `arbiter` reserves it for arbiter bricks"),
            Self::Role { role: BrickRole::Arbiter } => f.write_str("its tag `arbiter` keeps arbiter bricks off it"),
            Self::Space { needed, free, kept, short } => {
                write!(f, "needs {} ({} bytes), {free} free", at_least(*needed), needed.bytes())?;
                if *kept > ByteSize::ZERO {
                    write!(f, " and {kept} kept in reserve")?;
                }
                write!(f, ", {} short", at_least(*short))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use bricklayer_proto::size::Extents;

    use super::super::DeviceSpace;
    use super::*;

    fn candidate(id: u128, node: u128, zone: u32, gib: u64) -> Candidate {
        let one = ExtentSize::FOUR_MIB;
        let free = ByteSize::from_gib(gib).unwrap().to_extents(one);
        Candidate {
            device: DeviceId::from_u128(id),
            node: NodeId::from_u128(node),
            zone,
            standing: Standing::Ready,
            also: Vec::new(),
            space: DeviceSpace { extent_size: one, total: free, free, spare: Extents::ZERO, kept: Extents::ZERO },
            thin_only: false,
            tags: BTreeMap::new(),
            node_name: format!("n{node}"),
            device_name: format!("/dev/sd{id}"),
        }
    }

    /// On the node of that number, in the zone of that number.
    fn other(number: u32) -> OtherBrick {
        OtherBrick { node: NodeId::from_u128(number.into()), zone: number, tags: BTreeMap::new() }
    }

    /// A brick of 5 GiB on device 1 of node 1; its set also has nodes 2 and 3 in the zones 2 and 3.
    fn wish() -> ReplaceWish {
        ReplaceWish {
            layout: Layout::Replicate { replica: 3 },
            role: BrickRole::Data,
            asked: ByteSize::from_gib(5).unwrap(),
            snapshot_factor_milli: 1000,
            zones: ZoneRule::Preferred,
            tag_match: None,
            set_rules: SetRules::default(),
            over_commit: OverCommit::NONE,
            provisioning: Provisioning::Thin,
            from: DeviceId::from_u128(1),
            others: vec![other(2), other(3)],
            to: None,
            reserve: Reserve::NONE,
        }
    }

    fn chosen(wish: &ReplaceWish, candidates: &[Candidate]) -> Result<u128, NoReplacement> {
        let ids = candidates.iter().map(|candidate| candidate.device);
        let placed = replace(wish, candidates)?;
        let at = ids.into_iter().position(|device| device == placed.device);
        Ok(u128::try_from(at.unwrap_or_default()).unwrap())
    }

    #[test]
    fn a_set_never_has_two_bricks_on_one_node_though_another_device_there_is_empty() {
        let refused = replace(&wish(), &[candidate(1, 1, 1, 20), candidate(2, 2, 2, 900)]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "No Replacement was found for resource requested to be removed\nSought: a device for a brick of 5 GiB.\n\
             /dev/sd1 on n1: the brick is there now\n/dev/sd2 on n2: its node holds another brick of the set\n\
             Of 2 devices: 1 where the brick is now; 1 on nodes of the set's other bricks."
        );
    }

    #[test]
    fn another_device_of_the_bricks_own_node_will_do() {
        assert_eq!(chosen(&wish(), &[candidate(1, 1, 1, 20), candidate(4, 1, 1, 20)]), Ok(1));
    }

    #[test]
    fn a_zone_of_its_own_goes_before_a_roomier_device() {
        let candidates = [candidate(4, 4, 2, 900), candidate(5, 5, 4, 20)];
        assert_eq!(chosen(&wish(), &candidates), Ok(1));
    }

    #[test]
    fn strict_zones_refuse_the_zones_of_the_set() {
        let strict = ReplaceWish { zones: ZoneRule::Strict, ..wish() };
        let refused = replace(&strict, &[candidate(4, 4, 2, 900)]).unwrap_err();
        assert_eq!(refused.devices[0].1, WhyNot::ZoneOfSet { zone: 2, most: 1 });
    }

    #[test]
    fn a_zone_takes_as_many_bricks_of_a_set_as_the_policy_allows() {
        let two = SetRules { most_per_zone: NonZeroU32::new(2), ..SetRules::default() };
        let mut wish = ReplaceWish { set_rules: two, ..wish() };
        assert_eq!(chosen(&wish, &[candidate(4, 4, 2, 900)]), Ok(0));
        wish.others.push(OtherBrick { node: NodeId::from_u128(5), ..other(2) });
        let refused = replace(&wish, &[candidate(4, 4, 2, 900)]).unwrap_err();
        assert_eq!(refused.devices[0].1, WhyNot::ZoneOfSet { zone: 2, most: 2 });
    }

    #[test]
    fn tags_that_a_set_shares_or_must_not_share_are_kept() {
        let tagged = |mut of: OtherBrick, value: &str| {
            of.tags.insert("rack".to_owned(), value.to_owned());
            of
        };
        let rule = |rule: &str| SetRules { tags: vec![rule.parse().unwrap()], ..SetRules::default() };
        let others = vec![tagged(other(2), "a"), tagged(other(3), "b")];
        let mut device = candidate(4, 4, 4, 900);
        device.tags.insert("rack".to_owned(), "b".to_owned());
        let different = ReplaceWish { set_rules: rule("different:rack"), others: others.clone(), ..wish() };
        let refused = replace(&different, &[device.clone()]).unwrap_err();
        assert_eq!(refused.devices[0].1, WhyNot::TagOfSet { key: "rack".to_owned(), value: "b".to_owned() });
        device.tags.insert("rack".to_owned(), "c".to_owned());
        assert!(replace(&different, &[device.clone()]).is_ok());

        let same = ReplaceWish { set_rules: rule("same:rack"), others, ..wish() };
        let refused = replace(&same, &[device.clone()]).unwrap_err();
        assert_eq!(refused.devices[0].1, WhyNot::TagNotOfSet { key: "rack".to_owned(), wanted: "a".to_owned() });
        device.tags.insert("rack".to_owned(), "a".to_owned());
        assert!(replace(&same, &[device]).is_ok());
    }

    #[test]
    fn a_thick_brick_stays_thick_and_needs_an_agent_that_makes_it() {
        let thick = ReplaceWish { provisioning: Provisioning::Thick, snapshot_factor_milli: 2000, ..wish() };
        // Exactly its size, where a thin one lacks the room for its metadata and its snapshots.
        let device = candidate(4, 4, 4, 5);
        assert!(
            replace(&ReplaceWish { provisioning: Provisioning::Thin, ..thick.clone() }, std::slice::from_ref(&device))
                .is_err()
        );
        let placed = replace(&thick, std::slice::from_ref(&device)).unwrap();
        assert_eq!(placed.space, BrickSpace::thick(thick.asked, ExtentSize::FOUR_MIB));
        let refused = replace(&thick, &[Candidate { thin_only: true, ..device }]).unwrap_err();
        assert_eq!(refused.devices[0].1, WhyNot::AgentTooOld);
        assert!(refused.to_string().ends_with("(update bricklayer-agent there)"), "{refused}");
    }

    #[test]
    fn a_chosen_device_is_taken_or_refused_and_no_other_instead() {
        let candidates = [candidate(4, 4, 4, 900), candidate(5, 5, 4, 4)];
        let to = |id| ReplaceWish { to: Some(DeviceId::from_u128(id)), ..wish() };
        assert_eq!(chosen(&to(4), &candidates), Ok(0));
        let refused = replace(&to(5), &candidates).unwrap_err();
        assert!(matches!(refused.devices[..], [(_, WhyNot::Space { .. })]), "{refused}");
    }

    #[test]
    fn a_refusal_counts_by_rule_says_what_is_short_and_names_48_devices() {
        let mut candidates: Vec<_> = (10..70).map(|id| candidate(id, id, 4, 4)).collect();
        candidates[0].standing = Standing::AgentDetached;
        candidates[1].space.free = Extents::new(1281);
        let refused = replace(&wish(), &candidates).unwrap_err();
        let text = refused.to_string();
        assert_eq!(text.lines().filter(|line| line.starts_with("/dev/")).count(), 48);
        assert!(text.contains(": needs 5.02 GiB (5385486336 bytes), 4 GiB free, 1.02 GiB short\n"), "{text}");
        assert!(
            text.ends_with(
                "\nand 12 more devices\nOf 60 devices: 1 not used, as its node's agent is not connected (is \
                 bricklayer-agent running there?); 59 too full, the nearest is 12 MiB short."
            ),
            "{text}"
        );
    }

    fn explained(wish: ReplaceWish, candidates: &[Candidate]) -> Vec<String> {
        let pool = Arc::new(Pool::of(candidates.iter()));
        let refused = replace(&wish, candidates).unwrap_err().asked(wish, pool).explained();
        refused.relaxations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_refusal_says_with_which_change_the_brick_would_find_a_place() {
        let mut away = candidate(4, 4, 4, 20);
        away.standing = Standing::DeviceOffline;
        assert_eq!(
            explained(wish(), &[candidate(1, 1, 1, 20), away]),
            [
                "to /dev/sd4 on n4, if /dev/sd4 on n4 were in service (the device is offline (switch it on with `device enable`))"
            ]
        );
        let strict = ReplaceWish { zones: ZoneRule::Strict, ..wish() };
        assert_eq!(
            explained(strict, &[candidate(4, 4, 2, 20)]),
            [
                "to /dev/sd4 on n4, without strict zone checking; weaker: a zone that fails takes more than one brick of a set \
              with it"
            ]
        );
        let mut kept = candidate(5, 5, 5, 20);
        let reserve: Reserve = "16GiB".parse().unwrap();
        kept.space = kept.space.keeping(reserve.of(kept.space.total, kept.space.extent_size));
        assert_eq!(
            explained(ReplaceWish { reserve, ..wish() }, &[kept]),
            ["to /dev/sd5 on n5, with 14GiB kept in reserve instead of 16GiB"]
        );
        let to = ReplaceWish { to: Some(DeviceId::from_u128(6)), ..wish() };
        assert_eq!(
            explained(to, &[candidate(6, 6, 6, 2), candidate(7, 7, 7, 20)]),
            ["to /dev/sd7 on n7, instead of the device that was chosen"]
        );
    }

    #[test]
    fn a_device_for_arbiters_takes_no_data_brick() {
        let mut reserved = candidate(4, 4, 4, 900);
        reserved.tags.insert("arbiter".to_owned(), "required".to_owned());
        let wish = ReplaceWish { layout: Layout::Arbiter, ..wish() };
        assert_eq!(
            replace(&wish, &[reserved.clone()]).unwrap_err().devices[0].1,
            WhyNot::Role { role: BrickRole::Data }
        );
        assert!(replace(&ReplaceWish { role: BrickRole::Arbiter, ..wish }, &[reserved]).is_ok());
    }
}
