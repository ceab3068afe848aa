//! Nodes and devices come and go.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bricklayer_agent::host::Host as _;
use bricklayer_api::client::{Client, Wipe};
use bricklayer_api::heketi::{ClusterFlags, DeviceAddRequest, DeviceDeleteRequest, HostAddresses, NodeAddRequest};
use bricklayer_api::v1::WipeRequest;
use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId};
use bricklayer_proto::inventory::{Inventory, Obstacle};
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::every_effect::{Asked, Deed, bare_hosts, hosts};
use bricklayer_tests::sim::{Call, Fault, Footprint};
use bricklayer_tests::story::{done, hardware, set_device};

use crate::every_effect::is_done_or_undone;

fn node(number: usize, cluster: ClusterId) -> NodeAddRequest {
    let hostnames =
        HostAddresses { manage: vec![format!("gfs{number}")], storage: vec![format!("192.168.0.{number}")] };
    NodeAddRequest { zone: 1, hostnames, cluster: cluster.to_string(), ..NodeAddRequest::default() }
}

fn device(node: NodeId) -> DeviceAddRequest {
    DeviceAddRequest { name: "/dev/sdb".to_owned(), node: node.to_string(), ..DeviceAddRequest::default() }
}

/// Two hosts in a cluster, and gfs3 in none yet.
async fn third_to_come() -> anyhow::Result<(Cluster, ClusterId)> {
    let cluster = bare_hosts(3, 16, |_| {}).await?;
    let client = cluster.client()?;
    let id = client.cluster_create(ClusterFlags { block: true, file: true }).await?.id;
    for number in [1, 2] {
        let node = done(&client, client.node_add(&node(number, id)).await?).await?;
        done(&client, client.device_add(&device(node.id)).await?).await?;
    }
    Ok((cluster, id))
}

/// Every node that there is, by its name.
async fn nodes(client: &Client) -> anyhow::Result<Vec<(String, NodeId, Vec<DeviceId>)>> {
    let nodes = client.topology().await?.clusters.into_iter().flat_map(|cluster| cluster.nodes);
    let seen = nodes.map(|node| {
        let name = node.hostnames.manage.first().cloned().context("a node has a name")?;
        anyhow::Ok((name, node.id, node.devices.iter().map(|device| device.id).collect()))
    });
    seen.collect()
}

async fn remove_device(client: &Client, id: DeviceId) -> anyhow::Result<()> {
    set_device(client, id, &["offline", "failed"]).await?;
    done(client, client.device_delete(id, DeviceDeleteRequest::default()).await?).await?;
    Ok(())
}

/// gfs3 leaves, with all that it has.
pub async fn remove_third(client: &Client) -> anyhow::Result<()> {
    for (_, node, devices) in nodes(client).await?.into_iter().filter(|(name, ..)| name == "gfs3") {
        for device in devices {
            remove_device(client, device).await?;
        }
        done(client, client.node_delete(node).await?).await?;
    }
    Ok(())
}

/// gfs3 comes, with its disk.
pub async fn add_third(client: &Client, cluster: ClusterId) -> anyhow::Result<(NodeId, DeviceId)> {
    let node = done(client, client.node_add(&node(3, cluster)).await?).await?.id;
    done(client, client.device_add(&device(node)).await?).await?;
    hardware(client, 3).await
}

struct AddNode(ClusterId);

#[async_trait(?Send)]
impl Deed for AddNode {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let (cluster, id) = third_to_come().await?;
        Ok((cluster, Self(id)))
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.node_add(&node(3, self.0)).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let nodes = nodes(&cluster.client()?).await?;
        ensure!(nodes.len() == 3, "{nodes:?}");
        let (_, peers) = cluster.host("gfs3").gluster_pool().await?;
        ensure!(peers.len() == 2, "gfs3 has {peers:?}");
        Ok(())
    }

    async fn clear(&mut self, cluster: &Cluster, _done: bool) -> anyhow::Result<()> {
        remove_third(&cluster.client()?).await
    }
}

#[tokio::test]
async fn a_node_add_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<AddNode>().await;
}

struct DeleteNode {
    cluster: ClusterId,
    node: Option<NodeId>,
}

#[async_trait(?Send)]
impl Deed for DeleteNode {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let (cluster, id) = third_to_come().await?;
        Ok((cluster, Self { cluster: id, node: None }))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let client = cluster.client()?;
        self.node = Some(done(&client, client.node_add(&node(3, self.cluster)).await?).await?.id);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.node_delete(self.node.context("it was prepared")?).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let nodes = nodes(&cluster.client()?).await?;
        ensure!(nodes.len() == 2, "{nodes:?}");
        Ok(())
    }

    async fn clear(&mut self, cluster: &Cluster, _done: bool) -> anyhow::Result<()> {
        remove_third(&cluster.client()?).await
    }
}

