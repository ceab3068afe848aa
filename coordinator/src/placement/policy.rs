//! What an installation, a cluster or a volume says about where bricks go.
//!
//! Each says what it wants to be different, and the one above it says the rest: volume, cluster, installation, and last
//! the defaults, which need no reading. That the bricks of a set lie on different nodes is no matter of policy.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use bricklayer_proto::size::{ByteSize, ExtentSize, Extents, GIB, KIB, MIB, NotASize, TIB};
use bricklayer_proto::space::Provisioning;
use serde::{Deserialize, Serialize};

use super::tags::NotATagMatch;
use super::{TagMatch, Tags, ZoneRule};

/// What one of them says; what it leaves out, the one above it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<ZoneRule>,
    /// How many bricks of a set one zone may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_per_zone: Option<NonZeroU32>,
    /// What is kept free on each device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Reserve>,
    /// All of them; none where it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<TagRule>>,
    /// How much more data bricks are promised than their pools have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_commit: Option<OverCommit>,
    /// How the bricks of new volumes are provisioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<Provisioning>,
    /// How far pools that fill up are extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools_at_most: Option<PoolsAtMost>,
}

/// What holds once all have spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub zones: ZoneRule,
    pub reserve: Reserve,
    pub set: SetRules,
    /// None where bricks are thick: they have all that they may hold.
    pub over_commit: OverCommit,
    pub provisioning: Provisioning,
    pub pools_at_most: PoolsAtMost,
}

impl Policy {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What this leaves out is as below.
    #[must_use]
    pub fn over(&self, below: Terms) -> Terms {
        let provisioning = self.provisioning.unwrap_or(below.provisioning);
        let over_commit = self.over_commit.unwrap_or(below.over_commit);
        Terms {
            zones: self.zones.unwrap_or(below.zones),
            reserve: self.reserve.unwrap_or(below.reserve),
            set: SetRules {
                most_per_zone: self.most_per_zone.or(below.set.most_per_zone),
                tags: self.tags.clone().unwrap_or(below.set.tags),
            },
            over_commit: if provisioning.is_thick() { OverCommit::NONE } else { over_commit },
            provisioning,
            pools_at_most: self.pools_at_most.unwrap_or(below.pools_at_most),
        }
    }

    /// The over-commitment that it asks of bricks which are to be thick, and so cannot be over-committed.
    #[must_use]
    pub fn over_commits_thick(&self, below: &Terms) -> Option<OverCommit> {
        let provisioning = self.provisioning.unwrap_or(below.provisioning);
        let over_commit = self.over_commit.unwrap_or(below.over_commit);
        Some(over_commit).filter(|ratio| provisioning.is_thick() && !ratio.is_none())
    }
}

/// Further rules for the bricks of one set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SetRules {
    /// How many of them one zone may have; strict zone checking leaves one anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_per_zone: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagRule>,
}

impl SetRules {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.most_per_zone.is_none() && self.tags.is_empty()
    }

    /// How many bricks of a set one zone may have; `None` where any number may be there.
    #[must_use]
    pub fn most_in_zone(&self, zones: ZoneRule) -> Option<usize> {
        match zones {
            ZoneRule::Strict => Some(1),
            ZoneRule::Preferred => self.most_per_zone.map(|most| usize::try_from(most.get()).unwrap_or(usize::MAX)),
        }
    }

    /// Tags of which all bricks of a set have the same value.
    pub fn same(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().filter_map(|rule| if let TagRule::Same(key) = rule { Some(key.as_str()) } else { None })
    }

    /// Tags of which no two bricks of a set have the same value.
    pub fn different(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().filter_map(|rule| if let TagRule::Different(key) = rule { Some(key.as_str()) } else { None })
    }

    /// The first rule that a device with these tags cannot keep, whatever else the set has.
    #[must_use]
    pub fn unmatched(&self, tags: &Tags) -> Option<&TagMatch> {
        let matches =
            self.tags.iter().filter_map(|rule| if let TagRule::Match(rule) = rule { Some(rule) } else { None });
        matches.into_iter().find(|rule| !rule.matches(tags))
    }
}

