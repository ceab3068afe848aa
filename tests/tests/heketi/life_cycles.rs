//! Models of heketi's own clients make, change and delete everything that there is.

use std::collections::{BTreeMap, BTreeSet};

use bricklayer_tests::clients::{CallError, HeketiClient, ids, text};
use serde_json::{Value, json};

use super::sandbox::Sandbox;

/// Each life once with each client, in a sandbox of its own.
macro_rules! lives {
    ($($life:ident),+ $(,)?) => {
        mod of_the_go_client {$(
            #[tokio::test]
            async fn $life() {
                let sandbox = super::sandbox();
                super::$life(&sandbox.go()).await.unwrap();
            }
        )+}
        mod of_the_python_client {$(
            #[tokio::test]
            async fn $life() {
                let sandbox = super::sandbox();
                super::$life(&sandbox.python()).await.unwrap();
            }
        )+}
    };
}

lives! {
    clusters_come_and_go,
    nodes_come_change_and_go,
    devices_come_change_and_go,
    volumes_of_every_durability_come_and_go,
    volumes_grow,
    volumes_are_copied,
    bricks_and_devices_and_nodes_are_emptied,
    block_volumes_come_grow_and_go,
}

type Outcome = Result<(), CallError>;

/// Four hosts with two disks of 100 GiB each.
fn sandbox() -> Sandbox {
    Sandbox::start(&["--nodes", "4", "--devices", "2", "--device-size", "100GiB"])
}

/// What there is before anything is asked of it.
pub struct Furnished {
    pub cluster: String,
    pub nodes: Vec<String>,
}

/// Makes a cluster of the sandbox' hosts `gfs1` to `gfs<count>`, with these devices of each.
pub async fn furnish(client: &dyn HeketiClient, count: usize, devices: &[&str]) -> Result<Furnished, CallError> {
    let cluster = text(&client.cluster_create(true, true).await?, "id");
    let mut nodes = Vec::new();
    for number in 1..=count {
        let node = text(&client.node_add(node_request(&cluster, number)).await?, "id");
        for device in devices {
            client.device_add(json!({"name": device, "node": node})).await?;
        }
        nodes.push(node);
    }
    Ok(Furnished { cluster, nodes })
}

fn node_request(cluster: &str, number: usize) -> Value {
    json!({
        "zone": 1 + number % 2,
        "hostnames": {"manage": [format!("gfs{number}")], "storage": [format!("10.0.0.{number}")]},
        "cluster": cluster,
    })
}

async fn devices_of(client: &dyn HeketiClient, node: &str) -> Result<Vec<Value>, CallError> {
    Ok(client.node(node).await?["devices"].as_array().unwrap().clone())
}

/// Of all devices, in KiB.
async fn free(client: &dyn HeketiClient, nodes: &[String]) -> Result<u64, CallError> {
    let mut free = 0;
    for node in nodes {
        free += devices_of(client, node)
            .await?
            .iter()
            .map(|device| device["storage"]["free"].as_u64().unwrap())
            .sum::<u64>();
    }
    Ok(free)
}

/// A call that must be refused, with this status and these words at its beginning.
#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, CallError>, status: u16, begins: &str) {
    match outcome {
        Err(CallError::Refused { status: found, text }) if found == status && text.starts_with(begins) => {}
        other => panic!("{status} {begins:?} expected, got {other:?}"),
    }
}

async fn clusters_come_and_go(client: &dyn HeketiClient) -> Outcome {
    assert_eq!(client.clusters().await?, json!({"clusters": []}));
    let cluster = client.cluster_create(true, true).await?;
    let id = text(&cluster, "id");
    let empty = json!({"id": id, "nodes": [], "volumes": [], "block": true, "file": true, "blockvolumes": []});
    assert_eq!(cluster, empty);
    let other = text(&client.cluster_create(false, true).await?, "id");
    assert_eq!(client.cluster(&id).await?, empty);
    let all: BTreeSet<_> = ids(&client.clusters().await?, "clusters").into_iter().collect();
    assert_eq!(all, BTreeSet::from([id.clone(), other.clone()]));
    client.cluster_set_flags(&id, true, false).await?;
    assert_eq!(client.cluster(&id).await?["block"], json!(false));
    client.cluster_delete(&id).await?;
    client.cluster_delete(&other).await?;
    refused(client.cluster(&id).await, 404, "Id not found");
    refused(client.cluster_delete(&id).await, 404, "Id not found");
    assert_eq!(client.clusters().await?, json!({"clusters": []}));
    Ok(())
}

