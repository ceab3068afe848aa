//! A volume for the server's own database in Kubernetes, and what copies the database there.

use bricklayer_api::heketi::{DurabilityRequest, Replicate, VolumeCreateRequest, VolumeInfo};

use super::Session;
use crate::actions::volumes;
use crate::error::CliError;
use crate::manifests::{self, NodeSelector};

const VOLUME: &str = "heketidbstorage";

const SIZE_GIB: i64 = 2;

/// What a database wants of a volume: nothing kept back, nothing read ahead.
const OPTIONS: &[&str] = &[
    "performance.stat-prefetch off",
    "performance.write-behind off",
    "performance.open-behind off",
    "performance.quick-read off",
    "performance.strict-o-direct on",
    "performance.read-ahead off",
    "performance.io-cache off",
    "performance.readdir-ahead off",
];

impl Session<'_> {
    pub(super) async fn set_up_db_storage(&mut self) -> Result<(), CliError> {
        let request = self.db_storage_request()?;
        let node_selector = self.node_selector()?;
        if volumes(&self.client).await?.iter().any(|volume| volume.name == VOLUME) {
            return Err(CliError::usage(format!("Volume {VOLUME} already exists")));
        }
        let volume = self.finish(self.client.volume_create(&request).await?).await?;
        let saved = self.save_db_storage(&volume, node_selector.as_ref()).await;
        if saved.is_err() {
            eprintln!("Cleaning up");
            // Why it is cleaned up is told; a volume that stays is found by its name.
            if let Ok(work) = self.client.volume_delete(volume.id).await {
                let _stays = self.finish(work).await;
            }
        }
        saved
    }

    fn db_storage_request(&self) -> Result<VolumeCreateRequest, CliError> {
        let values = &self.line.values;
        let durability = match values.text("durability") {
            "none" => DurabilityRequest { kind: "none".to_owned(), ..DurabilityRequest::default() },
            "replicate" => DurabilityRequest {
                kind: "replicate".to_owned(),
                replicate: Replicate { replica: values.int("replica") },
                ..DurabilityRequest::default()
            },
            other => {
                let text = format!("Durability {other} is not supported for heketi database storage");
                return Err(CliError::usage(text));
            }
        };
        let own = values.list("gluster-volume-options");
        let (mut options, level) = if own.is_empty() {
            (OPTIONS.iter().map(|&option| option.to_owned()).collect(), "1")
        } else {
            (own, "custom")
        };
        options.extend(values.list("append-volume-options"));
        options.push(format!("user.heketi.dbstoragelevel {level}"));
        Ok(VolumeCreateRequest {
            size_gib: SIZE_GIB,
            name: VOLUME.to_owned(),
            durability,
            gluster_volume_options: options,
            ..VolumeCreateRequest::default()
        })
    }

    fn node_selector(&self) -> Result<Option<NodeSelector>, CliError> {
        match self.line.values.text("node-selector") {
            "" => Ok(None),
            text => match text.split_once('=') {
                Some((key, value)) => Ok(Some(NodeSelector { key: key.to_owned(), value: value.to_owned() })),
                None => Err(CliError::usage(format!("A node selector is written key=value, not {text:?}"))),
            },
        }
    }

    async fn save_db_storage(&mut self, volume: &VolumeInfo, selector: Option<&NodeSelector>) -> Result<(), CliError> {
        let database = self.client.db_backup().await?;
        let list = manifests::db_storage(volume, &database, self.line.values.text("image"), selector);
        let file = self.line.values.text("listfile").to_owned();
        self.say(&format!("Saving {file}\n"))?;
        // Readable by its owner alone: the database is in it.
        crate::files::write_private(file.as_ref(), serde_json::to_string_pretty(&list)?.as_bytes())
            .map_err(|source| CliError::File { what: format!("cannot write {file}"), source: source.into() })
    }
}
