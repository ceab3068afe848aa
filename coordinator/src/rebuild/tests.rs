//! From a state to what hosts would say of it, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{
    BrickRole, BrickSeen, GlusterSeen, GroupSpace, GroupTags, Inventory, LogicalVolume, LvKind, PhysicalVolume,
    VolumeGroup,
};
use bricklayer_proto::keepsake::{GlusterVolumeSeen, KeepsakeKind, Recollection};
use bricklayer_proto::names::{LvName, MountPoint, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents, GIB};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{BrickAddress, Layout, VolumeRecord};
use bricklayer_proto::wire::{FromAgent, v1};
use bricklayer_store::Store;
use jiff::Timestamp;
use proptest::prelude::*;
use prost::Message as _;

use super::{Difference, Documents, Evidence, HostEvidence, PoolEvidence, Rebuilt, rebuild, write};
use crate::keepsake::document::FORMAT;
use crate::keepsake::{InstallationDocument, Marks, VolumesDocument};
use crate::model::{
    AdminState, BlockRestriction, Brick, Cluster, Device, DiskIdentity, Durability, LvNames, Node, Policies, Snapshot,
    Tags, Trash, Volume, Zone,
};
use crate::pki::{AgentRecord, Authority};
use crate::placement::{Policy, Reserve};
use crate::state::{Records, SCHEMA, State, assemble};

const INSTALLATION: InstallationId = InstallationId::from_u128(0x1);
const CLUSTER: ClusterId = ClusterId::from_u128(0xc);
const ONE: ExtentSize = ExtentSize::FOUR_MIB;
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn node_id(number: usize) -> NodeId {
    NodeId::from_u128(0x1000 + number as u128)
}

fn device_id(node: usize, number: usize) -> DeviceId {
    DeviceId::from_u128(((0x2000 + node as u128) << 32) + number as u128)
}

/// What one volume is to be.
#[derive(Clone, Debug)]
struct Wish {
    layout: Layout,
    sets: u32,
    gib: u64,
    factor_milli: u32,
    options: Vec<String>,
    gid: u32,
    restriction: BlockRestriction,
    protected: bool,
    trash: Option<Trash>,
    at: usize,
}

#[derive(Clone, Debug)]
struct Shape {
    nodes: usize,
    devices: usize,
    volumes: Vec<Wish>,
    /// Of what nobody else decides.
    dice: u64,
}

fn wish() -> impl Strategy<Value = Wish> {
    let layout = prop_oneof![
        Just(Layout::Distribute),
        (2..=3_u32).prop_map(|replica| Layout::Replicate { replica }),
        Just(Layout::Arbiter),
        Just(Layout::Disperse { data: 2, redundancy: 1 }),
    ];
    let options = prop::collection::vec(Just("nfs.disable on".to_owned()), 0..2);
    let kept = (any::<bool>(), any::<bool>());
    (layout, 1..3_u32, 1..9_u64, 1000..2000_u32, options, 0..3000_u32, any::<bool>(), any::<usize>(), kept).prop_map(
        |(layout, sets, gib, factor_milli, options, gid, locked, at, (protected, trashed))| Wish {
            layout,
            sets,
            gib,
            factor_milli,
            options,
            gid,
            restriction: if locked { BlockRestriction::Locked } else { BlockRestriction::None },
            protected,
            trash: trashed
                .then(|| Trash { since: NOW, until: Timestamp::from_second(NOW.as_second() + 86_400).unwrap() }),
            at: at % 1000,
        },
    )
}

fn shape() -> impl Strategy<Value = Shape> {
    (3..6_usize, 1..3_usize, prop::collection::vec(wish(), 0..6), any::<u64>())
        .prop_map(|(nodes, devices, volumes, dice)| Shape { nodes, devices, volumes, dice })
}

fn state(dice: u64) -> AdminState {
    [AdminState::Online, AdminState::Offline, AdminState::Failed][usize::try_from(dice % 3).unwrap()]
}

