//! What people are shown. Reviewed as files under `snapshots/`; `INSTA_UPDATE=always cargo test` writes them anew.

use bricklayer_api::client::ClientError;
use bricklayer_api::heketi::{BlockVolumeInfo, NodeInfo, TopologyCluster, TopologyInfo, VolumeInfo};
use bricklayer_api::json::parse_body;
use bricklayer_api::v1::{
    AgentList, Audit, DeviceLedger, Diagnosis, DiskList, InvitationList, LedgerSum, Operation, PoolList, StepState,
    TrashList, WipeRefusal,
};
use clap::CommandFactory as _;
use serde::de::DeserializeOwned;

use super::args::Cli;
use super::output::Width;
use super::{error_text, exit_code, progress, tables};
use crate::error::CliError;

fn read<T: DeserializeOwned>(text: &str) -> T {
    parse_body(text.as_bytes()).unwrap()
}

fn node(number: u32, bricks: &str) -> NodeInfo {
    read(&format!(
        r#"{{"zone":1,"hostnames":{{"manage":["gfs{number}"],"storage":["192.168.0.{number}"]}},"cluster":"0000000000000000000000000000000c","id":"0000000000000000000000000000000{number}","state":"online","devices":[{{"name":"/dev/sdb","storage":{{"total":16756736,"free":8359936,"used":8396800}},"id":"000000000000000000000000000000d{number}","paths":["/dev/sdb"],"pv_uuid":"Xc3Hqh-zZq1-aaaa-bbbb-cccc-dddd-EEEEEE","state":"online","bricks":[{bricks}]}}]}}"#
    ))
}

fn brick(number: u32) -> String {
    format!(
        r#"{{"id":"000000000000000000000000000000b{number}","path":"/var/lib/bricklayer/mounts/vg_d{number}/brick_b{number}/brick","device":"000000000000000000000000000000d{number}","node":"0000000000000000000000000000000{number}","volume":"00000000000000000000000000000005","size":8388608}}"#
    )
}

fn volume() -> VolumeInfo {
    read(&format!(
        r#"{{"size":8,"name":"backups","durability":{{"type":"replicate","replicate":{{"replica":3}},"disperse":{{}}}},"gid":2000,"glustervolumeoptions":["","performance.cache-size 64MB"],"snapshot":{{"enable":false,"factor":1}},"id":"00000000000000000000000000000005","cluster":"0000000000000000000000000000000c","mount":{{"glusterfs":{{"hosts":["192.168.0.1"],"device":"192.168.0.1:backups","options":{{"backup-volfile-servers":"192.168.0.2,192.168.0.3"}}}}}},"blockinfo":{{}},"bricks":[{},{},{}]}}"#,
        brick(1),
        brick(2),
        brick(3)
    ))
}

#[test]
fn tables_for_people() {
    let nodes = [node(1, &brick(1)), node(3, &brick(3)), node(2, &brick(2))];
    insta::assert_snapshot!("node_list", tables::node_list(&nodes, Width::Normal));
    insta::assert_snapshot!("node_info", tables::node_info(&nodes[0], Width::Normal));
    insta::assert_snapshot!("device_list", tables::device_list(&nodes, Width::Normal));
    insta::assert_snapshot!("device_info", tables::device_info(&nodes[0].devices[0]));
    insta::assert_snapshot!("volume_list", tables::volume_list(&[volume()], Width::Normal));
    insta::assert_snapshot!("volume_info", tables::volume_info(&volume(), &tables::node_names(&nodes), Width::Normal));
    let cluster = TopologyCluster {
        volumes: vec![volume()],
        id: nodes[0].cluster,
        nodes: nodes.to_vec(),
        block: true,
        file: true,
    };
    insta::assert_snapshot!(
        "topology_info",
        tables::topology_info(&TopologyInfo { clusters: vec![cluster] }, Width::Normal)
    );
}

