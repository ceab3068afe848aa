//! Engines over simulated hosts, and the one test that every task has to pass: fail it at each of its effects in each
//! way, then repeat it, or undo it.
//!
//! No coordinator, no network, no journalled tasks: what an engine promises, it promises of the host alone. The journal is
//! there for what the engine itself writes down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bricklayer_agent::engine::Engine;
use bricklayer_agent::host::Host;
use bricklayer_agent::journal::{self, Journal};
use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{BrickRole, BrickTags};
use bricklayer_proto::names::{BrickPath, DevicePath, HostName, LvName, MountPoint, VgName, VolumeName};
use bricklayer_proto::size::{ByteSize, ExtentSize, GIB};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{
    BrickAddress, BrickKey, BrickSpec, CloneBrickSpec, CloneSpec, DeviceSpec, Done, Failure, Layout, VolumeKey,
    VolumeRecord, VolumeSpec, Wanted,
};

use bricklayer_store::Store;
use bricklayer_store::simulated::Disk;

use crate::sim::{At, Call, Fault, Footprint, SimCluster, SimDisk, SimHost};

pub const INSTALLATION: InstallationId = InstallationId::from_u128(0x1);
const EXTENT: ExtentSize = ExtentSize::FOUR_MIB;

/// Every way in which a fault is tried.
pub const FAULTS: [Fault; 7] = [
    Fault::Before,
    Fault::After,
    Fault::Halfway,
    Fault::TimesOutUndone,
    Fault::TimesOutDone,
    Fault::HangsBefore,
    Fault::HangsAfter,
];

/// A task for one of the rig's hosts.
pub type Asked = (usize, Wanted);

/// Hosts `gfs1`, `gfs2`, ... with a blank 16 GiB disk `/dev/sdb` each, and an engine on each.
pub struct Rig {
    pub cluster: SimCluster,
    pub hosts: Vec<SimHost>,
    engines: Vec<Arc<Engine>>,
    journals: Vec<Arc<Journal>>,
}

/// Where a fault was tried; for the message of a test that fails.
#[derive(Clone, Copy)]
struct Try {
    host: usize,
    effect: u64,
    fault: Fault,
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at effect {} of gfs{}", self.fault, self.effect, self.host + 1)
    }
}

impl Rig {
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        let cluster = SimCluster::new();
        let hosts: Vec<SimHost> = (0..hosts)
            .map(|index| {
                let host = cluster.add_host(&[manage(index), storage(index)]);
                let disk = SimDisk::new(&sdb(), ByteSize::from_bytes(16 * GIB));
                host.plug(disk.serial(&format!("SERIAL{index}")));
                host
            })
            .collect();
        let journals: Vec<Arc<Journal>> = hosts.iter().map(|_| journal()).collect();
        let engines = hosts.iter().zip(&journals).map(|(host, journal)| engine(host, journal)).collect();
        Self { cluster, hosts, engines, journals }
    }

    /// Brings a state about on one host.
    pub async fn ask(&self, (host, wanted): &Asked) -> Result<Done, Failure> {
        self.engines[*host].carry_out(wanted, &|_| {}).await
    }

    /// Brings states about, one after the other.
    ///
    /// # Panics
    /// If one of them is refused.
    pub async fn ask_all(&self, asked: &[Asked], when: &dyn fmt::Display) {
        for one in asked {
            if let Err(failure) = self.ask(one).await {
                panic!("{when}: gfs{} refused {:?}: {failure:?}\n{}", one.0 + 1, one.1, self.log(one.0));
            }
        }
    }

    /// The agent's program is killed and started again; with it goes what it had in memory.
    pub fn restart_agent(&mut self, host: usize) {
        self.engines[host] = engine(&self.hosts[host], &self.journals[host]);
    }

    /// The same, and its disk is lost: nothing is left of what it wrote down.
    pub fn restart_agent_without_its_journal(&mut self, host: usize) {
        self.journals[host] = journal();
        self.restart_agent(host);
    }

    #[must_use]
    pub fn engine(&self, host: usize) -> &Arc<Engine> {
        &self.engines[host]
    }

    /// Of the hosts that have power.
    #[must_use]
    pub fn footprints(&self) -> Vec<Footprint> {
        self.hosts.iter().filter(|host| host.has_power()).map(|host| host.footprint().anonymous()).collect()
    }

    /// What was done on a host, a line each.
    #[must_use]
    pub fn log(&self, host: usize) -> String {
        let lines: Vec<String> = self.hosts[host].faults().log().iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    /// Asks for the states with the fault in the way, up to the one that fails. True if the fault was met.
    async fn ask_with_fault(&mut self, asked: &[Asked], at: Try) -> bool {
        let faults = self.hosts[at.host].faults().clone();
        faults.count_anew();
        faults.inject(At::Effect(at.effect), at.fault);
        for one in asked {
            let (host, wanted) = one.clone();
            let engine = Arc::clone(&self.engines[host]);
            let mut asking = tokio::spawn(async move { engine.carry_out(&wanted, &|_| {}).await });
            tokio::select! {
                result = &mut asking => match result {
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) => break,
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                },
                () = faults.one_hangs() => {
                    asking.abort();
                    let _ = asking.await;
                    self.restart_agent(host);
                    break;
                }
            }
        }
        faults.clear();
        faults.effects() >= at.effect
    }
}

