//! A brick comes to be, grows, is condemned, and goes.

use bricklayer_proto::ids::{BrickId, DeviceId};
use bricklayer_proto::inventory::{BrickRole, BrickTags, LogicalVolume, LvKind};
use bricklayer_proto::names::{LvName, MountPoint, mapper_path};
use bricklayer_proto::size::{ByteSize, Extents};
use bricklayer_proto::space::{Provisioning, spare_growth};
use bricklayer_proto::task::{BrickKey, BrickSpec, Failure, FailureKind, VolumeRecord};

use super::doomed::{BlankVolume, DoomedVolumes};
use super::{Step, clone, device, refused, refused_with_cure};
use crate::fstab;
use crate::host::{BrickVolumes, GroupReport, LinearVolume, Mount, Signature};
use crate::observe;
use crate::tags;

/// The file beside the brick directory from which the volume can be told, whoever holds the disk.
pub const RECORD: &str = "bricklayer-volume.json";

/// What has to be known of a host to make or remove a brick on it.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub root: MountPoint,
    /// `None` where the device's group is not there.
    pub group: Option<&'a GroupReport>,
    pub mounts: &'a [Mount],
    pub fstab: &'a str,
    /// What is written on the brick's volume; looked for only where it is there and not mounted.
    pub on_volume: Option<Vec<Signature>>,
    /// The record on the mounted file system; looked for only there.
    pub record: Option<Vec<u8>>,
}

/// The volumes of one brick that its group holds.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub group: &'a GroupReport,
    pub volume: Option<&'a LogicalVolume>,
    pub pool: Option<&'a LogicalVolume>,
}

impl<'a> Found<'a> {
    /// Looks for the volumes whose tags name the brick. Tags that name it and disagree in anything else of `key`, or
    /// that cannot be read, are a reason to touch nothing.
    pub fn look(group: &'a GroupReport, key: &BrickKey) -> Result<Self, Failure> {
        device::ours(group, key.device)?;
        let mut found = Self { group, volume: None, pool: None };
        let (volume_name, pool_name) = (LvName::of_brick(key.brick), LvName::of_pool(key.brick));
        // A group may hold hundreds of volumes, and few say anything of this brick.
        let id = key.brick.to_string();
        let names_it = |volume: &&LogicalVolume| {
            volume.name == volume_name
                || volume.name == pool_name
                || volume.tags.iter().any(|tag| tag.as_str().contains(&id))
        };
        for volume in group.volumes.iter().filter(names_it) {
            let full_name = format!("{}/{}", group.name, volume.name);
            let (place, of) = match (tags::parse_brick(&volume.tags), tags::parse_pool(&volume.tags)) {
                (Ok(Some(brick)), _) if brick.brick == key.brick => (&mut found.volume, brick.volume),
                (_, Ok(Some(pool))) if pool.brick == key.brick => (&mut found.pool, pool.volume),
                // Also where it has the brick's name: it was handed over to a clone then.
                (_, Ok(Some(_))) => continue,
                (Err(damaged), _) | (_, Err(damaged)) if volume.name == volume_name || volume.name == pool_name => {
                    return Err(refused(format!("{full_name} has tags that cannot be read: {damaged}")));
                }
                _ if volume.name == volume_name || volume.name == pool_name => {
                    return Err(refused(format!(
                        "{full_name} is there and its tags do not say it is brick {}",
                        key.brick
                    )));
                }
                _ => continue,
            };
            if of != key.volume {
                return Err(refused(format!("{full_name} says that it belongs to volume {of}, not {}", key.volume)));
            }
            if let Some(first) = place {
                return Err(refused(format!(
                    "both {} and {} say that they are brick {}",
                    first.name, volume.name, key.brick
                )));
            }
            *place = Some(volume);
        }
        Ok(found)
    }

    #[must_use]
    pub fn volume_name(&self, key: &BrickKey) -> LvName {
        self.volume.map_or_else(|| LvName::of_brick(key.brick), |volume| volume.name.clone())
    }
}

/// Where the brick is mounted, or is to be: its line of fstab knows best, as an adopted brick keeps its place.
#[must_use]
pub fn place(facts: &Facts<'_>, group: &GroupReport, volume: &LvName, key: &BrickKey) -> MountPoint {
    let in_fstab = fstab::of_brick(facts.fstab, key.brick).and_then(|entry| entry.at.as_str().parse().ok());
    let mounted = || observe::mount_of(facts.mounts, &group.name, volume)?.at.as_str().parse().ok();
    in_fstab.or_else(mounted).unwrap_or_else(|| MountPoint::of_brick(&facts.root, &group.name, volume))
}

