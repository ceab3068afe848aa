//! A program that is killed while it commits: what it was told is durable is there, and nothing is half there.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bricklayer_store::{Batch, Schema, Store, Table};

/// Two records that every commit writes together.
const LEFT: Table<u64, String> = Table::numbered("left");
const RIGHT: Table<u64, String> = Table::numbered("right");
const SCHEMA: Schema = Schema { application: "crash", version: 1, migrations: &[] };
const DIR: &str = "BRICKLAYER_STORE_CRASH_TEST";

/// Some are small, some come in parts.
fn record(number: u64) -> String {
    let length = if number.is_multiple_of(7) { 9000 } else { 300 };
    format!("{number}-{}", "x".repeat(length))
}

#[test]
#[ignore = "the child of the test below, which kills it"]
fn commit_until_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let store = Store::open(&dir, SCHEMA).unwrap();
    let next = store.scan(&LEFT).unwrap().last().map_or(0, |(last, _)| last + 1);
    for number in next.. {
        let mut batch = Batch::new();
        batch.put(&LEFT, &number, &record(number)).put(&RIGHT, &number, &record(number));
        if number >= 50 {
            batch.remove(&LEFT, &(number - 50)).remove(&RIGHT, &(number - 50));
        }
        store.commit_blocking(batch).unwrap();
        println!("acknowledged {number}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the child is this test itself")]
fn a_killed_program_loses_nothing_that_it_was_told_is_durable() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("store");
    let mut acknowledged = None;
    for round in 0..10_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "commit_until_killed", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // From none, which kills it in its open, to some dozen.
        let mut wanted = round * round;
        let mut killed = false;
        if wanted == 0 {
            child.kill().unwrap();
            killed = true;
        }
        for line in lines.by_ref() {
            let Some(number) = line.strip_prefix("acknowledged ") else { continue };
            acknowledged = Some(number.parse::<u64>().unwrap());
            wanted = wanted.saturating_sub(1);
            if wanted == 0 && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();

        let store = Store::open(&dir, SCHEMA).unwrap();
        let left = store.scan(&LEFT).unwrap();
        assert_eq!(left, store.scan(&RIGHT).unwrap(), "a commit was torn in round {round}");
        let last = left.last().map(|(last, _)| *last);
        assert!(last >= acknowledged, "{last:?} is there and {acknowledged:?} was acknowledged in round {round}");
        assert!(left.len() <= 50);
        for (number, text) in left {
            assert_eq!(text, record(number));
        }
        store.close();
    }
    assert!(acknowledged >= Some(200), "{acknowledged:?}");
}

const FULL: &str = "BRICKLAYER_STORE_FULL_TEST";

#[test]
#[ignore = "the child of the test below, which lets it have no more than a few megabytes"]
fn commit_until_full() {
    let Some(dir) = std::env::var_os(FULL).map(PathBuf::from) else { return };
    let store = Store::open(&dir, SCHEMA).unwrap();
    for number in 0.. {
        let mut batch = Batch::new();
        batch.put(&LEFT, &number, &record(number)).put(&RIGHT, &number, &record(number));
        match store.commit_blocking(batch) {
            Ok(_) => println!("acknowledged {number}"),
            Err(error) => {
                println!("refused {number}: {error}");
                assert!(store.scan(&LEFT).is_err(), "what a full disk did not take is not read either");
                assert!(store.commit_blocking(Batch::new()).is_err());
                std::process::exit(0);
            }
        }
    }
}

/// A limit on the size of files stands for a full disk: sled is refused the next bytes of its file in the same way.
#[test]
#[expect(clippy::disallowed_methods, reason = "the child is this test itself, below a shell that limits it")]
fn a_disk_that_is_full_is_told_and_takes_nothing_away_that_was_acknowledged() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("store");
    let program = std::env::current_exe().unwrap();
    // Without the trap the kernel would kill it instead of refusing the write.
    let script =
        r#"trap "" XFSZ; ulimit -f 6000; exec "$0" --ignored --exact commit_until_full --nocapture --test-threads=1"#;
    let output = Command::new("sh").args(["-c", script]).arg(program).env(FULL, &dir).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("refused"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged = said.lines().filter(|line| line.starts_with("acknowledged")).count() as u64;
    assert!(acknowledged > 50, "{said}");
    // There is room again.
    let store = Store::open(&dir, SCHEMA).unwrap();
    let (left, right) = (store.scan(&LEFT).unwrap(), store.scan(&RIGHT).unwrap());
    assert_eq!(left, right);
    assert!(left.len() as u64 >= acknowledged, "{} of {acknowledged} are there", left.len());
    assert!(left.iter().all(|(number, text)| *text == record(*number)));
}
