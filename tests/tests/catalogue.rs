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