/// What LVM was making of the brick's pool when the power went: a plain volume that carries the pool's name and tags already,
/// and that lvcreate would have made into a pool. Nothing has ever been in it.
fn begun_pool<'a>(found: &Found<'a>, key: &BrickKey) -> Option<&'a LogicalVolume> {
    let pool = found.pool.filter(|_| found.volume.is_none())?;
    let is_plain = matches!(&pool.kind, LvKind::Other { segment_type } if segment_type == "linear");
    let parts = ["_tdata", "_tmeta"].map(|suffix| format!("{}{suffix}", pool.name));
    let has_parts = found.group.volumes.iter().any(|volume| parts.iter().any(|part| volume.name.as_str() == part));
    (is_plain && !has_parts && pool.name == LvName::of_pool(key.brick)).then_some(pool)
}

/// A pool that LVM has begun and will never finish goes, so that the brick can be made: it is condemned, and removed by
/// what is planned after another look.
pub fn clear(key: &BrickKey, group: &GroupReport) -> Result<Vec<Step>, Failure> {
    let found = Found::look(group, key)?;
    let Some(pool) = begun_pool(&found, key) else { return Ok(Vec::new()) };
    if !pool.condemned {
        return Ok(vec![Step::CondemnVolumes { group: group.name.clone(), volumes: vec![pool.name.clone()] }]);
    }
    Ok(vec![Step::RemoveVolumes(DoomedVolumes::of_brick(&found, key)?)])
}

/// What LVM was making of the group's first spare when the power went, before it hid it: a plain volume with the name that
/// LVM gives to what has none, as large as the metadata of the pool that was under way. Nothing has ever been in it.
fn begun_spare<'a>(spec: &BrickSpec, group: &'a GroupReport) -> Option<&'a LogicalVolume> {
    let size = spec.space.metadata.to_bytes(group.space.extent_size)?;
    let has_pools = group.volumes.iter().any(|volume| matches!(volume.kind, LvKind::ThinPool { .. }));
    let is_nameless = |name: &LvName| {
        let number = name.as_str().strip_prefix("lvol");
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_it = |volume: &&LogicalVolume| {
        let is_plain = matches!(&volume.kind, LvKind::Other { segment_type } if segment_type == "linear");
        let is_untagged = volume.tags.iter().all(|tag| *tag == tags::condemned());
        is_plain && is_untagged && !volume.open && volume.size == size && is_nameless(&volume.name)
    };
    let may_be = spec.space.metadata != Extents::ZERO && group.space.spare == Extents::ZERO && !has_pools;
    group.volumes.iter().filter(|_| may_be).find(is_it)
}

/// The same for such a spare, where a brick of this spec was being made when the power went.
pub fn clear_spare(spec: &BrickSpec, group: &GroupReport) -> Result<Vec<Step>, Failure> {
    device::ours(group, spec.device)?;
    let Some(spare) = begun_spare(spec, group) else { return Ok(Vec::new()) };
    if !spare.condemned {
        return Ok(vec![Step::CondemnVolumes { group: group.name.clone(), volumes: vec![spare.name.clone()] }]);
    }
    Ok(vec![Step::RemoveVolumes(DoomedVolumes::begun(group, spare)?)])
}

