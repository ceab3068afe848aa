//! heketi's routes.

use bricklayer_proto::ids::{BlockVolumeId, BrickId, ClusterId, DeviceId, NodeId, OperationId, VolumeId};
use reqwest::StatusCode;

use super::change::{Change, changes};
use super::{Accepted, Client, ClientError};
use crate::heketi::{
    AdminStatus, BlockRestrictionRequest, BlockVolumeCreateRequest, BlockVolumeExpandRequest, BlockVolumeInfo,
    BlockVolumeList, BrickEvictRequest, ClusterFlags, ClusterInfo, ClusterList, DbCheck, DeviceAddRequest,
    DeviceDeleteRequest, DeviceInfo, LogLevels, NodeAddRequest, NodeInfo, OperationCounts, PendingCleanupRequest,
    PendingOperationDetail, PendingOperationList, StateRequest, Tags, TagsChangeRequest, TopologyCluster, TopologyInfo,
    VolumeCloneRequest, VolumeCreateRequest, VolumeExpandRequest, VolumeInfo, VolumeList,
};

changes! {
    cluster_create(flags: ClusterFlags) -> ClusterInfo = POST "/clusters" with flags;
    /// Overwrites both flags.
    cluster_set_flags(id: ClusterId, flags: ClusterFlags) -> () = POST "/clusters/{id}/flags" with flags;
    cluster_delete(id: ClusterId) -> () = DELETE "/clusters/{id}";

    node_add(request: &NodeAddRequest) -> Accepted<NodeInfo> = POST "/nodes" with request;
    node_delete(id: NodeId) -> Accepted<()> = DELETE "/nodes/{id}";
    node_set_state(id: NodeId, request: &StateRequest) -> Accepted<()> = POST "/nodes/{id}/state" with request;
    /// Answers with all tags as they are then.
    node_change_tags(id: NodeId, request: &TagsChangeRequest) -> Tags = POST "/nodes/{id}/tags" with request;

    /// heketi does not tell the new device's id: it stands in the node's list afterwards.
    device_add(request: &DeviceAddRequest) -> Accepted<()> = POST "/devices" with request;
    device_delete(id: DeviceId, options: DeviceDeleteRequest) -> Accepted<()> = DELETE "/devices/{id}" with options;
    device_set_state(id: DeviceId, request: &StateRequest) -> Accepted<()> = POST "/devices/{id}/state" with request;
    /// Answers with all tags as they are then.
    device_change_tags(id: DeviceId, request: &TagsChangeRequest) -> Tags = POST "/devices/{id}/tags" with request;
    /// A GET that changes something: heketi's own choice.
    device_resync(id: DeviceId) -> Accepted<()> = GET "/devices/{id}/resync";

    brick_evict(id: BrickId, request: &BrickEvictRequest) -> Accepted<()> = POST "/bricks/to-evict/{id}" with request;

    volume_create(request: &VolumeCreateRequest) -> Accepted<VolumeInfo> = POST "/volumes" with request;
    volume_delete(id: VolumeId) -> Accepted<()> = DELETE "/volumes/{id}";
    volume_expand(id: VolumeId, request: VolumeExpandRequest) -> Accepted<VolumeInfo> =
        POST "/volumes/{id}/expand" with request;
    volume_clone(id: VolumeId, request: &VolumeCloneRequest) -> Accepted<VolumeInfo> =
        POST "/volumes/{id}/clone" with request;
    volume_set_block_restriction(id: VolumeId, request: &BlockRestrictionRequest) -> Accepted<VolumeInfo> =
        POST "/volumes/{id}/block-restriction" with request;

    block_volume_create(request: &BlockVolumeCreateRequest) -> Accepted<BlockVolumeInfo> =
        POST "/blockvolumes" with request;
    block_volume_delete(id: BlockVolumeId) -> Accepted<()> = DELETE "/blockvolumes/{id}";
    block_volume_expand(id: BlockVolumeId, request: BlockVolumeExpandRequest) -> Accepted<BlockVolumeInfo> =
        POST "/blockvolumes/{id}/expand" with request;

    pending_cleanup(request: &PendingCleanupRequest) -> Accepted<()> = POST "/operations/pending/cleanup" with request;
    set_admin_status(status: &AdminStatus) -> () = POST "/admin" with status;
    set_log_levels(levels: &LogLevels) -> LogLevels = POST "/internal/logging" with levels;
}

impl Client {
    /// The server's greeting; needs no token.
    pub async fn hello(&self) -> Result<String, ClientError> {
        self.get_text("/hello").await.map(|text| text.trim().to_owned())
    }

    pub async fn clusters(&self) -> Result<ClusterList, ClientError> {
        self.get_json("/clusters").await
    }

    pub async fn cluster(&self, id: ClusterId) -> Result<ClusterInfo, ClientError> {
        self.get_json(&format!("/clusters/{id}")).await
    }

    pub async fn node(&self, id: NodeId) -> Result<NodeInfo, ClientError> {
        self.get_json(&format!("/nodes/{id}")).await
    }

    pub async fn device(&self, id: DeviceId) -> Result<DeviceInfo, ClientError> {
        self.get_json(&format!("/devices/{id}")).await
    }

    pub async fn volumes(&self) -> Result<VolumeList, ClientError> {
        self.get_json("/volumes").await
    }

    pub async fn volume(&self, id: VolumeId) -> Result<VolumeInfo, ClientError> {
        self.get_json(&format!("/volumes/{id}")).await
    }

    pub async fn block_volumes(&self) -> Result<BlockVolumeList, ClientError> {
        self.get_json("/blockvolumes").await
    }

    pub async fn block_volume(&self, id: BlockVolumeId) -> Result<BlockVolumeInfo, ClientError> {
        self.get_json(&format!("/blockvolumes/{id}")).await
    }

    pub async fn operation_counts(&self) -> Result<OperationCounts, ClientError> {
        self.get_json("/operations").await
    }

    pub async fn pending_operations(&self) -> Result<PendingOperationList, ClientError> {
        self.get_json("/operations/pending").await
    }

    pub async fn pending_operation(&self, id: OperationId) -> Result<PendingOperationDetail, ClientError> {
        self.get_json(&format!("/operations/pending/{id}")).await
    }

    pub async fn admin_status(&self) -> Result<AdminStatus, ClientError> {
        self.get_json("/admin").await
    }

    pub async fn log_levels(&self) -> Result<LogLevels, ClientError> {
        self.get_json("/internal/logging").await
    }

    /// The whole database as indented JSON, as the server wrote it.
    pub async fn db_dump(&self) -> Result<String, ClientError> {
        self.get_text("/db/dump").await
    }

    pub async fn db_check(&self) -> Result<DbCheck, ClientError> {
        self.get_json("/db/check").await
    }

    /// [`Client::db_check`] as the server wrote it.
    pub async fn db_check_text(&self) -> Result<String, ClientError> {
        self.get_text("/db/check").await
    }

    /// The server's store, for the server alone to read.
    pub async fn db_backup(&self) -> Result<Vec<u8>, ClientError> {
        let path = "/backup/db";
        Ok(self.get(path).await?.expect(path, StatusCode::OK)?.body)
    }

    /// What the database and the hosts say of each other, as indented JSON, as the server wrote it.
    pub async fn examine_gluster(&self) -> Result<String, ClientError> {
        self.get_text("/internal/state/examine/gluster").await
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
