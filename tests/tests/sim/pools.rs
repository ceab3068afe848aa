//! Thin pools that fill up with snapshots: they are extended before they are full, to the byte in the ledger, whoever dies
//! in between; and where they cannot be, somebody is told in time.

use bricklayer_api::client::Client;
use bricklayer_api::heketi::{VolumeCloneRequest, VolumeCreateRequest, VolumeInfo};
use bricklayer_api::v1::{Finding, OperationState, PlacementPolicy, Pool};
use bricklayer_coordinator::ops::Policy;
use bricklayer_proto::names::{LvName, VgName};
use bricklayer_proto::size::{ByteSize, MIB};
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::{At, Call, Fault};
use bricklayer_tests::story::{create, delete, done, replicated};

fn mib(mib: u64) -> ByteSize {
    ByteSize::from_bytes(mib * MIB)
}

async fn cluster(decide: impl FnOnce(&mut Policy) + Send) -> Cluster {
    let cluster = Cluster::start_with(3, 1, ByteSize::from_gib(16).unwrap(), decide).await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

/// On every host that has a brick of it, as replicas are.
fn write(cluster: &Cluster, volume: &VolumeInfo, from: u64, length: u64) -> Result<(), String> {
    for host in cluster.hosts() {
        for brick in &volume.bricks {
            // Its path names its device, which is on one host alone.
            if host.footprint().view.fstab.contains(&brick.id.to_string()) {
                host.write_to_brick(&brick.path, mib(from), mib(length)).map_err(|error| format!("{error:?}"))?;
            }
        }
    }
    Ok(())
}

async fn pools(client: &Client) -> Vec<Pool> {
    client.pools().await.unwrap().pools
}

async fn findings(client: &Client, code: &str) -> Vec<Finding> {
    let found = client.doctor().await.unwrap().findings;
    found.into_iter().filter(|finding| finding.code == code).collect()
}

/// Waits until it holds of all three pools of a volume.
async fn until_three_pools(client: &Client, what: &str, holds: impl Fn(&Pool) -> bool) {
    until(what, async || {
        let pools = client.pools().await?.pools;
        anyhow::ensure!(pools.len() == 3 && pools.iter().all(&holds), "{pools:?}");
        Ok(true)
    })
    .await
    .unwrap();
}

/// Waits until every pool has at least so much.
async fn until_pools_have(client: &Client, least: ByteSize) {
    until_three_pools(client, &format!("all pools have {least}"), |pool| pool.size_bytes >= least.bytes()).await;
}

async fn until_all_is_done(client: &Client) {
    until("no operation is under way", async || {
        Ok(client.operations().await?.operations.iter().all(|one| one.state == OperationState::Done))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_pool_that_snapshots_fill_is_extended_before_it_is_full_and_every_byte_is_booked() {
    let cluster = cluster(|_| {}).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    write(&cluster, &volume, 0, 1900).unwrap();
    // It cannot overflow: nobody is told, nothing is extended.
    until_three_pools(&client, "the fill is seen", |pool| pool.data_percent > Some(90.0)).await;
    assert_eq!(findings(&client, "pool-fills-up").await, Vec::new());
    let left: Vec<u64> = pools(&client).await.iter().map(|pool| pool.size_bytes).collect();
    assert_eq!(left, [mib(2048).bytes(); 3]);

    cluster.host("gfs1").snapshot_by_hand("monday", &volume.name.parse().unwrap());
    // In more than one step: until there is room again below the mark.
    until_pools_have(&client, mib(2700)).await;
    until_all_is_done(&client).await;
    cluster.until_ledger_is_lvms().await.unwrap();
    // What would have failed in the pool as it was.
    let written = write(&cluster, &volume, 0, 800);
    assert_eq!(written, Ok(()), "{:#?}", pools(&client).await);
    until_pools_have(&client, mib(4000)).await;
    until_all_is_done(&client).await;
    cluster.until_ledger_is_lvms().await.unwrap();
    write(&cluster, &volume, 0, 1900).unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    let promised = pools(&client).await;
    // Never beyond what its volumes may hold together.
    assert!(promised.iter().all(|pool| pool.size_bytes <= pool.promised_bytes), "{promised:?}");
    assert_eq!(promised[0].bricks[0].volume_name, volume.name);

    cluster.host("gfs1").delete_snapshot_by_hand("monday");
    delete(&client, volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn metadata_that_fills_up_is_doubled() {
    let cluster = cluster(|_| {}).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    for brick in &volume.bricks {
        let (group, pool): (VgName, LvName) =
            (format!("vg_{}", brick.device).parse().unwrap(), format!("tp_{}", brick.id).parse().unwrap());
        let host = cluster.hosts().find(|host| host.footprint().view.fstab.contains(&brick.id.to_string())).unwrap();
        host.use_pool_metadata(&group, &pool, 5 * MIB);
    }
    until_three_pools(&client, "metadata has twice as much", |pool| pool.metadata_bytes == 16 * MIB).await;
    until_all_is_done(&client).await;
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(findings(&client, "pool-metadata-fills-up").await, Vec::new());
}

#[tokio::test]
async fn no_clone_is_made_in_a_pool_whose_metadata_fill_up() {
    let cluster = cluster(|policy| policy.pools.extend = false).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let brick = &volume.bricks[0];
    let (group, pool): (VgName, LvName) =
        (format!("vg_{}", brick.device).parse().unwrap(), format!("tp_{}", brick.id).parse().unwrap());
    let host = cluster.hosts().find(|host| host.footprint().view.fstab.contains(&brick.id.to_string())).unwrap();
    host.use_pool_metadata(&group, &pool, 5 * MIB);
    until("the fill is seen", async || {
        Ok(pools(&client).await.iter().any(|pool| pool.metadata_percent.is_some_and(|percent| percent >= 60.0)))
    })
    .await
    .unwrap();
    let footprint = host.footprint();
    let refused = client.volume_clone(volume.id, &VolumeCloneRequest { name: String::new() }).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(pool.as_str()) && text.contains(host.name().as_str()) && text.contains("60 %"), "{text}");
    assert_eq!(host.footprint(), footprint);
}

#[tokio::test]
async fn where_pools_are_not_extended_it_is_told_with_the_bricks_that_will_fail() {
    let cluster = cluster(|policy| policy.pools.extend = false).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    cluster.host("gfs1").snapshot_by_hand("monday", &volume.name.parse().unwrap());
    for (written, severity) in [(1480, "note"), (1680, "warning"), (1880, "error")] {
        write(&cluster, &volume, 0, written).unwrap();
        until(&format!("three findings at {written} MiB"), async || {
            let found = findings(&client, "pool-fills-up").await;
            anyhow::ensure!(
                found.len() == 3 && found.iter().all(|one| one.severity.to_string() == severity),
                "{found:?}"
            );
            Ok(true)
        })
        .await
        .unwrap();
    }
    let found = &findings(&client, "pool-fills-up").await[0];
    assert!(found.what.contains(&format!("of volume {} fail", volume.name)), "{found:?}");
    assert!(found.cure.contains("pools.extend is false"), "{found:?}");
    let shown = &pools(&client).await[0];
    assert!(shown.not_extended.as_deref().unwrap().contains("pools.extend"), "{shown:?}");
    // A full pool fails what is written, at once.
    write(&cluster, &volume, 0, 2048).unwrap();
    cluster.host("gfs1").snapshot_by_hand("tuesday", &volume.name.parse().unwrap());
    assert!(write(&cluster, &volume, 0, 4).unwrap_err().contains("full"));
}

#[tokio::test]
async fn an_extension_outlives_the_coordinator_and_takes_nothing_twice() {
    let mut cluster = cluster(|_| {}).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    for host in cluster.hosts() {
        host.faults().inject(At::Next(Call::ExtendPool), Fault::HangsAfter);
    }
    cluster.host("gfs1").snapshot_by_hand("monday", &volume.name.parse().unwrap());
    write(&cluster, &volume, 0, 1500).unwrap();
    // Whichever was over the mark when its host reported first.
    let hosts: Vec<_> = cluster.hosts().cloned().collect();
    tokio::select! {
        () = hosts[0].faults().until_one_hangs() => {}
        () = hosts[1].faults().until_one_hangs() => {}
        () = hosts[2].faults().until_one_hangs() => {}
    }
    cluster.installation.kill_coordinator().await;
    hosts.iter().for_each(|host| host.faults().clear());
    for name in ["gfs1", "gfs2", "gfs3"] {
        cluster.agent(name).kill().await;
        cluster.agent(name).start().await.unwrap();
    }
    cluster.installation.start_coordinator().await.unwrap();
    until_pools_have(&client, mib(2400)).await;
    until_all_is_done(&client).await;
    cluster.until_ledger_is_lvms().await.unwrap();
    let sizes: Vec<u64> = pools(&client).await.iter().map(|pool| pool.size_bytes).collect();
    assert!(sizes.windows(2).all(|two| two[0] == two[1]), "{sizes:?}");
}

#[tokio::test]
async fn an_extension_takes_nothing_that_is_to_stay_free() {
    let cluster = cluster(|policy| policy.pools.keep_free_percent = 60).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(8, 3)).await.unwrap();
    cluster.host("gfs1").snapshot_by_hand("monday", &volume.name.parse().unwrap());
    write(&cluster, &volume, 0, 7000).unwrap();
    until("it is told why", async || {
        let found = findings(&client, "pool-fills-up").await;
        anyhow::ensure!(found.len() == 3 && found[0].cure.contains("are left free"), "{found:?}");
        Ok(true)
    })
    .await
    .unwrap();
    let left: Vec<u64> = pools(&client).await.iter().map(|pool| pool.size_bytes).collect();
    assert_eq!(left, [mib(8192).bytes(); 3]);
}

fn at_most(factor: &str) -> PlacementPolicy {
    PlacementPolicy { pools_at_most: Some(factor.to_owned()), ..PlacementPolicy::default() }
}

/// Waits until all three pools are told to be as large as this one allows.
async fn until_three_are_at_most(client: &Client, said_by: &str) {
    until(&format!("it is told that {said_by} allows no more"), async || {
        let found = findings(client, "pool-fills-up").await;
        anyhow::ensure!(found.len() == 3 && found.iter().all(|one| one.cure.contains(said_by)), "{found:?}");
        Ok(true)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_pool_goes_no_further_than_its_volume_allows_and_goes_on_once_that_is_lifted() {
    let cluster = cluster(|_| {}).await;
    let client = cluster.client().unwrap();
    let options = vec!["user.bricklayer.pools-at-most 1".to_owned()];
    let wish = VolumeCreateRequest { gluster_volume_options: options, ..replicated(2, 3) };
    let volume = create(&client, &wish).await.unwrap();
    // A volume goes before its cluster.
    client.cluster_policy_set(volume.cluster, &at_most("5")).await.unwrap();
    cluster.host("gfs1").snapshot_by_hand("monday", &volume.name.parse().unwrap());
    write(&cluster, &volume, 0, 1500).unwrap();
    until_three_are_at_most(&client, &format!("the policy of volume {} (pools_at_most 1)", volume.name)).await;
    let capped = pools(&client).await;
    assert!(
        capped.iter().all(|pool| pool.size_bytes == mib(2048).bytes() && pool.not_extended.is_some()),
        "{capped:?}"
    );

    client.volume_policy_set(volume.id, &at_most("1.1")).await.unwrap();
    until_pools_have(&client, mib(2252)).await;
    write(&cluster, &volume, 1500, 200).unwrap();
    until_three_are_at_most(&client, "(pools_at_most 1.1)").await;
    client.volume_policy_set(volume.id, &PlacementPolicy::default()).await.unwrap();
    until_pools_have(&client, mib(2700)).await;
    until_all_is_done(&client).await;
    assert_eq!(findings(&client, "pool-fills-up").await, Vec::new());
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
}

#[tokio::test]
async fn a_pool_that_clones_share_goes_as_far_as_all_of_its_volumes_allow() {
    let cluster = cluster(|_| {}).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let accepted = client.volume_clone(volume.id, &VolumeCloneRequest { name: "copy".into() }).await.unwrap();
    let clone = done(&client, accepted).await.unwrap();
    client.volume_policy_set(clone.id, &at_most("1")).await.unwrap();
    write(&cluster, &volume, 0, 1500).unwrap();
    until_three_are_at_most(&client, "the policy of volume copy (pools_at_most 1)").await;
    delete(&client, clone.id).await.unwrap();
    // What the snapshots of a person hold is the volume's own affair.
    cluster.host("gfs1").snapshot_by_hand("monday", &volume.name.parse().unwrap());
    until_pools_have(&client, mib(2400)).await;
    until_all_is_done(&client).await;
    cluster.until_ledger_is_lvms().await.unwrap();
}
