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
        text += &indented(&table(&columns("NODE"), audit.nodes.iter().map(node)));
    }
    // With one zone, whoever asks knows the answer.
    if audit.zones.len() > 1 {
        let can = if audit.any_zone_can_be_lost { "can" } else { "can NOT" };
        let _infallible = write!(text, "\nAny one zone {can} be lost and its bricks placed again.\n");
        text += &indented(&table(&columns("ZONE"), audit.zones.iter().map(zone)));
    }
    text
}

fn set(set: &SetAudit) -> String {
    let mut text = format!("\nVolume {}, set {}\n", set.volume_name, set.set + 1);
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

fn columns(of: &'static str) -> [&'static str; 8] {
    let [bricks, copy] = ["BRICKS", "TO COPY"];
    let [homeless, stopped, gone] = ["WITHOUT A PLACE", "SETS NOT WRITABLE", "SETS LOST"];
    [of, "CAN BE LOST", bricks, copy, homeless, stopped, gone, "VOLUMES WITHOUT COPIES"]
}

fn zone(loss: &ZoneLoss) -> Vec<String> {
    let ZoneLoss { zone, can_be_lost, bricks, bytes, homeless, without_copies, below_quorum, data_lost } = loss;
    let sets = [homeless.len(), below_quorum.len(), data_lost.len()];
    row(zone.to_string(), *can_be_lost, *bricks, *bytes, sets, without_copies)
}

fn node(loss: &NodeLoss) -> Vec<String> {
    let NodeLoss { node_name, can_be_lost, bricks, bytes, homeless, without_copies, below_quorum, data_lost, .. } =
        loss;
    let sets = [homeless.len(), below_quorum.len(), data_lost.len()];
    row(node_name.clone(), *can_be_lost, *bricks, *bytes, sets, without_copies)
}

fn row(of: String, can_be_lost: bool, bricks: u32, bytes: u64, sets: [usize; 3], without: &[String]) -> Vec<String> {
    let mut row = vec![of, yes(can_be_lost).to_owned(), bricks.to_string(), ByteSize::from_bytes(bytes).to_string()];
    row.extend(sets.map(|count| count.to_string()));
    row.push(if without.is_empty() { "-".to_owned() } else { without.join(" ") });
    row
}
