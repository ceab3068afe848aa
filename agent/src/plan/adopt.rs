//! What others made becomes ours, and is given back.
//!
//! Marks alone come and go: tags, the record beside the brick, options in its line of fstab. Nothing here makes, resizes,
//! mounts or removes anything, and whatever is not as the adoption says is a reason to touch nothing.

use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption};
use bricklayer_proto::inventory::{GroupTags, LogicalVolume, LvKind};
use bricklayer_proto::names::{LvName, LvmTag, MountPoint, mapper_path};
use bricklayer_proto::task::Failure;

use super::brick::{Facts, record};
use super::{Step, refused, refused_with_cure};
use crate::fstab;
use crate::host::{GroupReport, Mount};
use crate::observe;
use crate::tags::{self, Damaged};

/// What heketi and most people call the folder that is the brick, and we do.
const USUAL_FOLDER: &str = "brick";

/// The group carries our tags.
pub fn take_group(spec: &GroupAdoption, group: Option<&GroupReport>) -> Result<Vec<Step>, Failure> {
    let name = &spec.group;
    let Some(group) = group else { return Err(refused(format!("there is no volume group {name} on this host"))) };
    match group.physical_volumes.as_slice() {
        [one] if one.missing => return Err(refused(format!("the disk of volume group {name} is missing"))),
        [one] if one.uuid == spec.pv_uuid => {}
        [other] => {
            let uuid = &other.uuid;
            return Err(refused(format!("volume group {name} lies on physical volume {uuid}, not {}", spec.pv_uuid)));
        }
        several => {
            let count = several.len();
            return Err(refused(format!("volume group {name} lies on {count} disks, and a device has one")));
        }
    }
    let wanted = GroupTags { installation: spec.installation, node: spec.node, device: spec.device };
    match tags::parse_group(&group.tags) {
        Err(damaged) => return Err(unreadable(&name.to_string(), &damaged)),
        Ok(Some(_)) if tags::is_condemned(&group.tags) => {
            return Err(refused(format!("volume group {name} is condemned: it is being removed")));
        }
        Ok(Some(found)) if found == wanted => return Ok(Vec::new()),
        Ok(Some(other)) => {
            return Err(refused(format!(
                "volume group {name} says that it is device {} of installation {}",
                other.device, other.installation
            )));
        }
        Ok(None) => {}
    }
    let mut new = tags::print_group(&wanted);
    new.push(tags::adopted());
    Ok(vec![Step::ReplaceGroupTags { group: name.clone(), gone: Vec::new(), new }])
}

/// The group carries no tag of ours; nothing to do where it is not there.
pub fn release_group(spec: &GroupAdoption, group: Option<&GroupReport>) -> Result<Vec<Step>, Failure> {
    let Some(group) = group else { return Ok(Vec::new()) };
    let name = &spec.group;
    match tags::parse_group(&group.tags) {
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(found)) if found.device == spec.device && found.installation == spec.installation => {}
        Ok(Some(other)) => return Err(refused(format!("volume group {name} says that it is device {}", other.device))),
        Err(damaged) => return Err(unreadable(&name.to_string(), &damaged)),
    }
    if tags::is_condemned(&group.tags) {
        return Err(refused(format!("volume group {name} is condemned: it is being removed")));
    }
    if let Some(ours) = group.volumes.iter().find(|volume| !tags::ours(&volume.tags).is_empty()) {
        return Err(refused(format!("{name}/{} in it is ours, so {name} is as well", ours.name)));
    }
    Ok(vec![Step::ReplaceGroupTags { group: name.clone(), gone: tags::ours(&group.tags), new: Vec::new() }])
}

