//! Every value goes to the wire and comes back as it was, and what is wrong there is refused.

use std::collections::BTreeMap;

use prost::Message;

use super::*;
use crate::adopt::*;
use crate::block::*;
use crate::ids::*;
use crate::inventory::*;
use crate::keepsake::*;
use crate::names::{MountPoint, VgName};
use crate::size::{ByteSize, ExtentSize, Extents};
use crate::space::BrickSpace;
use crate::task::*;

/// Through the bytes, as they go over the wire.
fn there_and_back<T, M>(said: T) -> T
where
    M: From<T> + Message + Default,
    T: TryFrom<M, Error: std::fmt::Debug>,
{
    let bytes = M::from(said).encode_to_vec();
    M::decode(bytes.as_slice()).unwrap().try_into().unwrap()
}

fn task(wanted: Wanted) -> Task {
    Task { id: TaskId::from_u128(1), operation: OperationId::from_u128(2), epoch: u64::MAX, wanted }
}

fn tags() -> BrickTags {
    BrickTags {
        brick: BrickId::from_u128(3),
        volume: VolumeId::from_u128(4),
        volume_name: "vol_x".parse().unwrap(),
        set: 0,
        position: 2,
        role: BrickRole::Arbiter,
        asked: ByteSize::from_bytes(8 << 30),
        generation: 9,
        operation: OperationId::from_u128(2),
    }
}

fn group_space() -> GroupSpace {
    GroupSpace {
        extent_size: ExtentSize::FOUR_MIB,
        total: Extents::new(4090),
        free: Extents::new(17),
        spare: Extents::new(11),
        seqno: 40,
    }
}

