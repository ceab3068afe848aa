//! The stories of `tests/heketi`, each in a sandbox of its own.

use std::path::Path;

use super::sandbox::Sandbox;

#[path = "../../heketi/golden.rs"]
mod player;

/// Hosts appear when they are named, each with `/dev/sdb`.
fn sandbox() -> Sandbox {
    Sandbox::start(&["--disable-auth", "--on-demand", "--nodes", "0", "--devices", "1", "--device-size", "500GiB"])
}

fn play_all(folder: &str) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/heketi")).join(folder);
    let stories = player::stories(&folder);
    assert!(!stories.is_empty(), "{} holds no story", folder.display());
    let failures: Vec<_> = stories
        .iter()
        .filter_map(|story| {
            let sandbox = sandbox();
            match player::play(story, sandbox.server) {
                Ok(exchanges) => {
                    assert!(exchanges > 0, "{} is empty", story.display());
                    None
                }
                Err(failure) => Some(failure),
            }
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn heketis_stories_come_out_to_the_byte() {
    play_all("");
}

/// Stories on hosts that do all that they are asked for.
#[test]
fn stories_that_need_whole_hosts_come_out_to_the_byte() {
    play_all("hosts");
}
