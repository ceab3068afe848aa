//! What a coordinator asks of an agent: states to bring about, never commands to run.
//!
//! A task names the wished state with ids that the coordinator made. It may arrive twice, or again after a crash of
//! either side: the agent answers from its journal, or goes on where it stopped. An outcome says what changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::adopt::{BrickAdoption, GroupAdoption, HostSurvey, VolumeAdoption};
use crate::block::{BlockKey, BlockReport, BlockResize, BlockSpec};
use crate::ids::{BrickId, ClusterId, DeviceId, InstallationId, NodeId, OperationId, TaskId, VolumeId};
use crate::inventory::{BrickTags, Disk, GroupSpace, Obstacle};
use crate::names::{BrickPath, DevicePath, HostName, OptionKey, OptionValue, PvUuid, VolumeName};
use crate::size::{ByteSize, ExtentSize};
use crate::space::BrickSpace;

/// One thing to bring about on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    /// The durable operation that it serves: in every log line and in the tags of what it makes.
    pub operation: OperationId,
    /// Raised by each start of a coordinator. Agents refuse a lower one than they have seen.
    pub epoch: u64,
    pub wanted: Wanted,
}

/// The wished state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Wanted {
    /// The disk is a physical volume with a volume group of ours on it.
    Device(DeviceSpec),
    /// The device's volume group carries the mark without which nothing of it may be destroyed.
    DeviceCondemned {
        device: DeviceId,
    },
    /// The condemned, empty volume group and its physical volume are gone. `physical_volume`: as the coordinator's record
    /// has it. While that is on a disk and in no group, the device is not gone; it goes only if the host itself wrote down,
    /// before the group went, that it was this device's.
    DeviceGone {
        device: DeviceId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        physical_volume: Option<PvUuid>,
    },
    /// Nothing holds the disk and nothing is on it. `confirm` is what a person repeated: serial, WWN or PV UUID.
    DiskWiped {
        path: DevicePath,
        confirm: String,
    },
    /// The brick exists: thin pool and thin volume, or a linear volume, as its space says; XFS, fstab line, mount, record,
    /// brick directory.
    Brick(BrickSpec),
    /// What GlusterFS has written into the brick's file system is on the disk. It does not see to that itself when it
    /// makes a volume: a power cut soon after would take the brick's marks away, and the brick would not start again.
    BrickSynced(BrickKey),
    /// The group has the free extents that [`Wanted::BrickGrown`] of the same spec would take, and the brick is there
    /// and mounted. Changes nothing.
    BrickCanGrow(BrickSpec),
    /// The brick has at least the space of the spec: pool and pool metadata where it has any, volume and file system, and
    /// its tags and record say so. Nothing is ever made smaller.
    BrickGrown(BrickSpec),
    /// The brick that is there is mounted and has its line of fstab, as after a boot. Makes no volume and no file system.
    BrickUp(BrickKey),
    /// A brick that GlusterFS itself made when it cloned a volume is one of ours: its thin volume carries our tags, its
    /// file system our record.
    CloneBrick(CloneBrickSpec),
    /// The brick's volumes carry the mark without which they may not be destroyed.
    BrickCondemned(BrickKey),
    /// The condemned brick and all that belonged to it are gone. A pool goes with the last thin volume in it.
    BrickGone(BrickKey),
    /// The host is in the same trusted storage pool as this one. Asked of a host that is in the pool.
    Peer {
        host: HostName,
    },
    PeerGone {
        host: HostName,
        /// A person declared the host lost: it leaves the pool though it cannot be reached. GlusterFS still refuses
        /// while a brick of it is in a volume.
        #[serde(default)]
        lost: bool,
    },
    /// The volume is known to glusterd and has its options; not yet started.
    Volume(VolumeSpec),
    VolumeStarted(VolumeKey),
    /// Every brick of the running volume whose file system is there has a process, as far as its host is.
    BricksStarted(VolumeKey),
    /// GlusterFS's daemons look now for what is to be healed in the running volume. By themselves they look when a brick
    /// comes, which they may miss, and every ten minutes.
    HealStarted(VolumeKey),
    VolumeStopped(VolumeKey),
    /// The stopped volume is not known to glusterd any more.
    VolumeGone(VolumeDeletion),
    /// The volume has all bricks of the spec: those that it lacks, which are the last ones, are added.
    VolumeExtended(VolumeSpec),
    /// The second volume is a clone of the first as it is now, with our id and options. It runs, as GlusterFS sets no
    /// option on a clone that never ran. No snapshot is left over, but after a failure for as long as the clone is there
    /// half made: a repeat goes on with it, and [`Wanted::VolumeGone`] takes both away. Reports [`Report::Volume`].
    VolumeCloned(CloneSpec),
    /// The brick has taken the place of another one in its set. Not for layouts without copies.
    BrickReplaced(BrickSwap),
    /// The option has this value on the volume; without one, what GlusterFS does by default.
    VolumeOptionSet(VolumeOption),
    /// Data is being moved from the volume's old bricks to its new ones.
    RebalanceStarted(VolumeKey),
    /// Data is being moved off the brick of a volume without copies, or was moved already.
    DrainStarted(BrickDrain),
    /// Nothing is being moved off the brick; it stays in the volume.
    DrainStopped(BrickDrain),
    /// The drained brick is not in the volume any more. Refused while files are left on it.
    DrainCommitted(BrickDrain),
    /// The block volume exists, with the size and on the hosts of the spec. Reports [`Report::Block`], as does the next.
    BlockCreated(BlockSpec),
    /// The block volume has at least this size. Hosts that the change did not reach are in the report.
    BlockResized(BlockResize),
    /// The block volume is not there any more, its file neither.
    BlockGone(BlockKey),
    /// The volume group, which others made, carries our tags.
    GroupAdopted(GroupAdoption),
    /// The volume group carries no tag of ours. Refused while a volume in it does.
    GroupReleased(GroupAdoption),
    /// The brick, which others made, carries our tags and our record, and its line in fstab is one of ours. It stays where
    /// it is and is served meanwhile. Reports [`Report::Brick`].
    BrickAdopted(BrickAdoption),
    /// The brick carries nothing of ours any more, and fstab reads as it did before.
    BrickReleased(BrickAdoption),
    /// The volume says that it is ours.
    VolumeAdopted(VolumeAdoption),
    /// The volume does not say that it is ours.
    VolumeReleased(VolumeAdoption),
    /// What LVM says of the device's group: [`Report::Group`]. A look, as all that follow.
    DeviceSeen {
        device: DeviceId,
    },
    /// What glusterd says of the volume: [`Report::Volume`].
    VolumeSeen(VolumeKey),
    /// What is left to heal: [`Report::Heal`].
    HealSeen(VolumeKey),
    /// How far the movement of data is: [`Report::Rebalance`].
    RebalanceSeen(VolumeKey),
    /// The same for a brick that is being drained.
    DrainSeen(BrickDrain),
    /// What `gluster-block` says of the block volume: [`Report::Block`].
    BlockSeen(BlockKey),
    /// What there is that others made: [`Report::Survey`]. `gluster`: and the volumes that glusterd has.
    HostSurveyed {
        gluster: bool,
    },
}

