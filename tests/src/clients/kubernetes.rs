//! The provisioner `kubernetes.io/glusterfs`, which lived in Kubernetes' controller manager up to 1.25.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::{CallError, GoClient, HeketiClient, ids, text};

/// The parameters of a StorageClass, as far as they come to the server.
#[derive(Clone, Debug)]
pub struct StorageClass {
    pub clusters: Vec<String>,
    /// `volumetype`: what is sent as durability.
    pub durability: Value,
    pub volume_options: Vec<String>,
    /// `volumenameprefix`.
    pub name_prefix: Option<String>,
    pub snapshot_factor: f32,
}

/// A persistent volume, as far as it is heketi's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistentVolume {
    /// `glusterfs.path`.
    pub path: String,
    pub capacity_gib: u64,
    /// The annotation `gluster.kubernetes.io/heketi-volume-id`; volumes of before 1.10 have none.
    pub volume_id: Option<String>,
    pub gid: u64,
    /// The addresses in the Endpoints.
    pub addresses: Vec<IpAddr>,
}

/// The provisioner.
pub struct Provisioner {
    client: GoClient,
    class: StorageClass,
}

impl Default for StorageClass {
    fn default() -> Self {
        Self {
            clusters: Vec::new(),
            durability: json!({"type": "replicate", "replicate": {"replica": 3}, "disperse": {}}),
            volume_options: Vec::new(),
            name_prefix: None,
            snapshot_factor: 1.0,
        }
    }
}

impl Provisioner {
    #[must_use]
    pub fn new(client: GoClient, class: StorageClass) -> Self {
        Self { client, class }
    }

    #[must_use]
    pub fn client(&self) -> &GoClient {
        &self.client
    }

    /// The body of a create. Keys that say nothing are left out or sent empty exactly as the provisioner does it.
    #[must_use]
    pub fn create_body(&self, gib: u64, gid: u64, claim: &str) -> Value {
        let class = &self.class;
        let mut body = Map::new();
        body.insert("size".into(), json!(gib));
        if !class.clusters.is_empty() {
            body.insert("clusters".into(), json!(class.clusters));
        }
        let name =
            class.name_prefix.as_ref().map(|prefix| format!("{prefix}_default_{claim}_{}", uuid::Uuid::new_v4()));
        body.insert("name".into(), json!(name.unwrap_or_default()));
        body.insert("durability".into(), class.durability.clone());
        body.insert("gid".into(), json!(gid));
        if !class.volume_options.is_empty() {
            body.insert("glustervolumeoptions".into(), json!(class.volume_options));
        }
        body.insert("snapshot".into(), json!({"enable": true, "factor": class.snapshot_factor}));
        Value::Object(body)
    }

    /// Makes a volume for a claim of so many bytes.
    ///
    /// # Errors
    /// As the controller manager would write into the claim's events.
    pub async fn provision(&self, bytes: u64, gid: u64, claim: &str) -> Result<PersistentVolume, CallError> {
        let gib = bytes.div_ceil(1 << 30);
        let volume = self.client.volume_create(self.create_body(gib, gid, claim)).await?;
        let (id, path) = (text(&volume, "id"), text(&volume, "name"));
        // What fails from here on leaves a volume that nobody knows: the contract is that it does not fail.
        let addresses = self.addresses(&text(&volume, "cluster")).await?;
        Ok(PersistentVolume { path, capacity_gib: gib, volume_id: Some(id), gid, addresses })
    }

    /// Every node of the cluster is asked for, those without a brick and those that are down included.
    async fn addresses(&self, cluster: &str) -> Result<Vec<IpAddr>, CallError> {
        let cluster = self.client.cluster(cluster).await?;
        let mut addresses = Vec::new();
        for id in ids(&cluster, "nodes") {
            let node = self.client.node(&id).await?;
            let joined = ids(&node["hostnames"], "storage").concat();
            let address: IpAddr = joined.parse().map_err(|_| CallError::Contract {
                method: "GET".into(),
                path: format!("/nodes/{id}"),
                what: format!("{joined:?} is no address, so that there are no Endpoints"),
            })?;
            addresses.push(address);
        }
        Ok(addresses)
    }

    /// Makes the volume as large as the claim wishes. The capacity is what the server says at the end.
    ///
    /// # Errors
    /// As the controller manager would write into the claim's events.
    pub async fn expand(&self, volume: &mut PersistentVolume, bytes: u64) -> Result<(), CallError> {
        let id = Self::id(volume);
        let wished = bytes.div_ceil(1 << 30);
        let now = size(&self.client.volume(&id).await?);
        volume.capacity_gib = if now >= wished {
            now
        } else {
            let expanded = self.client.volume_expand(&id, wished - volume.capacity_gib).await?;
            size(&expanded)
        };
        Ok(())
    }

    /// Deletes the volume. That it is gone already is as good, if the server says so in heketi's words.
    ///
    /// # Errors
    /// Leaves the persistent volume `Failed`.
    pub async fn delete(&self, volume: &PersistentVolume) -> Result<(), CallError> {
        match self.client.volume_delete(&Self::id(volume)).await {
            Err(CallError::Refused { status: 404, text }) if text == "Id not found" => Ok(()),
            outcome => outcome,
        }
    }

    fn id(volume: &PersistentVolume) -> String {
        let from_name = || volume.path.strip_prefix("vol_").unwrap_or(&volume.path).to_owned();
        volume.volume_id.clone().unwrap_or_else(from_name)
    }
}

fn size(volume: &Value) -> u64 {
    volume["size"].as_u64().unwrap_or_else(|| panic!("no size in {volume}"))
}
