//! What the clients of a history ask for, by what it is about.
//!
//! Each history has a [`Theme`]: half of what is asked belongs to it, so that things that rarely meet do meet, and the rest
//! is anything.

mod adoption;
mod blocks;
mod files;
mod hosts;
mod rules;
mod trash;

use bricklayer_coordinator::model::Topology;
use bricklayer_coordinator::ops::{Operations, Rejected};
use bricklayer_proto::ids::{DeviceId, NodeId, OperationId};

use super::chance::Chance;
pub use adoption::Adoption;
pub use blocks::Blocks;
pub use files::Files;
pub use hosts::{Hosts, node};
pub use rules::Rules;
pub use trash::Trash;

#[derive(Clone, Debug)]
pub enum Wish {
    Files(Files),
    Trash(Trash),
    Hosts(Hosts),
    Blocks(Blocks),
    Rules(Rules),
    Adoption(Adoption),
}

/// What most of a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Files,
    Trash,
    Hosts,
    Blocks,
    Rules,
    Adoption,
}

const THEMES: [Theme; 6] = [Theme::Files, Theme::Trash, Theme::Hosts, Theme::Blocks, Theme::Rules, Theme::Adoption];

impl Theme {
    pub fn any(chance: &mut Chance) -> Self {
        THEMES[chance.index(THEMES.len())]
    }
}

/// What there is to wish about.
pub struct Scene<'a> {
    pub topology: &'a Topology,
    /// How many hosts there are, nodes or not.
    pub hosts: u32,
    /// Hosts that will not come back.
    pub gone: &'a [NodeId],
    /// Devices whose disks will not.
    pub gone_disks: &'a [DeviceId],
    /// Somebody has made a volume by hand.
    pub has_hand_made: bool,
}

impl Wish {
    /// Something that makes sense in this state, most of the time.
    #[must_use]
    pub fn any(scene: &Scene<'_>, theme: Theme, chance: &mut Chance) -> Self {
        let about = if chance.one_in(2) { theme } else { Theme::any(chance) };
        let topology = scene.topology;
        let found = match about {
            Theme::Files => None,
            Theme::Trash => Trash::any(topology, chance).map(Self::Trash),
            Theme::Hosts => Hosts::any(scene, chance).map(Self::Hosts),
            Theme::Blocks => Some(Self::Blocks(Blocks::any(topology, chance))),
            Theme::Rules => Rules::any(topology, chance).map(Self::Rules),
            // Where somebody has made something.
            Theme::Adoption if scene.has_hand_made => Some(Self::Adoption(Adoption::any(topology, chance))),
            Theme::Adoption => None,
        };
        // Where there is nothing of the kind yet, there may be later.
        found.unwrap_or_else(|| Self::Files(Files::any(topology, chance)))
    }

    #[must_use]
    pub fn create(chance: &mut Chance) -> Self {
        Self::Files(Files::create(chance))
    }

    /// Asks for it. What a client is told: the id of its operation, or nothing where it is done at once.
    pub async fn ask(self, operations: &Operations) -> Result<Option<OperationId>, Rejected> {
        match self {
            Self::Files(wish) => wish.ask(operations).await.map(Some),
            Self::Trash(wish) => wish.ask(operations).await.map(Some),
            Self::Hosts(wish) => wish.ask(operations).await,
            Self::Blocks(wish) => wish.ask(operations).await.map(Some),
            Self::Rules(wish) => wish.ask(operations).await.map(|()| None),
            Self::Adoption(wish) => wish.ask(operations).await,
        }
    }
}
