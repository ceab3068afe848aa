//! Two keys to destroy, against a coordinator that means harm: it sends tasks with right and wrong ids in any mixture to
//! the real engine on a simulated host. Whatever it says, no logical volume and no group goes that did not carry the
//! mark before the task came, none of a stranger ever goes, and a signature goes only by a person's word for that disk.
//!
//! `TWO_KEYS=20000` sends more.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bricklayer_agent::engine::Engine;
use bricklayer_agent::host::{GroupReport, Host as _};
use bricklayer_agent::tags;
use bricklayer_proto::ids::{BrickId, DeviceId, InstallationId, NodeId, VolumeId};
use bricklayer_proto::inventory::LvKind;
use bricklayer_proto::names::{DevicePath, LvmTag};
use bricklayer_proto::size::{ByteSize, ExtentSize, GIB};
use bricklayer_proto::task::{BrickKey, BrickSpec, DeviceSpec, VolumeKey, Wanted};
use bricklayer_tests::histories::chance::Chance;
use bricklayer_tests::rig::{self, Rig};
use bricklayer_tests::sim::lvm::Group;
use bricklayer_tests::sim::{SimDisk, SimHost};

const HOSTS: usize = 3;
const DISKS: [&str; 7] = ["/dev/sdb", "/dev/sdc", "/dev/sdd", "/dev/sde", "/dev/sdf", "/dev/sdg", "/dev/sdz"];
const SERIALS: [&str; 7] = ["SERIAL0", "SDC", "SDD", "SDE", "SDF", "SDG", ""];

fn path(at: usize) -> DevicePath {
    DISKS[at].parse().unwrap()
}

/// A host with a device of ours and bricks on it, an empty device of ours, a group of strangers, one of another
/// installation, a disk with a file system and a blank one.
async fn host() -> Rig {
    let rig = Rig::new(HOSTS);
    let host = &rig.hosts[0];
    let size = ByteSize::from_bytes(16 * GIB);
    let disk = |at: usize| SimDisk::new(&path(at), size).serial(SERIALS[at]);
    for at in [1, 5] {
        host.plug(disk(at));
    }
    let one = ExtentSize::FOUR_MIB;
    host.plug(disk(2).group(Group::new("foreign".parse().unwrap(), size, one, &[])));
    let theirs = bricklayer_proto::inventory::GroupTags {
        installation: InstallationId::from_u128(0xbad),
        node: NodeId::from_u128(0xbad),
        device: other_device(),
    };
    let name = bricklayer_proto::names::VgName::of_device(other_device());
    host.plug(disk(3).group(Group::new(name, size, one, &tags::print_group(&theirs))));
    host.plug(disk(4).signature("ext4"));
    rig.ask_all(
        &[
            rig::device(0),
            rig::brick(0, HOSTS),
            rig::brick_in(1, 0, HOSTS),
            (0, Wanted::Brick(rig::thick(rig::brick_spec_in(2, 0, HOSTS)))),
        ],
        &"bricks",
    )
    .await;
    rig.ask_all(&[(0, Wanted::Device(device(1, empty_device(), false)))], &"an empty device").await;
    // Strangers in our own group: with no tags, with some of ours, and with a brick's own tags but no mark.
    let of_brick: Vec<LvmTag> = tags::print_brick(&rig::brick_spec(0, HOSTS).tags);
    for (name, tags) in [("data", Vec::new()), ("half", of_brick[..1].to_vec()), ("copy", of_brick)] {
        host.create_volume_by_hand(&path(0), name.parse().unwrap(), ByteSize::from_bytes(GIB / 4), &tags);
    }
    host.create_volume_by_hand(&path(2), "precious".parse().unwrap(), ByteSize::from_bytes(GIB), &[]);
    host.create_volume_by_hand(&path(3), "theirs".parse().unwrap(), ByteSize::from_bytes(GIB), &[]);
    rig
}

fn empty_device() -> DeviceId {
    DeviceId::from_u128(0xd0ff)
}

fn other_device() -> DeviceId {
    DeviceId::from_u128(0xdbad)
}

fn device(at: usize, device: DeviceId, destroy: bool) -> DeviceSpec {
    DeviceSpec {
        device,
        installation: rig::INSTALLATION,
        node: NodeId::from_u128(0xa000),
        path: path(at),
        extent_size: ExtentSize::FOUR_MIB,
        destroy,
    }
}

