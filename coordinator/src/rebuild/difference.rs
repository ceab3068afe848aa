//! What does not fit together, in words that say what it means.

use std::fmt;

use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::keepsake::KeepsakeKind;
use bricklayer_proto::names::{BlockName, DevicePath, HostName, VolumeName};

use crate::model::Topology;

/// One thing that a person should know before the rebuilt state is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// No host keeps anything for us.
    NothingKeptAnywhere,
    HostMissing {
        name: String,
    },
    Distrusted {
        name: HostName,
        node: NodeId,
    },
    OldAgent {
        name: HostName,
    },
    NothingKept {
        name: HostName,
    },
    KeepsakeRefused {
        name: HostName,
        kind: KeepsakeKind,
        why: String,
    },
    RecordUnreadable {
        name: HostName,
        brick: BrickId,
        why: String,
    },
    GlusterSilent {
        hosts: Vec<String>,
    },
    ClusterAssumed {
        cluster: ClusterId,
    },
    NodeAssumed {
        name: HostName,
        node: NodeId,
    },
    DeviceAssumed {
        name: HostName,
        device: DeviceId,
        path: DevicePath,
    },
    DeviceMissing {
        name: String,
        device: DeviceId,
        path: DevicePath,
    },
    DeviceElsewhere {
        name: String,
        device: DeviceId,
        found: HostName,
    },
    DeviceCondemned {
        name: HostName,
        device: DeviceId,
    },
    VolumeAssumed {
        name: VolumeName,
        volume: VolumeId,
    },
    VolumeIncomplete {
        name: VolumeName,
        volume: VolumeId,
        why: String,
    },
    VolumeGone {
        name: VolumeName,
        volume: VolumeId,
    },
    VolumeNotInGluster {
        name: VolumeName,
        volume: VolumeId,
    },
    VolumeFollowsGluster {
        name: VolumeName,
        volume: VolumeId,
    },
    VolumeOtherBricks {
        name: VolumeName,
        volume: VolumeId,
        why: String,
    },
    BrickMissing {
        name: VolumeName,
        brick: BrickId,
        host: String,
    },
    BrickDiffers {
        name: VolumeName,
        brick: BrickId,
        what: String,
    },
    BrickOrphan {
        name: VolumeName,
        brick: BrickId,
        host: HostName,
        operation: OperationId,
        why: String,
    },
    GlusterVolume {
        name: VolumeName,
        id: Option<String>,
    },
    BlockVolumeGone {
        name: BlockName,
        block: BlockVolumeId,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingKeptAnywhere => f.write_str(
                "no host keeps anything for the coordinator: what the disks do not say is assumed. Zones are 1, states \
                 online, tags empty, and block volumes and devices that were lost are not known",
            ),
            Self::HostMissing { name } => write!(
                f,
                "{name} was not heard: what its disks hold is taken from what other hosts keep, and not compared"
            ),
            Self::Distrusted { name, node } => write!(
                f,
                "{name} (node {node}) was revoked, or enrolled anew with another key: nothing that this machine says is \
                 believed"
            ),
            Self::OldAgent { name } => write!(
                f,
                "the agent of {name} is of a version that keeps nothing and cannot say what lies beside its bricks: \
                 update it and rebuild again, or volumes that only it knows are left out"
            ),
            Self::NothingKept { name } => {
                write!(
                    f,
                    "{name} keeps nothing, or not all, for the coordinator: other hosts and its disks are believed"
                )
            }
            Self::KeepsakeRefused { name, kind, why } => {
                write!(f, "what {name} keeps of {kind} is not believed: {why}")
            }
            Self::RecordUnreadable { name, brick, why } => {
                write!(f, "the record beside brick {brick} on {name} cannot be read: {why}")
            }
            Self::GlusterSilent { hosts } => write!(
                f,
                "no glusterd answered on {}: volumes are not compared with what GlusterFS has",
                hosts.join(", ")
            ),
            Self::ClusterAssumed { cluster } => write!(
                f,
                "nobody says what cluster {cluster} takes: file and block volumes are allowed; `bricklayer cluster \
                 setflags` changes it"
            ),
            Self::NodeAssumed { name, node } => write!(
                f,
                "nobody keeps how node {name} ({node}) was set up: it is in zone 1, online, without tags. `bricklayer \
                 node edit` changes it"
            ),
            Self::DeviceAssumed { name, device, path } => write!(
                f,
                "device {device} ({path} on {name}) is on the disk and nobody keeps how it was set up: it is online, \
                 without tags. If it was just being added or removed, do that again"
            ),
            Self::DeviceMissing { name, device, path } => write!(
                f,
                "device {device} ({path}) is not on {name}, which holds it: its disk is broken or away. Its record \
                 stays, with the figures that are known; `bricklayer device lost` if it never comes back"
            ),
            Self::DeviceElsewhere { name, device, found } => write!(
                f,
                "device {device} belongs to {name} and is found on {found}: the disk was moved. Its record stays; put \
                 the disk back"
            ),
            Self::DeviceCondemned { name, device } => write!(
                f,
                "device {device} on {name} was being removed: it is left out. Its group stays as it is on the disk"
            ),
            Self::VolumeAssumed { name, volume } => write!(
                f,
                "volume {name} ({volume}) is made of what its bricks say, as nobody keeps more of it: durability is \
                 what its layout says"
            ),
            Self::VolumeIncomplete { name, volume, why } => write!(
                f,
                "volume {name} ({volume}) is left out: {why}. Rebuild again when the hosts with the rest of it are there"
            ),
            Self::VolumeGone { name, volume } => write!(
                f,
                "volume {name} ({volume}) is kept and neither on the disks nor in GlusterFS: it was being deleted. It \
                 is left out"
            ),
            Self::VolumeNotInGluster { name, volume } => write!(
                f,
                "volume {name} ({volume}) has its bricks and is not known to GlusterFS: its record stays. If it was \
                 being deleted, delete it again"
            ),
            Self::VolumeFollowsGluster { name, volume } => write!(
                f,
                "the bricks of volume {name} ({volume}) are others in GlusterFS than were kept, as a change was under \
                 way: GlusterFS is believed"
            ),
            Self::VolumeOtherBricks { name, volume, why } => write!(
                f,
                "the bricks of volume {name} ({volume}) are others in GlusterFS than were kept: {why}. What was kept is \
                 believed; do not change the volume before that is cleared up"
            ),
            Self::BrickMissing { name, brick, host } => write!(
                f,
                "brick {brick} of volume {name} is not on {host}, which holds it: its record stays. `bricklayer brick \
                 replace` makes another one"
            ),
            Self::BrickDiffers { name, brick, what } => {
                write!(f, "brick {brick} of volume {name}: {what}. The disk is believed")
            }
            Self::BrickOrphan { name, brick, host, operation, why } => write!(
                f,
                "brick {brick} on {host}, made for volume {name} by operation {operation}, is in no volume: {why}. It \
                 stays on the disk, and its space counts as foreign"
            ),
            Self::GlusterVolume { name, id: Some(id) } => write!(
                f,
                "GlusterFS has a volume {name} that says it is {id} of ours, and no brick and no host tells of it: it \
                 is left out and stays as it is"
            ),
            Self::GlusterVolume { name, id: None } => {
                write!(f, "GlusterFS has a volume {name} that is not ours: it stays as it is")
            }
            Self::BlockVolumeGone { name, block } => {
                write!(f, "block volume {name} ({block}) is left out, as its hosting volume is")
            }
        }
    }
}

