//! `/clusters`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bricklayer_api::heketi::{ClusterFlags, ClusterInfo, ClusterList};
use bricklayer_proto::ids::ClusterId;

use super::Id;
use crate::http::body::Json;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{Cluster, Topology};
use crate::ops;

/// Makes a cluster.
#[utoipa::path(post, path = "/clusters", request_body = ClusterFlags, responses((status = 201, body = ClusterInfo)))]
pub async fn create(State(service): State<Service>, Json(flags): Json<ClusterFlags>) -> Result<Response, Failure> {
    let cluster = ops::cluster_create(service.operations.state(), flags.file, flags.block).await?;
    Ok(answer::json(StatusCode::CREATED, &view(&service.operations.topology(), &cluster)))
}

/// Lists the clusters.
#[utoipa::path(get, path = "/clusters", responses((status = 200, body = ClusterList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let clusters = service.operations.topology().clusters.keys().copied().collect();
    answer::ok(&ClusterList { clusters })
}

/// Shows a cluster.
#[utoipa::path(get, path = "/clusters/{id}", responses((status = 200, body = ClusterInfo)))]
pub async fn info(State(service): State<Service>, Id(id): Id<ClusterId>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let cluster = topology.clusters.get(&id).ok_or_else(Failure::unknown_id)?;
    Ok(answer::ok(&view(&topology, cluster)))
}

/// Sets which volumes a cluster takes.
#[utoipa::path(post, path = "/clusters/{id}/flags", request_body = ClusterFlags, responses((status = 200)))]
pub async fn set_flags(
    State(service): State<Service>,
    Id(id): Id<ClusterId>,
    Json(flags): Json<ClusterFlags>,
) -> Result<Response, Failure> {
    ops::cluster_set_flags(service.operations.state(), id, flags.file, flags.block).await?;
    Ok((StatusCode::OK, [(CONTENT_TYPE, answer::JSON)]).into_response())
}

/// Deletes an empty cluster.
#[utoipa::path(delete, path = "/clusters/{id}", responses((status = 200)))]
pub async fn delete(State(service): State<Service>, Id(id): Id<ClusterId>) -> Result<StatusCode, Failure> {
    ops::cluster_delete(service.operations.state(), id).await?;
    Ok(StatusCode::OK)
}

pub fn view(topology: &Topology, cluster: &Cluster) -> ClusterInfo {
    ClusterInfo {
        id: cluster.id,
        nodes: topology.nodes_of(cluster.id).map(|node| node.id).collect(),
        volumes: topology
            .volumes_of(cluster.id)
            .filter(|volume| volume.trash.is_none())
            .map(|volume| volume.id)
            .collect(),
        block: cluster.block,
        file: cluster.file,
        block_volumes: topology.blocks_of(cluster.id).map(|block| block.id).collect(),
    }
}