impl Wanted {
    /// Whether it only looks, or only makes durable what is there: then it is carried out anew each time and nothing of
    /// it is kept.
    #[must_use]
    pub fn leaves_no_trace(&self) -> bool {
        matches!(
            self,
            Self::BrickCanGrow(_)
                | Self::BrickSynced(_)
                | Self::DeviceSeen { .. }
                | Self::VolumeSeen(_)
                | Self::HealSeen(_)
                | Self::RebalanceSeen(_)
                | Self::DrainSeen(_)
                | Self::BlockSeen(_)
                | Self::HostSurveyed { .. }
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    pub device: DeviceId,
    pub installation: InstallationId,
    pub node: NodeId,
    pub path: DevicePath,
    pub extent_size: ExtentSize,
    /// heketi's `destroydata`: signatures on the disk are wiped first. Mounts and holders still refuse it, and so does
    /// a physical volume that carries an installation's tags.
    pub destroy: bool,
}

/// Names a brick well enough to destroy it: all of it must match the tags on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickKey {
    pub device: DeviceId,
    pub brick: BrickId,
    pub volume: VolumeId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrickSpec {
    pub device: DeviceId,
    pub tags: BrickTags,
    pub space: BrickSpace,
    /// Group that owns the brick directory; 0 leaves it to root.
    pub gid: u32,
    /// Written beside the brick directory, so that the volume can be told from any of its bricks.
    pub record: VolumeRecord,
}

impl BrickSpec {
    #[must_use]
    pub fn key(&self) -> BrickKey {
        BrickKey { device: self.device, brick: self.tags.brick, volume: self.tags.volume }
    }
}

/// A brick of a clone. It shares the pool of the brick it was cloned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloneBrickSpec {
    pub device: DeviceId,
    pub tags: BrickTags,
    /// Where GlusterFS has put it.
    pub path: BrickPath,
    pub record: VolumeRecord,
}

impl CloneBrickSpec {
    #[must_use]
    pub fn key(&self) -> BrickKey {
        BrickKey { device: self.device, brick: self.tags.brick, volume: self.tags.volume }
    }
}

/// What the tags of one brick cannot hold: the volume's own settings, on every brick's file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeRecord {
    pub format: u32,
    pub installation: InstallationId,
    pub cluster: ClusterId,
    pub volume: VolumeId,
    pub name: VolumeName,
    /// What the volume was asked to hold.
    pub size: ByteSize,
    pub layout: Layout,
    pub sets: u32,
    pub gid: u32,
    /// As given, in the order given.
    pub options: Vec<String>,
    /// Room for snapshots: the pool has this many times the brick's size. Thousandths; 1000 is none.
    pub snapshot_factor_milli: u32,
    pub snapshots: bool,
    /// A person protected it against deletion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// A person deleted it, and its bricks are kept until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<TrashRecord>,
}

