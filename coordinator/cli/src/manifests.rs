//! Objects of Kubernetes that make a volume, or the database's, known there. Pure: from answers of the server to JSON.
//!
//! The keys of each object are in the order of the alphabet, which is also the order that people write them in; only
//! heketi's persistent volume keeps heketi's order.

use std::net::IpAddr;

use base64::Engine as _;
use bricklayer_api::heketi::VolumeInfo;
use bricklayer_api::size::{ByteSize, GIB, KIB, MIB};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::CliError;

/// Kubernetes asks for a port where GlusterFS has many; nobody connects to this one.
const PORT: u16 = 1;

/// The longest name of a Service.
const LONGEST_NAME: usize = 63;

/// Under which names a volume is made known.
#[derive(Clone, Debug)]
pub struct Names {
    pub namespace: String,
    /// Of the Endpoints and the Service, the PersistentVolume and the claim.
    pub object: String,
}

impl Names {
    /// A name that Kubernetes takes, made of the volume's own.
    pub fn of(volume: &VolumeInfo, namespace: &str, object: Option<&str>) -> Self {
        let object = object.map_or_else(|| object_name(&volume.name), str::to_owned);
        Self { namespace: namespace.to_owned(), object }
    }
}

fn object_name(volume: &str) -> String {
    let lower = format!("glusterfs-{}", volume.to_ascii_lowercase().replace('_', "-"));
    let cut: String = lower.chars().take(LONGEST_NAME).collect();
    cut.trim_end_matches('-').to_owned()
}

/// As Kubernetes counts: in the largest unit that says it exactly.
fn quantity(volume: &VolumeInfo) -> String {
    let bytes = volume.size_bytes.or_else(|| ByteSize::from_gib(volume.size_gib).map(ByteSize::bytes));
    match bytes {
        None => format!("{}Gi", volume.size_gib),
        Some(bytes) => [(GIB, "Gi"), (MIB, "Mi"), (KIB, "Ki")]
            .into_iter()
            .find(|(unit, _)| bytes.is_multiple_of(*unit))
            .map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit)),
    }
}

fn gid_annotation(volume: &VolumeInfo) -> Option<Value> {
    (volume.gid != 0).then(|| json!({ "pv.beta.kubernetes.io/gid": volume.gid.to_string() }))
}

/// The subsets of an Endpoints: one per host, as heketi writes them.
fn subsets(hosts: &[String]) -> Value {
    let subset = |host: &String| json!({ "addresses": [{ "ip": host }], "ports": [{ "port": PORT }] });
    hosts.iter().map(subset).collect()
}

/// The hosts that serve a volume, where Kubernetes can use them.
fn addresses(volume: &VolumeInfo) -> Result<&[String], CliError> {
    let hosts = &volume.mount.glusterfs.hosts;
    for host in hosts {
        match host.parse::<IpAddr>() {
            Ok(address) if address.is_loopback() => {
                return Err(CliError::refused(
                    format!("Kubernetes takes no loopback address, and a host of {} is {host}", volume.name),
                    "give its node the address that clients reach it by: `bricklayer node edit NODE \
                     --storage-host-name ADDRESS`",
                ));
            }
            Ok(_) => {}
            Err(_) => {
                return Err(CliError::refused(
                    format!("Endpoints of Kubernetes take addresses, and a host of {} is named {host}", volume.name),
                    "give its node an address: `bricklayer node edit NODE --storage-host-name ADDRESS`",
                ));
            }
        }
    }
    Ok(hosts)
}

/// What is needed to use a volume without a provisioner, in the order in which it is made: Endpoints, the Service that
/// keeps them, a PersistentVolume, and a claim that takes it.
pub fn static_use(volume: &VolumeInfo, names: &Names) -> Result<Vec<Value>, CliError> {
    let hosts = addresses(volume)?;
    let Names { namespace, object } = names;
    let capacity = quantity(volume);
    let metadata = json!({ "name": object, "namespace": namespace });
    let mut persistent = json!({ "name": object });
    if let Some(annotations) = gid_annotation(volume) {
        persistent["annotations"] = annotations;
    }
    Ok(vec![
        json!({ "apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets(hosts) }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": { "ports": [{ "port": PORT }] },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": persistent,
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "capacity": { "storage": capacity },
                // Nobody else's claim may take it.
                "claimRef": { "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": object, "namespace": namespace },
                "glusterfs": { "endpoints": object, "endpointsNamespace": namespace, "path": volume.name },
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
            },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "resources": { "requests": { "storage": capacity } },
                // Empty and not left out: else the default class would make another volume.
                "storageClassName": "",
                "volumeName": object,
            },
        }),
    ])
}

