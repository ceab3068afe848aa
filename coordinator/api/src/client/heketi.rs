//! heketi's routes.

use bricklayer_proto::ids::{ClusterId, DeviceId, NodeId, VolumeId};
use reqwest::{Method, StatusCode};

use super::{Accepted, Client, ClientError, read};
use crate::heketi::{
    ClusterFlags, ClusterInfo, ClusterList, DeviceAddRequest, DeviceDeleteRequest, DeviceInfo, NodeAddRequest,
    NodeInfo, StateRequest, TopologyCluster, TopologyInfo, VolumeCreateRequest, VolumeInfo, VolumeList,
};

impl Client {
    /// The server's greeting; needs no token.
    pub async fn hello(&self) -> Result<String, ClientError> {
        let answer = self.get("/hello").await?.expect("/hello", StatusCode::OK)?;
        Ok(String::from_utf8_lossy(&answer.body).trim().to_owned())
    }

    pub async fn clusters(&self) -> Result<ClusterList, ClientError> {
        self.get_json("/clusters").await
    }

    pub async fn cluster(&self, id: ClusterId) -> Result<ClusterInfo, ClientError> {
        self.get_json(&format!("/clusters/{id}")).await
    }

    pub async fn cluster_create(&self, flags: ClusterFlags) -> Result<ClusterInfo, ClientError> {
        let answer = self.post("/clusters", &flags).await?.expect("/clusters", StatusCode::CREATED)?;
        read("/clusters", &answer.body)
    }

    /// Overwrites both flags.
    pub async fn cluster_set_flags(&self, id: ClusterId, flags: ClusterFlags) -> Result<(), ClientError> {
        let path = format!("/clusters/{id}/flags");
        self.post(&path, &flags).await?.expect(&path, StatusCode::OK).map(drop)
    }

    pub async fn cluster_delete(&self, id: ClusterId) -> Result<(), ClientError> {
        let path = format!("/clusters/{id}");
        self.delete(&path).await?.expect(&path, StatusCode::OK).map(drop)
    }

    pub async fn node(&self, id: NodeId) -> Result<NodeInfo, ClientError> {
        self.get_json(&format!("/nodes/{id}")).await
    }

    pub async fn node_add(&self, request: &NodeAddRequest) -> Result<Accepted<NodeInfo>, ClientError> {
        Self::accepted("/nodes", self.post("/nodes", request).await?)
    }

    pub async fn node_delete(&self, id: NodeId) -> Result<Accepted<()>, ClientError> {
        let path = format!("/nodes/{id}");
        Self::accepted(&path, self.delete(&path).await?)
    }

    pub async fn node_set_state(&self, id: NodeId, request: &StateRequest) -> Result<Accepted<()>, ClientError> {
        let path = format!("/nodes/{id}/state");
        Self::accepted(&path, self.post(&path, request).await?)
    }

    pub async fn device(&self, id: DeviceId) -> Result<DeviceInfo, ClientError> {
        self.get_json(&format!("/devices/{id}")).await
    }

    /// heketi does not tell the new device's id: it stands in the node's list afterwards.
    pub async fn device_add(&self, request: &DeviceAddRequest) -> Result<Accepted<()>, ClientError> {
        Self::accepted("/devices", self.post("/devices", request).await?)
    }

    pub async fn device_delete(&self, id: DeviceId, options: DeviceDeleteRequest) -> Result<Accepted<()>, ClientError> {
        let path = format!("/devices/{id}");
        let body = serde_json::to_vec(&options).map_err(ClientError::Request)?;
        Self::accepted(&path, self.send(Method::DELETE, &path, Some(body)).await?)
    }

    pub async fn device_set_state(&self, id: DeviceId, request: &StateRequest) -> Result<Accepted<()>, ClientError> {
        let path = format!("/devices/{id}/state");
        Self::accepted(&path, self.post(&path, request).await?)
    }

    pub async fn volumes(&self) -> Result<VolumeList, ClientError> {
        self.get_json("/volumes").await
    }

    pub async fn volume(&self, id: VolumeId) -> Result<VolumeInfo, ClientError> {
        self.get_json(&format!("/volumes/{id}")).await
    }

    pub async fn volume_create(&self, request: &VolumeCreateRequest) -> Result<Accepted<VolumeInfo>, ClientError> {
        Self::accepted("/volumes", self.post("/volumes", request).await?)
    }

    pub async fn volume_delete(&self, id: VolumeId) -> Result<Accepted<()>, ClientError> {
        let path = format!("/volumes/{id}");
        Self::accepted(&path, self.delete(&path).await?)
    }

    /// Everything, put together from the lists. What is deleted between the list and the look at it is left out.
    pub async fn topology(&self) -> Result<TopologyInfo, ClientError> {
        let mut topology = TopologyInfo::default();
        for id in self.clusters().await?.clusters {
            let Some(cluster) = still_there(self.cluster(id).await)? else { continue };
            let mut volumes = Vec::with_capacity(cluster.volumes.len());
            for id in cluster.volumes {
                volumes.extend(still_there(self.volume(id).await)?);
            }
            let mut nodes = Vec::with_capacity(cluster.nodes.len());
            for id in cluster.nodes {
                nodes.extend(still_there(self.node(id).await)?);
            }
            topology.clusters.push(TopologyCluster {
                volumes,
                nodes,
                id: cluster.id,
                block: cluster.block,
                file: cluster.file,
            });
        }
        Ok(topology)
    }
}

fn still_there<T>(found: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
