//! What both faces of the program ask of a server. Nothing here prints, and nothing here reads the command line.

pub mod topology;

use bricklayer_api::client::{Accepted, Client, ClientError, WorkResult};
use bricklayer_api::heketi::{BlockVolumeInfo, ClusterFlags, EntryState, NodeInfo, StateRequest, VolumeInfo};
use bricklayer_api::ids::ClusterId;
use bricklayer_api::size::ByteSize;

/// Told of work in progress, between two polls.
pub trait Progress {
    async fn pending<T>(&mut self, client: &Client, work: &Accepted<T>);
}

/// Nobody looks.
pub struct Silent;

impl Progress for Silent {
    async fn pending<T>(&mut self, _client: &Client, _work: &Accepted<T>) {}
}

/// Waits for work to end.
pub async fn finish<T: WorkResult>(
    client: &Client,
    work: Accepted<T>,
    progress: &mut impl Progress,
) -> Result<T, ClientError> {
    client.wait(&work, async |work| progress.pending(client, work).await).await
}

/// Every node of every cluster, in the order of their ids within a cluster. There is no route for it.
pub async fn nodes(client: &Client) -> Result<Vec<NodeInfo>, ClientError> {
    let mut nodes = Vec::new();
    for cluster in client.clusters().await?.clusters {
        for node in client.cluster(cluster).await?.nodes {
            nodes.push(client.node(node).await?);
        }
    }
    Ok(nodes)
}

/// Every volume in full. One that is deleted while we look is left out.
pub async fn volumes(client: &Client) -> Result<Vec<VolumeInfo>, ClientError> {
    let mut volumes = Vec::new();
    for id in client.volumes().await?.volumes {
        match client.volume(id).await {
            Ok(volume) => volumes.push(volume),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(volumes)
}

/// Every block volume in full. One that is deleted while we look is left out.
pub async fn block_volumes(client: &Client) -> Result<Vec<BlockVolumeInfo>, ClientError> {
    let mut volumes = Vec::new();
    for id in client.block_volumes().await?.block_volumes {
        match client.block_volume(id).await {
            Ok(volume) => volumes.push(volume),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(volumes)
}

/// The size of a volume, to the byte.
pub fn size_of(volume: &VolumeInfo) -> ByteSize {
    let whole = ByteSize::from_gib(volume.size_gib).unwrap_or(ByteSize::from_bytes(u64::MAX));
    volume.size_bytes.map_or(whole, ByteSize::from_bytes)
}

/// Sets one flag, or both, and leaves the other as it is: the route overwrites both.
pub async fn set_cluster_flags(
    client: &Client,
    id: ClusterId,
    file: Option<bool>,
    block: Option<bool>,
) -> Result<(), ClientError> {
    let now = client.cluster(id).await?;
    let flags = ClusterFlags { block: block.unwrap_or(now.block), file: file.unwrap_or(now.file) };
    client.cluster_set_flags(id, flags).await
}

/// The request that brings a node or a device to a state.
pub fn state_request(state: EntryState) -> StateRequest {
    StateRequest { state: state.as_str().to_owned(), ..StateRequest::default() }
}