/// A scenario to be failed everywhere.
pub struct Scenario {
    pub hosts: usize,
    /// Done beforehand, undisturbed.
    pub before: Vec<Asked>,
    /// Disturbed at each effect.
    pub asked: Vec<Asked>,
    /// Asked for after the fault, undisturbed; `None` stands for `asked` again.
    pub then: Option<Vec<Asked>>,
    /// Faults that cannot be recovered from without a person or another host. Each has a test of its own.
    pub except: &'static [(Call, Fault)],
}

impl Scenario {
    /// Fails the scenario at each effect of each host in each way. After what is then asked for, undisturbed, every
    /// host has to look as `wanted` makes it look.
    ///
    /// # Panics
    /// With the fault and the log of the host, if it does not.
    pub async fn fail_everywhere(&self, wanted: &[Asked]) {
        self.fail_without(&[], wanted).await;
    }

    /// The same while some of the hosts have no power any more.
    ///
    /// # Panics
    /// As [`Self::fail_everywhere`].
    pub async fn fail_without(&self, away: &[usize], wanted: &[Asked]) {
        let reference = {
            let rig = self.rig(away).await;
            rig.ask_all(wanted, &"the reference").await;
            rig.footprints()
        };
        let mut met = BTreeMap::<&str, u64>::new();
        for host in (0..self.hosts).filter(|host| !away.contains(host)) {
            for fault in FAULTS {
                for effect in 1.. {
                    let at = Try { host, effect, fault };
                    let mut rig = self.rig(away).await;
                    if !rig.ask_with_fault(&self.asked, at).await {
                        break;
                    }
                    let log = rig.hosts[host].faults().log();
                    let Some(hit) = log.into_iter().find(|entry| entry.fault.is_some()) else {
                        panic!("{at}: the fault was met, and the log does not show it")
                    };
                    if self.except.contains(&(hit.call, fault)) {
                        continue;
                    }
                    *met.entry(hit.call.name()).or_default() += 1;
                    let then = self.then.as_ref().unwrap_or(&self.asked);
                    rig.ask_all(then, &at).await;
                    let after = rig.footprints();
                    for (index, (after, reference)) in after.iter().zip(&reference).enumerate() {
                        assert!(
                            after == reference,
                            "{at}: gfs{} is not as it should be:\n{}\n{}",
                            index + 1,
                            after.differences_from(reference),
                            rig.log(host)
                        );
                    }
                    assert_eq!(rig.cluster.violations(), Vec::<String>::new(), "{at}");
                }
            }
        }
        assert!(!met.is_empty(), "no fault was met: the scenario does nothing");
    }

    async fn rig(&self, away: &[usize]) -> Rig {
        let rig = Rig::new(self.hosts);
        rig.ask_all(&self.before, &"before the scenario").await;
        away.iter().for_each(|host| rig.hosts[*host].power_cut());
        rig
    }
}

fn engine(host: &SimHost, journal: &Arc<Journal>) -> Arc<Engine> {
    let host: Arc<dyn Host> = Arc::new(host.clone());
    let engine = Engine::new(host);
    engine.keep_notes_in(Arc::clone(journal));
    Arc::new(engine)
}

fn journal() -> Arc<Journal> {
    let store = Store::on(&Disk::new(), journal::SCHEMA).expect("an empty disk");
    Arc::new(Journal::of(store).expect("an empty journal"))
}

