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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::stage::{ago, codes_after, deletion, operation, volume};
    use crate::model::{OpState, Trash, Volume};

    #[test]
    fn what_should_have_gone_from_the_trash_ten_minutes_ago_is_found_unless_it_is_just_going() {
        let until = |seconds| {
            move |world: &mut World| {
                let trash = Some(Trash { since: ago(10_000), until: ago(seconds) });
                world.topology().put_volume(Volume { trash, ..volume() });
                for number in 1..=3 {
                    world.told(number).gluster.volumes.as_mut().unwrap()[0].started = false;
                }
            }
        };
        assert_eq!(codes_after(until(600)), [""; 0]);
        assert_eq!(codes_after(until(601)), ["trash-overdue"]);
        let going = codes_after(|world| {
            until(601)(world);
            world.topology().put_operation(operation(deletion(volume()), OpState::Running { committed: false }));
        });
        assert_eq!(going, [""; 0]);
    }
}
