//! The world of one history: its programs, hosts, disks and connections, and the one clock that moves them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bricklayer_coordinator::agents::AgentApi as _;
use bricklayer_coordinator::model::{Topology, Volume, Zone};
use bricklayer_coordinator::ops::{self, DeviceWish, NodeWish};
use bricklayer_coordinator::pki::AgentRecord;
use bricklayer_coordinator::state::SCHEMA;
use bricklayer_proto::ids::{NodeId, OperationId, VolumeId};
use bricklayer_proto::names::BrickPath;
use bricklayer_proto::size::{ByteSize, GIB};
use bricklayer_store::simulated::Disk;
use bricklayer_store::{Batch, Store, Table};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::agent;
use super::chance::Chance;
use super::coordinator::Coordinator;
use super::planted::Planted;
use super::program::Program;
use super::troubles::Trouble;
use super::truths::{self, HostSeen};
use super::wire::{AgentEnd, Line, Weather};
use super::wishes::Wish;
use crate::sim::{At, SimCluster, SimHost};

const AGENTS: Table<NodeId, AgentRecord> = Table::new("agents");

/// While something happens, time passes in such steps; in a lull in ever longer ones.
const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_millis(100);

/// How long, in its own time, a history may take to come to rest when nothing goes wrong any more.
const REST: Duration = Duration::from_secs(30 * 60);

/// What clients write on volumes.
const MARK: &str = "written-by-a-client";

/// An agent's reports come at least so often.
const REPORTS: Duration = Duration::from_secs(12);

pub struct World {
    pub chance: Chance,
    pub history: Vec<String>,
    pub now: Duration,
    planted: Option<Planted>,
    sim: SimCluster,
    hosts: Vec<Machine>,
    coordinator: Option<Coordinator>,
    disk: Disk,
    authority: std::path::PathBuf,
    /// When the coordinator is started again.
    again: Option<Duration>,
    lines: Vec<Line>,
    weather: Weather,
    asked: Vec<Asked>,
    told: Vec<OperationId>,
    /// Volumes on which somebody has written.
    written: BTreeSet<VolumeId>,
    /// The highest numbers seen: they never fall.
    epoch: u64,
    seq: u64,
    tick: Duration,
    /// Downtimes that the next cut of a disk leads to.
    coordinator_down: Duration,
    broken: Vec<String>,
}

struct Machine {
    sim: SimHost,
    node: NodeId,
    disk: Disk,
    program: Option<Program>,
    dial: UnboundedSender<AgentEnd>,
    dialed: UnboundedReceiver<AgentEnd>,
    /// When the agent is started again, with the power if that is off.
    again: Option<Duration>,
    glusterd_again: Option<Duration>,
    down: Duration,
    /// As the installer left it.
    fstab: String,
    /// What a call that hangs leads to.
    power: bool,
}

type Slot = Arc<Mutex<Option<Result<OperationId, String>>>>;

struct Asked {
    what: String,
    answer: Slot,
}

