//! The bodies of our own routes, all below `/v1`.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /v1/agents` | | 200 [`AgentList`] |
//! | `POST /v1/agents/{node id or name}/revoke` | | 200 |
//! | `GET /v1/invitations` | | 200 [`InvitationList`] |
//! | `POST /v1/invitations` | [`InvitationRequest`] | 201 [`Invitation`] |
//! | `DELETE /v1/invitations/{id}` | | 200 |
//! | `GET /v1/nodes/{id or name}/disks` | | 200 [`DiskList`] |
//! | `PATCH /v1/nodes/{id or name}` | [`NodeEdit`] | 200 |
//! | `POST /v1/nodes/{id or name}/lost` | [`NodeLostRequest`] | 200 |
//! | `GET /v1/devices/{id}/ledger` | | 200 [`DeviceLedger`] |
//! | `GET /v1/nodes/{id or name}/ledger` | | 200 [`LedgerSum`] |
//! | `GET /v1/clusters/{id}/ledger` | | 200 [`LedgerSum`] |
//! | `POST /v1/devices/wipe` | [`WipeRequest`] | 202 and `/queue/{id}`; unconfirmed 409 [`WipeRefusal`] |
//! | `POST /v1/devices/{id}/lost` | [`DeviceLostRequest`] | 200 |
//! | `POST /v1/bricks/{id}/replace` | [`BrickReplaceRequest`] | 202 and `/queue/{id}` |
//! | `GET /v1/volumes/{id}/heal` | | 200 [`Heal`] |
//! | `GET /v1/volumes/{id}/rebalance` | | 200 [`Rebalance`] |
//! | `POST /v1/volumes/{id}/rebalance` | | 200 [`Rebalance`] |
//! | `DELETE /v1/volumes/{id}` | query [`DeleteQuery`] | 202 and `/queue/{id}` |
//! | `POST /v1/volumes/{id}/undelete` | | 202 and `/queue/{id}` |
//! | `POST /v1/volumes/{id}/protect` | [`ProtectRequest`] | 202 and `/queue/{id}` |
//! | `GET /v1/trash` | | 200 [`TrashList`] |
//! | `DELETE /v1/trash/{id}` | | 202 and `/queue/{id}` |
//! | `GET /v1/doctor` | | 200 [`Diagnosis`] |
//! | `GET /v1/pools` | | 200 [`PoolList`] |
//! | `GET /v1/audit` | | 200 [`Audit`] |
//! | `GET /v1/capacity` | query [`CapacityQuery`] | 200 [`CapacityList`] |
//! | `POST /v1/explain` | [`VolumeCreateRequest`](crate::heketi::VolumeCreateRequest) | 200 [`Explanation`] |
//! | `GET /v1/policy` | | 200 [`PolicyList`] |
//! | `PUT /v1/policy` | [`PlacementPolicy`] | 200 [`Policy`] |
//! | `GET /v1/clusters/{id}/policy` | | 200 [`Policy`] |
//! | `PUT /v1/clusters/{id}/policy` | [`PlacementPolicy`] | 200 [`Policy`] |
//! | `GET /v1/volumes/{id}/policy` | | 200 [`Policy`] |
//! | `PUT /v1/volumes/{id}/policy` | [`PlacementPolicy`] | 200 [`Policy`] |
//! | `GET /v1/plans` | | 200 [`PlanList`] |
//! | `GET /v1/plans/{id}` | | 200 [`Plan`] |
//! | `POST /v1/plans/{id}/apply` | | 202 and `/queue/{id}`; out of date 409 |
//! | `GET /v1/score` | query [`ScoreQuery`] | 200 [`ScoreList`] |
//! | `POST /v1/support-bundle` | [`SupportBundleRequest`] | 200, JSON for `bricklayer-coordinator replay` |
//! | `POST /v1/simulate` | [`SimulationRequest`] | 200 [`Simulation`] |
//! | `POST /v1/adopt` | [`AdoptRequest`] | 200 [`Adoption`] |
//! | `POST /v1/unadopt` | [`UnadoptRequest`] | 202 and `/queue/{id}` |
//! | `GET /v1/export/heketi` | | 200 heketi's database; while operations are under way 409 |
//! | `GET /v1/operations` | | 200 [`OperationList`] |
//! | `GET /v1/operations/{id}` | | 200 [`Operation`] |
//!
//! Every request that changes something, heketi's included, takes the query `?dry_run=true`: it is checked and planned
//! as ever and answered 200 [`Plan`], and nothing is changed. A route that cannot plan must refuse such a request, never
//! carry it out. With `?plan=true` it is kept besides, with an id, and can be carried out exactly so; that is for creating
//! and expanding volumes, moving bricks, and removing devices and nodes.
//!
//! Every error is a [`Problem`] with a fitting status.

