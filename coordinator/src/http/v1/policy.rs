//! `/v1/policy`, `/v1/clusters/{id}/policy` and `/v1/volumes/{id}/policy`: what is asked of where bricks go.

use std::num::NonZeroU32;

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{
    PlacementPolicy, Policy as Shown, PolicyInForce, PolicyList, Provisioning as ProvisioningView, ZonePolicy,
};
use bricklayer_proto::ids::{ClusterId, VolumeId};
use bricklayer_proto::space::Provisioning;
use serde_json::Value;

use super::Id;
use crate::http::body::OurJson;
use crate::http::failure::{Doing, Failure};
use crate::http::{Service, answer};
use crate::ops::{PolicyOf, PolicyThere, Rejected};
use crate::placement::{OverCommit, Policy, Terms, ZoneRule};

/// Tells what the installation, and each cluster, says about where bricks go.
#[utoipa::path(get, path = "/v1/policy", responses((status = 200, body = PolicyList)))]
pub async fn list(State(service): State<Service>) -> Response {
    answer::ok(&PolicyList { policies: service.operations.policies().iter().map(view).collect() })
}

/// Sets what the installation says about where bricks go.
///
/// This and nothing else. Bricks that are there stay where they are: the audit names those that keep it no more.
#[utoipa::path(put, path = "/v1/policy", request_body = PlacementPolicy, responses((status = 200, body = Shown)))]
pub async fn set(State(service): State<Service>, OurJson(request): OurJson<Value>) -> Result<Response, Failure> {
    change(&service, PolicyOf::Installation, request).await
}

/// Tells what a cluster says about where bricks go, and what holds there.
#[utoipa::path(get, path = "/v1/clusters/{id}/policy", responses((status = 200, body = Shown)))]
pub async fn of_cluster(State(service): State<Service>, Id(id): Id<ClusterId>) -> Result<Response, Failure> {
    Ok(answer::ok(&view(&service.operations.policy_of(PolicyOf::Cluster(id)).map_err(unknown)?)))
}

/// Sets what a cluster says about where bricks go.
///
/// This and nothing else; an empty policy is as the installation says.
#[utoipa::path(put, path = "/v1/clusters/{id}/policy", request_body = PlacementPolicy, responses((status = 200, body = Shown)))]
pub async fn set_of_cluster(
    State(service): State<Service>,
    Id(id): Id<ClusterId>,
    OurJson(request): OurJson<Value>,
) -> Result<Response, Failure> {
    change(&service, PolicyOf::Cluster(id), request).await
}

/// Tells what a volume says about where its bricks go, and what holds for it.
#[utoipa::path(get, path = "/v1/volumes/{id}/policy", responses((status = 200, body = Shown)))]
pub async fn of_volume(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    Ok(answer::ok(&view(&service.operations.policy_of(PolicyOf::Volume(id)).map_err(unknown)?)))
}

/// Sets how far the pools of a volume are extended.
///
/// The rest of what a volume says is decided when it is made: it is left out, or as it is. Without `pools_at_most` its pools are
/// extended as its cluster says.
#[utoipa::path(put, path = "/v1/volumes/{id}/policy", request_body = PlacementPolicy, responses((status = 200, body = Shown)))]
pub async fn set_of_volume(
    State(service): State<Service>,
    Id(id): Id<VolumeId>,
    OurJson(request): OurJson<Value>,
) -> Result<Response, Failure> {
    change(&service, PolicyOf::Volume(id), request).await
}

/// A word that nobody knows is refused: what is put is all that is said, so a rule that was misspelt would be gone.
async fn change(service: &Service, of: PolicyOf, request: Value) -> Result<Response, Failure> {
    if !request.is_object() {
        return Err(Failure::bad_request("the body is not a policy: an object is expected"));
    }
    let request: PlacementPolicy = serde_json::from_value(request)
        .map_err(|error| Failure::bad_request(format!("the body is not a policy: {error}")))?;
    let policy = read(&request)?;
    Ok(answer::ok(&view(&service.operations.set_policy(of, policy).await.map_err(unknown)?)))
}

fn unknown(rejected: Rejected) -> Failure {
    match rejected {
        Rejected::ClusterUnknown(id) => Failure::new(
            axum::http::StatusCode::NOT_FOUND,
            format!("there is no cluster {id}\nSee `bricklayer cluster list`"),
        ),
        other => Failure::rejected(Doing::Ours, &other),
    }
}