#[test]
fn a_ledger_says_where_every_byte_went_and_who_says_so() {
    let vgs = r#"[{"from":"vgs","hosts":["gfs1"],"seen":"2026-11-22T22:52:33Z","age_seconds":4}]"#;
    let (lvs, pvs) = (vgs.replace("vgs", "lvs"), vgs.replace("vgs", "pvs"));
    let records = r#"[{"from":"record"}]"#;
    let figure = |class: &str, bytes: u64, sources: &str| {
        format!(r#"{{"class":"{class}","bytes":{bytes},"sources":{sources}}}"#)
    };
    let figures = [
        figure("brick-data", 8_589_934_592, records),
        figure("rounding", 0, records),
        figure("snapshot-room", 0, records),
        figure("pool-metadata", 8_388_608, records),
        figure("metadata-spare", 8_388_608, vgs),
        figure("under-way", 0, &lvs),
        figure("orphans", 104_857_600, &lvs),
        figure("foreign", 0, &lvs),
        figure("reserved", 0, records),
        figure("free", 8_459_911_168, vgs),
        figure("lvm-area", 20_971_520, &pvs),
    ]
    .join(",");
    let ledger: DeviceLedger = read(&format!(
        r#"{{"device":"000000000000000000000000000000d1","name":"/dev/sdb","node":"00000000000000000000000000000001","node_name":"gfs1","cluster":"0000000000000000000000000000000c","extent_bytes":4194304,"total_bytes":17179869184,"total_sources":{pvs},"figures":[{figures}],"unaccounted_bytes":-12582912,"lvm_area":{{"before_bytes":17039360,"behind_bytes":3932160}},"operations":["000000000000000000000000000000aa"],"bricks":[{{"brick":"000000000000000000000000000000b1","volume":"00000000000000000000000000000005","volume_name":"backups","stage":"whole","data_bytes":8589934592,"rounding_bytes":0,"snapshot_room_bytes":0,"metadata_bytes":8388608,"lvm_bytes":8598323200}}],"volumes":[{{"name":"tp_x","kind":"orphan","bytes":104857600,"brick":"000000000000000000000000000000b9"}}],"notes":["something to know"]}}"#
    ));
    insta::assert_snapshot!("device_ledger", tables::device_ledger(&ledger));
    let many = pvs.replace(r#"["gfs1"]"#, r#"["gfs1","gfs2"]"#);
    let sum: LedgerSum = read(&format!(
        r#"{{"cluster":"0000000000000000000000000000000c","total_bytes":17179869184,"total_sources":{many},"figures":[{figures}],"unaccounted_bytes":-12582912,"devices":[{{"device":"000000000000000000000000000000d1","name":"/dev/sdb","node":"00000000000000000000000000000001","node_name":"gfs1","total_bytes":17179869184,"amounts":{{"brick-data":8589934592,"free":8459911168,"orphans":104857600,"lvm-area":20971520}},"unaccounted_bytes":-12582912}}],"notes":[]}}"#
    ));
    insta::assert_snapshot!("cluster_ledger", tables::ledger_sum(&sum));
}

#[test]
fn an_audit_says_what_is_wrong_and_which_commands_mend_it() {
    let audit: Audit = read(
        r#"{"clusters":[{"cluster":"0000000000000000000000000000000c","bytes":8589934592,"any_node_can_be_lost":false,
        "sets":[{"volume":"00000000000000000000000000000005","volume_name":"backups","set":0,
        "faults":[{"brick":"000000000000000000000000000000b1","at":"gfs1:/dev/sdb","rule":"zone-shared","text":"brick 000000000000000000000000000000b2 of the set is in the same zone 1, and no zone may have two"},
        {"brick":"000000000000000000000000000000b3","at":"gfs3:/dev/sdb","rule":"standing","text":"the device is offline","unmended":"No Replacement was found for resource requested to be removed\nSought: a device for a brick of 8 GiB.\n/dev/sdb on gfs4: needs 8598323200 bytes, 4096 free"}],
        "moves":[{"brick":"000000000000000000000000000000b1","from":"gfs1:/dev/sdb","to":"gfs5:/dev/sdb","to_device":"000000000000000000000000000000d5","bytes":8589934592}]}],
        "nodes":[{"node":"00000000000000000000000000000001","node_name":"gfs1","can_be_lost":true,"bricks":1,"bytes":8589934592,"homeless":[],"without_copies":[]},
        {"node":"00000000000000000000000000000002","node_name":"gfs2","can_be_lost":false,"bricks":0,"bytes":0,"homeless":[{"brick":"000000000000000000000000000000b2","why":"-"}],"without_copies":["scratch"]}],
        "any_zone_can_be_lost":false,"zones":[{"zone":1,"can_be_lost":false,"bricks":1,"bytes":8589934592,"homeless":[],"without_copies":[],"below_quorum":[],
        "data_lost":[{"volume":"00000000000000000000000000000005","volume_name":"backups","set":0}]},
        {"zone":2,"can_be_lost":true,"bricks":1,"bytes":8589934592,"homeless":[],"without_copies":["scratch"],"below_quorum":[],"data_lost":[]}]}]}"#,
    );
    insta::assert_snapshot!("audit", tables::audit(&audit));
    let mut clean = audit;
    clean.clusters[0].sets.clear();
    clean.clusters[0].any_node_can_be_lost = true;
    assert!(tables::audit(&clean).contains("Every brick set keeps the rules.\n\nAny one node can be lost"));
}

