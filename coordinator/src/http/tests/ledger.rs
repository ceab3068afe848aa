//! Ledgers: the sum is the disk's, every figure says where it is from, and what nobody explains is named.

use bricklayer_api::heketi::{NodeInfo, VolumeInfo};
use bricklayer_api::v1::{
    BrickStage, DeviceLedger, LedgerClass, LedgerSum, LedgerVolume, OtherKind, Problem, Source, SourceKind,
};
use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::{LogicalVolume, LvKind};
use bricklayer_proto::size::{ByteSize, Extents, GIB, MIB};

use super::world::{World, node_id};

const REPLICA_2: &str = r#"{"size":8,"durability":{"type":"replicate","replicate":{"replica":2}}}"#;

async fn device_of(world: &World, number: u8) -> DeviceId {
    let node: NodeInfo = world.get(&format!("/nodes/{}", node_id(number))).await.json();
    node.devices[0].id
}

async fn ledger(world: &World, number: u8) -> DeviceLedger {
    let device = device_of(world, number).await;
    let ledger: DeviceLedger = world.get(&format!("/v1/devices/{device}/ledger")).await.json();
    let booked: i128 = ledger.figures.iter().map(|figure| i128::from(figure.bytes)).sum();
    assert_eq!(booked + i128::from(ledger.unaccounted_bytes), i128::from(ledger.total_bytes), "{ledger:?}");
    ledger
}

fn bytes(ledger: &DeviceLedger, class: LedgerClass) -> u64 {
    ledger.figures.iter().find(|figure| figure.class == class).unwrap().bytes
}

fn source(ledger: &DeviceLedger, class: LedgerClass) -> &Source {
    &ledger.figures.iter().find(|figure| figure.class == class).unwrap().sources[0]
}

async fn with_a_volume() -> (World, VolumeInfo) {
    let world = World::new().await;
    world.cluster(2).await;
    let volume = world.volume(REPLICA_2).await;
    (world, volume)
}

/// A logical volume of 100 MiB, and LVM's count of what it leaves.
fn put(world: &World, number: u8, tags: &[&str]) {
    world.agents.change_group(number, |group| {
        group.volumes.push(LogicalVolume {
            name: "data".parse().unwrap(),
            uuid: "u".to_owned(),
            size: ByteSize::from_bytes(100 * MIB),
            kind: LvKind::Other { segment_type: "linear".to_owned() },
            active: true,
            open: false,
            condemned: false,
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        });
        group.space.free = group.space.free.checked_sub(Extents::new(25)).unwrap();
        group.space.seqno += 1;
    });
}

#[tokio::test]
async fn every_byte_of_a_device_is_booked_with_who_says_so() {
    let (world, volume) = with_a_volume().await;
    let ledger = ledger(&world, 0).await;
    assert_eq!((ledger.total_bytes, ledger.unaccounted_bytes, ledger.extent_bytes), (500 * GIB, 0, 4 * MIB));
    assert_eq!((ledger.node, ledger.node_name.as_str(), ledger.name.as_str()), (node_id(0), "m0", "/dev/sdb"));
    assert_eq!(bytes(&ledger, LedgerClass::BrickData), 8 * GIB);
    assert_eq!(bytes(&ledger, LedgerClass::PoolMetadata), 8 * MIB);
    assert_eq!(bytes(&ledger, LedgerClass::MetadataSpare), 8 * MIB);
    let area = ledger.lvm_area.unwrap();
    assert_eq!(area.before_bytes, 16 * MIB + (256 << 10));
    assert_eq!(area.before_bytes + area.behind_bytes, bytes(&ledger, LedgerClass::LvmArea));
    let [brick] = ledger.bricks.as_slice() else { panic!("{ledger:?}") };
    assert_eq!((brick.volume, brick.volume_name.as_deref()), (Some(volume.id), Some(volume.name.as_str())));
    assert_eq!((brick.stage, brick.data_bytes, brick.lvm_bytes), (BrickStage::Whole, 8 * GIB, Some(8 * GIB + 8 * MIB)));
    assert_eq!((ledger.notes.as_slice(), ledger.operations.as_slice()), ([].as_slice(), [].as_slice()));

    assert_eq!(source(&ledger, LedgerClass::BrickData).to_string(), "the records");
    for (class, from) in [
        (LedgerClass::Free, SourceKind::Vgs),
        (LedgerClass::Foreign, SourceKind::Lvs),
        (LedgerClass::LvmArea, SourceKind::Pvs),
    ] {
        let said = source(&ledger, class);
        assert_eq!((said.from, said.hosts.as_slice()), (from, ["m0".to_owned()].as_slice()));
        assert!(said.age_seconds.is_some() && said.seen.is_some(), "{said:?}");
    }
}

