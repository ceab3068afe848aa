//! The coordinator's store: whether a host has seen a later state than it.

use bricklayer_proto::ids::NodeId;

use super::{Finding, Severity, Subject, World};
use crate::agents::Refused;
use crate::standing::Standing;

const REBUILD: &str =
    "stop the coordinator and run `bricklayer-coordinator rebuild`: it says what is missing, and puts it right";

pub fn examine(world: &World, findings: &mut Vec<Finding>) {
    for refusal in world.refusals.iter().filter(|refusal| refusal.why == Refused::UnknownNode) {
        findings.push(Finding {
            severity: Severity::Error,
            code: "store-lacks-host",
            subject: Subject::Node(refusal.node),
            host: refusal.from.to_string(),
            what: format!(
                "this store does not know the host at {}, node {}, which has a certificate of this installation: the store is older than \
                 that, or empty",
                refusal.from, refusal.node
            ),
            cure: REBUILD.to_owned(),
        });
    }
    match &world.store {
        Standing::Newest | Standing::Unheard { restored: None, .. } => {}
        Standing::Older { node, found } => findings.push(Finding {
            severity: Severity::Error,
            code: "store-older-copy",
            subject: Subject::Node(*node),
            host: name(world, *node),
            what: format!(
                "the store is an older copy: {} has seen a later state, as was found at {found:.0}. Changes are refused, what was under \
                 way does not go on, and nothing in the trash goes",
                name(world, *node)
            ),
            cure: REBUILD.to_owned(),
        }),
        Standing::Unheard { restored: Some(at), missing } => {
            let names: Vec<String> = missing.iter().map(|node| name(world, *node)).collect();
            let missing = if names.is_empty() { "its hosts".to_owned() } else { names.join(", ") };
            findings.push(Finding {
                severity: Severity::Warning,
                code: "store-restored",
                subject: Subject::Unknown("store".to_owned()),
                host: String::new(),
                what: format!(
                    "the store was made of an export at {at:.0}, and {missing} may have seen a later state. Until all have been heard, \
                     what was under way does not go on, nothing in the trash goes, and no exports are made"
                ),
                cure: "start the hosts; one that will never come back: `bricklayer node lost NAME`; without waiting for them: stop the \
                       coordinator and run `bricklayer-coordinator accept-import`"
                    .to_owned(),
            });
        }
    }
}

fn name(world: &World, node: NodeId) -> String {
    let agent = world.hosts.get(&node).map(|host| host.agent.name.to_string());
    agent.unwrap_or_else(|| format!("node {node}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::agents::Refusal;
    use crate::doctor;

    #[test]
    fn a_store_that_is_older_or_restored_is_one_finding_and_no_other_of_its_exports() {
        let (node, found) = (NodeId::from_u128(7), Timestamp::UNIX_EPOCH);
        for (store, codes) in [
            (Standing::Older { node, found }, vec![("store-older-copy", Severity::Error)]),
            (
                Standing::Unheard { restored: Some(found), missing: vec![node] },
                vec![("store-restored", Severity::Warning)],
            ),
            (Standing::Unheard { restored: None, missing: vec![node] }, vec![]),
        ] {
            let findings = doctor::examine(&World { store, ..World::empty(Timestamp::UNIX_EPOCH) });
            assert_eq!(findings.iter().map(|found| (found.code, found.severity)).collect::<Vec<_>>(), codes);
        }
    }

    #[test]
    fn a_host_that_the_store_does_not_know_is_an_error_and_the_cure_is_to_rebuild() {
        let refusal = Refusal { node: NodeId::from_u128(7), from: [10, 0, 0, 3].into(), why: Refused::UnknownNode };
        let findings = doctor::examine(&World { refusals: vec![refusal], ..World::empty(Timestamp::UNIX_EPOCH) });
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].code, findings[0].severity), ("store-lacks-host", Severity::Error));
        assert!(findings[0].what.contains("10.0.0.3") && findings[0].cure.contains("rebuild"), "{findings:?}");
    }
}