/// Several objects as one.
pub fn list(objects: Vec<Value>) -> Value {
    json!({ "apiVersion": "v1", "items": objects, "kind": "List" })
}

/// heketi-cli's PersistentVolume, byte for byte.
pub fn heketis_persistent_volume(volume: &VolumeInfo, endpoint: &str) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct PersistentVolume {
        kind: &'static str,
        #[serde(rename = "apiVersion")]
        api_version: &'static str,
        metadata: Metadata,
        spec: Spec,
        status: serde_json::Map<String, Value>,
    }
    #[derive(Serialize)]
    struct Metadata {
        name: String,
        #[serde(rename = "creationTimestamp")]
        creation_timestamp: (),
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<Value>,
    }
    #[derive(Serialize)]
    struct Spec {
        capacity: Value,
        glusterfs: Value,
        #[serde(rename = "accessModes")]
        access_modes: [&'static str; 1],
        #[serde(rename = "persistentVolumeReclaimPolicy")]
        reclaim_policy: &'static str,
    }

    let short_id: String = volume.id.to_string().chars().take(8).collect();
    let endpoint = if endpoint.is_empty() { "TYPE ENDPOINT HERE" } else { endpoint };
    let persistent = PersistentVolume {
        kind: "PersistentVolume",
        api_version: "v1",
        metadata: Metadata {
            name: format!("glusterfs-{short_id}"),
            creation_timestamp: (),
            annotations: gid_annotation(volume),
        },
        spec: Spec {
            capacity: json!({ "storage": quantity(volume) }),
            glusterfs: json!({ "endpoints": endpoint, "path": volume.name }),
            access_modes: ["ReadWriteMany"],
            reclaim_policy: "Retain",
        },
        status: serde_json::Map::new(),
    };
    serde_json::to_string_pretty(&persistent)
}

/// A label that a node must have, `key=value`.
#[derive(Clone, Debug)]
pub struct NodeSelector {
    pub key: String,
    pub value: String,
}

/// heketi's list for its own database in Kubernetes: the database, where the volume is, and a job that copies the one
/// to the other.
pub fn db_storage(volume: &VolumeInfo, database: &[u8], image: &str, node_selector: Option<&NodeSelector>) -> Value {
    const STORAGE: &str = "heketi-storage-endpoints";
    const SECRET: &str = "heketi-storage-secret";
    let label = json!({ "deploy-heketi": "support" });
    let mut pod = json!({
        "containers": [{
            "command": ["cp", "/db/heketi.db", "/heketi"],
            "image": image,
            "name": "heketi",
            "volumeMounts": [
                { "mountPath": "/heketi", "name": "heketi-storage" },
                { "mountPath": "/db", "name": SECRET },
            ],
        }],
        "restartPolicy": "Never",
        "volumes": [
            { "glusterfs": { "endpoints": STORAGE, "path": volume.name }, "name": "heketi-storage" },
            { "name": SECRET, "secret": { "secretName": SECRET } },
        ],
    });
    if let Some(NodeSelector { key, value }) = node_selector {
        pod["nodeSelector"] = json!({ key: value });
    }
    list(vec![
        json!({
            "apiVersion": "v1",
            "data": { "heketi.db": base64::engine::general_purpose::STANDARD.encode(database) },
            "kind": "Secret",
            "metadata": { "labels": label, "name": SECRET },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": { "name": STORAGE },
            "subsets": subsets(&volume.mount.glusterfs.hosts),
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": STORAGE },
            "spec": { "ports": [{ "port": PORT }] },
        }),
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "labels": label, "name": "heketi-storage-copy-job" },
            "spec": {
                "completions": 1,
                "parallelism": 1,
                "template": { "metadata": { "name": "heketi-storage-copy-job" }, "spec": pod },
            },
        }),
    ])
}
