//! What somebody says is there.

use std::collections::BTreeMap;

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::names::{BrickPath, DevicePath, LvName, PvUuid, VgName, VolumeName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::Layout;

use super::heketi_db::{BlockEntry, BrickEntry, HeketiDb, NodeEntry, VolumeEntry};
use super::{Choices, Facts, Finding, HostFacts};
use crate::model::{
    AdminState, BlockAccess, BlockRestriction, BlockVolume, Cluster, Durability, Node, Snapshot, Tags, Zone,
};

/// All of it. Ids are final: a node's is that of its agent.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub clusters: Vec<Cluster>,
    pub nodes: Vec<Node>,
    pub devices: Vec<DeviceClaim>,
    pub volumes: Vec<VolumeClaim>,
    pub block_volumes: Vec<BlockVolume>,
}

#[derive(Clone, Debug)]
pub struct DeviceClaim {
    pub id: DeviceId,
    pub node: NodeId,
    pub group: VgName,
    /// `None`: as the host calls the disk.
    pub name: Option<DevicePath>,
    pub pv_uuid: Option<PvUuid>,
    pub state: AdminState,
    pub tags: Tags,
}

/// What is `None` is as it is found.
#[derive(Clone, Debug)]
pub struct VolumeClaim {
    pub id: VolumeId,
    pub name: VolumeName,
    pub cluster: ClusterId,
    pub size: Option<ByteSize>,
    pub layout: Option<Layout>,
    pub durability: Option<Durability>,
    pub gid: u32,
    /// As given.
    pub options: Option<Vec<String>>,
    pub block: bool,
    pub restriction: BlockRestriction,
    pub snapshot: Option<Snapshot>,
    /// In any order: which make a set is for GlusterFS to say.
    pub bricks: Vec<BrickClaim>,
}

#[derive(Clone, Debug)]
pub struct BrickClaim {
    pub id: BrickId,
    pub node: NodeId,
    pub device: DeviceId,
    pub path: BrickPath,
    pub size: Option<ByteSize>,
    pub volume: Option<LvName>,
    pub pool: Option<LvName>,
    pub role: Option<BrickRole>,
}

/// What heketi's database says. Nodes that have no agent are left out with all that is on them, and told.
pub fn of_heketi(db: &HeketiDb, facts: &Facts<'_>, choices: &Choices, findings: &mut Vec<Finding>) -> Claims {
    if !db.is_at_rest() && !choices.ignore_pending {
        findings.push(
            Finding::blocking("pending-operations", "heketi", "had operations under way when the database was exported")
                .cure("Let heketi finish or clean them up (`heketi-cli server operations cleanup`) and export again; or leave out what they are about: --ignore-pending"),
        );
    }
    let mut claims = Claims {
        clusters: db
            .clusters
            .values()
            .map(|cluster| Cluster { id: cluster.info.id, file: cluster.info.file, block: cluster.info.block })
            .collect(),
        ..Claims::default()
    };
    // From heketi's ids to ours.
    let mut nodes: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for (id, entry) in &db.nodes {
        if let Some(node) = node(*id, entry, facts, choices, findings) {
            if let Some((other, _)) = nodes.iter().find(|(_, ours)| **ours == node.id) {
                let what = format!("and node {other} both are the host of agent {}", node.id);
                findings.push(Finding::blocking("node-twice", node.name(), what).cure("Say which is which: --agent"));
                continue;
            }
            nodes.insert(*id, node.id);
            claims.nodes.push(node);
        }
    }
    for (id, entry) in &db.devices {
        let Some(node) = nodes.get(&entry.node) else { continue };
        let pv_uuid = entry.info.pv_uuid.parse().ok();
        claims.devices.push(DeviceClaim {
            id: *id,
            node: *node,
            group: VgName::of_device(*id),
            name: Some(entry.info.name.clone()),
            pv_uuid,
            state: entry.state.into(),
            tags: entry.info.tags.clone(),
        });
    }
    for entry in db.volumes.values() {
        if !entry.pending.id.is_empty() {
            let what = "is being made or deleted by heketi and is left out";
            findings.push(Finding::note("volume-pending", &entry.info.name, what));
            continue;
        }
        claims.volumes.extend(volume(db, entry, &nodes, findings));
    }
    for entry in db.block_volumes.values().filter(|entry| entry.pending.id.is_empty()) {
        let Some(hosting) = db.volumes.get(&entry.info.hosting) else { continue };
        claims.block_volumes.extend(block(entry, hosting));
    }
    claims
}