fn every_wanted() -> Vec<Wanted> {
    let brick =
        BrickKey { device: DeviceId::from_u128(5), brick: BrickId::from_u128(3), volume: VolumeId::from_u128(4) };
    let volume = VolumeKey { volume: VolumeId::from_u128(4), name: "vol_x".parse().unwrap() };
    let layout = Layout::Disperse { data: 4, redundancy: 2 };
    let record = VolumeRecord {
        format: VolumeRecord::FORMAT,
        installation: InstallationId::from_u128(6),
        cluster: ClusterId::from_u128(8),
        volume: VolumeId::from_u128(4),
        name: "vol_x".parse().unwrap(),
        size: ByteSize::from_bytes(8 << 30),
        layout: Layout::Replicate { replica: 3 },
        sets: 1,
        gid: 2000,
        options: vec!["performance.cache-size 1GB".to_owned()],
        snapshot_factor_milli: 1500,
        snapshots: true,
        protected: false,
        trash: None,
    };
    let device = DeviceId::from_u128(5);
    let spec = BrickSpec { device, tags: tags(), space: space(), gid: 2000, record: record.clone() };
    let address = BrickAddress { host: "gfs1".parse().unwrap(), path: mount().brick_path() };
    let drain = BrickDrain { volume: volume.clone(), brick: address.clone() };
    let options: BTreeMap<_, _> = [("user.a".parse().unwrap(), "b c".parse().unwrap())].into();
    let volume_spec = VolumeSpec {
        key: volume.clone(),
        layout,
        bricks: vec![address.clone()],
        options: options.clone(),
        start: false,
    };
    let block =
        BlockKey { block: BlockVolumeId::from_u128(9), hosting: volume.clone(), name: "blockvol_9".parse().unwrap() };
    let size = ByteSize::from_bytes(1 << 30);
    let group = GroupAdoption {
        device,
        installation: InstallationId::from_u128(6),
        node: NodeId::from_u128(7),
        group: "data".parse().unwrap(),
        pv_uuid: "Xc3Hqh-AAAA-BBBB-CCCC-DDDD-EEEE-FFFFFF".parse().unwrap(),
    };
    let adoption = BrickAdoption {
        spec: spec.clone(),
        group: "data".parse().unwrap(),
        volume: "photos".parse().unwrap(),
        pool: Some("pool".parse().unwrap()),
        owns_pool: true,
        path: mount().brick_path(),
        mounted_by_glusterd: true,
    };
    let adopted = VolumeAdoption { key: volume.clone(), bricks: vec![address.clone()] };
    let all = vec![
        Wanted::Device(DeviceSpec {
            device: DeviceId::from_u128(5),
            installation: InstallationId::from_u128(6),
            node: NodeId::from_u128(7),
            path: "/dev/sdb".parse().unwrap(),
            extent_size: ExtentSize::FOUR_MIB,
            destroy: true,
        }),
        Wanted::DeviceCondemned { device: DeviceId::from_u128(5) },
        Wanted::DeviceGone { device: DeviceId::from_u128(5), physical_volume: None },
        Wanted::DeviceGone {
            device: DeviceId::from_u128(5),
            physical_volume: "Xc3Hqh-AAAA-BBBB-CCCC-DDDD-EEEE-FFFFFF".parse().ok(),
        },
        Wanted::DiskWiped { path: "/dev/sdb".parse().unwrap(), confirm: "WD-1".to_owned() },
        Wanted::DeviceSeen { device },
        Wanted::Brick(spec.clone()),
        Wanted::BrickCanGrow(spec.clone()),
        Wanted::BrickGrown(spec),
        Wanted::CloneBrick(CloneBrickSpec { device, tags: tags(), path: mount().brick_path(), record }),
        Wanted::BrickUp(brick),
        Wanted::BrickSynced(brick),
        Wanted::BrickCondemned(brick),
        Wanted::BrickGone(brick),
        Wanted::Peer { host: "gfs2".parse().unwrap() },
        Wanted::PeerGone { host: "192.168.0.204".parse().unwrap(), lost: true },
        Wanted::Volume(volume_spec.clone()),
        Wanted::Volume(VolumeSpec { start: true, ..volume_spec.clone() }),
        Wanted::VolumeExtended(volume_spec),
        Wanted::VolumeCloned(CloneSpec { source: volume.clone(), clone: volume.clone(), options }),
        Wanted::BrickReplaced(BrickSwap { volume: volume.clone(), old: address.clone(), new: address }),
        Wanted::RebalanceStarted(volume.clone()),
        Wanted::DrainStarted(drain.clone()),
        Wanted::DrainStopped(drain.clone()),
        Wanted::DrainCommitted(drain.clone()),
        Wanted::DrainSeen(drain),
        Wanted::VolumeSeen(volume.clone()),
        Wanted::HealSeen(volume.clone()),
        Wanted::RebalanceSeen(volume.clone()),
        Wanted::BlockCreated(BlockSpec {
            key: block.clone(),
            size,
            hosts: vec!["gfs1".parse().unwrap()],
            auth: true,
            preallocation: Preallocation::No,
        }),
        Wanted::BlockResized(BlockResize { key: block.clone(), size }),
        Wanted::BlockGone(block.clone()),
        Wanted::BlockSeen(block),
        Wanted::VolumeOptionSet(VolumeOption {
            volume: volume.clone(),
            option: "cluster.favorite-child-policy".parse().unwrap(),
            value: None,
        }),
        Wanted::GroupAdopted(group.clone()),
        Wanted::GroupReleased(group),
        Wanted::BrickAdopted(adoption.clone()),
        Wanted::BrickReleased(adoption),
        Wanted::VolumeAdopted(adopted.clone()),
        Wanted::VolumeReleased(adopted),
        Wanted::HostSurveyed { gluster: true },
        Wanted::VolumeStarted(volume.clone()),
        Wanted::BricksStarted(volume.clone()),
        Wanted::HealStarted(volume.clone()),
        Wanted::VolumeStopped(volume.clone()),
        Wanted::VolumeGone(volume.clone().into()),
        Wanted::VolumeGone(VolumeDeletion {
            key: volume,
            lost: vec!["gfs3".parse().unwrap()],
            here: Some("gfs1".parse().unwrap()),
        }),
    ];
    for wanted in &all {
        // No `_` arm: a new variant must be added to the list above.
        match wanted {
            Wanted::Device(_)
            | Wanted::DeviceCondemned { .. }
            | Wanted::DeviceGone { .. }
            | Wanted::DeviceSeen { .. }
            | Wanted::DiskWiped { .. }
            | Wanted::Brick(_)
            | Wanted::BrickCanGrow(_)
            | Wanted::BrickGrown(_)
            | Wanted::CloneBrick(_)
            | Wanted::BrickUp(_)
            | Wanted::BrickSynced(_)
            | Wanted::BrickCondemned(_)
            | Wanted::BrickGone(_)
            | Wanted::Peer { .. }
            | Wanted::PeerGone { .. }
            | Wanted::Volume(_)
            | Wanted::GroupAdopted(_)
            | Wanted::GroupReleased(_)
            | Wanted::BrickAdopted(_)
            | Wanted::BrickReleased(_)
            | Wanted::VolumeAdopted(_)
            | Wanted::VolumeReleased(_)
            | Wanted::HostSurveyed { .. }
            | Wanted::VolumeStarted(_)
            | Wanted::BricksStarted(_)
            | Wanted::HealStarted(_)
            | Wanted::VolumeStopped(_)
            | Wanted::VolumeGone(_)
            | Wanted::VolumeExtended(_)
            | Wanted::VolumeCloned(_)
            | Wanted::BrickReplaced(_)
            | Wanted::VolumeOptionSet(_)
            | Wanted::RebalanceStarted(_)
            | Wanted::DrainStarted(_)
            | Wanted::DrainStopped(_)
            | Wanted::DrainCommitted(_)
            | Wanted::VolumeSeen(_)
            | Wanted::HealSeen(_)
            | Wanted::RebalanceSeen(_)
            | Wanted::DrainSeen(_)
            | Wanted::BlockCreated(_)
            | Wanted::BlockResized(_)
            | Wanted::BlockGone(_)
            | Wanted::BlockSeen(_) => {}
        }
    }
    all
}