fn volume(shape: &Shape, number: usize, wish: &Wish) -> Volume {
    let id = VolumeId::from_u128(0x5000 + number as u128);
    let per_set = wish.layout.bricks_per_set();
    let asked = ByteSize::from_bytes(wish.gib * GIB);
    let pool = ByteSize::from_bytes(wish.gib * GIB / 1000 * u64::from(wish.factor_milli));
    let bricks = (0..wish.sets * per_set).map(|index| {
        let host = (wish.at + index as usize) % shape.nodes;
        let device = device_id(host, (wish.at + index as usize / shape.nodes) % shape.devices);
        let brick = BrickId::from_u128(((0x9000 + number as u128) << 32) + u128::from(index));
        let at: MountPoint = format!("/m/vg_{device}/brick_{brick}").parse().unwrap();
        let arbiter = wish.layout == Layout::Arbiter && index % per_set == 2;
        Brick {
            id: brick,
            device,
            node: node_id(host),
            set: index / per_set,
            position: index % per_set,
            role: if arbiter { BrickRole::Arbiter } else { BrickRole::Data },
            asked,
            space: match number % 2 {
                1 if wish.factor_milli == 1000 => BrickSpace::thick(asked, ONE),
                _ => BrickSpace::thin(asked, pool, ONE).unwrap(),
            },
            path: Some(at.brick_path()),
            pool: None,
            names: LvNames::default(),
            adopted: false,
            generation: 1 + u64::from(index % 2),
        }
    });
    Volume {
        id,
        name: format!("vol_{number}").parse().unwrap(),
        cluster: CLUSTER,
        size: ByteSize::from_bytes(wish.gib * u64::from(wish.sets) * GIB),
        layout: wish.layout,
        durability: Durability { kind: "replicate".to_owned(), replica: 7, ..Durability::default() },
        gid: wish.gid,
        options: wish.options.clone(),
        block: wish.restriction != BlockRestriction::None,
        restriction: wish.restriction,
        snapshot: Snapshot { enable: wish.factor_milli > 1000, factor_milli: wish.factor_milli },
        protected: wish.protected,
        trash: wish.trash,
        bricks: bricks.collect(),
    }
}

fn records(shape: &Shape) -> Records {
    let volumes: Vec<Volume> =
        shape.volumes.iter().enumerate().map(|(number, wish)| volume(shape, number, wish)).collect();
    let mut bricks: BTreeMap<DeviceId, Vec<BrickSpace>> = BTreeMap::new();
    for brick in volumes.iter().flat_map(|volume| &volume.bricks) {
        bricks.entry(brick.device).or_default().push(brick.space);
    }
    let mut nodes = Vec::new();
    let mut devices = Vec::new();
    for host in 0..shape.nodes {
        let dice = shape.dice.rotate_left(u32::try_from(host).unwrap() * 7);
        nodes.push(Node {
            id: node_id(host),
            cluster: CLUSTER,
            zone: Zone::new(1 + u32::try_from(dice % 5).unwrap()).unwrap(),
            manage: vec![format!("gfs{host}").parse().unwrap(), format!("gfs{host}.example.org").parse().unwrap()],
            storage: vec![format!("192.168.{}.{}", host / 250, host % 250).parse().unwrap()],
            state: state(dice),
            tags: if dice.is_multiple_of(2) {
                Tags::from([("rack".to_owned(), dice.to_string())])
            } else {
                Tags::new()
            },
            lost: false,
        });
        for number in 0..shape.devices {
            let id = device_id(host, number);
            let spaces = bricks.get(&id).map_or(&[][..], Vec::as_slice);
            let taken: u64 = spaces.iter().map(|space| space.taken().unwrap().count()).sum();
            let spare = spaces.iter().map(|space| space.metadata.count()).max().unwrap_or(0);
            let (foreign, total) = (dice % 50, 10_000_000);
            devices.push(Device {
                id,
                node: node_id(host),
                name: format!("/dev/sd{}", char::from(b'b' + u8::try_from(number).unwrap())).parse().unwrap(),
                pv_uuid: format!("{:0>6}-0000-0000-0000-0000-0000-{number:0>6}", host).parse().unwrap(),
                disk: DiskIdentity { serial: Some(format!("S{host}-{number}")), ..DiskIdentity::default() },
                space: GroupSpace {
                    seqno: 3,
                    extent_size: ONE,
                    total: Extents::new(total),
                    free: Extents::new(total - taken - spare - foreign),
                    spare: Extents::new(spare),
                },
                foreign: Extents::new(foreign),
                state: state(dice >> 8),
                tags: Tags::new(),
                lost: false,
                adopted: None,
                added: NOW,
            });
        }
    }
    Records {
        clusters: vec![Cluster { id: CLUSTER, file: true, block: shape.dice.is_multiple_of(2) }],
        nodes,
        devices,
        volumes,
        block_volumes: Vec::new(),
        policies: policies(shape.dice),
    }
}

