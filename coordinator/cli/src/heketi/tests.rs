//! heketi-cli's texts, byte for byte.

use bricklayer_api::heketi::{ClusterInfo, DeviceInfo, NodeInfo, TopologyInfo, VolumeInfo};
use bricklayer_api::json::parse_body;
use serde::de::DeserializeOwned;

use super::commands::{ROOT, path_to};
use super::print;
use crate::manifests::heketis_persistent_volume;

const CLUSTER: &str = r#"{"id":"0000000000000000000000000000000c","nodes":["00000000000000000000000000000001","00000000000000000000000000000002"],"volumes":["00000000000000000000000000000005"],"block":true,"file":true,"blockvolumes":[]}"#;

/// Two nodes with a disk of 16 GiB each, one of them offline and tagged.
const NODE: &str = r#"{"zone":1,"hostnames":{"manage":["gfs1"],"storage":["192.168.0.224"]},"cluster":"0000000000000000000000000000000c","id":"00000000000000000000000000000001","state":"online","devices":[{"name":"/dev/sdb","storage":{"total":16642048,"free":8208384,"used":8433664},"id":"0000000000000000000000000000000d","paths":["/dev/sdb","/dev/disk/by-id/ata-1"],"pv_uuid":"Xc3Hqh-zZq1-aaaa-bbbb-cccc-dddd-EEEEEE","state":"online","bricks":[{"id":"0000000000000000000000000000000b","path":"/var/lib/bricklayer/mounts/vg_0000000000000000000000000000000d/brick_0000000000000000000000000000000b/brick","device":"0000000000000000000000000000000d","node":"00000000000000000000000000000001","volume":"00000000000000000000000000000005","size":8388608}]}]}"#;
const TAGGED: &str = r#"{"zone":2,"hostnames":{"manage":["gfs2","gfs2.lan"],"storage":["192.168.0.204","10.0.0.2"]},"cluster":"0000000000000000000000000000000c","tags":{"rack":"r1","row":"7"},"id":"00000000000000000000000000000002","state":"failed","devices":[{"name":"/dev/vdc","tags":{"arbiter":"required"},"storage":{"total":524288000,"free":524288000,"used":0},"id":"0000000000000000000000000000000e","state":"offline","bricks":[]}]}"#;

fn volume(durability: &str, bricks: usize, snapshot: &str) -> VolumeInfo {
    let brick = r#"{"id":"0000000000000000000000000000000b","path":"/b","device":"0000000000000000000000000000000d","node":"00000000000000000000000000000001","volume":"00000000000000000000000000000005","size":8388608}"#;
    let bricks = vec![brick; bricks].join(",");
    read(&format!(
        r#"{{"size":8,"name":"vol_00000000000000000000000000000005","durability":{durability},"snapshot":{snapshot},"id":"00000000000000000000000000000005","cluster":"0000000000000000000000000000000c","mount":{{"glusterfs":{{"hosts":["192.168.0.224","192.168.0.204","192.168.0.173"],"device":"192.168.0.224:vol_00000000000000000000000000000005","options":{{"backup-volfile-servers":"192.168.0.204,192.168.0.173"}}}}}},"blockinfo":{{}},"bricks":[{bricks}]}}"#
    ))
}

const REPLICA_3: &str = r#"{"type":"replicate","replicate":{"replica":3},"disperse":{"data":4,"redundancy":2}}"#;
const NO_SNAPSHOTS: &str = r#"{"enable":false,"factor":1}"#;

fn read<T: DeserializeOwned>(text: &str) -> T {
    parse_body(text.as_bytes()).unwrap()
}

#[test]
fn a_cluster_with_its_lists() {
    assert_eq!(
        print::cluster_info(&read(CLUSTER)),
        "Cluster id: 0000000000000000000000000000000c
Nodes:
00000000000000000000000000000001
00000000000000000000000000000002
Volumes:
00000000000000000000000000000005
Block: true

File: true
"
    );
}

#[test]
fn an_empty_line_stands_before_block_where_a_cluster_has_no_volumes() {
    let cluster = ClusterInfo { volumes: Vec::new(), ..read(CLUSTER) };
    assert!(print::cluster_info(&cluster).contains("Volumes:\n\nBlock: true\n\nFile: true\n"));
}

#[test]
fn a_list_of_clusters_leaves_missing_flags_out() {
    let clusters: Vec<ClusterInfo> = [(true, true), (true, false), (false, true), (false, false)]
        .map(|(file, block)| ClusterInfo { file, block, ..read(CLUSTER) })
        .to_vec();
    assert_eq!(
        print::cluster_list(&clusters),
        "Clusters:
Id:0000000000000000000000000000000c [file][block]
Id:0000000000000000000000000000000c [file]
Id:0000000000000000000000000000000c [block]
Id:0000000000000000000000000000000c []
"
    );
}

