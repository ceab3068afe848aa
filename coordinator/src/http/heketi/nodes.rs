//! `/nodes`.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::heketi::{HostAddresses, NodeAddRequest, NodeInfo, StateRequest, TagsChangeRequest};
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::names::HostName;

use super::check::{self, Faults};
use super::{Id, devices, entry_state, tags};
use crate::http::body::Json;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{AdminState, Node, Topology, Zone};
use crate::ops::{NodeWish, Tagged};

/// Adds a node, whose agent must have enrolled under its first management name.
#[utoipa::path(post, path = "/nodes", request_body = NodeAddRequest, responses((status = 202)))]
pub async fn add(State(service): State<Service>, Json(request): Json<NodeAddRequest>) -> Result<Response, Failure> {
    let wish = wish(request)?;
    if let Some(host) = wish.storage.first().filter(|host| host.as_str().parse::<std::net::IpAddr>().is_err()) {
        tracing::warn!(
            %host,
            "A node's storage host is a name. GlusterFS takes it, and the provisioner of Kubernetes needs an address."
        );
    }
    let operation = service.operations.node_add(wish).await?;
    Ok(answer::accepted(operation))
}

/// Shows a node with its devices.
#[utoipa::path(get, path = "/nodes/{id}", responses((status = 200, body = NodeInfo)))]
pub async fn info(State(service): State<Service>, Id(id): Id<NodeId>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let node = topology.nodes.get(&id).ok_or_else(Failure::unknown_id)?;
    let mut info = view(&topology, node);
    for (shown, device) in info.devices.iter_mut().zip(topology.devices_of(node.id)) {
        shown.failing = service.operations.failing(device);
    }
    Ok(answer::ok(&info))
}

/// Deletes a node without devices.
#[utoipa::path(delete, path = "/nodes/{id}", responses((status = 202)))]
pub async fn delete(State(service): State<Service>, Id(id): Id<NodeId>) -> Result<Response, Failure> {
    Ok(answer::accepted(service.operations.node_delete(id).await?))
}

/// Takes a node into service or out of it; `failed` moves its bricks away.
#[utoipa::path(post, path = "/nodes/{id}/state", request_body = StateRequest, responses((status = 202)))]
pub async fn set_state(
    State(service): State<Service>,
    Id(id): Id<NodeId>,
    Json(request): Json<StateRequest>,
) -> Result<Response, Failure> {
    let (state, heal_check) = check::state(&request)?;
    if state == AdminState::Failed {
        service.has_room_for_one_more()?;
    }
    Ok(answer::accepted(service.operations.node_state(id, state, heal_check).await?))
}

/// Changes the tags of a node, and answers all of them.
#[utoipa::path(post, path = "/nodes/{id}/tags", request_body = TagsChangeRequest, responses((status = 200, body = BTreeMap<String, String>)))]
pub async fn set_tags(
    State(service): State<Service>,
    Id(id): Id<NodeId>,
    Json(request): Json<TagsChangeRequest>,
) -> Result<Response, Failure> {
    let change = tags::change(request)?;
    Ok(answer::ok(&service.operations.tags(Tagged::Node(id), change).await?))
}

fn wish(request: NodeAddRequest) -> Result<NodeWish, Failure> {
    let mut faults = Faults::default();
    let zone = match request.zone {
        0 => Err(check::BLANK.to_owned()),
        zone if zone < 1 => Err(check::LESS_THAN_1.to_owned()),
        zone => {
            let zone = u32::try_from(zone).ok().and_then(Zone::new);
            zone.ok_or_else(|| format!("must be no greater than {}", u32::MAX))
        }
    };
    let mut inner = Faults::default();
    let manage = check::hosts("manage", &request.hostnames.manage, &mut inner);
    let storage = check::hosts("storage", &request.hostnames.storage, &mut inner);
    faults.add_all("hostnames", &inner);
    if let Some(fault) = check::id_fault(&request.cluster) {
        faults.add("cluster", fault);
    }
    if let Some(fault) = check::tags_fault(&request.tags) {
        faults.add("tags", fault);
    }
    let zone = zone.map_err(|fault| faults.add("zone", fault));
    faults.none()?;
    // Only an id in capitals comes so far and is none: no cluster has it.
    let no_cluster = || Failure::new(axum::http::StatusCode::NOT_FOUND, "Cluster id does not exist");
    let cluster = request.cluster.parse().map_err(|_| no_cluster())?;
    let zone = zone.map_err(|()| no_cluster())?;
    Ok(NodeWish { cluster, zone, manage, storage, tags: request.tags })
}

pub fn view(topology: &Topology, node: &Node) -> NodeInfo {
    let names = |hosts: &[HostName]| hosts.iter().map(ToString::to_string).collect();
    NodeInfo {
        zone: node.zone.get().into(),
        hostnames: HostAddresses { manage: names(&node.manage), storage: names(&node.storage) },
        cluster: node.cluster,
        tags: node.tags.clone(),
        id: node.id,
        state: entry_state(node.state),
        devices: topology.devices_of(node.id).map(|device| devices::view(topology, device)).collect(),
    }
}
