//! `bricklayer brick`.

use bricklayer_api::client::Change;
use bricklayer_api::heketi::BrickEvictRequest;
use bricklayer_api::ids::BrickId;
use bricklayer_api::v1::BrickReplaceRequest;
use serde_json::json;

use super::{DONE, Done, Seen, Session, listed};
use crate::actions::nodes;
use crate::bricklayer::args::BrickCommand;
use crate::bricklayer::tables;
use crate::error::CliError;

impl Session {
    pub(super) async fn brick(&self, command: BrickCommand) -> Done {
        match command {
            BrickCommand::Evict { brick, heal_check, work } => {
                let change = Change::brick_evict(brick, &BrickEvictRequest { heal_check: heal_check.word() })?;
                let work_on = self.work(&change, work, "replacing the brick").await;
                let Some(()) = work_on.map_err(|error| no_such(brick, error))? else { return DONE };
                self.tell(work.output(), &json!({ "replaced": brick }), &format!("brick {brick} is replaced"), &brick)
            }
            BrickCommand::List { volume, node, device, look } => {
                let volume = match volume {
                    Some(volume) => Some(volume.find(&self.client).await?),
                    None => None,
                };
                let node = match node {
                    Some(node) => Some(node.find(&self.client).await?),
                    None => None,
                };
                let device = match device {
                    Some(device) => Some(device.find(&self.client).await?),
                    None => None,
                };
                self.look(look, async || {
                    let mut nodes = nodes(&self.client).await?;
                    for one in &mut nodes {
                        for one in &mut one.devices {
                            one.bricks.retain(|brick| {
                                volume.is_none_or(|wanted| brick.volume == wanted)
                                    && node.is_none_or(|wanted| brick.node == wanted)
                                    && device.is_none_or(|wanted| brick.device == wanted)
                            });
                        }
                    }
                    let devices = || nodes.iter().flat_map(|node| &node.devices);
                    let bricks: Vec<_> = devices().flat_map(|device| &device.bricks).collect();
                    let ids = || bricks.iter().map(|brick| brick.id.to_string()).collect();
                    let answer = listed("bricks", &bricks);
                    self.show(look.output, &answer, |width| tables::brick_list(&nodes, width), ids)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            BrickCommand::Replace { brick, device, heal_check, work } => {
                let device = match device {
                    Some(device) => Some(device.find(&self.client).await?.to_string()),
                    None => None,
                };
                let request = BrickReplaceRequest { device, heal_check: heal_check.word() };
                let change = Change::brick_replace(brick, &request)?;
                let work_on = self.work(&change, work, "replacing the brick").await;
                let Some(()) = work_on.map_err(|error| no_such(brick, error))? else { return DONE };
                self.tell(work.output(), &json!({ "replaced": brick }), &format!("brick {brick} is replaced"), &brick)
            }
        }
    }
}

/// heketi's answer to an id that it does not know names neither the thing nor a cure.
fn no_such(brick: BrickId, error: CliError) -> CliError {
    match error {
        CliError::Client(error) if error.is_not_found() => {
            CliError::refused(format!("there is no brick {brick}"), "see `bricklayer brick list`")
        }
        other => other,
    }
}
