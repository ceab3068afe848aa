//! `/v1/nodes/{node}/disks` and `/v1/devices/wipe`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::v1::{DiskIdentity, DiskList, WipeRefusal, WipeRequest};
use bricklayer_proto::inventory::{Disk, Obstacle};
use bricklayer_proto::names::DevicePath;

use crate::http::body::OurJson;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::ops::{Rejected, WipeOutlook};

/// Lists the disks of a node, and why each could not be used.
///
/// As the agent saw them last, which may have been before it went away.
#[utoipa::path(get, path = "/v1/nodes/{node}/disks", responses((status = 200, body = DiskList)))]
pub async fn list(State(service): State<Service>, Path(node): Path<String>) -> Result<Response, Failure> {
    let node = service.node(&node)?;
    let agents = service.operations.agents();
    let name = agents.status(node).map(|status| status.name);
    let (Some(name), Some((inventory, _))) = (&name, agents.inventory(node)) else {
        let name = name.map_or_else(|| node.to_string(), |name| name.to_string());
        let text = format!(
            "the agent of {name} has not attached since the coordinator started, so its disks are not known\n\
             Start it on that host: systemctl start bricklayer-agent"
        );
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    Ok(answer::ok(&DiskList { node, name: name.clone(), disks: inventory.disks.clone() }))
}

/// Destroys everything on a disk, once it is confirmed which one is meant.
///
/// Without the disk's own serial, WWN or PV UUID nothing is touched, and the answer says what would be lost.
#[utoipa::path(post, path = "/v1/devices/wipe", request_body = WipeRequest, responses((status = 202), (status = 409, body = bricklayer_api::v1::WipeRefusal)))]
pub async fn wipe(State(service): State<Service>, OurJson(request): OurJson<WipeRequest>) -> Result<Response, Failure> {
    let path: DevicePath = request
        .device
        .parse()
        .map_err(|error: bricklayer_proto::names::NotAName| Failure::bad_request(error.to_string()))?;
    let node = service.node(&request.node)?;
    let Some(confirm) = request.confirm.filter(|confirm| !confirm.is_empty()) else {
        let outlook = service.operations.wipe_outlook(node, &path)?;
        let text = format!("{path} on {} is not wiped: nobody has confirmed which disk is meant", outlook.node_name);
        return Ok(refusal(text, &path, outlook));
    };
    match service.operations.disk_wipe(node, path.clone(), confirm).await {
        Ok(operation) => Ok(answer::accepted(operation)),
        Err(error @ Rejected::WrongConfirmation { .. }) => {
            let outlook = service.operations.wipe_outlook(node, &path)?;
            Ok(refusal(error.to_string(), &path, outlook))
        }
        Err(error) => Err(error.into()),
    }
}

fn refusal(error: String, path: &DevicePath, outlook: WipeOutlook) -> Response {
    let disk = outlook.disk;
    let accepted = disk.confirmations().join(", ");
    let identity = identity(&disk);
    let refusal = WipeRefusal {
        error,
        cure: Some(format!("compare with what is printed on the disk, and confirm with one of: {accepted}")),
        device: path.to_string(),
        holders: disk.obstacles,
        identity,
    };
    answer::json(StatusCode::CONFLICT, &refusal)
}

fn identity(disk: &Disk) -> DiskIdentity {
    let pv_uuid = disk.obstacles.iter().find_map(|obstacle| match obstacle {
        Obstacle::PhysicalVolume { uuid, .. } => Some(uuid.to_string()),
        _ => None,
    });
    DiskIdentity { serial: disk.serial.clone(), wwn: disk.wwn.clone(), pv_uuid }
}