fn policies(dice: u64) -> Policies {
    let policy = || Policy { reserve: Some(Reserve::Percent(5)), ..Policy::default() };
    match dice % 3 {
        0 => Policies::default(),
        1 => Policies { installation: policy(), ..Policies::default() },
        _ => Policies { clusters: [(CLUSTER, policy())].into(), ..Policies::default() },
    }
}

fn agent(node: &Node) -> AgentRecord {
    AgentRecord {
        name: node.manage[0].clone(),
        zone: Some(node.zone.get()),
        machine_id: format!("machine of {}", node.name()),
        enrolled: NOW,
        series: 3,
        lowest_series: 1,
        certificate_expires: NOW,
        revoked: None,
    }
}

fn logical(name: LvName, extents: Extents, kind: LvKind, tags: &[String]) -> LogicalVolume {
    LogicalVolume {
        uuid: name.to_string(),
        name,
        size: extents.to_bytes(ONE).unwrap(),
        kind,
        active: true,
        open: true,
        condemned: false,
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
    }
}

/// The disks of every host, by what the records say should be on them.
fn inventories(records: &Records) -> BTreeMap<NodeId, Inventory> {
    let mut inventories: BTreeMap<NodeId, Inventory> = BTreeMap::new();
    for node in &records.nodes {
        let gluster = GlusterSeen { running: true, uuid: Some(node.id.to_string()), ..GlusterSeen::default() };
        inventories.insert(node.id, Inventory { gluster, ..Inventory::default() });
    }
    let mut groups: BTreeMap<DeviceId, (NodeId, VolumeGroup)> = BTreeMap::new();
    for device in &records.devices {
        let group = VolumeGroup {
            name: VgName::of_device(device.id),
            uuid: device.id.to_string(),
            space: device.space,
            physical_volumes: vec![PhysicalVolume {
                uuid: device.pv_uuid.clone(),
                path: Some(device.name.clone()),
                missing: false,
                extent: None,
            }],
            tags: Some(GroupTags { installation: INSTALLATION, node: device.node, device: device.id }),
            condemned: false,
            adopted: false,
            volumes: Vec::new(),
        };
        groups.insert(device.id, (device.node, group));
    }
    for volume in &records.volumes {
        for brick in &volume.bricks {
            let (node, group) = groups.get_mut(&brick.device).unwrap();
            let (pool_lv, volume_lv) = (LvName::of_pool(brick.id), LvName::of_brick(brick.id));
            let metadata = brick.space.metadata.to_bytes(ONE).unwrap();
            let pool =
                LvKind::ThinPool { metadata, data_percent: None, metadata_percent: None, volumes: 1, fault: None };
            let tag = format!("bricklayer.brick={}", brick.id);
            let pool_lv = (!brick.is_thick()).then_some(pool_lv);
            let kind = match &pool_lv {
                Some(pool_lv) => {
                    group.volumes.push(logical(pool_lv.clone(), brick.space.pool, pool, &[tag]));
                    LvKind::Thin { pool: pool_lv.clone() }
                }
                None => LvKind::Other { segment_type: "linear".to_owned() },
            };
            group.volumes.push(logical(volume_lv.clone(), brick.space.volume, kind, &[]));
            let at: MountPoint = brick.path.as_ref().unwrap().to_string().trim_end_matches("/brick").parse().unwrap();
            inventories.get_mut(node).unwrap().bricks.push(BrickSeen {
                tags: volume.brick_tags(brick, OperationId::from_u128(0xf)),
                group: group.name.clone(),
                volume_lv,
                pool_lv,
                size: brick.space.volume.to_bytes(ONE).unwrap(),
                condemned: false,
                adopted: false,
                fstab: Some(at.clone()),
                mounted: Some(at),
                path: brick.path.clone(),
                served: None,
            });
        }
    }
    for (_, (node, group)) in groups {
        inventories.get_mut(&node).unwrap().groups.push(group);
    }
    inventories
}