#[tokio::test]
async fn a_node_delete_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<DeleteNode>().await;
}

/// Nothing says whose a physical volume without a group is: a person wipes it.
async fn wipe_what_lvm_left(cluster: &Cluster) -> anyhow::Result<()> {
    let view = cluster.host("gfs1").footprint().view;
    if view.loose_physical_volumes.is_empty() {
        return Ok(());
    }
    // The coordinator refuses the wipe while the last report that it has shows the group that was there before.
    let is_no_device = |seen: &Inventory| {
        let mut obstacles = seen.disks.iter().flat_map(|disk| &disk.obstacles);
        obstacles.all(|obstacle| !matches!(obstacle, Obstacle::Ours { .. }))
    };
    let gfs1 = cluster.host("gfs1").name();
    cluster.installation.until_seen(gfs1, "its disk is no device", is_no_device).await?;
    let disk = view.block_devices.iter().find(|disk| disk.path.as_str() == "/dev/sdb").context("the disk")?;
    let confirm = disk.serial.clone().or_else(|| disk.wwn.clone());
    let request = WipeRequest { node: gfs1.to_string(), device: "/dev/sdb".parse()?, confirm };
    let client = cluster.client()?;
    match client.device_wipe(&request).await? {
        Wipe::Accepted(accepted) => Ok(done(&client, accepted).await?),
        Wipe::Unconfirmed(refusal) => anyhow::bail!("{refusal:?}"),
    }
}

/// One host whose disk becomes a device.
struct AddDevice(NodeId);

#[async_trait(?Send)]
impl Deed for AddDevice {
    const NEEDS_A_PERSON: &'static [(Call, Fault)] = &[(Call::CreateGroup, Fault::Halfway)];

    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let cluster = hosts(1, 16, |_| {}).await?;
        let client = cluster.client()?;
        let (node, device) = hardware(&client, 1).await?;
        remove_device(&client, device).await?;
        Ok((cluster, Self(node)))
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.device_add(&device(self.0)).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let devices = cluster.client()?.node(self.0).await?.devices;
        ensure!(devices.len() == 1, "{devices:?}");
        Ok(())
    }

    async fn clear(&mut self, cluster: &Cluster, done: bool) -> anyhow::Result<()> {
        if done {
            let client = cluster.client()?;
            remove_device(&client, hardware(&client, 1).await?.1).await?;
        }
        wipe_what_lvm_left(cluster).await
    }
}

#[tokio::test]
async fn a_device_add_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<AddDevice>().await;
}

struct DeleteDevice {
    node: NodeId,
    device: Option<DeviceId>,
}

#[async_trait(?Send)]
impl Deed for DeleteDevice {
    /// A device whose agent is away is not deleted.
    const WAITS: bool = false;

    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let (cluster, AddDevice(node)) = AddDevice::set_up().await?;
        Ok((cluster, Self { node, device: None }))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let client = cluster.client()?;
        done(&client, client.device_add(&device(self.node)).await?).await?;
        let device = hardware(&client, 1).await?.1;
        set_device(&client, device, &["offline", "failed"]).await?;
        self.device = Some(device);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        let device = self.device.context("it was prepared")?;
        Asked::of(client.device_delete(device, DeviceDeleteRequest::default()).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let devices = cluster.client()?.node(self.node).await?.devices;
        ensure!(devices.is_empty(), "{devices:?}");
        let left = cluster.host("gfs1").footprint().view.loose_physical_volumes;
        ensure!(left.is_empty(), "the disk is not blank: {left:?}");
        Ok(())
    }

    async fn clear(&mut self, cluster: &Cluster, done: bool) -> anyhow::Result<()> {
        if !done {
            remove_device(&cluster.client()?, self.device.context("it was prepared")?).await?;
        }
        Ok(())
    }

    /// The mark on an empty group stays: nothing is placed there, and the device may be deleted again.
    fn seen(mut footprint: Footprint) -> Footprint {
        for group in &mut footprint.view.groups {
            group.tags.retain(|tag| tag.as_str() != "bricklayer.condemned");
        }
        footprint
    }
}

#[tokio::test]
async fn a_device_delete_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<DeleteDevice>().await;
}
