//! `/v1/volumes/{id}/heal` and `/v1/volumes/{id}/rebalance`: what GlusterFS says of a volume now.
//!
//! Unlike all other reads these wait for a host: nobody but GlusterFS knows.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{BrickHeal, Heal, NodeRebalance, Rebalance, RebalanceState as ShownState};
use bricklayer_proto::ids::VolumeId;
use bricklayer_proto::task::{RebalanceReport, RebalanceState};

use super::Id;
use crate::http::failure::Failure;
use crate::http::{Service, answer};

/// Tells what is left to heal, brick by brick.
#[utoipa::path(get, path = "/v1/volumes/{id}/heal", responses((status = 200, body = Heal)))]
pub async fn heal(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    let health = service.operations.volume_health(id).await?;
    let healthy = health.is_healthy();
    let bricks = health.bricks.into_iter().map(|brick| BrickHeal {
        id: brick.brick,
        host: brick.address.host.to_string(),
        path: brick.address.path.to_string(),
        online: brick.online,
        pending: brick.pending,
    });
    Ok(answer::ok(&Heal { bricks: bricks.collect(), healthy }))
}

/// Tells how far the movement of data between bricks is.
#[utoipa::path(get, path = "/v1/volumes/{id}/rebalance", responses((status = 200, body = Rebalance)))]
pub async fn rebalance(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    Ok(answer::ok(&view(service.operations.rebalance(id).await?)))
}

/// Starts the movement of data between bricks, or finds it started.
#[utoipa::path(post, path = "/v1/volumes/{id}/rebalance", responses((status = 200, body = Rebalance)))]
pub async fn start_rebalance(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    Ok(answer::ok(&view(service.operations.rebalance_start(id).await?)))
}

fn view(report: RebalanceReport) -> Rebalance {
    let nodes = report.nodes.into_iter().map(|node| NodeRebalance {
        host: node.host,
        state: shown(node.state),
        files: node.files,
        bytes: node.moved.bytes(),
        scanned: node.scanned,
        failures: node.failures,
        skipped: node.skipped,
        seconds: node.seconds,
    });
    Rebalance { state: shown(report.state), nodes: nodes.collect() }
}

fn shown(state: RebalanceState) -> ShownState {
    match state {
        RebalanceState::NotStarted => ShownState::NotStarted,
        RebalanceState::Running => ShownState::Running,
        RebalanceState::Completed => ShownState::Completed,
        RebalanceState::Failed => ShownState::Failed,
        RebalanceState::Stopped => ShownState::Stopped,
    }
}
