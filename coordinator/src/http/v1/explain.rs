//! `/v1/explain`: where a volume would go, or why it would not; and how refusals look on our routes.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::heketi::VolumeCreateRequest;
use bricklayer_api::v1::{
    Attempt, AttemptEnded, BrickRole, DeviceFree, DeviceRefusal as DeviceRefusalView, Explanation,
    MoveRelaxation as MoveRelaxationView, NotAReplacement, NotReplacements, OutOfService, PlacedBrick, PlacementRule,
    PlacementWish, ProblemDetail, Refusal as RefusalView, RefusalCause, Relaxation as RelaxationView,
    Relaxed as RelaxedView, RuleCount as RuleCountView, SetLayout, VolumePlacement, ZoneChecking,
};
use bricklayer_proto::ids::ClusterId;
use bricklayer_proto::inventory::BrickRole as Role;
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::task::Layout;
use serde::Serialize;
use serde_json::Value;

use super::policy::provisioning;
use crate::http::body::OurJson;
use crate::http::failure::{Doing, Failure};
use crate::http::heketi::volume_wish;
use crate::http::{Service, answer};
use crate::model::Brick;
use crate::ops::Outlook;
use crate::placement::refusal::Ended;
use crate::placement::{
    Candidate, Cause, DeviceRefusal, MoveRelaxation, NoReplacement, Refusal, Relaxation, Relaxed, Rule, RuleCount,
    RuleKind, Standing, WhyNot, WhyNotCount, Wish, ZoneRule,
};

/// Says where a volume would go, or why it would not.
///
/// Takes what a volume is made with, and changes nothing. A refusal names every device with its numbers, and single
/// changes with which the volume would fit, each of which was tried.
#[utoipa::path(post, path = "/v1/explain", request_body = VolumeCreateRequest, responses((status = 200, body = Explanation)))]
pub async fn explain(
    State(service): State<Service>,
    OurJson(request): OurJson<VolumeCreateRequest>,
) -> Result<Response, Failure> {
    let wish = volume_wish(&service, request)?;
    let rejected = |error| Failure::rejected(Doing::Ours, &error);
    let explanation = match service.operations.volume_outlook(wish).await.map_err(rejected)? {
        Outlook::Fits { volume, candidates } => Explanation {
            fits: true,
            placement: Some(placement(volume.cluster, volume.layout, &volume.bricks, &candidates)),
            refusals: Vec::new(),
        },
        Outlook::Refused(refusals) => {
            let refusals = refusals.iter().map(|(cluster, why)| refusal(*cluster, why)).collect();
            Explanation { fits: false, placement: None, refusals }
        }
    };
    Ok(answer::ok(&explanation))
}

pub fn no_placement(refusals: &[(ClusterId, Box<Refusal>)]) -> ProblemDetail {
    ProblemDetail::NoPlacement { refusals: refusals.iter().map(|(cluster, why)| refusal(*cluster, why)).collect() }
}

pub fn no_replacement(why: &NoReplacement) -> ProblemDetail {
    let device = |(device, why): &(String, WhyNot)| NotAReplacement {
        device: device.clone(),
        rule: word_in(why, "rule"),
        short_bytes: if let WhyNot::Space { short, .. } = why { Some(short.bytes()) } else { None },
        text: why.to_string(),
    };
    let count = |count: &WhyNotCount| NotReplacements {
        rule: word_in(&count.why, "rule"),
        devices: count.devices.try_into().unwrap_or(u64::MAX),
        least_short_bytes: count.least_short.map(ByteSize::bytes),
        text: count.to_string(),
    };
    let relaxation = |relaxation: &MoveRelaxation| MoveRelaxationView {
        change: relaxed(&relaxation.change),
        to: relaxation.to.clone(),
        text: relaxation.to_string(),
        weaker: relaxation.weaker(),
    };
    ProblemDetail::NoReplacement {
        size_bytes: why.size.bytes(),
        devices: why.devices.iter().map(device).collect(),
        by_rule: why.by_rule().iter().map(count).collect(),
        relaxations: why.relaxations.iter().map(relaxation).collect(),
    }
}

pub fn placement(cluster: ClusterId, layout: Layout, all: &[Brick], candidates: &[Candidate]) -> VolumePlacement {
    let on = |brick: &Brick| candidates.iter().find(|candidate| candidate.device == brick.device);
    let devices = candidates.iter().filter_map(|candidate| {
        let bricks: Vec<_> =
            all.iter().filter(|brick| brick.device == candidate.device).map(|brick| brick.space).collect();
        let after = candidate.space.after_all(&bricks).filter(|_| !bricks.is_empty())?;
        Some(device_free(candidate, after.free))
    });
    VolumePlacement {
        cluster,
        durability: durability(layout),
        sets: all.iter().map(|brick| brick.set + 1).max().unwrap_or(0),
        devices: devices.collect(),
        bricks: all.iter().map(|brick| placed(brick, on(brick))).collect(),
        warning: promises_more(all),
    }
}

