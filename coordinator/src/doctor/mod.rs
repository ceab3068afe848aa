//! What is amiss with an installation, each thing with its reason and its cure.
//!
//! Compares the records with what the agents reported last. Pure: no clock, no store, no agent; [`World`] is all that it
//! knows. It changes nothing and repairs nothing: a cure is a sentence for a person. What operations are working on is
//! left out, as it is on the move, and so is a report that may be older than the last change.
//!
//! `nodes` looks at hosts, agents and glusterd, `ailing` at disks and bricks that cannot be read, `devices` at volume groups, `pools` at thin pools, `bricks` at bricks and their mounts, `volumes`
//! at the trash, `gluster` at what GlusterFS says of volumes, `own` at the coordinator's own machine, `store` at whether its store is an older copy.

mod ailing;
mod bricks;
mod devices;
mod gluster;
mod nodes;
mod own;
mod pools;
#[cfg(test)]
mod stage;
mod store;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use bricklayer_proto::inventory::{Inventory, VolumeGroup};
use bricklayer_proto::names::VolumeName;
use jiff::Timestamp;

use crate::agents::{AgentStatus, Presence, Refusal};
use crate::exports;
use crate::model::{Device, Node, OpState, Operation, Topology};
use crate::ops::{GlusterView, Operations, PoolView};
use crate::standing::Standing;

pub use own::{OwnCertificate, OwnDisk, OwnHost};

/// Everything that is known at one moment.
pub struct World {
    pub topology: Arc<Topology>,
    pub hosts: BTreeMap<NodeId, Host>,
    /// Hosts that would attach and cannot.
    pub refusals: Vec<Refusal>,
    pub now: Timestamp,
    /// `None` where no exports are made.
    pub exports: Option<exports::Seen>,
    pub own: OwnHost,
    pub store: Standing,
    /// Devices on which something is, or was a moment ago, under way.
    moving: BTreeSet<DeviceId>,
    /// Volumes that changed or went a moment ago, so that a report may still show what was before.
    recent: BTreeSet<VolumeId>,
    pools: Vec<PoolView>,
    gluster: BTreeMap<VolumeId, GlusterView>,
    /// From when on a report shows what has been since this start, since the last change of each volume, and since each name
    /// was taken or left.
    reports_from: Timestamp,
    volumes_since: BTreeMap<VolumeId, Timestamp>,
    names_since: BTreeMap<(ClusterId, VolumeName), Timestamp>,
}

/// One host, as its agent is known and as it reported last.
pub struct Host {
    pub agent: AgentStatus,
    pub report: Option<(Arc<Inventory>, Timestamp)>,
}

impl World {
    /// As things are now.
    #[must_use]
    pub fn of(operations: &Operations, own: OwnHost, now: Timestamp) -> Self {
        let (topology, agents) = (operations.topology(), operations.agents());
        let lag = operations.policy().reports_lag;
        let hosts = agents.all().into_iter().map(|agent| {
            let report = agents.inventory(agent.node);
            (agent.node, Host { agent, report })
        });
        let is_recent = |operation: &&Arc<Operation>| match operation.finished {
            // A report that was on its way while it ended still shows what was before.
            Some(finished) => now.duration_since(finished).unsigned_abs() < lag,
            None => true,
        };
        let recent: Vec<_> = topology.operations.values().filter(is_recent).collect();
        let moving = recent.iter().flat_map(|operation| operation.plan.devices()).collect();
        let mut gluster = operations.gluster_views();
        let mut volumes_since: BTreeMap<VolumeId, Timestamp> = BTreeMap::new();
        let mut names_since: BTreeMap<(ClusterId, VolumeName), Timestamp> = BTreeMap::new();
        // What lies ahead was written down before the clock was set back: nobody knows how long ago.
        let shows = |at: Timestamp| if at > now { Timestamp::MIN } else { at.saturating_add(lag).unwrap_or(at) };
        // A look from before the last change of a volume says nothing of it, however long ago that is.
        for operation in topology.operations.values() {
            let Some(finished) = operation.finished else { continue };
            for volume in operation.plan.volumes() {
                if gluster.get(&volume).is_some_and(|view| view.at <= finished) {
                    gluster.remove(&volume);
                }
                let since = volumes_since.entry(volume).or_insert(Timestamp::MIN);
                *since = shows(finished).max(*since);
            }
            if let Some(volume) = operation.plan.volume() {
                let since = names_since.entry((volume.cluster, volume.name.clone())).or_insert(Timestamp::MIN);
                *since = shows(finished).max(*since);
            }
        }
        let recent_volumes = recent.iter().flat_map(|operation| operation.plan.volumes()).collect();
        Self {
            hosts: hosts.collect(),
            refusals: agents.refusals(),
            exports: operations.exports(),
            own,
            store: operations.standing().now(),
            moving,
            recent: recent_volumes,
            pools: operations.pools(),
            gluster,
            reports_from: shows(operations.started()),
            volumes_since,
            names_since,
            topology,
            now,
        }
    }