/// The brick is ours and stays where it is. The tags come last: they say that all the rest is done.
pub fn take_brick(spec: &BrickAdoption, facts: &Facts<'_>) -> Result<Vec<Step>, Failure> {
    let key = spec.key();
    let Some(group) = facts.group else {
        return Err(refused(format!("there is no volume group {} on this host", spec.group)));
    };
    super::device::ours(group, key.device)?;
    nobody_elses(spec, group)?;
    let name = format!("{}/{}", group.name, spec.volume);
    let (volume, pool) = volumes(spec, group)?;
    let Some(volume) = volume else { return Err(refused(format!("there is no {name}"))) };
    match &spec.pool {
        Some(name_of_pool) => {
            if !pool.is_some_and(|pool| matches!(pool.kind, LvKind::ThinPool { .. })) {
                return Err(refused(format!("there is no thin pool {}/{name_of_pool}", group.name)));
            }
            if !matches!(&volume.kind, LvKind::Thin { pool } if pool == name_of_pool) {
                return Err(refused(format!("{name} does not lie in thin pool {name_of_pool}")));
            }
        }
        None if !volume.kind.is_linear() => {
            return Err(refused(format!("{name} is neither a thin nor a linear volume")));
        }
        None => {}
    }
    if spec.spec.space.is_thick() != spec.pool.is_none() {
        return Err(refused(format!("what is asked for contradicts itself: {name} with the space of another kind")));
    }
    if Some(volume.size) != spec.spec.space.volume.to_bytes(group.space.extent_size) {
        return Err(refused_with_cure(format!("{name} has another size than when this was planned"), "Plan it anew"));
    }
    for there in std::iter::once(volume).chain(pool) {
        if there.condemned {
            return Err(refused(format!("{}/{} is condemned: it is being removed", group.name, there.name)));
        }
    }
    let (_, at) = mount(spec, group, facts.mounts)?;
    let Some(folder) = spec.path.folder_in(&at) else {
        return Err(refused(format!("{name} is mounted at {at}, and the brick is {}", spec.path)));
    };

    let mut steps = Vec::new();
    let content = record(&spec.spec.record);
    if facts.record.as_ref() != Some(&content) {
        steps.push(Step::WriteRecord { at: at.clone(), content });
    }
    let device = mapper_path(&group.name, &volume.name);
    if !spec.mounted_by_glusterd {
        let lines = fstab::entries(facts.fstab).filter(|entry| entry.at == at.as_path()).count();
        if lines > 1 {
            return Err(refused_with_cure(
                format!("{lines} lines of fstab mount something at {at}"),
                "Leave the one that mounts the brick",
            ));
        }
        match fstab::of_brick(facts.fstab, key.brick) {
            None => steps.push(Step::TakeLine { brick: key.brick, device, at }),
            Some(entry) if entry.source == device && entry.at == at.as_path() => {}
            Some(entry) => {
                return Err(refused_with_cure(
                    format!("the line of brick {} in fstab mounts {} at {}", key.brick, entry.source, entry.at),
                    format!("Let it mount {device} at {at}, or take it out"),
                ));
            }
        }
    }
    let mut retag = |there: &LogicalVolume, wanted: &[LvmTag]| {
        let (gone, new) = tags::difference(&tags::ours(&there.tags), wanted);
        if !(gone.is_empty() && new.is_empty()) {
            let (group, volume) = (group.name.clone(), there.name.clone());
            steps.push(Step::ReplaceTags { group, volume, gone, new });
        }
    };
    if let Some(pool) = pool.filter(|_| spec.owns_pool) {
        retag(pool, &tags::print_pool(&spec.spec.tags));
    }
    let mut wanted = tags::print_brick(&spec.spec.tags);
    wanted.push(tags::adopted());
    if folder != USUAL_FOLDER {
        let tag = tags::print_folder(folder);
        wanted.push(tag.ok_or_else(|| refused(format!("{} cannot be written into an LVM tag", spec.path)))?);
    }
    if spec.mounted_by_glusterd {
        wanted.push(tags::mounted_by_glusterd());
    }
    retag(volume, &wanted);
    Ok(steps)
}

