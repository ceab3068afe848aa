//! heketi's database, read and written.

use std::sync::Arc;

use bricklayer_proto::adopt::HostSurvey;
use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, VolumeId};
use bricklayer_proto::inventory::{BrickRole, GroupSpace, Inventory};
use bricklayer_proto::names::LvName;
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::Layout;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::http::heketi::db::Dump;
use crate::model::{
    AdminState, BlockRestriction, Brick, Cluster, Device, DiskIdentity, FIRST_GENERATION, LvNames, Node, Snapshot,
    Tags, Volume, Zone,
};
use crate::rebuild::durability;

fn parse(value: &serde_json::Value) -> Result<HeketiDb, NotADatabase> {
    HeketiDb::parse(value.to_string().as_bytes())
}

fn empty() -> serde_json::Value {
    json!({
        "clusterentries": null, "nodeentries": {}, "deviceentries": {}, "volumeentries": null, "brickentries": {},
        "dbattributeentries": { "DB_GENERATION_ID": { "Key": "DB_GENERATION_ID", "Value": "x" } }, "later": 1,
    })
}

#[test]
fn lists_that_are_null_are_empty_and_what_is_unknown_is_passed_over() {
    let db = parse(&empty()).unwrap();
    assert!(db.is_at_rest() && db.clusters.is_empty());
}

#[test]
fn what_is_no_database_is_an_error_and_never_an_empty_one() {
    for other in [json!({}), json!([]), json!({ "clusters": [] }), json!(null)] {
        assert!(parse(&other).is_err(), "{other}");
    }
}

#[test]
fn an_id_that_leads_nowhere_is_an_error_that_names_it() {
    let mut db = empty();
    let id = "0000000000000000000000000000000a";
    let info = json!({ "id": id, "cluster": id, "zone": 1, "hostnames": { "manage": ["a"], "storage": ["a"] } });
    db["nodeentries"] = json!({ id: { "Info": info, "State": "online", "Devices": null } });
    let error = parse(&db).unwrap_err().to_string();
    assert!(error.contains(&format!("node {id} is in cluster {id}, which is not there")), "{error}");
    db["nodeentries"][id]["Info"]["id"] = "NOT AN ID".into();
    assert!(matches!(parse(&db), Err(NotADatabase::Unreadable(_))));
}

#[test]
fn what_was_under_way_is_seen() {
    let mut db = empty();
    db["pendingoperations"] = json!({ "0000000000000000000000000000000b": { "Type": 1 } });
    assert!(!parse(&db).unwrap().is_at_rest());
}

#[test]
fn a_host_is_found_by_where_its_agent_dials_from_unless_others_are_there_too() {
    let topology = topology(&[]);
    let at = |addresses: [&str; 3]| {
        let hosts = hosts(&topology);
        let hosts =
            hosts.all().zip(addresses).map(|(host, from)| HostFacts { from: from.parse().ok(), ..host.clone() });
        Hosts::of(hosts.collect(), &Topology::default())
    };
    let found = |hosts: &Hosts, name: &str| hosts.named(&name.parse().unwrap()).map(|host| host.name.to_string());
    let apart = at(["10.9.0.1", "10.9.0.2", "10.9.0.3"]);
    assert_eq!(found(&apart, "10.9.0.2").as_deref(), Some("gfs1"));
    let behind_one = at(["10.9.0.1", "10.9.0.2", "10.9.0.2"]);
    assert_eq!(found(&behind_one, "10.9.0.2"), None);
    assert_eq!(found(&behind_one, "gfs2").as_deref(), Some("gfs2"));
}

