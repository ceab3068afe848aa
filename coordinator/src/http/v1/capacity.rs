//! `/v1/capacity`: the largest volumes that still fit.

use std::str::FromStr;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bricklayer_api::heketi::{Disperse, DurabilityRequest, Replicate, Snapshot, SnapshotFactor};
use bricklayer_api::v1::{Capacity, CapacityList, CapacityPart, CapacityQuery};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::NotAProvisioning;
use bricklayer_proto::task::Layout;

use super::explain::{durability, zone_checking};
use super::policy::{over_committed, provisioning};
use crate::http::failure::Failure;
use crate::http::heketi::{clusters_named, layout_of, snapshot_of};
use crate::http::{Service, answer};
use crate::ops::{CapacityWish, ClusterCapacity};
use crate::placement::{self, NotATagMatch, Part, Parts, ZoneRule};

/// What most volumes are, and heketi's erasure codes.
const USUAL: [Layout; 8] = [
    Layout::Distribute,
    Layout::Replicate { replica: 2 },
    Layout::Replicate { replica: 3 },
    Layout::Arbiter,
    Layout::Disperse { data: 2, redundancy: 1 },
    Layout::Disperse { data: 4, redundancy: 2 },
    Layout::Disperse { data: 8, redundancy: 3 },
    Layout::Disperse { data: 8, redundancy: 4 },
];

/// Tells the largest volume that still fits, by cluster and durability.
///
/// It is what placement itself would take now; a larger one would be refused.
#[utoipa::path(get, path = "/v1/capacity", params(CapacityQuery), responses((status = 200, body = CapacityList)))]
pub async fn list(State(service): State<Service>, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = read(query.as_deref().unwrap_or_default())?;
    let wish = wish(&service, &query)?;
    let capacities = service.operations.capacities(&wish).await?;
    Ok(answer::ok(&CapacityList { capacities: capacities.iter().map(view).collect() }))
}

/// A word that nobody knows is refused: it was meant to narrow the answer.
fn read(query: &str) -> Result<CapacityQuery, Failure> {
    fn value<T: FromStr>(key: &str, text: &str) -> Result<Option<T>, Failure> {
        let wrong = || Failure::bad_request(format!("{text:?} is no {key}"));
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong()) }
    }
    let mut read = CapacityQuery::default();
    for (key, text) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "cluster" => read.cluster = value(&key, &text)?,
            "durability" => read.durability = value(&key, &text)?,
            "replica" => read.replica = value(&key, &text)?,
            "arbiter" => read.arbiter = value(&key, &text)?,
            "disperse_data" => read.disperse_data = value(&key, &text)?,
            "redundancy" => read.redundancy = value(&key, &text)?,
            "zone_checking" => read.zone_checking = value(&key, &text)?,
            "tag_match" => read.tag_match = value(&key, &text)?,
            "snapshot_factor" => read.snapshot_factor = value(&key, &text)?,
            "provisioning" => read.provisioning = value(&key, &text)?,
            "by" => read.by = value(&key, &text)?,
            other => return Err(Failure::bad_request(format!("{other:?} is no word of this query"))),
        }
    }
    Ok(read)
}

