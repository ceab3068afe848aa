//! What GlusterFS says of our volumes, and of those that are not ours.

use std::collections::{BTreeMap, BTreeSet};

use bricklayer_proto::ids::{ClusterId, NodeId, VolumeId};
use bricklayer_proto::inventory::VolumeInPool;
use bricklayer_proto::keepsake::Digest;
use bricklayer_proto::names::{BrickPath, VolumeName};
use bricklayer_proto::task::VolumeReport;
use jiff::SignedDuration;

use super::{Finding, Severity, Subject, World, group_of};
use crate::model::{Brick, Node, Volume};
use crate::ops::{GlusterView, options_of};

/// A heal of much data takes hours; what is not done by then wants a look.
const HEALS_LONG: SignedDuration = SignedDuration::from_hours(1);

pub fn examine(world: &World, findings: &mut Vec<Finding>) {
    let lists = Lists::of(world);
    for volume in world.topology.volumes.values() {
        if is_under_way(world, volume) {
            continue;
        }
        match world.gluster.get(&volume.id) {
            Some(view) => of_volume(world, volume, view, findings),
            None => {
                if let Some(started) = lists.started(world, volume) {
                    runs(volume, started, findings);
                }
            }
        }
    }
    unserved(world, &lists, findings);
    differing(world, findings);
    unknown(world, findings);
}

/// What was seen before it changed says nothing of it.
fn is_under_way(world: &World, volume: &Volume) -> bool {
    let moves = volume.bricks.iter().any(|brick| world.is_moving(brick.device));
    moves || world.recent.contains(&volume.id) || world.topology.is_changing(volume.id)
}

/// The volumes of GlusterFS as hosts list them, without anybody being asked for it.
#[derive(Default)]
struct Lists<'a> {
    by_id: BTreeMap<VolumeId, Vec<(NodeId, bool)>>,
    /// Those that do not say whose they are.
    by_name: BTreeMap<(ClusterId, &'a VolumeName), Vec<(NodeId, bool)>>,
}

impl<'a> Lists<'a> {
    fn of(world: &'a World) -> Self {
        let mut lists = Self::default();
        for node in world.topology.nodes.values().filter(|node| !node.lost) {
            let volumes = world.report(node.id).and_then(|report| report.gluster.volumes.as_ref());
            for volume in volumes.into_iter().flatten() {
                let seen = match volume.id {
                    Some(id) => lists.by_id.entry(id).or_default(),
                    None => lists.by_name.entry((node.cluster, &volume.name)).or_default(),
                };
                seen.push((node.id, volume.started));
            }
        }
        lists
    }

    /// Whether the volume is started; within that `None` where GlusterFS has no such volume. `None` where the lists do not tell
    /// it for certain.
    fn started(&self, world: &World, volume: &Volume) -> Option<Option<bool>> {
        let by_id = self.by_id.get(&volume.id);
        let by_name = self.by_name.get(&(volume.cluster, &volume.name));
        let seen: Vec<&(NodeId, bool)> = by_id.into_iter().chain(by_name).flatten().collect();
        if seen.is_empty() {
            return volume.bricks.iter().any(|brick| would_list(world, volume, brick)).then_some(None);
        }
        let is_new = |(node, _): &&(NodeId, bool)| world.report_since_change(*node, volume.id).is_some();
        let started: BTreeSet<bool> =
            seen.into_iter().filter(|seen| is_new(seen)).map(|(_, started)| *started).collect();
        // A glusterd that is cut off from the others may know it otherwise than they.
        if started.len() == 1 { started.first().copied().map(Some) } else { None }
    }
}

/// Whether the brick's host lists the volume if GlusterFS has it: hosts list those with bricks in their volume groups, as they
/// tell by the paths.
fn would_list(world: &World, volume: &Volume, brick: &Brick) -> bool {
    let report = world.report_since_change(brick.node, volume.id).filter(|report| report.gluster.volumes.is_some());
    let group = report.and_then(|report| group_of(report, brick.device));
    let folders = brick.path.iter().flat_map(|path| path.as_path().components());
    group.is_some_and(|group| folders.into_iter().any(|folder| folder.as_str() == group.name.as_str()))
}

