//! `bricklayer blockvolume`.

use bricklayer_api::client::Change;
use bricklayer_api::heketi::{BlockVolumeCreateRequest, BlockVolumeExpandRequest, BlockVolumeInfo};
use serde_json::json;

use super::{DONE, Done, Seen, Session, listed};
use crate::actions::block_volumes;
use crate::bricklayer::args::BlockVolumeCommand;
use crate::bricklayer::args::common::Output;
use crate::bricklayer::tables;
use crate::error::CliError;

impl Session {
    pub(super) async fn block_volume(&self, command: BlockVolumeCommand) -> Done {
        match command {
            BlockVolumeCommand::Create { size, ha, auth, name, clusters, work } => {
                let request = BlockVolumeCreateRequest {
                    size_gib: size,
                    clusters: clusters.iter().map(ToString::to_string).collect(),
                    name: name.map(|name| name.to_string()).unwrap_or_default(),
                    ha_count: ha.unwrap_or(0),
                    auth,
                };
                let change = Change::block_volume_create(&request)?;
                let Some(made) = self.work(&change, work, "creating the block volume").await? else { return DONE };
                self.show_block_volume(work.output(), &made)?;
                DONE
            }
            BlockVolumeCommand::Delete { volume, work } => {
                let id = volume.find(&self.client).await?;
                let what = format!("deleting {volume}");
                let Some(()) = self.work(&Change::block_volume_delete(id)?, work, &what).await? else { return DONE };
                self.tell(work.output(), &json!({ "deleted": id }), &format!("block volume {volume} is deleted"), &id)
            }
            BlockVolumeCommand::Expand { volume, new_size, work } => {
                let id = volume.find(&self.client).await?;
                let change = Change::block_volume_expand(id, BlockVolumeExpandRequest { new_size_gib: new_size })?;
                let what = format!("expanding {volume}");
                let Some(grown) = self.work(&change, work, &what).await? else { return DONE };
                self.show_block_volume(work.output(), &grown)?;
                DONE
            }
            BlockVolumeCommand::Info { volume, look } => {
                let id = volume.find(&self.client).await?;
                self.look(look, async || {
                    self.show_block_volume(look.output, &self.client.block_volume(id).await?)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            BlockVolumeCommand::List { look } => {
                self.look(look, async || {
                    let volumes = block_volumes(&self.client).await?;
                    let names = || volumes.iter().map(|volume| volume.name.clone()).collect();
                    let answer = listed("blockvolumes", &volumes);
                    self.show(look.output, &answer, |_| tables::block_volume_list(&volumes), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
        }
    }

    fn show_block_volume(&self, output: Output, volume: &BlockVolumeInfo) -> Result<(), CliError> {
        self.show(output, volume, |_| tables::block_volume_info(volume), || vec![volume.name.clone()])
    }
}
