//! What is asked about places before anything is made: `bricklayer capacity`, `simulate` and `apply`.

use std::process::ExitCode;

use bricklayer_api::client::Change;
use bricklayer_api::heketi::{Disperse, DurabilityKind, DurabilityRequest, Replicate, VolumeCreateRequest};
use bricklayer_api::v1::{
    CapacityQuery, Provisioning, SimulatedDisk, SimulatedLoss, SimulatedVolumes, SimulationRequest,
};

use bricklayer_api::ids::OperationId;
use serde_json::json;

use super::volume::gib_and_bytes;
use super::{DONE, Done, Seen, Session};
use crate::bricklayer::args::common::{Quick, Work};
use crate::bricklayer::args::{Capacity, Loss, NewDurability, NewVolumes, Simulate};
use crate::bricklayer::{REFUSED, tables};
use crate::error::CliError;

impl Session {
    pub(super) async fn capacity(&self, asked: Capacity) -> Done {
        let query = CapacityQuery {
            cluster: asked.cluster.map(|id| id.to_string()),
            durability: asked.durability.map(|kind| DurabilityKind::from(kind).as_str().to_owned()),
            replica: asked.replica,
            arbiter: asked.arbiter.then_some(true),
            disperse_data: asked.disperse_data,
            redundancy: asked.redundancy,
            zone_checking: asked.strict_zones.then(|| "strict".to_owned()),
            tag_match: asked.tag_match,
            snapshot_factor: asked.snapshot_factor,
            provisioning: asked.provisioning.map(|word| Provisioning::from(word).as_str().to_owned()),
            by: asked.by.map(|parts| parts.as_str().to_owned()),
        };
        self.look(asked.look, async || {
            let list = self.client.capacity(&query).await?;
            let names = || list.capacities.iter().map(|one| one.largest_bytes.to_string()).collect();
            self.show(asked.look.output, &list, |width| tables::capacity_list(&list.capacities, width), names)?;
            Ok(Seen::SO_FAR)
        })
        .await
    }
    pub(super) async fn simulate(&self, asked: Simulate) -> Done {
        let request = self.simulation_request(&asked).await?;
        let question = Change::simulate(&request)?;
        let quick = Quick::in_earnest(asked.output);
        let Some(told) = self.ask(&question, quick).await? else { return DONE };
        let names = || {
            let places = told.heals.iter().filter_map(|heal| heal.to.as_ref());
            places.map(|to| format!("{}:{}", to.node_name, to.device_name)).collect()
        };
        self.show(asked.output, &told, |_| tables::simulation(&told), names)?;
        if told.all_well { DONE } else { Ok(ExitCode::from(REFUSED)) }
    }

    pub(super) async fn apply(&self, plan: OperationId, work: Work) -> Done {
        let change = Change::plan_apply(plan)?;
        let Some(()) = self.work(&change, work, &format!("applying plan {plan}")).await? else { return DONE };
        self.tell(work.output(), &json!({ "applied": plan }), &format!("plan {plan} is carried out"), &plan)
    }

    async fn simulation_request(&self, asked: &Simulate) -> Result<SimulationRequest, CliError> {
        let mut request = SimulationRequest::default();
        for loss in &asked.lose {
            request.lose.push(match loss {
                Loss::Node(node) => SimulatedLoss::Node { node: node.find(&self.client).await?.to_string() },
                Loss::Zone(zone) => SimulatedLoss::Zone { zone: *zone },
                Loss::Device(device) => SimulatedLoss::Device { device: device.find(&self.client).await?.to_string() },
            });
        }
        for disk in &asked.add {
            let node = disk.node.find(&self.client).await?.to_string();
            // A size from the command line is at most `i64::MAX`.
            request.add.push(SimulatedDisk { node, size_bytes: i64::try_from(disk.size.bytes()).unwrap_or(i64::MAX) });
        }
        request.create = asked.create.iter().map(volumes).collect();
        Ok(request)
    }
}

fn volumes(volumes: &NewVolumes) -> SimulatedVolumes {
    let (mut replicate, mut disperse) = (Replicate::default(), Disperse::default());
    let kind = match volumes.durability {
        NewDurability::None => DurabilityKind::None,
        NewDurability::Replica(replica) => {
            replicate.replica = replica;
            DurabilityKind::Replicate
        }
        NewDurability::Arbiter => {
            replicate.replica = 3;
            DurabilityKind::Replicate
        }
        NewDurability::Disperse { data, redundancy } => {
            disperse = Disperse { data, redundancy };
            DurabilityKind::Disperse
        }
    };
    let arbiter = volumes.durability == NewDurability::Arbiter;
    let (size_gib, size_bytes) = gib_and_bytes(volumes.size);
    let volume = VolumeCreateRequest {
        size_gib,
        size_bytes,
        durability: DurabilityRequest { kind: kind.as_str().to_owned(), replicate, disperse },
        gluster_volume_options: arbiter.then(|| "user.heketi.arbiter true".to_owned()).into_iter().collect(),
        ..VolumeCreateRequest::default()
    };
    SimulatedVolumes { count: volumes.count.into(), volume }
}