/// Nothing of ours is left of the brick; what of it is gone needs nothing. The tags go first, as they came last.
pub fn release_brick(spec: &BrickAdoption, facts: &Facts<'_>) -> Result<Vec<Step>, Failure> {
    let key = spec.key();
    let mut steps = Vec::new();
    if let Some(group) = facts.group {
        nobody_elses(spec, group)?;
        let (volume, pool) = volumes(spec, group)?;
        for there in [volume, pool.filter(|_| spec.owns_pool)].into_iter().flatten() {
            if there.condemned {
                return Err(refused(format!("{}/{} is condemned: it is being removed", group.name, there.name)));
            }
            let gone = tags::ours(&there.tags);
            if !gone.is_empty() {
                let (group, volume) = (group.name.clone(), there.name.clone());
                steps.push(Step::ReplaceTags { group, volume, gone, new: Vec::new() });
            }
        }
        if facts.record.is_some()
            && let Ok((_, at)) = mount(spec, group, facts.mounts)
        {
            steps.push(Step::RemoveRecord { at });
        }
    }
    if fstab::of_brick(facts.fstab, key.brick).is_some() {
        steps.push(Step::GiveLineBack { brick: key.brick });
    }
    Ok(steps)
}

/// Refused where the group is another device, or that of another installation, which may have adopted the same bricks by
/// the same ids. One that is not marked yet, or no more, is fine.
fn nobody_elses(spec: &BrickAdoption, group: &GroupReport) -> Result<(), Failure> {
    let (device, installation) = (spec.spec.device, spec.spec.record.installation);
    match tags::parse_group(&group.tags) {
        Ok(None) => Ok(()),
        Ok(Some(found)) if found.device == device && found.installation == installation => Ok(()),
        Ok(Some(other)) => Err(refused(format!(
            "volume group {} says that it is device {} of installation {}",
            group.name, other.device, other.installation
        ))),
        Err(damaged) => Err(unreadable(&group.name.to_string(), &damaged)),
    }
}

/// The brick's volume and its pool, if it has one, by their names, if they are nobody else's.
fn volumes<'a>(
    spec: &BrickAdoption,
    group: &'a GroupReport,
) -> Result<(Option<&'a LogicalVolume>, Option<&'a LogicalVolume>), Failure> {
    let key = spec.key();
    let named = |name: &LvName| group.volumes.iter().find(|volume| volume.name == *name);
    let (volume, pool) = (named(&spec.volume), spec.pool.as_ref().and_then(named));
    for there in &group.volumes {
        let name = format!("{}/{}", group.name, there.name);
        let is_it = there.name == spec.volume;
        let is_pool = spec.pool.as_ref() == Some(&there.name) && spec.owns_pool;
        match (tags::parse_brick(&there.tags), tags::parse_pool(&there.tags)) {
            (Err(damaged), _) | (_, Err(damaged)) if is_it || is_pool => return Err(unreadable(&name, &damaged)),
            (Ok(Some(brick)), _) if is_it && (brick.brick, brick.volume) != (key.brick, key.volume) => {
                return Err(refused(format!("{name} is brick {} of volume {}", brick.brick, brick.volume)));
            }
            (Ok(Some(brick)), _) if !is_it && brick.brick == key.brick => {
                return Err(refused(format!("{name} says already that it is brick {}", key.brick)));
            }
            (_, Ok(Some(pool))) if is_it => {
                return Err(refused(format!("{name} says that it is the pool of brick {}", pool.brick)));
            }
            (_, Ok(Some(pool))) if is_pool && (pool.brick, pool.volume) != (key.brick, key.volume) => {
                return Err(refused(format!("{name} is the pool of brick {}", pool.brick)));
            }
            _ => {}
        }
    }
    Ok((volume, pool))
}

/// Where the brick's volume is mounted.
pub fn mount<'a>(
    spec: &BrickAdoption,
    group: &GroupReport,
    mounts: &'a [Mount],
) -> Result<(&'a Mount, MountPoint), Failure> {
    let name = format!("{}/{}", group.name, spec.volume);
    let Some(mount) = observe::mount_of(mounts, &group.name, &spec.volume) else {
        return Err(refused_with_cure(format!("{name} is not mounted"), "Mount it, so that it can be looked at"));
    };
    if mount.file_system != "xfs" {
        return Err(refused(format!("{name} carries {}, and a brick of ours carries XFS", mount.file_system)));
    }
    let at = mount.at.as_str().parse().map_err(|error| refused(format!("{name}: {error}")))?;
    Ok((mount, at))
}

fn unreadable(name: &str, damaged: &Damaged) -> Failure {
    refused(format!("{name} has tags that cannot be read: {damaged}"))
}
