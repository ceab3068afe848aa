//! Block volumes in whole clusters: REST, the real coordinator, real agents over mutual TLS, simulated hosts.

use bricklayer_agent::host::NewBlock;
use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::{
    BlockRestriction, BlockRestrictionRequest, BlockVolumeCreateRequest, BlockVolumeExpandRequest, BlockVolumeInfo,
    DurabilityRequest, VolumeCreateRequest, VolumeInfo,
};
use bricklayer_proto::block::Preallocation;
use bricklayer_proto::ids::BlockVolumeId;
use bricklayer_proto::names::BlockName;
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::sim::{At, Call, Fault};
use bricklayer_tests::story::{create, delete, done, replicated};

fn gib(gib: u64) -> ByteSize {
    ByteSize::from_gib(gib).unwrap()
}

/// Three hosts that make volumes of 20 GiB for block volumes by themselves.
async fn three() -> Cluster {
    let cluster = Cluster::start_with(3, 1, gib(64), |policy| {
        policy.block.create_hosting_volumes = true;
        policy.block.hosting_size = gib(20);
    });
    let cluster = cluster.await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

/// Three hosts that leave it to people to make them.
async fn three_by_hand() -> Cluster {
    let cluster = Cluster::start(3, 1, gib(64)).await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

fn wish(name: &str, size_gib: i64) -> BlockVolumeCreateRequest {
    BlockVolumeCreateRequest { size_gib, name: name.to_owned(), ..BlockVolumeCreateRequest::default() }
}

async fn block(client: &Client, request: &BlockVolumeCreateRequest) -> Result<BlockVolumeInfo, ClientError> {
    let accepted = client.block_volume_create(request).await?;
    done(client, accepted).await
}

async fn expand(client: &Client, id: BlockVolumeId, new_size_gib: i64) -> Result<BlockVolumeInfo, ClientError> {
    let accepted = client.block_volume_expand(id, BlockVolumeExpandRequest { new_size_gib }).await?;
    done(client, accepted).await
}

async fn delete_block(client: &Client, id: BlockVolumeId) -> Result<(), ClientError> {
    let accepted = client.block_volume_delete(id).await?;
    done(client, accepted).await
}

async fn restrict(client: &Client, volume: &VolumeInfo, restriction: &str) -> Result<VolumeInfo, ClientError> {
    let request = BlockRestrictionRequest { restriction: restriction.to_owned() };
    let accepted = client.volume_set_block_restriction(volume.id, &request).await?;
    done(client, accepted).await
}

fn hosting(size_gib: i64) -> VolumeCreateRequest {
    VolumeCreateRequest { block: true, ..replicated(size_gib, 3) }
}

#[tokio::test]
async fn the_story_of_block_volumes() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();

    let first = block(&client, &BlockVolumeCreateRequest { auth: true, ha_count: 2, ..wish("blk", 5) }).await.unwrap();
    assert_eq!((first.size_gib, first.usable_size_gib, first.ha_count), (5, 5, 2));
    assert_eq!(first.access.hosts.len(), 2);
    assert!(first.access.iqn.ends_with(&first.access.username) && !first.access.username.is_empty());
    assert!(!first.access.password.expose().is_empty());
    let volume = client.volume(first.hosting_volume).await.unwrap();
    assert!(volume.block && volume.size_gib == 20 && volume.durability.replicate.replica == 3);
    assert_eq!(volume.gluster_volume_options, ["group gluster-block"]);
    let info = &volume.block_info;
    assert_eq!((info.free_size_gib, info.reserved_size_gib), (14, 1));
    assert_eq!(info.block_volumes, [first.id]);
    cluster.volume_is_whole(volume.id).await.unwrap();
    assert_eq!(client.cluster(volume.cluster).await.unwrap().block_volumes, [first.id]);

    // It has room for another one, whose hosts and name nobody chose.
    let second = block(&client, &wish("", 14)).await.unwrap();
    assert_eq!(second.hosting_volume, volume.id);
    assert_eq!((second.name, second.ha_count), (format!("blockvol_{}", second.id), 3));
    assert!(second.access.username.is_empty() && second.access.password.expose().is_empty());
    assert_eq!(client.volume(volume.id).await.unwrap().block_info.free_size_gib, 0);
    let refused = expand(&client, first.id, 6).await.unwrap_err().to_string();
    assert!(refused.contains("Failed to allocate block volume expansion: No space"), "{refused}");

    // What goes makes room.
    delete_block(&client, second.id).await.unwrap();
    let larger = expand(&client, first.id, 9).await.unwrap();
    assert_eq!((larger.size_gib, larger.usable_size_gib), (9, 9));
    assert_eq!(client.volume(volume.id).await.unwrap().block_info.free_size_gib, 10);
    for (size, text) in [
        (9, "Requested new-size 9 is same as current block volume size 9, nothing to be done."),
        (8, "Requested new-size 8 is less than current block volume size 9, shrinking is not allowed."),
    ] {
        let refused = expand(&client, first.id, size).await.unwrap_err().to_string();
        assert!(refused.contains(text), "{refused}");
    }

    // A locked volume takes no more, so another one is made.
    let locked = restrict(&client, &volume, "locked").await.unwrap();
    assert_eq!(locked.block_info.restriction, BlockRestriction::Locked);
    let third = block(&client, &wish("blk", 1)).await.unwrap();
    assert_ne!(third.hosting_volume, volume.id);
    let unlocked = restrict(&client, &volume, "").await.unwrap();
    assert_eq!(unlocked.block_info.restriction, BlockRestriction::None);

    let refused = client.volume_delete(volume.id).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.status(), Some(409));
    assert!(refused.to_string().contains("Cannot delete a block hosting volume containing block volumes"));

    for id in [first.id, third.id] {
        delete_block(&client, id).await.unwrap();
    }
    assert!(cluster.sim.blocks().is_empty());
    assert!(client.block_volumes().await.unwrap().block_volumes.is_empty());
    for id in [volume.id, third.hosting_volume] {
        delete(&client, id).await.unwrap();
    }
    assert_eq!(cluster.footprints(), empty);
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn without_gluster_block_a_create_is_refused_before_anything_is_made() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    for host in cluster.hosts() {
        host.without_gluster_block();
    }
    for host in cluster.hosts() {
        let name = host.name();
        cluster.installation.until_seen(name, "it has none", |seen| seen.gluster.block.is_none()).await.unwrap();
    }
    let refused = block(&client, &wish("blk", 5)).await.unwrap_err().to_string();
    for text in
        ["Failed to allocate new block volume: ", "gfs1: it has no gluster-block", "gfs3", "Install gluster-block"]
    {
        assert!(refused.contains(text), "{refused}");
    }
    assert_eq!(cluster.footprints(), empty);
}

