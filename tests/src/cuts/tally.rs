//! How often what has happened.

use std::collections::BTreeMap;
use std::fmt;

use super::blows::Blow;
use super::deeds::Outcome;

#[derive(Debug, Default)]
pub struct Tally {
    fell: BTreeMap<&'static str, usize>,
    /// By the operation that was under way.
    during: BTreeMap<(&'static str, &'static str), usize>,
    /// By what the coordinator said that it was at.
    at: BTreeMap<String, usize>,
    finished: BTreeMap<&'static str, usize>,
    undone: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub fn cuts(&self) -> usize {
        self.fell.values().sum()
    }

    pub fn fell(&mut self, blow: &Blow, deeds: impl Iterator<Item = &'static str>, at: &[String]) {
        *self.fell.entry(blow.kind()).or_default() += 1;
        for deed in deeds {
            *self.during.entry((deed, blow.kind())).or_default() += 1;
        }
        for at in at {
            let words = at.split(" (").next().unwrap_or_default();
            *self.at.entry(words.to_owned()).or_default() += 1;
        }
    }

    pub fn ended(&mut self, deed: &'static str, outcome: &Outcome) {
        let of = match outcome {
            Outcome::Finished(_) => &mut self.finished,
            Outcome::Undone(_) => &mut self.undone,
        };
        *of.entry(deed).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cuts:", self.cuts())?;
        self.fell.iter().try_for_each(|(kind, count)| writeln!(f, "{count:5}  {kind}"))?;
        writeln!(f, "operations, finished and undone:")?;
        let kinds: std::collections::BTreeSet<_> = self.finished.keys().chain(self.undone.keys()).collect();
        for kind in kinds {
            let count = |of: &BTreeMap<&'static str, usize>| of.get(kind).copied().unwrap_or(0);
            writeln!(f, "{:5} {:5}  {kind}", count(&self.finished), count(&self.undone))?;
        }
        writeln!(f, "cuts by operation (one that falls into two counts for both):")?;
        self.during.iter().try_for_each(|((deed, kind), count)| writeln!(f, "{count:5}  {deed}: {kind}"))?;
        writeln!(f, "what operations were at when a cut fell:")?;
        self.at.iter().try_for_each(|(at, count)| writeln!(f, "{count:5}  {at}"))
    }
}
