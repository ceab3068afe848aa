//! A raw disk becomes a device: a volume group of its own.

use async_trait::async_trait;
use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::{Disk, Obstacle};
use bricklayer_proto::names::DevicePath;
use bricklayer_proto::size::{ExtentSize, Extents};
use bricklayer_proto::task::{DeviceSpec, Report, Wanted};
use jiff::Timestamp;

use super::Rejected;
use super::bricks::unless;
use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
use crate::agents::AgentError;
use crate::model::{AdminState, Device, DeviceAdd, DiskIdentity, Operation, Plan, Resource, Tags, Topology};
use crate::state::Change;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceWish {
    pub node: NodeId,
    pub name: DevicePath,
    /// heketi's `destroydata`.
    pub destroy: bool,
    pub tags: Tags,
}

pub async fn submit(context: &Context, wish: DeviceWish) -> Result<Operation, Rejected> {
    let manage = context.state.read().nodes.get(&wish.node).and_then(|node| node.manage.first().cloned());
    if let (Some(hook), Some(manage)) = (&context.unknown_node, manage) {
        hook.plug(&manage, &wish.name).await;
    }
    let seen = context.agents.inventory(wish.node).map(|(inventory, _)| inventory);
    let disk = seen.as_ref().and_then(|inventory| find(&inventory.disks, &wish.name));
    context
        .state
        .change(|change| {
            let node = change.nodes.get(&wish.node).ok_or(Rejected::NoSuchNode(wish.node))?;
            if !context.agents.is_attached(node.id) {
                return Err(Rejected::AgentAway { name: node.name().to_owned() });
            }
            let leaves = |operation: &std::sync::Arc<Operation>| match &operation.plan {
                Plan::NodeDelete(delete) => delete.node.id == wish.node,
                plan => plan.adopts_on(wish.node),
            };
            if change.unfinished.values().any(leaves) {
                return Err(Rejected::Busy);
            }
            if let Some(device) = known(change, &wish, disk) {
                let node = node.name().to_owned();
                return Err(Rejected::DeviceKnown { name: wish.name.clone(), node, device });
            }
            let DeviceWish { node, name, destroy, tags } = wish;
            let device = DeviceId::random();
            let operation =
                Operation::begun(Plan::DeviceAdd(DeviceAdd { device, node, name, destroy, tags }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

/// The disk of that name, by whichever of its names.
pub fn find<'a>(disks: &'a [Disk], name: &DevicePath) -> Option<&'a Disk> {
    disks.iter().find(|disk| disk.path == *name || disk.links.contains(name))
}

/// The device that the disk already is or is about to become. heketi compared nothing, and took a disk twice.
fn known(topology: &Topology, wish: &DeviceWish, disk: Option<&Disk>) -> Option<DeviceId> {
    let same_disk = |device: &Device| {
        device.name == wish.name
            || disk.is_some_and(|disk| {
                (disk.serial.is_some() && disk.serial == device.disk.serial)
                    || (disk.wwn.is_some() && disk.wwn == device.disk.wwn)
            })
    };
    let device = topology.devices_of(wish.node).find(|device| same_disk(device)).map(|device| device.id);
    device.or_else(|| {
        topology.unfinished.values().find_map(|operation| match &operation.plan {
            Plan::DeviceAdd(add) if add.node == wish.node && add.name == wish.name => Some(add.device),
            _ => None,
        })
    })
}

pub fn stages(context: &Context, plan: &DeviceAdd) -> Vec<Stage> {
    let spec = DeviceSpec {
        device: plan.device,
        installation: context.installation,
        node: plan.node,
        path: plan.name.clone(),
        extent_size: ExtentSize::FOUR_MIB,
        destroy: plan.destroy,
    };
    vec![Stage::one(MakeGroup { spec })]
}

pub fn finish(change: &mut Change, run: &Run, plan: &DeviceAdd, now: Timestamp) -> Result<Option<Resource>, StepError> {
    let report = run.device()?;
    change.put_device(Device {
        id: plan.device,
        node: plan.node,
        name: plan.name.clone(),
        pv_uuid: report.pv_uuid,
        disk: DiskIdentity::from(&report.disk),
        space: report.space,
        foreign: Extents::ZERO,
        state: AdminState::Online,
        tags: plan.tags.clone(),
        lost: false,
        adopted: None,
        added: now,
    });
    Ok(None)
}

/// The disk is there, and nobody can tell what is on it.
fn is_unreadable(error: &AgentError) -> bool {
    let AgentError::Failed { failure, .. } = error else { return false };
    failure.obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Unknown { .. }))
}

struct MakeGroup {
    spec: DeviceSpec,
}

#[async_trait]
impl Step for MakeGroup {
    fn name(&self) -> String {
        format!("make {} a physical volume and a volume group", self.spec.path)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wanted = Wanted::Device(self.spec.clone());
        let done = loop {
            match context.ask(run, self.spec.node, wanted.clone(), Wait::WhileAway).await {
                // The group may have been made before a restart of this coordinator, and would be nobody's when the disk
                // answers again.
                Err(error) if run.is_in_doubt() && is_unreadable(&error) => {
                    let note = format!("waits until {} can be read, or is taken out of its host", self.spec.path);
                    context.progress.note(run.id(), &self.name(), &note);
                    context.pause(context.policy.look * 5).await;
                }
                other => break other?,
            }
        };
        match done.report {
            Report::Device(report) => {
                run.learn_device(report);
                Ok(())
            }
            _ => Err(StepError::Missing("the agent's report of the device".to_owned())),
        }
    }

    /// Finds nothing where the disk was refused: the group is sought by this operation's own new id.
    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let (node, device) = (self.spec.node, self.spec.device);
        let remove = async {
            context.ask(run, node, Wanted::DeviceCondemned { device }, Wait::ForEver).await?;
            // Of what LVM was only making, nothing says whose it is.
            let gone = Wanted::DeviceGone { device, physical_volume: None };
            context.ask(run, node, gone, Wait::ForEver).await?;
            Ok(())
        };
        // The device has no record yet by which it could be said to be lost; its host has.
        let is_lost = |topology: &Topology| topology.nodes.get(&node).is_none_or(|node| node.lost);
        unless(context, is_lost, remove).await
    }
}
