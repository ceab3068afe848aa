//! A host with all that could be harmed.

use bricklayer_agent::host::Host as _;
use bricklayer_agent::tags;
use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption, VolumeAdoption};
use bricklayer_proto::ids::{BrickId, DeviceId, InstallationId, NodeId, VolumeId};
use bricklayer_proto::inventory::GroupTags;
use bricklayer_proto::names::{DevicePath, LvmTag, PvUuid, VgName, VolumeName};
use bricklayer_proto::size::{ByteSize, ExtentSize, GIB, MIB};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{BrickAddress, Layout, VolumeKey};

use crate::rig::{self, Rig};
use crate::sim::heketi::HandMadeBrick;
use crate::sim::lvm::Group;
use crate::sim::{SimDisk, SimHost};

pub const HOSTS: usize = 3;

/// Disks with their serials; the last one is not there.
pub const DISKS: [(&str, &str); 10] = [
    ("/dev/sdb", "SERIAL0"),
    ("/dev/sdc", "SDC"),
    ("/dev/sdd", "SDD"),
    ("/dev/sde", "SDE"),
    ("/dev/sdf", "SDF"),
    ("/dev/sdg", "SDG"),
    ("/dev/sdh", "SDH"),
    ("/dev/sdi", ""),
    ("/dev/sdj", "SDJ"),
    ("/dev/sdz", "SDZ"),
];

const ONE: ExtentSize = ExtentSize::FOUR_MIB;

pub struct Scene {
    rig: Rig,
    /// What others made, as it would be adopted rightly.
    pub group: GroupAdoption,
    pub brick: BrickAdoption,
    pub volume: VolumeAdoption,
}

#[must_use]
pub fn disk(at: usize) -> DevicePath {
    DISKS[at].0.parse().expect("a device path")
}

#[must_use]
pub fn empty_device() -> DeviceId {
    DeviceId::from_u128(0xd0ff)
}

/// Of another installation.
#[must_use]
pub fn other_device() -> DeviceId {
    DeviceId::from_u128(0xdbad)
}

/// What the adopted group is to be.
#[must_use]
pub fn adopted_device() -> DeviceId {
    DeviceId::from_u128(0xdada)
}

#[must_use]
pub fn node() -> NodeId {
    NodeId::from_u128(0xa000)
}

impl Scene {
    /// Ours: a device with bricks on it, a volume of three copies of which one is here, an empty device. Others': a group of
    /// strangers, one of another installation, one with a brick of a volume that is not ours, a disk with a file system, one
    /// that has neither serial nor WWN, a physical volume in no group, and a blank disk; logical volumes in our own group.
    ///
    /// # Panics
    /// If the simulation itself cannot begin.
    pub async fn new() -> Self {
        let rig = Rig::new(HOSTS);
        let host = &rig.hosts[0];
        let size = ByteSize::from_bytes(16 * GIB);
        let plain = |at: usize| SimDisk::new(&disk(at), size).serial(DISKS[at].1);
        for at in [1, 5, 6] {
            host.plug(plain(at));
        }
        host.plug(plain(2).group(Group::new("foreign".parse().expect("a name"), size, ONE, &[])));
        let theirs = GroupTags {
            installation: InstallationId::from_u128(0xbad),
            node: NodeId::from_u128(0xbad),
            device: other_device(),
        };
        let name = VgName::of_device(other_device());
        host.plug(plain(3).group(Group::new(name, size, ONE, &tags::print_group(&theirs))));
        host.plug(plain(4).signature("ext4"));
        host.plug(SimDisk::new(&disk(7), size).without_identity().signature("xfs"));
        host.plug(plain(8).loose_physical_volume());
        let mut asked = Vec::new();
        for at in 0..HOSTS {
            asked.extend([rig::device(at), rig::brick(at, HOSTS)]);
        }
        asked.push(rig::brick_in(1, 0, HOSTS));
        asked.push((0, bricklayer_proto::task::Wanted::Brick(rig::thick(rig::brick_spec_in(2, 0, HOSTS)))));
        asked.extend(rig::peers(HOSTS));
        asked.extend([rig::volume(HOSTS), (0, bricklayer_proto::task::Wanted::VolumeStarted(rig::volume_key()))]);
        asked.push((0, super::tasks::device(1, empty_device(), false)));
        rig.ask_all(&asked, &"what is ours").await;
        // Strangers in our own group: with no tags, with some of ours, and with a brick's own tags but no mark.
        let of_brick: Vec<LvmTag> = tags::print_brick(&rig::brick_spec(0, HOSTS).tags);
        for (name, tags) in [("data", Vec::new()), ("half", of_brick[..1].to_vec()), ("copy", of_brick)] {
            let (name, size) = (name.parse().expect("a name"), ByteSize::from_bytes(GIB / 4));
            host.create_volume_by_hand(&disk(0), name, size, &tags);
        }
        let size = ByteSize::from_bytes(GIB);
        host.create_volume_by_hand(&disk(2), "precious".parse().expect("a name"), size, &[]);
        host.create_volume_by_hand(&disk(3), "theirs".parse().expect("a name"), size, &[]);
        let (group, brick, volume) = others_volume(host).await;
        Self { group, brick, volume, rig }
    }

