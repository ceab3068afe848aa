//! What a story cannot tell: work that is held up or fails, hosts that are away, several nodes.

use std::time::Duration;

use bricklayer_api::heketi::{DeviceInfo, NodeInfo, VolumeList};
use bricklayer_proto::inventory::Obstacle;

use super::world::{World, ask, node_id};
use crate::http::{Auth, Service, Settings};

const REPLICA_3: &str = r#"{"size":8,"durability":{"type":"replicate","replicate":{"replica":3}}}"#;

#[tokio::test]
async fn a_volume_is_hidden_until_it_is_whole() {
    let world = World::new().await;
    world.cluster(3).await;
    world.agents.hold(true);
    let queue = world.post("/volumes", REPLICA_3).await.queue();
    let pending = world.get(&queue).await;
    assert_eq!((pending.status, pending.header("x-pending"), pending.body.as_str()), (200, Some("true"), ""));
    assert_eq!(pending.header("content-length"), Some("0"));
    assert_eq!(world.get("/volumes").await.body, "{\"volumes\":[]}\n");

    // Its bricks are counted, but not shown.
    let node: NodeInfo = world.get(&format!("/nodes/{}", node_id(0))).await.json();
    let device = &node.devices[0];
    assert!(device.storage.used_kib > 8 << 20, "{device:?}");
    assert!(device.bricks.is_empty());

    world.agents.hold(false);
    let ended = world.end_of(&queue).await;
    assert_eq!(ended.status, 303);
    let volumes: VolumeList = world.get("/volumes").await.json();
    assert_eq!(ended.header("location"), Some(format!("/volumes/{}", volumes.volumes[0]).as_str()));
}

#[tokio::test]
async fn a_poll_is_answered_as_its_operation_ends() {
    let settings = Settings { poll_held: Duration::from_secs(3600), ..Settings::default() };
    let world = World::with(Auth::disabled(), |service| service.with(settings)).await;
    world.cluster(3).await;
    world.agents.hold(true);
    let queue = world.post("/volumes", REPLICA_3).await.queue();
    let (address, path) = (world.address, queue.clone());
    let poll = tokio::spawn(async move { ask(address, "GET", &path, &[], "").await });
    // It is with the server long before these are all answered.
    for _ in 0..50 {
        assert_eq!(world.get("/hello").await.status, 200);
    }
    assert!(!poll.is_finished());
    world.agents.hold(false);
    assert_eq!(poll.await.unwrap().status, 303);
}

#[tokio::test]
async fn a_volume_on_its_way_out_is_hidden_and_cannot_be_deleted_again() {
    let world = World::new().await;
    world.cluster(3).await;
    let volume = world.volume(REPLICA_3).await;
    world.agents.hold(true);
    let path = format!("/volumes/{}", volume.id);
    let queue = world.ask("DELETE", &path, "").await.queue();
    assert_eq!(world.get(&path).await.status, 404);
    let again = world.ask("DELETE", &path, "").await;
    let text = "Failed to set up volume delete: The target exists, contains other items, or is in use.\n";
    assert_eq!((again.status, again.body.as_str()), (500, text));
    world.agents.hold(false);
    assert_eq!(world.end_of(&queue).await.status, 204);
}

