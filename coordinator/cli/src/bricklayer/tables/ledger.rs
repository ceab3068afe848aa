//! Ledgers: where every byte went.

use std::fmt::Write as _;

use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{DeviceLedger, DeviceSum, Figure, LedgerBrick, LedgerClass, LedgerSum, LedgerVolume, Source};

use super::{count, facts, indented, or_dash, table};

pub fn device_ledger(ledger: &DeviceLedger) -> String {
    let mut lines = vec![
        ("Device", format!("{} on {}", ledger.name, ledger.node_name)),
        ("Id", ledger.device.to_string()),
        ("Extents", format!("{} each", size(ledger.extent_bytes))),
    ];
    if let Some(area) = ledger.lvm_area {
        let (before, behind) = (size(area.before_bytes), size(area.behind_bytes));
        lines.push(("LVM's own area", format!("{before} before the extents, {behind} behind them")));
    }
    if !ledger.operations.is_empty() {
        let ids: Vec<_> = ledger.operations.iter().map(ToString::to_string).collect();
        lines.push(("Under way", ids.join(", ")));
    }
    let mut text = facts(&lines) + "\n";
    text += &figures(&ledger.figures, ledger.unaccounted_bytes, ledger.total_bytes, &ledger.total_sources);
    let _infallible = write!(text, "\nBricks ({})\n", ledger.bricks.len());
    if !ledger.bricks.is_empty() {
        text += &indented(&bricks(&ledger.bricks));
    }
    if !ledger.volumes.is_empty() {
        let _infallible = write!(text, "\nOther logical volumes ({})\n", ledger.volumes.len());
        text += &indented(&volumes(&ledger.volumes));
    }
    text + &notes(&ledger.notes)
}

pub fn ledger_sum(sum: &LedgerSum) -> String {
    let first = match (&sum.node_name, sum.node) {
        (Some(name), Some(id)) => vec![("Node", name.clone()), ("Id", id.to_string())],
        _ => vec![("Cluster", sum.cluster.to_string())],
    };
    let mut text = facts(&first) + "\n";
    text += &figures(&sum.figures, sum.unaccounted_bytes, sum.total_bytes, &sum.total_sources);
    let _infallible = write!(text, "\n{}\n", count(sum.devices.len(), "device"));
    if !sum.devices.is_empty() {
        text += &indented(&devices(&sum.devices));
    }
    text + &notes(&sum.notes)
}

fn figures(figures: &[Figure], unaccounted: i64, total: u64, total_sources: &[Source]) -> String {
    let said =
        |sources: &[Source]| or_dash(Some(sources.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")));
    let row = |figure: &Figure| {
        vec![what(figure.class).to_owned(), size(figure.bytes), figure.bytes.to_string(), said(&figure.sources)]
    };
    let unaccounted = vec!["unaccounted for".to_owned(), signed(unaccounted), unaccounted.to_string(), "-".to_owned()];
    let total = vec!["total".to_owned(), size(total), total.to_string(), said(total_sources)];
    let rows = figures.iter().map(row).chain([unaccounted, total]);
    table(&["WHAT", "SIZE", "BYTES", "SAID BY"], rows)
}

/// In the words of the documentation.
fn what(class: LedgerClass) -> &'static str {
    match class {
        LedgerClass::BrickData => "brick data",
        LedgerClass::Rounding => "rounding to extents",
        LedgerClass::SnapshotRoom => "room for snapshots",
        LedgerClass::PoolMetadata => "pool metadata",
        LedgerClass::MetadataSpare => "metadata spare",
        LedgerClass::Trash => "trash",
        LedgerClass::UnderWay => "bricks under way",
        LedgerClass::Orphans => "orphans",
        LedgerClass::Foreign => "foreign",
        LedgerClass::Reserved => "reserved",
        LedgerClass::KeptFree => "kept free",
        LedgerClass::Free => "free",
        LedgerClass::LvmArea => "LVM's own area",
    }
}

fn bricks(bricks: &[LedgerBrick]) -> String {
    let row = |brick: &LedgerBrick| {
        vec![
            brick.brick.to_string(),
            or_dash(brick.volume_name.clone()),
            brick.stage.as_str().to_owned(),
            size(brick.data_bytes),
            size(brick.rounding_bytes),
            size(brick.snapshot_room_bytes),
            size(brick.metadata_bytes),
            or_dash(brick.lvm_bytes.map(size)),
        ]
    };
    let header = ["BRICK", "VOLUME", "STATE", "DATA", "ROUNDING", "SNAPSHOTS", "METADATA", "IN LVM"];
    table(&header, bricks.iter().map(row))
}

fn volumes(volumes: &[LedgerVolume]) -> String {
    let row = |volume: &LedgerVolume| {
        vec![
            volume.name.clone(),
            volume.kind.as_str().to_owned(),
            size(volume.bytes),
            volume.bytes.to_string(),
            or_dash(volume.brick.map(|brick| brick.to_string())),
            or_dash(volume.volume.map(|volume| volume.to_string())),
        ]
    };
    table(&["NAME", "KIND", "SIZE", "BYTES", "TAGGED AS BRICK", "OF VOLUME"], volumes.iter().map(row))
}

fn devices(devices: &[DeviceSum]) -> String {
    let row = |device: &DeviceSum| {
        let amount = |class| device.amounts.get(&class).copied().unwrap_or(0);
        let bricks = [
            LedgerClass::BrickData,
            LedgerClass::Rounding,
            LedgerClass::SnapshotRoom,
            LedgerClass::PoolMetadata,
            LedgerClass::MetadataSpare,
            LedgerClass::UnderWay,
        ];
        let others = [LedgerClass::Orphans, LedgerClass::Foreign];
        let sum =
            |classes: &[LedgerClass]| size(classes.iter().map(|class| amount(*class)).fold(0, u64::saturating_add));
        vec![
            device.node_name.clone(),
            device.name.clone(),
            size(device.total_bytes),
            sum(&bricks),
            size(amount(LedgerClass::Trash)),
            sum(&others),
            size(amount(LedgerClass::Reserved)),
            size(amount(LedgerClass::KeptFree)),
            size(amount(LedgerClass::Free)),
            size(amount(LedgerClass::LvmArea)),
            signed(device.unaccounted_bytes),
            device.device.to_string(),
        ]
    };
    let header = [
        "NODE",
        "DEVICE",
        "TOTAL",
        "BRICKS",
        "TRASH",
        "OTHERS",
        "RESERVED",
        "KEPT FREE",
        "FREE",
        "LVM",
        "UNACCOUNTED",
        "ID",
    ];
    table(&header, devices.iter().map(row))
}

fn notes(notes: &[String]) -> String {
    notes.iter().fold(String::new(), |text, note| text + "\nNote: " + note + "\n")
}

fn size(bytes: u64) -> String {
    ByteSize::from_bytes(bytes).to_string()
}

fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", size(bytes.unsigned_abs()))
}
