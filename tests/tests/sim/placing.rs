//! What is said beforehand is what happens, on whole simulated clusters: simulations, plans.

use bricklayer_api::client::{Change, Client};
use bricklayer_api::heketi::{BrickEvictRequest, StateRequest, VolumeExpandRequest, VolumeInfo};
use bricklayer_api::v1::{
    Explanation, KeptPlan, NodeLostRequest, PlacementPolicy, Plan, SetState, SimulatedLoss, SimulatedVolumes,
    Simulation, SimulationRequest, StepState, SupportBundleRequest,
};
use bricklayer_coordinator::http::explanation_of;
use bricklayer_coordinator::ops::Bundle;
use bricklayer_proto::ids::{BrickId, DeviceId, NodeId};
use bricklayer_proto::size::ByteSize;
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::sim::{At, Call, Fault};
use bricklayer_tests::story::{create, distributed, done, hardware, replicated, set_device, until_one_is_away};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

async fn set_node(client: &Client, id: NodeId, states: &[&str]) {
    for state in states {
        let request = StateRequest { state: (*state).into(), ..StateRequest::default() };
        let accepted = client.node_set_state(id, &request).await.unwrap();
        done(client, accepted).await.unwrap();
    }
}

async fn name_of(client: &Client, node: NodeId) -> String {
    client.node(node).await.unwrap().hostnames.manage[0].clone()
}

fn lose(node: &str) -> SimulationRequest {
    SimulationRequest { lose: vec![SimulatedLoss::Node { node: node.into() }], ..SimulationRequest::default() }
}

fn volumes(count: i64, gib: i64) -> SimulatedVolumes {
    SimulatedVolumes { count, volume: replicated(gib, 3) }
}

fn devices(volume: &VolumeInfo) -> Vec<DeviceId> {
    let mut devices: Vec<_> = volume.bricks.iter().map(|brick| brick.device).collect();
    devices.sort_unstable();
    devices
}

/// Every device's free bytes, by LVM's count and the coordinator's.
async fn free(client: &Client) -> Vec<(DeviceId, u64)> {
    let told = client.simulate(&SimulationRequest::default()).await.unwrap();
    let mut free: Vec<_> = told.devices.iter().map(|one| (one.free.device, one.free.free_bytes)).collect();
    free.sort_unstable();
    free
}