#[test]
fn the_trash_says_until_when_and_pools_when_they_are_full_and_why_they_are_not_extended() {
    let trash: TrashList = read(
        r#"{"volumes":[{"id":"00000000000000000000000000000005","name":"backups","cluster":"0000000000000000000000000000000c","size_bytes":8589934592,"taken_bytes":25795100672,"since":"2026-11-20T08:00:00Z","until":"2026-11-27T08:00:00Z"}]}"#,
    );
    insta::assert_snapshot!("trash_list", tables::trash_list(&trash));
    let pools: PoolList = read(
        r#"{"pools":[{"name":"tp_000000000000000000000000000000b1","node":"00000000000000000000000000000001","node_name":"gfs1","device":"000000000000000000000000000000d1","device_name":"/dev/sdb","size_bytes":8589934592,"metadata_bytes":8388608,"data_percent":82.4,"metadata_percent":12.0,"promised_bytes":17179869184,"volumes":2,"bytes_per_day":1073741824,"full_in_seconds":120000,"bricks":[{"brick":"000000000000000000000000000000b1","volume":"00000000000000000000000000000005","volume_name":"backups"}],"not_extended":"pools are not extended here: pools.extend is false"},
        {"name":"tp_000000000000000000000000000000b2","node":"00000000000000000000000000000002","node_name":"gfs2","device":"000000000000000000000000000000d2","device_name":"/dev/sdb","size_bytes":8589934592,"metadata_bytes":8388608,"promised_bytes":8589934592,"volumes":1,"bricks":[]}]}"#,
    );
    insta::assert_snapshot!("pool_list", tables::pool_list(&pools, Width::Normal));
    insta::assert_snapshot!("pool_list_wide", tables::pool_list(&pools, Width::Wide));
    assert!(tables::pool_list(&PoolList::default(), Width::Normal).starts_with("no pool promises more"));
}

#[test]
fn wide_tables_have_their_further_columns_behind_the_others() {
    let mut nodes = [node(1, &brick(1)), node(2, &brick(2))];
    nodes[0].tags.insert("rack".to_owned(), "r1".to_owned());
    insta::assert_snapshot!("node_list_wide", tables::node_list(&nodes, Width::Wide));
    insta::assert_snapshot!("device_list_wide", tables::device_list(&nodes, Width::Wide));
    insta::assert_snapshot!("volume_list_wide", tables::volume_list(&[volume()], Width::Wide));
    insta::assert_snapshot!("brick_list_wide", tables::brick_list(&nodes, Width::Wide));
    assert!(tables::node_info(&nodes[0], Width::Normal).contains("Tags             rack:r1\n"));
}

