//! What the tests begin with, and what they ask for.

use std::collections::BTreeMap;

use bricklayer_api::client::{Change, Client};
use bricklayer_api::v1::{AdoptRequest, Adoption, InvitationRequest, UnadoptRequest};
use bricklayer_proto::ids::{DeviceId, NodeId, VolumeId};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::Layout;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::heketi::{Heketi, HeketiVolume};
use bricklayer_tests::sim::{At, Fault, Footprint};
use bricklayer_tests::story::done;

/// Three hosts that heketi ran: their ids are heketi's.
pub struct Old {
    pub cluster: Cluster,
    pub heketi: Heketi,
    pub nodes: Vec<NodeId>,
    pub devices: Vec<DeviceId>,
}

pub async fn old(volumes: impl AsyncFnOnce(&mut Heketi, &[DeviceId])) -> Old {
    let mut cluster = Cluster::start(0, 0, ByteSize::ZERO).await.unwrap();
    let mut heketi = Heketi::new();
    let (mut hosts, mut nodes, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=3_u32 {
        let (name, storage) = (format!("gfs{number}"), format!("192.168.0.{number}"));
        let host = cluster.sim.add_host(&[name.parse().unwrap(), storage.parse().unwrap()]);
        host.plug_blank(2, ByteSize::from_gib(64).unwrap());
        let node = heketi.node(&host, &storage, number).await.unwrap();
        devices.push(heketi.device(node, "/dev/sdb").unwrap());
        nodes.push(node);
        hosts.push(host);
    }
    volumes(&mut heketi, &devices).await;
    for (host, node) in hosts.into_iter().zip(&nodes) {
        let request = InvitationRequest {
            name: host.name().to_string(),
            node: Some(node.to_string()),
            ..InvitationRequest::default()
        };
        cluster.enrol_as(host, &request).await.unwrap();
    }
    Old { cluster, heketi, nodes, devices }
}

/// One volume of each kind.
pub async fn rich(heketi: &mut Heketi, devices: &[DeviceId]) -> Vec<VolumeId> {
    let sized = HeketiVolume { snapshot_factor: 1.5, gid: 2000, ..HeketiVolume::replicated("vol_sized", 4, 3) };
    let options = vec!["user.heketi.arbiter true".to_owned()];
    let arbiter = HeketiVolume { layout: Layout::Arbiter, options, ..HeketiVolume::replicated("with-arbiter", 3, 3) };
    let disperse = Layout::Disperse { data: 2, redundancy: 1 };
    let disperse = HeketiVolume { layout: disperse, ..HeketiVolume::replicated("spread", 4, 3) };
    let two_sets = HeketiVolume { sets: 2, ..HeketiVolume::replicated("two-sets", 4, 3) };
    let plain = HeketiVolume { layout: Layout::Distribute, ..HeketiVolume::replicated("plain", 1, 1) };
    let mut made = Vec::new();
    for (wanted, order) in [
        (sized, vec![0, 1, 2]),
        (arbiter, vec![1, 2, 0]),
        (disperse, vec![2, 1, 0]),
        (two_sets, vec![0, 1, 2, 1, 2, 0]),
        (plain, vec![2]),
    ] {
        let on: Vec<DeviceId> = order.into_iter().map(|at: usize| devices[at]).collect();
        made.push(heketi.volume(wanted, &on).await.unwrap());
    }
    made
}

pub fn from_heketi(heketi: &Heketi) -> AdoptRequest {
    AdoptRequest { from: "heketi".to_owned(), database: Some(heketi.export()), ..AdoptRequest::default() }
}

pub async fn plan(client: &Client, request: &AdoptRequest) -> Adoption {
    client.adopt(request).await.unwrap()
}

pub async fn apply(client: &Client, adoption: &Adoption) {
    assert!(adoption.plan.is_some(), "{:#?}", adoption.findings);
    try_apply(client, adoption).await.unwrap();
}

pub async fn try_apply(client: &Client, adoption: &Adoption) -> anyhow::Result<()> {
    let id = adoption.plan.as_ref().unwrap().kept.as_ref().unwrap().id;
    let accepted = client.ask(&Change::plan_apply(id)?).await?;
    done(client, accepted).await?;
    Ok(())
}

pub fn codes(adoption: &Adoption) -> Vec<&str> {
    adoption.findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// What is left where all was given back: GlusterFS takes no option of users back.
pub fn given_back(mut footprint: Footprint) -> Footprint {
    for volume in &mut footprint.volumes {
        volume.options.retain(|(key, value)| (key.as_str(), value.as_str()) != ("user.bricklayer.id", "none"));
    }
    footprint
}

/// Every host is as it was before anything was adopted.
pub fn assert_given_back(cluster: &Cluster, before: &BTreeMap<String, Footprint>) {
    assert_given_back_when(cluster, before, "");
}

/// `when`: for people.
pub fn assert_given_back_when(cluster: &Cluster, before: &BTreeMap<String, Footprint>, when: &str) {
    for (name, now) in cluster.footprints() {
        let now = given_back(now);
        assert_eq!(now, before[&name], "{name} {when}: {}", now.differences_from(&before[&name]));
    }
}

/// All that was adopted in the cluster is given back.
pub async fn give_all_back(old: &Old, client: &Client) -> anyhow::Result<()> {
    let request = UnadoptRequest { cluster: Some(old.heketi.cluster), ..UnadoptRequest::default() };
    Ok(done(client, client.unadopt(&request).await?).await?)
}

/// The effect of that number on gfs1 fails, in turn before and after it took place.
pub fn fail_at(old: &Old, effect: u64) {
    let host = old.cluster.host("gfs1");
    host.faults().clear();
    host.faults().count_anew();
    host.faults().inject(At::Effect(effect), if effect.is_multiple_of(2) { Fault::After } else { Fault::Before });
}

pub async fn until_all_is_final(client: &Client) {
    until("all is taken back", async || {
        let operations = client.operations().await?.operations;
        Ok(operations.iter().all(|operation| operation.state.is_final()))
    })
    .await
    .unwrap();
}

/// Everything but what says that it is ours.
pub fn without_marks(mut footprint: Footprint) -> Footprint {
    for group in &mut footprint.view.groups {
        group.tags.retain(|tag| !tag.as_str().starts_with("bricklayer."));
        for volume in &mut group.volumes {
            volume.tags.retain(|tag| !tag.as_str().starts_with("bricklayer."));
        }
    }
    for volume in &mut footprint.volumes {
        volume.options.retain(|(key, _)| key != "user.bricklayer.id");
    }
    for file_system in &mut footprint.file_systems {
        file_system.files.remove("bricklayer-volume.json");
    }
    footprint.view.fstab.clear();
    footprint
}

pub fn all_without_marks(cluster: &Cluster) -> BTreeMap<String, Footprint> {
    cluster.footprints().into_iter().map(|(name, footprint)| (name, without_marks(footprint))).collect()
}