/// A device that has not the tag has its empty value, as in heketi.
pub(super) fn value_of<'a>(tags: &'a Tags, key: &str) -> &'a str {
    tags.get(key).map_or("", String::as_str)
}

/// What the devices of a set's bricks have to do with each other: `same:tier`, `different:rack`, `match:tier=fast`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TagRule {
    Same(String),
    Different(String),
    Match(TagMatch),
}

/// A text that is no rule about tags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotATagRule {
    #[error("{0:?} is no rule about tags: write same:KEY, different:KEY or match:KEY=VALUE")]
    Word(String),
    #[error("{0:?} is no name of a tag")]
    Key(String),
    #[error("{0}")]
    Match(#[from] NotATagMatch),
}

impl FromStr for TagRule {
    type Err = NotATagRule;

    fn from_str(text: &str) -> Result<Self, NotATagRule> {
        let (word, rest) = text.split_once(':').ok_or_else(|| NotATagRule::Word(text.to_owned()))?;
        let key = || if TagMatch::is_key(rest) { Ok(rest.to_owned()) } else { Err(NotATagRule::Key(rest.to_owned())) };
        match word {
            "same" => Ok(Self::Same(key()?)),
            "different" => Ok(Self::Different(key()?)),
            "match" => Ok(Self::Match(rest.parse()?)),
            _ => Err(NotATagRule::Word(text.to_owned())),
        }
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(key) => write!(f, "same:{key}"),
            Self::Different(key) => write!(f, "different:{key}"),
            Self::Match(rule) => write!(f, "match:{rule}"),
        }
    }
}

impl TryFrom<String> for TagRule {
    type Error = NotATagRule;

    fn try_from(text: String) -> Result<Self, NotATagRule> {
        text.parse()
    }
}

impl From<TagRule> for String {
    fn from(rule: TagRule) -> Self {
        rule.to_string()
    }
}

/// How many times what its pool has a data brick may hold, by its own word: `1`, `1.5`. In thousandths.
///
/// Above 1 the pool is smaller than the brick. It has to be extended while the brick fills up, and where its group has no more
/// to give, writes to the brick fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OverCommit(u32);

impl OverCommit {
    pub const NONE: Self = Self(1000);

    const MOST: u32 = 10_000;

    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    #[must_use]
    pub fn milli(self) -> u32 {
        self.0
    }
}

impl Default for OverCommit {
    fn default() -> Self {
        Self::NONE
    }
}

/// A text that is no ratio.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no over-commitment: write 1 for none, or a number up to 10 with up to three decimals, such as 1.5")]
pub struct NotAnOverCommit(String);

impl FromStr for OverCommit {
    type Err = NotAnOverCommit;

    fn from_str(text: &str) -> Result<Self, NotAnOverCommit> {
        let milli = milli_of(text).filter(|milli| (1000..=Self::MOST).contains(milli));
        milli.map(Self).ok_or_else(|| NotAnOverCommit(text.chars().take(64).collect()))
    }
}

/// A number with up to three decimals, in thousandths.
fn milli_of(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let decimals: u32 = format!("{decimals:0<3}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(decimals)
}

/// As [`milli_of`] reads it.
fn print_milli(milli: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
}

impl fmt::Display for OverCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_milli(self.0, f)
    }
}

impl TryFrom<String> for OverCommit {
    type Error = NotAnOverCommit;

    fn try_from(text: String) -> Result<Self, NotAnOverCommit> {
        text.parse()
    }
}

impl From<OverCommit> for String {
    fn from(ratio: OverCommit) -> Self {
        ratio.to_string()
    }
}

/// The most that a pool which fills up may be extended to, as a multiple of its brick's size: `1`, `1.5`. In thousandths.
///
/// At 1 a pool that has all that its brick may hold is not extended at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PoolsAtMost(u32);

impl PoolsAtMost {
    const LEAST: u32 = 1000;
    const MOST: u32 = 100_000;

    /// `None` below 1, and above 100.
    #[must_use]
    pub fn of_milli(milli: u32) -> Option<Self> {
        (Self::LEAST..=Self::MOST).contains(&milli).then_some(Self(milli))
    }

    /// Of a brick of so many extents; rounded down.
    #[must_use]
    pub fn of(self, brick: Extents) -> Extents {
        Extents::new(brick.count().saturating_mul(self.0.into()) / 1000)
    }
}