fn mount() -> MountPoint {
    "/var/lib/bricklayer/mounts/vg_1/brick_1".parse().unwrap()
}

fn space() -> BrickSpace {
    BrickSpace::thin(ByteSize::from_bytes(8 << 30), ByteSize::ZERO, ExtentSize::FOUR_MIB).unwrap()
}

fn disk(obstacles: Vec<Obstacle>) -> Disk {
    Disk {
        path: "/dev/sdb".parse().unwrap(),
        links: vec!["/dev/disk/by-id/wwn-0x5".parse().unwrap()],
        size: ByteSize::from_bytes(16 << 30),
        serial: Some("S".to_owned()),
        wwn: None,
        model: None,
        rotational: true,
        obstacles,
        still_needed: None,
        device: None,
    }
}

fn every_obstacle() -> Vec<Obstacle> {
    let text = |text: &str| text.to_owned();
    let pv = "Xc3Hqh-AAAA-BBBB-CCCC-DDDD-EEEE-FFFFFF";
    vec![
        Obstacle::Mounted { source: text("/dev/sdb1"), at: text("/mnt/a b") },
        Obstacle::Swap { source: text("/dev/sdb2") },
        Obstacle::Fstab { line: text("/dev/sdb1\t/mnt xfs \"\\") },
        Obstacle::Signature { what: text("ext4"), offset: u64::MAX },
        Obstacle::PartitionTable { what: text("gpt") },
        Obstacle::PhysicalVolume { uuid: pv.parse().unwrap(), group: Some("vg0".parse().unwrap()) },
        Obstacle::HeldBy { name: text("crypt"), path: text("/dev/dm-3"), in_use: true },
        Obstacle::MultipathMember { map: text("mpatha") },
        Obstacle::ReadOnly,
        Obstacle::TooSmall { size: ByteSize::ZERO, least: LEAST_DISK },
        Obstacle::Ours { device: DeviceId::from_u128(5) },
        Obstacle::Unknown { why: text("lsblk: ünlesbar") },
    ]
}

#[test]
fn every_task_arrives_as_it_was_sent() {
    for wanted in every_wanted() {
        let told = ToAgent::Task(Box::new(task(wanted)));
        assert_eq!(there_and_back::<_, v1::ToAgent>(told.clone()), told);
    }
}

