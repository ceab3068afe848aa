//! The ledger says where every byte of every disk went, whatever was done to the volumes on it.

use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::{
    BrickEvictRequest, Disperse, DurabilityRequest, Snapshot, SnapshotFactor, StateRequest, VolumeCloneRequest,
    VolumeCreateRequest, VolumeExpandRequest, VolumeInfo,
};
use bricklayer_api::v1::{DeviceLedger, LedgerClass, OtherKind};
use bricklayer_proto::ids::{DeviceId, VolumeId};
use bricklayer_proto::size::{ByteSize, MIB};
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::story::{create, delete, done, replicated};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What a person does to a volume: to the one with this number, counted round.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Create { shape: Shape, mib: u64, factor: f32 },
    Expand { volume: usize, mib: u64 },
    Clone { volume: usize },
    Delete { volume: usize },
    Evict { volume: usize, brick: usize },
    Empty { device: usize },
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Distributed,
    Replicated,
    Arbiter,
    Dispersed,
}

fn deed() -> impl Strategy<Value = Deed> {
    let shape =
        prop_oneof![Just(Shape::Distributed), Just(Shape::Replicated), Just(Shape::Arbiter), Just(Shape::Dispersed)];
    let factor = prop_oneof![Just(1.0_f32), Just(1.5), Just(2.0)];
    prop_oneof![
        3 => (shape, 1024..5000_u64, factor).prop_map(|(shape, mib, factor)| Deed::Create { shape, mib, factor }),
        2 => (any::<usize>(), 1..3000_u64).prop_map(|(volume, mib)| Deed::Expand { volume, mib }),
        1 => any::<usize>().prop_map(|volume| Deed::Clone { volume }),
        2 => any::<usize>().prop_map(|volume| Deed::Delete { volume }),
        2 => any::<(usize, usize)>().prop_map(|(volume, brick)| Deed::Evict { volume, brick }),
        1 => any::<usize>().prop_map(|device| Deed::Empty { device }),
    ]
}

fn wish(shape: Shape, mib: u64, factor: f32) -> VolumeCreateRequest {
    let bytes = i64::try_from(mib * MIB).unwrap();
    let mut wish = VolumeCreateRequest { size_bytes: bytes, ..replicated(0, 3) };
    wish.size_gib = i64::try_from(mib.div_ceil(1024)).unwrap();
    wish.snapshot = Snapshot { enable: true, factor: SnapshotFactor(factor) };
    match shape {
        Shape::Replicated => {}
        Shape::Distributed => {
            wish.durability = DurabilityRequest { kind: "none".into(), ..DurabilityRequest::default() };
        }
        Shape::Arbiter => wish.gluster_volume_options.push("user.heketi.arbiter true".into()),
        Shape::Dispersed => {
            wish.durability = DurabilityRequest {
                kind: "disperse".into(),
                disperse: Disperse { data: 2, redundancy: 1 },
                ..DurabilityRequest::default()
            };
        }
    }
    wish
}

/// Does it; a refusal, for want of space or of a place to go, is an answer as well.
async fn carry_out(client: &Client, deed: Deed) -> Result<(), ClientError> {
    let volumes: Vec<VolumeId> = client.volumes().await?.volumes;
    let pick = |number: usize| volumes.get(number % volumes.len().max(1)).copied();
    match deed {
        Deed::Create { shape, mib, factor } => create(client, &wish(shape, mib, factor)).await.map(drop),
        Deed::Expand { volume, mib } => {
            let Some(id) = pick(volume) else { return Ok(()) };
            let gib = i64::try_from(mib.div_ceil(1024)).unwrap();
            let bytes = i64::try_from(mib * MIB).unwrap();
            let request = VolumeExpandRequest { expand_size_gib: gib, expand_size_bytes: bytes };
            done(client, client.volume_expand(id, request).await?).await.map(drop)
        }
        Deed::Clone { volume } => {
            let Some(id) = pick(volume) else { return Ok(()) };
            done(client, client.volume_clone(id, &VolumeCloneRequest::default()).await?).await.map(drop)
        }
        Deed::Delete { volume } => match pick(volume) {
            Some(id) => delete(client, id).await,
            None => Ok(()),
        },
        Deed::Evict { volume, brick } => {
            let Some(id) = pick(volume) else { return Ok(()) };
            let volume: VolumeInfo = client.volume(id).await?;
            let brick = volume.bricks[brick % volume.bricks.len()].id;
            done(client, client.brick_evict(brick, &BrickEvictRequest::default()).await?).await
        }
        Deed::Empty { device } => {
            let devices = devices(client).await?;
            let device = devices[device % devices.len()];
            for state in ["offline", "failed", "offline", "online"] {
                let request = StateRequest { state: state.into(), ..StateRequest::default() };
                // Where there is nowhere to go, the device stays as it is.
                if let Ok(accepted) = client.device_set_state(device, &request).await {
                    let _refused = done(client, accepted).await;
                }
            }
            Ok(())
        }
    }
}

