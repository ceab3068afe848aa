//! Our own routes.

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InvitationId, NodeId, OperationId, VolumeId};
use bricklayer_proto::names::HostName;
use reqwest::StatusCode;
use serde_json::Value;

use super::answer::Answer;
use super::change::{Change, Reply, changes};
use super::{Accepted, Client, ClientError};
use crate::heketi::{VolumeCreateRequest, VolumeInfo};
use crate::json::parse_body;
use crate::v1::{
    AdoptRequest, Adoption, AgentList, Audit, BrickReplaceRequest, CapacityList, CapacityQuery, DeviceLedger,
    DeviceLostRequest, Diagnosis, DiskList, Explanation, Heal, Invitation, InvitationList, InvitationRequest,
    LedgerSum, NodeEdit, NodeLostRequest, Operation, OperationList, PlacementPolicy, Plan, PlanList, Policy,
    PolicyList, PoolList, ProtectRequest, Rebalance, ScoreList, ScoreQuery, Simulation, SimulationRequest,
    SupportBundleRequest, TrashList, UnadoptRequest, WipeRefusal, WipeRequest,
};

/// What the server said to a wipe.
#[derive(Debug)]
pub enum Wipe {
    Accepted(Accepted<()>),
    /// Nothing was touched: this is what lies on the disk, and what to confirm with.
    Unconfirmed(WipeRefusal),
}

impl Reply for Wipe {
    fn from_answer(path: &str, answer: Answer) -> Result<Self, ClientError> {
        if answer.status == StatusCode::CONFLICT
            && let Ok(refusal) = parse_body::<WipeRefusal>(&answer.body)
        {
            return Ok(Self::Unconfirmed(refusal));
        }
        Accepted::from_answer(path, answer).map(Self::Accepted)
    }
}

/// The query that says how long bricks are kept.
fn keeping(keep: Option<&str>) -> String {
    let query = keep.map(|keep| form_urlencoded::Serializer::new("?".to_owned()).append_pair("keep", keep).finish());
    query.unwrap_or_default()
}

/// A body for routes that take one and look at nothing in it.
#[derive(serde::Serialize)]
struct Nothing {}

changes! {
    /// Shuts the agent of a node (by name, or by id) out for good.
    agent_revoke(node: &HostName) -> () = POST "/v1/agents/{node}/revoke" with Nothing {};
    invite(request: &InvitationRequest) -> Invitation = POST "/v1/invitations" with request;
    uninvite(id: InvitationId) -> () = DELETE "/v1/invitations/{id}";

    device_wipe(request: &WipeRequest) -> Wipe = POST "/v1/devices/wipe" with request;

    /// Gives the disk of a device up.
    device_lost(device: DeviceId, request: &DeviceLostRequest) -> () = POST "/v1/devices/{device}/lost" with request;

    /// Gives a node another zone or other addresses.
    node_edit(node: NodeId, edit: &NodeEdit) -> () = PATCH "/v1/nodes/{node}" with edit;
    /// Gives a node up, with all that is on it.
    node_lost(node: NodeId, request: &NodeLostRequest) -> () = POST "/v1/nodes/{node}/lost" with request;

    /// What could be adopted. Changes nothing.
    adopt(request: &AdoptRequest) -> Adoption = POST "/v1/adopt" with request;
    /// Gives back what was adopted.
    unadopt(request: &UnadoptRequest) -> Accepted<()> = POST "/v1/unadopt" with request;

    brick_replace(id: BrickId, request: &BrickReplaceRequest) -> Accepted<()> =
        POST "/v1/bricks/{id}/replace" with request;

    /// Where a volume would go, or why it would not. A question: nothing is changed.
    explain(request: &VolumeCreateRequest) -> Explanation = POST "/v1/explain" with request;

    /// The installation says this about where bricks go from now on, and nothing else.
    policy_set(policy: &PlacementPolicy) -> Policy = PUT "/v1/policy" with policy;
    /// The same of a cluster.
    cluster_policy_set(id: ClusterId, policy: &PlacementPolicy) -> Policy =
        PUT "/v1/clusters/{id}/policy" with policy;
    volume_policy_set(id: VolumeId, policy: &PlacementPolicy) -> Policy =
        PUT "/v1/volumes/{id}/policy" with policy;

    /// Has exactly that done which a plan says; its operation has the plan's id.
    plan_apply(id: OperationId) -> Accepted<()> = POST "/v1/plans/{id}/apply" with Nothing {};

    /// What would become of the clusters. A question: nothing is changed.
    simulate(request: &SimulationRequest) -> Simulation = POST "/v1/simulate" with request;

    /// Deletes a volume. `keep`: how long its bricks are kept, such as `7d`; `None`: as the installation has it.
    volume_delete_keeping(id: VolumeId, keep: Option<&str>) -> Accepted<()> =
        DELETE "/v1/volumes/{id}{}" of keeping(keep);
    /// Takes a volume out of the trash.
    volume_undelete(id: VolumeId) -> Accepted<VolumeInfo> = POST "/v1/volumes/{id}/undelete" with Nothing {};
    /// Ends a volume in the trash before its time.
    trash_end(id: VolumeId) -> Accepted<()> = DELETE "/v1/trash/{id}";
    volume_protect(id: VolumeId, request: ProtectRequest) -> Accepted<VolumeInfo> =
        POST "/v1/volumes/{id}/protect" with request;
    /// What placement decides by, as one document. A question: nothing is changed.
    support_bundle(request: &SupportBundleRequest) -> Value = POST "/v1/support-bundle" with request;

    /// Starts it, or finds it started.
    volume_rebalance(id: VolumeId) -> Rebalance = POST "/v1/volumes/{id}/rebalance" with Nothing {};
}