#[test]
fn every_outcome_arrives_as_it_was_sent() {
    let pv_uuid = "Xc3Hqh-AAAA-BBBB-CCCC-DDDD-EEEE-FFFFFF".parse().unwrap();
    let address = BrickAddress { host: "gfs1".parse().unwrap(), path: mount().brick_path() };
    let reports = [
        Report::Nothing,
        Report::Device(DeviceReport { pv_uuid, disk: disk(Vec::new()), space: group_space() }),
        Report::Brick(BrickReport {
            path: mount().brick_path(),
            size: ByteSize::from_bytes(8 << 30),
            space: group_space(),
        }),
        Report::Group { space: group_space() },
        Report::Volume { seen: None },
        Report::Survey(HostSurvey {
            groups: Vec::new(),
            places: vec![PlaceSeen {
                group: "data".parse().unwrap(),
                volume: "photos".parse().unwrap(),
                at: mount(),
                file_system: "xfs".to_owned(),
                lines: 1,
            }],
            gluster: Some(GlusterSeen { running: true, ..GlusterSeen::default() }),
            volumes: Some(vec![VolumeSurvey {
                name: "photos".parse().unwrap(),
                uuid: "1-2".to_owned(),
                started: true,
                layout: Some(Layout::Arbiter),
                bricks: vec![address.clone()],
                options: vec![("user.a".to_owned(), "b".to_owned())],
            }]),
        }),
        Report::Volume {
            seen: Some(VolumeReport {
                options: None,
                started: true,
                bricks: vec![BrickSeenInVolume { address: address.clone(), online: None }],
            }),
        },
        Report::Heal(HealReport { bricks: vec![BrickHeal { address, online: true, pending: Some(7) }] }),
        Report::Rebalance(RebalanceReport {
            state: RebalanceState::Completed,
            nodes: vec![RebalanceNode {
                host: "localhost".to_owned(),
                state: RebalanceState::Failed,
                files: 1,
                moved: ByteSize::from_bytes(2),
                scanned: 3,
                failures: 4,
                skipped: 5,
                seconds: 6,
            }],
        }),
        Report::Block {
            seen: Some(BlockReport {
                iqn: "iqn.2016-12.org.gluster-block:1".to_owned(),
                lun: 0,
                username: "u".to_owned(),
                password: "p".to_owned().into(),
                hosts: vec!["gfs1".parse().unwrap()],
                size: ByteSize::from_bytes(1 << 30),
                behind: [("gfs2".parse().unwrap(), ByteSize::from_bytes(1))].into(),
            }),
        },
    ];
    let done = reports.into_iter().map(|report| Ok(Done { changed: true, report }));
    let kinds = [
        FailureKind::Refused,
        FailureKind::NoSpace,
        FailureKind::Failed,
        FailureKind::Unknown,
        FailureKind::Stale,
        FailureKind::Unavailable,
        FailureKind::PeersDown,
    ];
    let failed = kinds.into_iter().map(|kind| {
        let (message, cure) = ("/dev/sdb is mounted".to_owned(), Some(String::new()));
        Err(Failure { kind, message, cure, obstacles: every_obstacle() })
    });
    let bare = Failure { kind: FailureKind::Failed, message: String::new(), cure: None, obstacles: Vec::new() };
    for result in done.chain(failed).chain([Err(bare)]) {
        let said = FromAgent::Outcome(Box::new(Outcome { task: TaskId::from_u128(1), result }));
        assert_eq!(there_and_back::<_, v1::FromAgent>(said.clone()), said);
    }
}

#[test]
fn a_physical_volume_of_an_older_agent_has_no_sizes() {
    let old = r#"{"uuid":"Xc3Hqh-AAAA-BBBB-CCCC-DDDD-EEEE-FFFFFF","path":"/dev/sdb","missing":false}"#;
    let seen: PhysicalVolume = serde_json::from_str(old).unwrap();
    assert_eq!(seen.extent, None);
}

