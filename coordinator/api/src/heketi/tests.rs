//! Every body against heketi's own, byte for byte.

use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    AdminStatus, BlockInfo, BlockVolumeInfo, BlockVolumeList, ClusterInfo, ClusterList, DbCheckOf, DeviceInfo,
    LogLevels, NodeInfo, OperationCounts, PendingOperationDetail, PendingOperationList, SnapshotFactor,
    VolumeCreateRequest, VolumeExpandRequest, VolumeInfo, VolumeList, to_body, to_indented_body,
};
use crate::json::parse_body;

/// Fills heketi's masked ids (`C`, `N`, …) with real ones.
fn golden(masked: &str) -> String {
    let ids = [
        ("%C", ClusterId::from_u128(0xc).to_string()),
        ("%N", NodeId::from_u128(0x1).to_string()),
        ("%D", DeviceId::from_u128(0xd).to_string()),
        ("%B", BrickId::from_u128(0xb).to_string()),
        ("%V", VolumeId::from_u128(0x5).to_string()),
    ];
    ids.iter().fold(masked.replace('\n', ""), |text, (mask, id)| text.replace(mask, id))
}

/// Reads a golden body and writes it again: what heketi sends and what we send must be the same bytes.
fn comes_back_unchanged<T: Serialize + DeserializeOwned>(masked: &str) {
    let golden = golden(masked);
    let read: T = parse_body(golden.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(to_body(&read).unwrap()).unwrap(), format!("{golden}\n"));
}

#[test]
fn a_cluster_is_written_as_heketi_writes_it() {
    comes_back_unchanged::<ClusterInfo>(
        r#"{"id":"%C","nodes":["%N"],"volumes":["%V"],"block":true,"file":true,"blockvolumes":[]}"#,
    );
    comes_back_unchanged::<ClusterInfo>(
        r#"{"id":"%C","nodes":[],"volumes":[],"block":false,"file":true,"blockvolumes":[]}"#,
    );
}

#[test]
fn empty_lists_are_written_as_lists() {
    comes_back_unchanged::<ClusterList>(r#"{"clusters":[]}"#);
    comes_back_unchanged::<VolumeList>(r#"{"volumes":[]}"#);
}

#[test]
fn a_node_is_written_as_heketi_writes_it() {
    comes_back_unchanged::<NodeInfo>(
        r#"{"zone":1,"hostnames":{"manage":["m0"],"storage":["10.0.0.1"]},"cluster":"%C","id":"%N","state":"online",
"devices":[{"name":"/dev/sdb","storage":{"total":524288000,"free":524288000,"used":0},"id":"%D","state":"online","bricks":[]}]}"#,
    );
    comes_back_unchanged::<NodeInfo>(
        r#"{"zone":1,"hostnames":{"manage":["m0"],"storage":["10.0.0.1"]},"cluster":"%C","tags":{"a":"b"},"id":"%N","state":"failed","devices":[]}"#,
    );
}

#[test]
fn a_device_is_written_as_heketi_writes_it() {
    comes_back_unchanged::<DeviceInfo>(
        r#"{"name":"/dev/sdb","tags":{"rack":"1"},"storage":{"total":16642048,"free":8208384,"used":8433664},"id":"%D",
"paths":["/dev/sdb","/dev/disk/by-id/x"],"pv_uuid":"Xc3Hqh-1","state":"offline",
"bricks":[{"id":"%B","path":"/var/lib/heketi/mounts/vg_%D/brick_%B/brick","device":"%D","node":"%N","volume":"%V","size":8388608}]}"#,
    );
}

#[test]
fn a_volume_is_written_as_heketi_writes_it() {
    comes_back_unchanged::<VolumeInfo>(
        r#"{"size":10,"name":"vol_%V","durability":{"type":"none","replicate":{},"disperse":{}},"glustervolumeoptions":["",""],
"snapshot":{"enable":false,"factor":1},"id":"%V","cluster":"%C",
"mount":{"glusterfs":{"hosts":["10.0.0.1","10.0.0.0"],"device":"10.0.0.1:vol_%V","options":{"backup-volfile-servers":"10.0.0.0"}}},
"blockinfo":{},
"bricks":[{"id":"%B","path":"/var/lib/heketi/mounts/vg_%D/brick_%B/brick","device":"%D","node":"%N","volume":"%V","size":10485760}]}"#,
    );
    comes_back_unchanged::<VolumeInfo>(
        r#"{"size":100,"name":"v","durability":{"type":"replicate","replicate":{"replica":3},"disperse":{"data":4,"redundancy":2}},
"gid":2000,"glustervolumeoptions":["","group gluster-block",""],"block":true,"snapshot":{"enable":true,"factor":1.1},"id":"%V","cluster":"%C",
"mount":{"glusterfs":{"hosts":["a"],"device":"a:v","options":{"backup-volfile-servers":""}}},
"blockinfo":{"freesize":93,"reservedsize":2,"blockvolume":["%V"],"restriction":"locked"},"bricks":[]}"#,
    );
}

