//! Why a volume was not placed: the cause in heketi's words, then device by device, in bytes.

use bricklayer_proto::ids::{DeviceId, NodeId};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::ByteSize;
use serde::Serialize;

use super::{Standing, TagMatch, Wish};

/// Nothing was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What ended the search.
    pub cause: Cause,
    pub wish: Wish,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
    /// Every device, by node and device name.
    pub devices: Vec<DeviceRefusal>,
    /// The largest whole GiB that fits with the same wish; `None` where nothing does.
    pub largest: Option<ByteSize>,
}

/// What ended the search for a size of bricks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    NoSpace,
    TooManyBricks,
    BrickTooSmall,
}

/// One number of brick sets, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub sets: u64,
    /// Of one data brick.
    pub brick: ByteSize,
    pub ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    BrickTooLarge,
    BrickTooSmall,
    TooManyBricks,
    NoSpace,
}

/// One device, and the first rule by which it was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceRefusal {
    pub node: NodeId,
    pub node_name: String,
    pub zone: u32,
    pub device: DeviceId,
    pub device_name: String,
    /// What a brick takes here, its part of the group's spare included.
    pub needed: ByteSize,
    pub free: ByteSize,
    pub rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Rule {
    /// It takes no bricks now.
    NotReady { standing: Standing },
    /// Its tags do not match.
    Tag { wanted: TagMatch, found: Option<String> },
    /// It has too little free for a brick of this role.
    Space { role: BrickRole, short: ByteSize },
    /// It has room for this many bricks; the others were missing.
    Fits { data: u64, arbiter: u64 },
}
