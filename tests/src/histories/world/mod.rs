//! The world of one history: its programs, hosts, disks and connections, and the one clock that moves them.

pub mod by_hand;
mod happenings;
mod hardware;
mod programs;
mod rest;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bricklayer_coordinator::model::{Plan, Topology, Volume, VolumeDelete};
use bricklayer_coordinator::pki::AgentRecord;
use bricklayer_coordinator::state::SCHEMA;
use bricklayer_proto::ids::{DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::{BrickPath, DevicePath};
use bricklayer_proto::size::{ByteSize, GIB};
use bricklayer_store::simulated::Disk;
use bricklayer_store::{Batch, Store, Table};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::chance::Chance;
use super::coordinator::{Coordinator, wall};
use super::planted::Planted;
use super::program::Program;
use super::wire::{AgentEnd, Line, Weather};
use crate::sim::{SimCluster, SimHost};

const AGENTS: Table<NodeId, AgentRecord> = Table::new("agents");

/// While something happens, time passes in such steps; in a lull in ever longer ones.
const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_millis(100);

/// What clients write on volumes.
const MARK: &str = "written-by-a-client";

pub struct World {
    pub chance: Chance,
    pub history: Vec<String>,
    pub now: Duration,
    planted: Option<Planted>,
    sim: SimCluster,
    hosts: Vec<Machine>,
    coordinator: Option<Coordinator>,
    disk: Disk,
    /// The store as it was once, and the epoch that it tells.
    copy: Option<(Disk, u64)>,
    authority: std::path::PathBuf,
    /// When the coordinator is started again.
    again: Option<Duration>,
    lines: Vec<Line>,
    weather: Weather,
    asked: Vec<Asked>,
    told: Vec<OperationId>,
    /// Volumes on which somebody has written.
    written: BTreeSet<VolumeId>,
    /// Volumes of which somebody moved a brick without the check of what is left to heal: he may lose the only good copy.
    unchecked: BTreeSet<VolumeId>,
    /// Volumes in the trash that somebody wanted to end before their time.
    ended: BTreeSet<VolumeId>,
    /// Volumes whose only copy was on what is gone for good.
    lost: BTreeSet<VolumeId>,
    /// Hosts, and devices by their disks, that will not come back.
    gone: Vec<NodeId>,
    gone_disks: Vec<DeviceId>,
    /// Something has gone for good, be it ours or not.
    has_lost: bool,
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
    /// When the others reach its glusterd again.
    joined_again: Option<Duration>,
    /// The disk that fails, and when it is mended.
    mended_again: Option<(DevicePath, Duration)>,
    /// It burnt down.
    gone: bool,
    /// A disk of it is gone for good.
    has_lost_a_disk: bool,
    /// A person has made a brick on it.
    has_hand_made: bool,
}

impl Machine {
    /// A host with three blank disks, whose agent has not been started.
    fn new(sim: &SimCluster, number: u64, disks: ByteSize) -> Self {
        let name = format!("gfs{number}").parse().expect("a name");
        let host = sim.add_host(&[name, format!("192.168.0.{number}").parse().expect("an address")]);
        host.plug_blank(3, disks);
        let (dial, dialed) = unbounded_channel();
        let fstab = host.footprint().view.fstab;
        Self {
            sim: host,
            node: NodeId::random(),
            disk: Disk::new(),
            program: None,
            dial,
            dialed,
            again: None,
            glusterd_again: None,
            down: Duration::ZERO,
            fstab,
            power: false,
            joined_again: None,
            mended_again: None,
            gone: false,
            has_lost_a_disk: false,
            has_hand_made: false,
        }
    }

    /// What the coordinator's store has of it once it has enrolled.
    fn enrolment(&self) -> AgentRecord {
        AgentRecord {
            name: self.sim.name().clone(),
            zone: None,
            machine_id: format!("simulated-{}", self.sim.name()),
            enrolled: Timestamp::UNIX_EPOCH,
            series: 1,
            lowest_series: 1,
            certificate_expires: Timestamp::MAX,
            revoked: None,
        }
    }
}

type Slot = Arc<Mutex<Option<Result<Option<OperationId>, String>>>>;

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
            let host = Machine::new(&sim, number, ByteSize::from_bytes(chance.number(12..=40) * GIB));
            host.disk.set_delay(chance.millis(0..=4));
            batch.put(&AGENTS, &host.node, &host.enrolment());
            hosts.push(host);
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
            copy: None,
            authority: authority.to_owned(),
            again: None,
            lines: Vec::new(),
            weather: Weather::FAIR,
            asked: Vec::new(),
            told: Vec::new(),
            written: BTreeSet::new(),
            unchecked: BTreeSet::new(),
            ended: BTreeSet::new(),
            lost: BTreeSet::new(),
            gone: Vec::new(),
            gone_disks: Vec::new(),
            has_lost: false,
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

    /// Those that are not gone for good.
    fn living(&self) -> impl Iterator<Item = &Machine> {
        self.hosts.iter().filter(|host| !host.gone)
    }

    #[must_use]
    pub fn plants(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
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
        self.nothing_ends_before_its_time();
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
            if machine.sim.faults().one_hangs().now_or_never().is_some() {
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
            if due(self.hosts[host].joined_again, self.now) {
                self.hosts[host].joined_again = None;
                self.hosts[host].sim.isolate(false);
                self.note(format_args!("{} is reached again", self.name(host)));
            }
            if let Some((disk, _)) = self.hosts[host].mended_again.take_if(|(_, at)| *at <= self.now) {
                self.hosts[host].sim.break_disk(&disk, false);
                self.note(format_args!("{disk} of {} works again", self.name(host)));
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
                Some(Ok(Some(id))) => {
                    self.note(format_args!("{}: operation {id}", asked.what));
                    self.told.push(id);
                }
                Some(Ok(None)) => self.note(format_args!("{}: done", asked.what)),
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

    /// What lies in the trash goes when its time is over, or by the word of a person.
    fn nothing_ends_before_its_time(&mut self) {
        let Some(topology) = self.topology() else { return };
        for operation in topology.unfinished.values() {
            let Plan::VolumeDelete(VolumeDelete { volume, .. }) = &operation.plan else { continue };
            let early = volume.trash.is_some_and(|trash| trash.until > wall(self.now));
            if early && !self.ended.contains(&volume.id) {
                let what = format!("volume {} in the trash went before its time", volume.id);
                if !self.broken.contains(&what) {
                    self.broken.push(what);
                }
            }
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
            // A disk that fails takes nothing.
            (host.sim.has_power() && host.mended_again.is_none()).then_some(())?;
            Some((&host.sim, brick.path.as_ref()?))
        })
    }
}
