//! What the installation, its clusters and its volumes say about where bricks go. A record only: no brick moves for it. The
//! audit says which sets keep it no more.

use bricklayer_proto::ids::{ClusterId, VolumeId};

use super::context::Context;
use super::{Operations, Rejected, volume_options};
use crate::model::{Policies, Topology, Volume};
use crate::placement::{Policy, Terms};
use crate::state::Change;

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyOf {
    Installation,
    Cluster(ClusterId),
    Volume(VolumeId),
}

/// What one of them says, and what holds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyThere {
    pub of: PolicyOf,
    pub policy: Policy,
    pub terms: Terms,
}

impl Operations {
    /// The installation's first, and then that of every cluster.
    #[must_use]
    pub fn policies(&self) -> Vec<PolicyThere> {
        let topology = self.topology();
        let clusters = topology.clusters.keys().map(|id| PolicyOf::Cluster(*id));
        let all = std::iter::once(PolicyOf::Installation).chain(clusters);
        all.filter_map(|of| there(&self.context, &topology, &topology.policies, of).ok()).collect()
    }

    pub fn policy_of(&self, of: PolicyOf) -> Result<PolicyThere, Rejected> {
        let topology = self.topology();
        there(&self.context, &topology, &topology.policies, of)
    }

    /// It says this from now on, and nothing else.
    pub async fn set_policy(&self, of: PolicyOf, policy: Policy) -> Result<PolicyThere, Rejected> {
        let context = &self.context;
        context
            .state
            .change(|change| {
                let mut policies = Policies::clone(&change.policies);
                match of {
                    PolicyOf::Installation => policies.installation = policy,
                    PolicyOf::Cluster(id) if !change.clusters.contains_key(&id) => {
                        return Err(Rejected::ClusterUnknown(id));
                    }
                    PolicyOf::Cluster(id) if policy.is_empty() => {
                        policies.clusters.remove(&id);
                    }
                    PolicyOf::Cluster(id) => {
                        policies.clusters.insert(id, policy);
                    }
                    PolicyOf::Volume(id) => {
                        let volume = change.volumes.get(&id).ok_or(Rejected::NotFound)?;
                        say_of_volume(&mut policies, volume, &policy)?;
                    }
                }
                refuse_contradictions(context, &policies)?;
                let answer = there(context, change, &policies, of)?;
                if policies != *change.policies {
                    change.put_policies(policies);
                }
                Ok(answer)
            })
            .await
    }
}

/// Bricks that were thick and over-committed, be it that one policy asks for both or that a cluster adds one of them to what
/// the installation asks for.
fn refuse_contradictions(context: &Context, policies: &Policies) -> Result<(), Rejected> {
    let check = |whose: &dyn Fn() -> String, policy: &Policy, below: &Terms| match policy.over_commits_thick(below) {
        Some(ratio) => Err(Rejected::ThickOverCommitted { whose: whose(), ratio }),
        None => Ok(()),
    };
    let defaults = context.default_terms();
    check(&|| "the installation's bricks".to_owned(), &policies.installation, &defaults)?;
    let below = policies.installation.over(defaults);
    policies.clusters.iter().try_for_each(|(id, policy)| check(&|| format!("bricks of cluster {id}"), policy, &below))
}

/// How far its pools are extended is the only word of a volume that can change: by the others its bricks were placed.
fn say_of_volume(policies: &mut Policies, volume: &Volume, policy: &Policy) -> Result<(), Rejected> {
    let options = options_of(volume);
    let rest = |policy: &Policy| Policy { pools_at_most: None, ..policy.clone() };
    if !rest(policy).is_empty() && rest(policy) != rest(&options) {
        return Err(Rejected::PolicyOfVolume { name: volume.name.clone() });
    }
    if policy.pools_at_most == options.pools_at_most {
        policies.pools_of_volumes.remove(&volume.id);
    } else {
        policies.pools_of_volumes.insert(volume.id, policy.pools_at_most);
    }
    Ok(())
}

/// Nothing where they cannot be read: they could when the volume was made.
fn options_of(volume: &Volume) -> Policy {
    volume_options::read(&volume.options).map(|options| options.policy).unwrap_or_default()
}

/// What a volume itself says.
pub fn of_volume(policies: &Policies, volume: &Volume) -> Policy {
    let options = options_of(volume);
    Policy { pools_at_most: policies.pools_of(volume.id, &options), ..options }
}

/// What was said of the volume after it was made goes with it.
pub fn forget_volume(change: &mut Change, id: VolumeId) {
    let mut policies = Policies::clone(&change.policies);
    if policies.pools_of_volumes.remove(&id).is_some() {
        change.put_policies(policies);
    }
}

/// What was said of the source after it was made holds for its clone as well: they share their pools.
pub fn say_of_clone(change: &mut Change, source: VolumeId, clone: VolumeId) {
    let mut policies = Policies::clone(&change.policies);
    if let Some(word) = policies.pools_of_volumes.get(&source).copied() {
        policies.pools_of_volumes.insert(clone, word);
        change.put_policies(policies);
    }
}

fn there(context: &Context, topology: &Topology, policies: &Policies, of: PolicyOf) -> Result<PolicyThere, Rejected> {
    let defaults = context.default_terms();
    let (policy, terms) = match of {
        PolicyOf::Installation => (policies.installation.clone(), policies.installation.over(defaults)),
        PolicyOf::Cluster(id) if !topology.clusters.contains_key(&id) => return Err(Rejected::ClusterUnknown(id)),
        PolicyOf::Cluster(id) => {
            (policies.clusters.get(&id).cloned().unwrap_or_default(), policies.terms(id, defaults))
        }
        PolicyOf::Volume(id) => {
            let volume = topology.volumes.get(&id).ok_or(Rejected::NotFound)?;
            let policy = of_volume(policies, volume);
            let terms = policy.over(policies.terms(volume.cluster, defaults));
            (policy, terms)
        }
    };
    Ok(PolicyThere { of, policy, terms })
}
