//! The hosts as their agents show them, by every name that could mean one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bricklayer_proto::adopt::{HostSurvey, PlaceSeen, VolumeSurvey};
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::inventory::{Inventory, LogicalVolume, VolumeGroup};
use bricklayer_proto::names::{BrickPath, HostName, LvName, VgName};

use crate::model::Topology;

/// One host.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// The agent's own id.
    pub agent: NodeId,
    /// The name under which it enrolled.
    pub name: HostName,
    /// From where its agent dials.
    pub from: Option<IpAddr>,
    /// As its invitation said.
    pub zone: Option<u32>,
    pub inventory: Arc<Inventory>,
    pub survey: HostSurvey,
}

/// All that answered.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    by_agent: BTreeMap<NodeId, HostFacts>,
    /// Names that lead to a host: its own, those of its node, and those by which its peers know it.
    by_name: BTreeMap<HostName, NodeId>,
}

impl HostFacts {
    #[must_use]
    pub fn group(&self, name: &VgName) -> Option<&VolumeGroup> {
        self.survey.groups.iter().find(|group| group.name == *name)
    }

    /// The logical volume that a path lies on.
    #[must_use]
    pub fn place_of(&self, path: &BrickPath) -> Option<&PlaceSeen> {
        let above = self.survey.places.iter().filter(|place| path.folder_in(&place.at).is_some());
        above.max_by_key(|place| place.at.as_str().len())
    }

    /// Whether the other host is in this one's trusted storage pool.
    #[must_use]
    pub fn is_peer_of(&self, other: &Self) -> bool {
        let Some(theirs) = &other.inventory.gluster.uuid else { return false };
        let gluster = &self.inventory.gluster;
        gluster.uuid.as_ref() == Some(theirs) || gluster.peers.iter().any(|peer| peer.uuid == *theirs)
    }

    /// Every host of its pool, itself included, by GlusterFS's ids.
    #[must_use]
    pub fn pool(&self) -> BTreeSet<&str> {
        let gluster = &self.inventory.gluster;
        gluster.peers.iter().map(|peer| peer.uuid.as_str()).chain(gluster.uuid.as_deref()).collect()
    }
}

impl Hosts {
    #[must_use]
    pub fn of(hosts: Vec<HostFacts>, topology: &Topology) -> Self {
        let mut by_name = BTreeMap::new();
        // What leads to two hosts, as localhost would, leads to none.
        let add = |by_name: &mut BTreeMap<HostName, Option<NodeId>>, name: &HostName, agent: NodeId| {
            let known = by_name.entry(name.clone()).or_insert(Some(agent));
            if *known != Some(agent) {
                *known = None;
            }
        };
        for host in &hosts {
            add(&mut by_name, &host.name, host.agent);
            if let Some(node) = topology.nodes.get(&host.agent) {
                node.manage.iter().chain(&node.storage).for_each(|name| add(&mut by_name, name, host.agent));
            }
        }
        for peer in hosts.iter().flat_map(|host| &host.inventory.gluster.peers) {
            let is_it = |host: &&HostFacts| host.inventory.gluster.uuid.as_ref() == Some(&peer.uuid);
            if let (Some(host), Ok(name)) = (hosts.iter().find(is_it), peer.host.parse::<HostName>()) {
                add(&mut by_name, &name, host.agent);
            }
        }
        // Of least weight: several hosts may be behind one address. It only finds a host, and grants nothing.
        let mut by_address = BTreeMap::new();
        for host in &hosts {
            let Some(name) = host.from.and_then(|from| from.to_string().parse::<HostName>().ok()) else { continue };
            by_address.entry(name).and_modify(|known| *known = None).or_insert(Some(host.agent));
        }
        for (name, agent) in by_address {
            by_name.entry(name).or_insert(agent);
        }
        let by_name = by_name.into_iter().filter_map(|(name, agent)| Some((name, agent?))).collect();
        Self { by_agent: hosts.into_iter().map(|host| (host.agent, host)).collect(), by_name }
    }

    pub fn all(&self) -> impl Iterator<Item = &HostFacts> {
        self.by_agent.values()
    }

    #[must_use]
    pub fn get(&self, agent: NodeId) -> Option<&HostFacts> {
        self.by_agent.get(&agent)
    }

    #[must_use]
    pub fn named(&self, name: &HostName) -> Option<&HostFacts> {
        self.get(*self.by_name.get(name)?)
    }

    /// By a word of a person's: an agent's name or id.
    #[must_use]
    pub fn meant(&self, word: &str) -> Option<&HostFacts> {
        let by_id = word.parse().ok().and_then(|id| self.get(id));
        by_id.or_else(|| self.all().find(|host| host.name.as_str() == word))
    }

    /// The only host that has something mounted above this path, as ids in heketi's paths see to.
    #[must_use]
    pub fn with_place_of(&self, path: &BrickPath) -> Option<&HostFacts> {
        let mut found = self.all().filter(|host| host.place_of(path).is_some());
        found.next().filter(|_| found.next().is_none())
    }

    /// What glusterd has in the pool that a host is in.
    #[must_use]
    pub fn volumes_of(&self, host: &HostFacts) -> Option<&[VolumeSurvey]> {
        let asked = self.all().find(|other| other.survey.volumes.is_some() && other.is_peer_of(host))?;
        asked.survey.volumes.as_deref()
    }
}

/// The logical volume of that name.
#[must_use]
pub fn volume<'a>(group: &'a VolumeGroup, name: &LvName) -> Option<&'a LogicalVolume> {
    group.volumes.iter().find(|volume| volume.name == *name)
}