impl Default for PoolsAtMost {
    fn default() -> Self {
        Self(3000)
    }
}

/// A text that is no such multiple.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} does not say how far pools are extended: write a multiple of the brick's size from 1, which is not at all, to 100, with up \
     to three decimals, such as 1.5"
)]
pub struct NotAPoolsAtMost(String);

impl FromStr for PoolsAtMost {
    type Err = NotAPoolsAtMost;

    fn from_str(text: &str) -> Result<Self, NotAPoolsAtMost> {
        milli_of(text).and_then(Self::of_milli).ok_or_else(|| NotAPoolsAtMost(text.chars().take(64).collect()))
    }
}

impl fmt::Display for PoolsAtMost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_milli(self.0, f)
    }
}

impl TryFrom<String> for PoolsAtMost {
    type Error = NotAPoolsAtMost;

    fn try_from(text: String) -> Result<Self, NotAPoolsAtMost> {
        text.parse()
    }
}

impl From<PoolsAtMost> for String {
    fn from(most: PoolsAtMost) -> Self {
        most.to_string()
    }
}

/// What is kept free in each volume group: `10GiB`, or `5%` of its extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reserve {
    Size(ByteSize),
    Percent(u8),
}

impl Reserve {
    pub const NONE: Self = Self::Size(ByteSize::ZERO);

    /// More would leave next to nothing to bricks, and is most likely a slip.
    const MOST_PERCENT: u8 = 90;

    /// Of a group with so many extents; rounded up.
    #[must_use]
    pub fn of(self, total: Extents, one: ExtentSize) -> Extents {
        match self {
            Self::Size(size) => size.to_extents(one),
            Self::Percent(percent) => {
                let kept = (u128::from(total.count()) * u128::from(percent)).div_ceil(100);
                Extents::new(u64::try_from(kept).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Self::NONE
    }
}

/// A text that is no reserve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAReserve {
    #[error("{0:?} is no reserve: write a size such as 10GiB, or a percentage such as 5%, 90% at the most")]
    Percent(String),
    #[error("{0}")]
    Size(#[from] NotASize),
}

impl FromStr for Reserve {
    type Err = NotAReserve;

    fn from_str(text: &str) -> Result<Self, NotAReserve> {
        let Some(percent) = text.strip_suffix('%') else { return Ok(Self::Size(text.parse()?)) };
        let percent = percent.trim().parse().ok().filter(|percent| *percent <= Self::MOST_PERCENT);
        percent.map(Self::Percent).ok_or_else(|| NotAReserve::Percent(text.to_owned()))
    }
}

impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            // Exactly, as it is read back.
            Self::Size(size) => {
                let units = [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
                let whole = |(unit, _): &(u64, &str)| size.bytes() >= *unit && size.bytes().is_multiple_of(*unit);
                let (unit, name) = units.into_iter().find(whole).unwrap_or((1, "B"));
                write!(f, "{}{name}", size.bytes() / unit)
            }
        }
    }
}

impl TryFrom<String> for Reserve {
    type Error = NotAReserve;

