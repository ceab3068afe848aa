//! Thin pools: do they fill up, when are they full, which bricks fail then, and why is nothing done about it.

use super::{Finding, Severity, Subject, World, device_on};
use crate::ops::PoolView;
use crate::pools::extension::Decision;

pub fn examine(world: &World, findings: &mut Vec<Finding>) {
    for pool in &world.pools {
        // What an agent said before it went away proves nothing.
        if world.is_moving(pool.device.id) || world.report(pool.node.id).is_none() {
            continue;
        }
        let data = match pool.seen.data_level() {
            0 => None,
            1 => Some(Severity::Note),
            2 => Some(Severity::Warning),
            _ => Some(Severity::Error),
        };
        let metadata = match pool.seen.metadata_level() {
            0 => None,
            1 => Some(Severity::Warning),
            _ => Some(Severity::Error),
        };
        if let (Some(severity), Some(percent)) = (data, pool.seen.data_percent) {
            let promised = format!(", and promises {} with {} of its own", pool.seen.promised, pool.seen.size);
            let what = format!("{} is filled to {percent:.1} %{promised}", named(pool));
            findings.push(found(world, pool, severity, "pool-fills-up", what, "or expand its volume"));
        }
        if let (Some(severity), Some(percent)) = (metadata, pool.seen.metadata_percent) {
            let what = format!("the metadata of {} is filled to {percent:.1} %", named(pool));
            let by_hand = "a pool whose metadata is full needs a repair while it is offline";
            findings.push(found(world, pool, severity, "pool-metadata-fills-up", what, by_hand));
        }
    }
}

fn named(pool: &PoolView) -> String {
    format!("thin pool {} on {}", pool.seen.name, device_on(&pool.node, &pool.device))
}

fn found(
    world: &World,
    pool: &PoolView,
    severity: Severity,
    code: &'static str,
    what: String,
    besides: &str,
) -> Finding {
    let full = pool.seconds_to_full().map(|seconds| format!("; full in {} if it goes on so", roughly(seconds)));
    let bricks: Vec<String> =
        pool.bricks.iter().map(|(brick, _, volume)| format!("{brick} of volume {volume}")).collect();
    let danger = match bricks.as_slice() {
        [] => String::new(),
        [one] => format!("; when it is full, writes to brick {one} fail"),
        many => format!("; when it is full, writes to bricks {} fail", many.join(", ")),
    };
    let cure = match &pool.decision {
        Decision::Extend(_) => "it is being extended; delete snapshots or clones in it if it goes on".to_owned(),
        Decision::Leave => format!("delete snapshots or clones in it, {besides}"),
        Decision::Cannot(why) => format!("it is not extended, as {why}: delete snapshots or clones in it, {besides}"),
    };
    let brick = world.topology.brick_of_pool(pool.device.id, &pool.seen.name);
    Finding {
        severity,
        code,
        subject: brick.map_or(Subject::Device(pool.device.id), |brick| Subject::Brick(brick.id)),
        host: pool.node.name().to_owned(),
        what: format!("{what}{}{danger}", full.unwrap_or_default()),
        cure,
    }
}

/// For people: two days, 5 hours, 40 minutes.
fn roughly(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{} minutes", seconds / 60),
        3600..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
