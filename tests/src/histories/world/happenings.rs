//! What happens in the world: clients that ask and write, and what goes wrong.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bricklayer_agent::host::GroupReport;
use bricklayer_coordinator::model::{Brick, Topology};
use bricklayer_proto::ids::{DeviceId, VolumeId};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::Layout;

use super::{Asked, MARK, Slot, World};
use crate::histories::chance::Chance;
use crate::histories::troubles::Trouble;
use crate::histories::wire::Weather;
use crate::histories::wishes::{Files, Rules, Scene, Theme, Trash, Wish};
use crate::sim::At;

impl World {
    /// Clients write on every volume that nobody changes and that was not written on before.
    pub fn write(&mut self) {
        let Some(topology) = self.topology() else { return };
        for volume in topology.volumes.values() {
            let serves = volume.trash.is_none() && !topology.family_is_changing(volume);
            if self.written.contains(&volume.id) || !serves {
                continue;
            }
            let mounted: Vec<_> = self.bricks(volume).filter(|(host, path)| host.brick_gid(path).is_some()).collect();
            mounted.iter().for_each(|(host, path)| host.write_data(path, MARK, b"precious"));
            if mounted.len() == volume.bricks.len() {
                self.written.insert(volume.id);
            }
        }
    }

    /// Clients write over a part of a volume, so that its pools fill. Where a pool is full they are told.
    pub fn fill(&mut self) {
        let Some(topology) = self.topology() else { return };
        let volumes: Vec<_> = topology.volumes.values().filter(|volume| volume.trash.is_none()).collect();
        let Some(volume) = self.chance.of_these(&volumes) else { return };
        let smallest = volume.bricks.iter().map(|brick| brick.asked.bytes()).min().unwrap_or_default();
        let from = self.chance.number(0..=smallest / 2);
        let length = self.chance.number(0..=smallest - from);
        self.note(format_args!("clients write {length} bytes from {from} on to volume {}", volume.id));
        for (host, path) in self.bricks(volume) {
            let _ =
                host.write_to_brick(path.as_path().as_str(), ByteSize::from_bytes(from), ByteSize::from_bytes(length));
        }
    }

    /// A client asks. Where there is no coordinator nobody hears it.
    pub fn ask(&mut self, wish: Wish) {
        let what = format!("{wish:?}");
        self.note(format_args!("asked: {what}"));
        let Some(coordinator) = &self.coordinator else { return };
        match &wish {
            Wish::Rules(Rules::Policy { policy, .. }) if policy.over_commit.is_some() => self.sim.over_commit(),
            Wish::Files(Files::Move { brick, heal_check: false }) => {
                let topology = coordinator.operations.topology();
                self.unchecked.extend(topology.brick(*brick).map(|(volume, _)| volume.id));
            }
            Wish::Trash(Trash::End { volume }) => drop(self.ended.insert(*volume)),
            _ => {}
        }
        let (operations, answer) = (coordinator.operations.clone(), Slot::default());
        let slot = Arc::clone(&answer);
        coordinator.program.spawn(async move {
            let result = wish.ask(&operations).await.map_err(|no| no.to_string());
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        self.asked.push(Asked { what, answer });
    }

    pub fn suffer(&mut self, trouble: &Trouble) {
        if trouble.host().is_some_and(|host| self.hosts[host].gone) {
            return;
        }
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
            Trouble::PowerCut { host, down, bricks_left_out } => {
                if bricks_left_out {
                    self.hosts[host].sim.leave_bricks_out();
                }
                self.kill_agent(host, down, true);
            }
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
            Trouble::Isolated { host, healed } => {
                self.hosts[host].sim.isolate(true);
                self.hosts[host].joined_again = Some(self.now + healed);
            }
            Trouble::DiskFails { host, disk, mended } => {
                if self.hosts[host].mended_again.is_none() && self.hosts[host].sim.has_disk(&disk) {
                    self.hosts[host].sim.break_disk(&disk, true);
                    self.hosts[host].mended_again = Some((disk, self.now + mended));
                }
            }
            Trouble::HostGoes { host } => {
                self.has_lost = true;
                self.hosts[host].gone = true;
                self.kill_agent(host, Duration::ZERO, true);
                (self.hosts[host].glusterd_again, self.hosts[host].mended_again) = (None, None);
                self.gone.push(self.hosts[host].node);
                self.note_the_lost();
            }
            // Of a host without power nobody sees what is on its disks.
            Trouble::DiskGoes { host, .. } if !self.hosts[host].sim.has_power() => {}
            Trouble::DiskGoes { host, disk, down } => {
                self.has_lost = true;
                let groups = self.hosts[host].sim.footprint().view.groups;
                let is_on = |group: &&GroupReport| {
                    group.physical_volumes.iter().any(|volume| volume.path.as_ref() == Some(&disk))
                };
                let group = groups.iter().find(is_on).map(|group| group.name.clone());
                let device = group.and_then(|group| group.as_str().strip_prefix("vg_")?.parse::<DeviceId>().ok());
                self.kill_agent(host, down, true);
                self.hosts[host].mended_again = None;
                self.hosts[host].sim.unplug(&disk);
                self.hosts[host].has_lost_a_disk = true;
                self.gone_disks.extend(device);
                self.note_the_lost();
            }
        }
    }

    /// Volumes that have one copy only, and had a brick on what is gone for good.
    fn note_the_lost(&mut self) {
        let Some(topology) = self.topology() else { return };
        let is_gone = |brick: &Brick| self.gone.contains(&brick.node) || self.gone_disks.contains(&brick.device);
        let lost = topology
            .volumes
            .values()
            .filter(|volume| volume.layout == Layout::Distribute && volume.bricks.iter().any(is_gone));
        let lost: Vec<VolumeId> = lost.map(|volume| volume.id).collect();
        self.lost.extend(lost);
    }

    /// Whether something may go that never comes back: once, and only where enough is left to go on with.
    #[must_use]
    pub fn can_lose_more(&self) -> bool {
        self.hosts.len() > 3 && !self.has_lost
    }

    /// What is there to wish about; nothing while there is no coordinator.
    #[must_use]
    pub fn wish(&mut self, theme: Theme) -> Option<Wish> {
        let topology = self.topology()?;
        // Beside the scene, which is of the rest of the world.
        let mut chance = std::mem::replace(&mut self.chance, Chance::of(0));
        let wish = Wish::any(&self.scene(&topology), theme, &mut chance);
        self.chance = chance;
        Some(wish)
    }

    pub(super) fn scene<'a>(&'a self, topology: &'a Topology) -> Scene<'a> {
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let has_hand_made = self.has_hand_made();
        Scene { topology, hosts, gone: &self.gone, gone_disks: &self.gone_disks, has_hand_made }
    }

    /// Whether a person made a volume, be it ours by now or not.
    pub(super) fn has_hand_made(&self) -> bool {
        self.hosts.iter().any(|host| host.has_hand_made)
    }

    /// Nothing goes wrong from now on, and whatever is down comes back.
    pub fn calm(&mut self) {
        self.note("nothing goes wrong from here on");
        self.weather = Weather::FAIR;
        self.disk.mend();
        for host in 0..self.hosts.len() {
            self.hosts[host].sim.faults().clear();
            self.hosts[host].disk.mend();
            let soon = self.now + Duration::from_secs(1);
            let machine = &mut self.hosts[host];
            machine.again = machine.again.map(|_| soon);
            machine.joined_again = machine.joined_again.map(|_| soon);
            if let Some((_, again)) = &mut machine.mended_again {
                *again = soon;
            }
        }
    }
}
