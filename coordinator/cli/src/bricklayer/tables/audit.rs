//! The audit: what does not keep the rules, and what would mend it.

use std::fmt::Write as _;

use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{Audit, ClusterAudit, NodeLoss, SetAudit, ZoneLoss};

use super::{count, indented, table, yes};

pub fn audit(audit: &Audit) -> String {
    if audit.clusters.is_empty() {
        return "there is no cluster yet\n".to_owned();
    }
    audit.clusters.iter().map(cluster).collect::<Vec<_>>().join("\n")
}

fn cluster(audit: &ClusterAudit) -> String {
    let mut text = format!("Cluster {}\n", audit.cluster);
    if audit.sets.is_empty() {
        text += "Every brick set keeps the rules.\n";
    } else {
        let sets = match audit.sets.len() {
            1 => "1 brick set does not keep the rules".to_owned(),
            sets => format!("{sets} brick sets do not keep the rules"),
        };
        let moves = audit.sets.iter().map(|set| set.moves.len()).sum();
        let _infallible = writeln!(
            text,
            "{sets}; {} would copy {} at most.",
            count(moves, "move"),
            ByteSize::from_bytes(audit.bytes)
        );
        for found in &audit.sets {
            text += &set(found);
        }
    }
    if !audit.changing.is_empty() {
        let _infallible =
            writeln!(text, "\nLeft out, as they are being changed: {}", count(audit.changing.len(), "volume"));
    }
    let can = if audit.any_node_can_be_lost { "can" } else { "can NOT" };
    let _infallible = write!(text, "\nAny one node {can} be lost and its bricks placed again.\n");
    if !audit.nodes.is_empty() {
        text += &indented(&table(
            &["NODE", "CAN BE LOST", "BRICKS", "TO COPY", "WITHOUT A PLACE", "VOLUMES WITHOUT COPIES"],
            audit.nodes.iter().map(loss),
        ));
    }
    // With one zone, whoever asks knows the answer.
    if audit.zones.len() > 1 {
        let can = if audit.any_zone_can_be_lost { "can" } else { "can NOT" };
        let _infallible = write!(text, "\nAny one zone {can} be lost and its bricks placed again.\n");
        text += &indented(&table(
            &[
                "ZONE",
                "CAN BE LOST",
                "BRICKS",
                "TO COPY",
                "WITHOUT A PLACE",
                "SETS NOT WRITABLE",
                "SETS LOST",
                "VOLUMES WITHOUT COPIES",
            ],
            audit.zones.iter().map(zone),
        ));
    }
    text
}

fn set(set: &SetAudit) -> String {
    let mut text = format!("\nVolume {}, set {}\n", set.volume_name, set.set);
    for fault in &set.faults {
        let _infallible = writeln!(text, "  brick {} on {}: {}", fault.brick, fault.at, fault.text);
        if let Some(why) = &fault.unmended {
            let _infallible = writeln!(text, "    nothing mends it:");
            // The first line is heketi's, for its clients.
            for line in why.lines().skip(1) {
                let _infallible = writeln!(text, "      {line}");
            }
        }
    }
    for moved in &set.moves {
        let size = ByteSize::from_bytes(moved.bytes);
        let _infallible = writeln!(text, "  to mend it, {size} from {} to {}:", moved.from, moved.to);
        let _infallible = writeln!(text, "    bricklayer brick replace {} --device {}", moved.brick, moved.to);
    }
    text
}

fn zone(loss: &ZoneLoss) -> Vec<String> {
    vec![
        loss.zone.to_string(),
        yes(loss.can_be_lost).to_owned(),
        loss.bricks.to_string(),
        ByteSize::from_bytes(loss.bytes).to_string(),
        loss.homeless.len().to_string(),
        loss.below_quorum.len().to_string(),
        loss.data_lost.len().to_string(),
        if loss.without_copies.is_empty() { "-".to_owned() } else { loss.without_copies.join(" ") },
    ]
}

fn loss(loss: &NodeLoss) -> Vec<String> {
    vec![
        loss.node_name.clone(),
        yes(loss.can_be_lost).to_owned(),
        loss.bricks.to_string(),
        ByteSize::from_bytes(loss.bytes).to_string(),
        loss.homeless.len().to_string(),
        if loss.without_copies.is_empty() { "-".to_owned() } else { loss.without_copies.join(" ") },
    ]
}
