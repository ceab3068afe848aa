//! What a client asks for between the cuts.

use std::fmt;

use anyhow::{Context as _, ensure};

use super::Volume;
use super::truths::Recorded;
use crate::histories::chance::Chance;
use crate::lab::Lab;
use crate::scenario;

#[derive(Clone, Debug)]
pub enum Deed {
    Create {
        size_gib: u64,
    },
    Expand {
        volume: String,
        by_gib: u64,
    },
    Delete {
        volume: String,
    },
    Evict {
        volume: String,
        brick: String,
    },
    /// Every brick of a device moves away.
    Empty {
        device: String,
    },
}

/// An operation that was taken on.
#[derive(Clone, Debug)]
pub struct Begun {
    pub deed: Deed,
    pub queue: String,
}

/// What the queue id has answered in the end.
#[derive(Clone, Debug)]
pub enum Outcome {
    Finished(Option<String>),
    Undone(String),
}

impl Deed {
    /// On a volume that is free; that one is taken off the list.
    pub fn any(
        chance: &mut Chance,
        free: &mut Vec<Volume>,
        bricks: &[Recorded],
        may_create: bool,
    ) -> anyhow::Result<Self> {
        if free.is_empty() {
            return Ok(Self::Create { size_gib: chance.number(1..=2) });
        }
        loop {
            let (at, of) = (chance.index(free.len()), chance.number(1..=20));
            let volume = free[at].clone();
            let brick = || bricks.iter().find(|brick| brick.volume == volume.id).context("a volume without bricks");
            let deed = match of {
                1..=6 if may_create => return Ok(Self::Create { size_gib: chance.number(1..=2) }),
                // Grown ones are left until they go: the disks have 16 GiB.
                7..=11 if volume.size_gib < 4 => Self::Expand { volume: volume.id, by_gib: 1 },
                12..=14 => Self::Delete { volume: volume.id },
                15..=18 => {
                    let of_it: Vec<&Recorded> = bricks.iter().filter(|brick| brick.volume == volume.id).collect();
                    let brick = chance.of_these(&of_it).context("a volume without bricks")?;
                    Self::Evict { volume: volume.id, brick: brick.id.clone() }
                }
                19 | 20 => Self::Empty { device: brick()?.device.clone() },
                _ => continue,
            };
            free.remove(at);
            return Ok(deed);
        }
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Expand { .. } => "expand",
            Self::Delete { .. } => "delete",
            Self::Evict { .. } => "evict a brick",
            Self::Empty { .. } => "empty a device",
        }
    }

    /// The volume that is gone afterwards.
    pub fn doomed(&self) -> Option<&str> {
        match self {
            Self::Delete { volume } => Some(volume),
            _ => None,
        }
    }

    pub fn ends(&self, volume: &Volume) -> bool {
        self.doomed() == Some(&volume.id)
    }

    pub fn begin(self, lab: &Lab) -> anyhow::Result<Begun> {
        let queue = match &self {
            Self::Create { size_gib } => {
                let body =
                    format!(r#"{{"size":{size_gib},"durability":{{"type":"replicate","replicate":{{"replica":3}}}}}}"#);
                scenario::post_volume(lab, &body)?
            }
            Self::Expand { volume, by_gib } => {
                let body = format!(r#"{{"expand_size":{by_gib}}}"#);
                scenario::begin(lab, "POST", &format!("/volumes/{volume}/expand"), &body)?
            }
            Self::Delete { volume } => scenario::begin(lab, "DELETE", &format!("/volumes/{volume}"), "")?,
            Self::Evict { brick, .. } => scenario::begin(lab, "POST", &format!("/bricks/to-evict/{brick}"), "{}")?,
            Self::Empty { device } => {
                lab.heketi(&["device", "disable", device])?;
                scenario::begin(lab, "POST", &format!("/devices/{device}/state"), r#"{"state":"failed"}"#)?
            }
        };
        Ok(Begun { deed: self, queue })
    }

    /// Milliseconds that it takes here when nothing is in its way, about: cuts are to fall before its end.
    const fn hoped(&self) -> u64 {
        match self {
            Self::Create { .. } | Self::Delete { .. } => 16_000,
            Self::Expand { .. } => 6_000,
            Self::Evict { .. } | Self::Empty { .. } => 30_000,
        }
    }
}

impl Begun {
    pub fn longest_hoped(begun: &[Self]) -> u64 {
        begun.iter().map(|begun| begun.deed.hoped()).max().unwrap_or(0)
    }

    /// What it is at, in the coordinator's words; only to be told.
    pub fn stage(&self, lab: &Lab) -> String {
        let path = self.queue.replace("/queue/", "/v1/operations/");
        let Ok(operation) = scenario::read(lab, &path) else { return "it cannot be asked".to_owned() };
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let steps = operation["steps"].as_array().into_iter().flatten();
        let running: Vec<String> =
            steps.filter(|step| step["state"] == "running").map(|step| text(&step["name"])).collect();
        let error = operation["error"].as_str().map(|error| format!(" ({error})")).unwrap_or_default();
        format!("{} {}: {}{error}", text(&operation["kind"]), text(&operation["state"]), running.join(", "))
    }
}

/// The brick is there or not, as its client was told.
pub fn was_evicted(lab: &Lab, volume: &str, brick: &str, done: bool) -> anyhow::Result<()> {
    let info = scenario::read(lab, &format!("/volumes/{volume}"))?;
    let there = info["bricks"].as_array().into_iter().flatten().any(|one| one["id"] == brick);
    ensure!(there != done, "brick {brick} is {}there", if there { "" } else { "not " });
    Ok(())
}

/// The device is empty if its client was told so; it is taken into service again.
pub fn was_emptied(lab: &Lab, device: &str, done: bool) -> anyhow::Result<()> {
    let info = scenario::read(lab, &format!("/devices/{device}"))?;
    let bricks = info["bricks"].as_array().map_or(0, Vec::len);
    ensure!(!done || bricks == 0 && info["state"] == "failed", "device {device} is not empty: {info}");
    // heketi's way back into service.
    for word in ["disable", "enable"] {
        lab.heketi(&["device", word, device])?;
    }
    Ok(())
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { size_gib } => write!(f, "create {size_gib} GiB"),
            Self::Expand { volume, by_gib } => write!(f, "expand {volume} by {by_gib} GiB"),
            Self::Delete { volume } => write!(f, "delete {volume}"),
            Self::Evict { volume, brick } => write!(f, "evict brick {brick} of {volume}"),
            Self::Empty { device } => write!(f, "empty device {device}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished(_) => f.write_str("finished"),
            Self::Undone(why) => write!(f, "undone: {why}"),
        }
    }
}
