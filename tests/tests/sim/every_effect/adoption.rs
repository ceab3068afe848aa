//! What heketi left is taken over, and given back.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bricklayer_api::client::{Change, Client};
use bricklayer_api::v1::{AdoptRequest, InvitationRequest, UnadoptRequest};
use bricklayer_proto::ids::VolumeId;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::VOLUME_ID_OPTION;
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::every_effect::{Asked, Deed, bare_hosts};
use bricklayer_tests::sim::Footprint;
use bricklayer_tests::sim::heketi::{Heketi, HeketiVolume};

use crate::every_effect::is_done_or_undone;

/// Two hosts that heketi ran, with a volume that has a copy on each.
struct Old {
    heketi: Heketi,
    volume: VolumeId,
}

async fn old() -> anyhow::Result<(Cluster, Old)> {
    let mut cluster = bare_hosts(0, 0, |_| {}).await?;
    let mut heketi = Heketi::new();
    let (mut hosts, mut devices) = (Vec::new(), Vec::new());
    for number in 1..=2_u32 {
        let (name, storage) = (format!("gfs{number}"), format!("192.168.0.{number}"));
        let host = cluster.sim.add_host(&[name.parse()?, storage.parse()?]);
        host.plug_blank(1, ByteSize::from_gib(64).context("a size that fits")?);
        let node = heketi.node(&host, &storage, number).await?;
        devices.push(heketi.device(node, "/dev/sdb")?);
        hosts.push((host, node));
    }
    let volume = heketi.volume(HeketiVolume::replicated("vol", 2, 2), &devices).await?;
    for (host, node) in hosts {
        let name = host.name().to_string();
        let request = InvitationRequest { name, node: Some(node.to_string()), ..InvitationRequest::default() };
        cluster.enrol_as(host, &request).await?;
    }
    Ok((cluster, Old { heketi, volume }))
}

/// GlusterFS takes no option of users back.
fn given_back(mut footprint: Footprint) -> Footprint {
    for volume in &mut footprint.volumes {
        volume.options.retain(|(key, value)| (key.as_str(), value.as_str()) != (VOLUME_ID_OPTION, "none"));
    }
    footprint
}

/// What was given back and is taken back has its marks by another operation.
fn without_operation(mut footprint: Footprint) -> Footprint {
    for volume in footprint.view.groups.iter_mut().flat_map(|group| &mut group.volumes) {
        volume.tags.retain(|tag| !tag.as_str().starts_with("bricklayer.operation="));
    }
    footprint
}

impl Old {
    async fn adopt(&self, client: &Client) -> anyhow::Result<Asked> {
        let database = Some(self.heketi.export());
        let request = AdoptRequest { from: "heketi".to_owned(), database, ..AdoptRequest::default() };
        let adoption = client.adopt(&request).await?;
        let kept = adoption.plan.as_ref().and_then(|plan| plan.kept.as_ref());
        let id = kept.with_context(|| format!("there is no plan: {:#?}", adoption.findings))?.id;
        Asked::of(client.ask(&Change::plan_apply(id)?).await?)
    }

    async fn give_back(&self, client: &Client) -> anyhow::Result<Asked> {
        let request = UnadoptRequest { cluster: Some(self.heketi.cluster), ..UnadoptRequest::default() };
        Asked::of(client.unadopt(&request).await?)
    }

    async fn is_ours(&self, cluster: &Cluster) -> anyhow::Result<()> {
        cluster.volume_is_whole(self.volume).await
    }

    async fn is_nobodys(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let client = cluster.client()?;
        let (clusters, volumes) = (client.clusters().await?.clusters, client.volumes().await?.volumes);
        ensure!(clusters.is_empty() && volumes.is_empty(), "{clusters:?} {volumes:?}");
        Ok(())
    }
}

struct Adopt(Old);

#[async_trait(?Send)]
impl Deed for Adopt {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let (cluster, old) = old().await?;
        Ok((cluster, Self(old)))
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        self.0.adopt(client).await
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0.is_ours(cluster).await
    }

    async fn clear(&mut self, cluster: &Cluster, done: bool) -> anyhow::Result<()> {
        let client = cluster.client()?;
        if done {
            self.0.give_back(&client).await?.end(&client).await?;
        }
        self.0.is_nobodys(cluster).await
    }

    fn seen(footprint: Footprint) -> Footprint {
        given_back(footprint)
    }
}

#[tokio::test]
async fn an_adoption_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<Adopt>().await;
}

struct GiveBack(Old);

#[async_trait(?Send)]
impl Deed for GiveBack {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        let (cluster, old) = old().await?;
        Ok((cluster, Self(old)))
    }

    async fn prepare(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let client = cluster.client()?;
        Ok(self.0.adopt(&client).await?.end(&client).await?)
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        self.0.give_back(client).await
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        self.0.is_nobodys(cluster).await
    }

    async fn clear(&mut self, cluster: &Cluster, done: bool) -> anyhow::Result<()> {
        let client = cluster.client()?;
        if !done {
            self.0.is_ours(cluster).await?;
            self.0.give_back(&client).await?.end(&client).await?;
        }
        Ok(())
    }

    fn seen(footprint: Footprint) -> Footprint {
        without_operation(given_back(footprint))
    }
}

#[tokio::test]
async fn giving_back_disturbed_at_any_effect_is_done_or_undone() {
    is_done_or_undone::<GiveBack>().await;
}
