//! What is amiss, one paragraph each: a table would cut what matters.

use std::fmt::Write as _;

use bricklayer_api::v1::{Diagnosis, Severity};

use super::count;

pub fn diagnosis(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for finding in &diagnosis.findings {
        let _infallible = writeln!(text, "{}: {} [{}]", finding.severity, finding.what, finding.code);
        let _infallible = writeln!(text, "  cure: {}", finding.cure);
    }
    let examined = diagnosis.examined;
    let of = |severity| diagnosis.findings.iter().filter(|finding| finding.severity == severity).count();
    let number = |number: u64, word| count(usize::try_from(number).unwrap_or(usize::MAX), word);
    let verdict = match &diagnosis.findings[..] {
        [] => "nothing is amiss".to_owned(),
        _ => format!(
            "{}, {}, {}",
            count(of(Severity::Error), "error"),
            count(of(Severity::Warning), "warning"),
            count(of(Severity::Note), "note")
        ),
    };
    let _infallible = writeln!(
        text,
        "{verdict} ({}, {}, {} looked at)",
        number(examined.nodes, "node"),
        number(examined.devices, "device"),
        number(examined.bricks, "brick")
    );
    text
}
