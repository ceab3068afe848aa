//! Why an operation did not begin. Nothing was changed.

use std::collections::BTreeSet;

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::Obstacle;
use bricklayer_proto::names::{DevicePath, HostName, LvName, NotAName, VolumeName};
use bricklayer_proto::size::ByteSize;
use bricklayer_store::StoreError;

use super::block_hosts::NotServed;
use super::volume_options::BadOption;
use crate::placement::{NoReplacement, OverCommit, Refusal};

/// A refusal before anything was done. The texts are heketi's where heketi has one (`docs/heketi-compat.md`).
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    #[error("Id not found")]
    NotFound,
    #[error("Cluster id does not exist")]
    NoSuchCluster(ClusterId),
    #[error("Node id does not exist")]
    NoSuchNode(NodeId),
    #[error("Unable to delete cluster [{0}] because it contains volumes and/or nodes")]
    ClusterNotEmpty(ClusterId),
    #[error("Unable to delete node [{0}] because it contains devices")]
    NodeNotEmpty(NodeId),
    #[error("Unable to delete device [{0}] because it contains bricks")]
    DeviceNotEmpty(DeviceId),
    #[error("device: {0} is not in failed state")]
    DeviceNotFailed(DeviceId),
    #[error("Hostname {host} already used by node with id {node}")]
    HostNameUsed { host: HostName, node: NodeId },
    #[error(
        "No agent has enrolled as {name}\nRun `bricklayer agent invite {name}`, and the line that it prints on that host: \
         bricklayer-agent enroll TOKEN"
    )]
    NoAgent { name: HostName },
    #[error("The agent of {name} is not attached\nStart it on that host: systemctl start bricklayer-agent")]
    AgentAway { name: String },
    #[error("New Node doesn't have glusterd running\n{name}: start it on that host: systemctl start glusterd")]
    NewNodeWithoutGluster { name: String },
    #[error("None of the nodes in cluster has glusterd running")]
    ClusterWithoutGluster,
    #[error("Device {name} on {node} already in use (ID: {device})")]
    DeviceKnown { name: DevicePath, node: String, device: DeviceId },
    #[error("{name} is not a disk of {node}\nIts agent sees: {seen}")]
    NoSuchDisk { name: DevicePath, node: String, seen: String },
    #[error("{name} on {node} cannot be wiped: {obstacle}")]
    NotWipeable { name: DevicePath, node: String, obstacle: Obstacle },
    /// As its agent would refuse it.
    #[error("{name} on {node} cannot be wiped: {why}\n{cure}")]
    StillNeeded { name: DevicePath, node: String, why: String, cure: String },
    #[error("{given:?} does not name the disk {name} on {node}; confirm with one of: {accepted}")]
    WrongConfirmation { given: String, name: DevicePath, node: String, accepted: String },
    #[error(
        "{name} on {node} has neither a serial nor a WWN nor an LVM UUID, so it cannot be named safely; wipe it by hand"
    )]
    NothingToConfirm { name: DevicePath, node: String },
    #[error("No clusters configured")]
    NoClusters,
    #[error("Cluster id {0} not found")]
    ClusterUnknown(ClusterId),
    #[error("{}", several(.0, "No eligible cluster for volume"))]
    NoEligibleCluster(Vec<(ClusterId, ClusterRefusal)>),
    #[error("{}", several(.0, "Unable to create volume on any cluster:"))]
    NoPlacement(Vec<(ClusterId, Box<Refusal>)>),
    #[error(
        "of the policy of volume {name} only `pools_at_most` can be changed: by the rest its bricks were placed\nSay the rest of its \
         cluster, or make another volume"
    )]
    PolicyOfVolume { name: VolumeName },
    #[error("volume {name} is protected against deletion\nTo take that back: `bricklayer volume unprotect {name}`")]
    Protected { name: VolumeName },
    #[error(
        "volume {name} is in the trash\nTake it out, `bricklayer volume undelete {name}`, or end it, `bricklayer trash empty \
         {name}`"
    )]
    InTrash { name: VolumeName },
    #[error("volume {name} is not in the trash\nSee `bricklayer trash list`")]
    NotInTrash { name: VolumeName },
    #[error(
        "there is nothing to keep of volume {name}: it holds block volumes, and has none any more\nDelete it without --keep"
    )]
    NothingToKeep { name: VolumeName },
    #[error("Cannot delete volume containing the Heketi database")]
    DatabaseVolume,
    /// heketi's text for everything that another operation holds.
    #[error("The target exists, contains other items, or is in use.")]
    Busy,
    #[error("{kind} must be offline before remove operation is performed, {}:{id}", kind.to_lowercase())]
    NotOffline { kind: &'static str, id: String },
    #[error("Cannot move a failed/removed {kind} to {state} state")]
    FailedForGood { kind: &'static str, state: &'static str },
    /// Nothing can take the place of a brick.
    #[error(transparent)]
    NoReplacement(Box<NoReplacement>),
    #[error("Unable to delete device [{device}] as no device was found to replace it: {why}")]
    CannotEmpty { device: DeviceId, why: Box<NoReplacement> },
    #[error("Unable to remove node [{node}] as no device was found to replace device [{device}]\n{why}")]
    CannotEmptyNode { node: NodeId, device: DeviceId, why: Box<NoReplacement> },
    #[error("Can not evict brick {0}: brick is pending")]
    BrickPending(BrickId),
    #[error("Can not evict brick {brick} from volume {volume}: volume has pending bricks")]
    VolumeHasPendingBricks { brick: BrickId, volume: VolumeId },
    #[error(
        "there is no plan {0}\nPlans are kept for 15 minutes, in memory, and a restart forgets them. Make it anew."
    )]
    NoSuchPlan(OperationId),
    #[error("the plan is out of date, and nothing was changed: {}\nMake it anew.", moved.join("; "))]
    PlanIsStale { moved: Vec<String> },
    #[error(
        "this request cannot be planned and kept, and was not carried out\nPlans are for creating and expanding volumes, for \
         moving bricks, for removing devices and nodes, and for wipes. Of all else `--dry-run` shows what it would do."
    )]
    CannotBeKept,
    #[error(
        "it cannot be given back: {0}\nWhat Bricklayer made can be deleted, or moved away first; see docs/operations/move-from-heketi.md"
    )]
    CannotGiveBack(String),
    #[error("no node is in zone {zone}\nThere are nodes in: {}", zones.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoSuchZone { zone: u32, zones: BTreeSet<u32> },
    #[error("Device id {0} not found")]
    NoSuchDevice(DeviceId),
    #[error("device {0} belongs to another cluster than the brick; a brick moves within its cluster")]
    DeviceOfOtherCluster(DeviceId),
    #[error("Cloning of block hosting volumes is not supported")]
    CloneOfBlockVolume,
    #[error(
        "volume {name} cannot be cloned: {thick} of its {bricks} bricks are thick, and GlusterFS takes snapshots, of which clones \
         are made, of thin volumes alone\nCopy its data into a volume that is made thin"
    )]
    CloneOfThickVolume { name: VolumeName, thick: usize, bricks: usize },
    #[error(
        "a thick volume has no room for snapshots: its bricks are linear volumes\nAsk for it without snapshots, or thin: with the \
         volume option `user.bricklayer.provisioning thin`"
    )]
    ThickSnapshots,
    #[error(
        "{whose} would be thick and over-committed {ratio} times, and a thick brick has all that it may hold\nSay `over_commit` 1 \
         there as well, or `provisioning` thin"
    )]
    ThickOverCommitted { whose: String, ratio: OverCommit },
    #[error(
        "no snapshot is made in pool {pool} of {device} on {node}: its metadata is {percent:.0} % full, and from {most:.0} % on none is\nIt \
         is doubled by itself where there is room; `bricklayer pool list` says why it is not"
    )]
    PoolMetadataFills { pool: LvName, device: DevicePath, node: String, percent: f64, most: f64 },
    #[error("{}", several(.0, "Unable to serve a block volume on any cluster:"))]
    BlockNotServed(Vec<(ClusterId, NotServed)>),
    #[error(
        "the block volume has {}, and a block hosting volume of {} takes {most} GiB at most, as 2 per cent of it are kept",
        size,
        hosting
    )]
    BlockTooLarge { size: ByteSize, most: u64, hosting: ByteSize },
    /// Another create is making a volume that this one could use.
    #[error("Server busy. Retry operation later.")]
    HostingVolumeComing,
    #[error("Block Hosting Volume Creation is disabled. Create a Block hosting volume and try again.")]
    NoHostingVolume,
    #[error("No space\nblock hosting volume {volume} has {free} GiB free, {more} GiB more are needed")]
    HostingVolumeFull { volume: VolumeName, more: u64, free: u64 },
    #[error(
        "Requested new-size {} is same as current block volume size {}, nothing to be done.",
        size.whole_gib(),
        size.whole_gib()
    )]
    BlockHasThatSize { size: ByteSize },
    #[error(
        "Requested new-size {} is less than current block volume size {}, shrinking is not allowed.",
        to.whole_gib(),
        size.whole_gib()
    )]
    BlockShrinks { to: ByteSize, size: ByteSize },
    #[error("Cannot delete a block hosting volume containing block volumes")]
    HoldsBlockVolumes,
    #[error("Block restrictions can only be set on block hosting volumes")]
    NoHostingForBlocks,
    #[error("Can not unlock volume. {needed}GiB free space is required, but found {found}GiB")]
    NoReserve { needed: u64, found: u64 },
    #[error("the volume would be larger than any number of bytes that fits into 64 bits")]
    TooLarge,
    #[error(
        "node {name} cannot be declared lost: its agent is attached\nTo empty a node that is there: `bricklayer node \
         disable` and then `bricklayer node remove`"
    )]
    NodeIsThere { name: String },
    #[error(
        "{name} on {node} cannot be declared lost: its volume group is there and whole\nTo empty a device that is there: \
         `bricklayer device disable` and then `bricklayer device remove`"
    )]
    DeviceIsThere { name: DevicePath, node: String },
    #[error(
        "{name} on {node} cannot be declared lost: the host is away, or has not told of it yet, so nobody knows how its disk is\nBring the host up, or \
         declare it lost itself: `bricklayer node lost {node}`"
    )]
    DeviceUnseen { name: DevicePath, node: String },
    #[error("{given:?} is not the id of the device\nRepeat its id, {id}, to confirm")]
    WrongDeviceId { given: String, id: DeviceId },
    #[error("{given:?} is not the name of the node\nRepeat its name, {name}, to confirm")]
    WrongNodeName { given: String, name: String },
    #[error(
        "node {name} holds bricks, which GlusterFS knows by {host}; another storage host name is refused\nLet {host} lead to \
         the new address instead (in /etc/hosts or the DNS of all hosts and clients), or move its bricks away first"
    )]
    StorageHostInUse { name: String, host: HostName },
    #[error("too many tags specified ({count}), up to {most} supported")]
    TooManyTags { count: usize, most: usize },
    /// What was to be looked at could not be seen.
    #[error("{0}")]
    NotSeen(String),
    #[error(transparent)]
    Option(#[from] BadOption),
    #[error(transparent)]
    Name(#[from] NotAName),
    #[error("user.heketi.arbiter needs durability replicate with replica 3: two data bricks and the arbiter")]
    ArbiterNeedsReplica3,
    #[error("the state could not be written")]
    Store(#[from] StoreError),
}

/// Why a volume may not be in a cluster at all, before any space is counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterRefusal {
    #[error("Cluster does not support requested volume type")]
    OtherKind,
    #[error("Cluster has disabled all volume types")]
    NoKind,
    #[error("Volume name '{0}' already in use")]
    NameTaken(VolumeName),
    #[error(
        "Volume name '{0}' already in use\nBy a volume in the trash: `bricklayer volume undelete {0}` takes it out, \
         `bricklayer trash empty {0}` ends it"
    )]
    NameInTrash(VolumeName),
    #[error("Cluster has {count} volumes and limit is {limit}")]
    TooManyVolumes { count: usize, limit: usize },
}

/// heketi gives the bare cause for one cluster, and a line each for several.
fn several<T: std::fmt::Display>(causes: &[(ClusterId, T)], title: &str) -> String {
    match causes {
        [(_, cause)] => cause.to_string(),
        many => {
            let lines = many.iter().map(|(cluster, cause)| format!("{cluster}: {cause}"));
            std::iter::once(title.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
        }
    }
}
