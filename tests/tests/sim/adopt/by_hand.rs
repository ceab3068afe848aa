//! Volumes that people made.

use bricklayer_agent::host::Host as _;
use bricklayer_api::heketi::{EntryState, VolumeExpandRequest};
use bricklayer_api::v1::{AdoptRequest, UnadoptRequest};
use bricklayer_proto::names::VgName;
use bricklayer_proto::size::{ByteSize, Extents, MIB};
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::{BrickAddress, Layout};
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::sim::heketi::HandMadeBrick;
use bricklayer_tests::story::{delete, done};

use crate::adopt::world::*;

/// A volume as people make one: a shared thin pool, a group and folders with names of their own.
async fn by_hand(cluster: &Cluster) -> Vec<HandMadeBrick> {
    let mut bricks = Vec::new();
    let mut addresses = Vec::new();
    for number in 1..=3 {
        let host = cluster.host(&format!("gfs{number}"));
        let group: VgName = "data".parse().unwrap();
        host.make_group_by_hand(&"/dev/sdc".parse().unwrap(), &group, ByteSize::from_bytes(MIB));
        if number > 1 {
            let name = format!("192.168.0.{number}").parse().unwrap();
            cluster.host("gfs1").gluster_peer_probe(&name).await.unwrap();
        }
        let brick = HandMadeBrick {
            group,
            pool: "pool".parse().unwrap(),
            volume: "photos".parse().unwrap(),
            space: BrickSpace {
                provisioning: Provisioning::Thin,
                volume: Extents::new(512),
                pool: Extents::new(1024),
                metadata: Extents::new(4),
            },
            at: "/bricks/photos".parse().unwrap(),
            folder: "data".to_owned(),
            fstab: Some("defaults,noatime 0 0".to_owned()),
            gid: 0,
            arbiter: false,
        };
        host.make_brick_by_hand(&brick).await.unwrap();
        addresses.push(BrickAddress { host: format!("192.168.0.{number}").parse().unwrap(), path: brick.path() });
        bricks.push(brick);
    }
    let host = cluster.host("gfs1");
    let name = "photos".parse().unwrap();
    host.gluster_volume_create(&name, Layout::Replicate { replica: 3 }, &addresses).await.unwrap();
    host.gluster_volume_start(&name).await.unwrap();
    bricks
}

async fn until_seen_by_hand(cluster: &Cluster) {
    for number in 1..=3 {
        let name = format!("gfs{number}").parse().unwrap();
        let sees = |seen: &bricklayer_proto::inventory::Inventory| {
            seen.groups.iter().any(|group| group.name.as_str() == "data" && !group.volumes.is_empty())
                && seen.gluster.peers.len() == 2
        };
        cluster.installation.until_seen(&name, "there is a volume", sees).await.unwrap();
    }
}