#[test]
fn an_inventory_with_everything_in_it_arrives_as_it_was_sent() {
    let volume = |kind| LogicalVolume {
        name: "brick_1".parse().unwrap(),
        uuid: "u".to_owned(),
        size: ByteSize::from_bytes(1),
        kind,
        active: true,
        open: false,
        condemned: true,
        tags: vec!["bricklayer.format=1".parse().unwrap()],
    };
    let group: VgName = "vg_1".parse().unwrap();
    let inventory = Inventory {
        disks: vec![disk(every_obstacle())],
        groups: vec![VolumeGroup {
            name: group.clone(),
            uuid: "u".to_owned(),
            space: group_space(),
            physical_volumes: vec![PhysicalVolume {
                uuid: "Xc3Hqh-AAAA-BBBB-CCCC-DDDD-EEEE-FFFFFF".parse().unwrap(),
                path: None,
                missing: true,
                extent: Some(PvExtent { disk: ByteSize::from_bytes(5), start: ByteSize::from_bytes(1) }),
            }],
            tags: Some(GroupTags {
                installation: InstallationId::from_u128(6),
                node: NodeId::from_u128(7),
                device: DeviceId::from_u128(5),
            }),
            condemned: false,
            adopted: false,
            volumes: vec![
                volume(LvKind::ThinPool {
                    metadata: ByteSize::from_bytes(4 << 20),
                    data_percent: Some(12.34),
                    metadata_percent: None,
                    volumes: 1,
                    fault: None,
                }),
                volume(LvKind::Thin { pool: "tp_1".parse().unwrap() }),
                volume(LvKind::Other { segment_type: "linear".to_owned() }),
            ],
        }],
        bricks: vec![BrickSeen {
            tags: tags(),
            group,
            volume_lv: "brick_1".parse().unwrap(),
            pool_lv: Some("tp_1".parse().unwrap()),
            size: ByteSize::from_bytes(8 << 30),
            condemned: false,
            adopted: false,
            fstab: Some(mount()),
            mounted: None,
            path: Some(mount().brick_path()),
            served: Some(false),
        }],
        fstab_fault: Some("changing /etc/fstab failed: it is immutable".to_owned()),
        missing_thin_tool: Some("thin_check".to_owned()),
        full_disk: Some(FullDisk {
            folder: "/".to_owned(),
            free: ByteSize::from_bytes(1),
            least: ByteSize::from_bytes(2),
        }),
        gluster: GlusterSeen {
            running: true,
            uuid: Some("u".to_owned()),
            peers: vec![PeerSeen { uuid: "v".to_owned(), host: "gfs2".to_owned(), connected: true }],
            block: Some("0.5.1".to_owned()),
            volumes: Some(vec![VolumeInPool {
                name: "vol_x".parse().unwrap(),
                id: Some(VolumeId::from_u128(4)),
                started: true,
                bricks: Some(digest_of_bricks(&[])),
            }]),
        },
        ailing: vec![
            Ailing {
                device: DeviceId::from_u128(5),
                disk: "/dev/sdb".parse().unwrap(),
                brick: Some(BrickId::from_u128(3)),
                fault: ReadFault::Failed { said: "Input/output error".to_owned() },
                since_ms: 1,
            },
            Ailing {
                device: DeviceId::from_u128(5),
                disk: "/dev/sdb".parse().unwrap(),
                brick: None,
                fault: ReadFault::Silent,
                since_ms: 2,
            },
        ],
    };
    for (inventory, clock_ms) in [(inventory, Some(-1)), (Inventory::default(), None)] {
        let said = FromAgent::Inventory { seen: Box::new(inventory), clock_ms };
        assert_eq!(there_and_back::<_, v1::FromAgent>(said.clone()), said);
    }
}

#[test]
fn greetings_progress_and_acknowledgements_arrive_as_they_were_sent() {
    let seen = AgentSeen {
        host_name: "gfs1".to_owned(),
        boot: BootId::from_u128(1),
        up_seconds: Some(0),
        versions: Versions {
            agent: "1".to_owned(),
            kernel: "2".to_owned(),
            lvm: "3".to_owned(),
            xfsprogs: "4".to_owned(),
            glusterfs: String::new(),
        },
    };
    let hello = Hello { protocols: 1..=2, node: NodeId::from_u128(7), epoch: 3, clock_ms: -1, seen };
    let progress = Progress { task: TaskId::from_u128(1), doing: "mkfs.xfs".to_owned() };
    for said in [FromAgent::Hello(hello), FromAgent::Progress(progress)] {
        assert_eq!(there_and_back::<_, v1::FromAgent>(said.clone()), said);
    }
    let welcome = Welcome {
        installation: InstallationId::from_u128(6),
        epoch: 4,
        protocol: 1,
        clock_ms: i64::MAX,
        name: "gfs1".parse().unwrap(),
    };
    for told in [ToAgent::Welcome(welcome), ToAgent::Acknowledge(TaskId::from_u128(1))] {
        assert_eq!(there_and_back::<_, v1::ToAgent>(told.clone()), told);
    }
}

#[test]
fn keepsakes_arrive_as_they_were_sent_and_come_back_so() {
    let keepsake = Keepsake {
        kind: KeepsakeKind::Volumes,
        sequence: u64::MAX,
        content: r#"{"volumes":[]}"#.to_owned(),
        mark: "5ea1".to_owned(),
    };
    let told = [ToAgent::Keepsake(Box::new(keepsake.clone())), ToAgent::Recall { gluster: true }];
    for told in told {
        assert_eq!(there_and_back::<_, v1::ToAgent>(told.clone()), told);
    }
    let seen = GlusterVolumeSeen {
        name: "vol_x".parse().unwrap(),
        id: Some("4".to_owned()),
        started: true,
        bricks: vec![BrickAddress { host: "gfs1".parse().unwrap(), path: "/m/b/brick".to_owned().try_into().unwrap() }],
    };
    let recollection = Recollection {
        name: "gfs1".parse().unwrap(),
        keepsakes: vec![keepsake.clone()],
        records: BTreeMap::new(),
        unreadable: BTreeMap::from([(BrickId::from_u128(3), "it is not JSON".to_owned())]),
        gluster: Some(vec![seen]),
        more: true,
    };
    let said = [FromAgent::Kept(vec![keepsake.kept()]), FromAgent::Recollection(Box::new(recollection))];
    for said in said {
        assert_eq!(there_and_back::<_, v1::FromAgent>(said.clone()), said);
    }
}

