//! What is in glusterd's answers.
//!
//! A part that is missing, or does not read as what it should be, is an error: nothing is made up for it.

use bricklayer_proto::inventory::PeerSeen;
use bricklayer_proto::names::VolumeName;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{
    BrickAddress, BrickHeal, HealReport, Layout, RebalanceNode, RebalanceReport, RebalanceState,
};
use serde::Deserialize;

use crate::host::{BrickStatus, GlusterSnapshot, GlusterVolume, HostError};

/// What glusterd answered.
#[derive(Debug)]
pub struct Answer {
    output: Box<CliOutput>,
}

impl Answer {
    pub(super) fn new(output: CliOutput) -> Self {
        Self { output: Box::new(output) }
    }

    /// This host's own id in the pool, and the others.
    pub fn pool(self) -> Result<(String, Vec<PeerSeen>), HostError> {
        let status = self.output.peer_status.ok_or_else(|| unreadable("a list of the pool without one"))?;
        let (own, others): (Vec<_>, Vec<_>) =
            status.peer.into_iter().partition(|peer| peer.hostname.as_deref() == Some("localhost"));
        let own = own.into_iter().next().ok_or_else(|| unreadable("a list of the pool without this host"))?;
        let seen = |peer: Peer| PeerSeen {
            uuid: peer.uuid,
            host: peer.hostname.unwrap_or_default(),
            connected: peer.connected == 1,
        };
        Ok((own.uuid, others.into_iter().map(seen).collect()))
    }

    pub fn volume(self) -> Result<GlusterVolume, HostError> {
        let volumes = self.volumes_whole()?;
        let [volume] = <[GlusterVolume; 1]>::try_from(volumes)
            .map_err(|volumes| unreadable(&format!("{} volumes where one was asked for", volumes.len())))?;
        Ok(volume)
    }

    pub fn volumes_whole(self) -> Result<Vec<GlusterVolume>, HostError> {
        let volumes = self.output.vol_info.map(|info| info.volumes.volume).unwrap_or_default();
        volumes.into_iter().map(whole).collect()
    }

    /// The bricks' processes; those of hosts that are not connected are not listed.
    pub fn volume_status(self) -> Result<Vec<BrickStatus>, HostError> {
        let status = self.output.vol_status.ok_or_else(|| unreadable("a volume's status without one"))?;
        let nodes = status.volumes.volume.into_iter().flat_map(|volume| volume.node);
        // Self-heal daemons and the like are nodes too; a brick has an absolute path.
        let bricks = nodes.filter(|node| node.path.starts_with('/'));
        bricks
            .map(|node| {
                let brick = address(&format!("{}:{}", node.hostname, node.path))?;
                Ok(BrickStatus { brick, online: node.status == 1 })
            })
            .collect()
    }

    pub fn heal(self) -> Result<HealReport, HostError> {
        let info = self.output.heal_info.ok_or_else(|| unreadable("what is to be healed without it"))?;
        let bricks = info.bricks.brick.into_iter().map(|brick| {
            let entries = brick.total_number_of_entries.or(brick.number_of_entries);
            // A dash, or nothing, of a brick that could not be asked.
            let pending = entries.and_then(|entries| entries.trim().parse().ok());
            let online = brick.status.trim() == "Connected";
            Ok(BrickHeal { address: address(&brick.name)?, online, pending: pending.filter(|_| online) })
        });
        Ok(HealReport { bricks: bricks.collect::<Result<_, HostError>>()? })
    }

    /// How far a rebalance or the draining of a brick is.
    pub fn movement(self) -> Result<RebalanceReport, HostError> {
        let movement = self.output.vol_rebalance.or(self.output.vol_remove_brick);
        let movement = movement.ok_or_else(|| unreadable("a movement of data without one"))?;
        let nodes = movement.node.into_iter().map(MovementNode::read).collect::<Result<Vec<_>, _>>()?;
        let states: Vec<RebalanceState> = nodes.iter().map(|node| node.state).collect();
        match RebalanceState::of_all(&states) {
            Some(state) => Ok(RebalanceReport { state, nodes }),
            None => Err(unreadable("no host says how far it is")),
        }
    }

