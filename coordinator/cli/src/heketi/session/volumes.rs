//! Volumes.

use bricklayer_api::heketi::{
    BlockRestriction, BlockRestrictionRequest, Disperse, DurabilityRequest, Replicate, Snapshot, SnapshotFactor,
    VolumeCloneRequest, VolumeCreateRequest, VolumeExpandRequest,
};
use bricklayer_api::ids::VolumeId;

use super::{Session, known};
use crate::actions::volumes;
use crate::error::CliError;
use crate::heketi::print;
use crate::manifests::heketis_persistent_volume;

impl Session<'_> {
    pub(super) async fn volume_create(&mut self) -> Result<(), CliError> {
        let values = &self.line.values;
        let size_gib = values.int("size");
        if size_gib == -1 {
            return Err(CliError::usage("Missing volume size"));
        }
        let endpoint = values.text("persistent-volume-endpoint");
        let (print_volume, file) = (values.bool("persistent-volume"), values.text("persistent-volume-file"));
        if print_volume && endpoint.is_empty() {
            eprintln!("--persistent-volume needs --persistent-volume-endpoint");
            return Err(CliError::usage("Missing endpoint"));
        }
        let factor = values.float("snapshot-factor");
        let snapshot =
            if factor > 1.0 { Snapshot { enable: true, factor: SnapshotFactor(factor) } } else { Snapshot::default() };
        let request = VolumeCreateRequest {
            size_gib,
            size_bytes: 0,
            clusters: values.list("clusters"),
            name: values.text("name").to_owned(),
            durability: DurabilityRequest {
                kind: values.text("durability").to_owned(),
                replicate: Replicate { replica: values.int("replica") },
                disperse: Disperse { data: values.int("disperse-data"), redundancy: values.int("redundancy") },
            },
            gid: values.int("gid"),
            gluster_volume_options: values.list("gluster-volume-options"),
            block: values.bool("block"),
            snapshot,
        };
        let work = self.client.volume_create(&request).await?;
        let volume = self.finish(work).await?;
        if !file.is_empty() {
            let text = heketis_persistent_volume(&volume, endpoint)?;
            std::fs::write(file, text).map_err(|source| CliError::File {
                what: format!("volume {} is made, but {file} cannot be written", volume.id),
                source: source.into(),
            })
        } else if print_volume {
            let text = heketis_persistent_volume(&volume, endpoint)?;
            self.say(&text)
        } else {
            self.show(&volume, print::volume_info)
        }
    }

    pub(super) async fn volume_clone(&mut self) -> Result<(), CliError> {
        let request = VolumeCloneRequest { name: self.line.values.text("name").to_owned() };
        let volume = self.finish(self.client.volume_clone(self.id("Volume id missing")?, &request).await?).await?;
        self.show(&volume, print::volume_info)
    }

    pub(super) async fn volume_delete(&mut self) -> Result<(), CliError> {
        let id: VolumeId = self.id("Volume id missing")?;
        self.finish(self.client.volume_delete(id).await?).await?;
        self.say(&print::volume_deleted(id))
    }

    pub(super) async fn volume_endpoint_patch(&mut self) -> Result<(), CliError> {
        let volume = self.client.volume(self.id("Volume id missing")?).await?;
        self.say(&print::endpoint_patch(&volume))
    }

    pub(super) async fn volume_expand(&mut self) -> Result<(), CliError> {
        let expand_size_gib = self.line.values.int("expand-size");
        if expand_size_gib == -1 {
            return Err(CliError::usage("Missing volume amount to expand"));
        }
        let id = known(&self.flag_or_argument("volume", "Missing volume id")?)?;
        let request = VolumeExpandRequest { expand_size_gib, ..VolumeExpandRequest::default() };
        let volume = self.finish(self.client.volume_expand(id, request).await?).await?;
        self.show(&volume, print::volume_info)
    }

    pub(super) async fn volume_info(&mut self) -> Result<(), CliError> {
        let volume = self.client.volume(self.id("Volume id missing")?).await?;
        self.show(&volume, print::volume_info)
    }

    pub(super) async fn volume_list(&mut self) -> Result<(), CliError> {
        if self.line.values.bool("json") {
            let list = self.client.volumes().await?;
            return self.show(&list, |_| String::new());
        }
        let volumes = volumes(&self.client).await?;
        self.say(&print::volume_list(&volumes))
    }

    pub(super) async fn volume_set_block_restriction(&mut self) -> Result<(), CliError> {
        let [restriction, id, ..] = self.line.arguments.as_slice() else {
            return Err(CliError::usage("Block hosting restriction and volume id are required"));
        };
        let restriction = match restriction.as_str() {
            "locked" => BlockRestriction::Locked,
            "unlocked" => BlockRestriction::None,
            other => return Err(CliError::usage(format!("The restriction is locked or unlocked, not {other:?}"))),
        };
        let request = BlockRestrictionRequest { restriction: restriction.as_str().to_owned() };
        let work = self.client.volume_set_block_restriction(known(id)?, &request).await?;
        let volume = self.finish(work).await?;
        self.show(&volume, print::volume_info)
    }
}
