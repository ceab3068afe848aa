//! Messages to vocabulary by `TryFrom`, and back by `From`. The only reader of generated fields.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Credentials, EnrollReply, EnrollRequest, FromAgent, Hello, MAX_ENROL, Secret, ToAgent, Welcome, v1};
use crate::ids::TaskId;
use crate::inventory::{AgentSeen, Obstacle, Versions};
use crate::keepsake::{Digest, Keepsake, KeepsakeKind, Kept};
use crate::task::{Done, Failure, FailureKind, Outcome, Progress, Report, Task};

/// A message that this build cannot read. From a peer that passed the handshake this means a mix of versions.
#[derive(Debug, thiserror::Error)]
#[error("the message's field `{field}` could not be read: {why}")]
pub struct NotUnderstood {
    field: &'static str,
    why: String,
    /// The task that it is about, so that it can be answered instead of dropped.
    pub task: Option<TaskId>,
}

impl NotUnderstood {
    pub(super) fn new(field: &'static str, why: impl ToString) -> Self {
        Self { field, why: why.to_string(), task: None }
    }

    fn about(self, task: TaskId) -> Self {
        Self { task: Some(task), ..self }
    }
}

type Result<T> = std::result::Result<T, NotUnderstood>;

fn parse<T: FromStr<Err: ToString>>(field: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|error: T::Err| NotUnderstood::new(field, error))
}

fn from_json<T: DeserializeOwned>(field: &'static str, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| NotUnderstood::new(field, error))
}

/// The vocabulary has string keys and finite numbers only, so there is nothing that JSON could not express; if there
/// ever were, the peer would refuse the empty text.
fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| NotUnderstood::new(field, "it is missing"))
}

