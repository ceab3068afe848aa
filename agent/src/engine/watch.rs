//! Do the disks of our devices, and the bricks on them, still answer, and do the bricks have their processes?
//!
//! Each is read a little, past every cache, twice and more a minute. No disk is woken by it that would sleep otherwise: LVM
//! reads the label of each whenever the host is looked at, and GlusterFS writes into each brick. At one disk there is one
//! look at a time, and nothing waits for it: one that gets no answer is itself what is told.
//!
//! Which disks are ours is known from the views of the host, and remembered: a disk that is dead is one that LVM no longer
//! shows. Nothing is ever done to a disk by what is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bricklayer_proto::ids::{BrickId, DeviceId};
use bricklayer_proto::inventory::{Ailing, Inventory, ReadFault};
use bricklayer_proto::names::{BrickPath, DevicePath, MountPoint};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{chain, locked};
use crate::host::{Host, HostError};
use crate::plan::brick::RECORD;

/// A disk that was asleep needs ten seconds, a large one twice as many.
const SILENCE: Duration = Duration::from_secs(30);

/// A brick of which so many looks in a row find no process has none. glusterd needs a while to start those of all bricks, and
/// one that is just being started, or anew, is not missed.
const LOOKS_IN_VAIN: u32 = 3;

/// The disks and bricks of this host, and what came of looking at them.
pub struct Watch {
    host: Arc<dyn Host>,
    devices: Mutex<BTreeMap<DeviceId, Watched>>,
    processes: Mutex<Processes>,
    changes: watch::Sender<u64>,
}

/// The processes of the bricks that are mounted.
#[derive(Default)]
struct Processes {
    mounted: BTreeSet<BrickPath>,
    /// How many looks in a row have found none; no entry where that could not be told.
    in_vain: BTreeMap<BrickPath, u32>,
    /// Since when a look is under way.
    asked: Option<Instant>,
}

impl Processes {
    fn without(&self) -> BTreeSet<BrickPath> {
        let without = self.in_vain.iter().filter(|(_, looks)| **looks >= LOOKS_IN_VAIN);
        without.map(|(path, _)| path.clone()).collect()
    }
}

/// A disk, and the bricks on it that are mounted.
struct Watched {
    disk: DevicePath,
    bricks: BTreeMap<BrickId, MountPoint>,
    /// LVM showed it at the last look at the host.
    shown: bool,
    asked: Option<Asked>,
    faults: BTreeMap<Part, Fault>,
}

/// The disk itself, or a brick on it.
type Part = Option<BrickId>;

/// What is being read, and since when.
#[derive(Clone, Copy)]
struct Asked {
    part: Part,
    since: Instant,
}

#[derive(Clone)]
struct Fault {
    fault: ReadFault,
    since_ms: i64,
}

impl Watch {
    pub fn new(host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new(Self { host, devices: Mutex::default(), processes: Mutex::default(), changes: watch::Sender::new(0) })
    }

    /// Told when something has begun to ail or is well again, and when a brick has lost its process or has it back.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What ails now, by device, the disk before its bricks.
    #[must_use]
    pub fn ailing(&self) -> Vec<Ailing> {
        let devices = locked(&self.devices);
        let ailing = devices.iter().flat_map(|(device, watched)| {
            watched.faults.iter().map(|(part, Fault { fault, since_ms })| Ailing {
                device: *device,
                disk: watched.disk.clone(),
                brick: *part,
                fault: fault.clone(),
                since_ms: *since_ms,
            })
        });
        ailing.collect()
    }

    /// Whether a process serves the brick; `None` where that cannot be told.
    #[must_use]
    pub fn is_served(&self, brick: &BrickPath) -> Option<bool> {
        let processes = locked(&self.processes);
        // A look that does not come to its end leaves what was seen before it to grow old.
        if processes.asked.is_some_and(|since| since.elapsed() >= SILENCE) {
            return None;
        }
        match *processes.in_vain.get(brick)? {
            0 => Some(true),
            looks => (looks >= LOOKS_IN_VAIN).then_some(false),
        }
    }

    /// Takes over what a look at the host has shown. A disk that it does not show is kept for the next look at the disk:
    /// one that answers is no longer ours.
    pub fn learn(&self, inventory: &Inventory) {
        {
            let mut processes = locked(&self.processes);
            let mounted = inventory.bricks.iter().filter(|brick| brick.mounted.is_some() && !brick.condemned);
            processes.mounted = mounted.filter_map(|brick| brick.path.clone()).collect();
            let Processes { mounted, in_vain, .. } = &mut *processes;
            in_vain.retain(|path, _| mounted.contains(path));
        }
        let mut devices = locked(&self.devices);
        devices.values_mut().for_each(|watched| watched.shown = false);
        for group in &inventory.groups {
            let Some(device) = group.tags.map(|tags| tags.device) else { continue };
            let Some(disk) = group.physical_volumes.iter().find_map(|volume| volume.path.clone()) else { continue };
            let on_it = inventory.bricks.iter().filter(|brick| brick.group == group.name);
            let bricks: BTreeMap<_, _> =
                on_it.filter_map(|brick| Some((brick.tags.brick, brick.mounted.clone()?))).collect();
            let watched = devices.entry(device).or_insert_with(|| Watched {
                disk: disk.clone(),
                bricks: BTreeMap::new(),
                shown: true,
                asked: None,
                faults: BTreeMap::new(),
            });
            watched.faults.retain(|part, _| part.is_none_or(|brick| bricks.contains_key(&brick)));
            (watched.disk, watched.bricks, watched.shown) = (disk, bricks, true);
        }
    }

