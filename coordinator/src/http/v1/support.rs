//! `/v1/support-bundle`: what placement decides by, in one document.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{Explanation, SupportBundleRequest};

use super::explain::{placement, refusal};
use crate::http::body::OurJson;
use crate::http::failure::{Doing, Failure};
use crate::http::heketi::volume_wish;
use crate::http::{Service, answer};
use crate::ops::{Answer, Bundle, bricks_of};

/// Gives all that placement decides by, for somebody else to look at.
///
/// The devices as placement sees them, the policy, and where a volume is asked about, what it would come to. No secrets.
/// `bricklayer-coordinator replay` gives the same answer from it on any machine. Changes nothing.
#[utoipa::path(post, path = "/v1/support-bundle", request_body = SupportBundleRequest, responses((status = 200, body = serde_json::Value)))]
pub async fn bundle(
    State(service): State<Service>,
    OurJson(request): OurJson<SupportBundleRequest>,
) -> Result<Response, Failure> {
    let unwritten = |error: serde_json::Error| Failure::internal("the bundle could not be written", &error);
    let sent = request.volume.as_ref().map(serde_json::to_value).transpose().map_err(unwritten)?;
    let wish = request.volume.map(|volume| volume_wish(&service, volume)).transpose()?;
    let rejected = |error| Failure::rejected(Doing::Ours, &error);
    let mut bundle = service.operations.bundle(wish, sent).await.map_err(rejected)?;
    let answer = tokio::task::spawn_blocking(move || {
        let answer = explanation(&bundle).map(serde_json::to_value).transpose();
        answer.map(|answer| {
            bundle.answer = answer;
            bundle
        })
    });
    let bundle = answer.await.map_err(|error| Failure::internal("placement was broken off", &error))?;
    Ok(answer::ok(&bundle.map_err(unwritten)?))
}

/// What placement says to a bundle, as `POST /v1/explain` says it.
#[must_use]
pub fn explanation(bundle: &Bundle) -> Option<Explanation> {
    Some(match bundle.answer()? {
        Answer::Fits { cluster, wish, placement: found } => {
            let bricks = bricks_of(&found);
            let placement = placement(cluster.cluster, wish.layout, &bricks, &cluster.candidates);
            Explanation { fits: true, placement: Some(placement), refusals: Vec::new() }
        }
        Answer::Refused(refusals) => {
            let refusals = refusals.iter().map(|(cluster, why)| refusal(*cluster, why)).collect();
            Explanation { fits: false, placement: None, refusals }
        }
    })
}