#[tokio::test]
async fn hosts_without_gluster_block_are_left_out_unless_too_few_are_left() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    cluster.host("gfs2").without_gluster_block();
    let name = "gfs2".parse().unwrap();
    cluster.installation.until_seen(&name, "it has none", |seen| seen.gluster.block.is_none()).await.unwrap();
    let made = block(&client, &wish("blk", 1)).await.unwrap();
    assert_eq!(made.ha_count, 2);
    let refused = block(&client, &BlockVolumeCreateRequest { ha_count: 3, ..wish("more", 1) }).await.unwrap_err();
    assert!(refused.to_string().contains("insufficient block hosts online"), "{refused}");
    assert!(refused.to_string().contains("gfs2: it has no gluster-block"), "{refused}");
}

#[tokio::test]
async fn a_volume_for_block_volumes_is_made_by_a_person_where_the_installation_makes_none() {
    let cluster = three_by_hand().await;
    let client = cluster.client().unwrap();
    let refused = block(&client, &wish("blk", 5)).await.unwrap_err().to_string();
    assert!(refused.contains("Block Hosting Volume Creation is disabled."), "{refused}");
    let small = create(&client, &hosting(10)).await.unwrap();
    let large = create(&client, &hosting(20)).await.unwrap();
    // The emptiest one is taken, not any.
    assert_eq!(block(&client, &wish("one", 1)).await.unwrap().hosting_volume, large.id);
    assert_eq!(block(&client, &wish("two", 10)).await.unwrap().hosting_volume, large.id);
    assert_eq!(block(&client, &wish("three", 1)).await.unwrap().hosting_volume, small.id);
    let file = create(&client, &replicated(1, 3)).await.unwrap();
    let refused = restrict(&client, &file, "locked").await.unwrap_err().to_string();
    assert!(refused.contains("Block restrictions can only be set on block hosting volumes"), "{refused}");
}

