//! What heketi or a person made becomes ours, and is given back: marks on the hosts first, then the records, in one change.
//!
//! What is to be adopted is decided by [`crate::adopt`], from what the hosts show now. Every stage can be taken back, as
//! nothing but marks is ever written.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption, VolumeAdoption};
use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::{HostName, VgName, VolumeName};
use bricklayer_proto::size::Extents;
use bricklayer_proto::task::{Report, Wanted};
use futures::future::join_all;
use jiff::Timestamp;

use super::bricks::{host_name, unless_lost};
use super::context::{Asker, Context, Run, Wait};
use super::gluster::is_about_the_host;
use super::step::{Stage, Step, StepError};
use super::{Rejected, whole};
use crate::adopt::{
    Choices, Facts, Finding, HeketiDb, HostFacts, Hosts, MOST_BRICKS, Takeover, by_hand, is_mounted_by_glusterd,
    of_disks, of_heketi, verify,
};
use crate::agents::Presence;
use crate::model::{Adopt, Brick, Device, Node, Operation, Plan, Resource, Topology, Unadopt, Volume};
use crate::state::Change;

/// Who says what is there.
#[derive(Clone, Debug)]
pub enum AdoptFrom {
    Heketi(Box<HeketiDb>),
    /// heketi's database is lost; its names on the hosts tell.
    Disks,
    Volume(VolumeName),
}

