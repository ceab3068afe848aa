//! `bricklayer simulate`: what is supposed to happen, a word each.

use std::str::FromStr;

use bricklayer_api::size::ByteSize;
use clap::Args;

use super::common::Output;
use super::values::size;
use crate::bricklayer::refs::{DeviceRef, NodeRef};

#[derive(Debug, Args)]
#[group(id = "supposed", required = true, multiple = true, args = ["lose", "add", "create"])]
pub struct Simulate {
    /// What is lost for good: node:NAME, zone:NUMBER or device:NODE:PATH (or device:ID)
    #[arg(long, value_name = "WHAT")]
    pub lose: Vec<Loss>,
    /// A disk that is added: disk:NODE:SIZE, such as disk:gfs1:8TiB
    #[arg(long, value_name = "DISK")]
    pub add: Vec<NewDisk>,
    /// Volumes that are made: [COUNTx]SIZE[:DURABILITY], such as 40x100GiB:replica3
    ///
    /// Durabilities are none, replica2, replica3 (what is meant without one), arbiter, and disperse4+2 and the like.
    #[arg(long, value_name = "VOLUMES")]
    pub create: Vec<NewVolumes>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    Node(NodeRef),
    Zone(u32),
    Device(DeviceRef),
}

impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write node:NAME, zone:NUMBER or device:NODE:PATH, such as node:gfs3".to_owned();
        let (kind, what) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "node" => what.parse().map(Self::Node).map_err(|error| format!("node {what:?}: {error}")),
            "zone" => match what.parse() {
                Ok(zone) if zone > 0 => Ok(Self::Zone(zone)),
                _ => Err(format!("{what:?} is not a zone: zones are 1 and more")),
            },
            "device" => what.parse().map(Self::Device).map_err(|error| format!("device {what:?}: {error}")),
            _ => Err(wrong()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDisk {
    pub node: NodeRef,
    pub size: ByteSize,
}

impl FromStr for NewDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write disk:NODE:SIZE, such as disk:gfs1:8TiB".to_owned();
        let (node, disk) = text.strip_prefix("disk:").and_then(|rest| rest.rsplit_once(':')).ok_or_else(wrong)?;
        let node = node.parse().map_err(|error| format!("node {node:?}: {error}"))?;
        Ok(Self { node, size: size(disk)? })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewVolumes {
    pub count: u32,
    pub size: ByteSize,
    pub durability: NewDurability,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewDurability {
    None,
    Replica(i64),
    Arbiter,
    Disperse { data: i64, redundancy: i64 },
}

impl FromStr for NewVolumes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, durability) = text.split_once(':').unwrap_or((text, "replica3"));
        let (count, each) = what.split_once('x').unwrap_or(("1", what));
        let count = count.parse().ok().filter(|count| *count > 0);
        let count = count.ok_or("write COUNTxSIZE:DURABILITY, such as 40x100GiB:replica3")?;
        Ok(Self { count, size: size(each)?, durability: durability.parse()? })
    }
}

impl FromStr for NewDurability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no durability: none, replica2, replica3, arbiter, disperse4+2");
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number > 0).ok_or_else(wrong);
        match text {
            "none" => Ok(Self::None),
            "arbiter" => Ok(Self::Arbiter),
            _ => match (text.strip_prefix("replica"), text.strip_prefix("disperse")) {
                (Some(replica), _) => Ok(Self::Replica(number(replica)?)),
                (None, Some(code)) => {
                    let (data, redundancy) = code.split_once('+').ok_or_else(wrong)?;
                    Ok(Self::Disperse { data: number(data)?, redundancy: number(redundancy)? })
                }
                (None, None) => Err(wrong()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_written_as_how_many_how_large_and_how_protected() {
        let volumes = |text: &str| text.parse::<NewVolumes>();
        let gib = |gib| ByteSize::from_gib(gib).unwrap();
        let (count, size, durability) = (40, gib(100), NewDurability::Replica(3));
        assert_eq!(volumes("40x100GiB:replica3"), Ok(NewVolumes { count, size, durability }));
        assert_eq!(volumes("100"), Ok(NewVolumes { count: 1, size, durability }));
        let durability = NewDurability::Disperse { data: 4, redundancy: 2 };
        assert_eq!(volumes("2x1TiB:disperse4+2"), Ok(NewVolumes { count: 2, size: gib(1024), durability }));
        for wrong in ["", "x", "0x1", "-1x1", "1x", "1:", "1:replica", "1:replica0", "1:disperse4", "1:magic", "1x1x1"]
        {
            assert!(volumes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_lost_or_added_is_named_with_its_kind() {
        for right in ["node:gfs3", "zone:2", "device:gfs1:/dev/sdb", "device:0000000000000000000000000000000d"] {
            assert!(right.parse::<Loss>().is_ok(), "{right}");
        }
        for wrong in ["gfs3", "node:", "node:a/b", "zone:0", "zone:x", "device:gfs1", "disk:gfs1"] {
            assert!(wrong.parse::<Loss>().is_err(), "{wrong}");
        }
        let disk = "disk:gfs1:8TiB".parse::<NewDisk>().unwrap();
        assert_eq!((disk.node.to_string(), disk.size.to_string()), ("gfs1".to_owned(), "8 TiB".to_owned()));
        for wrong in ["gfs1:8TiB", "disk:8TiB", "disk:gfs1:", "disk:gfs1:0"] {
            assert!(wrong.parse::<NewDisk>().is_err(), "{wrong}");
        }
    }
}