    fn try_from(text: String) -> Result<Self, NotAReserve> {
        text.parse()
    }
}

impl From<Reserve> for String {
    fn from(reserve: Reserve) -> Self {
        reserve.to_string()
    }
}

/// Of the values that the other bricks of a set have, the one that most of them have; the lowest of several.
pub(super) fn usual<'a>(values: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().max_by(|(a, many), (b, more)| many.cmp(more).then_with(|| b.cmp(a))).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_printed_as_they_are_written() {
        for text in ["same:tier", "different:rack", "match:tier=fast", "match:tier!=slow"] {
            assert_eq!(text.parse::<TagRule>().unwrap().to_string(), text);
        }
        for text in ["1", "1.5", "1.005", "10"] {
            assert_eq!(text.parse::<OverCommit>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0.9", "10.001", "1.", ".5", "-1", "1.2345", "1e1", "x", "99999999999"] {
            assert!(text.parse::<OverCommit>().is_err(), "{text}");
        }
        for text in ["1", "1.5", "3", "100"] {
            assert_eq!(text.parse::<PoolsAtMost>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0.999", "100.001", "1.", "1e1", "none", "99999999999"] {
            assert!(
                text.parse::<PoolsAtMost>().unwrap_err().to_string().contains("from 1, which is not at all"),
                "{text}"
            );
        }
        for text in ["0B", "10GiB", "1536MiB", "1025B", "5%", "0%"] {
            assert_eq!(text.parse::<Reserve>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_would_be_one() {
        for text in ["rack", "apart:rack", "same:", "different:a b", "match:tier", "same:a=b"] {
            assert!(text.parse::<TagRule>().is_err(), "{text}");
        }
        for text in ["91%", "-1%", "x%", "", "ten", "5.5%"] {
            assert!(text.parse::<Reserve>().is_err(), "{text}");
        }
        assert!("rack".parse::<TagRule>().unwrap_err().to_string().contains("same:KEY"));
    }

    #[test]
    fn a_percentage_is_of_all_extents_and_rounded_up() {
        let one = ExtentSize::FOUR_MIB;
        assert_eq!(Reserve::Percent(5).of(Extents::new(1001), one), Extents::new(51));
        assert_eq!(Reserve::Size(ByteSize::from_bytes(1)).of(Extents::new(1001), one), Extents::new(1));
        assert_eq!(Reserve::NONE.of(Extents::new(1001), one), Extents::ZERO);
    }

    #[test]
    fn what_the_nearer_one_says_counts_and_the_rest_is_as_above() {
        let installation =
            Policy { zones: Some(ZoneRule::Strict), reserve: Some(Reserve::Percent(5)), ..Policy::default() };
        let cluster = Policy { reserve: Some(Reserve::Percent(0)), tags: Some(Vec::new()), ..Policy::default() };
        let terms = cluster.over(installation.over(Terms::default()));
        assert_eq!((terms.zones, terms.reserve), (ZoneRule::Strict, Reserve::Percent(0)));
    }

    #[test]
    fn how_far_pools_go_is_for_the_nearest_one_that_says_it() {
        let says = |text: &str| Policy { pools_at_most: Some(text.parse().unwrap()), ..Policy::default() };
        let most = |policies: &[&Policy]| {
            let terms = policies.iter().fold(Terms::default(), |below, policy| policy.over(below));
            terms.pools_at_most.to_string()
        };
        assert_eq!(most(&[]), "3");
        // Also where it allows more than what is above it.
        assert_eq!(most(&[&says("1.5"), &says("2")]), "2");
        assert_eq!(most(&[&says("1.5"), &Policy::default()]), "1.5");
        let brick = Extents::new(1001);
        assert_eq!(PoolsAtMost::default().of(brick), Extents::new(3003));
        assert_eq!(says("1.5").pools_at_most.unwrap().of(brick), Extents::new(1501));
    }

    #[test]
    fn thick_bricks_are_never_over_committed_whoever_says_which() {
        let thick = Policy { provisioning: Some(Provisioning::Thick), ..Policy::default() };
        let thin = Policy { provisioning: Some(Provisioning::Thin), ..Policy::default() };
        let twice = Policy { over_commit: Some("2".parse().unwrap()), ..Policy::default() };
        let terms = thick.over(twice.over(Terms::default()));
        assert_eq!((terms.provisioning, terms.over_commit), (Provisioning::Thick, OverCommit::NONE));
        // Each of the two contradictions is one, and the way out of it is none.
        assert_eq!(thick.over_commits_thick(&twice.over(Terms::default())), twice.over_commit);
        assert_eq!(twice.over_commits_thick(&thick.over(Terms::default())), twice.over_commit);
        let once = Policy { over_commit: Some(OverCommit::NONE), ..thick.clone() };
        assert_eq!(once.over_commits_thick(&twice.over(Terms::default())), None);
        assert_eq!(thin.over_commits_thick(&twice.over(Terms::default())), None);
    }

    #[test]
    fn the_usual_value_is_the_one_that_most_have() {
        assert_eq!(usual(["b", "a", "b"].into_iter()), Some("b"));
        assert_eq!(usual(["b", "a"].into_iter()), Some("a"));
        assert_eq!(usual(std::iter::empty()), None);
    }
}
