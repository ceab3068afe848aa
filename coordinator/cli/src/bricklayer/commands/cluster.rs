//! `bricklayer cluster`.

use bricklayer_api::client::Change;
use bricklayer_api::heketi::{ClusterFlags, ClusterInfo};
use bricklayer_api::v1::LedgerSum;
use serde_json::json;

use super::{DONE, Done, Seen, Session, listed};
use crate::bricklayer::args::ClusterCommand;
use crate::bricklayer::args::common::Output;
use crate::bricklayer::{refs, tables};
use crate::error::CliError;

impl Session {
    pub(super) async fn cluster(&self, command: ClusterCommand) -> Done {
        match command {
            ClusterCommand::Create { block, file, quick } => {
                let change = Change::cluster_create(ClusterFlags { block, file })?;
                let Some(made) = self.ask(&change, quick).await? else { return DONE };
                self.tell(quick.output, &made, &made.id.to_string(), &made.id)
            }
            ClusterCommand::Delete { id, quick } => {
                let Some(()) = self.ask(&Change::cluster_delete(id)?, quick).await? else { return DONE };
                self.tell(quick.output, &json!({ "deleted": id }), &format!("cluster {id} is deleted"), &id)
            }
            ClusterCommand::Info { id, look } => {
                self.look(look, async || {
                    self.show_cluster(look.output, &self.client.cluster(id).await?)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            ClusterCommand::Ledger { id, look } => {
                let id = refs::cluster(&self.client, id).await?;
                self.look(look, async || {
                    self.show_ledger(look.output, &self.client.cluster_ledger(id).await?)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            ClusterCommand::List { look } => {
                self.look(look, async || {
                    let mut clusters = Vec::new();
                    for id in self.client.clusters().await?.clusters {
                        clusters.push(self.client.cluster(id).await?);
                    }
                    let ids = || clusters.iter().map(|cluster| cluster.id.to_string()).collect();
                    let answer = listed("clusters", &clusters);
                    self.show(look.output, &answer, |_| tables::cluster_list(&clusters), ids)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            ClusterCommand::Setflags { id, block, file, quick } => {
                // The route overwrites both.
                let now = self.client.cluster(id).await?;
                let flags = ClusterFlags { block: block.unwrap_or(now.block), file: file.unwrap_or(now.file) };
                let change = Change::cluster_set_flags(id, flags)?;
                let Some(()) = self.ask(&change, quick).await? else { return DONE };
                self.show_cluster(quick.output, &self.client.cluster(id).await?)?;
                DONE
            }
        }
    }

    /// Of a node or of a cluster.
    pub(super) fn show_ledger(&self, output: Output, sum: &LedgerSum) -> Result<(), CliError> {
        let names = || sum.devices.iter().map(|device| format!("{}:{}", device.node_name, device.name)).collect();
        self.show(output, sum, |_| tables::ledger_sum(sum), names)
    }

    fn show_cluster(&self, output: Output, cluster: &ClusterInfo) -> Result<(), CliError> {
        self.show(output, cluster, |_| tables::cluster_info(cluster), || vec![cluster.id.to_string()])
    }
}