fn in_gluster(records: &Records) -> Vec<GlusterVolumeSeen> {
    let hosts: BTreeMap<NodeId, &Node> = records.nodes.iter().map(|node| (node.id, node)).collect();
    let address =
        |brick: &Brick| BrickAddress { host: hosts[&brick.node].storage[0].clone(), path: brick.path.clone().unwrap() };
    let volumes = records.volumes.iter().map(|volume| GlusterVolumeSeen {
        name: volume.name.clone(),
        id: Some(volume.id.to_string()),
        started: volume.trash.is_none(),
        bricks: volume.bricks.iter().map(address).collect(),
    });
    volumes.collect()
}

/// What the hosts of this state would say, with what they keep and without.
fn evidence(records: &Records, keep: bool) -> Evidence {
    let topology = assemble(records.clone());
    let agents: BTreeMap<NodeId, AgentRecord> = records.nodes.iter().map(|node| (node.id, agent(node))).collect();
    let document = Arc::new(InstallationDocument::of(&topology, INSTALLATION, agents.clone()));
    let mut inventories = inventories(records);
    let mut records_on: BTreeMap<NodeId, BTreeMap<BrickId, VolumeRecord>> = BTreeMap::new();
    for volume in &records.volumes {
        for brick in &volume.bricks {
            records_on.entry(brick.node).or_default().insert(brick.id, volume.record(INSTALLATION));
        }
    }
    let hosts = records.nodes.iter().map(|node| {
        let kept = VolumesDocument {
            format: FORMAT,
            installation: INSTALLATION,
            node: node.id,
            volumes: topology.volumes_kept_by(node.id).into_values().map(|volume| Volume::clone(volume)).collect(),
            block_volumes: Vec::new(),
            sealed: BTreeMap::new(),
        };
        let host = HostEvidence {
            agent: agents[&node.id].clone(),
            inventory: Arc::new(inventories.remove(&node.id).unwrap()),
            installation: keep.then(|| (41, Arc::clone(&document))),
            volumes: keep.then_some((42, kept)),
            block_volumes: Vec::new(),
            records: records_on.remove(&node.id).unwrap_or_default(),
            remarks: Vec::new(),
        };
        (node.id, host)
    });
    let hosts = hosts.collect();
    let members: BTreeSet<String> = records.nodes.iter().map(|node| node.id.to_string()).collect();
    let pools = vec![PoolEvidence { members, volumes: Some(in_gluster(records)) }];
    Evidence { installation: INSTALLATION, hosts, pools }
}

fn is_same(rebuilt: &Rebuilt, records: &Records) -> Result<(), TestCaseError> {
    prop_assert_eq!(&rebuilt.records.clusters, &records.clusters);
    prop_assert_eq!(&rebuilt.records.nodes, &records.nodes);
    prop_assert_eq!(&rebuilt.records.devices, &records.devices);
    prop_assert_eq!(&rebuilt.records.volumes, &records.volumes);
    prop_assert_eq!(&rebuilt.records.policies, &records.policies);
    Ok(())
}

fn three() -> Records {
    let wish = Wish {
        layout: Layout::Replicate { replica: 3 },
        sets: 1,
        gib: 4,
        factor_milli: 1000,
        options: Vec::new(),
        gid: 0,
        restriction: BlockRestriction::None,
        protected: false,
        trash: None,
        at: 0,
    };
    records(&Shape { nodes: 3, devices: 1, volumes: vec![wish], dice: 6 })
}

fn told(rebuilt: &Rebuilt) -> Vec<String> {
    rebuilt.differences.iter().map(ToString::to_string).collect()
}

