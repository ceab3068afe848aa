//! Where bricks go, and why they do not.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{
    BrickRole, Capacity, CapacityPart, DeviceFree, Explanation, Fate, PlacedBrick, Provisioning, SetState,
    SimulatedDevice, SimulatedHeal, SimulatedSet, Simulation, VolumePlacement, ZoneChecking,
};

use super::{Width, cells, columns, count, or_dash, table};

/// By cluster and durability.
pub fn capacity_list(capacities: &[Capacity], width: Width) -> String {
    let or_none = |bytes| match bytes {
        0 => "none fits".to_owned(),
        bytes => ByteSize::from_bytes(bytes).to_string(),
    };
    let row = |one: &Capacity| {
        let largest = or_none(one.largest_bytes);
        let normal = vec![
            one.cluster.to_string(),
            one.durability.to_string(),
            largest,
            ByteSize::from_bytes(one.free_bytes).to_string(),
        ];
        let wide = || {
            let zones = if one.zone_checking == ZoneChecking::Strict { "strict" } else { "preferred" };
            vec![
                one.devices.to_string(),
                zones.to_owned(),
                or_dash(one.tag_match.clone()),
                one.provisioning.as_str().to_owned(),
                one.largest_bytes.to_string(),
                ByteSize::from_bytes(one.kept_bytes).to_string(),
            ]
        };
        cells(normal, wide, width)
    };
    let warnings: BTreeSet<_> = capacities.iter().filter_map(|one| one.warning.as_ref()).collect();
    let warnings: String = warnings.into_iter().map(|warning| format!("\nWARNING: {warning}\n")).collect();
    let normal = ["CLUSTER", "DURABILITY", "LARGEST VOLUME", "FREE"];
    let table = table(
        &columns(&normal, &["DEVICES", "ZONES", "TAGS", "PROVISIONING", "LARGEST BYTES", "KEPT FREE"], width),
        capacities.iter().map(row),
    );
    let part = |one: &Capacity, part: &CapacityPart| {
        vec![
            one.durability.to_string(),
            or_dash(part.zone.map(|zone| format!("zone {zone}")).or_else(|| part.tag.clone())),
            or_none(part.largest_bytes),
            ByteSize::from_bytes(part.free_bytes).to_string(),
            part.devices.to_string(),
        ]
    };
    let parts = capacities.iter().flat_map(|one| one.parts.iter().map(move |of| part(one, of)));
    let parts: Vec<_> = parts.collect();
    let parts = match parts.is_empty() {
        true => String::new(),
        false => format!(
            "\nEach by itself\n{}",
            super::table(&["DURABILITY", "PART", "LARGEST VOLUME", "FREE", "DEVICES"], parts.into_iter())
        ),
    };
    table + &parts + &warnings
}

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
    let thick = placement.bricks.iter().any(|brick| brick.provisioning == Provisioning::Thick);
    let thick = if thick { ", thick" } else { "" };
    let mut text = format!("It fits: {durability}, {}{thick}, in cluster {cluster}.\n\n", count(sets, "set"));
    text.push_str(&bricks(&placement.bricks));
    let _infallible = write!(text, "\n{}", devices(&placement.devices));
    if let Some(warning) = &placement.warning {
        let _infallible = writeln!(text, "\nWARNING: {warning}");
    }
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

/// What is lost first, and what is left last.
pub fn simulation(told: &Simulation) -> String {
    let mut parts = Vec::new();
    if !told.sets.is_empty() {
        parts.push(format!("Brick sets that lose bricks ({})\n{}", told.sets.len(), sets(&told.sets)));
    }
    if !told.heals.is_empty() {
        let placed = told.heals.iter().filter(|heal| heal.to.is_some()).count();
        parts.push(format!("Bricks with a new place ({placed} of {})\n{}", told.heals.len(), heals(&told.heals)));
    }
    for creation in &told.creations {
        let size = creation.volumes.first().map_or(0, |volume| volume.bricks.len());
        let each = if size == 0 { String::new() } else { format!(", {} each", count(size, "brick")) };
        let mut text = format!("New volumes that fit: {} of {}{each}\n", creation.fits, creation.asked);
        if let Some(why) = &creation.why_not {
            let _infallible = writeln!(text, "The next does not: {}", why.trim_end().replace('\n', "\n  "));
        }
        parts.push(text);
    }
    parts.push(format!("Devices ({})\n{}", told.devices.len(), simulated_devices(&told.devices)));
    parts.join("\n")
}

fn sets(sets: &[SimulatedSet]) -> String {
    let row = |set: &SimulatedSet| {
        vec![
            set.volume_name.clone(),
            (set.set + 1).to_string(),
            set.durability.to_string(),
            format!("{} of {}", set.bricks_left, set.bricks_left + set.bricks_lost),
            match set.state {
                SetState::Degraded => "serves, can be healed".to_owned(),
                SetState::BelowQuorum => format!("below its quorum of {}: nobody can write", set.quorum),
                SetState::DataLost => "DATA LOST".to_owned(),
            },
        ]
    };
    table(&["VOLUME", "SET", "DURABILITY", "BRICKS LEFT", "STATE"], sets.iter().map(row))
}

fn heals(heals: &[SimulatedHeal]) -> String {
    let row = |heal: &SimulatedHeal| {
        let to = match (&heal.to, &heal.why_not) {
            (Some(to), _) => format!("{}:{}", to.node_name, to.device_name),
            (None, Some(why)) => format!("none: {}", why.replace('\n', "; ")),
            (None, None) => "none".to_owned(),
        };
        vec![
            heal.volume_name.clone(),
            (heal.set + 1).to_string(),
            ByteSize::from_bytes(heal.size_bytes).to_string(),
            format!("{}:{}", heal.from_node_name, heal.from_device_name),
            to,
        ]
    };
    table(&["VOLUME", "SET", "SIZE", "FROM", "TO"], heals.iter().map(row))
}

fn simulated_devices(devices: &[SimulatedDevice]) -> String {
    let row = |device: &SimulatedDevice| {
        let size = |bytes| ByteSize::from_bytes(bytes).to_string();
        let free = &device.free;
        let (before, after) = match device.fate {
            Fate::Stays => (size(free.free_bytes), size(free.free_after_bytes)),
            Fate::Lost => (size(free.free_bytes), "lost".to_owned()),
            Fate::Added => ("added".to_owned(), size(free.free_after_bytes)),
        };
        vec![format!("{}:{}", free.node_name, free.device_name), before, after]
    };
    table(&["DEVICE", "FREE", "FREE AFTER"], devices.iter().map(row))
}
