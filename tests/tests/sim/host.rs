//! The laws of a simulated host: what it refuses, what outlives a power cut, what faults leave behind.

use std::time::Duration;

use bricklayer_agent::host::{BrickVolumes, Host, HostError};
use bricklayer_proto::names::{HostName, LvName, MountPoint, VgName, VolumeName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents, GIB};
use bricklayer_proto::space::BrickSpace;
use bricklayer_proto::task::{BrickAddress, Layout};
use bricklayer_tests::sim::{At, Call, Delays, Fault, SimCluster, SimDisk, SimHost};

const ONE: ExtentSize = ExtentSize::FOUR_MIB;

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn hosts<const N: usize>() -> (SimCluster, [SimHost; N]) {
    let cluster = SimCluster::new();
    let hosts = std::array::from_fn(|index| {
        let names: [HostName; 2] = [parsed(&format!("gfs{}", index + 1)), parsed(&format!("10.0.0.{}", index + 1))];
        let host = cluster.add_host(&names);
        host.plug_blank(1, ByteSize::from_bytes(16 * GIB));
        host
    });
    (cluster, hosts)
}

fn brick(name: &str) -> BrickVolumes {
    let size = ByteSize::from_bytes(GIB);
    BrickVolumes {
        group: parsed("vg"),
        pool: parsed(&format!("tp_{name}")),
        volume: parsed(&format!("brick_{name}")),
        space: BrickSpace::thin(size, size, ONE).unwrap(),
        extent_size: ONE,
        pool_tags: vec![parsed("bricklayer.format=1")],
        volume_tags: vec![parsed("bricklayer.format=1")],
    }
}

fn mount_point(name: &str) -> MountPoint {
    parsed(&format!("/var/lib/bricklayer/mounts/vg/brick_{name}"))
}

async fn with_group(host: &SimHost) {
    host.create_group(&parsed("/dev/sdb"), &parsed("vg"), ONE, &[parsed("bricklayer.format=1")]).await.unwrap();
}

/// Makes the brick and mounts it; where GlusterFS would be given it.
async fn with_brick(host: &SimHost, name: &str) -> BrickAddress {
    let (wanted, at) = (brick(name), mount_point(name));
    host.create_brick_volumes(&wanted).await.unwrap();
    host.make_xfs(&wanted.group, &wanted.volume, false).await.unwrap();
    host.make_mount_point(&at).await.unwrap();
    host.mount(&wanted.group, &wanted.volume, &at).await.unwrap();
    host.make_brick_directory(&at.brick_path(), 0).await.unwrap();
    BrickAddress { host: host.name().clone(), path: at.brick_path() }
}

fn said(result: Result<(), HostError>) -> String {
    result.unwrap_err().to_string()
}

async fn free(host: &SimHost) -> Extents {
    host.group(&parsed("vg")).await.unwrap().unwrap().space.free
}

#[tokio::test]
async fn a_brick_takes_what_the_contract_says_and_gives_all_of_it_back() {
    let (_, [host]) = hosts();
    with_group(&host).await;
    let before = host.footprint();
    let wanted = brick("a");
    let all = free(&host).await;
    host.create_brick_volumes(&wanted).await.unwrap();
    let taken = wanted.space.taken().unwrap().count() + wanted.space.metadata.count();
    assert_eq!(all.count() - free(&host).await.count(), taken, "with the spare that the first pool brings");
    let condemned = parsed("bricklayer.condemned");
    let volumes = [wanted.volume.clone(), wanted.pool.clone()];
    host.add_volume_tags(&wanted.group, &volumes, &condemned).await.unwrap();
    host.remove_volume(&wanted.group, &wanted.volume).await.unwrap();
    host.remove_volume(&wanted.group, &wanted.pool).await.unwrap();
    assert_eq!(host.footprint(), before);
}

