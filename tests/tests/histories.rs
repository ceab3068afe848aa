//! Thousands of random histories, each in its own simulated time: see `bricklayer_tests::histories`.
//!
//! `HISTORIES=20000` plays more of them, `HISTORY=<seed>` a single one, with what happened in it.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bricklayer_tests::histories::planted::Planted;
use bricklayer_tests::histories::{Broken, play};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// A history takes a tenth of a second. One that takes this long turns in circles, which no time in it can end.
const IN_CIRCLES: Duration = Duration::from_secs(180);

/// Plays seeds, on all processors, until one is broken, all are played or the time is over. How many were played.
fn play_all(seeds: Range<u64>, until: Option<Instant>, planted: Option<Planted>) -> (u64, Option<Box<Broken>>) {
    let (next, played) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let broken = Mutex::new(None);
    let running = Mutex::new(BTreeMap::new());
    let work = || {
        while broken.lock().unwrap().is_none() && until.is_none_or(|until| Instant::now() < until) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            running.lock().unwrap().insert(seed, Instant::now());
            let result = play(seed, planted);
            running.lock().unwrap().remove(&seed);
            played.fetch_add(1, Ordering::Relaxed);
            if let Err(found) = result {
                broken.lock().unwrap().get_or_insert(found);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        while working.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            let lost =
                running.lock().unwrap().iter().find(|(_, since)| since.elapsed() > IN_CIRCLES).map(|(seed, _)| *seed);
            if let Some(seed) = lost {
                // Nothing can stop that thread but the end of the process.
                eprintln!("history {seed} turns in circles; after {} others", played.load(Ordering::Relaxed));
                std::process::exit(101);
            }
        }
    });
    (played.into_inner(), broken.into_inner().unwrap())
}

#[test]
fn every_history_comes_to_rest_with_records_hosts_and_clients_at_one() {
    let seeds = match number("HISTORY") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("HISTORIES_FROM").unwrap_or(1);
            first..first + number("HISTORIES").unwrap_or(1000)
        }
    };
    let (played, broken) = play_all(seeds.clone(), None, None);
    if let Some(broken) = broken {
        panic!("{broken}\nagain: HISTORY={} cargo test -p bricklayer-tests --test histories every", broken.seed);
    }
    println!("{played} histories, seeds {seeds:?}");
}

#[test]
fn a_seed_plays_the_same_history_twice() {
    for seed in 1..=20 {
        let (once, again) = (play(seed, None).unwrap(), play(seed, None).unwrap());
        assert_eq!(once, again, "seed {seed}");
    }
}

/// For an hour, or for `SOAK_SECONDS`.
#[test]
#[ignore = "tests/soak runs it"]
fn soak() {
    let time = Duration::from_secs(number("SOAK_SECONDS").unwrap_or(3600));
    let first = number("HISTORIES_FROM").unwrap_or(1_000_000);
    let (played, broken) = play_all(first..u64::MAX, Some(Instant::now() + time), None);
    if let Some(broken) = broken {
        panic!("{broken}\nagain: HISTORY={} cargo test -p bricklayer-tests --test histories every", broken.seed);
    }
    println!("{played} histories from seed {first} on");
}

/// How many seeds a planted fault may stay hidden for.
const SOON: u64 = 500;

fn is_found(planted: Planted) {
    let (played, broken) = play_all(1..SOON, None, Some(planted));
    let Some(broken) = broken else { panic!("{planted:?} was not found in {played} histories") };
    // It was the planted fault that was found, and no other.
    if let Err(other) = play(broken.seed, None) {
        panic!("without {planted:?}, too:\n{other}");
    }
}

#[test]
fn a_panic_of_a_history_itself_is_told_with_its_seed() {
    let broken = play(7, Some(Planted::Panic)).unwrap_err();
    assert_eq!(broken.seed, 7);
    let [wrong] = &broken.wrong[..] else { panic!("{:?}", broken.wrong) };
    assert!(wrong.contains("the history panicked") && wrong.contains("planted in the history itself"), "{wrong}");
    assert!(!broken.told.history.is_empty());
}

#[test]
fn a_coordinator_that_tells_of_commits_before_they_are_durable_is_found_out() {
    is_found(Planted::ToldBeforeDurable);
}

#[test]
fn an_undo_that_is_skipped_is_found_out() {
    is_found(Planted::UndoSkipped);
}

#[test]
fn a_task_that_has_a_second_effect_when_it_arrives_again_is_found_out() {
    is_found(Planted::SecondEffect);
}
