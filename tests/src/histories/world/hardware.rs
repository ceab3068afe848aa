//! A person brings the hardware without which it cannot go on.

use std::time::Duration;

use bricklayer_coordinator::agents::AgentApi as _;
use bricklayer_coordinator::model::{Topology, Volume};
use bricklayer_coordinator::ops::PolicyOf;
use bricklayer_coordinator::placement::Policy;
use bricklayer_coordinator::state::SCHEMA;
use bricklayer_proto::size::{ByteSize, GIB};
use bricklayer_proto::task::Layout;
use bricklayer_store::{Batch, Store};

use super::{AGENTS, Machine, World};
use crate::histories::wishes::{Files, Hosts, Rules, Trash, Wish};

/// Each of its disks takes all that a lost host had.
const LARGE: ByteSize = ByteSize::from_bytes(400 * GIB);

/// How long a person waits for what was asked.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    /// Another host, so that what a lost one had has somewhere to go.
    ///
    /// # Panics
    /// If its agent does not attach: nothing goes wrong any more.
    pub fn bring_a_host(&mut self) {
        let number = self.hosts.len() + 1;
        let host = Machine::new(&self.sim, number as u64, LARGE);
        let node = host.node;
        self.note(format_args!("a person brings {}, which enrols", host.sim.name()));
        // Its certificate is no part of a history: a coordinator that starts knows it.
        self.kill_coordinator(Duration::ZERO);
        let mut batch = Batch::new();
        batch.put(&AGENTS, &node, &host.enrolment());
        let store = Store::on(&self.disk, SCHEMA).expect("the disk is sound");
        store.commit_blocking(batch).expect("the disk is sound");
        self.hosts.push(host);
        self.start_agent(number - 1);
        let all_are_here = |world: &Self| {
            let Some(coordinator) = &world.coordinator else { return false };
            let runs = |node| coordinator.registry.inventory(node).is_some_and(|(seen, _)| seen.gluster.running);
            world.living().all(|host| runs(host.node))
        };
        assert!(self.run_until(PATIENCE, all_are_here), "the hosts do not attach again");
        let number = u32::try_from(number).expect("a few");
        self.have(vec![Wish::Hosts(Hosts::AddNode { number })]);
        let Some(topology) = self.topology() else { return };
        let name = format!("gfs{number}");
        let Some(node) = topology.nodes.values().find(|node| node.name() == name).map(|node| node.id) else { return };
        let disks = ["/dev/sdb", "/dev/sdc", "/dev/sdd"].map(|disk| disk.parse().expect("a device path"));
        self.have(disks.map(|disk| Wish::Hosts(Hosts::AddDevice { node, disk })).into());
    }

    /// No rule keeps any brick from its new place any more. What lies in the trash cannot move and goes; so does what has lost its
    /// only copy.
    pub fn give_way(&mut self) {
        let Some(topology) = self.topology() else { return };
        let rules = topology.clusters.keys().map(|cluster| PolicyOf::Cluster(*cluster)).chain([PolicyOf::Installation]);
        let rules = rules.map(|of| Wish::Rules(Rules::Policy { of, policy: Policy::default() }));
        self.have(rules.collect());
        let on_the_lost: Vec<Volume> = topology
            .volumes
            .values()
            .filter(|volume| has_a_lost_host(&topology, volume))
            .map(|v| Volume::clone(v))
            .collect();
        for volume in on_the_lost {
            let id = volume.id;
            let gone = match (volume.trash, volume.layout) {
                (Some(_), _) => Wish::Trash(Trash::End { volume: id }),
                (None, Layout::Distribute) => Wish::Files(Files::Delete { volume: id }),
                (None, _) => continue,
            };
            self.have(vec![Wish::Trash(Trash::Protect { volume: id, protected: false })]);
            self.have(vec![gone]);
        }
    }

    /// Asks for it, and waits until all of it is answered and done but for what waits for the lost host.
    fn have(&mut self, wishes: Vec<Wish>) {
        wishes.into_iter().for_each(|wish| self.ask(wish));
        self.run_until(PATIENCE, |world| world.asked.is_empty() && world.only_waits_for_the_lost());
    }
}

fn has_a_lost_host(topology: &Topology, volume: &Volume) -> bool {
    volume.bricks.iter().any(|brick| topology.nodes.get(&brick.node).is_some_and(|node| node.lost))
}
