//! Nodes and devices: added, out of service, emptied, lost and removed.

use bricklayer_coordinator::model::{AdminState, Device, Node, Zone};
use bricklayer_coordinator::ops::{DeviceWish, NodeWish, Operations, Rejected};
use bricklayer_proto::ids::{DeviceId, NodeId, OperationId};
use bricklayer_proto::names::DevicePath;

use super::Scene;
use crate::histories::chance::Chance;

#[derive(Clone, Debug)]
pub enum Hosts {
    /// The host of that number, from 1, becomes a node.
    AddNode {
        number: u32,
    },
    /// Used for new bricks, or not.
    ServeNode {
        node: NodeId,
        state: AdminState,
    },
    /// Empties all its devices, from `offline` on.
    EmptyNode {
        node: NodeId,
    },
    LoseNode {
        node: NodeId,
    },
    RemoveNode {
        node: NodeId,
    },
    AddDevice {
        node: NodeId,
        disk: DevicePath,
    },
    ServeDevice {
        device: DeviceId,
        state: AdminState,
    },
    EmptyDevice {
        device: DeviceId,
    },
    LoseDevice {
        device: DeviceId,
    },
    RemoveDevice {
        device: DeviceId,
    },
    Resync {
        device: DeviceId,
    },
}

/// In two zones, as they come.
#[must_use]
pub fn node(cluster: bricklayer_proto::ids::ClusterId, number: u32) -> NodeWish {
    NodeWish {
        cluster,
        zone: Zone::new(1 + number % 2).expect("a zone"),
        manage: vec![format!("gfs{number}").parse().expect("a name")],
        storage: vec![format!("192.168.0.{number}").parse().expect("an address")],
        tags: Default::default(),
    }
}

impl Hosts {
    #[must_use]
    pub fn any(scene: &Scene<'_>, chance: &mut Chance) -> Option<Self> {
        let topology = scene.topology;
        let nodes: Vec<&Node> = topology.nodes.values().map(AsRef::as_ref).collect();
        let devices: Vec<&Device> = topology.devices.values().map(AsRef::as_ref).collect();
        let node = *chance.of_these(&nodes)?;
        let device = *chance.of_these(&devices)?;
        let state = if chance.one_in(3) { AdminState::Offline } else { AdminState::Online };
        let disk = if chance.one_in(2) { "/dev/sdc" } else { "/dev/sdd" };
        Some(match chance.number(0..=19) {
            0..=4 => Self::AddDevice { node: node.id, disk: disk.parse().expect("a device path") },
            5..=7 => Self::EmptyDevice { device: device.id },
            8..=10 => {
                let failed = devices.iter().find(|device| device.state == AdminState::Failed);
                Self::RemoveDevice { device: failed.map_or(device.id, |device| device.id) }
            }
            11 => Self::Resync { device: device.id },
            12 => Self::ServeDevice { device: device.id, state },
            13 => Self::ServeNode { node: node.id, state },
            14 | 15 => {
                let missing =
                    (1..=scene.hosts).find(|number| !nodes.iter().any(|node| node.name() == format!("gfs{number}")));
                Self::AddNode { number: missing.unwrap_or(1) }
            }
            16 => Self::EmptyNode { node: node.id },
            17 => {
                let empty = nodes.iter().find(|node| topology.devices_of(node.id).next().is_none());
                Self::RemoveNode { node: empty.map_or(node.id, |node| node.id) }
            }
            _ => return Self::mourn(scene).into_iter().next(),
        })
    }

    /// What a person still has to do about what is gone for good: the next thing for each.
    #[must_use]
    pub fn mourn(scene: &Scene<'_>) -> Vec<Self> {
        let topology = scene.topology;
        let holds_bricks = |device: &Device| topology.brick_spaces(device.id).next().is_some();
        let mut due = Vec::new();
        for node in scene.gone.iter().filter_map(|node| topology.nodes.get(node)) {
            let devices: Vec<&Device> = topology.devices_of(node.id).map(AsRef::as_ref).collect();
            if !node.lost {
                due.push(Self::LoseNode { node: node.id });
            } else if devices.iter().any(|device| holds_bricks(device) || device.state != AdminState::Failed) {
                due.push(Self::EmptyNode { node: node.id });
            } else if devices.is_empty() {
                due.push(Self::RemoveNode { node: node.id });
            } else {
                due.extend(devices.iter().map(|device| Self::RemoveDevice { device: device.id }));
            }
        }
        for device in scene.gone_disks.iter().filter_map(|device| topology.devices.get(device)) {
            if scene.gone.contains(&device.node) {
                continue;
            }
            due.push(match device.lost {
                false => Self::LoseDevice { device: device.id },
                true if holds_bricks(device) => Self::EmptyDevice { device: device.id },
                true => Self::RemoveDevice { device: device.id },
            });
        }
        due
    }

    pub async fn ask(self, operations: &Operations) -> Result<Option<OperationId>, Rejected> {
        match self {
            Self::AddNode { number } => {
                let topology = operations.topology();
                let Some(cluster) = topology.clusters.keys().next() else { return Err(Rejected::NotFound) };
                operations.node_add(node(*cluster, number)).await
            }
            Self::ServeNode { node, state } => operations.node_state(node, state, true).await,
            Self::EmptyNode { node } => {
                // Of a lost one that is said already.
                if operations.topology().nodes.get(&node).is_some_and(|node| node.state == AdminState::Online) {
                    operations.node_state(node, AdminState::Offline, true).await?;
                }
                operations.node_state(node, AdminState::Failed, true).await
            }
            Self::LoseNode { node } => {
                let name = operations.topology().nodes.get(&node).map(|node| node.name().to_owned());
                return operations.node_lost(node, &name.unwrap_or_default()).await.map(|()| None);
            }
            Self::RemoveNode { node } => operations.node_delete(node).await,
            Self::AddDevice { node, disk } => {
                let wish = DeviceWish { node, name: disk, destroy: false, tags: Default::default() };
                operations.device_add(wish).await
            }
            Self::ServeDevice { device, state } => operations.device_state(device, state, true).await,
            Self::EmptyDevice { device } => {
                if operations.topology().devices.get(&device).is_some_and(|device| device.state == AdminState::Online) {
                    operations.device_state(device, AdminState::Offline, true).await?;
                }
                operations.device_state(device, AdminState::Failed, true).await
            }
            Self::LoseDevice { device } => {
                return operations.device_lost(device, &device.to_string()).await.map(|()| None);
            }
            Self::RemoveDevice { device } => operations.device_delete(device, false).await,
            Self::Resync { device } => operations.device_resync(device).await,
        }
        .map(Some)
    }
}
