//! What could be adopted.

use std::fmt::Write as _;

use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{Adoption, AdoptionFinding};

use super::operations::planned_bricks;
use super::placement::devices;
use super::{count, indented, table};

pub fn adoption(told: &Adoption) -> String {
    let mut text = String::new();
    let (blocking, notes): (Vec<_>, Vec<_>) = told.findings.iter().partition(|finding| finding.blocks);
    if !blocking.is_empty() {
        text += "These stand in the way:\n";
        blocking.iter().for_each(|finding| text += &self::finding(finding));
        text.push('\n');
    }
    if !notes.is_empty() {
        text += "To be known:\n";
        notes.iter().for_each(|finding| text += &self::finding(finding));
        text.push('\n');
    }
    if !told.nodes.is_empty() {
        text += "Nodes\n";
        let rows = told.nodes.iter().map(|node| vec![node.name.clone(), node.id.to_string(), node.cluster.to_string()]);
        text += &indented(&table(&["NAME", "ID", "CLUSTER"], rows));
    }
    if !told.devices.is_empty() {
        text += "Devices\n";
        let rows = told.devices.iter().map(|device| {
            vec![format!("{}:{}", device.node_name, device.name), device.id.to_string(), device.group.clone()]
        });
        text += &indented(&table(&["DEVICE", "ID", "VOLUME GROUP"], rows));
    }
    if !told.volumes.is_empty() {
        text += "Volumes\n";
        let rows = told.volumes.iter().map(|volume| {
            let size = ByteSize::from_bytes(volume.size_bytes).to_string();
            vec![volume.name.clone(), volume.id.to_string(), size, volume.bricks.len().to_string()]
        });
        text += &indented(&table(&["NAME", "ID", "SIZE", "BRICKS"], rows));
    }
    if !told.block_volumes.is_empty() {
        let _infallible = writeln!(text, "{}", count(told.block_volumes.len(), "block volume"));
    }
    if told.ours_already > 0 {
        let _infallible = writeln!(text, "Ours already, and left out: {}", volumes(told.ours_already));
    }
    if told.left_for_later > 0 {
        let _infallible =
            writeln!(text, "Too many for one operation, and left for the next plan: {}", volumes(told.left_for_later));
    }
    match told.plan.as_ref().and_then(|plan| plan.kept.as_ref()) {
        Some(kept) => {
            if !kept.bricks.is_empty() {
                text += "Bricks, where they are\n";
                text += &indented(&planned_bricks(&kept.bricks));
            }
            if !kept.devices.is_empty() {
                text += "Free space\n";
                text += &indented(&devices(&kept.devices));
            }
            let expires = kept.expires.strftime("%H:%M:%SZ");
            let _infallible = write!(
                text,
                "\nNothing was changed. To have this done, until {expires}:\n  bricklayer apply {}\n",
                kept.id
            );
        }
        None if !blocking.is_empty() => {
            text += "\nNothing was changed, and nothing can be taken over before that is mended.\n"
        }
        None => text += "There is nothing to take over.\n",
    }
    text
}

fn finding(finding: &AdoptionFinding) -> String {
    let mut text = format!("  {} {}\n", finding.about, finding.what);
    if let Some(cure) = &finding.cure {
        let _infallible = writeln!(text, "    {cure}");
    }
    text
}

fn volumes(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "volume")
}