#[test]
fn the_record_of_the_largest_adoption_fits_into_the_store() {
    let shape = Shape {
        layout: Layout::Replicate { replica: 3 },
        sets: 1,
        gib: 4096,
        factor_milli: 1500,
        gid: 2000,
        options: true,
        other_pool: true,
    };
    let volumes = std::iter::repeat_n(shape, MOST_BRICKS.div_ceil(3)).collect::<Vec<_>>();
    let topology = topology(&volumes);
    let volumes = topology.volumes.values().map(|volume| {
        let mut volume = Volume::clone(volume);
        volume.name = format!("{}_{}", volume.name, "0".repeat(40)).parse().unwrap();
        for brick in &mut volume.bricks {
            let folder = format!("vg_{0}/brick_{0}/brick", brick.id);
            brick.path = Some(format!("/var/lib/heketi/mounts/{folder}").try_into().unwrap());
            brick.adopted = true;
        }
        volume
    });
    let adopt = Adopt { volumes: volumes.collect(), ..Adopt::default() };
    let operation = crate::model::Operation::begun(crate::model::Plan::Adopt(adopt), jiff::Timestamp::UNIX_EPOCH);
    let size = serde_json::to_vec(&operation).unwrap().len();
    assert!(size < 900 << 10, "{size} bytes of 1 MiB");
}

#[derive(Clone, Debug)]
struct Shape {
    layout: Layout,
    sets: u32,
    gib: u64,
    factor_milli: u32,
    gid: u32,
    options: bool,
    other_pool: bool,
}

prop_compose! {
    fn shape()(
        kind in 0..4_u8, sets in 1..3_u32, gib in 1..5_000_u64, factor_milli in 1000..4000_u32, gid in 0..3000_u32,
        options in any::<bool>(), other_pool in any::<bool>(),
    ) -> Shape {
        let layout = match kind {
            0 => Layout::Distribute,
            1 => Layout::Replicate { replica: 3 },
            2 => Layout::Arbiter,
            _ => Layout::Disperse { data: 2, redundancy: 1 },
        };
        Shape { layout, sets, gib, factor_milli, gid, options, other_pool }
    }
}

/// Three nodes with a device each, and these volumes.
fn topology(shapes: &[Shape]) -> Topology {
    let mut topology = Topology::default();
    let cluster = ClusterId::from_u128(1);
    topology.put_cluster(Cluster { id: cluster, file: true, block: shapes.len().is_multiple_of(2) });
    for number in 0..3_u8 {
        let id = NodeId::from_u128(10 + u128::from(number));
        topology.put_node(Node {
            id,
            cluster,
            zone: Zone::new(1 + u32::from(number)).unwrap(),
            manage: vec![format!("gfs{number}").parse().unwrap()],
            storage: vec![format!("10.0.0.{number}").parse().unwrap()],
            state: if number == 2 { AdminState::Offline } else { AdminState::Online },
            tags: Tags::from([("rack".to_owned(), number.to_string())]),
            lost: false,
        });
        let one = ExtentSize::FOUR_MIB;
        let total = Extents::new(10_000_000);
        topology.put_device(Device {
            id: DeviceId::from_u128(20 + u128::from(number)),
            node: id,
            name: "/dev/sdb".parse().unwrap(),
            pv_uuid: "6S7Fyk-dlbR-wBN5-fXrX-i2Zz-KdSU-vbr9jZ".parse().unwrap(),
            disk: DiskIdentity::default(),
            space: GroupSpace { seqno: 1, extent_size: one, total, free: total, spare: Extents::ZERO },
            foreign: Extents::ZERO,
            state: AdminState::Online,
            tags: Tags::new(),
            lost: false,
            adopted: None,
            added: Timestamp::UNIX_EPOCH,
        });
    }
    for (at, shape) in (1_u128..).zip(shapes) {
        topology.put_volume(volume(at, shape, cluster));
    }
    topology
}