impl World {
    /// Hosts that have enrolled, none of them in a cluster yet. `authority` and `founded` are a new installation's.
    ///
    /// # Panics
    /// If the simulation itself cannot begin.
    #[must_use]
    pub fn new(seed: u64, authority: &Path, founded: &Disk, planted: Option<Planted>) -> Self {
        let mut chance = Chance::of(seed);
        let (sim, disk) = (SimCluster::new(), founded.copy());
        let mut hosts = Vec::new();
        let mut batch = Batch::new();
        for number in 1..=chance.number(3..=5) {
            let name = format!("gfs{number}").parse().expect("a name");
            let host = sim.add_host(&[name, format!("192.168.0.{number}").parse().expect("an address")]);
            host.plug_blank(3, ByteSize::from_bytes(chance.number(12..=40) * GIB));
            let node = NodeId::random();
            let record = AgentRecord {
                name: host.name().clone(),
                zone: None,
                machine_id: format!("simulated-{number}"),
                enrolled: Timestamp::UNIX_EPOCH,
                series: 1,
                lowest_series: 1,
                certificate_expires: Timestamp::MAX,
                revoked: None,
            };
            batch.put(&AGENTS, &node, &record);
            let (dial, dialed) = unbounded_channel();
            let fstab = host.footprint().view.fstab;
            let own = Disk::new();
            own.set_delay(chance.millis(0..=4));
            hosts.push(Machine {
                sim: host,
                node,
                disk: own,
                program: None,
                dial,
                dialed,
                again: None,
                glusterd_again: None,
                down: Duration::ZERO,
                fstab,
                power: false,
            });
        }
        let store = Store::on(&disk, SCHEMA).expect("the disk is sound");
        store.commit_blocking(batch).expect("the disk is sound");
        disk.set_delay(chance.millis(0..=4));
        let mut world = Self {
            chance,
            history: Vec::new(),
            now: Duration::ZERO,
            planted,
            sim,
            hosts,
            coordinator: None,
            disk,
            authority: authority.to_owned(),
            again: None,
            lines: Vec::new(),
            weather: Weather::FAIR,
            asked: Vec::new(),
            told: Vec::new(),
            written: BTreeSet::new(),
            epoch: 0,
            seq: 0,
            tick: SHORT,
            coordinator_down: Duration::ZERO,
            broken: Vec::new(),
        };
        world.start_coordinator();
        (0..world.hosts.len()).for_each(|host| world.start_agent(host));
        world
    }

    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    pub fn note(&mut self, what: impl std::fmt::Display) {
        let line = format!("{:>9.3} {what}", self.now.as_secs_f64());
        self.history.push(line);
    }

    // Time.

    /// One step of the clock.
    pub fn step(&mut self) {
        self.now += self.tick;
        if let Some(coordinator) = &self.coordinator {
            coordinator.program.step(self.tick);
        }
        for host in &self.hosts {
            if let Some(program) = &host.program {
                program.step(self.tick);
            }
        }
        let mut busy = self.the_dying();
        busy |= self.the_returning();
        busy |= self.the_answered();
        busy |= self.the_lines();
        self.numbers_never_fall();
        self.tick = if busy { SHORT } else { (self.tick * 2).min(LONG) };
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    /// Runs until it holds; false if it does not within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let until = self.now + limit;
        while !holds(self) {
            if self.now >= until {
                return false;
            }
            self.step();
        }
        true
    }

    /// Programs whose host hangs at an effect, or whose disk was cut off, are killed.
    fn the_dying(&mut self) -> bool {
        let mut busy = false;
        for host in 0..self.hosts.len() {
            let machine = &self.hosts[host];
            if machine.sim.faults().until_one_hangs().now_or_never().is_some() {
                let (power, down) = (machine.power, machine.down);
                self.note(format_args!("{} hangs at an effect", self.name(host)));
                self.kill_agent(host, down, power);
                busy = true;
            }
            if self.hosts[host].disk.is_cut() && self.hosts[host].program.is_some() {
                let down = self.hosts[host].down;
                self.note(format_args!("the disk of the agent of {} was cut off", self.name(host)));
                self.kill_agent(host, down, false);
                busy = true;
            }
        }
        if self.disk.is_cut() && self.coordinator.is_some() {
            self.note("the coordinator's disk was cut off");
            self.kill_coordinator(self.coordinator_down);
            busy = true;
        }
        busy
    }

    fn the_returning(&mut self) -> bool {
        let mut busy = false;
        let due = |at: Option<Duration>, now| at.is_some_and(|at| at <= now);
        if due(self.again, self.now) {
            self.start_coordinator();
            busy = true;
        }
        for host in 0..self.hosts.len() {
            if due(self.hosts[host].again, self.now) {
                self.start_agent(host);
                busy = true;
            }
            if due(self.hosts[host].glusterd_again, self.now) {
                self.hosts[host].glusterd_again = None;
                if self.hosts[host].sim.has_power() {
                    self.note(format_args!("glusterd of {} starts", self.name(host)));
                    self.hosts[host].sim.start_glusterd();
                }
                busy = true;
            }
        }
        busy
    }

