//! `/db/check`: whether what is written down agrees with itself, and the store with what its last commit says of it.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::heketi::{DbCheck, DbCheckOf};
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::size::Extents;

use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{BlockVolume, Brick, Device, OpState, Operation, Topology, Volume};

/// Checks what is written down against itself.
#[utoipa::path(get, path = "/db/check", responses((status = 200, body = DbCheck)))]
pub async fn check(State(service): State<Service>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let store = service.operations.state().store().clone();
    let failed = |cause: &dyn std::error::Error| Failure::internal("the store could not be checked", cause);
    // Reads every record again.
    let verified = tokio::task::spawn_blocking(move || store.verify()).await.map_err(|error| failed(&error))?;
    let store_faults = verified.map(|_| Vec::new()).unwrap_or_else(|error| vec![format!("the store: {error}")]);
    Ok(answer::indented(&all(&topology, store_faults)))
}

fn all(topology: &Topology, store: Vec<String>) -> DbCheck {
    let mut check = DbCheck {
        clusters: of(topology.clusters.values().map(|_| Vec::new())),
        nodes: of(topology.nodes.values().map(|node| {
            let known = topology.clusters.contains_key(&node.cluster);
            fault(!known, || format!("Node {} is in cluster {}, which is unknown", node.id, node.cluster))
        })),
        devices: of(topology.devices.values().map(|device| of_device(topology, device))),
        volumes: of(topology.volumes.values().map(|volume| of_volume(topology, volume))),
        bricks: of(topology
            .volumes
            .values()
            .flat_map(|volume| volume.bricks.iter().map(|brick| of_brick(topology, volume, brick)))),
        block_volumes: of(topology.block_volumes.values().map(|block| of_block_volume(topology, block))),
        db_attributes: of([store]),
        pending_operations: of(topology.unfinished.values().map(|operation| of_operation(operation))),
        total_inconsistencies: 0,
    };
    let pending = topology.unfinished.values().filter_map(|operation| operation.plan.volume());
    check.volumes.pending = pending.count() as u64;
    let counted: usize = topology.bricks.values().map(crate::model::Map::size).sum();
    check.bricks.pending = (counted as u64).saturating_sub(check.bricks.total);
    let pending = topology.unfinished.values().filter(|operation| operation.plan.block().is_some());
    check.block_volumes.pending = pending.count() as u64;
    check.pending_operations.pending = check.pending_operations.total;
    let kinds = [
        &check.clusters,
        &check.nodes,
        &check.devices,
        &check.volumes,
        &check.bricks,
        &check.block_volumes,
        &check.db_attributes,
        &check.pending_operations,
    ];
    check.total_inconsistencies = kinds.iter().map(|kind| kind.inconsistencies.len() as u64).sum();
    check
}

/// Counts records by whether anything is wrong with them.
fn of(faults: impl IntoIterator<Item = Vec<String>>) -> DbCheckOf {
    let mut check = DbCheckOf::default();
    for faults in faults {
        check.total += 1;
        if faults.is_empty() {
            check.ok += 1;
        } else {
            check.not_ok += 1;
            check.inconsistencies.extend(faults);
        }
    }
    check
}

fn fault(is_one: bool, text: impl FnOnce() -> String) -> Vec<String> {
    if is_one { vec![text()] } else { Vec::new() }
}

/// The ledger: what bricks take, what others take, the spare and what is free are together what the group has, and free
/// is what LVM says.
fn of_device(topology: &Topology, device: &Device) -> Vec<String> {
    let id = device.id;
    let mut faults = fault(!topology.nodes.contains_key(&device.node), || {
        format!("Device {id} is in node {}, which is unknown", device.node)
    });
    let taken = topology.brick_spaces(id).map(|space| space.taken());
    let used = taken.chain([Some(device.foreign), Some(topology.spare(device))]);
    let used = used.into_iter().try_fold(Extents::ZERO, |sum, extents| sum.checked_add(extents?));
    let total = device.space.total;
    match used.and_then(|used| total.checked_sub(used)) {
        None => faults.push(format!("Device {id} has {} extents, and more than that is booked on it", total.count())),
        // What is being made or removed is booked before LVM has it.
        Some(free) if free != device.space.free && !topology.is_moving(id) => faults.push(format!(
            "Device {id} has {} free extents by our books and {} by LVM's",
            free.count(),
            device.space.free.count()
        )),
        Some(_) => {}
    }
    faults
}

fn of_volume(topology: &Topology, volume: &Volume) -> Vec<String> {
    let id = volume.id;
    let mut faults = fault(!topology.clusters.contains_key(&volume.cluster), || {
        format!("Volume {id} is in cluster {}, which is unknown", volume.cluster)
    });
    let shared = topology.name_is_shared(volume.cluster, volume.name.as_str());
    let others = shared.then(|| topology.volumes_of(volume.cluster)).into_iter().flatten();
    let twins = others.filter(|other| other.name == volume.name && other.id != id);
    faults.extend(twins.map(|twin| format!("Volume {id} has the name {}, as volume {} has", volume.name, twin.id)));
    let per_set = volume.layout.bricks_per_set();
    let mut sets = BTreeMap::<u32, (BTreeSet<u32>, BTreeSet<NodeId>)>::new();
    for brick in &volume.bricks {
        let (positions, nodes) = sets.entry(brick.set).or_default();
        positions.insert(brick.position);
        nodes.insert(brick.node);
    }
    let whole = !sets.is_empty() && sets.keys().copied().eq(0..volume.sets());
    if !whole || sets.values().any(|(positions, _)| !positions.iter().copied().eq(0..per_set)) {
        faults.push(format!("Volume {id} does not have {per_set} bricks in each of its sets"));
    }
    let shared = sets.iter().filter(|(_, (positions, nodes))| nodes.len() < positions.len());
    faults.extend(shared.map(|(set, _)| format!("Volume {id} has two bricks of set {set} on one node")));
    faults
}

fn of_brick(topology: &Topology, volume: &Volume, brick: &Brick) -> Vec<String> {
    let id = brick.id;
    let mut faults = Vec::new();
    match topology.devices.get(&brick.device) {
        None => {
            faults.push(format!("Brick {id} of volume {} is on device {}, which is unknown", volume.id, brick.device))
        }
        Some(device) if device.node != brick.node => faults.push(format!(
            "Brick {id} is said to be on node {}, and its device {} is in node {}",
            brick.node, device.id, device.node
        )),
        Some(_) => {}
    }
    let booked = topology.bricks.get(&brick.device).is_some_and(|bricks| bricks.contains_key(&id));
    faults.extend(fault(!booked, || format!("Brick {id} is not in the books of device {}", brick.device)));
    faults.extend(fault(brick.path.is_none(), || format!("Brick {id} of volume {} has no path", volume.id)));
    faults
}

fn of_block_volume(topology: &Topology, block: &BlockVolume) -> Vec<String> {
    let (id, hosting) = (block.id, block.hosting.volume);
    match topology.volumes.get(&hosting) {
        None => vec![format!("Block volume {id} is in volume {hosting}, which is unknown")],
        Some(volume) => fault(!volume.block, || format!("Block volume {id} is in volume {hosting}, which hosts none")),
    }
}

fn of_operation(operation: &Operation) -> Vec<String> {
    match &operation.state {
        OpState::Stuck { failure, .. } => {
            vec![format!("Operation {} ({}) is stuck: {failure}", operation.id, operation.plan.kind())]
        }
        _ => Vec::new(),
    }
}
