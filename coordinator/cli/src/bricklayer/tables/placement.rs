//! Where bricks go, and why they do not.

use std::fmt::Write as _;

use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{BrickRole, DeviceFree, Explanation, PlacedBrick, VolumePlacement};

use super::{count, table};

/// Where a volume would go, or why it would not.
pub fn explanation(told: &Explanation) -> String {
    match &told.placement {
        Some(placement) => volume_placement(placement),
        None => {
            let several = told.refusals.len() > 1;
            let refusals = told.refusals.iter().map(|refusal| {
                let of = if several { format!("Cluster {}: ", refusal.cluster) } else { String::new() };
                format!("{of}{}\n", refusal.text.trim_end())
            });
            refusals.collect::<Vec<_>>().join("\n")
        }
    }
}

fn volume_placement(placement: &VolumePlacement) -> String {
    let sets = usize::try_from(placement.sets).unwrap_or(usize::MAX);
    let (durability, cluster) = (placement.durability, placement.cluster);
    let mut text = format!("It fits: {durability}, {}, in cluster {cluster}.\n\n", count(sets, "set"));
    text.push_str(&bricks(&placement.bricks));
    let _infallible = write!(text, "\n{}", devices(&placement.devices));
    text
}

pub(super) fn bricks(bricks: &[PlacedBrick]) -> String {
    let row = |brick: &PlacedBrick| {
        vec![
            (brick.set + 1).to_string(),
            match brick.role {
                BrickRole::Data => "data".to_owned(),
                BrickRole::Arbiter => "arbiter".to_owned(),
            },
            format!("{}:{}", brick.node_name, brick.device_name),
            ByteSize::from_bytes(brick.size_bytes).to_string(),
            brick.extents.to_string(),
        ]
    };
    table(&["SET", "BRICK", "DEVICE", "SIZE", "EXTENTS"], bricks.iter().map(row))
}

pub(super) fn devices(devices: &[DeviceFree]) -> String {
    let row = |device: &DeviceFree| {
        vec![
            format!("{}:{}", device.node_name, device.device_name),
            ByteSize::from_bytes(device.free_bytes).to_string(),
            ByteSize::from_bytes(device.free_after_bytes).to_string(),
            device.free_after_extents.to_string(),
        ]
    };
    table(&["DEVICE", "FREE", "FREE AFTER", "EXTENTS AFTER"], devices.iter().map(row))
}
