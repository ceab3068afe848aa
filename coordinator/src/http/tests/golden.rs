//! The stories of tests/heketi, each on a world of its own.

use std::path::Path;

use super::world::World;

#[path = "../../../../tests/heketi/golden.rs"]
mod player;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heketis_stories_come_out_to_the_byte() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/heketi"));
    let stories = player::stories(folder);
    assert!(stories.len() >= 8, "only {} stories", stories.len());
    let mut failures = Vec::new();
    for story in stories {
        let world = World::new().await;
        let address = world.address;
        let played = tokio::task::spawn_blocking(move || player::play(&story, address)).await.unwrap();
        match played {
            Ok(exchanges) => assert!(exchanges > 0, "an empty story"),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
