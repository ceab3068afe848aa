//! What GlusterFS says of our volumes, and of those that are not ours.

use std::collections::{BTreeMap, BTreeSet};

use bricklayer_proto::ids::{ClusterId, VolumeId};
use bricklayer_proto::inventory::VolumeInPool;
use bricklayer_proto::names::VolumeName;
use bricklayer_proto::task::VolumeReport;
use jiff::SignedDuration;

use super::{Finding, Severity, Subject, World};
use crate::model::Volume;
use crate::ops::{GlusterView, options_of};

/// A heal of much data takes hours; what is not done by then wants a look.
const HEALS_LONG: SignedDuration = SignedDuration::from_hours(1);

pub fn examine(world: &World, findings: &mut Vec<Finding>) {
    for volume in world.topology.volumes.values() {
        let moves = volume.bricks.iter().any(|brick| world.is_moving(brick.device));
        // What was seen before it changed says nothing of it.
        if moves || world.recent.contains(&volume.id) || world.topology.is_changing(volume.id) {
            continue;
        }
        if let Some(view) = world.gluster.get(&volume.id) {
            of_volume(world, volume, view, findings);
        }
    }
    unknown(world, findings);
}

fn of_volume(world: &World, volume: &Volume, view: &GlusterView, findings: &mut Vec<Finding>) {
    let name = &volume.name;
    let mut found = |severity, code, what: String, cure: String| {
        findings.push(Finding { severity, code, subject: Subject::Volume(volume.id), host: String::new(), what, cure });
    };
    let Some(seen) = &view.seen else {
        let what = format!("GlusterFS has no volume {name}, whose bricks are recorded");
        let cure = "somebody deleted it by hand, or glusterd lost its files (/var/lib/glusterd): its bricks are left alone; \
                    restore those files from another host, or delete it: `bricklayer volume delete`";
        found(Severity::Error, "volume-missing", what, cure.to_owned());
        return;
    };
    match (seen.started, volume.trash) {
        (false, None) => {
            let what = format!("volume {name} is stopped in GlusterFS");
            found(
                Severity::Error,
                "volume-stopped",
                what,
                format!("on one of its hosts: `gluster volume start {name}`"),
            );
            return;
        }
        (true, Some(trash)) => {
            let what = format!(
                "volume {name} is in the trash and somebody has started it; it does not go by itself at {:.0}",
                trash.until
            );
            let cure =
                format!("have it back, `bricklayer volume undelete {name}`, or stop it: `gluster volume stop {name}`");
            found(Severity::Warning, "trash-started", what, cure);
            return;
        }
        (false, Some(_)) => return,
        (true, None) => {}
    }
    let drift = drifted(volume, seen);
    if !drift.is_empty() {
        let what = format!("volume {name} has other options in GlusterFS than it was made with: {}", drift.join(", "));
        let cure = format!("if nobody meant it, set them back: `gluster volume set {name} KEY VALUE`");
        found(Severity::Warning, "options-differ", what, cure);
    }
    if let Some(since) = view.healing_since.filter(|since| world.now.duration_since(*since) > HEALS_LONG) {
        let what =
            format!("volume {name} has {} entries left to heal, and has had some since {since:.0}", view.to_heal);
        let cure = format!(
            "see which bricks: `bricklayer volume heal {name}`, and `gluster volume heal {name} info split-brain`; what a \
                 host has lost in a power cut before it was on its disk: `gluster volume heal {name} full`"
        );
        found(Severity::Warning, "heal-takes-long", what, cure);
    }
    bricks(world, volume, seen, findings);
}

/// A brick whose host, glusterd or mount is not there has a finding of its own, which says why.
fn bricks(world: &World, volume: &Volume, seen: &VolumeReport, findings: &mut Vec<Finding>) {
    for brick in &volume.bricks {
        let (Some(path), Some(node)) = (&brick.path, world.topology.nodes.get(&brick.node)) else { continue };
        let Some(report) = world.report(brick.node).filter(|report| report.gluster.running) else { continue };
        let is_mounted = report.bricks.iter().any(|seen| seen.tags.brick == brick.id && seen.mounted.is_some());
        let process = seen.bricks.iter().find(|seen| seen.address.path == *path);
        match process {
            Some(process) if process.online == Some(false) && is_mounted => findings.push(Finding {
                severity: Severity::Error,
                code: "brick-offline",
                subject: Subject::Brick(brick.id),
                host: node.name().to_owned(),
                what: format!("brick {path} of volume {} on {} has no process", volume.name, node.name()),
                cure: format!(
                    "on one of its hosts: `gluster volume start {} force`; see /var/log/glusterfs/bricks",
                    volume.name
                ),
            }),
            Some(_) => {}
            None => findings.push(Finding {
                severity: Severity::Error,
                code: "brick-not-in-volume",
                subject: Subject::Brick(brick.id),
                host: node.name().to_owned(),
                what: format!("volume {} has no brick {path} on {} in GlusterFS", volume.name, node.name()),
                cure: "somebody replaced or removed it by hand; compare with `gluster volume info`".to_owned(),
            }),
        }
    }
}

/// Options that were asked for and are set to something else, or not at all. A group stands for others.
fn drifted(volume: &Volume, seen: &VolumeReport) -> Vec<String> {
    let (Some(set), Ok(asked)) = (&seen.options, options_of(volume)) else { return Vec::new() };
    let asked = asked.iter().filter(|(key, _)| key.as_str() != "group");
    asked
        .filter_map(|(key, value)| match set.get(key.as_str()) {
            Some(now) if now == value.as_str() => None,
            Some(now) => Some(format!("{key} is {now}, not {value}")),
            None => Some(format!("{key} is not set, and was {value}")),
        })
        .collect()
}

/// Volumes that GlusterFS has and no record, told once for each cluster.
fn unknown(world: &World, findings: &mut Vec<Finding>) {
    let mut reported: BTreeMap<(ClusterId, &VolumeName), &VolumeInPool> = BTreeMap::new();
    for node in world.topology.nodes.values().filter(|node| !node.lost) {
        let volumes = world.report(node.id).and_then(|report| report.gluster.volumes.as_ref());
        reported.extend(volumes.into_iter().flatten().map(|volume| ((node.cluster, &volume.name), volume)));
    }
    let coming: BTreeSet<VolumeId> = world.topology.unfinished.values().flat_map(|one| one.plan.volumes()).collect();
    for ((cluster, name), volume) in reported {
        let is_ours = volume.id.is_some_and(|id| world.topology.volumes.contains_key(&id) || coming.contains(&id));
        // One that is being made has its name before it has its id.
        let is_taken = world.topology.name_is_taken(cluster, name.as_str());
        let was_ours = volume.id.is_some_and(|id| world.recent.contains(&id));
        if is_ours || was_ours || (is_taken && volume.id.is_none()) {
            continue;
        }
        findings.push(Finding {
            severity: Severity::Note,
            code: "volume-unknown",
            subject: Subject::Unknown(name.to_string()),
            host: String::new(),
            what: format!("GlusterFS has a volume {name} that no record knows"),
            cure: "nothing is done to it; its name and its space are taken".to_owned(),
        });
    }
}
