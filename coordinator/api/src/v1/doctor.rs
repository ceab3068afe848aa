//! `/v1/doctor`: what is amiss.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/doctor`: the worst first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnosis {
    pub findings: Vec<Finding>,
    /// When this was looked at. What a host says is a minute old at the most while its agent is attached.
    pub at: Timestamp,
    pub examined: Examined,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Examined {
    pub nodes: u64,
    pub devices: u64,
    pub bricks: u64,
}

/// One thing that is amiss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// The code and what it is about, such as `brick-not-mounted:<brick id>`: the same for as long as the thing is amiss.
    pub id: String,
    pub severity: Severity,
    /// Such as `brick-not-mounted`; `docs/operations/doctor.md` lists them.
    pub code: String,
    /// Id of the node, device, brick or operation that it is about; a name where nothing of ours is.
    pub subject: String,
    /// The host, as people call it; missing where it concerns none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// What is amiss.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Data or service is in danger now.
    Error,
    /// It will be, or it is with one failure more.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}
