//! What the audit says can be done: after its moves every set keeps the rules.

use bricklayer_api::v1::{BrickReplaceRequest, NodeEdit};
use bricklayer_proto::ids::NodeId;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::story::{create, delete, done, replicated};

#[tokio::test]
async fn the_moves_of_an_audit_mend_what_a_change_of_zones_broke() {
    let cluster = Cluster::start(4, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volumes =
        [create(&client, &replicated(2, 3)).await.unwrap(), create(&client, &replicated(3, 3)).await.unwrap()];
    assert!(client.audit().await.unwrap().clusters[0].sets.is_empty(), "all nodes are in one zone");

    // From now on the node without a brick of the first volume, and one with, are in zones of their own.
    let nodes: Vec<NodeId> = client.topology().await.unwrap().clusters[0].nodes.iter().map(|node| node.id).collect();
    let has_brick = |node: &NodeId| volumes[0].bricks.iter().any(|brick| brick.node == *node);
    let (with, without): (Vec<NodeId>, Vec<NodeId>) = nodes.into_iter().partition(has_brick);
    for (node, zone) in [(with[0], 3), (without[0], 4)] {
        let edit = NodeEdit { zone: Some(zone), ..NodeEdit::default() };
        client.node_edit(node, &edit).await.unwrap();
    }
    let found = client.audit().await.unwrap().clusters.remove(0);
    let moves: Vec<_> = found.sets.iter().flat_map(|set| &set.moves).collect();
    assert!(!moves.is_empty() && found.bytes > 0, "two of its bricks are in zone 1: {found:?}");
    for moved in moves {
        let request =
            BrickReplaceRequest { device: Some(moved.to_device.to_string()), ..BrickReplaceRequest::default() };
        done(&client, client.brick_replace(moved.brick, &request).await.unwrap()).await.unwrap();
    }
    let mended = client.audit().await.unwrap().clusters.remove(0);
    assert!(mended.sets.is_empty() && mended.changing.is_empty(), "{mended:?}");
    assert!(mended.any_node_can_be_lost, "a set of three has a fourth node to go to: {mended:?}");
    for volume in volumes {
        cluster.volume_is_whole(volume.id).await.unwrap();
        delete(&client, volume.id).await.unwrap();
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}