#[test]
fn a_node_with_its_devices_in_columns() {
    assert_eq!(
        print::node_info(&read(NODE)),
        "Node Id: 00000000000000000000000000000001
State: online
Cluster Id: 0000000000000000000000000000000c
Zone: 1
Management Hostname: gfs1
Storage Hostname: 192.168.0.224
Devices:
Id:0000000000000000000000000000000d   Name:/dev/sdb            State:online    Size (GiB):15      Used (GiB):8       Free (GiB):7       Bricks:1       \n"
    );
}

#[test]
fn a_node_that_failed_is_called_removed_and_shows_its_tags() {
    assert_eq!(
        print::node_info(&read(TAGGED)),
        "Node Id: 00000000000000000000000000000002
State: removed
Cluster Id: 0000000000000000000000000000000c
Zone: 2
Management Hostname: gfs2
Storage Hostname: 192.168.0.204
Tags:
  rack: r1
  row: 7
Devices:
Id:0000000000000000000000000000000e   Name:/dev/vdc            State:offline   Size (GiB):500     Used (GiB):0       Free (GiB):500     Bricks:0       \n"
    );
}

#[test]
fn a_node_that_was_added_and_the_list_of_nodes() {
    assert!(print::node_added(&read(NODE)).starts_with("Node information:\nNode Id: 0000"));
    let nodes: Vec<NodeInfo> = vec![read(NODE), read(TAGGED)];
    assert_eq!(
        print::node_list(&nodes),
        "Id:00000000000000000000000000000001\tCluster:0000000000000000000000000000000c
Id:00000000000000000000000000000002\tCluster:0000000000000000000000000000000c
"
    );
}

#[test]
fn a_device_with_its_bricks() {
    let device: DeviceInfo = read::<NodeInfo>(NODE).devices.remove(0);
    assert_eq!(
        print::device_info(&device),
        "Device Id: 0000000000000000000000000000000d
State: online
Size (GiB): 15
Used (GiB): 8
Free (GiB): 7
Create Path: /dev/sdb
Physical Volume UUID: Xc3Hqh-zZq1-aaaa-bbbb-cccc-dddd-EEEEEE
Known Paths: /dev/sdb /dev/disk/by-id/ata-1
Bricks:
Id:0000000000000000000000000000000b   Size (GiB):8       Path: /var/lib/bricklayer/mounts/vg_0000000000000000000000000000000d/brick_0000000000000000000000000000000b/brick
"
    );
}

#[test]
fn the_block_of_a_replicated_volume() {
    assert_eq!(
        print::volume_info(&volume(REPLICA_3, 3, NO_SNAPSHOTS)),
        "Name: vol_00000000000000000000000000000005
Size: 8
Volume Id: 00000000000000000000000000000005
Cluster Id: 0000000000000000000000000000000c
Mount: 192.168.0.224:vol_00000000000000000000000000000005
Mount Options: backup-volfile-servers=192.168.0.204,192.168.0.173
Block: false
Free Size: 0
Reserved Size: 0
Block Hosting Restriction: (none)
Block Volumes: []
Durability Type: replicate
Distribute Count: 1
Replica Count: 3
"
    );
}