/// Whether a pool of these has less than its brick.
fn promises_more(bricks: &[Brick]) -> Option<String> {
    let more = bricks.iter().filter(|brick| brick.space.pool < brick.space.volume).count();
    (more > 0).then(|| {
        format!(
            "{more} of these bricks are promised more than their pools have (`over_commit` of the policy): where a device has no \
             more to give when they fill up, writes fail"
        )
    })
}

/// `on`: its device; where nobody knows it any more, it has no name.
pub fn placed(brick: &Brick, on: Option<&Candidate>) -> PlacedBrick {
    PlacedBrick {
        set: brick.set,
        position: brick.position,
        role: role(brick.role),
        node: brick.node,
        node_name: on.map(|on| on.node_name.clone()).unwrap_or_default(),
        device: brick.device,
        device_name: on.map(|on| on.device_name.clone()).unwrap_or_default(),
        size_bytes: brick.asked.bytes(),
        provisioning: provisioning(brick.space.provisioning),
        extents: brick.space.taken().map_or(0, Extents::count),
    }
}

pub fn role(role: Role) -> BrickRole {
    match role {
        Role::Data => BrickRole::Data,
        Role::Arbiter => BrickRole::Arbiter,
    }
}

pub fn device_free(candidate: &Candidate, after: Extents) -> DeviceFree {
    let one = candidate.space.extent_size;
    DeviceFree {
        node: candidate.node,
        node_name: candidate.node_name.clone(),
        device: candidate.device,
        device_name: candidate.device_name.clone(),
        extent_bytes: one.bytes(),
        free_extents: candidate.space.free.count(),
        free_bytes: candidate.space.free_bytes().bytes(),
        free_after_extents: after.count(),
        free_after_bytes: bytes(after, one),
    }
}

pub fn bytes(extents: Extents, one: ExtentSize) -> u64 {
    extents.to_bytes(one).map_or(u64::MAX, ByteSize::bytes)
}

pub fn durability(layout: Layout) -> SetLayout {
    match layout {
        Layout::Distribute => SetLayout::None,
        Layout::Replicate { replica } => SetLayout::Replicate { replica },
        Layout::Arbiter => SetLayout::Arbiter,
        Layout::Disperse { data, redundancy } => SetLayout::Disperse { data, redundancy },
    }
}

pub fn zone_checking(rule: ZoneRule) -> ZoneChecking {
    match rule {
        ZoneRule::Preferred => ZoneChecking::None,
        ZoneRule::Strict => ZoneChecking::Strict,
    }
}

pub fn refusal(cluster: ClusterId, refusal: &Refusal) -> RefusalView {
    RefusalView {
        cluster,
        text: refusal.to_string(),
        cause: match refusal.cause {
            Cause::NoSpace => RefusalCause::NoSpace,
            Cause::TooManyBricks => RefusalCause::TooManyBricks,
            Cause::BrickTooSmall => RefusalCause::BrickTooSmall,
        },
        wish: wish(&refusal.wish),
        attempts: refusal
            .attempts
            .iter()
            .map(|attempt| Attempt {
                sets: attempt.sets,
                brick_bytes: attempt.brick.bytes(),
                ended: match attempt.ended {
                    Ended::BrickTooLarge => AttemptEnded::BrickTooLarge,
                    Ended::BrickTooSmall => AttemptEnded::BrickTooSmall,
                    Ended::TooManyBricks => AttemptEnded::TooManyBricks,
                    Ended::NoSpace => AttemptEnded::NoSpace,
                    Ended::CutOff => AttemptEnded::CutOff,
                },
            })
            .collect(),
        by_rule: refusal.by_rule.iter().map(rule_count).collect(),
        devices: refusal.devices.iter().map(device_refusal).collect(),
        largest_bytes: refusal.largest.map(ByteSize::bytes),
        relaxations: refusal.relaxations.iter().map(relaxation).collect(),
    }
}

fn wish(wish: &Wish) -> PlacementWish {
    PlacementWish {
        size_bytes: wish.size.bytes(),
        durability: durability(wish.layout),
        snapshot_factor_milli: wish.snapshot_factor_milli,
        zone_checking: zone_checking(wish.zones),
        tag_match: wish.tag_match.as_ref().map(ToString::to_string),
        most_bricks_per_zone: wish.set_rules.most_per_zone.map(u32::from),
        tag_rules: wish.set_rules.tags.iter().map(ToString::to_string).collect(),
        over_commit: Some(wish.over_commit).filter(|ratio| !ratio.is_none()).map(|ratio| ratio.to_string()),
        provisioning: provisioning(wish.provisioning),
        least_brick_bytes: wish.limits.least_brick.bytes(),
        largest_brick_bytes: wish.limits.largest_brick.bytes(),
        most_bricks: wish.limits.most_bricks,
        existing_bricks: wish.existing_bricks,
    }
}