#[tokio::test]
async fn destroying_what_is_not_condemned_is_a_violation_that_stays_on_record() {
    let (cluster, [host]) = hosts();
    with_group(&host).await;
    let wanted = brick("a");
    host.create_brick_volumes(&wanted).await.unwrap();
    let doing = {
        let (host, wanted) = (host.clone(), wanted.clone());
        tokio::spawn(async move { host.remove_volume(&wanted.group, &wanted.volume).await })
    };
    assert!(doing.await.unwrap_err().is_panic());
    assert_eq!(cluster.violations().len(), 1);
    let group = host.group(&wanted.group).await.unwrap().unwrap();
    assert!(group.volumes.iter().any(|volume| volume.name == wanted.volume), "it is still there");
}

#[tokio::test]
async fn a_disk_that_carries_or_holds_anything_becomes_no_group() {
    let (_, [host]) = hosts();
    let size = ByteSize::from_bytes(16 * GIB);
    let vg: VgName = parsed("vg");
    let disk = |letter: &str| SimDisk::new(&parsed(&format!("/dev/sd{letter}")), size);
    host.plug(disk("c").signature("ext4"));
    host.plug(disk("d").partitions("gpt", &[Some("xfs")]));
    host.plug(disk("e").loose_physical_volume());
    host.plug(disk("f"));
    host.leave_stale_mapping("old-brick", &parsed("/dev/sdf"), false);
    host.plug(disk("g").read_only());
    host.plug(disk("h").multipath_member("mpatha"));
    host.plug(disk("i"));
    host.mount_foreign(&parsed("/dev/sdi"), "ext4", "/data");
    host.plug(disk("j"));
    host.swap_on(&parsed("/dev/sdj"));
    for letter in ["c", "d", "e", "f", "g", "h", "i", "j"] {
        let made = host.create_group(&parsed(&format!("/dev/sd{letter}")), &vg, ONE, &[]).await;
        assert!(made.is_err(), "/dev/sd{letter}");
    }
    host.remove_mapping("old-brick").await.unwrap();
    host.create_group(&parsed("/dev/sdf"), &vg, ONE, &[]).await.unwrap();
    host.wipe_signatures(&parsed("/dev/sdc")).await.unwrap();
    host.create_group(&parsed("/dev/sdc"), &parsed("vg2"), ONE, &[]).await.unwrap();
}

#[tokio::test]
async fn a_file_system_is_never_made_over_another_nor_below_300_mib() {
    let (_, [host]) = hosts();
    with_group(&host).await;
    let mut small = brick("small");
    small.space.volume = Extents::new(74);
    host.create_brick_volumes(&small).await.unwrap();
    assert!(said(host.make_xfs(&small.group, &small.volume, false).await).contains("larger than 300MB"));
    let wanted = brick("a");
    with_brick(&host, "a").await;
    let again = host.make_xfs(&wanted.group, &wanted.volume, false).await;
    assert!(said(again).contains("existing filesystem"));
}