async fn devices(client: &Client) -> Result<Vec<DeviceId>, ClientError> {
    let topology = client.topology().await?;
    let nodes = topology.clusters.iter().flat_map(|cluster| &cluster.nodes);
    Ok(nodes.flat_map(|node| node.devices.iter().map(|device| device.id)).collect())
}

fn amount(ledger: &DeviceLedger, class: LedgerClass) -> u64 {
    ledger.figures.iter().find(|figure| figure.class == class).unwrap().bytes
}

#[test]
fn after_any_deeds_every_byte_is_booked_and_none_is_unaccounted_for() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 10, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let deeds = prop::collection::vec(deed(), 6..14);
    let ran = TestRunner::new(config).run(&deeds, |deeds| {
        runtime.block_on(async {
            let cluster = Cluster::start(5, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
            cluster.load_topology().await.unwrap();
            let client = cluster.client().unwrap();
            let mut done = 0;
            for deed in deeds {
                done += u32::from(carry_out(&client, deed).await.is_ok());
                let settled = cluster.until_ledger_is_lvms().await;
                prop_assert!(settled.is_ok(), "after {deed:?}: {:#}", settled.unwrap_err());
            }
            prop_assert_eq!(cluster.sim.violations(), Vec::<String>::new());
            for id in client.volumes().await.unwrap().volumes {
                delete(&client, id).await.unwrap();
            }
            cluster.until_ledger_is_lvms().await.unwrap();
            for device in devices(&client).await.unwrap() {
                let ledger = client.device_ledger(device).await.unwrap();
                let free = amount(&ledger, LedgerClass::Free) + amount(&ledger, LedgerClass::LvmArea);
                prop_assert_eq!(free, ledger.total_bytes, "after {} deeds something is left: {:?}", done, ledger);
            }
            Ok(())
        })
    });
    ran.unwrap();
}

#[tokio::test]
async fn what_a_person_made_in_our_group_is_foreign_and_what_only_its_tags_know_is_an_orphan() {
    let cluster = Cluster::start(3, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    let disk = "/dev/sdb".parse().unwrap();
    let lost = "000000000000000000000000000000b1";
    let tags = [format!("bricklayer.brick={lost}").parse().unwrap(), "bricklayer.role=pool".parse().unwrap()];
    let hundred = ByteSize::from_mib(100).unwrap();
    cluster.host("gfs1").create_volume_by_hand(&disk, "backup".parse().unwrap(), hundred, &[]);
    cluster.host("gfs2").create_volume_by_hand(&disk, format!("tp_{lost}").parse().unwrap(), hundred, &tags);
    until("the agents have seen it", async || {
        let mut found = Vec::new();
        for device in devices(&client).await? {
            let ledger = client.device_ledger(device).await?;
            anyhow::ensure!(ledger.unaccounted_bytes == 0, "{ledger:?}");
            let classes = [LedgerClass::Foreign, LedgerClass::Orphans].map(|class| amount(&ledger, class));
            let kinds: Vec<OtherKind> = ledger.volumes.iter().map(|volume| volume.kind).collect();
            found.push((ledger.node_name.clone(), classes, kinds));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let bytes = hundred.bytes();
        let wanted = [
            ("gfs1".to_owned(), [bytes, 0], vec![OtherKind::Foreign]),
            ("gfs2".to_owned(), [0, bytes], vec![OtherKind::Orphan]),
            ("gfs3".to_owned(), [0, 0], vec![]),
        ];
        anyhow::ensure!(found == wanted, "{found:?}");
        Ok(true)
    })
    .await
    .unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
}
