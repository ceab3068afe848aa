//! The words of the clusters' scenarios: what a client asks for over REST, and what is true afterwards on every host.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use bricklayer_agent::host::{GlusterVolume, Host as _};
use bricklayer_api::client::{Accepted, Client, ClientError};
use bricklayer_api::heketi::{
    ClusterFlags, DeviceAddRequest, DurabilityRequest, HostAddresses, NodeAddRequest, Replicate, StateRequest,
    VolumeCreateRequest, VolumeExpandRequest, VolumeInfo,
};
use bricklayer_api::v1::{AgentState, DeviceLedger, LedgerClass};
use bricklayer_proto::ids::{DeviceId, NodeId, VolumeId};
use bricklayer_proto::inventory::GroupSpace;
use bricklayer_proto::names::VgName;
use bricklayer_proto::size::{ByteSize, Extents, MIB};
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::{BrickAddress, Layout};

use crate::cluster::{Cluster, until};
use crate::sim::heketi::HandMadeBrick;
use crate::sim::{Footprint, SimHost};

impl Cluster {
    /// Makes one heketi cluster of all hosts, with `/dev/sdb` of each.
    pub async fn load_topology(&self) -> anyhow::Result<()> {
        let client = self.client()?;
        let cluster = client.cluster_create(ClusterFlags { block: true, file: true }).await?;
        let mut nodes = Vec::new();
        for (number, host) in (1..).zip(self.hosts()) {
            let hostnames =
                HostAddresses { manage: vec![host.name().to_string()], storage: vec![format!("192.168.0.{number}")] };
            let request =
                NodeAddRequest { zone: 1, hostnames, cluster: cluster.id.to_string(), ..NodeAddRequest::default() };
            let accepted = client.node_add(&request).await?;
            nodes.push(done(&client, accepted).await?);
        }
        for node in nodes {
            let request =
                DeviceAddRequest { name: "/dev/sdb".into(), node: node.id.to_string(), ..DeviceAddRequest::default() };
            let accepted = client.device_add(&request).await?;
            done(&client, accepted).await?;
        }
        Ok(())
    }

    /// So many hosts with one disk of that size each, in one heketi cluster.
    ///
    /// # Panics
    /// If it does not come about.
    pub async fn loaded(hosts: usize, gib: u64) -> Self {
        let size = ByteSize::from_gib(gib).expect("a size that fits");
        let cluster = Self::start(hosts, 1, size).await.expect("a cluster");
        cluster.load_topology().await.expect("its devices");
        cluster
    }

    /// No host saw anything that must never happen.
    ///
    /// # Panics
    /// If one did.
    pub fn nothing_was_violated(&self) {
        assert_eq!(self.sim.violations(), Vec::<String>::new());
    }

    /// Every host as it looks now, by name.
    #[must_use]
    pub fn footprints(&self) -> BTreeMap<String, Footprint> {
        self.hosts().map(|host| (host.name().to_string(), host.footprint())).collect()
    }

    /// Every device's total and free bytes at REST are what LVM says on the host, to the byte, and its ledger leaves
    /// nothing unaccounted for.
    pub async fn ledger_is_lvms(&self) -> anyhow::Result<()> {
        self.compare_with_lvm(false).await
    }

