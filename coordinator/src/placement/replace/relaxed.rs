//! What would have to be different for a brick without a place to find one. As with volumes, each change is named only once it
//! was tried: [`replace_in`] has placed exactly that.

use std::fmt;
use std::sync::Arc;

use bricklayer_proto::ids::DeviceId;
use serde::Serialize;

use super::super::relax::{COMES_BACK, OutOfService, Relaxed, keeping, least_change, ready};
use super::super::{Candidate, Placed, Pool, TagRule, ZoneRule};
use super::{Asked, NoReplacement, ReplaceWish, replace_in};

/// A change with which the brick would find a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MoveRelaxation {
    pub change: Relaxed,
    /// Where it would go: `/dev/sdb on gfs4`.
    pub to: String,
    #[serde(skip)]
    pub placed: Placed,
}

impl MoveRelaxation {
    /// How the data is protected less; nothing where it is as safe as before.
    #[must_use]
    pub fn weaker(&self) -> Option<String> {
        self.change.weaker()
    }
}

impl NoReplacement {
    /// With what was asked, so that [`Self::explained`] can look for what would make it fit.
    #[must_use]
    pub fn asked(self, wish: ReplaceWish, pool: Arc<Pool>) -> Self {
        Self { asked: Some(Box::new(Asked { wish, pool })), ..self }
    }

    /// With what would make it fit, as far as it is known what was asked.
    #[must_use]
    pub fn explained(self) -> Self {
        let relaxations = self.asked.as_ref().map(|asked| relaxations(&asked.wish, &asked.pool)).unwrap_or_default();
        Self { relaxations, ..self }
    }

    /// The device that the brick was to leave, as far as it is known what was asked.
    #[must_use]
    pub fn from(&self) -> Option<DeviceId> {
        self.asked.as_ref().map(|asked| asked.wish.from)
    }

    /// With the word that it would fit without what is in the trash, if so. `emptied`: the devices as they would be.
    #[must_use]
    pub fn or_without_trash(mut self, volumes: Vec<String>, emptied: &[Candidate]) -> Self {
        let wish = self.asked.as_ref().map(|asked| &asked.wish);
        let found = wish.and_then(|wish| proven(Relaxed::EmptyTrash { volumes }, wish, &Pool::of(emptied.iter())));
        self.relaxations.splice(0..0, found);
        self
    }
}

fn proven(change: Relaxed, wish: &ReplaceWish, pool: &Pool) -> Option<MoveRelaxation> {
    let placed = replace_in(wish, pool).ok()?;
    let to = pool.find(placed.node, placed.device)?;
    let to = format!("{} on {}", to.device_name, to.node_name);
    Some(MoveRelaxation { change, to, placed })
}

/// What costs nothing first, what protects the data less last.
fn relaxations(wish: &ReplaceWish, pool: &Pool) -> Vec<MoveRelaxation> {
    let mut found = Vec::new();
    if wish.to.is_some() {
        found.extend(proven(Relaxed::AnotherDevice, &ReplaceWish { to: None, ..wish.clone() }, pool));
    }
    found.extend(COMES_BACK.into_iter().find_map(|comes| in_service(wish, pool, comes)));
    if let Some(instead_of) = wish.tag_match.clone() {
        found.extend(proven(Relaxed::AnyTags { instead_of }, &ReplaceWish { tag_match: None, ..wish.clone() }, pool));
    }
    found.extend(wish.set_rules.tags.iter().filter_map(|rule| without(wish, rule, pool)));
    let least = least_change(wish.reserve, |reserve| replace_in(wish, &keeping(pool, reserve)).ok());
    if let Some((to, _)) = least {
        found.extend(proven(Relaxed::Reserve { to, instead_of: wish.reserve }, wish, &keeping(pool, to)));
    }
    found.extend(more_in_a_zone(wish, pool));
    if wish.zones == ZoneRule::Strict {
        found.extend(proven(
            Relaxed::ZonesPreferred,
            &ReplaceWish { zones: ZoneRule::Preferred, ..wish.clone() },
            pool,
        ));
    }
    found
}

fn in_service(wish: &ReplaceWish, pool: &Pool, comes: fn(&Candidate) -> bool) -> Option<MoveRelaxation> {
    let back = pool.with(|one| comes(one).then(|| ready(one)));
    let placed = replace_in(wish, &back).ok()?;
    let one = OutOfService::of(pool.find(placed.node, placed.device)?);
    let alone = pool.with(|other| (other.device == one.device).then(|| ready(other)));
    proven(Relaxed::InService { devices: vec![one] }, wish, &alone)
}

fn without(wish: &ReplaceWish, rule: &TagRule, pool: &Pool) -> Option<MoveRelaxation> {
    let mut changed = wish.clone();
    changed.set_rules.tags.retain(|other| other != rule);
    proven(Relaxed::TagRule { without: rule.clone() }, &changed, pool)
}

/// As many as it takes, and no more.
fn more_in_a_zone(wish: &ReplaceWish, pool: &Pool) -> Option<MoveRelaxation> {
    let instead_of = wish.set_rules.most_per_zone.filter(|_| wish.zones == ZoneRule::Preferred)?;
    let all = u32::try_from(wish.others.len()).unwrap_or(u32::MAX).saturating_add(1);
    let more = (instead_of.get().saturating_add(1)..=all).filter_map(std::num::NonZeroU32::new);
    let with = |most| {
        let mut changed = wish.clone();
        changed.set_rules.most_per_zone = Some(most);
        changed
    };
    more.into_iter().find_map(|most| proven(Relaxed::MostInAZone { most, instead_of }, &with(most), pool))
}

/// One sentence without its end: `to /dev/sdb on gfs4, with 5GiB kept in reserve instead of 10GiB`.
impl fmt::Display for MoveRelaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {}, {}", self.to, self.change)?;
        match self.weaker() {
            Some(weaker) => write!(f, "; weaker: {weaker}"),
            None => Ok(()),
        }
    }
}
