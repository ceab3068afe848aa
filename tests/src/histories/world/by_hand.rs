//! A volume that a person made, on the last disk of some hosts, as it could be adopted.

use bricklayer_agent::host::Host as _;
use bricklayer_proto::names::{VgName, VolumeName};
use bricklayer_proto::size::{ByteSize, Extents, MIB};
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::{BrickAddress, Layout};

use super::World;
use crate::histories::program::Program;
use crate::sim::heketi::HandMadeBrick;

/// On how many hosts it lies.
const COPIES: usize = 3;

/// What its volume group is called on each of its hosts.
#[must_use]
pub fn group() -> VgName {
    "data".parse().expect("a name")
}

#[must_use]
pub fn volume() -> VolumeName {
    "photos".parse().expect("a name")
}

impl World {
    /// Makes it on the first hosts, which are in one trusted storage pool already.
    ///
    /// # Panics
    /// If a person could not make it: nothing goes wrong meanwhile.
    pub fn make_by_hand(&mut self) {
        let hosts: Vec<_> = self.hosts.iter().take(COPIES).map(|host| host.sim.clone()).collect();
        Program::new().run(async {
            let mut addresses = Vec::new();
            for (host, number) in hosts.iter().zip(1..) {
                host.make_group_by_hand(&"/dev/sdd".parse().expect("a path"), &group(), ByteSize::from_bytes(MIB));
                let brick = HandMadeBrick {
                    group: group(),
                    pool: "pool".parse().expect("a name"),
                    volume: "photos".parse().expect("a name"),
                    space: BrickSpace {
                        provisioning: Provisioning::Thin,
                        volume: Extents::new(256),
                        pool: Extents::new(512),
                        metadata: Extents::new(4),
                    },
                    at: "/bricks/photos".parse().expect("a path"),
                    folder: "data".to_owned(),
                    fstab: Some("defaults,noatime 0 0".to_owned()),
                    gid: 0,
                    arbiter: false,
                };
                host.make_brick_by_hand(&brick).await.expect("a person can make a brick");
                let address = format!("192.168.0.{number}").parse().expect("an address");
                addresses.push(BrickAddress { host: address, path: brick.path() });
            }
            let layout = Layout::Replicate { replica: 3 };
            hosts[0].gluster_volume_create(&volume(), layout, &addresses).await.expect("a person can make a volume");
            hosts[0].gluster_volume_start(&volume()).await.expect("a person can start a volume");
            // It was made long before anybody adopts it.
            hosts.iter().for_each(|host| host.sync());
        });
        for host in self.hosts.iter_mut().take(COPIES) {
            host.fstab = host.sim.footprint().view.fstab;
            host.has_hand_made = true;
        }
    }
}
