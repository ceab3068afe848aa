//! heketi's environment: each variable stands for a key of its file and counts more than it.

use secrecy::SecretString;
use serde_json::Value;

use super::keys;
use crate::http::{Mode, NotAMode};

/// Each with the key of heketi.json that it overrides; `*` stands for the section of the executor in use.
const VARIABLES: [(&str, &str); 35] = [
    ("HEKETI_ADMIN_KEY", "jwt.admin.key"),
    ("HEKETI_USER_KEY", "jwt.user.key"),
    ("HEKETI_HTTP_PORT", "port"),
    ("HEKETI_BACKUP_DB_TO_KUBE_SECRET", "backup_db_to_kube_secret"),
    ("HEKETI_PROFILING", "profiling"),
    ("HEKETI_DEFAULT_STATE", "default_state"),
    ("HEKETI_DISABLE_HEALTH_MONITOR", "glusterfs.disable_monitor_gluster_nodes"),
    ("HEKETI_DISABLE_BACKGROUND_CLEANER", "glusterfs.disable_background_cleaner"),
    ("HEKETI_EXECUTOR", "glusterfs.executor"),
    ("HEKETI_DB_PATH", "glusterfs.db"),
    ("HEKETI_GLUSTERAPP_LOGLEVEL", "glusterfs.loglevel"),
    ("HEKETI_AUTO_CREATE_BLOCK_HOSTING_VOLUME", "glusterfs.auto_create_block_hosting_volume"),
    ("HEKETI_BLOCK_HOSTING_VOLUME_SIZE", "glusterfs.block_hosting_volume_size"),
    ("HEKETI_BLOCK_HOSTING_VOLUME_OPTIONS", "glusterfs.block_hosting_volume_options"),
    ("HEKETI_GLUSTERAPP_REBALANCE_ON_EXPANSION", "*.rebalance_on_expansion"),
    ("HEKETI_MAX_INFLIGHT_OPERATIONS", "glusterfs.max_inflight_operations"),
    ("HEKETI_PRE_REQUEST_VOLUME_OPTIONS", "glusterfs.pre_request_volume_options"),
    ("HEKETI_POST_REQUEST_VOLUME_OPTIONS", "glusterfs.post_request_volume_options"),
    ("HEKETI_ZONE_CHECKING", "glusterfs.zone_checking"),
    ("HEKETI_GLUSTER_MAX_VOLUMES_PER_CLUSTER", "glusterfs.max_volumes_per_cluster"),
    ("HEKETI_GLUSTER_CLI_TIMEOUT", "*.gluster_cli_timeout"),
    ("HEKETI_DEBUG_UMOUNT_FAILURES", "*.debug_umount_failures"),
    ("HEKETI_BLOCK_VOLUME_DEFAULT_PREALLOC", "*.block_prealloc"),
    ("HEKETI_LVM_WRAPPER", "*.lvm_wrapper"),
    ("HEKETI_SSH_KEYFILE", "glusterfs.sshexec.keyfile"),
    ("HEKETI_SSH_USER", "glusterfs.sshexec.user"),
    ("HEKETI_SSH_PORT", "glusterfs.sshexec.port"),
    ("HEKETI_FSTAB", "*.fstab"),
    ("HEKETI_MOUNT_OPTS", "*.mountopts"),
    ("HEKETI_SNAPSHOT_LIMIT", "*.snapshot_limit"),
    ("HEKETI_KUBE_NAMESPACE", "glusterfs.kubeexec.namespace"),
    ("HEKETI_KUBE_GLUSTER_DAEMONSET", "glusterfs.kubeexec.gluster_daemonset"),
    ("HEKETI_KUBE_USE_POD_NAMES", "glusterfs.kubeexec.use_pod_names"),
    ("HEKETI_KUBE_DB_SECRET_NAME", "backup_db_to_kube_secret"),
    ("HEKETI_JWT_IAT_LEEWAY_SECONDS", "jwt.iat_leeway_seconds"),
];

/// The keys that the variables stand for, with their values.
///
/// `executor` is what the file says of it: the section of the one in use is meant by some of them.
pub fn overrides(environment: &[(String, String)], executor: Option<&Value>) -> Vec<(String, Value)> {
    let set = |wanted: &str| {
        let value = environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        value.filter(|value| !value.is_empty()).map(|value| Value::String(value.clone()))
    };
    let by_environment = set("HEKETI_EXECUTOR");
    let kube = keys::uses_kube(by_environment.as_ref().or(executor));
    let section = if kube { "glusterfs.kubeexec" } else { "glusterfs.sshexec" };
    let found = VARIABLES.into_iter().filter_map(|(name, key)| Some((key.replace('*', section), set(name)?)));
    found.collect()
}

/// What a running coordinator takes from heketi's environment: manifests hand over the keys so.
#[derive(Clone, Debug, Default)]
pub struct AtRun {
    pub admin_key: Option<SecretString>,
    pub user_key: Option<SecretString>,
    pub port: Option<u16>,
    pub mode: Option<Mode>,
    pub clock_leeway_seconds: Option<u32>,
    /// Variables of heketi's that are set and do nothing here.
    pub idle: Vec<&'static str>,
}

#[derive(Debug, thiserror::Error)]
pub enum NotHonoured {
    #[error("HEKETI_DEFAULT_STATE")]
    Mode(#[from] NotAMode),
    #[error("{name} is not a number: {value:?}")]
    Number { name: &'static str, value: String },
}

/// Reads the environment; what is set and not understood is an error, as heketi's was.
pub fn at_run(get: impl Fn(&str) -> Option<String>) -> Result<AtRun, NotHonoured> {
    fn number<T: std::str::FromStr>(name: &'static str, value: String) -> Result<T, NotHonoured> {
        value.trim().parse().map_err(|_| NotHonoured::Number { name, value })
    }
    let mut taken = AtRun::default();
    for (name, _) in VARIABLES {
        let Some(value) = get(name).filter(|value| !value.is_empty()) else { continue };
        match name {
            "HEKETI_ADMIN_KEY" => taken.admin_key = Some(value.into()),
            "HEKETI_USER_KEY" => taken.user_key = Some(value.into()),
            "HEKETI_HTTP_PORT" => taken.port = Some(number(name, value)?),
            "HEKETI_DEFAULT_STATE" => taken.mode = Some(value.parse()?),
            "HEKETI_JWT_IAT_LEEWAY_SECONDS" => taken.clock_leeway_seconds = Some(number(name, value)?),
            _ => taken.idle.push(name),
        }
    }
    Ok(taken)
}
