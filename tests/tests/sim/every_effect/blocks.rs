//! Block volumes are made, grown and deleted.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bricklayer_api::client::Client;
use bricklayer_api::heketi::{BlockVolumeCreateRequest, BlockVolumeExpandRequest, VolumeCreateRequest};
use bricklayer_proto::ids::BlockVolumeId;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::every_effect::{Asked, Deed, hosts};
use bricklayer_tests::story::{create, done, replicated};

use crate::every_effect::is_done_or_undone;

fn wish() -> BlockVolumeCreateRequest {
    BlockVolumeCreateRequest { size_gib: 5, name: "blk".to_owned(), ..BlockVolumeCreateRequest::default() }
}

/// A block volume of 5 GiB in a volume of 20 GiB that a person made for it.
async fn block(cluster: &Cluster) -> anyhow::Result<BlockVolumeId> {
    let client = cluster.client()?;
    create(&client, &VolumeCreateRequest { block: true, ..replicated(20, 2) }).await?;
    Ok(done(&client, client.block_volume_create(&wish()).await?).await?.id)
}

/// As many block volumes in the records as on the hosts.
async fn there_are(cluster: &Cluster, number: usize) -> anyhow::Result<()> {
    let (listed, made) = (cluster.client()?.block_volumes().await?.block_volumes, cluster.sim.blocks());
    ensure!(listed.len() == number && made.len() == number, "listed {listed:?}, on the hosts {made:?}");
    Ok(())
}

/// With the volume that is made to hold it.
struct Create;

#[async_trait(?Send)]
impl Deed for Create {
    /// The volume is made as any other, which is a deed of its own.
    const DISTURBED: usize = 1;

    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let size = ByteSize::from_gib(20).context("a size that fits")?;
        let decide = |policy: &mut bricklayer_coordinator::ops::Policy| {
            policy.block.create_hosting_volumes = true;
            policy.block.hosting_size = size;
        };
        Ok((hosts(3, 64, decide).await?, Self))
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.block_volume_create(&wish()).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        there_are(cluster, 1).await?;
        let volumes = cluster.client()?.volumes().await?.volumes;
        ensure!(volumes.len() == 1, "{volumes:?}");
        cluster.volume_is_whole(volumes[0]).await
    }
}

#[tokio::test]
async fn a_block_create_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Create>().await;
}

struct Delete(Option<BlockVolumeId>);

#[async_trait(?Send)]
impl Deed for Delete {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 64, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(block(cluster).await?);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        Asked::of(client.block_volume_delete(self.0.context("it was prepared")?).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        there_are(cluster, 0).await
    }
}

#[tokio::test]
async fn a_block_delete_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Delete>().await;
}

struct Expand(Option<BlockVolumeId>);

#[async_trait(?Send)]
impl Deed for Expand {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Ok((hosts(2, 64, |_| {}).await?, Self(None)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0 = Some(block(cluster).await?);
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        let request = BlockVolumeExpandRequest { new_size_gib: 8 };
        Asked::of(client.block_volume_expand(self.0.context("it was prepared")?, request).await?)
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        there_are(cluster, 1).await?;
        let block = cluster.client()?.block_volume(self.0.context("it was prepared")?).await?;
        ensure!((block.size_gib, block.usable_size_gib) == (8, 8), "{block:#?}");
        let seen = cluster.host("gfs1").footprint().blocks;
        ensure!(seen.iter().all(|(_, size, _)| Some(*size) == ByteSize::from_gib(8)), "{seen:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_block_expansion_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Expand>().await;
}
