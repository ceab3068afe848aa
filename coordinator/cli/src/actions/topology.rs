//! Loads a topology file: what it names and is not there yet is made, what is there already is left as it is.
//!
//! The sequence is heketi's. Nothing that exists is changed or removed, and a node or a device that fails does not stop
//! the rest.

use std::collections::BTreeSet;
use std::path::Path;

use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::{
    ClusterFlags, DeviceAddRequest, HostAddresses, NodeAddRequest, NodeInfo, Tags, TopologyInfo,
};
use bricklayer_api::ids::{ClusterId, NodeId};
use bricklayer_api::json::{BodyError, parse_body};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Progress, finish};

/// A topology file, `{"clusters": […]}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TopologyFile {
    clusters: Vec<FileCluster>,
}

#[derive(Debug, Deserialize)]
struct FileCluster {
    #[serde(default)]
    nodes: Vec<FileNode>,
    #[serde(default = "yes")]
    block: bool,
    #[serde(default = "yes")]
    file: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FileNode {
    node: FileHost,
    devices: Vec<FileDevice>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FileHost {
    hostnames: HostAddresses,
    zone: i64,
    tags: Tags,
}

/// `"/dev/sdb"`, or an object with more to say.
#[derive(Debug, Default)]
struct FileDevice {
    name: String,
    destroy_data: bool,
    tags: Tags,
}

impl<'de> Deserialize<'de> for FileDevice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Full {
            name: String,
            #[serde(default, rename = "destroydata")]
            destroy_data: bool,
            #[serde(default)]
            tags: Tags,
        }

        struct NameOrFull;
        impl<'de> Visitor<'de> for NameOrFull {
            type Value = FileDevice;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a device's name, or an object with a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<FileDevice, E> {
                Ok(FileDevice { name: name.to_owned(), ..FileDevice::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileDevice, A::Error> {
                let Full { name, destroy_data, tags } = Full::deserialize(MapAccessDeserializer::new(map))?;
                if name.is_empty() {
                    return Err(A::Error::custom("a device without a name"));
                }
                Ok(FileDevice { name, destroy_data, tags })
            }
        }
        deserializer.deserialize_any(NameOrFull)
    }
}

/// A file that is no topology.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// heketi's words.
    #[error("Unable to open config file")]
    Open(#[source] std::io::Error),
    #[error("Unable to parse config file")]
    Parse(#[source] BodyError),
    #[error("Unable to parse config file: node {node} of cluster {cluster} has no manage host name")]
    NoManageName { cluster: usize, node: usize },
}

impl TopologyFile {
    pub fn read(path: &Path) -> Result<Self, FileError> {
        Self::parse(&std::fs::read(path).map_err(FileError::Open)?)
    }

    fn parse(text: &[u8]) -> Result<Self, FileError> {
        let file: Self = parse_body(text).map_err(FileError::Parse)?;
        for (cluster, one) in file.clusters.iter().enumerate() {
            let nameless = one.nodes.iter().position(|node| node.node.manage_name().is_none());
            if let Some(node) = nameless {
                return Err(FileError::NoManageName { cluster: cluster + 1, node: node + 1 });
            }
        }
        Ok(file)
    }
}

impl FileHost {
    fn manage_name(&self) -> Option<&str> {
        self.hostnames.manage.first().map(String::as_str)
    }
}

/// What happens while a file is loaded, in this order. Each is told as soon as it is known.
#[derive(Debug)]
pub enum LoadEvent<'a> {
    FoundNode {
        name: &'a str,
        cluster: ClusterId,
    },
    CreatingCluster,
    CreatedCluster {
        id: ClusterId,
        file: bool,
        block: bool,
    },
    CreatingNode {
        name: &'a str,
    },
    CreatedNode {
        id: NodeId,
    },
    NodeFailed {
        cause: &'a ClientError,
    },
    FoundDevice {
        name: &'a str,
    },
    AddingDevice {
        name: &'a str,
    },
    AddedDevice,
    DeviceFailed {
        cause: &'a ClientError,
    },
    /// These three in place of the rest, where nothing is to be made.
    WouldCreateCluster,
    WouldCreateNode {
        name: &'a str,
    },
    WouldAddDevice {
        name: &'a str,
    },
}

/// How a load went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub nodes_failed: usize,
    pub devices_failed: usize,
}

impl Loaded {
    /// What was not added, such as `1 node and 2 devices`; `None` where all was.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        (self != Self::default())
            .then(|| format!("{} and {}", count(self.nodes_failed, "node"), count(self.devices_failed, "device")))
    }
}

