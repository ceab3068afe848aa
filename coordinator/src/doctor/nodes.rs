//! Hosts: is the agent there, is its clock right, does glusterd run and see its peers.

use std::collections::BTreeSet;

use bricklayer_proto::inventory::FullDisk;
use bricklayer_proto::wire::PROTOCOLS;
use jiff::SignedDuration;

use super::{Finding, Host, Severity, Subject, World};
use crate::agents::{Presence, Refused};
use crate::model::Node;

/// An agent renews its certificate when two thirds of its life are left; below this it has failed to for days.
const CERTIFICATE_ENDS_SOON: SignedDuration = SignedDuration::from_hours(10 * 24);
/// Agents report once a minute.
const REPORT_IS_OLD: SignedDuration = SignedDuration::from_secs(180);
/// Tokens of heketi's clients hold for minutes, certificates are back-dated by ten.
const CLOCK_MILLIS: i64 = 5_000;

/// The coordinator's own version.
const OURS: &str = env!("CARGO_PKG_VERSION");

pub fn examine(world: &World, node: &Node, findings: &mut Vec<Finding>) {
    let name = node.name();
    let mut found = |severity, code, what: String, cure: String| {
        findings.push(Finding { severity, code, subject: Subject::Node(node.id), host: name.to_owned(), what, cure });
    };
    let Some(host) = world.hosts.get(&node.id) else {
        let cure = format!("invite it again: `bricklayer agent invite {name} --rejoin`");
        found(Severity::Error, "agent-unknown", format!("{name} has no agent"), cure);
        return;
    };
    let (clock_ahead, protocol) = match host.agent.presence {
        Presence::Attached { clock_ahead_ms, protocol, .. } => (clock_ahead_ms, protocol),
        Presence::Detached { since } => {
            let refusal = world.refusals.iter().find(|refusal| refusal.node == node.id).map(|refusal| refusal.why);
            if let Some(Refused::LaterStart { met, ours }) = refusal {
                let what = format!(
                    "the agent of {name} refuses this coordinator: it has met start {met} of one, and this one is at start {ours}"
                );
                let cure = "if another coordinator of this installation runs, it has taken this one's place: stop this one. If the store \
                            was restored: stop the coordinator and run `bricklayer-coordinator rebuild`"
                    .to_owned();
                found(Severity::Error, "agent-refuses-epoch", what, cure);
                return;
            }
            let since = since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
            let cure = format!(
                "see on {name} whether it is up: `systemctl status bricklayer-agent`; if it will never come back: `bricklayer \
                 node lost {name}`"
            );
            found(Severity::Error, "agent-away", format!("the agent of {name} is not attached{since}"), cure);
            return;
        }
        Presence::Revoked { at } => {
            let cure = format!("let it in again: `bricklayer agent invite {name} --rejoin`, or remove the node");
            found(Severity::Error, "agent-revoked", format!("the agent of {name} was shut out at {at:.0}"), cure);
            return;
        }
    };
    if clock_ahead.abs() > CLOCK_MILLIS {
        let way = if clock_ahead > 0 { "ahead of" } else { "behind" };
        let millis = clock_ahead.unsigned_abs();
        let what = format!("the clock of {name} is {}.{:03} s {way} the coordinator's", millis / 1000, millis % 1000);
        found(Severity::Warning, "clock-differs", what, "keep the clocks of all hosts by NTP (chrony)".to_owned());
    }
    versions(host, name, protocol, &mut found);
    let left = host.agent.certificate_expires.duration_since(world.now);
    if left < CERTIFICATE_ENDS_SOON {
        let days = left.as_hours().max(0) / 24;
        let what = format!("the certificate of the agent on {name} ends in {days} days and was not renewed");
        let cure = format!("read its log on {name}: `journalctl -u bricklayer-agent`");
        found(Severity::Warning, "certificate-ends", what, cure);
    }
    gluster(world, node, host, &mut found);
}