/// Whether it runs as it should, so that its bricks are worth a look. `started` is `None` where GlusterFS has no such volume.
fn runs(volume: &Volume, started: Option<bool>, findings: &mut Vec<Finding>) -> bool {
    let name = &volume.name;
    let (severity, code, what, cure) = match (started, volume.trash) {
        (None, _) => (
            Severity::Error,
            "volume-missing",
            format!("GlusterFS has no volume {name}, whose bricks are recorded"),
            "somebody deleted it by hand, or glusterd lost its files (/var/lib/glusterd): its bricks are left alone; \
             restore those files from another host, or delete it: `bricklayer volume delete`"
                .to_owned(),
        ),
        (Some(false), None) => (
            Severity::Error,
            "volume-stopped",
            format!("volume {name} is stopped in GlusterFS"),
            format!("on one of its hosts: `gluster volume start {name}`"),
        ),
        (Some(true), Some(trash)) => (
            Severity::Warning,
            "trash-started",
            format!(
                "volume {name} is in the trash and somebody has started it; it does not go by itself at {:.0}",
                trash.until
            ),
            format!("have it back, `bricklayer volume undelete {name}`, or stop it: `gluster volume stop {name}`"),
        ),
        (Some(false), Some(_)) => return false,
        (Some(true), None) => return true,
    };
    findings.push(Finding { severity, code, subject: Subject::Volume(volume.id), host: String::new(), what, cure });
    false
}

