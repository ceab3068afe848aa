//! `/v1/audit`: which brick sets do not keep the rules as things stand now, and what would mend them.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{
    Audit, BrickFault, BrickMove, ClusterAudit as Shown, Homeless, NodeLoss, SetAudit, SetName, ZoneLoss,
};
use bricklayer_proto::ids::{BrickId, DeviceId, VolumeId};
use bricklayer_proto::size::ByteSize;

use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::{Node, Topology};
use crate::ops::ClusterAudit;
use crate::placement::audit::{Domain, DomainLoss, Move, SetReport};

/// Audits every brick set.
///
/// Which do not keep the rules as things stand now, the moves that would mend them, and what the loss of each node would
/// come to. Changes nothing.
#[utoipa::path(get, path = "/v1/audit", responses((status = 200, body = Audit)))]
pub async fn audit(State(service): State<Service>) -> Result<Response, Failure> {
    let operations = service.operations.clone();
    let audits = tokio::task::spawn_blocking(move || operations.audit()).await;
    let audits = audits.map_err(|error| Failure::internal("the audit was broken off", &error))?;
    let topology = service.operations.topology();
    let names = Names(&topology);
    Ok(answer::ok(&Audit { clusters: audits.iter().map(|audit| names.cluster(audit)).collect() }))
}

/// Says things by their names.
pub struct Names<'a>(pub &'a Topology);

impl Names<'_> {
    pub fn device(&self, id: DeviceId) -> String {
        let Some(device) = self.0.devices.get(&id) else { return id.to_string() };
        let node = self.0.nodes.get(&device.node).map_or("", |node| node.name());
        format!("{node}:{}", device.name)
    }

    pub fn volume(&self, id: VolumeId) -> String {
        self.0.volumes.get(&id).map_or_else(|| id.to_string(), |volume| volume.name.to_string())
    }

    fn brick(&self, volume: VolumeId, id: BrickId) -> String {
        let brick = self.0.volumes.get(&volume).and_then(|volume| volume.brick(id));
        brick.map_or_else(String::new, |brick| self.device(brick.device))
    }

    fn cluster(&self, audit: &ClusterAudit) -> Shown {
        let moves = audit.sets.iter().flat_map(|set| &set.moves);
        Shown {
            cluster: audit.cluster,
            sets: audit.sets.iter().map(|set| self.set(set)).collect(),
            bytes: moves.map(Move::bytes).sum::<ByteSize>().bytes(),
            any_node_can_be_lost: audit.survives_any_node(),
            nodes: audit.nodes.iter().filter_map(|loss| self.node_loss(loss)).collect(),
            any_zone_can_be_lost: audit.survives_any_zone(),
            zones: audit.zones.iter().filter_map(|loss| self.zone_loss(loss)).collect(),
            changing: audit.changing.clone(),
        }
    }

    fn set(&self, set: &SetReport) -> SetAudit {
        let faults = set.faults.iter().map(|(brick, fault)| BrickFault {
            brick: *brick,
            at: self.brick(set.volume, *brick),
            rule: fault.rule().to_owned(),
            text: fault.to_string(),
            unmended: set.unmended.iter().find(|(other, _)| other == brick).map(|(_, why)| why.to_string()),
        });
        let moves = set.moves.iter().map(|moved| BrickMove {
            brick: moved.brick,
            from: self.device(moved.from),
            to: self.device(moved.to.device),
            to_device: moved.to.device,
            bytes: moved.bytes().bytes(),
        });
        let (volume, number) = (set.volume, set.set);
        let volume_name = self.volume(volume);
        SetAudit { volume, volume_name, set: number, faults: faults.collect(), moves: moves.collect() }
    }

    fn node_loss(&self, loss: &DomainLoss) -> Option<NodeLoss> {
        let Domain::Node(node) = loss.domain else { return None };
        let set = |found: &(VolumeId, u32)| self.set_name(*found);
        Some(NodeLoss {
            node,
            node_name: self.0.nodes.get(&node).map_or_else(String::new, |node| Node::name(node).to_owned()),
            can_be_lost: loss.is_survivable(),
            bricks: u32::try_from(loss.moves.len()).unwrap_or(u32::MAX),
            bytes: loss.moves.iter().map(Move::bytes).sum::<ByteSize>().bytes(),
            homeless: homeless(loss),
            without_copies: loss.without_copies.iter().map(|volume| self.volume(*volume)).collect(),
            below_quorum: loss.below_quorum.iter().map(set).collect(),
            data_lost: loss.data_lost.iter().map(set).collect(),
        })
    }

    fn set_name(&self, (volume, set): (VolumeId, u32)) -> SetName {
        SetName { volume, volume_name: self.volume(volume), set }
    }

    fn zone_loss(&self, loss: &DomainLoss) -> Option<ZoneLoss> {
        let Domain::Zone(zone) = loss.domain else { return None };
        let set = |found: &(VolumeId, u32)| self.set_name(*found);
        Some(ZoneLoss {
            zone,
            can_be_lost: loss.is_survivable(),
            bricks: u32::try_from(loss.moves.len()).unwrap_or(u32::MAX),
            bytes: loss.moves.iter().map(Move::bytes).sum::<ByteSize>().bytes(),
            homeless: homeless(loss),
            without_copies: loss.without_copies.iter().map(|volume| self.volume(*volume)).collect(),
            below_quorum: loss.below_quorum.iter().map(set).collect(),
            data_lost: loss.data_lost.iter().map(set).collect(),
        })
    }
}

fn homeless(loss: &DomainLoss) -> Vec<Homeless> {
    loss.homeless.iter().map(|(brick, why)| Homeless { brick: *brick, why: why.to_string() }).collect()
}