/// What the coordinator sends next.
struct Hostile {
    chance: Chance,
}

impl Hostile {
    fn device(&mut self) -> DeviceId {
        let known = [rig::device_id(0), rig::device_id(0), empty_device(), other_device(), rig::device_id(1)];
        *self.chance.of_these(&known).unwrap()
    }

    fn key(&mut self) -> BrickKey {
        // Right as a whole, mostly; with one id replaced, or all of them, often enough.
        let row = u32::try_from(self.chance.index(4)).unwrap();
        let mut key = rig::brick_spec_in(row, 0, HOSTS).key();
        if self.chance.one_in(3) {
            key.device = self.device();
        }
        if self.chance.one_in(4) {
            key.volume = VolumeId::from_u128(u128::from(self.chance.number(0xdf..=0xe2)));
        }
        if self.chance.one_in(6) {
            key.brick = BrickId::from_u128(u128::from(self.chance.number(0xaffe..=0xb003)));
        }
        key
    }

    fn spec(&mut self) -> BrickSpec {
        let row = u32::try_from(self.chance.index(4)).unwrap();
        let mut spec = rig::brick_spec_in(row, 0, HOSTS);
        let key = self.key();
        match self.chance.number(0..=5) {
            0 => spec.device = key.device,
            1 => spec.tags.volume = key.volume,
            2 => spec.tags.brick = key.brick,
            3 => spec.tags.generation = self.chance.number(0..=3),
            4 => {
                let size = ByteSize::from_bytes(self.chance.number(1..=5) * GIB);
                let space = bricklayer_proto::space::BrickSpace::thin(size, size, ExtentSize::FOUR_MIB);
                (spec.space, spec.tags.asked) = (space.unwrap(), size);
            }
            _ => {}
        }
        // Thick ones as well, and those that are there as what they are not.
        if row == 3 || self.chance.one_in(6) { rig::thick(spec) } else { spec }
    }

    fn next(&mut self) -> Wanted {
        let volume = VolumeKey { volume: self.key().volume, ..rig::volume_key() };
        match self.chance.number(0..=15) {
            0 | 1 => Wanted::BrickCondemned(self.key()),
            2..=5 => Wanted::BrickGone(self.key()),
            6 => Wanted::DeviceCondemned { device: self.device() },
            7 | 8 => Wanted::DeviceGone { device: self.device() },
            9 | 10 => Wanted::Brick(self.spec()),
            11 => Wanted::BrickGrown(self.spec()),
            12 => {
                let (at, destroy) = (self.chance.index(DISKS.len()), self.chance.one_in(2));
                let id = self.device();
                Wanted::Device(device(at, id, destroy))
            }
            13 => {
                let path = path(self.chance.index(DISKS.len()));
                let confirm = (*self.chance.of_these(&SERIALS).unwrap()).to_owned();
                Wanted::DiskWiped { path, confirm }
            }
            14 => Wanted::VolumeGone(volume),
            _ => Wanted::BrickSynced(self.key()),
        }
    }
}

/// What could be destroyed, and whether it was marked.
#[derive(Debug, PartialEq, Eq)]
struct Things {
    /// Groups by their UUID: name, mark, whether the group says it is of this installation.
    groups: BTreeMap<String, (String, bool, bool)>,
    /// Logical volumes by their UUID: name, mark, whether it is of ours.
    volumes: BTreeMap<String, (String, bool, bool)>,
    /// Signatures on disks that are in no group, by the disk's path.
    signatures: BTreeMap<String, Vec<String>>,
}

async fn look(host: &SimHost) -> Things {
    let view = host.view().await.unwrap();
    let mut things = Things { groups: BTreeMap::new(), volumes: BTreeMap::new(), signatures: BTreeMap::new() };
    for group in &view.groups {
        let GroupReport { name, uuid, tags: words, .. } = group;
        let ours = matches!(tags::parse_group(words), Ok(Some(found)) if found.installation == rig::INSTALLATION);
        things.groups.insert(uuid.clone(), (name.to_string(), tags::is_condemned(words), ours));
        for volume in group.volumes.iter().filter(|volume| !volume.name.as_str().starts_with("lvol0_pmspare")) {
            // A pool's hidden parts go with the pool.
            if volume.name.as_str().ends_with("_tdata") || volume.name.as_str().ends_with("_tmeta") {
                continue;
            }
            let brick = matches!(tags::parse_brick(&volume.tags), Ok(Some(_)));
            let pool = matches!(tags::parse_pool(&volume.tags), Ok(Some(_)));
            // A thick brick is a linear volume, and all that says so are its tags.
            let kind = match volume.kind {
                LvKind::ThinPool { .. } => pool,
                LvKind::Thin { .. } | LvKind::Other { .. } => brick,
            };
            let what = (format!("{name}/{}", volume.name), tags::is_condemned(&volume.tags), ours && kind);
            things.volumes.insert(volume.uuid.clone(), what);
        }
    }
    for disk in DISKS {
        if let Ok(found) = host.signatures(&disk.parse().unwrap()).await {
            let words = found.into_iter().map(|signature| signature.what).collect();
            things.signatures.insert(disk.to_owned(), words);
        }
    }
    things
}