impl From<FromAgent> for v1::FromAgent {
    fn from(said: FromAgent) -> Self {
        use v1::from_agent::Message;
        let message = match said {
            FromAgent::Hello(hello) => Message::Hello(hello.into()),
            FromAgent::Inventory { seen, clock_ms } => {
                Message::Inventory(v1::Inventory { inventory_json: to_json(&*seen), clock_ms })
            }
            FromAgent::Progress(Progress { task, doing }) => {
                Message::Progress(v1::Progress { task: task.to_string(), doing })
            }
            FromAgent::Outcome(outcome) => Message::Outcome((*outcome).into()),
            FromAgent::Kept(kept) => {
                Message::Kept(v1::Kept { keepsakes: kept.into_iter().map(v1::KeptOne::from).collect() })
            }
            FromAgent::Recollection(recollection) => {
                Message::Recollection(v1::Recollection { recollection_json: to_json(&*recollection) })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::FromAgent> for FromAgent {
    type Error = NotUnderstood;

    fn try_from(message: v1::FromAgent) -> Result<Self> {
        use v1::from_agent::Message;
        Ok(match required("message", message.message)? {
            Message::Hello(hello) => Self::Hello(hello.try_into()?),
            Message::Inventory(v1::Inventory { inventory_json, clock_ms }) => {
                Self::Inventory { seen: from_json("inventory_json", &inventory_json)?, clock_ms }
            }
            Message::Progress(progress) => {
                Self::Progress(Progress { task: parse("task", &progress.task)?, doing: progress.doing })
            }
            Message::Outcome(outcome) => Self::Outcome(Box::new(outcome.try_into()?)),
            // A kind that a newer agent keeps is not our business.
            Message::Kept(kept) => {
                let known = kept.keepsakes.into_iter().filter(|one| one.kind.parse::<KeepsakeKind>().is_ok());
                Self::Kept(known.map(Kept::try_from).collect::<Result<_>>()?)
            }
            Message::Recollection(part) => Self::Recollection(from_json("recollection_json", &part.recollection_json)?),
            Message::Part(_) => return Err(NotUnderstood::new("part", "it is a part of a message")),
        })
    }
}

impl From<ToAgent> for v1::ToAgent {
    fn from(told: ToAgent) -> Self {
        use v1::to_agent::Message;
        let message = match told {
            ToAgent::Welcome(welcome) => Message::Welcome(welcome.into()),
            ToAgent::Task(task) => Message::Task((*task).into()),
            ToAgent::Acknowledge(task) => Message::Acknowledge(v1::Acknowledge { task: task.to_string() }),
            ToAgent::Keepsake(keepsake) => Message::Keepsake((*keepsake).into()),
            ToAgent::Recall { gluster } => Message::Recall(v1::Recall { gluster }),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::ToAgent> for ToAgent {
    type Error = NotUnderstood;

    fn try_from(message: v1::ToAgent) -> Result<Self> {
        use v1::to_agent::Message;
        Ok(match required("message", message.message)? {
            Message::Welcome(welcome) => Self::Welcome(welcome.try_into()?),
            Message::Task(task) => Self::Task(Box::new(task.try_into()?)),
            Message::Acknowledge(acknowledge) => Self::Acknowledge(parse("task", &acknowledge.task)?),
            Message::Keepsake(keepsake) => Self::Keepsake(Box::new(keepsake.try_into()?)),
            Message::Recall(recall) => Self::Recall { gluster: recall.gluster },
            Message::Part(_) => return Err(NotUnderstood::new("part", "it is a part of a message")),
        })
    }
}

impl From<Keepsake> for v1::Keepsake {
    fn from(keepsake: Keepsake) -> Self {
        let Keepsake { kind, sequence, content, mark } = keepsake;
        Self { kind: kind.to_string(), sequence, content, mark }
    }
}

impl TryFrom<v1::Keepsake> for Keepsake {
    type Error = NotUnderstood;

    fn try_from(keepsake: v1::Keepsake) -> Result<Self> {
        let v1::Keepsake { kind, sequence, content, mark } = keepsake;
        Ok(Self { kind: parse("kind", &kind)?, sequence, content, mark })
    }
}

impl From<Kept> for v1::KeptOne {
    fn from(kept: Kept) -> Self {
        Self { kind: kept.kind.to_string(), sequence: kept.sequence, digest: kept.digest.as_bytes().to_vec() }
    }
}

impl TryFrom<v1::KeptOne> for Kept {
    type Error = NotUnderstood;

    fn try_from(kept: v1::KeptOne) -> Result<Self> {
        let digest = kept.digest.as_slice().try_into();
        let digest = digest.map_err(|_| NotUnderstood::new("digest", "it has not 32 bytes"))?;
        let kind = parse("kind", &kept.kind)?;
        Ok(Self { kind, sequence: kept.sequence, digest: Digest::from_bytes(digest) })
    }
}

impl From<Hello> for v1::Hello {
    fn from(hello: Hello) -> Self {
        let Versions { agent, kernel, lvm, xfsprogs, glusterfs } = hello.seen.versions;
        Self {
            oldest_protocol: *hello.protocols.start(),
            newest_protocol: *hello.protocols.end(),
            node: hello.node.to_string(),
            epoch: hello.epoch,
            clock_ms: hello.clock_ms,
            host_name: hello.seen.host_name,
            boot: hello.seen.boot.to_string(),
            versions: Some(v1::Versions { agent, kernel, lvm, xfsprogs, glusterfs }),
            up_seconds: hello.seen.up_seconds,
        }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = NotUnderstood;

    fn try_from(hello: v1::Hello) -> Result<Self> {
        let v1::Versions { agent, kernel, lvm, xfsprogs, glusterfs } = required("versions", hello.versions)?;
        let protocols: RangeInclusive<u32> = hello.oldest_protocol..=hello.newest_protocol;
        if protocols.is_empty() {
            return Err(NotUnderstood::new("newest_protocol", "it is lower than `oldest_protocol`"));
        }
        Ok(Self {
            protocols,
            node: parse("node", &hello.node)?,
            epoch: hello.epoch,
            clock_ms: hello.clock_ms,
            seen: AgentSeen {
                host_name: hello.host_name,
                boot: parse("boot", &hello.boot)?,
                up_seconds: hello.up_seconds,
                versions: Versions { agent, kernel, lvm, xfsprogs, glusterfs },
            },
        })
    }
}

impl From<Welcome> for v1::Welcome {
    fn from(welcome: Welcome) -> Self {
        Self {
            installation: welcome.installation.to_string(),
            epoch: welcome.epoch,
            protocol: welcome.protocol,
            clock_ms: welcome.clock_ms,
            name: welcome.name.into(),
        }
    }
}

impl TryFrom<v1::Welcome> for Welcome {
    type Error = NotUnderstood;

    fn try_from(welcome: v1::Welcome) -> Result<Self> {
        Ok(Self {
            installation: parse("installation", &welcome.installation)?,
            epoch: welcome.epoch,
            protocol: welcome.protocol,
            clock_ms: welcome.clock_ms,
            name: parse("name", &welcome.name)?,
        })
    }
}

impl From<Task> for v1::Task {
    fn from(task: Task) -> Self {
        Self {
            id: task.id.to_string(),
            operation: task.operation.to_string(),
            epoch: task.epoch,
            wanted_json: to_json(&task.wanted),
        }
    }
}

impl TryFrom<v1::Task> for Task {
    type Error = NotUnderstood;

    fn try_from(task: v1::Task) -> Result<Self> {
        let id = parse("id", &task.id)?;
        // From here on a refusal can name the task, so that its sender does not wait for ever.
        let read = || {
            Ok(Self {
                id,
                operation: parse("operation", &task.operation)?,
                epoch: task.epoch,
                wanted: from_json("wanted_json", &task.wanted_json)?,
            })
        };
        read().map_err(|error: NotUnderstood| error.about(id))
    }
}

impl From<Outcome> for v1::Outcome {
    fn from(outcome: Outcome) -> Self {
        use v1::outcome::Result;
        let result = match outcome.result {
            Ok(done) => Result::Done(v1::Done { changed: done.changed, report_json: to_json(&done.report) }),
            Err(failure) => Result::Failure(failure.into()),
        };
        Self { task: outcome.task.to_string(), result: Some(result) }
    }
}

impl TryFrom<v1::Outcome> for Outcome {
    type Error = NotUnderstood;

    fn try_from(outcome: v1::Outcome) -> Result<Self> {
        let task = parse("task", &outcome.task)?;
        let read = || -> Result<_> {
            Ok(match required("result", outcome.result)? {
                v1::outcome::Result::Done(done) => {
                    let report: Report = from_json("report_json", &done.report_json)?;
                    Ok(Done { changed: done.changed, report })
                }
                v1::outcome::Result::Failure(failure) => Err(failure.try_into()?),
            })
        };
        let result = read().map_err(|error| error.about(task))?;
        Ok(Self { task, result })
    }
}

impl From<Failure> for v1::Failure {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Refused => v1::FailureKind::Refused,
            FailureKind::NoSpace => v1::FailureKind::NoSpace,
            FailureKind::Failed => v1::FailureKind::Failed,
            FailureKind::Unknown => v1::FailureKind::Unknown,
            FailureKind::Stale => v1::FailureKind::Stale,
            FailureKind::Unavailable => v1::FailureKind::Unavailable,
            FailureKind::PeersDown => v1::FailureKind::PeersDown,
        };
        let obstacles_json = if failure.obstacles.is_empty() { Vec::new() } else { to_json(&failure.obstacles) };
        Self { kind: kind.into(), message: failure.message, cure: failure.cure, obstacles_json }
    }
}

impl TryFrom<v1::Failure> for Failure {
    type Error = NotUnderstood;

    fn try_from(failure: v1::Failure) -> Result<Self> {
        let kind = match failure.kind() {
            v1::FailureKind::Refused => FailureKind::Refused,
            v1::FailureKind::NoSpace => FailureKind::NoSpace,
            v1::FailureKind::Failed => FailureKind::Failed,
            // A kind that a newer agent invented may stand for anything: nothing may be concluded from it.
            v1::FailureKind::Unknown | v1::FailureKind::Unspecified => FailureKind::Unknown,
            v1::FailureKind::Stale => FailureKind::Stale,
            v1::FailureKind::Unavailable => FailureKind::Unavailable,
            v1::FailureKind::PeersDown => FailureKind::PeersDown,
        };
        let obstacles: Vec<Obstacle> = if failure.obstacles_json.is_empty() {
            Vec::new()
        } else {
            from_json("obstacles_json", &failure.obstacles_json)?
        };
        Ok(Self { kind, message: failure.message, cure: failure.cure, obstacles })
    }
}

impl From<EnrollRequest> for v1::EnrollRequest {
    fn from(request: EnrollRequest) -> Self {
        Self {
            invitation: request.invitation.to_string(),
            secret: request.secret.expose().to_vec(),
            csr: request.csr,
            machine_id: request.machine_id,
        }
    }
}

impl TryFrom<v1::EnrollRequest> for EnrollRequest {
    type Error = NotUnderstood;

    fn try_from(request: v1::EnrollRequest) -> Result<Self> {
        let secret = request.secret.as_slice().try_into();
        if request.machine_id.len() > 64 || request.csr.len() > MAX_ENROL {
            return Err(NotUnderstood::new("machine_id", "it is longer than a machine id can be"));
        }
        Ok(Self {
            invitation: parse("invitation", &request.invitation)?,
            secret: Secret::from_bytes(secret.map_err(|_| NotUnderstood::new("secret", "it has not 32 bytes"))?),
            csr: request.csr,
            machine_id: request.machine_id,
        })
    }
}

impl From<EnrollReply> for v1::EnrollReply {
    fn from(reply: EnrollReply) -> Self {
        let Credentials { certificate, authorities, addresses } = reply.credentials;
        Self {
            installation: reply.installation.to_string(),
            node: reply.node.to_string(),
            name: reply.name.into(),
            certificate,
            authorities,
            addresses,
        }
    }
}

impl TryFrom<v1::EnrollReply> for EnrollReply {
    type Error = NotUnderstood;

    fn try_from(reply: v1::EnrollReply) -> Result<Self> {
        Ok(Self {
            installation: parse("installation", &reply.installation)?,
            node: parse("node", &reply.node)?,
            name: parse("name", &reply.name)?,
            credentials: Credentials {
                certificate: reply.certificate,
                authorities: reply.authorities,
                addresses: reply.addresses,
            },
        })
    }
}

impl From<Credentials> for v1::RenewReply {
    fn from(Credentials { certificate, authorities, addresses }: Credentials) -> Self {
        Self { certificate, authorities, addresses }
    }
}

impl From<v1::RenewReply> for Credentials {
    fn from(v1::RenewReply { certificate, authorities, addresses }: v1::RenewReply) -> Self {
        Self { certificate, authorities, addresses }
    }
}

#[cfg(test)]
mod tests;
