//! The devices of a cluster as placement sees them: records, and what their agents say now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId};
use bricklayer_proto::inventory::FullDisk;
use bricklayer_proto::size::Extents;

use super::context::Context;
use crate::agents::{AgentApi, Sight};
use crate::model::{AdminState, Device, Host, Hosted, Topology};
use crate::placement::{Candidate, DeviceSpace, Pool, Reserve, Standing};

/// Agents report at least once a minute; after two a device's group has surely been in a report.
const SETTLED_SECONDS: i64 = 120;

/// Every device of the cluster as placement sees it, those that take no bricks included: a refusal names them too.
pub fn candidates(context: &Context, topology: &Topology, cluster: ClusterId) -> Vec<Candidate> {
    let reserve = context.terms(topology, cluster).reserve;
    let of = |host: &Arc<Host>| of_host(host, &context.agents.sight(host.node.id), reserve);
    topology.hosts_of(cluster).flat_map(of).collect()
}

/// Some of them; the other nodes of the cluster are not looked at.
pub fn candidates_on(
    context: &Context,
    topology: &Topology,
    cluster: ClusterId,
    devices: &BTreeSet<DeviceId>,
) -> Vec<Candidate> {
    let reserve = context.terms(topology, cluster).reserve;
    let nodes = devices.iter().filter_map(|id| Some(topology.devices.get(id)?.node));
    let nodes: BTreeSet<NodeId> = nodes.collect();
    let hosts = nodes.into_iter().filter_map(|node| topology.host(cluster, node));
    let of = |host: &Arc<Host>| of_host(host, &context.agents.sight(host.node.id), reserve);
    hosts.flat_map(of).filter(|candidate| devices.contains(&candidate.device)).collect()
}

/// The same, for [`crate::placement::place_in`] and its like. Only nodes of which something has changed since somebody
/// asked last are looked at again.
pub fn pool(context: &Context, topology: &Topology, cluster: ClusterId) -> Arc<Pool> {
    context.pools.of(&*context.agents, topology, cluster, context.terms(topology, cluster).reserve)
}

/// A pool for each cluster, and what it was made from. It says nothing that the topology and the agents do not say: it
/// is a cache, and any snapshot may be asked about, in any order.
#[derive(Default)]
pub struct Pools {
    by_cluster: Mutex<BTreeMap<ClusterId, Kept>>,
}

#[derive(Default)]
struct Kept {
    pool: Arc<Pool>,
    /// By node id.
    sources: Vec<Source>,
    reserve: Reserve,
}

/// What a node's candidates were made from.
struct Source {
    host: Arc<Host>,
    sight: Sight,
}

impl Pools {
    fn of(&self, agents: &dyn AgentApi, topology: &Topology, cluster: ClusterId, reserve: Reserve) -> Arc<Pool> {
        let mut by_cluster = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        by_cluster.retain(|id, _| topology.clusters.contains_key(id) || *id == cluster);
        let kept = by_cluster.entry(cluster).or_default();
        let hosts: Vec<_> = topology.hosts_of(cluster).collect();
        let nodes: Vec<_> = hosts.iter().map(|host| host.node.id).collect();
        kept.renew(hosts.into_iter().zip(agents.sights(&nodes)), reserve);
        Arc::clone(&kept.pool)
    }
}

impl Kept {
    /// `hosts`: all of the cluster's, by node id.
    fn renew<'a>(&mut self, hosts: impl Iterator<Item = (&'a Arc<Host>, Sight)>, reserve: Reserve) {
        if self.reserve != reserve {
            *self = Self { reserve, ..Self::default() };
        }
        let mut before = std::mem::take(&mut self.sources).into_iter().peekable();
        self.sources.reserve(before.len());
        for (host, sight) in hosts {
            let node = host.node.id;
            while let Some(gone) = before.next_if(|source| source.host.node.id < node) {
                Arc::make_mut(&mut self.pool).remove(gone.host.node.id);
            }
            let known = before.next_if(|source| source.host.node.id == node);
            let same = |source: &Source| Arc::ptr_eq(&source.host, host) && source.sight.is(&sight);
            if let Some(source) = known.filter(same) {
                self.sources.push(source);
                continue;
            }
            Arc::make_mut(&mut self.pool).put(node, of_host(host, &sight, reserve));
            self.sources.push(Source { host: Arc::clone(host), sight });
        }
        for gone in before {
            Arc::make_mut(&mut self.pool).remove(gone.host.node.id);
        }
    }
}

fn of_host(host: &Host, sight: &Sight, reserve: Reserve) -> Vec<Candidate> {
    let node = &host.node;
    let candidate = |hosted: &Hosted| {
        let device = &hosted.device;
        let mut tags = node.tags.clone();
        tags.extend(device.tags.clone());
        let mut hindrances = hindrances(host, hosted, sight).into_iter();
        Candidate {
            device: device.id,
            node: node.id,
            zone: node.zone.get(),
            standing: hindrances.next().unwrap_or(Standing::Ready),
            also: hindrances.collect(),
            space: space(device, hosted.free, hosted.spare, reserve),
            thin_only: sight.is_thin_only(),
            tags,
            node_name: node.name().to_owned(),
            device_name: device.name.to_string(),
        }
    };
    host.devices.iter().map(candidate).collect()
}

