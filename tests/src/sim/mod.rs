//! Hosts that exist in memory only, behind the agent's own seam ([`bricklayer_agent::host::Host`]).
//!
//! A [`SimCluster`] is a set of [`SimHost`]s and the GlusterFS between them. What the real tools refuse is refused
//! here with the same words, what LVM takes from a volume group is taken here to the extent, and what outlives a
//! power cut outlives it here. Nothing here may know the engine: a fake that helps its user proves nothing.
//!
//! Read [`host`] first, then [`lvm`], [`disk`], [`gluster`] with `layout`, `movement` and `snapshots`; [`faults`] is how tests make things go wrong.

mod block;
pub mod disk;
pub mod faults;
pub mod gluster;
pub mod heketi;
pub mod host;
mod layout;
pub mod lvm;
mod machine;
mod movement;
mod ours;
mod snapshots;
mod thin;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bricklayer_proto::names::HostName;

pub use disk::SimDisk;
pub use faults::{At, Call, Delays, Fault, Faults};
use gluster::Gluster;
pub use host::{Footprint, SimHost};
use machine::Machine;

/// Hosts that can reach one another, and their GlusterFS.
#[derive(Clone, Default)]
pub struct SimCluster {
    world: Arc<Mutex<World>>,
}

/// Names a host within its cluster: the place at which it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey(usize);

/// One lock for all: GlusterFS looks at many hosts at once, and every effect is a few map operations.
#[derive(Default)]
struct World {
    machines: BTreeMap<HostKey, Machine>,
    /// Every name and address that leads to a host.
    names: BTreeMap<HostName, HostKey>,
    gluster: Gluster,
    blocks: block::Blocks,
    /// Breaches of what Bricklayer promises, such as the destruction of something that was not condemned.
    violations: Vec<String>,
    /// A policy lets thin volumes be larger than their pools.
    over_commits: bool,
}

impl SimCluster {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From here on a thin volume that becomes larger than its pool breaks no promise.
    pub fn over_commit(&self) {
        self.lock().over_commits = true;
    }

    /// A host with an empty system disk of its own, powered on, its glusterd running and in a pool of its own.
    /// It answers to all of the names; the first is what it calls itself.
    ///
    /// # Panics
    /// If there is no name, or one of them is already another host's.
    pub fn add_host(&self, names: &[HostName]) -> SimHost {
        let mut world = self.lock();
        for name in names {
            assert!(world.resolve(name).is_none(), "{name} already names a simulated host");
        }
        let key = HostKey(world.machines.len());
        let name = names.first().expect("a host has a name").clone();
        world.machines.insert(key, Machine::new(names.to_vec()));
        world.names.extend(names.iter().map(|name| (name.clone(), key)));
        world.gluster.add(key);
        drop(world);
        SimHost::new(self.clone(), key, name)
    }

    /// The host that answers to this name.
    #[must_use]
    pub fn knows(&self, name: &HostName) -> bool {
        self.lock().resolve(name).is_some()
    }

    /// What was done that never should have been. Empty after every test that passed.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A violation panics while it holds the lock; what it leaves is whole.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn resolve(&self, name: &HostName) -> Option<HostKey> {
        self.names.get(name).copied()
    }

    fn machine(&self, key: HostKey) -> &Machine {
        &self.machines[&key]
    }

    fn machine_mut(&mut self, key: HostKey) -> &mut Machine {
        self.machines.get_mut(&key).expect("hosts are never removed")
    }
}
