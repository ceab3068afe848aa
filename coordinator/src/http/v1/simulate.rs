//! `/v1/simulate`: what would become of the clusters.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{
    Fate as FateView, NewPlace, PlacedBrick, SetState as SetStateView, SimulatedCreation, SimulatedDevice,
    SimulatedDisk, SimulatedHeal, SimulatedLoss, SimulatedSet, SimulatedVolume, SimulatedVolumes,
    Simulation as SimulationView, SimulationRequest,
};
use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::size::{ByteSize, Extents};

use super::explain::{device_free, durability, refusal, role};
use super::policy::provisioning;
use crate::http::body::OurJson;
use crate::http::failure::{Doing, Failure};
use crate::http::heketi::volume_wish;
use crate::http::{Service, answer};
use crate::ops::{MOST_IN_A_SIMULATION, Supposition};
use crate::placement::what_if::{
    CreationOutcome, DeviceOutcome, Fate, Heal, Loss, NoHeal, NotCreated, Outcome, SetOutcome, SetState, quorum,
};
use crate::placement::{Candidate, Placement};

type Devices<'a> = BTreeMap<DeviceId, &'a Candidate>;

/// Says what would become of the clusters: what heals where, which sets fall below their quorum, what still fits.
///
/// It is played on a copy, by the rules by which it would happen, and changes nothing. First everything is lost, then
/// everything added, then what was lost is healed, then the volumes are made.
#[utoipa::path(post, path = "/v1/simulate", request_body = SimulationRequest, responses((status = 200, body = SimulationView)))]
pub async fn simulate(
    State(service): State<Service>,
    OurJson(request): OurJson<SimulationRequest>,
) -> Result<Response, Failure> {
    let supposed = supposed(&service, request)?;
    let rejected = |error| Failure::rejected(Doing::Ours, &error);
    Ok(answer::ok(&view(&service.operations.simulate(supposed).await.map_err(rejected)?)))
}

fn supposed(service: &Service, request: SimulationRequest) -> Result<Supposition, Failure> {
    let SimulationRequest { lose, add, create } = request;
    let too_many = || {
        Failure::bad_request(format!(
            "one simulation takes up to {MOST_IN_A_SIMULATION} losses, disks and volumes of each"
        ))
    };
    if lose.len().max(add.len()).max(create.len()) > MOST_IN_A_SIMULATION {
        return Err(too_many());
    }
    let loss = |loss: SimulatedLoss| match loss {
        SimulatedLoss::Node { node } => service.node(&node).map(Loss::Node),
        SimulatedLoss::Zone { zone } => Ok(Loss::Zone(zone)),
        SimulatedLoss::Device { device } => {
            let id = device.parse().map_err(|error| Failure::bad_request(format!("device {device:?}: {error}")))?;
            Ok(Loss::Device(id))
        }
    };
    let disk = |disk: SimulatedDisk| {
        let size = u64::try_from(disk.size_bytes).ok().filter(|size| *size > 0);
        let size = size.ok_or_else(|| Failure::bad_request("size_bytes: a disk has more than nothing"))?;
        Ok((service.node(&disk.node)?, ByteSize::from_bytes(size)))
    };
    let mut left = MOST_IN_A_SIMULATION;
    let volumes = |volumes: SimulatedVolumes| {
        let count = usize::try_from(volumes.count).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| Failure::bad_request("count: at least one volume is made"))?;
        left = left.checked_sub(count).ok_or_else(too_many)?;
        Ok((count, volume_wish(service, volumes.volume)?))
    };
    Ok(Supposition {
        lose: lose.into_iter().map(loss).collect::<Result<_, Failure>>()?,
        add: add.into_iter().map(disk).collect::<Result<_, Failure>>()?,
        create: create.into_iter().map(volumes).collect::<Result<_, Failure>>()?,
    })
}

fn view(outcome: &Outcome) -> SimulationView {
    let devices: Devices = outcome.devices.iter().map(|one| (one.candidate.device, &one.candidate)).collect();
    let all_well = outcome.heals.iter().all(|heal| heal.to.is_ok())
        && outcome.creations.iter().all(|creation| creation.refused.is_none());
    let mut by_name: Vec<&DeviceOutcome> = outcome.devices.iter().collect();
    by_name.sort_by_key(|one| (&one.candidate.node_name, &one.candidate.device_name, one.candidate.device));
    SimulationView {
        all_well,
        sets: outcome.sets.iter().map(set).collect(),
        heals: outcome.heals.iter().map(|one| heal(one, &devices)).collect(),
        creations: outcome.creations.iter().map(|one| creation(one, &devices)).collect(),
        devices: by_name.into_iter().map(device).collect(),
    }
}

