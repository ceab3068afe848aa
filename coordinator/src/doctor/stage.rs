//! Three hosts, each with a device and on it a brick of one volume, on which nothing is amiss: for tests to break.

use std::sync::Arc;

use bricklayer_proto::ids::{BootId, BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{
    AgentSeen, BrickRole, BrickSeen, GlusterSeen, GroupSpace, GroupTags, Inventory, LogicalVolume, LvKind, PeerSeen,
    PhysicalVolume, Versions, VolumeGroup, VolumeInPool,
};
use bricklayer_proto::names::{HostName, MountPoint, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::Layout;
use bricklayer_proto::wire::PROTOCOLS;
use jiff::{SignedDuration, Timestamp};

use super::{Finding, Host, World, examine};
use crate::agents::{AgentStatus, Presence};
use crate::model::{
    AdminState, BlockRestriction, Brick, Device, DiskIdentity, Durability, FIRST_GENERATION, LvNames, Node, OpState,
    Operation, Plan, Snapshot, Tags, Topology, Volume, VolumeCreate, VolumeDelete, Zone,
};

pub const CLUSTER: ClusterId = ClusterId::from_u128(0xc);
pub const VOLUME: VolumeId = VolumeId::from_u128(5);

/// When everything is looked at.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

pub fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub fn node_id(number: u128) -> NodeId {
    NodeId::from_u128(number)
}

pub fn device_id(number: u128) -> DeviceId {
    DeviceId::from_u128(0x20 + number)
}

pub fn brick_id(number: u128) -> BrickId {
    BrickId::from_u128(0x70 + number)
}

fn mount(number: u128) -> MountPoint {
    format!("/m/{}/brick_{}", VgName::of_device(device_id(number)), brick_id(number)).parse().unwrap()
}

fn uuid(number: u128) -> String {
    format!("uuid-{number}")
}

fn name(number: u128) -> HostName {
    format!("gfs{number}").parse().unwrap()
}

fn space() -> GroupSpace {
    GroupSpace {
        seqno: 7,
        extent_size: ExtentSize::FOUR_MIB,
        total: Extents::new(10_000),
        free: Extents::new(9_000),
        spare: Extents::new(2),
    }
}

fn node(number: u128) -> Node {
    Node {
        id: node_id(number),
        cluster: CLUSTER,
        zone: Zone::new(1).unwrap(),
        manage: vec![name(number)],
        storage: vec![format!("10.0.0.{number}").parse().unwrap()],
        state: AdminState::Online,
        tags: Tags::new(),
        lost: false,
    }
}

pub fn device(number: u128) -> Device {
    Device {
        id: device_id(number),
        node: node_id(number),
        name: "/dev/sdb".parse().unwrap(),
        pv_uuid: "6S7Fyk-dlbR-wBN5-fXrX-i2Zz-KdSU-vbr9jZ".parse().unwrap(),
        disk: DiskIdentity::default(),
        space: space(),
        foreign: Extents::ZERO,
        state: AdminState::Online,
        tags: Tags::new(),
        lost: false,
        adopted: None,
        added: Timestamp::UNIX_EPOCH,
    }
}

fn brick(number: u128) -> Brick {
    let asked = ByteSize::from_gib(1).unwrap();
    Brick {
        id: brick_id(number),
        device: device_id(number),
        node: node_id(number),
        set: 0,
        position: u32::try_from(number).unwrap() - 1,
        role: BrickRole::Data,
        asked,
        space: BrickSpace::thin(asked, asked, ExtentSize::FOUR_MIB).unwrap(),
        path: Some(mount(number).brick_path()),
        pool: None,
        names: LvNames::default(),
        adopted: false,
        generation: FIRST_GENERATION,
    }
}

pub fn volume() -> Volume {
    Volume {
        id: VOLUME,
        name: "photos".parse().unwrap(),
        cluster: CLUSTER,
        size: ByteSize::from_gib(1).unwrap(),
        layout: Layout::Replicate { replica: 3 },
        durability: Durability::default(),
        gid: 0,
        options: Vec::new(),
        block: false,
        restriction: BlockRestriction::None,
        snapshot: Snapshot { enable: false, factor_milli: 1000 },
        protected: false,
        trash: None,
        bricks: (1..=3).map(brick).collect(),
    }
}

pub fn logical(name: &str, tags: &[&str]) -> LogicalVolume {
    LogicalVolume {
        name: name.parse().unwrap(),
        uuid: format!("uuid of {name}"),
        size: ByteSize::from_gib(1).unwrap(),
        kind: LvKind::Other { segment_type: "linear".to_owned() },
        active: true,
        open: true,
        condemned: false,
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
    }
}

pub fn group(number: u128) -> VolumeGroup {
    VolumeGroup {
        name: VgName::of_device(device_id(number)),
        uuid: "u".to_owned(),
        space: space(),
        physical_volumes: vec![PhysicalVolume {
            uuid: device(number).pv_uuid,
            path: Some("/dev/sdb".parse().unwrap()),
            missing: false,
            extent: None,
        }],
        tags: Some(GroupTags {
            installation: InstallationId::from_u128(1),
            node: node_id(number),
            device: device_id(number),
        }),
        condemned: false,
        adopted: false,
        volumes: vec![logical("brick_7", &[&format!("bricklayer.brick={}", brick_id(number))])],
    }
}

fn seen(number: u128) -> BrickSeen {
    let brick = brick(number);
    BrickSeen {
        tags: volume().brick_tags(&brick, OperationId::from_u128(1)),
        group: VgName::of_device(device_id(number)),
        volume_lv: "brick_7".parse().unwrap(),
        pool_lv: Some("tp_7".parse().unwrap()),
        size: brick.asked,
        condemned: false,
        adopted: false,
        fstab: Some(mount(number)),
        mounted: Some(mount(number)),
        path: brick.path,
        served: Some(true),
    }
}

fn host(number: u128) -> Host {
    let peers = (1..=3).filter(|other| *other != number);
    let peer = |other| PeerSeen { uuid: uuid(other), host: format!("10.0.0.{other}"), connected: true };
    let report = Inventory {
        groups: vec![group(number)],
        bricks: vec![seen(number)],
        gluster: GlusterSeen {
            running: true,
            uuid: Some(uuid(number)),
            peers: peers.map(peer).collect(),
            block: None,
            volumes: Some(vec![VolumeInPool { name: volume().name, id: Some(VOLUME), started: true, bricks: None }]),
        },
        ..Inventory::default()
    };
    let agent = AgentStatus {
        node: node_id(number),
        name: name(number),
        zone: Some(1),
        presence: Presence::Attached {
            since: ago(3600),
            from: "10.0.0.1:4711".parse().unwrap(),
            protocol: *PROTOCOLS.end(),
            clock_ahead_ms: 0,
        },
        seen: Some(AgentSeen {
            host_name: format!("gfs{number}"),
            boot: BootId::from_u128(1),
            up_seconds: None,
            versions: Versions { agent: env!("CARGO_PKG_VERSION").to_owned(), ..Versions::default() },
        }),
        enrolled: ago(3600),
        certificate_expires: now() + SignedDuration::from_hours(30 * 24),
    };
    Host { agent, report: Some((Arc::new(report), ago(30))) }
}

impl World {
    /// Nothing is amiss.
    pub fn well() -> Self {
        let mut world = Self::empty(now());
        let topology = world.topology();
        for number in 1..=3 {
            topology.put_node(node(number));
            topology.put_device(device(number));
        }
        topology.put_volume(volume());
        topology.reserve(&volume().bricks);
        world.hosts = (1..=3).map(|number| (node_id(number), host(number))).collect();
        world
    }

    pub fn topology(&mut self) -> &mut Topology {
        Arc::make_mut(&mut self.topology)
    }

    /// What a host has reported.
    pub fn told(&mut self, number: u128) -> &mut Inventory {
        let (report, _) = self.hosts.get_mut(&node_id(number)).unwrap().report.as_mut().unwrap();
        Arc::make_mut(report)
    }

    pub fn agent(&mut self, number: u128) -> &mut AgentStatus {
        &mut self.hosts.get_mut(&node_id(number)).unwrap().agent
    }

    pub fn findings(&self) -> Vec<Finding> {
        examine(self)
    }

    pub fn codes(&self) -> Vec<&'static str> {
        self.findings().iter().map(|finding| finding.code).collect()
    }
}

/// A finding and what brings it about.
pub type Case = (&'static str, fn(&mut World));

/// The codes of what is amiss once this is so.
pub fn codes_after(breaks: impl FnOnce(&mut World)) -> Vec<&'static str> {
    let mut world = World::well();
    breaks(&mut world);
    world.codes()
}

pub fn operation(plan: Plan, state: OpState) -> Operation {
    Operation { id: OperationId::from_u128(9), plan, state, started: ago(600), finished: None, failed_early: None }
}

pub fn creation(volume: Volume) -> Plan {
    Plan::VolumeCreate(VolumeCreate { volume })
}

pub fn deletion(volume: Volume) -> Plan {
    Plan::VolumeDelete(VolumeDelete { volume, parked: false })
}

#[test]
fn nothing_is_amiss_where_nothing_was_broken() {
    assert_eq!(World::well().findings(), []);
}
