//! Claims that nobody wrote down: what the hosts themselves show of a volume.
//!
//! heketi put its ids into the names of what it made, so they are read back from there. Where a name says none, an id is
//! made. What no disk says is told.

use std::collections::BTreeMap;

use bricklayer_proto::adopt::{HEKETI_ID_OPTION, VolumeSurvey};
use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::names::{HostName, VgName, VolumeName};
use bricklayer_proto::task::{BrickAddress, VOLUME_ID_OPTION};

use super::claims::{BrickClaim, Claims, DeviceClaim, VolumeClaim};
use super::verify::is_where_glusterd_mounts;
use super::{Choices, Facts, Finding, HostFacts};
use crate::model::{AdminState, BlockRestriction, Cluster, Node, Tags, Zone};

/// Makes ids that nothing has; handed in, as this is pure.
pub type Fresh<'a> = &'a mut dyn FnMut() -> u128;

/// The volume of that name, whoever made it.
pub fn by_hand(
    name: &VolumeName,
    facts: &Facts<'_>,
    choices: &Choices,
    fresh: Fresh<'_>,
    findings: &mut Vec<Finding>,
) -> Claims {
    let mut found = Found::new(facts, choices, fresh);
    let all = facts.hosts.all().filter_map(|host| host.survey.volumes.as_deref()).flatten();
    match all.filter(|seen| seen.name == *name).collect::<Vec<_>>().as_slice() {
        [one] => found.volume(one, findings),
        [] => findings.push(
            Finding::blocking(
                "volume-unknown",
                name,
                "is not known to the GlusterFS of any host whose agent is attached",
            )
            .cure("Enrol the hosts that it is on: `bricklayer agent invite NAME`"),
        ),
        _ => findings.push(Finding::blocking("volume-ambiguous", name, "is the name of volumes in several pools")),
    }
    found.claims
}

/// All that heketi's names on the hosts tell of.
pub fn of_disks(facts: &Facts<'_>, choices: &Choices, fresh: Fresh<'_>, findings: &mut Vec<Finding>) -> Claims {
    let mut found = Found::new(facts, choices, fresh);
    let mut volumes: Vec<&VolumeSurvey> =
        facts.hosts.all().filter_map(|host| host.survey.volumes.as_deref()).flatten().collect();
    // Clones lie in the pools of others, so they come after them.
    volumes.sort_by_key(|seen| (seen.bricks.iter().any(|brick| is_where_glusterd_mounts(&brick.path)), &seen.name));
    for seen in volumes {
        if seen.option(VOLUME_ID_OPTION).is_some() {
            continue;
        }
        let heketis = seen.option(HEKETI_ID_OPTION).is_some()
            || seen.bricks.iter().all(|brick| brick.path.as_path().as_str().contains("/vg_"));
        if heketis {
            found.volume(seen, findings);
        } else {
            let what = "does not look like heketi's, and is left alone";
            let cure = format!("To take it over as well: `bricklayer adopt volume {}`", seen.name);
            findings.push(Finding::note("volume-not-heketis", &seen.name, what).cure(cure));
        }
    }
    for host in facts.hosts.all() {
        for group in &host.survey.groups {
            let is_new = group.tags.is_none() && id_in(group.name.as_str(), "vg_").is_some();
            if is_new && let Some(node) = found.node(host, None) {
                found.device(host, node, &group.name);
            }
        }
    }
    let claims = found.claims;
    if !claims.nodes.is_empty() || !claims.volumes.is_empty() {
        let what = "tell no zones, tags and states of nodes and devices, nor what a cluster takes, the group ids of volumes, \
                    and block volumes: look them through afterwards";
        findings.push(Finding::note("not-on-disks", "the disks", what));
    }
    claims
}

struct Found<'a> {
    facts: &'a Facts<'a>,
    choices: &'a Choices,
    fresh: Fresh<'a>,
    claims: Claims,
    /// By the lowest id in the pool.
    clusters: BTreeMap<String, ClusterId>,
    devices: BTreeMap<(NodeId, VgName), DeviceId>,
}

impl<'a> Found<'a> {
    fn new(facts: &'a Facts<'a>, choices: &'a Choices, fresh: Fresh<'a>) -> Self {
        let (clusters, devices) = (BTreeMap::new(), BTreeMap::new());
        Self { facts, choices, fresh, claims: Claims::default(), clusters, devices }
    }

    fn volume(&mut self, seen: &VolumeSurvey, findings: &mut Vec<Finding>) {
        let name = &seen.name;
        if let Some(id) = seen.option(VOLUME_ID_OPTION) {
            let ours = id.parse().is_ok_and(|id| self.facts.topology.volumes.contains_key(&id));
            if ours {
                findings.push(Finding::blocking("ours-already", name, "is ours already"));
                return;
            }
        }
        // heketi left a clone with the options of its source, the id among them.
        let is_clone = seen.bricks.iter().any(|brick| is_where_glusterd_mounts(&brick.path));
        let heketis = seen.option(HEKETI_ID_OPTION).filter(|_| !is_clone);
        let by_option = heketis.or_else(|| seen.option(VOLUME_ID_OPTION));
        let id =
            by_option.and_then(|id| id.parse().ok()).or_else(|| id_in(name.as_str(), "vol_").map(VolumeId::from_u128));
        let id = id.unwrap_or_else(|| VolumeId::from_u128((self.fresh)()));
        let mut bricks = Vec::new();
        let mut cluster = None;
        for address in &seen.bricks {
            let Some((claim, of)) = self.brick(name, address, findings) else { continue };
            cluster = cluster.or(Some(of));
            bricks.push(claim);
        }
        let (Some(cluster), true) = (cluster, bricks.len() == seen.bricks.len()) else { return };
        self.claims.volumes.push(VolumeClaim {
            id,
            name: name.clone(),
            cluster,
            size: None,
            layout: None,
            durability: None,
            gid: 0,
            options: None,
            block: false,
            restriction: BlockRestriction::None,
            snapshot: None,
            bricks,
        });
    }

