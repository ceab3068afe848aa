//! Operations, plans, and the check of the database.

use std::fmt::Write as _;

use bricklayer_api::heketi::{DbCheck, DbCheckOf};
use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{Operation, Plan, PlannedBrick, PlannedChange, StepState};

use super::placement::devices;
use super::{Width, cells, columns, facts, or_dash, table};

pub fn operation_list(operations: &[Operation], width: Width) -> String {
    let row = |operation: &Operation| {
        let done = operation.steps.iter().filter(|step| step.state == StepState::Done).count();
        let normal = vec![
            operation.id.to_string(),
            operation.kind.clone(),
            operation.state.to_string(),
            format!("{done}/{}", operation.steps.len()),
            moment!(operation.started),
            or_dash(operation.error.as_ref().and_then(|error| error.lines().next()).map(str::to_owned)),
        ];
        let wide = || vec![or_dash(operation.finished.map(|at| moment!(at))), or_dash(operation.resource.clone())];
        cells(normal, wide, width)
    };
    let normal = ["OPERATION", "KIND", "STATE", "STEPS", "STARTED", "ERROR"];
    table(&columns(&normal, &["FINISHED", "RESULT"], width), operations.iter().map(row))
}

pub fn operation_info(operation: &Operation) -> String {
    let mut lines = vec![
        ("Operation", operation.id.to_string()),
        ("Kind", operation.kind.clone()),
        ("State", operation.state.to_string()),
        ("Started", moment!(operation.started)),
    ];
    if let Some(finished) = operation.finished {
        lines.push(("Finished", moment!(finished)));
    }
    if let Some(resource) = &operation.resource {
        lines.push(("Result", resource.clone()));
    }
    if let Some(error) = &operation.error {
        lines.push(("Error", error.trim_end().replace('\n', "\n           ")));
    }
    let mut text = facts(&lines);
    if !operation.changes.is_empty() {
        let _infallible = write!(text, "\nChanges ({})\n", operation.changes.len());
    }
    for change in &operation.changes {
        let _infallible = writeln!(text, "  {change}");
    }
    let _infallible = write!(text, "\nSteps ({})\n", operation.steps.len());
    for step in &operation.steps {
        let state = match step.state {
            StepState::Pending => "       ",
            StepState::Running => "running",
            StepState::Done => "done   ",
            StepState::Failed => "failed ",
            StepState::Undone => "undone ",
        };
        let detail = step.detail.as_ref().map(|detail| format!(": {}", detail.lines().next().unwrap_or_default()));
        let _infallible = writeln!(text, "  {state}  {}{}", step.name, detail.unwrap_or_default());
    }
    text
}

/// The plans that are kept.
pub fn plan_list(plans: &[Plan]) -> String {
    let row = |plan: &Plan| {
        let kept = plan.kept.as_ref();
        vec![
            or_dash(kept.map(|kept| kept.id.to_string())),
            plan.kind.clone(),
            or_dash(kept.map(|kept| kept.bricks.len().to_string())),
            or_dash(kept.map(|kept| moment!(kept.expires))),
            or_dash(plan.changes.first().map(|change| change.lines().next().unwrap_or_default().to_owned())),
        ]
    };
    table(&["ID", "KIND", "BRICKS", "UNTIL", "CHANGES"], plans.iter().map(row))
}

/// What would be done, for whoever asked before doing it.
pub fn plan(plan: &Plan) -> String {
    let mut text = match &plan.kept {
        None => format!("{} (dry run: nothing was changed)\n", plan.kind),
        Some(kept) => format!("{}, plan {} (nothing was changed)\n", plan.kind, kept.id),
    };
    for (title, lines) in [("Changes", &plan.changes), ("Steps", &plan.steps), ("Destroyed", &plan.destroys)] {
        if lines.is_empty() {
            continue;
        }
        let _infallible = write!(text, "\n{title} ({})\n", lines.len());
        for line in lines {
            let _infallible = writeln!(text, "  {}", line.replace('\n', "\n    "));
        }
    }
    if let Some(kept) = &plan.kept {
        // A wipe has no brick.
        if !kept.bricks.is_empty() {
            let _infallible = write!(text, "\nBricks ({})\n{}", kept.bricks.len(), planned_bricks(&kept.bricks));
        }
        if !kept.devices.is_empty() {
            let _infallible = write!(text, "\nDevices ({})\n{}", kept.devices.len(), devices(&kept.devices));
        }
        let _infallible = writeln!(
            text,
            "\nUntil {}, and only while what it was decided by is as it is now:\n  bricklayer apply {}",
            moment!(kept.expires),
            kept.id
        );
    }
    text
}

pub(super) fn planned_bricks(bricks: &[PlannedBrick]) -> String {
    let row = |brick: &PlannedBrick| {
        let from = brick.from_node_name.as_ref().zip(brick.from_device_name.as_ref());
        let change = match brick.change {
            PlannedChange::Make => "is made",
            PlannedChange::Grow => "grows",
            PlannedChange::Move => "moves",
            PlannedChange::Adopt => "stays",
        };
        vec![
            brick.volume_name.clone(),
            (brick.set + 1).to_string(),
            change.to_owned(),
            or_dash(from.map(|(node, device)| format!("{node}:{device}"))),
            format!("{}:{}", brick.node_name, brick.device_name),
            ByteSize::from_bytes(brick.size_bytes).to_string(),
            brick.extents.to_string(),
        ]
    };
    table(&["VOLUME", "SET", "BRICK", "FROM", "DEVICE", "SIZE", "EXTENTS"], bricks.iter().map(row))
}

pub fn db_check(check: &DbCheck) -> String {
    let kinds: [(&str, &DbCheckOf); 8] = [
        ("clusters", &check.clusters),
        ("nodes", &check.nodes),
        ("devices", &check.devices),
        ("bricks", &check.bricks),
        ("volumes", &check.volumes),
        ("block volumes", &check.block_volumes),
        ("attributes", &check.db_attributes),
        ("pending operations", &check.pending_operations),
    ];
    let row = |(kind, of): &(&str, &DbCheckOf)| {
        vec![(*kind).to_owned(), of.total.to_string(), of.pending.to_string(), of.ok.to_string(), of.not_ok.to_string()]
    };
    let mut text = table(&["RECORDS", "TOTAL", "PENDING", "OK", "NOT OK"], kinds.iter().map(row));
    let _infallible = write!(text, "\nInconsistencies ({})\n", check.total_inconsistencies);
    for (_, of) in kinds {
        for inconsistency in &of.inconsistencies {
            let _infallible = writeln!(text, "  {inconsistency}");
        }
    }
    text
}