/// The brick is there, whole.
pub fn ensure(spec: &BrickSpec, facts: &Facts<'_>) -> Result<Vec<Step>, Failure> {
    let key = spec.key();
    let Some(group) = facts.group else {
        return Err(refused(format!("device {} is not on this host", spec.device)));
    };
    let found = Found::look(group, &key)?;
    if tags::is_condemned(&group.tags) {
        return Err(refused(format!("device {} is condemned: it is being removed", spec.device)));
    }
    let volume = found.volume_name(&key);
    let at = place(facts, group, &volume, &key);
    let mut steps = Vec::new();

    match found.volume {
        Some(there) => {
            same_shape(spec, group, there)?;
            if !there.active {
                steps.push(Step::ActivateGroup { group: group.name.clone() });
            }
        }
        None => {
            if let Some(pool) = found.pool.filter(|pool| pool.condemned) {
                return Err(refused(format!("{}/{} is condemned: it is being removed", group.name, pool.name)));
            }
            if found.pool.is_none() {
                let spare = spare_growth(group.space.spare, spec.space.metadata);
                let needed = spec.space.taken().and_then(|taken| taken.checked_add(spare));
                enough_space(&spec.tags.brick, spec.device, group, needed)?;
            }
            steps.push(create(spec, &found, volume.clone())?);
        }
    }
    // On a thin volume nothing is found that was not written to it. On a linear one lies what earlier volumes left: it is
    // blank until its file system is made, whatever is found there.
    let is_blank = spec.space.is_thick() && found.volume.is_none_or(|volume| tags::is_blank(&volume.tags));

    let device = mapper_path(&group.name, &volume);
    let mounted = match observe::mounted_at(facts.mounts, at.as_path()) {
        Some(mount) if mount.source == device => true,
        Some(mount) => return Err(refused(format!("{} is mounted at {at}, where the brick is to be", mount.source))),
        None => false,
    };
    if mounted && is_blank {
        return Err(refused(format!("{}/{volume} is mounted, and says that nothing is on it yet", group.name)));
    }
    if !mounted {
        let signatures = facts.on_volume.as_deref().unwrap_or_default();
        let arbiter = spec.tags.role == BrickRole::Arbiter;
        match (signatures, BlankVolume::of_brick(&found).filter(|_| is_blank)) {
            ([], _) => {
                steps.push(Step::MakeXfs { group: group.name.clone(), volume: volume.clone(), arbiter });
            }
            (_, Some(blank)) => steps.push(Step::MakeXfsOver { blank, arbiter }),
            ([only], None) if only.what == "xfs" => {}
            ([other, ..], None) => {
                return Err(refused(format!("{}/{volume} carries a signature of {}", group.name, other.what)));
            }
        }
        if is_blank {
            let (group, volume) = (group.name.clone(), volume.clone());
            steps.push(Step::ReplaceTags { group, volume, gone: vec![tags::blank()], new: Vec::new() });
        }
        steps.push(Step::MakeMountPoint { at: at.clone() });
    }
    let line = fstab::line(&device, &at, key.brick);
    if fstab::of_brick(facts.fstab, key.brick).is_none_or(|entry| entry.source != device || entry.at != at.as_path()) {
        steps.push(Step::SetLine { brick: key.brick, line });
    }
    if !mounted {
        steps.push(Step::Mount { group: group.name.clone(), volume, at: at.clone() });
    }
    let content = record(&spec.record);
    if facts.record.as_ref() != Some(&content) {
        steps.push(Step::WriteRecord { at: at.clone(), content });
    }
    let path = found.volume.map_or_else(|| at.brick_path(), |volume| tags::brick_path(&at, &volume.tags));
    steps.push(Step::MakeBrickDirectory { path, gid: spec.gid });
    Ok(steps)
}

/// The step that makes the volumes of a brick that has none, or a pool alone.
fn create(spec: &BrickSpec, found: &Found<'_>, volume: LvName) -> Result<Step, Failure> {
    let group = found.group;
    let volume_tags = tags::print_brick(&spec.tags);
    match (spec.space.provisioning, found.pool) {
        (Provisioning::Thick, Some(pool)) => Err(refused(format!(
            "{}/{} says that it is the pool of brick {}, which is to be thick and has none",
            group.name, pool.name, spec.tags.brick
        ))),
        (Provisioning::Thick, None) => {
            let mut tags = volume_tags;
            tags.push(tags::blank());
            let (group, size) = (group.name.clone(), spec.space.volume);
            Ok(Step::CreateLinear(Box::new(LinearVolume { group, volume, size, tags })))
        }
        (Provisioning::Thin, pool) => Ok(Step::CreateVolumes(Box::new(BrickVolumes {
            group: group.name.clone(),
            pool: pool.map_or_else(|| LvName::of_pool(spec.tags.brick), |pool| pool.name.clone()),
            volume,
            space: spec.space,
            extent_size: group.space.extent_size,
            pool_tags: tags::print_pool(&spec.tags),
            volume_tags,
        }))),
    }
}

