//! The audit: what keeps the rules is not in it; what does not is there with its cure.

use bricklayer_api::heketi::NodeInfo;
use bricklayer_api::v1::{Audit, Problem, ScoreList};

use super::world::{World, node_id};

const REPLICA_2: &str = r#"{"size":8,"durability":{"type":"replicate","replicate":{"replica":2}}}"#;

async fn audit(world: &World) -> Audit {
    world.get("/v1/audit").await.json()
}

async fn host_of(world: &World, device: bricklayer_proto::ids::DeviceId) -> u8 {
    for number in 0..4 {
        let node: NodeInfo = world.get(&format!("/nodes/{}", node_id(number))).await.json();
        if node.devices.iter().any(|found| found.id == device) {
            return number;
        }
    }
    panic!("no host has {device}");
}

#[tokio::test]
async fn a_zone_that_was_changed_shows_with_the_move_that_mends_it() {
    let world = World::new().await;
    world.cluster(3).await;
    assert!(audit(&world).await.clusters[0].any_node_can_be_lost, "there is nothing to lose");
    let volume = world.volume(REPLICA_2).await;
    let clean = audit(&world).await.clusters.remove(0);
    assert_eq!((clean.sets.as_slice(), clean.bytes), ([].as_slice(), 0));
    assert!(clean.any_node_can_be_lost && clean.nodes.len() == 3, "{clean:?}");

    // heketi's order of bricks says nothing of their order in the set.
    let hosts = [host_of(&world, volume.bricks[0].device).await, host_of(&world, volume.bricks[1].device).await];
    let third = 3 - hosts[0] - hosts[1];
    let zone = format!("/v1/nodes/m{third}");
    assert_eq!(world.ask("PATCH", &zone, r#"{"zone":2}"#).await.status, 200);
    let found = audit(&world).await.clusters.remove(0);
    let [set] = found.sets.as_slice() else { panic!("{found:?}") };
    assert_eq!((set.volume, set.volume_name.as_str(), set.set), (volume.id, volume.name.as_str(), 0));
    let second = *hosts.iter().find(|host| set.faults[0].at == format!("m{host}:/dev/sdb")).unwrap();
    let first = hosts[0] + hosts[1] - second;
    assert_eq!((set.faults.len(), set.faults[0].rule.as_str()), (1, "zone-to-spare"));
    let [moved] = set.moves.as_slice() else { panic!("{set:?}") };
    assert_eq!((moved.to.as_str(), moved.bytes, found.bytes), (&*format!("m{third}:/dev/sdb"), 8 << 30, 8 << 30));

    // A disabled device is no place for a brick, and nothing is a place for this one.
    let state = r#"{"state":"offline"}"#;
    for number in [first, third] {
        let queue = world.post(&format!("/nodes/{}/state", node_id(number)), state).await.queue();
        world.end_of(&queue).await;
    }
    let found = audit(&world).await.clusters.remove(0);
    let fault = &found.sets[0].faults[0];
    assert_eq!((fault.rule.as_str(), found.sets[0].moves.len()), ("standing", 0), "{found:?}");
    assert!(fault.unmended.as_ref().unwrap().contains("its node holds another brick of the set"), "{fault:?}");
    assert!(!found.any_node_can_be_lost);
    let lost = found.nodes.iter().find(|node| node.node == node_id(second)).unwrap();
    assert!(!lost.can_be_lost && lost.homeless.len() == 1, "{lost:?}");
    let page = world.get("/metrics").await.body;
    assert!(page.contains(&format!("bricklayer_node_loss_survivable{{cluster=\"{}\"}} 0", found.cluster)), "{page}");
}

#[tokio::test]
async fn a_volume_without_copies_is_named_where_it_would_be_lost() {
    let world = World::new().await;
    world.cluster(2).await;
    let volume = world.volume(r#"{"size":1}"#).await;
    let found = audit(&world).await.clusters.remove(0);
    let host = host_of(&world, volume.bricks[0].device).await;
    for node in &found.nodes {
        let is_there = node.node == node_id(host);
        let names: &[String] = if is_there { std::slice::from_ref(&volume.name) } else { &[] };
        assert_eq!((node.without_copies.as_slice(), node.can_be_lost), (names, !is_there), "{node:?}");
    }
    assert!(!found.any_node_can_be_lost);
}

#[tokio::test]
async fn a_score_has_its_parts_and_the_moves_that_better_it() {
    let world = World::new().await;
    world.cluster(3).await;
    let score = async |query: &str| {
        let mut list: ScoreList = world.get(&format!("/v1/score{query}")).await.json();
        list.scores.remove(0)
    };
    assert_eq!(score("").await.points, 100.0, "there is nothing to place better");
    let volume = world.volume(REPLICA_2).await;
    let hosts = [host_of(&world, volume.bricks[0].device).await, host_of(&world, volume.bricks[1].device).await];
    let third = 3 - hosts[0] - hosts[1];
    assert_eq!(world.ask("PATCH", &format!("/v1/nodes/m{third}"), r#"{"zone":2}"#).await.status, 200);
    let found = score("").await;
    let parts: Vec<_> = found.parts.iter().map(|part| (part.part.as_str(), part.weight, part.share)).collect();
    assert_eq!(parts[..3], [("strength", 40, 1.0), ("rules", 30, 1.0), ("spread", 15, 0.5)]);
    assert!(parts[3].2 < 0.7 && found.points < 90.0, "{found:?}");
    let moved = &found.moves[0];
    assert_eq!((moved.to.as_str(), moved.bytes), (&*format!("m{third}:/dev/sdb"), 8 << 30));
    assert!(moved.points_after > found.points);
    assert_eq!(score("?moves=0").await.moves, []);

    let body = format!(r#"{{"device":"{}"}}"#, moved.to_device);
    let queue = world.post(&format!("/v1/bricks/{}/replace?plan=true", moved.brick), &body).await;
    assert_eq!(queue.status, 200, "it can be planned as it is proposed: {queue:?}");
    for (query, why) in [("moves=101", "0 to 100"), ("moves=x", "0 to 100"), ("move=1", "no word of this query")] {
        let refused = world.get(&format!("/v1/score?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.json::<Problem>().error.contains(why), "{query}: {refused:?}");
    }
}
