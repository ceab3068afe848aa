use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bricklayer_proto::ids::{BrickId, InstallationId, NodeId};
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::keepsake::{GlusterVolumeSeen, Keepsake, KeepsakeKind, Recollection};
use bricklayer_proto::task::VolumeRecord;

use super::Difference;
use crate::keepsake::document::FORMAT;
use crate::keepsake::{InstallationDocument, Marks, VolumesDocument};
use crate::model::BlockVolume;
use crate::pki::AgentRecord;

/// All that was heard.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub installation: InstallationId,
    pub hosts: BTreeMap<NodeId, HostEvidence>,
    /// Of each trusted storage pool what one of its hosts says.
    pub pools: Vec<PoolEvidence>,
}

/// What one host said.
#[derive(Clone, Debug)]
pub struct HostEvidence {
    /// As its certificate has it, with the name under which it enrolled.
    pub agent: AgentRecord,
    pub inventory: Arc<Inventory>,
    /// With their numbers; `None` where it keeps none that is ours.
    pub installation: Option<(u64, Arc<InstallationDocument>)>,
    pub volumes: Option<(u64, VolumesDocument)>,
    /// The block volumes of that document, with what initiators log in with.
    pub block_volumes: Vec<BlockVolume>,
    pub records: BTreeMap<BrickId, VolumeRecord>,
    /// What was wrong with what it said.
    pub remarks: Vec<Difference>,
}

/// What one glusterd says of its pool.
#[derive(Clone, Debug)]
pub struct PoolEvidence {
    /// The hosts' own ids in the pool.
    pub members: BTreeSet<String>,
    /// `None` where it was asked and did not answer.
    pub volumes: Option<Vec<GlusterVolumeSeen>>,
}

/// Reads the documents that hosts keep, of one after the other.
pub struct Documents {
    marks: Marks,
    /// That of the whole installation is large, and most hosts keep the same one: it is read once.
    installation: Option<(String, Arc<InstallationDocument>)>,
}

impl Documents {
    #[must_use]
    pub fn of(marks: Marks) -> Self {
        Self { marks, installation: None }
    }

    fn installation(&mut self, content: String) -> Result<Arc<InstallationDocument>, String> {
        if let Some((known, document)) = &self.installation
            && *known == content
        {
            return Ok(Arc::clone(document));
        }
        let document: InstallationDocument = serde_json::from_str(&content).map_err(|error| error.to_string())?;
        known_format(document.format)?;
        let document = Arc::new(document);
        self.installation = Some((content, Arc::clone(&document)));
        Ok(document)
    }
}

fn known_format(format: u32) -> Result<(), String> {
    match format {
        FORMAT => Ok(()),
        other => Err(format!("it has format {other}, and this program knows format {FORMAT}")),
    }
}

impl HostEvidence {
    /// Of an agent of a protocol that can say nothing beyond its inventory.
    #[must_use]
    pub fn silent(agent: AgentRecord, inventory: Arc<Inventory>) -> Self {
        let remarks = vec![Difference::OldAgent { name: agent.name.clone() }];
        Self {
            agent,
            inventory,
            installation: None,
            volumes: None,
            block_volumes: Vec::new(),
            records: BTreeMap::new(),
            remarks,
        }
    }

    /// Takes in what the host recollects; documents without our mark are not believed.
    #[must_use]
    pub fn of(agent: AgentRecord, inventory: Arc<Inventory>, said: Recollection, documents: &mut Documents) -> Self {
        let name = said.name.clone();
        let mut host = Self::silent(AgentRecord { name: name.clone(), ..agent }, inventory);
        host.records = said.records;
        host.remarks.clear();
        for (brick, why) in said.unreadable {
            host.remarks.push(Difference::RecordUnreadable { name: name.clone(), brick, why });
        }
        for keepsake in said.keepsakes {
            let kind = keepsake.kind;
            if let Err(why) = host.take(keepsake, documents) {
                host.remarks.push(Difference::KeepsakeRefused { name: name.clone(), kind, why });
            }
        }
        if host.installation.is_none() || host.volumes.is_none() {
            host.remarks.push(Difference::NothingKept { name });
        }
        host
    }

    fn take(&mut self, keepsake: Keepsake, documents: &mut Documents) -> Result<(), String> {
        documents.marks.check(&keepsake).map_err(|error| error.to_string())?;
        match keepsake.kind {
            KeepsakeKind::Installation => {
                self.installation = Some((keepsake.sequence, documents.installation(keepsake.content)?));
            }
            KeepsakeKind::Volumes => {
                let document: VolumesDocument =
                    serde_json::from_str(&keepsake.content).map_err(|error| error.to_string())?;
                known_format(document.format)?;
                self.block_volumes = document.blocks(&documents.marks);
                self.volumes = Some((keepsake.sequence, document));
            }
            KeepsakeKind::Secrets => {}
        }
        Ok(())
    }
}

impl Evidence {
    /// The newest document of the whole installation that any host keeps.
    #[must_use]
    pub fn newest_installation(&self) -> Option<&InstallationDocument> {
        let kept = self.hosts.values().filter_map(|host| host.installation.as_ref());
        kept.max_by_key(|(sequence, _)| *sequence).map(|(_, document)| document.as_ref())
    }

    #[must_use]
    pub fn newest_sequence(&self) -> u64 {
        let installation = self.hosts.values().filter_map(|host| host.installation.as_ref().map(|(seq, _)| *seq));
        let volumes = self.hosts.values().filter_map(|host| host.volumes.as_ref().map(|(seq, _)| *seq));
        installation.chain(volumes).max().unwrap_or(0)
    }
}
