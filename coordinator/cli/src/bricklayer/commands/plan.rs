//! `bricklayer plan`.

use bricklayer_api::v1::Plan;

use super::{Done, Seen, Session, plan_names};
use crate::bricklayer::args::PlanCommand;
use crate::bricklayer::tables;

impl Session {
    pub(super) async fn plan(&self, command: PlanCommand) -> Done {
        match command {
            PlanCommand::Info { id, look } => {
                self.look(look, async || {
                    let plan = self.client.plan_kept(id).await?;
                    self.show(look.output, &plan, |_| tables::plan(&plan), || plan_names(&plan))?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            PlanCommand::List { look } => {
                self.look(look, async || {
                    let list = self.client.plans_kept().await?;
                    let id = |plan: &Plan| plan.kept.as_ref().map(|kept| kept.id.to_string());
                    let names = || list.plans.iter().filter_map(id).collect();
                    self.show(look.output, &list, |_| tables::plan_list(&list.plans), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
        }
    }
}
