//! Clusters.

use std::fmt::Write as _;

use bricklayer_api::heketi::ClusterInfo;

use super::joined;

pub fn cluster_info(cluster: &ClusterInfo) -> String {
    format!(
        "Cluster id: {}\nNodes:\n{}\nVolumes:\n{}\nBlock: {}\n\nFile: {}\n",
        cluster.id,
        joined(&cluster.nodes, "\n"),
        joined(&cluster.volumes, "\n"),
        cluster.block,
        cluster.file
    )
}

pub fn cluster_list(clusters: &[ClusterInfo]) -> String {
    let mut text = "Clusters:\n".to_owned();
    for cluster in clusters {
        let flags = match (cluster.file, cluster.block) {
            (true, true) => "[file][block]",
            (true, false) => "[file]",
            (false, true) => "[block]",
            (false, false) => "[]",
        };
        put!(text, "Id:{} {flags}\n", cluster.id);
    }
    text
}