/// What bricks may take of a device of which so much is free.
pub fn space(device: &Device, free: Extents, spare: Extents, reserve: Reserve) -> DeviceSpace {
    let (extent_size, total) = (device.space.extent_size, device.space.total);
    let space = DeviceSpace { extent_size, total, free, spare, kept: Extents::ZERO };
    space.keeping(reserve.of(total, extent_size))
}

/// All that keeps the device out, what people have said of it first. Nothing else matters of what is lost.
fn hindrances(host: &Host, hosted: &Hosted, sight: &Sight) -> Vec<Standing> {
    let device = &hosted.device;
    if device.lost || host.node.lost {
        return vec![Standing::Lost];
    }
    let said = |state, offline, failed| match state {
        AdminState::Online => None,
        AdminState::Offline => Some(offline),
        AdminState::Failed => Some(failed),
    };
    let mut all = Vec::new();
    all.extend(said(host.node.state, Standing::NodeOffline, Standing::NodeFailed));
    all.extend(said(device.state, Standing::DeviceOffline, Standing::DeviceFailed));
    if hosted.leaving {
        all.push(Standing::Changing);
    }
    all.extend(seen(device, sight));
    all
}

/// What its host shows of it, if that is amiss.
fn seen(device: &Device, sight: &Sight) -> Option<Standing> {
    let Some((inventory, received)) = sight.inventory.as_ref().filter(|_| sight.attached) else {
        return Some(Standing::AgentDetached);
    };
    if !inventory.gluster.running {
        return Some(Standing::GlusterDown);
    }
    if inventory.full_disk.as_ref().is_some_and(FullDisk::refuses) {
        return Some(Standing::AgentDiskFull);
    }
    if inventory.fstab_fault.is_some() {
        return Some(Standing::FstabFixed);
    }
    let mut ailing = inventory.ailing.iter().filter(|ailing| ailing.device == device.id).peekable();
    if ailing.peek().is_some() {
        let disk = ailing.any(|part| part.brick.is_none());
        return Some(if disk { Standing::DiskFails } else { Standing::BrickFails });
    }
    let Some(group) = inventory.groups.iter().find(|group| group.tags.is_some_and(|tags| tags.device == device.id))
    else {
        // A report may have been on its way while the group was made, so a young device is taken at its own word.
        let settled = (*received - device.added).get_seconds() > SETTLED_SECONDS;
        return settled.then_some(Standing::GroupMissing);
    };
    let damaged = group.condemned || group.physical_volumes.iter().any(|volume| volume.missing);
    if damaged {
        return Some(Standing::GroupDamaged);
    }
    if group.volumes.iter().any(|volume| volume.kind.pool_fault().is_some()) {
        return Some(Standing::PoolFails);
    }
    let unchecked = inventory.missing_thin_tool.is_some() && group.volumes.iter().any(|volume| volume.kind.is_pool());
    unchecked.then_some(Standing::ThinToolMissing)
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::inventory::{GlusterSeen, Inventory};
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::model::snapshots;

    fn inventory(running: bool) -> Arc<Inventory> {
        let gluster = GlusterSeen { running, ..GlusterSeen::default() };
        Arc::new(Inventory { gluster, ..Inventory::default() })
    }

    proptest! {
        /// Whichever snapshots are asked about, in whatever order, whatever agents say meanwhile.
        #[test]
        fn a_pool_that_is_renewed_is_the_one_that_is_made_anew(
            snapshots in snapshots(),
            looks in prop::collection::vec((any::<prop::sample::Index>(), prop::array::uniform4(0..5_usize), 0..2_u8), 1..20),
        ) {
            let reports = [inventory(true), inventory(true), inventory(false)];
            let mut kept = [Kept::default(), Kept::default()];
            for (at, agents, percent) in looks {
                let reserve = Reserve::Percent(percent);
                let topology = at.get(&snapshots);
                let sight = |node: NodeId| {
                    let say = (0..4_u128).zip(agents).find(|(number, _)| NodeId::from_u128(*number) == node);
                    let report = say.and_then(|(_, say)| reports.get(say)).cloned();
                    let inventory = report.map(|report| (report, Timestamp::UNIX_EPOCH));
                    let attached = say.is_some_and(|(_, say)| say != 1);
                    let protocol = say.filter(|_| attached).map(|(_, say)| if say == 0 { 1 } else { 2 });
                    Sight { attached, protocol, inventory }
                };
                for (cluster, kept) in [0, 1].into_iter().zip(&mut kept) {
                    let hosts = || topology.hosts_of(ClusterId::from_u128(cluster));
                    kept.renew(hosts().map(|host| (host, sight(host.node.id))), reserve);
                    let mut anew = Pool::default();
                    for host in hosts() {
                        anew.put(host.node.id, of_host(host, &sight(host.node.id), reserve));
                    }
                    prop_assert_eq!(kept.pool.as_ref(), &anew);
                }
            }
        }
    }
}