    fn the_answered(&mut self) -> bool {
        let (mut busy, mut waiting) = (false, Vec::new());
        for asked in std::mem::take(&mut self.asked) {
            let answer = asked.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            match answer {
                None => {
                    waiting.push(asked);
                    continue;
                }
                Some(Ok(id)) => {
                    self.note(format_args!("{}: operation {id}", asked.what));
                    self.told.push(id);
                }
                Some(Err(no)) => {
                    let first = no.lines().next().unwrap_or_default().to_owned();
                    self.note(format_args!("{}: refused, {first}", asked.what));
                }
            }
            busy = true;
        }
        self.asked = waiting;
        busy
    }

    fn the_lines(&mut self) -> bool {
        let mut busy = false;
        for host in 0..self.hosts.len() {
            while let Ok(end) = self.hosts[host].dialed.try_recv() {
                busy = true;
                // With nobody there the agent's end closes as it is dropped here.
                if let Some(coordinator) = &self.coordinator {
                    self.lines.push(Line::join(end, &coordinator.accept));
                }
            }
        }
        for line in &mut self.lines {
            busy |= line.pump(self.now, &self.weather, &mut self.chance);
        }
        self.lines.retain(|line| !line.is_over());
        busy
    }

    fn numbers_never_fall(&mut self) {
        let seq = self.disk.seq();
        if seq < self.seq {
            self.broken.push(format!("the store fell from commit {} to {seq}", self.seq));
        }
        self.seq = seq;
    }

    // Programs.

    fn start_coordinator(&mut self) {
        self.again = None;
        self.coordinator = Coordinator::start(&self.disk, &self.authority, self.planted);
        match &self.coordinator {
            Some(coordinator) => {
                let epoch = coordinator.epoch;
                if epoch <= self.epoch && self.planted.is_none() {
                    self.broken.push(format!("the epoch went from {} to {epoch}", self.epoch));
                }
                self.epoch = epoch;
                self.note(format_args!("the coordinator starts, epoch {epoch}"));
            }
            None => {
                self.note("the coordinator was cut off as it started");
                self.again = Some(self.now + Duration::from_secs(1));
            }
        }
    }

    pub fn kill_coordinator(&mut self, down: Duration) {
        if self.coordinator.take().is_some() {
            self.note("the coordinator is killed");
            // Clients that waited for it are told nothing.
            self.asked.clear();
            if self.planted == Some(Planted::ToldBeforeDurable) {
                self.disk.lose_last();
                self.seq = self.disk.seq();
            }
        }
        self.again = Some(self.now + down);
    }

    fn start_agent(&mut self, host: usize) {
        let machine = &mut self.hosts[host];
        machine.again = None;
        let dark = !machine.sim.has_power();
        if dark {
            machine.sim.power_on();
        }
        machine.program =
            Some(agent::start(machine.sim.clone(), machine.node, &machine.disk, machine.dial.clone(), self.planted));
        if dark {
            // Ordered after the agent, which brings the bricks up first.
            machine.glusterd_again = Some(self.now + Duration::from_secs(3));
        }
        self.note(format_args!("the agent of {} starts", self.name(host)));
    }

    pub fn kill_agent(&mut self, host: usize, down: Duration, power: bool) {
        self.hosts[host].program = None;
        self.hosts[host].again = Some(self.now + down);
        if power {
            self.hosts[host].sim.power_cut();
            self.note(format_args!("{} loses power", self.name(host)));
        } else {
            self.note(format_args!("the agent of {} is killed", self.name(host)));
        }
    }

    fn name(&self, host: usize) -> String {
        self.hosts[host].sim.name().to_string()
    }

    /// The state as readers see it; `None` while there is no coordinator.
    #[must_use]
    pub fn topology(&self) -> Option<Arc<Topology>> {
        self.coordinator.as_ref().map(|coordinator| coordinator.operations.topology())
    }