/// How long the bricks of a deleted volume are kept, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashRecord {
    pub since_ms: i64,
    pub until_ms: i64,
}

impl VolumeRecord {
    pub const FORMAT: u32 = 1;
}

/// How the bricks of one set share the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Layout {
    Distribute,
    Replicate {
        replica: u32,
    },
    /// Two copies of the data and a third brick with metadata only.
    Arbiter,
    Disperse {
        data: u32,
        redundancy: u32,
    },
}

impl Layout {
    #[must_use]
    pub fn bricks_per_set(self) -> u32 {
        match self {
            Self::Distribute => 1,
            Self::Replicate { replica } => replica,
            Self::Arbiter => 3,
            Self::Disperse { data, redundancy } => data + redundancy,
        }
    }
}

/// The volume option in which a volume of ours carries its id, so that glusterd itself tells whose it is. A volume of
/// the same name with another id is never touched.
pub const VOLUME_ID_OPTION: &str = "user.bricklayer.id";

/// What it says of a volume that was given back: GlusterFS sets options of users, and takes none of them back.
pub const NO_VOLUME_ID: &str = "none";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeKey {
    pub volume: VolumeId,
    pub name: VolumeName,
}

/// Which volume is to be forgotten. GlusterFS forgets none while a member of its pool is away, and no member while it is in a
/// volume; so hosts that never come back are taken out of both first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeDeletion {
    #[serde(flatten)]
    pub key: VolumeKey,
    /// Hosts that a person declared lost, by the names that bricks have. One that glusterd sees counts as there all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<HostName>,
    /// The asked host itself, by the name that its bricks have; given where there are lost ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<HostName>,
}

