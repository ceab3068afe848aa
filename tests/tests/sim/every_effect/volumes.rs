//! Volumes are made, cloned, grown and deleted.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bricklayer_api::client::Client;
use bricklayer_api::heketi::{VolumeCloneRequest, VolumeExpandRequest, VolumeInfo};
use bricklayer_proto::ids::VolumeId;
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::every_effect::{Asked, Deed, hosts};
use bricklayer_tests::story::{create, replicated};

use crate::every_effect::is_done_or_undone;

/// All volumes there are, each of them whole.
async fn all_whole(cluster: &Cluster) -> anyhow::Result<Vec<VolumeInfo>> {
    let client = cluster.client()?;
    let mut volumes = Vec::new();
    for id in client.volumes().await?.volumes {
        cluster.volume_is_whole(id).await?;
        volumes.push(client.volume(id).await?);
    }
    Ok(volumes)
}

struct Create;

#[async_trait(?Send)]
impl Deed for Create {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(3, 16, |_| {}).await?, Self))
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.volume_create(&replicated(1, 3)).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let volumes = all_whole(cluster).await?;
        ensure!(volumes.len() == 1 && volumes[0].bricks.len() == 3, "{volumes:#?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_create_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Create>().await;
}

struct Delete(Option<VolumeId>);

#[async_trait(?Send)]
impl Deed for Delete {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(create(&cluster.client()?, &replicated(1, 2)).await?.id);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.volume_delete(self.0.context("it was prepared")?).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let volumes = all_whole(cluster).await?;
        ensure!(volumes.is_empty(), "{volumes:#?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_delete_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Delete>().await;
}

struct Clone(Option<VolumeId>);

#[async_trait(?Send)]
impl Deed for Clone {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(create(&cluster.client()?, &replicated(1, 2)).await?.id);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        let request = VolumeCloneRequest { name: "copy".to_owned() };
        Asked::of(client.volume_clone(self.0.context("it was prepared")?, &request).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let (client, source) = (cluster.client()?, self.0.context("it was prepared")?);
        cluster.volume_is_whole(source).await?;
        // GlusterFS mounts its bricks, with no line of fstab.
        let copies: Vec<_> = client.volumes().await?.volumes.into_iter().filter(|id| *id != source).collect();
        ensure!(copies.len() == 1, "{copies:?}");
        let copy = client.volume(copies[0]).await?;
        ensure!(copy.name == "copy" && copy.bricks.len() == 2, "{copy:#?}");
        let started = cluster.host("gfs1").volume_is_started(&"copy".parse()?);
        ensure!(started == Some(true), "{started:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_clone_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Clone>().await;
}

/// Two bricks of 1 GiB that become larger where they are.
struct Grow(Option<VolumeId>);

#[async_trait(?Send)]
impl Deed for Grow {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 16, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(create(&cluster.client()?, &replicated(1, 2)).await?.id);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        let request = VolumeExpandRequest { expand_size_gib: 1, ..VolumeExpandRequest::default() };
        Asked::of(client.volume_expand(self.0.context("it was prepared")?, request).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let volumes = all_whole(cluster).await?;
        let grown = volumes.len() == 1 && volumes[0].size_gib == 2 && volumes[0].bricks.len() == 2;
        ensure!(grown, "{volumes:#?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_growth_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Grow>().await;
}

/// Bricks that fill their devices, so that the volume gets another set on two more hosts.
struct Widen(Option<VolumeId>);

#[async_trait(?Send)]
impl Deed for Widen {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(4, 4, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(create(&cluster.client()?, &replicated(2, 2)).await?.id);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        let request = VolumeExpandRequest { expand_size_gib: 2, ..VolumeExpandRequest::default() };
        Asked::of(client.volume_expand(self.0.context("it was prepared")?, request).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let volumes = all_whole(cluster).await?;
        let wider = volumes.len() == 1 && volumes[0].size_gib == 4 && volumes[0].bricks.len() == 4;
        ensure!(wider, "{volumes:#?}");
        Ok(())
    }
}

#[tokio::test]
async fn an_expansion_by_a_set_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Widen>().await;
}