#[tokio::test]
async fn what_others_made_is_foreign_and_what_only_its_tags_know_is_an_orphan() {
    let (world, _) = with_a_volume().await;
    put(&world, 0, &["backup"]);
    put(&world, 1, &["bricklayer.brick=000000000000000000000000000000b1", "bricklayer.role=pool"]);
    for (number, class, kind) in
        [(0, LedgerClass::Foreign, OtherKind::Foreign), (1, LedgerClass::Orphans, OtherKind::Orphan)]
    {
        let ledger = ledger(&world, number).await;
        assert_eq!((bytes(&ledger, class), ledger.unaccounted_bytes), (100 * MIB, 0), "{ledger:?}");
        let [LedgerVolume { name, kind: found, bytes, brick, .. }] = ledger.volumes.as_slice() else {
            panic!("{ledger:?}")
        };
        assert_eq!((name.as_str(), *found, *bytes), ("data", kind, 100 * MIB));
        assert_eq!(brick.is_some(), kind == OtherKind::Orphan);
    }
}

#[tokio::test]
async fn a_pool_is_known_by_its_name_though_its_tags_name_the_clone_that_it_was_passed_on_to() {
    let (world, _) = with_a_volume().await;
    world.agents.change_group(0, |group| {
        group.volumes[0].tags = vec!["bricklayer.brick=000000000000000000000000000000b1".parse().unwrap()];
    });
    let ledger = ledger(&world, 0).await;
    assert_eq!((ledger.unaccounted_bytes, bytes(&ledger, LedgerClass::Orphans)), (0, 0), "{ledger:?}");
}

#[tokio::test]
async fn what_nobody_explains_is_unaccounted_for_and_the_brick_is_named() {
    let (world, volume) = with_a_volume().await;
    world.agents.change_group(0, |group| {
        group.space.free = group.space.free.checked_sub(Extents::new(3)).unwrap();
        group.space.seqno += 1;
    });
    assert_eq!(ledger(&world, 0).await.unaccounted_bytes, 12 * 1024 * 1024);
    // Somebody removed a brick's volumes by hand.
    world.agents.change_group(1, |group| {
        group.volumes.clear();
        group.space.free = group.space.free.checked_add(Extents::new(2050)).unwrap();
        group.space.seqno += 1;
    });
    let gone = ledger(&world, 1).await;
    assert_eq!(gone.unaccounted_bytes, -2050 * 4 * 1024 * 1024);
    let wanted = format!("of volume {}: the records say 8598323200 bytes, LVM has 0 bytes", volume.name);
    assert!(gone.notes[0].contains(&wanted), "{:?}", gone.notes);
    let page = world.get("/metrics").await.body;
    assert!(page.contains(&format!("node=\"m1\",name=\"/dev/sdb\"}} {}", gone.unaccounted_bytes)), "{page}");
}

#[tokio::test]
async fn a_brick_in_the_making_is_under_way_and_its_space_is_promised() {
    let world = World::new().await;
    world.cluster(2).await;
    world.agents.hold(true);
    let queue = world.post("/volumes", REPLICA_2).await.queue();
    let making = ledger(&world, 0).await;
    assert_eq!(bytes(&making, LedgerClass::Reserved), 8 * GIB + 16 * MIB);
    assert_eq!((bytes(&making, LedgerClass::UnderWay), making.unaccounted_bytes), (0, 0));
    assert_eq!(making.bricks[0].stage, BrickStage::Making);
    assert!(making.bricks[0].volume_name.is_some());
    assert_eq!(making.operations.len(), 1);
    world.agents.hold(false);
    assert_eq!(world.end_of(&queue).await.status, 303);
    let made = ledger(&world, 0).await;
    assert_eq!((bytes(&made, LedgerClass::Reserved), bytes(&made, LedgerClass::BrickData)), (0, 8 * GIB));
    assert_eq!((made.unaccounted_bytes, made.operations.len()), (0, 0));
}