/// Why a load stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot learn what is there already")]
    Topology(#[source] ClientError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot write what was done")]
    Output(#[from] std::io::Error),
}

struct Loader<'a, P, T> {
    client: &'a Client,
    progress: &'a mut P,
    tell: T,
    /// Read once, before anything is made.
    before: TopologyInfo,
    created: BTreeSet<ClusterId>,
    loaded: Loaded,
}

/// Makes what the file names and the server does not have. A cluster that was made here and got no node is deleted
/// again at the end.
pub async fn load<P: Progress>(
    client: &Client,
    file: &TopologyFile,
    progress: &mut P,
    tell: impl FnMut(&LoadEvent<'_>) -> std::io::Result<()>,
) -> Result<Loaded, LoadError> {
    let before = client.topology().await.map_err(LoadError::Topology)?;
    let mut loader = Loader { client, progress, tell, before, created: BTreeSet::new(), loaded: Loaded::default() };
    let mut result = Ok(());
    for cluster in &file.clusters {
        result = loader.load_cluster(cluster).await;
        if result.is_err() {
            break;
        }
    }
    loader.delete_empty_clusters().await;
    result.map(|()| loader.loaded)
}

/// Tells what [`load`] would make, and makes nothing.
pub async fn preview(
    client: &Client,
    file: &TopologyFile,
    mut tell: impl FnMut(&LoadEvent<'_>) -> std::io::Result<()>,
) -> Result<(), LoadError> {
    let before = client.topology().await.map_err(LoadError::Topology)?;
    for cluster in &file.clusters {
        let mut has_cluster = false;
        for entry in &cluster.nodes {
            let name = entry.node.manage_name().unwrap_or_default();
            let known = known_node(&before, name);
            match known {
                Some(node) => tell(&LoadEvent::FoundNode { name, cluster: node.cluster })?,
                None if has_cluster => tell(&LoadEvent::WouldCreateNode { name })?,
                None => {
                    tell(&LoadEvent::WouldCreateCluster)?;
                    tell(&LoadEvent::WouldCreateNode { name })?;
                }
            }
            has_cluster = true;
            for device in &entry.devices {
                let name = device.name.as_str();
                if has_device(known, name) {
                    tell(&LoadEvent::FoundDevice { name })?;
                } else {
                    tell(&LoadEvent::WouldAddDevice { name })?;
                }
            }
        }
    }
    Ok(())
}

/// By the first manage name of both sides, as heketi compares.
fn known_node<'a>(topology: &'a TopologyInfo, name: &str) -> Option<&'a NodeInfo> {
    let mut nodes = topology.clusters.iter().flat_map(|cluster| &cluster.nodes);
    nodes.find(|node| node.hostnames.manage.first().is_some_and(|known| known == name))
}

fn has_device(node: Option<&NodeInfo>, name: &str) -> bool {
    node.is_some_and(|node| node.devices.iter().any(|known| known.name == name))
}

