use secrecy::ExposeSecret as _;

use super::{Imported, import};
use crate::config::ConfigFile;
use crate::http::Mode;
use crate::placement::ZoneRule;

const SAMPLE: &str = r#"{
  "_port_comment": "Heketi Server Port Number",
  "port": "8080",
  "use_auth": false,
  "jwt": { "_comment": "x", "admin": { "key": "My Secret" }, "user": { "key": "Other" } },
  "backup_db_to_kube_secret": false,
  "profiling": false,
  "glusterfs": {
    "executor": "ssh",
    "sshexec": {
      "keyfile": "/etc/heketi/heketi_key", "user": "root", "port": "22", "fstab": "/etc/fstab",
      "pv_data_alignment": "256K", "gluster_cli_timeout": "Optional: Timeout, in seconds"
    },
    "kubeexec": { "namespace": "default" },
    "db": "/var/lib/heketi/heketi.db",
    "Brick_Max_Size_GB": 1024, "brick_min_size_gb": 2, "max_bricks_per_volume": 33,
    "max_inflight_operations": 20, "max_volumes_per_cluster": -1, "average_file_size_kb": 128,
    "zone_checking": "strict",
    "pre_request_volume_options": "performance.io-cache off, nfs.disable on", "post_request_volume_options": "",
    "loglevel": "debug", "auto_create_block_hosting_volume": true, "block_hosting_volume_size": 500,
    "block_hosting_volume_options": "group gluster-block,x.y z", "brick_min": 1
  }
}"#;

fn sample(environment: &[(&str, &str)]) -> Imported {
    let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    import(SAMPLE, &environment).unwrap()
}

fn read(imported: &Imported) -> ConfigFile {
    let text = imported.toml();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn why<'a>(imported: &'a Imported, key: &str) -> &'a str {
    let remark = imported.remarks.iter().find(|remark| remark.key == key);
    remark.map_or_else(|| panic!("{key} is not in {:?}", imported.remarks), |remark| &remark.why)
}

#[test]
fn what_still_has_a_meaning_becomes_our_configuration() {
    let file = read(&sample(&[]));
    assert_eq!(file.rest_listen, Some("0.0.0.0:8080".parse().unwrap()));
    assert_eq!(file.volumes.options_first, ["performance.io-cache off", "nfs.disable on"]);
    assert!(file.volumes.options_last.is_empty());
    assert_eq!(file.log_level.unwrap().as_str(), "debug");
    let policy = file.policy().unwrap();
    assert_eq!(policy.zones, ZoneRule::Strict);
    assert_eq!(policy.limits.least_brick.to_string(), "2 GiB");
    assert_eq!(policy.limits.largest_brick.to_string(), "1 TiB");
    assert_eq!(policy.limits.most_bricks, 33);
    assert!(policy.block.create_hosting_volumes);
    assert_eq!(policy.block.hosting_size.to_string(), "500 GiB");
    assert_eq!(policy.block.hosting_options, ["group gluster-block", "x.y z"]);
    assert_eq!(policy.average_file_size.to_string(), "128 KiB");
    assert_eq!(policy.most_volumes_per_cluster, usize::MAX);
}

#[test]
fn every_key_without_a_meaning_is_named_with_the_reason() {
    let imported = sample(&[]);
    assert!(why(&imported, "glusterfs.sshexec.keyfile").contains("SSH"));
    assert!(why(&imported, "glusterfs.db").contains("store of its own"));
    assert!(why(&imported, "glusterfs.max_inflight_operations").contains("rest.most_unfinished"));
    assert!(why(&imported, "glusterfs.brick_min").contains("does not know"));
    assert!(why(&imported, "glusterfs.kubeexec").contains("does not use"));
    let named: Vec<_> = imported.remarks.iter().map(|remark| remark.key.as_str()).collect();
    for silent in ["_port_comment", "glusterfs.sshexec.fstab", "jwt._comment", "port"] {
        assert!(!named.contains(&silent), "{silent} is remarked on");
    }
}

#[test]
fn keys_of_users_are_kept_out_of_the_configuration() {
    let imported = sample(&[("HEKETI_ADMIN_KEY", "From outside")]);
    assert_eq!(imported.admin_key.as_ref().unwrap().expose_secret(), "From outside");
    assert_eq!(imported.user_key.as_ref().unwrap().expose_secret(), "Other");
    let text = imported.toml();
    assert!(!text.contains("From outside") && !text.contains("Other"), "{text}");
    assert!(!format!("{imported:?}").contains("From outside"));
}

#[test]
fn the_environment_counts_more_than_the_file() {
    let environment = [
        ("HEKETI_HTTP_PORT", "9000"),
        ("HEKETI_DEFAULT_STATE", "read-only"),
        ("HEKETI_ZONE_CHECKING", "none"),
        ("HEKETI_EXECUTOR", "kubernetes"),
        ("HEKETI_FSTAB", "/var/lib/heketi/fstab"),
        ("HEKETI_GLUSTER_MAX_VOLUMES_PER_CLUSTER", "50"),
        ("HEKETI_JWT_IAT_LEEWAY_SECONDS", "300"),
    ];
    let imported = sample(&environment);
    let file = read(&imported);
    assert_eq!(file.rest_listen, Some("0.0.0.0:9000".parse().unwrap()));
    assert_eq!(file.rest.mode, Mode::ReadOnly);
    assert_eq!(file.rest.clock_leeway_seconds, Some(300));
    assert_eq!(file.placement.zones, ZoneRule::Preferred);
    assert_eq!(file.policy().unwrap().most_volumes_per_cluster, 50);
    assert!(why(&imported, "glusterfs.kubeexec.fstab").contains("BRICKLAYER_FSTAB"));
    assert!(why(&imported, "glusterfs.sshexec").contains("does not use"));
}

#[test]
fn certificates_count_only_where_tls_is_on() {
    let file = |tls: bool| {
        let json = format!(r#"{{"enable_tls":{tls},"cert_file":"/etc/heketi/c.pem","key_file":"/etc/heketi/k.pem"}}"#);
        import(&json, &[]).unwrap()
    };
    let on = read(&file(true)).rest;
    assert_eq!((on.certificate, on.private_key), (Some("/etc/heketi/c.pem".into()), Some("/etc/heketi/k.pem".into())));
    assert_eq!(read(&file(false)), ConfigFile::default());
    assert!(why(&file(false), "cert_file").contains("enable_tls"));
}

#[test]
fn a_file_that_heketi_could_not_read_is_no_surprise() {
    let imported = sample(&[]);
    assert!(why(&imported, "glusterfs.sshexec.gluster_cli_timeout").contains("waited for"));
    let odd =
        import(r#"{"port":"x","default_state":"off","glusterfs":{"brick_max_size_gb":"Optional"}}"#, &[]).unwrap();
    assert_eq!(read(&odd), ConfigFile::default());
    assert_eq!(odd.remarks.len(), 3, "{:?}", odd.remarks);
    assert!(import("[]", &[]).is_err());
    assert!(import("{", &[]).is_err());
}
