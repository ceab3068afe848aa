//! What a coordinator sends that means harm: of every kind, right as a whole at times, and with one or all ids replaced.

use std::collections::BTreeMap;

use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption, VolumeAdoption};
use bricklayer_proto::block::{BlockKey, BlockResize, BlockSpec, Preallocation};
use bricklayer_proto::ids::{BlockVolumeId, BrickId, DeviceId, InstallationId, VolumeId};
use bricklayer_proto::names::{HostName, LvName, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize, GIB};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{
    BrickAddress, BrickDrain, BrickKey, BrickSpec, BrickSwap, CloneSpec, DeviceSpec, Layout, VolumeKey, VolumeOption,
    VolumeSpec, Wanted,
};

use super::Choices;
use super::kinds::Kind;
use super::scene::{DISKS, HOSTS, Scene, adopted_device, disk, empty_device, node, other_device};
use crate::rig;

/// Those that destroy come as often as all others together.
const DESTROYING: [Kind; 12] = [
    Kind::BrickCondemned,
    Kind::BrickCondemned,
    Kind::BrickGone,
    Kind::BrickGone,
    Kind::BrickGone,
    Kind::DeviceCondemned,
    Kind::DeviceGone,
    Kind::DeviceGone,
    Kind::DiskWiped,
    Kind::Device,
    Kind::VolumeStopped,
    Kind::VolumeGone,
];

/// What begins something that others then take away.
const MAKING: [Kind; 7] = [
    Kind::GroupAdopted,
    Kind::BrickAdopted,
    Kind::VolumeAdopted,
    Kind::BrickReleased,
    Kind::VolumeStarted,
    Kind::VolumeCloned,
    Kind::CloneBrick,
];

pub fn any(choices: &mut dyn Choices, scene: &Scene) -> Wanted {
    let kind = match choices.below(4) {
        0 | 1 => DESTROYING[choices.below(DESTROYING.len())],
        2 if choices.one_in(2) => MAKING[choices.below(MAKING.len())],
        _ => Kind::ALL[choices.below(Kind::ALL.len())],
    };
    Sender { choices, scene }.task(kind)
}

#[must_use]
pub fn device(at: usize, device: DeviceId, destroy: bool) -> Wanted {
    let (installation, node) = (rig::INSTALLATION, node());
    Wanted::Device(DeviceSpec {
        device,
        installation,
        node,
        path: disk(at),
        extent_size: ExtentSize::FOUR_MIB,
        destroy,
    })
}

struct Sender<'a> {
    choices: &'a mut dyn Choices,
    scene: &'a Scene,
}

