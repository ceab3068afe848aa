//! Things that a person may name instead of copying an id.

use std::fmt;
use std::str::FromStr;

use bricklayer_api::client::Client;
use bricklayer_api::ids::{BlockVolumeId, ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_api::names::{DevicePath, HostName, NotAName, VolumeName};

use crate::actions;
use crate::error::CliError;

/// A node, by id or by the first name that it is managed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRef {
    Id(NodeId),
    Name(HostName),
}

/// A volume, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeRef {
    Id(VolumeId),
    Name(VolumeName),
}

/// A block volume, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockVolumeRef {
    Id(BlockVolumeId),
    Name(VolumeName),
}

/// A device, by id or by its node and its name there: `gfs1:/dev/sdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceRef {
    Id(DeviceId),
    On { node: NodeRef, name: DevicePath },
}

/// A text that names no device.
#[derive(Debug, thiserror::Error)]
#[error("a device is named by its id, or by node and name, such as gfs1:/dev/sdb")]
pub struct NotADevice;

macro_rules! id_or_name {
    ($($reference:ident),+) => {$(
        impl FromStr for $reference {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                match text.parse() {
                    Ok(id) => Ok(Self::Id(id)),
                    Err(_) => text.parse().map(Self::Name),
                }
            }
        }

        impl fmt::Display for $reference {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Id(id) => id.fmt(f),
                    Self::Name(name) => name.fmt(f),
                }
            }
        }
    )+};
}

id_or_name!(NodeRef, VolumeRef, BlockVolumeRef);

impl FromStr for DeviceRef {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, NotADevice> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        // The first `:/`, as an IPv6 address has colons and a path begins with a slash.
        let (node, name) = text.split_once(":/").ok_or(NotADevice)?;
        let node = node.parse().map_err(|_| NotADevice)?;
        let name = format!("/{name}").parse().map_err(|_| NotADevice)?;
        Ok(Self::On { node, name })
    }
}

impl fmt::Display for DeviceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::On { node, name } => write!(f, "{node}:{name}"),
        }
    }
}

/// The only one of the ids that fit.
fn only<T>(found: Vec<T>, what: &str, name: &impl fmt::Display, list: &str) -> Result<T, CliError> {
    let count = found.len();
    let mut found = found.into_iter();
    match (found.next(), count) {
        (Some(one), 1) => Ok(one),
        (None, _) => Err(CliError::refused(format!("there is no {what} {name}"), format!("see `{list}`"))),
        (Some(_), _) => Err(CliError::refused(
            format!("{count} {what}s are called {name}"),
            format!("give the id instead; `{list}` shows it"),
        )),
    }
}

impl NodeRef {
    pub async fn find(&self, client: &Client) -> Result<NodeId, CliError> {
        let name = match self {
            Self::Id(id) => return Ok(*id),
            Self::Name(name) => name,
        };
        let mut nodes = actions::nodes(client).await?;
        nodes.retain(|node| node.hostnames.manage.first().is_some_and(|known| known == name.as_str()));
        Ok(only(nodes, "node", name, "bricklayer node list")?.id)
    }
}

impl VolumeRef {
    pub async fn find(&self, client: &Client) -> Result<VolumeId, CliError> {
        let name = match self {
            Self::Id(id) => return Ok(*id),
            Self::Name(name) => name,
        };
        let mut volumes = actions::volumes(client).await?;
        volumes.retain(|volume| volume.name == name.as_str());
        Ok(only(volumes, "volume", name, "bricklayer volume list")?.id)
    }

    /// The same for a volume that was deleted.
    pub async fn find_in_trash(&self, client: &Client) -> Result<VolumeId, CliError> {
        let name = match self {
            Self::Id(id) => return Ok(*id),
            Self::Name(name) => name,
        };
        let mut volumes = client.trash().await?.volumes;
        volumes.retain(|volume| volume.name == name.as_str());
        Ok(only(volumes, "volume in the trash called", name, "bricklayer trash list")?.id)
    }
}

impl BlockVolumeRef {
    pub async fn find(&self, client: &Client) -> Result<BlockVolumeId, CliError> {
        let name = match self {
            Self::Id(id) => return Ok(*id),
            Self::Name(name) => name,
        };
        let mut volumes = actions::block_volumes(client).await?;
        volumes.retain(|volume| volume.name == name.as_str());
        Ok(only(volumes, "block volume", name, "bricklayer blockvolume list")?.id)
    }
}

impl DeviceRef {
    pub async fn find(&self, client: &Client) -> Result<DeviceId, CliError> {
        let (node, name) = match self {
            Self::Id(id) => return Ok(*id),
            Self::On { node, name } => (node, name),
        };
        let mut devices = client.node(node.find(client).await?).await?.devices;
        devices.retain(|device| device.name == name.as_str() || device.paths.iter().any(|path| path == name.as_str()));
        Ok(only(devices, "device", &format!("{name} on {node}"), "bricklayer device list")?.id)
    }
}

/// The cluster that was named, or the only one there is.
pub async fn cluster(client: &Client, named: Option<ClusterId>) -> Result<ClusterId, CliError> {
    if let Some(id) = named {
        return Ok(id);
    }
    let clusters = client.clusters().await?.clusters;
    match clusters.as_slice() {
        [one] => Ok(*one),
        [] => Err(CliError::refused("there is no cluster yet", "make one by `bricklayer cluster create`")),
        several => Err(CliError::refused(
            format!("there are {} clusters", several.len()),
            "say which is meant; `bricklayer cluster list` shows them",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_an_id_or_a_node_and_a_path() {
        let id = DeviceId::from_u128(0xd);
        assert_eq!(id.to_string().parse::<DeviceRef>().unwrap(), DeviceRef::Id(id));
        for (text, host) in [("gfs1:/dev/sdb", "gfs1"), ("fe80::1:/dev/sdb", "fe80::1")] {
            let DeviceRef::On { node: NodeRef::Name(node), name } = text.parse().unwrap() else { panic!("{text}") };
            assert_eq!((node.as_str(), name.as_str()), (host, "/dev/sdb"));
        }
        for text in ["", "gfs1", "/dev/sdb", "gfs1:dev/sdb", "gfs1:/etc/passwd", ":/dev/sdb"] {
            assert!(text.parse::<DeviceRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_is_never_taken_for_a_name() {
        let id = VolumeId::from_u128(5);
        assert_eq!(id.to_string().parse::<VolumeRef>().unwrap(), VolumeRef::Id(id));
        assert!(matches!("vol_5".parse().unwrap(), VolumeRef::Name(_)));
    }
}
