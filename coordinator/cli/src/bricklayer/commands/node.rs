//! `bricklayer node`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use bricklayer_api::client::Change;
use bricklayer_api::heketi::{
    Brick, EntryState, HostAddresses, NodeAddRequest, NodeInfo, StateRequest, TagsChangeRequest, VolumeInfo,
};
use bricklayer_api::ids::{NodeId, VolumeId};
use bricklayer_api::names::HostName;
use bricklayer_api::v1::{NodeEdit, NodeLostRequest};
use serde_json::json;

use super::{DONE, Done, Seen, Session, disable_first, listed};
use crate::actions::{nodes, state_request};
use crate::bricklayer::args::NodeCommand;
use crate::bricklayer::args::common::{Output, Quick, Work};
use crate::bricklayer::refs::NodeRef;
use crate::bricklayer::{REFUSED, refs, tables};
use crate::error::CliError;

impl Session {
    pub(super) async fn node(&self, command: NodeCommand) -> Done {
        match command {
            NodeCommand::Add { zone, cluster, management_host_name, storage_host_name, work } => {
                let request = NodeAddRequest {
                    zone: i64::from(zone),
                    hostnames: HostAddresses {
                        manage: vec![management_host_name.to_string()],
                        storage: vec![storage_host_name.to_string()],
                    },
                    cluster: refs::cluster(&self.client, cluster).await?.to_string(),
                    ..NodeAddRequest::default()
                };
                let what = format!("adding {management_host_name}");
                let Some(added) = self.work(&Change::node_add(&request)?, work, &what).await? else { return DONE };
                self.show_node(work.output(), &added)?;
                DONE
            }
            NodeCommand::Delete { node, work } => {
                let id = node.find(&self.client).await?;
                let what = format!("deleting {node}");
                let Some(()) = self.work(&Change::node_delete(id)?, work, &what).await? else { return DONE };
                self.tell(work.output(), &json!({ "deleted": id }), &format!("node {node} is deleted"), &id)
            }
            NodeCommand::Disable { node, work } => {
                let text = format!("node {node} is offline: no new bricks are placed on it, those on it go on");
                self.node_state(&node, state_request(EntryState::Offline), work, "disabling", &text).await
            }
            NodeCommand::Disks { node, look } => {
                self.look(look, async || {
                    let list = self.client.disks(&node).await?;
                    let names = || list.disks.iter().map(|disk| disk.path.to_string()).collect();
                    self.show(look.output, &list, |_| tables::disk_list(&list), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            NodeCommand::Edit { node, zone, management_host_name, storage_host_name, quick } => {
                let id = node.find(&self.client).await?;
                self.node_edit(id, zone, management_host_name, storage_host_name, quick).await
            }
            NodeCommand::Enable { node, work } => {
                let text = format!("node {node} is online");
                self.node_state(&node, state_request(EntryState::Online), work, "enabling", &text).await
            }
            NodeCommand::Info { node, look } => {
                let id = node.find(&self.client).await?;
                self.look(look, async || {
                    self.show_node(look.output, &self.client.node(id).await?)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            NodeCommand::Ledger { node, look } => {
                let id = node.find(&self.client).await?;
                self.look(look, async || {
                    self.show_ledger(look.output, &self.client.node_ledger(id).await?)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            NodeCommand::List { look } => {
                self.look(look, async || {
                    let nodes = nodes(&self.client).await?;
                    let names = || nodes.iter().map(|node| tables::manage_name(node).to_owned()).collect();
                    let answer = listed("nodes", &nodes);
                    self.show(look.output, &answer, |width| tables::node_list(&nodes, width), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            NodeCommand::Lost { node, confirm, quick } => self.node_lost(&node, confirm, quick).await,
            NodeCommand::Remove { node, heal_check, work } => {
                let request = StateRequest { heal_check: heal_check.word(), ..state_request(EntryState::Failed) };
                let text = format!("node {node} is removed: no brick is left on it; `node delete` takes it out");
                self.node_state(&node, request, work, "emptying", &text).await
            }
            NodeCommand::Rmtags { node, tags, quick } => self.node_tags(&node, tags.request(), quick).await,
            NodeCommand::Settags { node, tags, quick } => self.node_tags(&node, tags.request(), quick).await,
        }
    }

    fn show_node(&self, output: Output, node: &NodeInfo) -> Result<(), CliError> {
        let name = || vec![tables::manage_name(node).to_owned()];
        self.show(output, node, |width| tables::node_info(node, width), name)
    }

    async fn node_state(&self, node: &NodeRef, request: StateRequest, work: Work, doing: &str, text: &str) -> Done {
        let id = node.find(&self.client).await?;
        let change = Change::node_set_state(id, &request)?;
        let done = self.work(&change, work, &format!("{doing} {node}")).await;
        let Some(()) = done.map_err(|error| disable_first(error, "node", node))? else { return DONE };
        self.tell(work.output(), &json!({ "id": id, "state": request.state }), text, &id)
    }

    async fn node_tags(&self, node: &NodeRef, request: TagsChangeRequest, quick: Quick) -> Done {
        let id = node.find(&self.client).await?;
        let Some(tags) = self.ask(&Change::node_change_tags(id, &request)?, quick).await? else { return DONE };
        self.show(quick.output, &tags, |_| tables::tags(&tags), || tags.keys().cloned().collect())?;
        DONE
    }

    async fn node_edit(
        &self,
        id: NodeId,
        zone: Option<u32>,
        manage: Option<HostName>,
        storage: Option<HostName>,
        quick: Quick,
    ) -> Done {
        let hostnames = if manage.is_some() || storage.is_some() {
            // Both lists go together: what is not named is said as it is.
            let mut names = self.client.node(id).await?.hostnames;
            names.manage = manage.map_or(names.manage, |name| vec![name.to_string()]);
            names.storage = storage.map_or(names.storage, |name| vec![name.to_string()]);
            Some(names)
        } else {
            None
        };
        let edit = NodeEdit { zone: zone.map(i64::from), hostnames };
        let Some(()) = self.ask(&Change::node_edit(id, &edit)?, quick).await? else { return DONE };
        self.show_node(quick.output, &self.client.node(id).await?)?;
        DONE
    }

    /// The volumes that these bricks are of.
    pub(super) async fn volumes_of(&self, bricks: impl Iterator<Item = &Brick>) -> Result<Vec<VolumeInfo>, CliError> {
        let ids: BTreeSet<VolumeId> = bricks.map(|brick| brick.volume).collect();
        let mut volumes = Vec::with_capacity(ids.len());
        for id in ids {
            match self.client.volume(id).await {
                Ok(volume) => volumes.push(volume),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(volumes)
    }

    /// Without the name once more, nothing is asked of the server but what would be lost.
    async fn node_lost(&self, node: &NodeRef, confirm: Option<HostName>, quick: Quick) -> Done {
        let id = node.find(&self.client).await?;
        let found = self.client.node(id).await?;
        let name = tables::manage_name(&found).to_owned();
        let confirm = confirm.map(|name| name.to_string());
        let confirm = match (confirm, quick.dry_run || self.curl.is_some()) {
            (Some(said), _) => said,
            // Nothing is going to happen.
            (None, true) => name.clone(),
            (None, false) => {
                let bricks = found.devices.iter().flat_map(|device| &device.bricks);
                let volumes = self.volumes_of(bricks).await?;
                eprint!("error: {}", tables::printable(&tables::node_loss(&found, &volumes)));
                return Ok(ExitCode::from(REFUSED));
            }
        };
        let change = Change::node_lost(id, &NodeLostRequest { confirm })?;
        let Some(()) = self.ask(&change, quick).await? else { return DONE };
        let text = format!("node {name} is declared lost: nobody waits for it any more");
        self.tell(quick.output, &json!({ "lost": id }), &text, &id)
    }
}
