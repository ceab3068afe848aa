//! `docs/failures.md` promises tests by their names: each of them exists.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The name of every test in the sources below a folder that runs without being asked for by name.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                tests_in(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let (mut of_a_test, mut ignored) = (false, false);
            for line in text.lines().map(str::trim_start) {
                of_a_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                ignored |= line.starts_with("#[ignore");
                let Some((_, rest)) = line.split_once("fn ").filter(|_| line.ends_with('{') || line.ends_with('('))
                else {
                    continue;
                };
                let runs = !std::mem::take(&mut ignored);
                if std::mem::take(&mut of_a_test) && runs {
                    found.insert(rest.split('(').next().unwrap_or_default().to_owned());
                }
            }
        }
    }
}

/// All sources below a folder, each cut into what runs and what tests it.
fn sources(folder: &Path, code: &mut String, tests: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, code, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let (runs, tested) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
            code.push_str(runs);
            tests.push_str(tested);
        }
    }
}

#[test]
fn every_finding_that_the_manual_lists_is_one_of_the_doctors_and_is_looked_for_by_a_test() {
    let manual = std::fs::read_to_string(root().join("docs/operations/doctor.md")).unwrap();
    let rows = manual.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let listed: BTreeSet<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(listed.len() > 45, "{listed:?}");
    let (mut code, mut tests) = (String::new(), String::new());
    sources(&root().join("coordinator/src/doctor"), &mut code, &mut tests);
    let (mut others, mut none) = (String::new(), String::new());
    for folder in ["coordinator/src/http/tests", "tests/src", "tests/tests"] {
        sources(&root().join(folder), &mut others, &mut none);
    }
    tests.push_str(&others);
    let has = |text: &str, finding: &str| text.contains(&format!("\"{finding}\""));
    let unknown: Vec<_> = listed.iter().filter(|finding| !has(&code, finding)).collect();
    assert!(unknown.is_empty(), "the doctor does not know {unknown:?}");
    let untested: Vec<_> = listed.iter().filter(|finding| !has(&tests, finding)).collect();
    assert!(untested.is_empty(), "no test looks for {untested:?}");
    // As a finding is written: `code: "..."`, or behind its severity.
    let behind = |mark: &'static str| {
        code.split(mark).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
    };
    let severities = ["Severity::Error,", "Severity::Warning,", "Severity::Note,"];
    let all = severities.into_iter().chain(["code:"]).flat_map(behind);
    let unlisted: BTreeSet<_> = all.filter(|finding| !listed.contains(finding)).collect();
    assert!(unlisted.is_empty(), "the manual does not list {unlisted:?}");
}

#[test]
fn every_test_that_the_catalogue_of_failures_names_exists_and_is_not_ignored() {
    let text = std::fs::read_to_string(root().join("docs/failures.md")).unwrap();
    let mut known = BTreeSet::new();
    for folder in ["agent", "coordinator", "proto", "tests"] {
        tests_in(&root().join(folder), &mut known);
    }
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()).count();
    assert_eq!(rows, 100);
    let words = text.split('`').skip(1).step_by(2);
    let names: Vec<&str> = words.filter(|word| word.contains('_') && !word.contains(['.', '/', '*'])).collect();
    assert!(names.len() > 150, "{}", names.len());
    let missing: Vec<&&str> =
        names.iter().filter(|name| !known.contains(**name) && **name != "bricklayer_findings").collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
