//! One brick: what is claimed of it, and what its host has.

use bricklayer_proto::adopt::PlaceSeen;
use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::{BrickRole, LogicalVolume, LvKind, VolumeGroup};
use bricklayer_proto::names::{BrickPath, LvName, VgName};
use bricklayer_proto::space::{BrickSpace, Provisioning};

use super::super::claims::{BrickClaim, VolumeClaim};
use super::super::hosts::volume as lv_of;
use super::super::{Finding, HostFacts};
use super::{OnHost, Scene};
use crate::model::{AdminState, Adopt, Brick, FIRST_GENERATION, LvNames};

impl Scene<'_> {
    /// The brick as it is on its host, with a pool of its own.
    pub(super) fn brick(&mut self, volume: &VolumeClaim, claim: &BrickClaim) -> Option<Brick> {
        let about = &volume.name;
        // Its device was told of already.
        let OnHost { agent, group } = self.devices.get(&claim.device)?.clone();
        let host = self.facts.hosts.get(agent)?.clone();
        let at = format!("brick {} on {}", claim.id, host.name);
        let place = self.place(volume, claim, &host, &group, &at)?;
        let lv = lv_of(&group, &place.volume)?;
        let full_name = format!("{}/{}", group.name, lv.name);
        let one = group.space.extent_size;
        let extents = lv.size.to_extents(one);
        let (pool_lv, space) = match &lv.kind {
            LvKind::Thin { pool } => {
                let pool_lv = lv_of(&group, pool)?;
                let LvKind::ThinPool { metadata, .. } = pool_lv.kind else { return None };
                let (pool, metadata) = (pool_lv.size.to_extents(one), metadata.to_extents(one));
                let provisioning = Provisioning::Thin;
                (Some(pool_lv), BrickSpace { provisioning, volume: extents, pool, metadata })
            }
            kind if kind.is_linear() => (None, BrickSpace::linear(extents)),
            _ => {
                let what = format!("{at} lies on {full_name}, which is neither a thin nor a linear volume");
                let finding = Finding::blocking("neither-thin-nor-linear", about, what);
                self.findings.push(finding.cure(NO_OTHER_KINDS));
                return None;
            }
        };
        let pool = pool_lv.map(|pool| &pool.name);
        if let Some(other) = claim.pool.as_ref().filter(|other| Some(*other) != pool) {
            let lies = pool.map_or_else(|| "on a linear volume".to_owned(), |pool| format!("in pool {pool}"));
            let what = format!("{at} lies {lies}, and in {other} by its record; what LVM says counts");
            self.findings.push(Finding::note("pool-differs", about, what));
        }
        for volume_of in std::iter::once(lv).chain(pool_lv) {
            if volume_of.condemned {
                self.blocked("brick-condemned", about, format!("{at}: {} is marked for removal", volume_of.name));
                return None;
            }
        }
        if let Some(other) = tagged_otherwise(lv, claim.id, volume) {
            self.blocked("brick-tagged", about, format!("{at}: {full_name} says that it is brick {other}"));
            return None;
        }
        let asked = match claim.size {
            Some(size) if size.to_extents(one) == extents => size,
            Some(size) => {
                let what = format!("{at} has {}, and {size} by its record; what LVM says counts", lv.size);
                self.findings.push(Finding::note("size-differs", about, what));
                lv.size
            }
            None => lv.size,
        };
        self.used.insert((claim.device, lv.name.clone()));
        self.used.extend(pool.map(|pool| (claim.device, pool.clone())));
        let other = |name: &LvName, ours: LvName| (*name != ours).then(|| name.clone());
        Some(Brick {
            id: claim.id,
            device: claim.device,
            node: claim.node,
            set: 0,
            position: 0,
            role: BrickRole::Data,
            asked,
            space,
            path: Some(claim.path.clone()),
            pool: None,
            names: LvNames { volume: other(&lv.name, LvName::of_brick(claim.id)), pool: pool.cloned() },
            adopted: true,
            generation: FIRST_GENERATION,
        })
    }

    /// Where the brick is mounted: on the volume that it is said to lie on, and nowhere else.
    fn place(
        &mut self,
        volume: &VolumeClaim,
        claim: &BrickClaim,
        host: &HostFacts,
        group: &VolumeGroup,
        at: &str,
    ) -> Option<PlaceSeen> {
        let about = &volume.name;
        let Some(place) = host.place_of(&claim.path).cloned() else {
            let lv = claim.volume.as_ref().and_then(|name| lv_of(group, name));
            let (code, what, cure) = match (lv, &claim.volume) {
                (Some(lv), _) => (
                    "brick-not-mounted",
                    format!("{at}: {}/{} is not mounted at a place above {}", group.name, lv.name, claim.path),
                    "Mount it, so that it can be looked at".to_owned(),
                ),
                (None, Some(name)) => (
                    "brick-missing",
                    format!("{at}: there is no {}/{name}", group.name),
                    format!("Leave the volume out: --without {about}"),
                ),
                (None, None) => (
                    "brick-missing",
                    format!("{at}: {} lies on no mounted logical volume", claim.path),
                    NO_OTHER_KINDS.to_owned(),
                ),
            };
            self.findings.push(Finding::blocking(code, about, what).cure(cure));
            return None;
        };
        let is_it = place.group == group.name && claim.volume.as_ref().is_none_or(|name| *name == place.volume);
        if !is_it {
            let what = format!("{at}: {} lies on {}/{}", claim.path, place.group, place.volume);
            self.blocked("brick-elsewhere", about, what + ", not on the volume that its record names");
            return None;
        }
        if place.file_system != "xfs" {
            self.blocked("not-xfs", about, format!("{at} carries {}, and not XFS", place.file_system));
            return None;
        }
        match place.lines {
            0 if is_where_glusterd_mounts(&claim.path) => {}
            0 => self.findings.push(Finding::note(
                "not-in-fstab",
                about,
                format!("{at} has no line in the host's fstab, and gets one"),
            )),
            1 => {}
            several => {
                let what = format!("{at}: {several} lines of fstab mount something at {}", place.at);
                self.findings
                    .push(Finding::blocking("fstab-ambiguous", about, what).cure("Leave the one that is right"));
                return None;
            }
        }
        Some(place)
    }

    /// Of the bricks in one pool the first has its extents.
    pub(super) fn count_pool(&mut self, brick: &mut Brick) {
        let Some(pool) = brick.pool_lv() else { return };
        let owner = *self.owners.entry((brick.device, pool.clone())).or_insert(brick.id);
        if owner != brick.id {
            brick.pool = Some(owner);
            brick.space = brick.space.in_another_pool();
        } else if pool == LvName::of_pool(brick.id) {
            brick.names.pool = None;
        }
    }

    /// Logical volumes on the devices that are nobody's brick.
    pub(super) fn strangers(&mut self, adopt: &mut Adopt) {
        for device in &mut adopt.devices {
            let Some(OnHost { group, .. }) = self.devices.get(&device.id) else { continue };
            let is_known = |lv: &LogicalVolume| {
                lv.is_part_of_pool() || lv.is_tagged_ours() || self.used.contains(&(device.id, lv.name.clone()))
            };
            let strangers: Vec<&str> =
                group.volumes.iter().filter(|lv| !is_known(lv)).map(|lv| lv.name.as_str()).collect();
            if strangers.is_empty() {
                continue;
            }
            let host = self.facts.hosts.get(device.node).map_or_else(String::new, |host| host.name.to_string());
            let about = format!("{host}:{}", device.name);
            let mut what = format!("holds volumes that are in no volume of this plan: {}", strangers.join(", "));
            what.push_str("; they are left alone");
            // A person named it, and may live on it.
            if group.name != VgName::of_device(device.id) && device.state == AdminState::Online {
                device.state = AdminState::Offline;
                what.push_str(", and it takes no bricks but those that it has: it becomes offline");
            }
            self.findings.push(Finding::note("foreign-volumes", about, what));
        }
    }
}

const NO_OTHER_KINDS: &str =
    "Bricklayer manages bricks on thin and on linear volumes alone; this volume stays as it is";

/// Whether glusterd made the brick for a clone: then it keeps it where it keeps those of snapshots.
#[must_use]
pub fn is_where_glusterd_mounts(path: &BrickPath) -> bool {
    ["/run/gluster/snaps", "/var/run/gluster/snaps"].iter().any(|folder| path.as_path().starts_with(folder))
}

/// The brick that a volume says it is, where that is another one.
fn tagged_otherwise(lv: &LogicalVolume, brick: BrickId, volume: &VolumeClaim) -> Option<String> {
    if !lv.is_tagged_ours() {
        return None;
    }
    let same = lv.our_tag("brick") == Some(brick.to_string().as_str())
        && lv.our_tag("volume") == Some(volume.id.to_string().as_str());
    (!same).then(|| format!("{} of volume {}", lv.our_tag("brick").unwrap_or("?"), lv.our_tag("volume").unwrap_or("?")))
}
