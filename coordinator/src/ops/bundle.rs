//! A support bundle: all that placement decides by, as one document, so that what somebody saw is seen again elsewhere.
//!
//! It holds no secret: of the topology only what placement is given, of a volume only what was asked for.

use bricklayer_proto::ids::ClusterId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::candidates::candidates;
use super::context::Context;
use super::volume_create::{candidates_of, eligible, layout_of, placing};
use super::{Rejected, VolumeWish, volume_options};
use crate::model::Policies;
use crate::placement::{self, Candidate, Placement, Refusal, Wish};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bundle {
    /// [`Bundle::FORMAT`].
    pub bricklayer_support_bundle: u32,
    /// Of the coordinator that made it.
    pub version: String,
    pub policies: Policies,
    /// As it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// In the order in which they were tried.
    pub clusters: Vec<BundledCluster>,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BundledCluster {
    pub cluster: ClusterId,
    /// What the request comes to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    pub candidates: Vec<Candidate>,
}

/// Where a volume goes, or why it does not.
#[derive(Debug)]
pub enum Answer<'a> {
    Fits { cluster: &'a BundledCluster, wish: &'a Wish, placement: Placement },
    Refused(Vec<(ClusterId, Box<Refusal>)>),
}

impl Bundle {
    /// Raised when an older program would misread the document.
    pub const FORMAT: u32 = 1;

    /// What placement says to it: the same on any machine. `None` where nothing was asked.
    #[must_use]
    pub fn answer(&self) -> Option<Answer<'_>> {
        let asked = || self.clusters.iter().filter_map(|cluster| Some((cluster, cluster.wish.as_ref()?)));
        asked().next()?;
        let mut refusals = Vec::new();
        for (cluster, wish) in asked() {
            match placement::place(wish, &cluster.candidates) {
                Ok(placement) => return Some(Answer::Fits { cluster, wish, placement }),
                Err(refusal) => {
                    refusals.push((cluster.cluster, Box::new(refusal.explained(&cluster.candidates))));
                }
            }
        }
        Some(Answer::Refused(refusals))
    }
}

/// Without its answer, which [`Bundle::answer`] gives.
pub async fn bundle(context: &Context, wish: Option<VolumeWish>, request: Option<Value>) -> Result<Bundle, Rejected> {
    let clusters = wish.as_ref().map(|wish| wish.clusters.clone()).unwrap_or_default();
    context.greet(&clusters).await;
    let topology = context.state.read();
    let bundled = |cluster, wish| BundledCluster { cluster, wish, candidates: candidates(context, &topology, cluster) };
    let clusters = match wish {
        None => topology.clusters.keys().map(|cluster| bundled(*cluster, None)).collect(),
        Some(wish) => {
            let options = volume_options::read(&wish.options)?;
            let layout = layout_of(wish.layout, &options)?;
            let name = match wish.name {
                Some(name) => name,
                // No volume has it.
                None => format!("vol_{}", bricklayer_proto::ids::VolumeId::random()).parse()?,
            };
            let clusters = candidates_of(&topology, &wish.clusters)?;
            let clusters = eligible(context, &topology, &clusters, &name, wish.block)?;
            let asked = |cluster| placing(context, &topology, cluster, wish.size, layout, wish.snapshot, &options);
            clusters.into_iter().map(|cluster| bundled(cluster, Some(asked(cluster)))).collect()
        }
    };
    Ok(Bundle {
        bricklayer_support_bundle: Bundle::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policies: Policies::clone(&topology.policies),
        request,
        clusters,
        answer: None,
    })
}