#[tokio::test]
async fn a_volume_that_was_made_by_hand_keeps_its_names_and_is_managed_and_given_back() {
    let mut cluster = Cluster::start(3, 2, ByteSize::from_gib(64).unwrap()).await.unwrap();
    by_hand(&cluster).await;
    until_seen_by_hand(&cluster).await;
    let before = cluster.footprints();
    let client = cluster.client().unwrap();
    let request = AdoptRequest { from: "volume".to_owned(), volume: "photos".to_owned(), ..AdoptRequest::default() };
    let told = plan(&client, &request).await;
    assert_eq!(codes(&told), Vec::<&str>::new(), "{:#?}", told.findings);
    assert!(told.devices.iter().all(|device| device.group == "data"));
    apply(&client, &told).await;
    let id = client.volumes().await.unwrap().volumes[0];
    let volume = client.volume(id).await.unwrap();
    assert_eq!((volume.name.as_str(), volume.size_gib), ("photos", 2));
    assert!(volume.bricks.iter().all(|brick| brick.path == "/bricks/photos/data"), "{volume:#?}");

    cluster.host("gfs3").sync();
    cluster.power_cut("gfs3").await;
    cluster.power_on("gfs3").await.unwrap();
    cluster.until_all_able().await.unwrap();
    let address = BrickAddress {
        host: "192.168.0.3".parse().unwrap(),
        path: "/bricks/photos/data".to_owned().try_into().unwrap(),
    };
    assert!(cluster.host("gfs3").brick_is_online(&address));
    for device in &told.devices {
        bricklayer_tests::cluster::until("the ledger is exact", async || {
            let ledger = client.device_ledger(device.id).await?;
            Ok(ledger.unaccounted_bytes == 0)
        })
        .await
        .unwrap();
    }

    let cluster_id = volume.cluster;
    let back = UnadoptRequest { cluster: Some(cluster_id), ..UnadoptRequest::default() };
    done(&client, client.unadopt(&back).await.unwrap()).await.unwrap();
    for name in ["gfs1", "gfs2"] {
        let now = given_back(cluster.host(name).footprint());
        assert_eq!(now, before[name], "{}", now.differences_from(&before[name]));
    }

    // Adopted again, it grows in place and goes.
    apply(&client, &plan(&client, &request).await).await;
    let id = client.volumes().await.unwrap().volumes[0];
    let more = VolumeExpandRequest { expand_size_gib: 1, ..VolumeExpandRequest::default() };
    let grown = done(&client, client.volume_expand(id, more).await.unwrap()).await.unwrap();
    assert!(grown.bricks.iter().all(|brick| brick.path == "/bricks/photos/data"), "{grown:#?}");
    delete(&client, id).await.unwrap();
    for name in ["gfs1", "gfs2", "gfs3"] {
        let groups = cluster.host(name).footprint().view.groups;
        assert!(groups.iter().all(|group| group.volumes.is_empty()), "{groups:#?}");
    }
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_brick_on_a_linear_volume_becomes_a_thick_one_that_is_managed_and_given_back() {
    let cluster = Cluster::start(1, 2, ByteSize::from_gib(64).unwrap()).await.unwrap();
    let host = cluster.host("gfs1");
    let (group, lv, disk) = ("data".parse().unwrap(), "linear".parse().unwrap(), "/dev/sdc".parse().unwrap());
    host.make_group_by_hand(&disk, &group, ByteSize::from_bytes(MIB));
    host.create_volume_by_hand(&disk, lv, ByteSize::from_gib(4).unwrap(), &[]);
    let (lv, at) = ("linear".parse().unwrap(), "/bricks/plain".parse().unwrap());
    host.activate_group(&group).await.unwrap();
    host.make_xfs(&group, &lv, false).await.unwrap();
    host.make_mount_point(&at).await.unwrap();
    host.mount(&group, &lv, &at).await.unwrap();
    host.make_brick_directory(&at.brick_path(), 0).await.unwrap();
    host.edit_fstab(|text| text.push_str("/dev/mapper/data-linear /bricks/plain xfs defaults 0 0\n"));
    let bricks = [BrickAddress { host: "gfs1".parse().unwrap(), path: at.brick_path() }];
    let name = "plain".parse().unwrap();
    host.gluster_volume_create(&name, Layout::Distribute, &bricks).await.unwrap();
    host.gluster_volume_start(&name).await.unwrap();
    let sees = |seen: &bricklayer_proto::inventory::Inventory| {
        seen.groups.iter().any(|group| group.name.as_str() == "data" && !group.volumes.is_empty())
    };
    cluster.installation.until_seen(&"gfs1".parse().unwrap(), "there is a volume", sees).await.unwrap();
    let before = cluster.footprints();
    let client = cluster.client().unwrap();
    let request = AdoptRequest { from: "volume".to_owned(), volume: "plain".to_owned(), ..AdoptRequest::default() };
    let told = plan(&client, &request).await;
    assert_eq!(codes(&told), Vec::<&str>::new(), "{:#?}", told.findings);
    apply(&client, &told).await;
    let volume = client.volume(client.volumes().await.unwrap().volumes[0]).await.unwrap();
    assert!(volume.thick && volume.size_gib == 4, "{volume:#?}");
    let until_exact = async |device| {
        let exact = async || Ok(client.device_ledger(device).await?.unaccounted_bytes == 0);
        bricklayer_tests::cluster::until("the ledger is exact", exact).await.unwrap();
    };
    until_exact(told.devices[0].id).await;

    let back = UnadoptRequest { cluster: Some(volume.cluster), ..UnadoptRequest::default() };
    done(&client, client.unadopt(&back).await.unwrap()).await.unwrap();
    assert_given_back(&cluster, &before);

    let again = plan(&client, &request).await;
    apply(&client, &again).await;
    let id = client.volumes().await.unwrap().volumes[0];
    let more = VolumeExpandRequest { expand_size_gib: 2, ..VolumeExpandRequest::default() };
    let grown = done(&client, client.volume_expand(id, more).await.unwrap()).await.unwrap();
    assert_eq!((grown.size_gib, grown.bricks.len(), grown.bricks[0].path.as_str()), (6, 1, "/bricks/plain/brick"));
    until_exact(again.devices[0].id).await;
    delete(&client, id).await.unwrap();
    assert!(cluster.host("gfs1").footprint().view.groups.iter().all(|group| group.volumes.is_empty()));
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_group_that_others_use_as_well_takes_no_bricks_but_those_that_it_has() {
    let cluster = Cluster::start(3, 2, ByteSize::from_gib(64).unwrap()).await.unwrap();
    by_hand(&cluster).await;
    let (disk, system) = ("/dev/sdc".parse().unwrap(), "system".parse().unwrap());
    cluster.host("gfs2").create_volume_by_hand(&disk, system, ByteSize::from_gib(4).unwrap(), &[]);
    until_seen_by_hand(&cluster).await;
    let client = cluster.client().unwrap();
    let request = AdoptRequest { from: "volume".to_owned(), volume: "photos".to_owned(), ..AdoptRequest::default() };
    let told = plan(&client, &request).await;
    assert_eq!(codes(&told), ["foreign-volumes"], "{:#?}", told.findings);
    assert!(told.findings[0].about.starts_with("gfs2:") && told.findings[0].what.contains("offline"));
    apply(&client, &told).await;
    for device in &told.devices {
        let state = client.device(device.id).await.unwrap().state;
        let wanted = if device.node_name == "gfs2" { EntryState::Offline } else { EntryState::Online };
        assert_eq!(state, wanted, "{}", device.node_name);
        let exact = async || Ok(client.device_ledger(device.id).await?.unaccounted_bytes == 0);
        bricklayer_tests::cluster::until("the ledger is exact", exact).await.unwrap();
    }
}