async fn nodes_come_change_and_go(client: &dyn HeketiClient) -> Outcome {
    let world = furnish(client, 2, &[]).await?;
    let id = &world.nodes[0];
    let node = client.node(id).await?;
    let expected = json!({
        "zone": 2, "hostnames": {"manage": ["gfs1"], "storage": ["10.0.0.1"]}, "cluster": world.cluster,
        "id": id, "state": "online", "devices": [],
    });
    assert_eq!(node, expected);
    refused(client.node_add(node_request(&world.cluster, 1)).await, 409, "Hostname gfs1 already used by node with id");
    refused(client.node_add(json!({"zone": 0})).await, 400, "validation failed: cluster: cannot be blank; hostnames:");
    refused(client.cluster_delete(&world.cluster).await, 409, "Unable to delete cluster [");

    assert_eq!(
        client.node_tags(id, "set", json!({"rack": "r1", "flavour": "hot"})).await?,
        json!({"flavour": "hot", "rack": "r1"})
    );
    assert_eq!(client.node_tags(id, "update", json!({"rack": "r2"})).await?, json!({"flavour": "hot", "rack": "r2"}));
    assert_eq!(client.node_tags(id, "delete", json!({"flavour": ""})).await?, json!({"rack": "r2"}));
    assert_eq!(client.node(id).await?["tags"], json!({"rack": "r2"}));
    assert_eq!(client.node_tags(id, "set", json!({})).await?, json!({}));
    assert_eq!(client.node(id).await?, expected, "without tags there is no word of them");

    client.node_state(id, "offline").await?;
    assert_eq!(client.node(id).await?["state"], json!("offline"));
    client.node_state(id, "offline").await?;
    client.node_state(id, "online").await?;
    refused(client.node_state(id, "failed").await, 500, "Node must be offline before remove operation is performed");
    client.node_state(id, "offline").await?;
    client.node_state(id, "failed").await?;
    refused(client.node_state(id, "online").await, 500, "Cannot move a failed/removed node to online state");

    for node in &world.nodes {
        client.node_delete(node).await?;
        refused(client.node(node).await, 404, "Id not found");
    }
    refused(client.node_delete(id).await, 404, "Id not found");
    client.cluster_delete(&world.cluster).await?;
    Ok(())
}

async fn devices_come_change_and_go(client: &dyn HeketiClient) -> Outcome {
    let world = furnish(client, 1, &["/dev/sdb", "/dev/sdc"]).await?;
    let node = &world.nodes[0];
    let devices = devices_of(client, node).await?;
    assert_eq!(devices.len(), 2);
    let id = &text(&devices[0], "id");
    assert_eq!(client.device(id).await?, devices[0]);
    assert_eq!(devices[0]["storage"]["used"], json!(0));
    refused(
        client.device_add(json!({"name": "/dev/sdb", "node": node})).await,
        409,
        "Device /dev/sdb on gfs1 already in use",
    );
    refused(client.node_delete(node).await, 409, "Unable to delete node [");

    assert_eq!(client.device_tags(id, "set", json!({"tier": "ssd"})).await?, json!({"tier": "ssd"}));
    assert_eq!(client.device(id).await?["tags"], json!({"tier": "ssd"}));
    assert_eq!(client.device_tags(id, "delete", json!({"tier": "whatever"})).await?, json!({}));

    refused(client.device_delete(id, None).await, 400, &format!("device: {id} is not in failed state"));
    refused(client.device_state(id, "failed").await, 500, "Device must be offline before remove operation");
    client.device_state(id, "offline").await?;
    client.device_state(id, "failed").await?;
    refused(client.device_state(id, "online").await, 500, "Cannot move a failed/removed device to online state");
    client.device_delete(id, None).await?;
    refused(client.device(id).await, 404, "Id not found");

    let other = &text(&devices_of(client, node).await?[0], "id");
    client.device_state(other, "offline").await?;
    client.device_state(other, "failed").await?;
    client.device_delete(other, Some(json!({"forceforget": true}))).await?;
    // The disk is as empty as it was, so that it can be taken again.
    client.device_add(json!({"name": "/dev/sdb", "node": node, "destroydata": true})).await?;
    assert_eq!(devices_of(client, node).await?[0]["storage"], devices[0]["storage"]);
    Ok(())
}

