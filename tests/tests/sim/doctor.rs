//! What `/v1/doctor` finds on whole simulated clusters: everything that is broken on a host by hand, and nothing else.

use std::time::Duration;

use bricklayer_agent::host::Host as _;
use bricklayer_agent::tags::{parse_brick, print_brick};
use bricklayer_api::client::Client;
use bricklayer_api::heketi::{Brick, StateRequest, VolumeCloneRequest, VolumeCreateRequest, VolumeInfo};
use bricklayer_api::v1::{DeviceLostRequest, Finding, Severity};
use bricklayer_coordinator::ops::{Policy, RepairPolicy};
use bricklayer_proto::ids::BrickId;
use bricklayer_proto::inventory::BrickTags;
use bricklayer_proto::names::{LvName, VgName, VolumeName};
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::task::BrickAddress;
use bricklayer_tests::cluster::{Cluster, until};
use bricklayer_tests::sim::lvm::Group;
use bricklayer_tests::sim::{At, Call, Fault, SimDisk, SimHost};
use bricklayer_tests::story::{create, delete, done, replicated};
use jiff::SignedDuration;

async fn cluster() -> Cluster {
    let cluster = Cluster::start(3, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

/// Waits until exactly these are found, and gives them.
async fn found(client: &Client, codes: &[&str]) -> Vec<Finding> {
    let mut last = Vec::new();
    let what = format!("the doctor finds {codes:?}");
    let found = until(&what, async || {
        last = client.doctor().await?.findings;
        let seen: Vec<&str> = last.iter().map(|finding| finding.code.as_str()).collect();
        anyhow::ensure!(seen == codes, "it finds {last:?}");
        Ok(true)
    });
    found.await.unwrap();
    last
}

#[tokio::test]
async fn nothing_is_amiss_on_a_cluster_on_which_nothing_was_broken() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    found(&client, &[]).await;
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    found(&client, &[]).await;
    let diagnosis = client.doctor().await.unwrap();
    assert_eq!((diagnosis.examined.nodes, diagnosis.examined.devices, diagnosis.examined.bricks), (3, 3, 3));
    delete(&client, volume.id).await.unwrap();
    found(&client, &[]).await;
}

#[tokio::test]
async fn a_host_that_is_away_is_one_finding_and_its_peers_miss_it() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    cluster.power_cut("gfs2").await;
    cluster.host("gfs1").edit_fstab(|text| text.push_str("# looked at\n"));
    let away = found(&client, &["agent-away"]).await;
    assert_eq!((away[0].host.as_str(), away[0].severity), ("gfs2", Severity::Error));
    assert!(away[0].cure.contains("bricklayer node lost gfs2"), "{away:?}");
    cluster.power_on("gfs2").await.unwrap();
    found(&client, &[]).await;
}

#[tokio::test]
async fn agents_of_the_first_protocol_serve_whole_volumes_and_are_told_to_be_updated() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    for name in ["gfs1", "gfs2", "gfs3"] {
        cluster.agent(name).kill().await;
        cluster.agent(name).speak(1..=1);
        cluster.agent(name).start().await.unwrap();
    }
    let older = found(&client, &["agent-older", "agent-older", "agent-older"]).await;
    assert!(older[0].cure.contains("update bricklayer-agent on gfs1"), "{older:?}");
    cluster.until_all_able().await.unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    done(&client, client.volume_delete_keeping(volume.id, Some("1h")).await.unwrap()).await.unwrap();
    done(&client, client.volume_undelete(volume.id).await.unwrap()).await.unwrap();
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, volume.id).await.unwrap();
    cluster.until_ledger_is_lvms().await.unwrap();
    cluster.agent("gfs2").kill().await;
    cluster.agent("gfs2").speak(1..=2);
    cluster.agent("gfs2").start().await.unwrap();
    found(&client, &["agent-older", "agent-older"]).await;
}

#[tokio::test]
async fn a_clock_that_steps_while_its_host_is_attached_is_found_and_no_more_once_it_is_right() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    found(&client, &[]).await;
    for (ahead, way) in [(20, "ahead of"), (-20, "behind")] {
        cluster.agent("gfs2").set_clock(SignedDuration::from_secs(ahead));
        let mut said = String::new();
        until(&format!("it is found {way}"), async || {
            let findings = client.doctor().await?.findings;
            said = findings.first().map(|finding| finding.what.clone()).unwrap_or_default();
            let (codes, hosts): (Vec<&str>, Vec<&str>) =
                findings.iter().map(|finding| (finding.code.as_str(), finding.host.as_str())).unzip();
            Ok((codes, hosts) == (vec!["clock-differs"], vec!["gfs2"]) && said.contains(way))
        })
        .await
        .unwrap();
    }
    cluster.agent("gfs2").set_clock(SignedDuration::ZERO);
    found(&client, &[]).await;
}