#[tokio::test]
async fn a_block_volume_that_a_person_made_by_hand_is_never_touched() {
    let cluster = three_by_hand().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &hosting(20)).await.unwrap();
    let name: BlockName = "precious".parse().unwrap();
    let new = NewBlock {
        size: gib(5),
        hosts: vec!["192.168.0.1".parse().unwrap()],
        auth: false,
        preallocation: Preallocation::Full,
    };
    cluster.host("gfs1").make_block_by_hand(&volume.name.parse().unwrap(), &name, &new);
    let request = BlockVolumeCreateRequest { ha_count: 1, ..wish("precious", 5) };
    let refused = block(&client, &request).await.unwrap_err().to_string();
    assert!(refused.contains("Block Hosting Volume Creation is disabled."), "{refused}");
    assert_eq!(cluster.sim.blocks(), [name]);
}

#[tokio::test]
async fn a_create_that_fails_in_gluster_block_leaves_nothing_the_hosting_volume_neither() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    for fault in [Fault::Before, Fault::Halfway] {
        // Any of them may be the one that is asked.
        for host in cluster.hosts() {
            host.faults().inject(At::Next(Call::BlockCreate), fault);
        }
        let failed = block(&client, &wish("blk", 5)).await.unwrap_err().to_string();
        assert!(failed.contains("a fault was injected"), "{failed}");
        assert!(cluster.sim.blocks().is_empty(), "{fault:?}");
        assert_eq!(cluster.footprints(), empty, "{fault:?}");
        cluster.hosts().for_each(|host| host.faults().clear());
    }
    assert!(client.volumes().await.unwrap().volumes.is_empty());
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn a_create_whose_new_hosting_volume_does_not_start_is_taken_back_and_not_stuck() {
    let cluster = three().await;
    let client = cluster.client().unwrap();
    let empty = cluster.footprints();
    for host in cluster.hosts() {
        host.faults().inject(At::Every(Call::VolumeStart), Fault::Before);
    }
    let failed = block(&client, &wish("blk", 5)).await.unwrap_err().to_string();
    assert!(failed.contains("gluster_volume_start failed"), "{failed}");
    let operations = client.operations().await.unwrap().operations;
    assert!(operations.iter().all(|operation| operation.state.is_final()), "{operations:?}");
    assert_eq!(cluster.footprints(), empty);
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn what_gluster_block_did_without_saying_so_is_found_done() {
    let cluster = three_by_hand().await;
    let client = cluster.client().unwrap();
    create(&client, &hosting(40)).await.unwrap();
    for (number, fault) in [Fault::After, Fault::TimesOutDone, Fault::TimesOutUndone].into_iter().enumerate() {
        let hit = |call| {
            let hosts = cluster.hosts();
            hosts.for_each(|host| {
                host.faults().clear();
                host.faults().inject(At::Next(call), fault);
            });
        };
        hit(Call::BlockCreate);
        let made = block(&client, &wish(&format!("blk{number}"), 5)).await.unwrap();
        hit(Call::BlockResize);
        assert_eq!(expand(&client, made.id, 6).await.unwrap().usable_size_gib, 6, "{fault:?}");
        hit(Call::BlockDelete);
        delete_block(&client, made.id).await.unwrap();
        assert!(cluster.sim.blocks().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_host_that_an_expansion_did_not_reach_is_told_and_caught_up_with() {
    let mut cluster = three_by_hand().await;
    let client = cluster.client().unwrap();
    create(&client, &hosting(20)).await.unwrap();
    let made = block(&client, &wish("blk", 5)).await.unwrap();
    cluster.power_cut("gfs3").await;
    let larger = expand(&client, made.id, 8).await.unwrap();
    assert_eq!((larger.size_gib, larger.usable_size_gib), (8, 5));
    cluster.power_on("gfs3").await.unwrap();
    cluster.until_able("gfs3").await.unwrap();
    let whole = expand(&client, made.id, 8).await.unwrap();
    assert_eq!((whole.size_gib, whole.usable_size_gib), (8, 8));
    // A deletion that cannot reach a host is refused, and may be asked for again.
    cluster.power_cut("gfs3").await;
    let failed = delete_block(&client, made.id).await.unwrap_err().to_string();
    assert!(failed.contains("192.168.0.3"), "{failed}");
    assert_eq!(client.block_volumes().await.unwrap().block_volumes, [made.id]);
    cluster.power_on("gfs3").await.unwrap();
    cluster.until_able("gfs3").await.unwrap();
    delete_block(&client, made.id).await.unwrap();
    assert!(cluster.sim.blocks().is_empty());
}

#[tokio::test]
async fn a_create_right_after_a_restart_waits_for_the_agents_to_tell_what_their_hosts_have() {
    let mut cluster = three_by_hand().await;
    let client = cluster.client().unwrap();
    create(&client, &hosting(20)).await.unwrap();
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    let made = block(&client, &BlockVolumeCreateRequest { ha_count: 3, ..wish("blk", 5) }).await.unwrap();
    assert_eq!(made.ha_count, 3);
}

#[tokio::test]
async fn passwords_are_kept_for_as_long_as_there_is_something_to_log_in_to() {
    let mut cluster = three_by_hand().await;
    let client = cluster.client().unwrap();
    create(&client, &hosting(20)).await.unwrap();
    let made = block(&client, &BlockVolumeCreateRequest { auth: true, ..wish("blk", 5) }).await.unwrap();
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    cluster.until_all_able().await.unwrap();
    let read = client.block_volume(made.id).await.unwrap();
    assert_eq!(read.access.password.expose(), made.access.password.expose());
    assert!(!format!("{read:?}").contains(made.access.password.expose()));
    delete_block(&client, made.id).await.unwrap();
    assert_eq!(client.block_volume(made.id).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_with_every_agent_is_not_taken_back() {
    let mut cluster = Cluster::start(1, 1, gib(64)).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let durability = DurabilityRequest { kind: "none".into(), ..DurabilityRequest::default() };
    let request = VolumeCreateRequest { size_gib: 20, block: true, durability, ..VolumeCreateRequest::default() };
    let volume = create(&client, &request).await.unwrap();
    let made = block(&client, &wish("blk", 5)).await.unwrap();
    let faults = cluster.host("gfs1").faults().clone();
    faults.inject(At::Next(Call::BlockDelete), Fault::HangsAfter);
    let accepted = client.block_volume_delete(made.id).await.unwrap();
    faults.until_one_hangs().await;
    cluster.agent("gfs1").kill().await;
    cluster.agent("gfs1").start().await.unwrap();
    done(&client, accepted).await.unwrap();
    assert!(client.block_volumes().await.unwrap().block_volumes.is_empty());
    assert_eq!(client.volume(volume.id).await.unwrap().block_info.free_size_gib, 19);
    cluster.nothing_was_violated();
}