    fn bricks<'a>(&'a self, volume: &'a Volume) -> impl Iterator<Item = (&'a SimHost, &'a BrickPath)> {
        volume.bricks.iter().filter_map(|brick| {
            let host = self.hosts.iter().find(|host| host.node == brick.node)?;
            host.sim.has_power().then_some(())?;
            Some((&host.sim, brick.path.as_ref()?))
        })
    }

    // What happens.

    /// Clients write on every volume that nobody changes and that was not written on before.
    pub fn write(&mut self) {
        let Some(topology) = self.topology() else { return };
        for volume in topology.volumes.values() {
            if self.written.contains(&volume.id) || topology.family_is_changing(volume) {
                continue;
            }
            let mounted: Vec<_> = self.bricks(volume).filter(|(host, path)| host.brick_gid(path).is_some()).collect();
            mounted.iter().for_each(|(host, path)| host.write_data(path, MARK, b"precious"));
            if mounted.len() == volume.bricks.len() {
                self.written.insert(volume.id);
            }
        }
    }

    /// A client asks. Where there is no coordinator nobody hears it.
    pub fn ask(&mut self, wish: Wish) {
        let what = format!("{wish:?}");
        self.note(format_args!("asked: {what}"));
        let Some(coordinator) = &self.coordinator else { return };
        let (operations, answer) = (coordinator.operations.clone(), Slot::default());
        let slot = Arc::clone(&answer);
        coordinator.program.spawn(async move {
            let result = wish.ask(&operations).await.map_err(|no| no.to_string());
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        self.asked.push(Asked { what, answer });
    }

    pub fn suffer(&mut self, trouble: &Trouble) {
        self.note(format_args!("trouble: {trouble:?}"));
        match trouble.clone() {
            Trouble::Effect { host, from_now, fault, power } => {
                let machine = &mut self.hosts[host];
                (machine.power, machine.down) = (power, Duration::from_millis(500));
                let faults = machine.sim.faults();
                faults.inject(At::Effect(faults.effects() + from_now), fault);
            }
            Trouble::CoordinatorsCommit { from_now, cut, down } => {
                self.coordinator_down = down;
                self.disk.cut_at(from_now, cut);
            }
            Trouble::AgentsCommit { host, from_now, cut, down } => {
                self.hosts[host].down = down;
                self.hosts[host].disk.cut_at(from_now, cut);
            }
            Trouble::KillCoordinator { down } => self.kill_coordinator(down),
            Trouble::KillAgent { host, down } => self.kill_agent(host, down, false),
            Trouble::KillBoth { host, down } => {
                self.kill_agent(host, down, false);
                self.kill_coordinator(down);
            }
            Trouble::PowerCut { host, down } => self.kill_agent(host, down, true),
            Trouble::CutLine { host, later } => {
                let (node, ends) = (self.hosts[host].node, self.now + later);
                let these = self.lines.iter_mut().filter(|line| line.node == node && !line.is_cut());
                these.for_each(|line| line.cut(ends));
            }
            Trouble::Weather(weather) => self.weather = weather,
            Trouble::GlusterdStops { host, down } => {
                if self.hosts[host].sim.has_power() {
                    self.hosts[host].sim.stop_glusterd();
                }
                self.hosts[host].glusterd_again = Some(self.now + down);
            }
        }
    }

    /// Nothing goes wrong from now on, and whatever is down comes back.
    pub fn calm(&mut self) {
        self.note("nothing goes wrong from here on");
        self.weather = Weather::FAIR;
        self.disk.mend();
        for host in 0..self.hosts.len() {
            self.hosts[host].sim.faults().clear();
            self.hosts[host].disk.mend();
            if let Some(again) = &mut self.hosts[host].again {
                *again = self.now + Duration::from_secs(1);
            }
        }
    }

    /// One cluster of all hosts with `/dev/sdb` of each. Nothing goes wrong meanwhile.
    ///
    /// # Panics
    /// If it does not come about: histories begin only then.
    pub fn settle_in(&mut self) {
        let all_are_here = |world: &Self| {
            let coordinator = world.coordinator.as_ref().expect("nothing goes wrong yet");
            world.hosts.iter().all(|host| {
                let seen = coordinator.registry.inventory(host.node);
                coordinator.registry.is_attached(host.node) && seen.is_some_and(|(seen, _)| seen.gluster.running)
            })
        };
        assert!(self.run_until(Duration::from_secs(60), all_are_here), "the agents do not attach");
        let coordinator = self.coordinator.as_ref().expect("nothing goes wrong yet");
        let operations = coordinator.operations.clone();
        let nodes: Vec<_> =
            (1_u32..).zip(&self.hosts).map(|(number, host)| (number, host.sim.name().clone())).collect();
        let done = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&done);
        coordinator.program.spawn(async move {
            let work = async {
                let cluster = ops::cluster_create(operations.state(), true, true).await?;
                for (number, name) in nodes {
                    let wish = NodeWish {
                        cluster: cluster.id,
                        zone: Zone::new(1 + number % 2).expect("a zone"),
                        manage: vec![name],
                        storage: vec![format!("192.168.0.{number}").parse().expect("an address")],
                        tags: Default::default(),
                    };
                    let id = operations.node_add(wish).await?;
                    finished(&operations, id).await;
                }
                let nodes: Vec<NodeId> = operations.topology().nodes.keys().copied().collect();
                for node in nodes {
                    let name = "/dev/sdb".parse().expect("a path");
                    let id = operations
                        .device_add(DeviceWish { node, name, destroy: false, tags: Default::default() })
                        .await?;
                    finished(&operations, id).await;
                }
                Ok::<_, ops::Rejected>(())
            };
            let result = work.await.map_err(|no| no.to_string());
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        let is_done = |_: &Self| done.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let came = self.run_until(Duration::from_secs(120), is_done);
        let result = done.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert!(came && result == Some(Ok(())), "the cluster does not come about: {result:?}");
    }

    /// Runs until every program is up and no operation is under way. What is wrong then, or if that never comes.
    pub fn come_to_rest(&mut self) -> Vec<String> {
        let at_rest = |world: &Self| {
            let up = world.hosts.iter().all(|host| host.program.is_some() && host.glusterd_again.is_none());
            let Some(coordinator) = world.coordinator.as_ref().filter(|_| up && world.asked.is_empty()) else {
                return false;
            };
            coordinator.operations.topology().unfinished.is_empty()
        };
        let rests = self.run_until(REST, at_rest);
        if rests {
            // Reports of what was last done have arrived, and what they led to is written down.
            self.run_for(REPORTS);
        } else {
            self.note("it does not come to rest");
        }
        let mut wrong = std::mem::take(&mut self.broken);
        let Some(coordinator) = &self.coordinator else {
            wrong.push("the coordinator does not run".to_owned());
            return wrong;
        };
        let inventories: Vec<_> =
            self.hosts.iter().map(|host| coordinator.registry.inventory(host.node).map(|(seen, _)| seen)).collect();
        let seen: Vec<HostSeen<'_>> = self
            .hosts
            .iter()
            .zip(&inventories)
            .map(|(host, inventory)| HostSeen {
                node: host.node,
                host: &host.sim,
                inventory: inventory.as_deref(),
                fstab: &host.fstab,
            })
            .collect();
        let topology = coordinator.operations.topology();
        wrong.extend(truths::wrong(&topology, &seen, &self.told, &self.sim.violations()));
        let bricks = topology.volumes.values().filter(|volume| self.written.contains(&volume.id));
        for volume in bricks {
            if !self.bricks(volume).any(|(host, path)| host.read_data(path, MARK).is_some()) {
                wrong.push(format!("what was written on volume {} is on none of its bricks", volume.id));
            }
        }
        wrong
    }

    /// All that the hosts were made to do, a line each, and how operations ended.
    #[must_use]
    pub fn deeds(&self) -> Vec<String> {
        let mut deeds = Vec::new();
        if let Some(topology) = self.topology() {
            for operation in topology.operations.values() {
                let (id, kind, state) = (operation.id, operation.plan.kind(), &operation.state);
                deeds.push(format!("operation {id}, {kind}: {state:?}"));
            }
        }
        for host in &self.hosts {
            let log = host.sim.faults().log();
            let effects = log.iter().filter(|entry| entry.call.is_effect());
            deeds.extend(effects.map(|entry| format!("{}: {entry}", host.sim.name())));
        }
        deeds
    }
}

async fn finished(operations: &ops::Operations, id: OperationId) {
    let look = |topology: &Topology| {
        topology.operations.get(&id).filter(|operation| operation.state.is_finished()).map(|_| ())
    };
    operations.state().until(look).await;
}