#[tokio::test]
async fn glusterd_that_is_down_is_found_and_how_to_start_it() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    cluster.host("gfs3").stop_glusterd();
    looked_at_again(&mut cluster, "gfs3").await;
    let down = found(&client, &["glusterd-down"]).await;
    assert!(down[0].cure.contains("on gfs3: `systemctl start glusterd`"), "{down:?}");
}

#[tokio::test]
async fn a_line_of_fstab_that_somebody_took_away_is_found_and_comes_back_with_the_agent() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    cluster.agent("gfs1").kill().await;
    cluster.host("gfs1").edit_fstab(String::clear);
    let power = cluster.host("gfs1").clone();
    power.power_cut();
    cluster.power_on("gfs1").await.unwrap();
    // Bringing the bricks up at boot writes the line again.
    found(&client, &[]).await;
    cluster.volume_is_whole(volume.id).await.unwrap();
}

async fn on_host(client: &Client, volume: &VolumeInfo, name: &str) -> Brick {
    let topology = client.topology().await.unwrap();
    let node = topology.clusters[0].nodes.iter().find(|node| node.hostnames.manage[0] == name).unwrap();
    volume.bricks.iter().find(|brick| brick.node == node.id).unwrap().clone()
}

/// The agent reports anew when it attaches. It brings up what should be up only when its host boots.
async fn looked_at_again(cluster: &mut Cluster, name: &str) {
    cluster.agent(name).kill().await;
    cluster.agent(name).start().await.unwrap();
}

#[tokio::test]
async fn a_brick_that_somebody_marked_by_hand_is_found_with_its_volume() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let brick = on_host(&client, &volume, "gfs1").await;
    let group: VgName = format!("vg_{}", brick.device).parse().unwrap();
    let lv: LvName = format!("brick_{}", brick.id).parse().unwrap();
    let host = cluster.host("gfs1").clone();
    host.add_volume_tag(&group, &lv, &"bricklayer.condemned".parse().unwrap()).await.unwrap();
    looked_at_again(&mut cluster, "gfs1").await;
    let amiss = found(&client, &["brick-condemned"]).await;
    assert_eq!(amiss[0].subject, brick.id.to_string());
    assert!(amiss[0].what.contains(&format!("of volume {}", volume.name)), "{amiss:?}");
}

#[tokio::test]
async fn a_disk_that_was_pulled_out_is_one_finding_whatever_was_on_it() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    cluster.power_cut("gfs2").await;
    let disk = cluster.host("gfs2").unplug(&"/dev/sdb".parse().unwrap()).unwrap();
    cluster.power_on("gfs2").await.unwrap();
    let missing = found(&client, &["group-missing"]).await;
    assert!(missing[0].cure.contains("bricklayer device lost gfs2:/dev/sdb"), "{missing:?}");
    cluster.power_cut("gfs2").await;
    cluster.host("gfs2").plug(disk);
    cluster.power_on("gfs2").await.unwrap();
    found(&client, &[]).await;
}