async fn volumes_of_every_durability_come_and_go(client: &dyn HeketiClient) -> Outcome {
    let world = furnish(client, 4, &["/dev/sdb"]).await?;
    let before = free(client, &world.nodes).await?;
    let arbiter = json!(["user.heketi.arbiter true"]);
    let requests = [
        (1, json!({"size": 3})),
        (2, json!({"size": 3, "durability": {"type": "replicate"}})),
        (3, json!({"size": 3, "durability": {"type": "replicate", "replicate": {"replica": 3}}, "gid": 2001})),
        (3, json!({"size": 4, "durability": {"type": "disperse", "disperse": {"data": 2, "redundancy": 1}}})),
        (
            3,
            json!({"size": 3, "durability": {"type": "replicate", "replicate": {"replica": 3}}, "glustervolumeoptions": arbiter}),
        ),
        (
            1,
            json!({"size": 3, "name": "by_name", "snapshot": {"enable": true, "factor": 1.5}, "clusters": [world.cluster]}),
        ),
    ];
    let mut made = Vec::new();
    for (bricks, request) in requests {
        let volume = client.volume_create(request.clone()).await?;
        let id = text(&volume, "id");
        assert_eq!(volume["bricks"].as_array().unwrap().len(), bricks, "{request}");
        let name = request["name"].as_str().map_or_else(|| format!("vol_{id}"), str::to_owned);
        assert_eq!(volume["name"], json!(name));
        assert_eq!(volume["size"], request["size"]);
        assert_eq!(client.volume(&id).await?, volume);
        made.push(id);
    }
    let listed: BTreeSet<_> = ids(&client.volumes().await?, "volumes").into_iter().collect();
    assert_eq!(listed, made.iter().cloned().collect());
    assert_eq!(ids(&client.cluster(&world.cluster).await?, "volumes").len(), made.len());
    refused(client.volume_create(json!({"size": 1, "name": "by_name"})).await, 500, "Failed to allocate new volume: ");
    refused(client.volume_create(json!({"size": 100_000})).await, 500, "Failed to allocate new volume: No space");
    for id in &made {
        client.volume_delete(id).await?;
        refused(client.volume(id).await, 404, "Id not found");
        refused(client.volume_delete(id).await, 404, "Id not found");
    }
    assert_eq!(client.volumes().await?, json!({"volumes": []}));
    assert_eq!(free(client, &world.nodes).await?, before, "nothing is left behind");
    Ok(())
}

async fn volumes_grow(client: &dyn HeketiClient) -> Outcome {
    let world = furnish(client, 3, &["/dev/sdb"]).await?;
    let before = free(client, &world.nodes).await?;
    let request = json!({"size": 2, "durability": {"type": "replicate", "replicate": {"replica": 3}}});
    let id = text(&client.volume_create(request).await?, "id");
    let grown = client.volume_expand(&id, 3).await?;
    assert_eq!((&grown["size"], &grown["id"]), (&json!(5), &json!(id)));
    assert_eq!(client.volume(&id).await?, grown);
    refused(
        client.volume_expand(&id, 500_000).await,
        500,
        "Failed to allocate volume expansion: Maximum number of bricks reached.",
    );
    refused(client.volume_expand(&id, 0).await, 400, "validation failed: expand_size: cannot be blank.");
    client.volume_delete(&id).await?;
    assert_eq!(free(client, &world.nodes).await?, before, "nothing is left behind");
    Ok(())
}

async fn volumes_are_copied(client: &dyn HeketiClient) -> Outcome {
    let world = furnish(client, 3, &["/dev/sdb"]).await?;
    let before = free(client, &world.nodes).await?;
    let request = json!({"size": 2, "durability": {"type": "replicate", "replicate": {"replica": 3}}});
    let id = text(&client.volume_create(request).await?, "id");
    let with_one = free(client, &world.nodes).await?;
    let copy = client.volume_clone(&id, json!({"name": "copy"})).await?;
    let copy_id = text(&copy, "id");
    assert_eq!((&copy["name"], &copy["size"]), (&json!("copy"), &json!(2)));
    assert_eq!(client.volume(&copy_id).await?, copy);
    assert_eq!(free(client, &world.nodes).await?, with_one, "a copy shares the space of its source");
    let another = text(&client.volume_clone(&id, json!({})).await?, "id");
    assert_eq!(client.volume(&another).await?["name"], json!(format!("vol_{another}")));
    // The source may go first: the copies keep what they share.
    for id in [&id, &copy_id, &another] {
        client.volume_delete(id).await?;
    }
    assert_eq!(free(client, &world.nodes).await?, before, "nothing is left behind");
    Ok(())
}

/// The devices that hold bricks of the volume, by the node that they are on.
async fn bricks(client: &dyn HeketiClient, volume: &str) -> Result<BTreeMap<String, (String, String)>, CallError> {
    let volume = client.volume(volume).await?;
    let brick = |brick: &Value| (text(brick, "node"), (text(brick, "id"), text(brick, "device")));
    Ok(volume["bricks"].as_array().unwrap().iter().map(brick).collect())
}

