//! `/v1/plans`: what was planned, and its beginning.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{KeptPlan as KeptPlanView, Plan, PlanList, PlannedBrick as PlannedBrickView, PlannedChange};
use bricklayer_proto::ids::OperationId;
use bricklayer_proto::size::Extents;

use super::Id;
use super::explain::{bytes, device_free, role};
use crate::http::failure::{Doing, Failure};
use crate::http::{Service, answer};
use crate::model::Brick;
use crate::ops::{BrickChange, KeptPlan, PlannedBrick, Rejected};

/// Lists the plans that are kept, the oldest first.
#[utoipa::path(get, path = "/v1/plans", responses((status = 200, body = PlanList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let plans = service.operations.kept_plans();
    answer::ok(&PlanList { plans: plans.iter().map(|plan| view(plan)).collect() })
}

/// Shows a plan that is kept.
#[utoipa::path(get, path = "/v1/plans/{id}", responses((status = 200, body = Plan)))]
pub async fn info(State(service): State<Service>, Id(id): Id<OperationId>) -> Result<Response, Failure> {
    let plan = service.operations.kept_plan(id);
    let plan = plan.ok_or_else(|| Failure::rejected(Doing::Ours, &Rejected::NoSuchPlan(id)))?;
    Ok(answer::ok(&view(&plan)))
}

/// Has exactly that done which a plan says.
///
/// Or refuses (409), and changes nothing, because what it was decided by is no longer as it was.
#[utoipa::path(post, path = "/v1/plans/{id}/apply", responses((status = 202)))]
pub async fn apply(State(service): State<Service>, Id(id): Id<OperationId>) -> Result<Response, Failure> {
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::Ours, &error);
    Ok(answer::accepted(service.operations.apply_plan(id).await.map_err(rejected)?))
}

pub fn view(plan: &KeptPlan) -> Plan {
    let topology = &plan.after;
    let name = |brick: &Brick| {
        let node = topology.nodes.get(&brick.node).map_or_else(String::new, |node| node.name().to_owned());
        let device = topology.devices.get(&brick.device).map_or_else(String::new, |device| device.name.to_string());
        (node, device)
    };
    let brick = |planned: &PlannedBrick| {
        let (node_name, device_name) = name(&planned.brick);
        let from = match &planned.change {
            BrickChange::Moved(old) => Some(old),
            BrickChange::Made | BrickChange::Grown(_) | BrickChange::Adopted => None,
        };
        let (from_node_name, from_device_name) = from.map(name).unzip();
        let one = topology.devices.get(&planned.brick.device).map(|device| device.space.extent_size);
        let extents = planned.brick.space.taken();
        PlannedBrickView {
            change: match &planned.change {
                BrickChange::Made => PlannedChange::Make,
                BrickChange::Grown(_) => PlannedChange::Grow,
                BrickChange::Moved(_) => PlannedChange::Move,
                BrickChange::Adopted => PlannedChange::Adopt,
            },
            volume: planned.volume,
            volume_name: planned.volume_name.clone(),
            // People know it by the one that it has now.
            brick: match &planned.change {
                BrickChange::Moved(old) => old.id,
                BrickChange::Made | BrickChange::Grown(_) | BrickChange::Adopted => planned.brick.id,
            },
            set: planned.brick.set,
            position: planned.brick.position,
            role: role(planned.brick.role),
            node: planned.brick.node,
            node_name,
            device: planned.brick.device,
            device_name,
            size_bytes: planned.brick.asked.bytes(),
            extents: extents.map_or(0, Extents::count),
            bytes: one.zip(extents).map_or(0, |(one, extents)| bytes(extents, one)),
            from: from.map(|old| old.device),
            from_node_name,
            from_device_name,
        }
    };
    Plan {
        kind: plan.rehearsal.kind.to_owned(),
        changes: plan.rehearsal.changes.clone(),
        steps: plan.rehearsal.steps.clone(),
        destroys: plan.rehearsal.destroys.clone(),
        kept: Some(KeptPlanView {
            id: plan.id,
            topology_version: plan.version,
            expires: plan.expires,
            bricks: plan.bricks.iter().map(brick).collect(),
            devices: plan.devices.iter().map(|one| device_free(&one.candidate, one.after.free)).collect(),
        }),
    }
}