/// Waits until the hosts have reported the pools of so many bricks: what an agent has never seen it does not miss.
async fn reported(client: &Client, bricks: usize) {
    until("the bricks are reported", async || Ok(client.pools().await?.pools.len() == bricks)).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_dies_is_named_with_what_is_on_it_and_nothing_is_placed_there_until_it_is_well_again() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    reported(&client, 3).await;
    let brick = on_host(&client, &volume, "gfs2").await;
    let before = cluster.footprints();
    let disk = "/dev/sdb".parse().unwrap();
    cluster.host("gfs2").break_disk(&disk, true);
    let dying = found(&client, &["disk-fails"]).await;
    assert_eq!((dying[0].host.as_str(), dying[0].severity), ("gfs2", Severity::Error));
    assert_eq!(dying[0].subject, brick.device.to_string());
    let named =
        [brick.id.to_string(), format!("of volume {}", volume.name), "serial SIM".into(), "Input/output".into()];
    assert!(named.iter().all(|word| dying[0].what.contains(word)), "{dying:?}");
    for command in ["device remove gfs2:/dev/sdb", "device lost gfs2:/dev/sdb"] {
        assert!(dying[0].cure.contains(command), "{dying:?}");
    }
    let shown = client.device(brick.device).await.unwrap().failing.unwrap();
    assert!(shown.contains("Input/output error"), "{shown}");
    let refused = create(&client, &replicated(1, 3)).await.unwrap_err().to_string();
    assert!(refused.contains("cannot be read (see `bricklayer doctor`)"), "{refused}");

    cluster.host("gfs2").break_disk(&disk, false);
    found(&client, &[]).await;
    assert_eq!(cluster.footprints(), before, "nothing was done to anything");
    assert_eq!(client.device(brick.device).await.unwrap().failing, None);
    create(&client, &replicated(1, 3)).await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_that_is_dead_can_be_declared_lost_and_its_bricks_are_made_anew() {
    let cluster = Cluster::start(4, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    reported(&client, 3).await;
    let topology = client.topology().await.unwrap();
    let brick = volume.bricks[0].clone();
    let node = topology.clusters[0].nodes.iter().find(|node| node.id == brick.node).unwrap();
    cluster.host(&node.hostnames.manage[0]).break_disk(&"/dev/sdb".parse().unwrap(), true);
    found(&client, &["disk-fails"]).await;
    let lost = DeviceLostRequest { confirm: brick.device.to_string() };
    until("the disk is known to be gone", async || Ok(client.device_lost(brick.device, &lost).await.is_ok()))
        .await
        .unwrap();
    found(&client, &[]).await;
    let state = StateRequest { state: "failed".into(), ..StateRequest::default() };
    done(&client, client.device_set_state(brick.device, &state).await.unwrap()).await.unwrap();
    let after = client.volume(volume.id).await.unwrap();
    assert!(after.bricks.len() == 3 && after.bricks.iter().all(|now| now.device != brick.device), "{after:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_that_was_declared_lost_and_comes_back_is_told_with_its_old_brick_and_left_alone() {
    let cluster = Cluster::start(4, 1, ByteSize::from_gib(16).unwrap()).await.unwrap();
    cluster.load_topology().await.unwrap();
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    reported(&client, 3).await;
    let brick = volume.bricks[0].clone();
    let topology = client.topology().await.unwrap();
    let node = topology.clusters[0].nodes.iter().find(|node| node.id == brick.node).unwrap();
    let host = cluster.host(&node.hostnames.manage[0]).clone();
    host.break_disk(&"/dev/sdb".parse().unwrap(), true);
    found(&client, &["disk-fails"]).await;
    let lost = DeviceLostRequest { confirm: brick.device.to_string() };
    until("the disk is known to be gone", async || Ok(client.device_lost(brick.device, &lost).await.is_ok()))
        .await
        .unwrap();
    let state = StateRequest { state: "failed".into(), ..StateRequest::default() };
    done(&client, client.device_set_state(brick.device, &state).await.unwrap()).await.unwrap();
    found(&client, &[]).await;
    host.break_disk(&"/dev/sdb".parse().unwrap(), false);
    let back = found(&client, &["brick-orphaned"]).await;
    assert_eq!((back[0].subject.clone(), &back[0].host), (brick.id.to_string(), &node.hostnames.manage[0]));
    let group: VgName = format!("vg_{}", brick.device).parse().unwrap();
    let volumes = host.group(&group).await.unwrap().unwrap().volumes;
    assert!(volumes.iter().any(|volume| volume.name.as_str() == format!("brick_{}", brick.id)), "{volumes:?}");
    assert!(volumes.iter().all(|volume| !volume.condemned), "{volumes:?}");
    cluster.volume_is_whole(volume.id).await.unwrap();
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_logical_volume_of_somebody_elses_and_a_brick_that_no_record_knows_are_told_and_left_alone() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let (disk, size) = ("/dev/sdb".parse().unwrap(), ByteSize::from_mib(100).unwrap());
    cluster.host("gfs1").create_volume_by_hand(&disk, "backup".parse().unwrap(), size, &[]);
    let ours = on_host(&client, &volume, "gfs2").await;
    let group: VgName = format!("vg_{}", ours.device).parse().unwrap();
    let report = cluster.host("gfs2").group(&group).await.unwrap().unwrap();
    let tags = report.volumes.iter().find_map(|volume| parse_brick(&volume.tags).unwrap()).unwrap();
    let orphan = BrickTags { brick: BrickId::from_u128(0xb1), ..tags };
    let name = LvName::of_brick(orphan.brick);
    cluster.host("gfs2").create_volume_by_hand(&disk, name, size, &print_brick(&orphan));
    let told = found(&client, &["brick-orphaned", "volume-foreign"]).await;
    let hosts: Vec<&str> = told.iter().map(|finding| finding.host.as_str()).collect();
    assert_eq!((hosts, &told[0].subject), (vec!["gfs2", "gfs1"], &orphan.brick.to_string()));
    delete(&client, volume.id).await.unwrap();
    found(&client, &["brick-orphaned", "volume-foreign"]).await;
    assert_eq!(cluster.sim.violations(), Vec::<String>::new());
}

/// As a disk that is dying holds up LVM: no look at the host ends any more.
#[tokio::test]
async fn a_disk_that_dies_is_named_to_a_coordinator_that_came_later_though_no_look_at_the_host_ends() {
    let mut cluster = cluster().await;
    let client = cluster.client().unwrap();
    create(&client, &replicated(2, 3)).await.unwrap();
    reported(&client, 3).await;
    let host = cluster.host("gfs2").clone();
    host.faults().inject(At::Every(Call::View), Fault::Holds);
    host.break_disk(&"/dev/sdb".parse().unwrap(), true);
    found(&client, &["disk-fails"]).await;
    cluster.installation.kill_coordinator().await;
    cluster.installation.start_coordinator().await.unwrap();
    let client = cluster.client().unwrap();
    found(&client, &["disk-fails"]).await;
    host.break_disk(&"/dev/sdb".parse().unwrap(), false);
    host.faults().clear();
    host.faults().release();
    found(&client, &[]).await;
}

#[tokio::test]
async fn a_brick_that_fails_on_a_disk_that_answers_is_named_by_itself() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let brick = on_host(&client, &volume, "gfs3").await;
    cluster.host("gfs3").faults().inject(At::Every(Call::ProbeFileSystem), Fault::Before);
    let found_there = found(&client, &["brick-unreadable"]).await;
    assert_eq!((found_there[0].host.as_str(), found_there[0].subject.clone()), ("gfs3", brick.id.to_string()));
    assert!(found_there[0].cure.contains(&format!("brick evict {}", brick.id)), "{found_there:?}");
    cluster.host("gfs3").faults().clear();
    found(&client, &[]).await;
}

/// glusterd mounts a clone's bricks, without a line of fstab.
#[tokio::test]
async fn a_clone_is_no_finding_and_nothing_to_repair() {
    let cluster = watched(RepairPolicy { mounts: true, fstab: true, start_bricks: true, heal: true }).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let accepted = client.volume_clone(volume.id, &VolumeCloneRequest { name: "copy".into() }).await.unwrap();
    let clone = done(&client, accepted).await.unwrap();
    // Until its bricks have been reported and looked at, also by those who repair.
    until("the clone's bricks are reported", async || {
        let pools = client.pools().await?.pools;
        Ok(pools.len() == 3 && pools.iter().all(|pool| pool.volumes == 2))
    })
    .await
    .unwrap();
    let before = cluster.footprints();
    found(&client, &[]).await;
    assert_eq!(cluster.footprints(), before);
    cluster.volume_is_whole(volume.id).await.unwrap();
    delete(&client, clone.id).await.unwrap();
}

#[tokio::test]
async fn a_group_of_somebody_elses_on_a_host_is_no_finding() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let (name, size): (VgName, ByteSize) = ("data".parse().unwrap(), ByteSize::from_gib(8).unwrap());
    let group = Group::new(name, size, ExtentSize::FOUR_MIB, &[]);
    cluster.host("gfs1").plug(SimDisk::new(&"/dev/sdx".parse().unwrap(), size).group(group));
    found(&client, &[]).await;
}

/// Looked at as often as a test has patience for, with these repairs switched on.
async fn watched(repair: RepairPolicy) -> Cluster {
    let decide = move |policy: &mut Policy| {
        policy.gluster_look = Some(Duration::from_millis(100));
        policy.heal_look = Duration::ZERO;
        policy.repair = repair;
    };
    let cluster = Cluster::start_with(3, 1, ByteSize::from_gib(16).unwrap(), decide).await.unwrap();
    cluster.load_topology().await.unwrap();
    cluster
}

/// The brick on that host, as glusterd knows it.
async fn address_on(client: &Client, volume: &VolumeInfo, name: &str) -> (Brick, BrickAddress) {
    let brick = on_host(client, volume, name).await;
    let topology = client.topology().await.unwrap();
    let node = topology.clusters[0].nodes.iter().find(|node| node.id == brick.node).unwrap();
    let host = node.hostnames.storage[0].parse().unwrap();
    let path = brick.path.clone().try_into().unwrap();
    (brick, BrickAddress { host, path })
}

#[tokio::test]
async fn a_brick_without_a_process_is_found_with_the_command_that_starts_it() {
    let cluster = watched(RepairPolicy::default()).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    found(&client, &[]).await;
    let (brick, address) = address_on(&client, &volume, "gfs2").await;
    cluster.host("gfs2").stop_brick_by_hand(&address);
    let amiss = found(&client, &["brick-offline"]).await;
    assert_eq!((amiss[0].subject.clone(), amiss[0].host.as_str()), (brick.id.to_string(), "gfs2"));
    assert!(amiss[0].cure.contains(&format!("gluster volume start {} force", volume.name)), "{amiss:?}");
}

/// As every installation is that nobody has configured.
#[tokio::test]
async fn without_a_question_to_gluster_a_brick_without_a_process_and_a_stopped_or_lost_volume_are_found() {
    let cluster = cluster().await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let name = volume.name.parse().unwrap();
    found(&client, &[]).await;
    let (brick, address) = address_on(&client, &volume, "gfs2").await;
    cluster.host("gfs2").stop_brick_by_hand(&address);
    let offline = found(&client, &["brick-offline"]).await;
    assert_eq!((offline[0].subject.clone(), offline[0].host.as_str()), (brick.id.to_string(), "gfs2"));
    // A glusterd that does not run says why, and starts the process when it comes back.
    cluster.host("gfs2").stop_glusterd();
    found(&client, &["glusterd-down"]).await;
    cluster.host("gfs2").start_glusterd();
    found(&client, &[]).await;

    cluster.host("gfs1").stop_volume_by_hand(&name);
    let stopped = found(&client, &["volume-stopped"]).await;
    assert_eq!(stopped[0].subject, volume.id.to_string());
    cluster.host("gfs1").rename_volume_by_hand(&name, &"theirs".parse().unwrap());
    let lost = found(&client, &["volume-missing", "volume-unknown"]).await;
    assert_eq!(lost[0].subject, volume.id.to_string());
}

/// As after a power cut: two bricks count what the third one lacks, and no daemon has noticed that it is back.
async fn with_something_to_heal(repair: RepairPolicy) -> (Cluster, VolumeName) {
    let cluster = watched(repair).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let (_, address) = address_on(&client, &volume, "gfs2").await;
    let name = volume.name.parse().unwrap();
    cluster.sim.lack_entries(cluster.host("gfs1"), &name, &address, 2);
    cluster.sim.miss_heals(cluster.host("gfs1"), &name);
    (cluster, name)
}

#[tokio::test]
async fn healing_that_stands_still_is_asked_for_where_that_is_switched_on() {
    let (cluster, name) = with_something_to_heal(RepairPolicy { heal: true, ..RepairPolicy::default() }).await;
    until("nothing is left to heal", async || Ok(cluster.sim.is_healed(cluster.host("gfs1"), &name))).await.unwrap();
    cluster.nothing_was_violated();
}

#[tokio::test]
async fn without_a_switch_healing_is_looked_at_and_not_asked_for() {
    let everything_else = RepairPolicy { mounts: true, fstab: true, start_bricks: true, heal: false };
    let (cluster, name) = with_something_to_heal(everything_else).await;
    let calls = |call: Call| {
        let of = |host: &SimHost| host.faults().log().iter().filter(|entry| entry.call == call).count();
        ["gfs1", "gfs2", "gfs3"].iter().map(|host| of(cluster.host(host))).sum::<usize>()
    };
    until("it was looked at often", async || Ok(calls(Call::GlusterHeal) >= 5)).await.unwrap();
    assert_eq!(calls(Call::HealStart), 0);
    assert!(!cluster.sim.is_healed(cluster.host("gfs1"), &name));
}

#[tokio::test]
async fn a_brick_without_a_process_is_started_where_that_is_switched_on() {
    let cluster = watched(RepairPolicy { start_bricks: true, ..RepairPolicy::default() }).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let (_, address) = address_on(&client, &volume, "gfs2").await;
    cluster.host("gfs2").stop_brick_by_hand(&address);
    until("it runs again", async || {
        cluster.volume_is_whole(volume.id).await?;
        Ok(true)
    })
    .await
    .unwrap();
    found(&client, &[]).await;
}

#[tokio::test]
async fn a_volume_that_somebody_stopped_is_found_and_never_started_by_itself() {
    let everything = RepairPolicy { mounts: true, fstab: true, start_bricks: true, heal: true };
    let cluster = watched(everything).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    cluster.host("gfs1").stop_volume_by_hand(&volume.name.parse().unwrap());
    let amiss = found(&client, &["volume-stopped"]).await;
    assert_eq!(amiss[0].subject, volume.id.to_string());
}

#[tokio::test]
async fn what_lies_in_the_trash_is_no_finding_until_somebody_starts_it() {
    let cluster = watched(RepairPolicy::default()).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    done(&client, client.volume_delete_keeping(volume.id, Some("1h")).await.unwrap()).await.unwrap();
    found(&client, &[]).await;
    cluster.host("gfs1").start_volume_by_hand(&volume.name.parse().unwrap());
    let amiss = found(&client, &["trash-started"]).await;
    assert!(amiss[0].cure.contains("bricklayer volume undelete"), "{amiss:?}");
}

#[tokio::test]
async fn a_volume_that_gluster_has_lost_and_one_that_is_nobodys_are_both_found() {
    let cluster = watched(RepairPolicy::default()).await;
    let client = cluster.client().unwrap();
    let volume = create(&client, &replicated(2, 3)).await.unwrap();
    let name = volume.name.parse().unwrap();
    cluster.host("gfs1").stop_volume_by_hand(&name);
    cluster.host("gfs1").rename_volume_by_hand(&name, &"theirs".parse().unwrap());
    let amiss = found(&client, &["volume-missing", "volume-unknown"]).await;
    assert_eq!((amiss[0].subject.clone(), amiss[1].subject.as_str()), (volume.id.to_string(), "theirs"));
}

#[tokio::test]
async fn an_option_that_somebody_changed_is_found_with_both_values() {
    let cluster = watched(RepairPolicy::default()).await;
    let client = cluster.client().unwrap();
    let options = vec!["performance.cache-size 256MB".to_owned()];
    let request = VolumeCreateRequest { gluster_volume_options: options, ..replicated(2, 3) };
    let volume = create(&client, &request).await.unwrap();
    found(&client, &[]).await;
    cluster.host("gfs1").set_option_by_hand(&volume.name.parse().unwrap(), "performance.cache-size", "1GB");
    let amiss = found(&client, &["options-differ"]).await;
    assert!(amiss[0].what.contains("performance.cache-size is 1GB, not 256MB"), "{amiss:?}");
}

#[tokio::test]
async fn a_mount_and_a_line_that_are_gone_are_brought_back_where_that_is_switched_on_and_found_where_not() {
    for mends in [false, true] {
        let repair = RepairPolicy { mounts: mends, fstab: mends, start_bricks: mends, heal: mends };
        let mut cluster = watched(repair).await;
        let client = cluster.client().unwrap();
        let volume = create(&client, &replicated(2, 3)).await.unwrap();
        let (_, address) = address_on(&client, &volume, "gfs3").await;
        cluster.host("gfs3").stop_brick_by_hand(&address);
        let at = address.path.to_string().trim_end_matches("/brick").to_owned();
        cluster.host("gfs3").unmount_by_hand(&at);
        cluster.host("gfs3").edit_fstab(String::clear);
        looked_at_again(&mut cluster, "gfs3").await;
        // An agent that starts brings its bricks up by itself, so it is done once more while it runs.
        cluster.host("gfs3").stop_brick_by_hand(&address);
        cluster.host("gfs3").unmount_by_hand(&at);
        cluster.host("gfs3").edit_fstab(String::clear);
        if mends {
            until("it is whole again", async || {
                cluster.volume_is_whole(volume.id).await?;
                Ok(true)
            })
            .await
            .unwrap();
            found(&client, &[]).await;
        } else {
            found(&client, &["brick-not-mounted", "brick-not-in-fstab"]).await;
        }
    }
}
