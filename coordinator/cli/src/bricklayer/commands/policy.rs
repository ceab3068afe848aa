//! `bricklayer policy`.

use bricklayer_api::client::Change;
use bricklayer_api::ids::ClusterId;
use bricklayer_api::v1::{PlacementPolicy, PolicyList};

use super::{DONE, Done, Seen, Session};
use crate::bricklayer::args::common::Output;
use crate::bricklayer::args::{PolicyCommand, PolicySet, PolicyWord};
use crate::bricklayer::tables;
use crate::error::CliError;

impl Session {
    pub(super) async fn policy(&self, command: PolicyCommand) -> Done {
        match command {
            PolicyCommand::Show { cluster, look } => {
                self.look(look, async || {
                    self.show_policies(look.output, &self.policies(cluster).await?)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            PolicyCommand::Set(set) => {
                // The route overwrites all of it.
                let now = self.policies(set.cluster).await?;
                let says = now.policies.first().map(|policy| policy.says.clone()).unwrap_or_default();
                let (cluster, quick) = (set.cluster, set.quick);
                let says = changed(says, set);
                let change = match cluster {
                    Some(id) => Change::cluster_policy_set(id, &says)?,
                    None => Change::policy_set(&says)?,
                };
                let Some(policy) = self.ask(&change, quick).await? else { return DONE };
                self.show_policies(quick.output, &PolicyList { policies: vec![policy] })?;
                DONE
            }
        }
    }

    async fn policies(&self, cluster: Option<ClusterId>) -> Result<PolicyList, CliError> {
        Ok(match cluster {
            Some(id) => PolicyList { policies: vec![self.client.cluster_policy(id).await?] },
            None => self.client.policies().await?,
        })
    }

    fn show_policies(&self, output: Output, list: &PolicyList) -> Result<(), CliError> {
        let name = |id: Option<ClusterId>| id.map_or_else(|| "installation".to_owned(), |id| id.to_string());
        let names = || list.policies.iter().map(|policy| name(policy.cluster)).collect();
        self.show(output, list, |_| tables::policies(list), names)
    }
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
        }
    }
    says.zones = set.zones.map(Into::into).or(says.zones);
    says.most_bricks_per_zone = set.most_bricks_per_zone.or(says.most_bricks_per_zone);
    says.reserve = set.reserve.or(says.reserve);
    says.over_commit = set.over_commit.or(says.over_commit);
    says.provisioning = set.provisioning.map(Into::into).or(says.provisioning);
    if set.no_tag_rules || !set.tag_rules.is_empty() {
        says.tag_rules = Some(set.tag_rules);
    }
    says
}
