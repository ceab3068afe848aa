//! Two keys to destroy, against a coordinator that means harm: see `bricklayer_tests::hostile`.
//!
//! `TWO_KEYS=20000` sends more; `tests/fuzz/run two_keys` has a fuzzer choose what is sent.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use bricklayer_tests::histories::chance::Chance;
use bricklayer_tests::hostile::{Kind, Played, play};

#[tokio::test(start_paused = true)]
async fn nothing_that_was_not_condemned_before_ever_goes_whatever_a_coordinator_asks() {
    let seeds = std::env::var("TWO_KEYS").ok().map_or(150, |text| text.parse().unwrap());
    let mut all = Played::default();
    for seed in 1..=seeds {
        let played = play(&mut Chance::of(seed), 60).await.unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        (all.sent, all.done, all.gone) = (all.sent + played.sent, all.done + played.done, all.gone + played.gone);
        all.effective.extend(played.effective);
    }
    // Else it would only have shown that everything is refused.
    assert!(all.done > all.sent / 10 && all.gone > seeds / 3, "{all:?}");
    let idle = Kind::ALL.iter().filter(|kind| kind.destroys_or_marks() && !all.effective.contains(*kind));
    assert_eq!(idle.collect::<Vec<_>>(), Vec::<&Kind>::new(), "no task of these kinds did anything");
    // Of the others some, so that what they do is judged as well.
    assert!(all.effective.len() > 24, "{:?}", all.effective);
}