// The things that scenarios are about, all with ids that tell them apart at sight.

#[must_use]
pub fn sdb() -> DevicePath {
    "/dev/sdb".parse().expect("a device path")
}

#[must_use]
pub fn manage(host: usize) -> HostName {
    format!("gfs{}", host + 1).parse().expect("a host name")
}

#[must_use]
pub fn storage(host: usize) -> HostName {
    format!("192.168.0.{}", host + 1).parse().expect("an address")
}

#[must_use]
pub fn device_id(host: usize) -> DeviceId {
    DeviceId::from_u128(0xd000 + host as u128)
}

/// The host's disk as a device.
#[must_use]
pub fn device(host: usize) -> Asked {
    let spec = DeviceSpec {
        device: device_id(host),
        installation: INSTALLATION,
        node: NodeId::from_u128(0xa000 + host as u128),
        path: sdb(),
        extent_size: EXTENT,
        destroy: false,
    };
    (host, Wanted::Device(spec))
}

#[must_use]
pub fn device_removal(host: usize) -> Vec<Asked> {
    let device = device_id(host);
    vec![(host, Wanted::DeviceCondemned { device }), (host, Wanted::DeviceGone { device, physical_volume: None })]
}

/// A replicated volume of 1 GiB with one brick on each of the hosts.
#[must_use]
pub fn volume_key() -> VolumeKey {
    VolumeKey { volume: VolumeId::from_u128(0xe0), name: volume_name() }
}

fn volume_name() -> VolumeName {
    "vol_e0".parse().expect("a volume name")
}

fn layout(hosts: usize) -> Layout {
    match hosts {
        1 => Layout::Distribute,
        _ => Layout::Replicate { replica: u32::try_from(hosts).expect("few hosts") },
    }
}

/// The host's brick of the volume, which has one on each of `hosts`.
#[must_use]
pub fn brick(host: usize, hosts: usize) -> Asked {
    (host, Wanted::Brick(brick_spec(host, hosts)))
}

#[must_use]
pub fn brick_spec(host: usize, hosts: usize) -> BrickSpec {
    let size = ByteSize::from_bytes(GIB);
    BrickSpec {
        device: device_id(host),
        tags: BrickTags {
            brick: brick_id(0, host),
            volume: volume_key().volume,
            volume_name: volume_name(),
            set: 0,
            position: u32::try_from(host).expect("few hosts"),
            role: BrickRole::Data,
            asked: size,
            generation: 1,
            operation: OperationId::from_u128(0xf0),
        },
        space: BrickSpace::thin(size, size, EXTENT).expect("sizes that fit into 64 bits"),
        gid: 2000,
        record: VolumeRecord {
            format: VolumeRecord::FORMAT,
            installation: INSTALLATION,
            cluster: ClusterId::from_u128(0xc0),
            volume: volume_key().volume,
            name: volume_name(),
            size,
            layout: layout(hosts),
            sets: 1,
            gid: 2000,
            options: Vec::new(),
            snapshot_factor_milli: 1000,
            snapshots: false,
            protected: false,
            trash: None,
        },
    }
}

/// The same as a thick brick.
#[must_use]
pub fn thick(spec: BrickSpec) -> BrickSpec {
    BrickSpec { space: BrickSpace::thick(spec.tags.asked, EXTENT), ..spec }
}

/// The brick as it is to be after its volume has grown to this many GiB.
#[must_use]
pub fn grown_spec(host: usize, hosts: usize, gib: u64) -> BrickSpec {
    let size = ByteSize::from_bytes(gib * GIB);
    let mut spec = brick_spec(host, hosts);
    spec.space = BrickSpace::thin(size, size, EXTENT).expect("sizes that fit into 64 bits");
    spec.tags = BrickTags { asked: size, generation: 2, operation: OperationId::from_u128(0xf1), ..spec.tags };
    spec.record.size = size;
    spec
}

#[must_use]
pub fn brick_key(host: usize) -> BrickKey {
    brick_spec(host, 1).key()
}

#[must_use]
pub fn brick_removal(host: usize) -> Vec<Asked> {
    let key = brick_key(host);
    vec![(host, Wanted::BrickCondemned(key)), (host, Wanted::BrickGone(key))]
}

