//! The `gluster-block` of simulated hosts: files in volumes, and the hosts that export them.
//!
//! Refuses what `gluster-block` refuses. What it leaves half done when a host is away is left half done here: a resize
//! reaches the others, and a delete keeps what it could not take back.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bricklayer_agent::host::{BlockInfo, BlockTool, GlusterVolume, HostError, NewBlock, PrintedSize};
use bricklayer_proto::ids::BlockVolumeId;
use bricklayer_proto::names::{BlockName, HostName, VolumeName};
use bricklayer_proto::size::ByteSize;

use super::disk::failed;
use super::faults::Call;
use super::host::Run;
use super::{HostKey, SimCluster, SimHost, World};

/// All block volumes: by the uuid of the volume that hosts them, and their own name.
#[derive(Default)]
pub(super) struct Blocks(BTreeMap<(String, BlockName), SimBlock>);

#[derive(Clone)]
struct SimBlock {
    gbid: String,
    size: ByteSize,
    ha: u64,
    hosts: Vec<HostName>,
    password: String,
    behind: BTreeMap<HostName, ByteSize>,
}

impl SimCluster {
    /// The names of all block volumes, those in volumes that are gone included: nobody can reach such a one.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockName> {
        self.lock().blocks.0.keys().map(|(_, name)| name.clone()).collect()
    }
}

impl SimHost {
    /// A host without the program, from now on.
    pub fn without_gluster_block(&self) {
        self.on(|machine| machine.gluster_block_installed = false);
    }

    /// A person makes a block volume by hand.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn make_block_by_hand(&self, hosting: &VolumeName, name: &BlockName, new: &NewBlock) {
        let made = self.cluster.lock().block_create(self.key, hosting, name, new);
        made.expect("a block volume can be made by hand");
    }
}

/// Follows from the seed where ids do.
fn new_uuid() -> String {
    uuid::Uuid::parse_str(&BlockVolumeId::random().to_string()).expect("an id is a UUID").to_string()
}

impl World {
    /// The uuid of a started volume, asked of a host that has the program.
    fn hosting(&self, key: HostKey, what: &str, hosting: &VolumeName) -> Result<String, HostError> {
        if !self.machine(key).gluster_block_installed {
            return Err(HostError::Missing { program: "gluster-block".into() });
        }
        match self.volume(key, hosting)? {
            Some(volume) if volume.started => Ok(volume.uuid),
            _ => Err(failed(what, &format!("volume {hosting} is not available"))),
        }
    }

    /// Names, sizes and numbers of hosts.
    pub fn blocks_in(&self, volumes: &[GlusterVolume]) -> Vec<(BlockName, ByteSize, usize)> {
        let in_them = self.blocks.0.iter().filter(|((uuid, _), _)| volumes.iter().any(|volume| volume.uuid == *uuid));
        in_them.map(|((_, name), block)| (name.clone(), block.size, block.hosts.len())).collect()
    }

    fn serves_blocks(&self, name: &HostName) -> bool {
        let serves = |key| self.gluster_runs(key) && self.machine(key).gluster_block_installed;
        self.resolve(name).is_some_and(serves)
    }

    fn block_info(&self, key: HostKey, hosting: &VolumeName, name: &BlockName) -> Result<Option<BlockInfo>, HostError> {
        let uuid = self.hosting(key, "gluster-block info", hosting)?;
        Ok(self.blocks.0.get(&(uuid, name.clone())).map(|block| BlockInfo {
            gbid: block.gbid.clone(),
            size: PrintedSize::exactly(block.size),
            ha: block.ha,
            hosts: block.hosts.clone(),
            password: block.password.clone().into(),
            behind: block.behind.iter().map(|(host, size)| (host.clone(), PrintedSize::exactly(*size))).collect(),
        }))
    }

    fn block_create(
        &mut self,
        key: HostKey,
        hosting: &VolumeName,
        name: &BlockName,
        new: &NewBlock,
    ) -> Result<(), HostError> {
        let what = format!("gluster-block create {hosting}/{name}");
        let uuid = self.hosting(key, &what, hosting)?;
        if self.blocks.0.contains_key(&(uuid.clone(), name.clone())) {
            return Err(failed(&what, &format!("BLOCK with name: '{name}' already EXIST")));
        }
        if let Some(away) = new.hosts.iter().find(|host| !self.serves_blocks(host)) {
            return Err(failed(&what, &format!("failed to configure on {away}")));
        }
        let block = SimBlock {
            gbid: new_uuid(),
            size: new.size,
            ha: new.hosts.len() as u64,
            hosts: new.hosts.clone(),
            password: if new.auth { new_uuid() } else { String::new() },
            behind: BTreeMap::new(),
        };
        self.blocks.0.insert((uuid, name.clone()), block);
        Ok(())
    }

