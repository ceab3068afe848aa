//! Every operation, disturbed at each of its effects on each host: done or undone, whole, with nothing left over. Each
//! test is a deed; [`bricklayer_tests::every_effect`] has what goes wrong and what must be true.

mod adoption;
mod blocks;
mod hardware;
mod moves;
mod planted;
mod trash;
mod volumes;

use bricklayer_tests::every_effect::{Deed, Tally, play};

/// Disturbs the deed everywhere; shows the tally and, where it went wrong, the seed.
async fn is_done_or_undone<D: Deed>() -> Tally {
    let tally = play::<D>().await.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{}: {tally}", std::any::type_name::<D>());
    tally
}
