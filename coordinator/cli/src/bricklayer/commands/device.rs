//! `bricklayer device`.

use std::process::ExitCode;

use bricklayer_api::client::{Change, Wipe};
use bricklayer_api::heketi::{
    DeviceAddRequest, DeviceDeleteRequest, DeviceInfo, EntryState, StateRequest, TagsChangeRequest,
};
use bricklayer_api::ids::{DeviceId, NodeId};
use bricklayer_api::v1::{DeviceLostRequest, WipeRequest};
use serde::Serialize;
use serde_json::json;

use super::{DONE, Done, Seen, Session, disable_first, listed};
use crate::actions::{nodes, state_request};
use crate::bricklayer::args::DeviceCommand;
use crate::bricklayer::args::common::{Output, Quick, Work};
use crate::bricklayer::refs::DeviceRef;
use crate::bricklayer::{REFUSED, tables};
use crate::error::CliError;

/// A device in a list, with its node.
#[derive(Serialize)]
struct DeviceOn<'a> {
    node: NodeId,
    device: &'a DeviceInfo,
}

impl Session {
    pub(super) async fn device(&self, command: DeviceCommand) -> Done {
        match command {
            DeviceCommand::Add { name, node, destroy_existing_data, work } => {
                let id = node.find(&self.client).await?;
                let request = DeviceAddRequest {
                    name: name.to_string(),
                    node: id.to_string(),
                    destroy_data: destroy_existing_data,
                    ..DeviceAddRequest::default()
                };
                let what = format!("adding {name} of {node}");
                let Some(()) = self.work(&Change::device_add(&request)?, work, &what).await? else { return DONE };
                // heketi's route does not tell what was made, so the node is asked.
                let devices = self.client.node(id).await?.devices;
                let Some(added) = devices.into_iter().find(|device| device.name == name.as_str()) else {
                    return self.tell(
                        work.output(),
                        &json!({ "added": name }),
                        &format!("{name} of {node} is added"),
                        &name,
                    );
                };
                self.show(work.output(), &added, |_| tables::device_info(&added), || vec![added.id.to_string()])?;
                DONE
            }
            DeviceCommand::Delete { device, force_forget, work } => {
                let id = device.find(&self.client).await?;
                let change = Change::device_delete(id, DeviceDeleteRequest { force_forget })?;
                let Some(()) = self.work(&change, work, &format!("deleting {device}")).await? else { return DONE };
                self.tell(work.output(), &json!({ "deleted": id }), &format!("device {device} is deleted"), &id)
            }
            DeviceCommand::Disable { device, work } => {
                let text = format!("device {device} is offline: no new bricks are placed on it, those on it go on");
                self.device_state(&device, state_request(EntryState::Offline), work, "disabling", &text).await
            }
            DeviceCommand::Enable { device, work } => {
                let text = format!("device {device} is online");
                self.device_state(&device, state_request(EntryState::Online), work, "enabling", &text).await
            }
            DeviceCommand::Info { device, look } => {
                let id = device.find(&self.client).await?;
                self.look(look, async || self.show_device(look.output, id).await).await
            }
            DeviceCommand::Ledger { device, look } => {
                let id = device.find(&self.client).await?;
                self.look(look, async || {
                    let ledger = self.client.device_ledger(id).await?;
                    let names = || vec![format!("{}:{}", ledger.node_name, ledger.name)];
                    self.show(look.output, &ledger, |_| tables::device_ledger(&ledger), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            DeviceCommand::List { node, look } => {
                let node = match node {
                    Some(node) => Some(node.find(&self.client).await?),
                    None => None,
                };
                self.look(look, async || {
                    let nodes = match node {
                        Some(id) => vec![self.client.node(id).await?],
                        None => nodes(&self.client).await?,
                    };
                    let devices: Vec<_> = nodes
                        .iter()
                        .flat_map(|node| node.devices.iter().map(|device| DeviceOn { node: node.id, device }))
                        .collect();
                    let names = || {
                        let all = nodes.iter().flat_map(|node| {
                            node.devices.iter().map(|device| format!("{}:{}", tables::manage_name(node), device.name))
                        });
                        all.collect()
                    };
                    let answer = listed("devices", &devices);
                    self.show(look.output, &answer, |width| tables::device_list(&nodes, width), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            DeviceCommand::Lost { device, confirm, quick } => self.device_lost(&device, confirm, quick).await,
            DeviceCommand::Remove { device, heal_check, work } => {
                let request = StateRequest { heal_check: heal_check.word(), ..state_request(EntryState::Failed) };
                let text = format!("device {device} is removed: no brick is left on it; `device delete` takes it out");
                self.device_state(&device, request, work, "emptying", &text).await
            }
            DeviceCommand::Resync { device, work } => {
                let id = device.find(&self.client).await?;
                let what = format!("reading {device} again");
                let Some(()) = self.work(&Change::device_resync(id)?, work, &what).await? else { return DONE };
                self.show_device(work.output(), id).await?;
                DONE
            }
            DeviceCommand::Rmtags { device, tags, quick } => self.device_tags(&device, tags.request(), quick).await,
            DeviceCommand::Settags { device, tags, quick } => self.device_tags(&device, tags.request(), quick).await,
            DeviceCommand::Wipe { node, device, confirm, work } => {
                let request = WipeRequest { node: node.to_string(), device: device.to_string(), confirm };
                let what = format!("wiping {device} of {node}");
                match self.ask(&Change::device_wipe(&request)?, work.quick).await? {
                    None => DONE,
                    Some(Wipe::Unconfirmed(refusal)) => {
                        if work.output().is_for_people() {
                            eprint!("error: {}", tables::printable(&tables::wipe_refusal(&refusal, node.as_str())));
                        } else {
                            self.show(work.output(), &refusal, |_| String::new(), Vec::new)?;
                        }
                        Ok(ExitCode::from(REFUSED))
                    }
                    Some(Wipe::Accepted(accepted)) => {
                        let Some(()) = self.wait(accepted, work, &what).await? else { return DONE };
                        let answer = json!({ "wiped": device, "node": node });
                        self.tell(work.output(), &answer, &format!("{device} of {node} is empty"), &device)
                    }
                }
            }
        }
    }

    async fn show_device(&self, output: Output, id: DeviceId) -> Result<Seen, CliError> {
        let device = self.client.device(id).await?;
        self.show(output, &device, |_| tables::device_info(&device), || vec![device.id.to_string()])?;
        Ok(Seen::SO_FAR)
    }

    /// Without the id once more, nothing is asked of the server but what would be lost.
    async fn device_lost(&self, device: &DeviceRef, confirm: Option<DeviceId>, quick: Quick) -> Done {
        let id = device.find(&self.client).await?;
        let confirm = match (confirm, quick.dry_run || self.curl.is_some()) {
            (Some(said), _) => said,
            // Nothing is going to happen.
            (None, true) => id,
            (None, false) => {
                let found = self.client.device(id).await?;
                let volumes = self.volumes_of(found.bricks.iter()).await?;
                eprint!("error: {}", tables::printable(&tables::device_loss(&device.to_string(), &found, &volumes)));
                return Ok(ExitCode::from(REFUSED));
            }
        };
        let change = Change::device_lost(id, &DeviceLostRequest { confirm: confirm.to_string() })?;
        let Some(()) = self.ask(&change, quick).await? else { return DONE };
        let text = format!("the disk of {device} is declared lost: nobody waits for it any more");
        self.tell(quick.output, &json!({ "lost": id }), &text, &id)
    }

    async fn device_state(
        &self,
        device: &DeviceRef,
        request: StateRequest,
        work: Work,
        doing: &str,
        text: &str,
    ) -> Done {
        let id = device.find(&self.client).await?;
        let change = Change::device_set_state(id, &request)?;
        let done = self.work(&change, work, &format!("{doing} {device}")).await;
        let Some(()) = done.map_err(|error| disable_first(error, "device", device))? else { return DONE };
        self.tell(work.output(), &json!({ "id": id, "state": request.state }), text, &id)
    }

    async fn device_tags(&self, device: &DeviceRef, request: TagsChangeRequest, quick: Quick) -> Done {
        let id = device.find(&self.client).await?;
        let Some(tags) = self.ask(&Change::device_change_tags(id, &request)?, quick).await? else { return DONE };
        self.show(quick.output, &tags, |_| tables::tags(&tags), || tags.keys().cloned().collect())?;
        DONE
    }
}