/// The brick has at least the space of the spec. Nothing is made smaller, and what a crash left half grown is gone on
/// with: the tags, which say that all is done, change after the file system has grown.
pub fn grow(spec: &BrickSpec, facts: &Facts<'_>) -> Result<Vec<Step>, Failure> {
    let key = spec.key();
    let Some(group) = facts.group else {
        return Err(refused(format!("device {} is not on this host", spec.device)));
    };
    let found = Found::look(group, &key)?;
    let Some(volume) = found.volume else {
        return Err(refused(format!("brick {} is not on device {}", key.brick, spec.device)));
    };
    let name = format!("{}/{}", group.name, volume.name);
    let tags = same_place(spec, &name, volume)?;
    if spec.tags.asked < tags.asked {
        return Err(refused(format!(
            "brick {} was asked to hold {}, and a brick is never made smaller: not {}",
            key.brick, tags.asked, spec.tags.asked
        )));
    }
    same_provisioning(spec, &name, volume)?;
    if tags::is_blank(&volume.tags) {
        return Err(refused(format!("{name} is not made yet")));
    }
    let Some(mount) = observe::mount_of(facts.mounts, &group.name, &volume.name) else {
        return Err(refused_with_cure(
            format!("brick {} is not mounted, and XFS grows only while it is", key.brick),
            format!("See why {name} is not mounted: restart bricklayer-agent, and read its log"),
        ));
    };
    let at: MountPoint = mount.at.as_str().parse().map_err(|error| refused(format!("brick {}: {error}", key.brick)))?;

    let larger = |wanted: Extents, now: ByteSize| match wanted.to_bytes(group.space.extent_size) {
        Some(wanted) => Ok((wanted > now).then_some(wanted)),
        None => Err(refused("what is asked for does not fit into 64 bits")),
    };
    let to = larger(spec.space.volume, volume.size)?;
    let one = group.space.extent_size;
    let more = |to: Option<ByteSize>, now: ByteSize| now.short_of(to.unwrap_or(now)).to_extents(one);
    let mut steps = Vec::new();
    let needed = match spec.space.provisioning {
        Provisioning::Thick => Some(more(to, volume.size)),
        Provisioning::Thin => {
            let (pool, metadata) = pool_of(group, volume)?;
            let data = larger(spec.space.pool, pool.size)?;
            let more_metadata = larger(spec.space.metadata, metadata)?;
            let spare = match more_metadata {
                Some(_) => spare_growth(group.space.spare, spec.space.metadata),
                None => Extents::ZERO,
            };
            if data.is_some() || more_metadata.is_some() {
                let (group, pool) = (group.name.clone(), pool.name.clone());
                steps.push(Step::ExtendPool { group, pool, data, metadata: more_metadata });
            }
            let needed = more(data, pool.size).checked_add(more(more_metadata, metadata));
            needed.and_then(|needed| needed.checked_add(spare))
        }
    };
    enough_space(&spec.tags.brick, spec.device, group, needed)?;
    if let Some(to) = to {
        steps.push(Step::ExtendVolume { group: group.name.clone(), volume: volume.name.clone(), to });
    }
    let (gone, new) = tags::difference(&tags::print_brick(&tags), &tags::print_brick(&spec.tags));
    let retag = !(gone.is_empty() && new.is_empty());
    if retag || !steps.is_empty() {
        steps.push(Step::GrowXfs { at: at.clone() });
    }
    if retag {
        steps.push(Step::ReplaceTags { group: group.name.clone(), volume: volume.name.clone(), gone, new });
    }
    let content = record(&spec.record);
    if facts.record.as_ref() != Some(&content) {
        steps.push(Step::WriteRecord { at, content });
    }
    Ok(steps)
}

/// The pool in which a thin volume lies, and the size of its metadata.
fn pool_of<'a>(group: &'a GroupReport, volume: &LogicalVolume) -> Result<(&'a LogicalVolume, ByteSize), Failure> {
    let LvKind::Thin { pool } = &volume.kind else {
        return Err(refused(format!("{}/{} is no thin volume", group.name, volume.name)));
    };
    match group.volumes.iter().find(|volume| volume.name == *pool).map(|pool| (pool, &pool.kind)) {
        Some((pool, LvKind::ThinPool { metadata, .. })) => Ok((pool, *metadata)),
        _ => Err(refused(format!("LVM does not report {}/{pool}, the pool of {}", group.name, volume.name))),
    }
}

/// A disk that is not seen for a while, as it fails or its controller does, comes back with all that is on it. Taken for gone, its
/// bricks would be nobody's then.
fn unseen(key: &BrickKey) -> Failure {
    let said =
        format!("the volume group of device {} is not seen on this host, so brick {} stays", key.device, key.brick);
    let cure = "Bring the disk back, or, if it is gone for good, declare it lost: `bricklayer device lost`";
    Failure { kind: FailureKind::Unavailable, ..refused_with_cure(said, cure) }
}

/// The brick's volumes carry the mark; nothing to do where there are none.
pub fn condemn(key: &BrickKey, group: Option<&GroupReport>) -> Result<Vec<Step>, Failure> {
    let group = group.ok_or_else(|| unseen(key))?;
    let found = Found::look(group, key)?;
    let there = [found.volume, found.pool];
    let volumes: Vec<LvName> =
        there.into_iter().flatten().filter(|volume| !volume.condemned).map(|volume| volume.name.clone()).collect();
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Step::CondemnVolumes { group: group.name.clone(), volumes }])
}