    /// Begins a look at every disk at which none is under way, and notes those that have been silent for too long.
    pub fn look(self: &Arc<Self>, now_ms: i64) {
        let mut silent = Vec::new();
        for (device, watched) in locked(&self.devices).iter_mut() {
            match watched.asked {
                Some(asked) if asked.since.elapsed() >= SILENCE => {
                    // Whoever took a brick away meanwhile has not answered for the disk.
                    silent.push((*device, asked.part.filter(|brick| watched.bricks.contains_key(brick))));
                }
                Some(_) => {}
                None => {
                    watched.asked = Some(Asked { part: None, since: Instant::now() });
                    tokio::spawn(Arc::clone(self).look_at(*device, now_ms));
                }
            }
        }
        for (device, part) in silent {
            self.note(device, part, Some(ReadFault::Silent), now_ms);
        }
        let mut processes = locked(&self.processes);
        if processes.asked.is_none() && !processes.mounted.is_empty() {
            processes.asked = Some(Instant::now());
            tokio::spawn(Arc::clone(self).look_at_processes(processes.mounted.iter().cloned().collect()));
        }
    }

    async fn look_at_processes(self: Arc<Self>, bricks: Vec<BrickPath>) {
        let served = self.host.bricks_served(bricks.clone()).await.unwrap_or_else(|error| {
            tracing::debug!("the processes of bricks cannot be seen: {}", chain(&error));
            Vec::new()
        });
        let mut processes = locked(&self.processes);
        processes.asked = None;
        let before = processes.without();
        let mut seen: BTreeMap<BrickPath, bool> =
            bricks.into_iter().zip(served).filter_map(|(path, served)| Some((path, served?))).collect();
        seen.retain(|path, _| processes.mounted.contains(path));
        let looks = |(path, served): (BrickPath, bool)| {
            let looks =
                if served { 0 } else { processes.in_vain.get(&path).map_or(1, |looks| looks.saturating_add(1)) };
            (path, looks)
        };
        processes.in_vain = seen.into_iter().map(looks).collect();
        let without = processes.without();
        for path in without.difference(&before) {
            // As of a volume that is stopped: whether it should be served is for others to know.
            tracing::info!("no process of GlusterFS serves the brick {path}");
        }
        drop(processes);
        if without != before {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    async fn look_at(self: Arc<Self>, device: DeviceId, now_ms: i64) {
        let Some((disk, _)) = self.begin(device, None) else { return };
        let was_shown = locked(&self.devices).get(&device).is_some_and(|watched| watched.shown);
        let answer = self.host.probe_disk(&disk).await;
        let answers = answer.is_ok();
        self.note(device, None, answer.err().map(|error| fault_of(&error)), now_ms);
        // Of a disk that is dead that much is to be said, and not of each brick.
        let bricks = if answers { self.bricks_of(device) } else { Vec::new() };
        for brick in bricks {
            let Some((_, Some(at))) = self.begin(device, Some(brick)) else { continue };
            let answer = self.host.probe_file_system(&at, RECORD).await;
            self.note(device, Some(brick), answer.err().map(|error| fault_of(&error)), now_ms);
        }
        let mut devices = locked(&self.devices);
        let Some(watched) = devices.get_mut(&device) else { return };
        watched.asked = None;
        if !answers {
            watched.faults.retain(|part, _| part.is_none());
        } else if !was_shown && !watched.shown {
            // One that dies after it has answered, and before LVM looks, is one that the next look is for.
            devices.remove(&device);
        }
    }

    /// What is to be read now.
    fn begin(&self, device: DeviceId, part: Part) -> Option<(DevicePath, Option<MountPoint>)> {
        let mut devices = locked(&self.devices);
        let watched = devices.get_mut(&device)?;
        watched.asked = Some(Asked { part, since: Instant::now() });
        let at = part.and_then(|brick| watched.bricks.get(&brick).cloned());
        Some((watched.disk.clone(), at))
    }

    fn bricks_of(&self, device: DeviceId) -> Vec<BrickId> {
        locked(&self.devices).get(&device).map(|watched| watched.bricks.keys().copied().collect()).unwrap_or_default()
    }

    fn note(&self, device: DeviceId, part: Part, found: Option<ReadFault>, now_ms: i64) {
        let mut devices = locked(&self.devices);
        let Some(watched) = devices.get_mut(&device) else { return };
        // A brick that went away while it was looked at.
        if part.is_some_and(|brick| !watched.bricks.contains_key(&brick)) {
            return;
        }
        let before = watched.faults.get(&part);
        // A slow disk that fails in the end does both with every look, and has since the first.
        let is_known = match (before.map(|fault| &fault.fault), &found) {
            (Some(ReadFault::Failed { .. }), Some(ReadFault::Silent)) => true,
            (before, found) => before == found.as_ref(),
        };
        if is_known {
            return;
        }
        let since_ms = before.map_or(now_ms, |before| before.since_ms);
        let disk = &watched.disk;
        let what = part.map_or_else(|| disk.to_string(), |brick| format!("brick {brick} on {disk}"));
        match found {
            Some(fault) => {
                tracing::error!(device.id = %device, "{what} does not answer as it should: {fault}");
                watched.faults.insert(part, Fault { fault, since_ms });
            }
            None => {
                tracing::warn!(device.id = %device, "{what} answers again");
                watched.faults.remove(&part);
            }
        }
        drop(devices);
        self.changes.send_modify(|count| *count += 1);
    }
}

/// The kernel's words alone: what was read is said anyway.
fn fault_of(error: &HostError) -> ReadFault {
    let said = match error {
        HostError::Io { source, .. } => {
            let said = source.to_string();
            said.split(" (os error").next().unwrap_or_default().to_owned()
        }
        HostError::Failed { said, .. } => said.clone(),
        other => chain(other),
    };
    ReadFault::Failed { said }
}
