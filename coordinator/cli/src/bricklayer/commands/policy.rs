//! `bricklayer policy`.

use bricklayer_api::client::Change;
use bricklayer_api::ids::{ClusterId, VolumeId};
use bricklayer_api::v1::{PlacementPolicy, Policy, PolicyList};

use super::{DONE, Done, Seen, Session};
use crate::bricklayer::args::common::Output;
use crate::bricklayer::args::{PolicyCommand, PolicySet, PolicyWord};
use crate::bricklayer::refs::VolumeRef;
use crate::bricklayer::tables;
use crate::error::CliError;

impl Session {
    pub(super) async fn policy(&self, command: PolicyCommand) -> Done {
        match command {
            PolicyCommand::Show { cluster, volume, look } => {
                let whose = self.whose(cluster, volume.as_ref()).await?;
                self.look(look, async || {
                    self.show_policies(look.output, &self.policies(whose).await?)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            PolicyCommand::Set(set) => {
                // The route overwrites all of it.
                let whose = self.whose(set.cluster, set.volume.as_ref()).await?;
                let now = self.policies(whose).await?;
                let says = now.policies.first().map(|policy| policy.says.clone()).unwrap_or_default();
                let quick = set.quick;
                let says = changed(says, set);
                let change = match whose {
                    Whose::Volume(id) => Change::volume_policy_set(id, &says)?,
                    Whose::Cluster(id) => Change::cluster_policy_set(id, &says)?,
                    Whose::Installation => Change::policy_set(&says)?,
                };
                let Some(policy) = self.ask(&change, quick).await? else { return DONE };
                self.show_policies(quick.output, &PolicyList { policies: vec![policy] })?;
                DONE
            }
        }
    }

    async fn whose(&self, cluster: Option<ClusterId>, volume: Option<&VolumeRef>) -> Result<Whose, CliError> {
        Ok(match (cluster, volume) {
            (_, Some(volume)) => Whose::Volume(volume.find(&self.client).await?),
            (Some(id), None) => Whose::Cluster(id),
            (None, None) => Whose::Installation,
        })
    }

    /// The installation's first, where it is that one.
    async fn policies(&self, whose: Whose) -> Result<PolicyList, CliError> {
        Ok(match whose {
            Whose::Volume(id) => PolicyList { policies: vec![self.client.volume_policy(id).await?] },
            Whose::Cluster(id) => PolicyList { policies: vec![self.client.cluster_policy(id).await?] },
            Whose::Installation => self.client.policies().await?,
        })
    }

    fn show_policies(&self, output: Output, list: &PolicyList) -> Result<(), CliError> {
        let name = |policy: &Policy| match (policy.volume, policy.cluster) {
            (Some(id), _) => id.to_string(),
            (None, Some(id)) => id.to_string(),
            (None, None) => "installation".to_owned(),
        };
        let names = || list.policies.iter().map(name).collect();
        self.show(output, list, |_| tables::policies(list), names)
    }
}

#[derive(Clone, Copy)]
enum Whose {
    Installation,
    Cluster(ClusterId),
    Volume(VolumeId),
}

fn changed(mut says: PlacementPolicy, set: PolicySet) -> PlacementPolicy {
    for word in &set.unset {
        match word {
            PolicyWord::Zones => says.zones = None,
            PolicyWord::MostBricksPerZone => says.most_bricks_per_zone = None,
            PolicyWord::Reserve => says.reserve = None,
            PolicyWord::TagRules => says.tag_rules = None,
            PolicyWord::OverCommit => says.over_commit = None,
            PolicyWord::Provisioning => says.provisioning = None,
            PolicyWord::PoolsAtMost => says.pools_at_most = None,
        }
    }
    says.zones = set.zones.map(Into::into).or(says.zones);
    says.most_bricks_per_zone = set.most_bricks_per_zone.or(says.most_bricks_per_zone);
    says.reserve = set.reserve.or(says.reserve);
    says.over_commit = set.over_commit.or(says.over_commit);
    says.provisioning = set.provisioning.map(Into::into).or(says.provisioning);
    says.pools_at_most = set.pools_at_most.or(says.pools_at_most);
    if set.no_tag_rules || !set.tag_rules.is_empty() {
        says.tag_rules = Some(set.tag_rules);
    }
    says
}
