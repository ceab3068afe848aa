//! The bricks of clones: glusterd makes them inside the pool of the brick that they are a clone of, and mounts them.
//!
//! Such a brick becomes ours by our tags and our record. A pool always belongs to one brick in it, whose ids its tags
//! carry; when that brick goes and a clone stays, the pool becomes the clone's, and goes with it. So both keys fit a
//! pool as they fit a brick.

use bricklayer_proto::inventory::{BrickTags, LogicalVolume, LvKind};
use bricklayer_proto::names::{MountPoint, mapper_path};
use bricklayer_proto::task::{CloneBrickSpec, Failure};

use super::brick::{Facts, Found, record};
use super::{Step, refused, refused_with_cure};
use crate::host::{GroupReport, Mount};
use crate::tags;

/// The thin volume below the brick's path, and where its file system is mounted.
pub fn find<'a>(spec: &CloneBrickSpec, facts: &Facts<'a>) -> Result<(&'a LogicalVolume, MountPoint), Failure> {
    let Some(group) = facts.group else {
        return Err(refused(format!("device {} is not on this host", spec.device)));
    };
    let path = spec.path.as_path();
    let above = facts.mounts.iter().filter(|mount| path.starts_with(&mount.at) && mount.at != path);
    // The last one mounted covers those before it at the same place.
    let mount: Option<&Mount> = above.max_by_key(|mount| mount.at.as_str().len());
    let found = mount.and_then(|mount| {
        let is_it = |volume: &&LogicalVolume| mount.source == mapper_path(&group.name, &volume.name);
        Some((group.volumes.iter().find(is_it)?, mount))
    });
    let Some((volume, mount)) = found else {
        return Err(refused_with_cure(
            format!("{path} lies on no mounted volume of device {}", spec.device),
            "glusterd mounts the bricks of clones when it starts: see its log",
        ));
    };
    let at = mount.at.as_str().parse().map_err(|error| refused(format!("brick {}: {error}", spec.tags.brick)))?;
    Ok((volume, at))
}

/// The brick that glusterd made is one of ours.
pub fn take(spec: &CloneBrickSpec, facts: &Facts<'_>) -> Result<Vec<Step>, Failure> {
    let key = spec.key();
    let (volume, at) = find(spec, facts)?;
    let Some(group) = facts.group else { return Ok(Vec::new()) };
    let name = format!("{}/{}", group.name, volume.name);
    if let Some(other) = Found::look(group, &key)?.volume.filter(|other| other.name != volume.name) {
        return Err(refused(format!("{}/{} says already that it is brick {}", group.name, other.name, key.brick)));
    }
    if !matches!(volume.kind, LvKind::Thin { .. }) {
        return Err(refused(format!("{name} is no thin volume")));
    }
    let whose = match (tags::parse_brick(&volume.tags), tags::parse_pool(&volume.tags)) {
        (Ok(brick), Ok(None)) => brick,
        (Ok(_), Ok(Some(_))) => return Err(refused(format!("{name} says that it is a pool"))),
        (Err(damaged), _) | (_, Err(damaged)) => {
            return Err(refused(format!("{name} has tags that cannot be read: {damaged}")));
        }
    };
    if let Some(other) = whose.filter(|whose| (whose.brick, whose.volume) != (key.brick, key.volume)) {
        return Err(refused(format!("{name} is brick {} of volume {} already", other.brick, other.volume)));
    }
    if volume.condemned {
        return Err(refused(format!("{name} is condemned: it is being removed")));
    }
    let mut steps = Vec::new();
    let content = record(&spec.record);
    // Until then the file system has the record of the volume that it was cloned from, so the tags come after it.
    if facts.record.as_ref() != Some(&content) {
        steps.push(Step::WriteRecord { at: at.clone(), content });
    }
    let mut wanted = tags::print_brick(&spec.tags);
    wanted.push(tags::mounted_by_glusterd());
    // As its source's, whose folder need not be called as ours are.
    if spec.path != at.brick_path() {
        wanted.extend(spec.path.folder_in(&at).and_then(tags::print_folder));
    }
    let (gone, new) = tags::difference(&tags::ours(&volume.tags), &wanted);
    if !(gone.is_empty() && new.is_empty()) {
        steps.push(Step::ReplaceTags { group: group.name.clone(), volume: volume.name.clone(), gone, new });
    }
    Ok(steps)
}

/// Makes another brick the owner of the pool that `own` leaves; `None` where nothing else lies in it. What is not ours
/// and lies in it is a reason to remove nothing.
pub fn hand_over(
    group: &GroupReport,
    pool: &LogicalVolume,
    own: Option<&LogicalVolume>,
) -> Result<Option<Step>, Failure> {
    let in_pool = |volume: &&LogicalVolume| {
        matches!(&volume.kind, LvKind::Thin { pool: of } if *of == pool.name)
            && own.is_none_or(|own| own.name != volume.name)
    };
    let others: Vec<&LogicalVolume> = group.volumes.iter().filter(in_pool).collect();
    let mut heir: Option<BrickTags> = None;
    for other in &others {
        match tags::parse_brick(&other.tags) {
            Ok(Some(brick)) => heir = heir.or(Some(brick)),
            Ok(None) | Err(_) => {
                return Err(refused_with_cure(
                    format!("{}/{} lies in the brick's pool {} and is not ours", group.name, other.name, pool.name),
                    "Delete the snapshots of the volume first",
                ));
            }
        }
    }
    let Some(heir) = heir else { return Ok(None) };
    let mut wanted = tags::print_pool(&heir);
    if others.iter().all(|other| other.condemned) {
        wanted.push(tags::condemned());
    }
    let (gone, new) = tags::difference(&tags::ours(&pool.tags), &wanted);
    Ok(Some(Step::ReplaceTags { group: group.name.clone(), volume: pool.name.clone(), gone, new }))
}
