//! Volumes go into the trash, come back, and end there.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bricklayer_api::client::Client;
use bricklayer_proto::ids::VolumeId;
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::every_effect::{Asked, Deed, hosts};
use bricklayer_tests::story::{create, done, replicated};

use crate::every_effect::is_done_or_undone;

async fn volume(cluster: &Cluster) -> anyhow::Result<VolumeId> {
    Ok(create(&cluster.client()?, &replicated(1, 2)).await?.id)
}

async fn kept_volume(cluster: &Cluster) -> anyhow::Result<VolumeId> {
    let (client, id) = (cluster.client()?, volume(cluster).await?);
    done(&client, client.volume_delete_keeping(id, Some("7d")).await?).await?;
    Ok(id)
}

async fn kept(client: &Client) -> anyhow::Result<Vec<VolumeId>> {
    Ok(client.trash().await?.volumes.into_iter().map(|volume| volume.id).collect())
}

struct Keep(Option<VolumeId>);

#[async_trait(?Send)]
impl Deed for Keep {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(volume(cluster).await?);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.volume_delete_keeping(self.0.context("it was prepared")?, Some("7d")).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let (client, id) = (cluster.client()?, self.0.context("it was prepared")?);
        let kept = kept(&client).await?;
        ensure!(kept == [id], "in the trash: {kept:?}");
        ensure!(client.volumes().await?.volumes.is_empty(), "it is still listed");
        let running: Vec<_> = cluster.host("gfs1").footprint().volumes.into_iter().filter(|one| one.started).collect();
        ensure!(running.is_empty(), "it still runs: {running:#?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_delete_into_the_trash_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Keep>().await;
}

struct Undelete(Option<VolumeId>);

#[async_trait(?Send)]
impl Deed for Undelete {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(kept_volume(cluster).await?);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.volume_undelete(self.0.context("it was prepared")?).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let kept = kept(&cluster.client()?).await?;
        ensure!(kept.is_empty(), "still in the trash: {kept:?}");
        cluster.volume_is_whole(self.0.context("it was prepared")?).await
    }
}

#[tokio::test]
async fn an_undelete_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Undelete>().await;
}

struct End(Option<VolumeId>);

#[async_trait(?Send)]
impl Deed for End {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(kept_volume(cluster).await?);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.trash_end(self.0.context("it was prepared")?).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let client = cluster.client()?;
        let kept = kept(&client).await?;
        ensure!(kept.is_empty() && client.volumes().await?.volumes.is_empty(), "still in the trash: {kept:?}");
        Ok(())
    }
}

#[tokio::test]
async fn an_end_in_the_trash_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<End>().await;
}
