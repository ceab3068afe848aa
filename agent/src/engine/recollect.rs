//! What a coordinator that has lost its state wants to know beyond the inventory: looks alone.

use std::collections::BTreeMap;

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::keepsake::GlusterVolumeSeen;
use bricklayer_proto::task::VolumeRecord;

use super::gluster::id_of;
use super::{Engine, chain};
use crate::host::HostError;
use crate::plan::brick::RECORD;

/// What lies beside the bricks of this host.
#[derive(Debug, Default)]
pub struct Records {
    pub read: BTreeMap<BrickId, VolumeRecord>,
    pub unreadable: BTreeMap<BrickId, String>,
}

impl Engine {
    /// The records of all bricks that are mounted.
    pub async fn records(&self, inventory: &Inventory) -> Records {
        let mut records = Records::default();
        for brick in &inventory.bricks {
            let Some(at) = &brick.mounted else { continue };
            let id = brick.tags.brick;
            match self.host.read_record(at, RECORD).await {
                Ok(Some(json)) => match serde_json::from_slice(&json) {
                    Ok(record) => drop(records.read.insert(id, record)),
                    Err(error) => drop(records.unreadable.insert(id, error.to_string())),
                },
                Ok(None) => {}
                Err(error) => drop(records.unreadable.insert(id, chain(&error))),
            }
        }
        records
    }

    /// Every volume of this host's glusterd, ours or not.
    pub async fn gluster_volumes(&self) -> Result<Vec<GlusterVolumeSeen>, HostError> {
        let volumes = self.host.gluster_volumes_whole().await?;
        let seen = volumes.into_iter().map(|volume| GlusterVolumeSeen {
            id: id_of(&volume).map(str::to_owned),
            name: volume.name,
            started: volume.started,
            bricks: volume.bricks,
        });
        Ok(seen.collect())
    }
}