fn volume(at: u128, shape: &Shape, cluster: ClusterId) -> Volume {
    let per_set = shape.layout.bricks_per_set();
    let bricks = (0..shape.sets * per_set).map(|index| {
        let id = BrickId::from_u128((at << 16) | u128::from(index));
        let size = Extents::new(u64::from(index) + 100);
        let node = u128::from(index % 3);
        Brick {
            id,
            device: DeviceId::from_u128(20 + node),
            node: NodeId::from_u128(10 + node),
            set: index / per_set,
            position: index % per_set,
            role: if shape.layout == Layout::Arbiter && index % per_set == 2 {
                BrickRole::Arbiter
            } else {
                BrickRole::Data
            },
            asked: size.to_bytes(ExtentSize::FOUR_MIB).unwrap(),
            space: BrickSpace { provisioning: Provisioning::Thin, volume: size, pool: size, metadata: Extents::new(3) },
            path: Some(format!("/var/lib/heketi/mounts/vg_1/brick_{id}/brick").try_into().unwrap()),
            pool: None,
            names: LvNames {
                volume: None,
                pool: shape
                    .other_pool
                    .then(|| LvName::of_pool(BrickId::from_u128(1 << 100 | at << 16 | u128::from(index)))),
            },
            adopted: false,
            generation: FIRST_GENERATION,
        }
    });
    let mut options = Vec::new();
    if shape.layout == Layout::Arbiter {
        options.push("user.heketi.arbiter true".to_owned());
    }
    if shape.options {
        options.push("performance.cache-size 256MB".to_owned());
    }
    Volume {
        id: VolumeId::from_u128(at << 64),
        name: format!("vol_{at}").parse().unwrap(),
        cluster,
        size: ByteSize::from_gib(shape.gib).unwrap(),
        layout: shape.layout,
        durability: durability(shape.layout),
        gid: shape.gid,
        options,
        protected: false,
        trash: None,
        block: false,
        restriction: BlockRestriction::None,
        snapshot: Snapshot {
            enable: shape.factor_milli > 1000,
            factor_milli: if shape.factor_milli > 1000 { shape.factor_milli } else { 1000 },
        },
        bricks: bricks.collect(),
    }
}

fn hosts(topology: &Topology) -> Hosts {
    let hosts = topology.nodes.values().map(|node| HostFacts {
        agent: node.id,
        name: node.manage[0].clone(),
        from: None,
        zone: None,
        inventory: Arc::new(Inventory::default()),
        survey: HostSurvey::default(),
    });
    Hosts::of(hosts.collect(), topology)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_for_heketi_is_read_as_what_it_was(shapes in proptest::collection::vec(shape(), 0..6)) {
        let topology = topology(&shapes);
        let installation = InstallationId::from_u128(7);
        let json = serde_json::to_vec(&Dump::for_heketi(&topology, installation)).unwrap();
        let db = HeketiDb::parse(&json).unwrap();
        prop_assert!(db.is_at_rest());
        let empty = Topology::default();
        let facts = Facts { topology: &empty, installation, hosts: hosts(&topology), now: Timestamp::UNIX_EPOCH };
        let mut findings = Vec::new();
        let claims = of_heketi(&db, &facts, &Choices::default(), &mut findings);
        prop_assert_eq!(findings, Vec::new());
        let clusters: Vec<Cluster> = topology.clusters.values().map(|cluster| Cluster::clone(cluster)).collect();
        prop_assert_eq!(claims.clusters, clusters);
        let nodes: Vec<Node> = topology.nodes.values().map(|node| Node::clone(node)).collect();
        prop_assert_eq!(claims.nodes, nodes);
        for device in &claims.devices {
            let known = &topology.devices[&device.id];
            prop_assert_eq!((&device.group, device.node, device.state), (&known.group(), known.node, known.state));
            prop_assert_eq!(device.pv_uuid.as_ref(), Some(&known.pv_uuid));
        }
        prop_assert_eq!(claims.volumes.len(), topology.volumes.size());
        for claim in &claims.volumes {
            let known = &topology.volumes[&claim.id];
            prop_assert_eq!((&claim.name, claim.size, claim.layout), (&known.name, Some(known.size), Some(known.layout)));
            prop_assert_eq!((claim.gid, claim.snapshot), (known.gid, Some(known.snapshot)));
            prop_assert_eq!((&claim.options, &claim.durability), (&Some(known.options.clone()), &Some(known.durability.clone())));
            prop_assert_eq!(claim.bricks.len(), known.bricks.len());
            for brick in &claim.bricks {
                let was = known.brick(brick.id).unwrap();
                prop_assert_eq!((brick.node, brick.device, Some(&brick.path)), (was.node, was.device, was.path.as_ref()));
                prop_assert_eq!((brick.size, brick.role), (Some(was.asked), Some(was.role)));
                prop_assert_eq!((&brick.volume, &brick.pool), (&Some(was.volume_lv()), &was.pool_lv()));
            }
        }
    }

    #[test]
    fn no_text_brings_the_reader_down(text in "\\PC{0,200}") {
        let _ = HeketiDb::parse(text.as_bytes());
    }
}