#[tokio::test]
async fn a_power_cut_takes_mounts_and_device_nodes_and_leaves_the_disks() {
    let (_, [host]) = hosts();
    with_group(&host).await;
    let address = with_brick(&host, "a").await;
    host.write_data(&address.path, "file", b"data");
    let boot = host.boot().await.unwrap();
    host.power_cut();
    host.power_on();
    assert_ne!(host.boot().await.unwrap(), boot);
    let wanted = brick("a");
    let at = mount_point("a");
    assert!(host.mounts().await.unwrap().iter().all(|mount| mount.at != at.as_path()));
    assert!(said(host.mount(&wanted.group, &wanted.volume, &at).await).contains("does not exist"));
    assert!(said(host.make_brick_directory(&address.path, 0).await).contains("not permitted"), "it is immutable");
    host.activate_group(&wanted.group).await.unwrap();
    host.mount(&wanted.group, &wanted.volume, &at).await.unwrap();
    assert_eq!(host.read_data(&address.path, "file").as_deref(), Some(b"data".as_slice()));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_at_a_power_cut_neither_happens_nor_returns() {
    let (_, [host]) = hosts();
    host.faults().set_delays(Delays { of_others: Duration::from_secs(1), ..Delays::default() });
    let before = host.footprint();
    let creating = {
        let host = host.clone();
        tokio::spawn(async move { with_group(&host).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    host.power_cut();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!creating.is_finished());
    creating.abort();
    host.power_on();
    host.start_glusterd();
    assert_eq!(host.footprint(), before);
}

#[tokio::test(start_paused = true)]
async fn faults_strike_before_after_in_between_or_leave_the_outcome_open() {
    let (_, [host]) = hosts();
    with_group(&host).await;
    let volumes = async || host.group(&parsed("vg")).await.unwrap().unwrap().volumes.len();
    let faults = host.faults();
    let cases = [
        (Fault::Before, 0, 0),
        (Fault::TimesOutUndone, 0, 0),
        // A pool is four rows of `lvs -a`: itself, its two parts and the spare.
        (Fault::Halfway, 4, 4),
        (Fault::TimesOutThenDone(Duration::from_secs(5)), 4, 5),
    ];
    for (fault, now, later) in cases {
        faults.inject(At::Next(Call::CreateBrickVolumes), fault);
        assert!(host.create_brick_volumes(&brick("a")).await.is_err(), "{fault:?}");
        assert_eq!(volumes().await, now, "{fault:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(volumes().await, later, "{fault:?}");
    }
    faults.inject(At::Next(Call::CreateBrickVolumes), Fault::After);
    assert!(host.create_brick_volumes(&brick("b")).await.is_err());
    assert_eq!(volumes().await, 9);
}

#[tokio::test]
async fn a_hanging_call_can_be_waited_for_and_is_met_once() {
    let (_, [host]) = hosts();
    host.faults().inject(At::Effect(1), Fault::HangsBefore);
    let hanging = {
        let host = host.clone();
        tokio::spawn(async move { with_group(&host).await })
    };
    host.faults().until_one_hangs().await;
    hanging.abort();
    with_group(&host).await;
}

#[tokio::test]
async fn glusterd_refuses_bricks_it_could_not_trust() {
    let (_, [one, two, three]) = hosts();
    let mut bricks = Vec::new();
    for host in [&one, &two, &three] {
        with_group(host).await;
        bricks.push(with_brick(host, "a").await);
    }
    let volume: VolumeName = parsed("vol");
    let layout = Layout::Replicate { replica: 3 };
    let create = async |bricks: &[BrickAddress]| one.gluster_volume_create(&volume, layout, bricks).await;
    assert!(said(create(&bricks).await).contains("not in 'Peer in Cluster' state"));
    one.gluster_peer_probe(&parsed("10.0.0.2")).await.unwrap();
    one.gluster_peer_probe(&parsed("10.0.0.3")).await.unwrap();
    two.stop_glusterd();
    assert!(said(create(&bricks).await).contains("not connected"));
    two.start_glusterd();
    let twice = [bricks[0].clone(), with_brick(&one, "b").await, bricks[1].clone()];
    assert!(said(create(&twice).await).contains("same server"));
    let at = mount_point("a");
    three.unmount(&at).await.unwrap();
    assert!(said(create(&bricks).await).contains("root partition"));
    let wanted = brick("a");
    three.mount(&wanted.group, &wanted.volume, &at).await.unwrap();
    create(&bricks).await.unwrap();
    assert!(said(create(&bricks).await).contains("already exists"));
    let other = one.gluster_volume_create(&parsed("other"), layout, &bricks).await;
    assert!(said(other).contains("not available"));
}

#[tokio::test]
async fn a_create_that_fails_in_between_leaves_marks_that_block_the_repeat_until_cleared() {
    let (_, [one, two, three]) = hosts();
    let mut bricks = Vec::new();
    for host in [&one, &two, &three] {
        with_group(host).await;
        bricks.push(with_brick(host, "a").await);
    }
    one.gluster_peer_probe(two.name()).await.unwrap();
    one.gluster_peer_probe(three.name()).await.unwrap();
    let volume: VolumeName = parsed("vol");
    let layout = Layout::Replicate { replica: 3 };
    one.faults().inject(At::Next(Call::VolumeCreate), Fault::Halfway);
    assert!(one.gluster_volume_create(&volume, layout, &bricks).await.is_err());
    assert_eq!(one.gluster_volume(&volume).await.unwrap(), None);
    assert!(said(one.gluster_volume_create(&volume, layout, &bricks).await).contains("already part of a volume"));
    one.clear_brick_marks(&bricks[0].path).await.unwrap();
    two.clear_brick_marks(&bricks[1].path).await.unwrap();
    one.gluster_volume_create(&volume, layout, &bricks).await.unwrap();
}

#[tokio::test]
async fn a_started_volume_keeps_its_bricks_busy_and_is_deleted_only_with_all_peers_up() {
    let (_, [one, two]) = hosts();
    let mut bricks = Vec::new();
    for host in [&one, &two] {
        with_group(host).await;
        bricks.push(with_brick(host, "a").await);
    }
    one.gluster_peer_probe(two.name()).await.unwrap();
    let volume: VolumeName = parsed("vol");
    two.gluster_volume_create(&volume, Layout::Replicate { replica: 2 }, &bricks).await.unwrap();
    one.gluster_volume_start(&volume).await.unwrap();
    assert!(one.brick_is_online(&bricks[0]) && two.brick_is_online(&bricks[1]));
    assert!(said(one.gluster_volume_start(&volume).await).contains("already started"));
    assert!(said(two.unmount(&mount_point("a")).await).contains("busy"));
    assert!(said(one.gluster_volume_delete(&volume).await).contains("needs to be stopped"));
    assert!(said(one.gluster_peer_detach(two.name(), false).await).contains("bricks"));
    one.gluster_volume_stop(&volume).await.unwrap();
    two.power_cut();
    assert!(said(one.gluster_volume_delete(&volume).await).contains("Some of the peers are down"));
    two.power_on();
    two.start_glusterd();
    one.gluster_volume_delete(&volume).await.unwrap();
    assert_eq!(two.gluster_volumes().await.unwrap(), Vec::<VolumeName>::new());
    one.gluster_peer_detach(two.name(), false).await.unwrap();
    assert_eq!(one.gluster_pool().await.unwrap().1, vec![]);
}

#[tokio::test]
async fn a_brick_comes_online_at_boot_only_if_it_is_mounted_before_glusterd_starts() {
    let (_, [host]) = hosts();
    with_group(&host).await;
    let address = with_brick(&host, "a").await;
    let volume: VolumeName = parsed("vol");
    host.gluster_volume_create(&volume, Layout::Distribute, std::slice::from_ref(&address)).await.unwrap();
    host.gluster_volume_start(&volume).await.unwrap();
    let line = format!("/dev/mapper/vg-brick_a {} xfs rw,nofail 0 0\n", mount_point("a"));
    host.edit_fstab(|fstab| fstab.push_str(&line));
    host.sync();
    for mounted_first in [false, true] {
        host.power_cut();
        host.power_on();
        if mounted_first {
            host.boot_by_fstab();
        }
        host.start_glusterd();
        assert_eq!(host.brick_is_online(&address), mounted_first);
    }
}

#[tokio::test(start_paused = true)]
async fn two_commands_on_one_volume_at_once_are_one_too_many_for_glusterd() {
    let (_, [host]) = hosts();
    with_group(&host).await;
    let address = with_brick(&host, "a").await;
    let volume: VolumeName = parsed("vol");
    host.gluster_volume_create(&volume, Layout::Distribute, &[address]).await.unwrap();
    host.faults().set_delays(Delays { of_others: Duration::from_secs(1), ..Delays::default() });
    let (one, other) = tokio::join!(host.gluster_volume_start(&volume), host.gluster_volume_stop(&volume));
    one.unwrap();
    assert!(said(other).contains("Another transaction is in progress"));
}

#[tokio::test]
async fn disks_are_found_by_every_link_and_keep_their_identity_when_renamed() {
    let (_, [host]) = hosts();
    with_group(&host).await;
    let seen = async || host.view().await.unwrap().block_devices.into_iter().filter(|disk| disk.serial.is_some());
    let before: Vec<_> = seen().await.filter(|disk| disk.path.as_str() == "/dev/sdb").collect();
    host.rename_disk(&parsed("/dev/sdb"), &parsed("/dev/sdz"));
    let after: Vec<_> = seen().await.filter(|disk| disk.path.as_str() == "/dev/sdz").collect();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(before[0].serial, after[0].serial);
    assert_eq!(before[0].links, after[0].links);
    let volume: LvName = parsed("nothing");
    assert!(host.remove_volume(&parsed("vg"), &volume).await.is_err());
}
