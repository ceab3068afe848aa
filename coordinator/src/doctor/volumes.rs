//! Volumes: what should be gone from the trash and is not.

use jiff::SignedDuration;

use super::{Finding, Severity, Subject, World};

/// What is over goes within a minute, and what could not is tried again every minute.
const OVERDUE: SignedDuration = SignedDuration::from_mins(10);

pub fn examine(world: &World, findings: &mut Vec<Finding>) {
    for volume in world.topology.volumes.values() {
        let Some(trash) = volume.trash else { continue };
        if world.now.duration_since(trash.until) > OVERDUE && !world.topology.is_changing(volume.id) {
            findings.push(Finding {
                severity: Severity::Warning,
                code: "trash-overdue",
                subject: Subject::Volume(volume.id),
                host: String::new(),
                what: format!("volume {} in the trash should have gone at {:.0} and is still there", volume.name, trash.until),
                cure: format!(
                    "somebody may have started it by hand, a host be away or its clock wrong: the coordinator's log says why; \
                     `bricklayer trash empty {}` ends it",
                    volume.name
                ),
            });
        }
    }
}
