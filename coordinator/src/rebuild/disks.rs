//! What the disks of all hosts say, by id.

use std::collections::{BTreeMap, HashMap};

use bricklayer_proto::ids::{BrickId, DeviceId, InstallationId, NodeId, VolumeId};
use bricklayer_proto::inventory::{BrickSeen, LogicalVolume, LvKind, VolumeGroup};
use bricklayer_proto::names::{BrickPath, LvName};
use bricklayer_proto::size::Extents;
use bricklayer_proto::space::{BrickSpace, Provisioning};

use super::evidence::HostEvidence;

/// Every group and every brick of this installation that was found.
pub struct Disks<'a> {
    pub groups: BTreeMap<DeviceId, Group<'a>>,
    pub bricks: BTreeMap<BrickId, OnDisk<'a>>,
    /// The bricks by the volume that their tags name.
    pub by_volume: BTreeMap<VolumeId, Vec<BrickId>>,
    /// The bricks that lie in one pool.
    pub by_pool: HashMap<(DeviceId, &'a LvName), Vec<BrickId>>,
}

pub struct Group<'a> {
    /// The host on which it is.
    pub found: NodeId,
    /// What its tags say.
    pub owner: NodeId,
    pub seen: &'a VolumeGroup,
}

pub struct OnDisk<'a> {
    pub node: NodeId,
    pub device: DeviceId,
    pub seen: &'a BrickSeen,
    /// The linear volume; or the thin one, and the pool as if it were this brick's own.
    pub space: BrickSpace,
    /// The brick that the pool is named after by its tags; `None` where they cannot be read.
    pub pool: Option<BrickId>,
}

impl OnDisk<'_> {
    /// Where its directory is, be it mounted or not.
    pub fn path(&self) -> Option<BrickPath> {
        self.seen.path.clone().or_else(|| self.seen.fstab.as_ref().map(|at| at.brick_path()))
    }
}

impl<'a> Disks<'a> {
    pub fn of(installation: InstallationId, hosts: &BTreeMap<NodeId, &'a HostEvidence>) -> Self {
        let mut disks = Self {
            groups: BTreeMap::new(),
            bricks: BTreeMap::new(),
            by_volume: BTreeMap::new(),
            by_pool: HashMap::new(),
        };
        for (node, host) in hosts {
            disks.take(*node, installation, host);
        }
        disks
    }

    fn take(&mut self, node: NodeId, installation: InstallationId, host: &'a HostEvidence) {
        let mut by_name = HashMap::new();
        for group in &host.inventory.groups {
            let Some(tags) = group.tags.filter(|tags| tags.installation == installation) else { continue };
            let volumes: HashMap<&LvName, &LogicalVolume> =
                group.volumes.iter().map(|volume| (&volume.name, volume)).collect();
            by_name.insert(&group.name, (tags.device, group, volumes));
            self.groups.insert(tags.device, Group { found: node, owner: tags.node, seen: group });
        }
        for seen in &host.inventory.bricks {
            let Some((device, group, volumes)) = by_name.get(&seen.group) else { continue };
            let one = group.space.extent_size;
            let pool = seen.pool_lv.as_ref().and_then(|name| volumes.get(name));
            let metadata = match pool.map(|pool| &pool.kind) {
                Some(LvKind::ThinPool { metadata, .. }) => metadata.to_extents(one),
                _ => Extents::ZERO,
            };
            let volume = seen.size.to_extents(one);
            let space = match seen.pool_lv {
                None => BrickSpace::linear(volume),
                Some(_) => BrickSpace {
                    provisioning: Provisioning::Thin,
                    volume,
                    pool: pool.map_or(Extents::ZERO, |pool| pool.size.to_extents(one)),
                    metadata,
                },
            };
            let id = seen.tags.brick;
            self.by_volume.entry(seen.tags.volume).or_default().push(id);
            if let Some(pool) = &seen.pool_lv {
                self.by_pool.entry((*device, pool)).or_default().push(id);
            }
            let pool = pool.and_then(|pool| named_after(pool));
            self.bricks.insert(id, OnDisk { node, device: *device, seen, space, pool });
        }
    }
}

/// Pools say in their tags which brick they were made for (`docs/adr/0003`).
fn named_after(pool: &LogicalVolume) -> Option<BrickId> {
    pool.tags.iter().find_map(|tag| tag.as_str().strip_prefix("bricklayer.brick=")?.parse().ok())
}