    /// What the node's agent reported, where it is attached: what it said before it went away proves nothing.
    fn report(&self, node: NodeId) -> Option<&Inventory> {
        let host = self.hosts.get(&node)?;
        let attached = matches!(host.agent.presence, Presence::Attached { .. });
        host.report.as_ref().filter(|_| attached).map(|(inventory, _)| inventory.as_ref())
    }

    /// The same, where it shows what has become of the volume since its last change, and since this start of the coordinator:
    /// agents do not ask GlusterFS for every report anew.
    fn report_since_change(&self, node: NodeId, volume: VolumeId) -> Option<&Inventory> {
        let since = self.volumes_since.get(&volume).copied();
        self.report(node).filter(|_| self.is_newer(node, since))
    }

    /// Whether the volumes that the node's agent lists are those since anything became of one of this id, or this name.
    fn lists_since_change(&self, node: &Node, id: Option<VolumeId>, name: &VolumeName) -> bool {
        let by_id = id.and_then(|id| self.volumes_since.get(&id)).copied();
        let by_name = self.names_since.get(&(node.cluster, name.clone())).copied();
        self.is_newer(node.id, by_id.max(by_name))
    }

    fn is_newer(&self, node: NodeId, since: Option<Timestamp>) -> bool {
        let received = self.hosts.get(&node).and_then(|host| host.report.as_ref()).map(|(_, received)| *received);
        received > Some(self.reports_from).max(since)
    }

    fn is_moving(&self, device: DeviceId) -> bool {
        self.moving.contains(&device)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Data or service is in danger now.
    Error,
    /// It will be, or it is with one failure more.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Node(NodeId),
    Device(DeviceId),
    Brick(BrickId),
    Volume(VolumeId),
    Operation(OperationId),
    /// Something on a host that no record knows: its name there.
    Unknown(String),
}

/// One thing that is amiss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Such as `brick-not-mounted`; the same thing has the same word in every version.
    pub code: &'static str,
    pub subject: Subject,
    /// The host, as people call it; empty where it concerns none.
    pub host: String,
    pub what: String,
    pub cure: String,
}

/// Everything that is amiss, the worst first; the same world gives the same list.
#[must_use]
pub fn examine(world: &World) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in world.topology.nodes.values() {
        if node.lost {
            continue;
        }
        nodes::examine(world, node, &mut findings);
        let Some(report) = world.report(node.id) else { continue };
        ailing::examine(world, node, report, &mut findings);
        devices::examine(world, node, report, &mut findings);
        bricks::examine(world, node, report, &mut findings);
    }
    operations(world, &mut findings);
    store::examine(world, &mut findings);
    exports_of(world, &mut findings);
    own::examine(world, &mut findings);
    pools::examine(world, &mut findings);
    volumes::examine(world, &mut findings);
    gluster::examine(world, &mut findings);
    findings.sort_by(|one, other| {
        let key = |finding: &Finding| (finding.severity, finding.code, finding.host.clone(), finding.subject.clone());
        key(one).cmp(&key(other))
    });
    findings
}

fn operations(world: &World, findings: &mut Vec<Finding>) {
    for operation in world.topology.unfinished.values() {
        let OpState::Stuck { failure, undoing, .. } = &operation.state else { continue };
        let doing = if *undoing { "cannot be undone" } else { "cannot go on" };
        let failure = failure.lines().next().unwrap_or_default();
        findings.push(Finding {
            severity: Severity::Error,
            code: "operation-stuck",
            subject: Subject::Operation(operation.id),
            host: String::new(),
            what: format!(
                "{} {} {doing}, and is tried again and again: {failure}",
                operation.plan.kind(),
                operation.id
            ),
            cure: format!("mend that; see `bricklayer operation info {}`", operation.id),
        });
    }
}