impl Sender<'_> {
    fn task(&mut self, kind: Kind) -> Wanted {
        match kind {
            Kind::Device => {
                let (at, destroy) = (self.choices.below(DISKS.len()), self.choices.one_in(2));
                let id = self.device();
                device(at, id, destroy)
            }
            Kind::DeviceCondemned => Wanted::DeviceCondemned { device: self.device() },
            Kind::DeviceGone => {
                let loose = self.scene.host().footprint().view.loose_physical_volumes;
                let physical_volume = loose.first().filter(|_| self.choices.one_in(3)).map(|one| one.uuid.clone());
                Wanted::DeviceGone { device: self.device(), physical_volume }
            }
            Kind::DiskWiped => {
                let (path, confirm) = (disk(self.choices.below(DISKS.len())), self.choices.below(DISKS.len()));
                Wanted::DiskWiped { path, confirm: DISKS[confirm].1.to_owned() }
            }
            Kind::Brick => Wanted::Brick(self.spec()),
            Kind::BrickSynced => Wanted::BrickSynced(self.key()),
            Kind::BrickCanGrow => Wanted::BrickCanGrow(self.spec()),
            Kind::BrickGrown => Wanted::BrickGrown(self.spec()),
            Kind::BrickUp => Wanted::BrickUp(self.key()),
            Kind::CloneBrick => {
                // Where glusterd has put it, if it has.
                let volumes = self.scene.host().footprint().volumes;
                let clone = volumes.iter().find(|volume| volume.name == rig::clone_key().name);
                let here = clone.and_then(|clone| clone.bricks.iter().find(|brick| brick.host == rig::storage(0)));
                let path = here.map_or_else(|| self.address().path, |brick| brick.path.clone());
                let mut spec = rig::clone_brick_spec(0, HOSTS, path);
                let key = self.key();
                match self.choices.below(6) {
                    0 => spec.device = key.device,
                    1 => spec.tags.brick = key.brick,
                    2 => spec.tags.volume = key.volume,
                    _ => {}
                }
                Wanted::CloneBrick(spec)
            }
            Kind::BrickCondemned => Wanted::BrickCondemned(self.key()),
            Kind::BrickGone => Wanted::BrickGone(self.key()),
            Kind::Peer => Wanted::Peer { host: self.host() },
            Kind::PeerGone => Wanted::PeerGone { host: self.host(), lost: self.choices.one_in(2) },
            Kind::Volume => Wanted::Volume(self.volume_spec()),
            Kind::VolumeStarted => Wanted::VolumeStarted(self.volume()),
            Kind::BricksStarted => Wanted::BricksStarted(self.volume()),
            Kind::HealStarted => Wanted::HealStarted(self.volume()),
            Kind::VolumeStopped => Wanted::VolumeStopped(self.volume()),
            Kind::VolumeGone => Wanted::VolumeGone(self.volume().into()),
            Kind::VolumeExtended => Wanted::VolumeExtended(self.volume_spec()),
            Kind::VolumeCloned => {
                let clone = if self.choices.one_in(3) { self.volume() } else { rig::clone_key() };
                Wanted::VolumeCloned(CloneSpec { source: self.volume(), clone, options: BTreeMap::new() })
            }
            Kind::BrickReplaced => {
                Wanted::BrickReplaced(BrickSwap { volume: self.volume(), old: self.address(), new: self.address() })
            }
            Kind::VolumeOptionSet => {
                let options = ["user.bricklayer.id", "user.heketi.id", "network.ping-timeout"];
                let option = options[self.choices.below(options.len())].parse().expect("an option");
                let volume = self.volume();
                let value = (!self.choices.one_in(3)).then(|| self.volume().volume.to_string());
                let value = value.map(|value| value.parse().expect("a value"));
                Wanted::VolumeOptionSet(VolumeOption { volume, option, value })
            }
            Kind::RebalanceStarted => Wanted::RebalanceStarted(self.volume()),
            Kind::DrainStarted => Wanted::DrainStarted(self.drain()),
            Kind::DrainStopped => Wanted::DrainStopped(self.drain()),
            Kind::DrainCommitted => Wanted::DrainCommitted(self.drain()),
            Kind::BlockCreated => Wanted::BlockCreated(BlockSpec {
                key: self.block(),
                size: ByteSize::from_bytes(GIB),
                hosts: vec![self.host()],
                auth: false,
                preallocation: Preallocation::No,
            }),
            Kind::BlockResized => {
                let size = ByteSize::from_bytes((1 + self.choices.below(3) as u64) * GIB);
                Wanted::BlockResized(BlockResize { key: self.block(), size })
            }
            Kind::BlockGone => Wanted::BlockGone(self.block()),
            Kind::GroupAdopted => Wanted::GroupAdopted(self.group_adoption()),
            Kind::GroupReleased => Wanted::GroupReleased(self.group_adoption()),
            Kind::BrickAdopted => Wanted::BrickAdopted(self.brick_adoption()),
            Kind::BrickReleased => Wanted::BrickReleased(self.brick_adoption()),
            Kind::VolumeAdopted => Wanted::VolumeAdopted(self.volume_adoption()),
            Kind::VolumeReleased => Wanted::VolumeReleased(self.volume_adoption()),
            Kind::DeviceSeen => Wanted::DeviceSeen { device: self.device() },
            Kind::VolumeSeen => Wanted::VolumeSeen(self.volume()),
            Kind::HealSeen => Wanted::HealSeen(self.volume()),
            Kind::RebalanceSeen => Wanted::RebalanceSeen(self.volume()),
            Kind::DrainSeen => Wanted::DrainSeen(self.drain()),
            Kind::BlockSeen => Wanted::BlockSeen(self.block()),
            Kind::HostSurveyed => Wanted::HostSurveyed { gluster: self.choices.one_in(2) },
        }
    }

    fn device(&mut self) -> DeviceId {
        let known =
            [rig::device_id(0), rig::device_id(0), empty_device(), adopted_device(), other_device(), rig::device_id(1)];
        known[self.choices.below(known.len())]
    }

    fn key(&mut self) -> BrickKey {
        // Right as a whole, mostly; with one id replaced, or all of them, often enough.
        let mut key = match self.choices.below(6) {
            4 => self.scene.brick.key(),
            5 => rig::clone_brick_key(0),
            row => rig::brick_spec_in(u32::try_from(row).unwrap_or_default(), 0, HOSTS).key(),
        };
        if self.choices.one_in(4) {
            key.device = self.device();
        }
        if self.choices.one_in(5) {
            key.volume = VolumeId::from_u128(0xdf + self.choices.below(9) as u128);
        }
        if self.choices.one_in(8) {
            key.brick = BrickId::from_u128(0xaffe + self.choices.below(6) as u128);
        }
        key
    }

    fn spec(&mut self) -> BrickSpec {
        let row = u32::try_from(self.choices.below(4)).unwrap_or_default();
        let mut spec =
            if self.choices.one_in(5) { self.scene.brick.spec.clone() } else { rig::brick_spec_in(row, 0, HOSTS) };
        let key = self.key();
        match self.choices.below(6) {
            0 => spec.device = key.device,
            1 => spec.tags.volume = key.volume,
            2 => spec.tags.brick = key.brick,
            3 => spec.tags.generation = self.choices.below(4) as u64,
            4 => {
                let size = ByteSize::from_bytes((1 + self.choices.below(5) as u64) * GIB);
                let space = match self.choices.one_in(3) {
                    true => BrickSpace::thick(size, ExtentSize::FOUR_MIB),
                    false => BrickSpace::thin(size, size, ExtentSize::FOUR_MIB).expect("a small size"),
                };
                (spec.space, spec.tags.asked) = (space, size);
            }
            _ => {}
        }
        // Thick ones as well, and those that are there as what they are not.
        if row >= 2 || self.choices.one_in(6) { rig::thick(spec) } else { spec }
    }

    fn host(&mut self) -> HostName {
        rig::storage(self.choices.below(HOSTS + 1))
    }

    /// A volume of ours or of others, mostly by its own id.
    fn volume(&mut self) -> VolumeKey {
        let known = [rig::volume_key(), rig::clone_key(), self.scene.volume.key.clone()];
        let key = known[self.choices.below(known.len())].clone();
        if self.choices.one_in(4) { VolumeKey { volume: self.key().volume, ..key } } else { key }
    }

    fn volume_spec(&mut self) -> VolumeSpec {
        let rows = 1 + u32::try_from(self.choices.below(2)).unwrap_or_default();
        let mut spec = rig::volume_spec(HOSTS, rows, Layout::Replicate { replica: 3 });
        match self.choices.below(4) {
            0 | 1 => spec.key = self.volume(),
            2 => {
                // A new one, on a brick that is in none yet.
                let row = 1 + u32::try_from(self.choices.below(2)).unwrap_or_default();
                (spec.layout, spec.bricks) = (Layout::Distribute, vec![rig::address(row, 0)]);
                spec.key.name = "vol_e2".parse().expect("a name");
            }
            _ => {}
        }
        if self.choices.one_in(4) {
            let at = self.choices.below(spec.bricks.len());
            spec.bricks[at] = self.address();
        }
        spec
    }

    fn address(&mut self) -> BrickAddress {
        if self.choices.one_in(4) {
            return self.scene.volume.bricks[0].clone();
        }
        let row = u32::try_from(self.choices.below(3)).unwrap_or_default();
        rig::address(row, self.choices.below(HOSTS))
    }

    fn drain(&mut self) -> BrickDrain {
        BrickDrain { volume: self.volume(), brick: self.address() }
    }

    fn block(&mut self) -> BlockKey {
        let names = ["blk", "other"];
        let name = names[self.choices.below(names.len())].parse().expect("a name");
        BlockKey { block: BlockVolumeId::from_u128(0xb10c), hosting: self.volume(), name }
    }

    fn group(&mut self) -> VgName {
        let ours = VgName::of_device(rig::device_id(0));
        let named = |name: &str| name.parse().expect("a name");
        let known = [self.scene.group.group.clone(), named("foreign"), ours, VgName::of_device(other_device())];
        known[self.choices.below(known.len())].clone()
    }

    fn group_adoption(&mut self) -> GroupAdoption {
        let mut adoption = self.scene.group.clone();
        match self.choices.below(8) {
            0 => adoption.device = self.device(),
            1 => adoption.installation = InstallationId::from_u128(0xbad),
            2 | 3 => {
                // Any group there is, by its own physical volume.
                adoption.group = self.group();
                let groups = self.scene.host().footprint().view.groups;
                let seen = groups.iter().find(|seen| seen.name == adoption.group);
                if let Some(volume) = seen.and_then(|seen| seen.physical_volumes.first()) {
                    adoption.pv_uuid = volume.uuid.clone();
                }
            }
            4 => adoption.group = self.group(),
            _ => {}
        }
        adoption
    }

    fn brick_adoption(&mut self) -> BrickAdoption {
        let mut adoption = self.scene.brick.clone();
        let key = self.key();
        let lvs = ["precious", "data", "half", "copy", "their_data", "their_pool", "their_brick"];
        let lv = |at: usize| lvs[at].parse::<LvName>().expect("a name");
        match self.choices.below(10) {
            0 => adoption.spec.device = key.device,
            1 => adoption.spec.tags.volume = key.volume,
            2 => adoption.spec.tags.brick = key.brick,
            3 => (adoption.group, adoption.volume) = (self.group(), lv(self.choices.below(lvs.len()))),
            4 => adoption.volume = lv(self.choices.below(lvs.len())),
            5 => adoption.pool = (!self.choices.one_in(3)).then(|| lv(self.choices.below(lvs.len()))),
            6 => adoption.path = self.address().path,
            7 => (adoption.owns_pool, adoption.mounted_by_glusterd) = (self.choices.one_in(2), self.choices.one_in(2)),
            _ => {}
        }
        adoption
    }

    fn volume_adoption(&mut self) -> VolumeAdoption {
        let mut adoption = self.scene.volume.clone();
        match self.choices.below(6) {
            0 => adoption.key = self.volume(),
            1 => adoption.bricks = vec![self.address()],
            2 => {
                (adoption.key, adoption.bricks) =
                    (self.volume(), rig::volume_spec(HOSTS, 1, Layout::Replicate { replica: 3 }).bricks);
            }
            _ => {}
        }
        adoption
    }
}
