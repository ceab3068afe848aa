//! `/v1/adopt`, `/v1/unadopt` and `/v1/export/heketi`: from heketi and from others' hands, and back.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{
    AdoptRequest, AdoptedDevice, AdoptedNode, AdoptedVolume, Adoption, AdoptionFinding, UnadoptRequest,
};
use bricklayer_proto::ids::NodeId;

use crate::adopt::{Choices, Finding, HeketiDb, NotADatabase, Takeover};
use crate::http::body::{LargeJson, OurJson};
use crate::http::failure::{Doing, Failure};
use crate::http::heketi::db::Dump;
use crate::http::{Service, answer};
use crate::model::{Node, Topology};
use crate::ops::{AdoptFrom, KeptPlan, UnadoptWish};

/// Plans what of heketi's, or of others', becomes ours as it is.
///
/// Asks every host what is there. Nothing is changed; the plan, if nothing stands in the way, is kept for 15 minutes.
#[utoipa::path(post, path = "/v1/adopt", request_body = AdoptRequest, responses((status = 200, body = Adoption)))]
pub async fn plan(
    State(service): State<Service>,
    LargeJson(request): LargeJson<AdoptRequest>,
) -> Result<Response, Failure> {
    let (from, choices) = wanted(request)?;
    let (takeover, plan) = service.operations.adoption(from, &choices).await;
    Ok(answer::ok(&view(&takeover, plan.as_deref(), &service)))
}

/// Gives back what was adopted, as it is: marks and records go, nothing else.
#[utoipa::path(post, path = "/v1/unadopt", request_body = UnadoptRequest, responses((status = 202)))]
pub async fn give_back(
    State(service): State<Service>,
    OurJson(request): OurJson<UnadoptRequest>,
) -> Result<Response, Failure> {
    service.has_room_for_one_more()?;
    let wish = match request {
        UnadoptRequest { volume: Some(id), device: None, cluster: None } => UnadoptWish::Volume(id),
        UnadoptRequest { volume: None, device: Some(id), cluster: None } => UnadoptWish::Device(id),
        UnadoptRequest { volume: None, device: None, cluster: Some(id) } => UnadoptWish::Cluster(id),
        _ => return Err(Failure::bad_request("name one thing to be given back: a volume, a device or a cluster")),
    };
    let rejected = |error| Failure::rejected(Doing::Ours, &error);
    Ok(answer::accepted(service.operations.unadopt(wish).await.map_err(rejected)?))
}

/// Writes heketi's database of the state as it is, for `heketi db import`.
///
/// With what initiators of block volumes log in with, as heketi's own export has it. Refused (409) while operations are under
/// way, and where a volume is thick, which heketi does not know.
#[utoipa::path(get, path = "/v1/export/heketi", responses((status = 200, description = "as `heketi db export` writes it")))]
pub async fn export(State(service): State<Service>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    if let Some(operation) = topology.unfinished.values().next() {
        let text = format!(
            "operation {} ({}) is under way\nExport again when it has ended",
            operation.id,
            operation.plan.kind()
        );
        return Err(Failure::new(axum::http::StatusCode::CONFLICT, text));
    }
    if let Some(volume) = topology.volumes.values().find(|volume| volume.trash.is_some()) {
        let text = format!(
            "volume {} is in the trash, which heketi does not know\nEnd it with `bricklayer trash empty`, or take it out with \
             `bricklayer volume undelete`",
            volume.name
        );
        return Err(Failure::new(axum::http::StatusCode::CONFLICT, text));
    }
    if let Some(volume) = topology.volumes.values().find(|volume| volume.provisioning().is_thick()) {
        let text = format!(
            "volume {} is thick: its bricks are linear volumes, and heketi knows bricks in thin pools alone\nIts data can be copied \
             into a thin volume (`user.bricklayer.provisioning thin`), and the volume be deleted",
            volume.name
        );
        return Err(Failure::new(axum::http::StatusCode::CONFLICT, text));
    }
    Ok(answer::ok(&Dump::for_heketi(&topology, service.trust.installation())))
}

