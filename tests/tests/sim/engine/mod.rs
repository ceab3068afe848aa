//! The engine on simulated hosts: every task failed at each of its effects in every way, then repeated or undone.

mod block;
mod changing;
mod cloning;
mod making;
mod thick;

use bricklayer_proto::task::{Layout, Wanted};
use bricklayer_tests::rig::{self, Asked};

pub const COPIES: Layout = Layout::Replicate { replica: 2 };

/// What a volume with a brick on each of the hosts needs, up to its start.
pub fn running(hosts: usize, layout: Layout) -> Vec<Asked> {
    let mut asked = rig::peers(hosts);
    asked.extend((0..hosts).flat_map(|host| [rig::device(host), rig::brick(host, hosts)]));
    asked.push((0, Wanted::Volume(rig::volume_spec(hosts, 1, layout))));
    asked.push((0, Wanted::VolumeStarted(rig::volume_key())));
    asked
}