#[test]
fn a_volume_tells_its_size_to_the_byte_and_its_arbiter() {
    let mut odd = VolumeInfo { size_gib: 1, size_bytes: Some(1_610_612_736), ..volume() };
    odd.gluster_volume_options.push("user.heketi.arbiter true".to_owned());
    let text = tables::volume_info(&odd, &tables::node_names(&[]), Width::Normal);
    assert!(text.contains("Size        1.50 GiB\n"), "{text}");
    assert!(text.contains("Durability  replicate 3 with arbiter\n"), "{text}");
    assert_eq!(crate::actions::size_of(&volume()).whole_gib(), 8);
}

#[test]
fn a_block_volume_tells_how_initiators_reach_it_and_what_is_amiss() {
    let mut block: BlockVolumeInfo = read(
        r#"{"size":5,"name":"blk","hacount":2,"id":"0000000000000000000000000000000e","blockvolume":{"hosts":["10.0.0.3","10.0.0.1"],"iqn":"iqn.x","lun":0,"username":"u","password":"p"},"cluster":"0000000000000000000000000000000c","blockhostingvolume":"00000000000000000000000000000005","usablesize":5}"#,
    );
    insta::assert_snapshot!("block_volume_list", tables::block_volume_list(std::slice::from_ref(&block)));
    insta::assert_snapshot!("block_volume_info", tables::block_volume_info(&block));
    block.usable_size_gib = 4;
    assert!(tables::block_volume_info(&block).contains("Usable        4 GiB: not every host knows the new size yet"));
}

#[test]
fn agents_and_invitations() {
    let agents: AgentList = read(
        r#"{"agents":[
        {"node":"00000000000000000000000000000001","name":"gfs1","state":"attached","address":"192.168.0.224:40112","zone":1,
         "versions":{"agent":"0.1.0","kernel":"6.1.0","lvm":"2.03.16","xfsprogs":"6.1.0","glusterfs":"10.3"},
         "boot":"000000000000000000000000000000f1","since":"2026-11-22T22:52:33Z","certificate_expires":"2026-12-22T22:52:33Z"},
        {"name":"gfs2","state":"invited"}]}"#,
    );
    insta::assert_snapshot!("agent_list", tables::agent_list(&agents.agents));
    let invitations: InvitationList = read(
        r#"{"invitations":[{"invitation":"00000000000000000000000000000011","name":"gfs2","zone":2,"expires":"2026-11-22T23:22:33Z","state":"open"}]}"#,
    );
    insta::assert_snapshot!("invitation_list", tables::invitation_list(&invitations.invitations));
}

#[test]
fn a_diagnosis_has_the_worst_first_and_a_cure_for_each() {
    let diagnosis: Diagnosis = read(
        r#"{"at":"2026-11-22T22:52:33Z","examined":{"nodes":3,"devices":3,"bricks":1},"findings":[
        {"id":"agent-away:00000000000000000000000000000001","severity":"error","code":"agent-away",
         "subject":"00000000000000000000000000000001","host":"gfs1","what":"the agent of gfs1 is not attached","cure":"see on gfs1"},
        {"id":"volume-foreign:x","severity":"note","code":"volume-foreign","subject":"x","host":"gfs2",
         "what":"logical volume vg_d/data (1 GiB) on /dev/sdb on gfs2 is not ours","cure":"remove it by hand"}]}"#,
    );
    insta::assert_snapshot!("diagnosis", tables::diagnosis(&diagnosis));
    let well = Diagnosis { findings: Vec::new(), ..diagnosis };
    assert_eq!(tables::diagnosis(&well), "nothing is amiss (3 nodes, 3 devices, 1 brick looked at)\n");
}

#[test]
fn disks_say_why_they_are_not_usable() {
    let disks: DiskList = read(
        r#"{"node":"00000000000000000000000000000001","name":"gfs1","disks":[
        {"path":"/dev/sdb","links":[],"size":17179869184,"serial":"WD-1","wwn":null,"model":"WDC","rotational":true,"obstacles":[],"device":null},
        {"path":"/dev/sdc","links":[],"size":17179869184,"serial":null,"wwn":"0x5000","model":null,"rotational":false,"device":null,
         "obstacles":[{"kind":"mounted","source":"/dev/sdc1","at":"/mnt"},{"kind":"held-by","name":"old","path":"/dev/dm-3","in_use":false}]},
        {"path":"/dev/sdd","links":[],"size":17179869184,"serial":"WD-3","wwn":null,"model":"WDC","rotational":true,
         "obstacles":[{"kind":"ours","device":"0000000000000000000000000000000d"}],"device":"0000000000000000000000000000000d"}]}"#,
    );
    insta::assert_snapshot!("disk_list", tables::disk_list(&disks));
}

