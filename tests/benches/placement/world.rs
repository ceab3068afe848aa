//! A cluster of any size with volumes on it, in memory, and agents that have reported.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bricklayer_coordinator::agents::{AgentApi, AgentError, AgentEvent, AgentStatus, Patience, Presence, Sight};
use bricklayer_coordinator::model::{
    AdminState, BlockRestriction, Brick, Cluster, Device, DiskIdentity, Durability, FIRST_GENERATION, LvNames, Node,
    Snapshot, Tags, Topology, Volume, Zone,
};
use bricklayer_coordinator::ops::{Context, pool};
use bricklayer_coordinator::placement::{self, OtherBrick, Placement, Wish};
use bricklayer_coordinator::state::{SCHEMA, State};
use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, VolumeId};
use bricklayer_proto::inventory::{BrickRole, GlusterSeen, GroupSpace, GroupTags, Inventory, VolumeGroup};
use bricklayer_proto::names::{BrickPath, HostName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents, TIB};
use bricklayer_proto::space::{BrickSpace, usable_extents};
use bricklayer_proto::task::{Done, Layout, Task};
use bricklayer_store::Store;
use jiff::Timestamp;
use tokio::sync::broadcast;

pub const CLUSTER: ClusterId = ClusterId::from_u128(1);
const INSTALLATION: InstallationId = InstallationId::from_u128(1);
const ONE: ExtentSize = ExtentSize::FOUR_MIB;
const ZONES: u32 = 5;
const RACKS: u32 = 24;
const ROWS: u32 = 7;

/// So many snapshots, of which each has one volume more than the last.
const SNAPSHOTS: usize = 64;

/// Odd, so that numbers times this are ids without an order, and no two the same.
const SCATTER: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    pub nodes: u32,
    /// Of each node.
    pub devices: u32,
    pub bricks: u32,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} devices, {} bricks", self.nodes * self.devices, self.bricks)
    }
}

pub struct World {
    pub context: Context,
    snapshots: Vec<Topology>,
    next: AtomicUsize,
    _dir: tempfile::TempDir,
}

impl World {
    /// Made once for all benchmarks; it takes longer than any of them.
    pub fn of(shape: Shape) -> &'static Self {
        static WORLDS: Mutex<BTreeMap<Shape, &'static World>> = Mutex::new(BTreeMap::new());
        WORLDS.lock().unwrap().entry(shape).or_insert_with(|| Box::leak(Box::new(Self::new(shape))))
    }

    fn new(shape: Shape) -> Self {
        let agents = Agents::default();
        let mut topology = Topology::default();
        topology.put_cluster(Cluster { id: CLUSTER, file: true, block: true });
        let devices = add_nodes(&mut topology, &agents, shape);
        add_volumes(&mut topology, &devices, shape);

        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), SCHEMA).unwrap();
        let state = Arc::new(State::load(store).unwrap());
        let context = Context::new(state, Arc::new(agents), INSTALLATION, 1);
        let wish = Wish::new(ByteSize::from_gib(10).unwrap(), Layout::Replicate { replica: 3 });
        let mut snapshots = vec![topology];
        for number in 1..SNAPSHOTS {
            let mut next = snapshots[number - 1].clone();
            next.version += 1;
            let placed = placement::place_in(&wish, &pool(&context, &next, CLUSTER)).unwrap();
            next.reserve(&bricks_of(&placed, number));
            snapshots.push(next);
        }
        Self { context, snapshots, next: AtomicUsize::new(0), _dir: dir }
    }

    /// The next of the snapshots, there and back.
    pub fn snapshot(&self) -> &Topology {
        let last = SNAPSHOTS - 1;
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % (2 * last);
        &self.snapshots[if turn <= last { turn } else { 2 * last - turn }]
    }

    /// A brick of some volume, and node and zone of the others of its set.
    pub fn some_brick(&self) -> (Brick, Vec<OtherBrick>) {
        let topology = &self.snapshots[0];
        let volume = topology.volumes.values().next().unwrap();
        let others = volume.bricks[1..].iter().map(|brick| {
            let node = &topology.nodes[&brick.node];
            OtherBrick { node: node.id, zone: node.zone.get(), tags: node.tags.clone() }
        });
        (volume.bricks[0].clone(), others.collect())
    }
}

fn add_nodes(topology: &mut Topology, agents: &Agents, shape: Shape) -> Vec<(NodeId, DeviceId)> {
    let mut all = Vec::new();
    for number in 0..shape.nodes {
        let id = NodeId::from_u128(u128::from(number + 1).wrapping_mul(SCATTER));
        let name: HostName = format!("gfs{number}").parse().unwrap();
        topology.put_node(Node {
            id,
            cluster: CLUSTER,
            zone: Zone::new(1 + number % ZONES).unwrap(),
            manage: vec![name.clone()],
            storage: vec![name.clone()],
            state: AdminState::Online,
            tags: Tags::from([
                ("rack".to_owned(), format!("r{}", number % RACKS)),
                ("row".to_owned(), format!("{}", number % ROWS)),
            ]),
            lost: false,
        });
        let mut groups = Vec::new();
        for disk in 0..shape.devices {
            let device = DeviceId::from_u128(u128::from(number * shape.devices + disk + 1).wrapping_mul(SCATTER));
            topology.put_device(record(device, id, disk));
            groups.push(group(device, id));
            all.push((id, device));
        }
        let gluster = GlusterSeen { running: true, ..GlusterSeen::default() };
        let inventory = Inventory { groups, gluster, ..Inventory::default() };
        agents.nodes.lock().unwrap().insert(id, (name, Arc::new(inventory)));
    }
    all
}

