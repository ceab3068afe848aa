//! Programs that start, and programs that are killed.

use std::time::Duration;

use bricklayer_coordinator::agents::AgentApi as _;

use super::World;
use crate::histories::agent;
use crate::histories::coordinator::Coordinator;
use crate::histories::planted::Planted;
use crate::sim::SimHost;

/// How long a coordinator is left to run on an old copy of its store.
const ON_A_COPY: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn start_coordinator(&mut self) {
        self.again = None;
        self.coordinator = Coordinator::start(&self.disk, &self.authority, self.now, self.planted);
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

    /// Somebody copies the store, while nothing happens.
    pub fn keep_a_copy(&mut self) {
        self.copy = Some((self.disk.copy(), self.epoch));
    }

    /// A coordinator is started on the copy, as if that were the store. The agents have met later starts than it knows of: they
    /// do nothing for it.
    pub(super) fn try_the_copy(&mut self) {
        // A start counts, too: one that nobody can tell from the last is found out by what hosts keep, which is not in here.
        let Some((copy, _)) = self.copy.take().filter(|(_, epoch)| epoch + 1 < self.epoch) else { return };
        // One that has burnt down shows nothing.
        let living: Vec<_> = self.living().map(|host| host.sim.clone()).collect();
        self.kill_coordinator(Duration::ZERO);
        self.again = None;
        self.note("a coordinator starts on an old copy of the store");
        let before: Vec<_> = living.iter().map(SimHost::footprint).collect();
        self.coordinator = Coordinator::start(&copy, &self.authority, self.now, self.planted);
        self.run_for(ON_A_COPY);
        let Some(coordinator) = &self.coordinator else { return };
        let attached = self.hosts.iter().filter(|host| coordinator.registry.is_attached(host.node)).count();
        if attached > 0 {
            self.broken.push(format!("{attached} agents attached to a coordinator on an old copy of the store"));
        }
        for (host, before) in living.iter().zip(before) {
            if host.footprint() != before {
                self.broken.push(format!("{}: an old copy of the store has changed something", host.name()));
            }
        }
    }

    pub fn kill_coordinator(&mut self, down: Duration) {
        if self.coordinator.take().is_some() {
            self.note("the coordinator is killed");
            // Clients that waited for it are told nothing.
            self.asked.clear();
            if self.plants(Planted::ToldBeforeDurable) {
                self.disk.lose_last();
                self.seq = self.disk.seq();
            }
        }
        self.again = Some(self.now + down);
    }

    pub(super) fn start_agent(&mut self, host: usize) {
        let machine = &mut self.hosts[host];
        machine.again = None;
        let dark = !machine.sim.has_power();
        if dark {
            machine.sim.power_on();
            if machine.has_hand_made {
                // What a person's lines say, be they ours by now, systemd mounts.
                machine.sim.boot_by_fstab();
            }
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
        self.hosts[host].again = (!self.hosts[host].gone).then_some(self.now + down);
        if power {
            self.hosts[host].sim.power_cut();
            self.note(format_args!("{} loses power", self.name(host)));
        } else {
            self.note(format_args!("the agent of {} is killed", self.name(host)));
        }
    }
}
