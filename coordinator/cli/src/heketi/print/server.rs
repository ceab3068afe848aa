//! Operations of the server.

use std::fmt::Write as _;

use bricklayer_api::heketi::{
    OperationCounts, PendingOperation, PendingOperationDetail, PendingStatus, PendingSubStatus,
};

pub fn operation_counts(counts: &OperationCounts) -> String {
    format!(
        "Operation Counts:\n  Total: {}\n  In-Flight: {}\n  New: {}\n  Failed: {}\n  Stale: {}\n",
        counts.total, counts.in_flight, counts.new, counts.failed, counts.stale
    )
}

/// The second word only where there is one.
fn status(status: PendingStatus, sub_status: PendingSubStatus) -> String {
    format!("{status} {sub_status}").trim_end().to_owned()
}

pub fn operation_list(operations: &[PendingOperation]) -> String {
    let line = |one: &PendingOperation| {
        format!("Id:{}  Type:{}  Status:{}\n", one.id, one.type_name, status(one.status, one.sub_status))
    };
    operations.iter().map(line).collect()
}

pub fn operation_info(operation: &PendingOperationDetail) -> String {
    let mut text = format!(
        "\nId: {}\nType: {}\nStatus: {}\nChanges:\n",
        operation.id,
        operation.type_name,
        status(operation.status, operation.sub_status)
    );
    for change in &operation.changes {
        put!(text, "    {}: {}\n", change.description, change.id);
    }
    text
}