#[test]
fn the_ends_of_the_blocks_of_other_volumes() {
    let end = |volume: &VolumeInfo| print::volume_info(volume).split_once("Durability").unwrap().1.to_owned();
    let none = r#"{"type":"none","replicate":{},"disperse":{}}"#;
    assert_eq!(end(&volume(none, 2, NO_SNAPSHOTS)), " Type: none\nDistribute Count: 2\n");
    let disperse = r#"{"type":"disperse","replicate":{"replica":3},"disperse":{"data":4,"redundancy":2}}"#;
    assert_eq!(
        end(&volume(disperse, 12, NO_SNAPSHOTS)),
        " Type: disperse\nDistribute Count: 2\nDisperse Data Count: 4\nDisperse Redundancy Count: 2\n"
    );
    assert_eq!(
        end(&volume(REPLICA_3, 6, r#"{"enable":true,"factor":1.5}"#)),
        " Type: replicate\nDistribute Count: 2\nReplica Count: 3\nSnapshot Factor: 1.50\n\n"
    );
}

#[test]
fn a_replica_count_that_heketi_left_out_counts_as_its_default() {
    let unsaid = r#"{"type":"replicate","replicate":{},"disperse":{}}"#;
    assert!(print::volume_info(&volume(unsaid, 2, NO_SNAPSHOTS)).ends_with("Distribute Count: 1\nReplica Count: 2\n"));
}

#[test]
fn a_list_of_volumes_marks_those_that_hold_block_volumes() {
    let plain = volume(REPLICA_3, 3, NO_SNAPSHOTS);
    let hosting = VolumeInfo { block: true, ..plain.clone() };
    assert_eq!(
        print::volume_list(&[plain, hosting]),
        "Id:00000000000000000000000000000005    Cluster:0000000000000000000000000000000c    Name:vol_00000000000000000000000000000005
Id:00000000000000000000000000000005    Cluster:0000000000000000000000000000000c    Name:vol_00000000000000000000000000000005 [block]
"
    );
}

#[test]
fn a_persistent_volume_of_kubernetes() {
    let volume = VolumeInfo { gid: 2000, ..volume(REPLICA_3, 3, NO_SNAPSHOTS) };
    assert_eq!(
        heketis_persistent_volume(&volume, "").unwrap(),
        r#"{
  "kind": "PersistentVolume",
  "apiVersion": "v1",
  "metadata": {
    "name": "glusterfs-00000000",
    "creationTimestamp": null,
    "annotations": {
      "pv.beta.kubernetes.io/gid": "2000"
    }
  },
  "spec": {
    "capacity": {
      "storage": "8Gi"
    },
    "glusterfs": {
      "endpoints": "TYPE ENDPOINT HERE",
      "path": "vol_00000000000000000000000000000005"
    },
    "accessModes": [
      "ReadWriteMany"
    ],
    "persistentVolumeReclaimPolicy": "Retain"
  },
  "status": {}
}"#
    );
    assert!(heketis_persistent_volume(&volume, "gluster-ep").unwrap().contains(r#""endpoints": "gluster-ep""#));
}

#[test]
fn the_topology_mixes_tabs_and_spaces_as_heketi_does() {
    let topology: TopologyInfo = TopologyInfo {
        clusters: vec![bricklayer_api::heketi::TopologyCluster {
            volumes: vec![volume(REPLICA_3, 1, NO_SNAPSHOTS), volume(REPLICA_3, 0, r#"{"enable":true,"factor":1.5}"#)],
            nodes: vec![read(NODE), read(TAGGED)],
            id: read::<ClusterInfo>(CLUSTER).id,
            block: false,
            file: true,
        }],
    };
    assert_eq!(
        print::topology_info(&topology),
        "
Cluster Id: 0000000000000000000000000000000c

    File:  true
    Block: false

    Volumes:

\tName: vol_00000000000000000000000000000005
\tSize: 8
\tId: 00000000000000000000000000000005
\tCluster Id: 0000000000000000000000000000000c
\tMount: 192.168.0.224:vol_00000000000000000000000000000005
\tMount Options: backup-volfile-servers=192.168.0.204,192.168.0.173
\tDurability Type: replicate
\tReplica: 3
\tSnapshot: Disabled

\t\tBricks:
\t\t\tId: 0000000000000000000000000000000b
\t\t\tPath: /b
\t\t\tSize (GiB): 8
\t\t\tNode: 00000000000000000000000000000001
\t\t\tDevice: 0000000000000000000000000000000d


\tName: vol_00000000000000000000000000000005
\tSize: 8
\tId: 00000000000000000000000000000005
\tCluster Id: 0000000000000000000000000000000c
\tMount: 192.168.0.224:vol_00000000000000000000000000000005
\tMount Options: backup-volfile-servers=192.168.0.204,192.168.0.173
\tDurability Type: replicate
\tReplica: 3
\tSnapshot: Enabled
\tSnapshot Factor: 1.50

\t\tBricks:


    Nodes:

\tNode Id: 00000000000000000000000000000001
\tState: online
\tCluster Id: 0000000000000000000000000000000c
\tZone: 1
\tManagement Hostnames: gfs1
\tStorage Hostnames: 192.168.0.224
\tDevices:
\t\tId:0000000000000000000000000000000d   State:online    Size (GiB):15      Used (GiB):8       Free (GiB):7       
\t\t\tKnown Paths: /dev/sdb /dev/disk/by-id/ata-1

\t\t\tBricks:
\t\t\t\tId:0000000000000000000000000000000b   Size (GiB):8       Path: /var/lib/bricklayer/mounts/vg_0000000000000000000000000000000d/brick_0000000000000000000000000000000b/brick

\tNode Id: 00000000000000000000000000000002
\tState: removed
\tCluster Id: 0000000000000000000000000000000c
\tZone: 2
\tManagement Hostnames: gfs2, gfs2.lan
\tStorage Hostnames: 192.168.0.204, 10.0.0.2
\tTags: rack:r1 row:7

\tDevices:
\t\tId:0000000000000000000000000000000e   State:offline   Size (GiB):500     Used (GiB):0       Free (GiB):500     
\t\t\tTags: arbiter:required

\t\t\tKnown Paths: /dev/vdc

\t\t\tBricks:

"
    );
}

#[test]
fn a_topology_without_volumes_keeps_its_blank_lines() {
    let topology = TopologyInfo {
        clusters: vec![bricklayer_api::heketi::TopologyCluster {
            volumes: Vec::new(),
            nodes: Vec::new(),
            id: read::<ClusterInfo>(CLUSTER).id,
            block: true,
            file: true,
        }],
    };
    assert_eq!(
        print::topology_info(&topology),
        "\nCluster Id: 0000000000000000000000000000000c\n\n    File:  true\n    Block: true\n\n    Volumes:\n\n\n    Nodes:\n\n"
    );
}

#[test]
fn usage_of_a_command_and_of_a_group() {
    let group = ROOT.step("device").unwrap();
    insta::assert_snapshot!("usage_device", group.usage(&path_to(group)));
    let command = group.step("add").unwrap();
    insta::assert_snapshot!("usage_device_add", command.usage(&path_to(command)));
}