proptest! {
    #[test]
    fn the_hosts_give_the_whole_state_back(shape in shape()) {
        let records = records(&shape);
        let rebuilt = rebuild(&evidence(&records, true), NOW);
        prop_assert_eq!(told(&rebuilt), Vec::<String>::new());
        is_same(&rebuilt, &records)?;
        prop_assert_eq!(rebuilt.sequence, 42);
    }

    #[test]
    fn a_host_that_is_away_takes_nothing_along_but_what_lvm_says_of_it(shape in shape(), away in 0..3_usize) {
        let records = records(&shape);
        let mut evidence = evidence(&records, true);
        evidence.hosts.remove(&node_id(away));
        let rebuilt = rebuild(&evidence, NOW);
        // A volume all of whose bricks are on that host is known to GlusterFS alone.
        let mut expected = records.clone();
        expected.volumes.retain(|volume| volume.bricks.iter().any(|brick| brick.node != node_id(away)));
        let left_out = records.volumes.len() - expected.volumes.len();
        prop_assert_eq!(told(&rebuilt).len(), 1 + left_out, "{:?}", told(&rebuilt));
        let name = format!("gfs{away}");
        prop_assert!(told(&rebuilt)[0].contains(&name));
        prop_assert_eq!(&rebuilt.records.volumes, &expected.volumes);
        if expected.volumes.len() == records.volumes.len() {
            let mut devices = rebuilt.records.devices.clone();
            devices.iter_mut().filter(|device| device.node == node_id(away)).for_each(|device| device.space.seqno = 3);
            prop_assert_eq!(&devices, &records.devices);
        }
    }

    #[test]
    fn disks_and_gluster_alone_give_back_all_volumes_and_every_extent(shape in shape()) {
        let records = records(&shape);
        let rebuilt = rebuild(&evidence(&records, false), NOW);
        prop_assert_eq!(rebuilt.records.volumes.len(), records.volumes.len(), "{:?}", told(&rebuilt));
        for (found, volume) in rebuilt.records.volumes.iter().zip(&records.volumes) {
            let known = Volume {
                durability: found.durability.clone(),
                block: false,
                restriction: BlockRestriction::None,
                ..volume.clone()
            };
            prop_assert_eq!(found, &known);
        }
        for (found, device) in rebuilt.records.devices.iter().zip(&records.devices) {
            prop_assert_eq!((found.id, found.node, found.space), (device.id, device.node, device.space));
            prop_assert_eq!((found.foreign, &found.pv_uuid), (device.foreign, &device.pv_uuid));
        }
        let storage = |nodes: &[Node]| nodes.iter().map(|node| (node.id, node.manage[0].clone())).collect::<Vec<_>>();
        prop_assert_eq!(storage(&rebuilt.records.nodes), storage(&records.nodes));
    }
}

#[test]
fn of_what_hosts_keep_the_newest_counts() {
    let records = three();
    let mut evidence = evidence(&records, true);
    let newest = evidence.hosts.get_mut(&node_id(1)).unwrap();
    let (sequence, document) = newest.installation.as_mut().unwrap();
    *sequence = 50;
    Arc::make_mut(document).nodes[0].zone = Zone::new(9).unwrap();
    let (sequence, document) = newest.volumes.as_mut().unwrap();
    *sequence = 51;
    document.volumes[0].gid = 77;
    let rebuilt = rebuild(&evidence, NOW);
    assert_eq!(rebuilt.records.nodes[0].zone.get(), 9);
    assert_eq!(rebuilt.records.volumes[0].gid, 77);
    assert_eq!(rebuilt.sequence, 51);
}

#[test]
fn a_brick_that_no_volume_has_is_told_and_its_space_is_foreign() {
    let mut records = three();
    let all = evidence(&records, true);
    records.volumes.clear();
    let mut evidence = evidence(&records, true);
    // The disks have the bricks of a creation that was under way; GlusterFS and what is kept do not.
    for (node, host) in &mut evidence.hosts {
        host.inventory = Arc::clone(&all.hosts[node].inventory);
    }
    let rebuilt = rebuild(&evidence, NOW);
    assert!(rebuilt.records.volumes.is_empty());
    assert_eq!(rebuilt.differences.len(), 3);
    assert!(told(&rebuilt)[0].contains("stays on the disk"), "{:?}", told(&rebuilt));
    let taken = three().volumes[0].bricks[0].space.taken().unwrap();
    let before = three().devices[0].foreign;
    assert_eq!(rebuilt.records.devices[0].foreign, taken.checked_add(before).unwrap());
}