async fn bricks_and_devices_and_nodes_are_emptied(client: &dyn HeketiClient) -> Outcome {
    furnish(client, 4, &["/dev/sdb", "/dev/sdc"]).await?;
    let request = json!({"size": 2, "durability": {"type": "replicate", "replicate": {"replica": 3}}});
    let volume = text(&client.volume_create(request).await?, "id");
    let before = bricks(client, &volume).await?;
    assert_eq!(before.len(), 3, "each on a node of its own");
    let (evicted, from) = before.values().next().unwrap();
    client.brick_evict(evicted, None).await?;
    let after = bricks(client, &volume).await?;
    assert!(after.len() == 3 && after.values().all(|(brick, device)| brick != evicted && device != from));
    refused(client.brick_evict(evicted, Some(json!({"healcheck": "disable"}))).await, 404, "Id not found");

    let (node, (_, device)) = after.iter().next().unwrap();
    client.device_state(device, "offline").await?;
    client.device_state(device, "failed").await?;
    assert_eq!(client.device(device).await?["bricks"], json!([]));
    assert_eq!(client.device(device).await?["state"], json!("failed"));
    client.device_delete(device, None).await?;
    client.device_resync(&text(&devices_of(client, node).await?[0], "id")).await?;

    let node = bricks(client, &volume).await?.into_keys().next().unwrap();
    client.node_state(&node, "offline").await?;
    client.node_state(&node, "failed").await?;
    let after = bricks(client, &volume).await?;
    assert!(after.len() == 3 && !after.contains_key(&node), "{after:?}");
    for device in devices_of(client, &node).await? {
        assert_eq!((&device["bricks"], &device["state"]), (&json!([]), &json!("failed")));
        client.device_delete(&text(&device, "id"), None).await?;
    }
    client.node_delete(&node).await?;
    client.operations_cleanup(&[]).await?;
    client.volume_delete(&volume).await?;
    assert_eq!(client.get("/operations").await?["total"], json!(0));
    Ok(())
}

async fn block_volumes_come_grow_and_go(client: &dyn HeketiClient) -> Outcome {
    let world = furnish(client, 3, &["/dev/sdb"]).await?;
    let before = free(client, &world.nodes).await?;
    refused(client.block_volume_create(json!({"size": 0})).await, 400, "validation failed: size: cannot be blank.");
    let hosting = json!({"size": 50, "block": true, "durability": {"type": "replicate", "replicate": {"replica": 3}}});
    let hosting = text(&client.volume_create(hosting).await?, "id");
    assert_eq!(client.volume(&hosting).await?["blockinfo"], json!({"freesize": 49, "reservedsize": 1}));

    let block = client.block_volume_create(json!({"size": 5, "name": "blk", "hacount": 2, "auth": true})).await?;
    let id = text(&block, "id");
    assert_eq!((&block["size"], &block["usablesize"], &block["hacount"]), (&json!(5), &json!(5), &json!(2)));
    assert_eq!(block["blockhostingvolume"], json!(hosting));
    let access = &block["blockvolume"];
    assert_eq!(ids(access, "hosts").len(), 2);
    assert!(
        !text(access, "iqn").is_empty() && !text(access, "username").is_empty() && !text(access, "password").is_empty()
    );
    assert_eq!(client.block_volume(&id).await?, block);
    assert_eq!(client.block_volumes().await?, json!({"blockvolumes": [id]}));
    assert_eq!(ids(&client.cluster(&world.cluster).await?, "blockvolumes"), [id.as_str()]);
    let info = json!({"freesize": 44, "reservedsize": 1, "blockvolume": [id]});
    assert_eq!(client.volume(&hosting).await?["blockinfo"], info);
    refused(client.volume_delete(&hosting).await, 409, "Cannot delete a block hosting volume containing block volumes");
    refused(
        client.volume_clone(&hosting, json!({})).await,
        500,
        &format!("Failed clone volume {hosting}: Cloning of block hosting volumes is not supported"),
    );

    let locked = client.block_restriction(&hosting, "locked").await?;
    assert_eq!(locked["blockinfo"]["restriction"], json!("locked"));
    refused(client.block_volume_create(json!({"size": 1})).await, 500, "Failed to allocate new block volume: ");
    let unlocked = client.block_restriction(&hosting, "").await?;
    assert_eq!(unlocked["blockinfo"], info);

    let grown = client.block_volume_expand(&id, 7).await?;
    assert_eq!((&grown["size"], &grown["usablesize"]), (&json!(7), &json!(7)));
    refused(client.block_volume_expand(&id, 3).await, 500, "Failed to allocate block volume expansion: ");
    client.block_volume_delete(&id).await?;
    refused(client.block_volume(&id).await, 404, "Id not found");
    refused(client.block_volume_delete(&id).await, 404, "Id not found");
    client.volume_delete(&hosting).await?;
    assert_eq!(free(client, &world.nodes).await?, before, "nothing is left behind");
    Ok(())
}
