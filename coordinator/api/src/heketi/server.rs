//! `/admin`, `/internal/logging` and `/db/check`: what concerns the server itself.
//!
//! `/db/dump` and `/internal/state/examine/gluster` have no type here: clients hand their text on as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

/// Body of `POST /admin`, and answer of `GET /admin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct AdminStatus {
    /// `normal`, `read-only` or `local-client`.
    pub state: String,
}

/// Body of `POST /internal/logging`, and answer of both of its methods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct LogLevels {
    /// By the name of the logger; heketi has one, [`LogLevels::LOGGER`].
    #[serde(rename = "loglevel")]
    pub log_level: BTreeMap<String, String>,
}

impl LogLevels {
    /// The one logger whose level can be changed.
    pub const LOGGER: &str = "glusterfs";

    /// That logger at `level`: `none`, `critical`, `error`, `warning`, `info` or `debug`.
    #[must_use]
    pub fn of(level: &str) -> Self {
        Self { log_level: BTreeMap::from([(Self::LOGGER.to_owned(), level.to_owned())]) }
    }
}

/// Answer of `GET /db/check`. The server indents it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DbCheck {
    pub clusters: DbCheckOf,
    pub volumes: DbCheckOf,
    pub bricks: DbCheckOf,
    pub nodes: DbCheckOf,
    pub devices: DbCheckOf,
    #[serde(rename = "blockvolumes")]
    pub block_volumes: DbCheckOf,
    #[serde(rename = "dbattributes")]
    pub db_attributes: DbCheckOf,
    #[serde(rename = "pendingoperations")]
    pub pending_operations: DbCheckOf,
    #[serde(rename = "totalinconsistencies")]
    pub total_inconsistencies: u64,
}

/// What was found among the records of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DbCheckOf {
    pub total: u64,
    pub pending: u64,
    pub ok: u64,
    #[serde(rename = "notok")]
    pub not_ok: u64,
    /// `null` on the wire when there is none.
    #[serde(serialize_with = "null_when_empty")]
    pub inconsistencies: Vec<String>,
}

fn null_when_empty<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    if texts.is_empty() { serializer.serialize_none() } else { serializer.collect_seq(texts) }
}