    pub fn snapshot(self) -> Result<GlusterSnapshot, HostError> {
        let info = self.output.snap_info.ok_or_else(|| unreadable("what is known of a snapshot without it"))?;
        let volumes: Vec<_> = info.snapshots.snapshot.into_iter().flat_map(|snapshot| snapshot.snap_volume).collect();
        match volumes.as_slice() {
            [volume] => Ok(GlusterSnapshot { active: volume.status == "Started" }),
            volumes => Err(unreadable(&format!("a snapshot of {} volumes", volumes.len()))),
        }
    }

    pub fn volumes(self) -> Result<Vec<VolumeName>, HostError> {
        let list = self.output.vol_list.ok_or_else(|| unreadable("a list of volumes without one"))?;
        list.volume.into_iter().map(|name| name.parse().map_err(|error| unreadable(&format!("{error}")))).collect()
    }
}

fn whole(volume: Volume) -> Result<GlusterVolume, HostError> {
    let bricks = volume.bricks.brick.iter().map(|brick| address(&brick.name)).collect::<Result<_, _>>()?;
    let layout = volume.layout();
    let options = volume.options.map(|options| options.option).unwrap_or_default();
    Ok(GlusterVolume {
        name: volume.name.parse().map_err(|error| unreadable(&format!("{error}")))?,
        uuid: volume.id,
        started: volume.status == STARTED,
        layout,
        bricks,
        options: options.into_iter().map(|option| (option.name, option.value)).collect(),
    })
}

impl Volume {
    /// `None` for kinds that we do not make: striped and tiered ones of old, thin arbiters.
    fn layout(&self) -> Option<Layout> {
        let counts = (self.replica, self.arbiter, self.disperse, self.redundancy);
        match (self.kind.strip_prefix("Distributed-").unwrap_or(&self.kind), counts) {
            ("Distribute", _) => Some(Layout::Distribute),
            ("Replicate", (3, 1, 0, _)) => Some(Layout::Arbiter),
            ("Replicate", (replica, 0, 0, _)) if replica > 1 => Some(Layout::Replicate { replica }),
            ("Disperse", (_, _, all, redundancy)) if redundancy > 0 => {
                let data = all.checked_sub(redundancy).filter(|data| *data > 0)?;
                Some(Layout::Disperse { data, redundancy })
            }
            _ => None,
        }
    }
}

/// Of a volume: 0 is created, 1 started, 2 stopped.
const STARTED: i64 = 1;

/// `host:/path`, where an IPv6 address has colons of its own.
fn address(text: &str) -> Result<BrickAddress, HostError> {
    let at = text.find(":/").ok_or_else(|| unreadable(&format!("the brick {text:?}")))?;
    let (host, path) = (&text[..at], &text[at + 1..]);
    Ok(BrickAddress {
        host: host.parse().map_err(|error| unreadable(&format!("{error}")))?,
        path: path.to_owned().try_into().map_err(|error| unreadable(&format!("{error}")))?,
    })
}