/// How two states differ, a line each: of a store that is there, and what was rebuilt.
#[must_use]
pub fn compare(before: &Topology, after: &Topology) -> Vec<String> {
    let mut lines = Vec::new();
    macro_rules! compare {
        ($what:literal, $map:ident, $same:expr, $name:expr) => {
            for (id, old) in &before.$map {
                match after.$map.get(id) {
                    None => lines.push(format!("{} {} ({id}) is in the store and was not found", $what, $name(old))),
                    Some(new) if !$same(old, new) => {
                        lines.push(format!("{} {} ({id}) is another one in the store", $what, $name(old)));
                    }
                    Some(_) => {}
                }
            }
            for (id, new) in &after.$map {
                if !before.$map.contains_key(id) {
                    lines.push(format!("{} {} ({id}) is not in the store", $what, $name(new)));
                }
            }
        };
    }
    use std::sync::Arc;

    use crate::model::{BlockVolume, Cluster, Device, Node, Volume};
    compare!("cluster", clusters, |a: &Arc<Cluster>, b: &Arc<Cluster>| a == b, |_: &Arc<Cluster>| String::new());
    compare!("node", nodes, |a: &Arc<Node>, b: &Arc<Node>| a == b, |node: &Arc<Node>| node.name().to_owned());
    let same_device = |a: &Arc<Device>, b: &Arc<Device>| Device { space: b.space, ..Device::clone(a) } == **b;
    compare!("device", devices, same_device, |device: &Arc<Device>| device.name.to_string());
    compare!("volume", volumes, |a: &Arc<Volume>, b: &Arc<Volume>| a == b, |volume: &Arc<Volume>| volume
        .name
        .to_string());
    compare!("block volume", block_volumes, |a: &Arc<BlockVolume>, b: &Arc<BlockVolume>| a == b, |block: &Arc<
        BlockVolume,
    >| block
        .name
        .to_string());
    if before.policies != after.policies {
        lines.push("the policy of where bricks go is another one in the store".to_owned());
    }
    for operation in before.unfinished.values() {
        lines.push(format!(
            "operation {} ({}) is under way in the store and will not go on",
            operation.id,
            operation.plan.kind()
        ));
    }
    lines
}