    #[must_use]
    pub fn host(&self) -> &SimHost {
        &self.rig.hosts[0]
    }

    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.rig.cluster.violations()
    }
}

/// A volume of one brick, made by hand, and how it would be adopted.
async fn others_volume(host: &SimHost) -> (GroupAdoption, BrickAdoption, VolumeAdoption) {
    let group: VgName = "vg_theirs".parse().expect("a name");
    host.make_group_by_hand(&disk(6), &group, ByteSize::from_bytes(128 * MIB));
    let size = ByteSize::from_bytes(GIB);
    let space = BrickSpace::thin(size, size, ONE).expect("a small size");
    let made = HandMadeBrick {
        group: group.clone(),
        pool: "their_pool".parse().expect("a name"),
        volume: "their_brick".parse().expect("a name"),
        space,
        at: "/srv/theirs".parse().expect("a path"),
        folder: "brick".to_owned(),
        fstab: Some("defaults 0 0".to_owned()),
        gid: 0,
        arbiter: false,
    };
    host.make_brick_by_hand(&made).await.expect("a person can make a brick");
    host.create_volume_by_hand(&disk(6), "their_data".parse().expect("a name"), size, &[]);
    let key = VolumeKey { volume: VolumeId::from_u128(0xe7), name: "theirs".parse::<VolumeName>().expect("a name") };
    let bricks = vec![BrickAddress { host: rig::storage(0), path: made.path() }];
    host.gluster_volume_create(&key.name, Layout::Distribute, &bricks).await.expect("a person can make a volume");
    host.gluster_volume_start(&key.name).await.expect("a person can start a volume");
    let groups = host.footprint().view.groups;
    let seen = groups.iter().find(|seen| seen.name == group).expect("it was made");
    let pv_uuid: PvUuid = seen.physical_volumes[0].uuid.clone();
    let mut spec = rig::brick_spec(0, 1);
    (spec.device, spec.space, spec.gid) = (adopted_device(), space, 0);
    (spec.tags.brick, spec.tags.volume) = (BrickId::from_u128(0xb7), key.volume);
    spec.tags.volume_name = key.name.clone();
    (spec.record.volume, spec.record.name) = (key.volume, key.name.clone());
    let brick = BrickAdoption {
        spec,
        group: group.clone(),
        volume: made.volume.clone(),
        pool: Some(made.pool.clone()),
        owns_pool: true,
        path: made.path(),
        mounted_by_glusterd: false,
    };
    let group =
        GroupAdoption { device: adopted_device(), installation: rig::INSTALLATION, node: node(), group, pv_uuid };
    (group, brick, VolumeAdoption { key, bricks })
}