/// The condemned brick is gone: mount, line of fstab, volumes, mount point. Its pool goes along, unless clones live in it.
pub fn remove(key: &BrickKey, facts: &Facts<'_>) -> Result<Vec<Step>, Failure> {
    let in_fstab = fstab::of_brick(facts.fstab, key.brick);
    let group = facts.group.ok_or_else(|| unseen(key))?;
    let found = Found::look(group, key)?;
    let handover = match found.pool {
        Some(pool) => clone::hand_over(group, pool, found.volume)?,
        None => None,
    };
    // A pool that is handed over stays.
    let going = if handover.is_some() { Found { pool: None, ..found } } else { found };
    let doomed = DoomedVolumes::of_brick(&going, key)?;
    let volume = found.volume_name(key);
    let at = place(facts, group, &volume, key);
    let mut steps = Vec::new();
    for mount in facts.mounts.iter().rev().filter(|mount| mount.source == mapper_path(&group.name, &volume)) {
        let at = mount.at.as_str().parse().map_err(|_| {
            refused_with_cure(
                format!("brick {} is mounted at {:?} too", key.brick, mount.at),
                "Unmount it there by hand",
            )
        })?;
        steps.push(Step::Unmount { at });
    }
    // Before the volumes: a boot in between must not wait for a device that is gone.
    if in_fstab.is_some() {
        steps.push(Step::DropLine { brick: key.brick });
    }
    // Before the brick goes: nobody would know afterwards whose the pool was.
    steps.extend(handover);
    if !doomed.volumes().is_empty() {
        steps.push(Step::RemoveVolumes(doomed));
    }
    if !found.volume.is_some_and(|volume| tags::is_mounted_by_glusterd(&volume.tags)) {
        steps.push(Step::RemoveMountPoint { at });
    }
    Ok(steps)
}

/// What stands in the brick's record.
#[must_use]
pub fn record(record: &VolumeRecord) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(record).expect("a record has only string keys");
    json.push(b'\n');
    json
}

fn same_shape(spec: &BrickSpec, group: &GroupReport, there: &LogicalVolume) -> Result<(), Failure> {
    let name = format!("{}/{}", group.name, there.name);
    same_place(spec, &name, there)?;
    same_provisioning(spec, &name, there)?;
    let wanted = spec.space.volume.to_bytes(group.space.extent_size);
    if wanted != Some(there.size) {
        let wanted = wanted.map_or_else(|| "more than can be".to_owned(), |size| size.to_string());
        return Err(refused(format!("{name} has {}, not the {wanted} that were asked for", there.size)));
    }
    Ok(())
}

/// Whether it is a thin or a linear volume as the spec has it.
fn same_provisioning(spec: &BrickSpec, name: &str, there: &LogicalVolume) -> Result<(), Failure> {
    match (spec.space.provisioning, &there.kind) {
        (Provisioning::Thin, LvKind::Thin { .. }) => Ok(()),
        (Provisioning::Thick, kind) if kind.is_linear() => Ok(()),
        (Provisioning::Thin, _) => Err(refused(format!("{name} is no thin volume"))),
        (Provisioning::Thick, _) => Err(refused(format!("{name} is no linear volume, and the brick is a thick one"))),
    }
}

/// What the volume's tags say, if it is the brick in the place where the spec has it, and stays.
fn same_place(spec: &BrickSpec, name: &str, there: &LogicalVolume) -> Result<BrickTags, Failure> {
    if there.condemned {
        return Err(refused(format!("{name} is condemned: it is being removed")));
    }
    let place = |tags: &BrickTags| (tags.set, tags.position, tags.role);
    let tags = tags::parse_brick(&there.tags).ok().flatten();
    tags.filter(|tags| place(tags) == place(&spec.tags))
        .ok_or_else(|| refused(format!("{name} is brick {} in another place of its volume", spec.tags.brick)))
}

/// Compares what is needed (`None`: more than can be counted) with what the group has.
fn enough_space(
    brick: &BrickId,
    device: DeviceId,
    group: &GroupReport,
    needed: Option<Extents>,
) -> Result<(), Failure> {
    let free = group.space.free;
    let short = match needed {
        Some(needed) if needed <= free => return Ok(()),
        Some(needed) => {
            let one = group.space.extent_size;
            let size =
                |extents: Extents| extents.to_bytes(one).map_or_else(|| extents.to_string(), |size| size.to_string());
            let missing = needed.checked_sub(free).unwrap_or(needed);
            format!("{} are needed, {} are free, {} are missing", size(needed), size(free), size(missing))
        }
        None => "what is needed does not fit into 64 bits".to_owned(),
    };
    Err(Failure {
        kind: FailureKind::NoSpace,
        message: format!("No space for brick {brick} on device {device}: {short}"),
        cure: None,
        obstacles: Vec::new(),
    })
}