#[test]
fn a_brick_that_its_disk_lacks_is_told_and_its_record_stays() {
    let records = three();
    let mut evidence = evidence(&records, true);
    let host = evidence.hosts.get_mut(&node_id(0)).unwrap();
    let mut inventory = Inventory::clone(&host.inventory);
    inventory.bricks.clear();
    host.inventory = Arc::new(inventory);
    let rebuilt = rebuild(&evidence, NOW);
    assert_eq!(rebuilt.records.volumes, records.volumes);
    assert!(matches!(rebuilt.differences[..], [Difference::BrickMissing { .. }]), "{:?}", told(&rebuilt));
}

#[test]
fn a_size_that_differs_is_told_and_the_disk_is_believed() {
    let records = three();
    let mut evidence = evidence(&records, true);
    let grown = records.volumes[0].bricks[1].clone();
    let host = evidence.hosts.get_mut(&node_id(1)).unwrap();
    let mut inventory = Inventory::clone(&host.inventory);
    inventory.bricks[0].tags.generation += 1;
    inventory.bricks[0].tags.asked = ByteSize::from_bytes(5 * GIB);
    inventory.bricks[0].size = ByteSize::from_bytes(5 * GIB);
    host.inventory = Arc::new(inventory);
    let rebuilt = rebuild(&evidence, NOW);
    let brick = &rebuilt.records.volumes[0].bricks[1];
    assert_eq!((brick.generation, brick.asked.whole_gib()), (grown.generation + 1, 5));
    assert_eq!(brick.space.volume, ByteSize::from_bytes(5 * GIB).to_extents(ONE));
    assert_eq!(rebuilt.records.volumes[0].size, records.volumes[0].size, "what was asked for stays");
    assert!(told(&rebuilt)[0].contains("expansion was under way"), "{:?}", told(&rebuilt));
}

#[test]
fn a_volume_that_was_deleted_to_the_end_is_left_out() {
    let records = three();
    let mut evidence = evidence(&records, true);
    evidence.pools[0].volumes = Some(Vec::new());
    let still_there = rebuild(&evidence, NOW);
    assert_eq!(still_there.records.volumes, records.volumes, "its bricks are there");
    assert!(matches!(still_there.differences[..], [Difference::VolumeNotInGluster { .. }]));
    for host in evidence.hosts.values_mut() {
        let mut inventory = Inventory::clone(&host.inventory);
        inventory.bricks.iter_mut().for_each(|brick| brick.condemned = true);
        host.inventory = Arc::new(inventory);
    }
    let gone = rebuild(&evidence, NOW);
    assert!(gone.records.volumes.is_empty());
    assert_eq!(gone.differences.len(), 4, "the volume and its three bricks: {:?}", told(&gone));
}

#[test]
fn a_volume_whose_hosts_are_all_lost_comes_back_unless_the_rest_of_the_pool_has_forgotten_it() {
    let mut records = records(&Shape {
        nodes: 3,
        devices: 1,
        volumes: vec![Wish { layout: Layout::Distribute, ..three_wish() }],
        dice: 6,
    });
    let lost = records.volumes[0].bricks[0].node;
    records.nodes.iter_mut().find(|node| node.id == lost).unwrap().lost = true;
    let mut evidence = evidence(&records, true);
    evidence.hosts.remove(&lost);
    let back = rebuild(&evidence, NOW);
    assert_eq!((&back.records.volumes, told(&back)), (&records.volumes, Vec::new()));
    // It was deleted while a host that keeps its record was away.
    evidence.pools[0].volumes = Some(Vec::new());
    let gone = rebuild(&evidence, NOW);
    assert!(gone.records.volumes.is_empty());
    assert!(matches!(gone.differences[..], [Difference::VolumeGone { .. }]), "{:?}", told(&gone));
}

#[test]
fn a_brick_that_gluster_has_replaced_takes_the_place_of_the_one_that_was_kept() {
    let wish = Wish { at: 0, ..three_wish() };
    let shape = Shape { nodes: 4, devices: 1, volumes: vec![wish], dice: 6 };
    let before = records(&shape);
    let mut after = before.clone();
    let moved = &mut after.volumes[0].bricks[2];
    let (id, device) = (BrickId::from_u128(0xabc), device_id(3, 0));
    let at: MountPoint = format!("/m/vg_{device}/brick_{id}").parse().unwrap();
    *moved = Brick { id, device, node: node_id(3), path: Some(at.brick_path()), ..moved.clone() };
    let mut evidence = evidence(&after, true);
    for host in evidence.hosts.values_mut() {
        for volume in &mut host.volumes.as_mut().unwrap().1.volumes {
            *volume = before.volumes[0].clone();
        }
    }
    let rebuilt = rebuild(&evidence, NOW);
    assert_eq!(rebuilt.records.volumes, after.volumes);
    assert!(matches!(rebuilt.differences[..], [Difference::VolumeFollowsGluster { .. }]), "{:?}", told(&rebuilt));
}