fn node(
    id: NodeId,
    entry: &NodeEntry,
    facts: &Facts<'_>,
    choices: &Choices,
    findings: &mut Vec<Finding>,
) -> Option<Node> {
    let info = &entry.info;
    let names = || info.hostnames.manage.iter().chain(&info.hostnames.storage);
    let name = names().next()?.clone();
    let told = choices.agents.get(&id.to_string()).or_else(|| names().find_map(|n| choices.agents.get(n.as_str())));
    let host: Option<&HostFacts> = match told {
        Some(word) => {
            let meant = facts.hosts.meant(word);
            if meant.is_none() {
                let what = format!("was said to be the host of agent {word}, and no such agent is attached");
                findings.push(Finding::blocking("node-without-agent", &name, what));
                return None;
            }
            meant
        }
        None => facts.hosts.get(id).or_else(|| names().find_map(|name| facts.hosts.named(name))),
    };
    let Some(host) = host else {
        let what = "has no agent that is attached and has told what its host has";
        let cure = format!(
            "`bricklayer agent invite {name} --node-id {id}`, and enrol that host with the line; or, if its agent goes by \
             another name: --agent {name}=THAT"
        );
        findings.push(Finding::blocking("node-without-agent", &name, what).cure(cure));
        return None;
    };
    let mut node = Node {
        id,
        cluster: info.cluster,
        zone: Zone::new(info.zone)?,
        manage: info.hostnames.manage.clone(),
        storage: info.hostnames.storage.clone(),
        state: entry.state.into(),
        tags: info.tags.clone(),
        lost: false,
    };
    if host.agent != id {
        let what = format!("is {id} to heketi's clients, and its agent enrolled as {}", host.agent);
        let other = match choices.new_node_ids {
            true => Finding::note("node-id-changes", &name, what + ", which it is from now on"),
            false => Finding::blocking("node-id-differs", &name, what).cure(format!(
                "If clients know nodes by their ids, enrol it under heketi's: `bricklayer agent invite NAME --node-id {id}` \
                 with a name that is free; otherwise: --new-node-ids"
            )),
        };
        findings.push(other);
        node.id = host.agent;
    }
    Some(node)
}