/// Whether a person said by this task that what is on the disk may go.
fn is_given_up(task: &Wanted, disk: &str) -> bool {
    match task {
        Wanted::DiskWiped { path, confirm } => {
            path.as_str() == disk && DISKS.iter().zip(SERIALS).any(|(path, serial)| *path == disk && serial == confirm)
        }
        Wanted::Device(spec) => spec.destroy && spec.path.as_str() == disk,
        _ => false,
    }
}

fn judge(before: &Things, after: &Things, task: &Wanted) -> Result<(), String> {
    let given_up = |group: &str| {
        // The strangers' group lies on /dev/sdd by itself: whoever gives that disk up gives up the group.
        group == "foreign" && is_given_up(task, "/dev/sdd")
    };
    for (uuid, (name, marked, ours)) in &before.volumes {
        let group = name.split('/').next().unwrap_or_default();
        let may_go = (*marked && *ours) || given_up(group);
        if !after.volumes.contains_key(uuid) && !may_go {
            return Err(format!("logical volume {name} went; marked: {marked}, ours: {ours}"));
        }
    }
    for (uuid, (name, marked, ours)) in &before.groups {
        let may_go = (*marked && *ours) || given_up(name);
        if !after.groups.contains_key(uuid) && !may_go {
            return Err(format!("volume group {name} went; marked: {marked}, ours: {ours}"));
        }
    }
    for (disk, words) in &before.signatures {
        let still = after.signatures.get(disk).map_or(&[][..], Vec::as_slice);
        // A disk that becomes a physical volume shows that instead; a group of ours that went is judged above.
        let gone = words.iter().any(|word| word != "LVM2_member" && !still.contains(word));
        if gone && !is_given_up(task, disk) {
            return Err(format!("what was on {disk} went: {words:?}, now {still:?}"));
        }
    }
    Ok(())
}

async fn play(seed: u64) -> (u64, u64) {
    let rig = host().await;
    let engine = Arc::new(Engine::new(Arc::new(rig.hosts[0].clone())));
    let mut hostile = Hostile { chance: Chance::of(seed) };
    let mut sent = Vec::new();
    let (mut done, mut gone) = (0, 0);
    let mut before = look(&rig.hosts[0]).await;
    for _ in 0..60 {
        let task = hostile.next();
        sent.push(format!("{task:?}"));
        done += u64::from(engine.carry_out(&task, &|_| {}).await.is_ok());
        let after = look(&rig.hosts[0]).await;
        if let Err(what) = judge(&before, &after, &task) {
            panic!("seed {seed}: {what}\nafter\n{}", sent.join("\n"));
        }
        gone += before.volumes.keys().filter(|uuid| !after.volumes.contains_key(*uuid)).count() as u64;
        before = after;
    }
    assert_eq!(rig.cluster.violations(), Vec::<String>::new(), "seed {seed}\n{}", sent.join("\n"));
    (done, gone)
}

#[tokio::test(start_paused = true)]
async fn nothing_that_was_not_condemned_before_ever_goes_whatever_a_coordinator_asks() {
    let seeds = std::env::var("TWO_KEYS").ok().map_or(300, |text| text.parse().unwrap());
    let (mut done, mut gone) = (0, 0);
    for seed in 1..=seeds {
        let (more_done, more_gone) = play(seed).await;
        (done, gone) = (done + more_done, gone + more_gone);
    }
    // Else it would only have shown that everything is refused.
    assert!(
        done > seeds && gone > seeds / 3,
        "{done} tasks were carried out, {gone} volumes went, of {seeds} histories"
    );
}