#[test]
fn block_info_of_an_ordinary_volume_is_empty() {
    assert_eq!(serde_json::to_string(&BlockInfo::default()).unwrap(), "{}");
}

#[test]
fn a_snapshot_factor_has_as_few_digits_as_go_gives_it() {
    for (factor, text) in
        [(1.0, "1"), (1.5, "1.5"), (1.1, "1.1"), (100.0, "100"), (0.0, "0"), (33.333_332, "33.333332")]
    {
        assert_eq!(serde_json::to_string(&SnapshotFactor(factor)).unwrap(), text);
    }
}

#[test]
fn a_float_beyond_32_bits_is_refused() {
    assert!(parse_body::<super::Snapshot>(br#"{"enable":true,"factor":1e39}"#).is_err());
}

#[test]
fn a_bare_create_request_has_heketis_defaults() {
    let request: super::VolumeCreateRequest = parse_body(br#"{"size":10}"#).unwrap();
    assert_eq!(request, super::VolumeCreateRequest { size_gib: 10, ..Default::default() });
    assert_eq!(request.durability.kind, "");
}

#[test]
fn a_size_that_is_no_whole_number_of_gib_is_told_to_the_byte() {
    comes_back_unchanged::<VolumeInfo>(
        r#"{"size":1,"size_bytes":1610612736,"name":"v","durability":{"type":"none","replicate":{},"disperse":{}},
"snapshot":{"enable":false,"factor":1},"id":"%V","cluster":"%C",
"mount":{"glusterfs":{"hosts":["a"],"device":"a:v","options":{"backup-volfile-servers":""}}},"blockinfo":{},"bricks":[]}"#,
    );
}

#[test]
fn requests_without_our_own_fields_are_heketis() {
    let create = VolumeCreateRequest { size_gib: 10, ..VolumeCreateRequest::default() };
    let durability = r#""durability":{"replicate":{},"disperse":{}},"snapshot":{"enable":false,"factor":0}"#;
    assert_eq!(serde_json::to_string(&create).unwrap(), format!(r#"{{"size":10,{durability}}}"#));
    let expand = VolumeExpandRequest { expand_size_gib: 5, expand_size_bytes: 0 };
    assert_eq!(serde_json::to_string(&expand).unwrap(), r#"{"expand_size":5}"#);
}

#[test]
fn a_block_volume_is_written_as_heketi_writes_it_and_its_password_is_not_logged() {
    let golden = golden(
        r#"{"size":5,"name":"blk","hacount":2,"id":"%V","blockvolume":{"hosts":["10.0.0.3","10.0.0.1"],"iqn":"iqn.x","lun":0,
"username":"u","password":"hush"},"cluster":"%C","blockhostingvolume":"%V","usablesize":5}"#,
    );
    let read: BlockVolumeInfo = parse_body(golden.as_bytes()).unwrap();
    assert_eq!(to_body(&read).unwrap(), format!("{golden}\n").into_bytes());
    assert!(!format!("{read:?}").contains("hush"));
    comes_back_unchanged::<BlockVolumeList>(r#"{"blockvolumes":[]}"#);
}

#[test]
fn operations_are_written_as_heketi_writes_them() {
    comes_back_unchanged::<OperationCounts>(r#"{"total":0,"in_flight":0,"stale":0,"failed":0,"new":0}"#);
    comes_back_unchanged::<PendingOperationList>(r#"{"pendingoperations":[]}"#);
    comes_back_unchanged::<PendingOperationList>(
        r#"{"pendingoperations":[{"id":"%V","type_name":"create-volume","status":"","sub_status":"in-flight"}]}"#,
    );
    comes_back_unchanged::<PendingOperationDetail>(
        r#"{"id":"%V","type_name":"delete-volume","status":"stale","sub_status":"",
"changes":[{"id":"%B","description":"Delete brick"}]}"#,
    );
}

#[test]
fn what_concerns_the_server_is_written_as_heketi_writes_it() {
    comes_back_unchanged::<AdminStatus>(r#"{"state":"normal"}"#);
    comes_back_unchanged::<LogLevels>(r#"{"loglevel":{"glusterfs":"debug"}}"#);
}

#[test]
fn a_check_is_indented_by_four_and_has_null_for_no_inconsistency() {
    let check = DbCheckOf { total: 1, ok: 1, ..DbCheckOf::default() };
    let body = String::from_utf8(to_indented_body(&check).unwrap()).unwrap();
    let wanted = "{\n    \"total\": 1,\n    \"pending\": 0,\n    \"ok\": 1,\n    \"notok\": 0,\n    \
                  \"inconsistencies\": null\n}\n";
    assert_eq!(body, wanted);
    assert_eq!(parse_body::<DbCheckOf>(body.as_bytes()).unwrap(), check);
    let odd = DbCheckOf { not_ok: 1, inconsistencies: vec!["x".into()], ..DbCheckOf::default() };
    assert!(serde_json::to_string(&odd).unwrap().ends_with(r#""inconsistencies":["x"]}"#));
}
