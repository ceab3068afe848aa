//! What goes wrong, and where.

use std::fmt;

use super::UNKNOWN;
use crate::histories::chance::Chance;
use crate::sim::Fault;

/// Ways to fail of which a program is told.
const FAILS: [Fault; 3] = [Fault::Before, Fault::After, Fault::Halfway];
/// The moments at which an agent dies.
const MOMENTS: [Fault; 2] = [Fault::HangsBefore, Fault::HangsAfter];

/// What goes wrong at an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The coordinator dies while the host is at it, which goes on.
    CoordinatorKilled,
    /// The agent dies before or after it.
    AgentKilled(Fault),
    /// Both do; the coordinator comes back first.
    BothKilled(Fault),
    Fails(Fault),
}

/// One try of a deed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    pub host: String,
    /// Counted from 1.
    pub effect: u64,
    pub how: How,
}

/// Deeds with no more effects than these, on all hosts together, are tried in every way.
const FEW: u64 = 4;

/// Which tries are made. Of one seed, the same.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub seed: u64,
    /// Each effect in every way there is. Else only where there are few: the coordinator and an agent die at each effect,
    /// and what else goes wrong is drawn.
    pub all: bool,
}

impl How {
    /// What the host meets.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::CoordinatorKilled => Fault::Holds,
            Self::AgentKilled(fault) | Self::BothKilled(fault) | Self::Fails(fault) => fault,
        }
    }

    #[must_use]
    pub fn kills_coordinator(self) -> bool {
        matches!(self, Self::CoordinatorKilled | Self::BothKilled(_))
    }

    #[must_use]
    pub fn kills_agent(self) -> bool {
        matches!(self, Self::AgentKilled(_) | Self::BothKilled(_))
    }

    #[must_use]
    pub fn kills(self) -> bool {
        self.kills_coordinator() || self.kills_agent()
    }

    /// Whoever dies goes on afterwards, and what is unknown is looked at. Only what failed may be taken back.
    #[must_use]
    pub fn may_undo(self) -> bool {
        matches!(self, Self::Fails(fault) if FAILS.contains(&fault))
    }
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at effect {} of {}", self.how, self.effect, self.host)
    }
}

impl Extent {
    /// For hosts with so many effects each.
    pub(super) fn tries(self, counts: &[(String, u64)]) -> Vec<Try> {
        let mut chance = Chance::of(self.seed);
        let all_ways = self.all || counts.iter().map(|(_, effects)| effects).sum::<u64>() <= FEW;
        let mut tries = Vec::new();
        for (host, effects) in counts {
            for effect in 1..=*effects {
                let ways = if all_ways { all() } else { drawn(&mut chance) };
                tries.extend(ways.into_iter().map(|how| Try { host: host.clone(), effect, how }));
            }
        }
        tries
    }
}

fn all() -> Vec<How> {
    let mut ways = vec![How::CoordinatorKilled];
    ways.extend(MOMENTS.map(How::AgentKilled));
    ways.extend(MOMENTS.map(How::BothKilled));
    ways.extend(FAILS.map(How::Fails));
    ways.extend(UNKNOWN.map(How::Fails));
    ways
}

/// After one effect and before the next is the same to a host that does one thing after the other, so one of the two is
/// enough.
fn drawn(chance: &mut Chance) -> Vec<How> {
    let mut ways = vec![How::CoordinatorKilled, How::AgentKilled(MOMENTS[chance.index(2)])];
    let (both, fails, unknown) = (MOMENTS[chance.index(2)], FAILS[chance.index(3)], UNKNOWN[chance.index(3)]);
    match chance.index(3) {
        0 => ways.push(How::BothKilled(both)),
        1 => ways.push(How::Fails(fails)),
        _ => ways.push(How::Fails(unknown)),
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Vec<(String, u64)> {
        vec![("gfs2".to_owned(), 12), ("gfs1".to_owned(), 7)]
    }

    #[test]
    fn every_effect_of_every_host_meets_a_dying_coordinator_and_a_dying_agent() {
        let tries = Extent { seed: 1, all: false }.tries(&counts());
        for (host, effects) in counts() {
            for effect in 1..=effects {
                let here = |one: &&Try| one.host == host && one.effect == effect;
                let ways: Vec<How> = tries.iter().filter(here).map(|one| one.how).collect();
                assert!(ways.contains(&How::CoordinatorKilled), "{host} {effect}: {ways:?}");
                assert!(ways.iter().any(|how| matches!(how, How::AgentKilled(_))), "{host} {effect}: {ways:?}");
            }
        }
        assert_eq!(tries, Extent { seed: 1, all: false }.tries(&counts()));
    }

    #[test]
    fn where_all_is_asked_for_every_effect_goes_wrong_in_eleven_ways() {
        assert_eq!(Extent { seed: 1, all: true }.tries(&counts()).len(), 19 * 11);
    }
}