#[test]
fn a_kind_of_keepsake_that_is_not_known_is_passed_over() {
    let one = |kind: &str| v1::KeptOne { kind: kind.to_owned(), sequence: 1, digest: vec![0; 32] };
    let kept = v1::Kept { keepsakes: vec![one("recipes"), one("volumes")] };
    let message = v1::FromAgent { message: Some(v1::from_agent::Message::Kept(kept)) };
    let FromAgent::Kept(kept) = FromAgent::try_from(message).unwrap() else { panic!("kept") };
    assert_eq!(kept.iter().map(|kept| kept.kind).collect::<Vec<_>>(), [KeepsakeKind::Volumes]);
}

#[test]
fn enrolment_and_renewal_arrive_as_they_were_sent() {
    let request = EnrollRequest {
        invitation: InvitationId::from_u128(1),
        secret: Secret::from_bytes([3; 32]),
        csr: vec![1, 2],
        machine_id: "m".to_owned(),
    };
    assert_eq!(there_and_back::<_, v1::EnrollRequest>(request.clone()), request);
    let credentials =
        Credentials { certificate: vec![1], authorities: vec![vec![2], vec![3]], addresses: vec!["a:1".to_owned()] };
    assert_eq!(Credentials::from(v1::RenewReply::from(credentials.clone())), credentials);
    let reply = EnrollReply {
        installation: InstallationId::from_u128(6),
        node: NodeId::from_u128(7),
        name: "gfs1".parse().unwrap(),
        credentials,
    };
    assert_eq!(there_and_back::<_, v1::EnrollReply>(reply.clone()), reply);
}

#[test]
fn a_wish_that_is_not_known_is_refused_by_the_id_of_its_task() {
    let mut message =
        v1::Task::from(task(Wanted::DeviceGone { device: DeviceId::from_u128(5), physical_volume: None }));
    message.wanted_json = br#"{"kind":"brick-polished"}"#.to_vec();
    let error = Task::try_from(message).unwrap_err();
    assert_eq!(error.task, Some(TaskId::from_u128(1)));
    assert!(error.to_string().contains("brick-polished"), "{error}");
}

/// Nothing in it is new since bricks are adopted, and what some versions said besides is passed over.
#[test]
fn an_adoption_says_of_which_installation_it_is_by_the_record_of_the_brick() {
    let adoption = every_wanted().into_iter().find(|wanted| matches!(wanted, Wanted::BrickAdopted(_))).unwrap();
    let mut message = v1::Task::from(task(adoption.clone()));
    let mut json: serde_json::Value = serde_json::from_slice(&message.wanted_json).unwrap();
    assert_eq!(json["spec"]["record"]["installation"], InstallationId::from_u128(6).to_string());
    assert!(json.get("installation").is_none());
    json["installation"] = InstallationId::from_u128(9).to_string().into();
    message.wanted_json = serde_json::to_vec(&json).unwrap();
    assert_eq!(Task::try_from(message).unwrap().wanted, adoption);
}

#[test]
fn a_kind_of_failure_that_is_not_known_proves_nothing() {
    let failure = v1::Failure { kind: 99, ..v1::Failure::default() };
    assert_eq!(Failure::try_from(failure).unwrap().kind, FailureKind::Unknown);
}

#[test]
fn a_missing_part_is_an_error_and_never_a_default() {
    assert!(FromAgent::try_from(v1::FromAgent::default()).is_err());
    assert!(ToAgent::try_from(v1::ToAgent::default()).is_err());
    assert!(Hello::try_from(v1::Hello::default()).is_err());
    let outcome = v1::Outcome { task: TaskId::from_u128(1).to_string(), result: None };
    assert_eq!(Outcome::try_from(outcome).unwrap_err().task, Some(TaskId::from_u128(1)));
}