#[tokio::test]
async fn volumes_that_a_simulation_makes_are_made_on_the_same_devices_and_the_next_is_refused() {
    let cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    create(&client, &replicated(5, 3)).await.unwrap();
    let request = SimulationRequest { create: vec![volumes(40, 3), volumes(2, 1)], ..SimulationRequest::default() };
    let told: Simulation = client.simulate(&request).await.unwrap();
    assert!(told.creations[0].fits > 2 && told.creations[0].fits < 40, "{told:?}");
    for (creation, size) in told.creations.iter().zip([3, 1]) {
        for volume in &creation.volumes {
            let made = create(&client, &replicated(size, 3)).await.unwrap();
            let mut told: Vec<_> = volume.bricks.iter().map(|brick| brick.device).collect();
            told.sort_unstable();
            assert_eq!(devices(&made), told);
        }
        if let Some(why) = &creation.why_not {
            let refused = create(&client, &replicated(size, 3)).await.unwrap_err().to_string();
            // heketi's prefix apart, and apart from what the volumes of the second kind have taken since.
            assert_eq!(refused.lines().next().unwrap(), "Failed to allocate new volume: No space");
            assert!(why.starts_with("No space\n"), "{why}");
        }
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    let mut told: Vec<_> = told.devices.iter().map(|one| (one.free.device, one.free.free_after_bytes)).collect();
    told.sort_unstable();
    assert_eq!(free(&client).await, told);
}

/// As a person does who is sent the file, on a machine that knows nothing of the installation.
#[tokio::test]
async fn a_refusal_is_replayed_from_its_bundle_byte_for_byte_and_one_that_was_altered_is_found_out() {
    let cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let policy = PlacementPolicy { reserve: Some("3%".to_owned()), ..PlacementPolicy::default() };
    client.policy_set(&policy).await.unwrap();
    create(&client, &replicated(8, 3)).await.unwrap();
    let wanted = replicated(8, 3);
    let told: Explanation = client.explain(&wanted).await.unwrap();
    assert!(!told.fits && told.refusals[0].text.contains("kept in reserve"), "{told:?}");

    let request = SupportBundleRequest { volume: Some(wanted) };
    let text = serde_json::to_string(&client.support_bundle(&request).await.unwrap()).unwrap();
    let bundle: Bundle = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&explanation_of(&bundle)).unwrap(), serde_json::to_string(&told).unwrap());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bundle.json");
    let replay = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        cluster.installation.command(&["replay", file.to_str().unwrap()]).await.map_err(|error| format!("{error:#}"))
    };
    replay(&text).await.unwrap();
    let mut altered = bundle.clone();
    altered.clusters[0].candidates[0].space.free = altered.clusters[0].candidates[0].space.total;
    let error = replay(&serde_json::to_string(&altered).unwrap()).await.unwrap_err();
    assert!(error.contains("this is another answer than the one in"), "{error}");
    let error = replay(&text.replace("\"bricklayer_support_bundle\":1", "\"bricklayer_support_bundle\":2")).await;
    assert!(error.unwrap_err().contains("use the coordinator of version"));
    for (text, why) in [("{}", "is not a support bundle"), ("", "is not a support bundle")] {
        assert!(replay(text).await.unwrap_err().contains(why));
    }
    let nothing_asked = client.support_bundle(&SupportBundleRequest::default()).await.unwrap();
    let error = replay(&nothing_asked.to_string()).await.unwrap_err();
    assert!(error.contains("nothing was asked"), "{error}");
}

#[tokio::test]
async fn over_committed_bricks_have_smaller_pools_that_grow_with_them_and_are_found_so_on_the_disks() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let policy = PlacementPolicy { over_commit: Some("2".to_owned()), ..PlacementPolicy::default() };
    client.policy_set(&policy).await.unwrap();
    let volume = create(&client, &replicated(20, 3)).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let device = volume.bricks[0].device;
    let ledger = client.device_ledger(device).await.unwrap();
    assert_eq!((ledger.promised_beyond_bytes, ledger.unaccounted_bytes), (10 << 30, 0));
    let more = VolumeExpandRequest { expand_size_gib: 4, ..VolumeExpandRequest::default() };
    done(&client, client.volume_expand(volume.id, more).await.unwrap()).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    let grown = client.device_ledger(device).await.unwrap();
    assert_eq!((grown.promised_beyond_bytes, grown.unaccounted_bytes), (12 << 30, 0));

    cluster.installation.until_kept().await.unwrap();
    cluster.installation.stop_coordinator().await;
    std::fs::remove_dir_all(cluster.installation.data_dir().join("store")).unwrap();
    cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    let client = cluster.client().unwrap();
    assert_eq!(client.device_ledger(device).await.unwrap().promised_beyond_bytes, 12 << 30);
}

#[tokio::test]
async fn a_policy_outlives_a_restart_and_the_store() {
    let mut cluster = Cluster::loaded(3, 16).await;
    let client = cluster.client().unwrap();
    let policy = PlacementPolicy { reserve: Some("10%".to_owned()), ..PlacementPolicy::default() };
    client.policy_set(&policy).await.unwrap();
    let said = client.policies().await.unwrap();
    cluster.installation.until_kept().await.unwrap();
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    assert_eq!(cluster.client().unwrap().policies().await.unwrap(), said);

    cluster.installation.stop_coordinator().await;
    std::fs::remove_dir_all(cluster.installation.data_dir().join("store")).unwrap();
    cluster.installation.command(&["rebuild", "--apply"]).await.unwrap();
    cluster.installation.start_coordinator().await.unwrap();
    assert_eq!(cluster.client().unwrap().policies().await.unwrap(), said);
}