#[test]
fn a_volume_is_in_the_trash_only_where_all_its_records_say_so_and_gluster_does_not_run_it() {
    let mut records = three();
    let trash = Trash { since: NOW, until: NOW };
    records.volumes[0].trash = Some(trash);
    let trashed = |evidence: &Evidence| rebuild(evidence, NOW).records.volumes[0].trash;
    let all = evidence(&records, false);
    assert_eq!(trashed(&all), Some(trash));
    let mut runs = all.clone();
    runs.pools[0].volumes.as_mut().unwrap()[0].started = true;
    assert_eq!(trashed(&runs), None);
    // A host that was away when the volume was taken out still says the other thing.
    let mut one_differs = all;
    let host = one_differs.hosts.values_mut().next().unwrap();
    host.records.values_mut().next().unwrap().trash = None;
    assert_eq!(trashed(&one_differs), None);
}

fn three_wish() -> Wish {
    Wish {
        layout: Layout::Replicate { replica: 3 },
        sets: 1,
        gib: 4,
        factor_milli: 1000,
        options: Vec::new(),
        gid: 0,
        restriction: BlockRestriction::None,
        protected: false,
        trash: None,
        at: 0,
    }
}

#[test]
fn a_host_that_was_revoked_is_not_believed_and_stays_revoked() {
    let records = three();
    let mut evidence = evidence(&records, true);
    for host in evidence.hosts.values_mut() {
        let (_, document) = host.installation.as_mut().unwrap();
        let document = Arc::make_mut(document);
        document.agents.get_mut(&node_id(2)).unwrap().revoked = Some(NOW);
        document.agents.get_mut(&node_id(1)).unwrap().lowest_series = 9;
    }
    let rebuilt = rebuild(&evidence, NOW);
    let distrusted: Vec<_> =
        rebuilt.differences.iter().filter(|difference| matches!(difference, Difference::Distrusted { .. })).collect();
    assert_eq!(distrusted.len(), 2, "{:?}", told(&rebuilt));
    assert!(rebuilt.agents[&node_id(2)].revoked.is_some());
    assert_eq!(rebuilt.agents[&node_id(1)].lowest_series, 9);
}

#[test]
fn a_volume_that_is_not_ours_is_told_and_left() {
    let records = three();
    let mut evidence = evidence(&records, true);
    let foreign = GlusterVolumeSeen { name: "by-hand".parse().unwrap(), id: None, started: true, bricks: Vec::new() };
    evidence.pools[0].volumes.as_mut().unwrap().push(foreign);
    let rebuilt = rebuild(&evidence, NOW);
    assert_eq!(rebuilt.records.volumes, records.volumes);
    assert!(told(&rebuilt)[0].contains("by-hand that is not ours"), "{:?}", told(&rebuilt));
}

#[test]
fn a_document_without_our_mark_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let marks = Marks::of(&Authority::create(dir.path(), INSTALLATION, Timestamp::now()).unwrap());
    let records = three();
    let source = evidence(&records, true).hosts.remove(&node_id(0)).unwrap();
    let content = serde_json::to_string(&*source.installation.unwrap().1).unwrap();
    let ours = marks.keepsake(KeepsakeKind::Installation, 7, content);
    let recollect = |keepsake| Recollection {
        name: "gfs0".parse().unwrap(),
        keepsakes: vec![keepsake],
        records: BTreeMap::new(),
        unreadable: BTreeMap::new(),
        gluster: None,
        more: false,
    };
    let mut documents = Documents::of(marks);
    let mut heard = |keepsake| {
        HostEvidence::of(source.agent.clone(), Arc::clone(&source.inventory), recollect(keepsake), &mut documents)
    };
    let mut forged = ours.clone();
    forged.sequence = 8;
    assert_eq!(heard(ours).installation.map(|(sequence, _)| sequence), Some(7));
    let host = heard(forged);
    assert!(host.installation.is_none());
    assert!(host.remarks.iter().any(|remark| matches!(remark, Difference::KeepsakeRefused { .. })));
}