fn unreadable(why: &str) -> HostError {
    HostError::Unreadable { what: "gluster's answer".to_owned(), why: why.to_owned() }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct CliOutput {
    #[serde(rename = "opRet")]
    pub op_ret: i64,
    #[serde(rename = "opErrno")]
    pub op_errno: i64,
    #[serde(rename = "opErrstr")]
    pub op_errstr: Option<String>,
    #[serde(rename = "peerStatus")]
    peer_status: Option<PeerStatus>,
    #[serde(rename = "volInfo")]
    vol_info: Option<VolInfo>,
    #[serde(rename = "volList")]
    vol_list: Option<VolList>,
    #[serde(rename = "snapInfo")]
    snap_info: Option<SnapInfo>,
    #[serde(rename = "volStatus")]
    vol_status: Option<VolStatus>,
    #[serde(rename = "healInfo")]
    heal_info: Option<HealInfo>,
    #[serde(rename = "volRebalance")]
    vol_rebalance: Option<Movement>,
    #[serde(rename = "volRemoveBrick")]
    vol_remove_brick: Option<Movement>,
}

#[derive(Debug, Deserialize)]
struct SnapInfo {
    snapshots: Snapshots,
}

#[derive(Debug, Deserialize)]
struct Snapshots {
    #[serde(default)]
    snapshot: Vec<Snapshot>,
}

#[derive(Debug, Deserialize)]
struct Snapshot {
    #[serde(default, rename = "snapVolume")]
    snap_volume: Vec<SnapVolume>,
}

#[derive(Debug, Deserialize)]
struct SnapVolume {
    status: String,
}

#[derive(Debug, Deserialize)]
struct VolStatus {
    volumes: StatusVolumes,
}

#[derive(Debug, Deserialize)]
struct StatusVolumes {
    #[serde(default)]
    volume: Vec<StatusVolume>,
}

#[derive(Debug, Deserialize)]
struct StatusVolume {
    #[serde(default)]
    node: Vec<StatusNode>,
}

#[derive(Debug, Deserialize)]
struct StatusNode {
    hostname: String,
    path: String,
    status: i64,
}

#[derive(Debug, Deserialize)]
struct HealInfo {
    bricks: HealBricks,
}

#[derive(Debug, Deserialize)]
struct HealBricks {
    #[serde(default)]
    brick: Vec<HealBrick>,
}

/// `summary` has the total, plain `info` the one number.
#[derive(Debug, Deserialize)]
struct HealBrick {
    name: String,
    status: String,
    #[serde(rename = "totalNumberOfEntries")]
    total_number_of_entries: Option<String>,
    #[serde(rename = "numberOfEntries")]
    number_of_entries: Option<String>,
}

/// The sum over all nodes stands beside them and says nothing of its own.
#[derive(Debug, Deserialize)]
struct Movement {
    #[serde(default)]
    node: Vec<MovementNode>,
}

#[derive(Debug, Deserialize)]
struct MovementNode {
    #[serde(rename = "nodeName")]
    node_name: String,
    files: u64,
    size: u64,
    lookups: u64,
    failures: u64,
    skipped: u64,
    status: u32,
    /// Seconds with two decimals.
    runtime: String,
}

impl MovementNode {
    fn read(self) -> Result<RebalanceNode, HostError> {
        // Those from 5 on are of a `fix-layout`.
        let state = match self.status {
            0 => RebalanceState::NotStarted,
            1 | 5 => RebalanceState::Running,
            2 | 6 => RebalanceState::Stopped,
            3 | 7 => RebalanceState::Completed,
            4 | 8 => RebalanceState::Failed,
            other => return Err(unreadable(&format!("the state {other} of a movement of data"))),
        };
        let seconds = self.runtime.split('.').next().and_then(|whole| whole.parse().ok());
        Ok(RebalanceNode {
            host: self.node_name,
            state,
            files: self.files,
            moved: ByteSize::from_bytes(self.size),
            scanned: self.lookups,
            failures: self.failures,
            skipped: self.skipped,
            seconds: seconds.ok_or_else(|| unreadable(&format!("the run time {:?}", self.runtime)))?,
        })
    }
}

#[derive(Debug, Deserialize)]
struct PeerStatus {
    #[serde(default)]
    peer: Vec<Peer>,
}

#[derive(Debug, Deserialize)]
struct Peer {
    uuid: String,
    hostname: Option<String>,
    connected: i64,
}

#[derive(Debug, Deserialize)]
struct VolInfo {
    volumes: Volumes,
}

#[derive(Debug, Deserialize)]
struct Volumes {
    #[serde(default)]
    volume: Vec<Volume>,
}

#[derive(Debug, Deserialize)]
struct Volume {
    name: String,
    id: String,
    status: i64,
    #[serde(rename = "typeStr", default)]
    kind: String,
    #[serde(rename = "replicaCount", default)]
    replica: u32,
    #[serde(rename = "arbiterCount", default)]
    arbiter: u32,
    #[serde(rename = "disperseCount", default)]
    disperse: u32,
    #[serde(rename = "redundancyCount", default)]
    redundancy: u32,
    bricks: Bricks,
    options: Option<Options>,
}

#[derive(Debug, Deserialize)]
struct Bricks {
    brick: Vec<Brick>,
}

/// The text of the element is the same name once more.
#[derive(Debug, Deserialize)]
struct Brick {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Options {
    #[serde(default)]
    option: Vec<VolumeOption>,
}

#[derive(Debug, Deserialize)]
struct VolumeOption {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct VolList {
    #[serde(default)]
    volume: Vec<String>,
}
