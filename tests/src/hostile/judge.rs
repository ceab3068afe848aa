//! Whether a task did more than it may.

use std::collections::BTreeMap;

use bricklayer_agent::host::{GroupReport, Host as _};
use bricklayer_agent::tags;
use bricklayer_proto::ids::{BrickId, DeviceId, VolumeId};
use bricklayer_proto::inventory::LvKind;
use bricklayer_proto::names::LvName;
use bricklayer_proto::task::{BrickKey, NO_VOLUME_ID, VOLUME_ID_OPTION, VolumeKey, Wanted};

use super::scene::DISKS;
use crate::rig;
use crate::sim::{Footprint, SimHost};

/// What could be destroyed or marked.
#[derive(Debug)]
pub struct Things {
    /// By their UUIDs.
    groups: BTreeMap<String, Thing<DeviceId>>,
    volumes: BTreeMap<String, Thing<BrickKey>>,
    /// The groups that carry no tag of any Bricklayer's, with the disk that each lies on by itself.
    strangers: BTreeMap<String, String>,
    /// Signatures on disks, by the disk's path.
    signatures: BTreeMap<String, Vec<String>>,
    /// Volumes of GlusterFS by its own ids: name, whether it runs, the id that it carries.
    gluster: BTreeMap<String, (String, bool, Option<String>)>,
    all: Footprint,
}

/// A volume group or a logical volume.
#[derive(Debug)]
struct Thing<K> {
    name: String,
    marked: bool,
    /// The ids in its tags, if they say that it is of this installation and what we make.
    ours: Option<K>,
}

