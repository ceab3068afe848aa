//! heketi-cli's texts, byte for byte. Pure functions from the server's answers to text.
//!
//! Sizes are whole GiB, cut off. The state `failed` is printed as `removed`. Padding, blank lines, tabs and spaces are
//! heketi's, odd as they are: scripts cut these lines into columns.

/// Appends to a `String`, which cannot fail.
macro_rules! put {
    ($text:expr, $($format:tt)+) => { let _infallible = write!($text, $($format)+); };
}

mod clusters;
mod hardware;
mod server;
mod topology;
mod volumes;

use std::fmt::Write as _;

use bricklayer_api::heketi::{EntryState, Tags};

pub use clusters::{cluster_info, cluster_list};
pub use hardware::{device_info, node_added, node_info, node_list};
pub use server::{operation_counts, operation_info, operation_list};
pub use topology::{load_event, topology_info};
pub use volumes::{
    block_volume_info, block_volume_list, distribute_count, endpoint_patch, volume_deleted, volume_info, volume_list,
};

const KIB_PER_GIB: u64 = 1 << 20;

pub fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Online => "online",
        EntryState::Offline => "offline",
        EntryState::Failed => "removed",
    }
}

fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
}

fn joined(ids: &[impl ToString], separator: &str) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

fn tags_block(tags: &Tags) -> String {
    let mut text = String::new();
    if !tags.is_empty() {
        text.push_str("Tags:\n");
        for (key, value) in tags {
            put!(text, "  {key}: {value}\n");
        }
    }
    text
}