/// Both sides speak the newest protocol that both know, so that nothing breaks; what is missing meanwhile is told.
fn versions(host: &Host, name: &str, protocol: u32, found: &mut impl FnMut(Severity, &'static str, String, String)) {
    let newest = *PROTOCOLS.end();
    let agent = host.agent.seen.as_ref().map(|seen| seen.versions.agent.as_str()).unwrap_or_default();
    if protocol < newest {
        let what = format!(
            "the agent of {name} ({agent}) speaks protocol {protocol}, the newest is {newest}: it serves as before, and cannot \
             do what is newer: keep the state for a coordinator that is to come, or make thick bricks"
        );
        let cure = format!("update bricklayer-agent on {name} to {OURS}");
        found(Severity::Warning, "agent-older", what, cure);
    } else if !agent.is_empty() && agent != OURS {
        let what = format!("the agent of {name} is version {agent}, the coordinator {OURS}");
        let cure = "have the same version on all: agents first, then the coordinator".to_owned();
        found(Severity::Note, "agent-version-differs", what, cure);
    }
}

fn gluster(world: &World, node: &Node, host: &Host, found: &mut impl FnMut(Severity, &'static str, String, String)) {
    let name = node.name();
    let Some((report, received)) = &host.report else {
        let cure = format!("read its log on {name}: `journalctl -u bricklayer-agent`");
        found(Severity::Warning, "report-missing", format!("the agent of {name} has reported nothing yet"), cure);
        return;
    };
    let age = world.now.duration_since(*received);
    if age > REPORT_IS_OLD {
        let what = format!("the agent of {name} has reported nothing for {} s", age.as_secs());
        let cure = format!("a tool may hang on a bad disk there; see `journalctl -u bricklayer-agent` on {name}");
        found(Severity::Warning, "report-old", what, cure);
    }
    if let Some(full) = &report.full_disk {
        let FullDisk { folder, free, least } = full;
        let cure = format!("make room on the disk of {folder} on {name}; it is noticed within a minute");
        if full.refuses() {
            let what = format!(
                "{free} are free below {folder} on {name}, at least {least} are needed: nothing new is made there"
            );
            found(Severity::Error, "agent-disk-full", what, cure);
        } else {
            let what =
                format!("{free} are free below {folder} on {name}: with less than {least} nothing new is made there");
            found(Severity::Warning, "agent-disk-fills-up", what, cure);
        }
    }
    if let Some(fault) = &report.fstab_fault {
        let what = format!("{fault}, on {name}: no brick is made there, and none is removed to the end");
        let cure =
            format!("make it writable on {name} (`mount -o remount,rw`, `chattr -i`); it is noticed within a minute");
        found(Severity::Error, "fstab-unwritable", what, cure);
    }
    if let Some(program) = &report.missing_thin_tool {
        let what = format!(
            "{name} lacks {program}, so that LVM activates thin pools there unchecked: no thin brick is made there"
        );
        let cure = format!("install thin-provisioning-tools or device-mapper-persistent-data on {name}");
        found(Severity::Warning, "thin-tool-missing", what, cure);
    }
    if !report.gluster.running {
        let cure = format!("start it on {name}: `systemctl start glusterd`");
        found(Severity::Error, "glusterd-down", format!("glusterd does not answer on {name}"), cure);
        return;
    }
    let others = world.topology.nodes_of(node.cluster).filter(|other| other.id != node.id && !other.lost);
    for other in others {
        // GlusterFS may know a peer by any of its names, so its own id in the pool decides where it is known.
        let uuid = world.report(other.id).and_then(|report| report.gluster.uuid.clone());
        let names: BTreeSet<&str> = other.manage.iter().chain(&other.storage).map(|host| host.as_str()).collect();
        let is_it = |peer: &&bricklayer_proto::inventory::PeerSeen| match &uuid {
            Some(uuid) => peer.uuid == *uuid,
            None => names.contains(peer.host.as_str()),
        };
        match report.gluster.peers.iter().find(is_it) {
            Some(peer) if peer.connected => {}
            // Its own finding says why.
            Some(_) if !world.report(other.id).is_some_and(|report| report.gluster.running) => {}
            Some(_) => {
                let what = format!("glusterd on {name} has no connection to its peer {}", other.name());
                let cure = format!("see whether {} is up and port 24007 is open between them", other.name());
                found(Severity::Warning, "peer-disconnected", what, cure);
            }
            // Of a host that is away it cannot be told by which name it is known.
            None if uuid.is_none() => {}
            None => {
                let what = format!("{} is not a peer of {name}, though both are nodes of one cluster", other.name());
                let host = other.storage_host().map_or(other.name(), |host| host.as_str());
                let cure = format!("on {name}: `gluster peer probe {host}`");
                found(Severity::Error, "peer-missing", what, cure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bricklayer_proto::ids::{ClusterId, NodeId};
    use jiff::Timestamp;

    use super::*;
    use crate::agents::{AgentStatus, Refusal};
    use crate::doctor;
    use crate::doctor::stage::{Case, ago, codes_after, node_id};
    use crate::model::{AdminState, Tags, Topology, Zone};

    #[test]
    fn a_host_that_refuses_this_start_is_no_host_that_is_away_and_the_cure_is_to_rebuild() {
        let (id, then) = (NodeId::from_u128(7), Timestamp::UNIX_EPOCH);
        let mut topology = Topology::default();
        topology.put_node(Node {
            id,
            cluster: ClusterId::from_u128(1),
            zone: Zone::new(1).unwrap(),
            manage: vec!["gfs1".parse().unwrap()],
            storage: vec!["10.0.0.1".parse().unwrap()],
            state: AdminState::Online,
            tags: Tags::default(),
            lost: false,
        });
        let agent = AgentStatus {
            node: id,
            name: "gfs1".parse().unwrap(),
            zone: None,
            presence: Presence::Detached { since: None },
            seen: None,
            enrolled: then,
            certificate_expires: then,
        };
        let (met, ours) = (1_000_003, 1_000_002);
        let refusal = Refusal { node: id, from: [10, 0, 0, 1].into(), why: Refused::LaterStart { met, ours } };
        for (refusals, code, cure) in [
            (vec![], "agent-away", "node lost"),
            (vec![refusal], "agent-refuses-epoch", "bricklayer-coordinator rebuild"),
        ] {
            let hosts = [(id, Host { agent: agent.clone(), report: None })].into();
            let world = World { topology: Arc::new(topology.clone()), hosts, refusals, ..World::empty(then) };
            let findings = doctor::examine(&world);
            assert_eq!(findings.iter().map(|found| found.code).collect::<Vec<_>>(), [code]);
            assert!(findings[0].cure.contains(cure), "{findings:?}");
        }
    }

    #[test]
    fn a_clock_is_found_from_five_seconds_on_ahead_and_behind() {
        let off = |millis| {
            let mut world = World::well();
            if let Presence::Attached { clock_ahead_ms, .. } = &mut world.agent(2).presence {
                *clock_ahead_ms = millis;
            }
            world.findings().into_iter().map(|finding| (finding.code, finding.host, finding.what)).collect::<Vec<_>>()
        };
        assert_eq!((off(5_000), off(-5_000)), (vec![], vec![]));
        let told = |what: &str| vec![("clock-differs", "gfs2".to_owned(), what.to_owned())];
        assert_eq!(off(5_001), told("the clock of gfs2 is 5.001 s ahead of the coordinator's"));
        assert_eq!(off(-600_000), told("the clock of gfs2 is 600.000 s behind the coordinator's"));
    }

    #[test]
    fn an_agent_that_is_not_there_as_it_should_be_is_one_finding_on_its_host() {
        let cases: [Case; 9] = [
            ("agent-unknown", |world| drop(world.hosts.remove(&node_id(2)))),
            ("agent-away", |world| world.agent(2).presence = Presence::Detached { since: Some(ago(60)) }),
            ("agent-revoked", |world| world.agent(2).presence = Presence::Revoked { at: ago(60) }),
            ("agent-older", |world| {
                let Presence::Attached { protocol, .. } = &mut world.agent(2).presence else { unreachable!() };
                *protocol -= 1;
            }),
            ("agent-version-differs", |world| {
                world.agent(2).seen.as_mut().unwrap().versions.agent = "0.0.1".to_owned();
            }),
            ("certificate-ends", |world| {
                world.agent(2).certificate_expires = world.now + CERTIFICATE_ENDS_SOON - SignedDuration::from_secs(1);
            }),
            ("report-missing", |world| world.hosts.get_mut(&node_id(2)).unwrap().report = None),
            ("report-old", |world| {
                let (_, received) = world.hosts.get_mut(&node_id(2)).unwrap().report.as_mut().unwrap();
                *received = ago(181);
            }),
            ("glusterd-down", |world| world.told(2).gluster.running = false),
        ];
        for (code, breaks) in cases {
            let mut world = World::well();
            breaks(&mut world);
            let found = world.findings();
            let all: Vec<_> = found.iter().map(|finding| (finding.code, finding.host.as_str())).collect();
            assert_eq!(all, [(code, "gfs2")]);
            assert!(found[0].subject == Subject::Node(node_id(2)) && !found[0].cure.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_difference_and_no_delay_yet_is_no_finding() {
        let unknown_version = codes_after(|world| {
            world.agent(1).seen.as_mut().unwrap().versions.agent.clear();
            world.agent(2).seen = None;
        });
        assert_eq!(unknown_version, [""; 0]);
        let at_the_edge = codes_after(|world| {
            world.agent(2).certificate_expires = world.now + CERTIFICATE_ENDS_SOON;
            world.hosts.get_mut(&node_id(2)).unwrap().report.as_mut().unwrap().1 = ago(180);
        });
        assert_eq!(at_the_edge, [""; 0]);
    }

    #[test]
    fn a_peer_that_is_not_known_or_not_connected_is_found_unless_its_own_finding_says_why() {
        let unknown = |world: &mut World| world.told(1).gluster.peers.retain(|peer| peer.uuid != "uuid-2");
        let apart = |world: &mut World| {
            world.told(1).gluster.peers.iter_mut().for_each(|peer| peer.connected = peer.uuid != "uuid-2");
        };
        let mut world = World::well();
        unknown(&mut world);
        let found = world.findings();
        assert_eq!((found.len(), found[0].code, found[0].host.as_str()), (1, "peer-missing", "gfs1"));
        assert!(found[0].cure.contains("gluster peer probe 10.0.0.2"), "{found:?}");
        assert_eq!(codes_after(apart), ["peer-disconnected"]);

        let away = |world: &mut World| world.agent(2).presence = Presence::Detached { since: None };
        let both: [fn(&mut World); 2] = [unknown, apart];
        for breaks in both {
            let found = codes_after(|world| {
                breaks(world);
                away(world);
            });
            assert_eq!(found, ["agent-away"]);
        }
        let down = codes_after(|world| {
            apart(world);
            world.told(2).gluster.running = false;
        });
        assert_eq!(down, ["glusterd-down"]);
    }
}