fn read(request: &PlacementPolicy) -> Result<Policy, Failure> {
    if request.most_bricks_per_node.is_some_and(|most| most != 1) {
        return Err(Failure::bad_request(
            "most_bricks_per_node is 1, always\nTwo bricks of a set on one node would be lost with it.",
        ));
    }
    let most = |most: i64| {
        let valid = u32::try_from(most).ok().and_then(NonZeroU32::new);
        valid.ok_or_else(|| Failure::bad_request(format!("most_bricks_per_zone is a number from 1, not {most}")))
    };
    let rules = |rules: &Vec<String>| {
        let read = rules.iter().map(|rule| rule.parse().map_err(|error| bad("tag_rules", &error)));
        let mut read = read.collect::<Result<Vec<_>, Failure>>()?;
        read.sort();
        read.dedup();
        Ok::<_, Failure>(read)
    };
    let reserve = request.reserve.as_deref().map(|text| text.parse().map_err(|error| bad("reserve", &error)));
    let over_commit =
        request.over_commit.as_deref().map(|text| text.parse().map_err(|error| bad("over_commit", &error)));
    let pools_at_most =
        request.pools_at_most.as_deref().map(|text| text.parse().map_err(|error| bad("pools_at_most", &error)));
    Ok(Policy {
        zones: request.zones.map(|zones| match zones {
            ZonePolicy::Preferred => ZoneRule::Preferred,
            ZonePolicy::Strict => ZoneRule::Strict,
        }),
        most_per_zone: request.most_bricks_per_zone.map(most).transpose()?,
        reserve: reserve.transpose()?,
        tags: request.tag_rules.as_ref().map(rules).transpose()?,
        over_commit: over_commit.transpose()?,
        provisioning: request.provisioning.map(|word| match word {
            ProvisioningView::Thin => Provisioning::Thin,
            ProvisioningView::Thick => Provisioning::Thick,
        }),
        pools_at_most: pools_at_most.transpose()?,
    })
}

/// What is dangerous about it; nothing where there is none.
pub fn over_committed(ratio: OverCommit) -> Option<String> {
    (!ratio.is_none()).then(|| {
        format!(
            "new data bricks are promised {ratio} times what their pools have: pools have to be extended as bricks fill up, and \
             where a device has no more to give, writes to its bricks fail, on all copies at about the same time"
        )
    })
}

fn bad(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::bad_request(format!("{what}: {error}"))
}

fn zones(rule: ZoneRule) -> ZonePolicy {
    match rule {
        ZoneRule::Preferred => ZonePolicy::Preferred,
        ZoneRule::Strict => ZonePolicy::Strict,
    }
}

pub fn provisioning(provisioning: Provisioning) -> ProvisioningView {
    match provisioning {
        Provisioning::Thin => ProvisioningView::Thin,
        Provisioning::Thick => ProvisioningView::Thick,
    }
}

fn view(there: &PolicyThere) -> Shown {
    let PolicyThere { of, policy, terms } = there;
    let says = PlacementPolicy {
        zones: policy.zones.map(zones),
        most_bricks_per_zone: policy.most_per_zone.map(|most| most.get().into()),
        reserve: policy.reserve.map(|reserve| reserve.to_string()),
        tag_rules: policy.tags.as_ref().map(|rules| rules.iter().map(ToString::to_string).collect()),
        over_commit: policy.over_commit.map(|ratio| ratio.to_string()),
        provisioning: policy.provisioning.map(provisioning),
        pools_at_most: policy.pools_at_most.map(|most| most.to_string()),
        most_bricks_per_node: None,
    };
    let (cluster, volume) = match of {
        PolicyOf::Installation => (None, None),
        PolicyOf::Cluster(id) => (Some(*id), None),
        PolicyOf::Volume(id) => (None, Some(*id)),
    };
    Shown { cluster, volume, says, in_force: in_force(terms) }
}

fn in_force(terms: &Terms) -> PolicyInForce {
    PolicyInForce {
        zones: zones(terms.zones),
        most_bricks_per_zone: terms.set.most_per_zone.map(NonZeroU32::get),
        most_bricks_per_node: 1,
        reserve: terms.reserve.to_string(),
        tag_rules: terms.set.tags.iter().map(ToString::to_string).collect(),
        over_commit: terms.over_commit.to_string(),
        provisioning: provisioning(terms.provisioning),
        pools_at_most: Some(terms.pools_at_most.to_string()),
        warning: over_committed(terms.over_commit),
    }
}
