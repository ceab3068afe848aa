//! What is asked of where bricks go.

use bricklayer_api::v1::{Policy, PolicyList, Provisioning, ZonePolicy};

use super::{indented, table};

pub fn policies(list: &PolicyList) -> String {
    list.policies.iter().map(policy).collect::<Vec<_>>().join("\n")
}

fn policy(policy: &Policy) -> String {
    let whose = match (policy.volume, policy.cluster) {
        (Some(id), _) => format!("Volume {id}"),
        (None, Some(id)) => format!("Cluster {id}"),
        (None, None) => "Installation".to_owned(),
    };
    let (says, holds) = (&policy.says, &policy.in_force);
    let said = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rules = |rules: &Vec<String>| if rules.is_empty() { "none".to_owned() } else { rules.join(" ") };
    let any = |most: Option<u32>| most.map_or_else(|| "any number".to_owned(), |most| most.to_string());
    let zones = |zones: ZonePolicy| zones.as_str().to_owned();
    let provisioning = |provisioning: Provisioning| provisioning.as_str().to_owned();
    let rows = [
        ("zones", said(says.zones.map(zones)), zones(holds.zones)),
        (
            "most bricks of a set per zone",
            said(says.most_bricks_per_zone.map(|most| most.to_string())),
            any(holds.most_bricks_per_zone),
        ),
        ("most bricks of a set per node", "-".to_owned(), holds.most_bricks_per_node.to_string()),
        ("reserve on each device", said(says.reserve.clone()), holds.reserve.clone()),
        ("over-commitment", said(says.over_commit.clone()), holds.over_commit.clone()),
        ("provisioning of new volumes", said(says.provisioning.map(provisioning)), provisioning(holds.provisioning)),
        (
            "pools are extended to at most",
            said(says.pools_at_most.as_deref().map(brick_sizes)),
            holds.pools_at_most.as_deref().map_or_else(|| "?".to_owned(), brick_sizes),
        ),
        ("tag rules", said(says.tag_rules.as_ref().map(rules)), rules(&holds.tag_rules)),
    ];
    let rows = rows.map(|(what, says, holds)| vec![what.to_owned(), says, holds]);
    let warning = holds.warning.as_ref().map_or_else(String::new, |warning| format!("  WARNING: {warning}\n"));
    format!("{whose}\n{}{warning}", indented(&table(&["WHAT", "SAYS", "IN FORCE"], rows.into_iter())))
}

/// How far a pool goes, for people.
fn brick_sizes(factor: &str) -> String {
    if factor == "1" { "the brick's size".to_owned() } else { format!("{factor} times the brick's size") }
}