fn set(set: &SetOutcome) -> SimulatedSet {
    SimulatedSet {
        volume: set.volume,
        volume_name: set.volume_name.clone(),
        durability: durability(set.layout),
        set: set.set,
        bricks_lost: counted(set.bricks_lost),
        bricks_left: counted(set.bricks_left),
        quorum: counted(quorum(set.layout)),
        state: match set.state {
            SetState::Degraded => SetStateView::Degraded,
            SetState::BelowQuorum => SetStateView::BelowQuorum,
            SetState::DataLost => SetStateView::DataLost,
        },
    }
}

fn heal(heal: &Heal, devices: &Devices<'_>) -> SimulatedHeal {
    let name = |id| devices.get(id).map(|one| (one.node_name.clone(), one.device_name.clone())).unwrap_or_default();
    let (from_node_name, from_device_name) = name(&heal.brick.device);
    let (to, why_not) = match &heal.to {
        Ok(placed) => {
            let (node_name, device_name) = name(&placed.device);
            (Some(NewPlace { node: placed.node, node_name, device: placed.device, device_name }), None)
        }
        Err(NoHeal::NoPlace(why)) => (None, Some(why.to_string())),
        Err(NoHeal::Set(SetState::DataLost)) => (None, Some("nothing that is left has its data".to_owned())),
        Err(NoHeal::Set(_)) => {
            let why =
                "too few bricks of its set are left to be sure of the data; it moves with --disable-heal-check alone";
            (None, Some(why.to_owned()))
        }
    };
    SimulatedHeal {
        volume: heal.volume,
        volume_name: heal.volume_name.clone(),
        brick: heal.brick.id,
        set: heal.brick.set,
        size_bytes: heal.brick.asked.bytes(),
        from: heal.brick.device,
        from_node_name,
        from_device_name,
        to,
        why_not,
    }
}

fn creation(creation: &CreationOutcome, devices: &Devices<'_>) -> SimulatedCreation {
    let volumes = creation
        .placed
        .iter()
        .map(|(cluster, placement)| SimulatedVolume { cluster: *cluster, bricks: bricks(placement, devices) });
    let (why_not, refusals) = match &creation.refused {
        None => (None, Vec::new()),
        Some(NotCreated::TooManyVolumes) => {
            (Some("the cluster has as many volumes as are allowed".to_owned()), Vec::new())
        }
        Some(NotCreated::NoPlacement(refusals)) => {
            let texts: Vec<_> = refusals.iter().map(|(_, why)| why.to_string()).collect();
            (Some(texts.join("\n")), refusals.iter().map(|(cluster, why)| refusal(*cluster, why)).collect())
        }
    };
    SimulatedCreation {
        asked: counted(creation.asked),
        fits: counted(creation.placed.len()),
        volumes: volumes.collect(),
        why_not,
        refusals,
    }
}

fn bricks(placement: &Placement, devices: &Devices<'_>) -> Vec<PlacedBrick> {
    let sets = (0..).zip(&placement.sets);
    let placed = sets.flat_map(|(set, bricks)| (0..).zip(bricks).map(move |(position, brick)| (set, position, brick)));
    placed
        .map(|(set, position, brick)| {
            let on = devices.get(&brick.device);
            PlacedBrick {
                provisioning: provisioning(brick.space.provisioning),
                set,
                position,
                role: role(brick.role),
                node: brick.node,
                node_name: on.map(|on| on.node_name.clone()).unwrap_or_default(),
                device: brick.device,
                device_name: on.map(|on| on.device_name.clone()).unwrap_or_default(),
                size_bytes: brick.asked.bytes(),
                extents: brick.space.taken().map_or(0, Extents::count),
            }
        })
        .collect()
}

fn device(device: &DeviceOutcome) -> SimulatedDevice {
    SimulatedDevice {
        fate: match device.fate {
            Fate::Stays => FateView::Stays,
            Fate::Lost => FateView::Lost,
            Fate::Comes => FateView::Added,
        },
        free: device_free(&device.candidate, device.after.free),
    }
}

fn counted(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
