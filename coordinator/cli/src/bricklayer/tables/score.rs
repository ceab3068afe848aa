//! How well bricks lie, and what would better it.

use std::fmt::Write as _;

use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{Score, ScorePart, ScoredMove};

use super::{count, indented, table};

pub fn scores(scores: &[Score]) -> String {
    if scores.is_empty() {
        return "there is no cluster yet\n".to_owned();
    }
    scores.iter().map(score).collect::<Vec<_>>().join("\n")
}

fn score(score: &Score) -> String {
    let mut text = format!("Cluster {}: {:.2} of 100\n", score.cluster, score.points);
    let part = |part: &ScorePart| {
        let (share, weight) = (part.share * 100.0, part.weight);
        vec![part.part.clone(), format!("{share:.2} %"), weight.to_string(), part.text.clone()]
    };
    text += &indented(&table(&["PART", "SHARE", "WEIGHT", "OF"], score.parts.iter().map(part)));
    if !score.changing.is_empty() {
        let _infallible =
            writeln!(text, "Left out, as they are being changed: {}", count(score.changing.len(), "volume"));
    }
    if score.moves.is_empty() {
        return text + "No move betters it.\n";
    }
    text += "\nWhat betters it most per byte, one after the other:\n";
    for moved in &score.moves {
        let ScoredMove { brick, from, to, points_after, volume_name, .. } = moved;
        let (size, set) = (ByteSize::from_bytes(moved.bytes), moved.set + 1);
        let _infallible =
            writeln!(text, "  {points_after:.2} with {size} of {volume_name}, set {set}, from {from} to {to}:");
        let _infallible = writeln!(text, "    bricklayer brick replace {brick} --device {to}");
    }
    text
}