impl Things {
    /// All that is on the host now.
    ///
    /// # Panics
    /// If the host has no power.
    pub async fn on(host: &SimHost) -> Self {
        let all = host.footprint();
        let (mut groups, mut volumes, mut strangers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for group in &all.view.groups {
            let GroupReport { name, uuid, tags: words, .. } = group;
            let ours = match tags::parse_group(words) {
                Ok(Some(found)) if found.installation == rig::INSTALLATION => Some(found.device),
                _ => None,
            };
            if let (Ok(None), [one]) = (tags::parse_group(words), &group.physical_volumes[..]) {
                let disk = one.path.as_ref().map(ToString::to_string);
                strangers.insert(name.to_string(), disk.unwrap_or_default());
            }
            let marked = tags::is_condemned(words);
            groups.insert(uuid.clone(), Thing { name: name.to_string(), marked, ours });
            for volume in &group.volumes {
                // A pool's hidden parts go with the pool, and the spare with the last one.
                let name_of = volume.name.as_str();
                if name_of.ends_with("_tdata") || name_of.ends_with("_tmeta") || name_of.starts_with("lvol0_pmspare") {
                    continue;
                }
                let is_thin = matches!(volume.kind, LvKind::Thin { .. } | LvKind::ThinPool { .. });
                let key = ours.and_then(|device| {
                    let (brick, of) = ids_of(&volume.tags)?;
                    // A thick brick has its name; whatever else is linear is a stranger's, though it carries its tags.
                    let is_made_by_us = is_thin || volume.name == LvName::of_brick(brick);
                    is_made_by_us.then_some(BrickKey { device, brick, volume: of })
                });
                let thing = Thing {
                    name: format!("{name}/{}", volume.name),
                    marked: tags::is_condemned(&volume.tags),
                    ours: key,
                };
                volumes.insert(volume.uuid.clone(), thing);
            }
        }
        let mut signatures = BTreeMap::new();
        for (disk, _) in DISKS {
            if let Ok(found) = host.signatures(&disk.parse().expect("a device path")).await {
                signatures.insert(disk.to_owned(), found.into_iter().map(|signature| signature.what).collect());
            }
        }
        let gluster = all.volumes.iter().map(|volume| {
            let id = volume.options.iter().find(|(key, _)| key == VOLUME_ID_OPTION).map(|(_, value)| value.clone());
            (volume.uuid.clone(), (volume.name.to_string(), volume.started, id))
        });
        Self { gluster: gluster.collect(), groups, volumes, strangers, signatures, all }
    }

    /// How many volumes and groups are not in the other.
    #[must_use]
    pub fn gone_in(&self, after: &Self) -> u64 {
        let volumes = self.volumes.keys().filter(|uuid| !after.volumes.contains_key(*uuid)).count();
        let groups = self.groups.keys().filter(|uuid| !after.groups.contains_key(*uuid)).count();
        (volumes + groups) as u64
    }
}

fn ids_of(words: &[bricklayer_proto::names::LvmTag]) -> Option<(BrickId, VolumeId)> {
    if let Ok(Some(brick)) = tags::parse_brick(words) {
        return Some((brick.brick, brick.volume));
    }
    match tags::parse_pool(words) {
        Ok(Some(pool)) => Some((pool.brick, pool.volume)),
        _ => None,
    }
}

/// Nothing is different.
pub fn same(before: &Things, after: &Things) -> Result<(), String> {
    if before.all == after.all {
        return Ok(());
    }
    Err(format!("a task that may do nothing changed\n{}", after.all.differences_from(&before.all)))
}

/// Nothing went, and nothing was marked, but what the task names by all its ids; and what went was marked before.
pub fn judge(before: &Things, after: &Things, task: &Wanted) -> Result<(), String> {
    lvm(before, after, task)?;
    gluster(before, after, task)?;
    // Nothing fails here, so what a group of ours leaves goes in the same task: these are somebody else's.
    for loose in &before.all.view.loose_physical_volumes {
        let path = loose.path.as_ref().map(ToString::to_string).unwrap_or_default();
        let still = after.all.view.loose_physical_volumes.iter().any(|other| other.uuid == loose.uuid);
        if !still && !is_given_up(task, &path) {
            return Err(format!("physical volume {} went from {path}", loose.uuid));
        }
    }
    for (disk, words) in &before.signatures {
        let still = after.signatures.get(disk).map_or(&[][..], Vec::as_slice);
        // A disk that becomes a physical volume shows that instead; a group of ours that went is judged by itself.
        let gone = words.iter().any(|word| word != "LVM2_member" && !still.contains(word));
        if gone && !is_given_up(task, disk) {
            return Err(format!("what was on {disk} went: {words:?}, now {still:?}"));
        }
    }
    Ok(())
}

fn lvm(before: &Things, after: &Things, task: &Wanted) -> Result<(), String> {
    let (mut names_brick, mut names_device) = (None, None);
    match task {
        Wanted::BrickCondemned(key) | Wanted::BrickGone(key) => names_brick = Some(*key),
        Wanted::DeviceCondemned { device } | Wanted::DeviceGone { device, .. } => names_device = Some(*device),
        _ => {}
    }
    let goes = matches!(task, Wanted::BrickGone(_) | Wanted::DeviceGone { .. });
    // Whoever gives a disk up gives up the group on it, if that is nobody's of ours.
    let given_up = |group: &str| before.strangers.get(group).is_some_and(|disk| is_given_up(task, disk));
    for (uuid, thing) in &before.volumes {
        let is_named = thing.ours.is_some() && thing.ours == names_brick;
        check(thing, after.volumes.get(uuid), is_named, goes, "logical volume", || {
            given_up(thing.name.split('/').next().unwrap_or_default())
        })?;
    }
    for (uuid, thing) in &before.groups {
        let is_named = thing.ours.is_some() && thing.ours == names_device;
        check(thing, after.groups.get(uuid), is_named, goes, "volume group", || given_up(&thing.name))?;
    }
    Ok(())
}

fn check<K: std::fmt::Debug>(
    before: &Thing<K>,
    after: Option<&Thing<K>>,
    is_named: bool,
    goes: bool,
    what: &str,
    given_up: impl Fn() -> bool,
) -> Result<(), String> {
    let Thing { name, marked, ours } = before;
    match after {
        None if (*marked && is_named && goes) || given_up() => Ok(()),
        None => Err(format!("{what} {name} went; marked: {marked}, ours: {ours:?}, named by the task: {is_named}")),
        Some(after) if after.marked && !marked && (goes || !is_named) => {
            Err(format!("{what} {name} was marked; ours: {ours:?}, named by the task: {is_named}"))
        }
        Some(_) => Ok(()),
    }
}

/// A volume goes, or stops, only by its own id; where it carries none, by that of a brick of ours that is here.
fn gluster(before: &Things, after: &Things, task: &Wanted) -> Result<(), String> {
    for (uuid, (name, runs, id)) in &before.gluster {
        let bricks_say =
            |volume: VolumeId| before.volumes.values().any(|thing| thing.ours.is_some_and(|key| key.volume == volume));
        let is_it = |key: &VolumeKey| {
            let says = match id.as_deref() {
                None | Some(NO_VOLUME_ID) => bricks_say(key.volume),
                Some(id) => id == key.volume.to_string(),
            };
            key.name.as_str() == name && says
        };
        match after.gluster.get(uuid) {
            None if !matches!(task, Wanted::VolumeGone(gone) if is_it(&gone.key)) => {
                return Err(format!("volume {name} of GlusterFS went, which says that it is {id:?}"));
            }
            Some((_, false, _)) if *runs && !matches!(task, Wanted::VolumeStopped(key) if is_it(key)) => {
                return Err(format!("volume {name} of GlusterFS was stopped, which says that it is {id:?}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a person said by this task that what is on the disk may go.
fn is_given_up(task: &Wanted, disk: &str) -> bool {
    match task {
        Wanted::Device(spec) => spec.destroy && spec.path.as_str() == disk,
        Wanted::DiskWiped { path, confirm } => {
            let is_serial = |(of, serial): &(&str, &str)| *of == disk && *serial == confirm;
            path.as_str() == disk && !confirm.is_empty() && DISKS.iter().any(is_serial)
        }
        _ => false,
    }
}
