//! What is true after a try, of whatever deed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::TopologyInfo;
use bricklayer_api::v1::{LedgerClass, OperationState};
use bricklayer_proto::ids::OperationId;
use bricklayer_proto::names::VgName;
use bricklayer_proto::task::VOLUME_ID_OPTION;

use super::Deed;
use crate::cluster::{Cluster, until};
use crate::sim::Footprint;

/// Hosts and records, before a deed was asked for.
pub struct Before {
    hosts: BTreeMap<String, Footprint>,
    records: TopologyInfo,
    in_the_trash: BTreeSet<String>,
}

pub fn footprints<D: Deed>(cluster: &Cluster) -> BTreeMap<String, Footprint> {
    cluster.footprints().into_iter().map(|(name, footprint)| (name, D::seen(footprint))).collect()
}

/// Every host looks as it did then.
pub fn are_as_before<D: Deed>(cluster: &Cluster, before: &BTreeMap<String, Footprint>) -> anyhow::Result<()> {
    for (name, now) in footprints::<D>(cluster) {
        let then = before.get(&name).with_context(|| format!("{name} is new"))?;
        ensure!(now == *then, "{name} is not as it was before:\n{}", now.differences_from(then));
    }
    Ok(())
}

impl Before {
    pub async fn of<D: Deed>(cluster: &Cluster) -> anyhow::Result<Self> {
        let client = cluster.client()?;
        Ok(Self {
            hosts: footprints::<D>(cluster),
            records: client.topology().await?,
            in_the_trash: trash(&client).await?,
        })
    }

    pub async fn is_all_as_before<D: Deed>(&self, cluster: &Cluster) -> anyhow::Result<()> {
        are_as_before::<D>(cluster, &self.hosts)?;
        let client = cluster.client()?;
        let now = client.topology().await?;
        ensure!(now == self.records, "REST told {:#?}\nand tells {now:#?}", self.records);
        ensure!(trash(&client).await? == self.in_the_trash, "something else is in the trash");
        Ok(())
    }
}

async fn trash(client: &Client) -> anyhow::Result<BTreeSet<String>> {
    Ok(client.trash().await?.volumes.into_iter().map(|volume| volume.id.to_string()).collect())
}

/// The operation is where its queue id says that it is, and nothing else is under way any more.
pub async fn has_ended(client: &Client, id: OperationId, result: &Result<(), ClientError>) -> anyhow::Result<()> {
    until("every operation has ended", async || {
        Ok(client.operations().await?.operations.iter().all(|operation| operation.state.is_final()))
    })
    .await?;
    let state = client.operation(id).await?.state;
    let told = if result.is_ok() { OperationState::Done } else { OperationState::Failed };
    ensure!(state == told, "the operation is {state}, and its queue id says {result:?}");
    Ok(())
}

/// Everything on the hosts that says it is ours is in the records.
pub async fn nobody_is_an_orphan(cluster: &Cluster) -> anyhow::Result<()> {
    let client = cluster.client()?;
    let topology = client.topology().await?;
    let mut groups = BTreeSet::new();
    let mut volumes = trash(&client).await?;
    for one in &topology.clusters {
        volumes.extend(one.volumes.iter().map(|volume| volume.id.to_string()));
        for device in one.nodes.iter().flat_map(|node| &node.devices) {
            groups.insert(VgName::of_device(device.id));
            let ledger = client.device_ledger(device.id).await?;
            for class in [LedgerClass::Orphans, LedgerClass::UnderWay, LedgerClass::Foreign] {
                let bytes: u64 = ledger.figures.iter().filter(|one| one.class == class).map(|one| one.bytes).sum();
                ensure!(bytes == 0, "{}: {bytes} bytes are {}", ledger.node_name, class.as_str());
            }
        }
    }
    for (name, footprint) in cluster.footprints() {
        for group in footprint.view.groups {
            let ours = group.tags.iter().any(|tag| tag.as_str().starts_with("bricklayer."));
            ensure!(!ours || groups.contains(&group.name), "{name}: no record knows group {}", group.name);
        }
        for volume in footprint.volumes {
            let id = volume.options.iter().find(|(key, value)| key == VOLUME_ID_OPTION && value != "none");
            let known = id.is_none_or(|(_, id)| volumes.contains(id));
            ensure!(known, "{name}: no record knows GlusterFS's volume {}", volume.name);
        }
    }
    Ok(())
}