/// What is to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnadoptWish {
    Volume(VolumeId),
    /// One that holds no brick of ours any more.
    Device(DeviceId),
    /// All of it.
    Cluster(ClusterId),
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
        now: Timestamp::now(),
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
                Ok(HostFacts { agent: status.node, name: status.name, zone: status.zone, inventory, survey })
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
    Finding::blocking("host-unseen", host, format!("could not be looked at: {why}"))
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
    for node in adopt.nodes.iter().filter(|node| topology.nodes.contains_key(&node.id)) {
        moved.push(format!("node {} is there already", node.name()));
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

/// Decides whether this can be given back, and writes the operation down.
pub async fn unadopt(context: &Context, wish: UnadoptWish) -> Result<Operation, Rejected> {
    context
        .state
        .change(|change| {
            let plan = match wish {
                UnadoptWish::Volume(id) => {
                    let volume = whole(change, id)?;
                    Unadopt { volumes: vec![volume], ..Unadopt::default() }
                }
                UnadoptWish::Device(id) => {
                    let device = change.devices.get(&id).ok_or(Rejected::NotFound)?;
                    if change.brick_spaces(id).next().is_some() {
                        return Err(Rejected::DeviceNotEmpty(id));
                    }
                    Unadopt { devices: vec![Device::clone(device)], ..Unadopt::default() }
                }
                UnadoptWish::Cluster(id) => {
                    if !change.clusters.contains_key(&id) {
                        return Err(Rejected::NotFound);
                    }
                    let volumes: Vec<VolumeId> = change.volumes_of(id).map(|volume| volume.id).collect();
                    let volumes = volumes.into_iter().map(|id| whole(change, id)).collect::<Result<_, _>>()?;
                    let nodes: Vec<NodeId> = change.nodes_of(id).map(|node| node.id).collect();
                    let devices = nodes.iter().flat_map(|node| change.devices_of(*node));
                    let devices = devices.map(|device| Device::clone(device)).collect();
                    Unadopt { clusters: vec![id], nodes, devices, volumes }
                }
            };
            can_be_given_back(change, &plan)?;
            let operation = Operation::begun(Plan::Unadopt(plan));
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

fn can_be_given_back(topology: &Topology, plan: &Unadopt) -> Result<(), Rejected> {
    for volume in &plan.volumes {
        if let Some(brick) = volume.bricks.iter().find(|brick| !brick.adopted) {
            let whose = if volume.bricks.iter().any(|brick| brick.adopted) { "has a brick" } else { "has bricks" };
            return Err(Rejected::CannotGiveBack(format!(
                "volume {} {whose} that Bricklayer made, {} on {}, of which nobody else knows",
                volume.name,
                brick.id,
                host_name(topology, brick)
            )));
        }
        let goes = |other: &Brick| plan.volumes.iter().any(|volume| volume.brick(other.id).is_some());
        for brick in &volume.bricks {
            let on_device = topology.bricks.get(&brick.device).into_iter().flat_map(|bricks| bricks.values());
            let mut sharing = on_device.filter(|other| other.pool_lv() == brick.pool_lv() && !goes(other));
            if let Some(other) = sharing.next() {
                return Err(Rejected::CannotGiveBack(format!(
                    "brick {} of volume {} lies in one thin pool with brick {}, which stays",
                    brick.id, volume.name, other.id
                )));
            }
        }
    }
    for device in &plan.devices {
        if device.adopted.is_none() {
            return Err(Rejected::CannotGiveBack(format!(
                "device {} ({}) was made by Bricklayer",
                device.name, device.id
            )));
        }
        if topology.is_moving(device.id) {
            return Err(Rejected::Busy);
        }
    }
    let bricks: usize = plan.volumes.iter().map(|volume| volume.bricks.len()).sum();
    if bricks > MOST_BRICKS {
        return Err(Rejected::CannotGiveBack(format!(
            "it has {bricks} bricks, and {MOST_BRICKS} are given back at a time: give volumes back first"
        )));
    }
    Ok(())
}

pub fn stages(context: &Context, operation: OperationId, plan: &Adopt) -> Vec<Stage> {
    let [groups, bricks, volumes] = all_steps(context, operation, &plan.nodes, &plan.devices, &plan.volumes, true);
    vec![Stage::of(groups), Stage::of(bricks), Stage::of(volumes)]
}

pub fn unadopt_stages(context: &Context, operation: OperationId, plan: &Unadopt) -> Vec<Stage> {
    let [groups, bricks, volumes] = all_steps(context, operation, &[], &plan.devices, &plan.volumes, false);
    vec![Stage::of(volumes), Stage::of(bricks), Stage::of(groups)]
}

fn all_steps(
    context: &Context,
    operation: OperationId,
    nodes: &[Node],
    devices: &[Device],
    volumes: &[Volume],
    take: bool,
) -> [Vec<Box<dyn Step>>; 3] {
    let topology = context.state.read();
    let known =
        |id: NodeId| nodes.iter().find(|node| node.id == id).or_else(|| topology.nodes.get(&id).map(|node| &**node));
    let name = |id: NodeId| known(id).map_or_else(|| id.to_string(), |node| node.name().to_owned());
    let verb = if take { "adopt" } else { "give back" };
    let groups = devices.iter().map(|device| {
        let spec = GroupAdoption {
            device: device.id,
            installation: context.installation,
            node: device.node,
            group: device.group(),
            pv_uuid: device.pv_uuid.clone(),
        };
        let name = format!("{verb} volume group {} on {}", spec.group, name(device.node));
        step(name, device.node, Some(device.id), take, Wanted::GroupAdopted(spec.clone()), Wanted::GroupReleased(spec))
    });
    let by_id: BTreeMap<DeviceId, Device> =
        devices_of(&topology, devices, volumes).into_iter().map(|device| (device.id, device)).collect();
    let bricks = volumes.iter().flat_map(|volume| volume.bricks.iter().map(move |brick| (volume, brick)));
    let bricks = bricks.filter_map(|(volume, brick)| {
        let spec = BrickAdoption {
            spec: volume.brick_spec(brick, context.installation, operation),
            group: by_id.get(&brick.device)?.group(),
            volume: brick.volume_lv(),
            pool: brick.pool_lv(),
            owns_pool: brick.space.pool > Extents::ZERO,
            path: brick.path.clone()?,
            mounted_by_glusterd: brick.path.as_ref().is_some_and(is_mounted_by_glusterd),
        };
        let place =
            format!("{} of {}", brick.set * volume.layout.bricks_per_set() + brick.position + 1, volume.bricks.len());
        let name = format!("{verb} brick {place} of volume {} on {}", volume.name, name(brick.node));
        let (adopted, released) = (Wanted::BrickAdopted(spec.clone()), Wanted::BrickReleased(spec));
        Some(step(name, brick.node, Some(brick.device), take, adopted, released))
    });
    let of_volumes = volumes.iter().filter_map(|volume| {
        let address = |brick: &Brick| {
            let host = known(brick.node)?.storage_host()?.clone();
            Some(bricklayer_proto::task::BrickAddress { host, path: brick.path.clone()? })
        };
        let spec = VolumeAdoption {
            key: volume.key(),
            bricks: volume.bricks.iter().map(address).collect::<Option<Vec<_>>>()?,
        };
        let nodes: BTreeSet<NodeId> = volume.bricks.iter().map(|brick| brick.node).collect();
        Some(Box::new(MarkVolume {
            name: format!("{verb} volume {}", volume.name),
            cluster: volume.cluster,
            nodes: nodes.into_iter().collect(),
            take,
            adopted: Wanted::VolumeAdopted(spec.clone()),
            released: Wanted::VolumeReleased(spec),
        }) as Box<dyn Step>)
    });
    [groups.collect(), bricks.collect(), of_volumes.collect()]
}

fn step(
    name: String,
    node: NodeId,
    device: Option<DeviceId>,
    take: bool,
    adopted: Wanted,
    released: Wanted,
) -> Box<dyn Step> {
    Box::new(Mark { name, node, device, take, adopted, released })
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

pub fn unadopt_finish(change: &mut Change, plan: &Unadopt) -> Option<Resource> {
    for volume in &plan.volumes {
        let blocks: Vec<_> = change.blocks_in(volume.id).map(|block| block.id).collect();
        blocks.into_iter().for_each(|block| change.remove_block_volume(block));
        change.remove_volume(volume.id);
    }
    for volume in &plan.volumes {
        change.release(&volume.bricks);
    }
    plan.devices.iter().for_each(|device| change.remove_device(device.id));
    plan.nodes.iter().for_each(|node| change.remove_node(*node));
    plan.clusters.iter().for_each(|cluster| change.remove_cluster(*cluster));
    count_strangers(change, &[], &plan.volumes);
    None
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

/// The marks of a group or a brick, there or gone.
struct Mark {
    name: String,
    node: NodeId,
    device: Option<DeviceId>,
    /// Forward is to adopt; otherwise it is to give back.
    take: bool,
    adopted: Wanted,
    released: Wanted,
}

impl Mark {
    async fn bring_about(&self, context: &Context, run: &Run, adopted: bool, wait: Wait) -> Result<(), StepError> {
        let wanted = if adopted { &self.adopted } else { &self.released };
        let ask = async {
            let done = context.ask(run, self.node, wanted.clone(), wait).await?;
            if let Some(device) = self.device {
                match done.report {
                    Report::Brick(report) => run.learn_space(device, report.space),
                    Report::Group { space } => run.learn_space(device, space),
                    _ => {}
                }
            }
            Ok(())
        };
        match self.device {
            // A device that is new to us cannot have been declared lost.
            Some(device) if context.state.read().devices.contains_key(&device) => {
                unless_lost(context, device, ask).await
            }
            _ => ask.await,
        }
    }
}

#[async_trait]
impl Step for Mark {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.bring_about(context, run, self.take, Wait::WhileAway).await
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.bring_about(context, run, !self.take, Wait::ForEver).await
    }
}

/// A volume's mark in GlusterFS. Its hosts are no nodes of ours before the operation has ended, so they are asked by their
/// ids.
struct MarkVolume {
    name: String,
    cluster: ClusterId,
    nodes: Vec<NodeId>,
    take: bool,
    adopted: Wanted,
    released: Wanted,
}

impl MarkVolume {
    async fn bring_about(&self, context: &Context, run: &Run, adopted: bool, wait: Wait) -> Result<(), StepError> {
        let _turn = context.gluster_turn(self.cluster).await;
        let wanted = if adopted { &self.adopted } else { &self.released };
        let mut last = None;
        for (at, node) in self.nodes.iter().enumerate() {
            // Whoever is the last to be asked is waited for.
            let wait = if at + 1 == self.nodes.len() { wait } else { Wait::NotAtAll };
            match context.ask(run, *node, wanted.clone(), wait).await {
                Ok(_) => return Ok(()),
                Err(error) if is_about_the_host(&error) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => Err(StepError::NoHost(format!("nobody can be asked: {}", self.name))),
        }
    }
}

#[async_trait]
impl Step for MarkVolume {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.bring_about(context, run, self.take, Wait::WhileAway).await
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        self.bring_about(context, run, !self.take, Wait::ForEver).await
    }
}