#[test]
fn an_unconfirmed_wipe_says_what_is_there_and_how_to_go_on() {
    let refusal: WipeRefusal = read(
        r#"{"error":"/dev/sdb of gfs1 is not empty","device":"/dev/sdb","identity":{"serial":"WD 1","wwn":"0x5000"},
        "holders":[{"kind":"mounted","source":"/dev/sdb1","at":"/mnt"},{"kind":"signature","what":"xfs","offset":0}]}"#,
    );
    insta::assert_snapshot!("wipe_refusal", tables::wipe_refusal(&refusal, "gfs1"));
}

#[test]
fn what_a_host_says_can_command_neither_a_terminal_nor_a_shell() {
    assert_eq!(tables::printable("a\u{1b}[2Jb\rc\n"), "a\u{fffd}[2Jb\u{fffd}c\n");
    let refusal: WipeRefusal =
        read(r#"{"error":"not empty","device":"/dev/sdb","identity":{"serial":"'; reboot; '"}}"#);
    assert!(tables::wipe_refusal(&refusal, "gfs1").contains(r"--confirm ''\''; reboot; '\'''"));
}

#[test]
fn an_operation_step_by_step() {
    let operation: Operation = read(
        r#"{"id":"000000000000000000000000000000aa","kind":"volume-create","state":"running","started":"2026-11-22T22:52:33Z",
        "steps":[{"name":"bricks on gfs1, gfs2, gfs3","state":"done"},{"name":"gluster volume create","state":"running"},{"name":"gluster volume start","state":"pending"}]}"#,
    );
    insta::assert_snapshot!("operation_info", tables::operation_info(&operation));
    insta::assert_snapshot!("operation_list", tables::operation_list(std::slice::from_ref(&operation), Width::Normal));
    assert_eq!(progress::line(&operation), "gluster volume create [1 of 3 done]");

    let mut at_once = operation;
    at_once.steps.iter_mut().for_each(|step| step.state = StepState::Running);
    assert_eq!(progress::line(&at_once), "bricks on gfs1, gfs2, gfs3 and 2 more at once [0 of 3 done]");
}

#[test]
fn errors_say_what_and_what_to_do_and_have_their_exit_codes() {
    let refused = CliError::Client(ClientError::Refused {
        status: 500,
        text: "No space\ngfs1:/dev/sdb: 8396800 KiB needed, 8359936 KiB free".to_owned(),
        cure: None,
    });
    assert_eq!(error_text(&refused), "error: No space\n  gfs1:/dev/sdb: 8396800 KiB needed, 8359936 KiB free\n");
    assert_eq!(exit_code(&refused), 1);

    let wrong = CliError::Usage { what: "two of them".to_owned(), cure: Some("leave one out".to_owned()) };
    assert_eq!(error_text(&wrong), "error: two of them\n  to do: leave one out\n");
    assert_eq!(exit_code(&wrong), 2);
}

#[test]
fn help_teaches() {
    insta::assert_snapshot!("help", Cli::command().render_help().to_string());
    let mut cli = Cli::command();
    cli.build();
    for (name, path) in [
        ("help_device_ledger", ["device", "ledger"]),
        ("help_device_wipe", ["device", "wipe"]),
        ("help_volume_create", ["volume", "create"]),
        ("help_volume_expand", ["volume", "expand"]),
        ("help_node_lost", ["node", "lost"]),
        ("help_device_lost", ["device", "lost"]),
    ] {
        let group = cli.find_subcommand_mut(path[0]).unwrap();
        let command = group.find_subcommand_mut(path[1]).unwrap();
        insta::assert_snapshot!(name, command.render_long_help().to_string());
    }
}
