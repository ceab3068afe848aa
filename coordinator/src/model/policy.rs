use std::collections::BTreeMap;

use bricklayer_proto::ids::ClusterId;
use serde::{Deserialize, Serialize};

use crate::placement::{Policy, Terms};

/// What the installation, and of its clusters each that wants it otherwise, says about where bricks go. One record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    #[serde(default)]
    pub installation: Policy,
    /// Those that say anything.
    #[serde(default)]
    pub clusters: BTreeMap<ClusterId, Policy>,
}

impl Policies {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
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