    /// As when it is killed in between: the file is there, and not all hosts export it.
    fn block_create_halfway(
        &mut self,
        key: HostKey,
        hosting: &VolumeName,
        name: &BlockName,
        new: &NewBlock,
    ) -> Result<(), HostError> {
        self.block_create(key, hosting, name, new)?;
        let block = self.block_mut(key, "gluster-block create", hosting, name)?;
        block.hosts.truncate(block.hosts.len() / 2);
        Ok(())
    }

    fn block_resize(
        &mut self,
        key: HostKey,
        hosting: &VolumeName,
        name: &BlockName,
        to: ByteSize,
    ) -> Result<(), HostError> {
        let what = format!("gluster-block modify {hosting}/{name}");
        let before = self.block_mut(key, &what, hosting, name)?.clone();
        if to < before.size || (to == before.size && before.behind.is_empty()) {
            return Err(failed(&what, &format!("block volume size is already {} bytes", before.size.bytes())));
        }
        let old = |host: &HostName| before.behind.get(host).copied().unwrap_or(before.size);
        let away: BTreeMap<HostName, ByteSize> = before
            .hosts
            .iter()
            .filter(|host| !self.serves_blocks(host))
            .map(|host| (host.clone(), old(host)))
            .collect();
        let block = self.block_mut(key, &what, hosting, name)?;
        (block.size, block.behind) = (to, away.clone());
        match away.keys().next() {
            Some(host) => Err(failed(&what, &format!("failed to resize on {host}"))),
            None => Ok(()),
        }
    }

    fn block_delete(&mut self, key: HostKey, hosting: &VolumeName, name: &BlockName) -> Result<(), HostError> {
        let what = format!("gluster-block delete {hosting}/{name}");
        let uuid = self.hosting(key, &what, hosting)?;
        let hosts = self.block_mut(key, &what, hosting, name)?.hosts.clone();
        if let Some(away) = hosts.iter().find(|host| !self.serves_blocks(host)) {
            return Err(failed(&what, &format!("failed to delete config on {away}")));
        }
        self.blocks.0.remove(&(uuid, name.clone()));
        Ok(())
    }

    fn block_mut(
        &mut self,
        key: HostKey,
        what: &str,
        hosting: &VolumeName,
        name: &BlockName,
    ) -> Result<&mut SimBlock, HostError> {
        let uuid = self.hosting(key, what, hosting)?;
        let block = self.blocks.0.get_mut(&(uuid, name.clone()));
        block.ok_or_else(|| failed(what, &format!("block {hosting}/{name} doesn't exist")))
    }
}

#[async_trait]
impl BlockTool for SimHost {
    async fn block_version(&self) -> Option<String> {
        self.on(|machine| machine.gluster_block_installed).then(|| "0.5.1".to_owned())
    }

    async fn block_info(&self, hosting: &VolumeName, name: &BlockName) -> Result<Option<BlockInfo>, HostError> {
        let (hosting, name) = (hosting.clone(), name.clone());
        let target = format!("{hosting}/{name}");
        self.fact(Call::BlockInfo, target, move |world, key| world.block_info(key, &hosting, &name)).await
    }

    async fn block_create(&self, hosting: &VolumeName, name: &BlockName, new: &NewBlock) -> Result<(), HostError> {
        let target = format!("{hosting}/{name}");
        let wanted = (hosting.clone(), name.clone(), new.clone());
        let half: Run<()> = {
            let (hosting, name, new) = wanted.clone();
            Box::new(move |world, key| world.block_create_halfway(key, &hosting, &name, &new))
        };
        let (hosting, name, new) = wanted;
        let whole: Run<()> = Box::new(move |world, key| world.block_create(key, &hosting, &name, &new));
        self.call(Call::BlockCreate, target, whole, Some(half)).await
    }

    async fn block_resize(&self, hosting: &VolumeName, name: &BlockName, to: ByteSize) -> Result<(), HostError> {
        let (hosting, name) = (hosting.clone(), name.clone());
        let target = format!("{hosting}/{name}");
        self.effect(Call::BlockResize, target, move |world, key| world.block_resize(key, &hosting, &name, to)).await
    }

    async fn block_delete(&self, hosting: &VolumeName, name: &BlockName) -> Result<(), HostError> {
        let (hosting, name) = (hosting.clone(), name.clone());
        let target = format!("{hosting}/{name}");
        self.effect(Call::BlockDelete, target, move |world, key| world.block_delete(key, &hosting, &name)).await
    }
}