    fn brick(
        &mut self,
        volume: &VolumeName,
        address: &BrickAddress,
        findings: &mut Vec<Finding>,
    ) -> Option<(BrickClaim, ClusterId)> {
        let told = self.choices.agents.get(address.host.as_str()).and_then(|word| self.facts.hosts.meant(word));
        let hosts = &self.facts.hosts;
        let Some(host) = told.or_else(|| hosts.named(&address.host)).or_else(|| hosts.with_place_of(&address.path))
        else {
            let what = format!("has a brick on {}, of which no attached agent is known", address.host);
            let cure = format!(
                "`bricklayer agent invite {0}`, or, if its agent goes by another name: --agent {0}=NAME",
                address.host
            );
            findings.push(Finding::blocking("node-without-agent", volume, what).cure(cure));
            return None;
        };
        let Some(place) = host.place_of(&address.path).cloned() else {
            let what = format!("has the brick {address}, which lies on no mounted logical volume");
            let cure = "Bricklayer manages bricks on thin volumes of LVM alone; this volume stays as it is";
            findings.push(Finding::blocking("not-on-lvm", volume, what).cure(cure));
            return None;
        };
        let node = self.node(host, Some(&address.host))?;
        let device = self.device(host, node, &place.group);
        let id = id_in(place.volume.as_str(), "brick_").map(BrickId::from_u128);
        let taken = |id: &BrickId| self.facts.topology.brick(*id).is_some();
        let id = id.filter(|id| !taken(id)).unwrap_or_else(|| BrickId::from_u128((self.fresh)()));
        let claim = BrickClaim {
            id,
            node,
            device,
            path: address.path.clone(),
            size: None,
            volume: Some(place.volume),
            pool: None,
            role: None,
        };
        Some((claim, self.cluster(host)))
    }

    /// The host's node, which may be ours already. `storage`: as GlusterFS knows it.
    fn node(&mut self, host: &HostFacts, storage: Option<&HostName>) -> Option<NodeId> {
        let id = host.agent;
        if self.facts.topology.nodes.contains_key(&id) || self.claims.nodes.iter().any(|node| node.id == id) {
            return Some(id);
        }
        let cluster = self.cluster(host);
        let as_peer = || {
            let mut peers = self.facts.hosts.all().flat_map(|other| &other.inventory.gluster.peers);
            let peer = peers.find(|peer| Some(&peer.uuid) == host.inventory.gluster.uuid.as_ref())?;
            peer.host.parse().ok()
        };
        let storage = storage.cloned().or_else(as_peer).unwrap_or_else(|| host.name.clone());
        self.claims.nodes.push(Node {
            id,
            cluster,
            zone: host.zone.and_then(Zone::new).or_else(|| Zone::new(1))?,
            manage: vec![host.name.clone()],
            storage: vec![storage],
            state: AdminState::Online,
            tags: Tags::new(),
            lost: false,
        });
        Some(id)
    }

    fn device(&mut self, host: &HostFacts, node: NodeId, group: &VgName) -> DeviceId {
        if let Some(known) = self.devices.get(&(host.agent, group.clone())) {
            return *known;
        }
        let tagged = host.group(group).and_then(|group| group.tags).map(|tags| tags.device);
        let named = || id_in(group.as_str(), "vg_").map(DeviceId::from_u128);
        let id = tagged.or_else(named).unwrap_or_else(|| DeviceId::from_u128((self.fresh)()));
        self.devices.insert((host.agent, group.clone()), id);
        self.claims.devices.push(DeviceClaim {
            id,
            node,
            group: group.clone(),
            name: None,
            pv_uuid: None,
            state: AdminState::Online,
            tags: Tags::new(),
        });
        id
    }

    /// That of a node of ours in the same pool, the one that was chosen, or a new one.
    fn cluster(&mut self, host: &HostFacts) -> ClusterId {
        let topology = self.facts.topology;
        let mates = self.facts.hosts.all().filter(|other| other.is_peer_of(host));
        if let Some(known) = mates.filter_map(|mate| topology.nodes.get(&mate.agent)).map(|node| node.cluster).next() {
            return known;
        }
        let key = host.pool().first().map_or_else(|| host.agent.to_string(), |uuid| (*uuid).to_owned());
        if let Some(known) = self.clusters.get(&key) {
            return *known;
        }
        let id = self.choices.cluster.unwrap_or_else(|| ClusterId::from_u128((self.fresh)()));
        self.clusters.insert(key, id);
        self.claims.clusters.push(Cluster { id, file: true, block: true });
        id
    }
}

/// The id in one of heketi's names.
fn id_in(name: &str, prefix: &str) -> Option<u128> {
    let id: BrickId = name.strip_prefix(prefix)?.parse().ok()?;
    Some(id.to_u128())
}