fn exports_of(world: &World, findings: &mut Vec<Finding>) {
    // None are made then, for a reason that is told.
    if world.store != Standing::Newest {
        return;
    }
    let Some(seen) = world.exports.as_ref().filter(|seen| seen.plan.is_overdue(seen, world.now)) else { return };
    let since = seen.last.map_or_else(
        || "the store has not been exported since this start of the coordinator".to_owned(),
        |last| format!("the last good export of the store is of {:.0}, {} commits ago", last.at, seen.seq - last.seq),
    );
    let why = seen.failing.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    findings.push(Finding {
        severity: Severity::Warning,
        code: "export-overdue",
        subject: Subject::Unknown("exports".to_owned()),
        host: String::new(),
        what: format!("{since}{why}"),
        cure: "make room for, or give rights on, the folder `exports` of the coordinator's data directory; \
               `bricklayer-coordinator exports list` says what there is"
            .to_owned(),
    });
}

/// The volume group of a device in a report.
fn group_of(report: &Inventory, device: DeviceId) -> Option<&VolumeGroup> {
    report.groups.iter().find(|group| group.tags.is_some_and(|tags| tags.device == device))
}

/// Whether the disk of a device cannot be read; what is not seen of it follows from that.
fn is_dying(report: &Inventory, device: DeviceId) -> bool {
    report.ailing.iter().any(|ailing| ailing.device == device && ailing.brick.is_none())
}

/// For texts: `/dev/sdb on gfs1`.
fn device_on(node: &Node, device: &Device) -> String {
    format!("{} on {}", device.name, node.name())
}

#[cfg(test)]
impl World {
    /// Nothing is known, and nothing amiss.
    fn empty(now: Timestamp) -> Self {
        Self {
            topology: Arc::default(),
            hosts: BTreeMap::new(),
            refusals: Vec::new(),
            now,
            exports: None,
            own: OwnHost::default(),
            store: Standing::Newest,
            recent: BTreeSet::new(),
            pools: Vec::new(),
            gluster: BTreeMap::new(),
            moving: BTreeSet::new(),
            reports_from: Timestamp::MIN,
            volumes_since: BTreeMap::new(),
            names_since: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_export_that_is_long_overdue_is_one_finding_with_the_reason() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let plan = exports::Plan { every: Duration::from_secs(60), ..exports::Plan::default() };
        let last = Some(exports::Made { at: at(1000), seq: 5 });
        let failing = Some("No space left on device".to_owned());
        let exports = Some(exports::Seen { plan, last, seq: 9, failing, started: at(0) });
        let world = |now| World { exports: exports.clone(), ..World::empty(at(now)) };
        assert!(examine(&world(1100)).is_empty());
        let found = examine(&world(1181));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].code, found[0].severity), ("export-overdue", Severity::Warning));
        assert!(
            found[0].what.contains("4 commits ago") && found[0].what.contains("No space left"),
            "{}",
            found[0].what
        );
    }

    #[test]
    fn an_operation_that_is_stuck_is_found_with_what_failed_and_one_that_runs_is_not() {
        let stuck = |undoing| OpState::Stuck {
            cause: "asked".to_owned(),
            failure: "gfs2: umount: target is busy\nand more".to_owned(),
            undoing,
        };
        for (undoing, way) in [(false, "cannot go on"), (true, "cannot be undone")] {
            let mut world = World::well();
            world.topology().put_operation(stage::operation(stage::deletion(stage::volume()), stuck(undoing)));
            let found = world.findings();
            assert_eq!((found.len(), found[0].code), (1, "operation-stuck"));
            assert!(found[0].what.contains(way) && found[0].what.ends_with("target is busy"), "{found:?}");
        }
        let running = OpState::Running { committed: true };
        let found = stage::codes_after(|world| {
            world.topology().put_operation(stage::operation(stage::deletion(stage::volume()), running));
        });
        assert_eq!(found, [""; 0]);
    }
}