    /// `reported`: what was done has arrived in the agents' reports, so that the ledger tells of the whole disk.
    async fn compare_with_lvm(&self, reported: bool) -> anyhow::Result<()> {
        let client = self.client()?;
        let topology = client.topology().await?;
        for cluster in topology.clusters {
            for node in cluster.nodes {
                let name = node.hostnames.manage.first().context("a node has a name")?;
                let groups = self.host(name).footprint().view.groups;
                for device in node.devices {
                    let group = groups.iter().find(|group| group.name == VgName::of_device(device.id));
                    let space = group.with_context(|| format!("{name} has no group of {}", device.id))?.space;
                    let kib = |extents: Extents| extents.to_bytes(space.extent_size).map(ByteSize::whole_kib);
                    let storage = device.storage;
                    ensure!(
                        (Some(storage.total_kib), Some(storage.free_kib)) == (kib(space.total), kib(space.free))
                            && storage.used_kib == storage.total_kib - storage.free_kib,
                        "{name}: REST says {storage:?}, LVM says {space:?}"
                    );
                    let ledger = client.device_ledger(device.id).await?;
                    adds_up(&ledger).with_context(|| format!("{name}: {ledger:?}"))?;
                    if reported {
                        let disk = group.and_then(|group| group.physical_volumes.first()?.extent);
                        explains(&ledger, space, disk.context("LVM tells the disk's size")?.disk)
                            .with_context(|| format!("{name}: {ledger:?}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// As [`Self::ledger_is_lvms`], once reports under way have arrived; every byte of each disk is in its ledger then.
    pub async fn until_ledger_is_lvms(&self) -> anyhow::Result<()> {
        until("the ledger is LVM's", async || self.compare_with_lvm(true).await.map(|()| true)).await
    }

    /// The volume is whole: glusterd runs a process for each of its bricks, each is mounted by a line of fstab, and REST
    /// lists it.
    pub async fn volume_is_whole(&self, id: VolumeId) -> anyhow::Result<()> {
        for (host, path) in self.bricks_run(id).await? {
            ensure!(host.fstab_is_mounted(), "{}: not all of fstab is mounted", host.name());
            let fstab = host.footprint().view.fstab;
            let at = path.trim_end_matches("/brick");
            ensure!(fstab.contains(at), "{}: no line of fstab mounts {at}", host.name());
        }
        Ok(())
    }

    /// Every brick has its process: the hosts and paths of the bricks. A clone's are in no fstab.
    pub async fn bricks_run(&self, id: VolumeId) -> anyhow::Result<Vec<(&SimHost, String)>> {
        let client = self.client()?;
        let volume = client.volume(id).await?;
        ensure!(client.volumes().await?.volumes.contains(&id), "{id} is not listed");
        let topology = client.topology().await?;
        let nodes = topology.clusters.iter().flat_map(|cluster| &cluster.nodes);
        let nodes: BTreeMap<_, _> = nodes.map(|node| (node.id, node.hostnames.clone())).collect();
        let mut bricks = Vec::new();
        for brick in volume.bricks {
            let names = nodes.get(&brick.node).context("the node of a brick is in the topology")?;
            let host = self.host(&names.manage[0]);
            let address = BrickAddress { host: names.storage[0].parse()?, path: brick.path.clone().try_into()? };
            ensure!(host.brick_is_online(&address), "{}: no process for {}", host.name(), brick.path);
            bricks.push((host, brick.path));
        }
        Ok(bricks)
    }
}

/// Every byte is in the ledger once, and nothing is unaccounted for.
fn adds_up(ledger: &DeviceLedger) -> anyhow::Result<()> {
    let sum: u64 = ledger.figures.iter().map(|figure| figure.bytes).sum();
    ensure!(ledger.unaccounted_bytes == 0, "{} bytes are unaccounted for", ledger.unaccounted_bytes);
    ensure!(ledger.total_bytes == sum, "the sum is {sum}, the total {}", ledger.total_bytes);
    Ok(())
}

/// The total is the disk, and what LVM counts by itself is LVM's count.
fn explains(ledger: &DeviceLedger, space: GroupSpace, disk: ByteSize) -> anyhow::Result<()> {
    let amount = |class| ledger.figures.iter().filter(|figure| figure.class == class).map(|figure| figure.bytes).sum();
    let in_bytes = |extents: Extents| extents.to_bytes(space.extent_size).map_or(0, ByteSize::bytes);
    ensure!(ledger.total_bytes == disk.bytes(), "the total is {}, the disk has {disk}", ledger.total_bytes);
    let counted: [u64; 3] = [LedgerClass::Free, LedgerClass::MetadataSpare, LedgerClass::LvmArea].map(amount);
    let lvms = [in_bytes(space.free), in_bytes(space.spare), disk.bytes() - in_bytes(space.total)];
    ensure!(counted == lvms, "free, spare and outside the extents are {counted:?}, LVM says {lvms:?}");
    for brick in &ledger.bricks {
        let taken = brick.data_bytes + brick.rounding_bytes + brick.snapshot_room_bytes + brick.metadata_bytes;
        ensure!(brick.lvm_bytes == Some(taken), "brick {} takes {taken}, LVM has {:?}", brick.brick, brick.lvm_bytes);
    }
    Ok(())
}

/// Waits for work that was taken on.
pub async fn done<T: bricklayer_api::client::WorkResult>(
    client: &Client,
    accepted: Accepted<T>,
) -> Result<T, ClientError> {
    client.wait(&accepted, async |_| {}).await
}

#[must_use]
pub fn replicated(size_gib: i64, replica: i64) -> VolumeCreateRequest {
    VolumeCreateRequest {
        size_gib,
        durability: DurabilityRequest {
            kind: "replicate".into(),
            replicate: Replicate { replica },
            ..DurabilityRequest::default()
        },
        ..VolumeCreateRequest::default()
    }
}

/// Creates a volume and waits for it.
pub async fn create(client: &Client, request: &VolumeCreateRequest) -> Result<VolumeInfo, ClientError> {
    let accepted = client.volume_create(request).await?;
    done(client, accepted).await
}

/// Expands a volume by so many GiB and waits for it.
pub async fn expand(client: &Client, id: VolumeId, gib: i64) -> Result<VolumeInfo, ClientError> {
    let request = VolumeExpandRequest { expand_size_gib: gib, ..VolumeExpandRequest::default() };
    let accepted = client.volume_expand(id, request).await?;
    done(client, accepted).await
}

pub async fn delete(client: &Client, id: VolumeId) -> Result<(), ClientError> {
    let accepted = client.volume_delete(id).await?;
    done(client, accepted).await
}

/// A volume that keeps one copy of each file.
#[must_use]
pub fn distributed(size_gib: i64) -> VolumeCreateRequest {
    let durability = DurabilityRequest { kind: "none".into(), ..DurabilityRequest::default() };
    VolumeCreateRequest { size_gib, durability, ..VolumeCreateRequest::default() }
}

/// Takes a device through these states, each in turn.
pub async fn set_device(client: &Client, id: DeviceId, states: &[&str]) -> Result<(), ClientError> {
    for state in states {
        let request = StateRequest { state: (*state).into(), ..StateRequest::default() };
        let accepted = client.device_set_state(id, &request).await?;
        done(client, accepted).await?;
    }
    Ok(())
}

pub async fn until_one_is_away(client: &Client) -> anyhow::Result<()> {
    until("an agent is seen to be away", async || {
        let agents = client.agents().await?.agents;
        Ok(agents.iter().any(|agent| agent.state == AgentState::Detached))
    })
    .await
}

/// Node and its only device, by the number of the host.
pub async fn hardware(client: &Client, host: usize) -> anyhow::Result<(NodeId, DeviceId)> {
    let name = format!("gfs{host}");
    let topology = client.topology().await?;
    let mut nodes = topology.clusters.iter().flat_map(|cluster| &cluster.nodes);
    let node = nodes.find(|node| node.hostnames.manage.contains(&name)).with_context(|| format!("no node {name}"))?;
    let device = node.devices.first().with_context(|| format!("{name} has no device"))?;
    Ok((node.id, device.id))
}

/// A volume of one brick that a person makes on `/dev/sdc` of the host, and starts.
///
/// # Panics
/// If a person could not make it.
pub async fn make_by_hand(host: &SimHost, name: &str) -> GlusterVolume {
    let group: VgName = "data".parse().expect("a name");
    host.make_group_by_hand(&"/dev/sdc".parse().expect("a path"), &group, ByteSize::from_bytes(MIB));
    let brick = HandMadeBrick {
        group,
        pool: "pool".parse().expect("a name"),
        volume: "theirs".parse().expect("a name"),
        space: BrickSpace {
            provisioning: Provisioning::Thin,
            volume: Extents::new(256),
            pool: Extents::new(512),
            metadata: Extents::new(4),
        },
        at: "/srv/theirs".parse().expect("a path"),
        folder: "data".to_owned(),
        fstab: None,
        gid: 0,
        arbiter: false,
    };
    host.make_brick_by_hand(&brick).await.expect("a person can make a brick");
    let address = BrickAddress { host: host.name().clone(), path: brick.path() };
    let name = name.parse().expect("a name");
    host.gluster_volume_create(&name, Layout::Distribute, &[address]).await.expect("a person can make a volume");
    host.gluster_volume_start(&name).await.expect("a person can start a volume");
    host.gluster_volume(&name).await.expect("glusterd runs").expect("it was made")
}