fn of_volume(world: &World, volume: &Volume, view: &GlusterView, findings: &mut Vec<Finding>) {
    let name = &volume.name;
    if !runs(volume, view.seen.as_ref().map(|seen| seen.started), findings) {
        return;
    }
    let Some(seen) = &view.seen else { return };
    let mut found = |severity, code, what: String, cure: String| {
        findings.push(Finding { severity, code, subject: Subject::Volume(volume.id), host: String::new(), what, cure });
    };
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

/// A brick whose host, glusterd, mount or disk is not there has a finding of its own, which says why.
fn bricks(world: &World, volume: &Volume, seen: &VolumeReport, findings: &mut Vec<Finding>) {
    for brick in &volume.bricks {
        let (Some(path), Some(node)) = (&brick.path, world.topology.nodes.get(&brick.node)) else { continue };
        let Some(report) = world.report(brick.node).filter(|report| report.gluster.running) else { continue };
        let is_mounted = report.bricks.iter().any(|seen| seen.tags.brick == brick.id && seen.mounted.is_some());
        let process = seen.bricks.iter().find(|seen| seen.address.path == *path);
        match process {
            Some(process)
                if process.online == Some(false) && is_mounted && !report.is_ailing(brick.device, brick.id) =>
            {
                findings.push(offline(volume, brick, path, node));
            }
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

/// Bricks of which their hosts say that no process serves them, where GlusterFS itself was not asked.
fn unserved(world: &World, lists: &Lists, findings: &mut Vec<Finding>) {
    for node in world.topology.nodes.values().filter(|node| !node.lost) {
        let Some(report) = world.report(node.id).filter(|report| report.gluster.running) else { continue };
        for seen in report.bricks.iter().filter(|seen| seen.served == Some(false)) {
            let Some((volume, brick)) = world.topology.brick(seen.tags.brick) else { continue };
            let Some(path) = brick.path.as_ref().filter(|path| seen.path.as_ref() == Some(path)) else { continue };
            let is_told_otherwise = world.gluster.contains_key(&volume.id) || report.is_ailing(brick.device, brick.id);
            let is_here = brick.node == node.id && world.report_since_change(node.id, volume.id).is_some();
            let should_run = volume.trash.is_none() && lists.started(world, volume) == Some(Some(true));
            if is_here && should_run && !is_told_otherwise && !is_under_way(world, volume) {
                findings.push(offline(volume, brick, path, node));
            }
        }
    }
}

fn offline(volume: &Volume, brick: &Brick, path: &BrickPath, node: &Node) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "brick-offline",
        subject: Subject::Brick(brick.id),
        host: node.name().to_owned(),
        what: format!("brick {path} of volume {} on {} has no process", volume.name, node.name()),
        cure: format!(
            "on one of its hosts: `gluster volume start {} force`; see /var/log/glusterfs/bricks",
            volume.name
        ),
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

/// Volumes of which one glusterd has another definition than its peers, though it is connected with all of them: what changes in the
/// very moment in which it comes back passes it by at times (seen of 10.3 in a `replace-brick`), and it asks only when it connects.
fn differing(world: &World, findings: &mut Vec<Finding>) {
    for volume in world.topology.volumes.values().filter(|volume| !is_under_way(world, volume)) {
        let told = told_of(world, volume);
        let mut votes: BTreeMap<[u8; 32], usize> = BTreeMap::new();
        for (_, digest) in &told {
            *votes.entry(*digest.as_bytes()).or_default() += 1;
        }
        if votes.len() < 2 {
            continue;
        }
        let most = votes.values().copied().max().unwrap_or_default();
        // Where no definition has more than another, each of those hosts is named.
        let is_alone = votes.values().filter(|count| **count == most).count() == 1;
        for (node, _) in told.iter().filter(|(_, digest)| !is_alone || votes[digest.as_bytes()] < most) {
            let (name, host) = (&volume.name, node.name().to_owned());
            findings.push(Finding {
                severity: Severity::Error,
                code: "gluster-differs",
                subject: Subject::Volume(volume.id),
                what: format!("glusterd on {host} has other bricks for volume {name} than its peers have"),
                cure: format!(
                    "restart it on {host}, `systemctl restart glusterd`: it takes over what its peers have, and bricks go on \
                     serving; clients that mount from {host} before that get the wrong bricks"
                ),
                host,
            });
        }
    }
}

/// What the bricks of the volume are for each glusterd that is connected with all its peers.
fn told_of<'a>(world: &'a World, volume: &Volume) -> Vec<(&'a Node, &'a Digest)> {
    let hosts: BTreeSet<NodeId> = volume.bricks.iter().map(|brick| brick.node).collect();
    let told = hosts.into_iter().filter_map(|node| {
        let report = world.report_since_change(node, volume.id)?;
        let connected = report.gluster.peers.iter().all(|peer| peer.connected);
        let listed = report.gluster.volumes.iter().flatten().find(|listed| listed.id == Some(volume.id))?;
        Some((world.topology.nodes.get(&node)?.as_ref(), listed.bricks.as_ref().filter(|_| connected)?))
    });
    told.collect()
}

/// Volumes that GlusterFS has and no record, told once for each cluster.
fn unknown(world: &World, findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    for node in world.topology.nodes.values().filter(|node| !node.lost) {
        let volumes = world.report(node.id).and_then(|report| report.gluster.volumes.as_ref());
        for VolumeInPool { name, id, .. } in volumes.into_iter().flatten() {
            let is_ours = id.is_some_and(|id| world.topology.volumes.contains_key(&id) || world.recent.contains(&id));
            // By a record, or by what is being made or deleted: of a volume whose place another has taken that one is told.
            let is_taken = world.topology.name_is_taken(node.cluster, name.as_str());
            if !is_ours && !is_taken && world.lists_since_change(node, *id, name) {
                told.insert((node.cluster, name));
            }
        }
    }
    findings.extend(told.into_iter().map(|(_, name)| Finding {
        severity: Severity::Note,
        code: "volume-unknown",
        subject: Subject::Unknown(name.to_string()),
        host: String::new(),
        what: format!("GlusterFS has a volume {name} that no record knows"),
        cure: "nothing is done to it; its name and its space are taken".to_owned(),
    }));
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::inventory::Ailing;
    use bricklayer_proto::task::{BrickAddress, BrickSeenInVolume};

    use super::*;
    use crate::doctor::stage::{CLUSTER, VOLUME, ago, codes_after, creation, deletion, node_id, operation, volume};
    use crate::model::{OpState, Trash};

    /// Every host lists these and no others.
    fn listed(world: &mut World, volumes: &[VolumeInPool]) {
        for number in 1..=3 {
            world.told(number).gluster.volumes = Some(volumes.to_vec());
        }
    }

    fn ours(started: bool) -> VolumeInPool {
        VolumeInPool { name: volume().name, id: Some(VOLUME), started, bricks: None }
    }

    #[test]
    fn a_volume_that_no_host_lists_is_missing_and_one_that_all_list_as_stopped_is_stopped() {
        assert_eq!(codes_after(|world| listed(world, &[])), ["volume-missing"]);
        assert_eq!(codes_after(|world| listed(world, &[ours(false)])), ["volume-stopped"]);
        let in_trash = |started| {
            codes_after(|world| {
                let trash = Some(Trash { since: ago(60), until: ago(-60) });
                world.topology().put_volume(Volume { trash, ..volume() });
                listed(world, &[ours(started)]);
            })
        };
        assert_eq!((in_trash(false), in_trash(true)), (vec![], vec!["trash-started"]));
    }

    #[test]
    fn a_glusterd_that_has_other_bricks_than_its_peers_is_named_once_it_is_connected_with_them() {
        let bricks = |text: &str| Some(Digest::of(text.as_bytes()));
        let tell = |world: &mut World, texts: [&str; 3]| {
            for (number, text) in (1..).zip(texts) {
                world.told(number).gluster.volumes = Some(vec![VolumeInPool { bricks: bricks(text), ..ours(true) }]);
            }
        };
        let findings = |texts: [&'static str; 3]| {
            let mut world = World::well();
            tell(&mut world, texts);
            let found = world.findings().into_iter().map(|finding| (finding.code, finding.host));
            found.collect::<Vec<_>>()
        };
        assert_eq!(findings(["new", "new", "new"]), []);
        assert_eq!(findings(["old", "new", "new"]), [("gluster-differs", "gfs1".to_owned())]);
        assert_eq!(findings(["one", "two", "three"]).len(), 3, "nobody can tell which of them is right");
        let cut_off = codes_after(|world| {
            tell(world, ["old", "new", "new"]);
            world.told(1).gluster.peers[0].connected = false;
        });
        assert!(!cut_off.contains(&"gluster-differs"), "{cut_off:?}");
        let of_an_older_agent = codes_after(|world| {
            tell(world, ["old", "new", "new"]);
            world.told(1).gluster.volumes = Some(vec![ours(true)]);
        });
        assert_eq!(of_an_older_agent, [""; 0]);
    }

    #[test]
    fn of_a_volume_that_is_listed_without_its_id_its_name_decides() {
        let nameless = VolumeInPool { id: None, ..ours(false) };
        assert_eq!(codes_after(|world| listed(world, &[nameless])), ["volume-stopped"]);
        let somebody_elses = VolumeInPool { id: Some(VolumeId::from_u128(66)), ..ours(true) };
        assert!(codes_after(|world| listed(world, &[somebody_elses])).contains(&"volume-missing"));
    }

    #[test]
    fn what_hosts_do_not_agree_on_or_cannot_know_is_not_told_of_a_volume() {
        assert_eq!(codes_after(|world| world.told(1).gluster.volumes = Some(vec![])), [""; 0], "it has missed it");
        assert_eq!(codes_after(|world| world.told(1).gluster.volumes = Some(vec![ours(false)])), [""; 0]);
        let of_older_agents = codes_after(|world| (1..=3).for_each(|host| world.told(host).gluster.volumes = None));
        assert_eq!(of_older_agents, [""; 0]);
        // A host reports volumes with bricks in groups that it sees.
        let without_groups = codes_after(|world| {
            listed(world, &[]);
            (1..=3).for_each(|host| world.told(host).groups.clear());
        });
        assert_eq!(without_groups, ["group-missing"; 3]);
    }

    #[test]
    fn a_report_that_is_older_than_the_last_change_or_this_start_says_nothing_of_a_volume() {
        let broken = |world: &mut World| {
            listed(world, &[]);
            world.told(2).bricks[0].served = Some(false);
        };
        let changed = codes_after(|world| {
            broken(world);
            world.volumes_since.insert(VOLUME, ago(29));
        });
        let started = codes_after(|world| {
            broken(world);
            world.reports_from = ago(30);
        });
        let changes = codes_after(|world| {
            broken(world);
            world.recent.insert(VOLUME);
        });
        assert_eq!((changed, started, changes), (vec![], vec![], vec![]));
        let settled = codes_after(|world| {
            broken(world);
            world.volumes_since.insert(VOLUME, ago(31));
            world.reports_from = ago(31);
        });
        assert_eq!(settled, ["volume-missing"]);
    }

    #[test]
    fn a_brick_without_a_process_is_found_by_its_hosts_report_where_gluster_was_not_asked() {
        let unserved = |world: &mut World| world.told(2).bricks[0].served = Some(false);
        let mut world = World::well();
        unserved(&mut world);
        let found = world.findings();
        assert_eq!((found.len(), found[0].code, found[0].host.as_str()), (1, "brick-offline", "gfs2"));
        assert!(found[0].cure.contains("gluster volume start photos force"), "{found:?}");

        assert_eq!(codes_after(|world| world.told(2).bricks[0].served = None), [""; 0], "nobody can tell");
        let recent = codes_after(|world| {
            unserved(world);
            world.volumes_since.insert(VOLUME, ago(29));
        });
        assert_eq!(recent, [""; 0], "its process may have been started since");
        let stopped = codes_after(|world| {
            unserved(world);
            listed(world, &[ours(false)]);
        });
        assert_eq!(stopped, ["volume-stopped"], "it is not to run");
        let without_glusterd = codes_after(|world| {
            unserved(world);
            world.told(2).gluster.running = false;
        });
        assert_eq!(without_glusterd, ["glusterd-down"]);
        let dying = codes_after(|world| {
            unserved(world);
            let report = world.told(2);
            report.ailing.push(Ailing {
                device: report.groups[0].tags.unwrap().device,
                disk: "/dev/sdb".parse().unwrap(),
                brick: None,
                fault: bricklayer_proto::inventory::ReadFault::Silent,
                since_ms: 0,
            });
        });
        assert_eq!(dying, ["disk-fails"], "its disk is why");
        let elsewhere = codes_after(|world| {
            unserved(world);
            world.told(2).bricks[0].path = Some("/m/other".to_owned().try_into().unwrap());
        });
        assert_eq!(elsewhere, [""; 0], "glusterd knows it by another path");
        let away = codes_after(|world| {
            unserved(world);
            world.hosts.remove(&node_id(2));
        });
        assert_eq!(away, ["agent-unknown"]);
    }

    /// The hosts list it beside ours.
    fn also_listed(world: &mut World, name: &str, id: Option<u128>) {
        let other =
            VolumeInPool { name: name.parse().unwrap(), id: id.map(VolumeId::from_u128), started: true, bricks: None };
        listed(world, &[ours(true), other]);
    }

    #[test]
    fn a_volume_that_no_record_knows_is_told_once_whoever_lists_it() {
        assert_eq!(codes_after(|world| also_listed(world, "theirs", None)), ["volume-unknown"]);
        assert_eq!(codes_after(|world| also_listed(world, "theirs", Some(66))), ["volume-unknown"]);
    }

    #[test]
    fn a_name_that_a_record_or_an_unfinished_operation_holds_is_not_unknown_with_whatever_id() {
        assert_eq!(codes_after(|world| also_listed(world, "photos", Some(66))), [""; 0]);
        let other =
            || Volume { id: VolumeId::from_u128(67), name: "theirs".parse().unwrap(), bricks: vec![], ..volume() };
        for plan in [creation(other()), deletion(other())] {
            let under_way = codes_after(|world| {
                world.topology().put_operation(operation(plan, OpState::Running { committed: false }));
                also_listed(world, "theirs", Some(66));
            });
            assert_eq!(under_way, [""; 0]);
        }
    }

    #[test]
    fn a_list_from_before_this_start_or_the_last_change_tells_of_no_unknown_volume() {
        let name = || (CLUSTER, "theirs".parse().unwrap());
        let listed_since = |from: i64, by_id: i64, by_name: i64| {
            codes_after(|world| {
                also_listed(world, "theirs", Some(66));
                world.reports_from = ago(from);
                world.volumes_since.insert(VolumeId::from_u128(66), ago(by_id));
                world.names_since.insert(name(), ago(by_name));
            })
        };
        // Reports are of half a minute ago.
        assert_eq!(listed_since(31, 31, 31), ["volume-unknown"]);
        assert_eq!((listed_since(30, 31, 31), listed_since(31, 30, 31)), (vec![], vec![]));
        assert_eq!(listed_since(31, 31, 30), [""; 0]);
    }

    /// As GlusterFS was asked, with these of its bricks and whether each runs.
    fn asked(world: &mut World, bricks: &[(&Brick, Option<bool>)]) {
        let bricks = bricks.iter().map(|(brick, online)| BrickSeenInVolume {
            address: BrickAddress { host: "10.0.0.1".parse().unwrap(), path: brick.path.clone().unwrap() },
            online: *online,
        });
        let seen = VolumeReport { started: true, options: None, bricks: bricks.collect() };
        world.gluster.insert(VOLUME, GlusterView::first(ago(10), Some(seen)));
    }

    #[test]
    fn bricks_that_gluster_does_not_run_or_does_not_know_are_found_where_it_was_asked() {
        let volume = volume();
        let [one, two, three] = [0, 1, 2].map(|place| &volume.bricks[place]);
        let found = |bricks: &[(&Brick, Option<bool>)]| codes_after(|world| asked(world, bricks));
        assert_eq!(found(&[(one, Some(true)), (two, Some(true)), (three, None)]), [""; 0]);
        assert_eq!(found(&[(one, Some(true)), (two, Some(false)), (three, Some(true))]), ["brick-offline"]);
        assert_eq!(found(&[(one, Some(true)), (three, Some(true))]), ["brick-not-in-volume"]);
        let unmounted = codes_after(|world| {
            asked(world, &[(one, Some(true)), (two, Some(false)), (three, Some(true))]);
            world.told(2).bricks[0].mounted = None;
        });
        assert_eq!(unmounted, ["brick-not-mounted"], "which says why");
        // Its word goes before that of reports, of processes as of volumes.
        let told_otherwise = codes_after(|world| {
            asked(world, &[(one, Some(true)), (two, Some(true)), (three, Some(true))]);
            listed(world, &[]);
            world.told(2).bricks[0].served = Some(false);
        });
        assert_eq!(told_otherwise, [""; 0]);
    }

    #[test]
    fn a_heal_is_found_when_it_has_gone_on_for_more_than_an_hour() {
        let healing = |seconds| {
            codes_after(|world| {
                let volume = volume();
                let bricks: Vec<_> = volume.bricks.iter().map(|brick| (brick, Some(true))).collect();
                asked(world, &bricks);
                let view = world.gluster.get_mut(&VOLUME).unwrap();
                (view.healing_since, view.to_heal) = (Some(ago(seconds)), 7);
            })
        };
        assert_eq!((healing(3600), healing(3601)), (vec![], vec!["heal-takes-long"]));
    }
}
