//! Every key of heketi.json, and what becomes of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Imported;
use crate::http::Mode;
use crate::logging::LogLevel;

const SSH: &str = "glusterfs.sshexec.";
const KUBE: &str = "glusterfs.kubeexec.";

const AGENTS_DO_IT: &str = "the agent on each host does this by itself; nothing logs in there any more";
const BLOCK: &str = "block_volumes";

pub fn read(found: &BTreeMap<String, Value>, imported: &mut Imported) {
    let (used, unused) = if uses_kube(found.get("glusterfs.executor")) { (KUBE, SSH) } else { (SSH, KUBE) };
    let tls = found.get("enable_tls").is_some_and(is_true);
    let mut unused_seen = false;
    for (key, value) in found {
        if let Some(name) = key.strip_prefix(used) {
            of_executor(key, name, value, imported);
        } else if key.starts_with(unused) {
            unused_seen = true;
        } else if key.starts_with("glusterfs.injectexec.") {
            imported.remark(key, "faults are injected by Bricklayer's own tests");
        } else if let Some(name) = key.strip_prefix("glusterfs.") {
            of_glusterfs(key, name, value, imported);
        } else {
            of_server(key, value, tls, imported);
        }
    }
    if unused_seen {
        imported.remark(unused.trim_end_matches('.'), "belongs to an executor that this file does not use");
    }
}

/// Whether heketi ran its commands in pods; over SSH otherwise.
pub fn uses_kube(executor: Option<&Value>) -> bool {
    matches!(executor.and_then(Value::as_str), Some("kube" | "kubernetes"))
}

fn of_server(key: &str, value: &Value, tls: bool, imported: &mut Imported) {
    match key {
        "port" => match text(value).parse::<u16>() {
            Ok(port) => imported.set("", "rest_listen", format!("0.0.0.0:{port}")),
            Err(_) => imported.remark(key, format!("{value} is not a port; REST stays on 8080")),
        },
        "use_auth" => imported.remark(
            key,
            "heketi itself has not looked at it since version 10; disable_auth = true switches authentication off",
        ),
        "jwt.admin.key" | "jwt.user.key" => {
            let secret = text(value);
            let user = if key == "jwt.admin.key" { "admin" } else { "user" };
            let why = format!(
                "goes into the file keys/{user}.key of the data directory (mode 0600), not into the configuration"
            );
            imported.remark(key, why);
            let slot = if user == "admin" { &mut imported.admin_key } else { &mut imported.user_key };
            *slot = Some(secret.into()).filter(|_| !text(value).is_empty());
        }
        "jwt.iat_leeway_seconds" => number(key, value, imported, |imported, seconds| {
            imported.set("rest", "clock_leeway_seconds", seconds);
        }),
        "default_state" => match text(value).parse::<Mode>() {
            Ok(Mode::Normal) => {}
            Ok(mode) => imported.set("rest", "mode", mode.as_str()),
            Err(error) => imported.remark(key, error.to_string()),
        },
        "enable_tls" => {}
        "cert_file" if tls => imported.set("rest", "certificate", text(value)),
        "key_file" if tls => imported.set("rest", "private_key", text(value)),
        "cert_file" | "key_file" => imported.remark(key, "enable_tls is off, so heketi did not use it either"),
        "backup_db_to_kube_secret" => imported.remark(
            key,
            "no Secret is written; `GET /backup/db` or `bricklayer-coordinator export` makes a backup, and the disks \
             themselves say what they hold",
        ),
        "profiling" => imported.remark(key, "there are no Go profiles; GET /metrics has the process's figures"),
        _ => unknown(key, imported),
    }
}

