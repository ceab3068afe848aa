//! Bricks move: one, all of a device, all of a node.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bricklayer_api::client::Client;
use bricklayer_api::heketi::{BrickEvictRequest, EntryState, StateRequest};
use bricklayer_proto::ids::{BrickId, DeviceId, NodeId};
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::every_effect::{Asked, Deed, delete_all, hosts};
use bricklayer_tests::story::{create, done, hardware, replicated, set_device};

use crate::every_effect::is_done_or_undone;

fn state(state: &str) -> StateRequest {
    StateRequest { state: state.to_owned(), ..StateRequest::default() }
}

/// The only volume, which is whole, and has moved away from the device.
async fn has_moved(cluster: &Cluster, from: DeviceId) -> anyhow::Result<()> {
    let client = cluster.client()?;
    let volumes = client.volumes().await?.volumes;
    ensure!(volumes.len() == 1, "{volumes:?}");
    cluster.volume_is_whole(volumes[0]).await?;
    let volume = client.volume(volumes[0]).await?;
    let moved = volume.bricks.len() == 2 && volume.bricks.iter().all(|brick| brick.device != from);
    ensure!(moved && client.device(from).await?.bricks.is_empty(), "{volume:#?}");
    Ok(())
}

/// A volume with a copy on gfs1, another on gfs2, and room on gfs3 for either: of the first, its brick and device.
async fn two_of_three(cluster: &Cluster) -> anyhow::Result<(BrickId, DeviceId)> {
    let client = cluster.client()?;
    let (room, device) = (hardware(&client, 3).await?.1, hardware(&client, 1).await?.1);
    set_device(&client, room, &["offline"]).await?;
    let volume = create(&client, &replicated(1, 2)).await?;
    set_device(&client, room, &["online"]).await?;
    let brick = volume.bricks.iter().find(|brick| brick.device == device).context("a brick on gfs1")?;
    Ok((brick.id, device))
}

/// One of two copies moves to the third host.
struct Evict(Option<(BrickId, DeviceId)>);

#[async_trait(?Send)]
impl Deed for Evict {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(3, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(two_of_three(cluster).await?);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        let (brick, _) = self.0.context("it was prepared")?;
        Asked::of(client.brick_evict(brick, &BrickEvictRequest::default()).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        has_moved(cluster, self.0.context("it was prepared")?.1).await
    }
}

#[tokio::test]
async fn an_evict_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Evict>().await;
}

/// A device with one brick is emptied.
struct EmptyDevice(Option<DeviceId>);

#[async_trait(?Send)]
impl Deed for EmptyDevice {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(3, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let (_, device) = two_of_three(cluster).await?;
        set_device(&cluster.client()?, device, &["offline"]).await?;
        self.0 = Some(device);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.device_set_state(self.0.context("it was prepared")?, &state("failed")).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let device = self.0.context("it was prepared")?;
        has_moved(cluster, device).await?;
        let state = cluster.client()?.device(device).await?.state;
        ensure!(state == EntryState::Failed, "{state:?}");
        Ok(())
    }

    async fn clear(&mut self, cluster: &Cluster, done: bool) -> anyhow::Result<()> {
        let client = cluster.client()?;
        delete_all(&client).await?;
        let states: &[&str] = if done { &["offline", "online"] } else { &["online"] };
        Ok(set_device(&client, self.0.context("it was prepared")?, states).await?)
    }
}

#[tokio::test]
async fn a_device_remove_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<EmptyDevice>().await;
}

/// A node with one brick is emptied, for good: another one comes in its place.
struct EmptyNode(Option<(NodeId, DeviceId)>);

#[async_trait(?Send)]
impl Deed for EmptyNode {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let cluster = hosts(3, 16, |_| {}).await?;
        crate::every_effect::hardware::remove_third(&cluster.client()?).await?;
        Ok((cluster, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let client = cluster.client()?;
        let ours = client.clusters().await?.clusters;
        let added = crate::every_effect::hardware::add_third(&client, *ours.first().context("a cluster")?).await?;
        // Where else a copy could go is closed for a moment.
        let other = hardware(&client, 2).await?.1;
        set_device(&client, other, &["offline"]).await?;
        create(&client, &replicated(1, 2)).await?;
        set_device(&client, other, &["online"]).await?;
        done(&client, client.node_set_state(added.0, &state("offline")).await?).await?;
        self.0 = Some(added);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.node_set_state(self.0.context("it was prepared")?.0, &state("failed")).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let (node, device) = self.0.context("it was prepared")?;
        has_moved(cluster, device).await?;
        let state = cluster.client()?.node(node).await?.state;
        ensure!(state == EntryState::Failed, "{state:?}");
        Ok(())
    }

    async fn clear(&mut self, cluster: &Cluster, _done: bool) -> anyhow::Result<()> {
        let client = cluster.client()?;
        delete_all(&client).await?;
        crate::every_effect::hardware::remove_third(&client).await
    }
}

#[tokio::test]
async fn a_node_remove_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<EmptyNode>().await;
}