impl<P: Progress, T: FnMut(&LoadEvent<'_>) -> std::io::Result<()>> Loader<'_, P, T> {
    async fn load_cluster(&mut self, wanted: &FileCluster) -> Result<(), LoadError> {
        let mut cluster: Option<ClusterId> = None;
        for entry in &wanted.nodes {
            let name = entry.node.manage_name().unwrap_or_default();
            let node = match known_node(&self.before, name).cloned() {
                Some(known) => {
                    cluster = Some(known.cluster);
                    (self.tell)(&LoadEvent::FoundNode { name, cluster: known.cluster })?;
                    known.id
                }
                None => {
                    let id = match cluster {
                        Some(id) => id,
                        None => self.create_cluster(wanted).await?,
                    };
                    cluster = Some(id);
                    let Some(node) = self.create_node(name, &entry.node, id).await? else { continue };
                    node
                }
            };
            for device in &entry.devices {
                self.load_device(name, node, device).await?;
            }
        }
        Ok(())
    }

    async fn create_cluster(&mut self, wanted: &FileCluster) -> Result<ClusterId, LoadError> {
        (self.tell)(&LoadEvent::CreatingCluster)?;
        let flags = ClusterFlags { block: wanted.block, file: wanted.file };
        let made = self.client.cluster_create(flags).await?;
        self.created.insert(made.id);
        (self.tell)(&LoadEvent::CreatedCluster { id: made.id, file: wanted.file, block: wanted.block })?;
        Ok(made.id)
    }

    async fn create_node(
        &mut self,
        name: &str,
        host: &FileHost,
        cluster: ClusterId,
    ) -> Result<Option<NodeId>, LoadError> {
        (self.tell)(&LoadEvent::CreatingNode { name })?;
        let request = NodeAddRequest {
            zone: host.zone,
            hostnames: host.hostnames.clone(),
            cluster: cluster.to_string(),
            tags: host.tags.clone(),
        };
        let made = match self.client.node_add(&request).await {
            Ok(work) => finish(self.client, work, self.progress).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(node) => {
                (self.tell)(&LoadEvent::CreatedNode { id: node.id })?;
                Ok(Some(node.id))
            }
            Err(cause) => {
                self.loaded.nodes_failed += 1;
                (self.tell)(&LoadEvent::NodeFailed { cause: &cause })?;
                Ok(None)
            }
        }
    }

    async fn load_device(&mut self, host: &str, node: NodeId, device: &FileDevice) -> Result<(), LoadError> {
        let name = device.name.as_str();
        if has_device(known_node(&self.before, host), name) {
            (self.tell)(&LoadEvent::FoundDevice { name })?;
            return Ok(());
        }
        (self.tell)(&LoadEvent::AddingDevice { name })?;
        let request = DeviceAddRequest {
            name: name.to_owned(),
            node: node.to_string(),
            destroy_data: device.destroy_data,
            tags: device.tags.clone(),
        };
        let added = match self.client.device_add(&request).await {
            Ok(work) => finish(self.client, work, self.progress).await,
            Err(error) => Err(error),
        };
        match added {
            Ok(()) => (self.tell)(&LoadEvent::AddedDevice)?,
            Err(cause) => {
                self.loaded.devices_failed += 1;
                (self.tell)(&LoadEvent::DeviceFailed { cause: &cause })?;
            }
        }
        Ok(())
    }

    /// A cluster that cannot be looked at or deleted stays: it is empty and does no harm.
    async fn delete_empty_clusters(&mut self) {
        for &id in &self.created {
            let empty =
                self.client.cluster(id).await.is_ok_and(|made| made.nodes.is_empty() && made.volumes.is_empty());
            if empty {
                let _stays = self.client.cluster_delete(id).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_cluster_are_true_when_missing() {
        let file = TopologyFile::parse(br#"{"clusters":[{"nodes":[]},{"block":false}]}"#).unwrap();
        assert!(file.clusters[0].block && file.clusters[0].file);
        assert!(!file.clusters[1].block && file.clusters[1].file);
    }

    #[test]
    fn a_device_is_a_name_or_an_object() {
        let text = br#"{"clusters":[{"nodes":[{"node":{"hostnames":{"manage":["a"],"storage":["b"]},"zone":1},
            "devices":["/dev/sdb",{"name":"/dev/sdc","destroydata":true,"tags":{"a":"b"}}]}]}]}"#;
        let file = TopologyFile::parse(text).unwrap();
        let devices = &file.clusters[0].nodes[0].devices;
        assert_eq!((devices[0].name.as_str(), devices[0].destroy_data), ("/dev/sdb", false));
        assert_eq!((devices[1].name.as_str(), devices[1].destroy_data), ("/dev/sdc", true));
        assert_eq!(devices[1].tags["a"], "b");
    }

    #[test]
    fn a_node_without_a_manage_name_is_refused_before_any_call() {
        let text = br#"{"clusters":[{"nodes":[{"node":{"hostnames":{"storage":["b"]},"zone":1},"devices":[]}]}]}"#;
        assert!(matches!(TopologyFile::parse(text), Err(FileError::NoManageName { cluster: 1, node: 1 })));
    }

    #[test]
    fn a_device_that_is_neither_name_nor_object_is_refused() {
        for device in ["3", "{}", r#"{"name":""}"#, "[]"] {
            let text = format!(
                r#"{{"clusters":[{{"nodes":[{{"node":{{"hostnames":{{"manage":["a"]}}}},"devices":[{device}]}}]}}]}}"#
            );
            assert!(matches!(TopologyFile::parse(text.as_bytes()), Err(FileError::Parse(_))), "{device}");
        }
    }
}