fn of_glusterfs(key: &str, name: &str, value: &Value, imported: &mut Imported) {
    let gib = |key: &'static str| {
        move |imported: &mut Imported, size: i64| {
            if size > 0 {
                imported.set("placement", key, format!("{size}GiB"));
            }
        }
    };
    match name {
        "executor" => match text(value).as_str() {
            "mock" | "inject/mock" => {
                imported
                    .remark(key, "nothing is simulated here; bricklayer-sandbox is a coordinator on simulated hosts");
            }
            _ => imported.remark(key, AGENTS_DO_IT),
        },
        "db" => imported.remark(key, "Bricklayer has a store of its own, in the data directory"),
        "db_read_only" if is_true(value) => {
            imported.set("rest", "mode", Mode::ReadOnly.as_str());
            imported.remark(key, "became rest.mode = \"read-only\", which SIGUSR2 ends");
        }
        "db_read_only" => {}
        "allocator" => imported.remark(key, "heketi itself does not look at it"),
        "loglevel" => match text(value).parse::<LogLevel>() {
            Ok(level) => imported.set("", "log_level", level.as_str()),
            Err(error) => imported.remark(key, error.to_string()),
        },
        "brick_min_size_gb" => number(key, value, imported, gib("smallest_brick")),
        "brick_max_size_gb" => number(key, value, imported, gib("largest_brick")),
        "max_bricks_per_volume" => number(key, value, imported, |imported, most| {
            if most > 0 {
                imported.set("placement", "most_bricks_per_volume", most);
            }
        }),
        "max_volumes_per_cluster" => number(key, value, imported, |imported, most| {
            // heketi: zero is the default, less is any number. Ours: zero is any number.
            if most != 0 {
                imported.set("placement", "most_volumes_per_cluster", most.max(0));
            }
        }),
        "average_file_size_kb" => number(key, value, imported, |imported, size| {
            if size > 0 {
                imported.set("placement", "average_file_size", format!("{size}KiB"));
            }
        }),
        "zone_checking" if text(value) == "strict" => imported.set("placement", "zones", "strict"),
        "zone_checking" => {}
        "pre_request_volume_options" => options("volumes", "options_first", value, imported),
        "post_request_volume_options" => options("volumes", "options_last", value, imported),
        "auto_create_block_hosting_volume" => imported.set(BLOCK, "create_hosting_volumes", is_true(value)),
        "block_hosting_volume_size" => number(key, value, imported, |imported, size| {
            if size > 0 {
                imported.set(BLOCK, "hosting_volume_size", format!("{size}GiB"));
            }
        }),
        "block_hosting_volume_options" => options(BLOCK, "hosting_volume_options", value, imported),
        "disable_monitor_gluster_nodes" | "refresh_time_monitor_gluster_nodes" | "start_time_monitor_gluster_nodes" => {
            imported.remark(key, "agents keep a connection open, so it is known at once when a host is away");
        }
        "max_inflight_operations" => imported.remark(
            key,
            "operations wait for each other instead of being refused; rest.most_unfinished (1024) bounds how many",
        ),
        "disable_background_cleaner" | "refresh_time_background_cleaner" | "start_time_background_cleaner" => {
            imported.remark(key, "operations go on, or are taken back, by themselves, also after a restart");
        }
        "operation_retry_limits.volume_create" => {
            imported.remark(key, "hosts that are away are left out before a volume is placed");
        }
        _ => unknown(key, imported),
    }
}

/// What heketi did on the hosts, and the agents do now.
fn of_executor(key: &str, name: &str, value: &Value, imported: &mut Imported) {
    let why = match name {
        "keyfile" => "there is no SSH any more: revoke this key on the hosts",
        "user" | "port" | "sudo" => "there is no SSH any more",
        "host"
        | "cert"
        | "password"
        | "insecure"
        | "namespace"
        | "gluster_daemonset"
        | "use_pod_names"
        | "max_connections"
        | "disable_timeout_prefix" => "no commands are run in pods any more",
        "fstab" if text(value) == "/etc/fstab" => return,
        "fstab" => "is said to each agent: --fstab FILE, or BRICKLAYER_FSTAB in its environment",
        "mountopts" => "bricks are mounted with rw,inode64,noatime and nofail; nouuid is not needed",
        "snapshot_limit" => "set it on the hosts: gluster snapshot config snap-max-hard-limit N",
        "rebalance_on_expansion" => "a rebalance follows every expansion that adds bricks, as in heketi's default",
        "backup_lvm_metadata" => "LVM backs its metadata up as /etc/lvm/lvm.conf says",
        "gluster_cli_timeout" => "a command that takes long is waited for and looked after, never taken for failed",
        "pv_data_alignment" | "vg_physicalextentsize" | "lv_chunksize" => {
            "new devices have 256 KiB, 4 MiB and 256 KiB, heketi's defaults; existing ones keep what they have"
        }
        "xfs_sw" | "xfs_su" => "mkfs.xfs chooses stripes by what the device tells of itself",
        "debug_umount_failures" => {
            "an agent waits for a mount that is busy and says so; fuser -vm on the host names the processes"
        }
        "block_prealloc" => match text(value).as_str() {
            word @ ("full" | "no") => return imported.set(BLOCK, "preallocation", word),
            _ => "gluster-block knows full and no; new block volumes have full",
        },
        "lvm_wrapper" => AGENTS_DO_IT,
        _ => return unknown(key, imported),
    };
    imported.remark(key, why);
}

fn unknown(key: &str, imported: &mut Imported) {
    imported.remark(key, "heketi does not know this key either");
}

fn options(section: &'static str, key: &'static str, value: &Value, imported: &mut Imported) {
    let list = text(value);
    let options: Vec<toml::Value> =
        list.split(',').map(str::trim).filter(|option| !option.is_empty()).map(toml::Value::from).collect();
    if !options.is_empty() {
        imported.set(section, key, options);
    }
}

/// A number, also one that the environment brought as text. heketi's sample file has explanations where numbers stand,
/// and does not start with them.
fn number(key: &str, value: &Value, imported: &mut Imported, set: impl FnOnce(&mut Imported, i64)) {
    match value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok())) {
        Some(number) => set(imported, number),
        None => imported.remark(key, format!("{value} is not a number, and heketi would not have started with it")),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// JSON's true, or what heketi takes for it in the environment.
fn is_true(value: &Value) -> bool {
    value
        .as_bool()
        .unwrap_or_else(|| matches!(text(value).to_ascii_lowercase().as_str(), "1" | "t" | "true" | "yes" | "y"))
}