fn wish(service: &Service, query: &CapacityQuery) -> Result<CapacityWish, Failure> {
    let clusters: Vec<String> = query.cluster.iter().cloned().collect();
    let snapshot = match query.snapshot_factor {
        Some(factor) => Snapshot { enable: true, factor: SnapshotFactor(factor) },
        None => Snapshot::default(),
    };
    let tag_match = query.tag_match.as_deref().filter(|rule| !rule.is_empty()).map(str::parse);
    let provisioning = query.provisioning.as_deref().filter(|word| !word.is_empty()).map(str::parse);
    let zones = match query.zone_checking.as_deref() {
        None | Some("") => None,
        Some("none") => Some(ZoneRule::Preferred),
        Some("strict") => Some(ZoneRule::Strict),
        Some(other) => {
            return Err(Failure::bad_request(format!("zone_checking is none or strict, not {other:?}")));
        }
    };
    let parts = match query.by.as_deref() {
        None | Some("") => None,
        Some("zone") => Some(Parts::Zones),
        Some("tag") => Some(Parts::Tags),
        Some(other) => return Err(Failure::bad_request(format!("by is zone or tag, not {other:?}"))),
    };
    Ok(CapacityWish {
        parts,
        clusters: clusters_named(&clusters, &service.operations.topology())?,
        layouts: layouts(query)?,
        zones,
        tag_match: tag_match.transpose().map_err(|error: NotATagMatch| Failure::bad_request(error.to_string()))?,
        snapshot_factor_milli: snapshot_of(snapshot)?.factor_milli,
        provisioning: provisioning
            .transpose()
            .map_err(|error: NotAProvisioning| Failure::bad_request(error.to_string()))?,
    })
}

/// What belongs to no durability that was named says which one is meant.
fn layouts(query: &CapacityQuery) -> Result<Vec<Layout>, Failure> {
    let arbiter = query.arbiter.unwrap_or(false);
    let replicated = arbiter || query.replica.is_some();
    let dispersed = query.disperse_data.is_some() || query.redundancy.is_some();
    let kind = match query.durability.as_deref().filter(|kind| !kind.is_empty()) {
        Some(kind) => kind,
        None if replicated && dispersed => {
            return Err(Failure::bad_request(
                "a volume is replicated or dispersed\nSay which, or leave one of them out.",
            ));
        }
        None if replicated => "replicate",
        None if dispersed => "disperse",
        None => return Ok(USUAL.to_vec()),
    };
    let replica = query.replica.unwrap_or(if arbiter { 3 } else { 0 });
    let request = DurabilityRequest {
        kind: kind.to_owned(),
        replicate: Replicate { replica },
        disperse: Disperse {
            data: query.disperse_data.unwrap_or_default(),
            redundancy: query.redundancy.unwrap_or_default(),
        },
    };
    let (layout, _) = layout_of(&request)?;
    match layout {
        Layout::Replicate { replica: 3 } if arbiter => Ok(vec![Layout::Arbiter]),
        _ if arbiter => {
            Err(Failure::bad_request("an arbiter is the third copy of durability replicate with replica 3"))
        }
        layout => Ok(vec![layout]),
    }
}

fn view(one: &ClusterCapacity) -> Capacity {
    let largest = one.capacity.largest.unwrap_or(ByteSize::ZERO);
    Capacity {
        cluster: one.cluster,
        durability: durability(one.wish.layout),
        zone_checking: zone_checking(one.wish.zones),
        tag_match: one.wish.tag_match.as_ref().map(ToString::to_string),
        snapshot_factor_milli: one.wish.snapshot_factor_milli,
        provisioning: provisioning(one.wish.provisioning),
        largest_bytes: largest.bytes(),
        largest_gib: largest.whole_gib(),
        devices: one.capacity.devices.try_into().unwrap_or(u64::MAX),
        free_bytes: one.capacity.free.bytes(),
        kept_bytes: one.capacity.kept.bytes(),
        warning: over_committed(one.wish.over_commit),
        parts: one.parts.iter().map(part).collect(),
    }
}

fn part((part, capacity): &(Part, placement::Capacity)) -> CapacityPart {
    let largest = capacity.largest.unwrap_or(ByteSize::ZERO);
    let (zone, tag) = match part {
        Part::Zone(zone) => (Some(*zone), None),
        Part::Tag(key, value) => (None, Some(format!("{key}={value}"))),
    };
    CapacityPart {
        zone,
        tag,
        largest_bytes: largest.bytes(),
        largest_gib: largest.whole_gib(),
        devices: capacity.devices.try_into().unwrap_or(u64::MAX),
        free_bytes: capacity.free.bytes(),
        kept_bytes: capacity.kept.bytes(),
    }
}
