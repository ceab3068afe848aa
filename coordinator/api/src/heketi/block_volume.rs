//! `/blockvolumes`.

use bricklayer_proto::ids::{BlockVolumeId, ClusterId, VolumeId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{is_false, is_zero};

/// Body of `POST /blockvolumes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BlockVolumeCreateRequest {
    #[serde(rename = "size")]
    pub size_gib: i64,
    /// Clusters to choose from; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// Empty: `blockvol_` and the block volume's id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// By how many hosts it is served; zero means by all.
    #[serde(rename = "hacount", skip_serializing_if = "is_zero")]
    pub ha_count: i64,
    /// Whether initiators must log in.
    #[serde(skip_serializing_if = "is_false")]
    pub auth: bool,
}

/// Body of `POST /blockvolumes/{id}/expand`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BlockVolumeExpandRequest {
    /// The size that it is to have, not what is to be added.
    #[serde(rename = "new_size")]
    pub new_size_gib: i64,
}

/// Answer of `GET /blockvolumes/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockVolumeInfo {
    #[serde(rename = "size")]
    pub size_gib: i64,
    pub name: String,
    #[serde(default, rename = "hacount")]
    pub ha_count: i64,
    pub id: BlockVolumeId,
    #[serde(rename = "blockvolume")]
    pub access: BlockVolumeAccess,
    pub cluster: ClusterId,
    /// The volume that its file lies in.
    #[serde(rename = "blockhostingvolume")]
    pub hosting_volume: VolumeId,
    /// Below the size where an expansion did not reach every host.
    #[serde(default, rename = "usablesize")]
    pub usable_size_gib: i64,
}

/// How initiators reach a block volume.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BlockVolumeAccess {
    pub hosts: Vec<String>,
    pub iqn: String,
    pub lun: i64,
    /// Empty where initiators need not log in.
    pub username: String,
    pub password: InitiatorPassword,
}

/// What initiators log in with; empty where they need not. Not shown by `Debug`.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
pub struct InitiatorPassword(SecretString);

impl InitiatorPassword {
    /// The password itself, for the one place that hands it to a person.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for InitiatorPassword {
    fn from(password: String) -> Self {
        Self(password.into())
    }
}

impl Serialize for InitiatorPassword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for InitiatorPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Answer of `GET /blockvolumes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BlockVolumeList {
    #[serde(rename = "blockvolumes")]
    pub block_volumes: Vec<BlockVolumeId>,
}
