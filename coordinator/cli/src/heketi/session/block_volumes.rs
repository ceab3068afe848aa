//! Block volumes.

use bricklayer_api::heketi::{BlockVolumeCreateRequest, BlockVolumeExpandRequest};
use bricklayer_api::ids::BlockVolumeId;

use super::{Session, known};
use crate::actions::block_volumes;
use crate::error::CliError;
use crate::heketi::print;

impl Session<'_> {
    pub(super) async fn block_volume_create(&mut self) -> Result<(), CliError> {
        let values = &self.line.values;
        let (size_gib, ha_count) = (values.int("size"), values.int("ha"));
        if size_gib == -1 {
            return Err(CliError::usage("Missing volume size"));
        }
        if ha_count < 0 {
            return Err(CliError::usage("Invalid HA count"));
        }
        let request = BlockVolumeCreateRequest {
            size_gib,
            clusters: values.list("clusters"),
            name: values.text("name").to_owned(),
            ha_count,
            auth: values.bool("auth"),
        };
        let volume = self.finish(self.client.block_volume_create(&request).await?).await?;
        self.show(&volume, print::block_volume_info)
    }

    pub(super) async fn block_volume_delete(&mut self) -> Result<(), CliError> {
        let id: BlockVolumeId = self.id("Volume id missing")?;
        self.finish(self.client.block_volume_delete(id).await?).await?;
        self.say(&print::volume_deleted(id))
    }

    pub(super) async fn block_volume_expand(&mut self) -> Result<(), CliError> {
        let id = self.flag_or_argument("blockvolume", "Missing block volume id")?;
        let new_size_gib = self.line.values.int("new-size");
        if new_size_gib == -1 {
            return Err(CliError::usage("Missing block volume net new size"));
        }
        let request = BlockVolumeExpandRequest { new_size_gib };
        let volume = self.finish(self.client.block_volume_expand(known(&id)?, request).await?).await?;
        self.show(&volume, print::block_volume_info)
    }

    pub(super) async fn block_volume_info(&mut self) -> Result<(), CliError> {
        let volume = self.client.block_volume(self.id("Volume id missing")?).await?;
        self.show(&volume, print::block_volume_info)
    }

    pub(super) async fn block_volume_list(&mut self) -> Result<(), CliError> {
        if self.line.values.bool("json") {
            let list = self.client.block_volumes().await?;
            return self.show(&list, |_| String::new());
        }
        let volumes = block_volumes(&self.client).await?;
        self.say(&print::block_volume_list(&volumes))
    }
}