#[must_use]
pub fn mount_point(rig: &Rig, host: usize) -> MountPoint {
    let (group, volume) = (VgName::of_device(device_id(host)), LvName::of_brick(brick_key(host).brick));
    MountPoint::of_brick(&rig.hosts[host].mount_root(), &group, &volume)
}

#[must_use]
pub fn brick_path(rig: &Rig, host: usize) -> BrickPath {
    mount_point(rig, host).brick_path()
}

/// Every host but the first joins the first one's pool.
#[must_use]
pub fn peers(hosts: usize) -> Vec<Asked> {
    (1..hosts).map(|host| (0, Wanted::Peer { host: storage(host) })).collect()
}

/// The volume itself, known to glusterd.
#[must_use]
pub fn volume(hosts: usize) -> Asked {
    (0, Wanted::Volume(volume_spec(hosts, 1, layout(hosts))))
}

/// The volume with this many rows of bricks, one brick of each row on each host.
#[must_use]
pub fn volume_spec(hosts: usize, rows: u32, layout: Layout) -> VolumeSpec {
    let bricks = (0..rows).flat_map(|row| (0..hosts).map(move |host| address(row, host))).collect();
    let id = volume_key().volume.to_string();
    let option = ("user.bricklayer.id".parse().expect("an option"), id.parse().expect("a value"));
    VolumeSpec { key: volume_key(), layout, bricks, options: BTreeMap::from([option]), start: false }
}

/// The host's brick in a further row of the volume; row 0 holds the ones of [`brick`].
#[must_use]
pub fn brick_in(row: u32, host: usize, hosts: usize) -> Asked {
    (host, Wanted::Brick(brick_spec_in(row, host, hosts)))
}

#[must_use]
pub fn brick_spec_in(row: u32, host: usize, hosts: usize) -> BrickSpec {
    let mut spec = brick_spec(host, hosts);
    spec.tags.brick = brick_id(row, host);
    spec.tags.set = row;
    spec
}

fn brick_id(row: u32, host: usize) -> BrickId {
    BrickId::from_u128(0xb000 + u128::from(row) * 0x100 + host as u128)
}

/// A clone of the volume.
#[must_use]
pub fn clone_key() -> VolumeKey {
    VolumeKey { volume: VolumeId::from_u128(0xe1), name: "vol_e1".parse().expect("a volume name") }
}

#[must_use]
pub fn clone() -> Asked {
    let spec = CloneSpec { source: volume_key(), clone: clone_key(), options: BTreeMap::new() };
    (0, Wanted::VolumeCloned(spec))
}

/// The host's brick of the clone, which glusterd has put at `path`.
#[must_use]
pub fn clone_brick_spec(host: usize, hosts: usize, path: BrickPath) -> CloneBrickSpec {
    let BrickSpec { device, tags, record, .. } = brick_spec(host, hosts);
    let VolumeKey { volume, name } = clone_key();
    let brick = clone_brick_key(host).brick;
    CloneBrickSpec {
        device,
        tags: BrickTags { brick, volume, volume_name: name.clone(), operation: OperationId::from_u128(0xf2), ..tags },
        path,
        record: VolumeRecord { volume, name, ..record },
    }
}

#[must_use]
pub fn clone_brick_key(host: usize) -> BrickKey {
    let brick = BrickId::from_u128(0xbc00 + host as u128);
    BrickKey { device: device_id(host), brick, volume: clone_key().volume }
}

#[must_use]
pub fn clone_brick_removal(host: usize) -> Vec<Asked> {
    let key = clone_brick_key(host);
    vec![(host, Wanted::BrickCondemned(key)), (host, Wanted::BrickGone(key))]
}

/// How GlusterFS is to know the host's brick in that row.
#[must_use]
pub fn address(row: u32, host: usize) -> BrickAddress {
    let root = Rig::new(1).hosts[0].mount_root();
    let at = MountPoint::of_brick(&root, &VgName::of_device(device_id(host)), &LvName::of_brick(brick_id(row, host)));
    BrickAddress { host: storage(host), path: at.brick_path() }
}

/// Every effect that a log shows, without repeats.
#[must_use]
pub fn effects_seen(rig: &Rig, host: usize) -> Vec<Call> {
    let mut seen = rig.hosts[host].faults().effect_log();
    seen.sort();
    seen.dedup();
    seen
}