fn volume(
    db: &HeketiDb,
    entry: &VolumeEntry,
    nodes: &BTreeMap<NodeId, NodeId>,
    findings: &mut Vec<Finding>,
) -> Option<VolumeClaim> {
    let info = &entry.info;
    let mut bricks = Vec::new();
    for id in &entry.bricks {
        let brick = db.bricks.get(id)?;
        if !brick.pending.id.is_empty() {
            let what = "has a brick that heketi was adding or removing, and is left out";
            findings.push(Finding::note("volume-pending", &info.name, what));
            return None;
        }
        bricks.push(self::brick(brick, &info.name, nodes, findings)?);
    }
    let arbiter = entry.options.iter().any(|option| {
        let mut words = option.split_whitespace();
        words.next() == Some("user.heketi.arbiter")
            && matches!(words.next(), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    });
    let durability = Durability {
        kind: if info.durability.kind.is_empty() { "none".to_owned() } else { info.durability.kind.clone() },
        replica: info.durability.replicate.replica,
        disperse_data: info.durability.disperse.data,
        disperse_redundancy: info.durability.disperse.redundancy,
    };
    let layout = match durability.kind.as_str() {
        "replicate" if arbiter => Some(Layout::Arbiter),
        // heketi's "replicate 1" is a volume without copies.
        "replicate" => match u32::try_from(durability.replica) {
            Ok(0) => Some(Layout::Replicate { replica: 2 }),
            Ok(1) => Some(Layout::Distribute),
            Ok(replica) => Some(Layout::Replicate { replica }),
            Err(_) => None,
        },
        "disperse" => match (u32::try_from(durability.disperse_data), u32::try_from(durability.disperse_redundancy)) {
            (Ok(data), Ok(redundancy)) if data > 0 => Some(Layout::Disperse { data, redundancy }),
            _ => None,
        },
        _ => Some(Layout::Distribute),
    };
    Some(VolumeClaim {
        id: info.id,
        name: info.name.clone(),
        cluster: info.cluster,
        size: ByteSize::from_gib(info.size),
        layout,
        durability: Some(durability),
        gid: info.gid,
        options: Some(entry.options.iter().filter(|option| !option.trim().is_empty()).cloned().collect()),
        block: info.block,
        restriction: match info.blockinfo.restriction.as_str() {
            "locked" => BlockRestriction::Locked,
            "locked-by-update" => BlockRestriction::LockedByUpdate,
            _ => BlockRestriction::None,
        },
        snapshot: Some(snapshot(info.snapshot.enable, info.snapshot.factor)),
        bricks,
    })
}

fn brick(
    entry: &BrickEntry,
    volume: &VolumeName,
    nodes: &BTreeMap<NodeId, NodeId>,
    findings: &mut Vec<Finding>,
) -> Option<BrickClaim> {
    let info = &entry.info;
    // Its node was told of already.
    let node = nodes.get(&info.node)?;
    let mut name = |text: &str, ours: LvName| {
        let named = if text.is_empty() { Ok(ours) } else { text.parse() };
        named
            .map_err(|error| findings.push(Finding::blocking("name-unreadable", volume, format!("brick: {error}"))))
            .ok()
    };
    let (lv, pool) = (name(&entry.volume, LvName::of_brick(info.id))?, name(&entry.pool, LvName::of_pool(info.id))?);
    let path: Result<BrickPath, _> = info.path.clone().try_into();
    let path =
        path.map_err(|error| findings.push(Finding::blocking("name-unreadable", volume, format!("brick: {error}"))));
    Some(BrickClaim {
        id: info.id,
        node: *node,
        device: info.device,
        path: path.ok()?,
        size: ByteSize::from_kib(info.size),
        volume: Some(lv),
        pool: Some(pool),
        role: match entry.sub_type {
            1 => Some(BrickRole::Data),
            2 => Some(BrickRole::Arbiter),
            _ => None,
        },
    })
}

fn block(entry: &BlockEntry, hosting: &VolumeEntry) -> Option<BlockVolume> {
    let info = &entry.info;
    let size = ByteSize::from_gib(info.size)?;
    Some(BlockVolume {
        id: info.id,
        name: info.name.clone(),
        cluster: info.cluster,
        hosting: bricklayer_proto::task::VolumeKey { volume: info.hosting, name: hosting.info.name.clone() },
        size,
        usable: ByteSize::from_gib(info.usable).filter(|usable| usable.bytes() > 0).unwrap_or(size),
        auth: !info.access.username.is_empty(),
        preallocation: bricklayer_proto::block::Preallocation::Full,
        hosts: info.access.hosts.clone(),
        access: BlockAccess {
            iqn: info.access.iqn.clone(),
            lun: info.access.lun,
            username: info.access.username.clone(),
            password: info.access.password.clone().into(),
        },
    })
}

/// A 32-bit float has 1.1 as 1.10000002: to the nearest thousandth is what was meant.
fn snapshot(enable: bool, factor: f64) -> Snapshot {
    let thousandths = (factor * 1000.0).round().clamp(1000.0, 100_000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 1,000 to 100,000")]
    let milli = if thousandths.is_nan() { 1000 } else { thousandths as u32 };
    Snapshot { enable, factor_milli: milli }
}