/// What the agent of a host says as its coordinator rebuilds, in the bytes that travel: its inventory and what it recollects.
fn said(host: HostEvidence, marks: &Marks) -> (AgentRecord, [Vec<u8>; 2]) {
    let keepsake = |kind, sequence, content: String| marks.keepsake(kind, sequence, content);
    let installation = host.installation.map(|(sequence, document)| {
        keepsake(KeepsakeKind::Installation, sequence, serde_json::to_string(&*document).unwrap())
    });
    let volumes = host.volumes.map(|(sequence, document)| {
        keepsake(KeepsakeKind::Volumes, sequence, serde_json::to_string(&document).unwrap())
    });
    let recollection = Recollection {
        name: host.agent.name.clone(),
        keepsakes: installation.into_iter().chain(volumes).collect(),
        records: host.records,
        unreadable: BTreeMap::new(),
        gluster: None,
        more: false,
    };
    let inventory = Inventory::clone(&host.inventory);
    let messages = [
        FromAgent::Inventory { seen: Box::new(inventory), clock_ms: None },
        FromAgent::Recollection(Box::new(recollection)),
    ];
    (host.agent, messages.map(|message| v1::FromAgent::from(message).encode_to_vec()))
}

fn heard((agent, [inventory, recollection]): (AgentRecord, [Vec<u8>; 2]), documents: &mut Documents) -> HostEvidence {
    let read = |bytes: Vec<u8>| FromAgent::try_from(v1::FromAgent::decode(bytes.as_slice()).unwrap()).unwrap();
    let (FromAgent::Inventory { seen: inventory, .. }, FromAgent::Recollection(recollection)) =
        (read(inventory), read(recollection))
    else {
        panic!("an inventory and a recollection")
    };
    HostEvidence::of(agent, Arc::from(inventory), *recollection, documents)
}

/// `cargo test --release -p bricklayer-coordinator --lib -- --ignored --nocapture measure_rebuild`: the figures of
/// docs/benchmarks.md.
#[test]
#[ignore = "a measurement, not a test"]
fn measure_rebuild_of_100000_bricks_on_1000_nodes() {
    let volumes = (0..33_334).map(|number| Wish { at: number * 3, gib: 1, ..three_wish() }).collect();
    let records = records(&Shape { nodes: 1000, devices: 3, volumes, dice: 12345 });
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let figures = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
        figures.collect::<Vec<_>>().join(", ")
    };
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), INSTALLATION, Timestamp::now()).unwrap();
    let marks = Marks::of(&authority);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for keep in [true, false] {
        let Evidence { installation, hosts, pools } = evidence(&records, keep);
        let messages: Vec<_> = hosts.into_iter().map(|(node, host)| (node, said(host, &marks))).collect();
        let bytes: usize = messages.iter().flat_map(|(_, (_, said))| said).map(Vec::len).sum();
        println!("kept documents: {keep}; {} MiB in the messages of the hosts; {}", bytes >> 20, memory());
        let start = std::time::Instant::now();
        let mut documents = Documents::of(Marks::of(&authority));
        let hosts = messages.into_iter().map(|(node, said)| (node, heard(said, &mut documents))).collect();
        let evidence = Evidence { installation, hosts, pools };
        println!("  all are read after {:?}; {}", start.elapsed(), memory());
        let rebuilt = rebuild(&evidence, NOW);
        let bricks: usize = rebuilt.records.volumes.iter().map(|volume| volume.bricks.len()).sum();
        let differences = rebuilt.differences.len();
        println!("  {bricks} bricks, {differences} differences after {:?}; {}", start.elapsed(), memory());
        drop(evidence);
        let store = dir.path().join(format!("store-{keep}"));
        runtime.block_on(write(rebuilt, &store, INSTALLATION, 3, NOW)).unwrap();
        println!("  a store after {:?}; {}", start.elapsed(), memory());
        let opened = Store::open(&store, SCHEMA).unwrap();
        State::load(opened).unwrap();
        println!("  opened, checked and loaded after {:?}; {}", start.elapsed(), memory());
    }
}