fn space() -> GroupSpace {
    let total = usable_extents(ByteSize::from_bytes(8 * TIB), ONE);
    GroupSpace { seqno: 1, extent_size: ONE, total, free: total, spare: Extents::ZERO }
}

fn record(id: DeviceId, node: NodeId, disk: u32) -> Device {
    let letter = char::from(b'b' + u8::try_from(disk).unwrap());
    Device {
        id,
        node,
        name: format!("/dev/sd{letter}").parse().unwrap(),
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

fn group(device: DeviceId, node: NodeId) -> VolumeGroup {
    VolumeGroup {
        name: format!("vg_{device}").parse().unwrap(),
        uuid: device.to_string(),
        space: space(),
        physical_volumes: Vec::new(),
        tags: Some(GroupTags { installation: INSTALLATION, node, device }),
        condemned: false,
        adopted: false,
        volumes: Vec::new(),
    }
}

/// Volumes of three bricks, of 1 to 60 GiB, over all nodes.
fn add_volumes(topology: &mut Topology, devices: &[(NodeId, DeviceId)], shape: Shape) {
    let stride = usize::try_from(shape.devices).unwrap() + 1;
    let mut at = 0;
    for number in 0..shape.bricks / 3 {
        let size = ByteSize::from_gib(u64::from(1 + number * 31 % 60)).unwrap();
        let bricks = (0..3).map(|position| {
            at = (at + stride) % devices.len();
            let (node, device) = devices[at];
            let id = BrickId::from_u128(u128::from(number * 3 + position + 1).wrapping_mul(SCATTER));
            Brick {
                id,
                device,
                node,
                set: 0,
                position,
                role: BrickRole::Data,
                asked: size,
                space: BrickSpace::thin(size, size, ONE).unwrap(),
                path: BrickPath::try_from(format!("/var/lib/bricklayer/mounts/vg_{device}/brick_{id}/brick")).ok(),
                pool: None,
                names: LvNames::default(),
                adopted: false,
                generation: FIRST_GENERATION,
            }
        });
        let bricks = bricks.collect();
        let id = VolumeId::from_u128(u128::from(number + 1).wrapping_mul(SCATTER));
        topology.put_volume(Volume {
            id,
            name: format!("vol_{id}").parse().unwrap(),
            cluster: CLUSTER,
            size,
            layout: Layout::Replicate { replica: 3 },
            durability: Durability::default(),
            gid: 0,
            options: Vec::new(),
            block: false,
            restriction: BlockRestriction::None,
            protected: false,
            trash: None,
            snapshot: Snapshot { enable: false, factor_milli: 1000 },
            bricks,
        });
    }
}

/// As a volume that is being made has them.
fn bricks_of(placement: &Placement, number: usize) -> Vec<Brick> {
    let brick = |(position, placed): (u32, &placement::Placed)| Brick {
        id: BrickId::from_u128((number as u128) << 64 | u128::from(position)),
        device: placed.device,
        node: placed.node,
        set: 0,
        position,
        role: placed.role,
        asked: placed.asked,
        space: placed.space,
        path: None,
        pool: None,
        names: LvNames::default(),
        adopted: false,
        generation: FIRST_GENERATION,
    };
    (0..).zip(placement.bricks()).map(brick).collect()
}

/// All attached; kept behind a lock, as the real ones are.
#[derive(Default)]
struct Agents {
    nodes: Mutex<HashMap<NodeId, (HostName, Arc<Inventory>)>>,
}

#[async_trait]
impl AgentApi for Agents {
    async fn carry_out(&self, _: NodeId, _: Task, _: Patience) -> Result<Done, AgentError> {
        Err(AgentError::Stopping)
    }

    fn status(&self, node: NodeId) -> Option<AgentStatus> {
        let name = self.nodes.lock().unwrap().get(&node)?.0.clone();
        let (from, at) = (([127, 0, 0, 1], 24010).into(), Timestamp::UNIX_EPOCH);
        let presence = Presence::Attached { since: at, from, protocol: 1, clock_ahead_ms: 0 };
        Some(AgentStatus { node, name, zone: None, presence, seen: None, enrolled: at, certificate_expires: at })
    }

    fn all(&self) -> Vec<AgentStatus> {
        Vec::new()
    }

    fn inventory(&self, node: NodeId) -> Option<(Arc<Inventory>, Timestamp)> {
        Some((Arc::clone(&self.nodes.lock().unwrap().get(&node)?.1), Timestamp::UNIX_EPOCH))
    }

    fn by_name(&self, _: &str) -> Option<NodeId> {
        None
    }

    fn events(&self) -> broadcast::Receiver<AgentEvent> {
        broadcast::Sender::new(1).subscribe()
    }

    fn sights(&self, nodes: &[NodeId]) -> Vec<Sight> {
        let known = self.nodes.lock().unwrap();
        let inventory = |node| Some((Arc::clone(&known.get(node)?.1), Timestamp::UNIX_EPOCH));
        nodes.iter().map(|node| Sight { attached: true, protocol: Some(2), inventory: inventory(node) }).collect()
    }
}
