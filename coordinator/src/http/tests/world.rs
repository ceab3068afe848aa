//! A small world: a router on a port of its own, a store in a temporary directory, and hosts `m0` to `m3` whose agents
//! do at once what they are asked, in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bricklayer_api::heketi::{ClusterInfo, VolumeInfo};
use bricklayer_proto::block::BlockReport;
use bricklayer_proto::ids::{BootId, BrickId, ClusterId, DeviceId, NodeId};
use bricklayer_proto::inventory::{
    AgentSeen, Disk, GlusterSeen, GroupSpace, GroupTags, Inventory, LogicalVolume, LvKind, Obstacle, PhysicalVolume,
    PvExtent, StillNeeded, Versions, VolumeGroup,
};
use bricklayer_proto::names::{DevicePath, HostName, LvName, MountPoint, PvUuid, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::{data_start, spare_growth, usable_extents};
use bricklayer_proto::task::{
    BrickReport, BrickSpec, DeviceReport, DeviceSpec, Done, Failure, FailureKind, Report, Task, Wanted,
};
use bricklayer_proto::wire::PROTOCOLS;
use bricklayer_store::Store;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::agents::{AgentApi, AgentError, AgentEvent, AgentStatus, Patience, Presence, Registry};
use crate::http::{Auth, Service, serve};
use crate::ops::{Context, Operations};
use crate::pki::{Clock, Start, Trust};
use crate::state::{SCHEMA, State};

const ONE: ExtentSize = ExtentSize::FOUR_MIB;

/// The id of host `m<number>`'s agent: the later the host, the larger.
pub fn node_id(number: u8) -> NodeId {
    NodeId::from_u128(0xa0 + u128::from(number))
}

pub struct World {
    pub address: SocketAddr,
    pub agents: Arc<FakeAgents>,
    serving: JoinHandle<()>,
    stop: DropGuard,
    _dir: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Auth::disabled(), |service| service).await
    }

    pub async fn with(auth: Auth, change: impl FnOnce(Service) -> Service) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), SCHEMA).unwrap();
        let authority = dir.path().join("authority");
        let clock = Clock::system();
        Trust::found(&store, &authority, &clock).unwrap();
        let start = Start { addresses: vec!["127.0.0.1:24010".to_owned()], epoch_at_least: 0, clock };
        let trust = Trust::open(store.clone(), &authority, start).unwrap();
        let stop = CancellationToken::new();
        let registry = Registry::new(Arc::clone(&trust), stop.clone());
        let agents = FakeAgents::new();
        let state = Arc::new(State::load(store).unwrap());
        let api: Arc<dyn AgentApi> = Arc::clone(&agents) as Arc<dyn AgentApi>;
        let operations = Operations::new(Context::new(state, api, trust.installation(), trust.epoch()));
        let service = change(Service::new(operations, trust, registry, auth));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, service, stop.clone()));
        Self { address, agents, serving, stop: stop.drop_guard(), _dir: dir }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// With its head, for texts of failed assertions and for headers.
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The queue that the answer leads to.
    pub fn queue(&self) -> String {
        assert_eq!(self.status, 202, "{self:?}");
        self.header("location").unwrap().to_owned()
    }
}

/// One request on a connection of its own.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