mod adopt;
mod agents;
mod audit;
mod capacity;
mod disks;
mod doctor;
mod hardware;
mod ledger;
mod operations;
mod placement;
mod plans;
mod policy;
mod pools;
mod score;
mod simulate;
mod support;
mod trash;
mod volumes;

use serde::{Deserialize, Serialize};

pub use adopt::{AdoptRequest, AdoptedDevice, AdoptedNode, AdoptedVolume, Adoption, AdoptionFinding, UnadoptRequest};
pub use agents::{
    Agent, AgentList, AgentState, Invitation, InvitationList, InvitationRequest, InvitationState, InvitationToken,
    OpenInvitation,
};
pub use audit::{Audit, BrickFault, BrickMove, ClusterAudit, Homeless, NodeLoss, SetAudit, SetName, ZoneLoss};
pub use capacity::{Capacity, CapacityList, CapacityPart, CapacityQuery};
pub use disks::{DiskIdentity, DiskList, WipeRefusal, WipeRequest};
pub use doctor::{Diagnosis, Examined, Finding, Severity};
pub use hardware::{BrickReplaceRequest, DeviceLostRequest, NodeEdit, NodeLostRequest};
pub use ledger::{
    BrickStage, DeviceLedger, DeviceSum, Figure, LedgerBrick, LedgerClass, LedgerSum, LedgerVolume, LvmArea, OtherKind,
    Source, SourceKind,
};
pub use operations::{Operation, OperationList, OperationState, Step, StepState};
pub use placement::{
    Attempt, AttemptEnded, BrickRole, DeviceFree, DeviceRefusal, Explanation, MoveRelaxation, NotAReplacement,
    NotReplacements, OutOfService, PlacedBrick, PlacementRule, PlacementWish, Refusal, RefusalCause, Relaxation,
    Relaxed, RuleCount, SetLayout, VolumePlacement, ZoneChecking,
};
pub use plans::{KeptPlan, Plan, PlanList, PlannedBrick, PlannedChange};
pub use policy::{PlacementPolicy, Policy, PolicyInForce, PolicyList, Provisioning, ZonePolicy};
pub use pools::{Pool, PoolBrick, PoolList};
pub use score::{Score, ScoreList, ScorePart, ScoreQuery, ScoredMove};
pub use simulate::{
    Fate, NewPlace, SetState, SimulatedCreation, SimulatedDevice, SimulatedDisk, SimulatedHeal, SimulatedLoss,
    SimulatedSet, SimulatedVolume, SimulatedVolumes, Simulation, SimulationRequest,
};
pub use support::SupportBundleRequest;
pub use trash::{DeleteQuery, ProtectRequest, TrashList, TrashedVolume};
pub use volumes::{BrickHeal, Heal, NodeRebalance, Rebalance, RebalanceState};

/// Body of every error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// What went wrong, and with which thing.
    pub error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// Where bricks found no place: why, device by device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<ProblemDetail>,
}

/// What a program may want to know of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ProblemDetail {
    /// The bricks of a volume, for each cluster that was asked.
    NoPlacement { refusals: Vec<Refusal> },
    /// One brick that was to move.
    NoReplacement {
        size_bytes: u64,
        devices: Vec<NotAReplacement>,
        /// The devices counted by the rule that they fail.
        #[serde(default)]
        by_rule: Vec<NotReplacements>,
        /// What would make it fit.
        #[serde(default)]
        relaxations: Vec<MoveRelaxation>,
    },
}