impl From<VolumeKey> for VolumeDeletion {
    fn from(key: VolumeKey) -> Self {
        Self { key, lost: Vec::new(), here: None }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeSpec {
    pub key: VolumeKey,
    pub layout: Layout,
    /// Set by set, in GlusterFS's order within each.
    pub bricks: Vec<BrickAddress>,
    /// Our own `user.*` ids among them.
    pub options: BTreeMap<OptionKey, OptionValue>,
    /// It is to run, too: the answer is [`Report::VolumeRuns`] then. An agent that is older than this only creates it, and
    /// answers [`Report::Nothing`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub start: bool,
}

/// `host:/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BrickAddress {
    pub host: HostName,
    pub path: BrickPath,
}

impl fmt::Display for BrickAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.path)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneSpec {
    pub source: VolumeKey,
    pub clone: VolumeKey,
    /// Set on the clone; what it inherits from its source stays otherwise.
    pub options: BTreeMap<OptionKey, OptionValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeOption {
    pub volume: VolumeKey,
    pub option: OptionKey,
    pub value: Option<OptionValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickSwap {
    pub volume: VolumeKey,
    pub old: BrickAddress,
    pub new: BrickAddress,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickDrain {
    pub volume: VolumeKey,
    pub brick: BrickAddress,
}

/// The answer to one task, kept by the agent until the coordinator acknowledges it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub task: TaskId,
    pub result: Result<Done, Failure>,
}

/// The wished state is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// False where it was there before.
    pub changed: bool,
    pub report: Report,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Report {
    Nothing,
    Device(DeviceReport),
    Brick(BrickReport),
    /// The group after something went from it.
    Group {
        space: GroupSpace,
    },
    /// `None` where glusterd has no such volume.
    Volume {
        seen: Option<VolumeReport>,
    },
    /// It was created and started.
    VolumeRuns,
    Heal(HealReport),
    Rebalance(RebalanceReport),
    /// `None` where the hosting volume holds no such block volume.
    Block {
        seen: Option<BlockReport>,
    },
    Survey(HostSurvey),
}

/// A volume as glusterd has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReport {
    pub started: bool,
    /// Those that are set on it; `None` from an agent that is older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
    /// In glusterd's order.
    pub bricks: Vec<BrickSeenInVolume>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickSeenInVolume {
    pub address: BrickAddress,
    /// Whether its process serves; `None` where the volume does not run or nobody can say.
    pub online: Option<bool>,
}

/// What `gluster volume heal NAME info` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealReport {
    pub bricks: Vec<BrickHeal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickHeal {
    pub address: BrickAddress,
    /// The brick answers.
    pub online: bool,
    /// Entries that it holds and others lack; `None` where it does not say.
    pub pending: Option<u64>,
}

/// How far a movement of data is, over all hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebalanceReport {
    pub state: RebalanceState,
    pub nodes: Vec<RebalanceNode>,
}

impl RebalanceReport {
    /// Files that were to be moved and were not. GlusterFS calls a movement completed though it skipped some, for want of
    /// space or as somebody held them.
    #[must_use]
    pub fn left_behind(&self) -> u64 {
        self.nodes.iter().map(|node| node.failures.saturating_add(node.skipped)).fold(0, u64::saturating_add)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebalanceState {
    NotStarted,
    Running,
    Completed,
    Failed,
    Stopped,
}

impl RebalanceState {
    /// Of a movement, from what its hosts say: it runs while one of them does, and is completed when all are. `None`
    /// where no host says anything.
    #[must_use]
    pub fn of_all(hosts: &[Self]) -> Option<Self> {
        let order = [Self::Running, Self::Failed, Self::Stopped, Self::NotStarted, Self::Completed];
        order.into_iter().find(|state| hosts.contains(state))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebalanceNode {
    /// As glusterd names it.
    pub host: String,
    pub state: RebalanceState,
    pub files: u64,
    pub moved: ByteSize,
    pub scanned: u64,
    pub failures: u64,
    pub skipped: u64,
    pub seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceReport {
    pub pv_uuid: PvUuid,
    pub disk: Disk,
    pub space: GroupSpace,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrickReport {
    pub path: BrickPath,
    /// The thin or linear volume as it came out.
    pub size: ByteSize,
    pub space: GroupSpace,
}

/// The wished state is not there. `message` is one sentence for people; `cure` says what they can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    pub cure: Option<String>,
    /// For refused disks: what stands in the way, one by one.
    pub obstacles: Vec<Obstacle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A precondition does not hold; nothing was changed.
    Refused,
    /// The volume group has not enough free extents; nothing was changed.
    NoSpace,
    /// A tool failed. What was half made stays until the task is repeated or undone.
    Failed,
    /// A tool did not answer in time: it may still succeed. The task is to be asked again, never undone blindly.
    Unknown,
    /// The task came from a coordinator that has been replaced.
    Stale,
    /// The host lacks what the task needs, such as a running glusterd.
    Unavailable,
    /// glusterd refuses this change while a member of its pool is away; nothing was changed.
    PeersDown,
}

/// How far a running task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub task: TaskId,
    /// What is being done now, for people: `mkfs.xfs`.
    pub doing: String,
}
