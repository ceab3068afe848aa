//! The largest volumes that still fit.

use bricklayer_proto::ids::ClusterId;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::Provisioning;
use bricklayer_proto::task::Layout;

use super::Rejected;
use super::candidates::pool;
use super::context::Context;
use super::volume_create::candidates_of;
use crate::placement::{self, Capacity, Part, Parts, Policy, TagMatch, Wish, ZoneRule};

/// What kind of volume is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityWish {
    /// All where it is empty.
    pub clusters: Vec<ClusterId>,
    pub layouts: Vec<Layout>,
    /// `None`: as the installation has it.
    pub zones: Option<ZoneRule>,
    pub tag_match: Option<TagMatch>,
    pub snapshot_factor_milli: u32,
    /// `None`: as the policy has it.
    pub provisioning: Option<Provisioning>,
    /// Each part of the clusters by itself as well.
    pub parts: Option<Parts>,
}

/// What fits into one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterCapacity {
    pub cluster: ClusterId,
    pub wish: Wish,
    pub capacity: Capacity,
    pub parts: Vec<(Part, Capacity)>,
}

/// For each cluster, each layout.
pub async fn capacities(context: &Context, asked: &CapacityWish) -> Result<Vec<ClusterCapacity>, Rejected> {
    context.greet(&asked.clusters).await;
    let topology = context.state.read();
    let mut capacities = Vec::new();
    for cluster in candidates_of(&topology, &asked.clusters)? {
        let pool = pool(context, &topology, cluster);
        for layout in &asked.layouts {
            let own = Policy { provisioning: asked.provisioning, ..Policy::default() };
            let terms = own.over(context.terms(&topology, cluster));
            // None fits: it would be thick, and refused with its snapshots.
            let is_refused = terms.provisioning.is_thick() && asked.snapshot_factor_milli > 1000;
            if is_refused && asked.provisioning.is_some() {
                return Err(Rejected::ThickSnapshots);
            }
            let wish = Wish {
                snapshot_factor_milli: asked.snapshot_factor_milli,
                zones: asked.zones.unwrap_or(terms.zones),
                set_rules: terms.set,
                over_commit: terms.over_commit,
                provisioning: terms.provisioning,
                average_file_size: context.policy.average_file_size,
                limits: context.policy.limits,
                tag_match: asked.tag_match.clone(),
                ..Wish::new(ByteSize::ZERO, *layout)
            };
            let mut capacity = placement::capacity_in(&wish, &pool);
            let parts = asked.parts.map(|parts| placement::capacity_of_parts(&wish, &pool, parts));
            let mut parts = parts.unwrap_or_default();
            if is_refused {
                capacity.largest = None;
                parts.iter_mut().for_each(|(_, part)| part.largest = None);
            }
            capacities.push(ClusterCapacity { cluster, wish, capacity, parts });
        }
    }
    Ok(capacities)
}