#[tokio::test]
async fn a_node_that_is_lost_heals_where_its_simulation_said() {
    let mut cluster = Cluster::loaded(6, 16).await;
    let client = cluster.client().unwrap();
    // Of different sizes, so that the devices are differently full.
    for gib in [5, 4, 3] {
        create(&client, &replicated(gib, 3)).await.unwrap();
    }
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let lost = volume.bricks[0].node;
    let name = name_of(&client, lost).await;
    let told = client.simulate(&lose(&name)).await.unwrap();
    assert!(told.all_well && told.sets.iter().all(|set| set.state == SetState::Degraded), "{told:?}");
    let expected: Vec<(BrickId, DeviceId)> =
        told.heals.iter().map(|heal| (heal.brick, heal.to.as_ref().unwrap().device)).collect();
    assert!(!expected.is_empty());
    let before = client.topology().await.unwrap();

    cluster.power_cut(&name).await;
    until_one_is_away(&client).await.unwrap();
    client.node_lost(lost, &NodeLostRequest { confirm: name.clone() }).await.unwrap();
    set_node(&client, lost, &["failed"]).await;

    for heal in &told.heals {
        let was = before.clusters[0].volumes.iter().find(|volume| volume.id == heal.volume).unwrap();
        let now = client.volume(heal.volume).await.unwrap();
        let came = now.bricks.iter().find(|brick| was.bricks.iter().all(|old| old.id != brick.id)).unwrap();
        assert_eq!(came.device, heal.to.as_ref().unwrap().device, "{}", heal.volume_name);
    }
    for device in told.devices.iter().filter(|one| one.free.node != lost) {
        let now = free(&client).await;
        assert!(now.contains(&(device.free.device, device.free.free_after_bytes)), "{device:?} {now:?}");
    }
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

fn bricks(volume: &VolumeInfo) -> Vec<(BrickId, DeviceId, u64)> {
    let mut bricks: Vec<_> = volume.bricks.iter().map(|brick| (brick.id, brick.device, brick.size_kib << 10)).collect();
    bricks.sort_unstable();
    bricks
}

async fn apply(client: &Client, plan: &Plan) -> KeptPlan {
    let kept = plan.kept.clone().unwrap();
    let accepted = client.plan_apply(kept.id).await.unwrap();
    assert_eq!(accepted.operation(), Some(kept.id));
    done(client, accepted).await.unwrap();
    kept
}

/// The devices have free what the plan said they would have.
async fn is_as_free_as_planned(client: &Client, kept: &KeptPlan) {
    let now = free(client).await;
    for device in &kept.devices {
        assert!(now.contains(&(device.device, device.free_after_bytes)), "{device:?} {now:?}");
    }
}

#[tokio::test]
async fn what_is_planned_is_made_grown_and_moved_exactly_so() {
    let cluster = Cluster::loaded(5, 16).await;
    let client = cluster.client().unwrap();
    let plan = client.plan(&Change::volume_create(&replicated(2, 3)).unwrap()).await.unwrap();
    assert!(client.volumes().await.unwrap().volumes.is_empty());
    let kept = apply(&client, &plan).await;
    let id = client.volumes().await.unwrap().volumes[0];
    let volume = client.volume(id).await.unwrap();
    let mut planned: Vec<_> = kept.bricks.iter().map(|one| (one.brick, one.device, one.size_bytes)).collect();
    planned.sort_unstable();
    assert_eq!(bricks(&volume), planned);
    cluster.until_ledger_is_lvms().await.unwrap();
    is_as_free_as_planned(&client, &kept).await;

    let request = VolumeExpandRequest { expand_size_gib: 3, ..VolumeExpandRequest::default() };
    let kept = apply(&client, &client.plan(&Change::volume_expand(id, request).unwrap()).await.unwrap()).await;
    let grown = client.volume(id).await.unwrap();
    let mut planned: Vec<_> = kept.bricks.iter().map(|one| (one.brick, one.device, one.size_bytes)).collect();
    planned.sort_unstable();
    assert_eq!((grown.size_gib, bricks(&grown)), (5, planned));
    cluster.until_ledger_is_lvms().await.unwrap();
    is_as_free_as_planned(&client, &kept).await;

    let leaves = grown.bricks[0].clone();
    let evict = Change::brick_evict(leaves.id, &BrickEvictRequest::default()).unwrap();
    let stale = client.plan(&evict).await.unwrap();
    let kept = apply(&client, &client.plan(&evict).await.unwrap()).await;
    let moved = client.volume(id).await.unwrap();
    assert!(moved.bricks.iter().any(|brick| brick.device == kept.bricks[0].device));
    assert!(moved.bricks.iter().all(|brick| brick.id != leaves.id));
    cluster.until_ledger_is_lvms().await.unwrap();
    is_as_free_as_planned(&client, &kept).await;

    let before = cluster.footprints();
    let refused = client.plan_apply(stale.kept.unwrap().id).await.unwrap_err();
    assert_eq!(refused.status(), Some(409));
    assert!(refused.to_string().starts_with("the plan is out of date, and nothing was changed: "), "{refused}");
    assert_eq!(cluster.footprints(), before);
    cluster.volume_is_whole(id).await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_node_is_emptied_to_where_its_plan_says_and_a_restart_forgets_plans() {
    let mut cluster = Cluster::loaded(6, 16).await;
    let client = cluster.client().unwrap();
    for gib in [3, 2, 1] {
        create(&client, &replicated(gib, 3)).await.unwrap();
    }
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let node = volume.bricks[0].node;
    set_node(&client, node, &["offline"]).await;
    let request = StateRequest { state: "failed".into(), ..StateRequest::default() };
    let change = Change::node_set_state(node, &request).unwrap();
    let plan = client.plan(&change).await.unwrap();
    let kept = apply(&client, &plan).await;
    assert!(!kept.bricks.is_empty());
    let operation = client.operation(kept.id).await.unwrap();
    assert!(operation.steps.iter().all(|step| step.state == StepState::Done), "{operation:?}");
    for planned in &kept.bricks {
        let now = client.volume(planned.volume).await.unwrap();
        assert!(now.bricks.iter().all(|brick| brick.id != planned.brick), "{planned:?}");
        assert!(now.bricks.iter().any(|brick| brick.device == planned.device), "{planned:?}");
        cluster.volume_is_whole(planned.volume).await.unwrap();
    }
    cluster.until_ledger_is_lvms().await.unwrap();
    is_as_free_as_planned(&client, &kept).await;

    let plan = client.plan(&Change::volume_create(&replicated(1, 3)).unwrap()).await.unwrap();
    cluster.installation.stop_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    let client = cluster.client().unwrap();
    let refused = client.plan_apply(plan.kept.unwrap().id).await.unwrap_err();
    assert_eq!(refused.status(), Some(404));
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_removal_holds_its_room_over_a_restart_and_takes_no_more_than_was_planned() {
    let mut cluster = Cluster::loaded(4, 16).await;
    let client = cluster.client().unwrap();
    let (_, spare) = hardware(&client, 4).await.unwrap();
    set_device(&client, spare, &["offline"]).await.unwrap();
    for gib in [3, 4] {
        create(&client, &replicated(gib, 3)).await.unwrap();
    }
    set_device(&client, spare, &["online"]).await.unwrap();
    let (_, leaving) = hardware(&client, 1).await.unwrap();
    set_device(&client, leaving, &["offline"]).await.unwrap();
    let request = StateRequest { state: "failed".into(), ..StateRequest::default() };
    let plan = client.plan(&Change::device_set_state(leaving, &request).unwrap()).await.unwrap();
    let kept = plan.kept.unwrap();
    assert_eq!(kept.bricks.len(), 2);
    let faults = cluster.host("gfs4").faults().clone();
    faults.inject(At::Next(Call::CreateBrickVolumes), Fault::Holds);
    let accepted = client.plan_apply(kept.id).await.unwrap();
    faults.until_one_hangs().await;
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    let client = cluster.client().unwrap();
    let room = async || free(&client).await.into_iter().find(|(device, _)| *device == spare).unwrap().1;
    let planned = kept.devices.iter().find(|device| device.device == spare).unwrap().free_after_bytes;
    assert_eq!(room().await, planned);
    faults.release();
    done(&client, accepted).await.unwrap();
    let operation = client.operation(kept.id).await.unwrap();
    assert!(operation.steps.iter().all(|step| step.state == StepState::Done), "{operation:?}");
    assert_eq!(room().await, planned);
    cluster.until_ledger_is_lvms().await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

/// A small installation: its hosts' disks, and volumes of so many GiB and copies.
fn some_installation() -> impl Strategy<Value = (usize, usize, u64, Vec<(i64, i64)>)> {
    (3..6_usize, 1..3_usize, 8..20_u64, prop::collection::vec((1..5_i64, 1..4_i64), 2..7))
}

/// A plan is what is made, or what is refused; what is simulated is what is done, where a node is lost as well.
#[test]
fn on_any_small_installation_what_is_planned_or_simulated_is_what_is_done() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 6, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&some_installation(), |(hosts, disks, gib, wishes)| {
        runtime.block_on(async {
            let mut cluster = Cluster::start(hosts, disks, ByteSize::from_gib(gib).unwrap()).await.unwrap();
            cluster.load_topology().await.unwrap();
            let client = cluster.client().unwrap();
            let wish = |(size, copies): (i64, i64)| match copies {
                1 => distributed(size),
                copies => replicated(size, copies),
            };
            let create_all = wishes.iter().map(|one| SimulatedVolumes { count: 1, volume: wish(*one) }).collect();
            let request = SimulationRequest { create: create_all, ..SimulationRequest::default() };
            let told = client.simulate(&request).await.unwrap();
            for (creation, one) in told.creations.iter().zip(&wishes) {
                let planned = client.plan(&Change::volume_create(&wish(*one)).unwrap()).await;
                let Ok(plan) = planned else {
                    prop_assert_eq!(creation.fits, 0, "{:?}", planned);
                    continue;
                };
                let kept = apply(&client, &plan).await;
                let volume = client.volume(kept.bricks[0].volume).await.unwrap();
                let mut as_planned: Vec<_> =
                    kept.bricks.iter().map(|brick| (brick.brick, brick.device, brick.size_bytes)).collect();
                let mut made = bricks(&volume);
                as_planned.sort_unstable();
                made.sort_unstable();
                prop_assert_eq!(&made, &as_planned);
                let mut simulated: Vec<_> = creation.volumes[0].bricks.iter().map(|brick| brick.device).collect();
                simulated.sort_unstable();
                prop_assert_eq!(devices(&volume), simulated);
                is_as_free_as_planned(&client, &kept).await;
            }
            let mut expected: Vec<_> =
                told.devices.iter().map(|one| (one.free.device, one.free.free_after_bytes)).collect();
            expected.sort_unstable();
            prop_assert_eq!(free(&client).await, expected);

            // The node of the first brick that there is, if all that it has can be healed.
            let topology = client.topology().await.unwrap();
            let all = topology.clusters.iter().flat_map(|cluster| &cluster.volumes);
            let Some(lost) = all.flat_map(|volume| &volume.bricks).map(|brick| brick.node).next() else {
                return Ok(());
            };
            let name = name_of(&client, lost).await;
            let told = client.simulate(&lose(&name)).await.unwrap();
            if !told.all_well {
                return Ok(());
            }
            cluster.power_cut(&name).await;
            until_one_is_away(&client).await.unwrap();
            client.node_lost(lost, &NodeLostRequest { confirm: name.clone() }).await.unwrap();
            set_node(&client, lost, &["failed"]).await;
            let now = free(&client).await;
            for device in told.devices.iter().filter(|one| one.free.node != lost) {
                let expected = (device.free.device, device.free.free_after_bytes);
                prop_assert!(now.contains(&expected), "{:?} {:?}", device, now);
            }
            prop_assert_eq!(cluster.sim.violations(), Vec::<String>::new());
            Ok(())
        })
    });
    ran.unwrap();
}
