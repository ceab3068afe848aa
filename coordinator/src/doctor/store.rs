//! The coordinator's store: whether a host has seen a later state than it.

use bricklayer_proto::ids::NodeId;

use super::{Finding, Severity, Subject, World};
use crate::standing::Standing;

const REBUILD: &str =
    "stop the coordinator and run `bricklayer-coordinator rebuild`: it says what is missing, and puts it right";

pub fn examine(world: &World, findings: &mut Vec<Finding>) {
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