impl World {
    /// As at the end of the program.
    pub async fn stop(self) {
        self.stop.disarm().cancel();
        self.serving.await.unwrap();
    }

    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        ask(self.address, method, path, &[], body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, body).await
    }

    /// Polls until the work has ended.
    pub async fn end_of(&self, queue: &str) -> Answer {
        loop {
            let answer = self.get(queue).await;
            if answer.header("x-pending").is_none() {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A cluster with the first hosts as nodes, each with its disk as a device.
    pub async fn cluster(&self, nodes: u8) -> ClusterId {
        let cluster: ClusterInfo = self.post("/clusters", r#"{"file":true,"block":true}"#).await.json();
        for number in 0..nodes {
            let hosts = format!(r#"{{"manage":["m{number}"],"storage":["10.0.0.{number}"]}}"#);
            let body = format!(r#"{{"zone":1,"hostnames":{hosts},"cluster":"{}"}}"#, cluster.id);
            let added = self.post("/nodes", &body).await;
            assert_eq!(self.end_of(&added.queue()).await.status, 303);
            let body = format!(r#"{{"name":"/dev/sdb","node":"{}"}}"#, node_id(number));
            let added = self.post("/devices", &body).await;
            assert_eq!(self.end_of(&added.queue()).await.status, 204);
        }
        cluster.id
    }

    /// Makes a volume and reads it.
    pub async fn volume(&self, body: &str) -> VolumeInfo {
        let created = self.post("/volumes", body).await;
        let ended = self.end_of(&created.queue()).await;
        assert_eq!(ended.status, 303, "{ended:?}");
        self.get(ended.header("location").unwrap()).await.json()
    }
}

pub struct FakeAgents {
    hosts: Mutex<BTreeMap<NodeId, Host>>,
    /// While false, tasks wait.
    open: watch::Sender<bool>,
    /// What bricks fail with.
    brick_failure: Mutex<Option<Failure>>,
    events: broadcast::Sender<AgentEvent>,
}

struct Host {
    name: HostName,
    attached: bool,
    inventory: Inventory,
    /// What each brick takes, without the group's spare.
    bricks: BTreeMap<BrickId, Extents>,
    /// The block volume that was made last.
    block: Option<BlockReport>,
}

fn host(number: u8) -> Host {
    let path: DevicePath = "/dev/sdb".parse().unwrap();
    let disk = Disk {
        path,
        links: vec![format!("/dev/disk/by-id/scsi-{number}").parse().unwrap()],
        size: ByteSize::from_gib(500).unwrap(),
        serial: Some(format!("SERIAL{number}")),
        wwn: None,
        model: None,
        rotational: false,
        obstacles: Vec::new(),
        device: None,
        still_needed: None,
    };
    let gluster = GlusterSeen { running: true, block: Some("0.5.1".to_owned()), ..GlusterSeen::default() };
    let inventory = Inventory { disks: vec![disk], gluster, ..Inventory::default() };
    Host {
        name: format!("m{number}").parse().unwrap(),
        attached: true,
        inventory,
        bricks: BTreeMap::new(),
        block: None,
    }
}

/// The thin pool of a brick, or its linear volume, as LVM would report it.
fn held(spec: &BrickSpec) -> LogicalVolume {
    let size = |extents: Extents| extents.to_bytes(ONE).unwrap();
    let (name, kind) = match spec.space.is_thick() {
        true => (LvName::of_brick(spec.tags.brick), LvKind::Other { segment_type: "linear".to_owned() }),
        false => (
            LvName::of_pool(spec.tags.brick),
            LvKind::ThinPool {
                metadata: size(spec.space.metadata),
                data_percent: None,
                metadata_percent: None,
                volumes: 1,
                fault: None,
            },
        ),
    };
    LogicalVolume {
        name,
        uuid: "u".to_owned(),
        size: size(spec.space.pool),
        kind,
        active: true,
        open: true,
        condemned: false,
        tags: vec![format!("bricklayer.brick={}", spec.tags.brick).parse().unwrap()],
    }
}

impl FakeAgents {
    fn new() -> Arc<Self> {
        let hosts = (0..4).map(|number| (node_id(number), host(number))).collect();
        Arc::new(Self {
            hosts: Mutex::new(hosts),
            open: watch::Sender::new(true),
            brick_failure: Mutex::default(),
            events: broadcast::Sender::new(16),
        })
    }

    /// Tasks wait until they are let through.
    pub fn hold(&self, held: bool) {
        self.open.send_replace(!held);
    }

    pub fn detach(&self, number: u8) {
        self.hosts.lock().unwrap().get_mut(&node_id(number)).unwrap().attached = false;
    }

    pub fn stop_gluster(&self, number: u8) {
        self.hosts.lock().unwrap().get_mut(&node_id(number)).unwrap().inventory.gluster.running = false;
    }

    pub fn put_on_disk(&self, number: u8, obstacle: Obstacle) {
        self.hosts.lock().unwrap().get_mut(&node_id(number)).unwrap().inventory.disks[0].obstacles.push(obstacle);
    }

    pub fn keep_disk(&self, number: u8, why: &str, cure: &str) {
        let needed = StillNeeded { why: why.to_owned(), cure: cure.to_owned() };
        self.hosts.lock().unwrap().get_mut(&node_id(number)).unwrap().inventory.disks[0].still_needed = Some(needed);
    }

    /// The only group of a host is changed by hand.
    pub fn change_group(&self, number: u8, change: impl FnOnce(&mut VolumeGroup)) {
        change(&mut self.hosts.lock().unwrap().get_mut(&node_id(number)).unwrap().inventory.groups[0]);
    }

    /// The agent has not reported since the coordinator started.
    pub fn forget_report(&self, number: u8) {
        self.hosts.lock().unwrap().get_mut(&node_id(number)).unwrap().inventory = Inventory::default();
    }

    pub fn fail_bricks(&self, message: &str) {
        let failure = Failure {
            kind: FailureKind::Failed,
            message: message.to_owned(),
            cure: Some("look at the host's log".to_owned()),
            obstacles: Vec::new(),
        };
        *self.brick_failure.lock().unwrap() = Some(failure);
    }
}

impl Host {
    fn group(&mut self, device: DeviceId) -> &mut VolumeGroup {
        let ours = |group: &&mut VolumeGroup| group.tags.is_some_and(|tags| tags.device == device);
        self.inventory.groups.iter_mut().find(ours).unwrap()
    }

    /// Says yes, and keeps LVM's books.
    fn carry_out(&mut self, wanted: &Wanted) -> Result<Report, Failure> {
        Ok(match wanted {
            Wanted::Device(spec) => Report::Device(self.make_device(spec)?),
            Wanted::Brick(spec) => {
                let group = self.group(spec.device);
                let taken = spec.space.taken().unwrap();
                let growth = spare_growth(group.space.spare, spec.space.metadata);
                let space = &mut group.space;
                space.free = space.free.checked_sub(taken.checked_add(growth).unwrap()).unwrap();
                space.spare = space.spare.max(spec.space.metadata);
                space.seqno += 1;
                let space = *space;
                group.volumes.push(held(spec));
                self.bricks.insert(spec.tags.brick, taken);
                let root: MountPoint = "/var/lib/bricklayer/mounts".parse().unwrap();
                let lv = LvName::of_brick(spec.tags.brick);
                let path = MountPoint::of_brick(&root, &VgName::of_device(spec.device), &lv).brick_path();
                Report::Brick(BrickReport { path, size: spec.tags.asked, space })
            }
            Wanted::BrickGone(key) => {
                let freed = self.bricks.remove(&key.brick).unwrap_or(Extents::ZERO);
                let group = self.group(key.device);
                let its = [LvName::of_pool(key.brick), LvName::of_brick(key.brick)];
                group.volumes.retain(|volume| !its.contains(&volume.name));
                let space = &mut group.space;
                space.free = space.free.checked_add(freed).unwrap();
                space.seqno += 1;
                Report::Group { space: *space }
            }
            Wanted::BlockCreated(spec) => {
                let gbid = spec.key.block.to_string();
                let login = |word: &str| if spec.auth { word.to_owned() } else { String::new() };
                let report = BlockReport {
                    iqn: format!("iqn.2016-12.org.gluster-block:{gbid}"),
                    lun: 0,
                    username: login(&gbid),
                    password: login("secret").into(),
                    hosts: spec.hosts.clone(),
                    size: spec.size,
                    behind: BTreeMap::new(),
                };
                self.block = Some(report.clone());
                Report::Block { seen: Some(report) }
            }
            Wanted::BlockResized(resize) => {
                Report::Block { seen: self.block.clone().map(|block| BlockReport { size: resize.size, ..block }) }
            }
            // Nobody makes any by hand.
            Wanted::BlockSeen(_) => Report::Block { seen: None },
            Wanted::DeviceCondemned { .. }
            | Wanted::DeviceGone { .. }
            | Wanted::DiskWiped { .. }
            | Wanted::BrickSynced(_)
            | Wanted::BrickCondemned(_)
            | Wanted::Peer { .. }
            | Wanted::PeerGone { .. }
            | Wanted::Volume(_)
            | Wanted::VolumeStarted(_)
            | Wanted::VolumeStopped(_)
            | Wanted::VolumeGone(_) => Report::Nothing,
            _ => Report::Nothing,
        })
    }

    fn make_device(&mut self, spec: &DeviceSpec) -> Result<DeviceReport, Failure> {
        let named = |disk: &&mut Disk| disk.path == spec.path || disk.links.contains(&spec.path);
        let disk = self.inventory.disks.iter_mut().find(named).unwrap();
        if !disk.obstacles.is_empty() && !spec.destroy {
            return Err(Failure {
                kind: FailureKind::Refused,
                message: format!("{} is not empty", spec.path),
                cure: Some("bricklayer device wipe".to_owned()),
                obstacles: disk.obstacles.clone(),
            });
        }
        disk.device = Some(spec.device);
        let total = usable_extents(disk.size, ONE);
        let space = GroupSpace { seqno: 1, extent_size: ONE, total, free: total, spare: Extents::ZERO };
        let pv_uuid: PvUuid = "abcdef-0123-4567-89ab-cdef-0123-456789".parse().unwrap();
        let report = DeviceReport { pv_uuid, disk: disk.clone(), space };
        self.inventory.groups.push(VolumeGroup {
            name: VgName::of_device(spec.device),
            uuid: "u".to_owned(),
            space,
            physical_volumes: vec![PhysicalVolume {
                uuid: report.pv_uuid.clone(),
                path: Some(spec.path.clone()),
                missing: false,
                extent: Some(PvExtent { disk: report.disk.size, start: data_start() }),
            }],
            tags: Some(GroupTags { installation: spec.installation, node: spec.node, device: spec.device }),
            condemned: false,
            adopted: false,
            volumes: Vec::new(),
        });
        Ok(report)
    }
}

#[async_trait]
impl AgentApi for FakeAgents {
    async fn carry_out(&self, node: NodeId, task: Task, _: Patience) -> Result<Done, AgentError> {
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        let mut hosts = self.hosts.lock().unwrap();
        let host = hosts.get_mut(&node).ok_or(AgentError::Unknown { node })?;
        let name = host.name.clone();
        if !host.attached {
            return Err(AgentError::Detached { node, name, since: None, sent: false });
        }
        let planned = self.brick_failure.lock().unwrap().clone().filter(|_| matches!(task.wanted, Wanted::Brick(_)));
        let report = planned.map_or_else(|| host.carry_out(&task.wanted), Err);
        match report {
            // Its bricks keep their marks.
            Ok(report) => Ok(Done { changed: !matches!(task.wanted, Wanted::BrickSynced(_)), report }),
            Err(failure) => Err(AgentError::Failed { node, name, failure }),
        }
    }

    fn status(&self, node: NodeId) -> Option<AgentStatus> {
        self.all().into_iter().find(|status| status.node == node)
    }

    fn all(&self) -> Vec<AgentStatus> {
        let then = Timestamp::from_second(1_700_000_000).unwrap();
        let hosts = self.hosts.lock().unwrap();
        let status = |(node, host): (&NodeId, &Host)| AgentStatus {
            node: *node,
            name: host.name.clone(),
            zone: Some(1),
            presence: match host.attached {
                true => Presence::Attached {
                    since: then,
                    from: "10.0.0.1:4711".parse().unwrap(),
                    protocol: *PROTOCOLS.end(),
                    clock_ahead_ms: 0,
                },
                false => Presence::Detached { since: Some(then) },
            },
            seen: Some(AgentSeen {
                host_name: host.name.to_string(),
                boot: BootId::from_u128(1),
                up_seconds: None,
                versions: Versions::default(),
            }),
            enrolled: then,
            certificate_expires: then,
        };
        hosts.iter().map(status).collect()
    }

    fn inventory(&self, node: NodeId) -> Option<(Arc<Inventory>, Timestamp)> {
        let hosts = self.hosts.lock().unwrap();
        hosts.get(&node).map(|host| (Arc::new(host.inventory.clone()), Timestamp::now()))
    }

    fn by_name(&self, name: &str) -> Option<NodeId> {
        let hosts = self.hosts.lock().unwrap();
        hosts.iter().find(|(_, host)| host.name.as_str() == name).map(|(node, _)| *node)
    }

    fn events(&self) -> broadcast::Receiver<AgentEvent> {
        self.events.subscribe()
    }
}