impl Client {
    pub async fn agents(&self) -> Result<AgentList, ClientError> {
        self.get_json("/v1/agents").await
    }

    pub async fn invitations(&self) -> Result<InvitationList, ClientError> {
        self.get_json("/v1/invitations").await
    }

    /// The disks of a node (by name, or by id), as its agent saw them last.
    pub async fn disks(&self, node: &HostName) -> Result<DiskList, ClientError> {
        self.get_json(&format!("/v1/nodes/{node}/disks")).await
    }

    /// What is amiss.
    pub async fn doctor(&self) -> Result<Diagnosis, ClientError> {
        self.get_json("/v1/doctor").await
    }

    /// Where every byte of a device went.
    pub async fn device_ledger(&self, id: DeviceId) -> Result<DeviceLedger, ClientError> {
        self.get_json(&format!("/v1/devices/{id}/ledger")).await
    }

    /// Where every byte of a node's devices went.
    pub async fn node_ledger(&self, id: NodeId) -> Result<LedgerSum, ClientError> {
        self.get_json(&format!("/v1/nodes/{id}/ledger")).await
    }

    /// Where every byte of a cluster's devices went.
    pub async fn cluster_ledger(&self, id: ClusterId) -> Result<LedgerSum, ClientError> {
        self.get_json(&format!("/v1/clusters/{id}/ledger")).await
    }

    /// Which brick sets do not keep the rules as things stand now, and what would mend them.
    pub async fn audit(&self) -> Result<Audit, ClientError> {
        self.get_json("/v1/audit").await
    }

    /// How full the thin pools are.
    pub async fn pools(&self) -> Result<PoolList, ClientError> {
        self.get_json("/v1/pools").await
    }

    /// Deleted volumes that can be had back.
    pub async fn trash(&self) -> Result<TrashList, ClientError> {
        self.get_json("/v1/trash").await
    }

    /// heketi's database of the state as it is.
    pub async fn export_heketi(&self) -> Result<Value, ClientError> {
        self.get_json("/v1/export/heketi").await
    }

    /// What the installation says about where bricks go, and each cluster.
    pub async fn policies(&self) -> Result<PolicyList, ClientError> {
        self.get_json("/v1/policy").await
    }

    pub async fn cluster_policy(&self, id: ClusterId) -> Result<Policy, ClientError> {
        self.get_json(&format!("/v1/clusters/{id}/policy")).await
    }

    pub async fn volume_policy(&self, id: VolumeId) -> Result<Policy, ClientError> {
        self.get_json(&format!("/v1/volumes/{id}/policy")).await
    }

    /// What is left to heal.
    pub async fn heal(&self, id: VolumeId) -> Result<Heal, ClientError> {
        self.get_json(&format!("/v1/volumes/{id}/heal")).await
    }

    /// How far a rebalance is.
    pub async fn rebalance(&self, id: VolumeId) -> Result<Rebalance, ClientError> {
        self.get_json(&format!("/v1/volumes/{id}/rebalance")).await
    }

    /// The largest volumes that still fit.
    pub async fn capacity(&self, query: &CapacityQuery) -> Result<CapacityList, ClientError> {
        let mut words = form_urlencoded::Serializer::new(String::new());
        if let Ok(Value::Object(given)) = serde_json::to_value(query) {
            for (word, value) in &given {
                match value {
                    Value::String(text) => words.append_pair(word, text),
                    other => words.append_pair(word, &other.to_string()),
                };
            }
        }
        let query = words.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        self.get_json(&format!("/v1/capacity{mark}{query}")).await
    }

    /// How well bricks lie, and what would better it.
    pub async fn score(&self, query: &ScoreQuery) -> Result<ScoreList, ClientError> {
        let moves = query.moves.map_or_else(String::new, |moves| format!("?moves={moves}"));
        self.get_json(&format!("/v1/score{moves}")).await
    }

    /// The plans that are kept.
    pub async fn plans_kept(&self) -> Result<PlanList, ClientError> {
        self.get_json("/v1/plans").await
    }

    /// A plan that is kept.
    pub async fn plan_kept(&self, id: OperationId) -> Result<Plan, ClientError> {
        self.get_json(&format!("/v1/plans/{id}")).await
    }

    pub async fn operations(&self) -> Result<OperationList, ClientError> {
        self.get_json("/v1/operations").await
    }

    pub async fn operation(&self, id: OperationId) -> Result<Operation, ClientError> {
        self.get_json(&format!("/v1/operations/{id}")).await
    }
}