#[tokio::test]
async fn without_a_report_the_records_stand_in_and_say_so() {
    let (world, _) = with_a_volume().await;
    let before = ledger(&world, 0).await;
    // As an older agent reports.
    world.agents.change_group(0, |group| group.physical_volumes[0].extent = None);
    let older = ledger(&world, 0).await;
    assert_eq!((older.total_bytes, older.lvm_area, older.unaccounted_bytes), (500 * GIB, None, 0));
    assert_eq!(older.total_sources[0].from, SourceKind::Lsblk);
    assert!(older.notes[0].contains("not reported by this version of the agent on m0"), "{:?}", older.notes);
    // The report is older than what was done since.
    world.agents.change_group(0, |group| {
        group.space.seqno = 0;
        group.volumes.clear();
    });
    let late = ledger(&world, 0).await;
    assert_eq!((bytes(&late, LedgerClass::Free), late.unaccounted_bytes), (bytes(&before, LedgerClass::Free), 0));
    assert!(late.notes[0].contains("older than what was done since"), "{:?}", late.notes);

    world.agents.forget_report(0);
    let alone = ledger(&world, 0).await;
    assert_eq!(alone.total_bytes, 500 * GIB - bytes(&before, LedgerClass::LvmArea));
    assert_eq!((alone.unaccounted_bytes, source(&alone, LedgerClass::Free).from), (0, SourceKind::Record));
    assert!(alone.notes.iter().any(|note| note.contains("has not reported")), "{:?}", alone.notes);
}

#[tokio::test]
async fn nodes_and_clusters_are_the_sums_of_their_devices() {
    let (world, volume) = with_a_volume().await;
    put(&world, 1, &[]);
    let (first, second) = (ledger(&world, 0).await, ledger(&world, 1).await);
    let node: LedgerSum = world.get("/v1/nodes/m0/ledger").await.json();
    assert_eq!((node.node, node.node_name.as_deref()), (Some(node_id(0)), Some("m0")));
    assert_eq!((node.total_bytes, node.devices.len()), (first.total_bytes, 1));
    let cluster: LedgerSum = world.get(&format!("/v1/clusters/{}/ledger", volume.cluster)).await.json();
    assert_eq!((cluster.cluster, cluster.node), (volume.cluster, None));
    assert_eq!(cluster.total_bytes, first.total_bytes + second.total_bytes);
    for figure in &cluster.figures {
        assert_eq!(figure.bytes, bytes(&first, figure.class) + bytes(&second, figure.class));
        let devices: u64 = cluster.devices.iter().map(|device| device.amounts[&figure.class]).sum();
        assert_eq!(figure.bytes, devices);
    }
    let free = cluster.figures.iter().find(|figure| figure.class == LedgerClass::Free).unwrap();
    assert_eq!(free.sources[0].hosts, ["m0", "m1"]);
    let names: Vec<_> = cluster.devices.iter().map(|device| device.node_name.as_str()).collect();
    assert_eq!(names, ["m0", "m1"]);
}

#[tokio::test]
async fn a_ledger_of_nothing_is_refused_by_its_id() {
    let world = World::new().await;
    let nobody = "0123456789abcdef0123456789abcdef";
    for (path, status) in [
        (format!("/v1/devices/{nobody}/ledger"), 404),
        (format!("/v1/clusters/{nobody}/ledger"), 404),
        ("/v1/nodes/m9/ledger".to_owned(), 404),
        // Its agent has enrolled, and it is in no cluster.
        ("/v1/nodes/m0/ledger".to_owned(), 404),
        ("/v1/devices/x/ledger".to_owned(), 400),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.json::<Problem>().error.is_empty());
    }
}