fn wanted(request: AdoptRequest) -> Result<(AdoptFrom, Choices), Failure> {
    let bad = |error: &dyn std::fmt::Display| Failure::bad_request(error.to_string());
    let AdoptRequest { from, database, volume, agents, without, ignore_pending, new_node_ids, cluster } = request;
    let from = match (from.as_str(), database) {
        ("heketi", Some(database)) => {
            let db = HeketiDb::of(database).map_err(|error| match error {
                NotADatabase::Unreadable(why) => Failure::bad_request(format!("database: {why}")),
                NotADatabase::Contradicts(_) => bad(&error),
            })?;
            AdoptFrom::Heketi(Box::new(db))
        }
        ("heketi", None) => return Err(Failure::bad_request("database: it is missing; `heketi db export` writes it")),
        (_, Some(_)) => return Err(Failure::bad_request("database: only adopting from heketi takes one")),
        ("disks", None) => AdoptFrom::Disks,
        ("volume", None) => AdoptFrom::Volume(volume.parse().map_err(|error| bad(&error))?),
        (other, None) => {
            return Err(Failure::bad_request(format!("from: {other:?} is none of heketi, disks and volume")));
        }
    };
    let cluster = match cluster.as_str() {
        "" => None,
        id => Some(id.parse().map_err(|error: bricklayer_proto::ids::NotAnId| bad(&error))?),
    };
    let without = without.into_iter().collect();
    Ok((from, Choices { agents, without, ignore_pending, new_node_ids, cluster }))
}

fn view(takeover: &Takeover, plan: Option<&KeptPlan>, service: &Service) -> Adoption {
    let topology = service.operations.topology();
    let adopt = &takeover.adopt;
    let node = |id: NodeId| known(&topology, &adopt.nodes, id);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let finding = |finding: &Finding| AdoptionFinding {
        blocks: finding.blocks,
        code: finding.code.to_owned(),
        about: finding.about.clone(),
        what: finding.what.clone(),
        cure: finding.cure.clone(),
    };
    Adoption {
        plan: plan.map(super::plan_view),
        clusters: adopt.clusters.iter().map(|cluster| cluster.id).collect(),
        nodes: adopt
            .nodes
            .iter()
            .map(|node| AdoptedNode { id: node.id, name: node.name().to_owned(), cluster: node.cluster })
            .collect(),
        devices: adopt
            .devices
            .iter()
            .map(|device| AdoptedDevice {
                id: device.id,
                node: device.node,
                node_name: node(device.node).map_or_else(String::new, |node| node.name().to_owned()),
                name: device.name.to_string(),
                group: device.group().to_string(),
            })
            .collect(),
        volumes: adopt
            .volumes
            .iter()
            .map(|volume| AdoptedVolume {
                id: volume.id,
                name: volume.name.to_string(),
                size_bytes: volume.size.bytes(),
                bricks: volume
                    .bricks
                    .iter()
                    .map(|brick| {
                        let host = node(brick.node).and_then(Node::storage_host).map(ToString::to_string);
                        let path = brick.path.as_ref().map(ToString::to_string);
                        format!("{}:{}", host.unwrap_or_default(), path.unwrap_or_default())
                    })
                    .collect(),
            })
            .collect(),
        block_volumes: adopt.block_volumes.iter().map(|block| block.id).collect(),
        findings: takeover.findings.iter().map(finding).collect(),
        ours_already: count(takeover.ours_already),
        left_for_later: count(takeover.left_for_later),
    }
}

fn known<'a>(topology: &'a Topology, new: &'a [Node], id: NodeId) -> Option<&'a Node> {
    new.iter().find(|node| node.id == id).or_else(|| topology.nodes.get(&id).map(|node| &**node))
}
