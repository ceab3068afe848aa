//! What steers placement, and everything that only looks.

use std::num::NonZeroU32;

use bricklayer_coordinator::doctor::{self, OwnHost, World};
use bricklayer_coordinator::model::{Tags, Topology};
use bricklayer_coordinator::ops::{LedgerOf, Operations, PolicyOf, Rejected, TagChange, Tagged};
use bricklayer_coordinator::placement::{OverCommit, Policy, Reserve, TagRule, ZoneRule};
use jiff::Timestamp;

use super::files::Files;
use crate::histories::chance::Chance;

#[derive(Clone, Debug)]
pub enum Rules {
    Policy {
        of: PolicyOf,
        policy: Policy,
    },
    Tags {
        of: Tagged,
        change: TagChange,
    },
    /// Every look at all that is: whatever is under way, it answers.
    Look {
        at: Files,
    },
}

const WORDS: [&str; 3] = ["red", "green", "blue"];

impl Rules {
    #[must_use]
    pub fn any(topology: &Topology, chance: &mut Chance) -> Option<Self> {
        let nodes: Vec<_> = topology.nodes.keys().copied().collect();
        let devices: Vec<_> = topology.devices.keys().copied().collect();
        Some(match chance.number(0..=9) {
            0..=3 => {
                let of = match topology.clusters.keys().next() {
                    Some(cluster) if chance.one_in(2) => PolicyOf::Cluster(*cluster),
                    _ => PolicyOf::Installation,
                };
                Self::Policy { of, policy: policy(chance) }
            }
            4..=6 => {
                let of = if chance.one_in(2) {
                    Tagged::Node(*chance.of_these(&nodes)?)
                } else {
                    Tagged::Device(*chance.of_these(&devices)?)
                };
                let tags = Tags::from([("rack".to_owned(), (*chance.of_these(&WORDS)?).to_owned())]);
                let change = match chance.number(0..=3) {
                    0 => TagChange::Delete(vec!["rack".to_owned()]),
                    1 => TagChange::Set(tags),
                    _ => TagChange::Update(tags),
                };
                Self::Tags { of, change }
            }
            _ => Self::Look { at: Files::create(chance) },
        })
    }

    pub async fn ask(self, operations: &Operations) -> Result<(), Rejected> {
        match self {
            Self::Policy { of, policy } => operations.set_policy(of, policy).await.map(drop),
            Self::Tags { of, change } => operations.tags(of, change).await.map(drop),
            Self::Look { at } => {
                drop(doctor::examine(&World::of(operations, OwnHost::default(), Timestamp::now())));
                drop((operations.audit(), operations.scores(2), operations.pools(), operations.policies()));
                let topology = operations.topology();
                for cluster in topology.clusters.keys() {
                    drop(operations.ledgers(LedgerOf::Cluster(*cluster))?);
                }
                if let Some(wish) = at.wish() {
                    drop(operations.volume_outlook(wish).await?);
                }
                Ok(())
            }
        }
    }
}

/// Mostly nothing that stands in the way of everything.
fn policy(chance: &mut Chance) -> Policy {
    let mut policy = Policy::default();
    match chance.number(0..=6) {
        0 => policy.zones = Some(ZoneRule::Strict),
        1 => policy.most_per_zone = NonZeroU32::new(2),
        2 => policy.reserve = "1GiB".parse::<Reserve>().ok(),
        3 => policy.tags = "different:rack".parse::<TagRule>().ok().map(|rule| vec![rule]),
        4 | 5 => policy.over_commit = "1.5".parse::<OverCommit>().ok(),
        _ => {}
    }
    policy
}
