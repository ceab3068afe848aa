//! What heketi or a person made becomes ours, and is given back: marks on the hosts first, then the records, in one change.
//!
//! What is to be adopted is decided by [`crate::adopt`], from what the hosts show now. Every stage can be taken back, as
//! nothing but marks is ever written.

mod marks;
mod unadopt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bricklayer_proto::ids::{DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::Inventory;
use bricklayer_proto::names::{HostName, VgName, VolumeName};
use bricklayer_proto::task::{Report, Wanted};
use futures::future::join_all;

use super::context::{Asker, Context, Run, Wait};
use super::node_add::host_name_is_free;
use super::step::Stage;
use crate::adopt::{
    Choices, Facts, Finding, HeketiDb, HostFacts, Hosts, Takeover, by_hand, of_disks, of_heketi, verify,
};
use crate::agents::Presence;
use crate::model::{Adopt, Device, Resource, Topology, Volume};
use crate::state::Change;
use marks::all_steps;

pub use unadopt::{UnadoptWish, finish as unadopt_finish, stages as unadopt_stages, submit as unadopt};

/// Who says what is there.
#[derive(Clone, Debug)]
pub enum AdoptFrom {
    Heketi(Box<HeketiDb>),
    /// heketi's database is lost; its names on the hosts tell.
    Disks,
    Volume(VolumeName),
}

/// Asks all hosts and holds what is claimed against what they show. Changes nothing.
pub async fn outlook(context: &Context, from: AdoptFrom, choices: &Choices) -> Takeover {
    let mut findings = Vec::new();
    let hosts = survey(context, &mut findings).await;
    let topology = context.state.read();
    let facts = Facts {
        topology: &topology,
        installation: context.installation,
        hosts: Hosts::of(hosts, &topology),
        now: context.clock.now(),
    };
    let mut fresh = || VolumeId::random().to_u128();
    let claims = match &from {
        AdoptFrom::Heketi(db) => of_heketi(db, &facts, choices, &mut findings),
        AdoptFrom::Disks => of_disks(&facts, choices, &mut fresh, &mut findings),
        AdoptFrom::Volume(name) => by_hand(name, &facts, choices, &mut fresh, &mut findings),
    };
    verify(claims, &facts, choices, findings)
}

/// What every attached agent shows; glusterd is asked once per pool.
async fn survey(context: &Context, findings: &mut Vec<Finding>) -> Vec<HostFacts> {
    let mut asked: Vec<BTreeSet<String>> = Vec::new();
    let mut all = Vec::new();
    for status in context.agents.all() {
        let (Presence::Attached { .. }, Some((inventory, _))) =
            (status.presence, context.agents.inventory(status.node))
        else {
            continue;
        };
        let own = inventory.gluster.uuid.clone().filter(|_| inventory.gluster.running);
        let gluster = own.as_ref().is_some_and(|own| !asked.iter().any(|pool| pool.contains(own)));
        if gluster {
            asked.push(inventory.gluster.peers.iter().map(|peer| peer.uuid.clone()).chain(own).collect());
        }
        all.push((status, inventory, gluster));
    }
    let answers = all.into_iter().map(|(status, inventory, gluster)| async move {
        let wanted = Wanted::HostSurveyed { gluster };
        let answer = context.ask_as(&Asker::onlooker(), status.node, wanted, Wait::NotAtAll).await;
        match answer.map(|done| done.report) {
            Ok(Report::Survey(survey)) => {
                let inventory = match survey.gluster.clone() {
                    Some(gluster) => Arc::new(Inventory { gluster, ..Inventory::clone(&inventory) }),
                    None => inventory,
                };
                let from = match status.presence {
                    Presence::Attached { from, .. } => Some(from.ip()),
                    Presence::Detached { .. } | Presence::Revoked { .. } => None,
                };
                let (agent, name, zone) = (status.node, status.name, status.zone);
                Ok(HostFacts { agent, name, from, zone, inventory, survey })
            }
            Ok(_) => Err(unseen(&status.name, "its agent answered something else")),
            Err(error) => Err(unseen(&status.name, &error.to_string())),
        }
    });
    let mut hosts = Vec::new();
    for answer in join_all(answers).await {
        match answer {
            Ok(host) => hosts.push(host),
            Err(finding) => findings.push(finding),
        }
    }
    hosts
}

fn unseen(host: &HostName, why: &str) -> Finding {
    // Whatever needs it finds that it is not there, and blocks.
    Finding::note("host-unseen", host, format!("could not be looked at, and is left out: {why}"))
        .cure("Its agent has to be of this version, and its glusterd has to answer")
}

/// LVM's number of the state in which each group was seen, by which an outdated plan is known.
pub fn groups_of(context: &Context, adopt: &Adopt) -> BTreeMap<(NodeId, VgName), u64> {
    let topology = context.state.read();
    let devices = devices_of(&topology, &adopt.devices, &adopt.volumes);
    devices.iter().map(|device| ((device.node, device.group()), device.space.seqno)).collect()
}

fn seqno(context: &Context, device: &Device) -> Option<u64> {
    let (inventory, _) = context.agents.inventory(device.node)?;
    inventory.groups.iter().find(|group| group.name == device.group()).map(|group| group.space.seqno)
}

/// Within a change: what of the plan does not hold any more.
pub fn moved(
    context: &Context,
    topology: &Topology,
    adopt: &Adopt,
    groups: &BTreeMap<(NodeId, VgName), u64>,
) -> Vec<String> {
    let mut moved = Vec::new();
    for node in &adopt.nodes {
        let names = || node.manage.iter().chain(&node.storage);
        if topology.nodes.contains_key(&node.id) {
            moved.push(format!("node {} is there already", node.name()));
        } else if let Some(taken) = names().find_map(|name| host_name_is_free(topology, name, None).err()) {
            moved.push(taken.to_string());
        }
    }
    for device in adopt.devices.iter().filter(|device| topology.devices.contains_key(&device.id)) {
        moved.push(format!("device {} is there already", device.id));
    }
    for volume in &adopt.volumes {
        if topology.volumes.contains_key(&volume.id) || topology.is_changing(volume.id) {
            moved.push(format!("volume {} is ours already, or becomes it", volume.name));
        } else if topology.name_is_taken(volume.cluster, volume.name.as_str()) {
            moved.push(format!("a volume {} was made", volume.name));
        }
    }
    for device in devices_of(topology, &adopt.devices, &adopt.volumes) {
        let (group, now) = (device.group(), seqno(context, &device));
        // A report may be older than the look that the plan was made from.
        if now > groups.get(&(device.node, group.clone())).copied() {
            moved.push(format!("LVM has changed volume group {group}"));
        }
        if topology.is_moving(device.id) {
            moved.push(format!("device {} is being changed", device.id));
        }
    }
    moved
}

/// These devices, and those on which the volumes' bricks are.
fn devices_of(topology: &Topology, devices: &[Device], volumes: &[Volume]) -> Vec<Device> {
    let mut all: BTreeMap<DeviceId, Device> = devices.iter().map(|device| (device.id, device.clone())).collect();
    for brick in volumes.iter().flat_map(|volume| &volume.bricks) {
        if let Some(device) = topology.devices.get(&brick.device) {
            all.entry(device.id).or_insert_with(|| Device::clone(device));
        }
    }
    all.into_values().collect()
}

pub fn stages(context: &Context, operation: OperationId, plan: &Adopt) -> Vec<Stage> {
    let [groups, bricks, volumes] = all_steps(context, operation, &plan.nodes, &plan.devices, &plan.volumes, true);
    vec![Stage::of(groups), Stage::of(bricks), Stage::of(volumes)]
}

pub fn finish(change: &mut Change, run: &Run, plan: &Adopt) -> Option<Resource> {
    let spaces: BTreeMap<_, _> = run.spaces().into_iter().collect();
    plan.clusters.iter().cloned().for_each(|cluster| change.put_cluster(cluster));
    plan.nodes.iter().cloned().for_each(|node| change.put_node(node));
    for device in &plan.devices {
        let space = spaces.get(&device.id).copied().unwrap_or(device.space);
        change.put_device(Device { space, ..device.clone() });
    }
    plan.volumes.iter().cloned().for_each(|volume| change.put_volume(volume));
    plan.block_volumes.iter().cloned().for_each(|block| change.put_block_volume(block));
    count_strangers(change, &plan.devices, &plan.volumes);
    match plan.volumes.as_slice() {
        [one] => Some(Resource::Volume(one.id)),
        _ => plan.clusters.first().map(|cluster| Resource::Cluster(cluster.id)),
    }
}

/// What of the devices is neither ours nor free is others', from now on more or less than before.
fn count_strangers(change: &mut Change, devices: &[Device], volumes: &[Volume]) {
    for device in devices_of(change, devices, volumes) {
        let Some(known) = change.devices.get(&device.id).map(|known| Device::clone(known)) else { continue };
        let foreign = change.foreign(known.id, &known.space);
        if foreign != known.foreign {
            change.put_device(Device { foreign, ..known });
        }
    }
}
