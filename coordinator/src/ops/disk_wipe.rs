//! A disk that carries something is emptied, after a person has named it by what is printed on it.

use async_trait::async_trait;
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::inventory::{Disk, Obstacle, StillNeeded};
use bricklayer_proto::names::DevicePath;
use bricklayer_proto::task::Wanted;

use super::context::{Context, Run, Wait};
use super::step::{Stage, Step, StepError};
use super::{Rejected, device_add};
use crate::model::{DiskWipe, Operation, Plan};

/// What would be lost, and what confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WipeOutlook {
    pub node_name: String,
    pub disk: Disk,
}

pub fn outlook(context: &Context, node: NodeId, path: &DevicePath) -> Result<WipeOutlook, Rejected> {
    let status = context.agents.status(node).ok_or(Rejected::NoSuchNode(node))?;
    let node_name = status.name.to_string();
    if !context.agents.is_attached(node) {
        return Err(Rejected::AgentAway { name: node_name });
    }
    let Some((inventory, _)) = context.agents.inventory(node) else {
        return Err(Rejected::AgentAway { name: node_name });
    };
    let Some(disk) = device_add::find(&inventory.disks, path) else {
        let seen = inventory.disks.iter().map(|disk| disk.path.to_string()).collect::<Vec<_>>().join(", ");
        return Err(Rejected::NoSuchDisk { name: path.clone(), node: node_name, seen });
    };
    if let Some(obstacle) = disk.obstacles.iter().find(|obstacle| !obstacle.can_be_wiped()) {
        return Err(Rejected::NotWipeable { name: path.clone(), node: node_name, obstacle: obstacle.clone() });
    }
    if let Some(needed) = &disk.still_needed {
        let StillNeeded { why, cure } = needed.clone();
        return Err(Rejected::StillNeeded { name: path.clone(), node: node_name, why, cure });
    }
    if disk.confirmations().is_empty() {
        return Err(Rejected::NothingToConfirm { name: path.clone(), node: node_name });
    }
    Ok(WipeOutlook { node_name, disk: disk.clone() })
}

/// What of the disk would go, by the agent's last report, in the order in which it does.
pub fn in_words(context: &Context, plan: &DiskWipe) -> Vec<String> {
    let Ok(WipeOutlook { mut disk, .. }) = outlook(context, plan.node, &plan.name) else { return Vec::new() };
    disk.obstacles.sort_by_key(order);
    disk.obstacles.iter().map(gone).collect()
}

fn order(obstacle: &Obstacle) -> u8 {
    match obstacle {
        Obstacle::Mounted { .. } => 0,
        Obstacle::Fstab { .. } => 1,
        Obstacle::HeldBy { .. } => 2,
        Obstacle::PhysicalVolume { .. } => 3,
        Obstacle::PartitionTable { .. } => 4,
        _ => 5,
    }
}

fn gone(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Mounted { source, at } => format!("{source} is unmounted from {at}"),
        Obstacle::Fstab { line } => format!("this line of /etc/fstab goes: {line}"),
        Obstacle::HeldBy { name, path, .. } => format!("{name} ({path}), which lies on it, is taken down"),
        Obstacle::PhysicalVolume { uuid, group: Some(group) } => {
            format!("volume group {group} is lost, with all volumes in it: its physical volume {uuid} goes")
        }
        Obstacle::PhysicalVolume { uuid, group: None } => format!("LVM's physical volume {uuid} goes"),
        Obstacle::PartitionTable { what } => format!("the partition table ({what}) goes, with all partitions"),
        Obstacle::Signature { what, offset } => {
            format!("the signature of {what} at byte {offset} goes, and what it begins")
        }
        // What cannot be wiped is refused before.
        other => other.to_string(),
    }
}

pub async fn submit(context: &Context, node: NodeId, name: DevicePath, confirm: String) -> Result<Operation, Rejected> {
    let WipeOutlook { node_name, disk } = outlook(context, node, &name)?;
    let accepted = disk.confirmations();
    if !accepted.contains(&confirm) {
        let accepted = accepted.join(", ");
        return Err(Rejected::WrongConfirmation { given: confirm, name, node: node_name, accepted });
    }
    context
        .state
        .change(|change| {
            let busy = change.unfinished.values().any(|operation| match &operation.plan {
                Plan::DeviceAdd(add) => add.node == node && add.name == name,
                Plan::DiskWipe(wipe) => wipe.node == node && wipe.name == name,
                _ => false,
            });
            if busy {
                return Err(Rejected::Busy);
            }
            let operation = Operation::begun(Plan::DiskWipe(DiskWipe { node, name, confirm }), context.clock.now());
            change.put_operation(operation.clone());
            Ok(operation)
        })
        .await
}

pub fn stages(plan: &DiskWipe) -> Vec<Stage> {
    vec![Stage::one(Wipe { plan: plan.clone() })]
}

struct Wipe {
    plan: DiskWipe,
}

#[async_trait]
impl Step for Wipe {
    fn name(&self) -> String {
        format!("wipe {}", self.plan.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let wanted = Wanted::DiskWiped { path: self.plan.name.clone(), confirm: self.plan.confirm.clone() };
        // Nobody is surprised by a disk that is wiped an hour later, when its host comes back.
        context.ask(run, self.plan.node, wanted, Wait::NotAtAll).await?;
        Ok(())
    }

    async fn undo(&self, _: &Context, _: &Run) -> Result<(), StepError> {
        Ok(())
    }
}
