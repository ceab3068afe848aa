//! How the world begins and how it comes to rest.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bricklayer_coordinator::agents::AgentApi as _;
use bricklayer_coordinator::model::{BrickReplace, OpState, Plan, Topology};
use bricklayer_coordinator::ops::{self, DeviceWish};
use bricklayer_proto::ids::{NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::names::BrickPath;
use bricklayer_proto::task::Layout;

use super::{MARK, Machine, World};
use crate::histories::coordinator::wall;
use crate::histories::rebuilt;
use crate::histories::truths::{self, HostSeen};
use crate::histories::wishes::{Hosts, Wish, node};
use crate::sim::SimHost;

/// How long, in its own time, a history may take to come to rest when nothing goes wrong any more.
const REST: Duration = Duration::from_secs(30 * 60);

/// An agent's reports come at least so often.
const REPORTS: Duration = Duration::from_secs(12);

const LOOK: Duration = Duration::from_secs(3);

/// How often a person looks what there is to do. Each loss takes four steps.
const MOURNING: u32 = 12;

impl World {
    /// One cluster of most hosts with `/dev/sdb` of each. Nothing goes wrong meanwhile.
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
        // Some are left to be added later.
        let all = u32::try_from(self.hosts.len()).expect("a few");
        let members = self.chance.number(3..=u64::from(all));
        let done = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&done);
        coordinator.program.spawn(async move {
            let work = async {
                let cluster = ops::cluster_create(operations.state(), true, true).await?;
                for number in (1..=all).take(usize::try_from(members).unwrap_or_default()) {
                    let id = operations.node_add(node(cluster.id, number)).await?;
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

    /// A person does what there is to do about what is gone for good, as far as it can be done.
    pub fn mourn(&mut self) {
        if self.gone.is_empty() && self.gone_disks.is_empty() {
            return;
        }
        let is_idle = |world: &Self| {
            let Some(coordinator) = &world.coordinator else { return false };
            let there = |host: &Machine| host.program.is_some() && coordinator.registry.is_attached(host.node);
            world.living().all(there)
                && world.asked.is_empty()
                && coordinator.operations.topology().unfinished.is_empty()
        };
        for _ in 0..MOURNING {
            // What was lost is noticed; some of what is under way waits for the next step.
            self.run_for(LOOK);
            self.run_until(REPORTS * 2, is_idle);
            // Nothing is believed to be gone before its host has said so.
            self.run_for(REPORTS);
            let Some(topology) = self.topology() else { continue };
            let due = Hosts::mourn(&self.scene(&topology));
            if due.is_empty() {
                break;
            }
            due.into_iter().for_each(|wish| self.ask(Wish::Hosts(wish)));
        }
    }

    /// Whether a lost host still has bricks of volumes, for which there is no room elsewhere.
    pub fn has_no_room(&self) -> bool {
        let Some(topology) = self.topology() else { return false };
        let lost = topology.nodes.values().filter(|node| node.lost);
        let mut devices = lost.flat_map(|node| topology.devices_of(node.id));
        devices.any(|device| topology.bricks_of(device.id).next().is_some())
    }

    /// A volume is being deleted, and GlusterFS forgets none while a lost host is in its pool. That one stays there for as long as
    /// it has bricks of other volumes: a person has to bring another host.
    pub fn is_stranded(&self) -> bool {
        let waits = self.topology().is_some_and(|topology| !topology.unfinished.is_empty());
        waits && self.only_waits_for_the_lost() && self.has_no_room()
    }

    /// Whether all that is under way is the deletion of volumes, which GlusterFS may not forget yet.
    pub(super) fn only_waits_for_the_lost(&self) -> bool {
        let parked = |plan: &Plan| matches!(plan, Plan::VolumeDelete(delete) if delete.parked);
        self.topology().is_some_and(|topology| topology.unfinished.values().all(|operation| parked(&operation.plan)))
    }

    /// Bricks that were replaced and stayed on their disks, as all others of their set were lost before the new ones were
    /// healed: those on which clients had written.
    fn kept(&self, topology: &Topology) -> Vec<(VolumeId, SimHost, BrickPath)> {
        let replaced = topology.operations.values().filter_map(|operation| match (&operation.plan, &operation.state) {
            (Plan::BrickReplace(replace), OpState::Done { .. }) => Some(replace),
            _ => None,
        });
        let none_is_left = |replace: &&BrickReplace| {
            let (volume, old) = (&replace.volume, &replace.old);
            let others = volume.bricks.iter().filter(|brick| brick.set == old.set && brick.id != old.id);
            let left = others.filter(|brick| brick.role == BrickRole::Data && !topology.is_lost(brick.device)).count();
            let needed = match volume.layout {
                Layout::Disperse { data, .. } => data as usize,
                _ => 1,
            };
            volume.layout != Layout::Distribute && left < needed && self.written.contains(&volume.id)
        };
        let there = replaced.filter(none_is_left).filter_map(|replace| {
            let host = self.living().find(|host| host.node == replace.old.node)?;
            let path = replace.old.path.clone()?;
            let groups = host.sim.footprint().view.groups;
            let name = replace.old.volume_lv();
            let is_there = groups.iter().any(|group| group.volumes.iter().any(|volume| volume.name == name));
            is_there.then(|| (replace.volume.id, host.sim.clone(), path))
        });
        there.collect()
    }

    /// Whether the hosts are as they should be.
    pub fn can_lose_its_store(&self) -> bool {
        self.topology().is_some_and(|topology| self.kept(&topology).is_empty())
    }

    /// Runs until every program is up and no operation is under way. What is wrong then, or if that never comes.
    pub fn come_to_rest(&mut self) -> Vec<String> {
        let at_rest = |world: &Self| {
            let is_up = |host: &Machine| {
                host.program.is_some()
                    && host.glusterd_again.is_none()
                    && host.joined_again.is_none()
                    && host.mended_again.is_none()
            };
            let up = world.living().all(is_up);
            let Some(coordinator) = world.coordinator.as_ref().filter(|_| up && world.asked.is_empty()) else {
                return false;
            };
            let topology = coordinator.operations.topology();
            topology.unfinished.is_empty() && truths::overdue(&topology, wall(world.now)).next().is_none()
        };
        let limit = self.now + REST;
        loop {
            if self.now >= limit || !self.run_until(limit - self.now, at_rest) {
                self.note("it does not come to rest");
                break;
            }
            let before = self.topology().map(|topology| topology.version);
            // Reports of what was last done have arrived, and what they led to is done as well: a pool that is extended, a brick
            // that is started.
            self.run_for(REPORTS);
            self.run_until(REPORTS * 2, |world| {
                let served = |topology: Arc<Topology>| {
                    world.living().all(|host| truths::unserved(&topology, host.node, &host.sim).next().is_none())
                };
                world.topology().is_some_and(served)
            });
            if self.topology().map(|topology| topology.version) == before {
                break;
            }
        }
        let mut wrong = std::mem::take(&mut self.broken);
        let Some(coordinator) = &self.coordinator else {
            wrong.push("the coordinator does not run".to_owned());
            return wrong;
        };
        let inventories: Vec<_> =
            self.living().map(|host| coordinator.registry.inventory(host.node).map(|(seen, _)| seen)).collect();
        let seen: Vec<HostSeen<'_>> = self
            .living()
            .zip(&inventories)
            .map(|(host, inventory)| HostSeen {
                node: host.node,
                host: &host.sim,
                inventory: inventory.as_deref(),
                fstab: &host.fstab,
                has_lost_a_disk: host.has_lost_a_disk,
                has_hand_made: self.has_hand_made(),
            })
            .collect();
        let topology = coordinator.operations.topology();
        let kept = self.kept(&topology);
        if !kept.is_empty() {
            // An orphan, in which a person looks for what is left: nothing else is as it should be any more.
            let gone = kept.iter().filter(|(_, host, path)| host.read_data(path, MARK).is_none());
            wrong.extend(
                gone.map(|(volume, ..)| format!("the last copy of volume {volume} was kept, and holds nothing")),
            );
            wrong.extend(self.sim.violations());
            return wrong;
        }
        for node in self.gone.iter().filter_map(|gone| topology.nodes.get(gone)).filter(|node| !node.lost) {
            wrong.push(format!("{} burnt down, and it cannot be said that it is lost", node.name()));
        }
        let disks = self.gone_disks.iter().filter_map(|gone| topology.devices.get(gone));
        for device in disks.filter(|device| !topology.is_lost(device.id)) {
            wrong.push(format!("the disk of device {} is gone, and that cannot be said", device.id));
        }
        wrong.extend(truths::wrong(&topology, wall(self.now), &seen, &self.told, &self.sim.violations()));
        wrong.extend(rebuilt::wrong(&topology, &coordinator.registry, &self.reachable(), wall(self.now)).1);
        let is_kept = |id| self.written.contains(id) && !self.unchecked.contains(id) && !self.lost.contains(id);
        for volume in topology.volumes.values().filter(|volume| is_kept(&volume.id)) {
            if !self.bricks(volume).any(|(host, path)| host.read_data(path, MARK).is_some()) {
                wrong.push(format!("what was written on volume {} is on none of its bricks", volume.id));
            }
        }
        wrong
    }

    /// The store is gone with all that is in it but the authority. Another one is made of what the hosts say, and a
    /// coordinator starts on it. Nothing is under way.
    ///
    /// # Panics
    /// If there is no coordinator: histories come here only from rest.
    pub fn rebuild(&mut self) {
        let coordinator = self.coordinator.as_ref().expect("it has come to rest");
        let (topology, trust) = (coordinator.operations.topology(), Arc::clone(coordinator.registry.trust()));
        let (rebuilt, _) = rebuilt::wrong(&topology, &coordinator.registry, &self.reachable(), wall(self.now));
        self.try_the_copy();
        self.kill_coordinator(Duration::ZERO);
        self.note("the store is lost, and made again of what the hosts say");
        let delay = self.chance.millis(0..=4);
        self.disk = rebuilt::on_a_new_disk(rebuilt, &trust, wall(self.now));
        self.disk.set_delay(delay);
        // It counts on from nothing, and knows no operation of before.
        self.seq = 0;
        self.told.clear();
        self.run_until(REPORTS, |world| world.coordinator.is_some());
        if let Some(now) = self.topology() {
            let differs = rebuilt::differences(&topology, &now);
            self.broken.extend(differs.iter().map(|line| format!("the coordinator that was rebuilt: {line}")));
        }
        let all_are_here = |world: &Self| {
            let Some(coordinator) = &world.coordinator else { return false };
            world.living().all(|host| coordinator.registry.inventory(host.node).is_some())
        };
        if !self.run_until(REPORTS * 5, all_are_here) {
            self.broken.push("the agents do not take a coordinator that was rebuilt for theirs".to_owned());
        }
    }

    fn reachable(&self) -> Vec<(NodeId, SimHost)> {
        self.living().map(|host| (host.node, host.sim.clone())).collect()
    }

    /// All that the hosts were made to do, a line each, and how operations ended.
    #[must_use]
    pub fn deeds(&self) -> Vec<String> {
        let mut deeds = Vec::new();
        if let Some(topology) = self.topology() {
            for operation in topology.operations.values() {
                let (id, kind, state) = (operation.id, operation.plan.kind(), &operation.state);
                deeds.push(untimed(format!("operation {id}, {kind}: {state:?}")));
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

/// Without the real time since when an agent is away, which is no part of a history.
fn untimed(text: String) -> String {
    let parts = text.split_once(" is not attached since ").and_then(|(before, after)| {
        let (_, after) = after.split_once('Z')?;
        Some(format!("{before} is not attached{after}"))
    });
    parts.unwrap_or(text)
}

async fn finished(operations: &ops::Operations, id: OperationId) {
    let look = |topology: &Topology| {
        topology.operations.get(&id).filter(|operation| operation.state.is_finished()).map(|_| ())
    };
    operations.state().until(look).await;
}