#[tokio::test]
async fn a_failure_is_told_as_often_as_it_is_asked_for() {
    let world = World::new().await;
    world.cluster(3).await;
    world.agents.fail_bricks("mkfs.xfs failed");
    let queue = world.post("/volumes", REPLICA_3).await.queue();
    for _ in 0..2 {
        let failed = world.end_of(&queue).await;
        assert_eq!(failed.status, 500);
        assert!(failed.body.starts_with('m') && failed.body.contains(": mkfs.xfs failed\n"), "{failed:?}");
        assert_eq!(failed.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(world.get("/volumes").await.body, "{\"volumes\":[]}\n");
}

#[tokio::test]
async fn a_disk_that_is_not_empty_is_refused_with_what_is_on_it() {
    let world = World::new().await;
    world.agents.put_on_disk(0, Obstacle::Mounted { source: "/dev/sdb1".to_owned(), at: "/srv".to_owned() });
    let cluster: bricklayer_api::heketi::ClusterInfo = world.post("/clusters", r#"{"file":true}"#).await.json();
    let hosts = r#"{"manage":["m0"],"storage":["10.0.0.1"]}"#;
    let body = format!(r#"{{"zone":1,"hostnames":{hosts},"cluster":"{}"}}"#, cluster.id);
    world.end_of(&world.post("/nodes", &body).await.queue()).await;
    let body = format!(r#"{{"name":"/dev/sdb","node":"{}"}}"#, node_id(0));
    let failed = world.end_of(&world.post("/devices", &body).await.queue()).await;
    assert_eq!(failed.status, 500);
    assert!(failed.body.contains("/dev/sdb is not empty\n  /dev/sdb1 is mounted at /srv\n"), "{}", failed.body);
}

#[tokio::test]
async fn every_node_serves_the_mount_by_id() {
    let world = World::new().await;
    world.cluster(4).await;
    let body = r#"{"state":"offline"}"#;
    world.end_of(&world.post(&format!("/nodes/{}/state", node_id(0)), body).await.queue()).await;
    let volume = world.volume(REPLICA_3).await;
    let mount = volume.mount.glusterfs;
    assert_eq!(mount.hosts, ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(mount.device, format!("10.0.0.0:vol_{}", volume.id));
    assert_eq!(mount.options["backup-volfile-servers"], "10.0.0.1,10.0.0.2,10.0.0.3");
    assert!(volume.bricks.iter().all(|brick| brick.node != node_id(0)), "bricks on a node that is offline");
    assert!(volume.bricks.is_sorted_by_key(|brick| brick.id));
}

#[tokio::test]
async fn a_device_lists_its_bricks_and_what_they_take() {
    let world = World::new().await;
    world.cluster(3).await;
    let empty: NodeInfo = world.get(&format!("/nodes/{}", node_id(1))).await.json();
    let volume = world.volume(REPLICA_3).await;
    let brick = volume.bricks.iter().find(|brick| brick.node == node_id(1)).unwrap();
    let device: DeviceInfo = world.get(&format!("/devices/{}", brick.device)).await.json();
    assert_eq!(device.bricks.as_slice(), std::slice::from_ref(brick));
    assert!(brick.path.ends_with(&format!("/vg_{}/brick_{}/brick", brick.device, brick.id)), "{}", brick.path);
    assert_eq!(device.storage.total_kib, device.storage.free_kib + device.storage.used_kib);
    assert_eq!(device.paths, ["/dev/sdb", "/dev/disk/by-id/scsi-1"]);
    assert!(!device.pv_uuid.is_empty());

    world.end_of(&world.ask("DELETE", &format!("/volumes/{}", volume.id), "").await.queue()).await;
    let after: DeviceInfo = world.get(&format!("/devices/{}", brick.device)).await.json();
    assert!(after.bricks.is_empty());
    // The group's spare of pool metadata stays with the group, as LVM keeps it.
    assert!(after.storage.used_kib < 64 << 10, "{after:?}");
    assert_eq!(empty.devices[0].storage.used_kib, 0);
}

#[tokio::test]
async fn an_arbiter_is_one_brick_in_three() {
    let world = World::new().await;
    world.cluster(3).await;
    let arbiter = |size: u32, more: &str| {
        format!(
            r#"{{"size":{size},"durability":{{"type":"replicate","replicate":{{"replica":3}}}},
            "glustervolumeoptions":["user.heketi.arbiter true"{more}]}}"#
        )
    };
    let sizes = |volume: bricklayer_api::heketi::VolumeInfo| {
        let mut sizes: Vec<u64> = volume.bricks.iter().map(|brick| brick.size_kib).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(world.volume(&arbiter(50, "")).await), [819_200, 52_428_800, 52_428_800]);
    // heketi made 16 MiB of it, which today's mkfs.xfs refuses.
    let small = arbiter(5, r#","user.heketi.average-file-size 1024""#);
    assert_eq!(sizes(world.volume(&small).await), [300 << 10, 5_242_880, 5_242_880]);
}

#[tokio::test]
async fn no_space_is_heketis_first_line_and_every_device_after_it() {
    let world = World::new().await;
    world.cluster(2).await;
    let refused = world.post("/volumes", REPLICA_3).await;
    assert_eq!(refused.status, 500);
    let mut lines = refused.body.lines();
    assert_eq!(lines.next(), Some("Failed to allocate new volume: No space"));
    assert!(refused.body.contains("/dev/sdb on m0: "), "{}", refused.body);
    assert!(refused.body.contains("/dev/sdb on m1: "), "{}", refused.body);
}

#[tokio::test]
async fn a_host_without_an_agent_is_refused_with_what_to_do() {
    let world = World::new().await;
    let cluster = world.cluster(0).await;
    let body = |name: &str| {
        let hosts = format!(r#"{{"manage":["{name}"],"storage":["{name}"]}}"#);
        format!(r#"{{"zone":1,"hostnames":{hosts},"cluster":"{cluster}"}}"#)
    };
    let answer = world.post("/nodes", &body("stranger")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("bricklayer agent invite stranger"), "{}", answer.body);

    world.agents.detach(0);
    let answer = world.post("/nodes", &body("m0")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with("The agent of m0 is not attached\n"), "{}", answer.body);

    world.agents.stop_gluster(1);
    let answer = world.post("/nodes", &body("m1")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.starts_with("New Node doesn't have glusterd running\n"), "{}", answer.body);

    world.end_of(&world.post("/nodes", &body("m2")).await.queue()).await;
    world.agents.stop_gluster(2);
    let answer = world.post("/nodes", &body("m3")).await;
    assert_eq!((answer.status, answer.body.as_str()), (400, "None of the nodes in cluster has glusterd running\n"));
}

#[tokio::test]
async fn past_the_bound_a_create_is_sent_away_for_a_while() {
    let few = |service: Service| service.with(Settings { most_unfinished: 1, ..Settings::default() });
    let world = World::with(Auth::disabled(), few).await;
    world.cluster(3).await;
    world.agents.hold(true);
    let first = world.post("/volumes", REPLICA_3).await.queue();
    let busy = world.post("/volumes", REPLICA_3).await;
    assert_eq!((busy.status, busy.body.as_str()), (429, "Server busy. Retry operation later.\n"));
    assert_eq!(busy.header("retry-after"), Some("10"));
    // What is wrong in itself is told at once.
    assert_eq!(world.post("/volumes", "{}").await.status, 400);
    world.agents.hold(false);
    assert_eq!(world.end_of(&first).await.status, 303);
    assert_eq!(world.post("/volumes", REPLICA_3).await.status, 202);
}