fn rule(kind: RuleKind) -> (PlacementRule, Option<String>) {
    match kind {
        RuleKind::NotReady(standing) => (PlacementRule::NotReady, Some(standing_word(standing))),
        RuleKind::AgentTooOld => (PlacementRule::AgentTooOld, None),
        RuleKind::Tag => (PlacementRule::Tag, None),
        RuleKind::Space => (PlacementRule::Space, None),
        RuleKind::Fits => (PlacementRule::Fits, None),
    }
}

fn rule_count(count: &RuleCount) -> RuleCountView {
    let (rule, standing) = rule(count.rule);
    RuleCountView {
        rule,
        standing,
        devices: count.devices.try_into().unwrap_or(u64::MAX),
        free_bytes: count.free.bytes(),
        least_short_bytes: count.least_short.map(ByteSize::bytes),
        text: count.to_string(),
    }
}

fn device_refusal(device: &DeviceRefusal) -> DeviceRefusalView {
    let (rule, standing) = rule(device.rule.kind());
    let (data, arbiters) = match device.rule {
        Rule::Fits { data, arbiter } => (Some(data), Some(arbiter)),
        _ => (None, None),
    };
    DeviceRefusalView {
        node: device.node,
        node_name: device.node_name.clone(),
        zone: device.zone,
        device: device.device,
        device_name: device.device_name.clone(),
        rule,
        standing,
        needed_bytes: device.needed.bytes(),
        free_bytes: device.free.bytes(),
        kept_bytes: device.kept.bytes(),
        set_tags: device.set_tags.clone(),
        room_for_data: data,
        room_for_arbiters: arbiters,
        text: device.to_string(),
    }
}

fn relaxation(relaxation: &Relaxation) -> RelaxationView {
    RelaxationView {
        change: relaxed(&relaxation.change),
        also: relaxation.also.as_ref().map(relaxed),
        wish: wish(&relaxation.wish),
        sets: relaxation.sets.try_into().unwrap_or(u64::MAX),
        brick_bytes: relaxation.brick.bytes(),
        zones: relaxation.zones.try_into().unwrap_or(u64::MAX),
        text: relaxation.to_string(),
        weaker: relaxation.weaker(),
    }
}

fn relaxed(change: &Relaxed) -> RelaxedView {
    match change {
        Relaxed::InService { devices } => RelaxedView::InService {
            devices: devices
                .iter()
                .map(|one| OutOfService {
                    node: one.node,
                    node_name: one.node_name.clone(),
                    device: one.device,
                    device_name: one.device_name.clone(),
                    standing: standing_word(one.standing),
                    also: one.also.iter().copied().map(standing_word).collect(),
                })
                .collect(),
        },
        Relaxed::EmptyTrash { volumes } => RelaxedView::EmptyTrash { volumes: volumes.clone() },
        Relaxed::AnotherDevice => RelaxedView::AnotherDevice,
        Relaxed::AnyTags { .. } => RelaxedView::AnyTags,
        Relaxed::Limits { limits, .. } => {
            RelaxedView::Limits { least_brick_bytes: limits.least_brick.bytes(), most_bricks: limits.most_bricks }
        }
        Relaxed::Size { size, .. } => RelaxedView::Size { size_bytes: size.bytes() },
        Relaxed::SnapshotFactor { milli, .. } => RelaxedView::SnapshotFactor { milli: *milli },
        Relaxed::ZonesPreferred => RelaxedView::ZonesPreferred,
        Relaxed::Layout { layout, .. } => RelaxedView::Layout { durability: durability(*layout) },
        Relaxed::TagRule { without } => RelaxedView::TagRule { without: without.to_string() },
        Relaxed::Reserve { to, .. } => RelaxedView::Reserve { reserve: to.to_string() },
        Relaxed::MostInAZone { most, .. } => RelaxedView::MostInAZone { most_bricks_per_zone: most.get() },
        Relaxed::Provisioning { provisioning: to } => RelaxedView::Provisioning { provisioning: provisioning(*to) },
    }
}

/// Such as `agent-detached`: the word that it is stored by.
pub fn standing_word(standing: Standing) -> String {
    match serde_json::to_value(standing) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn word_in(tagged: &impl Serialize, key: &str) -> String {
    let value = serde_json::to_value(tagged).unwrap_or_default();
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
