use std::collections::BTreeMap;

use bricklayer_proto::ids::{ClusterId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::placement::{Policy, PoolsAtMost, Terms};

/// What the installation, and of its clusters each that wants it otherwise, says about where bricks go. One record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    #[serde(default)]
    pub installation: Policy,
    /// Those that say anything.
    #[serde(default)]
    pub clusters: BTreeMap<ClusterId, Policy>,
    /// How far the pools of volumes are extended, where that was said after they were made; instead of what their options say,
    /// be it nothing any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools_of_volumes: BTreeMap<VolumeId, Option<PoolsAtMost>>,
}

impl Policies {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How far its own pools are extended by the word of a volume itself, with the options that it was made with.
    #[must_use]
    pub fn pools_of(&self, volume: VolumeId, options: &Policy) -> Option<PoolsAtMost> {
        self.pools_of_volumes.get(&volume).copied().unwrap_or(options.pools_at_most)
    }

    /// What holds in a cluster. `defaults`: where nobody says anything.
    #[must_use]
    pub fn terms(&self, cluster: ClusterId, defaults: Terms) -> Terms {
        let terms = self.installation.over(defaults);
        match self.clusters.get(&cluster) {
            Some(policy) => policy.over(terms),
            None => terms,
        }
    }
}
