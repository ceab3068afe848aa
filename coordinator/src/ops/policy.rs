//! What the installation and its clusters say about where bricks go. A record only: no brick moves for it. The audit says
//! which sets keep it no more.

use bricklayer_proto::ids::ClusterId;

use super::context::Context;
use super::{Operations, Rejected};
use crate::model::Policies;
use crate::placement::{Policy, Terms};

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyOf {
    Installation,
    Cluster(ClusterId),
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
        all.map(|of| there(&self.context, &topology.policies, of)).collect()
    }

    pub fn policy_of(&self, of: PolicyOf) -> Result<PolicyThere, Rejected> {
        let topology = self.topology();
        match of {
            PolicyOf::Cluster(id) if !topology.clusters.contains_key(&id) => Err(Rejected::ClusterUnknown(id)),
            _ => Ok(there(&self.context, &topology.policies, of)),
        }
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
                }
                refuse_contradictions(context, &policies)?;
                let answer = there(context, &policies, of);
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
    let defaults = defaults(context);
    check(&|| "the installation's bricks".to_owned(), &policies.installation, &defaults)?;
    let below = policies.installation.over(defaults);
    policies.clusters.iter().try_for_each(|(id, policy)| check(&|| format!("bricks of cluster {id}"), policy, &below))
}

fn defaults(context: &Context) -> Terms {
    Terms { zones: context.policy.zones, ..Terms::default() }
}

fn there(context: &Context, policies: &Policies, of: PolicyOf) -> PolicyThere {
    let defaults = defaults(context);
    let (policy, terms) = match of {
        PolicyOf::Installation => (policies.installation.clone(), policies.installation.over(defaults)),
        PolicyOf::Cluster(id) => {
            (policies.clusters.get(&id).cloned().unwrap_or_default(), policies.terms(id, defaults))
        }
    };
    PolicyThere { of, policy, terms }
}
